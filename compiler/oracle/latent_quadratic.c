/* latent_quadratic: the step to the top of an objective that is a concave quadratic in some places, from its values.
 *
 * In a basis of directions e_1 .. e_n a quadratic is known from f at 0, +-e_i and e_i + e_j; f at 2 e_i and at two
 * places off the axes tells it from what only looks like one.  What is seen along a direction is right to the rounding
 * of the weights that change along it, s_i: so f is taken as its change from the start, and directions are compared
 * with the s_i as units, f'' / s.  A direction is only as good as f changes along it.  Three bases in turn see to that:
 * the axes; the axes with steps over which f changes by about s_i; and the eigenvectors of the curvature seen in those,
 * again with such steps, in which the curvature is nearly -s_i on the diagonal and nothing else. */
#include <float.h>
#include <math.h>

#include "oracle/latent.h"

/* scale: by direction, s; gradient [n], hessian [n, n]: of f in the directions. */
typedef struct Quadratic { double *scale, *gradient, *hessian; } Quadratic;

/* Column i of `basis` [n, n] is direction i, in the coordinates of z. */
typedef struct Frame { const LatentPlaces *places; const double *origin; double *basis; } Frame;

/* Directions without curvature are told from others by this share of s. */
static const double FLAT = 1e-11;
/* And a slope, by this one. */
static const double FLAT_SLOPE = 1e-9;
/* A tenth of what a judge allows. */
static const double CERTAIN = 1e-11;

static void pin(World *w, const LatentPlaces *p, bool pinned) {
  for (uint32_t k = 0; k < p->n; k++) {
    Block *b = &w->q->blocks.at[w->q->block_of[p->at[k]]];
    b->pinned = pinned;
  }
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static void reset(World *w, const Frame *f) {
  for (uint32_t k = 0; k < f->places->n; k++) w->z[f->places->at[k]] = f->origin[k];
}

static void go(World *w, const Frame *f, uint32_t direction, double steps) {
  uint32_t n = f->places->n;
  for (uint32_t k = 0; k < n; k++) w->z[f->places->at[k]] += steps * f->basis[k * n + direction];
}

static LatentChange along(World *w, const Frame *f, uint32_t i, double steps) {
  go(w, f, i, steps);
  LatentChange c = latent_change(w);
  reset(w, f);
  return c;
}

static LatentChange between(World *w, const Frame *f, uint32_t i, uint32_t j) {
  go(w, f, i, 1);
  go(w, f, j, 1);
  LatentChange c = latent_change(w);
  reset(w, f);
  return c;
}

static double predict(const Quadratic *q, uint32_t n, const double *d) {
  double f = 0;
  for (uint32_t i = 0; i < n; i++) {
    f += q->gradient[i] * d[i];
    for (uint32_t j = 0; j < n; j++) f += 0.5 * d[i] * q->hessian[i * n + j] * d[j];
  }
  return f;
}

static bool predicts_elsewhere(World *w, const Frame *f, const Quadratic *q) {
  uint32_t n = f->places->n;
  double *d = NEW_ARRAY(w->scratch, double, n);
  for (int round = 0; round < 2; round++) {
    for (uint32_t k = 0; k < n; k++) {
      d[k] = round ? 0.7 * cos(1 + 2.3 * k) : 1.3 * sin(1 + 1.7 * k);
      go(w, f, k, d[k]);
    }
    LatentChange c = latent_change(w);
    reset(w, f);
    if (!latent_agrees((double)c.by, predict(q, n, d), c.scale)) return false;
  }
  return true;
}

/* ---- a quadratic ----------------------------------------------------------------------------------------------- */

/* *q on scratch; false where the objective is none, or not finite. */
static bool fit(World *w, const Frame *f, Quadratic *q) {
  uint32_t n = f->places->n;
  long double *up = NEW_ARRAY(w->scratch, long double, n);
  *q = (Quadratic){NEW_ARRAY(w->scratch, double, n), NEW_ARRAY(w->scratch, double, n),
                   NEW_ARRAY(w->scratch, double, n *n)};
  for (uint32_t k = 0; k < n; k++) {
    LatentChange ahead = along(w, f, k, 1), behind = along(w, f, k, -1), far = along(w, f, k, 2);
    up[k] = ahead.by;
    q->scale[k] = fmax(ahead.scale, behind.scale);
    q->gradient[k] = (double)((ahead.by - behind.by) / 2);
    q->hessian[k * n + k] = (double)(ahead.by + behind.by);
    if (!isfinite(ahead.by) || !isfinite(behind.by) || !isfinite(far.by)) return false;
    if (!latent_agrees((double)far.by, (double)(3 * ahead.by + behind.by), q->scale[k] + far.scale)) return false;
  }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < i; j++)
      q->hessian[i * n + j] = q->hessian[j * n + i] = (double)(between(w, f, i, j).by - up[i] - up[j]);
  return predicts_elsewhere(w, f, q);
}

