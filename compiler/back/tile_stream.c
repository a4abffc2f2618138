/* tile_stream: one strip of rows against one block of columns: features, sweep, contract.  See tile.h.
 *
 * A tile is swept while the features of the next one are summed: an exponential is made of instructions of which few
 * need the multiply-add units.  Which pairs a mask leaves is kept as bits, so that it takes no more there.  That takes
 * a next tile that is whole, and columns that are all good; other tiles are swept by themselves.
 *
 * Tiles are taken from the last to the first, as blocks are: a tile that a prefix cuts is swept beside the next one.
 *
 * References follow from a row's own pairs, so that its bits do: a row without one takes the largest log weight among
 * its pairs in the last tile that has any.  A row with a log weight far above its reference takes the largest of the
 * block, and the strip is swept once more. */
#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

static V equal(Emit *e, V x, V y) { return LLVMBuildICmp(e->b, LLVMIntEQ, x, y, ""); }

/* Calls f for the first rows of the strip. */
static void for_rows(Tile *t, V rows, void (*f)(Tile *)) {
  Count c = count_enter(t->e, const_int(t->e, 0), rows);
  t->here_row = c.index;
  f(t);
  t->here_row = NULL;
  count_leave(t->e, &c);
}

static void sweep_masked(Tile *t) { tile_sweep(t, true); }
static void sweep_full(Tile *t) { tile_sweep(t, false); }

static V some_are_bad(Tile *t) { return LLVMBuildLoad2(t->e->b, t->e->t.i1, t->some_bad, ""); }

/* There are no feature loops, or what they leave is there. */
static void sweep_alone(Tile *t) {
  Emit *e = t->e;
  V whole = equal(e, times(e, t->vec_hi, t->l.n), t->cols_in_block);
  V full = both(e, both(e, t->all, whole), negate(e, some_are_bad(t)));
  LLVMBasicBlockRef done = block_new(e, "swept"), partial = block_when(e, full, "full");
  for_rows(t, t->live_rows, sweep_full);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, partial);
  for_rows(t, t->live_rows, sweep_masked);
  block_go(e, done);
}

/* ---- tiles in turn -------------------------------------------------------------------------------- */

/* Vectors of a tile that may hold a pair. */
typedef struct Live { V lo, hi; } Live;

static Live live_of(Tile *t, V tile) {
  V first = times(t->e, tile, t->nvec);
  return (Live){greatest(t->e, t->vec_lo, first), least(t->e, t->vec_hi, plus(t->e, first, const_int(t->e, t->nvec)))};
}

static V is_wide(Tile *t, const Live *l) { return equal(t->e, minus(t->e, l->hi, l->lo), const_int(t->e, t->nvec)); }

/* Whether all pairs of the tile are there. */
static V is_full(Tile *t, V tile) {
  Emit *e = t->e;
  V inside = LLVMBuildICmp(e->b, LLVMIntSLE, times(e, plus(e, tile, const_int(e, 1)), t->width), t->cols_in_block, "");
  V full = t->all;
  if (t->partial)
    full = either(e, full, negate(e, LLVMBuildLoad2(e->b, e->t.i1, tile_address(e, e->t.i1, t->partial, tile), "")));
  return both(e, inside, full);
}

/* part: of a tile, `unit` vectors. */
static void sweep_beside(Tile *t, V part) {
  Emit *e = t->e;
  uint32_t parts = t->nvec / t->unit;
  V before = times(e, plus(e, t->column, const_int(e, 1)), t->width), count = const_int(e, parts);
  t->here_row = LLVMBuildUDiv(e->b, part, count, "");
  tile_aside_sweep(t, plus(e, before, times(e, LLVMBuildURem(e->b, part, count, ""), (uint64_t)t->l.n * t->unit)),
                   false);
  t->here_row = NULL;
}

/* Features of the tile's live vectors, `each` at a time, which divides those of a tile; there may be more than are
 * live. */
static void features_of(Tile *t, const Live *live, uint32_t each) {
  Emit *e = t->e;
  uint32_t nvec = t->nvec;
  V lo = LLVMBuildUDiv(e->b, live->lo, const_int(e, each), ""), hi = ceil_div(e, live->hi, each);
  Count c = count_enter(e, lo, hi);
  uint32_t mark = tile_mark(t);
  t->vector = times(e, c.index, each);
  t->nvec = each;
  tile_features(t, NULL);
  t->nvec = nvec;
  t->vector = NULL;
  tile_forget(t, mark);
  count_leave(e, &c);
}

