/* lengths: which sizes are the lengths of vectors. */
#ifndef ATTN_IR_LENGTHS_H
#define ATTN_IR_LENGTHS_H

#include "ir/ir.h"

/* By place in k->sizes: whether a size bounds loops inside reductions, or axes, and nothing around them. */
const bool *ir_lengths(Arena *arena, const Kernel *k);

#endif
