/* term_walk: substitution in terms, their comparison, and what they mention. */
#include "model/term.h"

/* ---- substitution ------------------------------------------------------------------------------- */

/* A chain of maps: those of bound indices made on the way down are in front of the caller's. */
typedef struct Subst { const IndexMap *map; uint32_t n; const struct Subst *outer; } Subst;

static Term *mapped(const Subst *s, const Index *i) {
  for (; s; s = s->outer)
    for (uint32_t k = 0; k < s->n; k++)
      if (s->map[k].from == i) return s->map[k].to;
  return NULL;
}

static Term *subst(Model *m, Term *t, const Subst *s);

static bool subst_vec(Model *m, const TermVec *from, TermVec *to, const Subst *s) {
  bool changed = false;
  for (uint32_t i = 0; i < from->n; i++) {
    Term *x = subst(m, from->at[i], s);
    changed |= x != from->at[i];
    vec_push(m->arena, to, x);
  }
  return changed;
}

static bool subst_range(Model *m, Range *r, const Subst *s) {
  Range old = *r;
  if (r->lo) r->lo = subst(m, r->lo, s);
  if (r->hi) r->hi = subst(m, r->hi, s);
  if (r->row) r->row = subst(m, r->row, s);
  return r->lo != old.lo || r->hi != old.hi || r->row != old.row;
}

static Term *subst_reduce(Model *m, Term *t, const Subst *s) {
  Range range = t->index->range;
  if (!subst_range(m, &range, s)) {
    Term *body = subst(m, t->args.at[0], s);
    return body == t->args.at[0] ? t : term_reduce(m->arena, t->reduce, t->index, body, t->span);
  }
  Index *fresh = NEW(m->arena, Index);
  *fresh = *t->index;
  fresh->id = m->index_count++;
  fresh->range = range;
  IndexMap own = {t->index, term_index(m->arena, fresh, t->index->span)};
  Subst inner = {&own, 1, s};
  return term_reduce(m->arena, t->reduce, fresh, subst(m, t->args.at[0], &inner), t->span);
}

static Term *subst_parts(Model *m, Term *t, const Subst *s) {
  Term fresh = *t;
  memset(&fresh.args, 0, sizeof fresh.args);
  memset(&fresh.copies, 0, sizeof fresh.copies);
  bool changed = subst_vec(m, &t->args, &fresh.args, s);
  for (uint32_t i = 0; i < t->copies.n; i++) {
    CopySet c = {.edge = t->copies.at[i].edge, .span = t->copies.at[i].span};
    changed |= subst_vec(m, &t->copies.at[i].fixed, &c.fixed, s);
    vec_push(m->arena, &fresh.copies, c);
  }
  if (!changed) return t;
  Term *copy = NEW(m->arena, Term);
  *copy = fresh;
  return term_finish(copy);
}

static Term *subst(Model *m, Term *t, const Subst *s) {
  if (!(t->mentions & MENTIONS_INDEX)) return t;
  if (t->kind == TERM_REDUCE) return subst_reduce(m, t, s);
  if (t->kind != TERM_INDEX) return subst_parts(m, t, s);
  Term *to = mapped(s, t->index);
  return to ? to : t;
}

Term *term_substitute(Model *m, Term *t, const IndexMap *map, uint32_t n) {
  Subst s = {map, n, NULL};
  return n ? subst(m, t, &s) : t;
}

/* ---- comparison --------------------------------------------------------------------------------- */

typedef struct Pairing { const Index *a, *b; const struct Pairing *outer; } Pairing;

static bool same_index(const Index *a, const Index *b, const Pairing *p) {
  for (; p; p = p->outer)
    if (p->a == a || p->b == b) return p->a == a && p->b == b;
  return a == b;
}

static bool equal(const Term *a, const Term *b, const Pairing *p);

static bool equal_or_null(const Term *a, const Term *b, const Pairing *p) { return a && b ? equal(a, b, p) : a == b; }

static bool equal_vec(const TermVec *a, const TermVec *b, const Pairing *p) {
  if (a->n != b->n) return false;
  for (uint32_t i = 0; i < a->n; i++)
    if (!equal(a->at[i], b->at[i], p)) return false;
  return true;
}

static bool equal_copies(const Term *a, const Term *b, const Pairing *p) {
  if (a->copies.n != b->copies.n) return false;
  for (uint32_t i = 0; i < a->copies.n; i++)
    if (a->copies.at[i].edge != b->copies.at[i].edge || !equal_vec(&a->copies.at[i].fixed, &b->copies.at[i].fixed, p))
      return false;
  return true;
}

static bool equal_reduce(const Term *a, const Term *b, const Pairing *p) {
  const Range *x = &a->index->range, *y = &b->index->range;
  if (a->reduce != b->reduce || x->kind != y->kind || x->graph != y->graph) return false;
  if (!equal_or_null(x->lo, y->lo, p) || !equal_or_null(x->hi, y->hi, p) || !equal_or_null(x->row, y->row, p))
    return false;
  Pairing inner = {a->index, b->index, p};
  return equal(a->args.at[0], b->args.at[0], &inner);
}

/* What distinguishes two terms of one kind apart from their parts. */
static bool equal_head(const Term *a, const Term *b, const Pairing *p) {
  switch (a->kind) {
    case TERM_INT: return a->integer == b->integer;
    case TERM_REAL: return a->real == b->real || (a->real != a->real && b->real != b->real);
    case TERM_BOOL: return a->truth == b->truth;
    case TERM_NONE: case TERM_IF: return true;
    case TERM_SIZE: return a->size == b->size;
    case TERM_INDEX: return same_index(a->index, b->index, p);
    case TERM_INPUT: return a->input == b->input && a->wide == b->wide;
    case TERM_LET: return a->let == b->let;
    case TERM_EDGE: return a->edge == b->edge;
    case TERM_LATENT:
      return a->latent == b->latent && a->moment == b->moment && a->fresh == b->fresh && a->wide == b->wide;
    case TERM_OP: return a->op == b->op;
    case TERM_REDUCE: return true;
    case TERM_QUERY: return a->query == b->query && equal_copies(a, b, p);
  }
  return false;
}

