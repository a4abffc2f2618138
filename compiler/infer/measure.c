/* measure: a change of measure, once what is a function of counts is known.
 *
 *     E[f g] = Z(f) / Z  E_f[g],   p_f ~ p f,   f >= 0
 *     E[f g] = E[max(f, 0) g] - E[max(-f, 0) g]
 *
 * Where g has conditions f matters under them alone: 1 / S beside a[j] == 1 is never of S = 0.  A measure has no
 * conditions on single copies, so that f is taken where it is finite, and what it is elsewhere is added if the
 * conditions leave that any probability. */
#include "infer/measure.h"

#include <math.h>

#include "model/term.h"

Term *real_product(Arena *arena, const TermVec *factors, Span span) {
  Term *r = term_real(arena, 1, span);
  for (uint32_t i = 0; i < factors->n; i++) {
    Term *f = term_to_real(arena, factors->at[i]);
    r = r->kind == TERM_REAL && r->real == 1 ? f : term_op2(arena, OP_MUL, r, f, span);
  }
  return r;
}

/* ---- queries and twins ------------------------------------------------------------------------------------------- */

static Term *all_of(Arena *arena, const TermVec *conditions, Span span) {
  Term *all = conditions->at[0];
  for (uint32_t i = 1; i < conditions->n; i++) all = term_op2(arena, OP_AND, all, conditions->at[i], span);
  return all;
}

Term *query_of(const Asked *s, const TermVec *factors) {
  Arena *arena = s->p->arena;
  bool event = true;
  for (uint32_t i = 0; i < factors->n; i++) event &= factors->at[i]->type == TYPE_BOOL;
  TermVec args = {0};
  if (!event) {
    vec_push(arena, &args, real_product(arena, factors, s->span));
    return term_query(arena, QUERY_E, TYPE_REAL, &args, s->span);
  }
  vec_push(arena, &args, all_of(arena, factors, s->span));
  return term_query(arena, QUERY_P, TYPE_REAL, &args, s->span);
}

static bool are_equal(const TermVec *a, const TermVec *b) {
  for (uint32_t i = 0; i < a->n && a->n == b->n; i++)
    if (!term_equal(a->at[i], b->at[i])) return false;
  return a->n == b->n;
}

/* What may fail is looked at where it is asked alone; elsewhere it is 1. */
Term *where_asked(const Asked *s, Term *part) {
  Arena *arena = s->p->arena;
  if (!s->where || !term_may_fail(part)) return part;
  bool event = part->type == TYPE_BOOL;
  return term_if(arena, s->where, part, event ? term_bool(arena, true, s->span) : term_real(arena, 1, s->span),
                 s->span);
}

/* NULL: there is none. */
static const Twin *twin_by(Asked *s, const Counts *k, const TermVec *f) {
  for (const Made *t = s->made; t; t = t->next)
    if (t->w.c == k->c && t->w.step == k->step && are_equal(t->f, f)) return &t->w;
  Made *t = NEW(s->p->arena, Made);
  TermVec *kept = NEW(s->p->arena, TermVec);
  *kept = *f;
  *t = (Made){.f = kept, .next = s->made};
  TermVec parts = {0};
  for (uint32_t i = 0; i < f->n; i++) vec_push(s->p->arena, &parts, where_asked(s, f->at[i]));
  if (!twin_make(&t->w, s->p, s->m, k->c, k->step, &parts, s->span)) return NULL;
  s->made = t;
  return &t->w;
}

/* ---- which numbers are finite ------------------------------------------------------------------------------------ */

static bool is_positive(const Term *t) {
  if (t->kind == TERM_INT || t->kind == TERM_REAL) return t->kind == TERM_INT ? t->integer > 0 : t->real > 0;
  if (t->kind != TERM_OP) return false;
  const Term *const *x = (const Term *const *)t->args.at;
  switch ((int)t->op) {
  case OP_TO_REAL: return is_positive(x[0]);
  case OP_EXP: return true;
  case OP_MAX: return is_positive(x[0]) || is_positive(x[1]);
  case OP_MUL: return is_positive(x[0]) && is_positive(x[1]);
  case OP_ADD: return (is_positive(x[0]) && x[1]->nonnegative) || (is_positive(x[1]) && x[0]->nonnegative);
  }
  return false;
}

static bool is_pole(const Term *t) {
  const Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : NULL;
  switch ((int)t->op) {
  case OP_LOG:
  case OP_LOG1P:
  case OP_LGAMMA:
  case OP_DIGAMMA: return !is_positive(x);
  case OP_SQRT: return !x->nonnegative;
  case OP_DIV: return !is_positive(y);
  case OP_POW: return t->type == TYPE_REAL && !is_positive(x) && !(x->nonnegative && y->nonnegative);
  }
  return false;
}

