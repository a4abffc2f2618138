/* emit_acc: accumulators, each a commutative monoid with a state that elements are added to.
 *
 * Weighted ones share a Weight: the running maximum m of the log weights and the mass
 *     l = sum e^(log_w - m)
 * are common to all accumulators of a loop with the same log weight, body and seed.  An accumulator adds
 *     expect    t = sum e^(log_w - m) x               result t / l
 *     entropy   t = sum e^(log_w - m) (log_w - m)     result log l - t / l
 * When the maximum grows from m to m', every state is brought to the new scale s = e^(m - m'):
 *     l' = s l,  t' = s t,  for entropy  t' = s (t + l (m - m'))
 * in f64 whatever the precision of the weights: s multiplies again and again, so its error would add up.
 *
 * A log weight of -inf adds nothing.  One that is NaN or +inf sets `bad`, which nothing clears and which
 * decides the results.  l is at least 1 once there is an element, so no result divides by 0.
 *
 * With axes the state of an accumulator is its result array: one element a point. */
#include <math.h>

#include "back/acc.h"
#include "back/beside.h"
#include "back/gather.h"
#include "base/ice.h"

static const Contribution *contribution(const Acc *a, bool seed) { return seed ? &a->seed : &a->body; }

static bool contributes(const Acc *a, bool seed) {
  const Contribution *c = contribution(a, seed);
  return c->x || c->log_w;
}

static LLVMValueRef get(Emit *e, LLVMTypeRef t, LLVMValueRef cell) { return LLVMBuildLoad2(e->b, t, cell, ""); }
static void put(Emit *e, LLVMValueRef cell, LLVMValueRef v) { LLVMBuildStore(e->b, v, cell); }
static LLVMValueRef get_wide(Emit *e, LLVMValueRef cell) { return get(e, e->t.f64, cell); }
static LLVMValueRef wide(const Emit *e, double v) { return const_float(e, IR_WIDE, v); }

/* ---- weights ------------------------------------------------------------------------------------ */

static IrType weight_type(const Emit *e, const Weight *w) {
  bool is_wide = ir_at(e->k, w->body)->type == IR_WIDE || (w->seed && ir_at(e->k, w->seed)->type == IR_WIDE);
  return is_wide ? IR_WIDE : IR_REAL;
}

static Weight *weight_of(Emit *e, Reduction *r, const Acc *a) {
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body == a->body.log_w && r->weight[n].seed == a->seed.log_w) return &r->weight[n];
  Weight *w = &r->weight[r->nweight++];
  *w = (Weight){.body = a->body.log_w, .seed = a->seed.log_w};
  w->type = weight_type(e, w);
  w->max = cell_new(e, type_of(e, w->type), "max");
  w->mass = cell_new(e, e->t.f64, "mass");
  w->bad = cell_new(e, e->t.i1, "bad");
  return w;
}

static void weight_begin(Emit *e, const Weight *w) {
  put(e, w->max, const_float(e, w->type, -INFINITY));
  put(e, w->mass, wide(e, 0));
  put(e, w->bad, LLVMConstNull(e->t.i1));
}

/* ---- states ------------------------------------------------------------------------------------- */

static IrType state_type(const Acc *a) { return a->type == IR_REAL ? IR_WIDE : a->type; }

static LLVMValueRef int_limit(const Emit *e, bool most) { return const_int(e, most ? INT64_MAX : INT64_MIN); }

static LLVMValueRef limit(const Emit *e, IrType t, bool most) {
  if (t == IR_BOOL) return LLVMConstInt(e->t.i1, most, false);
  if (t == IR_INT) return int_limit(e, most);
  return const_float(e, t, most ? INFINITY : -INFINITY);
}

static LLVMValueRef number(const Emit *e, IrType t, int v) {
  if (t == IR_BOOL) return LLVMConstInt(e->t.i1, v != 0, false);
  return t == IR_INT ? const_int(e, v) : const_float(e, t, v);
}

