/* compare: how far a compiled output is from the oracle's, as oracle/distance.h measures it. */
#ifndef ATTN_DRIVER_COMPARE_H
#define ATTN_DRIVER_COMPARE_H

#include "model/binding.h"
#include "tensor.h"

/* INFINITY where shapes or places of what is not finite differ.  *worst: the place of the largest difference, -1
 * where there is none. */
double compare_output(const AttnArray *got, const OutputArray *want, int64_t *worst);
/* The same between two runs of one kernel. */
double compare_runs(const AttnArray *a, const AttnArray *b);

#endif
