/* tile_mask: which blocks a mask leaves empty, and which it fills, by interval arithmetic.
 *
 * A mask is a formula of comparisons.  For a range of rows and a range of columns every integer in it lies in an
 * interval, found from the intervals of its parts; so a comparison may hold, must hold, or neither is known.  What is
 * data (a load, a result) is a leaf: its least and greatest values are taken once for a strip of rows, a tile of
 * columns and the blocks of both, when these values are known.  An interval that overflowed, and a form with no rule,
 * decides nothing: the pairs are then looked at one by one. */
#include <math.h>
#include <string.h>

#include "back/tile.h"
#include "back/whole.h"
#include "tile/tile_map.h"

typedef LLVMValueRef V;

/* Least and greatest values of an operand: for every strip or tile of a block (arrays), and for the block (cells). */
typedef struct TileLeaf { Val v; bool column, is_real; V lo, hi, block_lo, block_hi; } Leaf;

/* lo <= x <= hi where `sound`; all three are i64, i64, i1, or f32 for reals.  lo is NULL where nothing is known. */
typedef struct Interval { V lo, hi, sound; bool is_real; } Interval;

static V truth(Emit *e, bool x) { return LLVMConstInt(e->t.i1, x, false); }

/* x < y, x <= y */
static V less(Emit *e, bool is_real, V x, V y) {
  return is_real ? LLVMBuildFCmp(e->b, LLVMRealOLT, x, y, "") : LLVMBuildICmp(e->b, LLVMIntSLT, x, y, "");
}
static V at_most(Emit *e, bool is_real, V x, V y) {
  return is_real ? LLVMBuildFCmp(e->b, LLVMRealOLE, x, y, "") : LLVMBuildICmp(e->b, LLVMIntSLE, x, y, "");
}
static V smaller(Emit *e, bool is_real, V x, V y) { return LLVMBuildSelect(e->b, less(e, is_real, y, x), y, x, ""); }
static V greater(Emit *e, bool is_real, V x, V y) { return LLVMBuildSelect(e->b, less(e, is_real, x, y), y, x, ""); }

/* ---- the parts of a mask --------------------------------------------------------------------------- */

static bool is_formula(IrOp op) {
  return op == IR_AND || op == IR_OR || op == IR_NOT || ir_op_compares(op) || tile_passes_interval(op);
}

static bool is_index(const Tile *t, Val v) { return v == t->rows->loop->index || v == t->s->loop->index; }

static const Leaf *leaf_of(const Tile *t, Val v) {
  for (uint32_t n = 0; n < t->leaves.n; n++)
    if (t->leaves.at[n]->v == v) return t->leaves.at[n];
  return NULL;
}

static void collect(Tile *t, Val v) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  TileSource from = t->operand[v].from;
  if (!t->rows->dep[v] || is_index(t, v) || leaf_of(t, v)) return;
  if (from == FROM_ROW || from == FROM_COL) {
    bool is_real = i->type == IR_REAL || i->type == IR_WIDE;
    uint32_t parts = from == FROM_ROW ? t->s->shape.row_block / t->nrow : t->s->shape.col_block / t->width;
    LLVMTypeRef one = is_real ? e->t.f32 : e->t.i64, many = LLVMArrayType2(one, parts + 1);
    Leaf *leaf = NEW(e->arena, Leaf);
    *leaf = (Leaf){v,
                   from == FROM_COL,
                   is_real,
                   cell_new(e, many, "lo"),
                   cell_new(e, many, "hi"),
                   cell_new(e, one, "lo"),
                   cell_new(e, one, "hi")};
    vec_push(e->arena, &t->leaves, leaf);
    return;
  }
  for (uint32_t n = 0; is_formula(i->op) && n < i->narg; n++) collect(t, i->arg[n]);
}

void tile_mask_begin(Tile *t) {
  if (t->s->loop->mask) collect(t, t->s->loop->mask);
}

/* ---- extremes of leaves ---------------------------------------------------------------------------- */

