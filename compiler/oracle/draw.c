/* draw: sizes first, then every input by what its uses demand, until the preconditions hold. */
#include "oracle/draw.h"

#include <math.h>

#include "oracle/demand.h"
#include "oracle/world.h"
#include "half.h"
#include "random.h"

enum { MAX_TRIES = 400 };

typedef struct Drawing {
  World w;
  const DrawOptions *options;
  Demand *demands;
  Binding *bound;
  int64_t seed, next; /* place in the stream of random numbers */
} Drawing;

static double uniform(Drawing *d) { return attn_rt_random_uniform(d->seed, 1, (int64_t[]){d->next++}); }
static double standard_normal(Drawing *d) { return attn_rt_random_normal(d->seed, 1, (int64_t[]){d->next++}); }
static int64_t integer(Drawing *d, int64_t lo, int64_t hi) {
  return hi <= lo ? lo : attn_rt_random_int(d->seed, 1, (int64_t[]){d->next++}, lo, hi);
}

/* ---- sizes ------------------------------------------------------------------------------------------------ */

static int64_t draw_size(Drawing *d) {
  static const int64_t usual[] = {1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6};
  double u = uniform(d);
  int64_t max = d->options->max_size > 0 ? d->options->max_size : 9;
  int64_t size = u < 0.03 ? 0 : u < 0.06 ? 1 : u > 0.96 ? 7 + integer(d, 0, 3) : usual[integer(d, 0, 16)];
  return size < max ? size : max;
}

static void draw_sizes(Drawing *d) {
  for (uint32_t k = 0; k < d->w.model->sizes.n; k++) {
    int64_t fixed = d->options->sizes ? d->options->sizes[k] : -1;
    d->bound->sizes[k] = fixed >= 0 ? fixed : draw_size(d);
  }
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static double draw_real(Drawing *d, Role role) {
  switch (role) {
  case ROLE_FREE: return standard_normal(d);
  case ROLE_POSITIVE: case ROLE_SIMPLEX: case ROLE_DIVISOR: return exp(0.5 * standard_normal(d));
  case ROLE_PROBABILITY: return 0.1 + 0.8 * uniform(d);
  case ROLE_BINARY: return (double)integer(d, 0, 2);
  case ROLE_COUNT: return (double)integer(d, 0, 5);
  }
  return 0;
}

static void normalise_rows(BoundInput *b) {
  int64_t n = b->rank ? b->dims[b->rank - 1] : 0;
  for (int64_t row = 0; n && row < b->count / n; row++) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += b->real[row * n + k];
    for (int64_t k = 0; k < n; k++) b->real[row * n + k] /= sum;
  }
}

static double to_element(const Drawing *d, const Input *x, double value) {
  bool single = x->elem == ELEM_F32 || (x->elem == ELEM_REAL && d->options->round_f32);
  if (x->elem == ELEM_F16) return (double)f16_to_f32(f64_to_f16(value));
  if (x->elem == ELEM_BF16) return (double)bf16_to_f32(f64_to_bf16(value));
  return single ? (double)(float)value : value;
}

static void draw_reals(Drawing *d, const Input *x, BoundInput *b) {
  Role role = d->demands[x->id].role;
  b->real = NEW_ARRAY(d->w.arena, double, b->count);
  for (int64_t k = 0; k < b->count; k++) b->real[k] = draw_real(d, role);
  if (role == ROLE_SIMPLEX) normalise_rows(b);
  for (int64_t k = 0; k < b->count; k++) b->real[k] = to_element(d, x, b->real[k]);
}

/* One more than the largest value that all uses allow. */
static int64_t int_end(Drawing *d, const Demand *demand) {
  int64_t end = INT64_MAX;
  for (uint32_t k = 0; k < demand->limits.n; k++) {
    Val v;
    if (!world_try(&d->w, demand->limits.at[k].term, &v)) continue;
    int64_t this_end = v.i + demand->limits.at[k].inclusive;
    if (this_end < end) end = this_end;
  }
  return end < INT64_MAX ? end : 4;
}

static void sort_rows(BoundInput *b) {
  int64_t n = b->rank ? b->dims[b->rank - 1] : 0;
  for (int64_t row = 0; n && row < b->count / n; row++)
    for (int64_t k = 1; k < n; k++)
      for (int64_t j = k; j > 0 && b->integer[row * n + j] < b->integer[row * n + j - 1]; j--) {
        int64_t swap = b->integer[row * n + j];
        b->integer[row * n + j] = b->integer[row * n + j - 1];
        b->integer[row * n + j - 1] = swap;
      }
}

static void draw_ints(Drawing *d, const Input *x, BoundInput *b) {
  const Demand *demand = &d->demands[x->id];
  int64_t lo = demand->role == ROLE_DIVISOR || demand->role == ROLE_POSITIVE, end = int_end(d, demand);
  if (x->elem == ELEM_BOOL || demand->role == ROLE_BINARY) lo = 0, end = 2;
  b->integer = NEW_ARRAY(d->w.arena, int64_t, b->count);
  for (int64_t k = 0; k < b->count; k++) b->integer[k] = integer(d, lo, end);
  if (demand->sorted) sort_rows(b);
}

static void draw_graph(Drawing *d, BoundInput *b) {
  Arena *arena = d->w.arena;
  int64_t rows = b->dims[0], columns = b->dims[1];
  b->indptr = NEW_ARRAY(arena, int64_t, rows + 1);
  b->indices = NEW_ARRAY(arena, int64_t, rows * columns);
  for (int64_t row = 0; row < rows; row++) {
    double density = uniform(d) < 0.1 ? 0 : 0.3 + 0.6 * uniform(d);
    for (int64_t column = 0; column < columns; column++)
      if (uniform(d) < density) b->indices[b->nnz++] = column;
    b->indptr[row + 1] = b->nnz;
  }
}

