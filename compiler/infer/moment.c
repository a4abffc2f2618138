/* moment: expectations of monomials under q, which treats components of latents as independent.
 *
 *   E[z] = mean    E[z^2] = mean^2 + Var[z]    E[log z], E[log(1 - z)]: moments of their own
 *   powers and products of components of a normal: normal_moment.c
 * For a point all of them are values at the point. */
#include "infer/latent_plan.h"

static Arena *arena_of(const Plan *p) { return p->arena; }

static bool cannot(const Term *t, Obstacle *why, const char *text) {
  if (!why->text) *why = (Obstacle){t->span, text};
  return false;
}

static const LatentPlan *plan_of(const Plan *p, const Term *ref) { return &p->latents->of[ref->latent->id]; }

/* A point stays the variable that it is. */
static Term *moment(const Plan *p, const Stat *s, Moment which) {
  return is_random(plan_of(p, s->ref)) ? make_moment(arena_of(p), s->ref, which) : s->ref;
}

/* The statistic at the mean of its latent. */
Term *stat_at_mean(const Plan *p, const Stat *s) {
  Arena *a = arena_of(p);
  Term *z = moment(p, s, MOMENT_MEAN);
  switch (s->kind) {
  case STAT_POWER: return make_power(a, z, s->power);
  case STAT_LOG: return term_op1(a, OP_LOG, z, z->span);
  case STAT_LOG1M: return term_op1(a, OP_LOG1P, term_op1(a, OP_NEG, z, z->span), z->span);
  }
  return z;
}

/* E of one statistic; NULL, and why. */
static Term *expected_stat(const Plan *p, const Stat *s, Obstacle *why) {
  Arena *a = arena_of(p);
  if (!is_random(plan_of(p, s->ref))) return stat_at_mean(p, s);
  QFamily family = plan_of(p, s->ref)->family;
  switch (s->kind) {
  case STAT_POWER:
    if (s->power == 1) return stat_at_mean(p, s);
    if (is_normal_power(p, s)) return normal_power(a, s, 0);
    if (s->power != 2) break;
    return make_sum(a, stat_at_mean(p, s), moment(p, s, MOMENT_VARIANCE));
  case STAT_LOG:
    if (family == Q_FAMILY_NORMAL) break;
    return moment(p, s, MOMENT_LOG);
  case STAT_LOG1M:
    if (family != Q_FAMILY_BETA) break;
    return moment(p, s, MOMENT_LOG1M);
  }
  cannot(s->ref, why, "this power or logarithm of a latent");
  return NULL;
}

static int partner(const Plan *p, const Monomial *x, uint32_t i, int skip) {
  if (!is_random(plan_of(p, x->stats.at[i].ref))) return -1;
  for (uint32_t k = 0; k < x->stats.n; k++)
    if (k != i && (int)k != skip && x->stats.at[k].ref->latent == x->stats.at[i].ref->latent) return (int)k;
  return -1;
}

/* E of the product of number i with all others of its latent. */
static Term *expected_group(const Plan *p, const Monomial *x, uint32_t i, int skip, Obstacle *why) {
  Stats group = {0};
  double degree = 0;
  for (uint32_t k = i; k < x->stats.n; k++) {
    const Stat *s = &x->stats.at[k];
    if ((int)k == skip || s->ref->latent != x->stats.at[i].ref->latent) continue;
    if (!is_normal_power(p, s)) {
      cannot(s->ref, why, "a product of components of a latent whose q is no point");
      return NULL;
    }
    vec_push(arena_of(p), &group, *s);
    degree += s->power;
  }
  if (degree <= NORMAL_DEGREE) return normal_product(arena_of(p), &group);
  cannot(x->stats.at[i].ref, why, "a product of so many components of a latent");
  return NULL;
}

bool expected_stats(const Plan *p, const Monomial *x, int skip, Term **e, Obstacle *why) {
  *e = NULL;
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const Stat *s = &x->stats.at[i];
    if ((int)i == skip) continue;
    int k = partner(p, x, i, skip);
    Term *one;
    if (k >= 0 && (uint32_t)k < i) continue;
    one = k < 0 ? expected_stat(p, s, why) : expected_group(p, x, i, skip, why);
    if (!one) return false;
    *e = make_product(arena_of(p), *e, one);
  }
  return true;
}

Term *sum_monomial(const Plan *p, const Monomial *x, Term *stats) {
  Arena *a = arena_of(p);
  Term *t = make_scaled(a, x->scale, make_product(a, x->coef, stats));
  if (x->cond) t = term_if(a, x->cond, t, term_real(a, 0, t->span), t->span);
  for (uint32_t i = x->sums.n; i-- > 0;) t = term_reduce(a, REDUCE_SUM, x->sums.at[i], t, t->span);
  return t;
}

bool any_random(const Plan *p, const Term *t) {
  if (t->kind == TERM_LATENT && t->moment == MOMENT_VALUE && is_random(plan_of(p, t))) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (any_random(p, t->args.at[i])) return true;
  return false;
}

/* What E adds to the value at the means: 0 where all random statistics are different first powers. */
static Term *correction_of(const Plan *p, const Monomial *x, Obstacle *why) {
  Arena *a = arena_of(p);
  int moved = -1;
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const Stat *s = &x->stats.at[i];
    bool linear = s->kind == STAT_POWER && s->power == 1 && partner(p, x, i, -1) < 0;
    if (!linear && is_random(plan_of(p, s->ref))) moved = (int)i, n++;
  }
  if (!n) return NULL;
  Term *e;
  if (n == 1) { /* the others times E[s] - s(mean) */
    const Stat *s = &x->stats.at[moved];
    if (!expected_stats(p, x, moved, &e, why)) return NULL;
    if (is_normal_power(p, s)) return make_product(a, e, normal_power(a, s, 1));
    if (s->kind == STAT_POWER && s->power == 2) return make_product(a, e, moment(p, s, MOMENT_VARIANCE));
    Term *one = expected_stat(p, s, why);
    return one ? make_product(a, e, term_op2(a, OP_SUB, one, stat_at_mean(p, s), s->ref->span)) : NULL;
  }
  if (!expected_stats(p, x, -1, &e, why)) return NULL;
  Term *mean = NULL;
  for (uint32_t i = 0; i < x->stats.n; i++) mean = make_product(a, mean, stat_at_mean(p, &x->stats.at[i]));
  return term_op2(a, OP_SUB, e, mean, e->span);
}

Term *mean_correction(const Plan *p, const Monomials *poly, Obstacle *why) {
  Term *sum = NULL;
  for (uint32_t i = 0; i < poly->n && !why->text; i++) {
    Term *c = correction_of(p, &poly->at[i], why);
    if (c) sum = make_sum(arena_of(p), sum, sum_monomial(p, &poly->at[i], c));
  }
  return why->text ? NULL : sum;
}

Term *expected_over_random(const Plan *p, const Monomials *poly, Obstacle *why) {
  Term *sum = NULL, *e;
  for (uint32_t i = 0; i < poly->n; i++) {
    if (!expected_stats(p, &poly->at[i], -1, &e, why)) return NULL;
    sum = make_sum(arena_of(p), sum, sum_monomial(p, &poly->at[i], e));
  }
  return sum;
}