/* The state of no elements. */
static LLVMValueRef identity(const Emit *e, AccKind k, IrType t) {
  switch (k) {
    case ACC_SUM: return number(e, t, 0);
    case ACC_PROD: return number(e, t, 1);
    case ACC_MAX: return limit(e, t, false);
    case ACC_MIN: return limit(e, t, true);
    case ACC_ANY: return number(e, t, 0);
    case ACC_ALL: return number(e, t, 1);
    case ACC_LSE:
    case ACC_MASS:
    case ACC_EXPECT:
    case ACC_ENTROPY: return number(e, t, 0);
    case ACC_ARGMAX: return number(e, t, -1);
  }
  ICE("accumulator %d", (int)k);
}

/* Points are taken POINT_LANES at a time where they are doubles, as they mostly are. */
enum { POINT_LANES = 8 };

static LLVMValueRef splat(Emit *e, LLVMValueRef x, LLVMValueRef like) {
  LLVMTypeRef t = LLVMTypeOf(like);
  if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) return x;
  LLVMValueRef first = LLVMBuildInsertElement(e->b, LLVMGetPoison(t), x, LLVMConstInt(e->t.i32, 0, false), "");
  LLVMTypeRef index = LLVMVectorType(e->t.i32, LLVMGetVectorSize(t));
  return LLVMBuildShuffleVector(e->b, first, LLVMGetPoison(t), LLVMConstNull(index), "");
}

void acc_each_point(Emit *e, const State *s, PointFn f, void *arg) {
  const Array *a = s->acc->result_at;
  LLVMValueRef all = array_points(e, a), lanes = const_int(e, POINT_LANES), vectors = const_int(e, 0);
  if (a->elem == STORE_WIDE && s->type == IR_WIDE) {
    vectors = LLVMBuildSDiv(e->b, all, lanes, "");
    LLVMTypeRef v = LLVMVectorType(e->t.f64, POINT_LANES);
    Count c = count_enter(e, const_int(e, 0), vectors);
    LLVMValueRef at = LLVMBuildMul(e->b, c.index, lanes, ""), address = array_at(e, a, at);
    LLVMValueRef x = LLVMBuildLoad2(e->b, v, address, "");
    LLVMSetAlignment(x, sizeof(double));
    LLVMSetAlignment(LLVMBuildStore(e->b, f(e, s, x, at, arg), address), sizeof(double));
    count_leave(e, &c);
  }
  Count c = count_enter(e, LLVMBuildMul(e->b, vectors, lanes, ""), all);
  LLVMValueRef address = array_at(e, a, c.index), old = op_convert(e, array_get(e, a, address), a->type, s->type);
  array_put(e, a, address, f(e, s, old, c.index, arg), s->type);
  count_leave(e, &c);
}

static LLVMValueRef none_at(Emit *e, const State *s, LLVMValueRef x, LLVMValueRef at, void *arg) {
  (void)at, (void)arg;
  return splat(e, identity(e, s->acc->kind, s->type), x);
}

static void state_begin(Emit *e, const State *s) {
  if (s->acc->naxis) acc_each_point(e, s, none_at, NULL);
  else put(e, s->cell, identity(e, s->acc->kind, s->type));
}

static State state_new(Emit *e, Reduction *r, const Acc *a) {
  State s = {.acc = a, .type = state_type(a)};
  if (!a->naxis) s.cell = cell_new(e, type_of(e, s.type), ir_acc_name(a->kind));
  if (!ir_acc_takes_log_w(a->kind)) return s;
  ICE_UNLESS(!a->naxis || a->body.x);
  s.weight = weight_of(e, r, a);
  s.weight->summed |= a->kind != ACC_ARGMAX;
  return s;
}

Reduction *acc_new(Emit *e, const Loop *l) {
  Reduction *r = NEW(e->arena, Reduction);
  *r = (Reduction){.loop = l, .n = l->accs.n};
  r->state = NEW_ARRAY(e->arena, State, r->n);
  r->weight = NEW_ARRAY(e->arena, Weight, r->n);
  for (uint32_t n = 0; n < r->n; n++) r->state[n] = state_new(e, r, l->accs.at[n]);
  return r;
}

