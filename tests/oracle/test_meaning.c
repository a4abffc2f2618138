/* The fine print, rule by rule, on cases small enough for the hand. */
#include "bench_model.h"

/* ---- supports, empty components, NaN ----------------------------------------------------------------------------- */

Test(meaning, empty_supports) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data x: [N], len: int[N]\n for i in N { edge phi in N where phi < len[i]\n potential exp(x[phi])\n"
      "out e[i] = E[1 + x[phi]]\n out m[i] = mode(phi)\n out h[i] = entropy(phi)\n out n[i] = count(phi)\n"
      "out z[i] = logZ\n out k[i] = kl(phi)\n out p[i, j in N] = P[phi == j]\n out q[i] = P[phi != 0]\n }\n"
      "out s = E[sum(i in N) (2 + x[phi[i]])]\n out i = E[if len[0] > 0 then x[phi[0]] else x[phi[1]]]\n"
      "out t = sum(i in N) E[2 + x[phi[i]]]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, log(2), NAN);
  BENCH_INPUT(&b, "len", 0, 2, 1);
  bench_run(&b);
  EXPECT(&b, "e", 0, 0);
  EXPECT(&b, "e", 1, 1 + 2. / 3 * log(2));
  EXPECT(&b, "e", 2, 1);
  EXPECT(&b, "m", 0, -1);
  EXPECT(&b, "m", 1, 1);
  EXPECT(&b, "h", 0, 0);
  EXPECT(&b, "n", 0, 0);
  EXPECT(&b, "n", 1, 2);
  EXPECT(&b, "z", 0, -INFINITY);
  EXPECT(&b, "z", 1, log(1.5));
  EXPECT(&b, "k", 0, 0);
  EXPECT(&b, "p", 0, 0);
  EXPECT(&b, "p", 3, 1. / 3);
  EXPECT(&b, "q", 0, 0);
  EXPECT(&b, "s", 0, 0);                                   /* one of its components is empty */
  EXPECT(&b, "i", 0, 2. / 3 * log(2));                     /* the other side is not looked at */
  EXPECT(&b, "t", 0, 0 + 2 + 2. / 3 * log(2) + 2);
  bench_close(&b);
}

Test(meaning, nan_stays_in_its_component) {
  Bench b;
  bench_open(
      &b, "model m(N) { data x: [N, N], v: [N]\n for i in N { edge phi in N where phi <= i\n potential exp(x[i, phi])\n"
          "out e[i] = E[v[phi]]\n out z[i] = logZ\n out p[i] = P[phi == 0] }\n out all = E[sum(i in N) v[phi[i]]]\n}");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, NAN, NAN, NAN, 0, NAN, 0, -INFINITY, 0);
  BENCH_INPUT(&b, "v", 1, NAN, 3);
  bench_run(&b);
  EXPECT(&b, "e", 0, 1);
  EXPECT_NAN(&b, "e", 1);
  EXPECT(&b, "e", 2, 2); /* a key of weight 0 is not read */
  EXPECT(&b, "z", 0, 0);
  EXPECT_NAN(&b, "z", 1);
  EXPECT_NAN(&b, "p", 1);
  EXPECT(&b, "p", 2, .5);
  EXPECT_NAN(&b, "all", 0);
  bench_close(&b);
}

