/* structure: sums over trees, bijections and matchings.
 *
 *   local[.., node, choice]  log weights of single choices; the last choice is none, where a node may have none
 *   solve                    log Z, entropy and the logs of all marginals, by the family's own algorithm
 * (runtime/family) once for every copy, before the outputs.  The same with other weights gives what depends on the
 * support alone: all weights for the posterior, the prior lines for the prior, the requires for counts.
 * (structure_prior.c). */
#include "infer/structure.h"

#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "ir/solve.h"
#include "model/term.h"

/* Arrays of one component under some of its weights, and who fills the last three: p, probabilities in place of logs,
 * only where the family's routine leaves them. */
struct Solved {
  const Component *c;
  WeightSet set;
  uint32_t stage; /* stage_number */
  Array *local, *log_p, *p, *z;
  Solve *by;
  bool logs; /* somebody reads log_p */
  Solved *next;
};

/* ---- local weights ----------------------------------------------------------------------------------------------- */

static bool counts(const Weight *w, WeightSet set) {
  return set == WEIGHTS_ALL || set == WEIGHTS_REPLACED || (w->kind == WEIGHT_PRIOR && set == WEIGHTS_PRIOR) ||
         (w->kind == WEIGHT_REQUIRE && set == WEIGHTS_REQUIRE);
}

/* The plates beyond the copy's but for the one that is the node. */
static IndexVec other_plates(Context *x, const Component *c, const Local *l) {
  IndexVec list = {0};
  for (uint32_t i = c->structure->edge->plates.n; i < l->weight->plates.n; i++)
    if (i != l->plate) vec_push(x->d->arena, &list, l->weight->plates.at[i]);
  return list;
}

/* The node is one of the weight's plates, if that reaches it. */
static Val local_at_plate(Context *x, Copy copy, const Local *l) {
  Index *plate = l->weight->plates.at[l->plate];
  Val n = copy.at[copy.c->plates.n - 1];
  Bounds r = eval_range(x, &plate->range);
  if (r.row)
    return refuse_query(x, l->weight->span, "a weight over a row of a graph is not compiled for structured edges");
  bool within = provably_within(x, n, r.lo, r.hi);
  Val inside = within ? build_bool(B(x), true)
                      : build_2(B(x), IR_AND, build_2(B(x), IR_GE, n, r.lo), build_2(B(x), IR_LT, n, r.hi));
  Context y = with_index(x, plate, n, r.lo, r.hi, false);
  y = with_guard(&y, inside);
  IndexVec rest = other_plates(x, copy.c, l);
  Val log_w = weight_over(&y, l->weight, &rest);
  return build_select(B(x), inside, log_w, wide(x, 0));
}

/* Of all statements the one whose node this is. */
typedef struct Named { Copy copy; const Local *l; } Named;

static Val statement_if_named(Context *x, const Weight *w, void *arg) {
  Named *s = arg;
  uint32_t n = s->copy.c->plates.n;
  Val *at = NEW_ARRAY(x->d->arena, Val, n);
  memcpy(at, s->copy.at, n * sizeof *at);
  at[n - 1] = eval(x, s->l->node);
  Context y = with_same_copy(x, s->copy.c, at, s->copy.at);
  Val here = build_2(B(x), IR_EQ, at[n - 1], s->copy.at[n - 1]);
  y = with_guard(&y, here);
  return build_select(B(x), here, weight_statement(&y, w), wide(x, 0));
}

Val structure_local_log(Context *x, Copy copy, WeightSet set) {
  const Structure *s = copy.c->structure;
  Context y = in_copy(x, copy);
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < s->locals.n; i++) {
    const Local *l = &s->locals.at[i];
    if (!counts(l->weight, set)) continue;
    Val log_w;
    if (l->plate != UINT32_MAX) log_w = local_at_plate(&y, copy, l);
    else {
      IndexVec rest = other_plates(x, copy.c, l);
      log_w = weight_log_each(&y, l->weight, &rest, statement_if_named, &(Named){copy, l});
    }
    sum = build_2(B(x), IR_LOGMUL, sum, log_w);
  }
  return sum;
}

