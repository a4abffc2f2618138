/* emit_op: the scalar operations.
 *
 * All are total.  LLVM's own operations are not (division by zero, conversions that do not fit are
 * undefined): the emitters below replace the offending operand before and choose the result after, which
 * costs nothing where the operand is constant.
 * Floating-point arithmetic has no fast-math flags: NaN and infinities carry meaning here. */
#include <math.h>

#include "back/emit.h"
#include "base/ice.h"

LLVMTypeRef type_of(const Emit *e, IrType t) {
  switch (t) {
    case IR_VOID: return e->t.none;
    case IR_BOOL: return e->t.i1;
    case IR_INT: return e->t.i64;
    case IR_REAL: return e->f64 ? e->t.f64 : e->t.f32;
    case IR_WIDE: return e->t.f64;
  }
  ICE("type %d", (int)t);
}

LLVMValueRef const_int(const Emit *e, int64_t v) { return LLVMConstInt(e->t.i64, (unsigned long long)v, true); }

LLVMValueRef const_float(const Emit *e, IrType t, double v) { return LLVMConstReal(type_of(e, t), v); }

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }
static bool is_double(const Emit *e, IrType t) { return t == IR_WIDE || e->f64; }

/* ---- calls -------------------------------------------------------------------------------------- */

static LLVMValueRef intrinsic(Emit *e, const char *name, LLVMTypeRef t, unsigned n, LLVMValueRef *arg) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, &t, 1);
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, n, "");
}

static void attribute(Emit *e, LLVMValueRef f, const char *name, uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  ICE_UNLESS(kind != 0);
  LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->cx, kind, value));
}

/* A C function without side effects; `reads`: it reads through its pointer arguments. */
static LLVMValueRef function(Emit *e, const char *name, LLVMTypeRef type, bool reads) {
  LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
  if (f) return f;
  f = LLVMAddFunction(e->module, name, type);
  attribute(e, f, "nounwind", 0);
  attribute(e, f, "willreturn", 0);
  attribute(e, f, "memory", reads ? 1 : 0); /* argmem: read; none */
  return f;
}

static LLVMValueRef call_float(Emit *e, const char *name, IrType t, unsigned n, LLVMValueRef *arg) {
  char full[32];
  snprintf(full, sizeof full, "%s%s", name, is_double(e, t) ? "" : "f");
  LLVMTypeRef ft = type_of(e, t), params[2] = {ft, ft};
  LLVMTypeRef type = LLVMFunctionType(ft, params, n, false);
  return LLVMBuildCall2(e->b, type, function(e, full, type, false), arg, n, "");
}

LLVMValueRef op_math(Emit *e, const char *name, IrType t, LLVMValueRef x) { return call_float(e, name, t, 1, &x); }

/* ---- arithmetic --------------------------------------------------------------------------------- */

static LLVMValueRef compare(Emit *e, LLVMRealPredicate p, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildFCmp(e->b, p, x, y, "");
}
static LLVMValueRef compare_int(Emit *e, LLVMIntPredicate p, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildICmp(e->b, p, x, y, "");
}
static LLVMValueRef choose(Emit *e, LLVMValueRef c, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(e->b, c, x, y, "");
}

/* NaN if either is. */
LLVMValueRef op_extreme(Emit *e, IrType t, bool max, LLVMValueRef x, LLVMValueRef y) {
  if (!is_float(t)) {
    if (t == IR_BOOL) return max ? LLVMBuildOr(e->b, x, y, "") : LLVMBuildAnd(e->b, x, y, "");
    return choose(e, compare_int(e, max ? LLVMIntSGT : LLVMIntSLT, x, y), x, y);
  }
  LLVMValueRef beyond = compare(e, max ? LLVMRealOGT : LLVMRealOLT, x, y);
  return choose(e, LLVMBuildOr(e->b, beyond, compare(e, LLVMRealUNO, x, x), ""), x, y);
}

static LLVMValueRef op_abs(Emit *e, IrType t, LLVMValueRef x) {
  if (is_float(t)) return intrinsic(e, "llvm.fabs", type_of(e, t), 1, &x);
  LLVMValueRef negative = compare_int(e, LLVMIntSLT, x, const_int(e, 0));
  return choose(e, negative, LLVMBuildNeg(e->b, x, ""), x);
}

