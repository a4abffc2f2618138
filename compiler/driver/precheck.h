/* precheck: what sizes and scalar inputs alone show to be wrong, before anything runs. */
#ifndef ATTN_DRIVER_PRECHECK_H
#define ATTN_DRIVER_PRECHECK_H

#include "driver/bind.h"

/* A `require` on sizes that does not hold, and scalar parameters of distributions and inference out of their
 * range, are errors at their place, printed. */
bool precheck(Arena *arena, const Loaded *l, const Inputs *in);

/* Sizes as text: "M = 3, N = 7". */
const char *precheck_sizes(Arena *arena, const Model *m, const int64_t *sizes);

#endif
