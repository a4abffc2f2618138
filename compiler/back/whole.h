/* whole: arithmetic of the generated code's own whole numbers (i64) and truths (i1): places, counts, ranges. */
#ifndef ATTN_BACK_WHOLE_H
#define ATTN_BACK_WHOLE_H

#include "back/emit.h"

static inline LLVMValueRef plus(Emit *e, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildAdd(e->b, x, y, ""); }
static inline LLVMValueRef minus(Emit *e, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildSub(e->b, x, y, ""); }
static inline LLVMValueRef times(Emit *e, LLVMValueRef x, uint64_t n) {
  return LLVMBuildMul(e->b, x, const_int(e, (int64_t)n), "");
}
/* x >= 0, rounded down, up. */
static inline LLVMValueRef floor_div(Emit *e, LLVMValueRef x, uint64_t n) {
  return LLVMBuildUDiv(e->b, x, const_int(e, (int64_t)n), "");
}
static inline LLVMValueRef ceil_div(Emit *e, LLVMValueRef x, uint64_t n) {
  return LLVMBuildUDiv(e->b, plus(e, x, const_int(e, (int64_t)n - 1)), const_int(e, (int64_t)n), "");
}
static inline LLVMValueRef least(Emit *e, LLVMValueRef x, LLVMValueRef y) { return op_extreme(e, IR_INT, false, x, y); }
static inline LLVMValueRef greatest(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return op_extreme(e, IR_INT, true, x, y);
}
static inline LLVMValueRef both(Emit *e, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildAnd(e->b, x, y, ""); }
static inline LLVMValueRef either(Emit *e, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildOr(e->b, x, y, ""); }
static inline LLVMValueRef negate(Emit *e, LLVMValueRef x) { return LLVMBuildNot(e->b, x, ""); }

#endif
