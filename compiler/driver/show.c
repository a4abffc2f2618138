/* show: arrays as text, laid out as NumPy does: one bracket an axis, columns aligned. */
#include <inttypes.h>
#include <math.h>

#include "driver/output.h"

enum { SMALL = 1000, LINE = 100 };

/* A NaN has no sign that anybody chose. */
static const char *real_text(Arena *arena, int digits, double x) {
  return isnan(x) ? "nan" : arena_printf(arena, "%.*g", digits, x);
}

static const char *element_text(Arena *arena, const AttnArray *a, int64_t at) {
  switch (a->type) {
  case ELEMTYPE_F64: return real_text(arena, 10, ((const double *)a->data)[at]);
  case ELEMTYPE_F32: return real_text(arena, 7, (double)((const float *)a->data)[at]);
  case ELEMTYPE_I64: return arena_printf(arena, "%" PRId64, ((const int64_t *)a->data)[at]);
  case ELEMTYPE_BOOL: return ((const uint8_t *)a->data)[at] ? "true" : "false";
  case ELEMTYPE_F16: case ELEMTYPE_BF16: case ELEMTYPE_I32: case ELEMTYPE_U8: break;
  }
  return "?";
}

typedef struct Show { const AttnArray *a; const char **text; int width, indent; FILE *to; } Show;

static void show_row(const Show *s, int64_t first, int64_t n) {
  int column = s->indent;
  fputc('[', s->to);
  for (int64_t k = 0; k < n; k++) {
    if (k && column + 1 + s->width > LINE) {
      fprintf(s->to, "\n%*s", s->indent, "");
      column = s->indent;
    } else if (k) {
      fputc(' ', s->to);
      column++;
    }
    fprintf(s->to, "%*s", s->width, s->text[first + k]);
    column += s->width;
  }
  fputc(']', s->to);
}

static void show_axis(const Show *s, int axis, int64_t first, int64_t count) {
  if (axis + 1 >= s->a->rank) {
    show_row(s, first, count);
    return;
  }
  int64_t n = s->a->shape[axis], step = n ? count / n : 0;
  fputc('[', s->to);
  for (int64_t k = 0; k < n; k++) {
    if (k) fprintf(s->to, "%.*s%*s", s->a->rank - 1 - axis, "\n\n\n\n\n\n\n\n", axis + 3, "");
    show_axis(s, axis + 1, first + k * step, step);
  }
  fputc(']', s->to);
}

static void show_full(Arena *arena, const AttnArray *a, FILE *to) {
  int64_t n = array_count(a);
  Show s = {.a = a, .text = NEW_ARRAY(arena, const char *, n), .indent = a->rank + 2, .to = to};
  for (int64_t k = 0; k < n; k++) {
    s.text[k] = element_text(arena, a, k);
    if ((int)strlen(s.text[k]) > s.width) s.width = (int)strlen(s.text[k]);
  }
  fputs("  ", to);
  show_axis(&s, 0, 0, n);
  fputc('\n', to);
}

static void show_summary(const AttnArray *a, FILE *to) {
  int64_t n = array_count(a), nan = 0;
  double min = INFINITY, max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; k++) {
    double x = output_element(a, k);
    if (isnan(x)) nan++;
    if (x < min) min = x;
    if (x > max) max = x;
    sum += x;
  }
  fprintf(to, "  min %.7g  mean %.7g  max %.7g", nan == n ? NAN : min, sum / (double)n, nan == n ? NAN : max);
  if (nan) fprintf(to, "  (%" PRId64 " NaN)", nan);
  fputc('\n', to);
}

void show_array(Arena *arena, const char *name, const AttnArray *a, FILE *to) {
  ArenaMark mark = arena_mark(arena);
  char shape[256];
  int64_t n = array_count(a);
  if (a->rank == 0) {
    fprintf(to, "%s = %s\n", name, element_text(arena, a, 0));
  } else {
    fprintf(to, "%s %s %s\n", name, elem_name(a->type), shape_text(a->rank, a->shape, shape, sizeof shape));
    if (n > 0 && n <= SMALL) show_full(arena, a, to);
    else if (n > 0) show_summary(a, to);
  }
  arena_release(arena, mark);
}
