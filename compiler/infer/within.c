/* within: what is known of index values whatever the sizes and data are: that they lie in a range, so that nothing is
 * checked; how far apart two are.
 *
 * Found from constants, sizes, which are not negative, and the bounds of loops. */
#include "infer/context.h"

static bool provably_nonnegative(const Context *x, Val v) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v);
  switch ((int)i->op) {
  case IR_CONST: return i->integer >= 0;
  case IR_SIZE: return true;
  case IR_INDEX:
    if (i->loop) return provably_nonnegative(x, i->loop->lo);
    for (const BoundIndex *n = x->bound; n; n = n->next)
      if (n->v == v && n->lo != v) return provably_nonnegative(x, n->lo);
    return false;
  case IR_ADD: case IR_MUL: case IR_FLOORDIV: case IR_MIN:
    return provably_nonnegative(x, i->arg[0]) && provably_nonnegative(x, i->arg[1]);
  case IR_MOD: return provably_nonnegative(x, i->arg[1]);
  case IR_MAX: return provably_nonnegative(x, i->arg[0]) || provably_nonnegative(x, i->arg[1]);
  }
  return false;
}

/* Is it at most n? */
static bool at_most(const Kernel *k, Val hi, Val n) {
  const Instr *i = ir_at(k, hi);
  return hi == n || (i->op == IR_MIN && (i->arg[0] == n || i->arg[1] == n));
}

/* Below n, or in a loop that may be left out, lo .. (c ? n : lo). */
static bool ends_at(const Kernel *k, const Loop *l, Val n) {
  const Instr *hi = ir_at(k, l->hi);
  return at_most(k, l->hi, n) || (hi->op == IR_SELECT && at_most(k, hi->arg[1], n) && hi->arg[2] == l->lo);
}

bool provably_below(const Context *x, Val v, Val n) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v), *top = ir_at(k, n);
  if (!provably_nonnegative(x, v)) return false;
  if (i->op == IR_CONST) return top->op == IR_CONST && i->integer < top->integer;
  if (i->op == IR_INDEX) {
    if (i->loop) return ends_at(k, i->loop, n);
    for (const BoundIndex *b = x->bound; b; b = b->next)
      if (b->v == v) return b->hi && at_most(k, b->hi, n);
  }
  return false;
}

bool provably_within(const Context *x, Val v, Val lo, Val hi) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v), *low = ir_at(k, lo);
  bool from_lo = (low->op == IR_CONST && low->integer <= 0) || (i->op == IR_INDEX && i->loop && i->loop->lo == lo);
  return from_lo && provably_below(x, v, hi);
}

/* v = base + offset; base 0: a constant. */
static Val base_of(const Kernel *k, Val v, int64_t *offset) {
  for (*offset = 0;;) {
    const Instr *i = ir_at(k, v);
    if (i->op == IR_CONST) {
      *offset += i->integer;
      return 0;
    }
    if (i->op != IR_ADD && i->op != IR_SUB) return v;
    const Instr *c = ir_at(k, i->arg[1]), *a = ir_at(k, i->arg[0]);
    if (c->op == IR_CONST) {
      *offset += i->op == IR_ADD ? c->integer : -c->integer;
      v = i->arg[0];
    } else if (a->op == IR_CONST && i->op == IR_ADD) {
      *offset += a->integer;
      v = i->arg[1];
    } else {
      return v;
    }
  }
}

bool constant_distance(const Kernel *k, Val a, Val b, int64_t *d) {
  int64_t p, q;
  if (base_of(k, a, &p) != base_of(k, b, &q)) return false;
  *d = p - q;
  return true;
}
