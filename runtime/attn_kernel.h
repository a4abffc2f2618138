/* attn_kernel: the C interface of a compiled model.  Generated code and its callers share this file alone.
 *
 *   int attn_NAME(const attn_view *in, attn_view *out, const int64_t *sizes,
 *                 void *workspace, size_t workspace_bytes, attn_pool *pool, attn_error *err);
 *   size_t attn_NAME_workspace(const int64_t *sizes, int threads);
 *
 * sizes: the model's sizes in the order of declaration, then one a graph (how many indices), then the seed, where
 *       the model draws
 * in:   one view an input, in the order of declaration (a graph takes two: indptr, then indices)
 * out:  one view an output; an output whose data is NULL is not computed
 * Returns 0, or an attn_status with *err filled, and outputs of which nothing is known.  Allocates nothing, keeps no
 * state. */
#ifndef ATTN_KERNEL_H
#define ATTN_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum { ATTN_MAX_RANK = 8 }; /* baked into attn_view; the checker refuses arrays of higher rank */

/* A strided array.  Strides are in elements and may be zero or negative for inputs; `data` is the element
 * at index 0, aligned to its element.  Outputs overlap nothing.
 * Elements: real is float (double in a kernel of that precision), f32 float, f64 double, int int64_t, bool uint8_t; f16
 * and bf16 are uint16_t that hold their bits (IEEE 754 binary16; the upper half of a float's). */
typedef struct attn_view {
  void *data;
  int64_t size[ATTN_MAX_RANK];
  int64_t stride[ATTN_MAX_RANK];
} attn_view;

typedef enum attn_status {
  ATTN_OK = 0,
  ATTN_ERROR_INDEX = 1,     /* an index outside its array, or a graph's rows out of order, at `site` */
  ATTN_ERROR_DIVISOR = 2,   /* integer division by zero, at `site` */
  ATTN_ERROR_WORKSPACE = 3, /* workspace_bytes is too small: `limit` says how many are needed */
  ATTN_ERROR_SIZE = 4,      /* the kernel was compiled for another size: sizes[site] is `value`, must be `limit` */
  ATTN_ERROR_CPU = 5,       /* the processor is older than any the kernel was compiled for */
  ATTN_ERROR_CONCAVE = 6,   /* a closed step for a latent where the log weight has no maximum, at `site` */
  ATTN_ERROR_CLIQUE = 7 /* an exact sum whose tables take `value` numbers, at `site`; fewer than `limit` are allowed */
} attn_status;

/* site: number of the check in the kernel, which the compiler maps to a place in the model file.
 * The first failing check of the run that was reached is kept. */
typedef struct attn_error {
  int32_t status;
  int32_t site;
  int64_t value, limit; /* index: value is not in 0 .. limit; rows of a graph: an entry of indptr, and nnz + 1 */
} attn_error;

/* Threads of the caller.  run calls task(arg, item, thread) for the items 0 .. count-1, each once, in any order,
 * and returns when all are done; no two calls that overlap in time have the same thread, 0 <= thread < threads.
 * The bits of a kernel's results do not depend on the pool; they may depend on the strides of inputs.  NULL: one
 * thread. */
typedef struct attn_pool {
  int threads;
  void (*run)(struct attn_pool *pool, void (*task)(void *arg, int64_t item, int thread), void *arg, int64_t count);
} attn_pool;

typedef int (*attn_kernel_fn)(const attn_view *in, attn_view *out, const int64_t *sizes, void *workspace,
                              size_t workspace_bytes, attn_pool *pool, attn_error *err);
typedef size_t (*attn_workspace_fn)(const int64_t *sizes, int threads);

#endif
