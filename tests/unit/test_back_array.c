/* Arrays: element types, strides, bounds, checks, the workspace, absent outputs; nested loops. */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "back_kernel.h"
#include "half.h"

/* ---- element types ------------------------------------------------------------------------------ */

/* out[i] = (wide)in[i] for all n elements of a stored type. */
static void copy_to_wide(Rig *r, StoreType elem, int64_t n, const void *data) {
  Val dim = rig_size(r, n);
  Array *x = rig_in(r, elem, dim, n, data), *out = rig_out(r, STORE_WIDE, dim, n);
  Loop *l = build_open(&r->b, LOOP_PAR, build_int(&r->b, 0), dim);
  build_store(&r->b, out, build_convert(&r->b, build_load(&r->b, x, &l->index), IR_WIDE), &l->index);
  build_close(&r->b, l);
  cr_assert_eq(rig_run(r), ATTN_OK);
}

static const double *wide_out(const Rig *r, int out) { return r->out[out].data; }

static void test_halves(const char *cpu, bool brain, bool f64) {
  Rig r;
  rig_init(&r, f64);
  r.cpu = cpu;
  uint16_t *bits = rig_block(&r, 65536 * 2);
  for (int i = 0; i < 65536; i++) bits[i] = (uint16_t)i;
  copy_to_wide(&r, brain ? STORE_BF16 : STORE_F16, 65536, bits);
  for (int i = 0; i < 65536; i++) {
    double want = (double)(brain ? bf16_to_f32(bits[i]) : f16_to_f32(bits[i]));
    cr_assert(near(wide_out(&r, 0)[i], want, 0), "%s %04x: %g, expected %g", brain ? "bf16" : "f16", i,
              wide_out(&r, 0)[i], want);
  }
  rig_free(&r);
}

Test(back_array, f16) { test_halves(NULL, false, false); }
Test(back_array, f16_in_f64) { test_halves(NULL, false, true); }
Test(back_array, f16_on_old_cpu) { test_halves("x86-64", false, false); }
Test(back_array, bf16) { test_halves(NULL, true, false); }
Test(back_array, bf16_in_f64) { test_halves(NULL, true, true); }

static void test_types(bool f64) {
  static const int64_t ints[] = {0, -5, INT64_MAX};
  static const uint8_t bits[] = {0, 1, 200};
  static const double wides[] = {1e300, -0.1, INFINITY};
  static const float floats[] = {1e30f, -0.1f, 3};
  const void *data[] = {ints, bits, wides, floats};
  static const StoreType elem[] = {STORE_INT, STORE_BOOL, STORE_WIDE, STORE_F32};
  for (int t = 0; t < 4; t++) {
    Rig r;
    rig_init(&r, f64);
    copy_to_wide(&r, elem[t], 3, data[t]);
    for (int i = 0; i < 3; i++) {
      double want[] = {(double)ints[i], bits[i] != 0, wides[i], (double)floats[i]};
      cr_expect(near(wide_out(&r, 0)[i], want[t], 0), "type %d: %g, expected %g", t, wide_out(&r, 0)[i], want[t]);
    }
    rig_free(&r);
  }
}

Test(back_array, types_f64) { test_types(true); }
Test(back_array, types_f32) { test_types(false); }

/* ---- strides ------------------------------------------------------------------------------------ */

