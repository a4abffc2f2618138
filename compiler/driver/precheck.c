/* precheck: one table says what each parameter of a distribution must be. */
#include "driver/precheck.h"

#include <math.h>

#include "driver/measure.h"
#include "model/term.h"

typedef enum { ANY, POSITIVE, NONNEGATIVE, UNIT, FINITE, FROM_ONE, COUNT } Demand;

static const char *const DEMANDS[] = {
    [ANY] = "",
    [POSITIVE] = "positive",
    [NONNEGATIVE] = "at least 0",
    [UNIT] = "between 0 and 1",
    [FINITE] = "a number",
    [FROM_ONE] = "at least 1",
    [COUNT] = "a whole number of at least 0",
};

/* Of parameter `k`.  What is normalised (weights, logits) is a weight like others, not a parameter. */
static Demand demand(Dist d, uint32_t k) {
  switch (d) {
  case DIST_UNIFORM: case DIST_WEIGHTS: case DIST_LOGITS: return ANY;
  case DIST_STICK_BREAKING: case DIST_BERNOULLI: case DIST_GEOMETRIC: return UNIT;
  case DIST_BERNOULLI_LOGIT: return FINITE;
  case DIST_BETA_GEOMETRIC: case DIST_GAMMA: case DIST_BETA: case DIST_DIRICHLET: case DIST_EXPONENTIAL:
    return POSITIVE;
  case DIST_POISSON: return NONNEGATIVE;
  case DIST_BINOMIAL: return k == 0 ? COUNT : UNIT;
  case DIST_NORMAL: case DIST_LAPLACE: return k == 1 ? POSITIVE : FINITE;
  case DIST_STUDENT_T: return k == 1 ? FINITE : POSITIVE;
  }
  return ANY;
}

static bool holds(Demand d, double x) {
  switch (d) {
  case ANY: return true;
  case POSITIVE: return x > 0;
  case NONNEGATIVE: return x >= 0;
  case UNIT: return x >= 0 && x <= 1;
  case FINITE: return !isnan(x);
  case FROM_ONE: return x >= 1;
  case COUNT: return x >= 0 && floor(x) == x && isfinite(x);
  }
  return true;
}

typedef struct Precheck {
  Arena *arena;
  const Model *model;
  const Inputs *in;
  Diags *diags;
  Known known;
} Precheck;

static void check_value(Precheck *p, const Term *t, Demand d, const char *what) {
  Constant v;
  p->known.steps = 0;
  if (d == ANY || constant_eval(&p->known, t, &v) != CONSTANT_KNOWN) return;
  double x = t->type == TYPE_REAL ? v.r : (double)v.i;
  if (holds(d, x)) return;
  diag_error(p->diags, t->span, "%s must be %s, but '%s' is %g", what, DEMANDS[d], term_text(p->model, p->arena, t), x);
}

static void check_weight(Precheck *p, const Weight *w) {
  if (w->kind != WEIGHT_PRIOR && w->kind != WEIGHT_OBSERVE) return;
  for (uint32_t k = 0; k < w->params.n; k++)
    check_value(p, w->params.at[k], demand(w->dist, k),
                arena_printf(p->arena, "parameter %u of '%s'", k + 1, dist_name(w->dist)));
}

/* On sizes alone.  One on edges is a weight, also where there are none of them. */
static void check_require(Precheck *p, const Weight *w) {
  if (w->kind != WEIGHT_REQUIRE || (w->value->mentions & (MENTIONS_EDGE | MENTIONS_LATENT))) return;
  Known sizes = constant_known(p->arena, p->model, p->in->sizes);
  Constant v;
  if (constant_eval(&sizes, w->value, &v) != CONSTANT_KNOWN || v.i) return;
  Diag *d = diag_error(p->diags, w->span, "the sizes break this requirement");
  diag_hint(p->diags, d, "%s", precheck_sizes(p->arena, p->model, p->in->sizes));
}

static void check_infer(Precheck *p, const Infer *f) {
  if (f->n) check_value(p, f->n, POSITIVE, "the number of draws");
  if (f->k) check_value(p, f->k, POSITIVE, "the number of values kept");
  if (f->alpha) check_value(p, f->alpha, FROM_ONE, "alpha");
  if (f->tau) check_value(p, f->tau, POSITIVE, "the temperature");
  if (f->steps) check_value(p, f->steps, NONNEGATIVE, "the number of steps");
  if (f->rate) check_value(p, f->rate, NONNEGATIVE, "the rate");
  if (f->tol) check_value(p, f->tol, NONNEGATIVE, "the tolerance");
  if (f->damping) check_value(p, f->damping, UNIT, "the damping");
}

bool precheck(Arena *arena, const Loaded *l, const Inputs *in) {
  const Model *m = in->model;
  Precheck p = {.arena = arena, .model = m, .in = in, .diags = load_messages(arena, l),
                .known = constant_known(arena, m, in->sizes)};
  measure_scalars(arena, in, m->inputs.n, &p.known);
  for (uint32_t k = 0; k < m->weights.n; k++) {
    check_weight(&p, m->weights.at[k]);
    check_require(&p, m->weights.at[k]);
  }
  for (uint32_t k = 0; k < m->infers.n; k++) check_infer(&p, m->infers.at[k]);
  diag_print(p.diags, message_stream());
  return p.diags->errors == 0;
}

const char *precheck_sizes(Arena *arena, const Model *m, const int64_t *sizes) {
  const char *text = "";
  for (uint32_t k = 0; k < m->sizes.n; k++)
    text = arena_printf(arena, "%s%s%s = %lld", text, k ? ", " : "", sym_text(m->names, m->sizes.at[k]->name),
                        (long long)sizes[k]);
  return text;
}
