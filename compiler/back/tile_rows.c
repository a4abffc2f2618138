/* tile_rows: loops over rows in blocks, and their columns in spans.  See tile.h. */
#include "back/tile.h"
#include "back/whole.h"
#include "base/ice.h"
#include "ir/build.h"

typedef LLVMValueRef V;

enum { LONG_SWEEP = 20, MANY_LANES = 16 }; /* LONG_SWEEP: instructions of a vector of pairs */

/* ---- blocks ------------------------------------------------------------------------------------- */

/* Of rows.  before: how many come before it, from the first on; lo .. hi: its columns, of one stream alone; NULL: all.
 */
typedef struct Block { Tile **tiles; V before, first, rows, odd, lo, hi, seeded; } Block;

static Val loop_instr(const Kernel *k, const Region *r, const Loop *l) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_at(k, r->code.at[n])->loop == l && ir_at(k, r->code.at[n])->op == IR_LOOP) return r->code.at[n];
  ICE("a loop is not in its region");
}

static void set_row(Emit *e, const TileRows *rows, const Block *b, V *around, V at) {
  group_row(e, rows, around, plus(e, b->before, least(e, at, minus(e, b->rows, const_int(e, 1)))));
}

/* What stream n reads from the body of its rows; the streams before it have been computed. */
static bool *row_slice(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  const TileStream *s = rows->streams.at[n];
  const Region *body = rows->loop->body;
  Need need = {e->k, NEW_ARRAY(e->arena, bool, e->k->instrs.n), NEW_ARRAY(e->arena, bool, e->k->arrays.n)};
  tile_need_row(b->tiles[n], &need);
  need_instr(&need,
             ir_at(e->k, loop_instr(e->k, body, s->loop))); /* columns and seeds read uniform values and rows' too */
  bool *pick = need_slice(e, &need, body);
  for (uint32_t k = 0; k < rows->streams.n; k++)
    if (b->tiles[k]) pick[loop_instr(e->k, body, rows->streams.at[k]->loop)] = false;
  return pick;
}

static void begin_rows(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  Tile *t = b->tiles[n];
  V strips = ceil_div(e, b->rows, t->nrow), *around = group_begin(e, rows);
  Count c = count_enter(e, const_int(e, 0), times(e, strips, t->nrow));
  set_row(e, rows, b, around, c.index);
  for (uint32_t k = 0; k < n; k++)
    if (b->tiles[k]) tile_load_results(b->tiles[k], least(e, c.index, minus(e, b->rows, const_int(e, 1))));
  emit_code(e, rows->loop->body, row_slice(e, rows, b, n), true);
  tile_pack_row(t, c.index);
  tile_begin_row(t, c.index, b->seeded);
  count_leave(e, &c);
  group_end(e, rows, around);
}

/* Whether what the mask leaves out may be passed over. */
static bool is_skipped(const Tile *t) { return t->s->loop->mask && tile_passes_over(t->e->k, t->rows, t->s->loop); }

static V true_(Emit *e) { return LLVMConstInt(e->t.i1, 1, false); }

/* The vectors of the strip from the first to the last that may hold a pair, and the tiles of which a pair is missing;
 * returns whether there is a vector.  Tiles are asked first, the vectors of those that are cut then. */
