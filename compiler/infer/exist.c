/* exist: is there a value with weight for everything that a bracket mentions?
 *
 * A bracket is 0 where a component that it names is empty.  Under an `if`, `and` or `or` whose condition is known here
 * only what is chosen counts; a sum asks for what each of its terms names. */
#include "infer/expect.h"

static void contribute_exists(Context *x, void *arg, Contribution *c) {
  Val v = exists_all(x, arg);
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

static Val exists_where(Context *x, Val where, const Term *t) {
  Context y = with_guard(x, where);
  Val v = exists_all(&y, t);
  return v ? v : build_bool(B(x), true);
}

/* Both sides count but where the condition is decided by what is known of it. */
static Val exists_sides(Context *x, const Term *t) {
  Val v = build_and(B(x), exists_all(x, t->args.at[1]), exists_all(x, t->args.at[2]));
  Decided d = decided(x, t->args.at[0]);
  if (!v) return 0;
  if (d.fails) v = build_select(B(x), d.fails, exists_where(x, d.fails, t->args.at[2]), v);
  return d.holds ? build_select(B(x), d.holds, exists_where(x, d.holds, t->args.at[1]), v) : v;
}

static Val exists_if(Context *x, const Term *t) {
  Val in_cond = exists_all(x, t->args.at[0]);
  if (!is_known_here(x, t->args.at[0])) return build_and(B(x), in_cond, exists_sides(x, t));
  Val cond = eval(x, t->args.at[0]), yes = build_bool(B(x), true);
  Context chosen = with_guard(x, cond), other = with_guard(x, build_1(B(x), IR_NOT, cond));
  Val a = exists_all(&chosen, t->args.at[1]), b = exists_all(&other, t->args.at[2]);
  if (!a && !b) return in_cond;
  return build_and(B(x), in_cond, build_select(B(x), cond, a ? a : yes, b ? b : yes));
}

/* The right side counts only where a left side without edges does not decide. */
static Val exists_logic(Context *x, const Term *t) {
  Val left = eval(x, t->args.at[0]), decided = t->op == OP_OR ? left : build_1(B(x), IR_NOT, left);
  Context y = with_guard(x, build_1(B(x), IR_NOT, decided));
  Val right = exists_all(&y, t->args.at[1]);
  return right ? build_select(B(x), decided, build_bool(B(x), true), right) : 0;
}

static Val exists_range(Context *x, const Range *r) {
  Val v = r->lo ? exists_all(x, r->lo) : 0;
  if (r->hi) v = build_and(B(x), v, exists_all(x, r->hi));
  return r->row ? build_and(B(x), v, exists_all(x, r->row)) : v;
}

/* What the body names whatever the index is mentioned also by a sum over nothing. */
static Val exists_reduce(Context *x, const Term *t) {
  const Term *body = t->args.at[0];
  Val bounds = exists_range(x, &t->index->range), plain = exists_all(x, body);
  bool each = mentions_of(x, body).under_binder || has_choice_by(body, t->index);
  if (!each || range_unresolved(x, &t->index->range) || range_unbound(x, &t->index->range))
    return build_and(B(x), bounds, plain);
  Bounds r = eval_range(x, &t->index->range);
  Val all = reduce_over(x, t->index, ACC_ALL, IR_BOOL, contribute_exists, (void *)body);
  if (plain) all = build_select(B(x), build_2(B(x), IR_LT, r.lo, r.hi), all, plain);
  return build_and(B(x), bounds, all);
}

Val exists_all(Context *x, const Term *t) {
  if (t->kind == TERM_IF) return exists_if(x, t);
  if (left_is_known(x, t)) return exists_logic(x, t);
  if (t->kind == TERM_REDUCE) return exists_reduce(x, t);
  Val v = 0;
  for (uint32_t i = 0; i < t->args.n; i++) v = build_and(B(x), v, exists_all(x, t->args.at[i]));
  if (t->kind != TERM_EDGE || args_unresolved(x, t) || args_unbound(x, t)) return v;
  Copy copy = copy_of(x, t);
  if (find_known(x, copy.c, t->edge, copy.at)) return v;
  return is_partly_known(x, copy) ? v : build_and(B(x), v, copy_exists(x, copy));
}
