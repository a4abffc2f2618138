/* beside_acc: accumulators whose elements differ from lane to lane: each lane has a state of its own.
 *
 * The states are those of emit_acc.c, all in doubles.  With m the maximum before an element of log weight w, d = -|w -
 * m| and the one exponential e^d serve both cases: where w > m states are multiplied by it and the element's part is 1,
 * else its part is it.  Lanes of one reduction are merged at its end: states relative to the largest maximum, and sums
 * of halves. */
#include <math.h>

#include "back/beside.h"
#include "back/doubles.h"
#include "base/ice.h"

typedef LLVMValueRef V;

typedef struct LaneWeight {
  Val log_w;
  bool summed;          /* some accumulator needs the mass */
  V max, mass, bad;     /* cells */
  V alive, above, tie;  /* of the element being added */
  V gap, scale, part;   /* -|w - m|; what states are multiplied by; e^(w - m') */
} LaneWeight;

typedef struct LaneState {
  const Acc *acc;
  LaneWeight *weight; /* NULL: unweighted */
  IrType type;
  V cell;
} LaneState;

struct LaneReduction {
  const Loop *loop;
  uint32_t n, nweight;
  LaneState *state;
  LaneWeight *weight;
};

static LLVMTypeRef doubles(const Beside *b) { return beside_type(b, IR_WIDE); }
static LLVMTypeRef bools(const Beside *b) { return beside_type(b, IR_BOOL); }
static V number(const Beside *b, double v) { return beside_number(b, v); }
static V get(const Beside *b, LLVMTypeRef t, V cell) { return LLVMBuildLoad2(b->e->b, t, cell, ""); }
static void put(const Beside *b, V cell, V v) { LLVMBuildStore(b->e->b, v, cell); }
static V choose(const Beside *b, V c, V x, V y) { return LLVMBuildSelect(b->e->b, c, x, y, ""); }
static V compare(const Beside *b, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(b->e->b, p, x, y, ""); }
static V both(const Beside *b, V x, V y) { return x && y ? LLVMBuildAnd(b->e->b, x, y, "") : x ? x : y; }
static V add(const Beside *b, V x, V y) { return LLVMBuildFAdd(b->e->b, x, y, ""); }
static V sub(const Beside *b, V x, V y) { return LLVMBuildFSub(b->e->b, x, y, ""); }
static V mul(const Beside *b, V x, V y) { return LLVMBuildFMul(b->e->b, x, y, ""); }
static V fused(const Beside *b, V x, V y, V z) { return doubles_fma(b->e, x, y, z); }

/* ---- states ------------------------------------------------------------------------------------- */

/* Of no elements, as a scalar. */
static V identity(const Beside *b, AccKind kind, IrType t) {
  bool one = kind == ACC_PROD || kind == ACC_ALL, least = kind == ACC_MIN, limit = kind == ACC_MAX || kind == ACC_MIN;
  if (t == IR_BOOL) return LLVMConstInt(b->e->t.i1, one || least, false);
  if (t == IR_INT) return const_int(b->e, limit ? (least ? INT64_MAX : INT64_MIN) : kind == ACC_ARGMAX ? -1 : one);
  return const_float(b->e, IR_WIDE, limit ? (least ? INFINITY : -INFINITY) : one);
}

static LaneWeight *weight_of(const Beside *b, LaneReduction *r, const Acc *a) {
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].log_w == a->body.log_w) return &r->weight[n];
  LaneWeight *w = &r->weight[r->nweight++];
  *w = (LaneWeight){.log_w = a->body.log_w,
                    .max = cell_new(b->e, doubles(b), "max"),
                    .mass = cell_new(b->e, doubles(b), "mass"),
                    .bad = cell_new(b->e, bools(b), "bad")};
  put(b, w->max, number(b, -INFINITY));
  put(b, w->mass, number(b, 0));
  put(b, w->bad, LLVMConstNull(bools(b)));
  return w;
}

