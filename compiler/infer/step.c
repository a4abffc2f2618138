/* step: the new q of one latent, from the coefficients of its form.
 *
 * The loops over the latent's indices are opened one by one; a coefficient is summed where the last index that it
 * depends on is known.  So what is common to the components of a vector is summed once. */
#include <math.h>

#include "base/ice.h"
#include "infer/iterate.h"
#include "model/term.h"

static Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }
static Val add(Context *x, Val a, Val b) { return build_2(B(x), IR_ADD, a, b); }
static Val sub(Context *x, Val a, Val b) { return build_2(B(x), IR_SUB, a, b); }
static Val mul(Context *x, Val a, Val b) { return build_2(B(x), IR_MUL, a, b); }
static Val divide(Context *x, Val a, Val b) { return build_2(B(x), IR_DIV, a, b); }
static Val greater(Context *x, Val a, Val b) { return build_2(B(x), IR_GT, a, b); }
static Val equal(Context *x, Val a, Val b) { return build_2(B(x), IR_EQ, a, b); }
static Val select(Context *x, Val c, Val a, Val b) { return build_select(B(x), c, a, b); }

/* ---- coefficients --------------------------------------------------------------------------------------------- */

/* How many of the latent's loops must be open to evaluate t. */
static uint32_t depth_of(const Latent *z, const Term *t) {
  uint32_t n = latent_rank(z);
  while (n && !term_mentions_index(t, latent_index(z, n - 1))) n--;
  return n;
}

typedef struct Coefficients {
  Val at[2];
} Coefficients;

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

/* Opens all loops, summing on the way. */
static Coefficients coefficients(Components *n, const LatentPlan *l) {
  Coefficients c = {{0, 0}};
  for (uint32_t depth = 0;; depth++) {
    add_coefficients(&n->x, l, depth, &c);
    if (depth == latent_rank(l->z)) break;
    component_loop_as(n, l->z, !is_sifted(l, latent_index(l->z, depth)));
  }
  for (int k = 0; k < 2; k++)
    if (!c.at[k]) c.at[k] = wide(&n->x, 0);
  return c;
}

/* ---- damping ---------------------------------------------------------------------------------------------------- */

static bool is_zero(const Term *t) {
  return (t->kind == TERM_REAL && t->real == 0) || (t->kind == TERM_INT && t->integer == 0);
}

/* (1 - damping) new + damping old */
static Val damped(Context *x, const LatentPlan *l, Val new, Val old) {
  const Term *t = l->line->damping;
  if (is_zero(t)) return new;
  Context top = {.d = x->d};
  Val g = build_convert(B(x), eval(&top, t), IR_WIDE),
      mixed = add(x, mul(x, sub(x, wide(x, 1), g), new), mul(x, g, old));
  return select(x, equal(x, g, wide(x, 0)), new, mixed);
}

/* ---- b z + a z^2 ------------------------------------------------------------------------------------------------- */

typedef struct Top {
  Val mean, variance;
} Top;

/* Its top where it has one; where it is flat the old values stay.  precision = -2 a > 0 or = 0. */
static Top top_of(Context *x, const LatentPlan *l, Val b, Val precision, Val old, Val old_variance) {
  Val flat = equal(x, precision, wide(x, 0)), divisor = select(x, flat, wide(x, 1), precision);
  Top t = {select(x, flat, old, divide(x, b, divisor)), 0};
  if (l->family == Q_FAMILY_NORMAL) t.variance = select(x, flat, old_variance, divide(x, wide(x, 1), divisor));
  return t;
}

static Top damp_top(Context *x, const LatentPlan *l, Top t, Val old, Val old_variance) {
  if (l->family == Q_FAMILY_POINT) return (Top){damped(x, l, t.mean, old), 0};
  if (l->line->q == Q_GAUSSIAN) return (Top){damped(x, l, t.mean, old), damped(x, l, t.variance, old_variance)};
  if (is_zero(l->line->damping)) return t;
  Val one = wide(x, 1); /* natural parameters */
  Val precision = damped(x, l, divide(x, one, t.variance), divide(x, one, old_variance));
  Val shift = damped(x, l, divide(x, t.mean, t.variance), divide(x, old, old_variance));
  return (Top){divide(x, shift, precision), divide(x, one, precision)};
}

static Val rate_of(Context *x, const LatentPlan *l) {
  Context top = {.d = x->d};
  return build_convert(B(x), eval(&top, l->line->rate), IR_WIDE);
}

