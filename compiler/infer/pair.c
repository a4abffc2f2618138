/* pair: copies of a chain that no clique holds.
 *
 *   p(x_i = a, y_j = b) = sum over the clique of j of  forward_a[j - 1] factors(j) backward[j]        i < j
 * where forward_a are the messages from step i on with x_i held at a: as many passes as x has values, each from i to j.
 * The messages are kept relative to the same references as those of all values, so that they compare with each other.
 * Where the chain starts afresh they are the others' times p(x_i = a): what follows does not depend on it.  (Of the
 * prior's messages what lies behind such a place is not asked for; see some.c.)
 * For a constant distance only that far, and one row a step is kept; else all pairs are.  Of more than two, each the
 * state of its step, those before and those behind are independent given one: in the order of their steps
 *   p(a, b, c, ..) = p(a, b) p(b, c) .. / (p(b) ..) */
#include <math.h>

#include "base/ice.h"
#include "infer/chain.h"

struct ChainPair {
  Ring ring;
  uint32_t first, second; /* places of edges */
  int64_t distance;       /* 0: all */
  Array *table;           /* parallel plates, i, number at i, (j,) number at j */
  ChainPair *next;
};

static Val *pair_place(Context *x, Copy copy, const ChainPair *p, Val i, Val a, Val j, Val b) {
  Val *at = NEW_ARRAY(x->d->arena, Val, copy.c->plates.n + 4), *row = chain_place(x, copy, i);
  uint32_t n = 0;
  for (; n < row_rank(copy.c); n++) at[n] = row[n];
  at[n++] = a;
  if (!p->distance) at[n++] = j;
  at[n++] = b;
  return at;
}

static Array *pair_array(Derive *d, const Component *c, const ChainPair *p) {
  Context x = {.d = d};
  Val tail[3];
  uint32_t n = 0;
  tail[n++] = chain_dimension(&x, c, p->first);
  if (!p->distance) tail[n++] = step_rows(&x, c);
  tail[n++] = chain_dimension(&x, c, p->second);
  return chain_array_and(d, c, "pair", table_rows(&x, c, 0), n, tail, 0);
}

/* Messages with the copy `at`, of step i, held at number a. */
typedef struct Held { Array *gamma, *moved; Val i, a; Copy at; } Held;

/* By how much the reference moves at this row. */
static Val reference_step(Step *s, const Held *h) {
  Context *x = &s->own;
  return build_load(B(x), h->moved, chain_place(x, s->copy, s->row));
}

static void store_gamma(Step *s, const Held *h, const Cell *cell, Val w) {
  Context *x = &s->own;
  build_store(B(x), h->gamma, build_2(B(x), IR_SUB, w, reference_step(s, h)),
              held_place(s, h->gamma, h->i, h->a, s->row, 0, cell));
}

static const Terms STEP = {.factors = true, .before = true};

/* At step i: only what agrees with the value held. */
static void start_gamma(Step *s, const Held *h, uint32_t var) {
  const Component *c = s->copy.c;
  VarSet state = state_after(c->chain);
  Nest nest = {0};
  Cell cell = open_state(&s->own, c, state, LOOP_PAR, &nest);
  Val agrees = state >> var & 1 ? build_2(B(&s->own), IR_EQ, cell.code[var], h->a) : 0;
  Cell held = agrees ? cell : with_code(&s->own, c, &cell, var, h->a);
  Val w = clique_sum(s, &held, whole_clique(c->chain) & ~held.known, STEP);
  if (agrees) w = build_select(B(&s->own), agrees, w, build_float(B(&s->own), IR_WIDE, -INFINITY));
  store_gamma(s, h, &cell, w);
  close_nest(B(&s->own), &nest);
}

static void step_gamma(Step *s, const Held *h) {
  const Component *c = s->copy.c;
  Nest nest = {0};
  Cell cell = open_state(&s->own, c, state_after(c->chain), LOOP_PAR, &nest);
  store_gamma(s, h, &cell, clique_sum(s, &cell, whole_clique(c->chain) & ~cell.known, STEP));
  close_nest(B(&s->own), &nest);
}

