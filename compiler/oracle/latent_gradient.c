/* latent_gradient: a step along the gradient of F, the edge posterior held, by differences of values of F.
 *
 * Coordinates: of a point z itself, or log, logit, logs of ratios where its range is bounded; of a normal q the mean,
 * and the log of the variance, along which its entropy moves too. */
#include <math.h>

#include "oracle/latent.h"

static double *normal_of(World *w, const Block *b) { return w->q->param + 2 * (size_t)b->first; }

/* Moves one coordinate by d: of a point its k-th component, of a normal 0: the mean, 1: the log of the variance. */
static void shift(World *w, const Block *b, LatentRange range, uint32_t k, double d) {
  double *z = &w->z[b->first];
  if (b->family == FAMILY_NORMAL) {
    double *p = normal_of(w, b);
    if (k == 0)
      p[0] += d;
    else
      p[1] *= exp(d / 2);
    latent_block_mean(w, b);
    return;
  }
  if (range == RANGE_REAL) z[k] += d;
  if (range == RANGE_POSITIVE) z[k] *= exp(d);
  if (range == RANGE_UNIT) z[k] = z[k] * exp(d) / (1 - z[k] + z[k] * exp(d));
  if (range != RANGE_SIMPLEX) return;
  double sum = 0;
  z[k] *= exp(d);
  for (uint32_t i = 0; i < b->n; i++) sum += z[i];
  for (uint32_t i = 0; i < b->n; i++) z[i] /= sum;
}

/* The numbers of a block, to be put back. */
typedef struct Saved {
  double *z, param[2];
} Saved;

static Saved save(World *w, const Block *b) {
  Saved s = {NEW_ARRAY(w->scratch, double, b->n), {normal_of(w, b)[0], normal_of(w, b)[1]}};
  memcpy(s.z, w->z + b->first, b->n * sizeof *s.z);
  return s;
}

static void restore(World *w, const Block *b, const Saved *s) {
  memcpy(w->z + b->first, s->z, b->n * sizeof *s->z);
  if (b->family == FAMILY_NORMAL) normal_of(w, b)[0] = s->param[0], normal_of(w, b)[1] = s->param[1];
}

static double value_near(World *w, const Block *b, LatentRange range, uint32_t k, double h, const Saved *s) {
  shift(w, b, range, k, h);
  double f = b->family == FAMILY_NORMAL ? latent_objective_at(w, b->first) : latent_objective(w);
  f += latent_block_entropy(w, b);
  restore(w, b, s);
  return f;
}

enum { LEVELS = 4, SCALES = 3 };
static const double WIDEST = 0.01, CLOSER = 1. / 16, BEND = 2e-10, APART = 2e-8;

/* Of x[n], at h / 2^n, whose errors go with h^first, h^(first + 2), ..: the last (Richardson).  before: the one that is
 * known without the closest. */
static double extrapolated(double *x, int first, double *before) {
  for (int order = 1; order < LEVELS; order++)
    for (int i = LEVELS - 1; i >= order; i--) x[i] += (x[i] - x[i - 1]) / (ldexp(1, first + 2 * (order - 1)) - 1);
  *before = x[LEVELS - 2];
  return x[LEVELS - 1];
}

/* By central differences at h .. h / 8; false where the slopes to either side are not one, or what is seen closer is
 * another: errors of the former go with h^2, of the difference of the latter with h, if all is smooth. */
static bool slope_within(World *w, const Block *b, LatentRange range, uint32_t k, double h, const Saved *saved,
                         double *slope) {
  double to[LEVELS], turn[LEVELS], before, turn_before, here = value_near(w, b, range, k, 0, saved);
  for (int i = 0; i < LEVELS; i++) {
    double near = ldexp(h, -i);
    double ahead = value_near(w, b, range, k, near, saved), behind = value_near(w, b, range, k, -near, saved);
    to[i] = (ahead - behind) / (2 * near);
    turn[i] = (ahead - 2 * here + behind) / near;
  }
  *slope = extrapolated(to, 2, &before);
  double rounding = 2e-15 * (1 + fabs(here)) / ldexp(h, 1 - LEVELS);
  if (fabs(*slope - before) > APART * (1 + fabs(*slope)) + 16 * rounding) return false;
  return !(fabs(extrapolated(turn, 1, &turn_before)) > BEND * (1 + fabs(*slope)) + rounding);
}

/* A bend nearby (relu, max, |z|) belongs to neither side of it: the closer one looks, the fewer there are.  Where one
 * is right here, or too close, there is no slope to be judged. */
static double slope(World *w, const Block *b, LatentRange range, uint32_t k) {
  ArenaMark mark = arena_mark(w->scratch);
  Saved saved = save(w, b);
  double at = 0, h = WIDEST;
  bool found = false;
  for (int n = 0; n < SCALES && !found; n++, h *= CLOSER) found = slope_within(w, b, range, k, h, &saved, &at);
  if (!found) w->q->lost = true;
  arena_release(w->scratch, mark);
  return at;
}

static void damp_normal(World *w, const Block *b, double mean, double sd, double damping) {
  double *p = normal_of(w, b);
  p[0] = latent_damped(p[0], mean, damping);
  p[1] = sqrt(latent_damped(p[1] * p[1], sd * sd, damping));
  latent_block_mean(w, b);
}

/* All slopes first, then all moves. */
void latent_take_gradient(World *w, const LatentPlaces *p, double rate, double damping) {
  LatentState *q = w->q;
  ArenaMark mark = arena_mark(w->scratch);
  double *slopes = NEW_ARRAY(w->scratch, double, 2 * p->n), *old = NEW_ARRAY(w->scratch, double, 2 * p->n);
  for (uint32_t k = 0; k < p->n; k++) {
    const Block *b = &q->blocks.at[q->block_of[p->at[k]]];
    LatentRange range = latent_range(w->places.at[p->at[k]].latent);
    bool normal = b->family == FAMILY_NORMAL && b->kind == Q_GAUSSIAN;
    if (b->family != FAMILY_POINT && !normal) q->lost = true;
    if (normal && !q->fine) q->too_coarse = true;
    old[2 * k] = w->z[p->at[k]], old[2 * k + 1] = q->param[2 * (size_t)p->at[k] + 1];
    slopes[2 * k] = slope(w, b, range, p->at[k] - b->first);
    slopes[2 * k + 1] = normal ? slope(w, b, range, 1) : 0;
  }
  for (uint32_t k = 0; k < p->n; k++) {
    const Block *b = &q->blocks.at[q->block_of[p->at[k]]];
    shift(w, b, latent_range(w->places.at[p->at[k]].latent), p->at[k] - b->first, rate * slopes[2 * k]);
    if (b->family == FAMILY_NORMAL) shift(w, b, RANGE_REAL, 1, rate * slopes[2 * k + 1]);
  }
  for (uint32_t k = 0; k < p->n; k++) {
    const Block *b = &q->blocks.at[q->block_of[p->at[k]]];
    if (b->family == FAMILY_NORMAL)
      damp_normal(w, b, old[2 * k], old[2 * k + 1], damping);
    else
      w->z[p->at[k]] = latent_damped(w->z[p->at[k]], old[2 * k], damping);
  }
  arena_release(w->scratch, mark);
}
