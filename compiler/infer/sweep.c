/* sweep: what is asked of each step by itself, in one pass from the last step to the first.
 *
 * Where a kernel asks of a chain only what one step's messages tell (the law of a copy, the terms of an entropy), no
 * table of messages outlives the pass: of the backward messages two rows are kept, the next one and the present one; of
 * the forward messages every `length`-th row, from which the rows of a segment are computed again when the pass comes
 * to it (Griewank 1992 has the law: a sequence that is read in reverse need be stored at sqrt(T) places).
 *
 *   length = T where all rows take at most Plan.whole_bytes, which is one segment, and nothing is computed twice; else
 * ceil(sqrt T)
 *
 * Row r lies in place r mod (length + 1) of the forward table, r mod 2 of the backward one, r / length of those kept.
 *
 * Few chains would leave threads without work, so where there are FEW at most, of Plan.both_ways numbers at least, in
 * one segment, each chain's messages go both ways at once: two items in place of one.  The backward table has all rows
 * then, and what is asked of the steps comes after both, all steps in parallel.  The sizes alone say which it is. */
#include "base/ice.h"
#include "infer/chain.h"

ChainUse *use_of(Derive *d, const Component *c) { return &d->uses[c->id]; }

enum { FEW = 8 };

/* n times how many chains there are. */
static Val of_all_chains(Context *x, const Component *c, Val n) {
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step) continue;
    n = build_2(B(x), IR_MUL, n, plate_places(x, c, k));
  }
  return n;
}

static Val state_count(Context *x, const Component *c) {
  VarSet state = state_after(c->chain);
  Val n = build_int(B(x), 1);
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) n = build_2(B(x), IR_MUL, n, chain_dimension(x, c, c->chain->clique.at[k].at));
  return of_all_chains(x, c, n);
}

typedef struct Sweep {
  Derive *d;
  Component *c;
  ChainTables *t;
  Array *kept;
  Copy copy; /* the step is left open */
  Val n, length;
  Val steps; /* of the chain at hand; n: of the longest that there may be */
  Val both; /* bool: both ways at once; 0: never */
} Sweep;

/* How many steps a segment has, at least 1, and whether messages go both ways at once. */
static void plan_pass(Context *x, Sweep *w) {
  Builder *b = B(x);
  Val wide = build_convert(b, w->n, IR_WIDE),
      root = build_convert(b, build_1(b, IR_CEIL, build_1(b, IR_SQRT, wide)), IR_INT);
  Val bytes = build_2(b, IR_MUL, build_convert(b, state_count(x, w->c), IR_WIDE),
                      build_2(b, IR_MUL, wide, build_float(b, IR_WIDE, 8)));
  Val whole = build_2(b, IR_LE, bytes, build_float(b, IR_WIDE, (double)x->d->plan->whole_bytes));
  Val few = build_2(b, IR_AND, build_2(b, IR_LE, of_all_chains(x, w->c, build_int(b, 1)), build_int(b, FEW)),
                    build_2(b, IR_GE, bytes, build_float(b, IR_WIDE, 8 * (double)x->d->plan->both_ways)));
  w->length = build_2(b, IR_MAX, build_select(b, whole, w->n, root), build_int(b, 1));
  w->both = x->d->plan->both_ways < 0 ? 0 : build_2(b, IR_AND, whole, few);
}

/* Where messages go both ways, and else. */
static Val if_both(Context *x, const Sweep *w, Val both, Val not) {
  return w->both ? build_select(B(x), w->both, both, not) : not;
}

static Val floor_by(Context *x, Val a, Val b) { return build_2(B(x), IR_FLOORDIV, a, b); }

/* A loop of one iteration where `when` holds, else of none. */
static Loop *open_if(Context *x, const Sweep *w, Val when) {
  Builder *b = B(x);
  return open_loop(x, LOOP_SEQ, w->c->plates.at[w->c->chain->step]->span, build_int(b, 0),
                   build_select(b, when, build_int(b, 1), build_int(b, 0)));
}

