/* test_ir_pass: passes keep the meaning, bit for bit, and do what they are for. */
#include <criterion/criterion.h>

#include "ir_testing.h"

static const char *const files[] = {"attention", "seed", "steps", "fuse", "dead", "factored", "solve", "vectors", "invariant"};
enum { FILES = sizeof files / sizeof files[0] };

static uint32_t count(const char *text, const char *what) {
  uint32_t n = 0;
  for (const char *at = strstr(text, what); at; at = strstr(at + 1, what)) n++;
  return n;
}

static const char *after(Arena *arena, const char *file, const char *pass) {
  return print_text(arena, ir_run_passes(arena, read_file(arena, file), pass));
}

Test(pass, every_pass_keeps_the_results) {
  for (uint64_t seed = 0; seed < 40 * FILES; seed++)
    for (uint32_t p = 0; p < ir_pass_count; p++) {
      Arena a;
      arena_init(&a, NULL);
      Kernel *k = read_file(&a, files[seed % FILES]);
      cr_assert(same_results(&a, k, ir_run_passes(&a, k, ir_passes[p].name), seed / FILES), "%s", files[seed % FILES]);
      arena_free(&a);
    }
}

Test(pass, names) {
  Arena a;
  arena_init(&a, NULL);
  Kernel *k = read_file(&a, "dead");
  cr_assert_null(ir_run_passes(&a, k, "nosuch"));
  cr_assert_not_null(ir_run_passes(&a, k, "fuse"));
  arena_free(&a);
}

Test(pass, reductions_with_one_mask_fuse) {
  Arena a;
  arena_init(&a, NULL);
  cr_assert_eq(count(after(&a, "fuse", "normalise"), "reduce "), 4);
  const char *text = after(&a, "fuse", "fuse");
  cr_assert_eq(count(text, "reduce "), 3, "%s", text);
  cr_assert_eq(count(text, "lse "), 1, "equal accumulators are shared: %s", text);
  arena_free(&a);
}

Test(pass, loops_that_store_fuse_unless_one_reads_the_other) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = after(&a, "fuse", "fuse");
  cr_assert_eq(count(text, "par "), 2, "%s", text);
  arena_free(&a);
}

Test(pass, equal_scores_are_computed_once) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = after(&a, "attention", NULL);
  cr_assert_eq(count(text, "reduce "), 2, "%s", text);
  cr_assert_eq(count(text, "load q"), 1, "%s", text);
  arena_free(&a);
}

Test(pass, what_leads_nowhere_goes) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = after(&a, "dead", NULL);
  cr_assert(!strstr(text, "temp") && !strstr(text, "local") && !strstr(text, "lse") && !strstr(text, "seq"), "%s",
            text);
  cr_assert(strstr(text, "check.index") && strstr(text, "in x"), "%s", text);
  cr_assert_eq(count(text, "sum "), 1, "%s", text);
  arena_free(&a);
}

Test(pass, sums_for_every_point_are_one_sum_of_vectors) {
  Arena a;
  arena_init(&a, NULL);
  const char *before = after(&a, "vectors", "pair"), *text = after(&a, "vectors", "vector");
  cr_assert_eq(count(before, "= sum {"), 0, "%s", before);
  cr_assert_eq(count(text, "= sum {"), 3, "%s", text);
  cr_assert_eq(count(text, "reduce "), count(before, "reduce ") + 3, "as they were, for long vectors: %s", text);
  cr_assert_lt(strstr(text, "= sum {"), strstr(text, "store o"), "%s", text);
  const char *rest = strstr(text, "store p");
  cr_assert_eq(count(rest, "= sum {"), 0, "along a line, of its own store, of its own sum, beside a check: %s", rest);
  arena_free(&a);
}

Test(pass, what_a_loop_would_repeat_is_computed_once) {
  Arena a;
  arena_init(&a, NULL);
  const char *before = after(&a, "invariant", "vector"), *text = after(&a, "invariant", "inner");
  cr_assert_eq(count(text, "temp once."), 5, "%s", text);
  cr_assert_eq(count(text, "reduce "), count(before, "reduce "), "moved, not copied: %s", text);
  cr_assert(strstr(text, "store once.1[") && strstr(text, "store once.1[") < strstr(text, "load q["), "%s", text);
  const char *rest = strstr(text, "store o[");
  cr_assert_eq(count(rest, "once."), 0, "of pairs that no array has, beside a check: %s", rest);
  cr_assert(strstr(rest, "load y[") && strstr(rest, "check.index"), "%s", rest);
  arena_free(&a);
}

