/* tree_draw_plain: a draw of an arborescence in plain doubles, where none of them can leave their range; see
 * tree_draw.c for its law, tree_plain.c for the range.
 *
 * Nodes are drawn by halves.  At a level all nodes are known to be fixed, gone, or one of its own, lo .. lo + size, and
 * row x says where the chain from x comes first: to which of those nodes, or to the root.  Its own nodes' rows are not
 * normalised, and what they have on the diagonal is not looked at.
 *
 *   the lower half is a level once the upper one's nodes are gone: eliminated with p_k, row k without its diagonal over
 *     its sum, every row gets row[k] p_k in place of row[k]
 *   the upper half is one once the lower one's arcs are known: the same with p_i, where the chain from i's target comes
 *   a level of one node i has q, the probabilities to come to the root before i:  P(i -> j) = a_ij q_j over their sum
 *
 * Elimination only adds, so no digit is lost.  One root: arcs to the root carry a factor t -> 0 (leading.h).  Until a
 * node takes the root what rows have there is the coefficient of t, and no part of a sum; from then on it is what comes
 * by way of that node, of order 0, and what was there before is nothing.
 *
 * Time: 2 nodes^3 multiply-adds, in vectors. */
#include <string.h>

#include "eight.h"
#include "tree_parts.h"

#define RANGE 300.0
static const double LOW = 1e-290, HIGH = 1e290;

typedef struct Level { int64_t lo, size, width; double *row; } Level; /* row: [nodes, width]; column `size`: the root */

typedef struct Draw Draw;
struct Draw {
  void (*descend)(Draw *, const Level *); /* of the processor at hand */
  int64_t nodes, width;
  bool one_root, fails;
  int64_t rooted; /* with one root, the node that has taken it; nodes: none yet */
  const double *weight, *u; /* weight: [nodes, width], of arcs, relative to the row's largest */
  int64_t *choice;
  double *p, *free; /* p: [width] */
};

static Level level_at(double *space, int64_t lo, int64_t size) { return (Level){lo, size, up(size + 1), space}; }

ALWAYS double sum_of(const double *x, int64_t n) {
  Vec s = *at(x);
  for (int64_t j = EIGHT; j < n; j += EIGHT) s += *at(x + j);
  return eight_sum(&s);
}

/* Is the root of a higher order than all else while `node` has its turn? */
ALWAYS bool is_before_root(const Draw *d, int64_t node) { return d->one_root && d->rooted > node; }

/* p: `from` without column k, over its sum. */
ALWAYS void without(Draw *d, const Level *l, const double *from, int64_t k, bool before_root) {
  double *p = d->p, root = from[l->size];
  memcpy(p, from, (size_t)l->width * sizeof *p);
  p[k] = 0;
  if (before_root) p[l->size] = 0;
  double sum = sum_of(p, l->width);
  if (!(sum > LOW && sum < HIGH)) d->fails = true;
  double by = 1 / sum;
  for (int64_t j = 0; j < l->width; j += EIGHT) *at(p + j) *= by;
  if (before_root) p[l->size] = root * by;
}

/* Node k of the level goes on to p. */
ALWAYS void take_out(const Draw *d, const Level *l, int64_t k) {
  double *row = l->row;
  for (int64_t x = 0; x < d->nodes; x++, row += l->width) {
    double via = row[k];
    if (via == 0) continue;
    for (int64_t j = 0; j < l->width; j += EIGHT) *at(row + j) += via * *at(d->p + j);
    row[k] = 0;
  }
  memcpy(l->row + (l->lo + k) * l->width, d->p, (size_t)l->width * sizeof *d->p);
}

/* p: where the chain from node i's target comes. */
ALWAYS void follow(Draw *d, const Level *l, int64_t i) {
  int64_t to = d->choice[l->lo + i];
  bool is_root = to == d->nodes, is_open = to > l->lo + i && to < l->lo + l->size;
  if (!is_root && !is_open) {
    without(d, l, l->row + to * l->width, i, is_before_root(d, l->lo + i));
    return;
  }
  memset(d->p, 0, (size_t)l->width * sizeof *d->p);
  d->p[is_root ? l->size : to - l->lo] = 1;
  for (int64_t x = 0; is_root && d->one_root && x < d->nodes; x++) l->row[x * l->width + l->size] = 0;
}

/* Nodes of a level, all others of it being out. */
ALWAYS void pack(const Draw *d, const Level *to, const Level *from) {
  int64_t first = to->lo - from->lo;
  for (int64_t x = 0; x < d->nodes; x++) {
    double *row = to->row + x * to->width;
    const double *old = from->row + x * from->width;
    for (int64_t j = 0; j < to->width; j++) row[j] = j < to->size ? old[first + j] : 0;
    row[to->size] = old[from->size];
  }
}

