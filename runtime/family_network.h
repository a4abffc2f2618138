/* family_network: what the order, the sums and the picks of a network share; see family.h for what a network is. */
#ifndef ATTN_RT_NETWORK_H
#define ATTN_RT_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  NETWORK_MAX_SCOPE = 8, /* names in one factor */
  NETWORK_NOBODY = -2,
  NETWORK_MAX_CLIQUE = 24, /* variables of two or more values in one clique: more have more cells than MAX_CELLS */
  NETWORK_SEARCHES = 8, /* min-fill orders with ties broken at random, where there are few variables */
};
/* Cells of one clique, 32 MiB, and of all tables that are kept, 128 MiB twice: what a machine has beside the arrays. */
#define NETWORK_MAX_CELLS ((double)(1 << 22))
#define NETWORK_MAX_KEPT ((double)(1 << 24))

/* Memory is taken from the caller's work space; `lacking`: there was not enough. */
typedef struct NetworkWork { double *next; int64_t left; bool lacking; } NetworkWork;

void *attn_rt_network_take(NetworkWork *w, int64_t count, size_t bytes);

/* A network as it is given, and how its variables are put in order.  Variables of fewer than two values, and those
 * that are held, are in no clique. */
typedef struct NetworkGraph {
  int64_t vars, groups, factors, names;
  const int64_t *group;  /* [groups, 4]: factors, names of each, is it a prior, cells of each */
  const int64_t *dims;   /* [groups, NETWORK_MAX_SCOPE]: values of each name */
  const int64_t *scope;  /* names of all factors, -1: the factor is absent, NETWORK_NOBODY: a name without variable */
  const int64_t *var;    /* [vars, 3]: values, two keys; values below 0: see family.h */
  const double *table;   /* of all factors */
  int64_t *held;         /* [vars] the value that it is held at, -1: it is not; NULL: none is */
  /* order.c */
  int64_t *size;         /* [vars] values; 1: held */
  int64_t *order, *at;   /* variables in the order of their elimination; the inverse */
  int64_t *first,
      *len; /* of the separator of every variable in `member`: those that its table mentions, last eliminated first */
  int32_t *member;
  double *scratch;
  double cells, kept, steps; /* of the largest clique, of all separators, of all cliques */
  int64_t clique;        /* variables in the largest clique, */
  int32_t *in_clique;    /* and who they are */
  int64_t widest; /* variables that a clique may have; 0: NETWORK_MAX_CLIQUE, as all but a look at the order needs */
} NetworkGraph;

static inline bool network_is_place(const NetworkGraph *net, int64_t v) { return net->var[3 * v] < 0; }

/* How many marginals there is room for. */
static inline int64_t network_marginals(const NetworkGraph *net, int64_t v) {
  return network_is_place(net, v) ? ~net->var[3 * v] : net->var[3 * v];
}

/* One factor: its place among scopes and tables. */
typedef struct NetworkFactor { const int64_t *scope, *dims; int64_t names, table, cells; bool is_prior; } NetworkFactor;
typedef struct NetworkFactors { const NetworkGraph *net; int64_t group, in_group, scope, table; } NetworkFactors;

/* Goes through the factors that are there; false: no more. */
bool attn_rt_network_next(NetworkFactors *f, NetworkFactor *to);

/* False: no order was found within the limits; cells, kept, steps and clique then say what the best one takes. */
bool attn_rt_network_order(NetworkGraph *net, NetworkWork *work);

#endif
