/* conditioned: what all copies of a chain decide together, alone or beside what is asked of single copies.
 *
 *     P[A] = Z(A) / Z
 *     E[f g] = Z(f) / Z  E_f[g],   p_f ~ p f, f >= 0      (a change of measure; f = 1(A): conditioning)
 *     E[f g] = E[max(f, 0) g] - E[max(-f, 0) g]
 *     E[t(phi, S)] = sum_v E[1(phi = v) t(v, S)],   E[sum_j t_j] = sum_j E[t_j]          (phi: a copy, or a count)
 *
 * Z(f) is the evidence of the model that has the weight f as well.  Where f is of counts, S = sum(t in T) c[t], no
 * product over the values of a few copies is it; but a weight on a count is what a chain knows (count_plan.c).  So Z(f)
 * / Z becomes QUERY_SHARE of a chain of its own, a twin (twin.h) over the same weights and f, and of that it is about,
 * and E_f[g] an expectation over the twin.  Copies that nothing joins are a chain once f counts them.
 *
 * Requires: a plan without refusals.  Ensures: only outputs in which such a function of counts stands differ. */
#include "infer/measure.h"
#include "model/term.h"

enum { VALUES_MOST = 3 }; /* copies beside the counts in one function that values are put in place of */

/* ---- factors --------------------------------------------------------------------------------------------------- */

static Term *unconverted(Term *t) {
  while (t->kind == TERM_OP && t->op == OP_TO_REAL) t = t->args.at[0];
  return t;
}

static bool is_zero(Term *t) {
  t = unconverted(t);
  return (t->kind == TERM_INT && !t->integer) || (t->kind == TERM_REAL && t->real == 0);
}

/* Those of a product, of a quotient, of a condition that is one of several, and of a number that is there under one. */
static void flatten(const Asked *s, Term *t, TermVec *to) {
  Arena *arena = s->p->arena;
  Term *u = unconverted(t);
  bool op = u->kind == TERM_OP;
  if (op && (u->op == OP_AND || u->op == OP_MUL)) {
    for (uint32_t i = 0; i < 2; i++) flatten(s, u->args.at[i], to);
  } else if (op && u->op == OP_NEG) {
    vec_push(arena, to, term_real(arena, -1, t->span));
    flatten(s, u->args.at[0], to);
  } else if (op && u->op == OP_DIV && has_count(s->p, u->args.at[1])) {
    flatten(s, u->args.at[0], to);
    vec_push(arena, to, term_op2(arena, OP_DIV, term_real(arena, 1, t->span), u->args.at[1], t->span));
  } else if (u->kind == TERM_IF && has_count(s->p, u->args.at[0]) && is_zero(u->args.at[2])) {
    flatten(s, u->args.at[0], to);
    flatten(s, u->args.at[1], to);
  } else {
    vec_push(arena, to, u->type == TYPE_BOOL ? u : term_to_real(arena, u));
  }
}

/* ---- means ------------------------------------------------------------------------------------------------------- */

static Term *mean_of(Asked *s, Term *t) {
  TermVec factors = {0};
  flatten(s, t, &factors);
  return mean_of_factors(s, &factors);
}

/* Linearity holds where nothing else may be empty: are all edges of one component? */
static bool is_of_one_component(const Plan *p, const TermVec *factors) {
  const Component *c = NULL;
  for (uint32_t i = 0; i < factors->n; i++) {
    const Term *first = term_find(factors->at[i], TERM_EDGE);
    if (!c && first) c = p->of_edge[first->edge->id];
    if (c && !twin_all_edges_in(c, factors->at[i])) return false;
  }
  return c != NULL;
}

static TermVec with_factor(const Asked *s, const TermVec *factors, uint32_t at, Term *t) {
  TermVec r = {0};
  for (uint32_t i = 0; i < factors->n; i++)
    if (i != at) vec_push(s->p->arena, &r, factors->at[i]);
  if (t) flatten(s, t, &r);
  return r;
}

