/* normal_moment: E of products of powers of components of one latent whose q is normal, independent of each other.
 *
 *   E[z^n] = sum_k n! / (2^k k! (n - 2 k)!) mean^(n - 2 k) Var^k
 *   E[z f] = mean E[f] + sum_j Cov[z, z_j] E[df / dz_j]           (Stein 1972), Cov[z_a, z_b] = 1(a = b) Var[z_a]
 *   Var[sum_i c_i z_i] = sum_i c_i^2 Var[z_i]
 *   E[f e^a] = E[e^a] E'[f]      a affine; E' is E with Cov[z, a] more in every mean (Cameron, Martin 1944) */
#include <math.h>

#include "infer/latent_plan.h"

bool is_normal_power(const Plan *p, const Stat *s) {
  return p->latents->of[s->ref->latent->id].family == Q_FAMILY_NORMAL && s->kind == STAT_POWER && s->power >= 1 &&
         s->power == floor(s->power) && s->power <= NORMAL_POWER;
}

static Term *power(Arena *a, Term *x, double n) { return n == 0 ? NULL : make_power(a, x, n); }

Term *normal_power_of(Arena *a, Term *mean, Term *variance, double n, uint32_t from) {
  Term *sum = NULL;
  double scale = 1;
  for (uint32_t k = 0; 2 * k <= n; k++) {
    double left = n - 2 * k;
    Term *t = make_product(a, power(a, mean, left), power(a, variance, k));
    if (k >= from) sum = make_sum(a, sum, make_scaled(a, scale, t));
    scale *= left * (left - 1) / (2 * (k + 1));
  }
  return sum ? sum : term_real(a, 0, mean->span);
}

Term *normal_power(Arena *a, const Stat *s, uint32_t from) {
  Term *mean = make_moment(a, s->ref, MOMENT_MEAN), *variance = make_moment(a, s->ref, MOMENT_VARIANCE);
  return normal_power_of(a, mean, variance, s->power, from);
}

/* 1 where two references of one latent are the same component, else 0; NULL: 1. */
static Term *coincide(Arena *a, const Stat *s, const Stat *t) {
  Term *same = NULL;
  for (uint32_t i = 0; i < s->ref->args.n; i++)
    if (!term_equal(s->ref->args.at[i], t->ref->args.at[i]))
      same = make_and(a, same, term_op2(a, OP_EQ, s->ref->args.at[i], t->ref->args.at[i], s->ref->span));
  return same ? term_to_real(a, same) : NULL;
}

static Stats lowered(Arena *a, const Stats *x, uint32_t i, double by) {
  Stats y = {0};
  for (uint32_t k = 0; k < x->n; k++) {
    Stat s = x->at[k];
    if (k == i) s.power -= by;
    if (s.power > 0) vec_push(a, &y, s);
  }
  return y;
}

Term *normal_product(Arena *a, const Stats *x) {
  if (!x->n) return NULL;
  const Stat *z = &x->at[0];
  if (x->n == 1) return normal_power(a, z, 0);
  Stats less = lowered(a, x, 0, 1), twice = z->power > 1 ? lowered(a, x, 0, 2) : (Stats){0};
  Term *variance = make_moment(a, z->ref, MOMENT_VARIANCE);
  Term *sum = make_product(a, make_moment(a, z->ref, MOMENT_MEAN), normal_product(a, &less));
  if (z->power > 1)
    sum = make_sum(a, sum, make_scaled(a, z->power - 1, make_product(a, variance, normal_product(a, &twice))));
  for (uint32_t k = 1; k < x->n; k++) {
    Stats rest = lowered(a, &less, k - (z->power == 1), 1);
    Term *t = make_scaled(a, x->at[k].power, make_product(a, variance, normal_product(a, &rest)));
    sum = make_sum(a, sum, make_product(a, coincide(a, z, &x->at[k]), t));
  }
  return sum;
}

/* ---- affine ------------------------------------------------------------------------------------------------------ */

static bool is_random_stat(const Plan *p, const Stat *s) { return is_random(&p->latents->of[s->ref->latent->id]); }

