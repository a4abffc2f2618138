/* room: how many there can be, where data say how many there are.
 *
 * Tables lie in the workspace, which is as large as sizes say.  `min(length[b], T)` is at most T.  Else an array that a
 * weight reads at an index gives a bound: its dimension, beyond which reading it would be an error. */
#include "infer/plan.h"
#include "model/term.h"

static void add(Plan *p, TermVec *room, Term *size) {
  for (uint32_t i = 0; i < room->n; i++)
    if (term_equal(room->at[i], size)) return;
  vec_push(p->arena, room, size);
}

/* How many there are. */
static Term *number_of(const RoomOf *of) {
  if (of->index) return of->index->range.hi;
  return of->targets ? of->targets->n : edge_nodes(of->nodes);
}

/* An index that runs up to their number, or a choice: of a target. */
static bool is_place(const RoomOf *of, const Term *t) {
  if (of->index) return t->kind == TERM_INDEX && t->index == of->index;
  if (t->kind == TERM_EDGE) return t->edge == of->targets;
  return t->kind == TERM_INDEX && t->index->range.kind == RANGE_INTERVAL &&
         term_equal(t->index->range.hi, number_of(of));
}

static bool is_logic(const Term *t) { return t->kind == TERM_OP && (t->op == OP_AND || t->op == OP_OR); }

/* A condition that some values of edges fulfil, others not: every copy is weighed at all of them. */
static bool is_of_edges(const Term *t) {
  if (is_logic(t)) return is_of_edges(t->args.at[0]) && is_of_edges(t->args.at[1]);
  return term_mentions_edge(t, NULL) && !(t->mentions & (MENTIONS_INPUT | MENTIONS_LET));
}

/* What is read under a condition of data perhaps is not there for every copy. */
static bool decides(const RoomOf *of, const Term *t) {
  return of->index && (t->kind == TERM_IF || is_logic(t)) && !is_of_edges(t->args.at[0]);
}

/* The size of an array there; NULL: data say what it is. */
static Term *dimension(const Term *t, uint32_t i) {
  if (t->kind == TERM_INPUT) return t->input->dims.at[i];
  const Let *l = t->let;
  const Index *at = i < l->plates.n                ? l->plates.at[i]
                    : i < l->plates.n + l->own.n ? l->own.at[i - l->plates.n]
                                                   : l->axes.at[i - l->plates.n - l->own.n];
  return at->range.kind == RANGE_INTERVAL && term_is_of_sizes(at->range.hi) ? at->range.hi : NULL;
}

static void look(Plan *p, const RoomOf *of, const Term *t, TermVec *room) {
  if (!t) return;
  for (uint32_t i = 0; (t->kind == TERM_INPUT || t->kind == TERM_LET) && i < t->args.n; i++)
    if (is_place(of, t->args.at[i]) && dimension(t, i)) add(p, room, dimension(t, i));
  for (uint32_t i = 0; i < (decides(of, t) ? 1 : t->args.n); i++) look(p, of, t->args.at[i], room);
}

static void add_least(Plan *p, TermVec *room, Term *t) {
  if (term_is_of_sizes(t)) add(p, room, t);
  for (uint32_t i = 0; t->kind == TERM_OP && t->op == OP_MIN && i < t->args.n; i++) add_least(p, room, t->args.at[i]);
}

TermVec plan_room(Plan *p, RoomOf of) {
  TermVec room = {0};
  add_least(p, &room, number_of(&of));
  if (room.n) return room;
  for (uint32_t i = 0; i < p->model->weights.n; i++) {
    const Weight *w = p->model->weights.at[i];
    look(p, &of, w->value, &room);
    look(p, &of, w->left, &room);
    for (uint32_t k = 0; k < w->params.n; k++) look(p, &of, w->params.at[k], &room);
  }
  return room;
}
