/* step: the new q of one latent, from the coefficients of its form.
 *
 * The loops over the latent's indices are opened one by one; a coefficient is summed where the last index that it
 * depends on is known.  So what is common to the components of a vector is summed once. */
#include "infer/step.h"

#include "base/ice.h"
#include "model/term.h"

/* ---- coefficients --------------------------------------------------------------------------------------------- */

/* How many of the latent's loops must be open to evaluate t. */
static uint32_t depth_of(const Latent *z, const Term *t) {
  uint32_t n = latent_rank(z);
  while (n && !term_mentions_index(t, latent_index(z, n - 1))) n--;
  return n;
}

static void add_coefficients(Context *x, const LatentPlan *l, uint32_t depth, Coefficients *c) {
  for (int k = 0; k < 2; k++)
    for (uint32_t i = 0; i < l->sum[k].n; i++) {
      const Term *t = l->sum[k].at[i];
      if (depth_of(l->z, t) != depth) continue;
      Val v = build_convert(B(x), eval(x, t), IR_WIDE);
      c->at[k] = c->at[k] ? add(x, c->at[k], v) : v;
    }
}

/* Is an edge held at c in it?  Then no other value of the edge matters, and a sum over copies is best taken for each c
 * by itself; else one sum carries all c. */
static bool sifts(const Term *t, const Index *c) {
  if (t->kind == TERM_OP && t->op == OP_EQ)
    for (int i = 0; i < 2; i++)
      if (t->args.at[i]->kind == TERM_EDGE && term_mentions_index(t->args.at[1 - i], c)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (sifts(t->args.at[i], c)) return true;
  return false;
}

static bool is_sifted(const LatentPlan *l, const Index *c) {
  for (int k = 0; k < 2; k++)
    for (uint32_t i = 0; i < l->sum[k].n; i++)
      if (sifts(l->sum[k].at[i], c)) return true;
  return false;
}

Coefficients step_coefficients(Components *n, const LatentPlan *l) {
  Coefficients c = {{0, 0}};
  for (uint32_t depth = 0;; depth++) {
    add_coefficients(&n->x, l, depth, &c);
    if (depth == latent_rank(l->z)) break;
    component_loop_in(n, l->z, LOOP_PAR, !is_sifted(l, latent_index(l->z, depth)));
  }
  for (int k = 0; k < 2; k++)
    if (!c.at[k]) c.at[k] = wide(&n->x, 0);
  return c;
}

/* ---- damping ---------------------------------------------------------------------------------------------------- */

static bool is_zero(const Term *t) {
  return (t->kind == TERM_REAL && t->real == 0) || (t->kind == TERM_INT && t->integer == 0);
}

Val step_damped(Context *x, const LatentPlan *l, Val new, Val old) {
  const Term *t = l->line->damping;
  if (is_zero(t)) return new;
  Context top = {.d = x->d};
  Val g = build_convert(B(x), eval(&top, t), IR_WIDE),
      mixed = add(x, mul(x, sub(x, wide(x, 1), g), new), mul(x, g, old));
  return build_select(B(x), equal(x, g, wide(x, 0)), new, mixed);
}

Top step_damp_top(Context *x, const LatentPlan *l, Top t, Val old, Val old_variance) {
  if (l->family == Q_FAMILY_POINT) return (Top){step_damped(x, l, t.mean, old), 0};
  if (l->line->q == Q_GAUSSIAN)
    return (Top){step_damped(x, l, t.mean, old), step_damped(x, l, t.variance, old_variance)};
  if (is_zero(l->line->damping)) return t;
  Val one = wide(x, 1); /* natural parameters */
  Val precision = step_damped(x, l, divide(x, one, t.variance), divide(x, one, old_variance));
  Val shift = step_damped(x, l, divide(x, t.mean, t.variance), divide(x, old, old_variance));
  return (Top){divide(x, shift, precision), divide(x, one, precision)};
}

/* ---- the state of q ---------------------------------------------------------------------------------------------- */

Val step_rate(Context *x, const LatentPlan *l) {
  Context top = {.d = x->d};
  return build_convert(B(x), eval(&top, l->line->rate), IR_WIDE);
}

Val step_old_mean(Context *x, const LatentState *s, const Val *place) {
  return build_convert(B(x), load_part(x, s->now, PART_MEAN, place), IR_WIDE);
}

Val step_old_variance(Context *x, const LatentState *s, const Val *place) {
  return s->now[PART_VARIANCE] ? load_part(x, s->now, PART_VARIANCE, place) : 0;
}

void step_store_top(Context *x, const LatentState *s, Top t, const Val *place) {
  build_store(B(x), s->fresh[PART_MEAN], t.mean, place);
  if (s->fresh[PART_VARIANCE]) build_store(B(x), s->fresh[PART_VARIANCE], t.variance, place);
}

Array *step_array(Derive *d, const LatentPlan *l, const char *what) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Region *back = d->b.at;
  d->b.at = d->b.k->top;
  Array *a = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.%s", sym_text(d->m->names, l->z->name), what),
                         STORE_WIDE, s->now[PART_MEAN]->rank, s->now[PART_MEAN]->dims);
  d->b.at = back;
  return a;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

void step_latent(Derive *d, const LatentPlan *l) {
  if (l->joint && !l->gradient) {
    if (l->joint->members.at[0] == l) step_joint(d, l->joint);
    return;
  }
  if (l->gradient) {
    step_gradient(d, l);
    return;
  }
  switch (l->form) {
  case FORM_QUADRATIC:
    if (l->concave)
      step_quadratic_at_once(d, l);
    else
      step_quadratic_if_concave(d, l);
    return;
  case FORM_DIRICHLET:
    if (l->family == Q_FAMILY_POINT)
      step_simplex_mode(d, l);
    else
      step_bounded(d, l);
    return;
  case FORM_BETA:
  case FORM_GAMMA:
  case FORM_SPREAD: step_bounded(d, l); return;
  case FORM_NONE: break;
  }
  ICE("a latent without a step");
}
