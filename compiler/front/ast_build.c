/* ast_build: see ast_build.h. */
#include "front/ast_build.h"

#include "front/parse.h"

static Expr *leaf(Parse *p, Span span, ExprKind kind) {
  Expr *e = NEW(p->arena, Expr);
  e->kind = kind;
  e->span = span;
  e->depth = 1;
  return e;
}

static uint16_t deeper(uint16_t depth, const Expr *child) {
  return child && child->depth >= depth ? (uint16_t)(child->depth + 1) : depth;
}

/* Depth 0 marks the error node that an overlong chain leaves; nodes over it collapse into it. */
static bool is_cut(const Expr *e) { return e && e->kind == EXPR_ERROR && e->depth == 0; }

static Expr *cut(Parse *p, Span span) {
  Expr *e = leaf(p, span, EXPR_ERROR);
  e->depth = 0;
  return e;
}

/* `e` with its depth known; `at` is where a too deep one is reported. */
static Expr *grown(Parse *p, Span at, Expr *e, uint16_t depth) {
  e->depth = depth;
  if (depth <= PARSE_MAX_TREE) return e;
  Diag *d = parse_error(p, at, "this expression is more than %d operations deep", PARSE_MAX_TREE);
  if (d) diag_hint(p->diags, d, "write it with sum(..) or prod(..), or split it with 'let'");
  return cut(p, e->span);
}

Expr *ast_int(Parse *p, Span span, int64_t value) {
  Expr *e = leaf(p, span, EXPR_INT);
  e->integer = value;
  return e;
}

Expr *ast_real(Parse *p, Span span, double value) {
  Expr *e = leaf(p, span, EXPR_REAL);
  e->real = value;
  return e;
}

Expr *ast_word(Parse *p, Span span, ExprKind kind) { return leaf(p, span, kind); }

Expr *ast_name(Parse *p, Name name) {
  Expr *e = leaf(p, name.span, EXPR_NAME);
  e->name = name.sym;
  return e;
}

Expr *ast_unary(Parse *p, Span span, UnaryOp op, Expr *a) {
  if (is_cut(a)) return a;
  Expr *e = leaf(p, span, EXPR_UNARY);
  e->unary.op = op;
  e->unary.a = a;
  return grown(p, span, e, deeper(1, a));
}

Expr *ast_binary(Parse *p, Span op_span, BinaryOp op, Expr *a, Expr *b) {
  if (is_cut(a)) return a;
  if (is_cut(b)) return b;
  Expr *e = leaf(p, span_join(a->span, b->span), EXPR_BINARY);
  e->binary.op = op;
  e->binary.a = a;
  e->binary.b = b;
  return grown(p, op_span, e, deeper(deeper(1, a), b));
}

Expr *ast_if(Parse *p, Span span, Expr *cond, Expr *then, Expr *otherwise) {
  if (is_cut(cond) || is_cut(then) || is_cut(otherwise)) return cut(p, span);
  Expr *e = leaf(p, span, EXPR_IF);
  e->cond.cond = cond;
  e->cond.then = then;
  e->cond.otherwise = otherwise;
  return grown(p, span, e, deeper(deeper(deeper(1, cond), then), otherwise));
}

Expr *ast_index(Parse *p, Span span, Expr *base, ExprVec args) {
  if (is_cut(base)) return base;
  uint16_t depth = deeper(1, base);
  for (uint32_t i = 0; i < args.n; i++) {
    if (is_cut(args.at[i])) return cut(p, span);
    depth = deeper(depth, args.at[i]);
  }
  Expr *e = leaf(p, span, EXPR_INDEX);
  e->index.base = base;
  e->index.args = args;
  return grown(p, (Span){base->span.hi, span.hi}, e, depth);
}

Expr *ast_call(Parse *p, Span span, Name callee, ArgVec args) {
  uint16_t depth = 1;
  for (uint32_t i = 0; i < args.n; i++) {
    if (is_cut(args.at[i].value)) return cut(p, span);
    depth = deeper(depth, args.at[i].value);
  }
  Expr *e = leaf(p, span, EXPR_CALL);
  e->call.callee = callee;
  e->call.args = args;
  return grown(p, callee.span, e, depth);
}

