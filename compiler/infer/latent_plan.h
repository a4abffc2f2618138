/* latent_plan: shared by the files that plan the latents: plan_latent.c, statement.c, plan_joint.c. */
#ifndef ATTN_INFER_LATENT_PLAN_H
#define ATTN_INFER_LATENT_PLAN_H

#include "infer/latent.h"

/* A statement that latents stand in. */
typedef struct Statement {
  Weight *w;
  Term *t;        /* its log weight at a point of its plates; NULL: not as a term */
  bool collected; /* it is a sum of monomials, */
  Monomials poly; /* this */
  Obstacle why;   /* why not */
  bool random;    /* it mentions a latent whose q is no point */
} Statement;

typedef VEC(Statement) Statements;

Statements collect_statements(Plan *p);
bool statement_mentions(const Statement *s, const Latent *z);
/* Multiplies what no edge stands in by the indicator that the copy of the statement's edges exists. */
void only_where_it_exists(Plan *p, const Weight *w, Monomials *poly);

/* plan_joint.c: sets LatentPlan.joint. */
void find_joints(Plan *p, const Statements *all);

Form form_of_latent(const Latent *z);

#endif
