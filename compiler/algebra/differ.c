/* differ: the derivative of a log weight by every reference to a latent in it.
 *
 * Walked from the root down with the derivative of the whole by the part (reverse accumulation): a reference z[a] met
 * under sums over i with the derivative c contributes the monomial  sum_i c z[a], whose statistic for a component z[t]
 * is sum_i c 1(a = t).  Where a function has a kink the side is that of the value: relu' (0) = 0, |x|' = sign x; the
 * larger of two equals is the second.  A log is followed into its argument: a part of a sum by its share, of logs. */
#include "algebra/algebra.h"

typedef struct Walk {
  Model *m;
  Monomials *to;
  Obstacle *why;
} Walk;

typedef struct At {
  IndexVec sums;
  Term *cond;
} At; /* what stands around */

static bool walk(Walk *w, Term *t, Term *by, const At *at);

static Term *num(const Walk *w, double v, const Term *like) { return term_real(w->m->arena, v, like->span); }
static Term *op1(const Walk *w, OpKind op, Term *x) { return term_op1(w->m->arena, op, x, x->span); }
static Term *op2(const Walk *w, OpKind op, Term *x, Term *y) { return term_op2(w->m->arena, op, x, y, x->span); }
static Term *times(const Walk *w, Term *x, Term *y) { return make_product(w->m->arena, x, y); }
static Term *over(const Walk *w, Term *x, Term *y) { return make_quotient(w->m->arena, x, y); }

static Term *where(const Walk *w, Term *cond, Term *yes, Term *no) {
  return term_if(w->m->arena, cond, yes, no, cond->span);
}

static bool fail(Walk *w, const Term *t, const char *text) {
  if (!w->why->text) *w->why = (Obstacle){t->span, text};
  return false;
}

/* Of what is never negative 0 is the least, where its own slope is 0: so is that of |x|, a square's root, at x = 0. */
static Term *slope_of_root(const Walk *w, Term *root) {
  Term *s = over(w, num(w, 0.5, root), root), *none = num(w, 0, root);
  return root->args.at[0]->nonnegative ? where(w, op2(w, OP_NE, root, none), s, none) : s;
}

/* d f(x) / dx for a function of one argument; NULL: none known. */
static Term *slope(const Walk *w, Term *t) {
  Term *x = t->args.at[0], *one = num(w, 1, t);
  switch ((int)t->op) {
  case OP_NEG: return num(w, -1, t);
  case OP_EXP: return t;
  case OP_LOG1P: return over(w, one, op2(w, OP_ADD, one, x));
  case OP_EXPM1: return op1(w, OP_EXP, x);
  case OP_SQRT: return slope_of_root(w, t);
  case OP_SQ: return times(w, num(w, 2, t), x);
  case OP_TANH: return op2(w, OP_SUB, one, op1(w, OP_SQ, t));
  case OP_SIGMOID: return times(w, t, op2(w, OP_SUB, one, t));
  case OP_SOFTPLUS: return op1(w, OP_SIGMOID, x);
  case OP_RELU: return where(w, op2(w, OP_GT, x, num(w, 0, t)), one, num(w, 0, t));
  case OP_LEAKY_RELU: return where(w, op2(w, OP_GT, x, num(w, 0, t)), one, t->args.at[1]);
  case OP_ELU: return where(w, op2(w, OP_GT, x, num(w, 0, t)), one, op1(w, OP_EXP, x));
  case OP_GELU: { /* Phi(x) + x phi(x) */
    Term *half =
        times(w, num(w, 0.5, t), op2(w, OP_ADD, one, op1(w, OP_ERF, times(w, num(w, 0.70710678118654752440, t), x))));
    Term *bell =
        times(w, num(w, 0.39894228040143267794, t), op1(w, OP_EXP, times(w, num(w, -0.5, t), op1(w, OP_SQ, x))));
    return op2(w, OP_ADD, half, times(w, x, bell));
  }
  case OP_SIN: return op1(w, OP_COS, x);
  case OP_COS: return op1(w, OP_NEG, op1(w, OP_SIN, x));
  case OP_ABS: return op1(w, OP_SIGN, x);
  case OP_ERF: return times(w, num(w, 1.12837916709551257390, t), op1(w, OP_EXP, op1(w, OP_NEG, op1(w, OP_SQ, x))));
  case OP_LGAMMA: return op1(w, OP_DIGAMMA, x);
  case OP_TO_REAL:
  case OP_SIGN:
  case OP_FLOOR:
  case OP_CEIL:
  case OP_ROUND: return num(w, 0, t);
  case OP_CLAMP: {
    Term *inside = op2(w, OP_AND, op2(w, OP_GT, x, t->args.at[1]), op2(w, OP_LT, x, t->args.at[2]));
    return where(w, inside, one, num(w, 0, t));
  }
  }
  return NULL;
}

/* The product over the other values of the index. */
static Term *others_of(const Walk *w, Term *t, Index *index) {
  Index *i;
  Term *body = open_reduce(w->m, t, &i);
  Term *same = op2(w, OP_EQ, term_index(w->m->arena, i, t->span), term_index(w->m->arena, index, t->span));
  return term_reduce(w->m->arena, REDUCE_PROD, i, where(w, same, num(w, 1, t), body), t->span);
}

