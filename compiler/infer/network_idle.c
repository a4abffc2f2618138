/* network_idle: networks whose plates data end, the images of a batch.
 *
 * Tables have places for as many copies as sizes allow (room.c); more are an index error.  A copy behind the end is
 * idle: no statement names it but one of its own, which leaves it its first value, with weight one.  Such a variable
 * changes no sum, no maximum, no entropy and no count.  Instances of statements there are absent. */
#include "infer/network_parts.h"

Bounds network_range(Context *x, const Network *net, const Index *plate) {
  Context top = {.d = x->d};
  const TermVec *room = network_room(net, plate);
  if (!room) return eval_range(&top, &plate->range);
  return (Bounds){eval(&top, plate->range.lo), eval_room(x, room), NULL, 0};
}

static Bounds within_room(Context *x, const TermVec *room, Bounds r) {
  if (room) r.hi = build_2(B(x), IR_MIN, r.hi, eval_room(x, room));
  return r;
}

Val network_in_plate(Context *x, Copy copy, uint32_t k) {
  const Network *net = copy.c->network;
  Context there = {.d = x->d, .guard = build_bool(B(x), false)};
  for (uint32_t i = 0; i < k; i++) there = with_index(&there, copy.c->plates.at[i], copy.at[i], copy.at[i], 0, false);
  const Index *plate = copy.c->plates.at[k];
  Bounds r = within_room(x, network_room(net, plate), eval_range(&there, &plate->range));
  if (provably_within(x, copy.at[k], r.lo, r.hi)) return 0;
  return build_2(B(x), IR_AND, build_2(B(x), IR_GE, copy.at[k], r.lo), build_2(B(x), IR_LT, copy.at[k], r.hi));
}

/* x binds the plates of the edge before this one; do they name a copy so far? */
static Val is_there_so_far(Context *x, const Network *net, const Group *g, const Index *plate) {
  Copy copy = {x->d->plan->of_edge[g->edge->id], NEW_ARRAY(x->d->arena, Val, g->edge->plates.n)};
  Val there = 0;
  for (uint32_t k = 0; g->edge->plates.at[k] != plate; k++) {
    copy.at[k] = find_bound(x, g->edge->plates.at[k])->v;
    if (network_room(net, g->edge->plates.at[k])) there = build_and(B(x), there, network_in_plate(x, copy, k));
  }
  return there;
}

Bounds network_loop(Context *x, const Network *net, const Group *g, Index *i, bool checked) {
  const TermVec *room = network_room(net, i);
  bool idle = g->kind == GROUP_IDLE && room;
  if (!idle || checked) {
    Context y = *x;
    if (idle) y = with_guard(x, is_there_so_far(x, net, g, i));
    Bounds r = eval_range(&y, &i->range);
    if (room && checked) check_room_for(&y, room, i->range.hi, r.lo, r.hi);
    if (!idle) return within_room(x, room, r);
  }
  return network_range(x, net, i);
}

Val network_is_there(Context *x, Copy copy) {
  Val there = 0;
  for (uint32_t k = copy.c->network->outer; k < copy.c->plates.n; k++)
    if (network_room(copy.c->network, copy.c->plates.at[k]))
      there = build_and(B(x), there, network_in_plate(x, copy, k));
  return there;
}

Val network_idle_log(Context *x, Copy copy) {
  Choice value = find_known(x, copy.c, copy.c->edges.at[0], copy.at)->value;
  Val first = build_2(B(x), IR_EQ, network_number(x, copy.c, value), net_whole(x, 0)), there = network_is_there(x, copy);
  if (!there) return net_wide(x, 0);
  return build_select(B(x), build_2(B(x), IR_OR, there, first), net_wide(x, 0), net_wide(x, -INFINITY));
}
