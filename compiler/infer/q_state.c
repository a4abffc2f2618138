/* q_state: the numbers of q that a kernel keeps for every component, what follows from its parameters, and its entropy.
 */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/iterate.h"
#include "model/term.h"

/* ---- the numbers of q -------------------------------------------------------------------------------------------- */

static bool has_part(const LatentPlan *l, QPart part) {
  switch (part) {
  case PART_MEAN: return true;
  case PART_VARIANCE: return l->family != Q_FAMILY_POINT;
  case PART_LOG: return l->family != Q_FAMILY_POINT && l->family != Q_FAMILY_NORMAL;
  case PART_LOG1M: return l->family == Q_FAMILY_BETA;
  case PART_FIRST: return l->family != Q_FAMILY_POINT && l->family != Q_FAMILY_NORMAL;
  case PART_SECOND: return l->family == Q_FAMILY_BETA || l->family == Q_FAMILY_GAMMA;
  case PART_COUNT: break;
  }
  return false;
}

static Array *declare_part(Derive *d, const LatentPlan *l, QPart part, const char *suffix) {
  static const char *const NAMES[] = {"mean", "var", "log", "log1m", "first", "second"};
  Context x = {.d = d};
  uint32_t rank = latent_rank(l->z);
  Val *dims = NEW_ARRAY(d->arena, Val, rank);
  for (uint32_t i = 0; i < rank; i++) {
    Bounds r = eval_range(&x, &latent_index(l->z, i)->range);
    dims[i] = build_2(&d->b, IR_SUB, r.hi, r.lo);
  }
  const char *text = arena_printf(d->arena, "%s.%s%s", sym_text(d->m->names, l->z->name), NAMES[part], suffix);
  return build_array(&d->b, ARRAY_TEMP, text, part == PART_MEAN ? STORE_REAL : STORE_WIDE, rank, dims);
}

void declare_state(Derive *d, const LatentPlan *l) {
  LatentState *s = &d->iteration->of[l->z->id];
  for (QPart part = 0; part < PART_COUNT; part++) {
    if (!has_part(l, part)) continue;
    s->now[part] = declare_part(d, l, part, "");
    s->fresh[part] = declare_part(d, l, part, ".fresh");
  }
}

Array *latent_array(const Derive *d, const Term *t) {
  static const QPart PARTS[] = {[MOMENT_VALUE] = PART_MEAN,
                                [MOMENT_MEAN] = PART_MEAN,
                                [MOMENT_VARIANCE] = PART_VARIANCE,
                                [MOMENT_LOG] = PART_LOG,
                                [MOMENT_LOG1M] = PART_LOG1M};
  const LatentState *s = &d->iteration->of[t->latent->id];
  Array *a = (t->fresh ? s->fresh : s->now)[PARTS[t->moment]];
  ICE_UNLESS(a);
  return a;
}

Val load_part(Context *x, Array *const *parts, QPart part, const Val *place) {
  return build_load(B(x), parts[part], place);
}

/* ---- what follows from the parameters ---------------------------------------------------------------------------- */

static void store(Context *x, Array *const *parts, QPart part, Val v, const Val *place) {
  if (parts[part]) build_store(B(x), parts[part], v, place);
}

Val *component_of_vector(Context *x, const Latent *z, const Val *place) {
  uint32_t last = latent_rank(z) - 1;
  const BoundIndex *i = find_bound(x, latent_index(z, last));
  Val *at = NEW_ARRAY(x->d->arena, Val, last + 1);
  for (uint32_t k = 0; k < last; k++) at[k] = place[k];
  at[last] = build_2(B(x), IR_SUB, i->v, i->lo);
  return at;
}

typedef struct Total {
  const Latent *z;
  Array *alpha;
  const Val *place;
} Total;

static void contribute_total(Context *x, void *arg, Contribution *c) {
  Total *t = arg;
  Val *place = component_of_vector(x, t->z, t->place);
  c->x = build_load(B(x), t->alpha, place);
}

/* The sum of a dirichlet's parameters along its vector. */
static Val alpha_total(Context *x, const LatentPlan *l, Array *alpha, const Val *place) {
  Index *last = latent_index(l->z, latent_rank(l->z) - 1);
  return reduce_over(x, last, ACC_SUM, IR_WIDE, contribute_total, &(Total){l->z, alpha, place});
}

/* beta(a, b) and the marginals of a dirichlet, b = total - a: mean a / (a + b), variance a b / (a + b)^2 (a + b + 1),
 * E[log z] = digamma(a) - digamma(a + b).  gamma(a, b): a / b, a / b^2, digamma(a) - log b. */
