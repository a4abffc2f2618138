/* gather: streams whose elements are added in blocks, the values of an element being lines; which, tile_in_blocks says.
 */
#ifndef ATTN_BACK_GATHER_H
#define ATTN_BACK_GATHER_H

#include "back/acc.h"

typedef struct Gather Gather;

/* NULL: elements are added one by one. */
Gather *gather_new(Emit *e, Reduction *r);
/* The elements lo .. hi of the body; element(e, r, l) emits one, which comes to reduction_add at most once. */
void gather_run(Emit *e, Reduction *r, LLVMValueRef lo, LLVMValueRef hi,
                void (*element)(Emit *e, Reduction *r, const Loop *l));
/* The element whose instructions were emitted joins the block. */
void gather_append(Emit *e, Reduction *r);

/* Sets the index of a loop over rows, and of those around it, to those of the row number `row`. */
typedef void (*RowFn)(Emit *e, void *arg, LLVMValueRef row);
/* The rows lo .. hi of a loop the body of which has such a stream, in strips; false: nothing was emitted, it has
 * another form. */
bool gather_rows(Emit *e, const Loop *rows, LLVMValueRef lo, LLVMValueRef hi, RowFn enter, void *arg);

#endif