static V bound(Emit *e, const Leaf *l, bool greatest) {
  if (l->is_real) return LLVMConstReal(e->t.f32, greatest ? INFINITY : -INFINITY);
  return const_int(e, greatest ? INT64_MAX : INT64_MIN);
}

static V operand_at(Tile *t, const Leaf *l, V at) {
  Emit *e = t->e;
  IrType type = ir_at(e->k, l->v)->type;
  if (l->is_real) return tile_get(e, e->t.f32, t->operand[l->v].at, at);
  if (type == IR_INT) return tile_get(e, e->t.i64, t->operand[l->v].at, at);
  return LLVMBuildZExt(e->b, tile_get(e, e->t.i32, t->operand[l->v].at, at), e->t.i64, "");
}

/* Takes x into two cells.  A NaN may be anything. */
static void widen(Emit *e, const Leaf *l, V lo, V hi, V x) {
  V low = x, high = x;
  if (l->is_real) {
    V nan = LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
    low = LLVMBuildSelect(e->b, nan, bound(e, l, false), x, "");
    high = LLVMBuildSelect(e->b, nan, bound(e, l, true), x, "");
  }
  LLVMTypeRef type = LLVMTypeOf(x);
  LLVMBuildStore(e->b, smaller(e, l->is_real, LLVMBuildLoad2(e->b, type, lo, ""), low), lo);
  LLVMBuildStore(e->b, greater(e, l->is_real, LLVMBuildLoad2(e->b, type, hi, ""), high), hi);
}

static void clear(Emit *e, const Leaf *l, V lo, V hi) {
  LLVMBuildStore(e->b, bound(e, l, true), lo);
  LLVMBuildStore(e->b, bound(e, l, false), hi);
}

/* Extremes of one strip or tile, whose `size` operands begin at part * size. */
static void take_part(Tile *t, const Leaf *l, V part, uint32_t size) {
  Emit *e = t->e;
  LLVMTypeRef type = l->is_real ? e->t.f32 : e->t.i64;
  V lo = tile_address(e, type, l->lo, part), hi = tile_address(e, type, l->hi, part), first = times(e, part, size);
  clear(e, l, lo, hi);
  Count c = count_enter(e, const_int(e, 0), const_int(e, size));
  widen(e, l, lo, hi, operand_at(t, l, plus(e, first, c.index)));
  count_leave(e, &c);
  widen(e, l, l->block_lo, l->block_hi, LLVMBuildLoad2(e->b, type, lo, ""));
  widen(e, l, l->block_lo, l->block_hi, LLVMBuildLoad2(e->b, type, hi, ""));
}

static void take_extremes(Tile *t, bool column, V parts, uint32_t size) {
  Emit *e = t->e;
  for (uint32_t n = 0; n < t->leaves.n; n++)
    if (t->leaves.at[n]->column == column)
      clear(e, t->leaves.at[n], t->leaves.at[n]->block_lo, t->leaves.at[n]->block_hi);
  Count c = count_enter(e, const_int(e, 0), parts);
  for (uint32_t n = 0; n < t->leaves.n; n++)
    if (t->leaves.at[n]->column == column) take_part(t, t->leaves.at[n], c.index, size);
  count_leave(e, &c);
}

static bool has_leaves(const Tile *t, bool column) {
  for (uint32_t n = 0; n < t->leaves.n; n++)
    if (t->leaves.at[n]->column == column) return true;
  return false;
}

void tile_mask_rows(Tile *t) {
  if (!has_leaves(t, false)) return;
  V strips =
      LLVMBuildUDiv(t->e->b, plus(t->e, t->rows_in_block, const_int(t->e, t->nrow - 1)), const_int(t->e, t->nrow), "");
  take_extremes(t, false, strips, t->nrow);
}