/* z, or the mean, along dF/dz, and the log of a variance along v d/dv (E[log w] + log(v) / 2). */
static Top along_gradient(Context *x, const LatentPlan *l, Val slope, Val by_variance, Val old, Val old_variance) {
  Top t = {add(x, old, mul(x, rate_of(x, l), slope)), 0};
  if (l->family != Q_FAMILY_NORMAL) return t;
  Val by_log = add(x, mul(x, old_variance, by_variance), wide(x, 0.5));
  t.variance = mul(x, old_variance, build_1(B(x), IR_EXP, mul(x, rate_of(x, l), by_log)));
  return t;
}

static void store_top(Context *x, const LatentState *s, Top t, const Val *place) {
  build_store(B(x), s->fresh[PART_MEAN], t.mean, place);
  if (s->fresh[PART_VARIANCE]) build_store(B(x), s->fresh[PART_VARIANCE], t.variance, place);
}

static Val old_mean(Context *x, const LatentState *s, const Val *place) {
  return build_convert(B(x), load_part(x, s->now, PART_MEAN, place), IR_WIDE);
}

static Val old_variance_of(Context *x, const LatentState *s, const Val *place) {
  return s->now[PART_VARIANCE] ? load_part(x, s->now, PART_VARIANCE, place) : 0;
}

/* Where it is known that there is a top: one pass. */
static void step_quadratic_at_once(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  Val old = old_mean(&n.x, s, n.place), old_variance = old_variance_of(&n.x, s, n.place);
  Val precision = mul(&n.x, wide(&n.x, -2), c.at[1]);
  Top t = damp_top(&n.x, l, top_of(&n.x, l, c.at[0], precision, old, old_variance), old, old_variance);
  store_top(&n.x, s, t, n.place);
  close_components(&n);
}

void store_quadratic_top(Context *x, const LatentPlan *l, Val top, Val precision, const Val *place) {
  const LatentState *s = &x->d->iteration->of[l->z->id];
  Val old = old_mean(x, s, place), old_variance = old_variance_of(x, s, place);
  Top t = top_of(x, l, wide(x, 0), precision, old, old_variance);
  t.mean = top;
  store_top(x, s, damp_top(x, l, t, old, old_variance), place);
}

/* ---- where only the run tells whether there is a top ------------------------------------------------------------- */

typedef struct Curved {
  const LatentPlan *l;
  Array *b, *precision;
  uint32_t from;
  Val *place;
} Curved;

static void contribute_bent_up(Context *x, void *arg, Contribution *c);

/* bool: some component has no top, nor is it flat.  NaN is no reason: it spreads. */
static Val bends_up(Context *x, const Curved *c) {
  if (c->from < latent_rank(c->l->z))
    return reduce_over(x, latent_index(c->l->z, c->from), ACC_ANY, IR_BOOL, contribute_bent_up, (void *)c);
  Val p = build_load(B(x), c->precision, c->place), b = build_load(B(x), c->b, c->place), zero = wide(x, 0);
  Val slope = build_2(B(x), IR_AND, equal(x, p, zero), build_2(B(x), IR_NE, b, zero));
  return build_2(B(x), IR_OR, build_2(B(x), IR_LT, p, zero), slope);
}

static void contribute_bent_up(Context *x, void *arg, Contribution *c) {
  Curved k = *(Curved *)arg;
  const BoundIndex *i = find_bound(x, latent_index(k.l->z, k.from));
  k.place = NEW_ARRAY(x->d->arena, Val, latent_rank(k.l->z));
  for (uint32_t a = 0; a < k.from; a++) k.place[a] = ((Curved *)arg)->place[a];
  k.place[k.from] = sub(x, i->v, i->lo);
  k.from++;
  c->x = bends_up(x, &k);
}

static Array *temp(Derive *d, const LatentPlan *l, const char *what) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Region *back = d->b.at;
  d->b.at = d->b.k->top;
  Array *a = build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "%s.%s", sym_text(d->m->names, l->z->name), what),
                         STORE_WIDE, s->now[PART_MEAN]->rank, s->now[PART_MEAN]->dims);
  d->b.at = back;
  return a;
}

