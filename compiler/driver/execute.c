/* execute: see execute.h.
 *
 * The kernel's arrays name the model's inputs and outputs (Array.external); its sizes are the model's, then
 * NAME.nnz of each graph, then the seed. */
#include "driver/execute.h"

#include <unistd.h>

#include "base/ice.h"
#include "driver/explain.h"
#include "driver/limit.h"
#include "driver/measure.h"
#include "driver/precheck.h"
#include "driver/site.h"
#include "infer/derive.h"
#include "ir/lengths.h"
#include "ir/pass.h"
#include "pool.h"

/* ---- model to code ---------------------------------------------------------------------------------------- */

Kernel *execute_derive(Arena *arena, const Loaded *l, const Model *m, const Options *o, Diags **refusals) {
  *refusals = load_messages(arena, l);
  Plan *plan = plan_model(arena, m);
  Kernel *k = plan->refusals.n ? NULL : derive_kernel(arena, plan);
  explain_refusals(plan, *refusals);
  if (!k) ICE_UNLESS((*refusals)->errors > 0);
  return k ? ir_run_passes_with(arena, k, &(PassOptions){.reassociate = o->reassociate}, NULL) : NULL;
}

BackOptions execute_back_options(const Options *o) {
  return (BackOptions){.f64 = o->f64, .cpu = o->cpu, .optimise = !o->no_optimise, .tile = !o->no_tiles,
                       .sanitize = o->sanitize, .cache = o->sanitize ? NULL : o->cache};
}

/* By place in Kernel.sizes, of which the model's come first. */
static const int64_t *expected_sizes(Arena *arena, const Kernel *k, const Model *m, const int64_t *sizes) {
  int64_t *expected = NEW_ARRAY(arena, int64_t, k->sizes.n + 1);
  for (uint32_t n = 0; n < k->sizes.n; n++) expected[n] = n < m->sizes.n ? sizes[n] : -1;
  return expected;
}

static const int64_t *fixed_lengths(Arena *arena, const Kernel *k, const Model *m, const int64_t *sizes) {
  const bool *is_length = ir_lengths(arena, k);
  int64_t *fixed = NEW_ARRAY(arena, int64_t, k->sizes.n + 1);
  for (uint32_t n = 0; n < k->sizes.n; n++) fixed[n] = n < m->sizes.n && is_length[n] ? sizes[n] : -1;
  return fixed;
}

Kernel *execute_specialise(Arena *arena, const Kernel *k, const Options *o, const int64_t *sizes) {
  PassOptions passes = {.reassociate = o->reassociate};
  return ir_run_passes_with(arena, pass_specialise(arena, k, sizes), &passes, NULL);
}

/* NULL: one thread does it all. */
static attn_pool *pool_of(int threads) {
  attn_pool *pool = threads != 1 ? pool_create(threads) : NULL;
  if (!pool || pool->threads > 1) return pool;
  pool_destroy(pool);
  return NULL;
}

static bool compile(Arena *arena, const Loaded *l, const Model *m, const Options *o, const int64_t *sizes, Program *p) {
  double start = seconds_now();
  Diags *refusals;
  Options open = *o; /* sums are reassociated once, when the sizes that are known have their place */
  if (sizes) open.reassociate = REASSOCIATE_NEVER;
  *p = (Program){.file = l, .model = m, .f64 = o->f64};
  p->kernel = execute_derive(arena, l, m, &open, &refusals);
  diag_print(refusals, message_stream());
  if (!p->kernel) return false;
  BackOptions options = execute_back_options(o);
  if (sizes) {
    options.expected = expected_sizes(arena, p->kernel, m, sizes);
    options.sizes = fixed_lengths(arena, p->kernel, m, sizes);
    p->kernel = execute_specialise(arena, p->kernel, o, options.sizes);
  }
  const char *why = "";
  bool ok = back_compile(arena, p->kernel, &options, &p->code, &why);
  if (!ok) wrong("%s", why);
  p->compile_seconds = l->seconds + seconds_now() - start;
  p->pool = ok ? pool_of(o->threads) : NULL;
  return ok;
}

