/* latent_start: q before the first step: at `init`, else at the prior. */
#include <math.h>

#include "model/term.h"
#include "oracle/latent.h"

LatentRange latent_range(const Latent *l) {
  if (!l->prior) return RANGE_REAL;
  if (l->prior->dist == DIST_BETA) return RANGE_UNIT;
  if (l->prior->dist == DIST_GAMMA || l->prior->dist == DIST_EXPONENTIAL) return RANGE_POSITIVE;
  return l->prior->dist == DIST_DIRICHLET ? RANGE_SIMPLEX : RANGE_REAL;
}

static Infer *latent_line(const World *w, const Latent *l) {
  for (uint32_t k = 0; k < w->model->infers.n; k++) {
    Infer *line = w->model->infers.at[k];
    for (uint32_t i = 0; line->method == INFER_COLLAPSED && i < line->latents.n; i++)
      if (line->latents.at[i] == l) return line;
  }
  return NULL;
}

static Term *init_of(const Infer *line, const Latent *l) {
  for (uint32_t k = 0; k < line->latents.n && k < line->init.n; k++)
    if (line->latents.at[k] == l) return line->init.at[k];
  return NULL;
}

static void bind_place(World *w, const LatentPlace *p) {
  const Latent *l = p->latent;
  world_bind(w, &l->plates, p->at);
  world_bind(w, &l->own, p->at + l->plates.n);
  world_bind(w, &l->axes, p->at + l->plates.n + l->own.n);
}

/* ---- the prior's parameters ------------------------------------------------------------------------------ */

typedef struct PriorOf { Dist dist; double p[3]; bool found; } PriorOf;

static void note_prior(World *w, const Weight *x, PriorOf *priors) {
  int64_t at[MAX_RANK];
  for (uint32_t k = 0; k < x->left->args.n; k++) at[k] = world_int(w, x->left->args.at[k]);
  uint32_t place = registry_find(&w->latent_ids, x->latent->id, x->left->args.n, at);
  if (place == NOT_FOUND) {
    world_fault(w, x->span, "there is no such component of '%s'", sym_text(w->model->names, x->latent->name));
    return;
  }
  priors[place] = (PriorOf){.dist = x->dist, .found = true};
  for (uint32_t k = 0; k < x->params.n && k < 3; k++) priors[place].p[k] = world_real(w, x->params.at[k]);
}

static void note_factor_prior(World *w, const Factor *f, PriorOf *priors) {
  const Weight *x = f->weight;
  world_bind(w, &x->plates, f->at);
  bool joint = x->dist == DIST_DIRICHLET;
  for (uint32_t k = 0; k + joint < x->axes.n; k++) w->index[x->axes.at[k]->id] = f->at[x->plates.n + k];
  if (!joint) {
    note_prior(w, x, priors);
    return;
  }
  Index *last = x->axes.at[x->axes.n - 1];
  Values v = world_range(w, &last->range);
  for (int64_t k = 0; k < v.n; k++) {
    w->index[last->id] = value_at(&v, k);
    note_prior(w, x, priors);
  }
}

/* ---- blocks ------------------------------------------------------------------------------------------------- */

static Family family_of(World *w, const Infer *line, const Latent *l) {
  if (line->q == Q_POINT) return FAMILY_POINT;
  if (line->q == Q_GAUSSIAN) return FAMILY_NORMAL;
  Dist prior = l->prior ? l->prior->dist : DIST_UNIFORM;
  if (prior == DIST_NORMAL) return FAMILY_NORMAL;
  if (prior == DIST_BETA) return FAMILY_BETA;
  if (prior == DIST_GAMMA || prior == DIST_EXPONENTIAL) return FAMILY_GAMMA;
  if (prior == DIST_DIRICHLET) return FAMILY_DIRICHLET;
  world_refuse(w, l->span, "the oracle knows no conjugate q for '%s'", sym_text(w->model->names, l->name));
  return FAMILY_POINT;
}

