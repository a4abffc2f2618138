/* mean: E_q of a term, as its value at the means and what is to be added to that.
 *
 *   E[a + b] = E[a] + E[b]    E[c a] = c E[a]    E[sum a] = sum E[a]        c without anything random
 *   polynomials and logarithms: by their monomials (moment.c)
 *   E[c e^a] = c e^(mean of a + Var[a] / 2)                                  a affine in normal latents
 *   E[a^n] = E of a normal number's power, with the mean and the variance of a
 * A product of powers and quotients of exponentials is one exponential.  The sum a + b of two terms is taken apart only
 * where it is no polynomial itself. */
#include <math.h>

#include "infer/latent_plan.h"

typedef struct Mean {
  const Plan *p;
  Obstacle *why;
} Mean;

static Arena *arena_of(const Mean *c) { return c->p->arena; }

Term *at_means(const Plan *p, Term *t) {
  if (!any_random(p, t)) return t;
  if (t->kind == TERM_LATENT) return make_moment(p->arena, t, MOMENT_MEAN);
  Term *u = NEW(p->arena, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &u->args, at_means(p, t->args.at[i]));
  return term_finish(u);
}

/* ---- exponentials ------------------------------------------------------------------------------------------------ */

/* factor e^exponent; NULL: 1, 0. */
typedef struct Exponential {
  Term *factor, *exponent;
} Exponential;

static bool as_exponential(const Mean *c, Term *t, Exponential *e);

static bool power_of(const Mean *c, Term *t, double n, Exponential *e) {
  Exponential x;
  if (!as_exponential(c, t, &x)) return false;
  e->factor = x.factor ? make_power(arena_of(c), x.factor, n) : NULL;
  e->exponent = x.exponent ? make_scaled(arena_of(c), n, x.exponent) : NULL;
  return true;
}

static bool product_of(const Mean *c, const Term *t, Exponential *e) {
  Arena *a = arena_of(c);
  Exponential x, y;
  if (!as_exponential(c, t->args.at[0], &x) || !as_exponential(c, t->args.at[1], &y)) return false;
  bool over = t->op == OP_DIV;
  e->factor = over ? make_quotient(a, x.factor, y.factor) : make_product(a, x.factor, y.factor);
  e->exponent = make_sum(a, x.exponent, over && y.exponent ? make_scaled(a, -1, y.exponent) : y.exponent);
  return true;
}

static bool as_exponential(const Mean *c, Term *t, Exponential *e) {
  *e = (Exponential){NULL, NULL};
  if (!any_random(c->p, t)) return e->factor = t, true;
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_EXP: return e->exponent = t->args.at[0], true;
  case OP_MUL:
  case OP_DIV: return product_of(c, t, e);
  case OP_SQ: return power_of(c, t->args.at[0], 2, e);
  case OP_SQRT: return power_of(c, t->args.at[0], 0.5, e);
  case OP_NEG:
    if (!as_exponential(c, t->args.at[0], e)) return false;
    e->factor = make_scaled(arena_of(c), -1, e->factor);
    return true;
  case OP_POW: {
    const Term *n = t->args.at[1];
    if (n->kind == TERM_INT) return power_of(c, t->args.at[0], (double)n->integer, e);
    return n->kind == TERM_REAL && power_of(c, t->args.at[0], n->real, e);
  }
  }
  return false;
}

/* What it adds to e^a at the means: c e^a (e^(Var[a] / 2) - 1).  False, with no obstacle: t is none. */
static bool exponential_surplus(Mean *c, Term *t, Term **surplus) {
  Arena *a = arena_of(c);
  Model *m = (Model *)c->p->model;
  Exponential e;
  Monomials x;
  Obstacle why = {0};
  if (!as_exponential(c, t, &e) || !e.exponent) return false;
  if (!collect_monomials(m, e.exponent, &x, &why) || !is_affine(c->p, &x)) {
    *c->why = (Obstacle){t->span, "the exponential of what is not affine in a latent"};
    return false;
  }
  Term *variance = affine_variance(c->p, &x);
  Term *grown = variance ? term_op1(a, OP_EXPM1, make_scaled(a, 0.5, variance), t->span) : NULL;
  *surplus = grown ? make_product(a, at_means(c->p, t), grown) : NULL;
  return true;
}

/* ---- powers ------------------------------------------------------------------------------------------------------ */

/* a^n less that at the means.  false: t is none. */
static bool power_surplus(Mean *c, const Term *t, Term **surplus) {
  Monomials x;
  Obstacle why = {0};
  if (t->kind != TERM_OP || t->op != OP_POW) return false;
  const Term *e = t->args.at[1];
  double n = e->kind == TERM_INT ? (double)e->integer : e->kind == TERM_REAL ? e->real : 0;
  if (!(n >= 1 && n <= NORMAL_POWER && n == floor(n))) return false;
  if (!collect_monomials((Model *)c->p->model, t->args.at[0], &x, &why) || !is_affine(c->p, &x)) return false;
  Term *variance = affine_variance(c->p, &x);
  *surplus = variance ? normal_power_of(arena_of(c), at_means(c->p, t->args.at[0]), variance, n, 1) : NULL;
  return true;
}

