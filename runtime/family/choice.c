/* choice: what a file may ask for in place of the posterior of one choice: its largest weights, or another entropy.
 *
 *   top      the k largest weights, the first of equals, divided by their sum
 *   entmax   argmax over p of p . log_w + sum (p - p^alpha) / (alpha (alpha - 1)): p = [(alpha - 1) log_w - t]_+^(1 /
 * (alpha - 1)) with the t at which they sum to 1 (Peters et al. 2019; alpha = 2: Martins & Astudillo 2016); alpha = 1
 * leaves p as it is.  About the largest weight t lies in [-1, 0]: at -1 the largest part alone is 1. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "family.h"

/* The largest log weight; NaN where one is NaN or +inf. */
static double largest(const double *log_w, int64_t n) {
  double max = -INFINITY;
  for (int64_t j = 0; j < n; j++) {
    if (isnan(log_w[j]) || log_w[j] == INFINITY) return NAN;
    if (log_w[j] > max) max = log_w[j];
  }
  return max;
}

/* NaN in all places, or nothing in all. */
static bool is_done(double max, int64_t n, double *log_p) {
  for (int64_t j = 0; j < n; j++) log_p[j] = isnan(max) ? NAN : -INFINITY;
  return isnan(max) || max == -INFINITY;
}

/* The k-th largest, 1 <= k <= n: those on the wrong side of a middle one are left behind (Hoare 1961).  Changes x. */
static double kth_largest(double *x, int64_t n, int64_t k) {
  int64_t lo = 0, hi = n - 1;
  while (lo < hi) {
    double middle = x[lo + (hi - lo) / 2];
    int64_t i = lo, j = hi;
    while (i <= j) {
      while (x[i] > middle) i++;
      while (x[j] < middle) j--;
      if (i > j) break;
      double swap = x[i];
      x[i++] = x[j];
      x[j--] = swap;
    }
    if (k - 1 <= j) hi = j;
    else if (k - 1 >= i) lo = i;
    else break;
  }
  return x[k - 1];
}

void attn_rt_top(const int64_t *n, const void *const *in, void *const *out, double *work) {
  const double *log_w = in[0];
  double *log_p = out[0], max = largest(log_w, n[0]), sum = 0;
  int64_t count = n[0], k = n[1] < count ? n[1] : count, equals = k;
  if (is_done(max, count, log_p) || k <= 0) return;
  memcpy(work, log_w, (size_t)count * sizeof *work);
  double least = kth_largest(work, count, k);
  for (int64_t j = 0; j < count; j++) equals -= log_w[j] > least;
  for (int64_t j = 0; j < count; j++) {
    bool in_top = log_w[j] > least || (log_w[j] == least && equals-- > 0);
    if (!in_top || log_w[j] == -INFINITY) continue;
    log_p[j] = log_w[j] - max;
    sum += exp(log_p[j]);
  }
  for (int64_t j = 0; j < count; j++) log_p[j] -= log(sum);
}

static double power(double x, double alpha) {
  if (!(x > 0)) return 0;
  return alpha == 2 ? x : alpha == 1.5 ? x * x : pow(x, 1 / (alpha - 1));
}

void attn_rt_entmax(const int64_t *n, const void *const *in, void *const *out, double *work) {
  const double *log_w = in[0];
  double *log_p = out[0], max = largest(log_w, n[0]), alpha = *(const double *)in[1], lo = -1, hi = 0, sum = 0;
  int64_t count = n[0];
  (void)work;
  if (is_done(alpha >= 1 ? max : NAN, count, log_p)) return;
  for (int round = 0; alpha > 1 && round < 64; round++) {
    double middle = (lo + hi) / 2, total = 0;
    for (int64_t j = 0; j < count; j++) total += power((alpha - 1) * (log_w[j] - max) - middle, alpha);
    if (total >= 1) lo = middle;
    else hi = middle;
  }
  for (int64_t j = 0; j < count; j++) {
    log_p[j] = alpha == 1 ? log_w[j] - max : log(power((alpha - 1) * (log_w[j] - max) - lo, alpha));
    sum += exp(log_p[j]);
  }
  for (int64_t j = 0; j < count; j++) log_p[j] -= log(sum);
}
