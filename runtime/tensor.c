/* tensor: shapes, allocation and element access; conversion is in convert.c.  See tensor.h. */
#include "tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ElemInfo {
  const char *name;
  size_t size;
  bool is_float;
} ElemInfo;

static const ElemInfo elem_info[ELEM_TYPE_COUNT] = {
    [ELEM_F16] = {"f16", 2, true},  [ELEM_BF16] = {"bf16", 2, true}, [ELEM_F32] = {"f32", 4, true},
    [ELEM_F64] = {"f64", 8, true},  [ELEM_I32] = {"i32", 4, false},  [ELEM_I64] = {"i64", 8, false},
    [ELEM_U8] = {"u8", 1, false},   [ELEM_BOOL] = {"bool", 1, false},
};

size_t elem_size(ElemType t) { return elem_info[t].size; }
const char *elem_name(ElemType t) { return elem_info[t].name; }
bool elem_is_float(ElemType t) { return elem_info[t].is_float; }

bool shape_count(int rank, const int64_t *shape, size_t size, int64_t *count) {
  if (rank < 0 || rank > ARRAY_RANK_MAX) return false;
  int64_t product = 1, limit = PTRDIFF_MAX / (int64_t)size;
  bool empty = false;
  for (int k = 0; k < rank; k++) {
    if (shape[k] < 0) return false;
    if (shape[k] == 0) {
      empty = true;
      continue;
    }
    if (product > limit / shape[k]) return false;
    product *= shape[k];
  }
  *count = empty ? 0 : product;
  return true;
}

static int64_t at_least_one(int64_t n) { return n > 0 ? n : 1; }

void shape_strides(int rank, const int64_t *shape, bool fortran, int64_t *stride) {
  int64_t step = 1;
  for (int k = 0; k < rank; k++) {
    int axis = fortran ? k : rank - 1 - k;
    stride[axis] = step;
    step *= at_least_one(shape[axis]);
  }
}

char *shape_text(int rank, const int64_t *shape, char *buf, size_t n) {
  size_t at = 0;
  for (int k = 0; k < rank && at < n; k++) {
    int w = snprintf(buf + at, n - at, "%s%" PRId64, k ? ", " : "[", shape[k]);
    at += w > 0 ? (size_t)w : 0;
  }
  if (at < n) snprintf(buf + at, n - at, "%s", rank ? "]" : "[]");
  return buf;
}

bool array_view(AttnArray *a, void *data, ElemType t, int rank, const int64_t *shape) {
  int64_t count;
  *a = (AttnArray){.type = t};
  if (!data || !shape_count(rank, shape, elem_size(t), &count)) return false;
  a->data = data;
  a->rank = rank;
  for (int k = 0; k < rank; k++) a->shape[k] = shape[k];
  shape_strides(rank, shape, false, a->stride);
  return true;
}

static bool too_large(int rank, const int64_t *shape, const char *name, RtError *err) {
  if (rank < 0 || rank > ARRAY_RANK_MAX)
    return rt_fail(err, name, "an array of %d dimensions; at most %d are supported", rank, ARRAY_RANK_MAX);
  char text[128];
  return rt_fail(err, name, "shape %s is negative somewhere or too large to address",
                 shape_text(rank, shape, text, sizeof text));
}

bool array_alloc(AttnArray *a, ElemType t, int rank, const int64_t *shape, const char *name, RtError *err) {
  int64_t count;
  *a = (AttnArray){.type = t};
  if (!shape_count(rank, shape, elem_size(t), &count)) return too_large(rank, shape, name, err);
  void *data = calloc((size_t)at_least_one(count), elem_size(t));
  if (!data)
    return rt_fail(err, name, "out of memory: %" PRId64 " elements of %s need %" PRIu64 " bytes", count, elem_name(t),
                   (uint64_t)count * elem_size(t));
  array_view(a, data, t, rank, shape);
  a->owned = true;
  return true;
}

void array_free(AttnArray *a) {
  if (a->owned) free(a->data);
  *a = (AttnArray){.type = a->type};
}

int64_t array_count(const AttnArray *a) {
  int64_t count = 1;
  for (int k = 0; k < a->rank; k++) {
    if (a->shape[k] == 0) return 0;
    count *= a->shape[k];
  }
  return count;
}

bool array_is_contiguous(const AttnArray *a) {
  int64_t step = 1;
  for (int k = a->rank - 1; k >= 0; k--) {
    if (a->shape[k] == 0) return true;
    if (a->shape[k] != 1 && a->stride[k] != step) return false;
    step *= a->shape[k];
  }
  return true;
}

bool array_index_ok(const AttnArray *a, const int64_t *index) {
  for (int k = 0; k < a->rank; k++)
    if (index[k] < 0 || index[k] >= a->shape[k]) return false;
  return true;
}

static const void *element(const AttnArray *a, const int64_t *index) {
  int64_t offset = 0;
  for (int k = 0; k < a->rank; k++) offset += index[k] * a->stride[k];
  return (const char *)a->data + offset * (int64_t)elem_size(a->type);
}

static int64_t saturate_f64(double x) {
  if (x != x) return 0;
  if (x >= 0x1p63) return INT64_MAX;
  return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

double array_get_f64(const AttnArray *a, const int64_t *index) {
  const void *p = element(a, index);
  switch (a->type) {
  case ELEM_F16: return f16_to_f32(*(const uint16_t *)p);
  case ELEM_BF16: return bf16_to_f32(*(const uint16_t *)p);
  case ELEM_F32: return *(const float *)p;
  case ELEM_F64: return *(const double *)p;
  case ELEM_I32:
  case ELEM_I64:
  case ELEM_U8:
  case ELEM_BOOL: return (double)array_get_i64(a, index);
  }
  return 0;
}

int64_t array_get_i64(const AttnArray *a, const int64_t *index) {
  const void *p = element(a, index);
  switch (a->type) {
  case ELEM_I32: return *(const int32_t *)p;
  case ELEM_I64: return *(const int64_t *)p;
  case ELEM_U8: return *(const uint8_t *)p;
  case ELEM_BOOL: return *(const uint8_t *)p != 0;
  case ELEM_F16:
  case ELEM_BF16:
  case ELEM_F32:
  case ELEM_F64: return saturate_f64(array_get_f64(a, index));
  }
  return 0;
}
