/* explain: what the compiler makes of a model, for people and for programs.
 *
 * The graph in words, the posterior and the outputs as formulas, the order of summation, the cost as polynomials
 * of the sizes (and as numbers where those are known), memory, what was moved out of loops and what shares one pass;
 * and, for a model that cannot be compiled yet, why not. */
#ifndef ATTN_EXPLAIN_EXPLAIN_H
#define ATTN_EXPLAIN_EXPLAIN_H

#include "infer/plan.h"
#include "ir/ir.h"

struct TilePlan;

/* How the kernel would be built. */
typedef struct ExplainBuild {
  const Kernel *k;              /* as it is compiled, but for REASSOCIATE_NEVER */
  const struct TilePlan *tiles; /* of k; NULL: scalar code alone, since `scalar` */
  const char *scalar;
  const char *const *networks;  /* by Component.id of a network's first part: how it is summed; NULL: nothing is said */
  double shared, each; /* bytes of workspace for one thread: shared by all threads, and its own; -1: not known */
} ExplainBuild;

/* k: the kernel after all passes, its sums in the order of the model (REASSOCIATE_NEVER); NULL when plan->refusals says
 * why there is none.  sizes: by Size.id, -1 where not known; NULL: none is.  build: NULL: nothing is said of it.
 * Scratch and text live in plan->arena.  False: writing failed. */
bool explain_model(const Model *m, const Plan *plan, const Kernel *k, const int64_t *sizes, const ExplainBuild *build,
                   bool json, FILE *to);

#endif
