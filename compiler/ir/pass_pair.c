/* pass_pair: a reduction over two values is an expression.
 *
 * With log weights a and b, m = max(a, b) and e = exp(-|b - a|), which never overflows:
 *
 *   mass = log(1 + e)     lse = m + mass     entropy = mass + |b - a| e / (1 + e)
 *   shares of the weight: 1 / (1 + exp(a - b)) of b, which exp(b - m - mass) is too
 *
 * If neither is there (m = -inf) results are those of an empty reduction; NaN and +inf spoil them by way of m - m,
 * which is 0 for every finite m.
 *
 * Requires: a verified kernel in the builder's normal form.  Ensures: no reduction over a constant range of two values
 * whose body is straight code, without seed and axes. */
#include <math.h>

#include "ir/pass.h"
#include "ir/rebuild.h"

typedef struct Pair { Val a, b; } Pair; /* of the first value and the second */

static bool is_constant(const Kernel *k, Val v) { return ir_at(k, v)->op == IR_CONST; }

static bool is_straight(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_at(k, r->code.at[n])->op == IR_LOOP || ir_at(k, r->code.at[n])->op == IR_ARRAY) return false;
  return true;
}

static bool is_pair(const Kernel *k, const Loop *l) {
  if (l->kind != LOOP_REDUCE || l->seed || !is_constant(k, l->lo) || !is_constant(k, l->hi)) return false;
  if (ir_at(k, l->hi)->integer - ir_at(k, l->lo)->integer != 2) return false;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis) return false;
  return is_straight(k, l->body);
}

/* ---- shorthands ------------------------------------------------------------------------------------ */

static Val wide(Builder *b, double x) { return build_float(b, IR_WIDE, x); }
static Val add(Builder *b, Val x, Val y) { return build_2(b, IR_ADD, x, y); }
static Val sub(Builder *b, Val x, Val y) { return build_2(b, IR_SUB, x, y); }
static Val mul(Builder *b, Val x, Val y) { return build_2(b, IR_MUL, x, y); }
static Val is_none(Builder *b, Val log_w) { return build_2(b, IR_EQ, log_w, wide(b, -INFINITY)); }

/* ---- plain monoids ---------------------------------------------------------------------------------- */

static Val none_of(Builder *b, AccKind kind, IrType type) {
  if (type == IR_BOOL) return build_bool(b, kind == ACC_ALL);
  if (type == IR_INT)
    return build_int(b, kind == ACC_PROD ? 1 : kind == ACC_MAX ? INT64_MIN : kind == ACC_MIN ? INT64_MAX : 0);
  return build_float(b, type, kind == ACC_PROD ? 1 : kind == ACC_MAX ? -INFINITY : kind == ACC_MIN ? INFINITY : 0);
}

static IrOp op_of(AccKind kind) {
  switch (kind) {
    case ACC_PROD: return IR_MUL;
    case ACC_MAX: return IR_MAX;
    case ACC_MIN: return IR_MIN;
    case ACC_ANY: return IR_OR;
    case ACC_ALL: return IR_AND;
    default: return IR_ADD;
  }
}

static Val plain(Builder *b, const Acc *a, Pair x, Pair on) {
  Val none = none_of(b, a->kind, a->type), first = build_convert(b, x.a, a->type),
      second = build_convert(b, x.b, a->type);
  if (on.a) first = build_select(b, on.a, first, none), second = build_select(b, on.b, second, none);
  return build_2(b, op_of(a->kind), first, second);
}

/* ---- weighted monoids --------------------------------------------------------------------------------- */

typedef struct Weights { Val a, b, max, gap, rest, spoil, mass, none; } Weights; /* gap: b - a; rest: e; spoil: m - m */

