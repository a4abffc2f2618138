/* tile_map: see tile_map.h.  Intervals of numbers, by the rules of back/tile_mask.c.
 *
 * Laws.  An interval holds every value that its expression takes for the rows and columns meant; a smaller range of
 * rows and columns has a smaller interval.  So a range that is decided decides all parts in it, and counting may
 * halve a line of parts until it is: for a mask that cuts a row in few places, a few tests a row.
 *
 * The code knows what it computes once a row or a column (leaves) by their extremes, not by rules; here leaves that
 * follow from indices and sizes have a few rules more (`exact`), and those that read data are not known.  Pairs are
 * intervals of one value, for which the same rules are exact.
 *
 * Work is bounded: lines are taken in the order of van der Corput (0, 1/2, 1/4, 3/4, ..), which is even at every
 * length, until the tests are used up. */
#include "tile/tile_map.h"

enum { MOST_TESTS = 1 << 20 }; /* of a mask, for each of blocks, tiles and pairs */

/* lo <= x <= hi; not known: it may be anything. */
typedef struct Interval {
  bool known;
  int64_t lo, hi;
} Interval;
/* Whether a condition may hold, and must hold. */
typedef struct Truth {
  bool may, must;
} Truth;

typedef struct Mapper {
  const Kernel *k;
  const TileRows *rows;
  const TileStream *s;
  const int64_t *sizes;
  uint32_t nsizes;
  bool *leaf;        /* by Val: computed once a row or a column */
  Interval row, col; /* the indices meant */
  bool pairs;        /* counting pairs: every rule may be used */
  int64_t tests;
} Mapper;

static const Interval UNKNOWN = {0};
static const Truth UNDECIDED = {true, false};

static Interval point(int64_t x) { return (Interval){true, x, x}; }
static bool is_point(const Interval *x) { return x->known && x->lo == x->hi; }
static int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t greater(int64_t x, int64_t y) { return x > y ? x : y; }

static int64_t floor_div(int64_t x, int64_t by) { return x / by - (x % by < 0); } /* by > 0 */

static Interval hull(const Interval *x, const Interval *y) {
  return (Interval){x->known && y->known, smaller(x->lo, y->lo), greater(x->hi, y->hi)};
}

/* ---- the parts of a mask --------------------------------------------------------------------------- */

static bool is_index(const TileRows *rows, const TileStream *s, Val v) {
  return v == rows->loop->index || v == s->loop->index;
}

static bool *leaves_of(Arena *arena, const Kernel *k, const TileRows *rows, const TileStream *s) {
  bool *leaf = NEW_ARRAY(arena, bool, k->instrs.n);
  for (uint32_t n = 0; n < s->row.n; n++) leaf[s->row.at[n]] = !is_index(rows, s, s->row.at[n]);
  for (uint32_t n = 0; n < s->col.n; n++) leaf[s->col.at[n]] = !is_index(rows, s, s->col.at[n]);
  return leaf;
}

bool tile_passes_interval(IrOp op) {
  switch (op) {
  case IR_ADD:
  case IR_SUB:
  case IR_NEG:
  case IR_ABS:
  case IR_MIN:
  case IR_MAX:
  case IR_MUL:
  case IR_FLOORDIV: return true;
  default: return false;
  }
}

static bool reads_data(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_LOAD || i->op == IR_RESULT) return true;
  for (uint32_t n = 0; n < i->narg; n++)
    if (reads_data(k, i->arg[n])) return true;
  return false;
}

static MaskRule worse(MaskRule x, MaskRule y) { return x > y ? x : y; }

static MaskRule rule_of(const Mapper *m, Val v, bool formula) {
  const Instr *i = ir_at(m->k, v);
  bool uniform = !m->rows->dep[v];
  if (is_index(m->rows, m->s, v)) return MASK_BY_INTERVALS;
  if (uniform || m->leaf[v]) return reads_data(m->k, v) ? MASK_BY_DATA : MASK_BY_INTERVALS;
  if (!(formula ? ir_op_compares(i->op) : tile_passes_interval(i->op) && i->type == IR_INT)) return MASK_BY_PAIR;
  if (i->op == IR_FLOORDIV && m->rows->dep[i->arg[1]]) return MASK_BY_PAIR;
  MaskRule rule = MASK_BY_INTERVALS;
  for (uint32_t n = 0; n < i->narg; n++) rule = worse(rule, rule_of(m, i->arg[n], false));
  return rule;
}

