/* tree_plain: the sums of tree.c in plain doubles, where none of them can leave their range.
 *
 * With every row's weights relative to its largest, eliminations only add: what is left of a row is at least what it
 * was, and a probability at least e^-range / n, range the widest gap between two log weights of a row.  So where all
 * arcs have weight and the range is at most RANGE no product underflows.  Where some have none, paths stand in for
 * them: then the least number that is not 0 is watched.  In both cases a pivot, or a sum, out of bounds sends the tree
 * back to log space.
 *
 * One root: weights of roots carry a factor t (leading.h).  While a node has others to go to, its arc to the root is of
 * higher order than its pivot; only the last node's pivot is of first order.  So orders need not be carried.
 *
 * All loops run over whole groups of EIGHT: rows are padded, columns of nodes that are gone and the diagonal are kept
 * 0.  q of all nodes, seen from all others, is a matrix, Q[k, i], filled for the nodes i of one half side by side; of a
 * half with at most eight nodes, each is eliminated for each of them, side by side too. */
#include <string.h>

#include "eight.h"
#include "tree_parts.h"

#define RANGE 300.0
static const double LEAST = 1e-140, LOW = 1e-290, HIGH = 1e290;

typedef struct Plain Plain;
typedef struct Part Part;
struct Plain {
  void (*descend)(Plain *, const Part *, bool); /* of the processor at hand */
  int64_t nodes, width;   /* width: of a row of q */
  bool one_root, watched; /* watched: some arcs have no weight */
  double *q;              /* [width, width] */
  double *via;            /* [width]: a column */
  double *free;
  double log_z, least; /* log_z: less the rows' largest */
  bool fails;
};

/* Nodes lo .. lo + size, lo a multiple of EIGHT: arcs among them, in rows of `width`, and to the root. */
struct Part { int64_t lo, size, width; double *arc, *root; };

