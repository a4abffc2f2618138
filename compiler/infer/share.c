/* share: Z of a chain that requires an event over Z of the chain without it (conditioned.c).
 *
 * A weight on counts of no copies belongs to no component: the sums are without it, and an event that counts no copies
 * is decided without them. */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"
#include "model/term.h"

Val chain_share(Context *x, const Term *t) {
  Builder *b = B(x);
  Copy twin = copy_of(x, t->args.at[0]);
  Context in_twin = in_copy(x, twin);
  Val none, log_none = event_of_nothing(&in_twin, twin, (uint32_t)t->args.at[2]->integer, &none);
  Val part = build_2(b, IR_LOGMUL, chain_log_sum(x, twin), log_none);
  Val all = chain_log_sum(x, copy_of(x, t->args.at[1])), empty = build_2(b, IR_EQ, all, wide(x, -INFINITY));
  Val p = build_1(b, IR_EXP, build_select(b, none, log_none, build_2(b, IR_SUB, part, all)));
  if (t->args.n > 3) {
    Val yes = build_convert(b, eval(x, t->args.at[3]), IR_WIDE), no = build_convert(b, eval(x, t->args.at[4]), IR_WIDE);
    Val rest = build_2(b, IR_MUL, no, build_2(b, IR_SUB, wide(x, 1), p));
    p = build_2(b, IR_ADD, build_2(b, IR_MUL, yes, p), rest);
  }
  return build_select(b, none, p, build_select(b, empty, wide(x, 0), p));
}