/* -1, 1, or x itself where it is a zero or NaN. */
static LLVMValueRef op_sign(Emit *e, IrType t, LLVMValueRef x) {
  if (!is_float(t)) {
    LLVMValueRef up = LLVMBuildZExt(e->b, compare_int(e, LLVMIntSGT, x, const_int(e, 0)), e->t.i64, "");
    LLVMValueRef down = LLVMBuildZExt(e->b, compare_int(e, LLVMIntSLT, x, const_int(e, 0)), e->t.i64, "");
    return LLVMBuildSub(e->b, up, down, "");
  }
  LLVMValueRef zero = const_float(e, t, 0);
  LLVMValueRef down = choose(e, compare(e, LLVMRealOLT, x, zero), const_float(e, t, -1), x);
  return choose(e, compare(e, LLVMRealOGT, x, zero), const_float(e, t, 1), down);
}

typedef struct Quotient { LLVMValueRef zero, minus, quotient, rest, down; } Quotient;

/* Division of ints with a divisor for which it is defined; down: 1 where the floor lies below. */
static Quotient divide(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  Quotient d = {.zero = compare_int(e, LLVMIntEQ, y, const_int(e, 0)),
                .minus = compare_int(e, LLVMIntEQ, y, const_int(e, -1))};
  LLVMValueRef safe = choose(e, LLVMBuildOr(e->b, d.zero, d.minus, ""), const_int(e, 1), y);
  d.quotient = LLVMBuildSDiv(e->b, x, safe, "");
  d.rest = LLVMBuildSRem(e->b, x, safe, "");
  LLVMValueRef apart = compare_int(e, LLVMIntSLT, LLVMBuildXor(e->b, d.rest, y, ""), const_int(e, 0));
  d.down = LLVMBuildAnd(e->b, apart, compare_int(e, LLVMIntNE, d.rest, const_int(e, 0)), "");
  return d;
}

static LLVMValueRef op_floordiv(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  Quotient d = divide(e, x, y);
  LLVMValueRef floor = LLVMBuildSub(e->b, d.quotient, LLVMBuildZExt(e->b, d.down, e->t.i64, ""), "");
  return choose(e, d.zero, const_int(e, 0), choose(e, d.minus, LLVMBuildNeg(e->b, x, ""), floor));
}

static LLVMValueRef op_mod(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  Quotient d = divide(e, x, y);
  LLVMValueRef rest = choose(e, d.down, LLVMBuildAdd(e->b, d.rest, y, ""), d.rest);
  return choose(e, LLVMBuildOr(e->b, d.zero, d.minus, ""), const_int(e, 0), rest);
}

/* By squaring; 0 where the exponent is negative. */
static LLVMValueRef power_int(Emit *e, LLVMValueRef x, LLVMValueRef n) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), body = block_new(e, "pow"), exit = block_new(e, "pow.end");
  LLVMValueRef any = compare_int(e, LLVMIntSGT, n, const_int(e, 0)), one = const_int(e, 1);
  LLVMValueRef zeroth = LLVMBuildZExt(e->b, compare_int(e, LLVMIntEQ, n, const_int(e, 0)), e->t.i64, "");
  LLVMBuildCondBr(e->b, any, body, exit);
  LLVMPositionBuilderAtEnd(e->b, body);
  LLVMValueRef base = LLVMBuildPhi(e->b, e->t.i64, ""), left = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMValueRef product = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMValueRef odd = LLVMBuildTrunc(e->b, left, e->t.i1, "");
  LLVMValueRef next = choose(e, odd, LLVMBuildMul(e->b, product, base, ""), product);
  LLVMValueRef square = LLVMBuildMul(e->b, base, base, ""), half = LLVMBuildLShr(e->b, left, one, "");
  LLVMBuildCondBr(e->b, compare_int(e, LLVMIntNE, half, const_int(e, 0)), body, exit);
  LLVMAddIncoming(base, (LLVMValueRef[]){x, square}, (LLVMBasicBlockRef[]){from, body}, 2);
  LLVMAddIncoming(left, (LLVMValueRef[]){n, half}, (LLVMBasicBlockRef[]){from, body}, 2);
  LLVMAddIncoming(product, (LLVMValueRef[]){one, next}, (LLVMBasicBlockRef[]){from, body}, 2);
  LLVMPositionBuilderAtEnd(e->b, exit);
  LLVMValueRef result = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMAddIncoming(result, (LLVMValueRef[]){zeroth, next}, (LLVMBasicBlockRef[]){from, body}, 2);
  return result;
}

