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

/* ---- loads -------------------------------------------------------------------------------------- */

/* The indices of lane k become the ones that scalar code sees. */
static void set_indices(Emit *e, const Instr *i, LLVMValueRef *index, unsigned k) {
  for (uint32_t a = 0; a < i->narg; a++)
    e->val[i->arg[a]] = LLVMBuildExtractElement(e->b, index[a], LLVMConstInt(e->t.i32, k, false), "");
}

/* Element by element, with the tests of the scalar code. */
static LLVMValueRef load_each(Tile *t, const Instr *i, LLVMValueRef *index) {
  Emit *e = t->e;
  LLVMValueRef result = LLVMGetPoison(lanes_type(&t->l, i->type));
  for (unsigned k = 0; k < t->l.n; k++) {
    set_indices(e, i, index, k);
    result = LLVMBuildInsertElement(e->b, result, lane_from(e, array_load(e, i), i->type),
                                    LLVMConstInt(e->t.i32, k, false), "");
  }
  return result;
}

/* The column's index, or that more or less what all columns share: it goes up by one from lane to lane. */
static bool runs_along(const Tile *t, Val v) {
  const Instr *i = ir_at(t->e->k, v);
  Val column = t->s->loop->index;
  if (v == column) return true;
  if (i->op != IR_ADD && i->op != IR_SUB) return false;
  if (i->arg[0] == column) return !(t->rows->dep[i->arg[1]] & DEP_COL);
  return i->op == IR_ADD && i->arg[1] == column && !(t->rows->dep[i->arg[0]] & DEP_COL);
}

/* Which index of a load runs along the columns, all others lacking them; -1: none does. */
static int column_place(const Tile *t, const Instr *load) {
  int place = -1;
  for (uint32_t n = 0; n < load->narg; n++) {
    if (runs_along(t, load->arg[n]) && place < 0) place = (int)n;
    else if (t->rows->dep[load->arg[n]] & DEP_COL) return -1;
  }
  return array_has_runs(load->array) ? place : -1;
}

/* Of a run that leaves its array: what is inside, by one load under a mask where the stride is known to be 1. */
static LLVMValueRef load_part_of_run(Tile *t, const Instr *i, LLVMValueRef *index, uint32_t along) {
  Emit *e = t->e;
  const ArrayPlace *p = &e->place[i->array->id];
  bool is_near = LLVMIsAConstantInt(p->stride[along]) && LLVMConstIntGetSExtValue(p->stride[along]) == 1;
  if (!is_near) return load_each(t, i, index);
  LLVMValueRef lane = plus(e, lanes_splat(&t->l, e->val[i->arg[along]]), lanes_iota(&t->l, e->t.i64));
  LLVMValueRef inside = LLVMBuildICmp(e->b, LLVMIntULT, lane, lanes_splat(&t->l, p->dim[along]), "");
  for (uint32_t n = 0; n < i->narg; n++) {
    if (n == along || array_within(e, i->arg[n], i->array->dims[n])) continue;
    LLVMValueRef there = LLVMBuildICmp(e->b, LLVMIntULT, e->val[i->arg[n]], p->dim[n], "");
    inside = LLVMBuildAnd(e->b, inside, lanes_splat(&t->l, there), "");
  }
  return array_run_part(e, i, along, t->l.n, inside);
}

/* Elements that lie side by side along the columns, where they do.  Lanes behind the last column then read what is
 * there: they are masked. */
static LLVMValueRef load_run(Tile *t, const Instr *i, LLVMValueRef *index, uint32_t along) {
  Emit *e = t->e;
  set_indices(e, i, index, 0);
  LLVMValueRef first = e->val[i->arg[along]], last = plus(e, first, const_int(e, t->l.n)), value[2];
  LLVMBasicBlockRef from[2], done = block_new(e, "loaded"),
                             each = block_when(e, array_run_holds(e, i, along, first, last), "run");
  value[0] = array_run(e, i, along, t->l.n);
  if (LLVMTypeOf(value[0]) != t->l.f32) value[0] = LLVMBuildFPTrunc(e->b, value[0], t->l.f32, "");
  from[0] = LLVMGetInsertBlock(e->b);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, each);
  value[1] = load_part_of_run(t, i, index, along);
  if (LLVMTypeOf(value[1]) != t->l.f32) value[1] = LLVMBuildFPTrunc(e->b, value[1], t->l.f32, "");
  from[1] = LLVMGetInsertBlock(e->b);
  block_go(e, done);
  LLVMValueRef phi = LLVMBuildPhi(e->b, t->l.f32, "");
  LLVMAddIncoming(phi, value, from, 2);
  return phi;
}

