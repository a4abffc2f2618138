/* The scalar operations, compiled, against the C library in f64. */
#include <criterion/criterion.h>
#include <math.h>

#include "back_kernel.h"
#include "random.h"
#include "special.h"

#define LENGTH(a) ((int64_t)(sizeof(a) / sizeof *(a)))

static const double reals[] = {0.0,   -0.0, 0.5,  -0.5, 1.0,   -1.0, 1.5,  2.5,  -2.5,  3.25,     7.0,       -7.0,
                               20.0,  -20., 80.0, -80., 1e-3,  -1e-3, 1e-9, 1e6, -1e6,  INFINITY, -INFINITY, NAN};

static double f_abs(double x) { return fabs(x); }
static double f_neg(double x) { return -x; }
static double f_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double f_round(double x) { return nearbyint(x); }
static double f_sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double f_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

typedef struct Unary { IrOp op; double (*f)(double); } Unary;
static const Unary unary[] = {
    {IR_NEG, f_neg},       {IR_ABS, f_abs},         {IR_SIGN, f_sign},       {IR_FLOOR, floor},
    {IR_CEIL, ceil},       {IR_ROUND, f_round},     {IR_SQRT, sqrt},         {IR_EXP, exp},
    {IR_EXPM1, expm1},     {IR_LOG, log},           {IR_LOG1P, log1p},       {IR_TANH, tanh},
    {IR_SIGMOID, f_sigmoid}, {IR_SOFTPLUS, f_softplus}, {IR_SIN, sin},       {IR_COS, cos},
    {IR_ERF, erf},         {IR_LGAMMA, attn_rt_lgamma}, {IR_DIGAMMA, attn_rt_digamma},
};

/* In f32 the argument is rounded, and results beyond float are infinite. */
static double rounded(bool f64, double x) { return f64 ? x : (double)(float)x; }

static void test_unary(bool f64) {
  Rig r;
  rig_init(&r, f64);
  int64_t n = LENGTH(reals);
  Val dim = rig_size(&r, n), zero = build_int(&r.b, 0);
  Array *x = rig_reals(&r, dim, n, reals), *out[LENGTH(unary)];
  for (int64_t u = 0; u < LENGTH(unary); u++) out[u] = rig_out(&r, STORE_REAL, dim, n);
  Loop *l = build_open(&r.b, LOOP_PAR, zero, dim);
  Val v = build_load(&r.b, x, &l->index);
  for (int64_t u = 0; u < LENGTH(unary); u++) build_store(&r.b, out[u], build_1(&r.b, unary[u].op, v), &l->index);
  build_close(&r.b, l);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t u = 0; u < LENGTH(unary); u++)
    for (int64_t i = 0; i < n; i++) {
      double want = rounded(f64, unary[u].f(rounded(f64, reals[i]))), got = rig_real(&r, (uint32_t)u, i);
      cr_expect(near(got, want, f64 ? 1e-14 : 1e-6), "%s(%g): %.17g, expected %.17g", ir_op_name(unary[u].op), reals[i],
                got, want);
    }
  rig_free(&r);
}

Test(back_op, unary_f64) { test_unary(true); }
Test(back_op, unary_f32) { test_unary(false); }

static double b_add(double x, double y) { return x + y; }
static double b_sub(double x, double y) { return x - y; }
static double b_mul(double x, double y) { return x * y; }
static double b_div(double x, double y) { return x / y; }
static double b_min(double x, double y) { return isnan(x) || isnan(y) ? NAN : fmin(x, y); }
static double b_max(double x, double y) { return isnan(x) || isnan(y) ? NAN : fmax(x, y); }
static double b_logmul(double x, double y) { return x == -INFINITY || y == -INFINITY ? -INFINITY : x + y; }
static double b_logadd(double x, double y) {
  if (isnan(x) || isnan(y)) return NAN;
  double m = fmax(x, y);
  return isinf(m) ? m : m + log1p(exp(-fabs(x - y)));
}
static double b_eq(double x, double y) { return x == y; }
static double b_ne(double x, double y) { return x != y; }
static double b_lt(double x, double y) { return x < y; }
static double b_le(double x, double y) { return x <= y; }
static double b_gt(double x, double y) { return x > y; }
static double b_ge(double x, double y) { return x >= y; }