static LLVMValueRef op_pow(Emit *e, IrType t, LLVMValueRef x, LLVMValueRef y) {
  if (!is_float(t)) return power_int(e, x, y);
  return call_float(e, "pow", t, 2, (LLVMValueRef[]){x, y});
}

typedef LLVMValueRef (*Builder2)(LLVMBuilderRef, LLVMValueRef, LLVMValueRef, const char *);

static LLVMValueRef arithmetic(Emit *e, IrType t, Builder2 on_float, Builder2 on_int, LLVMValueRef x, LLVMValueRef y) {
  return (is_float(t) ? on_float : on_int)(e->b, x, y, "");
}

static LLVMValueRef op_compare(Emit *e, IrType t, LLVMRealPredicate on_float, LLVMIntPredicate on_int, LLVMValueRef x,
                               LLVMValueRef y) {
  if (is_float(t)) return compare(e, on_float, x, y);
  if (t == IR_BOOL) { /* signed comparisons of one bit would have true below false */
    x = LLVMBuildZExt(e->b, x, e->t.i64, "");
    y = LLVMBuildZExt(e->b, y, e->t.i64, "");
  }
  return compare_int(e, on_int, x, y);
}

/* ---- conversions -------------------------------------------------------------------------------- */

/* What does not fit ends at +-2^62, NaN at the lower end: far outside whatever it may index, and far enough from the
 * ends of an int that an offset added to it does not come back on the other side. */
static LLVMValueRef float_to_int(Emit *e, LLVMValueRef x, IrType from) {
  LLVMValueRef least = const_float(e, from, -0x1p62), most = const_float(e, from, 0x1p62);
  LLVMValueRef above = choose(e, compare(e, LLVMRealOGE, x, least), x, least);
  return LLVMBuildFPToSI(e->b, choose(e, compare(e, LLVMRealOLE, above, most), above, most), e->t.i64, "");
}

static LLVMValueRef float_to_float(Emit *e, LLVMValueRef x, IrType from, IrType to) {
  if (is_double(e, from) == is_double(e, to)) return x;
  LLVMTypeRef t = type_of(e, to);
  return is_double(e, to) ? LLVMBuildFPExt(e->b, x, t, "") : LLVMBuildFPTrunc(e->b, x, t, "");
}

static LLVMValueRef convert_float(Emit *e, LLVMValueRef x, IrType from, IrType to) {
  if (is_float(to)) return float_to_float(e, x, from, to);
  if (to == IR_BOOL) return compare(e, LLVMRealUNE, x, const_float(e, from, 0));
  return float_to_int(e, x, from);
}

LLVMValueRef op_convert(Emit *e, LLVMValueRef x, IrType from, IrType to) {
  if (from == to) return x;
  if (is_float(from)) return convert_float(e, x, from, to);
  if (to == IR_BOOL) return compare_int(e, LLVMIntNE, x, const_int(e, 0));
  if (to == IR_INT) return LLVMBuildZExt(e->b, x, e->t.i64, "");
  return from == IR_BOOL ? LLVMBuildUIToFP(e->b, x, type_of(e, to), "") : LLVMBuildSIToFP(e->b, x, type_of(e, to), "");
}

/* ---- functions of log weights ------------------------------------------------------------------- */

/* e^-|x| never overflows; both halves of the real line are written with it. */
static LLVMValueRef decay(Emit *e, IrType t, LLVMValueRef x) {
  return op_math(e, "exp", t, LLVMBuildFNeg(e->b, op_abs(e, t, x), ""));
}

