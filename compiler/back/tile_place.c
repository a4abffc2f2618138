/* tile_place: columns that are read where they lie.
 *
 * Packing writes and reads again what it has read; each element is then used once for every row of the block.  Where
 * rows are few that is most of the work, and memory gives its lines more slowly than it could.  So a stream all of
 * whose operands of a column and a feature, and of a column and an axis, are elements of arrays is then computed from
 * these:
 *
 *     features  as many columns as a vector has lanes: their lines are loaded vector by vector, squares of them are
 *               transposed in registers, and each feature's vector of columns is used by all rows of the block
 *     contract  a column's weights, broadcast, times its vector along the axis: tile_patch.c
 *
 * Every sum has the terms, and the order, that it has from panels, so the bits are the same, and which way a block goes
 * may depend on anything.
 *
 * An element along an axis that is no number would spoil the sums of rows that give it no weight.  Then the span has
 * lost its way (Tile.lost), and is taken again from panels, which know such columns one by one.  So it is with elements
 * of bf16 that are too small for the instruction that multiplies them; else their bits go the same ways, two to a lane
 * (tile_half.c). */
#include "back/tile.h"
#include "back/whole.h"
#include "ir/build.h"

typedef LLVMValueRef V;

enum { FEATURES_AHEAD = 2 }; /* squares that are fetched before they are needed */

/* ---- which streams, and where --------------------------------------------------------------------------- */

/* An element of an array at the column, at the feature, and else at what neither the rows nor the stream change. */
static bool lies(const Tile *t, Val v, Val feature) {
  const Instr *i = ir_at(t->e->k, v);
  const Val column = t->s->loop->index;
  uint32_t at_column = 0, at_feature = 0;
  if (i->op != IR_LOAD || i->type != IR_REAL || !array_has_runs(i->array)) return false;
  for (uint32_t n = 0; n < i->narg; n++) {
    Val a = i->arg[n];
    if (a == column) at_column++;
    else if (a == feature) at_feature++;
    else if (t->rows->dep[a] || region_contains(t->rows->loop->body, ir_at(t->e->k, a)->home)) return false;
  }
  return at_column == 1 && at_feature == 1;
}

/* An element for every pair is found by the column's number in the block, which squares do not follow. */
static bool loads_pairs(const Tile *t, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(t->e->k, r->code.at[n]);
    if (i->op == IR_LOAD && (t->rows->dep[r->code.at[n]] & DEP_BOTH) == DEP_BOTH) return true;
  }
  return false;
}

static bool sums_floats(const TileFeature *f) {
  for (uint32_t n = 0; n < f->loop->accs.n; n++)
    if (f->loop->accs.at[n]->type != IR_REAL && f->loop->accs.at[n]->type != IR_WIDE) return false;
  return true;
}

bool tile_place_can(const Tile *t) {
  const TileStream *s = t->s;
  if (!s->few || !s->features.n || !tile_columns_unchecked(t)) return false;
  for (uint32_t k = 0; k < s->features.n; k++) {
    const TileFeature *f = &s->features.at[k];
    if (f->outer || f->col_by.n || f->is_log || !sums_floats(f) || loads_pairs(t, f->loop->body)) return false;
    for (uint32_t n = 0; n < f->col.n; n++)
      if (!lies(t, f->col.at[n], f->loop->index)) return false;
  }
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use == USE_CONTRACT && (!a->panel || !lies(t, a->panel, a->acc->body.index[0]))) return false;
  }
  return true;
}

/* Features, or an axis, of at least a vector: the last one may overlap the one before it. */
static V fills_vector(Tile *t, V extent) {
  return LLVMBuildICmp(t->e->b, LLVMIntSGE, extent, const_int(t->e, t->l.n), "");
}

/* Whether the elements are there, `packed` of them in each of `extent` lanes, those along the feature side by side, for
 * columns first .. last. */
static V holds(Tile *t, Val v, Val feature, V lo, V extent, uint32_t packed, V first, V last) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  V all = fills_vector(t, extent), column[] = {first, last};
  uint32_t along = 0;
  while (i->arg[along] != feature) along++;
  for (int n = 0; n < 2; n++) {
    e->val[t->s->loop->index] = column[n];
    all = both(e, all, array_run_holds(e, i, along, lo, plus(e, lo, times(e, extent, packed))));
  }
  return all;
}

/* How many features share a lane. */
static uint32_t words_of(const TileFeature *f) { return f->is_dot ? 2 : 1; }

/* The second half of a last word may be an element that is not asked for. */
static V is_even(Emit *e, V x) { return LLVMBuildNot(e->b, LLVMBuildTrunc(e->b, x, e->t.i1, ""), ""); }