static void store_pairs(Step *s, const ChainPair *p, const Held *h, Val j) {
  const Component *c = s->copy.c;
  Context *x = &s->own;
  uint32_t var = (uint32_t)clique_place(c->chain, p->second, 0);
  Cell cell;
  Loop *l = open_values(x, c, var, &(Cell){0}, LOOP_PAR, &cell);
  Val w = clique_sum(s, &cell, whole_clique(c->chain) & ~cell.known,
                     (Terms){.factors = true, .before = true, .after = true});
  build_store(B(x), p->table, w, pair_place(x, s->copy, p, h->i, h->a, j, cell.code[var]));
  build_close(B(x), l);
}

static Step held_step(Context *x, Component *c, Copy copy, Val t, const ChainPair *p, const Held *h) {
  Bounds range = step_range(x, c);
  Context y = with_index(x, c->plates.at[c->chain->step], t, range.lo, range.hi, false);
  Copy at = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  for (uint32_t k = 0; k < c->plates.n; k++) at.at[k] = copy.at[k];
  at.at[c->chain->step] = t;
  Step s = step_of(&y, at, p->ring);
  s.gamma = h->gamma;
  s.gamma_at[0] = h->i;
  s.gamma_at[1] = h->a;
  see_after(&s, tables_of(x->d, c));
  if (!s.joined || !h->gamma) return s;
  s.held_mass = p->ring == RING_SUM ? marginal_log(&y, &(PairEnd){h->at, p->first, h->a}) : ring_one(&y, p->ring);
  return s;
}

/* The steps after i: all of them, or as far as the distance. */
static void pair_steps(Context *x, Component *c, Copy copy, const ChainPair *p, const Held *h, Val t) {
  Builder *b = B(x);
  Bounds r = step_range(x, c);
  Span span = c->plates.at[c->chain->step]->span;
  Val next = build_2(b, IR_ADD, t, build_int(b, 1)), end = r.hi;
  if (p->distance) end = build_2(b, IR_MIN, build_2(b, IR_ADD, t, build_int(b, p->distance)), r.hi);
  Loop *l = open_loop(x, LOOP_SEQ, span, next, end);
  Step s = held_step(x, c, copy, l->index, p, h);
  if (!p->distance) store_pairs(&s, p, h, build_2(b, IR_SUB, l->index, r.lo));
  step_gamma(&s, h);
  build_close(b, l);
  if (!p->distance) return;
  l = open_loop(x, LOOP_SEQ, span, end, build_2(b, IR_MIN, build_2(b, IR_ADD, end, build_int(b, 1)), r.hi));
  s = held_step(x, c, copy, l->index, p, h);
  store_pairs(&s, p, h, 0);
  build_close(b, l);
}

static void fill_pairs(Derive *d, Component *c, ChainPair *p) {
  Builder *b = &d->b;
  if (p->ring == RING_SUM) use_of(d, c)->whole = true;
  forward_table(d, c, p->ring);
  backward_table(d, c, p->ring);
  if (c->chain->may_break && p->ring == RING_SUM) with_marginal(d, c, p->first);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t var = (uint32_t)clique_place(c->chain, p->first, 0);
  Held h = {.moved = tables_of(d, c)->moved[p->ring]};
  p->table = pair_array(d, c, p);
  Val tail[2] = {chain_dimension(&x, c, p->first), build_int(b, 2)};
  h.gamma = chain_array_and(d, c, "held", table_rows(&x, c, 0), 2, tail, state_after(c->chain));
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  Bounds r = step_range(&x, c);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_PAR, c->plates.at[c->chain->step]->span, r.lo, r.hi);
  Cell cell;
  nest.loops[nest.n++] = open_values(&x, c, var, &(Cell){0}, LOOP_PAR, &cell);
  h.i = build_2(b, IR_SUB, l->index, r.lo);
  h.a = cell.code[var];
  h.at = (Copy){c, NEW_ARRAY(d->arena, Val, c->plates.n)};
  memcpy(h.at.at, copy.at, c->plates.n * sizeof *copy.at);
  h.at.at[c->chain->step] = l->index;
  Step s = held_step(&x, c, copy, l->index, p, &(Held){.i = h.i, .a = h.a});
  start_gamma(&s, &h, var);
  pair_steps(&x, c, copy, p, &h, l->index);
  close_nest(b, &nest);
  b->at = back;
}

