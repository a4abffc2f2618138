/* convert: any strided array to a new contiguous one of another element type.
 *
 * An array is walked in C order as runs of equal stride, after axes that lie in one line are merged (a
 * contiguous array is one run).  Each run goes in blocks through a wide buffer: double for floats, int64
 * for integers and bool; both hold every source value exactly, so the only rounding is the final store. */
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

enum { BLOCK = 512 };

typedef struct Walk {
  AttnArray merged;  /* same elements in the same order, fewer axes; rank >= 1 */
  int64_t index[ARRAY_RANK_MAX];
} Walk;

static void push_axis(AttnArray *m, int64_t length, int64_t stride) {
  if (length == 1) return;
  int last = m->rank - 1;
  if (last >= 0 && m->stride[last] == length * stride) {
    m->shape[last] *= length;
    m->stride[last] = stride;
    return;
  }
  m->shape[m->rank] = length;
  m->stride[m->rank++] = stride;
}

/* Requires elements: with an empty axis, length * stride of another might overflow. */
static void walk_start(Walk *w, const AttnArray *a, int64_t first) {
  *w = (Walk){.merged = {.data = a->data, .type = a->type}};
  for (int k = 0; k < a->rank; k++) push_axis(&w->merged, a->shape[k], a->stride[k]);
  if (w->merged.rank == 0) w->merged.shape[w->merged.rank++] = 1;
  for (int k = w->merged.rank - 1; k >= 0; k--) {
    w->index[k] = first % w->merged.shape[k];
    first /= w->merged.shape[k];
  }
}

/* The next run, of at most `most` elements along the last axis: its first element and its length. */
static int64_t walk_run(Walk *w, int64_t most, const char **at, int64_t *stride_bytes) {
  const AttnArray *m = &w->merged;
  int last = m->rank - 1;
  int64_t size = (int64_t)elem_size(m->type), offset = 0, n = m->shape[last] - w->index[last];
  for (int k = 0; k < m->rank; k++) offset += w->index[k] * m->stride[k];
  *at = (const char *)m->data + offset * size;
  *stride_bytes = m->stride[last] * size;
  if (n > most) n = most;
  w->index[last] += n;
  for (int k = last; k > 0 && w->index[k] == m->shape[k]; k--) {
    w->index[k] = 0;
    w->index[k - 1]++;
  }
  return n;
}

#define GATHER(T, EXPR)                                                                                              \
  for (int64_t i = 0; i < n; i++) {                                                                                  \
    const T x = *(const T *)(at + i * step);                                                                         \
    out[i] = EXPR;                                                                                                   \
  }                                                                                                                  \
  return

static void load_f64(ElemType t, const char *at, int64_t step, int64_t n, double *out) {
  switch (t) {
  case ELEMTYPE_F16: GATHER(uint16_t, f16_to_f32(x));
  case ELEMTYPE_BF16: GATHER(uint16_t, bf16_to_f32(x));
  case ELEMTYPE_F32: GATHER(float, x);
  case ELEMTYPE_F64: GATHER(double, x);
  case ELEMTYPE_I32:
  case ELEMTYPE_I64:
  case ELEMTYPE_U8:
  case ELEMTYPE_BOOL: return; /* integers go through load_i64 */
  }
}

static void load_i64(ElemType t, const char *at, int64_t step, int64_t n, int64_t *out) {
  switch (t) {
  case ELEMTYPE_I32: GATHER(int32_t, x);
  case ELEMTYPE_I64: GATHER(int64_t, x);
  case ELEMTYPE_U8: GATHER(uint8_t, x);
  case ELEMTYPE_BOOL: GATHER(uint8_t, x != 0);
  case ELEMTYPE_F16:
  case ELEMTYPE_BF16:
  case ELEMTYPE_F32:
  case ELEMTYPE_F64: return; /* floats go through load_f64 */
  }
}

#define SCATTER(T, EXPR)                                                                                             \
  for (int64_t i = 0; i < n; i++) ((T *)out)[i] = (T)(EXPR);                                                         \
  return n

/* Both stores return the number of leading elements that fitted; these are stored. */
static int64_t store_f64(const double *x, int64_t n, ElemType t, void *out) {
  switch (t) {
  case ELEMTYPE_F16: SCATTER(uint16_t, f64_to_f16(x[i]));
  case ELEMTYPE_BF16: SCATTER(uint16_t, f64_to_bf16(x[i]));
  case ELEMTYPE_F32: SCATTER(float, x[i]);
  case ELEMTYPE_F64: SCATTER(double, x[i]);
  case ELEMTYPE_I32:
  case ELEMTYPE_I64:
  case ELEMTYPE_U8:
  case ELEMTYPE_BOOL: return 0; /* refused by array_convert */
  }
  return 0;
}

