/* along: how a chain is summed, in words. */
#ifndef ATTN_EXPLAIN_ALONG_H
#define ATTN_EXPLAIN_ALONG_H

#include "explain/formula.h"

/* What a component's copies that are joined along a plate make: the plates beside it, what one step joins, what is kept
 * from step to step, what a pass costs.  Requires c->chain. */
typedef struct Along {
  const char *step;  /* "t in T" */
  IndexVec beside;
  TextVec joined;    /* c[t], c[t - 1], the count of ... */
  TextVec state;
  TextVec asked;     /* "weighted by ..": weights that a question adds (infer/twin.h) */
  TextVec counts;    /* "sum(j in N) a[i, j], up to K" */
  const char *work;  /* values that a pass looks at: "T * L * L" */
  const char *kept;  /* numbers of one table of messages: "(T + 1) * L" */
} Along;

Along along_of(const Facts *f, const Component *c);

#endif
