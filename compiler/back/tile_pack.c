/* tile_pack: the operands of tiles, computed by the scalar code of the values they are.
 *
 * Buffers: an operand of rows is [row]; of rows and features [row][d]; of columns [column]; of columns and features
 * [tile][d][column of the tile], by way of lines in a scratch which are transposed; of diagonals [j - i + rows - 1], i
 * and j being counted in the block.  Lines of d are padded to whole vectors. */
#include <math.h>

#include "back/tile_pack.h"
#include "back/whole.h"

LLVMValueRef tile_address(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef at) {
  return LLVMBuildInBoundsGEP2(e->b, t, base, &at, 1, "");
}

LLVMValueRef tile_get(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef at) {
  LLVMTypeRef element = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
  LLVMValueRef load = LLVMBuildLoad2(e->b, t, tile_address(e, element, base, at), "");
  LLVMSetAlignment(load, 4);
  return load;
}

void tile_put(Emit *e, LLVMValueRef base, LLVMValueRef at, LLVMValueRef value) {
  LLVMTypeRef t = LLVMTypeOf(value), element = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
  LLVMSetAlignment(LLVMBuildStore(e->b, value, tile_address(e, element, base, at)), 4);
}

void tile_odd(Tile *t, LLVMValueRef cond) {
  Emit *e = t->e;
  LLVMValueRef cell = t->here_row ? t->row_odd : t->odd, before = LLVMBuildLoad2(e->b, e->t.i1, cell, "");
  LLVMBuildStore(e->b, LLVMBuildOr(e->b, before, cond, ""), cell);
}

LLVMValueRef tile_infinite(Emit *e, IrType t, LLVMValueRef x) {
  LLVMValueRef size = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, x, LLVMConstNull(LLVMTypeOf(x)), ""),
                                      LLVMBuildFNeg(e->b, x, ""), x, "");
  return LLVMBuildFCmp(e->b, LLVMRealOEQ, size, const_float(e, t, INFINITY), "");
}

/* A value as an element of a buffer; odd where f32 cannot hold it. */
static LLVMValueRef element(Tile *t, Val v) {
  Emit *e = t->e;
  IrType type = ir_at(e->k, v)->type;
  LLVMValueRef x = e->val[v], y = lane_from(e, x, type);
  if (type == IR_BOOL) return LLVMBuildZExt(e->b, y, e->t.i32, "");
  if (type != IR_WIDE) return y;
  LLVMValueRef over =
      LLVMBuildAnd(e->b, tile_infinite(e, IR_REAL, y), LLVMBuildNot(e->b, tile_infinite(e, IR_WIDE, x), ""), "");
  tile_odd(t, over);
  return y;
}

LLVMValueRef tile_padded(const Tile *t, LLVMValueRef extent) {
  LLVMValueRef more = layout_add(t->e, extent, const_int(t->e, t->l.n - 1));
  return LLVMBuildAnd(t->e->b, more, const_int(t->e, -(int64_t)t->l.n), "");
}

static void store_all(Tile *t, const ValVec *values, LLVMValueRef at) {
  for (uint32_t n = 0; n < values->n; n++) {
    Val v = values->at[n];
    tile_put(t->e, t->operand[v].at, at, tile_scaled(t, v, element(t, v)));
  }
}

/* ---- the regions in which operands are computed ------------------------------------------------- */

static Need need_new(const Tile *t) {
  return (Need){t->e->k, NEW_ARRAY(t->e->arena, bool, t->e->k->instrs.n),
                NEW_ARRAY(t->e->arena, bool, t->e->k->arrays.n)};
}

static void need_values(Need *n, const ValVec *v) {
  for (uint32_t k = 0; k < v->n; k++) n->val[v->at[k]] = true;
}

/* outer: of the loops around those of features; single: values of columns that are computed one by one. */
typedef struct Packing { bool *body, **feature, **outer, **axis; ValVec single; } Packing;

static void need_factors(Need *n, const TileBys *by) {
  for (uint32_t k = 0; k < by->n; k++) n->val[by->at[k].v] = true;
}

static ValVec column_runs(const Tile *t, bool runs);

