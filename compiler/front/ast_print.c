/* ast_print: see ast_print.h.  Absent parts print as `-`, lists as ( ... ). */
#include "front/ast_print.h"

#include <inttypes.h>

typedef struct Printer { const Interner *names; FILE *to; } Printer;

static void put(Printer *o, const char *text) { fputs(text, o->to); }
static void put_name(Printer *o, Name n) { put(o, n.sym ? sym_text(o->names, n.sym) : "-"); }

static const char *binary_text(BinaryOp op) {
  switch (op) {
  case BINARY_ADD: return "+";
  case BINARY_SUB: return "-";
  case BINARY_MUL: return "*";
  case BINARY_DIV: return "/";
  case BINARY_FLOORDIV: return "//";
  case BINARY_MOD: return "%";
  case BINARY_POW: return "^";
  case BINARY_EQ: return "==";
  case BINARY_NE: return "!=";
  case BINARY_LT: return "<";
  case BINARY_LE: return "<=";
  case BINARY_GT: return ">";
  case BINARY_GE: return ">=";
  case BINARY_AND: return "and";
  case BINARY_OR: return "or";
  }
  return "?";
}

static void put_expr(Printer *o, const Expr *e);

static void put_domain(Printer *o, Domain d) {
  if (!d.hi) {
    put_expr(o, d.lo);
    return;
  }
  put(o, "(.. ");
  put_expr(o, d.lo);
  put(o, " ");
  put_expr(o, d.hi);
  put(o, ")");
}

static void put_binder(Printer *o, const Binder *b) {
  put(o, "(in ");
  put_name(o, b->name);
  put(o, " ");
  put_domain(o, b->domain);
  put(o, ")");
}

static void put_binders(Printer *o, const BinderVec *v) {
  put(o, "(");
  for (uint32_t i = 0; i < v->n; i++) {
    if (i) put(o, " ");
    put_binder(o, &v->at[i]);
  }
  put(o, ")");
}

static void put_args(Printer *o, const ArgVec *v) {
  for (uint32_t i = 0; i < v->n; i++) {
    put(o, " ");
    if (v->at[i].name.sym) {
      put(o, "(= ");
      put_name(o, v->at[i].name);
      put(o, " ");
    }
    put_expr(o, v->at[i].value);
    if (v->at[i].name.sym) put(o, ")");
  }
}

static void put_exprs(Printer *o, const ExprVec *v) {
  for (uint32_t i = 0; i < v->n; i++) {
    put(o, " ");
    put_expr(o, v->at[i]);
  }
}

static void put_parts(Printer *o, const char *head, const Expr *a, const Expr *b, const Expr *c) {
  put(o, "(");
  put(o, head);
  for (int i = 0; i < 3; i++) {
    const Expr *part = i == 0 ? a : i == 1 ? b : c;
    if (!part) continue;
    put(o, " ");
    put_expr(o, part);
  }
  put(o, ")");
}

/* 17 digits tell any two reals apart; a real never looks like an integer. */
static void put_real(Printer *o, double x) {
  char text[40];
  int n = snprintf(text, sizeof text, "%.17g", x);
  for (int i = 0; i < n; i++)
    if (text[i] == ',') text[i] = '.';
  put(o, text);
  if (!strpbrk(text, ".en")) put(o, ".0");
}

static void put_expr(Printer *o, const Expr *e) {
  switch (e->kind) {
  case EXPR_ERROR: put(o, "<error>"); return;
  case EXPR_INT: fprintf(o->to, "%" PRId64, e->integer); return;
  case EXPR_REAL: put_real(o, e->real); return;
  case EXPR_TRUE: put(o, "true"); return;
  case EXPR_FALSE: put(o, "false"); return;
  case EXPR_NONE: put(o, "none"); return;
  case EXPR_NAME: put(o, sym_text(o->names, e->name)); return;
  case EXPR_UNARY: put_parts(o, e->unary.op == UNARY_NEG ? "neg" : "not", e->unary.a, NULL, NULL); return;
  case EXPR_BINARY: put_parts(o, binary_text(e->binary.op), e->binary.a, e->binary.b, NULL); return;
  case EXPR_IF: put_parts(o, "if", e->cond.cond, e->cond.then, e->cond.otherwise); return;
  case EXPR_QUERY: put_parts(o, e->query.is_probability ? "P" : "E", e->query.arg, NULL, NULL); return;
  case EXPR_INDEX:
    put(o, "(index ");
    put_expr(o, e->index.base);
    put_exprs(o, &e->index.args);
    put(o, ")");
    return;
  case EXPR_CALL:
    put(o, "(call ");
    put_name(o, e->call.callee);
    put_args(o, &e->call.args);
    put(o, ")");
    return;
  case EXPR_REDUCE:
    put(o, "(reduce ");
    put_name(o, e->reduce.op);
    put(o, " ");
    put_binders(o, &e->reduce.binders);
    put(o, " ");
    put_expr(o, e->reduce.body);
    put(o, ")");
    return;
  }
}

