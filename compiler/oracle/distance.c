/* distance: see distance.h. */
#include "oracle/distance.h"

#include <float.h>
#include <math.h>

static bool same_if_odd(double got, double want, bool single) {
  if (isnan(want)) return isnan(got);
  if (single && fabs(want) > (double)FLT_MAX) return isinf(got) && (got > 0) == (want > 0);
  return got == want;
}

void distance_add(Distance *d, int64_t at, double got, double want, bool single) {
  bool odd = !isfinite(want) || !isfinite(got);
  double difference = odd ? 0 : fabs(got - want);
  d->n++;
  if (odd && !same_if_odd(got, want, single)) d->odd = true, difference = INFINITY;
  if (difference > d->largest) d->largest = difference, d->worst = at;
  d->share += difference != 0;
  if (odd) return;
  d->error += (long double)difference * difference;
  d->scale += (long double)want * want;
}

double distance_of_reals(const Distance *d) {
  if (d->odd) return INFINITY;
  return d->error == 0 ? 0 : (double)(sqrtl(d->error) / (sqrtl(d->scale) + sqrtl((long double)d->n)));
}

double distance_of_ints(const Distance *d) { return d->n ? d->share / (double)d->n : 0; }

double distance_allowed_rounded(int bits, double max_value) {
  double u = ldexp(1, -bits);
  return u / (1 - u) * max_value;
}

double distance_allowed_f32(double max_log_w) { return 1e-5 * (1 + max_log_w / 100); }