/* Hard factors that are the same in all terms stand before the sum; else the mean is the sum of the terms'. */
static Term *mean_of_sum(Asked *s, const TermVec *factors, uint32_t at) {
  Arena *arena = s->p->arena;
  Term *sum = unconverted(factors->at[at]);
  TermVec body = {0}, same = {0}, own = {0};
  flatten(s, sum->args.at[0], &body);
  for (uint32_t i = 0; i < body.n; i++) {
    bool out = is_hard(s->p, body.at[i]) && !term_mentions_index(body.at[i], sum->index);
    if (out)
      vec_push(arena, &same, body.at[i]);
    else
      vec_push(arena, &own, body.at[i]);
  }
  if (same.n) {
    Term *rest = term_reduce(arena, REDUCE_SUM, sum->index, real_product(arena, &own, sum->span), sum->span);
    TermVec r = with_factor(s, factors, at, NULL);
    for (uint32_t i = 0; i < same.n; i++) vec_push(arena, &r, same.at[i]);
    vec_push(arena, &r, rest);
    return mean_of_factors(s, &r);
  }
  if (!is_of_one_component(s->p, factors)) return NULL;
  TermVec inside = with_factor(s, factors, at, sum->args.at[0]);
  Term *mean = mean_of_factors(s, &inside);
  return mean ? term_reduce(arena, REDUCE_SUM, sum->index, mean, sum->span) : NULL;
}

/* Copies that nothing joins may be empty one by one, and a sum is of all that either side mentions: where one side
 * counts none of them, it is for those that the other counts, of whose number nothing is asked. */
static TermVec with_side(Asked *s, const TermVec *factors, uint32_t at, Term *side) {
  Arena *arena = s->p->arena;
  TermVec r = with_factor(s, factors, at, side);
  Counts k = {.p = s->p};
  find_counts(&k, factors->at[at]);
  if (k.c->chain || has_count(s->p, side)) return r;
  vec_push(arena, &r, term_op2(arena, OP_GE, (Term *)k.sum, term_int(arena, 0, side->span), side->span));
  return r;
}

static Term *mean_of_either(Asked *s, const TermVec *factors, uint32_t at, OpKind op, Term *x, Term *y) {
  TermVec a = with_side(s, factors, at, x), b = with_side(s, factors, at, y);
  Term *p = mean_of_factors(s, &a), *q = p ? mean_of_factors(s, &b) : NULL;
  return q ? term_op2(s->p->arena, op, p, q, s->span) : NULL;
}

/* An element at `none`, which uses it, is 0. */
static Term *zero_at_none(Arena *arena, const Term *t, const Term *ref) {
  bool element = t->kind == TERM_INPUT || t->kind == TERM_LET, at = false;
  for (uint32_t i = 0; element && i < t->args.n; i++) at |= term_equal(t->args.at[i], ref);
  if (!at) return NULL;
  if (t->type == TYPE_BOOL) return term_bool(arena, false, t->span);
  return t->type == TYPE_INT ? term_int(arena, 0, t->span) : term_real(arena, 0, t->span);
}

static Term *with_value(Arena *arena, Term *t, const Term *ref, Term *value) {
  if (term_equal(t, ref)) return value;
  if (!(t->mentions & MENTIONS_EDGE)) return t;
  Term *zero = value->kind == TERM_NONE ? zero_at_none(arena, t, ref) : NULL;
  if (zero) return zero;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(arena, &r->args, with_value(arena, t->args.at[i], ref, value));
  return term_finish(r);
}

/* May t use a none as a number?  What uses it is then 0, and no function of the parts.  An element at a none is one. */
static bool may_use_none(const Term *t) {
  if (t->kind == TERM_EDGE) return t->edge->or_none;
  bool looks = t->kind == TERM_OP && (t->op == OP_EQ || t->op == OP_NE);
  for (uint32_t i = 0; i < t->args.n; i++) {
    bool bare = t->args.at[i]->kind == TERM_EDGE && (looks || t->kind == TERM_INPUT || t->kind == TERM_LET);
    for (uint32_t k = 0; bare && k < t->args.at[i]->args.n; k++)
      if (may_use_none(t->args.at[i]->args.at[k])) return true;
    if (!bare && may_use_none(t->args.at[i])) return true;
  }
  return false;
}

static Index *values_of(Asked *s, const Edge *e) {
  Arena *arena = s->p->arena;
  Index *v = NEW(arena, Index);
  *v = (Index){.id = s->m->index_count++, .name = e->name, .span = s->span, .role = INDEX_REDUCE};
  v->range = (Range){.kind = RANGE_INTERVAL, .span = s->span, .lo = e->range.lo, .hi = e->range.hi};
  if (e->domain == DOMAIN_BIT) v->range.lo = term_int(arena, 0, s->span), v->range.hi = term_int(arena, 2, s->span);
  return v;
}

/* Does a sum in a factor bind an index of the reference? */
static bool is_bound_in(const Term *t, const Term *ref) {
  if (t->kind == TERM_REDUCE && term_mentions_index(ref, t->index)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_bound_in(t->args.at[i], ref)) return true;
  return false;
}

