/* test_ir_eval: the evaluator against results worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>

#include "ir_testing.h"
#include "random.h"

static EvalOutput run(Arena *a, const char *text, bool f64, const EvalInput *inputs, const int64_t *sizes) {
  Kernel *k = read_text(a, text);
  cr_assert_null(ir_verify(k), "%s", ir_verify(k));
  static EvalOutput out[4];
  EvalArgs args = {.f64 = f64, .sizes = sizes, .ninput = 2, .inputs = inputs, .noutput = 4, .outputs = out};
  cr_assert(ir_eval(a, k, &args), "%s", args.error);
  return out[0];
}

/* The value of an expression over nothing, as an int or a number. */
static double wide_value(const char *type, const char *code) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = arena_printf(&a, "kernel t { out o: %s[] output 0 %s store o[], %%9 }", type, code);
  EvalOutput o = run(&a, text, true, NULL, NULL);
  double x = o.real ? o.real[0] : (double)o.integer[0];
  arena_free(&a);
  return x;
}

static double int_op(const char *op, int64_t x, int64_t y) {
  char code[200];
  snprintf(code, sizeof code, "%%0 = const %lld : int %%1 = const %lld : int %%9 = %s %%0, %%1 : int", (long long)x,
           (long long)y, op);
  return wide_value("int", code);
}

static double wide_op(const char *op, const char *x, const char *y) {
  char code[200];
  snprintf(code, sizeof code, "%%0 = const %s : wide %%1 = const %s : wide %%9 = %s %%0, %%1 : wide", x, y, op);
  return wide_value("wide", code);
}

Test(eval, integers) {
  cr_assert_eq(int_op("floordiv", -7, 2), -4);
  cr_assert_eq(int_op("floordiv", 7, -2), -4);
  cr_assert_eq(int_op("floordiv", 7, 0), 0);
  cr_assert_eq(int_op("floordiv", INT64_MIN, -1), (double)INT64_MIN);
  cr_assert_eq(int_op("mod", -7, 2), 1);
  cr_assert_eq(int_op("mod", 7, -2), -1);
  cr_assert_eq(int_op("mod", INT64_MIN, -1), 0);
  cr_assert_eq(int_op("mod", 7, 0), 0);
  cr_assert_eq(int_op("pow", -3, 3), -27);
  cr_assert_eq(int_op("pow", 2, 64), 0);
  cr_assert_eq(int_op("add", INT64_MAX, 1), (double)INT64_MIN);
}

Test(eval, weights_in_log_space) {
  cr_assert_eq(wide_op("logmul", "-inf", "nan"), -INFINITY);
  cr_assert_eq(wide_op("logmul", "inf", "-inf"), -INFINITY);
  cr_assert_eq(wide_op("logmul", "1", "2"), 3);
  cr_assert_eq(wide_op("logadd", "-inf", "-inf"), -INFINITY);
  cr_assert_eq(wide_op("logadd", "-inf", "2"), 2);
  cr_assert_eq(wide_op("logadd", "1e4", "1e4"), 1e4 + log(2));
  cr_assert(isnan(wide_op("logadd", "nan", "-inf")));
  cr_assert(isnan(wide_op("max", "nan", "1")) && isnan(wide_op("max", "1", "nan")) &&
            isnan(wide_op("min", "1", "nan")));
}

Test(eval, conversions) {
  cr_assert_eq(wide_value("int", "%0 = const -2.9 : wide %9 = convert %0 : int"), -2);
  cr_assert_eq(wide_value("int", "%0 = const 1e19 : wide %9 = convert %0 : int"), (int64_t)1 << 62);
  cr_assert_eq(wide_value("int", "%0 = const nan : wide %9 = convert %0 : int"), -((int64_t)1 << 62));
  cr_assert_eq(wide_value("wide", "%0 = const 2.5 : wide %9 = round %0 : wide"), 2);
  cr_assert_eq(wide_value("int", "%0 = const true : bool %9 = convert %0 : int"), 1);
}