void tile_strip_features(Tile *t) {
  Emit *e = t->e;
  t->vec_lo = const_int(e, 0), t->vec_hi = ceil_div(e, t->cols_in_block, t->l.n);
  Count c = count_enter(e, const_int(e, 0), t->tiles);
  t->column = c.index;
  Live live = live_of(t, c.index);
  if (t->s->shape.at_once < t->nvec) features_of(t, &live, t->s->shape.at_once);
  else {
    LLVMBasicBlockRef done = block_new(e, "summed"), narrow = block_when(e, is_wide(t, &live), "wide");
    uint32_t mark = tile_mark(t);
    tile_features(t, NULL);
    tile_forget(t, mark);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, narrow);
    features_of(t, &live, 1);
    block_go(e, done);
  }
  count_leave(e, &c);
}

static void features(Tile *t, const Live *live, V wide, V hosts) {
  Emit *e = t->e;
  if (t->s->shape.at_once < t->nvec) {
    features_of(t, live, t->s->shape.at_once);
    return;
  }
  LLVMBasicBlockRef done = block_new(e, "summed"), narrow = block_when(e, wide, "wide");
  uint32_t mark = tile_mark(t);
  if (t->s->shape.hosts) {
    LLVMBasicBlockRef alone = block_when(e, hosts, "beside");
    tile_features(t, sweep_beside);
    tile_forget(t, mark);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, alone);
  }
  tile_features(t, NULL);
  tile_forget(t, mark);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, narrow);
  features_of(t, live, 1);
  block_go(e, done);
}

/* Those of the tile that may hold a pair. */
static void sweep_cut(Tile *t, V tile) {
  Emit *e = t->e;
  Live live = live_of(t, tile);
  Count r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  V unit = const_int(e, t->unit), end = LLVMBuildUDiv(e->b, plus(e, live.hi, const_int(e, t->unit - 1)), unit, "");
  Count c = count_enter(e, LLVMBuildUDiv(e->b, live.lo, unit, ""), end);
  tile_aside_sweep(t, times(e, c.index, (uint64_t)t->unit * t->l.n), true);
  count_leave(e, &c);
  t->here_row = NULL;
  count_leave(e, &r);
}

static void sweep_whole(Tile *t, V tile) {
  Emit *e = t->e;
  V first = times(e, tile, t->width);
  Count r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  for (uint32_t n = 0; n < t->nvec; n += t->unit) tile_aside_sweep(t, plus(e, first, const_int(e, n * t->l.n)), false);
  t->here_row = NULL;
  count_leave(e, &r);
}

static void sweep_tile(Tile *t, V tile) {
  Emit *e = t->e;
  LLVMBasicBlockRef done = block_new(e, "swept"),
                    cut = block_when(e, both(e, is_full(t, tile), negate(e, some_are_bad(t))), "whole");
  sweep_whole(t, tile);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, cut);
  sweep_cut(t, tile);
  block_go(e, done);
}

/* What changes from turn to turn.  tile, swept: i64, cells: the tile whose features come next; the last that has not
 * been swept.  is_new, again: i1, cells: some row has no reference; the strip is swept once more. */
typedef struct Turns { V first, last, tile, swept, is_new, again; } Turns;

/* Gives rows that have a pair in the tile before this one in turn, and none before that, their references. */
static void prime(Tile *t, const Turns *r, V tile) {
  Emit *e = t->e;
  V again = LLVMBuildLoad2(e->b, e->t.i1, r->again, ""), some = LLVMBuildICmp(e->b, LLVMIntSLT, tile, r->last, "");
  V now = both(e, LLVMBuildLoad2(e->b, e->t.i1, r->is_new, ""), some);
  LLVMBasicBlockRef done = block_when(e, either(e, now, again), "prime");
  Live before = live_of(t, plus(e, tile, const_int(e, 1)));
  V lo = LLVMBuildSelect(e->b, again, t->vec_lo, before.lo, ""),
    hi = LLVMBuildSelect(e->b, again, t->vec_hi, before.hi, "");
  tile_aside_prime(t, lo, hi, negate(e, again));
  LLVMBuildStore(e->b, tile_aside_is_new(t), r->is_new);
  block_go(e, done);
}

