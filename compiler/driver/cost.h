/* cost: the useful operations of a model at given sizes.
 *
 * Two for each multiply-add over a feature axis on every live (copy, edge) pair: dot products and squared
 * distances in weights, and the features that an expectation carries.  What is live, and how exactly it is
 * counted: see pairs.h.  Sums of products elsewhere, in outputs and in arrays that are derived, count once for each
 * value that they have.  Inference of latents counts as one step: how often weights are evaluated again, and what an
 * update sums, is no matter of the model alone. */
#ifndef ATTN_DRIVER_COST_H
#define ATTN_DRIVER_COST_H

#include "driver/bind.h"

/* in: the data that conditions may be on; NULL: they count as true. */
double cost_operations(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in);

#endif
