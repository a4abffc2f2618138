/* demand: what the uses of an input ask of its values. */
#ifndef ATTN_ORACLE_DEMAND_H
#define ATTN_ORACLE_DEMAND_H

#include "oracle/oracle.h"

typedef enum {
  ROLE_FREE,
  ROLE_POSITIVE,
  ROLE_PROBABILITY,
  ROLE_SIMPLEX, /* positive, sums to 1 along the last dimension */
  ROLE_BINARY,  /* 0 or 1 */
  ROLE_COUNT,   /* 0, 1, 2, ... */
  ROLE_DIVISOR, /* not 0 */
} Role;

/* Value < limit, or <= where inclusive.  The limit is an int term over sizes. */
typedef struct Limit { const Term *term; bool inclusive; } Limit;

typedef struct Demand {
  Role role;
  VEC(Limit) limits; /* ints */
  bool sorted;       /* bounds of neighbouring ranges: rises along the last dimension */
} Demand;

/* One a model input, by Input.id. */
Demand *draw_demands(Arena *arena, const Model *m);

#endif
