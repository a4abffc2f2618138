/* latent_step: one step of an `infer` line: raises E_r[log w] (+ H[q]) in its latents, the edge posterior r
 * held fixed, without any algebra.
 *
 * The objective is looked at from outside.  A quadratic is known from its values (latent_quadratic.c), a log
 * density of the beta, gamma or dirichlet kind from its values at a few points of the range.  It is checked at
 * further points, and what fits neither takes a gradient step (latent_gradient.c). */
#include <math.h>

#include "base/ice.h"
#include "model/term.h"
#include "oracle/latent.h"

/* ---- conjugate forms --------------------------------------------------------------------------------------------- */

enum { MAX_SIMPLEX = 32 };

/* The k-th point of the range at which a form is fitted (the last two check it); width places. */
static void form_point(LatentRange range, uint32_t width, uint32_t k, double *z) {
  static const double unit[] = {0.2, 0.5, 0.8, 0.35, 0.65}, positive[] = {0.5, 1, 2, 0.25, 3.5};
  if (range != RANGE_SIMPLEX) {
    z[0] = range == RANGE_UNIT ? unit[k] : positive[k];
    return;
  }
  double sum = 0;
  for (uint32_t i = 0; i < width; i++) {
    z[i] = k == 0 ? 1 : k <= width ? (i + 1 == k ? 3 : 1) : 1 + fmod((k - width) * 0.7 * (i + 1), 2);
    sum += z[i];
  }
  for (uint32_t i = 0; i < width; i++) z[i] /= sum;
}

static void form_functions(LatentRange range, uint32_t width, const double *z, double *row) {
  row[0] = 1;
  for (uint32_t i = 0; i < width; i++) row[i + 1] = log(z[i]);
  if (range == RANGE_UNIT) row[2] = log1p(-z[0]);
  if (range == RANGE_POSITIVE) row[2] = -z[0];
}

/* Coefficients of the form in `c` (c[0] the constant); false where the objective is of another kind. */
static bool fit_form(World *w, const Block *b, LatentRange range, double *c) {
  uint32_t n = range == RANGE_SIMPLEX ? b->n + 1 : 3, count = n + 2;
  double a[(MAX_SIMPLEX + 1) * (MAX_SIMPLEX + 1)], row[MAX_SIMPLEX + 1], saved[MAX_SIMPLEX], f[MAX_SIMPLEX + 3];
  double z[MAX_SIMPLEX], scale = 1;
  if (b->n > MAX_SIMPLEX) return false;
  memcpy(saved, w->z + b->first, b->n * sizeof *saved);
  bool ok = true;
  for (uint32_t k = 0; k < count && ok; k++) {
    form_point(range, b->n, k, z);
    memcpy(w->z + b->first, z, b->n * sizeof *z);
    f[k] = latent_objective(w);
    scale = fmax(scale, fabs(f[k]));
    ok = isfinite(f[k]);
    if (k < n) form_functions(range, b->n, z, a + k * n);
  }
  memcpy(w->z + b->first, saved, b->n * sizeof *saved);
  if (!ok) return false;
  memcpy(c, f, n * sizeof *c);
  if (!latent_solve(a, c, n)) return b->n == 1 && range == RANGE_SIMPLEX;
  for (uint32_t k = n; k < count && ok; k++) {
    double value = 0;
    form_point(range, b->n, k, z);
    form_functions(range, b->n, z, row);
    for (uint32_t i = 0; i < n; i++) value += c[i] * row[i];
    ok = latent_agrees(value, f[k], scale);
  }
  return ok;
}

/* Of x^a (1 - x)^b. */
static double mode_in_unit(double a, double b) {
  if (a <= 0 && b > 0) return 0;
  if (b <= 0 && a > 0) return 1;
  return a / (a + b);
}

/* The mode of the density exp(form), clamped to the range; kept where it has none. */
static void point_at_mode(World *w, const Block *b, LatentRange range, const double *c, double damping) {
  double sum = 0;
  for (uint32_t k = 0; k < b->n; k++) sum += c[k + 1] > 0 ? c[k + 1] : 0;
  for (uint32_t k = 0; k < b->n; k++) {
    double *z = &w->z[b->first + k], fresh = *z;
    if (range == RANGE_SIMPLEX && sum > 0) fresh = fmax(c[k + 1], 0) / sum;
    if (range == RANGE_UNIT && c[1] + c[2] != 0) fresh = mode_in_unit(c[1], c[2]);
    if (range == RANGE_POSITIVE && c[2] != 0) fresh = fmax(c[1] / c[2], 0);
    *z = latent_damped(fresh, *z, damping);
  }
}

