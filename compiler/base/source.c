#include "base/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

Source *source_from_text(Arena *arena, const char *path, const char *text, size_t n) {
  Source *s = NEW(arena, Source);
  s->path = arena_strndup(arena, path, strlen(path));
  s->text = arena_strndup(arena, text, n);
  s->size = (uint32_t)n;
  return s;
}

/* Reads by blocks up to the limit, so that a pipe or a growing file ends too. */
Source *source_read(Arena *arena, const char *path, const char **why) {
  FILE *f = fopen(path, "rb");
  if (!f) {
    *why = arena_printf(arena, "cannot read '%s': %s", path, strerror(errno));
    return NULL;
  }
  struct stat st;
  if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
    *why = arena_printf(arena, "cannot read '%s': it is a directory", path);
    fclose(f);
    return NULL;
  }
  size_t cap = 4096, n = 0, got;
  char *buf = arena_alloc(arena, cap);
  while ((got = fread(buf + n, 1, cap - n, f)) > 0) {
    n += got;
    if (n > SOURCE_MAX_BYTES) {
      *why = arena_printf(arena, "'%s' is larger than the limit of %d bytes for a model file", path, SOURCE_MAX_BYTES);
      fclose(f);
      return NULL;
    }
    if (n < cap) continue;
    char *more = arena_alloc(arena, 2 * cap);
    memcpy(more, buf, n);
    buf = more;
    cap *= 2;
  }
  int bad = ferror(f);
  fclose(f);
  if (bad) {
    *why = arena_printf(arena, "cannot read '%s': %s", path, strerror(errno));
    return NULL;
  }
  return source_from_text(arena, path, buf, n);
}

Place source_place(const Source *s, uint32_t offset) {
  if (offset > s->size) offset = s->size;
  Place p = {.line = 1};
  uint32_t start = 0;
  for (uint32_t i = 0; i < offset; i++)
    if (s->text[i] == '\n') {
      p.line++;
      start = i + 1;
    }
  uint32_t end = start;
  while (end < s->size && s->text[end] != '\n' && s->text[end] != '\r') end++;
  p.column = offset - start + 1;
  p.line_text = s->text + start;
  p.line_size = end - start;
  return p;
}
