/* twin: see twin.h.
 *
 * Edges and weights of the model stay, as do their numbers; new ones are behind them.  A weight of f stands in the
 * plates of the chains: each is measured by its own f, also where only one of them is asked about. */
#include "infer/twin.h"

#include <string.h>

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
static bool names_chain(uint32_t step, const Term *t, const Index *i) {
  bool any = false;
  for (uint32_t k = 0; t->kind == TERM_EDGE && k < t->args.n; k++)
    any |= k != step && t->args.at[k]->kind == TERM_INDEX && t->args.at[k]->index == i;
  for (uint32_t k = 0; k < t->args.n; k++) any |= names_chain(step, t->args.at[k], i);
  return any;
}

/* Or the step? */
static bool names_step(uint32_t step, const Term *t, const Index *i) {
  if (t->kind == TERM_EDGE && term_mentions_index(t->args.at[step], i)) return true;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (names_step(step, t->args.at[k], i)) return true;
  return false;
}

bool twin_all_edges_in(const Component *c, const Term *t) {
  if (t->kind == TERM_EDGE && component_place(c, t->edge) < 0) return false;
  if (t->kind == TERM_QUERY || t->kind == TERM_LATENT) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!twin_all_edges_in(c, t->args.at[i])) return false;
  return true;
}

/* A range that edges decide would have to be a new one. */
bool twin_edges_bound_sums(const Term *t) {
  const Range *r = t->kind == TERM_REDUCE ? &t->index->range : NULL;
  if (r && ((r->lo && (r->lo->mentions & MENTIONS_EDGE)) || (r->hi && (r->hi->mentions & MENTIONS_EDGE)) ||
            (r->row && (r->row->mentions & MENTIONS_EDGE))))
    return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (twin_edges_bound_sums(t->args.at[i])) return true;
  return false;
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

typedef struct Named {
  const Component *c;
  bool found;
} Named;

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
  bool any = (w->value && twin_edges_bound_sums(w->value)) || (w->left && twin_edges_bound_sums(w->left));
  for (uint32_t i = 0; i < w->params.n; i++) any |= twin_edges_bound_sums(w->params.at[i]);
  return any;
}

static bool can_be_twin(const Plan *p, const Component *c) {
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (weighs(c, p->model->weights.at[i]) && weight_bounds_sums(p->model->weights.at[i])) return false;
  return true;
}

Model *twin_model(const Plan *p) {
  Arena *arena = p->arena;
  const Model *from = p->model;
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

/* Do all references in t name the same chain? */
static bool names_one_chain(const Twin *w, const Term *t) {
  for (uint32_t k = 0; t->kind == TERM_EDGE && k < t->args.n; k++)
    if (k != w->step && !term_equal(t->args.at[k], w->named->args.at[k])) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!names_one_chain(w, t->args.at[i])) return false;
  return true;
}

/* t about the chain one stands in; `named` not: about the one of places 0, which no index names. */
static Term *in_own_plates(const Twin *w, Term *t, bool named) {
  if (!(t->mentions & MENTIONS_EDGE)) return t;
  Arena *arena = w->m->arena;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) {
    Term *arg = t->kind != TERM_EDGE || i == w->step ? in_own_plates(w, t->args.at[i], named)
                : named                              ? term_index(arena, w->c->plates.at[i], t->span)
                                                     : term_int(arena, 0, t->span);
    vec_push(arena, &r->args, arg);
  }
  return term_finish(r);
}

static bool is_mapped(const IndexMaps *maps, const Index *i) {
  for (uint32_t n = 0; n < maps->n; n++)
    if (maps->at[n].from == i) return true;
  return false;
}

/* Sizes alone tell both, and not that they are the same. */
static bool differ_in_size(const Range *x, const Range *y) {
  return range_is_of_sizes(x) && range_is_of_sizes(y) && !(term_equal(x->lo, y->lo) && term_equal(x->hi, y->hi));
}

static bool bounds_a_sum(const Term *t, const Index *i) {
  const Range *r = t->kind == TERM_REDUCE ? &t->index->range : NULL;
  if (r && ((r->lo && term_mentions_index(r->lo, i)) || (r->hi && term_mentions_index(r->hi, i)) ||
            (r->row && term_mentions_index(r->row, i))))
    return true;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (bounds_a_sum(t->args.at[k], i)) return true;
  return false;
}

/* Every chain is measured by its own f, the indices that name one being those of its plates: there are perhaps not as
 * many of them as there are values of these indices.  Where there are more, f is not taken at their places if more than
 * names depends on it, for what it reads ends with the index; nor can it be what says how many copies a chain has. */
static void find_own(Twin *w, Term *f) {
  IndexVec read = free_indices(w->m->arena, in_own_plates(w, f, false));
  for (uint32_t k = 0; k < w->c->plates.n; k++) {
    const Term *arg = w->named->args.at[k];
    Index *plate = w->c->plates.at[k];
    if (k == w->step || arg->kind != TERM_INDEX || is_mapped(&w->own, arg->index)) continue;
    bool apart = arg->index != plate && differ_in_size(&arg->index->range, &plate->range);
    if (apart && indices_hold(&read, arg->index) && !bounds_a_sum(f, arg->index)) continue;
    vec_push(w->m->arena, &w->own, ((IndexMap){arg->index, term_index(w->m->arena, plate, arg->span)}));
  }
}