static LLVMValueRef op_sigmoid(Emit *e, IrType t, LLVMValueRef x) {
  LLVMValueRef one = const_float(e, t, 1), d = decay(e, t, x);
  LLVMValueRef above = choose(e, compare(e, LLVMRealOGE, x, const_float(e, t, 0)), one, d);
  return LLVMBuildFDiv(e->b, above, LLVMBuildFAdd(e->b, one, d, ""), "");
}

static LLVMValueRef op_softplus(Emit *e, IrType t, LLVMValueRef x) {
  LLVMValueRef zero = const_float(e, t, 0);
  LLVMValueRef linear = choose(e, compare(e, LLVMRealOGT, x, zero), x, zero);
  return LLVMBuildFAdd(e->b, linear, op_math(e, "log1p", t, decay(e, t, x)), "");
}

static LLVMValueRef op_logmul(Emit *e, IrType t, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef none = const_float(e, t, -INFINITY);
  LLVMValueRef gone = LLVMBuildOr(e->b, compare(e, LLVMRealOEQ, x, none), compare(e, LLVMRealOEQ, y, none), "");
  return choose(e, gone, none, LLVMBuildFAdd(e->b, x, y, ""));
}

/* Equal arguments apart: the difference of two infinities of one sign is NaN. */
static LLVMValueRef op_logadd(Emit *e, IrType t, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef most = choose(e, compare(e, LLVMRealOGT, x, y), x, y);
  LLVMValueRef rest = op_math(e, "log1p", t, decay(e, t, LLVMBuildFSub(e->b, x, y, "")));
  LLVMValueRef twice = LLVMBuildFAdd(e->b, x, const_float(e, t, log(2.0)), "");
  return choose(e, compare(e, LLVMRealOEQ, x, y), twice, LLVMBuildFAdd(e->b, most, rest, ""));
}

