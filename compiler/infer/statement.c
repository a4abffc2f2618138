/* statement: the weight statements that latents stand in, as terms and as sums of monomials.
 *
 * A prior that is normalised over the support of its edge carries -log of its normaliser as a part, in which a whole
 * simplex is a number: sum_k z[k] = 1.  A statement that uses a `none` is 1 as a whole (a prior before it is
 * normalised); one over edges counts where their copy exists. */
#include "infer/latent_plan.h"

/* ---- the log weight of a statement ------------------------------------------------------------------------------- */

static bool mentions_variables(const Weight *w) {
  if ((w->value && has_variable(w->value)) || (w->left && has_variable(w->left))) return true;
  for (uint32_t i = 0; i < w->params.n; i++)
    if (has_variable(w->params.at[i])) return true;
  return false;
}

/* What the declaration of its edge says, about the copy that the prior is of. */
static Term *of_copy(Plan *p, const Weight *w, Term *t) {
  const Edge *e = w->edge;
  IndexMap *map = NEW_ARRAY(p->arena, IndexMap, e->plates.n);
  for (uint32_t i = 0; i < e->plates.n; i++) map[i] = (IndexMap){e->plates.at[i], w->edge_ref->args.at[i]};
  return t ? term_substitute((Model *)p->model, t, map, e->plates.n) : NULL;
}

/* An index over the range of the edge. */
static Index *any_value(Plan *p, const Weight *w) {
  Model *m = (Model *)p->model;
  Index *j = NEW(p->arena, Index);
  *j = (Index){m->index_count++, w->edge->name, w->span, INDEX_REDUCE, w->edge->range};
  j->range.lo = of_copy(p, w, j->range.lo);
  j->range.hi = of_copy(p, w, j->range.hi);
  j->range.row = of_copy(p, w, j->range.row);
  return j;
}

/* t with a value in the place of the edge. */
static Term *at_value(Plan *p, const Weight *w, Term *t, Term *value) {
  return replace_term(p->arena, t, w->edge_ref, value);
}

static Term *is_allowed(Plan *p, const Weight *w, Term *value) {
  return at_value(p, w, of_copy(p, w, w->edge->where), value);
}

/* The prior's weight of a value of the edge, perhaps of none, before it is normalised; NULL: not as a term. */
static Term *weight_of_value(Plan *p, const Weight *w, Term *value) {
  Term *t = term_to_real(p->arena, at_value(p, w, w->params.at[0], value));
  bool is_log = t->kind == TERM_OP && t->op == OP_LOG;
  if (w->dist == DIST_LOGITS) t = is_log ? t->args.at[0] : term_op1(p->arena, OP_EXP, t, w->span);
  return one_where_none_is_used(p->arena, t);
}

/* Is value, at j, a component of a vector with a dirichlet prior, and the range of j the whole of it?
 * sum_j z[.., j] = 1. */
static bool is_share_of_whole(const Term *value, const Index *j) {
  if (value->kind != TERM_LATENT || form_of_latent(value->latent) != FORM_DIRICHLET) return false;
  uint32_t last = value->args.n - 1;
  for (uint32_t i = 0; i < last; i++)
    if (term_mentions_index(value->args.at[i], j)) return false;
  const Term *at = value->args.at[last];
  const Range *r = &j->range, *whole = &latent_index(value->latent, last)->range;
  return at->kind == TERM_INDEX && at->index == j && r->kind == RANGE_INTERVAL && term_equal(r->lo, whole->lo) &&
         term_equal(r->hi, whole->hi);
}

/* The sum of the weights of all values but none. */
static Term *sum_of_values(Plan *p, const Weight *w) {
  Arena *a = p->arena;
  if (w->edge->domain == DOMAIN_BIT) {
    Term *no = weight_of_value(p, w, term_int(a, 0, w->span)), *yes = weight_of_value(p, w, term_int(a, 1, w->span));
    return no && yes ? term_op2(a, OP_ADD, no, yes, w->span) : NULL;
  }
  if (w->edge->domain != DOMAIN_RANGE) return NULL;
  Index *j = any_value(p, w);
  Term *at = term_index(a, j, w->span), *value = weight_of_value(p, w, at);
  if (!value) return NULL;
  Term *allowed = w->edge->where ? is_allowed(p, w, at) : term_bool(a, true, w->span), *zero = term_real(a, 0, w->span);
  if (is_share_of_whole(value, j) && !term_mentions_index(allowed, j))
    return term_if(a, allowed, term_real(a, 1, w->span), zero, w->span);
  return term_reduce(a, REDUCE_SUM, j, term_if(a, allowed, value, zero, w->span), w->span);
}

