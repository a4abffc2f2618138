/* tile_rows: loops over rows in blocks, the states of rows, and what becomes of them.  See tile.h.
 *
 * The workspace of one such loop: operands, panels and buffers of pairs of one block, and states of its rows; sizes
 * follow from the extents of feature loops and axes, never from the numbers of rows and columns.  Loops over rows that
 * do not run at once share it; a loop inside another's rows lies behind that. */
#include <math.h>

#include "back/tile.h"
#include "base/ice.h"
#include "ir/build.h"

typedef LLVMValueRef V;

static V plus(Emit *e, V x, V y) { return LLVMBuildAdd(e->b, x, y, ""); }
static V minus(Emit *e, V x, V y) { return LLVMBuildSub(e->b, x, y, ""); }
static V times(Emit *e, V x, uint64_t n) { return LLVMBuildMul(e->b, x, const_int(e, (int64_t)n), ""); }
static V least(Emit *e, V x, V y) { return op_extreme(e, IR_INT, false, x, y); }
static V ceil_div(Emit *e, V x, uint64_t n) {
  return LLVMBuildUDiv(e->b, plus(e, x, const_int(e, (int64_t)n - 1)), const_int(e, (int64_t)n), "");
}

enum { LONG_SWEEP = 20, MANY_LANES = 16 }; /* LONG_SWEEP: instructions of a vector of pairs */

/* ---- workspace ---------------------------------------------------------------------------------- */

/* Hands out addresses one after another; without a base only counts bytes (saturating). */
typedef struct Taker { Emit *e; V base, used; } Taker;

static V take(Taker *s, V count, uint32_t bytes) {
  Emit *e = s->e;
  V at = s->base ? LLVMBuildGEP2(e->b, e->t.i8, s->base, &s->used, 1, "") : NULL;
  V size = layout_multiply(e, count, const_int(e, bytes));
  size = LLVMBuildAnd(e->b, layout_add(e, size, const_int(e, 63)), const_int(e, -64), "");
  s->used = layout_add(e, s->used, size);
  return at;
}

static uint32_t lane_bytes(const Emit *e, Val v) { return ir_at(e->k, v)->type == IR_INT ? 8 : 4; }

static V extent_of(Emit *e, Val lo, Val hi) {
  V gap = minus(e, layout_size(e, hi), layout_size(e, lo));
  return op_extreme(e, IR_INT, true, gap, const_int(e, 0));
}

static void take_operands(Tile *t, Taker *s, const ValVec *values, TileSource from, uint32_t feature, V count) {
  for (uint32_t n = 0; n < values->n; n++) {
    Val v = values->at[n];
    t->operand[v] = (TileOperand){.from = from, .at = take(s, count, lane_bytes(t->e, v)), .feature = feature};
  }
}

static bool contracts_weight(const TileStream *s, uint32_t w, bool rounds) {
  for (uint32_t k = 0; k < s->accs.n; k++) {
    const TileAcc *a = &s->accs.at[k];
    if (a->use == USE_CONTRACT && a->acc->kind == ACC_EXPECT && !a->factor && a->weight == w && a->rounds == rounds) return true;
  }
  return false;
}

/* In buffers of pairs: of a strip, or of a block that is read in place. */
static V pairs_of(const Tile *t) {
  const TileShape *shape = &t->s->shape;
  uint32_t few = tile_place_can(t) ? (TILE_FEW + shape->rows - 1) / shape->rows : 1;
  return const_int(t->e, (int64_t)few * shape->rows * shape->col_block);
}

static void take_acc(Tile *t, Taker *s, uint32_t k) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const TileShape *shape = &t->s->shape;
  AccSpace *x = &t->acc[k];
  V pairs = pairs_of(t);
  if (a->use != USE_CONTRACT) return;
  if (a->factor || a->acc->kind == ACC_SUM) x->x = take(s, pairs, 4);
  x->extent = extent_of(e, a->acc->axes[0].lo, a->acc->axes[0].hi);
  x->padded = times(e, ceil_div(e, x->extent, t->panel_width), t->panel_width);
  x->panel = take(s, layout_multiply(e, x->padded, const_int(e, shape->col_block)), a->rounds ? 2 : 4);
  if (a->rounds) x->scratch = take(s, layout_multiply(e, x->padded, const_int(e, t->l.n)), 2);
}

