/* tile_half: operands of bf16 inputs, packed as the bits they are, for the instruction that multiplies pairs
 * (lanes_half.c).
 *
 * Of feature loops: lines of features, two a word, an odd one followed by 0; they lie like lines of f32 of half the
 * length, and lines of columns are transposed in the same way.  Of panels: lines of columns are laid side by side two
 * and two, so that a word holds neighbouring columns of one component of the axis.
 *
 * The instruction takes denormals for 0.  Where an operand holds one, or a panel a number so small (2^-100) that its
 * products with weights may become one, rows that see the column are left to the scalar code; in an operand of a row,
 * its block. */
#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

enum { SIZE = 0x7fff, INFINITE = 0x7f80, LEAST_NORMAL = 0x80, LEAST_OF_PANELS = 27 << 7 }; /* 2^-100 */

/* A number of 16 bits as x is: a scalar, or a vector. */
static V like(Tile *t, V x, unsigned bits) {
  V one = LLVMConstInt(t->e->t.i16, bits, false);
  return LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind ? lanes_splat(&t->l, one) : one;
}

static V size_of(Tile *t, V bits) { return LLVMBuildAnd(t->e->b, bits, like(t, bits, SIZE), ""); }

/* Whether a number is neither 0 nor at least `least`. */
static V is_small(Tile *t, V bits, unsigned least) {
  V less = LLVMBuildSub(t->e->b, size_of(t, bits), like(t, bits, 1), "");
  return LLVMBuildICmp(t->e->b, LLVMIntULT, less, like(t, bits, least - 1), "");
}

static V is_no_number(Tile *t, V bits) {
  return LLVMBuildICmp(t->e->b, LLVMIntUGE, size_of(t, bits), like(t, bits, INFINITE), "");
}

/* A line being written, word by word of 16 bits.  bad: cell, i1: an element that the instruction gets wrong. */
typedef struct Half { Val v, index, lo, hi; V to, bad; bool panel; } Half;

static void put(Tile *t, const Half *h, V d, V bits) {
  Emit *e = t->e;
  V bad = is_small(t, bits, h->panel ? LEAST_OF_PANELS : LEAST_NORMAL);
  if (h->panel) {
    V none = is_no_number(t, bits);
    bits = LLVMBuildSelect(e->b, none, like(t, bits, 0), bits, "");
    bad = LLVMBuildOr(e->b, bad, none, "");
  }
  if (LLVMGetTypeKind(LLVMTypeOf(bits)) == LLVMVectorTypeKind) bad = tile_line_any(t, bad);
  LLVMBuildStore(e->b, LLVMBuildOr(e->b, LLVMBuildLoad2(e->b, e->t.i1, h->bad, ""), bad, ""), h->bad);
  LLVMSetAlignment(LLVMBuildStore(e->b, bits, tile_address(e, e->t.i16, h->to, d)), 2);
}

static void set_index(Emit *e, const Half *h, V d) {
  e->val[h->index] = plus(e, e->val[h->lo], d);
  e->range[h->index] = (IndexRange){h->lo, h->hi};
}

/* In vectors as far as the elements lie side by side, then one by one.  Returns i1: something is bad. */
static V write_line(Tile *t, Half *h, const Region *body, const bool *pick, V extent) {
  Emit *e = t->e;
  ValVec values = {.at = &h->v, .n = 1};
  h->bad = cell_new(e, e->t.i1, "bad");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), h->bad);
  V full = tile_line_full(t, &values, h->index, e->val[h->lo], extent);
  if (tile_line_may(full)) {
    Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, full, const_int(e, t->l.n), ""));
    V d = times(e, c.index, t->l.n);
    set_index(e, h, d);
    put(t, h, d, tile_line_bits(t, h->v, h->index));
    count_leave(e, &c);
  }
  Count c = count_enter(e, full, extent);
  set_index(e, h, c.index);
  emit_code(e, body, pick, true);
  put(t, h, c.index, array_load_bits(e, ir_at(e->k, h->v)));
  count_leave(e, &c);
  return LLVMBuildLoad2(e->b, e->t.i1, h->bad, "");
}

static V extent_of(Emit *e, Val lo, Val hi) {
  return op_extreme(e, IR_INT, true, LLVMBuildSub(e->b, e->val[hi], e->val[lo], ""), const_int(e, 0));
}

void tile_half_line(Tile *t, uint32_t k, const bool *pick, V at, V slot, bool columns) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  const TileOperand *o = &t->operand[columns ? f->dot_col : f->dot_row];
  V words = LLVMBuildMul(e->b, columns ? slot : at, t->padded[k], ""), extent = extent_of(e, l->lo, l->hi);
  Half h = {.v = columns ? f->dot_col : f->dot_row, .index = l->index, .lo = l->lo, .hi = l->hi};
  h.to = tile_address(e, e->t.i32, columns ? o->scratch : o->at, words);
  V bad = write_line(t, &h, l->body, pick, extent);
  LLVMBasicBlockRef even = block_when(e, LLVMBuildTrunc(e->b, extent, e->t.i1, ""), "odd");
  LLVMSetAlignment(LLVMBuildStore(e->b, LLVMConstNull(e->t.i16), tile_address(e, e->t.i16, h.to, extent)), 2);
  block_go(e, even);
  if (columns) tile_mark_bad(t, at, bad);
  else tile_odd(t, bad);
}

