/* The driver's words, numbers, constants, distances and costs. */
#include <criterion/criterion.h>
#include <math.h>

#include "driver/bind.h"
#include "driver/compare.h"
#include "driver/constant.h"
#include "driver/cost.h"
#include "front/parse.h"

static Arena arena;
static void open_arena(void) { arena_init(&arena, NULL); }
static void close_arena(void) { arena_free(&arena); }
TestSuite(driver, .init = open_arena, .fini = close_arena);

static const Model *model_of(const char *text) {
  Interner *names = NEW(&arena, Interner);
  Diags *diags = NEW(&arena, Diags);
  const Source *s = source_from_text(&arena, "t.attn", text, strlen(text));
  intern_init(names, &arena);
  diag_init(diags, &arena, s);
  const ModelFile *f = check_file(&arena, names, diags, s, parse_file(&arena, names, diags, s));
  diag_print(diags, stderr);
  cr_assert_eq(diags->errors, 0u);
  return f->models.at[0];
}

Test(driver, ints_are_whole_words) {
  int64_t x;
  cr_assert(read_int("-9223372036854775808", &x) && x == INT64_MIN);
  cr_assert(read_int("+7", &x) && x == 7);
  const char *wrong[] = {"", "-", " 1", "1 ", "1.0", "0x10", "9223372036854775808", "1e3", "--1", "inf"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) cr_expect_not(read_int(wrong[i], &x), "'%s'", wrong[i]);
}

Test(driver, reals_are_whole_words) {
  double x;
  cr_assert(read_real("-0.5e-3", &x) && x == -0.5e-3);
  cr_assert(read_real("-inf", &x) && isinf(x) && x < 0);
  cr_assert(read_real("nan", &x) && isnan(x));
  const char *wrong[] = {"", "-", " 1", "1 ", "0x10", "1e", "two", "1.npy", "infx", "."};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) cr_expect_not(read_real(wrong[i], &x), "'%s'", wrong[i]);
}

Test(driver, closest_name) {
  const char *names[] = {"train_x", "train_y", "beta"};
  cr_assert_str_eq(closest("bta", names, 3), "beta");
  cr_assert_str_eq(closest("trainx", names, 3), "train_x");
  cr_assert_null(closest("gamma", names, 3));
  cr_assert_null(closest("", names, 3));
}

static ConstantStatus default_of(const char *declaration, Constant *v) {
  const Model *m =
      model_of(arena_printf(&arena, "model m(N, K) {\n  data x: [N]\n  param %s\n  out o = sum(x)\n}\n", declaration));
  int64_t sizes[] = {5, 2};
  Known k = constant_known(&arena, m, sizes);
  return constant_eval(&k, m->inputs.at[1]->init, v);
}

Test(driver, constants) {
  Constant v;
  cr_assert_eq(default_of("a: int = sum(j in N) j * j", &v), CONSTANT_KNOWN);
  cr_assert_eq(v.i, 30);
  cr_assert_eq(default_of("a: real = sqrt(N) / K", &v), CONSTANT_KNOWN);
  cr_assert_float_eq(v.r, sqrt(5) / 2, 1e-15);
  cr_assert_eq(default_of("a: int = if K > 3 and N // 0 == 1 then 1 else -7 // K", &v), CONSTANT_KNOWN);
  cr_assert_eq(v.i, -4);
  cr_assert_eq(default_of("a: int = N // (K - 2)", &v), CONSTANT_FAULT);
  cr_assert_eq(default_of("a: int = (N * 4000000000) * 4000000000", &v), CONSTANT_FAULT);
}

Test(driver, distances) {
  int64_t dims[] = {2}, worst;
  double want[] = {3, 4};
  float got[] = {3, 4.5f};
  AttnArray a;
  OutputArray w = {.rank = 1, .dims = dims, .count = 2, .real = want};
  array_view(&a, got, ELEMTYPE_F32, 1, dims);
  cr_assert_float_eq(compare_output(&a, &w, &worst), 0.5 / (5 + sqrt(2)), 1e-12);
  cr_assert_eq(worst, 1);
  want[0] = INFINITY;
  cr_assert_eq(compare_output(&a, &w, &worst), INFINITY);
  got[0] = INFINITY;
  cr_assert(isfinite(compare_output(&a, &w, &worst)));
  want[0] = 1e300; /* infinite in f32 */
  cr_assert(isfinite(compare_output(&a, &w, &worst)));
  got[0] = NAN;
  cr_assert_eq(compare_output(&a, &w, &worst), INFINITY);
}

static const char *const MODEL = "model m(M, N, D, C) {\n  data q: [M, D], k: [N, D], v: [N, C], doc: int[N]\n  for i "
                                 "in M {\n    edge phi in N where %s\n"
                                 "    potential exp(dot(q[i], k[phi]))\n    out o[i] = E[v[phi]]\n  }\n}\n";

enum { COST_N = 100, COST_FEATURES = 8 + 4 };

