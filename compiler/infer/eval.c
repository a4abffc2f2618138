/* eval: scalar terms to values of the IR.
 *
 * Laws.  Only the chosen side of an `if` matters: the other is computed (every operation is total) under a
 * guard that keeps its checks silent.  The smallest expression that uses a `none` is 0, in a weight the
 * whole statement is 1.  A derived array is stored when evaluating it in place would repeat work. */
#include "infer/context.h"
#include "infer/running.h"

#include "base/ice.h"
#include "infer/latent.h"
#include "model/term.h"

Val refuse_query(const Context *x, Span span, const char *why) {
  Plan *p = x->d->plan;
  bool told = false;
  for (uint32_t i = 0; i < p->refusals.n; i++) told |= p->refusals.at[i].span.lo == span.lo;
  if (!told) vec_push(x->d->arena, &p->refusals, (Refusal){.span = span, .text = why});
  x->d->failed = true;
  return build_float(B(x), IR_WIDE, 0);
}

Val refuse_partly_outside(const Context *x, Span span, const Component *c) {
  const char *name = sym_text(x->d->m->names, c->edges.at[0]->name);
  return refuse_query(x, span,
                      arena_printf(x->d->arena,
                                   "this evidence is of the plates it stands in, but copies of '%s' outside them are "
                                   "joined to copies inside",
                                   name));
}

/* ---- contexts ------------------------------------------------------------------------------------------ */

Context with_index(const Context *x, Index *i, Val v, Val lo, Val hi, bool carryable) {
  BoundIndex *n = NEW(x->d->arena, BoundIndex);
  *n = (BoundIndex){i, v, ir_at(B(x)->k, v)->home, lo, hi, carryable, x->bound};
  Context y = *x;
  y.bound = n;
  return y;
}

Context with_guard(const Context *x, Val cond) {
  Context y = *x;
  y.guard = build_and(B(x), x->guard, cond);
  return y;
}

BoundIndex *find_bound(const Context *x, const Index *i) {
  for (BoundIndex *n = x->bound; n; n = n->next)
    if (n->index == i) return n;
  return NULL;
}

/* ---- what a value depends on ---------------------------------------------------------------------------- */

static bool depends_on(const Kernel *k, Val v, Val index) {
  const Instr *i = ir_at(k, v);
  if (v == index) return true;
  if (i->home->depth < ir_at(k, index)->home->depth) return false;
  if (i->op == IR_RESULT || i->op == IR_LOAD) /* through memory: all loops around its home count */
    if (region_contains(ir_at(k, index)->home, i->op == IR_LOAD ? i->array->home : i->home)) return true;
  for (uint32_t a = 0; a < i->narg; a++)
    if (depends_on(k, i->arg[a], index)) return true;
  return false;
}

/* Loops over the components of a vector repeat nothing: a stream inside them carries them as axes. */
static bool is_component_loop(const Context *x, const Loop *l) {
  for (const BoundIndex *n = x->bound; n; n = n->next)
    if (n->v == l->index) return n->index->role == INDEX_AXIS && n->carryable;
  return false;
}

bool is_redundant(const Context *x, uint32_t n, const Val *v) {
  const Kernel *k = B(x)->k;
  Region *r = build_deepest(B(x), n, v), *storing = B(x)->at;
  while (storing->loop && storing->loop->kind == LOOP_REDUCE) storing = storing->parent;
  if (x->d->iteration && storing->depth > r->depth) r = storing; /* what reads latents does not leave it */
  for (; r != x->d->stage && r->parent; r = r->parent) {
    bool depends = r->loop->body != r || is_component_loop(x, r->loop); /* nor does an axis region or a seed */
    for (uint32_t i = 0; i < n && !depends; i++) depends = depends_on(k, v[i], r->loop->index);
    if (!depends) return true;
  }
  return false;
}

/* ---- none ------------------------------------------------------------------------------------------------ */

static Val or_none(Context *x, Val a, Val b) { return !a ? b : !b ? a : build_2(B(x), IR_OR, a, b); }

static Val not_none(Context *x, Val none) { return none ? build_1(B(x), IR_NOT, none) : 0; }