Test(back_array, strides) {
  static const double data[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  static const struct {
    int first;
    int64_t row, column;
  } views[] = {{0, 4, 1}, {0, 1, 3}, {11, -4, -1}, {3, 4, -1}, {5, 0, 0}, {2, 0, 1}};
  for (int v = 0; v < 6; v++) {
    Rig r;
    rig_init(&r, true);
    Val rows = rig_size(&r, 3), columns = rig_size(&r, 4), zero = build_int(&r.b, 0), dims[] = {rows, columns};
    attn_view view = {(void *)(uintptr_t)(data + views[v].first), {3, 4}, {views[v].row, views[v].column}};
    if (v == 5) r.sizes[1] = 4;
    Array *x = rig_view(&r, ARRAY_IN, STORE_WIDE, 2, dims, view);
    double got[12];
    Array *out = rig_view(&r, ARRAY_OUT, STORE_WIDE, 2, dims, (attn_view){got + 2, {3, 4}, {1 * 4, -1}});
    r.out[0].data = got + 3;
    Loop *i = build_open(&r.b, LOOP_PAR, zero, rows), *j = build_open(&r.b, LOOP_PAR, zero, columns);
    Val at[] = {i->index, j->index};
    build_store(&r.b, out, build_load(&r.b, x, at), at);
    build_close(&r.b, j);
    build_close(&r.b, i);
    cr_assert_eq(rig_run(&r), ATTN_OK);
    for (int a = 0; a < 3; a++)
      for (int c = 0; c < 4; c++)
        cr_expect_eq(got[3 + 4 * a - c], data[views[v].first + a * views[v].row + c * views[v].column],
                     "view %d [%d, %d]", v, a, c);
    rig_free(&r);
  }
}

/* ---- bounds ------------------------------------------------------------------------------------- */

/* n doubles that end where memory does; and that begin where it does. */
typedef struct Fenced { void *map; size_t size; double *at; } Fenced;

static Fenced fence(int64_t n, bool end) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)n * sizeof(double),
         room = (bytes + page - 1) / page * page;
  if (!room) room = page;
  char *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert_neq(map, MAP_FAILED);
  cr_assert_eq(mprotect(map + page, room, PROT_READ | PROT_WRITE), 0);
  return (Fenced){map, room + 2 * page, (double *)(void *)(end ? map + page + room - bytes : map + page)};
}

static const int64_t wild[] = {0, 36, 37, -1, INT64_MAX, INT64_MIN, 1 << 20, -(1 << 20), 5};

static void test_fence(bool end) {
  enum { N = 37, WILD = 9 };
  Rig r;
  rig_init(&r, true);
  Fenced in = fence(N, end), out = fence(N, end);
  for (int i = 0; i < N; i++) in.at[i] = i + 0.5;
  Val dim = rig_size(&r, N), count = rig_size(&r, WILD), zero = build_int(&r.b, 0), one = build_int(&r.b, 1);
  Array *x = rig_view(&r, ARRAY_IN, STORE_WIDE, 1, &dim, (attn_view){in.at, {N}, {1}});
  Array *index = rig_in(&r, STORE_INT, count, WILD, wild), *gather = rig_out(&r, STORE_WIDE, count, WILD);
  Array *y = rig_view(&r, ARRAY_OUT, STORE_WIDE, 1, &dim, (attn_view){out.at, {N}, {1}}),
        *total = rig_out(&r, STORE_WIDE, one, 1);
  Loop *l = build_open(&r.b, LOOP_PAR, zero, dim);
  Val v = build_load(&r.b, x, &l->index), before = build_2(&r.b, IR_SUB, l->index, one);
  build_store(&r.b, y, build_2(&r.b, IR_SUB, v, build_load(&r.b, x, &before)), &l->index);
  build_close(&r.b, l);
  Loop *w = build_open(&r.b, LOOP_PAR, zero, count);
  Val at = build_load(&r.b, index, &w->index);
  build_store(&r.b, gather, build_load(&r.b, x, &at), &w->index);
  build_store(&r.b, y, build_float(&r.b, IR_WIDE, 100), &at); /* outside: not stored */
  build_close(&r.b, w);
  Loop *s = build_open(&r.b, LOOP_REDUCE, build_int(&r.b, -3), build_2(&r.b, IR_ADD, dim, one));
  Acc *sum = build_acc(&r.b, s, ACC_SUM, IR_WIDE, 0, NULL);
  sum->body.x = build_load(&r.b, x, &s->index);
  build_close(&r.b, s);
  build_store(&r.b, total, sum->result, &zero);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int i = 0; i < WILD; i++)
    cr_expect_eq(wide_out(&r, 0)[i], wild[i] >= 0 && wild[i] < N ? (double)wild[i] + 0.5 : 0, "[%ld]", (long)wild[i]);
  for (int i = 1; i < N; i++) cr_expect_eq(out.at[i], i == 5 || i == 36 ? 100 : 1, "[%d]: %g", i, out.at[i]);
  cr_expect_eq(wide_out(&r, 2)[0], N * N / 2.0);
  munmap(in.map, in.size);
  munmap(out.map, out.size);
  rig_free(&r);
}

