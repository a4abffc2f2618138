/* idle: chains whose plate data end, `for t in 0..length[b]`.
 *
 * Tables have as many rows as sizes allow (room.c); a chain of more copies is an index error.  Steps behind the last
 * copy are idle: their factors are one, and their variables have number 0 alone.  A variable of one value with weight
 * one changes no sum, no maximum, no entropy and no count, and a count goes on with increments of 0. */
#include "infer/arith.h"
#include "infer/chain.h"

static const Index *plate_of(const Component *c) { return c->plates.at[c->chain->step]; }

Val eval_room(Context *x, const TermVec *room) {
  Context top = {.d = x->d};
  Val most = 0;
  for (uint32_t i = 0; i < room->n; i++) {
    Val n = eval(&top, room->at[i]);
    most = most ? build_2(B(x), IR_MAX, most, n) : n;
  }
  return most;
}

void check_room_for(Context *x, const TermVec *room, const Term *of, Val lo, Val hi) {
  Builder *b = B(x);
  Span back = b->span;
  Val some = build_and(b, x->guard, build_2(b, IR_LT, lo, hi)), last = build_2(b, IR_SUB, hi, build_int(b, 1));
  Val most = eval_room(x, room);
  b->span = of->span;
  build_check(b, IR_CHECK_INDEX, some, last, most);
  b->span = back;
}

Bounds step_range(Context *x, const Component *c) {
  Context top = {.d = x->d};
  if (!c->chain->room.n) return eval_range(&top, &plate_of(c)->range);
  return (Bounds){eval(&top, plate_of(c)->range.lo), eval_room(x, &c->chain->room), NULL, 0};
}

Val step_count(Context *x, const Component *c) {
  Bounds r = step_range(x, c);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0));
}

Val has_no_copy(Context *x, const Component *c) {
  if (!c->chain->room.n) return build_2(B(x), IR_EQ, step_count(x, c), build_int(B(x), 0));
  Bounds r = eval_range(x, &plate_of(c)->range);
  return build_2(B(x), IR_LE, r.hi, r.lo);
}

void check_room(Context *x, const Component *c) {
  if (!c->chain->room.n) return;
  Bounds r = eval_range(x, &plate_of(c)->range);
  check_room_for(x, &c->chain->room, plate_of(c)->range.hi, r.lo, r.hi);
}

void see_idle(Step *s) {
  const Component *c = s->copy.c;
  if (!c->chain->room.n) return;
  Bounds r = eval_range(&s->own, &plate_of(c)->range);
  s->there = build_2(B(&s->own), IR_LT, s->copy.at[c->chain->step], r.hi);
  s->own = with_guard(&s->own, s->there);
}

Val unless_idle(Step *s, Val one, Val v) { return s->there ? build_select(B(&s->own), s->there, v, one) : v; }

Val idle_value(Step *s, const Cell *cell, uint32_t var, Val w) {
  if (!s->there) return w;
  Builder *b = B(&s->own);
  Val ok = build_2(b, IR_OR, s->there, build_2(b, IR_EQ, cell->code[var], build_int(b, 0)));
  return build_select(b, ok, w, ring_zero(&s->own, s->ring));
}
