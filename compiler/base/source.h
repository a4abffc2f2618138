/* source: one file's text and places in it.
 *
 * A Span is a half-open range of byte offsets; every token, tree node and IR instruction carries one.
 * Lines and columns (both from 1, columns counting bytes) are worked out only when a message is printed. */
#ifndef ATTN_BASE_SOURCE_H
#define ATTN_BASE_SOURCE_H

#include "base/arena.h"

typedef struct Span { uint32_t lo, hi; } Span;

typedef struct Source {
  const char *path; /* as the user wrote it, for messages */
  const char *text; /* NUL-terminated copy; may contain NUL bytes before `size` */
  uint32_t size;
} Source;

typedef struct Place { uint32_t line, column; const char *line_text; uint32_t line_size; } Place;

enum { SOURCE_MAX_BYTES = 16 * 1024 * 1024 }; /* offsets stay far inside 32 bits; no real model is near it */

/* Reads a file.  Returns NULL and sets *why (on the arena) when it cannot be read or is too large. */
Source *source_read(Arena *arena, const char *path, const char **why);
Source *source_from_text(Arena *arena, const char *path, const char *text, size_t n);
Place source_place(const Source *s, uint32_t offset);

static inline Span span_join(Span a, Span b) {
  if (a.lo == a.hi) return b;
  if (b.lo == b.hi) return a;
  return (Span){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

#endif