Test(back_array, fence_after) { test_fence(true); }
Test(back_array, fence_before) { test_fence(false); }

/* ---- checks ------------------------------------------------------------------------------------- */

static void check_kernel(Rig *r, int64_t n, const int64_t *index, bool masked) {
  Builder *b = &r->b;
  Val dim = rig_size(r, n), bound = rig_size(r, 10), zero = build_int(b, 0), one = build_int(b, 1);
  Array *x = rig_in(r, STORE_INT, dim, n, index), *out = rig_out(r, STORE_INT, one, 1);
  Loop *l = build_open(b, LOOP_REDUCE, zero, dim);
  Val v = build_load(b, x, &l->index), even = build_2(b, IR_EQ, build_2(b, IR_MOD, l->index, build_int(b, 2)), zero);
  b->span = (Span){10, 20};
  build_check(b, IR_CHECK_INDEX, masked ? even : 0, v, bound);
  b->span = (Span){30, 40};
  build_check(b, IR_CHECK_NONZERO, even, v, zero);
  Acc *sum = build_acc(b, l, ACC_SUM, IR_INT, 0, NULL);
  sum->body.x = v;
  l->mask = even;
  build_close(b, l);
  build_store(b, out, sum->result, &zero);
}

static void expect_check(const int64_t *index, int64_t n, bool masked, attn_error want) {
  Rig r;
  rig_init(&r, true);
  check_kernel(&r, n, index, masked);
  memset(&r.err, 0xff, sizeof r.err);
  cr_expect_eq(rig_run(&r), want.status, "status %d, expected %d", r.err.status, want.status);
  cr_expect_eq(r.err.status, want.status);
  if (want.status) {
    cr_assert(r.err.site >= 0 && r.err.site < (int32_t)r.c->nsites);
    cr_expect_eq(r.c->sites[r.err.site].lo, want.status == ATTN_ERROR_INDEX ? 10 : 30);
    cr_expect_eq(r.err.value, want.value);
    if (want.status == ATTN_ERROR_INDEX) cr_expect_eq(r.err.limit, want.limit);
  }
  cr_expect_eq(r.c->run(r.in, r.out, r.sizes, NULL, 0, NULL, NULL), want.status, "without a place for the error");
  rig_free(&r);
}

Test(back_array, checks) {
  expect_check((int64_t[]){1, 2, 3}, 3, false, (attn_error){0});
  expect_check((int64_t[]){9, 2, 10, 11}, 4, false, (attn_error){.status = ATTN_ERROR_INDEX, .value = 10, .limit = 10});
  expect_check((int64_t[]){-1, 0, 77}, 3, false, (attn_error){.status = ATTN_ERROR_INDEX, .value = -1, .limit = 10});
  expect_check((int64_t[]){3, 0, 0, 12}, 4, true, (attn_error){.status = ATTN_ERROR_DIVISOR});
  /* odd places are outside the mask: an error there counts only if the check does not ask for the mask */
  expect_check((int64_t[]){3, 12, 4}, 3, true, (attn_error){0});
  expect_check((int64_t[]){3, 12, 4}, 3, false, (attn_error){.status = ATTN_ERROR_INDEX, .value = 12, .limit = 10});
}

/* ---- the workspace ------------------------------------------------------------------------------ */

