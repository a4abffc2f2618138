/* special: lgamma and its derivatives, log B, and the logistic family; contracts are in special.h.
 *
 * digamma, trigamma: for x >= 10 the asymptotic series in Bernoulli numbers (Abramowitz and Stegun 6.3.18,
 * 6.4.12), below that the recurrence, for x < 0 the reflection formula.  On [1, 2], where digamma has its
 * zero x0, it is (x - x0) times a polynomial, so that the relative error holds next to x0 too.
 *
 * log B: with D(x) = lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2, Stirling's error, the large terms of
 * the three lgammas cancel on paper (Didonato and Morris, ACM TOMS 18 (1992), algorithm 708). */
#define _DEFAULT_SOURCE /* lgamma_r */
#include "special.h"

#include <math.h>

static const double pi = 3.14159265358979323846, log_sqrt_2pi = 0.91893853320467274178;

enum { ASYMPTOTIC = 10, BERNOULLI_COUNT = 10 };

/* B_2, B_4, ..., B_20 */
static const double bernoulli[BERNOULLI_COUNT] = {
    1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
    -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330,
};

/* sum_k B_2k / (2k)^power / x^2k, for x >= ASYMPTOTIC, smallest terms first. */
static double bernoulli_series(double x, double (*coefficient)(int k)) {
  double y = 1 / (x * x), sum = 0;
  for (int k = BERNOULLI_COUNT; k >= 1; k--) sum = (sum + coefficient(k)) * y;
  return sum;
}

static double plain(int k) { return bernoulli[k - 1]; }
static double over_2k(int k) { return bernoulli[k - 1] / (2 * k); }
static double stirling(int k) { return bernoulli[k - 1] / (2 * k * (2 * k - 1)); }

/* --- lgamma --------------------------------------------------------------------------------------- */

double attn_rt_lgamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

/* --- digamma -------------------------------------------------------------------------------------- */

/* Chebyshev interpolant of digamma(x) / (x - x0) on [1, 2], as powers of 2x - 3; relative error 5e-17,
 * from 60-digit values. */
static const double digamma_over_root[] = {
    0.9510558760318328,      -0.2118137106407303,     0.06013562106019684,     -0.018550615381735008,
    0.005936795278301761,    -0.0019350666648613071,  0.0006368880303865817,   -0.00021074841138175561,
    6.995018825112794e-05,   -2.3258242519113285e-05, 7.741234508636364e-06,   -2.578093954045772e-06,
    8.589060721930695e-07,   -2.863161166883193e-07,  9.543298288278275e-08,   -3.162911147408454e-08,
    1.0527692435026686e-08,  -3.7083753242807277e-09, 1.2469984616707403e-09,  -2.7580994814377e-10,
    8.734528429142953e-11,   -8.50550766013261e-11,   2.918622732168261e-11,
};

/* x0 as the sum of two doubles. */
static const double root_high = 0x1.762d86356be3fp+0, root_low = 0x1.b86a722197829p-54;

static double digamma_1_2(double x) {
  double t = 2 * x - 3, sum = 0;
  for (int k = (int)(sizeof digamma_over_root / sizeof *digamma_over_root) - 1; k >= 0; k--)
    sum = sum * t + digamma_over_root[k];
  return (x - root_high - root_low) * sum;
}

static double digamma_positive(double x) {
  if (x >= ASYMPTOTIC) return log(x) - 0.5 / x - bernoulli_series(x, over_2k);
  double sum = 0;
  for (; x > 2; sum += 1 / x) x -= 1;
  if (x < 1) return digamma_1_2(x + 1) - 1 / x;
  return sum + digamma_1_2(x);
}

double attn_rt_digamma(double x) {
  if (x == 0) return -1 / x;
  if (x > 0 || x != x) return x == INFINITY ? x : digamma_positive(x);
  double fraction = x - round(x);
  if (fraction == 0 || isinf(x)) return NAN;
  return digamma_positive(1 - x) - pi / tan(pi * fraction);
}

/* --- trigamma ------------------------------------------------------------------------------------- */

static double trigamma_positive(double x) {
  double sum = 0;
  for (; x < ASYMPTOTIC; x += 1) sum += 1 / (x * x);
  return sum + (1 + 0.5 / x + bernoulli_series(x, plain)) / x;
}

double attn_rt_trigamma(double x) {
  if (x > 0 || x != x) return x == INFINITY ? 0 : trigamma_positive(x);
  if (isinf(x)) return NAN;
  double fraction = x - round(x);
  if (fraction == 0) return INFINITY;
  double s = sin(pi * fraction) / pi;
  return 1 / (s * s) - trigamma_positive(1 - x);
}

/* --- log B ---------------------------------------------------------------------------------------- */

/* D(x), Stirling's error. */
static double stirling_error(double x) { return bernoulli_series(x, stirling) * x; }

/* D(large) - D(small + large) */
static double error_drop(double small, double large) {
  return stirling_error(large) - stirling_error(small + large);
}

static double lbeta_both_large(double small, double large) {
  double log1p_ratio = log1p(small / large);
  return log_sqrt_2pi - 0.5 * log(large) + stirling_error(small) + error_drop(small, large) -
         (small - 0.5) * log1p(large / small) - large * log1p_ratio;
}

static double lbeta_one_large(double small, double large) {
  double log1p_ratio = log1p(small / large);
  return attn_rt_lgamma(small) + error_drop(small, large) + (small - (large - 0.5) * log1p_ratio) -
         small * (log(large) + log1p_ratio);
}

double attn_rt_lbeta(double a, double b) {
  double small = a < b ? a : b, large = a < b ? b : a;
  if (a != a || b != b || small < 0) return NAN;
  if (small == 0) return INFINITY;
  if (large == INFINITY) return -INFINITY;
  if (small >= ASYMPTOTIC) return lbeta_both_large(small, large);
  if (large >= ASYMPTOTIC) return lbeta_one_large(small, large);
  return attn_rt_lgamma(small) + (attn_rt_lgamma(large) - attn_rt_lgamma(small + large));
}

/* --- logistic ------------------------------------------------------------------------------------- */

double attn_rt_log1pexp(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

double attn_rt_log_sigmoid(double x) { return -attn_rt_log1pexp(-x); }

double attn_rt_sigmoid(double x) {
  if (x >= 0) return 1 / (1 + exp(-x));
  double e = exp(x);
  return e / (1 + e);
}

/* --- f32 ------------------------------------------------------------------------------------------ */

float attn_rt_lgammaf(float x) { return (float)attn_rt_lgamma((double)x); }
float attn_rt_digammaf(float x) { return (float)attn_rt_digamma((double)x); }
float attn_rt_trigammaf(float x) { return (float)attn_rt_trigamma((double)x); }
float attn_rt_lbetaf(float a, float b) { return (float)attn_rt_lbeta((double)a, (double)b); }
float attn_rt_log1pexpf(float x) { return (float)attn_rt_log1pexp((double)x); }
float attn_rt_sigmoidf(float x) { return (float)attn_rt_sigmoid((double)x); }
float attn_rt_log_sigmoidf(float x) { return (float)attn_rt_log_sigmoid((double)x); }
