/* family: sums, best values and draws of joint structures, for compiled kernels and their evaluator.
 *
 * A structure is an assignment of one choice to each of a number of nodes, out of a set that the family admits (trees,
 * bijections, ..).  `in[0]`, local[node, choice], holds log weights: a structure weighs e^(sum over nodes of its choices').
 * -inf removes a choice, other values may be of any size; where one that could be chosen is NaN or +inf all results
 * are NaN (choices: -1).
 *
 *   NAME_sum    out[0] log_p[node, choice]: logs of the marginal probabilities, -inf exactly for what no admitted structure
 *               with weight has; out[1] z[2]: log of the sum of all weights, and the entropy in nats (0 when empty)
 *   NAME_best   out[0] choice[node], int64: the heaviest structure; of weights that differ by less than rounding does, the
 *               first in lexicographic order, a missing choice (none) behind all others
 *   NAME_draw   in[1] u[..]: uniform numbers in [0, 1); out[0] choice[node], int64: an exact draw, a function of u
 * Choices are targets 0, 1, ..; FAMILY_NONE: none; FAMILY_EMPTY, for all nodes: no structure has weight.
 *
 * All arrays are dense in C order.  `n` holds the family's integers, `work` as many doubles as NAME's comment says; nothing
 * is allocated, kept or written elsewhere, so calls on different arrays may run at once.  Results are the same bits
 * for the same arguments. */
#ifndef ATTN_RT_FAMILY_H
#define ATTN_RT_FAMILY_H

#include <stdint.h>

enum { FAMILY_EMPTY = -1, FAMILY_NONE = -2 };

typedef void attn_family_fn(const int64_t *n, const void *const *in, void *const *out, double *work);

/* ---- arborescences: tree.c, tree_best.c, tree_draw.c ------------------------------------------------------------------
 * n: nodes, one_root.  Choices of a node: a parent, or, the last column, none: it is a root; exactly one node is where
 * one_root, else at least one (but a tree of no nodes has none).  local, log_p: [nodes, nodes + 1]; the diagonal is not read.
 * Time nodes^3 (draw: nodes^4 / 12).  u: [nodes].
 * work: 6 nodes^2 + 32 nodes + 600. */
attn_family_fn attn_rt_tree_sum, attn_rt_tree_best, attn_rt_tree_draw;

#endif