/* What is computed of the stream's regions for rows, resp. columns; `n` collects what that reads around them. */
static Packing packing(const Tile *t, bool columns, Need *n) {
  const TileStream *s = t->s;
  Packing p = {.feature = NEW_ARRAY(t->e->arena, bool *, s->features.n + 1),
               .outer = NEW_ARRAY(t->e->arena, bool *, s->features.n + 1),
               .axis = NEW_ARRAY(t->e->arena, bool *, s->accs.n + 1)};
  for (uint32_t k = 0; columns && k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use != USE_CONTRACT) continue;
    n->val[a->panel] = true;
    check_need(t, a->acc->body.at, true, true, n);
    check_need(t, a->acc->body.at, true, false, n);
    check_need(t, a->acc->body.at, false, true, n);
    p.axis[k] = need_slice(t->e, n, a->acc->body.at);
  }
  for (uint32_t k = 0; k < s->features.n; k++) {
    const TileFeature *f = &s->features.at[k];
    need_values(n, columns ? &f->col : &f->row);
    check_need(t, f->loop->body, columns, true, n);
    check_need(t, f->loop->body, columns, false, n);
    p.feature[k] = need_slice(t->e, n, f->loop->body);
    need_factors(n, columns ? &f->col_by : &f->row_by);
    if (f->outer) p.outer[k] = need_slice(t->e, n, f->outer->body);
  }
  if (columns) p.single = column_runs(t, false);
  need_values(n, columns ? &p.single : &s->row);
  check_need(t, s->loop->body, columns, false, n);
  for (uint32_t k = 0; !columns && k < s->accs.n; k++)
    if (s->accs.at[k].use == USE_CONTRACT) check_need(t, s->accs.at[k].acc->body.at, false, false, n);
  p.body = need_slice(t->e, n, s->loop->body);
  return p;
}

void tile_need_row(const Tile *t, Need *n) { packing(t, false, n); }

/* ---- packing ------------------------------------------------------------------------------------ */

void pack_set_feature(Emit *e, Val index, Val lo, Val hi, LLVMValueRef d) {
  e->val[index] = plus(e, e->val[lo], d);
  e->range[index] = (IndexRange){lo, hi};
}

void pack_vectors(Tile *t, LLVMValueRef full, void (*put)(Tile *t, const void *ctx, LLVMValueRef d),
                        const void *ctx) {
  Emit *e = t->e;
  LLVMValueRef groups = LLVMBuildUDiv(e->b, full, const_int(e, t->width), ""), lanes = const_int(e, t->l.n);
  Count c = count_enter(e, const_int(e, 0), groups);
  for (uint32_t v = 0; v < t->nvec; v++)
    put(t, ctx, plus(e, times(e, c.index, t->width), const_int(e, (int64_t)v * t->l.n)));
  count_leave(e, &c);
  c = count_enter(e, times(e, groups, t->nvec), LLVMBuildUDiv(e->b, full, lanes, ""));
  put(t, ctx, times(e, c.index, t->l.n));
  count_leave(e, &c);
}

/* A line in the making: the operands of one row, or column, along a feature. */
typedef struct Line {
  const TileFeature *f;
  const ValVec *values;
  const bool *pick;    /* of the feature's region */
  LLVMValueRef at;     /* number of the row, or column, in the block */
  LLVMValueRef slot;   /* of columns: of the scratch */
  LLVMValueRef padded;
  LLVMValueRef first;  /* of the features packed: where it goes */
  LLVMValueRef by;     /* by what the one of `scaled` is multiplied; NULL: nothing */
  Val scaled;
  uint32_t feature;
  bool columns;
} Line;

/* The value of feature d. */
static void store_line(Tile *t, const Line *l, Val v, LLVMValueRef d, LLVMValueRef x) {
  Emit *e = t->e;
  const TileOperand *o = &t->operand[v];
  x = tile_scaled(t, v, x);
  if (l->by && v == l->scaled) x = tile_times(t, x, l->by);
  d = plus(e, l->first, d);
  if (!l->columns) tile_put(e, o->at, plus(e, LLVMBuildMul(e->b, l->at, l->padded, ""), d), x);
  else if (o->scratch) tile_put(e, o->scratch, plus(e, LLVMBuildMul(e->b, l->slot, l->padded, ""), d), x);
  else {
    LLVMValueRef w = const_int(e, t->panel_width), tile = LLVMBuildUDiv(e->b, l->at, w, ""),
                 lane = LLVMBuildURem(e->b, l->at, w, "");
    LLVMValueRef line = plus(e, LLVMBuildMul(e->b, tile, l->padded, ""), d);
    tile_put(e, o->at, plus(e, times(e, line, t->panel_width), lane), x);
  }
}

