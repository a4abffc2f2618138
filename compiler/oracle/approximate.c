/* approximate: what a file may ask for in place of the exact posterior, by its definition.
 *
 * Changes Component.p, which E, P and latent updates read; the exact table stays for the other queries. */
#include <math.h>

#include "oracle/world.h"

uint64_t component_table_mode(const Table *t) {
  double best = -INFINITY;
  for (uint64_t k = 0; k < t->n; k++) best = fmax(best, t->log_w[k]);
  /* Equal weights may differ by the rounding of their sums: the first of those is the mode. */
  uint64_t k = 0;
  while (k + 1 < t->n && t->log_w[k] < best - 1e-12 * (1 + fabs(best))) k++;
  return k;
}

static void by_mode(Component *c) {
  if (!c->table->n || isnan(c->table->log_z)) return;
  uint64_t mode = component_table_mode(c->table);
  for (uint64_t k = 0; k < c->table->n; k++) c->p[k] = k == mode;
}

/* Rank by weight, then by place; equal is what differs by rounding, as above. */
static bool among_largest(const Table *t, uint64_t k, int64_t count) {
  int64_t before = 0;
  double at = t->log_w[k], near = isfinite(at) ? 1e-12 * (1 + fabs(at)) : 0;
  for (uint64_t j = 0; j < t->n && before < count; j++)
    before += t->log_w[j] > at + near || (t->log_w[j] >= at - near && j < k);
  return before < count;
}

static void by_top(World *w, Component *c) {
  const Table *t = c->table;
  int64_t count = world_int(w, c->infer->k);
  long double total = 0;
  if (isnan(t->log_z)) return;
  for (uint64_t k = 0; k < t->n; k++) {
    if (!among_largest(t, k, count)) c->p[k] = 0;
    total += c->p[k];
  }
  for (uint64_t k = 0; k < t->n && total > 0; k++) c->p[k] = (double)(c->p[k] / total);
}

static double entmax_part(double log_w, double alpha, double threshold) {
  double x = (alpha - 1) * log_w - threshold;
  return x > 0 ? pow(x, 1 / (alpha - 1)) : 0;
}

/* p = [(alpha - 1) log_w - t]_+ ^ (1 / (alpha - 1)) with the t at which they sum to 1. */
static void by_entmax(World *w, Component *c) {
  const Table *t = c->table;
  double alpha = world_real(w, c->infer->alpha), max = -INFINITY;
  if (isnan(t->log_z) || !t->n || alpha == 1) return;
  for (uint64_t k = 0; k < t->n; k++) max = fmax(max, t->log_w[k]);
  double lo = -1, hi = 0; /* about (alpha - 1) max: at -1 the largest part is 1 already */
  for (int round = 0; round < 200; round++) {
    double mid = (lo + hi) / 2, sum = 0;
    for (uint64_t k = 0; k < t->n; k++) sum += entmax_part(t->log_w[k] - max, alpha, mid);
    if (sum >= 1) lo = mid;
    else hi = mid;
  }
  double total = 0;
  for (uint64_t k = 0; k < t->n; k++) total += c->p[k] = entmax_part(t->log_w[k] - max, alpha, lo);
  for (uint64_t k = 0; k < t->n; k++) c->p[k] /= total;
}

/* ---- of a bijection: marginals of single nodes --------------------------------------------------------- */

/* Log weight of node i pointing at j, from the factors that mention node i alone. */
static double node_score(World *w, const Component *c, uint32_t i, int64_t j) {
  uint32_t copy = c->copies[i];
  double score = 0;
  w->value[copy] = j;
  for (uint32_t k = 0; k < c->n_factors; k++) {
    const Factor *f = &w->factors.at[c->factors[k]];
    if (f->n_scope == 1 && f->scope[0] == copy) score = oracle_add_log(score, factor_expected_log_w(w, f));
  }
  w->value[copy] = UNKNOWN_VALUE;
  return score;
}

