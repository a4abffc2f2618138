/* statistic: what a sum over copies leaves for one component of a latent.
 *
 *   d/dz[t] of sum_i E[c_i z[a_i]] = sum_i E[c_i 1(a_i = t)]
 * An index of the sum that is itself the component's (a_i = i) has one value that counts: the sum over it is dropped.
 * An edge (a_i = phi[i]) stays as an indicator, which the laws of expectation sift. */
#include "algebra/algebra.h"

typedef struct Sift {
  Model *m;
  IndexMap *map; /* sums that have one value */
  uint32_t n;
  IndexVec inward; /* sums that are taken inside E */
  Term *inside; /* ranges that the component's indices must lie in; NULL: none */
  Term *agrees; /* equalities that are left; NULL: none */
} Sift;

static Index *latent_index(const Latent *z, uint32_t i) {
  if (i < z->plates.n) return z->plates.at[i];
  i -= z->plates.n;
  return i < z->own.n ? z->own.at[i] : z->axes.at[i - z->own.n];
}

static bool contains(const IndexVec *v, const Index *i) {
  for (uint32_t k = 0; k < v->n; k++)
    if (v->at[k] == i) return true;
  return false;
}

static bool is_mapped(const Sift *s, const Index *i) {
  for (uint32_t k = 0; k < s->n; k++)
    if (s->map[k].from == i) return true;
  return false;
}

static bool same_range(const Range *a, const Range *b) {
  return a->kind == RANGE_INTERVAL && b->kind == RANGE_INTERVAL && term_equal(a->lo, b->lo) && term_equal(a->hi, b->hi);
}

static void must_lie_in(Sift *s, Term *t, const Range *r) {
  Arena *a = s->m->arena;
  s->inside = make_and(a, s->inside, term_op2(a, OP_GE, t, r->lo, t->span));
  s->inside = make_and(a, s->inside, term_op2(a, OP_LT, t, r->hi, t->span));
}

/* Is it one of the conjunction's parts? */
static bool already(const Term *all, const Term *part) {
  if (!all) return false;
  if (all->kind == TERM_OP && all->op == OP_AND)
    return already(all->args.at[0], part) || already(all->args.at[1], part);
  return term_equal(all, part);
}

static void sift_argument(Sift *s, const IndexVec *outer, const IndexVec *sums, Term *arg, Index *component) {
  Arena *a = s->m->arena;
  Term *t = term_index(a, component, arg->span);
  if (arg->kind == TERM_INDEX && is_mapped(s, arg->index)) { /* named before: the two components agree here */
    const Index *first = NULL;
    for (uint32_t k = 0; k < s->n; k++)
      if (s->map[k].from == arg->index) first = s->map[k].to->index;
    if (first == component) return;
  }
  bool summed = arg->kind == TERM_INDEX && (contains(outer, arg->index) || contains(sums, arg->index));
  if (summed && arg->index->range.kind == RANGE_INTERVAL && !is_mapped(s, arg->index)) {
    s->map[s->n++] = (IndexMap){arg->index, t};
    if (arg->index != component && !same_range(&arg->index->range, &component->range))
      must_lie_in(s, t, &arg->index->range);
    return;
  }
  if (arg->kind == TERM_INDEX && arg->index == component && !summed) return;
  Term *equal = term_op2(a, OP_EQ, arg, t, arg->span);
  if (!already(s->agrees, equal)) s->agrees = make_and(a, s->agrees, equal);
}

static bool is_left(const Sift *s, const Index *i) { return !is_mapped(s, i) && !contains(&s->inward, i); }

static Term *sum_over(const Sift *s, const IndexVec *list, Term *body) {
  for (uint32_t i = list->n; i-- > 0;)
    if (is_left(s, list->at[i])) body = term_reduce(s->m->arena, REDUCE_SUM, list->at[i], body, body->span);
  return body;
}

/* t = outside * inside, the outer factor without edges; either may be NULL: 1. */
static void split_edges(Arena *a, Term *t, Term **outside, Term **inside) {
  if (!term_mentions_edge(t, NULL)) {
    *outside = make_product(a, *outside, t);
  } else if (t->kind == TERM_OP && t->op == OP_MUL) {
    split_edges(a, t->args.at[0], outside, inside);
    split_edges(a, t->args.at[1], outside, inside);
  } else if (t->kind == TERM_OP && t->op == OP_DIV && !term_mentions_edge(t->args.at[1], NULL)) {
    split_edges(a, t->args.at[0], outside, inside);
    *outside = make_quotient(a, *outside, t->args.at[1]);
  } else {
    *inside = make_product(a, *inside, t);
  }
}

