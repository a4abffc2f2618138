/* text: what fprintf writes, as a string on an arena. */
#ifndef ATTN_BASE_TEXT_H
#define ATTN_BASE_TEXT_H

#include <stdio.h>

#include "base/arena.h"

typedef struct Text {
  FILE *to;
  Arena *arena;
  char *bytes;
  size_t n;
  ArenaOwned *own;
} Text;

/* Never NULL: memory that runs out is the arena's business. */
Text *text_open(Arena *arena);
/* Ends it.  The string lies on the arena; *n, which may be NULL, is its length. */
char *text_close(Text *t, size_t *n);

#endif