Test(meaning, weights_that_remove_or_spoil) {
  Bench b;
  bench_open(&b,
             "model m(N) { data a: [N], c: [N], w: [N]\n"
             "edge x in N\n potential exp(a[x] + c[x])\n out px[j in N] = P[x == j]\n"
             "edge y in N\n potential a[y] * c[y]\n out py[j in N] = P[y == j]\n"
             "edge u in N\n potential w[u]\n out pu[j in N] = P[u == j]\n"
             "edge t in N\n potential w[t] ^ 2\n out pt[j in N] = P[t == j]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "a", -INFINITY, 0, 1);
  BENCH_INPUT(&b, "c", NAN, 0, 0);
  BENCH_INPUT(&b, "w", -1, 2, 0);
  bench_run(&b);
  EXPECT(&b, "px", 0, 0);
  EXPECT(&b, "px", 1, 1 / (1 + exp(1)));
  EXPECT_NAN(&b, "pu", 1);
  EXPECT_NAN(&b, "py", 1); /* -inf * NaN is no zero */
  EXPECT(&b, "pt", 0, .2);
  EXPECT(&b, "pt", 1, .8);
  EXPECT(&b, "pt", 2, 0);
  bench_close(&b);
}

Test(meaning, bits_that_where_rules_out) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n for j in N { edge a in bit where j > 0\n prior a ~ bernoulli(0.25)\n"
             "potential exp(s[j] * (1 + a)) }\n out p[j in N] = P[a[j] == 1]\n out z = logZ\n out n = count(a)\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "s", 3, log(2));
  bench_run(&b);
  EXPECT(&b, "p", 0, 0);
  EXPECT(&b, "p", 1, .25 * 4 / (.25 * 4 + .75 * 2));
  EXPECT(&b, "z", 0, 3 + log(2.5)); /* the first has prior 1 and still its potential */
  EXPECT(&b, "n", 0, 2);
  bench_close(&b);
}

Test(meaning, priors_normalise_given_earlier_edges) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data w: [N, N], s: [N]\n edge c in N\n edge phi in 0..c\n prior phi ~ weights(w[c, phi])\n"
      "out pc[j in N] = P[c == j]\n out p = P[phi == 0]\n out z = logZ\n out n = count(c, phi)\n out k = kl(c, phi)\n"
      "out kc = kl(c)\n out h = entropy(c, phi)\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "w", 9, 9, 9, 9, 9, 9, 1, 3, 9);
  BENCH_INPUT(&b, "s", 0, 0, 0);
  bench_run(&b);
  /* c = 0 leaves phi nothing: its third of the mass is lost */
  EXPECT(&b, "pc", 0, 0);
  EXPECT(&b, "pc", 1, .5);
  EXPECT(&b, "p", 0, .5 + .5 / 4);
  EXPECT(&b, "z", 0, log(2. / 3));
  EXPECT(&b, "n", 0, 3);
  EXPECT(&b, "k", 0, log(1.5));
  EXPECT(&b, "kc", 0, log(1.5));
  EXPECT(&b, "h", 0, -.5 * log(.5) - .125 * log(.125) - .375 * log(.375));
  bench_close(&b);
}

/* ---- logZ in plates ---------------------------------------------------------------------------------------------- */

Test(evidence, of_the_plates_it_stands_in) {
  Bench b;
  bench_open(
      &b,
      "model m(B, N) { data s: [B, N]\n potential 7\n for b in B { potential 3\n"
      "for i in N { edge phi in N\n potential exp(s[b, i])\n potential 2\n out zi[b, i] = logZ }\n out zb[b] = logZ }\n"
      "out z = logZ\n }");
  bench_size(&b, "B", 2);
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "s", 1, 2, 3, 4);
  bench_run(&b);
  EXPECT(&b, "zi", 1, 2 + log(2));
  EXPECT(&b, "zb", 1, 7 + 2 * log(2) + log(3));
  EXPECT(&b, "z", 0, 10 + 4 * log(2) + 2 * log(3) + log(7));
  bench_close(&b);
}

/* ---- infer lines ------------------------------------------------------------------------------------------------- */