static bool range_moves(const Term *t) {
  const Range *r = &t->index->range;
  return (r->lo && has_variable(r->lo)) || (r->hi && has_variable(r->hi)) || (r->row && has_variable(r->row));
}

/* The same place, to stand in one more sum. */
static At within(const Walk *w, const At *at) {
  At inner = {.cond = at->cond};
  for (uint32_t i = 0; i < at->sums.n; i++) vec_push(w->m->arena, &inner.sums, at->sums.at[i]);
  return inner;
}

static bool walk_reduce(Walk *w, Term *t, Term *by, const At *at) {
  if (range_moves(t)) return fail(w, t, "a range that depends on a latent");
  At inner = within(w, at);
  Index *index;
  Term *body = open_reduce(w->m, t, &index);
  vec_push(w->m->arena, &inner.sums, index);
  if (t->reduce == REDUCE_PROD) by = times(w, by, others_of(w, t, index));
  if (t->reduce == REDUCE_MAX || t->reduce == REDUCE_MIN) {
    inner.cond = make_and(w->m->arena, inner.cond, op2(w, OP_EQ, body, t)); /* equal ones all count */
  }
  return walk(w, body, by, &inner);
}

/* How both sides of a choice are walked: where each is the one. */
typedef bool (*WalkFn)(Walk *w, Term *t, Term *by, const At *at);
static bool walk_if(Walk *w, Term *t, Term *by, const At *at, WalkFn side) {
  Term *cond = t->args.at[0];
  At yes = *at, no = *at;
  yes.cond = make_and(w->m->arena, at->cond, cond);
  no.cond = make_and(w->m->arena, at->cond, op1(w, OP_NOT, cond));
  return side(w, t->args.at[1], by, &yes) && side(w, t->args.at[2], by, &no);
}

/* ---- in log space -------------------------------------------------------------------------------------------- */

/* log of what is not negative, without the exp that a log would undo. */
static Term *log_of(const Walk *w, Term *t) {
  Term *x = t->args.n ? t->args.at[0] : NULL, *y = t->args.n > 1 ? t->args.at[1] : NULL;
  if (t->kind == TERM_IF) return where(w, x, log_of(w, y), log_of(w, t->args.at[2]));
  if (t->kind != TERM_OP) return op1(w, OP_LOG, t);
  if (t->op == OP_EXP) return x;
  if (t->op == OP_MUL && x->nonnegative && y->nonnegative) return op2(w, OP_ADD, log_of(w, x), log_of(w, y));
  if (t->op == OP_DIV && x->nonnegative && y->nonnegative) return op2(w, OP_SUB, log_of(w, x), log_of(w, y));
  return op1(w, OP_LOG, t);
}

/* part / whole; both may be more than a number holds. */
static Term *share(const Walk *w, Term *part, Term *whole) {
  return op1(w, OP_EXP, op2(w, OP_SUB, log_of(w, part), op1(w, OP_LOG, whole)));
}

/* A sum of products of exponentials and of what is no variable: nowhere 0, so that its log has a slope. */
static bool is_exponential(const Term *t) {
  if (!has_variable(t)) return true;
  if (t->kind == TERM_IF) return is_exponential(t->args.at[1]) && is_exponential(t->args.at[2]);
  if (t->kind == TERM_REDUCE) return t->reduce == REDUCE_SUM && !range_moves(t) && is_exponential(t->args.at[0]);
  if (t->kind != TERM_OP) return false;
  if (t->op == OP_EXP) return true;
  bool goes_on = t->op == OP_ADD || t->op == OP_MUL || t->op == OP_DIV;
  return goes_on && is_exponential(t->args.at[0]) && is_exponential(t->args.at[1]);
}

static bool walk_log(Walk *w, Term *t, Term *by, const At *at);

/* by d log whole, as far as the part moves it. */
static bool walk_part(Walk *w, Term *part, Term *whole, Term *by, const At *at) {
  if (!is_exponential(part)) return walk(w, part, over(w, by, whole), at);
  return !has_variable(part) || walk_log(w, part, times(w, by, share(w, part, whole)), at);
}

static bool walk_log_of_op(Walk *w, Term *t, Term *by, const At *at) {
  Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : NULL;
  if (t->op == OP_ADD && x->nonnegative && y->nonnegative)
    return walk_part(w, x, t, by, at) && walk_part(w, y, t, by, at);
  if (t->op == OP_EXP) return walk(w, x, by, at);
  if (t->op == OP_MUL && is_exponential(t)) return walk_log(w, x, by, at) && walk_log(w, y, by, at);
  if (t->op == OP_DIV && is_exponential(t)) return walk_log(w, x, by, at) && walk_log(w, y, op1(w, OP_NEG, by), at);
  return walk(w, t, over(w, by, t), at);
}