typedef struct Binary { IrOp op; double (*f)(double, double); } Binary;
static const Binary binary[] = {
    {IR_ADD, b_add}, {IR_SUB, b_sub}, {IR_MUL, b_mul}, {IR_DIV, b_div}, {IR_MIN, b_min}, {IR_MAX, b_max},
    {IR_POW, pow},   {IR_EQ, b_eq},   {IR_NE, b_ne},   {IR_LT, b_lt},   {IR_LE, b_le},   {IR_GT, b_gt},
    {IR_GE, b_ge},   {IR_LBETA, attn_rt_lbeta}, {IR_LOGMUL, b_logmul}, {IR_LOGADD, b_logadd},
};

static void test_binary(bool f64) {
  Rig r;
  rig_init(&r, f64);
  int64_t n = LENGTH(reals);
  Val dim = rig_size(&r, n), zero = build_int(&r.b, 0), square[] = {dim, dim};
  Array *x = rig_reals(&r, dim, n, reals), *out[LENGTH(binary)];
  for (int64_t u = 0; u < LENGTH(binary); u++) {
    void *data = rig_block(&r, (size_t)(n * n) * 8);
    out[u] = rig_view(&r, ARRAY_OUT, STORE_REAL, 2, square, (attn_view){data, {n, n}, {n, 1}});
  }
  Loop *i = build_open(&r.b, LOOP_PAR, zero, dim), *j = build_open(&r.b, LOOP_PAR, zero, dim);
  Val a = build_load(&r.b, x, &i->index), b = build_load(&r.b, x, &j->index);
  for (int64_t u = 0; u < LENGTH(binary); u++)
    build_store(&r.b, out[u], build_convert(&r.b, build_2(&r.b, binary[u].op, a, b), IR_REAL),
                (Val[]){i->index, j->index});
  build_close(&r.b, j);
  build_close(&r.b, i);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t u = 0; u < LENGTH(binary); u++)
    for (int64_t k = 0; k < n * n; k++) {
      double p = rounded(f64, reals[k / n]), q = rounded(f64, reals[k % n]);
      double want = rounded(f64, binary[u].f(p, q)), got = rig_real(&r, (uint32_t)u, k);
      cr_expect(near(got, want, f64 ? 1e-14 : 1e-6), "%s(%g, %g): %.17g, expected %.17g", ir_op_name(binary[u].op), p,
                q, got, want);
    }
  rig_free(&r);
}

Test(back_op, binary_f64) { test_binary(true); }
Test(back_op, binary_f32) { test_binary(false); }

/* ---- ints, wrapping ----------------------------------------------------------------------------- */

static const int64_t ints[] = {0, 1, -1, 2, -2, 3, -3, 7, -7, 10, 63, 64, 1000003, INT64_MAX, INT64_MIN, INT64_MIN + 1};

