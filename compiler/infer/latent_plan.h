/* latent_plan: shared by the files that plan the latents: plan_latent.c, statement.c, plan_joint.c. */
#ifndef ATTN_INFER_LATENT_PLAN_H
#define ATTN_INFER_LATENT_PLAN_H

#include "infer/latent.h"

/* A statement that latents stand in. */
typedef struct Statement {
  Weight *w;
  Term *t;             /* its log weight at a point of its plates; NULL: not as a term */
  bool collected;      /* it is a sum of monomials in all its latents */
  Monomials poly;      /* in those that have no obstacle, with the means of coefficients that are random */
  Obstacle *obstacles; /* by Latent.id: why it is none in this one; NULL: in all */
  Obstacle why;        /* why not, or why it has no mean under q */
  bool random;         /* it mentions a latent whose q is no point */
} Statement;

typedef VEC(Statement) Statements;

Statements collect_statements(Plan *p);
bool statement_mentions(const Statement *s, const Latent *z);
/* Why it is no sum of monomials in the latent; NULL: it is. */
const Obstacle *obstacle_to(const Statement *s, const Latent *z);
/* Multiplies what no edge stands in by the indicator that the copy of the statement's edges exists. */
void only_where_it_exists(Plan *p, const Weight *w, Monomials *poly);

/* plan_joint.c: sets LatentPlan.joint. */
void find_joints(Plan *p, const Statements *all);

Form form_of_latent(const Latent *z);

/* ---- moment.c ---------------------------------------------------------------------------------------------------- */

/* The statistic at the mean of its latent. */
Term *stat_at_mean(const Plan *p, const Stat *s);
/* The monomial as a term, with `stats` for its statistics; NULL: 1. */
Term *sum_monomial(const Plan *p, const Monomial *x, Term *stats);

/* ---- mean.c ------------------------------------------------------------------------------------------------------ */

/* Is its mean written monomial by monomial? */
bool is_low(const Plan *p, const Monomials *x);

/* ---- normal_moment.c --------------------------------------------------------------------------------------------- */

typedef VEC(Stat) Stats;

/* Powers, and the degree of a product of several components, beyond which means are not written. */
enum { NORMAL_POWER = 40, NORMAL_DEGREE = 6 };

/* A positive whole power of a component whose q is normal? */
bool is_normal_power(const Plan *p, const Stat *s);
/* E[z^n] without its first `from` terms; from = 1: less mean^n. */
Term *normal_power(Arena *a, const Stat *s, uint32_t from);
/* Of such powers of one latent; NULL: 1. */
Term *normal_product(Arena *a, const Stats *x);
/* E[a^n] of an a with that mean and variance that is affine in normal components; without its first `from` terms. */
Term *normal_power_of(Arena *a, Term *mean, Term *variance, double n, uint32_t from);
/* Is it affine in what is random, and that normal? */
bool is_affine(const Plan *p, const Monomials *x);
/* Its variance; NULL: 0. */
Term *affine_variance(const Plan *p, const Monomials *x);
/* t, a term in moments, with the means of z and what else is normal moved by their covariances with the affine a. */
Term *tilted(const Plan *p, Term *t, const Monomials *a);

#endif
