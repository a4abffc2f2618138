/* single_weights: of a tree's log weights x the weights e^x 2^-m in single precision, m of the row: x is not rounded on
 * the way.
 *
 * m is about log2 of the weight of the row's arc to the root: then no row waits for its largest.  Where some log weight
 * is further than RANGE from that, or is -inf (a gap), m is about log2 of the row's largest.  In both cases all weights
 * lie within e^RANGE of 2^m. */
#ifndef ATTN_RT_SINGLE_WEIGHTS_H
#define ATTN_RT_SINGLE_WEIGHTS_H

#include <math.h>
#include <string.h>

#include "single.h"

#define LARGE 1000.0F
#define LOG2_E 1.44269504F
#define LN2_HIGH 0x1.63p-1F      /* 9 bits: products with whole numbers are exact */
#define LN2_LOW -0x1.bd0106p-13F /* log 2 less that */
#define LN2 0.693147180559945309
#define ROUND 0x1.8p23F /* x + ROUND has x, a whole number, in its last bits */

/* n log weights, from column j on; -inf at the node itself and behind the nodes. */
ALWAYS void of_row(F8 *to, const float *row, int64_t i, int64_t j, int64_t n) {
  I8 lane = {PLACES_8}, drop = (I8)(lane == (I8){0} + (uint32_t)(i - j));
  if (j + EIGHT > n) drop |= (I8)(lane >= (I8){0} + (uint32_t)(n - j));
  *to = (F8)((drop & (I8)((F8){0} - INFINITY)) | (~drop & (I8)*at8(row + j)));
}

ALWAYS void halves8(const F8 *x, F8 *to) { *to = *x; }

ALWAYS void halves16(const F16 *x, F8 *to) {
  F8 low = LANES_8(*x, *x, PLACES_8), high = LANES_8(*x, *x, 8, 9, 10, 11, 12, 13, 14, 15);
  larger8(to, &low, &high);
}

#define SIZE 8
#include "single_rows.h"
#undef SIZE
#define SIZE 16
#include "single_rows.h"
#undef SIZE

ALWAYS float largest_of_row(const Single *t, const float *row, int64_t i) {
  F8 high = (F8){0} + row[t->nodes], v;
  for (int64_t j = 0; j < t->nodes; j += EIGHT) {
    of_row(&v, row, i, j, t->nodes);
    larger8(&high, &v, &high);
  }
  float most = high[0];
  for (int k = 1; k < EIGHT; k++) most = high[k] > most ? high[k] : most;
  return most;
}

/* Of all rows.  Those that are read beyond the last row's end are copied: vectors are no longer than TWO rows. */
ALWAYS void weigh_rows(Single *t, const float *local, bool gaps, I8 *bad) {
  int64_t n = t->nodes;
  I8 bad8 = {0};
  I16 bad16 = {0};
  for (int64_t i = 0; i < n; i++) {
    const float *row = i < n - 1 ? local + i * (n + 1) : t->last;
    if (t->sixteen) weigh_row_16(t, row, i, gaps, &bad16);
    else weigh_row_8(t, row, i, gaps, &bad8);
  }
  *bad |= bad8 | LANES_8(bad16, bad16, PLACES_8) | LANES_8(bad16, bad16, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* False: a weight is too large, the range too wide, a node has no choice, or, if not gaps, some choice is none. */
ALWAYS bool start(Single *t, const float *local, bool gaps) {
  int64_t n = t->nodes, w = up(n);
  float *most = gaps ? t->bias : t->top;
  F8 m_all = {0}; /* small whole numbers */
  I8 bad8 = {0};
  memcpy(t->last, local + (n - 1) * (n + 1), (size_t)(n + 1) * sizeof *local);
  for (int64_t i = n + 1; i < t->wide; i++) t->last[i] = 0;
  for (int64_t i = n; i < w; i++) t->bias[i] = t->top[i] = 0;
  for (int64_t i = 0; i < n; i++) t->top[i] = local[i * (n + 1) + n];
  for (int64_t i = 0; gaps && i < n; i++) t->bias[i] = largest_of_row(t, i == n - 1 ? t->last : local + i * (n + 1), i);
  for (int64_t i = 0; i < w; i += EIGHT) {
    F8 x = *at8(most + i), whole = x * LOG2_E + ROUND, m = whole - ROUND;
    F8 base = ROUND - m, s = m * LN2_HIGH + m * LN2_LOW;
    bad8 |= (~(I8)(x > -LARGE) | ~(I8)(x < LARGE)) & 0x80000000;
    *at8(t->bias + i) = base;
    *at8(t->scale + i) = s;
    m_all += m;
    weigh_8(at8(t->top + i), &base, &s, gaps, at8(t->top + i), at8(t->root + i), &bad8);
  }
  if (!unsigned8(&bad8)) return false;
  for (int64_t i = n; i < w; i++) t->root[i] = 0;
  weigh_rows(t, local, gaps, &bad8);
  for (int k = 1; k < EIGHT; k++) m_all[0] += m_all[k];
  t->shift = m_all[0] * LN2;
  return unsigned8(&bad8);
}

#endif