void tile_mask_columns(Tile *t) {
  if (!has_leaves(t, true)) return;
  ValVec values = {0};
  for (uint32_t n = 0; n < t->leaves.n; n++)
    if (t->leaves.at[n]->column) vec_push(t->e->arena, &values, t->leaves.at[n]->v);
  tile_pack_column_values(t, &values);
  take_extremes(t, true, t->tiles, t->width);
}

/* ---- intervals -------------------------------------------------------------------------------------- */

/* What rows and columns are meant: closed ranges of indices, and where the leaves' extremes lie (strip, tile: NULL: of
 * the block). */
typedef struct Reach { V row_lo, row_hi, col_lo, col_hi, strip, tile; } Reach;

static const Interval UNKNOWN = {0};

/* x op y, false in *sound where it overflows. */
static V exact(Emit *e, const char *intrinsic, V x, V y, V *sound) {
  unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
  V f = LLVMGetIntrinsicDeclaration(e->module, id, &e->t.i64, 1);
  V r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, (V[]){x, y}, 2, "");
  *sound = both(e, *sound, negate(e, LLVMBuildExtractValue(e->b, r, 1, "")));
  return LLVMBuildExtractValue(e->b, r, 0, "");
}

static Interval of_leaf(Tile *t, const Reach *w, const Leaf *l) {
  Emit *e = t->e;
  LLVMTypeRef type = l->is_real ? e->t.f32 : e->t.i64;
  V part = l->column ? w->tile : w->strip;
  V lo = part ? tile_address(e, type, l->lo, part) : l->block_lo,
    hi = part ? tile_address(e, type, l->hi, part) : l->block_hi;
  return (Interval){LLVMBuildLoad2(e->b, type, lo, ""), LLVMBuildLoad2(e->b, type, hi, ""), truth(e, true), l->is_real};
}

static Interval of_uniform(Tile *t, Val v) {
  Emit *e = t->e;
  IrType type = ir_at(e->k, v)->type;
  bool is_real = type == IR_REAL || type == IR_WIDE;
  V x = type == IR_BOOL ? LLVMBuildZExt(e->b, e->val[v], e->t.i64, "") : lane_from(e, e->val[v], type),
    sound = truth(e, true);
  if (is_real) sound = LLVMBuildFCmp(e->b, LLVMRealORD, x, x, "");
  return (Interval){x, x, sound, is_real};
}

static Interval hull(Emit *e, V *x, uint32_t n, V sound) {
  Interval r = {x[0], x[0], sound, false};
  for (uint32_t k = 1; k < n; k++) r.lo = smaller(e, false, r.lo, x[k]), r.hi = greater(e, false, r.hi, x[k]);
  return r;
}

/* |x|; -x overflows for the least int alone. */
static Interval of_abs(Emit *e, const Interval *x) {
  V sound = x->sound, zero = const_int(e, 0);
  V below = exact(e, "llvm.ssub.with.overflow", zero, x->lo, &sound),
    above = exact(e, "llvm.ssub.with.overflow", zero, x->hi, &sound);
  V lo = greater(e, false, zero, greater(e, false, x->lo, above)), hi = greater(e, false, x->hi, below);
  return (Interval){lo, hi, sound, false};
}

static Interval of_product(Emit *e, const Interval *x, const Interval *y) {
  static const char mul[] = "llvm.smul.with.overflow";
  V sound = both(e, x->sound, y->sound);
  V corner[] = {exact(e, mul, x->lo, y->lo, &sound), exact(e, mul, x->lo, y->hi, &sound),
                exact(e, mul, x->hi, y->lo, &sound), exact(e, mul, x->hi, y->hi, &sound)};
  return hull(e, corner, 4, sound);
}