static bool set_conjugate(World *w, const Block *b, LatentRange range, const double *c, double damping) {
  double *p = w->q->param + 2 * (size_t)b->first;
  bool beta = range == RANGE_UNIT && b->family == FAMILY_BETA,
       gamma = range == RANGE_POSITIVE && b->family == FAMILY_GAMMA;
  if (!beta && !gamma && b->family != FAMILY_DIRICHLET) return false;
  for (uint32_t k = 0; k < b->n; k++)
    if (c[k + 1] + 1 <= 0) return false;
  if ((beta && c[2] + 1 <= 0) || (gamma && c[2] <= 0)) return false;
  for (uint32_t k = 0; k < b->n; k++) p[2 * k] = latent_damped(c[k + 1] + 1, p[2 * k], damping);
  if (beta) p[1] = latent_damped(c[2] + 1, p[1], damping);
  if (gamma) p[1] = latent_damped(c[2], p[1], damping);
  latent_block_mean(w, b);
  return true;
}

static bool take_form(World *w, Block *b, LatentRange range, double damping) {
  double c[MAX_SIMPLEX + 1] = {0};
  if (range == RANGE_REAL) return false;
  b->pinned = true;
  bool ok = fit_form(w, b, range, c);
  b->pinned = false;
  if (!ok) return false;
  if (b->family != FAMILY_POINT) return set_conjugate(w, b, range, c, damping);
  point_at_mode(w, b, range, c, damping);
  return true;
}

/* ---- a line ------------------------------------------------------------------------------------------------------ */

enum { MAX_JOINT = 48 };

static LatentPlaces places_of(World *w, uint32_t first, uint32_t end) {
  LatentPlaces p = {NEW_ARRAY(w->scratch, uint32_t, end - first), end - first};
  for (uint32_t k = 0; k < p.n; k++) p.at[k] = first + k;
  return p;
}

static LatentPlaces join_places(World *w, const LatentPlaces *a, const LatentPlaces *b) {
  LatentPlaces p = {NEW_ARRAY(w->scratch, uint32_t, a->n + b->n), a->n + b->n};
  for (uint32_t k = 0; k < a->n; k++) p.at[k] = a->at[k];
  for (uint32_t k = 0; k < b->n; k++) p.at[a->n + k] = b->at[k];
  return p;
}

/* Ends of the copy that starts at `first`: its places differ in the axes only. */
static uint32_t copy_end(const World *w, const Latent *l, uint32_t first, uint32_t end) {
  uint32_t lead = l->plates.n + l->own.n, k = first + 1;
  while (k < end && (lead == 0 || memcmp(w->places.at[k].at, w->places.at[first].at, lead * sizeof(int64_t)) == 0)) k++;
  return k;
}

/* Coefficients a, b of a log z + b / z^2, as of a normal's spread, from values around `unit`; false: another function.
 */
static bool fit_spread(World *w, uint32_t k, double unit, double *c, double *scale) {
  static const double at[] = {0.5, 1, 2, 0.25, 3.5};
  double f[5], old = w->z[k], a[9];
  *scale = 1;
  for (int n = 0; n < 5; n++) {
    w->z[k] = at[n] * unit;
    f[n] = latent_objective(w);
    *scale = fmax(*scale, fabs(f[n]));
  }
  w->z[k] = old;
  for (int n = 0; n < 3; n++) c[n] = f[n], a[3 * n] = 1, a[3 * n + 1] = log(at[n]), a[3 * n + 2] = 1 / (at[n] * at[n]);
  if (!isfinite(*scale) || !latent_solve(a, c, 3)) return false;
  for (int n = 3; n < 5; n++)
    if (!latent_agrees(c[0] + c[1] * log(at[n]) + c[2] / (at[n] * at[n]), f[n], *scale)) return false;
  c[2] *= unit * unit;
  return true;
}