/* Are means of it written monomial by monomial?  Of a power of a sum, or of exponentials, they are not. */
bool is_low(const Plan *p, const Monomials *x) {
  for (uint32_t i = 0; i < x->n; i++) {
    double degree = 0;
    for (uint32_t k = 0; k < x->at[i].stats.n; k++)
      if (is_normal_power(p, &x->at[i].stats.at[k])) degree += x->at[i].stats.at[k].power;
    if (degree > 2) return false;
  }
  return true;
}

/* ---- linearity --------------------------------------------------------------------------------------------------- */

static bool surplus_of(Mean *c, Term *t, Term **surplus);

static bool surplus_of_sum(Mean *c, const Term *t, Term **surplus) {
  Term *x, *y;
  if (!surplus_of(c, t->args.at[0], &x) || !surplus_of(c, t->args.at[1], &y)) return false;
  *surplus = make_sum(arena_of(c), x, t->op == OP_SUB && y ? make_scaled(arena_of(c), -1, y) : y);
  return true;
}

/* false, with no obstacle: t is no such product. */
static bool surplus_of_product(Mean *c, const Term *t, Term **surplus) {
  Arena *a = arena_of(c);
  Term *x = t->args.at[0], *y = t->args.at[1], *s;
  if (any_random(c->p, y)) {
    if (t->op == OP_DIV || any_random(c->p, x)) return false;
    Term *swap = x;
    x = y, y = swap;
  }
  if (!surplus_of(c, x, &s)) return false;
  *surplus = !s ? NULL : t->op == OP_DIV ? make_quotient(a, s, y) : make_product(a, y, s);
  return true;
}

static bool surplus_of_choice(Mean *c, const Term *t, Term **surplus) {
  Arena *a = arena_of(c);
  Term *yes, *no, *zero = term_real(a, 0, t->span);
  if (any_random(c->p, t->args.at[0])) return false;
  if (!surplus_of(c, t->args.at[1], &yes) || !surplus_of(c, t->args.at[2], &no)) return false;
  *surplus = yes || no ? term_if(a, t->args.at[0], yes ? yes : zero, no ? no : zero, t->span) : NULL;
  return true;
}

static bool surplus_of_reduce(Mean *c, const Term *t, Term **surplus) {
  Index *index;
  Term *s;
  if (t->reduce != REDUCE_SUM) return false;
  if (!surplus_of(c, open_reduce((Model *)c->p->model, t, &index), &s)) return false;
  *surplus = s ? term_reduce(arena_of(c), REDUCE_SUM, index, s, t->span) : NULL;
  return true;
}

static bool surplus_of_parts(Mean *c, Term *t, Term **surplus) {
  if (power_surplus(c, t, surplus) || exponential_surplus(c, t, surplus)) return true;
  if (c->why->text) return false;
  if (t->kind == TERM_IF) return surplus_of_choice(c, t, surplus);
  if (t->kind == TERM_REDUCE) return surplus_of_reduce(c, t, surplus);
  if (t->kind != TERM_OP) return false;
  if (t->op == OP_ADD || t->op == OP_SUB) return surplus_of_sum(c, t, surplus);
  if (t->op == OP_MUL || t->op == OP_DIV) return surplus_of_product(c, t, surplus);
  if (t->op != OP_NEG || !surplus_of(c, t->args.at[0], surplus)) return false;
  if (*surplus) *surplus = make_scaled(arena_of(c), -1, *surplus);
  return true;
}

/* NULL: 0. */
static bool surplus_of(Mean *c, Term *t, Term **surplus) {
  Monomials poly;
  Obstacle own = {0};
  *surplus = NULL;
  if (!any_random(c->p, t)) return true;
  bool known = t->type == TYPE_REAL && collect_monomials((Model *)c->p->model, t, &poly, &own);
  if (t->type == TYPE_REAL && !(known && is_low(c->p, &poly)) && surplus_of_parts(c, t, surplus)) return true;
  if (known) {
    *c->why = (Obstacle){0};
    *surplus = mean_correction(c->p, &poly, c->why);
    return !c->why->text;
  }
  if (!c->why->text) *c->why = own.text ? own : (Obstacle){t->span, "no polynomial, logarithm or product of them"};
  return false;
}

bool mean_surplus(const Plan *p, Term *t, Term **surplus, Obstacle *why) {
  return surplus_of(&(Mean){p, why}, t, surplus);
}

/* What does not depend on latents stays as it is written. */
Term *expected_term(const Plan *p, Term *t, Obstacle *why) {
  Term *surplus;
  if (!mean_surplus(p, t, &surplus, why)) return NULL;
  return surplus ? make_sum(p->arena, t, surplus) : t;
}
