/* gather: reads the rows that a list names, and nothing else: the time that attention over a graph cannot be without.
 */
#include <stdint.h>

enum { LANES = 16, AHEAD = 16 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

/* The sum of rows list[lo .. hi) of 4 LANES floats, so that none of the loads is in vain. */
float gather_rows(const float *table, const int64_t *list, int64_t lo, int64_t hi, int64_t all) {
  vec sum[4] = {{0}};
  for (int64_t e = lo; e < hi; e++) {
    if (e + AHEAD < all)
      for (int n = 0; n < 4; n++) __builtin_prefetch(table + list[e + AHEAD] * 4 * LANES + n * LANES);
    const vec *row = (const vec *)(table + list[e] * 4 * LANES);
    for (int n = 0; n < 4; n++) sum[n] += row[n];
  }
  float total = 0;
  for (int n = 0; n < 4; n++)
    for (int k = 0; k < LANES; k++) total += sum[n][k];
  return total;
}