void tile_half_axis(Tile *t, uint32_t k, const bool *pick, V at, V slot) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Axis *axis = &a->acc->axes[0];
  Half h = {.v = a->panel, .index = a->acc->body.index[0], .lo = axis->lo, .hi = axis->hi, .panel = true};
  h.to = tile_address(e, e->t.i16, t->acc[k].scratch, LLVMBuildMul(e->b, slot, t->acc[k].padded, ""));
  tile_mark_bad(t, at, write_line(t, &h, a->acc->body.at, pick, t->acc[k].extent));
}

static V of_line(Tile *t, uint32_t k, V line, V d) {
  Emit *e = t->e;
  V at = plus(e, LLVMBuildMul(e->b, line, t->acc[k].padded, ""), d);
  return tile_get(e, LLVMVectorType(e->t.i16, t->l.n), t->acc[k].scratch, at);
}

/* Columns group * lanes .. */
void tile_half_interleave(Tile *t, uint32_t k, V group) {
  Emit *e = t->e;
  uint32_t lanes = t->l.n;
  V vectors = LLVMBuildUDiv(e->b, plus(e, t->acc[k].extent, const_int(e, lanes - 1)), const_int(e, lanes), "");
  Count p = count_enter(e, const_int(e, 0), const_int(e, lanes / 2)), c = count_enter(e, const_int(e, 0), vectors);
  V d = times(e, c.index, lanes), width = const_int(e, t->panel_width), line = times(e, p.index, 2);
  V words = tile_half_pairs(t, of_line(t, k, line, d), of_line(t, k, plus(e, line, const_int(e, 1)), d));
  V pair = plus(e, times(e, group, lanes / 2), p.index);
  V at = plus(e, times(e, LLVMBuildUDiv(e->b, d, width, ""), t->s->shape.col_block / 2), pair);
  at = plus(e, times(e, at, t->panel_width), LLVMBuildURem(e->b, d, width, ""));
  tile_put(e, t->acc[k].panel, at, words);
  count_leave(e, &c);
  count_leave(e, &p);
}

/* ---- masses ------------------------------------------------------------------------------------- */

bool tile_half_is_mass(const TileStream *s, uint32_t w) {
  bool any = false;
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->weight != w || a->use == USE_REDUCE || a->acc->kind == ACC_SUM) continue;
    if (!a->rounds) return false;
    any = true;
  }
  return any;
}

bool tile_half_has_mass(const TileStream *s, uint32_t k) {
  return s->accs.at[k].rounds && !tile_half_is_mass(s, s->accs.at[k].weight);
}

static V sum_two(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }

/* Words that hold weights of the strip; what lies around them is of others. */
static V is_live(Tile *t, V first) {
  Emit *e = t->e;
  V start = lanes_splat(&t->l, LLVMBuildTrunc(e->b, first, e->t.i32, ""));
  V at = LLVMBuildAdd(e->b, start, lanes_iota(&t->l, e->t.i32), "");
  V lo = LLVMBuildTrunc(e->b, times(e, t->vec_lo, t->l.n / 2), e->t.i32, "");
  V hi = LLVMBuildTrunc(e->b, times(e, t->vec_hi, t->l.n / 2), e->t.i32, "");
  V after = LLVMBuildICmp(e->b, LLVMIntSGE, at, lanes_splat(&t->l, lo), "");
  return LLVMBuildAnd(e->b, after, LLVMBuildICmp(e->b, LLVMIntSLT, at, lanes_splat(&t->l, hi), ""), "");
}

/* The instruction that multiplies adds the weights as well: times 1. */
static void sum_weights(Tile *t, uint32_t w, V *sum) {
  Emit *e = t->e;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  V zero = lanes_float(&t->l, 0), ones = lanes_bits(&t->l, 0x3f803f80), phi[TILE_ROWS];
  V one = const_int(e, 1), two = const_int(e, 2);
  V begin = LLVMBuildUDiv(e->b, t->vec_lo, two, ""), end = LLVMBuildUDiv(e->b, plus(e, t->vec_hi, one), two, "");
  Count c = count_enter(e, begin, end);
  for (uint32_t r = 0; r < t->nrow; r++) {
    phi[r] = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(phi[r], &zero, &from, 1);
  }
  V first = times(e, c.index, t->l.n), live = is_live(t, first);
  for (uint32_t r = 0; r < t->nrow; r++) {
    V row = plus(e, t->pair_row ? t->pair_row : const_int(e, 0), const_int(e, r));
    V x = tile_get(e, t->l.i32, t->weight[w].half, plus(e, first, times(e, row, t->s->shape.pair_line / 2)));
    sum[r] = lanes_dot_bf16(&t->l, phi[r], LLVMBuildSelect(e->b, live, x, LLVMConstNull(t->l.i32), ""), ones);
    LLVMAddIncoming(phi[r], &sum[r], &c.body, 1);
  }
  count_leave(e, &c);
  for (uint32_t r = 0; r < t->nrow; r++) {
    V out = LLVMBuildPhi(e->b, t->l.f32, "");
    LLVMAddIncoming(out, (V[]){zero, sum[r]}, (LLVMBasicBlockRef[]){from, c.body}, 2);
    sum[r] = out;
  }
}