static bool is_bijection(const World *w, const Component *c) {
  return c->n_units == 1 && w->units.at[c->units[0]].edge->domain == DOMAIN_PERMUTATION;
}

static void by_sinkhorn(World *w, Component *c) {
  if (!is_bijection(w, c)) return;
  uint32_t n = c->n_copies;
  int64_t steps = world_int(w, c->infer->steps);
  double tau = world_real(w, c->infer->tau);
  double *s = NEW_ARRAY(w->arena, double, (size_t)n * n), *f = NEW_ARRAY(w->arena, double, n);
  double *g = NEW_ARRAY(w->arena, double, n), *line = NEW_ARRAY(w->arena, double, n);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) s[i * n + j] = node_score(w, c, i, j) / tau;
  for (int64_t k = 0; k < steps && world_step(w, c->infer->span); k++) {
    for (uint32_t i = 0; i < n; i++) {
      for (uint32_t j = 0; j < n; j++) line[j] = oracle_add_log(s[i * n + j], g[j]);
      f[i] = -oracle_log_sum_exp(line, n);
    }
    for (uint32_t j = 0; j < n; j++) {
      for (uint32_t i = 0; i < n; i++) line[i] = oracle_add_log(s[i * n + j], f[i]);
      g[j] = -oracle_log_sum_exp(line, n);
    }
  }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) s[i * n + j] = exp(oracle_add_log(s[i * n + j], f[i] + g[j]));
  c->marginal = s;
}

/* Minus the log of the sum of all but one of n terms. */
static double message(const double *line, uint32_t n, uint32_t without, double *others) {
  uint32_t m = 0;
  for (uint32_t k = 0; k < n; k++)
    if (k != without) others[m++] = line[k];
  return -oracle_log_sum_exp(others, m);
}

/* P = w r c / (1 + w r c), r and c the reciprocals of sums over the others of a row of w c and of a column of w r. */
static void by_bethe(World *w, Component *c) {
  if (!is_bijection(w, c)) return;
  uint32_t n = c->n_copies;
  int64_t steps = world_int(w, c->infer->steps);
  size_t cells = (size_t)n * n;
  double *s = NEW_ARRAY(w->arena, double, cells), *from_row = NEW_ARRAY(w->arena, double, cells);
  double *from_column = NEW_ARRAY(w->arena, double, cells), *line = NEW_ARRAY(w->arena, double, 2 * (size_t)n);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) s[i * n + j] = node_score(w, c, i, j);
  for (size_t k = 0; k < cells; k++) from_row[k] = from_column[k] = 0;
  for (int64_t k = 0; k < steps && world_step(w, c->infer->span); k++) {
    for (uint32_t i = 0; i < n; i++) {
      for (uint32_t j = 0; j < n; j++) line[j] = oracle_add_log(s[i * n + j], from_column[i * n + j]);
      for (uint32_t j = 0; j < n; j++) from_row[i * n + j] = message(line, n, j, line + n);
    }
    for (uint32_t j = 0; j < n; j++) {
      for (uint32_t i = 0; i < n; i++) line[i] = oracle_add_log(s[i * n + j], from_row[i * n + j]);
      for (uint32_t i = 0; i < n; i++) from_column[i * n + j] = message(line, n, i, line + n);
    }
  }
  for (uint32_t k = 0; k < cells; k++) s[k] = 1 / (1 + exp(-oracle_add_log(s[k], from_row[k] + from_column[k])));
  c->marginal = s;
}

void component_replace_posterior(World *w, Component *c) {
  switch (c->infer->method) {
  case INFER_EXACT: case INFER_SAMPLE: case INFER_COLLAPSED: return;
  case INFER_MODE: by_mode(c); return;
  case INFER_TOP: by_top(w, c); return;
  case INFER_ENTMAX: by_entmax(w, c); return;
  case INFER_SINKHORN: by_sinkhorn(w, c); return;
  case INFER_BETHE: by_bethe(w, c); return;
  }
}