/* t[i] = i * i in a TEMP array; three times t[i] = t[i] + t[n - 1 - i] of the round before; out = sums of rows. */
static void workspace_kernel(Rig *r, int64_t n) {
  Builder *b = &r->b;
  Val dim = rig_size(r, n), zero = build_int(b, 0), one = build_int(b, 1);
  Array *out = rig_out(r, STORE_WIDE, dim, n);
  Array *t = build_array(b, ARRAY_TEMP, "t", STORE_WIDE, 1, &dim),
        *u = build_array(b, ARRAY_TEMP, "u", STORE_BOOL, 2, (Val[]){dim, dim});
  Loop *l = build_open(b, LOOP_PAR, zero, dim);
  build_store(b, t, build_convert(b, build_2(b, IR_MUL, l->index, l->index), IR_WIDE), &l->index);
  Loop *m = build_open(b, LOOP_PAR, zero, dim);
  build_store(b, u, build_2(b, IR_LE, l->index, m->index), (Val[]){l->index, m->index});
  build_close(b, m);
  build_close(b, l);
  Loop *i = build_open(b, LOOP_PAR, zero, dim), *j = build_open(b, LOOP_REDUCE, zero, dim);
  j->mask = build_load(b, u, (Val[]){i->index, j->index});
  Axis axis = {one, build_int(b, 3), 0};
  Acc *a = build_acc(b, j, ACC_SUM, IR_WIDE, 1, &axis);
  a->body.index = NEW_ARRAY(&r->arena, Val, 1);
  a->body.at = build_axes(b, j, 1, a->body.index);
  a->body.x = build_2(b, IR_MUL, build_load(b, t, &j->index), build_convert(b, a->body.index[0], IR_WIDE));
  build_leave_axes(b, a->body.at);
  build_close(b, j);
  Val sum = build_2(b, IR_ADD, build_load(b, a->result_at, &zero), build_load(b, a->result_at, &one));
  build_store(b, out, sum, &i->index);
  build_close(b, i);
}

Test(back_array, workspace) {
  enum { N = 13 };
  Rig r;
  rig_init(&r, false);
  workspace_kernel(&r, N);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  for (int i = 0; i < N; i++) {
    double want = 0;
    for (int j = i; j < N; j++) want += 3.0 * j * j;
    cr_expect_eq(wide_out(&r, 0)[i], want);
  }
  size_t need = r.c->workspace(r.sizes, 1), local = r.c->workspace(r.sizes, 4) - need;
  cr_expect(need >= N * 8 + N * N + 2 * 8, "%zu bytes", need);
  cr_expect(local >= 3 * 2 * 8 && local <= 3 * 64, "%zu more for four threads", local);
  char byte;
  cr_expect_eq(r.c->run(r.in, r.out, r.sizes, &byte, need - 1, NULL, &r.err), ATTN_ERROR_WORKSPACE);
  cr_expect_eq(r.err.status, ATTN_ERROR_WORKSPACE);
  cr_expect_eq((size_t)r.err.limit, need);
  rig_free(&r);
}

/* Any alignment and nothing beyond the bytes asked for: the sanitizer does not see compiled code, pages do. */
Test(back_array, workspace_edges) {
  Rig r;
  rig_init(&r, false);
  workspace_kernel(&r, 13);
  rig_compile(&r);
  size_t need = r.c->workspace(r.sizes, 1);
  for (int shift = 0; shift < 16; shift += 8) {
    Fenced end = fence(1024, true);
    char *limit = (char *)(end.at + 1024);
    cr_expect_eq(r.c->run(r.in, r.out, r.sizes, limit - need - shift, need, NULL, &r.err), ATTN_OK);
    munmap(end.map, end.size);
  }
  rig_free(&r);
}

Test(back_array, workspace_of_hostile_sizes) {
  static const int64_t sizes[] = {0, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 32, (int64_t)1 << 31, 1};
  Rig r;
  rig_init(&r, false);
  workspace_kernel(&r, 1);
  rig_compile(&r);
  for (int n = 0; n < 7; n++) {
    r.sizes[0] = sizes[n];
    size_t need = r.c->workspace(r.sizes, 1);
    if (sizes[n] >= (int64_t)1 << 32) cr_expect_eq(need, SIZE_MAX, "%ld: %zu", (long)sizes[n], need);
    if (sizes[n] > 1) cr_expect_eq(r.c->run(r.in, r.out, r.sizes, NULL, 0, NULL, NULL), ATTN_ERROR_WORKSPACE);
    if (sizes[n] <= 0) cr_expect(need < 1024, "%ld: %zu", (long)sizes[n], need);
    cr_expect(r.c->workspace(r.sizes, -3) >= need && r.c->workspace(r.sizes, INT32_MAX) >= need);
  }
  rig_free(&r);
}

