/* plan: components by union-find over the edges, factors, elimination trees; see plan.h. */
#include "infer/plan.h"

#include <stdlib.h>

#include "base/ice.h"
#include "infer/bond.h"
#include "infer/latent.h"
#include "infer/network_plan.h"
#include "infer/replace.h"
#include "infer/structure.h"
#include "model/term.h"

/* ---- refusals ----------------------------------------------------------------------------------------- */

void plan_refuse(Plan *p, Span span, const char *text, const char *hint) {
  for (uint32_t i = 0; i < p->refusals.n; i++)
    if (p->refusals.at[i].span.lo == span.lo) return;
  vec_push(p->arena, &p->refusals, (Refusal){span, text, hint, false});
}

static const char *name(const Plan *p, Sym s) { return sym_text(p->model->names, s); }

static void check_infer(Plan *p, const Infer *f) {
  switch (f->method) {
  case INFER_EXACT: case INFER_MODE: case INFER_SAMPLE: case INFER_COLLAPSED: return;
  case INFER_TOP: case INFER_ENTMAX: replace_check(p, f); return;
  case INFER_SINKHORN: case INFER_BETHE: structure_check_infer(p, f); return;
  }
}

void plan_beyond(Component *c, Span span, const char *why) {
  if (c->beyond) return;
  c->beyond = why;
  c->beyond_span = span;
}

/* ---- components --------------------------------------------------------------------------------------- */

typedef struct Joins {
  uint32_t *leader;
  bool *mixed;
  Span *span;
} Joins; /* mixed: joined to an edge in other plates, by what */

typedef struct Join { Plan *p; Joins *joins; const Edge *first; Span span; } Join;

static uint32_t find(uint32_t *leader, uint32_t e) {
  while (leader[e] != e) e = leader[e] = leader[leader[e]];
  return e;
}

static void join_edge(void *arg, const Term *t, bool sure) {
  (void)sure;
  Join *j = arg;
  Plan *p = j->p;
  const Edge *e = t->edge;
  if (edge_is_structured(e) && e != j->first) {
    plan_refuse(p, j->span,
                arena_printf(p->arena, "'%s' is joined to another edge: not compiled yet", name(p, e->name)), NULL);
    return;
  }
  if (!j->first) {
    j->first = e;
    return;
  }
  if (!indices_equal(&j->first->plates, &e->plates) && !j->joins->mixed[e->id]) {
    j->joins->mixed[e->id] = true;
    j->joins->span[e->id] = j->span;
  }
  j->joins->leader[find(j->joins->leader, e->id)] = find(j->joins->leader, j->first->id);
}

static Joins join_edges(Plan *p) {
  const Model *m = p->model;
  uint32_t n = m->edges.n;
  Joins joins = {NEW_ARRAY(p->arena, uint32_t, n + 1), NEW_ARRAY(p->arena, bool, n + 1),
                 NEW_ARRAY(p->arena, Span, n + 1)};
  for (uint32_t i = 0; i < n; i++) joins.leader[i] = i;
  for (uint32_t i = 0; i < m->edges.n; i++) {
    Join j = {.p = p, .joins = &joins, .first = m->edges.at[i], .span = m->edges.at[i]->span};
    visit_support(m->edges.at[i], join_edge, &j);
  }
  for (uint32_t i = 0; i < m->weights.n; i++) {
    Join j = {.p = p, .joins = &joins, .span = m->weights.at[i]->span};
    if (structure_of_weight(m->weights.at[i])) continue; /* make_components */
    visit_weight(m->weights.at[i], join_edge, &j);
    if (!j.first) vec_push(p->arena, &p->free_weights, m->weights.at[i]);
  }
  return joins;
}

int component_place(const Component *c, const Edge *e) {
  for (uint32_t i = 0; i < c->edges.n; i++)
    if (c->edges.at[i] == e) return (int)i;
  return -1;
}

