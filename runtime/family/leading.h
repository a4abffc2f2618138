/* leading: arithmetic of leading terms e^log t^order for t -> 0, in log space.
 *
 * Sums, products and quotients of series with positive coefficients have the leading term that the same operations on
 * leading terms give: nothing cancels.  Zero is log = -inf, of any order.  Relative errors are a few roundings each. */
#ifndef ATTN_RT_LEADING_H
#define ATTN_RT_LEADING_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Leading { double log; int64_t order; } Leading;

static inline bool leading_is_zero(Leading x) { return x.log == -INFINITY; }

static inline Leading leading_mul(Leading x, Leading y) { return (Leading){x.log + y.log, x.order + y.order}; }

/* y is not zero. */
static inline Leading leading_div(Leading x, Leading y) { return (Leading){x.log - y.log, x.order - y.order}; }

static inline Leading leading_add(Leading x, Leading y) {
  if (leading_is_zero(x)) return y;
  if (leading_is_zero(y) || x.order < y.order) return x;
  if (y.order < x.order) return y;
  double high = x.log > y.log ? x.log : y.log, low = x.log > y.log ? y.log : x.log;
  return (Leading){high + log1p(exp(low - high)), x.order};
}

/* A sum of many: first the lowest order and the largest of it, then the sum about that. */
typedef struct LeadingSum { int64_t order; double max, sum; } LeadingSum;

static inline LeadingSum leading_sum_of_none(void) { return (LeadingSum){INT64_MAX, -INFINITY, 0}; }

static inline void leading_sum_look(LeadingSum *s, Leading x) {
  if (leading_is_zero(x) || x.order > s->order) return;
  if (x.order < s->order) *s = (LeadingSum){x.order, -INFINITY, 0};
  if (x.log > s->max) s->max = x.log;
}

static inline void leading_sum_add(LeadingSum *s, Leading x) {
  if (!leading_is_zero(x) && x.order == s->order) s->sum += exp(x.log - s->max);
}

static inline Leading leading_sum_end(const LeadingSum *s) {
  return s->sum > 0 ? (Leading){s->max + log(s->sum), s->order} : (Leading){-INFINITY, 0};
}

#endif
