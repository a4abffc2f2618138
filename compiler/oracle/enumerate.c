/* enumerate: every joint value of a component with its log weight.
 *
 * Units take their values in order of declaration, which is also the order in which supports depend on
 * each other and in which ties are broken.  A factor is weighed once all it mentions is known; one of -inf
 * removes the value, and with it whatever errors or NaN its other factors met. */
#include <math.h>

#include "oracle/world.h"

typedef struct Run {
  const Component *c;
  Table *table;
  int with;
  Span span; /* of the component's last unit, for refusals */
} Run;

/* What is known of a value on the way down. */
typedef struct Path {
  double log_w; /* of the finite factors */
  bool spoilt;  /* some factor is NaN */
  bool failed;
  Span fault_span;
  const char *fault;
} Path;

static int factor_class(const Weight *x) {
  switch (x->kind) {
  case WEIGHT_PRIOR: return x->edge ? WITH_PRIOR : WITH_POTENTIAL;
  case WEIGHT_REQUIRE: return WITH_REQUIRE;
  case WEIGHT_POTENTIAL: case WEIGHT_OBSERVE: break;
  }
  return WITH_POTENTIAL;
}

/* False: removed. */
static bool apply_factor(World *w, Path *path, const Factor *f) {
  double log_w = factor_expected_log_w(w, f);
  if (w->refused) return false;
  if (w->failed) {
    if (!path->failed) {
      path->fault = w->fault;
      path->fault_span = w->fault_span;
    }
    path->failed = true;
    w->failed = false;
    return true;
  }
  if (log_w == -INFINITY) return false;
  if (isnan(log_w)) path->spoilt = true;
  else path->log_w += log_w;
  return true;
}

static bool apply_factors(World *w, const Run *r, Path *path, uint32_t depth) {
  for (uint32_t k = 0; k < r->c->n_factors; k++) {
    const Factor *f = &w->factors.at[r->c->factors[k]];
    if (f->depth == depth && (factor_class(f->weight) & r->with) && !apply_factor(w, path, f)) return false;
  }
  return true;
}

static void grow(World *w, Table *t) {
  uint64_t cap = t->cap ? 2 * t->cap : 16;
  int64_t *values = NEW_ARRAY(w->arena, int64_t, cap * t->width);
  double *log_w = NEW_ARRAY(w->arena, double, cap);
  if (t->n) {
    memcpy(values, t->values, t->n * t->width * sizeof *values);
    memcpy(log_w, t->log_w, t->n * sizeof *log_w);
  }
  t->values = values;
  t->log_w = log_w;
  t->cap = cap;
}

/* Product of the units' numbers of candidates, as far as those can be told at once. */
static double cost(World *w, const Component *c) {
  double product = 1;
  for (uint32_t k = 0; k < c->n_units; k++) {
    w->need = NEED_NOTHING;
    Support s = unit_support(w, &w->units.at[c->units[k]]);
    if (w->need == NEED_NOTHING) product *= (double)support_tries(&s);
  }
  w->need = NEED_NOTHING;
  return product;
}

static void add_row(World *w, const Run *r, const Path *path) {
  Table *t = r->table;
  if (path->failed) {
    w->failed = true;
    w->fault = path->fault;
    w->fault_span = path->fault_span;
    return;
  }
  if ((double)(t->n + 1) * t->width > w->limits.max_values) {
    for (uint32_t k = 0; k < r->c->n_units; k++) support_clear(w, &w->units.at[r->c->units[k]]);
    world_refuse(w, r->span, "exact enumeration of this edge with the %u other copies it is joined to has about %.3g "
           "joint values, the limit is %.3g cells", t->width - 1, cost(w, r->c), w->limits.max_values);
    return;
  }
  if (t->n == t->cap) grow(w, t);
  for (uint32_t k = 0; k < t->width; k++) t->values[t->n * t->width + k] = w->value[r->c->copies[k]];
  t->log_w[t->n++] = path->spoilt ? NAN : path->log_w;
  if (fabs(path->log_w) > w->max_log_w) w->max_log_w = fabs(path->log_w);
}

static bool has_prior(const World *w, const Unit *u) {
  for (uint32_t k = 0; k < u->n; k++)
    if (w->copies.at[u->first + k].has_prior) return true;
  return false;
}

static void descend(World *w, const Run *r, Path path, uint32_t depth) {
  if (depth == r->c->n_units) {
    add_row(w, r, &path);
    return;
  }
  Unit *u = &w->units.at[r->c->units[depth]];
  Support s = unit_support(w, u);
  if ((r->with & WITH_PRIOR) && !has_prior(w, u) && !s.forced_zero) path.log_w -= log((double)support_count(w, u, &s));
  for (int64_t k = 0; k < support_tries(&s) && !w->failed && world_step(w, u->edge->span); k++) {
    if (!support_set(w, u, &s, k)) continue;
    Path next = path;
    if (apply_factors(w, r, &next, depth)) descend(w, r, next, depth + 1);
  }
  support_clear(w, u);
}

Table *component_enumerate(World *w, const Component *c, int with, Table *reuse) {
  Table *t = reuse ? reuse : NEW(w->arena, Table);
  t->width = c->n_copies;
  t->n = 0;
  Run r = {c, t, with, w->units.at[c->units[c->n_units - 1]].edge->span};
  descend(w, &r, (Path){0}, 0);
  for (uint32_t k = 0; k < c->n_units; k++) support_clear(w, &w->units.at[c->units[k]]);
  t->log_z = oracle_log_sum_exp(t->log_w, t->n);
  return t;
}

double component_log_z(const Component *c) {
  return c->lost_prior ? oracle_add_log(c->table->log_z, NAN) : c->table->log_z;
}

bool world_infer_components(World *w) {
  for (uint32_t k = 0; k < w->n_components && !w->failed; k++) {
    Component *c = &w->components[k];
    uint64_t cap = c->table ? c->table->cap : 0;
    c->table = component_enumerate(w, c, WITH_ALL, c->table);
    if (w->failed) break;
    if (!c->p || c->table->cap > cap) c->p = NEW_ARRAY(w->arena, double, c->table->cap);
    for (uint64_t i = 0; i < c->table->n; i++)
      c->p[i] = isnan(c->table->log_z) ? NAN : exp(c->table->log_w[i] - c->table->log_z);
    if (c->infer) component_replace_posterior(w, c);
  }
  return !w->failed;
}
