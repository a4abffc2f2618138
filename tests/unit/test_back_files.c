/* Kernels written as text (tests/ir), compiled, against the evaluator of the reduction IR. */
#include <criterion/criterion.h>
#include <math.h>

#include "back_files.h"
#include "back_kernel.h"

static double real_at(const Array *a, bool f64, const void *data, int64_t n) {
  return a->elem == STORE_REAL && !f64 ? (double)((const float *)data)[n] : ((const double *)data)[n];
}

static int64_t integer_at(const Array *a, const void *data, int64_t n) {
  return a->elem == STORE_BOOL ? ((const uint8_t *)data)[n] : ((const int64_t *)data)[n];
}

static void compare(const Kernel *k, const Run *run, const attn_view *out, const char *name, uint64_t seed) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    if (a->kind != ARRAY_OUT) continue;
    const EvalOutput *want = &run->outputs[a->external];
    const void *got = out[a->external].data;
    for (int64_t i = 0; i < want->count; i++)
      if (want->real)
        cr_expect(near(real_at(a, run->args.f64, got, i), want->real[i], run->args.f64 ? 1e-12 : 1e-5),
                  "%s, %lu: %s[%ld] is %g, evaluated %g", name, (unsigned long)seed, a->name, (long)i,
                  real_at(a, run->args.f64, got, i), want->real[i]);
      else
        cr_expect_eq(integer_at(a, got, i), want->integer[i], "%s, %lu: %s[%ld]", name, (unsigned long)seed, a->name,
                     (long)i);
  }
}

static bool agrees(const char *name, uint64_t seed) {
  Arena arena;
  arena_init(&arena, NULL);
  Kernel *k = read_file(&arena, name);
  Run *run = random_run(&arena, k, seed);
  bool done = ir_eval(&arena, k, &run->args);
  if (done) {
    attn_view in[RUN_ARRAYS] = {0}, out[RUN_ARRAYS] = {0};
    bind_run(&arena, k, run, in, out);
    BackOptions options = {.f64 = run->args.f64, .optimise = seed % 5 != 0};
    Compiled *c = NULL;
    const char *why = NULL;
    cr_assert(back_compile(&arena, k, &options, &c, &why), "%s", why);
    size_t bytes = c->workspace(run->args.sizes, 1);
    cr_expect_eq(c->run(in, out, run->args.sizes, arena_alloc(&arena, bytes), bytes, NULL, NULL), ATTN_OK);
    compare(k, run, out, name, seed);
    back_dispose(c);
  }
  arena_free(&arena);
  return done;
}

Test(back_files, agree_with_the_evaluator) {
  static const char *const names[] = {"attention", "dead", "fuse", "seed", "steps", "solve", "own"};
  for (int n = 0; n < 7; n++) {
    int done = 0;
    for (uint64_t seed = 1; seed <= 16; seed++) done += agrees(names[n], seed);
    cr_expect(done > 0, "%s never ran", names[n]);
  }
}

/* Bytes of the workspace of a kernel of B trees of N nodes, for `threads`. */
static size_t bytes_of_trees(const char *name, int64_t trees, int64_t nodes, int threads) {
  Arena arena;
  arena_init(&arena, NULL);
  Compiled *c = NULL;
  const char *why = NULL;
  cr_assert(back_compile(&arena, read_file(&arena, name), &(BackOptions){0}, &c, &why), "%s", why);
  size_t bytes = c->workspace((int64_t[]){trees, nodes}, threads);
  back_dispose(c);
  arena_free(&arena);
  return bytes;
}

/* Of own.air three arrays are an iteration's own, two with N (N + 1) numbers and two with 2; one is kept of all. */
Test(back_files, what_is_an_iterations_own_lies_once_a_thread) {
  size_t one = bytes_of_trees("own", 1, 8, 1), more = bytes_of_trees("own", 65, 8, 1);
  cr_expect_eq(more - one, 64 * 8 * 9 * sizeof(double));
  size_t each = bytes_of_trees("own", 65, 8, 2) - more, work = 2 * (2400 + 38 * 64) * sizeof(double);
  cr_expect_eq(each, 2 * 8 * 9 * sizeof(double) + 2 * 64 + work, "%zu", each);
  cr_expect_gt(bytes_of_trees("solve", 65, 8, 1) - bytes_of_trees("solve", 1, 8, 1), 64 * 2 * 8 * 9 * sizeof(double));
}
