/* table: the messages of a chain, row by row; see chain.h for what they hold.
 *
 * Tables are filled at the top of the kernel, before the loops that read them: all chains in parallel, the steps of
 * each in order. A row is divided by its largest entry, which is added up beside it. */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/chain.h"

/* ---- filling tables ---------------------------------------------------------------------------------------------- */

ChainTables *tables_of(Derive *d, const Component *c) {
  if (!d->chains) d->chains = NEW_ARRAY(d->arena, ChainTables *, d->plan->components.n);
  if (!d->chains[c->id]) d->chains[c->id] = NEW(d->arena, ChainTables);
  return d->chains[c->id];
}

Val chain_dimension(Context *x, const Component *c, uint32_t at) {
  return at < c->edges.n ? edge_count(x, c->edges.at[at]) : counter_dimension(x, c, at);
}

static Array *array_of(Derive *d, const Component *c, const char *what, StoreType elem, Val rows, uint32_t between,
                       const Val *dim, VarSet state) {
  Context x = {.d = d};
  Builder *b = B(&x);
  Val *dims = NEW_ARRAY(d->arena, Val, c->plates.n + c->chain->clique.n + 1 + between);
  uint32_t n = 0;
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step || (rows && is_row_plate(c, k))) continue;
    dims[n++] = plate_places(&x, c, k);
  }
  if (rows) dims[n++] = rows;
  for (uint32_t k = 0; k < between; k++) dims[n++] = dim[k];
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) dims[n++] = chain_dimension(&x, c, c->chain->clique.at[k].at);
  return build_array(b, ARRAY_TEMP, arena_printf(d->arena, "%s%u", what, b->k->arrays.n), elem, n, dims);
}

Array *chain_array(Derive *d, const Component *c, const char *what, StoreType elem, Val rows, VarSet state) {
  return array_of(d, c, what, elem, rows, 0, NULL, state);
}

Array *chain_array_and(Derive *d, const Component *c, const char *what, Val rows, uint32_t n, const Val *between,
                       VarSet state) {
  return array_of(d, c, what, STORE_WIDE, rows, n, between, state);
}

/* Loops over all chains; x binds their plates, copy.at[step] is left open.  A single chain is a loop of one iteration:
 * one thread takes its steps, where threads that meet at every step would spend their time waiting. */
Copy open_chains(Context *x, Component *c, Nest *nest) {
  if (component_depends_on_latents(c))
    B(x)->at = x->d->stage; /* the arrays are the kernel's, what is in them the stage's */
  Copy copy = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  Builder *b = B(x);
  if (c->plates.n == 1)
    nest->loops[nest->n++] = open_loop(x, LOOP_PAR, c->plates.at[0]->span, build_int(b, 0), build_int(b, 1));
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step) continue;
    Bounds r = plate_values(x, c, k);
    Loop *l = nest->loops[nest->n++] = open_loop(x, LOOP_PAR, c->plates.at[k]->span, r.lo, r.hi);
    *x = with_index(x, c->plates.at[k], l->index, r.lo, r.hi, false);
    copy.at[k] = l->index;
  }
  check_room(x, c);
  return copy;
}

void close_nest(Builder *b, Nest *nest) {
  while (nest->n) build_close(b, nest->loops[--nest->n]);
}

Cell open_state(Context *x, const Component *c, VarSet state, LoopKind kind, Nest *nest) {
  Cell cell = {0};
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) nest->loops[nest->n++] = open_values(x, c, k, &cell, kind, &cell);
  return cell;
}

typedef struct Row { Array *a; Copy copy; Val row; } Row; /* one row of a table of messages */

static Val *state_place(Context *x, const Row *r, const Cell *cell) {
  return table_place(x, r->copy, ring_row(x, r->copy.c, r->a, r->row), state_after(r->copy.c->chain), 0, cell);
}

/* The largest finite entry, -inf where there is none: what the row is then kept relative to. */
static Val largest_in(Context *x, const Row *r, VarSet left, const Cell *cell) {
  Builder *b = B(x);
  if (!left) {
    Val v = build_load(b, r->a, state_place(x, r, cell));
    Val finite = build_2(b, IR_LT, build_1(b, IR_ABS, v), wide(x, INFINITY));
    return build_select(b, finite, v, wide(x, -INFINITY));
  }
  uint32_t var = 0;
  while (!(left >> var & 1)) var++;
  Cell inside;
  Loop *l = open_values(x, r->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, ACC_MAX, IR_WIDE, 0, NULL);
  a->body.x = largest_in(x, r, left & ~((VarSet)1 << var), &inside);
  return build_close(b, l)->accs.at[0]->result;
}

/* Subtracts the largest entry and returns it (0 where there is none). */
static Val make_relative(Context *x, const Row *r) {
  Builder *b = B(x);
  VarSet state = state_after(r->copy.c->chain);
  Val max = largest_in(x, r, state, &(Cell){0});
  max = build_select(b, build_2(b, IR_EQ, max, wide(x, -INFINITY)), wide(x, 0), max);
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state, LOOP_PAR, &nest);
  Val *at = state_place(x, r, &cell);
  build_store(b, r->a, build_2(b, IR_SUB, build_load(b, r->a, at), max), at);
  close_nest(b, &nest);
  return max;
}

