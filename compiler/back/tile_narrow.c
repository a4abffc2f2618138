/* tile_narrow: the features of few rows and of columns that lie in memory, without transposing these.
 *
 *     lanes are rows      an operand of the rows is brought, once, into the order [feature][row]
 *     a column's element  is the same for all lanes: instructions read it from memory so, where it lies
 *
 * As many columns are summed together as hide the latency of multiply-adds; then squares of sums, rows by columns, are
 * transposed: one shuffle for each vector of eight columns and bit of the rows, where squares of columns and features
 * take that for every vector of features.  Rows that are not there repeat the last.
 *
 * Of 16 lanes, rows take 8.  Where an operation on 16 takes as long as two on 8, vectors have 8.  Elsewhere they are of
 * two columns, lanes 2 r and 2 r + 1 being of row r: lines of two columns are interleaved in a buffer, from which an
 * element of each is broadcast as one of twice its size.
 *
 * Every sum has the terms, and the order, that it has from panels, so the bits are the same. */
#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

enum {
  LINES = TILE_FEW,    /* rows, and lanes, and columns that are summed together */
  WIDE = 2 * LINES,    /* columns that are, if registers hold so many sums */
  STEM = 4,            /* columns found from the address of one of them */
  OPERANDS = 4,        /* of rows or of columns */
  RUN = 16,            /* features: a line of the cache */
  PAIRS = WIDE * RUN,  /* floats of that many lines */
  FEATURES_AHEAD = 32  /* columns that are fetched before they are needed */
};

/* ---- which streams ---------------------------------------------------------------------------------- */

/* Whether all that a value reads are operands with a feature, and what is the same for all pairs. */
static bool is_of_lines(const Tile *t, Val v) {
  const Instr *i = ir_at(t->e->k, v);
  const TileOperand *o = &t->operand[v];
  if (!v || !t->rows->dep[v]) return true;
  if (i->type == IR_INT || i->type == IR_BOOL) return false;
  if (o->from) return o->from == FROM_ROW_FEATURE || (o->from == FROM_COL_FEATURE && !o->factor);
  if (i->op == IR_INDEX || i->op == IR_RESULT || i->op == IR_LOAD) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!is_of_lines(t, i->arg[n])) return false;
  return true;
}

bool tile_narrow_can(const Tile *t) {
  if (!t->s->across || t->l.n < LINES || !tile_place_can(t)) return false;
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const TileFeature *f = &t->s->features.at[k];
    if (f->is_dot || f->is_log || f->loop->accs.n != 1 || f->row.n > OPERANDS || f->col.n > OPERANDS) return false;
    const Acc *a = f->loop->accs.at[0];
    if (a->kind != ACC_SUM || a->type == IR_INT || !is_of_lines(t, tile_feature_summed(f, a))) return false;
  }
  return true;
}

V tile_narrow_holds(const Tile *t) {
  return LLVMBuildICmp(t->e->b, LLVMIntSGT, t->rows_in_block, const_int(t->e, LINES / 2), "");
}

/* Operands of rows once, and twice each; lines of columns, interleaved. */
V tile_narrow_floats(const Tile *t, uint32_t k) {
  V rows = layout_multiply(t->e, t->padded[k], const_int(t->e, 3 * LINES));
  return layout_add(t->e, rows, const_int(t->e, PAIRS));
}

static V pairs_at(const Tile *t, uint32_t k) {
  const TileOperand *o = &t->operand[t->s->features.at[k].row.at[0]];
  return tile_address(t->e, t->e->t.f32, o->scratch, times(t->e, t->padded[k], 3 * LINES));
}

static V twice_at(const Tile *t, uint32_t k, V feature) {
  return times(t->e, plus(t->e, t->padded[k], times(t->e, feature, 2)), LINES);
}

