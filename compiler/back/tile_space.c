/* tile_space: where what a loop over rows keeps lies in the workspace.  See tile.h.
 *
 * Operands, panels and buffers of pairs of one block, and states of its rows; sizes follow from the extents of feature
 * loops and axes, never from the numbers of rows and columns.  Loops over rows that do not run at once share it; a loop
 * inside another's rows lies behind that. */
#include "back/tile.h"
#include "back/whole.h"
#include "ir/build.h"

typedef LLVMValueRef V;

/* ---- blocks ------------------------------------------------------------------------------------- */

/* Hands out addresses one after another; without a base only counts bytes (saturating). */
typedef struct Taker { Emit *e; V base, used; } Taker;

static V take(Taker *s, V count, uint32_t bytes) {
  Emit *e = s->e;
  V at = s->base ? LLVMBuildGEP2(e->b, e->t.i8, s->base, &s->used, 1, "") : NULL;
  V size = layout_multiply(e, count, const_int(e, bytes));
  size = LLVMBuildAnd(e->b, layout_add(e, size, const_int(e, 63)), const_int(e, -64), "");
  s->used = layout_add(e, s->used, size);
  return at;
}

static uint32_t lane_bytes(const Emit *e, Val v) { return ir_at(e->k, v)->type == IR_INT ? 8 : 4; }

V tile_extent(Emit *e, Val lo, Val hi) {
  V gap = minus(e, layout_size(e, hi), layout_size(e, lo));
  return op_extreme(e, IR_INT, true, gap, const_int(e, 0));
}

static void take_operands(Tile *t, Taker *s, const ValVec *values, TileSource from, uint32_t feature, V count) {
  for (uint32_t n = 0; n < values->n; n++) {
    Val v = values->at[n];
    t->operand[v] = (TileOperand){.from = from, .at = take(s, count, lane_bytes(t->e, v)), .feature = feature};
  }
}

static bool contracts_weight(const TileStream *s, uint32_t w, bool rounds) {
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use == USE_CONTRACT && a->acc->kind == ACC_EXPECT && !a->factor && a->weight == w && a->rounds == rounds)
      return true;
  }
  return false;
}

/* In buffers of pairs: of a strip, of a block that is read in place, or of one that is summed across its rows. */
static V pairs_of(const Tile *t) {
  const TileShape *shape = &t->s->shape;
  uint32_t few = tile_place_can(t) ? (TILE_FEW + shape->rows - 1) / shape->rows : 1;
  V rows = const_int(t->e, (int64_t)few * shape->rows);
  if (t->s->across) rows = op_extreme(t->e, IR_INT, true, rows, tile_across_rows(t));
  return times(t->e, rows, shape->pair_line);
}

static void take_acc(Tile *t, Taker *s, uint32_t k) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const TileShape *shape = &t->s->shape;
  AccSpace *x = &t->acc[k];
  V pairs = pairs_of(t);
  if (a->use != USE_CONTRACT) return;
  if (a->factor || a->acc->kind == ACC_SUM) x->x = take(s, pairs, 4);
  x->extent = tile_extent(e, a->acc->axes[0].lo, a->acc->axes[0].hi);
  x->padded = times(e, ceil_div(e, x->extent, t->panel_width), t->panel_width);
  x->panel = take(s, layout_multiply(e, x->padded, const_int(e, shape->col_block)), a->rounds ? 2 : 4);
  if (a->rounds) x->scratch = take(s, layout_multiply(e, x->padded, const_int(e, t->l.n)), 2);
}

