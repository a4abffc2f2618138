/* tree_best: the heaviest arborescence, by contracting cycles of best arcs (Chu & Liu 1965, Edmonds 1967).
 *
 * Every node takes its best arc; a cycle becomes one node, whose arcs outward count what they have more than the
 * cycle's own arc at the same member.  Arcs are followed as a path, so that each contraction costs its members times
 * all nodes, and all of them together nodes^2.  A composite node's arc in the end names the member that leaves the
 * cycle.
 *
 * One root: of two trees that with fewer roots is better, then that of the greater weight.
 *
 * Ties: an arc can be in a best tree only if its weight less what was subtracted on the way (its reduced cost, the dual
 * of the linear programme) is 0.  So for each node in turn the few such arcs that come before the one taken are tried:
 * the tree is made again with that arc alone, and taken where its weight is the same. */
#include <float.h>
#include <string.h>

#include "family.h"
#include "tree_parts.h"

typedef struct Weight { double roots, log; } Weight; /* roots: minus the arcs to the root that count */

static bool better(Weight x, Weight y) { return x.roots > y.roots || (x.roots == y.roots && x.log > y.log); }
static bool missing(Weight x) { return x.log == -INFINITY; }
static Weight less(Weight x, Weight y) { return (Weight){x.roots - y.roots, x.log - y.log}; }

typedef struct Arc { Weight w; int64_t from, to; } Arc; /* original nodes; to == nodes: the root */

typedef struct Best {
  int64_t n;
  const double *local;
  bool one_root;
  const int64_t *only; /* by node: the one arc it may take, -1: any */
  Arc *arc;            /* [n, n + 1]: from one active node to another, or to the root */
  bool *active;        /* by place */
  /* by node: originals are 0 .. n, composites n ..; at most 2 n */
  int64_t *inside;     /* the composite it is part of; -1: none */
  int64_t *place;      /* of an active node */
  Arc *chosen;
  char *state;         /* 0: not looked at, 1: on the path, 2: done */
  int64_t *path;
  int64_t nodes;       /* so far */
} Best;

static int64_t outermost(const Best *b, int64_t node) {
  while (b->inside[node] >= 0) node = b->inside[node];
  return node;
}

static Weight weight_of(const Best *b, int64_t i, int64_t j) {
  bool allowed = i != j && (b->only[i] < 0 || b->only[i] == j);
  return (Weight){j == b->n && b->one_root ? -1 : 0, allowed ? b->local[i * (b->n + 1) + j] : -INFINITY};
}

static void start(Best *b) {
  b->nodes = b->n;
  for (int64_t i = 0; i < b->n; i++) {
    b->active[i] = true;
    b->inside[i] = -1;
    b->place[i] = i;
    b->state[i] = 0;
    for (int64_t j = 0; j <= b->n; j++) b->arc[i * (b->n + 1) + j] = (Arc){weight_of(b, i, j), i, j};
  }
}

static bool choose(Best *b, int64_t node) {
  const Arc *row = b->arc + b->place[node] * (b->n + 1), *best = NULL;
  for (int64_t j = 0; j <= b->n; j++) {
    bool there = j == b->n || (j != b->place[node] && b->active[j]);
    if (there && !missing(row[j].w) && (!best || better(row[j].w, best->w))) best = &row[j];
  }
  if (best) b->chosen[node] = *best;
  return best != NULL;
}

/* Path nodes from `first` on are a cycle; it takes the place of its first member. */
static int64_t contract(Best *b, int64_t first, int64_t length) {
  int64_t node = b->nodes++, at = b->place[b->path[first]], width = b->n + 1;
  for (int64_t k = first; k < length; k++) {
    int64_t u = b->path[k], p = b->place[u];
    Arc *row = b->arc + p * width, *to = b->arc + at * width;
    b->inside[u] = node;
    for (int64_t j = 0; j < width; j++) {
      Arc out = row[j];
      out.w = missing(out.w) ? out.w : less(out.w, b->chosen[u].w);
      if (k == first || (!missing(out.w) && (missing(to[j].w) || better(out.w, to[j].w)))) to[j] = out;
    }
    for (int64_t x = 0; x < b->n && k > first; x++) {
      Arc *in = b->arc + x * width;
      if (!missing(in[p].w) && (missing(in[at].w) || better(in[p].w, in[at].w))) in[at] = in[p];
    }
    if (k > first) b->active[p] = false;
  }
  b->inside[node] = -1;
  b->place[node] = at;
  b->state[node] = 1;
  return node;
}