static bool is_under_binder(const TermVec *factors, const Term *ref) {
  for (uint32_t i = 0; i < factors->n; i++)
    if (is_bound_in(factors->at[i], ref)) return true;
  return false;
}

static bool has_choice(const Term *t) {
  if (t->kind == TERM_IF || (t->kind == TERM_OP && (t->op == OP_AND || t->op == OP_OR))) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_choice(t->args.at[i])) return true;
  return false;
}

/* A value may decide what is looked at: the bracket is about all copies that t counts, none of which may be empty. */
static void count_all_the_same(const Asked *s, Term *t, TermVec *to) {
  uint32_t step;
  Component *c = counted(s->p, t, &step);
  Term *zero = term_int(s->p->arena, 0, t->span);
  if (c && !c->chain) vec_push(s->p->arena, to, term_op2(s->p->arena, OP_GE, t, zero, t->span));
  for (uint32_t i = 0; !c && i < t->args.n; i++) count_all_the_same(s, t->args.at[i], to);
}

/* E[1(phi = v) t(v, S)]; phi may be a count. */
static Term *mean_given(Asked *s, const TermVec *factors, const Term *ref, Term *value) {
  Arena *arena = s->p->arena;
  TermVec each = {0};
  vec_push(arena, &each, term_op2(arena, OP_EQ, (Term *)ref, value, s->span));
  for (uint32_t i = 0; i < factors->n; i++) {
    Term *t = factors->at[i];
    if (has_count(s->p, t)) t = with_value(arena, t, ref, value);
    vec_push(arena, &each, t);
    if (t != factors->at[i] && has_choice(t)) count_all_the_same(s, t, &each);
  }
  s->given++;
  Term *mean = mean_of_factors(s, &each);
  s->given--;
  return mean;
}

/* E[t(phi, S)] = sum_v E[1(phi = v) t(v, S)] for the copy `ref` that stands in a factor of counts, none being a value,
 * too: each mentions the same copies. */
static Term *mean_by_values(Asked *s, const TermVec *factors, const Term *ref) {
  Arena *arena = s->p->arena;
  const Edge *e = ref->edge;
  bool sized = e->domain == DOMAIN_RANGE && range_is_of_sizes(&e->range);
  if (s->given == VALUES_MOST || (e->domain != DOMAIN_BIT && !sized) || is_under_binder(factors, ref)) return NULL;
  Index *v = values_of(s, e);
  Term *mean = mean_given(s, factors, ref, term_index(arena, v, s->span));
  if (!mean) return NULL;
  mean = term_reduce(arena, REDUCE_SUM, v, mean, s->span);
  Term *none = e->or_none ? mean_given(s, factors, ref, term_none(arena, s->span)) : NULL;
  if (!e->or_none) return mean;
  return none ? term_op2(arena, OP_ADD, mean, none, s->span) : NULL;
}

/* The first count in t of another component than c's. */
static const Term *other_count(const Plan *p, const Term *t, const Component *c) {
  uint32_t step;
  const Component *of = counted(p, t, &step);
  if (of) return of == c ? NULL : t;
  const Term *found = NULL;
  for (uint32_t i = 0; i < t->args.n && !found; i++) found = other_count(p, t->args.at[i], c);
  return found;
}

/* A count in t that is of another component than some. */
static const Term *mixed_count(const Plan *p, const Term *t) {
  Counts k = {.p = p};
  find_counts(&k, t);
  return k.apart ? other_count(p, t, k.c) : NULL;
}

/* E[t(S, S')] = sum_v E[1(S' = v) t(S, v)], S and S' of different components. */
static Term *mean_by_count(Asked *s, const TermVec *factors, const Term *count) {
  Arena *arena = s->p->arena;
  const Range *r = &count->index->range;
  if (s->given == VALUES_MOST || !range_is_of_sizes(r) || !is_zero_or_one(count->args.at[0])) return NULL;
  Term *zero = term_int(arena, 0, s->span), *one = term_int(arena, 1, s->span);
  Term *most = term_op2(arena, OP_MAX, term_op2(arena, OP_SUB, r->hi, r->lo, s->span), zero, s->span);
  Index *v = NEW(arena, Index);
  *v = (Index){.id = s->m->index_count++, .name = count->index->name, .span = s->span, .role = INDEX_REDUCE};
  Term *end = term_op2(arena, OP_ADD, most, one, s->span);
  v->range = (Range){.kind = RANGE_INTERVAL, .span = s->span, .lo = zero, .hi = end};
  Term *mean = mean_given(s, factors, count, term_index(arena, v, s->span));
  return mean ? term_reduce(arena, REDUCE_SUM, v, mean, s->span) : NULL;
}

