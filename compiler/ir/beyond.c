/* beyond: see beyond.h.  A guard that implies the mask, as far as conjunctions show, is false where the mask is. */
#include "ir/beyond.h"

/* Whether a holds only where b does. */
static bool implies(const Kernel *k, Val a, Val b) {
  const Instr *i = ir_at(k, a), *j = ir_at(k, b);
  if (a == b) return true;
  if (j->op == IR_AND) return implies(k, a, j->arg[0]) && implies(k, a, j->arg[1]);
  return i->op == IR_AND && (implies(k, i->arg[0], b) || implies(k, i->arg[1], b));
}

static bool checks_beyond(const Kernel *k, const Region *r, Val mask) {
  for (uint32_t n = 0; r && n < r->code.n; n++)
    if (ir_checked_beyond(k, ir_at(k, r->code.at[n]), mask)) return true;
  return false;
}

bool ir_axes_check_beyond(const Kernel *k, const Loop *l, bool seed, Val mask) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (checks_beyond(k, seed ? a->seed.at : a->body.at, mask)) return true;
  }
  return false;
}

bool ir_checked_beyond(const Kernel *k, const Instr *i, Val mask) {
  if (ir_is_check(i->op)) return !i->arg[0] || !implies(k, i->arg[0], mask);
  if (i->op != IR_LOOP) return false;
  const Loop *l = i->loop;
  return checks_beyond(k, l->body, mask) || checks_beyond(k, l->seed, mask) ||
         ir_axes_check_beyond(k, l, false, mask) || ir_axes_check_beyond(k, l, true, mask);
}
