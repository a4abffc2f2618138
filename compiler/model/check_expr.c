/* check_expr: operators, conditions and literals; types and shapes of both sides.
 *
 * Integers stay integers as long as the language says so; where one meets a real it is converted, once
 * and visibly (TO_REAL).  Conditions never turn into numbers by themselves. */
#include "model/checker.h"

static const char *const BINARY_TEXT[] = {
  [BINARY_ADD] = "+", [BINARY_SUB] = "-", [BINARY_MUL] = "*", [BINARY_DIV] = "/", [BINARY_FLOORDIV] = "//",
  [BINARY_MOD] = "%", [BINARY_POW] = "^", [BINARY_EQ] = "==", [BINARY_NE] = "!=", [BINARY_LT] = "<",
  [BINARY_LE] = "<=", [BINARY_GT] = ">", [BINARY_GE] = ">=", [BINARY_AND] = "and", [BINARY_OR] = "or",
};

static const OpKind BINARY_OP[] = {
  [BINARY_ADD] = OP_ADD, [BINARY_SUB] = OP_SUB, [BINARY_MUL] = OP_MUL, [BINARY_DIV] = OP_DIV,
  [BINARY_FLOORDIV] = OP_FLOORDIV, [BINARY_MOD] = OP_MOD, [BINARY_POW] = OP_POW, [BINARY_EQ] = OP_EQ,
  [BINARY_NE] = OP_NE, [BINARY_LT] = OP_LT, [BINARY_LE] = OP_LE, [BINARY_GT] = OP_GT, [BINARY_GE] = OP_GE,
  [BINARY_AND] = OP_AND, [BINARY_OR] = OP_OR,
};

static bool refuse_none(Checker *c, const Value *v) {
  if (!is_none(v)) return false;
  Diag *d = diag_error(c->diags, v->span, "'none' stands only in 'EDGE == none' and 'EDGE != none'");
  diag_hint(c->diags, d, "an expression indexed by an edge that is none is 0 in a query, and its weight is 1");
  return true;
}

static bool need_number(Checker *c, const Value *v, const char *what) {
  if (refuse_none(c, v)) return false;
  if (is_numeric(v)) return true;
  Diag *d = diag_error(c->diags, v->span, "%s must be a number; found a condition (bool)", what);
  diag_hint(c->diags, d, "write 'if ... then 1 else 0'");
  return false;
}

static bool need_condition(Checker *c, const Value *v, const char *what) {
  if (refuse_none(c, v)) return false;
  if (v->type == TYPE_BOOL) return true;
  Diag *d = diag_error(c->diags, v->span, "%s must be true or false (bool); found %s", what, type_words(v->type));
  bool bit = v->kind == VALUE_TERM && v->term->kind == TERM_EDGE && v->term->edge->domain == DOMAIN_BIT;
  if (bit) diag_hint(c->diags, d, "a bit is 0 or 1: write '%s == 1'", name_text(c, v->term->edge->name));
  return false;
}

static bool need_scalar(Checker *c, const Value *v, const char *what) {
  if (!v->rank) return true;
  Diag *d = diag_error(c->diags, v->span, "%s must be a scalar; found shape %s", what, value_shape_text(c, v));
  if (v->type == TYPE_REAL)
    diag_hint(c->diags, d, "give its trailing indices, or take sum(..), dot(.., ..) or norm(..) of it");
  return false;
}

static bool shapes_agree(Checker *c, const Value *a, const Value *b, const char *op, Span span) {
  if (!a->rank || !b->rank || value_same_shape(c, a, b)) return true;
  Diag *d = diag_error(c->diags, span, "'%s' of shapes %s and %s; expected equal shapes, or a scalar with a vector", op,
                       value_shape_text(c, a), value_shape_text(c, b));
  if (a->rank == b->rank) diag_hint(c->diags, d, "sizes of different names differ, whatever values they are bound to");
  return false;
}

/* ---- arithmetic --------------------------------------------------------------------------------- */

static Value *real_op(Checker *c, OpKind op, Value *a, Value *b, Span span) {
  Value *args[2] = {value_to_real(c, a), value_to_real(c, b)};
  return value_op(c, op, TYPE_REAL, args, 2, span);
}

static Value *integer_op(Checker *c, OpKind op, Value *a, Value *b, Span span) {
  Value *args[2] = {a, b};
  return value_op(c, op, TYPE_INT, args, 2, span);
}

static Value *floor_division(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  Value *real = a->type != TYPE_INT ? a : b->type != TYPE_INT ? b : NULL;
  if (!real) return integer_op(c, BINARY_OP[op], a, b, span);
  Diag *d = diag_error(c->diags, real->span, "'%s' is of integers; found a real number", BINARY_TEXT[op]);
  if (op == BINARY_FLOORDIV) diag_hint(c->diags, d, "write floor(a / b)");
  return &c->poison;
}

static bool is_natural_literal(const Value *v) {
  return v->kind == VALUE_TERM && v->term->kind == TERM_INT && v->term->integer >= 0;
}

