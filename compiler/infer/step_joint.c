/* step_joint: the step of latents that a quadratic joins.
 *
 * At the top of the joint form where it has one.  Else member after member, and of each its copies one after another,
 * in index order, each at its top given all others: coordinate ascent, which never lowers F.  A member with a copy that
 * has no top goes along the gradient, from where the others have come to.
 *
 * Which of these it is, the run tells, and for all values of the outer indices together; what is not taken is loops
 * without iterations.  A form that provably has a top is solved for and nothing else. */
#include "infer/arith.h"
#include "infer/step.h"
#include "infer/system.h"

static Val number(Context *x, int64_t v) { return build_int(B(x), v); }

/* ---- is there a top? ------------------------------------------------------------------------------------------- */

static Val bad_at(Context *x, void *system, const Val *place) {
  return build_load(B(x), ((const System *)system)->bad, place);
}

/* bool: for some value of the outer indices. */
static Val is_bad(const System *s) {
  Context x = {.d = s->d};
  return reduce_components(&x, s->j->members.at[0]->z, s->j->outer, ACC_ANY, IR_BOOL, bad_at, (void *)s);
}

/* A loop of one iteration where `holds`, else of none. */
static Loop *open_if(const System *s, Val holds, Span span) {
  Context x = {.d = s->d};
  return open_loop(&x, LOOP_SEQ, span, number(&x, 0), build_convert(B(&x), holds, IR_INT));
}

static Components open_outer(const System *s, const LatentPlan *l) {
  Components n = open_components((Context){.d = s->d}, l->z);
  while (n.n < s->j->outer) component_loop(&n, l->z);
  return n;
}

static void begin_block(const System *s, Components *n) {
  if (s->bad) build_store(B(&n->x), s->bad, build_bool(B(&n->x), false), n->place);
}

/* ---- at once ---------------------------------------------------------------------------------------------------- */

static void solve_at_once(const System *s, Block block) {
  Components n = open_outer(s, s->j->members.at[0]);
  begin_block(s, &n);
  solve_block(&n.x, s, n.place, block);
  close_components(&n);
}

/* One component, from y to where q's are kept, and to z; as it was where `stays`.  0: it does not. */
static void take_component(Components *n, const System *s, const LatentPlan *l, Val stays) {
  Context *x = &n->x;
  const LatentState *state = &s->d->iteration->of[l->z->id];
  Val place = system_place(x, s, l, NULL), old = step_old_mean(x, state, n->place),
      old_variance = step_old_variance(x, state, n->place);
  Val precision = load_unknown(x, s, s->diagonal, n->place, place);
  Top t = quadratic_top(x, l, wide(x, 0), precision, old, old_variance);
  t.mean = load_unknown(x, s, s->y, n->place, place);
  t = step_damp_top(x, l, t, old, old_variance);
  if (stays) t.mean = build_select(B(x), stays, old, t.mean);
  if (stays && t.variance) t.variance = build_select(B(x), stays, old_variance, t.variance);
  step_store_top(x, state, t, n->place);
  if (!s->bad) return;
  Val stored = build_convert(B(x), load_part(x, state->fresh, PART_MEAN, n->place), IR_WIDE);
  store_unknown(x, s, s->z, n->place, place, stored);
}

static void take_member(const System *s, const LatentPlan *l, Val stays) {
  Components n = open_components((Context){.d = s->d}, l->z);
  while (n.n < latent_rank(l->z)) component_loop(&n, l->z);
  take_component(&n, s, l, stays);
  close_components(&n);
}

/* ---- one after another ------------------------------------------------------------------------------------------ */

static bool has_copies(const System *s, const LatentPlan *l) { return lead_of(l) > s->j->outer; }

