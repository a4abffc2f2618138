/* live: how many (copy, value) pairs a support admits, by counting, where indices and sizes alone decide it. */
#ifndef ATTN_EXPLAIN_LIVE_H
#define ATTN_EXPLAIN_LIVE_H

#include "model/model.h"

/* Pairs that range and `where` admit, and all pairs of the domain that the loops visit.  Counted over the plates
 * that the support mentions (the others repeat it). */
typedef struct Live { int64_t admitted, visited; } Live;

/* Does the support of e cut its range, by a condition of indices and sizes alone? */
bool live_is_countable(const Edge *e);
/* False: a size is not known, or there are too many pairs to count. */
bool live_count(const Model *m, const Edge *e, const int64_t *sizes, Live *live);

#endif
