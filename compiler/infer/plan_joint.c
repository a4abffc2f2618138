/* plan_joint: which components are solved for together; see latent.h.
 *
 * The latents of a line are one form where all of it is quadratic in them together; else each latent with products of
 * its own components is one.  The leading indices that all products share are loops around the system. */
#include "base/intern.h"
#include "infer/latent_plan.h"

/* ---- joint forms
 * ---------------------------------------------------------------------------------------------------------- */

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

void find_joints(Plan *p, const Statements *all) {
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
