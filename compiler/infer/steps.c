/* steps: the steps of a chain where data say which there are, `for t in 0..length[b]`, `for e in ptr[i]..ptr[i + 1]`.
 *
 * Loops over steps run from the first copy to the last.  Tables have as many rows as sizes allow (room.c), the first of
 * them for the first copy; data that ask for more are an index error.
 *
 * Where one chain begins as the one before it ends, all of them together have no more steps than there is room for one:
 * their rows lie one after another, each chain's from the sum of the lengths before it on (and some to spare, a row
 * before the first step and what a draw needs). */
#include "infer/arith.h"
#include "infer/chain.h"
#include "model/term.h"

static const Index *plate_of(const Component *c) { return c->plates.at[c->chain->step]; }

/* The list of all neighbours in the graph along whose rows the steps are; NULL: a range. */
static Array *list_of(const Context *x, const Component *c) {
  const Range *r = &plate_of(c)->range;
  return r->kind == RANGE_ROW ? x->d->neighbours[r->graph->id] : NULL;
}

Val eval_room(Context *x, const TermVec *room) {
  Context top = {.d = x->d};
  Val most = 0;
  for (uint32_t i = 0; i < room->n; i++) {
    Val n = eval(&top, room->at[i]);
    most = most ? build_2(B(x), IR_MAX, most, n) : n;
  }
  return most;
}

static void check_bound(Context *x, Span of, Val some, Val v, Val most) {
  Builder *b = B(x);
  Span back = b->span;
  b->span = of;
  build_check(b, IR_CHECK_INDEX, build_and(b, x->guard, some), v, most);
  b->span = back;
}

void check_room_for(Context *x, const TermVec *room, const Term *of, Val lo, Val hi) {
  Builder *b = B(x);
  Val some = build_2(b, IR_LT, lo, hi);
  check_bound(x, of->span, some, build_2(b, IR_SUB, hi, build_int(b, 1)), eval_room(x, room));
}

void check_begin(Context *x, const Term *of, Val least, Val lo, Val hi) {
  Builder *b = B(x);
  Val some = build_2(b, IR_LT, lo, hi);
  check_bound(x, of->span, some, build_2(b, IR_SUB, lo, least), build_2(b, IR_SUB, hi, least));
}

static bool data_begin(const Component *c) {
  const Range *r = &plate_of(c)->range;
  return r->kind == RANGE_ROW || !term_is_of_sizes(r->lo);
}

static Span end_span(const Component *c) {
  const Range *r = &plate_of(c)->range;
  return r->kind == RANGE_ROW ? r->span : r->hi->span;
}

Val step_rows(Context *x, const Component *c) {
  Builder *b = B(x);
  Context top = {.d = x->d};
  const Range *r = &plate_of(c)->range;
  if (list_of(x, c)) return list_of(x, c)->dims[0];
  Val hi = c->chain->room.n ? eval_room(x, &c->chain->room) : eval(&top, r->hi);
  Val n = data_begin(c) ? hi : build_2(b, IR_SUB, hi, eval(&top, r->lo));
  return build_2(b, IR_MAX, n, build_int(b, 0));
}

uint32_t longest_reach(const Chain *ch) { return ch->clique.at[ch->clique.n - 1].lag; }

static bool is_packed(const Component *c) { return c->chain->packed != NO_PLATE; }

static Val spare_rows(Context *x, const Component *c) { return build_int(B(x), 1 + (int64_t)longest_reach(c->chain)); }

static Val chains_in_row(Context *x, const Component *c) { return plate_places(x, c, c->chain->packed); }

Val table_rows(Context *x, const Component *c, int64_t more) {
  Builder *b = B(x);
  Val rows = step_rows(x, c), others = build_int(b, more);
  if (is_packed(c)) others = build_2(b, IR_MUL, chains_in_row(x, c), spare_rows(x, c));
  return build_2(b, IR_ADD, rows, others);
}

