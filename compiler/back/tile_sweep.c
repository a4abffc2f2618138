/* tile_sweep: the pairs of one row of a strip with the columns of a block, vector by vector.
 *
 * Weights are 2^(log_w - m) relative to a reference m of the row, and stay below 2^slack: m need not be the largest log
 * weight, only near it.  Only if a log weight is above m + slack, which soon is rare, the largest becomes m, the row's
 * states are rescaled by 2^(old - new), and the row is swept again.  Where someone asks for the maximum itself (the
 * mass relative to it, the place where it is) there is no slack.
 *
 * Two forms share the code of a vector.  tile_sweep takes a row whole, its sums in registers.  tile_aside_* takes the
 * vectors of a strip one at a time, wherever the caller has room for one, what they come to lying in memory; so little
 * room is there that instead of the largest log weight it keeps whether the slack was exceeded.
 *
 * A log weight that is NaN, or +inf, makes the mass NaN, which every result is made from; -inf gives the weight 0. */
#include <math.h>

#include "back/tile.h"
#include "back/whole.h"
#include "base/ice.h"

typedef LLVMValueRef V;

static const double SLACK = 8; /* in powers of 2 */

static V choose(Emit *e, V c, V x, V y) { return LLVMBuildSelect(e->b, c, x, y, ""); }
static V compare(Emit *e, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(e->b, p, x, y, ""); }
static V bigger(Emit *e, V x, V y) { return choose(e, compare(e, LLVMRealOGT, y, x), y, x); }
static V sum_two(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static V smaller_int(Emit *e, V x, V y) { return choose(e, LLVMBuildICmp(e->b, LLVMIntSLT, y, x, ""), y, x); }
static V bigger_int(Emit *e, V x, V y) { return choose(e, LLVMBuildICmp(e->b, LLVMIntSGT, y, x, ""), y, x); }
static V none_scalar(Emit *e) { return LLVMConstReal(e->t.f32, -INFINITY); }

/* ---- accumulators of a pair each ------------------------------------------------------------------ */

static V none_of(const Lanes *l, const Acc *a) {
  if (a->type == IR_BOOL) return lanes_splat(l, LLVMConstInt(l->e->t.i1, a->kind == ACC_ALL, false));
  if (a->type == IR_INT) {
    int64_t v = a->kind == ACC_PROD ? 1 : a->kind == ACC_MAX ? INT64_MIN : a->kind == ACC_MIN ? INT64_MAX : 0;
    return lanes_splat(l, const_int(l->e, v));
  }
  return lanes_float(l, a->kind == ACC_MAX ? -INFINITY : a->kind == ACC_MIN ? INFINITY : 0);
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

LLVMTypeRef tile_state_type(const Emit *e, const Acc *a) {
  if (a->type == IR_BOOL) return e->t.i32;
  return a->type == IR_INT ? e->t.i64 : e->t.f64;
}

/* ---- what goes around the loop ---------------------------------------------------------------------- */

/* The vectors of a sweep.  max, sum: of each weight, sum NULL where its mass is that of rounded weights; acc: of each
 * accumulator that has one, else NULL.  Where it is enough to know whether a weight's slack was exceeded, max is the
 * largest of the exponential's steps. */
typedef struct Vectors { V *max, *sum, *acc; } Vectors;

static bool asks_for_maximum(const TileStream *s, uint32_t w) {
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use == USE_WEIGHTED && a->weight == w && (a->acc->kind == ACC_MASS || a->acc->kind == ACC_ARGMAX))
      return true;
  }
  return false;
}

typedef struct Sweep {
  Tile *t;
  bool masked;       /* pairs may be missing, and columns bad */
  bool beside;       /* beside another loop: the fewest operations of its units */
  V row;             /* of the block */
  V *depth;          /* of each weight, a scalar: less its reference, and 0 where that is -inf */
  Vectors phi, next;
} Sweep;

static bool is_flag(const Tile *t, uint32_t w, bool beside) { return beside && !asks_for_maximum(t->s, w); }

static bool has_vector(const TileAcc *a) {
  if (a->use == USE_REDUCE) return true;
  return a->use == USE_WEIGHTED &&
         (a->acc->kind == ACC_EXPECT || a->acc->kind == ACC_ENTROPY || a->acc->kind == ACC_ARGMAX);
}

/* An accumulator whose states are sums over the lanes. */
static bool is_summed(const TileAcc *a) {
  if (a->use == USE_REDUCE) return a->acc->kind == ACC_SUM && a->acc->type != IR_INT;
  return has_vector(a) && a->acc->kind != ACC_ARGMAX;
}

/* Lanes of a register, where t->l has those of several side by side. */
static Lanes one_register(const Tile *t) { return lanes_of(t->e, t->l.step); }

/* Registers side by side as one. */
static V into_one(const Tile *t, V x, V (*combine)(Emit *, V, V)) {
  for (unsigned n = t->l.n / 2; n >= t->l.step; n /= 2)
    x = combine(t->e, lanes_part(&t->l, x, 0, n), lanes_part(&t->l, x, n, n));
  return x;
}

