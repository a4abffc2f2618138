/* derive: from a plan to reduction IR.
 *
 * Requires a plan without refusals.  Ensures a kernel that computes every output of the model, for all sizes.
 * Nothing is approximated: the kernel's meaning is the model's.  What turns out not to be expressible on
 * the way (a query with no streaming form yet) is added to the plan's refusals, and NULL is returned. */
#ifndef ATTN_INFER_DERIVE_H
#define ATTN_INFER_DERIVE_H

#include "infer/plan.h"
#include "ir/ir.h"

Kernel *derive_kernel(Arena *arena, Plan *plan);
StoreType derive_stored(ElemKind k); /* how a kernel has the elements of such an input */

#endif