/* log of the sum of the prior's weights over the support; NULL: not as a term. */
static Term *log_normaliser(Plan *p, const Weight *w) {
  Arena *a = p->arena;
  Term *sum = sum_of_values(p, w);
  if (!sum) return NULL;
  if (w->edge->or_none) {
    Term *none = weight_of_value(p, w, term_none(a, w->span));
    if (!none) return NULL;
    sum = term_op2(a, OP_ADD, none, sum, w->span);
  }
  return term_op1(a, OP_LOG, sum, w->span);
}

/* sum over the values j of the support, those behind the edge's own value or all, of log(1 - p(j)). */
static Term *log_left(Plan *p, const Weight *w, bool behind) {
  Arena *a = p->arena;
  Index *j = any_value(p, w);
  Term *at = term_index(a, j, w->span), *zero = term_real(a, 0, w->span);
  Term *share = term_to_real(a, at_value(p, w, w->params.at[0], at));
  Term *value = term_op1(a, OP_LOG1P, term_op1(a, OP_NEG, share, w->span), w->span);
  if (w->edge->where) value = term_if(a, is_allowed(p, w, at), value, zero, w->span);
  if (behind) value = term_if(a, term_op2(a, OP_GT, at, w->edge_ref, w->span), value, zero, w->span);
  return term_reduce(a, REDUCE_SUM, j, value, w->span);
}

/* A stick broken from the last value of a range to the first (stick.c).  What is left goes to `none`; without one the
 * parts add up to 1 - prod (1 - p). */
static Term *stick_term(Plan *p, const Weight *w, Obstacle *why) {
  Arena *a = p->arena;
  bool others = false;
  for (uint32_t i = 0; i < p->model->edges.n; i++)
    others |= p->model->edges.at[i] != w->edge && term_mentions_edge(w->params.at[0], p->model->edges.at[i]);
  if (others || w->edge->domain != DOMAIN_RANGE || w->edge->range.kind != RANGE_INTERVAL) {
    why->text = "a stick that is broken as a latent says, of bits, over a row of a graph, or given other edges";
    return NULL;
  }
  Term *share = term_op1(a, OP_LOG, term_to_real(a, w->params.at[0]), w->span);
  Term *log_p = term_op2(a, OP_ADD, share, log_left(p, w, true), w->span);
  if (w->edge->or_none)
    return term_if(a, term_op2(a, OP_EQ, w->edge_ref, term_none(a, w->span), w->span), log_left(p, w, false), log_p,
                   w->span);
  Term *unbroken = term_op1(a, OP_EXP, log_left(p, w, false), w->span);
  return term_op2(a, OP_SUB, log_p, term_op1(a, OP_LOG1P, term_op1(a, OP_NEG, unbroken, w->span), w->span), w->span);
}

/* log weight: 0 where a none is used. */
static Term *zero_where_none_is_used(Plan *p, const Weight *w, Term *t) {
  Term *none = uses_none(p->arena, w);
  return none ? term_if(p->arena, none, term_real(p->arena, 0, t->span), t, t->span) : t;
}

/* The log of a prior that is normalised over the support of its edge: of its weight, less that of their sum. */
static Term *normalised_term(Plan *p, const Weight *w, Obstacle *why) {
  Term *t = log_term((Model *)p->model, w);
  Term *norm = t ? log_normaliser(p, w) : NULL;
  if (t && !norm) why->text = "a prior whose normaliser depends on a latent, at a 'none' it does not ask about";
  return norm ? term_op2(p->arena, OP_SUB, zero_where_none_is_used(p, w, t), norm, w->span) : NULL;
}

/* A bit that may not be 1 is 0, and its prior 1. */
static Term *of_bit(Plan *p, const Weight *w, Term *t) {
  if (!t || w->edge->domain != DOMAIN_BIT || !w->edge->where) return t;
  Arena *a = p->arena;
  return term_if(a, is_allowed(p, w, term_int(a, 1, w->span)), t, term_real(a, 0, t->span), t->span);
}

/* The log weight at a point of the statement's plates; NULL, and why. */
static Term *statement_term(Plan *p, const Weight *w, Obstacle *why) {
  Arena *a = p->arena;
  bool of_edge = w->kind == WEIGHT_PRIOR && w->edge;
  why->span = w->span;
  if (of_edge && w->dist == DIST_STICK_BREAKING) return stick_term(p, w, why);
  bool normalised = of_edge && (w->dist == DIST_WEIGHTS || w->dist == DIST_LOGITS);
  Term *t = normalised ? normalised_term(p, w, why) : log_term((Model *)p->model, w);
  if (of_edge) t = of_bit(p, w, t);
  if (!t) {
    if (!why->text) why->text = "this use of a latent";
    return NULL;
  }
  for (uint32_t i = w->axes.n; i-- > 0;) t = term_reduce(a, REDUCE_SUM, w->axes.at[i], t, t->span);
  return normalised ? t : zero_where_none_is_used(p, w, t);
}