static bool equal(const Term *a, const Term *b, const Pairing *p) {
  if (a == b && !p) return true;
  if (a->kind != b->kind || a->type != b->type || a->nodes != b->nodes || !equal_head(a, b, p)) return false;
  return a->kind == TERM_REDUCE ? equal_reduce(a, b, p) : equal_vec(&a->args, &b->args, p);
}

bool term_equal(const Term *a, const Term *b) { return equal(a, b, NULL); }

/* ---- search ------------------------------------------------------------------------------------- */

typedef bool Pred(const Term *t, const void *what);

static const Term *find(const Term *t, Pred *pred, const void *what);

static const Term *find_range(const Range *r, Pred *pred, const void *what) {
  const Term *f = r->lo ? find(r->lo, pred, what) : NULL;
  if (!f && r->hi) f = find(r->hi, pred, what);
  if (!f && r->row) f = find(r->row, pred, what);
  return f;
}

static const Term *find_vec(const TermVec *v, Pred *pred, const void *what) {
  const Term *f = NULL;
  for (uint32_t i = 0; !f && i < v->n; i++) f = find(v->at[i], pred, what);
  return f;
}

static const Term *find(const Term *t, Pred *pred, const void *what) {
  if (pred(t, what)) return t;
  const Term *f = t->kind == TERM_REDUCE ? find_range(&t->index->range, pred, what) : NULL;
  if (!f) f = find_vec(&t->args, pred, what);
  for (uint32_t i = 0; !f && i < t->copies.n; i++) f = find_vec(&t->copies.at[i].fixed, pred, what);
  return f;
}

static bool is_edge(const Term *t, const void *e) {
  if (t->kind == TERM_EDGE) return !e || t->edge == e;
  for (uint32_t i = 0; i < t->copies.n; i++)
    if (!e || t->copies.at[i].edge == e) return true;
  return false;
}
static bool is_latent(const Term *t, const void *z) { return t->kind == TERM_LATENT && (!z || t->latent == z); }
static bool is_index(const Term *t, const void *i) { return t->kind == TERM_INDEX && t->index == i; }
static bool is_kind(const Term *t, const void *k) { return t->kind == *(const TermKind *)k; }

bool term_is_of_sizes(const Term *t) {
  if (t->kind == TERM_INT || t->kind == TERM_REAL || t->kind == TERM_BOOL || t->kind == TERM_SIZE) return true;
  if (t->kind != TERM_OP && t->kind != TERM_IF) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!term_is_of_sizes(t->args.at[i])) return false;
  return true;
}

bool range_is_of_sizes(const Range *r) {
  return r->kind == RANGE_INTERVAL && term_is_of_sizes(r->lo) && term_is_of_sizes(r->hi);
}

bool term_mentions_edge(const Term *t, const Edge *e) {
  return (t->mentions & MENTIONS_EDGE) && (!e || find(t, is_edge, e));
}
bool term_mentions_latent(const Term *t, const Latent *z) {
  return (t->mentions & MENTIONS_LATENT) && (!z || find(t, is_latent, z));
}
bool term_mentions_index(const Term *t, const Index *i) {
  return (t->mentions & MENTIONS_INDEX) && find(t, is_index, i);
}
bool term_mentions_beside_edges(const Term *t, const Index *i) {
  if (t->kind == TERM_EDGE || !(t->mentions & MENTIONS_INDEX)) return false;
  if (t->kind == TERM_INDEX) return t->index == i;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (term_mentions_beside_edges(t->args.at[k], i)) return true;
  return false;
}
bool range_mentions_index(const Range *r, const Index *i) {
  return (r->lo && term_mentions_index(r->lo, i)) || (r->hi && term_mentions_index(r->hi, i)) ||
         (r->row && term_mentions_index(r->row, i));
}
bool term_mentions_query(const Term *t) { return t->mentions & MENTIONS_QUERY; }
const Term *term_find(const Term *t, TermKind kind) { return find(t, is_kind, &kind); }

/* ---- existence ---------------------------------------------------------------------------------- */

Term *term_existence(Arena *a, Term *ref) { return term_to_real(a, term_op2(a, OP_EQ, ref, ref, ref->span)); }

const Term *term_of_existence(const Term *t) {
  if (t->kind != TERM_OP) return NULL;
  if (t->op == OP_TO_REAL) return term_of_existence(t->args.at[0]);
  bool same = t->op == OP_EQ && t->args.at[0]->kind == TERM_EDGE && term_equal(t->args.at[0], t->args.at[1]);
  return same ? t->args.at[0] : NULL;
}

static void walk_vec(const TermVec *v, void (*visit)(const Term *, void *), void *context) {
  for (uint32_t i = 0; i < v->n; i++) term_walk(v->at[i], visit, context);
}

void term_walk(const Term *t, void (*visit)(const Term *, void *), void *context) {
  visit(t, context);
  if (t->kind == TERM_REDUCE) {
    const Range *r = &t->index->range;
    if (r->lo) term_walk(r->lo, visit, context);
    if (r->hi) term_walk(r->hi, visit, context);
    if (r->row) term_walk(r->row, visit, context);
  }
  walk_vec(&t->args, visit, context);
  for (uint32_t i = 0; i < t->copies.n; i++) walk_vec(&t->copies.at[i].fixed, visit, context);
}
