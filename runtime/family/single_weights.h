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

/* F is F8 or F16.
 * of_row: n log weights, from column j on; `none` at the node itself and behind the nodes.
 * weigh: of log weights x, less = x - s and e = e^x 2^-m, s = m log 2; gaps: some x may be -inf, then less is at most
 * -RANGE and e is 0.  bad gets a sign where x is out of range; where it is no number, less is none. */
#define ROWS(SIZE, F, I, PLACES)                                                                                       \
  ALWAYS void of_row##SIZE(F *to, const float *row, int64_t i, int64_t j, int64_t n, float none) {                     \
    I lane = {PLACES}, drop = (I)(lane == (I){0} + (uint32_t)(i - j));                                                 \
    if (j + SIZE > n) drop |= (I)(lane >= (I){0} + (uint32_t)(n - j));                                                 \
    *to = (F)((drop & (I)((F){0} + none)) | (~drop & (I) * at##SIZE(row + j)));                                        \
  }                                                                                                                    \
  ALWAYS void weigh##SIZE(const F *from, const I *m, const F *s, bool gaps, F *less, F *e, I *bad) {                   \
    F x = *from;                                                                                                       \
    I there = (I)(x > (F){0} - INFINITY);                                                                              \
    F least = *s - 2 * RANGE;                                                                                          \
    if (gaps) larger##SIZE(&x, &x, &least);                                                                            \
    F whole = x * LOG2_E + ROUND, n = whole - ROUND, d = x - *s, r = x - n * LN2_HIGH - n * LN2_LOW, r2 = r * r;       \
    F p = (5.0000001201e-1F + r * 1.6666665459e-1F) +                                                                  \
          r2 * ((4.1665795894e-2F + r * 8.3334519073e-3F) + r2 * (1.3981999507e-3F + r * 1.9875691500e-4F));           \
    F y = p * r2 + r + 1;                                                                                              \
    I power = (I)y + (((I)whole - *m) << 23);                                                                          \
    if (!gaps)                                                                                                         \
      *bad |= (I)(RANGE * RANGE - d * d);                                                                              \
    else                                                                                                               \
      *bad |= (((I)(RANGE * RANGE - d * d) & there) | ~(I)(*from < INFINITY)) & 0x80000000, power &= there;            \
    *less = d;                                                                                                         \
    *e = (F)power;                                                                                                     \
  }
ROWS(8, F8, I8, PLACES_8)
ROWS(16, F16, I16, PLACES_16)

ALWAYS float largest_of_row(const Single *t, const float *row, int64_t i) {
  F8 high = (F8){0} + row[t->nodes], v;
  for (int64_t j = 0; j < t->width; j += EIGHT) {
    of_row8(&v, row, i, j, t->nodes, -INFINITY);
    larger8(&high, &v, &high);
  }
  float most = high[0];
  for (int k = 1; k < EIGHT; k++) most = high[k] > most ? high[k] : most;
  return most;
}

/* Weights of a row, from the numbers m and s of it.  `bad` as weigh's. */
ALWAYS void weigh_row(Single *t, const float *row, int64_t i, bool gaps, I16 *bad) {
  int64_t w = t->width, n = t->nodes, j = 0, at = i * t->stride;
  float *less = t->less + at, *arc = t->arc + at, *a = t->a + at, s = t->scale[i];
  F16 v, s16 = (F16){0} + s, most16 = {0};
  I16 m16 = (I16)((F16){0} + t->bias[i]);
  for (; j + TWO <= w; j += TWO) {
    bool some = i / TWO * TWO == j || j + TWO > n; /* are not there */
    if (some) of_row16(&v, row, i, j, n, s);
    else v = *at16(row + j);
    weigh16(&v, &m16, &s16, gaps, at16(less + j), &v, bad);
    if (some) of_row16(&v, (float *)&v - j, i, j, n, 0);
    *at16(arc + j) = *at16(a + j) = v;
    larger16(&most16, &v, &most16);
  }
  F8 most = LANES_8(most16, most16, PLACES_8), upper = LANES_8(most16, most16, 8, 9, 10, 11, 12, 13, 14, 15);
  larger8(at8(t->most + i * EIGHT), &most, &upper);
  if (j == w) return;
  I8 m8 = (I8)((F8){0} + t->bias[i]), bad8 = {0};
  F8 s8 = (F8){0} + s, v8;
  of_row8(&v8, row, i, j, n, s);
  weigh8(&v8, &m8, &s8, gaps, at8(less + j), &v8, &bad8);
  of_row8(&v8, (float *)&v8 - j, i, j, n, 0);
  *at8(arc + j) = *at8(a + j) = v8;
  larger8(at8(t->most + i * EIGHT), &v8, at8(t->most + i * EIGHT));
  *bad |= LANES_8(bad8, bad8, PLACES_8, PLACES_8);
}

/* False: a weight is too large, the range too wide, a node has no choice, or, if not gaps, some choice is none. */
ALWAYS bool start(Single *t, const float *local, bool gaps) {
  int64_t n = t->nodes, w = t->width;
  double m_all = 0;
  I16 bad = {0};
  I8 bad8 = {0};
  memcpy(t->last, local + (n - 1) * (n + 1), (size_t)(n + 1) * sizeof *local);
  for (int64_t i = n + 1; i < w; i++) t->last[i] = 0;
  for (int64_t i = n; i < w; i++) t->bias[i] = t->top[i] = 0;
  for (int64_t i = 0; i < n; i++) t->bias[i] = t->top[i] = local[i * (n + 1) + n];
  for (int64_t i = 0; gaps && i < n; i++) t->bias[i] = largest_of_row(t, i == n - 1 ? t->last : local + i * (n + 1), i);
  for (int64_t i = 0; i < w; i += EIGHT) { /* m in the last bits */
    F8 x = *at8(t->bias + i), whole = x * LOG2_E + ROUND, m = whole - ROUND;
    bad8 |= ~(I8)(x > -LARGE) | ~(I8)(x < LARGE);
    *at8(t->bias + i) = whole;
    *at8(t->scale + i) = m * LN2_HIGH + m * LN2_LOW;
  }
  if (!none8(&bad8)) return false;
  for (int64_t i = 0; i < n; i++) m_all += t->bias[i] - ROUND;
  for (int64_t i = 0; i < n - 1; i++) weigh_row(t, local + i * (n + 1), i, gaps, &bad);
  weigh_row(t, t->last, n - 1, gaps, &bad);
  bad8 = LANES_8(bad, bad, 0, 1, 2, 3, 4, 5, 6, 7) | LANES_8(bad, bad, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int64_t i = 0; i < w; i += EIGHT)
    weigh8(at8(t->top + i), (I8 *)(void *)(t->bias + i), at8(t->scale + i), gaps, at8(t->top + i), at8(t->root + i),
           &bad8);
  for (int64_t i = n; i < w; i++) t->root[i] = 0;
  for (int64_t i = 0; !t->one_root && i < n; i++) {
    float *a = t->a + i * t->stride;
    if (t->wide > w) *at8(a + w) = (F8){0};
    a[n] = t->root[i];
  }
  t->shift = m_all * LN2;
  return unsigned8(&bad8);
}

#endif
