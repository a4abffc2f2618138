/* graph: a sparse adjacency in CSR form is checked whole, so that no kernel needs to. */
#include "driver/bind.h"
#include "driver/measure.h"

static bool row_is_sound(const char *name, const int64_t *indices, int64_t lo, int64_t hi, int64_t row, int64_t columns,
                         int64_t *last_row) {
  for (int64_t e = lo; e < hi; e++) {
    int64_t j = indices[e];
    if (j < 0 || j >= columns) {
      wrong("graph '%s': %s.indices[%lld] = %lld is not a column: there are %lld", name, name, (long long)e,
            (long long)j, (long long)columns);
      return false;
    }
    if (last_row[j] == row) {
      wrong("graph '%s': row %lld names column %lld twice", name, (long long)row, (long long)j);
      return false;
    }
    last_row[j] = row;
  }
  return true;
}

static bool pointers_are_sound(const char *name, const int64_t *indptr, int64_t rows, int64_t nnz) {
  if (indptr[0] != 0) {
    wrong("graph '%s': %s.indptr starts with %lld, not with 0", name, name, (long long)indptr[0]);
    return false;
  }
  for (int64_t i = 0; i < rows; i++)
    if (indptr[i + 1] < indptr[i]) {
      wrong("graph '%s': %s.indptr falls from %lld to %lld at row %lld", name, name, (long long)indptr[i],
            (long long)indptr[i + 1], (long long)i);
      return false;
    }
  if (indptr[rows] == nnz) return true;
  wrong("graph '%s': %s.indptr ends with %lld, but %s.indices has length %lld", name, name, (long long)indptr[rows],
        name, (long long)nnz);
  return false;
}

static bool is_sound(Arena *scratch, const Inputs *in, const Input *x) {
  const Bound *b = &in->at[x->id];
  const char *name = sym_text(in->model->names, x->name);
  int64_t shape[2], rows = b->indptr.shape[0] - 1;
  const int64_t *indptr = b->indptr.data, *indices = b->indices.data;
  if (!pointers_are_sound(name, indptr, rows, b->indices.shape[0])) return false;
  if (!measure_input(in, x, shape)) return true; /* columns are not known yet */
  if (shape[1] > INT32_MAX * (int64_t)64) {
    wrong("graph '%s' has too many columns: %lld", name, (long long)shape[1]);
    return false;
  }
  int64_t *last_row = NEW_ARRAY(scratch, int64_t, shape[1]);
  for (int64_t j = 0; j < shape[1]; j++) last_row[j] = -1;
  for (int64_t i = 0; i < rows; i++)
    if (!row_is_sound(name, indices, indptr[i], indptr[i + 1], i, shape[1], last_row)) return false;
  return true;
}

bool bind_graphs(Arena *arena, const Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    if (!in->at[k].indptr.data) continue;
    ArenaMark mark = arena_mark(arena);
    ok = is_sound(arena, in, in->model->inputs.at[k]) && ok;
    arena_release(arena, mark);
  }
  return ok;
}
