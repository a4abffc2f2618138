/* compare: see compare.h. */
#include "driver/compare.h"

#include <math.h>

#include "driver/output.h"
#include "oracle/distance.h"

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
    distance_add(&d, k, output_element(got, k), want->real ? want->real[k] : (double)want->integer[k],
                 got->type == ELEMTYPE_F32);
  *worst = d.worst;
  return want->real ? distance_of_reals(&d) : distance_of_ints(&d);
}

double compare_runs(const AttnArray *a, const AttnArray *b) {
  Distance d = {.worst = -1};
  int64_t n = array_count(a);
  for (int64_t k = 0; k < n; k++) distance_add(&d, k, output_element(a, k), output_element(b, k), false);
  return elem_is_float(a->type) ? distance_of_reals(&d) : distance_of_ints(&d);
}