/* n: a multiple of EIGHT. */
ALWAYS double sum_of(const double *x, int64_t n) {
  Vec s = *at(x);
  for (int64_t j = EIGHT; j < n; j += EIGHT) s += *at(x + j);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Of every row of `to`: plus via[row] times x, in `groups` vectors that stay in registers. */
ALWAYS void add_to_rows(double *to, int64_t width, const double *via, const double *x, int64_t rows, int groups) {
  Vec x0 = *at(x), x1 = groups > 1 ? *at(x + EIGHT) : x0, x2 = groups > 2 ? *at(x + 2 * EIGHT) : x0,
      x3 = groups > 3 ? *at(x + 3 * EIGHT) : x0;
  for (int64_t i = 0; i < rows; i++, to += width) {
    *at(to) += via[i] * x0;
    if (groups > 1) *at(to + EIGHT) += via[i] * x1;
    if (groups > 2) *at(to + 2 * EIGHT) += via[i] * x2;
    if (groups > 3) *at(to + 3 * EIGHT) += via[i] * x3;
  }
}

ALWAYS double watch(double least, double x) { return x > 0 && x < least ? x : least; }

ALWAYS double least_of(const double *x, int64_t n, double least) {
  for (int64_t j = 0; j < n; j++) least = watch(least, x[j]);
  return least;
}

static Part part_at(double *space, int64_t lo, int64_t size) {
  return (Part){lo, size, up(size), space, space + up(size) * up(size)};
}

static int64_t part_space(int64_t size) { return up(size) * (up(size) + 1); }

/* Takes node k out: first .. last are the nodes that remain.  Row k becomes its probabilities. */
ALWAYS double eliminate(Plain *t, const Part *p, int64_t k, int64_t first, int64_t last) {
  int64_t from = down(first), n = up(last) - from;
  double *row = p->arc + k * p->width + from, d = sum_of(row, n);
  if (!t->one_root || first == last) d += p->root[k];
  if (!(d > LOW && d < HIGH)) t->fails = true;
  double by = 1 / d;
  for (int64_t j = 0; j < n; j++) row[j] *= by;
  p->root[k] *= by;
  if (t->watched) t->least = watch(least_of(row, n, t->least), p->root[k]);
  double *via = t->via, *to = p->arc + first * p->width + from;
  int64_t rows = last - first;
  for (int64_t i = 0; i < rows; i++) via[i] = p->arc[(first + i) * p->width + k];
  p->arc[k * p->width + k] = -1; /* takes column k out: a_ik - via is 0 */
  const double *x = row;
  for (; n >= 4 * EIGHT; n -= 4 * EIGHT, to += 4 * EIGHT, x += 4 * EIGHT) add_to_rows(to, p->width, via, x, rows, 4);
  if (n >= 3 * EIGHT) add_to_rows(to, p->width, via, x, rows, 3);
  else if (n >= 2 * EIGHT) add_to_rows(to, p->width, via, x, rows, 2);
  else if (n >= EIGHT) add_to_rows(to, p->width, via, x, rows, 1);
  p->arc[k * p->width + k] = 0;
  for (int64_t i = 0; i < rows; i++) p->arc[(first + i) * (p->width + 1)] = 0;
  for (int64_t i = 0; i < rows; i++) p->root[first + i] += via[i] * p->root[k];
  if (t->watched) t->least = least_of(via, rows, least_of(p->root + first, rows, t->least));
  return d;
}

/* to = r + sum over j of row[j] q[j], in `groups` vectors that stay in registers. */
ALWAYS void weigh(double *to, double r, const double *row, const double *q, int64_t width, int64_t n, int groups) {
  Vec s0 = (Vec){0} + r, s1 = s0, s2 = s0, s3 = s0;
  for (int64_t j = 0; j < n; j++, q += width) {
    s0 += row[j] * *at(q);
    if (groups > 1) s1 += row[j] * *at(q + EIGHT);
    if (groups > 2) s2 += row[j] * *at(q + 2 * EIGHT);
    if (groups > 3) s3 += row[j] * *at(q + 3 * EIGHT);
  }
  *at(to) = s0;
  if (groups > 1) *at(to + EIGHT) = s1;
  if (groups > 2) *at(to + 2 * EIGHT) = s2;
  if (groups > 3) *at(to + 3 * EIGHT) = s3;
}

/* Q of a node that is gone, for `many` nodes from `half` on. */
ALWAYS void come_back(Plain *t, const Part *p, int64_t k, int64_t first, int64_t last, int64_t half, int64_t many) {
  double *to = t->q + (p->lo + k) * t->width + half, r = p->root[k];
  const double *row = p->arc + k * p->width + first, *q = t->q + (p->lo + first) * t->width + half;
  for (; many >= 4 * EIGHT; many -= 4 * EIGHT, to += 4 * EIGHT, q += 4 * EIGHT)
    weigh(to, r, row, q, t->width, last - first, 4);
  if (many >= 3 * EIGHT) weigh(to, r, row, q, t->width, last - first, 3);
  else if (many >= 2 * EIGHT) weigh(to, r, row, q, t->width, last - first, 2);
  else if (many >= EIGHT) weigh(to, r, row, q, t->width, last - first, 1);
}

ALWAYS void copy_part(const Part *to, const Part *from, int64_t lo) {
  for (int64_t i = 0; i < to->size; i++) {
    memcpy(to->arc + i * to->width, from->arc + (lo + i) * from->width + lo, (size_t)to->width * sizeof *to->arc);
    to->root[i] = from->root[lo + i];
  }
}

/* At most eight nodes: lane i takes out all but node i, in their order.  `own` is the arc to the lane's node, which in
 * `a`, between those that are taken out, is not there.  top: see by_halves. */
ALWAYS void lanes(Plain *t, const Part *p, bool top) {
  Vec a[EIGHT][EIGHT], own[EIGHT], r[EIGHT] = {{0}}, large = {0}, small = {0};
  int64_t n = p->size;
  for (int64_t i = 0; i < n; i++) {
    r[i] = (Vec){0} + p->root[i];
    own[i] = *at(p->arc + i * p->width);
    for (int64_t j = 0; j < n; j++) {
      a[i][j] = (Vec){0} + p->arc[i * p->width + j];
      a[i][j][j] = 0;
    }
  }
  for (int64_t k = 0; k < n; k++) {
    Vec d = own[k];
    if (!t->one_root) d += r[k]; /* there is always somewhere else to go: the lane's node */
    for (int64_t j = k + 1; j < n; j++) d += a[k][j];
    d[k] = 1;
    for (int l = (int)n; l < EIGHT; l++) d[l] = 1;
    if (top && k) t->log_z += log(d[0]); /* of the first lane all pivots but the last, its own */
    Vec by = 1 / d;
    large += d;
    small += by;
    for (int64_t j = k + 1; j < n; j++) a[k][j] *= by;
    own[k] *= by;
    r[k] *= by;
    for (int64_t i = top && k ? 0 : k + 1; i < n; i = i ? i + 1 : k + 1) {
      Vec via = a[i][k];
      if (i < k) via = (Vec){via[0]}; /* node 0 is gone but in its own lane */
      for (int64_t j = k + 1; j < n; j++) a[i][j] += via * a[k][j];
      if (i > k) a[i][i] = (Vec){0};
      own[i] += via * own[k];
      r[i] += via * r[k];
      for (int l = 0; t->watched && l < EIGHT; l++)
        t->least = watch(watch(watch(t->least, via[l]), r[i][l]), own[i][l]);
    }
    for (int64_t j = k + 1; t->watched && j < n; j++)
      for (int l = 0; l < EIGHT; l++) t->least = watch(t->least, a[k][j][l]);
  }
  for (int l = 0; l < EIGHT; l++) t->fails |= !(large[l] < HIGH && small[l] < HIGH);
  if (top) { /* its own: all that is left is the root */
    t->fails |= !(r[0][0] > LOW && r[0][0] < HIGH);
    t->log_z += log(r[0][0]);
  }
  for (int64_t k = n; k-- > 0;) {
    Vec q = r[k];
    for (int64_t j = k + 1; j < n; j++) q += a[k][j] * *at(t->q + (p->lo + j) * t->width + p->lo);
    q[k] = 0;
    *at(t->q + (p->lo + k) * t->width + p->lo) = q;
  }
}

/* top: it is the way to the first node, along which Z is collected. */
ALWAYS void by_halves(Plain *t, const Part *base, bool top) {
  int64_t size = base->size, mid = up(size / 2 - 3);
  if (size <= EIGHT) {
    lanes(t, base, top);
    return;
  }
  double *space = t->free;
  Part now = part_at(space, base->lo, size);
  for (int upper = 1; upper >= 0; upper--) {
    int64_t gone = upper ? size - mid : mid, lo = upper ? 0 : mid, many = size - gone;
    Part rest = part_at(space + part_space(size), base->lo + lo, many);
    copy_part(&now, base, 0);
    for (int64_t s = 0; s < gone; s++) {
      double d = upper ? eliminate(t, &now, size - 1 - s, 0, size - 1 - s) : eliminate(t, &now, s, s + 1, size);
      if (top && upper) t->log_z += log(d);
    }
    copy_part(&rest, &now, lo);
    t->free = rest.arc + part_space(many);
    t->descend(t, &rest, top && upper);
    for (int64_t s = gone; s-- > 0;)
      if (upper) come_back(t, &now, size - 1 - s, 0, size - 1 - s, base->lo + lo, up(many));
      else come_back(t, &now, s, s + 1, size, base->lo + lo, up(many));
  }
  t->free = space;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* less[j, i]: log weights relative to the row's largest, transposed; arcs: e to that; *sum: of the largest.  False: a
 * row without weight, or out of range. */
ALWAYS bool start(Plain *t, const double *local, const Part *all, double *less, double *top, double *sum) {
  int64_t n = t->nodes, w = t->width;
  double shift = 0;
  for (int64_t i = 0; i < n; i++) {
    const double *x = local + i * (n + 1);
    double max = x[n], min = x[n], *arc = all->arc + i * w;
    for (int64_t j = 0; j < n; j++) arc[j] = x[j];
    arc[i] = x[n];
    for (int64_t j = 0; j < n; j++) max = arc[j] > max ? arc[j] : max;
    for (int64_t j = 0; j < n; j++) min = arc[j] < min ? arc[j] : min;
    if (min == -INFINITY) {
      t->watched = true;
      min = max;
      for (int64_t j = 0; j < n; j++) min = arc[j] < min && arc[j] > -INFINITY ? arc[j] : min;
      min = x[n] < min && x[n] > -INFINITY ? x[n] : min;
    }
    if (!(max - min <= RANGE)) return false;
    for (int64_t j = 0; j < n; j++) less[j * w + i] = x[j] - max;
    for (int64_t j = 0; j < n; j++) arc[j] = plain_exp(x[j] - max);
    for (int64_t j = n; j < w; j++) arc[j] = 0;
    arc[i] = 0;
    less[i * w + i] = -INFINITY;
    top[i] = x[n] - max;
    shift += max;
  }
  for (int64_t i = 0; i < n; i++) all->root[i] = plain_exp(top[i]);
  *sum = shift;
  return true;
}

/* P(i -> j) = a_ij Q_ji over their sum. */
ALWAYS double marginals(Plain *t, const Part *all, const double *less, const double *top, double *log_p, double *sum,
                        double *mean) {
  int64_t n = t->nodes, w = t->width;
  for (int64_t i = 0; i < n; i++) sum[i] = all->root[i];
  for (int64_t i = 0; i < n; i++) mean[i] = top[i] > -INFINITY ? all->root[i] * top[i] : 0;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++) {
      double x = less[j * w + i], p = plain_exp(x) * t->q[j * w + i];
      sum[i] += p;
      mean[i] += p > 0 ? p * x : 0;
      t->q[j * w + i] = p;
    }
  double all_mean = 0;
  for (int64_t i = 0; i < n; i++) t->fails |= !(sum[i] > LOW && sum[i] < HIGH);
  for (int64_t i = 0; i < n; i++) all_mean += mean[i] / sum[i];
  for (int64_t i = 0; i < n; i++) sum[i] = plain_log(sum[i]);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++) t->q[j * w + i] = plain_log(t->q[j * w + i]) - sum[i];
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) log_p[i * (n + 1) + j] = t->q[j * w + i];
    log_p[i * (n + 1) + n] = plain_log(all->root[i]) - sum[i];
  }
  return all_mean;
}