/* Whether columns that are all there are found by the distance of two. */
static bool takes_stems(const Tile *t) {
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const TileFeature *f = &t->s->features.at[k];
    StoreType elem = f->col.n == 1 && f->row.n ? ir_at(t->e->k, f->col.at[0])->array->elem : STORE_BOOL;
    if (elem != STORE_REAL && elem != STORE_F32) return false;
  }
  return true;
}

/* Columns that are summed together, as many as registers hold sums of. */
static uint32_t group_of(const Tile *t) { return t->l.n < WIDE ? LINES : WIDE; }

static bool takes_pairs(const Tile *t) {
  return t->e->plan->target.undivided && t->l.n >= WIDE && takes_stems(t);
}

/* ---- the rows ---------------------------------------------------------------------------------------- */

static void place_rows(Tile *t, uint32_t k, Val v, V feature) {
  Emit *e = t->e;
  const TileOperand *o = &t->operand[v];
  V last = minus(e, t->rows_in_block, const_int(e, 1)), to = times(e, feature, LINES), twice = twice_at(t, k, feature);
  for (uint32_t r = 0; r < LINES; r++) {
    V from = plus(e, LLVMBuildMul(e->b, least(e, const_int(e, r), last), t->padded[k], ""), feature);
    V x = tile_get(e, e->t.f32, o->at, from);
    tile_put(e, o->scratch, plus(e, to, const_int(e, r)), x);
    for (uint32_t n = 0; n < 2 && takes_pairs(t); n++)
      tile_put(e, o->scratch, plus(e, twice, const_int(e, 2 * r + n)), x);
  }
}

void tile_narrow_begin(Tile *t) {
  Emit *e = t->e;
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const TileFeature *f = &t->s->features.at[k];
    Count c = count_enter(e, const_int(e, 0), t->extent[k]);
    for (uint32_t n = 0; n < f->row.n; n++) place_rows(t, k, f->row.at[n], c.index);
    count_leave(e, &c);
  }
}

/* ---- sums -------------------------------------------------------------------------------------------- */

/* n columns with those indices, LINES, or WIDE of them, and sums of `each` in a vector: 1, or 2.  whole: none of them
 * repeats the last.  pairs: where each is 2, the buffer of their lines.  bytes: NULL, or from any column to the next;
 * elements then are found from those of every STEM-th column, `stem`, by what instructions add to an address of
 * themselves: that takes fewer registers.  stem: of the present run's first feature. */
typedef struct Columns { uint32_t n, each; bool whole; V *index, *sum, pairs, stem[WIDE / STEM], bytes; } Columns;

static uint32_t sums_in(const Columns *at) { return at->n / at->each; }

static void set_place(Tile *t, const TileFeature *f, V column, V d) {
  Emit *e = t->e;
  e->val[t->s->loop->index] = column;
  e->val[f->loop->index] = plus(e, e->val[f->loop->lo], d);
  e->range[f->loop->index] = (IndexRange){f->loop->lo, f->loop->hi};
}

static uint32_t index_of(const Instr *load, Val index) {
  uint32_t n = 0;
  while (load->arg[n] != index) n++;
  return n;
}

static V column_at(Tile *t, const Columns *at, uint32_t c, V further) {
  V gap = plus(t->e, times(t->e, at->bytes, c % STEM), further);
  return LLVMBuildGEP2(t->e->b, t->e->t.i8, at->stem[c / STEM], &gap, 1, "");
}

/* The lines of columns further on; apart from what reads these here, which would wait. */
static void fetch(Tile *t, const TileFeature *f, const Columns *at, V d) {
  for (uint32_t n = 0; n < f->col.n; n++) {
    const Instr *i = ir_at(t->e->k, f->col.at[n]);
    for (uint32_t c = 0; c < at->n; c++) {
      if (at->bytes) {
        array_fetch(t->e, column_at(t, at, c, times(t->e, at->bytes, FEATURES_AHEAD)));
        continue;
      }
      set_place(t, f, at->index[c], d);
      array_run_ahead(t->e, i, index_of(i, f->loop->index), index_of(i, t->s->loop->index), FEATURES_AHEAD, 0);
    }
  }
}

