/* tree: sums over arborescences, without a subtraction.
 *
 * The matrix-tree theorem (Tutte 1948; Koo et al. 2007 for dependency trees) gives the sum as the determinant of the
 * Laplacian; elimination of its rows is that of states of a Markov chain, and by Grassmann, Taksar & Heyman 1985 the
 * pivot, a diagonal element, is the sum of what the row still has off the diagonal and to the root: it is never
 * subtracted, so no digit is lost at any scores.
 *
 *   eliminate k:   d_k = sum_j a_kj + r_k,   p_k = (a_k, r_k) / d_k,   a_ij += a_ik p_kj,   r_i += a_ik p_kr
 *   Z            = product of the pivots
 *   P(i -> j)    = a_ij q_j / sum_l a_il q_l,  q_j the probability that the chain from j comes to the root before it
 * comes to i (Wilson 1996: a node's arc is where the chain leaves it for the last time): with all but i eliminated, q
 * follows from the p backwards, q_k = sum_l p_kl q_l Eliminations are shared by halving: the first half of the nodes is
 * eliminated for all nodes of the second, and the other way round.
 *
 * One root: arcs to the root carry a factor t, and of every sum only the leading term for t -> 0 counts (leading.h);
 * the trees with one root are the coefficient of t^1.
 *
 * Time: 1.5 n^3 additions in log space, or, where their range allows it, of plain numbers (tree_plain.c); where few
 * digits would be lost by one subtraction, n^3 (tree_inverse.c; in single precision tree_single.c). */
#include <stddef.h>
#include <string.h>

#include "family.h"
#include "leading.h"
#include "tree_parts.h"

/* ---- elimination ------------------------------------------------------------------------------------------------- */

Leading attn_rt_tree_eliminate(Leading *a, int64_t stride, int64_t k, const int64_t *rest, int64_t n) {
  Leading *row = a + k * stride;
  LeadingSum s = leading_sum_of_none();
  for (int64_t j = 0; j <= n; j++) leading_sum_look(&s, row[rest[j]]);
  for (int64_t j = 0; j <= n; j++) leading_sum_add(&s, row[rest[j]]);
  Leading d = leading_sum_end(&s);
  if (leading_is_zero(d)) return d;
  for (int64_t j = 0; j <= n; j++)
    if (!leading_is_zero(row[rest[j]])) row[rest[j]] = leading_div(row[rest[j]], d);
  for (int64_t x = 0; x < n; x++) {
    Leading *to = a + rest[x] * stride, via = to[k];
    if (leading_is_zero(via)) continue;
    for (int64_t j = 0; j <= n; j++)
      if (j != x && !leading_is_zero(row[rest[j]]))
        to[rest[j]] = leading_add(to[rest[j]], leading_mul(via, row[rest[j]]));
  }
  return d;
}

/* ---- marginals --------------------------------------------------------------------------------------------------- */

/* Nodes lo .. hi, and what is left of the chain among them, once when they are entered (`base`) and once while one half
 * is eliminated (`now`): rows and columns are nodes less lo, the last column is the root. */
typedef struct Level { int64_t lo, mid, hi; bool upper; Leading *base, *now; } Level;

enum { LEVELS = 64 };

typedef struct Tree {
  int64_t nodes;
  bool one_root;
  const double *local;
  double *log_p;
  Leading *free; /* unused work */
  Leading *q;    /* [nodes + 1] */
  Level level[LEVELS];
  int depth;
  double log_z;
  int64_t order; /* of Z in t */
} Tree;

/* What is left to a node when those in front of it in its half are gone: nodes of the level, then the root. */
static int64_t rest_of(const Level *l, int64_t k, int64_t *rest) {
  int64_t n = 0, size = l->hi - l->lo, half = l->mid - l->lo;
  for (int64_t j = l->upper ? 0 : k + 1; j < (l->upper ? half : size); j++) rest[n++] = j;
  for (int64_t j = k + 1; l->upper && j < size; j++) rest[n++] = j;
  rest[n] = size;
  return n;
}

/* The half that is eliminated at a level: the lower one, or the upper one. */
static int64_t gone_from(const Level *l) { return l->upper ? l->mid - l->lo : 0; }
static int64_t gone_to(const Level *l) { return l->upper ? l->hi - l->lo : l->mid - l->lo; }

static void eliminate_half(Tree *t, Level *l, bool count, int64_t *rest) {
  int64_t size = l->hi - l->lo;
  memcpy(l->now, l->base, (size_t)(size * (size + 1)) * sizeof *l->now);
  for (int64_t k = gone_from(l); k < gone_to(l); k++) {
    Leading d = attn_rt_tree_eliminate(l->now, size + 1, k, rest, rest_of(l, k, rest));
    if (!count) continue;
    t->log_z += d.log;
    t->order += d.order;
  }
}

