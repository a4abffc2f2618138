/* build_fold: operations whose result is known are not built.
 *
 * Laws: constants, where the operation is exact (of ints without overflow); identities that hold for every value, of
 * floating point only those exact for NaN, infinities and -0. */
#include <stdlib.h>

#include "ir/build_parts.h"

static bool is_const(const Builder *b, Val v, IrType t) {
  const Instr *i = ir_at(b->k, v);
  return i->op == IR_CONST && i->type == t;
}

static bool is_int(const Builder *b, Val v, int64_t x) {
  return is_const(b, v, IR_INT) && ir_at(b->k, v)->integer == x;
}
bool build_is_truth(const Builder *b, Val v, bool x) {
  return is_const(b, v, IR_BOOL) && ir_at(b->k, v)->integer == x;
}
static bool is_float(const Builder *b, Val v, double x) {
  const Instr *i = ir_at(b->k, v);
  bool floating = i->type == IR_REAL || i->type == IR_WIDE;
  return i->op == IR_CONST && floating && ir_number_bits(i->number) == ir_number_bits(x);
}

static Val fold_int_consts(Builder *b, IrOp op, int64_t x, int64_t y) {
  int64_t r;
  switch ((int)op) {
  case IR_ADD: return __builtin_add_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_SUB: return __builtin_sub_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_MUL: return __builtin_mul_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_MIN: return build_int(b, x < y ? x : y);
  case IR_MAX: return build_int(b, x > y ? x : y);
  case IR_EQ: return build_bool(b, x == y);
  case IR_NE: return build_bool(b, x != y);
  case IR_LT: return build_bool(b, x < y);
  case IR_LE: return build_bool(b, x <= y);
  case IR_GT: return build_bool(b, x > y);
  case IR_GE: return build_bool(b, x >= y);
  }
  return 0;
}

/* i + c == i never holds (c != 0): references to neighbours are different copies. */
static bool differ_by_constant(const Builder *b, Val x, Val y) {
  const Instr *i = ir_at(b->k, x);
  if (i->type != IR_INT || (i->op != IR_ADD && i->op != IR_SUB)) return false;
  const Instr *c = ir_at(b->k, i->arg[1]);
  return i->arg[0] == y && c->op == IR_CONST && c->integer != 0;
}

static Val fold_wide_consts(Builder *b, IrOp op, double x, double y) {
  switch ((int)op) {
  case IR_ADD: return build_float(b, IR_WIDE, x + y);
  case IR_SUB: return build_float(b, IR_WIDE, x - y);
  case IR_MUL: return build_float(b, IR_WIDE, x * y);
  case IR_EQ: return build_bool(b, x == y);
  case IR_NE: return build_bool(b, x != y);
  case IR_LT: return build_bool(b, x < y);
  case IR_LE: return build_bool(b, x <= y);
  case IR_GT: return build_bool(b, x > y);
  case IR_GE: return build_bool(b, x >= y);
  }
  return 0;
}

/* Variables of loops lie in their ranges: 1: x < y, 0: x >= y, -1: not known. */
static int is_below(const Builder *b, Val x, Val y) {
  const Loop *l = ir_at(b->k, x)->op == IR_INDEX ? ir_at(b->k, x)->loop : NULL;
  if (!l) return -1;
  const Instr *lo = ir_at(b->k, l->lo), *bound = ir_at(b->k, y);
  if (l->hi == y) return 1;
  return l->lo == y || (lo->op == IR_CONST && bound->op == IR_CONST && lo->integer >= bound->integer) ? 0 : -1;
}

static Val fold_range(Builder *b, IrOp op, Val x, Val y) {
  bool mirrored = op == IR_GT || op == IR_LE;
  if (!mirrored && op != IR_LT && op != IR_GE) return 0;
  int below = mirrored ? is_below(b, y, x) : is_below(b, x, y);
  return below < 0 ? 0 : build_bool(b, below == (op == IR_LT || op == IR_GT));
}