static Term *where(Arena *a, Term *cond, Term *t) {
  return cond ? term_if(a, cond, t, term_real(a, 0, t->span), t->span) : t;
}

/* Do the ranges of the inner sums hold for all values of the outer ones? */
static bool ranges_apart(const IndexVec *sums, const IndexVec *outer) {
  for (uint32_t i = 0; i < sums->n; i++)
    for (uint32_t k = 0; k < outer->n; k++) {
      const Range *r = &sums->at[i]->range;
      if ((r->lo && term_mentions_index(r->lo, outer->at[k])) || (r->hi && term_mentions_index(r->hi, outer->at[k])) ||
          (r->row && term_mentions_index(r->row, outer->at[k])))
        return false;
    }
  return true;
}

static bool mentions_any(const Term *t, const IndexVec *list) {
  for (uint32_t i = 0; i < list->n; i++)
    if (term_mentions_index(t, list->at[i])) return true;
  return false;
}

/* t = apart * within, the first factor without the indices; either may be NULL: 1. */
static void split_indices(Arena *a, Term *t, const IndexVec *list, Term **apart, Term **within) {
  if (!t) return;
  if (!mentions_any(t, list))
    *apart = make_product(a, *apart, t);
  else if (t->kind == TERM_OP && t->op == OP_MUL) {
    split_indices(a, t->args.at[0], list, apart, within);
    split_indices(a, t->args.at[1], list, apart, within);
  } else {
    *within = make_product(a, *within, t);
  }
}

/* Of the sums that are left: does t mention one? */
static bool mentions_left(const Sift *s, const Term *t, const IndexVec *list) {
  for (uint32_t i = 0; t && i < list->n; i++)
    if (is_left(s, list->at[i]) && term_mentions_index(t, list->at[i])) return true;
  return false;
}

static void sift_reference(Sift *s, const IndexVec *outer, const Monomial *x, const Target *t) {
  const Term *ref = x->stats.at[t->stat].ref;
  for (uint32_t i = 0; i < ref->args.n; i++) {
    Index *component = t->at ? t->at->at[i] : latent_index(ref->latent, i);
    sift_argument(s, outer, &x->sums, ref->args.at[i], component);
  }
}

static bool names_copy_by(const Term *t, const Index *i) {
  if (t->kind == TERM_EDGE && term_mentions_index(t, i)) return true;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (names_copy_by(t->args.at[k], i)) return true;
  return false;
}

static bool stands_apart(const Index *i, const IndexVec *outer, const IndexVec *sums, Arena *a) {
  IndexVec one = {0};
  vec_push(a, &one, (Index *)i);
  return i->range.kind == RANGE_INTERVAL && ranges_apart(&one, outer) && ranges_apart(&one, sums) &&
         ranges_apart(outer, &one) && ranges_apart(sums, &one);
}

/* Does every index that t uses stand in `in`, too? */
static bool uses_only(const Term *t, const Term *in, const IndexVec *bound) {
  if (t->kind == TERM_REDUCE) return false;
  if (t->kind == TERM_INDEX && !contains(bound, t->index) && !term_mentions_index(in, t->index)) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!uses_only(t->args.at[i], in, bound)) return false;
  return true;
}

/* The sum over i is taken inside E, with all factors that change with it, where that is no more work: what stands
 * outside brings no index of its own. */
static void take_inward(Sift *s, Index *i, Term **outside, Term **inside) {
  Arena *a = s->m->arena;
  IndexVec one = {0};
  Term *rest = NULL, *summed = NULL, *apart = NULL, *moved = NULL;
  vec_push(a, &one, i);
  split_indices(a, *outside, &one, &apart, &moved);
  if (moved && !uses_only(moved, *inside, &one)) return;
  split_indices(a, *inside, &one, &rest, &summed);
  vec_push(a, &s->inward, i);
  *outside = apart;
  summed = make_product(a, moved, summed);
  *inside = make_product(a, rest, term_reduce(a, REDUCE_SUM, i, summed, summed->span));
}

/* Sums in which the copies stay the same are taken inside E: it is then of one number, of which a stream carries no
 * element for each value of the sum. */