static const ChainPair *pairs_of(Derive *d, Component *c, Ring ring, uint32_t first, uint32_t second,
                                 int64_t distance) {
  ChainTables *t = tables_of(d, c);
  for (ChainPair *p = t->pairs; p; p = p->next)
    if (p->ring == ring && p->first == first && p->second == second && p->distance == distance) return p;
  ChainPair *p = NEW(d->arena, ChainPair);
  *p = (ChainPair){ring, first, second, distance, NULL, t->pairs};
  t->pairs = p;
  fill_pairs(d, c, p);
  return p;
}

static Val load_pair(Context *x, Ring ring, const PairEnd *first, const PairEnd *second, int64_t distance) {
  const ChainPair *p = pairs_of(x->d, first->copy.c, ring, first->at, second->at, distance);
  return build_load(B(x), p->table,
                    pair_place(x, first->copy, p, row_of_step(x, first->copy), first->code,
                               row_of_step(x, second->copy), second->code));
}

Val pair_log(Context *x, Ring ring, const PairEnd *a, const PairEnd *b, int64_t distance) {
  if (distance > 0) return load_pair(x, ring, a, b, distance);
  if (distance < 0) return load_pair(x, ring, b, a, -distance);
  Val forward = load_pair(x, ring, a, b, 0), backward = load_pair(x, ring, b, a, 0);
  return build_select(B(x), build_2(B(x), IR_LT, row_of_step(x, a->copy), row_of_step(x, b->copy)), forward, backward);
}

/* ---- more than two ------------------------------------------------------------------------------------------- */

static Val step_of_end(const PairEnd *e) { return e->copy.at[e->copy.c->chain->step]; }

/* What is q's where that is before p, else p's; all else of them is the same. */
static PairEnd nearer_end(Context *x, Val before, const PairEnd *p, const PairEnd *q) {
  PairEnd e = {{p->copy.c, NEW_ARRAY(x->d->arena, Val, p->copy.c->plates.n)}, p->at, 0};
  memcpy(e.copy.at, p->copy.at, p->copy.c->plates.n * sizeof *e.copy.at);
  e.copy.at[p->copy.c->chain->step] = build_select(B(x), before, step_of_end(q), step_of_end(p));
  e.code = build_select(B(x), before, q->code, p->code);
  return e;
}

static void sort_ends(Context *x, PairEnd *e, uint32_t n) {
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = i; k > 0; k--) {
      PairEnd p = e[k - 1], q = e[k];
      int64_t d;
      if (constant_distance(B(x)->k, step_of_end(&q), step_of_end(&p), &d)) {
        if (d < 0) e[k - 1] = q, e[k] = p;
        continue;
      }
      Val before = build_2(B(x), IR_LT, step_of_end(&q), step_of_end(&p));
      e[k - 1] = nearer_end(x, before, &p, &q);
      e[k] = nearer_end(x, before, &q, &p);
    }
}

Val ends_log(Context *x, Ring ring, PairEnd *e, uint32_t n) {
  Builder *b = B(x);
  Val sum = 0;
  sort_ends(x, e, n);
  for (uint32_t i = 0; i + 1 < n; i++) {
    int64_t d;
    bool constant = constant_distance(b->k, step_of_end(&e[i + 1]), step_of_end(&e[i]), &d);
    Val both = load_pair(x, ring, &e[i], &e[i + 1], constant ? d : 0);
    if (!sum) {
      sum = both;
      continue;
    }
    Val one = end_log(x, ring, &e[i]), none = build_float(b, IR_WIDE, -INFINITY);
    sum = build_2(b, IR_ADD, sum, build_2(b, IR_SUB, both, one));
    sum = build_select(b, build_2(b, IR_EQ, one, none), none, sum);
  }
  return sum;
}
