/* oracle: checks the binding, builds the world, infers, and fills the outputs one element at a time. */
#include "oracle/oracle.h"

#include <math.h>

#include "base/ice.h"
#include "oracle/world.h"

OracleLimits oracle_default_limits(void) { return (OracleLimits){.max_values = 4e6, .max_steps = 2e8}; }

/* ---- the binding ---------------------------------------------------------------------------------------- */

static const char *input_name(const World *w, const Input *x) { return sym_text(w->model->names, x->name); }

/* Sorts the neighbours of one row; false where one is stored twice. */
static bool sort_row(int64_t *at, int64_t n) {
  for (int64_t k = 1; k < n; k++)
    for (int64_t j = k; j > 0 && at[j] <= at[j - 1]; j--) {
      if (at[j] == at[j - 1]) return false;
      int64_t swap = at[j];
      at[j] = at[j - 1];
      at[j - 1] = swap;
    }
  return true;
}

static void sort_graph(World *w, const Input *x, const BoundInput *b) {
  int64_t *columns = w->columns[x->id] = oracle_copy_values(w->arena, b->indices, (uint32_t)b->nnz);
  for (int64_t row = 0; row < b->dims[0]; row++)
    if (!sort_row(columns + b->indptr[row], b->indptr[row + 1] - b->indptr[row]))
      world_fault(w, x->span, "row %lld of graph '%s' holds an index twice", (long long)row, input_name(w, x));
}

static void check_graph(World *w, const Input *x, const BoundInput *b) {
  if (b->rank != 2 || b->nnz < 0 || b->nnz > UINT32_MAX / 2 || !b->indptr || b->indptr[0] != 0 ||
      b->indptr[b->dims[0]] != b->nnz) {
    world_fault(w, x->span, "graph '%s' is not valid CSR", input_name(w, x));
    return;
  }
  for (int64_t row = 0; row < b->dims[0]; row++)
    if (b->indptr[row] > b->indptr[row + 1] || b->indptr[row + 1] > b->nnz) {
      world_fault(w, x->span, "indptr of graph '%s' does not rise at row %lld", input_name(w, x), (long long)row);
      return;
    }
  for (int64_t k = 0; k < b->nnz; k++)
    if (b->indices[k] < 0 || b->indices[k] >= b->dims[1])
      world_fault(w, x->span, "graph '%s' has a column outside 0 .. %lld", input_name(w, x), (long long)b->dims[1]);
}

static void check_input(World *w, const Input *x) {
  const BoundInput *b = &w->bound->inputs[x->id];
  if (b->rank != x->dims.n)
    world_fault(w, x->span, "input '%s' has rank %u, not %u", input_name(w, x), b->rank, x->dims.n);
  int64_t count = 1;
  for (uint32_t k = 0; k < x->dims.n && !w->failed; k++) {
    int64_t want = world_int(w, x->dims.at[k]);
    if (b->dims[k] != want || want < 0)
      world_fault(w, x->span, "dimension %u of input '%s' is %lld, not %lld", k, input_name(w, x),
                  (long long)b->dims[k], (long long)want);
    count *= b->dims[k];
  }
  if (w->failed) return;
  if (x->elem == ELEM_GRAPH) {
    check_graph(w, x, b);
    if (!w->failed) sort_graph(w, x, b);
  } else if (b->count != count || (x->elem == ELEM_INT || x->elem == ELEM_BOOL ? !b->integer : !b->real))
    world_fault(w, x->span, "input '%s' is not bound to an array of its type and size", input_name(w, x));
}

bool oracle_input_dims(const Model *m, const int64_t *sizes, const Input *input, int64_t *dims) {
  Arena *arena = arena_child(m->arena);
  Binding bound = {.sizes = (int64_t *)(uintptr_t)sizes};
  World w = {.arena = arena, .scratch = arena, .model = m, .bound = &bound, .limits = oracle_default_limits(),
             .need = NEED_NOTHING};
  w.index = NEW_ARRAY(arena, int64_t, m->index_count);
  w.loose = NEW_ARRAY(arena, bool, m->index_count);
  bool ok = true;
  for (uint32_t k = 0; k < input->dims.n && ok; k++) {
    dims[k] = world_int(&w, input->dims.at[k]);
    ok = !w.failed && dims[k] >= 0;
  }
  arena_child_free(arena);
  return ok;
}

