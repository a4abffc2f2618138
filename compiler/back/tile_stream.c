/* tile_stream: one strip of rows against one block of columns: score, weigh, contract.  See tile.h.
 *
 * With m the maximum of a row so far and m' after this block, the row's mass, expectations and vectors are brought
 * to the scale e^(m - m') where the maximum grew, which soon is rare.  A log weight that is NaN, or +inf, makes the mass
 * NaN, which every result is made from; -inf gives the weight 0. */
#include <math.h>

#include "back/tile.h"
#include "base/ice.h"

typedef LLVMValueRef V;

static V plus(Emit *e, V x, V y) { return LLVMBuildAdd(e->b, x, y, ""); }
static V times(Emit *e, V x, uint64_t n) { return LLVMBuildMul(e->b, x, const_int(e, (int64_t)n), ""); }
static V choose(Emit *e, V c, V x, V y) { return LLVMBuildSelect(e->b, c, x, y, ""); }
static V compare(Emit *e, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(e->b, p, x, y, ""); }

/* Where (row, first column of vector vec of the present tile) lies in a buffer of pairs. */
static V pair_place(Tile *t, uint32_t row, uint32_t vec) {
  V at = plus(t->e, times(t->e, t->column, t->width), const_int(t->e, vec * t->l.n));
  return plus(t->e, at, const_int(t->e, (int64_t)row * t->s->shape.col_block));
}

/* ---- one x a pair ------------------------------------------------------------------------------- */

static V none_of(const Tile *t, const Acc *a) {
  if (a->type == IR_BOOL) return lanes_splat(&t->l, LLVMConstInt(t->e->t.i1, a->kind == ACC_ALL, false));
  if (a->type == IR_INT) {
    int64_t v = a->kind == ACC_PROD ? 1 : a->kind == ACC_MAX ? INT64_MIN : a->kind == ACC_MIN ? INT64_MAX : 0;
    return lanes_splat(&t->l, const_int(t->e, v));
  }
  return lanes_float(&t->l, a->kind == ACC_MAX ? -INFINITY : a->kind == ACC_MIN ? INFINITY : 0);
}

V tile_combine(Emit *e, const Acc *a, V x, V y) {
  bool is_int = a->type == IR_INT;
  switch (a->kind) {
    case ACC_SUM: return is_int ? LLVMBuildAdd(e->b, x, y, "") : LLVMBuildFAdd(e->b, x, y, "");
    case ACC_PROD: return LLVMBuildMul(e->b, x, y, "");
    case ACC_MAX:
    case ACC_MIN:
      if (!is_int) return op_extreme(e, IR_WIDE, a->kind == ACC_MAX, x, y);
      return choose(e, LLVMBuildICmp(e->b, a->kind == ACC_MAX ? LLVMIntSGT : LLVMIntSLT, x, y, ""), x, y);
    case ACC_ANY: return LLVMBuildOr(e->b, x, y, "");
    case ACC_ALL: return LLVMBuildAnd(e->b, x, y, "");
    default: ICE("accumulator '%s' of pairs", ir_acc_name(a->kind));
  }
}

static V pack_bool(Tile *t, const Acc *a, V x) { return a->type == IR_BOOL ? LLVMBuildZExt(t->e->b, x, t->l.i32, "") : x; }
static V unpack_bool(Tile *t, const Acc *a, V x) {
  return a->type == IR_BOOL ? LLVMBuildICmp(t->e->b, LLVMIntNE, x, LLVMConstNull(t->l.i32), "") : x;
}
static LLVMTypeRef partial_type(const Tile *t, const Acc *a) { return a->type == IR_BOOL ? t->l.i32 : lanes_type(&t->l, a->type); }

/* The partial results of a row are one vector. */
static void reduce_begin(Tile *t, uint32_t k) {
  const Acc *a = t->s->accs.at[k].acc;
  for (uint32_t r = 0; r < t->nrow; r++)
    tile_put(t->e, t->acc[k].x, const_int(t->e, r * t->l.n), pack_bool(t, a, none_of(t, a)));
}

static void reduce_add(Tile *t, uint32_t k, uint32_t row, V x, V alive) {
  const Acc *a = t->s->accs.at[k].acc;
  V at = const_int(t->e, row * t->l.n), old = unpack_bool(t, a, tile_get(t->e, partial_type(t, a), t->acc[k].x, at));
  if (alive) x = choose(t->e, alive, x, none_of(t, a));
  tile_put(t->e, t->acc[k].x, at, pack_bool(t, a, tile_combine(t->e, a, old, x)));
}

