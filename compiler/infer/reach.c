/* reach: references as a base and an offset along every plate; see reach.h. */
#include "infer/reach.h"

#include "infer/plan.h"
#include "model/dim.h"
#include "model/term.h"

typedef struct Gather {
  Arena *arena;
  const Component *c;
  const IndexVec *plates; /* of the statement */
  Reach *r;
  VEC(int64_t) offsets;   /* n for every reference */
  const char *why;
} Gather;

/* The index of the statement from which the term differs by a constant. */
static Index *followed(Gather *g, const Term *t, int64_t *offset) {
  for (uint32_t i = 0; i < g->plates->n; i++)
    if (dim_difference(g->arena, t, term_index(g->arena, g->plates->at[i], t->span), offset)) return g->plates->at[i];
  return NULL;
}

static bool take_offset(Gather *g, uint32_t plate, const Term *t, bool first, int64_t *offset) {
  Reach *r = g->r;
  Index *q = followed(g, t, offset);
  if (!q && !term_is_of_sizes(t)) {
    g->why =
        "names a copy by a value that is neither an index of its own, displaced by a constant, nor given by the sizes";
    return false;
  }
  if (first) {
    r->follows[plate] = q;
    r->pin[plate] = q ? NULL : (Term *)t;
    if (!q) *offset = 0;
    return true;
  }
  bool same = q ? q == r->follows[plate] : r->pin[plate] && dim_difference(g->arena, t, r->pin[plate], offset);
  if (!same) g->why = "names copies whose distance is not a constant";
  return same;
}

static void take_reference(void *arg, const Term *t, bool sure) {
  Gather *g = arg;
  int at = component_place(g->c, t->edge);
  if (at < 0 || g->why) return;
  bool first = g->r->refs.n == 0;
  for (uint32_t i = 0; i < g->r->n; i++) {
    int64_t offset;
    if (!take_offset(g, i, t->args.at[i], first, &offset)) return;
    vec_push(g->arena, &g->offsets, offset);
  }
  vec_push(g->arena, &g->r->refs, (ReachRef){t, (uint32_t)at, 0, !sure});
}

static bool mentions_any(const Range *r, const IndexVec *list) {
  for (uint32_t i = 0; i < list->n; i++)
    if ((r->lo && term_mentions_index(r->lo, list->at[i])) || (r->hi && term_mentions_index(r->hi, list->at[i])) ||
        (r->row && term_mentions_index(r->row, list->at[i])))
      return true;
  return false;
}

/* Is the index one that runs over the neighbours of the very node whose neighbours the plate runs over? */
static bool runs_over_own_row(const Reach *r, const Component *c, uint32_t k) {
  const Range *p = &c->plates.at[k]->range, *q = &r->follows[k]->range;
  if (p->kind != RANGE_ROW || q->kind != RANGE_ROW || p->graph != q->graph) return false;
  if (p->row->kind != TERM_INDEX || q->row->kind != TERM_INDEX) return false;
  for (uint32_t j = 0; j < k; j++)
    if (c->plates.at[j] == p->row->index) return r->follows[j] == q->row->index;
  return false;
}

/* Indices that follow no plate; the ranges of the others may not depend on them. */
static bool split_indices(Gather *g) {
  Reach *r = g->r;
  for (uint32_t i = 0; i < g->plates->n; i++) {
    bool follows = false;
    for (uint32_t k = 0; k < r->n; k++) follows |= r->follows[k] == g->plates->at[i];
    if (!follows) vec_push(g->arena, &r->beyond, g->plates->at[i]);
  }
  for (uint32_t k = 0; k < r->n; k++)
    for (uint32_t j = 0; j < k; j++)
      if (r->follows[k] && r->follows[k] == r->follows[j]) g->why = "names a copy by one index along two plates";
  for (uint32_t k = 0; k < r->n; k++) {
    if (!r->follows[k] || r->follows[k] == g->c->plates.at[k]) continue;
    if (r->follows[k]->range.kind == RANGE_ROW && !runs_over_own_row(r, g->c, k))
      g->why = "names copies by an index that runs over a row of a graph";
    if (mentions_any(&r->follows[k]->range, &r->beyond))
      g->why = "names copies by an index whose range depends on an index that names none";
  }
  return !g->why;
}

