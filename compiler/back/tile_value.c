/* tile_value: the values of one register tile, or of one vector of pairs.
 *
 * A value of both row and column is nrow x nvec vectors, one of a column nvec, one of a row nrow broadcasts.  They are
 * emitted when something asks for them, element by element, so that few live at once; what was emitted is remembered
 * until the code leaves the blocks it dominates (tile_mark, tile_forget).  Feature loops run over whole tiles, whose
 * registers hold their sums; all else of a pair is computed vector by vector (Tile.here_row is set), from these sums.
 */
#include "back/tile.h"
#include "back/whole.h"
#include "base/ice.h"

uint32_t tile_mark(const Tile *t) { return t->memos.n; }

void tile_forget(Tile *t, uint32_t mark) {
  while (t->memos.n > mark) *t->memos.at[--t->memos.n] = NULL;
}

static LLVMValueRef remember(Tile *t, LLVMValueRef *cell, LLVMValueRef v) {
  *cell = v;
  vec_push(t->e->arena, &t->memos, cell);
  return v;
}

static LLVMValueRef *cell_of(Tile *t, Val v, uint32_t row, uint32_t vec) {
  uint8_t d = t->rows->dep[v];
  if (!t->memo[v]) t->memo[v] = NEW_ARRAY(t->e->arena, LLVMValueRef, t->s->shape.rows * t->s->shape.vectors);
  if (!(d & DEP_ROW) && t->operand[v].from != FROM_ROW_FEATURE) row = 0;
  if (!(d & DEP_COL)) vec = 0;
  return &t->memo[v][row * t->nvec + vec];
}

void tile_preset(Tile *t, Val v, LLVMValueRef x) { remember(t, cell_of(t, v, 0, 0), x); }

/* ---- operands ----------------------------------------------------------------------------------- */

static LLVMTypeRef element_type(const Emit *e, IrType t) { return t == IR_BOOL ? e->t.i32 : lane_type(e, t); }

static LLVMValueRef broadcast(Tile *t, Val v, LLVMValueRef at) {
  Emit *e = t->e;
  IrType type = ir_at(e->k, v)->type;
  LLVMValueRef x = tile_get(e, element_type(e, type), t->operand[v].at, at);
  if (type == IR_BOOL) x = LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(e->t.i32), "");
  return lanes_splat(&t->l, x);
}

static LLVMValueRef vector(Tile *t, Val v, LLVMValueRef at) {
  Emit *e = t->e;
  IrType type = ir_at(e->k, v)->type;
  LLVMValueRef x = tile_get(e, LLVMVectorType(element_type(e, type), t->l.n), t->operand[v].at, at);
  return type == IR_BOOL ? LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(t->l.i32), "") : x;
}

/* Row of the strip, and first column of the block, of a vector. */
static LLVMValueRef row_here(Tile *t, uint32_t row) { return t->here_row ? t->here_row : const_int(t->e, row); }

/* The number of a vector in the block of columns. */
static LLVMValueRef vector_here(Tile *t, uint32_t vec) {
  return plus(t->e, t->vector ? t->vector : times(t->e, t->column, t->nvec), const_int(t->e, vec));
}

static LLVMValueRef column_here(Tile *t, uint32_t vec) {
  return t->here_column ? t->here_column : times(t->e, vector_here(t, vec), t->l.n);
}

/* In a panel of columns: [column / panel_width][feature][column % panel_width]. */
static LLVMValueRef panel_place(Tile *t, const TileOperand *o, uint32_t vec) {
  Emit *e = t->e;
  LLVMValueRef once = const_int(e, t->s->shape.at_once), first = vector_here(t, 0);
  LLVMValueRef panel = LLVMBuildUDiv(e->b, first, once, ""),
               lane = times(e, LLVMBuildURem(e->b, first, once, ""), t->l.n);
  LLVMValueRef line = plus(e, LLVMBuildMul(e->b, panel, t->padded[o->feature], ""), t->feature);
  return plus(e, times(e, line, t->panel_width), plus(e, lane, const_int(e, vec * t->l.n)));
}

LLVMValueRef tile_pair_place(Tile *t, uint32_t row, uint32_t vec) {
  LLVMValueRef r = row_here(t, row);
  if (t->pair_row) r = plus(t->e, t->pair_row, r);
  return plus(t->e, times(t->e, r, t->s->shape.pair_line), column_here(t, vec));
}

/* The log of a sum of products relative to the tops of its factors.  A sum so small that products may have fallen out
 * of the range of f32 is left to the scalar code, unless there is nothing to sum. */
