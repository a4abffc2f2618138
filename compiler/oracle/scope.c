/* scope: which edge copies a term may mention, whatever the edges turn out to be worth.
 *
 * Walks the term at the known indices while no copy is known.  Sums run over their actual ranges where those
 * can be evaluated; what depends on an edge is open: an index over such a range is `loose`, and a copy named by
 * it could be any that fits.  The scope of a weight is what is written: both sides of every condition.  What a
 * bracket mentions is what is chosen: a condition without edges decides which side is entered. */
#include "base/ice.h"
#include "oracle/world.h"

typedef struct Walk {
  ScopeVisit *visit;
  void *data;
  bool chosen; /* only the sides that conditions choose */
  bool never; /* inside a sum over nothing: only what is named without its index counts */
} Walk;

static void walk(World *w, Walk *k, const Term *t);

static bool copy_fits(const Copy *c, uint32_t rank, const int64_t *at, const bool *fixed) {
  for (uint32_t k = 0; k < rank; k++)
    if (fixed[k] && c->at[k] != at[k]) return false;
  return true;
}

static void walk_edge(World *w, Walk *k, const Term *t) {
  int64_t at[MAX_RANK];
  bool fixed[MAX_RANK], exact = true;
  for (uint32_t i = 0; i < t->args.n; i++) {
    walk(w, k, t->args.at[i]);
    Val v;
    fixed[i] = world_try(w, t->args.at[i], &v);
    at[i] = v.i;
    exact = exact && fixed[i];
  }
  uint32_t id = t->edge->id;
  if (exact) {
    uint32_t copy = registry_find(&w->copy_ids, id, t->args.n, at);
    if (copy != NOT_FOUND) k->visit(w, k->data, copy, true);
    return;
  }
  if (k->never) return;
  for (uint32_t c = w->edge_first[id]; c < w->edge_first[id + 1] && world_step(w, t->span); c++)
    if (copy_fits(&w->copies.at[c], t->args.n, at, fixed)) k->visit(w, k->data, c, false);
}

static void walk_range(World *w, Walk *k, const Range *r) {
  if (r->kind == RANGE_ROW) {
    walk(w, k, r->row);
    return;
  }
  walk(w, k, r->lo);
  walk(w, k, r->hi);
}

static bool range_is_known(World *w, const Range *r) {
  Val v;
  if (r->kind == RANGE_ROW) return world_try(w, r->row, &v);
  return world_try(w, r->lo, &v) && world_try(w, r->hi, &v);
}

/* The body at no particular index. */
static void walk_loose(World *w, Walk *k, const Term *t, bool never) {
  bool saved = k->never;
  k->never = saved || never;
  w->loose[t->index->id] = true;
  walk(w, k, t->args.at[0]);
  w->loose[t->index->id] = false;
  k->never = saved;
}

/* A sum over nothing still mentions what its body names whatever the index: a weight does not lose its edge
 * where a feature dimension is 0. */
static void walk_reduce(World *w, Walk *k, const Term *t) {
  Index *x = t->index;
  int64_t saved = w->index[x->id];
  walk_range(w, k, &x->range);
  if (range_is_known(w, &x->range)) {
    Values v = world_range(w, &x->range);
    for (int64_t i = 0; i < v.n && world_step(w, t->span); i++) {
      w->index[x->id] = value_at(&v, i);
      walk(w, k, t->args.at[0]);
    }
    if (v.n == 0) walk_loose(w, k, t, true);
  } else {
    walk_loose(w, k, t, false);
  }
  w->index[x->id] = saved;
}

static void walk_if(World *w, Walk *k, const Term *t) {
  Val cond;
  walk(w, k, t->args.at[0]);
  if (k->chosen && world_try(w, t->args.at[0], &cond)) {
    walk(w, k, t->args.at[cond.i ? 1 : 2]);
    return;
  }
  walk(w, k, t->args.at[1]);
  walk(w, k, t->args.at[2]);
}

/* `and` and `or` do not look at their right side where the left one decides. */
static bool left_decides(World *w, const Term *t) {
  Val left;
  if (t->kind != TERM_OP || (t->op != OP_AND && t->op != OP_OR)) return false;
  return world_try(w, t->args.at[0], &left) && (left.i != 0) == (t->op == OP_OR);
}

static void walk(World *w, Walk *k, const Term *t) {
  if (!oracle_mentions_edge(t)) return;
  switch (t->kind) {
  case TERM_EDGE: walk_edge(w, k, t); return;
  case TERM_REDUCE: walk_reduce(w, k, t); return;
  case TERM_IF: walk_if(w, k, t); return;
  case TERM_OP: case TERM_INPUT: case TERM_LET: case TERM_LATENT: {
    uint32_t n = k->chosen && left_decides(w, t) ? 1 : t->args.n;
    for (uint32_t i = 0; i < n; i++) walk(w, k, t->args.at[i]);
    return;
  }
  case TERM_INT: case TERM_REAL: case TERM_BOOL: case TERM_NONE: case TERM_SIZE: case TERM_INDEX: case TERM_QUERY:
    return;
  }
  ICE("unknown term");
}

void world_scope(World *w, const Term *t, ScopeVisit *visit, void *data) {
  Walk k = {.visit = visit, .data = data};
  if (t) walk(w, &k, t);
}

void world_scope_range(World *w, const Range *r, ScopeVisit *visit, void *data) {
  Walk k = {.visit = visit, .data = data};
  walk_range(w, &k, r);
}

void world_mentions(World *w, const Term *t, ScopeVisit *visit, void *data) {
  Walk k = {.visit = visit, .data = data, .chosen = true};
  walk(w, &k, t);
}
