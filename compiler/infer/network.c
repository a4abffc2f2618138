/* network: the stage that sums a network.
 *
 *   table    log weights of every instance of every group, for all values of what it names, group after group
 *   names    the numbers of the variables that it names; -1 where an instance's indices are outside their ranges
 *   solve    marginals of variables, of instances, log Z, entropy (runtime/family/network.c)
 * Variables are numbered edge after edge, their copies in C order; values by their place in the range, none last.  The same with
 * other weights in place of all: prior lines (kl), supports and requires (counts). */
#include "infer/network.h"

#include <math.h>

#include "infer/structure.h"
#include "ir/solve.h"
#include "model/term.h"

static Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }
static Val whole(Context *x, int64_t v) { return build_int(B(x), v); }
static Val add(Context *x, Val a, Val b) { return build_2(B(x), IR_ADD, a, b); }
static Val sub(Context *x, Val a, Val b) { return build_2(B(x), IR_SUB, a, b); }
static Val mul(Context *x, Val a, Val b) { return build_2(B(x), IR_MUL, a, b); }

/* Numbers beyond this are all the same: no memory has so many. */
static const int64_t ENOUGH = (int64_t)1 << 40;

/* a b, at most ENOUGH, for 0 <= a, b <= ENOUGH. */
static Val times(Context *x, Val a, Val b) {
  Builder *k = B(x);
  Val most = build_2(k, IR_FLOORDIV, whole(x, ENOUGH), build_2(k, IR_MAX, b, whole(x, 1)));
  return build_2(k, IR_MIN, mul(x, build_2(k, IR_MIN, a, add(x, most, whole(x, 1))), b), whole(x, ENOUGH));
}

static Val length(Context *x, Val lo, Val hi) {
  Val n = build_2(B(x), IR_MAX, sub(x, hi, lo), whole(x, 0));
  return build_2(B(x), IR_MIN, n, whole(x, ENOUGH));
}

/* ---- values ----------------------------------------------------------------------------------------------------------------- */

static Bounds plain_values(Context *x, const Edge *e) {
  Context top = {.d = x->d};
  if (e->domain == DOMAIN_BIT) return (Bounds){whole(x, 0), whole(x, 2), NULL, 0};
  return eval_range(&top, &e->range);
}

static Val plain_count(Context *x, const Edge *e) {
  Bounds r = plain_values(x, e);
  return length(x, r.lo, r.hi);
}

static Val values_of(Context *x, const Edge *e) {
  Val n = plain_count(x, e);
  return e->or_none ? add(x, n, whole(x, 1)) : n;
}

Val network_number(Context *x, const Component *c, Choice value) {
  const Edge *e = c->edges.at[0];
  Val n = sub(x, value.v, plain_values(x, e).lo);
  return value.none ? build_select(B(x), value.none, plain_count(x, e), n) : n;
}

Choice network_choice(Context *x, const Component *c, Val number) {
  const Edge *e = c->edges.at[0];
  Choice v = {add(x, number, plain_values(x, e).lo), 0};
  if (e->or_none) v.none = build_2(B(x), IR_EQ, number, plain_count(x, e));
  return v;
}

uint32_t network_part(const Network *net, const Component *c) {
  uint32_t i = 0;
  while (net->parts.at[i] != c) i++;
  return i;
}

/* ---- copies ------------------------------------------------------------------------------------------------------------------ */

static Val copy_count(Context *x, const Network *net, const Component *c) {
  Context top = {.d = x->d};
  Val n = whole(x, 1);
  for (uint32_t k = net->outer; k < c->plates.n; k++) {
    Bounds r = eval_range(&top, &c->plates.at[k]->range);
    n = times(x, n, length(x, r.lo, r.hi));
  }
  return n;
}

Val network_flat(Context *x, Copy copy) {
  Context top = {.d = x->d};
  Val at = whole(x, 0);
  for (uint32_t k = copy.c->network->outer; k < copy.c->plates.n; k++) {
    Bounds r = eval_range(&top, &copy.c->plates.at[k]->range);
    at = add(x, mul(x, at, length(x, r.lo, r.hi)), sub(x, copy.at[k], r.lo));
  }
  return at;
}

/* ---- instances ------------------------------------------------------------------------------------------------------------------ */

typedef struct Hull { Val lo, hi; } Hull; /* lo <= v <= hi */

