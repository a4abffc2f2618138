/* network_pick: the mode and the draws of a network.
 *
 * A stage of its own for each: the routine gives a value to all copies at once, which are kept.  All draws of a network
 * share its upward sum: they stand behind the outer plates, and one call leaves them.  A draw is a function of uniform
 * numbers, one a variable, whose key is (seed, edge, copy, draw). */
#include "infer/network.h"

#include "infer/structure.h"

struct NetworkPicked {
  const Network *net;
  uint32_t stage; /* stage_number */
  Val seed, n; /* 0: the mode */
  Array *choice;
  struct NetworkPicked *next;
};

/* [outer plates.., draws, variables]; for the mode without draws. */
static Array *array_of(Derive *d, const Network *net, const char *what, StoreType elem, Val draws, Val last) {
  Val dims[] = {draws ? draws : last, last};
  return structure_array(d, net->parts.at[0], what, elem, net->outer, draws ? 2 : 1, dims);
}

/* In front of the draw's number stand the indices of the copy, as flat numbers. */
static void fill_uniform(Derive *d, const Network *net, const NetworkLayout *l, Array *u, Val draws, Val seed) {
  Builder *b = &d->b;
  for (uint32_t p = 0; p < net->parts.n; p++) {
    Plates nest = structure_open(d, net->parts.at[0], net->outer, 2);
    Loop *draw = build_open(b, LOOP_PAR, build_int(b, 0), draws);
    Loop *copy = build_open(b, LOOP_PAR, build_int(b, 0), l->copies[p]);
    Val key[20];
    uint32_t n = 0;
    key[n++] = seed;
    key[n++] = build_int(b, net->parts.at[p]->edges.at[0]->id);
    for (uint32_t k = 0; k < net->outer; k++) key[n++] = nest.place[k];
    key[n++] = copy->index;
    key[n++] = draw->index;
    nest.place[net->outer] = draw->index;
    nest.place[net->outer + 1] = build_2(b, IR_ADD, l->var[p], copy->index);
    build_store(b, u, build_op(b, IR_RANDOM, IR_WIDE, n, key), nest.place);
    build_close(b, copy);
    build_close(b, draw);
    structure_close(d, &nest);
  }
}

static Array *pick_stage(Derive *d, const Network *net, Val seed, Val draws) {
  Builder *b = &d->b;
  Region *back = b->at;
  Span span = b->span;
  network_prepare(d, net);
  b->at = b->k->top;
  NetworkLayout l = network_layout(d, net);
  Array *u = seed ? array_of(d, net, "u", STORE_WIDE, draws, l.vars) : NULL;
  Array *choice = array_of(d, net, "choice", STORE_INT, draws, l.vars),
        *z = array_of(d, net, "size", STORE_WIDE, 0, build_int(b, 4));
  b->at = stage_of(d, net->parts.at[0]);
  if (u) fill_uniform(d, net, &l, u, draws, seed);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 1);
  b->span = net->span;
  network_pick_stage(&nest.x, net, draws, nest.place, u, choice, z);
  structure_close(d, &nest);
  b->at = back;
  b->span = span;
  return choice;
}

static Choice value_of(Context *x, Copy copy, Val seed, Val n, Val number) {
  Builder *b = B(x);
  const Network *net = copy.c->network;
  struct NetworkPicked *p = x->d->network_picks;
  uint32_t stage = stage_number(x->d, copy.c);
  while (p && !(p->net == net && p->stage == stage && p->seed == seed && p->n == n)) p = p->next;
  if (!p) {
    p = NEW(x->d->arena, struct NetworkPicked);
    *p = (struct NetworkPicked){net, stage, seed, n, pick_stage(x->d, net, seed, n), x->d->network_picks};
    x->d->network_picks = p;
  }
  Context top = {.d = x->d};
  NetworkLayout l = network_layout(x->d, net);
  Val place[20];
  uint32_t rank = 0;
  for (uint32_t k = 0; k < net->outer; k++)
    place[rank++] = build_2(b, IR_SUB, copy.at[k], eval_range(&top, &copy.c->plates.at[k]->range).lo);
  if (n) place[rank++] = number;
  place[rank] = build_2(b, IR_ADD, l.var[network_part(net, copy.c)], network_flat(x, copy));
  Val code = build_load(b, p->choice, place), empty = build_2(b, IR_LT, code, build_int(b, 0));
  Choice c = network_choice(x, copy.c, code);
  c.v = build_select(b, empty, build_int(b, -1), c.v);
  return c;
}

Choice network_mode(Context *x, Copy copy) { return value_of(x, copy, 0, 0, 0); }

Choice network_draw(Context *x, Copy copy, Val seed, Val n, Val number) { return value_of(x, copy, seed, n, number); }
