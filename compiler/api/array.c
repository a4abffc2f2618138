/* array: arrays of the interface and arrays of the runtime, which are the same but for their names. */
#include "api/api.h"
#include "base/ice.h"

attn_array attn_array_of(void *data, attn_type type, int rank, const int64_t *shape) {
  attn_array a = {.data = data, .type = type, .rank = rank};
  if (rank < 0 || rank > ATTN_MAX_RANK) return a; /* binding it is the error */
  int64_t stride = 1;
  for (int k = rank; k-- > 0;) {
    a.shape[k] = shape[k];
    a.stride[k] = stride;
    if (shape[k] > 0 && __builtin_mul_overflow(stride, shape[k], &stride)) stride = 0;
  }
  return a;
}

attn_type api_type(ElemType t) {
  switch (t) {
    case ELEMTYPE_F16: return ATTN_F16;
    case ELEMTYPE_BF16: return ATTN_BF16;
    case ELEMTYPE_F32: return ATTN_F32;
    case ELEMTYPE_F64: return ATTN_F64;
    case ELEMTYPE_I32: return ATTN_I32;
    case ELEMTYPE_I64: return ATTN_I64;
    case ELEMTYPE_U8: return ATTN_U8;
    case ELEMTYPE_BOOL: return ATTN_BOOL;
  }
  ICE("element type %d", (int)t);
}

static bool elem_type(attn_type t, ElemType *to) {
  switch (t) {
    case ATTN_F16: return *to = ELEMTYPE_F16, true;
    case ATTN_BF16: return *to = ELEMTYPE_BF16, true;
    case ATTN_F32: return *to = ELEMTYPE_F32, true;
    case ATTN_F64: return *to = ELEMTYPE_F64, true;
    case ATTN_I32: return *to = ELEMTYPE_I32, true;
    case ATTN_I64: return *to = ELEMTYPE_I64, true;
    case ATTN_U8: return *to = ELEMTYPE_U8, true;
    case ATTN_BOOL: return *to = ELEMTYPE_BOOL, true;
    case ATTN_GRAPH: return false;
  }
  return false;
}

bool api_array(const attn_array *from, const char *name, AttnArray *to, attn_message *why) {
  static int64_t nothing; /* data of arrays without elements; never read or written */
  int64_t count = 0;
  *to = (AttnArray){.data = from->data, .rank = from->rank};
  bool ok = elem_type(from->type, &to->type) && from->rank <= ATTN_MAX_RANK &&
            shape_count(from->rank, from->shape, elem_size(to->type), &count);
  if (!ok) return api_error(why, ATTN_ERROR_INPUT, "'%s': no array has such a type, rank or shape", name), false;
  if (count && !from->data) return api_error(why, ATTN_ERROR_INPUT, "'%s': the array has no data", name), false;
  if (!count) to->data = &nothing;
  for (int k = 0; k < from->rank; k++) {
    to->shape[k] = from->shape[k];
    to->stride[k] = from->stride[k];
  }
  return true;
}
