/* structure: edges whose nodes are joined by what they form: trees, bijections, matchings.
 *
 * In a plan such an edge is a component of its own, whose plates are those of the edge and then its node: a copy of the
 * component is one node's choice.  The weights of a structure are local: each mentions one node.  Then the marginal of
 * a node is all that an expectation about it needs, and the other chapters treat it as the weight of an edge joined to
 * nothing. */
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
void structure_check_infer(Plan *p, const Infer *f); /* sinkhorn, bethe */
Structure *structure_new(Plan *p, Edge *e);

/* WEIGHTS_REPLACED: all of them, as a method takes them that replaces the posterior; its sum tells only whether there
 * is anything to sum. */
typedef enum { WEIGHTS_ALL, WEIGHTS_REPLACED, WEIGHTS_PRIOR, WEIGHTS_REQUIRE } WeightSet;
/* Those that E, P and the steps of latents are under. */
WeightSet posterior_weights(const Component *c);

/* ---- structure.c: sums ------------------------------------------------------------------------------------------- */

/* Is the copy meant as a whole, its node being of no matter? */
Copy whole_structure(Context *x, Copy copy);
/* Log of the marginal probability of a value of the copy's node. */
Val structure_log_marginal(Context *x, Copy copy, Choice value);
/* That probability itself, where it is at hand; else 0, no value. */
Val structure_share(Context *x, Copy copy, Choice value);
/* structure_given.c: has another node of the same structure a value in x? */
bool structure_is_given(const Context *x, Copy copy);
/* The log, given the values of all others that have one. */
Val structure_log_given(Context *x, Copy copy, WeightSet set, Choice value);
Val structure_log_sum(Context *x, Copy copy); /* of all weights, priors not normalised */
/* 0 or a number where E and P are those of something, -inf where nothing has weight, NaN where log weights are none. */
Val structure_status(Context *x, Copy copy);
Val structure_entropy(Context *x, Copy copy);
Val structure_kl(Context *x, Copy copy);
Val structure_nodes_kl(Context *x, const NamedCopies *n); /* of some nodes of one structure */
Val structure_count(Context *x, Copy copy);      /* values that require statements admit */
Val structure_nodes_count(Context *x, const NamedCopies *n); /* of some nodes, likewise */
Val structure_log_support(Context *x, const Edge *e); /* log of the number of all values; x binds the plates */
/* structure_pick.c: the value of the copy's node in the heaviest structure; in a draw; -1 where empty. */
Choice structure_mode(Context *x, Copy copy);
Choice structure_draw(Context *x, Copy copy, Val seed, Val number);
/* The mean over the draws of its `infer` line; draws of one structure are the same wherever it is asked of. */
Choice structure_draw_of(Context *x, Copy copy, Val which);
bool structure_is_approximate(const Component *c); /* marginals that need not sum to 1 */
/* Shared by the two. */
typedef struct Shape { Val nodes, targets, choices, line; bool none; } Shape;
typedef struct Routine { Family family; Val ints[5], work; } Routine;
typedef struct Plates { uint32_t n; Loop **loops; Val *place; Context x; } Plates;
Shape structure_shape(Context *x, const Edge *e); /* of its arrays */
Array *structure_local(Context *x, const Component *c, WeightSet set); /* log weights [.., node, choice] */
Routine structure_sum_routine(Context *x, const Component *c, const Shape *s, WeightSet set);
Val structure_column(Context *x, const Shape *s, Choice value); /* the place of a choice */
Routine structure_best_routine(Context *x, const Edge *e, const Shape *s);
Routine structure_draw_routine(Context *x, const Edge *e, const Shape *s, Val draws); /* in one call */
Plates structure_open(Derive *d, const Component *c, uint32_t n, uint32_t room); /* loops over the first n plates */
void structure_close(Derive *d, Plates *nest);
Array *structure_array(Derive *d, const Component *c, const char *what, StoreType elem, uint32_t n, uint32_t rank,
                       const Val *more);
/* Place of a copy in an array over its first n plates, with room for 2 more. */
Val *structure_place(Context *x, Copy copy, uint32_t n);

/* ---- structure_idle.c: where data say how many nodes there are -------------------------------------------------- */

bool structure_is_ended(const Context *x, const Edge *e); /* do data say how many nodes, or targets, it has? */
Val structure_nodes(Context *x, const Edge *e); /* at least 0; x binds the plates */
Val structure_targets(Context *x, const Edge *e);
Val structure_most(Context *x, const TermVec *room, const Term *of_sizes); /* as many as arrays have */
Val structure_target_exists(Context *x, const Edge *e, Val target); /* bool; 0: always */
/* The rows of nodes that do not exist; an error where there are more than arrays have. */
void fill_idle(Derive *d, Component *c, Array *local, const Shape *s);
bool structure_has_idle_none(const Context *x, const Edge *e); /* of nodes that have a target else */

/* The log weight of the choice known in x; its log marginal; 0: log sum of all, 1: entropy: under some of the weights.
 */
Val structure_local_log(Context *x, Copy copy, WeightSet set);
Val structure_marginal_under(Context *x, Copy copy, WeightSet set, Choice value);
Val structure_sum_under(Context *x, Copy copy, WeightSet set, int64_t which);

#endif