Test(eval, real_is_float_unless_f64) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = "kernel t { %0 = const 0.1 : real %1 = const 0.2 : real %2 = add %0, %1 : real out o: real[] "
                     "output 0 store o[], %2 }";
  cr_assert_eq(run(&a, text, false, NULL, NULL).real[0], (double)(0.1f + 0.2f));
  cr_assert_eq(run(&a, text, true, NULL, NULL).real[0], 0.1 + 0.2);
  arena_free(&a);
}

/* ---- reductions -------------------------------------------------------------------------------- */

enum { RESULTS = 5, MOST = 4 }; /* lse, entropy, expect, argmax, max */

static const char *const weights_text =
  "kernel t { size N %0 = size N : int %1 = const 0 : int %2 = const 1 : int %3 = const 2 : int %4 = const 3 : int "
  "%5 = const 4 : int %6 = const 5 : int in l: wide[%0] input 0 in x: wide[%0] input 1 out o: wide[%6] output 0 "
  "reduce %7 in %1..%0 { %8 = load l[%7] : wide %9 = load x[%7] : wide } acc { %10 = lse %8 : wide "
  "%11 = entropy %8 : wide %12 = expect %8 of %9 : wide %13 = argmax %8 of %7 : int %14 = max %9 : wide } "
  "store o[%1], %10 store o[%2], %11 store o[%3], %12 %15 = convert %13 : wide store o[%4], %15 store o[%5], %14 }";

static void expect_weights(int64_t n, const double *log_w, const double *x, const double want[RESULTS]) {
  Arena a;
  arena_init(&a, NULL);
  EvalInput in[2 * EVAL_PARTS] = {0};
  in[0] = (EvalInput){.real = log_w, .dims = &n};
  in[EVAL_PARTS] = (EvalInput){.real = x, .dims = &n};
  EvalOutput o = run(&a, weights_text, true, in, &n);
  for (int r = 0; r < RESULTS; r++) {
    bool same = o.real[r] == want[r] || (isnan(o.real[r]) && isnan(want[r])) || fabs(o.real[r] - want[r]) < 1e-14;
    cr_assert(same, "result %d: %.17g instead of %.17g", r, o.real[r], want[r]);
  }
  arena_free(&a);
}

Test(eval, weights) {
  double log2_ = log(2), log3 = log(3);
  expect_weights(2, (double[]){0, log3}, (double[]){4, 8}, (double[]){log(4), log(4) - 0.75 * log3, 7, 1, 8});
  expect_weights(3, (double[]){0, 0, -1e30}, (double[]){1, 3, 5}, (double[]){log2_, log2_, 2, 0, 5});
  expect_weights(2, (double[]){1e4, -1e4}, (double[]){1, 3}, (double[]){1e4, 0, 1, 0, 3});
  expect_weights(2, (double[]){-1e4, 1e4}, (double[]){1, 3}, (double[]){1e4, 0, 3, 1, 3});
}

Test(eval, nothing_to_weigh) {
  expect_weights(0, NULL, NULL, (double[]){-INFINITY, 0, 0, -1, -INFINITY});
  expect_weights(1, (double[]){-INFINITY}, (double[]){NAN}, (double[]){-INFINITY, 0, 0, -1, NAN});
}

Test(eval, removed_values_are_not_looked_at) {
  expect_weights(2, (double[]){-INFINITY, 3}, (double[]){NAN, 2}, (double[]){3, 0, 2, 1, NAN});
  expect_weights(2, (double[]){3, -INFINITY}, (double[]){2, INFINITY}, (double[]){3, 0, 2, 0, INFINITY});
}

Test(eval, bad_weights_make_bad_results) {
  expect_weights(2, (double[]){NAN, 3}, (double[]){1, 2}, (double[]){NAN, NAN, NAN, -1, 2});
  expect_weights(2, (double[]){3, INFINITY}, (double[]){1, 2}, (double[]){NAN, NAN, NAN, -1, 2});
}