static Value *arithmetic(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  const char *what = arena_printf(c->arena, "an operand of '%s'", BINARY_TEXT[op]);
  bool left = need_number(c, a, what), right = need_number(c, b, what);
  if (!left || !right || !shapes_agree(c, a, b, BINARY_TEXT[op], span)) return &c->poison;
  bool ints = a->type == TYPE_INT && b->type == TYPE_INT;
  if (op == BINARY_FLOORDIV || op == BINARY_MOD) return floor_division(c, op, a, b, span);
  if (op == BINARY_POW) ints = ints && is_natural_literal(b);
  if (op == BINARY_DIV) ints = false;
  return ints ? integer_op(c, BINARY_OP[op], a, b, span) : real_op(c, BINARY_OP[op], a, b, span);
}

/* ---- comparisons and logic ---------------------------------------------------------------------- */

static bool is_edge(const Value *v) { return v->kind == VALUE_TERM && v->term->kind == TERM_EDGE; }

static Value *compare_none(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  Value *other = is_none(a) ? b : a;
  if ((op == BINARY_EQ || op == BINARY_NE) && is_edge(other))
    return value_term(c, term_op2(c->arena, BINARY_OP[op], other->term, (is_none(a) ? a : b)->term, span));
  Diag *d = diag_error(c->diags, span, "'none' is compared only with an edge, by '==' or '!='");
  if (is_edge(other)) diag_hint(c->diags, d, "every other comparison with none is false");
  return &c->poison;
}

static bool comparable(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  if (a->rank || b->rank) return need_scalar(c, a->rank ? a : b, "a side of a comparison");
  if (is_numeric(a) != is_numeric(b)) {
    diag_error(c->diags, span, "'%s' compares %s with %s", BINARY_TEXT[op], type_words(a->type), type_words(b->type));
    return false;
  }
  if (!is_numeric(a) && op != BINARY_EQ && op != BINARY_NE) {
    diag_error(c->diags, span, "'%s' orders numbers; found conditions (bool)", BINARY_TEXT[op]);
    return false;
  }
  bool equality = op == BINARY_EQ || op == BINARY_NE;
  if (equality && ((is_edge(a) && b->type == TYPE_REAL) || (is_edge(b) && a->type == TYPE_REAL))) {
    Diag *d =
        diag_error(c->diags, span, "'%s' compares an edge, which is an index, with a real number", BINARY_TEXT[op]);
    diag_hint(c->diags, d, "compare it with an integer, or use 'int' data");
    return false;
  }
  return true;
}

static Value *comparison(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  if (is_none(a) || is_none(b)) return compare_none(c, op, a, b, span);
  if (!comparable(c, op, a, b, span)) return &c->poison;
  if (a->type != b->type) a = value_to_real(c, a), b = value_to_real(c, b);
  if (is_poison(a) || is_poison(b)) return &c->poison;
  return value_term(c, term_op2(c->arena, BINARY_OP[op], a->term, b->term, span));
}

static Value *logic(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  const char *what = arena_printf(c->arena, "an operand of '%s'", BINARY_TEXT[op]);
  bool left = need_condition(c, a, what) && need_scalar(c, a, what);
  bool right = need_condition(c, b, what) && need_scalar(c, b, what);
  if (!left || !right) return &c->poison;
  return value_term(c, term_op2(c->arena, BINARY_OP[op], a->term, b->term, span));
}

Value *elab_binary(Checker *c, BinaryOp op, Value *a, Value *b, Span span) {
  if (is_poison(a) || is_poison(b)) return &c->poison;
  switch (op) {
  case BINARY_ADD: case BINARY_SUB: case BINARY_MUL: case BINARY_DIV: case BINARY_FLOORDIV: case BINARY_MOD:
  case BINARY_POW: return arithmetic(c, op, a, b, span);
  case BINARY_EQ: case BINARY_NE: case BINARY_LT: case BINARY_LE: case BINARY_GT: case BINARY_GE:
    return comparison(c, op, a, b, span);
  case BINARY_AND:
  case BINARY_OR: return logic(c, op, a, b, span);
  }
  return &c->poison;
}

/* Chains such as x + x + ... nest to the left without brackets, thousands deep: walked by a loop. */
static Value *binary(Checker *c, const Expr *e) {
  VEC(const Expr *) spine = {0};
  for (; e->kind == EXPR_BINARY; e = e->binary.a) {
    warn_division(c, e);
    vec_push(c->arena, &spine, e);
  }
  Value *v = elab(c, e);
  for (uint32_t i = spine.n; i-- > 0;) {
    Value *right = elab(c, spine.at[i]->binary.b);
    v = elab_binary(c, spine.at[i]->binary.op, v, right, spine.at[i]->span);
  }
  return v;
}

