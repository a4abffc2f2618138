/* plan_latent: what a step does to each latent; see latent.h. */
#include "base/ice.h"
#include "infer/latent_plan.h"

Index *latent_index(const Latent *z, uint32_t i) {
  if (i < z->plates.n) return z->plates.at[i];
  i -= z->plates.n;
  return i < z->own.n ? z->own.at[i] : z->axes.at[i - z->own.n];
}

uint32_t latent_rank(const Latent *z) { return z->plates.n + z->own.n + z->axes.n; }

static const char *name(const Plan *p, const Latent *z) { return sym_text(p->model->names, z->name); }

/* ---- the range of a latent, and its q -------------------------------------------------------------------------- */

Form form_of_latent(const Latent *z) {
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
  l->family = Q_FAMILY_POINT;
  if (l->line->q == Q_POINT) return true;
  if (l->line->q == Q_CONJUGATE && !l->z->prior) {
    plan_refuse(p, l->line->span,
                arena_printf(p->arena, "'q = conjugate' takes the family of a prior, and '%s' has none", name(p, l->z)),
                "'q = gaussian' starts from 'init' with variance 1");
    return false;
  }
  bool normal = l->form == FORM_QUADRATIC && (l->line->q == Q_GAUSSIAN || prior == DIST_NORMAL);
  if (normal)
    l->family = Q_FAMILY_NORMAL;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_BETA)
    l->family = Q_FAMILY_BETA;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_GAMMA)
    l->family = Q_FAMILY_GAMMA;
  else if (l->line->q == Q_CONJUGATE && l->form == FORM_DIRICHLET)
    l->family = Q_FAMILY_DIRICHLET;
  if (l->family != Q_FAMILY_POINT) return true;
  const char *q = l->line->q == Q_GAUSSIAN ? "gaussian" : "conjugate";
  plan_refuse(p, l->line->span,
              arena_printf(p->arena, "'q = %s' for '%s', whose prior is %s, is not compiled yet", q, name(p, l->z),
                           dist_name(prior)),
              "a point q has no such limit");
  return false;
}

/* ---- sums of statistics ------------------------------------------------------------------------------------------ */

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
  case FORM_SPREAD: return s->kind == STAT_LOG ? 0 : s->kind == STAT_POWER && s->power == -2 ? 1 : -1;
  }
  ICE("unknown form");
}

static void not_closed(LatentPlan *l, Span span, const char *text) {
  l->closed = false;
  if (!l->why.text) l->why = (Obstacle){span, text};
}

/* ---- is there a closed step? ------------------------------------------------------------------------------------- */

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
    if (coefficient_of(l->form, s) < 0)
      not_closed(l, s->ref->span, "this function of the latent");
    else if (!alone && !pair)
      not_closed(l, s->ref->span, "a product of components");
  }
}

/* A point without a prior of which only log z and 1 / z^2 occur, one component at a time. */
static bool is_spread(const LatentPlan *l, const Statements *all) {
  bool some = false;
  if (l->family != Q_FAMILY_POINT || l->z->priors.n || l->line->step == STEP_GRADIENT) return false;
  for (uint32_t i = 0; i < all->n; i++) {
    const Statement *s = &all->at[i];
    if (!statement_mentions(s, l->z)) continue;
    if (obstacle_to(s, l->z)) return false;
    for (uint32_t k = 0; k < s->poly.n; k++)
      for (uint32_t n = 0; n < s->poly.at[k].stats.n; n++) {
        const Stat *t = &s->poly.at[k].stats.at[n];
        if (t->ref->latent != l->z) continue;
        if (coefficient_of(FORM_SPREAD, t) < 0 || count_of(&s->poly.at[k], l->z) != 1) return false;
        some = true;
      }
  }
  return some;
}

static void judge(LatentPlan *l, const Statements *all) {
  if (is_spread(l, all)) l->form = FORM_SPREAD;
  for (uint32_t i = 0; i < all->n; i++) {
    const Statement *s = &all->at[i];
    if (!statement_mentions(s, l->z)) continue;
    const Obstacle *why = obstacle_to(s, l->z);
    if (why)
      not_closed(l, why->span, why->text);
    else
      for (uint32_t k = 0; k < s->poly.n; k++) judge_monomial(l, &s->poly.at[k]);
  }
}

/* ---- coefficients ------------------------------------------------------------------------------------------------ */

/* What is still a variable is the number it has: for the latents of this line that have made their step, the new one.
 * Coefficients of a system are made of f64: its condition is the square of that of what the data say, as in normal
 * equations, and so is what becomes of a rounding of its elements. */