/* In index order.  active: bool; else nothing is done, and nothing is bad. */
static void solve_copies(const System *s, const LatentPlan *l, Val active) {
  Components n = open_outer(s, l);
  begin_block(s, &n);
  Loop *guard = open_if(s, active, l->z->span);
  Components copy = n;
  while (copy.n < lead_of(l)) component_loop_in(&copy, l->z, LOOP_SEQ, false);
  solve_block(&copy.x, s, n.place, copy_block(&copy.x, s, l));
  Components axes = copy;
  while (axes.n < latent_rank(l->z)) component_loop(&axes, l->z);
  take_component(&axes, s, l, 0);
  while (axes.n > s->j->outer) build_close(B(&axes.x), axes.loops[--axes.n]);
  build_close(B(&n.x), guard);
  close_components(&n);
}

/* As before the line. */
static void take_back(const System *s, const LatentPlan *l) {
  const LatentState *state = &s->d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = s->d}, l->z);
  while (n.n < latent_rank(l->z)) component_loop(&n, l->z);
  Val old = step_old_mean(&n.x, state, n.place);
  step_store_top(&n.x, state, (Top){old, step_old_variance(&n.x, state, n.place)}, n.place);
  store_unknown(&n.x, s, s->z, n.place, system_place(&n.x, s, l, NULL), old);
  close_components(&n);
}

/* bool: some copy has no top; then the member is as it was before the line. */
static Val take_in_turn(const System *s, uint32_t member) {
  const LatentPlan *l = s->j->members.at[member];
  Context x = {.d = s->d};
  Val bad = build_bool(B(&x), true);
  if (s->j->members.n > 1) {
    solve_at_once(s, member_block(s, member));
    bad = is_bad(s);
    take_member(s, l, bad);
  }
  if (!has_copies(s, l)) return bad;
  solve_copies(s, l, bad);
  Val fails = is_bad(s);
  Loop *back = open_if(s, fails, l->z->span);
  take_back(s, l);
  build_close(B(&x), back);
  return fails;
}

/* ---- along the gradient ------------------------------------------------------------------------------------------ */

static void take_along(const System *s, const LatentPlan *l) {
  const LatentState *state = &s->d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = s->d}, l->z);
  while (n.n < latent_rank(l->z)) component_loop(&n, l->z);
  Context *x = &n.x;
  Val place = system_place(x, s, l, NULL), old = step_old_mean(x, state, n.place),
      old_variance = step_old_variance(x, state, n.place), slope = slope_of(x, s, n.place, place),
      by_variance = mul(x, wide(x, -0.5), load_unknown(x, s, s->diagonal, n.place, place));
  Top t = step_along(x, l, slope, by_variance, old, old_variance);
  step_store_top(x, state, step_damp_top(x, l, t, old, old_variance), n.place);
  close_components(&n);
}

static void check_closed(const System *s, Val fails) {
  Builder *b = &s->d->b;
  b->span = s->j->members.at[0]->line->span;
  build_check(b, IR_CHECK_CONCAVE, fails, build_int(b, 0), s->d->iteration->step);
}

/* What has no top of its own goes by a slope, all such members at once, or is an error. */
static void in_turn(const System *s) {
  uint32_t n = s->j->members.n;
  Val *fails = NEW_ARRAY(s->d->arena, Val, n);
  for (uint32_t i = 0; i < n; i++) fails[i] = take_in_turn(s, i);
  for (uint32_t i = 0; i < n; i++) {
    const LatentPlan *l = s->j->members.at[i];
    if (!may_slope(l)) {
      check_closed(s, fails[i]);
      continue;
    }
    Loop *sloping = open_if(s, fails[i], l->z->span);
    take_along(s, l);
    build_close(&s->d->b, sloping);
  }
}

void step_joint(Derive *d, const Joint *j) {
  System s = open_system(d, j);
  Context x = {.d = d};
  solve_at_once(&s, (Block){number(&x, 0), s.n});
  Val bad = s.bad ? is_bad(&s) : 0;
  for (uint32_t i = 0; i < j->members.n; i++) take_member(&s, j->members.at[i], bad);
  if (!bad) return;
  Loop *turns = open_if(&s, bad, j->members.at[0]->z->span);
  in_turn(&s);
  build_close(&d->b, turns);
}
