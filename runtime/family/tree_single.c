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
 * Four nodes are closed at a time, in steps between rows that the four before are added to (single_close.h): what waits
 * for a division is not waited for.
 *
 * The closure takes in all nodes but the last column's, which is the root where there may be many of them, and the last
 * node where there is one root: then H is the closure, and with the arcs to the root r, h = H r, g the last node's row,
 * R = r_l + g r. */
#include "single_weights.h"
#include "tree_parts.h"

enum { LEAST_NODES = 3, MOST = 256, PIECES = 4 };
static const float SHARE = 0x1p-7F, LEAST = 1e-25F, ERROR = 2e-6F;

/* ---- the closure ------------------------------------------------------------------------------------------------- */

static const float ONE[2 * TWO] = {[TWO] = 1};

/* Of four vectors their sums. */
ALWAYS void sum_four_8(const F8 *x, float *to) {
  F8 a = LANES_8(x[0], x[1], 0, 8, 1, 9, 4, 12, 5, 13) + LANES_8(x[0], x[1], 2, 10, 3, 11, 6, 14, 7, 15);
  F8 b = LANES_8(x[2], x[3], 0, 8, 1, 9, 4, 12, 5, 13) + LANES_8(x[2], x[3], 2, 10, 3, 11, 6, 14, 7, 15);
  F8 c = LANES_8(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + LANES_8(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  c += LANES_8(c, c, 4, 5, 6, 7, 0, 1, 2, 3);
  memcpy(to, &c, FOUR * sizeof *to);
}

ALWAYS void sum_four_16(const F16 *x, float *to) {
  F8 half[FOUR];
  for (int m = 0; m < FOUR; m++)
    half[m] = LANES_8(x[m], x[m], PLACES_8) + LANES_8(x[m], x[m], 8, 9, 10, 11, 12, 13, 14, 15);
  sum_four_8(half, to);
}

/* Takes in the nodes k and k + 1 of four, k 0 or 2; the product of their pivots. */
ALWAYS float close_two(Single *t, int64_t k) {
  const float *x = t->close[k], *y = t->close[k + 1];
  float *rest = t->rest, s = rest[k], r = rest[k + 1];
  if (!k) s += x[2] + x[3], r += y[2] + y[3];
  float d = s + x[k + 1], e = r + y[k], pivots = d * r + s * y[k], by = 1 / pivots;
  I4 lane = {0, 1, 2, 3}, others = (I4)((lane & 2) != (I4){0} + (uint32_t)k), first = (I4){0} + ((uint32_t)k);
  F4 one_x = (F4)((I4)((F4){0} + 1) & (I4)(lane == first)), one_y = (F4)((I4)((F4){0} + 1) & (I4)(lane == first + 1));
  F4 px = (F4)((I4)*at4(x) & others) + one_x, py = (F4)((I4)*at4(y) & others) + one_y;
  F4 to_x = (px * e + py * x[k + 1]) * by, to_y = (px * y[k] + py * d) * by;
  UNROLLED(4) for (int64_t i = 0; i < FOUR; i++) {
    if (i == k || i == k + 1) continue;
    float *z = t->close[i], u = z[k], v = z[k + 1];
    if (!k) rest[i] += (u * (e * rest[0] + x[1] * rest[1]) + v * (y[0] * rest[0] + d * rest[1])) * by;
    *at4(z) = (F4)((I4)*at4(z) & others) + to_x * u + to_y * v;
  }
  *at4(x) = to_x, *at4(y) = to_y;
  return pivots;
}

#define SIZE 8
#include "single_close.h"
#undef SIZE
#define SIZE 16
#include "single_close.h"

/* ---- marginals --------------------------------------------------------------------------------------------------- */

/* One root: h, R, as a pivot, and what scales rows.  a's last row then is H's, 0.  False: out of bounds. */
ALWAYS bool place_root(Single *t, float *highest) {
  int64_t n = t->nodes, w = t->wide, l = n - 1;
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
  return !fails;
}

/* V_ji = high_j + own_i - (high_i + scale_i a_ji), many roots: own_i - a_ji, a at most high_i.  Behind the nodes a has
 * the last row. */
ALWAYS bool place(Single *t, float *highest) {
  int64_t n = t->nodes, w = up(n), step = t->stride + 1;
  *highest = 0;
  if (t->one_root && !place_root(t, highest)) return false;
  for (int64_t i = 0; i < n; i++) t->own[i] = t->a[i * step];
  for (int64_t i = 0; i < n; i++) t->a[i * step] = 0; /* nobody's arc; nothing is lost there */
  for (int64_t i = 0; t->one_root && i < n; i++) t->own[i] *= t->scale[i];
  for (int64_t i = n; i < w; i++) t->own[i] = 0;
  for (int64_t i = 0; !t->one_root && i < w; i += EIGHT) *at8(t->high + i) = (1 - SHARE) * *at8(t->own + i);
  for (int64_t i = n; i < w; i++) memcpy(t->a + i * t->stride, t->a + (n - 1) * t->stride, (size_t)w * sizeof *t->a);
  return true;
}

/* Eight columns of eight rows, as rows.  Loads reach four elements before and behind: halves are joined in place. */
ALWAYS void columns(const float *a, int64_t stride, F8 *to) {
  for (int l = 0; l < 4; l++) {
    const float *x = a + l * stride, *y = x + 4 * stride;
    to[l] = LANES_8(*at8(x), *at8(y - 4), 0, 1, 2, 3, 12, 13, 14, 15);
    to[l + 4] = LANES_8(*at8(x + 4), *at8(y), 0, 1, 2, 3, 12, 13, 14, 15);
  }
  for (int l = 0; l < EIGHT; l += 4) {
    F8 x = LANES_8(to[l], to[l + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    F8 y = LANES_8(to[l], to[l + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    F8 z = LANES_8(to[l + 2], to[l + 3], 0, 8, 1, 9, 4, 12, 5, 13);
    F8 u = LANES_8(to[l + 2], to[l + 3], 2, 10, 3, 11, 6, 14, 7, 15);
    to[l] = LANES_8(x, z, 0, 1, 8, 9, 4, 5, 12, 13);
    to[l + 1] = LANES_8(x, z, 2, 3, 10, 11, 6, 7, 14, 15);
    to[l + 2] = LANES_8(y, u, 0, 1, 8, 9, 4, 5, 12, 13);
    to[l + 3] = LANES_8(y, u, 2, 3, 10, 11, 6, 7, 14, 15);
  }
}

/* Marginals of rows i .. i + rows, at most EIGHT, and what they add to the mean log weight, and false where their
 * digits are not known. */
ALWAYS bool rows_of_marginals(Single *t, int64_t i, int64_t rows, float *p, F8 *mean, float highest, float limit) {
  int64_t n = t->nodes, w = up(n), stride = t->stride;
  const float *own = t->own + i, *most = t->high + i, *less = t->less + i * stride;
  float *arc = t->arc + i * stride;
  F8 sum[EIGHT] = {{0}}, e[EIGHT] = {{0}}, v[EIGHT];
  I8 bad = {0};
  for (int64_t j = 0; j < w; j += EIGHT) {
    columns(t->a + j * stride + i, stride, v);
    UNROLLED(8) for (int64_t k = 0; k < EIGHT; k++) {
      if (k == rows) break;
      F8 *to = at8(arc + k * stride + j), all = own[k] - (F8){0}, x;
      if (t->one_root) {
        all += *at8(t->high + j);
        x = all - (t->high[i + k] + t->scale[i + k] * v[k]);
        bad |= (I8)(x - SHARE * all);
      } else {
        x = all - v[k];
        bad |= (I8)(most[k] - v[k]);
      }
      x *= *to;
      *to = x;
      sum[k] += x;
      e[k] += x * *at8(less + k * stride + j);
    }
  }
  F8 root = *at8(t->root + i), root_weight = root, total, energy, largest;
  I8 there = (I8)((I8){PLACES_8} < (I8){0} + (uint32_t)rows);
  if (!t->one_root) root *= *at8(own);
  sum_eight(sum, &total);
  sum_eight(e, &energy);
  total += root;
  energy += root * *at8(t->top + i);
  for (int64_t k = 0; k < EIGHT; k++) v[k] = *at8(t->most + (i + (k < rows ? k : 0)) * EIGHT);
  most_eight(v, &largest);
  larger8(&largest, &largest, &root_weight);
  bad |= ~(I8)(largest * (*at8(own) + highest) * limit <= total) & there;
  float by[EIGHT], to_root[EIGHT];
  total = 1 / total;
  *at8(by) = total;
  *at8(to_root) = root * total;
  *mean += (F8)((I8)(energy * total) & there);
  for (int64_t k = 0; k < rows; k++, arc += stride) {
    float *to = p + (i + k) * (n + 1);
    F8 x = by[k] - (F8){0};
    int64_t j = 0;
    for (; j + EIGHT <= n; j += EIGHT) *at8(to + j) = *at8(arc + j) * x;
    for (; j < n; j++) to[j] = arc[j] * x[0];
    to[n] = to_root[k];
  }
  return unsigned8(&bad);
}

ALWAYS bool marginals(Single *t, float *p, double *z) {
  int64_t n = t->nodes, whole = down(n);
  double log_z = 0, mean;
  float highest, limit = (1 + 0.5F * sqrtf((float)n)) * 0x1p-24F / ERROR;
  F8 means = {0};
  I8 bad = {0};
  if (!place(t, &highest)) return false;
  for (int64_t i = 0; i < n; i += EIGHT) {
    F8 x = *at8(t->pivot + i);
    bad |= ~(I8)(x > LEAST) | ~(I8)(x < 1 / LEAST);
  }
  if (!none8(&bad)) return false;
  for (int64_t i = 0; i < whole; i += EIGHT)
    if (!rows_of_marginals(t, i, EIGHT, p, &means, highest, limit)) return false;
  if (whole < n && !rows_of_marginals(t, whole, n - whole, p, &means, highest, limit)) return false;
  for (int64_t i = 0; i < n;) { /* products of at most eight pivots are numbers */
    Vec product = (Vec){0} + 1;
    for (int k = 0; k < EIGHT && i < n; k++, i += EIGHT) product *= __builtin_convertvector(*at8(t->pivot + i), Vec);
    eight_log(&product, &product);
    log_z += eight_sum(&product);
  }
  Vec lanes = __builtin_convertvector(means, Vec);
  mean = eight_sum(&lanes);
  if (!(mean > -INFINITY && mean < INFINITY)) return false; /* a log weight is no number */
  z[0] = t->shift + log_z;
  z[1] = log_z - mean > 0 ? log_z - mean : 0;
  return true;
}

/* What a tree is computed in: rows of whole registers, in the room that `work` has. */
ALWAYS Single laid_out(int64_t nodes, bool one_root, bool sixteen, float *work) {
  int64_t stride = (nodes + TWO) / TWO * TWO;
  int64_t size = sixteen ? TWO : EIGHT;
  Single t = {.nodes = nodes,
              .wide = (nodes + !one_root + size - 1) / size * size,
              .stride = stride,
              .one_root = one_root,
              .sixteen = sixteen};
  t.less = work + (TWO - (uintptr_t)work / sizeof *work % TWO) % TWO;
  t.arc = t.less + nodes * stride;
  t.a = t.arc + nodes * stride;
  float **line[] = {&t.top, &t.root, &t.bias, &t.last, &t.pivot, &t.high, &t.scale, &t.own, &t.spare};
  t.most = t.a + up(nodes) * stride;
  for (int k = 0; k < 9; k++) *line[k] = t.most + nodes * EIGHT + k * stride;
  return t;
}

/* ---- one code for several processors ----------------------------------------------------------------------------- */

/* Functions, each with a tree of its own that compilers keep in registers: all as one took them minutes. */
#define PROCESSOR(NAME, TARGET, SIXTEEN)                                                                               \
  TARGET APART bool start_##NAME(const Single *tree, const float *local, bool gaps, double *shift) {                   \
    Single t = *tree;                                                                                                  \
    t.sixteen = SIXTEEN;                                                                                               \
    bool good = gaps ? start(&t, local, true) : start(&t, local, false);                                               \
    *shift = t.shift;                                                                                                  \
    return good;                                                                                                       \
  }                                                                                                                    \
  TARGET APART void invert_##NAME(const Single *tree) {                                                                \
    Single t = *tree;                                                                                                  \
    if (SIXTEEN) invert_16(&t);                                                                                        \
    else invert_8(&t);                                                                                                 \
  }                                                                                                                    \
  TARGET APART bool marginals_one_##NAME(const Single *tree, float *p, double *z) {                                    \
    Single t = *tree;                                                                                                  \
    t.one_root = true;                                                                                                 \
    return marginals(&t, p, z);                                                                                        \
  }                                                                                                                    \
  TARGET APART bool marginals_any_##NAME(const Single *tree, float *p, double *z) {                                    \
    Single t = *tree;                                                                                                  \
    t.one_root = false;                                                                                                \
    return marginals(&t, p, z);                                                                                        \
  }                                                                                                                    \
  static bool run_##NAME(const float *local, int64_t nodes, bool one_root, float *p, double *z, float *work) {         \
    Single t = laid_out(nodes, one_root, SIXTEEN, work);                                                               \
    if (!start_##NAME(&t, local, false, &t.shift) && !start_##NAME(&t, local, true, &t.shift)) return false;           \
    invert_##NAME(&t);                                                                                                 \
    return one_root ? marginals_one_##NAME(&t, p, z) : marginals_any_##NAME(&t, p, z);                                 \
  }

#if defined __x86_64__ && defined __GNUC__
PROCESSOR(avx2, __attribute__((target("avx2,fma"))), false)
PROCESSOR(avx512, FOR_512, true)
#else
PROCESSOR(any, , false)
#endif

bool attn_rt_tree_single(const float *local, int64_t nodes, bool one_root, float *p, double *z, double *work) {
  float *room = (float *)(void *)work;
  if (nodes < LEAST_NODES || nodes > MOST) return false;
#if defined __x86_64__ && defined __GNUC__
  if (has_512() && nodes >= TWO)
    return run_avx512(local, nodes, one_root, p, z, room);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return run_avx2(local, nodes, one_root, p, z, room);
  return false; /* double precision's vectors are as long as registers of 128 bits can use */
#else
  return run_any(local, nodes, one_root, p, z, room);
#endif
}