static void put_line(Tile *t, const void *ctx, LLVMValueRef d) {
  const Line *l = ctx;
  const Loop *loop = l->f->loop;
  pack_set_feature(t->e, loop->index, loop->lo, loop->hi, d);
  for (uint32_t n = 0; n < l->values->n; n++)
    store_line(t, l, l->values->at[n], d, tile_line_value(t, l->values->at[n], loop->index));
}

static void pack_run(Tile *t, const Line *l, LLVMValueRef extent) {
  Emit *e = t->e;
  const Loop *loop = l->f->loop;
  LLVMValueRef full = const_int(e, 0);
  if (!check_any(t, loop->body, l->columns, true) && l->values->n) {
    full = tile_line_full(t, l->values, loop->index, e->val[loop->lo], extent);
    if (tile_line_may(full)) pack_vectors(t, full, put_line, l);
  }
  Count c = count_enter(e, full, extent);
  pack_set_feature(e, loop->index, loop->lo, loop->hi, c.index);
  emit_code(e, loop->body, l->pick, true);
  for (uint32_t n = 0; n < l->values->n; n++) store_line(t, l, l->values->at[n], c.index, element(t, l->values->at[n]));
  check_emit(t, loop->body, l->columns, true);
  count_leave(e, &c);
  check_emit_once(t, loop->body, l->columns, extent);
}

/* In f64, rounded once.  One that is no number decides also where there is nothing to multiply. */
static LLVMValueRef factors(Tile *t, const TileBys *by) {
  Emit *e = t->e;
  LLVMValueRef x = op_convert(e, tile_product(e, by), IR_WIDE, IR_REAL);
  LLVMValueRef gap = LLVMBuildFSub(e->b, x, x, "");
  tile_odd(t, LLVMBuildFCmp(e->b, LLVMRealUNO, gap, gap, ""));
  return x;
}

static void set_factors(Tile *t, Line *l) {
  const TileBys *by = l->columns ? &l->f->col_by : &l->f->row_by;
  if (by->n) l->by = factors(t, by), l->scaled = l->columns ? l->f->scaled_col : l->f->scaled_row;
}

/* For each value of the outer index a run of those of the inner. */
static void pack_runs(Tile *t, Line *l, const bool *pick) {
  Emit *e = t->e;
  const Loop *outer = l->f->outer, *loop = l->f->loop;
  LLVMValueRef extent = tile_extent(e, loop->lo, loop->hi);
  Count c = count_enter(e, const_int(e, 0), tile_extent(e, outer->lo, outer->hi));
  pack_set_feature(e, outer->index, outer->lo, outer->hi, c.index);
  emit_code(e, outer->body, pick, true);
  l->first = LLVMBuildMul(e->b, c.index, extent, "");
  set_factors(t, l);
  pack_run(t, l, extent);
  count_leave(e, &c);
}

/* ---- factors of the log of a sum of products ------------------------------------------------------ */

static LLVMValueRef larger(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, y, x, ""), y, x, "");
}

/* Lanes of the vector at d that are features. */
static LLVMValueRef is_feature(Tile *t, const Line *l, LLVMValueRef d) {
  Emit *e = t->e;
  LLVMValueRef left = LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, t->extent[l->feature], d, ""), e->t.i32, "");
  return LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, left), "");
}

