/* beyond: checks that matter for iterations of a reduction whose mask is false, which then may not be left out. */
#ifndef ATTN_IR_BEYOND_H
#define ATTN_IR_BEYOND_H

#include "ir/ir.h"

/* A check, or a loop that holds one, that may fail where the mask is false. */
bool ir_checked_beyond(const Kernel *k, const Instr *i, Val mask);
/* In the axis regions of the body or the seed of a loop. */
bool ir_axes_check_beyond(const Kernel *k, const Loop *l, bool seed, Val mask);

#endif