LaneReduction *lane_reduction_begin(const Beside *b, const Loop *l) {
  LaneReduction *r = NEW(b->e->arena, LaneReduction);
  *r = (LaneReduction){.loop = l, .n = l->accs.n};
  r->state = NEW_ARRAY(b->e->arena, LaneState, r->n);
  r->weight = NEW_ARRAY(b->e->arena, LaneWeight, r->n);
  for (uint32_t n = 0; n < r->n; n++) {
    const Acc *a = l->accs.at[n];
    LaneState *s = &r->state[n];
    *s = (LaneState){.acc = a, .type = a->type == IR_REAL ? IR_WIDE : a->type};
    s->cell = cell_new(b->e, beside_type(b, s->type), ir_acc_name(a->kind));
    put(b, s->cell, beside_splat(b, identity(b, a->kind, s->type)));
    if (!ir_acc_takes_log_w(a->kind)) continue;
    s->weight = weight_of(b, r, a);
    s->weight->summed |= a->kind != ACC_ARGMAX;
  }
  return r;
}

/* ---- adding an element ----------------------------------------------------------------------------- */

static V wide_of(const Beside *b, Val v) {
  return beside_convert(b, beside_get(b, v), ir_at(b->e->k, v)->type, IR_WIDE);
}

static void add_weight(const Beside *b, LaneWeight *w, V on) {
  LLVMBuilderRef build = b->e->b;
  V x = wide_of(b, w->log_w), m = get(b, doubles(b), w->max), top = number(b, INFINITY);
  V odd = both(b, on, LLVMBuildNot(build, compare(b, LLVMRealOLT, x, top), ""));
  put(b, w->bad, LLVMBuildOr(build, get(b, bools(b), w->bad), odd, ""));
  w->alive = both(b, on, compare(b, LLVMRealOLT, doubles_call(b->e, "llvm.fabs", 1, &x), top));
  w->above = both(b, w->alive, compare(b, LLVMRealOGT, x, m));
  w->tie = both(b, w->alive, compare(b, LLVMRealOEQ, x, m));
  put(b, w->max, choose(b, w->above, x, m));
  if (!w->summed) return;
  w->gap = choose(b, w->above, sub(b, m, x), sub(b, x, m));
  V e = doubles_exp_weight(b->e, w->gap), one = number(b, 1);
  w->scale = choose(b, w->above, e, one);
  w->part = choose(b, w->alive, choose(b, w->above, one, e), number(b, 0));
  put(b, w->mass, fused(b, get(b, doubles(b), w->mass), w->scale, w->part));
}

/* t' = (t + l (m - m')) s + e^(w - m') (w - m'), l the mass before: what the mass is now, less the part, is l s. */
static V entropy(const Beside *b, const LaneWeight *w, V t) {
  V zero = number(b, 0), here = choose(b, compare(b, LLVMRealOEQ, w->part, zero), zero, w->gap);
  V moved = choose(b, w->above, choose(b, compare(b, LLVMRealOGT, w->scale, zero), w->gap, zero), zero);
  V before = sub(b, get(b, doubles(b), w->mass), w->part);
  V shifted = fused(b, before, moved, mul(b, t, w->scale));
  return add(b, shifted, choose(b, w->above, zero, mul(b, w->part, here)));
}

static V argument(const Beside *b, const LaneWeight *w, V old, V x) {
  V smaller = choose(b, LLVMBuildICmp(b->e->b, LLVMIntSLT, old, x, ""), old, x);
  return choose(b, w->above, x, choose(b, w->tie, smaller, old));
}

static V combined(Emit *e, AccKind kind, IrType t, V x, V y) {
  switch (kind) {
    case ACC_SUM: return t == IR_INT ? LLVMBuildAdd(e->b, x, y, "") : LLVMBuildFAdd(e->b, x, y, "");
    case ACC_PROD: return t == IR_INT ? LLVMBuildMul(e->b, x, y, "") : LLVMBuildFMul(e->b, x, y, "");
    case ACC_MAX:
    case ACC_MIN:
      if (t != IR_INT) return op_extreme(e, t, kind == ACC_MAX, x, y);
      return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, kind == ACC_MAX ? LLVMIntSGT : LLVMIntSLT, x, y, ""), x, y, "");
    case ACC_ANY: return LLVMBuildOr(e->b, x, y, "");
    case ACC_ALL: return LLVMBuildAnd(e->b, x, y, "");
    default: break;
  }
  ICE("accumulator '%s' is weighted", ir_acc_name(kind));
}

