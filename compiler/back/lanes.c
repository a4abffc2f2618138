/* lanes: see lanes.h. */
#include "back/lanes.h"

#include <math.h>

#include "base/ice.h"

typedef LLVMValueRef V;

enum { FOLD_MAX = 8, LANES_MAX = 64 };

Lanes lanes_of(Emit *e, unsigned n) {
  ICE_UNLESS(n <= LANES_MAX);
  return (Lanes){e, n, n, LLVMVectorType(e->t.f32, n), LLVMVectorType(e->t.i32, n), LLVMVectorType(e->t.i64, n),
                 LLVMVectorType(e->t.i1, n)};
}

Lanes lanes_side_by_side(const Lanes *l, unsigned count) {
  Lanes wide = lanes_of(l->e, l->n * count);
  wide.step = l->step;
  return wide;
}

LLVMTypeRef lane_type(const Emit *e, IrType t) {
  if (t == IR_INT) return e->t.i64;
  return t == IR_BOOL ? e->t.i1 : e->t.f32;
}

LLVMTypeRef lanes_type(const Lanes *l, IrType t) {
  if (t == IR_INT) return l->i64;
  return t == IR_BOOL ? l->i1 : l->f32;
}

V lane_from(Emit *e, V x, IrType t) { return t == IR_WIDE ? op_convert(e, x, IR_WIDE, IR_REAL) : x; }
V lane_to(Emit *e, V x, IrType t) { return t == IR_WIDE ? op_convert(e, x, IR_REAL, IR_WIDE) : x; }

V lanes_splat(const Lanes *l, V x) {
  LLVMTypeRef v = LLVMVectorType(LLVMTypeOf(x), l->n);
  if (LLVMIsConstant(x)) {
    V c[LANES_MAX];
    for (unsigned k = 0; k < l->n; k++) c[k] = x;
    return LLVMConstVector(c, l->n);
  }
  V first = LLVMBuildInsertElement(l->e->b, LLVMGetPoison(v), x, LLVMConstInt(l->e->t.i32, 0, false), "");
  return LLVMBuildShuffleVector(l->e->b, first, LLVMGetPoison(v), LLVMConstNull(l->i32), "");
}

V lanes_float(const Lanes *l, double v) { return lanes_splat(l, LLVMConstReal(l->e->t.f32, v)); }
V lanes_bits(const Lanes *l, int64_t v) {
  return lanes_splat(l, LLVMConstInt(l->e->t.i32, (unsigned long long)v, true));
}

V lanes_iota(const Lanes *l, LLVMTypeRef element) {
  V c[LANES_MAX];
  for (unsigned k = 0; k < l->n; k++) c[k] = LLVMConstInt(element, k, false);
  return LLVMConstVector(c, l->n);
}

V lanes_call(const Lanes *l, const char *name, unsigned n, V *arg) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMTypeRef t = l->f32;
  V f = LLVMGetIntrinsicDeclaration(l->e->module, id, &t, 1);
  return LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, arg, n, "");
}

V lanes_fma(const Lanes *l, V x, V y, V z) { return lanes_call(l, "llvm.fma", 3, (V[]){x, y, z}); }

static V select_lanes(const Lanes *l, V x, V y, unsigned n, unsigned first, unsigned block, unsigned stride) {
  V index[LANES_MAX * FOLD_MAX];
  for (unsigned k = 0; k < n; k++) index[k] = LLVMConstInt(l->e->t.i32, first + k / block * stride + k % block, false);
  return LLVMBuildShuffleVector(l->e->b, x, y, LLVMConstVector(index, n), "");
}

/* The halves of x, of n lanes, combined. */
static V fold_once(const Lanes *l, V x, unsigned n, V (*combine)(Emit *, V, V)) {
  V none = LLVMGetPoison(LLVMTypeOf(x)), low = select_lanes(l, x, none, n / 2, 0, n / 2, 0);
  return combine(l->e, low, select_lanes(l, x, none, n / 2, n / 2, n / 2, 0));
}

V lanes_fold(const Lanes *l, V x, V (*combine)(Emit *, V, V)) {
  for (unsigned n = l->n; n > 1; n /= 2) x = fold_once(l, x, n, combine);
  return LLVMBuildExtractElement(l->e->b, x, LLVMConstInt(l->e->t.i32, 0, false), "");
}

V lanes_part(const Lanes *l, V x, unsigned first, unsigned count) {
  return select_lanes(l, x, LLVMGetPoison(LLVMTypeOf(x)), count, first, count, 0);
}

