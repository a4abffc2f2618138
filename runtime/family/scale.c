/* scale: two approximations of the marginals of a bijection, by names of their own; neither gives its log Z.
 *
 * By scaling rows and columns in turn (Sinkhorn 1964; Cuturi 2013) the result is e^(local + f + g), which in the limit
 * is the doubly stochastic P with the largest <P, local> + H(P), entries being independent but for their sums.
 * By messages (Huang & Jebara 2009, Vontobel 2013) it is in the limit a stationary point of the Bethe free energy: the
 * exact marginals if rows and columns met in no circle.
 *
 * A step is rows, then columns; it starts from zeros.  z: 0 where some bijection has weight, -inf where none has. */
#include <math.h>

#include "assign.h"
#include "family.h"

/* -inf, what is not there, stays. */
static double times(double x, double y) { return x == -INFINITY || y == -INFINITY ? -INFINITY : x + y; }

typedef struct Line { const double *local, *other; int64_t n, stride; } Line;

static double at(const Line *l, int64_t k) { return times(l->local[k * l->stride], l->other[k]); }

static double log_sum(const Line *l) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < l->n; k++) max = fmax(max, at(l, k));
  for (int64_t k = 0; k < l->n && max > -INFINITY; k++) sum += exp(at(l, k) - max);
  return max == -INFINITY ? max : max + log(sum);
}

static bool starts(const int64_t *n, const double *local, double *log_p, double *z, double *work) {
  Assign a = {.m = n[0], .n = n[0], .local = local};
  int64_t *choice = (int64_t *)(void *)work;
  double best;
  attn_rt_assign_place(&a, work + n[0]);
  bool spoilt = attn_rt_assign_is_spoilt(&a);
  z[0] = spoilt ? NAN : attn_rt_assign(&a, choice, &best) ? 0 : -INFINITY;
  z[1] = spoilt ? NAN : 0;
  if (z[0] == 0) return true;
  for (int64_t k = 0; k < n[0] * n[0]; k++) log_p[k] = z[0];
  return false;
}

void attn_rt_scaled(const int64_t *n, const void *const *in, void *const *out, double *work) {
  const double *local = in[0];
  double *log_p = out[0], *z = out[1], *f = work, *g = work + n[0];
  int64_t size = n[0];
  z[0] = z[1] = 0;
  if (size <= 0 || !starts(n, local, log_p, z, work)) return;
  for (int64_t k = 0; k < 2 * size; k++) work[k] = 0;
  for (int64_t s = 0; s < n[1]; s++) {
    for (int64_t i = 0; i < size; i++) f[i] = -log_sum(&(Line){local + i * size, g, size, 1});
    for (int64_t j = 0; j < size; j++) g[j] = -log_sum(&(Line){local + j, f, size, size});
  }
  for (int64_t i = 0; i < size; i++)
    for (int64_t j = 0; j < size; j++) log_p[i * size + j] = times(local[i * size + j], f[i] + g[j]);
}

static double log_add(double x, double y) {
  double high = x > y ? x : y, low = x > y ? y : x;
  return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* to[k] = - log sum over all others than k of x, by sums from both ends. */
static void without_each(const double *x, int64_t n, int64_t stride, double *to, double *behind) {
  behind[n] = -INFINITY;
  for (int64_t k = n; k-- > 0;) behind[k] = log_add(behind[k + 1], x[k * stride]);
  double front = -INFINITY;
  for (int64_t k = 0; k < n; k++) {
    to[k * stride] = -log_add(front, behind[k + 1]);
    front = log_add(front, x[k * stride]);
  }
}

void attn_rt_bethe(const int64_t *n, const void *const *in, void *const *out, double *work) {
  const double *local = in[0];
  double *log_p = out[0], *z = out[1];
  int64_t size = n[0], cells = size * size;
  z[0] = z[1] = 0;
  if (size <= 0 || !starts(n, local, log_p, z, work)) return;
  double *x = work, *down = x + cells, *across = down + cells, *behind = across + cells;
  for (int64_t k = 0; k < cells; k++) down[k] = across[k] = 0;
  for (int64_t s = 0; s < n[1]; s++) {
    for (int64_t k = 0; k < cells; k++) x[k] = times(local[k], down[k]);
    for (int64_t i = 0; i < size; i++) without_each(x + i * size, size, 1, across + i * size, behind);
    for (int64_t k = 0; k < cells; k++) x[k] = times(local[k], across[k]);
    for (int64_t j = 0; j < size; j++) without_each(x + j, size, size, down + j, behind);
  }
  for (int64_t k = 0; k < cells; k++) {
    double odds = times(local[k], times(across[k], down[k]));
    log_p[k] = odds == -INFINITY ? odds : odds > 0 ? -log1p(exp(-odds)) : odds - log1p(exp(odds));
  }
}
