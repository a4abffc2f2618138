/* distance: how far numbers are from those of the oracle, and how far they may be.
 *
 * Reals: ||got - want|| / (||want|| + sqrt(n)), norms over the finite entries, so that an array of small numbers, the
 * result of a cancellation, is held to an absolute error; infinities and NaN must stand at the same places.  Ints and
 * bools: the share of entries that differ. */
#ifndef ATTN_ORACLE_DISTANCE_H
#define ATTN_ORACLE_DISTANCE_H

#include <stdbool.h>
#include <stdint.h>

/* worst: the place of the largest difference, -1 where there is none (yet: start with {.worst = -1}). */
typedef struct Distance {
  long double error, scale; /* sums of squares, also of counts of 1e200 */
  double share, largest;
  int64_t n, worst;
  bool odd;
} Distance;

/* single: got is an f32, in which what is beyond its range is infinite. */
void distance_add(Distance *d, int64_t at, double got, double want, bool single);
double distance_of_reals(const Distance *d); /* INFINITY where the places of what is not finite differ */
double distance_of_ints(const Distance *d);

/* What the distance of a result in f32 may be, for log weights up to max_log_w: the rounding of a log weight is an
 * absolute error of it.  Ill-conditioned results may be further away: by what rounding the inputs moves them. */
double distance_allowed_f32(double max_log_w);

/* And what may be added where the weights of a mean were rounded to `bits` significant bits, and divided by the sum of
 * the rounded ones.  With w_j (1 + d_j), |d_j| <= u = 2^-bits, in place of w_j, the mean o of values v_j is off by
 *
 *     sum_j w_j d_j (v_j - o) / sum_j w_j (1 + d_j),  at most u / (1 - u) E|v - o|  <=  u / (1 - u) max_value
 *
 * (E|v - o| <= sqrt(E v^2 - o^2)): no more than if values of that size were rounded themselves. */
double distance_allowed_rounded(int bits, double max_value);

#endif