/* Data may take what it takes, what is compiled may not. */
bool execute_compile(Arena *arena, const Loaded *l, const Model *m, const Options *o, const int64_t *sizes,
                     Program *p) {
  size_t before = arena_allow(arena, limit_of_memory(o));
  bool ok = compile(arena, l, m, o, sizes, p);
  arena->limit = before;
  return ok;
}

int execute_threads(const Program *p) { return p->pool ? p->pool->threads : 1; }

void execute_dispose(Program *p) {
  back_dispose(p->code);
  pool_destroy(p->pool);
  p->code = NULL;
  p->pool = NULL;
}

/* ---- a call ----------------------------------------------------------------------------------------------- */

static attn_view view_of(const AttnArray *a) {
  attn_view v = {.data = a->data};
  ICE_UNLESS(a->rank <= ATTN_MAX_RANK);
  for (int k = 0; k < a->rank; k++) {
    v.size[k] = a->shape[k];
    v.stride[k] = a->stride[k];
  }
  return v;
}

static const AttnArray *input_part(const Inputs *in, const Array *a) {
  const Bound *b = &in->at[a->external];
  switch (a->part) {
  case PART_DATA: return &b->data;
  case PART_INDPTR: return &b->indptr;
  case PART_INDICES: return &b->indices;
  }
  return NULL;
}

static void fill_views(Call *c, const Inputs *in, const Results *r) {
  const Kernel *k = c->program->kernel;
  uint32_t nin = 0, nout = 0;
  for (uint32_t i = 0; i < k->arrays.n; i++) {
    const Array *a = k->arrays.at[i];
    if (a->kind == ARRAY_IN) c->in[nin++] = view_of(input_part(in, a));
    else if (a->kind == ARRAY_OUT) c->out[nout++] = view_of(&r->at[a->external]);
  }
}

static void fill_sizes(Call *c, const Inputs *in, uint64_t seed) {
  const Model *m = c->program->model;
  uint32_t n = 0;
  for (; n < m->sizes.n; n++) c->sizes[n] = in->sizes[n];
  for (uint32_t k = 0; k < m->inputs.n; k++)
    if (m->inputs.at[k]->elem == ELEM_GRAPH) c->sizes[n++] = array_count(&in->at[k].indices);
  if (n < c->program->kernel->sizes.n) c->sizes[n++] = (int64_t)seed;
  ICE_UNLESS(n == c->program->kernel->sizes.n);
}

bool execute_shape(const Program *p, const Inputs *in, const Out *o, AttnArray *a) {
  int64_t count;
  *a = (AttnArray){.type = measure_output_type(o, p->f64), .rank = (int)(o->slots.n + o->axes.n)};
  if (!measure_output(in->model, in->sizes, o, a->shape) ||
      !shape_count(a->rank, a->shape, elem_size(a->type), &count)) {
    wrong("output '%s' is too large", sym_text(in->model->names, o->name));
    return false;
  }
  shape_strides(a->rank, a->shape, false, a->stride);
  return true;
}

static bool make_results(Arena *arena, const Program *p, const Inputs *in, Results *r) {
  const Model *m = in->model;
  *r = (Results){.model = m, .at = NEW_ARRAY(arena, AttnArray, m->outs.n)};
  for (uint32_t i = 0; i < m->outs.n; i++) {
    AttnArray *a = &r->at[i];
    if (!execute_shape(p, in, m->outs.at[i], a)) return false;
    a->data = arena_array(arena, (size_t)array_count(a), elem_size(a->type));
  }
  return true;
}

static double memory_of_machine(void) { return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE); }

bool execute_prepare(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, Results *r, Call *c) {
  return make_results(arena, p, in, r) && execute_prepare_for(arena, p, in, seed, r, c);
}

