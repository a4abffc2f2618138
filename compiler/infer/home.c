/* home: a weight statement at the copy that is its home (reach.h).
 *
 * Its indices take the values at which its highest reference is that copy; where they lie outside their ranges there is
 * no such instance.  Its references are then other names of copies that have values: each is known by that name too. */
#include "infer/context.h"
#include "model/term.h"

static Val displaced(Context *x, Val v, int64_t by) {
  if (by == 0) return v;
  return build_2(B(x), by > 0 ? IR_ADD : IR_SUB, v, build_int(B(x), by > 0 ? by : -by));
}

Copy lagged_copy(Context *x, Copy copy, int64_t lag) {
  if (lag == 0) return copy;
  Copy r = {copy.c, NEW_ARRAY(x->d->arena, Val, copy.c->plates.n)};
  for (uint32_t i = 0; i < copy.c->plates.n; i++) r.at[i] = copy.at[i];
  uint32_t step = copy.c->chain->step;
  r.at[step] = displaced(x, copy.at[step], -lag);
  return r;
}

static Context bind_indices(const Context *x, Copy home, const Reach *r) {
  Context y = *x;
  for (uint32_t k = 0; k < r->n; k++) {
    if (!r->follows[k] || (r->follows[k] == home.c->plates.at[k] && r->shift[k] == 0)) continue;
    Val v = is_along_row(home.c, k) ? index_along(&y, home, k) : displaced(&y, home.at[k], -r->shift[k]);
    y = with_index(&y, r->follows[k], v, v, 0, false);
  }
  return y;
}

/* bool; 0: always. */
static Val is_home(Context *y, Copy home, const Reach *r) {
  Builder *b = B(y);
  Val active = 0;
  for (uint32_t k = 0; k < r->n; k++) {
    if (!r->follows[k]) {
      Val pin = displaced(y, eval(y, r->pin[k]), r->shift[k]);
      active = build_and(b, active, build_2(b, IR_EQ, home.at[k], pin));
      continue;
    }
    if ((r->follows[k] == home.c->plates.at[k] && r->shift[k] == 0) || is_along_row(home.c, k)) continue;
    Bounds q = eval_range(y, &r->follows[k]->range);
    Val v = find_bound(y, r->follows[k])->v;
    const Index *plate = home.c->plates.at[k];
    bool same = r->shift[k] == 0 && term_equal(r->range[k].lo, plate->range.lo) &&
                term_equal(r->range[k].hi, plate->range.hi);
    if (same) continue;
    active = build_and(b, active, build_and(b, build_2(b, IR_GE, v, q.lo), build_2(b, IR_LT, v, q.hi)));
  }
  return active;
}

Val reach_meets(Context *x, Copy home, const Reach *r) {
  Context y = bind_indices(x, home, r);
  return is_home(&y, home, r);
}

/* Where copies are joined to no others all that a statement names exist: it was proved (chain_plan.c). */
static bool may_be_missing(const Component *c, const Reach *r) { return c->chain && !r->proved[c->chain->step]; }

Context at_home(const Context *x, Copy home, const Reach *r, Val *active) {
  Context y = bind_indices(x, home, r);
  *active = is_home(&y, home, r);
  if (*active) y = with_guard(&y, *active);
  for (uint32_t i = 0; i < r->refs.n; i++) {
    const ReachRef *ref = &r->refs.at[i];
    Edge *e = home.c->edges.at[ref->at];
    const Known *k = find_known(x, home.c, e, lagged_copy(&y, home, ref->lag).at);
    if (!k) continue;
    Copy named = {home.c, NEW_ARRAY(x->d->arena, Val, r->n)};
    for (uint32_t p = 0; p < r->n; p++)
      named.at[p] = is_along_row(home.c, p) ? home.at[p] : eval(&y, ref->ref->args.at[p]);
    bool unsure = ref->unsure && may_be_missing(home.c, r);
    if (!unsure && find_known(&y, home.c, e, named.at) == k) continue;
    y = with_known(&y, named, e, k->value);
    y.known->unsure = unsure;
  }
  return y;
}

/* Where the statement names the copy that lies so far before its home. */
static Span where_named(const Reach *r, uint32_t step, int64_t lag) {
  for (uint32_t i = 0; i < r->refs.n; i++)
    if (r->refs.at[i].lag == lag && !r->refs.at[i].unsure) return r->refs.at[i].ref->args.at[step]->span;
  return r->span;
}

void check_reach(Context *x, Copy copy, const Reach *r) {
  uint32_t step = copy.c->chain->step;
  if (r->own || r->proved[step]) return;
  Builder *b = B(x);
  Context y = *x;
  for (uint32_t k = 0; k < r->n; k++)
    if (k != step && r->follows[k] && r->follows[k] != copy.c->plates.at[k])
      y = with_index(&y, r->follows[k], displaced(&y, copy.at[k], -r->shift[k]), copy.at[k], 0, false);
  b->span = r->span;
  Bounds p = eval_range(&y, &copy.c->plates.at[step]->range);
  Val lowest, highest, guard = 0;
  if (r->follows[step]) {
    Bounds q = eval_range(&y, &r->follows[step]->range);
    lowest = displaced(&y, q.lo, r->first[step]);
    highest = displaced(&y, q.hi, r->shift[step] - 1);
    guard = build_2(b, IR_LT, q.lo, q.hi);
  } else {
    lowest = displaced(&y, eval(&y, r->pin[step]), r->first[step]);
    highest = displaced(&y, eval(&y, r->pin[step]), r->shift[step]);
  }
  Val n = build_2(b, IR_SUB, p.hi, p.lo);
  b->span = where_named(r, step, r->shift[step] - r->first[step]); /* evaluating bounds has moved it to them */
  build_check(b, IR_CHECK_INDEX, guard, build_2(b, IR_SUB, lowest, p.lo), n);
  b->span = where_named(r, step, 0);
  build_check(b, IR_CHECK_INDEX, guard, build_2(b, IR_SUB, highest, p.lo), n);
}
