/* copies: what exists at the bound sizes, and what is joined with what.
 *
 * One variable per edge copy, one factor per instance of a weight statement.  Copies that one statement or
 * one support mentions together are joined (union-find); the classes are the components.  That is a matter of
 * what is written, not of data: also a statement in a plate that happens to be empty joins what it names. */
#include "oracle/world.h"

/* ---- loops over indices ------------------------------------------------------------------------------ */

typedef struct Loop { const IndexVec *outer, *inner; IndexVisit *f; void *data; int64_t at[MAX_RANK]; } Loop;

static Index *loop_index(const Loop *l, uint32_t depth) {
  return depth < l->outer->n ? l->outer->at[depth] : l->inner->at[depth - l->outer->n];
}

/* What runs inside may bind the same indices for a while: outer ones are set again at each level. */
static void loop(World *w, Loop *l, uint32_t depth) {
  for (uint32_t k = 0; k < depth; k++) w->index[loop_index(l, k)->id] = l->at[k];
  if (depth == l->outer->n + l->inner->n) {
    l->f(w, l->data, l->at);
    return;
  }
  Index *x = loop_index(l, depth);
  Values v = world_range(w, &x->range);
  for (int64_t k = 0; k < v.n && !w->failed && world_step(w, x->span); k++) {
    l->at[depth] = w->index[x->id] = value_at(&v, k);
    loop(w, l, depth + 1);
  }
}

static const IndexVec no_indices = {NULL, 0, 0};

void world_for(World *w, const IndexVec *outer, const IndexVec *inner, IndexVisit *f, void *data) {
  Loop l = {outer, inner ? inner : &no_indices, f, data, {0}};
  if (l.outer->n + l.inner->n > MAX_RANK) {
    world_refuse(w, l.outer->n ? l.outer->at[0]->span : w->model->span, "loops over %u indices",
                 l.outer->n + l.inner->n);
    return;
  }
  loop(w, &l, 0);
}

void world_bind(World *w, const IndexVec *v, const int64_t *at) {
  for (uint32_t k = 0; k < v->n; k++) w->index[v->at[k]->id] = at[k];
}

/* ---- copies --------------------------------------------------------------------------------------------- */

static int64_t structure_nodes(World *w, const Edge *e) {
  if (!edge_is_structured(e)) return 1;
  return world_int(w, e->domain == DOMAIN_MATCHING ? e->m : e->n);
}

static void add_copies(World *w, void *data, const int64_t *at) {
  Edge *e = data;
  uint32_t rank = e->plates.n;
  int64_t key[MAX_RANK + 1], n = structure_nodes(w, e);
  Unit u = {.edge = e, .first = w->copies.n, .n = n > 0 ? (uint32_t)n : 0};
  if (rank) memcpy(key, at, rank * sizeof *at);
  for (int64_t node = 0; node < n && world_step(w, e->span); node++) {
    key[rank] = node;
    uint32_t id = registry_add(w->arena, &w->copy_ids, e->id, edge_rank(e), key);
    if (id != w->copies.n) {
      world_fault(w, e->span, "two copies of an edge have the same indices (a row of a graph holds an index twice)");
      return;
    }
    Copy c = {e, w->copy_ids.keys.at[id].at, w->units.n, false};
    vec_push(w->arena, &w->copies, c);
  }
  if (u.n) vec_push(w->arena, &w->units, u);
}

static void build_copies(World *w) {
  const Model *m = w->model;
  w->edge_first = NEW_ARRAY(w->arena, uint32_t, m->edges.n + 1);
  for (uint32_t k = 0; k < m->edges.n; k++) {
    w->edge_first[k] = w->copies.n;
    world_for(w, &m->edges.at[k]->plates, NULL, add_copies, m->edges.at[k]);
    w->edge_first[k + 1] = w->copies.n;
  }
  w->value = NEW_ARRAY(w->arena, int64_t, w->copies.n);
  for (uint32_t k = 0; k < w->copies.n; k++) w->value[k] = UNKNOWN_VALUE;
}

/* ---- latent components -------------------------------------------------------------------------------------- */

static void add_place(World *w, void *data, const int64_t *at) {
  Latent *l = data;
  uint32_t rank = l->plates.n + l->own.n + l->axes.n;
  uint32_t id = registry_add(w->arena, &w->latent_ids, l->id, rank, at);
  LatentPlace p = {l, w->latent_ids.keys.at[id].at};
  vec_push(w->arena, &w->places, p);
}