static Weights weights_of(Builder *b, Pair log_w, Pair on) {
  Weights w = {build_convert(b, log_w.a, IR_WIDE), build_convert(b, log_w.b, IR_WIDE), 0, 0, 0, 0, 0, 0};
  if (on.a) {
    w.a = build_select(b, on.a, w.a, wide(b, -INFINITY));
    w.b = build_select(b, on.b, w.b, wide(b, -INFINITY));
  }
  w.max = build_2(b, IR_MAX, w.a, w.b);
  w.gap = sub(b, w.b, w.a);
  w.rest = build_1(b, IR_EXP, build_1(b, IR_NEG, build_1(b, IR_ABS, w.gap)));
  w.spoil = sub(b, w.max, w.max);
  w.none = is_none(b, w.max);
  w.mass = build_select(b, w.none, wide(b, -INFINITY), add(b, build_1(b, IR_LOG1P, w.rest), w.spoil));
  return w;
}

static Val share_of(Builder *b, const Weights *w, bool second) {
  return build_1(b, IR_SIGMOID, second ? w->gap : build_1(b, IR_NEG, w->gap));
}

/* share * x, where x counts only if its weight is there. */
static Val term(Builder *b, const Weights *w, bool second, Val x) {
  Val log_w = second ? w->b : w->a, share = share_of(b, w, second);
  x = build_convert(b, x, IR_WIDE);
  if (ir_is_number(b->k, x, 1)) return share;
  if (is_constant(b->k, x)) return mul(b, share, x);
  return mul(b, share, build_select(b, is_none(b, log_w), wide(b, 0), x));
}

static Val expectation(Builder *b, const Weights *w, Pair x) {
  Val sum = w->spoil, wide_a = build_convert(b, x.a, IR_WIDE), wide_b = build_convert(b, x.b, IR_WIDE);
  if (!ir_is_number(b->k, wide_a, 0)) sum = add(b, sum, term(b, w, false, x.a));
  if (!ir_is_number(b->k, wide_b, 0)) sum = add(b, sum, term(b, w, true, x.b));
  return build_select(b, w->none, wide(b, 0), sum);
}

static Val entropy(Builder *b, const Weights *w) {
  Val gone = build_2(b, IR_EQ, w->rest, wide(b, 0)), distance = build_1(b, IR_ABS, w->gap);
  Val part = build_2(b, IR_DIV, mul(b, distance, w->rest), add(b, wide(b, 1), w->rest));
  return build_select(b, w->none, wide(b, 0), add(b, w->mass, build_select(b, gone, wide(b, 0), part)));
}

static Val argmax(Builder *b, const Weights *w, Pair x) {
  Val fine = build_2(b, IR_AND, build_2(b, IR_LT, w->max, wide(b, INFINITY)), build_1(b, IR_NOT, w->none));
  Val tie = build_2(b, IR_MIN, x.a, x.b);
  Val best =
      build_select(b, build_2(b, IR_GT, w->b, w->a), x.b, build_select(b, build_2(b, IR_GT, w->a, w->b), x.a, tie));
  return build_select(b, fine, best, build_int(b, -1));
}

static Val result_of(Builder *b, const Acc *a, Pair log_w, Pair x, Pair on) {
  if (!ir_acc_takes_log_w(a->kind)) return plain(b, a, x, on);
  Weights w = weights_of(b, log_w, on);
  switch (a->kind) {
    case ACC_LSE: return add(b, w.max, w.mass);
    case ACC_MASS: return w.mass;
    case ACC_EXPECT: return expectation(b, &w, x);
    case ACC_ENTROPY: return entropy(b, &w);
    default: return argmax(b, &w, x);
  }
}

/* ---- results by another name --------------------------------------------------------------------------- */

/* The weights of pairs that were replaced, by which exp(b - m - mass) and m + mass are recognised. */
typedef struct PairPass { Rebuild rebuild; VEC(Weights) seen; } PairPass;

static bool is_difference(const Builder *b, Val v, Val of, Val less) {
  const Instr *i = ir_at(b->k, v);
  return i->op == IR_SUB && i->arg[0] == of && i->arg[1] == less;
}

