/* normal: the log density of a vector of independent normals with one spread.
 *
 *   sum_d log N(y_d; m_d, s)  =  -(sum_d (y_d - m_d)^2) / (2 s^2) - D (log s + log sqrt(2 pi))
 *
 * What does not depend on d is taken out of the sum, so that nothing but a squared distance is left of what depends on
 * all of y, m and d: one subtraction and one multiply-add.  Formula: Gelman et al., Bayesian Data Analysis, appendix A.
 *
 * A component whose density is 0 (an infinite difference) removes the value also beside one that is NaN, as in every
 * product of weights.  Where the sum is a number no component is NaN and an infinite one shows in it; else a loop that
 * has no iterations otherwise looks for one. */
#include <math.h>

#include "infer/arith.h"
#include "infer/context.h"
#include "model/term.h"

static Val difference(Context *x, const Weight *w) {
  Val y = build_convert(B(x), eval(x, w->left), IR_WIDE);
  return build_2(B(x), IR_SUB, y, build_convert(B(x), eval(x, w->params.at[0]), IR_WIDE));
}

static void contribute_square(Context *x, void *w, Contribution *c) {
  Val d = difference(x, w);
  c->x = build_2(B(x), IR_MUL, d, d);
}

/* Is a difference infinite?  Looked for where `doubt` holds. */
static Val has_infinite(Context *x, const Weight *w, Index *axis, Val doubt) {
  Builder *b = B(x);
  Bounds r = eval_range(x, &axis->range);
  Loop *l = open_loop(x, LOOP_REDUCE, axis->span, r.lo, build_select(b, doubt, r.hi, r.lo));
  Acc *a = build_acc(b, l, ACC_ANY, IR_BOOL, 0, NULL);
  Context y = with_index(x, axis, range_value(x, &r, l->index), r.lo, r.hi, false);
  a->body.x = build_2(b, IR_EQ, build_1(b, IR_ABS, difference(&y, w)), wide(x, INFINITY));
  l = build_close(b, l);
  return l->accs.at[0]->result;
}

bool has_common_spread(const Weight *w) {
  if (w->dist != DIST_NORMAL || !w->axes.n) return false;
  const Index *last = w->axes.at[w->axes.n - 1];
  return !last->range.row && !term_mentions_index(w->params.at[1], last);
}

Val log_normal_vector(Context *x, const Weight *w) {
  Builder *b = B(x);
  Index *axis = w->axes.at[w->axes.n - 1];
  Bounds r = eval_range(x, &axis->range);
  Val extent = build_2(b, IR_MAX, build_2(b, IR_SUB, r.hi, r.lo), build_int(b, 0)),
      n = build_convert(b, extent, IR_WIDE);
  Val spread = build_convert(b, eval(x, w->params.at[1]), IR_WIDE);
  Val sum = reduce_over(x, axis, ACC_SUM, IR_WIDE, contribute_square, (void *)w);
  Val infinite = has_infinite(x, w, axis, build_2(b, IR_NE, sum, sum));
  sum = build_select(b, infinite, wide(x, INFINITY), sum);
  Val by = build_2(b, IR_DIV, build_2(b, IR_DIV, wide(x, -0.5), spread), spread), scaled = build_2(b, IR_MUL, sum, by);
  Val constant = build_2(b, IR_ADD, build_1(b, IR_LOG, spread), wide(x, 0.91893853320467274178)); /* log sqrt(2 pi) */
  Val l = build_2(b, IR_SUB, scaled, build_2(b, IR_MUL, n, constant));
  l = build_select(b, build_2(b, IR_GT, spread, wide(x, 0)), l, wide(x, NAN));
  return build_select(b, build_2(b, IR_GT, extent, build_int(b, 0)), l, wide(x, 0));
}
