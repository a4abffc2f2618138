/* network_table: the log weights of a network's instances, and whom they name. */
#include "infer/network_parts.h"

#include <math.h>

#include "model/term.h"

/* ---- filling --------------------------------------------------------------------------------------------- */

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

/* checked: an error where there is no room for all. */
static Instance open_instances(Derive *d, const Network *net, const Group *g, bool checked) {
  Instance i = {.nest = structure_open(d, net->parts.at[0], net->outer, 2)};
  i.x = bind_outer(net, g, &i.nest.x);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    Index *index = g->loops.at[k];
    Bounds r = network_loop(&i.x, net, index, checked);
    Loop *l = i.loops[i.n++] = open_loop(&i.x, LOOP_PAR, index->span, r.lo, r.hi);
    i.x = with_index(&i.x, index, range_value(&i.x, &r, l->index), r.lo, r.hi, !r.row);
    if (r.row) i.number = l->index;
  }
  if (!i.number) i.number = network_number_of_loops(&i.x, net, g);
  return i;
}

static void close_instances(Derive *d, Instance *i) {
  while (i->n) build_close(&d->b, i->loops[--i->n]);
  structure_close(d, &i->nest);
}

/* The copy that a name means here; *there: bool, it exists (0: always).  Where it does not, a weight that does without
 * is no error. */
static Copy name_copy(Context *x, const Term *ref, Val *there) {
  Context y = with_guard(x, build_bool(B(x), false));
  Copy copy = copy_of(&y, ref);
  *there = 0;
  for (uint32_t k = 0; k < copy.c->plates.n; k++) {
    Val in = network_in_plate(x, copy, k);
    if (in) *there = build_and(B(x), *there, in);
  }
  return copy;
}

static bool counts_in(const Group *g, NetworkSet set) {
  switch (set) {
  case NETWORK_ALL: return true;
  case NETWORK_PRIORS: return g->kind != GROUP_WEIGHT;
  case NETWORK_REQUIRES:
    return g->kind == GROUP_SUPPORT || (g->kind == GROUP_WEIGHT && g->weight->kind == WEIGHT_REQUIRE);
  case NETWORK_SET_COUNT_: break;
  }
  return false;
}

static bool is_exact(const Weight *w) {
  return w->dist != DIST_UNIFORM && w->dist != DIST_WEIGHTS && w->dist != DIST_LOGITS && w->dist != DIST_STICK_BREAKING;
}

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

/* Does its normaliser cancel in every posterior?  Nothing but the copy itself decides it. */
static bool is_apart(const Group *g) { return g->kind == GROUP_PRIOR && !is_exact(g->weight) && g->names.n == 1; }

static Val normaliser_of(Context *x, const Group *g, Copy owner) {
  Context y = at_owner(x, g, owner);
  return owned_factor_log(&y, owner, &(Factor){.kind = FACTOR_NORMALISER, .edge = g->edge, .weight = g->weight});
}

static Val is_lost(Context *x, Val normaliser) { return build_2(B(x), IR_NE, normaliser, normaliser); }

/* The log weight of the instance at the values known in x; a normaliser that cancels is left out where it is no number,
 * but for the prior's own sums. */
static Val group_log(Context *x, const Network *net, uint32_t at, NetworkSet set, Copy owner) {
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
    Val n = normaliser_of(x, g, owner);
    if (set == NETWORK_ALL && is_apart(g)) n = build_select(B(x), is_lost(x, n), net_wide(x, 0), n);
    return build_2(B(x), IR_LOGMUL, l, n);
  }
  case GROUP_WEIGHT: break;
  }
  return net_wide(x, 0);
}

/* Can the two be one copy? */
static bool may_coincide(Context *x, Copy a, Copy b) {
  for (uint32_t k = 0; k < a.c->plates.n; k++) {
    int64_t d;
    if (a.c != b.c || (constant_distance(B(x)->k, a.at[k], b.at[k], &d) && d)) return false;
  }
  return a.c == b.c;
}

/* Where a name is another one of the copy whose prior it is, it follows that in the sum over its support too. */
static Val owned_log(Context *x, const Network *net, uint32_t at, NetworkSet set, const Copy *copies, uint32_t from) {
  const Group *g = net->groups.at[at];
  if (g->kind == GROUP_WEIGHT || from == g->names.n) return group_log(x, net, at, set, copies[0]);
  if (!from || !may_coincide(x, copies[from], copies[0])) return owned_log(x, net, at, set, copies, from + 1);
  Val same = build_2(B(x), IR_EQ, network_flat(x, copies[from]), network_flat(x, copies[0]));
  Context one = with_same_copy(x, copies[from].c, copies[from].at, copies[0].at),
          two = with_guard(x, build_1(B(x), IR_NOT, same));
  one = with_guard(&one, same);
  Val p = owned_log(&one, net, at, set, copies, from + 1);
  return build_select(B(x), same, p, owned_log(&two, net, at, set, copies, from + 1));
}