static Hull hull_of(Context *x, const Group *g, const Hull *of, const Term *t) {
  Context top = {.d = x->d};
  Builder *b = B(x);
  if (term_is_of_sizes(t)) {
    Val v = eval(&top, t);
    return (Hull){v, v};
  }
  if (t->kind == TERM_INDEX) {
    for (uint32_t k = 0; k < g->loops.n; k++)
      if (g->loops.at[k] == t->index) return of[k];
    Bounds r = eval_range(&top, &t->index->range); /* an outer one */
    return (Hull){r.lo, sub(x, r.hi, whole(x, 1))};
  }
  Hull p = hull_of(x, g, of, t->args.at[0]), q = hull_of(x, g, of, t->args.at[1]);
  switch ((int)t->op) {
  case OP_ADD: return (Hull){add(x, p.lo, q.lo), add(x, p.hi, q.hi)};
  case OP_SUB: return (Hull){sub(x, p.lo, q.hi), sub(x, p.hi, q.lo)};
  case OP_MIN: return (Hull){build_2(b, IR_MIN, p.lo, q.lo), build_2(b, IR_MIN, p.hi, q.hi)};
  default: return (Hull){build_2(b, IR_MAX, p.lo, q.lo), build_2(b, IR_MAX, p.hi, q.hi)};
  }
}

static Hull *hulls(Context *x, const Group *g) {
  Hull *h = NEW_ARRAY(x->d->arena, Hull, g->loops.n + 1);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    const Range *r = &g->loops.at[k]->range;
    if (r->kind == RANGE_ROW) continue;
    h[k] = (Hull){hull_of(x, g, h, r->lo).lo, sub(x, hull_of(x, g, h, r->hi).hi, whole(x, 1))};
  }
  return h;
}

bool network_is_countable(const Group *g) {
  for (uint32_t k = 0; k < g->loops.n; k++)
    if (g->loops.at[k]->range.kind == RANGE_ROW) return false;
  return true;
}

static Val stored_neighbours(Context *x, const Group *g) { return x->d->neighbours[g->loops.at[1]->range.graph->id]->dims[0]; }

static Val instance_count(Context *x, const Group *g) {
  if (!network_is_countable(g)) return stored_neighbours(x, g);
  Hull *h = hulls(x, g);
  Val n = whole(x, 1);
  for (uint32_t k = 0; k < g->loops.n; k++) n = times(x, n, length(x, h[k].lo, add(x, h[k].hi, whole(x, 1))));
  return n;
}

static Val number_in_hulls(Context *x, const Group *g) {
  Hull *h = hulls(x, g);
  Val at = whole(x, 0);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Val v = find_bound(x, g->loops.at[k])->v;
    at = add(x, mul(x, at, length(x, h[k].lo, add(x, h[k].hi, whole(x, 1)))), sub(x, v, h[k].lo));
  }
  return at;
}

Val network_instance(Context *x, const Group *g, Val *ok) {
  *ok = 0;
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Val v = find_bound(x, g->loops.at[k])->v;
    Bounds r = eval_range(x, &g->loops.at[k]->range);
    if (provably_within(x, v, r.lo, r.hi)) continue;
    *ok = build_and(B(x), *ok, build_and(B(x), build_2(B(x), IR_GE, v, r.lo), build_2(B(x), IR_LT, v, r.hi)));
  }
  return number_in_hulls(x, g);
}

/* ---- the layout ------------------------------------------------------------------------------------------------------------------ */

static Component *part_of(const Derive *d, const Term *ref) { return d->plan->of_edge[ref->edge->id]; }