static Term *settle(const Plan *p, Term *t, const LatentPlan *of) {
  bool wide = of->joint != NULL;
  if (!(t->mentions & (MENTIONS_LATENT | (wide ? MENTIONS_INPUT : 0)))) return t;
  Term *u = NEW(p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &u->args, settle(p, t->args.at[i], of));
  if (t->kind == TERM_LATENT) {
    const LatentPlan *l = &p->latents->of[t->latent->id];
    if (t->moment == MOMENT_VALUE) u->moment = MOMENT_MEAN;
    u->fresh = l->line == of->line && !l->gradient;
  }
  if (t->kind == TERM_INPUT || t->kind == TERM_LATENT) u->wide = wide;
  return term_finish(u);
}

static void push(Plan *p, LatentPlan *l, int k, Term *t) { vec_push(p->arena, &l->sum[k], settle(p, t, l)); }

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
  Monomial without = {.scale = 1};
  Obstacle why = {0};
  for (uint32_t n = 0; n < x->stats.n; n++)
    if (n != i && n != k) vec_push(p->arena, &without.stats, x->stats.at[n]);
  if (!expected_stats(p, &without, -1, &rest, &why)) {
    plan_refuse(p, why.span, why.text, NULL);
    return;
  }
  Target targets[2] = {{i, NULL}, {k, &other->other}};
  Term *t = targets_statistic((Model *)p->model, &s->w->plates, x, targets, 2, rest);
  vec_push(p->arena, &l->joint->pairs, ((Pair){l, other, settle(p, t, l)}));
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

/* The log density of a normal about what is affine in the latents of a joint form, whose spread they are not in, is a
 * square of that with a negative factor: concave in all of them together. */
static bool is_square(const Plan *p, const LatentPlan *l, const Statement *s) {
  if (s->w->dist != DIST_NORMAL) return false;
  for (uint32_t i = 0; i < p->model->latents.n; i++)
    if (p->latents->of[i].joint == l->joint && term_mentions_latent(s->w->params.at[1], p->model->latents.at[i]))
      return false;
  return true;
}

static bool has_normal_prior(const Latent *z) { return z->priors.n == 1 && z->prior->dist == DIST_NORMAL; }

/* Where points alone are in a statement, all but z is a coefficient and squares of it are not taken apart: a sum of
 * squared differences that is small would be lost in the difference of large sums. */
static bool add_alone(Plan *p, LatentPlan *l, const Statement *s) {
  Monomials own = {0};
  Obstacle why = {0};
  if (s->random || !collect_monomials_of((Model *)p->model, s->t, l->z, &own, &why)) return false;
  only_where_it_exists(p, s->w, &own);
  for (uint32_t m = 0; m < own.n; m++)
    push(p, l, coefficient_of(l->form, &own.at[m].stats.at[0]),
         component_statistic((Model *)p->model, &s->w->plates, &own.at[m], 0, NULL));
  return true;
}

static void add_closed(Plan *p, LatentPlan *l, const Statement *s) {
  bool alone = l->form == FORM_SPREAD || l->form == FORM_GAMMA || l->form == FORM_BETA;
  if (alone && add_alone(p, l, s)) return;
  if (l->form == FORM_QUADRATIC && only_pulls(l, s) && !has_normal_prior(l->z)) l->concave = false;
  bool square = l->joint && is_square(p, l, s);
  for (uint32_t m = 0; m < s->poly.n; m++) {
    const Monomial *x = &s->poly.at[m];
    for (uint32_t i = 0; i < x->stats.n; i++) {
      if (x->stats.at[i].ref->latent != l->z) continue;
      int k = coefficient_of(l->form, &x->stats.at[i]), at[2];
      if (l->joint && members_in(p, x, l->joint, at) == 2) {
        if (at[0] == (int)i) add_pair(p, l, s, x, i, (uint32_t)at[1]);
        l->joint->concave &= square;
        continue;
      }
      Term *others;
      Obstacle why = {0};
      if (!expected_stats(p, x, (int)i, &others, &why)) {
        plan_refuse(p, why.span, why.text, NULL);
        return;
      }
      if (l->form == FORM_QUADRATIC && k == 1 && !square)
        l->concave &=
            x->scale <= 0 && (!x->coef || is_nonnegative(p, x->coef)) && (!others || is_nonnegative(p, others));
      push(p, l, k, component_statistic((Model *)p->model, &s->w->plates, x, i, others));
    }
  }
}

/* t with one number of a latent's q in place of another. */
static Term *exchange(const Plan *p, Term *t, const Latent *z, Moment from, Moment to) {
  if (!(t->mentions & MENTIONS_LATENT)) return t;
  Term *u = NEW(p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &u->args, exchange(p, t->args.at[i], z, from, to));
  if (t->kind == TERM_LATENT && t->latent == z && t->moment == from) u->moment = to;
  return term_finish(u);
}

/* Adds dt/dz to coefficient k, or, of a z whose q is no point, the derivative by one of the numbers of q: that stands
 * for the variable meanwhile. */
