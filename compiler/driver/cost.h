/* cost: the useful operations of a model at given sizes.
 *
 * Two for each multiply-add over a feature axis on every live (copy, edge) pair: dot products and squared
 * distances in weights, and the features that an expectation carries.  Live: what the domain and `where` leave,
 * as far as sizes and indices decide it; a condition on data counts as true. */
#ifndef ATTN_DRIVER_COST_H
#define ATTN_DRIVER_COST_H

#include "driver/constant.h"

double cost_operations(Arena *arena, const Model *m, const int64_t *sizes);

#endif
