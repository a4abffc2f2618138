/* bound: between what a value lies whatever the iterations of the loops around it are. */
#ifndef ATTN_IR_BOUND_H
#define ATTN_IR_BOUND_H

#include "ir/rebuild.h"

/* A value of the copy's top, at least (upper) or at most what v, an int of the kernel that is copied, is for all
 * iterations of the loops around v.  0: none was found; a value at the top is its own.  Requires: what stands at the
 * top, and v is made of, is copied. */
Val bound_of(Rebuild *r, Val v, bool upper);

#endif
