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

typedef struct Replace { Plan *p; const Edge *edge; Term *by; } Replace;

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

/* The log weight at a point of the statement's plates; NULL, and why. */
static Term *statement_term(Plan *p, const Weight *w, Obstacle *why) {
  Arena *a = p->arena;
  bool normalised = w->kind == WEIGHT_PRIOR && w->edge && (w->dist == DIST_WEIGHTS || w->dist == DIST_LOGITS);
  Term *t = log_term((Model *)p->model, w);
  if (t && normalised && !is_normalised_already(w)) {
    Term *norm = log_normaliser(p, w);
    t = norm ? term_op2(a, OP_SUB, t, norm, w->span) : NULL;
    if (!t) why->text = "a prior over bits, or with 'none', whose normaliser depends on a latent";
  }
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

/* ---- what statements are made of ---------------------------------------------------------------------------------------- */

/* A statement that latents stand in: its log weight, and that as a sum of monomials where it is one. */
typedef struct Statement { Weight *w; Term *t; bool collected; Monomials poly; Obstacle why; bool random; } Statement;

typedef VEC(Statement) Statements;

static bool any_random_in(const Plan *p, const Term *t) {
  if (!t || !(t->mentions & MENTIONS_LATENT)) return false;
  if (t->kind == TERM_LATENT && is_random(&p->latents->of[t->latent->id])) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (any_random_in(p, t->args.at[i])) return true;
  return false;
}

static bool mentions(const Statement *s, const Latent *z) {
  bool any = (s->w->value && term_mentions_latent(s->w->value, z)) || (s->w->left && term_mentions_latent(s->w->left, z));
  for (uint32_t i = 0; i < s->w->params.n; i++) any |= term_mentions_latent(s->w->params.at[i], z);
  return any;
}

static void refuse_random(Plan *p, const Statement *s) {
  refuse(p, s->why.span, arena_printf(p->arena, "%s has no expectation in closed form under a q that is no point", s->why.text),
         "with 'q = point' the weight may be any function of the latent");
}

/* What a statement over edges adds counts only where their copy exists, also where no edge stands in it. */
static void only_where_it_exists(Plan *p, const Weight *w, Monomials *poly) {
  const Term *e = w->value ? term_find(w->value, TERM_EDGE) : NULL;
  if (!e && w->left) e = term_find(w->left, TERM_EDGE);
  for (uint32_t i = 0; !e && i < w->params.n; i++) e = term_find(w->params.at[i], TERM_EDGE);
  for (uint32_t i = 0; e && i < poly->n; i++) {
    Monomial *x = &poly->at[i];
    bool any = (x->coef && term_mentions_edge(x->coef, NULL)) || (x->cond && term_mentions_edge(x->cond, NULL));
    for (uint32_t k = 0; k < x->stats.n; k++) any |= term_mentions_edge(x->stats.at[k].ref, NULL);
    Term *exists = term_to_real(p->arena, term_op2(p->arena, OP_EQ, (Term *)e, (Term *)e, e->span));
    if (!any) x->coef = make_product(p->arena, x->coef, exists);
  }
}

static void collect_statement(Plan *p, Statements *all, Weight *w) {
  Statement s = {.w = w};
  s.t = statement_term(p, w, &s.why);
  s.collected = s.t && collect_monomials((Model *)p->model, s.t, &s.poly, &s.why);
  s.random = any_random_in(p, w->value) || any_random_in(p, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) s.random |= any_random_in(p, w->params.at[i]);
  if (s.collected) p->latents->correction[w->id] = mean_correction(p, &s.poly, &s.why);
  if (s.random && s.why.text) refuse_random(p, &s);
  only_where_it_exists(p, w, &s.poly);
  vec_push(p->arena, all, s);
}

/* ---- is there a closed step? ----------------------------------------------------------------------------------------------- */

static uint32_t count_of(const Monomial *x, const Latent *z) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->stats.n; i++) n += x->stats.at[i].ref->latent == z;
  return n;
}