/* Hard factors of one component are f, as are other functions of its counts beside them; g is what remains. */
static Term *mean_by_measure(Asked *s, const TermVec *factors) {
  Counts k = {.p = s->p};
  TermVec f = {0}, g = {0};
  for (uint32_t i = 0; i < factors->n && !k.c; i++)
    if (is_hard(s->p, factors->at[i])) find_counts(&k, factors->at[i]);
  for (uint32_t i = 0; i < factors->n; i++) {
    const Term *other = is_hard(s->p, factors->at[i]) ? mixed_count(s->p, factors->at[i]) : NULL;
    if (other) return mean_by_count(s, factors, other);
  }
  for (uint32_t i = 0; i < factors->n; i++) {
    Term *t = factors->at[i];
    bool counts = has_count(s->p, t) && !beside_counts(s->p, t) && twin_all_edges_in(k.c, t);
    vec_push(s->p->arena, counts ? &f : &g, t);
    if (counts) find_counts(&k, t);
  }
  bool all = f.n > 0 && !k.apart;
  for (uint32_t i = 0; i < g.n; i++) all &= !is_hard(s->p, g.at[i]) || !mentions_component(k.c, g.at[i]);
  if (all && is_convolved(&k, &g)) return query_of(s, factors);
  return all ? measured_by_sign(s, &k, &f, &g) : NULL;
}

/* E[if A then x else y] = E[1(A) x] + E[1(not A) y], A of counts: both mention all that A counts. */
static Term *mean_of_choice(Asked *s, const TermVec *factors, uint32_t at) {
  Arena *arena = s->p->arena;
  Term *choice = unconverted(factors->at[at]), *a = choice->args.at[0], *zero = term_real(arena, 0, choice->span);
  Term *not_a = term_op1(arena, OP_NOT, a, a->span);
  Term *x = term_if(arena, a, term_to_real(arena, choice->args.at[1]), zero, choice->span);
  Term *y = term_if(arena, not_a, term_to_real(arena, choice->args.at[2]), zero, choice->span);
  return is_of_one_component(s->p, factors) ? mean_of_either(s, factors, at, OP_ADD, x, y) : NULL;
}

Term *mean_of_factors(Asked *s, const TermVec *factors) {
  bool any = false;
  for (uint32_t i = 0; i < factors->n; i++) {
    Term *t = factors->at[i], *u = unconverted(t);
    if (!is_hard(s->p, t)) continue;
    any = true;
    if (u->kind == TERM_REDUCE && u->reduce == REDUCE_SUM) return mean_of_sum(s, factors, i);
    const Term *beside = beside_counts(s->p, t);
    bool choice = u->kind == TERM_IF && u->type != TYPE_BOOL && has_count(s->p, u->args.at[0]);
    if (beside && choice && !beside_counts(s->p, u->args.at[0])) return mean_of_choice(s, factors, i);
    bool either = u->kind == TERM_OP && (u->op == OP_ADD || u->op == OP_SUB);
    if (beside && either && is_of_one_component(s->p, factors))
      return mean_of_either(s, factors, i, u->op, u->args.at[0], u->args.at[1]);
    if (beside) return mean_by_values(s, factors, beside);
  }
  return any ? mean_by_measure(s, factors) : query_of(s, factors);
}

/* ---- events ------------------------------------------------------------------------------------------------ */

static bool counts(Plan *p, const Term *t) {
  Weight w = {.kind = WEIGHT_REQUIRE, .span = t->span, .value = (Term *)t};
  return is_count_weight(p, &w);
}

/* P[A] for a chain, A of counts alone, all its parts required of the twin; NULL: other rules have it.  A copy that is
 * named, c[0], is asked about where the output is, which may be nowhere; a twin would need it. */
static Term *share_of_event(Asked *s, Term *a) {
  const Term *first = term_find(a, TERM_EDGE);
  TermVec parts = {0};
  bool all = true;
  if (!first) return NULL;
  Component *c = countable(s->p, first->edge);
  if (!c || !c->chain || !twin_all_edges_in(c, a)) return NULL;
  flatten(s, a, &parts);
  for (uint32_t i = 0; i < parts.n; i++) {
    all &= counts(s->p, parts.at[i]);
    parts.at[i] = where_asked(s, parts.at[i]);
  }
  Twin w;
  return all && twin_make(&w, s->p, s->m, c, c->chain->step, &parts, s->span) ? twin_share(&w) : NULL;
}