static V live_vectors(Tile *t, V partial) {
  Emit *e = t->e;
  V lo = cell_new(e, e->t.i64, "vec_lo"), hi = cell_new(e, e->t.i64, "vec_hi"), place = cell_new(e, e->t.i64, "place"),
    width = cell_new(e, e->t.i64, "width");
  V zero = const_int(e, 0), one = const_int(e, 1), tile = const_int(e, t->nvec);
  LLVMBuildStore(e->b, t->vec_hi, lo);
  LLVMBuildStore(e->b, zero, hi);
  LLVMBuildStore(e->b, zero, place);
  LLVMBuildStore(e->b, tile, width);
  LLVMBasicBlockRef loop = block_new(e, "ask"), done = block_new(e, "asked"), cut = block_new(e, "cut"),
                    next = block_new(e, "next");
  block_go(e, loop);
  V at = LLVMBuildLoad2(e->b, e->t.i64, place, ""), many = LLVMBuildLoad2(e->b, e->t.i64, width, ""),
    end = plus(e, at, many);
  Truth truth = tile_mask_vectors(t, at, many);
  V whole = LLVMBuildICmp(e->b, LLVMIntEQ, many, tile, ""), missing = LLVMBuildNot(e->b, truth.must, "");
  LLVMBasicBlockRef single = block_when(e, whole, "tile");
  LLVMBuildStore(e->b, missing, tile_address(e, e->t.i1, partial, LLVMBuildUDiv(e->b, at, tile, "")));
  block_go(e, single);
  LLVMBuildCondBr(e->b, LLVMBuildAnd(e->b, whole, LLVMBuildAnd(e->b, truth.may, missing, ""), ""), cut, next);
  LLVMPositionBuilderAtEnd(e->b, cut);
  LLVMBuildStore(e->b, one, width);
  LLVMBuildBr(e->b, loop);
  LLVMPositionBuilderAtEnd(e->b, next);
  LLVMBasicBlockRef dead = block_when(e, truth.may, "live");
  LLVMBuildStore(e->b, least(e, at, LLVMBuildLoad2(e->b, e->t.i64, lo, "")), lo);
  LLVMBuildStore(e->b, least(e, end, t->vec_hi), hi);
  block_go(e, dead);
  LLVMBuildStore(e->b, end, place);
  V begins = LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildURem(e->b, end, tile, ""), zero, "");
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, begins, tile, one, ""), width);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, end, t->vec_hi, ""), loop, done);
  LLVMPositionBuilderAtEnd(e->b, done);
  t->vec_lo = LLVMBuildLoad2(e->b, e->t.i64, lo, "");
  t->vec_hi = LLVMBuildLoad2(e->b, e->t.i64, hi, "");
  return LLVMBuildICmp(e->b, LLVMIntSLT, t->vec_lo, t->vec_hi, "");
}

static void do_strip(Tile *t) {
  Emit *e = t->e;
  V vectors = ceil_div(e, t->cols_in_block, t->l.n);
  t->vec_lo = const_int(e, 0), t->vec_hi = vectors, t->partial = NULL;
  t->all = t->s->loop->mask ? LLVMConstNull(e->t.i1) : true_(e);
  if (!is_skipped(t)) {
    tile_strip(t);
    return;
  }
  Truth strip = tile_mask_strip(t);
  V lo = cell_new(e, e->t.i64, "lo"), hi = cell_new(e, e->t.i64, "hi");
  t->partial = cell_new(e, LLVMArrayType2(e->t.i1, t->s->shape.col_block / t->width), "partial");
  LLVMBuildStore(e->b, t->vec_lo, lo);
  LLVMBuildStore(e->b, t->vec_hi, hi);
  LLVMBasicBlockRef dead = block_when(e, strip.may, "strip"), begin = block_new(e, "begin");
  LLVMBasicBlockRef whole = block_when(e, LLVMBuildNot(e->b, strip.must, ""), "cut");
  V some = live_vectors(t, t->partial);
  LLVMBuildStore(e->b, t->vec_lo, lo);
  LLVMBuildStore(e->b, t->vec_hi, hi);
  LLVMBuildCondBr(e->b, some, begin, dead);
  LLVMPositionBuilderAtEnd(e->b, whole);
  block_go(e, begin);
  t->all = strip.must;
  t->vec_lo = LLVMBuildLoad2(e->b, e->t.i64, lo, "");
  t->vec_hi = LLVMBuildLoad2(e->b, e->t.i64, hi, "");
  tile_strip(t);
  block_go(e, dead);
}

