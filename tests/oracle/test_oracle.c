/* The oracle against published numbers, hand computations and counts. */
#include "bench_model.h"

/* ---- golden numbers: one edge -------------------------------------------------------------------------- */

Test(golden, softmax) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n"
             "edge phi in N\n potential exp(s[phi])\n"
             "out p[j in N] = P[phi == j]\n out z = logZ\n out h = entropy(phi)\n out k = kl(phi)\n"
             "out n = count(phi)\n out m = mode(phi)\n out e = E[phi]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", 0, 1, 2);
  bench_run(&b);
  EXPECT_NEAR(&b, "p", 0, .0900305732, 1e-9);
  EXPECT_NEAR(&b, "p", 1, .2447284711, 1e-9);
  EXPECT_NEAR(&b, "p", 2, .6652409558, 1e-9);
  EXPECT_NEAR(&b, "z", 0, 2.4076059644 - log(3), 1e-9);
  EXPECT_NEAR(&b, "h", 0, .8323955818, 1e-9);
  EXPECT_NEAR(&b, "k", 0, log(3) - .8323955818, 1e-9);
  EXPECT(&b, "n", 0, 3);
  EXPECT(&b, "m", 0, 2);
  EXPECT_NEAR(&b, "e", 0, .2447284711 + 2 * .6652409558, 1e-9);
  bench_close(&b);
}

Test(golden, null_edge) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n"
             "edge phi in N or none\n potential exp(s[phi])\n"
             "out p[j in N] = P[phi == j]\n out q = P[phi == none]\n out v = E[s[phi]]\n out n = count(phi)\n"
             "out o = E[phi]\n out x = E[exp(s[phi])]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", 0, 1, 2);
  bench_run(&b);
  const double p[3] = {.0825945394, .2245152357, .6102956854};
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-9);
  EXPECT_NEAR(&b, "q", 0, .0825945394, 1e-9);
  EXPECT_NEAR(&b, "v", 0, p[1] + 2 * p[2], 1e-9);
  EXPECT_NEAR(&b, "x", 0, .0825945394 + p[0] + p[1] * exp(1) + p[2] * exp(2), 1e-9);
  EXPECT(&b, "n", 0, 4);
  bench_close(&b);
}

Test(golden, sigmoid) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n for j in N { edge a in bit\n potential exp(a * (s[j] - log(3)))\n"
             "out p[j] = P[a == 1] }\n out t = E[sum(j in N) a[j] * s[j]]\n out z = logZ\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", 0, 1, 2);
  bench_run(&b);
  const double p[3] = {.25, .4753668864, .7112345942};
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-9);
  EXPECT_NEAR(&b, "t", 0, p[1] + 2 * p[2], 1e-9);
  double z = 0;
  for (int j = 0; j < 3; j++) z += log1p(exp(j - log(3))) - log(2);
  EXPECT(&b, "z", 0, z);
  bench_close(&b);
}

Test(golden, two_of_three) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n for j in N { edge a in bit\n potential exp(a * s[j]) }\n"
             "require sum(j in N) a[j] == 2\n out p[j in N] = P[a[j] == 1]\n out z = logZ\n out n = count(a)\n"
             "out one = count(a[0])\n out h = entropy(a[0])\n out k = kl(a)\n out m[j in N] = mode(a[j])\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", 0, 1, 2);
  bench_run(&b);
  const double p[3] = {.3347590442, .7552715289, .9099694268};
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-9);
  EXPECT_NEAR(&b, "z", 0, 3.4076059644 - 3 * log(2), 1e-9);
  EXPECT(&b, "n", 0, 3);
  EXPECT(&b, "one", 0, 2);
  EXPECT_NEAR(&b, "h", 0, -p[0] * log(p[0]) - (1 - p[0]) * log1p(-p[0]), 1e-9);
  double mean = p[1] + 2 * p[2], e2 = log(exp(1) + exp(2) + exp(3));
  EXPECT_NEAR(&b, "k", 0, mean - e2 + 3 * log(2), 1e-9); /* E[log w] - log sum w, prior 1/8 */
  EXPECT(&b, "m", 0, 0);
  EXPECT(&b, "m", 1, 1);
  EXPECT(&b, "m", 2, 1);
  bench_close(&b);
}

Test(golden, stick_breaking) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n edge phi in N or none\n prior phi ~ stick_breaking(sigmoid(s[phi]))\n"
             "edge psi in N\n prior psi ~ stick_breaking(sigmoid(s[psi]))\n"
             "out p[j in N] = P[phi == j]\n out q = P[phi == none]\n out r[j in N] = P[psi == j]\n out z = logZ\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", 0, 1, 2);
  bench_run(&b);
  const double p[3] = {.0160293016, .0871443187, .8807970780}, left = .0160293016;
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-9);
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "r", j, p[j] / (1 - left), 1e-9);
  EXPECT_NEAR(&b, "q", 0, left, 1e-9);
  EXPECT_NEAR(&b, "z", 0, 0, 1e-12);
  bench_close(&b);
}

