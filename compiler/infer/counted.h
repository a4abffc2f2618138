/* counted: what in a bracket is a function of counts, sums of whole numbers over copies that a chain can count. */
#ifndef ATTN_INFER_COUNTED_H
#define ATTN_INFER_COUNTED_H

#include "infer/plan.h"

/* The component of e whose copies a chain may count; NULL: they are of another kind, or not exact. */
Component *countable(const Plan *p, const Edge *e);
/* Is t a sum that a chain can count?  Its component, and along which plate; NULL: it is not. */
Component *counted(const Plan *p, const Term *t, uint32_t *step);
bool has_count(const Plan *p, const Term *t);
/* Is there a function of counts in t that is no sum of products of copies, nor a product over copies? */
bool is_hard(const Plan *p, const Term *t);
/* The first reference in t outside of counts; NULL: none. */
const Term *beside_counts(const Plan *p, const Term *t);
/* Is it proved that each of its copies has a value with weight? */
bool always_exists(const Component *c);
bool mentions_component(const Component *c, const Term *t);

/* The counts of several terms. */
typedef struct Counts {
  const Plan *p;
  Component *c;
  uint32_t step;
  const Term *sum; /* one of them */
  bool several;    /* sums; */
  bool apart;      /* there are some that are not of one component, or plate */
} Counts;

void find_counts(Counts *s, const Term *t);
/* Has the law of this one count all that is asked beside others (convolve.c)? */
bool is_convolved(const Counts *s, const TermVec *others);

/* t with counts of all copies of the plate in place of those of some: sum(q in lo..hi) b[q] is the sum over the plate
 * of (if lo <= q and q < hi then b[q] else 0), where lo..hi is proved to lie in it.  What is not counted is to have a
 * value all the same: of copies that may be apart only where it is proved to. */
Term *counts_of_all(const Plan *p, const Component *c, uint32_t step, Term *t);

#endif