static void place_features(Tile *t) {
  tile_patch_begin(t);
  LLVMBasicBlockRef panels = block_when(t->e, t->in_place, "place");
  tile_place_features(t, is_skipped(t));
  block_go(t->e, panels);
}

static void place_contract(Tile *t) {
  LLVMBasicBlockRef panels = block_when(t->e, t->in_place, "place");
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) tile_patch_contract(t, k);
  block_go(t->e, panels);
}

static void do_strips(Tile *t) {
  Emit *e = t->e;
  if (t->in_place) place_features(t);
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
  t->strip = c.index;
  if (t->in_place) {
    t->pair_row = LLVMBuildSelect(e->b, t->in_place, times(e, c.index, t->nrow), const_int(e, 0), "");
    tile_patch_no_range(t);
  }
  do_strip(t);
  count_leave(e, &c);
  if (t->in_place) place_contract(t);
}

static void set_columns(Tile *t, V first, V hi) {
  t->first_col = first;
  t->cols_in_block = least(t->e, minus(t->e, hi, first), const_int(t->e, t->s->shape.col_block));
  t->tiles = ceil_div(t->e, t->cols_in_block, t->width);
}

/* What is kept in the states of a span from one function to the next. */
static V kept_bad(const Tile *t) { return field_at(t->e, t->kept_odd, 4); }

static void carry_flag(Emit *e, V from, V to) { LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, e->t.i1, from, ""), to); }

static void pack_here(Tile *t) {
  tile_pack_columns(t);
  if (t->s->diagonal.n) tile_pack_diagonals(t);
}

static void pack_elsewhere(Tile *t) {
  Emit *e = t->e;
  carry_flag(e, t->odd, t->kept_odd);
  task_pack(e, t->first_col);
  carry_flag(e, t->kept_odd, t->odd);
  carry_flag(e, kept_bad(t), t->some_bad);
}

/* Whether what is packed of columns is packed elsewhere. */
static bool packs_elsewhere(const Tile *t) { return t->e->shared_rows == t->rows && t->e->pack; }

/* What strips read of a block of columns. */
static void get_columns(Tile *t) {
  Emit *e = t->e;
  t->some_bad = cell_new(e, e->t.i1, "some_bad");
  LLVMBasicBlockRef done = t->in_place ? block_new(e, "packed") : NULL;
  if (t->in_place) {
    LLVMBasicBlockRef packs = block_when(e, t->in_place, "bare");
    tile_pack_columns_bare(t);
    if (t->s->diagonal.n) tile_pack_diagonals(t);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, packs);
  }
  if (packs_elsewhere(t)) pack_elsewhere(t);
  else pack_here(t);
  if (done) block_go(e, done);
}

static void strips_across(Tile *t) {
  Emit *e = t->e;
  LLVMBasicBlockRef done = block_new(e, "strips"), apart = block_when(e, tile_across_holds(e, t->rows), "across");
  tile_across_columns(t);
  if (t->in_place) place_contract(t);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, apart);
  t->in_place = NULL; /* which holds nowhere else */
  tile_pack_column_values(t, &t->s->across->late);
  do_strips(t);
  block_go(e, done);
}

/* A block of columns that the mask leaves empty is passed over before anything else of it is computed.  The last block
 * comes first: where weights decay with the distance from the diagonal of a prefix, references then fit from the start.
 */
static void do_columns(Tile *t, V lo, V hi) {
  Emit *e = t->e;
  uint32_t block = t->s->shape.col_block;
  V some = op_extreme(e, IR_INT, true, minus(e, hi, lo), const_int(e, 0));
  V blocks = ceil_div(e, some, block);
  Count c = count_enter(e, const_int(e, 0), blocks);
  V number = t->s->across ? c.index : minus(e, minus(e, blocks, c.index), const_int(e, 1));
  set_columns(t, plus(e, lo, times(e, number, block)), hi);
  LLVMBasicBlockRef done = NULL;
  if (is_skipped(t)) {
    tile_mask_columns(t);
    done = block_when(e, tile_mask_block(t).may, "block");
  }
  get_columns(t);
  if (t->s->across) strips_across(t);
  else do_strips(t);
  if (done) block_go(e, done);
  count_leave(e, &c);
}