static V first_of(const Tile *t, const TileAcc *a) {
  Lanes one = one_register(t);
  if (a->use == USE_REDUCE) return none_of(&one, a->acc);
  if (is_summed(a)) return lanes_float(&one, 0);
  return lanes_splat(&t->l, const_int(t->e, INT64_MAX));
}

static Vectors vectors_new(const Tile *t) {
  Arena *arena = t->e->arena;
  return (Vectors){NEW_ARRAY(arena, V, t->s->weights.n + 1), NEW_ARRAY(arena, V, t->s->weights.n + 1),
                   NEW_ARRAY(arena, V, t->s->accs.n + 1)};
}

static Vectors vectors_first(const Tile *t, bool beside) {
  Vectors v = vectors_new(t);
  Lanes one = one_register(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    v.max[w] = is_flag(t, w, beside) ? lanes_bits(&one, INT32_MIN) : lanes_float(&t->l, -INFINITY);
    v.sum[w] = tile_half_is_mass(t->s, w) ? NULL : lanes_float(&one, 0);
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (has_vector(&t->s->accs.at[k])) v.acc[k] = first_of(t, &t->s->accs.at[k]);
  return v;
}

static V phi_of(Tile *t, V first, LLVMBasicBlockRef from) {
  if (!first) return NULL;
  V phi = LLVMBuildPhi(t->e->b, LLVMTypeOf(first), "");
  LLVMAddIncoming(phi, &first, &from, 1);
  return phi;
}

static Vectors vectors_phi(Tile *t, const Vectors *first, LLVMBasicBlockRef from) {
  Vectors v = vectors_new(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    v.max[w] = phi_of(t, first->max[w], from), v.sum[w] = phi_of(t, first->sum[w], from);
  for (uint32_t k = 0; k < t->s->accs.n; k++) v.acc[k] = phi_of(t, first->acc[k], from);
  return v;
}

static void vectors_incoming(const Tile *t, const Vectors *phi, const Vectors *next, LLVMBasicBlockRef from) {
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    LLVMAddIncoming(phi->max[w], &next->max[w], &from, 1);
    if (phi->sum[w]) LLVMAddIncoming(phi->sum[w], &next->sum[w], &from, 1);
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (phi->acc[k]) LLVMAddIncoming(phi->acc[k], &next->acc[k], &from, 1);
}

/* ---- one vector of pairs ----------------------------------------------------------------------------- */

static V x_of(Tile *t, const TileAcc *a) {
  Val x = a->use == USE_CONTRACT ? a->factor : a->acc->body.x;
  IrType from = ir_at(t->e->k, x)->type, to = a->acc->type;
  V v = tile_value(t, x, 0, 0);
  if (to == IR_WIDE && from == IR_INT) return LLVMBuildSIToFP(t->e->b, v, t->l.f32, "");
  if (to == IR_WIDE && from == IR_BOOL) return LLVMBuildUIToFP(t->e->b, v, t->l.f32, "");
  return v;
}

/* Where a vector's bits lie in t->live: [row of the strip][vector of the block]. */
static V live_address(Tile *t) {
  Emit *e = t->e;
  V at = plus(e, times(e, t->here_row, t->s->shape.col_block / t->l.n),
              LLVMBuildUDiv(e->b, t->here_column, const_int(e, t->l.n), ""));
  return tile_address(e, LLVMIntTypeInContext(e->cx, t->l.n), t->live, at);
}

static V live_here(Tile *t) {
  LLVMTypeRef bits = LLVMIntTypeInContext(t->e->cx, t->l.n);
  return LLVMBuildBitCast(t->e->b, LLVMBuildLoad2(t->e->b, bits, live_address(t), ""), t->l.i1, "");
}

/* Lanes inside the block of columns. */
static V inside_here(Tile *t) {
  Emit *e = t->e;
  V left = LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, t->cols_in_block, t->here_column, ""), e->t.i32, "");
  return LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, left), "");
}

/* And inside the mask. */
static V alive_here(Tile *t) {
  Emit *e = t->e;
  if (t->live) return live_here(t);
  V inside = inside_here(t);
  return t->s->loop->mask ? LLVMBuildAnd(e->b, inside, tile_value(t, t->s->loop->mask, 0, 0), "") : inside;
}

static void check_here(Tile *t, const Instr *i) {
  Emit *e = t->e;
  V x = tile_value(t, i->arg[1], 0, 0), zero = LLVMConstNull(t->l.i64), fails;
  if (i->op != IR_CHECK_INDEX) fails = LLVMBuildICmp(e->b, LLVMIntEQ, x, zero, "");
  else {
    V low = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero, "");
    fails = LLVMBuildOr(e->b, low, LLVMBuildICmp(e->b, LLVMIntSGE, x, tile_value(t, i->arg[2], 0, 0), ""), "");
  }
  if (i->arg[0]) fails = LLVMBuildAnd(e->b, fails, tile_value(t, i->arg[0], 0, 0), "");
  if (t->alive) fails = LLVMBuildAnd(e->b, fails, inside_here(t), "");
  tile_odd(t, tile_line_any(t, fails));
}

