/* eval_parts: the pieces of the evaluator: operations and accumulators, each a function of numbers. */
#ifndef ATTN_IR_EVAL_PARTS_H
#define ATTN_IR_EVAL_PARTS_H

#include "ir/ir_eval.h"

typedef union Cell { double d; int64_t i; } Cell; /* i: int, bool; d: real, wide */

static inline bool cell_is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }
static inline double round_to(IrType t, bool f64, double x) { return t == IR_REAL && !f64 ? (double)(float)x : x; }

/* A pure operation other than const, size and load.  NULL, or what is missing. */
const char *eval_op(EvalArgs *args, const Kernel *k, const Instr *i, const Cell *values, Cell *result);

typedef struct AccState {
  Cell value;      /* sum, prod, max, min, any, all; argmax: the x */
  double max;      /* largest log weight so far */
  double total;    /* sum of e^(log_w - max) */
  double weighted; /* expect: sum of e^(log_w - max) x; entropy: of e^(log_w - max) (log_w - max) */
  bool poisoned;   /* a log weight was NaN or +inf */
} AccState;

AccState acc_empty(AccKind kind, IrType type);
void acc_add(AccKind kind, IrType type, AccState *s, double log_w, Cell x);
Cell acc_result(AccKind kind, const AccState *s);

#endif