NetworkLayout network_layout(Derive *d, const Network *net) {
  Context top = {.d = d}, *x = &top;
  uint32_t parts = net->parts.n, groups = net->groups.n;
  NetworkLayout l = {.values = NEW_ARRAY(d->arena, Val, parts), .copies = NEW_ARRAY(d->arena, Val, parts), .var = NEW_ARRAY(d->arena, Val, parts),
                     .place = NEW_ARRAY(d->arena, Val, parts), .instances = NEW_ARRAY(d->arena, Val, groups), .names = NEW_ARRAY(d->arena, Val, groups),
                     .cells = NEW_ARRAY(d->arena, Val, groups), .table = NEW_ARRAY(d->arena, Val, groups)};
  l.vars = l.all_names = l.all_cells = l.marginals = whole(x, 0);
  for (uint32_t i = 0; i < parts; i++) {
    l.values[i] = values_of(x, net->parts.at[i]->edges.at[0]);
    l.copies[i] = copy_count(x, net, net->parts.at[i]);
    l.var[i] = l.vars;
    l.place[i] = l.marginals;
    l.vars = add(x, l.vars, l.copies[i]);
    l.marginals = add(x, l.marginals, times(x, l.copies[i], l.values[i]));
  }
  for (uint32_t i = 0; i < groups; i++) {
    const Group *g = net->groups.at[i];
    l.instances[i] = instance_count(x, g);
    l.names[i] = l.all_names;
    l.table[i] = l.all_cells;
    l.cells[i] = whole(x, 1);
    for (uint32_t k = 0; k < g->names.n; k++) l.cells[i] = times(x, l.cells[i], l.values[network_part(net, part_of(d, g->names.at[k]))]);
    l.all_names = add(x, l.all_names, times(x, l.instances[i], whole(x, g->names.n)));
    l.all_cells = add(x, l.all_cells, times(x, l.instances[i], l.cells[i]));
  }
  return l;
}

/* ---- filling ---------------------------------------------------------------------------------------------------------------------- */

/* The arrays of one set. */
typedef struct NetworkSolved NetworkSolved;
struct NetworkSolved {
  const Network *net;
  NetworkSet set;
  Array *table, *log_p, *joint, *z, *state;
  NetworkSolved *next;
};

typedef struct NetworkShape { const Network *net; Array *names, *groups, *vars, **named; struct NetworkShape *next; } NetworkShape;

struct NetworkStages { NetworkSolved *solved; NetworkShape *shapes; struct NetworkGiven *given; };

static struct NetworkStages *stages(Derive *d) {
  if (!d->networks) d->networks = NEW(d->arena, struct NetworkStages);
  return d->networks;
}

static Array *net_array(Derive *d, const Network *net, const char *what, StoreType elem, uint32_t rank, const Val *more) {
  return structure_array(d, net->parts.at[0], what, elem, net->outer, rank, more);
}

/* Inside the loops over the outer plates and those of an instance. */
typedef struct Instance { Plates nest; Loop *loops[16]; uint32_t n; Context x; Val number; } Instance;

static Context bind_outer(const Network *net, const Group *g, const Context *x) {
  Context y = *x;
  for (uint32_t k = 0; k < net->outer; k++) {
    const BoundIndex *b = find_bound(&y, net->parts.at[0]->plates.at[k]);
    if (g->outer.at[k] != b->index) y = with_index(&y, g->outer.at[k], b->v, b->lo, b->hi, true);
  }
  return y;
}

static Instance open_instances(Derive *d, const Network *net, const Group *g) {
  Instance i = {.nest = structure_open(d, net->parts.at[0], net->outer, 2)};
  i.x = bind_outer(net, g, &i.nest.x);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Index *index = g->loops.at[k];
    Bounds r = eval_range(&i.x, &index->range);
    Loop *l = i.loops[i.n++] = open_loop(&i.x, LOOP_PAR, index->span, r.lo, r.hi);
    i.x = with_index(&i.x, index, range_value(&i.x, &r, l->index), r.lo, r.hi, !r.row);
    if (r.row) i.number = l->index;
  }
  if (!i.number) i.number = number_in_hulls(&i.x, g);
  return i;
}

static void close_instances(Derive *d, Instance *i) {
  while (i->n) build_close(&d->b, i->loops[--i->n]);
  structure_close(d, &i->nest);
}

static Copy name_copy(Context *x, const Term *ref) { return copy_of(x, ref); }

static bool counts_in(const Group *g, NetworkSet set) {
  switch (set) {
  case NETWORK_ALL: return true;
  case NETWORK_PRIORS: return g->kind != GROUP_WEIGHT;
  case NETWORK_REQUIRES: return g->kind == GROUP_SUPPORT || (g->kind == GROUP_WEIGHT && g->weight->kind == WEIGHT_REQUIRE);
  case NETWORK_SET_COUNT_: break;
  }
  return false;
}

static bool is_exact(const Weight *w) { return w->dist != DIST_UNIFORM && w->dist != DIST_WEIGHTS && w->dist != DIST_LOGITS; }

