/* pair: copies of a chain that no clique holds.
 *
 *   p(x_i = a, y_j = b) = sum over the clique of j of  forward_a[j - 1] factors(j) backward[j]        i < j
 * where forward_a are the messages from step i on with x_i held at a: as many passes as x has values, each from i to j.
 * x and y may be several variables of a step's clique; their values then have one number.  The messages are kept
 * relative to the same references as those of all values, so that they compare with each other.  Where the chain starts
 * afresh they are the others' times p(x_i = a): what follows does not depend on it.  (Of the prior's messages what lies
 * behind such a place is not asked for; see some.c.)
 * For a constant distance only that far, and one row a step is kept; else all pairs are.  Copies of more than two
 * steps, in the order of these: given the state s after a step, what lies before and behind are independent,
 *   p(a, b, c, ..) = sum over s with b  p(a, s b) / p(s) p(s, c) ..
 * and where the copies asked for are the state no sum is left. */
#include <math.h>

#include "base/ice.h"
#include "infer/chain.h"

struct ChainPair {
  Ring ring;
  VarSet first, second; /* variables of the cliques of the two steps */
  int64_t distance;     /* 0: all */
  Array *table;         /* parallel plates, i, number at i, (j,) number at j */
  ChainPair *next;
};

/* How many values the variables of a set have together, and the number of one of them. */
static Val dimension_of(Context *x, const Component *c, VarSet set) {
  Val n = build_int(B(x), 1);
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (set >> k & 1) n = build_2(B(x), IR_MUL, n, chain_dimension(x, c, c->chain->clique.at[k].at));
  return n;
}

static Val number_in(Context *x, const Component *c, VarSet set, const Cell *cell) {
  Val n = build_int(B(x), 0);
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (set >> k & 1)
      n = build_2(B(x), IR_ADD, build_2(B(x), IR_MUL, n, chain_dimension(x, c, c->chain->clique.at[k].at)),
                  cell->code[k]);
  return n;
}

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
  tail[n++] = dimension_of(&x, c, p->first);
  if (!p->distance) tail[n++] = step_rows(&x, c);
  tail[n++] = dimension_of(&x, c, p->second);
  return chain_array_and(d, c, "pair", table_rows(&x, c, 0), n, tail, 0);
}

/* Messages with variables of step i, of the copy `at`, held at the values of the cell, whose number is a. */
typedef struct Held { Array *gamma, *moved; Val i, a; Cell cell; Copy at; } Held;

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

/* At step i: only what agrees with the values held. */
static void start_gamma(Step *s, const Held *h) {
  const Component *c = s->copy.c;
  Context *x = &s->own;
  VarSet state = state_after(c->chain);
  Nest nest = {0};
  Cell cell = open_state(x, c, state, LOOP_PAR, &nest), held = cell;
  Val agrees = 0;
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    if (!(h->cell.known >> k & 1)) continue;
    if (state >> k & 1) agrees = build_and(B(x), agrees, build_2(B(x), IR_EQ, cell.code[k], h->cell.code[k]));
    else held = with_code(x, c, &held, k, h->cell.code[k]);
  }
  Val w = clique_sum(s, &held, whole_clique(c->chain) & ~held.known, STEP);
  if (agrees) w = build_select(B(x), agrees, w, build_float(B(x), IR_WIDE, -INFINITY));
  store_gamma(s, h, &cell, w);
  close_nest(B(x), &nest);
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
  Nest nest = {0};
  Cell cell = open_state(x, c, p->second, LOOP_PAR, &nest);
  Val w = clique_sum(s, &cell, whole_clique(c->chain) & ~cell.known,
                     (Terms){.factors = true, .before = true, .after = true});
  Val b = number_in(x, c, p->second, &cell);
  build_store(B(x), p->table, w, pair_place(x, s->copy, p, h->i, h->a, j, b));
  close_nest(B(x), &nest);
}

/* The edge that a set is alone, of its own step; -1: it is another set. */
static int lone_edge(const Component *c, VarSet set) {
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    Lagged v = c->chain->clique.at[k];
    if (set == (VarSet)1 << k && !v.lag && v.at < c->edges.n) return (int)v.at;
  }
  return -1;
}

