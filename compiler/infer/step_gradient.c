/* step_gradient: along the gradient.
 *
 * u <- u + rate dF/du in coordinates u of the range: z itself, log z, logit z, logarithms of a vector's components up
 * to a common term; of a normal q its mean and the logarithm of its variance.  With g = dF/dz:  dF/dlog z = z g;
 * dF/dlogit z = z (1 - z) g;  dF/du_k = z_k (g_k - sum_i z_i g_i). */
#include "infer/step.h"

Top step_along(Context *x, const LatentPlan *l, Val slope, Val by_variance, Val old, Val old_variance) {
  Top t = {add(x, old, mul(x, step_rate(x, l), slope)), 0};
  if (l->family != Q_FAMILY_NORMAL) return t;
  Val by_log = add(x, mul(x, old_variance, by_variance), wide(x, 0.5));
  t.variance = mul(x, old_variance, build_1(B(x), IR_EXP, mul(x, step_rate(x, l), by_log)));
  return t;
}

static Val moved(Context *x, const LatentPlan *l, Val z, Val g) {
  Val one = wide(x, 1), rate = step_rate(x, l);
  if (l->form == FORM_QUADRATIC) return add(x, z, mul(x, rate, g));
  if (l->form == FORM_GAMMA) return mul(x, z, build_1(B(x), IR_EXP, mul(x, rate, mul(x, z, g))));
  Val rest = sub(x, one, z), grown = mul(x, z, build_1(B(x), IR_EXP, mul(x, rate, mul(x, mul(x, z, rest), g))));
  return divide(x, grown, add(x, rest, grown));
}

typedef struct Along {
  const Latent *z;
  Array *v, *mean;
  Val *place;
} Along;

/* v, or v times the mean, of one component of the vector */
static void contribute_along(Context *x, void *arg, Contribution *c) {
  Along *r = arg;
  Val *place = component_of_vector(x, r->z, r->place);
  c->x = build_load(B(x), r->v, place);
  if (r->mean) c->x = mul(x, c->x, build_convert(B(x), build_load(B(x), r->mean, place), IR_WIDE));
}

/* All loops but the last, then a sum along the vector, then the last loop. */
static Val open_vector(Components *n, Derive *d, const LatentPlan *l, Array *v, Array *mean) {
  *n = open_components((Context){.d = d}, l->z);
  uint32_t rank = latent_rank(l->z);
  for (uint32_t i = 0; i + 1 < rank; i++) component_loop(n, l->z);
  Val sum = reduce_over(&n->x, latent_index(l->z, rank - 1), ACC_SUM, IR_WIDE, contribute_along,
                        &(Along){l->z, v, mean, n->place});
  component_loop(n, l->z);
  return sum;
}

static void step_simplex_gradient(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Array *g = step_array(d, l, "slope"), *grown = step_array(d, l, "grown");
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  build_store(&d->b, g, c.at[0], n.place);
  close_components(&n);
  Val mean = open_vector(&n, d, l, g, s->now[PART_MEAN]), z = step_old_mean(&n.x, s, n.place);
  Val slope = mul(&n.x, z, sub(&n.x, build_load(&d->b, g, n.place), mean));
  build_store(&d->b, grown, mul(&n.x, z, build_1(&d->b, IR_EXP, mul(&n.x, step_rate(&n.x, l), slope))), n.place);
  close_components(&n);
  Val total = open_vector(&n, d, l, grown, NULL), old = step_old_mean(&n.x, s, n.place);
  Val new = divide(&n.x, build_load(&d->b, grown, n.place), total);
  build_store(&d->b, s->fresh[PART_MEAN], step_damped(&n.x, l, new, old), n.place);
  close_components(&n);
}

void step_gradient(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  if (l->form == FORM_DIRICHLET) {
    step_simplex_gradient(d, l);
    return;
  }
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  Val old = step_old_mean(&n.x, s, n.place), old_variance = step_old_variance(&n.x, s, n.place);
  if (l->family == Q_FAMILY_NORMAL) {
    Top t = step_along(&n.x, l, c.at[0], c.at[1], old, old_variance);
    step_store_top(&n.x, s, step_damp_top(&n.x, l, t, old, old_variance), n.place);
  } else {
    build_store(&d->b, s->fresh[PART_MEAN], step_damped(&n.x, l, moved(&n.x, l, old, c.at[0]), old), n.place);
  }
  close_components(&n);
}
