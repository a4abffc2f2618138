/* test_tile_widen: ranges that move with the row become masks, with the same results, and only where tiles take them. */
#include <criterion/criterion.h>

#include "ir_testing.h"
#include "tile/tile.h"

static const TileTarget TARGET = {.lanes = 8, .registers = 16};

/* A stream over lo .. hi of `weight` of the pair's product %20, where %12; row, pair: instructions of theirs. */
static const Kernel *stream(Arena *a, const char *row, const char *lo, const char *hi, const char *pair) {
  return read_text(
      a, arena_printf(
             a,
             "kernel t { size N, W %%0 = size N : int %%1 = const 0 : int %%2 = const 1 : int %%3 = size W : int "
             "in q: real[%%0] input 0 in v: real[%%0] input 1 in on: bool[%%0] input 2 in at: int[%%0] input 3 "
             "out o: wide[%%0] output 0 out h: wide[%%0] output 1 "
             "par %%4 in %%1..%%0 { %%5 = load q[%%4] : real %s reduce %%10 in %s..%s { %%11 = load v[%%10] : real "
             "%%12 = load on[%%10] : bool %%20 = mul %%5, %%11 : real %s where %%12 } acc { %%13 = lse %%22 : wide "
             "%%14 = expect %%22 of %%11 : wide } store o[%%4], %%13 store h[%%4], %%14 } }",
             row, lo, hi, pair));
}

#define PRODUCT "%22 = convert %20 : wide"
#define PREFIX "%6 = add %4, %2 : int"
#define WINDOW "%7 = sub %4, %3 : int %6 = max %7, %1 : int %8 = add %4, %3 : int %9 = min %8, %0 : int"

static const TileStream *only_stream(Arena *a, const Kernel *k) {
  const TilePlan *p = tile_plan(a, k, &TARGET);
  cr_assert_eq(p->rows.n, 1);
  cr_assert_eq(p->rows.at[0]->streams.n, 1);
  return p->rows.at[0]->streams.at[0];
}

/* Kernels that are widened run on tiles and leave what they left. */
static void widens(const char *row, const char *lo, const char *hi) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    Arena a;
    arena_init(&a, NULL);
    const Kernel *k = stream(&a, row, lo, hi, PRODUCT), *to = tile_widen(&a, k, &TARGET);
    cr_assert_neq(to, k);
    cr_assert_null(ir_verify(to), "%s", ir_verify(to));
    cr_assert_not_null(only_stream(&a, k)->why);
    cr_assert_null(only_stream(&a, to)->why, "%s", only_stream(&a, to)->why);
    cr_assert(same_results(&a, k, to, seed), "seed %lu: %s", (unsigned long)seed, print_text(&a, to));
    arena_free(&a);
  }
}

static bool stays(const char *row, const char *lo, const char *hi, const char *pair) {
  Arena a;
  arena_init(&a, NULL);
  const Kernel *k = stream(&a, row, lo, hi, pair);
  bool same = tile_widen(&a, k, &TARGET) == k;
  arena_free(&a);
  return same;
}

Test(tile_widen, ranges_that_move_become_masks) {
  widens(PREFIX, "%1", "%6");
  widens("", "%1", "%4");
  widens("", "%4", "%0");
  widens("%6 = sub %0, %4 : int", "%1", "%6");
  widens(WINDOW, "%6", "%9");
  widens("%6 = min %4, %3 : int", "%6", "%0");
  widens("%7 = max %4, %3 : int %6 = min %7, %0 : int", "%4", "%6");
}

/* Of two streams over 0 .. i + 1 the one that has an angle of each pair stays scalar. */
Test(tile_widen, each_stream_is_judged_alone) {
  Arena a;
  arena_init(&a, NULL);
  Kernel *k = read_text(
      &a, "kernel t { size N %0 = size N : int %1 = const 0 : int %2 = const 1 : int in q: real[%0] input 0 "
          "in v: real[%0] input 1 out o: wide[%0] output 0 out h: wide[%0] output 1 par %3 in %1..%0 { "
          "%4 = add %3, %2 : int %5 = load q[%3] : real reduce %6 in %1..%4 { %7 = load v[%6] : real "
          "%8 = mul %5, %7 : real %9 = convert %8 : wide } acc { %10 = lse %9 : wide } reduce %11 in %1..%4 { "
          "%12 = load v[%11] : real %13 = mul %5, %12 : real %14 = sin %13 : real %15 = convert %14 : wide } acc { "
          "%16 = lse %15 : wide } store o[%3], %10 store h[%3], %16 } }");
  const Kernel *to = tile_widen(&a, k, &TARGET);
  const TilePlan *p = tile_plan(&a, to, &TARGET);
  cr_assert_eq(p->rows.at[0]->streams.n, 2);
  cr_expect_null(p->rows.at[0]->streams.at[0]->why);
  cr_expect_neq(p->rows.at[0]->streams.at[0]->loop->mask, 0);
  cr_expect_not_null(p->rows.at[0]->streams.at[1]->why);
  cr_expect_eq(p->rows.at[0]->streams.at[1]->loop->mask, 0, "%s", print_text(&a, to));
  arena_free(&a);
}

Test(tile_widen, other_streams_keep_their_ranges) {
  cr_expect(stays("", "%1", "%0", PRODUCT), "the same for all rows");
  cr_expect(stays(PREFIX, "%1", "%6", "%21 = sin %20 : real %22 = convert %21 : wide"), "scalar code");
  cr_expect(stays("%6 = load at[%4] : int", "%1", "%6", PRODUCT), "where data say");
  cr_expect(stays(PREFIX, "%1", "%6", "%21 = load at[%10] : int check.index %12, %21, %0 " PRODUCT), "a check");
}
