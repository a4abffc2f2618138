/* log_term: the log weight of a statement as a term, so that it can be collected and differentiated.
 *
 *   L[exp a] = a    L[a b] = L[a] + L[b]    L[a / b] = L[a] - L[b]    L[a ^ b] = b L[a]    L[prod e] = sum L[e]
 *   L[if c then a else b] = if c then L[a] else L[b]
 * Densities: Gelman et al., Bayesian Data Analysis, appendix A.  What no latent moves is left out. */
#include "algebra/algebra.h"

static bool is_op(const Term *t, OpKind op) { return t->kind == TERM_OP && t->op == op; }

static Term *zero(Model *m, const Term *like) { return term_real(m->arena, 0, like->span); }

static Term *log_of_weight(Model *m, Term *t);

static Term *log_of_op(Model *m, Term *t) {
  Arena *a = m->arena;
  Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : NULL;
  switch ((int)t->op) {
  case OP_EXP: return x;
  case OP_MUL: return make_sum(a, log_of_weight(m, x), log_of_weight(m, y));
  case OP_DIV: return term_op2(a, OP_SUB, log_of_weight(m, x), log_of_weight(m, y), t->span);
  case OP_POW: return make_product(a, term_to_real(a, y), log_of_weight(m, x));
  case OP_SQ: return make_scaled(a, 2, log_of_weight(m, x));
  case OP_SQRT: return make_scaled(a, 0.5, log_of_weight(m, x));
  case OP_SIGMOID:
    return term_op1(a, OP_NEG, term_op1(a, OP_SOFTPLUS, term_op1(a, OP_NEG, x, x->span), x->span), t->span);
  }
  return term_op1(a, OP_LOG, t, t->span);
}

/* L[value] of a weight in linear space: L[exp a] = a, L[a b] = L[a] + L[b], ...; else log(value). */
static Term *log_of_weight(Model *m, Term *t) {
  if (!has_variable(t)) return zero(m, t);
  if (is_op(t, OP_TO_REAL)) return term_op1(m->arena, OP_LOG, t, t->span);
  if (t->kind == TERM_OP) return log_of_op(m, t);
  if (t->kind == TERM_IF)
    return term_if(m->arena, t->args.at[0], log_of_weight(m, t->args.at[1]), log_of_weight(m, t->args.at[2]), t->span);
  if (t->kind == TERM_REDUCE && t->reduce == REDUCE_PROD)
    return term_reduce(m->arena, REDUCE_SUM, t->index, log_of_weight(m, t->args.at[0]), t->span);
  return term_op1(m->arena, OP_LOG, t, t->span);
}

/* ---- densities ------------------------------------------------------------------------------------------------ */

typedef struct D {
  Arena *a;
  Span span;
} D;

static Term *num(const D *d, double v) { return term_real(d->a, v, d->span); }
static Term *op1(const D *d, OpKind op, Term *x) { return term_op1(d->a, op, x, d->span); }
static Term *op2(const D *d, OpKind op, Term *x, Term *y) { return term_op2(d->a, op, x, y, d->span); }
static Term *sub(const D *d, Term *x, Term *y) { return op2(d, OP_SUB, x, y); }
static Term *add(const D *d, Term *x, Term *y) { return op2(d, OP_ADD, x, y); }
static Term *mul(const D *d, Term *x, Term *y) { return make_product(d->a, x, y); }
static Term *log_(const D *d, Term *x) { return op1(d, OP_LOG, x); }
static Term *log1m(const D *d, Term *x) { return op1(d, OP_LOG1P, op1(d, OP_NEG, x)); }

static Term *normal(const D *d, Term *y, Term *mean, Term *sd) {
  Term *square = op1(d, OP_SQ, sub(d, y, mean)), *scale = op1(d, OP_SQ, sd);
  return sub(d, mul(d, num(d, -0.5), op2(d, OP_DIV, square, scale)), log_(d, sd));
}