static LLVMValueRef log_of_sum(Tile *t, Val v, LLVMValueRef at, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[t->operand[v].feature];
  LLVMValueRef sum = vector(t, v, tile_pair_place(t, row, vec));
  LLVMValueRef top = tile_get(e, t->l.f32, t->operand[f->log_col].top, column_here(t, vec));
  top = LLVMBuildFAdd(e->b, lanes_splat(&t->l, tile_get(e, e->t.f32, t->operand[f->log_row].top, at)), top, "");
  LLVMValueRef some = LLVMBuildFCmp(e->b, LLVMRealOGT, top, lanes_float(&t->l, -__builtin_inf()), "");
  LLVMValueRef small = LLVMBuildFCmp(e->b, LLVMRealOLT, sum, lanes_float(&t->l, TILE_SUM_LEAST), "");
  LLVMValueRef unsure = LLVMBuildAnd(e->b, some, small, "");
  if (t->alive) unsure = LLVMBuildAnd(e->b, unsure, t->alive, "");
  tile_odd(t, tile_line_any(t, unsure));
  LLVMValueRef empty =
      LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, sum, sum, ""), sum, top, ""); /* NaN has no top */
  return LLVMBuildSelect(e->b, some, LLVMBuildFAdd(e->b, lanes_log(&t->l, sum), top, ""), empty, "");
}

static LLVMValueRef operand(Tile *t, Val v, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  const TileOperand *o = &t->operand[v];
  LLVMValueRef r = plus(e, times(e, t->strip, t->nrow), row_here(t, row)), line;
  switch (o->from) {
    case FROM_ROW: return broadcast(t, v, r);
    case FROM_COL: return vector(t, v, column_here(t, vec));
    case FROM_PAIR: return tile_half_scaled(t, o->feature, vector(t, v, tile_pair_place(t, row, vec)));
    case FROM_LOG_PAIR: return log_of_sum(t, v, r, row, vec);
    case FROM_ROW_FEATURE:
      return broadcast(t, v, plus(e, LLVMBuildMul(e->b, r, t->padded[o->feature], ""), t->feature));
    case FROM_COL_FEATURE: return vector(t, v, panel_place(t, o, vec));
    case FROM_DIAGONAL:
      if (t->period) r = LLVMBuildURem(e->b, r, t->period, "");
      line = LLVMBuildSub(e->b, column_here(t, vec), r, "");
      return vector(t, v, plus(e, line, const_int(e, t->s->shape.row_block - 1)));
    case FROM_SHARE:
      line = tile_get(e, t->l.f32, t->parts, tile_pair_place(t, row, vec));
      return LLVMBuildFMul(e->b, line, tile_get(e, t->l.f32, t->inverse, column_here(t, vec)), "");
    case FROM_NOWHERE: break;
  }
  ICE("value %%%u of kernel '%s' is no operand of a tile", v, e->k->name);
}

/* Lanes behind the last column repeat it: they are masked, and must not read what is not there. */
static LLVMValueRef column_index(Tile *t, uint32_t vec) {
  Emit *e = t->e;
  LLVMValueRef first = plus(e, t->first_col, column_here(t, vec));
  LLVMValueRef last =
      lanes_splat(&t->l, LLVMBuildSub(e->b, plus(e, t->first_col, t->cols_in_block), const_int(e, 1), ""));
  LLVMValueRef index = plus(e, lanes_splat(&t->l, first), lanes_iota(&t->l, e->t.i64));
  return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, index, last, ""), index, last, "");
}

/* ---- values ------------------------------------------------------------------------------------- */

/* log |x^y| = y log |x| stays in range where the power does not; NaN where the power is. */
static LLVMValueRef log_of_power(Tile *t, const Instr *log, uint32_t row, uint32_t vec) {
  const Instr *i = ir_at(t->e->k, log->arg[0]);
  bool absolute = i->op == IR_ABS;
  if (absolute) i = ir_at(t->e->k, i->arg[0]);
  if (i->op != IR_POW) return NULL;
  LLVMBuilderRef b = t->e->b;
  LLVMValueRef x = tile_value(t, i->arg[0], row, vec), y = tile_value(t, i->arg[1], row, vec);
  LLVMValueRef size = lanes_call(&t->l, "llvm.fabs", 1, &x), whole = lanes_call(&t->l, "llvm.trunc", 1, &y);
  LLVMValueRef half = LLVMBuildFMul(b, y, lanes_float(&t->l, 0.5), ""),
               even = lanes_call(&t->l, "llvm.trunc", 1, &half);
  LLVMValueRef below = LLVMBuildFCmp(b, LLVMRealOLT, x, lanes_float(&t->l, 0), "");
  LLVMValueRef defined =
      absolute ? LLVMBuildFCmp(b, LLVMRealOEQ, whole, y, "") : LLVMBuildFCmp(b, LLVMRealOEQ, even, half, "");
  LLVMValueRef bad = LLVMBuildAnd(b, below, LLVMBuildNot(b, defined, ""), "");
  LLVMValueRef v = LLVMBuildFMul(b, y, lanes_log(&t->l, size), "");
  v = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOEQ, y, lanes_float(&t->l, 0), ""), lanes_float(&t->l, 0), v, "");
  return LLVMBuildSelect(b, bad, lanes_float(&t->l, __builtin_nan("")), v, "");
}