static void add_to_states(Tile *t, V state, V sums) {
  V at = times(t->e, t->strip, t->nrow);
  tile_put(t->e, state, at, LLVMBuildFAdd(t->e->b, tile_get(t->e, LLVMTypeOf(sums), state, at), sums, ""));
}

void tile_half_masses(Tile *t) {
  Emit *e = t->e;
  V row[TILE_ROWS];
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    if (!t->weight[w].half) continue;
    sum_weights(t, w, row);
    V sums = LLVMBuildFPExt(e->b, lanes_fold_all(&t->l, row, t->nrow, sum_two), LLVMVectorType(e->t.f64, t->nrow), "");
    if (tile_half_is_mass(t->s, w)) add_to_states(t, t->weight[w].mass, sums);
    for (uint32_t k = 0; k < t->s->accs.n; k++)
      if (t->s->accs.at[k].weight == w && tile_half_has_mass(t->s, k)) add_to_states(t, t->acc[k].state, sums);
  }
}

bool tile_half_is_any(const Tile *t) {
  for (uint32_t n = 0; n < t->s->features.n; n++)
    if (t->s->features.at[n].is_dot) return true;
  return false;
}

/* ---- in place ----------------------------------------------------------------------------------- */

static V all_words(Tile *t, unsigned bits) {
  Lanes wide = lanes_of(t->e, 2 * t->l.n);
  return lanes_splat(&wide, LLVMConstInt(t->e->t.i16, bits, false));
}

V tile_half_smaller(Tile *t, V so_far, V bits) {
  Emit *e = t->e;
  V size = LLVMBuildSub(e->b, LLVMBuildAnd(e->b, bits, all_words(t, SIZE), ""), all_words(t, 1), "");
  return so_far ? LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntULT, size, so_far, ""), size, so_far, "") : size;
}

V tile_half_is_small(Tile *t, V smallest, bool panel) {
  Emit *e = t->e;
  V small = LLVMBuildICmp(e->b, LLVMIntULT, smallest, all_words(t, (panel ? LEAST_OF_PANELS : LEAST_NORMAL) - 1), "");
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, 2 * t->l.n);
  return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, small, bits, ""), LLVMConstNull(bits), "");
}

V tile_half_pairs(Tile *t, V even, V odd) {
  V high = LLVMBuildShl(t->e->b, LLVMBuildZExt(t->e->b, odd, t->l.i32, ""), lanes_bits(&t->l, 16), "");
  return LLVMBuildOr(t->e->b, high, LLVMBuildZExt(t->e->b, even, t->l.i32, ""), "");
}

/* ---- factors ------------------------------------------------------------------------------------ */

static bool has_factor(const TileFeature *f) { return f->by.n || f->is_negative; }

/* In f64, rounded once. */
static V factor_of(Tile *t, const TileFeature *f) {
  V x = tile_product(t->e, &f->by);
  if (f->is_negative) x = LLVMBuildFNeg(t->e->b, x, "");
  return op_convert(t->e, x, IR_WIDE, IR_REAL);
}

V tile_half_scaled(Tile *t, uint32_t k, V sum) {
  const TileFeature *f = &t->s->features.at[k];
  return has_factor(f) ? LLVMBuildFMul(t->e->b, sum, lanes_splat(&t->l, factor_of(t, f)), "") : sum;
}

/* A small one is no reason for large sums to overflow, nor a large one for what is lost with denormals to count. */
void tile_half_check(Tile *t) {
  Emit *e = t->e;
  for (uint32_t n = 0; n < t->s->features.n; n++) {
    const TileFeature *f = &t->s->features.at[n];
    if (!has_factor(f)) continue;
    V x = factor_of(t, f), less = LLVMBuildFNeg(e->b, x, "");
    V negative = LLVMBuildFCmp(e->b, LLVMRealOLT, x, LLVMConstReal(e->t.f32, 0), "");
    V size = LLVMBuildSelect(e->b, negative, less, x, "");
    V low = LLVMBuildFCmp(e->b, LLVMRealOGE, size, LLVMConstReal(e->t.f32, 0x1p-20), "");
    V high = LLVMBuildFCmp(e->b, LLVMRealOLE, size, LLVMConstReal(e->t.f32, 0x1p64), "");
    tile_odd(t, LLVMBuildNot(e->b, LLVMBuildAnd(e->b, low, high, ""), ""));
  }
}