static void judge_monomial(LatentPlan *l, const Monomial *x) {
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const Stat *s = &x->stats.at[i];
    if (s->ref->latent != l->z) continue;
    bool alone = count_of(x, l->z) == 1, pair = l->form == FORM_QUADRATIC && count_of(x, l->z) == 2 && s->power == 1;
    if (coefficient_of(l->form, s) < 0) not_closed(l, s->ref->span, "this function of the latent");
    else if (!alone && !pair) not_closed(l, s->ref->span, "a product of components");
  }
}

static void judge(LatentPlan *l, const Statements *all) {
  for (uint32_t i = 0; i < all->n; i++) {
    const Statement *s = &all->at[i];
    if (!mentions(s, l->z)) continue;
    if (!s->collected) not_closed(l, s->why.span, s->why.text);
    else
      for (uint32_t k = 0; k < s->poly.n; k++) judge_monomial(l, &s->poly.at[k]);
  }
}

/* ---- coefficients -------------------------------------------------------------------------------------------------------------- */

/* What is still a variable is the number it has: for the latents of this line that have made their step, the new one. */
static Term *settle(const Plan *p, Term *t, const Infer *line) {
  if (!(t->mentions & MENTIONS_LATENT)) return t;
  Term *u = NEW(p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &u->args, settle(p, t->args.at[i], line));
  if (t->kind == TERM_LATENT) {
    const LatentPlan *l = &p->latents->of[t->latent->id];
    if (t->moment == MOMENT_VALUE) u->moment = MOMENT_MEAN;
    u->fresh = l->line == line && !l->gradient;
  }
  return term_finish(u);
}

static void push(Plan *p, LatentPlan *l, int k, Term *t) { vec_push(p->arena, &l->sum[k], settle(p, t, l->line)); }

/* The statistics of members of a joint form in a monomial, at most two. */
static uint32_t members_in(const Plan *p, const Monomial *x, const Joint *j, int *at) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->stats.n; i++)
    if (p->latents->of[x->stats.at[i].ref->latent->id].joint == j) {
      if (n < 2) at[n] = (int)i;
      n++;
    }
  return n;
}

static void add_pair(Plan *p, LatentPlan *l, const Statement *s, const Monomial *x, uint32_t i, uint32_t k) {
  LatentPlan *other = &p->latents->of[x->stats.at[k].ref->latent->id];
  Term *rest;
  Monomial without = *x;
  Obstacle why = {0};
  without.stats.n = 0;
  for (uint32_t n = 0; n < x->stats.n; n++)
    if (n != i && n != k) vec_push(p->arena, &without.stats, x->stats.at[n]);
  if (without.stats.n == 0) without.stats.at = NULL;
  if (!expected_stats(p, &without, -1, &rest, &why)) {
    refuse(p, why.span, why.text, NULL);
    return;
  }
  Target targets[2] = {{i, NULL}, {k, &other->other}};
  Term *t = targets_statistic((Model *)p->model, &s->w->plates, x, targets, 2, rest);
  vec_push(p->arena, &l->joint->pairs, ((Pair){l, other, settle(p, t, l->line)}));
}

/* Does the statement pull at z without bending it?  Then a component with no other weight has a slope, and no top. */
static bool only_pulls(const LatentPlan *l, const Statement *s) {
  bool pulls = false;
  for (uint32_t m = 0; m < s->poly.n; m++)
    for (uint32_t i = 0; i < s->poly.at[m].stats.n; i++) {
      const Stat *t = &s->poly.at[m].stats.at[i];
      if (t->ref->latent != l->z) continue;
      if (t->power == 2) return false;
      pulls = true;
    }
  return pulls;
}

static bool has_normal_prior(const Latent *z) { return z->priors.n == 1 && z->prior->dist == DIST_NORMAL; }

static void add_closed(Plan *p, LatentPlan *l, const Statement *s) {
  if (l->form == FORM_QUADRATIC && only_pulls(l, s) && !has_normal_prior(l->z)) l->concave = false;
  for (uint32_t m = 0; m < s->poly.n; m++) {
    const Monomial *x = &s->poly.at[m];
    for (uint32_t i = 0; i < x->stats.n; i++) {
      if (x->stats.at[i].ref->latent != l->z) continue;
      int k = coefficient_of(l->form, &x->stats.at[i]), at[2];
      if (l->joint && members_in(p, x, l->joint, at) == 2) {
        add_pair(p, l, s, x, i, (uint32_t)(at[0] == (int)i ? at[1] : at[0]));
        continue;
      }
      Term *others;
      Obstacle why = {0};
      if (!expected_stats(p, x, (int)i, &others, &why)) {
        refuse(p, why.span, why.text, NULL);
        return;
      }
      if (l->form == FORM_QUADRATIC && k == 1)
        l->concave &= x->scale <= 0 && (!x->coef || is_nonnegative(p, x->coef)) && (!others || is_nonnegative(p, others));
      push(p, l, k, component_statistic((Model *)p->model, &s->w->plates, x, i, others));
    }
  }
}

