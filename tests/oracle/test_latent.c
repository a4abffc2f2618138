/* Collapsed inference against closed forms. */
#include "bench_model.h"

/* ---- latents --------------------------------------------------------------------------------------------------- */

Test(latent, hopfield) {
  Bench b;
  bench_open(&b,
             "model m(N, D, S) { data x: [N, D], z0: [D], dummy: [S]\n param beta: real = 2\n latent z: [D]\n"
             "edge phi in N\n potential exp(beta * dot(z, x[phi]))\n potential exp(-beta / 2 * dot(z, z))\n"
             "infer z by collapsed(steps = 3, init = z0)\n out y = z\n out t[s in S] = elbo(s)\n out f = elbo\n"
             "out p[j in N] = P[phi == j]\n out ll = logZ\n}");
  bench_size(&b, "N", 3);
  bench_size(&b, "D", 2);
  bench_size(&b, "S", 5);
  BENCH_INPUT(&b, "x", 1, 0, 0, 1, -1, 0);
  BENCH_INPUT(&b, "z0", .5, .2);
  BENCH_INPUT(&b, "dummy", 0, 0, 0, 0, 0);
  BENCH_INPUT(&b, "beta", 2);
  bench_run(&b);
  EXPECT_NEAR(&b, "y", 0, .4348818311, 1e-9);
  EXPECT_NEAR(&b, "y", 1, .4158139195, 1e-9);
  /* F = -beta E - log N, with E = -LSE / beta + z.z / 2 */
  const double energy[3] = {-.6267001386, -.6303704603, -.6338489235};
  for (int s = 0; s < 3; s++) EXPECT_NEAR(&b, "t", s + 1, -2 * energy[s] - log(3), 1e-9);
  EXPECT_NEAR(&b, "t", 4, bench_at(&b, "f", 0), 1e-12);
  EXPECT_NEAR(&b, "ll", 0, bench_at(&b, "f", 0), 1e-12);
  bench_close(&b);
}

/* Slots with a Gaussian potential: the step is a weighted mean shrunk to the prior's. */
Test(latent, slots) {
  Bench b;
  bench_open(&b,
             "model m(K, N, D) { data x: [N, D], z0: [K, D]\n latent z[k in K]: [D]\n"
             "for k in K { prior z[k] ~ normal(0.5, 2) }\n"
             "for j in N { edge phi in K\n observe x[j] ~ normal(z[phi], 0.7) }\n"
             "infer z by collapsed(steps = 1, init = z0)\n out y[k in K] = z[k]\n out f0 = elbo(0)\n out f = elbo\n}");
  bench_size(&b, "K", 2);
  bench_size(&b, "N", 3);
  bench_size(&b, "D", 1);
  const double x[3] = {.3, 1.2, -.8}, z[2] = {.1, .6};
  bench_input(&b, "x", x);
  bench_input(&b, "z0", z);
  bench_run(&b);
  double sum[2] = {0}, mass[2] = {0}, f0 = 0;
  for (int j = 0; j < 3; j++) {
    double w[2], total = 0;
    for (int k = 0; k < 2; k++) total += w[k] = exp(-.5 * pow((x[j] - z[k]) / .7, 2));
    f0 += log(total / 2) - log(.7) - .5 * log(2 * 3.14159265358979323846);
    for (int k = 0; k < 2; k++) sum[k] += w[k] / total * x[j], mass[k] += w[k] / total;
  }
  for (int k = 0; k < 2; k++) {
    double l0 = .25, lam = 1 / .49;
    EXPECT_NEAR(&b, "y", k, (l0 * .5 + lam * sum[k]) / (l0 + lam * mass[k]), 1e-9);
    f0 += -.5 * pow((z[k] - .5) / 2, 2) - log(2) - .5 * log(2 * 3.14159265358979323846);
  }
  EXPECT_NEAR(&b, "f0", 0, f0, 1e-10);
  cr_expect_gt(bench_at(&b, "f", 0), f0);
  bench_close(&b);
}