static void set_block(Tile *t, const Block *b) {
  t->first_row = b->first;
  t->rows_in_block = b->rows;
  t->period = group_is(t->e, t->rows) ? group_period(t->e, t->rows) : NULL;
  t->odd = b->odd;
  /* side by side where registers are too few for a sweep in pieces among the multiply-adds */
  t->unit = (t->l.n < MANY_LANES && tile_pair_cost(t) > LONG_SWEEP) || !t->s->shape.hosts ? t->nvec : 1;
  tile_carry_factors(t);
}

static void begin_stream(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  set_block(b->tiles[n], b);
  tile_check_factors(b->tiles[n]);
  begin_rows(e, rows, b, n);
}

static void do_stream(Emit *e, const Block *b, uint32_t n) {
  Tile *t = b->tiles[n];
  if (is_skipped(t)) {
    tile_mask_begin(t);
    tile_mask_rows(t);
  }
  do_columns(t, b->lo ? b->lo : e->val[t->s->loop->lo], b->hi ? b->hi : e->val[t->s->loop->hi]);
}

/* The rest of a row's body, the streams on tiles being known. */
static void finish_row(Emit *e, const TileRows *rows, const Block *b, V at) {
  bool *tiled = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    if (!b->tiles[n]) continue;
    tile_load_results(b->tiles[n], at);
    tiled[loop_instr(e->k, rows->loop->body, rows->streams.at[n]->loop)] = true;
  }
  emit_code(e, rows->loop->body, tiled, false);
}

static void scalar_row(Emit *e, const TileRows *rows) {
  const TilePlan *plan = e->plan;
  e->plan = NULL;
  emit_code(e, rows->loop->body, NULL, false);
  e->plan = plan;
}

static V has_lost_mass(Tile *t, V at) {
  Emit *e = t->e;
  V any = LLVMConstNull(e->t.i1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    if (!tile_adds_logs(t, w)) continue;
    V mass = tile_get(e, e->t.f64, t->weight[w].mass, at);
    any = LLVMBuildOr(e->b, any, LLVMBuildFCmp(e->b, LLVMRealUNO, mass, mass, ""), "");
  }
  return any;
}

/* All streams take the rows in blocks that fit the smallest. */
uint32_t tile_block_rows(const TileRows *rows) {
  uint32_t size = 0;
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    uint32_t block = rows->streams.at[n]->shape.row_block;
    if (!rows->streams.at[n]->why && (!size || block < size)) size = block;
  }
  return size;
}

/* How many rows a block has where it is emitted: bits do not depend on it. */
static V block_rows(const Emit *e, const TileRows *rows) {
  return e->shared_rows == rows ? e->block_rows : const_int(e, tile_block_rows(rows));
}

/* The row at local number `at` of that block. */
void tile_odd_row(Emit *e, const TileRows *rows, V block, V at) {
  group_row(e, rows, group_begin(e, rows), plus(e, LLVMBuildMul(e->b, block, block_rows(e, rows), ""), at));
  scalar_row(e, rows);
}

/* Of the block, or of the row in any of its streams. */
static V is_odd(Emit *e, const TileRows *rows, const Block *b, V at) {
  V odd = LLVMBuildLoad2(e->b, e->t.i1, b->odd, "");
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    if (!b->tiles[n]) continue;
    V own = tile_get(e, e->t.i32, b->tiles[n]->odd_rows, at);
    odd = LLVMBuildOr(e->b, odd, LLVMBuildICmp(e->b, LLVMIntNE, own, LLVMConstNull(e->t.i32), ""), "");
    odd = LLVMBuildOr(e->b, odd, has_lost_mass(b->tiles[n], at), "");
  }
  return odd;
}