V lanes_joined(const Lanes *l, V *part, unsigned count) {
  for (unsigned width = l->n / count; count > 1; count /= 2, width *= 2)
    for (unsigned k = 0; k < count / 2; k++)
      part[k] = select_lanes(l, part[2 * k], part[2 * k + 1], 2 * width, 0, 2 * width, 0);
  return part[0];
}

/* The vectors lie side by side in one whose halves of each are combined, in the order of lanes_fold. */
V lanes_fold_all(const Lanes *l, const V *x, unsigned count, V (*combine)(Emit *, V, V)) {
  V all[FOLD_MAX], none;
  unsigned many = 1;
  while (many < count) many *= 2;
  for (unsigned n = 0; n < many; n++) {
    all[n] = x[n < count ? n : count - 1];
    for (unsigned width = l->n; width > l->step; width /= 2) all[n] = fold_once(l, all[n], width, combine);
  }
  for (unsigned n = many, width = l->step; n > 1; n /= 2, width *= 2)
    for (unsigned k = 0; k < n / 2; k++)
      all[k] = select_lanes(l, all[2 * k], all[2 * k + 1], 2 * width, 0, 2 * width, 0);
  for (unsigned half = l->step / 2; half; half /= 2) {
    none = LLVMGetPoison(LLVMTypeOf(all[0]));
    V low = select_lanes(l, all[0], none, many * half, 0, half, 2 * half);
    all[0] = combine(l->e, low, select_lanes(l, all[0], none, many * half, half, half, 2 * half));
  }
  return select_lanes(l, all[0], LLVMGetPoison(LLVMTypeOf(all[0])), count, 0, count, 0);
}

/* ---- operations --------------------------------------------------------------------------------- */

static V choose(const Lanes *l, V c, V x, V y) { return LLVMBuildSelect(l->e->b, c, x, y, ""); }
static V compare(const Lanes *l, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(l->e->b, p, x, y, ""); }

/* Lane by lane through the scalar code. */
static V one_by_one(const Lanes *l, const Instr *i, V *arg) {
  Emit *e = l->e;
  V result = LLVMGetPoison(lanes_type(l, i->type)), *kept = NEW_ARRAY(e->arena, V, i->narg + 1);
  for (uint32_t a = 0; a < i->narg; a++) kept[a] = e->val[i->arg[a]];
  for (unsigned k = 0; k < l->n; k++) {
    V at = LLVMConstInt(e->t.i32, k, false);
    for (uint32_t a = 0; a < i->narg; a++)
      e->val[i->arg[a]] = lane_to(e, LLVMBuildExtractElement(e->b, arg[a], at, ""), ir_at(e->k, i->arg[a])->type);
    result = LLVMBuildInsertElement(e->b, result, lane_from(e, emit_op(e, i), i->type), at, "");
  }
  for (uint32_t a = 0; a < i->narg; a++) e->val[i->arg[a]] = kept[a];
  return result;
}

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }

static V extreme(const Lanes *l, IrType t, bool max, V x, V y) {
  if (t == IR_INT) return choose(l, LLVMBuildICmp(l->e->b, max ? LLVMIntSGT : LLVMIntSLT, x, y, ""), x, y);
  return op_extreme(l->e, t, max, x, y);
}

static V relation(const Lanes *l, IrType t, LLVMRealPredicate on_float, LLVMIntPredicate on_int, V x, V y) {
  if (is_float(t)) return compare(l, on_float, x, y);
  if (t == IR_BOOL) x = LLVMBuildZExt(l->e->b, x, l->i32, ""), y = LLVMBuildZExt(l->e->b, y, l->i32, "");
  return LLVMBuildICmp(l->e->b, on_int, x, y, "");
}

/* Whether an int is a short sum of indices and sizes, which memory bounds: below 2^51 in size. */
static bool is_small(const Kernel *k, Val v, int depth) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_INDEX || i->op == IR_SIZE) return true;
  if (i->op == IR_CONST) return i->integer > -((int64_t)1 << 40) && i->integer < (int64_t)1 << 40;
  if (depth > 3) return false;
  if (i->op == IR_NEG || i->op == IR_ABS) return is_small(k, i->arg[0], depth + 1);
  bool closed = i->op == IR_ADD || i->op == IR_SUB || i->op == IR_MIN || i->op == IR_MAX;
  return closed && is_small(k, i->arg[0], depth + 1) && is_small(k, i->arg[1], depth + 1);
}

