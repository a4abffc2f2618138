/* arena: chunks of growing size in a list; a mark is a chunk and its fill.
 *
 * Arrays for kernels come from here too: long ones begin with a line of the cache, so that vectors lie in one line
 * each, and very long ones in memory of large pages, where the system has any: streams of many megabytes otherwise wait
 * for addresses. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/asan.h"

enum {
  CHUNK_MIN = 64 * 1024,
  CHUNK_MAX = 4 * 1024 * 1024,
  ALIGN = 16,
  LINE = 64,
  LONG = 4096,
  PAGE = 2 * 1024 * 1024,
  PAGED = 2 * PAGE
};

struct ArenaChunk {
  ArenaChunk *prev;
  size_t size, fill;
  _Alignas(ALIGN) unsigned char bytes[];
};

void arena_init(Arena *a, jmp_buf *oom) { *a = (Arena){.oom = oom}; }

ArenaOwned *arena_own(Arena *a, void (*dispose)(void *what)) {
  ArenaOwned *o = NEW(a, ArenaOwned);
  *o = (ArenaOwned){.older = a->owned, .owner = a, .dispose = dispose};
  if (a->owned) a->owned->newer = o;
  return a->owned = o;
}

void arena_drop(ArenaOwned *o) {
  if (o->newer) o->newer->older = o->older;
  else o->owner->owned = o->older;
  if (o->older) o->older->newer = o->newer;
  if (o->what) o->dispose(o->what);
}

typedef struct Child { Arena arena; ArenaOwned *own; } Child; /* the arena first: one is the other */

static void free_child(void *child) { arena_free(child); }

Arena *arena_child(Arena *a) {
  ArenaOwned *own = arena_own(a, free_child);
  Child *c = NEW(a, Child);
  arena_init(&c->arena, a->oom);
  c->arena.parent = a;
  if (a->limit) c->arena.limit = a->used < a->limit ? a->limit - a->used : 1;
  c->own = own;
  own->what = c;
  return &c->arena;
}

void arena_child_free(Arena *child) { arena_drop(((Child *)child)->own); }

void arena_free(Arena *a) {
  while (a->owned) arena_drop(a->owned);
  for (ArenaChunk *c = a->head; c;) {
    ArenaChunk *prev = c->prev;
    ASAN_UNPOISON_MEMORY_REGION(c->bytes, c->size);
    free(c);
    c = prev;
  }
  a->head = NULL;
  a->used = 0;
}

size_t arena_allow(Arena *a, size_t more) {
  size_t before = a->limit;
  a->limit = more && more < SIZE_MAX - a->used ? a->used + more : 0;
  return before;
}

static _Noreturn void over_limit(Arena *a) {
  for (Arena *b = a; b; b = b->parent) b->over_limit = true;
  arena_out_of_memory(a);
}

_Noreturn void arena_out_of_memory(Arena *a) {
  if (a->oom) longjmp(*a->oom, 1);
  fputs("attn: out of memory\n", stderr);
  abort();
}

/* PAGE: of the large pages, which memory that is aligned to them may have. */
static void *get_chunk(size_t bytes) {
  if (bytes < PAGED || bytes > SIZE_MAX - PAGE) return malloc(bytes);
  size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
  void *at = aligned_alloc(PAGE, whole);
#ifdef MADV_HUGEPAGE
  if (at) madvise(at, whole, MADV_HUGEPAGE); /* a wish: that it fails changes nothing */
#endif
  return at;
}

static void grow(Arena *a, size_t need) {
  size_t size = a->head ? a->head->size * 2 : CHUNK_MIN;
  if (size > CHUNK_MAX) size = CHUNK_MAX;
  if (size < need) size = need;
  ArenaChunk *c = get_chunk(sizeof *c + size);
  if (!c) arena_out_of_memory(a);
  *c = (ArenaChunk){.prev = a->head, .size = size};
  ASAN_POISON_MEMORY_REGION(c->bytes, size);
  a->head = c;
}

void *arena_alloc(Arena *a, size_t bytes) {
  if (bytes > SIZE_MAX / 2) arena_out_of_memory(a);
  size_t need = (bytes + ALIGN) & ~(size_t)(ALIGN - 1); /* at least a byte of red zone behind each */
  size_t slack = bytes >= LONG ? LINE - ALIGN : 0;
  if (a->limit && (a->used > a->limit || need + slack > a->limit - a->used)) over_limit(a);
  if (!a->head || a->head->size - a->head->fill < need + slack) grow(a, need + slack);
  unsigned char *p = a->head->bytes + a->head->fill;
  size_t skip = slack ? -(uintptr_t)p % LINE : 0;
  p += skip;
  a->head->fill += skip + need;
  a->used += skip + need; /* what a release takes back */
  ASAN_UNPOISON_MEMORY_REGION(p, bytes ? bytes : 1);
  memset(p, 0, bytes);
  return p;
}

void *arena_array(Arena *a, size_t n, size_t size) {
  if (size && n > SIZE_MAX / 2 / size) arena_out_of_memory(a);
  return arena_alloc(a, n * size);
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
  char *p = arena_alloc(a, n + 1);
  if (n) memcpy(p, s, n);
  return p;
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  char *p = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
  if (n > 0) vsnprintf(p, (size_t)n + 1, fmt, again);
  va_end(again);
  return p;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *p = arena_vprintf(a, fmt, ap);
  va_end(ap);
  return p;
}

ArenaMark arena_mark(const Arena *a) {
  return (ArenaMark){a->head, a->head ? a->head->fill : 0};
}

void arena_release(Arena *a, ArenaMark m) {
  while (a->head != m.chunk) {
    ArenaChunk *c = a->head;
    a->head = c->prev;
    a->used -= c->fill;
    ASAN_UNPOISON_MEMORY_REGION(c->bytes, c->size);
    free(c);
  }
  if (!a->head) return;
  a->used -= a->head->fill - m.fill;
  ASAN_POISON_MEMORY_REGION(a->head->bytes + m.fill, a->head->fill - m.fill);
  a->head->fill = m.fill;
}