/* ---- outputs, nesting --------------------------------------------------------------------------- */

/* expect over j of v[j], weights by a product of rows computed inside: with a mask j <= i. */
static void nested_kernel(Rig *r, int64_t m, int64_t n, int64_t dim, const double *q, const double *k,
                          const double *v) {
  Builder *b = &r->b;
  Val M = rig_size(r, m), N = rig_size(r, n), D = rig_size(r, dim), zero = build_int(b, 0);
  Val dq[] = {M, D}, dk[] = {N, D};
  Array *aq = rig_view(r, ARRAY_IN, STORE_WIDE, 2, dq, (attn_view){(void *)(uintptr_t)q, {m, dim}, {dim, 1}});
  Array *ak = rig_view(r, ARRAY_IN, STORE_WIDE, 2, dk, (attn_view){(void *)(uintptr_t)k, {n, dim}, {dim, 1}});
  Array *av = rig_in(r, STORE_WIDE, N, n, v), *mean = rig_out(r, STORE_WIDE, M, m),
        *logz = rig_out(r, STORE_WIDE, M, m);
  Loop *i = build_open(b, LOOP_PAR, zero, M), *j = build_open(b, LOOP_REDUCE, zero, N),
       *d = build_open(b, LOOP_REDUCE, zero, D);
  Acc *dot = build_acc(b, d, ACC_SUM, IR_WIDE, 0, NULL);
  dot->body.x = build_2(b, IR_MUL, build_load(b, aq, (Val[]){i->index, d->index}),
                        build_load(b, ak, (Val[]){j->index, d->index}));
  build_close(b, d);
  j->mask = build_2(b, IR_LE, j->index, i->index);
  Acc *e = build_acc(b, j, ACC_EXPECT, IR_WIDE, 0, NULL), *l = build_acc(b, j, ACC_LSE, IR_WIDE, 0, NULL);
  e->body = (Contribution){.log_w = dot->result, .x = build_load(b, av, &j->index)};
  l->body.log_w = dot->result;
  build_close(b, j);
  build_store(b, mean, e->result, &i->index);
  build_store(b, logz, l->result, &i->index);
  build_close(b, i);
}

Test(back_array, nested_and_absent_outputs) {
  enum { M = 6, N = 9, D = 4 };
  double q[M * D], k[N * D], v[N];
  for (int n = 0; n < M * D; n++) q[n] = sin(n);
  for (int n = 0; n < N * D; n++) k[n] = cos(3 * n);
  for (int n = 0; n < N; n++) v[n] = n * n;
  for (int absent = 0; absent < 4; absent++) {
    Rig r;
    rig_init(&r, true);
    nested_kernel(&r, M, N, D, q, k, v);
    for (int o = 0; o < 2; o++)
      if (absent >> o & 1) r.out[o].data = NULL;
    cr_assert_eq(rig_run(&r), ATTN_OK);
    for (int i = 0; i < M; i++) {
      double mass = 0, t = 0;
      for (int j = 0; j <= i; j++) {
        double dot = 0;
        for (int d = 0; d < D; d++) dot += q[i * D + d] * k[j * D + d];
        mass += exp(dot);
        t += exp(dot) * v[j];
      }
      if (!(absent & 1)) cr_expect(near(wide_out(&r, 0)[i], t / mass, 1e-13));
      if (!(absent & 2)) cr_expect(near(wide_out(&r, 1)[i], log(mass), 1e-13));
    }
    rig_free(&r);
  }
}

