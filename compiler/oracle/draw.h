/* draw: random sizes and inputs that a model can be run on.
 *
 * What an input must be is read off its uses: an int that indexes lies inside the dimension, one that bounds
 * a range or is compared with an index lies in 0 .. dimension, scales and rates are positive, probabilities
 * lie in (0, 1), what a dirichlet describes sums to 1, graphs are valid CSR.  A `require` on sizes and data
 * alone is a precondition: what breaks it is drawn again. */
#ifndef ATTN_ORACLE_DRAW_H
#define ATTN_ORACLE_DRAW_H

#include "oracle/oracle.h"

typedef struct DrawOptions {
  const int64_t *sizes;       /* by Size.id, -1: free; NULL: all free */
  const BoundInput *const *given; /* by Input.id: inputs used as they are, NULL ones drawn; NULL: all drawn.
                                     Sizes that their shapes decide must be in `sizes` */
  int64_t max_size;           /* largest size drawn; 0: 9, small ones much more often */
  bool round_f32;             /* real inputs are exact in f32 */
  const OracleLimits *runs;   /* not NULL: draw again until oracle_run succeeds within these limits */
} DrawOptions;

/* A pure function of its arguments; the binding lives on `arena`.  False with *why (on `arena`) when some
 * hundreds of tries found nothing. */
bool draw_binding(Arena *arena, const Model *m, uint64_t seed, const DrawOptions *options, Binding *bound, char **why);

#endif
