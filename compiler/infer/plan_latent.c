/* plan_latent: what a step does to each latent; see latent.h. */
#include "infer/latent.h"

#include "base/ice.h"

Index *latent_index(const Latent *z, uint32_t i) {
  if (i < z->plates.n) return z->plates.at[i];
  i -= z->plates.n;
  return i < z->own.n ? z->own.at[i] : z->axes.at[i - z->own.n];
}

uint32_t latent_rank(const Latent *z) { return z->plates.n + z->own.n + z->axes.n; }

static const char *name(const Plan *p, const Latent *z) { return sym_text(p->model->names, z->name); }

static void refuse(Plan *p, Span span, const char *text, const char *hint) {
  for (uint32_t i = 0; i < p->refusals.n; i++)
    if (p->refusals.at[i].span.lo == span.lo) return;
  vec_push(p->arena, &p->refusals, (Refusal){span, text, hint});
}

/* ---- the range of a latent, and its q -------------------------------------------------------------------------- */

static Form form_of(const Latent *z) {
  Form f = FORM_QUADRATIC;
  for (uint32_t i = 0; i < z->priors.n; i++) {
    Dist d = z->priors.at[i]->dist;
    if (d == DIST_BETA) f = FORM_BETA;
    if (d == DIST_GAMMA || d == DIST_EXPONENTIAL) f = FORM_GAMMA;
    if (d == DIST_DIRICHLET) f = FORM_DIRICHLET;
  }
  return f;
}

static bool set_family(Plan *p, LatentPlan *l) {
  Dist prior = l->z->prior ? l->z->prior->dist : DIST_NORMAL;
  l->family = FAMILY_POINT;
  if (l->line->q == Q_POINT) return true;
  bool normal = l->form == FORM_QUADRATIC && (l->line->q == Q_GAUSSIAN || prior == DIST_NORMAL);
  if (normal) l->family = FAMILY_NORMAL;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_BETA) l->family = FAMILY_BETA;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_GAMMA) l->family = FAMILY_GAMMA;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_DIRICHLET) l->family = FAMILY_DIRICHLET;
  if (l->family != FAMILY_POINT) return true;
  const char *q = l->line->q == Q_GAUSSIAN ? "gaussian" : "conjugate";
  refuse(p, l->line->span, arena_printf(p->arena, "'q = %s' for '%s', whose prior is %s, is not compiled yet", q, name(p, l->z), dist_name(prior)),
         "a point q has no such limit");
  return false;
}

/* ---- the log weight of a statement ---------------------------------------------------------------------------------- */

/* sum_k z[.., k] = 1 over the whole of a vector with a dirichlet prior: categorical(z) over the whole range is normalised. */
static bool is_normalised_already(const Weight *w) {
  const Term *t = w->params.at[0];
  if (w->dist == DIST_LOGITS && t->kind == TERM_OP && t->op == OP_LOG) t = t->args.at[0];
  else if (w->dist != DIST_WEIGHTS) return false;
  if (t->kind != TERM_LATENT || form_of(t->latent) != FORM_DIRICHLET || w->edge->where || w->edge->or_none) return false;
  uint32_t last = t->args.n - 1;
  for (uint32_t i = 0; i < last; i++)
    if (term_mentions_edge(t->args.at[i], w->edge)) return false;
  const Range *r = &w->edge->range, *whole = &latent_index(t->latent, last)->range;
  return t->args.at[last]->kind == TERM_EDGE && t->args.at[last]->edge == w->edge && w->edge->domain == DOMAIN_RANGE &&
         r->kind == RANGE_INTERVAL && term_equal(r->lo, whole->lo) && term_equal(r->hi, whole->hi);
}

static bool mentions_variables(const Weight *w) {
  if ((w->value && has_variable(w->value)) || (w->left && has_variable(w->left))) return true;
  for (uint32_t i = 0; i < w->params.n; i++)
    if (has_variable(w->params.at[i])) return true;
  return false;
}

