/* linear: E pushed through sums, conversions and choices.
 *
 *   E[a + b] = E[a] + E[b],  E[sum_j e] = sum_j E[e],  E[a / c] = E[a] / c, c known
 *   E[f(if c then a else b)] = if c then E[f(a)] else E[f(b)], c known
 *   E[f(phi[a])] = if a is none then E[f(none)] else E[f(phi[a])], a known: a copy that a none names is none
 * Under the condition that all that is mentioned exists; a stream alone gives 0 by itself. */
#include "infer/arith.h"
#include "infer/expect.h"
#include "model/term.h"

/* ---- linearity -------------------------------------------------------------------------------------------------- */

bool may_be_none(const Term *t) {
  if (t->kind == TERM_NONE) return true;
  if (t->kind == TERM_OP && t->op == OP_TO_REAL) return may_be_none(t->args.at[0]);
  if (t->kind == TERM_IF) return may_be_none(t->args.at[1]) || may_be_none(t->args.at[2]);
  if (t->kind != TERM_EDGE) return false;
  bool none = edge_has_none(t->edge);
  for (uint32_t i = 0; i < t->args.n; i++) none |= may_be_none(t->args.at[i]);
  return none;
}

static void contribute_expectation(Context *x, void *arg, Contribution *c) {
  c->x = build_convert(B(x), expect(x, arg), IR_WIDE);
}

/* Copies named by the variable of a product are independent for different values of it if it is itself one of their
 * indices, and, of chains, networks and structures, tells one of these from the others. */
bool names_copies_apart(const Context *x, const Term *t, const Index *j) {
  if (t->kind == TERM_EDGE && term_mentions_index(t, j)) {
    const Component *c = x->d->plan->of_edge[t->edge->id];
    for (uint32_t i = 0; i < t->args.n; i++)
      if (t->args.at[i]->kind == TERM_INDEX && t->args.at[i]->index == j && tells_apart(c, i)) return true;
    return false;
  }
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!names_copies_apart(x, t->args.at[i], j)) return false;
  return true;
}

bool all_under_binder(Context *x, const Term *t) {
  Mentions m = mentions_of(x, t);
  return m.list.n == 0 && !m.reached;
}

static Val expect_reduce(Context *x, const Term *t) {
  bool product =
      t->reduce == REDUCE_PROD && names_copies_apart(x, t->args.at[0], t->index) && all_under_binder(x, t->args.at[0]);
  if (t->reduce == REDUCE_SUM || product)
    return zero_where_none(x, &t->index->range, reduce_term(x, t, IR_WIDE, contribute_expectation));
  return 0;
}

/* 1 - E[c] where all that c mentions exists; it is 0 elsewhere, as E[c] is. */
static Val expect_not(Context *x, const Term *c) {
  Val v = build_2(B(x), IR_SUB, wide(x, 1), build_convert(B(x), expect(x, c), IR_WIDE)), exists = exists_all(x, c);
  return exists ? build_select(B(x), exists, v, wide(x, 0)) : v;
}

Val expect_linear(Context *x, const Term *t, bool conditionable) {
  Builder *b = B(x);
  if (t->kind == TERM_REDUCE) return conditionable && range_unresolved(x, &t->index->range) ? 0 : expect_reduce(x, t);
  if (t->kind != TERM_OP) return 0;
  switch ((int)t->op) {
  case OP_ADD: case OP_SUB: {
    if (may_be_none(t->args.at[0]) || may_be_none(t->args.at[1])) return 0;
    Val p = build_convert(b, expect(x, t->args.at[0]), IR_WIDE),
        q = build_convert(b, expect(x, t->args.at[1]), IR_WIDE);
    return build_2(b, t->op == OP_ADD ? IR_ADD : IR_SUB, p, q);
  }
  case OP_NEG: return build_1(b, IR_NEG, build_convert(b, expect(x, t->args.at[0]), IR_WIDE));
  case OP_NOT: return conditionable && mentions_of(x, t).reached ? 0 : expect_not(x, t->args.at[0]);
  case OP_TO_REAL: return t->args.at[0]->kind == TERM_EDGE ? 0 : expect(x, t->args.at[0]);
  case OP_DIV:
    if (unresolved(x, t->args.at[1]) || may_be_none(t->args.at[1])) return 0;
    return build_2(b, IR_DIV, expect(x, t->args.at[0]), eval(x, t->args.at[1]));
  }
  return 0;
}

bool adds_known(Context *x, const Term *t) {
  if (!x->known || !unresolved(x, t)) return false;
  if (t->kind == TERM_REDUCE) return t->reduce == REDUCE_SUM && adds_known(x, t->args.at[0]);
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_ADD: case OP_SUB:
    if (!unresolved(x, t->args.at[0]) || !unresolved(x, t->args.at[1])) return true;
    return adds_known(x, t->args.at[0]) || adds_known(x, t->args.at[1]);
  case OP_NEG: case OP_TO_REAL: case OP_DIV: return adds_known(x, t->args.at[0]);
  }
  return false;
}

/* ---- choices ------------------------------------------------------------------------------------------------------
 *
 * f(if c then a else b) = if c then f(a) else f(b), c known: a stream over what only the other side mentions would give
 * 0 where that has no value. */

static bool is_choice(Context *x, const Term *t) {
  return (t->kind == TERM_IF && is_known_here(x, t->args.at[0])) || left_is_known(x, t);
}

/* How what is known may decide a condition, whatever the rest of it is (exist.c). */
enum { MAY_HOLD = 1, MAY_FAIL = 2 };

