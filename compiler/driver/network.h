/* network: how the sum over a network goes at given sizes, before anything runs. */
#ifndef ATTN_DRIVER_NETWORK_H
#define ATTN_DRIVER_NETWORK_H

#include "driver/constant.h"
#include "infer/network_plan.h"

/* Of one of its outer copies: where data end plates, the one with most copies. */
typedef struct NetworkOrder {
  int64_t vars;
  double cells, kept,
      steps; /* numbers in the largest clique, in all tables that are kept, in all cliques; infinite: not known */
  int64_t copies;            /* in the largest clique, */
  const char *who;           /* which ones */
  bool fits;                 /* within what the runtime allows */
} NetworkOrder;

/* False: sizes and arrays that are known do not tell which copies the weights name. */
bool network_order_at(Arena *arena, const Plan *p, const Network *net, Known *known, NetworkOrder *to);
double network_outer_copies(const Network *net, Known *known);
/* What `attn explain` says of it, lines indented by 4. */
const char *network_words(Arena *arena, const Plan *p, const Network *net, Known *known);

#endif