Test(infer, mode_top_entmax) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n edge a in N\n edge t in N\n edge x in N\n edge y in N\n"
             "potential exp(s[a])\n potential exp(s[t])\n potential exp(s[x])\n potential exp(s[y])\n"
             "infer a by mode\n infer t by top(k = 2)\n infer x by entmax(alpha = 2)\n infer y by entmax(alpha = 1.5)\n"
             "out pa[j in N] = P[a == j]\n out pt[j in N] = P[t == j]\n out px[j in N] = P[x == j]\n"
             "out py[j in N] = P[y == j]\n out h = entropy(a)\n }");
  bench_size(&b, "N", 4);
  BENCH_INPUT(&b, "s", .5, 1, .2, 1);
  bench_run(&b);
  const double mode[4] = {0, 1, 0, 0}, top[4] = {0, .5, 0, .5};
  double threshold = (.5 + 1 + 1 - 1) / 3, total = 0; /* sparsemax over the three largest */
  for (int j = 0; j < 4; j++) {
    EXPECT(&b, "pa", j, mode[j]);
    EXPECT(&b, "pt", j, top[j]);
    double s[4] = {.5, 1, .2, 1};
    EXPECT_NEAR(&b, "px", j, fmax(s[j] - threshold, 0), 1e-10);
    total += bench_at(&b, "py", j);
  }
  cr_expect_float_eq(total, 1, 1e-10);
  /* alpha = 1.5: sqrt(p) are affine in s with slope 1/2 on the support */
  cr_expect_float_eq(sqrt(bench_at(&b, "py", 1)) - sqrt(bench_at(&b, "py", 0)), .25, 1e-9);
  cr_expect_gt(bench_at(&b, "h", 0), 1);
  bench_close(&b);
}

Test(infer, draws_are_not_judged) {
  Bench b;
  bench_open(&b,
             "model m(N) { data s: [N]\n edge a in N\n edge t in N\n potential exp(s[a])\n potential exp(s[t])\n"
             "infer t by sample(n = 3)\n out d = sample(a)\n out e = E[s[t]]\n out h = entropy(t)\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "s", 0, 1);
  bench_run(&b);
  cr_expect_null(bench_out(&b, "d"));
  cr_expect_null(bench_out(&b, "e"));
  cr_expect_not_null(bench_out(&b, "h"));
  bench_close(&b);
}

/* ---- graphs, lets, prefix arrays --------------------------------------------------------------------------------- */

Test(meaning, neighbours_of_a_graph) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data adj: graph[N, N], s: [N], v: [N]\n for i in N { edge phi in adj[i]\n potential exp(s[phi])\n"
      "out o[i] = E[v[phi]]\n out n[i] = count(phi) }\n"
      "let deg[i in N] = sum(j in adj[i]) 1\n out d[i in N] = deg[i]\n }");
  bench_size(&b, "N", 3);
  bench_graph(&b, "adj", (int64_t[]){0, 2, 2, 3}, (int64_t[]){0, 2, 1});
  BENCH_INPUT(&b, "s", 0, 5, log(3));
  BENCH_INPUT(&b, "v", 4, 10, 8);
  bench_run(&b);
  EXPECT(&b, "o", 0, 7);
  EXPECT(&b, "o", 1, 0);
  EXPECT(&b, "o", 2, 10);
  EXPECT(&b, "n", 0, 2);
  EXPECT(&b, "d", 0, 2);
  EXPECT(&b, "d", 1, 0);
  bench_close(&b);
}

/* ---- errors and refusals ----------------------------------------------------------------------------------------- */

static void expect_error(Bench *b, const char *part) {
  cr_assert_not(bench_try(b), "no error; expected one with '%s'", part);
  cr_expect(strstr(b->why, part) && strstr(b->why, "t.attn:"), "the error is '%s', expected '%s'", b->why, part);
}

Test(errors, on_the_support_only) {
  Bench b;
  const char *text =
      "model m(N) { data x: [N], k: int[N]\n edge phi in N where phi > 0\n potential exp(x[phi + k[phi]])\n"
      "out e = E[x[phi]]\n }";
  bench_open(&b, text);
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, 1, 2);
  BENCH_INPUT(&b, "k", 9, 1, 0);
  bench_run(&b);
  bench_close(&b);
  bench_open(&b, text);
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, 1, 2);
  BENCH_INPUT(&b, "k", 0, 1, 1);
  expect_error(&b, "out of range");
  bench_close(&b);
}

