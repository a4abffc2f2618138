/* tree_single: marginals from one inverse (tree_inverse.c) in single precision, where log weights and probabilities are
 * such numbers and enough of their digits is known to be left.
 *
 * The closure G adds, multiplies and divides numbers without a sign: an entry comes with a relative error about sqrt n
 * roundings u wide; here it is taken to be below delta = (1 + sqrt n / 2) u,  u = 2^-24 (tests/unit/test_family.c
 * measures it).  A marginal of node i is w_ij V_ji / S_i, w its weights, V = x - y >= 0 the one subtraction, S_i the
 * row's sum.  So it is off by delta x w_ij / S_i.  The tree is left to double precision where some node has delta
 * max(w) max(x) / S_i > ERROR,  or  V < SHARE x The second bounds the relative error of what is small: delta / SHARE.
 *
 * Weights are single_weights.h's, within e^RANGE of a number of the row.  Rows add only, all numbers lie within e^(3
 * RANGE) n^2 of 1, and log Z is a sum of logs of pivots in double precision.
 *
 * Four nodes are closed (four.h) step by step, each between rows that the four before are added to: what waits for a
 * division is not waited for.
 *
 * The closure takes in all nodes but the last column's, which is the root where there may be many of them, and the last
 * node where there is one root: then H is the closure, and with the arcs to the root r, h = H r, g the last node's row,
 * R = r_l + g r. */
#include "single_weights.h"
#include "tree_parts.h"

enum { LEAST_NODES = 3, MOST = 256, PIECES = FOUR + 1 };
static const float SHARE = 0x1p-7F, LEAST = 1e-25F, ERROR = 2e-6F;

/* ---- the closure ------------------------------------------------------------------------------------------------- */