/* Mean-field slots with a Gaussian q: the closed forms of variational mixtures. */
Test(latent, gaussian_slots) {
  Bench b;
  bench_open(&b,
             "model m(K, N) { data x: [N], z0: [K]\n latent z[k in K]: real\n"
             "for k in K { prior z[k] ~ normal(0.5, 2) }\n"
             "for j in N { edge phi in K\n observe x[j] ~ normal(z[phi], 0.7) }\n"
             "infer z by collapsed(steps = 1, init = z0, q = gaussian)\n out y[k in K] = z[k]\n"
             "out var[k in K] = E[sq(z[k])] - sq(E[z[k]])\n out sd[k in K] = param(z[k], 2)\n"
             "out f[s in 2] = elbo(s)\n}");
  bench_size(&b, "K", 2);
  bench_size(&b, "N", 3);
  const double x[3] = {.3, 1.2, -.8}, z[2] = {.1, .6}, s0 = 4, lam = 1 / .49, l0 = .25;
  bench_input(&b, "x", x);
  bench_input(&b, "z0", z);
  bench_run(&b);
  double sum[2] = {0}, mass[2] = {0};
  for (int j = 0; j < 3; j++) {
    double w[2], total = 0;
    for (int k = 0; k < 2; k++) total += w[k] = exp(-.5 * lam * (pow(x[j] - z[k], 2) + s0));
    for (int k = 0; k < 2; k++) sum[k] += w[k] / total * x[j], mass[k] += w[k] / total;
  }
  for (int k = 0; k < 2; k++) {
    double s = 1 / (l0 + lam * mass[k]);
    EXPECT_NEAR(&b, "y", k, s * (l0 * .5 + lam * sum[k]), 1e-9);
    EXPECT_NEAR(&b, "var", k, s, 1e-9);
    EXPECT_NEAR(&b, "sd", k, sqrt(s), 1e-9);
  }
  cr_expect_gt(bench_at(&b, "f", 1), bench_at(&b, "f", 0));
  bench_close(&b);
}

/* The fixed point of the expanding model: q(theta) a beta. */
Test(latent, conjugate_beta) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n latent theta: real\n prior theta ~ beta(1, 1)\n edge phi in N\n"
             "prior N - 1 - phi ~ geometric(theta)\n potential exp(s[phi])\n"
             "infer theta by collapsed(steps = 60, q = conjugate)\n out a = param(theta, 1)\n out b = param(theta, 2)\n"
             "out p[j in N] = P[phi == j]\n out t = E[theta]\n out l = E[log(theta)]\n out f[s in 3] = elbo(s)\n}");
  bench_size(&b, "N", 4);
  BENCH_INPUT(&b, "s", 2, 0, 0, 1);
  bench_run(&b);
  const double p[4] = {.0669277662, .0290345120, .0930704246, .8109672973};
  for (int j = 0; j < 4; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-8);
  EXPECT_NEAR(&b, "a", 0, 2, 1e-8);
  EXPECT_NEAR(&b, "b", 0, 1.3519227470, 1e-8);
  EXPECT_NEAR(&b, "t", 0, 2 / 3.3519227470, 1e-8);
  cr_expect_geq(bench_at(&b, "f", 1), bench_at(&b, "f", 0));
  cr_expect_leq(bench_at(&b, "f", 2), .6823863495);
  bench_close(&b);
}

/* Gamma-Poisson: q is the exact posterior, and F the evidence. */
Test(latent, conjugate_gamma) {
  Bench b;
  bench_open(&b,
             "model m(N) { data x: int[N]\n latent r: real\n prior r ~ gamma(2, 3)\n"
             "for j in N { observe x[j] ~ poisson(r) }\n infer r by collapsed(steps = 1, q = conjugate)\n"
             "out a = param(r, 1)\n out b = param(r, 2)\n out f = elbo\n out m = r\n out v = E[sq(r)] - sq(E[r])\n}");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 2, 0, 4);
  bench_run(&b);
  EXPECT_NEAR(&b, "a", 0, 8, 1e-8);
  EXPECT_NEAR(&b, "b", 0, 6, 1e-8);
  EXPECT_NEAR(&b, "m", 0, 8. / 6, 1e-8);
  EXPECT_NEAR(&b, "v", 0, 8. / 36, 1e-8);
  double log_x = 2 * log(3) - lgamma(2) + lgamma(8) - 8 * log(6) - lgamma(3) - lgamma(5);
  EXPECT_NEAR(&b, "f", 0, log_x, 1e-8);
  bench_close(&b);
}

Test(latent, dirichlet_categorical) {
  Bench b;
  bench_open(
      &b, "model m(K, N) { data x: [N], mu: [K]\n latent w: [K]\n prior w ~ dirichlet(1.5)\n"
          "for j in N { edge c in K\n prior c ~ categorical(w)\n observe x[j] ~ normal(mu[c], 1) }\n"
          "infer w by collapsed(steps = 1, q = conjugate)\n out a[k in K] = param(w[k], 1)\n out m[k in K] = E[w[k]]\n"
          "out f[s in 2] = elbo(s)\n}");
  bench_size(&b, "K", 3);
  bench_size(&b, "N", 2);
  const double x[2] = {.3, 1.2}, mu[3] = {-1, 0, 1};
  bench_input(&b, "x", x);
  bench_input(&b, "mu", mu);
  bench_run(&b);
  double total = 0;
  for (int k = 0; k < 3; k++) {
    double a = 1.5;
    for (int j = 0; j < 2; j++) {
      double all = 0;
      for (int i = 0; i < 3; i++) all += exp(-.5 * pow(x[j] - mu[i], 2));
      a += exp(-.5 * pow(x[j] - mu[k], 2)) / all;
    }
    EXPECT_NEAR(&b, "a", k, a, 1e-8);
    total += a;
  }
  for (int k = 0; k < 3; k++) EXPECT_NEAR(&b, "m", k, bench_at(&b, "a", k) / total, 1e-8);
  cr_expect_gt(bench_at(&b, "f", 1), bench_at(&b, "f", 0));
  bench_close(&b);
}

