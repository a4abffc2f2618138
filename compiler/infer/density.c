/* density: log densities and mass functions.
 *
 * Outside its range a pmf or density is 0 (-inf here), whatever the parameters are; inside, parameters out of range
 * make it NaN, and so does a value that is NaN.
 * Formulas: Gelman et al., Bayesian Data Analysis, appendix A; the beta-geometric is the geometric with its
 * probability integrated out under beta(a, b): B(a + 1, b + d) / B(a, b).  Quotients of gamma functions are written by
 * B too, whose log loses no digit at any arguments: (n over y) = 1 / ((n + 1) B(y + 1, n - y + 1)), G((v + 1) / 2) /
 * G(v / 2) = sqrt(pi) / B(1/2, v / 2). */
#include <math.h>

#include "base/ice.h"
#include "infer/context.h"
#include "model/term.h"

typedef struct D { Context *x; Builder *b; } D;

static Val num(D *d, double v) { return build_float(d->b, IR_WIDE, v); }
static Val add(D *d, Val a, Val b) { return build_2(d->b, IR_ADD, a, b); }
static Val sub(D *d, Val a, Val b) { return build_2(d->b, IR_SUB, a, b); }
static Val mul(D *d, Val a, Val b) { return build_2(d->b, IR_MUL, a, b); }
static Val divide(D *d, Val a, Val b) { return build_2(d->b, IR_DIV, a, b); }
static Val neg(D *d, Val a) { return build_1(d->b, IR_NEG, a); }
static Val fn(D *d, IrOp op, Val a) { return build_1(d->b, op, a); }
static Val both(D *d, Val a, Val b) { return build_2(d->b, IR_AND, a, b); }
static Val ge(D *d, Val a, Val b) { return build_2(d->b, IR_GE, a, b); }
static Val gt(D *d, Val a, Val b) { return build_2(d->b, IR_GT, a, b); }

/* a log b with 0 log 0 = 0 */
static Val times_log(D *d, Val a, Val b) {
  return build_select(d->b, build_2(d->b, IR_EQ, a, num(d, 0)), num(d, 0), mul(d, a, fn(d, IR_LOG, b)));
}

static Val times_log1m(D *d, Val a, Val p) {
  return build_select(d->b, build_2(d->b, IR_EQ, a, num(d, 0)), num(d, 0), mul(d, a, fn(d, IR_LOG1P, neg(d, p))));
}

static Val where_valid(D *d, Val valid, Val l) { return build_select(d->b, valid, l, num(d, NAN)); }

/* Of a count, which is never NaN. */
static Val ranged_count(D *d, Val valid, Val inside, Val l) {
  return build_select(d->b, inside, where_valid(d, valid, l), num(d, -INFINITY));
}

static bool is_whole(const D *d, Val y) {
  const Instr *i = ir_at(d->b->k, y);
  return i->op == IR_CONVERT &&
         (ir_at(d->b->k, i->arg[0])->type == IR_INT || ir_at(d->b->k, i->arg[0])->type == IR_BOOL);
}

static Val ranged(D *d, Val y, Val valid, Val inside, Val l) {
  if (is_whole(d, y)) return ranged_count(d, valid, inside, l);
  Val outside = build_select(d->b, build_2(d->b, IR_EQ, y, y), num(d, -INFINITY), num(d, NAN));
  return build_select(d->b, inside, where_valid(d, valid, l), outside);
}

static Val is_probability(D *d, Val p) { return both(d, ge(d, p, num(d, 0)), ge(d, num(d, 1), p)); }
static Val always(D *d) { return build_bool(d->b, true); }

static Val is_bit(D *d, Val y) {
  return build_2(d->b, IR_OR, build_2(d->b, IR_EQ, y, num(d, 0)), build_2(d->b, IR_EQ, y, num(d, 1)));
}

static Val bernoulli(D *d, Val y, Val p) {
  Val one = build_2(d->b, IR_EQ, y, num(d, 1));
  Val l = build_select(d->b, one, fn(d, IR_LOG, p), fn(d, IR_LOG1P, neg(d, p)));
  return ranged(d, y, is_probability(d, p), is_bit(d, y), l);
}

static Val bernoulli_logit(D *d, Val y, Val s) {
  Val one = build_2(d->b, IR_EQ, y, num(d, 1));
  Val l = neg(d, fn(d, IR_SOFTPLUS, build_select(d->b, one, neg(d, s), s)));
  return ranged(d, y, always(d), is_bit(d, y), l);
}