/* Notes, in a weight, that a none was used here. */
static void note_none(Context *x, Val none) {
  if (x->used_none && none) *x->used_none = or_none(x, *x->used_none, build_and(B(x), x->guard, none));
}

static Val zero(Context *x, IrType t) {
  switch (t) {
  case IR_BOOL: return build_bool(B(x), false);
  case IR_INT: return build_int(B(x), 0);
  case IR_REAL: case IR_WIDE: return build_float(B(x), t, 0);
  case IR_VOID: break;
  }
  ICE("a value of no type");
}

/* The expression has value v unless something it uses is none. */
static Val unless_none(Context *x, Val none, Val v) {
  if (!none) return v;
  note_none(x, none);
  return build_select(B(x), none, zero(x, ir_at(B(x)->k, v)->type), v);
}

Val eval(Context *x, const Term *t) {
  Choice c = eval_choice(x, t);
  return unless_none(x, c.none, c.v);
}

/* ---- array elements --------------------------------------------------------------------------------------- */

/* Of an int value: lo <= v, found from constants, sizes and loop variables. */
static bool provably_nonnegative(const Context *x, Val v) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v);
  switch ((int)i->op) {
  case IR_CONST: return i->integer >= 0;
  case IR_SIZE: return true;
  case IR_INDEX:
    if (i->loop) return provably_nonnegative(x, i->loop->lo);
    for (const BoundIndex *n = x->bound; n; n = n->next)
      if (n->v == v && n->lo != v) return provably_nonnegative(x, n->lo);
    return false;
  case IR_ADD: case IR_MUL: case IR_FLOORDIV: case IR_MIN:
    return provably_nonnegative(x, i->arg[0]) && provably_nonnegative(x, i->arg[1]);
  case IR_MOD: return provably_nonnegative(x, i->arg[1]);
  case IR_MAX: return provably_nonnegative(x, i->arg[0]) || provably_nonnegative(x, i->arg[1]);
  }
  return false;
}

/* At n, or in a loop that may be left out, lo .. (c ? n : lo). */
static bool ends_at(const Kernel *k, const Loop *l, Val n) {
  const Instr *hi = ir_at(k, l->hi);
  return l->hi == n || (hi->op == IR_SELECT && hi->arg[1] == n && hi->arg[2] == l->lo);
}

bool provably_below(const Context *x, Val v, Val n) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v), *top = ir_at(k, n);
  if (!provably_nonnegative(x, v)) return false;
  if (i->op == IR_CONST) return top->op == IR_CONST && i->integer < top->integer;
  if (i->op == IR_INDEX) {
    if (i->loop) return ends_at(k, i->loop, n);
    for (const BoundIndex *b = x->bound; b; b = b->next)
      if (b->v == v) return b->hi == n;
  }
  return false;
}

bool provably_within(const Context *x, Val v, Val lo, Val hi) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v), *low = ir_at(k, lo);
  bool from_lo = (low->op == IR_CONST && low->integer <= 0) || (i->op == IR_INDEX && i->loop && i->loop->lo == lo);
  return from_lo && provably_below(x, v, hi);
}

static void check_index(Context *x, const Term *t, Val v, Val dim) {
  if (provably_below(x, v, dim)) return;
  B(x)->span = t->span;
  build_check(B(x), IR_CHECK_INDEX, x->guard, v, dim);
}

/* An element named by a none anywhere is not read, so its other indices are not looked at either. */
static Val eval_input(Context *x, const Term *t) {
  Array *a = x->d->inputs[t->input->id];
  Val *index = NEW_ARRAY(x->d->arena, Val, t->args.n), none = 0;
  for (uint32_t i = 0; i < t->args.n; i++) {
    Choice c = eval_choice(x, t->args.at[i]);
    index[i] = c.v;
    none = or_none(x, none, c.none);
  }
  Context read = none ? with_guard(x, not_none(x, none)) : *x;
  for (uint32_t i = 0; i < t->args.n; i++) check_index(&read, t->args.at[i], index[i], a->dims[i]);
  Val v = build_load(B(x), a, index);
  return unless_none(x, none, t->wide && t->type == TYPE_REAL ? build_convert(B(x), v, IR_WIDE) : v);
}

