/* element: what is stored of a value, and back.
 *
 * A stored element is decoded to the IR type of its array, and encoded from whatever type the value has.  Inputs may
 * be in half precision; nothing is ever stored so. */
#include "back/emit.h"
#include "base/ice.h"

LLVMTypeRef array_stored_type(const Emit *e, StoreType s) {
  switch (s) {
    case STORE_BOOL: return e->t.i8;
    case STORE_INT: return e->t.i64;
    case STORE_REAL: return type_of(e, IR_REAL);
    case STORE_WIDE: return e->t.f64;
    case STORE_F16: return e->t.i16;
    case STORE_BF16: return e->t.i16;
    case STORE_F32: return e->t.f32;
  }
  ICE("stored type %d", (int)s);
}

int64_t array_stored_bytes(const Emit *e, StoreType s) {
  switch (s) {
    case STORE_BOOL: return 1;
    case STORE_INT: return 8;
    case STORE_REAL: return e->f64 ? 8 : 4;
    case STORE_WIDE: return 8;
    case STORE_F16: return 2;
    case STORE_BF16: return 2;
    case STORE_F32: return 4;
  }
  ICE("stored type %d", (int)s);
}

static LLVMValueRef widen_bf16(Emit *e, LLVMValueRef bits) {
  LLVMValueRef high =
      LLVMBuildShl(e->b, LLVMBuildZExt(e->b, bits, e->t.i32, ""), LLVMConstInt(e->t.i32, 16, false), "");
  return LLVMBuildBitCast(e->b, high, e->t.f32, "");
}

/* With integers: processors without half precision would call a function for it.  The exponent is rebased by a
 * multiplication, which is exact and normalises; infinity and NaN keep their fraction under the largest one. */
static LLVMValueRef widen_f16(Emit *e, LLVMValueRef half) {
  LLVMValueRef h = LLVMBuildZExt(e->b, half, e->t.i32, "");
  LLVMValueRef body = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, h, LLVMConstInt(e->t.i32, 0x7fff, false), ""),
                                   LLVMConstInt(e->t.i32, 13, false), "");
  LLVMValueRef finite =
      LLVMBuildFMul(e->b, LLVMBuildBitCast(e->b, body, e->t.f32, ""), LLVMConstReal(e->t.f32, 0x1p112), "");
  LLVMValueRef large = LLVMBuildOr(e->b, body, LLVMConstInt(e->t.i32, 0x7f800000, false), "");
  LLVMValueRef is_large = LLVMBuildICmp(e->b, LLVMIntUGE, body, LLVMConstInt(e->t.i32, 0x7c00 << 13, false), "");
  LLVMValueRef size = LLVMBuildSelect(e->b, is_large, large, LLVMBuildBitCast(e->b, finite, e->t.i32, ""), "");
  LLVMValueRef sign = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, h, LLVMConstInt(e->t.i32, 0x8000, false), ""),
                                   LLVMConstInt(e->t.i32, 16, false), "");
  return LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, size, sign, ""), e->t.f32, "");
}

static LLVMValueRef float_from(Emit *e, LLVMValueRef x, LLVMTypeRef to) {
  LLVMTypeRef from = LLVMTypeOf(x);
  if (from == to) return x;
  return to == e->t.f64 ? LLVMBuildFPExt(e->b, x, to, "") : LLVMBuildFPTrunc(e->b, x, to, "");
}

/* A stored element as a value of the array's type. */
LLVMValueRef array_decode(Emit *e, const Array *a, LLVMValueRef raw) {
  switch (a->elem) {
    case STORE_BOOL: {
      LLVMValueRef set = LLVMBuildICmp(e->b, LLVMIntNE, raw, LLVMConstNull(e->t.i8), "");
      return op_convert(e, set, IR_BOOL, a->type);
    }
    case STORE_INT: return op_convert(e, raw, IR_INT, a->type);
    case STORE_BF16: return float_from(e, widen_bf16(e, raw), type_of(e, a->type));
    case STORE_F16: return float_from(e, widen_f16(e, raw), type_of(e, a->type));
    case STORE_REAL:
    case STORE_WIDE:
    case STORE_F32: return float_from(e, raw, type_of(e, a->type));
  }
  ICE("stored type %d", (int)a->elem);
}

LLVMValueRef array_encode(Emit *e, const Array *a, LLVMValueRef x, IrType type) {
  switch (a->elem) {
    case STORE_BOOL: return LLVMBuildZExt(e->b, op_convert(e, x, type, IR_BOOL), e->t.i8, "");
    case STORE_INT: return op_convert(e, x, type, IR_INT);
    case STORE_REAL: return op_convert(e, x, type, IR_REAL);
    case STORE_WIDE: return op_convert(e, x, type, IR_WIDE);
    case STORE_F32: return float_from(e, op_convert(e, x, type, IR_REAL), e->t.f32);
    case STORE_F16:
    case STORE_BF16: break;
  }
  ICE("array '%s' is stored in half precision, which only inputs are", a->name);
}
