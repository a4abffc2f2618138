/* dim: when are two int expressions the same number whatever the sizes are?
 *
 * Law: dim_difference(a, b) = d means a - b = d for all values of sizes and indices.  Sums and products
 * are compared as polynomials; `//`, `%` and everything else are atoms, equal when their parts are.  The
 * converse does not hold: two sizes that happen to be equal at run time differ here. */
#ifndef ATTN_MODEL_DIM_H
#define ATTN_MODEL_DIM_H

#include "model/model.h"

/* False: the difference is not a constant, or not known to be. */
bool dim_difference(Arena *a, const Term *x, const Term *y, int64_t *difference);
bool dim_equal(Arena *a, const Term *x, const Term *y);

#endif
