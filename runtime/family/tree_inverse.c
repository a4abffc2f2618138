/* tree_inverse: the sums of tree.c from one inverse of the chain's matrix, n^3, where that is known to keep the digits.
 *
 * With L = diag(sum of row i) - A, A the arcs and r the arcs to the root, and G = L^-1, the chain from j comes to the
 * root before it comes to i with probability 1 - G_ji / G_ii, and so (Koo et al. 2007)
 *     P(i -> j) = a_ij (G_ii - G_ji),     P(i -> root) = r_i G_ii.
 * G is the closure of a matrix without a negative number, and comes without a subtraction.  Taking in node k:
 *     d = sum over j > k of a_kj, + r_k;   row k: a_kj / d, r_k / d, and 1 / d at k;
 *     other rows: a_i += a_ik row_k, with 0 for a_ik
 *
 * One root: r is of first order.  The last node l is left out; then H is the inverse without l, h = H r what the chain
 * pays at the root before it comes to l, H_jl = 1, g_i = sum over k of a_lk H_ki in l's row, R = r_l + sum over k of
 * a_lk h_k; before it comes to i the chain from j pays
 *     V_ji = h_j - h_i + R / g_i (H_ii - H_ji),     V_jl = h_j,     with h_l = H_li = 0;
 *     P(i -> j) ~ a_ij V_ji,     P(i -> root) ~ r_i.
 * Z is the product of the pivots, and of R.
 *
 * The one subtraction is V's.  Where what is left is below SHARE of what it is taken from, the tree goes to
 * tree_plain.c; so does one whose log weights differ by more than RANGE in a row.  Hence at most log2 1 / SHARE bits
 * are lost, and all numbers lie within e^(3 RANGE) n^2 of 1.
 *
 * FOUR nodes are taken in at once: their own rows one after another, then all others, in registers.  */
#include <string.h>

#include "four.h"
#include "tree_parts.h"

static const double RANGE = 100, SHARE = 0x1p-14, LEAST = 1e-200;

typedef struct Inverse {
  int64_t nodes, width; /* of rows: whole groups of EIGHT, zeros behind the nodes */
  bool one_root;
  double *less, *arc,
      *a; /* [nodes, width]: log weights relative to the row's largest, or 0; e to that, or 0; what is inverted */
  double *top, *root, *r;           /* [width]: the same of the arcs to the root */
  double *via;                      /* [nodes, FOUR]: see move_columns */
  double *pivot;                    /* [width]: 1 behind them */
  double *sum, *scale, *high, *mean, *spare; /* [width] */
  double close[FOUR * EIGHT];               /* see four.h */
  double shift;                     /* of log Z: the rows' largest */
} Inverse;

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Eight log weights from column j on; -inf at the node itself and behind the nodes. */
ALWAYS void eight_of_row(Vec *to, const double *x, int64_t i, int64_t j, int64_t n) {
  Vec none = (Vec){0} - INFINITY;
  double end[EIGHT] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
  if (j + EIGHT > n) memcpy(end, x + j, (size_t)(n - j) * sizeof *x);
  Vec v = *at(j + EIGHT > n ? end : x + j);
  Bits own = (Bits)((Bits){0, 1, 2, 3, 4, 5, 6, 7} == (Bits){0} + (uint64_t)(i - j));
  eight_choose(to, &own, &none, &v);
}

/* Row i of less, not yet relative, and its largest. */
ALWAYS double largest_of_row(Inverse *t, const double *x, int64_t i, Bits *bad) {
  int64_t n = t->nodes, w = t->width;
  Vec high = (Vec){0} + x[n], v;
  *bad |= ~(Bits)(high < INFINITY);
  for (int64_t j = 0; j < w; j += EIGHT) {
    eight_of_row(&v, x, i, j, n);
    *at(t->less + i * w + j) = v;
    eight_max(&high, &v, &high);
    *bad |= ~(Bits)(v < INFINITY);
  }
  return eight_most(&high);
}