/* x becomes e^(x - top), top being the largest x of the line; a NaN stays one. */
static void exponentiate(Tile *t, const Line *l, Val v) {
  Emit *e = t->e;
  const TileOperand *o = &t->operand[v];
  LLVMValueRef base = l->columns ? o->scratch : o->at, none = lanes_float(&t->l, -INFINITY),
               top = cell_new(e, t->l.f32, "top");
  LLVMValueRef first = LLVMBuildMul(e->b, l->columns ? l->slot : l->at, l->padded, ""),
               vectors = LLVMBuildUDiv(e->b, l->padded, const_int(e, t->l.n), "");
  LLVMBuildStore(e->b, none, top);
  Count c = count_enter(e, const_int(e, 0), vectors);
  LLVMValueRef d = times(e, c.index, t->l.n), x = tile_get(e, t->l.f32, base, plus(e, first, d));
  x = LLVMBuildSelect(e->b, is_feature(t, l, d), x, none, "");
  LLVMBuildStore(e->b, larger(e, LLVMBuildLoad2(e->b, t->l.f32, top, ""), x), top);
  count_leave(e, &c);
  LLVMValueRef most = lanes_fold(&t->l, LLVMBuildLoad2(e->b, t->l.f32, top, ""), larger);
  tile_put(e, o->top, l->at, most);
  LLVMValueRef empty = LLVMBuildFCmp(e->b, LLVMRealOEQ, most, LLVMConstReal(e->t.f32, -INFINITY), "");
  LLVMValueRef less = lanes_splat(&t->l, LLVMBuildSelect(e->b, empty, LLVMConstReal(e->t.f32, 0), most, ""));
  c = count_enter(e, const_int(e, 0), vectors);
  d = times(e, c.index, t->l.n), x = LLVMBuildFSub(e->b, tile_get(e, t->l.f32, base, plus(e, first, d)), less, "");
  x = lanes_weight_exponent(&t->l, LLVMBuildFMul(e->b, x, lanes_float(&t->l, TILE_LOG2_E), ""));
  x = lanes_exp2_weight(&t->l, x, NULL);
  tile_put(e, base, plus(e, first, d), LLVMBuildSelect(e->b, is_feature(t, l, d), x, lanes_float(&t->l, 0), ""));
  count_leave(e, &c);
}

static void pack_lines(Tile *t, const Packing *p, LLVMValueRef at, LLVMValueRef slot, bool columns) {
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const TileFeature *f = &t->s->features.at[k];
    if (f->is_dot) {
      tile_half_line(t, k, p->feature[k], at, slot, columns);
      check_emit_once(t, f->loop->body, columns, t->extent[k]);
      continue;
    }
    Line l = {.f = f, .values = columns ? &f->col : &f->row, .pick = p->feature[k], .at = at, .slot = slot};
    l.padded = t->padded[k], l.first = const_int(t->e, 0), l.feature = k, l.columns = columns;
    if (f->outer) {
      pack_runs(t, &l, p->outer[k]);
    } else {
      set_factors(t, &l);
      pack_run(t, &l, t->extent[k]);
    }
    if (f->is_log) exponentiate(t, &l, columns ? f->log_col : f->log_row);
  }
}

/* The scratch of columns at .. at + n becomes a vector of every line of the panel. */
static void transpose_scratch(Tile *t, const TileOperand *o, LLVMValueRef group) {
  Emit *e = t->e;
  LLVMValueRef padded = t->padded[o->feature], row[64], vectors = const_int(e, t->s->shape.at_once);
  LLVMValueRef tile = LLVMBuildUDiv(e->b, group, vectors, ""),
               lane = times(e, LLVMBuildURem(e->b, group, vectors, ""), t->l.n);
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, padded, const_int(e, t->l.n), ""));
  LLVMValueRef d = times(e, c.index, t->l.n);
  for (unsigned r = 0; r < t->l.n; r++)
    row[r] = tile_get(e, t->l.f32, o->scratch, plus(e, LLVMBuildMul(e->b, const_int(e, r), padded, ""), d));
  tile_transpose(&t->l, row);
  LLVMValueRef first = plus(e, LLVMBuildMul(e->b, tile, padded, ""), d);
  for (unsigned r = 0; r < t->l.n; r++)
    tile_put(e, o->at, plus(e, times(e, plus(e, first, const_int(e, r)), t->panel_width), lane), row[r]);
  count_leave(e, &c);
}

void tile_pack_row(Tile *t, LLVMValueRef at) {
  Need n = need_new(t);
  Packing p = packing(t, false, &n);
  emit_code(t->e, t->s->loop->body, p.body, true);
  store_all(t, &t->s->row, at);
  check_emit(t, t->s->loop->body, false, false);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) check_emit(t, t->s->accs.at[k].acc->body.at, false, false);
  pack_lines(t, &p, at, NULL, false);
}

/* ---- values of columns that lie side by side ------------------------------------------------------- */

