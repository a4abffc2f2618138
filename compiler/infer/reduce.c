/* reduce: ranges, and reductions over them.
 *
 * A range with a bound that is none is empty, and what reduces over it is 0, not its neutral element.  sum_j f(j, c)
 * under a plain loop over c becomes a sum over j that carries the axis c, outside that loop, where some work in f (a
 * query, an inner sum) depends on j but not on c: it is then done once for all c. */
#include "infer/eval.h"
#include "model/term.h"

/* From data any two numbers may come, also such that their difference is none. */
static bool is_from_data(const Term *t) { return t->mentions & (MENTIONS_INPUT | MENTIONS_LET); }

static Bounds eval_interval(Context *x, const Range *r) {
  Choice lo = eval_choice(x, r->lo), hi = eval_choice(x, r->hi);
  Val none = or_none(x, lo.none, hi.none);
  note_none(x, none);
  if (is_from_data(r->lo) && is_from_data(r->hi)) hi.v = build_2(B(x), IR_MAX, lo.v, hi.v);
  return (Bounds){lo.v, none ? build_select(B(x), none, lo.v, hi.v) : hi.v, NULL, none};
}

Bounds eval_range(Context *x, const Range *r) {
  if (r->kind == RANGE_INTERVAL) return eval_interval(x, r);
  Array *indptr = x->d->inputs[r->graph->id];
  Choice at = eval_choice(x, r->row);
  Val row = at.v, rows = build_2(B(x), IR_SUB, indptr->dims[0], build_int(B(x), 1));
  note_none(x, at.none);
  if (!provably_below(x, row, rows)) {
    Context y = where_some(x, at.none);
    B(x)->span = r->row->span;
    build_check(B(x), IR_CHECK_INDEX, y.guard, row, rows);
  }
  Val next = build_2(B(x), IR_ADD, row, build_int(B(x), 1));
  Val lo = build_load(B(x), indptr, &row), hi = build_load(B(x), indptr, &next);
  if (at.none) hi = build_select(B(x), at.none, lo, hi);
  return (Bounds){lo, hi, x->d->neighbours[r->graph->id], at.none};
}

Val range_value(Context *x, const Bounds *r, Val position) {
  return r->row ? build_load(B(x), r->row, &position) : position;
}

Loop *open_loop(const Context *x, LoopKind kind, Span of, Val lo, Val hi) {
  Span back = B(x)->span;
  B(x)->span = of;
  Loop *l = build_open(B(x), kind, lo, hi);
  B(x)->span = back;
  return l;
}

static Val reduce_plain(Context *x, Index *i, AccKind kind, IrType type, ContributeFn fn, void *arg) {
  Bounds r = eval_range(x, &i->range);
  Loop *l = open_loop(x, LOOP_REDUCE, i->span, r.lo, r.hi);
  Acc *a = build_acc(B(x), l, kind, type, 0, NULL);
  Context y = with_index(x, i, range_value(x, &r, l->index), r.lo, r.hi, !r.row);
  Contribution c = {0};
  fn(&y, arg, &c);
  a->body = c;
  l = build_close(B(x), l);
  return l->accs.at[0]->result;
}

typedef struct Uses { ContributeFn fn; void *arg; } Uses;

static void contribute_uses(Context *x, void *arg, Contribution *c) {
  const Uses *u = arg;
  Contribution body = {0};
  Val used = 0;
  Context y = *x;
  y.used_none = &used;
  u->fn(&y, u->arg, &body);
  c->x = used ? used : build_bool(B(x), false);
}

Val reduce_over(Context *x, Index *i, AccKind kind, IrType type, ContributeFn fn, void *arg) {
  if (!x->used_none) return reduce_plain(x, i, kind, type, fn, arg);
  Val used = 0;
  Context y = *x;
  y.used_none = &used;
  Val v = reduce_plain(&y, i, kind, type, fn, arg);
  if (used && !region_contains(ir_at(B(x)->k, used)->home, B(x)->at))
    used = reduce_plain(x, i, ACC_ANY, IR_BOOL, contribute_uses, &(Uses){fn, arg});
  if (used) *x->used_none = or_none(x, *x->used_none, used);
  return v;
}