/* ---- two columns in a vector */

static V alternate(Tile *t, V x, V y) {
  V from[WIDE];
  for (unsigned k = 0; k < t->l.n; k++) from[k] = LLVMConstInt(t->l.e->t.i32, k & 1 ? t->l.n + k : k, false);
  return LLVMBuildShuffleVector(t->e->b, x, y, LLVMConstVector(from, t->l.n), "");
}

/* Where the pairs of a run's features are: in a vector's quarters of four lanes features stay together, of which the
 * first two go into one vector of pairs and the others into the next. */
static uint32_t place_in_pairs(uint32_t v, uint32_t run) {
  return v * 2 * RUN + (run % 4 / 2) * RUN + run / 4 * 4 + run % 2 * 2;
}

static V pair_in_buffer(Tile *t, const Columns *at, uint32_t v, uint32_t run) {
  Emit *e = t->e;
  V both = tile_get(e, e->t.f64, tile_address(e, e->t.f32, at->pairs, const_int(e, place_in_pairs(v, run))),
                    const_int(e, 0));
  Lanes half = lanes_of(e, t->l.n / 2);
  return LLVMBuildBitCast(e->b, lanes_splat(&half, both), t->l.f32, "");
}

/* The lines of two columns, from the run's first feature on, feature by feature. */
static void interleave(Tile *t, const Columns *at) {
  Emit *e = t->e;
  for (uint32_t v = 0; v < sums_in(at); v++) {
    V line[2], from[RUN];
    for (uint32_t n = 0; n < 2; n++)
      line[n] = tile_get(e, t->l.f32, column_at(t, at, 2 * v + n, const_int(e, 0)), const_int(e, 0));
    for (uint32_t part = 0; part < 2; part++) {
      for (uint32_t k = 0; k < RUN; k++)
        from[k] = LLVMConstInt(e->t.i32, (k & 1) * RUN + k / 4 * 4 + part * 2 + k % 4 / 2, false);
      V pairs = LLVMBuildShuffleVector(e->b, line[0], line[1], LLVMConstVector(from, RUN), "");
      tile_put(e, at->pairs, const_int(e, (v * 2 + part) * RUN), pairs);
    }
  }
  tile_hold_loads(t); /* else they come from the registers, one shuffle each */
}

/* ---- adding up */

/* (a - b)^2 = (b - a)^2: instructions that read memory take off what they read. */
static void turn_square(Tile *t, const TileFeature *f) {
  Emit *e = t->e;
  Val x = tile_feature_summed(f, f->loop->accs.at[0]);
  const Instr *square = ir_at(e->k, x);
  if (square->op != IR_MUL || square->arg[0] != square->arg[1] || t->operand[square->arg[0]].from) return;
  const Instr *gap = ir_at(e->k, square->arg[0]);
  if (gap->op != IR_SUB || t->rows->dep[gap->arg[1]] & DEP_COL) return;
  V a = tile_value(t, gap->arg[0], 0, 0), b = tile_value(t, gap->arg[1], 0, 0);
  tile_preset(t, square->arg[0], LLVMBuildFSub(e->b, b, a, ""));
}

static V element(Tile *t, const Instr *i, const TileFeature *f) {
  V x = array_run(t->e, i, index_of(i, f->loop->index), 1);
  return LLVMBuildExtractElement(t->e->b, x, LLVMConstInt(t->e->t.i32, 0, false), "");
}

static V element_of(Tile *t, const TileFeature *f, const Columns *at, uint32_t c, uint32_t operand, uint32_t run) {
  V own = at->bytes ? column_at(t, at, c, const_int(t->e, 0)) : NULL;
  if (own) return tile_get(t->e, t->e->t.f32, own, const_int(t->e, run));
  return element(t, ir_at(t->e->k, f->col.at[operand]), f);
}

