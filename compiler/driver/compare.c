/* compare: see compare.h. */
#include "driver/compare.h"

#include <float.h>
#include <math.h>

static double element(const AttnArray *a, int64_t at) {
  switch (a->type) {
  case ELEMTYPE_F64: return ((const double *)a->data)[at];
  case ELEMTYPE_F32: return (double)((const float *)a->data)[at];
  case ELEMTYPE_I64: return (double)((const int64_t *)a->data)[at];
  case ELEMTYPE_BOOL: return ((const uint8_t *)a->data)[at];
  case ELEMTYPE_F16: case ELEMTYPE_BF16: case ELEMTYPE_I32: case ELEMTYPE_U8: break;
  }
  return NAN;
}

/* Equal as far as `single` can tell: beyond the range of f32 a number is infinite. */
static bool same_if_odd(double got, double want, bool single) {
  if (isnan(want)) return isnan(got);
  if (single && fabs(want) > (double)FLT_MAX) return isinf(got) && (got > 0) == (want > 0);
  return got == want;
}

typedef struct Distance { double error, scale, share, largest; int64_t n, worst; bool odd; } Distance;

static void add(Distance *d, int64_t at, double got, double want, bool single) {
  bool odd = !isfinite(want) || !isfinite(got);
  double difference = odd ? 0 : fabs(got - want);
  d->n++;
  if (odd && !same_if_odd(got, want, single)) d->odd = true, difference = INFINITY;
  if (difference > d->largest) d->largest = difference, d->worst = at;
  if (odd) return;
  d->error += difference * difference;
  d->scale += want * want;
  d->share += difference != 0;
}

static double real_distance(const Distance *d) {
  if (d->odd) return INFINITY;
  return d->error == 0 ? 0 : sqrt(d->error) / (sqrt(d->scale) + sqrt((double)d->n));
}

static bool same_shape(const AttnArray *got, const OutputArray *want) {
  if (got->rank != (int)want->rank) return false;
  for (int k = 0; k < got->rank; k++)
    if (got->shape[k] != want->dims[k]) return false;
  return true;
}

double compare_output(const AttnArray *got, const OutputArray *want, int64_t *worst) {
  Distance d = {.worst = -1};
  *worst = -1;
  if (!same_shape(got, want)) return INFINITY;
  for (int64_t k = 0; k < want->count; k++)
    add(&d, k, element(got, k), want->real ? want->real[k] : (double)want->integer[k], got->type == ELEMTYPE_F32);
  *worst = d.worst;
  return want->real ? real_distance(&d) : d.share / (double)(d.n ? d.n : 1);
}

double compare_runs(const AttnArray *a, const AttnArray *b) {
  Distance d = {.worst = -1};
  int64_t n = array_count(a);
  for (int64_t k = 0; k < n; k++) add(&d, k, element(a, k), element(b, k), false);
  return elem_is_float(a->type) ? real_distance(&d) : d.share / (double)(d.n ? d.n : 1);
}