/* A point: the posterior's mode for the beta pair, a gradient step elsewhere. */
Test(latent, points) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data x: bool[N], y: [N]\n latent p: real, z: real, g: real\n prior p ~ beta(2, 3)\n"
      "prior z ~ normal(0, 1)\n prior g ~ gamma(2, 1)\n"
      "for j in N { observe x[j] ~ bernoulli(p)\n observe y[j] ~ laplace(tanh(z), 1)\n potential exp(-sq(log(g))) }\n"
      "infer p by collapsed(steps = 1)\n infer z by collapsed(steps = 1, init = 0.3, method = gradient, rate = 0.5)\n"
      "infer g by collapsed(steps = 1, init = 1.5, rate = 0.1)\n"
      "out pp = p\n out zz = z\n out gg = g\n}");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 1, 0, 1);
  BENCH_INPUT(&b, "y", 1, 2, -1);
  bench_run(&b);
  EXPECT_NEAR(&b, "pp", 0, (2 - 1 + 2) / (2. - 1 + 2 + 3 - 1 + 1), 1e-9);
  double t = tanh(.3), slope = -.3 + (1 + 1 - 1) * (1 - t * t);
  EXPECT_NEAR(&b, "zz", 0, .3 + .5 * slope, 1e-8);
  double du = (2 - 1) - 1.5 - 3 * 2 * log(1.5);
  EXPECT_NEAR(&b, "gg", 0, 1.5 * exp(.1 * du), 1e-8);
  bench_close(&b);
}

/* A slot with hardly any mass still moves to its weighted mean; one with none stays. */
Test(latent, a_slot_with_little_mass) {
  Bench b;
  bench_open(&b,
             "model m(K, N) { data x: [N], z0: [K]\n latent z[k in K]: real\n"
             "for j in N { edge phi in K where phi < 2\n observe x[j] ~ normal(z[phi], 0.7) }\n"
             "infer z by collapsed(steps = 1, init = z0)\n out y[k in K] = z[k]\n}");
  bench_size(&b, "K", 3);
  bench_size(&b, "N", 3);
  const double x[3] = {.3, 1.2, -.8}, z[3] = {.1, 6, 2};
  bench_input(&b, "x", x);
  bench_input(&b, "z0", z);
  bench_run(&b);
  double sum[2] = {0}, mass[2] = {0};
  for (int j = 0; j < 3; j++) {
    double w[2], total = 0;
    for (int k = 0; k < 2; k++) total += w[k] = exp(-.5 * pow((x[j] - z[k]) / .7, 2));
    for (int k = 0; k < 2; k++) sum[k] += w[k] / total * x[j], mass[k] += w[k] / total;
  }
  for (int k = 0; k < 2; k++) EXPECT_NEAR(&b, "y", k, sum[k] / mass[k], 1e-8);
  EXPECT(&b, "y", 2, 2);
  bench_close(&b);
}

/* With the edges at their mode the step is that of k-means; a slot that nobody chooses stays. */
Test(latent, hard_assignments) {
  Bench b;
  bench_open(&b,
             "model m(K, N) { data x: [N], z0: [K]\n latent z[k in K]: real\n"
             "for j in N { edge phi in K\n observe x[j] ~ normal(z[phi], 1) }\n"
             "infer phi by mode\n infer z by collapsed(steps = 2, init = z0)\n out y[k in K] = z[k]\n}");
  bench_size(&b, "K", 3);
  bench_size(&b, "N", 4);
  BENCH_INPUT(&b, "x", 0, 1, 5, 9);
  BENCH_INPUT(&b, "z0", 0.2, 6, 50);
  bench_run(&b);
  EXPECT_NEAR(&b, "y", 0, .5, 1e-9);
  EXPECT_NEAR(&b, "y", 1, 7, 1e-9);
  EXPECT(&b, "y", 2, 50);
  bench_close(&b);
}

