/* same_loop: whether two loops of a kernel compute the same. */
#ifndef ATTN_IR_SAME_LOOP_H
#define ATTN_IR_SAME_LOOP_H

#include "ir/ir.h"

bool ir_same_loop(const Kernel *k, const Loop *x, const Loop *y);
/* The same, but for the arrays that they store into. */
bool ir_same_stored(const Kernel *k, const Loop *x, const Loop *y);

#endif
