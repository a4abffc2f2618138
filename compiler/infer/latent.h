/* latent: how the latents of a model are inferred, before a single loop is written.
 *
 * Collapsed inference raises  F(q) = E_q E_r[log w] + H[q] + H[r]  one `infer` line after another, r the posterior of
 * the edges at the q before the line.  As a function of one component of a latent, E[log w] is collected (algebra/) by
 * the statistics in which it is linear; their coefficients are expectations under r, summed over all copies:
 *
 *   QUADRATIC   b z + a z^2                 top at -b / 2a; a Gaussian q has the variance -1 / 2a
 *   BETA        a log z + b log(1 - z)      a beta density with parameters a + 1, b + 1
 *   GAMMA       a log z + b z               a gamma density with parameters a + 1, -b
 *   DIRICHLET   sum_k a_k log z_k           a dirichlet density with parameters a_k + 1
 *   SPREAD      a log z + b / z^2           top at sqrt(2 b / a), a < 0: the root of a weighted mean square
 *
 * Which of them is possible is a matter of the range of the latent, given by its prior; a SPREAD has none, and shows by
 * its statistics.  Where q is no point, the edges' weights are exp(E_q[log w]): the value at the means plus a
 * correction that is linear in the other moments. */
#ifndef ATTN_INFER_LATENT_H
#define ATTN_INFER_LATENT_H

#include "algebra/algebra.h"
#include "infer/plan.h"

typedef enum { Q_FAMILY_POINT, Q_FAMILY_NORMAL, Q_FAMILY_BETA, Q_FAMILY_GAMMA, Q_FAMILY_DIRICHLET } QFamily;

typedef enum { FORM_NONE, FORM_QUADRATIC, FORM_BETA, FORM_GAMMA, FORM_DIRICHLET, FORM_SPREAD } Form;

typedef VEC(Term *) TermList;

/* Components that E[log w] joins in a quadratic form with products z_u z_v are solved for together: for every value of
 * the outer indices one system  A z = b,  A_uv = - d^2 / dz_u dz_v.  Its unknowns are the components of all members,
 * one member after another, each in the order of its remaining indices. */
typedef struct LatentPlan LatentPlan;

typedef struct Pair {
  LatentPlan *u, *v;
  Term *t;
} Pair; /* d^2 / dz_u dz_v over u's own indices and v's `other` ones, u != v; d^2 / dz_v dz_u is its transpose */

typedef struct Joint {
  uint32_t outer; /* so many leading indices the members share */
  VEC(LatentPlan *) members;
  VEC(Pair) pairs;
  bool concave; /* it provably has a top, or is flat */
} Joint;

struct LatentPlan {
  Latent *z;
  Infer *line;
  QFamily family; /* of q */
  Form form;     /* of the range: what E[log w] may be for a closed step */
  bool closed;   /* E[log w] has that form */
  bool gradient; /* the step is along the gradient: sum[0] is dF/dz, or dF/dmean, and sum[1] the derivative of
                  E[log w] by the variance */
  bool concave;  /* QUADRATIC: each component provably has a top, or is flat */
  Obstacle why;  /* not closed: what is in the way */
  TermList sum[2]; /* real terms over the latent's own indices, to be added up: the coefficients a, b as above
                   (QUADRATIC: of z, z^2) */
  Joint *joint;  /* NULL: its components are solved for one by one */
  IndexVec other; /* a second set of its indices; the outer ones are the same */
};

const char *form_text(Form f);
/* May a step that turns out to have no top go along the gradient?  Else that is an error of the run. */
static inline bool may_slope(const LatentPlan *l) {
  return l->line->step == STEP_AUTO && l->line->q != Q_CONJUGATE;
}

typedef struct Latents {
  LatentPlan *of;    /* by Latent.id */
  Term **correction; /* by Weight.id: E_q[log w] less log w at the means; NULL: 0 */
} Latents;

/* Fills Plan.latents; what has no form yet becomes a refusal. */
void plan_latents(Plan *p);

Index *latent_index(const Latent *z, uint32_t i);
uint32_t latent_rank(const Latent *z);
static inline bool is_random(const LatentPlan *l) { return l->family != Q_FAMILY_POINT; }

/* ---- moment.c ---------------------------------------------------------------------------------------------------- */

/* E_q of the statistics of x but for number `skip` (-1: none); NULL: 1.  Points stay variables.  False, and why: no
 * closed form. */
bool expected_stats(const Plan *p, const Monomial *x, int skip, Term **e, Obstacle *why);
/* E over the latents whose q is no point, as a function of those that are points; NULL, and why. */
Term *expected_over_random(const Plan *p, const Monomials *poly, Obstacle *why);
/* E_q of the sum of monomials less its value at the means; NULL, with no obstacle: 0. */
Term *mean_correction(const Plan *p, const Monomials *poly, Obstacle *why);
/* Does t mention a latent, as a variable, whose q is no point? */
bool any_random(const Plan *p, const Term *t);

/* ---- mean.c ------------------------------------------------------------------------------------------------------ */

/* E_q[t] less t at the means, NULL: 0.  False, and why: it is not known. */
bool mean_surplus(const Plan *p, Term *t, Term **surplus, Obstacle *why);
/* t with the means of what is random. */
Term *at_means(const Plan *p, Term *t);
/* E_q[t] as a term in moments; t itself where no latent in it is random.  NULL, and why. */
Term *expected_term(const Plan *p, Term *t, Obstacle *why);

#endif
