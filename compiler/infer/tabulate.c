/* tabulate: sums in an expectation that follow from an edge's value and from components of vectors alone.
 *
 *   E[sum_d w[phi, d, f] w[phi, d, f']] = E[t[phi, f, f']],  t[j, f, f'] = sum_d w[j, d, f] w[j, d, f']
 *
 * t is the same for all copies, and for every step of inference: a derived array, stored where evaluating it in place
 * would repeat work (element.c). */
#include "algebra/algebra.h"
#include "base/intern.h"
#include "infer/eval.h"
#include "infer/tabulate.h"
#include "model/term.h"

typedef struct Bound {
  const Index *index;
  const struct Bound *outer;
} Bound;

/* What a bracket is made of: one edge, and components.  other: of more. */
typedef struct Parts {
  Arena *arena;
  Term *ref;
  IndexVec components;
  bool other;
} Parts;

static void find_index(Parts *p, Index *i, const Bound *bound) {
  for (; bound; bound = bound->outer)
    if (bound->index == i) return;
  p->other |= i->role != INDEX_AXIS || !has_fixed_bounds(i);
  if (!indices_hold(&p->components, i)) vec_push(p->arena, &p->components, i);
}

static void find_parts(Parts *p, Term *t, const Bound *bound) {
  if (t->kind == TERM_EDGE) {
    p->other |= p->ref && !term_equal(p->ref, t);
    p->ref = t;
    return;
  }
  Bound own = {t->index, bound};
  if (t->kind == TERM_INDEX) find_index(p, t->index, bound);
  if (t->kind == TERM_REDUCE) p->other |= !has_fixed_bounds(t->index);
  p->other |= t->kind == TERM_LATENT || t->kind == TERM_QUERY || t->kind == TERM_LET;
  for (uint32_t i = 0; i < t->args.n; i++) find_parts(p, t->args.at[i], t->kind == TERM_REDUCE ? &own : bound);
}

static bool is_over_range(const Edge *e) {
  return e->domain == DOMAIN_RANGE && e->range.kind == RANGE_INTERVAL && term_is_of_sizes(e->range.lo) &&
         term_is_of_sizes(e->range.hi);
}

static Index *value_of(const Model *m, const Edge *e) {
  Index *j = NEW(m->arena, Index);
  uint32_t id = ((Model *)m)->index_count++;
  *j = (Index){.id = id, .name = e->name, .span = e->span, .role = INDEX_LET, .range = e->range};
  return j;
}

/* Its id follows those that there are. */
static Let *derived_array(Derive *d, Let l) {
  Array **lets = NEW_ARRAY(d->arena, Array *, d->let_count + 1);
  memcpy(lets, d->lets, d->let_count * sizeof *lets);
  d->lets = lets;
  l.id = d->let_count++;
  l.name = intern_str(d->m->names, arena_printf(d->arena, "table.%u", l.id));
  Let *kept = NEW(d->arena, Let);
  *kept = l;
  return kept;
}

static Term *tabulated_bracket(Derive *d, Term *t) {
  Parts p = {.arena = d->arena};
  if (!contains_reduce(t)) return t;
  find_parts(&p, t, NULL);
  if (p.other || !p.ref || !is_over_range(p.ref->edge)) return t;
  Index *j = value_of(d->m, p.ref->edge);
  Let l = {.span = t->span, .value = replace_term(d->arena, t, p.ref, term_index(d->arena, j, t->span)), .wide = true};
  TermVec at = {0};
  vec_push(d->arena, &l.own, j);
  vec_push(d->arena, &at, p.ref);
  for (uint32_t i = 0; i < p.components.n; i++) {
    vec_push(d->arena, &l.own, p.components.at[i]);
    vec_push(d->arena, &at, term_index(d->arena, p.components.at[i], t->span));
  }
  return term_ref(d->arena, TERM_LET, derived_array(d, l), &at, t->span);
}

Term *tabulated(Derive *d, Term *t) {
  if (!(t->mentions & MENTIONS_EDGE)) return t;
  bool bracket = t->kind == TERM_QUERY && t->query == QUERY_E;
  Term *u = NEW(d->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++)
    vec_push(d->arena, &u->args, bracket ? tabulated_bracket(d, t->args.at[i]) : tabulated(d, t->args.at[i]));
  return term_finish(u);
}