void acc_begin(Emit *e, const Reduction *r, bool axes) {
  for (uint32_t n = 0; n < r->nweight; n++) weight_begin(e, &r->weight[n]);
  for (uint32_t n = 0; n < r->n; n++)
    if (axes || !r->state[n].acc->naxis) state_begin(e, &r->state[n]);
}

Reduction *reduction_begin(Emit *e, const Loop *l) {
  Reduction *r = acc_new(e, l);
  acc_begin(e, r, true);
  return r;
}

/* ---- adding an element to a weight -------------------------------------------------------------- */

/* m - m', 0 for the first element (whose m is -inf, and states are zero). */
static LLVMValueRef shift_of(Emit *e, LLVMValueRef old, LLVMValueRef log_w, IrType t) {
  LLVMValueRef first = LLVMBuildFCmp(e->b, LLVMRealOEQ, old, const_float(e, t, -INFINITY), "");
  LLVMValueRef from = op_convert(e, old, t, IR_WIDE), to = op_convert(e, log_w, t, IR_WIDE);
  return LLVMBuildSelect(e->b, first, wide(e, 0), LLVMBuildFSub(e->b, from, to, ""), "");
}

static LLVMValueRef scaled_at(Emit *e, const State *s, LLVMValueRef x, LLVMValueRef at, void *scale) {
  (void)s, (void)at;
  return LLVMBuildFMul(e->b, x, splat(e, scale, x), "");
}

static void rescale(Emit *e, const State *s, LLVMValueRef shift, LLVMValueRef scale) {
  if (s->acc->naxis) {
    acc_each_point(e, s, scaled_at, scale);
    return;
  }
  LLVMValueRef t = get_wide(e, s->cell);
  if (s->acc->kind == ACC_ENTROPY)
    t = LLVMBuildFAdd(e->b, t, LLVMBuildFMul(e->b, get_wide(e, s->weight->mass), shift, ""), "");
  put(e, s->cell, LLVMBuildFMul(e->b, t, scale, ""));
}

static bool is_sum(const State *s, const Weight *w) {
  return s->weight == w && (s->acc->kind == ACC_EXPECT || s->acc->kind == ACC_ENTROPY);
}

void acc_grow(Emit *e, const Reduction *r, const Weight *w, LLVMValueRef old, LLVMValueRef log_w) {
  if (w->summed) {
    LLVMValueRef shift = shift_of(e, old, log_w, w->type), scale = op_math(e, "exp", IR_WIDE, shift);
    for (uint32_t n = 0; n < r->n; n++)
      if (is_sum(&r->state[n], w)) rescale(e, &r->state[n], shift, scale);
    put(e, w->mass, LLVMBuildFMul(e->b, get_wide(e, w->mass), scale, ""));
  }
  put(e, w->max, log_w);
}

/* e^d d; 0 where e^d is, also beside d = -inf. */
LLVMValueRef acc_entropy_term(Emit *e, LLVMValueRef part, LLVMValueRef distance) {
  LLVMValueRef gone = LLVMBuildFCmp(e->b, LLVMRealOEQ, part, wide(e, 0), "");
  return LLVMBuildSelect(e->b, gone, wide(e, 0), LLVMBuildFMul(e->b, part, distance, ""), "");
}

static void add_mass(Emit *e, const Reduction *r, Weight *w, LLVMValueRef log_w) {
  LLVMValueRef max = get(e, type_of(e, w->type), w->max);
  LLVMValueRef distance = LLVMBuildFSub(e->b, log_w, max, "");
  w->part = op_convert(e, op_math(e, "exp", w->type, distance), w->type, IR_WIDE);
  put(e, w->mass, LLVMBuildFAdd(e->b, get_wide(e, w->mass), w->part, ""));
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    if (s->weight != w || s->acc->kind != ACC_ENTROPY) continue;
    LLVMValueRef term = acc_entropy_term(e, w->part, op_convert(e, distance, w->type, IR_WIDE));
    put(e, s->cell, LLVMBuildFAdd(e->b, get_wide(e, s->cell), term, ""));
  }
}