/* Before the first step: number 0 for the copies that do not exist. */
static void store_start(Context *x, const Row *r, Ring ring) {
  Builder *b = B(x);
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state_after(r->copy.c->chain), LOOP_PAR, &nest);
  Val start = 0;
  for (uint32_t k = 0; k < r->copy.c->chain->clique.n; k++)
    if (cell.known >> k & 1) start = build_and(b, start, build_2(b, IR_EQ, cell.code[k], build_int(b, 0)));
  build_store(b, r->a, build_select(b, start, ring_one(x, ring), ring_zero(x, ring)), state_place(x, r, &cell));
  close_nest(b, &nest);
}

static Val sum_of_row(Context *x, const Row *r, Ring ring, VarSet left, const Cell *cell) {
  Builder *b = B(x);
  if (!left) return build_load(b, r->a, state_place(x, r, cell));
  uint32_t var = 0;
  while (!(left >> var & 1)) var++;
  Cell inside;
  Loop *l = open_values(x, r->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, ring_plus(ring), IR_WIDE, 0, NULL);
  Val w = sum_of_row(x, r, ring, left & ~((VarSet)1 << var), &inside);
  if (ir_acc_takes_log_w(a->kind)) a->body.log_w = w;
  else a->body.x = w;
  return build_close(b, l)->accs.at[0]->result;
}

Val sum_of_messages(Context *x, Array *a, Copy copy, Val row, Ring ring) {
  return sum_of_row(x, &(Row){a, copy, row}, ring, state_after(copy.c->chain), &(Cell){0});
}

Val *message_place(Step *s, Val row, const Cell *cell) {
  return table_place(&s->own, s->copy, row, state_after(s->copy.c->chain), 0, cell);
}

Val *chain_place(Context *x, Copy copy, Val row) { return table_place(x, copy, row, 0, 0, NULL); }

Val *total_place(Context *x, Copy copy) {
  Val *at = NEW_ARRAY(x->d->arena, Val, copy.c->plates.n);
  uint32_t n = 0;
  for (uint32_t k = 0; k < copy.c->plates.n; k++)
    if (k != copy.c->chain->step) at[n++] = plate_place(x, copy, k);
  return at;
}

/* What is taken out before the step: where it starts afresh, all that came before. */
static Val taken_before(Step *s, Array *a, Array *scale) {
  Context *x = &s->own;
  Val last = build_2(B(x), IR_SUB, s->row, build_int(B(x), 1)),
      taken = build_load(B(x), scale, chain_place(x, s->copy, last));
  if (!s->joined) return taken;
  Row before = {a, s->copy, last};
  Val all = sum_of_row(x, &before, s->ring, state_after(s->copy.c->chain), &(Cell){0});
  return ring_times(x, s->ring, taken, build_select(B(x), s->joined, ring_one(x, s->ring), all));
}

/* forward[row] of the step s, from forward[row - 1]; what is taken out of the rows is added up in `scale`. */
void forward_step(Step *s, ChainTables *t) {
  Array *a = t->forward[s->ring], *scale = t->scale[s->ring], *moved = t->moved[s->ring];
  Context *x = &s->own;
  Builder *b = B(x);
  const Chain *ch = s->copy.c->chain;
  Row r = {a, s->copy, s->row};
  Val taken = taken_before(s, a, scale);
  fold_before(s, t);
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_after(ch), LOOP_PAR, &nest);
  Val w = clique_sum(s, &cell, whole_clique(ch) & ~state_after(ch), (Terms){.factors = true, .before = true});
  build_store(b, a, w, state_place(x, &r, &cell));
  close_nest(b, &nest);
  s->before.a = NULL;
  if (s->ring != RING_COUNT) {
    Val max = make_relative(x, &r);
    build_store(b, moved, max, chain_place(x, s->copy, s->row));
    taken = build_2(b, IR_ADD, taken, max);
  }
  build_store(b, scale, taken, chain_place(x, s->copy, s->row));
}

static void check_reaches(Context *x, Copy copy) {
  const Component *c = copy.c;
  const Plan *p = x->d->plan;
  for (uint32_t i = 0; i < c->factors.n; i++)
    if (c->factors.at[i]->weight) check_reach(x, copy, p->reach_of_weight[c->factors.at[i]->weight->id]);
  for (uint32_t i = 0; i < c->chain->counters.n; i++) check_reach(x, copy, c->chain->counters.at[i]->reach);
}

Val *forward_place(Context *x, Copy copy, Val row, const Cell *cell) {
  return state_place(x, &(Row){tables_of(x->d, copy.c)->forward[RING_SUM], copy, row}, cell);
}

