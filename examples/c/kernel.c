/* A compiled model, called from C without the compiler.
 *
 *   attn compile ../attention.attn -o attention
 *   cc kernel.c attention.o -lm -o kernel && ./kernel
 *
 * attention.h stands alone: it names the places of inputs, outputs and sizes, and says what shape they have.
 * The result is compared with plain loops. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention.h"

enum { M = 37, N = 53, D = 16, C = 8 };

static float q[M * D], k[N * D], v[N * C], o[M * C], lse[M];

/* Numbers in [-2, 2) that are the same everywhere. */
static void fill(float *x, int n, unsigned seed) {
  for (int i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) / (float)(1 << 22) - 2;
  }
}

/* A view: where element 0 lies, and per axis the size and the distance of neighbours, counted in elements. */
static attn_view matrix(float *data, int64_t rows, int64_t columns) {
  return (attn_view){.data = data, .size = {rows, columns}, .stride = {columns, 1}};
}

static double log_w(int i, int j) {
  double s = 0;
  for (int d = 0; d < D; d++) s += (double)q[i * D + d] * (double)k[j * D + d];
  return s / sqrt(D);
}

/* The largest difference to plain loops in row i. */
static double row_error(int i) {
  double max = -INFINITY, z = 0, x[C] = {0}, worst;
  for (int j = 0; j < N; j++) max = fmax(max, log_w(i, j));
  for (int j = 0; j < N; j++) {
    double w = exp(log_w(i, j) - max);
    z += w;
    for (int c = 0; c < C; c++) x[c] += w * (double)v[j * C + c];
  }
  worst = fabs(max + log(z) - (double)lse[i]);
  for (int c = 0; c < C; c++) worst = fmax(worst, fabs(x[c] / z - (double)o[i * C + c]));
  return worst;
}

static int run(void) {
  attn_view in[attn_attention_inputs] = {
      [attn_attention_in_q] = matrix(q, M, D),
      [attn_attention_in_k] = matrix(k, N, D),
      [attn_attention_in_v] = matrix(v, N, C),
  };
  attn_view out[attn_attention_outputs] = {
      [attn_attention_out_o] = matrix(o, M, C),
      [attn_attention_out_lse] = {.data = lse, .size = {M}, .stride = {1}},
      /* the third output's data is NULL: it is not computed */
  };
  int64_t sizes[attn_attention_sizes] = {[attn_attention_size_M] = M,
                                         [attn_attention_size_N] = N,
                                         [attn_attention_size_D] = D,
                                         [attn_attention_size_C] = C};
  size_t bytes = attn_attention_workspace(sizes, 1);
  void *workspace = bytes ? malloc(bytes) : NULL;
  attn_error error;
  int status = attn_attention(in, out, sizes, workspace, bytes, NULL, &error);
  free(workspace);
  if (status != ATTN_OK) fprintf(stderr, "status %d, at check %d\n", status, (int)error.site);
  return status;
}

int main(void) {
  fill(q, M * D, 1);
  fill(k, N * D, 2);
  fill(v, N * C, 3);
  if (run() != ATTN_OK) return 1;
  double worst = 0;
  for (int i = 0; i < M; i++) worst = fmax(worst, row_error(i));
  printf("largest difference to plain loops: %.1e\n", worst);
  return worst < 1e-5 ? 0 : 1;
}
