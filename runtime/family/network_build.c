/* network_build: a network from the arguments of a routine: its components, and what each variable's clique is the
 * product of.  A factor goes to the first of its variables to be eliminated, a message to the first of its separator.
 */
#include <math.h>
#include <string.h>

#include "family.h"
#include "network_sum.h"

static const double LARGE = 0x1p20;

static int64_t find(int64_t *leader, int64_t v) {
  while (leader[v] != v) v = leader[v] = leader[leader[v]];
  return v;
}

static void find_components(NetworkSums *s) {
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  for (int64_t v = 0; v < s->net.vars; v++) s->component[v] = v;
  while (attn_rt_network_next(&all, &f))
    for (int64_t k = 0; k < f.names; k++) {
      if (f.scope[k] < 0) continue;
      int64_t a = find(s->component, network_some_name(&f)), b = find(s->component, f.scope[k]);
      s->component[a > b ? a : b] = a > b ? b : a;
    }
  for (int64_t v = 0; v < s->net.vars; v++) s->component[v] = find(s->component, v);
}

int64_t attn_rt_network_separator(const NetworkSums *s, int64_t v) {
  int64_t cells = 1;
  for (int64_t k = 0; k < s->net.len[v]; k++) cells *= s->net.size[s->net.member[s->net.first[v] + k]];
  return cells;
}

static void add_source(NetworkSums *s, int32_t *used, int64_t v, NetworkSource source) {
  source.next = s->of_var[v];
  s->source[*used] = source;
  s->of_var[v] = (*used)++;
}

/* What a factor's log weights are taken relative to.  Not where they are small: equal products would round apart. */
static double shift_of(const NetworkSums *s, const NetworkFactor *f) {
  const double *table = s->net.table + f->table;
  double max = -INFINITY;
  for (int64_t i = 0; i < f->cells; i++) max = table[i] > max ? table[i] : max;
  return s->ring != NETWORK_COUNT && isfinite(max) && fabs(max) > LARGE ? max : 0;
}

/* Where a factor goes: to a variable without values, else to the first one that is eliminated. */
static int64_t turn(const NetworkGraph *net, int64_t v) {
  return net->size[v] == 0 ? -1 : net->size[v] == 1 ? net->vars : net->at[v];
}

static void place_factors(NetworkSums *s, int32_t *used) {
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  while (attn_rt_network_next(&all, &f)) {
    int64_t first = network_some_name(&f);
    if (first < 0) continue; /* totals */
    for (int64_t k = 0; k < f.names; k++)
      if (f.scope[k] >= 0 && turn(&s->net, f.scope[k]) < turn(&s->net, first)) first = f.scope[k];
    add_source(s, used, first,
               (NetworkSource){s->net.table + f.table, f.dims, f.scope - s->net.scope, (int32_t)f.names, -1, f.is_prior,
                               shift_of(s, &f)});
  }
}

static void place_messages(NetworkSums *s, int32_t *used) {
  for (int64_t v = 0; v < s->net.vars; v++)
    if (s->net.len[v]) {
      int64_t above = s->net.member[s->net.first[v] + s->net.len[v] - 1];
      add_source(s, used, above, (NetworkSource){s->message + s->table[v], NULL, -1 - v, 0, -1, false, 0});
    }
}

static void hold(NetworkGraph *net, int64_t n, const int64_t *held) {
  for (int64_t v = 0; v < net->vars; v++) net->held[v] = -1;
  for (int64_t k = 0; k < n; k++) net->held[held[2 * k]] = held[2 * k + 1];
}

bool attn_rt_network_prepare(NetworkSums *s, NetworkRing ring, const int64_t *n, const void *const *in,
                             NetworkWork *work, double *over) {
  NetworkGraph *net = &s->net;
  *s = (NetworkSums){.ring = ring};
  *net = (NetworkGraph){.vars = n[N_VARS],
                        .groups = n[N_GROUPS],
                        .names = n[N_NAMES],
                        .table = in[0],
                        .scope = in[1],
                        .group = in[2],
                        .dims = in[3],
                        .var = in[4]};
  for (int64_t g = 0; g < net->groups; g++) net->factors += net->group[4 * g];
  s->component = attn_rt_network_take(work, net->vars, sizeof *s->component);
  s->total = attn_rt_network_take(work, net->vars, sizeof *s->total);
  s->scale = attn_rt_network_take(work, net->vars, sizeof *s->scale);
  s->slot = attn_rt_network_take(work, net->vars, sizeof *s->slot);
  s->table = attn_rt_network_take(work, net->vars, sizeof *s->table);
  s->of_var = attn_rt_network_take(work, net->vars, sizeof *s->of_var);
  s->source = attn_rt_network_take(work, net->factors + net->vars, sizeof *s->source);
  net->held = attn_rt_network_take(work, net->vars, sizeof *net->held);
  *over = INFINITY;
  if (work->lacking) return false;
  hold(net, n[N_HELD], in[5]);
  bool ordered = attn_rt_network_order(net, work);
  *over = net->kept > net->cells ? net->kept : net->cells;
  if (!ordered) return false;
  s->message = attn_rt_network_take(work, (int64_t)net->kept + net->vars, sizeof *s->message);
  s->marginal = attn_rt_network_take(work, (int64_t)net->kept + net->vars, sizeof *s->marginal);
  int64_t largest = (int64_t)net->cells;
  for (int64_t v = 0; v < net->vars; v++)
    if (net->size[v] > largest) largest = net->size[v];
  s->psi = attn_rt_network_take(work, largest + 1, sizeof *s->psi);
  if (work->lacking) return false;
  int64_t used = 0;
  for (int64_t v = 0; v < net->vars; v++) {
    s->slot[v] = -1;
    s->of_var[v] = -1;
    s->table[v] = used;
    used += attn_rt_network_separator(s, v);
  }
  int32_t sources = 0;
  find_components(s);
  place_factors(s, &sources);
  s->factors = sources;
  place_messages(s, &sources);
  *over = 0;
  return true;
}
