/* attn check: all diagnostics of all files. */
#include "driver/load.h"

int verb_check(Driver *d) {
  int status = STATUS_DONE;
  if (!d->options.words.n) return usage_error("a model file is missing");
  for (uint32_t i = 0; i < d->options.words.n; i++) {
    ArenaMark mark = arena_mark(d->arena);
    if (!load_file(d->arena, d->options.words.at[i])) status = STATUS_WRONG;
    arena_release(d->arena, mark);
  }
  return status;
}
