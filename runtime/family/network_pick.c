/* network_pick: the heaviest value of a network, and draws.
 *
 * With all messages in hand values are picked from the last variable eliminated to the first, each given those of its
 * separator: the largest of psi (Dechter 1999), or a draw in proportion to it.  Any number of draws share the messages:
 * each looks at one row of every clique alone.  Where values are equally heavy the
 * first in the order of the variables is found by holding one variable after another at its lowest value that still
 * leads to the maximum. */
#include <math.h>
#include <string.h>

#include "family.h"
#include "network_sum.h"

static void give(const NetworkSums *s, int64_t *choice) {
  for (int64_t v = 0; v < s->net.vars; v++)
    if (!isfinite(s->total[s->component[v]])) choice[v] = FAMILY_EMPTY;
}

/* Draws: v's value at u.  Leaves weights in place of their logs. */
static int64_t draw_from(double *w, int64_t n, double u) {
  double max = -INFINITY, all = 0, sum = 0;
  int64_t taken = 0;
  for (int64_t x = 0; x < n; x++)
    if (w[x] > max) max = w[x];
  for (int64_t x = 0; x < n; x++) all += w[x] = exp(w[x] - max);
  for (int64_t x = 0; x < n; x++) {
    if (w[x] > 0) taken = x;
    sum += w[x];
    if (u * all < sum) break;
  }
  return taken;
}

/* *ties: some other value is as heavy. */
static int64_t heaviest(const double *log_w, int64_t n, double tolerance, bool *ties) {
  int64_t best = 0;
  for (int64_t x = 1; x < n; x++)
    if (log_w[x] > log_w[best]) best = x;
  for (int64_t x = 0; x < n; x++) *ties |= x != best && log_w[x] >= log_w[best] - tolerance;
  return best;
}

/* u: NULL for the heaviest.  Components with ties are marked where `tied` is given. */
static void pick_all(NetworkSums *s, const double *u, const double *tolerance, int64_t *pick, bool *tied) {
  for (int64_t k = s->net.vars; k-- > 0;) {
    int64_t v = s->net.order[k];
    pick[v] = 0;
    if (!isfinite(s->total[s->component[v]])) continue;
    attn_rt_network_enter(s, v);
    attn_rt_network_slice(s, v, pick, s->psi);
    attn_rt_network_leave(s, v);
    bool ties = false;
    if (u) pick[v] = draw_from(s->psi, s->net.size[v], u[v]);
    else pick[v] = heaviest(s->psi, s->net.size[v], tolerance[s->component[v]], &ties);
    if (s->net.held[v] >= 0) pick[v] = s->net.held[v];
    if (ties && tied) *tied = true;
  }
}

void attn_rt_network_draw(const int64_t *n, const void *const *in, void *const *out, double *work) {
  NetworkWork w = {work, n[N_WORK], false};
  NetworkSums s;
  int64_t *choice = out[0];
  const double *u = in[6];
  double *z = out[1];
  memset(z, 0, 4 * sizeof *z);
  for (int64_t k = 0; k < n[N_DRAWS] * n[N_VARS]; k++) choice[k] = FAMILY_EMPTY;
  if (!attn_rt_network_prepare(&s, NETWORK_SUM, n, in, &w, &z[3])) return;
  attn_rt_network_upward(&s);
  for (int64_t k = 0; k < n[N_DRAWS]; k++) {
    pick_all(&s, u + k * n[N_VARS], NULL, choice + k * n[N_VARS], NULL);
    give(&s, choice + k * n[N_VARS]);
  }
}

/* ---- the first of equals --------------------------------------------------------------------------------- */

typedef struct Best { NetworkSums *s; int64_t *pick, *only; const double *tolerance; } Best;

static int64_t above(const NetworkSums *s, int64_t v) {
  return s->net.len[v] ? s->net.member[s->net.first[v] + s->net.len[v] - 1] : -1;
}

/* The messages from v's clique on, anew; by how much the maximum changes. */
static double renew(NetworkSums *s, int64_t v) {
  double change = 0;
  for (; v >= 0; v = above(s, v)) {
    double before = attn_rt_network_part(s, v);
    attn_rt_network_message(s, v);
    double after = attn_rt_network_part(s, v);
    if (after == -INFINITY || isnan(change)) return -INFINITY;
    change += after - before;
  }
  return change;
}

/* Can v have the value, all before it being held, without a loss? */
static bool allows(Best *b, int64_t v, int64_t value) {
  NetworkSums *s = b->s;
  b->only[v] = value;
  if (renew(s, v) >= -b->tolerance[s->component[v]]) return true;
  b->only[v] = b->pick[v];
  renew(s, v);
  return false;
}

static void hold_lowest(Best *b) {
  NetworkSums *s = b->s;
  for (int64_t v = 0; v < s->net.vars; v++) {
    if (!isfinite(s->total[s->component[v]]) || s->net.size[v] <= 1) continue;
    b->only[v] = b->pick[v];
    renew(s, v);
    for (int64_t value = 0; value < b->pick[v]; value++)
      if (allows(b, v, value)) {
        pick_all(s, NULL, b->tolerance, b->pick, NULL);
        break;
      }
  }
}

void attn_rt_network_best(const int64_t *n, const void *const *in, void *const *out, double *work) {
  NetworkWork w = {work, n[N_WORK], false};
  NetworkSums s;
  int64_t *choice = out[0];
  double *z = out[1];
  bool tied = false;
  memset(z, 0, 4 * sizeof *z);
  for (int64_t v = 0; v < n[N_VARS]; v++) choice[v] = FAMILY_EMPTY;
  if (!attn_rt_network_prepare(&s, NETWORK_MAX, n, in, &w, &z[3])) return;
  Best b = {.s = &s, .pick = choice};
  b.only = attn_rt_network_take(&w, s.net.vars, sizeof *b.only);
  double *tolerance = attn_rt_network_take(&w, s.net.vars, sizeof *tolerance);
  if (w.lacking) {
    z[3] = INFINITY;
    return;
  }
  attn_rt_network_upward(&s);
  for (int64_t v = 0; v < s.net.vars; v++) b.only[v] = -1, tolerance[v] = 1e-12 * (1 + fabs(s.total[v]));
  b.tolerance = tolerance;
  pick_all(&s, NULL, tolerance, b.pick, &tied);
  s.only = b.only;
  if (tied) hold_lowest(&b);
  give(&s, choice);
}
