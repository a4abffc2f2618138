/* below: a loop's variable lies in its range, which is not empty where there is one.
 *
 *   lo <= i < hi, with lo >= c >= 0 and hi <= max(n, 0):     0 <= i - c < n
 *   the same with lo >= 0:                                    0 <= (n - 1) - i < n */
#include "ir/below.h"

static bool constant(const Kernel *k, Val v, int64_t *c) {
  const Instr *i = ir_at(k, v);
  *c = i->integer;
  return i->op == IR_CONST && i->type == IR_INT;
}

static bool at_least(const Kernel *k, Val v, int64_t least) {
  const Instr *i = ir_at(k, v);
  int64_t c;
  if (constant(k, v, &c)) return c >= least;
  return i->op == IR_MAX && (at_least(k, i->arg[0], least) || at_least(k, i->arg[1], least));
}

/* hi <= n wherever hi > 0. */
static bool at_most(const Kernel *k, Val hi, Val n) {
  const Instr *i = ir_at(k, hi);
  int64_t a, b;
  if (hi == n || (constant(k, hi, &a) && constant(k, n, &b) && a <= b)) return true;
  if (i->op == IR_MIN) return at_most(k, i->arg[0], n) || at_most(k, i->arg[1], n);
  if (i->op != IR_MAX) return false;
  bool first = constant(k, i->arg[0], &a) && a <= 0, second = constant(k, i->arg[1], &b) && b <= 0;
  return (second && at_most(k, i->arg[0], n)) || (first && at_most(k, i->arg[1], n));
}

static const Loop *loop_of(const Kernel *k, Val v) { return ir_at(k, v)->op == IR_INDEX ? ir_at(k, v)->loop : NULL; }

/* v = n - 1 */
static bool is_last(const Kernel *k, Val v, Val n) {
  const Instr *i = ir_at(k, v);
  int64_t c, d;
  if (constant(k, v, &c)) return constant(k, n, &d) && c == d - 1;
  bool added = i->op == IR_ADD && constant(k, i->arg[1], &c) && c == -1;
  return i->narg == 2 && i->arg[0] == n && (added || (i->op == IR_SUB && constant(k, i->arg[1], &c) && c == 1));
}

bool ir_index_below(const Kernel *k, Val x, Val n) {
  const Loop *l = loop_of(k, x);
  const Instr *i = ir_at(k, x);
  int64_t c;
  if (l) return at_least(k, l->lo, 0) && at_most(k, l->hi, n);
  if (i->op != IR_SUB && i->op != IR_ADD) return false;
  l = loop_of(k, i->arg[0]);
  if (l && constant(k, i->arg[1], &c)) {
    c = i->op == IR_SUB ? c : -c;
    return c >= 0 && at_least(k, l->lo, c) && at_most(k, l->hi, n);
  }
  l = loop_of(k, i->arg[1]);
  return l && i->op == IR_SUB && is_last(k, i->arg[0], n) && at_least(k, l->lo, 0) && at_most(k, l->hi, n);
}
