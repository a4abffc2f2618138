/* back_kernel: see back_kernel.h. */
#include "back_kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *what) {
  fprintf(stderr, "back_kernel: %s\n", what);
  abort();
}

void rig_init(Rig *r, bool f64) {
  memset(r, 0, sizeof *r);
  arena_init(&r->arena, NULL);
  build_init(&r->b, &r->arena, "test");
  r->f64 = f64;
}

void rig_free(Rig *r) {
  back_dispose(r->c);
  for (uint32_t n = 0; n < r->nblocks; n++) free(r->blocks[n]);
  arena_free(&r->arena);
}

void *rig_block(Rig *r, size_t bytes) {
  void *p = calloc(1, bytes ? bytes : 1);
  if (!p || r->nblocks == sizeof r->blocks / sizeof *r->blocks) die("out of blocks");
  return r->blocks[r->nblocks++] = p;
}

Val rig_size(Rig *r, int64_t value) {
  r->sizes[r->nsizes] = value;
  vec_push(&r->arena, &r->b.k->sizes, arena_printf(&r->arena, "N%u", r->nsizes));
  return build_size(&r->b, r->nsizes++);
}

static size_t bytes_of(const Rig *r, StoreType t) {
  switch (t) {
    case STORE_BOOL: return 1;
    case STORE_INT: return 8;
    case STORE_REAL: return r->f64 ? 8 : 4;
    case STORE_WIDE: return 8;
    case STORE_F16: return 2;
    case STORE_BF16: return 2;
    case STORE_F32: return 4;
  }
  return 0;
}

Array *rig_view(Rig *r, ArrayKind kind, StoreType elem, uint32_t rank, const Val *dims, attn_view view) {
  bool in = kind == ARRAY_IN;
  uint32_t n = in ? r->nin++ : r->nout++;
  (in ? r->in : r->out)[n] = view;
  Array *a = build_array(&r->b, kind, arena_printf(&r->arena, "%s%u", in ? "in" : "out", n), elem, rank, dims);
  a->external = n;
  return a;
}

Array *rig_in(Rig *r, StoreType elem, Val dim, int64_t n, const void *data) {
  size_t bytes = (size_t)n * bytes_of(r, elem);
  void *copy = rig_block(r, bytes);
  if (bytes) memcpy(copy, data, bytes);
  return rig_view(r, ARRAY_IN, elem, 1, &dim, (attn_view){copy, {n}, {1}});
}

Array *rig_out(Rig *r, StoreType elem, Val dim, int64_t n) {
  void *data = rig_block(r, (size_t)n * bytes_of(r, elem));
  return rig_view(r, ARRAY_OUT, elem, 1, &dim, (attn_view){data, {n}, {1}});
}

Array *rig_reals(Rig *r, Val dim, int64_t n, const double *data) {
  if (r->f64) return rig_in(r, STORE_REAL, dim, n, data);
  float *f = rig_block(r, (size_t)n * sizeof *f);
  for (int64_t i = 0; i < n; i++) f[i] = (float)data[i];
  return rig_in(r, STORE_REAL, dim, n, f);
}

double rig_real(const Rig *r, uint32_t out, int64_t at) {
  const void *data = r->out[out].data;
  return r->f64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

void rig_compile(Rig *r) {
  const char *why = ir_verify(r->b.k);
  if (why) die(why);
  BackOptions options = {.f64 = r->f64, .cpu = r->cpu, .optimise = !r->f64, .sizes = r->fixed};
  if (!back_compile(&r->arena, r->b.k, &options, &r->c, &why)) die(why);
}

void run_backwards(attn_pool *pool, void (*task)(void *arg, int64_t item, int thread), void *arg, int64_t count) {
  for (int64_t item = count; item-- > 0;) task(arg, item, (int)(item * 5 % pool->threads));
}

int rig_run(Rig *r) {
  attn_pool pool = {.threads = 3, .run = run_backwards};
  if (!r->c) rig_compile(r);
  size_t bytes = r->c->workspace(r->sizes, pool.threads);
  void *workspace = malloc(bytes ? bytes : 1);
  if (!workspace) die("no memory for the workspace");
  int status = r->c->run(r->in, r->out, r->sizes, workspace, bytes, &pool, &r->err);
  free(workspace);
  return status;
}

bool near(double x, double y, double tol) {
  if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
  if (x == y) return true;
  return fabs(x - y) <= tol * fmax(1, fabs(y));
}
