/* check_ref: names and indexed names.
 *
 * The one subtle rule is which copy of an edge is meant: r indices name its last r plates, the plates
 * before are those this place stands in.  "Stands in" is identity of the Index objects of the enclosing
 * `for`s, so a second loop over the same range is another place. */
#include "model/checker.h"

#include <math.h>

uint32_t shared_plates(const Checker *c, const IndexVec *of) {
  uint32_t n = 0;
  while (n < of->n && n < c->plates.n && of->at[n] == c->plates.at[n]) n++;
  return n;
}

/* Edges of the enclosing plates may stand deeper than all of c->plates: only a common prefix counts. */
bool index_terms(Checker *c, const ExprVec *args, TermVec *to) {
  bool good = true;
  for (uint32_t i = 0; i < args->n; i++) {
    Term *t = scalar_int(c, args->at[i], "an index");
    good &= t != NULL;
    if (t) vec_push(c->arena, to, t);
  }
  return good;
}

static void plate_indices(Checker *c, const IndexVec *plates, uint32_t n, TermVec *to, Span span) {
  for (uint32_t i = 0; i < n; i++) vec_push(c->arena, to, term_index(c->arena, plates->at[i], span));
}

/* "[b, i]" of index names. */
static const char *index_list(Checker *c, const IndexVec *v, const char *last) {
  const char *s = "[";
  for (uint32_t i = 0; i < v->n; i++)
    s = arena_printf(c->arena, "%s%s%s", s, i ? ", " : "", name_text(c, v->at[i]->name));
  if (last) s = arena_printf(c->arena, "%s%s%s", s, v->n ? ", " : "", last);
  return arena_printf(c->arena, "%s]", s);
}

static Value *wrong_edge_rank(Checker *c, const Edge *e, uint32_t given, Span span) {
  const char *name = name_text(c, e->name);
  const char *all = index_list(c, &e->plates, edge_is_structured(e) ? "node" : NULL);
  Diag *d;
  if (!edge_rank(e)) {
    d = diag_error(c->diags, span, "edge '%s' stands in no plate: it has no indices; %u given", name, given);
  } else if (given > edge_rank(e)) {
    d = diag_error(c->diags, span, "edge '%s' has one copy for each %s; %u indices given", name, all, given);
  } else {
    d = diag_error(c->diags, span, "edge '%s' has one copy for each %s; which one is meant here?", name, all);
    diag_hint(c->diags, d, "outside its plates write '%s%s' with every index%s", name, all,
              edge_is_structured(e) ? "; the last is the node" : "");
  }
  diag_note(c->diags, d, e->span, "declared here");
  return &c->poison;
}

static void push_extents(Checker *c, const IndexVec *of, TermVec *dims, TermVec *origins) {
  for (uint32_t i = 0; i < of->n; i++) {
    vec_push(c->arena, dims, range_extent(c, &of->at[i]->range));
    vec_push(c->arena, origins, range_origin(c, &of->at[i]->range));
  }
}

static Value *edge_ref(Checker *c, Edge *e, const TermVec *given, Span span) {
  uint32_t rank = edge_rank(e), open = rank - given->n;
  if (given->n > rank || open > e->plates.n || open > shared_plates(c, &e->plates))
    return wrong_edge_rank(c, e, given->n, span);
  TermVec all = {0}, dims = {0}, origins = {0};
  plate_indices(c, &e->plates, open, &all, span);
  for (uint32_t i = 0; i < given->n; i++) vec_push(c->arena, &all, given->at[i]);
  push_extents(c, &e->plates, &dims, &origins);
  if (!indices_begin(c, &all, &origins)) return &c->poison;
  return value_term(c, term_ref(c->arena, TERM_EDGE, e, &all, span));
}

static Value *too_many(Checker *c, Name name, const Entity *e, const Value *whole, uint32_t given, Span span) {
  Diag *d;
  if (whole->rank)
    d = diag_error(c->diags, span, "'%s' has shape %s; %u indices given", name_text(c, name.sym),
                   value_shape_text(c, whole), given);
  else
    d = diag_error(c->diags, span, "'%s' is a scalar (%s); it takes no index", name_text(c, name.sym), entity_words(e));
  diag_note(c->diags, d, e->span, "declared here");
  return &c->poison;
}

/* Elements of an array whose copies of the enclosing plates come first: latents and let arrays. */
static Value *plated(Checker *c, const Entity *e, TermKind kind, void *what, const IndexVec *plates,
                     const IndexVec *own, const IndexVec *axes, const TermVec *given, Name name, Span span) {
  TermVec all = {0}, dims = {0}, origins = {0};
  bool inside = shared_plates(c, plates) == plates->n;
  if (inside) plate_indices(c, plates, plates->n, &all, span);
  uint32_t implied = all.n;
  push_extents(c, plates, &dims, &origins);
  push_extents(c, own, &dims, &origins);
  push_extents(c, axes, &dims, &origins);
  for (uint32_t i = 0; i < given->n; i++) vec_push(c->arena, &all, given->at[i]);
  Value whole = {.kind = VALUE_ELEMENT, .rank = dims.n - implied, .dims = dims.n ? dims.at + implied : NULL};
  if (all.n > dims.n) return too_many(c, name, e, &whole, given->n, span);
  if (!inside && given->n < plates->n) {
    Diag *d = diag_error(c->diags, span, "'%s' is declared inside plates %s; outside, their indices come first",
                         name_text(c, name.sym), index_list(c, plates, NULL));
    diag_note(c->diags, d, e->span, "declared here");
    return &c->poison;
  }
  return value_element(c, kind, what, &all, &dims, &origins, span);
}

