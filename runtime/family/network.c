/* network: sums over variables of few values that factors of small scope join, by eliminating one after another.
 *
 * With S(v) the variables that remain and share a factor, or a message, with v when it is eliminated (network_order.c),
 *
 *   psi_v(s, x)      the product of what has come to v's clique (network_clique.c)
 *   message_v(s)     the sum over x of psi_v(s, x)
 *   upward           the message goes to the first of S(v) to be eliminated (network_build.c); what is left of nothing
 *                    is log Z of a component
 *   downward         p(s) is the sum of the clique above over what is not in S(v);
 *                    p(s, x) = p(s) psi_v(s, x) / message_v(s)
 *
 * (Zhang & Poole 1994; the cliques are a junction tree, Lauritzen & Spiegelhalter 1988).  In three semirings: sums of
 * products in log space, maxima, and numbers of values.  Messages are kept relative to their largest entry, which adds
 * up beside them, and so are factors whose largest is beyond LARGE: scores of any size keep their digits.  The entropy
 * is the chain rule, sum_v E[- log p(x | s)]. */
#include <math.h>
#include <string.h>

#include "family.h"
#include "network_walk.h"

/* ---- upward ---------------------------------------------------------------------------------------------- */

/* NaN where one is NaN or +inf. */
static double log_sum(const double *x, int64_t n) {
  double max = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!(x[i] < INFINITY)) return NAN;
    if (x[i] > max) max = x[i];
  }
  if (max == -INFINITY) return max;
  for (int64_t i = 0; i < n; i++) sum += exp(x[i] - max);
  return max + log(sum);
}

static double add_up(NetworkRing ring, const double *x, int64_t n) {
  if (ring == NETWORK_SUM) return log_sum(x, n);
  double all = ring == NETWORK_MAX ? -INFINITY : 0;
  for (int64_t i = 0; i < n; i++) {
    if (ring == NETWORK_COUNT) all += x[i];
    else if (!(x[i] < INFINITY)) return NAN;
    else if (x[i] > all) all = x[i];
  }
  return all;
}

void attn_rt_network_message(NetworkSums *s, int64_t v) {
  int64_t rows = attn_rt_network_separator(s, v), own = s->net.size[v];
  double *to = s->message + s->table[v], max = -INFINITY;
  bool spoilt = false;
  s->scale[v] = 0;
  attn_rt_network_enter(s, v);
  attn_rt_network_clique(s, v);
  attn_rt_network_leave(s, v);
  for (int64_t r = 0; r < rows; r++) {
    to[r] = add_up(s->ring, s->psi + r * own, own);
    if (to[r] > max) max = to[r];
    spoilt |= isnan(to[r]);
  }
  if (s->ring == NETWORK_COUNT || s->net.len[v] == 0 || (spoilt && max == -INFINITY)) return;
  s->scale[v] = max;
  if (max == -INFINITY) return;
  for (int64_t r = 0; r < rows; r++) to[r] -= max;
}

double attn_rt_network_part(const NetworkSums *s, int64_t v) {
  if (!s->net.len[v]) return s->message[s->table[v]];
  return s->ring == NETWORK_COUNT ? 1 : s->scale[v];
}

void attn_rt_network_upward(NetworkSums *s) {
  bool count = s->ring == NETWORK_COUNT;
  for (int64_t v = 0; v < s->net.vars; v++) s->total[v] = count ? 1 : 0;
  for (int64_t k = 0; k < s->net.vars; k++) {
    int64_t v = s->net.order[k], c = s->component[v];
    attn_rt_network_message(s, v);
    double part = attn_rt_network_part(s, v);
    if (count) s->total[c] *= part;
    else s->total[c] = network_logmul(s->total[c], part);
  }
}

/* ---- downward -------------------------------------------------------------------------------------------- */

typedef struct Down { NetworkSums *s; double *log_p, *joint; const int64_t *place; double entropy, cross; } Down;