static void note_live(Tile *t, V tile, V at_end) {
  Emit *e = t->e;
  LLVMBasicBlockRef done = block_when(e, negate(e, at_end), "note");
  tile_note_live(t, tile, is_full(t, tile));
  block_go(e, done);
}

/* Tiles from the last to the first, and one turn more: in each the tile before it is swept. */
static void turn(Tile *t, const Turns *r, V tile) {
  Emit *e = t->e;
  V one = const_int(e, 1), at_end = LLVMBuildICmp(e->b, LLVMIntSLT, tile, r->first, ""), before = plus(e, tile, one);
  prime(t, r, tile);
  Live live = live_of(t, tile);
  V wide = both(e, is_wide(t, &live), negate(e, at_end)), from = LLVMBuildLoad2(e->b, e->t.i64, r->swept, "");
  V good = negate(e, some_are_bad(t));
  if (t->live) note_live(t, tile, at_end);
  else good = both(e, good, is_full(t, least(e, before, r->last)));
  V hosts = t->s->shape.hosts ? both(e, wide, both(e, equal(e, from, before), good)) : LLVMConstNull(e->t.i1);
  if (t->in_place) hosts = both(e, hosts, negate(e, t->in_place));
  Count c = count_enter(e, const_int(e, 0), LLVMBuildSelect(e->b, hosts, const_int(e, 0), minus(e, from, tile), ""));
  sweep_tile(t, minus(e, from, c.index));
  count_leave(e, &c);
  LLVMBuildStore(e->b, tile, r->swept);
  LLVMBasicBlockRef last = block_when(e, negate(e, at_end), "features");
  t->column = tile;
  LLVMBasicBlockRef there = t->in_place ? block_when(e, negate(e, t->in_place), "panels") : NULL;
  features(t, &live, wide, hosts);
  if (there) block_go(e, there);
  block_go(e, last);
}

static void begin_sweep(Tile *t, const Turns *r) {
  for_rows(t, const_int(t->e, t->nrow), tile_aside_begin);
  LLVMBuildStore(t->e->b, r->last, r->swept);
}

/* A log weight far above its reference sends the strip through the last turn again, which raises the reference. */
static void features_and_sweep(Tile *t) {
  Emit *e = t->e;
  V vectors = const_int(e, t->nvec), yes = LLVMConstInt(e->t.i1, 1, false);
  Turns r = {.tile = cell_new(e, e->t.i64, "tile"),
             .swept = cell_new(e, e->t.i64, "swept"),
             .is_new = cell_new(e, e->t.i1, "is_new"),
             .again = cell_new(e, e->t.i1, "again")};
  r.first = LLVMBuildUDiv(e->b, t->vec_lo, vectors, "");
  r.last = LLVMBuildUDiv(e->b, minus(e, t->vec_hi, const_int(e, 1)), vectors, "");
  tile_aside_new(t);
  if (tile_keeps_live(t))
    t->live = cell_new(e, LLVMArrayType2(LLVMIntTypeInContext(e->cx, t->l.n), t->nrow * t->s->shape.col_block / t->l.n),
                       "live");
  begin_sweep(t, &r);
  LLVMBuildStore(e->b, r.last, r.tile);
  LLVMBuildStore(e->b, tile_aside_is_new(t), r.is_new);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), r.again);
  LLVMBasicBlockRef loop = block_new(e, "turn");
  block_go(e, loop);
  V tile = LLVMBuildLoad2(e->b, e->t.i64, r.tile, ""), next = minus(e, tile, const_int(e, 1));
  turn(t, &r, tile);
  LLVMBuildStore(e->b, next, r.tile);
  LLVMBasicBlockRef over =
      block_when(e, LLVMBuildICmp(e->b, LLVMIntSGE, plus(e, next, const_int(e, 1)), r.first, ""), "next");
  LLVMBuildBr(e->b, loop);
  LLVMPositionBuilderAtEnd(e->b, over);
  V exceeds = both(e, tile_aside_exceeds(t), negate(e, LLVMBuildLoad2(e->b, e->t.i1, r.again, "")));
  LLVMBasicBlockRef settled = block_when(e, exceeds, "again");
  begin_sweep(t, &r);
  LLVMBuildStore(e->b, minus(e, r.first, const_int(e, 1)), r.tile);
  LLVMBuildStore(e->b, yes, r.again);
  LLVMBuildBr(e->b, loop);
  LLVMPositionBuilderAtEnd(e->b, settled);
  tile_aside_end(t);
  t->live = NULL;
}

