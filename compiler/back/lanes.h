/* lanes: operations of the reduction IR on vectors of elements.
 *
 * A lane of type `real` or `wide` is a float: on tiles both have the build's precision.  An int is an i64, a bool an
 * i1. All operations are total, as in the scalar code, and NaN and infinities have their meaning.  Errors of the
 * functions written here, found over their whole range: exp, log, log1p, expm1, tanh 2 ulp; pow |y log x| + 2 ulp.
 *
 *   lanes.c       the table of operations; the ones without a vector form go lane by lane through the scalar code
 *   lanes_math.c  exponentials and logarithms
 *   lanes_half.c  half precision
 *   lanes_piece.c functions by tables of polynomials */
#ifndef ATTN_BACK_LANES_H
#define ATTN_BACK_LANES_H

#include "back/emit.h"

typedef struct Lanes {
  Emit *e;
  unsigned n, step; /* step: of a register; n: a multiple */
  LLVMTypeRef f32, i32, i64, i1; /* vectors of n */
} Lanes;

Lanes lanes_of(Emit *e, unsigned n);
Lanes lanes_side_by_side(const Lanes *l, unsigned count); /* registers as one vector: their instructions alternate */
LLVMTypeRef lanes_type(const Lanes *l, IrType t);
LLVMValueRef lanes_splat(const Lanes *l, LLVMValueRef x); /* of a scalar of the lane's type */
LLVMValueRef lanes_float(const Lanes *l, double v);
LLVMValueRef lanes_bits(const Lanes *l, int64_t v);       /* i32 */
LLVMValueRef lanes_iota(const Lanes *l, LLVMTypeRef element);
/* A scalar of the IR's type as a scalar of a lane, and back. */
LLVMValueRef lane_from(Emit *e, LLVMValueRef x, IrType t);
LLVMValueRef lane_to(Emit *e, LLVMValueRef x, IrType t);
LLVMTypeRef lane_type(const Emit *e, IrType t);

/* Half precision, as integers of 16 bits. */
LLVMValueRef lanes_from_bf16(const Lanes *l, LLVMValueRef bits);
LLVMValueRef lanes_from_f16(const Lanes *l, LLVMValueRef bits);
/* Where TileTarget.dots_bf16.  x, y: words (of any type) of two bf16; to each sum the products of its pairs are added.
 */
LLVMValueRef lanes_dot_bf16(const Lanes *l, LLVMValueRef sum, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lanes_to_bf16(const Lanes *l, LLVMValueRef x); /* to nearest */

/* A pure operation other than a leaf or a load; arg are vectors. */
LLVMValueRef lanes_op(const Lanes *l, const Instr *i, LLVMValueRef *arg);
LLVMValueRef lanes_call(const Lanes *l, const char *intrinsic, unsigned n, LLVMValueRef *arg); /* on f32 vectors */
LLVMValueRef lanes_fma(const Lanes *l, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);
LLVMValueRef lanes_part(const Lanes *l, LLVMValueRef x, unsigned first, unsigned count);
LLVMValueRef lanes_joined(const Lanes *l, LLVMValueRef *part,
                          unsigned count); /* parts in order; they are overwritten */
/* Across the lanes: combines halves until one is left. */
LLVMValueRef lanes_fold(const Lanes *l, LLVMValueRef x, LLVMValueRef (*combine)(Emit *, LLVMValueRef, LLVMValueRef));
/* The same of up to 8 vectors: a vector of their results, which have the same bits. */
LLVMValueRef lanes_fold_all(const Lanes *l, const LLVMValueRef *x, unsigned count,
                            LLVMValueRef (*combine)(Emit *, LLVMValueRef, LLVMValueRef));

LLVMValueRef lanes_exp(const Lanes *l, LLVMValueRef x);
enum { LANES_NO_WEIGHT = -112 };
LLVMValueRef lanes_weight_exponent(const Lanes *l, LLVMValueRef x); /* x, and LANES_NO_WEIGHT in place of less */
/* 2^x of LANES_NO_WEIGHT <= x < 120, or NaN; 0 at LANES_NO_WEIGHT; relative error 2^-22.  steps: NULL, or for integers
 * (i32) that rise with x. */
LLVMValueRef lanes_exp2_weight(const Lanes *l, LLVMValueRef x, LLVMValueRef *steps);
/* Of these, or the largest of some: i1, whether x is above limit, an integer; of NaN either. */
LLVMValueRef lanes_steps_above(const Lanes *l, LLVMValueRef steps, double limit);
LLVMValueRef lanes_exp_negative(const Lanes *l, LLVMValueRef x); /* of x <= 0 or NaN; 0 from -88.03 down */
LLVMValueRef lanes_reciprocal(const Lanes *l, LLVMValueRef x);   /* of 2^-120 < x < 2^120, or NaN; 2 ulp */
LLVMValueRef lanes_logistic2(const Lanes *l, LLVMValueRef x);    /* 2^x / (1 + 2^x), of any x; 0 from -127 down */
LLVMValueRef lanes_expm1(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_log(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_log2(const Lanes *l, LLVMValueRef x); /* absolute error 2^-24, and half an ulp */
LLVMValueRef lanes_log1p(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_log1p_unit(const Lanes *l, LLVMValueRef x); /* 0 <= x <= 1, or NaN */
LLVMValueRef lanes_tanh(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_pow(const Lanes *l, LLVMValueRef x, LLVMValueRef y);

/* ---- lanes_piece.c, of vectors with steps of 16 lanes */
LLVMValueRef lanes_tanh_by_pieces(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_log2_by_pieces(const Lanes *l, LLVMValueRef x);
LLVMValueRef lanes_mantissa(const Lanes *l, int control, LLVMValueRef x);
LLVMValueRef lanes_exponent(const Lanes *l, LLVMValueRef x); /* the integer below log2 |x|, -inf of 0 */

#endif