LLVMTypeRef tile_state_type(const Emit *e, const Acc *a) {
  if (a->type == IR_BOOL) return e->t.i32;
  return a->type == IR_INT ? e->t.i64 : e->t.f64;
}

static void reduce_end(Tile *t, uint32_t k) {
  Emit *e = t->e;
  const Acc *a = t->s->accs.at[k].acc;
  for (uint32_t r = 0; r < t->nrow; r++) {
    V x = tile_get(e, partial_type(t, a), t->acc[k].x, const_int(e, r * t->l.n)), at = plus(e, times(e, t->strip, t->nrow), const_int(e, r));
    V old = tile_get(e, tile_state_type(e, a), t->acc[k].state, at), sum = NULL;
    for (unsigned n = 0; n < t->l.n; n++) {
      V one = LLVMBuildExtractElement(e->b, x, LLVMConstInt(e->t.i32, n, false), "");
      sum = sum ? tile_combine(e, a, sum, one) : one;
    }
    if (a->type != IR_BOOL && a->type != IR_INT) sum = LLVMBuildFPExt(e->b, sum, e->t.f64, "");
    tile_put(e, t->acc[k].state, at, tile_combine(e, a, old, sum));
  }
}

/* ---- score -------------------------------------------------------------------------------------- */

static V x_of(Tile *t, const TileAcc *a, uint32_t row, uint32_t vec) {
  Val x = a->use == USE_CONTRACT ? a->factor : a->acc->body.x;
  IrType from = ir_at(t->e->k, x)->type, to = a->acc->type;
  V v = tile_value(t, x, row, vec);
  if (to == IR_WIDE && from == IR_INT) return LLVMBuildSIToFP(t->e->b, v, t->l.f32, "");
  if (to == IR_WIDE && from == IR_BOOL) return LLVMBuildUIToFP(t->e->b, v, t->l.f32, "");
  return v;
}

static void score_acc(Tile *t, uint32_t k, uint32_t row, uint32_t vec, V alive) {
  const TileAcc *a = &t->s->accs.at[k];
  if (a->use == USE_REDUCE) {
    reduce_add(t, k, row, x_of(t, a, row, vec), alive);
    return;
  }
  if (!t->acc[k].x || (a->use == USE_CONTRACT && !a->factor && a->acc->kind != ACC_SUM)) return;
  V x = a->use == USE_CONTRACT && !a->factor ? lanes_float(&t->l, 1) : x_of(t, a, row, vec);
  if (alive) x = choose(t->e, alive, x, LLVMConstNull(LLVMTypeOf(x)));
  tile_put(t->e, t->acc[k].x, pair_place(t, row, vec), x);
}

/* Lanes inside the block of columns, and inside the mask. */
static V alive_at(Tile *t, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  V first = plus(e, times(e, t->column, t->width), const_int(e, vec * t->l.n));
  V left = LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, t->cols_in_block, first, ""), e->t.i32, "");
  V inside = LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, left), "");
  return t->s->loop->mask ? LLVMBuildAnd(e->b, inside, tile_value(t, t->s->loop->mask, row, vec), "") : inside;
}

static void check_tile(Tile *t, const Instr *i, uint32_t row, uint32_t vec) {
  Emit *e = t->e;
  V x = tile_value(t, i->arg[1], row, vec), zero = LLVMConstNull(t->l.i64), fails;
  if (i->op == IR_CHECK_NONZERO) fails = LLVMBuildICmp(e->b, LLVMIntEQ, x, zero, "");
  else {
    V low = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero, "");
    fails = LLVMBuildOr(e->b, low, LLVMBuildICmp(e->b, LLVMIntSGE, x, tile_value(t, i->arg[2], row, vec), ""), "");
  }
  if (i->arg[0]) fails = LLVMBuildAnd(e->b, fails, tile_value(t, i->arg[0], row, vec), "");
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, t->l.n);
  tile_odd(t, LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, fails, bits, ""), LLVMConstNull(bits), ""));
}

static void score_point(Tile *t, uint32_t row, uint32_t vec, bool partial) {
  Emit *e = t->e;
  V alive = partial ? alive_at(t, row, vec) : NULL;
  for (uint32_t n = 0; n < t->s->weights.n; n++) {
    V s = LLVMBuildFMul(e->b, tile_value(t, t->s->weights.at[n].body, row, vec), lanes_float(&t->l, TILE_LOG2_E), "");
    if (alive) s = choose(e, alive, s, lanes_float(&t->l, -INFINITY));
    tile_put(e, t->weight[n].score, pair_place(t, row, vec), s);
  }
  for (uint32_t n = 0; n < t->s->accs.n; n++) score_acc(t, n, row, vec, alive);
  for (uint32_t n = 0; n < t->s->checks.n; n++) check_tile(t, ir_at(e->k, t->s->checks.at[n]), row, vec);
}