/* Two names of one copy agree, a name of none has number 0. */
static Val agree(Context *x, const Group *g, const Copy *copies, const Val *there, const Val *numbers) {
  Val all = 0;
  for (uint32_t a = 0; a < g->names.n; a++)
    if (there[a])
      all = build_and(B(x), all, build_2(B(x), IR_OR, there[a], build_2(B(x), IR_EQ, numbers[a], net_whole(x, 0))));
  for (uint32_t a = 0; a < g->names.n; a++)
    for (uint32_t b = 0; b < a; b++) {
      if (copies[a].c != copies[b].c) continue;
      Val apart = build_2(B(x), IR_NE, network_flat(x, copies[a]), network_flat(x, copies[b]));
      all = build_and(B(x), all, build_2(B(x), IR_OR, apart, build_2(B(x), IR_EQ, numbers[a], numbers[b])));
    }
  return all;
}

/* ---- normalisers that are no numbers --------------------------------------------------------------------- */

typedef struct Lost { const Group *g; uint32_t at; } Lost;

static Val lost_from(Context *x, const Lost *s);

static void contribute_lost(Context *x, void *arg, Contribution *c) {
  const Lost *s = arg;
  c->x = lost_from(x, &(Lost){s->g, s->at + 1});
}

/* Over the instances of a group, from the loop `at` on: NaN where one is lost whose copy's component is not empty, else
 * 0. */
static Val lost_from(Context *x, const Lost *s) {
  if (s->at < s->g->loops.n) return reduce_over(x, s->g->loops.at[s->at], ACC_SUM, IR_WIDE, contribute_lost, (void *)s);
  Val there, zero = net_wide(x, 0);
  Copy owner = name_copy(x, s->g->names.at[0], &there);
  Context y = there ? with_guard(x, there) : *x;
  Val lost = is_lost(x, normaliser_of(&y, s->g, owner));
  lost = build_and(B(x), lost, build_2(B(x), IR_NE, network_state(&y, owner, NETWORK_ALL), net_wide(x, -INFINITY)));
  return build_select(B(x), build_and(B(x), there, lost), net_wide(x, NAN), zero);
}

Val network_lost(Context *x, Copy copy) {
  const Network *net = copy.c->network;
  Context top = {.d = x->d}, y = *x;
  Val sum = net_wide(x, 0);
  for (uint32_t k = 0; k < net->outer; k++) {
    Bounds r = eval_range(&top, &copy.c->plates.at[k]->range);
    y = with_index(&y, net->parts.at[0]->plates.at[k], copy.at[k], r.lo, r.hi, true);
  }
  for (uint32_t k = 0; k < net->groups.n; k++) {
    Context z = bind_outer(net, net->groups.at[k], &y);
    if (is_apart(net->groups.at[k])) sum = net_add(x, sum, lost_from(&z, &(Lost){net->groups.at[k], 0}));
  }
  return sum;
}

static Array *named_array(Derive *d, const Network *net, NetworkShape *s, const NetworkLayout *l, uint32_t part);

void network_fill_table(Derive *d, const Network *net, NetworkShape *shape, const NetworkLayout *l, uint32_t at,
                        NetworkSet set, Array *to) {
  Builder *b = &d->b;
  const Group *g = net->groups.at[at];
  uint32_t names = g->names.n;
  bool lines = g->kind == GROUP_UNIFORM && g->edge->priors.n;
  Array *named = lines && counts_in(g, set)
                     ? named_array(d, net, shape, l, network_part(net, network_part_of(d, g->names.at[0])))
                     : NULL;
  b->span = g->weight ? g->weight->span : g->edge->span;
  Instance i = open_instances(d, net, g, false);
  Context y = i.x;
  Copy copies[NETWORK_MAX_NAMES];
  Val numbers[NETWORK_MAX_NAMES], there[NETWORK_MAX_NAMES], cell = net_whole(&y, 0);
  for (uint32_t k = 0; k < names; k++) copies[k] = name_copy(&y, g->names.at[k], &there[k]);
  Loop *values[NETWORK_MAX_NAMES];
  for (uint32_t k = 0; k < names; k++) {
    Component *c = copies[k].c;
    Val n = l->values[network_part(net, c)];
    values[k] = open_loop(&y, LOOP_PAR, c->edges.at[0]->span, net_whole(&y, 0), n);
    numbers[k] = values[k]->index;
    y = with_known(&y, copies[k], c->edges.at[0], network_choice(&y, c, numbers[k]));
    y.known->unsure = there[k] != 0;
    cell = net_add(&y, net_mul(&y, cell, n), numbers[k]);
  }
  Val same = agree(&y, g, copies, there, numbers);
  if (same) y = with_guard(&y, same);
  Val v = net_wide(&y, 0);
  if (counts_in(g, set)) {
    Context z = y;
    Val outer_place[16], missing = 0;
    if (named) {
      for (uint32_t k = 0; k < net->outer; k++) outer_place[k] = i.nest.place[k];
      outer_place[net->outer] = network_flat(&y, copies[0]);
      missing = build_2(b, IR_EQ, build_load(b, named, outer_place), net_whole(&y, 0));
      z = with_guard(&y, missing);
    }
    v = build_convert(b, owned_log(&z, net, at, set, copies, 0), IR_WIDE);
    if (missing) v = build_select(b, missing, v, net_wide(&y, 0));
  }
  i.nest.place[net->outer] = net_add(&y, net_add(&y, l->table[at], net_mul(&y, i.number, l->cells[at])), cell);
  build_store(b, to, v, i.nest.place);
  for (uint32_t k = names; k-- > 0;) build_close(b, values[k]);
  close_instances(d, &i);
}