typedef uint64_t U;
static int64_t i_add(int64_t x, int64_t y) { return (int64_t)((U)x + (U)y); }
static int64_t i_sub(int64_t x, int64_t y) { return (int64_t)((U)x - (U)y); }
static int64_t i_mul(int64_t x, int64_t y) { return (int64_t)((U)x * (U)y); }
static int64_t i_floordiv(int64_t x, int64_t y) {
  if (y == 0) return 0;
  if (y == -1) return i_sub(0, x);
  return x / y - (x % y != 0 && (x % y < 0) != (y < 0));
}
static int64_t i_mod(int64_t x, int64_t y) {
  if (y == 0 || y == -1) return 0;
  int64_t m = x % y;
  return m && (m < 0) != (y < 0) ? m + y : m;
}
static int64_t i_pow(int64_t x, int64_t y) {
  if (y < 0) return 0;
  U p = 1, base = (U)x;
  for (U n = (U)y; n; n >>= 1, base *= base)
    if (n & 1) p *= base;
  return (int64_t)p;
}
static int64_t i_min(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t i_max(int64_t x, int64_t y) { return x > y ? x : y; }
static int64_t i_eq(int64_t x, int64_t y) { return x == y; }
static int64_t i_lt(int64_t x, int64_t y) { return x < y; }
static int64_t i_ge(int64_t x, int64_t y) { return x >= y; }
static int64_t i_neg(int64_t x, int64_t y) { return (void)y, i_sub(0, x); }
static int64_t i_abs(int64_t x, int64_t y) { return (void)y, x < 0 ? i_sub(0, x) : x; }
static int64_t i_sign(int64_t x, int64_t y) { return (void)y, (x > 0) - (x < 0); }

typedef struct IntOp { IrOp op; int64_t (*f)(int64_t, int64_t); bool one; } IntOp;
static const IntOp int_ops[] = {
    {IR_ADD, i_add, false}, {IR_SUB, i_sub, false}, {IR_MUL, i_mul, false}, {IR_FLOORDIV, i_floordiv, false},
    {IR_MOD, i_mod, false}, {IR_POW, i_pow, false}, {IR_MIN, i_min, false}, {IR_MAX, i_max, false},
    {IR_EQ, i_eq, false},   {IR_LT, i_lt, false},   {IR_GE, i_ge, false},   {IR_NEG, i_neg, true},
    {IR_ABS, i_abs, true},  {IR_SIGN, i_sign, true},
};

Test(back_op, ints) {
  Rig r;
  rig_init(&r, true);
  int64_t n = LENGTH(ints);
  Val dim = rig_size(&r, n), zero = build_int(&r.b, 0), square[] = {dim, dim};
  Array *x = rig_in(&r, STORE_INT, dim, n, ints), *out[LENGTH(int_ops)];
  for (int64_t u = 0; u < LENGTH(int_ops); u++) {
    void *data = rig_block(&r, (size_t)(n * n) * 8);
    out[u] = rig_view(&r, ARRAY_OUT, STORE_INT, 2, square, (attn_view){data, {n, n}, {n, 1}});
  }
  Loop *i = build_open(&r.b, LOOP_PAR, zero, dim), *j = build_open(&r.b, LOOP_PAR, zero, dim);
  Val a = build_load(&r.b, x, &i->index), b = build_load(&r.b, x, &j->index);
  for (int64_t u = 0; u < LENGTH(int_ops); u++) {
    Val v = int_ops[u].one ? build_1(&r.b, int_ops[u].op, a) : build_2(&r.b, int_ops[u].op, a, b);
    build_store(&r.b, out[u], build_convert(&r.b, v, IR_INT), (Val[]){i->index, j->index});
  }
  build_close(&r.b, j);
  build_close(&r.b, i);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t u = 0; u < LENGTH(int_ops); u++)
    for (int64_t k = 0; k < n * n; k++) {
      int64_t want = int_ops[u].f(ints[k / n], ints[k % n]), got = ((int64_t *)r.out[u].data)[k];
      cr_expect(got == want, "%s(%ld, %ld): %ld, expected %ld", ir_op_name(int_ops[u].op), (long)ints[k / n],
                (long)ints[k % n], (long)got, (long)want);
    }
  rig_free(&r);
}

/* A constant exponent, and all orders of two bools. */
Test(back_op, bools) {
  static const uint8_t bits[] = {0, 1, 7};
  Rig r;
  rig_init(&r, false);
  Val dim = rig_size(&r, 9), three = build_int(&r.b, 3), zero = build_int(&r.b, 0);
  Array *x = rig_in(&r, STORE_BOOL, three, 3, bits);
  static const IrOp ops[] = {IR_AND, IR_OR, IR_EQ, IR_NE};
  Array *out[4], *not = rig_out(&r, STORE_BOOL, dim, 9), *select = rig_out(&r, STORE_INT, dim, 9);
  for (int u = 0; u < 4; u++) out[u] = rig_out(&r, STORE_BOOL, dim, 9);
  Loop *l = build_open(&r.b, LOOP_PAR, zero, dim);
  Val p = build_2(&r.b, IR_FLOORDIV, l->index, three), q = build_2(&r.b, IR_MOD, l->index, three);
  Val a = build_load(&r.b, x, &p), b = build_load(&r.b, x, &q);
  for (int u = 0; u < 4; u++) build_store(&r.b, out[u], build_2(&r.b, ops[u], a, b), &l->index);
  build_store(&r.b, not, build_1(&r.b, IR_NOT, a), &l->index);
  build_store(&r.b, select, build_select(&r.b, a, l->index, build_int(&r.b, -1)), &l->index);
  build_close(&r.b, l);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t k = 0; k < 9; k++) {
    bool s = bits[k / 3], t = bits[k % 3], want[] = {s && t, s || t, s == t, s != t};
    for (int u = 0; u < 4; u++) cr_expect_eq(((uint8_t *)r.out[2 + u].data)[k], want[u], "%s", ir_op_name(ops[u]));
    cr_expect_eq(((uint8_t *)r.out[0].data)[k], !s);
    cr_expect_eq(((int64_t *)r.out[1].data)[k], s ? k : -1);
  }
  rig_free(&r);
}

