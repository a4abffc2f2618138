/* tile_reference: the states of a row, which are relative to a reference m near its largest log weight.
 *
 * A sum of 2^(log_w - m) x becomes one relative to m' by 2^(m - m'); a sum of (log_w - m) weights, for the entropy,
 * moves with its reference: t + l (m - m').  The place of the largest log weight is looked for anew. */
#include "back/tile_sweep.h"

typedef LLVMValueRef V;

/* ---- the reference ------------------------------------------------------------------------------------ */

static bool is_weighted_by(const TileAcc *a, uint32_t w) {
  return a->weight == w && (a->use == USE_WEIGHTED || (a->use == USE_CONTRACT && a->acc->kind == ACC_EXPECT));
}

static void rescale_sum(Tile *t, uint32_t k, V row, V scale) {
  Emit *e = t->e;
  Lanes one = sweep_one_register(t); /* lines of sums are padded to registers, whatever a sweep takes at once */
  V narrow = LLVMBuildFPTrunc(e->b, scale, e->t.f32, ""), factor = lanes_splat(&one, narrow);
  V from = LLVMBuildMul(e->b, row, t->acc[k].padded, "");
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, t->acc[k].padded, const_int(e, one.n), ""));
  V at = plus(e, from, times(e, c.index, one.n));
  tile_put(e, t->acc[k].sum, at, LLVMBuildFMul(e->b, tile_get(e, one.f32, t->acc[k].sum, at), factor, ""));
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
void sweep_raise(Tile *t, uint32_t w, V row, V old, V top) {
  Emit *e = t->e;
  tile_put(e, t->weight[w].max, row, top);
  LLVMBasicBlockRef done = block_when(e, sweep_compare(e, LLVMRealUNE, old, sweep_none_scalar(e)), "rescale");
  V mass = tile_get(e, e->t.f64, t->weight[w].mass, row);
  V shift = LLVMBuildFSub(e->b, op_convert(e, old, IR_REAL, IR_WIDE), op_convert(e, top, IR_REAL, IR_WIDE), "");
  V scale = op_math(e, "exp2", IR_WIDE, shift);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (is_weighted_by(&t->s->accs.at[k], w)) rescale_acc(t, k, row, scale, shift, mass);
  tile_put(e, t->weight[w].mass, row, LLVMBuildFMul(e->b, mass, scale, ""));
  block_go(e, done);
}

V sweep_reference_of(Tile *t, uint32_t w, V row) { return tile_get(t->e, t->e->t.f32, t->weight[w].max, row); }

/* Heights above this one call for another reference. */
V sweep_limit_of(Tile *t, uint32_t w, V old) {
  return sweep_asks_for_maximum(t->s, w) ? old
                                         : LLVMBuildFAdd(t->e->b, old, LLVMConstReal(t->e->t.f32, SWEEP_SLACK), "");
}

/* Whether some log weight of the sweep is above the limit of its reference. */
V sweep_is_above(Sweep *s) {
  Tile *t = s->t;
  V any = LLVMConstNull(t->e->t.i1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V limit = lanes_splat(&t->l, sweep_limit_of(t, w, sweep_reference_of(t, w, s->row)));
    any = LLVMBuildOr(t->e->b, any, tile_line_any(t, sweep_compare(t->e, LLVMRealOGT, s->next.max[w], limit)), "");
  }
  return any;
}

void sweep_raise_all(Sweep *s) {
  Tile *t = s->t;
  Emit *e = t->e;
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V top = lanes_fold(&t->l, s->next.max[w], sweep_bigger), old = sweep_reference_of(t, w, s->row);
    LLVMBasicBlockRef done = block_when(e, sweep_compare(e, LLVMRealOGT, top, sweep_limit_of(t, w, old)), "raise");
    sweep_raise(t, w, s->row, old, top);
    block_go(e, done);
  }
}

V sweep_depth_of(Tile *t, uint32_t w, V row) {
  Emit *e = t->e;
  V m = sweep_reference_of(t, w, row);
  V zero = LLVMConstReal(e->t.f32, 0);
  return sweep_choose(e, sweep_compare(e, LLVMRealOEQ, m, sweep_none_scalar(e)), zero, LLVMBuildFNeg(e->b, m, ""));
}

/* ---- the row's states ----------------------------------------------------------------------------------- */

static void add_to(Tile *t, V cell, V row, V vector) {
  Emit *e = t->e;
  V sum = LLVMBuildFPExt(e->b, lanes_fold(&t->l, vector, sweep_sum_two), e->t.f64, "");
  tile_put(e, cell, row, LLVMBuildFAdd(e->b, tile_get(e, e->t.f64, cell, row), sum, ""));
}

static void keep_argmax(Sweep *s, uint32_t k) {
  Tile *t = s->t;
  Emit *e = t->e;
  uint32_t w = t->s->accs.at[k].weight;
  V max = sweep_reference_of(t, w, s->row), none = lanes_splat(&t->l, const_int(e, INT64_MAX));
  V at_top = sweep_compare(e, LLVMRealOEQ, s->next.max[w], lanes_splat(&t->l, max));
  V best = lanes_fold(&t->l, sweep_choose(e, at_top, s->next.acc[k], none), sweep_smaller_int);
  V some = sweep_compare(e, LLVMRealOGT, max, sweep_none_scalar(e)),
    old = tile_get(e, e->t.i64, t->acc[k].state, s->row);
  tile_put(e, t->acc[k].state, s->row, sweep_choose(e, some, sweep_smaller_int(e, old, best), old));
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

void sweep_keep_acc(Sweep *s, uint32_t k, bool but_sums) {
  Tile *t = s->t;
  const TileAcc *a = &t->s->accs.at[k];
  if (!sweep_has_vector(a) || (but_sums && sweep_is_summed(a))) return;
  if (a->use == USE_REDUCE)
    keep_plain(s, k);
  else if (a->acc->kind == ACC_ARGMAX)
    keep_argmax(s, k);
  else
    add_to(t, t->acc[k].state, s->row, s->next.acc[k]);
}

void sweep_keep(Sweep *s) {
  Tile *t = s->t;
  Emit *e = t->e;
  V odd = LLVMBuildZExt(e->b, LLVMBuildLoad2(e->b, e->t.i1, t->row_odd, ""), e->t.i32, "");
  tile_put(e, t->odd_rows, s->row, LLVMBuildOr(e->b, tile_get(e, e->t.i32, t->odd_rows, s->row), odd, ""));
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (s->next.sum[w]) add_to(t, t->weight[w].mass, s->row, s->next.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++) sweep_keep_acc(s, k, false);
}
