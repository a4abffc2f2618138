/* structure_given: the joint law of several nodes of a structure, by the chain rule.
 *
 *   P(a = i, b = j, c = k, ..) = P(a = i) P(b = j | a = i) P(c = k | a = i, b = j) ..
 *
 * and the marginals of all nodes given the choices of some are those under local weights in which these have no other
 * choice: one more sum for every choice of the nodes that are given.  A node that sizes tell, `up[0]`, is given alone;
 * the others stand for every set of nodes in turn, each in ascending order. */
#include <math.h>

#include "infer/structure.h"

/* A node that is given: 0 stands for every one. */
typedef VEC(Val) GivenNodes;

struct Given {
  const Component *c;
  WeightSet set;
  uint32_t stage; /* stage_number */
  GivenNodes nodes;
  Array *log_p; /* [node, choice of it, .., plates, node, choice]; no dimension for a node that sizes tell */
  Given *next;
};

/* ---- the stage --------------------------------------------------------------------------------------------------- */

typedef struct Stage {
  Derive *d;
  Component *c;
  const GivenNodes *nodes;
  Shape shape;
  uint32_t rank; /* of what stands before the plates */
} Stage;

/* Loops over the given nodes and their choices, then the plates; place has all of them. */
typedef struct GivenNest { Loop **loops; uint32_t n; Val *node, *choice, *place; Plates plates; } GivenNest;

static GivenNest open_given(const Stage *s, uint32_t room) {
  Builder *b = &s->d->b;
  Arena *arena = s->d->arena;
  uint32_t many = s->nodes->n, outer = s->c->structure->edge->plates.n, rank = 0;
  Val first = build_int(b, 0), one = build_int(b, 1);
  GivenNest g = {.loops = NEW_ARRAY(arena, Loop *, s->rank), .node = NEW_ARRAY(arena, Val, many),
                 .choice = NEW_ARRAY(arena, Val, many), .place = NEW_ARRAY(arena, Val, s->rank + outer + room)};
  for (uint32_t k = 0; k < many; k++) {
    g.node[k] = s->nodes->at[k];
    if (!g.node[k]) {
      g.loops[g.n++] = build_open(b, LOOP_PAR, first, s->shape.nodes);
      g.place[rank++] = g.node[k] = g.loops[g.n - 1]->index;
      first = build_2(b, IR_ADD, g.node[k], one);
    }
    g.loops[g.n++] = build_open(b, LOOP_PAR, build_int(b, 0), s->shape.choices);
    g.place[rank++] = g.choice[k] = g.loops[g.n - 1]->index;
  }
  g.plates = structure_open(s->d, s->c, outer, 0);
  memcpy(g.place + rank, g.plates.place, outer * sizeof *g.place);
  return g;
}

static void close_given(const Stage *s, GivenNest *g) {
  structure_close(s->d, &g->plates);
  while (g->n) build_close(&s->d->b, g->loops[--g->n]);
}

static Array *given_array(const Stage *s, const char *what, uint32_t rank, const Val *more) {
  Builder *b = &s->d->b;
  Array *like = structure_array(s->d, s->c, what, STORE_WIDE, s->c->structure->edge->plates.n, rank, more);
  Val *dims = NEW_ARRAY(s->d->arena, Val, like->rank + s->rank);
  uint32_t n = 0;
  for (uint32_t k = 0; k < s->nodes->n; k++) {
    if (!s->nodes->at[k]) dims[n++] = s->shape.nodes;
    dims[n++] = s->shape.choices;
  }
  memcpy(dims + n, like->dims, like->rank * sizeof *dims);
  const char *name = arena_printf(s->d->arena, "%s.given", like->name);
  return build_array(b, ARRAY_TEMP, name, STORE_WIDE, like->rank + n, dims);
}

/* The local weights with the choices made: the others of these nodes are gone. */
static void fill_given(const Stage *s, Array *from, Array *to) {
  Builder *b = &s->d->b;
  GivenNest g = open_given(s, 2);
  uint32_t n = s->rank + s->c->structure->edge->plates.n;
  Loop *node = build_open(b, LOOP_PAR, build_int(b, 0), s->shape.nodes); /* idle ones among them: structure_idle.c */
  Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), s->shape.choices);
  g.place[n] = node->index;
  g.place[n + 1] = l->index;
  Val gone = build_bool(b, false);
  for (uint32_t k = 0; k < s->nodes->n; k++) {
    Val other = build_2(b, IR_NE, l->index, g.choice[k]);
    gone = build_2(b, IR_OR, gone, build_2(b, IR_AND, build_2(b, IR_EQ, node->index, g.node[k]), other));
  }
  Val kept = build_load(b, from, g.place + s->rank);
  build_store(b, to, build_select(b, gone, build_float(b, IR_WIDE, -INFINITY), kept), g.place);
  build_close(b, l);
  build_close(b, node);
  close_given(s, &g);
}

static uint32_t leading_rank(const GivenNodes *nodes) {
  uint32_t rank = nodes->n;
  for (uint32_t k = 0; k < nodes->n; k++) rank += !nodes->at[k];
  return rank;
}

