/* running: derived arrays of running sums, see running.c. */
#ifndef ATTN_INFER_RUNNING_H
#define ATTN_INFER_RUNNING_H

#include "infer/context.h"
#include "model/term.h"

/* The index along which the array's values are running sums, up to that and c; NULL: there is none. */
Index *running_index(const Let *l, int64_t *c);
/* Where sums so far are kept, of wide: one for every value of the other indices.  dims: of the derived array. */
Array *running_array(Derive *d, const Let *l, const Index *i, const Val *dims);
/* The sum of nothing, before the loop over i; place: where the values of the other indices stand in the array. */
void running_begin(Context *x, const Let *l, const Index *i, Array *sum, const Val *place);
/* The value at the indices bound in x, in a loop over i in order. */
Val running_value(Context *x, const Let *l, const Index *i, int64_t c, Array *sum, const Val *place);

#endif