Test(errors, removed_values_make_none) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N], k: int[N]\n edge phi in N\n potential exp(x[phi + k[phi]] / (1 + 0 * (1 // "
                 "(2 - phi))))\n"
                 "require phi < 2 - 1\n out e = E[x[phi]]\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 4, 1, 2);
  BENCH_INPUT(&b, "k", 0, 9, -5);
  bench_run(&b);
  EXPECT(&b, "e", 0, 4);
  bench_close(&b);
}

Test(errors, division_by_zero_also_where_it_would_cancel) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N]\n edge phi in N\n out e = E[0 * (1 // phi) + x[phi]]\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 1, 2);
  expect_error(&b, "division by zero");
  bench_close(&b);
}

Test(errors, a_cost_beyond_the_limits) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data x: [N]\n for j in N { edge a in bit }\n require sum(j in N) a[j] >= 0\n out e = E[a[0]]\n }");
  bench_size(&b, "N", 40);
  bench_input(&b, "x", (double[40]){0});
  expect_error(&b, "1.1e+12");
  bench_close(&b);
}

/* ---- joint and marginal queries of coupled copies ---------------------------------------------------------------- */

static double xlogx(double p) { return p > 0 ? p * log(p) : 0; }

Test(query, two_coupled_bits) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data p: [N]\n for i in N { edge s in bit\n prior s ~ bernoulli(p[i]) }\n"
      "potential if s[0] == s[1] then 3 else 1\n require s[0] + s[1] > 0\n"
      "out k0 = kl(s[0])\n out k = kl(s)\n out h = entropy(s[0], s[1])\n out h1 = entropy(s[1])\n out n = count(s)\n"
      "out n0 = count(s[0])\n out z = logZ\n out x = P[s[0] == 1 and s[1] == 0]\n out y = P[not (s[0] == 1) or s[1] == "
      "1]\n"
      "out m[i in N] = mode(s[i])\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "p", .3, .4);
  bench_run(&b);
  double w01 = .7 * .4, w10 = .3 * .6, w11 = .3 * .4 * 3, Z = w01 + w10 + w11, p0 = (w10 + w11) / Z;
  EXPECT(&b, "z", 0, log(Z));
  EXPECT(&b, "k0", 0, p0 * log(p0 / .3) + (1 - p0) * log((1 - p0) / .7));
  EXPECT(&b, "k", 0, w11 / Z * log(3) - log(Z));
  EXPECT(&b, "h", 0, -xlogx(w01 / Z) - xlogx(w10 / Z) - xlogx(w11 / Z));
  double p1 = (w01 + w11) / Z;
  EXPECT(&b, "h1", 0, -xlogx(p1) - xlogx(1 - p1));
  EXPECT(&b, "n", 0, 3);
  EXPECT(&b, "n0", 0, 2);
  EXPECT(&b, "x", 0, w10 / Z);
  EXPECT(&b, "y", 0, 1 - w10 / Z);
  EXPECT(&b, "m", 0, 1);
  EXPECT(&b, "m", 1, 1);
  bench_close(&b);
}