/* by d log t: of a sum, the parts' by their shares. */
static bool walk_log(Walk *w, Term *t, Term *by, const At *at) {
  if (!has_variable(t)) return true;
  if (t->kind == TERM_OP) return walk_log_of_op(w, t, by, at);
  if (t->kind == TERM_IF) return walk_if(w, t, by, at, walk_log);
  if (!is_exponential(t) || !t->args.at[0]->nonnegative) return walk(w, t, over(w, by, t), at);
  At inner = within(w, at);
  Index *index;
  Term *body = open_reduce(w->m, t, &index);
  vec_push(w->m->arena, &inner.sums, index);
  return walk_part(w, body, t, by, &inner);
}

/* ---- operators -------------------------------------------------------------------------------------------------- */

static At where_not_zero(Walk *w, const At *at, Term *x) {
  At inner = *at;
  inner.cond = make_and(w->m->arena, at->cond, op2(w, OP_NE, term_to_real(w->m->arena, x), num(w, 0, x)));
  return inner;
}

/* x ^ y: at y = 0 it is 1 for every x, also for 0, and at x = 0 it is 0 for every y above 0. */
static bool walk_power(Walk *w, Term *t, Term *by, const At *at) {
  Term *x = t->args.at[0], *y = t->args.at[1];
  bool is_literal = y->kind == TERM_REAL || y->kind == TERM_INT;
  if (has_variable(x)) {
    Term *less = y->kind == TERM_REAL  ? num(w, y->real - 1, t)
                 : y->kind == TERM_INT ? num(w, (double)y->integer - 1, t)
                                       : op2(w, OP_SUB, term_to_real(w->m->arena, y), num(w, 1, t));
    Term *rest = less->kind == TERM_REAL && less->real == 1 ? x : op2(w, OP_POW, x, less);
    At some = is_literal ? *at : where_not_zero(w, at, y);
    if (!walk(w, x, times(w, by, times(w, term_to_real(w->m->arena, y), rest)), &some)) return false;
  }
  if (!has_variable(y)) return true;
  At some = where_not_zero(w, at, x);
  return walk(w, y, times(w, by, times(w, t, op1(w, OP_LOG, x))), &some);
}

static bool walk_op(Walk *w, Term *t, Term *by, const At *at) {
  Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : NULL;
  switch ((int)t->op) {
  case OP_ADD: return walk(w, x, by, at) && walk(w, y, by, at);
  case OP_SUB: return walk(w, x, by, at) && walk(w, y, op1(w, OP_NEG, by), at);
  case OP_MUL: return walk(w, x, times(w, by, y), at) && walk(w, y, times(w, by, x), at);
  case OP_DIV: return walk(w, x, over(w, by, y), at) && walk(w, y, op1(w, OP_NEG, times(w, by, over(w, t, y))), at);
  case OP_POW: return walk_power(w, t, by, at);
  case OP_LOG: return walk_log(w, x, by, at);
  case OP_MAX:
  case OP_MIN: {
    At first = *at, second = *at;
    Term *is_first = op2(w, t->op == OP_MAX ? OP_GT : OP_LT, x, y);
    first.cond = make_and(w->m->arena, at->cond, is_first);
    second.cond = make_and(w->m->arena, at->cond, op1(w, OP_NOT, is_first));
    return walk(w, x, by, &first) && walk(w, y, by, &second);
  }
  }
  Term *s = slope(w, t);
  if (!s) return fail(w, t, arena_printf(w->m->arena, "the derivative of '%s'", op_name(t->op)));
  for (uint32_t i = 1; i < t->args.n; i++)
    if (has_variable(t->args.at[i]))
      return fail(w, t, arena_printf(w->m->arena, "the derivative of '%s' by its later arguments", op_name(t->op)));
  return walk(w, x, times(w, by, s), at);
}

static bool walk(Walk *w, Term *t, Term *by, const At *at) {
  if (!has_variable(t)) return true;
  switch (t->kind) {
  case TERM_LATENT: {
    if (w->to->n >= POLY_MAX) return fail(w, t, "it has too many terms");
    Monomial m = {.cond = at->cond, .scale = 1, .coef = by};
    for (uint32_t i = 0; i < at->sums.n; i++) vec_push(w->m->arena, &m.sums, at->sums.at[i]);
    vec_push(w->m->arena, &m.stats, ((Stat){STAT_POWER, t, 1}));
    vec_push(w->m->arena, w->to, m);
    return true;
  }
  case TERM_OP: return walk_op(w, t, by, at);
  case TERM_IF: return walk_if(w, t, by, at, walk);
  case TERM_REDUCE: return walk_reduce(w, t, by, at);
  case TERM_INT:
  case TERM_REAL:
  case TERM_BOOL:
  case TERM_NONE:
  case TERM_SIZE:
  case TERM_INDEX:
  case TERM_INPUT:
  case TERM_LET:
  case TERM_EDGE:
  case TERM_QUERY: break;
  }
  return fail(w, t, "this use of a latent");
}

bool differentiate(Model *m, Term *t, Monomials *p, Obstacle *why) {
  *p = (Monomials){0};
  Walk w = {m, p, why};
  At at = {0};
  return walk(&w, t, term_real(m->arena, 1, t->span), &at);
}
