/* eval: scalar terms to values of the IR.
 *
 * Laws.  Only the chosen side of an `if` matters: the other is computed (every operation is total) under a
 * guard that keeps its checks silent.  The smallest expression that uses a `none` is 0, in a weight the
 * whole statement is 1. */
#include "infer/eval.h"

#include "base/ice.h"
#include "model/term.h"

/* ---- none ------------------------------------------------------------------------------------------------ */

Val or_none(Context *x, Val a, Val b) { return !a ? b : !b ? a : build_2(B(x), IR_OR, a, b); }

Context where_some(Context *x, Val none) { return none ? with_guard(x, build_1(B(x), IR_NOT, none)) : *x; }

Val eval_choices(Context *x, const TermVec *terms, Val *values) {
  Val none = 0;
  for (uint32_t i = 0; i < terms->n; i++) {
    Choice c = eval_choice(x, terms->at[i]);
    values[i] = c.v;
    none = or_none(x, none, c.none);
  }
  return none;
}

void note_none(Context *x, Val none) {
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

Val unless_none(Context *x, Val none, Val v) {
  if (!none) return v;
  note_none(x, none);
  return build_select(B(x), none, zero(x, ir_at(B(x)->k, v)->type), v);
}

Val eval(Context *x, const Term *t) {
  Choice c = eval_choice(x, t);
  return unless_none(x, c.none, c.v);
}

/* ---- terms ---------------------------------------------------------------------------------------- */

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

static bool has_exp(const Term *t) {
  if (t->kind == TERM_IF) return has_exp(t->args.at[1]) || has_exp(t->args.at[2]);
  if (t->kind == TERM_REDUCE) return has_exp(t->args.at[0]);
  if (t->kind != TERM_OP) return false;
  if (t->op == OP_EXP) return true;
  bool goes_on = t->op == OP_ADD || t->op == OP_MUL || t->op == OP_DIV;
  return goes_on && (has_exp(t->args.at[0]) || has_exp(t->args.at[1]));
}

/* Of a sum of exponentials, which may be more than a number holds. */
static bool is_log_of_sum(const Term *t) {
  if (t->op != OP_LOG || !t->args.at[0]->nonnegative || may_count_none(t)) return false;
  const Term *sum = t->args.at[0];
  bool is_sum = (sum->kind == TERM_OP && sum->op == OP_ADD) || (sum->kind == TERM_REDUCE && sum->reduce == REDUCE_SUM);
  return is_sum && has_exp(sum);
}

static Choice eval_op_in(Context *x, const Term *t) {
  if (t->op == OP_EQ || t->op == OP_NE) return (Choice){eval_equality(x, t), 0};
  if (t->op == OP_AND || t->op == OP_OR) return (Choice){eval_logic(x, t), 0};
  if (t->op == OP_ADD && t->type == TYPE_REAL) {
    Val v = eval_elu_plus_one(x, t);
    if (v) return (Choice){v, 0};
  }
  if (is_log_of_sum(t)) {
    Val sum = log_weight(x, t->args.at[0]);
    return (Choice){build_convert(B(x), sum, x->sizes ? IR_WIDE : IR_REAL), 0};
  }
  Val *v = NEW_ARRAY(x->d->arena, Val, t->args.n), none = eval_choices(x, &t->args, v);
  Context y = where_some(x, none);
  Val r = apply_operator(&y, t, v);
  if (t->op == OP_TO_REAL) return (Choice){r, none}; /* not an expression of the source: passes it on */
  return (Choice){unless_none(x, none, r), 0};
}

/* Reals that decide on an integer, or on a condition. */
static bool decides_by_reals(const Term *t) {
  if (t->type == TYPE_REAL) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (t->args.at[i]->type == TYPE_REAL) return true;
  return false;
}

/* How many of something sizes say there are does not depend on the precision: floor(0.29 * N). */
static Choice eval_op(Context *x, const Term *t) {
  Context in_sizes = *x;
  in_sizes.sizes = x->sizes || (decides_by_reals(t) && term_is_of_sizes(t));
  return eval_op_in(&in_sizes, t);
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
  places_along(x, c, copy);
  const Known *k = find_known(x, c, t->edge, copy);
  const Point *p = k ? NULL : point_of(x, c);
  if (p) {
    Context some = where_some(x, none);
    Choice v = point_value(x, p, copy_of(&some, t), t->edge);
    return (Choice){v.v, or_none(x, none, v.none)};
  }
  if (!k) {
    refuse_query(x, t->span, "this use of an edge is not compiled yet");
    return (Choice){build_int(B(x), 0), 0};
  }
  if (k->unsure) {
    Context some = where_some(x, none);
    copy_of(&some, t);
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
  case TERM_REAL: return (Choice){build_float(b, x->sizes ? IR_WIDE : IR_REAL, t->real), 0};
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
