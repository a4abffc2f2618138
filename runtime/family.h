/* family: sums, best values and draws of joint structures, for compiled kernels and their evaluator.
 *
 * A structure is an assignment of one choice to each of a number of nodes, out of a set that the family admits (trees,
 * bijections, ..).  `in[0]`, local[node, choice], holds log weights: a structure weighs e^(sum over nodes of its
 * choices'). -inf removes a choice, other values may be of any size; where one that could be chosen is NaN or +inf all
 * results are NaN (choices: -1).
 *
 *   NAME_sum    out[0] log_p[node, choice]: logs of the marginal probabilities, -inf exactly for what no admitted
 * structure with weight has; out[1] z[2]: log of the sum of all weights, and the entropy in nats (0 when empty)
 *   NAME_best   out[0] choice[node], int64: the heaviest structure; of weights that differ by less than rounding does,
 * the first in lexicographic order, a missing choice (none) behind all others
 *   NAME_draw   the last of n: how many; in[1] u[draw, .., 2]: uniform numbers in [0, 1); out[0] choice[draw, node],
 * int64: exact draws, each a function of its own u
 * Choices are targets 0, 1, ..; FAMILY_NONE: none; FAMILY_EMPTY, for all nodes: no structure has weight.
 *
 * All arrays are dense in C order.  `n` holds the family's integers, `work` as many doubles as NAME's comment says;
 * nothing is allocated, kept or written elsewhere, so calls on different arrays may run at once.  Results are the same
 * bits for the same arguments. */
#ifndef ATTN_RT_FAMILY_H
#define ATTN_RT_FAMILY_H

#include <stdint.h>

enum { FAMILY_EMPTY = -1, FAMILY_NONE = -2 };

typedef void attn_family_fn(const int64_t *n, const void *const *in, void *const *out, double *work);

/* ---- arborescences: tree.c, tree_best.c, tree_draw.c ----------------------------------------------------------------
 *
 * n: nodes, one_root.  Choices of a node: a parent,
 * or, the last column, none: it is a root; exactly one node is where one_root, else at least one; of no nodes there is
 * one tree.  local, log_p: [nodes, nodes + 1]; the diagonal is not read. shares: out[0] p[node, choice], the marginal
 * probabilities themselves; both: out[0] log_p, out[1] p, out[2] z; shares_f32: shares, off by at most 2e-6 where all
 * log weights are numbers of single precision; shares_real_f32: local and p are floats. Time nodes^3 (each draw:
 * 2 nodes^3, or, in log space, nodes^4 / 12).  u: [.., nodes, 2]. work: 9 nodes^2 + 102 nodes + 1200. */
attn_family_fn attn_rt_tree_sum, attn_rt_tree_shares, attn_rt_tree_shares_f32, attn_rt_tree_shares_real_f32,
    attn_rt_tree_both, attn_rt_tree_best, attn_rt_tree_draw;

/* ---- trees without crossing arcs: projective.c ----------------------------------------------------------------------
 *
 * n: nodes.  Choices as above, any number of roots, the roots hanging from a place left of node 0.  Time nodes^3 (best:
 * nodes^4 where trees are equally heavy), and nodes^2 at most a draw.  u: [.., nodes, 2].
 * work: 10 nodes^2 + 40 nodes + 64. */
attn_family_fn attn_rt_projective_sum, attn_rt_projective_best, attn_rt_projective_draw;

/* ---- matchings: matching.c, best ones: assign.c ---------------------------------------------------------------------
 *
 * n: rows, columns, choices, line.  Row i takes a column, no column is taken twice; choices is columns + 1 where a row
 * may have none (the last choice), else columns; line = max(rows, columns) is looked at by draw alone.
 * local, log_p: [rows, choices]; log_p is -inf also for
 * what has a probability below 1e-300.  u: [.., line, 2].  With bits = min(rows, columns), of those that somebody may
 * take, time line 2^bits bits (best: rows^2 (rows + columns)), and line bits a draw.  work: rows columns + 9 rows +
 * 9 columns + 32, and, but for best, 2 T 2^min(rows, columns), T = 1 for bijections, else max(rows, columns) + 1;
 * nothing beside the first where rows > columns and no row may have none. */
attn_family_fn attn_rt_matching_sum, attn_rt_matching_best, attn_rt_matching_draw;

/* ---- approximations of the marginals of bijections: scale.c ---------------------------------------------------------
 *
 * n: nodes, steps.  out[1] z: 0 where some bijection has weight, else -inf; and 0.  Time steps nodes^2.
 * Rows of e^log_p need not sum to 1.  work: 3 nodes^2 + 16 nodes + 32. */
attn_family_fn attn_rt_scaled, attn_rt_bethe;

/* ---- other probabilities of a single choice: choice.c ---------------------------------------------------------------
 *
 * n: values, and, for top, k.  in[0] log_w[values]; entmax: in[1] alpha[1], at least 1.  out[0] log_p[values].
 * Time values (entmax: 64 times).  work: values. */
attn_family_fn attn_rt_top, attn_rt_entmax;

/* ---- networks: network.c, their order: network_order.c, picks: network_pick.c ---------------------------------------
 *
 * Variables of few values, joined by factors of at most 8 of them.
 *   n      variables, groups of factors, names in all factors, cells of all factors, J = that or 0, marginals = the sum
 *          of all numbers of values, variables that are held, ring (0: sums of products, 2: numbers of values), doubles
 *          of work
 *   in[0]  log weights [cells], factor after factor, in C order over the names' values
 *   in[1]  names [names]: variables, -1: the factor is absent, -2: there is no such variable, its value is 0, a
 *          variable twice: its diagonal
 *   in[2]  groups [groups, 4]: factors, names of each, is it a prior, cells of each
 *   in[3]  [groups, 8]: values of each name
 *   in[4]  variables [variables, 3]: values, and two numbers by which orders of elimination are tried; values ~n: a
 *          place for n of them that no variable has, which no factor names
 *   in[5]  held [held, 2]: variables and their values
 *   sum    out[0] log_p [marginals], variable after variable; out[1] [J] logs of the marginal probabilities of factors'
 *          names; out[2] z[4]: log of the sum of all weights, entropy, - E[log of the factors that are priors], and,
 *          where above the limits of family_network.h, how many cells are needed (else 0; the rest is NaN then);
 *          out[3] [variables]: the log sum of its component, -inf where that has no value with weight, NaN where a
 *          weight is NaN or +inf.  Ring 2: z[0] is the number of values, out[0], out[1], out[3] are NaN
 *   best   out[0] choice[variables]; out[1] z[4], of which z[3] alone is used
 *   draw   one more of n: draws; in[6] u[draws, variables]; out[0] choice[draws, variables]; out[1] as best
 * Marginals below 1e-308 are -inf.  Time: the cells of all cliques, and those of one row of each a draw.
 * work: 81 variables + 24 groups' factors + 6 names + marginals + 1000, and the tables. */
attn_family_fn attn_rt_network_sum, attn_rt_network_best, attn_rt_network_draw;

#endif