Test(golden, beta_geometric) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n edge phi in N\n prior N - 1 - phi ~ beta_geometric(1, 1)\n"
             "potential exp(s[phi])\n out p[j in N] = P[phi == j]\n out z = logZ\n }");
  bench_size(&b, "N", 4);
  BENCH_INPUT(&b, "s", 2, 0, 0, 1);
  bench_run(&b);
  const double p[4] = {.1867249458, .0421174557, .0842349114, .6869226871};
  for (int j = 0; j < 4; j++) EXPECT_NEAR(&b, "p", j, p[j], 1e-9);
  EXPECT_NEAR(&b, "z", 0, .6823863495, 1e-9);
  bench_close(&b);
}

Test(golden, chain) {
  Bench b;
  bench_open(
      &b,
      "model m(T, L) { data U: [T, L], W: [L, L]\n"
      "for t in T { edge c in L\n potential exp(U[t, c]) }\n"
      "for t in 1..T { potential exp(W[c[t - 1], c[t]]) }\n"
      "out p[t in T] = P[c[t] == 1]\n out z = logZ\n out h = entropy(c)\n out g[t in 1..T] = P[c[t] == c[t - 1]]\n }");
  bench_size(&b, "T", 3);
  bench_size(&b, "L", 2);
  BENCH_INPUT(&b, "U", 0, 1, .5, 0, 0, -1);
  BENCH_INPUT(&b, "W", 1, 0, 0, 1);
  bench_run(&b);
  const double p[3] = {.6437663835, .3775406688, .2629693055};
  for (int t = 0; t < 3; t++) EXPECT_NEAR(&b, "p", t, p[t], 1e-9);
  EXPECT_NEAR(&b, "z", 0, 3.7941521758 - 3 * log(2), 1e-9);
  bench_close(&b);
}

static void tree_model(Bench *b, const char *domain, int64_t n) {
  static char text[700];
  snprintf(text, sizeof text,
           "model m(N) { data theta: [N, N], root: [N]\n edge up in %s\n"
           "for j in N { potential exp(if up[j] == none then root[j] else theta[up[j], j]) }\n"
           "out r[j in N] = P[up[j] == none]\n out z = logZ\n out n = count(up)\n"
           "out a[j in N, i in N] = P[up[j] == i]\n out m[j in N] = mode(up[j])\n }", domain);
  bench_open(b, text);
  bench_size(b, "N", n);
}

Test(golden, trees) {
  Bench b;
  double theta[9];
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) theta[3 * i + j] = .1 * (i + 1) - .2 * (j + 1) + .3 * (i == j + 1);
  tree_model(&b, "tree(N)", 3);
  bench_input(&b, "theta", theta);
  BENCH_INPUT(&b, "root", 0, .5, -.5);
  bench_run(&b);
  const double single[3] = {.2091387842, .5037840482, .2870771676}, many[3] = {.4037702138, .6495425861, .4698120971};
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "r", j, single[j], 1e-9);
  EXPECT_NEAR(&b, "z", 0, 2.0875504267 - 2 * log(3), 1e-9);
  EXPECT(&b, "n", 0, 9);
  bench_close(&b);
  tree_model(&b, "tree(N, roots = any)", 3);
  bench_input(&b, "theta", theta);
  BENCH_INPUT(&b, "root", 0, .5, -.5);
  bench_run(&b);
  for (int j = 0; j < 3; j++) EXPECT_NEAR(&b, "r", j, many[j], 1e-9);
  EXPECT_NEAR(&b, "z", 0, 2.6956727581 - 2 * log(4), 1e-9);
  bench_close(&b);
}

