/* stick: a stick is broken from the last value of an edge's support to the first.
 *
 *     log D(v) = log p(v) + sum over the values u behind v of log(1 - p(u))
 *     D(none)  = prod over all u of (1 - p(u))
 *
 * Where the edge may be none these add up to 1; elsewhere what is left of the stick is renormalised away.  Behind means
 * later in the domain, for a graph's row later in the list.  A p that is 1 takes all that is left, and then nothing
 * before it has weight, whatever its p (also NaN): -inf is kept apart from the sum.  log(1 - sigmoid(a)) =
 * -softplus(a).
 *
 * What is left behind a value, the sum, is known from what is left behind the one after it: where p mentions neither
 * other edges nor anything else that a copy does not fix, a table holds it for every copy and value, filled from the
 * last value on.  Elsewhere it is summed for each value. */
#include <math.h>

#include "infer/arith.h"
#include "infer/context.h"
#include "infer/stick.h"
#include "model/term.h"

typedef enum { ASK_SUM, ASK_REMOVED, ASK_USED } Ask;

typedef struct Stick {
  Copy home, owner;
  const Factor *f;
  Val first; /* int: positions from here on are behind; NULL value 0: all */
  bool uses; /* some p may use an edge that is none */
} Stick;

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
  Bounds r =
      e->domain == DOMAIN_BIT ? (Bounds){build_int(b, 0), build_int(b, 2), NULL, 0} : eval_range(&own, &e->range);
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

/* ---- the table -------------------------------------------------------------------------------------------- */

struct Sticks { const Weight *w; const Component *c; uint32_t stage; Array *left; struct Sticks *next; };

static bool is_fixed(const Stick *s) {
  const Component *c = s->owner.c;
  const Edge *e = s->f->edge;
  if (!c->root || c->structure || c->network || s->f->reach || e->domain != DOMAIN_RANGE ||
      e->range.kind != RANGE_INTERVAL)
    return false;
  if (!term_is_of_sizes(e->range.lo) || !term_is_of_sizes(e->range.hi) || support_scope(c, e)) return false;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (!has_fixed_bounds(c->plates.at[k])) return false;
  return !(s->f->scope & ~((EdgeSet)1 << (uint32_t)component_place(c, e)));
}

/* left[.., k] = the sum over the values from number k on; -inf wins. */
static Array *fill_left(Derive *d, const Stick *s) {
  Builder *b = &d->b;
  Component *c = s->owner.c;
  Edge *e = s->f->edge;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t n = c->plates.n;
  Val *dims = NEW_ARRAY(d->arena, Val, n + 1), *place = NEW_ARRAY(d->arena, Val, n + 1);
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n + 1);
  Bounds r = eval_range(&x, &e->range), *plate = NEW_ARRAY(d->arena, Bounds, n + 1);
  for (uint32_t k = 0; k < n; k++) {
    plate[k] = eval_range(&x, &c->plates.at[k]->range);
    dims[k] = build_2(b, IR_SUB, plate[k].hi, plate[k].lo);
  }
  Val zero = build_int(b, 0), one = build_int(b, 1), many = build_2(b, IR_MAX, build_2(b, IR_SUB, r.hi, r.lo), zero);
  dims[n] = build_2(b, IR_ADD, many, one);
  Array *left = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "left%u", b->k->arrays.n), STORE_WIDE, n + 1, dims);
  b->at = stage_of(d, c);
  for (uint32_t k = 0; k < n; k++) {
    loops[k] = open_loop(&x, LOOP_PAR, c->plates.at[k]->span, plate[k].lo, plate[k].hi);
    x = with_index(&x, c->plates.at[k], loops[k]->index, plate[k].lo, plate[k].hi, true);
    place[k] = build_2(b, IR_SUB, loops[k]->index, plate[k].lo);
  }
  Copy copy = own_copy(&x, c);
  place[n] = many;
  build_store(b, left, wide(&x, 0), place);
  loops[n] = open_loop(&x, LOOP_SEQ, e->span, zero, many);
  place[n] = build_2(b, IR_SUB, many, loops[n]->index);
  Val behind = build_load(b, left, place), log_p, log_rest, inside = 0;
  place[n] = build_2(b, IR_SUB, place[n], one);
  Context y = with_known(&x, copy, e, (Choice){build_2(b, IR_ADD, r.lo, place[n]), 0});
  if (e->where) y = with_guard(&y, inside = eval(&y, e->where));
  probability(&y, s->f->weight->params.at[0], &log_p, &log_rest);
  Val here = build_2(b, IR_LOGMUL, behind, log_rest);
  build_store(b, left, inside ? build_select(b, inside, here, behind) : here, place);
  for (uint32_t k = n + 1; k-- > 0;) build_close(b, loops[k]);
  b->at = back;
  return left;
}

static Array *table_of(Derive *d, const Stick *s) {
  uint32_t stage = stage_number(d, s->owner.c);
  for (struct Sticks *t = d->sticks; t; t = t->next)
    if (t->w == s->f->weight && t->c == s->owner.c && t->stage == stage) return t->left;
  struct Sticks *t = NEW(d->arena, struct Sticks);
  *t = (struct Sticks){s->f->weight, s->owner.c, stage, fill_left(d, s), d->sticks};
  d->sticks = t;
  return t->left;
}

static Val load_left(Context *x, const Stick *s) {
  Builder *b = B(x);
  Array *left = table_of(x->d, s);
  Context top = {.d = x->d};
  uint32_t n = s->owner.c->plates.n;
  Val *place = NEW_ARRAY(x->d->arena, Val, n + 1);
  for (uint32_t k = 0; k < n; k++)
    place[k] = build_2(b, IR_SUB, s->owner.at[k], eval_range(&top, &s->owner.c->plates.at[k]->range).lo);
  Val lo = eval_range(&top, &s->f->edge->range).lo;
  place[n] = build_2(b, IR_SUB, build_2(b, IR_MAX, s->first, lo), lo);
  return build_load(b, left, place);
}

/* ---- the prior ---------------------------------------------------------------------------------------------- */

static Val unless_used(Context *x, Stick *s, Val log_w) {
  if (is_fixed(s)) return log_w; /* p mentions no edge that may be none */
  Val used = over_values(x, s, ASK_USED, true);
  return s->uses ? build_select(B(x), used, wide(x, 0), log_w) : log_w;
}

static Val left_of_stick(Context *x, Stick *s) {
  if (is_fixed(s)) return load_left(x, s);
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
