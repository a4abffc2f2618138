/* below: a loop's variable lies in its range, which is not empty where there is one.
 *
 *   lo <= i < hi, with lo >= c >= 0 and hi <= max(n, 0):     0 <= i - c < n
 *   the same with lo >= 0:                                    0 <= (max(n, 0) - 1) - i < n
 *   hi = x + 1 or x, with x such an index, n - c or n - x, or lo itself, where there is no i:     hi <= n */
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

static const Loop *loop_of(const Kernel *k, Val v) { return ir_at(k, v)->op == IR_INDEX ? ir_at(k, v)->loop : NULL; }

static bool is_one(const Kernel *k, Val v) {
  int64_t c;
  return constant(k, v, &c) && c == 1;
}

bool ir_not_negative(const Kernel *k, Val v) {
  const Loop *l = loop_of(k, v);
  return at_least(k, l ? l->lo : v, 0);
}

/* hi <= n wherever hi > 0. */
static bool at_most(const Kernel *k, Val hi, Val n) {
  const Instr *i = ir_at(k, hi);
  int64_t a, b;
  if (i->op == IR_ADD && is_one(k, i->arg[1])) return ir_index_below(k, i->arg[0], n);
  if (i->op == IR_INDEX) return ir_index_below(k, hi, n);
  if (i->op == IR_SUB && i->arg[0] == n) return ir_not_negative(k, i->arg[1]);
  if (hi == n || (constant(k, hi, &a) && constant(k, n, &b) && a <= b)) return true;
  if (i->op == IR_MIN) return at_most(k, i->arg[0], n) || at_most(k, i->arg[1], n);
  if (i->op != IR_MAX) return false;
  bool first = constant(k, i->arg[0], &a) && a <= 0, second = constant(k, i->arg[1], &b) && b <= 0;
  return (second && at_most(k, i->arg[0], n)) || (first && at_most(k, i->arg[1], n));
}

/* hi <= n wherever the loop has an iteration. */
static bool ends_by(const Kernel *k, const Loop *l, Val n) {
  const Instr *i = ir_at(k, l->hi);
  if (i->op != IR_SELECT) return at_most(k, l->hi, n);
  return (i->arg[1] == l->lo || at_most(k, i->arg[1], n)) && (i->arg[2] == l->lo || at_most(k, i->arg[2], n));
}

/* n, or max(n, 0) */
static bool is_count(const Kernel *k, Val v, Val n) {
  const Instr *i = ir_at(k, v);
  int64_t c;
  if (v == n) return true;
  return i->op == IR_MAX && ((i->arg[0] == n && constant(k, i->arg[1], &c) && c == 0) ||
                             (i->arg[1] == n && constant(k, i->arg[0], &c) && c == 0));
}

/* v = n - 1 where n > 0 */
static bool is_last(const Kernel *k, Val v, Val n) {
  const Instr *i = ir_at(k, v);
  int64_t c, d;
  if (constant(k, v, &c)) return constant(k, n, &d) && c == d - 1;
  bool added = i->op == IR_ADD && constant(k, i->arg[1], &c) && c == -1;
  return i->narg == 2 && is_count(k, i->arg[0], n) &&
         (added || (i->op == IR_SUB && constant(k, i->arg[1], &c) && c == 1));
}

bool ir_index_below(const Kernel *k, Val x, Val n) {
  const Loop *l = loop_of(k, x);
  const Instr *i = ir_at(k, x);
  int64_t c;
  if (l) return at_least(k, l->lo, 0) && ends_by(k, l, n);
  if (i->op != IR_SUB && i->op != IR_ADD) return false;
  l = loop_of(k, i->arg[0]);
  if (l && constant(k, i->arg[1], &c)) {
    c = i->op == IR_SUB ? c : -c;
    return c >= 0 && at_least(k, l->lo, c) && ends_by(k, l, n);
  }
  l = loop_of(k, i->arg[1]);
  return l && i->op == IR_SUB && is_last(k, i->arg[0], n) && at_least(k, l->lo, 0) && ends_by(k, l, n);
}