ALWAYS bool run(const double *local, int64_t nodes, bool one_root, double *log_p, double *z, double *work,
                void (*descend)(Plain *, const Part *, bool)) {
  int64_t w = up(nodes);
  work += (EIGHT - (uintptr_t)work / sizeof *work % EIGHT) %
          EIGHT; /* vectors that lie across two lines take twice the time */
  Plain t = {.descend = descend, .nodes = nodes, .width = w, .one_root = one_root, .q = work, .least = 1};
  double *less = work + w * w, *top = less + w * w, *sum = top + w, *mean = sum + w;
  t.via = mean + w;
  Part all = part_at(t.via + w, 0, nodes);
  t.free = all.arc + part_space(nodes);
  double shift;
  if (!start(&t, local, &all, less, top, &shift)) return false;
  descend(&t, &all, true);
  if (t.fails || t.least < LEAST) return false;
  double e = marginals(&t, &all, less, top, log_p, sum, mean);
  z[0] = shift + t.log_z;
  z[1] = t.log_z - e > 0 ? t.log_z - e : 0;
  return !t.fails;
}

/* ---- one code for several processors ----------------------------------------------------------------------------- */

/* Additions and multiplications alone, each rounded: the bits do not depend on the processor. */
#define PROCESSOR(NAME, TARGET)                                                                                        \
  TARGET static void descend_##NAME(Plain *t, const Part *base, bool top) { by_halves(t, base, top); }                 \
  TARGET static bool run_##NAME(const double *local, int64_t nodes, bool one_root, double *log_p, double *z,           \
                                double *w) {                                                                           \
    return run(local, nodes, one_root, log_p, z, w, descend_##NAME);                                                   \
  }

EACH_PROCESSOR

bool attn_rt_tree_plain(const double *local, int64_t nodes, bool one_root, double *log_p, double *z, double *work) {
  return ON_PROCESSOR(run, local, nodes, one_root, log_p, z, work);
}
