/* mean: E_q of a term, as its value at the means and what is to be added to that.
 *
 *   E[a + b] = E[a] + E[b]    E[c a] = c E[a]    E[sum a] = sum E[a]        c without anything random
 *   polynomials and logarithms: by their monomials (moment.c)
 *   E[e^a] = e^(mean of a + Var[a] / 2)                                      a affine in normal latents
 *   E[f e^a] = E[e^a] E'[f]                                                  E': with Cov[z, a] more in the means
 *   E[a^n] = E of a normal number's power, with the mean and the variance of a
 * A product of powers and quotients of exponentials is one exponential; products are expanded over sums.  The sum a + b
 * of two terms is taken apart only where it is no polynomial itself. */
#include <math.h>

#include "infer/latent_plan.h"

typedef struct Mean {
  const Plan *p;
  Obstacle *why;
  uint32_t parts; /* of products that were expanded */
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

/* factor e^exponent, the exponent with all that is one at the top of the term; NULL: 1, 0. */
typedef struct Exponential {
  Term *factor, *exponent;
} Exponential;

static Exponential as_exponential(const Mean *c, Term *t);

static Exponential power_of(const Mean *c, Term *t, double n) {
  Exponential x = as_exponential(c, t);
  if (x.factor) x.factor = make_power(arena_of(c), x.factor, n);
  if (x.exponent) x.exponent = make_scaled(arena_of(c), n, x.exponent);
  return x;
}

static Exponential product_of(const Mean *c, const Term *t) {
  Arena *a = arena_of(c);
  Exponential x = as_exponential(c, t->args.at[0]), y = as_exponential(c, t->args.at[1]);
  bool over = t->op == OP_DIV;
  Term *factor = over ? make_quotient(a, x.factor, y.factor) : make_product(a, x.factor, y.factor);
  return (Exponential){factor,
                       make_sum(a, x.exponent, over && y.exponent ? make_scaled(a, -1, y.exponent) : y.exponent)};
}

static double exponent_of(const Term *t) {
  const Term *n = t->args.at[1];
  return n->kind == TERM_INT ? (double)n->integer : n->kind == TERM_REAL ? n->real : NAN;
}

static Exponential as_exponential(const Mean *c, Term *t) {
  Exponential x = {t, NULL};
  if (t->kind != TERM_OP || !any_random(c->p, t)) return x;
  switch ((int)t->op) {
  case OP_EXP: return (Exponential){NULL, t->args.at[0]};
  case OP_MUL:
  case OP_DIV: return product_of(c, t);
  case OP_SQ: return power_of(c, t->args.at[0], 2);
  case OP_SQRT: return power_of(c, t->args.at[0], 0.5);
  case OP_POW: return isnan(exponent_of(t)) ? x : power_of(c, t->args.at[0], exponent_of(t));
  case OP_NEG:
    x = as_exponential(c, t->args.at[0]);
    x.factor = make_scaled(arena_of(c), -1, x.factor);
    return x;
  }
  return x;
}

static bool surplus_of(Mean *c, Term *t, Term **surplus);

/* A mean with more parts is not written: a tilt copies it, and in nested ones they would be copied at every level. */
enum { MEAN_NODES = 5000 };

/* What it adds to f e^a at the means: where f is not random, f e^a (e^(Var[a] / 2) - 1).  False, with no obstacle: t is
 * none. */
static bool exponential_surplus(Mean *c, Term *t, Term **surplus) {
  Arena *a = arena_of(c);
  Exponential e = as_exponential(c, t);
  Monomials x;
  Obstacle why = {0};
  if (!e.exponent) return false;
  if (!collect_monomials((Model *)c->p->model, e.exponent, &x, &why) || !is_affine(c->p, &x)) {
    *c->why = (Obstacle){t->span, "the exponential of what is not affine in a latent"};
    return false;
  }
  Term *variance = affine_variance(c->p, &x), *half = variance ? make_scaled(a, 0.5, variance) : NULL, *more;
  if (!e.factor || !any_random(c->p, e.factor)) {
    *surplus = half ? make_product(a, at_means(c->p, t), term_op1(a, OP_EXPM1, half, t->span)) : NULL;
    return true;
  }
  if (!surplus_of(c, e.factor, &more)) return false;
  if (e.factor->nodes + (more ? more->nodes : 0) > MEAN_NODES) {
    *c->why = (Obstacle){t->span, "an exponential times an expectation of so many terms"};
    return false;
  }
  Term *mean = tilted(c->p, make_sum(a, at_means(c->p, e.factor), more), &x);
  Term *grown = term_op1(a, OP_EXP, make_sum(a, at_means(c->p, e.exponent), half), t->span);
  *surplus = term_op2(a, OP_SUB, make_product(a, mean, grown), at_means(c->p, t), t->span);
  return true;
}

/* ---- powers ------------------------------------------------------------------------------------------------------ */

/* a^n less that at the means.  false: t is none. */
static bool power_surplus(Mean *c, const Term *t, Term **surplus) {
  Monomials x;
  Obstacle why = {0};
  if (t->kind != TERM_OP || t->op != OP_POW) return false;
  double n = exponent_of(t);
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

static bool surplus_of_sum(Mean *c, const Term *t, Term **surplus) {
  Term *x, *y;
  if (!surplus_of(c, t->args.at[0], &x) || !surplus_of(c, t->args.at[1], &y)) return false;
  *surplus = make_sum(arena_of(c), x, t->op == OP_SUB && y ? make_scaled(arena_of(c), -1, y) : y);
  return true;
}

enum { PARTS_MAX = 200 };

/* x over y, or times it, where x is a sum of some kind: the sum of the products with its parts; NULL: it is none. */
static Term *over_parts(const Mean *c, OpKind op, Term *x, Term *y, Span span) {
  Arena *a = arena_of(c);
  Index *index;
  if (x->kind == TERM_IF) {
    if (any_random(c->p, x->args.at[0])) return NULL;
    return term_if(a, x->args.at[0], term_op2(a, op, x->args.at[1], y, span), term_op2(a, op, x->args.at[2], y, span),
                   span);
  }
  if (x->kind == TERM_REDUCE && x->reduce == REDUCE_SUM) {
    Term *body = open_reduce((Model *)c->p->model, x, &index);
    return term_reduce(a, REDUCE_SUM, index, term_op2(a, op, body, y, span), span);
  }
  if (x->kind != TERM_OP || (x->op != OP_ADD && x->op != OP_SUB)) return NULL;
  return term_op2(a, x->op, term_op2(a, op, x->args.at[0], y, span), term_op2(a, op, x->args.at[1], y, span), span);
}

/* A product, square or power of sums, one sum expanded; NULL: it is none. */
static Term *expanded(Mean *c, const Term *t) {
  Arena *a = arena_of(c);
  if (t->kind != TERM_OP || !t->args.n) return NULL;
  Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : x, *by_parts;
  double n = t->op == OP_POW ? exponent_of(t) : 0;
  if (t->op == OP_POW && n >= 2 && n <= NORMAL_POWER && n == floor(n)) y = make_power(a, x, n - 1);
  else if (t->op != OP_MUL && t->op != OP_DIV && t->op != OP_SQ) return NULL;
  OpKind op = t->op == OP_DIV ? OP_DIV : OP_MUL;
  by_parts = over_parts(c, op, x, y, t->span);
  if (!by_parts && any_random(c->p, x) && (by_parts = expanded(c, x)))
    return term_op2(a, op, by_parts, y, t->span);
  if (!by_parts && op == OP_MUL) by_parts = over_parts(c, op, y, x, t->span);
  if (!by_parts && op == OP_MUL && any_random(c->p, y) && (by_parts = expanded(c, y)))
    return term_op2(a, op, x, by_parts, t->span);
  return by_parts && c->parts++ < PARTS_MAX ? by_parts : NULL;
}

/* false, with no obstacle: t is no such product. */
static bool surplus_of_product(Mean *c, const Term *t, Term **surplus) {
  Arena *a = arena_of(c);
  Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : x, *s;
  if ((t->op != OP_MUL && t->op != OP_DIV) || any_random(c->p, y)) {
    if (t->op != OP_MUL || any_random(c->p, x)) {
      Term *sum = expanded(c, t);
      return sum && surplus_of(c, sum, surplus);
    }
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
  if (t->op != OP_NEG) return surplus_of_product(c, t, surplus);
  if (!surplus_of(c, t->args.at[0], surplus)) return false;
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
  return surplus_of(&(Mean){p, why, 0}, t, surplus);
}

/* What does not depend on latents stays as it is written. */
Term *expected_term(const Plan *p, Term *t, Obstacle *why) {
  Term *surplus;
  if (!mean_surplus(p, t, &surplus, why)) return NULL;
  return surplus ? make_sum(p->arena, t, surplus) : t;
}