/* p(s, x) in place of psi; adds to the entropy.  p(x | s) is normalised by the row itself: the message has lost what
 * rounding leaves of a sum beside scores of 1e30, and probabilities would not add up to 1. */
static void beliefs(Down *d, int64_t v) {
  NetworkSums *s = d->s;
  int64_t rows = attn_rt_network_separator(s, v), own = s->net.size[v];
  const double *above = s->marginal + s->table[v];
  for (int64_t r = 0; r < rows; r++) {
    double *row = s->psi + r * own, p_row = s->net.len[v] ? above[r] : 1, most = -INFINITY, sum = 0;
    for (int64_t x = 0; x < own; x++)
      if (row[x] > most) most = row[x];
    for (int64_t x = 0; x < own && most > -INFINITY; x++) sum += exp(row[x] - most);
    double log_sum = log(sum);
    for (int64_t x = 0; x < own; x++) {
      double log_p = row[x] - most - log_sum;
      bool is_there = p_row > 0 && row[x] > -INFINITY;
      row[x] = is_there ? p_row * exp(log_p) : 0;
      if (row[x] > 0) d->entropy -= row[x] * log_p;
    }
  }
}

/* What a source sees of the clique: sums into the marginal of the table below, or of the factor. */
static void pass_down(Down *d, int64_t v, const NetworkSource *source, const int64_t *size) {
  NetworkSums *s = d->s;
  int64_t rows = attn_rt_network_separator(s, v), own = s->net.size[v], n = s->net.len[v];
  NetworkView view = attn_rt_network_view(s, source);
  bool is_factor = source->scope >= 0;
  double *to = !is_factor ? s->marginal + s->table[-1 - source->scope]
               : d->joint ? d->joint + (source->table - s->net.table)
                          : NULL;
  bool prior = is_factor && source->is_prior;
  if (!to && !prior) return;
  NetworkWalk w;
  network_walk_start(&w, &view);
  for (int64_t r = 0; r < rows; r++) {
    const double *row = s->psi + r * own;
    for (int64_t x = 0; x < own; x++) {
      int64_t at = w.at + x * view.stride[n];
      if (to) to[at] += row[x];
      if (prior && row[x] > 0) d->cross -= row[x] * source->table[at];
    }
    network_walk_next(&w, &view, n, size);
  }
}

/* A variable that is in no clique has one value: its own, or that at which it is held. */
static void own_marginal(Down *d, int64_t v) {
  NetworkSums *s = d->s;
  int64_t rows = attn_rt_network_separator(s, v), own = s->net.size[v];
  double *to = d->log_p + d->place[v];
  if (network_is_place(&s->net, v)) return;
  if (s->net.held[v] >= 0) {
    to[s->net.held[v]] = 1;
    return;
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t x = 0; x < own; x++) to[x] += s->psi[r * own + x];
}

static void downward(Down *d) {
  NetworkSums *s = d->s;
  for (int64_t k = 0; k < s->net.vars; k++) {
    int64_t rows = attn_rt_network_separator(s, s->net.order[k]);
    memset(s->marginal + s->table[s->net.order[k]], 0, (size_t)rows * sizeof *s->marginal);
  }
  for (int64_t k = s->net.vars; k-- > 0;) {
    int64_t v = s->net.order[k], size[NETWORK_MAX_CLIQUE + 1];
    if (!isfinite(s->total[s->component[v]])) continue;
    network_sizes_of(s, v, size);
    attn_rt_network_enter(s, v);
    attn_rt_network_clique(s, v);
    beliefs(d, v);
    for (int32_t i = s->of_var[v]; i >= 0; i = s->source[i].next) pass_down(d, v, &s->source[i], size);
    own_marginal(d, v);
    attn_rt_network_leave(s, v);
  }
}

/* ---- what is asked --------------------------------------------------------------------------------------- */

