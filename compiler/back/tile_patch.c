/* tile_patch: columns that are read where they lie, contracted.
 *
 *     for a run of columns that L1 holds, for all patches of the sums (some rows, some vectors of the axis):
 *       sums += a column's weights, each broadcast, times its vectors along the axis
 *
 * A column is found by its distance from the one before.  Several are taken a turn: what steers the loop would else
 * take a fifth of the instructions that can be issued.  Each sum has the terms, and the order, that it has from panels.
 */
#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

enum {
  RUN = 32,         /* columns that are contracted together */
  TOGETHER = 4,     /* of them in a turn */
  AXIS_AHEAD = 64,  /* columns that are fetched before they are needed */
  LINE_FLOATS = 16, /* of the cache */
  PATCH = TILE_ROWS * TILE_VECTORS
};

/* Where the sums of the block of columns are: [row of the block][axis, padded], in the panel, which nobody else needs.
 */
static V sums_at(Tile *t, uint32_t k, V row, V axis) {
  return plus(t->e, LLVMBuildMul(t->e->b, t->acc[k].padded, row, ""), axis);
}

/* A part of the sums that registers hold: nrow rows from `row`, nvec vectors of the axis from `axis`, kept at `place`:
 * the last vector of an axis may overlap the one before it, its sums are apart. */
typedef struct Patch {
  uint32_t nrow, nvec;
  V row, axis, place;
} Patch;

static V patch_at(Tile *t, uint32_t k, const Patch *p, uint32_t n) {
  Emit *e = t->e;
  return sums_at(t, k, plus(e, p->row, const_int(e, n / p->nvec)),
                 plus(e, p->place, const_int(e, n % p->nvec * t->l.n)));
}

/* ---- columns ---------------------------------------------------------------------------------------------- */

/* Words of weights, of one column or, in halves, of two.  load: an element along the axis; bytes: from a column's to
 * the next one's; weights: of the patch's first row, `line` floats before those of the next; smallest: of the elements
 * that are halves, so far. */
typedef struct Way {
  const Instr *load;
  const Patch *p;
  uint32_t k, packed, line;
  V bytes, weights, smallest;
} Way;

static V further(Tile *t, V at, V bytes) { return LLVMBuildGEP2(t->e->b, t->e->t.i8, at, &bytes, 1, ""); }

static V columns_on(Tile *t, const Way *w, int64_t n) {
  return LLVMBuildMul(t->e->b, w->bytes, const_int(t->e, n), "");
}

/* Sets the indices to the patch's first element in that word's column; where it lies. */
static V column_at(Tile *t, Way *w, V word) {
  Emit *e = t->e;
  const Acc *a = t->s->accs.at[w->k].acc;
  Val index = a->body.index[0], column = t->s->loop->index;
  uint32_t along = 0, across = 0;
  while (w->load->arg[along] != index) along++;
  while (w->load->arg[across] != column) across++;
  e->val[column] = plus(e, t->first_col, times(e, word, w->packed));
  e->val[index] = plus(e, e->val[a->axes[0].lo], w->p->axis);
  e->range[index] = (IndexRange){a->axes[0].lo, a->axes[0].hi};
  return array_run_at(e, w->load, along, across, &w->bytes);
}

/* A line of the cache of the next block for a column and patch of this one, so that memory works here too: the patch's
 * own where it is one line wide, else half its columns, whose address takes more to compute. */
static void fetch_next(Tile *t, Way w, V at, V column) {
  Emit *e = t->e;
  Patch half = *w.p;
  if (half.nvec * t->l.n > LINE_FLOATS) {
    V odd = LLVMBuildURem(e->b, column, const_int(e, 2), ""),
      patch = LLVMBuildURem(e->b, floor_div(e, half.row, half.nrow), const_int(e, 2), "");
    half.axis = plus(e, half.axis, times(e, plus(e, times(e, odd, 2), patch), t->l.n));
    w.p = &half;
    at = column_at(t, &w, floor_div(e, column, 2));
  }
  array_fetch(e, further(t, at, columns_on(t, &w, t->s->shape.col_block)));
}

