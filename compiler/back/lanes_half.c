/* lanes_half: half precision in vectors, as integers of 16 bits; element.c does the same with scalars.
 *
 * A bf16 is the upper half of an f32.  A product of two has 16 significant bits and is exact in f32; the instruction
 * that adds two of them to a sum rounds after each, as two fused multiply-adds do, but takes denormals for 0, on
 * either side. */
#include "back/lanes.h"

typedef LLVMValueRef V;

V lanes_from_bf16(const Lanes *l, V bits) {
  V wide = LLVMBuildZExt(l->e->b, bits, l->i32, "");
  return LLVMBuildBitCast(l->e->b, LLVMBuildShl(l->e->b, wide, lanes_bits(l, 16), ""), l->f32, "");
}

/* See widen_f16 in element.c. */
static V from_f16_by_integers(const Lanes *l, V bits) {
  LLVMBuilderRef b = l->e->b;
  V h = LLVMBuildZExt(b, bits, l->i32, "");
  V body = LLVMBuildShl(b, LLVMBuildAnd(b, h, lanes_bits(l, 0x7fff), ""), lanes_bits(l, 13), "");
  V finite = LLVMBuildFMul(b, LLVMBuildBitCast(b, body, l->f32, ""), lanes_float(l, 0x1p112), "");
  V large = LLVMBuildOr(b, body, lanes_bits(l, 0x7f800000), "");
  V is_large = LLVMBuildICmp(b, LLVMIntUGE, body, lanes_bits(l, 0x7c00 << 13), "");
  V size = LLVMBuildSelect(b, is_large, large, LLVMBuildBitCast(b, finite, l->i32, ""), "");
  V sign = LLVMBuildShl(b, LLVMBuildAnd(b, h, lanes_bits(l, 0x8000), ""), lanes_bits(l, 16), "");
  return LLVMBuildBitCast(b, LLVMBuildOr(b, size, sign, ""), l->f32, "");
}

V lanes_from_f16(const Lanes *l, V bits) {
  if (!l->e->plan || !l->e->plan->target.widens_f16) return from_f16_by_integers(l, bits);
  LLVMTypeRef halves = LLVMVectorType(LLVMHalfTypeInContext(l->e->cx), l->n);
  return LLVMBuildFPExt(l->e->b, LLVMBuildBitCast(l->e->b, bits, halves, ""), l->f32, "");
}

static V pairs(const Lanes *l, V words) {
  return LLVMBuildBitCast(l->e->b, words, LLVMVectorType(LLVMBFloatTypeInContext(l->e->cx), 2 * l->n), "");
}

V lanes_dot_bf16(const Lanes *l, V sum, V x, V y) {
  static const char name[] = "llvm.x86.avx512bf16.dpbf16ps.512";
  V f = LLVMGetIntrinsicDeclaration(l->e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), NULL, 0);
  return LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, (V[]){sum, pairs(l, x), pairs(l, y)}, 3, "");
}

V lanes_to_bf16(const Lanes *l, V x) {
  V half = LLVMBuildFPTrunc(l->e->b, x, LLVMVectorType(LLVMBFloatTypeInContext(l->e->cx), l->n), "");
  return LLVMBuildBitCast(l->e->b, half, LLVMVectorType(l->e->t.i16, l->n), "");
}