Test(golden, permutation) {
  Bench b;
  bench_open(&b,
             "model m(N) { data S: [N, N]\n edge perm in permutation(N)\n for i in N { potential exp(S[i, perm[i]]) }\n"
             "out p[i in N, j in N] = P[perm[i] == j]\n out n = count(perm)\n out z = logZ\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "S", 1, 0, 0, .5);
  bench_run(&b);
  EXPECT_NEAR(&b, "p", 0, .8175744762, 1e-9);
  EXPECT_NEAR(&b, "p", 1, 1 - .8175744762, 1e-9);
  EXPECT(&b, "n", 0, 2);
  bench_close(&b);
  bench_open(&b,
             "model m(N) { data S: [N, N]\n edge perm in permutation(N)\n for i in N { potential exp(S[i, perm[i]]) }\n"
             "infer perm by sinkhorn(steps = 200)\n out p[i in N, j in N] = P[perm[i] == j]\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "S", 1, 0, 0, .5);
  bench_run(&b);
  EXPECT_NEAR(&b, "p", 0, .6791786992, 1e-9);
  bench_close(&b);
}

/* ---- counts of structures --------------------------------------------------------------------------------- */

static double count_of(const char *domain, int64_t n) {
  Bench b;
  char text[200];
  snprintf(text, sizeof text, "model m(N) { data x: [N]\n edge up in %s\n out n = count(up)\n out z = logZ\n }",
           domain);
  bench_open(&b, text);
  bench_size(&b, "N", n);
  bench_input(&b, "x", (double[10]){0});
  bench_run(&b);
  double count = bench_at(&b, "n", 0);
  EXPECT_NEAR(&b, "z", 0, 0, 1e-12); /* the prior is normalised */
  bench_close(&b);
  return count;
}

Test(count, structures) {
  const double single[] = {0, 1, 2, 9, 64, 625}, many[] = {1, 1, 3, 16, 125, 1296},
               planar[] = {1, 1, 3, 12, 55, 273}; /* C(3n, n) / (2n + 1) */
  const double permutations[] = {1, 1, 2, 6, 24, 120};
  for (int n = 1; n <= 5; n++) {
    cr_expect_eq(count_of("tree(N)", n), single[n], "trees of %d", n);
    cr_expect_eq(count_of("tree(N, roots = any)", n), many[n], "forests of %d", n);
    cr_expect_eq(count_of("projective_tree(N)", n), planar[n], "projective trees of %d", n);
    cr_expect_eq(count_of("permutation(N)", n), permutations[n], "permutations of %d", n);
  }
  cr_expect_eq(count_of("matching(2, N)", 3), 6);
  cr_expect_eq(count_of("matching(2, N) or none", 3), 13); /* 1 + 2 * 3 + 6 */
}

/* ---- coincidences -------------------------------------------------------------------------------------------- */

Test(meaning, two_hops_and_the_way_back) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N, N], v: [N]\n for i in N { edge phi in N\n potential exp(s[i, phi])\n"
             "out two[i] = E[v[phi[phi[i]]]]\n }\n out a[i in N, j in N] = P[phi[i] == j]\n"
             "out q[i in N, j in N] = E[v[phi[i]] * v[phi[j]]]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "s", .1, .7, -.3, .4, .2, 1.1, -.5, .9, .3);
  BENCH_INPUT(&b, "v", 1, -2, 5);
  bench_run(&b);
  const double v[3] = {1, -2, 5};
  double A[3][3], mean[3] = {0}, square[3] = {0};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      A[i][j] = bench_at(&b, "a", 3 * i + j);
      mean[i] += A[i][j] * v[j];
      square[i] += A[i][j] * v[j] * v[j];
    }
  for (int i = 0; i < 3; i++) {
    double two = A[i][i] * v[i]; /* the path stays: its second hop is the same edge */
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 3 && j != i; k++) two += A[i][j] * A[j][k] * v[k];
    EXPECT(&b, "two", i, two);
    for (int j = 0; j < 3; j++) EXPECT(&b, "q", 3 * i + j, i == j ? square[i] : mean[i] * mean[j]);
  }
  bench_close(&b);
}

/* ---- none ------------------------------------------------------------------------------------------------------ */

Test(meaning, none_in_weights_and_queries) {
  Bench b;
  bench_open(&b,
             "model m(N) { data x: [N]\n edge phi in N or none\n prior phi ~ weights(exp(x[phi]))\n"
             "potential if phi == none then 3 else exp(x[phi])\n potential exp(100 * x[phi] - 100 * x[phi])\n"
             "out p = P[phi == none]\n out d = E[2 - phi]\n out c = P[phi < 2]\n out h = P[phi != none]\n"
             "out m = mode(phi)\n out s = E[x[phi]] }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 0, log(2));
  bench_run(&b);
  /* prior 1, 2, none 1 (of 4); potential 1, 2, none 3: weights 1, 4, 3 of 8 */
  EXPECT(&b, "p", 0, 3. / 8);
  EXPECT(&b, "d", 0, 1. / 8 * 2 + 4. / 8 * 1);
  EXPECT(&b, "c", 0, 5. / 8);
  EXPECT(&b, "h", 0, 5. / 8);
  EXPECT(&b, "m", 0, 1);
  EXPECT(&b, "s", 0, 4. / 8 * log(2));
  bench_close(&b);
}
