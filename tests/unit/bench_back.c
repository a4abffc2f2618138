/* bench_back: what compiling a kernel costs, and one row of what it then does.  Not a test. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "back_kernel.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

enum { M = 256, N = 1024, D = 64 };

/* n outputs, each an expectation of rows of v under weights q . k * (output + 1), in its own loop. */
static void kernel(Rig *r, int n) {
  Builder *b = &r->b;
  Val m = rig_size(r, M), keys = rig_size(r, N), dim = rig_size(r, D), zero = build_int(b, 0);
  Val qd[] = {m, dim}, kd[] = {keys, dim};
  float *q = rig_block(r, sizeof(float) * M * D), *k = rig_block(r, sizeof(float) * N * D),
        *v = rig_block(r, sizeof(float) * N * D);
  for (int i = 0; i < M * D; i++) q[i] = (float)sin(i) * 0.3f;
  for (int i = 0; i < N * D; i++) k[i] = (float)cos(i) * 0.3f, v[i] = (float)i;
  Array *aq = rig_view(r, ARRAY_IN, STORE_REAL, 2, qd, (attn_view){q, {M, D}, {D, 1}});
  Array *ak = rig_view(r, ARRAY_IN, STORE_REAL, 2, kd, (attn_view){k, {N, D}, {D, 1}});
  Array *av = rig_view(r, ARRAY_IN, STORE_REAL, 2, kd, (attn_view){v, {N, D}, {D, 1}});
  Array *out[16];
  for (int o = 0; o < n; o++)
    out[o] =
        rig_view(r, ARRAY_OUT, STORE_REAL, 2, qd, (attn_view){rig_block(r, sizeof(float) * M * D), {M, D}, {D, 1}});
  Loop *i = build_open(b, LOOP_PAR, zero, m);
  for (int o = 0; o < n; o++) {
    Loop *j = build_open(b, LOOP_REDUCE, zero, keys), *d = build_open(b, LOOP_REDUCE, zero, dim);
    Acc *dot = build_acc(b, d, ACC_SUM, IR_WIDE, 0, NULL);
    dot->body.x = build_2(b, IR_MUL, build_load(b, aq, (Val[]){i->index, d->index}),
                          build_load(b, ak, (Val[]){j->index, d->index}));
    build_close(b, d);
    Axis axis = {zero, dim, 0};
    Acc *e = build_acc(b, j, ACC_EXPECT, IR_WIDE, 1, &axis);
    Contribution *c = &e->body;
    c->log_w = build_2(b, IR_MUL, build_convert(b, dot->result, IR_REAL), build_float(b, IR_REAL, o + 1));
    c->index = NEW_ARRAY(&r->arena, Val, 1);
    c->at = build_axes(b, j, 1, c->index);
    c->x = build_load(b, av, (Val[]){j->index, c->index[0]});
    build_leave_axes(b, c->at);
    build_close(b, j);
    Loop *s = build_open(b, LOOP_PAR, zero, dim);
    build_store(b, out[o], build_convert(b, build_load(b, e->result_at, &s->index), IR_REAL),
                (Val[]){i->index, s->index});
    build_close(b, s);
  }
  build_close(b, i);
}

static void measure(int n) {
  Rig r;
  rig_init(&r, false);
  kernel(&r, n);
  double start = now();
  rig_compile(&r);
  double compiled = now();
  rig_run(&r);
  double done = now();
  printf("%2d expectations, %4u instructions: compile %6.1f ms, run %8.2f ms, %.2f ns a weight and dimension\n", n,
         r.b.k->instrs.n, compiled - start, done - compiled, (done - compiled) * 1e6 / ((double)n * M * N * D));
  rig_free(&r);
}

int main(void) {
  static const int sizes[] = {1, 1, 2, 4, 8, 16};
  for (int n = 0; n < 6; n++) measure(sizes[n]);
  return 0;
}