static double cost_with(const char *where, int64_t n, int64_t *doc) {
  char text[1024];
  int64_t sizes[] = {n, n, 8, 4};
  Bound bound[4] = {{.data = {0}}};
  snprintf(text, sizeof text, MODEL, where);
  const Model *m = model_of(text);
  Inputs in = {.model = m, .sizes = sizes, .at = bound};
  if (doc) bound[3].data = (AttnArray){.data = doc, .type = ELEMTYPE_I64, .rank = 1, .shape = {n}, .stride = {1}};
  return cost_operations(&arena, m, sizes, doc ? &in : NULL);
}

static double cost_of(const char *where) { return cost_with(where, COST_N, NULL); }

typedef bool Live(int64_t i, int64_t j);

static double pairs_by_hand(Live *live) {
  double sum = 0;
  for (int64_t i = 0; i < COST_N; i++)
    for (int64_t j = 0; j < COST_N; j++) sum += live(i, j);
  return sum;
}

static bool band(int64_t i, int64_t j) { return j <= i && i - j < 7; }
static bool two_sides(int64_t i, int64_t j) { return 2 * j - 3 > i || j + 5 < i; }
static bool not_near(int64_t i, int64_t j) { return !(j == i || j == i - 2) && j != 3; }
static bool third(int64_t i, int64_t j) { return j <= i && (i - j) % 3 == 0; }
static bool mirrored(int64_t i, int64_t j) { return -3 * j >= -2 * i - 5; }
static bool same_tens(int64_t i, int64_t j) { return i / 10 == j / 10 && j <= i; }

static void expect_pairs(const char *where, double pairs) {
  cr_expect_eq(cost_of(where), 2 * COST_FEATURES * pairs, "%s: %g pairs, expected %g", where,
               cost_of(where) / 2 / COST_FEATURES, pairs);
}

Test(driver, costs_of_live_pairs) {
  expect_pairs("true", COST_N * COST_N);
  expect_pairs("phi <= i", COST_N * (COST_N + 1) / 2);
  expect_pairs("phi < 0", 0);
  expect_pairs("phi <= i and i - phi < 7", pairs_by_hand(band));
  expect_pairs("2 * phi - 3 > i or phi + 5 < i", pairs_by_hand(two_sides));
  expect_pairs("not (phi == i or phi == i - 2) and phi != 3", pairs_by_hand(not_near));
  expect_pairs("phi <= i and (i - phi) % 3 == 0", pairs_by_hand(third));
  expect_pairs("-3 * phi >= -2 * i - 5", pairs_by_hand(mirrored));
  expect_pairs("phi // 10 == i // 10 and phi <= i", pairs_by_hand(same_tens));
}

Test(driver, costs_of_conditions_on_data) {
  int64_t doc[COST_N];
  for (int64_t i = 0; i < COST_N; i++) doc[i] = i / 10;
  double causal = 2 * COST_FEATURES * (double)(COST_N * (COST_N + 1) / 2),
         packed = 2 * COST_FEATURES * pairs_by_hand(same_tens);
  cr_assert_eq(cost_with("phi <= i and doc[phi] == doc[i]", COST_N, NULL), causal);
  cr_assert_eq(cost_with("doc[phi] == doc[i] and phi <= i", COST_N, NULL), causal);
  cr_assert_eq(cost_with("phi <= i and doc[phi] == doc[i]", COST_N, doc), packed);
  cr_assert_eq(cost_with("doc[phi] == doc[i] and phi <= i", COST_N, doc), packed);
}

Test(driver, costs_of_graphs) {
  const Model *m =
      model_of("model m(M, N, C) {\n  data adj: graph[M, N], v: [N, C]\n  for i in M {\n    edge phi in adj[i]\n"
               "    out o[i] = E[v[phi]]\n  }\n}\n");
  int64_t sizes[] = {3, 9, 4}, indptr[] = {0, 2, 2, 7};
  Bound bound[2] = {{.data = {0}}};
  Inputs in = {.model = m, .sizes = sizes, .at = bound};
  bound[0].indptr = (AttnArray){.data = indptr, .type = ELEMTYPE_I64, .rank = 1, .shape = {4}, .stride = {1}};
  cr_assert_eq(cost_operations(&arena, m, sizes, &in), 2 * 7 * 4);
}

static double cost_of_bits(int64_t n) {
  int64_t sizes[] = {n, 8, 4};
  return cost_operations(&arena, model_of("model m(N, D, C) {\n  data q: [N, D], k: [N, D], v: [N, C]\n  for i in N {\n"
    "    for j in N {\n      edge a in bit\n      potential exp(a * dot(q[i], k[j]))\n    }\n"
    "    out o[i] = E[sum(j in N) a[j] * v[j]]\n  }\n}\n"), sizes, NULL);
}

Test(driver, costs_of_bits) { cr_assert_eq(cost_of_bits(100), 2 * 100 * 100 * (8 + 4)); }

/* Where copies are too many to go through, some stand for the others. */
Test(driver, costs_at_large_sizes) {
  double n = 1 << 22, half = COST_FEATURES * n * (n + 1), band_of = 2 * COST_FEATURES * (512 * n - 512.0 * 511 / 2);
  cr_assert_float_eq(cost_with("phi <= i", 1 << 22, NULL), half, 1e-4 * half);
  cr_assert_float_eq(cost_with("phi <= i and i - phi < 512", 1 << 22, NULL), band_of, 1e-4 * band_of);
}