/* Its nodes are the copies; every weight belongs to one of them. */
static void add_structure(Plan *p, Component *c, Edge *e) {
  c->structure = structure_new(p, e);
  c->plates = (IndexVec){0};
  for (uint32_t i = 0; i < e->plates.n; i++) vec_push(p->arena, &c->plates, e->plates.at[i]);
  vec_push(p->arena, &c->plates, c->structure->node);
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (structure_of_weight(p->model->weights.at[i]) == e)
      structure_add_weight(p, c->structure, p->model->weights.at[i]);
}

static void make_components(Plan *p) {
  const Model *m = p->model;
  Joins joins = join_edges(p);
  p->of_edge = NEW_ARRAY(p->arena, Component *, m->edges.n);
  for (uint32_t i = 0; i < m->edges.n; i++) {
    Edge *e = m->edges.at[i];
    Component **c = &p->of_edge[find(joins.leader, i)];
    if (!*c) {
      *c = NEW(p->arena, Component);
      (*c)->id = p->components.n;
      (*c)->plates = e->plates;
      if (edge_is_structured(e)) add_structure(p, *c, e);
      vec_push(p->arena, &p->components, *c);
    }
    p->of_edge[i] = *c;
    vec_push(p->arena, &(*c)->edges, e);
    if (e->infer) (*c)->infer = e->infer;
    if (joins.mixed[i]) plan_beyond(*c, joins.span[i], "joins edges that stand in different plates");
    if ((*c)->edges.n > COMPONENT_MAX_EDGES)
      plan_refuse(p, e->span, arena_printf(p->arena, "more than %d edges are joined in one copy", COMPONENT_MAX_EDGES),
                  NULL);
  }
}

/* ---- factors ------------------------------------------------------------------------------------------ */

typedef struct Scope { const Component *c; EdgeSet set; } Scope;

static void add_to_scope(void *arg, const Term *t, bool sure) {
  (void)sure;
  Scope *s = arg;
  int at = component_place(s->c, t->edge);
  if (at >= 0) s->set |= (EdgeSet)1 << at;
}

EdgeSet support_scope(const Component *c, const Edge *e) {
  Scope s = {.c = c};
  visit_support(e, add_to_scope, &s);
  return s.set & ~((EdgeSet)1 << component_place(c, e));
}

static void add_factor(Plan *p, Component *c, Factor f) {
  Factor *copy = NEW(p->arena, Factor);
  *copy = f;
  plan_mentions(p, c, copy);
  if (copy->vars.n) vec_push(p->arena, &c->factors, copy);
  else vec_push(p->arena, &c->constants, copy);
}

static EdgeSet weight_scope(const Component *c, const Weight *w) {
  Scope s = {.c = c};
  visit_weight(w, add_to_scope, &s);
  return s.set;
}

static bool is_exact_pmf(const Weight *w) {
  switch (w->dist) {
  case DIST_UNIFORM: case DIST_WEIGHTS: case DIST_LOGITS: case DIST_STICK_BREAKING: return false;
  case DIST_BERNOULLI: case DIST_BERNOULLI_LOGIT: case DIST_GEOMETRIC: case DIST_BETA_GEOMETRIC: case DIST_POISSON:
  case DIST_BINOMIAL: case DIST_NORMAL: case DIST_LAPLACE: case DIST_STUDENT_T: case DIST_EXPONENTIAL: case DIST_GAMMA:
  case DIST_BETA: case DIST_DIRICHLET: return true;
  }
  return true;
}

/* The reach of a weight that does not simply stand in the copy that it names. */
static const Reach *foreign_reach(const Plan *p, const Weight *w) {
  const Reach *r = w ? p->reach_of_weight[w->id] : NULL;
  return r && !r->own ? r : NULL;
}

static uint32_t lag_of_prior(const Weight *w, const Reach *r) {
  for (uint32_t i = 0; r && i < r->refs.n; i++)
    if (r->refs.at[i].ref == w->edge_ref) return r->refs.at[i].lag;
  return 0;
}