/* A mask that needs a whole loop with axes, and a seq loop that feeds itself. */
Test(back_array, mask_by_a_loop) {
  enum { N = 7 };
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val dim = rig_size(&r, N), zero = build_int(b, 0), two = build_int(b, 2), one = build_int(b, 1);
  Array *out = rig_out(&r, STORE_INT, one, 1);
  Loop *l = build_open(b, LOOP_REDUCE, zero, dim), *s = build_open(b, LOOP_REDUCE, zero, l->index);
  Axis axis = {zero, two, 0};
  Acc *a = build_acc(b, s, ACC_SUM, IR_INT, 1, &axis);
  a->body.index = NEW_ARRAY(&r.arena, Val, 1);
  a->body.at = build_axes(b, s, 1, a->body.index);
  a->body.x = build_2(b, IR_ADD, s->index, a->body.index[0]);
  build_leave_axes(b, a->body.at);
  build_close(b, s);
  Val triangle = build_load(b, a->result_at, &one); /* sum of s + 1 below the index */
  l->mask = build_2(b, IR_GT, triangle, build_int(b, 5));
  Acc *sum = build_acc(b, l, ACC_SUM, IR_INT, 0, NULL);
  sum->body.x = build_2(b, IR_ADD, triangle, build_load(b, a->result_at, &zero));
  build_close(b, l);
  build_store(b, out, sum->result, &zero);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  int64_t want = 0;
  for (int64_t i = 0; i < N; i++)
    if (i * (i + 1) / 2 > 5) want += i * (i + 1) / 2 + i * (i - 1) / 2;
  cr_expect_eq(((int64_t *)r.out[0].data)[0], want);
  rig_free(&r);
}

Test(back_array, seq) {
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val rounds = rig_size(&r, 10), zero = build_int(b, 0), one = build_int(b, 1), two = build_int(b, 2);
  Array *out = rig_out(&r, STORE_INT, one, 1), *t = build_array(b, ARRAY_TEMP, "t", STORE_INT, 1, &two);
  Loop *init = build_open(b, LOOP_PAR, zero, two);
  build_store(b, t, one, &init->index);
  build_close(b, init);
  Loop *s = build_open(b, LOOP_SEQ, zero, rounds);
  Val even = build_2(b, IR_MOD, s->index, two), odd = build_2(b, IR_SUB, one, even); /* Fibonacci */
  build_store(b, t, build_2(b, IR_ADD, build_load(b, t, &even), build_load(b, t, &odd)), &even);
  build_close(b, s);
  build_store(b, out, build_load(b, t, &one), &zero);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  cr_expect_eq(((int64_t *)r.out[0].data)[0], 144);
  rig_free(&r);
}

/* ---- graphs, names, text ------------------------------------------------------------------------ */

Test(back_array, views_of_graphs) {
  static const int64_t one_row[] = {0, 1}, want = 20 + 1 + 300 + 4000;
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val one = build_int(b, 1), zero = build_int(b, 0), sum = zero;
  Array *a[] = {rig_in(&r, STORE_INT, one, 1, (int64_t[]){20}), rig_in(&r, STORE_INT, build_int(b, 2), 2, one_row),
                rig_in(&r, STORE_INT, one, 1, (int64_t[]){300}), rig_in(&r, STORE_INT, one, 1, (int64_t[]){4000})};
  a[1]->external = 1, a[1]->part = PART_INDPTR;
  a[2]->external = 1, a[2]->part = PART_INDICES;
  a[3]->external = 2;
  Array *out = rig_out(&r, STORE_INT, one, 1);
  for (int n = 0; n < 4; n++) sum = build_2(b, IR_ADD, sum, build_load(b, a[n], n == 1 ? &one : &zero));
  build_store(b, out, sum, &zero);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  cr_expect_eq(((int64_t *)r.out[0].data)[0], want);
  rig_free(&r);
}

Test(back_array, names_of_cpus) {
  Rig r;
  rig_init(&r, true);
  nested_kernel(&r, 1, 1, 1, (double[]){1}, (double[]){1}, (double[]){1});
  const char *why = NULL;
  BackOptions bad = {.cpu = "pentium-of-doom", .optimise = true}, good = {.cpu = "x86-64-v3"};
  Compiled *c = NULL;
  cr_expect(!back_compile(&r.arena, r.b.k, &bad, &c, &why));
  cr_assert_not_null(why);
  cr_expect(strstr(why, "pentium-of-doom"));
  cr_expect_null(back_text(&r.arena, r.b.k, &bad, BACK_ASM, &why));
  cr_expect(back_cpu_known("native") && back_cpu_known("znver4") && !back_cpu_known(""));
  cr_expect_eq(strncmp(back_version(), "LLVM 19.1", 9), 0);
  cr_expect(back_host_cpu(&r.arena)[0]);
  static const char *const has[] = {"alloca double", "phi i64", "attn_test_workspace:"};
  for (int form = BACK_LLVM; form <= BACK_ASM; form++) {
    char *text = back_text(&r.arena, r.b.k, &good, (BackForm)form, &why);
    cr_assert_not_null(text);
    cr_expect(strstr(text, has[form]) && strstr(text, "attn_test"), "form %d", form);
  }
  rig_free(&r);
}

