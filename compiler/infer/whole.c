/* whole: what is asked of a chain as a whole, as sums over its steps.
 *
 *   H(c)     = sum over t of E[H(what step t adds, given the state before)]          the chain rule
 *   kl       = E[-log prior] - H(c), of each step its own
 *   log Z    = the total of the messages, and the normalisers that depend on no edge
 *   count(c) = the total in the ring of counts */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"

static const Terms AT_CLIQUE = {.factors = true, .before = true, .after = true},
                   GIVEN_BEFORE = {.factors = true, .after = true};

/* ---- sums over the steps ----------------------------------------------------------------------------------------- */

Val over_steps(Context *x, Copy copy, StepFn fn) {
  Builder *b = B(x);
  Component *c = copy.c;
  Index *step = c->plates.at[c->chain->step];
  uint32_t known = 0; /* which step_sum it is */
  while (known < STEP_SUMS && step_sum(known) != fn) known++;
  if (known < STEP_SUMS) use_of(x->d, c)->sums |= (uint32_t)1 << known;
  forward_table(x->d, c, RING_SUM);
  backward_table(x->d, c, RING_SUM);
  Array *each = known < STEP_SUMS ? tables_of(x->d, c)->each[known] : NULL;
  Context own = in_copy(x, copy);
  Bounds r = step_range(&own, c);
  Loop *l = open_loop(x, LOOP_REDUCE, step->span, r.lo, r.hi);
  Acc *a = build_acc(b, l, ACC_SUM, IR_WIDE, 0, NULL);
  Context y = with_index(x, step, l->index, r.lo, r.hi, false);
  Copy home = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  for (uint32_t k = 0; k < c->plates.n; k++) home.at[k] = copy.at[k];
  home.at[c->chain->step] = l->index;
  Step s = step_of(&y, home, RING_SUM);
  see_after(&s, tables_of(x->d, c));
  a->body.x = each ? build_load(b, each, chain_place(&y, home, build_2(b, IR_SUB, l->index, r.lo))) : fn(&s);
  return build_close(b, l)->accs.at[0]->result;
}

typedef Val (*CellFn)(Step *s, const Cell *cell);

static uint32_t lowest(VarSet set) {
  uint32_t k = 0;
  while (!(set >> k & 1)) k++;
  return k;
}

/* E of fn over the values of `left`, given the cell, under the law of which `terms` over `all` is the weight. */
static Val expect_cell(Step *s, const Cell *cell, VarSet left, VarSet all, Terms terms, CellFn fn) {
  if (!left) return fn(s, cell);
  uint32_t var = lowest(left);
  left &= ~((VarSet)1 << var);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(B(&s->own), l, ACC_EXPECT, IR_WIDE, 0, NULL);
  a->body.log_w = clique_sum(s, &inside, all & ~inside.known, terms);
  a->body.x = expect_cell(s, &inside, left, all, terms, fn);
  return build_close(B(&s->own), l)->accs.at[0]->result;
}

/* ---- entropy ----------------------------------------------------------------------------------------------------- */

/* H of the values of `left` given the cell: the chain rule, value by value. */
static Val entropy_given(Step *s, const Cell *cell, VarSet left) {
  const Chain *ch = s->copy.c->chain;
  Builder *b = B(&s->own);
  uint32_t var = lowest(left);
  left &= ~((VarSet)1 << var);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *h = build_acc(b, l, ACC_ENTROPY, IR_WIDE, 0, NULL);
  h->body.log_w = clique_sum(s, &inside, whole_clique(ch) & ~inside.known, GIVEN_BEFORE);
  Acc *rest = left ? build_acc(b, l, ACC_EXPECT, IR_WIDE, 0, NULL) : NULL;
  if (rest) rest->body.log_w = h->body.log_w;
  if (rest) rest->body.x = entropy_given(s, &inside, left);
  l = build_close(b, l);
  Val v = l->accs.at[0]->result;
  return rest ? build_2(b, IR_ADD, v, l->accs.at[1]->result) : v;
}

static Val new_entropy(Step *s, const Cell *cell) {
  const Chain *ch = s->copy.c->chain;
  return entropy_given(s, cell, whole_clique(ch) & ~state_before(ch) & ~counters_in(ch, s->copy.c));
}