static void make_blocks(World *w, const Latent *l, const Infer *line) {
  LatentState *q = w->q;
  Family family = family_of(w, line, l);
  uint32_t first = q->latent_first[l->id], end = q->latent_first[l->id + 1], width = 1;
  bool vector = latent_range(l) == RANGE_SIMPLEX;
  uint32_t rank = l->plates.n + l->own.n + l->axes.n;
  for (uint32_t k = first; k < end; k += width) {
    width = 1;
    while (vector && k + width < end &&
           memcmp(w->places.at[k].at, w->places.at[k + width].at, (rank - 1) * sizeof(int64_t)) == 0)
      width++;
    Block b = {.family = family, .kind = line->q, .first = k, .n = width};
    for (uint32_t i = 0; i < width; i++) q->block_of[k + i] = q->blocks.n;
    vec_push(w->arena, &q->blocks, b);
  }
  if (family != FAMILY_POINT) q->random = true;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static double prior_mean(const PriorOf *p, double alpha_sum) {
  switch ((int)p->dist) {
  case DIST_STUDENT_T: return p->p[1];
  case DIST_EXPONENTIAL: return 1 / p->p[0];
  case DIST_GAMMA: return p->p[0] / p->p[1];
  case DIST_BETA: return p->p[0] / (p->p[0] + p->p[1]);
  case DIST_DIRICHLET: return p->p[0] / alpha_sum;
  default: return p->p[0];
  }
}

static double prior_sd(World *w, const PriorOf *p) {
  if (!p->found) return 1;
  if (p->dist == DIST_NORMAL) return p->p[1];
  if (p->dist == DIST_LAPLACE) return sqrt(2) * p->p[1];
  w->q->lost = true;
  return 1;
}

static void start_place(World *w, uint32_t place, const PriorOf *priors) {
  LatentState *q = w->q;
  const LatentPlace *p = &w->places.at[place];
  const Block *b = &q->blocks.at[q->block_of[place]];
  const PriorOf *prior = &priors[place];
  const Term *init = init_of(latent_line(w, p->latent), p->latent);
  double alpha_sum = 0, *param = q->param + 2 * (size_t)place;
  for (uint32_t k = 0; k < b->n; k++) alpha_sum += priors[b->first + k].p[0];
  if (!init && !prior->found) {
    world_refuse(w, p->latent->span, "'%s' has neither a prior nor a start",
                 sym_text(w->model->names, p->latent->name));
    return;
  }
  bind_place(w, p);
  w->z[place] = init ? world_real(w, init) : prior_mean(prior, alpha_sum);
  param[0] = prior->dist == DIST_EXPONENTIAL ? 1 : prior->p[0];
  param[1] = prior->dist == DIST_EXPONENTIAL ? prior->p[0] : prior->p[1];
  if (b->family == FAMILY_NORMAL) {
    if (b->kind == Q_GAUSSIAN) param[0] = w->z[place];
    param[1] = prior_sd(w, prior);
    w->z[place] = param[0];
  }
}

static void find_latents(World *w) {
  LatentState *q = w->q;
  const Model *m = w->model;
  q->latent_first = NEW_ARRAY(w->arena, uint32_t, m->latents.n + 1);
  for (uint32_t k = 0, at = 0; k <= m->latents.n; k++) {
    q->latent_first[k] = at;
    while (k < m->latents.n && at < w->places.n && w->places.at[at].latent == m->latents.at[k]) at++;
  }
  q->weight_mentions = NEW_ARRAY(w->arena, bool, m->weights.n);
  for (uint32_t k = 0; k < m->weights.n; k++) {
    const Weight *x = m->weights.at[k];
    bool any = oracle_mentions_latent(x->value) || oracle_mentions_latent(x->left);
    for (uint32_t i = 0; i < x->params.n; i++) any = any || oracle_mentions_latent(x->params.at[i]);
    q->weight_mentions[x->id] = any;
  }
}

/* Does the start of a, its prior's parameters, need that of b? */
static bool waits_for(const World *w, const Latent *a, const Latent *b) {
  const Infer *line = latent_line(w, a);
  if (init_of(line, a) && line->q == Q_POINT) return false;
  for (uint32_t i = 0; i < a->priors.n; i++)
    for (uint32_t k = 0; k < a->priors.at[i]->params.n; k++)
      if (term_mentions_latent(a->priors.at[i]->params.at[k], b)) return true;
  return false;
}

static void start_one(World *w, const Latent *l, PriorOf *priors) {
  for (uint32_t i = 0; i < w->factors.n; i++)
    if (w->factors.at[i].weight->kind == WEIGHT_PRIOR && w->factors.at[i].weight->latent == l)
      note_factor_prior(w, &w->factors.at[i], priors);
  for (uint32_t i = w->q->latent_first[l->id]; i < w->q->latent_first[l->id + 1] && !w->failed; i++)
    start_place(w, i, priors);
  for (uint32_t k = 0; k < w->q->blocks.n; k++)
    if (w->places.at[w->q->blocks.at[k].first].latent == l) latent_block_mean(w, &w->q->blocks.at[k]);
}

/* A latent comes after those that its start depends on. */
static void start_all(World *w, PriorOf *priors) {
  const Model *m = w->model;
  bool *started = NEW_ARRAY(w->arena, bool, m->latents.n);
  uint32_t left = m->latents.n;
  for (bool moved = true; moved && !w->failed;) {
    moved = false;
    for (uint32_t k = 0; k < m->latents.n && !w->failed; k++) {
      bool ready = !started[k];
      for (uint32_t i = 0; ready && i < m->latents.n; i++)
        ready = started[i] || !waits_for(w, m->latents.at[k], m->latents.at[i]);
      if (!ready) continue;
      start_one(w, m->latents.at[k], priors);
      started[k] = moved = true;
      left--;
    }
  }
  for (uint32_t k = 0; left && !w->failed && k < m->latents.n; k++)
    if (!started[k])
      world_refuse(w, m->latents.at[k]->span, "the start of '%s' depends on itself",
                   sym_text(m->names, m->latents.at[k]->name));
}

bool latent_start(World *w, bool fine) {
  LatentState *q = w->q = NEW(w->arena, LatentState);
  q->fine = fine;
  const Model *m = w->model;
  q->param = NEW_ARRAY(w->arena, double, 2 * (size_t)w->places.n);
  q->block_of = NEW_ARRAY(w->arena, uint32_t, w->places.n);
  q->touched = NEW_ARRAY(w->arena, bool, w->places.n);
  q->resting = NEW_ARRAY(w->arena, bool, m->infers.n);
  find_latents(w);
  PriorOf *priors = NEW_ARRAY(w->arena, PriorOf, w->places.n);
  for (uint32_t k = 0; k < m->latents.n && !w->failed; k++) {
    const Latent *l = m->latents.at[k];
    const Infer *line = latent_line(w, l);
    if (!line) {
      world_refuse(w, l->span, "'%s' has no infer line", sym_text(m->names, l->name));
      return false;
    }
    make_blocks(w, l, line);
  }
  if (!w->failed) start_all(w, priors);
  return !w->failed;
}
