/* back_files: see back_files.h. */
#include "back_files.h"

#include "half.h"

static void put(const Array *a, bool f64, char *data, int64_t n, const EvalInput *in) {
  switch (a->elem) {
    case STORE_BOOL: data[n] = (char)in->integer[n]; return;
    case STORE_INT: ((int64_t *)(void *)data)[n] = in->integer[n]; return;
    case STORE_WIDE: ((double *)(void *)data)[n] = in->real[n]; return;
    case STORE_F32: ((float *)(void *)data)[n] = (float)in->real[n]; return;
    case STORE_F16: ((uint16_t *)(void *)data)[n] = f64_to_f16(in->real[n]); return;
    case STORE_BF16: ((uint16_t *)(void *)data)[n] = f64_to_bf16(in->real[n]); return;
    case STORE_REAL:
      if (f64) ((double *)(void *)data)[n] = in->real[n];
      else ((float *)(void *)data)[n] = (float)in->real[n];
      return;
  }
}

static attn_view view_of(Arena *arena, uint32_t rank, const int64_t *dims, int64_t *count) {
  attn_view v = {0};
  *count = 1;
  for (uint32_t d = rank; d-- > 0;) {
    v.size[d] = dims[d];
    v.stride[d] = *count;
    *count *= dims[d];
  }
  v.data = arena_alloc(arena, (size_t)*count * 8);
  return v;
}

/* Views are numbered as inputs are, but for the second one of a graph, which is the last input where there is one. */
void bind_run(Arena *arena, const Kernel *k, const Run *run, attn_view *in, attn_view *out) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    int64_t count;
    if (a->kind == ARRAY_IN) {
      const EvalInput *from = &run->args.inputs[a->external * EVAL_PARTS + a->part];
      attn_view *v = &in[a->external + (a->part == PART_INDICES)];
      *v = view_of(arena, a->rank, from->dims, &count);
      for (int64_t i = 0; i < count; i++) put(a, run->args.f64, v->data, i, from);
    }
    if (a->kind == ARRAY_OUT) out[a->external] = view_of(arena, a->rank, run->outputs[a->external].dims, &count);
  }
}