/* x as seen from the copy whose prior it is, the statement's indices still bound. */
static Context at_owner(Context *x, const Group *g, Copy owner) {
  Context y = in_copy(x, owner);
  const IndexVec *plates = g->weight ? &g->weight->plates : &g->edge->plates;
  for (uint32_t k = 0; k < plates->n; k++) {
    const BoundIndex *b = find_bound(x, plates->at[k]);
    if (b && find_bound(&y, plates->at[k]) == NULL) y = with_index(&y, plates->at[k], b->v, b->lo, b->hi, false);
  }
  return y;
}

/* The log weight of the instance at the values known in x. */
static Val group_log(Context *x, const Network *net, uint32_t at, Copy owner) {
  const Group *g = net->groups.at[at];
  if (g->kind == GROUP_WEIGHT) return weight_over(x, g->weight, &g->beyond);
  Context y = at_owner(x, g, owner);
  Reach over = {.beyond = g->beyond};
  Factor f = {.edge = g->edge, .weight = g->weight};
  switch (g->kind) {
  case GROUP_SUPPORT: f.kind = FACTOR_SUPPORT; return owned_factor_log(&y, owner, &f);
  case GROUP_UNIFORM: f.kind = FACTOR_NORMALISER; return owned_factor_log(&y, owner, &f);
  case GROUP_PRIOR: {
    bool exact = is_exact(g->weight);
    f.kind = exact ? FACTOR_WEIGHT : FACTOR_PRIOR;
    if (exact) f.reach = &over;
    Val l = owned_factor_log(&y, owner, &f);
    if (exact) return l;
    f.kind = FACTOR_NORMALISER;
    return build_2(B(x), IR_LOGMUL, l, owned_factor_log(&y, owner, &f));
  }
  case GROUP_WEIGHT: break;
  }
  return wide(x, 0);
}

/* Two names of one copy agree. */
static Val agree(Context *x, const Group *g, const Copy *copies, const Val *numbers) {
  Val all = 0;
  for (uint32_t a = 0; a < g->names.n; a++)
    for (uint32_t b = 0; b < a; b++) {
      if (copies[a].c != copies[b].c) continue;
      Val apart = build_2(B(x), IR_NE, network_flat(x, copies[a]), network_flat(x, copies[b]));
      all = build_and(B(x), all, build_2(B(x), IR_OR, apart, build_2(B(x), IR_EQ, numbers[a], numbers[b])));
    }
  return all;
}

static Array *named_array(Derive *d, const Network *net, NetworkShape *s, const NetworkLayout *l, uint32_t part);

static void fill_table(Derive *d, const Network *net, NetworkShape *shape, const NetworkLayout *l, uint32_t at, NetworkSet set, Array *to) {
  Builder *b = &d->b;
  const Group *g = net->groups.at[at];
  uint32_t names = g->names.n;
  bool lines = g->kind == GROUP_UNIFORM && g->edge->priors.n;
  Array *named = lines && counts_in(g, set) ? named_array(d, net, shape, l, network_part(net, part_of(d, g->names.at[0]))) : NULL;
  b->span = g->weight ? g->weight->span : g->edge->span;
  Instance i = open_instances(d, net, g);
  Context y = i.x;
  Copy copies[NETWORK_MAX_NAMES];
  Val numbers[NETWORK_MAX_NAMES], cell = whole(&y, 0);
  for (uint32_t k = 0; k < names; k++) copies[k] = name_copy(&y, g->names.at[k]);
  Loop *values[NETWORK_MAX_NAMES];
  for (uint32_t k = 0; k < names; k++) {
    Component *c = copies[k].c;
    Val n = l->values[network_part(net, c)];
    values[k] = open_loop(&y, LOOP_PAR, c->edges.at[0]->span, whole(&y, 0), n);
    numbers[k] = values[k]->index;
    y = with_known(&y, copies[k], c->edges.at[0], network_choice(&y, c, numbers[k]));
    cell = add(&y, mul(&y, cell, n), numbers[k]);
  }
  Val same = agree(&y, g, copies, numbers);
  if (same) y = with_guard(&y, same);
  Val v = wide(&y, 0);
  if (counts_in(g, set)) {
    Context z = y;
    Val outer_place[16], missing = 0;
    if (named) {
      for (uint32_t k = 0; k < net->outer; k++) outer_place[k] = i.nest.place[k];
      outer_place[net->outer] = network_flat(&y, copies[0]);
      missing = build_2(b, IR_EQ, build_load(b, named, outer_place), whole(&y, 0));
      z = with_guard(&y, missing);
    }
    v = build_convert(b, group_log(&z, net, at, copies[0]), IR_WIDE);
    if (missing) v = build_select(b, missing, v, wide(&y, 0));
  }
  i.nest.place[net->outer] = add(&y, add(&y, l->table[at], mul(&y, i.number, l->cells[at])), cell);
  build_store(b, to, v, i.nest.place);
  for (uint32_t k = names; k-- > 0;) build_close(b, values[k]);
  close_instances(d, &i);
}