/* Two lines take turns, each after fresh edge sums; a line that moves less than tol rests. */
Test(latent, lines_take_turns) {
  Bench b;
  bench_open(&b,
             "model m(N) { data x: [N]\n latent a: real, c: real\n prior a ~ normal(0, 1)\n prior c ~ normal(a, 1)\n"
             "for j in N { observe x[j] ~ normal(c, 1) }\n"
             "infer a by collapsed(steps = 2, init = 1)\n infer c by collapsed(steps = 1, init = 4)\n out ya = a\n out "
             "yc = c\n"
             "out f[s in 4] = elbo(s)\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 3, 5);
  bench_run(&b);
  double c = (2 + 3 + 5) / 3.; /* a = 4 / 2 first, then c, then a again */
  EXPECT_NEAR(&b, "yc", 0, c, 1e-10);
  EXPECT_NEAR(&b, "ya", 0, c / 2, 1e-10);
  EXPECT(&b, "f", 3, bench_at(&b, "f", 2));
  bench_close(&b);
}

/* One line over both: they are one concave quadratic and are solved together. */
Test(latent, one_line_solves_together) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data x: [N]\n latent a: real, c: real\n prior a ~ normal(0, 1)\n prior c ~ normal(a, 1)\n"
      "for j in N { observe x[j] ~ normal(c, 1) }\n infer a, c by collapsed(steps = 1)\n out ya = a\n out yc = c\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 3, 5);
  bench_run(&b);
  EXPECT_NEAR(&b, "yc", 0, 8 / 2.5, 1e-9); /* a = c / 2 */
  EXPECT_NEAR(&b, "ya", 0, 4 / 2.5, 1e-9);
  bench_close(&b);
}

/* (x - a c)^2 is quadratic in each alone: one after the other, in the order of the line. */
Test(latent, one_after_the_other) {
  Bench b;
  bench_open(&b,
             "model m(N) { data x: [N]\n latent a: real, c: real\n prior a ~ normal(0, 1)\n prior c ~ normal(0, 1)\n"
             "for j in N { observe x[j] ~ normal(a * c, 1) }\n infer a, c by collapsed(steps = 1, init = 2)\n"
             "out ya = a\n out yc = c\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 3, 5);
  bench_run(&b);
  double a = 2 * 8 / (1 + 2 * 4.), c = a * 8 / (1 + 2 * a * a);
  EXPECT_NEAR(&b, "ya", 0, a, 1e-9);
  EXPECT_NEAR(&b, "yc", 0, c, 1e-9);
  bench_close(&b);
}

/* F(m, v) = m sum c - N e^(m + v / 2) - (m^2 + v) / 2 + log(v) / 2 + .., from m = 0 and v = 1, N = 2. */
Test(latent, a_gaussian_along_the_gradient) {
  Bench b;
  bench_open(&b, "model m(N) { data c: [N]\n latent a: real\n prior a ~ normal(0, 1)\n"
                 "for j in N { potential exp(c[j] * a - exp(a)) }\n"
                 "infer a by collapsed(steps = 1, q = gaussian, rate = 0.1)\n out y = a\n out s = param(a, 2)\n"
                 "out e = E[exp(a) * sq(a)]\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "c", 3, 1);
  bench_run(&b);
  double m = 0.1 * (4 - 2 * exp(0.5)), v = exp(0.1 * -exp(0.5));
  EXPECT_NEAR(&b, "y", 0, m, 1e-10);
  EXPECT_NEAR(&b, "s", 0, sqrt(v), 1e-10);
  EXPECT_NEAR(&b, "e", 0, exp(m + v / 2) * ((m + v) * (m + v) + v), 1e-9);
  bench_close(&b);
}

/* Of a product whose factors both are open, all latents are. */
Test(latent, expectations_of_two_latents) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N]\n latent a: real, c: real\n prior a ~ normal(0, 1)\n prior c ~ normal(1, 2)\n"
                 "infer a, c by collapsed(steps = 0, q = gaussian)\n out y = E[sq(a) * sq(c)]\n }");
  bench_size(&b, "N", 1);
  BENCH_INPUT(&b, "x", 3);
  bench_run(&b);
  EXPECT_NEAR(&b, "y", 0, 5, 1e-9);
  bench_close(&b);
}

Test(latent, what_is_beyond_it_is_not_judged) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N]\n latent a: real\n prior a ~ normal(0, 1)\n"
                 "for j in N { observe x[j] ~ normal(tanh(a), 1) }\n infer a by collapsed(steps = 1, q = conjugate)\n "
                 "out y = a\n }");
  bench_size(&b, "N", 1);
  BENCH_INPUT(&b, "x", 3);
  bench_run(&b);
  cr_expect_null(bench_out(&b, "y"));
  bench_close(&b);
  bench_open(&b, "model m(N) { data x: [N]\n latent a: real\n prior a ~ normal(0, 1)\n"
                 "for j in N { observe x[j] ~ normal(tanh(a), 1) }\n infer a by collapsed(steps = 1, method = "
                 "closed)\n out y = a\n }");
  bench_size(&b, "N", 1);
  BENCH_INPUT(&b, "x", 3);
  cr_expect_not(bench_try(&b));
  cr_expect(strstr(b.why, "no closed step"));
  bench_close(&b);
}