/* ---- what statements are made of --------------------------------------------------------------------------------- */

static bool any_random_in(const Plan *p, const Term *t) {
  if (!t || !(t->mentions & MENTIONS_LATENT)) return false;
  if (t->kind == TERM_LATENT && is_random(&p->latents->of[t->latent->id])) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (any_random_in(p, t->args.at[i])) return true;
  return false;
}

bool statement_mentions(const Statement *s, const Latent *z) {
  bool any =
      (s->w->value && term_mentions_latent(s->w->value, z)) || (s->w->left && term_mentions_latent(s->w->left, z));
  for (uint32_t i = 0; i < s->w->params.n; i++) any |= term_mentions_latent(s->w->params.at[i], z);
  return any;
}

const Obstacle *obstacle_to(const Statement *s, const Latent *z) {
  if (!s->t) return &s->why;
  const Obstacle *o = s->obstacles ? &s->obstacles[z->id] : NULL;
  return o && o->text ? o : NULL;
}

/* As a sum of monomials in some latents, of which the others are independent under q. */
static void collect_in_some(Plan *p, Statement *s) {
  Model *m = (Model *)p->model;
  s->obstacles = NEW_ARRAY(p->arena, Obstacle, m->latents.n);
  collect_monomials_of_some(m, s->t, &s->poly, s->obstacles);
  for (uint32_t i = 0; i < s->poly.n; i++) {
    Monomial *x = &s->poly.at[i];
    Obstacle why = {0};
    Term *surplus;
    if (!x->coef || !any_random(p, x->coef)) continue;
    if (mean_surplus(p, x->coef, &surplus, &why)) x->coef = make_sum(p->arena, at_means(p, x->coef), surplus);
  }
}

static void refuse_random(Plan *p, const Statement *s) {
  plan_refuse(p, s->why.span,
              arena_printf(p->arena, "%s has no expectation in closed form under a q that is no point", s->why.text),
              "means are known of polynomials, of exponentials of what is affine, and of their products; "
              "with 'q = point' the weight may be any function of the latent");
}

/* What a statement over edges adds counts only where their copy exists, also where no edge stands in it. */
void only_where_it_exists(Plan *p, const Weight *w, Monomials *poly) {
  const Term *e = w->value ? term_find(w->value, TERM_EDGE) : NULL;
  if (!e && w->left) e = term_find(w->left, TERM_EDGE);
  for (uint32_t i = 0; !e && i < w->params.n; i++) e = term_find(w->params.at[i], TERM_EDGE);
  for (uint32_t i = 0; e && i < poly->n; i++) {
    Monomial *x = &poly->at[i];
    bool any = (x->coef && term_mentions_edge(x->coef, NULL)) || (x->cond && term_mentions_edge(x->cond, NULL));
    for (uint32_t k = 0; k < x->stats.n; k++) any |= term_mentions_edge(x->stats.at[k].ref, NULL);
    if (!any) x->coef = make_product(p->arena, x->coef, term_existence(p->arena, (Term *)e));
  }
}

static void collect_statement(Plan *p, Statements *all, Weight *w) {
  Statement s = {.w = w};
  Obstacle no_mean = {0};
  s.t = statement_term(p, w, &s.why);
  s.collected = s.t && collect_monomials((Model *)p->model, s.t, &s.poly, &s.why);
  s.random = any_random_in(p, w->value) || any_random_in(p, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) s.random |= any_random_in(p, w->params.at[i]);
  bool low = s.collected && is_low(p, &s.poly);
  if (low || !s.random) p->latents->correction[w->id] = s.collected ? mean_correction(p, &s.poly, &no_mean) : NULL;
  else if (s.t) mean_surplus(p, s.t, &p->latents->correction[w->id], &no_mean);
  if (s.t && !s.collected) collect_in_some(p, &s);
  if (no_mean.text) s.why = no_mean;
  if (s.random && (!s.t || no_mean.text)) refuse_random(p, &s);
  only_where_it_exists(p, w, &s.poly);
  if (w->id < p->own_weights) vec_push(p->arena, all, s); /* what a question adds moves no latent */
}

Statements collect_statements(Plan *p) {
  Statements all = {0};
  for (uint32_t i = 0; i < p->model->weights.n; i++)
    if (mentions_variables(p->model->weights.at[i])) collect_statement(p, &all, p->model->weights.at[i]);
  return all;
}