/* The value where the code between came by `there`, else zero. */
static LLVMValueRef join(Emit *e, LLVMValueRef v, LLVMBasicBlockRef there, LLVMBasicBlockRef skipped) {
  if (!v) return NULL;
  LLVMTypeRef t = LLVMTypeOf(v);
  LLVMValueRef phi = LLVMBuildPhi(e->b, t, "");
  LLVMAddIncoming(phi, (LLVMValueRef[]){v, LLVMConstNull(t)}, (LLVMBasicBlockRef[]){there, skipped}, 2);
  return phi;
}

static void add_weight(Emit *e, const Reduction *r, Weight *w, bool seed) {
  Val v = seed ? w->seed : w->body;
  LLVMValueRef log_w = op_convert(e, e->val[v], ir_at(e->k, v)->type, w->type), top = const_float(e, w->type, INFINITY);
  LLVMValueRef odd = LLVMBuildNot(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, log_w, top, ""), "");
  put(e, w->bad, LLVMBuildOr(e->b, get(e, e->t.i1, w->bad), odd, ""));
  LLVMValueRef some = LLVMBuildFCmp(e->b, LLVMRealOGT, log_w, const_float(e, w->type, -INFINITY), "");
  w->alive = LLVMBuildAnd(e->b, some, LLVMBuildNot(e->b, odd, ""), "");
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), done = block_when(e, w->alive, "element");
  LLVMValueRef old = get(e, type_of(e, w->type), w->max);
  w->above = LLVMBuildFCmp(e->b, LLVMRealOGT, log_w, old, "");
  w->tie = LLVMBuildFCmp(e->b, LLVMRealOEQ, log_w, old, "");
  LLVMBasicBlockRef grown = block_when(e, w->above, "grow");
  acc_grow(e, r, w, old, log_w);
  block_go(e, grown);
  w->part = NULL;
  if (w->summed) add_mass(e, r, w, log_w);
  LLVMBasicBlockRef there = LLVMGetInsertBlock(e->b);
  block_go(e, done);
  w->part = join(e, w->part, there, from);
  w->above = join(e, w->above, there, from);
  w->tie = join(e, w->tie, there, from);
}

/* ---- adding x ----------------------------------------------------------------------------------- */

static LLVMValueRef sum_of(Emit *e, IrType t, LLVMValueRef x, LLVMValueRef y) {
  return t == IR_INT ? LLVMBuildAdd(e->b, x, y, "") : LLVMBuildFAdd(e->b, x, y, "");
}

/* At a new maximum x, at an equal one the smaller. */
static LLVMValueRef choose_argument(Emit *e, const Weight *w, LLVMValueRef old, LLVMValueRef x) {
  LLVMValueRef smaller = op_extreme(e, IR_INT, false, old, x);
  LLVMValueRef tied = LLVMBuildSelect(e->b, w->tie, smaller, old, "");
  return LLVMBuildSelect(e->b, w->above, x, tied, "");
}

LLVMValueRef acc_combine(Emit *e, const State *s, LLVMValueRef old, LLVMValueRef x) {
  switch (s->acc->kind) {
    case ACC_SUM: return sum_of(e, s->type, old, x);
    case ACC_PROD: return s->type == IR_INT ? LLVMBuildMul(e->b, old, x, "") : LLVMBuildFMul(e->b, old, x, "");
    case ACC_MAX: return op_extreme(e, s->type, true, old, x);
    case ACC_MIN: return op_extreme(e, s->type, false, old, x);
    case ACC_ANY: return LLVMBuildOr(e->b, old, x, "");
    case ACC_ALL: return LLVMBuildAnd(e->b, old, x, "");
    case ACC_EXPECT: return LLVMBuildFAdd(e->b, old, LLVMBuildFMul(e->b, splat(e, s->weight->part, x), x, ""), "");
    case ACC_ARGMAX: return choose_argument(e, s->weight, old, x);
    case ACC_LSE:
    case ACC_MASS:
    case ACC_ENTROPY: break;
  }
  ICE("accumulator '%s' has no x", ir_acc_name(s->acc->kind));
}