Expr *ast_reduce(Parse *p, Span span, Name op, BinderVec binders, Expr *body) {
  if (is_cut(body)) return body;
  uint16_t depth = deeper(1, body);
  for (uint32_t i = 0; i < binders.n; i++) {
    Domain d = binders.at[i].domain;
    if (is_cut(d.lo) || is_cut(d.hi)) return cut(p, span);
    depth = deeper(deeper(depth, d.lo), d.hi);
  }
  Expr *e = leaf(p, span, EXPR_REDUCE);
  e->reduce.op = op;
  e->reduce.binders = binders;
  e->reduce.body = body;
  return grown(p, op.span, e, depth);
}

Expr *ast_query(Parse *p, Span span, bool is_probability, Expr *arg) {
  if (is_cut(arg)) return arg;
  Expr *e = leaf(p, span, EXPR_QUERY);
  e->query.is_probability = is_probability;
  e->query.arg = arg;
  return grown(p, span, e, deeper(1, arg));
}

Expr *ast_parens(Span span, Expr *inner) {
  inner->parenthesised = true;
  inner->span = span;
  return inner;
}

Binder *ast_binder(Parse *p, Span span, Name name, Domain domain) {
  Binder *b = NEW(p->arena, Binder);
  *b = (Binder){name, domain, span};
  return b;
}

Target *ast_target(Parse *p, Span span, Name name, SlotVec slots) {
  Target *t = NEW(p->arena, Target);
  *t = (Target){name, slots, span};
  return t;
}

Decl *ast_decl(Parse *p, Span span, Target *target, Name type, ExprVec dims, Expr *init) {
  Decl *d = NEW(p->arena, Decl);
  *d = (Decl){*target, type, dims, init, span};
  return d;
}

Def *ast_def(Parse *p, Span span, Name name, NameVec params, Expr *body) {
  Def *d = NEW(p->arena, Def);
  *d = (Def){name, params, body, span};
  return d;
}

Item *ast_model(Parse *p, Span span, Name name, NameVec sizes, StmtVec body) {
  Item *item = NEW(p->arena, Item);
  item->model = (ModelDecl){name, sizes, body, span};
  return item;
}

Item *ast_def_item(Parse *p, Def *def) {
  Item *item = NEW(p->arena, Item);
  item->is_def = true;
  item->def = *def;
  return item;
}

Stmt *ast_stmt(Parse *p, Span span, Span keyword, StmtKind kind) {
  Stmt *s = NEW(p->arena, Stmt);
  s->kind = kind;
  s->span = span;
  s->keyword = keyword;
  return s;
}

Stmt *ast_decls(Parse *p, Span span, Span keyword, StmtKind kind, DeclVec decls) {
  Stmt *s = ast_stmt(p, span, keyword, kind);
  s->decls = decls;
  return s;
}

Stmt *ast_assign(Parse *p, Span span, Span keyword, StmtKind kind, Target *target, Expr *value) {
  Stmt *s = ast_stmt(p, span, keyword, kind);
  s->assign.target = *target;
  s->assign.value = value;
  return s;
}

Stmt *ast_for(Parse *p, Span span, Span keyword, BinderVec binders, StmtVec body) {
  Stmt *s = ast_stmt(p, span, keyword, STMT_FOR);
  s->loop.binders = binders;
  s->loop.body = body;
  return s;
}

Stmt *ast_edge(Parse *p, Span span, Span keyword, Name name, Domain domain, bool or_none, Expr *where) {
  Stmt *s = ast_stmt(p, span, keyword, STMT_EDGE);
  s->edge.name = name;
  s->edge.domain = domain;
  s->edge.or_none = or_none;
  s->edge.where = where;
  return s;
}

Stmt *ast_draw(Parse *p, Span span, Span keyword, StmtKind kind, Expr *left, Name dist, ArgVec args) {
  Stmt *s = ast_stmt(p, span, keyword, kind);
  s->draw.left = left;
  s->draw.dist = dist;
  s->draw.args = args;
  return s;
}

Stmt *ast_weight(Parse *p, Span span, Span keyword, StmtKind kind, Expr *weight) {
  Stmt *s = ast_stmt(p, span, keyword, kind);
  s->weight = weight;
  return s;
}

Stmt *ast_infer(Parse *p, Span span, Span keyword, NameVec names, Name method, ArgVec args) {
  Stmt *s = ast_stmt(p, span, keyword, STMT_INFER);
  s->infer.names = names;
  s->infer.method = method;
  s->infer.args = args;
  return s;
}
