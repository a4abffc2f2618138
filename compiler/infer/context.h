/* context: what is known at a point of the derivation.  Shared by the chapters of this folder only.
 *
 * A Context is copied freely: its lists are immutable chains, extended at the head.
 *
 *   bound      values of the index variables in sight
 *   known      values of edge copies: those streamed over, drawn, or at their mode
 *   decisions  which copies of a component, named by different index values, have been taken to be the same copy, or
 *              nodes of the same structure, or not (both cases of a coincidence are derived); what follows from
 *              them is not decided again: a case that contradicts them is not derived
 *   unlost     what would say that names of copies have a none in them, in the case that they have not
 *   points     the lines whose edges have values, all copies at once (point.c)
 *   guard      the condition under which what is evaluated here matters: checks fail only where it holds
 *   used_none  not NULL: evaluation is that of a weight; becomes true where a `none` edge is used
 *
 * Laws are stated at the head of each file. */
#ifndef ATTN_INFER_CONTEXT_H
#define ATTN_INFER_CONTEXT_H

#include "infer/plan.h"
#include "ir/build.h"

/* The value of an int term that may be none.  none: bool, 0: never. */
typedef struct Choice { Val v, none; } Choice;

typedef struct Copy { Component *c; Val *at; } Copy; /* one copy of a component: a value for each plate */

/* One that a query names. fixed: leading indices that are written. */
typedef struct NamedCopy { Copy copy; Edge *edge; uint32_t fixed; } NamedCopy;
typedef VEC(NamedCopy) NamedCopies;

typedef struct BoundIndex {
  Index *index;
  Val v;
  Region *region;  /* in which v is defined */
  Val lo, hi;      /* of its loop */
  bool carryable;  /* a plain loop (an output's index, an axis, a written sum): may become an axis that a
                      reduction carries; not so the values of an edge */
  struct BoundIndex *next;
} BoundIndex;

typedef struct Known {
  Component *c;
  Edge *edge;
  Val *copy; /* index values of the copy, one a plate */
  Choice value;
  Val draw; /* of which draw that is its value; 0: of none */
  bool unsure; /* perhaps there is no such copy: to use its value is then an error */
  struct Known *next;
} Known;

/* The index values agree, or do not: of all plates, or, `of_one`, of those that tell copies of one structure, chain or
 * network from those of others. */
typedef struct Decision {
  const Component *c; /* of_one: what stands for the whole of them, whole_of */
  Val *x, *y;
  bool of_one;
  bool same;
  struct Decision *next;
} Decision;

/* Of a case that is derived for names without a none: what says that there is one. */
typedef struct Unlost {
  Val none;
  const struct Unlost *next;
} Unlost;

/* All copies of an `infer` line's edges have a value: that of their mode, or of one of its draws. */
typedef struct Point {
  const Infer *infer;
  Val seed, draws, draw; /* draw: which of them; 0: the mode */
  const struct Point *next;
} Point;

/* Every pair of copies that may coincide doubles the cases of an expectation; a kernel this long takes LLVM some
 * ten seconds. */
enum { DERIVE_MAX_INSTRS = 1 << 16 };
/* Cases that add nothing to the kernel take time all the same: steps along lists of decisions, a second of them in all.
 */
enum { DERIVE_MAX_STEPS = 200000000 };

typedef struct Memo Memo;
typedef struct Solved Solved;
typedef struct Given Given;
typedef struct Picked Picked;
typedef struct Replaced Replaced;
typedef struct Iteration Iteration;

typedef struct Derive {
  Arena *arena;
  Plan *plan;
  const Model *m;
  Builder b;
  Array **inputs;    /* by Input.id; for a graph the indptr array, */
  Array **neighbours; /* and here its indices */
  Array **lets;      /* by Let.id: stored arrays, NULL until first needed; let_count of them */
  uint32_t let_count;
  Memo *memos;
  Region *stage;     /* where results for every copy are put: the kernel's top, or the step of inference under way */
  Iteration *iteration; /* infer/iterate.c; NULL: no latents */
  bool keep_sums;    /* log Z of every copy by a parallel loop over the copies, also where it is asked for once */
  struct ChainTables **chains; /* by Component.id; NULL until first needed */
  struct ChainUse *uses;       /* by Component.id */
  Solved *solved;    /* structures whose marginals are there, */
  struct NetworkStages *networks;     /* the same of networks, */
  struct NetworkPicked *network_picks; /* and their heaviest values or draws */
  Picked *picked;    /* and heaviest values or draws */
  Given *given;      /* what is known of nodes, others being given */
  Replaced *replaced; /* probabilities in place of posteriors */
  struct Sticks *sticks; /* stick.c: what is left of sticks */
  const IndexVec *plates; /* of the output being derived */
  Val seed;          /* of sample() queries; 0: not yet needed */
  bool failed;       /* a refusal was added on the way */
  uint32_t steps;    /* of DERIVE_MAX_STEPS */
  uint32_t stages;   /* states that the latents have had; see stage_number */
} Derive;