/* A support depends on copies before its own; the value that is judged is its own. */
static void check_earlier(Context *x, const Term *ref, Val there, Copy copy, Copy own) {
  Val at = network_flat(x, copy), end = net_add(x, network_flat(x, own), net_whole(x, 1));
  B(x)->span = ref->span;
  build_check(B(x), IR_CHECK_INDEX, there, at, end);
}

static void fill_names(Derive *d, const Network *net, const NetworkLayout *l, uint32_t at, Array *to) {
  Builder *b = &d->b;
  const Group *g = net->groups.at[at];
  Instance i = open_instances(d, net, g, true);
  Copy own = {0};
  for (uint32_t k = 0; k < g->names.n; k++) {
    Val there;
    Copy copy = name_copy(&i.x, g->names.at[k], &there);
    Val var = net_add(&i.x, l->var[network_part(net, copy.c)], network_flat(&i.x, copy));
    if (k && g->kind == GROUP_SUPPORT && copy.c == own.c) check_earlier(&i.x, g->names.at[k], there, copy, own);
    if (!k) own = copy;
    if (there) var = build_select(b, there, var, net_whole(&i.x, -2));
    i.nest.place[net->outer] = net_add(
        &i.x, l->names[at], net_add(&i.x, net_mul(&i.x, i.number, net_whole(&i.x, g->names.n)), net_whole(&i.x, k)));
    build_store(b, to, var, i.nest.place);
  }
  close_instances(d, &i);
}

/* For each copy of a part, is there a prior line that names it? */
static Array *named_array(Derive *d, const Network *net, NetworkShape *s, const NetworkLayout *l, uint32_t part) {
  if (!s->named) s->named = NEW_ARRAY(d->arena, Array *, net->parts.n);
  if (s->named[part]) return s->named[part];
  Builder *b = &d->b;
  Array *a = s->named[part] = network_array(d, net, "named", STORE_INT, 1, &l->copies[part]);
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 1);
  Loop *all = build_open(b, LOOP_PAR, net_whole(&nest.x, 0), l->copies[part]);
  nest.place[net->outer] = all->index;
  build_store(b, a, net_whole(&nest.x, 0), nest.place);
  build_close(b, all);
  structure_close(d, &nest);
  for (uint32_t k = 0; k < net->groups.n; k++) {
    const Group *g = net->groups.at[k];
    if (g->kind != GROUP_PRIOR || g->edge != net->parts.at[part]->edges.at[0]) continue;
    Instance i = open_instances(d, net, g, false);
    i.nest.place[net->outer] = network_flat(&i.x, copy_of(&i.x, g->names.at[0]));
    build_store(b, a, net_whole(&i.x, 1), i.nest.place);
    close_instances(d, &i);
  }
  return a;
}

/* ---- what does not depend on the weights ----------------------------------------------------------------- */

/* Absent unless it is filled. */
static void fill_absent(Derive *d, const Network *net, const NetworkLayout *l, Array *names) {
  Plates nest = structure_open(d, net->parts.at[0], net->outer, 1);
  Loop *all = build_open(&d->b, LOOP_PAR, net_whole(&nest.x, 0), l->all_names);
  nest.place[net->outer] = all->index;
  build_store(&d->b, names, net_whole(&nest.x, -1), nest.place);
  build_close(&d->b, all);
  structure_close(d, &nest);
}

