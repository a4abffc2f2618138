/* statement: the weight statements that latents stand in, as terms and as sums of monomials.
 *
 * A prior that is normalised over the support of its edge carries -log of its normaliser as a part, but where a simplex
 * makes that 0: sum_k z[k] = 1.  A statement that uses a `none` is 1 as a whole; one over edges counts where their copy
 * exists. */
#include "infer/latent_plan.h"

/* ---- the log weight of a statement ------------------------------------------------------------------------------- */

static bool mentions_copy(const Term *t, const Term *ref) {
  if (term_equal(t, ref)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (mentions_copy(t->args.at[i], ref)) return true;
  return false;
}

/* sum_k z[.., k] = 1 over the whole of a vector with a dirichlet prior: categorical(z) over the whole range is
 * normalised. */
static bool is_normalised_already(const Weight *w) {
  const Term *t = w->params.at[0];
  if (w->dist == DIST_LOGITS && t->kind == TERM_OP && t->op == OP_LOG)
    t = t->args.at[0];
  else if (w->dist != DIST_WEIGHTS)
    return false;
  if (t->kind != TERM_LATENT || form_of_latent(t->latent) != FORM_DIRICHLET || w->edge->where || w->edge->or_none)
    return false;
  uint32_t last = t->args.n - 1;
  for (uint32_t i = 0; i < last; i++)
    if (mentions_copy(t->args.at[i], w->edge_ref)) return false;
  const Range *r = &w->edge->range, *whole = &latent_index(t->latent, last)->range;
  return term_equal(t->args.at[last], w->edge_ref) && w->edge->domain == DOMAIN_RANGE &&
         r->kind == RANGE_INTERVAL && term_equal(r->lo, whole->lo) && term_equal(r->hi, whole->hi);
}

static bool mentions_variables(const Weight *w) {
  if ((w->value && has_variable(w->value)) || (w->left && has_variable(w->left))) return true;
  for (uint32_t i = 0; i < w->params.n; i++)
    if (has_variable(w->params.at[i])) return true;
  return false;
}

typedef struct Replace {
  Plan *p;
  const Edge *edge;
  Term *by;
} Replace;

static Term *replace_edge(const Replace *r, Term *t) {
  if (t->kind == TERM_EDGE && t->edge == r->edge && refers_to_own_copy(t)) return r->by;
  if (!(t->mentions & MENTIONS_EDGE)) return t;
  Term *u = NEW(r->p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(r->p->arena, &u->args, replace_edge(r, t->args.at[i]));
  return term_finish(u);
}

/* log of the sum of the prior's weights over the support; NULL: not as a term. */
static Term *log_normaliser(Plan *p, const Weight *w) {
  Model *m = (Model *)p->model;
  Arena *a = p->arena;
  if (w->edge->or_none || w->edge->domain != DOMAIN_RANGE) return NULL;
  Index *j = NEW(a, Index);
  *j = (Index){m->index_count++, w->edge->name, w->span, INDEX_REDUCE, w->edge->range};
  Replace r = {p, w->edge, term_index(a, j, w->span)};
  Term *value = replace_edge(&r, w->params.at[0]);
  if (w->dist == DIST_LOGITS) value = term_op1(a, OP_EXP, value, w->span);
  if (w->edge->where) value = term_if(a, replace_edge(&r, w->edge->where), value, term_real(a, 0, w->span), w->span);
  return term_op1(a, OP_LOG, term_reduce(a, REDUCE_SUM, j, value, w->span), w->span);
}

/* sum over the values j of the support, those behind the edge's own value or all, of log(1 - p(j)). */
static Term *log_left(Plan *p, const Weight *w, bool behind) {
  Model *m = (Model *)p->model;
  Arena *a = p->arena;
  Index *j = NEW(a, Index);
  *j = (Index){m->index_count++, w->edge->name, w->span, INDEX_REDUCE, w->edge->range};
  Term *at = term_index(a, j, w->span), *zero = term_real(a, 0, w->span);
  Replace r = {p, w->edge, at};
  Term *share = term_to_real(a, replace_edge(&r, w->params.at[0]));
  Term *value = term_op1(a, OP_LOG1P, term_op1(a, OP_NEG, share, w->span), w->span);
  if (w->edge->where) value = term_if(a, replace_edge(&r, w->edge->where), value, zero, w->span);
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

/* The log weight at a point of the statement's plates; NULL, and why. */
static Term *statement_term(Plan *p, const Weight *w, Obstacle *why) {
  Arena *a = p->arena;
  if (w->kind == WEIGHT_PRIOR && w->edge && w->dist == DIST_STICK_BREAKING) {
    Term *stick = stick_term(p, w, why);
    why->span = w->span;
    return stick;
  }
  bool normalised = w->kind == WEIGHT_PRIOR && w->edge && (w->dist == DIST_WEIGHTS || w->dist == DIST_LOGITS);
  Term *t = log_term((Model *)p->model, w);
  if (t && normalised && !is_normalised_already(w)) {
    Term *norm = log_normaliser(p, w);
    t = norm ? term_op2(a, OP_SUB, t, norm, w->span) : NULL;
    if (!t) why->text = "a prior over bits, or with 'none', whose normaliser depends on a latent";
  }
  if (t && w->edge && w->edge->domain == DOMAIN_BIT && w->edge->where)
    t = NULL, why->text = "the prior of a bit with 'where'";
  if (!t) {
    *why = (Obstacle){w->span, why->text ? why->text : "this use of a latent"};
    return NULL;
  }
  for (uint32_t i = w->axes.n; i-- > 0;) t = term_reduce(a, REDUCE_SUM, w->axes.at[i], t, t->span);
  Term *none = uses_none(a, w);
  return none ? term_if(a, none, term_real(a, 0, t->span), t, t->span) : t;
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