static void add_parts(Arena *arena, const Mapper *m, Val v, MaskParts *parts) {
  const Instr *i = ir_at(m->k, v);
  bool formula = i->op == IR_AND || i->op == IR_OR || i->op == IR_NOT;
  if (m->leaf[v] || !m->rows->dep[v] || !formula) {
    vec_push(arena, parts, (MaskPart){v, rule_of(m, v, true)});
    return;
  }
  for (uint32_t n = 0; n < i->narg; n++) add_parts(arena, m, i->arg[n], parts);
}

void tile_mask_parts(Arena *arena, const TilePlan *p, const TileRows *rows, const TileStream *s, MaskParts *parts) {
  Mapper m = {.k = p->k, .rows = rows, .s = s, .leaf = leaves_of(arena, p->k, rows, s)};
  *parts = (MaskParts){0};
  if (s->loop->mask) add_parts(arena, &m, s->loop->mask, parts);
}

/* ---- intervals -------------------------------------------------------------------------------------- */

static Interval interval(const Mapper *m, Val v, bool exact);
static Truth decide(const Mapper *m, Val v, bool exact);

/* An index of a loop around the rows: all its values at once. */
static Interval of_index(const Mapper *m, Val v) {
  const Instr *i = ir_at(m->k, v);
  if (v == m->rows->loop->index) return m->row;
  if (v == m->s->loop->index) return m->col;
  if (!i->loop) return UNKNOWN;
  Interval lo = interval(m, i->loop->lo, true), hi = interval(m, i->loop->hi, true);
  return (Interval){lo.known && hi.known && lo.lo < hi.hi, lo.lo, hi.hi - 1};
}

static Interval of_size(const Mapper *m, const Instr *i) {
  bool known = i->integer < m->nsizes && m->sizes[i->integer] >= 0;
  return known ? point(m->sizes[i->integer]) : UNKNOWN;
}

static Interval of_sum(const Interval *x, const Interval *y) {
  Interval r = {.known = true};
  r.known = !__builtin_add_overflow(x->lo, y->lo, &r.lo) && !__builtin_add_overflow(x->hi, y->hi, &r.hi);
  return r;
}

static Interval of_difference(const Interval *x, const Interval *y) {
  Interval r = {.known = true};
  r.known = !__builtin_sub_overflow(x->lo, y->hi, &r.lo) && !__builtin_sub_overflow(x->hi, y->lo, &r.hi);
  return r;
}

static Interval of_abs(const Interval *x) {
  Interval zero = point(0), minus = of_difference(&zero, x);
  return (Interval){minus.known, greater(0, greater(x->lo, minus.lo)), greater(x->hi, minus.hi)};
}

static Interval of_product(const Interval *x, const Interval *y) {
  int64_t c[4];
  bool over = __builtin_mul_overflow(x->lo, y->lo, &c[0]) | __builtin_mul_overflow(x->lo, y->hi, &c[1]) |
              __builtin_mul_overflow(x->hi, y->lo, &c[2]) | __builtin_mul_overflow(x->hi, y->hi, &c[3]);
  Interval r = {!over, c[0], c[0]};
  for (int n = 1; n < 4; n++) r.lo = smaller(r.lo, c[n]), r.hi = greater(r.hi, c[n]);
  return r;
}

/* x // y and x % y for one y > 0. */
static Interval of_quotient(const Interval *x, const Interval *y) {
  if (!is_point(y) || y->lo <= 0) return UNKNOWN;
  return (Interval){true, floor_div(x->lo, y->lo), floor_div(x->hi, y->lo)};
}

static Interval of_remainder(const Interval *x, const Interval *y) {
  if (!is_point(y) || y->lo <= 0) return UNKNOWN;
  int64_t period = floor_div(x->lo, y->lo);
  if (period != floor_div(x->hi, y->lo)) return (Interval){true, 0, y->lo - 1};
  return (Interval){true, x->lo - period * y->lo, x->hi - period * y->lo};
}

