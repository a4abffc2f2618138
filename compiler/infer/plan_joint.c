/* plan_joint: which components are solved for together; see latent.h.
 *
 * Where all of a line is quadratic in its latents together, those that products link are one form; else each latent
 * with products of its own components is one.  The leading indices that all products share are loops around the system.
 */
#include "base/intern.h"
#include "infer/latent_plan.h"

/* ---- joint forms ------------------------------------------------------------------------------------------------- */

typedef VEC(LatentPlan *) Group; /* latents of one line */

static bool is_in(const Group *g, const LatentPlan *l) {
  for (uint32_t i = 0; i < g->n; i++)
    if (g->at[i] == l) return true;
  return false;
}

static LatentPlan *latent_of(const Plan *p, const Stat *s) { return &p->latents->of[s->ref->latent->id]; }

/* Degree in the latents of the group; refs: how many references to them, of which the last two are kept. */
static double degree_of(const Plan *p, const Monomial *x, const Group *g, uint32_t *refs, const Stat *last[2]) {
  double degree = 0;
  *refs = 0;
  for (uint32_t i = 0; i < x->stats.n; i++) {
    if (!is_in(g, latent_of(p, &x->stats.at[i]))) continue;
    degree += x->stats.at[i].power;
    last[++*refs % 2] = &x->stats.at[i];
  }
  return degree;
}

/* Is all of it quadratic in the latents together, and are there products of two components? */
static bool is_joint(const Plan *p, const Statements *all, const Group *g) {
  bool products = false;
  for (uint32_t i = 0; i < g->n; i++)
    if (!g->at[i]->closed || g->at[i]->form != FORM_QUADRATIC) return false;
  for (uint32_t i = 0; i < all->n; i++)
    for (uint32_t k = 0; k < all->at[i].poly.n; k++) {
      uint32_t refs;
      const Stat *last[2];
      if (degree_of(p, &all->at[i].poly.at[k], g, &refs, last) > 2) return false;
      products |= refs == 2;
    }
  return products;
}

/* How many leading indices every product has in common. */
static uint32_t shared_indices(const Plan *p, const Statements *all, const Group *g) {
  uint32_t shared = UINT32_MAX;
  const Latent *first = g->at[0]->z;
  for (uint32_t i = 0; i < g->n; i++) {
    const Latent *z = g->at[i]->z;
    uint32_t limit = g->n == 1 ? z->plates.n + z->own.n : z->plates.n;
    if (limit < shared) shared = limit;
    for (uint32_t k = 0; k < shared; k++)
      if (latent_index(z, k) != latent_index(first, k)) shared = k;
  }
  for (uint32_t i = 0; i < all->n; i++)
    for (uint32_t k = 0; k < all->at[i].poly.n; k++) {
      uint32_t refs;
      const Stat *last[2];
      degree_of(p, &all->at[i].poly.at[k], g, &refs, last);
      for (uint32_t n = 0; refs == 2 && n < shared; n++)
        if (!term_equal(last[0]->ref->args.at[n], last[1]->ref->args.at[n])) shared = n;
    }
  return shared;
}

static void make_joint(Plan *p, const Statements *all, const Group *g) {
  Joint *j = NEW(p->arena, Joint);
  j->outer = shared_indices(p, all, g);
  j->concave = true;
  for (uint32_t i = 0; i < g->n; i++) {
    LatentPlan *l = g->at[i];
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

/* What products of two of the line's latents link to the first of `from`; those latents leave `from`. */
static Group linked(Plan *p, const Statements *all, Group *from) {
  Group g = {0}, whole = *from;
  vec_push(p->arena, &g, from->at[0]);
  for (uint32_t before = 0; before < g.n;) {
    before = g.n;
    for (uint32_t i = 0; i < all->n; i++)
      for (uint32_t k = 0; k < all->at[i].poly.n; k++) {
        uint32_t refs;
        const Stat *last[2];
        degree_of(p, &all->at[i].poly.at[k], &whole, &refs, last);
        if (refs != 2) continue;
        LatentPlan *x = latent_of(p, last[0]), *y = latent_of(p, last[1]);
        if (is_in(&g, x) != is_in(&g, y)) vec_push(p->arena, &g, is_in(&g, x) ? y : x);
      }
  }
  Group rest = {0};
  for (uint32_t i = 0; i < whole.n; i++)
    if (!is_in(&g, whole.at[i])) vec_push(p->arena, &rest, whole.at[i]);
  *from = rest;
  return g;
}

/* A latent that no product mentions stays outside: it may have no curvature at all. */
void find_joints(Plan *p, const Statements *all) {
  for (uint32_t i = 0; i < p->model->infers.n; i++) {
    const Infer *line = p->model->infers.at[i];
    if (line->method != INFER_COLLAPSED || line->step == STEP_GRADIENT) continue;
    Group whole = {0};
    for (uint32_t k = 0; k < line->latents.n; k++) vec_push(p->arena, &whole, &p->latents->of[line->latents.at[k]->id]);
    bool together = is_joint(p, all, &whole);
    while (whole.n) {
      Group g = {0};
      if (together) g = linked(p, all, &whole);
      else {
        vec_push(p->arena, &g, whole.at[whole.n - 1]);
        whole.n--;
      }
      if (is_joint(p, all, &g)) make_joint(p, all, &g);
    }
  }
}
