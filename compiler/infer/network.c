/* network: the stages that sum a network.
 *
 *   table    log weights of every instance of every group, for all values of what it names, group after group
 *   names    the numbers of the variables that it names; -1 where an instance's indices are outside their ranges, -2
 * for a copy that does not exist solve    marginals of variables, of instances, log Z, entropy
 * (runtime/family/network.c) The same with other weights in place of all: prior lines (kl), supports and requires
 * (counts). */
#include <math.h>

#include "infer/network_parts.h"
#include "ir/solve.h"

struct NetworkStages *network_stages(Derive *d) {
  if (!d->networks) d->networks = NEW(d->arena, struct NetworkStages);
  return d->networks;
}

/* ---- solving --------------------------------------------------------------------------------------------- */

typedef struct Call { Val held, held_value; bool joint; int64_t ring; } Call;

static void network_ints(Context *x, const Network *net, const NetworkLayout *l, const Call *c, Val *ints) {
  Val all[] = {l->vars,
               net_whole(x, net->groups.n),
               l->all_names,
               l->all_cells,
               c->joint ? l->all_cells : net_whole(x, 0),
               l->marginals,
               c->held ? c->held : net_whole(x, -1),
               c->held_value ? c->held_value : net_whole(x, 0),
               net_whole(x, c->ring),
               network_work(x, net, l)};
  memcpy(ints, all, sizeof all);
}

/* An error where the cliques are too large. */
static void check_size(Context *x, const Network *net, Array *z, Val *place, uint32_t n) {
  Val *at = NEW_ARRAY(x->d->arena, Val, n + 1);
  memcpy(at, place, n * sizeof *at);
  at[n] = net_whole(x, 3);
  Val over = build_load(B(x), z, at), bad = build_2(B(x), IR_GT, over, net_wide(x, 0));
  Val most = net_whole(x, 1 << 24), cells = build_convert(B(x), build_2(B(x), IR_MIN, over, net_wide(x, 1e18)), IR_INT);
  B(x)->span = net->span;
  build_check(B(x), IR_CHECK_CLIQUE, bad, build_2(B(x), IR_MAX, cells, most), most);
}

static NetworkSolved *weighed(Derive *d, const Network *net, NetworkSet set) {
  struct NetworkStages *st = network_stages(d);
  uint32_t stage = stage_number(d, net->parts.at[0]);
  for (NetworkSolved *s = st->solved; s; s = s->next)
    if (s->net == net && s->set == set && s->stage == stage) return s;
  Builder *b = &d->b;
  Region *back = b->at;
  Span span = b->span;
  b->at = b->k->top;
  NetworkSolved *s = NEW(d->arena, NetworkSolved);
  *s = (NetworkSolved){.net = net, .set = set, .stage = stage, .next = st->solved};
  st->solved = s;
  NetworkShape *shape = network_shape(d, net);
  NetworkLayout l = network_layout(d, net);
  s->table = network_array(d, net, "table", STORE_WIDE, 1, &l.all_cells);
  b->at = stage_of(d, net->parts.at[0]);
  for (uint32_t k = 0; k < net->groups.n; k++) network_fill_table(d, net, shape, &l, k, set, s->table);
  b->at = back;
  b->span = span;
  return s;
}

