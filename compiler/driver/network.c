/* network: see network.h.
 *
 * Which copies the instances of a weight name follows from sizes, and perhaps from arrays of integers: then the routine
 * that the kernel calls for an order (runtime/family/network_order.c) is asked here, of the network with most copies
 * where data end some of them.  As in the kernel, places that no copy has are variables of one value. */
#include "driver/network.h"

#include <math.h>

#include "family_network.h"
#include "model/term.h"

enum { MOST_NAMES = 400000, MOST_LISTED = 8, WIDEST = 200, MOST_RANK = 16 };

typedef struct Look {
  Arena *arena;
  const Plan *p;
  const Network *net;
  Known *known;
  int64_t *first, *values; /* by part */
  VEC(int64_t) scope, count;
  bool failed;
} Look;

static bool value_of(Look *l, const Term *t, int64_t *v) {
  Constant c;
  l->known->steps = 0;
  if (constant_eval(l->known, t, &c) != CONSTANT_KNOWN) return false;
  *v = c.i;
  return true;
}

static bool range_of(Look *l, const Range *r, int64_t *lo, int64_t *hi) {
  return r->kind == RANGE_INTERVAL && value_of(l, r->lo, lo) && value_of(l, r->hi, hi);
}

/* Of a plate, what copies are numbered by. */
static bool places_of(Look *l, const Index *plate, int64_t *lo, int64_t *hi) {
  const IndexRoom *room = network_room(l->net, plate);
  int64_t n;
  if (!room) return range_of(l, &plate->range, lo, hi);
  if (!value_of(l, room->least.n ? room->least.at[0] : plate->range.lo, lo)) return false;
  for (uint32_t i = 1; i < room->least.n; i++) {
    if (!value_of(l, room->least.at[i], &n)) return false;
    *lo = n < *lo ? n : *lo;
  }
  *hi = *lo;
  for (uint32_t i = 0; i < room->room.n; i++) {
    if (!value_of(l, room->room.at[i], &n)) return false;
    *hi = n > *hi ? n : *hi;
  }
  return true;
}

static void bind(Look *l, const Index *i, int64_t v) {
  l->known->index[i->id] = v;
  l->known->bound[i->id] = true;
}

/* Of the copy with these index values; false: not known.  The plates' values are as before. */
static bool is_there(Look *l, const Component *c, const int64_t *at, bool *there) {
  int64_t back[MOST_RANK], lo = 0, hi = 0;
  bool bound[MOST_RANK], known = true;
  for (uint32_t k = 0; k < c->plates.n; k++) {
    const Index *plate = c->plates.at[k];
    back[k] = l->known->index[plate->id];
    bound[k] = l->known->bound[plate->id];
    if (k >= l->net->outer) bind(l, plate, at[k]);
  }
  *there = true;
  for (uint32_t k = l->net->outer; k < c->plates.n && *there && known; k++) {
    known = range_of(l, &c->plates.at[k]->range, &lo, &hi);
    *there = at[k] >= lo && at[k] < hi;
  }
  for (uint32_t k = 0; k < c->plates.n; k++) {
    l->known->index[c->plates.at[k]->id] = back[k];
    l->known->bound[c->plates.at[k]->id] = bound[k];
  }
  return known;
}

static uint32_t part_of(const Look *l, const Edge *e) {
  uint32_t k = 0;
  while (l->net->parts.at[k]->edges.at[0] != e) k++;
  return k;
}

/* Places for copies of an edge, outer plates apart; -1: not known. */
static int64_t copies_of(Look *l, const Component *c) {
  int64_t n = 1, lo, hi;
  for (uint32_t k = l->net->outer; k < c->plates.n; k++) {
    if (!places_of(l, c->plates.at[k], &lo, &hi)) return -1;
    if (__builtin_mul_overflow(n, hi > lo ? hi - lo : 0, &n) || n > MOST_NAMES) return -1;
  }
  return n;
}

/* The number of the variable that t names; NETWORK_NOBODY: there is none. */
static bool variable(Look *l, const Term *t, int64_t *var) {
  const Component *c = l->net->parts.at[part_of(l, t->edge)];
  int64_t flat = 0, at[MOST_RANK], lo, hi;
  bool there = true, in_place = true;
  for (uint32_t k = l->net->outer; k < c->plates.n; k++) {
    if (!value_of(l, t->args.at[k], &at[k]) || !places_of(l, c->plates.at[k], &lo, &hi)) return false;
    in_place = in_place && at[k] >= lo && at[k] < hi;
    flat = in_place ? flat * (hi - lo) + (at[k] - lo) : 0;
  }
  if (in_place && !is_there(l, c, at, &there)) return false;
  *var = in_place && there ? l->first[part_of(l, t->edge)] + flat : NETWORK_NOBODY;
  return true;
}