/* ---- the stage that solves --------------------------------------------------------------------------------------- */

Shape structure_shape(Context *x, const Edge *e) {
  const Structure *s = x->d->plan->of_edge[e->id]->structure;
  Val n = structure_most(x, &s->room, e->n), m = e->m ? structure_most(x, &s->rows, e->m) : n;
  bool none = edge_has_none(e) || structure_has_idle_none(x, e);
  return (Shape){m, n, none ? build_2(B(x), IR_ADD, n, build_int(B(x), 1)) : n, build_2(B(x), IR_MAX, m, n), none};
}

static const char *array_name(const Derive *d, const Component *c, const char *what) {
  return arena_printf(d->arena, "%s.%s%u", sym_text(d->m->names, c->edges.at[0]->name), what, d->b.k->arrays.n);
}

Plates structure_open(Derive *d, const Component *c, uint32_t n, uint32_t room) {
  Plates nest = {n, NEW_ARRAY(d->arena, Loop *, n), NEW_ARRAY(d->arena, Val, n + room), {.d = d}};
  for (uint32_t i = 0; i < n; i++) {
    Index *plate = c->plates.at[i];
    Bounds r = eval_range(&nest.x, &plate->range);
    nest.loops[i] = open_loop(&nest.x, LOOP_PAR, plate->span, r.lo, r.hi);
    nest.x = with_index(&nest.x, plate, nest.loops[i]->index, r.lo, r.hi, true);
    nest.place[i] = build_2(&d->b, IR_SUB, nest.loops[i]->index, r.lo);
  }
  return nest;
}

void structure_close(Derive *d, Plates *nest) {
  while (nest->n) build_close(&d->b, nest->loops[--nest->n]);
}

/* An array over the first n plates and the dimensions given. */
Array *structure_array(Derive *d, const Component *c, const char *what, StoreType elem, uint32_t n, uint32_t rank,
                       const Val *more) {
  Context x = {.d = d};
  Val *dims = NEW_ARRAY(d->arena, Val, n + rank);
  for (uint32_t i = 0; i < n; i++) {
    Bounds r = eval_range(&x, &c->plates.at[i]->range);
    dims[i] = build_2(&d->b, IR_SUB, r.hi, r.lo);
  }
  for (uint32_t i = 0; i < rank; i++) dims[n + i] = more[i];
  return build_array(&d->b, ARRAY_TEMP, array_name(d, c, what), elem, n + rank, dims);
}

/* The scores that are scaled are divided by its temperature first. */
static Val tempered(Context *x, const Component *c, WeightSet set, Val log_w) {
  Context top = {.d = x->d};
  if (set != WEIGHTS_REPLACED || c->infer->method != INFER_SINKHORN) return log_w;
  return build_2(B(x), IR_DIV, log_w, build_convert(B(x), eval(&top, c->infer->tau), IR_WIDE));
}

static void fill_local(Derive *d, Component *c, WeightSet set, Array *to, const Shape *s) {
  Builder *b = &d->b;
  uint32_t n = c->plates.n;
  Plates nest = structure_open(d, c, n, 1);
  Edge *e = c->structure->edge;
  Copy copy = own_copy(&nest.x, c);
  Loop *l = open_loop(&nest.x, LOOP_PAR, e->span, build_int(b, 0), s->targets);
  Context y = with_known(&nest.x, copy, e, (Choice){l->index, 0});
  if (e->domain == DOMAIN_TREE || e->domain == DOMAIN_PROJECTIVE_TREE)
    y = with_guard(&y, build_2(b, IR_NE, l->index, copy.at[n - 1])); /* no node is its own parent */
  nest.place[n] = l->index;
  Val there = structure_target_exists(&y, e, l->index);
  if (there) y = with_guard(&y, there);
  Val log_w = tempered(&y, c, set, structure_local_log(&y, copy, set));
  build_store(b, to, there ? build_select(b, there, log_w, wide(&y, -INFINITY)) : log_w, nest.place);
  build_close(b, l);
  if (s->none) {
    Context none = with_known(&nest.x, copy, e, (Choice){build_int(b, -1), build_bool(b, true)});
    nest.place[n] = s->targets;
    Val of_none = wide(&none, -INFINITY);
    if (edge_has_none(e)) of_none = tempered(&none, c, set, structure_local_log(&none, copy, set));
    build_store(b, to, of_none, nest.place);
  }
  structure_close(d, &nest);
}