static void fetch_ahead(Tile *t, const Way *w, V at) {
  if (!t->s->across) array_fetch(t->e, further(t, at, columns_on(t, w, AXIS_AHEAD)));
}

/* The vectors of the axis in the word's columns, the first of which lies there; behind the last column it repeats. */
static void load_word(Tile *t, Way *w, V word, V at, V *x) {
  Emit *e = t->e;
  Val panel = t->s->accs.at[w->k].panel;
  const Array *a = w->load->array;
  int64_t vector = (int64_t)array_stored_bytes(e, a->elem) * t->l.n;
  V none = const_int(e, 0), next = w->bytes;
  if (w->packed > 1) {
    V last = minus(e, t->cols_in_block, const_int(e, 1));
    next = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, times(e, word, 2), last, ""), next, none, "");
  }
  for (uint32_t v = 0; v < w->p->nvec; v++) {
    V first = further(t, at, const_int(e, v * vector)), second = further(t, first, next);
    fetch_ahead(t, w, first);
    if (w->packed == 1) {
      x[v] = tile_scaled(t, panel, array_floats_from(e, a, first, t->l.n));
      continue;
    }
    fetch_ahead(t, w, second);
    x[v] = tile_half_pairs(t, array_bits_from(e, a, first, t->l.n), array_bits_from(e, a, second, t->l.n));
    w->smallest =
        tile_half_smaller(t, w->smallest, LLVMBuildBitCast(e->b, x[v], LLVMVectorType(e->t.i16, 2 * t->l.n), ""));
  }
  if (w->packed > 1)
    tile_lose(t, tile_half_is_small(t, w->smallest, true));
  else if (t->s->across && w->p->nvec > 1)
    fetch_next(t, *w, at, word);
}

static void add_word(Tile *t, Way *w, V word, V at, V *sum) {
  Emit *e = t->e;
  V x[PATCH], own = NULL;
  w->smallest = NULL;
  load_word(t, w, word, at, x);
  for (uint32_t n = 0; n < w->p->nrow * w->p->nvec; n++) {
    uint32_t row = n / w->p->nvec, v = n % w->p->nvec;
    if (!v)
      own = lanes_splat(&t->l, tile_get(e, e->t.f32, w->weights, plus(e, word, const_int(e, (int64_t)row * w->line))));
    sum[n] = w->packed > 1 ? lanes_dot_bf16(&t->l, sum[n], own, x[v]) : lanes_fma(&t->l, own, x[v], sum[n]);
  }
}

/* `turns` turns of n words each, from `word`, whose column lies at `at`; then the sums, and what follows. */
static V add_turns(Tile *t, Way *w, V word, V turns, uint32_t n, V at, V *sum) {
  Emit *e = t->e;
  uint32_t points = w->p->nrow * w->p->nvec;
  V first[PATCH + 1], phi[PATCH + 1], now[PATCH + 1];
  for (uint32_t k = 0; k <= points; k++) first[k] = k < points ? sum[k] : at;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, const_int(e, 0), turns);
  for (uint32_t k = 0; k <= points; k++) {
    now[k] = phi[k] = LLVMBuildPhi(e->b, LLVMTypeOf(first[k]), "");
    LLVMAddIncoming(phi[k], &first[k], &from, 1);
  }
  for (uint32_t k = 0; k < n; k++) {
    add_word(t, w, plus(e, word, plus(e, times(e, c.index, n), const_int(e, k))), now[points], now);
    now[points] = further(t, phi[points], columns_on(t, w, (int64_t)(k + 1) * w->packed));
  }
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  for (uint32_t k = 0; k <= points; k++) LLVMAddIncoming(phi[k], &now[k], &body, 1);
  count_leave(e, &c);
  for (uint32_t k = 0; k <= points; k++) {
    V out = LLVMBuildPhi(e->b, LLVMTypeOf(first[k]), "");
    LLVMAddIncoming(out, (V[]){first[k], now[k]}, (LLVMBasicBlockRef[]){from, body}, 2);
    if (k < points)
      sum[k] = out;
    else
      at = out;
  }
  return at;
}