/* Of four vectors their sums. */
ALWAYS void sum_four(const F8 *x, float *to) {
  F8 a = LANES_8(x[0], x[1], 0, 8, 2, 10, 4, 12, 6, 14) + LANES_8(x[0], x[1], 1, 9, 3, 11, 5, 13, 7, 15);
  F8 b = LANES_8(x[2], x[3], 0, 8, 2, 10, 4, 12, 6, 14) + LANES_8(x[2], x[3], 1, 9, 3, 11, 5, 13, 7, 15);
  F8 c = LANES_8(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + LANES_8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  c += LANES_8(c, c, 4, 5, 6, 7, 0, 1, 2, 3);
  memcpy(to, &c, FOUR * sizeof *to);
}

/* What closing the nodes lo .. lo + many starts from. */
ALWAYS void open_four(Single *t, int64_t lo, int64_t many) {
  int64_t w = t->wide, behind = down(lo + many);
  I8 later = (I8)((I8){PLACES_8} >= (I8){0} + (uint32_t)(lo + many - behind));
  F8 s[FOUR] = {{0}};
  float out[FOUR];
  memset(t->close, 0, sizeof t->close);
  UNROLLED(4) for (int64_t m = 0; m < FOUR; m++) {
    if (m == many) break;
    const float *row = t->a + (lo + m) * t->stride;
    if (behind < w) s[m] = (F8)((I8)*at8(row + behind) & later);
    for (int64_t j = behind + EIGHT; j < w; j += EIGHT) s[m] += *at8(row + j);
    memcpy(t->close + m * EIGHT, row + lo, (size_t)many * sizeof *row);
  }
  sum_four(s, out);
  for (int64_t m = 0; m < FOUR; m++) t->close[m * EIGHT + FOUR] = out[m];
}

ALWAYS void close_next(Single *t, int64_t lo, int64_t k) {
  F8 *row = at8(t->close);
  switch (k) {
  case 0: t->pivot[lo] = close_float(row, 0); break;
  case 1: t->pivot[lo + 1] = close_float(row, 1); break;
  case 2: t->pivot[lo + 2] = close_float(row, 2); break;
  case 3: t->pivot[lo + 3] = close_float(row, 3); break;
  }
}

/* Rows first .. last: what they have in the columns lo .. lo + FOUR times the FOUR rows x is added; before that,
 * columns whose `keep` is 0 become 0.  Columns of `twos` wide vectors and, tail, one more. */
ALWAYS void add_four(const Single *t, int64_t first, int64_t last, int64_t lo, float *const *x, int64_t column,
                     int twos, bool tail) {
  int64_t w = t->stride;
  float *to = t->a + first * w + column;
  const float *via = t->a + first * w + lo;
  F16 x0[4], x1[4], x2[4], x3[4];
  I16 keep[4];
  F8 y0, y1, y2, y3;
  I8 keep_y;
  for (int g = 0; g < twos; g++) {
    x0[g] = *at16(x[0] + column + g * TWO);
    x1[g] = *at16(x[1] + column + g * TWO);
    x2[g] = *at16(x[2] + column + g * TWO);
    x3[g] = *at16(x[3] + column + g * TWO);
    keep[g] = (I16)*at16(t->keep + column + g * TWO);
  }
  if (tail) {
    y0 = *at8(x[0] + column + twos * TWO);
    y1 = *at8(x[1] + column + twos * TWO);
    y2 = *at8(x[2] + column + twos * TWO);
    y3 = *at8(x[3] + column + twos * TWO);
    keep_y = (I8)*at8(t->keep + column + twos * TWO);
  }
  for (int64_t i = first; i < last; i++, to += w, via += w) {
    F16 v0 = (F16){0} + via[0], v1 = (F16){0} + via[1], v2 = (F16){0} + via[2], v3 = (F16){0} + via[3];
    for (int g = 0; g < twos; g++) {
      F16 old = (F16)((I16)*at16(to + g * TWO) & keep[g]);
      *at16(to + g * TWO) = old + v0 * x0[g] + v1 * x1[g] + v2 * x2[g] + v3 * x3[g];
    }
    if (tail) {
      F8 old = (F8)((I8)*at8(to + twos * TWO) & keep_y);
      F8 u0 = LANES_8(v0, v0, PLACES_8), u1 = LANES_8(v1, v1, PLACES_8), u2 = LANES_8(v2, v2, PLACES_8),
         u3 = LANES_8(v3, v3, PLACES_8);
      *at8(to + twos * TWO) = old + u0 * y0 + u1 * y1 + u2 * y2 + u3 * y3;
    }
  }
}

/* The same of `groups` vectors of eight, at most two: for registers of eight. */
ALWAYS void add_eights(const Single *t, int64_t first, int64_t last, int64_t lo, float *const *x, int64_t column,
                       int groups) {
  int64_t w = t->stride;
  float *to = t->a + first * w + column;
  const float *via = t->a + first * w + lo;
  F8 x0[2], x1[2], x2[2], x3[2];
  I8 keep[2];
  for (int g = 0; g < groups; g++) {
    x0[g] = *at8(x[0] + column + g * EIGHT);
    x1[g] = *at8(x[1] + column + g * EIGHT);
    x2[g] = *at8(x[2] + column + g * EIGHT);
    x3[g] = *at8(x[3] + column + g * EIGHT);
    keep[g] = (I8)*at8(t->keep + column + g * EIGHT);
  }
  for (int64_t i = first; i < last; i++, to += w, via += w) {
    float v0 = via[0], v1 = via[1], v2 = via[2], v3 = via[3];
    for (int g = 0; g < groups; g++) {
      F8 old = (F8)((I8)*at8(to + g * EIGHT) & keep[g]);
      *at8(to + g * EIGHT) = old + v0 * x0[g] + v1 * x1[g] + v2 * x2[g] + v3 * x3[g];
    }
  }
}

ALWAYS void add_rows_by_eights(const Single *t, int64_t first, int64_t last, int64_t lo, float *const *x) {
  int64_t own = lo / TWO, parts = (t->wide + TWO - 1) / TWO;
  for (int64_t k = 0; k < parts; k++) {
    int64_t part = k == parts - 1 ? own : k < own ? k : k + 1, column = part * TWO;
    if (column + TWO <= t->wide) add_eights(t, first, last, lo, x, column, 2);
    else add_eights(t, first, last, lo, x, column, 1);
  }
}

/* The same of all columns, those of lo last, since the others read them. */
ALWAYS void add_rows(const Single *t, int64_t first, int64_t last, int64_t lo, float *const *x) {
  int64_t groups = t->wide / EIGHT, parts = groups > 7 ? (groups - 2) / 6 : 0,
          own = lo / (6 * EIGHT) < parts ? lo / (6 * EIGHT) : parts;
  if (first == last) return;
  if (!t->sixteen) {
    add_rows_by_eights(t, first, last, lo, x);
    return;
  }
  for (int64_t k = 0; k <= parts; k++) {
    int64_t part = k == parts ? own : k < own ? k : k + 1, column = part * 6 * EIGHT;
    switch (part < parts ? 6 : groups - parts * 6) {
    case 1: add_four(t, first, last, lo, x, column, 0, true); break;
    case 2: add_four(t, first, last, lo, x, column, 1, false); break;
    case 3: add_four(t, first, last, lo, x, column, 1, true); break;
    case 4: add_four(t, first, last, lo, x, column, 2, false); break;
    case 5: add_four(t, first, last, lo, x, column, 2, true); break;
    case 6: add_four(t, first, last, lo, x, column, 3, false); break;
    case 7: add_four(t, first, last, lo, x, column, 3, true); break;
    }
  }
}

/* Rows of the nodes taken in become c times them; nodes that are missing have rows of 0. */
ALWAYS void express_four(Single *t, int64_t lo, int64_t many, float *const *x) {
  for (int64_t j = 0; j < t->wide; j += EIGHT) {
    F8 x0 = *at8(x[0] + j), x1 = *at8(x[1] + j), x2 = *at8(x[2] + j), x3 = *at8(x[3] + j);
    for (int64_t m = 0; m < FOUR; m++) {
      const float *c = t->close + m * EIGHT;
      *at8(x[m] + j) = (c[0] * x0 + c[1] * x1) + (c[2] * x2 + c[3] * x3);
    }
  }
  for (int64_t m = 0; m < many; m++)
    for (int64_t k = 0; k < many; k++) x[m][lo + k] = t->close[m * EIGHT + k];
}

/* The k-th piece of the rows that the nodes lo .. next are no part of: first the nodes taken in next, up to `last`,
 * then the others. */
ALWAYS void add_piece(const Single *t, int64_t k, int64_t lo, int64_t next, int64_t last, float *const *x) {
  int64_t others = t->nodes - (last - lo), from = k ? others * (k - 1) / FOUR : 0, to = k ? others * k / FOUR : 0;
  for (int half = 0; half < 2; half++) {
    int64_t low = from < lo ? from : lo, high = to < lo ? to : lo;
    if (half) low = (from > lo ? from : lo) + last - lo, high = (to > lo ? to : lo) + last - lo;
    else if (!k) low = next, high = last;
    if (low < high) add_rows(t, low, high, lo, x);
  }
}

/* The next nodes' rows first, so that what takes them in is computed while others wait for nothing. */
ALWAYS void invert(Single *t) {
  int64_t n = t->nodes, all = t->one_root ? n - 1 : n;
  for (int64_t i = 0; i < t->wide; i++) t->spare[i] = 0;
  memset(t->keep, 255, (size_t)t->wide * sizeof *t->keep);
  open_four(t, 0, at_most_four(all));
  for (int64_t k = 0; k < at_most_four(all); k++) close_next(t, 0, k);
  for (int64_t lo = 0; lo < all; lo += FOUR) {
    int64_t many = at_most_four(all - lo), next = lo + many, last = next + at_most_four(all - next);
    float *x[FOUR];
    for (int64_t m = 0; m < FOUR; m++) x[m] = m < many ? t->a + (lo + m) * t->stride : t->spare;
    express_four(t, lo, many, x);
    for (int64_t k = 0; k < many; k++) t->keep[lo + k] = 0;
    for (int64_t k = 0; k < PIECES; k++) {
      if (k && next + k - 1 < last) close_next(t, next, k - 1);
      add_piece(t, k, lo, next, last, x);
      if (!k && next < last) open_four(t, next, last - next);
    }
    memset(t->keep + lo, 255, (size_t)many * sizeof *t->keep);
  }
}

/* ---- marginals --------------------------------------------------------------------------------------------------- */

/* V_ji = high_j + scale_i own_i - (high_i + scale_i a_ji); R, as a pivot.  a's last row then is H's, 0.  False: out of
 * bounds. */
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
  for (int64_t i = 0; i < n; i++) t->a[i * (t->stride + 1)] = 0; /* nobody's arc; nothing is lost there */
  return true;
}