static void fill(double *to, int64_t n, double x) {
  for (int64_t i = 0; i < n; i++) to[i] = x;
}

/* Logs in place of probabilities; `status` is that of the component: 0, -inf or NaN. */
static void logs(double *p, int64_t n, double status) {
  for (int64_t i = 0; i < n; i++) p[i] = status == 0 ? log(p[i]) : status;
}

/* Totals of all that the factors say, not of what is relative to their largest. */
static void put_back(NetworkSums *s) {
  for (int32_t k = 0; k < s->factors; k++) {
    const NetworkFactor f = {.scope = s->net.scope + s->source[k].scope, .names = s->source[k].names};
    s->total[s->component[network_some_name(&f)]] += s->source[k].shift;
  }
}

static double status_of(double total) { return isfinite(total) ? 0 : total == -INFINITY ? -INFINITY : NAN; }

static void joint_logs(const NetworkSums *s, double *joint) {
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  while (attn_rt_network_next(&all, &f)) {
    int64_t v = network_some_name(&f);
    if (v >= 0) logs(joint + f.table, f.cells, status_of(s->total[s->component[v]]));
  }
}

static void totals(const NetworkSums *s, double *z) {
  bool spoilt = false;
  for (int64_t v = 0; v < s->net.vars; v++)
    if (s->component[v] == v) {
      if (s->ring == NETWORK_COUNT) z[0] *= s->total[v];
      else z[0] = network_logmul(z[0], status_of(s->total[v]) == 0 ? s->total[v] : status_of(s->total[v]));
      spoilt |= isnan(status_of(s->total[v])) && s->ring != NETWORK_COUNT;
    }
  if (spoilt) z[1] = z[2] = NAN;
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  while (attn_rt_network_next(&all, &f)) { /* factors of nothing */
    if (network_some_name(&f) >= 0) continue;
    double w = s->net.table[f.table];
    if (s->ring == NETWORK_COUNT) z[0] *= w == -INFINITY ? 0 : 1;
    else z[0] = network_logmul(z[0], w);
  }
}

void attn_rt_network_sum(const int64_t *n, const void *const *in, void *const *out, double *work) {
  NetworkWork w = {work, n[N_WORK], false};
  NetworkSums s;
  double *log_p = out[0], *joint = out[1], *z = out[2], *state = out[3], over;
  bool count = n[N_RING] == NETWORK_COUNT;
  fill(log_p, n[N_MARGINALS], NAN);
  fill(joint, n[N_JOINT], NAN);
  fill(state, n[N_VARS], NAN);
  fill(z, 4, 0);
  if (!attn_rt_network_prepare(&s, (NetworkRing)n[N_RING], n, in, &w, &over)) {
    z[0] = z[1] = z[2] = NAN;
    z[3] = over;
    return;
  }
  z[0] = count ? 1 : 0;
  attn_rt_network_upward(&s);
  if (!count) {
    fill(log_p, n[N_MARGINALS], 0);
    fill(joint, n[N_JOINT], 0);
    int64_t *place = s.slot, used = 0; /* a table of its own: slots are in use on the way down */
    place = attn_rt_network_take(&w, s.net.vars, sizeof *place);
    if (!place) {
      z[3] = INFINITY;
      return;
    }
    for (int64_t v = 0; v < s.net.vars; v++) place[v] = used, used += network_marginals(&s.net, v);
    Down d = {&s, log_p, n[N_JOINT] ? joint : NULL, place, 0, 0};
    downward(&d);
    put_back(&s);
    for (int64_t v = 0; v < s.net.vars; v++) {
      double total = s.total[s.component[v]], status = status_of(total);
      state[v] = status == 0 ? total : status;
      logs(log_p + place[v], network_marginals(&s.net, v), status);
    }
    if (n[N_JOINT]) joint_logs(&s, joint);
    z[1] = fmax(d.entropy, 0);
    z[2] = d.cross;
  }
  totals(&s, z);
}
