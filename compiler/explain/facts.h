/* facts: what can be read off a kernel: its loops by name, what it costs, what was shared and moved.
 *
 * Nothing here looks at the model's form: a cost is a count of instructions times the trips of the loops around
 * them, a hoisted value is one used in a deeper loop than it is computed in, outputs share a stream when both
 * reach its accumulators.  Text and JSON are two printers of the same facts. */
#ifndef ATTN_EXPLAIN_FACTS_H
#define ATTN_EXPLAIN_FACTS_H

#include "explain/poly.h"
#include "infer/plan.h"
#include "ir/ir.h"

/* Operations on floating values, by what they cost; index arithmetic is not counted. */
typedef struct Cost {
  Poly contraction;    /* useful flop: 2 a multiply-add of dot products and of carried vectors */
  Poly arithmetic;     /* other additions, multiplications, minima, maxima */
  Poly division;       /* divisions and square roots */
  Poly transcendental; /* exp, log, tanh, ... */
  Poly selection;      /* comparisons, logic, selects */
} Cost;

typedef struct CostItem { Poly flops; const char *what; } CostItem;

typedef struct Legend { const char *symbol, *meaning; } Legend;

/* One pass over the values of an edge. */
typedef struct Stream {
  const Loop *loop;
  Edge *edge;
  const char *under; /* "i": names of the loops around, "" at top */
  const Loop *outer; /* the stream around it, NULL: none */
  Poly trips;        /* of the edge's loop, once */
  Poly runs;         /* how often the pass is made */
  bool *feeds;       /* by Out.id */
  const char **carries; /* what it accumulates, in words, one an accumulator of its loop */
} Stream;

typedef struct Hoist { const char *what, *where, *used; bool is_reduction; } Hoist;

typedef struct Kept {
  const Array *array;
  const char *name, *what; /* what: the stored value */
  const Let *let;          /* NULL: results kept for every copy */
  Poly elements, bytes;
  bool is_pairwise;        /* as large as copies times domain of some edge */
} Kept;

/* A stream over products of sums, and whether its sums may change places. */
typedef struct Order {
  Edge *edge;
  const char *rows;      /* name of the loop around */
  const char *why;       /* NULL: they may; else why not */
  int support;           /* Support of ir/reassociate.h */
  const char *chunk;     /* the length of a part, and what is cut into parts; NULL: one state is all */
  const char *parts;
  Poly direct, reordered; /* multiply-adds */
  Poly numbers;          /* of 8 bytes, kept where the order is changed */
} Order;

typedef struct LoopName { Span span; const char *name; Edge *edge; } LoopName;
typedef struct AxisBounds { Val lo, hi; } AxisBounds;

typedef struct Facts {
  Arena *arena;
  const Model *m;
  const Plan *plan;
  const Kernel *k;      /* NULL: refused; then only names and sizes are there */
  const int64_t *sizes; /* by Size.id; -1: not known */
  const struct ExplainBuild *build; /* NULL: not asked for */
  const struct Facts *built;        /* of ExplainBuild.k */
  bool all_sizes;
  PolyTable polys;
  VEC(LoopName) names;
  Poly **int_polys;     /* by Val; NULL: not computed yet */
  AxisBounds *axis;     /* by Val: bounds of an axis variable */
  const Acc **acc_of;   /* by Val: the accumulator whose result it is */
  const Acc **acc_at;   /* by Array.id: the accumulator that fills it */
  const Loop **loop_at; /* by Array.id: its loop */

  Cost cost;
  Cost step;            /* of one step of inference */
  bool has_steps;
  VEC(CostItem) items;  /* of the contractions */
  bool is_bound;        /* some loop's length was replaced by its largest */
  bool is_masked;       /* some loop has a condition: not all its iterations count */
  VEC(Legend) legends;  /* symbols of the formulas that are no sizes */
  Poly bytes_read, bytes_written, bytes_kept;
  Poly row_numbers;     /* what one copy's streams accumulate, in numbers of 8 bytes */
  VEC(Stream) streams;
  VEC(Hoist) hoists;
  VEC(Kept) kept;
  VEC(Order) orders;
} Facts;

/* k may be NULL.  All results live in the arena. */
Facts *facts_of(Arena *arena, const Model *m, const Plan *plan, const Kernel *k, const int64_t *sizes);

/* ---- shared by the chapters ---------------------------------------------------------------------------------- */

/* expr.c */
const char *loop_name(const Facts *f, const Loop *l);
Edge *loop_edge(const Facts *f, const Loop *l);
const char *value_text(const Facts *f, Val v);           /* an expression, with names of the model */
const char *acc_text(const Facts *f, const Loop *l, const Acc *a); /* "mean of v[phi, c]" */
const char *loops_text(const Facts *f, const Region *r); /* names of the loops around: "i, phi" */

/* trip.c */
Poly size_poly(Facts *f, const Term *t); /* of an int term over sizes; a name of its own for anything else */
Poly int_poly(Facts *f, Val v);
Poly loop_trips(Facts *f, const Loop *l); /* sets is_bound */
Poly array_elements(Facts *f, const Array *a);
uint32_t store_bytes(StoreType t);       /* real counted as f32 */

/* cost.c, flow.c, order.c */
void count_cost(Facts *f);
void count_memory(Facts *f);
void find_streams(Facts *f);
void find_hoists(Facts *f);
void find_orders(Facts *f);

#endif