/* ---- contract ----------------------------------------------------------------------------------- */

/* Of the strip, which stand behind those of the strips before it where buffers hold a block. */
static V contract_weights(const Tile *t, uint32_t k) {
  const WeightSpace *w = &t->weight[t->s->accs.at[k].weight];
  bool half = !t->acc[k].x && t->s->accs.at[k].rounds;
  V from = t->acc[k].x ? t->acc[k].x : half ? w->half : w->part;
  if (!t->pair_row) return from;
  return tile_address(t->e, half ? t->e->t.i16 : t->e->t.f32, from, times(t->e, t->pair_row, t->s->shape.pair_line));
}

/* How many columns share a word. */
static uint32_t columns_in_word(const Tile *t, uint32_t k) { return t->s->accs.at[k].rounds ? 2 : 1; }

/* sum [row][axis] += weights [row][column] times panel [column][axis], for nrow rows, nvec vectors of the axis and
 * columns lo .. hi.  packed: so many columns share a word, and are counted as one. */
static void contract_body(Tile *t, uint32_t nvec, uint32_t packed) {
  Emit *e = t->e;
  V weights = LLVMGetParam(e->fn, 0), from_panel = LLVMGetParam(e->fn, 1), sum = LLVMGetParam(e->fn, 2),
    padded = LLVMGetParam(e->fn, 3);
  uint32_t points = t->nrow * nvec;
  V phi[TILE_ROWS * TILE_VECTORS], next[TILE_ROWS * TILE_VECTORS], panel[TILE_VECTORS], zero = lanes_float(&t->l, 0),
                                                                                        w = NULL;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, LLVMGetParam(e->fn, 4), LLVMGetParam(e->fn, 5));
  for (uint32_t n = 0; n < points; n++) {
    phi[n] = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(phi[n], &zero, &from, 1);
  }
  V line = times(e, c.index, t->panel_width);
  for (uint32_t v = 0; v < nvec; v++)
    panel[v] = tile_get(e, t->l.f32, from_panel, plus(e, line, const_int(e, v * t->l.n)));
  for (uint32_t n = 0; n < points; n++) {
    V at = plus(e, c.index, const_int(e, (int64_t)(n / nvec) * t->s->shape.pair_line / packed));
    if (n % nvec == 0) w = lanes_splat(&t->l, tile_get(e, e->t.f32, weights, at));
    next[n] =
        packed > 1 ? lanes_dot_bf16(&t->l, phi[n], w, panel[n % nvec]) : lanes_fma(&t->l, w, panel[n % nvec], phi[n]);
  }
  for (uint32_t n = 0; n < points; n++) LLVMAddIncoming(phi[n], &next[n], &c.body, 1);
  count_leave(e, &c);
  for (uint32_t n = 0; n < points; n++) {
    V out = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(out, (V[]){zero, next[n]}, (LLVMBasicBlockRef[]){from, c.body}, 2);
    next[n] = out;
  }
  for (uint32_t n = 0; n < points; n++) {
    V at = plus(e, LLVMBuildMul(e->b, padded, const_int(e, n / nvec), ""), const_int(e, n % nvec * t->l.n));
    tile_put(e, sum, at, LLVMBuildFAdd(e->b, tile_get(e, t->l.f32, sum, at), next[n], ""));
  }
}

