/* plan: how the edges of a model are summed out, before a single loop is written.
 *
 * The copies that no weight joins are independent: their plates are parallel loops.  Edges joined within a
 * copy form a Component, the product of factors over its edges; it is summed by recursive conditioning
 * along an elimination tree: a node's edge is summed after (inside) those above it, and subtrees below a
 * node are independent given the edges above.  The tree is chosen to be as low as the supports allow.
 *
 * Copies joined to their neighbours along one plate form a chain (Chain), one component for all copies along it.
 *
 * What a plan cannot express yet is a Refusal, which names the construct and its place. */
#ifndef ATTN_INFER_PLAN_H
#define ATTN_INFER_PLAN_H

#include "infer/reach.h"
#include "model/model.h"

enum { COMPONENT_MAX_EDGES = 20 }; /* edges are kept in a 32-bit set and orders searched; no real model is near it */

/* Of copies that are summed together: loops over these, and over the indices of a statement that joins them, are kept
 * in arrays of fixed length. */
enum { JOINED_MAX_PLATES = 12 };

typedef uint32_t EdgeSet; /* bit k: Component.edges.at[k] */

/* An edge of the copy that lies `lag` steps before the one at hand. */
typedef struct Lagged { uint32_t at, lag; } Lagged;

/* One factor of a component's joint weight. */
typedef enum {
  FACTOR_WEIGHT,     /* a potential, require, observe or exact pmf: log weight of `weight` */
  FACTOR_PRIOR,      /* log D(edge | ..) before normalisation; NULL weight: uniform, 0 */
  FACTOR_NORMALISER, /* - log sum of D over the support of `edge`, given the edges in scope */
  FACTOR_SUPPORT, /* 0 where `edge` is in its support given the edges in scope, else -inf: in chains, and where the edge
                     stands above edges that its support depends on, and is streamed over all values it may have */
  FACTOR_MARGINAL, /* log of the law of a node of a structure given those that have values, others summed out */
} FactorKind;