static void fill_names(Derive *d, const Network *net, const NetworkLayout *l, uint32_t at, Array *to) {
  Builder *b = &d->b;
  const Group *g = net->groups.at[at];
  Instance i = open_instances(d, net, g);
  for (uint32_t k = 0; k < g->names.n; k++) {
    Copy copy = name_copy(&i.x, g->names.at[k]);
    Val var = add(&i.x, l->var[network_part(net, copy.c)], network_flat(&i.x, copy));
    i.nest.place[net->outer] = add(&i.x, l->names[at], add(&i.x, mul(&i.x, i.number, whole(&i.x, g->names.n)), whole(&i.x, k)));
    build_store(b, to, var, i.nest.place);
  }
  close_instances(d, &i);
}

/* For each copy of a part, is there a prior line that names it? */
static Array *named_array(Derive *d, const Network *net, NetworkShape *s, const NetworkLayout *l, uint32_t part) {
  if (!s->named) s->named = NEW_ARRAY(d->arena, Array *, net->parts.n);
  if (s->named[part]) return s->named[part];
  Builder *b = &d->b;
  Array *a = s->named[part] = net_array(d, net, "named", STORE_INT, 1, &l->copies[part]);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 1);
  Loop *all = build_open(b, LOOP_PAR, whole(&nest.x, 0), l->copies[part]);
  nest.place[net->outer] = all->index;
  build_store(b, a, whole(&nest.x, 0), nest.place);
  build_close(b, all);
  structure_close(d, &nest);
  for (uint32_t k = 0; k < net->groups.n; k++) {
    const Group *g = net->groups.at[k];
    if (g->kind != GROUP_PRIOR || g->edge != net->parts.at[part]->edges.at[0]) continue;
    Instance i = open_instances(d, net, g);
    i.nest.place[net->outer] = network_flat(&i.x, name_copy(&i.x, g->names.at[0]));
    build_store(b, a, whole(&i.x, 1), i.nest.place);
    close_instances(d, &i);
  }
  return a;
}

/* ---- what does not depend on the weights ------------------------------------------------------------------------------------- */

/* Absent unless it is filled. */
static void fill_absent(Derive *d, const Network *net, const NetworkLayout *l, Array *names) {
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 1);
  Loop *all = build_open(&d->b, LOOP_PAR, whole(&nest.x, 0), l->all_names);
  nest.place[net->outer] = all->index;
  build_store(&d->b, names, whole(&nest.x, -1), nest.place);
  build_close(&d->b, all);
  structure_close(d, &nest);
}

static void fill_groups(Derive *d, const Network *net, const NetworkLayout *l, Array *to) {
  Context top = {.d = d}, *x = &top;
  for (uint32_t k = 0; k < net->groups.n; k++) {
    const Group *g = net->groups.at[k];
    bool prior = g->kind != GROUP_WEIGHT;
    Val row[] = {l->instances[k], whole(x, g->names.n), whole(x, prior), l->cells[k]};
    for (uint32_t i = 0; i < 4; i++) build_store(&d->b, to, row[i], (Val[]){whole(x, k), whole(x, i)});
  }
}

/* Its number of values, and its place when copies are counted line by line, and column by column. */
static void fill_vars(Derive *d, const Network *net, const NetworkLayout *l, Array *to) {
  Context top = {.d = d}, *x = &top;
  Builder *b = &d->b;
  for (uint32_t p = 0; p < net->parts.n; p++) {
    const Component *c = net->parts.at[p];
    uint32_t n = c->plates.n - net->outer;
    Loop *all = build_open(b, LOOP_PAR, whole(x, 0), l->copies[p]);
    Val rest = all->index, column = whole(x, 0), var = add(x, l->var[p], all->index);
    for (uint32_t k = n; k-- > 0;) {
      Bounds r = eval_range(x, &c->plates.at[net->outer + k]->range);
      Val size = build_2(b, IR_MAX, length(x, r.lo, r.hi), whole(x, 1));
      column = add(x, mul(x, column, size), build_2(b, IR_MOD, rest, size));
      rest = build_2(b, IR_FLOORDIV, rest, size);
    }
    Val last = whole(x, ENOUGH); /* what has no plates of its own joins many */
    Val row[] = {l->values[p], n ? all->index : last, n ? column : last};
    for (uint32_t i = 0; i < 3; i++) build_store(b, to, row[i], (Val[]){var, whole(x, i)});
    build_close(b, all);
  }
}

