/* network_clique: the product of what has come to the clique of a variable, for all values of its separator or for one.
 *
 * A source is seen from the clique: which stride in it each of the clique's variables has. */
#include <math.h>
#include <string.h>

#include "network_walk.h"

void attn_rt_network_enter(NetworkSums *s, int64_t v) {
  const NetworkGraph *net = &s->net;
  for (int64_t k = 0; k < net->len[v]; k++) s->slot[net->member[net->first[v] + k]] = k;
  s->slot[v] = net->len[v];
}

void attn_rt_network_leave(NetworkSums *s, int64_t v) {
  const NetworkGraph *net = &s->net;
  for (int64_t k = 0; k < net->len[v]; k++) s->slot[net->member[net->first[v] + k]] = -1;
  s->slot[v] = -1;
}

/* A variable that a factor names twice moves along both of its dimensions: the diagonal. */
static void view_name(const NetworkSums *s, NetworkView *view, int64_t var, int64_t stride) {
  if (var < 0) return; /* its value is 0 */
  if (s->net.held[var] >= 0) view->start += stride * s->net.held[var];
  else if (s->slot[var] >= 0) view->stride[s->slot[var]] += stride;
}

NetworkView attn_rt_network_view(const NetworkSums *s, const NetworkSource *source) {
  const NetworkGraph *net = &s->net;
  NetworkView view = {0};
  int64_t stride = 1;
  if (source->scope >= 0) {
    for (int64_t k = source->names; k-- > 0;) {
      view_name(s, &view, net->scope[source->scope + k], stride);
      stride *= source->dims[k];
    }
    return view;
  }
  int64_t below = -1 - source->scope;
  for (int64_t k = net->len[below]; k-- > 0;) {
    int64_t var = net->member[net->first[below] + k];
    view_name(s, &view, var, stride);
    stride *= net->size[var];
  }
  return view;
}

static void restrict_row(const NetworkSums *s, int64_t v, double *row) {
  if (!s->only || s->only[v] < 0) return;
  for (int64_t x = 0; x < s->net.size[v]; x++)
    if (x != s->only[v]) row[x] = -INFINITY;
}

static void multiply(const NetworkSums *s, double *row, const NetworkSource *source, int64_t at, int64_t stride,
                     int64_t n) {
  const double *table = source->table;
  if (s->ring != NETWORK_COUNT) {
    for (int64_t x = 0; x < n; x++) row[x] = network_logmul(row[x], table[at + x * stride] - source->shift);
  } else if (source->scope >= 0) {
    for (int64_t x = 0; x < n; x++) row[x] *= table[at + x * stride] == -INFINITY ? 0 : 1;
  } else {
    for (int64_t x = 0; x < n; x++) row[x] *= table[at + x * stride];
  }
}

void attn_rt_network_clique(NetworkSums *s, int64_t v) {
  int64_t own = s->net.size[v], rows = attn_rt_network_separator(s, v), size[NETWORK_MAX_CLIQUE + 1], n = s->net.len[v];
  double one = s->ring == NETWORK_COUNT ? 1 : 0;
  network_sizes_of(s, v, size);
  for (int64_t i = 0; i < rows * own; i++) s->psi[i] = one;
  for (int32_t k = s->of_var[v]; k >= 0; k = s->source[k].next) {
    NetworkView view = attn_rt_network_view(s, &s->source[k]);
    NetworkWalk w;
    network_walk_start(&w, &view);
    for (int64_t r = 0; r < rows; r++) {
      multiply(s, s->psi + r * own, &s->source[k], w.at, view.stride[n], own);
      network_walk_next(&w, &view, n, size);
    }
  }
  for (int64_t r = 0; r < rows; r++) restrict_row(s, v, s->psi + r * own);
}

void attn_rt_network_slice(NetworkSums *s, int64_t v, const int64_t *pick, double *to) {
  int64_t own = s->net.size[v], n = s->net.len[v];
  for (int64_t x = 0; x < own; x++) to[x] = s->ring == NETWORK_COUNT ? 1 : 0;
  for (int32_t k = s->of_var[v]; k >= 0; k = s->source[k].next) {
    NetworkView view = attn_rt_network_view(s, &s->source[k]);
    int64_t at = view.start;
    for (int64_t i = 0; i < n; i++) at += view.stride[i] * pick[s->net.member[s->net.first[v] + i]];
    multiply(s, to, &s->source[k], at, view.stride[n], own);
  }
  restrict_row(s, v, to);
}
