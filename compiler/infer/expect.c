/* expect: E and P pushed inward by the laws of expectation, one law a file.
 *
 *   choice                 linear.c
 *   coincidence            coincide.c
 *   independence           product.c
 *   linearity              linear.c
 *   modes                  point.c
 *   distributivity         distribute.c
 *   convolution            convolve.c
 *   draws                  point.c
 *   conditioning, sifting  condition.c
 * in this order, until nothing unknown is left.  An indicator is a 0/1 value, P[c] = E[1(c)].  mention.c tells which
 * copies a bracket mentions; it is 0 if a component among them is empty (exist.c): linearity is used under the
 * condition that all of them exist.  A stream alone gives 0 by itself. */
#include "infer/arith.h"
#include "infer/expect.h"
#include "model/term.h"

/* The first mention of a copy of which some edges are known. */
static const Mention *find_partly_known(Context *x, const Mentions *m) {
  for (uint32_t i = 0; i < m->list.n; i++)
    if (is_partly_known(x, m->list.at[i].copy)) return &m->list.at[i];
  return NULL;
}

/* Will values of a copy under way decide what else t mentions? */
static bool is_choice_pending(Context *x, const Term *t) {
  if (!unresolved(x, t)) return false;
  if ((t->kind == TERM_IF || is_logic(t)) && unresolved(x, t->args.at[0])) {
    Mentions m = mentions_of(x, t->args.at[0]);
    if (find_partly_known(x, &m)) return true;
  }
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_choice_pending(x, t->args.at[i])) return true;
  return false;
}

static const Term *asks_for_existence(Context *x, const Term *t) {
  const Term *ref = term_of_existence(t);
  return ref && !args_unresolved(x, ref) && !args_unbound(x, ref) ? ref : NULL;
}

static Val as_wide(Context *x, const Term *t) { return build_convert(B(x), eval(x, t), IR_WIDE); }

/* What no law takes apart would be a sum over the values of all copies together. */
static Val refuse_of_all(Context *x, Span span) {
  return refuse_query_hint(x, span,
                           "this is a function of many copies at once, made neither of sums over them, of products "
                           "of copies that no weight joins, nor of how many along one plate have a property: no exact "
                           "sum but that over all their values together is known",
                           "'infer .. by sample(n = ..)' estimates it from draws");
}

Val expect(Context *x, const Term *t) {
  if (B(x)->k->instrs.n > DERIVE_MAX_INSTRS || x->d->steps > DERIVE_MAX_STEPS)
    return refuse_query(x, t->span, "this expectation has too many cases to be compiled");
  if (!unresolved(x, t)) return x->points ? value_at_points(x, t) : as_wide(x, t);
  const Term *lost = find_lost(x, t);
  if (lost) return expect_lost(x, t, lost);
  const Term *lone = asks_for_existence(x, t);
  if (lone) return build_convert(B(x), copy_exists(x, copy_of(x, lone)), IR_WIDE);
  const Term *choice = find_choice(x, t);
  if (choice) return expect_choice(x, t, choice);
  Mentions m = mentions_of(x, t);
  Coincidence k;
  if (find_coincidence(x, &m, &k)) return expect_coincidence(x, &k, t);
  const Term *first, *others;
  if (split_product(x, t, &first, &others)) {
    Val p = build_convert(B(x), expect(x, first), IR_WIDE);
    return build_2(B(x), IR_MUL, p, build_convert(B(x), expect(x, others), IR_WIDE));
  }
  if (!single_part(x, &m) || m.reached || sum_chooses(t) || adds_known(x, t)) {
    Val v = expect_linear(x, t, m.list.n > 0);
    if (v) return v;
  }
  Val at_mode = expect_at_points(x, &m, INFER_MODE, t);
  if (at_mode) return at_mode;
  const Term *parts = m.under_binder ? distributed(x, t) : NULL;
  if (parts) return expect(x, parts);
  Val counted = m.list.n ? 0 : expect_convolved(x, t);
  if (counted) return counted;
  Val over_draws = expect_at_points(x, &m, INFER_SAMPLE, t);
  if (over_draws) return over_draws;
  if (!m.list.n) return refuse_of_all(x, t->span);
  const Mention *next = is_choice_pending(x, t) ? find_partly_known(x, &m) : NULL;
  return condition(x, next ? next : &m.list.at[0], t);
}

Val part(Context *x, const Term *t) { return build_convert(B(x), expect(x, t), IR_WIDE); }

Val bracket(Context *x, const Term *t) {
  if (!unresolved(x, t)) return as_wide(x, t);
  Mentions m = mentions_of(x, t);
  bool stream_decides = single_part(x, &m) && !m.reached && !sum_chooses(t) && !find_choice(x, t);
  Factors f = {0};
  flatten(x, &f, t);
  if (stream_decides && f.n == 1) return part(x, t);
  Val exists = exists_all(x, t);
  Context y = exists && term_may_fail(t) ? with_guard(x, exists) : *x;
  Val v = part(&y, t);
  return exists ? build_select(B(x), exists, v, wide(x, 0)) : v;
}

Val expectation(Context *x, const Term *t) { return build_convert(B(x), bracket(x, t), IR_WIDE); }
