/* A model file, loaded and run from C.
 *
 *   cc api.c -I../../runtime -L../../build/lib -lattn -Wl,-rpath,../../build/lib -o api && ./api ../attention.attn
 *
 * The keys are bound transposed and the values in half the rows, which takes strides, not copies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "attn.h"

enum { M = 5, N = 7, D = 4, C = 3 };

static double q[M][D], k_by_feature[D][N], v[2 * N][C];

static void fill(double *x, int n, unsigned seed) {
  for (int i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (seed >> 8) / (double)(1 << 22) - 2;
  }
}

static int failed(const char *what, int status, const attn_message *why) {
  fprintf(stderr, "%s: status %d\n%s\n", what, status, why->text);
  return 1;
}

static void print_model(const attn_model *model) {
  attn_info x;
  for (int n = 0; attn_model_input(model, n, &x) == ATTN_OK; n++) printf("input  %s %s\n", x.name, x.shape);
  for (int n = 0; attn_model_output(model, n, &x) == ATTN_OK; n++) printf("output %s %s\n", x.name, x.shape);
}

static int bind(attn_call *call, attn_message *why) {
  attn_array queries = attn_array_of(q, ATTN_F64, 2, (const int64_t[]){M, D});
  attn_array keys = {k_by_feature, ATTN_F64, 2, {N, D}, {1, N}};      /* k[j][d] is k_by_feature[d][j] */
  attn_array values = {v, ATTN_F64, 2, {N, C}, {2 * C, 1}};           /* every other row */
  int status = attn_call_input(call, "q", &queries, why);
  if (status == ATTN_OK) status = attn_call_input(call, "k", &keys, why);
  if (status == ATTN_OK) status = attn_call_input(call, "v", &values, why);
  return status;
}

/* The same by plain loops. */
static double expected(int i, int c) {
  double z = 0, x = 0;
  for (int j = 0; j < N; j++) {
    double s = 0;
    for (int d = 0; d < D; d++) s += q[i][d] * k_by_feature[d][j];
    z += exp(s / sqrt(D));
    x += exp(s / sqrt(D)) * v[2 * j][c];
  }
  return x / z;
}

static int print_result(const attn_array *o) {
  double worst = 0;
  const double *x = o->data;
  for (int i = 0; i < M; i++)
    for (int c = 0; c < C; c++) {
      double value = x[i * o->stride[0] + c * o->stride[1]];
      worst = fmax(worst, fabs(value - expected(i, c)));
      printf("%s%9.5f%s", c ? " " : "", value, c == C - 1 ? "\n" : "");
    }
  printf("largest difference to plain loops: %.1e\n", worst);
  return worst < 1e-12 ? 0 : 1;
}

int main(int argc, char **argv) {
  attn_options options = {.f64 = 1};
  attn_message why;
  attn_model *model = NULL;
  attn_call *call = NULL;
  attn_array o;
  fill(&q[0][0], M * D, 1);
  fill(&k_by_feature[0][0], N * D, 2);
  fill(&v[0][0], 2 * N * C, 3);
  int status = attn_model_load(argc > 1 ? argv[1] : "attention.attn", NULL, &options, &model, &why);
  if (status != ATTN_OK) return failed("load", status, &why);
  print_model(model);
  status = attn_call_new(model, &call, &why);
  if (status == ATTN_OK) status = bind(call, &why);
  if (status == ATTN_OK) status = attn_call_run(call, &why);
  if (status == ATTN_OK) status = attn_call_result(call, "o", &o, &why);
  int result = status == ATTN_OK ? print_result(&o) : failed("run", status, &why);
  attn_call_free(call);
  attn_model_free(model);
  return result;
}