static void take_stream(Tile *t, Taker *s) {
  Emit *e = t->e;
  const TileShape *shape = &t->s->shape;
  V rows = const_int(e, shape->row_block), cols = const_int(e, shape->col_block);
  V pairs = pairs_of(t);
  t->bad = take(s, cols, 4);
  take_operands(t, s, &t->s->row, FROM_ROW, 0, rows);
  take_operands(t, s, &t->s->col, FROM_COL, 0, cols);
  take_operands(t, s, &t->s->diagonal, FROM_DIAGONAL, 0, plus(e, rows, cols));
  for (uint32_t n = 0; n < t->s->features.n; n++) {
    const TileFeature *f = &t->s->features.at[n];
    t->extent[n] = extent_of(e, f->loop->lo, f->loop->hi);
    if (f->is_dot) t->extent[n] = ceil_div(e, t->extent[n], 2);
    t->padded[n] = tile_padded(t, t->extent[n]);
    take_operands(t, s, &f->row, FROM_ROW_FEATURE, n, layout_multiply(e, t->padded[n], rows));
    take_operands(t, s, &f->col, FROM_COL_FEATURE, n, layout_multiply(e, t->padded[n], cols));
    for (uint32_t k = 0; k < f->col.n; k++)
      if (lane_bytes(e, f->col.at[k]) == 4)
        t->operand[f->col.at[k]].scratch = take(s, layout_multiply(e, t->padded[n], const_int(e, t->l.n)), 4);
    if (f->is_log) t->operand[f->log_row].top = take(s, rows, 4), t->operand[f->log_col].top = take(s, cols, 4);
    for (uint32_t k = 0; k < f->loop->accs.n; k++) {
      Val result = f->loop->accs.at[k]->result;
      t->operand[result] = (TileOperand){.from = f->is_log ? FROM_LOG_PAIR : FROM_PAIR, .at = take(s, pairs, lane_bytes(e, result)), .feature = n};
    }
  }
  for (uint32_t n = 0; n < t->s->weights.n; n++) {
    if (contracts_weight(t->s, n, false)) t->weight[n].part = take(s, pairs, 4);
    if (contracts_weight(t->s, n, true)) t->weight[n].half = take(s, pairs, 2);
  }
  for (uint32_t n = 0; n < t->s->accs.n; n++) take_acc(t, s, n);
}

/* What is known of `rows` rows after some of the columns. */
static void take_states(Tile *t, Taker *s, V rows) {
  t->kept_odd = take(s, const_int(t->e, 1), 8);
  t->odd_rows = take(s, rows, 4);
  for (uint32_t n = 0; n < t->s->weights.n; n++) {
    t->weight[n].max = take(s, rows, 4);
    t->weight[n].mass = take(s, rows, 8);
  }
  for (uint32_t n = 0; n < t->s->accs.n; n++) {
    AccSpace *x = &t->acc[n];
    bool contracts = t->s->accs.at[n].use == USE_CONTRACT;
    if (contracts) x->sum = take(s, layout_multiply(t->e, x->padded, rows), 4);
    if (!contracts || tile_half_has_mass(t->s, n)) x->state = take(s, rows, 8);
  }
}

static Tile *tile_new(Emit *e, const TileRows *rows, const TileStream *s) {
  Tile *t = NEW(e->arena, Tile);
  *t = (Tile){.e = e, .rows = rows, .s = s, .l = lanes_of(e, s->shape.lanes), .nrow = s->shape.rows, .nvec = s->shape.vectors};
  t->width = t->nvec * s->shape.lanes, t->panel_width = s->shape.at_once * s->shape.lanes;
  t->operand = NEW_ARRAY(e->arena, TileOperand, e->k->instrs.n);
  t->memo = NEW_ARRAY(e->arena, V *, e->k->instrs.n);
  t->extent = NEW_ARRAY(e->arena, V, s->features.n + 1);
  t->padded = NEW_ARRAY(e->arena, V, s->features.n + 1);
  t->weight = NEW_ARRAY(e->arena, WeightSpace, s->weights.n + 1);
  t->acc = NEW_ARRAY(e->arena, AccSpace, s->accs.n + 1);
  return t;
}

/* One Tile for every stream; NULL for those that are not tiled.  Returns the bytes. */
static V tiles_of(Emit *e, const TileRows *rows, V base, Tile **tiles) {
  Taker s = {e, base, const_int(e, 0)};
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    tiles[n] = rows->streams.at[n]->why ? NULL : tile_new(e, rows, rows->streams.at[n]);
    if (!tiles[n]) continue;
    take_stream(tiles[n], &s);
    take_states(tiles[n], &s, const_int(e, rows->streams.at[n]->shape.row_block));
  }
  return s.used;
}

