/* steps: the steps of a chain where data say which there are, `for t in 0..length[b]`, `for e in ptr[i]..ptr[i + 1]`.
 *
 * Loops over steps run from the first copy to the last.  Tables have as many rows as sizes allow (room.c), the first of
 * them for the first copy; data that ask for more are an index error. */
#include "infer/arith.h"
#include "infer/chain.h"
#include "model/term.h"

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

static void check_bound(Context *x, const Term *of, Val some, Val v, Val most) {
  Builder *b = B(x);
  Span back = b->span;
  b->span = of->span;
  build_check(b, IR_CHECK_INDEX, build_and(b, x->guard, some), v, most);
  b->span = back;
}

void check_room_for(Context *x, const TermVec *room, const Term *of, Val lo, Val hi) {
  Builder *b = B(x);
  Val some = build_2(b, IR_LT, lo, hi);
  check_bound(x, of, some, build_2(b, IR_SUB, hi, build_int(b, 1)), eval_room(x, room));
}

static bool data_begin(const Component *c) { return !term_is_of_sizes(plate_of(c)->range.lo); }

Val step_rows(Context *x, const Component *c) {
  Builder *b = B(x);
  Context top = {.d = x->d};
  const Range *r = &plate_of(c)->range;
  Val hi = c->chain->room.n ? eval_room(x, &c->chain->room) : eval(&top, r->hi);
  Val n = data_begin(c) ? hi : build_2(b, IR_SUB, hi, eval(&top, r->lo));
  return build_2(b, IR_MAX, n, build_int(b, 0));
}

Bounds step_range(Context *x, const Component *c) {
  Builder *b = B(x);
  Context top = {.d = x->d};
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

void check_room(Context *x, const Component *c) {
  if (!c->chain->room.n) return;
  const Range *r = &plate_of(c)->range;
  Bounds all = eval_range(x, r);
  check_room_for(x, &c->chain->room, r->hi, all.lo, all.hi);
  if (data_begin(c)) check_bound(x, r->lo, build_2(B(x), IR_LT, all.lo, all.hi), all.lo, all.hi);
}
