/* cost: see cost.h. */
#include "driver/cost.h"

#include <math.h>

#include "driver/pairs.h"
#include "model/term.h"

typedef VEC(const Term *) ConstTermVec;

typedef struct Cost {
  Pairs pairs;
  Arena *arena;
  bool *needed; /* by Let.id: an array that weights or outputs read */
} Cost;

static double axis_extent(Cost *c, const Index *index) {
  int64_t lo;
  return (double)pairs_extent(&c->pairs, &index->range, &lo);
}

/* Multiples of a product are one. */
static bool is_sum_of_products(const Term *t) {
  if (t->kind != TERM_REDUCE || t->reduce != REDUCE_SUM || t->type != TYPE_REAL) return false;
  const Term *body = t->args.at[0];
  while (body->kind == TERM_OP && (body->op == OP_DIV || body->op == OP_NEG)) body = body->args.at[0];
  return body->kind == TERM_OP && (body->op == OP_MUL || body->op == OP_SQ);
}

/* Multiply-adds of one evaluation of t. */
static double multiply_adds(Cost *c, const Term *t) {
  double sum = 0;
  for (uint32_t i = 0; i < t->args.n; i++) sum += multiply_adds(c, t->args.at[i]);
  return t->kind == TERM_REDUCE ? (sum + is_sum_of_products(t)) * axis_extent(c, t->index) : sum;
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* The density of a vector of normals is that of its squared distance. */
static const Term *squared(const Weight *w) {
  return w->dist == DIST_NORMAL && w->axes.n && (w->kind == WEIGHT_OBSERVE || w->kind == WEIGHT_PRIOR) ? w->left : NULL;
}

static double axes_extent(Cost *c, const Weight *w) {
  double n = 1;
  for (uint32_t k = 0; k < w->axes.n; k++) n *= axis_extent(c, w->axes.at[k]);
  return n;
}

/* As many as are known to be taken, at least one. */
static double steps_of(Cost *c, const Latent *z) {
  Constant tol, steps;
  c->pairs.known.steps = 0;
  if (!z->infer || constant_eval(&c->pairs.known, z->infer->tol, &tol) != CONSTANT_KNOWN || tol.r > 0) return 1;
  if (constant_eval(&c->pairs.known, z->infer->steps, &steps) != CONSTANT_KNOWN) return 1;
  return fmax((double)steps.i, 1);
}

/* A weight, and the sums in it that are around a term. */
typedef struct Around { Cost *c; const Weight *w; IndexVec sums; } Around;

/* How often a sum over such products is wanted: for every value of the edges and of the indices that it mentions, of
 * copies only those that it names beside its edges; but no more than there are pairs. */
static double wanted(const Around *x, const Term *products) {
  IndexVec copies = {NULL, 0, 0};
  double sums = axes_extent(x->c, x->w);
  for (uint32_t k = 0; k < x->w->plates.n; k++)
    if (term_mentions_beside_edges(products, x->w->plates.at[k])) vec_push(x->c->arena, &copies, x->w->plates.at[k]);
  for (uint32_t k = 0; k < x->sums.n; k++)
    if (term_mentions_index(products, x->sums.at[k])) sums *= axis_extent(x->c, x->sums.at[k]);
  double pairs = pairs_count(&x->c->pairs, &x->w->plates, products);
  double values = copies.n < x->w->plates.n ? pairs_count(&x->c->pairs, &copies, products) : 0;
  return sums * (values > 0 ? fmin(values, pairs) : pairs);
}

/* Multiply-adds of the weight itself. */
static double evaluation_cost(Around *x, const Term *t) {
  double sum = 0;
  uint32_t n = x->sums.n;
  if (t->kind == TERM_REDUCE) vec_push(x->c->arena, &x->sums, t->index);
  if (is_sum_of_products(t)) sum += wanted(x, t->args.at[0]);
  for (uint32_t i = 0; i < t->args.n; i++) sum += evaluation_cost(x, t->args.at[i]);
  x->sums.n = n;
  return sum;
}

/* What a weight's latents ask: sums for so many features, in so many steps; seen: by Latent.id. */
typedef struct Latents { Cost *c; const Weight *w; bool *seen; double features, steps; } Latents;

/* Features of a latent: the components that an index of the weight's own goes through. */
static void add_latent(const Term *t, void *context) {
  Latents *x = context;
  if (t->kind != TERM_LATENT || x->seen[t->latent->id]) return;
  double n = 1;
  bool has = false;
  for (uint32_t k = 0; k < t->args.n; k++) {
    const Term *at = t->args.at[k];
    if (at->kind != TERM_INDEX || indices_hold(&x->w->plates, at->index)) continue;
    n *= axis_extent(x->c, at->index);
    has = true;
  }
  x->seen[t->latent->id] = true;
  x->features += has ? n : 0;
  x->steps = fmax(x->steps, steps_of(x->c, t->latent));
}

static double weight_cost(Cost *c, const Weight *w) {
  const Term *all[] = {w->value, w->left}, **of_edges = NEW_ARRAY(c->arena, const Term *, 2 + w->params.n);
  uint32_t n = 0;
  for (uint32_t i = 0; i < 2 + w->params.n; i++) {
    const Term *t = i < 2 ? all[i] : w->params.at[i - 2];
    if (t && term_mentions_edge(t, NULL)) of_edges[n++] = t;
  }
  Latents latents = {.c = c, .w = w, .seen = NEW_ARRAY(c->arena, bool, c->pairs.known.model->latents.n), .steps = 1};
  for (uint32_t i = 0; i < n; i++) term_walk(of_edges[i], add_latent, &latents);
  double sums = latents.features > 0 ? latents.features * pairs_count(&c->pairs, &w->plates, of_edges[n - 1]) : 0;
  Around around = {c, w, {NULL, 0, 0}};
  for (uint32_t i = 0; i < n; i++) sums += evaluation_cost(&around, of_edges[i]);
  if (n && squared(w)) sums += axes_extent(c, w) * pairs_count(&c->pairs, &w->plates, of_edges[n - 1]);
  return latents.steps * sums;
}

/* ---- outputs, and arrays that are derived --------------------------------------------------------------------- */

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

typedef struct Carried { const Index *index; bool sums, reads, is_of_copies; } Carried;

static void find_carried(const Term *t, void *context) {
  Carried *x = context;
  bool element = t->kind == TERM_INPUT || t->kind == TERM_LET || t->kind == TERM_LATENT;
  x->reads |= element && (x->sums || term_mentions_edge(t, NULL)) && term_mentions_index(t, x->index);
  x->is_of_copies |= t->kind == TERM_EDGE && term_mentions_index(t, x->index);
}

/* An index of elements that an edge reads, or a sum over its copies, and not of the copies: the expectation carries
 * them side by side. */
static bool is_carried(const Term *value, const Index *index) {
  Carried x = {index, sums_copies(value), false, false};
  term_walk(value, find_carried, &x);
  return x.reads && !x.is_of_copies;
}

static bool are_of_the_same_edges(const Model *m, const Term *x, const Term *y) {
  for (uint32_t k = 0; k < m->edges.n; k++)
    if (term_mentions_edge(x, m->edges.at[k]) != term_mentions_edge(y, m->edges.at[k])) return false;
  return true;
}

/* The addends of an expectation: their means are taken apart. */
static void add_addends(Cost *c, const Term *t, ConstTermVec *to) {
  bool sums = t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB || t->op == OP_NEG);
  bool scales = t->kind == TERM_OP && (t->op == OP_MUL || t->op == OP_DIV);
  const Term *factor = NULL;
  uint32_t of_edges = 0;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (term_mentions_edge(t->args.at[k], NULL)) factor = t->args.at[k], of_edges++;
  if (scales && of_edges == 1 && (t->op == OP_MUL || factor == t->args.at[0])) return add_addends(c, factor, to);
  if (sums && of_edges) {
    for (uint32_t k = 0; k < t->args.n; k++)
      if (term_mentions_edge(t->args.at[k], NULL)) add_addends(c, t->args.at[k], to);
    return;
  }
  vec_push(c->arena, to, t);
}

