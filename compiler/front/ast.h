/* ast: the tree that the grammar builds: what was written, nothing decided.
 *
 * Nodes live in the compilation's arena and are never changed after parsing.  Every node carries the
 * span of source it came from.  Words such as distribution, function, inference and domain names are
 * still names (Sym): front/check gives them meaning, so that the grammar knows none of them. */
#ifndef ATTN_FRONT_AST_H
#define ATTN_FRONT_AST_H

#include <stdbool.h>

#include "base/intern.h"
#include "base/source.h"
#include "base/vec.h"

typedef struct Name { Sym sym; Span span; } Name; /* sym 0: absent */
typedef VEC(Name) NameVec;

typedef enum {
  EXPR_ERROR, /* stands where a syntax error was recovered; silent in every later phase */
  EXPR_INT, EXPR_REAL, EXPR_TRUE, EXPR_FALSE, EXPR_NONE,
  EXPR_NAME,
  EXPR_UNARY, EXPR_BINARY,
  EXPR_IF,
  EXPR_INDEX,  /* base[args] */
  EXPR_CALL,   /* name(args): a function, a `def`, or a query such as mode(phi), param(theta, 1) */
  EXPR_REDUCE, /* name(binders) body, e.g. sum(j in N) x[j] */
  EXPR_QUERY,  /* E[arg] or P[arg] */
} ExprKind;

typedef enum { UNARY_NEG, UNARY_NOT } UnaryOp;
typedef enum {
  BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV, BINARY_FLOORDIV, BINARY_MOD, BINARY_POW,
  BINARY_EQ, BINARY_NE, BINARY_LT, BINARY_LE, BINARY_GT, BINARY_GE,
  BINARY_AND, BINARY_OR,
} BinaryOp;

typedef struct Expr Expr;
typedef VEC(Expr *) ExprVec;

/* An argument of a call: `value` or `name = value`. */
typedef struct Arg { Name name; Expr *value; } Arg;
typedef VEC(Arg) ArgVec;

/* `lo .. hi`, or `lo` alone with hi NULL (a size, adj[i], bit, tree(N), ... as yet an expression). */
typedef struct Domain { Expr *lo, *hi; Span span; } Domain;

typedef struct Binder { Name name; Domain domain; Span span; } Binder;
typedef VEC(Binder) BinderVec;

struct Expr {
  ExprKind kind;
  Span span;
  bool parenthesised; /* written inside ( ): kept for printing */
  uint16_t depth;     /* 1 + that of the deepest child; at most PARSE_MAX_TREE (parse.h) */
  union {
    int64_t integer;
    double real;
    Sym name;
    struct { UnaryOp op; Expr *a; } unary;
    struct { BinaryOp op; Expr *a, *b; } binary;
    struct { Expr *cond, *then, *otherwise; } cond;
    struct { Expr *base; ExprVec args; } index;
    struct { Name callee; ArgVec args; } call;
    struct { Name op; BinderVec binders; Expr *body; } reduce;
    struct { bool is_probability; Expr *arg; } query; /* E[..] or P[..] */
  };
};

/* The left side of let and out, and the name of a declaration: `o[b, j in N]`. */
typedef struct Slot { bool is_binder; Binder binder; /* or, when not a binder, */ Name name; } Slot;
typedef VEC(Slot) SlotVec;
typedef struct Target { Name name; SlotVec slots; Span span; } Target;

typedef struct Decl {
  Target target;
  Name type;    /* real, int, graph, ...; sym 0: none written */
  ExprVec dims; /* empty: a scalar */
  Expr *init;   /* NULL: none */
  Span span;
} Decl;
typedef VEC(Decl) DeclVec;

typedef enum {
  STMT_ERROR,
  STMT_DATA, STMT_PARAM, STMT_LATENT,
  STMT_LET, STMT_DEF, STMT_FOR, STMT_EDGE,
  STMT_PRIOR, STMT_OBSERVE, STMT_POTENTIAL, STMT_REQUIRE,
  STMT_INFER, STMT_OUT,
} StmtKind;

typedef struct Stmt Stmt;
typedef VEC(Stmt *) StmtVec;

typedef struct Def { Name name; NameVec params; Expr *body; Span span; } Def;

struct Stmt {
  StmtKind kind;
  Span span;
  Span keyword; /* the first word */
  union {
    DeclVec decls;                                                   /* data, param, latent */
    struct { Target target; Expr *value; } assign;                   /* let, out */
    Def def;
    struct { BinderVec binders; StmtVec body; } loop;                /* for */
    struct { Name name; Domain domain; bool or_none; Expr *where; } edge; /* where may be NULL */
    struct { Expr *left; Name dist; ArgVec args; } draw;             /* prior, observe */
    Expr *weight;                                                    /* potential, require */
    struct { NameVec names; Name method; ArgVec args; } infer;
  };
};

typedef struct ModelDecl { Name name; NameVec sizes; StmtVec body; Span span; } ModelDecl;

typedef struct Item { bool is_def; Def def; ModelDecl model; } Item;

typedef struct File { VEC(Item) items; } File;

#endif
