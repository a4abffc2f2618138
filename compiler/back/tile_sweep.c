/* tile_sweep: the pairs of one row of a strip with the columns of a block, vector by vector.
 *
 * Weights are 2^(log_w - m) relative to a reference m of the row, and stay below 2^slack: m need not be the largest log
 * weight, only near it.  Only if a log weight is above m + slack, which soon is rare, the largest becomes m, the row's
 * states are rescaled by 2^(old - new), and the row is swept again.  Where someone asks for the maximum itself (the
 * mass relative to it, the place where it is) there is no slack.
 *
 * Two forms share the code of a vector.  tile_sweep takes a row whole, its sums in registers; tile_aside.c has the
 * other.
 *
 * A log weight that is NaN, or +inf, makes the mass NaN, which every result is made from; -inf gives the weight 0. */
#include "back/tile_sweep.h"

typedef LLVMValueRef V;

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
V sweep_live_address(Tile *t) {
  Emit *e = t->e;
  V at = plus(e, times(e, t->here_row, t->s->shape.col_block / t->l.n),
              LLVMBuildUDiv(e->b, t->here_column, const_int(e, t->l.n), ""));
  return tile_address(e, LLVMIntTypeInContext(e->cx, t->l.n), t->live, at);
}

static V live_here(Tile *t) {
  LLVMTypeRef bits = LLVMIntTypeInContext(t->e->cx, t->l.n);
  return LLVMBuildBitCast(t->e->b, LLVMBuildLoad2(t->e->b, bits, sweep_live_address(t), ""), t->l.i1, "");
}

/* Lanes inside the block of columns. */
static V inside_here(Tile *t) {
  Emit *e = t->e;
  V left = LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, t->cols_in_block, t->here_column, ""), e->t.i32, "");
  return LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, left), "");
}

/* And inside the mask. */
V sweep_alive_here(Tile *t) {
  Emit *e = t->e;
  if (t->live) return live_here(t);
  V inside = inside_here(t);
  return t->s->loop->mask ? LLVMBuildAnd(e->b, inside, tile_value(t, t->s->loop->mask, 0, 0), "") : inside;
}

static void check_here(Tile *t, const Instr *i) {
  Emit *e = t->e;
  V x = tile_value(t, i->arg[1], 0, 0), zero = LLVMConstNull(t->l.i64), fails;
  if (i->op != IR_CHECK_INDEX)
    fails = LLVMBuildICmp(e->b, LLVMIntEQ, x, zero, "");
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

static V add_vector(const Tile *t, V sum, V x) { return sweep_sum_two(t->e, sum, sweep_into_one(t, x, sweep_sum_two)); }

/* In base 2.  distance: less the reference, and no less than where a weight is 0; part: 2^that.  A height is rounded
 * before the reference is taken off: of the largest, from which that reference came, nothing is left, whatever its
 * size. */
typedef struct Weighed {
  V height, distance, part;
} Weighed;

static Weighed weigh(Sweep *s, uint32_t w, V alive) {
  Tile *t = s->t;
  Emit *e = t->e;
  Weighed r = {.height = tile_value_affine(t, t->s->weights.at[w].body, TILE_LOG2_E)};
  if (alive) r.height = sweep_choose(e, alive, r.height, lanes_float(&t->l, -INFINITY));
  r.distance = lanes_weight_exponent(&t->l, LLVMBuildFAdd(e->b, r.height, lanes_splat(&t->l, s->depth[w]), ""));
  V steps;
  r.part = lanes_exp2_weight(&t->l, r.distance, &steps);
  s->next.max[w] = sweep_is_flag(t, w, s->beside)
                       ? sweep_bigger_int(e, s->phi.max[w], sweep_into_one(t, steps, sweep_bigger_int))
                       : sweep_bigger(e, s->phi.max[w], r.height);
  if (s->phi.sum[w]) s->next.sum[w] = add_vector(t, s->phi.sum[w], r.part);
  if (t->weight[w].part) tile_put(e, t->weight[w].part, tile_pair_place(t, 0, 0), r.part);
  if (t->weight[w].half) tile_put(e, t->weight[w].half, tile_pair_place(t, 0, 0), lanes_to_bf16(&t->l, r.part));
  return r;
}

static V is_there(Tile *t, const Weighed *w) {
  return sweep_compare(t->e, LLVMRealUGT, w->height, lanes_float(&t->l, -INFINITY));
}

/* Of the columns with the largest log weight the smallest x. */
static V argmax_here(Sweep *s, uint32_t k, const Weighed *w) {
  Tile *t = s->t;
  Emit *e = t->e;
  V old = s->phi.acc[k], x = x_of(t, &t->s->accs.at[k]), max = s->phi.max[t->s->accs.at[k].weight];
  V above = sweep_compare(e, LLVMRealOGT, w->height, max), equal = sweep_compare(e, LLVMRealOEQ, w->height, max);
  return sweep_choose(e, above, x, sweep_choose(e, equal, sweep_smaller_int(e, old, x), old));
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
    if (alive) x = sweep_choose(e, alive, x, sweep_none_of(&t->l, a->acc));
    s->next.acc[k] = tile_combine(e, a->acc, s->phi.acc[k], all_into_one(t, a->acc, x));
  } else if (a->use == USE_CONTRACT && a->acc->kind == ACC_SUM) {
    x = a->factor ? x_of(t, a) : lanes_float(&t->l, 1);
    tile_put(e, t->acc[k].x, tile_pair_place(t, 0, 0), alive ? sweep_choose(e, alive, x, zero) : x);
  } else if (a->use == USE_CONTRACT && a->factor) {
    x = sweep_choose(e, is_there(t, w), LLVMBuildFMul(e->b, w->part, x_of(t, a), ""), zero);
    tile_put(e, t->acc[k].x, tile_pair_place(t, 0, 0), x);
  } else if (!sweep_has_vector(a))
    return;
  else if (a->acc->kind == ACC_ARGMAX)
    s->next.acc[k] = argmax_here(s, k, w);
  else if (a->acc->kind == ACC_ENTROPY) {
    V one = s->phi.acc[k];
    bool single = t->l.n == t->l.step;
    s->next.acc[k] = single ? lanes_fma(&t->l, w->part, w->distance, one)
                            : add_vector(t, one, LLVMBuildFMul(e->b, w->part, w->distance, ""));
  } else
    s->next.acc[k] = add_vector(t, s->phi.acc[k],
                                sweep_choose(e, is_there(t, w), LLVMBuildFMul(e->b, w->part, x_of(t, a), ""), zero));
}

