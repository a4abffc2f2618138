/* diag: see diag.h.  Lines longer than the window below are cut around the span. */
#include "base/diag.h"

#include <stdlib.h>

enum { WINDOW = 120 };

void diag_init(Diags *d, Arena *arena, const Source *source) {
  *d = (Diags){.arena = arena, .source = source};
}

static Diag *report(Diags *d, DiagLevel level, Span span, const char *fmt, va_list ap) {
  Diag *g = NEW(d->arena, Diag);
  g->level = level;
  g->span = span;
  g->text = arena_vprintf(d->arena, fmt, ap);
  g->order = d->list.n;
  uint32_t *count = level == DIAG_ERROR ? &d->errors : &d->warnings;
  if ((*count)++ < DIAG_MAX_ERRORS) vec_push(d->arena, &d->list, g);
  return g;
}

Diag *diag_error(Diags *d, Span span, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = report(d, DIAG_ERROR, span, fmt, ap);
  va_end(ap);
  return g;
}

Diag *diag_warning(Diags *d, Span span, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = report(d, DIAG_WARNING, span, fmt, ap);
  va_end(ap);
  return g;
}

void diag_note(Diags *d, Diag *to, Span span, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vec_push(d->arena, &to->notes, (DiagNote){.span = span, .text = arena_vprintf(d->arena, fmt, ap)});
  va_end(ap);
}

void diag_hint(Diags *d, Diag *to, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vec_push(d->arena, &to->notes, (DiagNote){.text = arena_vprintf(d->arena, fmt, ap), .is_hint = true});
  va_end(ap);
}

static void print_byte(FILE *to, unsigned char c) { fputc(c == '\t' ? ' ' : c < 32 || c == 127 ? '?' : c, to); }

static void print_excerpt(const Source *s, Span span, FILE *to) {
  Place p = source_place(s, span.lo);
  uint32_t col = p.column - 1, width = span.hi > span.lo ? span.hi - span.lo : 1;
  uint32_t from = 0, until = p.line_size;
  if (until > WINDOW) {
    from = col > WINDOW / 2 ? col - WINDOW / 2 : 0;
    if (until > from + WINDOW) until = from + WINDOW;
  }
  fprintf(to, "%5u | ", p.line);
  for (uint32_t i = from; i < until; i++) print_byte(to, (unsigned char)p.line_text[i]);
  fprintf(to, "\n      | ");
  for (uint32_t i = from; i < col; i++) /* one column a character, not a byte */
    if (i >= p.line_size || ((unsigned char)p.line_text[i] & 0xC0) != 0x80) fputc(' ', to);
  fputc('^', to);
  for (uint32_t i = col + 1; i < col + width && i < until; i++)
    if (((unsigned char)p.line_text[i] & 0xC0) != 0x80) fputc('~', to);
  fputc('\n', to);
}

static void print_message(const Source *s, Span span, const char *label, const char *text, FILE *to) {
  Place p = source_place(s, span.lo);
  fprintf(to, "%s:%u:%u: %s: %s\n", s->path, p.line, p.column, label, text);
  print_excerpt(s, span, to);
}

static int by_place(const void *a, const void *b) {
  const Diag *x = *(Diag *const *)a, *y = *(Diag *const *)b;
  if (x->span.lo != y->span.lo) return x->span.lo < y->span.lo ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

void diag_print(const Diags *d, FILE *to) {
  if (d->list.n) qsort(d->list.at, d->list.n, sizeof *d->list.at, by_place);
  for (uint32_t i = 0; i < d->list.n; i++) {
    const Diag *g = d->list.at[i];
    print_message(d->source, g->span, g->level == DIAG_ERROR ? "error" : "warning", g->text, to);
    for (uint32_t k = 0; k < g->notes.n; k++) {
      const DiagNote *n = &g->notes.at[k];
      if (n->is_hint) fprintf(to, "hint: %s\n", n->text);
      else print_message(d->source, n->span, "note", n->text, to);
    }
  }
  uint32_t kept = d->errors < DIAG_MAX_ERRORS ? d->errors : DIAG_MAX_ERRORS;
  if (d->errors > kept) fprintf(to, "%s: %u further errors not shown\n", d->source->path, d->errors - kept);
}