typedef struct Context {
  Derive *d;
  BoundIndex *bound;
  Known *known;
  Decision *decisions;
  const Unlost *unlost;
  const Point *points;
  Val guard;      /* 0: true */
  Val *used_none; /* see above */
  bool sizes;     /* in what sizes alone decide: reals are wide */
} Context;

#define B(x) (&(x)->d->b)

/* ---- context.c ------------------------------------------------------------------------------------------ */

Val refuse_query(const Context *x, Span span, const char *why);
Val refuse_query_hint(const Context *x, Span span, const char *why, const char *hint);
/* Evidence that stands in plates which hold only some of the joined copies of c. */
Val refuse_partly_outside(const Context *x, Span span, const Component *c);
Context with_index(const Context *x, Index *i, Val v, Val lo, Val hi, bool carryable);
Context with_guard(const Context *x, Val cond);
BoundIndex *find_bound(const Context *x, const Index *i);
/* Is everything that x knows, beside loop variables, known in the outer region r too? */
bool context_holds_in(const Context *x, const Region *r);
/* Would computing something that depends on these values here be repeated by a loop around whose
 * variable none of them depends on? */
bool is_redundant(const Context *x, uint32_t n, const Val *v);

/* ---- within.c ------------------------------------------------------------------------------------------- */

/* Is `v` known to lie in 0 .. n for all values of the loops around? */
bool provably_below(const Context *x, Val v, Val n);
bool provably_within(const Context *x, Val v, Val lo, Val hi); /* in lo .. hi, and not negative */
/* a - b where that is a constant whatever the rest is. */
bool constant_distance(const Kernel *k, Val a, Val b, int64_t *d);

/* ---- eval.c: terms to values --------------------------------------------------------------------------- */

/* The value; a none is consumed: 0 in a query, noted in used_none in a weight. */
Val eval(Context *x, const Term *t);
/* The value and whether it is none, for those that pass it on. */
Choice eval_choice(Context *x, const Term *t);

/* ---- element.c ------------------------------------------------------------------------------------------ */

/* Bounds made of sizes alone: they do not change while the kernel runs. */
bool has_fixed_bounds(const Index *i);
bool contains_reduce(const Term *t); /* perhaps in an array that it reads */

/* ---- steps.c: room, where data say how many copies there are (plan_room) --------------------------------- */

Val eval_room(Context *x, const TermVec *room); /* int: the largest of these sizes */
/* An index error at `of`, the term that ends lo .. hi, where that is not empty and hi is above the room. */
void check_room_for(Context *x, const TermVec *room, const Term *of, Val lo, Val hi);
/* Likewise where they begin before there is room, at `least`. */
void check_begin(Context *x, const Term *of, Val least, Val lo, Val hi);

/* ---- reduce.c: ranges, and what reduces over them ------------------------------------------------------- */

/* row: RANGE_ROW, values are row[position].  none: bool, a bound is none: the range is then empty, and what reduces
 * over it is 0, not its neutral element; 0: never. */
typedef struct Bounds { Val lo, hi; Array *row; Val none; } Bounds;
Bounds eval_range(Context *x, const Range *r);
/* build_open for a loop whose Loop.span is the place of the index or edge it runs over: that is how later stages
 * name loops.  The span of what is built next is not changed. */
Loop *open_loop(const Context *x, LoopKind kind, Span of, Val lo, Val hi);
/* sum.c: an index error where v is not stored in the row. */
void check_stored(Context *x, Val v, const Bounds *r);
/* The variable of a range at a position of its loop. */
Val range_value(Context *x, const Bounds *r, Val position);
/* reduce over a range with a plain body; fn gives the contribution of one iteration, and may be asked twice: in a
 * weight, a none that is used at some iterations alone (beside an `if`) is used where there is one of them. */
typedef void (*ContributeFn)(Context *x, void *arg, Contribution *c);
Val reduce_over(Context *x, Index *i, AccKind kind, IrType type, ContributeFn fn, void *arg);
/* The reduction t with fn (given the body) in place of evaluating its body. */
Val reduce_term(Context *x, const Term *t, IrType type, ContributeFn fn);
/* v, the result of a reduction over the range, or 0 where a bound of that is none. */
Val zero_where_none(Context *x, const Range *r, Val v);

/* ---- home.c: weights that name other copies than the one they stand in ------------------------------------ */

