/* declare: the inputs of a random model, which are named by their dimensions; those that are used are declared. */
#include <stdbool.h>
#include <string.h>

#include "base/vec.h"
#include "generate.h"

static bool is_in_name(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *dimensions(Arena *arena, const char *letters, uint32_t n) {
  const char *dims = "";
  for (uint32_t k = 0; k < n && letters[k] != '0'; k++) {
    char size = letters[k] == 'n' ? 'N' : letters[k] == 'm' ? 'M' : letters[k];
    dims = arena_printf(arena, "%s%s%c", dims, *dims ? ", " : "", size);
  }
  return *dims ? arena_printf(arena, "[%s]", dims) : "real";
}

const char *declare_reals(Arena *arena, const char *body) {
  const char *text = "";
  VEC(const char *) seen = {0};
  for (const char *p = body; *p; p++) {
    if (p[1] != '_' || (p > body && (p[-1] == '_' || (p[-1] >= 'a' && p[-1] <= 'z')))) continue;
    uint32_t n = 2;
    while (is_in_name(p[n])) n++;
    const char *name = arena_printf(arena, "%.*s", (int)n, p);
    bool old = false;
    for (uint32_t k = 0; k < seen.n; k++) old |= !strcmp(seen.at[k], name);
    if (old) continue;
    vec_push(arena, &seen, name);
    text = arena_printf(arena, "%s  data %s: %s\n", text, name, dimensions(arena, name + 2, n - 2));
  }
  return text;
}