void store_moments(Context *x, const LatentPlan *l, Array *const *parts, const Val *place) {
  Builder *b = B(x);
  Val first = load_part(x, parts, PART_FIRST, place);
  if (l->family == Q_FAMILY_GAMMA) {
    Val rate = load_part(x, parts, PART_SECOND, place), mean = build_2(b, IR_DIV, first, rate);
    store(x, parts, PART_MEAN, mean, place);
    store(x, parts, PART_VARIANCE, build_2(b, IR_DIV, mean, rate), place);
    store(x, parts, PART_LOG, build_2(b, IR_SUB, build_1(b, IR_DIGAMMA, first), build_1(b, IR_LOG, rate)), place);
    return;
  }
  Val total = l->family == Q_FAMILY_BETA ? build_2(b, IR_ADD, first, load_part(x, parts, PART_SECOND, place))
                                       : alpha_total(x, l, parts[PART_FIRST], place);
  Val rest = build_2(b, IR_SUB, total, first), mean = build_2(b, IR_DIV, first, total),
      both = build_1(b, IR_DIGAMMA, total);
  if (l->family == Q_FAMILY_BETA) rest = load_part(x, parts, PART_SECOND, place);
  Val spread = build_2(b, IR_DIV, build_2(b, IR_MUL, mean, build_2(b, IR_DIV, rest, total)),
                       build_2(b, IR_ADD, total, wide(x, 1)));
  store(x, parts, PART_MEAN, mean, place);
  store(x, parts, PART_VARIANCE, spread, place);
  store(x, parts, PART_LOG, build_2(b, IR_SUB, build_1(b, IR_DIGAMMA, first), both), place);
  if (parts[PART_LOG1M]) store(x, parts, PART_LOG1M, build_2(b, IR_SUB, build_1(b, IR_DIGAMMA, rest), both), place);
}

/* ---- entropy of q ------------------------------------------------------------------------------------------------ */

static Val entropy_of_component(Context *x, const LatentPlan *l, const LatentState *s, const Val *place) {
  Builder *b = B(x);
  if (l->family == Q_FAMILY_NORMAL) {
    Val v = load_part(x, s->now, PART_VARIANCE, place);
    return build_2(b, IR_ADD, wide(x, 0.5 * (1 + log(2 * 3.14159265358979323846))),
                   build_2(b, IR_MUL, wide(x, 0.5), build_1(b, IR_LOG, v)));
  }
  Val p = load_part(x, s->now, PART_FIRST, place), one = wide(x, 1);
  if (l->family == Q_FAMILY_GAMMA) {
    Val h = build_2(b, IR_SUB, p, build_1(b, IR_LOG, load_part(x, s->now, PART_SECOND, place)));
    h = build_2(b, IR_ADD, h, build_1(b, IR_LGAMMA, p));
    return build_2(b, IR_ADD, h, build_2(b, IR_MUL, build_2(b, IR_SUB, one, p), build_1(b, IR_DIGAMMA, p)));
  }
  Val log_z = load_part(x, s->now, PART_LOG, place);
  if (l->family == Q_FAMILY_BETA) {
    Val q = load_part(x, s->now, PART_SECOND, place), log1m = load_part(x, s->now, PART_LOG1M, place);
    Val h = build_2(b, IR_SUB, build_2(b, IR_LBETA, p, q), build_2(b, IR_MUL, build_2(b, IR_SUB, p, one), log_z));
    return build_2(b, IR_SUB, h, build_2(b, IR_MUL, build_2(b, IR_SUB, q, one), log1m));
  }
  /* dirichlet: log B(alpha) - sum (alpha - 1) E[log z]; the part of one component */
  return build_2(b, IR_SUB, build_1(b, IR_LGAMMA, p), build_2(b, IR_MUL, build_2(b, IR_SUB, p, one), log_z));
}

typedef struct Entropy {
  const LatentPlan *l;
  uint32_t from;
  Val *place;
  bool vectors;
} Entropy;

static Val entropy_from(Context *x, const Entropy *e);

static void contribute_entropy(Context *x, void *arg, Contribution *c) {
  Entropy e = *(Entropy *)arg;
  const BoundIndex *i = find_bound(x, latent_index(e.l->z, e.from));
  e.place = NEW_ARRAY(x->d->arena, Val, latent_rank(e.l->z));
  for (uint32_t k = 0; k < e.from; k++) e.place[k] = ((Entropy *)arg)->place[k];
  e.place[e.from++] = build_2(B(x), IR_SUB, i->v, i->lo);
  c->x = entropy_from(x, &e);
}

/* vectors: the part of a dirichlet that belongs to a whole vector, - lgamma(total). */
static Val entropy_from(Context *x, const Entropy *e) {
  const LatentState *s = &x->d->iteration->of[e->l->z->id];
  uint32_t rank = latent_rank(e->l->z);
  if (e->vectors && e->from + 1 == rank)
    return build_1(B(x), IR_NEG, build_1(B(x), IR_LGAMMA, alpha_total(x, e->l, s->now[PART_FIRST], e->place)));
  if (e->from == rank) return entropy_of_component(x, e->l, s, e->place);
  return reduce_over(x, latent_index(e->l->z, e->from), ACC_SUM, IR_WIDE, contribute_entropy, (void *)e);
}

Val latent_entropy(Context *x, const IndexVec *plates) {
  const Plan *p = x->d->plan;
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < p->model->latents.n; i++) {
    const LatentPlan *l = &p->latents->of[i];
    bool inside = l->z->plates.n >= plates->n && is_random(l);
    for (uint32_t k = 0; inside && k < plates->n; k++) inside = l->z->plates.at[k] == plates->at[k];
    if (!inside) continue;
    Val *place = NEW_ARRAY(x->d->arena, Val, latent_rank(l->z));
    for (uint32_t k = 0; k < plates->n; k++) {
      const BoundIndex *b = find_bound(x, plates->at[k]);
      place[k] = build_2(B(x), IR_SUB, b->v, b->lo);
    }
    sum = build_2(B(x), IR_ADD, sum, entropy_from(x, &(Entropy){l, plates->n, place, false}));
    if (l->family == Q_FAMILY_DIRICHLET)
      sum = build_2(B(x), IR_ADD, sum, entropy_from(x, &(Entropy){l, plates->n, place, true}));
  }
  return sum;
}