static Interval of_choice(const Mapper *m, const Instr *i) {
  Truth c = decide(m, i->arg[0], true);
  if (c.must) return interval(m, i->arg[1], true);
  if (!c.may) return interval(m, i->arg[2], true);
  Interval x = interval(m, i->arg[1], true), y = interval(m, i->arg[2], true);
  return hull(&x, &y);
}

/* Of a truth value: 0 and 1. */
static Interval of_truth(Truth x) { return (Interval){true, x.must, x.may}; }

static Interval of_arithmetic(const Mapper *m, const Instr *i, bool exact) {
  bool more = exact && i->op == IR_MOD;
  if (i->type != IR_INT || !(tile_passes_interval(i->op) || more)) return UNKNOWN;
  if (!exact && i->op == IR_FLOORDIV && m->rows->dep[i->arg[1]]) return UNKNOWN;
  Interval x = interval(m, i->arg[0], exact), y = i->narg > 1 ? interval(m, i->arg[1], exact) : x, zero = point(0);
  if (!x.known || !y.known) return UNKNOWN;
  switch (i->op) {
  case IR_ADD: return of_sum(&x, &y);
  case IR_SUB: return of_difference(&x, &y);
  case IR_NEG: return of_difference(&zero, &x);
  case IR_MIN: return (Interval){true, smaller(x.lo, y.lo), smaller(x.hi, y.hi)};
  case IR_MAX: return (Interval){true, greater(x.lo, y.lo), greater(x.hi, y.hi)};
  case IR_ABS: return of_abs(&x);
  case IR_MUL: return of_product(&x, &y);
  case IR_FLOORDIV: return of_quotient(&x, &y);
  case IR_MOD: return of_remainder(&x, &y);
  default: return UNKNOWN;
  }
}

static bool is_exact(const Mapper *m, Val v, bool exact) { return exact || m->leaf[v] || !m->rows->dep[v]; }

static Interval interval(const Mapper *m, Val v, bool exact) {
  const Instr *i = ir_at(m->k, v);
  exact = is_exact(m, v, exact);
  if (i->op == IR_INDEX) return of_index(m, v);
  if (i->type == IR_BOOL) return exact ? of_truth(decide(m, v, true)) : UNKNOWN;
  if (i->type != IR_INT) return UNKNOWN;
  if (i->op == IR_CONST) return point(i->integer);
  if (i->op == IR_SIZE) return of_size(m, i);
  if (exact && i->op == IR_SELECT) return of_choice(m, i);
  if (exact && i->op == IR_CONVERT) return interval(m, i->arg[0], true);
  return of_arithmetic(m, i, exact);
}

/* ---- truths ----------------------------------------------------------------------------------------- */

static Truth unless(Truth x) { return (Truth){!x.must, !x.may}; }

static Truth compare(const Mapper *m, const Instr *i, bool exact) {
  Interval x = interval(m, i->arg[0], exact), y = interval(m, i->arg[1], exact);
  if (!x.known || !y.known) return UNDECIDED;
  switch (i->op) {
  case IR_LT: return (Truth){x.lo < y.hi, x.hi < y.lo};
  case IR_LE: return (Truth){x.lo <= y.hi, x.hi <= y.lo};
  case IR_GT: return (Truth){y.lo < x.hi, y.hi < x.lo};
  case IR_GE: return (Truth){y.lo <= x.hi, y.hi <= x.lo};
  default: break;
  }
  Truth equal = {x.lo <= y.hi && y.lo <= x.hi, x.hi <= y.lo && y.hi <= x.lo};
  return i->op == IR_NE ? unless(equal) : equal;
}

static Truth choose(const Mapper *m, const Instr *i) {
  Truth c = decide(m, i->arg[0], true), x = decide(m, i->arg[1], true), y = decide(m, i->arg[2], true);
  return (Truth){(c.may && x.may) || (!c.must && y.may), (!c.may || x.must) && (c.must || y.must)};
}

static Truth decide(const Mapper *m, Val v, bool exact) {
  const Instr *i = ir_at(m->k, v);
  Truth x, y;
  exact = is_exact(m, v, exact);
  if (ir_op_compares(i->op)) return compare(m, i, exact);
  switch (i->op) {
  case IR_CONST: return (Truth){i->integer != 0, i->integer != 0};
  case IR_NOT: return unless(decide(m, i->arg[0], exact));
  case IR_AND:
    x = decide(m, i->arg[0], exact), y = decide(m, i->arg[1], exact);
    return (Truth){x.may && y.may, x.must && y.must};
  case IR_OR:
    x = decide(m, i->arg[0], exact), y = decide(m, i->arg[1], exact);
    return (Truth){x.may || y.may, x.must || y.must};
  case IR_SELECT: return exact ? choose(m, i) : UNDECIDED;
  default: return UNDECIDED;
  }
}

