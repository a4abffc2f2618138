/* cost: the useful operations of a model at given sizes.
 *
 * Two for each multiply-add over a feature axis on every live (copy, edge) pair: dot products and squared distances in
 * weights, and the features that an expectation carries: of each addend, since the mean of a sum is the sum of means.
 * What is live, and how exactly it is counted: see pairs.h.  Sums of products elsewhere, in outputs and in arrays that
 * are derived, count once for each value that they have.
 *
 * Each step of inference evaluates the weights of edges that depend on its latents, and adds, for each of their pairs,
 * to a sum for every feature of a latent: what its update asks of the data.  Where `tol` may end it, it counts as one
 * step.
 */
#ifndef ATTN_DRIVER_COST_H
#define ATTN_DRIVER_COST_H

#include "driver/bind.h"

/* in: the data that conditions may be on; NULL: they count as true. */
double cost_operations(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in);

#endif