/* The first argument is the seed, the others are counters. */
static LLVMValueRef op_random(Emit *e, const Instr *i) {
  uint32_t n = i->narg ? i->narg - 1 : 0;
  LLVMValueRef counters = cell_new(e, LLVMArrayType2(e->t.i64, n), "counters");
  for (uint32_t k = 0; k < n; k++) {
    LLVMValueRef at = const_int(e, k), p = LLVMBuildGEP2(e->b, e->t.i64, counters, &at, 1, "");
    LLVMBuildStore(e->b, e->val[i->arg[k + 1]], p);
  }
  LLVMValueRef arg[] = {i->narg ? e->val[i->arg[0]] : const_int(e, 0), const_int(e, n), counters};
  LLVMTypeRef type = LLVMFunctionType(e->t.f64, (LLVMTypeRef[]){e->t.i64, e->t.i64, e->t.ptr}, 3, false);
  LLVMValueRef f = function(e, "attn_rt_random_uniform", type, true);
  return op_convert(e, LLVMBuildCall2(e->b, type, f, arg, 3, ""), IR_WIDE, i->type);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static LLVMValueRef op_const(Emit *e, const Instr *i) {
  if (is_float(i->type)) return const_float(e, i->type, i->number);
  return LLVMConstInt(type_of(e, i->type), (unsigned long long)i->integer, true);
}

static LLVMValueRef op_size(Emit *e, const Instr *i) {
  LLVMValueRef at = const_int(e, i->integer);
  return LLVMBuildLoad2(e->b, e->t.i64, LLVMBuildGEP2(e->b, e->t.i64, e->sizes, &at, 1, ""), "");
}

static LLVMValueRef rounding(Emit *e, const char *name, IrType t, LLVMValueRef x) {
  return intrinsic(e, name, type_of(e, t), 1, &x);
}

LLVMValueRef emit_op(Emit *e, const Instr *i) {
  LLVMValueRef a[3] = {0};
  for (uint32_t k = 0; k < i->narg && k < 3; k++) a[k] = e->val[i->arg[k]];
  IrType t = i->narg ? ir_at(e->k, i->arg[0])->type : i->type;
  switch (i->op) {
    case IR_CONST: return op_const(e, i);
    case IR_SIZE: return op_size(e, i);
    case IR_ADD: return arithmetic(e, t, LLVMBuildFAdd, LLVMBuildAdd, a[0], a[1]);
    case IR_SUB: return arithmetic(e, t, LLVMBuildFSub, LLVMBuildSub, a[0], a[1]);
    case IR_MUL: return arithmetic(e, t, LLVMBuildFMul, LLVMBuildMul, a[0], a[1]);
    case IR_DIV: return LLVMBuildFDiv(e->b, a[0], a[1], "");
    case IR_FLOORDIV: return op_floordiv(e, a[0], a[1]);
    case IR_MOD: return op_mod(e, a[0], a[1]);
    case IR_NEG: return is_float(t) ? LLVMBuildFNeg(e->b, a[0], "") : LLVMBuildNeg(e->b, a[0], "");
    case IR_ABS: return op_abs(e, t, a[0]);
    case IR_SIGN: return op_sign(e, t, a[0]);
    case IR_MIN: return op_extreme(e, t, false, a[0], a[1]);
    case IR_MAX: return op_extreme(e, t, true, a[0], a[1]);
    case IR_POW: return op_pow(e, t, a[0], a[1]);
    case IR_EQ: return op_compare(e, t, LLVMRealOEQ, LLVMIntEQ, a[0], a[1]);
    case IR_NE: return op_compare(e, t, LLVMRealUNE, LLVMIntNE, a[0], a[1]);
    case IR_LT: return op_compare(e, t, LLVMRealOLT, LLVMIntSLT, a[0], a[1]);
    case IR_LE: return op_compare(e, t, LLVMRealOLE, LLVMIntSLE, a[0], a[1]);
    case IR_GT: return op_compare(e, t, LLVMRealOGT, LLVMIntSGT, a[0], a[1]);
    case IR_GE: return op_compare(e, t, LLVMRealOGE, LLVMIntSGE, a[0], a[1]);
    case IR_AND: return LLVMBuildAnd(e->b, a[0], a[1], "");
    case IR_OR: return LLVMBuildOr(e->b, a[0], a[1], "");
    case IR_NOT: return LLVMBuildNot(e->b, a[0], "");
    case IR_SELECT: return choose(e, a[0], a[1], a[2]);
    case IR_CONVERT: return op_convert(e, a[0], t, i->type);
    case IR_FLOOR: return rounding(e, "llvm.floor", t, a[0]);
    case IR_CEIL: return rounding(e, "llvm.ceil", t, a[0]);
    case IR_ROUND: return rounding(e, "llvm.roundeven", t, a[0]);
    case IR_SQRT: return rounding(e, "llvm.sqrt", t, a[0]);
    case IR_EXP: return op_math(e, "exp", t, a[0]);
    case IR_EXPM1: return op_math(e, "expm1", t, a[0]);
    case IR_LOG: return op_math(e, "log", t, a[0]);
    case IR_LOG1P: return op_math(e, "log1p", t, a[0]);
    case IR_TANH: return op_math(e, "tanh", t, a[0]);
    case IR_SIGMOID: return op_sigmoid(e, t, a[0]);
    case IR_SOFTPLUS: return op_softplus(e, t, a[0]);
    case IR_SIN: return op_math(e, "sin", t, a[0]);
    case IR_COS: return op_math(e, "cos", t, a[0]);
    case IR_ERF: return op_math(e, "erf", t, a[0]);
    case IR_LGAMMA: return op_math(e, "attn_rt_lgamma", t, a[0]);
    case IR_LBETA: return call_float(e, "attn_rt_lbeta", t, 2, a);
    case IR_DIGAMMA: return op_math(e, "attn_rt_digamma", t, a[0]);
    case IR_LOGMUL: return op_logmul(e, t, a[0], a[1]);
    case IR_LOGADD: return op_logadd(e, t, a[0], a[1]);
    case IR_RANDOM: return op_random(e, i);
    case IR_INDEX:
    case IR_RESULT:
    case IR_LOAD:
    case IR_ARRAY:
    case IR_STORE:
    case IR_SOLVE:
    case IR_CHECK_INDEX:
    case IR_CHECK_NONZERO:
    case IR_CHECK_CONCAVE:
    case IR_CHECK_CLIQUE:
    case IR_LOOP:
    case IR_OP_COUNT_: break;
  }
  ICE("'%s' is no pure operation", ir_op_name(i->op));
}