static void except_here(Tile *t, Val condition, V alive) {
  V any = tile_value(t, condition, 0, 0);
  tile_odd(t, tile_line_any(t, alive ? LLVMBuildAnd(t->e->b, any, alive, "") : any));
}

static V all_into_one(const Tile *t, const Acc *a, V x) {
  for (unsigned n = t->l.n / 2; n >= t->l.step; n /= 2)
    x = tile_combine(t->e, a, lanes_part(&t->l, x, 0, n), lanes_part(&t->l, x, n, n));
  return x;
}

static V add_vector(const Tile *t, V sum, V x) { return sum_two(t->e, sum, into_one(t, x, sum_two)); }

/* In base 2.  distance: less the reference, and no less than where a weight is 0; part: 2^that.  A height is rounded
 * before the reference is taken off: of the largest, from which that reference came, nothing is left, whatever its
 * size. */
typedef struct Weighed { V height, distance, part; } Weighed;

static Weighed weigh(Sweep *s, uint32_t w, V alive) {
  Tile *t = s->t;
  Emit *e = t->e;
  Weighed r = {.height = tile_value_affine(t, t->s->weights.at[w].body, TILE_LOG2_E)};
  if (alive) r.height = choose(e, alive, r.height, lanes_float(&t->l, -INFINITY));
  r.distance = lanes_weight_exponent(&t->l, LLVMBuildFAdd(e->b, r.height, lanes_splat(&t->l, s->depth[w]), ""));
  V steps;
  r.part = lanes_exp2_weight(&t->l, r.distance, &steps);
  s->next.max[w] = is_flag(t, w, s->beside) ? bigger_int(e, s->phi.max[w], into_one(t, steps, bigger_int))
                                            : bigger(e, s->phi.max[w], r.height);
  if (s->phi.sum[w]) s->next.sum[w] = add_vector(t, s->phi.sum[w], r.part);
  if (t->weight[w].part) tile_put(e, t->weight[w].part, tile_pair_place(t, 0, 0), r.part);
  if (t->weight[w].half) tile_put(e, t->weight[w].half, tile_pair_place(t, 0, 0), lanes_to_bf16(&t->l, r.part));
  return r;
}

static V is_there(Tile *t, const Weighed *w) {
  return compare(t->e, LLVMRealUGT, w->height, lanes_float(&t->l, -INFINITY));
}

/* Of the columns with the largest log weight the smallest x. */
static V argmax_here(Sweep *s, uint32_t k, const Weighed *w) {
  Tile *t = s->t;
  Emit *e = t->e;
  V old = s->phi.acc[k], x = x_of(t, &t->s->accs.at[k]), max = s->phi.max[t->s->accs.at[k].weight];
  V above = compare(e, LLVMRealOGT, w->height, max), equal = compare(e, LLVMRealOEQ, w->height, max);
  return choose(e, above, x, choose(e, equal, smaller_int(e, old, x), old));
}

/* A column with an x that is no number, where it counts. */
static void except_bad(Sweep *s, const TileAcc *a, const Weighed *weighed, V alive) {
  Tile *t = s->t;
  Emit *e = t->e;
  if (!s->masked || a->use != USE_CONTRACT || !a->panel) return;
  V bad = LLVMBuildICmp(e->b, LLVMIntNE, tile_get(e, t->l.i32, t->bad, t->here_column), LLVMConstNull(t->l.i32), "");
  V counts = a->acc->kind == ACC_SUM ? alive : is_there(t, &weighed[a->weight]);
  tile_odd(t, tile_line_any(t, LLVMBuildAnd(e->b, bad, counts, "")));
}

/* A column with a feature that the code of pairs gets wrong, where it is there. */
static void except_features(Sweep *s, V alive) {
  Tile *t = s->t;
  Emit *e = t->e;
  if (!s->masked || !tile_half_is_any(t)) return;
  V bad = LLVMBuildICmp(e->b, LLVMIntNE, tile_get(e, t->l.i32, t->bad, t->here_column), LLVMConstNull(t->l.i32), "");
  tile_odd(t, tile_line_any(t, LLVMBuildAnd(e->b, bad, alive, "")));
}