static void end_block(Emit *e, const TileRows *rows, const Block *b) {
  V *around = group_begin(e, rows), known = cell_new(e, e->t.i1, "known");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), known);
  Count c = count_enter(e, const_int(e, 0), b->rows);
  set_row(e, rows, b, around, c.index);
  LLVMBasicBlockRef done = block_new(e, "rows"), usual = block_when(e, is_odd(e, rows, b, c.index), "odd");
  tile_across_late_results(e, rows, known);
  if (e->shared_rows == rows && e->odd_rows) task_odd_row(e, c.index);
  else scalar_row(e, rows);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, usual);
  finish_row(e, rows, b, c.index);
  block_go(e, done);
  count_leave(e, &c);
  group_end(e, rows, around);
}

/* The block of that number, whose tiles have their places. */
static Block block_at(Emit *e, const TileRows *rows, V block) {
  V size = block_rows(e, rows);
  Block b = {.tiles = NEW_ARRAY(e->arena, Tile *, rows->streams.n), .odd = cell_new(e, e->t.i1, "odd")};
  V around = tile_bytes_around(e, rows);
  tile_spaces(e, rows, LLVMBuildGEP2(e->b, e->t.i8, e->tile_space, &around, 1, ""), b.tiles);
  b.before = LLVMBuildMul(e->b, block, size, "");
  b.first = plus(e, e->val[rows->loop->lo], b.before);
  b.rows = least(e, minus(e, group_rows(e, rows), b.before), size);
  return b;
}

void tile_block(Emit *e, const TileRows *rows, V block) {
  Block b = block_at(e, rows, block);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), b.odd);
  for (uint32_t n = 0; n < rows->streams.n; n++)
    if (b.tiles[n]) begin_stream(e, rows, &b, n), do_stream(e, &b, n);
  end_block(e, rows, &b);
}

void tile_rows(Emit *e, const TileRows *rows) {
  V lo = e->val[rows->loop->lo], hi = e->val[rows->loop->hi];
  V some = op_extreme(e, IR_INT, true, minus(e, hi, lo), const_int(e, 0));
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, some, tile_block_rows(rows)));
  tile_block(e, rows, c.index);
  count_leave(e, &c);
}

/* ---- spans ---------------------------------------------------------------------------------------- */

static const TileStream *only_stream(const TileRows *rows) { return rows->streams.at[0]; }

bool tile_has_spans(const Kernel *k, const TileRows *rows) {
  if (rows->streams.n != 1 || rows->tiled != 1) return false;
  const Loop *l = only_stream(rows)->loop;
  return ir_follows_from_sizes(k, l->lo) && ir_follows_from_sizes(k, l->hi) &&
         ir_follows_from_sizes(k, rows->loop->lo) && ir_follows_from_sizes(k, rows->loop->hi);
}

static uint64_t span_columns(const TileRows *rows) {
  return (uint64_t)only_stream(rows)->shape.col_block * TILE_SPAN_BLOCKS;
}

V tile_spans(Emit *e, const TileRows *rows) {
  const Loop *l = only_stream(rows)->loop;
  V spans = ceil_div(e, tile_extent(e, l->lo, l->hi), span_columns(rows));
  return op_extreme(e, IR_INT, true, spans, const_int(e, 1));
}

static Block span_at(Emit *e, const TileRows *rows, V block, V span, V state) {
  Block b = block_at(e, rows, block);
  const Loop *l = only_stream(rows)->loop;
  tile_place_states(e, rows, b.tiles[0], state);
  b.lo = plus(e, e->val[l->lo], times(e, span, span_columns(rows)));
  b.hi = least(e, e->val[l->hi], plus(e, b.lo, const_int(e, (int64_t)span_columns(rows))));
  b.seeded = LLVMBuildICmp(e->b, LLVMIntEQ, span, const_int(e, 0), "");
  return b;
}

