/* structure: all trees, permutations and matchings of a few nodes, by trying every vector of targets.
 *
 * A row holds one target a node; rows come in lexicographic order with none behind all targets.  Vectors
 * that can no longer be completed are not followed where that is easily seen (a target used twice). */
#include "oracle/world.h"

typedef struct Search {
  Arena *arena;
  DomainKind kind;
  bool many_roots, or_none, overflow;
  int64_t nodes, targets;
  double limit;
  int64_t *row;
  VEC(int64_t) out;
  int64_t count;
} Search;

/* Follows parents from each node: a tree has no cycle and, unless many are allowed, one root.  A projective tree
 * hangs from the place left of node 0, which may have several children. */
static bool is_tree(const Search *s) {
  int64_t roots = 0;
  for (int64_t k = 0; k < s->nodes; k++) {
    int64_t steps = 0, at = k;
    while (at != NONE_VALUE && steps++ <= s->nodes) at = s->row[at];
    if (at != NONE_VALUE) return false;
    roots += s->row[k] == NONE_VALUE;
  }
  return s->many_roots || s->kind == DOMAIN_PROJECTIVE_TREE || roots == 1;
}

/* Arcs join a node and its parent; the root's comes from a place left of node 0. */
static bool arcs_cross(const Search *s, int64_t a, int64_t b) {
  int64_t pa = s->row[a] == NONE_VALUE ? -1 : s->row[a], pb = s->row[b] == NONE_VALUE ? -1 : s->row[b];
  int64_t lo_a = a < pa ? a : pa, hi_a = a < pa ? pa : a, lo_b = b < pb ? b : pb, hi_b = b < pb ? pb : b;
  return (lo_a < lo_b && lo_b < hi_a && hi_a < hi_b) || (lo_b < lo_a && lo_a < hi_b && hi_b < hi_a);
}

static bool is_projective(const Search *s) {
  for (int64_t a = 0; a < s->nodes; a++)
    for (int64_t b = 0; b < a; b++)
      if (arcs_cross(s, a, b)) return false;
  return true;
}

static bool row_holds(const Search *s) {
  if (s->kind == DOMAIN_TREE) return is_tree(s);
  if (s->kind == DOMAIN_PROJECTIVE_TREE) return is_tree(s) && is_projective(s);
  return true;
}

static bool target_free(const Search *s, int64_t node, int64_t target) {
  if (s->kind == DOMAIN_TREE || s->kind == DOMAIN_PROJECTIVE_TREE) return target != node;
  for (int64_t k = 0; k < node; k++)
    if (s->row[k] == target) return false;
  return true;
}

static void search(Search *s, int64_t node) {
  if (s->overflow) return;
  if (node == s->nodes) {
    if (!row_holds(s)) return;
    s->count++;
    for (int64_t k = 0; k < s->nodes; k++) vec_push(s->arena, &s->out, s->row[k]);
    s->overflow = (double)s->out.n > s->limit;
    return;
  }
  for (int64_t target = 0; target < s->targets; target++) {
    if (!target_free(s, node, target)) continue;
    s->row[node] = target;
    search(s, node + 1);
  }
  if (s->or_none || s->kind == DOMAIN_TREE || s->kind == DOMAIN_PROJECTIVE_TREE) {
    s->row[node] = NONE_VALUE;
    search(s, node + 1);
  }
}

bool oracle_structure_rows(Arena *arena, DomainKind kind, bool many_roots, bool or_none, int64_t m, int64_t n,
                    double limit, int64_t **rows, int64_t *count) {
  int64_t nodes = kind == DOMAIN_MATCHING ? m : n;
  Search s = {.arena = arena, .kind = kind, .many_roots = many_roots, .nodes = nodes, .targets = n, .limit = limit,
              .or_none = or_none && kind == DOMAIN_MATCHING, .row = NEW_ARRAY(arena, int64_t, nodes > 0 ? nodes : 1)};
  double tries = 1;
  for (int64_t k = 0; k < nodes && tries <= limit; k++)
    tries *= kind == DOMAIN_PERMUTATION || kind == DOMAIN_MATCHING ? (double)(n - k > 1 ? n - k : 1) : (double)n;
  if (tries > limit) return false;
  search(&s, 0);
  *rows = s.out.at;
  *count = s.count;
  return !s.overflow;
}
