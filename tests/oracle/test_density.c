/* Densities integrate and pmfs sum to 1; special functions agree with their definitions. */
#include <criterion/criterion.h>
#include <math.h>

#include "oracle/functions.h"

static double integral(Dist d, const double *p, double lo, double hi) {
  const int n = 400000;
  long double sum = 0;
  for (int k = 0; k < n; k++) {
    double x = lo + (k + 0.5) * (hi - lo) / n;
    sum += expl(oracle_log_density(d, x, p));
  }
  return (double)(sum * (hi - lo) / n);
}

Test(density, integrate_to_one) {
  cr_expect_float_eq(integral(DIST_NORMAL, (double[]){.3, .7}, -10, 10), 1, 1e-9);
  cr_expect_float_eq(integral(DIST_LAPLACE, (double[]){.3, .7}, -30, 30), 1, 1e-6);
  cr_expect_float_eq(integral(DIST_STUDENT_T, (double[]){6, .3, .7}, -300, 300), 1, 1e-6);
  cr_expect_float_eq(integral(DIST_EXPONENTIAL, (double[]){1.7}, 0, 30), 1, 1e-6);
  cr_expect_float_eq(integral(DIST_GAMMA, (double[]){2.5, 1.7}, 0, 40), 1, 1e-6);
  cr_expect_float_eq(integral(DIST_BETA, (double[]){2.5, 1.7}, 0, 1), 1, 1e-6);
}

static double sum_of(Dist d, const double *p, int n) {
  long double sum = 0;
  for (int k = 0; k < n; k++) sum += expl(oracle_log_density(d, k, p));
  return (double)sum;
}

Test(density, sum_to_one) {
  cr_expect_float_eq(sum_of(DIST_BERNOULLI, (double[]){.3}, 2), 1, 1e-14);
  cr_expect_float_eq(sum_of(DIST_BERNOULLI_LOGIT, (double[]){-.3}, 2), 1, 1e-14);
  cr_expect_float_eq(sum_of(DIST_GEOMETRIC, (double[]){.3}, 400), 1, 1e-12);
  cr_expect_float_eq(sum_of(DIST_BETA_GEOMETRIC, (double[]){4, 2}, 20000), 1, 1e-9);
  cr_expect_float_eq(sum_of(DIST_POISSON, (double[]){3.5}, 80), 1, 1e-12);
  cr_expect_float_eq(sum_of(DIST_BINOMIAL, (double[]){7, .3}, 20), 1, 1e-13);
}

Test(density, edges_of_the_ranges) {
  cr_expect_eq(oracle_log_density(DIST_GEOMETRIC, 0, (double[]){1}), 0);
  cr_expect_eq(oracle_log_density(DIST_GEOMETRIC, -1, (double[]){NAN}), -INFINITY);
  cr_expect_eq(oracle_log_density(DIST_BINOMIAL, 7, (double[]){7, 1}), 0);
  cr_expect_eq(oracle_log_density(DIST_POISSON, 0, (double[]){0}), 0);
  cr_expect_eq(oracle_log_density(DIST_GAMMA, -.1, (double[]){1, 1}), -INFINITY);
  cr_expect_eq(oracle_log_density(DIST_BERNOULLI, 2, (double[]){.3}), -INFINITY);
  cr_expect(isnan(oracle_log_density(DIST_NORMAL, 0, (double[]){0, 0})));
  cr_expect(isnan(oracle_log_density(DIST_BERNOULLI, 1, (double[]){1.5})));
  double x[2] = {.3, .7}, alpha[2] = {2.5, 1.7};
  cr_expect_float_eq(oracle_log_dirichlet(x, alpha, 2), oracle_log_density(DIST_BETA, .3, alpha), 1e-12);
}

Test(functions, special) {
  const double at[] = {.1, .7, 1, 2.5, 30, -.3, -1.7};
  for (int k = 0; k < 7; k++) {
    double h = 1e-5, slope = (lgamma(at[k] + h) - lgamma(at[k] - h)) / (2 * h);
    cr_expect_float_eq(oracle_digamma(at[k]), slope, 1e-6 * (1 + fabs(slope)));
  }
  cr_expect_float_eq(oracle_digamma(1), -0.57721566490153286, 1e-15);
  cr_expect_eq(oracle_softplus(1000), 1000);
  cr_expect_eq(oracle_softplus(-1000), 0);
}

Test(functions, integers) {
  const int64_t cases[][4] = {
      {7, 2, 3, 1}, {-7, 2, -4, 1}, {7, -2, -4, -1}, {-7, -2, 3, -1}, {INT64_MIN, -1, INT64_MIN, 0}};
  for (int k = 0; k < 5; k++) {
    cr_expect_eq(oracle_int_function(OP_FLOORDIV, cases[k]), cases[k][2]);
    cr_expect_eq(oracle_int_function(OP_MOD, cases[k]), cases[k][3]);
  }
  cr_expect_eq(oracle_int_function(OP_POW, (int64_t[]){-3, 3}), -27);
  cr_expect_eq(oracle_real_to_int(OP_ROUND, 2.5), 2);
  cr_expect_eq(oracle_real_to_int(OP_ROUND, -1.5), -2);
  cr_expect_eq(oracle_real_to_int(OP_FLOOR, -.5), -1);
  cr_expect(isnan(oracle_real_max(NAN, 1)) && isnan(oracle_real_min(1, NAN)));
}