/* May t be infinite, or no number, where what it is made of is finite? */
static bool may_be_infinite(const Term *t) {
  if (t->kind == TERM_OP && is_pole(t)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (may_be_infinite(t->args.at[i])) return true;
  return false;
}

/* ---- one change of measure --------------------------------------------------------------------------------------- */

/* Where p is 0 nothing is of any matter, an infinite mean neither. */
static Term *unless_zero(const Asked *s, Term *p, Term *t) {
  Term *zero = term_real(s->p->arena, 0, s->span);
  return term_if(s->p->arena, term_op2(s->p->arena, OP_EQ, p, zero, s->span), zero, t, s->span);
}

/* Z(f) / Z E_f[g]; NULL: there is no such twin.  g may be of counts of other components. */
static Term *measured(Asked *s, const Counts *k, const TermVec *f, const TermVec *g) {
  for (uint32_t i = 0; i < g->n; i++)
    if (twin_edges_bound_sums(g->at[i])) return NULL;
  const Twin *w = twin_by(s, k, f);
  for (uint32_t i = 0; w && i < g->n; i++)
    if (!twin_is_of_same_chain(w, g->at[i])) return NULL;
  Term *mean = w && g->n ? mean_of_factors(s, g) : NULL;
  if (!w || !g->n) return w ? twin_share(w) : NULL;
  if (!mean) return NULL;
  Arena *arena = s->p->arena;
  Term *share = twin_share(w), *product = term_op2(arena, OP_MUL, share, twin_of_term(w, mean), s->span);
  for (uint32_t i = 0; i < g->n; i++)
    if (may_be_infinite(g->at[i])) return unless_zero(s, share, product);
  return product;
}

/* ---- numbers that are not finite --------------------------------------------------------------------------------- */

static TermVec and_also(const Asked *s, const TermVec *factors, Term *t) {
  TermVec r = {0};
  for (uint32_t i = 0; i < factors->n; i++) vec_push(s->p->arena, &r, factors->at[i]);
  vec_push(s->p->arena, &r, t);
  return r;
}

/* What E[f g] is where f is not finite and g's conditions hold: `value` if that has any probability, else 0. */
static Term *mean_where(Asked *s, const Counts *k, const TermVec *f, Term *where, const TermVec *g, double value) {
  Arena *arena = s->p->arena;
  TermVec with = and_also(s, f, where), conditions = {0};
  for (uint32_t i = 0; i < g->n; i++)
    if (g->at[i]->type == TYPE_BOOL) vec_push(arena, &conditions, g->at[i]);
  Term *mean = measured(s, k, &with, g), *p = mean ? measured(s, k, &with, &conditions) : NULL;
  if (!p) return NULL;
  Term *zero = term_real(arena, 0, s->span), *there = term_op2(arena, OP_GT, p, zero, s->span);
  return term_if(arena, there, term_op2(arena, OP_MUL, mean, term_real(arena, value, s->span), s->span), zero, s->span);
}

/* f x, x >= 0.  Under g's conditions alone is x of any matter: an infinite one beside them is not to meet a 0; nor may
 * a weight be infinite, as a mean may. */
static Term *measured_under(Asked *s, const Counts *k, const TermVec *f, Term *x, const TermVec *g) {
  Arena *arena = s->p->arena;
  bool under = false, known = true;
  for (uint32_t i = 0; i < g->n; i++) {
    under |= g->at[i]->type == TYPE_BOOL;
    known &= !term_mentions_edge(g->at[i], NULL);
  }
  if ((!under && !known) || !may_be_infinite(x)) {
    TermVec with = and_also(s, f, x);
    return measured(s, k, &with, g);
  }
  Term *zero = term_real(arena, 0, s->span);
  Term *finite = term_op2(arena, OP_LT, x, term_real(arena, INFINITY, s->span), s->span);
  Term *infinite = term_op2(arena, OP_EQ, x, term_real(arena, INFINITY, s->span), s->span);
  TermVec with = and_also(s, f, term_if(arena, finite, x, zero, s->span));
  Term *mean[] = {measured(s, k, &with, g), mean_where(s, k, f, infinite, g, INFINITY),
                  mean_where(s, k, f, term_op2(arena, OP_NE, x, x, s->span), g, NAN)};
  for (uint32_t i = 1; i < 3; i++)
    mean[0] = mean[0] && mean[i] ? term_op2(arena, OP_ADD, mean[0], mean[i], s->span) : NULL;
  return mean[0];
}

/* With f the product of factors, some of which may be negative.  A number is one under f's own conditions, too. */
Term *measured_by_sign(Asked *s, const Counts *k, const TermVec *factors, const TermVec *g) {
  Arena *arena = s->p->arena;
  TermVec f = {0}, numbers = {0};
  for (uint32_t i = 0; i < factors->n; i++) {
    Term *t = counts_of_all(s->p, k->c, k->step, factors->at[i]);
    if (t->type == TYPE_BOOL)
      vec_push(arena, &f, t);
    else
      vec_push(arena, &numbers, t);
  }
  if (!numbers.n) return measured(s, k, &f, g);
  Term *zero = term_real(arena, 0, s->span), *x = real_product(arena, &numbers, s->span);
  if (f.n) x = term_if(arena, all_of(arena, &f, s->span), x, zero, s->span);
  if (x->nonnegative) return measured_under(s, k, &f, x, g);
  Term *minus = term_op1(arena, OP_NEG, x, s->span);
  Term *up = measured_under(s, k, &f, term_op2(arena, OP_MAX, x, zero, s->span), g);
  Term *down = up ? measured_under(s, k, &f, term_op2(arena, OP_MAX, minus, zero, s->span), g) : NULL;
  return down ? term_op2(arena, OP_SUB, up, down, s->span) : NULL;
}