/* A literal index beyond a literal dimension. */
static bool within(Checker *c, const TermVec *given, const TermVec *dims, const Entity *e) {
  for (uint32_t i = 0; i < given->n; i++) {
    const Term *at = given->at[i], *dim = dims->at[i];
    if (at->kind != TERM_INT || dim->kind != TERM_INT || at->integer < dim->integer) continue;
    Diag *d = diag_error(c->diags, at->span, "index %lld is out of bounds: dimension %u of '%s' is %lld",
                         (long long)at->integer, i + 1, name_text(c, e->name), (long long)dim->integer);
    diag_note(c->diags, d, e->span, "declared here");
    return false;
  }
  return true;
}

static Value *input_ref(Checker *c, const Entity *e, const TermVec *given, Name name, Span span) {
  Input *in = e->input;
  c->input_used.at[in->id] = true;
  if (in->elem == ELEM_GRAPH) {
    Diag *d = diag_error(c->diags, span, "'%s' is a graph: '%s[i]' stands only as a domain, 'in %s[i]'",
                         name_text(c, name.sym), name_text(c, name.sym), name_text(c, name.sym));
    diag_note(c->diags, d, e->span, "declared here");
    return &c->poison;
  }
  Value whole = {.kind = VALUE_ELEMENT, .rank = in->dims.n, .dims = in->dims.at};
  if (given->n > in->dims.n) return too_many(c, name, e, &whole, given->n, span);
  if (!within(c, given, &in->dims, e)) return &c->poison;
  return value_element(c, TERM_INPUT, in, given, &in->dims, NULL, span);
}

static Value *scalar_ref(Checker *c, const Entity *e, Term *t, const TermVec *given, Name name, Span span) {
  Value whole = {.kind = VALUE_TERM, .term = t};
  return given->n ? too_many(c, name, e, &whole, given->n, span) : value_term(c, t);
}

static Value *abbreviation(Checker *c, const Entity *e, const TermVec *given, Name name, Span span) {
  Value *v = e->value;
  if (is_poison(v) || !given->n) return v;
  if (given->n > v->rank) return too_many(c, name, e, v, given->n, span);
  return value_index(c, v, given, span);
}

static Value *element(Checker *c, const Entity *e, const TermVec *given, Name name, Span span) {
  switch (e->kind) {
    case ENTITY_POISON: return &c->poison;
    case ENTITY_SIZE: return scalar_ref(c, e, term_size(c->arena, e->size, span), given, name, span);
    case ENTITY_INDEX: return scalar_ref(c, e, term_index(c->arena, e->index, span), given, name, span);
    case ENTITY_INPUT: return input_ref(c, e, given, name, span);
    case ENTITY_ABBREVIATION: return abbreviation(c, e, given, name, span);
    case ENTITY_EDGE: return edge_ref(c, e->edge, given, span);
    case ENTITY_LATENT:
      return plated(c, e, TERM_LATENT, e->latent, &e->latent->plates, &e->latent->own, &e->latent->axes, given, name,
                    span);
    case ENTITY_LET:
      return plated(c, e, TERM_LET, e->let, &e->let->plates, &e->let->own, &e->let->axes, given, name, span);
  }
  return &c->poison;
}

static Value *reserved(Checker *c, const char *word, Span span) {
  if (!strcmp(word, "pi")) return value_term(c, term_real(c->arena, 3.14159265358979323846, span));
  if (!strcmp(word, "inf")) return value_term(c, term_real(c->arena, INFINITY, span));
  if (!strcmp(word, "logZ")) return value_term(c, term_query(c->arena, QUERY_LOGZ, TYPE_REAL, NULL, span));
  if (!strcmp(word, "elbo")) return value_term(c, term_query(c->arena, QUERY_ELBO, TYPE_REAL, NULL, span));
  return NULL;
}

Value *elab_name(Checker *c, Name name, Span span) {
  Value *v = reserved(c, name_text(c, name.sym), span);
  if (v) return v;
  Entity *e = lookup_name(c, name, "an input, an index, an edge, a latent or a let");
  TermVec none = {0};
  return e ? element(c, e, &none, name, span) : &c->poison;
}

Value *elab_element(Checker *c, const Expr *e) {
  const Expr *base = e->index.base;
  TermVec at = {0};
  if (base->kind != EXPR_NAME || reserved(c, name_text(c, base->name), base->span)) {
    Value *v = elab(c, base);
    bool good = index_terms(c, &e->index.args, &at);
    return good && !is_poison(v) ? value_index(c, v, &at, e->span) : &c->poison;
  }
  Name name = {base->name, base->span};
  Entity *entity = lookup_name(c, name, "an input, an edge, a latent or a let");
  bool good = index_terms(c, &e->index.args, &at);
  return entity && good ? element(c, entity, &at, name, e->span) : &c->poison;
}