/* Whether the inner loop runs while rows of the outer one have states. */
static bool runs_within(const TileRows *inner, const TileRows *outer) {
  return inner != outer && region_contains(outer->loop->body, inner->loop->body);
}

static V own_bytes(Emit *e, const TileRows *rows) { return tiles_of(e, rows, NULL, NEW_ARRAY(e->arena, Tile *, rows->streams.n)); }

/* With the two states of loops with spans. */
static V all_bytes(Emit *e, const TileRows *rows) {
  V bytes = own_bytes(e, rows);
  return tile_has_spans(e->k, rows) ? layout_add(e, bytes, layout_multiply(e, tile_state_bytes(e, rows), const_int(e, 2))) : bytes;
}

/* Bytes of the tiled loops around this one, whose places it must leave alone. */
static V bytes_around(Emit *e, const TileRows *rows) {
  V bytes = const_int(e, 0);
  for (uint32_t n = 0; n < e->plan->rows.n; n++) {
    const TileRows *outer = e->plan->rows.at[n];
    if (!outer->tiled || !runs_within(rows, outer)) continue;
    bytes = layout_add(e, bytes, all_bytes(e, outer));
  }
  return bytes;
}

V tile_workspace(Emit *e) {
  V most = const_int(e, 0);
  for (uint32_t n = 0; e->plan && n < e->plan->rows.n; n++) {
    const TileRows *rows = e->plan->rows.at[n];
    if (!rows->tiled) continue;
    V bytes = layout_add(e, bytes_around(e, rows), all_bytes(e, rows));
    V more = LLVMBuildICmp(e->b, LLVMIntUGT, bytes, most, "");
    most = LLVMBuildSelect(e->b, more, bytes, most, "");
  }
  return most;
}

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
    mass = LLVMBuildSelect(e->b, weight_there(t, w), LLVMBuildSelect(e->b, sound, one, const_float(e, IR_WIDE, NAN), ""), mass, "");
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
  if (t->acc[k].state) tile_put(e, t->acc[k].state, at, seeded && a->acc->seed.log_w ? choose_on(e, weight_there(t, a->weight), one, zero) : zero);
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
static void begin_row(Tile *t, V at, V seeded) {
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
static V sums_over(Tile *t, uint32_t k, LLVMTypeRef narrow, LLVMTypeRef wide, V at, const Mass *m, V inverse) {
  Emit *e = t->e;
  V x = LLVMBuildFPExt(e->b, tile_get(e, narrow, t->acc[k].sum, at), wide, "");
  if (!inverse) return x;
  bool one = wide == e->t.f64;
  V zero = LLVMConstNull(wide), by = one ? inverse : lanes_splat(&t->l, inverse);
  return LLVMBuildSelect(e->b, m->empty, zero, LLVMBuildFMul(e->b, x, by, ""), "");
}

/* A local array is the kernel's own and lies along its last axis. */
static void vector_result(Tile *t, uint32_t k, V at) {
  Emit *e = t->e;
  const TileAcc *a = &t->s->accs.at[k];
  const Array *array = a->acc->result_at;
  V from = LLVMBuildMul(e->b, at, t->acc[k].padded, ""), inverse = NULL;
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
    V c0 = times(e, c.index, t->l.n), x = sums_over(t, k, t->l.f32, LLVMVectorType(e->t.f64, t->l.n), plus(e, from, c0), &m, inverse);
    LLVMSetAlignment(LLVMBuildStore(e->b, x, array_at(e, array, c0)), 8);
    count_leave(e, &c);
    whole = times(e, whole, t->l.n);
  }
  Count c = count_enter(e, whole, extent);
  V x = sums_over(t, k, e->t.f32, e->t.f64, plus(e, from, c.index), &m, inverse);
  array_put(e, array, array_at(e, array, c.index), x, IR_WIDE);
  count_leave(e, &c);
}

/* Gives the accumulators' results the values of the row at local number `at`. */
static void load_results(Tile *t, V at) {
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

/* ---- blocks ------------------------------------------------------------------------------------- */

/* Of rows.  before: how many come before it, from the first on; lo .. hi: its columns, of one stream alone; NULL: all. */
typedef struct Block { Tile **tiles; V before, first, rows, odd, lo, hi, seeded; } Block;

static Val loop_instr(const Kernel *k, const Region *r, const Loop *l) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_at(k, r->code.at[n])->loop == l && ir_at(k, r->code.at[n])->op == IR_LOOP) return r->code.at[n];
  ICE("a loop is not in its region");
}

