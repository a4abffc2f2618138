/* doubles: functions of vectors of doubles.
 *
 * What chains and other sums in log space wait for are exponentials and logarithms in f64.  Errors, found over their
 * whole range: 2 ulp.  NaN and infinities have their meaning; a result of exp below the least normal number is 0. */
#ifndef ATTN_BACK_DOUBLES_H
#define ATTN_BACK_DOUBLES_H

#include "back/emit.h"

LLVMValueRef doubles_number(const Emit *e, unsigned n, double v);
LLVMValueRef doubles_call(Emit *e, const char *intrinsic, unsigned narg, LLVMValueRef *arg);
LLVMValueRef doubles_fma(Emit *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);
LLVMValueRef doubles_exp(Emit *e, LLVMValueRef x);
LLVMValueRef doubles_exp_weight(Emit *e, LLVMValueRef x); /* of x <= 0; 0 where it is NaN */
LLVMValueRef doubles_log(Emit *e, LLVMValueRef x);
LLVMValueRef doubles_log1p(Emit *e, LLVMValueRef x);
LLVMValueRef doubles_log1p_unit(Emit *e, LLVMValueRef x); /* 0 <= x <= 1, or NaN */

#endif