/* As eval_input; indices count from where the latent's ranges begin. */
static Val eval_latent(Context *x, const Term *t) {
  Array *a = latent_array(x->d, t);
  Context top = {.d = x->d};
  Val *index = NEW_ARRAY(x->d->arena, Val, t->args.n), none = 0;
  for (uint32_t i = 0; i < t->args.n; i++) {
    Choice c = eval_choice(x, t->args.at[i]);
    Bounds r = eval_range(&top, &latent_index(t->latent, i)->range);
    index[i] = build_2(B(x), IR_SUB, c.v, r.lo);
    none = or_none(x, none, c.none);
  }
  Context read = none ? with_guard(x, not_none(x, none)) : *x;
  for (uint32_t i = 0; i < t->args.n; i++) check_index(&read, t->args.at[i], index[i], a->dims[i]);
  return unless_none(x, none, build_load(B(x), a, index));
}

static bool contains_reduce(const Term *t) {
  if (t->kind == TERM_REDUCE || t->kind == TERM_QUERY) return true;
  if (t->kind == TERM_LET && contains_reduce(t->let->value)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (contains_reduce(t->args.at[i])) return true;
  return false;
}

static Index *let_index(const Let *l, uint32_t i) {
  if (i < l->plates.n) return l->plates.at[i];
  i -= l->plates.n;
  return i < l->own.n ? l->own.at[i] : l->axes.at[i - l->own.n];
}

bool has_fixed_bounds(const Index *i) {
  return i->range.kind == RANGE_INTERVAL && term_is_of_sizes(i->range.lo) && term_is_of_sizes(i->range.hi);
}

static bool let_can_be_stored(const Let *l) {
  for (uint32_t i = 0; i < l->plates.n + l->own.n + l->axes.n; i++)
    if (!has_fixed_bounds(let_index(l, i))) return false;
  return true;
}

static Val eval_let(Context *x, const Term *t) {
  Let *l = t->let;
  uint32_t n = t->args.n;
  Val *index = NEW_ARRAY(x->d->arena, Val, n), none = 0;
  Context top = {.d = x->d}, in = {.d = x->d, .guard = x->guard};
  Bounds *r = NEW_ARRAY(x->d->arena, Bounds, n);
  for (uint32_t i = 0; i < n; i++) {
    Choice c = eval_choice(x, t->args.at[i]);
    none = or_none(x, none, c.none);
    index[i] = c.v;
  }
  Context read = none ? with_guard(x, not_none(x, none)) : *x;
  for (uint32_t i = 0; i < n; i++) {
    r[i] = eval_range(let_can_be_stored(l) ? &top : &in, &let_index(l, i)->range);
    Val place = build_2(B(x), IR_SUB, index[i], r[i].lo), dim = build_2(B(x), IR_SUB, r[i].hi, r[i].lo);
    if (!provably_within(x, index[i], r[i].lo, r[i].hi)) check_index(&read, t->args.at[i], place, dim);
    in = with_index(&in, let_index(l, i), index[i], r[i].lo, r[i].hi, false);
  }
  int64_t shift; /* running sums are cheapest together */
  bool stored = let_can_be_stored(l) && contains_reduce(l->value) &&
                (x->d->lets[l->id] || running_index(l, &shift) || is_redundant(x, n, index));
  if (!stored) {
    in.guard = read.guard;
    return unless_none(x, none, eval(&in, l->value));
  }
  Array *a = stored_let(x->d, l);
  for (uint32_t i = 0; i < n; i++) index[i] = build_2(B(x), IR_SUB, index[i], r[i].lo);
  return unless_none(x, none, build_load(B(x), a, index));
}

/* The loops that fill a derived array, at the top of the kernel. */
Array *stored_let(Derive *d, Let *l) {
  if (d->lets[l->id]) return d->lets[l->id];
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t n = l->plates.n + l->own.n + l->axes.n;
  Val *dims = NEW_ARRAY(d->arena, Val, n), *place = NEW_ARRAY(d->arena, Val, n);
  Bounds *r = NEW_ARRAY(d->arena, Bounds, n);
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n);
  for (uint32_t i = 0; i < n; i++) {
    r[i] = eval_range(&x, &let_index(l, i)->range);
    dims[i] = build_2(b, IR_SUB, r[i].hi, r[i].lo);
  }
  StoreType elem = l->value->type == TYPE_REAL ? STORE_REAL : l->value->type == TYPE_INT ? STORE_INT : STORE_BOOL;
  Array *a =
      build_array(b, ARRAY_TEMP, arena_printf(d->arena, "let.%s", sym_text(d->m->names, l->name)), elem, n, dims);
  int64_t shift;
  const Index *along = running_index(l, &shift);
  Array *sum = along ? running_array(d, l, along, dims) : NULL;
  uint32_t open = 0;
  for (uint32_t pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < n; i++) { /* an ordered loop stands inside the others */
      bool ordered = let_index(l, i) == along;
      if (ordered != (pass == 1)) continue;
      loops[open] = open_loop(&x, ordered ? LOOP_SEQ : LOOP_PAR, let_index(l, i)->span, r[i].lo, r[i].hi);
      x = with_index(&x, let_index(l, i), loops[open]->index, r[i].lo, r[i].hi, true);
      place[i] = build_2(b, IR_SUB, loops[open++]->index, r[i].lo);
    }
    if (along && !pass) running_begin(&x, l, along, sum, place);
  }
  Val value = along ? running_value(&x, l, along, shift, sum, place) : eval(&x, l->value);
  build_store(b, a, value, place);
  for (uint32_t i = n; i-- > 0;) build_close(b, loops[i]);
  b->at = back;
  return d->lets[l->id] = a;
}

