/* model: what a model file means.
 *
 * The checker elaborates the tree of a `model` into this graph: plates, edges with their supports,
 * latents, weights, queries.  All names are resolved, all types and shapes checked, `def` and `let`
 * abbreviations inlined, and vectors are gone: every expression is a scalar Term in which an axis of a
 * vector is an ordinary bound Index.  `E[v[phi]]` with v: [N, C] is the term E[v[phi, c]] of an output
 * with the trailing axis c; dot(a, b) is a sum over an axis; norm(a) the root of one.
 *
 * The graph is symbolic in the sizes and never changed after the checker returns it.  The oracle
 * evaluates it by enumeration; the derivation turns it into reductions. */
#ifndef ATTN_MODEL_MODEL_H
#define ATTN_MODEL_MODEL_H

#include "base/intern.h"
#include "base/source.h"
#include "base/vec.h"

#include <stdbool.h>

typedef struct Term Term;
typedef VEC(Term *) TermVec;

typedef enum { TYPE_BOOL, TYPE_INT, TYPE_REAL } ScalarType;

/* ---- names -------------------------------------------------------------------------------------- */

typedef struct Size { uint32_t id; Sym name; Span span; } Size; /* id: place in Model.sizes */

typedef enum {
  ELEM_REAL, /* the build's precision */
  ELEM_F64, ELEM_F32, ELEM_F16, ELEM_BF16, ELEM_INT, ELEM_BOOL,
  ELEM_GRAPH, /* a sparse adjacency, dims [rows, columns], bound as CSR arrays indptr and indices */
} ElemKind;

typedef struct Index Index;
typedef VEC(Index *) IndexVec;

static inline bool indices_hold(const IndexVec *v, const Index *i) {
  for (uint32_t k = 0; k < v->n; k++)
    if (v->at[k] == i) return true;
  return false;
}

static inline bool indices_equal(const IndexVec *x, const IndexVec *y) {
  if (x->n != y->n) return false;
  for (uint32_t k = 0; k < x->n; k++)
    if (x->at[k] != y->at[k]) return false;
  return true;
}

/* data or param.  `init` (NULL: none) is the default, a scalar term over `init_at`, one index a dimension. */
typedef struct Input {
  uint32_t id;
  Sym name;
  Span span;
  bool is_param;
  ElemKind elem;
  TermVec dims; /* int terms over sizes */
  Term *init;
  IndexVec init_at;
} Input;

/* What an index runs over: lo <= x < hi in steps of 1, or the stored neighbours of a row of a graph. */
typedef enum { RANGE_INTERVAL, RANGE_ROW } RangeKind;
typedef struct Range {
  RangeKind kind;
  Span span;
  Term *lo, *hi; /* INTERVAL */
  Input *graph;  /* ROW: adj[row] */
  Term *row;
} Range;

typedef enum { INDEX_PLATE, INDEX_REDUCE, INDEX_OUTPUT, INDEX_LET, INDEX_LATENT, INDEX_AXIS } IndexRole;

/* A bound int variable.  AXIS: made by elaboration, runs over 0 .. dimension of a vector. */
struct Index {
  uint32_t id; /* unique in the model */
  Sym name;    /* for AXIS a made-up name, still unique among the axes in sight */
  Span span;
  IndexRole role;
  Range range;
};

/* A derived array of data: value over own and axis indices, and the plates it stands in. */
typedef struct Let {
  uint32_t id;
  Sym name;
  Span span;
  IndexVec plates, own, axes;
  Term *value;
  bool has_query; /* used only by outputs */
  bool wide;      /* stored as f64 */
  bool inner;     /* nobody's: a query that stands in the bracket of another (check_inner.c) */
} Let;

/* ---- edges and latents -------------------------------------------------------------------------- */

typedef struct Weight Weight;
typedef struct Infer Infer;

typedef enum {
  DOMAIN_RANGE, /* N, lo..hi, adj[i]: see Edge.range */
  DOMAIN_BIT,
  DOMAIN_TREE, DOMAIN_PROJECTIVE_TREE,  /* over `n` nodes; one value a node, the parent, none at a root (a
                                           projective tree: at each child of the place left of node 0) */
  DOMAIN_PERMUTATION,                   /* of `n` */
  DOMAIN_MATCHING,                      /* of `m` into `n` */
} DomainKind;

typedef struct Edge {
  uint32_t id;
  Sym name;
  Span span;
  IndexVec plates; /* enclosing plates, outermost first: one variable per value of them */
  DomainKind domain;
  Range range;     /* RANGE; may use plates, data and earlier edges */
  Term *m, *n;     /* structured domains: sizes as int terms (m only for MATCHING) */
  bool many_roots; /* TREE: roots = any */
  bool or_none;
  Term *where;     /* bool, or NULL */
  Weight *prior;   /* its first prior line; NULL: every copy is uniform over its support */
  VEC(Weight *) priors; /* all of them: c[0] and c[t] may have one each; a copy that none names is uniform */
  Infer *infer;    /* NULL: exact */
} Edge;