static void accumulate(Sweep *s, uint32_t k, const Weighed *weighed, V alive) {
  Tile *t = s->t;
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Weighed *w = &weighed[a->weight];
  V zero = lanes_float(&t->l, 0), x;
  if (a->use == USE_REDUCE) {
    x = x_of(t, a);
    if (alive) x = choose(e, alive, x, none_of(&t->l, a->acc));
    s->next.acc[k] = tile_combine(e, a->acc, s->phi.acc[k], all_into_one(t, a->acc, x));
  } else if (a->use == USE_CONTRACT && a->acc->kind == ACC_SUM) {
    x = a->factor ? x_of(t, a) : lanes_float(&t->l, 1);
    tile_put(e, t->acc[k].x, tile_pair_place(t, 0, 0), alive ? choose(e, alive, x, zero) : x);
  } else if (a->use == USE_CONTRACT && a->factor) {
    x = choose(e, is_there(t, w), LLVMBuildFMul(e->b, w->part, x_of(t, a), ""), zero);
    tile_put(e, t->acc[k].x, tile_pair_place(t, 0, 0), x);
  } else if (!has_vector(a)) return;
  else if (a->acc->kind == ACC_ARGMAX) s->next.acc[k] = argmax_here(s, k, w);
  else if (a->acc->kind == ACC_ENTROPY) {
    V one = s->phi.acc[k];
    bool single = t->l.n == t->l.step;
    s->next.acc[k] = single ? lanes_fma(&t->l, w->part, w->distance, one)
                            : add_vector(t, one, LLVMBuildFMul(e->b, w->part, w->distance, ""));
  } else
    s->next.acc[k] =
        add_vector(t, s->phi.acc[k], choose(e, is_there(t, w), LLVMBuildFMul(e->b, w->part, x_of(t, a), ""), zero));
}

static void sweep_vector(Sweep *s) {
  Tile *t = s->t;
  uint32_t mark = tile_mark(t);
  Weighed *weighed = NEW_ARRAY(t->e->arena, Weighed, t->s->weights.n + 1);
  V alive = t->alive = s->masked || t->live ? alive_here(t) : NULL;
  for (uint32_t w = 0; w < t->s->weights.n; w++) weighed[w] = weigh(s, w, alive);
  for (uint32_t k = 0; k < t->s->accs.n; k++) accumulate(s, k, weighed, alive);
  for (uint32_t k = 0; k < t->s->accs.n; k++) except_bad(s, &t->s->accs.at[k], weighed, alive);
  except_features(s, alive);
  for (uint32_t n = 0; n < t->s->checks.n; n++) check_here(t, ir_at(t->e->k, t->s->checks.at[n]));
  for (uint32_t n = 0; n < t->s->exceptions.n; n++) except_here(t, t->s->exceptions.at[n], alive);
  tile_forget(t, mark);
}

/* s->next is what all vectors come to; there is at least one. */
static void sweep_vectors(Sweep *s) {
  Tile *t = s->t;
  Emit *e = t->e;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Vectors first = vectors_first(t, false), last;
  Count c = count_enter(e, t->vec_lo, t->vec_hi);
  s->phi = vectors_phi(t, &first, from);
  s->next = vectors_new(t);
  t->here_column = times(e, c.index, t->l.n);
  sweep_vector(s);
  t->here_column = NULL;
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  vectors_incoming(t, &s->phi, &s->next, body);
  count_leave(e, &c);
  last = vectors_phi(t, &first, from);
  vectors_incoming(t, &last, &s->next, body);
  s->next = last;
}

/* ---- the reference ------------------------------------------------------------------------------------ */

static bool is_weighted_by(const TileAcc *a, uint32_t w) {
  return a->weight == w && (a->use == USE_WEIGHTED || (a->use == USE_CONTRACT && a->acc->kind == ACC_EXPECT));
}

static void rescale_sum(Tile *t, uint32_t k, V row, V scale) {
  Emit *e = t->e;
  V narrow = LLVMBuildFPTrunc(e->b, scale, e->t.f32, ""), factor = lanes_splat(&t->l, narrow);
  V from = LLVMBuildMul(e->b, row, t->acc[k].padded, "");
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, t->acc[k].padded, const_int(e, t->l.n), ""));
  V at = plus(e, from, times(e, c.index, t->l.n));
  tile_put(e, t->acc[k].sum, at, LLVMBuildFMul(e->b, tile_get(e, t->l.f32, t->acc[k].sum, at), factor, ""));
  count_leave(e, &c);
}

static void rescale_acc(Tile *t, uint32_t k, V row, V scale, V shift, V mass) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  if (a->use == USE_CONTRACT) rescale_sum(t, k, row, scale);
  if (a->use == USE_CONTRACT && !t->acc[k].state) return;
  if (a->acc->kind == ACC_ARGMAX) tile_put(e, t->acc[k].state, row, const_int(e, INT64_MAX));
  if (a->acc->kind != ACC_EXPECT && a->acc->kind != ACC_ENTROPY) return;
  V old = tile_get(e, e->t.f64, t->acc[k].state, row);
  if (a->acc->kind == ACC_ENTROPY) old = LLVMBuildFAdd(e->b, old, LLVMBuildFMul(e->b, mass, shift, ""), "");
  tile_put(e, t->acc[k].state, row, LLVMBuildFMul(e->b, old, scale, ""));
}

