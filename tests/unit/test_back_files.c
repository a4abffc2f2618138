/* Kernels written as text (tests/ir), compiled, against the evaluator of the reduction IR. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "back_kernel.h"
#include "half.h"
#include "ir_testing.h"

static void put(const Array *a, bool f64, char *data, int64_t n, const EvalInput *in) {
  switch (a->elem) {
    case STORE_BOOL: data[n] = (char)in->integer[n]; return;
    case STORE_INT: ((int64_t *)(void *)data)[n] = in->integer[n]; return;
    case STORE_WIDE: ((double *)(void *)data)[n] = in->real[n]; return;
    case STORE_F32: ((float *)(void *)data)[n] = (float)in->real[n]; return;
    case STORE_F16: ((uint16_t *)(void *)data)[n] = f64_to_f16(in->real[n]); return;
    case STORE_BF16: ((uint16_t *)(void *)data)[n] = f64_to_bf16(in->real[n]); return;
    case STORE_REAL:
      if (f64) ((double *)(void *)data)[n] = in->real[n];
      else ((float *)(void *)data)[n] = (float)in->real[n];
      return;
  }
}

static attn_view view_of(Arena *arena, uint32_t rank, const int64_t *dims, int64_t *count) {
  attn_view v = {0};
  *count = 1;
  for (uint32_t d = rank; d-- > 0;) {
    v.size[d] = dims[d];
    v.stride[d] = *count;
    *count *= dims[d];
  }
  v.data = arena_alloc(arena, (size_t)*count * 8);
  return v;
}

/* Views are numbered as inputs are, but for the second one of a graph, which is the last input where there is one. */
static void bind(Arena *arena, const Kernel *k, const Run *run, attn_view *in, attn_view *out) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    int64_t count;
    if (a->kind == ARRAY_IN) {
      const EvalInput *from = &run->args.inputs[a->external * EVAL_PARTS + a->part];
      attn_view *v = &in[a->external + (a->part == PART_INDICES)];
      *v = view_of(arena, a->rank, from->dims, &count);
      for (int64_t i = 0; i < count; i++) put(a, run->args.f64, v->data, i, from);
    }
    if (a->kind == ARRAY_OUT) out[a->external] = view_of(arena, a->rank, run->outputs[a->external].dims, &count);
  }
}

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
        cr_expect(near(real_at(a, run->args.f64, got, i), want->real[i], run->args.f64 ? 1e-12 : 1e-5), "%s, %lu: %s[%ld] is %g, evaluated %g",
                  name, (unsigned long)seed, a->name, (long)i, real_at(a, run->args.f64, got, i), want->real[i]);
      else
        cr_expect_eq(integer_at(a, got, i), want->integer[i], "%s, %lu: %s[%ld]", name, (unsigned long)seed, a->name, (long)i);
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
    bind(&arena, k, run, in, out);
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

Test(back_files, agree_with_the_evaluator, .timeout = 300) {
  static const char *const names[] = {"attention", "dead", "fuse", "seed", "steps"};
  for (int n = 0; n < 5; n++) {
    int done = 0;
    for (uint64_t seed = 1; seed <= 16; seed++) done += agrees(names[n], seed);
    cr_expect(done > 0, "%s never ran", names[n]);
  }
}
