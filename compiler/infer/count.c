/* count: counters of a chain, from copy to copy and at the end (count_plan.c).
 *
 *   count after = count before + d, d the term of the copy, at least 0
 * A count is known from the one before it, and all but known from the one after: where counts saturate, the limit has
 * d + 1 predecessors.  A weight on counts is a factor of the step that counts the last copy. */
#include <math.h>

#include "base/ice.h"
#include "infer/chain.h"
#include "model/term.h"

static const Counter *counter(const Component *c, uint32_t at) { return c->chain->counters.at[at - c->edges.n]; }

/* The indices of a weight at the end stand for those of the chain. */
static Context beside(const Context *x, const Component *c, const Reach *r) {
  Context y = *x;
  for (uint32_t k = 0; k < r->n; k++) {
    if (k == c->chain->step || r->follows[k] == c->plates.at[k]) continue;
    const BoundIndex *n = find_bound(x, c->plates.at[k]);
    y = with_index(&y, r->follows[k], n->v, n->lo, n->hi, false);
  }
  return y;
}

/* That of all steps. */
static Val whole_count(Context *x, const Component *c, uint32_t at) {
  const Counter *k = counter(c, at);
  Context top = {.d = x->d};
  Val steps = step_rows(x, c);
  return k->most ? build_2(B(x), IR_MUL, steps, eval(&top, k->most)) : steps;
}

bool counter_is_of_bits(const Component *c, uint32_t at) { return !counter(c, at)->most; }

Val counter_limit(Context *x, const Component *c, uint32_t at) {
  const Counter *k = counter(c, at);
  Val whole = whole_count(x, c, at);
  if (!k->limit) return whole;
  Context y = term_is_of_sizes(k->limit) ? *x : beside(x, c, k->reach);
  Val limit = build_2(B(x), IR_MIN, eval(&y, k->limit), whole);
  return build_2(B(x), IR_MAX, limit, build_int(B(x), 0)); /* where no copy is counted yet the count is 0 */
}

Val counter_dimension(Context *x, const Component *c, uint32_t at) {
  const Counter *k = counter(c, at);
  Val greatest = k->limit && !term_is_of_sizes(k->limit) ? whole_count(x, c, at) : counter_limit(x, c, at);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_ADD, greatest, build_int(B(x), 1)), build_int(B(x), 0));
}

Val counter_increment(Context *x, Copy home, uint32_t at) {
  const Counter *k = counter(home.c, at);
  Val active;
  Context y = at_home(x, home, k->reach, &active);
  Val d = eval(&y, k->sum->args.at[0]);
  return active ? build_select(B(x), active, d, build_int(B(x), 0)) : d;
}

bool counter_saturates(const Component *c, uint32_t at, Ring ring) {
  return counter(c, at)->saturates || ring == RING_PRIOR;
}

static Val end_at(Context *x, const Component *c, const End *e, const Val *counts) {
  Context y = beside(x, c, e->reach);
  for (uint32_t k = 0; k < c->chain->counters.n; k++)
    if (counts[k]) y = with_index(&y, c->chain->counters.at[k]->count, counts[k], counts[k], 0, false);
  return build_convert(B(x), weight_over(&y, e->weight, &e->beyond), IR_WIDE);
}

/* The weight on counts as a number of the semiring where `when` holds, else one. */
static Val end_where(Context *x, const Component *c, const End *e, Ring ring, const Val *counts, Val when) {
  Builder *b = B(x);
  bool counting = ring == RING_COUNT;
  Context y = with_guard(x, when);
  Val l = end_at(&y, c, e, counts), one = build_float(b, IR_WIDE, counting);
  if (counting)
    l = build_select(b, build_2(b, IR_EQ, l, build_float(b, IR_WIDE, -INFINITY)), build_float(b, IR_WIDE, 0), one);
  return build_select(b, when, l, one);
}

static bool end_counts_in(Ring ring, const End *e) {
  return ring != RING_PRIOR && (ring != RING_COUNT || e->weight->kind == WEIGHT_REQUIRE);
}

Val ends_in(Step *s, const Cell *cell, VarSet done, bool first) {
  const Component *c = s->copy.c;
  const Chain *ch = c->chain;
  Val w = ring_one(&s->own, s->ring), *counts = NEW_ARRAY(s->own.d->arena, Val, ch->counters.n);
  for (uint32_t i = 0; i < ch->ends.n; i++) {
    const End *e = ch->ends.at[i];
    VarSet scope = 0;
    for (uint32_t k = 0; k < ch->counters.n; k++) {
      uint32_t var = (uint32_t)clique_place(ch, c->edges.n + k, 0);
      counts[k] = cell->known >> var & 1 ? cell->code[var] : 0;
      if (e->counters >> k & 1) scope |= (VarSet)1 << var;
    }
    bool complete = !(scope & ~cell->known) && (first || (scope & ~done));
    if (!complete || !end_counts_in(s->ring, e)) continue;
    Val last = is_last_counted(&s->own, s->copy, e);
    w = ring_times(&s->own, s->ring, w, end_where(&s->own, c, e, s->ring, counts, last));
  }
  return w;
}

/* Those of the weights from a number on. */
static Val some_ends_of_nothing(Context *x, Copy copy, Ring ring, uint32_t from) {
  const Chain *ch = copy.c->chain;
  Val w = ring_one(x, ring), *counts = NEW_ARRAY(x->d->arena, Val, ch->counters.n);
  for (uint32_t k = 0; k < ch->counters.n; k++) counts[k] = build_int(B(x), 0);
  for (uint32_t i = 0; i < ch->ends.n; i++) {
    const End *e = ch->ends.at[i];
    if (!end_counts_in(ring, e) || e->weight->id < from) continue;
    w = ring_times(x, ring, w, end_where(x, copy.c, e, ring, counts, counts_nothing(x, copy, e)));
  }
  return w;
}

Val ends_of_nothing(Context *x, Copy copy, Ring ring) { return some_ends_of_nothing(x, copy, ring, 0); }

Val event_of_nothing(Context *x, Copy copy, uint32_t event, Val *nothing) {
  const Component *c = copy.c;
  *nothing = build_bool(B(x), true);
  for (uint32_t i = 0; i < c->factors.n; i++)
    if (c->factors.at[i]->weight && c->factors.at[i]->weight->id >= event) *nothing = build_bool(B(x), false);
  for (uint32_t i = 0; i < c->chain->ends.n; i++)
    if (c->chain->ends.at[i]->weight->id >= event)
      *nothing = build_and(B(x), *nothing, counts_nothing(x, copy, c->chain->ends.at[i]));
  return some_ends_of_nothing(x, copy, RING_SUM, event);
}