/* A plate for every other free index of f; false: one that names a step, or is of no fixed range. */
static bool find_extra(Twin *w, const Term *f, bool own) {
  Arena *arena = w->m->arena;
  IndexVec free = free_indices(arena, f);
  for (uint32_t i = 0; i < free.n; i++) {
    Index *k = free.at[i];
    if (names_step(w->step, f, k)) return false;
    if (own ? is_mapped(&w->own, k) : names_chain(w->step, f, k)) continue;
    if (!range_is_of_sizes(&k->range)) return false;
    Index *plate = NEW(arena, Index);
    *plate = *k;
    plate->id = w->m->index_count++;
    plate->role = INDEX_PLATE;
    vec_push(arena, &w->extra, ((IndexMap){k, term_index(arena, plate, k->span)}));
  }
  return true;
}

static IndexVec plates_of_chains(const Twin *w) {
  IndexVec r = {0};
  for (uint32_t k = 0; k < w->c->plates.n; k++)
    if (k != w->step) vec_push(w->m->arena, &r, w->c->plates.at[k]);
  return r;
}

/* The plates of a part that is about several chains. */
static IndexVec plates_by_names(const Twin *w, const Term *f, const Term *part) {
  IndexVec free = free_indices(w->m->arena, part), r = {0};
  for (uint32_t k = 0; k < free.n; k++)
    if (names_chain(w->step, f, free.at[k])) vec_push(w->m->arena, &r, free.at[k]);
  return r;
}

static void weigh_by_parts(Twin *w, const Term *f, const TermVec *parts, bool own, Span asked) {
  for (uint32_t i = 0; i < parts->n; i++) {
    Term *part = parts->at[i];
    WeightKind kind = part->type == TYPE_BOOL ? WEIGHT_REQUIRE : WEIGHT_POTENTIAL;
    IndexVec plates = own ? plates_of_chains(w) : plates_by_names(w, f, part);
    Term *value = term_substitute(w->m, part, w->extra.at, w->extra.n);
    if (own) value = in_own_plates(w, term_substitute(w->m, value, w->own.at, w->own.n), true);
    add_weight(w, &(Weight){.kind = kind, .span = asked, .plates = plates, .value = value});
  }
}

/* ---- what is asked of it ------------------------------------------------------------------------------------- */

static Term *product_of_parts(Arena *arena, const TermVec *parts) {
  Term *f = term_to_real(arena, parts->at[0]);
  for (uint32_t i = 1; i < parts->n; i++) f = term_op2(arena, OP_MUL, f, term_to_real(arena, parts->at[i]), f->span);
  return f;
}

/* Of several chains a number would weigh one more than once; a condition may. */
static bool are_conditions(const TermVec *parts) {
  bool all = true;
  for (uint32_t i = 0; i < parts->n; i++) all &= parts->at[i]->type == TYPE_BOOL;
  return all;
}

bool twin_make(Twin *w, Plan *p, Model *m, Component *c, uint32_t step, const TermVec *parts, Span asked) {
  Term *f = product_of_parts(m->arena, parts);
  *w = (Twin){.p = p, .m = m, .c = c, .step = step, .named = term_find(f, TERM_EDGE)};
  if (!twin_all_edges_in(c, f) || !can_be_twin(p, c) || twin_edges_bound_sums(f)) return false;
  bool own = names_one_chain(w, f);
  if (own) find_own(w, f);
  if ((!own && !are_conditions(parts)) || !find_extra(w, own ? in_own_plates(w, f, false) : f, own)) return false;
  w->edge = NEW_ARRAY(m->arena, Edge *, c->edges.n);
  for (uint32_t i = 0; i < c->edges.n; i++) add_edge(w, i, asked);
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (weighs(c, p->model->weights.at[i])) add_weight(w, p->model->weights.at[i]);
  w->first = m->weights.n;
  weigh_by_parts(w, f, parts, own, asked);
  return true;
}

/* The twin's copy that stands for the copy of c. */
static Term *twin_ref(const Twin *w, const Term *ref) {
  Arena *arena = w->m->arena;
  TermVec args = {0};
  for (uint32_t k = 0; k < w->extra.n; k++) vec_push(arena, &args, term_index(arena, w->extra.at[k].from, ref->span));
  for (uint32_t k = 0; k < ref->args.n; k++) vec_push(arena, &args, ref->args.at[k]);
  return term_ref(arena, TERM_EDGE, w->edge[component_place(w->c, ref->edge)], &args, ref->span);
}

/* The copies that f names, their steps being of no matter. */
static Term *chain_ref(const Twin *w) {
  Arena *arena = w->m->arena;
  TermVec args = {0};
  for (uint32_t k = 0; k < w->named->args.n; k++)
    vec_push(arena, &args, k == w->step ? term_none(arena, w->named->span) : w->named->args.at[k]);
  return term_ref(arena, TERM_EDGE, (Edge *)w->named->edge, &args, w->named->span);
}

Term *twin_share(const Twin *w) {
  Arena *arena = w->m->arena;
  Term *ref = chain_ref(w);
  TermVec args = {0};
  vec_push(arena, &args, twin_ref(w, ref));
  vec_push(arena, &args, ref);
  vec_push(arena, &args, term_int(arena, w->first, w->named->span));
  return term_query(arena, QUERY_SHARE, TYPE_REAL, &args, w->named->span);
}

bool twin_is_of_same_chain(const Twin *w, const Term *t) {
  bool here = t->kind == TERM_EDGE && component_place(w->c, t->edge) >= 0;
  for (uint32_t k = 0; here && k < w->c->plates.n; k++)
    if (k != w->step && !term_equal(t->args.at[k], w->named->args.at[k])) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!twin_is_of_same_chain(w, t->args.at[i])) return false;
  return true;
}

Term *twin_of_term(const Twin *w, Term *t) {
  if (!(t->mentions & MENTIONS_EDGE)) return t;
  Arena *arena = w->m->arena;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(arena, &r->args, twin_of_term(w, t->args.at[i]));
  term_finish(r);
  return t->kind == TERM_EDGE && component_place(w->c, t->edge) >= 0 ? twin_ref(w, r) : r;
}