/* Marginals of rows i .. i + rows, at most EIGHT, and what they add to the mean log weight, and false where their
 * digits are not known. */
ALWAYS bool rows_of_marginals(Single *t, int64_t i, int64_t rows, float *p, double *mean, float highest, float limit) {
  int64_t n = t->nodes, w = t->width;
  F8 own = *at8(t->own + i), scale = *at8(t->scale + i), high = *at8(t->high + i), sum[EIGHT] = {{0}}, e[EIGHT] = {{0}},
     v[EIGHT];
  I8 bad = {0};
  for (int64_t j = 0; j < w; j += EIGHT) {
    for (int k = 0; k < EIGHT; k++) {
      int64_t row = j + k < n ? j + k : n - 1;
      F8 a = *at8(t->a + row * t->stride + i), all = own;
      if (t->one_root) all += t->high[row], a = high + scale * a;
      v[k] = all - a;
      bad |= (I8)(v[k] - SHARE * all);
    }
    transpose_float(v);
    UNROLLED(8) for (int64_t k = 0; k < rows; k++) {
      F8 *arc = at8(t->arc + (i + k) * t->stride + j), x = *arc * v[k];
      *arc = x;
      sum[k] += x;
      e[k] += x * *at8(t->less + (i + k) * t->stride + j);
    }
  }
  F8 root = *at8(t->root + i), root_weight = root, total, energy, largest;
  if (!t->one_root) root *= own;
  sum_eight(sum, &total);
  sum_eight(e, &energy);
  total += root;
  energy += root * *at8(t->top + i);
  for (int64_t k = 0; k < EIGHT; k++) v[k] = *at8(t->most + (i + (k < rows ? k : 0)) * EIGHT);
  most_eight(v, &largest);
  larger8(&largest, &largest, &root_weight);
  bad |= ~(I8)(largest * (own + highest) * limit <= total);
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
  return unsigned8(&bad);
}