/* log x^y, or log |x^y|, is y log z with z: 1 where y = 0; |x| where the power is positive; else x, whose log is no
 * number where x < 0.  For a y that is the same for all pairs that is bits of x, and bits beside them. */
LLVMValueRef tile_power_base(Tile *t, const Instr *power, bool absolute) {
  Emit *e = t->e;
  LLVMBuilderRef b = e->b;
  LLVMValueRef y = op_convert(e, e->val[power->arg[1]], ir_at(e->k, power->arg[1])->type, IR_WIDE);
  LLVMValueRef part = absolute ? y : LLVMBuildFMul(b, y, const_float(e, IR_WIDE, 0.5), ""),
               whole = op_math(e, "trunc", IR_WIDE, part);
  LLVMValueRef positive = LLVMBuildFCmp(b, LLVMRealOEQ, whole, part, ""),
               one = LLVMBuildFCmp(b, LLVMRealOEQ, y, const_float(e, IR_WIDE, 0), "");
  LLVMValueRef none = LLVMConstNull(e->t.i32), size = LLVMConstInt(e->t.i32, 0x7fffffff, false),
               unit = LLVMConstInt(e->t.i32, 0x3f800000, false);
  LLVMValueRef keep = LLVMBuildSelect(b, positive, size, LLVMConstAllOnes(e->t.i32), "");
  keep = LLVMBuildSelect(b, one, none, keep, "");
  LLVMValueRef bits = LLVMBuildBitCast(b, tile_value(t, power->arg[0], 0, 0), t->l.i32, "");
  bits = LLVMBuildAnd(b, bits, lanes_splat(&t->l, keep), "");
  bits = LLVMBuildOr(b, bits, lanes_splat(&t->l, LLVMBuildSelect(b, one, unit, none, "")), "");
  return LLVMBuildBitCast(b, bits, t->l.f32, "");
}

/* x^y < 0 where x < 0 and y is an odd integer; the power itself need not be known. */
static LLVMValueRef power_below_zero(Tile *t, const Instr *less, uint32_t row, uint32_t vec) {
  const Kernel *k = t->e->k;
  const Instr *i = ir_at(k, less->arg[0]), *zero = ir_at(k, less->arg[1]);
  if (i->op != IR_POW || i->type == IR_INT || zero->op != IR_CONST || zero->number != 0) return NULL;
  LLVMBuilderRef b = t->e->b;
  LLVMValueRef x = tile_value(t, i->arg[0], row, vec), y = tile_value(t, i->arg[1], row, vec);
  LLVMValueRef half = LLVMBuildFMul(b, y, lanes_float(&t->l, 0.5), ""),
               even = lanes_call(&t->l, "llvm.trunc", 1, &half);
  LLVMValueRef whole = lanes_call(&t->l, "llvm.trunc", 1, &y),
               below = LLVMBuildFCmp(b, LLVMRealOLT, x, lanes_float(&t->l, 0), "");
  LLVMValueRef odd =
      LLVMBuildAnd(b, LLVMBuildFCmp(b, LLVMRealOEQ, whole, y, ""), LLVMBuildFCmp(b, LLVMRealUNE, even, half, ""), "");
  return LLVMBuildAnd(b, below, odd, "");
}

/* x / y with y the same for all pairs is x times a reciprocal, rounded once from f64. */
static LLVMValueRef divide_by_uniform(Tile *t, const Instr *i, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  if (i->op != IR_DIV || t->rows->dep[i->arg[1]]) return NULL;
  LLVMValueRef y = op_convert(e, e->val[i->arg[1]], ir_at(e->k, i->arg[1])->type, IR_WIDE);
  LLVMValueRef one = op_convert(e, LLVMBuildFDiv(e->b, const_float(e, IR_WIDE, 1), y, ""), IR_WIDE, IR_REAL);
  return LLVMBuildFMul(e->b, tile_value(t, i->arg[0], row, vec), lanes_splat(&t->l, one), "");
}

/* Zero times a value is 0 or no number. */
static bool is_nothing(const Kernel *k, Val v, int depth) {
  const Instr *i = ir_at(k, v);
  if (depth > 8) return false;
  if (i->op == IR_CONVERT || i->op == IR_NEG || i->op == IR_DIV) return is_nothing(k, i->arg[0], depth + 1);
  for (uint32_t n = 0; i->op == IR_MUL && n < 2; n++)
    if (ir_at(k, i->arg[n])->op == IR_CONST && ir_at(k, i->arg[n])->type != IR_INT && ir_at(k, i->arg[n])->number == 0)
      return true;
  return false;
}