static LLVMValueRef load_lanes(Tile *t, const Instr *i, LLVMValueRef *index) {
  Emit *e = t->e;
  LLVMValueRef *kept = NEW_ARRAY(e->arena, LLVMValueRef, i->narg + 1);
  int along = column_place(t, i);
  for (uint32_t a = 0; a < i->narg; a++) kept[a] = e->val[i->arg[a]];
  LLVMValueRef x = along < 0 ? load_each(t, i, index) : load_run(t, i, index, (uint32_t)along);
  for (uint32_t a = 0; a < i->narg; a++) e->val[i->arg[a]] = kept[a];
  return x;
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

/* A log weight that is never -inf; what is the same for all pairs in a sum of logs is finite (tile_check_factors). */
static bool never_removes(Tile *t, Val v, int depth) {
  const Instr *i = ir_at(t->e->k, v);
  if (depth > 8) return false;
  if (i->op == IR_MAX) return never_removes(t, i->arg[0], depth + 1) || never_removes(t, i->arg[1], depth + 1);
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
  uint32_t n = never_removes(t, max->arg[0], 0) ? 0 : 1;
  if (!never_removes(t, max->arg[n], 0)) return NULL;
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
  return i->op == IR_LOAD ? load_lanes(t, i, arg) : lanes_op(&t->l, i, arg);
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

/* ---- feature loops ------------------------------------------------------------------------------ */

LLVMValueRef tile_identity(const Tile *t, const Acc *a) {
  AccKind k = a->kind;
  IrType type = a->type;
  if (type == IR_BOOL) return lanes_splat(&t->l, LLVMConstInt(t->e->t.i1, k == ACC_ALL, false));
  if (type == IR_INT) {
    int64_t v = k == ACC_PROD ? 1 : k == ACC_MAX ? INT64_MIN : k == ACC_MIN ? INT64_MAX : 0;
    return lanes_splat(&t->l, const_int(t->e, v));
  }
  return lanes_float(&t->l, k == ACC_PROD ? 1 : k == ACC_MAX ? -__builtin_inf() : k == ACC_MIN ? __builtin_inf() : 0);
}

static Val through_converts(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  while (i->op == IR_CONVERT && ir_at(k, i->arg[0])->type == IR_REAL) v = i->arg[0], i = ir_at(k, v);
  return v;
}

static LLVMValueRef combine(Tile *t, const Acc *a, LLVMValueRef old, LLVMValueRef x) {
  LLVMBuilderRef b = t->e->b;
  bool is_int = a->type == IR_INT;
  switch (a->kind) {
    case ACC_SUM: return is_int ? LLVMBuildAdd(b, old, x, "") : LLVMBuildFAdd(b, old, x, "");
    case ACC_PROD: return is_int ? LLVMBuildMul(b, old, x, "") : LLVMBuildFMul(b, old, x, "");
    case ACC_MAX:
    case ACC_MIN:
      if (is_int) {
        LLVMIntPredicate p = a->kind == ACC_MAX ? LLVMIntSGT : LLVMIntSLT;
        return LLVMBuildSelect(b, LLVMBuildICmp(b, p, old, x, ""), old, x, "");
      }
      return op_extreme(t->e, IR_REAL, a->kind == ACC_MAX, old, x);
    case ACC_ANY: return LLVMBuildOr(b, old, x, "");
    case ACC_ALL: return LLVMBuildAnd(b, old, x, "");
    default: ICE("accumulator '%s' in a tile", ir_acc_name(a->kind));
  }
}

/* A sum of multiples is the multiple of the sum: x without constant factors, which *by takes; not where sums are taken
 * up again after they were kept (tile_place.c). */
static Val without_constants(const Tile *t, const TileFeature *f, const Acc *a, double *by) {
  const Kernel *k = t->e->k;
  Val v = through_converts(k, a->body.x);
  *by = 1;
  if (tile_place_can(t)) return v;
  while (a->kind == ACC_SUM && a->type == IR_WIDE && !f->is_log && !f->is_dot && ir_at(k, v)->op == IR_MUL &&
         !t->operand[v].from) {
    const Instr *i = ir_at(k, v);
    uint32_t n = 0;
    while (n < 2 && ir_at(k, through_converts(k, i->arg[n]))->op != IR_CONST) n++;
    if (n == 2) break;
    *by *= ir_at(k, through_converts(k, i->arg[n]))->number;
    v = through_converts(k, i->arg[1 - n]);
  }
  return v;
}

/* A sum of products is fused. */
LLVMValueRef tile_feature_step(Tile *t, const TileFeature *f, const Acc *a, LLVMValueRef old, uint32_t row,
                               uint32_t vec) {
  if (f->is_log) return lanes_fma(&t->l, tile_value(t, f->log_row, row, vec), tile_value(t, f->log_col, row, vec), old);
  if (f->is_dot)
    return lanes_dot_bf16(&t->l, old, tile_value(t, f->dot_row, row, vec), tile_value(t, f->dot_col, row, vec));
  double by;
  Val product = without_constants(t, f, a, &by);
  const Instr *i = ir_at(t->e->k, product);
  bool of_pairs = (t->rows->dep[product] & DEP_BOTH) == DEP_BOTH; /* else it is an operand itself */
  if (a->kind == ACC_SUM && i->op == IR_MUL && i->type != IR_INT && of_pairs)
    return lanes_fma(&t->l, tile_value(t, i->arg[0], row, vec), tile_value(t, i->arg[1], row, vec), old);
  LLVMValueRef x = tile_value(t, by == 1 ? a->body.x : product, row, vec);
  return combine(t, a, old, x);
}

static double constant_of(const Tile *t, Val result) {
  const TileFeature *f = &t->s->features.at[t->operand[result].feature];
  double by = 1;
  for (uint32_t n = 0; n < f->loop->accs.n; n++)
    if (f->loop->accs.at[n]->result == result) without_constants(t, f, f->loop->accs.at[n], &by);
  return by;
}

void tile_keep_result(Tile *t, Val v, uint32_t row, uint32_t vec, LLVMValueRef x) {
  double by = constant_of(t, v);
  if (by != 1) x = LLVMBuildFMul(t->e->b, x, lanes_float(&t->l, by), "");
  if (ir_at(t->e->k, v)->type == IR_BOOL) x = LLVMBuildZExt(t->e->b, x, t->l.i32, "");
  tile_put(t->e, t->operand[v].at, tile_pair_place(t, row, vec), x);
}

typedef struct Points {
  LLVMValueRef *at;
  LLVMBasicBlockRef from;
} Points; /* one value for each element and accumulator */

static uint32_t points_of(const Tile *t, const Loop *l) { return t->nrow * t->nvec * l->accs.n; }

static Points points_phi(Tile *t, const Loop *l, const Points *first) {
  Points p = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++) {
    p.at[n] = LLVMBuildPhi(t->e->b, LLVMTypeOf(first->at[n]), "");
    LLVMAddIncoming(p.at[n], &first->at[n], (LLVMBasicBlockRef *)&first->from, 1);
  }
  return p;
}

static void points_incoming(Tile *t, const Loop *l, const Points *phi, const Points *next) {
  for (uint32_t n = 0; n < points_of(t, l); n++)
    LLVMAddIncoming(phi->at[n], &next->at[n], (LLVMBasicBlockRef *)&next->from, 1);
}

/* Features lo .. hi: first -> what they come to. */
static Points feature_range(Tile *t, uint32_t k, LLVMValueRef lo, LLVMValueRef hi, Points first) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * t->nvec;
  first.from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, lo, hi);
  uint32_t mark = tile_mark(t);
  t->feature = c.index;
  Points phi = points_phi(t, l, &first), next = {NEW_ARRAY(e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++)
    next.at[n] = tile_feature_step(t, f, l->accs.at[n / points], phi.at[n], n % points / t->nvec, n % t->nvec);
  next.from = LLVMGetInsertBlock(e->b);
  points_incoming(t, l, &phi, &next);
  tile_forget(t, mark);
  count_leave(e, &c);
  Points out = points_phi(t, l, &first);
  points_incoming(t, l, &out, &next);
  return out;
}

