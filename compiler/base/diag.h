/* diag: messages about the user's file, collected while compiling goes on and printed in file order.
 *
 *     examples/mix.attn:7:14: error: unknown name 'ph'
 *         7 |   potential exp(x[ph])
 *           |                   ^~
 *     examples/mix.attn:5:8: note: did you mean 'phi', declared here?
 *     hint: ...
 *
 * Style: first letter lower case, no full stop, names in 'quotes', what was found and what was expected.
 * A mistake of the compiler itself is never reported here: see ICE in base/ice.h. */
#ifndef ATTN_BASE_DIAG_H
#define ATTN_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "base/source.h"
#include "base/vec.h"

typedef enum { DIAG_ERROR, DIAG_WARNING } DiagLevel;

typedef struct DiagNote { Span span; const char *text; bool is_hint; } DiagNote;

typedef struct Diag {
  DiagLevel level;
  Span span;
  const char *text;
  uint32_t order; /* of reporting: the second key of the print order */
  VEC(DiagNote) notes;
} Diag;

enum { DIAG_MAX_ERRORS = 50 }; /* further errors are counted, not kept: a broken file repeats itself */

typedef struct Diags {
  Arena *arena;
  const Source *source;
  VEC(Diag *) list;
  uint32_t errors, warnings; /* counted in all, also beyond the limit */
} Diags;

void diag_init(Diags *d, Arena *arena, const Source *source);

/* Both return a Diag for notes; never NULL (beyond the limit a dummy). */
Diag *diag_error(Diags *d, Span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
Diag *diag_warning(Diags *d, Span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A note points at another place; a hint says what to do and has no place. */
void diag_note(Diags *d, Diag *to, Span span, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void diag_hint(Diags *d, Diag *to, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Prints all, sorted by place.  Control bytes of the source are shown as '?'. */
void diag_print(const Diags *d, FILE *to);

#endif