static void set_row(Emit *e, const TileRows *rows, const Block *b, V *around, V at) {
  group_row(e, rows, around, plus(e, b->before, least(e, at, minus(e, b->rows, const_int(e, 1)))));
}

/* What stream n reads from the body of its rows; the streams before it have been computed. */
static bool *row_slice(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  const TileStream *s = rows->streams.at[n];
  const Region *body = rows->loop->body;
  Need need = {e->k, NEW_ARRAY(e->arena, bool, e->k->instrs.n), NEW_ARRAY(e->arena, bool, e->k->arrays.n)};
  tile_need_row(b->tiles[n], &need);
  need_instr(&need, ir_at(e->k, loop_instr(e->k, body, s->loop))); /* columns and seeds read uniform values and rows' too */
  bool *pick = need_slice(e, &need, body);
  for (uint32_t k = 0; k < rows->streams.n; k++)
    if (b->tiles[k]) pick[loop_instr(e->k, body, rows->streams.at[k]->loop)] = false;
  return pick;
}

static void begin_rows(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  Tile *t = b->tiles[n];
  V strips = ceil_div(e, b->rows, t->nrow), *around = group_begin(e, rows);
  Count c = count_enter(e, const_int(e, 0), times(e, strips, t->nrow));
  set_row(e, rows, b, around, c.index);
  for (uint32_t k = 0; k < n; k++)
    if (b->tiles[k]) load_results(b->tiles[k], least(e, c.index, minus(e, b->rows, const_int(e, 1))));
  emit_code(e, rows->loop->body, row_slice(e, rows, b, n), true);
  tile_pack_row(t, c.index);
  begin_row(t, c.index, b->seeded);
  count_leave(e, &c);
  group_end(e, rows, around);
}

/* Whether what the mask leaves out may be passed over. */
static bool is_skipped(const Tile *t) { return t->s->loop->mask && !emit_checks_beyond_mask(t->e->k, t->s->loop); }

static V true_(Emit *e) { return LLVMConstInt(e->t.i1, 1, false); }

/* The vectors of the strip from the first to the last that may hold a pair, and the tiles of which a pair is missing;
 * returns whether there is a vector.  Tiles are asked first, the vectors of those that are cut then. */
static V live_vectors(Tile *t, V partial) {
  Emit *e = t->e;
  V lo = cell_new(e, e->t.i64, "vec_lo"), hi = cell_new(e, e->t.i64, "vec_hi"), place = cell_new(e, e->t.i64, "place"), width = cell_new(e, e->t.i64, "width");
  V zero = const_int(e, 0), one = const_int(e, 1), tile = const_int(e, t->nvec);
  LLVMBuildStore(e->b, t->vec_hi, lo);
  LLVMBuildStore(e->b, zero, hi);
  LLVMBuildStore(e->b, zero, place);
  LLVMBuildStore(e->b, tile, width);
  LLVMBasicBlockRef loop = block_new(e, "ask"), done = block_new(e, "asked"), cut = block_new(e, "cut"), next = block_new(e, "next");
  block_go(e, loop);
  V at = LLVMBuildLoad2(e->b, e->t.i64, place, ""), many = LLVMBuildLoad2(e->b, e->t.i64, width, ""), end = plus(e, at, many);
  Truth truth = tile_mask_vectors(t, at, many);
  V whole = LLVMBuildICmp(e->b, LLVMIntEQ, many, tile, ""), missing = LLVMBuildNot(e->b, truth.must, "");
  LLVMBasicBlockRef single = block_when(e, whole, "tile");
  LLVMBuildStore(e->b, missing, tile_address(e, e->t.i1, partial, LLVMBuildUDiv(e->b, at, tile, "")));
  block_go(e, single);
  LLVMBuildCondBr(e->b, LLVMBuildAnd(e->b, whole, LLVMBuildAnd(e->b, truth.may, missing, ""), ""), cut, next);
  LLVMPositionBuilderAtEnd(e->b, cut);
  LLVMBuildStore(e->b, one, width);
  LLVMBuildBr(e->b, loop);
  LLVMPositionBuilderAtEnd(e->b, next);
  LLVMBasicBlockRef dead = block_when(e, truth.may, "live");
  LLVMBuildStore(e->b, least(e, at, LLVMBuildLoad2(e->b, e->t.i64, lo, "")), lo);
  LLVMBuildStore(e->b, least(e, end, t->vec_hi), hi);
  block_go(e, dead);
  LLVMBuildStore(e->b, end, place);
  V begins = LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildURem(e->b, end, tile, ""), zero, "");
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, begins, tile, one, ""), width);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, end, t->vec_hi, ""), loop, done);
  LLVMPositionBuilderAtEnd(e->b, done);
  t->vec_lo = LLVMBuildLoad2(e->b, e->t.i64, lo, "");
  t->vec_hi = LLVMBuildLoad2(e->b, e->t.i64, hi, "");
  return LLVMBuildICmp(e->b, LLVMIntSLT, t->vec_lo, t->vec_hi, "");
}