static Points no_features(Tile *t, const Loop *l) {
  uint32_t points = t->nrow * t->nvec;
  Points p = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++) p.at[n] = tile_identity(t, l->accs.at[n / points]);
  return p;
}

/* ---- features with other work beside them ----------------------------------------------------------- */

/* Straight code that is taken out of its block, to be put back piece by piece. */
typedef struct Pieces { VEC(LLVMValueRef) at; uint32_t next; } Pieces;

/* What beside(t, part) emits; nothing where that branches: then it stays where it is. */
static Pieces pieces_of(Tile *t, void (*beside)(Tile *t, LLVMValueRef part), LLVMValueRef part) {
  Emit *e = t->e;
  Pieces p = {0};
  LLVMBasicBlockRef block = LLVMGetInsertBlock(e->b);
  LLVMValueRef before = LLVMGetLastInstruction(block);
  beside(t, part);
  if (LLVMGetInsertBlock(e->b) != block) return p;
  LLVMValueRef i = before ? LLVMGetNextInstruction(before) : LLVMGetFirstInstruction(block);
  for (; i; i = LLVMGetNextInstruction(i)) vec_push(e->arena, &p.at, i);
  for (uint32_t n = 0; n < p.at.n; n++) LLVMInstructionRemoveFromParent(p.at.at[n]);
  return p;
}

