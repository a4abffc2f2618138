/* joint: where a chain falls apart.
 *
 * A component is what weights join, and a weight that stands at some steps only, `for t in 1..length[b]`, leaves copies
 * apart: whether one component is empty says nothing about another.  Where it is not known that all copies along the
 * plate are joined (Chain.may_break), a step that no instance of a weight joins to those before it starts a new
 * component: messages start afresh there, and each component has its own status. */
#include "infer/chain.h"

#include "base/ice.h"
#include "model/term.h"

static Context beside_step(const Context *x, Copy copy, const Reach *r) {
  Context y = *x;
  uint32_t step = copy.c->chain->step;
  for (uint32_t k = 0; k < r->n; k++)
    if (k != step && r->follows[k] && r->follows[k] != copy.c->plates.at[k])
      y = with_index(&y, r->follows[k], copy.at[k], copy.at[k], 0, false);
  return y;
}

static Val either(Context *x, Val a, Val b) { return !a ? b : build_2(B(x), IR_OR, a, b); }

/* A weight whose lowest reference lies `span` steps before its home joins t to t - 1 if its home is t .. t + span - 1.
 */
static Val joins(Context *x, Copy copy, const Reach *r) {
  uint32_t step = copy.c->chain->step;
  Val any = 0;
  for (int64_t span = r->shift[step] - r->lowest[step], ahead = 0; ahead < span; ahead++) {
    Copy home = lagged_copy(x, copy, -ahead);
    Context y = *x;
    y = with_index(&y, copy.c->plates.at[step], home.at[step], home.at[step], 0, false);
    Val meets = reach_meets(&y, home, r);
    any = either(x, any, meets ? meets : build_bool(B(x), true));
  }
  return any;
}

static StepRange range_of_reach(Context *x, Copy copy, const Reach *reach) {
  Builder *b = B(x);
  uint32_t step = copy.c->chain->step;
  Context y = beside_step(x, copy, reach);
  Bounds q = eval_range(&y, &reach->follows[step]->range);
  StepRange r = {.first = build_2(b, IR_ADD, q.lo, build_int(b, reach->lowest[step]))};
  r.last = build_2(b, IR_ADD, q.hi, build_int(b, reach->shift[step] - 1));
  r.some = build_2(b, IR_LT, q.lo, q.hi);
  return r;
}

static StepRange counted_range(Context *x, Copy copy, const Counter *k) { return range_of_reach(x, copy, k->reach); }

/* Do two statements look at the same run of copies? */
static bool are_alike(uint32_t step, const Reach *a, const Reach *b) {
  if (!a->follows[step] || !b->follows[step] || a->shift[step] != b->shift[step] || a->lowest[step] != b->lowest[step])
    return false;
  const Range *x = &a->follows[step]->range, *y = &b->follows[step]->range;
  return x->kind == RANGE_INTERVAL && y->kind == RANGE_INTERVAL && term_equal(x->lo, y->lo) && term_equal(x->hi, y->hi);
}

typedef struct Event {
  const Reach *first;
  bool apart;
} Event; /* apart: some look at other copies than the first */

static void see_reach(Event *e, uint32_t step, const Reach *r) {
  if (!e->first) e->first = r;
  e->apart |= !are_alike(step, e->first, r);
}

static Event see_event(const Plan *p, const Component *c, uint32_t event) {
  const Chain *ch = c->chain;
  Event e = {0};
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Weight *w = c->factors.at[i]->weight;
    if (w && w->id >= event) see_reach(&e, ch->step, p->reach_of_weight[w->id]);
  }
  for (uint32_t i = 0; i < ch->ends.n; i++)
    for (uint32_t k = 0; k < ch->counters.n && ch->ends.at[i]->weight->id >= event; k++)
      if (ch->ends.at[i]->counters >> k & 1) see_reach(&e, ch->step, ch->counters.at[k]->reach);
  return e;
}

bool has_one_range(const Plan *p, const Component *c, uint32_t event) {
  Event e = see_event(p, c, event);
  return e.first && !e.apart;
}

StepRange range_of_event(Context *x, Copy copy, uint32_t event) {
  return range_of_reach(x, copy, see_event(x->d->plan, copy.c, event).first);
}

Val is_joined(Context *x, Copy copy) {
  const Component *c = copy.c;
  Builder *b = B(x);
  Val any = build_bool(b, false), t = copy.at[c->chain->step];
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Weight *w = c->factors.at[i]->weight;
    Val here = w ? joins(x, copy, x->d->plan->reach_of_weight[w->id]) : 0;
    if (here) any = either(x, any, here);
  }
  for (uint32_t i = 0; i < c->chain->counters.n; i++) {
    StepRange r = counted_range(x, copy, c->chain->counters.at[i]);
    Val inside = build_2(b, IR_AND, build_2(b, IR_LT, r.first, t), build_2(b, IR_LE, t, r.last));
    any = either(x, any, build_2(b, IR_AND, r.some, inside));
  }
  return any;
}

Val is_last_counted(Context *x, Copy copy, const End *e) {
  Builder *b = B(x);
  const Chain *ch = copy.c->chain;
  Val last = 0;
  for (uint32_t i = 0; i < ch->counters.n; i++) {
    if (!(e->counters >> i & 1)) continue;
    StepRange r = counted_range(x, copy, ch->counters.at[i]);
    Val here = build_select(b, r.some, r.last, build_int(b, INT64_MIN));
    last = last ? build_2(b, IR_MAX, last, here) : here;
  }
  return build_2(b, IR_EQ, copy.at[ch->step], last);
}

Val counts_nothing(Context *x, Copy copy, const End *e) {
  Val none = 0;
  for (uint32_t i = 0; i < copy.c->chain->counters.n; i++)
    if (e->counters >> i & 1)
      none = build_and(B(x), none, build_1(B(x), IR_NOT, counted_range(x, copy, copy.c->chain->counters.at[i]).some));
  return none;
}