/* D(edge | rest) / sum over the support of D(. | rest): two factors, the second over the rest alone.  NULL: uniform,
 * for copies that no prior line names. */
static void add_prior(Plan *p, Component *c, Edge *e, Weight *w) {
  uint32_t place = (uint32_t)component_place(c, e);
  EdgeSet self = (EdgeSet)1 << place;
  EdgeSet fixed =
      e->domain == DOMAIN_BIT ? support_scope(c, e) : 0; /* whether a bit is fixed decides if its prior counts */
  Factor f = {.weight = w, .edge = e, .is_prior = true, .reach = foreign_reach(p, w)};
  f.lag = lag_of_prior(w, f.reach);
  EdgeSet scope = f.scope = (w ? weight_scope(c, w) : 0) | self | fixed;
  f.kind = w && is_exact_pmf(w) ? FACTOR_WEIGHT : FACTOR_PRIOR;
  add_factor(p, c, f);
  if (f.kind == FACTOR_WEIGHT) return;
  f.kind = FACTOR_NORMALISER;
  f.scope = (scope | support_scope(c, e)) & ~self;
  add_factor(p, c, f);
}

/* Every line, and the uniform prior unless one line is of every copy. */
static void add_priors(Plan *p, Component *c, Edge *e) {
  bool all = false;
  for (uint32_t i = 0; i < e->priors.n; i++) {
    all |= !foreign_reach(p, e->priors.at[i]);
    add_prior(p, c, e, e->priors.at[i]);
  }
  if (!all) add_prior(p, c, e, NULL);
}

/* A structure is uniform over all its values, unless some node has a prior of its own. */
static void add_structure_factors(Plan *p, Component *c) {
  Edge *e = c->structure->edge;
  Factor *f = NEW_ARRAY(p->arena, Factor, 2);
  f[0] = (Factor){.kind = FACTOR_MARGINAL, .edge = e, .scope = 1};
  f[1] = (Factor){.kind = FACTOR_NORMALISER, .edge = e, .is_prior = true};
  vec_push(p->arena, &c->factors, &f[0]);
  if (!e->prior) vec_push(p->arena, &c->constants, &f[1]);
}

static void make_factors(Plan *p) {
  for (uint32_t i = 0; i < p->components.n; i++) {
    Component *c = p->components.at[i];
    if (c->network) continue;
    if (c->structure) {
      add_structure_factors(p, c);
      continue;
    }
    for (uint32_t k = 0; k < c->edges.n; k++) add_priors(p, c, c->edges.at[k]);
    for (uint32_t k = 0; k < p->model->weights.n; k++) {
      Weight *w = p->model->weights.at[k];
      EdgeSet scope = weight_scope(c, w);
      Factor f = {.kind = FACTOR_WEIGHT, .weight = w, .scope = scope, .reach = foreign_reach(p, w)};
      if (w->kind != WEIGHT_PRIOR && scope && p->reach_of_weight[w->id]) add_factor(p, c, f);
    }
  }
}

/* ---- elimination trees ---------------------------------------------------------------------------------
 *
 * tree(rest, above): choose a root r in `rest` whose support needs nothing left in `rest`; what remains falls
 * apart into the parts that factors and supports connect once `above` and r have values; each part gets a
 * tree of its own.  Minimal height by search over roots (components are small), ties by declaration. */

typedef struct Search { Plan *p; Component *c; EdgeSet first; bool hull; uint32_t budget; } Search;

enum { SEARCH_BUDGET = 20000 }; /* trees tried before the search turns greedy */

static EdgeSet connected(const Search *s, EdgeSet rest, EdgeSet from) {
  for (EdgeSet grown = 0; grown != from;) {
    grown = from;
    for (uint32_t i = 0; i < s->c->factors.n; i++)
      if (s->c->factors.at[i]->scope & from) from |= s->c->factors.at[i]->scope & rest;
    for (uint32_t k = 0; k < s->c->edges.n; k++) {
      EdgeSet scope = support_scope(s->c, s->c->edges.at[k]) | (EdgeSet)1 << k;
      if (scope & from) from |= scope & rest;
    }
  }
  return from;
}