/* x binds the plates to `home`.  The statement's indices bound, its references known by their own names where the
 * copies are known; *active: bool, there is an instance whose home this copy is (0: always). */
Context at_home(const Context *x, Copy home, const Reach *r, Val *active);
Val reach_meets(Context *x, Copy home, const Reach *r); /* *active alone */
Copy lagged_copy(Context *x, Copy copy, int64_t lag);   /* of a chain: `lag` steps before */
/* An error where it names a copy along the chain that does not exist; x binds the other plates to those of the copy. */
void check_reach(Context *x, Copy copy, const Reach *r);

/* ---- weigh.c: log weights ------------------------------------------------------------------------------ */

Val log_weight(Context *x, const Term *t);           /* L[t]; NaN where t < 0 */
bool logs_keep(const Term *t);                       /* of a sum's terms: more than values do.  separate.c */
Val factor_log(Context *x, Component *c, const Factor *f); /* at the values known in x */
/* SUPPORT, PRIOR, NORMALISER, and a pmf with the product over its reach's `beyond`, of a copy whose plates x binds. */
Val owned_factor_log(Context *x, Copy owner, const Factor *f);
Val range_count(Context *x, const Edge *e); /* int: the size of a range without `where`, none included */
Val weight_log(Context *x, const Weight *w, const IndexVec *plates); /* product over the plates beyond `plates` */
Val weight_statement(Context *x, const Weight *w); /* where all its plates are bound */
/* The product over the list of what fn gives at each point. */
typedef Val (*StatementFn)(Context *x, const Weight *w, void *arg);
Val weight_log_each(Context *x, const Weight *w, const IndexVec *list, StatementFn fn, void *arg);
Val weight_over(Context *x, const Weight *w, const IndexVec *indices);  /* product over the indices */

/* ---- density.c ------------------------------------------------------------------------------------------ */

Val log_density(Context *x, Dist dist, Val left, const Val *params); /* log pdf or pmf */
/* joint along the last axis: log density of left[index] with concentration alpha[index] */
Val log_dirichlet(Context *x, const Weight *w);
/* normal.c: of a vector, where the spread is the same for all of the last axis (has_common_spread) */
bool has_common_spread(const Weight *w);
Val log_normal_vector(Context *x, const Weight *w);

/* ---- sum.c: streaming over the values of one edge ------------------------------------------------------- */

/* One reduction over the values of an edge of a copy.  fn is called in the context of a value, for the body and for
 * `none`.  axes: carried. */
Acc *stream_edge(Context *x, Copy copy, Edge *e, AccKind kind, IrType type, uint32_t naxis, const Axis *axes,
                 ContributeFn fn, void *arg);
/* log weight of a node at the values known, everything below it summed (or maximised) out; in a chain the log weight of
 * all its copies that are known, up to a constant that depends on which they are */
Val node_log(Context *x, Copy copy, const Node *n, bool maximise);
Val node_sum(Context *x, Copy copy, const Node *n);     /* log sum over the node's edge and all below */
typedef struct Split { Val max, mass; } Split; /* log sum = max + mass */
Split node_split(Context *x, Copy copy, const Node *n); /* of node_sum */
Val copy_log_sum(Context *x, Copy copy); /* over all edges, without the constants; stored if worth it; of a
                                            chain: 0 if it is finite */
Val copy_log_constant(Context *x, Copy copy);           /* factors that mention no edge: normalisers, as a log */
Val copy_has_value(Context *x, Copy copy);              /* bool: by its own weights one has weight (or NaN) */
Val copy_exists(Context *x, Copy copy);                 /* bool: and so has what a weight as a whole joins it to */
bool factor_may_fail(const Factor *f); /* is evaluating it perhaps an error? */
bool factor_fails_by_edges(const Factor *f); /* does that depend on the values of edges? */
Context with_known(const Context *x, Copy copy, Edge *e, Choice value);
const Known *find_known(const Context *x, const Component *c, const Edge *e, Val *copy);
/* Of all index values that name the same copy, those that stand for it: decisions are an equivalence, and each joins
 * two that stood for themselves. */
Val *named_copy(const Context *x, const Component *c, Val *at);
/* The index values `other` name the copy `at`, whatever they look like. */
Context with_same_copy(const Context *x, Component *c, Val *other, Val *at);
bool same_copy(const Context *x, const Component *c, Val *a, Val *b);
/* Nodes of a structure, copies of a chain and those of a network belong to one exactly where the indices of some of
 * their plates agree: is k one of these?  Of other components: all. */