static bool add_derivative(Plan *p, LatentPlan *l, const Statement *s, Term *t, int k, Moment by, Obstacle *why) {
  Monomials d;
  if (by != MOMENT_VALUE) t = exchange(p, t, l->z, by, MOMENT_VALUE);
  if (!differentiate((Model *)p->model, t, &d, why)) return false;
  only_where_it_exists(p, s->w, &d);
  for (uint32_t m = 0; m < d.n; m++) {
    if (d.at[m].stats.at[0].ref->latent != l->z) continue;
    Term *c = component_statistic((Model *)p->model, &s->w->plates, &d.at[m], 0, NULL);
    push(p, l, k, by == MOMENT_VALUE ? c : exchange(p, c, l->z, MOMENT_VALUE, by));
  }
  return true;
}

/* E of its log weight over what is random, but for a constant; NULL: a constant. */
static Term *mean_of(const Plan *p, const Statement *s, Obstacle *why) {
  if (!s->random) return s->t;
  if (s->collected && is_low(p, &s->poly)) return expected_over_random(p, &s->poly, why);
  Term *surplus;
  return mean_surplus(p, s->t, &surplus, why) ? make_sum(p->arena, at_means(p, s->t), surplus) : NULL;
}

static void add_slope(Plan *p, LatentPlan *l, const Statement *s) {
  Obstacle why = {0};
  Term *t = mean_of(p, s, &why);
  if (!t && s->t && !why.text) return; /* nothing moves it */
  bool known = t != NULL;
  if (known && is_random(l))
    known = add_derivative(p, l, s, t, 0, MOMENT_MEAN, &why) && add_derivative(p, l, s, t, 1, MOMENT_VARIANCE, &why);
  else if (known)
    known = add_derivative(p, l, s, t, 0, MOMENT_VALUE, &why);
  if (known) return;
  if (!why.text) why = s->why;
  plan_refuse(p, why.span, arena_printf(p->arena, "no step for '%s' is known here: %s", name(p, l->z), why.text), NULL);
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

const char *form_text(Form f) {
  switch (f) {
  case FORM_NONE: break;
  case FORM_QUADRATIC: return "a quadratic in each component";
  case FORM_BETA: return "a log z + b log(1 - z)";
  case FORM_GAMMA: return "a log z + b z";
  case FORM_DIRICHLET: return "a sum of a log z";
  case FORM_SPREAD: return "a log z + b / z^2";
  }
  return "of a known form";
}

/* The natural gradient of F by a conjugate q's natural parameters is where the closed step goes less where they are
 * (Hoffman et al. 2013): along it there is nothing else to do. */
static void refuse_conjugate(Plan *p, const LatentPlan *l) {
  if (l->closed)
    plan_refuse(p, l->line->span,
                arena_printf(p->arena, "'method = gradient' does not go with 'q = conjugate' ('%s'), %s", name(p, l->z),
                             "whose step is closed"),
                "'damping = 1 - r' makes of the closed step the step of rate r along the natural gradient");
  else
    plan_refuse(p, l->line->span,
                arena_printf(p->arena, "no closed step for '%s', which 'q = conjugate' needs: %s is not %s (%s)",
                             name(p, l->z), "its log weight", form_text(l->form), l->why.text),
                l->family == Q_FAMILY_NORMAL ? "'q = gaussian' takes gradient steps"
                                             : "'q = point' takes gradient steps");
}

static void choose_step(Plan *p, LatentPlan *l) {
  l->gradient = !l->closed || l->line->step == STEP_GRADIENT;
  if (!l->gradient) return;
  if (l->line->step == STEP_CLOSED) {
    const char *text = arena_printf(p->arena, "no closed step for '%s': its log weight is not %s (%s)", name(p, l->z),
                                    form_text(l->form), l->why.text);
    plan_refuse(p, l->line->span, text, "with 'method = gradient' it takes gradient steps");
    for (uint32_t i = 0; i < p->refusals.n; i++) p->refusals.at[i].wrong |= p->refusals.at[i].text == text;
  } else if (is_random(l) && l->line->q == Q_CONJUGATE) {
    refuse_conjugate(p, l);
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
    l->form = form_of_latent(l->z);
    good &= set_family(p, l);
  }
  return good;
}

void plan_latents(Plan *p) {
  const Model *m = p->model;
  if (!m->latents.n || !prepare(p)) return;
  Statements all = collect_statements(p);
  for (uint32_t i = 0; i < m->latents.n; i++) {
    judge(&p->latents->of[i], &all);
    choose_step(p, &p->latents->of[i]);
  }
  if (p->refusals.n) return;
  find_joints(p, &all);
  for (uint32_t i = 0; i < m->latents.n; i++) {
    LatentPlan *l = &p->latents->of[i];
    for (uint32_t k = 0; k < all.n; k++)
      if (statement_mentions(&all.at[k], l->z)) {
        if (l->gradient)
          add_slope(p, l, &all.at[k]);
        else
          add_closed(p, l, &all.at[k]);
      }
    if (l->joint) l->joint->concave &= l->concave;
  }
}