/* A function of its own, so that its registers are its own. */
static V contract_function(Tile *t, uint32_t nvec, uint32_t packed) {
  Emit *e = t->e;
  const char *name = arena_printf(e->arena, "%s.contract.%ux%u.%u%s", e->name, t->nrow, nvec, t->s->shape.pair_line,
                                  packed > 1 ? ".bf16" : "");
  V f = LLVMGetNamedFunction(e->module, name);
  if (f) return f;
  LLVMTypeRef p[] = {e->t.ptr, e->t.ptr, e->t.ptr, e->t.i64, e->t.i64, e->t.i64};
  Emit outer = *e;
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b), cells = LLVMGetInsertBlock(e->cells);
  e->val = NEW_ARRAY(e->arena, V, e->k->instrs.n);
  e->place = NEW_ARRAY(e->arena, ArrayPlace, e->k->arrays.n);
  function_begin(e, name, LLVMFunctionType(e->t.none, p, 6, false));
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "noinline");
  for (unsigned n = 0; n < 3; n++) function_attribute(e, e->fn, n + 1, "noalias");
  contract_body(t, nvec, packed);
  function_end(e, NULL);
  f = e->fn;
  *e = outer;
  LLVMPositionBuilderAtEnd(e->b, at);
  LLVMPositionBuilderAtEnd(e->cells, cells);
  return f;
}

/* The strip's sums of acc k, from vector `axis` in the tile of the axis on. */
static void contract_patch(Tile *t, uint32_t k, V axis_tile, V axis, uint32_t nvec) {
  Emit *e = t->e;
  uint32_t packed = columns_in_word(t, k);
  V f = contract_function(t, nvec, packed), padded = t->acc[k].padded, row = times(e, t->strip, t->nrow);
  V line = times(e, times(e, axis_tile, t->s->shape.col_block / packed), t->panel_width);
  V end = least(e, times(e, t->vec_hi, t->l.n), t->cols_in_block);
  if (packed > 1) end = LLVMBuildUDiv(e->b, plus(e, end, const_int(e, packed - 1)), const_int(e, packed), "");
  V sum = plus(e, plus(e, LLVMBuildMul(e->b, row, padded, ""), times(e, axis_tile, t->panel_width)), axis);
  V arg[] = {contract_weights(t, k), tile_address(e, e->t.f32, t->acc[k].panel, plus(e, line, axis)),
             tile_address(e, e->t.f32, t->acc[k].sum, sum), padded, times(e, t->vec_lo, t->l.n / packed), end};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 6, "");
}

/* Whole tiles of the axis, then what is left vector by vector. */
static void contract(Tile *t, uint32_t k) {
  Emit *e = t->e;
  V tiles = LLVMBuildUDiv(e->b, t->acc[k].extent, const_int(e, t->panel_width), ""),
    done = times(e, tiles, t->panel_width);
  Count c = count_enter(e, const_int(e, 0), tiles);
  contract_patch(t, k, c.index, const_int(e, 0), t->s->shape.at_once);
  count_leave(e, &c);
  V left = plus(e, minus(e, t->acc[k].extent, done), const_int(e, t->l.n - 1));
  c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, left, const_int(e, t->l.n), ""));
  contract_patch(t, k, tiles, times(e, c.index, t->l.n), 1);
  count_leave(e, &c);
}

static void contract_here(Tile *t, uint32_t k) {
  Emit *e = t->e;
  LLVMBasicBlockRef done = t->in_place ? block_when(e, negate(e, t->in_place), "panels") : NULL;
  contract(t, k);
  if (done) block_go(e, done);
}

/* Rows that repeat the last one are swept only beside features. */
static V live_rows(Tile *t) {
  Emit *e = t->e;
  V all = const_int(e, t->nrow), there = minus(e, t->rows_in_block, times(e, t->strip, t->nrow));
  return t->in_place ? LLVMBuildSelect(e->b, t->in_place, least(e, there, all), all, "") : all;
}

static void contract_all(Tile *t) {
  tile_half_masses(t);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) contract_here(t, k);
}

void tile_strip(Tile *t) {
  t->live_rows = live_rows(t);
  if (t->in_place) tile_patch_range(t);
  if (t->s->features.n) features_and_sweep(t);
  else sweep_alone(t);
  contract_all(t);
}

void tile_strip_swept(Tile *t) {
  Emit *e = t->e;
  t->live_rows = least(e, minus(e, t->rows_in_block, times(e, t->strip, t->nrow)), const_int(e, t->nrow));
  t->vec_lo = const_int(e, 0), t->vec_hi = ceil_div(e, t->cols_in_block, t->l.n),
  t->all = LLVMConstInt(e->t.i1, 1, false);
  if (t->in_place) tile_patch_range(t);
  sweep_alone(t);
  contract_all(t);
}
