/* network_sum: tables of a network, in the order of elimination; see network.c. */
#ifndef ATTN_RT_NETWORK_SUM_H
#define ATTN_RT_NETWORK_SUM_H

#include "family_network.h"

/* The ints of a routine, in order; N_DRAWS: of draws alone. */
enum { N_VARS, N_GROUPS, N_NAMES, N_CELLS, N_JOINT, N_MARGINALS, N_HELD, N_RING, N_WORK, N_DRAWS };

typedef enum { NETWORK_SUM, NETWORK_MAX, NETWORK_COUNT } NetworkRing;

/* What a variable's clique is the product of: a factor, or the table of a variable eliminated before. */
typedef struct NetworkSource {
  const double *table;
  const int64_t *dims; /* of a factor: values of its names */
  int64_t scope;    /* of a factor: its place among the scopes; of a table: -1 - variable */
  int32_t names, next; /* of the same clique; -1: the last */
  bool is_prior;
  double shift;     /* of a factor: what its log weights are taken relative to */
} NetworkSource;

/* A source seen from a clique: where in it the values of the clique's variables are. */
typedef struct NetworkView { int64_t start, stride[NETWORK_MAX_CLIQUE + 1]; } NetworkView;

typedef struct NetworkSums {
  NetworkGraph net;
  NetworkRing ring;
  NetworkSource *source; /* factors first */
  int32_t factors;
  int32_t *of_var;         /* [vars] first source */
  int64_t *table;          /* [vars] where its message is in `message`, and its separator's marginal in `marginal` */
  double *message, *marginal, *scale;
  int64_t *component;      /* [vars] a variable of the same component that stands for it */
  double *total;           /* [vars] of the component it stands for */
  double *psi;             /* the clique at hand: its separator, then its own values */
  int64_t *slot;           /* [vars] place in the clique at hand; -1 */
  const int64_t *only;     /* [vars] the one value that it may have, -1: any; NULL: any for all */
} NetworkSums;

/* n and in: as the routines get them.  False: above the limits, *over says by how much. */
bool attn_rt_network_prepare(NetworkSums *s, NetworkRing ring, const int64_t *n, const void *const *in,
                             NetworkWork *work, double *over);
/* All messages, and the totals of components. */
void attn_rt_network_upward(NetworkSums *s);
void attn_rt_network_message(NetworkSums *s, int64_t v);
double attn_rt_network_part(const NetworkSums *s, int64_t v); /* what v's clique adds to the total of its component */
void attn_rt_network_enter(NetworkSums *s, int64_t v); /* slots of the clique */
void attn_rt_network_leave(NetworkSums *s, int64_t v);
NetworkView attn_rt_network_view(const NetworkSums *s, const NetworkSource *source); /* from the clique entered */
/* The clique's product at one value of its separator, for every value of v, into to[size of v]; pick: values by
 * variable. */
void attn_rt_network_slice(NetworkSums *s, int64_t v, const int64_t *pick, double *to);
void attn_rt_network_clique(NetworkSums *s, int64_t v); /* the product of its sources, into psi */
int64_t attn_rt_network_separator(const NetworkSums *s, int64_t v); /* cells */

static inline double network_logmul(double a, double b) {
  return a == -__builtin_inf() || b == -__builtin_inf() ? -__builtin_inf() : a + b;
}

/* A variable that the factor names; -1: none. */
static inline int64_t network_some_name(const NetworkFactor *f) {
  for (int64_t k = 0; k < f->names; k++)
    if (f->scope[k] >= 0) return f->scope[k];
  return -1;
}

#endif
