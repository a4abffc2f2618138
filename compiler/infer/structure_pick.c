/* structure_pick: heaviest structures and draws.
 *
 * Like sums they are stages of their own (structure.c): an array of choices for every copy, made once.  A draw is a
 * function of uniform numbers keyed by (seed, edge, copy, draw, place). */
#include "base/ice.h"
#include "infer/structure.h"
#include "model/term.h"

struct Picked {
  const Component *c;
  uint32_t stage;   /* stage_number */
  Val seed, number; /* of a draw; 0: the heaviest */
  bool many;        /* draws 0 .. n of the `infer` line, the first dimension */
  Array *choice;
  Picked *next;
};

/* Uniform numbers of the draw `number`, [line, 2] at the nest's place. */
static void fill_uniform(Derive *d, Plates *nest, const Edge *e, Array *u, Val lines, Val seed, Val number,
                         const Val *copy) {
  Builder *b = &d->b;
  uint32_t n = nest->n, plates = e->plates.n;
  Loop *line = build_open(b, LOOP_PAR, build_int(b, 0), lines);
  for (int64_t k = 0; k < 2; k++) {
    Val *key = NEW_ARRAY(d->arena, Val, plates + 5);
    key[0] = seed;
    key[1] = build_int(b, e->id);
    for (uint32_t i = 0; i < plates; i++) key[2 + i] = copy[i];
    key[plates + 2] = number;
    key[plates + 3] = line->index;
    key[plates + 4] = build_int(b, k);
    nest->place[n] = line->index;
    nest->place[n + 1] = build_int(b, k);
    build_store(b, u, build_op(b, IR_RANDOM, IR_WIDE, plates + 5, key), nest->place);
  }
  build_close(b, line);
}

/* An array over `draws` (0: one), the structure's plates and what is given. */
static Array *picks_array(Derive *d, const Component *c, const char *what, StoreType elem, Val draws, uint32_t rank,
                          const Val *more) {
  uint32_t outer = c->structure->edge->plates.n;
  Array *like = structure_array(d, c, what, elem, outer, rank, more);
  if (!draws) return like;
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 1);
  dims[0] = draws;
  for (uint32_t i = 0; i < like->rank; i++) dims[1 + i] = like->dims[i];
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.all", like->name), elem, like->rank + 1, dims);
}

static Plates open_picks(Derive *d, const Component *c, Val draws, Loop **outermost, uint32_t room) {
  if (draws) *outermost = build_open(&d->b, LOOP_PAR, build_int(&d->b, 0), draws);
  Plates nest = structure_open(d, c, c->structure->edge->plates.n, room + 1);
  if (!draws) return nest;
  for (uint32_t i = nest.n; i > 0; i--) nest.place[i] = nest.place[i - 1];
  nest.place[0] = (*outermost)->index;
  return nest;
}

static void close_picks(Derive *d, Plates *nest, Loop *outermost) {
  structure_close(d, nest);
  if (outermost) build_close(&d->b, outermost);
}

static Val *copy_in(const Plates *nest, const Component *c, Derive *d) {
  uint32_t n = c->structure->edge->plates.n;
  Val *copy = NEW_ARRAY(d->arena, Val, n + 1);
  for (uint32_t i = 0; i < n; i++) copy[i] = find_bound(&nest->x, c->plates.at[i])->v;
  return copy;
}

static Array *uniform_stage(Derive *d, const Component *c, Val draws, Val lines, const Picked *p) {
  Builder *b = &d->b;
  Array *u = picks_array(d, c, "u", STORE_WIDE, draws, 2, (Val[]){lines, build_int(b, 2)});
  Loop *outermost = NULL;
  Plates nest = open_picks(d, c, draws, &outermost, 2);
  uint32_t loops = nest.n;
  nest.n += draws ? 1 : 0; /* place has the draw in front */
  fill_uniform(d, &nest, c->structure->edge, u, lines, p->seed, draws ? outermost->index : p->number,
               copy_in(&nest, c, d));
  nest.n = loops;
  close_picks(d, &nest, outermost);
  return u;
}

static void pick_stage(Derive *d, const Component *c, Val draws, Picked *p) {
  Builder *b = &d->b;
  Context top = {.d = d};
  Array *local = structure_local(&top, c);
  Region *back = b->at;
  b->at = b->k->top;
  const Edge *e = c->structure->edge;
  Shape s = structure_shape(&top, e);
  p->choice = picks_array(d, c, "choice", STORE_INT, draws, 1, &s.nodes);
  Array *u = p->seed ? uniform_stage(d, c, draws, s.line, p) : NULL;
  b->at = stage_of(d, c);
  Loop *outermost = NULL;
  Plates nest = open_picks(d, c, draws, &outermost, 0);
  b->span = e->span;
  Routine r = p->seed ? structure_draw_routine(&nest.x, e, &s) : structure_best_routine(&nest.x, e, &s);
  Array *arrays[] = {local, u ? u : p->choice, p->choice};
  build_solve(b, r.family, nest.n + (draws ? 1 : 0), nest.place, arrays, r.ints, r.work);
  close_picks(d, &nest, outermost);
  b->at = back;
}

static Array *picked(Context *x, const Component *c, Val seed, Val number, Val draws) {
  uint32_t stage = stage_number(x->d, c);
  for (Picked *p = x->d->picked; p; p = p->next)
    if (p->c == c && p->stage == stage && p->seed == seed && p->number == number && p->many == !!draws)
      return p->choice;
  Picked *p = NEW(x->d->arena, Picked);
  *p = (Picked){c, stage, seed, number, !!draws, NULL, x->d->picked};
  pick_stage(x->d, c, draws, p);
  x->d->picked = p;
  return p->choice;
}

/* -1: empty, -2: none (runtime/family.h). */
static Choice value_at(Context *x, const Component *c, Array *choice, Val *place) {
  Val code = build_load(B(x), choice, place);
  return (Choice){code, edge_has_none(c->structure->edge) ? build_2(B(x), IR_EQ, code, build_int(B(x), -2)) : 0};
}

Choice structure_mode(Context *x, Copy copy) {
  return value_at(x, copy.c, picked(x, copy.c, 0, 0, 0), structure_place(x, copy, copy.c->plates.n));
}

Choice structure_draw(Context *x, Copy copy, Val seed, Val number) {
  return value_at(x, copy.c, picked(x, copy.c, seed, number, 0), structure_place(x, copy, copy.c->plates.n));
}

Choice structure_draw_of(Context *x, Copy copy, Val which) {
  Context top = {.d = x->d};
  uint32_t n = copy.c->plates.n;
  Val *place = structure_place(x, copy, n), *at = NEW_ARRAY(x->d->arena, Val, n + 1);
  at[0] = which;
  for (uint32_t i = 0; i < n; i++) at[1 + i] = place[i];
  Val draws = eval(&top, copy.c->infer->n), seed = eval(&top, copy.c->infer->seed);
  return value_at(x, copy.c, picked(x, copy.c, seed, 0, draws), at);
}