static void fill_groups(Derive *d, const Network *net, const NetworkLayout *l, Array *to, Array *dims) {
  Context top = {.d = d}, *x = &top;
  for (uint32_t k = 0; k < net->groups.n; k++) {
    const Group *g = net->groups.at[k];
    bool prior = g->kind != GROUP_WEIGHT;
    Val row[] = {l->instances[k], net_whole(x, g->names.n), net_whole(x, prior), l->cells[k]};
    for (uint32_t i = 0; i < 4; i++) build_store(&d->b, to, row[i], (Val[]){net_whole(x, k), net_whole(x, i)});
    for (uint32_t i = 0; i < NETWORK_MAX_NAMES; i++) {
      Val n = i < g->names.n ? l->values[network_part(net, network_part_of(d, g->names.at[i]))] : net_whole(x, 1);
      build_store(&d->b, dims, n, (Val[]){net_whole(x, k), net_whole(x, i)});
    }
  }
}

/* Its number of values, and its place when copies are counted line by line, and column by column. */
static void fill_vars(Derive *d, const Network *net, const NetworkLayout *l, uint32_t outer, Array *to) {
  Builder *b = &d->b;
  for (uint32_t p = 0; p < net->parts.n; p++) {
    Plates nest = structure_open(d, net->parts.at[0], outer, 2);
    Context *x = &nest.x;
    Component *c = net->parts.at[p];
    Copy copy = {c, NEW_ARRAY(d->arena, Val, c->plates.n + 1)};
    uint32_t n = c->plates.n - net->outer;
    Loop *all = build_open(b, LOOP_PAR, net_whole(x, 0), l->copies[p]);
    Val rest = all->index, column = net_whole(x, 0);
    for (uint32_t k = c->plates.n; k-- > net->outer;) {
      Bounds r = network_range(x, net, c->plates.at[k]);
      Val size = build_2(b, IR_MAX, net_length(x, r.lo, r.hi), net_whole(x, 1)), at = build_2(b, IR_MOD, rest, size);
      copy.at[k] = net_add(x, r.lo, at);
      column = net_add(x, net_mul(x, column, size), at);
      rest = build_2(b, IR_FLOORDIV, rest, size);
    }
    Val last = net_whole(x, NETWORK_ENOUGH); /* what has no plates of its own joins many */
    Val row[] = {network_values(x, copy, l->values[p]), n ? all->index : last, n ? column : last};
    nest.place[outer] = net_add(x, l->var[p], all->index);
    for (uint32_t i = 0; i < 3; i++) {
      nest.place[outer + 1] = net_whole(x, i);
      build_store(b, to, row[i], nest.place);
    }
    build_close(b, all);
    structure_close(d, &nest);
  }
}

/* What a solve reads is filled, if there is nothing in it. */
static void fill_none(Derive *d, Array *a) {
  Builder *b = &d->b;
  Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), build_int(b, 0));
  build_store(b, a, build_int(b, -1), (Val[]){l->index, build_int(b, 0)});
  build_close(b, l);
}

NetworkShape *network_shape(Derive *d, const Network *net) {
  struct NetworkStages *st = network_stages(d);
  for (NetworkShape *s = st->shapes; s; s = s->next)
    if (s->net == net) return s;
  NetworkShape *s = NEW(d->arena, NetworkShape);
  *s = (NetworkShape){.net = net, .next = st->shapes};
  st->shapes = s;
  Context top = {.d = d};
  NetworkLayout l = network_layout(d, net);
  d->b.span = net->span;
  Val counts[] = {l.vars, l.marginals, l.all_names, l.all_cells};
  for (uint32_t i = 0; i < 4; i++) build_check(&d->b, IR_CHECK_CLIQUE, 0, counts[i], net_whole(&top, NETWORK_ENOUGH));
  s->names = network_array(d, net, "names", STORE_INT, 1, &l.all_names);
  s->groups = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "groups%u", d->b.k->arrays.n), STORE_INT, 2,
                          (Val[]){net_whole(&top, net->groups.n), net_whole(&top, 4)});
  s->dims = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "dims%u", d->b.k->arrays.n), STORE_INT, 2,
                        (Val[]){net_whole(&top, net->groups.n), net_whole(&top, NETWORK_MAX_NAMES)});
  uint32_t outer = network_is_ended(net) ? net->outer : 0; /* else they all have the same */
  s->vars = structure_array(d, net->parts.at[0], "vars", STORE_INT, outer, 2, (Val[]){l.vars, net_whole(&top, 3)});
  s->held = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "held%u", d->b.k->arrays.n), STORE_INT, 2,
                        (Val[]){net_whole(&top, 0), net_whole(&top, 2)});
  fill_none(d, s->held);
  fill_absent(d, net, &l, s->names);
  for (uint32_t k = 0; k < net->groups.n; k++) fill_names(d, net, &l, k, s->names);
  fill_groups(d, net, &l, s->groups, s->dims);
  fill_vars(d, net, &l, outer, s->vars);
  return s;
}

