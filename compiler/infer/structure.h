/* structure: edges whose nodes are joined by what they form: trees, bijections, matchings.
 *
 * In a plan such an edge is a component of its own, whose plates are those of the edge and then its node: a copy of the
 * component is one node's choice.  The weights of a structure are local: each mentions one node.  Then the marginal of a node
 * is all that an expectation about it needs, and the other chapters treat it as the weight of an edge joined to nothing. */
#ifndef ATTN_INFER_STRUCTURE_H
#define ATTN_INFER_STRUCTURE_H

#include "infer/context.h"

/* ---- structure_plan.c ------------------------------------------------------------------------------------------- */

/* The structured edge that a weight mentions; NULL: none. */
Edge *structure_of_weight(const Weight *w);
/* Adds w to the structure's weights, or refuses it. */
void structure_add_weight(Plan *p, Structure *s, Weight *w);
/* What of the edge itself is not compiled. */
void structure_check(Plan *p, const Edge *e);
Structure *structure_new(Plan *p, Edge *e);

/* ---- structure.c: sums -------------------------------------------------------------------------------------------- */

/* Is the copy meant as a whole, its node being of no matter? */
Copy whole_structure(Context *x, Copy copy);
/* Log of the marginal probability of a value of the copy's node. */
Val structure_log_marginal(Context *x, Copy copy, Choice value);
Val structure_log_sum(Context *x, Copy copy); /* of all weights, priors not normalised */
Val structure_entropy(Context *x, Copy copy);
Val structure_kl(Context *x, Copy copy);
Val structure_node_kl(Context *x, Copy copy);
Val structure_count(Context *x, Copy copy);      /* values that require statements admit */
Val structure_node_count(Context *x, Copy copy); /* of one node, likewise */
Val structure_log_support(Context *x, const Edge *e); /* log of the number of all values */
/* May a and b belong to one structure? */
bool may_share_structure(const Context *x, const Component *c, const Val *a, const Val *b);

#endif