/* log p of what is held, up to a constant. */
static Val mass_held(Context *x, const ChainPair *p, const Held *h) {
  PairEnd e = {h->at, h->cell};
  if (p->ring != RING_SUM) return ring_one(x, p->ring);
  return lone_edge(h->at.c, p->first) < 0 ? end_log(x, p->ring, &e) : marginal_log(x, &e);
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
  s.held_mass = mass_held(&y, p, h);
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
  int lone = lone_edge(c, p->first);
  if (c->chain->may_break && p->ring == RING_SUM && lone >= 0) with_marginal(d, c, (uint32_t)lone);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Held h = {.moved = tables_of(d, c)->moved[p->ring]};
  p->table = pair_array(d, c, p);
  Val tail[2] = {dimension_of(&x, c, p->first), build_int(b, 2)};
  h.gamma = chain_array_and(d, c, "held", table_rows(&x, c, 0), 2, tail, state_after(c->chain));
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  Bounds r = step_range(&x, c);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_PAR, c->plates.at[c->chain->step]->span, r.lo, r.hi);
  h.cell = open_state(&x, c, p->first, LOOP_PAR, &nest);
  h.i = build_2(b, IR_SUB, l->index, r.lo);
  h.a = number_in(&x, c, p->first, &h.cell);
  h.at = (Copy){c, NEW_ARRAY(d->arena, Val, c->plates.n)};
  memcpy(h.at.at, copy.at, c->plates.n * sizeof *copy.at);
  h.at.at[c->chain->step] = l->index;
  Step s = held_step(&x, c, copy, l->index, p, &(Held){.i = h.i, .a = h.a});
  start_gamma(&s, &h);
  pair_steps(&x, c, copy, p, &h, l->index);
  close_nest(b, &nest);
  b->at = back;
}

static const ChainPair *pairs_of(Derive *d, Component *c, const ChainPair *like) {
  ChainTables *t = tables_of(d, c);
  for (ChainPair *p = t->pairs; p; p = p->next)
    if (p->ring == like->ring && p->first == like->first && p->second == like->second &&
        p->distance == like->distance)
      return p;
  ChainPair *p = NEW(d->arena, ChainPair);
  *p = *like;
  p->next = t->pairs;
  t->pairs = p;
  fill_pairs(d, c, p);
  return p;
}

/* ---- of several steps ---------------------------------------------------------------------------------------- */

static Val step_of_end(const PairEnd *e) { return e->copy.at[e->copy.c->chain->step]; }

static Val load_pair(Context *x, Ring ring, const PairEnd *first, const PairEnd *second) {
  Component *c = first->copy.c;
  ChainPair like = {.ring = ring, .first = first->cell.known, .second = second->cell.known};
  if (!constant_distance(B(x)->k, step_of_end(second), step_of_end(first), &like.distance)) like.distance = 0;
  const ChainPair *p = pairs_of(x->d, c, &like);
  Context own = in_copy(x, first->copy);
  Val a = number_in(&own, c, p->first, &first->cell), b = number_in(&own, c, p->second, &second->cell);
  return build_load(B(x), p->table,
                    pair_place(x, first->copy, p, row_of_step(x, first->copy), a, row_of_step(x, second->copy), b));
}

typedef struct Ends { Ring ring; PairEnd *at; uint32_t n; } Ends; /* in the order of their steps */

static Val log_behind(Context *x, const Ends *s, uint32_t k, const Cell *cell);

/* Those from the one of this number on, with what the cell knows of the step before; `left`: variables of the state
 * after the step that are still to be summed over. */
