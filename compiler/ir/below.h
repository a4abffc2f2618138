/* below: indices that lie inside by their loops. */
#ifndef ATTN_IR_BELOW_H
#define ATTN_IR_BELOW_H

#include "ir/ir.h"

/* Is 0 <= x < n known, wherever x has a value? */
bool ir_index_below(const Kernel *k, Val x, Val n);

/* Not negative for certain: a constant, a maximum with one, a loop's variable. */
bool ir_not_negative(const Kernel *k, Val v);

#endif
