/* eval_acc: the monoids.  Weights are kept relative to the largest so far, so that no e^log_w overflows; when
 * a larger one comes, what was summed is scaled down by c = e^(old - new).  For the entropy the carried sum
 * of w (log w - max) also shifts: each log w - max loses (new - old). */
#include <math.h>

#include "ir/eval_parts.h"

static Cell identity(AccKind kind, IrType type) {
  bool floating = cell_is_float(type);
  switch (kind) {
  case ACC_SUM: return floating ? (Cell){.d = 0} : (Cell){.i = 0};
  case ACC_PROD: return floating ? (Cell){.d = 1} : (Cell){.i = 1};
  case ACC_MAX: return floating ? (Cell){.d = -INFINITY} : (Cell){.i = INT64_MIN};
  case ACC_MIN: return floating ? (Cell){.d = INFINITY} : (Cell){.i = INT64_MAX};
  case ACC_ALL: return (Cell){.i = 1};
  case ACC_ARGMAX: return (Cell){.i = -1};
  case ACC_ANY:
  case ACC_LSE:
  case ACC_MASS:
  case ACC_EXPECT:
  case ACC_ENTROPY: break;
  }
  return (Cell){.i = 0};
}

AccState acc_empty(AccKind kind, IrType type) { return (AccState){.value = identity(kind, type), .max = -INFINITY}; }

static int64_t wrap_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }
static int64_t wrap_mul(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }
static double max_or_nan(double x, double y) { return isnan(x) || x > y ? x : y; }
static double min_or_nan(double x, double y) { return isnan(x) || x < y ? x : y; }

static void add_float(AccKind kind, AccState *s, double x) {
  if (kind == ACC_SUM) s->value.d += x;
  else if (kind == ACC_PROD) s->value.d *= x;
  else if (kind == ACC_MAX) s->value.d = max_or_nan(s->value.d, x);
  else s->value.d = min_or_nan(s->value.d, x);
}

static void add_int(AccKind kind, AccState *s, int64_t x) {
  if (kind == ACC_SUM) s->value.i = wrap_add(s->value.i, x);
  else if (kind == ACC_PROD) s->value.i = wrap_mul(s->value.i, x);
  else if (kind == ACC_MAX) s->value.i = s->value.i > x ? s->value.i : x;
  else s->value.i = s->value.i < x ? s->value.i : x;
}

static void raise_max(AccKind kind, AccState *s, double log_w) {
  if (log_w <= s->max) return;
  double step = s->max - log_w, scale = exp(step);
  if (kind == ACC_ENTROPY && s->total > 0) s->weighted += s->total * step;
  s->total *= scale;
  s->weighted *= scale;
  s->max = log_w;
}

static void add_weighted(AccKind kind, AccState *s, double log_w, double x) {
  raise_max(kind, s, log_w);
  double w = exp(log_w - s->max);
  s->total += w;
  s->weighted += kind == ACC_ENTROPY ? w * (log_w - s->max) : w * x;
}

static void add_argmax(AccState *s, double log_w, int64_t x) {
  bool first = isinf(s->max);
  if (!first && (log_w < s->max || (log_w == s->max && x >= s->value.i))) return;
  s->max = log_w;
  s->value.i = x;
}

static void add_log(AccKind kind, AccState *s, double log_w, Cell x) {
  if (log_w == -INFINITY) return;
  if (isnan(log_w) || log_w == INFINITY) s->poisoned = true;
  if (s->poisoned) return;
  if (kind == ACC_ARGMAX) add_argmax(s, log_w, x.i);
  else add_weighted(kind, s, log_w, x.d);
}

void acc_add(AccKind kind, IrType type, AccState *s, double log_w, Cell x) {
  switch (kind) {
  case ACC_SUM:
  case ACC_PROD:
  case ACC_MAX:
  case ACC_MIN:
    if (cell_is_float(type)) add_float(kind, s, x.d);
    else add_int(kind, s, x.i);
    return;
  case ACC_ANY: s->value.i |= x.i; return;
  case ACC_ALL: s->value.i &= x.i; return;
  case ACC_LSE:
  case ACC_MASS: x.d = 0; /* it has none */
  /* fall through */
  case ACC_EXPECT:
  case ACC_ENTROPY:
  case ACC_ARGMAX: add_log(kind, s, log_w, x); return;
  }
}

static double weighted_result(AccKind kind, const AccState *s) {
  if (s->poisoned) return NAN;
  bool empty = isinf(s->max);
  if (kind == ACC_LSE) return empty ? -INFINITY : s->max + log(s->total);
  if (kind == ACC_MASS) return empty ? -INFINITY : log(s->total);
  if (empty) return 0;
  return kind == ACC_EXPECT ? s->weighted / s->total : log(s->total) - s->weighted / s->total;
}

Cell acc_result(AccKind kind, const AccState *s) {
  switch (kind) {
  case ACC_SUM:
  case ACC_PROD:
  case ACC_MAX:
  case ACC_MIN:
  case ACC_ANY:
  case ACC_ALL: return s->value;
  case ACC_ARGMAX: return s->poisoned ? (Cell){.i = -1} : s->value;
  case ACC_LSE:
  case ACC_MASS:
  case ACC_EXPECT:
  case ACC_ENTROPY: return (Cell){.d = weighted_result(kind, s)};
  }
  return s->value;
}