bool is_row_plate(const Component *c, uint32_t k) { return k == c->chain->step || k == c->chain->packed; }

uint32_t row_rank(const Component *c) { return c->plates.n - is_packed(c); }

Bounds step_range(Context *x, const Component *c) {
  Builder *b = B(x);
  Context top = {.d = x->d};
  if (list_of(x, c)) {
    Bounds r = eval_range(x, &plate_of(c)->range);
    return (Bounds){build_2(b, IR_MAX, r.lo, build_int(b, 0)), build_2(b, IR_MIN, r.hi, step_rows(x, c)), NULL, 0};
  }
  if (!c->chain->room.n) return eval_range(&top, &plate_of(c)->range);
  Bounds r = eval_range(x, &plate_of(c)->range);
  if (data_begin(c)) r.lo = build_2(b, IR_MAX, r.lo, build_int(b, 0));
  r.hi = build_2(b, IR_MIN, r.hi, eval_room(x, &c->chain->room));
  return r;
}

Val step_count(Context *x, const Component *c) {
  Bounds r = step_range(x, c);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0));
}

Val row_of_step(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  return build_2(B(x), IR_SUB, copy.at[copy.c->chain->step], step_range(&y, copy.c).lo);
}

Val plate_places(Context *x, const Component *c, uint32_t k) {
  Builder *b = B(x);
  Context top = {.d = x->d};
  const Range *r = &c->plates.at[k]->range;
  const TermVec *room = &c->chain->beside[k];
  Val hi = room->n ? eval_room(x, room) : eval(&top, r->hi);
  return build_2(b, IR_MAX, build_2(b, IR_SUB, hi, eval(&top, r->lo)), build_int(b, 0));
}

Val plate_place(Context *x, Copy copy, uint32_t k) {
  Context top = {.d = x->d};
  return build_2(B(x), IR_SUB, copy.at[k], eval(&top, copy.c->plates.at[k]->range.lo));
}

Bounds plate_values(Context *x, const Component *c, uint32_t k) {
  const TermVec *room = &c->chain->beside[k];
  Context top = {.d = x->d};
  Bounds r = eval_range(room->n ? x : &top, &c->plates.at[k]->range);
  if (!room->n) return r;
  check_room_for(x, room, c->plates.at[k]->range.hi, r.lo, r.hi);
  r.hi = build_2(B(x), IR_MIN, r.hi, eval_room(x, room));
  return r;
}

void check_room(Context *x, const Component *c) {
  if (!c->chain->room.n) return;
  const Range *r = &plate_of(c)->range;
  Bounds all = eval_range(x, r);
  check_room_for(x, &c->chain->room, r->hi, all.lo, all.hi);
  if (data_begin(c)) check_begin(x, r->lo, build_int(B(x), 0), all.lo, all.hi);
}

/* ---- rows one after another -------------------------------------------------------------------------------------- */

static Val *start_place(Context *x, Copy copy, Val row) {
  Val *at = NEW_ARRAY(x->d->arena, Val, copy.c->plates.n);
  uint32_t n = 0;
  for (uint32_t k = 0; k < copy.c->plates.n; k++)
    if (!is_row_plate(copy.c, k)) at[n++] = plate_place(x, copy, k);
  at[n] = row;
  return at;
}

/* Inside the loops over the other plates. */
static void fill_starts(Context *x, Copy copy, Array *starts) {
  Builder *b = B(x);
  const Component *c = copy.c;
  Index *plate = c->plates.at[c->chain->packed];
  Bounds r = eval_range(x, &plate->range);
  Val one = build_int(b, 1), end = build_2(b, IR_ADD, table_rows(x, c, 0), one);
  build_store(b, starts, build_int(b, 0), start_place(x, copy, build_int(b, 0)));
  Loop *l = open_loop(x, LOOP_SEQ, plate->span, r.lo, r.hi);
  Context y = with_index(x, plate, l->index, r.lo, r.hi, false);
  Val i = build_2(b, IR_SUB, l->index, r.lo), length = build_2(b, IR_ADD, step_count(&y, c), spare_rows(x, c));
  Val next = build_2(b, IR_ADD, build_load(b, starts, start_place(x, copy, i)), length);
  build_store(b, starts, next, start_place(x, copy, build_2(b, IR_ADD, i, one)));
  check_bound(&y, end_span(c), build_bool(b, true), next, end);
  build_close(b, l);
}

