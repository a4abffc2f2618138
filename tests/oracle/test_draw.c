/* Drawn bindings: what the uses of an input ask for holds, and models run on them. */
#include "bench_model.h"
#include "oracle/draw.h"
#include "oracle/world.h"

enum { TRIALS = 60 };

static const BoundInput *bound_input(Bench *b, const char *name) { return &b->bound.inputs[bench_find(b, name)->id]; }

static int64_t bound_size(Bench *b, const char *name) {
  for (uint32_t k = 0; k < b->model->sizes.n; k++)
    if (b->model->sizes.at[k]->name == intern_str(&b->names, name)) return b->bound.sizes[k];
  cr_assert_fail("no size '%s'", name);
  return -1;
}

static void draw(Bench *b, uint64_t seed, const DrawOptions *o) {
  char *why = NULL;
  cr_assert(draw_binding(&b->arena, b->model, seed, o, &b->bound, &why), "%s", why ? why : "");
}

Test(draw, indices_bounds_and_pointers) {
  Bench b;
  bench_open(
      &b, "model m(M, L, N) { data ptr: int[M + 1], nbr: int[L], v: [N], len: int[M], doc: int[N]\n"
          "for i in M { edge e in ptr[i]..ptr[i + 1]\n out o[i] = E[v[nbr[e]]]\n edge f in N where f < len[i]\n"
          "out p[i] = P[f == 0]\n edge g in N where doc[g] == doc[0]\n potential exp(v[g])\n out q[i] = mode(g) }\n }");
  OracleLimits limits = oracle_default_limits();
  DrawOptions o = {.runs = &limits};
  for (uint64_t s = 0; s < TRIALS; s++) {
    draw(&b, s, &o);
    int64_t M = bound_size(&b, "M"), L = bound_size(&b, "L"), N = bound_size(&b, "N");
    const int64_t *ptr = bound_input(&b, "ptr")->integer, *nbr = bound_input(&b, "nbr")->integer;
    for (int64_t i = 0; i <= M; i++) cr_assert(ptr[i] >= 0 && ptr[i] <= L && (i == 0 || ptr[i] >= ptr[i - 1]));
    for (int64_t i = 0; i < L; i++) cr_assert(nbr[i] >= 0 && nbr[i] < (N ? N : 1));
    for (int64_t i = 0; i < M; i++) {
      int64_t len = bound_input(&b, "len")->integer[i];
      cr_assert(len >= 0 && len <= N);
    }
  }
  bench_close(&b);
}

Test(draw, ranges_of_parameters) {
  Bench b;
  bench_open(
      &b,
      "model m(N, K) { data x: [N], c: int[N], y: bool[N], s: [N], rate: [N], p: [N, K], alpha: [K], w: [N, K], t: "
      "[N]\n"
      "for i in N { edge phi in K\n prior phi ~ categorical(p[i])\n observe x[i] ~ normal(phi, s[i])\n"
      "observe c[i] ~ poisson(rate[i] * (1 + phi))\n observe y[i] ~ bernoulli(t[i])\n observe w[i] ~ dirichlet(alpha)\n"
      "out z[i] = logZ } }");
  DrawOptions o = {.round_f32 = true};
  for (uint64_t s = 0; s < TRIALS; s++) {
    draw(&b, s, &o);
    int64_t N = bound_size(&b, "N"), K = bound_size(&b, "K");
    for (int64_t i = 0; i < N; i++) {
      double t = bound_input(&b, "t")->real[i], sum = 0;
      cr_assert(bound_input(&b, "s")->real[i] > 0 && bound_input(&b, "rate")->real[i] > 0 && t > 0 && t < 1);
      cr_assert(bound_input(&b, "c")->integer[i] >= 0 && (bound_input(&b, "y")->integer[i] | 1) == 1);
      cr_assert_eq((double)(float)t, t);
      for (int64_t k = 0; k < K; k++) sum += bound_input(&b, "w")->real[i * K + k];
      cr_assert(K == 0 || fabs(sum - 1) < 1e-6);
    }
    bench_run(&b);
    for (int64_t i = 0; i < N && K > 0; i++) cr_assert(isfinite(bench_at(&b, "z", i)));
  }
  bench_close(&b);
}

Test(draw, preconditions_and_fixed_sizes) {
  Bench b;
  bench_open(&b,
             "model m(H, G, N) { require G > 0 and H % G == 0\n data q: [H, N], k: [H // G, N]\n"
             "for h in H { edge phi in N\n potential exp(q[h, phi] * k[h // G, phi])\n out z[h] = logZ } }");
  int64_t sizes[3] = {-1, 3, -1};
  DrawOptions o = {.sizes = sizes, .max_size = 7};
  for (uint64_t s = 0; s < TRIALS; s++) {
    draw(&b, s, &o);
    cr_assert_eq(bound_size(&b, "G"), 3);
    cr_assert_eq(bound_size(&b, "H") % 3, 0);
    cr_assert_leq(bound_size(&b, "H"), 7);
    bench_run(&b);
  }
  bench_close(&b);
}

Test(draw, graphs_are_valid_and_seeds_repeat) {
  Bench b;
  bench_open(&b,
             "model m(N) { data adj: graph[N, N], x: [N]\n for i in N { edge phi in adj[i]\n out o[i] = E[x[phi]] } }");
  DrawOptions o = {0};
  for (uint64_t s = 0; s < TRIALS; s++) {
    draw(&b, s, &o);
    bench_run(&b); /* checks the graph */
    Binding first = b.bound;
    draw(&b, s, &o);
    cr_assert_eq(first.sizes[0], b.bound.sizes[0]);
    for (int64_t k = 0; k < first.sizes[0]; k++) cr_assert_eq(first.inputs[1].real[k], b.bound.inputs[1].real[k]);
  }
  bench_close(&b);
}

Test(draw, what_cannot_be_drawn_says_why) {
  Bench b;
  bench_open(&b, "model m(N) { data x: [N]\n require N > 100\n edge phi in N\n out o = E[x[phi]] }");
  char *why = NULL;
  DrawOptions o = {0};
  cr_assert_not(draw_binding(&b.arena, b.model, 1, &o, &b.bound, &why));
  cr_assert(why && strstr(why, "precondition"));
  bench_close(&b);
}

/* ---- all values of structured edges, also those with several roots ------------------------------------------ */

Test(count, rows_of_structures) {
  const int64_t planar[] = {1, 3, 12, 55, 273}; /* C(3n, n) / (2n + 1) */
  for (int64_t n = 1; n <= 5; n++) {
    Arena arena;
    int64_t *rows, count;
    arena_init(&arena, NULL);
    cr_assert(oracle_structure_rows(&arena, DOMAIN_PROJECTIVE_TREE, false, false, n, n, 1e6, &rows, &count));
    cr_expect_eq(count, planar[n - 1]);
    cr_assert_not(oracle_structure_rows(&arena, DOMAIN_PERMUTATION, false, false, 14, 14, 1e6, &rows, &count));
    arena_free(&arena);
  }
}

Test(errors, more_plates_than_it_follows) {
  Bench b;
  char text[2000] = "model m(N) { data x: [N]\n for ";
  for (int k = 0; k < 30; k++) sprintf(text + strlen(text), "%si%d in N", k ? ", " : "", k);
  strcat(text, " { edge phi in N\n potential exp(x[phi]) }\n out z = logZ }");
  bench_open(&b, text);
  bench_size(&b, "N", 1);
  bench_input(&b, "x", (double[1]){0});
  cr_assert_not(bench_try(&b));
  cr_expect(strstr(b.why, "30 indices"), "%s", b.why);
  bench_close(&b);
}
