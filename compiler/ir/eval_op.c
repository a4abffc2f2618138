/* eval_op: the pure operations of ir/op.def on numbers, computed in double (or wrapping int64) and rounded to
 * the result's type.  Rounding a double result of + - * / sqrt to float is exactly the float operation. */
#include <math.h>

#include "ir/eval_parts.h"

/* ---- int --------------------------------------------------------------------------------------- */

static int64_t wrap(uint64_t x) { return (int64_t)x; }

static int64_t floor_div(int64_t x, int64_t y) {
  if (y == 0) return 0;
  if (y == -1) return wrap(0 - (uint64_t)x);
  return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

static int64_t floor_mod(int64_t x, int64_t y) {
  if (y == 0 || y == -1) return 0;
  int64_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t int_pow(int64_t x, int64_t n) {
  if (n < 0) return 0;
  uint64_t base = (uint64_t)x, r = 1;
  for (; n; n >>= 1, base *= base)
    if (n & 1) r *= base;
  return wrap(r);
}

static int64_t int_op(IrOp op, int64_t x, int64_t y) {
  switch ((int)op) {
  case IR_ADD: return wrap((uint64_t)x + (uint64_t)y);
  case IR_SUB: return wrap((uint64_t)x - (uint64_t)y);
  case IR_MUL: return wrap((uint64_t)x * (uint64_t)y);
  case IR_NEG: return wrap(0 - (uint64_t)x);
  case IR_ABS: return x < 0 ? wrap(0 - (uint64_t)x) : x;
  case IR_SIGN: return (x > 0) - (x < 0);
  case IR_MIN: return x < y ? x : y;
  case IR_MAX: return x > y ? x : y;
  case IR_POW: return int_pow(x, y);
  case IR_FLOORDIV: return floor_div(x, y);
  case IR_MOD: return floor_mod(x, y);
  case IR_EQ: return x == y;
  case IR_NE: return x != y;
  case IR_LT: return x < y;
  case IR_LE: return x <= y;
  case IR_GT: return x > y;
  case IR_GE: return x >= y;
  case IR_AND: return x && y;
  case IR_OR: return x || y;
  case IR_NOT: return !x;
  }
  return 0;
}

/* ---- floating ---------------------------------------------------------------------------------- */

static double sign(double x) { return isnan(x) ? x : (x > 0) - (x < 0); }
static double smaller(double x, double y) { return isnan(x) || x < y ? x : y; }
static double larger(double x, double y) { return isnan(x) || x > y ? x : y; }
static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double log_mul(double x, double y) { return x == -INFINITY || y == -INFINITY ? -INFINITY : x + y; }

static double log_add(double x, double y) {
  if (isnan(x) || isnan(y)) return NAN;
  double hi = larger(x, y), lo = smaller(x, y);
  return isinf(hi) ? hi : hi + log1p(exp(lo - hi));
}

static double float_op(IrOp op, double x, double y) {
  switch ((int)op) {
  case IR_ADD: return x + y;
  case IR_SUB: return x - y;
  case IR_MUL: return x * y;
  case IR_DIV: return x / y;
  case IR_NEG: return -x;
  case IR_ABS: return fabs(x);
  case IR_SIGN: return sign(x);
  case IR_MIN: return smaller(x, y);
  case IR_MAX: return larger(x, y);
  case IR_POW: return pow(x, y);
  case IR_FLOOR: return floor(x);
  case IR_CEIL: return ceil(x);
  case IR_ROUND: return rint(x);
  case IR_SQRT: return sqrt(x);
  case IR_EXP: return exp(x);
  case IR_EXPM1: return expm1(x);
  case IR_LOG: return log(x);
  case IR_LOG1P: return log1p(x);
  case IR_TANH: return tanh(x);
  case IR_SIGMOID: return sigmoid(x);
  case IR_SOFTPLUS: return softplus(x);
  case IR_SIN: return sin(x);
  case IR_COS: return cos(x);
  case IR_ERF: return erf(x);
  case IR_LOGMUL: return log_mul(x, y);
  case IR_LOGADD: return log_add(x, y);
  }
  return NAN;
}

static int64_t float_compare(IrOp op, double x, double y) {
  switch ((int)op) {
  case IR_EQ: return x == y;
  case IR_NE: return x != y;
  case IR_LT: return x < y;
  case IR_LE: return x <= y;
  case IR_GT: return x > y;
  case IR_GE: return x >= y;
  }
  return 0;
}

/* ---- all --------------------------------------------------------------------------------------- */

/* Ends at +-2^62, NaN at the lower end, as the compiled code does. */
static int64_t truncate_to_int(double x) {
  double above = x >= -0x1p62 ? x : -0x1p62;
  return (int64_t)(above <= 0x1p62 ? above : 0x1p62);
}

static Cell convert(const EvalArgs *args, IrType from, IrType to, Cell x) {
  if (cell_is_float(to)) {
    if (cell_is_float(from)) return (Cell){.d = round_to(to, args->f64, x.d)};
    /* an int goes to float in one rounding, not by way of double */
    return (Cell){.d = to == IR_REAL && !args->f64 ? (double)(float)x.i : (double)x.i};
  }
  if (to == IR_BOOL) return (Cell){.i = cell_is_float(from) ? x.d != 0 : x.i != 0};
  return (Cell){.i = cell_is_float(from) ? truncate_to_int(x.d) : x.i};
}

static const char *eval_random(const EvalArgs *args, const Instr *i, const Cell *values, Cell *result) {
  int64_t counters[64];
  if (i->narg > 65) return "random of more than 64 counters";
  if (!args->functions.random_uniform) return "no function was given for random";
  for (uint32_t n = 1; n < i->narg; n++) counters[n - 1] = values[i->arg[n]].i;
  result->d = args->functions.random_uniform(values[i->arg[0]].i, i->narg - 1, counters);
  return NULL;
}

static bool is_exact(IrOp op) {
  return op == IR_NEG || op == IR_ABS || op == IR_SIGN || op == IR_MIN || op == IR_MAX || op == IR_FLOOR ||
         op == IR_CEIL || op == IR_ROUND;
}

static double rounded(EvalArgs *args, const Instr *i, double x) {
  IrType t = i->type;
  if (args->noise == 0 || t != IR_REAL || is_exact(i->op)) return round_to(t, args->f64, x);
  args->noise_state = args->noise_state * 6364136223846793005u + 1442695040888963407u;
  return x * (1 + (args->noise_state >> 63 ? args->noise : -args->noise));
}

static const char *eval_special(EvalArgs *args, const Instr *i, double x, double y, double *result) {
  const EvalFunctions *f = &args->functions;
  if (i->op == IR_LGAMMA && f->lgamma) *result = f->lgamma(x);
  else if (i->op == IR_DIGAMMA && f->digamma) *result = f->digamma(x);
  else if (i->op == IR_LBETA && f->lbeta) *result = f->lbeta(x, y);
  else return "no function was given for lgamma, lbeta or digamma";
  *result = rounded(args, i, *result);
  return NULL;
}

const char *eval_op(EvalArgs *args, const Kernel *k, const Instr *i, const Cell *values, Cell *result) {
  if (i->op == IR_RANDOM) return eval_random(args, i, values, result);
  Cell x = values[i->arg[0]], y = i->narg > 1 ? values[i->arg[1]] : (Cell){0};
  IrType from = ir_at(k, i->arg[0])->type;
  if (i->op == IR_LGAMMA || i->op == IR_LBETA || i->op == IR_DIGAMMA)
    return eval_special(args, i, x.d, y.d, &result->d);
  if (i->op == IR_SELECT) *result = values[i->arg[x.i ? 1 : 2]];
  else if (i->op == IR_CONVERT) *result = convert(args, from, i->type, x);
  else if (!cell_is_float(from)) result->i = int_op(i->op, x.i, y.i);
  else if (ir_op_compares(i->op)) result->i = float_compare(i->op, x.d, y.d);
  else result->d = rounded(args, i, float_op(i->op, x.d, y.d));
  return NULL;
}