static void build_places(World *w) {
  for (uint32_t k = 0; k < w->model->latents.n; k++) {
    Latent *l = w->model->latents.at[k];
    IndexVec all = {NULL, 0, 0};
    for (uint32_t i = 0; i < l->plates.n; i++) vec_push(w->arena, &all, l->plates.at[i]);
    for (uint32_t i = 0; i < l->own.n; i++) vec_push(w->arena, &all, l->own.at[i]);
    world_for(w, &all, &l->axes, add_place, l);
  }
  w->z = NEW_ARRAY(w->arena, double, w->places.n);
}

/* ---- factors --------------------------------------------------------------------------------------------------- */

typedef struct Scope { VEC(uint32_t) copies; } Scope;

static void scope_add(World *w, void *data, uint32_t copy, bool exact) {
  (void)exact;
  Scope *s = data;
  for (uint32_t k = 0; k < s->copies.n; k++)
    if (s->copies.at[k] == copy) return;
  vec_push(w->arena, &s->copies, copy);
}

static void scope_of_unit(World *w, const Unit *u, Scope *s) {
  const Edge *e = u->edge;
  world_bind(w, &e->plates, w->copies.at[u->first].at);
  if (e->domain == DOMAIN_RANGE) world_scope_range(w, &e->range, scope_add, s);
  world_scope(w, e->where, scope_add, s);
}

/* A normalised prior also depends on what decides the support of its copy. */
static void scope_of_prior(World *w, const Weight *x, Scope *s) {
  world_scope(w, x->edge_ref, scope_add, s);
  if (!s->copies.n) return;
  Copy *c = &w->copies.at[s->copies.at[0]];
  c->has_prior = true;
  scope_of_unit(w, &w->units.at[c->unit], s);
}

static void scope_of_terms(World *w, const Weight *x, ScopeVisit *visit, Scope *s) {
  world_scope(w, x->value, visit, s);
  world_scope(w, x->left, visit, s);
  for (uint32_t k = 0; k < x->params.n; k++) world_scope(w, x->params.at[k], visit, s);
}

static void add_factor(World *w, void *data, const int64_t *at) {
  Weight *x = data;
  Scope s = {{NULL, 0, 0}};
  Factor f = {.weight = x, .at = oracle_copy_values(w->arena, at, x->plates.n + x->axes.n), .component = NO_COMPONENT};
  if (x->kind == WEIGHT_PRIOR && x->edge) {
    scope_of_prior(w, x, &s);
    world_bind(w, &x->plates, at);
  }
  scope_of_terms(w, x, scope_add, &s);
  f.scope = s.copies.at;
  f.n_scope = s.copies.n;
  vec_push(w->arena, &w->factors, f);
}

static void build_factors(World *w) {
  for (uint32_t k = 0; k < w->model->weights.n; k++) {
    Weight *x = w->model->weights.at[k];
    IndexVec axes = x->axes;
    if (x->dist == DIST_DIRICHLET && x->kind != WEIGHT_POTENTIAL && x->kind != WEIGHT_REQUIRE && axes.n) axes.n--;
    world_for(w, &x->plates, &axes, add_factor, x);
  }
}

/* ---- components -------------------------------------------------------------------------------------------------- */

static uint32_t root_of(uint32_t *parent, uint32_t k) {
  while (parent[k] != k) k = parent[k] = parent[parent[k]];
  return k;
}

/* The lower number stays the root, so components come out in order of their first copy. */
static void join(uint32_t *parent, uint32_t a, uint32_t b) {
  a = root_of(parent, a);
  b = root_of(parent, b);
  if (a < b) parent[b] = a;
  else parent[a] = b;
}

static void join_scope(World *w, uint32_t *parent, const uint32_t *copies, uint32_t n) {
  for (uint32_t k = 1; k < n; k++) join(parent, w->copies.at[copies[0]].unit, w->copies.at[copies[k]].unit);
}

static void scope_add_exact(World *w, void *data, uint32_t copy, bool exact) {
  if (exact) scope_add(w, data, copy, exact);
}

