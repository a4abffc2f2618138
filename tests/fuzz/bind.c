/* bind: see bind.h. */
#include "bind.h"

#include <math.h>
#include <string.h>

#include "generate.h"
#include "oracle/draw.h"

static uint64_t hash(uint64_t seed, const char *name) {
  for (; *name; name++) seed = (seed ^ (unsigned char)*name) * 0x100000001B3u;
  return seed;
}

/* ---- sizes ---------------------------------------------------------------------------------------------- */

static int64_t size_of(uint64_t seed, const char *name, uint32_t attempt) {
  static const int64_t usual[] = {1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6}, large[] = {64, 65, 100, 257, 300, 70};
  Random r = {hash(seed, name)};
  if (!strcmp(name, "D") || !strcmp(name, "C")) return 1 + random_below(&r, 5);
  uint32_t u = random_below(&r, 100);
  if (attempt == 0 && u == 99) return large[random_below(&r, 6)];
  if (u < 5) return 0;
  if (u < 15) return attempt < 2 ? 6 + random_below(&r, 4) : 2;
  int64_t n = usual[random_below(&r, 12)];
  return attempt < 2 ? n : n < 2 ? n : attempt < 3 ? (n < 4 ? n : 3) : 2;
}

/* ---- inputs ---------------------------------------------------------------------------------------------- */

static bool by_convention(const char *name) {
  return strchr("xvqpuszhbnctfg", *name) && (name[1] == '_' || (*name == 't' && name[1] && name[2] == '_'));
}

static double real_of(Random *r, char letter) {
  switch (letter) {
  case 'p': return exp(0.5 * random_gauss(r));
  case 's': return exp(random_gauss(r));
  case 'u': return 0.05 + 0.9 * random_unit(r);
  case 'z': return random_below(r, 10) < 7;
  case 'h': return random_below(r, 10) < 8 ? 0 : -INFINITY;
  case 'b': return 1e4 * random_gauss(r);
  case 'n': return random_below(r, 10) ? random_gauss(r) : NAN;
  default: return random_gauss(r);
  }
}

static void normalise_rows(BoundInput *b) {
  int64_t n = b->rank ? b->dims[b->rank - 1] : 0;
  for (int64_t row = 0; n && row < b->count / n; row++) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += b->real[row * n + k];
    for (int64_t k = 0; k < n; k++) b->real[row * n + k] = (double)(float)(b->real[row * n + k] / sum);
  }
}

static int64_t size_named(const Model *m, const Binding *bound, char name) {
  for (uint32_t i = 0; i < m->sizes.n; i++) {
    const char *text = sym_text(m->names, m->sizes.at[i]->name);
    if (*text == name && !text[1]) return bound->sizes[i];
  }
  return 1;
}

static void fill_graph(Arena *arena, Random *r, BoundInput *b) {
  int64_t rows = b->dims[0], columns = b->dims[1];
  b->indptr = NEW_ARRAY(arena, int64_t, rows + 1);
  b->indices = NEW_ARRAY(arena, int64_t, rows * columns);
  b->nnz = 0;
  for (int64_t i = 0; i < rows; i++) {
    uint32_t density = random_below(r, 10) ? 3 + random_below(r, 6) : 0;
    for (int64_t j = 0; j < columns; j++)
      if (random_below(r, 10) < density) b->indices[b->nnz++] = j;
    b->indptr[i + 1] = b->nnz;
  }
}

static void fill(Arena *arena, const Model *m, Binding *bound, const Input *in, uint64_t seed) {
  const char *name = sym_text(m->names, in->name);
  BoundInput *b = &bound->inputs[in->id];
  if (!by_convention(name)) return;
  Random r = {hash(seed, name)};
  if (in->elem == ELEM_GRAPH) {
    fill_graph(arena, &r, b);
    return;
  }
  uint32_t below = *name == 't' ? (uint32_t)size_named(m, bound, name[1]) : *name == 'f' ? 2 : 5;
  for (int64_t k = 0; k < b->count; k++)
    if (b->integer) b->integer[k] = random_below(&r, below);
    else b->real[k] = (double)(float)real_of(&r, *name);
  if (*name == 's') normalise_rows(b);
}

bool bind_model(Arena *arena, const Model *m, uint64_t seed, uint32_t attempt, Binding *bound, char **why) {
  int64_t *sizes = NEW_ARRAY(arena, int64_t, m->sizes.n);
  for (uint32_t i = 0; i < m->sizes.n; i++) sizes[i] = size_of(seed, sym_text(m->names, m->sizes.at[i]->name), attempt);
  DrawOptions options = {.sizes = sizes, .round_f32 = true};
  if (!draw_binding(arena, m, seed, &options, bound, why)) return false;
  for (uint32_t i = 0; i < m->inputs.n; i++) fill(arena, m, bound, m->inputs.at[i], seed);
  return true;
}

Binding bind_perturbed(Arena *arena, const Model *m, const Binding *bound, double rounding, uint64_t seed) {
  Binding to = *bound;
  Random r = {seed + 5};
  to.inputs = NEW_ARRAY(arena, BoundInput, m->inputs.n);
  for (uint32_t i = 0; i < m->inputs.n; i++) {
    BoundInput *b = &to.inputs[i];
    *b = bound->inputs[i];
    if (!b->real) continue;
    double *moved = NEW_ARRAY(arena, double, b->count);
    for (int64_t k = 0; k < b->count; k++) {
      double x = b->real[k];
      moved[k] = x == 0 || x == 1 || !isfinite(x) ? x : x * (1 + rounding * (random_below(&r, 2) ? 1 : -1));
    }
    b->real = moved;
  }
  return to;
}