static void score_tile(Tile *t, bool partial) {
  uint32_t mark = tile_mark(t);
  tile_features(t);
  for (uint32_t row = 0; row < t->nrow; row++)
    for (uint32_t vec = 0; vec < t->nvec; vec++) score_point(t, row, vec, partial);
  tile_forget(t, mark);
}

/* Whether every pair of the tile is there; `full`: of the strip. */
static V tile_is_full(Tile *t, V full) {
  Emit *e = t->e;
  V end = times(e, plus(e, t->column, const_int(e, 1)), t->width);
  V inside = LLVMBuildICmp(e->b, LLVMIntSLE, end, t->cols_in_block, "");
  return LLVMBuildOr(e->b, full, LLVMBuildAnd(e->b, inside, tile_mask_tile(t, t->column).must, ""), "");
}

static void score(Tile *t, V full) {
  Emit *e = t->e;
  Count c = count_enter(e, t->tile_lo, t->tile_hi);
  t->column = c.index;
  LLVMBasicBlockRef done = block_new(e, "scored"), partial = block_when(e, tile_is_full(t, full), "full");
  score_tile(t, false);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, partial);
  score_tile(t, true);
  block_go(e, done);
  count_leave(e, &c);
}

/* ---- weigh -------------------------------------------------------------------------------------- */

typedef struct RowAt { V row, base; } RowAt; /* of the block; where its pairs begin in the buffers */

static V bigger(Emit *e, V x, V y) { return choose(e, compare(e, LLVMRealOGT, y, x), y, x); }
static V sum_two(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static V smaller_int(Emit *e, V x, V y) { return choose(e, LLVMBuildICmp(e->b, LLVMIntSLT, y, x, ""), y, x); }

/* A loop over the vectors of a row; `state` goes around it. */
typedef struct Sweep { Count count; LLVMBasicBlockRef from; uint32_t n; V state[16], at; } Sweep;

static Sweep sweep_enter(Tile *t, const RowAt *r, uint32_t n, const V *first) {
  Emit *e = t->e;
  Sweep s = {.n = n, .from = LLVMGetInsertBlock(e->b)};
  ICE_UNLESS(n <= 16);
  s.count = count_enter(e, times(e, t->tile_lo, t->nvec), times(e, t->tile_hi, t->nvec));
  for (uint32_t k = 0; k < n; k++) {
    s.state[k] = LLVMBuildPhi(e->b, LLVMTypeOf(first[k]), "");
    LLVMAddIncoming(s.state[k], (V *)&first[k], &s.from, 1);
  }
  s.at = plus(e, r->base, times(e, s.count.index, t->l.n));
  return s;
}

/* last: the states after an iteration; at the end, after all (there is at least one). */
static void sweep_leave(Tile *t, Sweep *s, V *last) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(t->e->b);
  for (uint32_t k = 0; k < s->n; k++) LLVMAddIncoming(s->state[k], &last[k], &from, 1);
  count_leave(t->e, &s->count);
  for (uint32_t k = 0; k < s->n; k++) {
    V out = LLVMBuildPhi(t->e->b, LLVMTypeOf(last[k]), "");
    LLVMAddIncoming(out, (V[]){LLVMGetPoison(LLVMTypeOf(last[k])), last[k]}, (LLVMBasicBlockRef[]){s->from, from}, 2);
    last[k] = out;
  }
}

static V largest(Tile *t, uint32_t w, const RowAt *r) {
  V first = lanes_float(&t->l, -INFINITY), last;
  Sweep s = sweep_enter(t, r, 1, &first);
  last = bigger(t->e, s.state[0], tile_get(t->e, t->l.f32, t->weight[w].score, s.at));
  sweep_leave(t, &s, &last);
  return lanes_fold(&t->l, last, bigger);
}

static bool is_weighted_by(const TileAcc *a, uint32_t w) {
  return a->weight == w && (a->use == USE_WEIGHTED || (a->use == USE_CONTRACT && a->acc->kind == ACC_EXPECT));
}

