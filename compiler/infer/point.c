/* point: where a method puts values in place of the posterior, a function of many copies is its value there.
 *
 *   E[f] = f(mode),   E[f] = 1/n sum over draws d of f(draw d)
 *
 * whatever f is: all copies of the line's edges have values at once, and what else f mentions is expected given these
 * (Context.points).  A copy without weight has no value; like one reached through an edge it makes f 0. */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"
#include "infer/expect.h"
#include "infer/network.h"

const Point *point_of(const Context *x, const Component *c) {
  const Point *p = x->points;
  while (p && p->infer != c->infer) p = p->next;
  return p;
}

/* bool: it has a value, and its weights are numbers. */
static Val has_weight(Context *x, Copy copy) {
  Context own = *x;
  own.points = NULL;
  Val weight = build_2(B(x), IR_GT, copy_log_sum(&own, copy), wide(x, -INFINITY));
  return build_and(B(x), weight, bond_holds(&own, copy));
}

static Choice value_of(Context *x, const Point *p, Copy copy, Edge *e) {
  if (!p->draw) return mode_value(x, copy, e);
  if (copy.c->chain) return chain_draw(x, copy, e, p->seed, p->draws, p->draw);
  if (copy.c->network) return network_draw(x, copy, p->seed, p->draws, p->draw);
  return draw_value(x, copy, e, p->seed, p->draw);
}

Choice point_value(Context *x, const Point *p, Copy copy, Edge *e) {
  Context own = *x; /* its own weights see what is picked, value by value */
  own.points = NULL;
  Choice v = value_of(&own, p, copy, e);
  Val empty = build_1(B(x), IR_NOT, has_weight(x, copy));
  v.none = v.none ? build_2(B(x), IR_OR, v.none, empty) : empty;
  return v;
}

static Val point_holds(Context *x, Copy copy) {
  return point_of(x, copy.c) ? has_weight(x, copy) : build_bool(B(x), true);
}

static Val point_exists(Context *x, Copy copy) {
  return point_of(x, copy.c) ? copy_exists(x, copy) : build_bool(B(x), true);
}

Val value_at_points(Context *x, const Term *t) {
  Builder *b = B(x);
  Val v = build_convert(b, eval(x, t), IR_WIDE), holds = holds_of_all(x, t, point_holds);
  if (!holds) return v;
  Val other = build_select(b, holds_of_all(x, t, point_exists), wide(x, NAN), wide(x, 0));
  return build_select(b, holds, v, other);
}

static Val expect_with(const Context *x, const Point *like, const Term *t) {
  Point *p = NEW(x->d->arena, Point);
  *p = *like;
  p->next = x->points;
  Context y = *x;
  y.points = p;
  return part(&y, t);
}

static Val mean_over_draws(Context *x, const Infer *f, const Term *t) {
  Builder *b = B(x);
  Context top = {.d = x->d};
  Val n = eval(&top, f->n), seed = eval(&top, f->seed);
  Loop *l = open_loop(x, LOOP_REDUCE, f->span, build_int(b, 0), n);
  Acc *a = build_acc(b, l, ACC_SUM, IR_WIDE, 0, NULL);
  a->body.x = expect_with(x, &(Point){.infer = f, .seed = seed, .draws = n, .draw = l->index}, t);
  l = build_close(b, l);
  return build_2(b, IR_DIV, l->accs.at[0]->result, build_convert(b, n, IR_WIDE));
}

static const Infer *line_among(const Context *x, const Mentions *m, InferMethod method) {
  for (uint32_t i = 0; i < m->reached_in.n; i++) {
    const Component *c = m->reached_in.at[i];
    if (c->infer && c->infer->method == method && !point_of(x, c)) return c->infer;
  }
  return NULL;
}

Val expect_at_points(Context *x, const Mentions *m, InferMethod method, const Term *t) {
  const Infer *f = m->under_binder ? line_among(x, m, method) : NULL;
  if (!f) return 0;
  return method == INFER_MODE ? expect_with(x, &(Point){.infer = f}, t) : mean_over_draws(x, f, t);
}