/* An element at the column, or whether it is NaN: what has no arithmetic in f64, in vectors. */
static bool is_column_run(const Tile *t, Val v) {
  const Instr *i = ir_at(t->e->k, v);
  uint32_t along = 0;
  if (i->op == IR_NE && i->arg[0] == i->arg[1]) return is_column_run(t, i->arg[0]);
  if (i->op != IR_LOAD || !array_has_runs(i->array)) return false;
  for (uint32_t n = 0; n < i->narg; n++) {
    along += i->arg[n] == t->s->loop->index;
    if (i->arg[n] != t->s->loop->index && t->rows->dep[i->arg[n]]) return false;
  }
  return along == 1;
}

static const Instr *column_load(const Tile *t, Val v) {
  const Instr *i = ir_at(t->e->k, v);
  return i->op == IR_LOAD ? i : ir_at(t->e->k, i->arg[0]);
}

static uint32_t place_of_column(const Tile *t, const Instr *load) {
  uint32_t n = 0;
  while (load->arg[n] != t->s->loop->index) n++;
  return n;
}

/* The values from the column at e->val on. */
static LLVMValueRef column_run(Tile *t, Val v) {
  Emit *e = t->e;
  const Instr *load = column_load(t, v);
  LLVMValueRef x = array_run(e, load, place_of_column(t, load), t->l.n), y = x;
  if (ir_at(e->k, v)->op == IR_NE) return LLVMBuildZExt(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""), t->l.i32, "");
  if (LLVMTypeOf(x) == t->l.f32) return tile_scaled(t, v, x);
  y = LLVMBuildFPTrunc(e->b, x, t->l.f32, "");
  LLVMValueRef finite = LLVMBuildNot(e->b, tile_line_infinite(e, x), "");
  tile_odd(t, tile_line_any(t, LLVMBuildAnd(e->b, tile_line_infinite(e, y), finite, "")));
  return tile_scaled(t, v, y);
}

static ValVec column_runs(const Tile *t, bool runs) {
  ValVec of = {0};
  for (uint32_t n = 0; n < t->s->col.n; n++)
    if (is_column_run(t, t->s->col.at[n]) == runs) vec_push(t->e->arena, &of, t->s->col.at[n]);
  return of;
}

static void set_column(Tile *t, LLVMValueRef at);

/* Of the vector of columns from number `at` in the block on. */
static void pack_column_runs(Tile *t, const ValVec *values, LLVMValueRef at) {
  Emit *e = t->e;
  if (!values->n) return;
  LLVMValueRef end = plus(e, at, const_int(e, t->l.n)),
               holds = LLVMBuildICmp(e->b, LLVMIntSLE, end, t->cols_in_block, "");
  set_column(t, at);
  for (uint32_t n = 0; n < values->n; n++) {
    const Instr *load = column_load(t, values->at[n]);
    LLVMValueRef first = e->val[t->s->loop->index], last = plus(e, first, const_int(e, t->l.n));
    holds = LLVMBuildAnd(e->b, holds, array_run_holds(e, load, place_of_column(t, load), first, last), "");
  }
  LLVMBasicBlockRef done = block_new(e, "columns"), each = block_when(e, holds, "runs");
  for (uint32_t n = 0; n < values->n; n++) tile_put(e, t->operand[values->at[n]].at, at, column_run(t, values->at[n]));
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, each);
  tile_pack_values_between(t, values, at, end);
  block_go(e, done);
}

static void pack_column(Tile *t, const Packing *p, LLVMValueRef at, LLVMValueRef slot) {
  tile_put(t->e, t->bad, at, LLVMConstNull(t->e->t.i32));
  emit_code(t->e, t->s->loop->body, p->body, true);
  store_all(t, &p->single, at);
  check_emit(t, t->s->loop->body, true, false);
  pack_lines(t, p, at, slot, true);
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    const TileAcc *a = &t->s->accs.at[k];
    if (a->use == USE_CONTRACT && !a->rounds) pack_axis(t, k, p->axis[k], at);
    if (!a->rounds) continue;
    tile_half_axis(t, k, p->axis[k], at, slot);
    check_emit_once(t, a->acc->body.at, true, t->acc[k].extent);
  }
}