static V state_after(const Beside *b, const LaneState *s, V old, V on) {
  const LaneWeight *w = s->weight;
  Val x = s->acc->body.x;
  V v = x ? beside_convert(b, beside_get(b, x), ir_at(b->e->k, x)->type, s->type) : NULL;
  switch (s->acc->kind) {
    case ACC_LSE:
    case ACC_MASS: return old;
    case ACC_ENTROPY: return entropy(b, w, old);
    case ACC_EXPECT: return fused(b, old, w->scale, choose(b, w->alive, mul(b, w->part, v), number(b, 0)));
    case ACC_ARGMAX: return argument(b, w, old, v);
    default: v = combined(b->e, s->acc->kind, s->type, old, v); return on ? choose(b, on, v, old) : v;
  }
}

void lane_reduction_add(const Beside *b, LaneReduction *r, V on) {
  for (uint32_t n = 0; n < r->nweight; n++) add_weight(b, &r->weight[n], on);
  for (uint32_t n = 0; n < r->n; n++) {
    const LaneState *s = &r->state[n];
    if (s->acc->kind == ACC_LSE || s->acc->kind == ACC_MASS) continue;
    put(b, s->cell, state_after(b, s, get(b, beside_type(b, s->type), s->cell), on));
  }
}

/* ---- results -------------------------------------------------------------------------------------- */

/* The numbers that a weight's results are made of: of every lane, or of all. */
typedef struct Whole { V max, mass, bad; } Whole;

typedef struct Maker {
  const Beside *b;
  bool across;
} Maker;

static V constant(const Maker *m, double v) { return m->across ? const_float(m->b->e, IR_WIDE, v) : number(m->b, v); }

static V logarithm(const Maker *m, V x) {
  return m->across ? op_math(m->b->e, "log", IR_WIDE, x) : doubles_log(m->b->e, x);
}

static V weighted_result(const Maker *m, AccKind kind, const Whole *w, V t) {
  const Beside *b = m->b;
  V empty = compare(b, LLVMRealOEQ, w->max, constant(m, -INFINITY));
  if (kind == ACC_ARGMAX) {
    V none = m->across ? const_int(b->e, -1) : beside_splat(b, const_int(b->e, -1));
    return choose(b, w->bad, none, choose(b, empty, none, t));
  }
  bool is_log = kind == ACC_LSE || kind == ACC_MASS;
  V none = constant(m, is_log ? -INFINITY : 0), v = NULL;
  if (kind != ACC_EXPECT) v = logarithm(m, w->mass);
  if (kind == ACC_LSE) v = add(b, v, w->max);
  if (kind == ACC_EXPECT || kind == ACC_ENTROPY) {
    V mean = LLVMBuildFDiv(b->e->b, t, w->mass, "");
    v = v ? sub(b, v, mean) : mean;
  }
  return choose(b, w->bad, constant(m, NAN), choose(b, empty, none, v));
}

static V fold_add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static V fold_or(Emit *e, V x, V y) { return LLVMBuildOr(e->b, x, y, ""); }
static V fold_greater(Emit *e, V x, V y) {
  return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, x, y, ""), x, y, "");
}
static V fold_less_int(Emit *e, V x, V y) {
  return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, x, y, ""), x, y, "");
}

static V sum_over(const Beside *b, V x) { return lanes_fold(&b->lanes, x, fold_add); }

/* A weight's lanes, brought to the largest of their maxima. */
typedef struct Merged { Whole whole; V shift, scale, best; } Merged;

static Merged merge_weight(const Beside *b, const LaneWeight *w) {
  Merged m;
  V max = get(b, doubles(b), w->max), zero = number(b, 0);
  m.whole.max = lanes_fold(&b->lanes, max, fold_greater);
  m.whole.bad = lanes_fold(&b->lanes, get(b, bools(b), w->bad), fold_or);
  V top = beside_splat(b, m.whole.max);
  m.best = compare(b, LLVMRealOEQ, max, top);
  m.shift = choose(b, compare(b, LLVMRealOEQ, max, number(b, -INFINITY)), zero, sub(b, max, top));
  m.scale = doubles_exp_weight(b->e, m.shift);
  m.whole.mass = w->summed ? sum_over(b, mul(b, get(b, doubles(b), w->mass), m.scale)) : const_float(b->e, IR_WIDE, 1);
  return m;
}