static NetworkShape *shape_of(Derive *d, const Network *net) {
  struct NetworkStages *st = stages(d);
  for (NetworkShape *s = st->shapes; s; s = s->next)
    if (s->net == net) return s;
  NetworkShape *s = NEW(d->arena, NetworkShape);
  *s = (NetworkShape){.net = net, .next = st->shapes};
  st->shapes = s;
  Context top = {.d = d};
  NetworkLayout l = network_layout(d, net);
  s->names = net_array(d, net, "names", STORE_INT, 1, &l.all_names);
  s->groups = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "groups%u", d->b.k->arrays.n), STORE_INT, 2, (Val[]){whole(&top, net->groups.n), whole(&top, 4)});
  s->vars = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "vars%u", d->b.k->arrays.n), STORE_INT, 2, (Val[]){l.vars, whole(&top, 3)});
  fill_absent(d, net, &l, s->names);
  for (uint32_t k = 0; k < net->groups.n; k++) fill_names(d, net, &l, k, s->names);
  fill_groups(d, net, &l, s->groups);
  fill_vars(d, net, &l, s->vars);
  return s;
}

/* ---- solving -------------------------------------------------------------------------------------------------------------------- */

/* Doubles that the routines take (runtime/family/network.h): what is linear in the network, and tables, as many as all joint values
 * have, or as the limit allows. */
static Val work_size(Context *x, const Network *net, const NetworkLayout *l) {
  static const int64_t MOST = ((int64_t)1 << 25) + ((int64_t)1 << 22);
  Builder *b = B(x);
  Val factors = whole(x, 0), most = whole(x, 1), power = whole(x, 1);
  for (uint32_t k = 0; k < net->groups.n; k++) factors = add(x, factors, l->instances[k]);
  for (uint32_t p = 0; p < net->parts.n; p++) most = build_2(b, IR_MAX, most, l->values[p]);
  Val left = build_2(b, IR_MIN, l->vars, whole(x, 31)), square = build_2(b, IR_MIN, most, whole(x, MOST));
  for (uint32_t bit = 0; bit < 5; bit++) { /* most ^ min(vars, 31) by squares */
    Val odd = build_2(b, IR_EQ, build_2(b, IR_MOD, left, whole(x, 2)), whole(x, 1));
    Val next = build_2(b, IR_MIN, mul(x, power, square), whole(x, MOST));
    power = build_select(b, odd, next, power);
    square = build_2(b, IR_MIN, mul(x, square, square), whole(x, MOST));
    left = build_2(b, IR_FLOORDIV, left, whole(x, 2));
  }
  Val tables = build_2(b, IR_MIN, times(x, power, add(x, mul(x, l->vars, whole(x, 2)), whole(x, 1))), whole(x, MOST));
  Val linear = add(x, add(x, times(x, l->vars, whole(x, 64)), times(x, factors, whole(x, 24))), add(x, times(x, l->all_names, whole(x, 6)), l->marginals));
  return add(x, add(x, linear, tables), whole(x, 1000));
}

typedef struct Call { Val held, held_value; bool joint; int64_t ring; } Call;

static void network_ints(Context *x, const Network *net, const NetworkLayout *l, const Call *c, Val *ints) {
  Val all[] = {l->vars, whole(x, net->groups.n), l->all_names, l->all_cells, c->joint ? l->all_cells : whole(x, 0), l->marginals,
               c->held ? c->held : whole(x, -1), c->held_value ? c->held_value : whole(x, 0), whole(x, c->ring), work_size(x, net, l)};
  memcpy(ints, all, sizeof all);
}