static NetworkSolved *solved_of(Derive *d, const Network *net, NetworkSet set) {
  NetworkSolved *s = weighed(d, net, set);
  if (s->log_p) return s;
  Builder *b = &d->b;
  Region *back = b->at;
  Span span = b->span;
  b->at = b->k->top;
  NetworkShape *shape = network_shape(d, net);
  NetworkLayout l = network_layout(d, net);
  Context top = {.d = d};
  Call call = {.joint = set == NETWORK_ALL, .ring = set == NETWORK_REQUIRES ? 2 : 0};
  Val none = net_whole(&top, 0), four = net_whole(&top, 4);
  s->log_p = network_array(d, net, "log_p", STORE_WIDE, 1, &l.marginals);
  s->joint = network_array(d, net, "joint", STORE_WIDE, 1, call.joint ? &l.all_cells : &none);
  s->z = network_array(d, net, "z", STORE_WIDE, 1, &four);
  s->state = network_array(d, net, "state", STORE_WIDE, 1, &l.vars);
  b->at = stage_of(d, net->parts.at[0]);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 2);
  Val ints[10];
  network_ints(&nest.x, net, &l, &call, ints);
  b->span = net->span;
  build_solve(
      b, FAMILY_NETWORK_SUM, net->outer, nest.place,
      (Array *[]){s->table, shape->names, shape->groups, shape->dims, shape->vars, s->log_p, s->joint, s->z, s->state},
      ints, ints[9]);
  check_size(&nest.x, net, s->z, nest.place, net->outer);
  structure_close(d, &nest);
  b->at = back;
  b->span = span;
  return s;
}

/* ---- what it leaves -------------------------------------------------------------------------------------- */

static Val *outer_place(Context *x, Copy copy, uint32_t n) {
  Context top = {.d = x->d};
  Val *place = NEW_ARRAY(x->d->arena, Val, n + 4);
  for (uint32_t k = 0; k < n; k++) place[k] = net_sub(x, copy.at[k], eval_range(&top, &copy.c->plates.at[k]->range).lo);
  return place;
}

static Val marginal_place(Context *x, const NetworkLayout *l, Copy copy, Choice value) {
  uint32_t part = network_part(copy.c->network, copy.c);
  return net_add(x, l->place[part],
                 net_add(x, net_mul(x, network_flat(x, copy), l->values[part]), network_number(x, copy.c, value)));
}

Val network_marginal(Context *x, Copy copy, NetworkSet set, Choice value) {
  const Network *net = copy.c->network;
  NetworkSolved *s = solved_of(x->d, net, set);
  NetworkLayout l = network_layout(x->d, net);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = marginal_place(x, &l, copy, value);
  return build_load(B(x), s->log_p, place);
}

Val network_joint(Context *x, Copy copy, const Network *net, uint32_t group, Val instance, const Val *numbers) {
  NetworkSolved *s = solved_of(x->d, net, NETWORK_ALL);
  NetworkLayout l = network_layout(x->d, net);
  const Group *g = net->groups.at[group];
  Val cell = net_whole(x, 0);
  for (uint32_t k = 0; k < g->names.n; k++)
    cell = net_add(x, net_mul(x, cell, l.values[network_part(net, network_part_of(x->d, g->names.at[k]))]), numbers[k]);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = net_add(x, net_add(x, l.table[group], net_mul(x, instance, l.cells[group])), cell);
  return build_load(B(x), s->joint, place);
}

Val network_state(Context *x, Copy copy, NetworkSet set) {
  const Network *net = copy.c->network;
  NetworkSolved *s = solved_of(x->d, net, set);
  NetworkLayout l = network_layout(x->d, net);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = net_add(x, l.var[network_part(net, copy.c)], network_flat(x, copy));
  return build_load(B(x), s->state, place);
}

Val network_total(Context *x, Copy copy, NetworkSet set, int64_t which) {
  const Network *net = copy.c->network;
  NetworkSolved *s = solved_of(x->d, net, set);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = net_whole(x, which);
  return build_load(B(x), s->z, place);
}

/* ---- one variable held ----------------------------------------------------------------------------------- */

typedef struct NetworkGiven {
  const Network *net;
  uint32_t part, stage;
  Array *log_p;
  struct NetworkGiven *next;
} NetworkGiven;

static Array *leading_array(Derive *d, const Network *net, const char *what, Val a, Val v, Val last) {
  Array *like = network_array(d, net, what, STORE_WIDE, 1, &last);
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 2);
  dims[0] = a;
  dims[1] = v;
  memcpy(dims + 2, like->dims, like->rank * sizeof *dims);
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.given", like->name), STORE_WIDE, like->rank + 2,
                     dims);
}