/* What the limits of memory and time look at. */
static void note_given(Plan *p, Structure *s, const GivenNodes *nodes) {
  GivenCount count = {.nodes = nodes->n, .every = leading_rank(nodes) - nodes->n};
  vec_push(p->arena, &s->given, count);
}

static Array *given_stage(Derive *d, Component *c, WeightSet set, const GivenNodes *nodes) {
  Builder *b = &d->b;
  Context top = {.d = d};
  Array *local = structure_local(&top, c, set);
  Region *back = b->at;
  b->at = b->k->top;
  const Edge *e = c->structure->edge;
  Stage s = {d, c, nodes, structure_shape(&top, e), leading_rank(nodes)};
  Val cells[] = {s.shape.nodes, s.shape.choices}, two = build_int(b, 2);
  Array *chosen = given_array(&s, "local", 2, cells), *log_p = given_array(&s, "log_p", 2, cells);
  Array *z = given_array(&s, "z", 1, &two);
  b->at = stage_of(d, c);
  fill_given(&s, local, chosen);
  GivenNest g = open_given(&s, 0);
  b->span = e->span;
  Routine r = structure_sum_routine(&g.plates.x, c, &s.shape, set);
  build_solve(b, r.family, s.rank + e->plates.n, g.place, (Array *[]){chosen, log_p, z}, r.ints, r.work);
  close_given(&s, &g);
  b->at = back;
  note_given(d->plan, c->structure, nodes);
  return log_p;
}

static bool same_nodes(const GivenNodes *a, const GivenNodes *b) {
  if (a->n != b->n) return false;
  for (uint32_t i = 0; i < a->n; i++)
    if (a->at[i] != b->at[i]) return false;
  return true;
}

static Array *given_array_of(Derive *d, Component *c, WeightSet set, const GivenNodes *nodes) {
  uint32_t stage = stage_number(d, c);
  for (Given *p = d->given; p; p = p->next)
    if (p->c == c && p->set == set && p->stage == stage && same_nodes(&p->nodes, nodes)) return p->log_p;
  Given *p = NEW(d->arena, Given);
  *p = (Given){c, set, stage, *nodes, given_stage(d, c, set, nodes), d->given};
  d->given = p;
  return p->log_p;
}

/* ---- what is asked of it ----------------------------------------------------------------------------------------- */

typedef VEC(const Known *) Others;

/* Other nodes of the same structure that have a value. */
static Others other_nodes(const Context *x, Copy copy) {
  Others found = {0};
  for (const Known *k = x->known; k; k = k->next)
    if (k->c == copy.c && !same_copy(x, copy.c, k->copy, copy.at) && may_be_of_one(x, (Copy){k->c, k->copy}, copy))
      vec_push(x->d->arena, &found, k);
  return found;
}

bool structure_is_given(const Context *x, Copy copy) { return other_nodes(x, copy).n > 0; }

/* A node that is given, its choice as a column; told: sizes tell which it is. */
typedef struct GivenNode { Val node, column; bool told; } GivenNode;

static void exchange_where(Builder *b, Val where, GivenNode *p, GivenNode *q) {
  GivenNode a = *p, c = *q;
  *p = (GivenNode){build_select(b, where, c.node, a.node), build_select(b, where, c.column, a.column), a.told};
  *q = (GivenNode){build_select(b, where, a.node, c.node), build_select(b, where, a.column, c.column), c.told};
}

/* Nodes that sizes tell come first, and in one order; the others ascend. */
static void sort_given(Builder *b, GivenNode *g, uint32_t n) {
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = i; k > 0; k--) {
      GivenNode here = g[k], before = g[k - 1];
      if (!here.told && !before.told) exchange_where(b, build_2(b, IR_LT, here.node, before.node), &g[k - 1], &g[k]);
      else if (here.told && (!before.told || here.node < before.node)) g[k - 1] = here, g[k] = before;
      else break;
    }
}

Val structure_log_given(Context *x, Copy copy, WeightSet set, Choice value) {
  Others others = other_nodes(x, copy);
  if (!others.n) return structure_marginal_under(x, copy, set, value);
  GivenNodes nodes = {0};
  uint32_t n = copy.c->plates.n, rank = 0;
  Shape shape = structure_shape(x, copy.c->structure->edge);
  GivenNode *given = NEW_ARRAY(x->d->arena, GivenNode, others.n);
  for (uint32_t k = 0; k < others.n; k++) {
    Val node = others.at[k]->copy[n - 1];
    Val column = structure_column(x, &shape, others.at[k]->value);
    given[k] = (GivenNode){node, column, ir_follows_from_sizes(B(x)->k, node)};
  }
  sort_given(B(x), given, others.n);
  Val *at = NEW_ARRAY(x->d->arena, Val, n + 1 + 2 * others.n);
  for (uint32_t k = 0; k < others.n; k++) {
    vec_push(x->d->arena, &nodes, given[k].told ? given[k].node : 0);
    if (!given[k].told) at[rank++] = given[k].node;
    at[rank++] = given[k].column;
  }
  memcpy(at + rank, structure_place(x, copy, n), n * sizeof *at);
  at[rank + n] = structure_column(x, &shape, value);
  return build_load(B(x), given_array_of(x->d, copy.c, set, &nodes), at);
}