static void do_strip(Tile *t) {
  Emit *e = t->e;
  V vectors = ceil_div(e, t->cols_in_block, t->l.n);
  t->vec_lo = const_int(e, 0), t->vec_hi = vectors, t->partial = NULL;
  t->all = t->s->loop->mask ? LLVMConstNull(e->t.i1) : true_(e);
  if (!is_skipped(t)) {
    tile_strip(t);
    return;
  }
  Truth strip = tile_mask_strip(t);
  V lo = cell_new(e, e->t.i64, "lo"), hi = cell_new(e, e->t.i64, "hi");
  t->partial = cell_new(e, LLVMArrayType2(e->t.i1, t->s->shape.col_block / t->width), "partial");
  LLVMBuildStore(e->b, t->vec_lo, lo);
  LLVMBuildStore(e->b, t->vec_hi, hi);
  LLVMBasicBlockRef dead = block_when(e, strip.may, "strip"), begin = block_new(e, "begin");
  LLVMBasicBlockRef whole = block_when(e, LLVMBuildNot(e->b, strip.must, ""), "cut");
  V some = live_vectors(t, t->partial);
  LLVMBuildStore(e->b, t->vec_lo, lo);
  LLVMBuildStore(e->b, t->vec_hi, hi);
  LLVMBuildCondBr(e->b, some, begin, dead);
  LLVMPositionBuilderAtEnd(e->b, whole);
  block_go(e, begin);
  t->all = strip.must;
  t->vec_lo = LLVMBuildLoad2(e->b, e->t.i64, lo, "");
  t->vec_hi = LLVMBuildLoad2(e->b, e->t.i64, hi, "");
  tile_strip(t);
  block_go(e, dead);
}

static void place_features(Tile *t) {
  tile_place_begin(t);
  LLVMBasicBlockRef panels = block_when(t->e, t->in_place, "place");
  tile_place_features(t, is_skipped(t));
  block_go(t->e, panels);
}

static void place_contract(Tile *t) {
  LLVMBasicBlockRef panels = block_when(t->e, t->in_place, "place");
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (t->s->accs.at[k].use == USE_CONTRACT) tile_place_contract(t, k);
  block_go(t->e, panels);
}

static void do_strips(Tile *t) {
  Emit *e = t->e;
  if (t->in_place) place_features(t);
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
  t->strip = c.index;
  if (t->in_place) {
    t->pair_row = LLVMBuildSelect(e->b, t->in_place, times(e, c.index, t->nrow), const_int(e, 0), "");
    tile_place_no_range(t);
  }
  do_strip(t);
  count_leave(e, &c);
  if (t->in_place) place_contract(t);
}

static void set_columns(Tile *t, V first, V hi) {
  t->first_col = first;
  t->cols_in_block = least(t->e, minus(t->e, hi, first), const_int(t->e, t->s->shape.col_block));
  t->tiles = ceil_div(t->e, t->cols_in_block, t->width);
}

/* What is kept in the states of a span from one function to the next. */
static V kept_bad(const Tile *t) { return field_at(t->e, t->kept_odd, 4); }

static void carry_flag(Emit *e, V from, V to) { LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, e->t.i1, from, ""), to); }

static void pack_here(Tile *t) {
  tile_pack_columns(t);
  if (t->s->diagonal.n) tile_pack_diagonals(t);
}

static void pack_elsewhere(Tile *t) {
  Emit *e = t->e;
  carry_flag(e, t->odd, t->kept_odd);
  parallel_pack(e, t->first_col);
  carry_flag(e, t->kept_odd, t->odd);
  carry_flag(e, kept_bad(t), t->some_bad);
}

/* Whether what is packed of columns is packed elsewhere. */
static bool packs_elsewhere(const Tile *t) { return t->e->shared_rows == t->rows && t->e->pack; }