/* Points of that kind, one by one, to sqrt(2 b / a); fitted once more near there. */
static bool take_spreads(World *w, uint32_t first, uint32_t end, double damping) {
  for (uint32_t k = first; k < end; k++) {
    double c[3], scale, unit = 1;
    bool flat = false;
    if (w->q->blocks.at[w->q->block_of[k]].family != FAMILY_POINT) return false;
    for (int round = 0; round < 3 && !flat; round++) {
      if (!fit_spread(w, k, unit, c, &scale)) return false;
      flat = fabs(c[1]) <= 1e-11 * scale && fabs(c[2]) <= 1e-11 * scale * unit * unit;
      if (!flat && (c[1] >= 0 || c[2] > 0)) return false;
      if (!flat) unit = sqrt(2 * c[2] / c[1]);
      if (!flat && unit == 0) break;
    }
    if (!flat) w->z[k] = latent_damped(unit, w->z[k], damping);
  }
  return true;
}

static bool closed_copy(World *w, uint32_t first, uint32_t end, LatentRange range, double damping) {
  if (range == RANGE_REAL) {
    LatentPlaces p = places_of(w, first, end);
    return latent_take_quadratic(w, &p, damping) || take_spreads(w, first, end, damping);
  }
  for (uint32_t k = first; k < end;) {
    Block *b = &w->q->blocks.at[w->q->block_of[k]];
    if (!take_form(w, b, range, damping)) return false;
    k = b->first + b->n;
  }
  return true;
}

/* All copies of a latent in closed form: at once where that is one concave quadratic, else in index order. */
static bool closed_latent(World *w, const Latent *l, double damping) {
  uint32_t first = w->q->latent_first[l->id], end = w->q->latent_first[l->id + 1];
  LatentRange range = latent_range(l);
  if (range == RANGE_REAL && end - first <= MAX_JOINT) {
    LatentPlaces p = places_of(w, first, end);
    if (latent_take_quadratic(w, &p, damping)) return true;
  }
  ArenaMark mark = arena_mark(w->scratch);
  uint32_t n = end - first;
  double *z = NEW_ARRAY(w->scratch, double, n), *param = NEW_ARRAY(w->scratch, double, 2 * n);
  memcpy(z, w->z + first, n * sizeof *z);
  memcpy(param, w->q->param + 2 * (size_t)first, 2 * n * sizeof *param);
  bool ok = true;
  for (uint32_t k = first, next; k < end && ok; k = next) {
    next = copy_end(w, l, k, end);
    ok = closed_copy(w, k, next, range, damping);
  }
  if (!ok) {
    memcpy(w->z + first, z, n * sizeof *z);
    memcpy(w->q->param + 2 * (size_t)first, param, 2 * n * sizeof *param);
  }
  arena_release(w->scratch, mark);
  return ok;
}

static bool closed_line(World *w, const Infer *line, double damping) {
  LatentPlaces all = {NULL, 0};
  for (uint32_t k = 0; k < line->latents.n; k++) {
    const Latent *l = line->latents.at[k];
    if (latent_range(l) != RANGE_REAL) return false;
    LatentPlaces p = places_of(w, w->q->latent_first[l->id], w->q->latent_first[l->id + 1]);
    all = join_places(w, &all, &p);
  }
  if (all.n > MAX_JOINT && line->latents.n > 1) w->q->lost = true; /* whether they join in one form is not looked for */
  return all.n > 0 && all.n <= MAX_JOINT && latent_take_quadratic(w, &all, damping);
}

/* Does the latent stand under what bends a quadratic? */
static bool bends(const Term *t, const Latent *l) {
  bool straight = t->kind != TERM_OP || t->op == OP_ADD || t->op == OP_SUB || t->op == OP_NEG || t->op == OP_MUL ||
                  t->op == OP_DIV || t->op == OP_SQ || t->op == OP_TO_REAL;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (straight ? bends(t->args.at[i], l) : term_mentions_latent(t->args.at[i], l)) return true;
  return false;
}

