/* latent_objective: E_r E_q[log w] of the weights that mention latents, as a function of where the latents stand.
 *
 * The edges' posterior r is held fixed while a line moves, and a weight looks at few copies of a component.  So for
 * each weight the joint values of the copies in its scope are collected once, with the probabilities that r gives them
 * (its marginal over the scope): a sum over these is the sum over all rows of the component's table.
 *
 * Requires: posteriors of all components.  The collection lies on scratch until the step's mark is released. */
#include <math.h>

#include "oracle/latent.h"

typedef struct Gather {
  LocalWeight *l;
  uint32_t *column;     /* of the component's table, by place in the scope */
  uint64_t *slot, mask; /* hash of values: number in l, plus 1 */
} Gather;

static uint64_t hash_of(const int64_t *v, uint32_t n) {
  uint64_t h = 0x9e3779b97f4a7c15U;
  for (uint32_t k = 0; k < n; k++) h = (h ^ (uint64_t)v[k]) * 0xff51afd7ed558ccdU, h ^= h >> 32;
  return h;
}

static void gather_row(Gather *g, const int64_t *row, double p) {
  LocalWeight *l = g->l;
  uint32_t width = l->f->n_scope;
  int64_t *next = l->values + l->n * width;
  for (uint32_t k = 0; k < width; k++) next[k] = row[g->column[k]];
  uint64_t at = hash_of(next, width) & g->mask;
  for (; g->slot[at]; at = (at + 1) & g->mask)
    if (!memcmp(l->values + (g->slot[at] - 1) * width, next, width * sizeof *next)) {
      l->p[g->slot[at] - 1] += p;
      return;
    }
  l->p[l->n++] = p;
  g->slot[at] = l->n;
}

static uint32_t column_of(const Component *c, uint32_t copy) {
  for (uint32_t i = 0; i < c->n_copies; i++)
    if (c->copies[i] == copy) return i;
  return 0; /* not reached: the scope of a component's factor lies in the component */
}

/* Of a method that knows the marginals of single copies alone. */
static void gather_marginal(World *w, Gather *g, const Component *c) {
  if (g->l->f->n_scope != 1) {
    w->unjudged = true; /* no joint law */
    return;
  }
  const double *p = c->marginal + (size_t)g->column[0] * c->n_copies;
  g->column[0] = 0;
  for (int64_t j = 0; j < c->n_copies; j++) gather_row(g, &j, p[j]);
}

static LocalWeight gather(World *w, const Component *c, const Factor *f) {
  uint64_t rows = c->marginal && c->table->n < c->n_copies ? c->n_copies : c->table->n, size = 4;
  while (size < 2 * rows) size *= 2;
  LocalWeight l = {.f = f,
                   .values = NEW_ARRAY(w->scratch, int64_t, (rows + 1) * f->n_scope + 1),
                   .p = NEW_ARRAY(w->scratch, long double, rows + 1),
                   .base = NEW_ARRAY(w->scratch, double, rows + 1)};
  Gather g = {&l, NEW_ARRAY(w->scratch, uint32_t, f->n_scope + 1), NEW_ARRAY(w->scratch, uint64_t, size), size - 1};
  memset(g.slot, 0, size * sizeof *g.slot);
  for (uint32_t k = 0; k < f->n_scope; k++) g.column[k] = column_of(c, f->scope[k]);
  if (c->marginal && c->table->n) gather_marginal(w, &g, c);
  for (uint64_t row = 0; !c->marginal && row < rows; row++)
    if (c->p[row] != 0) gather_row(&g, c->table->values + row * c->n_copies, c->p[row]);
  return l;
}

void latent_objective_begin(World *w) {
  LatentState *q = w->q;
  long double *one = NEW_ARRAY(w->scratch, long double, 1);
  *one = 1;
  q->locals.n = 0;
  for (uint32_t k = 0; k < w->factors.n; k++) {
    const Factor *f = &w->factors.at[k];
    if (!q->weight_mentions[f->weight->id]) continue;
    if (f->component == NO_COMPONENT)
      vec_push(w->arena, &q->locals,
               ((LocalWeight){.f = f, .n = 1, .p = one, .base = NEW_ARRAY(w->scratch, double, 1)}));
    else
      vec_push(w->arena, &q->locals, gather(w, &w->components[f->component], f));
  }
}

static void see_values(World *w, const LocalWeight *l, uint64_t n) {
  for (uint32_t i = 0; l->values && i < l->f->n_scope; i++) w->value[l->f->scope[i]] = l->values[n * l->f->n_scope + i];
}

static void forget_values(World *w, const LocalWeight *l) {
  for (uint32_t i = 0; l->values && l->n && i < l->f->n_scope; i++) w->value[l->f->scope[i]] = UNKNOWN_VALUE;
}

enum { ANY_PLACE = UINT32_MAX };

/* Does the log weight, its copies' values being seen, look at the place? */
static bool looks_at(World *w, const Factor *f, uint32_t place) {
  if (place == ANY_PLACE) return true;
  latent_touch_begin(w);
  factor_log_w(w, f);
  return w->q->touched[place];
}

static double objective(World *w, uint32_t place) {
  long double total = 0;
  for (uint32_t k = 0; k < w->q->locals.n && !w->failed; k++) {
    const LocalWeight *l = &w->q->locals.at[k];
    for (uint64_t n = 0; n < l->n && !w->failed; n++) {
      see_values(w, l, n);
      if (looks_at(w, l->f, place)) total += l->p[n] * factor_expected_log_w(w, l->f);
    }
    forget_values(w, l);
  }
  return w->failed ? NAN : (double)total;
}

double latent_objective(World *w) { return objective(w, ANY_PLACE); }

double latent_objective_at(World *w, uint32_t place) { return objective(w, place); }

void latent_change_begin(World *w) {
  for (uint32_t k = 0; k < w->q->locals.n && !w->failed; k++) {
    const LocalWeight *l = &w->q->locals.at[k];
    for (uint64_t n = 0; n < l->n && !w->failed; n++) {
      see_values(w, l, n);
      l->base[n] = factor_expected_log_w(w, l->f);
    }
    forget_values(w, l);
  }
}

LatentChange latent_change(World *w) {
  LatentChange c = {0, 0};
  for (uint32_t k = 0; k < w->q->locals.n && !w->failed; k++) {
    const LocalWeight *l = &w->q->locals.at[k];
    for (uint64_t n = 0; n < l->n && !w->failed; n++) {
      see_values(w, l, n);
      double log_w = factor_expected_log_w(w, l->f);
      if (log_w == l->base[n] && isfinite(log_w)) continue;
      c.by += l->p[n] * ((long double)log_w - l->base[n]);
      c.scale += (double)l->p[n] * fmax(fabs(log_w), fabs(l->base[n]));
    }
    forget_values(w, l);
  }
  if (w->failed) c.by = NAN;
  return c;
}