/* The last choice is taken where rounding leaves none. */
ALWAYS void choose(Draw *d, const Level *l) {
  int64_t i = l->lo, n = d->nodes, taken = -1;
  const double *a = d->weight + i * d->width;
  double root = d->one_root && d->rooted < n ? 0 : a[n], all = root, sum = 0;
  for (int64_t j = 0; j < n; j++) all += a[j] * l->row[j * l->width + 1];
  if (!(all > LOW && all < HIGH)) d->fails = true;
  for (int64_t j = 0; j <= n; j++) {
    double w = j < n ? a[j] * l->row[j * l->width + 1] : root;
    if (!(w > 0)) continue;
    taken = j;
    sum += w / all;
    if (d->u[2 * i] < sum) break;
  }
  if (taken < 0) d->fails = true;
  d->choice[i] = taken;
  if (d->one_root && taken == n) d->rooted = i;
}

ALWAYS void by_halves(Draw *d, const Level *l) {
  if (l->size == 1) {
    choose(d, l);
    return;
  }
  double *space = d->free;
  int64_t mid = l->size / 2, numbers = d->nodes * l->width;
  Level now = level_at(space, l->lo, l->size), half = level_at(space + numbers, l->lo, mid);
  memcpy(now.row, l->row, (size_t)numbers * sizeof *l->row);
  for (int64_t k = l->size; k-- > mid;) {
    without(d, &now, now.row + (l->lo + k) * l->width, k, is_before_root(d, l->lo));
    take_out(d, &now, k);
  }
  pack(d, &half, &now);
  d->free = half.row + d->nodes * half.width;
  d->descend(d, &half);
  if (d->fails) return;
  for (int64_t i = 0; i < mid; i++) {
    follow(d, l, i);
    take_out(d, l, i);
  }
  half = level_at(space, l->lo + mid, l->size - mid);
  pack(d, &half, l);
  d->free = half.row + d->nodes * half.width;
  if (!d->fails) d->descend(d, &half);
  d->free = space;
}

/* False: an arc without weight, or out of range. */
ALWAYS bool start(const Draw *d, const double *local, double *weight) {
  int64_t n = d->nodes;
  for (int64_t i = 0; i < n; i++) {
    const double *x = local + i * (n + 1);
    double *to = weight + i * d->width, max, min;
    for (int64_t j = 0; j <= n; j++) to[j] = x[j];
    to[i] = max = min = x[n];
    for (int64_t j = 0; j < n; j++) max = to[j] > max ? to[j] : max;
    for (int64_t j = 0; j < n; j++) min = to[j] < min ? to[j] : min;
    if (!(max - min <= RANGE)) return false;
    for (int64_t j = 0; j <= n; j++) to[j] = plain_exp(to[j] - max);
    for (int64_t j = n + 1; j < d->width; j++) to[j] = 0;
    to[i] = 0;
  }
  return true;
}

ALWAYS bool run(const double *local, int64_t nodes, bool one_root, const double *u, int64_t *choice, double *work,
                void (*descend)(Draw *, const Level *)) {
  int64_t w = up(nodes + 1);
  work += (EIGHT - (uintptr_t)work / sizeof *work % EIGHT) % EIGHT;
  Draw d = {.descend = descend, .nodes = nodes, .width = w, .one_root = one_root, .rooted = nodes, .u = u,
            .choice = choice, .weight = work, .p = work + nodes * w};
  if (!start(&d, local, work)) return false;
  Level all = level_at(d.p + w, 0, nodes);
  memcpy(all.row, work, (size_t)(nodes * w) * sizeof *work);
  d.free = all.row + nodes * w;
  descend(&d, &all);
  return !d.fails;
}

/* ---- one code for several processors ----------------------------------------------------------------------------- */

/* Additions and multiplications alone, each rounded: the bits do not depend on the processor. */
#define PROCESSOR(NAME, TARGET)                                                                                        \
  TARGET static void descend_##NAME(Draw *d, const Level *l) { by_halves(d, l); }                                      \
  TARGET static bool run_##NAME(const double *local, int64_t nodes, bool one_root, const double *u, int64_t *choice,   \
                                double *w) {                                                                           \
    return run(local, nodes, one_root, u, choice, w, descend_##NAME);                                                  \
  }

EACH_PROCESSOR

bool attn_rt_tree_draw_plain(const double *local, int64_t nodes, bool one_root, const double *u, int64_t *choice,
                             double *work) {
  return ON_PROCESSOR(run, local, nodes, one_root, u, choice, work);
}
