/* measure: see measure.h.  What would not fit in memory is an error before anything is allocated: a machine
 * that overcommits would grant the memory and kill the process when it is used. */
#include "driver/measure.h"

#include <unistd.h>

#include "model/term.h"

bool measure_input(const Inputs *in, const Input *x, int64_t *shape) {
  for (uint32_t k = 0; k < x->dims.n; k++) {
    Known known = {.model = in->model, .sizes = in->sizes};
    Constant v;
    if (constant_eval(&known, x->dims.at[k], &v) != CONSTANT_KNOWN) return false;
    shape[k] = v.i;
  }
  return true;
}

bool measure_output(const Model *m, const int64_t *sizes, const Out *o, int64_t *shape) {
  for (uint32_t k = 0; k < o->slots.n + o->axes.n; k++) {
    const Index *index = k < o->slots.n ? o->slots.at[k] : o->axes.at[k - o->slots.n];
    Known known = {.model = m, .sizes = sizes};
    Constant lo, hi;
    if (index->range.kind != RANGE_INTERVAL) return false;
    if (constant_eval(&known, index->range.lo, &lo) != CONSTANT_KNOWN) return false;
    if (constant_eval(&known, index->range.hi, &hi) != CONSTANT_KNOWN) return false;
    if (__builtin_sub_overflow(hi.i, lo.i, &shape[k])) return false;
    if (shape[k] < 0) shape[k] = 0;
  }
  return true;
}

ElemType measure_output_type(const Out *o, bool f64) {
  if (o->is_count) return ELEMTYPE_F64;
  switch (o->type) {
  case TYPE_REAL: return f64 ? ELEMTYPE_F64 : ELEMTYPE_F32;
  case TYPE_INT: return ELEMTYPE_I64;
  case TYPE_BOOL: return ELEMTYPE_BOOL;
  }
  return ELEMTYPE_F64;
}

static double memory_of_machine(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (double)pages * (double)size : 1e300;
}

/* Adds the bytes of one array to *total. */
static bool add(double *total, const char *what, const char *name, int rank, const int64_t *shape, ElemType t) {
  int64_t count;
  char text[256];
  if (rank > ARRAY_RANK_MAX || !shape_count(rank, shape, elem_size(t), &count)) {
    wrong("%s '%s' of shape %s is too large for memory", what, name, shape_text(rank, shape, text, sizeof text));
    return false;
  }
  *total += (double)count * (double)elem_size(t);
  if (*total <= memory_of_machine()) return true;
  wrong("%s '%s' of shape %s does not fit in memory: %.3g GiB are needed in all, this machine has %.3g", what, name,
        shape_text(rank, shape, text, sizeof text), *total / 0x1p30, memory_of_machine() / 0x1p30);
  return false;
}

bool measure_fits(const Inputs *in) {
  const Model *m = in->model;
  double total = 0;
  int64_t shape[ARRAY_RANK_MAX];
  for (uint32_t k = 0; k < m->inputs.n; k++) {
    const Input *x = m->inputs.at[k];
    if (!measure_input(in, x, shape)) continue;
    if (x->elem == ELEM_GRAPH) {
      int64_t neighbours[] = {shape[0], BIND_NEIGHBOURS};
      bool fits = in->at[k].origin != FROM_RANDOM ||
                  add(&total, "graph", sym_text(m->names, x->name), 2, neighbours, ELEMTYPE_I64);
      if (!fits) return false;
      continue;
    }
    if (!add(&total, "input", sym_text(m->names, x->name), (int)x->dims.n, shape, bind_elem_type(x->elem, in->f64)))
      return false;
  }
  for (uint32_t k = 0; k < m->outs.n; k++) {
    const Out *o = m->outs.at[k];
    const char *name = sym_text(m->names, o->name);
    if (!measure_output(m, in->sizes, o, shape)) {
      wrong("the shape of output '%s' cannot be worked out at these sizes: a number overflows or divides by zero",
            name);
      return false;
    }
    if (!add(&total, "output", name, (int)(o->slots.n + o->axes.n), shape, measure_output_type(o, in->f64)))
      return false;
  }
  return true;
}

AttnArray *measure_arrays(Arena *arena, const Inputs *in) {
  AttnArray *array = NEW_ARRAY(arena, AttnArray, in->model->inputs.n);
  for (uint32_t i = 0; i < in->model->inputs.n; i++) array[i] = in->at[i].data;
  return array;
}

void measure_scalars(Arena *arena, const Inputs *in, uint32_t n, Known *k) {
  uint32_t all = in->model->inputs.n;
  double *real = NEW_ARRAY(arena, double, all);
  int64_t *integer = NEW_ARRAY(arena, int64_t, all);
  bool *has = NEW_ARRAY(arena, bool, all);
  for (uint32_t i = 0; i < n; i++) {
    const AttnArray *a = &in->at[i].data;
    if (!a->data || a->rank) continue;
    has[i] = true;
    real[i] = array_get_f64(a, NULL);
    integer[i] = elem_is_float(a->type) ? 0 : array_get_i64(a, NULL);
  }
  k->real = real;
  k->integer = integer;
  k->has = has;
}