/* All components at their tops, or, if one has none, all along the gradient. */
static void step_quadratic_if_concave(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Curved k = {.l = l, .b = temp(d, l, "b"), .precision = temp(d, l, "precision")};
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  build_store(&d->b, k.b, c.at[0], n.place);
  build_store(&d->b, k.precision, mul(&n.x, wide(&n.x, -2), c.at[1]), n.place);
  close_components(&n);
  Context x = {.d = d};
  Val up = bends_up(&x, &k);
  bool may_slope = l->line->step == STEP_AUTO && l->line->q != Q_CONJUGATE;
  if (!may_slope) {
    d->b.span = l->line->span;
    build_check(&d->b, IR_CHECK_CONCAVE, up, build_int(&d->b, 0), d->iteration->step);
  }
  n = open_components(x, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  Val old = old_mean(&n.x, s, n.place), old_variance = old_variance_of(&n.x, s, n.place);
  Val b = build_load(&d->b, k.b, n.place), precision = build_load(&d->b, k.precision, n.place);
  Top t = damp_top(&n.x, l, top_of(&n.x, l, b, precision, old, old_variance), old, old_variance);
  Val slope = sub(&n.x, b, mul(&n.x, precision, old)), by_variance = mul(&n.x, wide(&n.x, -0.5), precision);
  Top along = damp_top(&n.x, l, along_gradient(&n.x, l, slope, by_variance, old, old_variance), old, old_variance);
  if (may_slope) t.mean = select(&n.x, up, along.mean, t.mean);
  if (may_slope && t.variance) t.variance = select(&n.x, up, along.variance, t.variance);
  store_top(&n.x, s, t, n.place);
  close_components(&n);
}

/* ---- forms of bounded ranges ------------------------------------------------------------------------------------- */

/* Parameters of the density exp(form), damped. */
static void store_conjugate(Context *x, const LatentPlan *l, const LatentState *s, Coefficients c, const Val *place) {
  Val one = wide(x, 1), first = add(x, c.at[0], one), second = 0;
  if (l->form == FORM_BETA) second = add(x, c.at[1], one);
  if (l->form == FORM_GAMMA) second = build_1(B(x), IR_NEG, c.at[1]);
  Val improper = build_2(B(x), IR_LE, first, wide(x, 0));
  if (second) improper = build_2(B(x), IR_OR, improper, build_2(B(x), IR_LE, second, wide(x, 0)));
  B(x)->span = l->line->span;
  build_check(B(x), IR_CHECK_CONCAVE, improper, build_int(B(x), 0), x->d->iteration->step);
  build_store(B(x), s->fresh[PART_FIRST], damped(x, l, first, load_part(x, s->now, PART_FIRST, place)), place);
  if (second)
    build_store(B(x), s->fresh[PART_SECOND], damped(x, l, second, load_part(x, s->now, PART_SECOND, place)), place);
}

/* Of z^a (1 - z)^b, clamped to [0, 1]; where both are 0 there is none. */
static Val mode_in_unit(Context *x, Val a, Val b, Val old) {
  Val zero = wide(x, 0), sum = add(x, a, b);
  Val at_0 = build_2(B(x), IR_AND, build_2(B(x), IR_LE, a, zero), greater(x, b, zero));
  Val at_1 = build_2(B(x), IR_AND, build_2(B(x), IR_LE, b, zero), greater(x, a, zero));
  Val none = equal(x, sum, zero);
  Val inside = divide(x, a, select(x, none, wide(x, 1), sum));
  return select(x, none, old, select(x, at_0, zero, select(x, at_1, wide(x, 1), inside)));
}

/* Of z^a e^(b z), b < 0. */
static Val mode_above_zero(Context *x, Val a, Val b, Val old) {
  Val flat = equal(x, b, wide(x, 0)), rate = build_1(B(x), IR_NEG, select(x, flat, wide(x, -1), b));
  return select(x, flat, old, build_2(B(x), IR_MAX, divide(x, a, rate), wide(x, 0)));
}

/* Of z^a e^(b / z^2), a < 0, b <= 0; z > 0.  Anything else has no top, but for what nothing moves. */
static Val root_mean_square(Context *x, const LatentPlan *l, Val a, Val b, Val old) {
  Val zero = wide(x, 0), flat = build_2(B(x), IR_AND, equal(x, a, zero), equal(x, b, zero));
  Val no_top = build_2(B(x), IR_OR, build_2(B(x), IR_GE, a, zero), greater(x, b, zero));
  no_top = build_2(B(x), IR_AND, no_top, build_1(B(x), IR_NOT, flat));
  B(x)->span = l->line->span;
  build_check(B(x), IR_CHECK_CONCAVE, no_top, build_int(B(x), 0), x->d->iteration->step);
  Val square = divide(x, mul(x, wide(x, 2), b), select(x, flat, wide(x, -1), a));
  return select(x, flat, old, build_1(B(x), IR_SQRT, square));
}

static Val mode_of(Context *x, const LatentPlan *l, Coefficients c, Val old) {
  if (l->form == FORM_BETA) return mode_in_unit(x, c.at[0], c.at[1], old);
  if (l->form == FORM_SPREAD) return root_mean_square(x, l, c.at[0], c.at[1], old);
  return mode_above_zero(x, c.at[0], c.at[1], old);
}

static void step_bounded(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  if (l->family != Q_FAMILY_POINT) {
    store_conjugate(&n.x, l, s, c, n.place);
  } else {
    Val old = old_mean(&n.x, s, n.place);
    build_store(&d->b, s->fresh[PART_MEAN], damped(&n.x, l, mode_of(&n.x, l, c, old), old), n.place);
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
static Val positive_part(Context *x, Val v) { return select(x, build_2(B(x), IR_LT, v, wide(x, 0)), wide(x, 0), v); }

static void contribute_positive(Context *x, void *arg, Contribution *c) {
  Row *r = arg;
  Val *place = component_of_vector(x, r->z, r->place);
  c->x = positive_part(x, build_load(B(x), r->a, place));
}

static void step_simplex_mode(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  Array *a = temp(d, l, "count");
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  build_store(&d->b, a, c.at[0], n.place);
  close_components(&n);
  uint32_t rank = latent_rank(l->z);
  n = open_components((Context){.d = d}, l->z);
  for (uint32_t i = 0; i + 1 < rank; i++) component_loop(&n, l->z);
  Val sum =
      reduce_over(&n.x, latent_index(l->z, rank - 1), ACC_SUM, IR_WIDE, contribute_positive, &(Row){l->z, a, n.place});
  component_loop(&n, l->z);
  Val none = equal(&n.x, sum, wide(&n.x, 0)), old = old_mean(&n.x, s, n.place);
  Val own = positive_part(&n.x, build_load(&d->b, a, n.place));
  Val share = divide(&n.x, own, select(&n.x, none, wide(&n.x, 1), sum));
  build_store(&d->b, s->fresh[PART_MEAN], damped(&n.x, l, select(&n.x, none, old, share), old), n.place);
  close_components(&n);
}

/* ---- along the gradient ---------------------------------------------------------------------------------------------
 *
 * u <- u + rate dF/du in coordinates u of the range: z itself, log z, logit z, logarithms of a vector's components up
 * to a common term; of a normal q its mean and the logarithm of its variance.  With g = dF/dz:  dF/dlog z = z g;
 * dF/dlogit z = z (1 - z) g;  dF/du_k = z_k (g_k - sum_i z_i g_i). */

static Val moved(Context *x, const LatentPlan *l, Val z, Val g) {
  Val one = wide(x, 1), rate = rate_of(x, l);
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
  Array *g = temp(d, l, "slope"), *grown = temp(d, l, "grown");
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  build_store(&d->b, g, c.at[0], n.place);
  close_components(&n);
  Val mean = open_vector(&n, d, l, g, s->now[PART_MEAN]), z = old_mean(&n.x, s, n.place);
  Val slope = mul(&n.x, z, sub(&n.x, build_load(&d->b, g, n.place), mean));
  build_store(&d->b, grown, mul(&n.x, z, build_1(&d->b, IR_EXP, mul(&n.x, rate_of(&n.x, l), slope))), n.place);
  close_components(&n);
  Val total = open_vector(&n, d, l, grown, NULL), old = old_mean(&n.x, s, n.place);
  Val new = divide(&n.x, build_load(&d->b, grown, n.place), total);
  build_store(&d->b, s->fresh[PART_MEAN], damped(&n.x, l, new, old), n.place);
  close_components(&n);
}

static void step_gradient(Derive *d, const LatentPlan *l) {
  const LatentState *s = &d->iteration->of[l->z->id];
  if (l->form == FORM_DIRICHLET) {
    step_simplex_gradient(d, l);
    return;
  }
  Components n = open_components((Context){.d = d}, l->z);
  Coefficients c = coefficients(&n, l);
  Val old = old_mean(&n.x, s, n.place), old_variance = old_variance_of(&n.x, s, n.place);
  if (l->family == Q_FAMILY_NORMAL) {
    Top t = along_gradient(&n.x, l, c.at[0], c.at[1], old, old_variance);
    store_top(&n.x, s, damp_top(&n.x, l, t, old, old_variance), n.place);
  } else {
    build_store(&d->b, s->fresh[PART_MEAN], damped(&n.x, l, moved(&n.x, l, old, c.at[0]), old), n.place);
  }
  close_components(&n);
}

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
