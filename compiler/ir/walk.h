/* walk: every instruction, and every value an instruction reads, for analyses of a verified kernel. */
#ifndef ATTN_IR_WALK_H
#define ATTN_IR_WALK_H

#include "ir/ir.h"

/* Calls visit for each instruction of a region and of all regions inside, in the order of the text: a loop
 * before its body, then its seed, then its axis regions. */
void walk_code(const Kernel *k, const Region *r, void (*visit)(void *ctx, Val v), void *ctx);

/* The same of one instruction and, if it is a loop, of all regions inside. */
void walk_whole(const Kernel *k, Val v, void (*visit)(void *ctx, Val v), void *ctx);

/* Calls use for what instruction v itself reads: its arguments; an array's dimensions; a loop's bounds, masks,
 * axes and contributions (but not what its code reads).  0 is never passed. */
void walk_operands(const Kernel *k, Val v, void (*use)(void *ctx, Val operand), void *ctx);

#endif