/* All marginals given every value of every copy of a part: [copy, value, outer plates.., marginals]. */
static Array *given_of(Derive *d, const Network *net, uint32_t part) {
  struct NetworkStages *st = network_stages(d);
  uint32_t stage = stage_number(d, net->parts.at[0]);
  for (NetworkGiven *g = st->given; g; g = g->next)
    if (g->net == net && g->part == part && g->stage == stage) return g->log_p;
  Builder *b = &d->b;
  Region *back = b->at;
  NetworkSolved *s = solved_of(d, net, NETWORK_ALL);
  NetworkShape *shape = network_shape(d, net);
  b->at = b->k->top;
  NetworkLayout l = network_layout(d, net);
  Context top = {.d = d};
  NetworkGiven *g = NEW(d->arena, NetworkGiven);
  *g = (NetworkGiven){net, part, stage, NULL, st->given};
  st->given = g;
  Val none = net_whole(&top, 0), four = net_whole(&top, 4);
  g->log_p = leading_array(d, net, "log_p", l.copies[part], l.values[part], l.marginals);
  Array *joint = leading_array(d, net, "joint", l.copies[part], l.values[part], none);
  Array *z = leading_array(d, net, "z", l.copies[part], l.values[part], four);
  Array *state = leading_array(d, net, "state", l.copies[part], l.values[part], l.vars);
  b->at = stage_of(d, net->parts.at[0]);
  Loop *copy = build_open(b, LOOP_PAR, net_whole(&top, 0), l.copies[part]);
  Loop *value = build_open(b, LOOP_PAR, net_whole(&top, 0), l.values[part]);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 3);
  Val at[16] = {copy->index, value->index};
  memcpy(at + 2, nest.place, net->outer * sizeof *at);
  Call call = {net_add(&nest.x, l.var[part], copy->index), value->index, false, 0};
  Val ints[10];
  network_ints(&nest.x, net, &l, &call, ints);
  b->span = net->span;
  build_solve(b, FAMILY_NETWORK_SUM, net->outer + 2, at,
              (Array *[]){s->table, shape->names, shape->groups, shape->dims, shape->vars, g->log_p, joint, z, state},
              ints, ints[9]);
  structure_close(d, &nest);
  build_close(b, value);
  build_close(b, copy);
  b->at = back;
  return g->log_p;
}

Val network_given(Context *x, Copy a, Val held, Copy b, Choice value) {
  const Network *net = a.c->network;
  Array *log_p = given_of(x->d, net, network_part(net, a.c));
  NetworkLayout l = network_layout(x->d, net);
  Val *outer = outer_place(x, b, net->outer), *place = NEW_ARRAY(x->d->arena, Val, net->outer + 3);
  place[0] = network_flat(x, a);
  place[1] = held;
  memcpy(place + 2, outer, net->outer * sizeof *place);
  place[net->outer + 2] = marginal_place(x, &l, b, value);
  return build_load(B(x), log_p, place);
}

/* ---- picks ----------------------------------------------------------------------------------------------- */

void network_pick_stage(Context *x, const Network *net, Val draws, Val *at, Array *u, Array *choice, Array *z) {
  NetworkLayout l = network_layout(x->d, net);
  NetworkShape *shape = network_shape(x->d, net);
  Val ints[11] = {0};
  network_ints(x, net, &l, &(Call){0}, ints);
  Val work = ints[9];
  ints[10] = draws;
  Array *all[8] = {weighed(x->d, net, NETWORK_ALL)->table, shape->names, shape->groups, shape->dims, shape->vars};
  uint32_t k = 5;
  if (u) all[k++] = u;
  all[k++] = choice;
  all[k] = z;
  build_solve(B(x), u ? FAMILY_NETWORK_DRAW : FAMILY_NETWORK_BEST, net->outer, at, all, ints, work);
  check_size(x, net, z, at, net->outer);
}

void network_prepare(Derive *d, const Network *net) { weighed(d, net, NETWORK_ALL); }
