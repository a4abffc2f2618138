/* beside_op: operations on lanes.  Floats, ints and bools are those of lanes.c, doubles are here; what has no vector
 * form goes lane by lane through the scalar code. */
#include <math.h>

#include "back/beside.h"
#include "back/doubles.h"

typedef LLVMValueRef V;

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }
static bool is_double(const Beside *b, IrType t) { return t == IR_WIDE || (t == IR_REAL && b->e->f64); }

LLVMTypeRef beside_type(const Beside *b, IrType t) { return LLVMVectorType(type_of(b->e, t), b->n); }
V beside_splat(const Beside *b, V scalar) { return lanes_splat(&b->lanes, scalar); }
V beside_number(const Beside *b, double v) { return doubles_number(b->e, b->n, v); }
V beside_get(const Beside *b, Val v) { return b->varies[v] ? b->e->val[v] : beside_splat(b, b->e->val[v]); }

static V choose(const Beside *b, V c, V x, V y) { return LLVMBuildSelect(b->e->b, c, x, y, ""); }
static V compare(const Beside *b, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(b->e->b, p, x, y, ""); }

V beside_convert(const Beside *b, V x, IrType from, IrType to) {
  LLVMBuilderRef build = b->e->b;
  LLVMTypeRef t = beside_type(b, to);
  if (from == to || LLVMTypeOf(x) == t) return x;
  if (is_float(from) && is_float(to))
    return is_double(b, to) ? LLVMBuildFPExt(build, x, t, "") : LLVMBuildFPTrunc(build, x, t, "");
  if (is_float(from)) return compare(b, LLVMRealUNE, x, LLVMConstNull(LLVMTypeOf(x)));
  if (to == IR_BOOL) return LLVMBuildICmp(build, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
  if (to == IR_INT) return LLVMBuildZExt(build, x, t, "");
  return from == IR_BOOL ? LLVMBuildUIToFP(build, x, t, "") : LLVMBuildSIToFP(build, x, t, "");
}

static V one_by_one(const Beside *b, const Instr *i) {
  Emit *e = b->e;
  V result = LLVMGetPoison(beside_type(b, i->type)), *kept = NEW_ARRAY(e->arena, V, i->narg + 1);
  for (uint32_t a = 0; a < i->narg; a++) kept[a] = e->val[i->arg[a]];
  for (unsigned k = 0; k < b->n; k++) {
    V at = LLVMConstInt(e->t.i32, k, false);
    for (uint32_t a = 0; a < i->narg; a++)
      if (b->varies[i->arg[a]]) e->val[i->arg[a]] = LLVMBuildExtractElement(e->b, kept[a], at, "");
    result = LLVMBuildInsertElement(e->b, result, emit_op(e, i), at, "");
    for (uint32_t a = 0; a < i->narg; a++) e->val[i->arg[a]] = kept[a];
  }
  return result;
}

/* ---- doubles ------------------------------------------------------------------------------------- */

static V absolute(const Beside *b, V x) { return doubles_call(b->e, "llvm.fabs", 1, &x); }

/* e^-|x| */
static V decay(const Beside *b, V x) {
  V y = LLVMBuildFNeg(b->e->b, absolute(b, x), "");
  return choose(b, compare(b, LLVMRealUNO, x, x), x, doubles_exp_weight(b->e, y));
}

static V sign(const Beside *b, V x) {
  V zero = beside_number(b, 0), down = choose(b, compare(b, LLVMRealOLT, x, zero), beside_number(b, -1), x);
  return choose(b, compare(b, LLVMRealOGT, x, zero), beside_number(b, 1), down);
}

static V sigmoid(const Beside *b, V x) {
  V one = beside_number(b, 1), d = decay(b, x),
    above = choose(b, compare(b, LLVMRealOGE, x, beside_number(b, 0)), one, d);
  return LLVMBuildFDiv(b->e->b, above, LLVMBuildFAdd(b->e->b, one, d, ""), "");
}

static V softplus(const Beside *b, V x) {
  V zero = beside_number(b, 0), linear = choose(b, compare(b, LLVMRealOGT, x, zero), x, zero);
  return LLVMBuildFAdd(b->e->b, linear, doubles_log1p_unit(b->e, decay(b, x)), "");
}

static V logmul(const Beside *b, V x, V y) {
  V none = beside_number(b, -INFINITY);
  V gone = LLVMBuildOr(b->e->b, compare(b, LLVMRealOEQ, x, none), compare(b, LLVMRealOEQ, y, none), "");
  return choose(b, gone, none, LLVMBuildFAdd(b->e->b, x, y, ""));
}

static V logadd(const Beside *b, V x, V y) {
  V most = choose(b, compare(b, LLVMRealOGT, x, y), x, y);
  V rest = doubles_log1p_unit(b->e, decay(b, LLVMBuildFSub(b->e->b, x, y, "")));
  V twice = LLVMBuildFAdd(b->e->b, x, beside_number(b, log(2.0)), "");
  return choose(b, compare(b, LLVMRealOEQ, x, y), twice, LLVMBuildFAdd(b->e->b, most, rest, ""));
}

/* v is e^-|x|, by its form. */
static bool is_decay(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op != IR_EXP || ir_at(k, i->arg[0])->op != IR_NEG) return false;
  return ir_at(k, ir_at(k, i->arg[0])->arg[0])->op == IR_ABS;
}

