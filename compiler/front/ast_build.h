/* ast_build: constructors of the tree, called by the grammar's actions.
 *
 * They bound the depth of the tree: an operator chain may be longer than any nesting (x + x + x ...), and every
 * later pass is recursive.  An expression deeper than PARSE_MAX_TREE becomes an EXPR_ERROR with a message;
 * a node over an EXPR_ERROR of that origin is one too, so one chain gives one message. */
#ifndef ATTN_FRONT_AST_BUILD_H
#define ATTN_FRONT_AST_BUILD_H

#include "front/parse_state.h"

Expr *ast_int(Parse *p, Span span, int64_t value);
Expr *ast_real(Parse *p, Span span, double value);
Expr *ast_word(Parse *p, Span span, ExprKind kind); /* none, true, false, EXPR_ERROR */
Expr *ast_name(Parse *p, Name name);
Expr *ast_unary(Parse *p, Span span, UnaryOp op, Expr *a);
Expr *ast_binary(Parse *p, Span op_span, BinaryOp op, Expr *a, Expr *b);
Expr *ast_if(Parse *p, Span span, Expr *cond, Expr *then, Expr *otherwise);
Expr *ast_index(Parse *p, Span span, Expr *base, ExprVec args);
Expr *ast_call(Parse *p, Span span, Name callee, ArgVec args);
Expr *ast_reduce(Parse *p, Span span, Name op, BinderVec binders, Expr *body);
Expr *ast_query(Parse *p, Span span, bool is_probability, Expr *arg);
Expr *ast_parens(Span span, Expr *inner);

Binder *ast_binder(Parse *p, Span span, Name name, Domain domain);
Target *ast_target(Parse *p, Span span, Name name, SlotVec slots);
Decl *ast_decl(Parse *p, Span span, Target *target, Name type, ExprVec dims, Expr *init);
Def *ast_def(Parse *p, Span span, Name name, NameVec params, Expr *body);
Item *ast_model(Parse *p, Span span, Name name, NameVec sizes, StmtVec body);
Item *ast_def_item(Parse *p, Def *def);

/* The fields of its kind are the caller's to fill. */
Stmt *ast_stmt(Parse *p, Span span, Span keyword, StmtKind kind);
Stmt *ast_decls(Parse *p, Span span, Span keyword, StmtKind kind, DeclVec decls);
Stmt *ast_assign(Parse *p, Span span, Span keyword, StmtKind kind, Target *target, Expr *value);
Stmt *ast_for(Parse *p, Span span, Span keyword, BinderVec binders, StmtVec body);
Stmt *ast_edge(Parse *p, Span span, Span keyword, Name name, Domain domain, bool or_none, Expr *where);
Stmt *ast_draw(Parse *p, Span span, Span keyword, StmtKind kind, Expr *left, Name dist, ArgVec args);
Stmt *ast_weight(Parse *p, Span span, Span keyword, StmtKind kind, Expr *weight);
Stmt *ast_infer(Parse *p, Span span, Span keyword, NameVec names, Name method, ArgVec args);

#endif