/* The range of the index that follows plate k, in terms of the plates that others follow. */
static Range range_along(Arena *a, const Reach *r, uint32_t k, const Component *c) {
  Range q = r->follows[k]->range;
  IndexMap *map = NEW_ARRAY(a, IndexMap, k);
  uint32_t n = 0;
  for (uint32_t j = 0; j < k; j++)
    if (r->follows[j] && r->follows[j] != c->plates.at[j] && !r->shift[j] && !r->lowest[j])
      map[n++] = (IndexMap){r->follows[j], term_index(a, c->plates.at[j], q.span)};
  Model scratch = {.arena = a}; /* only for what it allocates */
  if (q.lo) q.lo = term_substitute(&scratch, q.lo, map, n);
  if (q.hi) q.hi = term_substitute(&scratch, q.hi, map, n);
  return q;
}

/* x + c >= y for all sizes? */
static bool at_least(Arena *a, const Term *x, int64_t c, const Term *y) {
  int64_t d;
  return dim_difference(a, x, y, &d) && d + c >= 0;
}

static bool home_exists(Arena *a, const Reach *r, uint32_t k, const Range *p) {
  if (p->kind == RANGE_ROW) return true; /* without displacements */
  const Term *lo = r->follows[k] ? r->range[k].lo : r->pin[k];
  return at_least(a, lo, r->shift[k], p->lo) &&
         (r->follows[k] ? at_least(a, p->hi, -r->shift[k], r->range[k].hi)
                        : at_least(a, p->hi, -r->shift[k] - 1, r->pin[k]));
}

static bool along_plate_exists(Arena *a, const Reach *r, uint32_t k, const Component *c) {
  const Range *p = &c->plates.at[k]->range;
  if (p->kind == RANGE_ROW) {
    bool same = r->follows[k] && (r->follows[k] == c->plates.at[k] || runs_over_own_row(r, c, k));
    return same && r->shift[k] == 0 && r->lowest[k] == 0;
  }
  const Term *lo = r->follows[k] ? r->range[k].lo : r->pin[k];
  return at_least(a, lo, r->lowest[k], p->lo) && home_exists(a, r, k, p);
}

Reach *reach_of(Arena *arena, const Component *c, const IndexVec *plates, const void *statement, Visit visit, Span span,
                const char **why) {
  Reach *r = NEW(arena, Reach);
  uint32_t n = c->plates.n;
  *r = (Reach){.n = n, .follows = NEW_ARRAY(arena, Index *, n), .pin = NEW_ARRAY(arena, Term *, n), .span = span,
               .range = NEW_ARRAY(arena, Range, n),
               .shift = NEW_ARRAY(arena, int64_t, n), .lowest = NEW_ARRAY(arena, int64_t, n),
               .first = NEW_ARRAY(arena, int64_t, n), .homeless = NEW_ARRAY(arena, bool, n)};
  Gather g = {.arena = arena, .c = c, .plates = plates, .r = r};
  visit(statement, take_reference, &g);
  *why = g.why;
  if (g.why || !split_indices(&g)) {
    *why = g.why;
    return NULL;
  }
  r->own = true;
  r->proved = NEW_ARRAY(arena, bool, n);
  for (uint32_t k = 0; k < n; k++) {
    bool any = false;
    int64_t last = 0;
    for (uint32_t i = 0; i < r->refs.n; i++) {
      int64_t o = g.offsets.at[i * n + k];
      if (!i || o > r->shift[k]) r->shift[k] = o;
      if (!i || o < r->lowest[k]) r->lowest[k] = o;
      if (r->refs.at[i].unsure) continue;
      if (!any || o > last) last = o;
      if (!any || o < r->first[k]) r->first[k] = o;
      any = true;
    }
    if (!any) r->first[k] = r->shift[k];
    if (r->follows[k]) r->range[k] = range_along(arena, r, k, c);
    r->homeless[k] = (!any || last < r->shift[k]) && !home_exists(arena, r, k, &c->plates.at[k]->range);
    for (uint32_t i = 0; i < r->refs.n; i++) {
      int64_t lag = r->shift[k] - g.offsets.at[i * n + k];
      if (lag > 1000) *why = "reaches too far";
      r->refs.at[i].lag += (uint32_t)lag;
    }
    r->own = r->own && r->follows[k] == c->plates.at[k] && r->shift[k] == 0 && r->lowest[k] == 0;
    r->proved[k] = along_plate_exists(arena, r, k, c);
  }
  return *why ? NULL : r;
}

int reach_joined_plate(const Reach *r) {
  int joined = -1;
  for (uint32_t k = 0; k < r->n; k++)
    if (r->shift[k] != r->lowest[k]) joined = joined == -1 ? (int)k : -2;
  return joined;
}