/* What strips read of a block of columns. */
static void get_columns(Tile *t) {
  Emit *e = t->e;
  t->some_bad = cell_new(e, e->t.i1, "some_bad");
  LLVMBasicBlockRef done = t->in_place ? block_new(e, "packed") : NULL;
  if (t->in_place) {
    LLVMBasicBlockRef packs = block_when(e, t->in_place, "bare");
    tile_pack_columns_bare(t);
    if (t->s->diagonal.n) tile_pack_diagonals(t);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, packs);
  }
  if (packs_elsewhere(t)) pack_elsewhere(t);
  else pack_here(t);
  if (done) block_go(e, done);
}

/* A block of columns that the mask leaves empty is passed over before anything else of it is computed.  The last block comes
 * first: where weights decay with the distance from the diagonal of a prefix, references then fit from the start. */
static void do_columns(Tile *t, V lo, V hi) {
  Emit *e = t->e;
  uint32_t block = t->s->shape.col_block;
  V some = op_extreme(e, IR_INT, true, minus(e, hi, lo), const_int(e, 0));
  V blocks = ceil_div(e, some, block);
  Count c = count_enter(e, const_int(e, 0), blocks);
  set_columns(t, plus(e, lo, times(e, minus(e, minus(e, blocks, c.index), const_int(e, 1)), block)), hi);
  LLVMBasicBlockRef done = NULL;
  if (is_skipped(t)) {
    tile_mask_columns(t);
    done = block_when(e, tile_mask_block(t).may, "block");
  }
  get_columns(t);
  do_strips(t);
  if (done) block_go(e, done);
  count_leave(e, &c);
}

static void set_block(Tile *t, const Block *b) {
  t->first_row = b->first;
  t->rows_in_block = b->rows;
  t->period = group_is(t->e, t->rows) ? group_period(t->e, t->rows) : NULL;
  t->odd = b->odd;
  /* side by side where registers are too few for a sweep in pieces among the multiply-adds */
  t->unit = (t->l.n < MANY_LANES && tile_pair_cost(t) > LONG_SWEEP) || !t->s->shape.hosts ? t->nvec : 1;
  tile_carry_factors(t);
}

static void begin_stream(Emit *e, const TileRows *rows, const Block *b, uint32_t n) {
  set_block(b->tiles[n], b);
  tile_check_factors(b->tiles[n]);
  begin_rows(e, rows, b, n);
}

static void do_stream(Emit *e, const Block *b, uint32_t n) {
  Tile *t = b->tiles[n];
  if (is_skipped(t)) {
    tile_mask_begin(t);
    tile_mask_rows(t);
  }
  do_columns(t, b->lo ? b->lo : e->val[t->s->loop->lo], b->hi ? b->hi : e->val[t->s->loop->hi]);
}

/* The rest of a row's body, the streams on tiles being known. */
static void finish_row(Emit *e, const TileRows *rows, const Block *b, V at) {
  bool *tiled = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    if (!b->tiles[n]) continue;
    load_results(b->tiles[n], at);
    tiled[loop_instr(e->k, rows->loop->body, rows->streams.at[n]->loop)] = true;
  }
  emit_code(e, rows->loop->body, tiled, false);
}

static void scalar_row(Emit *e, const TileRows *rows) {
  const TilePlan *plan = e->plan;
  e->plan = NULL;
  emit_code(e, rows->loop->body, NULL, false);
  e->plan = plan;
}

static V has_lost_mass(Tile *t, V at) {
  Emit *e = t->e;
  V any = LLVMConstNull(e->t.i1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    if (!tile_adds_logs(t, w)) continue;
    V mass = tile_get(e, e->t.f64, t->weight[w].mass, at);
    any = LLVMBuildOr(e->b, any, LLVMBuildFCmp(e->b, LLVMRealUNO, mass, mass, ""), "");
  }
  return any;
}

/* All streams take the rows in blocks that fit the smallest. */
uint32_t tile_block_rows(const TileRows *rows) {
  uint32_t size = 0;
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    uint32_t block = rows->streams.at[n]->shape.row_block;
    if (!rows->streams.at[n]->why && (!size || block < size)) size = block;
  }
  return size;
}

/* How many rows a block has where it is emitted: bits do not depend on it. */
static V block_rows(const Emit *e, const TileRows *rows) {
  return e->shared_rows == rows ? e->block_rows : const_int(e, tile_block_rows(rows));
}

/* The row at local number `at` of that block. */
void tile_odd_row(Emit *e, const TileRows *rows, V block, V at) {
  group_row(e, rows, group_begin(e, rows), plus(e, LLVMBuildMul(e->b, block, block_rows(e, rows), ""), at));
  scalar_row(e, rows);
}