ALWAYS bool marginals(Single *t, float *p, double *z) {
  int64_t n = t->nodes;
  double mean = 0, log_z = 0;
  float highest, limit = (1 + 0.5F * sqrtf((float)n)) * 0x1p-24F / ERROR;
  bool fails = false;
  if (!place(t, &highest)) return false;
  for (int64_t i = 0; i < n; i++) fails |= !(t->pivot[i] > LEAST && t->pivot[i] < 1 / LEAST);
  if (fails) return false;
  for (int64_t i = 0; i < down(n); i += EIGHT)
    if (!rows_of_marginals(t, i, EIGHT, p, &mean, highest, limit)) return false;
  if (down(n) < n && !rows_of_marginals(t, down(n), n - down(n), p, &mean, highest, limit)) return false;
  for (int64_t i = n; i < up(n); i++) t->pivot[i] = 1;
  for (int64_t i = 0; i < n;) { /* products of at most eight pivots are numbers */
    Vec product = (Vec){0} + 1;
    for (int k = 0; k < EIGHT && i < n; k++, i += EIGHT)
      for (int l = 0; l < EIGHT; l++) product[l] *= (double)t->pivot[i + l];
    eight_log(&product, &product);
    log_z += eight_sum(&product);
  }
  if (!(mean > -INFINITY && mean < INFINITY)) return false; /* a log weight is no number */
  z[0] = t->shift + log_z;
  z[1] = log_z - mean > 0 ? log_z - mean : 0;
  return true;
}

ALWAYS bool run(const float *local, int64_t nodes, bool one_root, bool sixteen, float *p, double *z, float *work) {
  int64_t stride = (nodes + TWO) / TWO * TWO;
  float *at = work + (TWO - (uintptr_t)work / sizeof *work % TWO) % TWO;
  Single t = {.nodes = nodes,
              .width = up(nodes),
              .wide = up(nodes + !one_root),
              .stride = stride,
              .one_root = one_root,
              .sixteen = sixteen};
  t.less = at;
  t.arc = t.less + nodes * stride;
  t.a = t.arc + nodes * stride;
  float **line[] = {&t.top, &t.root, &t.bias, &t.last, &t.pivot, &t.high, &t.scale, &t.own, &t.spare, &t.keep};
  t.most = t.a + nodes * stride;
  for (int k = 0; k < 10; k++) *line[k] = t.most + nodes * EIGHT + k * stride;
  if (!start(&t, local, false) && !start(&t, local, true)) return false;
  invert(&t);
  return marginals(&t, p, z);
}

/* ---- one code for several processors ----------------------------------------------------------------------------- */

#define PROCESSOR(NAME, TARGET, SIXTEEN)                                                                               \
  TARGET static bool run_##NAME(const float *local, int64_t nodes, bool one_root, float *p, double *z, float *work) {  \
    return one_root ? run(local, nodes, true, SIXTEEN, p, z, work) : run(local, nodes, false, SIXTEEN, p, z, work);    \
  }

PROCESSOR(any, , false)
#if defined __x86_64__ && defined __GNUC__
PROCESSOR(avx2, __attribute__((target("avx2,fma"))), false)
PROCESSOR(avx512, FOR_512, true)
#endif

bool attn_rt_tree_single(const float *local, int64_t nodes, bool one_root, float *p, double *z, double *work) {
  float *room = (float *)(void *)work;
  if (nodes < LEAST_NODES || nodes > MOST) return false;
#if defined __x86_64__ && defined __GNUC__
  if (has_512())
    return run_avx512(local, nodes, one_root, p, z, room);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return run_avx2(local, nodes, one_root, p, z, room);
#endif
  return run_any(local, nodes, one_root, p, z, room);
}
