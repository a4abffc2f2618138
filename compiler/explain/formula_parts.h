/* formula_parts: how a term is said where some of its references are letters; for formula.c and formula_query.c. */
#ifndef ATTN_EXPLAIN_FORMULA_PARTS_H
#define ATTN_EXPLAIN_FORMULA_PARTS_H

#include "explain/formula.h"

typedef VEC(const Term *) RefVec;

typedef struct Say {
  const Facts *f;
  const Component *letters; /* copies of this component stand as letters; NULL: own copies are bare */
  RefVec known;             /* references that stand as letters inside an expectation */
  const Term *root;         /* a query here needs no brackets */
  const IndexVec *axes;     /* left off everywhere; NULL: none */
} Say;

void say_term(Say *s, const Term *t, const IndexVec *axes, FILE *to); /* axes: left off; NULL: those of s */
const char *say_letter(const Say *s, const Term *t); /* of a reference; NULL: it has none */
void say_reference(Say *s, const Term *t, FILE *to);
void say_query(Say *s, const Term *t, FILE *to); /* written out; formula_query.c */
/* P[phi exists], for E[phi == phi]; returns whether the query is that. */
bool say_existence(Say *s, const Term *t, const char *open, const char *close, FILE *to);

#endif