void sweep_vector(Sweep *s) {
  Tile *t = s->t;
  uint32_t mark = tile_mark(t);
  Weighed *weighed = NEW_ARRAY(t->e->arena, Weighed, t->s->weights.n + 1);
  V alive = t->alive = s->masked || t->live ? sweep_alive_here(t) : NULL;
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
  Vectors first = sweep_vectors_first(t, false), last;
  Count c = count_enter(e, t->vec_lo, t->vec_hi);
  s->phi = sweep_vectors_phi(t, &first, from);
  s->next = sweep_vectors_new(t);
  t->here_column = times(e, c.index, t->l.n);
  sweep_vector(s);
  t->here_column = NULL;
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  sweep_vectors_incoming(t, &s->phi, &s->next, body);
  count_leave(e, &c);
  last = sweep_vectors_phi(t, &first, from);
  sweep_vectors_incoming(t, &last, &s->next, body);
  s->next = last;
}

/* Values of the row are read once, before the loop. */
static void read_row(Tile *t) {
  for (uint32_t n = 0; n < t->s->row.n; n++) tile_value(t, t->s->row.at[n], 0, 0);
}

static void read_references(Sweep *s) {
  Tile *t = s->t;
  s->depth = NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) s->depth[w] = sweep_depth_of(t, w, s->row);
}

/* Once more with another reference wherever that was too low. */
static void sweep_until_settled(Sweep *s) {
  Emit *e = s->t->e;
  LLVMBasicBlockRef again = block_new(e, "sweep");
  block_go(e, again);
  read_references(s);
  sweep_vectors(s);
  if (!s->t->s->weights.n) return;
  LLVMBasicBlockRef settled = block_when(e, sweep_is_above(s), "above");
  sweep_raise_all(s);
  LLVMBuildBr(e->b, again);
  LLVMPositionBuilderAtEnd(e->b, settled);
}

void tile_sweep(Tile *t, bool masked) {
  Emit *e = t->e;
  Sweep s = {.t = t, .masked = masked, .row = sweep_row_of_block(t)};
  uint32_t mark = tile_mark(t);
  t->row_odd = cell_new(e, e->t.i1, "row_odd");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->row_odd);
  read_row(t);
  sweep_until_settled(&s);
  sweep_keep(&s);
  tile_forget(t, mark);
}