/* Structured domains have a node index behind those of the plates: up[n], perm[n], match[m]. */
static inline bool edge_is_structured(const Edge *e) {
  return e->domain == DOMAIN_TREE || e->domain == DOMAIN_PROJECTIVE_TREE || e->domain == DOMAIN_PERMUTATION ||
         e->domain == DOMAIN_MATCHING;
}
/* The root of a tree has no parent. */
static inline bool edge_has_none(const Edge *e) {
  return e->or_none || e->domain == DOMAIN_TREE || e->domain == DOMAIN_PROJECTIVE_TREE;
}
/* How many nodes a structure has. */
static inline Term *edge_nodes(const Edge *e) { return e->domain == DOMAIN_MATCHING ? e->m : e->n; }
static inline uint32_t edge_rank(const Edge *e) { return e->plates.n + (edge_is_structured(e) ? 1 : 0); }

typedef struct Latent {
  uint32_t id;
  Sym name;
  Span span;
  IndexVec plates, own, axes; /* a component is named by all of them, in this order */
  Weight *prior;              /* its first prior line; NULL: flat */
  VEC(Weight *) priors;       /* all of them, of different components; a component that none names is flat */
  bool has_prior_line;        /* of whatever kind, right or wrong */
  Infer *infer;
} Latent;

/* ---- weights ------------------------------------------------------------------------------------ */

typedef enum {
#define DIST(ID, name, n, on) DIST_##ID,
#include "model/dist.def"
#undef DIST
} Dist;

typedef enum { WEIGHT_PRIOR, WEIGHT_POTENTIAL, WEIGHT_OBSERVE, WEIGHT_REQUIRE } WeightKind;

/* One weight statement.  It stands for the product over its plates (and, for densities, over `axes`) of
 *   POTENTIAL  value, real and >= 0, linear space
 *   REQUIRE    value, bool: 1 or 0
 *   OBSERVE    the density or pmf of `left` under dist(params)
 *   PRIOR      on an edge: dist normalised over the support (weights, logits, ...: `left` is the bare edge
 *              term) or an exact pmf of the int term `left`; on a latent: the density of `left`, its component.
 * axes: the components of a vector on the left, independent (DIRICHLET: joint along the last). */
struct Weight {
  uint32_t id;
  WeightKind kind;
  Span span;
  IndexVec plates;
  Term *value;
  Dist dist;
  Term *left;
  TermVec params;
  IndexVec axes;
  Edge *edge;     /* PRIOR on an edge: the one it belongs to; the copy is that named in `left` */
  Term *edge_ref; /* PRIOR on an edge: the TERM_EDGE of that copy */
  Latent *latent; /* PRIOR on a latent */
};

/* ---- inference ---------------------------------------------------------------------------------- */

typedef enum {
  INFER_EXACT, INFER_MODE, INFER_SAMPLE, INFER_TOP, INFER_ENTMAX, INFER_SINKHORN, INFER_BETHE,
  INFER_COLLAPSED,
} InferMethod;
typedef enum { Q_POINT, Q_GAUSSIAN, Q_CONJUGATE } QKind;
typedef enum { STEP_AUTO, STEP_CLOSED, STEP_GRADIENT } StepKind;

/* One `infer` line.  Arguments not written hold their defaults (never NULL where the method has them). */
struct Infer {
  uint32_t id;
  Span span;
  InferMethod method;
  VEC(Edge *) edges;     /* all but COLLAPSED */
  VEC(Latent *) latents; /* COLLAPSED */
  Term *steps;           /* int: COLLAPSED, SINKHORN, BETHE */
  Term *n, *seed;        /* int: SAMPLE */
  Term *k;               /* int: TOP */
  Term *alpha;           /* real: ENTMAX */
  Term *tau;             /* real: SINKHORN */
  QKind q;
  StepKind step;
  Term *rate, *damping, *tol; /* real: COLLAPSED */
  VEC(Term *) init;           /* one a latent, NULL without; over the latent's own plates, own, axes */
};

/* Marginals from a routine that stops before they sum to 1: those of a permutation or matching.  f may be NULL. */
static inline bool infer_approximates(const Infer *f) {
  return f && (f->method == INFER_SINKHORN || f->method == INFER_BETHE);
}

/* ---- outputs ------------------------------------------------------------------------------------ */

typedef struct Out {
  uint32_t id;
  Sym name;
  Span span;
  IndexVec plates; /* it stands in */
  IndexVec slots;  /* the written layout: plates and own (OUTPUT) indices in any order */
  IndexVec axes;   /* trailing dimensions, from the value */
  Term *value;     /* over plates, slots, axes */
  ScalarType type; /* REAL, INT, BOOL */
  bool is_count;   /* a bare count(..): written as f8 in every build */
} Out;

/* ---- terms -------------------------------------------------------------------------------------- */

