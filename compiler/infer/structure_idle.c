/* structure_idle: structures of as many nodes as data say, the sentences of a batch.
 *
 * Arrays have room for as many as sizes allow (room.c).  A node behind the last has one choice of weight one, which
 * takes part in every structure of the others and leaves them theirs: in a tree the node before it, so that no arcs
 * cross, and where there is none before it is the root; in a permutation its own place; in a matching none, which rows
 * then have a place for, without weight where they must have a target.  A target behind the last has no weight: in
 * trees and permutations it is that of an idle node, in a matching nobody's. */
#include <math.h>

#include "infer/arith.h"
#include "infer/structure.h"

static const Structure *structure_of(const Context *x, const Edge *e) { return x->d->plan->of_edge[e->id]->structure; }

bool structure_is_ended(const Context *x, const Edge *e) {
  return structure_of(x, e)->room.n || structure_of(x, e)->rows.n;
}

bool structure_has_idle_none(const Context *x, const Edge *e) {
  return e->domain == DOMAIN_MATCHING && !e->or_none && structure_of(x, e)->rows.n;
}

static Val at_least_none(Context *x, const Term *t) { return build_2(B(x), IR_MAX, eval(x, t), build_int(B(x), 0)); }

Val structure_nodes(Context *x, const Edge *e) { return at_least_none(x, edge_nodes(e)); }

Val structure_targets(Context *x, const Edge *e) { return at_least_none(x, e->n); }

Val structure_most(Context *x, const TermVec *room, const Term *of_sizes) {
  Context top = {.d = x->d};
  return room->n ? eval_room(&top, room) : eval(&top, of_sizes);
}

Val structure_target_exists(Context *x, const Edge *e, Val target) {
  return structure_of(x, e)->room.n ? build_2(B(x), IR_LT, target, structure_targets(x, e)) : 0;
}

static Val only_choice(Context *x, const Edge *e, Val node, const Shape *s) {
  Builder *b = B(x);
  if (e->domain == DOMAIN_PERMUTATION) return node;
  if (e->domain == DOMAIN_MATCHING) return s->targets;
  Val first = build_2(b, IR_EQ, node, build_int(b, 0));
  return build_select(b, first, s->targets, build_2(b, IR_SUB, node, build_int(b, 1)));
}

/* Is every target that of a node in some structure?  Where there is no structure nothing reads what belongs to it. */
static Context where_read(Context *x, const Edge *e, Val nodes, Val targets) {
  Builder *b = B(x);
  if (e->domain != DOMAIN_MATCHING) return *x;
  Context y = with_guard(x, build_2(b, IR_GT, nodes, build_int(b, 0)));
  return e->or_none ? y : with_guard(&y, build_2(b, IR_LE, nodes, targets));
}

void fill_idle(Derive *d, Component *c, Array *local, const Shape *s) {
  Builder *b = &d->b;
  const Structure *of = c->structure;
  const Edge *e = of->edge;
  uint32_t n = e->plates.n;
  Plates nest = structure_open(d, c, n, 2);
  Context *x = &nest.x;
  Val none = build_int(b, 0), nodes = structure_nodes(x, e), targets = structure_targets(x, e);
  Context read = where_read(x, e, nodes, targets);
  if (of->room.n) check_room_for(&read, &of->room, e->n, none, targets);
  if (of->rows.n && e->m) check_room_for(x, &of->rows, e->m, none, nodes);
  if (of->rows.n) {
    Loop *node = open_loop(x, LOOP_PAR, e->span, nodes, s->nodes);
    Val only = only_choice(x, e, node->index, s);
    Loop *choice = open_loop(x, LOOP_PAR, e->span, build_int(b, 0), s->choices);
    nest.place[n] = node->index;
    nest.place[n + 1] = choice->index;
    Val chosen = build_2(b, IR_EQ, choice->index, only);
    build_store(b, local, build_select(b, chosen, wide(x, 0), wide(x, -INFINITY)), nest.place);
    build_close(b, choice);
    build_close(b, node);
  }
  structure_close(d, &nest);
}
