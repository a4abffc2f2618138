/* cache_folder: see cache_folder.h. */
#include "driver/cache_folder.h"

#include <stdlib.h>

static const char *absolute(const char *name) {
  const char *path = getenv(name);
  return path && path[0] == '/' ? path : NULL;
}

const char *cache_folder(Arena *arena) {
  const char *cache = absolute("XDG_CACHE_HOME"), *home = absolute("HOME");
  if (cache) return arena_printf(arena, "%s/attn", cache);
  return home ? arena_printf(arena, "%s/.cache/attn", home) : NULL;
}