/* Of addend k, for each pair and feature: its own products, and one by the weight for all addends of the same edges. */
static double addend_cost(Cost *c, const ConstTermVec *addends, uint32_t k) {
  const Term *t = addends->at[k];
  bool joins = sums_copies(t);
  for (uint32_t i = 0; i < k && !joins; i++) joins = are_of_the_same_edges(c->pairs.known.model, addends->at[i], t);
  return multiply_adds(c, t) + !joins;
}

/* `around`: what the query is evaluated for: plates, indices and axes of the output, sums that it stands in. */
static double expectation_cost(Cost *c, const IndexVec *around, const Term *t) {
  const Term *value = t->args.n ? t->args.at[0] : NULL;
  if (t->query != QUERY_E || !term_mentions_edge(value, NULL)) return 0;
  double features = 1, sum = 0;
  bool carries = false;
  IndexVec copies = {NULL, 0, 0};
  for (uint32_t k = 0; k < around->n; k++) {
    if (is_carried(value, around->at[k])) features *= axis_extent(c, around->at[k]), carries = true;
    else if (term_mentions_index(value, around->at[k])) vec_push(c->arena, &copies, around->at[k]);
  }
  if (!carries) return 0;
  ConstTermVec addends = {NULL, 0, 0};
  add_addends(c, value, &addends);
  for (uint32_t k = 0; k < addends.n; k++)
    sum += features * addend_cost(c, &addends, k) * pairs_count(&c->pairs, &copies, addends.at[k]);
  return sum;
}