static bool never_removes(Tile *t, Val v, int depth);

static bool is_finite_in_maximum(Tile *t, const Instr *max, uint32_t n, int depth) {
  return tile_is_uniform_maximum(t, max, n) || never_removes(t, max->arg[n], depth + 1);
}

/* A log weight that is never -inf; what is the same for all pairs in a sum of logs, or a maximum, is finite
 * (tile_check_factors), but for one that is packed. */
static bool never_removes(Tile *t, Val v, int depth) {
  const Instr *i = ir_at(t->e->k, v);
  if (depth > 8 || t->operand[v].from) return false;
  for (uint32_t n = 0; i->op == IR_MAX && n < 2; n++)
    if (is_finite_in_maximum(t, i, n, depth)) return true;
  if (!tile_is_uniform_sum(t, i)) return false;
  return is_nothing(t->e->k, i->arg[t->rows->dep[i->arg[0]] ? 0 : 1], 0);
}

/* Whether x is -inf, or is not. */
static LLVMValueRef removes(Tile *t, const Instr *i) {
  const Instr *none = ir_at(t->e->k, i->arg[1]);
  if (none->op != IR_CONST || none->type == IR_INT || none->type == IR_BOOL || none->number != -__builtin_inf())
    return NULL;
  if (!never_removes(t, i->arg[0], 0)) return NULL;
  return lanes_splat(&t->l, LLVMConstInt(t->e->t.i1, i->op == IR_NE, false));
}

/* x - x tells numbers from what is none.  max(a, b) with an a that is no -inf is a number where both are, but for b =
 * -inf. */
static LLVMValueRef spoil_of_maximum(Tile *t, const Instr *i, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  const Instr *max = ir_at(e->k, i->arg[0]);
  if (i->arg[0] != i->arg[1] || max->op != IR_MAX || max->type == IR_INT || max->type == IR_BOOL) return NULL;
  uint32_t n = is_finite_in_maximum(t, max, 0, 0) ? 0 : 1;
  if (t->operand[i->arg[0]].from || !is_finite_in_maximum(t, max, n, 0)) return NULL;
  LLVMValueRef a = tile_value(t, max->arg[n], row, vec), b = tile_value(t, max->arg[1 - n], row, vec),
               least = lanes_float(&t->l, -3e38);
  b = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, b, least, ""), least, b, "");
  return LLVMBuildFAdd(e->b, LLVMBuildFSub(e->b, a, a, ""), LLVMBuildFSub(e->b, b, b, ""), "");
}

static LLVMValueRef special_form(Tile *t, Val v, uint32_t row, uint32_t vec) {
  const Instr *i = ir_at(t->e->k, v);
  LLVMValueRef function = t->here_row ? tile_function(t, v) : NULL;
  if (function) return function;
  if (i->op == IR_EQ || i->op == IR_NE) return removes(t, i);
  if (tile_is_uniform_sum(t, i)) {
    LLVMValueRef x = tile_value(t, i->arg[0], row, vec);
    return LLVMBuildFAdd(t->e->b, x, tile_value(t, i->arg[1], row, vec), "");
  }
  if (i->op == IR_SUB) return spoil_of_maximum(t, i, row, vec);
  if (i->op == IR_LOG) return log_of_power(t, i, row, vec);
  if (i->op == IR_LT) return power_below_zero(t, i, row, vec);
  return divide_by_uniform(t, i, row, vec);
}

static LLVMValueRef compute(Tile *t, Val v, uint32_t row, uint32_t vec) {
  const Instr *i = ir_at(t->e->k, v);
  LLVMValueRef *arg = NEW_ARRAY(t->e->arena, LLVMValueRef, i->narg + 1), special = special_form(t, v, row, vec);
  if (special) return special;
  for (uint32_t a = 0; a < i->narg; a++) arg[a] = tile_value(t, i->arg[a], row, vec);
  return i->op == IR_LOAD ? tile_load(t, i, arg) : lanes_op(&t->l, i, arg);
}

LLVMValueRef tile_value(Tile *t, Val v, uint32_t row, uint32_t vec) {
  LLVMValueRef *cell = cell_of(t, v, row, vec);
  if (*cell) return *cell;
  const Instr *i = ir_at(t->e->k, v);
  if (!t->rows->dep[v]) return remember(t, cell, lanes_splat(&t->l, lane_from(t->e, t->e->val[v], i->type)));
  if (v == t->s->loop->index) return remember(t, cell, column_index(t, vec));
  if (t->operand[v].from) return remember(t, cell, operand(t, v, row, vec));
  if (i->op == IR_RESULT)
    return remember(t, cell, LLVMConstNull(lanes_type(&t->l, i->type))); /* of a loop for exceptions */
  LLVMValueRef x = compute(t, v, row, vec);
  return remember(t, cell, x);
}
