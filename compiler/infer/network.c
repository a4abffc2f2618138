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

typedef struct Call { uint32_t held; bool joint; int64_t ring; } Call; /* held: variables */

enum { NETWORK_INTS = 9, WORK_AT = NETWORK_INTS - 1 };

static void network_ints(Context *x, const Network *net, const NetworkLayout *l, const Call *c, Val *ints) {
  Val all[] = {l->vars,
               net_whole(x, net->groups.n),
               l->all_names,
               l->all_cells,
               c->joint ? l->all_cells : net_whole(x, 0),
               l->marginals,
               net_whole(x, c->held),
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
  Val ints[NETWORK_INTS];
  network_ints(&nest.x, net, &l, &call, ints);
  b->span = net->span;
  Array *arrays[] = {s->table,    shape->names, shape->groups, shape->dims, shape->vars,
                     shape->held, s->log_p,     s->joint,      s->z,        s->state};
  build_solve(b, FAMILY_NETWORK_SUM, net->outer, nest.place, arrays, ints, ints[WORK_AT]);
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

/* ---- variables held -------------------------------------------------------------------------------------- */

/* Those of some parts, each any of its copies. */
typedef struct NetworkGiven {
  const Network *net;
  uint32_t n, part[NETWORK_MAX_NAMES], stage;
  Array *log_p; /* [copy, value, .., outer plates.., marginals] */
  struct NetworkGiven *next;
} NetworkGiven;

/* Loops over a copy of each part and its value, then the outer plates; place has all of them. */
typedef struct HeldNest { Loop **loops; Val *place; Plates plates; uint32_t n; } HeldNest;

static HeldNest open_held(Derive *d, const NetworkGiven *g, const NetworkLayout *l, uint32_t room) {
  Builder *b = &d->b;
  HeldNest nest = {.loops = NEW_ARRAY(d->arena, Loop *, 2 * g->n),
                   .place = NEW_ARRAY(d->arena, Val, 2 * g->n + g->net->outer + room)};
  for (uint32_t k = 0; k < g->n; k++)
    for (uint32_t i = 0; i < 2; i++) {
      Val end = i ? l->values[g->part[k]] : l->copies[g->part[k]];
      nest.loops[nest.n] = build_open(b, LOOP_PAR, build_int(b, 0), end);
      nest.place[nest.n] = nest.loops[nest.n]->index;
      nest.n++;
    }
  nest.plates = structure_open(d, g->net->parts.at[0], g->net->outer, 2);
  memcpy(nest.place + nest.n, nest.plates.place, g->net->outer * sizeof *nest.place);
  return nest;
}

static void close_held(Derive *d, HeldNest *nest) {
  structure_close(d, &nest->plates);
  while (nest->n) build_close(&d->b, nest->loops[--nest->n]);
}

static Array *held_array(Derive *d, const NetworkGiven *g, const NetworkLayout *l, const char *what, StoreType elem,
                         uint32_t rank, const Val *last) {
  Array *like = network_array(d, g->net, what, elem, rank, last);
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 2 * g->n);
  for (uint32_t k = 0; k < g->n; k++) dims[2 * k] = l->copies[g->part[k]], dims[2 * k + 1] = l->values[g->part[k]];
  memcpy(dims + 2 * g->n, like->dims, like->rank * sizeof *dims);
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.given", like->name), elem, like->rank + 2 * g->n,
                     dims);
}

/* Which variables are held, and at what. */
static void fill_held(Derive *d, const NetworkGiven *g, const NetworkLayout *l, Array *held) {
  Builder *b = &d->b;
  HeldNest nest = open_held(d, g, l, 2);
  Val *last = nest.place + nest.n + g->net->outer;
  for (uint32_t k = 0; k < g->n; k++) {
    last[0] = build_int(b, k), last[1] = build_int(b, 0);
    build_store(b, held, build_2(b, IR_ADD, l->var[g->part[k]], nest.place[2 * k]), nest.place);
    last[1] = build_int(b, 1);
    build_store(b, held, nest.place[2 * k + 1], nest.place);
  }
  close_held(d, &nest);
}

