/* tile_merge: two states of a row, each of a part of its columns, become one.
 *
 * Milakov & Gimelshein 2018: (m1, l1, t1) and (m2, l2, t2) are (m, l1 e^(m1 - m) + l2 e^(m2 - m), the same of t) with
 * m = max(m1, m2).  A sum of (log_w - m) weights, for the entropy, moves with its reference: t + l (m1 - m).  A part
 * without weight (m = -inf, and 0 in all its sums) adds nothing, by whatever it is multiplied; one whose sums are NaN
 * is NaN. */
#include <math.h>

#include "back/tile.h"

typedef LLVMValueRef V;

typedef struct Side { V shift, scale, mass; } Side; /* m1 - m (0 where m1 is -inf), 2^that, l1 */
typedef struct Merged { Side x, y; V x_max, y_max; } Merged;

static V greater(Emit *e, V x, V y) { return LLVMBuildFCmp(e->b, LLVMRealOGT, x, y, ""); }
static V add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static V mul(Emit *e, V x, V y) { return LLVMBuildFMul(e->b, x, y, ""); }
static V choose(Emit *e, V c, V x, V y) { return LLVMBuildSelect(e->b, c, x, y, ""); }
static V wide(Emit *e, V x) { return op_convert(e, x, IR_REAL, IR_WIDE); }

static Side side_of(const Tile *t, uint32_t w, V row, V own, V max) {
  Emit *e = t->e;
  V zero = const_float(e, IR_WIDE, 0),
    none = LLVMBuildFCmp(e->b, LLVMRealOEQ, own, LLVMConstReal(e->t.f32, -INFINITY), "");
  V shift = choose(e, none, zero, LLVMBuildFSub(e->b, wide(e, own), wide(e, max), ""));
  return (Side){shift, op_math(e, "exp2", IR_WIDE, shift), tile_get(e, e->t.f64, t->weight[w].mass, row)};
}

static Merged merge_weight(Tile *x, Tile *y, uint32_t w, V row) {
  Emit *e = x->e;
  V a = tile_get(e, e->t.f32, x->weight[w].max, row), b = tile_get(e, e->t.f32, y->weight[w].max, row);
  V max = choose(e, greater(e, b, a), b, a);
  Merged m = {side_of(x, w, row, a, max), side_of(y, w, row, b, max), a, b};
  tile_put(e, x->weight[w].max, row, max);
  tile_put(e, x->weight[w].mass, row, add(e, mul(e, m.x.mass, m.x.scale), mul(e, m.y.mass, m.y.scale)));
  return m;
}

static V moved(const Tile *t, uint32_t k, const Side *s, V row, bool entropy) {
  Emit *e = t->e;
  V state = tile_get(e, e->t.f64, t->acc[k].state, row);
  if (entropy) state = add(e, state, mul(e, s->mass, s->shift));
  return mul(e, state, s->scale);
}

/* Of equal maxima the smaller x. */
static void merge_argmax(Tile *x, Tile *y, uint32_t k, const Merged *m, V row) {
  Emit *e = x->e;
  V a = tile_get(e, e->t.i64, x->acc[k].state, row), b = tile_get(e, e->t.i64, y->acc[k].state, row);
  V better = greater(e, m->y_max, m->x_max), equal = LLVMBuildFCmp(e->b, LLVMRealOEQ, m->y_max, m->x_max, "");
  V tie = choose(e, LLVMBuildICmp(e->b, LLVMIntSLT, b, a, ""), b, a);
  tile_put(e, x->acc[k].state, row, choose(e, better, b, choose(e, equal, tie, a)));
}

static void merge_sums(Tile *x, Tile *y, uint32_t k, V x_scale, V y_scale, V row) {
  Emit *e = x->e;
  V padded = x->acc[k].padded, from = LLVMBuildMul(e->b, row, padded, "");
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, padded, const_int(e, x->l.n), ""));
  V at = LLVMBuildAdd(e->b, from, LLVMBuildMul(e->b, c.index, const_int(e, x->l.n), ""), "");
  V a = tile_get(e, x->l.f32, x->acc[k].sum, at), b = tile_get(e, x->l.f32, y->acc[k].sum, at);
  if (x_scale) a = mul(e, a, lanes_splat(&x->l, op_convert(e, x_scale, IR_WIDE, IR_REAL)));
  if (y_scale) b = mul(e, b, lanes_splat(&x->l, op_convert(e, y_scale, IR_WIDE, IR_REAL)));
  tile_put(e, x->acc[k].sum, at, add(e, a, b));
  count_leave(e, &c);
}

static void merge_plain(Tile *x, Tile *y, uint32_t k, V row) {
  Emit *e = x->e;
  const Acc *a = x->s->accs.at[k].acc;
  LLVMTypeRef type = tile_state_type(e, a);
  V p = tile_get(e, type, x->acc[k].state, row), q = tile_get(e, type, y->acc[k].state, row);
  tile_put(e, x->acc[k].state, row, tile_combine(e, a, p, q));
}

static void merge_acc(Tile *x, Tile *y, uint32_t k, const Merged *weights, V row) {
  const TileAcc *a = &x->s->accs.at[k];
  const Merged *m = &weights[a->weight];
  if (a->use == USE_REDUCE) merge_plain(x, y, k, row);
  else if (a->use == USE_CONTRACT && a->acc->kind == ACC_SUM) merge_sums(x, y, k, NULL, NULL, row);
  else if (a->use == USE_CONTRACT) merge_sums(x, y, k, m->x.scale, m->y.scale, row);
  if (a->use == USE_REDUCE || (a->use == USE_CONTRACT && !x->acc[k].state)) return;
  if (a->acc->kind == ACC_ARGMAX) merge_argmax(x, y, k, m, row);
  else if (a->acc->kind == ACC_EXPECT || a->acc->kind == ACC_ENTROPY) {
    bool entropy = a->acc->kind == ACC_ENTROPY;
    tile_put(x->e, x->acc[k].state, row, add(x->e, moved(x, k, &m->x, row, entropy), moved(y, k, &m->y, row, entropy)));
  }
}

void tile_merge_row(Tile *x, Tile *y, V row) {
  Emit *e = x->e;
  V odd = LLVMBuildOr(e->b, tile_get(e, e->t.i32, x->odd_rows, row), tile_get(e, e->t.i32, y->odd_rows, row), "");
  tile_put(e, x->odd_rows, row, odd);
  Merged *weights = NEW_ARRAY(x->e->arena, Merged, x->s->weights.n + 1);
  for (uint32_t w = 0; w < x->s->weights.n; w++) weights[w] = merge_weight(x, y, w, row);
  for (uint32_t k = 0; k < x->s->accs.n; k++) merge_acc(x, y, k, weights, row);
}