static void put_target(Printer *o, const Target *t) {
  put(o, "(");
  put_name(o, t->name);
  for (uint32_t i = 0; i < t->slots.n; i++) {
    put(o, " ");
    if (t->slots.at[i].is_binder) put_binder(o, &t->slots.at[i].binder);
    else put_name(o, t->slots.at[i].name);
  }
  put(o, ")");
}

static void put_decl(Printer *o, const Decl *d) {
  put(o, " (");
  put_target(o, &d->target);
  put(o, " ");
  put_name(o, d->type);
  put(o, " (dims");
  put_exprs(o, &d->dims);
  put(o, ")");
  if (d->init) {
    put(o, " ");
    put_expr(o, d->init);
  }
  put(o, ")");
}

static void put_names(Printer *o, const NameVec *v) {
  put(o, "(");
  for (uint32_t i = 0; i < v->n; i++) {
    if (i) put(o, " ");
    put_name(o, v->at[i]);
  }
  put(o, ")");
}

static void put_def(Printer *o, const Def *d) {
  put(o, "(def ");
  put_name(o, d->name);
  put(o, " ");
  put_names(o, &d->params);
  put(o, " ");
  put_expr(o, d->body);
  put(o, ")");
}

static const char *stmt_word(StmtKind k) {
  switch (k) {
  case STMT_ERROR: return "error";
  case STMT_DATA: return "data";
  case STMT_PARAM: return "param";
  case STMT_LATENT: return "latent";
  case STMT_LET: return "let";
  case STMT_DEF: return "def";
  case STMT_FOR: return "for";
  case STMT_EDGE: return "edge";
  case STMT_PRIOR: return "prior";
  case STMT_OBSERVE: return "observe";
  case STMT_POTENTIAL: return "potential";
  case STMT_REQUIRE: return "require";
  case STMT_INFER: return "infer";
  case STMT_OUT: return "out";
  }
  return "?";
}

static void put_stmts(Printer *o, const StmtVec *v, int indent);

static void put_edge(Printer *o, const Stmt *s) {
  put(o, " ");
  put_name(o, s->edge.name);
  put(o, " ");
  put_domain(o, s->edge.domain);
  if (s->edge.or_none) put(o, " or-none");
}

static void put_where(Printer *o, const Expr *where) {
  if (!where) return;
  put(o, " ");
  put_parts(o, "where", where, NULL, NULL);
}

static void put_fields(Printer *o, const Stmt *s, int indent) {
  switch (s->kind) {
  case STMT_ERROR: case STMT_DEF: return;
  case STMT_DATA: case STMT_PARAM: case STMT_LATENT:
    for (uint32_t i = 0; i < s->decls.n; i++) put_decl(o, &s->decls.at[i]);
    return;
  case STMT_LET: case STMT_OUT:
    put(o, " ");
    put_target(o, &s->assign.target);
    put(o, " ");
    put_expr(o, s->assign.value);
    return;
  case STMT_FOR:
    put(o, " ");
    put_binders(o, &s->loop.binders);
    put_stmts(o, &s->loop.body, indent + 2);
    return;
  case STMT_EDGE: put_edge(o, s); put_where(o, s->edge.where); return;
  case STMT_PRIOR: case STMT_OBSERVE:
    put(o, " ");
    put_expr(o, s->draw.left);
    put(o, " (");
    put_name(o, s->draw.dist);
    put_args(o, &s->draw.args);
    put(o, ")");
    return;
  case STMT_POTENTIAL: case STMT_REQUIRE:
    put(o, " ");
    put_expr(o, s->weight);
    return;
  case STMT_INFER:
    put(o, " ");
    put_names(o, &s->infer.names);
    put(o, " (");
    put_name(o, s->infer.method);
    put_args(o, &s->infer.args);
    put(o, ")");
    return;
  }
}

static void put_stmts(Printer *o, const StmtVec *v, int indent) {
  for (uint32_t i = 0; i < v->n; i++) {
    fprintf(o->to, "\n%*s", indent, "");
    if (v->at[i]->kind == STMT_DEF) {
      put_def(o, &v->at[i]->def);
      continue;
    }
    put(o, "(");
    put(o, stmt_word(v->at[i]->kind));
    put_fields(o, v->at[i], indent);
    put(o, ")");
  }
}

void ast_print(const File *file, const Interner *names, FILE *to) {
  Printer o = {names, to};
  for (uint32_t i = 0; i < file->items.n; i++) {
    const Item *item = &file->items.at[i];
    if (item->is_def) {
      put_def(&o, &item->def);
    } else {
      put(&o, "(model ");
      put_name(&o, item->model.name);
      put(&o, " ");
      put_names(&o, &item->model.sizes);
      put_stmts(&o, &item->model.body, 2);
      put(&o, ")");
    }
    put(&o, "\n");
  }
}
