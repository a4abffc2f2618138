/* formula: terms, posteriors and queries as text for readers.
 *
 * A value of an edge gets a letter of its own (phi[i] = j), so that E[v[phi]] can be written out as
 * sum_j p(phi[i] = j) * v[j].  The laws used are those of expectation: linear over sums, constants out, bits as
 * probabilities; they hold for the model whatever order the kernel takes. */
#ifndef ATTN_EXPLAIN_FORMULA_H
#define ATTN_EXPLAIN_FORMULA_H

#include "explain/facts.h"

typedef VEC(const char *) TextVec;

/* A term as one would write it in the model, but for P[phi exists]: the copy one stands in is bare.  axes: left off;
 * NULL: none. */
const char *plain_text(const Facts *f, const Term *t, const IndexVec *axes);
const char *room_text(const Facts *f, const TermVec *room); /* the largest of these sizes */
const char *range_text(const Facts *f, const Range *r);
const char *edge_ref_text(const Facts *f, const Edge *e); /* phi[i] */
const char *weight_text(const Facts *f, const Weight *w); /* "weighted by exp(...)" */
const char *prior_text(const Facts *f, const Edge *e);    /* "uniform", "logits(-slope * (i - phi))" */
/* "one of M keys j in 0 .. N-1 ..." without the edge's name */
const char *support_text(const Facts *f, const Edge *e);
/* How a structure is summed, and what that costs; lines indented by 4.  family.c */
const char *family_text(const Facts *f, const Component *c);
const char *infer_text(const Facts *f, const Infer *i);   /* what replaces the exact posterior */

typedef struct Posterior {
  const char *left;   /* "p(phi[i] = j | x)" */
  TextVec factors;    /* of the right side */
  const char *values; /* "j in N with j <= i" */
  const char *log_z;  /* "log Z[i] = ..." */
  bool is_joint;      /* copies are joined: the formula is about all of them */
} Posterior;

Posterior posterior_of(const Facts *f, const Component *c);
/* The right side of an output, queries written out. */
const char *out_text(const Facts *f, const Out *o);

#endif