/* For every l a sum over n of what the loop around has stored: it depends on i and c alone. */
static const char *const OWN =
    "kernel own { size I, L, C, N %0 = size I : int %1 = size L : int %2 = size C : int %3 = size N : int %4 = const 0 : int "
    "in a: real[%0] input 0 in x: real[%2, %3] input 1 out o: wide[%0, %1, %2] output 0 temp t: wide[%0] "
    "KIND %5 in %4..%0 { %6 = load a[%5] : real %7 = convert %6 : wide store t[%5], %7 "
    "par %8 in %4..%1 { par %9 in %4..%2 { reduce %10 in %4..%3 { %11 = load x[%9, %10] : real %12 = convert %11 : wide "
    "%13 = load t[%5] : wide %14 = mul %12, %13 : wide } acc { %15 = sum %14 : wide } store o[%5, %8, %9], %15 } } } }";

/* Passes up to `invariant` keep its results, and leave so many kept arrays. */
static void keeps_arrays(const char *text, uint32_t arrays) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    Arena a;
    arena_init(&a, NULL);
    Kernel *k = read_text(&a, text), *to = ir_run_passes(&a, k, "invariant");
    cr_assert_eq(count(print_text(&a, to), "temp once."), arrays, "%s", print_text(&a, to));
    cr_assert(same_results(&a, k, to, seed), "seed %lu", (unsigned long)seed);
    arena_free(&a);
  }
}

Test(pass, what_a_loop_stores_is_not_read_before_it) {
  Arena a;
  arena_init(&a, NULL);
  const char *kind = strstr(OWN, "KIND");
  for (int ordered = 0; ordered < 2; ordered++)
    keeps_arrays(arena_printf(&a, "%.*s%s%s", (int)(kind - OWN), OWN, ordered ? "seq" : "par", kind + 4), 0);
  arena_free(&a);
}

/* The sum over n is repeated by l; it reads what was expanded before, and holds a maximum that c repeats. */
static const char *const AGAIN =
    "kernel again { size L, C, N %0 = size L : int %1 = size C : int %2 = size N : int %3 = const 0 : int "
    "in x: real[%1, %2] input 0 in y: real[%2, %1] input 1 out o: wide[%0, %1] output 0 temp once.1: wide[%1] "
    "par %4 in %3..%1 { %5 = load x[%4, %3] : real %6 = convert %5 : wide store once.1[%4], %6 } "
    "par %7 in %3..%0 { par %8 in %3..%1 { reduce %9 in %3..%2 { %10 = load x[%8, %9] : real %11 = convert %10 : wide "
    "%12 = load once.1[%8] : wide %13 = mul %11, %12 : wide reduce %14 in %3..%1 { %15 = load y[%9, %14] : real } acc { "
    "%16 = max %15 : wide } %17 = mul %13, %16 : wide } acc { %18 = sum %17 : wide } store o[%7, %8], %18 } } }";

Test(pass, what_was_expanded_is_expanded_again) {
  keeps_arrays(AGAIN, 3);
}

Test(pass, two_values_are_an_expression) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    Arena a;
    arena_init(&a, NULL);
    Kernel *k = read_file(&a, "pair"), *to = ir_run_passes(&a, k, "pair");
    cr_assert_eq(count(print_text(&a, to), "reduce "), 0);
    cr_assert(near_results(&a, k, to, seed), "seed %lu", (unsigned long)seed);
    arena_free(&a);
  }
}

/* ---- sums in another order ----------------------------------------------------------------------- */

static Kernel *reassociated(Arena *a, const Kernel *k) {
  return ir_run_passes_with(a, k, &(PassOptions){.reassociate = REASSOCIATE_ALWAYS}, NULL);
}

Test(pass, sums_of_products_change_places) {
  Arena a;
  arena_init(&a, NULL);
  Kernel *k = read_file(&a, "factored");
  const char *once = print_text(&a, reassociated(&a, k));
  cr_assert_str_eq(once, print_text(&a, read_file(&a, "factored_reassociated")));
  cr_assert_str_eq(print_text(&a, ir_run_passes_with(&a, k, &(PassOptions){.reassociate = REASSOCIATE_NEVER}, NULL)),
                   print_text(&a, k));
  arena_free(&a);
}