/* Log weights x become relative to `most`, and e to that; where there is no weight both are 0. */
ALWAYS void relate(double *x, double most, double *e, Bits *bad) {
  Vec v = *at(x);
  Bits there = (Bits)(v > (Vec){0} - INFINITY);
  v = (Vec)((Bits)(v - most) & there);
  *bad |= (Bits)(v < -RANGE);
  *at(x) = v;
  eight_exp(&v, &v);
  *at(e) = (Vec)((Bits)v & there);
}

/* False: a weight is no number, the range too wide, or a node has no choice. */
ALWAYS bool start(Inverse *t, const double *local) {
  int64_t n = t->nodes, w = t->width;
  Bits bad = {0};
  t->shift = 0;
  for (int64_t i = n; i < w; i++) t->sum[i] = t->top[i] = 0;
  for (int64_t i = 0; i < n; i++) {
    t->sum[i] = largest_of_row(t, local + i * (n + 1), i, &bad);
    t->top[i] = local[i * (n + 1) + n];
  }
  for (int64_t i = 0; i < n; i++) t->shift += t->sum[i];
  if (!(t->shift > -INFINITY) || !eight_none(&bad)) return false;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i * w; j < i * w + w; j += EIGHT) {
      relate(t->less + j, t->sum[i], t->arc + j, &bad);
      *at(t->a + j) = *at(t->arc + j);
    }
  for (int64_t i = 0; i < w; i += EIGHT) {
    *at(t->top + i) -= *at(t->sum + i);
    relate(t->top + i, 0, t->root + i, &bad);
    *at(t->r + i) = *at(t->root + i);
  }
  return eight_none(&bad);
}

/* ---- the inverse ------------------------------------------------------------------------------------------------- */

/* How the nodes lo .. lo + many, at most FOUR, come to be expressed by all others, and their pivots. */
ALWAYS void close_nodes(Inverse *t, int64_t lo, int64_t many) {
  int64_t w = t->width, behind = down(lo + many);
  Bits later = (Bits)((Bits){0, 1, 2, 3, 4, 5, 6, 7} >= (Bits){0} + (uint64_t)(lo + many - behind));
  Vec c[FOUR] = {{0}};
  UNROLLED(4) for (int64_t m = 0; m < many; m++) {
    const double *row = t->a + (lo + m) * w;
    Vec s = {0};
    if (behind < w) s = (Vec)((Bits)*at(row + behind) & later);
    for (int64_t j = behind + EIGHT; j < w; j += EIGHT) s += *at(row + j);
    UNROLLED(4) for (int64_t k = 0; k < many; k++) c[m][k] = row[lo + k];
    c[m][FOUR] = eight_sum(&s) + (t->one_root ? 0 : t->r[lo + m]);
  }
  UNROLLED(4) for (int64_t k = 0; k < many; k++) t->pivot[lo + k] = close_double(c, k);
  memcpy(t->close, c, sizeof c);
}

ALWAYS void close_four(Inverse *t, int64_t lo, int64_t many) {
  if (many == FOUR) close_nodes(t, lo, FOUR);
  else close_nodes(t, lo, many);
}

/* Rows first .. last: plus via times the FOUR rows x, columns of `groups` vectors. */
ALWAYS void add_four(const Inverse *t, int64_t first, int64_t last, double *const *x, int64_t column, int groups) {
  int64_t w = t->width;
  const double *via = t->via + first * FOUR;
  double *to = t->a + first * w + column;
  Vec x0[5], x1[5], x2[5], x3[5];
  for (int g = 0; g < groups; g++) {
    x0[g] = *at(x[0] + column + g * EIGHT);
    x1[g] = *at(x[1] + column + g * EIGHT);
    x2[g] = *at(x[2] + column + g * EIGHT);
    x3[g] = *at(x[3] + column + g * EIGHT);
  }
  for (int64_t i = first; i < last; i++, to += w, via += FOUR)
    for (int g = 0; g < groups; g++)
      *at(to + g * EIGHT) += (via[0] * x0[g] + via[1] * x1[g]) + (via[2] * x2[g] + via[3] * x3[g]);
}

