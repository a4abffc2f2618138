/* Memory in arenas: what is handed out is counted, and a release takes back what was counted, whatever the sizes. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "base/arena.h"

/* Short, long (from a line of the cache on) and beyond a chunk, in any order. */
static const size_t sizes[] = {1, 4096, 40, 5000, 3, 1 << 20, 17, 9 << 20, 4095, 4097};

Test(arena, a_release_takes_back_what_was_counted) {
  Arena a;
  arena_init(&a, NULL);
  arena_alloc(&a, 100);
  size_t before = a.used;
  ArenaMark mark = arena_mark(&a);
  for (int round = 0; round < 3; round++) {
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) arena_alloc(&a, sizes[k]);
    cr_assert_gt(a.used, before + (10u << 20));
    arena_release(&a, mark);
    cr_assert_eq(a.used, before);
  }
  arena_free(&a);
}

Test(arena, long_arrays_begin_with_a_line) {
  Arena a;
  arena_init(&a, NULL);
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    unsigned char *p = arena_alloc(&a, sizes[k]);
    cr_assert_eq((uintptr_t)p % (sizes[k] >= 4096 ? 64 : 16), 0);
    cr_assert_eq(p[0] + p[sizes[k] - 1], 0);
    p[0] = p[sizes[k] - 1] = 1;
  }
  arena_free(&a);
}
