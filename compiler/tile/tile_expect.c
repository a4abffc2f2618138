/* tile_expect: what the sizes of the next calls tell of code that may be left out.
 *
 * Columns may be packed, or read where they lie; the results are the same, the first costs less for many rows and the
 * second for few, and both are code.  Where the sizes are known with which a kernel is going to be called, the second
 * is made only if they ask for it.  Other sizes then are served as well, if perhaps more slowly. */
#include "tile/tile.h"

/* A value that follows from the sizes; false: not known here. */
static bool value_of(const Kernel *k, Val v, const int64_t *sizes, int64_t *x) {
  const Instr *i = ir_at(k, v);
  int64_t y = 0;
  if (i->type != IR_INT || i->narg > 2) return false;
  if (i->narg > 0 && !value_of(k, i->arg[0], sizes, x)) return false;
  if (i->narg > 1 && !value_of(k, i->arg[1], sizes, &y)) return false;
  switch (i->op) {
    case IR_CONST: return *x = i->integer, true;
    case IR_SIZE: return *x = sizes[i->integer], *x >= 0;
    case IR_MAX: return *x = *x > y ? *x : y, true;
    case IR_MIN: return *x = *x < y ? *x : y, true;
    case IR_ADD: return !__builtin_add_overflow(*x, y, x);
    case IR_SUB: return !__builtin_sub_overflow(*x, y, x);
    case IR_MUL: return !__builtin_mul_overflow(*x, y, x);
    default: return false;
  }
}

/* Columns of which packing takes no time to speak of. */
enum { SHORT = 256 };

static bool is_few(const Kernel *k, const Loop *rows, const Loop *columns, const int64_t *sizes) {
  int64_t lo, hi;
  bool known = value_of(k, rows->lo, sizes, &lo) && value_of(k, rows->hi, sizes, &hi);
  if (known && hi - lo > TILE_FEW) return false;
  known = value_of(k, columns->lo, sizes, &lo) && value_of(k, columns->hi, sizes, &hi);
  return !known || hi - lo > SHORT;
}

/* Whether blocks have rows of several iterations. */
static bool are_grouped(const Kernel *k, const TileRows *rows, const int64_t *sizes) {
  int64_t lo, hi, share;
  bool known = value_of(k, rows->loop->lo, sizes, &lo) && value_of(k, rows->loop->hi, sizes, &hi);
  if (known && hi - lo > TILE_GROUPED / 2) return false;
  return !rows->share || !value_of(k, rows->share, sizes, &share) || share > 1;
}

void tile_expect(TilePlan *p, const int64_t *sizes) {
  for (uint32_t n = 0; n < p->rows.n; n++) {
    TileRows *rows = p->rows.at[n];
    if (sizes && rows->around && !are_grouped(p->k, rows, sizes)) rows->around = NULL;
    for (uint32_t m = 0; m < rows->streams.n; m++) {
      TileStream *s = rows->streams.at[m];
      s->few = !sizes || is_few(p->k, rows->loop, s->loop, sizes);
    }
  }
}
