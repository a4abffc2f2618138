/* single: what is known of a tree's chain in single precision (tree_single.c), and vectors of floats. */
#ifndef ATTN_RT_SINGLE_H
#define ATTN_RT_SINGLE_H

#include "four.h"

enum { TWO = 2 * EIGHT };
#define RANGE 24.0F

typedef float F8 __attribute__((vector_size(EIGHT * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I8 __attribute__((vector_size(EIGHT * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef float F16 __attribute__((vector_size(TWO * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I16 __attribute__((vector_size(TWO * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

#if defined __clang__ || __GNUC__ >= 12
#define LANES_8(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define LANES_8(x, y, ...) __builtin_shuffle(x, y, (I8){__VA_ARGS__})
#endif
TRANSPOSE(float, F8, LANES_8)
CLOSE(float, float, F8, I8, uint32_t)

#define PLACES_8 0, 1, 2, 3, 4, 5, 6, 7
#define PLACES_16 PLACES_8, 8, 9, 10, 11, 12, 13, 14, 15

typedef struct Single {
  int64_t nodes, width, wide; /* columns of weights, and of what is inverted: whole groups of EIGHT, zeros behind */
  int64_t stride; /* of rows, which begin where cache lines do: vectors that lie across two take twice the time */
  bool one_root, sixteen;     /* sixteen: registers have as many */
  float *less, *arc; /* [nodes, stride]: log weights less m log 2, and weights; 0 where there is none */
  float *a;          /* [nodes, stride]: what is inverted */
  float *most;       /* [nodes, EIGHT]: the largest weights of a row are among them */
  float *top, *root; /* [wide]: the same of the arcs to the root */
  float *bias, *last, *pivot, *high, *scale, *own, *spare, *keep; /* [wide] */
  float close[FOUR * EIGHT]; /* the next four nodes; see four.h */
  double shift; /* of log Z */
} Single;

ALWAYS F8 *at8(const float *x) { return (F8 *)(uintptr_t)x; }
ALWAYS F16 *at16(const float *x) { return (F16 *)(uintptr_t)x; }

/* The larger, lane by lane; y where x is no number. */
#define LARGER(SIZE)                                                                  \
  ALWAYS void larger##SIZE(F##SIZE *to, const F##SIZE *x, const F##SIZE *y) {         \
    I##SIZE more = (I##SIZE)(*x > *y);                                                \
    *to = (F##SIZE)((more & (I##SIZE) * x) | (~more & (I##SIZE) * y));                \
  }
LARGER(8)
LARGER(16)

ALWAYS void add8(F8 *to, const F8 *x, const F8 *y) { *to = *x + *y; }

/* Of eight vectors what their lanes come to, by twos. */
#define FOLD(NAME, OP)                                                     \
  ALWAYS void NAME(const F8 *x, F8 *to) {                                  \
    F8 v[EIGHT], other;                                                    \
    for (int k = 0; k < 4; k++) {                                          \
      F8 a = x[2 * k], b = x[2 * k + 1];                                   \
      v[k] = LANES_8(a, b, 0, 8, 2, 10, 4, 12, 6, 14);                     \
      other = LANES_8(a, b, 1, 9, 3, 11, 5, 13, 7, 15);                    \
      OP(&v[k], &v[k], &other);                                            \
    }                                                                      \
    for (int k = 0; k < 2; k++) {                                          \
      F8 a = v[2 * k], b = v[2 * k + 1];                                   \
      v[k] = LANES_8(a, b, 0, 1, 8, 9, 4, 5, 12, 13);                      \
      other = LANES_8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);                   \
      OP(&v[k], &v[k], &other);                                            \
    }                                                                      \
    F8 a = LANES_8(v[0], v[1], 0, 1, 2, 3, 8, 9, 10, 11);                     \
    F8 b = LANES_8(v[0], v[1], 4, 5, 6, 7, 12, 13, 14, 15);                   \
    OP(to, &a, &b);                                                        \
  }
FOLD(sum_eight, add8)
FOLD(most_eight, larger8)

ALWAYS bool none8(const I8 *x) {
  I8 b = *x;
  return !(((b[0] | b[4]) | (b[2] | b[6])) | ((b[1] | b[5]) | (b[3] | b[7])));
}

/* No lane has a sign. */
ALWAYS bool unsigned8(const I8 *x) {
  I8 sign = *x >> 31;
  return none8(&sign);
}

#endif
