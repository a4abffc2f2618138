/* site: see site.h.
 *
 * A kernel counts copies and elements from 0, whatever bounds their plates have.  Which reference the index stands in
 * is found by its place in the file; where several use it (the body of a def) and run over different bounds, the
 * kernel's numbers are told. */
#include "driver/site.h"

#include "model/term.h"

/* What the index names: one of `index`'s copies; index NULL: it counts from 0. */
typedef struct Named {
  const Index *index;
  Sym name;
  const char *one; /* "copy", "element" */
} Named;

typedef struct Search {
  Span at;
  Named named;
  bool found, several;
} Search;

static void take(Search *s, const Term *arg, Named n) {
  if (arg->span.lo != s->at.lo || arg->span.hi != s->at.hi) return;
  s->several = s->several || (s->found && s->named.index != n.index);
  s->named = n;
  s->found = true;
}

/* Indices number `from` and on run over these plates. */
static uint32_t take_plates(Search *s, const TermVec *args, uint32_t from, const IndexVec *plates, Named n) {
  for (uint32_t k = 0; k < plates->n && from < args->n; k++) {
    n.index = plates->at[k];
    take(s, args->at[from++], n);
  }
  return from;
}

static void take_rest(Search *s, const TermVec *args, uint32_t from, Named n) {
  n.index = NULL;
  for (; from < args->n; from++) take(s, args->at[from], n);
}

static void visit(const Term *t, void *context) {
  Search *s = context;
  const TermVec *args = &t->args;
  Named n = {.one = t->kind == TERM_EDGE || t->kind == TERM_QUERY ? "copy" : "element"};
  uint32_t from = 0;
  if (t->kind == TERM_INPUT) n.name = t->input->name;
  else if (t->kind == TERM_EDGE) {
    n.name = t->edge->name;
    from = take_plates(s, args, 0, &t->edge->plates, n);
  } else if (t->kind == TERM_LET) {
    n.name = t->let->name;
    from = take_plates(s, args, take_plates(s, args, 0, &t->let->plates, n), &t->let->own, n);
  } else if (t->kind == TERM_LATENT) {
    n.name = t->latent->name;
    from = take_plates(s, args, take_plates(s, args, 0, &t->latent->plates, n), &t->latent->own, n);
  } else if (t->kind == TERM_QUERY) {
    for (uint32_t k = 0; k < t->copies.n; k++) {
      n.name = t->copies.at[k].edge->name;
      take_plates(s, &t->copies.at[k].fixed, 0, &t->copies.at[k].edge->plates, n);
    }
    return;
  } else return;
  take_rest(s, args, from, n);
}

static void search(Search *s, const Term *t) {
  if (t) term_walk(t, visit, s);
}

static void search_range(Search *s, const Range *r) {
  search(s, r->lo);
  search(s, r->hi);
  search(s, r->row);
}

static void search_terms(Search *s, const TermVec *v) {
  for (uint32_t k = 0; k < v->n; k++) search(s, v->at[k]);
}

static void search_indices(Search *s, const IndexVec *v) {
  for (uint32_t k = 0; k < v->n; k++) search_range(s, &v->at[k]->range);
}

static void search_model(Search *s, const Model *m) {
  for (uint32_t k = 0; k < m->inputs.n; k++) search(s, m->inputs.at[k]->init);
  for (uint32_t k = 0; k < m->lets.n; k++) {
    search(s, m->lets.at[k]->value);
    search_indices(s, &m->lets.at[k]->plates);
    search_indices(s, &m->lets.at[k]->own);
  }
  for (uint32_t k = 0; k < m->edges.n; k++) {
    search_range(s, &m->edges.at[k]->range);
    search(s, m->edges.at[k]->where);
    search(s, m->edges.at[k]->m);
    search(s, m->edges.at[k]->n);
    search_indices(s, &m->edges.at[k]->plates);
  }
  for (uint32_t k = 0; k < m->weights.n; k++) {
    search(s, m->weights.at[k]->value);
    search(s, m->weights.at[k]->left);
    search_terms(s, &m->weights.at[k]->params);
    search_indices(s, &m->weights.at[k]->plates);
  }
  for (uint32_t k = 0; k < m->infers.n; k++)
    for (uint32_t i = 0; i < m->infers.at[k]->init.n; i++) search(s, m->infers.at[k]->init.at[i]);
  for (uint32_t k = 0; k < m->outs.n; k++) {
    search(s, m->outs.at[k]->value);
    search_indices(s, &m->outs.at[k]->plates);
    search_indices(s, &m->outs.at[k]->slots);
  }
}

/* ---- the message ------------------------------------------------------------------------------------------- */

static void tell_numbers(Diags *diags, Span at, int64_t place, int64_t limit, int64_t first) {
  if (limit <= 0)
    diag_error(diags, at, "index %lld is out of range: there is nothing to index here", (long long)(first + place));
  else
    diag_error(diags, at, "index %lld is out of range: it must be at least %lld and less than %lld",
               (long long)(first + place), (long long)first, (long long)(first + limit));
}

/* Bounds that are a matter of data, or of other indices. */
static void tell_place(Diags *diags, const Model *m, Span at, int64_t place, int64_t limit, const Named *n) {
  const char *name = sym_text(m->names, n->name);
  if (limit <= 0) diag_error(diags, at, "there is no %s of '%s' here: its plate is empty", n->one, name);
  else if (place < 0)
    diag_error(diags, at, "there is no such %s of '%s': the index is %lld below the first of its plate", n->one, name,
               -(long long)place);
  else
    diag_error(diags, at, "there is no such %s of '%s': the index is %lld beyond the last of its plate", n->one, name,
               (long long)(place - limit + 1));
}

void site_report(Diags *diags, const Model *m, Span at, int64_t place, int64_t limit, const int64_t *sizes) {
  Search s = {.at = at};
  search_model(&s, m);
  const Range *r = s.found && !s.several && s.named.index ? &s.named.index->range : NULL;
  int64_t first = 0;
  if (!r) tell_numbers(diags, at, place, limit, 0);
  else if (r->kind == RANGE_ROW)
    diag_error(diags, at, "there is no such %s of '%s': the index is not in the row of '%s'", s.named.one,
               sym_text(m->names, s.named.name), sym_text(m->names, r->graph->name));
  else if (term_eval_size(r->lo, sizes, &first)) tell_numbers(diags, at, place, limit, first);
  else tell_place(diags, m, at, place, limit, &s.named);
}
