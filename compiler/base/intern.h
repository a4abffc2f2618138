/* intern: names become small integers, so that equality is == and no pass compares strings. */
#ifndef ATTN_BASE_INTERN_H
#define ATTN_BASE_INTERN_H

#include "base/vec.h"

typedef uint32_t Sym; /* 0 is no name */

typedef struct Interner {
  Arena *arena;
  VEC(const char *) text; /* text.at[sym]; at[0] is "" */
  uint32_t *table;        /* open addressing, power-of-two size, 0 empty */
  uint32_t table_size;
} Interner;

void intern_init(Interner *in, Arena *arena);
Sym intern(Interner *in, const char *s, size_t n);
Sym intern_str(Interner *in, const char *s);
const char *sym_text(const Interner *in, Sym s);

#endif
