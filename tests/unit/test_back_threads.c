/* Threads: the same bits and the same error whatever the pool, and no access outside a thread's own arrays. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "back_files.h"
#include "back_kernel.h"
#include "pool.h"

static void run_with(Arena *arena, const Kernel *k, const Run *run, const Compiled *c, attn_pool *pool, attn_view *out,
                     attn_error *err) {
  attn_view in[RUN_ARRAYS] = {0};
  bind_run(arena, k, run, in, out);
  size_t bytes = c->workspace(run->args.sizes, pool ? pool->threads : 1);
  void *workspace = malloc(bytes ? bytes : 1); /* of exact size, so that the sanitizer sees what lies behind */
  *err = (attn_error){0};
  c->run(in, out, run->args.sizes, workspace, bytes, pool, err);
  free(workspace);
}

static int64_t bytes_of(const EvalOutput *o, const Array *a, bool f64) {
  int64_t each = a->elem == STORE_BOOL ? 1 : a->elem == STORE_REAL && !f64 ? 4 : 8;
  return o->count * each;
}

static void expect_same(const Kernel *k, const Run *run, const attn_view *x, const attn_view *y, const char *what) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    if (a->kind != ARRAY_OUT) continue;
    int64_t bytes = bytes_of(&run->outputs[a->external], a, run->args.f64);
    cr_expect(!memcmp(x[a->external].data, y[a->external].data, (size_t)bytes), "%s: bits of '%s'", what, a->name);
  }
}

static void compare_pools(const char *name, uint64_t seed) {
  Arena arena;
  arena_init(&arena, NULL);
  Kernel *k = read_file(&arena, name);
  Run *run = random_run(&arena, k, seed);
  if (ir_eval(&arena, k, &run->args)) {
    BackOptions options = {.f64 = run->args.f64, .optimise = true};
    Compiled *c = NULL;
    const char *why = NULL;
    cr_assert(back_compile(&arena, k, &options, &c, &why), "%s", why);
    attn_view alone[RUN_ARRAYS] = {0}, other[RUN_ARRAYS] = {0};
    attn_error err;
    attn_pool backwards = {.threads = 7, .run = run_backwards};
    run_with(&arena, k, run, c, NULL, alone, &err);
    run_with(&arena, k, run, c, &backwards, other, &err);
    expect_same(k, run, alone, other, arena_printf(&arena, "%s, %lu, backwards", name, (unsigned long)seed));
    for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
      attn_pool *pool = pool_create(threads);
      run_with(&arena, k, run, c, pool, other, &err);
      expect_same(k, run, alone, other,
                  arena_printf(&arena, "%s, %lu, %d threads", name, (unsigned long)seed, threads));
      pool_destroy(pool);
    }
    back_dispose(c);
  }
  arena_free(&arena);
}

Test(back_threads, same_bits) {
  static const char *const names[] = {"attention", "dead", "fuse", "seed", "steps"};
  for (int n = 0; n < 5; n++)
    for (uint64_t seed = 1; seed <= 8; seed++) compare_pools(names[n], seed);
}

/* out[i] = x[at[i]] with a check: which error is kept does not depend on the order of the items. */
Test(back_threads, same_error) {
  enum { N = 2000, FIRST = 700 };
  int64_t at[N];
  double value[N] = {0};
  for (int n = 0; n < N; n++) at[n] = n < FIRST ? n : N + n;
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val dim = rig_size(&r, N), always = build_bool(b, true);
  Array *index = rig_in(&r, STORE_INT, dim, N, at), *x = rig_reals(&r, dim, N, value),
        *out = rig_out(&r, STORE_REAL, dim, N);
  Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), dim);
  Val v = build_load(b, index, &l->index);
  build_check(b, IR_CHECK_INDEX, always, v, dim);
  build_store(b, out, build_load(b, x, &v), &l->index);
  build_close(b, l);
  rig_compile(&r);
  attn_pool backwards = {.threads = 3, .run = run_backwards}, *pool = pool_create(4), *all[] = {NULL, &backwards, pool};
  for (int n = 0; n < 3; n++) {
    cr_expect_eq(r.c->run(r.in, r.out, r.sizes, NULL, 0, all[n], &r.err), ATTN_ERROR_INDEX);
    cr_expect_eq(r.err.value, N + FIRST);
    cr_expect_eq(r.err.limit, N);
  }
  pool_destroy(pool);
  rig_free(&r);
}

/* Loops in a row of loops: C order, empty ones, bounds that do not begin at 0. */
static void nest(int64_t rows, int64_t columns) {
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val m = rig_size(&r, rows), n = rig_size(&r, columns), zero = build_int(b, 0), two = build_int(b, 2);
  void *data = rig_block(&r, (size_t)((rows + 2) * columns) * sizeof(int64_t));
  Val dims[] = {build_2(b, IR_ADD, m, two), n};
  Array *out = rig_view(&r, ARRAY_OUT, STORE_INT, 2, dims, (attn_view){data, {rows + 2, columns}, {columns, 1}});
  Loop *i = build_open(b, LOOP_PAR, two, build_2(b, IR_ADD, m, two));
  Val twice = build_2(b, IR_MUL, i->index, build_int(b, 1000));
  Loop *j = build_open(b, LOOP_PAR, zero, n);
  Loop *s = build_open(b, LOOP_REDUCE, zero, build_2(b, IR_ADD, j->index, build_int(b, 1)));
  Acc *sum = build_acc(b, s, ACC_SUM, IR_INT, 0, NULL);
  sum->body.x = s->index;
  s = build_close(b, s);
  build_store(b, out, build_2(b, IR_ADD, twice, s->accs.at[0]->result), (Val[]){i->index, j->index});
  build_close(b, j);
  build_close(b, i);
  rig_compile(&r);
  attn_pool backwards = {.threads = 3, .run = run_backwards};
  size_t bytes = r.c->workspace(r.sizes, 3);
  void *workspace = malloc(bytes ? bytes : 1);
  cr_expect_eq(r.c->run(r.in, r.out, r.sizes, workspace, bytes, &backwards, &r.err), ATTN_OK);
  for (int64_t x = 2; x < rows + 2; x++)
    for (int64_t y = 0; y < columns; y++)
      cr_expect_eq(((int64_t *)data)[x * columns + y], 1000 * x + y * (y + 1) / 2, "[%ld, %ld]", (long)x, (long)y);
  free(workspace);
  rig_free(&r);
}

Test(back_threads, nests) {
  nest(5, 300);
  nest(300, 3);
  nest(1, 1);
  nest(0, 4);
  nest(4, 0);
}

/* A kernel that takes one value of a size. */
Test(back_threads, fixed_size) {
  Rig r;
  rig_init(&r, true);
  Val dim = rig_size(&r, 3), other = rig_size(&r, 4);
  Array *out = rig_out(&r, STORE_INT, dim, 3);
  Loop *l = build_open(&r.b, LOOP_PAR, build_int(&r.b, 0), dim);
  build_store(&r.b, out, other, &l->index);
  build_close(&r.b, l);
  r.fixed = (const int64_t[]){-1, 4};
  cr_expect_eq(rig_run(&r), ATTN_OK);
  r.sizes[1] = 5;
  cr_expect_eq(rig_run(&r), ATTN_ERROR_SIZE);
  cr_expect_eq(r.err.site, 1);
  cr_expect_eq(r.err.value, 5);
  cr_expect_eq(r.err.limit, 4);
  rig_free(&r);
}
