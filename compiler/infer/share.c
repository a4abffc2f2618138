/* share: Z of a chain that has a weight more over Z of the chain without it (conditioned.c).
 *
 * A weight on counts of no copies belongs to no component: the sums are without it, and what counts no copies is
 * weighed without them.  Copies that nothing joined are a chain in the twin alone: their evidence is a product. */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"
#include "model/term.h"

static void contribute_copy(Context *x, void *component, Contribution *c) {
  Copy copy = own_copy(x, component);
  c->x = build_2(B(x), IR_LOGMUL, copy_log_sum(x, copy), copy_log_constant(x, copy));
}

/* log Z of all copies along a plate. */
static Val log_sum_along(Context *x, Copy copy, uint32_t step) {
  if (copy.c->chain) return chain_log_sum(x, copy);
  Context y = in_copy(x, copy);
  return reduce_over(&y, copy.c->plates.at[step], ACC_SUM, IR_WIDE, contribute_copy, copy.c);
}

Val chain_share(Context *x, const Term *t) {
  Builder *b = B(x);
  Copy twin = copy_of(x, t->args.at[0]), chain = copy_of(x, t->args.at[1]);
  Context in_twin = in_copy(x, twin);
  Val none, log_none = event_of_nothing(&in_twin, twin, (uint32_t)t->args.at[2]->integer, &none);
  Val part = build_2(b, IR_LOGMUL, chain_log_sum(x, twin), log_none);
  Val all = log_sum_along(x, chain, twin.c->chain->step - (twin.c->plates.n - chain.c->plates.n));
  Val empty = build_2(b, IR_EQ, all, wide(x, -INFINITY));
  Val p = build_1(b, IR_EXP, build_select(b, none, log_none, build_2(b, IR_SUB, part, all)));
  if (t->args.n > 3) {
    Val yes = build_convert(b, eval(x, t->args.at[3]), IR_WIDE), no = build_convert(b, eval(x, t->args.at[4]), IR_WIDE);
    Val rest = build_2(b, IR_MUL, no, build_2(b, IR_SUB, wide(x, 1), p));
    p = build_2(b, IR_ADD, build_2(b, IR_MUL, yes, p), rest);
  }
  Val holds = bond_holds_along(x, chain, twin.c->chain->step - (twin.c->plates.n - chain.c->plates.n));
  if (holds) empty = build_2(b, IR_OR, empty, build_1(b, IR_NOT, holds));
  return build_select(b, none, p, build_select(b, empty, wide(x, 0), p));
}