Test(pass, sums_of_products_keep_their_results) {
  for (uint64_t seed = 0; seed < 600; seed++) {
    Arena a;
    arena_init(&a, NULL);
    Kernel *k = read_file(&a, "factored");
    cr_assert(near_results(&a, k, reassociated(&a, k), seed), "seed %lu", (unsigned long)seed);
    arena_free(&a);
  }
}

/* A kernel over rows i and columns j: a(i, f) and b(j, f) are logs, x a value of the column. */
static const char *factors(Arena *a, const char *mask, const char *log_w, const char *accs) {
  const char *text = arena_printf(
      a,
      "kernel t { size M, N, F %%0 = size M : int %%1 = size N : int %%2 = size F : int %%3 = const 0 : int "
      "in a: wide[%%0, %%2] input 0 in b: wide[%%1, %%2] input 1 in x: wide[%%1] input 2 in y: wide[%%0, %%1] input 3 "
      "out o: wide[%%0] output 0 out p: wide[%%0] output 1 "
      "par %%10 in %%3..%%0 { reduce %%20 in %%3..%%1 { reduce %%30 in %%3..%%2 { %%31 = load a[%%10, %%30] : wide "
      "%%32 = load b[%%20, %%30] : wide "
      "%%33 = logmul %%31, %%32 : wide } acc { %%39 = lse %%33 : wide } %%21 = load x[%%20] : wide %%22 = load y[%%10, "
      "%%20] : wide %s %s } acc { %s } "
      "store o[%%10], %%98 store p[%%10], %%99 } }",
      log_w, mask, accs);
  Kernel *k = read_text(a, text), *to = reassociated(a, k);
  cr_assert_null(ir_verify(k), "%s", ir_verify(k));
  for (uint64_t seed = 0; seed < 60; seed++)
    cr_assert(near_results(a, k, to, seed), "seed %lu: %s", (unsigned long)seed, print_text(a, to));
  const char *once = print_text(a, to);
  cr_assert_str_eq(print_text(a, read_text(a, once)), once);
  return once;
}

#define WEIGHT "%40 = logmul %39, %21 : wide"
#define ACCS "%98 = lse %40 : wide %99 = expect %40 of %21 : wide"

static void expect_states(const char *mask, const char *log_w, const char *accs, bool states) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = factors(&a, mask, log_w, accs);
  cr_assert_eq(strstr(text, "temp state") != NULL, states, "%s", text);
  arena_free(&a);
}

Test(pass, supports_that_sums_may_change_over) {
  expect_states("", WEIGHT, ACCS, true);
  expect_states("where %51", WEIGHT " %51 = le %20, %10 : bool", ACCS, true);
  expect_states("where %51", WEIGHT " %51 = gt %20, %10 : bool", ACCS, true);
  expect_states("where %51", WEIGHT " %50 = sub %20, %10 : int %52 = sub %1, %0 : int %51 = lt %50, %52 : bool", ACCS,
                true);
  expect_states("where %51", WEIGHT " %50 = le %20, %10 : bool %52 = gt %21, %39 : bool %51 = and %50, %52 : bool",
                ACCS, false);
  expect_states("where %51", WEIGHT " %51 = eq %20, %10 : bool", ACCS, false);
  expect_states("where %51",
                WEIGHT
                " %50 = le %20, %10 : bool %53 = add %20, %0 : int %52 = ge %53, %10 : bool %51 = and %50, %52 : bool",
                ACCS, false);
}

Test(pass, weights_whose_sums_may_change_places) {
  expect_states("where %51",
                "%51 = le %20, %10 : bool %41 = sub %10, %20 : int %42 = convert %41 : wide %43 = neg %42 : wide "
                "%40 = logmul %39, %43 : wide",
                ACCS, true);
  expect_states("", "%40 = logmul %39, %22 : wide", ACCS, false);                        /* depends on the pair */
  expect_states("", "%41 = mul %39, %21 : wide %40 = add %41, %21 : wide", ACCS, false);  /* a power of the sum */
  expect_states("", "%40 = logmul %39, %39 : wide", ACCS, false);                        /* a product of sums */
  expect_states("", WEIGHT, "%98 = lse %40 : wide %99 = expect %40 of %22 : wide", false);
  expect_states("", WEIGHT, "%98 = lse %40 : wide %99 = entropy %40 : wide", false);
}