/* Equal weights: the lowest index, in order of declaration, none last. */
Test(query, ties) {
  Bench b;
  bench_open(
      &b,
      "model m(N) { data x: [N]\n edge a in N or none\n edge c in N\n require a != c\n edge e in bit\n edge f in 1..N\n"
      "require e + f > 1\n out ma = mode(a)\n out mc = mode(c)\n out me = mode(e)\n out mf = mode(f)\n }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, 0, 0);
  bench_run(&b);
  EXPECT(&b, "ma", 0, 0);
  EXPECT(&b, "mc", 0, 1);
  EXPECT(&b, "me", 0, 0);
  EXPECT(&b, "mf", 0, 2);
  bench_close(&b);
}

Test(meaning, none_through_another_copy) {
  Bench b;
  bench_open(&b,
             "model m(N) { data v: [N]\n for i in N { edge phi in N or none where phi != i }\n"
             "out a = E[v[phi[phi[0]]]]\n out c = P[phi[phi[0]] == none]\n out d = E[exp(v[phi[0]])]\n"
             "out e = P[phi[0] == phi[1]]\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "v", 5, 7);
  bench_run(&b);
  /* each copy: the other node or none, 1/2 each */
  EXPECT(&b, "a", 0, .25 * 5);
  EXPECT(&b, "c", 0, .75);
  EXPECT(&b, "d", 0, .5 * exp(7) + .5);
  EXPECT(&b, "e", 0, .25);
  bench_close(&b);
}

Test(meaning, none_frees_whole_statements) {
  Bench b;
  bench_open(
      &b, "model m(N) { data w: [N]\n for t in N { edge c in N or none }\n for t in 1..N { require c[t] > c[t - 1] }\n"
          "potential w[c[0]] * 0.5 + 0 * w[c[1]]\n out n = count(c)\n out p = P[c[0] == none]\n out z = logZ\n }");
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "w", 4, 6);
  bench_run(&b);
  /* (0, 1) weighs 2, (0, none) 1, (1, none) 1, (none, 0), (none, 1), (none, none) 1 each */
  EXPECT(&b, "n", 0, 6);
  EXPECT(&b, "p", 0, 3. / 7);
  EXPECT(&b, "z", 0, log(7. / 9));
  bench_close(&b);
}

Test(meaning, requires_of_no_copies) {
  Bench b;
  bench_open(&b, "model m(M, N) { data k: int[M], j: int\n for i in M { for n in N { edge a in bit }\n"
                 "require sum(n in 0..j) a[i, n] == k[i]\n out n[i] = count(a)\n out z[i] = logZ }\n"
                 "out all = count(a)\n }");
  bench_size(&b, "M", 2);
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "k", 0, 1);
  BENCH_INPUT(&b, "j", 0);
  bench_run(&b);
  EXPECT(&b, "n", 0, 8);
  EXPECT(&b, "n", 1, 0); /* 0 is not 1 */
  EXPECT(&b, "z", 0, 0);
  EXPECT(&b, "z", 1, -INFINITY);
  EXPECT(&b, "all", 0, 0);
  bench_close(&b);
}

/* Duplicates and broken CSR are refused, unsorted rows are read in order. */
Test(errors, graphs) {
  const char *text =
      "model m(N) { data adj: graph[N, N], x: [N]\n for i in N { edge phi in adj[i]\n out m[i] = mode(phi) } }";
  int64_t indptr[] = {0, 2, 2}, twice[] = {1, 1}, outside[] = {0, 2}, unsorted[] = {1, 0}, *cases[] = {twice, outside};
  const char *messages[] = {"twice", "column"};
  for (int k = 0; k < 2; k++) {
    Bench b;
    bench_open(&b, text);
    bench_size(&b, "N", 2);
    BENCH_INPUT(&b, "x", 0, 0);
    bench_graph(&b, "adj", indptr, cases[k]);
    expect_error(&b, messages[k]);
    bench_close(&b);
  }
  Bench b;
  bench_open(&b, text);
  bench_size(&b, "N", 2);
  BENCH_INPUT(&b, "x", 0, 0);
  bench_graph(&b, "adj", indptr, unsorted);
  bench_run(&b);
  EXPECT(&b, "m", 0, 0);
  EXPECT(&b, "m", 1, -1);
  bench_close(&b);
}

Test(errors, bindings_that_do_not_fit) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N], k: int[N]\n edge phi in N\n out e = E[x[phi]] }");
  bench_size(&b, "N", 3);
  BENCH_INPUT(&b, "x", 0, 1, 2);
  BENCH_INPUT(&b, "k", 0, 1, 2);
  bench_size(&b, "N", 4);
  expect_error(&b, "dimension 0 of input 'x'");
  bench_close(&b);
}