bool tells_apart(const Component *c, uint32_t k);
bool is_joined_to_others(const Component *c); /* is it a structure, a chain, part of a network? */
const Component *whole_of(const Component *c); /* the first part of a network; else itself */
bool are_of_one(const Context *x, Copy a, Copy b);    /* are they known to be of one of these? */
bool may_be_of_one(const Context *x, Copy a, Copy b); /* coincide.c */
Copy own_copy(Context *x, Component *c);
/* The index value that names a copy: any will do where it is none, for nothing is made of it. */
Val index_of_copy(Context *x, Choice named);
/* Values of the leading indices of a copy of e, into `at`: checked, for a plate 1..T has no copy 0. */
void copy_indices(Context *x, const Edge *e, const TermVec *args, Val *at);
/* The copy an edge reference names; its index values are checked. */
Copy copy_of(Context *x, const Term *edge_ref);
/* Is the plate a chain's along the neighbours of a node?  Copy.at there is the place in the graph's list. */
bool is_along_row(const Component *c, uint32_t plate);
/* Copy.at of the value v of the plate's index; the plates before it are bound in x. */
Val place_along(Context *x, const Component *c, uint32_t plate, Val v);
/* The same of all plates. */
void places_along(const Context *x, const Component *c, Val *at);
/* The value of the plate's index. */
Val index_along(const Context *x, Copy copy, uint32_t plate);
Context in_copy(const Context *x, Copy copy); /* the plates stand for the copy's index values, nothing else is bound */
/* Is `value` in the edge's support? bool */
Val in_support(Context *x, Copy copy, Edge *e, Choice value);

/* ---- bond.c: what a weight that was split joins ----------------------------------------------------------- */

/* bool: has all a value that such a weight joins the copy to, itself included?  0: there is no such weight. */
Val bond_holds(Context *x, Copy copy);
Val bond_holds_along(Context *x, Copy copy, uint32_t step); /* of all copies along the plate */
Val where_bond_holds(Context *x, Copy copy, Val v, int otherwise);

/* ---- point.c: values of all copies at once --------------------------------------------------------------- */

const Point *point_of(const Context *x, const Component *c); /* NULL: its copies have no such values */
Choice point_value(Context *x, const Point *p, Copy copy, Edge *e); /* none where the copy has no weight */

/* ---- expect.c: E and P ---------------------------------------------------------------------------------- */

Val expectation(Context *x, const Term *bracket);

/* ---- query.c: all other queries -------------------------------------------------------------------------- */

Val query(Context *x, const Term *t);
/* The joint mode or draw of a copy: value of edge e, -1 as `v` where empty, none separately. */
Choice mode_value(Context *x, Copy copy, Edge *e);
Choice draw_value(Context *x, Copy copy, Edge *e, Val seed, Val draw);
/* The Gumbel variable of a value in a draw. */
Val gumbel_variable(Context *x, Copy copy, const Edge *e, Val seed, Val number, Choice value);

/* log evidence of what lies wholly in the plates one stands in (Derive.plates), and with `entropy` H[q]: F */
Val model_evidence(Context *x, bool entropy, Span span);

/* ---- iterate.c: latents ---------------------------------------------------------------------------------- */

/* The loops of inference, at the top of the kernel; then the latents stand at their final q. */
void derive_iteration(Derive *d);
/* The array of the number of q that a LATENT term asks for. */
Array *latent_array(const Derive *d, const Term *t);
Val latent_entropy(Context *x, const IndexVec *plates);
Val query_elbo(Context *x, const Term *t);
Val query_param(Context *x, const Term *t);

/* ---- memo.c: results kept for every copy of a component ----------------------------------------------- */

/* The array, over the component's plates then `axes`, of fn at each copy; made once for equal keys.  NULL when
 * the plates have bounds that are not known at the start of the kernel. */
typedef Val (*MemoFn)(Context *x, Copy copy, void *arg);
Array *memo(Context *x, Component *c, const void *key, const Term *term, const IndexVec *axes, StoreType elem,
            MemoFn fn, void *arg);
/* Where arrays of a component are filled: the top, or the stage if it depends on latents.  The arrays are the kernel's.
 */
Region *stage_of(const Derive *d, const Component *c);
/* An array that was made for a term: NULL if there is none yet; staged: it depends on latents. */
Array *kept_array(const Derive *d, const Term *of);
void keep_array(Derive *d, const Term *of, Array *a, bool staged);
/* What is kept of a component holds at this number: of the state of the latents if it depends on them, else 0. */
uint32_t stage_number(const Derive *d, const Component *c);
void forget_stage(Derive *d); /* a new state of the latents: the next number; what is kept without one is dropped */
Val memo_load(Context *x, Array *a, Copy copy, const IndexVec *axes);

#endif