/* The log weight at a point of the statement's plates; NULL, and why. */
static Term *statement_term(Plan *p, const Weight *w, Obstacle *why) {
  Arena *a = p->arena;
  bool normalised = w->kind == WEIGHT_PRIOR && w->edge && (w->dist == DIST_WEIGHTS || w->dist == DIST_LOGITS);
  Term *t = log_term((Model *)p->model, w);
  if (t && normalised && !is_normalised_already(w)) t = NULL, why->text = "a prior whose normaliser depends on a latent";
  if (t && w->edge && w->edge->domain == DOMAIN_BIT && w->edge->where) t = NULL, why->text = "the prior of a bit with 'where'";
  if (!t) {
    *why = (Obstacle){w->span, why->text ? why->text : "this use of a latent"};
    return NULL;
  }
  for (uint32_t i = w->axes.n; i-- > 0;) t = term_reduce(a, REDUCE_SUM, w->axes.at[i], t, t->span);
  Term *none = uses_none(a, w);
  return none ? term_if(a, none, term_real(a, 0, t->span), t, t->span) : t;
}

/* ---- sums of statistics ------------------------------------------------------------------------------------------------ */

static bool in_range_above_zero(const Plan *p, const Term *t) {
  return t->kind == TERM_LATENT && p->latents->of[t->latent->id].form != FORM_QUADRATIC && t->moment <= MOMENT_VARIANCE;
}

static bool is_nonnegative(const Plan *p, const Term *t) {
  if (t->nonnegative || in_range_above_zero(p, t)) return true;
  if (t->kind != TERM_OP || (t->op != OP_MUL && t->op != OP_DIV && t->op != OP_ADD)) return false;
  return is_nonnegative(p, t->args.at[0]) && is_nonnegative(p, t->args.at[1]);
}

/* Which coefficient of its form the statistic belongs to; -1: to none. */
static int coefficient_of(Form form, const Stat *s) {
  bool first = s->kind == STAT_POWER && s->power == 1;
  switch (form) {
  case FORM_NONE: return -1;
  case FORM_QUADRATIC: return first ? 0 : s->kind == STAT_POWER && s->power == 2 ? 1 : -1;
  case FORM_BETA: return s->kind == STAT_LOG ? 0 : s->kind == STAT_LOG1M ? 1 : -1;
  case FORM_GAMMA: return s->kind == STAT_LOG ? 0 : first ? 1 : -1;
  case FORM_DIRICHLET: return s->kind == STAT_LOG ? 0 : -1;
  }
  ICE("unknown form");
}

static void not_closed(LatentPlan *l, Span span, const char *text) {
  l->closed = false;
  if (!l->why.text) l->why = (Obstacle){span, text};
}

static bool joined_in_line(const Plan *p, const Monomial *x, const LatentPlan *l) {
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const LatentPlan *other = &p->latents->of[x->stats.at[i].ref->latent->id];
    if (other != l && other->line == l->line && l->form == FORM_QUADRATIC && other->form == FORM_QUADRATIC) return true;
  }
  return false;
}

static uint32_t count_of(const Monomial *x, const Latent *z) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->stats.n; i++) n += x->stats.at[i].ref->latent == z;
  return n;
}

static void add_statistic(Plan *p, const Weight *w, const Monomial *x, uint32_t i) {
  const Stat *s = &x->stats.at[i];
  LatentPlan *l = &p->latents->of[s->ref->latent->id];
  int k = coefficient_of(l->form, s);
  if (k < 0) {
    not_closed(l, s->ref->span, "this function of the latent");
    return;
  }
  if (count_of(x, l->z) > 1 || joined_in_line(p, x, l)) {
    not_closed(l, s->ref->span, "components that are joined to each other");
    return;
  }
  Term *others;
  Obstacle why = {0};
  if (!expected_stats(p, x, (int)i, l->line, &others, &why)) {
    not_closed(l, why.span, why.text);
    return;
  }
  if (l->form == FORM_QUADRATIC && k == 1)
    l->concave &= x->scale <= 0 && (!x->coef || is_nonnegative(p, x->coef)) && (!others || is_nonnegative(p, others));
  vec_push(p->arena, &l->sum[k], component_statistic((Model *)p->model, &w->plates, x, i, others));
}