static Term *student(const D *d, Term *y, Term *nu, Term *mean, Term *scale) {
  Term *top = mul(d, num(d, 0.5), add(d, nu, num(d, 1)));
  Term *norm = sub(d, op1(d, OP_LGAMMA, top), op1(d, OP_LGAMMA, mul(d, num(d, 0.5), nu)));
  norm = sub(d, norm, add(d, mul(d, num(d, 0.5), log_(d, nu)), log_(d, scale)));
  Term *z = op1(d, OP_SQ, op2(d, OP_DIV, sub(d, y, mean), scale));
  return sub(d, norm, mul(d, top, op1(d, OP_LOG1P, op2(d, OP_DIV, z, nu))));
}

static Term *gamma_term(const D *d, Term *y, Term *shape, Term *rate) {
  Term *l = add(d, mul(d, shape, log_(d, rate)), mul(d, sub(d, shape, num(d, 1)), log_(d, y)));
  return sub(d, sub(d, l, mul(d, rate, y)), op1(d, OP_LGAMMA, shape));
}

static Term *log_beta(const D *d, Term *a, Term *b) {
  return sub(d, add(d, op1(d, OP_LGAMMA, a), op1(d, OP_LGAMMA, b)), op1(d, OP_LGAMMA, add(d, a, b)));
}

static Term *beta_term(const D *d, Term *y, Term *a, Term *b) {
  Term *l = add(d, mul(d, sub(d, a, num(d, 1)), log_(d, y)), mul(d, sub(d, b, num(d, 1)), log1m(d, y)));
  return sub(d, l, log_beta(d, a, b));
}

static Term *density(const D *d, Dist dist, Term *y, Term **p) {
  switch (dist) {
  case DIST_NORMAL: return normal(d, y, p[0], p[1]);
  case DIST_LAPLACE:
    return sub(d, op1(d, OP_NEG, op2(d, OP_DIV, op1(d, OP_ABS, sub(d, y, p[0])), p[1])), log_(d, p[1]));
  case DIST_STUDENT_T: return student(d, y, p[0], p[1], p[2]);
  case DIST_EXPONENTIAL: return sub(d, log_(d, p[0]), mul(d, p[0], y));
  case DIST_GAMMA: return gamma_term(d, y, p[0], p[1]);
  case DIST_BETA: return beta_term(d, y, p[0], p[1]);
  case DIST_DIRICHLET: return mul(d, sub(d, p[0], num(d, 1)), log_(d, y)); /* its normaliser: of data */
  case DIST_POISSON: return sub(d, mul(d, y, log_(d, p[0])), p[0]);
  case DIST_BERNOULLI: return add(d, mul(d, y, log_(d, p[0])), mul(d, sub(d, num(d, 1), y), log1m(d, p[0])));
  case DIST_BERNOULLI_LOGIT: return sub(d, mul(d, y, p[0]), op1(d, OP_SOFTPLUS, p[0]));
  case DIST_GEOMETRIC: return add(d, log_(d, p[0]), mul(d, y, log1m(d, p[0])));
  case DIST_BETA_GEOMETRIC:
    return sub(d, log_beta(d, add(d, p[0], num(d, 1)), add(d, p[1], y)), log_beta(d, p[0], p[1]));
  case DIST_BINOMIAL: return add(d, mul(d, y, log_(d, p[1])), mul(d, sub(d, p[0], y), log1m(d, p[1])));
  case DIST_UNIFORM:
  case DIST_WEIGHTS:
  case DIST_LOGITS:
  case DIST_STICK_BREAKING: break;
  }
  return NULL;
}

Term *log_term(Model *m, const Weight *w) {
  D d = {m->arena, w->span};
  Term *p[3] = {0};
  for (uint32_t i = 0; i < w->params.n && i < 3; i++) p[i] = term_to_real(m->arena, w->params.at[i]);
  switch (w->kind) {
  case WEIGHT_POTENTIAL: return log_of_weight(m, w->value);
  case WEIGHT_REQUIRE:
    return has_variable(w->value) ? term_op1(m->arena, OP_LOG, term_to_real(m->arena, w->value), w->span) : NULL;
  case WEIGHT_PRIOR:
  case WEIGHT_OBSERVE: break;
  }
  if (w->dist == DIST_WEIGHTS) return log_of_weight(m, p[0]);
  if (w->dist == DIST_LOGITS) return p[0];
  if (w->dist == DIST_UNIFORM || w->dist == DIST_STICK_BREAKING) return NULL;
  return density(&d, w->dist, term_to_real(m->arena, w->left), p);
}
