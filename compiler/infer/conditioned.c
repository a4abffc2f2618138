/* conditioned: the probability of what only all copies of a chain together decide.
 *
 *     P[A] = Z(A) / Z
 *
 * Z(A) is the evidence of the model that requires A as well.  Where A counts copies that weights join,
 * P[sum(t in T) c[t] >= 2], no product over the values of a few copies is it; but `require A` is a weight on a count,
 * which a chain knows (count_plan.c).  So each such P becomes QUERY_SHARE of a chain of its own, a twin over the same
 * weights and A, and of the chain it is about.  What else A mentions, `P[.. == k]`, is one more plate of the twin:
 * there is one for every k.
 *
 * Requires: a plan without refusals.  Ensures: edges and weights of the model stay, as do their numbers; new ones are
 * behind them (Plan.own_weights: F is of the others, and no latent is moved by them); only outputs whose value has such
 * a P differ. */
#include <string.h>

#include "infer/plan.h"
#include "model/term.h"

typedef VEC(IndexMap) IndexMaps;

typedef struct Twin {
  Model *m;
  Component *c;
  IndexMaps extra;     /* what A mentions, does not bind, and names no chain by: the plate of its own */
  IndexMaps own;       /* what A names chains by: the chain's plates */
  Edge **edge;         /* by place in c */
} Twin;

/* ---- what A mentions --------------------------------------------------------------------------------------- */

typedef struct Seen {
  Arena *arena;
  IndexVec bound, all;
  const Term *edge;
} Seen;

static void see(const Term *t, void *context) {
  Seen *s = context;
  if (t->kind == TERM_REDUCE) vec_push(s->arena, &s->bound, t->index);
  if (t->kind == TERM_INDEX && !indices_hold(&s->all, t->index)) vec_push(s->arena, &s->all, t->index);
  if (t->kind == TERM_EDGE && !s->edge) s->edge = t;
}

static IndexVec free_indices(Arena *arena, const Term *t) {
  Seen s = {.arena = arena};
  IndexVec free = {0};
  term_walk(t, see, &s);
  for (uint32_t i = 0; i < s.all.n; i++)
    if (!indices_hold(&s.bound, s.all.at[i])) vec_push(arena, &free, s.all.at[i]);
  return free;
}

/* Does the index, by itself, say which chain copies belong to? */
static bool names_chain(const Component *c, const Term *t, const Index *i) {
  bool any = false;
  for (uint32_t k = 0; t->kind == TERM_EDGE && k < t->args.n; k++)
    any |= k != c->chain->step && t->args.at[k]->kind == TERM_INDEX && t->args.at[k]->index == i;
  for (uint32_t k = 0; k < t->args.n; k++) any |= names_chain(c, t->args.at[k], i);
  return any;
}

/* Or the step? */
static bool names_step(const Component *c, const Term *t, const Index *i) {
  if (t->kind == TERM_EDGE && term_mentions_index(t->args.at[c->chain->step], i)) return true;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (names_step(c, t->args.at[k], i)) return true;
  return false;
}

static bool all_edges_in(const Component *c, const Term *t) {
  if (t->kind == TERM_EDGE && component_place(c, t->edge) < 0) return false;
  if (t->kind == TERM_QUERY || t->kind == TERM_LATENT) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!all_edges_in(c, t->args.at[i])) return false;
  return true;
}

/* A range that edges decide would have to be a new one. */
static bool edges_bound_sums(const Term *t) {
  const Range *r = t->kind == TERM_REDUCE ? &t->index->range : NULL;
  if (r && ((r->lo && (r->lo->mentions & MENTIONS_EDGE)) || (r->hi && (r->hi->mentions & MENTIONS_EDGE)) ||
            (r->row && (r->row->mentions & MENTIONS_EDGE))))
    return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (edges_bound_sums(t->args.at[i])) return true;
  return false;
}

/* ---- the parts of A ------------------------------------------------------------------------------------------ */

static void split(Arena *arena, Term *t, TermVec *parts) {
  if (t->kind == TERM_OP && t->op == OP_AND) {
    split(arena, t->args.at[0], parts);
    split(arena, t->args.at[1], parts);
  } else {
    vec_push(arena, parts, t);
  }
}

static bool counts(Plan *p, const Term *t) {
  Weight w = {.kind = WEIGHT_REQUIRE, .span = t->span, .value = (Term *)t};
  return is_count_weight(p, &w);
}

