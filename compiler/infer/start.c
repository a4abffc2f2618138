/* start: q before the first step: at `init`, else at the prior.
 *
 * The prior's parameters of a component z[t] are those of the prior line that names it: as a sum over the line's plates
 * and axes of p 1(a = t), in which all indices have one value. */
#include "infer/iterate.h"

#include "model/term.h"

static Term *init_of(const LatentPlan *l) {
  for (uint32_t i = 0; i < l->line->init.n; i++)
    if (l->line->latents.at[i] == l->z) return l->line->init.at[i];
  return NULL;
}

/* Parameter k of the prior of a component, as a term over the latent's own indices. */
static Term *prior_parameter(const Derive *d, const LatentPlan *l, uint32_t k) {
  Term *sum = NULL;
  for (uint32_t i = 0; i < l->z->priors.n; i++) {
    const Weight *w = l->z->priors.at[i];
    Monomial m = {.scale = 1, .coef = term_to_real(d->arena, w->params.at[k])};
    m.sums = w->axes;
    vec_push(d->arena, &m.stats, ((Stat){STAT_POWER, w->left, 1}));
    sum = make_sum(d->arena, sum, component_statistic((Model *)d->m, &w->plates, &m, 0, NULL));
  }
  return sum;
}

static Val parameter(Context *x, const LatentPlan *l, uint32_t k) {
  return build_convert(B(x), eval(x, prior_parameter(x->d, l, k)), IR_WIDE);
}

typedef struct Total {
  const LatentPlan *l;
} Total;

static void contribute_alpha(Context *x, void *arg, Contribution *c) { c->x = parameter(x, ((Total *)arg)->l, 0); }

static Val prior_mean(Context *x, const LatentPlan *l) {
  Builder *b = B(x);
  Val one = build_float(b, IR_WIDE, 1);
  switch ((int)l->z->prior->dist) {
  case DIST_STUDENT_T: return parameter(x, l, 1);
  case DIST_EXPONENTIAL: return build_2(b, IR_DIV, one, parameter(x, l, 0));
  case DIST_GAMMA: return build_2(b, IR_DIV, parameter(x, l, 0), parameter(x, l, 1));
  case DIST_BETA: {
    Val a = parameter(x, l, 0);
    return build_2(b, IR_DIV, a, build_2(b, IR_ADD, a, parameter(x, l, 1)));
  }
  case DIST_DIRICHLET: {
    Index *last = latent_index(l->z, latent_rank(l->z) - 1);
    Val a = parameter(x, l, 0);
    return build_2(b, IR_DIV, a, reduce_over(x, last, ACC_SUM, IR_WIDE, contribute_alpha, &(Total){l}));
  }
  }
  return parameter(x, l, 0);
}

static Val prior_variance(Context *x, const LatentPlan *l) {
  if (!l->z->prior) return build_float(B(x), IR_WIDE, 1);
  Val sd = parameter(x, l, 1);
  Val v = build_2(B(x), IR_MUL, sd, sd);
  return l->z->prior->dist == DIST_LAPLACE ? build_2(B(x), IR_MUL, build_float(B(x), IR_WIDE, 2), v) : v;
}

/* A conjugate q starts with the prior's parameters, whatever `init` is. */
static void store_parameters(Context *x, const LatentPlan *l, const LatentState *s, const Val *place) {
  bool exponential = l->z->prior->dist == DIST_EXPONENTIAL;
  Val first = exponential ? build_float(B(x), IR_WIDE, 1) : parameter(x, l, 0);
  build_store(B(x), s->now[PART_FIRST], first, place);
  if (s->now[PART_SECOND]) build_store(B(x), s->now[PART_SECOND], parameter(x, l, exponential ? 0 : 1), place);
}

static void start_latent(Derive *d, const LatentPlan *l) {
  LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  const Term *init = init_of(l);
  if (s->now[PART_FIRST])
    store_parameters(&n.x, l, s, n.place);
  else {
    bool at_init = init && (l->family == Q_FAMILY_POINT || l->line->q == Q_GAUSSIAN);
    build_store(&d->b, s->now[PART_MEAN], at_init ? eval(&n.x, init) : prior_mean(&n.x, l), n.place);
    if (s->now[PART_VARIANCE]) build_store(&d->b, s->now[PART_VARIANCE], prior_variance(&n.x, l), n.place);
  }
  close_components(&n);
  if (!s->now[PART_FIRST]) return;
  n = open_components((Context){.d = d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  store_moments(&n.x, l, s->now, n.place);
  close_components(&n);
}

/* ---- order: a latent that starts at its prior comes after those that the prior mentions -------------------------- */

static bool starts_at_prior(const LatentPlan *l) { return !init_of(l) || l->line->q != Q_POINT; }

static bool waits_for(const LatentPlan *l, const Latent *other) {
  for (uint32_t i = 0; starts_at_prior(l) && i < l->z->priors.n; i++)
    for (uint32_t k = 0; k < l->z->priors.at[i]->params.n; k++)
      if (term_mentions_latent(l->z->priors.at[i]->params.at[k], other)) return true;
  return false;
}

static bool is_ready(const Derive *d, const LatentPlan *l, const bool *started) {
  for (uint32_t k = 0; k < d->m->latents.n; k++)
    if (!started[k] && waits_for(l, d->m->latents.at[k])) return false;
  return true;
}

void start_latents(Derive *d) {
  bool *started = NEW_ARRAY(d->arena, bool, d->m->latents.n);
  Context x = {.d = d};
  uint32_t left = d->m->latents.n;
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t i = 0; i < d->m->latents.n; i++) {
      const LatentPlan *l = &d->plan->latents->of[i];
      if (started[i] || !is_ready(d, l, started)) continue;
      start_latent(d, l);
      started[i] = moved = true;
      left--;
    }
  }
  for (uint32_t i = 0; left && i < d->m->latents.n; i++)
    if (!started[i])
      refuse_query(&x, d->m->latents.at[i]->infer->span,
                   "no start: the prior depends on the latent itself, or on one that waits for it; write 'init'");
}
