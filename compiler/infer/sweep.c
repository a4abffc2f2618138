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
 */
#include "base/ice.h"
#include "infer/chain.h"

ChainUse *use_of(Derive *d, const Component *c) { return &d->uses[c->id]; }

static Val state_count(Context *x, const Component *c) {
  VarSet state = state_after(c->chain);
  Val n = build_int(B(x), 1);
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) n = build_2(B(x), IR_MUL, n, chain_dimension(x, c, c->chain->clique.at[k].at));
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step) continue;
    Bounds r = eval_range(x, &c->plates.at[k]->range);
    n = build_2(B(x), IR_MUL, n, build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0)));
  }
  return n;
}

/* How many steps a segment has: at least 1. */
static Val segment_length(Context *x, const Component *c, Val n) {
  Builder *b = B(x);
  Val wide = build_convert(b, n, IR_WIDE),
      root = build_convert(b, build_1(b, IR_CEIL, build_1(b, IR_SQRT, wide)), IR_INT);
  Val bytes = build_2(b, IR_MUL, build_convert(b, state_count(x, c), IR_WIDE),
                      build_2(b, IR_MUL, wide, build_float(b, IR_WIDE, 8)));
  Val whole = build_2(b, IR_LE, bytes, build_float(b, IR_WIDE, (double)x->d->plan->whole_bytes));
  return build_2(b, IR_MAX, build_select(b, whole, n, root), build_int(b, 1));
}

typedef struct Sweep {
  Derive *d;
  Component *c;
  ChainTables *t;
  Array *kept;
  Copy copy; /* the step is left open */
  Val n, length;
} Sweep;

static Val floor_by(Context *x, Val a, Val b) { return build_2(B(x), IR_FLOORDIV, a, b); }

/* Moves a row of forward messages into those kept, or back: one loop where `when` holds, else none. */
static void move_row(Context *x, const Sweep *w, Val row, Val when, bool keep) {
  Builder *b = B(x);
  Span span = w->c->plates.at[w->c->chain->step]->span;
  Loop *l = open_loop(x, LOOP_SEQ, span, build_int(b, 0), build_select(b, when, build_int(b, 1), build_int(b, 0)));
  Nest nest = {0};
  Cell cell = open_state(x, w->c, state_after(w->c->chain), LOOP_PAR, &nest);
  Val *in_table = forward_place(x, w->copy, row, &cell);
  Val *in_kept = table_place(x, w->copy, floor_by(x, row, w->length), state_after(w->c->chain), 0, &cell);
  if (keep) build_store(b, w->kept, build_load(b, w->t->forward[RING_SUM], in_table), in_kept);
  else build_store(b, w->t->forward[RING_SUM], build_load(b, w->kept, in_kept), in_table);
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

/* What is asked of the step, then the backward messages before it. */
static void visit(Context *x, const Sweep *w, Val step) {
  Step s = step_at(x, w, step);
  const ChainUse *use = use_of(w->d, w->c);
  for (uint32_t k = 0; k < w->c->edges.n; k++)
    if (use->marginals >> k & 1) marginal_step(&s, w->t, k);
  for (uint32_t k = 0; k < STEP_SUMS; k++)
    if (use->sums >> k & 1)
      build_store(B(x), w->t->each[k], step_sum(k)(&s),
                  chain_place(&s.own, s.copy, build_2(B(x), IR_SUB, s.row, build_int(B(x), 1))));
  backward_step(&s, w->t);
}

/* The pass itself.  Where it comes to the last step of a segment whose rows are not there (all but the one it begins
 * with), they are computed again. */
static void pass_back(Context *x, const Sweep *w) {
  Builder *b = B(x);
  Val zero = build_int(b, 0), one = build_int(b, 1);
  Loop *l = open_loop(x, LOOP_SEQ, w->c->plates.at[w->c->chain->step]->span, zero, w->n);
  Val at = build_2(b, IR_SUB, build_2(b, IR_SUB, w->n, one), l->index), row = build_2(b, IR_ADD, at, one);
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
  t->backward_ring = build_int(b, 2);
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

void sweep_chain(Derive *d, Component *c, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Sweep w = {.d = d, .c = c, .t = t, .n = step_count(&x, c)};
  w.length = segment_length(&x, c, w.n);
  declare(&x, &w);
  Nest nest = {0};
  w.copy = open_chains(&x, c, &nest);
  t->sweeping = true;
  start_forward(&x, w.copy, t, RING_SUM);
  move_row(&x, &w, build_int(b, 0), build_bool(b, true), true);
  forward_steps(&x, &w, build_int(b, 0), w.n, true);
  end_forward(&x, w.copy, t, RING_SUM);
  start_backward(&x, w.copy, t, RING_SUM);
  pass_back(&x, &w);
  t->sweeping = false;
  close_nest(b, &nest);
  b->at = back;
}
