/* tile_state: the state of a row before its first column, and what becomes of it after the last.  See tile.h. */
#include <math.h>

#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

/* ---- the state of a row before its first column ------------------------------------------------- */

/* Whether the seed's element is there: NULL: always (as far as its mask says). */
static V seed_on(Tile *t) { return t->s->loop->seed_mask ? t->e->val[t->s->loop->seed_mask] : NULL; }

static V choose_on(Emit *e, V on, V x, V y) { return on ? LLVMBuildSelect(e->b, on, x, y, "") : x; }

static V seed_log_w(Tile *t, uint32_t w) {
  Val v = t->s->weights.at[w].seed;
  V x = op_convert(t->e, t->e->val[v], ir_at(t->e->k, v)->type, IR_WIDE);
  return choose_on(t->e, seed_on(t), x, const_float(t->e, IR_WIDE, -INFINITY));
}

static V weight_there(Tile *t, uint32_t w) {
  return LLVMBuildFCmp(t->e->b, LLVMRealUNE, seed_log_w(t, w), const_float(t->e, IR_WIDE, -INFINITY), "");
}

static void begin_weight(Tile *t, uint32_t w, V at, bool seeded) {
  Emit *e = t->e;
  V max = LLVMConstReal(e->t.f32, -INFINITY), mass = const_float(e, IR_WIDE, 0);
  if (seeded && t->s->weights.at[w].seed) {
    V log_w = seed_log_w(t, w), one = const_float(e, IR_WIDE, 1);
    V sound = LLVMBuildFCmp(e->b, LLVMRealOLT, log_w, const_float(e, IR_WIDE, INFINITY), "");
    max = op_convert(e, LLVMBuildFMul(e->b, log_w, const_float(e, IR_WIDE, TILE_LOG2_E), ""), IR_WIDE, IR_REAL);
    mass = LLVMBuildSelect(e->b, weight_there(t, w),
                           LLVMBuildSelect(e->b, sound, one, const_float(e, IR_WIDE, NAN), ""), mass, "");
  }
  tile_put(e, t->weight[w].max, at, max);
  tile_put(e, t->weight[w].mass, at, mass);
}

static V none_of(Emit *e, const Acc *a) {
  if (a->kind == ACC_ARGMAX) return const_int(e, INT64_MAX);
  if (a->type == IR_BOOL) return LLVMConstInt(e->t.i32, a->kind == ACC_ALL, false);
  bool most = a->kind == ACC_MIN, least_one = a->kind == ACC_MAX;
  if (a->type == IR_INT) return const_int(e, a->kind == ACC_PROD ? 1 : most ? INT64_MAX : least_one ? INT64_MIN : 0);
  return const_float(e, IR_WIDE, most ? INFINITY : least_one ? -INFINITY : 0);
}

static V seed_x(Tile *t, const Acc *a) {
  Emit *e = t->e;
  V x = op_convert(e, e->val[a->seed.x], ir_at(e->k, a->seed.x)->type, a->type);
  return a->type == IR_BOOL ? LLVMBuildZExt(e->b, x, e->t.i32, "") : x;
}

static V acc_seeded(Tile *t, const TileAcc *a) {
  if (a->acc->seed.log_w) return weight_there(t, a->weight);
  return seed_on(t);
}

static void begin_sum(Tile *t, uint32_t k, V at, bool seeded) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  V from = LLVMBuildMul(e->b, at, t->acc[k].padded, "");
  Count c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, t->acc[k].padded, const_int(e, t->l.n), ""));
  tile_put(e, t->acc[k].sum, plus(e, from, times(e, c.index, t->l.n)), lanes_float(&t->l, 0));
  count_leave(e, &c);
  V one = const_float(e, IR_WIDE, 1), zero = const_float(e, IR_WIDE, 0);
  if (t->acc[k].state)
    tile_put(e, t->acc[k].state, at,
             seeded && a->acc->seed.log_w ? choose_on(e, weight_there(t, a->weight), one, zero) : zero);
  if (!seeded || !a->acc->seed.x) return;
  V there = acc_seeded(t, a);
  c = count_enter(e, const_int(e, 0), t->acc[k].extent);
  Val index = a->acc->seed.index[0];
  e->val[index] = plus(e, e->val[a->acc->axes[0].lo], c.index);
  e->range[index] = (IndexRange){a->acc->axes[0].lo, a->acc->axes[0].hi};
  emit_code(e, a->acc->seed.at, NULL, false);
  V x = choose_on(e, there, seed_x(t, a->acc), const_float(e, IR_WIDE, 0));
  tile_put(e, t->acc[k].sum, plus(e, from, c.index), op_convert(e, x, IR_WIDE, IR_REAL));
  count_leave(e, &c);
}

