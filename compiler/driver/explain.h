/* explain: how a model is summed, in words. */
#ifndef ATTN_DRIVER_EXPLAIN_H
#define ATTN_DRIVER_EXPLAIN_H

#include "base/diag.h"
#include "infer/plan.h"

/* Components, their edges, factors and elimination trees, refusals. */
void explain_plan(Arena *arena, const Plan *p, FILE *to);
/* What was refused, as errors at their place. */
void explain_refusals(const Plan *p, Diags *to);
/* Those that are errors of the model alone. */
void explain_errors(const Plan *p, Diags *to);

#endif