/* Columns lo .. hi. */
static void contract_patch(Tile *t, uint32_t k, V lo, V hi, const Patch *p) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  Way w = {.load = ir_at(e->k, a->panel), .p = p, .k = k, .packed = a->rounds ? 2 : 1};
  V all = t->acc[k].x ? t->acc[k].x : a->rounds ? t->weight[a->weight].half : t->weight[a->weight].part, sum[PATCH];
  w.line = t->s->shape.pair_line / w.packed;
  w.weights = tile_address(e, e->t.f32, all, times(e, p->row, w.line));
  V first = floor_div(e, lo, w.packed),
    count = greatest(e, minus(e, ceil_div(e, hi, w.packed), first), const_int(e, 0));
  V at = column_at(t, &w, first), turns = const_int(e, 0);
  for (uint32_t n = 0; n < p->nrow * p->nvec; n++)
    sum[n] = tile_get(e, t->l.f32, t->acc[k].panel, patch_at(t, k, p, n));
  if (w.packed == 1) {
    turns = floor_div(e, count, TOGETHER);
    at = add_turns(t, &w, first, turns, TOGETHER, at, sum);
  }
  V done = times(e, turns, TOGETHER);
  add_turns(t, &w, plus(e, first, done), minus(e, count, done), 1, at, sum);
  for (uint32_t n = 0; n < p->nrow * p->nvec; n++) tile_put(e, t->acc[k].panel, patch_at(t, k, p, n), sum[n]);
}

/* ---- patches ----------------------------------------------------------------------------------------------- */

/* Vectors of the widest patch, and its rows: as many as registers hold, a divisor of a strip's.  Where columns were
 * read before, for all rows of a block, patches are as narrow as tiles and have more rows, for which a column is loaded
 * once. */
static uint32_t patch_vectors(const Tile *t) { return t->s->across ? t->s->shape.at_once : 2 * t->s->shape.at_once; }

static uint32_t patch_rows(const Tile *t) {
  uint32_t n = t->nrow, wide = patch_vectors(t);
  while (n > 1 && (t->nrow % n || n * wide + wide + 1 > tile_registers(t))) n--;
  return n;
}

static V patches(Tile *t) { return ceil_div(t->e, t->rows_in_block, patch_rows(t)); }

/* For every vector of the sums: f. */
static void for_sums(Tile *t, uint32_t k, void (*f)(Tile *, uint32_t, V, V)) {
  Emit *e = t->e;
  Count r = count_enter(e, const_int(e, 0), times(e, patches(t), patch_rows(t)));
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->acc[k].extent, t->l.n));
  f(t, k, r.index, times(e, c.index, t->l.n));
  count_leave(e, &c);
  count_leave(e, &r);
}

static void clear_sum(Tile *t, uint32_t k, V row, V axis) {
  tile_put(t->e, t->acc[k].panel, sums_at(t, k, row, axis), lanes_float(&t->l, 0));
}

/* Where the vector lies whose sums are kept at `place`. */
static V start_of(Tile *t, uint32_t k, V place) {
  return least(t->e, place, minus(t->e, t->acc[k].extent, const_int(t->e, t->l.n)));
}

