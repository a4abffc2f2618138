/* cost: see cost.h. */
#include "driver/cost.h"

#include "driver/pairs.h"
#include "model/term.h"

static double axis_extent(Pairs *c, const Index *index) {
  int64_t lo;
  return (double)pairs_extent(c, &index->range, &lo);
}

/* Multiply-adds of one evaluation of t. */
static double multiply_adds(Pairs *c, const Term *t) {
  double sum = 0;
  for (uint32_t i = 0; i < t->args.n; i++) sum += multiply_adds(c, t->args.at[i]);
  if (t->kind != TERM_REDUCE) return sum;
  const Term *body = t->args.at[0];
  bool product = body->kind == TERM_OP && (body->op == OP_MUL || body->op == OP_SQ);
  bool counts = t->reduce == REDUCE_SUM && product && t->type == TYPE_REAL;
  return (sum + counts) * axis_extent(c, t->index);
}

static double weight_cost(Pairs *c, const Weight *w) {
  double sum = 0;
  const Term *parts[] = {w->value, w->left};
  for (uint32_t i = 0; i < 2 + w->params.n; i++) {
    const Term *t = i < 2 ? parts[i] : w->params.at[i - 2];
    double each = t ? multiply_adds(c, t) : 0;
    for (uint32_t k = 0; k < w->axes.n; k++) each *= axis_extent(c, w->axes.at[k]);
    if (each > 0 && term_mentions_edge(t, NULL)) sum += each * pairs_count(c, &w->plates, t);
  }
  return sum;
}

static void find_copy(const Term *t, void *context) {
  const Term **found = context;
  if (t->kind == TERM_EDGE) *found = t;
}

/* A sum over copies of an edge (those of the bits of a row): its products are the expectation's own. */
static bool sums_copies(const Term *t) {
  const Term *copy = NULL;
  if (t->kind != TERM_REDUCE) return false;
  term_walk(t->args.at[0], find_copy, &copy);
  return copy && term_mentions_index(copy, t->index);
}

/* Expectations carry a feature for each point of the output's axes. */
static double query_cost(Pairs *c, const Out *o, const Term *t) {
  double sum = 0;
  if (t->kind != TERM_QUERY) {
    for (uint32_t i = 0; i < t->args.n; i++) sum += query_cost(c, o, t->args.at[i]);
    return sum;
  }
  const Term *value = t->args.n ? t->args.at[0] : NULL;
  if (t->query != QUERY_E || !o->axes.n || !term_mentions_edge(value, NULL)) return 0;
  double features = multiply_adds(c, value) + !sums_copies(value);
  for (uint32_t k = 0; k < o->axes.n; k++) features *= axis_extent(c, o->axes.at[k]);
  return features * pairs_count(c, &o->plates, value);
}

double cost_operations(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in) {
  Pairs c = pairs_of(arena, m, sizes, in);
  double sum = 0;
  for (uint32_t k = 0; k < m->weights.n; k++) sum += weight_cost(&c, m->weights.at[k]);
  for (uint32_t k = 0; k < m->outs.n; k++) sum += query_cost(&c, m->outs.at[k], m->outs.at[k]->value);
  return 2 * sum;
}