static void rescale_sum(Tile *t, uint32_t k, const RowAt *r, V scale) {
  Emit *e = t->e;
  V narrow = LLVMBuildFPTrunc(e->b, scale, e->t.f32, ""), factor = lanes_splat(&t->l, narrow);
  V from = LLVMBuildMul(e->b, r->row, t->acc[k].padded, "");
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, t->acc[k].padded, const_int(e, t->l.n), ""));
  V at = plus(e, from, times(e, c.index, t->l.n));
  tile_put(e, t->acc[k].sum, at, LLVMBuildFMul(e->b, tile_get(e, t->l.f32, t->acc[k].sum, at), factor, ""));
  count_leave(e, &c);
}

static void rescale_acc(Tile *t, uint32_t k, const RowAt *r, V scale, V shift, V mass) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  if (a->use == USE_CONTRACT) {
    rescale_sum(t, k, r, scale);
    return;
  }
  if (a->acc->kind == ACC_ARGMAX) tile_put(e, t->acc[k].state, r->row, const_int(e, INT64_MAX));
  if (a->acc->kind != ACC_EXPECT && a->acc->kind != ACC_ENTROPY) return;
  V old = tile_get(e, e->t.f64, t->acc[k].state, r->row);
  if (a->acc->kind == ACC_ENTROPY) old = LLVMBuildFAdd(e->b, old, LLVMBuildFMul(e->b, mass, shift, ""), "");
  tile_put(e, t->acc[k].state, r->row, LLVMBuildFMul(e->b, old, scale, ""));
}

static void grow(Tile *t, uint32_t w, const RowAt *r, V old, V top) {
  Emit *e = t->e;
  V mass = tile_get(e, e->t.f64, t->weight[w].mass, r->row);
  V first = compare(e, LLVMRealOEQ, old, LLVMConstReal(e->t.f32, -INFINITY));
  V gap = LLVMBuildFSub(e->b, op_convert(e, old, IR_REAL, IR_WIDE), op_convert(e, top, IR_REAL, IR_WIDE), "");
  V shift = choose(e, first, const_float(e, IR_WIDE, 0), gap);
  V scale = choose(e, first, const_float(e, IR_WIDE, 0), op_math(e, "exp2", IR_WIDE, gap));
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (is_weighted_by(&t->s->accs.at[k], w)) rescale_acc(t, k, r, scale, shift, mass);
  tile_put(e, t->weight[w].mass, r->row, LLVMBuildFMul(e->b, mass, scale, ""));
  tile_put(e, t->weight[w].max, r->row, top);
}

static void update_max(Tile *t, uint32_t w, const RowAt *r, V top) {
  Emit *e = t->e;
  V old = tile_get(e, e->t.f32, t->weight[w].max, r->row);
  LLVMBasicBlockRef done = block_when(e, compare(e, LLVMRealOGT, top, old), "grow");
  grow(t, w, r, old, top);
  block_go(e, done);
}

/* At the columns of the largest log weight, the smallest x. */
static void argmax(Tile *t, uint32_t k, uint32_t w, const RowAt *r, V max) {
  Emit *e = t->e;
  V first = lanes_splat(&t->l, const_int(e, INT64_MAX)), last, top = lanes_splat(&t->l, max);
  Sweep s = sweep_enter(t, r, 1, &first);
  V at_top = compare(e, LLVMRealOEQ, tile_get(e, t->l.f32, t->weight[w].score, s.at), top);
  last = smaller_int(e, s.state[0], choose(e, at_top, tile_get(e, t->l.i64, t->acc[k].x, s.at), first));
  sweep_leave(t, &s, &last);
  V best = lanes_fold(&t->l, last, smaller_int), old = tile_get(e, e->t.i64, t->acc[k].state, r->row);
  tile_put(e, t->acc[k].state, r->row, smaller_int(e, old, best));
}

static void argmax_all(Tile *t, uint32_t w, const RowAt *r, V top, V max) {
  Emit *e = t->e;
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    const TileAcc *a = &t->s->accs.at[k];
    if (!is_weighted_by(a, w) || a->acc->kind != ACC_ARGMAX) continue;
    V reached = LLVMBuildAnd(e->b, compare(e, LLVMRealOEQ, top, max), compare(e, LLVMRealOGT, top, LLVMConstReal(e->t.f32, -INFINITY)), "");
    LLVMBasicBlockRef done = block_when(e, reached, "argmax");
    argmax(t, k, w, r, max);
    block_go(e, done);
  }
}