/* All marginals given every value of every copy of the parts. */
static void given_stage(Derive *d, NetworkGiven *g) {
  Builder *b = &d->b;
  const Network *net = g->net;
  Region *back = b->at;
  NetworkSolved *s = solved_of(d, net, NETWORK_ALL);
  NetworkShape *shape = network_shape(d, net);
  b->at = b->k->top;
  NetworkLayout l = network_layout(d, net);
  Context top = {.d = d};
  Val none = net_whole(&top, 0), four = net_whole(&top, 4), pairs[] = {net_whole(&top, g->n), net_whole(&top, 2)};
  g->log_p = held_array(d, g, &l, "log_p", STORE_WIDE, 1, &l.marginals);
  Array *joint = held_array(d, g, &l, "joint", STORE_WIDE, 1, &none);
  Array *z = held_array(d, g, &l, "z", STORE_WIDE, 1, &four);
  Array *state = held_array(d, g, &l, "state", STORE_WIDE, 1, &l.vars);
  Array *held = held_array(d, g, &l, "fixed", STORE_INT, 2, pairs);
  b->at = stage_of(d, net->parts.at[0]);
  fill_held(d, g, &l, held);
  HeldNest nest = open_held(d, g, &l, 0);
  Call call = {.held = g->n};
  Val ints[NETWORK_INTS];
  network_ints(&nest.plates.x, net, &l, &call, ints);
  b->span = net->span;
  Array *arrays[] = {s->table, shape->names, shape->groups, shape->dims, shape->vars, held, g->log_p, joint, z, state};
  build_solve(b, FAMILY_NETWORK_SUM, net->outer + 2 * g->n, nest.place, arrays, ints, ints[WORK_AT]);
  close_held(d, &nest);
  b->at = back;
}

/* What the limits of memory and time look at. */
static void note_given(Derive *d, const NetworkGiven *g) {
  Network *net = (Network *)g->net;
  NetworkJoint joint = {.n = g->n};
  for (uint32_t k = 0; k < g->n; k++) joint.of[k] = net->parts.at[g->part[k]];
  vec_push(d->arena, &net->given, joint);
}

static Array *given_of(Derive *d, const NetworkGiven *like) {
  struct NetworkStages *st = network_stages(d);
  for (NetworkGiven *g = st->given; g; g = g->next)
    if (g->net == like->net && g->stage == like->stage && g->n == like->n &&
        !memcmp(g->part, like->part, g->n * sizeof *g->part))
      return g->log_p;
  NetworkGiven *g = NEW(d->arena, NetworkGiven);
  *g = *like;
  g->next = st->given;
  st->given = g;
  note_given(d, g);
  given_stage(d, g);
  return g->log_p;
}

Val network_given(Context *x, uint32_t n, const NetworkHeld *held, Copy b, Choice value) {
  const Network *net = b.c->network;
  NetworkGiven like = {.net = net, .n = n, .stage = stage_number(x->d, net->parts.at[0])};
  NetworkLayout l = network_layout(x->d, net);
  Val *outer = outer_place(x, b, net->outer), *place = NEW_ARRAY(x->d->arena, Val, net->outer + 2 * n + 1);
  for (uint32_t k = 0; k < n; k++) {
    like.part[k] = network_part(net, held[k].copy.c);
    place[2 * k] = network_flat(x, held[k].copy);
    place[2 * k + 1] = network_number(x, held[k].copy.c, held[k].value);
  }
  memcpy(place + 2 * n, outer, net->outer * sizeof *place);
  place[net->outer + 2 * n] = marginal_place(x, &l, b, value);
  return build_load(B(x), given_of(x->d, &like), place);
}

/* ---- picks ----------------------------------------------------------------------------------------------- */

void network_pick_stage(Context *x, const Network *net, Val draws, Val *at, Array *u, Array *choice, Array *z) {
  NetworkLayout l = network_layout(x->d, net);
  NetworkShape *shape = network_shape(x->d, net);
  Val ints[NETWORK_INTS + 1] = {0};
  network_ints(x, net, &l, &(Call){0}, ints);
  Val work = ints[WORK_AT];
  ints[NETWORK_INTS] = draws;
  Array *all[9] = {
      weighed(x->d, net, NETWORK_ALL)->table, shape->names, shape->groups, shape->dims, shape->vars, shape->held};
  uint32_t k = 6;
  if (u) all[k++] = u;
  all[k++] = choice;
  all[k] = z;
  build_solve(B(x), u ? FAMILY_NETWORK_DRAW : FAMILY_NETWORK_BEST, net->outer, at, all, ints, work);
  check_size(x, net, z, at, net->outer);
}

void network_prepare(Derive *d, const Network *net) { weighed(d, net, NETWORK_ALL); }
