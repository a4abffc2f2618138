/* structure_pick: heaviest structures and draws.
 *
 * Like sums they are stages of their own (structure.c): an array of choices for every copy, made once.  A draw is a
 * function of uniform numbers keyed by (seed, edge, copy, draw, place).
 *
 * One call of a routine leaves many draws, which share its sum: they stand behind the plates.  A tree's draws share no
 * sum: every one is a call of its own, in parallel, in front of the plates. */
#include "base/ice.h"
#include "infer/structure.h"
#include "model/term.h"

struct Picked {
  const Component *c;
  uint32_t stage;    /* stage_number */
  Val seed, number;  /* of the first draw; seed 0: the heaviest */
  Val calls, a_call; /* of the routine; draws that each makes.  calls 0: one, without a dimension of its own */
  Array *choice;
  Picked *next;
};

/* Loops over calls and the structure's plates; `place` has the call in front. */
typedef struct PickNest { Loop *call; Plates plates; Val place[20]; uint32_t n; } PickNest;

static PickNest open_picks(Derive *d, const Picked *p) {
  PickNest nest = {0};
  if (p->calls) nest.call = build_open(&d->b, LOOP_PAR, build_int(&d->b, 0), p->calls);
  nest.plates = structure_open(d, p->c, p->c->structure->edge->plates.n, 1);
  if (nest.call) nest.place[nest.n++] = nest.call->index;
  for (uint32_t i = 0; i < nest.plates.n; i++) nest.place[nest.n++] = nest.plates.place[i];
  return nest;
}

static void close_picks(Derive *d, PickNest *nest) {
  structure_close(d, &nest->plates);
  if (nest->call) build_close(&d->b, nest->call);
}

/* An array over calls, the structure's plates, and what is given. */
static Array *picks_array(Derive *d, const Picked *p, const char *what, StoreType elem, uint32_t rank,
                          const Val *more) {
  Array *like = structure_array(d, p->c, what, elem, p->c->structure->edge->plates.n, rank, more);
  if (!p->calls) return like;
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 1);
  dims[0] = p->calls;
  for (uint32_t i = 0; i < like->rank; i++) dims[1 + i] = like->dims[i];
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.all", like->name), elem, like->rank + 1, dims);
}

/* Uniform numbers of one draw, [line, 2] at the nest's place. */
static void fill_uniform(Derive *d, PickNest *nest, const Picked *p, Array *u, Val lines, Val number) {
  Builder *b = &d->b;
  const Edge *e = p->c->structure->edge;
  uint32_t plates = e->plates.n;
  Loop *line = build_open(b, LOOP_PAR, build_int(b, 0), lines);
  for (int64_t k = 0; k < 2; k++) {
    Val *key = NEW_ARRAY(d->arena, Val, plates + 5);
    key[0] = p->seed;
    key[1] = build_int(b, e->id);
    for (uint32_t i = 0; i < plates; i++) key[2 + i] = find_bound(&nest->plates.x, p->c->plates.at[i])->v;
    key[plates + 2] = number;
    key[plates + 3] = line->index;
    key[plates + 4] = build_int(b, k);
    nest->place[nest->n] = line->index;
    nest->place[nest->n + 1] = build_int(b, k);
    build_store(b, u, build_op(b, IR_RANDOM, IR_WIDE, plates + 5, key), nest->place);
  }
  build_close(b, line);
}

static Array *uniform_stage(Derive *d, const Picked *p, Val lines) {
  Builder *b = &d->b;
  Array *u = picks_array(d, p, "u", STORE_WIDE, 3, (Val[]){p->a_call, lines, build_int(b, 2)});
  PickNest nest = open_picks(d, p);
  Loop *draw = build_open(b, LOOP_PAR, build_int(b, 0), p->a_call);
  Val before = nest.call ? build_2(b, IR_MUL, nest.call->index, p->a_call) : p->number;
  nest.place[nest.n++] = draw->index;
  fill_uniform(d, &nest, p, u, lines, build_2(b, IR_ADD, before, draw->index));
  build_close(b, draw);
  close_picks(d, &nest);
  return u;
}

static void pick_stage(Derive *d, Picked *p) {
  Builder *b = &d->b;
  Context top = {.d = d};
  Array *local = structure_local(&top, p->c, WEIGHTS_ALL);
  Region *back = b->at;
  b->at = b->k->top;
  const Edge *e = p->c->structure->edge;
  Shape s = structure_shape(&top, e);
  Val dims[] = {p->a_call, s.nodes};
  p->choice = picks_array(d, p, "choice", STORE_INT, p->seed ? 2 : 1, p->seed ? dims : &s.nodes);
  Array *u = p->seed ? uniform_stage(d, p, s.line) : NULL;
  b->at = stage_of(d, p->c);
  PickNest nest = open_picks(d, p);
  b->span = e->span;
  Context *x = &nest.plates.x;
  Routine r = p->seed ? structure_draw_routine(x, e, &s, p->a_call) : structure_best_routine(x, e, &s);
  Array *arrays[] = {local, u ? u : p->choice, p->choice};
  build_solve(b, r.family, nest.n, nest.place, arrays, r.ints, r.work);
  close_picks(d, &nest);
  b->at = back;
}

static Picked *picked(Context *x, const Picked *like) {
  uint32_t stage = stage_number(x->d, like->c);
  for (Picked *p = x->d->picked; p; p = p->next)
    if (p->c == like->c && p->stage == stage && p->seed == like->seed && p->number == like->number &&
        p->calls == like->calls && p->a_call == like->a_call)
      return p;
  Picked *p = NEW(x->d->arena, Picked);
  *p = *like;
  p->stage = stage;
  p->next = x->d->picked;
  pick_stage(x->d, p);
  x->d->picked = p;
  return p;
}

/* -1: empty, -2: none (runtime/family.h).  draw: which of those of the call. */
static Choice value_at(Context *x, const Picked *p, Copy copy, Val call, Val draw) {
  uint32_t n = copy.c->plates.n, rank = 0;
  Val *node = structure_place(x, copy, n), *place = NEW_ARRAY(x->d->arena, Val, n + 2);
  if (p->calls) place[rank++] = call;
  for (uint32_t i = 0; i + 1 < n; i++) place[rank++] = node[i];
  if (p->seed) place[rank++] = draw;
  place[rank] = node[n - 1];
  Val code = build_load(B(x), p->choice, place);
  return (Choice){code, edge_has_none(copy.c->structure->edge) ? build_2(B(x), IR_EQ, code, build_int(B(x), -2)) : 0};
}

Choice structure_mode(Context *x, Copy copy) {
  return value_at(x, picked(x, &(Picked){.c = copy.c}), copy, 0, 0);
}

Choice structure_draw(Context *x, Copy copy, Val seed, Val number) {
  Val one = build_int(B(x), 1);
  Picked like = {.c = copy.c, .seed = seed, .number = number, .a_call = one};
  return value_at(x, picked(x, &like), copy, 0, build_int(B(x), 0));
}

Choice structure_draw_of(Context *x, Copy copy, Val which) {
  Context top = {.d = x->d};
  Val draws = eval(&top, copy.c->infer->n), seed = eval(&top, copy.c->infer->seed), zero = build_int(B(x), 0);
  bool apart = copy.c->structure->edge->domain == DOMAIN_TREE;
  Picked like = {.c = copy.c,
                 .seed = seed,
                 .number = zero,
                 .calls = apart ? draws : 0,
                 .a_call = apart ? build_int(B(x), 1) : draws};
  return value_at(x, picked(x, &like), copy, which, apart ? zero : which);
}
