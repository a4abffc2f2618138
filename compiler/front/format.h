/* format: `attn fmt`.  Canonical layout of a source text: indentation by block, one space around
 * operators, comments kept where they stand, at most one blank line in a row.  Idempotent:
 * format(format(s)) == format(s), and the formatted text parses to the same tree. */
#ifndef ATTN_FRONT_FORMAT_H
#define ATTN_FRONT_FORMAT_H

#include "base/diag.h"
#include "base/intern.h"

/* Returns the new text (on the arena) and its size, or NULL when the source has syntax errors (in diags). */
char *format_source(Arena *arena, Interner *names, Diags *diags, const Source *source, size_t *size);

#endif