bool is_affine(const Plan *p, const Monomials *x) {
  for (uint32_t i = 0; i < x->n; i++) {
    uint32_t random = 0;
    for (uint32_t k = 0; k < x->at[i].stats.n; k++) {
      const Stat *s = &x->at[i].stats.at[k];
      if (is_random_stat(p, s) && (!is_normal_power(p, s) || s->power != 1 || random++)) return false;
    }
  }
  return true;
}

/* Its one random statistic; NULL: it has none. */
static const Stat *random_of(const Plan *p, const Monomial *x) {
  for (uint32_t k = 0; k < x->stats.n; k++)
    if (is_random_stat(p, &x->stats.at[k])) return &x->stats.at[k];
  return NULL;
}

/* Does each of its sums run over an index of the statistic's own?  Then all its terms are of different components. */
static bool is_of_different(const Monomial *x, const Stat *s) {
  for (uint32_t i = 0; i < x->sums.n; i++) {
    bool own = false;
    for (uint32_t k = 0; k < s->ref->args.n; k++)
      own |= s->ref->args.at[k]->kind == TERM_INDEX && s->ref->args.at[k]->index == x->sums.at[i];
    if (!own) return false;
  }
  return true;
}

/* The other factors of x. */
static Term *beside(const Plan *p, const Monomial *x, const Stat *random) {
  Term *t = x->coef;
  for (uint32_t k = 0; k < x->stats.n; k++)
    if (&x->stats.at[k] != random) t = make_product(p->arena, t, stat_at_mean(p, &x->stats.at[k]));
  return t;
}

static Term *covariance(const Plan *p, const Monomial *x, const Monomial *y) {
  Arena *a = p->arena;
  const Stat *s = random_of(p, x), *t = random_of(p, y);
  if (!s || !t || s->ref->latent != t->ref->latent) return NULL;
  Monomial other = *y;
  bool diagonal = x == y && is_of_different(x, s);
  if (!diagonal && x->sums.n && y->sums.n) other = monomial_renamed((Model *)p->model, y), t = random_of(p, &other);
  Monomial r = {.scale = x->scale * y->scale, .cond = make_and(a, x->cond, other.cond)};
  for (uint32_t i = 0; i < x->sums.n; i++) vec_push(a, &r.sums, x->sums.at[i]);
  for (uint32_t i = 0; !diagonal && i < other.sums.n; i++) vec_push(a, &r.sums, other.sums.at[i]);
  r.coef = make_product(a, beside(p, x, s), beside(p, &other, t));
  Term *variance = make_moment(a, s->ref, MOMENT_VARIANCE);
  return sum_monomial(p, &r, diagonal ? variance : make_product(a, coincide(a, s, t), variance));
}

Term *affine_variance(const Plan *p, const Monomials *x) {
  Term *sum = NULL;
  for (uint32_t i = 0; i < x->n; i++)
    for (uint32_t k = 0; k <= i; k++) {
      Term *c = covariance(p, &x->at[i], &x->at[k]);
      if (c) sum = make_sum(p->arena, sum, i == k ? c : make_scaled(p->arena, 2, c));
    }
  return sum;
}

static Term *covariance_with(const Plan *p, Term *ref, const Monomials *a) {
  Monomial z = {.scale = 1};
  vec_push(p->arena, &z.stats, ((Stat){STAT_POWER, ref, 1}));
  Term *sum = NULL;
  for (uint32_t i = 0; i < a->n; i++) {
    Monomial own = monomial_renamed((Model *)p->model, &a->at[i]); /* t may stand under these sums itself */
    Term *c = covariance(p, &z, &own);
    if (c) sum = make_sum(p->arena, sum, c);
  }
  return sum;
}

Term *tilted(const Plan *p, Term *t, const Monomials *a) {
  if (!(t->mentions & MENTIONS_LATENT)) return t;
  if (t->kind == TERM_LATENT && t->moment == MOMENT_MEAN) {
    Term *more = p->latents->of[t->latent->id].family == Q_FAMILY_NORMAL
                     ? covariance_with(p, make_moment(p->arena, t, MOMENT_VALUE), a) : NULL;
    return more ? make_sum(p->arena, t, more) : t;
  }
  Term *u = NEW(p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &u->args, tilted(p, t->args.at[i], a));
  return term_finish(u);
}
