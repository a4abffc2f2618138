/* bind_value: numbers, files, random numbers and defaults to arrays in the kernel's element types. */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "driver/bind.h"
#include "driver/constant.h"
#include "driver/measure.h"
#include "npy.h"
#include "random.h"

static const char *name_of(const Inputs *in, const Input *x) { return sym_text(in->model->names, x->name); }

static void dispose_array(void *a) { array_free(a); }

ArenaOwned *bind_own_array(Arena *arena) {
  ArenaOwned *own = arena_own(arena, dispose_array);
  own->what = NEW(arena, AttnArray);
  return own;
}

/* Rank, shape and elements of `from` as type `to`, on the arena. */
static bool take(Arena *arena, const AttnArray *from, ElemType to, const char *name, AttnArray *result) {
  ArenaOwned *own = bind_own_array(arena);
  AttnArray *converted = own->what;
  RtError err;
  bool same = from->type == to;
  if (!same && !array_convert(from, to, converted, name, &err)) {
    wrong("input %s", err.message);
    return false;
  }
  const AttnArray *source = same ? from : converted;
  int64_t count = array_count(source);
  void *data = arena_array(arena, (size_t)count, elem_size(to));
  array_pack(source, 0, count, data);
  array_view(result, data, to, source->rank, source->shape);
  arena_drop(own);
  return true;
}

static bool type_fits(ElemKind want, ElemType have) {
  switch (want) {
  case ELEM_INT: case ELEM_GRAPH: return !elem_is_float(have);
  case ELEM_BOOL: return have == ELEMTYPE_BOOL || have == ELEMTYPE_U8;
  case ELEM_REAL: case ELEM_F64: case ELEM_F32: case ELEM_F16: case ELEM_BF16: return true;
  }
  return true;
}

/* `source`: what holds the array, for the message. */
static bool check_type(const Input *x, const char *name, const char *source, ElemType have) {
  if (type_fits(x->elem, have)) return true;
  wrong("input '%s': %s holds %s, which does not bind to %s", name, source, elem_name(have),
        x->elem == ELEM_BOOL ? "bool" : "int");
  hint(x->elem == ELEM_BOOL ? "bool or uint8 of 0 and 1 is taken" : "int32, int64, uint8 or bool is taken");
  return false;
}

bool bind_array(Arena *arena, const Inputs *in, const Input *x, const char *name, const AttnArray *from, bool copy,
                AttnArray *to) {
  ElemType want = bind_elem_type(x->elem, in->f64);
  if (!check_type(x, name, "the array", from->type)) return false;
  if (copy || from->type != want) return take(arena, from, want, name, to);
  *to = *from;
  to->owned = false;
  return true;
}

static bool read_file(Arena *arena, const Inputs *in, const Input *x, const char *name, const char *path,
                      AttnArray *result) {
  ArenaOwned *own = bind_own_array(arena);
  AttnArray *raw = own->what;
  RtError err;
  if (!npy_read(path, raw, &err)) {
    wrong("input '%s': %s", name, err.message);
    return false;
  }
  bool ok = check_type(x, name, arena_printf(arena, "'%s'", path), raw->type);
  ok = ok && take(arena, raw, bind_elem_type(x->elem, in->f64), name, result);
  arena_drop(own);
  return ok;
}

/* ---- numbers on the command line ---------------------------------------------------------------------- */

static AttnArray on_arena(Arena *arena, ElemType t, int rank, const int64_t *shape) {
  AttnArray a = {0};
  int64_t count = 0;
  shape_count(rank, shape, elem_size(t), &count);
  array_view(&a, arena_array(arena, (size_t)count, elem_size(t)), t, rank, shape);
  return a;
}