/* Its logarithm goes by factors, powers and sides of an `if`. */
static bool log_bends(const Term *t, const Latent *l) {
  bool by_parts = t->kind == TERM_IF || (t->kind == TERM_OP && (t->op == OP_MUL || t->op == OP_DIV || t->op == OP_POW));
  if (t->kind == TERM_OP && t->op == OP_EXP) return bends(t->args.at[0], l);
  if (!by_parts) return term_mentions_latent(t, l);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (log_bends(t->args.at[i], l)) return true;
  return false;
}

static bool bends_in(const Weight *x, const Latent *l) {
  if ((x->value && log_bends(x->value, l)) || (x->left && bends(x->left, l))) return true;
  bool straight = x->dist == DIST_NORMAL || x->dist == DIST_POISSON || x->dist == DIST_EXPONENTIAL ||
                  x->dist == DIST_GAMMA || x->dist == DIST_BERNOULLI || x->dist == DIST_GEOMETRIC ||
                  x->dist == DIST_BINOMIAL || x->dist == DIST_WEIGHTS;
  for (uint32_t i = 0; i < x->params.n; i++)
    if (straight ? bends(x->params.at[i], l) : term_mentions_latent(x->params.at[i], l)) return true;
  return false;
}

/* The steps of a model are the same for all sizes and data: that a form is closed where a weight has no copies tells
 * nothing, nor that it is so by chance of what a factor or a condition is there. */
static void doubt_closed(World *w, const Latent *l) {
  for (uint32_t k = 0; k < w->model->weights.n; k++) {
    const Weight *x = w->model->weights.at[k];
    bool here = false;
    for (uint32_t i = 0; i < w->q->locals.n && !here; i++)
      here = w->q->locals.at[i].f->weight == x && w->q->locals.at[i].n;
    bool by_chance = w->limits.sloped && w->limits.sloped[l->id];
    if ((!here || by_chance) && bends_in(x, l)) w->q->lost = true;
  }
}

static void update_line(World *w, const Infer *line) {
  double damping = world_real(w, line->damping), rate = world_real(w, line->rate);
  LatentPlaces left = {NULL, 0};
  if (line->step != STEP_GRADIENT && closed_line(w, line, damping)) {
    for (uint32_t k = 0; k < line->latents.n; k++) doubt_closed(w, line->latents.at[k]);
    return;
  }
  for (uint32_t k = 0; k < line->latents.n; k++) {
    const Latent *l = line->latents.at[k];
    if (line->step != STEP_GRADIENT && closed_latent(w, l, damping)) {
      doubt_closed(w, l);
      continue;
    }
    LatentPlaces p = places_of(w, w->q->latent_first[l->id], w->q->latent_first[l->id + 1]);
    left = join_places(w, &left, &p);
    if (line->step == STEP_CLOSED)
      world_fault(w, line->span, "no closed step for '%s'", sym_text(w->model->names, l->name));
  }
  if (left.n && !w->failed) latent_take_gradient(w, &left, rate, damping);
}

static void watched(const World *w, const Infer *line, uint32_t *first, uint32_t *end, uint32_t k) {
  *first = w->q->latent_first[line->latents.at[k]->id];
  *end = w->q->latent_first[line->latents.at[k]->id + 1];
}

void latent_step(World *w, Infer *line) {
  ArenaMark mark = arena_mark(w->scratch);
  uint32_t n = w->places.n, first, end;
  double *z = NEW_ARRAY(w->scratch, double, n), *param = NEW_ARRAY(w->scratch, double, 2 * n), change = 0;
  memcpy(z, w->z, n * sizeof *z);
  memcpy(param, w->q->param, 2 * n * sizeof *param);
  latent_objective_begin(w);
  update_line(w, line);
  for (uint32_t k = 0; k < line->latents.n; k++) {
    watched(w, line, &first, &end, k);
    for (uint32_t i = first; i < end; i++) {
      bool point = w->q->blocks.at[w->q->block_of[i]].family == FAMILY_POINT;
      if (point) change = fmax(change, fabs(w->z[i] - z[i]));
      else
        change = fmax(change,
                      fmax(fabs(w->q->param[2 * i] - param[2 * i]), fabs(w->q->param[2 * i + 1] - param[2 * i + 1])));
    }
  }
  double tol = world_real(w, line->tol);
  if (tol > 0 && change <= tol) w->q->resting[line->id] = true;
  arena_release(w->scratch, mark);
}
