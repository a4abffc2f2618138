/* network_layout: where what belongs to a network lies in its arrays.
 *
 * Variables are numbered edge after edge, their copies in C order; values by their place in the range, none last.
 * Instances of a statement are numbered by the values of its loops within the least and the greatest that they may
 * have, or, in rows of a graph, by their place among the stored neighbours. */
#include "infer/network_parts.h"
#include "model/term.h"

Val net_times(Context *x, Val a, Val b) {
  Val most = net_whole(x, NETWORK_ENOUGH);
  return build_2(B(x), IR_MIN, net_mul(x, build_2(B(x), IR_MIN, a, most), build_2(B(x), IR_MIN, b, most)), most);
}

Array *network_array(Derive *d, const Network *net, const char *what, StoreType elem, uint32_t rank, const Val *more) {
  return structure_array(d, net->parts.at[0], what, elem, net->outer, rank, more);
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static Bounds plain_values(Context *x, const Edge *e) {
  Context top = {.d = x->d};
  if (e->domain == DOMAIN_BIT) return (Bounds){net_whole(x, 0), net_whole(x, 2), NULL, 0};
  return eval_range(&top, &e->range);
}

static Val plain_count(Context *x, const Edge *e) {
  Bounds r = plain_values(x, e);
  return net_length(x, r.lo, r.hi);
}

static Val values_of(Context *x, const Edge *e) {
  Val n = plain_count(x, e);
  return e->or_none ? net_add(x, n, net_whole(x, 1)) : n;
}

Val network_number(Context *x, const Component *c, Choice value) {
  const Edge *e = c->edges.at[0];
  Val n = net_sub(x, value.v, plain_values(x, e).lo);
  return value.none ? build_select(B(x), value.none, plain_count(x, e), n) : n;
}

Choice network_choice(Context *x, const Component *c, Val number) {
  const Edge *e = c->edges.at[0];
  Choice v = {net_add(x, number, plain_values(x, e).lo), 0};
  if (e->or_none) v.none = build_2(B(x), IR_EQ, number, plain_count(x, e));
  return v;
}

uint32_t network_part(const Network *net, const Component *c) {
  uint32_t i = 0;
  while (net->parts.at[i] != c) i++;
  return i;
}

/* ---- copies ---------------------------------------------------------------------------------------------- */

static Val copy_count(Context *x, const Network *net, const Component *c) {
  Val n = net_whole(x, 1);
  for (uint32_t k = net->outer; k < c->plates.n; k++) {
    Bounds r = network_range(x, net, c->plates.at[k]);
    n = net_times(x, n, net_length(x, r.lo, r.hi));
  }
  return n;
}

Val network_flat(Context *x, Copy copy) {
  Val at = net_whole(x, 0);
  for (uint32_t k = copy.c->network->outer; k < copy.c->plates.n; k++) {
    Bounds r = network_range(x, copy.c->network, copy.c->plates.at[k]);
    at = net_add(x, net_mul(x, at, net_length(x, r.lo, r.hi)), net_sub(x, copy.at[k], r.lo));
  }
  return at;
}

/* ---- instances ------------------------------------------------------------------------------------------- */

typedef struct Hull { Val lo, hi; } Hull; /* lo <= v <= hi */

static Hull hull_of(Context *x, const Group *g, const Hull *of, const Term *t) {
  Context top = {.d = x->d};
  Builder *b = B(x);
  if (term_is_of_sizes(t)) {
    Val v = eval(&top, t);
    return (Hull){v, v};
  }
  if (t->kind == TERM_INDEX) {
    for (uint32_t k = 0; k < g->loops.n; k++)
      if (g->loops.at[k] == t->index) return of[k];
    Bounds r = eval_range(&top, &t->index->range); /* an outer one */
    return (Hull){r.lo, net_sub(x, r.hi, net_whole(x, 1))};
  }
  Hull p = hull_of(x, g, of, t->args.at[0]), q = hull_of(x, g, of, t->args.at[1]);
  switch ((int)t->op) {
  case OP_ADD: return (Hull){net_add(x, p.lo, q.lo), net_add(x, p.hi, q.hi)};
  case OP_SUB: return (Hull){net_sub(x, p.lo, q.hi), net_sub(x, p.hi, q.lo)};
  case OP_MIN: return (Hull){build_2(b, IR_MIN, p.lo, q.lo), build_2(b, IR_MIN, p.hi, q.hi)};
  default: return (Hull){build_2(b, IR_MAX, p.lo, q.lo), build_2(b, IR_MAX, p.hi, q.hi)};
  }
}

static Val hull_begin(Context *x, const Network *net, const Group *g, const Hull *h, const Index *i) {
  const IndexRoom *room = network_room(net, i);
  Val least = room ? network_least(x, room) : 0;
  return least ? least : hull_of(x, g, h, i->range.lo).lo;
}

static Val hull_end(Context *x, const Network *net, const Group *g, const Hull *h, const Index *i) {
  const IndexRoom *room = network_room(net, i);
  return room ? eval_room(x, &room->room) : hull_of(x, g, h, i->range.hi).hi;
}

static Hull *hulls(Context *x, const Network *net, const Group *g) {
  Hull *h = NEW_ARRAY(x->d->arena, Hull, g->loops.n + 1);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    if (g->loops.at[k]->range.kind == RANGE_ROW) continue;
    Val end = hull_end(x, net, g, h, g->loops.at[k]);
    h[k] = (Hull){hull_begin(x, net, g, h, g->loops.at[k]), net_sub(x, end, net_whole(x, 1))};
  }
  return h;
}

