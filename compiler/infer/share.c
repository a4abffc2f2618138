/* share: Z of a chain that has a weight more over Z of the chain without it (conditioned.c).
 *
 * A weight on counts of no copies belongs to no component: the sums are without it, and what counts no copies is
 * weighed without them.  Copies that nothing joined are a chain in the twin alone: their evidence is a product.
 *
 * Where the twin may fall apart, copies that f is not about are no matter of the question, also if they have no value:
 *
 *     Z(f) / Z = product of Z(f) of the components that f is about / product of Z of those that these are made of
 */
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

/* ---- of some copies ---------------------------------------------------------------------------------------------- */

static Copy with_step(Context *x, Copy copy, uint32_t step, Val at) {
  Copy r = {copy.c, NEW_ARRAY(x->d->arena, Val, copy.c->plates.n)};
  for (uint32_t k = 0; k < copy.c->plates.n; k++) r.at[k] = k == step ? at : copy.at[k];
  return r;
}

/* log Z of the component that begins at the copy, or in which it is the first that f is about; else 0.  Constants are
 * the same in both chains. */
static Val begun_here(Context *x, Copy copy, Val first) {
  if (!copy.c->chain) return copy_log_sum(x, copy);
  Context y = in_copy(x, copy);
  Val begins = build_2(B(x), IR_OR, first, build_1(B(x), IR_NOT, is_joined(&y, copy)));
  return build_select(B(x), begins, piece_log_sum(x, copy), wide(x, 0));
}

typedef Val (*StepOf)(Context *x, Copy copy, Val first);

static Val over_steps_of_event(Context *x, Copy copy, uint32_t step, const StepRange *r, AccKind kind, StepOf fn) {
  Builder *b = B(x);
  Context y = in_copy(x, copy);
  Loop *l = open_loop(x, LOOP_REDUCE, copy.c->plates.at[step]->span, r->first,
                      build_select(b, r->some, build_2(b, IR_ADD, r->last, build_int(b, 1)), r->first));
  Acc *a = build_acc(b, l, kind, kind == ACC_ALL ? IR_BOOL : IR_WIDE, 0, NULL);
  y = with_index(&y, copy.c->plates.at[step], l->index, r->first, 0, false);
  a->body.x = fn(&y, with_step(&y, copy, step, l->index), build_2(b, IR_EQ, l->index, r->first));
  return build_close(b, l)->accs.at[0]->result;
}

static Val holds_here(Context *x, Copy copy, Val first) {
  (void)first;
  return bond_holds(x, copy);
}

/* ---- the share ------------------------------------------------------------------------------------------------- */

/* What is to be divided, and by what; holds: bool, all that f is about exists as far as bonds say (0: it does). */
typedef struct Sums {
  Val part, all, holds;
} Sums;

static Sums sums_of(Context *x, Copy twin, Copy chain, uint32_t event) {
  uint32_t step = twin.c->chain->step, own = step - (twin.c->plates.n - chain.c->plates.n);
  Sums s = {0};
  bool some = has_one_range(x->d->plan, twin.c, event);
  Context in_twin = in_copy(x, twin);
  StepRange r = some ? range_of_event(&in_twin, twin, event) : (StepRange){0};
  if (chain.c->bond)
    s.holds = some && tells_apart(chain.c, own) ? over_steps_of_event(x, chain, own, &r, ACC_ALL, holds_here)
                                                : bond_holds_along(x, chain, own);
  if (!twin.c->chain->may_break) {
    s.part = chain_log_sum(x, twin);
    s.all = log_sum_along(x, chain, own);
    return s;
  }
  s.part = over_steps_of_event(x, twin, step, &r, ACC_SUM, begun_here);
  s.all = over_steps_of_event(x, chain, own, &r, ACC_SUM, begun_here);
  return s;
}

Val chain_share(Context *x, const Term *t) {
  Builder *b = B(x);
  Copy twin = copy_of(x, t->args.at[0]), chain = copy_of(x, t->args.at[1]);
  Context in_twin = in_copy(x, twin);
  uint32_t event = (uint32_t)t->args.at[2]->integer;
  Val none, log_none = event_of_nothing(&in_twin, twin, event, &none);
  Sums s = sums_of(x, twin, chain, event);
  Val part = build_2(b, IR_LOGMUL, s.part, log_none), all = s.all;
  Val empty = build_2(b, IR_EQ, all, wide(x, -INFINITY));
  Val p = build_1(b, IR_EXP, build_select(b, none, log_none, build_2(b, IR_SUB, part, all)));
  if (t->args.n > 3) {
    Val yes = build_convert(b, eval(x, t->args.at[3]), IR_WIDE), no = build_convert(b, eval(x, t->args.at[4]), IR_WIDE);
    Val rest = build_2(b, IR_MUL, no, build_2(b, IR_SUB, wide(x, 1), p));
    p = build_2(b, IR_ADD, build_2(b, IR_MUL, yes, p), rest);
  }
  if (s.holds) empty = build_2(b, IR_OR, empty, build_1(b, IR_NOT, s.holds));
  return build_select(b, none, p, build_select(b, empty, wide(x, 0), p));
}
