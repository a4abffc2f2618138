/* bind_size: sizes from the shapes of what was given, and all shapes against the sizes.
 *
 * A dimension that is a bare size binds it; every other expression is only checked, once all sizes are known. */
#include "driver/bind.h"
#include "driver/measure.h"
#include "model/term.h"

static const char *name_of(const Inputs *in, Sym s) { return sym_text(in->model->names, s); }

static const char *shape_of(Arena *arena, const AttnArray *a) {
  char *text = arena_alloc(arena, 256);
  return shape_text(a->rank, a->shape, text, 256);
}

static bool bind_axis(Arena *arena, Inputs *in, const Input *x, const AttnArray *a, uint32_t axis, int64_t extent) {
  const Size *s = x->dims.at[axis]->size;
  const char *name = name_of(in, x->name);
  const char *here = arena_printf(arena, "axis %u of '%s'", axis, name);
  if (in->sizes[s->id] < 0) {
    in->sizes[s->id] = extent;
    in->size_from[s->id] = here;
    return true;
  }
  if (in->sizes[s->id] == extent) return true;
  wrong("size '%s' is %lld by %s, but %lld by %s", name_of(in, s->name), (long long)in->sizes[s->id],
        in->size_from[s->id], (long long)extent, here);
  const char *wants = bind_wants(arena, in->model, x);
  if (x->elem == ELEM_GRAPH)
    hint("'%s.indptr' has %lld entries, one more than there are rows; '%s' is declared as %s", name,
         (long long)a->shape[0], name, wants);
  else hint("'%s' has shape %s and is declared as %s", name, shape_of(arena, a), wants);
  return false;
}

static bool bind_shape(Arena *arena, Inputs *in, const Input *x) {
  const AttnArray *a = &in->at[x->id].data;
  if (a->rank != (int)x->dims.n) {
    wrong("input '%s' wants %s, found an array of shape %s", name_of(in, x->name), bind_wants(arena, in->model, x),
          shape_of(arena, a));
    return false;
  }
  bool ok = true;
  for (uint32_t k = 0; k < x->dims.n; k++)
    if (x->dims.at[k]->kind == TERM_SIZE) ok = bind_axis(arena, in, x, a, k, a->shape[k]) && ok;
  return ok;
}

/* The rows of a graph are counted by indptr; its columns by nothing. */
static bool bind_graph_shape(Arena *arena, Inputs *in, const Input *x) {
  const Bound *b = &in->at[x->id];
  const char *name = name_of(in, x->name);
  if (b->indptr.rank != 1 || b->indices.rank != 1 || b->indptr.shape[0] < 1) {
    wrong("graph '%s' wants two arrays of rank 1, indptr of a row more than the graph; found indptr %s, indices %s",
          name, shape_of(arena, &b->indptr), shape_of(arena, &b->indices));
    return false;
  }
  if (x->dims.at[0]->kind != TERM_SIZE) return true;
  return bind_axis(arena, in, x, &b->indptr, 0, b->indptr.shape[0] - 1);
}

static bool all_known(const Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->sizes.n; k++) {
    const char *name = name_of(in, in->model->sizes.at[k]->name);
    if (in->sizes[k] >= 0) continue;
    ok = false;
    wrong("size '%s' does not follow from the shape of an input; write %s=NUMBER", name, name);
  }
  return ok;
}

static const char *sizes_in(Arena *arena, const Inputs *in, const Term *t, const char *text) {
  if (t->kind == TERM_SIZE)
    return arena_printf(arena, "%s%s%s = %lld", text, *text ? ", " : "", name_of(in, t->size->name),
                        (long long)in->sizes[t->size->id]);
  for (uint32_t i = 0; i < t->args.n; i++) text = sizes_in(arena, in, t->args.at[i], text);
  return text;
}

static bool check_axis(Arena *arena, const Inputs *in, const Input *x, uint32_t axis, int64_t extent) {
  Known known = {.model = in->model, .sizes = in->sizes};
  const Term *dim = x->dims.at[axis];
  const char *name = name_of(in, x->name), *text = term_text(in->model, arena, dim);
  Constant want;
  ConstantStatus s = constant_eval(&known, dim, &want);
  if (s == CONSTANT_UNKNOWN) return true;
  if (s == CONSTANT_FAULT || want.i < 0) {
    wrong("axis %u of '%s', %s, is %s (%s)", axis, name, text, s == CONSTANT_FAULT ? "not a number" : "negative",
          sizes_in(arena, in, dim, ""));
    return false;
  }
  if (extent < 0 || want.i == extent) return true;
  wrong("axis %u of '%s' has length %lld, but %s = %lld (%s)", axis, name, (long long)extent, text, (long long)want.i,
        sizes_in(arena, in, dim, ""));
  return false;
}

static bool check_shape(Arena *arena, const Inputs *in, const Input *x) {
  const Bound *b = &in->at[x->id];
  bool ok = true;
  for (uint32_t k = 0; k < x->dims.n; k++) {
    int64_t extent = b->data.data ? b->data.shape[k] : -1;
    if (x->elem == ELEM_GRAPH && k == 0 && b->indptr.data) extent = b->indptr.shape[0] - 1;
    ok = check_axis(arena, in, x, k, extent) && ok;
  }
  return ok;
}

bool bind_sizes(Arena *arena, Inputs *in, bool all) {
  const Model *m = in->model;
  bool ok = true;
  for (uint32_t k = 0; k < m->inputs.n; k++) {
    const Input *x = m->inputs.at[k];
    if (in->at[k].data.data) ok = bind_shape(arena, in, x) && ok;
    else if (in->at[k].indptr.data) ok = bind_graph_shape(arena, in, x) && ok;
  }
  if (!ok || (all && !all_known(in))) return false;
  for (uint32_t k = 0; k < m->inputs.n; k++) ok = check_shape(arena, in, m->inputs.at[k]) && ok;
  return ok;
}
