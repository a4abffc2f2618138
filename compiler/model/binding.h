/* binding: a model's sizes and input arrays as plain C-order numbers, however they were given.
 *
 * Made by the driver from .npy files, by the oracle's drawing of random inputs, by tests.  The compiled
 * kernel and the oracle read the same Binding, so that a difference between them is one of meaning. */
#ifndef ATTN_MODEL_BINDING_H
#define ATTN_MODEL_BINDING_H

#include "model/model.h"

/* One input: `real` for real element types (values rounded to the element type), `integer` for int and
 * bool (0 or 1).  A graph has integer indptr [rows + 1] and indices [nnz] instead. */
typedef struct BoundInput {
  uint32_t rank;
  int64_t *dims;
  int64_t count; /* product of dims */
  double *real;
  int64_t *integer;
  int64_t *indptr, *indices, nnz;
} BoundInput;

typedef struct Binding {
  int64_t *sizes;     /* by Size.id */
  BoundInput *inputs; /* by Input.id */
  uint64_t seed;      /* of sample() queries: --seed */
} Binding;

/* One output: C order over slots then axes.  `real` or, for INT and BOOL outputs, `integer`. */
typedef struct OutputArray {
  uint32_t rank;
  int64_t *dims;
  int64_t count;
  double *real;
  int64_t *integer;
} OutputArray;

#endif