static void take_stream(Tile *t, Taker *s) {
  Emit *e = t->e;
  const TileShape *shape = &t->s->shape;
  V rows = const_int(e, shape->row_block), cols = const_int(e, shape->col_block);
  V pairs = pairs_of(t);
  t->bad = take(s, cols, 4);
  take_operands(t, s, &t->s->row, FROM_ROW, 0, rows);
  take_operands(t, s, &t->s->col, FROM_COL, 0, cols);
  if (t->s->across) t->parts = take(s, pairs, 4), t->inverse = take(s, cols, 4);
  if (t->s->across) take_operands(t, s, &t->s->across->late, FROM_COL, 0, cols);
  take_operands(t, s, &t->s->diagonal, FROM_DIAGONAL, 0, plus(e, rows, cols));
  for (uint32_t n = 0; n < t->s->features.n; n++) {
    const TileFeature *f = &t->s->features.at[n];
    t->extent[n] = tile_extent(e, f->loop->lo, f->loop->hi);
    if (f->outer) t->extent[n] = layout_multiply(e, t->extent[n], tile_extent(e, f->outer->lo, f->outer->hi));
    if (f->is_dot) t->extent[n] = ceil_div(e, t->extent[n], 2);
    t->padded[n] = tile_padded(t, t->extent[n]);
    take_operands(t, s, &f->row, FROM_ROW_FEATURE, n, layout_multiply(e, t->padded[n], rows));
    take_operands(t, s, &f->col, FROM_COL_FEATURE, n, layout_multiply(e, t->padded[n], cols));
    for (uint32_t k = 0; k < f->col.n; k++)
      if (lane_bytes(e, f->col.at[k]) == 4)
        t->operand[f->col.at[k]].scratch = take(s, layout_multiply(e, t->padded[n], const_int(e, t->l.n)), 4);
    for (uint32_t k = 0; t->s->across && t->s->few && k < f->row.n; k++)
      if (lane_bytes(e, f->row.at[k]) == 4) t->operand[f->row.at[k]].scratch = take(s, tile_narrow_floats(t, n), 4);
    if (f->is_log) t->operand[f->log_row].top = take(s, rows, 4), t->operand[f->log_col].top = take(s, cols, 4);
    for (uint32_t k = 0; k < f->loop->accs.n; k++) {
      Val result = tile_feature_result(f, k);
      t->operand[result] = (TileOperand){
          .from = f->is_log ? FROM_LOG_PAIR : FROM_PAIR, .at = take(s, pairs, lane_bytes(e, result)), .feature = n};
    }
  }
  for (uint32_t n = 0; n < t->s->weights.n; n++) {
    if (contracts_weight(t->s, n, false)) t->weight[n].part = take(s, pairs, 4);
    if (contracts_weight(t->s, n, true)) t->weight[n].half = take(s, pairs, 2);
  }
  for (uint32_t n = 0; n < t->s->accs.n; n++) take_acc(t, s, n);
}

/* What is known of `rows` rows after some of the columns. */
static void take_states(Tile *t, Taker *s, V rows) {
  t->kept_odd = take(s, const_int(t->e, 1), 8);
  t->odd_rows = take(s, rows, 4);
  for (uint32_t n = 0; n < t->s->weights.n; n++) {
    t->weight[n].max = take(s, rows, 4);
    t->weight[n].mass = take(s, rows, 8);
  }
  for (uint32_t n = 0; n < t->s->accs.n; n++) {
    AccSpace *x = &t->acc[n];
    bool contracts = t->s->accs.at[n].use == USE_CONTRACT;
    if (contracts) x->sum = take(s, layout_multiply(t->e, x->padded, rows), 4);
    if (!contracts || tile_half_has_mass(t->s, n)) x->state = take(s, rows, 8);
  }
}

static Tile *tile_new(Emit *e, const TileRows *rows, const TileStream *s) {
  Tile *t = NEW(e->arena, Tile);
  *t = (Tile){
      .e = e, .rows = rows, .s = s, .l = lanes_of(e, s->shape.lanes), .nrow = s->shape.rows, .nvec = s->shape.vectors};
  t->width = t->nvec * s->shape.lanes, t->panel_width = s->shape.at_once * s->shape.lanes;
  t->operand = NEW_ARRAY(e->arena, TileOperand, e->k->instrs.n);
  t->memo = NEW_ARRAY(e->arena, V *, e->k->instrs.n);
  t->extent = NEW_ARRAY(e->arena, V, s->features.n + 1);
  t->padded = NEW_ARRAY(e->arena, V, s->features.n + 1);
  t->weight = NEW_ARRAY(e->arena, WeightSpace, s->weights.n + 1);
  t->acc = NEW_ARRAY(e->arena, AccSpace, s->accs.n + 1);
  return t;
}

