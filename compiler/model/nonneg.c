/* nonneg: which terms are provably >= 0 (or NaN), by the shape of the term alone.
 *
 * Law: a flagged term never evaluates below 0.  Only flagged summands may be summed in log space or in
 * another order; the rule is syntactic so that a user can tell from the text of a weight what will be
 * done with it.  The test looks one level down: the flags of the parts are already known. */
#include "model/term.h"

static bool all_parts(const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!t->args.at[i]->nonnegative) return false;
  return t->args.n > 0;
}

static bool literal_at_least(const Term *t, double bound) {
  return (t->kind == TERM_REAL && t->real >= bound) || (t->kind == TERM_INT && (double)t->integer >= bound);
}

static bool is_op(const Term *t, OpKind op) { return t->kind == TERM_OP && t->op == op; }

/* elu is above -1, as are tanh, sin, cos and expm1. */
static bool above_minus_one(const Term *t) {
  return is_op(t, OP_ELU) || is_op(t, OP_TANH) || is_op(t, OP_SIN) || is_op(t, OP_COS) || is_op(t, OP_EXPM1);
}

static bool sum_nonnegative(const Term *x, const Term *y) {
  return (x->nonnegative && y->nonnegative) || (above_minus_one(x) && literal_at_least(y, 1)) ||
         (above_minus_one(y) && literal_at_least(x, 1));
}

/* Even literal powers of anything; any power of a non-negative base. */
static bool power_nonnegative(const Term *x, const Term *y) {
  if (x->nonnegative) return true;
  if (y->kind == TERM_INT) return y->integer % 2 == 0;
  return y->kind == TERM_REAL && y->real == (double)(int64_t)(y->real > -1e9 && y->real < 1e9 ? y->real : 0.5) &&
         (int64_t)y->real % 2 == 0;
}

static bool op_nonnegative(const Term *t) {
  const Term *x = t->args.n > 0 ? t->args.at[0] : NULL, *y = t->args.n > 1 ? t->args.at[1] : NULL;
  switch (t->op) {
    case OP_EXP: case OP_SQRT: case OP_SQ: case OP_SIGMOID: case OP_SOFTPLUS: case OP_RELU: case OP_ABS: case OP_RANDOM:
      return true;
    case OP_ADD: return sum_nonnegative(x, y);
    case OP_MUL: return (x->nonnegative && y->nonnegative) || x == y;
    case OP_DIV: case OP_FLOORDIV: case OP_MIN: return all_parts(t);
    case OP_MOD: return y->nonnegative;
    case OP_MAX: return x->nonnegative || y->nonnegative;
    case OP_CLAMP: return y->nonnegative && t->args.at[2]->nonnegative;
    case OP_POW: return power_nonnegative(x, y);
    case OP_TO_REAL: return x->type == TYPE_BOOL || x->nonnegative;
    case OP_LEAKY_RELU: case OP_LOG1P: case OP_EXPM1: case OP_TANH: case OP_ERF: case OP_SIGN: case OP_FLOOR:
    case OP_CEIL: case OP_ROUND: return x->nonnegative;
    case OP_ELU: case OP_GELU: return x->nonnegative;
    case OP_SUB: case OP_NEG: case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE: case OP_AND:
    case OP_OR: case OP_NOT: case OP_LOG: case OP_SIN: case OP_COS: case OP_LGAMMA: case OP_DIGAMMA: case OP_COUNT_:
      return false;
  }
  return false;
}

static bool range_nonnegative(const Range *r) { return r->kind == RANGE_ROW || (r->lo && r->lo->nonnegative); }

static bool query_nonnegative(const Term *t) {
  switch (t->query) {
    case QUERY_P: case QUERY_COUNT: case QUERY_ENTROPY: case QUERY_SHARE: return true;
    case QUERY_E: return all_parts(t);
    case QUERY_MODE: case QUERY_SAMPLE: case QUERY_LOGZ: case QUERY_KL: case QUERY_ELBO: case QUERY_PARAM: return false;
  }
  return false;
}

/* A leaky slope or a max over nothing may be negative: only sums, products and minima of parts are safe. */
static bool reduce_nonnegative(const Term *t) { return t->reduce != REDUCE_MAX && all_parts(t); }

bool term_is_nonnegative(const Term *t) {
  switch (t->kind) {
    case TERM_INT: case TERM_REAL: return literal_at_least(t, 0);
    case TERM_SIZE: return true;
    case TERM_INDEX: return t->index->role == INDEX_AXIS || range_nonnegative(&t->index->range);
    case TERM_EDGE: return t->edge->domain != DOMAIN_RANGE || range_nonnegative(&t->edge->range);
    case TERM_OP: return op_nonnegative(t);
    case TERM_IF: return t->args.at[1]->nonnegative && t->args.at[2]->nonnegative;
    case TERM_REDUCE: return reduce_nonnegative(t);
    case TERM_QUERY: return query_nonnegative(t);
    case TERM_LET: return t->let->value && t->let->value->nonnegative;
    case TERM_BOOL: case TERM_NONE: case TERM_INPUT: case TERM_LATENT: return false;
  }
  return false;
}
