/* step: what the files that make a latent's step share: step.c, step_quadratic.c, step_bounded.c, step_gradient.c. */
#ifndef ATTN_INFER_STEP_H
#define ATTN_INFER_STEP_H

#include "infer/arith.h"
#include "infer/iterate.h"

/* Of the statistics of the latent's form; wide, never 0. */
typedef struct Coefficients {
  Val at[2];
} Coefficients;

/* Of a quadratic, or where a step leads.  variance: of a normal q; else 0. */
typedef struct Top {
  Val mean, variance;
} Top;

/* ---- step.c --------------------------------------------------------------------------------------- */

/* Opens all loops over the latent's indices, summing on the way. */
Coefficients step_coefficients(Components *n, const LatentPlan *l);
Val step_damped(Context *x, const LatentPlan *l, Val new, Val old); /* (1 - damping) new + damping old */
Top step_damp_top(Context *x, const LatentPlan *l, Top t, Val old, Val old_variance);
void step_store_top(Context *x, const LatentState *s, Top t, const Val *place);
Val step_rate(Context *x, const LatentPlan *l);
Val step_old_mean(Context *x, const LatentState *s, const Val *place);
Val step_old_variance(Context *x, const LatentState *s, const Val *place); /* 0: q has none */
/* An array over the latent's components, at the top of the kernel. */
Array *step_array(Derive *d, const LatentPlan *l, const char *what);

/* ---- step_quadratic.c: b z + a z^2 ------------------------------------------------------------------ */

/* Its top where it has one; where it is flat the old values.  precision: -2 a, the inverse of a normal q's variance. */
Top quadratic_top(Context *x, const LatentPlan *l, Val b, Val precision, Val old, Val old_variance);
void step_quadratic_at_once(Derive *d, const LatentPlan *l);    /* where it is known that there is a top: one pass */
void step_quadratic_if_concave(Derive *d, const LatentPlan *l); /* where only the run tells */

/* ---- step_bounded.c --------------------------------------------------------------------------------- */

void step_bounded(Derive *d, const LatentPlan *l);
void step_simplex_mode(Derive *d, const LatentPlan *l);

/* ---- step_gradient.c -------------------------------------------------------------------------------- */

void step_gradient(Derive *d, const LatentPlan *l);
/* z, or the mean, along dF/dz, and the log of a variance along v d/dv (E[log w] + log(v) / 2). */
Top step_along(Context *x, const LatentPlan *l, Val slope, Val by_variance, Val old, Val old_variance);

#endif
