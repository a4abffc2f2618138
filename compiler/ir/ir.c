/* ir: what the kinds of the reduction IR are called and what they take.  One table or switch a question, all
 * made from ir/op.def or checked by -Wswitch, so that a new kind is noticed wherever it matters. */
#include "ir/ir.h"

typedef struct OpInfo {
  const char *name;
  int arity;
  char rule;
} OpInfo;

#define RULE_a 'a'
#define RULE_b 'b'
#define RULE_c 'c'
#define RULE_i 'i'
#define RULE_r 'r'
#define RULE_s 's'
#define RULE_t 't'
#define RULE_v 'v'

static const OpInfo op_info[] = {
#define IR(ID, name, args, rule) [IR_##ID] = {name, args, RULE_##rule},
#include "ir/op.def"
#undef IR
};
_Static_assert(sizeof op_info / sizeof op_info[0] == IR_OP_COUNT_, "one entry an operation");

const char *ir_op_name(IrOp op) { return op_info[op].name; }
int ir_op_arity(IrOp op) { return op_info[op].arity; }
char ir_op_rule(IrOp op) { return op_info[op].rule; }

const char *ir_type_name(IrType t) {
  switch (t) {
  case IR_VOID: return "void";
  case IR_BOOL: return "bool";
  case IR_INT: return "int";
  case IR_REAL: return "real";
  case IR_WIDE: return "wide";
  }
  return "?";
}

const char *ir_acc_name(AccKind a) {
  switch (a) {
  case ACC_SUM: return "sum";
  case ACC_PROD: return "prod";
  case ACC_MAX: return "max";
  case ACC_MIN: return "min";
  case ACC_ANY: return "any";
  case ACC_ALL: return "all";
  case ACC_LSE: return "lse";
  case ACC_MASS: return "mass";
  case ACC_EXPECT: return "expect";
  case ACC_ENTROPY: return "entropy";
  case ACC_ARGMAX: return "argmax";
  }
  return "?";
}

const char *ir_store_name(StoreType t) {
  switch (t) {
  case STORE_BOOL: return "bool";
  case STORE_INT: return "int";
  case STORE_REAL: return "real";
  case STORE_WIDE: return "wide";
  case STORE_F16: return "f16";
  case STORE_BF16: return "bf16";
  case STORE_F32: return "f32";
  }
  return "?";
}

const char *ir_array_kind_name(ArrayKind kind) {
  switch (kind) {
  case ARRAY_IN: return "in";
  case ARRAY_OUT: return "out";
  case ARRAY_TEMP: return "temp";
  case ARRAY_LOCAL: return "local";
  }
  return "?";
}

const char *ir_loop_name(LoopKind kind) {
  switch (kind) {
  case LOOP_PAR: return "par";
  case LOOP_SEQ: return "seq";
  case LOOP_REDUCE: return "reduce";
  }
  return "?";
}

IrType ir_store_type(StoreType t) {
  switch (t) {
  case STORE_BOOL: return IR_BOOL;
  case STORE_INT: return IR_INT;
  case STORE_WIDE: return IR_WIDE;
  case STORE_REAL:
  case STORE_F16:
  case STORE_BF16:
  case STORE_F32: return IR_REAL;
  }
  return IR_VOID;
}

bool ir_acc_takes_log_w(AccKind a) {
  switch (a) {
  case ACC_LSE:
  case ACC_MASS:
  case ACC_EXPECT:
  case ACC_ENTROPY:
  case ACC_ARGMAX: return true;
  case ACC_SUM:
  case ACC_PROD:
  case ACC_MAX:
  case ACC_MIN:
  case ACC_ANY:
  case ACC_ALL: return false;
  }
  return false;
}

bool ir_acc_takes_x(AccKind a) { return a != ACC_LSE && a != ACC_MASS && a != ACC_ENTROPY; }

uint64_t ir_number_bits(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

bool ir_follows_from_sizes(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_LOAD || i->op == IR_INDEX || i->op == IR_RESULT) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!ir_follows_from_sizes(k, i->arg[n])) return false;
  return true;
}