/* The default of a param at every element. */
typedef struct Default { const Input *input; BoundInput *b; int64_t next; Drawing *d; } Default;

static void fill_default(World *w, void *data, const int64_t *at) {
  (void)at;
  Default *f = data;
  double x = world_real(w, f->input->init);
  if (f->b->integer) f->b->integer[f->next++] = (int64_t)x;
  else f->b->real[f->next++] = to_element(f->d, f->input, x);
}

/* False where its shape is another than the sizes say. */
static bool take_given(Drawing *d, const Input *x, const BoundInput *given) {
  bool fits = given->rank == x->dims.n;
  for (uint32_t k = 0; k < x->dims.n && fits; k++) fits = world_int(&d->w, x->dims.at[k]) == given->dims[k];
  if (!fits) world_fault(&d->w, x->span, "input '%s' does not fit the sizes", sym_text(d->w.model->names, x->name));
  d->bound->inputs[x->id] = *given;
  d->w.columns[x->id] = given->indices;
  return !d->w.failed;
}

static bool draw_input(Drawing *d, const Input *x) {
  BoundInput *b = &d->bound->inputs[x->id];
  const BoundInput *given = d->options->given ? d->options->given[x->id] : NULL;
  if (given) return take_given(d, x, given);
  *b = (BoundInput){.rank = x->dims.n, .count = 1};
  b->dims = NEW_ARRAY(d->w.arena, int64_t, b->rank);
  for (uint32_t k = 0; k < b->rank; k++) {
    b->dims[k] = world_int(&d->w, x->dims.at[k]);
    if (d->w.failed || b->dims[k] < 0 || b->dims[k] > 4096) return false;
    b->count *= b->dims[k];
    if (b->count > 1000000) return false;
  }
  if (x->elem == ELEM_GRAPH) {
    draw_graph(d, b);
    d->w.columns[x->id] = b->indices;
  }
  else if (x->elem == ELEM_INT || x->elem == ELEM_BOOL) draw_ints(d, x, b);
  else draw_reals(d, x, b);
  return !d->w.failed;
}

/* Half of the params that have a default take it; it may read other inputs, which are all drawn by now. */
static void draw_defaults(Drawing *d) {
  const Model *m = d->w.model;
  for (uint32_t k = 0; k < m->inputs.n && !d->w.failed; k++) {
    const Input *x = m->inputs.at[k];
    bool given = d->options->given && d->options->given[x->id];
    if (!x->init || given || uniform(d) < 0.5) continue;
    Default f = {x, &d->bound->inputs[x->id], 0, d};
    world_for(&d->w, &x->init_at, NULL, fill_default, &f);
  }
}

/* ---- preconditions ------------------------------------------------------------------------------------------ */

static void check_precondition(World *w, void *data, const int64_t *at) {
  (void)at;
  const Weight *x = data;
  if (!world_bool(w, x->value)) world_fault(w, x->span, "the inputs drawn break this precondition");
}

static bool preconditions_hold(Drawing *d) {
  const Model *m = d->w.model;
  for (uint32_t k = 0; k < m->weights.n && !d->w.failed; k++) {
    Weight *x = m->weights.at[k];
    if (x->kind == WEIGHT_REQUIRE && !oracle_mentions_edge(x->value) && !oracle_mentions_latent(x->value))
      world_for(&d->w, &x->plates, NULL, check_precondition, x);
  }
  return !d->w.failed;
}

static bool model_runs(Drawing *d, char **why) {
  if (!d->options->runs) return true;
  OutputArray **outs;
  char *message;
  Arena *arena = arena_child(d->w.arena);
  bool ok = oracle_run(arena, d->w.model, d->bound, d->options->runs, &outs, NULL, &message);
  if (!ok) *why = arena_printf(d->w.arena, "%s", message);
  arena_child_free(arena);
  return ok;
}

static bool try_draw(Drawing *d, char **why) {
  const Model *m = d->w.model;
  World *w = &d->w;
  w->failed = w->refused = false;
  w->steps = 0;
  w->let_ids = (Registry){0};
  w->let_values.n = 0;
  draw_sizes(d);
  bool ok = true;
  for (uint32_t k = 0; k < m->inputs.n && ok; k++) ok = draw_input(d, m->inputs.at[k]);
  if (ok) draw_defaults(d);
  ok = ok && preconditions_hold(d);
  if (!ok) *why = arena_printf(w->arena, "%s", w->failed ? w->fault : "a dimension is negative or very large");
  return ok && model_runs(d, why);
}

bool draw_binding(Arena *arena, const Model *m, uint64_t seed, const DrawOptions *options, Binding *bound, char **why) {
  Arena *scratch = arena_child(arena);
  Drawing d = {.w = {.arena = arena, .scratch = scratch, .model = m, .bound = bound,
                     .limits = oracle_default_limits(), .need = NEED_NOTHING},
               .options = options, .bound = bound, .seed = (int64_t)seed};
  d.w.index = NEW_ARRAY(arena, int64_t, m->index_count);
  d.w.loose = NEW_ARRAY(arena, bool, m->index_count);
  d.w.columns = NEW_ARRAY(arena, int64_t *, m->inputs.n);
  d.demands = draw_demands(arena, m);
  *bound = (Binding){.sizes = NEW_ARRAY(arena, int64_t, m->sizes.n),
                     .inputs = NEW_ARRAY(arena, BoundInput, m->inputs.n),
                     .seed = seed};
  *why = NULL;
  bool ok = false;
  for (int k = 0; k < MAX_TRIES && !ok; k++) ok = try_draw(&d, why);
  arena_child_free(scratch);
  if (ok) *why = NULL;
  return ok;
}
