/* tree_parts: what sums over and draws of arborescences share; see tree.c. */
#ifndef ATTN_RT_TREE_PARTS_H
#define ATTN_RT_TREE_PARTS_H

#include "leading.h"

/* Takes k out of the chain: rest[0..n) are the nodes left, rest[n] the root's column.  Row k becomes the p_k; returns
 * the pivot.  Where that is zero, nothing changes. */
Leading attn_rt_tree_eliminate(Leading *a, int64_t stride, int64_t k, const int64_t *rest, int64_t n);
/* Log probabilities of node i's choices, from q, all being eliminated but i. */
void attn_rt_tree_choose(const double *local, int64_t nodes, bool one_root, int64_t i, const Leading *q, double *log_p);
/* NaN or +inf off the diagonal. */
bool attn_rt_tree_is_spoilt(const double *local, int64_t nodes);
/* The chain at the start, [nodes, nodes + 1], each row relative to its largest; the sum of those. */
double attn_rt_tree_start(const double *local, int64_t nodes, bool one_root, Leading *to);

/* attn_rt_tree_sum in plain doubles, of weights that are not spoilt, nodes > 0.  False: something would leave their
 * range, and what is in the outputs does not matter.  tree_plain.c; work as attn_rt_tree_sum's. */
bool attn_rt_tree_plain(const double *local, int64_t nodes, bool one_root, double *log_p, double *z, double *work);

/* The same from one inverse, log_p, p, or both (NULL: not asked for); false also where digits would be lost; weights
 * may be spoilt. tree_inverse.c. */
bool attn_rt_tree_inverse(const double *local, int64_t nodes, bool one_root, double *log_p, double *p, double *z,
                          double *work);

/* One draw of attn_rt_tree_draw in plain doubles, nodes > 0, choice nodes for the root; weights are not spoilt.  False:
 * an arc has no weight, or something would leave its range, and choices do not matter.  tree_draw_plain.c; u and work
 * as attn_rt_tree_draw's. */
bool attn_rt_tree_draw_plain(const double *local, int64_t nodes, bool one_root, const double *u, int64_t *choice,
                             double *work);

/* Marginals in single precision, and z, nodes > 0, of log weights that are numbers of it.  False: they are not, or the
 * digits that it has would not be known to be right; what is in p and z then does not matter.  tree_single.c; work as
 * attn_rt_tree_sum's. */
bool attn_rt_tree_single(const float *local, int64_t nodes, bool one_root, float *p, double *z, double *work);

#endif
