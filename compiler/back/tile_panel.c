/* tile_panel: panels of axes: for every column of a block its vector along the axis of an accumulator.
 *
 * A panel holds numbers: 0 in place of anything else, whose column is marked.  Rows that give it weight are left to the
 * scalar code; to all others it is nothing. */
#include "back/tile_pack.h"
#include "back/whole.h"

/* 0 of a number, NaN of anything else; so is the sum of such. */
static LLVMValueRef gap_of(Emit *e, LLVMValueRef x) { return LLVMBuildFSub(e->b, x, x, ""); }
static LLVMValueRef is_nan(Emit *e, LLVMValueRef x) { return LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""); }

void tile_mark_bad(Tile *t, LLVMValueRef column, LLVMValueRef cond) {
  Emit *e = t->e;
  LLVMValueRef mark =
      LLVMBuildOr(e->b, tile_get(e, e->t.i32, t->bad, column), LLVMBuildZExt(e->b, cond, e->t.i32, ""), "");
  tile_put(e, t->bad, column, mark);
  LLVMBuildStore(e->b, LLVMBuildOr(e->b, LLVMBuildLoad2(e->b, e->t.i1, t->some_bad, ""), cond, ""), t->some_bad);
}

/* x, or 0 where it is no number. */
static LLVMValueRef number_of(Emit *e, LLVMValueRef x, LLVMValueRef gap) {
  return LLVMBuildSelect(e->b, is_nan(e, gap), LLVMConstNull(LLVMTypeOf(x)), x, "");
}

/* panel[axis / panel_width][column][axis % panel_width] */
static LLVMValueRef panel_address(Tile *t, LLVMValueRef axis, LLVMValueRef column) {
  Emit *e = t->e;
  LLVMValueRef w = const_int(e, t->panel_width), block = LLVMBuildUDiv(e->b, axis, w, "");
  LLVMValueRef line = plus(e, times(e, block, t->s->shape.col_block), column);
  return plus(e, times(e, line, t->panel_width), LLVMBuildURem(e->b, axis, w, ""));
}

typedef struct AxisLine { uint32_t acc; LLVMValueRef at, gaps; } AxisLine; /* `at`: the column; gaps: cell, their sum */

/* A panel must be numbers. */
static void put_axis(Tile *t, const void *ctx, LLVMValueRef d) {
  Emit *e = t->e;
  const AxisLine *line = ctx;
  const TileAcc *a = &t->s->accs.at[line->acc];
  const Axis *axis = &a->acc->axes[0];
  pack_set_feature(e, a->acc->body.index[0], axis->lo, axis->hi, d);
  LLVMValueRef x = tile_line_value(t, a->panel, a->acc->body.index[0]), gap = gap_of(e, x);
  LLVMValueRef gaps = LLVMBuildLoad2(e->b, t->l.f32, line->gaps, "");
  LLVMBuildStore(e->b, LLVMBuildFAdd(e->b, gaps, gap, ""), line->gaps);
  tile_put(e, t->acc[line->acc].panel, panel_address(t, d, line->at), number_of(e, x, gap));
}

/* Values of the axis in lanes: how many. */
static LLVMValueRef pack_axis_vectors(Tile *t, uint32_t k, LLVMValueRef at) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Axis *axis = &a->acc->axes[0];
  Val index = a->acc->body.index[0], panel[] = {a->panel};
  ValVec values = {.at = panel, .n = 1};
  LLVMValueRef full = tile_line_full(t, &values, index, e->val[axis->lo], t->acc[k].extent);
  if (!tile_line_may(full)) return full;
  AxisLine line = {k, at, cell_new(e, t->l.f32, "gaps")};
  LLVMBuildStore(e->b, lanes_float(&t->l, 0), line.gaps);
  pack_vectors(t, full, put_axis, &line);
  tile_mark_bad(t, at, tile_line_any(t, is_nan(e, LLVMBuildLoad2(e->b, t->l.f32, line.gaps, ""))));
  return full;
}

/* Without x its factor is the whole of it, and the panel is 1. */
void pack_axis(Tile *t, uint32_t k, const bool *pick, LLVMValueRef at) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Axis *axis = &a->acc->axes[0];
  LLVMValueRef full = const_int(e, 0), x = LLVMConstReal(e->t.f32, 1);
  const Region *body = a->acc->body.at;
  if (a->panel && !check_any(t, body, true, true) && !check_any(t, body, false, true))
    full = pack_axis_vectors(t, k, at);
  Count c = count_enter(e, full, t->acc[k].extent);
  pack_set_feature(e, a->acc->body.index[0], axis->lo, axis->hi, c.index);
  emit_code(e, a->acc->body.at, pick, true);
  if (a->panel) {
    IrType type = ir_at(e->k, a->panel)->type;
    x = lane_from(e, op_convert(e, e->val[a->panel], type, IR_WIDE), IR_WIDE);
    if (type == IR_REAL || type == IR_WIDE) {
      LLVMValueRef gap = gap_of(e, x);
      tile_mark_bad(t, at, is_nan(e, gap));
      x = number_of(e, x, gap);
    }
  }
  tile_put(e, t->acc[k].panel, panel_address(t, c.index, at), x);
  check_emit(t, body, true, true);
  check_emit(t, body, false, true);
  count_leave(e, &c);
  check_emit_once(t, body, true, t->acc[k].extent);
}