/* An error where the cliques are too large. */
static void check_size(Context *x, const Network *net, Array *z, Val *place, uint32_t n) {
  Val *at = NEW_ARRAY(x->d->arena, Val, n + 1);
  memcpy(at, place, n * sizeof *at);
  at[n] = whole(x, 3);
  Val over = build_load(B(x), z, at), bad = build_2(B(x), IR_GT, over, wide(x, 0));
  Val most = whole(x, 1 << 24), cells = build_convert(B(x), build_2(B(x), IR_MIN, over, wide(x, 1e18)), IR_INT);
  B(x)->span = net->span;
  build_check(B(x), IR_CHECK_CLIQUE, bad, build_2(B(x), IR_MAX, cells, most), most);
}

static NetworkSolved *weighed(Derive *d, const Network *net, NetworkSet set) {
  struct NetworkStages *st = stages(d);
  for (NetworkSolved *s = st->solved; s; s = s->next)
    if (s->net == net && s->set == set) return s;
  Builder *b = &d->b;
  Region *back = b->at;
  Span span = b->span;
  b->at = b->k->top;
  NetworkSolved *s = NEW(d->arena, NetworkSolved);
  *s = (NetworkSolved){.net = net, .set = set, .next = st->solved};
  st->solved = s;
  NetworkShape *shape = shape_of(d, net);
  NetworkLayout l = network_layout(d, net);
  s->table = net_array(d, net, "table", STORE_WIDE, 1, &l.all_cells);
  for (uint32_t k = 0; k < net->groups.n; k++) fill_table(d, net, shape, &l, k, set, s->table);
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
  NetworkShape *shape = shape_of(d, net);
  NetworkLayout l = network_layout(d, net);
  Context top = {.d = d};
  Call call = {.joint = set == NETWORK_ALL, .ring = set == NETWORK_REQUIRES ? 2 : 0};
  Val none = whole(&top, 0), four = whole(&top, 4);
  s->log_p = net_array(d, net, "log_p", STORE_WIDE, 1, &l.marginals);
  s->joint = net_array(d, net, "joint", STORE_WIDE, 1, call.joint ? &l.all_cells : &none);
  s->z = net_array(d, net, "z", STORE_WIDE, 1, &four);
  s->state = net_array(d, net, "state", STORE_WIDE, 1, &l.vars);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 2);
  Val ints[10];
  network_ints(&nest.x, net, &l, &call, ints);
  b->span = net->span;
  build_solve(b, FAMILY_NETWORK_SUM, net->outer, nest.place,
              (Array *[]){s->table, shape->names, shape->groups, shape->vars, s->log_p, s->joint, s->z, s->state}, ints, ints[9]);
  check_size(&nest.x, net, s->z, nest.place, net->outer);
  structure_close(d, &nest);
  b->at = back;
  b->span = span;
  return s;
}

/* ---- what it leaves ------------------------------------------------------------------------------------------------------------- */

static Val *outer_place(Context *x, Copy copy, uint32_t n) {
  Context top = {.d = x->d};
  Val *place = NEW_ARRAY(x->d->arena, Val, n + 4);
  for (uint32_t k = 0; k < n; k++) place[k] = sub(x, copy.at[k], eval_range(&top, &copy.c->plates.at[k]->range).lo);
  return place;
}

static Val marginal_place(Context *x, const NetworkLayout *l, Copy copy, Choice value) {
  uint32_t part = network_part(copy.c->network, copy.c);
  return add(x, l->place[part], add(x, mul(x, network_flat(x, copy), l->values[part]), network_number(x, copy.c, value)));
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
  Val cell = whole(x, 0);
  for (uint32_t k = 0; k < g->names.n; k++) cell = add(x, mul(x, cell, l.values[network_part(net, part_of(x->d, g->names.at[k]))]), numbers[k]);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = add(x, add(x, l.table[group], mul(x, instance, l.cells[group])), cell);
  return build_load(B(x), s->joint, place);
}

Val network_state(Context *x, Copy copy, NetworkSet set) {
  const Network *net = copy.c->network;
  NetworkSolved *s = solved_of(x->d, net, set);
  NetworkLayout l = network_layout(x->d, net);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = add(x, l.var[network_part(net, copy.c)], network_flat(x, copy));
  return build_load(B(x), s->state, place);
}

Val network_total(Context *x, Copy copy, NetworkSet set, int64_t which) {
  const Network *net = copy.c->network;
  NetworkSolved *s = solved_of(x->d, net, set);
  Val *place = outer_place(x, copy, net->outer);
  place[net->outer] = whole(x, which);
  return build_load(B(x), s->z, place);
}

