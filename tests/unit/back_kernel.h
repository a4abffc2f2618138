/* back_kernel: builds a kernel with the Builder, binds plain arrays to it, compiles and runs it. */
#ifndef TESTS_BACK_KERNEL_H
#define TESTS_BACK_KERNEL_H

#include "back/back.h"
#include "ir/build.h"

enum { RIG_MAX = 64 };

typedef struct Rig {
  Arena arena;
  Builder b;
  bool f64;
  const char *cpu;
  const int64_t *fixed; /* BackOptions.sizes */
  attn_view in[RIG_MAX], out[RIG_MAX];
  int64_t sizes[RIG_MAX];
  uint32_t nin, nout, nsizes;
  void *blocks[4 * RIG_MAX]; /* freed at the end */
  uint32_t nblocks;
  Compiled *c;
  attn_error err;
} Rig;

void rig_init(Rig *r, bool f64);
void rig_free(Rig *r);
Val rig_size(Rig *r, int64_t value);
/* One-dimensional arrays of n elements, n being the value of `dim`.  Inputs are copied in C order. */
Array *rig_in(Rig *r, StoreType elem, Val dim, int64_t n, const void *data);
Array *rig_out(Rig *r, StoreType elem, Val dim, int64_t n);
/* An array of any rank over a view of the test's own. */
Array *rig_view(Rig *r, ArrayKind kind, StoreType elem, uint32_t rank, const Val *dims, attn_view view);
/* Reals given as double, stored as the build's. */
Array *rig_reals(Rig *r, Val dim, int64_t n, const double *data);
void *rig_block(Rig *r, size_t bytes); /* zeroed, exact size */
double rig_real(const Rig *r, uint32_t out, int64_t at); /* an element of a STORE_REAL output */

void rig_compile(Rig *r); /* verifies, then compiles */
int rig_run(Rig *r);      /* compiles if need be; with the workspace asked for, on a pool that runs backwards */
/* A pool's function that runs items from the last to the first, under thread numbers that change all the time. */
void run_backwards(attn_pool *pool, void (*task)(void *arg, int64_t item, int thread), void *arg, int64_t count);

/* Equal, both NaN, or within relative error tol (absolute below 1). */
bool near(double x, double y, double tol);

#endif