/* A dimension that is data. */
Test(back_array, refusal) {
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val zero = build_int(b, 0), one = build_int(b, 1);
  Array *n = rig_in(&r, STORE_INT, one, 1, (int64_t[]){5});
  Val dim = build_load(b, n, &zero);
  build_array(b, ARRAY_TEMP, "ragged", STORE_WIDE, 1, &dim);
  const char *why = NULL;
  BackOptions options = {.optimise = true};
  cr_expect(!back_compile(&r.arena, b->k, &options, &r.c, &why));
  cr_assert_not_null(why);
  cr_expect(strstr(why, "ragged"), "%s", why);
  cr_expect_null(back_text(&r.arena, b->k, &options, BACK_LLVM, &why));
  rig_free(&r);
}

/* No test of range where loops run within the dimensions, also where these are cut off at 0. */
Test(back_array, proved_ranges) {
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val size = rig_size(&r, 4), other = rig_size(&r, 3), zero = build_int(b, 0), least = build_2(b, IR_MAX, size, zero);
  double data[4] = {1, 2, 3, 4};
  Array *x = rig_in(&r, STORE_WIDE, size, 4, data), *out = rig_out(&r, STORE_WIDE, least, 4);
  Loop *l = build_open(b, LOOP_PAR, zero, build_2(b, IR_MIN, other, size));
  build_store(b, out, build_load(b, x, &l->index), &l->index);
  build_close(b, l);
  const char *why = NULL;
  BackOptions options = {.optimise = false};
  char *text = back_text(&r.arena, b->k, &options, BACK_LLVM, &why);
  cr_assert_not_null(text);
  cr_expect_null(strstr(text, "ptr @zero"));
  cr_assert_eq(rig_run(&r), ATTN_OK);
  cr_expect(wide_out(&r, 0)[2] == 3 && wide_out(&r, 0)[3] == 0);
  rig_free(&r);
}

/* Without passes the same numbers. */
/* A loop from -1 on proves nothing: in front of the array is 0, whatever lies there. */
Test(back_array, ranges_from_below) {
  Rig r;
  rig_init(&r, true);
  Builder *b = &r.b;
  Val size = rig_size(&r, 4), one = build_int(b, 1);
  double data[5] = {77, 1, 2, 3, 4};
  Array *x = rig_view(&r, ARRAY_IN, STORE_WIDE, 1, &size, (attn_view){data + 1, {4}, {1}});
  Array *out = rig_out(&r, STORE_WIDE, build_2(b, IR_ADD, size, one), 5);
  Loop *l = build_open(b, LOOP_PAR, build_int(b, -1), size);
  Val at = build_2(b, IR_ADD, l->index, one);
  build_store(b, out, build_load(b, x, &l->index), &at);
  build_close(b, l);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  cr_expect_eq(wide_out(&r, 0)[0], 0);
  for (int n = 1; n < 5; n++) cr_expect_eq(wide_out(&r, 0)[n], n);
  rig_free(&r);
}

Test(back_array, unoptimised) {
  Rig r;
  rig_init(&r, false);
  workspace_kernel(&r, 5);
  const char *why = NULL;
  BackOptions options = {.optimise = false};
  cr_assert(back_compile(&r.arena, r.b.k, &options, &r.c, &why));
  cr_assert_eq(rig_run(&r), ATTN_OK);
  cr_expect_eq(wide_out(&r, 0)[0], 3 * (0 + 1 + 4 + 9 + 16));
  rig_free(&r);
}