/* x // y is monotone in x for one y > 0. */
static Interval of_quotient(Tile *t, const Instr *i, const Interval *x, const Interval *y) {
  Emit *e = t->e;
  if (t->rows->dep[i->arg[1]]) return UNKNOWN;
  V positive = less(e, false, const_int(e, 0), y->lo), by = LLVMBuildSelect(e->b, positive, y->lo, const_int(e, 1), "");
  V ends[2] = {x->lo, x->hi};
  for (int n = 0; n < 2; n++) {
    V whole = LLVMBuildSDiv(e->b, ends[n], by, ""), rest = LLVMBuildSRem(e->b, ends[n], by, "");
    V below = less(e, false, rest, const_int(e, 0));
    ends[n] = minus(e, whole, LLVMBuildZExt(e->b, below, e->t.i64, ""));
  }
  return (Interval){ends[0], ends[1], both(e, both(e, x->sound, y->sound), positive), false};
}

static Interval interval(Tile *t, const Reach *w, Val v);

static Interval of_arithmetic(Tile *t, const Reach *w, const Instr *i) {
  static const char add[] = "llvm.sadd.with.overflow", sub[] = "llvm.ssub.with.overflow";
  Emit *e = t->e;
  if (i->type != IR_INT || !tile_passes_interval(i->op)) return UNKNOWN;
  Interval x = interval(t, w, i->arg[0]), y = x;
  if (i->narg > 1) y = interval(t, w, i->arg[1]);
  if (!x.lo || !y.lo) return UNKNOWN;
  V sound = both(e, x.sound, y.sound), lo, hi;
  switch (i->op) {
    case IR_ADD: lo = exact(e, add, x.lo, y.lo, &sound), hi = exact(e, add, x.hi, y.hi, &sound); break;
    case IR_SUB: lo = exact(e, sub, x.lo, y.hi, &sound), hi = exact(e, sub, x.hi, y.lo, &sound); break;
    case IR_NEG:
      lo = exact(e, sub, const_int(e, 0), x.hi, &sound), hi = exact(e, sub, const_int(e, 0), x.lo, &sound);
      break;
    case IR_MIN: lo = smaller(e, false, x.lo, y.lo), hi = smaller(e, false, x.hi, y.hi); break;
    case IR_MAX: lo = greater(e, false, x.lo, y.lo), hi = greater(e, false, x.hi, y.hi); break;
    case IR_ABS: return of_abs(e, &x);
    case IR_MUL: return of_product(e, &x, &y);
    case IR_FLOORDIV: return of_quotient(t, i, &x, &y);
    default: return UNKNOWN;
  }
  return (Interval){lo, hi, sound, false};
}

static Interval interval(Tile *t, const Reach *w, Val v) {
  Emit *e = t->e;
  const Leaf *l = leaf_of(t, v);
  if (!t->rows->dep[v]) return of_uniform(t, v);
  if (l) return of_leaf(t, w, l);
  if (v == t->rows->loop->index) return (Interval){w->row_lo, w->row_hi, truth(e, true), false};
  if (v == t->s->loop->index) return (Interval){w->col_lo, w->col_hi, truth(e, true), false};
  return of_arithmetic(t, w, ir_at(e->k, v));
}

/* ---- truths ------------------------------------------------------------------------------------------- */

static Truth unless(Emit *e, Truth x) { return (Truth){negate(e, x.must), negate(e, x.may)}; }

static Truth compare(Tile *t, const Reach *w, const Instr *i) {
  Emit *e = t->e;
  Interval x = interval(t, w, i->arg[0]), y = interval(t, w, i->arg[1]);
  if (!x.lo || !y.lo || x.is_real != y.is_real) return (Truth){truth(e, true), truth(e, false)};
  bool real = x.is_real;
  V sound = both(e, x.sound, y.sound), may, must;
  switch (i->op) {
    case IR_LT: may = less(e, real, x.lo, y.hi), must = less(e, real, x.hi, y.lo); break;
    case IR_LE: may = at_most(e, real, x.lo, y.hi), must = at_most(e, real, x.hi, y.lo); break;
    case IR_GT: may = less(e, real, y.lo, x.hi), must = less(e, real, y.hi, x.lo); break;
    case IR_GE: may = at_most(e, real, y.lo, x.hi), must = at_most(e, real, y.hi, x.lo); break;
    default: /* EQ, NE */
      may = both(e, at_most(e, real, x.lo, y.hi), at_most(e, real, y.lo, x.hi));
      must = both(e, at_most(e, real, x.hi, y.lo), at_most(e, real, y.hi, x.lo));
  }
  if (i->op == IR_NE) {
    Truth equal = {may, must}, other = unless(e, equal);
    may = other.may, must = other.must;
  }
  return (Truth){either(e, may, negate(e, sound)), both(e, must, sound)};
}