/* ---- ranges and reductions ---------------------------------------------------------------------------------- */

static Bounds eval_interval(Context *x, const Range *r) {
  Choice lo = eval_choice(x, r->lo), hi = eval_choice(x, r->hi);
  Val none = or_none(x, lo.none, hi.none);
  note_none(x, none);
  return (Bounds){lo.v, none ? build_select(B(x), none, lo.v, hi.v) : hi.v, NULL, none};
}

Bounds eval_range(Context *x, const Range *r) {
  if (r->kind == RANGE_INTERVAL) return eval_interval(x, r);
  Array *indptr = x->d->inputs[r->graph->id];
  Choice at = eval_choice(x, r->row);
  Val row = at.v, rows = build_2(B(x), IR_SUB, indptr->dims[0], build_int(B(x), 1));
  note_none(x, at.none);
  if (!provably_below(x, row, rows)) {
    Context y = at.none ? with_guard(x, not_none(x, at.none)) : *x;
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

/* The innermost plain loops around over which a sum should be interchanged, sum_j f(j, c) for all c at once: those
 * of which its body depends on, while some work in it (a query, an inner sum) depends on j but not on c. */
static bool has_work_without(const Term *t, const Index *c, const Index *j) {
  bool work = t->kind == TERM_QUERY || t->kind == TERM_REDUCE || t->kind == TERM_EDGE;
  if (work && !term_mentions_index(t, c) && term_mentions_index(t, j)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_work_without(t->args.at[i], c, j)) return true;
  return false;
}

static bool range_mentions(const Range *r, const Index *i) {
  return (r->lo && term_mentions_index(r->lo, i)) || (r->hi && term_mentions_index(r->hi, i)) ||
         (r->row && term_mentions_index(r->row, i));
}

static bool all_known_in(const Context *x, uint32_t n, const Val *v, const Region *r) {
  for (uint32_t i = 0; i < n; i++)
    if (!region_contains(ir_at(B(x)->k, v[i])->home, r)) return false;
  return true;
}

/* Everything known here, beside the variables of loops, is known already in region r; copies that have a value or
 * are decided to be one are named by values known there. */
bool context_holds_in(const Context *x, const Region *r) {
  if (x->guard && !all_known_in(x, 1, &x->guard, r)) return false;
  for (const Known *n = x->known; n; n = n->next)
    if (!all_known_in(x, 1, &n->value.v, r) || !all_known_in(x, n->c->plates.n, n->copy, r)) return false;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (!all_known_in(x, d->c->plates.n, d->x, r) || !all_known_in(x, d->c->plates.n, d->y, r)) return false;
  return !x->used_none;
}

static bool carries(const Context *x, const Term *t, const BoundIndex *c) {
  if (!c->carryable || c->region != B(x)->at || !context_holds_in(x, c->region->parent)) return false;
  return term_mentions_index(t->args.at[0], c->index) && has_work_without(t->args.at[0], c->index, t->index) &&
         !range_mentions(&t->index->range, c->index);
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

static Val eval_reduce(Context *x, const Term *t) {
  return zero_where_none(x, &t->index->range, reduce_term(x, t, wide_type(t->type), contribute_term));
}

/* ---- operators ------------------------------------------------------------------------------------------------ */

static IrOp plain_op(OpKind op) {
  switch (op) {
  case OP_ADD: return IR_ADD;
  case OP_SUB: return IR_SUB;
  case OP_MUL: return IR_MUL;
  case OP_DIV: return IR_DIV;
  case OP_FLOORDIV: return IR_FLOORDIV;
  case OP_MOD: return IR_MOD;
  case OP_POW: return IR_POW;
  case OP_NEG: return IR_NEG;
  case OP_EQ: return IR_EQ;
  case OP_NE: return IR_NE;
  case OP_LT: return IR_LT;
  case OP_LE: return IR_LE;
  case OP_GT: return IR_GT;
  case OP_GE: return IR_GE;
  case OP_AND: return IR_AND;
  case OP_OR: return IR_OR;
  case OP_NOT: return IR_NOT;
  case OP_EXP: return IR_EXP;
  case OP_LOG: return IR_LOG;
  case OP_LOG1P: return IR_LOG1P;
  case OP_EXPM1: return IR_EXPM1;
  case OP_SQRT: return IR_SQRT;
  case OP_TANH: return IR_TANH;
  case OP_SIGMOID: return IR_SIGMOID;
  case OP_SOFTPLUS: return IR_SOFTPLUS;
  case OP_SIN: return IR_SIN;
  case OP_COS: return IR_COS;
  case OP_ABS: return IR_ABS;
  case OP_SIGN: return IR_SIGN;
  case OP_FLOOR: return IR_FLOOR;
  case OP_CEIL: return IR_CEIL;
  case OP_ROUND: return IR_ROUND;
  case OP_MIN: return IR_MIN;
  case OP_MAX: return IR_MAX;
  case OP_ERF: return IR_ERF;
  case OP_LGAMMA: return IR_LGAMMA;
  case OP_DIGAMMA: return IR_DIGAMMA;
  case OP_TO_REAL: case OP_SQ: case OP_RELU: case OP_LEAKY_RELU: case OP_GELU: case OP_ELU: case OP_CLAMP:
  case OP_RANDOM: case OP_COUNT_: break;
  }
  return IR_OP_COUNT_;
}

static Val like(Context *x, Val v, double number) { return build_float(B(x), ir_at(B(x)->k, v)->type, number); }

static Val positive(Context *x, Val v) { return build_2(B(x), IR_GT, v, like(x, v, 0)); }

/* elu(v) + shift, without the cancellation of expm1(v) + 1. */
static Val elu_plus(Context *x, Val v, bool plus_one) {
  Val above = plus_one ? build_2(B(x), IR_ADD, v, like(x, v, 1)) : v;
  return build_select(B(x), positive(x, v), above, build_1(B(x), plus_one ? IR_EXP : IR_EXPM1, v));
}

static Val gelu(Context *x, Val v) {
  Builder *b = B(x);
  Val phi = build_1(b, IR_ERF, build_2(b, IR_MUL, v, like(x, v, 0.70710678118654752440)));
  return build_2(b, IR_MUL, build_2(b, IR_MUL, v, like(x, v, 0.5)), build_2(b, IR_ADD, phi, like(x, v, 1)));
}

static Val apply(Context *x, const Term *t, const Val *v) {
  Builder *b = B(x);
  switch (t->op) {
  case OP_TO_REAL:
    return ir_at(b->k, v[0])->type == IR_INT || ir_at(b->k, v[0])->type == IR_BOOL ? build_convert(b, v[0], IR_REAL)
                                                                                   : v[0];
  case OP_SQ: return build_2(b, IR_MUL, v[0], v[0]);
  case OP_RELU: return build_2(b, IR_MAX, v[0], like(x, v[0], 0));
  case OP_LEAKY_RELU: return build_select(b, positive(x, v[0]), v[0], build_2(b, IR_MUL, v[0], v[1]));
  case OP_GELU: return gelu(x, v[0]);
  case OP_ELU: return elu_plus(x, v[0], false);
  case OP_CLAMP: return build_2(b, IR_MIN, build_2(b, IR_MAX, v[0], v[1]), v[2]);
  case OP_RANDOM: return build_op(b, IR_RANDOM, IR_WIDE, t->args.n, v);
  case OP_FLOOR: case OP_CEIL: case OP_ROUND: return build_convert(b, build_1(b, plain_op(t->op), v[0]), IR_INT);
  case OP_FLOORDIV: case OP_MOD:
    if (ir_at(b->k, v[1])->op != IR_CONST || !ir_at(b->k, v[1])->integer) {
      b->span = t->span;
      build_check(b, IR_CHECK_NONZERO, x->guard, v[1], build_int(b, 0));
    }
    return build_2(b, plain_op(t->op), v[0], v[1]);
  case OP_POW:
    if (t->args.at[1]->kind == TERM_INT && t->args.at[1]->integer == 2) return build_2(b, IR_MUL, v[0], v[0]);
    if (t->args.at[1]->kind == TERM_REAL && t->args.at[1]->real == 2) return build_2(b, IR_MUL, v[0], v[0]);
    return build_2(b, IR_POW, v[0], v[1]);
  case OP_ADD: case OP_SUB: case OP_MUL: case OP_DIV: case OP_NEG: case OP_EQ: case OP_NE: case OP_LT: case OP_LE:
  case OP_GT: case OP_GE: case OP_AND: case OP_OR: case OP_NOT: case OP_EXP: case OP_LOG: case OP_LOG1P: case OP_EXPM1:
  case OP_SQRT: case OP_TANH: case OP_SIGMOID: case OP_SOFTPLUS: case OP_SIN: case OP_COS: case OP_ABS: case OP_SIGN:
  case OP_MIN: case OP_MAX: case OP_ERF: case OP_LGAMMA: case OP_DIGAMMA:
    return t->args.n == 1 ? build_1(b, plain_op(t->op), v[0]) : build_2(b, plain_op(t->op), v[0], v[1]);
  case OP_COUNT_: break;
  }
  ICE("unknown operator");
}

/* == and != look at a none; nothing else does. */
static Val eval_equality(Context *x, const Term *t) {
  Builder *b = B(x);
  Choice p = eval_choice(x, t->args.at[0]), q = eval_choice(x, t->args.at[1]);
  bool p_none = t->args.at[0]->kind == TERM_NONE, q_none = t->args.at[1]->kind == TERM_NONE;
  Val no = build_bool(b, false), pn = p.none ? p.none : no, qn = q.none ? q.none : no;
  Val both = build_2(b, IR_AND, pn, qn), either = build_2(b, IR_OR, pn, qn);
  Val equal = p_none || q_none ? both
                               : build_2(b, IR_OR, both,
                                         build_2(b, IR_AND, build_1(b, IR_NOT, either), build_2(b, IR_EQ, p.v, q.v)));
  return t->op == OP_EQ ? equal : build_1(b, IR_NOT, equal);
}

/* The right side counts only where the left has not decided. */
static Val eval_logic(Context *x, const Term *t) {
  Val left = eval(x, t->args.at[0]);
  const Instr *i = ir_at(B(x)->k, left);
  if (i->op == IR_CONST && !!i->integer == (t->op == OP_OR)) return left;
  Context y = with_guard(x, t->op == OP_AND ? left : build_1(B(x), IR_NOT, left));
  return build_2(B(x), plain_op(t->op), left, eval(&y, t->args.at[1]));
}

static bool is_one(const Term *t) { return t->kind == TERM_REAL && t->real == 1; }

static Val eval_elu_plus_one(Context *x, const Term *t) {
  const Term *p = t->args.at[0], *q = t->args.at[1];
  if (p->kind == TERM_OP && p->op == OP_ELU && is_one(q)) return elu_plus(x, eval(x, p->args.at[0]), true);
  if (q->kind == TERM_OP && q->op == OP_ELU && is_one(p)) return elu_plus(x, eval(x, q->args.at[0]), true);
  return 0;
}

static Choice eval_op(Context *x, const Term *t) {
  if (t->op == OP_EQ || t->op == OP_NE) return (Choice){eval_equality(x, t), 0};
  if (t->op == OP_AND || t->op == OP_OR) return (Choice){eval_logic(x, t), 0};
  if (t->op == OP_ADD && t->type == TYPE_REAL) {
    Val v = eval_elu_plus_one(x, t);
    if (v) return (Choice){v, 0};
  }
  Val *v = NEW_ARRAY(x->d->arena, Val, t->args.n), none = 0;
  for (uint32_t i = 0; i < t->args.n; i++) {
    Choice c = eval_choice(x, t->args.at[i]);
    v[i] = c.v;
    none = or_none(x, none, c.none);
  }
  Context y = none ? with_guard(x, not_none(x, none)) : *x;
  Val r = apply(&y, t, v);
  if (t->op == OP_TO_REAL) return (Choice){r, none}; /* not an expression of the source: passes it on */
  return (Choice){unless_none(x, none, r), 0};
}

static Choice eval_if(Context *x, const Term *t) {
  Builder *b = B(x);
  Val cond = eval(x, t->args.at[0]);
  const Instr *i = ir_at(b->k, cond);
  if (i->op == IR_CONST) return eval_choice(x, t->args.at[i->integer ? 1 : 2]);
  Context yes = with_guard(x, cond), no = with_guard(x, build_1(b, IR_NOT, cond));
  Choice p = eval_choice(&yes, t->args.at[1]), q = eval_choice(&no, t->args.at[2]);
  Choice r = {build_select(b, cond, p.v, q.v), 0};
  if (p.none || q.none) {
    Val never = build_bool(b, false);
    r.none = build_select(b, cond, p.none ? p.none : never, q.none ? q.none : never);
  }
  return r;
}

/* A copy named by a none is itself none. */
static Choice eval_edge(Context *x, const Term *t) {
  Component *c = x->d->plan->of_edge[t->edge->id];
  Val *copy = NEW_ARRAY(x->d->arena, Val, t->args.n), none = 0;
  for (uint32_t i = 0; i < t->args.n; i++) {
    Choice a = eval_choice(x, t->args.at[i]);
    copy[i] = index_of_copy(x, a);
    none = or_none(x, none, a.none);
  }
  const Known *k = find_known(x, c, t->edge, copy);
  if (!k) {
    refuse_query(x, t->span, "this use of an edge is not compiled yet");
    return (Choice){build_int(B(x), 0), 0};
  }
  return (Choice){k->value.v, or_none(x, none, k->value.none)};
}

static Val eval_index(Context *x, const Term *t) {
  BoundIndex *n = find_bound(x, t->index);
  if (!n) ICE("index '%s' is not bound", sym_text(x->d->m->names, t->index->name));
  return n->v;
}

Choice eval_choice(Context *x, const Term *t) {
  Builder *b = B(x);
  b->span = t->span;
  switch (t->kind) {
  case TERM_INT: return (Choice){build_int(b, t->integer), 0};
  case TERM_REAL: return (Choice){build_float(b, IR_REAL, t->real), 0};
  case TERM_BOOL: return (Choice){build_bool(b, t->truth), 0};
  case TERM_NONE: return (Choice){build_int(b, -1), build_bool(b, true)};
  case TERM_SIZE: return (Choice){build_size(b, t->size->id), 0};
  case TERM_INDEX: return (Choice){eval_index(x, t), 0};
  case TERM_INPUT: return (Choice){eval_input(x, t), 0};
  case TERM_LET: return (Choice){eval_let(x, t), 0};
  case TERM_EDGE: return eval_edge(x, t);
  case TERM_LATENT: return (Choice){eval_latent(x, t), 0};
  case TERM_OP: return eval_op(x, t);
  case TERM_IF: return eval_if(x, t);
  case TERM_REDUCE: return (Choice){eval_reduce(x, t), 0};
  case TERM_QUERY: return (Choice){query(x, t), 0};
  }
  ICE("unknown term");
}
