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

/* The k-th of them is taken in; its pivot. */
ALWAYS double close_double(Vec *row, int64_t k) {
  Vec r = row[k];
  double d = r[FOUR];
  UNROLLED(4) for (int64_t j = k + 1; j < FOUR; j++) d += r[j];
  Bits others = (Bits)((Bits){0, 1, 2, 3, 4, 5, 6, 7} != (Bits){0} + (uint64_t)k);
  Vec one = (Vec){0} + 1;
  r = (Vec)((others & (Bits)r) | (~others & (Bits)one)) * (1 / d);
  UNROLLED(4) for (int64_t i = 0; i < FOUR; i++) {
    Vec x = row[i];
    Vec to = (Vec)(others & (Bits)x) + x[k] * r;
    row[i] = to;
  }
  row[k] = r;
  return d;
}

/* Eight by eight. */
ALWAYS void transpose_double(Vec *x) {
  for (int l = 0; l < EIGHT; l += 2) {
    Vec a = x[l], b = x[l + 1];
    x[l] = LANES(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    x[l + 1] = LANES(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int l = 0; l < EIGHT; l += l % 4 == 1 ? 3 : 1) {
    Vec a = x[l], b = x[l + 2];
    x[l] = LANES(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    x[l + 2] = LANES(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int l = 0; l < 4; l++) {
    Vec a = x[l], b = x[l + 4];
    x[l] = LANES(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    x[l + 4] = LANES(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

#endif