/* x as a double whose last bit is set if bits were lost (round to odd), so that rounding it again to a
 * format at least two bits shorter gives the nearest value to x itself. */
static double odd_f64(int64_t x) {
  uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x, lost = 0;
  int shift = 0;
  for (; size >> 53; shift++, size >>= 1) lost |= size & 1;
  double d = (double)(size | lost) * (double)(1ull << shift);
  return x < 0 ? -d : d;
}

static int64_t fitting(const int64_t *x, int64_t n, int64_t lo, int64_t hi) {
  int64_t i = 0;
  while (i < n && x[i] >= lo && x[i] <= hi) i++;
  return i;
}

static int64_t store_i64(const int64_t *x, int64_t n, ElemType t, void *out) {
  if (t == ELEMTYPE_I32) n = fitting(x, n, INT32_MIN, INT32_MAX);
  if (t == ELEMTYPE_U8) n = fitting(x, n, 0, UINT8_MAX);
  if (t == ELEMTYPE_BOOL) n = fitting(x, n, 0, 1);
  switch (t) {
  case ELEMTYPE_F16: SCATTER(uint16_t, f64_to_f16((double)x[i])); /* what double rounds is far above f16's range */
  case ELEMTYPE_BF16: SCATTER(uint16_t, f64_to_bf16(odd_f64(x[i])));
  case ELEMTYPE_F32: SCATTER(float, x[i]);
  case ELEMTYPE_F64: SCATTER(double, x[i]);
  case ELEMTYPE_I32: SCATTER(int32_t, x[i]);
  case ELEMTYPE_I64: SCATTER(int64_t, x[i]);
  case ELEMTYPE_U8:
  case ELEMTYPE_BOOL: SCATTER(uint8_t, x[i]);
  }
  return 0;
}

static bool does_not_fit(const AttnArray *src, int64_t position, ElemType to, const char *name, RtError *err) {
  int64_t index[ARRAY_RANK_MAX];
  char text[128];
  for (int k = src->rank - 1; k >= 0; k--) {
    index[k] = position % src->shape[k];
    position /= src->shape[k];
  }
  return rt_fail(err, name, "element %s is %" PRId64 ", which is no %s%s",
                 shape_text(src->rank, index, text, sizeof text), array_get_i64(src, index), elem_name(to),
                 to == ELEMTYPE_BOOL ? " (only 0 and 1 are)" : "");
}

static int64_t convert_run(const AttnArray *src, const char *at, int64_t step, int64_t n, ElemType to, void *out) {
  union { double f[BLOCK]; int64_t i[BLOCK]; } wide;
  if (elem_is_float(src->type)) {
    load_f64(src->type, at, step, n, wide.f);
    return store_f64(wide.f, n, to, out);
  }
  load_i64(src->type, at, step, n, wide.i);
  return store_i64(wide.i, n, to, out);
}

static bool convert_all(const AttnArray *src, ElemType to, char *out, const char *name, RtError *err) {
  int64_t count = array_count(src), done = 0, step;
  if (count == 0) return true;
  Walk w;
  walk_start(&w, src, 0);
  while (done < count) {
    const char *at;
    int64_t n = walk_run(&w, BLOCK, &at, &step);
    int64_t ok = convert_run(src, at, step, n, to, out + done * (int64_t)elem_size(to));
    if (ok < n) return does_not_fit(src, done + ok, to, name, err);
    done += n;
  }
  return true;
}

bool array_convert(const AttnArray *src, ElemType to, AttnArray *dst, const char *name, RtError *err) {
  *dst = (AttnArray){.type = to};
  if (elem_is_float(src->type) && !elem_is_float(to))
    return rt_fail(err, name, "%s values where %s is needed; convert them explicitly", elem_name(src->type),
                   elem_name(to));
  if (!array_alloc(dst, to, src->rank, src->shape, name, err)) return false;
  if (convert_all(src, to, dst->data, name, err)) return true;
  array_free(dst);
  return false;
}

static void pack_run(const char *at, int64_t step, int64_t n, size_t size, char *out) {
  if (step == (int64_t)size) {
    memcpy(out, at, (size_t)n * size);
    return;
  }
  for (int64_t i = 0; i < n; i++) memcpy(out + (size_t)i * size, at + i * step, size);
}

void array_pack(const AttnArray *src, int64_t first, int64_t n, void *out) {
  size_t size = elem_size(src->type);
  if (n <= 0) return;
  Walk w;
  walk_start(&w, src, first);
  for (char *to = out; n > 0;) {
    const char *at;
    int64_t step, run = walk_run(&w, n, &at, &step);
    pack_run(at, step, run, size, to);
    to += (size_t)run * size;
    n -= run;
  }
}