/* Moves a row of forward messages into those kept, or back: one loop where `when` holds, else none. */
static void move_row(Context *x, const Sweep *w, Val row, Val when, bool keep) {
  Builder *b = B(x);
  Loop *l = open_if(x, w, when);
  Nest nest = {0};
  Cell cell = open_state(x, w->c, state_after(w->c->chain), LOOP_PAR, &nest);
  Val *in_table = forward_place(x, w->copy, row, &cell);
  Val *in_kept = table_place(x, w->copy, floor_by(x, row, w->length), state_after(w->c->chain), 0, &cell);
  if (keep)
    build_store(b, w->kept, build_load(b, w->t->forward[RING_SUM], in_table), in_kept);
  else
    build_store(b, w->t->forward[RING_SUM], build_load(b, w->kept, in_kept), in_table);
  close_nest(b, &nest);
  build_close(b, l);
}

static Step step_at(Context *x, const Sweep *w, Val step) {
  Bounds range = step_range(x, w->c);
  Context y = with_index(x, w->c->plates.at[w->c->chain->step], step, range.lo, range.hi, false);
  Copy copy = {w->c, NEW_ARRAY(x->d->arena, Val, w->c->plates.n)};
  for (uint32_t k = 0; k < w->c->plates.n; k++) copy.at[k] = w->copy.at[k];
  copy.at[w->c->chain->step] = step;
  return step_of(&y, copy, RING_SUM);
}

/* Forward messages of the steps lo .. hi, counted from the first. */
static void forward_steps(Context *x, const Sweep *w, Val lo, Val hi, bool keep) {
  Builder *b = B(x);
  Bounds range = step_range(x, w->c);
  Loop *l = open_loop(x, LOOP_SEQ, w->c->plates.at[w->c->chain->step]->span, build_2(b, IR_ADD, range.lo, lo),
                      build_2(b, IR_ADD, range.lo, hi));
  Step s = step_at(x, w, l->index);
  forward_step(&s, w->t);
  if (keep) move_row(x, w, s.row, build_2(b, IR_EQ, build_2(b, IR_MOD, s.row, w->length), build_int(b, 0)), true);
  build_close(b, l);
}

static void store_asked(Step *s, const Sweep *w) {
  const ChainUse *use = use_of(w->d, w->c);
  Builder *b = B(&s->own);
  for (uint32_t k = 0; k < w->c->edges.n; k++)
    if (use->marginals >> k & 1) marginal_step(s, w->t, k);
  for (uint32_t k = 0; k < STEP_SUMS; k++)
    if (use->sums >> k & 1)
      build_store(b, w->t->each[k], step_sum(k)(s),
                  chain_place(&s->own, s->copy, build_2(b, IR_SUB, s->row, build_int(b, 1))));
}

/* What is asked of the step, then the backward messages before it. */
static void visit(Context *x, const Sweep *w, Val step) {
  Step s = step_at(x, w, step);
  fold_after(&s, w->t);
  store_asked(&s, w);
  backward_step(&s, w->t);
}

/* Backward messages alone, where they go both ways at once. */
static void backward_steps(Context *x, const Sweep *w) {
  Builder *b = B(x);
  Val zero = build_int(b, 0), last = build_2(b, IR_SUB, step_range(x, w->c).hi, build_int(b, 1));
  Loop *l = open_loop(x, LOOP_SEQ, w->c->plates.at[w->c->chain->step]->span, zero, if_both(x, w, w->steps, zero));
  Step s = step_at(x, w, build_2(b, IR_SUB, last, l->index));
  backward_step(&s, w->t);
  build_close(b, l);
}

/* What is asked of all steps, where messages have gone both ways. */
static void visit_after(Context *x, Sweep *w) {
  Builder *b = B(x);
  Nest nest = {0};
  w->copy = open_chains(x, w->c, &nest);
  Bounds range = step_range(x, w->c);
  Val hi = if_both(x, w, range.hi, range.lo);
  Loop *l = open_loop(x, LOOP_PAR, w->c->plates.at[w->c->chain->step]->span, range.lo, hi);
  Step s = step_at(x, w, l->index);
  see_after(&s, w->t);
  store_asked(&s, w);
  build_close(b, l);
  close_nest(b, &nest);
}

/* The pass itself.  Where it comes to the last step of a segment whose rows are not there (all but the one it begins
 * with), they are computed again. */
