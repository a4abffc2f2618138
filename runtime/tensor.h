/* tensor: element types and strided arrays, the form in which data enters and leaves a model.
 *
 * An AttnArray is a pointer to element 0...0, an element type, and a shape with a stride per axis,
 * counted in elements, so that transposed, reversed (negative stride) and broadcast (stride 0) data need
 * no copy.  Element (i0, ..., ir) lies at data + sum_k i_k * stride[k].
 *
 * Invariants of every array built here: 0 <= rank <= ARRAY_RANK_MAX, shape[k] >= 0, and the product of the
 * non-zero shape[k], times the element size, fits in PTRDIFF_MAX, so sizes and offsets never wrap.
 * Nothing aborts: a product too large or memory that cannot be had is an error for the caller. */
#ifndef ATTN_RT_TENSOR_H
#define ATTN_RT_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "half.h"
#include "rt_error.h"

typedef enum ElemType {
  ELEM_F16,  /* uint16_t bits, see half.h */
  ELEM_BF16, /* uint16_t bits, see half.h */
  ELEM_F32,
  ELEM_F64,
  ELEM_I32,
  ELEM_I64,
  ELEM_U8,
  ELEM_BOOL, /* uint8_t; 0 is false, any other value true; written as 0 or 1 */
} ElemType;

enum { ELEM_TYPE_COUNT = ELEM_BOOL + 1, ARRAY_RANK_MAX = 16 };

typedef struct AttnArray {
  void *data; /* element 0...0; aligned for the element; not NULL even if there are no elements */
  ElemType type;
  int rank;
  int64_t shape[ARRAY_RANK_MAX];
  int64_t stride[ARRAY_RANK_MAX]; /* in elements */
  bool owned;                     /* data came from malloc and array_free releases it */
} AttnArray;

size_t elem_size(ElemType t);      /* bytes */
const char *elem_name(ElemType t); /* "f32"; static storage */
bool elem_is_float(ElemType t);

/* The number of elements of a shape.  False: rank out of range, a negative dimension, or dimensions whose product
 * (zeros left out, so that it does not depend on their place) times `size` bytes exceeds PTRDIFF_MAX. */
bool shape_count(int rank, const int64_t *shape, size_t size, int64_t *count);
/* Strides of C order (last axis fastest) or Fortran order (first axis fastest).  Requires shape_count. */
void shape_strides(int rank, const int64_t *shape, bool fortran, int64_t *stride);
/* The shape as text, "[3, 4]", into `buf` of n bytes (cut short if it does not fit); returns `buf`. */
char *shape_text(int rank, const int64_t *shape, char *buf, size_t n);

/* A zeroed array in C order, owned by *a; `name` is the subject of messages, or NULL.  On failure *a is
 * an array that array_free accepts. */
bool array_alloc(AttnArray *a, ElemType t, int rank, const int64_t *shape, const char *name, RtError *err);
/* Releases an owned array, and in any case leaves *a empty with data NULL; safe to call twice. */
void array_free(AttnArray *a);
/* A C-order array on the caller's memory, not owned.  False: see shape_count, or data NULL. */
bool array_view(AttnArray *a, void *data, ElemType t, int rank, const int64_t *shape);

int64_t array_count(const AttnArray *a); /* number of elements; 1 for rank 0 */
bool array_is_contiguous(const AttnArray *a); /* C order without gaps; axes of length 1 may have any stride */
bool array_index_ok(const AttnArray *a, const int64_t *index); /* 0 <= index[k] < shape[k] for all k */

/* One element; requires array_index_ok.  As double: integers beyond 2^53 are rounded.  As int64: exact for
 * integers and bool; floats are truncated toward 0 and saturate at the ends of int64, NaN is 0. */
double array_get_f64(const AttnArray *a, const int64_t *index);
int64_t array_get_i64(const AttnArray *a, const int64_t *index);

/* A new owned array in C order with the elements of `src` as type `to`.  Every value is rounded once, to
 * nearest.  Allowed:  any -> f16 bf16 f32 f64;  i32 i64 u8 bool -> i64 i32 u8 where the value fits;
 * bool, or u8 i32 i64 holding only 0 and 1 -> bool.  Floats never become integers or bool.  Failure names
 * the first element that does not fit by its index; *dst is then empty.  dst must not be src. */
bool array_convert(const AttnArray *src, ElemType to, AttnArray *dst, const char *name, RtError *err);

/* The elements of `src` in C order, from number `first` on, copied unchanged to `out`, `n` of them.
 * Requires 0 <= first, first + n <= array_count(src), and elem_size bytes of room for each. */
void array_pack(const AttnArray *src, int64_t first, int64_t n, void *out);

#endif
