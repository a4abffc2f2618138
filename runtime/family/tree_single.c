/* tree_single: marginals from one inverse (tree_inverse.c) in single precision, where log weights and probabilities are such numbers and
 * enough of their digits is known to be left.
 *
 * The closure G adds, multiplies and divides numbers without a sign: an entry comes with a relative error about sqrt n roundings u wide;
 * here it is taken to be below
 *   delta = (1 + sqrt n / 2) u,  u = 2^-24
 * (tests/unit/test_family.c measures it).  A marginal of node i is w_ij V_ji / S_i, w its weights relative to the
 * row's largest, V = x - y >= 0 the one subtraction, S_i the row's sum.  So it is off by delta x w_ij / S_i.  The tree is left to double precision where
 * some node has
 *   delta max(w) max(x) / S_i > ERROR,  or  V < SHARE x
 * The second bounds the relative error of what is small: delta / SHARE.
 *
 * Weights: e^x 2^-m, m the row's own, so that the largest is about 1: x is not rounded on the way.  Rows add only, all numbers lie within
 * e^(3 RANGE) n^2 of 1, and log Z is a sum of logs of pivots in double precision.
 *
 * The closure takes in all nodes but the last column's, which is the root where there may be many of them, and the last node where there is
 * one root: then H is the closure, and with the arcs to the root r, h = H r, g the last node's row, R = r_l + g r. */
#include <math.h>
#include <string.h>

#include "eight.h"
#include "tree_parts.h"

enum { FOUR = 4, TWO = 2 * EIGHT, MOST = 256 };
static const float RANGE = 24, LARGE = 1000, SHARE = 0x1p-7F, LEAST = 1e-25F, ERROR = 2e-6F;

