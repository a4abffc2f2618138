/* network: sums over variables of few values that factors of small scope join, by eliminating one after another.
 *
 * With S(v) the variables that remain and share a factor, or a message, with v when it is eliminated (network_order.c),
 *
 *   psi_v(s, x)  = product of what has come to v's clique                       message_v(s) = sum over x of psi_v(s,
 * x) upward       the message goes to the first of S(v) to be eliminated; what is left of nothing is log Z of a
 * component downward     p(s) is the sum of the clique above over what is not in S(v);  p(s, x) = p(s) psi_v(s, x) /
 * message_v(s)
 *
 * (Zhang & Poole 1994; the cliques are a junction tree, Lauritzen & Spiegelhalter 1988).  In three semirings: sums of
 * products in log space, maxima, and numbers of values.  Messages are kept relative to their largest entry, which adds
 * up beside them, and so are factors whose largest is beyond LARGE: scores of any size keep their digits.  The entropy
 * is the chain rule, sum_v E[- log p(x | s)]. */
#include <math.h>
#include <string.h>

#include "family.h"
#include "network_sum.h"

/* ---- a network from the arguments of a routine ----------------------------------------------------------- */

static const double LARGE = 0x1p20;

enum { N_VARS, N_GROUPS, N_NAMES, N_CELLS, N_JOINT, N_MARGINALS, N_HELD, N_HELD_VALUE, N_RING, N_WORK };

static void *take(NetworkWork *w, int64_t n, size_t bytes) { return attn_rt_network_take(w, n, (int64_t)bytes); }

static int64_t find(int64_t *leader, int64_t v) {
  while (leader[v] != v) v = leader[v] = leader[leader[v]];
  return v;
}

/* A variable that the factor names; -1: none. */
static int64_t some_name(const NetworkFactor *f) {
  for (int64_t k = 0; k < f->names; k++)
    if (f->scope[k] >= 0) return f->scope[k];
  return -1;
}

static void find_components(NetworkSums *s) {
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  for (int64_t v = 0; v < s->net.vars; v++) s->component[v] = v;
  while (attn_rt_network_next(&all, &f))
    for (int64_t k = 0; k < f.names; k++) {
      if (f.scope[k] < 0) continue;
      int64_t a = find(s->component, some_name(&f)), b = find(s->component, f.scope[k]);
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
    int64_t first = some_name(&f);
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
                        .var = in[4],
                        .held = n[N_HELD],
                        .held_value = n[N_HELD_VALUE]};
  for (int64_t g = 0; g < net->groups; g++) net->factors += net->group[4 * g];
  s->component = take(work, net->vars, sizeof *s->component);
  s->total = take(work, net->vars, sizeof *s->total);
  s->scale = take(work, net->vars, sizeof *s->scale);
  s->slot = take(work, net->vars, sizeof *s->slot);
  s->table = take(work, net->vars, sizeof *s->table);
  s->of_var = take(work, net->vars, sizeof *s->of_var);
  s->source = take(work, net->factors + net->vars, sizeof *s->source);
  *over = INFINITY;
  if (work->lacking) return false;
  bool ordered = attn_rt_network_order(net, work);
  *over = net->kept > net->cells ? net->kept : net->cells;
  if (!ordered) return false;
  s->message = take(work, (int64_t)net->kept + net->vars, sizeof *s->message);
  s->marginal = take(work, (int64_t)net->kept + net->vars, sizeof *s->marginal);
  int64_t largest = (int64_t)net->cells;
  for (int64_t v = 0; v < net->vars; v++)
    if (net->size[v] > largest) largest = net->size[v];
  s->psi = take(work, largest + 1, sizeof *s->psi);
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

/* ---- one clique ------------------------------------------------------------------------------------------ */

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
  if (var == s->net.held) view->start += stride * s->net.held_value;
  else if (s->slot[var] >= 0) view->stride[s->slot[var]] += stride;
}