static Val fold_2(Builder *b, IrOp op, Val x, Val y) {
  if ((op == IR_EQ || op == IR_NE) && (differ_by_constant(b, x, y) || differ_by_constant(b, y, x)))
    return build_bool(b, op == IR_NE);
  if (is_const(b, x, IR_INT) && is_const(b, y, IR_INT))
    return fold_int_consts(b, op, ir_at(b->k, x)->integer, ir_at(b->k, y)->integer);
  if (is_const(b, x, IR_WIDE) && is_const(b, y, IR_WIDE)) {
    Val folded_wide = fold_wide_consts(b, op, ir_at(b->k, x)->number, ir_at(b->k, y)->number);
    if (folded_wide) return folded_wide;
  }
  bool ints = ir_at(b->k, x)->type == IR_INT;
  Val folded = fold_range(b, op, x, y);
  if (folded) return folded;
  switch ((int)op) {
  case IR_ADD: return is_int(b, x, 0) ? y : is_int(b, y, 0) ? x : 0;
  case IR_SUB: return is_int(b, y, 0) ? x : ints && x == y ? build_int(b, 0) : 0;
  case IR_MUL:
    if (is_int(b, x, 1) || is_float(b, x, 1)) return y;
    if (is_int(b, y, 1) || is_float(b, y, 1)) return x;
    return is_int(b, x, 0) ? x : is_int(b, y, 0) ? y : 0;
  case IR_DIV: return is_float(b, y, 1) ? x : 0;
  case IR_MIN: case IR_MAX: return x == y ? x : 0;
  case IR_LOGMUL: return is_float(b, x, 0) ? y : is_float(b, y, 0) ? x : 0;
  case IR_EQ: case IR_LE: case IR_GE: return ints && x == y ? build_bool(b, true) : 0;
  case IR_NE: case IR_LT: case IR_GT: return ints && x == y ? build_bool(b, false) : 0;
  case IR_AND:
    if (build_is_truth(b, x, true) || x == y) return y;
    return build_is_truth(b, y, true) ? x : build_is_truth(b, x, false) ? x : build_is_truth(b, y, false) ? y : 0;
  case IR_OR:
    if (build_is_truth(b, x, false) || x == y) return y;
    return build_is_truth(b, y, false) ? x : build_is_truth(b, x, true) ? x : build_is_truth(b, y, true) ? y : 0;
  }
  return 0;
}

static Val fold_1(Builder *b, IrOp op, Val x) {
  const Instr *i = ir_at(b->k, x);
  if (op == IR_NOT && i->op == IR_CONST) return build_bool(b, !i->integer);
  if (op == IR_NOT && i->op == IR_NOT) return i->arg[0];
  if (op == IR_NEG && i->op == IR_CONST && i->type != IR_INT) return build_float(b, i->type, -i->number);
  if (op == IR_EXP && is_float(b, x, 0)) return build_float(b, i->type, 1);
  if (op == IR_LOG && is_float(b, x, 1)) return build_float(b, i->type, 0);
  if (op == IR_NEG && is_const(b, x, IR_INT) && i->integer != INT64_MIN) return build_int(b, -i->integer);
  return 0;
}

Val build_op(Builder *b, IrOp op, IrType type, uint32_t narg, const Val *args) {
  Val folded = 0;
  if (narg == 1) folded = fold_1(b, op, args[0]);
  else if (narg == 2 && op != IR_RANDOM) folded = fold_2(b, op, args[0], args[1]);
  if (folded) return folded;
  return build_pure(b, (Instr){.op = op, .type = type, .narg = narg, .arg = (Val *)args});
}

Val build_1(Builder *b, IrOp op, Val x) { return build_op(b, op, ir_at(b->k, x)->type, 1, &x); }

Val build_2(Builder *b, IrOp op, Val x, Val y) {
  IrType tx = ir_at(b->k, x)->type, ty = ir_at(b->k, y)->type;
  if (tx != ty) {
    x = build_convert(b, x, IR_WIDE);
    y = build_convert(b, y, IR_WIDE);
    tx = IR_WIDE;
  }
  return build_op(b, op, ir_op_compares(op) ? IR_BOOL : tx, 2, (Val[]){x, y});
}

Val build_select(Builder *b, Val cond, Val x, Val y) {
  if (build_is_truth(b, cond, true) || x == y) return x;
  if (build_is_truth(b, cond, false)) return y;
  if (ir_at(b->k, x)->type != ir_at(b->k, y)->type) {
    x = build_convert(b, x, IR_WIDE);
    y = build_convert(b, y, IR_WIDE);
  }
  return build_op(b, IR_SELECT, ir_at(b->k, x)->type, 3, (Val[]){cond, x, y});
}

Val build_convert(Builder *b, Val x, IrType to) {
  const Instr *i = ir_at(b->k, x);
  if (i->type == to) return x;
  bool floating = to == IR_REAL || to == IR_WIDE;
  /* an int or bool that every floating type holds exactly */
  if (floating && i->op == IR_CONST && (i->type == IR_INT || i->type == IR_BOOL) && llabs(i->integer) < (1 << 24))
    return build_float(b, to, (double)i->integer);
  if (to == IR_WIDE && is_const(b, x, IR_REAL) && (double)(float)i->number == i->number)
    return build_float(b, to, i->number);
  return build_op(b, IR_CONVERT, to, 1, &x);
}

Val build_and(Builder *b, Val x, Val y) { return !x ? y : !y ? x : build_2(b, IR_AND, x, y); }
