/* stick: a stick is broken from the last value of an edge's support to the first.
 *
 *     log D(v) = log p(v) + sum over the values u behind v of log(1 - p(u))       D(none) = prod over all u of (1 - p(u))
 *
 * Where the edge may be none these add up to 1; elsewhere what is left of the stick is renormalised away.  Behind means later in
 * the domain, for a graph's row later in the list.  A p that is 1 takes all that is left, and then nothing before it has
 * weight, whatever its p (also NaN): -inf is kept apart from the sum.  log(1 - sigmoid(a)) = -softplus(a).
 *
 * A sum over the values behind stands in every value's weight; the bounds of its loop apart it does not depend on that value. */
#include <math.h>

#include "infer/context.h"
#include "infer/stick.h"

typedef enum { ASK_SUM, ASK_REMOVED, ASK_USED } Ask;

typedef struct Stick {
  Copy home, owner;
  const Factor *f;
  Val first; /* int: positions from here on are behind; NULL value 0: all */
  bool uses; /* some p may use an edge that is none */
} Stick;

static Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }

/* x knows the value; the statement's own indices bound. */
static Context at_statement(Context *x, const Stick *s) {
  Val active = 0;
  return s->f->reach ? at_home(x, s->home, s->f->reach, &active) : *x;
}

static Val probability(Context *x, const Term *p, Val *log_p, Val *log_rest) {
  Builder *b = B(x);
  if (p->kind == TERM_OP && p->op == OP_SIGMOID) {
    Val a = build_convert(b, eval(x, p->args.at[0]), IR_WIDE);
    *log_p = build_1(b, IR_NEG, build_1(b, IR_SOFTPLUS, build_1(b, IR_NEG, a)));
    *log_rest = build_1(b, IR_NEG, build_1(b, IR_SOFTPLUS, a));
    return 0;
  }
  Val v = build_convert(b, eval(x, p), IR_WIDE), none = wide(x, NAN);
  Val valid = build_2(b, IR_AND, build_2(b, IR_GE, v, wide(x, 0)), build_2(b, IR_GE, wide(x, 1), v));
  *log_p = build_select(b, valid, build_1(b, IR_LOG, v), none);
  *log_rest = build_select(b, valid, build_1(b, IR_LOG1P, build_1(b, IR_NEG, v)), none);
  return v;
}

static Val contribution(Context *x, Stick *s, Ask ask) {
  Builder *b = B(x);
  Val used = 0, log_p, log_rest;
  Context y = at_statement(x, s);
  y.used_none = &used;
  probability(&y, s->f->weight->params.at[0], &log_p, &log_rest);
  if (used) s->uses = true;
  Val gone = build_2(b, IR_EQ, log_rest, wide(x, -INFINITY));
  if (ask == ASK_USED) return used ? used : build_bool(b, false);
  return ask == ASK_REMOVED ? gone : build_select(b, gone, wide(x, 0), log_rest);
}

/* Over the values of the support at positions from s->first on. */
static Val over_values(Context *x, Stick *s, Ask ask, bool all) {
  Builder *b = B(x);
  Edge *e = s->f->edge;
  b->span = e->span;
  Context own = in_copy(x, s->owner);
  Bounds r = e->domain == DOMAIN_BIT ? (Bounds){build_int(b, 0), build_int(b, 2), NULL, 0} : eval_range(&own, &e->range);
  Val lo = all || !s->first ? r.lo : build_2(b, IR_MAX, r.lo, s->first);
  Loop *l = open_loop(x, LOOP_REDUCE, e->span, lo, r.hi);
  Acc *acc = build_acc(b, l, ask == ASK_SUM ? ACC_SUM : ACC_ANY, ask == ASK_SUM ? IR_WIDE : IR_BOOL, 0, NULL);
  Choice value = {range_value(&own, &r, l->index), 0};
  Context inside = with_known(&own, s->owner, e, value);
  if (e->where && e->domain != DOMAIN_BIT) l->mask = eval(&inside, e->where);
  Context y = with_known(x, s->owner, e, value);
  if (l->mask) y = with_guard(&y, l->mask);
  acc->body.x = contribution(&y, s, ask);
  return build_close(b, l)->accs.at[0]->result;
}

/* The position behind that of a value. */
static Val position_behind(Context *x, const Stick *s, Choice value) {
  Builder *b = B(x);
  Edge *e = s->f->edge;
  Context own = in_copy(x, s->owner);
  Val one = build_int(b, 1);
  if (e->domain == DOMAIN_BIT) return build_2(b, IR_ADD, value.v, one);
  Bounds r = eval_range(&own, &e->range);
  if (!r.row) return build_2(b, IR_ADD, value.v, one);
  Loop *l = open_loop(x, LOOP_REDUCE, e->span, r.lo, r.hi);
  Acc *acc = build_acc(b, l, ACC_MAX, IR_INT, 0, NULL);
  Val here = build_2(b, IR_EQ, range_value(&own, &r, l->index), value.v);
  acc->body.x = build_select(b, here, build_2(b, IR_ADD, l->index, one), build_int(b, 0));
  return build_close(b, l)->accs.at[0]->result;
}

static Val unless_used(Context *x, Stick *s, Val log_w) {
  Val used = over_values(x, s, ASK_USED, true);
  return s->uses ? build_select(B(x), used, wide(x, 0), log_w) : log_w;
}

static Val left_of_stick(Context *x, Stick *s) {
  Val gone = over_values(x, s, ASK_REMOVED, false), sum = over_values(x, s, ASK_SUM, false);
  return build_select(B(x), gone, wide(x, -INFINITY), sum);
}

Val stick_log(Context *x, Copy home, Copy owner, const Factor *f) {
  Builder *b = B(x);
  Stick s = {.home = home, .owner = owner, .f = f};
  Choice value = find_known(x, owner.c, f->edge, owner.at)->value;
  Val log_p, log_rest, used = 0;
  Context y = at_statement(x, &s);
  y.used_none = &used;
  Val behind = position_behind(x, &s, value);
  if (value.none) y = with_guard(&y, build_1(b, IR_NOT, value.none));
  probability(&y, f->weight->params.at[0], &log_p, &log_rest);
  s.first = value.none ? build_select(b, value.none, build_int(b, INT64_MIN), behind) : behind;
  if (value.none) log_p = build_select(b, value.none, wide(x, 0), log_p);
  return unless_used(x, &s, build_2(b, IR_LOGMUL, left_of_stick(x, &s), log_p));
}

Val stick_unless_used(Context *x, Copy home, Copy owner, const Factor *f, Val log_w) {
  Stick s = {.home = home, .owner = owner, .f = f};
  return unless_used(x, &s, log_w);
}
