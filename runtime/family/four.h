/* four: what closing a matrix by four nodes at a time shares between precisions: see tree_inverse.c.
 *
 * Closing: how four nodes come to be expressed by all others.  Row i has in lane k < FOUR what node i of them has for
 * node k, in lane FOUR what it has for all nodes that come later, then 0.  Taking in the k-th leaves the inverse so far
 * in the lanes below FOUR.  Steps of their own, since each waits for its division: others' work may stand between.  A
 * node that is missing has 0 everywhere, and so has the inverse.
 *
 * No subtraction. */
#ifndef ATTN_RT_FOUR_H
#define ATTN_RT_FOUR_H

#include "eight.h"

enum { FOUR = 4 };

ALWAYS int64_t at_most_four(int64_t n) { return n < FOUR ? n : FOUR; }

/* close_KIND(row, k): the k-th of them is taken in; its pivot.  V is a vector of eight of REAL, B of as many whole
 * numbers WHOLE. */
#define CLOSE(KIND, REAL, V, B, WHOLE)                                          \
  ALWAYS REAL close_##KIND(V *row, int64_t k) {                                 \
    V r = row[k];                                                               \
    REAL d = r[FOUR];                                                           \
    UNROLLED(4) for (int64_t j = k + 1; j < FOUR; j++) d += r[j];               \
    B others = (B)((B){0, 1, 2, 3, 4, 5, 6, 7} != (B){0} + (WHOLE)k);           \
    V one = (V){0} + 1;                                                         \
    r = (V)((others & (B)r) | (~others & (B)one)) * (1 / d);                    \
    UNROLLED(4) for (int64_t i = 0; i < FOUR; i++) {                            \
      V x = row[i];                                                             \
      V to = (V)(others & (B)x) + x[k] * r;                                     \
      row[i] = to;                                                              \
    }                                                                           \
    row[k] = r;                                                                 \
    return d;                                                                   \
  }
CLOSE(double, double, Vec, Bits, uint64_t)

/* transpose_KIND(x): eight by eight, V a vector of eight, MIX its lanes of two. */
#define TRANSPOSE(KIND, V, MIX)                              \
  ALWAYS void transpose_##KIND(V *x) {                       \
    for (int l = 0; l < EIGHT; l += 2) {                     \
      V a = x[l], b = x[l + 1];                              \
      x[l] = MIX(a, b, 0, 8, 2, 10, 4, 12, 6, 14);           \
      x[l + 1] = MIX(a, b, 1, 9, 3, 11, 5, 13, 7, 15);       \
    }                                                        \
    for (int l = 0; l < EIGHT; l += l % 4 == 1 ? 3 : 1) {    \
      V a = x[l], b = x[l + 2];                              \
      x[l] = MIX(a, b, 0, 1, 8, 9, 4, 5, 12, 13);            \
      x[l + 2] = MIX(a, b, 2, 3, 10, 11, 6, 7, 14, 15);      \
    }                                                        \
    for (int l = 0; l < 4; l++) {                            \
      V a = x[l], b = x[l + 4];                              \
      x[l] = MIX(a, b, 0, 1, 2, 3, 8, 9, 10, 11);            \
      x[l + 4] = MIX(a, b, 4, 5, 6, 7, 12, 13, 14, 15);      \
    }                                                        \
  }

#endif
