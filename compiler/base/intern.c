/* intern: FNV-1a, linear probing, table kept at most half full. */
#include "base/intern.h"

void intern_init(Interner *in, Arena *arena) {
  *in = (Interner){.arena = arena, .table_size = 64};
  in->table = NEW_ARRAY(arena, uint32_t, in->table_size);
  vec_push(arena, &in->text, "");
}

static uint32_t hash(const char *s, size_t n) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
  return h;
}

static void place(Interner *in, Sym sym) {
  const char *s = in->text.at[sym];
  uint32_t mask = in->table_size - 1, i = hash(s, strlen(s)) & mask;
  while (in->table[i]) i = (i + 1) & mask;
  in->table[i] = sym;
}

Sym intern(Interner *in, const char *s, size_t n) {
  uint32_t mask = in->table_size - 1;
  for (uint32_t i = hash(s, n) & mask; in->table[i]; i = (i + 1) & mask) {
    const char *t = in->text.at[in->table[i]];
    if (!strncmp(t, s, n) && !t[n]) return in->table[i];
  }
  Sym sym = in->text.n;
  vec_push(in->arena, &in->text, arena_strndup(in->arena, s, n));
  if (2 * in->text.n > in->table_size) {
    in->table_size *= 2;
    in->table = NEW_ARRAY(in->arena, uint32_t, in->table_size);
    for (Sym k = 1; k < in->text.n; k++) place(in, k);
  } else {
    place(in, sym);
  }
  return sym;
}

Sym intern_str(Interner *in, const char *s) { return intern(in, s, strlen(s)); }

const char *sym_text(const Interner *in, Sym s) { return in->text.at[s]; }