/* a n^2 + b n + c */
static Val quadratic(Builder *b, Val n, int64_t p, int64_t q, int64_t r) {
  Val v = build_2(b, IR_ADD, build_2(b, IR_MUL, build_int(b, p), n), build_int(b, q));
  return build_2(b, IR_ADD, build_2(b, IR_MUL, v, n), build_int(b, r));
}

/* Doubles for the tables of subsets, at least 2 T 2^bits (runtime/family.h); huge where 2^bits is. */
static Val subset_tables(Context *x, const Edge *e, const Shape *s) {
  Builder *b = B(x);
  Val bits = e->m ? build_2(b, IR_MIN, s->nodes, s->targets) : s->targets;
  Val subsets = build_2(b, IR_POW, build_int(b, 2), build_2(b, IR_MIN, bits, build_int(b, 50)));
  Val both = build_2(b, IR_MUL, build_int(b, 2), subsets);
  return e->m ? build_2(b, IR_MUL, build_2(b, IR_ADD, s->line, build_int(b, 1)), both) : both;
}

static Val matching_work(Context *x, const Edge *e, const Shape *s, bool tables) {
  Builder *b = B(x);
  Val sides = build_2(b, IR_MUL, build_int(b, 9), build_2(b, IR_ADD, s->nodes, s->targets));
  Val plain = build_2(b, IR_ADD, build_2(b, IR_ADD, build_2(b, IR_MUL, s->nodes, s->targets), sides), build_int(b, 32));
  return tables ? build_2(b, IR_ADD, plain, subset_tables(x, e, s)) : plain;
}

