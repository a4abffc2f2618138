/* tile_carried: what goes around the loop of a sweep, and what it begins with.
 *
 * Of every weight a vector of largest log weights and one of sums; of every accumulator of pairs a vector of what its
 * lanes have seen.  Lanes come together only behind the loop. */
#include <math.h>

#include "back/tile_sweep.h"
#include "base/ice.h"

typedef LLVMValueRef V;

/* ---- accumulators of a pair each ------------------------------------------------------------------ */

V sweep_none_of(const Lanes *l, const Acc *a) {
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
    return sweep_choose(e, LLVMBuildICmp(e->b, a->kind == ACC_MAX ? LLVMIntSGT : LLVMIntSLT, x, y, ""), x, y);
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

bool sweep_asks_for_maximum(const TileStream *s, uint32_t w) {
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use == USE_WEIGHTED && a->weight == w && (a->acc->kind == ACC_MASS || a->acc->kind == ACC_ARGMAX))
      return true;
  }
  return false;
}

bool sweep_is_flag(const Tile *t, uint32_t w, bool beside) { return beside && !sweep_asks_for_maximum(t->s, w); }

bool sweep_has_vector(const TileAcc *a) {
  if (a->use == USE_REDUCE) return true;
  return a->use == USE_WEIGHTED &&
         (a->acc->kind == ACC_EXPECT || a->acc->kind == ACC_ENTROPY || a->acc->kind == ACC_ARGMAX);
}

/* An accumulator whose states are sums over the lanes. */
bool sweep_is_summed(const TileAcc *a) {
  if (a->use == USE_REDUCE) return a->acc->kind == ACC_SUM && a->acc->type != IR_INT;
  return sweep_has_vector(a) && a->acc->kind != ACC_ARGMAX;
}

/* Lanes of a register, where t->l has those of several side by side. */
Lanes sweep_one_register(const Tile *t) { return lanes_of(t->e, t->l.step); }

/* Registers side by side as one. */
V sweep_into_one(const Tile *t, V x, V (*combine)(Emit *, V, V)) {
  for (unsigned n = t->l.n / 2; n >= t->l.step; n /= 2)
    x = combine(t->e, lanes_part(&t->l, x, 0, n), lanes_part(&t->l, x, n, n));
  return x;
}

static V first_of(const Tile *t, const TileAcc *a) {
  Lanes one = sweep_one_register(t);
  if (a->use == USE_REDUCE) return sweep_none_of(&one, a->acc);
  if (sweep_is_summed(a)) return lanes_float(&one, 0);
  return lanes_splat(&t->l, const_int(t->e, INT64_MAX));
}

Vectors sweep_vectors_new(const Tile *t) {
  Arena *arena = t->e->arena;
  return (Vectors){NEW_ARRAY(arena, V, t->s->weights.n + 1), NEW_ARRAY(arena, V, t->s->weights.n + 1),
                   NEW_ARRAY(arena, V, t->s->accs.n + 1)};
}

Vectors sweep_vectors_first(const Tile *t, bool beside) {
  Vectors v = sweep_vectors_new(t);
  Lanes one = sweep_one_register(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    v.max[w] = sweep_is_flag(t, w, beside) ? lanes_bits(&one, INT32_MIN) : lanes_float(&t->l, -INFINITY);
    v.sum[w] = tile_half_is_mass(t->s, w) ? NULL : lanes_float(&one, 0);
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (sweep_has_vector(&t->s->accs.at[k])) v.acc[k] = first_of(t, &t->s->accs.at[k]);
  return v;
}

static V phi_of(Tile *t, V first, LLVMBasicBlockRef from) {
  if (!first) return NULL;
  V phi = LLVMBuildPhi(t->e->b, LLVMTypeOf(first), "");
  LLVMAddIncoming(phi, &first, &from, 1);
  return phi;
}

Vectors sweep_vectors_phi(Tile *t, const Vectors *first, LLVMBasicBlockRef from) {
  Vectors v = sweep_vectors_new(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    v.max[w] = phi_of(t, first->max[w], from), v.sum[w] = phi_of(t, first->sum[w], from);
  for (uint32_t k = 0; k < t->s->accs.n; k++) v.acc[k] = phi_of(t, first->acc[k], from);
  return v;
}

void sweep_vectors_incoming(const Tile *t, const Vectors *phi, const Vectors *next, LLVMBasicBlockRef from) {
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    LLVMAddIncoming(phi->max[w], &next->max[w], &from, 1);
    if (phi->sum[w]) LLVMAddIncoming(phi->sum[w], &next->sum[w], &from, 1);
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (phi->acc[k]) LLVMAddIncoming(phi->acc[k], &next->acc[k], &from, 1);
}