static Val geometric(D *d, Val y, Val p) {
  Val l = build_2(d->b, IR_LOGMUL, fn(d, IR_LOG, p), times_log1m(d, y, p));
  return ranged_count(d, is_probability(d, p), ge(d, y, num(d, 0)), l);
}

static Val beta_geometric(D *d, Val y, Val a, Val b) {
  Val l = sub(d, build_2(d->b, IR_LBETA, add(d, a, num(d, 1)), add(d, b, y)), build_2(d->b, IR_LBETA, a, b));
  return ranged_count(d, both(d, gt(d, a, num(d, 0)), gt(d, b, num(d, 0))), ge(d, y, num(d, 0)), l);
}

/* A finite whole number of at least 0. */
static Val is_count(D *d, Val y) {
  Val from_0 = ge(d, y, num(d, 0));
  if (is_whole(d, y)) return from_0;
  return both(d, both(d, from_0, gt(d, num(d, INFINITY), y)), build_2(d->b, IR_EQ, y, fn(d, IR_FLOOR, y)));
}

static Val poisson(D *d, Val y, Val rate) {
  Val l = sub(d, sub(d, times_log(d, y, rate), rate), fn(d, IR_LGAMMA, add(d, y, num(d, 1))));
  return ranged(d, y, ge(d, rate, num(d, 0)), is_count(d, y), l);
}

static Val binomial(D *d, Val y, Val n, Val p) {
  Val one = num(d, 1), rest = sub(d, n, y);
  Val choose =
      neg(d, add(d, build_2(d->b, IR_LBETA, add(d, y, one), add(d, rest, one)), fn(d, IR_LOG, add(d, n, one))));
  Val l = build_2(d->b, IR_LOGMUL, add(d, choose, times_log(d, y, p)), times_log1m(d, rest, p));
  Val valid = is_count(d, n), beyond = both(d, valid, gt(d, y, n)); /* nothing is beyond an n that is none */
  Val inside = both(d, ge(d, y, num(d, 0)), fn(d, IR_NOT, beyond));
  return ranged_count(d, both(d, valid, is_probability(d, p)), inside, l);
}

static Val normal(D *d, Val y, Val mean, Val sd) {
  Val z = divide(d, sub(d, y, mean), sd);
  Val l = sub(d, sub(d, mul(d, num(d, -0.5), mul(d, z, z)), fn(d, IR_LOG, sd)),
              num(d, 0.91893853320467274178)); /* log sqrt(2 pi) */
  return where_valid(d, gt(d, sd, num(d, 0)), l);
}

static Val laplace(D *d, Val y, Val mean, Val scale) {
  Val l = sub(d, neg(d, divide(d, fn(d, IR_ABS, sub(d, y, mean)), scale)), fn(d, IR_LOG, mul(d, num(d, 2), scale)));
  return where_valid(d, gt(d, scale, num(d, 0)), l);
}

static Val student_t(D *d, Val y, Val nu, Val mean, Val scale) {
  Val z = divide(d, sub(d, y, mean), scale), half = num(d, 0.5), top = mul(d, half, add(d, nu, num(d, 1)));
  Val norm = neg(d, build_2(d->b, IR_LBETA, half, mul(d, half, nu)));
  norm = sub(d, norm, add(d, mul(d, half, fn(d, IR_LOG, nu)), fn(d, IR_LOG, scale)));
  Val l = sub(d, norm, mul(d, top, fn(d, IR_LOG1P, divide(d, mul(d, z, z), nu))));
  return where_valid(d, both(d, gt(d, nu, num(d, 0)), gt(d, scale, num(d, 0))), l);
}

static Val exponential(D *d, Val y, Val rate) {
  return ranged(d, y, gt(d, rate, num(d, 0)), ge(d, y, num(d, 0)), sub(d, fn(d, IR_LOG, rate), mul(d, rate, y)));
}

static Val gamma_density(D *d, Val y, Val shape, Val rate) {
  Val l = add(d, times_log(d, shape, rate), times_log(d, sub(d, shape, num(d, 1)), y));
  l = sub(d, sub(d, l, mul(d, rate, y)), fn(d, IR_LGAMMA, shape));
  return ranged(d, y, both(d, gt(d, shape, num(d, 0)), gt(d, rate, num(d, 0))), ge(d, y, num(d, 0)), l);
}