static LLVMValueRef x_of(Emit *e, const State *s, bool seed) {
  Val x = contribution(s->acc, seed)->x;
  return op_convert(e, e->val[x], ir_at(e->k, x)->type, s->type);
}

/* Runs what follows only for elements that are there; NULL: always. */
static LLVMBasicBlockRef when_alive(Emit *e, const Weight *w) {
  return w ? block_when(e, w->alive, "alive") : NULL;
}

void acc_add_scalar(Emit *e, const State *s, bool seed) {
  LLVMBasicBlockRef done = when_alive(e, s->weight);
  LLVMValueRef old = get(e, type_of(e, s->type), s->cell);
  put(e, s->cell, acc_combine(e, s, old, x_of(e, s, seed)));
  if (done) block_go(e, done);
}

/* The address of the point of the axes' variables. */
static LLVMValueRef point_address(Emit *e, const Acc *a, const Contribution *c) {
  const ArrayPlace *p = &e->place[a->result_at->id];
  LLVMValueRef offset = const_int(e, 0);
  for (uint32_t n = 0; n < a->naxis; n++) {
    LLVMValueRef at = LLVMBuildSub(e->b, e->val[c->index[n]], e->val[a->axes[n].lo], "");
    offset = LLVMBuildAdd(e->b, offset, LLVMBuildMul(e->b, at, p->stride[n], ""), "");
  }
  return array_at(e, a->result_at, offset);
}

static void add_point(Emit *e, const State *s, bool seed) {
  const Array *array = s->acc->result_at;
  LLVMBasicBlockRef done = when_alive(e, s->weight);
  LLVMValueRef address = point_address(e, s->acc, contribution(s->acc, seed));
  LLVMValueRef old = op_convert(e, array_get(e, array, address), array->type, s->type);
  array_put(e, array, address, acc_combine(e, s, old, x_of(e, s, seed)), s->type);
  if (done) block_go(e, done);
}

/* Accumulators that share the region of x and the ranges of its axes are added in one pass over them. */
static bool same_pass(const State *a, const State *b, bool seed) {
  if (contribution(a->acc, seed)->at != contribution(b->acc, seed)->at) return false;
  for (uint32_t n = 0; n < a->acc->naxis; n++)
    if (a->acc->axes[n].lo != b->acc->axes[n].lo || a->acc->axes[n].hi != b->acc->axes[n].hi) return false;
  return true;
}

static bool in_pass(const Reduction *r, uint32_t first, uint32_t n, bool seed) {
  const State *s = &r->state[n];
  return s->acc->naxis && contributes(s->acc, seed) && same_pass(&r->state[first], s, seed);
}

/* The points of one axis in vectors: sums of doubles, in arrays of their own. */
typedef struct Pass { const Reduction *r; uint32_t first; bool seed; } Pass;

static void add_points(Beside *b, LLVMValueRef point, void *arg) {
  const Pass *p = arg;
  Emit *e = b->e;
  for (uint32_t n = p->first; n < p->r->n; n++) {
    if (!in_pass(p->r, p->first, n, p->seed)) continue;
    const State *s = &p->r->state[n];
    const Contribution *c = contribution(s->acc, p->seed);
    LLVMBasicBlockRef done = when_alive(e, s->weight);
    LLVMValueRef at = LLVMBuildSub(e->b, point, e->val[s->acc->axes[0].lo], "");
    LLVMValueRef address = array_at(e, s->acc->result_at, at), x = beside_get(b, c->x);
    LLVMValueRef old = beside_line_get(b, beside_type(b, IR_WIDE), address, sizeof(double));
    x = beside_convert(b, x, ir_at(e->k, c->x)->type, IR_WIDE);
    beside_line_put(b, acc_combine(e, s, old, x), address, sizeof(double));
    if (done) block_go(e, done);
  }
}

static bool is_line_of_sums(const State *s) {
  const Acc *a = s->acc;
  return a->naxis == 1 && (a->kind == ACC_SUM || a->kind == ACC_EXPECT) && s->type == IR_WIDE &&
         a->result_at->elem == STORE_WIDE;
}