/* Ints below 2^51 in size are put into the mantissa of a double: x86 has no conversion of them before AVX-512. */
static V small_to_double(const Lanes *l, V x) {
  LLVMTypeRef doubles = LLVMVectorType(l->e->t.f64, l->n);
  V bias = lanes_splat(l, const_int(l->e, 0x4338000000000000));
  V sum = LLVMBuildBitCast(l->e->b, LLVMBuildAdd(l->e->b, x, bias, ""), doubles, "");
  return LLVMBuildFSub(l->e->b, sum, lanes_splat(l, LLVMConstReal(l->e->t.f64, 0x1.8p52)), "");
}

static V int_to_float(const Lanes *l, V x, bool small) {
  LLVMBuilderRef b = l->e->b;
  if (small) return LLVMBuildFPTrunc(b, small_to_double(l, x), l->f32, "");
  V high = small_to_double(l, LLVMBuildAShr(b, x, lanes_splat(l, const_int(l->e, 32)), ""));
  V low = small_to_double(l, LLVMBuildAnd(b, x, lanes_splat(l, const_int(l->e, 0xffffffff)), ""));
  V shifted = LLVMBuildFMul(b, high, lanes_splat(l, LLVMConstReal(l->e->t.f64, 0x1p32)), "");
  return LLVMBuildFPTrunc(b, LLVMBuildFAdd(b, shifted, low, ""), l->f32, "");
}

static V convert(const Lanes *l, const Instr *i, V *arg) {
  IrType from = ir_at(l->e->k, i->arg[0])->type;
  if (from == i->type || (is_float(from) && is_float(i->type))) return arg[0];
  if (i->type == IR_BOOL && is_float(from)) return compare(l, LLVMRealUNE, arg[0], lanes_float(l, 0));
  if (i->type == IR_BOOL) return LLVMBuildICmp(l->e->b, LLVMIntNE, arg[0], LLVMConstNull(l->i64), "");
  if (from == IR_BOOL && i->type == IR_INT) return LLVMBuildZExt(l->e->b, arg[0], l->i64, "");
  if (from == IR_BOOL) return choose(l, arg[0], lanes_float(l, 1), lanes_float(l, 0));
  if (is_float(from)) return one_by_one(l, i, arg);
  return int_to_float(l, arg[0], is_small(l->e->k, i->arg[0], 0));
}

static V sign(const Lanes *l, V x) {
  V zero = lanes_float(l, 0);
  V down = choose(l, compare(l, LLVMRealOLT, x, zero), lanes_float(l, -1), x);
  return choose(l, compare(l, LLVMRealOGT, x, zero), lanes_float(l, 1), down);
}

static V decay(const Lanes *l, V x) {
  return lanes_exp_negative(l, LLVMBuildFNeg(l->e->b, lanes_call(l, "llvm.fabs", 1, &x), ""));
}

static V sigmoid(const Lanes *l, V x) {
  V one = lanes_float(l, 1), d = decay(l, x), above = choose(l, compare(l, LLVMRealOGE, x, lanes_float(l, 0)), one, d);
  return LLVMBuildFMul(l->e->b, above, lanes_reciprocal(l, LLVMBuildFAdd(l->e->b, one, d, "")), "");
}

/* x <= 0, by its form. */
static bool is_negative(const Kernel *k, Val v) {
  return ir_at(k, v)->op == IR_NEG && ir_at(k, ir_at(k, v)->arg[0])->op == IR_ABS;
}

static V softplus(const Lanes *l, V x) {
  V zero = lanes_float(l, 0), linear = choose(l, compare(l, LLVMRealOGT, x, zero), x, zero);
  return LLVMBuildFAdd(l->e->b, linear, lanes_log1p_unit(l, decay(l, x)), "");
}

static V logmul(const Lanes *l, V x, V y) {
  V none = lanes_float(l, -INFINITY);
  V gone = LLVMBuildOr(l->e->b, compare(l, LLVMRealOEQ, x, none), compare(l, LLVMRealOEQ, y, none), "");
  return choose(l, gone, none, LLVMBuildFAdd(l->e->b, x, y, ""));
}

static V logadd(const Lanes *l, V x, V y) {
  V most = choose(l, compare(l, LLVMRealOGT, x, y), x, y),
    rest = lanes_log1p_unit(l, decay(l, LLVMBuildFSub(l->e->b, x, y, "")));
  V twice = LLVMBuildFAdd(l->e->b, x, lanes_float(l, log(2.0)), "");
  return choose(l, compare(l, LLVMRealOEQ, x, y), twice, LLVMBuildFAdd(l->e->b, most, rest, ""));
}