static void contribute_term(Context *x, void *arg, Contribution *c) {
  const Term *body = arg;
  c->x = eval(x, body);
  if (body->type == TYPE_REAL) c->x = build_convert(B(x), c->x, IR_WIDE);
}

/* Some work in t (a query, an inner sum) depends on j but not on c. */
static bool has_work_without(const Term *t, const Index *c, const Index *j) {
  bool work = t->kind == TERM_QUERY || t->kind == TERM_REDUCE || t->kind == TERM_EDGE;
  if (work && !term_mentions_index(t, c) && term_mentions_index(t, j)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_work_without(t->args.at[i], c, j)) return true;
  return false;
}

static bool carries(const Context *x, const Term *t, const BoundIndex *c) {
  if (!c->carryable || c->region != B(x)->at || !context_holds_in(x, c->region->parent)) return false;
  return term_mentions_index(t->args.at[0], c->index) && has_work_without(t->args.at[0], c->index, t->index) &&
         !range_mentions_index(&t->index->range, c->index);
}

static AccKind acc_of(ReduceKind kind) {
  switch (kind) {
  case REDUCE_SUM: return ACC_SUM;
  case REDUCE_PROD: return ACC_PROD;
  case REDUCE_MAX: return ACC_MAX;
  case REDUCE_MIN: return ACC_MIN;
  }
  return ACC_SUM;
}

static IrType wide_type(ScalarType t) { return t == TYPE_INT ? IR_INT : t == TYPE_BOOL ? IR_BOOL : IR_WIDE; }

/* sum_j f(j, c) under the loop over c becomes a sum over j that carries the axis c, outside that loop. */
static Val carried_reduce(Context *x, const Term *t, IrType type, const BoundIndex *c, ContributeFn fn) {
  Builder *b = B(x);
  Region *back = b->at;
  b->at = back->parent;
  Bounds r = eval_range(x, &t->index->range);
  Loop *l = open_loop(x, LOOP_REDUCE, t->index->span, r.lo, r.hi);
  Acc *a = build_acc(b, l, acc_of(t->reduce), type, 1, &(Axis){.lo = c->lo, .hi = c->hi});
  Val axis;
  Region *at = build_axes(b, l, 1, &axis);
  a->body.at = at;
  a->body.index = NEW_ARRAY(x->d->arena, Val, 1);
  a->body.index[0] = axis;
  Context y = with_index(x, t->index, range_value(x, &r, l->index), r.lo, r.hi, !r.row);
  y = with_index(&y, c->index, axis, c->lo, c->hi, true);
  fn(&y, t->args.at[0], &a->body);
  build_leave_axes(b, at);
  l = build_close(b, l);
  b->at = back;
  Val place = build_2(b, IR_SUB, c->v, c->lo);
  return build_load(b, l->accs.at[0]->result_at, &place);
}

Val reduce_term(Context *x, const Term *t, IrType type, ContributeFn fn) {
  if (x->bound && carries(x, t, x->bound)) return carried_reduce(x, t, type, x->bound, fn);
  return reduce_over(x, t->index, acc_of(t->reduce), type, fn, t->args.at[0]);
}

Val zero_where_none(Context *x, const Range *r, Val v) {
  if (r->kind == RANGE_INTERVAL && !term_mentions_edge(r->lo, NULL) && !term_mentions_edge(r->hi, NULL)) return v;
  return unless_none(x, eval_range(x, r).none, v);
}

Val eval_reduce(Context *x, const Term *t) {
  return zero_where_none(x, &t->index->range, reduce_term(x, t, wide_type(t->type), contribute_term));
}
