/* oracle: the judge of every result.
 *
 * Computes all outputs of a model straight from its graph at one binding, in f64, by enumeration: the edge
 * copies are cut into components by what the weights may mention, every joint value of a component is
 * weighed, and queries are averages over those tables.  It knows no family, no algorithm, no rewriting, and
 * shares no code with the derivation, so that an agreement of the two means something.
 *
 * Its price is exponential in the size of a component; beyond the limits it refuses and names the cost. */
#ifndef ATTN_ORACLE_ORACLE_H
#define ATTN_ORACLE_ORACLE_H

#include "model/binding.h"

typedef struct OracleLimits {
  double max_values; /* joint values of one component, and cells of one table */
  double max_steps;  /* terms evaluated in all */
  /* By Latent.id, NULL: none: latents whose step was derived along the gradient, for all data.  One that is closed at
   * the data at hand, where a weight could bend, is then not judged. */
  const bool *sloped;
} OracleLimits;

/* Enough for any model whose components have some tens of thousands of joint values. */
OracleLimits oracle_default_limits(void);

/* All outputs of `m` at `bound`, on `arena`: (*outs)[Out.id], NULL where the oracle cannot judge (draws and
 * named approximations).  bound->seed is not read.  *max_log_w (may be NULL): the largest absolute log weight of the
 * joint values enumerated, which bounds what rounding does to a result (distance.h).
 *
 * False: *why says "path:line:column: message": a run-time error of the model (an index out of range on the
 * support, a division by zero) or a refusal whose message holds the cost.  `bound` must fit the model:
 * array sizes that differ from the declared dimensions are an error, never a read of other memory. */
bool oracle_run(Arena *arena, const Model *m, const Binding *bound, const OracleLimits *limits,
                OutputArray ***outs, double *max_log_w, char **why);

/* The extent of every declared dimension, and of every output, at these sizes. */
bool oracle_input_dims(const Model *m, const int64_t *sizes, const Input *input, int64_t *dims);

#endif