/* Is there a sum over chains, not along one? */
static bool sums_over_chains(const Component *c, const Term *t) {
  if (t->kind == TERM_REDUCE && names_chain(c, t, t->index)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (sums_over_chains(c, t->args.at[i])) return true;
  return false;
}

/* The chain that A counts copies of; NULL: it is a matter of other rules.  A none that is used makes a weight 1, and an
 * event none. */
static Component *counted_chain(Plan *p, Term *a) {
  TermVec parts = {0};
  Seen s = {.arena = p->arena};
  bool any = false;
  term_walk(a, see, &s);
  if (!s.edge) return NULL;
  Component *c = p->of_edge[s.edge->edge->id];
  if (!c->chain || c->edges.at[0]->infer || !all_edges_in(c, a) || sums_over_chains(c, a)) return NULL;
  split(p->arena, a, &parts);
  for (uint32_t i = 0; i < parts.n; i++) any |= counts(p, parts.at[i]);
  return any && !may_count_none(a) ? c : NULL;
}

/* ---- the second chain ---------------------------------------------------------------------------------------- */

static Term *twin_term(Twin *w, Term *t) {
  if (!t || !(t->mentions & MENTIONS_EDGE)) return t;
  Arena *arena = w->m->arena;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  if (t->kind == TERM_EDGE) {
    r->edge = w->edge[component_place(w->c, t->edge)];
    for (uint32_t k = 0; k < w->extra.n; k++) vec_push(arena, &r->args, w->extra.at[k].to);
  }
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(arena, &r->args, twin_term(w, t->args.at[i]));
  return term_finish(r);
}

static IndexVec twin_plates(const Twin *w, const IndexVec *plates) {
  IndexVec r = {0};
  for (uint32_t k = 0; k < w->extra.n; k++) vec_push(w->m->arena, &r, w->extra.at[k].to->index);
  for (uint32_t k = 0; k < plates->n; k++) vec_push(w->m->arena, &r, plates->at[k]);
  return r;
}

static void add_edge(Twin *w, uint32_t at, Span asked) {
  const Edge *e = w->c->edges.at[at];
  Edge *r = w->edge[at] = NEW(w->m->arena, Edge);
  *r = *e;
  r->id = w->m->edges.n;
  r->span = asked; /* what it costs is the question's matter */
  r->plates = twin_plates(w, &e->plates);
  r->range.lo = twin_term(w, e->range.lo);
  r->range.hi = twin_term(w, e->range.hi);
  r->range.row = twin_term(w, e->range.row);
  r->where = twin_term(w, e->where);
  r->prior = NULL;
  memset(&r->priors, 0, sizeof r->priors);
  vec_push(w->m->arena, &w->m->edges, r);
}

static Weight *add_weight(Twin *w, const Weight *from) {
  Arena *arena = w->m->arena;
  Weight *r = NEW(arena, Weight);
  *r = *from;
  r->id = w->m->weights.n;
  r->plates = twin_plates(w, &from->plates);
  r->value = twin_term(w, from->value);
  r->left = twin_term(w, from->left);
  r->params = (TermVec){0};
  for (uint32_t i = 0; i < from->params.n; i++) vec_push(arena, &r->params, twin_term(w, from->params.at[i]));
  vec_push(arena, &w->m->weights, r);
  if (from->kind != WEIGHT_PRIOR || !from->edge) return r;
  r->edge_ref = twin_term(w, from->edge_ref);
  r->edge = r->edge_ref->edge;
  if (!r->edge->prior) r->edge->prior = r;
  vec_push(arena, &r->edge->priors, r);
  return r;
}

typedef struct Named { const Component *c; bool found; } Named;

static void note_named(void *arg, const Term *t, bool sure) {
  (void)sure;
  Named *n = arg;
  n->found |= component_place(n->c, t->edge) >= 0;
}

static bool weighs(const Component *c, const Weight *w) {
  Named n = {c, false};
  visit_weight(w, note_named, &n);
  return n.found;
}

static bool weight_bounds_sums(const Weight *w) {
  bool any = (w->value && edges_bound_sums(w->value)) || (w->left && edges_bound_sums(w->left));
  for (uint32_t i = 0; i < w->params.n; i++) any |= edges_bound_sums(w->params.at[i]);
  return any;
}

static bool can_be_twin(const Plan *p, const Component *c) {
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (weighs(c, p->model->weights.at[i]) && weight_bounds_sums(p->model->weights.at[i])) return false;
  return true;
}

static Model *with_room(Arena *arena, const Model *from) {
  Model *m = NEW(arena, Model);
  *m = *from;
  memset(&m->edges, 0, sizeof m->edges);
  memset(&m->weights, 0, sizeof m->weights);
  memset(&m->outs, 0, sizeof m->outs);
  m->arena = arena;
  for (uint32_t i = 0; i < from->edges.n; i++) vec_push(arena, &m->edges, from->edges.at[i]);
  for (uint32_t i = 0; i < from->weights.n; i++) vec_push(arena, &m->weights, from->weights.at[i]);
  return m;
}

/* A plate for every free index of A that names no chain; false: one that names a step, or is of no fixed range. */
static bool find_extra(Twin *w, const Term *a) {
  Arena *arena = w->m->arena;
  IndexVec free = free_indices(arena, a);
  for (uint32_t i = 0; i < free.n; i++) {
    Index *k = free.at[i];
    if (names_step(w->c, a, k)) return false;
    if (names_chain(w->c, a, k)) continue;
    if (k->range.kind != RANGE_INTERVAL || !term_is_of_sizes(k->range.lo) || !term_is_of_sizes(k->range.hi))
      return false;
    Index *own = NEW(arena, Index);
    *own = *k;
    own->id = w->m->index_count++;
    own->role = INDEX_PLATE;
    vec_push(arena, &w->extra, ((IndexMap){k, term_index(arena, own, k->span)}));
  }
  return true;
}

/* Is plate k's index in every reference of t that one? */
static bool names_all_by(const Term *t, uint32_t k, const Index *i) {
  bool edge = t->kind == TERM_EDGE;
  if (edge && (t->args.at[k]->kind != TERM_INDEX || t->args.at[k]->index != i)) return false;
  for (uint32_t n = 0; n < t->args.n; n++)
    if (!names_all_by(t->args.at[n], k, i)) return false;
  return true;
}

/* Where A names a chain by indices of its own, one a plate, it is required of every chain in its own plates: there are
 * perhaps not as many of them as there are values of these indices.  False: it names it otherwise. */
static bool find_own(Twin *w, const Term *a, IndexVec *plates) {
  Arena *arena = w->m->arena;
  const Term *named = term_find(a, TERM_EDGE);
  IndexMaps own = {0};
  for (uint32_t k = 0; k < w->c->plates.n; k++) {
    const Term *arg = named->args.at[k];
    if (k == w->c->chain->step) continue;
    if (arg->kind != TERM_INDEX || !names_all_by(a, k, arg->index)) return false;
    for (uint32_t n = 0; n < own.n; n++)
      if (own.at[n].from == arg->index) return false;
    vec_push(arena, &own, ((IndexMap){arg->index, term_index(arena, w->c->plates.at[k], arg->span)}));
    vec_push(arena, plates, w->c->plates.at[k]);
  }
  for (uint32_t n = 0; n < own.n; n++) vec_push(arena, &w->own, own.at[n]);
  return true;
}

static void require_parts(Twin *w, Term *a) {
  Arena *arena = w->m->arena;
  TermVec parts = {0};
  IndexVec own = {0};
  split(arena, a, &parts);
  bool all = find_own(w, a, &own);
  for (uint32_t i = 0; i < parts.n; i++) {
    IndexVec free = free_indices(arena, parts.at[i]), named = {0};
    for (uint32_t k = 0; !all && k < free.n; k++)
      if (names_chain(w->c, a, free.at[k])) vec_push(arena, &named, free.at[k]);
    if (all) named = own;
    Term *value = term_substitute(w->m, parts.at[i], w->extra.at, w->extra.n);
    value = term_substitute(w->m, value, w->own.at, w->own.n);
    add_weight(w, &(Weight){.kind = WEIGHT_REQUIRE, .span = a->span, .plates = named, .value = value});
  }
}

/* The copies that A names, their steps being of no matter. */
static Term *chain_ref(Twin *w, Edge *e, const Term *named, bool twin) {
  Arena *arena = w->m->arena;
  TermVec args = {0};
  for (uint32_t k = 0; twin && k < w->extra.n; k++)
    vec_push(arena, &args, term_index(arena, w->extra.at[k].from, named->span));
  for (uint32_t k = 0; k < named->args.n; k++)
    vec_push(arena, &args, k == w->c->chain->step ? term_none(arena, named->span) : named->args.at[k]);
  return term_ref(arena, TERM_EDGE, e, &args, named->span);
}

static Term *share_of(Plan *p, Model *m, Component *c, Term *a) {
  Arena *arena = m->arena;
  Twin w = {.m = m, .c = c, .edge = NEW_ARRAY(arena, Edge *, c->edges.n)};
  if (!can_be_twin(p, c) || edges_bound_sums(a) || !find_extra(&w, a)) return NULL;
  for (uint32_t i = 0; i < c->edges.n; i++) add_edge(&w, i, a->span);
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (weighs(c, p->model->weights.at[i])) add_weight(&w, p->model->weights.at[i]);
  Term *event = term_int(arena, m->weights.n, a->span);
  require_parts(&w, a);
  const Term *named = term_find(a, TERM_EDGE);
  TermVec args = {0};
  vec_push(arena, &args, chain_ref(&w, w.edge[component_place(c, named->edge)], named, true));
  vec_push(arena, &args, chain_ref(&w, (Edge *)named->edge, named, false));
  vec_push(arena, &args, event);
  return term_query(arena, QUERY_SHARE, TYPE_REAL, &args, a->span);
}

/* ---- outputs ------------------------------------------------------------------------------------------------- */

/* The event whose probability the query is a matter of: P[A], E[if A then x else y] with x and y known; NULL: none. */
static Term *event_of(const Term *query) {
  if (query->query == QUERY_P) return query->args.at[0];
  const Term *t = query->query == QUERY_E ? query->args.at[0] : NULL;
  while (t && t->kind == TERM_OP && t->op == OP_TO_REAL) t = t->args.at[0];
  if (!t || t->kind != TERM_IF) return NULL;
  return term_mentions_edge(t->args.at[1], NULL) || term_mentions_edge(t->args.at[2], NULL) ? NULL : t->args.at[0];
}

/* With x and y. */
static Term *mean_by(Arena *arena, const Term *query, Term *share) {
  if (query->query == QUERY_P) return share;
  const Term *t = query->args.at[0];
  while (t->kind == TERM_OP) t = t->args.at[0];
  for (uint32_t i = 1; i < 3; i++) vec_push(arena, &share->args, term_to_real(arena, t->args.at[i]));
  return term_finish(share);
}

static Term *rewrite(Plan *p, Model **m, Term *t) {
  if (!(t->mentions & MENTIONS_QUERY)) return t;
  if (t->kind == TERM_QUERY) {
    Term *a = event_of(t);
    Component *c = a ? counted_chain(p, a) : NULL;
    if (!c) return t;
    if (!*m) *m = with_room(p->arena, p->model);
    Term *share = share_of(p, *m, c, a);
    return share ? mean_by(p->arena, t, share) : t;
  }
  Term *r = NEW(p->arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &r->args, rewrite(p, m, t->args.at[i]));
  return term_finish(r);
}

typedef struct Pieces { const Plan *p; bool found; } Pieces;

static void see_pieces(const Term *t, void *context) {
  Pieces *s = context;
  if (t->kind == TERM_QUERY && t->query == QUERY_SHARE && s->p->of_edge[t->args.at[0]->edge->id]->chain->may_break)
    s->found = true;
}

bool plan_asks_of_pieces(const Plan *p) {
  Pieces s = {p, false};
  for (uint32_t i = 0; i < p->model->outs.n; i++) term_walk(p->model->outs.at[i]->value, see_pieces, &s);
  return s.found;
}

const Model *plan_conditioned(Plan *p) {
  Model *m = NULL;
  VEC(Term *) values = {0};
  for (uint32_t i = 0; i < p->model->outs.n; i++)
    vec_push(p->arena, &values, rewrite(p, &m, p->model->outs.at[i]->value));
  for (uint32_t i = 0; m && i < p->model->outs.n; i++) {
    Out *o = NEW(p->arena, Out);
    *o = *p->model->outs.at[i];
    o->value = values.at[i];
    vec_push(p->arena, &m->outs, o);
  }
  return m;
}