/* A direction along which no weight changes has no size of its own. */
static double root_scale(const Quadratic *q, uint32_t k) { return q->scale[k] > 0 ? sqrt(q->scale[k]) : 1; }

/* Eigenvalues on the diagonal of a, vectors in the columns of v (Jacobi's rotations). */
static void eigen(double *a, double *v, uint32_t n) {
  for (uint32_t i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
  for (int sweep = 0; sweep < 60; sweep++)
    for (uint32_t p = 0; p < n; p++)
      for (uint32_t q = p + 1; q < n; q++) {
        if (a[p * n + q] == 0) continue;
        double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
        double c = 1 / sqrt(t * t + 1), s = t * c;
        for (uint32_t k = 0; k < n; k++) {
          double x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (uint32_t k = 0; k < n; k++) {
          double x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
          x = v[k * n + p], y = v[k * n + q];
          v[k * n + p] = c * x - s * y;
          v[k * n + q] = s * x + c * y;
        }
      }
}

/* Of the curvature in units of s, on scratch: the eigenvalues, and vectors in the columns of *v.  What couples two
 * directions by no more than rounding is dropped: their scales may differ by many powers of ten. */
static double *eigenvalues(World *w, const Quadratic *q, uint32_t n, double **v) {
  double *a = NEW_ARRAY(w->scratch, double, n * n);
  *v = NEW_ARRAY(w->scratch, double, n * n);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) {
      double h = q->hessian[i * n + j], rounding = DBL_EPSILON * fmax(q->scale[i], q->scale[j]);
      a[i * n + j] = fabs(h) > rounding ? h / (root_scale(q, i) * root_scale(q, j)) : 0;
    }
  eigen(a, *v, n);
  for (uint32_t e = 0; e < n; e++) a[e] = a[e * n + e];
  return a;
}

/* sqrt(s) of an eigenvector: of the directions that it consists of, by their shares. */
static double eigen_scale(const Quadratic *q, uint32_t n, const double *v, uint32_t e) {
  double square = 0;
  for (uint32_t k = 0; k < n; k++) square += v[k * n + e] * v[k * n + e] * root_scale(q, k) * root_scale(q, k);
  return sqrt(square);
}

/* Is eigenvector e a place's axis, or near one? */
static bool is_axis(World *w, const Frame *f, const Quadratic *q, const double *v, uint32_t e) {
  uint32_t n = f->places->n, large = 0;
  double most = 0, *along = NEW_ARRAY(w->scratch, double, n);
  for (uint32_t i = 0; i < n; i++) {
    along[i] = 0;
    for (uint32_t k = 0; k < n; k++) along[i] += f->basis[i * n + k] * v[k * n + e] / root_scale(q, k);
    most = fmax(most, fabs(along[i]));
  }
  for (uint32_t i = 0; i < n; i++) large += fabs(along[i]) > 1e-8 * most;
  return large <= 1;
}

/* The step, in directions, to the top of a concave quadratic; what has no slope and no curvature keeps its value.  Of a
 * line of tops that no place's axis is, any is right. */
static bool step_to_top(World *w, const Frame *f, const Quadratic *q, double *move) {
  uint32_t n = f->places->n;
  double *v, *curvature = eigenvalues(w, q, n, &v);
  for (uint32_t k = 0; k < n; k++) move[k] = 0;
  for (uint32_t e = 0; e < n; e++) {
    double slope = 0;
    for (uint32_t k = 0; k < n; k++) slope += v[k * n + e] * q->gradient[k] / root_scale(q, k);
    if (curvature[e] > FLAT || (curvature[e] > -FLAT && fabs(slope) > FLAT_SLOPE * eigen_scale(q, n, v, e)))
      return false;
    if (curvature[e] > -FLAT && !is_axis(w, f, q, v, e)) w->q->lost = true;
    if (curvature[e] > -FLAT) continue;
    for (uint32_t k = 0; k < n; k++) move[k] -= slope / curvature[e] * v[k * n + e] / root_scale(q, k);
  }
  return true;
}

/* ---- bases ------------------------------------------------------------------------------------------------------ */

static void use_axes(Frame *f) {
  uint32_t n = f->places->n;
  for (uint32_t i = 0; i < n * n; i++) f->basis[i] = i % (n + 1) == 0;
}

/* Steps over which the objective changes by about s. */
static void stretch_axes(Frame *f, const Quadratic *q) {
  uint32_t n = f->places->n;
  for (uint32_t k = 0; k < n; k++) {
    double curvature = fabs(q->hessian[k * n + k]);
    f->basis[k * n + k] = curvature > 0 ? fmax(1e-4, fmin(1e5, sqrt(q->scale[k] / curvature))) : 1e5;
  }
}

/* From stretched axes to eigenvectors; flat ones keep their length: what is seen along them is rounding. */
static void use_eigenvectors(World *w, Frame *f, const Quadratic *q) {
  uint32_t n = f->places->n;
  double *v, *curvature = eigenvalues(w, q, n, &v), *axes = NEW_ARRAY(w->scratch, double, n);
  for (uint32_t k = 0; k < n; k++) axes[k] = f->basis[k * n + k];
  for (uint32_t e = 0; e < n; e++) {
    double length = eigen_scale(q, n, v, e) / (fabs(curvature[e]) > FLAT ? sqrt(fabs(curvature[e])) : 1);
    for (uint32_t k = 0; k < n; k++) f->basis[k * n + e] = axes[k] * v[k * n + e] / root_scale(q, k) * length;
  }
}

/* Is place k's top, `top`, known well enough?  Rounding is a few units of each direction that has curvature. */
static bool is_certain(const Frame *f, const Quadratic *q, uint32_t k, double top) {
  uint32_t n = f->places->n;
  double square = 0;
  for (uint32_t e = 0; e < n; e++) {
    double part = f->basis[k * n + e];
    if (q->hessian[e * n + e] < -FLAT * q->scale[e]) square += part * part;
  }
  return 4 * DBL_EPSILON * sqrt(square) <= CERTAIN * (1 + fabs(top));
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static void set_normal(World *w, const Block *b, double mean, double variance, double damping) {
  double *p = w->q->param + 2 * (size_t)b->first, old = p[1] * p[1];
  if (b->kind == Q_CONJUGATE) {
    double precision = latent_damped(1 / variance, 1 / old, damping);
    p[0] = latent_damped(mean / variance, p[0] / old, damping) / precision;
    p[1] = sqrt(1 / precision);
  } else {
    p[0] = latent_damped(mean, p[0], damping);
    p[1] = sqrt(latent_damped(variance, old, damping));
  }
  w->z[b->first] = p[0];
}

static bool all_points_or_normal(const World *w, const LatentPlaces *p) {
  for (uint32_t k = 0; k < p->n; k++) {
    const Block *b = &w->q->blocks.at[w->q->block_of[p->at[k]]];
    if (b->family != FAMILY_POINT && b->family != FAMILY_NORMAL) return false;
  }
  return true;
}

/* curvature: of the objective along the place's own axis; seen: it is more than rounding. */
static void take_place(World *w, uint32_t place, double top, double curvature, bool seen, double damping) {
  const Block *b = &w->q->blocks.at[w->q->block_of[place]];
  if (b->family == FAMILY_POINT) w->z[place] = latent_damped(top, w->z[place], damping);
  else if (seen) set_normal(w, b, top, -1 / curvature, damping);
}

bool latent_take_quadratic(World *w, const LatentPlaces *p, double damping) {
  uint32_t n = p->n;
  Quadratic q, along_eigenvectors;
  if (!all_points_or_normal(w, p)) return false;
  ArenaMark mark = arena_mark(w->scratch);
  double *move = NEW_ARRAY(w->scratch, double, n), *origin = NEW_ARRAY(w->scratch, double, n);
  double *unit = NEW_ARRAY(w->scratch, double, n);
  Frame f = {p, origin, NEW_ARRAY(w->scratch, double, n * n)};
  for (uint32_t k = 0; k < n; k++) origin[k] = w->z[p->at[k]];
  pin(w, p, true);
  latent_change_begin(w);
  use_axes(&f);
  bool ok = fit(w, &f, &q);
  if (ok) stretch_axes(&f, &q);
  for (uint32_t k = 0; k < n; k++) unit[k] = f.basis[k * n + k];
  ok = ok && fit(w, &f, &q);
  if (ok) use_eigenvectors(w, &f, &q);
  ok = ok && fit(w, &f, &along_eigenvectors) && step_to_top(w, &f, &along_eigenvectors, move);
  pin(w, p, false);
  for (uint32_t k = 0; k < n && ok; k++) {
    double top = origin[k], curvature = q.hessian[k * n + k];
    for (uint32_t e = 0; e < n; e++) top += move[e] * f.basis[k * n + e];
    if (!is_certain(&f, &along_eigenvectors, k, top)) w->q->lost = true;
    take_place(w, p->at[k], top, curvature / (unit[k] * unit[k]), curvature < -FLAT * q.scale[k], damping);
  }
  arena_release(w->scratch, mark);
  return ok;
}
