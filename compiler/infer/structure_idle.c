/* structure_idle: trees and permutations of as many nodes as data say, the sentences of a batch.
 *
 * Arrays have room for as many as sizes allow (room.c).  A node behind the last has one choice of weight one, which
 * takes part in every structure of the others and leaves them theirs: in a tree the node before it, so that no arcs
 * cross, and where there is none before it is the root; in a permutation its own place. */
#include <math.h>

#include "infer/arith.h"
#include "infer/structure.h"

const TermVec *structure_room(const Context *x, const Edge *e) {
  return &x->d->plan->of_edge[e->id]->structure->room;
}

Val structure_nodes(Context *x, const Edge *e) {
  return build_2(B(x), IR_MAX, eval(x, e->n), build_int(B(x), 0));
}

Val structure_target_exists(Context *x, const Edge *e, Val target) {
  return structure_room(x, e)->n ? build_2(B(x), IR_LT, target, structure_nodes(x, e)) : 0;
}

static Val only_choice(Context *x, const Edge *e, Val node, const Shape *s) {
  Builder *b = B(x);
  if (e->domain == DOMAIN_PERMUTATION) return node;
  Val first = build_2(b, IR_EQ, node, build_int(b, 0));
  return build_select(b, first, s->targets, build_2(b, IR_SUB, node, build_int(b, 1)));
}

void fill_idle(Derive *d, Component *c, Array *local, const Shape *s) {
  Builder *b = &d->b;
  const Edge *e = c->structure->edge;
  uint32_t n = e->plates.n;
  Plates nest = structure_open(d, c, n, 2);
  Context *x = &nest.x;
  Val nodes = structure_nodes(x, e);
  check_room_for(x, &c->structure->room, e->n, build_int(b, 0), nodes);
  Loop *node = open_loop(x, LOOP_PAR, e->span, nodes, s->nodes);
  Val only = only_choice(x, e, node->index, s);
  Loop *choice = open_loop(x, LOOP_PAR, e->span, build_int(b, 0), s->choices);
  nest.place[n] = node->index;
  nest.place[n + 1] = choice->index;
  Val chosen = build_2(b, IR_EQ, choice->index, only);
  build_store(b, local, build_select(b, chosen, wide(x, 0), wide(x, -INFINITY)), nest.place);
  build_close(b, choice);
  build_close(b, node);
  structure_close(d, &nest);
}