static V merge_state(const Beside *b, const LaneState *s, const Merged *m, V t) {
  switch (s->acc->kind) {
    case ACC_LSE:
    case ACC_MASS: return NULL;
    case ACC_EXPECT: return sum_over(b, mul(b, t, m->scale));
    case ACC_ENTROPY: {
      V shift = choose(b, compare(b, LLVMRealOEQ, m->scale, number(b, 0)), number(b, 0), m->shift);
      return sum_over(b, mul(b, fused(b, get(b, doubles(b), s->weight->mass), shift, t), m->scale));
    }
    default:
      return lanes_fold(&b->lanes, choose(b, m->best, t, beside_splat(b, const_int(b->e, INT64_MAX))), fold_less_int);
  }
}

#define FOLD(NAME, KIND, TYPE) static V NAME(Emit *e, V x, V y) { return combined(e, KIND, TYPE, x, y); }
FOLD(sum_int, ACC_SUM, IR_INT)
FOLD(sum_wide, ACC_SUM, IR_WIDE)
FOLD(prod_int, ACC_PROD, IR_INT)
FOLD(prod_wide, ACC_PROD, IR_WIDE)
FOLD(max_int, ACC_MAX, IR_INT)
FOLD(max_wide, ACC_MAX, IR_WIDE)
FOLD(max_bool, ACC_ANY, IR_BOOL)
FOLD(min_int, ACC_MIN, IR_INT)
FOLD(min_wide, ACC_MIN, IR_WIDE)
FOLD(min_bool, ACC_ALL, IR_BOOL)

static V fold_plain(const Beside *b, const LaneState *s, V t) {
  bool is_int = s->type == IR_INT, is_bool = s->type == IR_BOOL;
  switch (s->acc->kind) {
    case ACC_SUM: return lanes_fold(&b->lanes, t, is_int ? sum_int : sum_wide);
    case ACC_PROD: return lanes_fold(&b->lanes, t, is_int ? prod_int : prod_wide);
    case ACC_MAX: return lanes_fold(&b->lanes, t, is_bool ? max_bool : is_int ? max_int : max_wide);
    case ACC_MIN: return lanes_fold(&b->lanes, t, is_bool ? min_bool : is_int ? min_int : min_wide);
    case ACC_ANY: return lanes_fold(&b->lanes, t, max_bool);
    default: return lanes_fold(&b->lanes, t, min_bool);
  }
}

static V across_result(const Beside *b, const LaneState *s, const Merged *m, V t) {
  if (!s->weight) return fold_plain(b, s, t);
  return weighted_result(&(Maker){b, true}, s->acc->kind, &m->whole, merge_state(b, s, m, t));
}

static V lane_result(const Beside *b, const LaneState *s, V t) {
  if (!s->weight) return t;
  Whole w = {get(b, doubles(b), s->weight->max), get(b, doubles(b), s->weight->mass), get(b, bools(b), s->weight->bad)};
  return weighted_result(&(Maker){b, false}, s->acc->kind, &w, t);
}

void lane_reduction_end(const Beside *b, LaneReduction *r, bool across) {
  Emit *e = b->e;
  Merged *merged = NEW_ARRAY(e->arena, Merged, r->nweight + 1);
  for (uint32_t n = 0; across && n < r->nweight; n++) merged[n] = merge_weight(b, &r->weight[n]);
  for (uint32_t n = 0; n < r->n; n++) {
    const LaneState *s = &r->state[n];
    Val result = s->acc->result;
    if (!result) continue;
    V t = get(b, beside_type(b, s->type), s->cell);
    IrType to = ir_at(e->k, result)->type;
    if (across)
      e->val[result] =
          op_convert(e, across_result(b, s, s->weight ? &merged[s->weight - r->weight] : NULL, t), s->type, to);
    else e->val[result] = beside_convert(b, lane_result(b, s, t), s->type, to);
  }
}