static Val beta_density(D *d, Val y, Val a, Val b) {
  Val one = num(d, 1);
  Val l = add(d, times_log(d, sub(d, a, one), y), times_log1m(d, sub(d, b, one), y));
  l = sub(d, l, build_2(d->b, IR_LBETA, a, b));
  return ranged(d, y, both(d, gt(d, a, num(d, 0)), gt(d, b, num(d, 0))), is_probability(d, y), l);
}

Val log_density(Context *x, Dist dist, Val left, const Val *params) {
  D d = {x, B(x)};
  Val y = build_convert(d.b, left, IR_WIDE), p[3] = {0};
  for (int i = 0; i < dist_arity(dist) && i < 3; i++) p[i] = build_convert(d.b, params[i], IR_WIDE);
  switch (dist) {
  case DIST_BERNOULLI: return bernoulli(&d, y, p[0]);
  case DIST_BERNOULLI_LOGIT: return bernoulli_logit(&d, y, p[0]);
  case DIST_GEOMETRIC: return geometric(&d, y, p[0]);
  case DIST_BETA_GEOMETRIC: return beta_geometric(&d, y, p[0], p[1]);
  case DIST_POISSON: return poisson(&d, y, p[0]);
  case DIST_BINOMIAL: return binomial(&d, y, p[0], p[1]);
  case DIST_NORMAL: return normal(&d, y, p[0], p[1]);
  case DIST_LAPLACE: return laplace(&d, y, p[0], p[1]);
  case DIST_STUDENT_T: return student_t(&d, y, p[0], p[1], p[2]);
  case DIST_EXPONENTIAL: return exponential(&d, y, p[0]);
  case DIST_GAMMA: return gamma_density(&d, y, p[0], p[1]);
  case DIST_BETA: return beta_density(&d, y, p[0], p[1]);
  case DIST_UNIFORM: case DIST_WEIGHTS: case DIST_LOGITS: case DIST_STICK_BREAKING: case DIST_DIRICHLET: break;
  }
  ICE("'%s' has no density at a point", dist_name(dist));
}

/* ---- dirichlet: joint along the last axis ------------------------------------------------------------------ */

typedef struct Along { const Weight *w; enum { SUM_ALPHA, SUM_LGAMMA, SUM_LOG } what; } Along;

static void contribute_along(Context *x, void *arg, Contribution *c) {
  Along *a = arg;
  D d = {x, B(x)};
  Val alpha = build_convert(d.b, eval(x, a->w->params.at[0]), IR_WIDE);
  switch (a->what) {
  case SUM_ALPHA: c->x = alpha; return;
  case SUM_LGAMMA: c->x = fn(&d, IR_LGAMMA, alpha); return;
  case SUM_LOG: {
    Val y = build_convert(d.b, eval(x, a->w->left), IR_WIDE);
    Val l = times_log(&d, sub(&d, alpha, num(&d, 1)), y);
    c->x = ranged(&d, y, gt(&d, alpha, num(&d, 0)), is_probability(&d, y), l);
    return;
  }
  }
}

/* Independent over the axes before the last. */
typedef struct Before { const Weight *w; uint32_t axis; } Before;

static Val dirichlet_over(Context *x, const Weight *w, uint32_t axis);

static void contribute_dirichlet(Context *x, void *arg, Contribution *c) {
  Before *a = arg;
  c->x = dirichlet_over(x, a->w, a->axis + 1);
}

static Val dirichlet_over(Context *x, const Weight *w, uint32_t axis) {
  if (axis + 1 < w->axes.n)
    return reduce_over(x, w->axes.at[axis], ACC_SUM, IR_WIDE, contribute_dirichlet, &(Before){w, axis});
  Index *last = w->axes.at[w->axes.n - 1];
  D d = {x, B(x)};
  Val total = reduce_over(x, last, ACC_SUM, IR_WIDE, contribute_along, &(Along){w, SUM_ALPHA});
  Val lg = reduce_over(x, last, ACC_SUM, IR_WIDE, contribute_along, &(Along){w, SUM_LGAMMA});
  Val logs = reduce_over(x, last, ACC_SUM, IR_WIDE, contribute_along, &(Along){w, SUM_LOG});
  return add(&d, sub(&d, fn(&d, IR_LGAMMA, total), lg), logs);
}

Val log_dirichlet(Context *x, const Weight *w) { return dirichlet_over(x, w, 0); }
