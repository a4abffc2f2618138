/* nest: loops whose iterations are one space of rows, and how it is cut. */
#ifndef ATTN_BACK_NEST_H
#define ATTN_BACK_NEST_H

#include "back/emit.h"

enum { NEST_MAX = 8 }; /* loops in one space of rows */

/* tiled: the last loop is taken in blocks, each of which counts as one row; NULL: it is not. */
typedef struct Nest { const Loop *loop[NEST_MAX]; uint32_t n; const TileRows *tiled; } Nest;

Nest nest_of(const Emit *e, const Loop *outermost);
/* Whether blocks may have rows of several iterations of the loop before the last. */
bool nest_is_grouped(const Nest *nest);
/* Whether its columns may be shared out by spans: rows and spans are known before. */
bool nest_has_spans(const Emit *e, const Nest *nest);

bool nest_follows_from_sizes(const Kernel *k, const Nest *nest); /* how many rows there are */

/* Sets e->shared_rows, e->block_rows and e->group, which the numbers below depend on. */
void nest_share_blocks(Emit *e, const Nest *nest);
LLVMValueRef nest_rows(Emit *e, const Nest *nest);              /* of all loops */
LLVMValueRef nest_steps(Emit *e, const Nest *nest, uint32_t n); /* how many rows loop n stands for */
LLVMValueRef nest_item_rows(Emit *e, const Nest *nest, LLVMValueRef rows); /* of an item; at least 1 */

LLVMValueRef nest_product(Emit *e, LLVMValueRef x, LLVMValueRef y); /* of numbers >= 0; the largest int beyond it */
LLVMValueRef nest_parts(Emit *e, LLVMValueRef rows, LLVMValueRef by); /* rows / by, rounded up */

#endif