static void begin_acc(Tile *t, uint32_t k, V at, bool seeded) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  if (a->use == USE_CONTRACT) {
    begin_sum(t, k, at, seeded);
    return;
  }
  V state = none_of(e, a->acc);
  bool takes = a->use == USE_REDUCE || a->acc->kind == ACC_EXPECT || a->acc->kind == ACC_ARGMAX;
  if (seeded && takes && a->acc->seed.x) state = choose_on(e, acc_seeded(t, a), seed_x(t, a->acc), state);
  tile_put(e, t->acc[k].state, at, state);
}

static void begin_states(Tile *t, V at, bool seeded) {
  if (seeded) emit_code(t->e, t->s->loop->seed, NULL, false);
  for (uint32_t n = 0; n < t->s->weights.n; n++) begin_weight(t, n, at, seeded);
  for (uint32_t n = 0; n < t->s->accs.n; n++) begin_acc(t, n, at, seeded);
}

/* seeded: NULL for always; of the spans of a row's columns the first alone takes the seed. */
void tile_begin_row(Tile *t, V at, V seeded) {
  Emit *e = t->e;
  tile_put(e, t->odd_rows, at, LLVMConstNull(e->t.i32));
  if (!t->s->loop->seed || !seeded) {
    begin_states(t, at, t->s->loop->seed);
    return;
  }
  LLVMBasicBlockRef done = block_new(e, "begun"), bare = block_when(e, seeded, "seeded");
  begin_states(t, at, true);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, bare);
  begin_states(t, at, false);
  block_go(e, done);
}

/* ---- results ------------------------------------------------------------------------------------ */

/* max: in nats. */
typedef struct Mass { V max, mass, empty, bad; } Mass;

static V in_nats(Emit *e, V bits) { return LLVMBuildFMul(e->b, bits, const_float(e, IR_WIDE, TILE_LN_2), ""); }

static Mass mass_of(Tile *t, uint32_t w, V at) {
  Emit *e = t->e;
  V max = op_convert(e, tile_get(e, e->t.f32, t->weight[w].max, at), IR_REAL, IR_WIDE);
  Mass m = {in_nats(e, max), tile_get(e, e->t.f64, t->weight[w].mass, at), 0, 0};
  m.empty = LLVMBuildFCmp(e->b, LLVMRealOEQ, m.mass, const_float(e, IR_WIDE, 0), "");
  m.bad = LLVMBuildFCmp(e->b, LLVMRealUNO, m.mass, m.mass, "");
  return m;
}

static V weighted_result(Tile *t, uint32_t k, const Mass *m, V at) {
  Emit *e = t->e;
  const Acc *a = t->s->accs.at[k].acc;
  V zero = const_float(e, IR_WIDE, 0), none = const_float(e, IR_WIDE, -INFINITY), v;
  if (a->kind == ACC_ARGMAX) {
    V out = LLVMBuildOr(e->b, m->empty, m->bad, "");
    return LLVMBuildSelect(e->b, out, const_int(e, -1), tile_get(e, e->t.i64, t->acc[k].state, at), "");
  }
  V log_mass = op_math(e, "log", IR_WIDE, m->mass);
  if (a->kind == ACC_LSE) return LLVMBuildSelect(e->b, m->empty, none, LLVMBuildFAdd(e->b, log_mass, m->max, ""), "");
  if (a->kind == ACC_MASS) return LLVMBuildSelect(e->b, m->empty, none, log_mass, "");
  v = LLVMBuildFDiv(e->b, tile_get(e, e->t.f64, t->acc[k].state, at), m->mass, "");
  if (a->kind == ACC_ENTROPY) v = LLVMBuildFSub(e->b, log_mass, in_nats(e, v), "");
  return LLVMBuildSelect(e->b, m->empty, zero, v, "");
}

