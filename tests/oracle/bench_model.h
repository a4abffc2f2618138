/* bench_model: a model from text, bound to literal inputs, run by the oracle: the workbench of the tests.
 *
 * Everything lives in one arena a test.  Inputs are given by name; sizes follow from their shapes. */
#ifndef ATTN_TESTS_BENCH_MODEL_H
#define ATTN_TESTS_BENCH_MODEL_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "front/parse.h"
#include "model/check.h"
#include "oracle/oracle.h"

typedef struct Bench {
  Arena arena;
  Interner names;
  Diags diags;
  const Model *model;
  Binding bound;
  OutputArray **outs;
  char *why;
  bool ok;
} Bench;

static inline void bench_open(Bench *b, const char *text) {
  memset(b, 0, sizeof *b);
  arena_init(&b->arena, NULL);
  intern_init(&b->names, &b->arena);
  const Source *s = source_from_text(&b->arena, "t.attn", text, strlen(text));
  diag_init(&b->diags, &b->arena, s);
  const ModelFile *f = check_file(&b->arena, &b->names, &b->diags, s, parse_file(&b->arena, &b->names, &b->diags, s));
  if (b->diags.errors) diag_print(&b->diags, stderr);
  cr_assert_eq(b->diags.errors, 0u, "the model has errors:\n%s", text);
  b->model = f->models.at[0];
  b->bound.sizes = NEW_ARRAY(&b->arena, int64_t, b->model->sizes.n);
  b->bound.inputs = NEW_ARRAY(&b->arena, BoundInput, b->model->inputs.n);
}

static inline void bench_size(Bench *b, const char *name, int64_t value) {
  for (uint32_t k = 0; k < b->model->sizes.n; k++)
    if (b->model->sizes.at[k]->name == intern_str(&b->names, name)) b->bound.sizes[k] = value;
}

static inline const Input *bench_find(Bench *b, const char *name) {
  for (uint32_t k = 0; k < b->model->inputs.n; k++)
    if (b->model->inputs.at[k]->name == intern_str(&b->names, name)) return b->model->inputs.at[k];
  cr_assert_fail("no input '%s'", name);
  return NULL;
}

/* Values for an input whose dimensions follow from the sizes set so far. */
static inline void bench_input(Bench *b, const char *name, const double *values) {
  const Input *x = bench_find(b, name);
  BoundInput *to = &b->bound.inputs[x->id];
  to->rank = x->dims.n;
  to->dims = NEW_ARRAY(&b->arena, int64_t, to->rank);
  cr_assert(oracle_input_dims(b->model, b->bound.sizes, x, to->dims));
  to->count = 1;
  for (uint32_t k = 0; k < to->rank; k++) to->count *= to->dims[k];
  bool whole = x->elem == ELEM_INT || x->elem == ELEM_BOOL;
  if (whole) to->integer = NEW_ARRAY(&b->arena, int64_t, to->count);
  else to->real = NEW_ARRAY(&b->arena, double, to->count);
  for (int64_t k = 0; k < to->count; k++)
    if (whole) to->integer[k] = (int64_t)values[k];
    else to->real[k] = values[k];
}
#define BENCH_INPUT(b, name, ...) bench_input((b), (name), (double[]){__VA_ARGS__})

static inline void bench_graph(Bench *b, const char *name, int64_t *indptr, int64_t *indices) {
  const Input *x = bench_find(b, name);
  BoundInput *to = &b->bound.inputs[x->id];
  to->rank = 2;
  to->dims = NEW_ARRAY(&b->arena, int64_t, 2);
  cr_assert(oracle_input_dims(b->model, b->bound.sizes, x, to->dims));
  to->indptr = indptr;
  to->indices = indices;
  to->nnz = indptr[to->dims[0]];
}

static inline bool bench_try(Bench *b) {
  OracleLimits limits = oracle_default_limits();
  b->ok = oracle_run(&b->arena, b->model, &b->bound, &limits, &b->outs, NULL, &b->why);
  return b->ok;
}

static inline void bench_run(Bench *b) {
  bench_try(b);
  cr_assert(b->ok, "%s", b->why ? b->why : "");
}

static inline const OutputArray *bench_out(Bench *b, const char *name) {
  for (uint32_t k = 0; k < b->model->outs.n; k++)
    if (b->model->outs.at[k]->name == intern_str(&b->names, name)) return b->outs[k];
  cr_assert_fail("no output '%s'", name);
  return NULL;
}

static inline double bench_at(Bench *b, const char *name, int64_t k) {
  const OutputArray *a = bench_out(b, name);
  cr_assert(a, "'%s' is not judged", name);
  cr_assert(k < a->count, "'%s' has %lld elements", name, (long long)a->count);
  return a->real ? a->real[k] : (double)a->integer[k];
}

static inline bool bench_near(double a, double b, double tol) { return a == b || fabs(a - b) <= tol * (1 + fabs(b)); }

#define EXPECT_NEAR(b, name, k, want, tol)                                                                    \
  do {                                                                                                        \
    double got_ = bench_at((b), (name), (k)), want_ = (want);                                                 \
    cr_expect(bench_near(got_, want_, (tol)), "%s[%d] is %.12g, not %.12g", (name), (int)(k), got_, want_);   \
  } while (0)
#define EXPECT(b, name, k, want) EXPECT_NEAR(b, name, k, want, 1e-12)
#define EXPECT_NAN(b, name, k) cr_expect(isnan(bench_at((b), (name), (k))), "%s[%d] is no NaN", (name), (int)(k))

static inline void bench_close(Bench *b) { arena_free(&b->arena); }

#endif
