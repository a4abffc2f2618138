/* arena: memory with two lifetimes and no free.
 *
 * Everything one compilation makes (source, names, trees, types, IR, messages) lives in one arena and
 * dies with it; a pass that needs scratch space marks the arena and releases to the mark.  An `Arena *`
 * argument of a function means "the result lives here"; nothing else says who owns what.
 *
 * Out of memory: `arena_alloc` never returns NULL.  It jumps to `arena->oom`, which the driver sets
 * once around a whole compilation, so no caller tests for failure and nothing is half built. */
#ifndef ATTN_BASE_ARENA_H
#define ATTN_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
  ArenaChunk *head;
  size_t limit;   /* bytes this arena may hold in all; 0: no limit */
  size_t used;    /* bytes handed out since arena_init */
  jmp_buf *oom;   /* where to go when memory or the limit is exhausted; NULL: abort() */
} Arena;

typedef struct ArenaMark { ArenaChunk *chunk; size_t fill; } ArenaMark;

void arena_init(Arena *a, jmp_buf *oom);
void arena_free(Arena *a);

/* Zeroed, aligned for any type.  A size of 0 gives a distinct valid pointer. */
void *arena_alloc(Arena *a, size_t bytes);
/* n * size with the product checked. */
void *arena_array(Arena *a, size_t n, size_t size);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

ArenaMark arena_mark(const Arena *a);
/* Poisons, under AddressSanitizer, all that was allocated since the mark. */
void arena_release(Arena *a, ArenaMark m);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_array((arena), (size_t)(n), sizeof(T)))

#endif
