/* registry: dense numbers for keys (owner, index values).  Copies of edges, components of latents and
 * elements of derived arrays are all named so; ranges may be ragged, hence no strides. */
#include "oracle/world.h"

static uint64_t key_hash(uint32_t owner, uint32_t rank, const int64_t *at) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ owner;
  for (uint32_t k = 0; k < rank; k++) {
    h = (h ^ (uint64_t)at[k]) * 0xBF58476D1CE4E5B9u;
    h ^= h >> 29;
  }
  return h ^ (h >> 32);
}

static bool key_equal(const RegistryKey *k, uint32_t owner, uint32_t rank, const int64_t *at) {
  if (k->owner != owner || k->rank != rank) return false;
  return rank == 0 || memcmp(k->at, at, rank * sizeof *at) == 0;
}

/* The cell of the key, or the empty one where it belongs. */
static uint32_t key_cell(const Registry *r, uint32_t owner, uint32_t rank, const int64_t *at) {
  uint32_t mask = r->table_size - 1, cell = (uint32_t)key_hash(owner, rank, at) & mask;
  while (r->table[cell] && !key_equal(&r->keys.at[r->table[cell] - 1], owner, rank, at)) cell = (cell + 1) & mask;
  return cell;
}

uint32_t registry_find(const Registry *r, uint32_t owner, uint32_t rank, const int64_t *at) {
  if (!r->table_size) return NOT_FOUND;
  uint32_t entry = r->table[key_cell(r, owner, rank, at)];
  return entry ? entry - 1 : NOT_FOUND;
}

static void registry_grow(Arena *arena, Registry *r) {
  r->table_size = r->table_size ? 2 * r->table_size : 64;
  r->table = NEW_ARRAY(arena, uint32_t, r->table_size);
  for (uint32_t k = 0; k < r->keys.n; k++) {
    const RegistryKey *key = &r->keys.at[k];
    r->table[key_cell(r, key->owner, key->rank, key->at)] = k + 1;
  }
}

uint32_t registry_add(Arena *arena, Registry *r, uint32_t owner, uint32_t rank, const int64_t *at) {
  uint32_t found = registry_find(r, owner, rank, at);
  if (found != NOT_FOUND) return found;
  if (2 * (r->keys.n + 1) > r->table_size) registry_grow(arena, r);
  RegistryKey key = {owner, rank, oracle_copy_values(arena, at, rank)};
  vec_push(arena, &r->keys, key);
  r->table[key_cell(r, owner, rank, at)] = r->keys.n;
  return r->keys.n - 1;
}

int64_t *oracle_copy_values(Arena *arena, const int64_t *at, uint32_t n) {
  int64_t *copy = NEW_ARRAY(arena, int64_t, n);
  if (n) memcpy(copy, at, n * sizeof *at);
  return copy;
}