/* The seed has log weight 0 and 10; the range is 0, 1, 2 without 1; ties go to the smallest. */
Test(eval, seed_mask_and_axes) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = "kernel t { %0 = const 0 : int %1 = const 3 : int %2 = const 1 : int %3 = const 0 : wide %4 = "
                     "const 10 : wide %5 = const -1 : int "
                     "out o: wide[%1] output 0 out w: int[] output 1 local r: wide[%1] %6 = const 4 : int "
                     "reduce %7 in %0..%1 { %8 = convert %7 : wide %9 = ne %7, %2 : bool where %9 } seed { } acc { "
                     "r[%10 in %2..%6] = expect %3 of { %11 = mul %10, %7 : int %12 = convert %11 : wide yield %12 } "
                     "seed %3 of [%13] { %14 = convert %13 : wide %15 = add %14, %4 : wide yield %15 } : wide "
                     "%16 = argmax %3 of %7 seed %3 of %5 : int } store w[], %16 "
                     "par %17 in %0..%1 { %18 = load r[%17] : wide store o[%17], %18 } }";
  EvalOutput o = run(&a, text, true, NULL, NULL);
  for (int c = 1; c <= 3; c++) cr_assert_float_eq(o.real[c - 1], (0 + 2 * c + (10 + c)) / 3.0, 1e-14);
  cr_assert_eq((&o)[0].count, 3);
  arena_free(&a);
}

/* Three steps of z <- (sum z + x) / 2 from z = x, by hand: {1, 2} -> {2, 2.5} -> {2.75, 3.25} -> {3.5, 4}. */
Test(eval, steps_see_the_step_before) {
  Arena a;
  arena_init(&a, NULL);
  double x[] = {1, 2};
  int64_t sizes[] = {2, 3};
  EvalInput in[2 * EVAL_PARTS] = {{.real = x, .dims = sizes}};
  Kernel *k = read_file(&a, "steps");
  for (int pass = 0; pass < 2; pass++) {
    EvalOutput out[4];
    EvalArgs args = {.sizes = sizes, .ninput = 2, .inputs = in, .noutput = 4, .outputs = out,
                     .functions.random_uniform = attn_rt_random_uniform};
    cr_assert(ir_eval(&a, k, &args), "%s", args.error);
    cr_assert_eq(out[0].real[0], 3.5);
    cr_assert_eq(out[0].real[1], 4);
    cr_assert_eq(out[1].real[0], attn_rt_random_uniform(7, 1, (int64_t[]){0}));
    k = ir_run_passes(&a, k, NULL);
  }
  arena_free(&a);
}

/* ---- errors ------------------------------------------------------------------------------------ */

static void expect_error(const char *text, const char *message, uint64_t max_steps) {
  Arena a;
  arena_init(&a, NULL);
  Kernel *k = read_text(&a, text);
  cr_assert_null(ir_verify(k), "%s", ir_verify(k));
  EvalOutput out[4];
  EvalArgs args = {.f64 = true, .noutput = 4, .outputs = out, .max_steps = max_steps};
  cr_assert(!ir_eval(&a, k, &args));
  cr_assert_str_eq(args.error, message);
  arena_free(&a);
}

Test(eval, errors) {
  const char *head = "kernel t { %0 = const 0 : int %1 = const 3 : int %2 = const true : bool %3 = const false : bool ";
  static const struct { const char *code, *message; } bad[] = {
    {"check.index %3, %1, %1 check.index %2, %1, %1 }", "index 3 is not in 0..3"},
    {"check.nonzero %2, %0, %0 }", "division by zero"},
    {"check.concave %3, %0, %0 check.concave %2, %1, %0 check.concave %2, %0, %0 }", "no maximum"},
    {"in x: real[] input 0 }", "input 'x' is not given"},
    {"out x: real[] output 9 store x[], %4 }", "no place for output 'x'"},
    {"temp x: wide[%5, %5, %5, %5] }", "array 'x' is too large"},
    {"temp x: wide[%1] store x[%1], %6 }", "a store outside array 'x'"},
    {"%7 = lgamma %6 : wide }", "no function was given for lgamma, lbeta or digamma"},
    {"%7 = random %0 : wide }", "no function was given for random"},
    {"par %7 in %0..%5 { } }", "too many steps"},
  };
  for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
    char text[600];
    snprintf(text, sizeof text, "%s%s%s", head, "%4 = const 1 : real %5 = const 1000000 : int %6 = const 1 : wide ",
             bad[n].code);
    expect_error(text, bad[n].message, 1000);
  }
}