typedef float F8 __attribute__((vector_size(EIGHT * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I8 __attribute__((vector_size(EIGHT * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef float F16 __attribute__((vector_size(TWO * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t I16 __attribute__((vector_size(TWO * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

#if defined __clang__ || __GNUC__ >= 12
#define LANES_8(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define LANES_8(x, y, ...) __builtin_shuffle(x, y, (I8){__VA_ARGS__})
#endif

typedef struct Single {
  int64_t nodes, width, wide; /* columns of weights, and of what is inverted: whole groups of EIGHT, zeros behind */
  int64_t stride;             /* of rows, which begin where cache lines do: vectors that lie across two take twice the time */
  bool one_root;
  float *less, *arc; /* [nodes, stride]: log weights less m log 2, and weights; 0 where there is none */
  float *a;          /* [nodes, stride] */
  float *via;        /* [nodes, FOUR] */
  float *top, *root, *bias, *last, *pivot, *high, *scale, *own, *spare; /* [wide]: arcs to the root; */
  float close[FOUR * FOUR];
  double shift; /* of log Z */
} Single;

ALWAYS bool none8(const I8 *x) {
  I8 b = *x;
  return !(((b[0] | b[4]) | (b[2] | b[6])) | ((b[1] | b[5]) | (b[3] | b[7])));
}

/* ---- weights ------------------------------------------------------------------------------------------------------ */

#define LOG2_E 1.44269504F
#define LN2_HIGH 0x1.63p-1F       /* 9 bits: products with whole numbers are exact */
#define LN2_LOW -0x1.bd0106p-13F /* log 2 less that */
#define LN2 0.693147180559945309

#define PLACES_8 0, 1, 2, 3, 4, 5, 6, 7
#define PLACES_16 PLACES_8, 8, 9, 10, 11, 12, 13, 14, 15

#define LARGER(F, I, X, Y) ((F)(((I)((X) > (Y)) & (I)(X)) | (~(I)((X) > (Y)) & (I)(Y))))

/* F is F8 or F16.
 * of_row: n log weights, from column j on; `none` at the node itself and behind the nodes.
 * weigh: of log weights x, less = x - s and e = e^x 2^-m, s = m log 2; gaps: some x may be -inf, then less is at most -RANGE and
 * e is 0.  bad: out of range, or no number. */
#define ROWS(SIZE, F, I, PLACES)                                                                                        \
  ALWAYS F *at##SIZE(const float *x) { return (F *)(uintptr_t)x; }                                                       \
  ALWAYS void of_row##SIZE(F *to, const float *row, int64_t i, int64_t j, int64_t n, float none) {                       \
    I lane = {PLACES}, drop = (I)(lane == (I){0} + (uint32_t)(i - j));                                                   \
    if (j + SIZE > n) drop |= (I)(lane >= (I){0} + (uint32_t)(n - j));                                                   \
    *to = (F)((drop & (I)((F){0} + none)) | (~drop & (I) * at##SIZE(row + j)));                                          \
  }                                                                                                                      \
  ALWAYS void weigh##SIZE(const F *from, const I *m, const F *s, bool gaps, F *less, F *e, I *bad) {                     \
    F x = *from;                                                                                                         \
    I there = (I)(x > (F){0} - INFINITY);                                                                                \
    if (gaps) x = LARGER(F, I, x, *s - 2 * RANGE);                                                                       \
    F whole = x * LOG2_E + 0x1.8p23F, n = whole - 0x1.8p23F, d = x - *s;                                                 \
    F r = x - n * LN2_HIGH - n * LN2_LOW, r2 = r * r;                                                                    \
    F p = (5.0000001201e-1F + r * 1.6666665459e-1F) +                                                                    \
          r2 * ((4.1665795894e-2F + r * 8.3334519073e-3F) + r2 * (1.3981999507e-3F + r * 1.9875691500e-4F));             \
    F y = p * r2 + r + 1;                                                                                                \
    I power = (I)y + (((I)whole - *m) << 23), out = ~(I)(d >= -RANGE);                                                   \
    if (gaps) out = (out & there) | ~(I)(*from < INFINITY), power &= there;                                              \
    *bad |= out;                                                                                                         \
    *less = d;                                                                                                           \
    *e = (F)power;                                                                                                       \
  }
ROWS(8, F8, I8, PLACES_8)
ROWS(16, F16, I16, PLACES_16)

ALWAYS float most8(const F8 *x) {
  F8 s = *x, o = LANES_8(s, s, 4, 5, 6, 7, 0, 1, 2, 3);
  s = LARGER(F8, I8, s, o);
  o = LANES_8(s, s, 2, 3, 0, 1, 6, 7, 4, 5);
  s = LARGER(F8, I8, s, o);
  return s[0] > s[1] ? s[0] : s[1];
}

ALWAYS float largest_of_row(const Single *t, const float *row, int64_t i) {
  int64_t j = 0, w = t->width, n = t->nodes;
  F16 high = (F16){0} + row[n], v;
  for (; j + TWO <= w; j += TWO) {
    of_row16(&v, row, i, j, n, -INFINITY);
    high = LARGER(F16, I16, v, high);
  }
  F8 x = LANES_8(high, high, 0, 1, 2, 3, 4, 5, 6, 7), y = LANES_8(high, high, 8, 9, 10, 11, 12, 13, 14, 15);
  x = LARGER(F8, I8, x, y);
  if (j < w) {
    of_row8(&y, row, i, j, n, -INFINITY);
    x = LARGER(F8, I8, x, y);
  }
  return most8(&x);
}

/* Rows of weights, from the numbers m and s of each.  `bad` as weigh's. */
ALWAYS void weigh_rows(Single *t, const float *local, bool gaps, I16 *bad) {
  int64_t w = t->width, n = t->nodes;
  I16 bad16 = *bad;
  I8 bad8 = {0};
  for (int64_t i = 0; i < n; i++) {
    const float *row = i == n - 1 ? t->last : local + i * (n + 1);
    int64_t j = 0, at = i * t->stride;
    float *less = t->less + at, *arc = t->arc + at, *a = t->a + at, s = t->scale[i];
    F16 v, s16 = (F16){0} + s;
    I16 m16 = (I16)((F16){0} + t->bias[i]);
    for (; j + TWO <= w; j += TWO) {
      of_row16(&v, row, i, j, n, s);
      weigh16(&v, &m16, &s16, gaps, at16(less + j), &v, &bad16);
      of_row16(&v, (float *)&v - j, i, j, n, 0);
      *at16(arc + j) = *at16(a + j) = v;
    }
    if (j < w) {
      I8 m8 = (I8)((F8){0} + t->bias[i]);
      F8 s8 = (F8){0} + s, v8;
      of_row8(&v8, row, i, j, n, s);
      weigh8(&v8, &m8, &s8, gaps, at8(less + j), &v8, &bad8);
      of_row8(&v8, (float *)&v8 - j, i, j, n, 0);
      *at8(arc + j) = *at8(a + j) = v8;
    }
  }
  *bad = bad16 | LANES_8(bad8, bad8, PLACES_8, PLACES_8);
}

/* False: a weight is no number, too large, the range too wide, a node has no choice, or, if not gaps, some choice is none. */
ALWAYS bool start(Single *t, const float *local, bool gaps) {
  int64_t n = t->nodes, w = t->width;
  double m_all = 0;
  I16 bad = {0};
  memcpy(t->last, local + (n - 1) * (n + 1), (size_t)(n + 1) * sizeof *local);
  for (int64_t i = n + 1; i < w; i++) t->last[i] = 0;
  for (int64_t i = n; i < w; i++) t->bias[i] = t->top[i] = 0;
  for (int64_t i = 0; i < n; i++) {
    const float *row = i == n - 1 ? t->last : local + i * (n + 1);
    t->top[i] = row[n];
    t->bias[i] = largest_of_row(t, row, i);
  }
  I8 bad8 = {0};
  for (int64_t i = 0; i < w; i += EIGHT) { /* m in the last bits */
    F8 x = *at8(t->bias + i), whole = x * LOG2_E + 0x1.8p23F, m = whole - 0x1.8p23F;
    bad8 |= ~(I8)(x > -LARGE) | ~(I8)(x < LARGE);
    *at8(t->bias + i) = whole;
    *at8(t->scale + i) = m * LN2_HIGH + m * LN2_LOW;
  }
  if (!none8(&bad8)) return false;
  for (int64_t i = 0; i < n; i++) m_all += t->bias[i] - 0x1.8p23F;
  weigh_rows(t, local, gaps, &bad);
  bad8 = LANES_8(bad, bad, 0, 1, 2, 3, 4, 5, 6, 7) | LANES_8(bad, bad, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int64_t i = 0; i < w; i += EIGHT)
    weigh8(at8(t->top + i), (I8 *)(void *)(t->bias + i), at8(t->scale + i), gaps, at8(t->top + i), at8(t->root + i), &bad8);
  for (int64_t i = n; i < w; i++) t->root[i] = 0;
  if (!t->one_root)
    for (int64_t i = 0; i < n; i++) {
      float *a = t->a + i * t->stride;
      if (t->wide > w) *at8(a + w) = (F8){0};
      a[n] = t->root[i];
    }
  t->shift = m_all * LN2;
  return none8(&bad8);
}

/* ---- the closure -------------------------------------------------------------------------------------------------- */

/* Of four vectors their sums. */
ALWAYS void sum_four(const F8 *x, float *to) {
  F8 a = LANES_8(x[0], x[1], 0, 8, 2, 10, 4, 12, 6, 14) + LANES_8(x[0], x[1], 1, 9, 3, 11, 5, 13, 7, 15);
  F8 b = LANES_8(x[2], x[3], 0, 8, 2, 10, 4, 12, 6, 14) + LANES_8(x[2], x[3], 1, 9, 3, 11, 5, 13, 7, 15);
  F8 c = LANES_8(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + LANES_8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  c += LANES_8(c, c, 4, 5, 6, 7, 0, 1, 2, 3);
  memcpy(to, &c, FOUR * sizeof *to);
}

/* How the nodes lo .. lo + many, at most FOUR, come to be expressed by all others; see close_nodes of tree_inverse.c. */
ALWAYS void close_nodes(Single *t, int64_t lo, int64_t many) {
  int64_t w = t->wide, behind = down(lo + many);
  I8 later = (I8)((I8){0, 1, 2, 3, 4, 5, 6, 7} >= (I8){0} + (uint32_t)(lo + many - behind));
  float c[FOUR][FOUR] = {{0}}, out[FOUR] = {0};
  F8 s[FOUR] = {{0}};
  UNROLLED(4) for (int64_t m = 0; m < many; m++) {
    const float *row = t->a + (lo + m) * t->stride;
    if (behind < w) s[m] = (F8)((I8)*at8(row + behind) & later);
    for (int64_t j = behind + EIGHT; j < w; j += EIGHT) s[m] += *at8(row + j);
    UNROLLED(4) for (int64_t k = 0; k < many; k++) c[m][k] = row[lo + k];
  }
  sum_four(s, out);
  UNROLLED(4) for (int64_t k = 0; k < many; k++) {
    float d = out[k];
    UNROLLED(4) for (int64_t j = k + 1; j < FOUR; j++) d += c[k][j];
    float by = 1 / d;
    t->pivot[lo + k] = d;
    out[k] *= by;
    c[k][k] = 1;
    UNROLLED(4) for (int64_t j = 0; j < FOUR; j++) c[k][j] *= by;
    UNROLLED(4) for (int64_t i = 0; i < FOUR; i++) {
      if (i == k) continue;
      float via = c[i][k];
      c[i][k] = 0;
      UNROLLED(4) for (int64_t j = 0; j < FOUR; j++) c[i][j] += via * c[k][j];
      out[i] += via * out[k];
    }
  }
  memcpy(t->close, c, sizeof c);
}

ALWAYS void close_four(Single *t, int64_t lo, int64_t many) {
  if (many == FOUR) close_nodes(t, lo, FOUR);
  else close_nodes(t, lo, many);
}

/* Rows first .. last: plus via times the FOUR rows x, columns of `twos` wide vectors and, tail, one more. */
ALWAYS void add_four(const Single *t, int64_t first, int64_t last, float *const *x, int64_t column, int twos, bool tail) {
  int64_t w = t->stride;
  const float *via = t->via + first * FOUR;
  float *to = t->a + first * w + column;
  F16 x0[4], x1[4], x2[4], x3[4];
  F8 y0, y1, y2, y3;
  for (int g = 0; g < twos; g++) {
    x0[g] = *at16(x[0] + column + g * TWO);
    x1[g] = *at16(x[1] + column + g * TWO);
    x2[g] = *at16(x[2] + column + g * TWO);
    x3[g] = *at16(x[3] + column + g * TWO);
  }
  if (tail) {
    y0 = *at8(x[0] + column + twos * TWO);
    y1 = *at8(x[1] + column + twos * TWO);
    y2 = *at8(x[2] + column + twos * TWO);
    y3 = *at8(x[3] + column + twos * TWO);
  }
  for (int64_t i = first; i < last; i++, to += w, via += FOUR) {
    for (int g = 0; g < twos; g++)
      *at16(to + g * TWO) += (via[0] * x0[g] + via[1] * x1[g]) + (via[2] * x2[g] + via[3] * x3[g]);
    if (tail) *at8(to + twos * TWO) += (via[0] * y0 + via[1] * y1) + (via[2] * y2 + via[3] * y3);
  }
}

/* The same of all columns. */
ALWAYS void add_rows(const Single *t, int64_t first, int64_t last, float *const *x) {
  int64_t column = 0, left = t->wide / EIGHT;
  for (; left > 7; left -= 6, column += 6 * EIGHT) add_four(t, first, last, x, column, 3, false);
  switch (left) {
  case 1: add_four(t, first, last, x, column, 0, true); break;
  case 2: add_four(t, first, last, x, column, 1, false); break;
  case 3: add_four(t, first, last, x, column, 1, true); break;
  case 4: add_four(t, first, last, x, column, 2, false); break;
  case 5: add_four(t, first, last, x, column, 2, true); break;
  case 6: add_four(t, first, last, x, column, 3, false); break;
  case 7: add_four(t, first, last, x, column, 3, true); break;
  }
}

/* via: what rows have in the columns of the nodes taken in, which become 0. */
ALWAYS void move_columns(Single *t, int64_t lo, int64_t many) {
  int64_t n = t->nodes, w = t->stride;
  if (many == FOUR) {
    for (int64_t i = 0; i < n; i++) {
      memcpy(t->via + i * FOUR, t->a + i * w + lo, FOUR * sizeof *t->via);
      memset(t->a + i * w + lo, 0, FOUR * sizeof *t->via);
    }
    return;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t m = 0; m < FOUR; m++) {
      t->via[i * FOUR + m] = m < many ? t->a[i * w + lo + m] : 0;
      if (m < many) t->a[i * w + lo + m] = 0;
    }
}

/* Rows of the nodes taken in become c times them; nodes that are missing have rows of 0. */
ALWAYS void express_four(Single *t, int64_t lo, int64_t many, float *const *x) {
  const float *c = t->close;
  for (int64_t j = 0; j < t->wide; j += EIGHT) {
    F8 x0 = *at8(x[0] + j), x1 = *at8(x[1] + j), x2 = *at8(x[2] + j), x3 = *at8(x[3] + j);
    for (int64_t m = 0; m < FOUR; m++)
      *at8(x[m] + j) = (c[4 * m] * x0 + c[4 * m + 1] * x1) + (c[4 * m + 2] * x2 + c[4 * m + 3] * x3);
  }
  for (int64_t m = 0; m < many; m++)
    for (int64_t k = 0; k < many; k++) x[m][lo + k] = c[FOUR * m + k];
}

ALWAYS int64_t at_most_four(int64_t n) { return n < FOUR ? n : FOUR; }

/* The next nodes' rows first, so that what takes them in is there before it is needed. */
ALWAYS void invert(Single *t) {
  int64_t n = t->nodes, all = t->one_root ? n - 1 : n;
  for (int64_t i = 0; i < t->wide; i++) t->spare[i] = 0;
  close_four(t, 0, at_most_four(all));
  for (int64_t lo = 0; lo < all; lo += FOUR) {
    int64_t many = at_most_four(all - lo), next = lo + many, last = next + at_most_four(all - next);
    float *x[FOUR];
    for (int64_t m = 0; m < FOUR; m++) x[m] = m < many ? t->a + (lo + m) * t->stride : t->spare;
    move_columns(t, lo, many);
    express_four(t, lo, many, x);
    add_rows(t, next, last, x);
    if (next < all) close_four(t, next, last - next);
    add_rows(t, 0, lo, x);
    add_rows(t, last, n, x);
  }
}

/* ---- marginals ---------------------------------------------------------------------------------------------------- */

/* Eight by eight. */
ALWAYS void transpose(F8 *x) {
  for (int l = 0; l < EIGHT; l += 2) {
    F8 a = x[l], b = x[l + 1];
    x[l] = LANES_8(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    x[l + 1] = LANES_8(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int l = 0; l < EIGHT; l += l % 4 == 1 ? 3 : 1) {
    F8 a = x[l], b = x[l + 2];
    x[l] = LANES_8(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    x[l + 2] = LANES_8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int l = 0; l < 4; l++) {
    F8 a = x[l], b = x[l + 4];
    x[l] = LANES_8(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    x[l + 4] = LANES_8(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/* Of eight vectors their sums. */
ALWAYS void sum_eight(const F8 *x, F8 *to) {
  F8 v[EIGHT];
  memcpy(v, x, sizeof v);
  transpose(v);
  *to = ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

/* V_ji = high_j + scale_i own_i - (high_i + scale_i a_ji); R, as a pivot.  a's last row then is H's, 0.  False: out of bounds. */
ALWAYS bool place(Single *t, float *highest) {
  int64_t n = t->nodes, w = t->wide, l = n - 1;
  for (int64_t i = 0; i < w; i++) t->scale[i] = i < n;
  for (int64_t i = 0; i < w; i++) t->high[i] = t->own[i] = 0;
  *highest = 0;
  if (t->one_root) {
    float r_l = t->root[l], *g = t->a + l * t->stride, *r = t->spare;
    memcpy(r, t->root, (size_t)l * sizeof *r);
    for (int64_t i = 0; i < n; i += EIGHT) {
      F8 s[EIGHT] = {{0}};
      for (int64_t j = 0; j < w; j += EIGHT)
        for (int k = 0; k < EIGHT; k++) s[k] += *at8(t->a + (i + k < n ? i + k : l) * t->stride + j) * *at8(r + j);
      sum_eight(s, at8(t->high + i));
    }
    float all = t->high[l] + r_l;
    bool fails = !(all > LEAST && all < 1 / LEAST);
    for (int64_t i = l; i < w; i++) t->high[i] = 0;
    for (int64_t i = 0; i < l; i++) fails |= !(g[i] > LEAST);
    for (int64_t i = 0; i < l; i++) t->scale[i] = all / g[i];
    for (int64_t i = 0; i < l; i++) *highest = t->high[i] > *highest ? t->high[i] : *highest;
    for (int64_t i = 0; i < w; i++) g[i] = 0;
    t->scale[l] = 0;
    t->pivot[l] = all;
    if (fails) return false;
  }
  for (int64_t i = 0; i < n; i++) t->own[i] = t->scale[i] * t->a[i * (t->stride + 1)];
  return true;
}

/* Marginals of rows i .. i + rows, at most EIGHT, and what they add to the mean log weight, and false where their digits are not known. */
ALWAYS bool rows_of_marginals(Single *t, int64_t i, int64_t rows, float *p, double *mean, float highest, float limit) {
  int64_t n = t->nodes, w = t->width;
  F8 own = *at8(t->own + i), scale = *at8(t->scale + i), high = *at8(t->high + i), sum[EIGHT] = {{0}}, e[EIGHT] = {{0}}, v[EIGHT];
  I8 bad = {0};
  for (int64_t j = 0; j < w; j += EIGHT) {
    for (int k = 0; k < EIGHT; k++) {
      int64_t row = j + k < n ? j + k : n - 1;
      F8 a = *at8(t->a + row * t->stride + i), all = own;
      if (t->one_root) all += t->high[row], a = high + scale * a;
      v[k] = all - a;
      I8 enough = (I8)(v[k] >= SHARE * all) | (I8)((I8){PLACES_8} == (I8){0} + (uint32_t)(row - i));
      bad |= ~enough;
    }
    transpose(v);
    UNROLLED(8) for (int64_t k = 0; k < rows; k++) {
      F8 *arc = at8(t->arc + (i + k) * t->stride + j), x = *arc * v[k];
      *arc = x;
      sum[k] += x;
      e[k] += x * *at8(t->less + (i + k) * t->stride + j);
    }
  }
  F8 root = *at8(t->root + i), total, energy;
  if (!t->one_root) root *= own;
  sum_eight(sum, &total);
  sum_eight(e, &energy);
  total += root;
  energy += root * *at8(t->top + i);
  bad |= ~(I8)((own + highest) * limit <= total);
  bad &= (I8)((I8){PLACES_8} < (I8){0} + (uint32_t)rows);
  F8 by = 1 / total;
  energy *= by;
  root *= by;
  for (int64_t k = rows; k < EIGHT; k++) energy[k] = 0;
  for (int64_t k = 0; k < rows; k++) {
    float *to = p + (i + k) * (n + 1), *arc = t->arc + (i + k) * t->stride, x = by[k];
    int64_t j = 0;
    for (; j + EIGHT <= n; j += EIGHT) *at8(to + j) = *at8(arc + j) * x;
    for (; j < n; j++) to[j] = arc[j] * x;
    to[n] = root[k];
  }
  for (int k = 0; k < EIGHT; k++) *mean += (double)energy[k];
  return none8(&bad);
}

ALWAYS bool marginals(Single *t, float *p, double *z) {
  int64_t n = t->nodes;
  double mean = 0, log_z = 0;
  float highest, limit = (1 + 0.5F * sqrtf((float)n)) * 0x1p-24F * 1.5F / ERROR;
  bool fails = false;
  if (!place(t, &highest)) return false;
  for (int64_t i = 0; i < n; i++) fails |= !(t->pivot[i] > LEAST && t->pivot[i] < 1 / LEAST);
  if (fails) return false;
  for (int64_t i = 0; i < down(n); i += EIGHT)
    if (!rows_of_marginals(t, i, EIGHT, p, &mean, highest, limit)) return false;
  if (down(n) < n && !rows_of_marginals(t, down(n), n - down(n), p, &mean, highest, limit)) return false;
  for (int64_t i = 0; i < n; i++) log_z += plain_log((double)t->pivot[i]);
  z[0] = t->shift + log_z;
  z[1] = log_z - mean > 0 ? log_z - mean : 0;
  return true;
}

/* To single precision; false: some are no such numbers. */
ALWAYS bool narrow(const double *from, int64_t n, float *to) {
  int64_t others = 0;
  for (int64_t k = 0; k < n; k++) {
    to[k] = (float)from[k];
    others |= (double)to[k] != from[k];
  }
  return !others;
}

ALWAYS bool run(const double *local, int64_t nodes, bool one_root, double *p, double *z, double *work) {
  int64_t cells = nodes * (nodes + 1);
  float *in = (float *)(void *)work, *share = in + cells;
  if (!narrow(local, cells, in)) return false;
  work += cells;
  int64_t stride = (nodes + TWO) / TWO * TWO;
  float *at = (float *)(void *)(work + (EIGHT - (uintptr_t)work / sizeof *work % EIGHT) % EIGHT);
  Single t = {.nodes = nodes, .width = up(nodes), .wide = up(nodes + !one_root), .stride = stride, .one_root = one_root};
  t.less = at;
  t.arc = t.less + nodes * stride;
  t.a = t.arc + nodes * stride;
  t.via = t.a + nodes * stride;
  float **line[] = {&t.top, &t.root, &t.bias, &t.last, &t.pivot, &t.high, &t.scale, &t.own, &t.spare};
  for (int k = 0; k < 9; k++) *line[k] = t.via + (FOUR + k) * stride;
  if (!start(&t, in, false) && !start(&t, in, true)) return false;
  invert(&t);
  if (!marginals(&t, share, z)) return false;
  for (int64_t k = 0; k < cells; k++) p[k] = share[k];
  return true;
}

/* ---- one code for several processors -------------------------------------------------------------------------------- */

#define PROCESSOR(NAME, TARGET)                                                                                                 \
  TARGET static bool run_##NAME(const double *local, int64_t nodes, bool one_root, double *p, double *z, double *work) {           \
    return one_root ? run(local, nodes, true, p, z, work) : run(local, nodes, false, p, z, work);                               \
  }

PROCESSOR(any, )
#if defined __x86_64__ && defined __GNUC__
PROCESSOR(avx2, __attribute__((target("avx2"))))
PROCESSOR(avx512, FOR_512)
#endif

bool attn_rt_tree_single(const double *local, int64_t nodes, bool one_root, double *p, double *z, double *work) {
  if (nodes > MOST) return false;
#if defined __x86_64__ && defined __GNUC__
  if (has_512())
    return run_avx512(local, nodes, one_root, p, z, work);
  if (__builtin_cpu_supports("avx2")) return run_avx2(local, nodes, one_root, p, z, work);
#endif
  return run_any(local, nodes, one_root, p, z, work);
}
