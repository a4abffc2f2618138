/* density: log densities and pmfs from their definitions.
 *
 * Outside the range of a distribution the answer is -inf whatever its parameters are; parameters out of
 * their own range give NaN. */
#include <math.h>

#include "base/ice.h"
#include "oracle/world.h"

static const double log_two_pi = 1.83787706640934548356;

static double log_beta_function(double a, double b) { return lgamma(a) + lgamma(b) - lgamma(a + b); }

/* a * b with 0 * inf = 0. */
static double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

static double normal(double x, double mean, double sd) {
  double u = (x - mean) / sd;
  return sd > 0 ? -0.5 * (log_two_pi + u * u) - log(sd) : NAN;
}

static double laplace(double x, double mean, double scale) {
  return scale > 0 ? -fabs(x - mean) / scale - log(2 * scale) : NAN;
}

static double student_t(double x, double nu, double mean, double scale) {
  double u = (x - mean) / scale;
  if (!(nu > 0) || !(scale > 0)) return NAN;
  return lgamma((nu + 1) / 2) - lgamma(nu / 2) - 0.5 * log(nu * 3.14159265358979323846) - log(scale) -
         (nu + 1) / 2 * log1p(u * u / nu);
}

static double exponential(double x, double rate) {
  if (x < 0) return -INFINITY;
  return rate > 0 ? log(rate) - rate * x : NAN;
}

static double gamma_density(double x, double shape, double rate) {
  if (x < 0) return -INFINITY;
  if (!(shape > 0) || !(rate > 0)) return NAN;
  return shape * log(rate) - lgamma(shape) + times(shape - 1, log(x)) - rate * x;
}

static double beta_density(double x, double a, double b) {
  if (x < 0 || x > 1) return -INFINITY;
  if (!(a > 0) || !(b > 0) || isnan(x)) return NAN;
  return times(a - 1, log(x)) + times(b - 1, log1p(-x)) - log_beta_function(a, b);
}

static bool is_probability(double p) { return p >= 0 && p <= 1; }
static bool is_count(double x) { return x >= 0 && floor(x) == x && isfinite(x); }

static double bernoulli(double x, double p) {
  if (x != 0 && x != 1) return isnan(x) ? NAN : -INFINITY;
  if (!is_probability(p)) return NAN;
  return x == 1 ? log(p) : log1p(-p);
}

static double bernoulli_logit(double x, double l) {
  if (x != 0 && x != 1) return isnan(x) ? NAN : -INFINITY;
  return x == 1 ? -oracle_softplus(-l) : -oracle_softplus(l);
}

static double geometric(double d, double p) {
  if (!is_count(d)) return isnan(d) ? NAN : -INFINITY;
  return is_probability(p) ? log(p) + times(d, log1p(-p)) : NAN;
}

static double beta_geometric(double d, double a, double b) {
  if (!is_count(d)) return isnan(d) ? NAN : -INFINITY;
  return a > 0 && b > 0 ? log_beta_function(a + 1, b + d) - log_beta_function(a, b) : NAN;
}

static double poisson(double k, double rate) {
  if (!is_count(k)) return isnan(k) ? NAN : -INFINITY;
  return rate >= 0 ? times(k, log(rate)) - rate - lgamma(k + 1) : NAN;
}

static double binomial(double k, double n, double p) {
  if (!is_count(k) || (is_count(n) && k > n)) return isnan(k) ? NAN : -INFINITY;
  if (!is_count(n) || !is_probability(p)) return NAN;
  return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + times(k, log(p)) + times(n - k, log1p(-p));
}

double oracle_log_density(Dist d, double x, const double *q) {
  switch (d) {
  case DIST_BERNOULLI: return bernoulli(x, q[0]);
  case DIST_BERNOULLI_LOGIT: return bernoulli_logit(x, q[0]);
  case DIST_GEOMETRIC: return geometric(x, q[0]);
  case DIST_BETA_GEOMETRIC: return beta_geometric(x, q[0], q[1]);
  case DIST_POISSON: return poisson(x, q[0]);
  case DIST_BINOMIAL: return binomial(x, q[0], q[1]);
  case DIST_NORMAL: return normal(x, q[0], q[1]);
  case DIST_LAPLACE: return laplace(x, q[0], q[1]);
  case DIST_STUDENT_T: return student_t(x, q[0], q[1], q[2]);
  case DIST_EXPONENTIAL: return exponential(x, q[0]);
  case DIST_GAMMA: return gamma_density(x, q[0], q[1]);
  case DIST_BETA: return beta_density(x, q[0], q[1]);
  case DIST_UNIFORM: case DIST_WEIGHTS: case DIST_LOGITS: case DIST_STICK_BREAKING: case DIST_DIRICHLET: break;
  }
  ICE("distribution %d has no density of one value", (int)d);
}

double oracle_log_dirichlet(const double *x, const double *alpha, int64_t n) {
  double total = 0, log_p = 0;
  for (int64_t k = 0; k < n; k++) {
    if (x[k] < 0 || x[k] > 1) return -INFINITY;
    if (!(alpha[k] > 0)) return NAN;
    total += alpha[k];
    log_p += times(alpha[k] - 1, log(x[k])) - lgamma(alpha[k]);
  }
  return log_p + lgamma(total);
}
