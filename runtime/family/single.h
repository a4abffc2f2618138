/* single: what is known of a tree's chain in single precision (tree_single.c), and vectors of floats. */
#ifndef ATTN_RT_SINGLE_H
#define ATTN_RT_SINGLE_H

#include <string.h>

#include "four.h"

enum { TWO = 2 * EIGHT };
#define RANGE 24.0F

typedef float F4 __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I4 __attribute__((vector_size(4 * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef int32_t J8 __attribute__((vector_size(EIGHT * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));
typedef float F8 __attribute__((vector_size(EIGHT * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I8 __attribute__((vector_size(EIGHT * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef int32_t J16 __attribute__((vector_size(TWO * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));
typedef float F16 __attribute__((vector_size(TWO * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I16 __attribute__((vector_size(TWO * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

#if defined __clang__ || __GNUC__ >= 12
#define LANES_8(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define LANES_8(x, y, ...) __builtin_shuffle(x, y, (I8){__VA_ARGS__})
#endif

#define PLACES_8 0, 1, 2, 3, 4, 5, 6, 7
#define PLACES_16 PLACES_8, 8, 9, 10, 11, 12, 13, 14, 15

/* Of code that is included once for each SIZE, 8 or 16: vectors of so many, and names of its own. */
#define PASTE_NOW(NAME, N) NAME##N
#define PASTE(NAME, N) PASTE_NOW(NAME, N)
#define FLOATS PASTE(F, SIZE)
#define WORDS PASTE(I, SIZE)
#define SIGNS PASTE(J, SIZE)
#define AT PASTE(at, SIZE)
#define PLACES PASTE(PLACES_, SIZE)
#define THIS(NAME) PASTE(NAME##_, SIZE)

typedef struct Single {
  int64_t nodes, wide; /* columns, whole vectors, zeros behind */
  int64_t stride; /* of rows, which begin where cache lines do: vectors that lie across two take twice the time */
  bool one_root, sixteen;     /* sixteen: registers have as many */
  float *less, *arc; /* [nodes, stride]: log weights less m log 2, and weights; 0 where there is none */
  float *a;          /* [nodes, stride]: what is inverted */
  float *most;       /* [nodes, EIGHT]: the largest weights of a row are among them */
  float *top, *root; /* [wide]: the same of the arcs to the root */
  float *bias, *last, *pivot, *high, *scale, *own, *spare; /* [wide] */
  float close[FOUR][FOUR], rest[FOUR]; /* what the next four nodes have for one another, and for all later ones */
  double shift; /* of log Z */
} Single;

ALWAYS F4 *at4(const float *x) { return (F4 *)(uintptr_t)x; }
ALWAYS F8 *at8(const float *x) { return (F8 *)(uintptr_t)x; }
ALWAYS F16 *at16(const float *x) { return (F16 *)(uintptr_t)x; }

/* The larger, lane by lane; y where x is no number.  Arrays: of these compilers make one instruction. */
#define LARGER(SIZE)                                                              \
  ALWAYS void larger##SIZE(F##SIZE *to, const F##SIZE *x, const F##SIZE *y) {     \
    float a[SIZE], b[SIZE];                                                       \
    memcpy(a, x, sizeof a), memcpy(b, y, sizeof b);                               \
    UNROLLED(1) for (int l = 0; l < SIZE; l++) b[l] = a[l] > b[l] ? a[l] : b[l];  \
    memcpy(to, b, sizeof b);                                                      \
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
      v[k] = LANES_8(a, b, 0, 8, 1, 9, 4, 12, 5, 13);                      \
      other = LANES_8(a, b, 2, 10, 3, 11, 6, 14, 7, 15);                   \
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