static void test_convert(bool f64) {
  static const double from[] = {0,       -0.0,   0.9,       -0.9, 1e3,      -1e3,      0x1p62,
                                -0x1p63, 0x1p63, -0x1.8p63, 1e30, INFINITY, -INFINITY, NAN};
  const int64_t far = (int64_t)1 << 62;
  const int64_t want[] = {0, 0, 0, 0, 1000, -1000, far, -far, far, -far, far, far, -far, -far};
  Rig r;
  rig_init(&r, f64);
  int64_t n = LENGTH(from);
  Val dim = rig_size(&r, n);
  Array *x = rig_reals(&r, dim, n, from);
  Array *to_int = rig_out(&r, STORE_INT, dim, n), *to_bool = rig_out(&r, STORE_BOOL, dim, n);
  Array *to_wide = rig_out(&r, STORE_WIDE, dim, n), *back = rig_out(&r, STORE_REAL, dim, n),
        *one = rig_out(&r, STORE_WIDE, dim, n);
  Loop *l = build_open(&r.b, LOOP_PAR, build_int(&r.b, 0), dim);
  Val v = build_load(&r.b, x, &l->index), i = build_convert(&r.b, v, IR_INT), t = build_convert(&r.b, v, IR_BOOL);
  build_store(&r.b, to_int, i, &l->index);
  build_store(&r.b, to_bool, t, &l->index);
  build_store(&r.b, to_wide, build_convert(&r.b, v, IR_WIDE), &l->index);
  build_store(&r.b, back, build_convert(&r.b, i, IR_REAL), &l->index);
  build_store(&r.b, one, build_convert(&r.b, t, IR_WIDE), &l->index);
  build_close(&r.b, l);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t k = 0; k < n; k++) {
    cr_expect_eq(((int64_t *)r.out[0].data)[k], want[k], "int(%g) = %ld", from[k], (long)((int64_t *)r.out[0].data)[k]);
    cr_expect_eq(((uint8_t *)r.out[1].data)[k], from[k] != 0);
    cr_expect(near(((double *)r.out[2].data)[k], rounded(f64, from[k]), 0));
    cr_expect(near(rig_real(&r, 3, k), (double)want[k], 0));
    cr_expect(near(((double *)r.out[4].data)[k], from[k] != 0, 0));
  }
  rig_free(&r);
}

Test(back_op, convert_f64) { test_convert(true); }
Test(back_op, convert_f32) { test_convert(false); }

Test(back_op, random) {
  Rig r;
  rig_init(&r, false);
  Val dim = rig_size(&r, 5), zero = build_int(&r.b, 0);
  Array *one = rig_out(&r, STORE_WIDE, dim, 5), *two = rig_out(&r, STORE_WIDE, dim, 5);
  Loop *l = build_open(&r.b, LOOP_PAR, zero, dim);
  Val seed = build_int(&r.b, 42);
  build_store(&r.b, one, build_op(&r.b, IR_RANDOM, IR_WIDE, 1, &l->index), &l->index);
  build_store(&r.b, two, build_op(&r.b, IR_RANDOM, IR_WIDE, 3, (Val[]){seed, l->index, dim}), &l->index);
  build_close(&r.b, l);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int64_t k = 0; k < 5; k++) {
    cr_expect_eq(((double *)r.out[0].data)[k], attn_rt_random_uniform(k, 0, NULL));
    cr_expect_eq(((double *)r.out[1].data)[k], attn_rt_random_uniform(42, 2, (int64_t[]){k, 5}));
  }
  rig_free(&r);
}
