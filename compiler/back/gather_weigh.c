/* gather_weigh: of a full block the weights of its elements, and accumulators without axes.
 *
 *     maximum   of the log weights, beside that of the blocks before: all sums are relative to it
 *     parts     e^(log_w - maximum), in vectors of elements, and their mass
 *
 * then, element by element, what has no axes: entropies, arguments, means of numbers. */
#include <math.h>

#include "back/gather_parts.h"

/* ---- weights -------------------------------------------------------------------------------------------------- */

static V vector_max(Emit *e, V x, V y) {
  return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, x, y, ""), x, y, "");
}
static V vector_or(Emit *e, V x, V y) { return LLVMBuildOr(e->b, x, y, ""); }

static V splat(Emit *e, const Lanes *l, V x) { (void)e; return lanes_splat(l, x); }

typedef struct Log { LLVMTypeRef scalar, vector; V least, most; } Log;

static Log log_of(Emit *e, const Lanes *l, const Weight *w) {
  LLVMTypeRef t = type_of(e, w->type);
  return (Log){t, LLVMVectorType(t, l->n), splat(e, l, const_float(e, w->type, -INFINITY)),
               splat(e, l, const_float(e, w->type, INFINITY))};
}

static V log_weights(Emit *e, const Log *t, V buffer, V at) {
  V x = get(e, t->vector, slot(e, t->scalar, buffer, at));
  LLVMSetAlignment(x, 4);
  return x;
}

typedef struct Vectors { Count c; V at; } Vectors;

/* Over the vectors of the block's elements. */
static Vectors vectors_enter(Emit *e, const Gather *g, V count) {
  V lanes = const_int(e, g->line.l.n), up = plus(e, count, const_int(e, g->line.l.n - 1));
  Vectors v = {.c = count_enter(e, const_int(e, 0), LLVMBuildUDiv(e->b, up, lanes, ""))};
  v.at = LLVMBuildMul(e->b, v.c.index, lanes, "");
  return v;
}

/* The largest log weight of the block, and whether one is no number: of whole rows none is. */
static void find_max(Emit *e, const Gather *g, const Weight *w, V buffer, V count, V *max, V *odd) {
  const Lanes *l = &g->line.l;
  Log t = log_of(e, l, w);
  V best = cell_new(e, t.vector, "best"), bad = cell_new(e, l->i1, "odd");
  put(e, t.least, best);
  put(e, LLVMConstNull(l->i1), bad);
  Vectors v = vectors_enter(e, g, count);
  V x = log_weights(e, &t, buffer, v.at);
  if (!g->whole) {
    V fine = LLVMBuildFCmp(e->b, LLVMRealOLT, x, t.most, "");
    x = LLVMBuildSelect(e->b, fine, x, t.least, "");
    put(e, either(e, get(e, l->i1, bad), negate(e, fine)), bad);
  }
  put(e, vector_max(e, x, get(e, t.vector, best)), best);
  count_leave(e, &v.c);
  *max = lanes_fold(l, get(e, t.vector, best), vector_max);
  *odd = lanes_fold(l, get(e, l->i1, bad), vector_or);
}

static void raise_max(Emit *e, const Reduction *r, const Weight *w, uint32_t number, V count) {
  const Gather *g = r->gather;
  const Lanes *l = &g->line.l;
  Log t = log_of(e, l, w);
  V max, odd;
  find_max(e, g, w, g->log_w[number], count, &max, &odd);
  put(e, LLVMBuildOr(e->b, get(e, e->t.i1, w->bad), odd, ""), w->bad);
  V old = get(e, t.scalar, w->max), above = LLVMBuildFCmp(e->b, LLVMRealOGT, max, old, "");
  V first = LLVMBuildFCmp(e->b, LLVMRealOEQ, old, const_float(e, w->type, -INFINITY), "");
  if (!g->whole) {
    LLVMBasicBlockRef same = block_when(e, LLVMBuildAnd(e->b, above, LLVMBuildNot(e->b, first, ""), ""), "grow");
    acc_grow(e, r, w, old, max);
    block_go(e, same);
  }
  put(e, LLVMBuildSelect(e->b, above, max, old, ""), w->max);
}

/* Whole rows may stand side by side, with no -inf between them. */
static V is_alive(Emit *e, const Gather *g, const Log *t, V x, V left) {
  const Lanes *l = &g->line.l;
  if (g->whole)
    return LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(l, e->t.i32),
                         lanes_splat(l, LLVMBuildTrunc(e->b, left, e->t.i32, "")), "");
  V some = LLVMBuildFCmp(e->b, LLVMRealOGT, x, t->least, "");
  return both(e, some, LLVMBuildFCmp(e->b, LLVMRealOLT, x, t->most, ""));
}