NetworkView attn_rt_network_view(const NetworkSums *s, const NetworkSource *source, int64_t v) {
  const NetworkGraph *net = &s->net;
  NetworkView view = {0};
  (void)v;
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

/* Goes through the values of the separator; `fn` gets the row of psi and the place in the source. */
typedef struct Walk { int64_t pick[NETWORK_MAX_CLIQUE + 1], at; } Walk;

static void walk_start(Walk *w, const NetworkView *view) {
  memset(w, 0, sizeof *w);
  w->at = view->start;
}

/* To the next value of the separator; size: of its variables. */
static void walk_next(Walk *w, const NetworkView *view, int64_t n, const int64_t *size) {
  for (int64_t k = n; k-- > 0;) {
    w->at += view->stride[k];
    if (++w->pick[k] < size[k]) return;
    w->at -= view->stride[k] * size[k];
    w->pick[k] = 0;
  }
}

static void sizes_of(const NetworkSums *s, int64_t v, int64_t *size) {
  for (int64_t k = 0; k < s->net.len[v]; k++) size[k] = s->net.size[s->net.member[s->net.first[v] + k]];
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
  sizes_of(s, v, size);
  for (int64_t i = 0; i < rows * own; i++) s->psi[i] = one;
  for (int32_t k = s->of_var[v]; k >= 0; k = s->source[k].next) {
    NetworkView view = attn_rt_network_view(s, &s->source[k], v);
    Walk w;
    walk_start(&w, &view);
    for (int64_t r = 0; r < rows; r++) {
      multiply(s, s->psi + r * own, &s->source[k], w.at, view.stride[n], own);
      walk_next(&w, &view, n, size);
    }
  }
  for (int64_t r = 0; r < rows; r++) restrict_row(s, v, s->psi + r * own);
}

void attn_rt_network_slice(NetworkSums *s, int64_t v, const int64_t *pick, double *to) {
  int64_t own = s->net.size[v], n = s->net.len[v];
  for (int64_t x = 0; x < own; x++) to[x] = s->ring == NETWORK_COUNT ? 1 : 0;
  for (int32_t k = s->of_var[v]; k >= 0; k = s->source[k].next) {
    NetworkView view = attn_rt_network_view(s, &s->source[k], v);
    int64_t at = view.start;
    for (int64_t i = 0; i < n; i++) at += view.stride[i] * pick[s->net.member[s->net.first[v] + i]];
    multiply(s, to, &s->source[k], at, view.stride[n], own);
  }
  restrict_row(s, v, to);
}

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
  NetworkView view = attn_rt_network_view(s, source, v);
  bool is_factor = source->scope >= 0;
  double *to = !is_factor ? s->marginal + s->table[-1 - source->scope]
               : d->joint ? d->joint + (source->table - s->net.table)
                          : NULL;
  bool prior = is_factor && source->is_prior;
  if (!to && !prior) return;
  Walk w;
  walk_start(&w, &view);
  for (int64_t r = 0; r < rows; r++) {
    const double *row = s->psi + r * own;
    for (int64_t x = 0; x < own; x++) {
      int64_t at = w.at + x * view.stride[n];
      if (to) to[at] += row[x];
      if (prior && row[x] > 0) d->cross -= row[x] * source->table[at];
    }
    walk_next(&w, &view, n, size);
  }
}

/* A variable that is in no clique has one value: its own, or the one that is held. */
static void own_marginal(Down *d, int64_t v) {
  NetworkSums *s = d->s;
  int64_t rows = attn_rt_network_separator(s, v), own = s->net.size[v];
  double *to = d->log_p + d->place[v];
  if (v == s->net.held) {
    to[s->net.held_value] = 1;
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
    sizes_of(s, v, size);
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
    s->total[s->component[some_name(&f)]] += s->source[k].shift;
  }
}

static double status_of(double total) { return isfinite(total) ? 0 : total == -INFINITY ? -INFINITY : NAN; }

static void joint_logs(const NetworkSums *s, double *joint) {
  NetworkFactors all = {.net = &s->net};
  NetworkFactor f;
  while (attn_rt_network_next(&all, &f))
    if (some_name(&f) >= 0) logs(joint + f.table, f.cells, status_of(s->total[s->component[some_name(&f)]]));
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
    if (some_name(&f) >= 0) continue;
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
    place = take(&w, s.net.vars, sizeof *place);
    if (!place) {
      z[3] = INFINITY;
      return;
    }
    for (int64_t v = 0; v < s.net.vars; v++) place[v] = used, used += s.net.var[3 * v];
    Down d = {&s, log_p, n[N_JOINT] ? joint : NULL, place, 0, 0};
    downward(&d);
    put_back(&s);
    for (int64_t v = 0; v < s.net.vars; v++) {
      double total = s.total[s.component[v]], status = status_of(total);
      state[v] = status == 0 ? total : status;
      logs(log_p + place[v], s.net.var[3 * v], status);
    }
    if (n[N_JOINT]) joint_logs(&s, joint);
    z[1] = fmax(d.entropy, 0);
    z[2] = d.cross;
  }
  totals(&s, z);
}
