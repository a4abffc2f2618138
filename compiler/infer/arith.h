/* arith: arithmetic on values of the kernel, for derivations that are mostly that. */
#ifndef ATTN_INFER_ARITH_H
#define ATTN_INFER_ARITH_H

#include "infer/context.h"

static inline Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }
static inline Val add(Context *x, Val a, Val b) { return build_2(B(x), IR_ADD, a, b); }
static inline Val sub(Context *x, Val a, Val b) { return build_2(B(x), IR_SUB, a, b); }
static inline Val mul(Context *x, Val a, Val b) { return build_2(B(x), IR_MUL, a, b); }
static inline Val divide(Context *x, Val a, Val b) { return build_2(B(x), IR_DIV, a, b); }
static inline Val greater(Context *x, Val a, Val b) { return build_2(B(x), IR_GT, a, b); }
static inline Val equal(Context *x, Val a, Val b) { return build_2(B(x), IR_EQ, a, b); }

#endif