/* The index values of a place, from the outer plates on. */
static void place_at(Look *l, const Component *c, int64_t flat, int64_t *at, int64_t *column) {
  int64_t lo = 0, hi = 0;
  *column = 0;
  for (uint32_t k = c->plates.n; k-- > l->net->outer;) {
    places_of(l, c->plates.at[k], &lo, &hi);
    *column = *column * (hi - lo) + flat % (hi - lo);
    at[k] = lo + flat % (hi - lo);
    flat /= hi - lo;
  }
}

static void instances(Look *l, const Group *g, uint32_t from, int64_t *count) {
  if (l->failed) return;
  if (from < g->loops.n) {
    const Index *i = g->loops.at[from];
    int64_t lo, hi;
    l->failed = !range_of(l, &i->range, &lo, &hi);
    for (int64_t v = lo; !l->failed && v < hi; v++) {
      bind(l, i, v);
      instances(l, g, from + 1, count);
    }
    l->known->bound[i->id] = false;
    return;
  }
  for (uint32_t k = 0; k < g->names.n; k++) {
    int64_t var;
    if (!variable(l, g->names.at[k], &var) || l->scope.n > MOST_NAMES) {
      l->failed = true;
      return;
    }
    vec_push(l->arena, &l->scope, var);
  }
  ++*count;
}

/* The outer copy of this number, in C order. */
static bool bind_outer(Look *l, int64_t number) {
  for (uint32_t k = l->net->outer; k-- > 0;) {
    const Index *plate = l->net->parts.at[0]->plates.at[k];
    int64_t lo, hi;
    if (!range_of(l, &plate->range, &lo, &hi)) return false;
    int64_t size = hi > lo ? hi - lo : 1, v = lo + number % size;
    number /= size;
    bind(l, plate, v);
    for (uint32_t i = 0; i < l->net->groups.n; i++) bind(l, l->net->groups.at[i]->outer.at[k], v);
  }
  return true;
}

/* ---- as the runtime takes it ----------------------------------------------------------------------------- */

static int64_t values_of(Look *l, const Edge *e) {
  int64_t lo = 0, hi = 2;
  if (e->domain != DOMAIN_BIT && !range_of(l, &e->range, &lo, &hi)) return -1;
  return (hi > lo ? hi - lo : 0) + e->or_none;
}

static bool number_variables(Look *l, int64_t *vars) {
  *vars = 0;
  for (uint32_t k = 0; k < l->net->parts.n; k++) {
    int64_t n = copies_of(l, l->net->parts.at[k]);
    l->values[k] = values_of(l, l->net->parts.at[k]->edges.at[0]);
    l->first[k] = *vars;
    if (n < 0 || l->values[k] < 0) return false;
    *vars += n;
  }
  return true;
}

/* Line by line, and column by column; what has no plates of its own last: as the kernel has it. */
static void fill_variables(Look *l, int64_t *var) {
  for (uint32_t p = 0; p < l->net->parts.n; p++) {
    const Component *c = l->net->parts.at[p];
    int64_t n = copies_of(l, c), at[MOST_RANK], column;
    bool plain = c->plates.n == l->net->outer, there = true;
    for (int64_t i = 0; i < n; i++) {
      place_at(l, c, i, at, &column);
      is_there(l, c, at, &there);
      int64_t *row = var + 3 * (l->first[p] + i);
      row[0] = there ? l->values[p] : 1;
      row[1] = plain ? INT32_MAX : i;
      row[2] = plain ? INT32_MAX : column;
    }
  }
}

static const char *copy_name(Look *l, int64_t var) {
  uint32_t p = l->net->parts.n - 1;
  while (l->first[p] > var) p--;
  const Component *c = l->net->parts.at[p];
  int64_t at[MOST_RANK], column;
  place_at(l, c, var - l->first[p], at, &column);
  const char *text = sym_text(l->p->model->names, c->edges.at[0]->name);
  for (uint32_t k = l->net->outer; k < c->plates.n; k++)
    text = arena_printf(l->arena, "%s%s%lld", text, k == l->net->outer ? "[" : ", ", (long long)at[k]);
  return c->plates.n > l->net->outer ? arena_printf(l->arena, "%s]", text) : text;
}