/* The reference of a row becomes `top`, its states with it: without one they were those of nothing. */
static void raise(Tile *t, uint32_t w, V row, V old, V top) {
  Emit *e = t->e;
  tile_put(e, t->weight[w].max, row, top);
  LLVMBasicBlockRef done = block_when(e, compare(e, LLVMRealUNE, old, none_scalar(e)), "rescale");
  V mass = tile_get(e, e->t.f64, t->weight[w].mass, row);
  V shift = LLVMBuildFSub(e->b, op_convert(e, old, IR_REAL, IR_WIDE), op_convert(e, top, IR_REAL, IR_WIDE), "");
  V scale = op_math(e, "exp2", IR_WIDE, shift);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (is_weighted_by(&t->s->accs.at[k], w)) rescale_acc(t, k, row, scale, shift, mass);
  tile_put(e, t->weight[w].mass, row, LLVMBuildFMul(e->b, mass, scale, ""));
  block_go(e, done);
}

static V reference_of(Tile *t, uint32_t w, V row) { return tile_get(t->e, t->e->t.f32, t->weight[w].max, row); }

/* Heights above this one call for another reference. */
static V limit_of(Tile *t, uint32_t w, V old) {
  return asks_for_maximum(t->s, w) ? old : LLVMBuildFAdd(t->e->b, old, LLVMConstReal(t->e->t.f32, SLACK), "");
}

/* Whether some log weight of the sweep is above the limit of its reference. */
static V is_above(Sweep *s) {
  Tile *t = s->t;
  V any = LLVMConstNull(t->e->t.i1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V limit = lanes_splat(&t->l, limit_of(t, w, reference_of(t, w, s->row)));
    any = LLVMBuildOr(t->e->b, any, tile_line_any(t, compare(t->e, LLVMRealOGT, s->next.max[w], limit)), "");
  }
  return any;
}

static void raise_all(Sweep *s) {
  Tile *t = s->t;
  Emit *e = t->e;
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V top = lanes_fold(&t->l, s->next.max[w], bigger), old = reference_of(t, w, s->row);
    LLVMBasicBlockRef done = block_when(e, compare(e, LLVMRealOGT, top, limit_of(t, w, old)), "raise");
    raise(t, w, s->row, old, top);
    block_go(e, done);
  }
}

/* ---- the row's states ----------------------------------------------------------------------------------- */

static void add_to(Tile *t, V cell, V row, V vector) {
  Emit *e = t->e;
  V sum = LLVMBuildFPExt(e->b, lanes_fold(&t->l, vector, sum_two), e->t.f64, "");
  tile_put(e, cell, row, LLVMBuildFAdd(e->b, tile_get(e, e->t.f64, cell, row), sum, ""));
}

static void keep_argmax(Sweep *s, uint32_t k) {
  Tile *t = s->t;
  Emit *e = t->e;
  uint32_t w = t->s->accs.at[k].weight;
  V max = reference_of(t, w, s->row), none = lanes_splat(&t->l, const_int(e, INT64_MAX));
  V at_top = compare(e, LLVMRealOEQ, s->next.max[w], lanes_splat(&t->l, max));
  V best = lanes_fold(&t->l, choose(e, at_top, s->next.acc[k], none), smaller_int);
  V some = compare(e, LLVMRealOGT, max, none_scalar(e)), old = tile_get(e, e->t.i64, t->acc[k].state, s->row);
  tile_put(e, t->acc[k].state, s->row, choose(e, some, smaller_int(e, old, best), old));
}

static void keep_plain(Sweep *s, uint32_t k) {
  Tile *t = s->t;
  Emit *e = t->e;
  const Acc *a = t->s->accs.at[k].acc;
  V x = s->next.acc[k], old = tile_get(e, tile_state_type(e, a), t->acc[k].state, s->row), sum = NULL;
  if (a->type == IR_BOOL) x = LLVMBuildZExt(e->b, x, LLVMVectorType(e->t.i32, t->l.step), "");
  for (unsigned n = t->l.step; n > 1; n /= 2)
    x = tile_combine(e, a, lanes_part(&t->l, x, 0, n / 2), lanes_part(&t->l, x, n / 2, n / 2));
  sum = LLVMBuildExtractElement(e->b, x, LLVMConstInt(e->t.i32, 0, false), "");
  if (a->type != IR_BOOL && a->type != IR_INT) sum = LLVMBuildFPExt(e->b, sum, e->t.f64, "");
  tile_put(e, t->acc[k].state, s->row, tile_combine(e, a, old, sum));
}

static void keep_acc(Sweep *s, uint32_t k, bool but_sums) {
  Tile *t = s->t;
  const TileAcc *a = &t->s->accs.at[k];
  if (!has_vector(a) || (but_sums && is_summed(a))) return;
  if (a->use == USE_REDUCE) keep_plain(s, k);
  else if (a->acc->kind == ACC_ARGMAX) keep_argmax(s, k);
  else add_to(t, t->acc[k].state, s->row, s->next.acc[k]);
}