/* q of all nodes, seen from the node of the innermost level. */
static void come_to_root(Tree *t, int64_t node, int64_t *rest) {
  Leading *q = t->q;
  q[node] = (Leading){-INFINITY, 0};
  q[t->nodes] = (Leading){0, 0};
  for (int d = t->depth; d-- > 0;) {
    const Level *l = &t->level[d];
    int64_t size = l->hi - l->lo;
    for (int64_t k = gone_to(l); k-- > gone_from(l);) {
      int64_t n = rest_of(l, k, rest);
      const Leading *row = l->now + k * (size + 1);
      LeadingSum s = leading_sum_of_none();
      for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j <= n; j++) {
          Leading x = leading_mul(row[rest[j]], q[rest[j] == size ? t->nodes : l->lo + rest[j]]);
          if (pass) leading_sum_add(&s, x);
          else leading_sum_look(&s, x);
        }
      q[l->lo + k] = leading_sum_end(&s);
    }
  }
}

static Leading arc(const Tree *t, int64_t i, int64_t j) {
  return (Leading){i == j ? -INFINITY : t->local[i * (t->nodes + 1) + j], j == t->nodes && t->one_root};
}

void attn_rt_tree_choose(const double *local, int64_t nodes, bool one_root, int64_t i, const Leading *q,
                         double *log_p) {
  const Tree t = {.nodes = nodes, .one_root = one_root, .local = local};
  LeadingSum s = leading_sum_of_none();
  for (int64_t j = 0; j <= nodes; j++) leading_sum_look(&s, leading_mul(arc(&t, i, j), q[j]));
  for (int64_t j = 0; j <= nodes; j++) leading_sum_add(&s, leading_mul(arc(&t, i, j), q[j]));
  Leading sum = leading_sum_end(&s);
  for (int64_t j = 0; j <= nodes; j++) {
    Leading x = leading_mul(arc(&t, i, j), q[j]);
    log_p[j] = !leading_is_zero(x) && x.order == sum.order ? x.log - sum.log : -INFINITY;
  }
}

/* All others are eliminated: what is left of the node is its arc to the root. */
static void leaf(Tree *t, const Level *l, bool count, int64_t *rest) {
  if (count) {
    t->log_z += l->base[1].log;
    t->order += l->base[1].order;
  }
  come_to_root(t, l->lo, rest);
  attn_rt_tree_choose(t->local, t->nodes, t->one_root, l->lo, t->q, t->log_p + l->lo * (t->nodes + 1));
}

/* The half that is not eliminated becomes a level of its own. */
static Level inner(Tree *t, const Level *l) {
  int64_t lo = l->upper ? l->lo : l->mid, hi = l->upper ? l->mid : l->hi, size = hi - lo, width = l->hi - l->lo + 1;
  Level in = {.lo = lo, .mid = lo + size / 2, .hi = hi, .base = t->free, .now = t->free + size * (size + 1)};
  for (int64_t i = 0; i < size; i++) {
    const Leading *from = l->now + (lo - l->lo + i) * width;
    memcpy(in.base + i * (size + 1), from + (lo - l->lo), (size_t)size * sizeof *from);
    in.base[i * (size + 1) + size] = from[width - 1];
  }
  return in;
}

/* first: it is the way to the first node, along which Z is collected. */
static void descend(Tree *t, Level l, bool first, int64_t *rest) {
  int64_t size = l.hi - l.lo;
  if (size == 1) {
    leaf(t, &l, first, rest);
    return;
  }
  Leading *back = t->free;
  t->free += 2 * size * (size + 1);
  for (int upper = 1; upper >= 0; upper--) {
    l.upper = upper;
    eliminate_half(t, &l, first && upper, rest);
    t->level[t->depth++] = l;
    descend(t, inner(t, &l), first && upper, rest);
    t->depth--;
  }
  t->free = back;
}

/* ---- the face ---------------------------------------------------------------------------------------------------- */

bool attn_rt_tree_is_spoilt(const double *local, int64_t nodes) {
  for (int64_t i = 0; i < nodes; i++)
    for (int64_t j = 0; j <= nodes; j++) {
      double x = local[i * (nodes + 1) + j];
      if (i != j && (isnan(x) || x == INFINITY)) return true;
    }
  return false;
}

static double largest_arc(const Tree *t, int64_t i) {
  double max = -INFINITY;
  for (int64_t j = 0; j <= t->nodes; j++) max = fmax(max, arc(t, i, j).log);
  return max > -INFINITY ? max : 0;
}

