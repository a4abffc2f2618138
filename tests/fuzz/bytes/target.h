/* target: what bytes from anywhere are given to.
 *
 * Each target is a program that libFuzzer drives (`./dev fuzz`), or that runs files, one after the other
 * (standalone.c): the inputs that were found before, under `found/`.  A target ends the process where a law is broken.
 */
#ifndef ATTN_TESTS_TARGET_H
#define ATTN_TESTS_TARGET_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

enum { TARGET_BYTES_MAX = 256 << 20 }; /* of an arena: more is no memory, which must end well too */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void target_broken(const char *law) {
  fprintf(stderr, "broken: %s\n", law);
  abort();
}

/* The bytes in an arena of their own, which may run out. */
static inline int target_in_arena(void (*run)(Arena *arena, const uint8_t *data, size_t n), const uint8_t *data,
                                  size_t n) {
  Arena arena;
  jmp_buf no_memory;
  arena_init(&arena, &no_memory);
  arena.limit = TARGET_BYTES_MAX;
  if (!setjmp(no_memory)) run(&arena, data, n);
  arena_free(&arena);
  return 0;
}

#endif