/* The event whose probability the query is a matter of: P[A], E[if A then x else y] with x and y known; NULL: none. */
static Term *event_of(const Term *query) {
  if (query->query == QUERY_P) return query->args.at[0];
  const Term *t = query->query == QUERY_E ? unconverted(query->args.at[0]) : NULL;
  if (!t || t->kind != TERM_IF) return NULL;
  return term_mentions_edge(t->args.at[1], NULL) || term_mentions_edge(t->args.at[2], NULL) ? NULL : t->args.at[0];
}

/* With x and y. */
static Term *mean_by(Arena *arena, const Term *query, Term *share) {
  if (query->query == QUERY_P) return share;
  const Term *t = unconverted(query->args.at[0]);
  for (uint32_t i = 1; i < 3; i++) vec_push(arena, &share->args, term_to_real(arena, t->args.at[i]));
  return term_finish(share);
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

/* What twins add to is as it was if they come to nothing. */
static Term *rewritten_query(Asked *s, Term *t) {
  bool mean_of_bracket = t->query == QUERY_P || t->query == QUERY_E;
  if (!mean_of_bracket || !has_count(s->p, t->args.at[0]) || may_use_none(t->args.at[0])) return t;
  Model *before = s->m;
  Model *m = s->m = NEW(s->p->arena, Model);
  *m = before ? *before : *twin_model(s->p);
  s->span = t->args.at[0]->span;
  s->made = NULL;
  Term *a = event_of(t), *share = a ? share_of_event(s, a) : NULL;
  if (share) return mean_by(s->p->arena, t, share);
  Term *mean = is_hard(s->p, t->args.at[0]) ? mean_of(s, t->args.at[0]) : NULL;
  if (mean && s->made) return mean;
  s->m = before;
  return t;
}

static bool asks(const Term *t) {
  if (t->mentions & MENTIONS_QUERY) return true;
  if (t->kind == TERM_LET && t->let->has_query) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (asks(t->args.at[i])) return true;
  return false;
}

static Term *rewrite(Asked *s, Term *t);

/* On a side of a choice; a condition that asks something itself is not one for a weight. */
static Term *rewrite_side(Asked *s, Term *side, Term *condition, bool holds) {
  Arena *arena = s->p->arena;
  Term *outer = s->where, *here = holds ? condition : term_op1(arena, OP_NOT, condition, condition->span);
  if (!asks(condition)) s->where = outer ? term_op2(arena, OP_AND, outer, here, here->span) : here;
  Term *r = rewrite(s, side);
  s->where = outer;
  return r;
}

static Term *rewrite(Asked *s, Term *t) {
  if (!(t->mentions & MENTIONS_QUERY)) return t;
  if (t->kind == TERM_QUERY) return rewritten_query(s, t);
  Term *r = NEW(s->p->arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) {
    Term *arg = t->args.at[i];
    bool side = t->kind == TERM_IF && i > 0;
    vec_push(s->p->arena, &r->args, side ? rewrite_side(s, arg, t->args.at[0], i == 1) : rewrite(s, arg));
  }
  return term_finish(r);
}

typedef struct Pieces {
  const Plan *p;
  bool found;
} Pieces;

static void see_pieces(const Term *t, void *context) {
  Pieces *s = context;
  if (t->kind != TERM_QUERY || t->query != QUERY_SHARE) return;
  const Component *twin = s->p->of_edge[t->args.at[0]->edge->id];
  if (twin->chain->may_break && !has_one_range(s->p, twin, (uint32_t)t->args.at[2]->integer)) s->found = true;
}

bool plan_asks_of_pieces(const Plan *p) {
  Pieces s = {p, false};
  for (uint32_t i = 0; i < p->model->outs.n; i++) term_walk(p->model->outs.at[i]->value, see_pieces, &s);
  return s.found;
}

const Model *plan_conditioned(Plan *p, const bool *left) {
  Asked s = {.p = p};
  TermVec values = {0};
  for (uint32_t i = 0; i < p->model->outs.n; i++) {
    Term *value = p->model->outs.at[i]->value;
    vec_push(p->arena, &values, left && left[i] ? value : rewrite(&s, value));
  }
  for (uint32_t i = 0; s.m && i < p->model->outs.n; i++) {
    Out *o = NEW(p->arena, Out);
    *o = *p->model->outs.at[i];
    o->value = values.at[i];
    vec_push(p->arena, &s.m->outs, o);
  }
  return s.m;
}