static Value *unary(Checker *c, const Expr *e) {
  Value *v = elab(c, e->unary.a);
  if (is_poison(v)) return v;
  if (e->unary.op == UNARY_NOT) {
    if (!need_condition(c, v, "the operand of 'not'") || !need_scalar(c, v, "the operand of 'not'")) return &c->poison;
    return value_op(c, OP_NOT, TYPE_BOOL, &v, 1, e->span);
  }
  if (!need_number(c, v, "the operand of '-'")) return &c->poison;
  return value_op(c, OP_NEG, v->type, &v, 1, e->span);
}

/* ---- if ----------------------------------------------------------------------------------------- */

static bool branches_agree(Checker *c, const Value *a, const Value *b, Span span) {
  if (refuse_none(c, a) || refuse_none(c, b)) return false;
  if (is_numeric(a) != is_numeric(b)) {
    diag_error(c->diags, span, "the two sides of 'if' differ: 'then' gives %s, 'else' %s", type_words(a->type),
               type_words(b->type));
    return false;
  }
  return shapes_agree(c, a, b, "if", span);
}

static Value *conditional(Checker *c, const Expr *e) {
  Value *cond = elab(c, e->cond.cond), *a = elab(c, e->cond.then), *b = elab(c, e->cond.otherwise);
  if (is_poison(cond) || is_poison(a) || is_poison(b)) return &c->poison;
  if (!need_condition(c, cond, "the condition of 'if'") || !need_scalar(c, cond, "the condition of 'if'"))
    return &c->poison;
  if (!branches_agree(c, a, b, e->span)) return &c->poison;
  if (a->type != b->type) a = value_to_real(c, a), b = value_to_real(c, b);
  if (is_poison(a) || is_poison(b)) return &c->poison;
  if (!a->rank && !b->rank) return value_term(c, term_if(c->arena, cond->term, a->term, b->term, e->span));
  Value *v = value_of_kind(c, VALUE_IF, a->type, a->rank ? a : b, e->span);
  vec_push(c->arena, &v->args, cond);
  vec_push(c->arena, &v->args, a);
  vec_push(c->arena, &v->args, b);
  return v;
}

/* ---- expressions -------------------------------------------------------------------------------- */

static Value *elab_kind(Checker *c, const Expr *e) {
  switch (e->kind) {
    case EXPR_ERROR: return &c->poison;
    case EXPR_INT: return value_term(c, term_int(c->arena, e->integer, e->span));
    case EXPR_REAL: return value_term(c, term_real(c->arena, e->real, e->span));
    case EXPR_TRUE: case EXPR_FALSE: return value_term(c, term_bool(c->arena, e->kind == EXPR_TRUE, e->span));
    case EXPR_NONE: return value_term(c, term_none(c->arena, e->span));
    case EXPR_NAME: return elab_name(c, (Name){e->name, e->span}, e->span);
    case EXPR_UNARY: return unary(c, e);
    case EXPR_BINARY: return binary(c, e);
    case EXPR_IF: return conditional(c, e);
    case EXPR_INDEX: return elab_element(c, e);
    case EXPR_CALL: return elab_call(c, e);
    case EXPR_REDUCE: return elab_reduce(c, e);
    case EXPR_QUERY: return elab_query(c, e);
  }
  return &c->poison;
}

Value *elab(Checker *c, const Expr *e) {
  if (!spend_terms(c, 1)) return &c->poison;
  Value *v = enter_level(c) ? elab_kind(c, e) : &c->poison;
  leave_level(c);
  return v;
}

Value *elab_number(Checker *c, const Expr *e, const char *what) {
  Value *v = elab(c, e);
  return !is_poison(v) && need_number(c, v, what) ? v : &c->poison;
}

static Term *scalar_number(Checker *c, Value *v, ScalarType type, const char *what) {
  if (!need_number(c, v, what) || !need_scalar(c, v, what)) return NULL;
  if (type == TYPE_REAL) return term_to_real(c->arena, v->term);
  if (v->type == TYPE_INT) return v->term;
  Diag *d = diag_error(c->diags, v->span, "%s must be an integer; found a real number", what);
  if (v->term->kind == TERM_INPUT) {
    diag_note(c->diags, d, v->term->input->span, "declared here; 'int' would make it integers");
  } else if (v->term->kind == TERM_OP && v->term->op == OP_DIV) {
    diag_hint(c->diags, d, "'/' is always real: '//' divides integers");
  }
  return NULL;
}

Term *scalar_of(Checker *c, Value *v, ScalarType type, const char *what) {
  if (is_poison(v)) return NULL;
  if (type != TYPE_BOOL) return scalar_number(c, v, type, what);
  return need_condition(c, v, what) && need_scalar(c, v, what) ? v->term : NULL;
}

Term *scalar_int(Checker *c, const Expr *e, const char *what) { return scalar_of(c, elab(c, e), TYPE_INT, what); }
Term *scalar_real(Checker *c, const Expr *e, const char *what) { return scalar_of(c, elab(c, e), TYPE_REAL, what); }
Term *scalar_bool(Checker *c, const Expr *e, const char *what) { return scalar_of(c, elab(c, e), TYPE_BOOL, what); }