V tile_place_holds(Tile *t, V lo, V hi) {
  Emit *e = t->e;
  V all = LLVMBuildICmp(e->b, LLVMIntSLE, t->rows_in_block, const_int(e, TILE_FEW), ""),
    last = minus(e, hi, const_int(e, 1));
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const TileFeature *f = &t->s->features.at[k];
    if (f->is_dot) all = both(e, all, is_even(e, minus(e, e->val[f->loop->hi], e->val[f->loop->lo])));
    for (uint32_t n = 0; n < f->col.n; n++)
      all = both(e, all,
                 holds(t, f->col.at[n], f->loop->index, e->val[f->loop->lo], t->extent[k], words_of(f), lo, last));
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    const TileAcc *a = &t->s->accs.at[k];
    if (a->use != USE_CONTRACT) continue;
    all = both(e, all,
               holds(t, a->panel, a->acc->body.index[0], e->val[a->acc->axes[0].lo], t->acc[k].extent, 1, lo, last));
  }
  return all;
}

static void set_index(Emit *e, Val index, Val lo, Val hi, V offset) {
  e->val[index] = plus(e, e->val[lo], offset);
  e->range[index] = (IndexRange){lo, hi};
}

/* Elements along `feature`, and those that lie `ahead` columns further on their way: n as they are used; as bits. */
static V run_of(Tile *t, Val v, Val feature, int64_t ahead, uint32_t bits) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  uint32_t along = 0, across = 0;
  while (i->arg[along] != feature) along++;
  while (i->arg[across] != t->s->loop->index) across++;
  V x = bits ? array_run_bits(e, i, along, bits) : tile_scaled(t, v, array_run(e, i, along, t->l.n));
  if (ahead) array_run_ahead(e, i, along, across, ahead, 0);
  return x;
}

/* ---- features ------------------------------------------------------------------------------------------- */

void tile_lose(Tile *t, V cond) {
  LLVMBuildStore(t->e->b, LLVMBuildOr(t->e->b, LLVMBuildLoad2(t->e->b, t->e->t.i1, t->lost, ""), cond, ""), t->lost);
}

/* Strips whose rows are summed together. */
typedef struct Strips { V first; uint32_t n; } Strips;

static void set_strip(Tile *t, V strip) {
  t->strip = strip;
  t->pair_row = times(t->e, strip, t->nrow);
}

/* The square of columns at t->here_column and features from d: a vector of columns for every feature. */
static void load_square(Tile *t, const TileFeature *f, Val v, V d, const V *column, V *square) {
  Emit *e = t->e;
  V smallest = NULL;
  for (unsigned r = 0; r < t->l.n; r++) {
    e->val[t->s->loop->index] = column[r];
    set_index(e, f->loop->index, f->loop->lo, f->loop->hi, times(e, d, words_of(f)));
    square[r] = run_of(t, v, f->loop->index, (int64_t)t->l.n * FEATURES_AHEAD, f->is_dot ? 2 * t->l.n : 0);
    if (f->is_dot)
      smallest = tile_half_smaller(t, smallest, square[r]), square[r] = LLVMBuildBitCast(e->b, square[r], t->l.f32, "");
  }
  if (f->is_dot) tile_lose(t, tile_half_is_small(t, smallest, false));
  tile_transpose(&t->l, square);
}

/* Sums of one feature for the rows of the strips: n = accumulator * rows + row. */
static void feature_of_rows(Tile *t, const TileFeature *f, const Strips *s, V (*square)[64], unsigned m, V *now) {
  uint32_t rows = t->nrow * s->n;
  for (uint32_t strip = 0; strip < s->n; strip++) {
    uint32_t mark = tile_mark(t);
    set_strip(t, plus(t->e, s->first, const_int(t->e, strip)));
    for (uint32_t n = 0; n < f->col.n; n++) tile_preset(t, f->col.at[n], square[n][m]);
    for (uint32_t a = 0; a < f->loop->accs.n; a++)
      for (uint32_t row = 0; row < t->nrow; row++) {
        V *at = &now[a * rows + strip * t->nrow + row];
        *at = tile_feature_step(t, f, f->loop->accs.at[a], *at, row, 0);
      }
    tile_forget(t, mark);
  }
}

static void feature_loop(Tile *t, uint32_t k, const V *column, const Strips *s) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t rows = t->nrow * s->n, points = rows * l->accs.n;
  V *phi = NEW_ARRAY(e->arena, V, points + 1), *now = NEW_ARRAY(e->arena, V, points + 1);
  V(*square)[64] = (V(*)[64])NEW_ARRAY(e->arena, V, (size_t)64 * (f->col.n + 1));
  V *first = NEW_ARRAY(e->arena, V, points + 1);
  for (uint32_t n = 0; n < points; n++) first[n] = tile_identity(t, l->accs.at[n / rows]);
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, const_int(e, 0), floor_div(e, t->extent[k], t->l.n));
  for (uint32_t n = 0; n < points; n++) {
    now[n] = phi[n] = LLVMBuildPhi(e->b, LLVMTypeOf(first[n]), "");
    LLVMAddIncoming(phi[n], &first[n], &from, 1);
  }
  V d = times(e, c.index, t->l.n);
  uint32_t mark = tile_mark(t);
  for (uint32_t n = 0; n < f->col.n; n++) load_square(t, f, f->col.at[n], d, column, square[n]);
  for (unsigned m = 0; m < t->l.n; m++) {
    t->feature = plus(e, d, const_int(e, m));
    feature_of_rows(t, f, s, square, m, now);
  }
  tile_forget(t, mark);
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  for (uint32_t n = 0; n < points; n++) LLVMAddIncoming(phi[n], &now[n], &body, 1);
  count_leave(e, &c);
  for (uint32_t n = 0; n < points; n++) {
    V out = LLVMBuildPhi(e->b, LLVMTypeOf(first[n]), "");
    LLVMAddIncoming(out, (V[]){first[n], now[n]}, (LLVMBasicBlockRef[]){from, body}, 2);
    now[n] = out;
  }
  for (uint32_t n = 0; n < points; n++) {
    set_strip(t, plus(e, s->first, const_int(e, n % rows / t->nrow)));
    tile_keep_result(t, l->accs.at[n / rows]->result, n % t->nrow, 0, now[n]);
  }
}

