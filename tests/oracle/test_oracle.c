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
