/* bound: see bound.h.
 *
 *   lo <= i <= hi - 1 of a loop's variable;  x + y, x - y by the bounds of x and y;  min and max by those of either, or
 *   of both */
#include "ir/bound.h"

/* base + more, in the copy; base: 0: none. */
typedef struct Bound { Val base; int64_t more; } Bound;

enum { DEPTH = 16 };

static Val value_of(Rebuild *r, Bound b) {
  return b.more ? build_2(&r->b, IR_ADD, b.base, build_int(&r->b, b.more)) : b.base;
}

static bool is_at_top(const Rebuild *r, Val v) { return !ir_at(r->from, v)->home->loop; }

static Bound of_value(Rebuild *r, Val v, bool upper, uint32_t depth);

/* i in lo .. hi. */
static Bound bound_of_index(Rebuild *r, const Loop *l, bool upper) {
  Bound none = {0, 0};
  if (!l) return none;
  Bound b = of_value(r, upper ? l->hi : l->lo, upper, DEPTH);
  if (b.base && upper) b.more--;
  return b;
}

static Bound bound_of_sum(Rebuild *r, Bound x, Bound y, bool difference) {
  if (!x.base || !y.base) return (Bound){0, 0};
  const Instr *i = ir_at(r->b.k, y.base);
  int64_t sign = difference ? -1 : 1;
  if (i->op == IR_CONST) return (Bound){x.base, x.more + sign * (i->integer + y.more)};
  return (Bound){build_2(&r->b, difference ? IR_SUB : IR_ADD, x.base, y.base), x.more + sign * y.more};
}

/* Of max(x, y) either bound from below is one, and of min(x, y) either from above: one that sizes alone give, if any
 * does. */
static Bound bound_of_either(Rebuild *r, Bound x, Bound y) {
  IrOp op = y.base ? ir_at(r->b.k, y.base)->op : IR_ADD;
  bool plain = !y.more && (op == IR_SIZE || op == IR_CONST);
  return !x.base || (y.base && plain) ? y : x;
}

static Bound bound_of_both(Rebuild *r, IrOp op, Bound x, Bound y) {
  if (!x.base || !y.base) return (Bound){0, 0};
  return (Bound){build_2(&r->b, op, value_of(r, x), value_of(r, y)), 0};
}

/* From above or from below, for all iterations of the loops around. */
static Bound of_value(Rebuild *r, Val v, bool upper, uint32_t depth) {
  const Instr *i = ir_at(r->from, v);
  if (is_at_top(r, v)) return (Bound){r->map[v], 0};
  if (i->op == IR_INDEX) return bound_of_index(r, i->loop, upper);
  if (depth == 0 || i->narg != 2) return (Bound){0, 0};
  bool turns = i->op == IR_SUB;
  if (i->op != IR_ADD && i->op != IR_SUB && i->op != IR_MIN && i->op != IR_MAX) return (Bound){0, 0};
  Bound x = of_value(r, i->arg[0], upper, depth - 1), y = of_value(r, i->arg[1], upper != turns, depth - 1);
  if (i->op == IR_ADD || turns) return bound_of_sum(r, x, y, turns);
  return (i->op == IR_MAX) != upper ? bound_of_either(r, x, y) : bound_of_both(r, i->op, x, y);
}

Val bound_of(Rebuild *r, Val v, bool upper) {
  Bound b = of_value(r, v, upper, DEPTH);
  return b.base ? value_of(r, b) : 0;
}