static unsigned may_decide(Context *x, const Term *t) {
  if (is_known_here(x, t)) return MAY_HOLD | MAY_FAIL;
  if (t->kind != TERM_OP || (t->op != OP_NOT && !is_logic(t))) return 0;
  unsigned left = may_decide(x, t->args.at[0]);
  if (t->op == OP_NOT) return (left & MAY_HOLD ? MAY_FAIL : 0) | (left & MAY_FAIL ? MAY_HOLD : 0);
  return left & (t->op == OP_OR ? MAY_HOLD : MAY_FAIL);
}

/* What t mentions whatever its conditions choose. */
static void collect_certain(Context *x, Mentions *m, const Term *t) {
  if (is_choice(x, t)) return;
  if (t->kind == TERM_IF) {
    unsigned decides = may_decide(x, t->args.at[0]);
    collect_certain(x, m, t->args.at[0]);
    if (!(decides & MAY_FAIL)) collect_certain(x, m, t->args.at[1]);
    if (!(decides & MAY_HOLD)) collect_certain(x, m, t->args.at[2]);
    return;
  }
  if (t->kind == TERM_EDGE || t->kind == TERM_REDUCE) {
    collect(x, m, t);
    return;
  }
  for (uint32_t i = 0; i < t->args.n; i++) collect_certain(x, m, t->args.at[i]);
}

static bool mentions_more(Context *x, const Mentions *certain, const Term *t) {
  Mentions m = mentions_of(x, t);
  if (m.under_binder) return true;
  for (uint32_t i = 0; i < m.list.n; i++) {
    bool found = false;
    for (uint32_t k = 0; k < certain->list.n && !found; k++)
      found = certain->list.at[k].copy.c == m.list.at[i].copy.c &&
              same_copy(x, m.list.at[i].copy.c, certain->list.at[k].copy.at, m.list.at[i].copy.at);
    if (!found) return true;
  }
  return false;
}

static const Term *choice_in(Context *x, const Mentions *certain, const Term *t) {
  if (!unresolved(x, t)) return NULL;
  bool here = is_choice(x, t);
  for (uint32_t i = 1; here && i < t->args.n; i++)
    if (mentions_more(x, certain, t->args.at[i])) return t;
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *found = choice_in(x, certain, t->args.at[i]);
    if (found) return found;
  }
  return NULL;
}

const Term *find_choice(Context *x, const Term *t) {
  if (is_choice(x, t)) return t;
  Mentions certain = {0};
  collect_certain(x, &certain, t);
  return choice_in(x, &certain, t);
}

static Term *replace(Arena *arena, const Term *t, const Term *from, Term *to) {
  if (t == from) return to;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(arena, &r->args, replace(arena, t->args.at[i], from, to));
  return term_finish(r);
}

Val expect_choice(Context *x, const Term *t, const Term *choice) {
  Builder *b = B(x);
  Arena *arena = x->d->arena;
  Val cond = eval(x, choice->args.at[0]);
  Term *yes = choice->args.at[1], *no = choice->kind == TERM_IF ? choice->args.at[2] : NULL;
  if (!no && choice->op == OP_AND) no = term_bool(arena, false, choice->span);
  else if (!no) no = yes, yes = term_bool(arena, true, choice->span);
  const Instr *i = ir_at(b->k, cond);
  if (i->op == IR_CONST) return part(x, replace(arena, t, choice, i->integer ? yes : no));
  Context y = with_guard(x, cond), z = with_guard(x, build_1(b, IR_NOT, cond));
  Val p = build_convert(b, part(&y, replace(arena, t, choice, yes)), IR_WIDE);
  return build_select(b, cond, p, build_convert(b, part(&z, replace(arena, t, choice, no)), IR_WIDE));
}

/* ---- copies that a none names -----------------------------------------------------------------------------------
 *
 * No copy stands behind such a name, so nothing may be asked of one: neither its law nor whether it exists. */

/* bool: something in the name is none; 0: nothing is, or that is known here. */
static Val none_in_name(Context *x, const Term *t) {
  Val none = 0;
  Context y = with_guard(x, build_bool(B(x), false));
  for (uint32_t i = 0; i < t->args.n; i++) {
    Val here = may_be_none(t->args.at[i]) ? eval_choice(&y, t->args.at[i]).none : 0;
    if (here) none = none ? build_2(B(x), IR_OR, none, here) : here;
  }
  for (const Unlost *n = x->unlost; n; n = n->next)
    if (n->none == none) return 0;
  return none;
}

const Term *find_lost(Context *x, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *found = find_lost(x, t->args.at[i]);
    if (found) return found;
  }
  bool named = t->kind == TERM_EDGE && !args_unresolved(x, t) && !args_unbound(x, t);
  return named && none_in_name(x, t) ? t : NULL;
}

const Term *replace_equal(Arena *arena, const Term *t, const Term *from, Term *to) {
  if (term_equal(t, from)) return to;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++)
    vec_push(arena, &r->args, (Term *)replace_equal(arena, t->args.at[i], from, to));
  return term_finish(r);
}

Val expect_lost(Context *x, const Term *t, const Term *lost) {
  Builder *b = B(x);
  Val none = none_in_name(x, lost);
  const Term *without = replace_equal(x->d->arena, t, lost, term_none(x->d->arena, lost->span));
  const Instr *i = ir_at(b->k, none);
  if (i->op == IR_CONST && i->integer) return part(x, without);
  Context y = with_guard(x, none), z = with_guard(x, build_1(b, IR_NOT, none));
  Unlost *unlost = NEW(x->d->arena, Unlost);
  *unlost = (Unlost){none, x->unlost};
  z.unlost = unlost;
  Val p = part(&y, without);
  return build_select(b, none, p, part(&z, t));
}