/* Of the block, or of the row in any of its streams. */
static V is_odd(Emit *e, const TileRows *rows, const Block *b, V at) {
  V odd = LLVMBuildLoad2(e->b, e->t.i1, b->odd, "");
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    if (!b->tiles[n]) continue;
    V own = tile_get(e, e->t.i32, b->tiles[n]->odd_rows, at);
    odd = LLVMBuildOr(e->b, odd, LLVMBuildICmp(e->b, LLVMIntNE, own, LLVMConstNull(e->t.i32), ""), "");
    odd = LLVMBuildOr(e->b, odd, has_lost_mass(b->tiles[n], at), "");
  }
  return odd;
}

static void end_block(Emit *e, const TileRows *rows, const Block *b) {
  V *around = group_begin(e, rows);
  Count c = count_enter(e, const_int(e, 0), b->rows);
  set_row(e, rows, b, around, c.index);
  LLVMBasicBlockRef done = block_new(e, "rows"), usual = block_when(e, is_odd(e, rows, b, c.index), "odd");
  if (e->shared_rows == rows && e->odd_rows) parallel_odd_row(e, c.index);
  else scalar_row(e, rows);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, usual);
  finish_row(e, rows, b, c.index);
  block_go(e, done);
  count_leave(e, &c);
  group_end(e, rows, around);
}

/* The block of that number, whose tiles have their places. */
static Block block_at(Emit *e, const TileRows *rows, V block) {
  V size = block_rows(e, rows);
  Block b = {.tiles = NEW_ARRAY(e->arena, Tile *, rows->streams.n), .odd = cell_new(e, e->t.i1, "odd")};
  V around = bytes_around(e, rows);
  tiles_of(e, rows, LLVMBuildGEP2(e->b, e->t.i8, e->tile_space, &around, 1, ""), b.tiles);
  b.before = LLVMBuildMul(e->b, block, size, "");
  b.first = plus(e, e->val[rows->loop->lo], b.before);
  b.rows = least(e, minus(e, group_rows(e, rows), b.before), size);
  return b;
}

void tile_block(Emit *e, const TileRows *rows, V block) {
  Block b = block_at(e, rows, block);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), b.odd);
  for (uint32_t n = 0; n < rows->streams.n; n++)
    if (b.tiles[n]) begin_stream(e, rows, &b, n), do_stream(e, &b, n);
  end_block(e, rows, &b);
}

void tile_rows(Emit *e, const TileRows *rows) {
  V lo = e->val[rows->loop->lo], hi = e->val[rows->loop->hi];
  V some = op_extreme(e, IR_INT, true, minus(e, hi, lo), const_int(e, 0));
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, some, tile_block_rows(rows)));
  tile_block(e, rows, c.index);
  count_leave(e, &c);
}

/* ---- spans ---------------------------------------------------------------------------------------- */

static const TileStream *only_stream(const TileRows *rows) { return rows->streams.at[0]; }

bool tile_has_spans(const Kernel *k, const TileRows *rows) {
  if (rows->streams.n != 1 || rows->tiled != 1) return false;
  const Loop *l = only_stream(rows)->loop;
  return tile_follows_from_sizes(k, l->lo) && tile_follows_from_sizes(k, l->hi) && tile_follows_from_sizes(k, rows->loop->lo) &&
         tile_follows_from_sizes(k, rows->loop->hi);
}

static uint64_t span_columns(const TileRows *rows) { return (uint64_t)only_stream(rows)->shape.col_block * TILE_SPAN_BLOCKS; }

V tile_spans(Emit *e, const TileRows *rows) {
  const Loop *l = only_stream(rows)->loop;
  V spans = ceil_div(e, extent_of(e, l->lo, l->hi), span_columns(rows));
  return op_extreme(e, IR_INT, true, spans, const_int(e, 1));
}

/* No block has more rows than that, nor than the loop. */
static V most_rows(Emit *e, const TileRows *rows) {
  V all = extent_of(e, rows->loop->lo, rows->loop->hi);
  if (rows->around) {
    V many = rows->share ? op_extreme(e, IR_INT, true, layout_size(e, rows->share), const_int(e, 1)) : extent_of(e, rows->around->lo, rows->around->hi);
    all = least(e, LLVMBuildMul(e->b, least(e, all, const_int(e, tile_block_rows(rows))), least(e, many, const_int(e, tile_block_rows(rows))), ""), const_int(e, tile_block_rows(rows)));
  }
  uint32_t strip = only_stream(rows)->shape.rows;
  return least(e, times(e, ceil_div(e, all, strip), strip), const_int(e, tile_block_rows(rows)));
}