/* Every outermost node gets an arc, and following arcs leads to the root. */
static bool grow(Best *b) {
  for (int64_t i = 0; i < b->n; i++) {
    int64_t length = 0, node = outermost(b, i);
    if (b->state[node]) continue;
    b->path[length++] = node;
    b->state[node] = 1;
    for (;;) {
      if (!choose(b, node)) return false;
      int64_t to = b->chosen[node].to, next = to == b->n ? -1 : outermost(b, to);
      if (next < 0 || b->state[next] == 2) break;
      if (b->state[next] == 1) {
        int64_t first = length - 1;
        while (b->path[first] != next) first--;
        next = contract(b, first, length);
        length = first;
      }
      b->state[next] = 1;
      b->path[length++] = node = next;
    }
    while (length) b->state[b->path[--length]] = 2;
  }
  return true;
}

/* The arcs of composites are those of one of their members. */
static void expand(Best *b, int64_t *choice) {
  for (int64_t c = b->nodes; c-- > b->n;) {
    int64_t member = b->chosen[c].from;
    while (b->inside[member] != c) member = b->inside[member];
    Weight own = b->chosen[member].w;
    b->chosen[member].from = b->chosen[c].from; /* its weight stays what was subtracted */
    b->chosen[member].to = b->chosen[c].to;
    b->chosen[member].w = own;
  }
  for (int64_t i = 0; i < b->n; i++) choice[i] = b->chosen[i].to;
}

static bool solve(Best *b, int64_t *choice, double *total) {
  start(b);
  if (!grow(b)) return false;
  expand(b, choice);
  int64_t roots = 0;
  *total = 0;
  for (int64_t i = 0; i < b->n; i++) {
    *total += b->local[i * (b->n + 1) + choice[i]];
    roots += choice[i] == b->n;
  }
  return !b->one_root || roots == 1;
}

/* Weight of an arc less what was subtracted at every node that it leaves. */
static Weight reduced(const Best *b, int64_t i, int64_t j) {
  Weight w = weight_of(b, i, j);
  for (int64_t u = i; u >= 0 && !missing(w); u = b->inside[u]) {
    bool holds = false;
    for (int64_t v = j; j < b->n && v >= 0 && !holds; v = b->inside[v]) holds = v == u;
    if (holds) break;
    w = less(w, b->chosen[u].w);
  }
  return w;
}

/* Replaces the tree by the first of the best ones in lexicographic order. */
static void first_of_equals(Best *b, int64_t *choice, int64_t *other, int64_t *only, double best) {
  double tolerance = 1e-12 * (1 + fabs(best)), total;
  for (int64_t i = 0; i < b->n; i++) {
    for (int64_t j = 0; j < choice[i]; j++) {
      Weight w = reduced(b, i, j);
      if (missing(w) || w.roots != 0 || w.log < -4 * tolerance) continue;
      only[i] = j;
      if (solve(b, other, &total) && total >= best - tolerance) memcpy(choice, other, (size_t)b->n * sizeof *choice);
      else {
        only[i] = -1;
        solve(b, other, &total); /* its reduced costs again */
      }
      if (choice[i] == j) break;
    }
    only[i] = choice[i];
  }
}

static void *take(double **work, int64_t doubles) {
  void *p = *work;
  *work += doubles;
  return p;
}

void attn_rt_tree_best(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t *choice = out[0], nodes = n[0];
  Best b = {.n = nodes, .local = in[0], .one_root = n[1]};
  if (nodes <= 0) return;
  int64_t *only = take(&work, nodes), *other = take(&work, nodes);
  b.only = only;
  b.arc = take(&work, 4 * nodes * (nodes + 1));
  b.chosen = take(&work, 4 * 2 * nodes);
  b.inside = take(&work, 2 * nodes);
  b.place = take(&work, 2 * nodes);
  b.path = take(&work, 2 * nodes);
  b.state = take(&work, 2 * nodes);
  b.active = take(&work, nodes);
  for (int64_t i = 0; i < nodes; i++) only[i] = -1;
  double best;
  if (attn_rt_tree_is_spoilt(b.local, nodes) || !solve(&b, choice, &best)) {
    for (int64_t i = 0; i < nodes; i++) choice[i] = FAMILY_EMPTY;
    return;
  }
  first_of_equals(&b, choice, other, only, best);
  for (int64_t i = 0; i < nodes; i++)
    if (choice[i] == nodes) choice[i] = FAMILY_NONE;
}
