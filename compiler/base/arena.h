/* arena: memory with two lifetimes and no free.
 *
 * Everything one compilation makes (source, names, trees, types, IR, messages) lives in one arena and
 * dies with it; a pass that needs scratch space marks the arena and releases to the mark.  An `Arena *`
 * argument of a function means "the result lives here"; nothing else says who owns what.
 *
 * Out of memory: `arena_alloc` never returns NULL.  It jumps to `arena->oom`, which the driver sets
 * once around a whole compilation, so no caller tests for failure and nothing is half built.
 *
 * What is not of the arena (another arena, a module of LLVM, a stream) is lost by such a jump unless the arena owns it:
 * it gives back, newest first, what it owns, when it is freed. */
#ifndef ATTN_BASE_ARENA_H
#define ATTN_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ArenaChunk ArenaChunk;

/* Something that an arena gives back by dispose(what); a `what` of NULL is nothing. */
typedef struct ArenaOwned {
  struct ArenaOwned *older, *newer;
  struct Arena *owner;
  void (*dispose)(void *what);
  void *what;
} ArenaOwned;

typedef struct Arena {
  ArenaChunk *head;
  size_t limit;   /* bytes this arena may hold in all; 0: no limit */
  bool over_limit; /* memory ran out because of the limit, or of a child's */
  struct Arena *parent; /* of a child */
  size_t used;    /* bytes handed out since arena_init */
  ArenaOwned *owned; /* the newest */
  jmp_buf *oom;   /* where to go when memory or the limit is exhausted; NULL: abort() */
} Arena;

typedef struct ArenaMark { ArenaChunk *chunk; size_t fill; } ArenaMark;

void arena_init(Arena *a, jmp_buf *oom);
void arena_free(Arena *a);

/* Jumps to a->oom: for whatever else finds no memory. */
_Noreturn void arena_out_of_memory(Arena *a);

/* From now on `more` bytes may be added (0: any); returns the limit before, to be set again.  Children made under it
 * share what is then left, each for itself. */
size_t arena_allow(Arena *a, size_t more);

/* Zeroed, aligned for any type.  A size of 0 gives a distinct valid pointer. */
void *arena_alloc(Arena *a, size_t bytes);
/* n * size with the product checked. */
void *arena_array(Arena *a, size_t n, size_t size);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

/* To be filled with what is then made (own first, make then: nothing can be lost between).  Not under a mark that is
 * released while it is owned. */
ArenaOwned *arena_own(Arena *a, void (*dispose)(void *what));
/* Gives it back now. */
void arena_drop(ArenaOwned *o);

/* An arena that `a` owns, for scratch: freed with it, or before by arena_child_free. */
Arena *arena_child(Arena *a);
void arena_child_free(Arena *child);

ArenaMark arena_mark(const Arena *a);
/* Poisons, under AddressSanitizer, all that was allocated since the mark. */
void arena_release(Arena *a, ArenaMark m);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_array((arena), (size_t)(n), sizeof(T)))

#endif