static V plain_result(Tile *t, uint32_t k, V at) {
  Emit *e = t->e;
  const Acc *a = t->s->accs.at[k].acc;
  if (a->type == IR_BOOL) {
    V x = tile_get(e, e->t.i32, t->acc[k].state, at);
    return LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(e->t.i32), "");
  }
  return tile_get(e, a->type == IR_INT ? e->t.i64 : e->t.f64, t->acc[k].state, at);
}

/* Elements first .. first + n of a row's sums, n being the type's: over the mass, whose reciprocal is taken once. */
static V sums_over(Tile *t, uint32_t k, LLVMTypeRef narrow, LLVMTypeRef wide, V at, const Mass *m, V inverse,
                   V factor) {
  Emit *e = t->e;
  V x = LLVMBuildFPExt(e->b, tile_get(e, narrow, t->acc[k].sum, at), wide, "");
  bool one = wide == e->t.f64;
  if (factor) x = LLVMBuildFMul(e->b, x, one ? factor : lanes_splat(&t->l, factor), "");
  if (!inverse) return x;
  V zero = LLVMConstNull(wide), by = one ? inverse : lanes_splat(&t->l, inverse);
  return LLVMBuildSelect(e->b, m->empty, zero, LLVMBuildFMul(e->b, x, by, ""), "");
}

/* What all results of the accumulator are multiplied by; NULL: nothing. */
static V common_factor(Tile *t, uint32_t k) { return t->s->accs.at[k].by.n ? tile_common_factor(t, k) : NULL; }

/* A local array is the kernel's own and lies along its last axis. */
static void vector_result(Tile *t, uint32_t k, V at) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Array *array = a->acc->result_at;
  V from = LLVMBuildMul(e->b, at, t->acc[k].padded, ""), inverse = NULL, factor = common_factor(t, k);
  Mass m = {0};
  if (a->acc->kind == ACC_EXPECT) {
    m = mass_of(t, a->weight, at);
    if (t->acc[k].state) m.mass = tile_get(e, e->t.f64, t->acc[k].state, at);
    inverse = LLVMBuildFDiv(e->b, const_float(e, IR_WIDE, 1), m.mass, "");
  }
  V whole = const_int(e, 0), lanes = const_int(e, t->l.n), extent = t->acc[k].extent;
  if (array->elem == STORE_WIDE) {
    whole = LLVMBuildUDiv(e->b, extent, lanes, "");
    Count c = count_enter(e, const_int(e, 0), whole);
    V c0 = times(e, c.index, t->l.n),
      x = sums_over(t, k, t->l.f32, LLVMVectorType(e->t.f64, t->l.n), plus(e, from, c0), &m, inverse, factor);
    LLVMSetAlignment(LLVMBuildStore(e->b, x, array_at(e, array, c0)), 8);
    count_leave(e, &c);
    whole = times(e, whole, t->l.n);
  }
  Count c = count_enter(e, whole, extent);
  V x = sums_over(t, k, e->t.f32, e->t.f64, plus(e, from, c.index), &m, inverse, factor);
  array_put(e, array, array_at(e, array, c.index), x, IR_WIDE);
  count_leave(e, &c);
}

/* Gives the accumulators' results the values of the row at local number `at`. */
void tile_load_results(Tile *t, V at) {
  Emit *e = t->e;
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    const TileAcc *a = &t->s->accs.at[k];
    if (a->use == USE_CONTRACT) {
      vector_result(t, k, at);
      continue;
    }
    if (!a->acc->result) continue;
    Mass m = {0};
    if (a->use == USE_WEIGHTED) m = mass_of(t, a->weight, at);
    e->val[a->acc->result] = a->use == USE_WEIGHTED ? weighted_result(t, k, &m, at) : plain_result(t, k, at);
  }
}