bool network_is_countable(const Group *g) {
  for (uint32_t k = 0; k < g->loops.n; k++)
    if (g->loops.at[k]->range.kind == RANGE_ROW) return false;
  return true;
}

static Val stored_neighbours(Context *x, const Group *g) {
  return x->d->neighbours[g->loops.at[1]->range.graph->id]->dims[0];
}

static Val instance_count(Context *x, const Network *net, const Group *g) {
  if (!network_is_countable(g)) return stored_neighbours(x, g);
  Hull *h = hulls(x, net, g);
  Val n = net_whole(x, 1);
  for (uint32_t k = 0; k < g->loops.n; k++)
    n = net_times(x, n, net_length(x, h[k].lo, net_add(x, h[k].hi, net_whole(x, 1))));
  return n;
}

Val network_number_of_loops(Context *x, const Network *net, const Group *g) {
  Hull *h = hulls(x, net, g);
  Val at = net_whole(x, 0);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Val v = find_bound(x, g->loops.at[k])->v;
    at = net_add(x, net_mul(x, at, net_length(x, h[k].lo, net_add(x, h[k].hi, net_whole(x, 1)))),
                 net_sub(x, v, h[k].lo));
  }
  return at;
}

Val network_instance(Context *x, const Network *net, const Group *g, Val *ok) {
  *ok = 0;
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Val v = find_bound(x, g->loops.at[k])->v;
    Bounds r = eval_range(x, &g->loops.at[k]->range);
    if (provably_within(x, v, r.lo, r.hi)) continue;
    *ok = build_and(B(x), *ok, build_and(B(x), build_2(B(x), IR_GE, v, r.lo), build_2(B(x), IR_LT, v, r.hi)));
  }
  return network_number_of_loops(x, net, g);
}

/* ---- the layout ------------------------------------------------------------------------------------------ */

Component *network_part_of(const Derive *d, const Term *ref) { return d->plan->of_edge[ref->edge->id]; }

NetworkLayout network_layout(Derive *d, const Network *net) {
  Context top = {.d = d}, *x = &top;
  uint32_t parts = net->parts.n, groups = net->groups.n;
  NetworkLayout l = {.values = NEW_ARRAY(d->arena, Val, parts),
                     .copies = NEW_ARRAY(d->arena, Val, parts),
                     .var = NEW_ARRAY(d->arena, Val, parts),
                     .place = NEW_ARRAY(d->arena, Val, parts),
                     .instances = NEW_ARRAY(d->arena, Val, groups),
                     .names = NEW_ARRAY(d->arena, Val, groups),
                     .cells = NEW_ARRAY(d->arena, Val, groups),
                     .table = NEW_ARRAY(d->arena, Val, groups)};
  l.vars = l.all_names = l.all_cells = l.marginals = net_whole(x, 0);
  for (uint32_t i = 0; i < parts; i++) {
    l.values[i] = values_of(x, net->parts.at[i]->edges.at[0]);
    l.copies[i] = copy_count(x, net, net->parts.at[i]);
    l.var[i] = l.vars;
    l.place[i] = l.marginals;
    l.vars = net_add(x, l.vars, l.copies[i]);
    l.marginals = net_add(x, l.marginals, net_times(x, l.copies[i], l.values[i]));
  }
  for (uint32_t i = 0; i < groups; i++) {
    const Group *g = net->groups.at[i];
    l.instances[i] = instance_count(x, net, g);
    l.names[i] = l.all_names;
    l.table[i] = l.all_cells;
    l.cells[i] = net_whole(x, 1);
    for (uint32_t k = 0; k < g->names.n; k++)
      l.cells[i] = net_times(x, l.cells[i], l.values[network_part(net, network_part_of(d, g->names.at[k]))]);
    l.all_names = net_add(x, l.all_names, net_times(x, l.instances[i], net_whole(x, g->names.n)));
    l.all_cells = net_add(x, l.all_cells, net_times(x, l.instances[i], l.cells[i]));
  }
  return l;
}