typedef enum {
#define OP(ID, name, arity, types) OP_##ID,
#include "model/op.def"
#undef OP
  OP_COUNT_
} OpKind;

typedef enum { REDUCE_SUM, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN } ReduceKind;

typedef enum {
  QUERY_E, QUERY_P, QUERY_MODE, QUERY_SAMPLE, QUERY_ENTROPY, QUERY_COUNT, QUERY_LOGZ, QUERY_KL, QUERY_ELBO, QUERY_PARAM,
  QUERY_SHARE, /* the derivation's own, infer/conditioned.c: Z of one chain over Z of another */
} QueryKind;

typedef enum {
  TERM_INT, TERM_REAL, TERM_BOOL, TERM_NONE,
  TERM_SIZE,   /* int */
  TERM_INDEX,  /* int: a bound variable */
  TERM_INPUT,  /* an element of data or param; indices: one a dimension (never a graph) */
  TERM_LET,    /* an element of a derived array; indices: plates, own, axes */
  TERM_EDGE,   /* int or none: the value of one copy; indices: edge_rank(edge) of them */
  TERM_LATENT, /* real: one component; indices: plates, own, axes */
  TERM_OP,     /* args */
  TERM_IF,     /* args[0] bool ? args[1] : args[2]; only the chosen side is evaluated */
  TERM_REDUCE, /* over `index`; args[0] the body */
  TERM_QUERY,
} TermKind;

/* Which copies entropy, kl and count are about: the leading indices fixed, those not given: all copies. */
typedef struct CopySet { Edge *edge; TermVec fixed; Span span; } CopySet;

/* Which number of q a LATENT term stands for.  VALUE is the variable itself, as models have it; the derivation writes
 * the others: E[z], Var[z], E[log z], E[log(1 - z)] under q. */
typedef enum { MOMENT_VALUE, MOMENT_MEAN, MOMENT_VARIANCE, MOMENT_LOG, MOMENT_LOG1M } Moment;

struct Term {
  TermKind kind;
  ScalarType type;
  Span span;
  union {
    int64_t integer;
    double real;
    bool truth;
    Size *size;
    Index *index;        /* INDEX; REDUCE */
    Input *input;
    Let *let;
    Edge *edge;
    Latent *latent;
    QueryKind query;
  };
  OpKind op;             /* OP */
  ReduceKind reduce;     /* REDUCE */
  bool wide;             /* INPUT, LATENT: its elements are f64 from here on, in every build */
  Moment moment;         /* LATENT; */
  bool fresh;            /* and: as far as the step under way has come, instead of before it */
  TermVec args;          /* indices of INPUT LET EDGE LATENT; arguments of the rest.
                            QUERY: E, P: the bracket; MODE, SAMPLE: one EDGE; ELBO: the step, or none;
                            PARAM: the LATENT component, then an INT literal (0 is the first);
                            SHARE: an EDGE of each chain, with any step, an INT, the first weight of the
                            event's; perhaps reals, the values beside the event and else */
  VEC(CopySet) copies;   /* QUERY ENTROPY, KL, COUNT */
  bool nonnegative;      /* proved >= 0 (or NaN) by the rule of nonneg.c; kept by the constructors, as are: */
  uint8_t mentions;      /* MENTIONS_* of the whole tree, ranges of reductions included */
  uint32_t depth;        /* levels of the tree, this one included */
  uint32_t nodes;        /* terms of the tree, a shared one counted at each use; saturates */
};

/* What a tree mentions.  FREE: outside every query. */
enum {
  MENTIONS_EDGE = 1, MENTIONS_FREE_EDGE = 2, MENTIONS_LATENT = 4, MENTIONS_FREE_LATENT = 8,
  MENTIONS_QUERY = 16, MENTIONS_INPUT = 32, MENTIONS_INDEX = 64, MENTIONS_LET = 128,
};

/* ---- the model ---------------------------------------------------------------------------------- */

typedef struct Model {
  Arena *arena;
  Interner *names;
  const Source *source;
  Sym name;
  Span span;
  VEC(Size *) sizes;
  VEC(Input *) inputs;
  VEC(Let *) lets;         /* in order of declaration: later ones may use earlier ones */
  VEC(Edge *) edges;       /* in order of declaration */
  VEC(Latent *) latents;
  VEC(Weight *) weights;   /* in order of the file, priors included */
  VEC(Infer *) infers;     /* in order of the file */
  VEC(Out *) outs;
  uint32_t index_count;    /* Index.id < index_count */
} Model;

/* Does no line put another distribution of the edges in the place of their posterior? */
static inline bool model_is_exact(const Model *m) {
  for (uint32_t i = 0; i < m->infers.n; i++)
    if (m->infers.at[i]->method != INFER_COLLAPSED && m->infers.at[i]->method != INFER_EXACT) return false;
  return true;
}

/* All models of one file, in order; those with errors are left out (the errors are in diags). */
typedef struct ModelFile { VEC(Model *) models; } ModelFile;

#endif