static bool add_side_by_side(Emit *e, const Reduction *r, uint32_t first, bool seed) {
  const Acc *a = r->state[first].acc;
  const Contribution *c = contribution(a, seed);
  Beside b;
  for (uint32_t n = first; n < r->n; n++)
    if (in_pass(r, first, n, seed) && !is_line_of_sums(&r->state[n])) return false;
  if (!c->at || !beside_axis(e, c->at, c->index[0], &b)) return false;
  beside_axis_run(&b, c->at, c->index[0], (IndexRange){a->axes[0].lo, a->axes[0].hi}, add_points,
                  &(Pass){r, first, seed});
  return true;
}

static bool may_check(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (ir_is_check(i->op) || i->op == IR_LOOP) return true;
  }
  return false;
}

/* Whether the pass is needed: some accumulator takes the element, or something is checked on the way.
 * NULL: always. */
static LLVMValueRef pass_alive(Emit *e, const Reduction *r, uint32_t first, bool seed) {
  LLVMValueRef alive = LLVMConstNull(e->t.i1);
  if (may_check(e->k, contribution(r->state[first].acc, seed)->at)) return NULL;
  for (uint32_t n = first; n < r->n; n++) {
    if (!in_pass(r, first, n, seed)) continue;
    if (!r->state[n].weight) return NULL;
    alive = LLVMBuildOr(e->b, alive, r->state[n].weight->alive, "");
  }
  return alive;
}

/* One pass over the axes; `add`: for the accumulators, else for the checks on the way alone. */
void acc_run_axes(Emit *e, const Reduction *r, uint32_t first, bool seed, bool add) {
  const Acc *a = r->state[first].acc;
  const Contribution *c = contribution(a, seed);
  Count *count = NEW_ARRAY(e->arena, Count, a->naxis);
  LLVMValueRef alive = add ? pass_alive(e, r, first, seed) : NULL;
  LLVMBasicBlockRef done = alive ? block_when(e, alive, "axes") : NULL;
  if (add && add_side_by_side(e, r, first, seed)) {
    if (done) block_go(e, done);
    return;
  }
  for (uint32_t n = 0; n < a->naxis; n++) {
    count[n] = count_enter(e, e->val[a->axes[n].lo], e->val[a->axes[n].hi]);
    e->val[c->index[n]] = count[n].index;
    e->range[c->index[n]] = (IndexRange){a->axes[n].lo, a->axes[n].hi};
  }
  emit_code(e, c->at, NULL, false);
  for (uint32_t n = first; add && n < r->n; n++)
    if (in_pass(r, first, n, seed)) add_point(e, &r->state[n], seed);
  for (uint32_t n = a->naxis; n-- > 0;) count_leave(e, &count[n]);
  if (done) block_go(e, done);
}

bool acc_starts_pass(const Reduction *r, uint32_t n, bool seed) {
  for (uint32_t before = 0; before < n; before++)
    if (in_pass(r, n, before, seed)) return false;
  return true;
}

void reduction_add(Emit *e, Reduction *r, bool seed) {
  if (r->gather && !seed) {
    gather_append(e, r);
    return;
  }
  for (uint32_t n = 0; n < r->nweight; n++)
    if (seed ? r->weight[n].seed : r->weight[n].body) add_weight(e, r, &r->weight[n], seed);
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    if (!contributes(s->acc, seed)) continue;
    if (s->acc->naxis && acc_starts_pass(r, n, seed)) acc_run_axes(e, r, n, seed, true);
    if (!s->acc->naxis && contribution(s->acc, seed)->x) acc_add_scalar(e, s, seed);
  }
}

void reduction_pass_over(Emit *e, Reduction *r, bool seed) {
  for (uint32_t n = 0; n < r->n; n++) {
    const Acc *a = r->state[n].acc;
    if (a->naxis && contributes(a, seed) && acc_starts_pass(r, n, seed)) acc_run_axes(e, r, n, seed, false);
  }
}

