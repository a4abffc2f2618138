/* network_walk: the values of a clique's separator in order, with the places in a source that they have. */
#ifndef ATTN_RT_NETWORK_WALK_H
#define ATTN_RT_NETWORK_WALK_H

#include <string.h>

#include "network_sum.h"

typedef struct NetworkWalk { int64_t pick[NETWORK_MAX_CLIQUE + 1], at; } NetworkWalk;

static inline void network_walk_start(NetworkWalk *w, const NetworkView *view) {
  memset(w, 0, sizeof *w);
  w->at = view->start;
}

/* To the next value of the separator; size: of its variables. */
static inline void network_walk_next(NetworkWalk *w, const NetworkView *view, int64_t n, const int64_t *size) {
  for (int64_t k = n; k-- > 0;) {
    w->at += view->stride[k];
    if (++w->pick[k] < size[k]) return;
    w->at -= view->stride[k] * size[k];
    w->pick[k] = 0;
  }
}

static inline void network_sizes_of(const NetworkSums *s, int64_t v, int64_t *size) {
  for (int64_t k = 0; k < s->net.len[v]; k++) size[k] = s->net.size[s->net.member[s->net.first[v] + k]];
}

#endif
