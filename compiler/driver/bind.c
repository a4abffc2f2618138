/* bind: the order of the steps.  Later steps rely on the earlier ones, so the first that fails ends it. */
#include "driver/bind.h"

#include "driver/measure.h"
#include "model/term.h"

ElemType bind_elem_type(ElemKind kind, bool f64) {
  switch (kind) {
  case ELEM_REAL: return f64 ? ELEMTYPE_F64 : ELEMTYPE_F32;
  case ELEM_F64: return ELEMTYPE_F64;
  case ELEM_F32: return ELEMTYPE_F32;
  case ELEM_F16: return ELEMTYPE_F16;
  case ELEM_BF16: return ELEMTYPE_BF16;
  case ELEM_INT: case ELEM_GRAPH: return ELEMTYPE_I64;
  case ELEM_BOOL: return ELEMTYPE_BOOL;
  }
  return ELEMTYPE_F64;
}

const char *bind_wants(Arena *arena, const Model *m, const Input *x) {
  static const char *const names[] = {"real", "f64", "f32", "f16", "bf16", "int", "bool", "graph"};
  if (!x->dims.n) return arena_printf(arena, "one number (%s)", names[x->elem]);
  const char *text = "";
  for (uint32_t k = 0; k < x->dims.n; k++)
    text = arena_printf(arena, "%s%s%s", text, k ? ", " : "", term_text(m, arena, x->dims.at[k]));
  return arena_printf(arena, "%s[%s]", names[x->elem], text);
}

void bind_begin(Arena *arena, const Model *m, bool f64, Inputs *in) {
  *in = (Inputs){.model = m, .f64 = f64, .sizes = NEW_ARRAY(arena, int64_t, m->sizes.n),
                 .size_from = NEW_ARRAY(arena, const char *, m->sizes.n), .at = NEW_ARRAY(arena, Bound, m->inputs.n)};
  for (uint32_t k = 0; k < m->sizes.n; k++) in->sizes[k] = -1;
}

static bool complete(const Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    const Input *x = in->model->inputs.at[k];
    const char *name = sym_text(in->model->names, x->name);
    if (in->at[k].origin != FROM_NOTHING) continue;
    ok = false;
    if (x->elem != ELEM_GRAPH)
      wrong("input '%s' is not given; write %s=FILE.npy%s", name, name, x->dims.n ? "" : " or a number");
    else wrong("graph '%s' is not given; write %s.indptr=FILE.npy %s.indices=FILE.npy", name, name, name);
  }
  return ok;
}

static void settle_missing(Inputs *in, BindMode mode) {
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    const Input *x = in->model->inputs.at[k];
    Bound *b = &in->at[k];
    if (b->origin != FROM_NOTHING) continue;
    if (x->init && mode != BIND_GIVEN) b->origin = FROM_DEFAULT;
    else if (mode == BIND_RANDOM)
      *b = (Bound){.origin = FROM_RANDOM, .random_seed = (int64_t)k + 1};
  }
}

int bind_inputs(Arena *arena, const Model *m, bool f64, const char *const *words, uint32_t n, BindMode mode,
                Inputs *in) {
  bind_begin(arena, m, f64, in);
  if (!bind_names(arena, in, words, n, mode)) return STATUS_WRONG;
  if (mode == BIND_SIZES) return STATUS_DONE;
  settle_missing(in, mode);
  bool ok = mode == BIND_GIVEN || complete(in);
  ok = bind_files(arena, in) && ok;
  if (!ok || !bind_sizes(arena, in, mode != BIND_GIVEN)) return STATUS_WRONG;
  if (mode != BIND_GIVEN && !measure_fits(in)) return STATUS_WRONG;
  return bind_fill(arena, in) && bind_graphs(arena, in) ? STATUS_DONE : STATUS_WRONG;
}

bool bind_finish(Arena *arena, Inputs *in) {
  settle_missing(in, BIND_ALL);
  return complete(in) && bind_sizes(arena, in, true) && measure_fits(in) && bind_fill(arena, in) &&
         bind_graphs(arena, in);
}
