/* measure: shapes at bound sizes, and whether everything fits in memory. */
#ifndef ATTN_DRIVER_MEASURE_H
#define ATTN_DRIVER_MEASURE_H

#include "driver/bind.h"
#include "driver/constant.h"

/* Dimensions of an input.  False: a size is not known, or the value overflows or divides by zero. */
bool measure_input(const Inputs *in, const Input *x, int64_t *shape);
/* Dimensions of an output: slots, then axes.  False as above. */
bool measure_output(const Model *m, const int64_t *sizes, const Out *o, int64_t *shape);
ElemType measure_output_type(const Out *o, bool f64);

/* That all inputs and outputs together can be held by this machine; a message and false otherwise. */
bool measure_fits(const Inputs *in);

/* Known.array: those that are bound; of the others, and of graphs, nothing. */
AttnArray *measure_arrays(Arena *arena, const Inputs *in);
/* Puts the scalar inputs among the first n, as far as they have values, into k. */
void measure_scalars(Arena *arena, const Inputs *in, uint32_t n, Known *k);

#endif
