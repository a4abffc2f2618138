/* check_inner: a query inside the bracket of another.
 *
 * A query is a number: no value that the bracket around it gives an edge, or a latent, is seen in it, so that
 * E[sq(v[phi] - E[v[phi]])] is a variance.  It is taken out, into a derived array over the indices it uses. */
#include "model/checker.h"

typedef struct Inner { Checker *c; const IndexVec *plates; } Inner;

/* ---- the indices of a query ----------------------------------------------------------------------- */

typedef struct Bound { const Index *index; const struct Bound *outer; } Bound;

static void add_free(Checker *c, const Term *t, const Bound *bound, IndexVec *free);

static void add_free_of_range(Checker *c, const Range *r, const Bound *bound, IndexVec *free) {
  if (r->lo) add_free(c, r->lo, bound, free);
  if (r->hi) add_free(c, r->hi, bound, free);
  if (r->row) add_free(c, r->row, bound, free);
}

/* An index stands behind those that its range uses. */
static void add_index(Checker *c, Index *i, const Bound *bound, IndexVec *free) {
  for (; bound; bound = bound->outer)
    if (bound->index == i) return;
  if (indices_hold(free, i)) return;
  add_free_of_range(c, &i->range, NULL, free);
  vec_push(c->arena, free, i);
}

static void add_free(Checker *c, const Term *t, const Bound *bound, IndexVec *free) {
  Bound own = {t->kind == TERM_REDUCE ? t->index : NULL, bound};
  if (t->kind == TERM_INDEX) add_index(c, t->index, bound, free);
  if (t->kind == TERM_REDUCE) add_free_of_range(c, &t->index->range, bound, free);
  for (uint32_t i = 0; i < t->args.n; i++) add_free(c, t->args.at[i], own.index ? &own : bound, free);
  for (uint32_t i = 0; i < t->copies.n; i++)
    for (uint32_t k = 0; k < t->copies.at[i].fixed.n; k++) add_free(c, t->copies.at[i].fixed.at[k], bound, free);
}

/* logZ and elbo are about the plates they stand in, whether or not they name an index of them. */
static void note_place(const Term *t, void *context) {
  if (t->kind == TERM_QUERY && (t->query == QUERY_LOGZ || t->query == QUERY_ELBO)) *(bool *)context = true;
}

static const Index *bounded_by_edge(const IndexVec *free) {
  for (uint32_t i = 0; i < free->n; i++) {
    const Range *r = &free->at[i]->range;
    const Term *parts[] = {r->lo, r->hi, r->row};
    for (int k = 0; k < 3; k++)
      if (parts[k] && term_mentions_edge(parts[k], NULL)) return free->at[i];
  }
  return NULL;
}

/* ---- out of the bracket --------------------------------------------------------------------------- */

/* One for equal queries. */
static Let *let_of(Checker *c, Term *q, const IndexVec *plates, const IndexVec *own) {
  for (uint32_t i = 0; i < c->model->lets.n; i++) {
    Let *l = c->model->lets.at[i];
    if (l->inner && term_equal(l->value, q) && indices_equal(&l->plates, plates) && indices_equal(&l->own, own))
      return l;
  }
  const char *name = arena_printf(c->arena, "%s.%u", query_name(q->query), c->model->lets.n);
  Let *l = NEW(c->arena, Let);
  *l = (Let){.id = c->model->lets.n, .name = intern_str(c->names, name), .span = q->span, .plates = *plates,
             .own = *own, .value = q, .has_query = true, .inner = true};
  vec_push(c->arena, &c->model->lets, l);
  return l;
}

static Term *apart(const Inner *in, Term *q) {
  Checker *c = in->c;
  IndexVec free = {0};
  add_free(c, q, NULL, &free);
  const Index *by_edge = bounded_by_edge(&free);
  if (by_edge) {
    Diag *d = diag_error(c->diags, q->span,
                         "a query inside a bracket is a number of its own; it cannot use '%s', whose range an edge "
                         "bounds",
                         name_text(c, by_edge->name));
    diag_note(c->diags, d, by_edge->range.span, "the range is here");
    return q;
  }
  bool placed = false;
  term_walk(q, note_place, &placed);
  IndexVec plates = {0}, own = {0};
  for (uint32_t i = 0; placed && i < in->plates->n; i++) vec_push(c->arena, &plates, in->plates->at[i]);
  for (uint32_t i = 0; i < free.n; i++)
    if (!indices_hold(&plates, free.at[i])) vec_push(c->arena, &own, free.at[i]);
  TermVec at = {0};
  for (uint32_t i = 0; i < plates.n; i++) vec_push(c->arena, &at, term_index(c->arena, plates.at[i], q->span));
  for (uint32_t i = 0; i < own.n; i++) vec_push(c->arena, &at, term_index(c->arena, own.at[i], q->span));
  return term_ref(c->arena, TERM_LET, let_of(c, q, &plates, &own), &at, q->span);
}

static Term *rewrite(const Inner *in, Term *t, bool inside) {
  if (!term_mentions_query(t)) return t;
  bool changed = false;
  Term fresh = *t;
  fresh.args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) {
    Term *part = rewrite(in, t->args.at[i], inside || t->kind == TERM_QUERY);
    changed |= part != t->args.at[i];
    vec_push(in->c->arena, &fresh.args, part);
  }
  Term *r = t;
  if (changed) {
    r = NEW(in->c->arena, Term);
    *r = fresh;
    term_finish(r);
  }
  return inside && t->kind == TERM_QUERY ? apart(in, r) : r;
}

Term *inner_queries_apart(Checker *c, Term *t, const IndexVec *plates) {
  return rewrite(&(Inner){c, plates}, t, false);
}