static void keep(Sweep *s) {
  Tile *t = s->t;
  Emit *e = t->e;
  V odd = LLVMBuildZExt(e->b, LLVMBuildLoad2(e->b, e->t.i1, t->row_odd, ""), e->t.i32, "");
  tile_put(e, t->odd_rows, s->row, LLVMBuildOr(e->b, tile_get(e, e->t.i32, t->odd_rows, s->row), odd, ""));
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (s->next.sum[w]) add_to(t, t->weight[w].mass, s->row, s->next.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++) keep_acc(s, k, false);
}

/* Values of the row are read once, before the loop. */
static void read_row(Tile *t) {
  for (uint32_t n = 0; n < t->s->row.n; n++) tile_value(t, t->s->row.at[n], 0, 0);
}

static V depth_of(Tile *t, uint32_t w, V row) {
  Emit *e = t->e;
  V m = reference_of(t, w, row);
  V zero = LLVMConstReal(e->t.f32, 0);
  return choose(e, compare(e, LLVMRealOEQ, m, none_scalar(e)), zero, LLVMBuildFNeg(e->b, m, ""));
}

static void read_references(Sweep *s) {
  Tile *t = s->t;
  s->depth = NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) s->depth[w] = depth_of(t, w, s->row);
}

static V row_of_block(Tile *t) { return plus(t->e, times(t->e, t->strip, t->nrow), t->here_row); }

/* Once more with another reference wherever that was too low. */
static void sweep_until_settled(Sweep *s) {
  Emit *e = s->t->e;
  LLVMBasicBlockRef again = block_new(e, "sweep");
  block_go(e, again);
  read_references(s);
  sweep_vectors(s);
  if (!s->t->s->weights.n) return;
  LLVMBasicBlockRef settled = block_when(e, is_above(s), "above");
  raise_all(s);
  LLVMBuildBr(e->b, again);
  LLVMPositionBuilderAtEnd(e->b, settled);
}

void tile_sweep(Tile *t, bool masked) {
  Emit *e = t->e;
  Sweep s = {.t = t, .masked = masked, .row = row_of_block(t)};
  uint32_t mark = tile_mark(t);
  t->row_odd = cell_new(e, e->t.i1, "row_odd");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->row_odd);
  read_row(t);
  sweep_until_settled(&s);
  keep(&s);
  tile_forget(t, mark);
}

/* ---- beside another loop ---------------------------------------------------------------------------------- */

/* Sweeps several vectors as one where their instructions are many; returns what t->l must become again. */
static Lanes many_lanes(Tile *t) {
  Lanes single = t->l;
  t->l = lanes_side_by_side(&single, t->unit);
  return single;
}

/* The vectors of all rows of a strip while its tiles are swept one by one, and what is read of the rows: [row] each. */
struct TileAside { Vectors at; V *depth, odd; };

static V line_of(Tile *t, V first) {
  return first ? cell_new(t->e, LLVMArrayType2(LLVMTypeOf(first), t->nrow), "aside") : NULL;
}

static V line_at(Tile *t, V line, LLVMTypeRef type) {
  return LLVMBuildInBoundsGEP2(t->e->b, type, line, &t->here_row, 1, "");
}

static void line_put(Tile *t, V line, V value) { LLVMBuildStore(t->e->b, value, line_at(t, line, LLVMTypeOf(value))); }

static V line_get(Tile *t, V line, LLVMTypeRef type) {
  return LLVMBuildLoad2(t->e->b, type, line_at(t, line, type), "");
}

static Vectors load_vectors(Tile *t, const Vectors *first) {
  const Vectors *at = &t->aside->at;
  Vectors v = vectors_new(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    v.max[w] = line_get(t, at->max[w], LLVMTypeOf(first->max[w]));
    if (at->sum[w]) v.sum[w] = line_get(t, at->sum[w], LLVMTypeOf(first->sum[w]));
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (first->acc[k]) v.acc[k] = line_get(t, at->acc[k], LLVMTypeOf(first->acc[k]));
  return v;
}

static void store_vectors(Tile *t, const Vectors *v) {
  const Vectors *at = &t->aside->at;
  for (uint32_t w = 0; w < t->s->weights.n; w++) line_put(t, at->max[w], v->max[w]);
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (v->sum[w]) line_put(t, at->sum[w], v->sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (v->acc[k]) line_put(t, at->acc[k], v->acc[k]);
}

bool tile_keeps_live(const Tile *t) {
  return t->s->loop->mask && !t->s->checks.n && !t->s->exceptions.n && t->unit == 1;
}

/* The bits of a row's vectors of tile `column`; full: (i1) all of them. */
static void note_live(Tile *t, V column, V full) {
  Emit *e = t->e;
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, t->l.n);
  V live = t->live, first = times(e, column, t->nvec);
  Count c = count_enter(e, first, plus(e, first, const_int(e, t->nvec)));
  t->here_column = times(e, c.index, t->l.n);
  V at = live_address(t);
  LLVMBuildStore(e->b, LLVMConstAllOnes(bits), at);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildNot(e->b, full, ""), "cut");
  uint32_t mark = tile_mark(t);
  t->live = NULL;
  LLVMBuildStore(e->b, LLVMBuildBitCast(e->b, alive_here(t), bits, ""), at);
  t->live = live;
  tile_forget(t, mark);
  block_go(e, done);
  t->here_column = NULL;
  count_leave(e, &c);
}