V tile_span_may(Emit *e, const TileRows *rows, V block, V span) {
  Block b = block_at(e, rows, block);
  Tile *t = b.tiles[0];
  if (!is_skipped(t)) return true_(e);
  const Loop *l = only_stream(rows)->loop;
  t->first_row = b.first, t->rows_in_block = b.rows;
  t->first_col = plus(e, e->val[l->lo], times(e, span, span_columns(rows)));
  t->cols_in_block = least(e, minus(e, e->val[l->hi], t->first_col), const_int(e, (int64_t)span_columns(rows)));
  return tile_mask_block(t).may;
}

void tile_span_begin(Emit *e, const TileRows *rows, V block, V span, V state) {
  Block b = span_at(e, rows, block, span, state);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), b.odd);
  begin_stream(e, rows, &b, 0);
  carry_flag(e, b.odd, b.tiles[0]->kept_odd);
}

void tile_span_pack(Emit *e, const TileRows *rows, V block, V span, V state, V first) {
  Block b = span_at(e, rows, block, span, state);
  Tile *t = b.tiles[0];
  carry_flag(e, t->kept_odd, b.odd);
  set_block(t, &b);
  set_columns(t, first, b.hi);
  t->some_bad = cell_new(e, e->t.i1, "some_bad");
  pack_here(t);
  carry_flag(e, b.odd, t->kept_odd);
  carry_flag(e, t->some_bad, kept_bad(t));
}

static void narrow_rows(Tile *t) {
  LLVMBasicBlockRef panels = block_when(t->e, both(t->e, t->in_place, tile_narrow_holds(t)), "narrow");
  tile_narrow_begin(t);
  block_go(t->e, panels);
}

V tile_span(Emit *e, const TileRows *rows, V block, V span, V state, V panels) {
  Block b = span_at(e, rows, block, span, state);
  Tile *t = b.tiles[0];
  carry_flag(e, t->kept_odd, b.odd);
  set_block(t, &b);
  if (tile_place_can(t)) {
    t->lost = cell_new(e, e->t.i1, "lost");
    LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->lost);
    t->in_place = LLVMBuildAnd(e->b, LLVMBuildNot(e->b, panels, ""), tile_place_holds(t, b.lo, b.hi), "");
    if (t->s->across) t->in_place = LLVMBuildAnd(e->b, t->in_place, tile_across_holds(e, rows), "");
    if (tile_narrow_can(t)) narrow_rows(t);
  }
  do_stream(e, &b, 0);
  carry_flag(e, b.odd, t->kept_odd);
  return t->lost ? LLVMBuildLoad2(e->b, e->t.i1, t->lost, "") : NULL;
}

void tile_finish(Emit *e, const TileRows *rows, V block, V state) {
  Block b = block_at(e, rows, block);
  tile_place_states(e, rows, b.tiles[0], state);
  carry_flag(e, b.tiles[0]->kept_odd, b.odd);
  end_block(e, rows, &b);
}

void tile_merge(Emit *e, const TileRows *rows, V block, V into, V from) {
  Block a = block_at(e, rows, block), b = block_at(e, rows, block);
  Tile *x = a.tiles[0], *y = b.tiles[0];
  tile_place_states(e, rows, x, into);
  tile_place_states(e, rows, y, from);
  V odd = LLVMBuildOr(e->b, LLVMBuildLoad2(e->b, e->t.i1, x->kept_odd, ""),
                      LLVMBuildLoad2(e->b, e->t.i1, y->kept_odd, ""), "");
  LLVMBuildStore(e->b, odd, x->kept_odd);
  Count c = count_enter(e, const_int(e, 0), a.rows);
  tile_merge_row(x, y, c.index);
  count_leave(e, &c);
}