static bool set_element(Arena *arena, AttnArray *a, int64_t at, double real, int64_t integer) {
  AttnArray one = {0}, out;
  char *to = (char *)a->data + (size_t)at * elem_size(a->type);
  switch (a->type) {
  case ELEMTYPE_F64: *(double *)to = real; return true;
  case ELEMTYPE_F32: *(float *)to = (float)real; return true;
  case ELEMTYPE_I64: *(int64_t *)to = integer; return true;
  case ELEMTYPE_BOOL: *(uint8_t *)to = integer != 0; return true;
  case ELEMTYPE_F16: *(uint16_t *)to = f64_to_f16(real); return true;
  case ELEMTYPE_BF16: *(uint16_t *)to = f64_to_bf16(real); return true;
  case ELEMTYPE_I32: case ELEMTYPE_U8: break;
  }
  array_view(&one, &real, ELEMTYPE_F64, 0, NULL);
  return take(arena, &one, a->type, "number", &out);
}

static bool mismatch(Arena *arena, const Inputs *in, const Input *x, const char *found) {
  wrong("input '%s' wants %s, found %s", name_of(in, x), bind_wants(arena, in->model, x), found);
  return false;
}

static bool read_number(Arena *arena, Inputs *in, const Input *x, const char *word) {
  Bound *b = &in->at[x->id];
  double real = 0;
  int64_t integer = 0;
  bool truth = !strcmp(word, "true"), is_bool = truth || !strcmp(word, "false");
  bool is_int = read_int(word, &integer);
  if (x->dims.n) {
    mismatch(arena, in, x, arena_printf(arena, "the number %s", word));
    hint("an array is given as %s=FILE.npy or %s=random", name_of(in, x), name_of(in, x));
    return false;
  }
  if (is_bool) integer = truth, real = truth;
  else if (!read_real(word, &real)) return mismatch(arena, in, x, arena_printf(arena, "'%s'", word));
  bool fits = x->elem == ELEM_INT    ? is_int || is_bool
              : x->elem == ELEM_BOOL ? is_bool || (is_int && (integer == 0 || integer == 1))
                                     : true;
  if (!fits) return mismatch(arena, in, x, arena_printf(arena, "%s", word));
  b->data = on_arena(arena, bind_elem_type(x->elem, in->f64), 0, NULL);
  return set_element(arena, &b->data, 0, real, integer);
}

static bool looks_like_path(const char *word) {
  struct stat st;
  size_t n = strlen(word);
  return (n > 4 && !strcmp(word + n - 4, ".npy")) || strchr(word, '/') || stat(word, &st) == 0;
}

static bool read_value(Arena *arena, Inputs *in, const Input *x) {
  Bound *b = &in->at[x->id];
  if (b->origin == FROM_VALUE) return read_number(arena, in, x, b->value);
  if (!looks_like_path(b->value)) {
    mismatch(arena, in, x, arena_printf(arena, "'%s'", b->value));
    hint(x->dims.n ? "'%s' is neither an .npy file nor random"
                   : "'%s' is neither a number, nor random, nor an .npy file",
         b->value);
    return false;
  }
  return read_file(arena, in, x, name_of(in, x), b->value, &b->data);
}

static bool read_graph(Arena *arena, Inputs *in, const Input *x) {
  Bound *b = &in->at[x->id];
  const char *name = name_of(in, x);
  bool ok = read_file(arena, in, x, arena_printf(arena, "%s.indptr", name), b->indptr_value, &b->indptr);
  return read_file(arena, in, x, arena_printf(arena, "%s.indices", name), b->indices_value, &b->indices) && ok;
}

bool bind_files(Arena *arena, Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    const Input *x = in->model->inputs.at[k];
    Origin from = in->at[k].origin;
    if (from != FROM_FILE && from != FROM_VALUE) continue;
    ok = (x->elem == ELEM_GRAPH ? read_graph(arena, in, x) : read_value(arena, in, x)) && ok;
  }
  return ok;
}

/* ---- random numbers and defaults ------------------------------------------------------------------------ */