static void add_mass(Emit *e, const Reduction *r, const Weight *w, uint32_t number, V count) {
  const Gather *g = r->gather;
  const Lanes *l = &g->line.l;
  Log t = log_of(e, l, w);
  V mass = cell_new(e, l->f32, "mass");
  put(e, LLVMConstNull(l->f32), mass);
  V reference = splat(e, l, get(e, t.scalar, w->max));
  Vectors v = vectors_enter(e, g, count);
  V x = log_weights(e, &t, g->log_w[number], v.at);
  V alive = is_alive(e, g, &t, x, minus(e, count, v.at));
  V distance = LLVMBuildFSub(e->b, x, reference, "");
  if (w->type == IR_WIDE) distance = LLVMBuildFPTrunc(e->b, distance, l->f32, "");
  V part = LLVMBuildSelect(e->b, alive, lanes_exp_negative(l, distance), LLVMConstNull(l->f32), "");
  LLVMSetAlignment(put(e, part, slot(e, e->t.f32, g->part[number], v.at)), 4);
  put(e, vector_add(e, get(e, l->f32, mass), part), mass);
  count_leave(e, &v.c);
  V sum = LLVMBuildFPExt(e->b, lanes_fold(l, get(e, l->f32, mass), vector_add), e->t.f64, "");
  put(e, vector_add(e, get(e, e->t.f64, w->mass), sum), w->mass);
}

void gather_raise_max(Emit *e, const Reduction *r, V count) {
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body) raise_max(e, r, &r->weight[n], n, count);
}

void gather_add_mass(Emit *e, const Reduction *r, V count) {
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body) add_mass(e, r, &r->weight[n], n, count);
}

/* ---- accumulators without axes ----------------------------------------------------------------------------------- */

V gather_recall_weight(Emit *e, const Reduction *r, Weight *w, V at) {
  uint32_t n = weight_number(r, w);
  LLVMTypeRef t = type_of(e, w->type);
  V x = get(e, t, slot(e, t, r->gather->log_w[n], at));
  V some = LLVMBuildFCmp(e->b, LLVMRealOGT, x, const_float(e, w->type, -INFINITY), "");
  w->alive = both(e, some, LLVMBuildFCmp(e->b, LLVMRealOLT, x, const_float(e, w->type, INFINITY), ""));
  w->part = LLVMBuildFPExt(e->b, get(e, e->t.f32, slot(e, e->t.f32, r->gather->part[n], at)), e->t.f64, "");
  return x;
}

static void add_entropy(Emit *e, const State *s, V log_w) {
  Weight *w = s->weight;
  V distance = LLVMBuildFSub(e->b, log_w, get(e, type_of(e, w->type), w->max), "");
  V term = acc_entropy_term(e, w->part, op_convert(e, distance, w->type, IR_WIDE));
  term = LLVMBuildSelect(e->b, w->alive, term, const_float(e, IR_WIDE, 0), "");
  put(e, vector_add(e, get(e, e->t.f64, s->cell), term), s->cell);
}

/* tops: by weight, cells: the largest log weight that an argument was chosen at. */
static void add_late(Emit *e, const Reduction *r, const State *s, V at, const V *tops) {
  Weight *w = s->weight;
  V log_w = gather_recall_weight(e, r, w, at);
  if (s->acc->kind == ACC_ENTROPY) {
    add_entropy(e, s, log_w);
    return;
  }
  if (s->acc->kind == ACC_ARGMAX) {
    V top = tops[weight_number(r, w)], old = get(e, type_of(e, w->type), top);
    w->above = both(e, w->alive, LLVMBuildFCmp(e->b, LLVMRealOGT, log_w, old, ""));
    w->tie = both(e, w->alive, LLVMBuildFCmp(e->b, LLVMRealOEQ, log_w, old, ""));
  }
  if (s->acc->body.x) acc_add_scalar(e, s, false);
}

static void note_tops(Emit *e, const Reduction *r, V at, const V *tops) {
  for (uint32_t n = 0; n < r->nweight; n++) {
    Weight *w = &r->weight[n];
    if (!tops[n] || !w->body) continue;
    V log_w = gather_recall_weight(e, r, w, at), old = get(e, type_of(e, w->type), tops[n]);
    V above = both(e, w->alive, LLVMBuildFCmp(e->b, LLVMRealOGT, log_w, old, ""));
    put(e, LLVMBuildSelect(e->b, above, log_w, old, ""), tops[n]);
  }
}

static bool adds_late(const State *s) {
  return is_late(s) && (s->acc->body.x || (s->acc->kind == ACC_ENTROPY && s->acc->body.log_w));
}

bool gather_has_scalars(const Reduction *r) {
  for (uint32_t n = 0; n < r->n; n++)
    if (adds_late(&r->state[n])) return true;
  return false;
}

void gather_add_scalars(Emit *e, const Reduction *r, V count, const V *tops) {
  if (!gather_has_scalars(r)) return;
  Count c = count_enter(e, const_int(e, 0), count);
  gather_recall_element(e, r->gather, c.index);
  for (uint32_t n = 0; n < r->n; n++)
    if (adds_late(&r->state[n])) add_late(e, r, &r->state[n], c.index, tops);
  note_tops(e, r, c.index, tops);
  count_leave(e, &c);
}

V *gather_tops(Emit *e, const Reduction *r) {
  V *tops = NEW_ARRAY(e->arena, V, r->nweight + 1);
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    if (!is_late(s) || s->acc->kind != ACC_ARGMAX) continue;
    uint32_t w = weight_number(r, s->weight);
    if (tops[w]) continue;
    LLVMTypeRef t = type_of(e, s->weight->type);
    tops[w] = cell_new(e, t, "top");
    put(e, get(e, t, s->weight->max), tops[w]); /* of the seed, or -inf */
  }
  return tops;
}