static uint32_t height(const Node *n) {
  uint32_t h = 0;
  for (uint32_t i = 0; i < n->children.n; i++) {
    uint32_t k = height(n->children.at[i]);
    if (k > h) h = k;
  }
  return h + 1;
}

static Node *best_tree(Search *s, EdgeSet rest, EdgeSet above);

static Node *tree_at(Search *s, EdgeSet rest, EdgeSet above, uint32_t root) {
  Node *n = NEW(s->p->arena, Node);
  n->edge = s->c->edges.at[root];
  n->at = root;
  n->below = rest;
  rest &= ~((EdgeSet)1 << root);
  above |= (EdgeSet)1 << root;
  while (rest) {
    EdgeSet part = connected(s, rest, rest & -rest);
    Node *child = best_tree(s, part, above);
    if (!child) return NULL;
    child->parent = n;
    vec_push(s->p->arena, &n->children, child);
    rest &= ~part;
  }
  return n;
}

/* May edge k be summed outside all of `rest`? */
static bool can_stand_above(const Search *s, uint32_t k, EdgeSet rest) {
  return !(support_scope(s->c, s->c->edges.at[k]) & rest) || (s->hull && (s->first >> k & 1));
}

static Node *best_tree(Search *s, EdgeSet rest, EdgeSet above) {
  Node *best = NULL;
  EdgeSet candidates = rest & s->first ? rest & s->first : rest;
  for (uint32_t k = 0; k < s->c->edges.n; k++) {
    if (!(candidates >> k & 1) || !can_stand_above(s, k, rest)) continue;
    if (best && s->budget == 0) break;
    if (s->budget) s->budget--;
    Node *n = tree_at(s, rest, above, k);
    if (n && (!best || height(n) < height(best))) best = n;
  }
  return best;
}

/* A factor belongs to the deepest node of its scope, which lies below all others of it. */
static bool assign_factor(Plan *p, Node *n, Factor *f, EdgeSet above) {
  above |= (EdgeSet)1 << n->at;
  if (!(f->scope & ~above)) {
    vec_push(p->arena, &n->factors, f);
    return true;
  }
  for (uint32_t i = 0; i < n->children.n; i++)
    if ((f->scope & ~above & ~n->children.at[i]->below) == 0) return assign_factor(p, n->children.at[i], f, above);
  return false;
}

/* The supports of edges that stand above what they depend on. */
static void assign_supports(Plan *p, Component *c, Node *root, Node *n, EdgeSet above) {
  EdgeSet scope = support_scope(c, n->edge);
  if (scope & ~above) {
    Factor *f = NEW(p->arena, Factor);
    *f = (Factor){.kind = FACTOR_SUPPORT, .edge = n->edge, .is_prior = true, .scope = scope | (EdgeSet)1 << n->at};
    bool placed = assign_factor(p, root, f, 0);
    ICE_UNLESS(placed);
  }
  for (uint32_t i = 0; i < n->children.n; i++)
    assign_supports(p, c, root, n->children.at[i], above | (EdgeSet)1 << n->at);
}

Node *plan_tree(Plan *p, Component *c, EdgeSet first, bool hull) {
  Search s = {p, c, first, hull, SEARCH_BUDGET};
  EdgeSet all = c->edges.n == 32 ? ~(EdgeSet)0 : ((EdgeSet)1 << c->edges.n) - 1;
  Node *root = best_tree(&s, all, 0);
  if (!root) return NULL;
  for (uint32_t i = 0; i < c->factors.n; i++) {
    bool placed = assign_factor(p, root, c->factors.at[i], 0);
    ICE_UNLESS(placed);
  }
  assign_supports(p, c, root, root, 0);
  return root;
}