/* 0: it is no share. */
static Val share_by_name(PairPass *p, Val distance) {
  Builder *b = &p->rebuild.b;
  const Instr *i = ir_at(b->k, distance);
  for (uint32_t n = 0; i->op == IR_SUB && n < p->seen.n; n++) {
    const Weights *w = &p->seen.at[n];
    if (i->arg[1] != w->mass) continue;
    for (int second = 0; second < 2; second++)
      if (is_difference(b, i->arg[0], second ? w->b : w->a, w->max)) return add(b, w->spoil, share_of(b, w, second));
  }
  return 0;
}

/* lse is -inf exactly where m is.  0: v is no such sum. */
static Val largest_by_name(PairPass *p, Val lse) {
  const Instr *i = ir_at(p->rebuild.b.k, lse);
  for (uint32_t n = 0; i->op == IR_ADD && n < p->seen.n; n++)
    if (i->arg[0] == p->seen.at[n].max && i->arg[1] == p->seen.at[n].mass) return i->arg[0];
  return 0;
}

static bool by_other_name(Rebuild *r, Val v) {
  PairPass *p = (PairPass *)r;
  const Instr *i = ir_at(r->from, v);
  Val to = 0;
  if (i->op == IR_EXP && i->type == IR_WIDE) to = share_by_name(p, r->map[i->arg[0]]);
  if ((i->op == IR_EQ || i->op == IR_NE) && ir_is_number(r->b.k, r->map[i->arg[1]], -INFINITY)) {
    Val max = largest_by_name(p, r->map[i->arg[0]]);
    if (max) to = build_2(&r->b, i->op, max, r->map[i->arg[1]]);
  }
  if (to) r->map[v] = to;
  return to;
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

static void copy_value(Rebuild *r, const Loop *l, int64_t at) {
  r->map[l->index] = build_int(&r->b, ir_at(r->from, l->lo)->integer + at);
  for (uint32_t n = 0; n < l->body->code.n; n++) rebuild_instr(r, l->body->code.at[n]);
}

static void replace(Rebuild *r, const Loop *l) {
  uint32_t n = l->accs.n;
  Pair *log_w = NEW_ARRAY(r->b.k->arena, Pair, n), *x = NEW_ARRAY(r->b.k->arena, Pair, n), on = {0, 0};
  copy_value(r, l, 0);
  on.a = r->map[l->mask];
  for (uint32_t k = 0; k < n; k++)
    log_w[k].a = r->map[l->accs.at[k]->body.log_w], x[k].a = r->map[l->accs.at[k]->body.x];
  copy_value(r, l, 1);
  on.b = r->map[l->mask];
  for (uint32_t k = 0; k < n; k++)
    log_w[k].b = r->map[l->accs.at[k]->body.log_w], x[k].b = r->map[l->accs.at[k]->body.x];
  if (!l->mask) on = (Pair){0, 0};
  for (uint32_t k = 0; k < n; k++)
    if (ir_acc_takes_log_w(l->accs.at[k]->kind))
      vec_push(r->b.k->arena, &((PairPass *)r)->seen, weights_of(&r->b, log_w[k], on));
  for (uint32_t k = 0; k < n; k++) r->map[l->accs.at[k]->result] = result_of(&r->b, l->accs.at[k], log_w[k], x[k], on);
}

static void code(Rebuild *r, const Region *region) {
  for (uint32_t n = 0; n < region->code.n; n++) {
    const Instr *i = ir_at(r->from, region->code.at[n]);
    if (i->op == IR_LOOP && is_pair(r->from, i->loop)) replace(r, i->loop);
    else if (!by_other_name(r, region->code.at[n])) rebuild_instr(r, region->code.at[n]);
  }
}

Kernel *pass_pair(Arena *arena, const Kernel *k) {
  PairPass p = {0};
  rebuild_init(&p.rebuild, arena, k);
  p.rebuild.code = code;
  return rebuild_run(&p.rebuild);
}