static void obstacle_for_all(Plan *p, const Term *t, const Obstacle *why) {
  if (!t || !(t->mentions & MENTIONS_LATENT)) return;
  if (t->kind == TERM_LATENT) not_closed(&p->latents->of[t->latent->id], why->span, why->text);
  for (uint32_t i = 0; i < t->args.n; i++) obstacle_for_all(p, t->args.at[i], why);
}

static bool any_random_in(const Plan *p, const Term *t) {
  if (!t || !(t->mentions & MENTIONS_LATENT)) return false;
  if (t->kind == TERM_LATENT && is_random(&p->latents->of[t->latent->id])) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (any_random_in(p, t->args.at[i])) return true;
  return false;
}

static void collect_weight(Plan *p, Weight *w) {
  Obstacle why = {0};
  Poly poly;
  Term *t = statement_term(p, w, &why);
  if (t && poly_collect((Model *)p->model, t, &poly, &why)) {
    for (uint32_t k = 0; k < poly.n; k++)
      for (uint32_t i = 0; i < poly.at[k].stats.n; i++) add_statistic(p, w, &poly.at[k], i);
    p->latents->correction[w->id] = mean_correction(p, &poly, &why);
    if (!why.text) return;
  }
  bool random = any_random_in(p, w->value) || any_random_in(p, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) random |= any_random_in(p, w->params.at[i]);
  if (random)
    refuse(p, why.span, arena_printf(p->arena, "%s has no expectation in closed form under a q that is no point", why.text),
           "with 'q = point' the weight may be any function of the latent");
  obstacle_for_all(p, w->value, &why);
  obstacle_for_all(p, w->left, &why);
  for (uint32_t i = 0; i < w->params.n; i++) obstacle_for_all(p, w->params.at[i], &why);
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------ */

static const char *form_text(Form f) {
  switch (f) {
  case FORM_NONE: break;
  case FORM_QUADRATIC: return "a quadratic in each component";
  case FORM_BETA: return "a log z + b log(1 - z)";
  case FORM_GAMMA: return "a log z + b z";
  case FORM_DIRICHLET: return "a sum of a log z";
  }
  return "of a known form";
}

static void check_step(Plan *p, LatentPlan *l) {
  if (l->closed) return;
  const char *text = arena_printf(p->arena, "no closed step for '%s': its log weight is not %s (%s)", name(p, l->z), form_text(l->form),
                                  l->why.text ? l->why.text : "nothing of it moves");
  if (l->line->step == STEP_CLOSED) refuse(p, l->line->span, text, "with 'method = gradient' it takes gradient steps");
  else refuse(p, l->why.text ? l->why.span : l->line->span, arena_printf(p->arena, "%s: steps along the gradient are not compiled yet", text), NULL);
}

void plan_latents(Plan *p) {
  const Model *m = p->model;
  if (!m->latents.n) return;
  p->latents = NEW(p->arena, struct Latents);
  p->latents->of = NEW_ARRAY(p->arena, LatentPlan, m->latents.n);
  p->latents->correction = NEW_ARRAY(p->arena, Term *, m->weights.n);
  bool good = true;
  for (uint32_t i = 0; i < m->latents.n; i++) {
    LatentPlan *l = &p->latents->of[i];
    *l = (LatentPlan){.z = m->latents.at[i], .line = m->latents.at[i]->infer, .closed = true, .concave = true};
    l->form = form_of(l->z);
    good &= set_family(p, l);
  }
  if (!good) return;
  for (uint32_t i = 0; i < m->weights.n; i++)
    if (mentions_variables(m->weights.at[i])) collect_weight(p, m->weights.at[i]);
  for (uint32_t i = 0; i < m->latents.n; i++) check_step(p, &p->latents->of[i]);
}
