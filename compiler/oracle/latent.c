/* latent: collapsed variational inference, numerically: the steps in order, and F after each. */
#include <math.h>

#include "oracle/latent.h"

uint32_t latent_block_count(const World *w) { return w->q ? w->q->blocks.n : 0; }

const LatentPlace *latent_block_place(const World *w, uint32_t block) {
  return &w->places.at[w->q->blocks.at[block].first];
}

static void snapshot(World *w) {
  LatentState *q = w->q;
  Snapshot s = {NEW_ARRAY(w->arena, double, w->n_components), NEW_ARRAY(w->arena, double, w->factors.n),
                NEW_ARRAY(w->arena, double, q->blocks.n)};
  for (uint32_t k = 0; k < w->n_components; k++) s.component[k] = component_log_z(&w->components[k]);
  for (uint32_t k = 0; k < w->factors.n; k++)
    if (w->factors.at[k].component == NO_COMPONENT) s.factor[k] = factor_expected_log_w(w, &w->factors.at[k]);
  for (uint32_t k = 0; k < q->blocks.n; k++) s.block[k] = latent_block_entropy(w, &q->blocks.at[k]);
  vec_push(w->arena, &q->history, s);
}

static int64_t steps_of(World *w, const Infer *line) { return line->steps ? world_int(w, line->steps) : 0; }

static bool infer(World *w, bool fine) {
  if (!latent_start(w, fine) || !world_infer_components(w)) return false;
  snapshot(w);
  int64_t last = 0;
  for (uint32_t k = 0; k < w->model->infers.n; k++) {
    const Infer *line = w->model->infers.at[k];
    if (line->method == INFER_COLLAPSED && steps_of(w, line) > last) last = steps_of(w, line);
  }
  for (int64_t s = 1; s <= last && !w->failed && !w->q->too_coarse; s++) {
    for (uint32_t k = 0; k < w->model->infers.n && !w->failed; k++) {
      Infer *line = w->model->infers.at[k];
      if (line->method != INFER_COLLAPSED || s > steps_of(w, line) || w->q->resting[line->id]) continue;
      latent_step(w, line);
      if (!w->failed) world_infer_components(w);
    }
    if (!w->failed) snapshot(w);
  }
  return !w->failed;
}

/* Does a line ask for gradient steps of a normal q? */
static bool asks_for_slopes(const Model *m) {
  for (uint32_t k = 0; k < m->infers.n; k++)
    if (m->infers.at[k]->method == INFER_COLLAPSED && m->infers.at[k]->step == STEP_GRADIENT &&
        m->infers.at[k]->q == Q_GAUSSIAN)
      return true;
  return false;
}

/* Anew where a step turns out to have been taken by rules that were not for it. */
bool world_infer_latents(World *w) {
  bool ok = infer(w, asks_for_slopes(w->model));
  return w->q && w->q->too_coarse && !w->failed ? infer(w, true) : ok;
}

static double query_elbo(World *w, const Term *t) {
  int64_t last = (int64_t)w->q->history.n - 1, s = t->args.n ? world_int(w, t->args.at[0]) : last;
  return world_evidence(w, t, &w->q->history.at[s < 0 ? 0 : s > last ? last : s]);
}

static double query_param(World *w, const Term *t) {
  const Term *ref = t->args.at[0];
  int64_t at[MAX_RANK], k = t->args.n > 1 ? world_int(w, t->args.at[1]) : 0;
  for (uint32_t i = 0; i < ref->args.n; i++) at[i] = world_int(w, ref->args.at[i]);
  uint32_t place = registry_find(&w->latent_ids, ref->latent->id, ref->args.n, at);
  if (place == NOT_FOUND) {
    world_fault(w, ref->span, "there is no such component of '%s'", sym_text(w->model->names, ref->latent->name));
    return NAN;
  }
  const Block *b = &w->q->blocks.at[w->q->block_of[place]];
  if (b->family == FAMILY_DIRICHLET && b->n == 1) w->unjudged = true; /* F is the same for all: there is one share */
  return b->family == FAMILY_POINT ? w->z[place] : w->q->param[2 * (size_t)place + (k > 0)];
}

double latent_query(World *w, const Term *t) {
  if (!w->q) return world_evidence(w, t, NULL);
  return t->query == QUERY_ELBO ? query_elbo(w, t) : query_param(w, t);
}

bool latents_lost(const World *w) { return w->q && w->q->lost; }