/* Marginals that need not sum to 1 leave no constant of a log weight constant. */
static void check_replaced(Plan *p, const Component *c) {
  if (c->chain || c->edges.n > 1) plan_refuse(p, c->infer->span, "this method is for edges joined to nothing", NULL);
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

static void refuse_deep(Plan *p) {
  for (uint32_t i = 0; i < p->components.n; i++) {
    const Component *c = p->components.at[i];
    bool joined = c->chain || c->structure || c->beyond;
    if (joined && c->plates.n > JOINED_MAX_PLATES)
      plan_refuse(p, c->edges.at[0]->span,
                  arena_printf(p->arena, "copies in %u plates that are summed together: more than %d are not compiled",
                               c->plates.n, JOINED_MAX_PLATES),
                  "count along one plate what several count");
  }
}

/* own: the plan of the model as it was given, whose edges and weights m has first; NULL: m is that. */
static Plan *plan_once(Arena *arena, const Model *m, const NoChains *known, const Plan *own) {
  Plan *p = NEW(arena, Plan);
  p->arena = arena;
  p->known = known;
  if (own) p->splits = own->splits;
  p->model = m = split_weights(arena, m, own ? own->own_weights : m->weights.n, &p->splits);
  p->own_edges = own ? own->own_edges : m->edges.n;
  p->own_weights = own ? own->own_weights : m->weights.n;
  p->whole_bytes = (int64_t)1 << 26;
  p->both_ways = 4096;
  for (uint32_t i = 0; i < m->edges.n; i++)
    if (edge_is_structured(m->edges.at[i])) structure_check(p, m->edges.at[i]);
  for (uint32_t i = 0; i < m->infers.n; i++) check_infer(p, m->infers.at[i]);
  make_components(p);
  if (!p->refusals.n) plan_reaches(p);
  if (!p->refusals.n) refuse_deep(p);
  if (!p->refusals.n) plan_networks(p);
  if (p->refusals.n) return p;
  make_factors(p);
  plan_chains(p);
  for (uint32_t i = 0; i < p->components.n; i++) {
    Component *c = p->components.at[i];
    if (is_replaced(c)) check_replaced(p, c);
    if (c->chain || c->network) continue;
    c->root = plan_tree(p, c, 0, false);
    if (!c->root)
      plan_refuse(p, c->edges.at[0]->span, "the supports of these edges depend on each other in a circle", NULL);
  }
  if (!p->refusals.n) plan_bonds(p);
  plan_latents(p);
  return p;
}

static Plan *plan_again(Arena *arena, const Model *m, const Plan *own) {
  Plan *p = plan_once(arena, m, NULL, own);
  return p->refusals.n || !p->no_chains.n ? p : plan_once(arena, m, &p->no_chains, own);
}

/* That of the model with chains beside its own; NULL: one of them cannot be made. */
static Plan *plan_with(Arena *arena, const Plan *own, const Model *with) {
  Plan *q = with ? plan_again(arena, with, own) : NULL;
  return q && !q->refusals.n && !plan_asks_of_pieces(q) ? q : NULL;
}

/* Outputs of which no chain can be made are left to other rules, and refused by those where they stand. */
Plan *plan_model(Arena *arena, const Model *m) {
  Plan *p = plan_again(arena, m, NULL);
  const Model *with = p->refusals.n ? NULL : plan_conditioned(p, NULL);
  Plan *q = plan_with(arena, p, with);
  if (!with || q) return q ? q : p;
  uint32_t n = m->outs.n;
  bool *left = NEW_ARRAY(arena, bool, n), *but_one = NEW_ARRAY(arena, bool, n);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < n; k++) but_one[k] = k != i;
    left[i] = !plan_with(arena, p, plan_conditioned(p, but_one));
  }
  q = plan_with(arena, p, plan_conditioned(p, left));
  return q ? q : p;
}