void tile_note_live(Tile *t, V column, V full) {
  Count r = count_enter(t->e, const_int(t->e, 0), const_int(t->e, t->nrow));
  t->here_row = r.index;
  t->row_odd = line_at(t, t->aside->odd, t->e->t.i1);
  note_live(t, column, full);
  t->here_row = NULL;
  count_leave(t->e, &r);
}

void tile_aside_new(Tile *t) {
  Lanes single = many_lanes(t);
  Vectors first = vectors_first(t, true);
  TileAside *a = t->aside = NEW(t->e->arena, TileAside);
  *a = (TileAside){vectors_new(t), NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1),
                   cell_new(t->e, LLVMArrayType2(t->e->t.i1, t->nrow), "odd")};
  for (uint32_t w = 0; w < t->s->weights.n; w++) a->depth[w] = line_of(t, none_scalar(t->e));
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    a->at.max[w] = line_of(t, first.max[w]), a->at.sum[w] = line_of(t, first.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (first.acc[k]) a->at.acc[k] = line_of(t, first.acc[k]);
  t->l = single;
}

static void note_references(Tile *t) {
  for (uint32_t w = 0; w < t->s->weights.n; w++) line_put(t, t->aside->depth[w], depth_of(t, w, row_of_block(t)));
}

void tile_aside_begin(Tile *t) {
  Lanes single = many_lanes(t);
  Vectors first = vectors_first(t, true);
  store_vectors(t, &first);
  line_put(t, t->aside->odd, LLVMConstNull(t->e->t.i1));
  note_references(t);
  t->l = single;
}

void tile_aside_sweep(Tile *t, V column, bool masked) {
  Lanes single = many_lanes(t);
  Sweep s = {.t = t, .beside = true, .masked = masked, .row = row_of_block(t)};
  uint32_t mark = tile_mark(t);
  Vectors first = vectors_first(t, true);
  t->row_odd = line_at(t, t->aside->odd, t->e->t.i1);
  t->here_column = column;
  s.depth = NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) s.depth[w] = line_get(t, t->aside->depth[w], t->e->t.f32);
  s.phi = load_vectors(t, &first);
  s.next = vectors_new(t);
  sweep_vector(&s);
  t->here_column = NULL;
  store_vectors(t, &s.next);
  tile_forget(t, mark);
  t->l = single;
}

/* One vector for every row of the strip. */
static void lines_of(Tile *t, V line, LLVMTypeRef type, V *row) {
  for (uint32_t n = 0; n < t->nrow; n++) {
    V at = const_int(t->e, n);
    row[n] = LLVMBuildLoad2(t->e->b, type, LLVMBuildInBoundsGEP2(t->e->b, type, line, &at, 1, ""), "");
  }
}

/* Whether a row of the strip has no reference: of it no weight has been summed. */
V tile_aside_is_new(Tile *t) {
  Emit *e = t->e;
  V any = LLVMConstNull(LLVMVectorType(e->t.i1, t->nrow)), none[TILE_ROWS];
  for (uint32_t n = 0; n < t->nrow; n++) none[n] = none_scalar(e);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V max = tile_get(e, LLVMVectorType(e->t.f32, t->nrow), t->weight[w].max, times(e, t->strip, t->nrow));
    any = LLVMBuildOr(e->b, any, compare(e, LLVMRealOEQ, max, LLVMConstVector(none, t->nrow)), "");
  }
  Lanes rows = lanes_of(e, t->nrow);
  V there = LLVMBuildTrunc(e->b, t->live_rows, e->t.i32, "");
  any = LLVMBuildAnd(e->b, any,
                     LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&rows, e->t.i32), lanes_splat(&rows, there), ""), "");
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, t->nrow);
  return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, any, bits, ""), LLVMConstNull(bits), "");
}

/* line: of each weight the largest of the row's vectors lo .. hi. */
static void find_largest(Tile *t, V *line, V lo, V hi) {
  Emit *e = t->e;
  V none = lanes_float(&t->l, -INFINITY);
  for (uint32_t w = 0; w < t->s->weights.n; w++) line_put(t, line[w], none);
  V unit = const_int(e, t->unit), end = LLVMBuildUDiv(e->b, plus(e, hi, const_int(e, t->unit - 1)), unit, "");
  Count c = count_enter(e, LLVMBuildUDiv(e->b, lo, unit, ""), end);
  uint32_t mark = tile_mark(t);
  t->here_column = times(e, c.index, t->l.n);
  V alive = t->alive = alive_here(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V log_w = choose(e, alive, tile_value_affine(t, t->s->weights.at[w].body, TILE_LOG2_E), none);
    line_put(t, line[w], bigger(e, line_get(t, line[w], t->l.f32), log_w));
  }
  t->here_column = NULL;
  tile_forget(t, mark);
  count_leave(e, &c);
}