static void pass_back(Context *x, const Sweep *w) {
  Builder *b = B(x);
  Val zero = build_int(b, 0), one = build_int(b, 1);
  Loop *l = open_loop(x, LOOP_SEQ, w->c->plates.at[w->c->chain->step]->span, zero, if_both(x, w, zero, w->steps));
  Val at = build_2(b, IR_SUB, build_2(b, IR_SUB, w->steps, one), l->index), row = build_2(b, IR_ADD, at, one);
  Val is_end = build_2(b, IR_EQ, build_2(b, IR_MOD, row, w->length), zero);
  Val again = build_2(b, IR_AND, is_end, build_2(b, IR_GT, l->index, zero));
  Val first = build_2(b, IR_MAX, build_2(b, IR_SUB, row, w->length), zero);
  move_row(x, w, first, again, false);
  forward_steps(x, w, first, build_select(b, again, row, first), false);
  visit(x, w, build_2(b, IR_ADD, step_range(x, w->c).lo, at));
  build_close(b, l);
}

static void declare(Context *x, Sweep *w) {
  Derive *d = w->d;
  Component *c = w->c;
  ChainTables *t = w->t;
  Builder *b = B(x);
  Val one = build_int(b, 1), rows = build_2(b, IR_ADD, w->n, one);
  VarSet state = state_after(c->chain);
  t->forward_ring = build_2(b, IR_ADD, w->length, one);
  t->backward_ring = if_both(x, w, rows, build_int(b, 2));
  t->after_ring = if_both(x, w, build_2(b, IR_MAX, w->n, one), one);
  t->forward[RING_SUM] = chain_array(d, c, "forward", STORE_WIDE, t->forward_ring, state);
  t->backward[RING_SUM] = chain_array(d, c, "backward", STORE_WIDE, t->backward_ring, state);
  w->kept = chain_array(d, c, "kept", STORE_WIDE, build_2(b, IR_ADD, floor_by(x, w->n, w->length), one), state);
  t->scale[RING_SUM] = chain_array(d, c, "scale", STORE_WIDE, rows, 0);
  t->moved[RING_SUM] = chain_array(d, c, "moved", STORE_WIDE, rows, 0);
  t->total[RING_SUM] = chain_array(d, c, "total", STORE_WIDE, 0, 0);
  for (uint32_t k = 0; k < c->edges.n; k++)
    if (use_of(d, c)->marginals >> k & 1) declare_marginal(d, c, t, k);
  for (uint32_t k = 0; k < STEP_SUMS; k++)
    if (use_of(d, c)->sums >> k & 1) t->each[k] = chain_array(d, c, "each", STORE_WIDE, w->n, 0);
}

static void go_forward(Context *x, const Sweep *w) {
  Val zero = build_int(B(x), 0);
  start_forward(x, w->copy, w->t, RING_SUM);
  move_row(x, w, zero, build_bool(B(x), true), true);
  forward_steps(x, w, zero, w->steps, true);
  end_forward(x, w->copy, w->t, RING_SUM);
}

static void go_back(Context *x, const Sweep *w) {
  start_backward(x, w->copy, w->t, RING_SUM);
  if (w->both) backward_steps(x, w);
  pass_back(x, w);
}

/* One way after the other, or, as a loop over ways, each on its own. */
static void go(Context x, Sweep *w) {
  Builder *b = B(&x);
  Val zero = build_int(b, 0), one = build_int(b, 1);
  Nest nest = {0};
  Loop *way = NULL;
  if (w->both)
    way = open_loop(&x, LOOP_PAR, w->c->plates.at[w->c->chain->step]->span, zero, if_both(&x, w, build_int(b, 2), one));
  w->copy = open_chains(&x, w->c, &nest);
  w->steps = step_count(&x, w->c);
  Val first = way ? build_2(b, IR_EQ, way->index, zero) : 0;
  Loop *l = way ? open_if(&x, w, first) : NULL;
  go_forward(&x, w);
  if (l) build_close(b, l);
  l = way ? open_if(&x, w, build_1(b, IR_NOT, build_2(b, IR_AND, first, w->both))) : NULL;
  go_back(&x, w);
  if (l) build_close(b, l);
  close_nest(b, &nest);
  if (way) build_close(b, way);
}

void sweep_chain(Derive *d, Component *c, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Sweep w = {.d = d, .c = c, .t = t, .n = step_rows(&x, c)};
  plan_pass(&x, &w);
  declare(&x, &w);
  t->sweeping = true;
  go(x, &w);
  if (w.both) visit_after(&x, &w);
  t->sweeping = false;
  b->at = back;
}