/* Piece `k` of `count`. */
static void put_piece(Tile *t, Pieces *p, uint32_t k, uint32_t count) {
  for (uint32_t end = p->at.n * (k + 1) / count; p->next < end; p->next++)
    LLVMInsertIntoBuilder(t->e->b, p->at.at[p->next]);
}

/* One feature, straight. */
static Points feature_once(Tile *t, uint32_t k, LLVMValueRef feature, const Points *old) {
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * t->nvec, mark = tile_mark(t);
  Points next = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  t->feature = feature;
  for (uint32_t n = 0; n < points_of(t, l); n++)
    next.at[n] = tile_feature_step(t, f, l->accs.at[n / points], old->at[n], n % points / t->nvec, n % t->nvec);
  tile_forget(t, mark);
  return next;
}

enum { STRAIGHT_FEATURES = 16 };

/* How many features each of `parts` parts takes, the rest apart; 0: that is not known, or they are too many or too few.
 */
static uint32_t straight_features(const Tile *t, uint32_t k, uint32_t parts) {
  if (!LLVMIsAConstantInt(t->extent[k])) return 0;
  uint64_t each = LLVMConstIntGetZExtValue(t->extent[k]) / parts;
  return each <= STRAIGHT_FEATURES ? (uint32_t)each : 0;
}

/* Features of part `n` of `count`, as evenly as they can be shared. */
static Points feature_part(Tile *t, uint32_t k, LLVMValueRef n, uint64_t count, Points first) {
  Emit *e = t->e;
  LLVMValueRef extent = t->extent[k], parts = const_int(e, (int64_t)count), next = plus(e, n, const_int(e, 1));
  LLVMValueRef lo = LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, extent, n, ""), parts, "");
  return feature_range(t, k, lo, LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, extent, next, ""), parts, ""), first);
}

enum { PIECES = 4 };

/* In parts, beside each of which other work stands, spread among the features: its instructions wait for each other,
 * and multiply-adds behind many of them would wait too. */
static Points features_beside(Tile *t, uint32_t k, void (*beside)(Tile *t, LLVMValueRef part)) {
  Emit *e = t->e;
  const Loop *l = t->s->features.at[k].loop;
  uint32_t count = t->nrow * t->nvec / t->unit, each = straight_features(t, k, count), pieces = each ? each : PIECES;
  Points first = no_features(t, l), next;
  first.from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, const_int(e, 0), const_int(e, count));
  Points phi = next = points_phi(t, l, &first);
  Pieces work = pieces_of(t, beside, c.index);
  for (uint32_t n = 0; n < pieces; n++) {
    LLVMValueRef at = plus(e, times(e, c.index, pieces), const_int(e, n));
    put_piece(t, &work, n, pieces);
    next = each ? feature_once(t, k, at, &next) : feature_part(t, k, at, (uint64_t)count * pieces, next);
  }
  next.from = LLVMGetInsertBlock(e->b);
  points_incoming(t, l, &phi, &next);
  count_leave(e, &c);
  Points out = points_phi(t, l, &first);
  points_incoming(t, l, &out, &next);
  return each ? feature_range(t, k, const_int(e, (int64_t)each * count), t->extent[k], out) : out;
}

/* All accumulators of the loop for all elements of the tile, as values that go around the loop; then they are kept in
 * buffers of pairs. */
static void tile_feature(Tile *t, uint32_t k, void (*beside)(Tile *t, LLVMValueRef part)) {
  const Loop *l = t->s->features.at[k].loop;
  uint32_t points = t->nrow * t->nvec;
  Points p =
      beside ? features_beside(t, k, beside) : feature_range(t, k, const_int(t->e, 0), t->extent[k], no_features(t, l));
  for (uint32_t n = 0; n < points_of(t, l); n++)
    tile_keep_result(t, l->accs.at[n / points]->result, n % points / t->nvec, n % t->nvec, p.at[n]);
}

void tile_features(Tile *t, void (*beside)(Tile *t, LLVMValueRef part)) {
  const Region *r = t->s->loop->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(t->e->k, r->code.at[n]);
    for (uint32_t k = 0; i->op == IR_LOOP && k < t->s->features.n; k++) {
      if (t->s->features.at[k].loop != i->loop) continue;
      tile_feature(t, k, beside);
      beside = NULL;
    }
  }
}