/* What one vector of weights adds to a scalar expectation or entropy. */
static V weighted_term(Tile *t, uint32_t k, V score, V distance, V part, V at) {
  Emit *e = t->e;
  V zero = lanes_float(&t->l, 0), there;
  if (t->s->accs.at[k].acc->kind == ACC_ENTROPY) {
    there = compare(e, LLVMRealUNE, part, zero);
    return choose(e, there, LLVMBuildFMul(e->b, part, distance, ""), zero);
  }
  there = compare(e, LLVMRealUGT, score, lanes_float(&t->l, -INFINITY));
  return choose(e, there, LLVMBuildFMul(e->b, part, tile_get(e, t->l.f32, t->acc[k].x, at), ""), zero);
}

static bool has_terms(const TileAcc *a, uint32_t w) {
  return a->use == USE_WEIGHTED && a->weight == w && (a->acc->kind == ACC_EXPECT || a->acc->kind == ACC_ENTROPY);
}

static void add_mass(Tile *t, uint32_t w, const RowAt *r, V max) {
  Emit *e = t->e;
  V none = compare(e, LLVMRealOEQ, max, LLVMConstReal(e->t.f32, -INFINITY));
  V ref = lanes_splat(&t->l, choose(e, none, LLVMConstReal(e->t.f32, 0), max)), first[16], last[16];
  uint32_t n = 1, which[16];
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (has_terms(&t->s->accs.at[k], w)) which[n++] = k;
  for (uint32_t k = 0; k < n; k++) first[k] = lanes_float(&t->l, 0);
  Sweep s = sweep_enter(t, r, n, first);
  V score = tile_get(e, t->l.f32, t->weight[w].score, s.at), distance = LLVMBuildFSub(e->b, score, ref, "");
  V part = lanes_exp2_weight(&t->l, distance);
  tile_put(e, t->weight[w].part, s.at, part);
  last[0] = LLVMBuildFAdd(e->b, s.state[0], part, "");
  for (uint32_t k = 1; k < n; k++)
    last[k] = LLVMBuildFAdd(e->b, s.state[k], weighted_term(t, which[k], score, distance, part, s.at), "");
  sweep_leave(t, &s, last);
  for (uint32_t k = 0; k < n; k++) {
    V cell = k ? t->acc[which[k]].state : t->weight[w].mass;
    V sum = LLVMBuildFPExt(e->b, lanes_fold(&t->l, last[k], sum_two), e->t.f64, "");
    tile_put(e, cell, r->row, LLVMBuildFAdd(e->b, tile_get(e, e->t.f64, cell, r->row), sum, ""));
  }
}

static void weigh(Tile *t, uint32_t w) {
  Emit *e = t->e;
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->nrow));
  RowAt r = {plus(e, times(e, t->strip, t->nrow), c.index), times(e, c.index, t->s->shape.col_block)};
  V top = largest(t, w, &r);
  update_max(t, w, &r, top);
  V max = tile_get(e, e->t.f32, t->weight[w].max, r.row);
  add_mass(t, w, &r, max);
  argmax_all(t, w, &r, top, max);
  count_leave(e, &c);
}

/* ---- contract ----------------------------------------------------------------------------------- */

/* factor *= weight, for all pairs of the strip. */
static void multiply_factor(Tile *t, uint32_t k, uint32_t w) {
  Emit *e = t->e;
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->nrow));
  RowAt r = {NULL, times(e, c.index, t->s->shape.col_block)};
  Sweep s = sweep_enter(t, &r, 0, NULL);
  V part = tile_get(e, t->l.f32, t->weight[w].part, s.at), zero = lanes_float(&t->l, 0);
  V product = LLVMBuildFMul(e->b, part, tile_get(e, t->l.f32, t->acc[k].x, s.at), "");
  V score_there = compare(e, LLVMRealUGT, tile_get(e, t->l.f32, t->weight[w].score, s.at), lanes_float(&t->l, -INFINITY));
  tile_put(e, t->acc[k].x, s.at, choose(e, score_there, product, zero));
  sweep_leave(t, &s, NULL);
  count_leave(e, &c);
}

static V contract_weights(Tile *t, uint32_t k) {
  const TileAcc *a = &t->s->accs.at[k];
  if (a->acc->kind == ACC_SUM) return t->acc[k].x;
  if (!a->factor) return t->weight[a->weight].part;
  multiply_factor(t, k, a->weight);
  return t->acc[k].x;
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
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_REDUCE) reduce_begin(t, k);
  score(t, full);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_REDUCE) reduce_end(t, k);
  for (uint32_t w = 0; w < t->s->weights.n; w++) weigh(t, w);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) contract(t, k);
}