typedef V (*Builder2)(LLVMBuilderRef, V, V, const char *);

static V float_op(const Lanes *l, const Instr *i, V *a) {
  LLVMBuilderRef b = l->e->b;
  switch (i->op) {
    case IR_ADD: return LLVMBuildFAdd(b, a[0], a[1], "");
    case IR_SUB: return LLVMBuildFSub(b, a[0], a[1], "");
    case IR_MUL: return LLVMBuildFMul(b, a[0], a[1], "");
    case IR_DIV: return LLVMBuildFDiv(b, a[0], a[1], "");
    case IR_NEG: return LLVMBuildFNeg(b, a[0], "");
    case IR_ABS: return lanes_call(l, "llvm.fabs", 1, a);
    case IR_SIGN: return sign(l, a[0]);
    case IR_POW: return lanes_pow(l, a[0], a[1]);
    case IR_FLOOR: return lanes_call(l, "llvm.floor", 1, a);
    case IR_CEIL: return lanes_call(l, "llvm.ceil", 1, a);
    case IR_ROUND: return lanes_call(l, "llvm.roundeven", 1, a);
    case IR_SQRT: return lanes_call(l, "llvm.sqrt", 1, a);
    case IR_EXP: return is_negative(l->e->k, i->arg[0]) ? lanes_exp_negative(l, a[0]) : lanes_exp(l, a[0]);
    case IR_EXPM1: return lanes_expm1(l, a[0]);
    case IR_LOG: return lanes_log(l, a[0]);
    case IR_LOG1P: return lanes_log1p(l, a[0]);
    case IR_TANH: return lanes_tanh(l, a[0]);
    case IR_SIGMOID: return sigmoid(l, a[0]);
    case IR_SOFTPLUS: return softplus(l, a[0]);
    case IR_LOGMUL: return logmul(l, a[0], a[1]);
    case IR_LOGADD: return logadd(l, a[0], a[1]);
    default: return one_by_one(l, i, a);
  }
}

static V int_op(const Lanes *l, const Instr *i, V *a) {
  LLVMBuilderRef b = l->e->b;
  V zero = LLVMConstNull(l->i64);
  switch (i->op) {
    case IR_ADD: return LLVMBuildAdd(b, a[0], a[1], "");
    case IR_SUB: return LLVMBuildSub(b, a[0], a[1], "");
    case IR_MUL: return LLVMBuildMul(b, a[0], a[1], "");
    case IR_NEG: return LLVMBuildNeg(b, a[0], "");
    case IR_ABS: return choose(l, LLVMBuildICmp(b, LLVMIntSLT, a[0], zero, ""), LLVMBuildNeg(b, a[0], ""), a[0]);
    default: return one_by_one(l, i, a);
  }
}

V lanes_op(const Lanes *l, const Instr *i, V *a) {
  IrType t = ir_at(l->e->k, i->arg[0])->type;
  switch (i->op) {
    case IR_EQ: return relation(l, t, LLVMRealOEQ, LLVMIntEQ, a[0], a[1]);
    case IR_NE: return relation(l, t, LLVMRealUNE, LLVMIntNE, a[0], a[1]);
    case IR_LT: return relation(l, t, LLVMRealOLT, LLVMIntSLT, a[0], a[1]);
    case IR_LE: return relation(l, t, LLVMRealOLE, LLVMIntSLE, a[0], a[1]);
    case IR_GT: return relation(l, t, LLVMRealOGT, LLVMIntSGT, a[0], a[1]);
    case IR_GE: return relation(l, t, LLVMRealOGE, LLVMIntSGE, a[0], a[1]);
    case IR_AND: return LLVMBuildAnd(l->e->b, a[0], a[1], "");
    case IR_OR: return LLVMBuildOr(l->e->b, a[0], a[1], "");
    case IR_NOT: return LLVMBuildNot(l->e->b, a[0], "");
    case IR_SELECT: return choose(l, a[0], a[1], a[2]);
    case IR_MIN: return t == IR_BOOL ? LLVMBuildAnd(l->e->b, a[0], a[1], "") : extreme(l, t, false, a[0], a[1]);
    case IR_MAX: return t == IR_BOOL ? LLVMBuildOr(l->e->b, a[0], a[1], "") : extreme(l, t, true, a[0], a[1]);
    case IR_CONVERT: return convert(l, i, a);
    default: return is_float(t) ? float_op(l, i, a) : int_op(l, i, a);
  }
}