/* Columns beyond the last one repeat it: their pairs are masked, and nothing is read that is not there. */
static void set_column(Tile *t, LLVMValueRef at) {
  Emit *e = t->e;
  const Loop *l = t->s->loop;
  LLVMValueRef last = LLVMBuildSub(e->b, t->cols_in_block, const_int(e, 1), "");
  e->val[l->index] = plus(e, t->first_col, op_extreme(e, IR_INT, false, at, last));
  e->range[l->index] = (IndexRange){l->lo, l->hi};
}

/* As many columns at a time as a vector has lanes. */
void tile_pack_columns(Tile *t) {
  Emit *e = t->e;
  Need n = need_new(t);
  Packing p = packing(t, true, &n);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->some_bad);
  LLVMValueRef groups =
      LLVMBuildUDiv(e->b, plus(e, t->cols_in_block, const_int(e, t->l.n - 1)), const_int(e, t->l.n), "");
  ValVec runs = column_runs(t, true);
  Count group = count_enter(e, const_int(e, 0), groups);
  pack_column_runs(t, &runs, times(e, group.index, t->l.n));
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->l.n));
  LLVMValueRef at = plus(e, times(e, group.index, t->l.n), c.index);
  set_column(t, at);
  pack_column(t, &p, at, c.index);
  count_leave(e, &c);
  for (uint32_t k = 0; k < t->s->features.n; k++)
    for (uint32_t v = 0; v < t->s->features.at[k].col.n; v++) {
      const TileOperand *o = &t->operand[t->s->features.at[k].col.at[v]];
      if (o->scratch) transpose_scratch(t, o, group.index);
    }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].rounds) tile_half_interleave(t, k, group.index);
  count_leave(e, &group);
}

void tile_pack_columns_bare(Tile *t) {
  Emit *e = t->e;
  Count c =
      count_enter(e, const_int(e, 0),
                  LLVMBuildUDiv(e->b, plus(e, t->cols_in_block, const_int(e, t->l.n - 1)), const_int(e, t->l.n), ""));
  tile_put(e, t->bad, times(e, c.index, t->l.n), LLVMConstNull(t->l.i32));
  count_leave(e, &c);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->some_bad);
  if (!t->s->col.n && !check_any(t, t->s->loop->body, true, false)) return;
  Need n = need_new(t);
  need_values(&n, &t->s->col);
  check_need(t, t->s->loop->body, true, false, &n);
  bool *body = need_slice(e, &n, t->s->loop->body);
  c = count_enter(e, const_int(e, 0), times(e, t->tiles, t->width));
  set_column(t, c.index);
  emit_code(e, t->s->loop->body, body, true);
  store_all(t, &t->s->col, c.index);
  check_emit(t, t->s->loop->body, true, false);
  count_leave(e, &c);
}

void tile_pack_column_values(Tile *t, const ValVec *values) {
  tile_pack_values_between(t, values, const_int(t->e, 0), times(t->e, t->tiles, t->width));
}

void tile_pack_values_between(Tile *t, const ValVec *values, LLVMValueRef from, LLVMValueRef to) {
  Need n = need_new(t);
  need_values(&n, values);
  bool *body = need_slice(t->e, &n, t->s->loop->body);
  Count c = count_enter(t->e, from, to);
  set_column(t, c.index);
  emit_code(t->e, t->s->loop->body, body, true);
  store_all(t, values, c.index);
  count_leave(t->e, &c);
}

/* With i at the first row, j takes all differences of the block: a pair that need not exist, which is as good as one
 * that does, since loads outside arrays are harmless. */
void tile_pack_diagonals(Tile *t) {
  Emit *e = t->e;
  const Loop *rows = t->rows->loop, *cols = t->s->loop;
  Need n = need_new(t);
  need_values(&n, &t->s->diagonal);
  bool *body = need_slice(e, &n, cols->body), *around = need_slice(e, &n, rows->body);
  LLVMValueRef before = const_int(e, t->s->shape.row_block - 1);
  Count c = count_enter(e, const_int(e, 0), plus(e, before, times(e, t->tiles, t->width)));
  e->val[rows->index] = t->first_row;
  e->val[cols->index] = plus(e, t->first_col, LLVMBuildSub(e->b, c.index, before, ""));
  emit_code(e, rows->body, around, true);
  emit_code(e, cols->body, body, true);
  store_all(t, &t->s->diagonal, c.index);
  count_leave(e, &c);
}