/* Two weights of one pass: each by itself. */
Test(pass, one_weight_changes_its_sums_beside_another) {
  const char *both = "%51 = le %20, %10 : bool " WEIGHT " %41 = logmul %39, %22 : wide";
  expect_states("where %51", both, "%98 = lse %40 : wide %99 = lse %41 : wide", true);
  expect_states("where %51", both, "%98 = lse %40 : wide %99 = sum %21 : wide", true);
  expect_states("where %51", both, "%98 = lse %40 : wide %99 = sum %22 : wide", true);
}

/* ---- fusion --------------------------------------------------------------------------------------- */

static const char *fused(Arena *a, const char *body) {
  const char *head = "kernel t { size N %0 = size N : int %1 = const 0 : int in x: wide[%0] input 0 "
                     "out o: wide[] output 0 out p: wide[] output 1 temp t: wide[%0] temp u: wide[%0] ";
  Kernel *k = read_text(a, arena_printf(a, "%s%s}", head, body));
  cr_assert_null(ir_verify(k), "%s", ir_verify(k));
  Kernel *to = ir_run_passes(a, k, "fuse");
  for (uint64_t seed = 0; seed < 6; seed++) cr_assert(same_results(a, k, to, seed), "%s", print_text(a, to));
  return print_text(a, to);
}

#define SUM(n, s, body)                                                                                                \
  "reduce %" #n "0 in %1..%0 { %" #n "1 = load x[%" #n "0] : wide " body "} acc { %" #s " = sum %" #n "2 : wide } "

Test(pass, a_chain_through_values_keeps_loops_apart) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = fused(&a, SUM(1, 19, "%12 = neg %11 : wide ") "%5 = exp %19 : wide "
                               SUM(2, 29, "%22 = mul %21, %5 : wide ") "store o[], %29 store p[], %19 ");
  cr_assert_eq(count(text, "reduce "), 2, "%s", text);
  arena_free(&a);
}

/* The second moves up, and with it what it needs that stands between. */
Test(pass, what_a_loop_needs_moves_along) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = fused(
      &a, SUM(1, 19, "%12 = neg %11 : wide ") "%5 = const 4 : int reduce %6 in %1..%5 { } acc { %7 = sum %6 : int } "
                                              "%8 = convert %7 : wide " SUM(
                                                  2, 29, "%22 = mul %21, %8 : wide ") "store o[], %29 store p[], %19 ");
  cr_assert_eq(count(text, "reduce "), 2, "%s", text);
  arena_free(&a);
}

/* A1 B1 A2(B1) B2(A1): after the A's are one, the B's would each need the other first. */
Test(pass, crossed_dependencies_fuse_once) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = fused(&a, "%2 = const 3 : int reduce %10 in %1..%0 { } acc { %11 = sum %10 : int } reduce %12 in "
                               "%1..%2 { } acc { %13 = sum %12 : int } "
                               "reduce %14 in %1..%0 { %15 = mul %14, %13 : int } acc { %16 = sum %15 : int } "
                               "reduce %17 in %1..%2 { %18 = mul %17, %11 : int } acc { %19 = sum %18 : int } "
                               "%20 = convert %16 : wide %21 = convert %19 : wide store o[], %20 store p[], %21 ");
  cr_assert_eq(count(text, "reduce "), 3, "%s", text);
  arena_free(&a);
}

Test(pass, stores_are_not_overtaken) {
  Arena a;
  arena_init(&a, NULL);
  const char *first = "par %10 in %1..%0 { %11 = load x[%10] : wide store t[%10], %11 } ";
  const char *reads = "par %20 in %1..%0 { %21 = load t[%20] : wide %22 = exp %21 : wide store u[%20], %22 } ";
  const char *both = "par %30 in %1..%0 { %31 = load x[%30] : wide %32 = exp %31 : wide store t[%30], %32 } ";
  const char *sum =
      "reduce %40 in %1..%0 { %41 = load t[%40] : wide %42 = load u[%40] : wide %43 = add %41, %42 : wide } "
      "acc { %44 = sum %43 : wide } store o[], %44 store p[], %44 ";
  cr_assert_eq(count(fused(&a, arena_printf(&a, "%s%s%s", first, reads, sum)), "par "), 2);
  cr_assert_eq(count(fused(&a, arena_printf(&a, "%s%s%s%s", first, reads, both, sum)), "par "), 3);
  arena_free(&a);
}