static Truth decide(Tile *t, const Reach *w, Val v) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  const Leaf *l = leaf_of(t, v);
  if (!t->rows->dep[v]) return (Truth){e->val[v], e->val[v]};
  if (l) {
    Interval x = of_leaf(t, w, l);
    V zero = const_int(e, 0);
    return (Truth){less(e, false, zero, x.hi), less(e, false, zero, x.lo)};
  }
  Truth x, y;
  switch (i->op) {
    case IR_NOT: return unless(e, decide(t, w, i->arg[0]));
    case IR_AND:
      x = decide(t, w, i->arg[0]), y = decide(t, w, i->arg[1]);
      return (Truth){both(e, x.may, y.may), both(e, x.must, y.must)};
    case IR_OR:
      x = decide(t, w, i->arg[0]), y = decide(t, w, i->arg[1]);
      return (Truth){either(e, x.may, y.may), either(e, x.must, y.must)};
    case IR_EQ:
    case IR_NE:
    case IR_LT:
    case IR_LE:
    case IR_GT:
    case IR_GE: return compare(t, w, i);
    default: return (Truth){truth(e, true), truth(e, false)};
  }
}

static Truth of_reach(Tile *t, const Reach *w) {
  if (!t->s->loop->mask) return (Truth){truth(t->e, true), truth(t->e, true)};
  return decide(t, w, t->s->loop->mask);
}

static V last_of(Emit *e, V first, V count) { return minus(e, plus(e, first, count), const_int(e, 1)); }

static Reach whole_block(Tile *t) {
  Emit *e = t->e;
  V rows = t->period ? smaller(e, false, t->rows_in_block, t->period) : t->rows_in_block;
  return (Reach){t->first_row, last_of(e, t->first_row, rows),
                 t->first_col, last_of(e, t->first_col, t->cols_in_block),
                 NULL,         NULL};
}

static Reach whole_strip(Tile *t) {
  Emit *e = t->e;
  Reach w = whole_block(t);
  if (!t->strip) return w;
  V first = plus(e, t->first_row, times(e, t->strip, t->nrow)), last = plus(e, first, const_int(e, t->nrow - 1));
  V again = t->period ? less(e, false, t->period, t->rows_in_block)
                      : truth(e, false); /* then the strip may have any of its rows */
  w.strip = t->strip;
  w.row_lo = LLVMBuildSelect(e->b, again, w.row_lo, first, "");
  w.row_hi = LLVMBuildSelect(e->b, again, w.row_hi, smaller(e, false, w.row_hi, last), "");
  return w;
}

Truth tile_mask_block(Tile *t) {
  Reach w = whole_block(t);
  return of_reach(t, &w);
}

Truth tile_mask_strip(Tile *t) {
  Reach w = whole_strip(t);
  return of_reach(t, &w);
}

/* Leaves are known for tiles, of all strips where none is set: their extremes hold for the tile's vectors too. */
Truth tile_mask_vectors(Tile *t, LLVMValueRef first, LLVMValueRef count) {
  Emit *e = t->e;
  Reach w = whole_strip(t);
  w.tile = LLVMBuildUDiv(e->b, first, const_int(e, t->width / t->l.n), "");
  w.col_lo = plus(e, t->first_col, times(e, first, t->l.n));
  w.col_hi = smaller(e, false, w.col_hi, minus(e, plus(e, w.col_lo, times(e, count, t->l.n)), const_int(e, 1)));
  return of_reach(t, &w);
}