/* One Tile for every stream; NULL for those that are not tiled.  Returns the bytes. */
V tile_spaces(Emit *e, const TileRows *rows, V base, Tile **tiles) {
  Taker s = {e, base, const_int(e, 0)};
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    tiles[n] = rows->streams.at[n]->why ? NULL : tile_new(e, rows, rows->streams.at[n]);
    if (!tiles[n]) continue;
    take_stream(tiles[n], &s);
    take_states(tiles[n], &s, const_int(e, rows->streams.at[n]->shape.row_block));
  }
  return s.used;
}

/* Whether the inner loop runs while rows of the outer one have states. */
static bool runs_within(const TileRows *inner, const TileRows *outer) {
  return inner != outer && region_contains(outer->loop->body, inner->loop->body);
}

static V own_bytes(Emit *e, const TileRows *rows) {
  return tile_spaces(e, rows, NULL, NEW_ARRAY(e->arena, Tile *, rows->streams.n));
}

/* With the two states of loops with spans. */
static V all_bytes(Emit *e, const TileRows *rows) {
  V bytes = own_bytes(e, rows);
  return tile_has_spans(e->k, rows)
             ? layout_add(e, bytes, layout_multiply(e, tile_state_bytes(e, rows), const_int(e, 2)))
             : bytes;
}

/* Bytes of the tiled loops around this one, whose places it must leave alone. */
V tile_bytes_around(Emit *e, const TileRows *rows) {
  V bytes = const_int(e, 0);
  for (uint32_t n = 0; n < e->plan->rows.n; n++) {
    const TileRows *outer = e->plan->rows.at[n];
    if (!outer->tiled || !runs_within(rows, outer)) continue;
    bytes = layout_add(e, bytes, all_bytes(e, outer));
  }
  return bytes;
}

V tile_workspace(Emit *e) {
  V most = const_int(e, 0);
  for (uint32_t n = 0; e->plan && n < e->plan->rows.n; n++) {
    const TileRows *rows = e->plan->rows.at[n];
    if (!rows->tiled) continue;
    V bytes = layout_add(e, tile_bytes_around(e, rows), all_bytes(e, rows));
    V more = LLVMBuildICmp(e->b, LLVMIntUGT, bytes, most, "");
    most = LLVMBuildSelect(e->b, more, bytes, most, "");
  }
  return most;
}

/* ---- states of spans ---------------------------------------------------------------------------- */

static const TileStream *only_stream(const TileRows *rows) { return rows->streams.at[0]; }

/* No block has more rows than that, nor than the loop. */
static V most_rows(Emit *e, const TileRows *rows) {
  V all = tile_extent(e, rows->loop->lo, rows->loop->hi);
  if (rows->around) {
    V many = rows->share ? op_extreme(e, IR_INT, true, layout_size(e, rows->share), const_int(e, 1))
                         : tile_extent(e, rows->around->lo, rows->around->hi);
    all = least(e,
                LLVMBuildMul(e->b, least(e, all, const_int(e, tile_block_rows(rows))),
                             least(e, many, const_int(e, tile_block_rows(rows))), ""),
                const_int(e, tile_block_rows(rows)));
  }
  uint32_t strip = only_stream(rows)->shape.rows;
  return least(e, times(e, ceil_div(e, all, strip), strip), const_int(e, tile_block_rows(rows)));
}

V tile_place_states(Emit *e, const TileRows *rows, Tile *t, V base) {
  Taker s = {e, base, const_int(e, 0)};
  take_states(t, &s, most_rows(e, rows));
  return s.used;
}

V tile_state_bytes(Emit *e, const TileRows *rows) {
  Tile *t = NULL;
  tile_spaces(e, rows, NULL, &t);
  return tile_place_states(e, rows, t, NULL);
}

V tile_own_state(Emit *e, const TileRows *rows, uint32_t which) {
  V before = plus(e, tile_bytes_around(e, rows), own_bytes(e, rows));
  V at = plus(e, before, times(e, tile_state_bytes(e, rows), which));
  return LLVMBuildGEP2(e->b, e->t.i8, e->tile_space, &at, 1, "");
}