static void add_sum(Tile *t, uint32_t k, V row, V axis) {
  Emit *e = t->e;
  V x = tile_get(e, t->l.f32, t->acc[k].panel, sums_at(t, k, row, axis)), gap = LLVMBuildFSub(e->b, x, x, "");
  tile_lose(t, tile_line_any(t, LLVMBuildFCmp(e->b, LLVMRealUNO, gap, gap, "")));
  V start = start_of(t, k, axis), new = LLVMBuildTrunc(e->b, minus(e, axis, start), e->t.i32, "");
  V at = plus(e, LLVMBuildMul(e->b, row, t->acc[k].padded, ""), start), old = tile_get(e, t->l.f32, t->acc[k].sum, at);
  V is_new = LLVMBuildICmp(e->b, LLVMIntSGE, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, new), "");
  tile_put(e, t->acc[k].sum, at, LLVMBuildSelect(e->b, is_new, LLVMBuildFAdd(e->b, old, x, ""), old, ""));
}

/* The rows, with those of the columns that their strip has weights of, for as much of the axis from `axis` as nvec
 * vectors divide. */
static V contract_along(Tile *t, uint32_t k, V lo, V hi, V axis, uint32_t nvec) {
  Emit *e = t->e;
  uint32_t nrow = patch_rows(t), width = nvec * t->l.n;
  V left = minus(e, t->acc[k].extent, axis), tiles = nvec > 1 ? floor_div(e, left, width) : ceil_div(e, left, width);
  Count c = count_enter(e, const_int(e, 0), tiles);
  V first = plus(e, axis, times(e, c.index, width));
  Count r = count_enter(e, const_int(e, 0), patches(t));
  Patch p = {nrow, nvec, times(e, r.index, nrow), nvec > 1 ? first : start_of(t, k, first), first};
  V strip = floor_div(e, p.row, t->nrow),
    own_lo = LLVMBuildLoad2(e->b, e->t.i64, tile_address(e, e->t.i64, t->strip_lo, strip), "");
  V own_hi = LLVMBuildLoad2(e->b, e->t.i64, tile_address(e, e->t.i64, t->strip_hi, strip), "");
  contract_patch(t, k, op_extreme(e, IR_INT, true, lo, own_lo), least(e, hi, own_hi), &p);
  count_leave(e, &r);
  count_leave(e, &c);
  return plus(e, axis, times(e, tiles, width));
}

void tile_patch_begin(Tile *t) {
  LLVMTypeRef type = LLVMArrayType2(t->e->t.i64, TILE_FEW);
  t->strip_lo = cell_new(t->e, type, "strip_lo"), t->strip_hi = cell_new(t->e, type, "strip_hi");
}

static void keep_range(Tile *t, V lo, V hi) {
  Emit *e = t->e;
  V at = LLVMBuildSelect(e->b, t->in_place, t->strip, const_int(e, 0), "");
  LLVMBuildStore(e->b, lo, tile_address(e, e->t.i64, t->strip_lo, at));
  LLVMBuildStore(e->b, hi, tile_address(e, e->t.i64, t->strip_hi, at));
}

void tile_patch_no_range(Tile *t) { keep_range(t, const_int(t->e, 0), const_int(t->e, 0)); }

void tile_patch_range(Tile *t) {
  Emit *e = t->e;
  keep_range(t, times(e, t->vec_lo, t->l.n), least(e, times(e, t->vec_hi, t->l.n), t->cols_in_block));
}

/* Wide patches of few rows: memory then is read in its order. */
void tile_patch_contract(Tile *t, uint32_t k) {
  Emit *e = t->e;
  const Loop *l = t->s->loop;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  for_sums(t, k, clear_sum);
  Count run = count_enter(e, const_int(e, 0), ceil_div(e, t->cols_in_block, RUN));
  V from = times(e, run.index, RUN), to = plus(e, from, const_int(e, RUN));
  V axis = contract_along(t, k, from, to, const_int(e, 0), patch_vectors(t));
  if (patch_vectors(t) > t->s->shape.at_once) axis = contract_along(t, k, from, to, axis, t->s->shape.at_once);
  contract_along(t, k, from, to, axis, 1);
  count_leave(e, &run);
  for_sums(t, k, add_sum);
}
