/* watch_line: which lines of inference move along the gradient. */
#include "driver/watch_line.h"

#include "infer/latent.h"

bool steps_are_closed(Arena *arena, const Model *m) {
  Plan *plan = plan_model(arena, m);
  for (uint32_t i = 0; plan->latents && i < m->latents.n; i++) {
    const LatentPlan *l = &plan->latents->of[i];
    if (l->gradient || (l->form == FORM_QUADRATIC && !(l->joint ? l->joint->concave : l->concave))) return false;
  }
  return true;
}

const bool *gradient_latents(Arena *arena, const Model *m) {
  Plan *plan = plan_model(arena, m);
  bool *sloped = NEW_ARRAY(arena, bool, m->latents.n);
  for (uint32_t i = 0; plan->latents && i < m->latents.n; i++) sloped[i] = plan->latents->of[i].gradient;
  return sloped;
}

const Infer *gradient_line(Arena *arena, const Model *m) {
  Plan *plan = plan_model(arena, m);
  for (uint32_t i = 0; plan->latents && i < m->latents.n; i++)
    if (plan->latents->of[i].gradient) return plan->latents->of[i].line;
  return NULL;
}