/* ---- one variable held ------------------------------------------------------------------------------------------------------------- */

typedef struct NetworkGiven { const Network *net; uint32_t part; Array *log_p; struct NetworkGiven *next; } NetworkGiven;

static Array *leading_array(Derive *d, const Network *net, const char *what, Val a, Val v, Val last) {
  Array *like = net_array(d, net, what, STORE_WIDE, 1, &last);
  Val *dims = NEW_ARRAY(d->arena, Val, like->rank + 2);
  dims[0] = a;
  dims[1] = v;
  memcpy(dims + 2, like->dims, like->rank * sizeof *dims);
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.given", like->name), STORE_WIDE, like->rank + 2, dims);
}

/* All marginals given every value of every copy of a part: [copy, value, outer plates.., marginals]. */
static Array *given_of(Derive *d, const Network *net, uint32_t part) {
  struct NetworkStages *st = stages(d);
  for (NetworkGiven *g = st->given; g; g = g->next)
    if (g->net == net && g->part == part) return g->log_p;
  Builder *b = &d->b;
  Region *back = b->at;
  NetworkSolved *s = solved_of(d, net, NETWORK_ALL);
  NetworkShape *shape = shape_of(d, net);
  b->at = b->k->top;
  NetworkLayout l = network_layout(d, net);
  Context top = {.d = d};
  NetworkGiven *g = NEW(d->arena, NetworkGiven);
  *g = (NetworkGiven){net, part, NULL, st->given};
  st->given = g;
  Val none = whole(&top, 0), four = whole(&top, 4);
  g->log_p = leading_array(d, net, "log_p", l.copies[part], l.values[part], l.marginals);
  Array *joint = leading_array(d, net, "joint", l.copies[part], l.values[part], none);
  Array *z = leading_array(d, net, "z", l.copies[part], l.values[part], four);
  Array *state = leading_array(d, net, "state", l.copies[part], l.values[part], l.vars);
  Loop *copy = build_open(b, LOOP_PAR, whole(&top, 0), l.copies[part]);
  Loop *value = build_open(b, LOOP_PAR, whole(&top, 0), l.values[part]);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 3);
  Val at[16] = {copy->index, value->index};
  memcpy(at + 2, nest.place, net->outer * sizeof *at);
  Call call = {add(&nest.x, l.var[part], copy->index), value->index, false, 0};
  Val ints[10];
  network_ints(&nest.x, net, &l, &call, ints);
  b->span = net->span;
  build_solve(b, FAMILY_NETWORK_SUM, net->outer + 2, at,
              (Array *[]){s->table, shape->names, shape->groups, shape->vars, g->log_p, joint, z, state}, ints, ints[9]);
  structure_close(d, &nest);
  build_close(b, value);
  build_close(b, copy);
  b->at = back;
  return g->log_p;
}

Val network_given(Context *x, Copy a, Val held, Copy b, Choice value) {
  const Network *net = a.c->network;
  Array *log_p = given_of(x->d, net, network_part(net, a.c));
  NetworkLayout l = network_layout(x->d, net);
  Val *outer = outer_place(x, b, net->outer), *place = NEW_ARRAY(x->d->arena, Val, net->outer + 3);
  place[0] = network_flat(x, a);
  place[1] = held;
  memcpy(place + 2, outer, net->outer * sizeof *place);
  place[net->outer + 2] = marginal_place(x, &l, b, value);
  return build_load(B(x), log_p, place);
}

/* ---- picks ---------------------------------------------------------------------------------------------------------------------- */

void network_pick_stage(Context *x, const Network *net, Family family, uint32_t n, Val *at, Array *u, Array *choice, Array *z) {
  NetworkLayout l = network_layout(x->d, net);
  NetworkShape *shape = shape_of(x->d, net);
  Val ints[10];
  network_ints(x, net, &l, &(Call){0}, ints);
  Array *all[7] = {weighed(x->d, net, NETWORK_ALL)->table, shape->names, shape->groups, shape->vars};
  uint32_t k = 4;
  if (u) all[k++] = u;
  all[k++] = choice;
  all[k] = z;
  build_solve(B(x), family, n, at, all, ints, ints[9]);
  check_size(x, net, z, at, n);
}

void network_prepare(Derive *d, const Network *net) { weighed(d, net, NETWORK_ALL); }
