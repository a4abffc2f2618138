/* line: loops over neighbouring elements along one index, in vectors; which loops are such, tile/tile_ragged.c says. */
#ifndef ATTN_BACK_LINE_H
#define ATTN_BACK_LINE_H

#include "back/lanes.h"

typedef struct Line {
  Emit *e;
  Lanes l;
  Val index;
  LLVMValueRef mask; /* of lanes; NULL: all */
} Line;

Line line_along(Emit *e, Val index);
/* Whether lines of v lie side by side for the index from lo to hi, and the other values in it fit f32. */
LLVMValueRef line_holds(Line *n, Val v, LLVMValueRef lo, LLVMValueRef hi);
/* sum + part * v where the mask is; part: NULL, for 1, or a vector. */
LLVMValueRef line_add(Line *n, Val v, LLVMValueRef part, LLVMValueRef sum);

/* Calls step(arg, vectors) with e->val[index] set, for parts of lo .. hi: as many as possible of `most` vectors, then
 * single ones, under a mask (Line.mask).  Loops of few steps that are known are written out. */
typedef void (*LineFn)(Line *n, uint32_t vectors, void *arg);
void line_each(Line *n, LLVMValueRef lo, LLVMValueRef hi, uint32_t most, LineFn step, void *arg);

/* Loops that tile_sums_line, tile_stores_line admit. */
void line_sum(Emit *e, const Loop *l, void (*scalar)(Emit *e, const Loop *l));
void line_store(Emit *e, const Loop *l, void (*scalar)(Emit *e, const Loop *l));
/* The sums of such a loop over a line that line_is_part says is short and line_holds that vectors take: by accumulator,
 * a vector whose lanes add up to it. */
LLVMValueRef line_is_part(Emit *e, const Loop *l);
void line_sum_lanes(Line *n, const Loop *l, LLVMValueRef *sum);
/* What straight code computes that is the same along the line: once, also where the line is empty.  Before line_holds.
 */
void line_fixed(Emit *e, const Region *r, Val index);
/* The checks of straight code that belong to no point of it. */
void line_checks(Emit *e, const Region *r, LLVMValueRef lo, LLVMValueRef hi);

#endif