static Array *starts_of(Derive *d, Component *c) {
  ChainTables *t = tables_of(d, c);
  if (t->starts) return t->starts;
  Builder *b = &d->b;
  Region *back = b->at;
  Span span = b->span;
  b->at = b->k->top;
  Context x = {.d = d};
  Val *dims = NEW_ARRAY(d->arena, Val, c->plates.n);
  Copy copy = {c, NEW_ARRAY(d->arena, Val, c->plates.n)};
  uint32_t n = 0;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (!is_row_plate(c, k)) dims[n++] = plate_places(&x, c, k);
  dims[n++] = build_2(b, IR_ADD, chains_in_row(&x, c), build_int(b, 1));
  t->starts = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "starts%u", b->k->arrays.n), STORE_INT, n, dims);
  Nest nest = {0};
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (is_row_plate(c, k)) continue;
    Bounds r = plate_values(&x, c, k);
    Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_PAR, c->plates.at[k]->span, r.lo, r.hi);
    x = with_index(&x, c->plates.at[k], l->index, r.lo, r.hi, false);
    copy.at[k] = l->index;
  }
  fill_starts(&x, copy, t->starts);
  close_nest(b, &nest);
  b->at = back;
  b->span = span;
  return t->starts;
}

Val packed_row(Context *x, Copy copy, Val row) {
  if (!is_packed(copy.c)) return row;
  Array *starts = starts_of(x->d, copy.c);
  Val i = plate_place(x, copy, copy.c->chain->packed);
  return build_2(B(x), IR_ADD, build_load(B(x), starts, start_place(x, copy, i)), row);
}

/* ---- places along plates ----------------------------------------------------------------------------------------
 *
 * A chain along the neighbours of a node has its steps at their places in the graph's list, one after another as along
 * any other plate; Copy.at is that place there, and elsewhere the value of the plate's index. */

bool is_along_row(const Component *c, uint32_t plate) {
  return c->chain && plate == c->chain->step && c->plates.at[plate]->range.kind == RANGE_ROW;
}

Val place_along(Context *x, const Component *c, uint32_t plate, Val v) {
  if (!is_along_row(c, plate)) return v;
  Builder *b = B(x);
  Bounds r = eval_range(x, &c->plates.at[plate]->range);
  const Instr *i = ir_at(b->k, v);
  if (i->op == IR_LOAD && i->array == r.row) return i->arg[0];
  Loop *l = build_open(b, LOOP_REDUCE, r.lo, r.hi);
  Acc *a = build_acc(b, l, ACC_MAX, IR_INT, 0, NULL);
  Val here = build_2(b, IR_EQ, build_load(b, r.row, &l->index), v);
  a->body.x = build_select(b, here, l->index, r.lo);
  Val found = build_close(b, l)->accs.at[0]->result;
  return build_2(b, IR_MAX, found, r.lo);
}

void places_along(const Context *x, const Component *c, Val *at) {
  if (!c->chain || !is_along_row(c, c->chain->step)) return;
  Context y = *x;
  for (uint32_t i = 0; i < c->plates.n; i++) {
    Val v = at[i];
    at[i] = place_along(&y, c, i, v);
    y = with_index(&y, c->plates.at[i], v, v, 0, false);
  }
}

Val index_along(const Context *x, Copy copy, uint32_t plate) {
  Val at = copy.at[plate];
  if (!is_along_row(copy.c, plate)) return at;
  return build_load(B(x), x->d->neighbours[copy.c->plates.at[plate]->range.graph->id], &at);
}