static Routine routine_for(Context *x, const Edge *e, const Shape *s, Family tree, Family projective, Family matching,
                           bool tables) {
  Builder *b = B(x);
  switch (e->domain) {
  case DOMAIN_TREE:
    return (Routine){tree, {s->nodes, build_int(b, !e->many_roots)}, quadratic(b, s->nodes, 9, 102, 1200)};
  case DOMAIN_PROJECTIVE_TREE: return (Routine){projective, {s->nodes}, quadratic(b, s->nodes, 10, 40, 64)};
  case DOMAIN_PERMUTATION: case DOMAIN_MATCHING:
    return (Routine){matching, {s->nodes, s->targets, s->choices, s->line}, matching_work(x, e, s, tables)};
  case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  ICE("no structure");
}

bool structure_is_approximate(const Component *c) {
  return infer_approximates(c->infer);
}

WeightSet posterior_weights(const Component *c) {
  return structure_is_approximate(c) ? WEIGHTS_REPLACED : WEIGHTS_ALL;
}

Routine structure_sum_routine(Context *x, const Component *c, const Shape *s, WeightSet set) {
  Context top = {.d = x->d};
  if (set != WEIGHTS_REPLACED)
    return routine_for(x, c->structure->edge, s, FAMILY_TREE_SUM, FAMILY_PROJECTIVE_SUM, FAMILY_MATCHING_SUM, true);
  Family f = c->infer->method == INFER_SINKHORN ? FAMILY_SCALED : FAMILY_BETHE;
  return (Routine){f, {s->nodes, eval(&top, c->infer->steps)}, quadratic(B(x), s->nodes, 3, 16, 32)};
}

Routine structure_best_routine(Context *x, const Edge *e, const Shape *s) {
  return routine_for(x, e, s, FAMILY_TREE_BEST, FAMILY_PROJECTIVE_BEST, FAMILY_MATCHING_BEST, false);
}

Routine structure_draw_routine(Context *x, const Edge *e, const Shape *s, Val draws) {
  Routine r = routine_for(x, e, s, FAMILY_TREE_DRAW, FAMILY_PROJECTIVE_DRAW, FAMILY_MATCHING_DRAW, true);
  r.ints[ir_family_ints(r.family) - 1] = draws;
  return r;
}

static Solved *find_solved(Derive *d, Component *c, WeightSet set) {
  uint32_t stage = stage_number(d, c);
  for (Solved *s = d->solved; s; s = s->next)
    if (s->c == c && s->set == set && s->stage == stage) return s;
  Solved *v = NEW(d->arena, Solved);
  *v = (Solved){.c = c, .set = set, .stage = stage, .next = d->solved};
  return d->solved = v;
}

/* A weight that names a node which is not there is an error, whether or not that node has other weights. */
static void check_nodes(Derive *d, Component *c, WeightSet set, const Shape *s) {
  for (uint32_t k = 0; k < c->structure->locals.n; k++) {
    const Local *l = &c->structure->locals.at[k];
    const IndexVec *plates = &l->weight->plates;
    if (!counts(l->weight, set)) continue;
    Loop **loops = NEW_ARRAY(d->arena, Loop *, plates->n);
    Context x = {.d = d};
    for (uint32_t i = 0; i < plates->n; i++) {
      Bounds r = eval_range(&x, &plates->at[i]->range);
      loops[i] = open_loop(&x, LOOP_PAR, plates->at[i]->span, r.lo, r.hi);
      x = with_index(&x, plates->at[i], range_value(&x, &r, loops[i]->index), r.lo, r.hi, !r.row);
    }
    Val node = eval(&x, l->node);
    Val nodes = c->structure->rows.n ? structure_nodes(&x, c->structure->edge) : s->nodes;
    d->b.span = l->node->span;
    if (!provably_below(&x, node, nodes)) build_check(&d->b, IR_CHECK_INDEX, 0, node, nodes);
    for (uint32_t i = plates->n; i-- > 0;) build_close(&d->b, loops[i]);
  }
}

static Array *local_array(Derive *d, Component *c, WeightSet set) {
  Solved *v = find_solved(d, c, set);
  if (v->local) return v->local;
  Region *back = d->b.at;
  d->b.at = d->b.k->top;
  Context x = {.d = d};
  Shape s = structure_shape(&x, c->structure->edge);
  check_nodes(d, c, set, &s);
  v->local = structure_array(d, c, "local", STORE_WIDE, c->structure->edge->plates.n, 2, (Val[]){s.nodes, s.choices});
  d->b.at = stage_of(d, c);
  if (structure_is_ended(&x, c->structure->edge)) fill_idle(d, c, v->local, &s);
  fill_local(d, c, set, v->local, &s);
  d->b.at = back;
  return v->local;
}

Array *structure_local(Context *x, const Component *c, WeightSet set) { return local_array(x->d, (Component *)c, set); }

static void solve_stage(Derive *d, Component *c, WeightSet set, Solved *v) {
  Builder *b = &d->b;
  Array *local = local_array(d, c, set);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Edge *e = c->structure->edge;
  Shape s = structure_shape(&x, e);
  uint32_t outer = e->plates.n;
  v->log_p = structure_array(d, c, "log_p", STORE_WIDE, outer, 2, (Val[]){s.nodes, s.choices});
  if (e->domain == DOMAIN_TREE) v->p = structure_array(d, c, "p", STORE_WIDE, outer, 2, (Val[]){s.nodes, s.choices});
  v->z = structure_array(d, c, "z", STORE_WIDE, outer, 1, (Val[]){build_int(b, 2)});
  b->at = stage_of(d, c);
  Plates nest = structure_open(d, c, outer, 0);
  b->span = e->span;
  Routine r = structure_sum_routine(&nest.x, c, &s, set);
  v->by = build_solve(b, r.family, outer, nest.place, (Array *[]){local, v->log_p, v->z}, r.ints, r.work);
  structure_close(d, &nest);
  b->at = back;
}

static Solved *solved(Context *x, const Component *c, WeightSet set) {
  Solved *v = find_solved(x->d, (Component *)c, set);
  if (!v->log_p) solve_stage(x->d, (Component *)c, set, v);
  return v;
}

/* The routine is chosen by what has been asked for: logs, probabilities (`shares`), or both.  What nobody reads is
 * dropped with other dead code. */
static void solve_by(Derive *d, Solved *v, Family family) {
  v->by->family = family;
  v->by->array = NEW_ARRAY(d->arena, Array *, ir_family_arrays(family));
  Array *asked[] = {family == FAMILY_TREE_SHARES ? v->p : v->log_p, v->p};
  uint32_t n = 0;
  v->by->array[n++] = v->local;
  for (uint32_t k = 0; k < (family == FAMILY_TREE_BOTH ? 2u : 1u); k++) v->by->array[n++] = asked[k];
  v->by->array[n] = v->z;
}

static void ask_for_logs(Derive *d, Solved *v) {
  v->logs = true;
  if (v->by->family == FAMILY_TREE_SHARES) solve_by(d, v, FAMILY_TREE_BOTH);
}

static void ask_for_shares(Derive *d, Solved *v) {
  if (v->by->family == FAMILY_TREE_SUM) solve_by(d, v, v->logs ? FAMILY_TREE_BOTH : FAMILY_TREE_SHARES);
}

Val structure_column(Context *x, const Shape *s, Choice value) {
  return value.none ? build_select(B(x), value.none, s->targets, value.v) : value.v;
}

/* ---- what it leaves ---------------------------------------------------------------------------------------------- */

/* The place of a copy in an array over its plates, `more` behind. */
Val *structure_place(Context *x, Copy copy, uint32_t n) {
  Context top = {.d = x->d};
  Val *place = NEW_ARRAY(x->d->arena, Val, n + 2);
  for (uint32_t i = 0; i < n; i++)
    place[i] = build_2(B(x), IR_SUB, copy.at[i], eval(&top, copy.c->plates.at[i]->range.lo));
  return place;
}

/* Of an array over nodes and choices. */
static Val at_choice(Context *x, Copy copy, Array *a, Choice value) {
  uint32_t n = copy.c->plates.n;
  Val *place = structure_place(x, copy, n);
  Shape shape = structure_shape(x, copy.c->structure->edge);
  place[n] = structure_column(x, &shape, value);
  return build_load(B(x), a, place);
}

Val structure_marginal_under(Context *x, Copy copy, WeightSet set, Choice value) {
  Solved *s = solved(x, copy.c, set);
  ask_for_logs(x->d, s);
  return at_choice(x, copy, s->log_p, value);
}

Val structure_share(Context *x, Copy copy, Choice value) {
  if (!copy.c->structure || copy.c->structure->edge->domain != DOMAIN_TREE || structure_is_given(x, copy)) return 0;
  Solved *s = solved(x, copy.c, posterior_weights(copy.c));
  ask_for_shares(x->d, s);
  return at_choice(x, copy, s->p, value);
}

Val structure_sum_under(Context *x, Copy copy, WeightSet set, int64_t which) {
  Solved *s = solved(x, copy.c, set);
  uint32_t n = copy.c->plates.n - 1;
  Val *place = structure_place(x, copy, n);
  place[n] = build_int(B(x), which);
  return build_load(B(x), s->z, place);
}

Copy whole_structure(Context *x, Copy copy) {
  Copy whole = {copy.c, NEW_ARRAY(x->d->arena, Val, copy.c->plates.n)};
  memcpy(whole.at, copy.at, (copy.c->plates.n - 1) * sizeof *whole.at);
  whole.at[copy.c->plates.n - 1] = build_int(B(x), 0);
  return whole;
}

Val structure_log_marginal(Context *x, Copy copy, Choice value) {
  return structure_marginal_under(x, copy, posterior_weights(copy.c), value);
}

Val structure_log_sum(Context *x, Copy copy) { return structure_sum_under(x, copy, WEIGHTS_ALL, 0); }

Val structure_status(Context *x, Copy copy) { return structure_sum_under(x, copy, posterior_weights(copy.c), 0); }

Val structure_entropy(Context *x, Copy copy) { return structure_sum_under(x, copy, WEIGHTS_ALL, 1); }
