/* check_whole: queries about whole components.
 *
 * Evidence that stands in plates is of the components that lie wholly in the enclosing copies: one that a weight, or a
 * support, joins to a copy outside has none.  The entropy of all copies of an edge is that of whole components, so
 * that every edge of these is named. */
#include "model/checker.h"

/* ---- evidence in plates --------------------------------------------------------------------------- */

/* What one statement joins. */
typedef struct Statement { Checker *c; Span span; VEC(const Term *) refs; } Statement;

static void note_ref(const Term *t, void *context) {
  Statement *s = context;
  if (t->kind == TERM_EDGE) vec_push(s->c->arena, &s->refs, t);
}

static void note_refs(Statement *s, const Term *t) {
  if (t) term_walk(t, note_ref, s);
}

static void note_own_copy(Statement *s, const Edge *e) {
  TermVec at = {0};
  for (uint32_t i = 0; i < e->plates.n; i++)
    vec_push(s->c->arena, &at, term_index(s->c->arena, e->plates.at[i], e->span));
  vec_push(s->c->arena, &s->refs, term_ref(s->c->arena, TERM_EDGE, (Edge *)e, &at, e->span));
}

static Statement support_of(Checker *c, const Edge *e) {
  Statement s = {.c = c, .span = e->span};
  note_own_copy(&s, e);
  note_refs(&s, e->range.lo);
  note_refs(&s, e->range.hi);
  note_refs(&s, e->range.row);
  note_refs(&s, e->where);
  return s;
}

static Statement weight_of(Checker *c, const Weight *w) {
  Statement s = {.c = c, .span = w->span};
  note_refs(&s, w->value);
  note_refs(&s, w->left);
  note_refs(&s, w->edge_ref);
  for (uint32_t i = 0; i < w->params.n; i++) note_refs(&s, w->params.at[i]);
  return s;
}

static const Term *argument_at(const Term *ref, const Index *plate) {
  for (uint32_t i = 0; i < ref->edge->plates.n; i++)
    if (ref->edge->plates.at[i] == plate) return ref->args.at[i];
  return NULL;
}

static bool is_summed(const Term *t) {
  if (t->kind == TERM_INDEX) return t->index->role == INDEX_REDUCE;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_summed(t->args.at[i])) return true;
  return false;
}

static bool stands_in(const Term *ref, const IndexVec *plates) {
  for (uint32_t i = 0; i < plates->n; i++)
    if (!argument_at(ref, plates->at[i])) return false;
  return true;
}

/* A reference to a copy outside the enclosing one that holds `first`; NULL: the statement joins no such. */
static const Term *find_outside(const Statement *s, const IndexVec *plates, const Term *first) {
  for (uint32_t k = 0; k < s->refs.n; k++) {
    const Term *ref = s->refs.at[k];
    if (!stands_in(ref, plates)) return ref;
    for (uint32_t i = 0; i < plates->n; i++) {
      const Term *at = argument_at(ref, plates->at[i]);
      if (is_summed(at) || !term_equal(at, argument_at(first, plates->at[i]))) return ref;
    }
  }
  return NULL;
}

static bool keeps_inside(Checker *c, const Statement *s, const IndexVec *plates, Span evidence) {
  const Term *first = NULL, *outside = NULL;
  for (uint32_t k = 0; !first && k < s->refs.n; k++)
    if (stands_in(s->refs.at[k], plates)) first = s->refs.at[k];
  if (first) outside = find_outside(s, plates, first);
  if (!outside) return true;
  Diag *d = diag_error(c->diags, evidence,
                       "this evidence is of the plates it stands in, but copies of '%s' outside them are joined to "
                       "copies inside", name_text(c, outside->edge->name));
  diag_note(c->diags, d, s->span, "joined here");
  diag_hint(c->diags, d, "outside all plates 'logZ' and 'elbo' are of the whole model");
  return false;
}

static void check_evidence(Checker *c, const IndexVec *plates, Span evidence) {
  for (uint32_t i = 0; i < c->model->edges.n; i++) {
    Statement s = support_of(c, c->model->edges.at[i]);
    if (!keeps_inside(c, &s, plates, evidence)) return;
  }
  for (uint32_t i = 0; i < c->model->weights.n; i++) {
    Statement s = weight_of(c, c->model->weights.at[i]);
    if (!keeps_inside(c, &s, plates, evidence)) return;
  }
}

/* ---- the entropy of all copies -------------------------------------------------------------------- */

typedef struct Asked { Checker *c; const IndexVec *plates; const Edge **leader; } Asked;

static bool names(const Term *query, const Edge *e) {
  for (uint32_t i = 0; i < query->copies.n; i++)
    if (query->copies.at[i].edge == e) return true;
  return false;
}

static bool check_named(const Asked *a, const Term *query, const CopySet *s) {
  Checker *c = a->c;
  for (uint32_t i = 0; i < c->model->edges.n; i++) {
    const Edge *e = c->model->edges.at[i];
    if (a->leader[e->id] != a->leader[s->edge->id] || names(query, e)) continue;
    Diag *d = diag_error(c->diags, query->span,
                         "the entropy of all copies of '%s' is that of whole components: '%s', which is joined to "
                         "it, must be named too", name_text(c, s->edge->name), name_text(c, e->name));
    diag_note(c->diags, d, e->span, "'%s' is declared here", name_text(c, e->name));
    return false;
  }
  return true;
}

static void check_query(const Term *t, void *context) {
  const Asked *a = context;
  if (t->kind != TERM_QUERY) return;
  if ((t->query == QUERY_LOGZ || t->query == QUERY_ELBO) && a->plates->n) check_evidence(a->c, a->plates, t->span);
  if (t->query != QUERY_ENTROPY) return;
  bool good = true;
  for (uint32_t i = 0; good && i < t->copies.n; i++)
    if (t->copies.at[i].fixed.n < t->copies.at[i].edge->plates.n) good = check_named(a, t, &t->copies.at[i]);
}

void check_whole(Checker *c, const Edge **leader) {
  const Model *m = c->model;
  for (uint32_t i = 0; i < m->outs.n; i++)
    term_walk(m->outs.at[i]->value, check_query, &(Asked){c, &m->outs.at[i]->plates, leader});
  for (uint32_t i = 0; i < m->lets.n; i++)
    if (m->lets.at[i]->has_query)
      term_walk(m->lets.at[i]->value, check_query, &(Asked){c, &m->lets.at[i]->plates, leader});
}