static void add_slope(Plan *p, LatentPlan *l, const Statement *s) {
  Monomials d;
  Obstacle why = {0};
  Term *t = s->random ? expected_over_random(p, &s->poly, &why) : s->t;
  if (!t && s->t && !why.text) return; /* nothing moves it */
  if (!t || !differentiate((Model *)p->model, t, &d, &why)) {
    if (!why.text) why = s->why;
    refuse(p, why.span, arena_printf(p->arena, "no step for '%s' is known here: %s", name(p, l->z), why.text), NULL);
    return;
  }
  only_where_it_exists(p, s->w, &d);
  for (uint32_t m = 0; m < d.n; m++)
    if (d.at[m].stats.at[0].ref->latent == l->z)
      push(p, l, 0, component_statistic((Model *)p->model, &s->w->plates, &d.at[m], 0, NULL));
}

/* ---- joint forms ---------------------------------------------------------------------------------------------------------- */

/* Degree in the latents of the line (of one latent: `only`). */
static double degree_of(const Plan *p, const Monomial *x, const Infer *line, const LatentPlan *only, uint32_t *refs) {
  double degree = 0;
  *refs = 0;
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const LatentPlan *l = &p->latents->of[x->stats.at[i].ref->latent->id];
    if (l->line != line || (only && l != only)) continue;
    degree += x->stats.at[i].power;
    ++*refs;
  }
  return degree;
}

/* Is all of it quadratic in the latents together, and are there products of two components? */
static bool is_joint(const Plan *p, const Statements *all, const Infer *line, const LatentPlan *only) {
  bool products = false;
  for (uint32_t i = 0; i < line->latents.n; i++) {
    const LatentPlan *l = &p->latents->of[line->latents.at[i]->id];
    if ((!only || l == only) && (!l->closed || l->form != FORM_QUADRATIC)) return false;
  }
  for (uint32_t i = 0; i < all->n; i++)
    for (uint32_t k = 0; all->at[i].collected && k < all->at[i].poly.n; k++) {
      uint32_t refs;
      if (degree_of(p, &all->at[i].poly.at[k], line, only, &refs) > 2) return false;
      products |= refs == 2;
    }
  return products;
}

/* How many leading indices every product has in common. */
static uint32_t shared_indices(const Plan *p, const Statements *all, const Infer *line, const LatentPlan *only) {
  uint32_t shared = UINT32_MAX;
  const Latent *first = only ? only->z : line->latents.at[0];
  for (uint32_t i = 0; i < line->latents.n; i++) {
    const Latent *z = line->latents.at[i];
    if (only && z != only->z) continue;
    uint32_t limit = only ? z->plates.n + z->own.n : z->plates.n;
    if (limit < shared) shared = limit;
    for (uint32_t k = 0; k < shared; k++)
      if (latent_index(z, k) != latent_index(first, k)) shared = k;
  }
  for (uint32_t i = 0; i < all->n; i++)
    for (uint32_t k = 0; all->at[i].collected && k < all->at[i].poly.n; k++) {
      const Monomial *x = &all->at[i].poly.at[k];
      uint32_t refs;
      degree_of(p, x, line, only, &refs);
      const Term *a = NULL;
      for (uint32_t r = 0; refs == 2 && r < x->stats.n; r++) {
        const LatentPlan *l = &p->latents->of[x->stats.at[r].ref->latent->id];
        if (l->line != line || (only && l != only)) continue;
        for (uint32_t n = 0; a && n < shared; n++)
          if (!term_equal(a->args.at[n], x->stats.at[r].ref->args.at[n])) shared = n;
        a = x->stats.at[r].ref;
      }
    }
  return shared;
}

