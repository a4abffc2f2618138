/* structure_pair: two nodes of a structure at once.
 *
 *   P(a = i, b = j) = P(a = i) P(b = j | a = i)
 *
 * and the marginals of all nodes given that node a has choice i are those under local weights in which a has no other
 * choice: one more sum for every choice of every node. */
#include <math.h>

#include "infer/structure.h"

struct Paired {
  const Component *c;
  uint32_t stage; /* stage_number */
  Array *log_p; /* [node, choice, .., node, choice] */
  Paired *next;
};

typedef struct Given { Loop *node, *choice; Plates nest; } Given;

/* Loops over a node and its choice, then the first n plates; place has the two in front. */
static Given open_given(Derive *d, const Component *c, uint32_t n, const Shape *s, uint32_t room) {
  Builder *b = &d->b;
  Given g = {.node = build_open(b, LOOP_PAR, build_int(b, 0), s->nodes)};
  g.choice = build_open(b, LOOP_PAR, build_int(b, 0), s->choices);
  g.nest = structure_open(d, c, n, room + 2);
  for (uint32_t k = n; k-- > 0;) g.nest.place[k + 2] = g.nest.place[k];
  g.nest.place[0] = g.node->index;
  g.nest.place[1] = g.choice->index;
  return g;
}

static void close_given(Derive *d, Given *g) {
  structure_close(d, &g->nest);
  build_close(&d->b, g->choice);
  build_close(&d->b, g->node);
}

static Array *given_array(Derive *d, const Component *c, const char *what, uint32_t rank, const Val *more,
                          const Shape *s) {
  Array *like = structure_array(d, c, what, STORE_WIDE, c->structure->edge->plates.n, rank, more);
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 2);
  dims[0] = s->nodes;
  dims[1] = s->choices;
  memcpy(dims + 2, like->dims, like->rank * sizeof *dims);
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.given", like->name), STORE_WIDE, like->rank + 2,
                     dims);
}

/* The local weights with one node's choice made: its others are gone. */
static void fill_given(Derive *d, Component *c, Array *from, Array *to, const Shape *s) {
  Builder *b = &d->b;
  uint32_t n = c->structure->edge->plates.n;
  Given g = open_given(d, c, n, s, 2);
  Loop *node = build_open(b, LOOP_PAR, build_int(b, 0), s->nodes); /* idle ones among them: structure_idle.c */
  Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), s->choices);
  Val *place = g.nest.place;
  place[n + 2] = node->index;
  place[n + 3] = l->index;
  Val gone = build_2(b, IR_AND, build_2(b, IR_EQ, node->index, place[0]), build_2(b, IR_NE, l->index, place[1]));
  build_store(b, to, build_select(b, gone, build_float(b, IR_WIDE, -INFINITY), build_load(b, from, place + 2)), place);
  build_close(b, l);
  build_close(b, node);
  close_given(d, &g);
}

static Array *given_stage(Derive *d, Component *c) {
  Builder *b = &d->b;
  Context top = {.d = d};
  Array *local = structure_local(&top, c);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Edge *e = c->structure->edge;
  Shape s = structure_shape(&x, e);
  Val cells[] = {s.nodes, s.choices}, two = build_int(b, 2);
  Array *chosen = given_array(d, c, "local", 2, cells, &s), *log_p = given_array(d, c, "log_p", 2, cells, &s);
  Array *z = given_array(d, c, "z", 1, &two, &s);
  b->at = stage_of(d, c);
  fill_given(d, c, local, chosen, &s);
  Given g = open_given(d, c, e->plates.n, &s, 0);
  b->span = e->span;
  Routine r = structure_sum_routine(&g.nest.x, c, &s, WEIGHTS_ALL);
  build_solve(b, r.family, e->plates.n + 2, g.nest.place, (Array *[]){chosen, log_p, z}, r.ints, r.work);
  close_given(d, &g);
  b->at = back;
  return log_p;
}

static Array *given_array_of(Derive *d, Component *c) {
  uint32_t stage = stage_number(d, c);
  for (Paired *p = d->paired; p; p = p->next)
    if (p->c == c && p->stage == stage) return p->log_p;
  Paired *p = NEW(d->arena, Paired);
  *p = (Paired){c, stage, given_stage(d, c), d->paired};
  d->paired = p;
  return p->log_p;
}

Val structure_log_conditional(Context *x, Copy copy, Choice value, const Known *given) {
  Array *log_p = given_array_of(x->d, copy.c);
  uint32_t n = copy.c->plates.n;
  Shape shape = structure_shape(x, copy.c->structure->edge);
  Val *place = structure_place(x, copy, n), *at = NEW_ARRAY(x->d->arena, Val, n + 3);
  at[0] = given->copy[n - 1];
  at[1] = structure_column(x, &shape, given->value);
  memcpy(at + 2, place, n * sizeof *at);
  at[n + 2] = structure_column(x, &shape, value);
  return build_load(B(x), log_p, at);
}