/* Elements for all lanes of vector `v` of sums. */
static V elements(Tile *t, const TileFeature *f, const Columns *at, uint32_t v, uint32_t operand, V d, uint32_t run) {
  if (at->each == 2 && at->bytes) return pair_in_buffer(t, at, v, run);
  V x[2];
  for (uint32_t n = 0; n < at->each; n++) {
    set_place(t, f, at->index[v * at->each + n], d);
    x[n] = lanes_splat(&t->l, element_of(t, f, at, v * at->each + n, operand, run));
  }
  return at->each == 2 ? alternate(t, x[0], x[1]) : x[0];
}

/* Feature d of a run whose lines of rows, one for each operand, begin there; run: how far from its first. */
static void add_feature(Tile *t, const TileFeature *f, const Columns *at, V d, const V *lines, uint32_t run) {
  Emit *e = t->e;
  V rows[OPERANDS];
  for (uint32_t n = 0; n < f->row.n; n++)
    rows[n] = tile_get(e, t->l.f32, lines[n], const_int(e, (int64_t)run * LINES * at->each));
  for (uint32_t c = 0; c < sums_in(at); c++) {
    uint32_t mark = tile_mark(t);
    for (uint32_t n = 0; n < f->row.n; n++) tile_preset(t, f->row.at[n], rows[n]);
    for (uint32_t n = 0; n < f->col.n; n++) tile_preset(t, f->col.at[n], elements(t, f, at, c, n, d, run));
    turn_square(t, f);
    at->sum[c] = tile_feature_step(t, f, f->loop->accs.at[0], at->sum[c], 0, 0);
    tile_forget(t, mark);
  }
}

/* Features in runs of `run`, from run lo to hi. */
static void add_runs(Tile *t, uint32_t k, Columns *at, V lo, V hi, uint32_t run) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  V phi[WIDE], first[WIDE], stem[WIDE / STEM], lines[OPERANDS];
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, lo, hi);
  for (uint32_t n = 0; n < sums_in(at); n++) {
    first[n] = at->sum[n];
    at->sum[n] = phi[n] = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(phi[n], &first[n], &from, 1);
  }
  for (uint32_t n = 0; at->bytes && n < at->n / STEM; n++) {
    stem[n] = at->stem[n];
    at->stem[n] = LLVMBuildPhi(e->b, e->t.ptr, "");
    LLVMAddIncoming(at->stem[n], &stem[n], &from, 1);
  }
  V d = times(e, c.index, run);
  if (run > 1 && at->each == 1) fetch(t, f, at, d); /* where it was tried with pairs they took a tenth more time */
  if (run > 1 && at->each == 2) interleave(t, at);
  V line = at->each == 2 ? twice_at(t, k, d) : times(e, d, LINES);
  for (uint32_t n = 0; n < f->row.n; n++)
    lines[n] = tile_address(e, e->t.f32, t->operand[f->row.at[n]].scratch, line);
  for (uint32_t n = 0; n < run; n++) add_feature(t, f, at, plus(e, d, const_int(e, n)), lines, n);
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  for (uint32_t n = 0; n < sums_in(at); n++) LLVMAddIncoming(phi[n], &at->sum[n], &body, 1);
  for (uint32_t n = 0; at->bytes && n < at->n / STEM; n++) {
    V next = tile_address(e, e->t.f32, at->stem[n], const_int(e, run));
    LLVMAddIncoming(at->stem[n], &next, &body, 1);
  }
  count_leave(e, &c);
  for (uint32_t n = 0; n < sums_in(at); n++) {
    V out = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(out, (V[]){first[n], at->sum[n]}, (LLVMBasicBlockRef[]){from, body}, 2);
    at->sum[n] = out;
  }
}

