/* verify_input: see verify_input.h. */
#include "driver/verify_input.h"

#include "random.h"

static void fix_dims(Arena *arena, const AttnArray *a, BoundInput *to) {
  *to = (BoundInput){.rank = (uint32_t)a->rank, .dims = NEW_ARRAY(arena, int64_t, a->rank), .count = array_count(a)};
  for (int k = 0; k < a->rank; k++) to->dims[k] = a->shape[k];
}

static void fix_array(Arena *arena, const AttnArray *a, BoundInput *to) {
  RtError err;
  ArenaOwned *own = bind_own_array(arena);
  AttnArray *wide = own->what;
  bool real = elem_is_float(a->type);
  fix_dims(arena, a, to);
  if (!array_convert(a, real ? ELEMTYPE_F64 : ELEMTYPE_I64, wide, NULL, &err)) return;
  if (real) to->real = NEW_ARRAY(arena, double, to->count);
  else to->integer = NEW_ARRAY(arena, int64_t, to->count);
  array_pack(wide, 0, to->count, real ? (void *)to->real : (void *)to->integer);
  arena_drop(own);
}

void verify_fix_inputs(Arena *arena, const Inputs *given, Binding *b) {
  for (uint32_t k = 0; k < given->model->inputs.n; k++) {
    const Bound *g = &given->at[k];
    BoundInput *to = &b->inputs[k];
    if (g->data.data) fix_array(arena, &g->data, to);
    if (!g->indptr.data) continue;
    to->indptr = g->indptr.data;
    to->indices = g->indices.data;
    to->nnz = array_count(&g->indices);
  }
}

static AttnArray view(void *data, ElemType t, uint32_t rank, const int64_t *dims) {
  AttnArray a = {0};
  array_view(&a, data, t, (int)rank, dims);
  return a;
}

static AttnArray real_array(Arena *arena, const BoundInput *b, ElemType to, double noise, int64_t seed) {
  AttnArray wide;
  ArenaOwned *own = bind_own_array(arena);
  AttnArray *result = own->what;
  RtError err;
  double *x = NEW_ARRAY(arena, double, b->count);
  for (int64_t i = 0; i < b->count; i++)
    x[i] = noise == 0 ? b->real[i] : b->real[i] * (1 + noise * (2 * attn_rt_random_uniform(seed, 1, &i) - 1));
  wide = view(x, ELEMTYPE_F64, b->rank, b->dims);
  if (to == ELEMTYPE_F64 || !array_convert(&wide, to, result, NULL, &err)) return wide;
  void *data = arena_array(arena, (size_t)b->count, elem_size(to));
  array_pack(result, 0, b->count, data);
  arena_drop(own);
  return view(data, to, b->rank, b->dims);
}

static AttnArray bool_array(Arena *arena, const BoundInput *b) {
  uint8_t *x = NEW_ARRAY(arena, uint8_t, b->count);
  for (int64_t i = 0; i < b->count; i++) x[i] = b->integer[i] != 0;
  return view(x, ELEMTYPE_BOOL, b->rank, b->dims);
}

static Bound to_bound(Arena *arena, const Input *in, const BoundInput *b, bool f64, double noise, int64_t seed) {
  ElemType t = bind_elem_type(in->elem, f64);
  if (in->elem == ELEM_GRAPH) {
    int64_t rows = b->dims[0] + 1;
    return (Bound){
        .origin = FROM_VALUE, .indptr = view(b->indptr, t, 1, &rows), .indices = view(b->indices, t, 1, &b->nnz)};
  }
  if (b->real) return (Bound){.origin = FROM_VALUE, .data = real_array(arena, b, t, noise, seed)};
  if (t == ELEMTYPE_BOOL) return (Bound){.origin = FROM_VALUE, .data = bool_array(arena, b)};
  return (Bound){.origin = FROM_VALUE, .data = view(b->integer, t, b->rank, b->dims)};
}

Inputs verify_inputs(Arena *arena, const Model *m, const Binding *b, bool f64, double noise, int64_t seed) {
  Inputs in = {.model = m, .f64 = f64, .sizes = b->sizes, .at = NEW_ARRAY(arena, Bound, m->inputs.n)};
  for (uint32_t k = 0; k < m->inputs.n; k++)
    in.at[k] = to_bound(arena, m->inputs.at[k], &b->inputs[k], f64, noise, seed + (int64_t)k);
  return in;
}
