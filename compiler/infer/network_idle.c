/* network_idle: networks whose plates data end, the images of a batch, or begin, the pieces of one.
 *
 * Tables have places for as many copies as sizes allow (room.c), from 0 on where data say the first; others are an
 * index error.  A place that no copy has is a variable of one value that no statement names: it changes no sum, no
 * maximum, no entropy and no count.  Instances of statements there are absent. */
#include "infer/network_parts.h"

Val network_least(Context *x, const IndexRoom *room) {
  Context top = {.d = x->d};
  Val least = 0;
  for (uint32_t i = 0; i < room->least.n; i++) {
    Val n = eval(&top, room->least.at[i]);
    least = least ? build_2(B(x), IR_MIN, least, n) : n;
  }
  return least;
}

Bounds network_range(Context *x, const Network *net, const Index *plate) {
  Context top = {.d = x->d};
  const IndexRoom *room = network_room(net, plate);
  if (!room) return eval_range(&top, &plate->range);
  Val least = network_least(x, room);
  return (Bounds){least ? least : eval(&top, plate->range.lo), eval_room(x, &room->room), NULL, 0};
}

Bounds network_loop(Context *x, const Network *net, const Index *i, bool checked) {
  const IndexRoom *room = network_room(net, i);
  Bounds r = eval_range(x, &i->range);
  if (!room) return r;
  Val least = network_least(x, room);
  if (checked) check_room_for(x, &room->room, i->range.hi, r.lo, r.hi);
  if (checked && least) check_begin(x, i->range.lo, least, r.lo, r.hi);
  if (least) r.lo = build_2(B(x), IR_MAX, r.lo, least);
  r.hi = build_2(B(x), IR_MIN, r.hi, eval_room(x, &room->room));
  return r;
}

Val network_in_plate(Context *x, Copy copy, uint32_t k) {
  Context before = {.d = x->d, .guard = build_bool(B(x), false)};
  for (uint32_t i = 0; i < k; i++) before = with_index(&before, copy.c->plates.at[i], copy.at[i], copy.at[i], 0, false);
  Bounds r = network_loop(&before, copy.c->network, copy.c->plates.at[k], false);
  if (provably_within(x, copy.at[k], r.lo, r.hi)) return 0;
  return build_2(B(x), IR_AND, build_2(B(x), IR_GE, copy.at[k], r.lo), build_2(B(x), IR_LT, copy.at[k], r.hi));
}

bool network_is_ended(const Network *net) {
  for (uint32_t i = 0; i < net->parts.n; i++)
    for (uint32_t k = net->outer; k < net->parts.at[i]->plates.n; k++)
      if (network_room(net, net->parts.at[i]->plates.at[k])) return true;
  return false;
}

Val network_values(Context *x, Copy copy, Val values) {
  const Network *net = copy.c->network;
  if (!network_is_ended(net)) return values;
  for (uint32_t k = 0; k < net->outer; k++) copy.at[k] = find_bound(x, net->parts.at[0]->plates.at[k])->v;
  Val there = 0;
  for (uint32_t k = net->outer; k < copy.c->plates.n; k++)
    if (network_room(net, copy.c->plates.at[k])) there = build_and(B(x), there, network_in_plate(x, copy, k));
  return there ? build_select(B(x), there, values, net_sub(x, net_whole(x, -1), values)) : values;
}