static Val log_through(Context *x, const Ends *s, uint32_t k, const PairEnd *before, const Cell *cell, VarSet left) {
  Builder *b = B(x);
  const Component *c = before->copy.c;
  Val none = build_float(b, IR_WIDE, -INFINITY);
  if (left) {
    uint32_t var = 0;
    while (!(left >> var & 1)) var++;
    Context own = in_copy(x, s->at[k].copy);
    Cell inside;
    Loop *l = open_values(&own, c, var, cell, LOOP_REDUCE, &inside);
    Acc *a = build_acc(b, l, ACC_LSE, IR_WIDE, 0, NULL);
    a->body.log_w = log_through(x, s, k, before, &inside, left & ~((VarSet)1 << var));
    return build_close(b, l)->accs.at[0]->result;
  }
  PairEnd here = {s->at[k].copy, *cell}, state = here;
  state.cell.known = state_after(c->chain);
  Val both = load_pair(x, s->ring, before, &here), one = end_log(x, s->ring, &state);
  Val behind = build_2(b, IR_SUB, log_behind(x, s, k, &state.cell), one);
  return build_select(b, build_2(b, IR_EQ, one, none), none, build_2(b, IR_ADD, both, behind));
}

/* Those behind the one of this number, with what the cell knows of its step. */
static Val log_behind(Context *x, const Ends *s, uint32_t k, const Cell *cell) {
  PairEnd here = {s->at[k].copy, *cell}, *next = &s->at[k + 1];
  if (k + 2 == s->n) return load_pair(x, s->ring, &here, next);
  return log_through(x, s, k + 1, &here, &next->cell, state_after(here.copy.c->chain) & ~next->cell.known);
}

/* What is q's where that is before p, else p's; all else of them is the same. */
static PairEnd nearer_end(Context *x, Val before, const PairEnd *p, const PairEnd *q) {
  const Component *c = p->copy.c;
  PairEnd e = {{p->copy.c, NEW_ARRAY(x->d->arena, Val, c->plates.n)}, p->cell};
  memcpy(e.copy.at, p->copy.at, c->plates.n * sizeof *e.copy.at);
  e.copy.at[c->chain->step] = build_select(B(x), before, step_of_end(q), step_of_end(p));
  Context own = in_copy(x, p->copy);
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (p->cell.known >> k & 1)
      e.cell = with_code(&own, c, &e.cell, k, build_select(B(x), before, q->cell.code[k], p->cell.code[k]));
  return e;
}

static Val log_sorted(Context *x, const Ends *s, uint32_t i, uint32_t k);

/* Both orders of the ends k - 1 and k are derived: they are of different variables. */
static Val log_of_orders(Context *x, const Ends *s, uint32_t i, uint32_t k) {
  Ends turned = *s;
  turned.at = NEW_ARRAY(x->d->arena, PairEnd, s->n);
  memcpy(turned.at, s->at, s->n * sizeof *s->at);
  turned.at[k - 1] = s->at[k], turned.at[k] = s->at[k - 1];
  Val before = build_2(B(x), IR_LT, step_of_end(&s->at[k]), step_of_end(&s->at[k - 1]));
  Val behind = log_sorted(x, s, i + 1, i + 1);
  return build_select(B(x), before, log_sorted(x, &turned, i, k - 1), behind);
}

/* Those up to i are in order but for k, which is not behind its place. */
static Val log_sorted(Context *x, const Ends *s, uint32_t i, uint32_t k) {
  for (; i < s->n; i++, k = i)
    for (; k > 0; k--) {
      PairEnd p = s->at[k - 1], q = s->at[k];
      int64_t d;
      bool constant = constant_distance(B(x)->k, step_of_end(&q), step_of_end(&p), &d);
      if (constant && d > 0) break;
      if (!constant && p.cell.known != q.cell.known) return log_of_orders(x, s, i, k);
      Val before = constant ? 0 : build_2(B(x), IR_LT, step_of_end(&q), step_of_end(&p));
      s->at[k - 1] = constant ? q : nearer_end(x, before, &p, &q);
      s->at[k] = constant ? p : nearer_end(x, before, &q, &p);
    }
  return log_behind(x, s, 0, &s->at[0].cell);
}

Val ends_log(Context *x, Ring ring, PairEnd *e, uint32_t n) { return log_sorted(x, &(Ends){ring, e, n}, 1, 1); }