bool execute_prepare_for(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, const Results *r, Call *c) {
  enum { ALIGN = 64 };
  *c = (Call){.program = p, .in = NEW_ARRAY(arena, attn_view, p->kernel->arrays.n + 1),
              .out = NEW_ARRAY(arena, attn_view, p->kernel->arrays.n + 1),
              .sizes = NEW_ARRAY(arena, int64_t, p->kernel->sizes.n + 1)};
  fill_views(c, in, r);
  fill_sizes(c, in, seed);
  c->workspace_bytes = p->code->workspace(c->sizes, execute_threads(p));
  if ((double)c->workspace_bytes > memory_of_machine()) {
    wrong("the model needs %.3g GiB of workspace at %s; this machine has %.3g", (double)c->workspace_bytes / 0x1p30,
          precheck_sizes(arena, p->model, in->sizes), memory_of_machine() / 0x1p30);
    return false;
  }
  char *bytes = arena_alloc(arena, c->workspace_bytes + ALIGN);
  c->workspace = bytes + (ALIGN - (uintptr_t)bytes % ALIGN) % ALIGN;
  return true;
}

static const long long TOO_MANY = 1000000000000000;

/* step: counted from 1. */
static void report_concave(Arena *arena, const Model *m, Diags *diags, Span at, int64_t step) {
  const char *names = "a latent";
  for (uint32_t i = 0; i < m->infers.n; i++) {
    const Infer *line = m->infers.at[i];
    if (line->span.lo != at.lo || line->span.hi != at.hi) continue;
    for (uint32_t k = 0; k < line->latents.n; k++) {
      const char *name = sym_text(m->names, line->latents.at[k]->name);
      names = k ? arena_printf(arena, "%s, '%s'", names, name) : arena_printf(arena, "'%s'", name);
    }
  }
  Diag *d = diag_error(
      diags, at,
      "no closed step %lld for %s: the expected log weight has no maximum there, or its exponential no integral",
      (long long)step, names);
  diag_hint(
      diags, d,
      "a prior with a smaller spread holds the latent; with 'method = gradient' and a point it moves in any case");
}

void execute_report(Arena *arena, const Call *c, const attn_error *err) {
  const Program *p = c->program;
  Diags *diags = load_messages(arena, p->file);
  if (err->status == ATTN_ERROR_WORKSPACE || err->site < 0 || (uint32_t)err->site >= p->code->nsites)
    ICE("a kernel failed with status %d at site %d", (int)err->status, (int)err->site);
  Span at = p->code->sites[err->site];
  if (err->status == ATTN_ERROR_DIVISOR) diag_error(diags, at, "division by zero");
  else if (err->status == ATTN_ERROR_CONCAVE) report_concave(arena, p->model, diags, at, err->limit);
  else if (err->status == ATTN_ERROR_CLIQUE) {
    Diag *d =
        err->value > TOO_MANY
            ? diag_error(diags, at,
                         "the copies that are joined here form cliques of more than 24 copies; an exact sum keeps at "
                         "most %lld numbers",
                         (long long)err->limit)
            : diag_error(diags, at,
                         "the exact sum over the copies that are joined here keeps %lld numbers; the limit is %lld",
                         (long long)err->value, (long long)err->limit);
    diag_hint(diags, d,
              "the number of values to the power of how many copies the sum passes through at once: fewer rows, or "
              "fewer values");
  } else site_report(diags, p->model, at, err->value, err->limit, c->sizes);
  diag_print(diags, message_stream());
}

bool execute_call(const Call *c, attn_error *err) {
  *err = (attn_error){0};
  const Program *p = c->program;
  return p->code->run(c->in, c->out, c->sizes, c->workspace, c->workspace_bytes, p->pool, err) == 0;
}

bool execute_run(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, Results *r) {
  Call c;
  attn_error err;
  if (!execute_prepare(arena, p, in, seed, r, &c)) return false;
  double start = seconds_now();
  bool ok = execute_call(&c, &err);
  r->seconds = seconds_now() - start;
  if (!ok) execute_report(arena, &c, &err);
  return ok;
}