static Val step_entropy(Step *s) {
  const Chain *ch = s->copy.c->chain;
  return expect_cell(s, &(Cell){0}, state_before(ch), whole_clique(ch), AT_CLIQUE, new_entropy);
}

Val unless_invalid(Context *x, Copy copy, Val v) {
  if (!copy.c->chain->may_break) return unless_empty(x, copy, v);
  Val z = chain_total(x, copy, RING_SUM);
  return build_select(B(x), build_2(B(x), IR_NE, z, z), wide(x, NAN), v);
}

Val unless_empty(Context *x, Copy copy, Val v) {
  Val status = chain_status(x, copy);
  Val exists = build_2(B(x), IR_EQ, status, wide(x, 0)), nan = build_2(B(x), IR_NE, status, status);
  return build_select(B(x), exists, v, build_select(B(x), nan, wide(x, NAN), wide(x, 0)));
}

Val chain_entropy(Context *x, Copy copy) { return unless_invalid(x, copy, over_steps(x, copy, step_entropy)); }

/* ---- kl ---------------------------------------------------------------------------------------------------------- */

static Val minus_log_prior(Step *s, const Cell *cell) {
  Step p = *s;
  p.ring = RING_PRIOR;
  return build_1(B(&s->own), IR_NEG,
                 clique_sum(&p, cell, 0, (Terms){.factors = true})); /* counts are not known: no factor */
}

static Val step_cross(Step *s) {
  VarSet all = whole_clique(s->copy.c->chain);
  return expect_cell(s, &(Cell){0}, all & ~counters_in(s->copy.c->chain, s->copy.c), all, AT_CLIQUE, minus_log_prior);
}

StepFn step_sum(uint32_t k) {
  static const StepFn sums[STEP_SUMS] = {step_entropy, step_cross};
  return sums[k];
}

static Val constant_of(Step *s, bool priors_alone) {
  const Component *c = s->copy.c;
  Context *x = &s->own;
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < c->constants.n; i++)
    if (c->constants.at[i]->is_prior || !priors_alone)
      sum = build_2(B(x), IR_LOGMUL, sum, factor_log(x, s->copy.c, c->constants.at[i]));
  return sum;
}

/* Where the component has a value: one that has none adds nothing. */
Val prior_constant(Step *s) {
  Val v = constant_of(s, true);
  if (!s->copy.c->chain->may_break) return v;
  Val exists = build_2(B(&s->own), IR_EQ, chain_status(&s->own, s->copy), wide(&s->own, 0));
  return build_select(B(&s->own), exists, v, wide(&s->own, 0));
}
static Val all_constants(Step *s) { return constant_of(s, false); }

static Val step_removed(Step *s) {
  Val v = constant_of(s, false);
  return build_select(B(&s->own), build_2(B(&s->own), IR_EQ, v, wide(&s->own, -INFINITY)), wide(&s->own, 1),
                      wide(&s->own, 0));
}

Val chain_kl(Context *x, Copy copy) {
  Val cross = build_2(B(x), IR_SUB, over_steps(x, copy, step_cross), over_steps(x, copy, prior_constant));
  return unless_invalid(x, copy, build_2(B(x), IR_SUB, cross, over_steps(x, copy, step_entropy)));
}

Val chain_log_sum(Context *x, Copy copy) {
  Val total = chain_total(x, copy, RING_SUM);
  if (!copy.c->constants.n) return total;
  Val removed = build_2(B(x), IR_GT, over_steps(x, copy, step_removed), wide(x, 0));
  Val constants = build_select(B(x), removed, wide(x, -INFINITY), over_steps(x, copy, all_constants));
  return build_2(B(x), IR_LOGMUL, total, constants);
}

Val chain_logz(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  return build_2(B(x), IR_LOGMUL, chain_log_sum(x, copy), ends_of_nothing(&y, copy, RING_SUM));
}

Val chain_count(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  return build_2(B(x), IR_MUL, chain_total(x, copy, RING_COUNT), ends_of_nothing(&y, copy, RING_COUNT));
}