static void fill_random(Arena *arena, AttnArray *a, ElemKind kind, int64_t seed) {
  int64_t n = array_count(a);
  if (a->type == ELEMTYPE_F32) random_fill_normalf(seed, 0, n, a->data);
  else if (a->type == ELEMTYPE_F64) random_fill_normal(seed, 0, n, a->data);
  else if (a->type == ELEMTYPE_I64) random_fill_int(seed, 0, n, 0, 3, a->data);
  else
    for (int64_t i = 0; i < n; i++)
      set_element(arena, a, i, attn_rt_random_normal(seed, 1, &i),
                  attn_rt_random_int(seed, 1, &i, 0, kind == ELEM_BOOL ? 2 : 3));
}

/* In each row one neighbour out of every part of the columns, of which there are as many as a row has neighbours. */
static void random_graph(Arena *arena, const int64_t *shape, Bound *b) {
  int64_t degree = shape[1] < BIND_NEIGHBOURS ? shape[1] : BIND_NEIGHBOURS;
  int64_t borders = shape[0] + 1, edges = shape[0] * degree;
  b->indptr = on_arena(arena, ELEMTYPE_I64, 1, &borders);
  b->indices = on_arena(arena, ELEMTYPE_I64, 1, &edges);
  int64_t *indptr = b->indptr.data, *indices = b->indices.data;
  for (int64_t row = 0; row < borders; row++) indptr[row] = row * degree;
  for (int64_t e = 0; e < edges; e++) {
    int64_t part = e % degree, lo = shape[1] / degree * part;
    int64_t hi = part + 1 < degree ? lo + shape[1] / degree : shape[1];
    indices[e] = attn_rt_random_int(b->random_seed, 1, &e, lo, hi);
  }
}

/* The inputs bound so far, for defaults that read them. */
static Known known_so_far(Arena *arena, const Inputs *in) {
  uint32_t n = in->model->inputs.n;
  Known k = constant_known(arena, in->model, in->sizes);
  measure_scalars(arena, in, n, &k);
  k.array = measure_arrays(arena, in);
  return k;
}

/* The element at C-order place `at` of an array whose default is `init` over `init_at`. */
static bool fill_default(Arena *arena, const Inputs *in, const Input *x, AttnArray *a) {
  Known known = known_so_far(arena, in);
  int64_t n = array_count(a);
  for (int64_t at = 0; at < n; at++) {
    int64_t rest = at;
    for (int k = a->rank - 1; k >= 0 && x->init_at.n; k--) {
      const Index *index = x->init_at.at[k];
      known.index[index->id] = rest % a->shape[k];
      known.bound[index->id] = true;
      rest /= a->shape[k];
    }
    Constant v;
    known.steps = 0;
    if (constant_eval(&known, x->init, &v) != CONSTANT_KNOWN) {
      wrong("the default of '%s' cannot be worked out from what is given; give '%s' itself", name_of(in, x),
            name_of(in, x));
      return false;
    }
    double real = x->init->type == TYPE_REAL ? v.r : (double)v.i;
    if (!set_element(arena, a, at, real, v.i)) return false;
  }
  return true;
}

bool bind_fill(Arena *arena, Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    const Input *x = in->model->inputs.at[k];
    Bound *b = &in->at[k];
    if (b->origin != FROM_RANDOM && b->origin != FROM_DEFAULT) continue;
    int64_t shape[ARRAY_RANK_MAX];
    if (!measure_input(in, x, shape)) continue; /* sizes are not all known: BIND_GIVEN */
    if (x->elem == ELEM_GRAPH) {
      random_graph(arena, shape, b);
      continue;
    }
    b->data = on_arena(arena, bind_elem_type(x->elem, in->f64), (int)x->dims.n, shape);
    if (b->origin == FROM_RANDOM) fill_random(arena, &b->data, x->elem, b->random_seed);
    else ok = fill_default(arena, in, x, &b->data) && ok;
  }
  return ok;
}
