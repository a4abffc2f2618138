/* measure: E[f g] = Z(f) / Z  E_f[g] as a term, f a function of counts of one component. */
#ifndef ATTN_INFER_MEASURE_H
#define ATTN_INFER_MEASURE_H

#include "infer/counted.h"
#include "infer/twin.h"

/* A twin, and the parts of the f that it has. */
typedef struct Made {
  Twin w;
  const TermVec *f;
  struct Made *next;
} Made;

/* Rewriting the brackets of a plan's outputs. */
typedef struct Asked {
  Plan *p;
  Model *m;       /* with twins; NULL: none yet */
  Made *made;     /* those of the query under way */
  Term *where;    /* the condition under which it is asked; NULL: always */
  Span span;      /* of the query */
  uint32_t given; /* how many copies have got a value */
} Asked;

/* E of the product of factors, which may have twins of their own; NULL: it is not compiled.  conditioned.c. */
Term *mean_of_factors(Asked *s, const TermVec *factors);

/* E[f g], f and g products: f of the counts k alone, g of anything but those. NULL: there is no such twin. */
Term *measured_by_sign(Asked *s, const Counts *k, const TermVec *factors, const TermVec *g);

/* A part of f as it is to be for a twin, which has places that the output asks nothing of. */
Term *where_asked(const Asked *s, Term *part);

/* The product as a real, and E of it; P where all factors are conditions. */
Term *real_product(Arena *arena, const TermVec *factors, Span span);
Term *query_of(const Asked *s, const TermVec *factors);

#endif