static const char *members(Look *l, const int32_t *member, int64_t n) {
  const char *text = "";
  for (int64_t k = 0; k < n && k < MOST_LISTED; k++)
    text = arena_printf(l->arena, "%s%s%s", text, k ? ", " : "", copy_name(l, member[k]));
  return n > MOST_LISTED ? arena_printf(l->arena, "%s, ..", text) : text;
}

static void *zeros(Arena *arena, int64_t n, size_t size) { return arena_alloc(arena, (size_t)(n + 1) * size); }

static bool copies_there(Look *l, int64_t *copies) {
  *copies = 0;
  for (uint32_t p = 0; p < l->net->parts.n; p++) {
    int64_t n = copies_of(l, l->net->parts.at[p]), at[MOST_RANK], column;
    bool there;
    for (int64_t i = 0; i < n; i++) {
      place_at(l, l->net->parts.at[p], i, at, &column);
      if (!is_there(l, l->net->parts.at[p], at, &there)) return false;
      *copies += there;
    }
  }
  return true;
}

/* Binds the outer plates to the network of most copies, the first of equals, or to the first if they are many. */
static bool bind_largest(Look *l, int64_t places, int64_t *copies) {
  double all = network_outer_copies(l->net, l->known);
  int64_t n = l->net->rooms.n && all * (double)places <= MOST_NAMES ? (int64_t)all : 1, largest = 0, some;
  *copies = -1;
  for (int64_t i = 0; i < n; i++) {
    if (!bind_outer(l, i) || !copies_there(l, &some)) return false;
    if (some > *copies) *copies = some, largest = i;
  }
  return bind_outer(l, largest);
}

bool network_order_at(Arena *arena, const Plan *p, const Network *net, Known *known, NetworkOrder *to) {
  Look l = {.arena = arena, .p = p, .net = net, .known = known};
  l.first = zeros(arena, net->parts.n, sizeof *l.first);
  l.values = zeros(arena, net->parts.n, sizeof *l.values);
  int64_t vars;
  if (!number_variables(&l, &vars) || !bind_largest(&l, vars, &to->vars)) return false;
  int64_t *group = zeros(arena, 4 * net->groups.n, sizeof *group),
          *dims = zeros(arena, NETWORK_MAX_SCOPE * net->groups.n, sizeof *dims), factors = 0;
  for (uint32_t k = 0; k < net->groups.n; k++) {
    int64_t count = 0;
    instances(&l, net->groups.at[k], 0, &count);
    if (l.failed) return false;
    group[4 * k] = count;
    group[4 * k + 1] = net->groups.at[k]->names.n;
    factors += count;
  }
  int64_t *var = zeros(arena, 3 * vars, sizeof *var);
  fill_variables(&l, var);
  NetworkGraph g = {.vars = vars,
                    .groups = net->groups.n,
                    .factors = factors,
                    .names = l.scope.n,
                    .group = group,
                    .dims = dims,
                    .scope = l.scope.at,
                    .var = var,
                    .widest = WIDEST};
  int64_t work = 2000 + 64 * vars + (WIDEST + 40) * (vars + 4) + 24 * factors + 6 * (int64_t)l.scope.n;
  NetworkWork w = {zeros(arena, work, sizeof(double)), work, false};
  to->fits = attn_rt_network_order(&g, &w);
  if (w.lacking) return false;
  to->cells = g.cells;
  to->kept = g.kept;
  to->steps = g.steps;
  to->copies = g.clique;
  to->who = members(&l, g.in_clique, g.clique);
  return true;
}

double network_outer_copies(const Network *net, Known *known) {
  double n = 1;
  for (uint32_t k = 0; k < net->outer; k++) {
    const Range *r = &net->parts.at[0]->plates.at[k]->range;
    Constant lo, hi;
    known->steps = 0;
    if (constant_eval(known, r->lo, &lo) != CONSTANT_KNOWN || constant_eval(known, r->hi, &hi) != CONSTANT_KNOWN)
      return 1;
    n *= fmax((double)hi.i - (double)lo.i, 0);
  }
  return n;
}
