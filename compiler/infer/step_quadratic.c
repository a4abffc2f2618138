/* step_quadratic: the top of b z + a z^2, component by component.
 *
 * Where it is not known that there is one (a < 0, or both 0) coefficients are stored and looked at first; if a
 * component has none, all go along the gradient, or it is a run-time error. */
#include "infer/step.h"
#include "model/term.h"

Top quadratic_top(Context *x, const LatentPlan *l, Val b, Val precision, Val old, Val old_variance) {
  Val flat = equal(x, precision, wide(x, 0)), divisor = build_select(B(x), flat, wide(x, 1), precision);
  Top t = {build_select(B(x), flat, old, divide(x, b, divisor)), 0};
  if (l->family == Q_FAMILY_NORMAL) t.variance = build_select(B(x), flat, old_variance, divide(x, wide(x, 1), divisor));
  return t;
}

void step_quadratic_at_once(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  Val old = step_old_mean(&n.x, s, n.place), old_variance = step_old_variance(&n.x, s, n.place);
  Val precision = mul(&n.x, wide(&n.x, -2), c.at[1]);
  Top t = step_damp_top(&n.x, l, quadratic_top(&n.x, l, c.at[0], precision, old, old_variance), old, old_variance);
  step_store_top(&n.x, s, t, n.place);
  close_components(&n);
}

/* ---- where only the run tells whether there is a top ------------------------------------------------------------- */

typedef struct Curved {
  Array *b, *precision;
} Curved;

/* bool: the component has no top, nor is it flat.  NaN is no reason: it spreads. */
static Val bends_up(Context *x, void *arg, const Val *place) {
  const Curved *c = arg;
  Val p = build_load(B(x), c->precision, place), b = build_load(B(x), c->b, place), zero = wide(x, 0);
  Val slope = build_2(B(x), IR_AND, equal(x, p, zero), build_2(B(x), IR_NE, b, zero));
  return build_2(B(x), IR_OR, build_2(B(x), IR_LT, p, zero), slope);
}

/* All components at their tops, or, if one has none, all along the gradient. */
void step_quadratic_if_concave(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Curved k = {.b = step_array(d, l, "b"), .precision = step_array(d, l, "precision")};
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  build_store(&d->b, k.b, c.at[0], n.place);
  build_store(&d->b, k.precision, mul(&n.x, wide(&n.x, -2), c.at[1]), n.place);
  close_components(&n);
  Context x = {.d = d};
  Val up = reduce_components(&x, l->z, latent_rank(l->z), ACC_ANY, IR_BOOL, bends_up, &k);
  bool slopes = may_slope(l);
  if (!slopes) {
    d->b.span = l->line->span;
    build_check(&d->b, IR_CHECK_CONCAVE, up, build_int(&d->b, 0), d->iteration->step);
  }
  n = open_components(x, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  Val old = step_old_mean(&n.x, s, n.place), old_variance = step_old_variance(&n.x, s, n.place);
  Val b = build_load(&d->b, k.b, n.place), precision = build_load(&d->b, k.precision, n.place);
  Top t = step_damp_top(&n.x, l, quadratic_top(&n.x, l, b, precision, old, old_variance), old, old_variance);
  Val slope = sub(&n.x, b, mul(&n.x, precision, old)), by_variance = mul(&n.x, wide(&n.x, -0.5), precision);
  Top along = step_damp_top(&n.x, l, step_along(&n.x, l, slope, by_variance, old, old_variance), old, old_variance);
  if (slopes) t.mean = build_select(B(&n.x), up, along.mean, t.mean);
  if (slopes && t.variance) t.variance = build_select(B(&n.x), up, along.variance, t.variance);
  step_store_top(&n.x, s, t, n.place);
  close_components(&n);
}
