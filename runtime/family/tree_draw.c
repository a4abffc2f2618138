/* tree_draw: an exact draw of an arborescence, node by node, each given those before it.
 *
 * What is known of a node's arc makes the node part of the one it leads to: its incoming arcs lead there.  The law of
 * the next node follows from the chain of the nodes still open, all but itself eliminated (tree.c), whose time, a third
 * of the cube of their number, is summed over the nodes.  Where plain doubles will do, tree_draw_plain.c takes less. */
#include <string.h>

#include "family.h"
#include "tree_parts.h"

typedef struct Draw {
  int64_t n;
  bool one_root;
  const double *local;
  Leading *open, *now; /* [n, n + 1]: the chain of open nodes; the same while others are eliminated */
  Leading *q;
  int64_t *to;   /* by node: where its arc leads; itself while it is open */
  int64_t *rest; /* open nodes, then the root */
  double *log_p;
} Draw;

static int64_t follow(const Draw *d, int64_t node) {
  while (node < d->n && d->to[node] != node) node = d->to[node];
  return node;
}

/* All open nodes but i are eliminated, the last first, so that the open ones are a prefix of the list. */
static void come_to_root(Draw *d, int64_t i) {
  int64_t width = d->n + 1, m = 0;
  for (int64_t k = 0; k < d->n; k++)
    if (d->to[k] == k && k != i) d->rest[m++] = k;
  memcpy(d->now, d->open, (size_t)(d->n * width) * sizeof *d->now);
  /* rest: i, the nodes not yet eliminated, the root */
  memmove(d->rest + 1, d->rest, (size_t)m * sizeof *d->rest);
  d->rest[0] = i;
  for (int64_t k = m; k > 0; k--) {
    int64_t node = d->rest[k];
    d->rest[k] = d->n;
    attn_rt_tree_eliminate(d->now, width, node, d->rest, k);
    d->rest[k] = node;
  }
  d->q[i] = (Leading){-INFINITY, 0};
  d->q[d->n] = (Leading){0, 0};
  for (int64_t k = 1; k <= m; k++) { /* the row of a node is over those before it in the list, and the root */
    const Leading *row = d->now + d->rest[k] * width;
    LeadingSum s = leading_sum_of_none();
    for (int pass = 0; pass < 2; pass++)
      for (int64_t j = 0; j <= k; j++) {
        int64_t to = j == k ? d->n : d->rest[j];
        Leading x = leading_mul(row[to], d->q[to]);
        if (pass) leading_sum_add(&s, x);
        else leading_sum_look(&s, x);
      }
    d->q[d->rest[k]] = leading_sum_end(&s);
  }
  for (int64_t k = 0; k < d->n; k++)
    if (d->to[k] != k) d->q[k] = d->q[follow(d, k)];
}

/* The last choice is taken where rounding leaves none. */
static int64_t pick(const double *log_p, int64_t n, double u) {
  int64_t at = -1;
  double sum = 0;
  for (int64_t j = 0; j < n; j++) {
    if (log_p[j] == -INFINITY) continue;
    at = j;
    sum += exp(log_p[j]);
    if (u < sum) break;
  }
  return at;
}

/* Arcs to i become arcs to where it leads. */
static void fix(Draw *d, int64_t i, int64_t choice) {
  int64_t width = d->n + 1;
  d->to[i] = choice;
  int64_t end = follow(d, choice);
  for (int64_t x = 0; x < d->n; x++) {
    if (d->to[x] != x || x == end) continue;
    Leading *row = d->open + x * width;
    row[end] = leading_add(row[end], row[i]);
  }
}

/* In log space; false: no tree has weight. */
static bool draw(Draw *d, const double *u, int64_t *choice) {
  int64_t roots = 0;
  bool fails = false;
  for (int64_t i = 0; i < d->n; i++) d->to[i] = i;
  (void)attn_rt_tree_start(d->local, d->n, d->one_root, d->open);
  for (int64_t i = 0; i < d->n && !fails; i++) {
    come_to_root(d, i);
    attn_rt_tree_choose(d->local, d->n, d->one_root, i, d->q, d->log_p);
    choice[i] = pick(d->log_p, d->n + 1, u[2 * i]);
    fails = choice[i] < 0;
    if (fails) break;
    roots += choice[i] == d->n;
    fix(d, i, choice[i]);
  }
  return !fails && (!d->one_root || roots == 1);
}

void attn_rt_tree_draw(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t *choice = out[0], width = n[0] + 1, draws = n[2];
  const double *u = in[1];
  Draw d = {.n = n[0], .one_root = n[1], .local = in[0]};
  d.open = (Leading *)(void *)work;
  d.now = d.open + d.n * width;
  d.q = d.now + d.n * width;
  d.to = (int64_t *)(void *)(d.q + width);
  d.rest = d.to + width;
  d.log_p = (double *)(void *)(d.rest + width + 1);
  if (d.n <= 0) return;
  bool spoilt = attn_rt_tree_is_spoilt(d.local, d.n);
  for (int64_t k = 0; k < draws; k++, u += 2 * d.n, choice += d.n) {
    bool there = !spoilt && (attn_rt_tree_draw_plain(d.local, d.n, d.one_root, u, choice, work) || draw(&d, u, choice));
    for (int64_t i = 0; i < d.n; i++)
      if (!there) choice[i] = FAMILY_EMPTY;
      else if (choice[i] == d.n) choice[i] = FAMILY_NONE;
  }
}