/* ---- counting --------------------------------------------------------------------------------------- */

/* Parts of `height` rows by `width` columns. */
typedef struct Grid {
  int64_t row_lo, row_hi, col_lo, col_hi, height, width;
} Grid;

static int64_t parts_in(int64_t lo, int64_t hi, int64_t size) { return hi > lo ? (hi - lo - 1) / size + 1 : 0; }

static Interval part_range(int64_t lo, int64_t hi, int64_t size, int64_t from, int64_t to) {
  return (Interval){true, lo + from * size, to * size < hi - lo ? lo + to * size - 1 : hi - 1};
}

/* Parts from..to of the line of m->row. */
static void count_columns(Mapper *m, const Grid *g, int64_t from, int64_t to, TileCount *c) {
  if (from >= to || ++m->tests > MOST_TESTS) return;
  m->col = part_range(g->col_lo, g->col_hi, g->width, from, to);
  Truth x = m->s->loop->mask ? decide(m, m->s->loop->mask, m->pairs) : (Truth){true, true};
  if (x.must)
    c->full += (double)(to - from);
  else if (!x.may)
    c->empty += (double)(to - from);
  else if (to - from == 1)
    c->partial += 1;
  else {
    int64_t middle = from + (to - from) / 2;
    count_columns(m, g, from, middle, c);
    count_columns(m, g, middle, to, c);
  }
}

static uint64_t reversed(uint64_t x, uint32_t bits) {
  uint64_t r = 0;
  for (uint32_t n = 0; n < bits; n++) r |= (x >> n & 1) << (bits - 1 - n);
  return r;
}

static bool count_line(Mapper *m, const Grid *g, int64_t line, TileCount *c) {
  TileCount with = *c;
  m->row = part_range(g->row_lo, g->row_hi, g->height, line, line + 1);
  count_columns(m, g, 0, parts_in(g->col_lo, g->col_hi, g->width), &with);
  if (m->tests > MOST_TESTS) return false;
  *c = with;
  c->lines++;
  return true;
}

static TileCount count(Mapper *m, Grid g, int64_t height, int64_t width) {
  uint32_t bits = 0;
  g.height = height, g.width = width;
  TileCount c = {.all_lines = parts_in(g.row_lo, g.row_hi, height)};
  while (bits < 62 && (INT64_C(1) << bits) < c.all_lines) bits++;
  m->tests = 0;
  for (uint64_t n = 0; n < UINT64_C(1) << bits; n++) {
    int64_t line = (int64_t)reversed(n, bits);
    if (line < c.all_lines && !count_line(m, &g, line, &c)) break;
  }
  c.known = c.lines > 0 || !c.all_lines;
  return c;
}

static bool bounds(const Mapper *m, const Loop *l, int64_t *lo, int64_t *hi) {
  Interval x = interval(m, l->lo, true), y = interval(m, l->hi, true);
  *lo = x.lo, *hi = y.lo;
  return is_point(&x) && is_point(&y);
}

TileMap tile_map(Arena *arena, const TilePlan *p, const TileRows *rows, const TileStream *s, const int64_t *sizes,
                 uint32_t nsizes) {
  TileMap map = {0};
  Grid g = {0};
  Mapper m = {
      .k = p->k, .rows = rows, .s = s, .sizes = sizes, .nsizes = nsizes, .leaf = leaves_of(arena, p->k, rows, s)};
  if (!bounds(&m, rows->loop, &g.row_lo, &g.row_hi) || !bounds(&m, s->loop, &g.col_lo, &g.col_hi)) return map;
  map.blocks = count(&m, g, s->shape.row_block, s->shape.col_block);
  map.tiles = count(&m, g, s->shape.rows, (int64_t)s->shape.vectors * s->shape.lanes);
  m.pairs = true;
  map.pairs = count(&m, g, 1, 1);
  return map;
}