/* A statement over no values of an index joins the copies that it names without that index. */
static void join_absent(World *w, uint32_t *parent, const Weight *x, uint32_t depth) {
  uint32_t n = x->plates.n + x->axes.n;
  if (depth == n) return;
#define INDEX(k) ((k) < x->plates.n ? x->plates.at[k] : x->axes.at[(k) - x->plates.n])
  Values v = world_range(w, &INDEX(depth)->range);
  for (int64_t k = 0; k < v.n && world_step(w, x->span); k++) {
    w->index[INDEX(depth)->id] = value_at(&v, k);
    join_absent(w, parent, x, depth + 1);
  }
  if (v.n) return;
  Scope s = {{NULL, 0, 0}};
  for (uint32_t k = depth; k < n; k++) w->loose[INDEX(k)->id] = true;
  scope_of_terms(w, x, scope_add_exact, &s);
  for (uint32_t k = depth; k < n; k++) w->loose[INDEX(k)->id] = false;
#undef INDEX
  join_scope(w, parent, s.copies.at, s.copies.n);
}

static void join_units(World *w, uint32_t *parent) {
  for (uint32_t k = 0; k < w->units.n; k++) parent[k] = k;
  for (uint32_t k = 0; k < w->factors.n; k++) join_scope(w, parent, w->factors.at[k].scope, w->factors.at[k].n_scope);
  for (uint32_t k = 0; k < w->model->weights.n && !w->failed; k++) join_absent(w, parent, w->model->weights.at[k], 0);
  for (uint32_t k = 0; k < w->units.n && !w->failed; k++) {
    Scope s = {{NULL, 0, 0}};
    scope_add(w, &s, w->units.at[k].first, true);
    scope_of_unit(w, &w->units.at[k], &s);
    join_scope(w, parent, s.copies.at, s.copies.n);
  }
}

static void component_units(World *w, uint32_t *parent) {
  uint32_t *number = NEW_ARRAY(w->arena, uint32_t, w->units.n);
  for (uint32_t k = 0; k < w->units.n; k++) {
    Unit *u = &w->units.at[k];
    if (root_of(parent, k) == k) number[k] = w->n_components++;
    u->component = number[root_of(parent, k)];
  }
  w->components = NEW_ARRAY(w->arena, Component, w->n_components);
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t k = 0; k < w->units.n; k++) {
      Unit *u = &w->units.at[k];
      Component *c = &w->components[u->component];
      if (pass && !c->units) {
        c->units = NEW_ARRAY(w->arena, uint32_t, c->n_units);
        c->copies = NEW_ARRAY(w->arena, uint32_t, c->n_copies);
        c->n_units = c->n_copies = 0;
      }
      if (pass) {
        u->depth = c->n_units;
        c->units[c->n_units] = k;
        for (uint32_t i = 0; i < u->n; i++) c->copies[c->n_copies + i] = u->first + i;
        for (uint32_t i = 0; !c->infer && i < w->model->infers.n; i++)
          for (uint32_t j = 0; j < w->model->infers.at[i]->edges.n; j++)
            if (w->model->infers.at[i]->edges.at[j] == u->edge) c->infer = w->model->infers.at[i];
      }
      c->n_units++;
      c->n_copies += u->n;
    }
}

/* A factor is weighed as soon as the last unit of its scope has a value. */
static void component_factors(World *w) {
  for (uint32_t k = 0; k < w->factors.n; k++) {
    Factor *f = &w->factors.at[k];
    for (uint32_t i = 0; i < f->n_scope; i++) {
      const Unit *u = &w->units.at[w->copies.at[f->scope[i]].unit];
      f->component = u->component;
      if (u->depth > f->depth) f->depth = u->depth;
    }
    if (f->component != NO_COMPONENT) w->components[f->component].n_factors++;
  }
  for (uint32_t k = 0; k < w->n_components; k++) {
    w->components[k].factors = NEW_ARRAY(w->arena, uint32_t, w->components[k].n_factors);
    w->components[k].n_factors = 0;
  }
  for (uint32_t k = 0; k < w->factors.n; k++) {
    if (w->factors.at[k].component == NO_COMPONENT) continue;
    Component *c = &w->components[w->factors.at[k].component];
    c->factors[c->n_factors++] = k;
  }
}

bool world_build(World *w) {
  build_copies(w);
  build_places(w);
  if (!w->failed) build_factors(w);
  if (w->failed) return false;
  uint32_t *parent = NEW_ARRAY(w->arena, uint32_t, w->units.n);
  join_units(w, parent);
  if (w->failed) return false;
  component_units(w, parent);
  component_factors(w);
  return true;
}