/* Finds the columns' elements by the distance of two, where they are floats in one array. */
static void set_stems(Tile *t, const TileFeature *f, Columns *at) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, f->col.at[0]);
  at->bytes = NULL;
  if (!at->whole) return;
  for (uint32_t n = 0; n < at->n / STEM; n++) {
    set_place(t, f, at->index[n * STEM], const_int(e, 0));
    at->stem[n] = array_run_at(e, i, index_of(i, f->loop->index), index_of(i, t->s->loop->index), &at->bytes);
  }
}

/* sum: of LINES vectors.  Pairs of columns are numbers of twice the size. */
static void keep_rows(Tile *t, const TileFeature *f, V *sum) {
  Emit *e = t->e;
  Lanes lines = lanes_of(e, LINES);
  bool pairs = t->l.n > LINES;
  for (uint32_t n = 0; pairs && n < LINES; n++)
    sum[n] = LLVMBuildBitCast(e->b, sum[n], LLVMVectorType(e->t.f64, LINES), "");
  tile_transpose(&lines, sum);
  for (uint32_t n = 0; pairs && n < LINES; n++) sum[n] = LLVMBuildBitCast(e->b, sum[n], t->l.f32, "");
  for (uint32_t r = 0; r < LINES; r++) {
    t->strip = const_int(t->e, r / t->nrow), t->pair_row = times(t->e, t->strip, t->nrow);
    tile_keep_result(t, f->loop->accs.at[0]->result, r % t->nrow, 0, sum[r]);
  }
}

static void sums_of(Tile *t, uint32_t k, Columns *at) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  V runs = LLVMBuildUDiv(e->b, t->extent[k], const_int(e, RUN), ""), first = t->here_column;
  for (uint32_t n = 0; n < sums_in(at); n++) at->sum[n] = tile_identity(t, f->loop->accs.at[0]);
  set_stems(t, f, at);
  if (at->each == 2) at->pairs = pairs_at(t, k);
  add_runs(t, k, at, const_int(e, 0), runs, RUN);
  at->bytes = NULL;
  add_runs(t, k, at, times(e, runs, RUN), t->extent[k], 1);
  for (uint32_t n = 0; n < sums_in(at); n += LINES) {
    t->here_column = plus(e, first, const_int(e, n));
    keep_rows(t, f, at->sum + n);
  }
  t->here_column = first;
}

static void columns_from(Tile *t, V first, uint32_t n, bool whole) {
  Emit *e = t->e;
  V index[WIDE], sum[WIDE], last = minus(e, t->cols_in_block, const_int(e, 1));
  Columns at = {.n = n, .each = t->l.n / LINES, .whole = whole, .index = index, .sum = sum};
  for (uint32_t r = 0; r < n; r++) {
    V own = plus(e, first, const_int(e, r));
    index[r] = plus(e, t->first_col, whole ? own : least(e, own, last));
  }
  t->here_column = first;
  for (uint32_t k = 0; k < t->s->features.n; k++) sums_of(t, k, &at);
  t->here_column = NULL;
}

/* Columns behind the last one repeat it, up to a whole vector of the sweep. */
void tile_narrow_features(Tile *t) {
  Emit *e = t->e;
  Lanes single = t->l;
  bool stems = takes_stems(t);
  uint32_t group = group_of(t);
  V whole = stems ? LLVMBuildUDiv(e->b, t->cols_in_block, const_int(e, group), "") : const_int(e, 0);
  V all = times(e, ceil_div(e, t->cols_in_block, single.n), single.n / LINES);
  e->range[t->s->loop->index] = (IndexRange){t->s->loop->lo, t->s->loop->hi};
  t->l = lanes_of(e, takes_pairs(t) ? WIDE : LINES);
  if (stems) {
    Count w = count_enter(e, const_int(e, 0), whole);
    columns_from(t, times(e, w.index, group), group, true);
    count_leave(e, &w);
  }
  t->l = lanes_of(e, LINES);
  Count c = count_enter(e, times(e, whole, group / LINES), all);
  columns_from(t, times(e, c.index, LINES), LINES, false);
  count_leave(e, &c);
  t->l = single;
}
