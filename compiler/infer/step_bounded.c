/* step_bounded: closed steps of latents in a range: of conjugate q the parameters of exp(form), of points its top. */
#include "infer/step.h"

/* Parameters of the density exp(form), damped. */
static void store_conjugate(Context *x, const LatentPlan *l, const LatentState *s, Coefficients c, const Val *place) {
  Val one = wide(x, 1), first = add(x, c.at[0], one), second = 0;
  if (l->form == FORM_BETA) second = add(x, c.at[1], one);
  if (l->form == FORM_GAMMA) second = build_1(B(x), IR_NEG, c.at[1]);
  Val improper = build_2(B(x), IR_LE, first, wide(x, 0));
  if (second) improper = build_2(B(x), IR_OR, improper, build_2(B(x), IR_LE, second, wide(x, 0)));
  B(x)->span = l->line->span;
  build_check(B(x), IR_CHECK_CONCAVE, improper, build_int(B(x), 0), x->d->iteration->step);
  build_store(B(x), s->fresh[PART_FIRST], step_damped(x, l, first, load_part(x, s->now, PART_FIRST, place)), place);
  if (!second) return;
  second = step_damped(x, l, second, load_part(x, s->now, PART_SECOND, place));
  build_store(B(x), s->fresh[PART_SECOND], second, place);
}

/* Of z^a (1 - z)^b, clamped to [0, 1]; where both are 0 there is none. */
static Val mode_in_unit(Context *x, Val a, Val b, Val old) {
  Val zero = wide(x, 0), sum = add(x, a, b);
  Val at_0 = build_2(B(x), IR_AND, build_2(B(x), IR_LE, a, zero), greater(x, b, zero));
  Val at_1 = build_2(B(x), IR_AND, build_2(B(x), IR_LE, b, zero), greater(x, a, zero));
  Val none = equal(x, sum, zero);
  Val inside = divide(x, a, build_select(B(x), none, wide(x, 1), sum));
  return build_select(B(x), none, old, build_select(B(x), at_0, zero, build_select(B(x), at_1, wide(x, 1), inside)));
}

/* Of z^a e^(b z), b < 0. */
static Val mode_above_zero(Context *x, Val a, Val b, Val old) {
  Val flat = equal(x, b, wide(x, 0)), rate = build_1(B(x), IR_NEG, build_select(B(x), flat, wide(x, -1), b));
  return build_select(B(x), flat, old, build_2(B(x), IR_MAX, divide(x, a, rate), wide(x, 0)));
}

/* Of z^a e^(b / z^2), a < 0, b <= 0; z > 0.  Anything else has no top, but for what nothing moves. */
static Val root_mean_square(Context *x, const LatentPlan *l, Val a, Val b, Val old) {
  Val zero = wide(x, 0), flat = build_2(B(x), IR_AND, equal(x, a, zero), equal(x, b, zero));
  Val no_top = build_2(B(x), IR_OR, build_2(B(x), IR_GE, a, zero), greater(x, b, zero));
  no_top = build_2(B(x), IR_AND, no_top, build_1(B(x), IR_NOT, flat));
  B(x)->span = l->line->span;
  build_check(B(x), IR_CHECK_CONCAVE, no_top, build_int(B(x), 0), x->d->iteration->step);
  Val square = divide(x, mul(x, wide(x, 2), b), build_select(B(x), flat, wide(x, -1), a));
  return build_select(B(x), flat, old, build_1(B(x), IR_SQRT, square));
}

static Val mode_of(Context *x, const LatentPlan *l, Coefficients c, Val old) {
  if (l->form == FORM_BETA) return mode_in_unit(x, c.at[0], c.at[1], old);
  if (l->form == FORM_SPREAD) return root_mean_square(x, l, c.at[0], c.at[1], old);
  return mode_above_zero(x, c.at[0], c.at[1], old);
}

void step_bounded(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  if (l->family != Q_FAMILY_POINT) {
    store_conjugate(&n.x, l, s, c, n.place);
  } else {
    Val old = step_old_mean(&n.x, s, n.place);
    build_store(&d->b, s->fresh[PART_MEAN], step_damped(&n.x, l, mode_of(&n.x, l, c, old), old), n.place);
  }
  close_components(&n);
  if (l->family == Q_FAMILY_POINT) return;
  n = open_components((Context){.d = d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  store_moments(&n.x, l, s->fresh, n.place);
  close_components(&n);
}

/* ---- the mode of prod_k z_k^a_k on a simplex --------------------------------------------------------------------- */

typedef struct Row {
  const Latent *z;
  Array *a;
  Val *place;
} Row;

/* A NaN stays one. */
static Val positive_part(Context *x, Val v) {
  return build_select(B(x), build_2(B(x), IR_LT, v, wide(x, 0)), wide(x, 0), v);
}

static void contribute_positive(Context *x, void *arg, Contribution *c) {
  Row *r = arg;
  Val *place = component_of_vector(x, r->z, r->place);
  c->x = positive_part(x, build_load(B(x), r->a, place));
}

void step_simplex_mode(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Array *a = step_array(d, l, "count");
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = step_coefficients(&n, l);
  build_store(&d->b, a, c.at[0], n.place);
  close_components(&n);
  uint32_t rank = latent_rank(l->z);
  n = open_components((Context){.d = d}, l->z);
  for (uint32_t i = 0; i + 1 < rank; i++) component_loop(&n, l->z);
  Val sum =
      reduce_over(&n.x, latent_index(l->z, rank - 1), ACC_SUM, IR_WIDE, contribute_positive, &(Row){l->z, a, n.place});
  component_loop(&n, l->z);
  Val none = equal(&n.x, sum, wide(&n.x, 0)), old = step_old_mean(&n.x, s, n.place);
  Val own = positive_part(&n.x, build_load(&d->b, a, n.place));
  Val share = divide(&n.x, own, build_select(B(&n.x), none, wide(&n.x, 1), sum));
  build_store(&d->b, s->fresh[PART_MEAN], step_damped(&n.x, l, build_select(B(&n.x), none, old, share), old), n.place);
  close_components(&n);
}
