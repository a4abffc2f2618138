/* functions: the scalar functions of the language, from their definitions. */
#include "oracle/functions.h"

#include <math.h>

#include "base/ice.h"

double oracle_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

/* Upward recurrence to x >= 20, then the asymptotic series; reflection below 0. */
double oracle_digamma(double x) {
  if (isnan(x) || (x <= 0 && floor(x) == x)) return x == 0 ? -INFINITY : NAN;
  const double pi = 3.14159265358979323846;
  if (x < 0) return oracle_digamma(1 - x) - pi / tan(pi * x);
  long double down = 0, y = x;
  for (; y < 20; y += 1) down += 1 / y;
  long double u = 1 / (y * y);
  long double series = u * (1 / 12.0L - u * (1 / 120.0L - u * (1 / 252.0L - u * (1 / 240.0L - u * (1 / 132.0L)))));
  return (double)(logl(y) - 0.5L / y - series - down);
}

double oracle_real_min(double a, double b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }
double oracle_real_max(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }

static double unary(OpKind op, double x) {
  switch ((int)op) {
  case OP_NEG: return -x;
  case OP_EXP: return exp(x);
  case OP_LOG: return log(x);
  case OP_LOG1P: return log1p(x);
  case OP_EXPM1: return expm1(x);
  case OP_SQRT: return sqrt(x);
  case OP_SQ: return x * x;
  case OP_TANH: return tanh(x);
  case OP_SIGMOID: return sigmoid(x);
  case OP_SOFTPLUS: return oracle_softplus(x);
  case OP_RELU: return isnan(x) ? NAN : x > 0 ? x : 0;
  case OP_GELU: return 0.5 * x * erfc(-x / sqrt(2));
  case OP_ELU: return x > 0 ? x : expm1(x);
  case OP_SIN: return sin(x);
  case OP_COS: return cos(x);
  case OP_ABS: return fabs(x);
  case OP_SIGN: return isnan(x) ? NAN : (x > 0) - (x < 0);
  case OP_ERF: return erf(x);
  case OP_LGAMMA: return lgamma(x);
  case OP_DIGAMMA: return oracle_digamma(x);
  default: ICE("operator %d is not a real function of one argument", (int)op);
  }
}

double oracle_real_function(OpKind op, const double *x) {
  switch ((int)op) {
  case OP_ADD: return x[0] + x[1];
  case OP_SUB: return x[0] - x[1];
  case OP_MUL: return x[0] * x[1];
  case OP_DIV: return x[0] / x[1];
  case OP_POW: return pow(x[0], x[1]);
  case OP_LEAKY_RELU: return x[0] > 0 ? x[0] : x[0] * x[1];
  case OP_MIN: return oracle_real_min(x[0], x[1]);
  case OP_MAX: return oracle_real_max(x[0], x[1]);
  case OP_CLAMP: return oracle_real_min(oracle_real_max(x[0], x[1]), x[2]);
  default: return unary(op, x[0]);
  }
}

/* Two's complement, so that overflow wraps as in the machine. */
static int64_t wrap(uint64_t x) { return (int64_t)x; }

static int64_t floor_div(int64_t a, int64_t b) {
  if (b == -1) return wrap(0 - (uint64_t)a);
  int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static int64_t int_power(int64_t base, int64_t exponent) {
  uint64_t result = 1, square = (uint64_t)base;
  for (; exponent > 0; exponent /= 2, square *= square)
    if (exponent % 2) result *= square;
  return wrap(result);
}

int64_t oracle_int_function(OpKind op, const int64_t *x) {
  uint64_t a = (uint64_t)x[0];
  switch ((int)op) {
  case OP_ADD: return wrap(a + (uint64_t)x[1]);
  case OP_SUB: return wrap(a - (uint64_t)x[1]);
  case OP_MUL: return wrap(a * (uint64_t)x[1]);
  case OP_FLOORDIV: return floor_div(x[0], x[1]);
  case OP_MOD: return wrap(a - (uint64_t)floor_div(x[0], x[1]) * (uint64_t)x[1]);
  case OP_POW: return int_power(x[0], x[1]);
  case OP_NEG: return wrap(0 - a);
  case OP_SQ: return wrap(a * a);
  case OP_ABS: return x[0] < 0 ? wrap(0 - a) : x[0];
  case OP_SIGN: return (x[0] > 0) - (x[0] < 0);
  case OP_MIN: return x[0] < x[1] ? x[0] : x[1];
  case OP_MAX: return x[0] > x[1] ? x[0] : x[1];
  case OP_CLAMP: {
    int64_t up = x[0] > x[1] ? x[0] : x[1];
    return up < x[2] ? up : x[2];
  }
  default: ICE("operator %d is not a function of ints", (int)op);
  }
}

int64_t oracle_real_to_int(OpKind op, double x) {
  double y = op == OP_FLOOR ? floor(x) : op == OP_CEIL ? ceil(x) : nearbyint(x);
  const double far = 0x1p62;
  double above = y >= -far ? y : -far;
  return (int64_t)(above <= far ? above : far);
}
