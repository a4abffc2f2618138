/* text: see text.h.  A stream in memory belongs to the arena until it is closed, so that a jump out of the printing for
 * want of memory loses neither the stream nor its buffer. */
#include "base/text.h"

#include <stdlib.h>

static void dispose(void *text) {
  Text *t = text;
  if (t->to) fclose(t->to);
  free(t->bytes);
}

Text *text_open(Arena *arena) {
  ArenaOwned *own = arena_own(arena, dispose);
  Text *t = NEW(arena, Text);
  *t = (Text){.arena = arena, .own = own};
  own->what = t;
  t->to = open_memstream(&t->bytes, &t->n);
  if (!t->to) arena_out_of_memory(arena);
  return t;
}

char *text_close(Text *t, size_t *n) {
  int failed = fclose(t->to);
  t->to = NULL;
  if (failed) arena_out_of_memory(t->arena);
  char *text = arena_strndup(t->arena, t->bytes, t->n);
  if (n) *n = t->n;
  arena_drop(t->own);
  return text;
}
