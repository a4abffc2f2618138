/* tile_stream: one strip of rows against one block of columns: features, sweep, contract.  See tile.h. */
#include "back/tile.h"

typedef LLVMValueRef V;

static V plus(Emit *e, V x, V y) { return LLVMBuildAdd(e->b, x, y, ""); }
static V times(Emit *e, V x, uint64_t n) { return LLVMBuildMul(e->b, x, const_int(e, (int64_t)n), ""); }

static V and_not(Emit *e, V x, V y) { return LLVMBuildAnd(e->b, x, LLVMBuildNot(e->b, y, ""), ""); }

/* Calls f for every row of the strip. */
static void for_rows(Tile *t, void (*f)(Tile *)) {
  Count c = count_enter(t->e, const_int(t->e, 0), const_int(t->e, t->nrow));
  t->here_row = c.index;
  f(t);
  t->here_row = NULL;
  count_leave(t->e, &c);
}

static void sweep_masked(Tile *t) { tile_sweep(t, true); }
static void sweep_full(Tile *t) { tile_sweep(t, false); }
static void sweep_last(Tile *t) {
  Emit *e = t->e;
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->nvec));
  V last = LLVMBuildSub(e->b, t->tile_hi, const_int(e, 1), "");
  tile_aside_sweep(t, plus(e, times(e, last, t->width), times(e, c.index, t->l.n)));
  count_leave(e, &c);
}

/* full: whether all pairs of the strip are there.  There are no feature loops. */
static void sweep_alone(Tile *t, V full) {
  LLVMBasicBlockRef done = block_new(t->e, "swept"), partial = block_when(t->e, full, "full");
  for_rows(t, sweep_full);
  LLVMBuildBr(t->e->b, done);
  LLVMPositionBuilderAtEnd(t->e->b, partial);
  for_rows(t, sweep_masked);
  block_go(t->e, done);
}

static V have_references(Tile *t, V full) {
  for (uint32_t n = 0; n < t->nrow && t->s->weights.n; n++) {
    t->here_row = const_int(t->e, n);
    full = LLVMBuildAnd(t->e->b, full, tile_aside_may(t), "");
  }
  t->here_row = NULL;
  return full;
}

/* A tile's rows are swept while the features of the next tile are summed, where all pairs are there and every row has a
 * reference; else the strip is swept row by row when all its tiles are known. */
static void features_and_sweep(Tile *t, V full) {
  Emit *e = t->e;
  full = have_references(t, full);
  tile_aside_new(t);
  for_rows(t, tile_aside_begin);
  Count c = count_enter(e, t->tile_lo, t->tile_hi);
  uint32_t mark = tile_mark(t);
  t->column = c.index;
  tile_features(t, and_not(e, full, LLVMBuildICmp(e->b, LLVMIntEQ, c.index, t->tile_lo, "")));
  tile_forget(t, mark);
  count_leave(e, &c);
  LLVMBasicBlockRef done = block_new(e, "swept"), again = block_new(e, "again"), partial = block_when(e, full, "full");
  for_rows(t, sweep_last);
  LLVMBasicBlockRef kept = block_new(e, "kept");
  LLVMBuildCondBr(e->b, tile_aside_exceeds(t), again, kept);
  LLVMPositionBuilderAtEnd(e->b, kept);
  tile_aside_end(t);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, partial);
  block_go(e, again);
  for_rows(t, sweep_masked);
  block_go(e, done);
}

/* ---- contract ----------------------------------------------------------------------------------- */

static V contract_weights(const Tile *t, uint32_t k) {
  return t->acc[k].x ? t->acc[k].x : t->weight[t->s->accs.at[k].weight].part;
}

/* nrow x width of the sums += weights [row][column] times panel [column][axis], over the columns of the block. */
static void contract_tile(Tile *t, uint32_t k, V weights, V axis_tile) {
  Emit *e = t->e;
  uint32_t points = t->nrow * t->nvec, block = t->s->shape.col_block;
  V *phi = NEW_ARRAY(e->arena, V, points), *next = NEW_ARRAY(e->arena, V, points), *panel = NEW_ARRAY(e->arena, V, t->nvec);
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  V zero = lanes_float(&t->l, 0), line = times(e, axis_tile, block);
  Count c = count_enter(e, times(e, t->tile_lo, t->width), times(e, t->tile_hi, t->width));
  for (uint32_t n = 0; n < points; n++) {
    phi[n] = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(phi[n], &zero, &from, 1);
  }
  V place = times(e, plus(e, line, c.index), t->width);
  for (uint32_t v = 0; v < t->nvec; v++) panel[v] = tile_get(e, t->l.f32, t->acc[k].panel, plus(e, place, const_int(e, v * t->l.n)));
  for (uint32_t n = 0; n < points; n++) {
    if (n % t->nvec == 0) {
      V at = plus(e, c.index, const_int(e, (int64_t)(n / t->nvec) * block));
      next[n] = lanes_splat(&t->l, tile_get(e, e->t.f32, weights, at));
    } else next[n] = next[n - 1];
  }
  for (uint32_t n = 0; n < points; n++) next[n] = lanes_fma(&t->l, next[n], panel[n % t->nvec], phi[n]);
  for (uint32_t n = 0; n < points; n++) LLVMAddIncoming(phi[n], &next[n], &c.body, 1);
  count_leave(e, &c);
  for (uint32_t n = 0; n < points; n++) {
    V out = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(out, (V[]){zero, next[n]}, (LLVMBasicBlockRef[]){from, c.body}, 2);
    next[n] = out;
  }
  for (uint32_t n = 0; n < points; n++) {
    V row = plus(e, times(e, t->strip, t->nrow), const_int(e, n / t->nvec));
    V at = plus(e, LLVMBuildMul(e->b, row, t->acc[k].padded, ""), times(e, axis_tile, t->width));
    at = plus(e, at, const_int(e, n % t->nvec * t->l.n));
    tile_put(e, t->acc[k].sum, at, LLVMBuildFAdd(e->b, tile_get(e, t->l.f32, t->acc[k].sum, at), next[n], ""));
  }
}

static void contract(Tile *t, uint32_t k) {
  Emit *e = t->e;
  V weights = contract_weights(t, k);
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, t->acc[k].padded, const_int(e, t->width), ""));
  contract_tile(t, k, weights, c.index);
  count_leave(e, &c);
}

void tile_strip(Tile *t, V full) {
  V sound = LLVMBuildNot(t->e->b, LLVMBuildLoad2(t->e->b, t->e->t.i1, t->some_bad, ""), "");
  full = LLVMBuildAnd(t->e->b, full, sound, "");
  if (t->s->features.n) features_and_sweep(t, full);
  else sweep_alone(t, full);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) contract(t, k);
}
