/* plan: how the edges of a model are summed out, before a single loop is written.
 *
 * The copies that no weight joins are independent: their plates are parallel loops.  Edges joined within a
 * copy form a Component, the product of factors over its edges; it is summed by recursive conditioning
 * along an elimination tree: a node's edge is summed after (inside) those above it, and subtrees below a
 * node are independent given the edges above.  The tree is chosen to be as low as the supports allow.
 *
 * What a plan cannot express yet is a Refusal, which names the construct and its place. */
#ifndef ATTN_INFER_PLAN_H
#define ATTN_INFER_PLAN_H

#include "model/model.h"

enum { COMPONENT_MAX_EDGES = 20 }; /* edges are kept in a 32-bit set and orders searched; no real model is near it */

typedef uint32_t EdgeSet; /* bit k: Component.edges.at[k] */

/* One factor of a component's joint weight. */
typedef enum {
  FACTOR_WEIGHT,     /* a potential, require, observe or exact pmf: log weight of `weight` */
  FACTOR_PRIOR,      /* log D(edge | ..) before normalisation; NULL weight: uniform, 0 */
  FACTOR_NORMALISER, /* - log sum of D over the support of `edge`, given the edges in scope */
  FACTOR_SUPPORT,    /* 0 where `edge` is in its support given the edges in scope, else -inf: only where the edge stands
                        above edges that its support depends on, and is streamed over all values it may have */
} FactorKind;

typedef struct Factor {
  FactorKind kind;
  Weight *weight;
  Edge *edge;    /* PRIOR, NORMALISER */
  bool is_prior; /* part of the prior lines (for kl): all but potentials, requires and observations */
  EdgeSet scope; /* edges it mentions; empty: a constant of the copy */
} Factor;

typedef struct Node Node;
struct Node {
  Edge *edge;
  uint32_t at; /* place in Component.edges */
  Node *parent;
  EdgeSet below; /* this edge and all in the subtree */
  VEC(Node *) children;
  VEC(Factor *) factors; /* those whose scope is complete once this edge has a value */
};

typedef struct Component {
  uint32_t id;
  VEC(Edge *) edges; /* in order of declaration */
  IndexVec plates;
  VEC(Factor *) factors;
  VEC(Factor *) constants; /* factors with an empty scope */
  Node *root;
  Infer *infer; /* NULL: exact */
} Component;

typedef struct Refusal { Span span; const char *text, *hint; } Refusal;

typedef struct Plan {
  Arena *arena;
  const Model *model;
  VEC(Component *) components;
  Component **of_edge;          /* by Edge.id */
  VEC(Weight *) free_weights;   /* weights that mention no edge */
  struct Latents *latents;      /* infer/latent.h; NULL: the model has none */
  VEC(Refusal) refusals;        /* what cannot be compiled; empty: the plan is complete */
} Plan;

Plan *plan_model(Arena *arena, const Model *m);

/* An elimination tree with the edges of `first` above others where supports allow it, or, `hull`, wherever possible:
 * then an edge of `first` may stand above edges that its support depends on.  NULL: there is none. */
Node *plan_tree(Plan *p, Component *c, EdgeSet first, bool hull);

int component_place(const Component *c, const Edge *e); /* -1: not in it */
/* Does every index of this edge reference name the plate of the same position: the copy one stands in? */
bool refers_to_own_copy(const Term *edge_ref);
/* Does the support (domain, where) of e mention other edges of c?  The set of them. */
EdgeSet support_scope(const Component *c, const Edge *e);

#endif