/* The features behind the last whole vector: of the last vector that there is those that no other has, for one strip.
 */
static void feature_tail(Tile *t, uint32_t k, const V *column, V rest) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * l->accs.n, mark = tile_mark(t);
  const Strips one = {t->strip, 1};
  V d = minus(e, t->extent[k], const_int(e, t->l.n)), new = minus(e, const_int(e, t->l.n), rest);
  V *now = NEW_ARRAY(e->arena, V, points + 1), *before = NEW_ARRAY(e->arena, V, points + 1);
  V(*square)[64] = (V(*)[64])NEW_ARRAY(e->arena, V, (size_t)64 * (f->col.n + 1));
  for (uint32_t n = 0; n < points; n++)
    now[n] = tile_get(e, t->l.f32, t->operand[l->accs.at[n / t->nrow]->result].at, tile_pair_place(t, n % t->nrow, 0));
  for (uint32_t n = 0; n < f->col.n; n++) load_square(t, f, f->col.at[n], d, column, square[n]);
  for (unsigned m = 0; m < t->l.n; m++) {
    for (uint32_t n = 0; n < points; n++) before[n] = now[n];
    t->feature = plus(e, d, const_int(e, m));
    feature_of_rows(t, f, &one, square, m, now);
    V is_new = LLVMBuildICmp(e->b, LLVMIntSGE, const_int(e, m), new, "");
    for (uint32_t n = 0; n < points; n++) now[n] = LLVMBuildSelect(e->b, is_new, now[n], before[n], "");
  }
  for (uint32_t n = 0; n < points; n++) tile_keep_result(t, l->accs.at[n / t->nrow]->result, n % t->nrow, 0, now[n]);
  tile_forget(t, mark);
}

static void feature_tails(Tile *t, const V *column) {
  Emit *e = t->e;
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    V rest = LLVMBuildAnd(e->b, t->extent[k], const_int(e, t->l.n - 1), "");
    LLVMBasicBlockRef none = block_when(e, LLVMBuildICmp(e->b, LLVMIntNE, rest, const_int(e, 0), ""), "tail");
    Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
    set_strip(t, c.index);
    feature_tail(t, k, column, rest);
    count_leave(e, &c);
    block_go(e, none);
  }
}

static void features_of(Tile *t, const V *column, V first, uint32_t n) {
  Strips s = {first, n};
  uint32_t mark = tile_mark(t);
  for (uint32_t k = 0; k < t->s->features.n; k++) feature_loop(t, k, column, &s);
  tile_forget(t, mark);
}

uint32_t tile_registers(const Tile *t) { return t->s->shape.at_once < TILE_VECTORS ? 16 : 32; }

/* All strips at once, where registers hold their sums beside a square; else one after another. */
static void features_of_rows(Tile *t, const V *column) {
  Emit *e = t->e;
  uint32_t most = (TILE_FEW + t->nrow - 1) / t->nrow;
  if (t->l.n + most * t->nrow + 3 > tile_registers(t)) {
    Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
    features_of(t, column, c.index, 1);
    count_leave(e, &c);
    return;
  }
  V one = LLVMBuildICmp(e->b, LLVMIntSLE, t->rows_in_block, const_int(e, t->nrow), "");
  LLVMBasicBlockRef done = block_new(e, "summed"), several = block_when(e, one, "one");
  features_of(t, column, const_int(e, 0), 1);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, several);
  features_of(t, column, const_int(e, 0), most);
  block_go(e, done);
}

/* Columns behind the last one repeat it. */
void tile_place_features(Tile *t, bool skips) {
  Emit *e = t->e;
  const Loop *l = t->s->loop;
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->cols_in_block, t->l.n));
  t->strip = NULL;
  LLVMBasicBlockRef dead = skips ? block_when(e, tile_mask_vectors(t, c.index, const_int(e, 1)).may, "live") : NULL;
  V at = times(e, c.index, t->l.n), last = minus(e, t->cols_in_block, const_int(e, 1)), column[64];
  for (unsigned r = 0; r < t->l.n; r++) column[r] = plus(e, t->first_col, least(e, plus(e, at, const_int(e, r)), last));
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  t->here_column = at;
  features_of_rows(t, column);
  feature_tails(t, column);
  t->here_column = NULL;
  if (dead) block_go(e, dead);
  count_leave(e, &c);
}