static V exponential(const Beside *b, const Instr *i, V x) {
  bool falls =
      ir_at(b->e->k, i->arg[0])->op == IR_NEG && ir_at(b->e->k, ir_at(b->e->k, i->arg[0])->arg[0])->op == IR_ABS;
  return falls ? decay(b, x) : doubles_exp(b->e, x);
}

static V logarithm_of_sum(const Beside *b, const Instr *i, V x) {
  return is_decay(b->e->k, i->arg[0]) ? doubles_log1p_unit(b->e, x) : doubles_log1p(b->e, x);
}

/* NULL: it has no vector form. */
static V arithmetic(const Beside *b, const Instr *i, V *a) {
  Emit *e = b->e;
  switch (i->op) {
    case IR_ADD: return LLVMBuildFAdd(e->b, a[0], a[1], "");
    case IR_SUB: return LLVMBuildFSub(e->b, a[0], a[1], "");
    case IR_MUL: return LLVMBuildFMul(e->b, a[0], a[1], "");
    case IR_DIV: return LLVMBuildFDiv(e->b, a[0], a[1], "");
    case IR_NEG: return LLVMBuildFNeg(e->b, a[0], "");
    case IR_ABS: return absolute(b, a[0]);
    case IR_SIGN: return sign(b, a[0]);
    case IR_MIN: return op_extreme(e, IR_WIDE, false, a[0], a[1]);
    case IR_MAX: return op_extreme(e, IR_WIDE, true, a[0], a[1]);
    case IR_FLOOR: return doubles_call(e, "llvm.floor", 1, a);
    case IR_CEIL: return doubles_call(e, "llvm.ceil", 1, a);
    case IR_ROUND: return doubles_call(e, "llvm.roundeven", 1, a);
    case IR_SQRT: return doubles_call(e, "llvm.sqrt", 1, a);
    case IR_EXP: return exponential(b, i, a[0]);
    case IR_LOG: return doubles_log(e, a[0]);
    case IR_LOG1P: return logarithm_of_sum(b, i, a[0]);
    case IR_SIGMOID: return sigmoid(b, a[0]);
    case IR_SOFTPLUS: return softplus(b, a[0]);
    case IR_LOGMUL: return logmul(b, a[0], a[1]);
    case IR_LOGADD: return logadd(b, a[0], a[1]);
    default: return NULL;
  }
}

static V relation(const Beside *b, const Instr *i, V *a) {
  switch (i->op) {
    case IR_EQ: return compare(b, LLVMRealOEQ, a[0], a[1]);
    case IR_NE: return compare(b, LLVMRealUNE, a[0], a[1]);
    case IR_LT: return compare(b, LLVMRealOLT, a[0], a[1]);
    case IR_LE: return compare(b, LLVMRealOLE, a[0], a[1]);
    case IR_GT: return compare(b, LLVMRealOGT, a[0], a[1]);
    case IR_GE: return compare(b, LLVMRealOGE, a[0], a[1]);
    default: return arithmetic(b, i, a);
  }
}

V beside_op(const Beside *b, const Instr *i) {
  V a[3] = {0};
  if (i->op == IR_RANDOM || i->narg == 0 || i->narg > 3) return one_by_one(b, i);
  for (uint32_t k = 0; k < i->narg; k++) a[k] = beside_get(b, i->arg[k]);
  IrType t = ir_at(b->e->k, i->arg[0])->type;
  if (i->op == IR_SELECT) return choose(b, a[0], a[1], a[2]);
  if (i->op == IR_CONVERT)
    return is_float(t) && i->type == IR_INT ? one_by_one(b, i) : beside_convert(b, a[0], t, i->type);
  if (!is_double(b, t)) return lanes_op(&b->lanes, i, a);
  V v = relation(b, i, a);
  return v ? v : one_by_one(b, i);
}