static V place_states(Emit *e, const TileRows *rows, Tile *t, V base) {
  Taker s = {e, base, const_int(e, 0)};
  take_states(t, &s, most_rows(e, rows));
  return s.used;
}

V tile_state_bytes(Emit *e, const TileRows *rows) {
  Tile *t = NULL;
  tiles_of(e, rows, NULL, &t);
  return place_states(e, rows, t, NULL);
}

V tile_own_state(Emit *e, const TileRows *rows, uint32_t which) {
  V before = plus(e, bytes_around(e, rows), own_bytes(e, rows));
  V at = plus(e, before, times(e, tile_state_bytes(e, rows), which));
  return LLVMBuildGEP2(e->b, e->t.i8, e->tile_space, &at, 1, "");
}

static Block span_at(Emit *e, const TileRows *rows, V block, V span, V state) {
  Block b = block_at(e, rows, block);
  const Loop *l = only_stream(rows)->loop;
  place_states(e, rows, b.tiles[0], state);
  b.lo = plus(e, e->val[l->lo], times(e, span, span_columns(rows)));
  b.hi = least(e, e->val[l->hi], plus(e, b.lo, const_int(e, (int64_t)span_columns(rows))));
  b.seeded = LLVMBuildICmp(e->b, LLVMIntEQ, span, const_int(e, 0), "");
  return b;
}

V tile_span_may(Emit *e, const TileRows *rows, V block, V span) {
  Block b = block_at(e, rows, block);
  Tile *t = b.tiles[0];
  if (!is_skipped(t)) return true_(e);
  const Loop *l = only_stream(rows)->loop;
  t->first_row = b.first, t->rows_in_block = b.rows;
  t->first_col = plus(e, e->val[l->lo], times(e, span, span_columns(rows)));
  t->cols_in_block = least(e, minus(e, e->val[l->hi], t->first_col), const_int(e, (int64_t)span_columns(rows)));
  return tile_mask_block(t).may;
}

void tile_span_begin(Emit *e, const TileRows *rows, V block, V span, V state) {
  Block b = span_at(e, rows, block, span, state);
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), b.odd);
  begin_stream(e, rows, &b, 0);
  carry_flag(e, b.odd, b.tiles[0]->kept_odd);
}

void tile_span_pack(Emit *e, const TileRows *rows, V block, V span, V state, V first) {
  Block b = span_at(e, rows, block, span, state);
  Tile *t = b.tiles[0];
  carry_flag(e, t->kept_odd, b.odd);
  set_block(t, &b);
  set_columns(t, first, b.hi);
  t->some_bad = cell_new(e, e->t.i1, "some_bad");
  pack_here(t);
  carry_flag(e, b.odd, t->kept_odd);
  carry_flag(e, t->some_bad, kept_bad(t));
}

V tile_span(Emit *e, const TileRows *rows, V block, V span, V state, V panels) {
  Block b = span_at(e, rows, block, span, state);
  Tile *t = b.tiles[0];
  carry_flag(e, t->kept_odd, b.odd);
  set_block(t, &b);
  if (tile_place_can(t)) {
    t->lost = cell_new(e, e->t.i1, "lost");
    LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->lost);
    t->in_place = LLVMBuildAnd(e->b, LLVMBuildNot(e->b, panels, ""), tile_place_holds(t, b.lo, b.hi), "");
  }
  do_stream(e, &b, 0);
  carry_flag(e, b.odd, t->kept_odd);
  return t->in_place ? LLVMBuildLoad2(e->b, e->t.i1, t->lost, "") : NULL;
}

void tile_finish(Emit *e, const TileRows *rows, V block, V state) {
  Block b = block_at(e, rows, block);
  place_states(e, rows, b.tiles[0], state);
  carry_flag(e, b.tiles[0]->kept_odd, b.odd);
  end_block(e, rows, &b);
}

void tile_merge(Emit *e, const TileRows *rows, V block, V into, V from) {
  Block a = block_at(e, rows, block), b = block_at(e, rows, block);
  Tile *x = a.tiles[0], *y = b.tiles[0];
  place_states(e, rows, x, into);
  place_states(e, rows, y, from);
  V odd = LLVMBuildOr(e->b, LLVMBuildLoad2(e->b, e->t.i1, x->kept_odd, ""), LLVMBuildLoad2(e->b, e->t.i1, y->kept_odd, ""), "");
  LLVMBuildStore(e->b, odd, x->kept_odd);
  Count c = count_enter(e, const_int(e, 0), a.rows);
  tile_merge_row(x, y, c.index);
  count_leave(e, &c);
}