typedef struct Factor {
  FactorKind kind;
  Weight *weight;
  Edge *edge;    /* PRIOR, NORMALISER */
  bool is_prior; /* part of the prior lines (for kl): all but potentials, requires and observations */
  EdgeSet scope; /* edges it mentions, of whatever copy */
  const Reach *reach;   /* the copies that `weight` names; NULL: the one it stands in */
  uint32_t lag;         /* PRIOR, NORMALISER: the copy whose prior it is */
  VEC(Lagged) vars;     /* what it mentions; empty: a constant of the copy */
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

/* A weight of one node of a structure: `up[node]`.  plate: which of the weight's plates the node is; UINT32_MAX: none.
 */
typedef struct Local { Weight *weight; const Term *node; uint32_t plate; } Local;

/* How many nodes are given at once, and how many of them may be any node: `every`; the others are told by the sizes. */
typedef struct GivenCount { uint32_t nodes, every; } GivenCount;

/* A structured edge, alone in its component. */
typedef struct Structure {
  Edge *edge;
  Index *node;  /* the component's last plate */
  TermVec room; /* where data say how many targets a node may have (of all but matchings: nodes): as Chain.room */
  TermVec rows; /* the same of nodes */
  VEC(Local) locals;
  VEC(GivenCount) given; /* filled by the derivation: one for each stage of sums with choices made */
} Structure;

/* sum over an index of whole numbers, at least 0, of copies along a plate: that of those so far is a value of the
 * chain. */
typedef struct Counter {
  Term *sum;
  Index *count;       /* stands for the sum in the weights at the end */
  const Reach *reach; /* of what is summed; its home is where it is added */
  Term *most;         /* the greatest term, of sizes; NULL: 1 */
  Term *limit;        /* the greatest count that is needed; NULL: that of all steps */
  bool saturates;     /* greater counts are as good as the limit; otherwise they have no weight */
  VEC(Lagged) vars;   /* what is summed mentions */
  Span span;
} Counter;

/* A weight on counts, weighed at the last copy that is counted. */
typedef struct End {
  Weight *weight;     /* with counts in place of sums */
  uint32_t counters;  /* bit k: it mentions Chain.counters.at[k] */
  const Reach *reach; /* of one of its counters, for the plates beside the chain's */
  IndexVec beyond;    /* it is a product over these */
} End;

enum { NO_PLATE = UINT32_MAX >> 1 };

/* Copies along one plate, each joined to those up to `reach` steps before it. */
typedef struct Chain {
  uint32_t step;      /* place of the plate */
  TermVec room;       /* where data end the plate: what plan_room found; see steps.c */
  TermVec *beside;    /* by plate: the same of one beside it, whose end may depend on those before */
  uint32_t packed;    /* place of a plate whose next chain begins where one ends, `ptr[i]..ptr[i + 1]`; or NO_PLATE */
  VEC(Counter *) counters; /* their places come behind those of the edges */
  VEC(End *) ends;
  bool may_break;     /* perhaps not all copies along the plate are joined */
  uint32_t *reach;    /* by place: the greatest lag at which a factor mentions it; counters: 1 */
  VEC(Lagged) clique; /* all lags 0 .. reach of all places: what the factors of one step mention */
} Chain;

typedef struct Network Network;
typedef struct Bond Bond;

struct Component {
  uint32_t id;
  VEC(Edge *) edges; /* in order of declaration */
  IndexVec plates;
  Structure *structure; /* NULL: copies are independent */
  VEC(Factor *) factors;
  VEC(Factor *) constants; /* factors with an empty scope */
  Node *root;   /* NULL: a chain */
  Chain *chain; /* NULL: copies are joined to no others */
  Node **nodes; /* CHAIN: a node without children for every edge */
  Network *network;   /* infer/network.h; NULL: it is part of none */
  Bond *bond;         /* infer/bond.h; NULL: no weight that was split joins it to others */
  const char *beyond; /* why it is more than a chain; NULL: it is not */
  Span beyond_span;
  Infer *infer; /* NULL: exact */
};

/* wrong: the model asks for what there is not, whoever compiles it. */
typedef struct Refusal { Span span; const char *text, *hint; bool wrong; } Refusal;

/* A component whose copies weights join along one plate, and yet no chain. */
typedef struct NoChain { uint32_t edge; Span span; const char *why; } NoChain; /* edge: Edge.id of its first */
typedef VEC(NoChain) NoChains;

/* A potential that is weighed as the product of its parts. */
typedef struct SplitWeight { const Weight *whole; VEC(Weight *) parts; } SplitWeight;
typedef VEC(SplitWeight) SplitWeights;

struct Plan {
  Arena *arena;
  const Model *model;
  VEC(Component *) components;
  uint32_t own_edges, own_weights; /* those of the model as it was given, which come first; conditioned.c adds others */
  Component **of_edge;          /* by Edge.id */
  VEC(Weight *) free_weights;   /* weights that mention no edge */
  SplitWeights splits;
  struct Latents *latents;      /* infer/latent.h; NULL: the model has none */
  NoChains no_chains;           /* found; then the plan is made again, and these are summed as networks */
  const NoChains *known;        /* those of the plan before; NULL: this is the first */
  Reach **reach_of_weight;      /* by Weight.id; NULL: it mentions no edge, is an End or of a structure */
  int64_t whole_bytes;          /* messages of a chain that take more are computed twice instead of kept; see sweep.c */
  int64_t both_ways; /* numbers from which on messages of few chains go both ways at once, see sweep.c; -1: never */
  VEC(Refusal) refusals;        /* what cannot be compiled; empty: the plan is complete */
};

void plan_refuse(Plan *p, Span span, const char *text, const char *hint);
Plan *plan_model(Arena *arena, const Model *m);
/* The model with chains beside its own for what outputs ask of counts, but for those that are left as they are (NULL:
 * none); NULL: the others ask nothing of the kind. */
const Model *plan_conditioned(Plan *p, const bool *left);
/* Does such a chain perhaps fall apart, and is what is asked no matter of one run of its copies?  A piece that has no
 * weight is no matter of those that are asked about. */
bool plan_asks_of_pieces(const Plan *p);
/* joint.c: do the weights from number `event` on all look at the same run of the chain's copies? */
bool has_one_range(const Plan *p, const Component *c, uint32_t event);

/* An elimination tree with the edges of `first` above others where supports allow it, or, `hull`, wherever possible:
 * then an edge of `first` may stand above edges that its support depends on.  NULL: there is none. */
Node *plan_tree(Plan *p, Component *c, EdgeSet first, bool hull);

int component_place(const Component *c, const Edge *e); /* -1: not in it */
/* Does a weight of its copies mention a latent? */
bool component_depends_on_latents(const Component *c);
/* Does every index of this edge reference name the plate of the same position: the copy one stands in? */
bool refers_to_own_copy(const Term *edge_ref);
/* Does the support (domain, where) of e mention other edges of c?  The set of them. */
EdgeSet support_scope(const Component *c, const Edge *e);
/* Calls visit on every edge reference of an Edge's support, of a Weight. */
void visit_support(const void *edge, EdgeVisitor visit, void *arg);
void visit_weight(const void *weight, EdgeVisitor visit, void *arg);
void visit_edges(const Term *t, EdgeVisitor visit, void *arg);
/* May evaluating t be an error: a division, an index that is neither a variable nor an edge? */
bool term_may_fail(const Term *t);
void plan_refuse(Plan *p, Span span, const char *text, const char *hint);

void plan_beyond(Component *c, Span span, const char *why); /* the first reason is kept */

/* ---- split.c: the model with a weight of each copy in place of products over copies; m itself where there are none */
/* Weights from own on are of questions; `splits` notes which of the others were split. */
const Model *split_weights(Arena *arena, const Model *m, uint32_t own, SplitWeights *splits);

/* ---- room.c ------------------------------------------------------------------------------------------- */

/* index: a plate; targets, nodes: of an edge that is structured. */
typedef struct RoomOf { const Index *index; const Edge *targets, *nodes; } RoomOf;
/* Dimensions of arrays that weights read there, at least one of which is no less than how many there are. */
TermVec plan_room(Plan *p, RoomOf of);

/* ---- chain_plan.c: what joins copies to each other ---------------------------------------------------- */

/* The reach of every weight; chains among the components.  Adds refusals. */
void plan_reaches(Plan *p);
/* ---- count_plan.c: weights on counts ------------------------------------------------------------------ */

bool is_zero_or_one(const Term *t); /* an int that is 0 or 1 */
bool is_sum_of_counts(Arena *a, const Term *sum); /* of whole numbers between 0 and a size */
bool may_count_none(const Term *t);   /* by more than == and !=: a weight then is 1 as a whole, which no count tells */
bool is_count_weight(Plan *p, const Weight *w);
/* Makes c a chain with counters.  NULL, or why not. */
const char *plan_count(Plan *p, Component *c, const Weight *w);
void plan_limits(Plan *p, Component *c); /* when all weights have been seen */

/* Fills in what a factor mentions. */
void plan_mentions(Plan *p, const Component *c, Factor *f);
/* After the factors are made: of chains the reach of every edge, and supports as factors. */
void plan_chains(Plan *p);

#endif