/* ---- results ------------------------------------------------------------------------------------ */

static LLVMValueRef is_empty(Emit *e, const Weight *w) {
  LLVMValueRef max = get(e, type_of(e, w->type), w->max);
  return LLVMBuildFCmp(e->b, LLVMRealOEQ, max, const_float(e, w->type, -INFINITY), "");
}

static LLVMValueRef ratio(Emit *e, const Weight *w, LLVMValueRef t) {
  return LLVMBuildFDiv(e->b, t, splat(e, get_wide(e, w->mass), t), "");
}

/* Of a weighted accumulator that is not empty and has no bad weight. */
static LLVMValueRef weighted_value(Emit *e, const State *s, LLVMValueRef t) {
  const Weight *w = s->weight;
  if (s->acc->kind == ACC_ARGMAX) return t;
  if (s->acc->kind == ACC_EXPECT) return ratio(e, w, t);
  LLVMValueRef log_mass = op_math(e, "log", IR_WIDE, get_wide(e, w->mass));
  if (s->acc->kind == ACC_MASS) return log_mass;
  if (s->acc->kind == ACC_ENTROPY) return LLVMBuildFSub(e->b, log_mass, ratio(e, w, t), "");
  return LLVMBuildFAdd(e->b, log_mass, op_convert(e, get(e, type_of(e, w->type), w->max), w->type, IR_WIDE), "");
}

static LLVMValueRef result_of(Emit *e, const State *s, LLVMValueRef t) {
  if (!s->weight) return t;
  bool is_int = s->acc->kind == ACC_ARGMAX;
  LLVMValueRef none =
      is_int ? const_int(e, -1) : wide(e, s->acc->kind == ACC_LSE || s->acc->kind == ACC_MASS ? -INFINITY : 0);
  LLVMValueRef v = LLVMBuildSelect(e->b, is_empty(e, s->weight), none, weighted_value(e, s, t), "");
  LLVMValueRef bad = get(e, e->t.i1, s->weight->bad);
  return LLVMBuildSelect(e->b, bad, is_int ? const_int(e, -1) : wide(e, NAN), v, "");
}

/* Of an expectation's point; one: the reciprocal of the mass, or NULL. */
LLVMValueRef acc_result_at(Emit *e, const State *s, LLVMValueRef t, LLVMValueRef one) {
  const Weight *w = s->weight;
  if (s->acc->kind != ACC_EXPECT) return result_of(e, s, t);
  LLVMValueRef v = one ? LLVMBuildFMul(e->b, t, splat(e, one, t), "") : ratio(e, w, t);
  v = LLVMBuildSelect(e->b, is_empty(e, w), splat(e, wide(e, 0), t), v, "");
  return LLVMBuildSelect(e->b, get(e, e->t.i1, w->bad), splat(e, wide(e, NAN), t), v, "");
}

static LLVMValueRef result_at(Emit *e, const State *s, LLVMValueRef t, LLVMValueRef at, void *one) {
  (void)at;
  return acc_result_at(e, s, t, one);
}

void acc_end_scalar(Emit *e, const State *s) {
  Val result = s->acc->result;
  if (!result) return;
  LLVMValueRef v = result_of(e, s, get(e, type_of(e, s->type), s->cell));
  e->val[result] = op_convert(e, v, s->type, ir_at(e->k, result)->type);
}

/* A reciprocal is exact enough where results have the precision of f32. */
LLVMValueRef acc_factor(Emit *e, const State *s) {
  return e->f64 || !s->weight ? NULL : LLVMBuildFDiv(e->b, wide(e, 1), get_wide(e, s->weight->mass), "");
}

static void end_axes(Emit *e, const State *s) {
  if (s->weight) acc_each_point(e, s, result_at, acc_factor(e, s));
}

void reduction_end(Emit *e, Reduction *r) {
  for (uint32_t n = 0; n < r->n; n++)
    if (r->state[n].acc->naxis) end_axes(e, &r->state[n]);
    else acc_end_scalar(e, &r->state[n]);
}