static void make_joint(Plan *p, const Statements *all, const Infer *line, LatentPlan *only) {
  Joint *j = NEW(p->arena, Joint);
  j->outer = shared_indices(p, all, line, only);
  for (uint32_t i = 0; i < line->latents.n; i++) {
    LatentPlan *l = &p->latents->of[line->latents.at[i]->id];
    if (only && l != only) continue;
    l->joint = j;
    vec_push(p->arena, &j->members, l);
    for (uint32_t k = 0; k < latent_rank(l->z); k++) {
      Index *own = latent_index(l->z, k), *other = own;
      if (k >= j->outer) {
        other = NEW(p->arena, Index);
        *other = *own;
        other->id = ((Model *)p->model)->index_count++;
        other->name = intern_str(p->model->names, arena_printf(p->arena, "%s'", sym_text(p->model->names, own->name)));
      }
      vec_push(p->arena, &l->other, other);
    }
  }
}

static void find_joints(Plan *p, const Statements *all) {
  for (uint32_t i = 0; i < p->model->infers.n; i++) {
    const Infer *line = p->model->infers.at[i];
    if (line->method != INFER_COLLAPSED || line->step == STEP_GRADIENT) continue;
    if (is_joint(p, all, line, NULL)) {
      make_joint(p, all, line, NULL);
      continue;
    }
    for (uint32_t k = 0; k < line->latents.n; k++) {
      LatentPlan *l = &p->latents->of[line->latents.at[k]->id];
      if (is_joint(p, all, line, l)) make_joint(p, all, line, l);
    }
  }
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------ */

const char *form_text(Form f) {
  switch (f) {
  case FORM_NONE: break;
  case FORM_QUADRATIC: return "a quadratic in each component";
  case FORM_BETA: return "a log z + b log(1 - z)";
  case FORM_GAMMA: return "a log z + b z";
  case FORM_DIRICHLET: return "a sum of a log z";
  }
  return "of a known form";
}

static void choose_step(Plan *p, LatentPlan *l) {
  l->gradient = !l->closed || l->line->step == STEP_GRADIENT;
  if (!l->gradient) return;
  if (l->line->step == STEP_CLOSED) {
    const char *text = arena_printf(p->arena, "no closed step for '%s': its log weight is not %s (%s)", name(p, l->z), form_text(l->form), l->why.text);
    refuse(p, l->line->span, text, "with 'method = gradient' it takes gradient steps");
  } else if (is_random(l)) {
    refuse(p, l->line->span, arena_printf(p->arena, "gradient steps of a q that is no point are not compiled yet ('%s')", name(p, l->z)),
           "with 'q = point' the step is along the gradient");
  }
}

static bool prepare(Plan *p) {
  const Model *m = p->model;
  bool good = true;
  p->latents = NEW(p->arena, struct Latents);
  p->latents->of = NEW_ARRAY(p->arena, LatentPlan, m->latents.n);
  p->latents->correction = NEW_ARRAY(p->arena, Term *, m->weights.n);
  for (uint32_t i = 0; i < m->latents.n; i++) {
    LatentPlan *l = &p->latents->of[i];
    *l = (LatentPlan){.z = m->latents.at[i], .line = m->latents.at[i]->infer, .closed = true, .concave = true};
    l->form = form_of(l->z);
    good &= set_family(p, l);
  }
  return good;
}

void plan_latents(Plan *p) {
  const Model *m = p->model;
  Statements all = {0};
  if (!m->latents.n || !prepare(p)) return;
  for (uint32_t i = 0; i < m->weights.n; i++)
    if (mentions_variables(m->weights.at[i])) collect_statement(p, &all, m->weights.at[i]);
  for (uint32_t i = 0; i < m->latents.n; i++) {
    judge(&p->latents->of[i], &all);
    choose_step(p, &p->latents->of[i]);
  }
  if (p->refusals.n) return;
  find_joints(p, &all);
  for (uint32_t i = 0; i < m->latents.n; i++) {
    LatentPlan *l = &p->latents->of[i];
    for (uint32_t k = 0; k < all.n; k++)
      if (mentions(&all.at[k], l->z)) {
        if (l->gradient) add_slope(p, l, &all.at[k]);
        else add_closed(p, l, &all.at[k]);
      }
  }
}
