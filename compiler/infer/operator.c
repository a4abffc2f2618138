/* operator: the operators of the language by operations of the IR. */
#include "base/ice.h"
#include "infer/eval.h"

IrOp plain_op(OpKind op) {
  switch (op) {
  case OP_ADD: return IR_ADD;
  case OP_SUB: return IR_SUB;
  case OP_MUL: return IR_MUL;
  case OP_DIV: return IR_DIV;
  case OP_FLOORDIV: return IR_FLOORDIV;
  case OP_MOD: return IR_MOD;
  case OP_POW: return IR_POW;
  case OP_NEG: return IR_NEG;
  case OP_EQ: return IR_EQ;
  case OP_NE: return IR_NE;
  case OP_LT: return IR_LT;
  case OP_LE: return IR_LE;
  case OP_GT: return IR_GT;
  case OP_GE: return IR_GE;
  case OP_AND: return IR_AND;
  case OP_OR: return IR_OR;
  case OP_NOT: return IR_NOT;
  case OP_EXP: return IR_EXP;
  case OP_LOG: return IR_LOG;
  case OP_LOG1P: return IR_LOG1P;
  case OP_EXPM1: return IR_EXPM1;
  case OP_SQRT: return IR_SQRT;
  case OP_TANH: return IR_TANH;
  case OP_SIGMOID: return IR_SIGMOID;
  case OP_SOFTPLUS: return IR_SOFTPLUS;
  case OP_SIN: return IR_SIN;
  case OP_COS: return IR_COS;
  case OP_ABS: return IR_ABS;
  case OP_SIGN: return IR_SIGN;
  case OP_FLOOR: return IR_FLOOR;
  case OP_CEIL: return IR_CEIL;
  case OP_ROUND: return IR_ROUND;
  case OP_MIN: return IR_MIN;
  case OP_MAX: return IR_MAX;
  case OP_ERF: return IR_ERF;
  case OP_LGAMMA: return IR_LGAMMA;
  case OP_DIGAMMA: return IR_DIGAMMA;
  case OP_TO_REAL: case OP_SQ: case OP_RELU: case OP_LEAKY_RELU: case OP_GELU: case OP_ELU: case OP_CLAMP:
  case OP_RANDOM: case OP_COUNT_: break;
  }
  return IR_OP_COUNT_;
}

static Val like(Context *x, Val v, double number) { return build_float(B(x), ir_at(B(x)->k, v)->type, number); }

static Val positive(Context *x, Val v) { return build_2(B(x), IR_GT, v, like(x, v, 0)); }

/* elu(v) + shift, without the cancellation of expm1(v) + 1. */
static Val elu_plus(Context *x, Val v, bool plus_one) {
  Val above = plus_one ? build_2(B(x), IR_ADD, v, like(x, v, 1)) : v;
  return build_select(B(x), positive(x, v), above, build_1(B(x), plus_one ? IR_EXP : IR_EXPM1, v));
}

static Val gelu(Context *x, Val v) {
  Builder *b = B(x);
  Val phi = build_1(b, IR_ERF, build_2(b, IR_MUL, v, like(x, v, 0.70710678118654752440)));
  return build_2(b, IR_MUL, build_2(b, IR_MUL, v, like(x, v, 0.5)), build_2(b, IR_ADD, phi, like(x, v, 1)));
}

Val apply_operator(Context *x, const Term *t, const Val *v) {
  Builder *b = B(x);
  switch (t->op) {
  case OP_TO_REAL:
    if (ir_at(b->k, v[0])->type != IR_INT && ir_at(b->k, v[0])->type != IR_BOOL) return v[0];
    return build_convert(b, v[0], x->sizes ? IR_WIDE : IR_REAL);
  case OP_SQ: return build_2(b, IR_MUL, v[0], v[0]);
  case OP_RELU: return build_2(b, IR_MAX, v[0], like(x, v[0], 0));
  case OP_LEAKY_RELU: return build_select(b, positive(x, v[0]), v[0], build_2(b, IR_MUL, v[0], v[1]));
  case OP_GELU: return gelu(x, v[0]);
  case OP_ELU: return elu_plus(x, v[0], false);
  case OP_CLAMP: return build_2(b, IR_MIN, build_2(b, IR_MAX, v[0], v[1]), v[2]);
  case OP_RANDOM: return build_op(b, IR_RANDOM, IR_WIDE, t->args.n, v);
  case OP_FLOOR: case OP_CEIL: case OP_ROUND: return build_convert(b, build_1(b, plain_op(t->op), v[0]), IR_INT);
  case OP_FLOORDIV: case OP_MOD:
    if (ir_at(b->k, v[1])->op != IR_CONST || !ir_at(b->k, v[1])->integer) {
      b->span = t->span;
      build_check(b, IR_CHECK_NONZERO, x->guard, v[1], build_int(b, 0));
    }
    return build_2(b, plain_op(t->op), v[0], v[1]);
  case OP_POW:
    if (t->args.at[1]->kind == TERM_INT && t->args.at[1]->integer == 2) return build_2(b, IR_MUL, v[0], v[0]);
    if (t->args.at[1]->kind == TERM_REAL && t->args.at[1]->real == 2) return build_2(b, IR_MUL, v[0], v[0]);
    return build_2(b, IR_POW, v[0], v[1]);
  case OP_ADD: case OP_SUB: case OP_MUL: case OP_DIV: case OP_NEG: case OP_EQ: case OP_NE: case OP_LT: case OP_LE:
  case OP_GT: case OP_GE: case OP_AND: case OP_OR: case OP_NOT: case OP_EXP: case OP_LOG: case OP_LOG1P: case OP_EXPM1:
  case OP_SQRT: case OP_TANH: case OP_SIGMOID: case OP_SOFTPLUS: case OP_SIN: case OP_COS: case OP_ABS: case OP_SIGN:
  case OP_MIN: case OP_MAX: case OP_ERF: case OP_LGAMMA: case OP_DIGAMMA:
    return t->args.n == 1 ? build_1(b, plain_op(t->op), v[0]) : build_2(b, plain_op(t->op), v[0], v[1]);
  case OP_COUNT_: break;
  }
  ICE("unknown operator");
}

static bool is_one(const Term *t) { return t->kind == TERM_REAL && t->real == 1; }

Val eval_elu_plus_one(Context *x, const Term *t) {
  const Term *p = t->args.at[0], *q = t->args.at[1];
  if (p->kind == TERM_OP && p->op == OP_ELU && is_one(q)) return elu_plus(x, eval(x, p->args.at[0]), true);
  if (q->kind == TERM_OP && q->op == OP_ELU && is_one(p)) return elu_plus(x, eval(x, q->args.at[0]), true);
  return 0;
}