/* The same of all columns. */
ALWAYS void add_rows(const Inverse *t, int64_t first, int64_t last, double *const *x) {
  int64_t column = 0, left = t->width / EIGHT;
  for (; left > 5; left -= 4, column += 4 * EIGHT) add_four(t, first, last, x, column, 4);
  switch (left) {
  case 1: add_four(t, first, last, x, column, 1); break;
  case 2: add_four(t, first, last, x, column, 2); break;
  case 3: add_four(t, first, last, x, column, 3); break;
  case 4: add_four(t, first, last, x, column, 4); break;
  case 5: add_four(t, first, last, x, column, 5); break;
  }
}

/* via: what rows have in the columns of the nodes taken in, which become 0. */
ALWAYS void move_columns(Inverse *t, int64_t lo, int64_t many) {
  int64_t n = t->nodes, w = t->width;
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
ALWAYS void express_four(Inverse *t, int64_t lo, int64_t many, double *const *x) {
  double r[FOUR] = {0};
  for (int64_t m = 0; m < many; m++) r[m] = t->r[lo + m];
  for (int64_t j = 0; j < t->width; j += EIGHT) {
    Vec x0 = *at(x[0] + j), x1 = *at(x[1] + j), x2 = *at(x[2] + j), x3 = *at(x[3] + j);
    for (int64_t m = 0; m < FOUR; m++) {
      const double *c = t->close + m * EIGHT;
      *at(x[m] + j) = (c[0] * x0 + c[1] * x1) + (c[2] * x2 + c[3] * x3);
    }
  }
  for (int64_t m = 0; m < many; m++) {
    const double *c = t->close + m * EIGHT;
    t->r[lo + m] = (c[0] * r[0] + c[1] * r[1]) + (c[2] * r[2] + c[3] * r[3]);
    for (int64_t k = 0; k < many; k++) x[m][lo + k] = c[k];
  }
}

/* Rows first .. last come to know of the nodes taken in. */
ALWAYS void add_to(Inverse *t, int64_t first, int64_t last, int64_t lo, int64_t many, double *const *x) {
  double r[FOUR] = {0};
  for (int64_t m = 0; m < many; m++) r[m] = t->r[lo + m];
  add_rows(t, first, last, x);
  for (int64_t i = first; i < last; i++) {
    const double *via = t->via + i * FOUR;
    t->r[i] += (via[0] * r[0] + via[1] * r[1]) + (via[2] * r[2] + via[3] * r[3]);
  }
}

/* The next nodes' rows first, so that what takes them in is there before it is needed. */
ALWAYS void invert(Inverse *t) {
  int64_t n = t->nodes, all = t->one_root ? n - 1 : n;
  for (int64_t i = 0; i < t->width; i++) t->pivot[i] = 1;
  for (int64_t i = 0; i < t->width; i++) t->spare[i] = 0;
  close_four(t, 0, at_most_four(all));
  for (int64_t lo = 0; lo < all; lo += FOUR) {
    int64_t many = at_most_four(all - lo), next = lo + many, last = next + at_most_four(all - next);
    double *x[FOUR];
    for (int64_t m = 0; m < FOUR; m++) x[m] = m < many ? t->a + (lo + m) * t->width : t->spare;
    move_columns(t, lo, many);
    express_four(t, lo, many, x);
    const int64_t rows[][2] = {{next, last}, {0, lo}, {last, n}};
    UNROLLED(1) for (int k = 0; k < 3; k++) {
      add_to(t, rows[k][0], rows[k][1], lo, many, x);
      if (k == 0 && next < all) close_four(t, next, last - next);
    }
  }
}

/* ---- marginals --------------------------------------------------------------------------------------------------- */

/* What V is made of: high[i] = h_i, scale[i] the factor of H_ii - H_ji; a's last row then is H's, 0.  False: R out of
 * bounds. */
ALWAYS bool place(Inverse *t) {
  int64_t n = t->nodes, w = t->width, l = n - 1;
  for (int64_t i = 0; i < w; i++) t->high[i] = 0;
  for (int64_t i = 0; i < w; i++) t->scale[i] = i < n;
  if (!t->one_root) return true;
  double *g = t->a + l * w, all = t->r[l];
  for (int64_t i = 0; i < l; i++) t->scale[i] = all / g[i];
  for (int64_t i = 0; i < w; i++) g[i] = 0;
  t->scale[l] = 0;
  memcpy(t->high, t->r, (size_t)l * sizeof *t->high);
  t->pivot[l] = all;
  return all > LEAST && all < 1 / LEAST;
}

/* V of eight nodes i (from `i` on) for eight nodes j, lane i of to[j]; -1 where too little is left. */
ALWAYS void what_is_left(const Inverse *t, int64_t i, int64_t j, const Vec *own, Vec *to) {
  for (int l = 0; l < EIGHT; l++) {
    int64_t row = j + l < t->nodes ? j + l : t->nodes - 1;
    Vec s = *at(t->scale + i), all = t->high[row] + s * *own, less = (Vec){0} - 1;
    Vec v = all - (*at(t->high + i) + s * *at(t->a + row * t->width + i));
    Bits enough = (Bits)(v >= SHARE * all) & (Bits)(v > LEAST);
    eight_choose(&to[l], &enough, &v, &less);
  }
}

/* Of rows i .. i + rows, at most EIGHT, arc becomes the weights of choices, sum and mean of the log weight their sums.
 * False: too little left. */
ALWAYS bool choices_of_rows(Inverse *t, int64_t i, int64_t rows) {
  int64_t w = t->width;
  Vec own = {0}, sum[EIGHT] = {{0}}, mean[EIGHT] = {{0}}, v[EIGHT], zero = {0};
  Bits bad = {0};
  for (int64_t l = 0; l < rows; l++) own[l] = t->a[(i + l) * (w + 1)];
  for (int64_t j = 0; j < w; j += EIGHT) {
    what_is_left(t, i, j, &own, v);
    transpose_double(v);
    UNROLLED(8) for (int64_t l = 0; l < rows; l++) {
      Vec *arc = at(t->arc + (i + l) * w + j), p = *arc * v[l];
      Bits there = (Bits)(*arc > 0);
      bad |= (Bits)(p < 0);
      eight_choose(&p, &there, &p, &zero);
      *arc = p;
      sum[l] += p;
      mean[l] += p * *at(t->less + (i + l) * w + j);
    }
  }
  UNROLLED(8) for (int64_t l = 0; l < rows; l++) {
    double root = t->root[i + l] * (t->one_root ? 1 : own[l]);
    t->root[i + l] = root;
    t->sum[i + l] = eight_sum(&sum[l]) + root;
    t->mean[i + l] = eight_sum(&mean[l]) + root * t->top[i + l];
  }
  return eight_none(&bad);
}

ALWAYS bool choices_of_eight(Inverse *t, int64_t i) {
  return t->nodes - i < EIGHT ? choices_of_rows(t, i, t->nodes - i) : choices_of_rows(t, i, EIGHT);
}

/* log of x less `by`, n numbers. */
ALWAYS void logs_less(double *to, const double *x, int64_t n, double by) {
  Vec v;
  for (int64_t j = 0; j < down(n); j += EIGHT) {
    eight_log(&v, at(x + j));
    *at(to + j) = v - by;
  }
  if (down(n) == n) return;
  eight_log(&v, at(x + down(n)));
  v -= by;
  memcpy(to + down(n), &v, (size_t)(n - down(n)) * sizeof *to);
}

/* x times `by`, n numbers. */
ALWAYS void shares_of(double *to, const double *x, int64_t n, double by) {
  for (int64_t j = 0; j < down(n); j += EIGHT) *at(to + j) = *at(x + j) * by;
  for (int64_t j = down(n); j < n; j++) to[j] = x[j] * by;
}

ALWAYS void logs(Inverse *t, double *log_p) {
  int64_t n = t->nodes, w = t->width;
  for (int64_t i = n; i < w; i++) t->sum[i] = 1;
  for (int64_t i = 0; i < w; i += EIGHT) {
    eight_log(at(t->sum + i), at(t->sum + i));
    eight_log(at(t->root + i), at(t->root + i));
  }
  for (int64_t i = 0; i < n; i++) {
    logs_less(log_p + i * (n + 1), t->arc + i * w, n, t->sum[i]);
    log_p[i * (n + 1) + n] = t->root[i] - t->sum[i];
  }
}

ALWAYS bool marginals(Inverse *t, double *log_p, double *p, double *z) {
  int64_t n = t->nodes, w = t->width;
  double mean = 0, log_z = 0; /* less the shift, of any size: entropies keep their digits */
  if (!place(t)) return false;
  for (int64_t i = 0; i < n; i += EIGHT)
    if (!choices_of_eight(t, i)) return false;
  for (int64_t i = 0; i < n; i++) {
    if (!(t->sum[i] > LEAST && t->sum[i] < 1 / LEAST && t->pivot[i] > LEAST && t->pivot[i] < 1 / LEAST)) return false;
    mean += t->mean[i] / t->sum[i];
  }
  for (int64_t i = 0; i < w; i += EIGHT) eight_log(at(t->pivot + i), at(t->pivot + i));
  for (int64_t i = 0; i < n; i++) log_z += t->pivot[i];
  for (int64_t i = 0; p && i < n; i++) {
    shares_of(p + i * (n + 1), t->arc + i * w, n, 1 / t->sum[i]);
    p[i * (n + 1) + n] = t->root[i] / t->sum[i];
  }
  if (log_p) logs(t, log_p);
  z[0] = t->shift + log_z;
  z[1] = log_z - mean > 0 ? log_z - mean : 0;
  return true;
}

ALWAYS Inverse laid_out(int64_t nodes, bool one_root, double *work) {
  int64_t w = up(nodes), cells = nodes * w;
  work += (EIGHT - (uintptr_t)work / sizeof *work % EIGHT) %
          EIGHT; /* vectors that lie across two lines take twice the time */
  Inverse t = {
      .nodes = nodes, .width = w, .one_root = one_root, .less = work, .arc = work + cells, .a = work + 2 * cells};
  double **line[] = {&t.top, &t.root, &t.r, &t.pivot, &t.sum, &t.scale, &t.high, &t.mean, &t.spare, &t.via};
  for (int k = 0; k < 10; k++) *line[k] = work + 3 * cells + k * w;
  return t;
}

/* ---- one code for several processors ----------------------------------------------------------------------------- */

/* Functions, each with a tree of its own that compilers keep in registers: all as one took them minutes. */
#define PROCESSOR(NAME, TARGET)                                                                                        \
  TARGET APART bool start_##NAME(const Inverse *tree, const double *local, double *shift) {                            \
    Inverse t = *tree;                                                                                                 \
    bool good = start(&t, local);                                                                                      \
    *shift = t.shift;                                                                                                  \
    return good;                                                                                                       \
  }                                                                                                                    \
  TARGET APART void invert_##NAME(const Inverse *tree) {                                                               \
    Inverse t = *tree;                                                                                                 \
    invert(&t);                                                                                                        \
  }                                                                                                                    \
  TARGET APART bool marginals_##NAME(const Inverse *tree, double *log_p, double *p, double *z) {                       \
    Inverse t = *tree;                                                                                                 \
    return marginals(&t, log_p, p, z);                                                                                 \
  }                                                                                                                    \
  static bool run_##NAME(const double *local, int64_t nodes, bool one_root, double *log_p, double *p, double *z,       \
                         double *work) {                                                                               \
    Inverse t = laid_out(nodes, one_root, work);                                                                       \
    if (!start_##NAME(&t, local, &t.shift)) return false;                                                              \
    invert_##NAME(&t);                                                                                                 \
    return marginals_##NAME(&t, log_p, p, z);                                                                          \
  }

EACH_PROCESSOR

bool attn_rt_tree_inverse(const double *local, int64_t nodes, bool one_root, double *log_p, double *p, double *z,
                          double *work) {
  return ON_PROCESSOR(run, local, nodes, one_root, log_p, p, z, work);
}
