/* algebra: log weights as functions of latents, symbolically.
 *
 * A log weight that latents stand in is written as a sum of monomials
 *
 *   sum over indices, where a condition holds:  scale * coef * prod of statistics
 *
 * whose statistics are powers of components of latents, their logarithms and log(1 - z); everything else (data, edges,
 * indices) is in the coefficients.  It is the form in which an exponential family shows: a quadratic has the statistics
 * z, z^2 and z z', a beta log z and log(1 - z), a gamma log z and z, a dirichlet log z.
 *
 * Terms are those of the model; what is made here lives on the model's arena, and new bound indices get numbers of
 * the model.  Nothing is evaluated. */
#ifndef ATTN_ALGEBRA_ALGEBRA_H
#define ATTN_ALGEBRA_ALGEBRA_H

#include "model/term.h"

typedef enum { STAT_POWER, STAT_LOG, STAT_LOG1M } StatKind;

typedef struct Stat {
  StatKind kind;
  Term *ref;    /* TERM_LATENT, MOMENT_VALUE */
  double power; /* POWER; else 1 */
} Stat;

typedef struct Monomial {
  IndexVec sums; /* outermost first; ranges may use the earlier ones */
  Term *cond; /* bool: where it holds there is the monomial, elsewhere 0, and nothing is evaluated; NULL: everywhere */
  double scale;
  Term *coef;      /* real; NULL: 1 */
  VEC(Stat) stats; /* different statistics; empty: a constant */
} Monomial;

typedef VEC(Monomial) Monomials;

/* Why something has not the form wanted. */
typedef struct Obstacle {
  Span span;
  const char *text;
} Obstacle;

/* ---- make.c: terms, with the identities that keep them short -------------------------------------------------- */

Term *make_product(Arena *a, Term *x, Term *y); /* real; NULL: 1 */
Term *make_quotient(Arena *a, Term *x, Term *y);
Term *make_scaled(Arena *a, double scale, Term *x); /* scale * x, x NULL: 1 */
Term *make_sum(Arena *a, Term *x, Term *y);         /* NULL: 0 */
Term *make_and(Arena *a, Term *x, Term *y);         /* NULL: true */
Term *make_power(Arena *a, Term *x, double power);
/* A latent's reference as another number of q. */
Term *make_moment(Arena *a, const Term *ref, Moment moment);
/* t with `to` for every `from`. */
Term *replace_term(Arena *a, Term *t, const Term *from, Term *to);
/* The body of a reduction over an index of its own: where parts of it end up, the original may be bound once more. */
Term *open_reduce(Model *m, const Term *t, Index **index);
/* Does t mention a latent as a variable? */
bool has_variable(const Term *t);

/* ---- log_term.c ---------------------------------------------------------------------------------------------- */

/* The log weight of a statement at one point of its plates and axes, up to terms without latents where a density has
 * them; NULL: it has none of its own (a require, whose 0/1 no latent moves). */
Term *log_term(Model *m, const Weight *w);

/* ---- none.c -------------------------------------------------------------------------------------------------- */

/* The condition under which a statement counts as 1: an edge it uses is none.  NULL: never. */
Term *uses_none(Arena *a, const Weight *w);
/* A weight, in which `none` may stand for an edge, as a term that is 1 where its evaluation uses a none; NULL: not as a
 * term. */
Term *one_where_none_is_used(Arena *a, Term *t);

/* ---- collect.c ------------------------------------------------------------------------------------------------- */

enum { POLY_MAX = 200 }; /* monomials; a log weight with more is not worth a closed form */

/* t as a sum of monomials, constants left out.  False, and why, where it is none. */
bool collect_monomials(Model *m, Term *t, Monomials *p, Obstacle *why);
/* The same in the statistics of as many latents as it is one of, the others being coefficients: (x - z)^2 / exp(s) is
 * one in z.  obstacles[Latent.id]: why the latent is a coefficient; no text: it is none. */
bool collect_monomials_of_some(Model *m, Term *t, Monomials *p, Obstacle *obstacles);
/* The same in the statistics of one latent, all others being coefficients: (x - z)^2 / s^2 stays one square for s. */
bool collect_monomials_of(Model *m, Term *t, const Latent *only, Monomials *p, Obstacle *why);
/* A copy of x with bound indices of its own. */
Monomial monomial_renamed(Model *m, const Monomial *x);

/* ---- differ.c -------------------------------------------------------------------------------------------------- */

/* dt by every reference to a latent: monomials of one first power each, its coefficient the derivative, in which
 * latents are values.  Sums of such monomials are not t. */
bool differentiate(Model *m, Term *t, Monomials *p, Obstacle *why);

/* ---- statistic.c ----------------------------------------------------------------------------------------------- */

/* What the monomials leave for one component z[at] of a latent, at = its own indices:
 *
 *   sum over outer indices of E[ sum over inner ones of  coef * others, where the k-th statistic is that of z[at] ]
 *
 * `outer`: plates of the statement.  `others`: the expected product of the remaining statistics (NULL: 1).  A sum whose
 * index is one of the reference's is sifted: only the value that agrees is left. */
Term *component_statistic(Model *m, const IndexVec *outer, const Monomial *x, uint32_t stat, Term *others);

/* The same for components of several statistics at once, each at indices of its own (NULL: those of its latent). */
typedef struct Target {
  uint32_t stat;
  const IndexVec *at;
} Target;
Term *targets_statistic(Model *m, const IndexVec *outer, const Monomial *x, const Target *targets, uint32_t n,
                        Term *others);

#endif
