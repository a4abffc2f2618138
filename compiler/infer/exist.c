/* exist: is there a value with weight for everything that a bracket mentions?
 *
 * A bracket is 0 where a component that it names is empty.  Under an `if`, `and` or `or` whose condition is known here
 * only what is chosen counts; a sum asks for what each of its terms names. */
#include "infer/eval.h"
#include "infer/expect.h"

typedef struct Each { const Term *t; CopyFn fn; } Each;

static void contribute_holds(Context *x, void *arg, Contribution *c) {
  const Each *e = arg;
  Val v = holds_of_all(x, e->t, e->fn);
  c->x = v ? v : build_bool(B(x), true);
}

/* Where what stands on the left of a condition, and is known, decides it: that it holds, that it does not; 0: never. */
typedef struct Decided { Val holds, fails; } Decided;

static Decided decided(Context *x, const Term *t) {
  if (is_known_here(x, t)) {
    Val v = eval(x, t);
    return (Decided){v, build_1(B(x), IR_NOT, v)};
  }
  if (t->kind != TERM_OP || (t->op != OP_NOT && t->op != OP_AND && t->op != OP_OR)) return (Decided){0, 0};
  Decided left = decided(x, t->args.at[0]);
  if (t->op == OP_NOT) return (Decided){left.fails, left.holds};
  return t->op == OP_OR ? (Decided){left.holds, 0} : (Decided){0, left.fails};
}

static Val holds_where(Context *x, Val where, const Term *t, CopyFn fn) {
  Context y = with_guard(x, where);
  Val v = holds_of_all(&y, t, fn);
  return v ? v : build_bool(B(x), true);
}

/* Both sides count but where the condition is decided by what is known of it. */
static Val holds_sides(Context *x, const Term *t, CopyFn fn) {
  Val v = build_and(B(x), holds_of_all(x, t->args.at[1], fn), holds_of_all(x, t->args.at[2], fn));
  Decided d = decided(x, t->args.at[0]);
  if (!v) return 0;
  if (d.fails) v = build_select(B(x), d.fails, holds_where(x, d.fails, t->args.at[2], fn), v);
  return d.holds ? build_select(B(x), d.holds, holds_where(x, d.holds, t->args.at[1], fn), v) : v;
}

static Val holds_if(Context *x, const Term *t, CopyFn fn) {
  Val in_cond = holds_of_all(x, t->args.at[0], fn);
  if (!is_known_here(x, t->args.at[0])) return build_and(B(x), in_cond, holds_sides(x, t, fn));
  Val cond = eval(x, t->args.at[0]), yes = build_bool(B(x), true);
  Context chosen = with_guard(x, cond), other = with_guard(x, build_1(B(x), IR_NOT, cond));
  Val a = holds_of_all(&chosen, t->args.at[1], fn), b = holds_of_all(&other, t->args.at[2], fn);
  if (!a && !b) return in_cond;
  return build_and(B(x), in_cond, build_select(B(x), cond, a ? a : yes, b ? b : yes));
}

/* The right side counts only where a left side without edges does not decide. */
static Val holds_logic(Context *x, const Term *t, CopyFn fn) {
  Val left = eval(x, t->args.at[0]), decided = t->op == OP_OR ? left : build_1(B(x), IR_NOT, left);
  Context y = with_guard(x, build_1(B(x), IR_NOT, decided));
  Val right = holds_of_all(&y, t->args.at[1], fn);
  return right ? build_select(B(x), decided, build_bool(B(x), true), right) : 0;
}

static Val holds_range(Context *x, const Range *r, CopyFn fn) {
  Val v = r->lo ? holds_of_all(x, r->lo, fn) : 0;
  if (r->hi) v = build_and(B(x), v, holds_of_all(x, r->hi, fn));
  return r->row ? build_and(B(x), v, holds_of_all(x, r->row, fn)) : v;
}

/* What the body names whatever the index is mentioned also by a sum over nothing. */
static Val holds_reduce(Context *x, const Term *t, CopyFn fn) {
  const Term *body = t->args.at[0];
  Val bounds = holds_range(x, &t->index->range, fn), plain = holds_of_all(x, body, fn);
  bool each = names_by_binder(x, body) || has_choice_by(body, t->index);
  if (!each || range_unresolved(x, &t->index->range) || range_unbound(x, &t->index->range))
    return build_and(B(x), bounds, plain);
  Bounds r = eval_range(x, &t->index->range);
  Val all = reduce_over(x, t->index, ACC_ALL, IR_BOOL, contribute_holds, &(Each){body, fn});
  if (plain) all = build_select(B(x), build_2(B(x), IR_LT, r.lo, r.hi), all, plain);
  return build_and(B(x), bounds, all);
}

/* bool: no copy stands behind the name; 0: one does. */
static Val is_named_by_none(Context *x, const Term *ref) {
  Val *values = NEW_ARRAY(x->d->arena, Val, ref->args.n);
  return eval_choices(x, &ref->args, values);
}

Val holds_of_all(Context *x, const Term *t, CopyFn fn) {
  if (t->kind == TERM_IF) return holds_if(x, t, fn);
  if (left_is_known(x, t)) return holds_logic(x, t, fn);
  if (t->kind == TERM_REDUCE) return holds_reduce(x, t, fn);
  Val v = 0;
  for (uint32_t i = 0; i < t->args.n; i++) v = build_and(B(x), v, holds_of_all(x, t->args.at[i], fn));
  if (t->kind != TERM_EDGE || args_unresolved(x, t) || args_unbound(x, t)) return v;
  Copy copy = copy_of(x, t);
  if (find_known(x, copy.c, t->edge, copy.at) || is_partly_known(x, copy)) return v;
  Val holds = fn(x, copy), lost = x->points ? is_named_by_none(x, t) : 0;
  return build_and(B(x), v, lost ? build_2(B(x), IR_OR, lost, holds) : holds);
}

Val exists_all(Context *x, const Term *t) { return holds_of_all(x, t, copy_exists); }
