/* pairs: how many (copy, value) pairs of a model's edges are live at given sizes and data.
 *
 * Live: what the domain and `where` leave.  Conditions that are affine in an edge are solved for the run of values that
 * they admit, others are tried value by value.  Copies are gone through one by one while that takes fewer than
 * PAIRS_STEPS trials, which makes the count exact; beyond, every plate is cut into as many runs of equal length as fit,
 * and the copy in the middle of a run stands for it.  That is the midpoint rule, the same at every call: for supports
 * with affine bounds its error is below 1e-4 of the count. */
#ifndef ATTN_DRIVER_PAIRS_H
#define ATTN_DRIVER_PAIRS_H

#include "driver/bind.h"
#include "driver/constant.h"

enum { PAIRS_STEPS = 4000000 };

typedef struct Pairs {
  Known known;
  const Inputs *in; /* NULL: data is not known, and conditions on it count as true */
  int64_t *edge;
  bool *has_edge;
  int64_t runs;     /* into which a plate is cut */
  uint64_t steps;
  bool exact;
} Pairs;

Pairs pairs_of(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in);
/* Joint values of the copies in these plates of the edges that t mentions; NULL: none.  A bit is one pair: its edge,
 * there or not. */
double pairs_count(Pairs *p, const IndexVec *plates, const Term *t);
/* lo .. hi at what is known, 0 where that is nothing. */
int64_t pairs_extent(Pairs *p, const Range *r, int64_t *lo);

#endif