double attn_rt_tree_start(const double *local, int64_t nodes, bool one_root, Leading *to) {
  const Tree t = {.nodes = nodes, .one_root = one_root, .local = local};
  double shift = 0;
  for (int64_t i = 0; i < nodes; i++) {
    double max = largest_arc(&t, i);
    shift += max;
    for (int64_t j = 0; j <= nodes; j++) to[i * (nodes + 1) + j] = leading_div(arc(&t, i, j), (Leading){max, 0});
  }
  return shift;
}

static void fill(double *to, int64_t n, double x) {
  for (int64_t i = 0; i < n; i++) to[i] = x;
}

/* H = log Z - E[log weight], both relative to each row's largest log weight; but no more than the rows' own entropies
 * add up to, which is all that is known where these have no digits left. */
static void entropy(const Tree *t, double *z) {
  double mean = 0, most = 0;
  for (int64_t i = 0; i < t->nodes; i++) {
    const double *x = t->local + i * (t->nodes + 1), *p = t->log_p + i * (t->nodes + 1);
    double max = -INFINITY;
    for (int64_t j = 0; j <= t->nodes; j++)
      if (j != i && x[j] > max) max = x[j];
    for (int64_t j = 0; j <= t->nodes; j++)
      if (p[j] > -INFINITY) mean += exp(p[j]) * (x[j] - max), most -= exp(p[j]) * p[j];
  }
  z[1] = fmin(t->log_z - mean, most);
  if (!(z[1] > 0)) z[1] = 0;
}

/* In logs alone. */
static void sum_in_logs(Tree *t, double *z, double *work) {
  int64_t cells = t->nodes * (t->nodes + 1), *rest = (int64_t *)(void *)work;
  t->q = (Leading *)(void *)(work + t->nodes + 2);
  t->free = t->q + t->nodes + 1;
  Level top = {.lo = 0, .mid = t->nodes / 2, .hi = t->nodes, .base = t->free, .now = t->free + cells};
  double shift = attn_rt_tree_start(t->local, t->nodes, t->one_root, top.base);
  descend(t, top, true, rest);
  z[0] = t->order == t->one_root ? shift + t->log_z : -INFINITY;
  z[1] = 0;
  if (z[0] == -INFINITY) fill(t->log_p, cells, -INFINITY);
  else entropy(t, z);
}

/* log_p, p: NULL where not asked for. */
static void sum(const int64_t *n, const double *local, double *log_p, double *p, double *z, double *work) {
  Tree t = {.nodes = n[0], .one_root = n[1], .local = local, .log_p = log_p ? log_p : p};
  int64_t cells = t.nodes * (t.nodes + 1);
  z[0] = z[1] = 0;
  if (t.nodes <= 0 || attn_rt_tree_inverse(local, t.nodes, t.one_root, log_p, p, z, work)) return;
  if (attn_rt_tree_is_spoilt(local, t.nodes)) {
    fill(t.log_p, cells, NAN);
    fill(z, 2, NAN);
  } else if (!attn_rt_tree_plain(local, t.nodes, t.one_root, t.log_p, z, work)) sum_in_logs(&t, z, work);
  for (int64_t k = 0; p && k < cells; k++) p[k] = exp(t.log_p[k]);
}

void attn_rt_tree_sum(const int64_t *n, const void *const *in, void *const *out, double *work) {
  sum(n, in[0], out[0], NULL, out[1], work);
}

void attn_rt_tree_shares(const int64_t *n, const void *const *in, void *const *out, double *work) {
  sum(n, in[0], NULL, out[0], out[1], work);
}

/* Probabilities off by at most 2e-6: tree_single.c. */
void attn_rt_tree_shares_f32(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t cells = n[0] * (n[0] + 1), others = n[0] <= 0;
  const double *local = in[0];
  float *narrow = (float *)(void *)work, *share = narrow + cells;
  double *p = out[0];
  for (int64_t k = 0; k < cells; k++) {
    narrow[k] = (float)local[k];
    others |= (double)narrow[k] != local[k];
  }
  if (others || !attn_rt_tree_single(narrow, n[0], n[1], share, out[1], work + cells)) {
    attn_rt_tree_shares(n, in, out, work);
    return;
  }
  for (int64_t k = 0; k < cells; k++) p[k] = share[k];
}

void attn_rt_tree_shares_real_f32(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t cells = n[0] * (n[0] + 1);
  const float *local = in[0];
  float *p = out[0];
  if (n[0] > 0 && attn_rt_tree_single(local, n[0], n[1], p, out[1], work)) return;
  double *wide = work, *share = work + cells;
  for (int64_t k = 0; k < cells; k++) wide[k] = local[k];
  sum(n, wide, NULL, share, out[1], work + 2 * cells);
  for (int64_t k = 0; k < cells; k++) p[k] = (float)share[k];
}

void attn_rt_tree_both(const int64_t *n, const void *const *in, void *const *out, double *work) {
  sum(n, in[0], out[0], out[1], out[2], work);
}
