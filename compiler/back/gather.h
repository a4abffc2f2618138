/* gather: streams whose elements are added in blocks, the values of an element being lines; which, tile_in_blocks says.
 */
#ifndef ATTN_BACK_GATHER_H
#define ATTN_BACK_GATHER_H

#include "back/acc.h"

typedef struct Gather Gather;

/* NULL: elements are added one by one. */
Gather *gather_new(Emit *e, Reduction *r);
/* All elements of the body; element(e, r, l) emits one, which comes to reduction_add at most once. */
void gather_run(Emit *e, Reduction *r, void (*element)(Emit *e, Reduction *r, const Loop *l));
/* The element whose instructions were emitted joins the block. */
void gather_append(Emit *e, Reduction *r);

#endif