static void sum_inward(Sift *s, const IndexVec *outer, const IndexVec *sums, Term **outside, Term **inside) {
  const IndexVec *lists[] = {outer, sums};
  for (uint32_t n = 0; n < 2; n++)
    for (uint32_t k = 0; k < lists[n]->n; k++) {
      Index *i = lists[n]->at[k];
      bool inward = is_left(s, i) && term_mentions_index(*inside, i) && !names_copy_by(*inside, i);
      if (inward && stands_apart(i, outer, sums, s->m->arena)) take_inward(s, i, outside, inside);
    }
}

/* 1(phi = k) f(phi) = 1(phi = k) f(k) */
static Term *where_agreed(Arena *a, const Term *agrees, Term *t) {
  if (!agrees) return t;
  if (agrees->kind == TERM_OP && agrees->op == OP_AND) {
    t = where_agreed(a, agrees->args.at[0], t);
    return where_agreed(a, agrees->args.at[1], t);
  }
  return agrees->args.at[0]->kind == TERM_EDGE ? replace_term(a, t, agrees->args.at[0], agrees->args.at[1]) : t;
}

/* The monomial's factors without the latent, as outside times E of what edges stand in; NULL: no edge.  E is linear:
 * so it need not be asked for every value of a sum. */
static Term *expectation(Sift *s, const IndexVec *outer, const Monomial *x, Term *others, Term **outside) {
  Arena *a = s->m->arena;
  Span span = x->stats.at[0].ref->span;
  Term *inside = NULL, *body = make_product(a, x->coef, others);
  if (x->cond) body = where(a, x->cond, body ? body : term_real(a, 1, span));
  if (body) body = where_agreed(a, s->agrees, body);
  if (body) split_edges(a, body, outside, &inside);
  if (s->agrees) split_edges(a, term_to_real(a, s->agrees), outside, &inside);
  if (!inside) return NULL;
  sum_inward(s, outer, &x->sums, outside, &inside);
  TermVec args = {0};
  vec_push(a, &args, inside);
  return term_query(a, QUERY_E, TYPE_REAL, &args, span);
}

/* Both sums of outside * expected.  A factor that no copy changes stands apart from the sum over copies; where the
 * inner sum is over the copy's own data alone, it is one number, to be weighed by E. */
static Term *both_sums(Sift *s, const IndexVec *outer, const Monomial *x, Term *outside, Term *expected) {
  Arena *a = s->m->arena;
  const IndexVec *sums = &x->sums;
  bool free = ranges_apart(sums, outer);
  Term *apart = NULL, *within = NULL;
  if (free && !s->inside) split_indices(a, outside, outer, &apart, &within);
  else within = outside;
  bool own = expected && free && !s->inside && mentions_left(s, within, sums) && !mentions_left(s, expected, sums) &&
             !mentions_left(s, apart, sums);
  if (own) {
    within = sum_over(s, sums, make_scaled(a, x->scale, within));
    return make_product(a, apart, sum_over(s, outer, make_product(a, within, expected)));
  }
  Term *body = make_product(a, within, expected);
  body = where(a, s->inside, body ? body : term_real(a, 1, x->stats.at[0].ref->span));
  if (!free) return sum_over(s, outer, sum_over(s, sums, make_scaled(a, x->scale, body)));
  body = make_product(a, apart, sum_over(s, outer, body));
  return sum_over(s, sums, make_scaled(a, x->scale, body));
}

/* t, the sums that have one value being at it. */
static Term *sifted(const Sift *s, Term *t) {
  IndexMap *map = NEW_ARRAY(s->m->arena, IndexMap, s->n);
  uint32_t count = 0;
  for (uint32_t i = 0; i < s->n; i++)
    if (s->map[i].from != s->map[i].to->index) map[count++] = s->map[i];
  return term_substitute(s->m, t, map, count);
}

Term *targets_statistic(Model *m, const IndexVec *outer, const Monomial *x, const Target *targets, uint32_t n,
                        Term *others) {
  Sift s = {.m = m, .map = NEW_ARRAY(m->arena, IndexMap, outer->n + x->sums.n)};
  for (uint32_t i = 0; i < n; i++) sift_reference(&s, outer, x, &targets[i]);
  Term *outside = NULL, *expected = expectation(&s, outer, x, others, &outside);
  return sifted(&s, both_sums(&s, outer, x, outside, expected));
}

Term *component_statistic(Model *m, const IndexVec *outer, const Monomial *x, uint32_t stat, Term *others) {
  return targets_statistic(m, outer, x, &(Target){stat, NULL}, 1, others);
}
