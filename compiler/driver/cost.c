/* cost: see cost.h.
 *
 * Sums over plates and edges are integrals by a Kronecker sequence: SAMPLES points, each plate index and edge in
 * its own range (which may depend on those before), weighted by the product of the ranges.  With two dimensions
 * the error is a few 1e-4 of the sum. */
#include "driver/cost.h"

#include <math.h>

#include "model/term.h"

enum { SAMPLES = 20000 };

typedef struct Cost {
  const Model *model;
  Known known;
  int64_t *edge;
  bool *has_edge;
} Cost;

/* Dimension d of point k: a fraction in [0, 1) that fills it evenly. */
static double fraction(uint32_t k, uint32_t d) {
  double root = sqrt(2 + 3 * (double)d + (d > 0 ? 1 : 0) * 0.5), x = ((double)k + 0.5) * root;
  return d == 0 ? ((double)k + 0.5) / SAMPLES : x - floor(x);
}

/* lo .. hi at what is known; an unknown range counts as empty. */
static int64_t extent(Cost *c, const Range *r, int64_t *lo) {
  Constant from, to;
  *lo = 0;
  c->known.steps = 0;
  if (r->kind != RANGE_INTERVAL) return 0;
  if (constant_eval(&c->known, r->lo, &from) != CONSTANT_KNOWN) return 0;
  if (constant_eval(&c->known, r->hi, &to) != CONSTANT_KNOWN) return 0;
  *lo = from.i;
  return to.i > from.i ? to.i - from.i : 0;
}

static double pick_index(Cost *c, const Index *index, double u) {
  int64_t lo, n = extent(c, &index->range, &lo);
  c->known.index[index->id] = lo + (int64_t)(u * (double)n);
  c->known.bound[index->id] = n > 0;
  return (double)n;
}

static double pick_edge(Cost *c, const Edge *e, double u) {
  static const double bits = 2;
  int64_t lo = 0, n = e->domain == DOMAIN_BIT ? (int64_t)bits : extent(c, &e->range, &lo);
  if (edge_is_structured(e)) return 0;
  c->edge[e->id] = lo + (int64_t)(u * (double)n);
  c->has_edge[e->id] = n > 0;
  Constant live;
  c->known.steps = 0;
  bool dead = n > 0 && e->where && constant_eval(&c->known, e->where, &live) == CONSTANT_KNOWN && !live.i;
  return dead ? 0 : (double)n;
}

static void forget(Cost *c) {
  memset(c->known.bound, 0, c->model->index_count * sizeof *c->known.bound);
  memset(c->has_edge, 0, c->model->edges.n * sizeof *c->has_edge);
}

/* The number of live joint values of the copies of a weight or output, those of the edges that `t` mentions. */
static double live_pairs(Cost *c, const IndexVec *plates, const Term *t) {
  double sum = 0;
  for (uint32_t k = 0; k < SAMPLES; k++) {
    double weight = 1;
    uint32_t d = 0;
    forget(c);
    for (uint32_t i = 0; i < plates->n && weight > 0; i++) weight *= pick_index(c, plates->at[i], fraction(k, d++));
    for (uint32_t i = 0; i < c->model->edges.n && weight > 0; i++)
      if (term_mentions_edge(t, c->model->edges.at[i])) weight *= pick_edge(c, c->model->edges.at[i], fraction(k, d++));
    sum += weight;
  }
  forget(c);
  return sum / SAMPLES;
}

static double axis_extent(Cost *c, const Index *index) {
  int64_t lo;
  return (double)extent(c, &index->range, &lo);
}

/* Multiply-adds of one evaluation of t. */
static double multiply_adds(Cost *c, const Term *t) {
  double sum = 0;
  for (uint32_t i = 0; i < t->args.n; i++) sum += multiply_adds(c, t->args.at[i]);
  if (t->kind != TERM_REDUCE) return sum;
  const Term *body = t->args.at[0];
  bool product = body->kind == TERM_OP && (body->op == OP_MUL || body->op == OP_SQ);
  bool counts = t->reduce == REDUCE_SUM && product && t->type == TYPE_REAL;
  return (sum + counts) * axis_extent(c, t->index);
}

static double weight_cost(Cost *c, const Weight *w) {
  double sum = 0;
  const Term *parts[] = {w->value, w->left};
  for (uint32_t i = 0; i < 2 + w->params.n; i++) {
    const Term *t = i < 2 ? parts[i] : w->params.at[i - 2];
    double each = t ? multiply_adds(c, t) : 0;
    for (uint32_t k = 0; k < w->axes.n; k++) each *= axis_extent(c, w->axes.at[k]);
    if (each > 0 && term_mentions_edge(t, NULL)) sum += each * live_pairs(c, &w->plates, t);
  }
  return sum;
}

/* Expectations carry a feature for each point of the output's axes. */
static double query_cost(Cost *c, const Out *o, const Term *t) {
  double sum = 0;
  if (t->kind != TERM_QUERY) {
    for (uint32_t i = 0; i < t->args.n; i++) sum += query_cost(c, o, t->args.at[i]);
    return sum;
  }
  if (t->query != QUERY_E || !o->axes.n || !term_mentions_edge(t->args.at[0], NULL)) return 0;
  double features = 1 + multiply_adds(c, t->args.at[0]);
  for (uint32_t k = 0; k < o->axes.n; k++) features *= axis_extent(c, o->axes.at[k]);
  return features * live_pairs(c, &o->plates, t->args.at[0]);
}

double cost_operations(Arena *arena, const Model *m, const int64_t *sizes) {
  Cost c = {.model = m, .known = constant_known(arena, m, sizes), .edge = NEW_ARRAY(arena, int64_t, m->edges.n),
            .has_edge = NEW_ARRAY(arena, bool, m->edges.n)};
  c.known.edge = c.edge;
  c.known.has_edge = c.has_edge;
  double sum = 0;
  for (uint32_t k = 0; k < m->weights.n; k++) sum += weight_cost(&c, m->weights.at[k]);
  for (uint32_t k = 0; k < m->outs.n; k++) sum += query_cost(&c, m->outs.at[k], m->outs.at[k]->value);
  return 2 * sum;
}