static bool range_needs(const Range *r, const Index *i) {
  return (r->lo && term_mentions_index(r->lo, i)) || (r->hi && term_mentions_index(r->hi, i)) ||
         (r->row && term_mentions_index(r->row, i));
}

/* How often t has another value: for each value of the indices around that it, or a range of these, mentions. */
static double evaluations(Cost *c, const IndexVec *around, const Term *t) {
  IndexVec some = {NULL, 0, 0}, all = {NULL, 0, 0};
  for (uint32_t k = around->n; k-- > 0;) {
    bool needed = term_mentions_index(t, around->at[k]);
    for (uint32_t i = 0; i < some.n; i++) needed |= range_needs(&some.at[i]->range, around->at[k]);
    if (needed) vec_push(c->arena, &some, around->at[k]);
  }
  for (uint32_t k = some.n; k-- > 0;) vec_push(c->arena, &all, some.at[k]);
  return pairs_count(&c->pairs, &all, NULL);
}

static double value_cost(Cost *c, IndexVec *around, const Term *t) {
  if (t->kind == TERM_QUERY) return expectation_cost(c, around, t);
  double sum = 0;
  uint32_t n = around->n;
  if (t->kind == TERM_REDUCE) vec_push(c->arena, around, t->index);
  if (is_sum_of_products(t)) sum += evaluations(c, around, t->args.at[0]);
  for (uint32_t i = 0; i < t->args.n; i++) sum += value_cost(c, around, t->args.at[i]);
  around->n = n;
  return sum;
}

static void add_indices(Cost *c, IndexVec *around, const IndexVec *more) {
  for (uint32_t k = 0; k < more->n; k++)
    if (!indices_hold(around, more->at[k])) vec_push(c->arena, around, more->at[k]);
}

static double out_cost(Cost *c, const Out *o) {
  IndexVec around = {NULL, 0, 0};
  add_indices(c, &around, &o->plates);
  add_indices(c, &around, &o->slots);
  add_indices(c, &around, &o->axes);
  return value_cost(c, &around, o->value);
}

static double let_cost(Cost *c, const Let *l) {
  IndexVec around = {NULL, 0, 0};
  add_indices(c, &around, &l->plates);
  add_indices(c, &around, &l->own);
  add_indices(c, &around, &l->axes);
  return value_cost(c, &around, l->value);
}

static void need_lets(const Term *t, void *context) {
  Cost *c = context;
  if (t->kind != TERM_LET || c->needed[t->let->id]) return;
  c->needed[t->let->id] = true;
  term_walk(t->let->value, need_lets, c);
}

static void find_lets(Cost *c, const Model *m) {
  for (uint32_t k = 0; k < m->weights.n; k++) {
    const Weight *w = m->weights.at[k];
    if (w->value) term_walk(w->value, need_lets, c);
    if (w->left) term_walk(w->left, need_lets, c);
    for (uint32_t i = 0; i < w->params.n; i++) term_walk(w->params.at[i], need_lets, c);
  }
  for (uint32_t k = 0; k < m->outs.n; k++) term_walk(m->outs.at[k]->value, need_lets, c);
}

double cost_operations(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in) {
  Cost c = {pairs_of(arena, m, sizes, in), arena, NEW_ARRAY(arena, bool, m->lets.n)};
  double sum = 0;
  find_lets(&c, m);
  for (uint32_t k = 0; k < m->weights.n; k++) sum += weight_cost(&c, m->weights.at[k]);
  for (uint32_t k = 0; k < m->lets.n; k++)
    if (c.needed[m->lets.at[k]->id]) sum += let_cost(&c, m->lets.at[k]);
  for (uint32_t k = 0; k < m->outs.n; k++) sum += out_cost(&c, m->outs.at[k]);
  return 2 * sum;
}