/* Nothing below looks at more indices at once than there is room for. */
static void check_ranks(World *w) {
  const Model *m = w->model;
  uint32_t most = 0;
  Span at = m->span;
#define RANK(n, place) do { if ((n) > most) most = (n), at = (place); } while (0)
  for (uint32_t k = 0; k < m->inputs.n; k++) RANK(m->inputs.at[k]->dims.n, m->inputs.at[k]->span);
  for (uint32_t k = 0; k < m->lets.n; k++)
    RANK(m->lets.at[k]->plates.n + m->lets.at[k]->own.n + m->lets.at[k]->axes.n, m->lets.at[k]->span);
  for (uint32_t k = 0; k < m->edges.n; k++) RANK(edge_rank(m->edges.at[k]), m->edges.at[k]->span);
  for (uint32_t k = 0; k < m->latents.n; k++)
    RANK(m->latents.at[k]->plates.n + m->latents.at[k]->own.n + m->latents.at[k]->axes.n, m->latents.at[k]->span);
  for (uint32_t k = 0; k < m->weights.n; k++)
    RANK(m->weights.at[k]->plates.n + m->weights.at[k]->axes.n, m->weights.at[k]->span);
  for (uint32_t k = 0; k < m->outs.n; k++)
    RANK(m->outs.at[k]->plates.n + m->outs.at[k]->slots.n + m->outs.at[k]->axes.n, m->outs.at[k]->span);
#undef RANK
  if (most >= MAX_RANK) world_refuse(w, at, "%u indices at once; the oracle follows at most %d", most, MAX_RANK - 1);
}

/* ---- outputs ------------------------------------------------------------------------------------------------ */

typedef struct Fill { const Out *out; OutputArray *array; int64_t next; } Fill;

static void fill_element(World *w, void *data, const int64_t *at) {
  (void)at;
  Fill *f = data;
  Val v = world_eval(w, f->out->value);
  if (f->array->integer) f->array->integer[f->next++] = v.i == NONE_VALUE ? -1 : v.i;
  else f->array->real[f->next++] = f->out->value->type == TYPE_REAL ? v.r : (double)v.i;
}

static OutputArray *shape_output(World *w, const Out *out) {
  OutputArray *a = NEW(w->arena, OutputArray);
  a->rank = out->slots.n + out->axes.n;
  a->dims = NEW_ARRAY(w->arena, int64_t, a->rank);
  a->count = 1;
  for (uint32_t k = 0; k < a->rank; k++) {
    const Index *x = k < out->slots.n ? out->slots.at[k] : out->axes.at[k - out->slots.n];
    a->count *= a->dims[k] = world_range(w, &x->range).n;
  }
  if ((double)a->count > w->limits.max_values) {
    world_refuse(w, out->span, "an output of %lld elements", (long long)a->count);
    return a;
  }
  bool real = out->type == TYPE_REAL || out->is_count;
  if (real) a->real = NEW_ARRAY(w->arena, double, a->count);
  else a->integer = NEW_ARRAY(w->arena, int64_t, a->count);
  return a;
}

static OutputArray *run_output(World *w, const Out *out) {
  OutputArray *a = shape_output(w, out);
  if (w->failed) return NULL;
  Fill f = {out, a, 0};
  w->unjudged = false;
  w->plates = &out->plates;
  world_for(w, &out->slots, &out->axes, fill_element, &f);
  w->plates = NULL;
  return w->unjudged || w->failed || latents_lost(w) ? NULL : a;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void run_world(World *w, OutputArray **outs) {
  const Model *m = w->model;
  check_ranks(w);
  for (uint32_t k = 0; k < m->inputs.n && !w->failed; k++) check_input(w, m->inputs.at[k]);
  if (w->failed || !world_build(w)) return;
  if (m->latents.n ? !world_infer_latents(w) : !world_infer_components(w)) return;
  for (uint32_t k = 0; k < m->outs.n && !w->failed; k++) outs[k] = run_output(w, m->outs.at[k]);
}

bool oracle_run(Arena *arena, const Model *m, const Binding *bound, const OracleLimits *limits, OutputArray ***outs,
                double *max_log_w, char **why) {
  Arena *scratch = arena_child(arena);
  World w = {.arena = arena, .scratch = scratch, .model = m, .bound = bound, .limits = *limits, .need = NEED_NOTHING};
  w.index = NEW_ARRAY(arena, int64_t, m->index_count);
  w.loose = NEW_ARRAY(arena, bool, m->index_count);
  w.columns = NEW_ARRAY(arena, int64_t *, m->inputs.n);
  *outs = NEW_ARRAY(arena, OutputArray *, m->outs.n);
  *why = NULL;
  run_world(&w, *outs);
  if (max_log_w) *max_log_w = w.max_log_w;
  arena_child_free(scratch);
  if (!w.failed) return true;
  Place p = source_place(m->source, w.fault_span.lo);
  *why = arena_printf(arena, "%s:%u:%u: %s", m->source->path, p.line, p.column, w.fault);
  return false;
}
