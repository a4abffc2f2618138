/* tabulate: derived arrays in place of sums inside expectations. */
#ifndef ATTN_INFER_TABULATE_H
#define ATTN_INFER_TABULATE_H

#include "infer/context.h"

/* t with the sums inside its brackets, where they follow from one edge's value and components of vectors alone, as
 * elements of arrays of f64 over these.  t: its inputs are wide. */
Term *tabulated(Derive *d, Term *t);

#endif