void start_forward(Context *x, Copy copy, ChainTables *t, Ring ring) {
  Row first = {t->forward[ring], copy, build_int(B(x), 0)};
  check_reaches(x, copy);
  store_start(x, &first, ring);
  build_store(B(x), t->scale[ring], ring_one(x, ring), chain_place(x, copy, first.row));
}

void end_forward(Context *x, Copy copy, ChainTables *t, Ring ring) {
  Val n = step_count(x, copy.c);
  Row last = {t->forward[ring], copy, n};
  Val sum = sum_of_row(x, &last, ring, state_after(copy.c->chain), &(Cell){0});
  sum = ring_times(x, ring, build_load(B(x), t->scale[ring], chain_place(x, copy, n)), sum);
  Val no_copy = build_2(B(x), IR_EQ, n, build_int(B(x), 0)); /* copies of no values have no row */
  sum = build_select(B(x), no_copy, ring_one(x, ring), sum);
  build_store(B(x), t->total[ring], sum, total_place(x, copy));
}

static void fill_forward(Derive *d, Component *c, Ring ring, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  Val rows = table_rows(&x, c, 1);
  t->forward[ring] = chain_array(d, c, "forward", STORE_WIDE, rows, state_after(c->chain));
  t->scale[ring] = chain_array(d, c, "scale", STORE_WIDE, rows, 0);
  t->moved[ring] = chain_array(d, c, "moved", STORE_WIDE, rows, 0);
  t->total[ring] = chain_array(d, c, "total", STORE_WIDE, 0, 0);
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  start_forward(&x, copy, t, ring);
  Bounds range = step_range(&x, c);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_SEQ, step->span, range.lo, range.hi);
  Context y = with_index(&x, step, l->index, range.lo, range.hi, false);
  copy.at[c->chain->step] = l->index;
  Step s = step_of(&y, copy, ring);
  forward_step(&s, t);
  build_close(b, nest.loops[--nest.n]);
  end_forward(&x, copy, t, ring);
  close_nest(b, &nest);
  b->at = back;
}

static void store_end(Context *x, const Row *r, Ring ring) {
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state_after(r->copy.c->chain), LOOP_PAR, &nest);
  build_store(B(x), r->a, ring_one(x, ring), state_place(x, r, &cell));
  close_nest(B(x), &nest);
}

void start_backward(Context *x, Copy copy, ChainTables *t, Ring ring) {
  store_end(x, &(Row){t->backward[ring], copy, step_count(x, copy.c)}, ring);
}

/* backward[row - 1] of the step s, from backward[row]. */
void backward_step(Step *s, ChainTables *t) {
  Array *a = t->backward[s->ring];
  Context *x = &s->own;
  Builder *b = B(x);
  const Chain *ch = s->copy.c->chain;
  Row r = {a, s->copy, build_2(b, IR_SUB, s->row, build_int(b, 1))};
  if (!s->after.a) fold_after(s, t);
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_before(ch), LOOP_PAR, &nest);
  Val w = clique_sum(s, &cell, whole_clique(ch) & ~state_before(ch), (Terms){.factors = true, .after = true});
  if (s->joined) w = build_select(b, s->joined, w, ring_one(x, s->ring));
  build_store(b, a, w, table_place(x, r.copy, ring_row(x, r.copy.c, a, r.row), state_after(ch), 1, &cell));
  close_nest(b, &nest);
  if (s->ring != RING_COUNT) make_relative(x, &r);
}

static void fill_backward(Derive *d, Component *c, Ring ring, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  t->backward[ring] =
      chain_array(d, c, "backward", STORE_WIDE, table_rows(&x, c, 1), state_after(c->chain));
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  start_backward(&x, copy, t, ring);
  Bounds range = step_range(&x, c);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_SEQ, step->span, build_int(b, 0), step_count(&x, c));
  Val at = build_2(b, IR_SUB, build_2(b, IR_SUB, range.hi, build_int(b, 1)), l->index);
  Context y = with_index(&x, step, at, range.lo, range.hi, false);
  copy.at[c->chain->step] = at;
  Step s = step_of(&y, copy, ring);
  backward_step(&s, t);
  close_nest(b, &nest);
  b->at = back;
}

Array *forward_table(Derive *d, Component *c, Ring ring) {
  ChainTables *t = tables_of(d, c);
  if (!t->forward[ring] && ring == RING_SUM && use_of(d, c)->sweep) sweep_chain(d, c, t);
  if (!t->forward[ring]) fill_forward(d, c, ring, t);
  return t->forward[ring];
}

Array *backward_table(Derive *d, Component *c, Ring ring) {
  ChainTables *t = tables_of(d, c);
  if (!t->backward[ring] && ring == RING_SUM && use_of(d, c)->sweep) sweep_chain(d, c, t);
  if (!t->backward[ring]) fill_backward(d, c, ring, t);
  return t->backward[ring];
}

Val chain_total(Context *x, Copy copy, Ring ring) {
  forward_table(x->d, copy.c, ring);
  Array *a = tables_of(x->d, copy.c)->total[ring];
  return build_load(B(x), a, total_place(x, copy));
}