/* ---- routines --------------------------------------------------------------------------------------- */

/* Trees of B copies: `fill` is stored as log weights of parents, `use` loads of the marginals m and gives %20, a real.
 */
static const char *trees_after(Arena *a, const char *pass, const char *fill, const char *use) {
  const char *text = arena_printf(
      a,
      "kernel t { size B, N %%0 = size B : int %%1 = size N : int in w: real[%%0, %%1, %%1] input 0 in r: real[%%0, "
      "%%1] input 1 "
      "out p: real[%%0, %%1] output 0 %%2 = const 0 : int %%3 = const 1 : int %%4 = add %%1, %%3 : int temp l: "
      "wide[%%0, %%1, %%4] "
      "temp m: wide[%%0, %%1, %%4] %%5 = const 2 : int temp z: wide[%%0, %%5] %%6 = const 0 : wide "
      "par %%8 in %%2..%%0 { par %%9 in %%2..%%1 { par %%10 in %%2..%%1 { %%11 = load w[%%8, %%9, %%10] : real %%12 = "
      "convert %%11 : wide %s "
      "store l[%%8, %%9, %%10], %%30 } %%13 = load r[%%8, %%9] : real %%14 = convert %%13 : wide store l[%%8, %%9, "
      "%%1], %%14 } } "
      "par %%15 in %%2..%%0 { local w.7: wide[%%1] solve tree.shares [%%15] (%%1, %%3) in l out m, z work w.7 } "
      "par %%16 in %%2..%%0 { par %%17 in %%2..%%1 { %s store p[%%16, %%17], %%20 } } }",
      fill, use);
  Kernel *k = read_text(a, text);
  cr_assert_null(ir_verify(k), "%s", ir_verify(k));
  return print_text(a, ir_run_passes(a, k, pass));
}

#define PLAIN_FILL "%30 = neg %12 : wide "
#define OWN_USE                                                                                                        \
  "%18 = load m[%16, %17, %1] : wide %19 = gt %18, %6 : bool %21 = select %19, %18, %6 : wide %20 = convert %21 : "    \
  "real "

/* A copy is filled, solved and read in one iteration, unless it reads another copy, or sums: then threads share that
 * work. */
Test(pass, a_routine_shares_iterations) {
  Arena a;
  arena_init(&a, NULL);
  const char *text = trees_after(&a, "fuse", PLAIN_FILL, OWN_USE);
  cr_assert_eq(count(text, "par "), 4, "%s", text);
  text = trees_after(&a, "fuse", PLAIN_FILL, "%18 = load m[%2, %17, %1] : wide %20 = convert %18 : real ");
  cr_assert_eq(count(text, "par "), 5, "%s", text);
  text = trees_after(&a, "fuse",
                     "reduce %40 in %2..%1 { %41 = load w[%8, %9, %40] : real %42 = mul %41, %11 : real %43 = convert "
                     "%42 : wide } acc { %30 = sum %43 : wide } ",
                     OWN_USE);
  cr_assert_eq(count(text, "par "), 5, "%s", text);
  arena_free(&a);
}

/* Reals in and out: only where all that goes in is a widened real, and what comes out is rounded, whatever is done with
 * it. */
Test(pass, a_routine_on_reals) {
  Arena a;
  arena_init(&a, NULL);
  const char *real = "%31 = neg %11 : real %30 = convert %31 : wide ";
  const char *text = trees_after(&a, "narrow", real, OWN_USE);
  cr_assert_eq(count(text, "tree.shares.real"), 1, "%s", text);
  cr_assert_eq(count(text, "temp l: real["), 1, "%s", text);
  cr_assert_eq(count(text, "temp m: real["), 1, "%s", text);
  text = trees_after(&a, "narrow", PLAIN_FILL, OWN_USE);
  cr_assert_eq(count(text, "tree.shares.real"), 0, "%s", text);
  text = trees_after(&a, "narrow", real,
                     "%18 = load m[%16, %17, %1] : wide %19 = div %6, %18 : wide %20 = convert %19 : real ");
  cr_assert_eq(count(text, "tree.shares.real"), 0, "%s", text);
  arena_free(&a);
}