/* top becomes the reference of the row at t->here_row if it is far above the old one. */
static void raise_row(Tile *t, V *top, V new_only) {
  Emit *e = t->e;
  V row = row_of_block(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V old = reference_of(t, w, row), is_new = compare(e, LLVMRealOEQ, old, none_scalar(e));
    V above = compare(e, LLVMRealOGT, line_get(t, top[w], e->t.f32), limit_of(t, w, old));
    LLVMBasicBlockRef done = block_when(
        e, LLVMBuildAnd(e->b, above, LLVMBuildOr(e->b, is_new, LLVMBuildNot(e->b, new_only, ""), ""), ""), "raise");
    raise(t, w, row, old, line_get(t, top[w], e->t.f32));
    block_go(e, done);
  }
}

void tile_aside_prime(Tile *t, V lo, V hi, V new_only) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  V *line = NEW_ARRAY(e->arena, V, t->s->weights.n + 1), *top = NEW_ARRAY(e->arena, V, t->s->weights.n + 1),
    row[TILE_ROWS];
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    line[w] = line_of(t, lanes_float(&t->l, -INFINITY)), top[w] = line_of(t, none_scalar(e));
  Count r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  t->row_odd = line_at(t, t->aside->odd, e->t.i1);
  find_largest(t, line, lo, hi);
  t->here_row = NULL;
  count_leave(e, &r);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    lines_of(t, line[w], t->l.f32, row);
    LLVMSetAlignment(LLVMBuildStore(e->b, lanes_fold_all(&t->l, row, t->nrow, bigger), top[w]), 4);
  }
  r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  raise_row(t, top, new_only);
  note_references(t);
  t->here_row = NULL;
  count_leave(e, &r);
  t->l = single;
}

/* Whether some row of the strip must be swept again. */
V tile_aside_exceeds(Tile *t) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  Vectors first = vectors_first(t, true);
  Lanes one = one_register(t);
  V any = LLVMConstNull(e->t.i1), row[TILE_ROWS];
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    lines_of(t, t->aside->at.max[w], LLVMTypeOf(first.max[w]), row);
    if (is_flag(t, w, true)) {
      for (uint32_t n = 1; n < t->nrow; n++) row[0] = bigger_int(e, row[0], row[n]);
      any = LLVMBuildOr(e->b, any, tile_line_any(t, lanes_steps_above(&one, row[0], SLACK)), "");
      continue;
    }
    for (uint32_t n = 0; n < t->nrow; n++) {
      V limit = limit_of(t, w, reference_of(t, w, plus(e, times(e, t->strip, t->nrow), const_int(e, n))));
      any = LLVMBuildOr(e->b, any, tile_line_any(t, compare(e, LLVMRealOGT, row[n], lanes_splat(&t->l, limit))), "");
    }
  }
  t->l = single;
  return any;
}

/* Adds the sums of the rows' vectors to their states, which lie side by side. */
static void add_lines(Tile *t, V cell, V line) {
  Emit *e = t->e;
  V row[TILE_ROWS], at = times(e, t->strip, t->nrow);
  Lanes one = one_register(t);
  lines_of(t, line, one.f32, row);
  LLVMTypeRef states = LLVMVectorType(e->t.f64, t->nrow);
  V sums = LLVMBuildFPExt(e->b, lanes_fold_all(&one, row, t->nrow, sum_two), states, "");
  tile_put(e, cell, at, LLVMBuildFAdd(e->b, tile_get(e, states, cell, at), sums, ""));
}

static void keep_lines_one_by_one(Tile *t) {
  Emit *e = t->e;
  Vectors first = vectors_first(t, true);
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->nrow));
  t->here_row = c.index;
  Sweep s = {.t = t, .beside = true, .row = row_of_block(t)};
  s.next = load_vectors(t, &first);
  for (uint32_t k = 0; k < t->s->accs.n; k++) keep_acc(&s, k, true);
  t->here_row = NULL;
  count_leave(e, &c);
}

void tile_aside_end(Tile *t) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  bool one_by_one = false;
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (t->aside->at.sum[w]) add_lines(t, t->weight[w].mass, t->aside->at.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    if (is_summed(&t->s->accs.at[k])) add_lines(t, t->acc[k].state, t->aside->at.acc[k]);
    else one_by_one |= has_vector(&t->s->accs.at[k]);
  }
  if (one_by_one) keep_lines_one_by_one(t);
  LLVMTypeRef bytes = LLVMVectorType(e->t.i8, t->nrow), flags = LLVMVectorType(e->t.i32, t->nrow);
  V odd = LLVMBuildLoad2(e->b, bytes, t->aside->odd, ""), at = times(e, t->strip, t->nrow);
  LLVMSetAlignment(odd, 1);
  odd = LLVMBuildOr(e->b, LLVMBuildZExt(e->b, odd, flags, ""), tile_get(e, flags, t->odd_rows, at), "");
  tile_put(e, t->odd_rows, at, odd);
  t->l = single;
}
