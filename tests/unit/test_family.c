/* Sums, heaviest values and draws of structures, against enumeration of all of them, counts known in closed form, and
 * numbers of many digits (mpmath, 300 digits). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"
#include "family/tree_parts.h"
#include "random.h"

enum { MAX_NODES = 6, MAX_CHOICES = 7, GUARD = 16 };

/* ---- structures by enumeration ----------------------------------------------------------------------------------- */

typedef enum { TREE, FOREST, PROJECTIVE, BIJECTION, MATCHING, MATCHING_OR_NONE } Kind;

typedef struct Problem { Kind kind; int64_t nodes, targets, choices; double *local; } Problem;

static bool is_tree_kind(Kind k) { return k == TREE || k == FOREST || k == PROJECTIVE; }

static Problem problem(Kind kind, int64_t nodes, int64_t targets) {
  bool none = is_tree_kind(kind) || kind == MATCHING_OR_NONE;
  Problem p = {kind, nodes, targets, targets + none, NULL};
  p.local = calloc((size_t)(nodes * p.choices) + 1, sizeof *p.local);
  return p;
}

static bool reaches_root(const Problem *p, const int64_t *c) {
  for (int64_t i = 0; i < p->nodes; i++) {
    int64_t at = i, steps = 0;
    while (at < p->nodes && steps++ <= p->nodes) at = c[at];
    if (at < p->nodes) return false;
  }
  return true;
}

static bool cross(int64_t a, int64_t b, int64_t c, int64_t d) { return a < c && c < b && b < d; }

static bool has_crossing(const Problem *p, const int64_t *c) {
  for (int64_t i = 0; i < p->nodes; i++)
    for (int64_t j = 0; j < p->nodes; j++) {
      int64_t pi = c[i] == p->nodes ? -1 : c[i], pj = c[j] == p->nodes ? -1 : c[j];
      if (cross(i < pi ? i : pi, i < pi ? pi : i, j < pj ? j : pj, j < pj ? pj : j)) return true;
    }
  return false;
}

static bool admitted(const Problem *p, const int64_t *c) {
  int64_t roots = 0;
  for (int64_t i = 0; i < p->nodes; i++) {
    roots += c[i] == p->targets;
    if (is_tree_kind(p->kind) && c[i] == i) return false;
    for (int64_t j = 0; j < i && !is_tree_kind(p->kind); j++)
      if (c[i] == c[j] && c[i] < p->targets) return false;
  }
  if (!is_tree_kind(p->kind)) return true;
  if (!reaches_root(p, c) || (p->kind == TREE && roots != 1)) return false;
  return p->kind != PROJECTIVE || !has_crossing(p, c);
}

typedef struct All { double z, entropy, p[MAX_NODES][MAX_CHOICES], best; int64_t first[MAX_NODES], count; } All;

static double weight(const Problem *p, const int64_t *c) {
  double w = 0;
  for (int64_t i = 0; i < p->nodes; i++) w += p->local[i * p->choices + c[i]];
  return w;
}

static bool next(const Problem *p, int64_t *c) {
  for (int64_t i = p->nodes; i-- > 0; c[i] = 0)
    if (++c[i] < p->choices) return true;
  return false;
}

static All enumerate(const Problem *p) {
  All a = {.best = -INFINITY};
  int64_t c[MAX_NODES] = {0};
  do {
    if (!admitted(p, c)) continue;
    a.count++;
    double w = weight(p, c);
    if (w > a.best + 1e-12 * (1 + fabs(w))) a.best = w, memcpy(a.first, c, sizeof c);
    a.z += exp(w);
    a.entropy += w > -INFINITY ? exp(w) * w : 0;
    for (int64_t i = 0; i < p->nodes; i++) a.p[i][c[i]] += exp(w);
  } while (p->choices && next(p, c));
  a.entropy = a.z > 0 ? log(a.z) - a.entropy / a.z : 0;
  return a;
}

/* ---- the routines ------------------------------------------------------------------------------------------------ */

/* draws: which of n says how many. */
typedef struct Routines { attn_family_fn *sum, *best, *draw; int64_t n[5], work, draws; } Routines;

static int64_t matching_work(int64_t m, int64_t n, bool none) {
  int64_t line = m > n ? m : n, bits = m < n ? m : n, tables = m == n && !none ? 1 : line + 1;
  return m * n + 9 * (m + n) + 32 + (!none && m > n ? 0 : 2 * tables * ((int64_t)1 << bits));
}

static Routines routines_of(const Problem *p) {
  int64_t n = p->nodes, line = n > p->targets ? n : p->targets;
  switch (p->kind) {
  case TREE: case FOREST:
    return (Routines){
        attn_rt_tree_sum, attn_rt_tree_best, attn_rt_tree_draw, {n, p->kind == TREE}, 9 * n * n + 102 * n + 1200, 2};
  case PROJECTIVE:
    return (Routines){
        attn_rt_projective_sum, attn_rt_projective_best, attn_rt_projective_draw, {n}, 10 * n * n + 40 * n + 64, 1};
  case BIJECTION: case MATCHING: case MATCHING_OR_NONE: break;
  }
  return (Routines){attn_rt_matching_sum,
                    attn_rt_matching_best,
                    attn_rt_matching_draw,
                    {n, p->targets, p->choices, line},
                    matching_work(n, p->targets, p->choices > p->targets),
                    4};
}

/* With a mark behind the work space: it is as large as the header says. */
static void call(attn_family_fn *f, const Routines *r, const void *const *in, void *const *out) {
  double *work = malloc((size_t)(r->work + GUARD) * sizeof *work);
  for (int64_t k = 0; k < r->work + GUARD; k++) work[k] = 1.25e77;
  f(r->n, in, out, work);
  for (int64_t k = r->work; k < r->work + GUARD; k++) cr_assert(work[k] == 1.25e77, "it writes beyond its work space");
  free(work);
}

typedef struct Sum { double *log_p, z[2]; } Sum;

static Sum sum(const Problem *p) {
  Routines r = routines_of(p);
  Sum s = {.log_p = calloc((size_t)(p->nodes * p->choices) + 1, sizeof(double))};
  call(r.sum, &r, (const void *[]){p->local}, (void *[]){s.log_p, s.z});
  return s;
}

static double p_of(const Problem *p, const Sum *s, int64_t i, int64_t c) { return exp(s->log_p[i * p->choices + c]); }

/* kind of weights: normal, few equal ones, many missing */
static void randomise(Problem *p, int64_t seed) {
  for (int64_t k = 0; k < p->nodes * p->choices; k++) {
    double u = attn_rt_random_uniform(seed, 1, &k), normal = attn_rt_random_normal(seed + 1, 1, &k);
    p->local[k] = seed % 3 ? 1.5 * normal : floor(3 * u);
    if (seed % 2 && attn_rt_random_uniform(seed + 2, 1, &k) < 0.4) p->local[k] = -INFINITY;
  }
}

static void check_sum(const Problem *p, const All *a) {
  Sum s = sum(p);
  if (a->z == 0) cr_assert(s.z[0] == -INFINITY && s.z[1] == 0);
  else {
    cr_assert_float_eq(s.z[0], log(a->z), 1e-11);
    cr_assert_float_eq(s.z[1], a->entropy, 1e-10);
  }
  for (int64_t i = 0; i < p->nodes; i++)
    for (int64_t c = 0; c < p->choices; c++) {
      double want = a->z > 0 ? a->p[i][c] / a->z : 0;
      cr_assert_float_eq(p_of(p, &s, i, c), want, 1e-12, "node %ld choice %ld: %g, by enumeration %g", (long)i, (long)c,
                         p_of(p, &s, i, c), want);
      cr_assert_eq(want > 0, s.log_p[i * p->choices + c] > -INFINITY);
    }
  free(s.log_p);
}

static void check_best(const Problem *p, const All *a) {
  Routines r = routines_of(p);
  int64_t choice[MAX_NODES] = {0};
  call(r.best, &r, (const void *[]){p->local}, (void *[]){choice});
  for (int64_t i = 0; i < p->nodes; i++) {
    int64_t want = a->best == -INFINITY ? FAMILY_EMPTY : a->first[i] == p->targets ? FAMILY_NONE : a->first[i];
    cr_assert_eq(choice[i], want, "node %ld: %ld, by enumeration %ld", (long)i, (long)choice[i], (long)want);
  }
}

static void check_kind(Kind kind, int64_t nodes, int64_t targets) {
  Problem p = problem(kind, nodes, targets);
  for (int64_t seed = 0; seed < 24; seed++) {
    randomise(&p, seed);
    All a = enumerate(&p);
    check_sum(&p, &a);
    check_best(&p, &a);
  }
  free(p.local);
}

Test(family, trees_by_enumeration) {
  for (int64_t n = 1; n <= 5; n++) {
    check_kind(TREE, n, n);
    check_kind(FOREST, n, n);
    check_kind(PROJECTIVE, n, n);
  }
}

Test(family, matchings_by_enumeration) {
  for (int64_t m = 1; m <= 4; m++)
    for (int64_t n = 0; n <= 5; n++) {
      if (n) check_kind(MATCHING, m, n);
      check_kind(MATCHING_OR_NONE, m, n);
    }
  check_kind(BIJECTION, 5, 5);
}

/* Rows without a column, which have none alone, and columns without a row. */
Test(family, rows_and_columns_that_stand_aside) {
  for (int64_t seed = 0; seed < 24; seed++) {
    Problem p = problem(MATCHING_OR_NONE, 4, 5);
    randomise(&p, seed);
    for (int64_t i = 0; i < 4; i++)
      for (int64_t j = 0; j < 5; j++)
        if (i == seed % 4 || j == seed % 5 || j == 3 || (i == 2 && seed > 12)) p.local[i * p.choices + j] = -INFINITY;
    All a = enumerate(&p);
    check_sum(&p, &a);
    check_best(&p, &a);
    free(p.local);
  }
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static double log_count(Kind kind, int64_t nodes, int64_t targets) {
  Problem p = problem(kind, nodes, targets);
  Sum s = sum(&p);
  if (s.z[0] > -INFINITY) cr_assert_float_eq(s.z[1], s.z[0], 1e-10 * (1 + s.z[0]), "the entropy of equals");
  free(p.local);
  free(s.log_p);
  return s.z[0];
}

static double log_choose(double n, double k) { return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1); }

static void near(double x, double want) {
  cr_assert_float_eq(x, want, 1e-12 * (1 + fabs(want)), "%.17g, expected %.17g", x, want);
}

Test(family, how_many_there_are) {
  static const int64_t sizes[] = {1, 2, 3, 7, 12, 31, 64};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    int64_t n = sizes[k];
    double x = (double)n;
    near(log_count(TREE, n, n), (x - 1) * log(x));
    near(log_count(FOREST, n, n), (x - 1) * log(x + 1));
    near(log_count(PROJECTIVE, n, n), log_choose(3 * x, x) - log(2 * x + 1));
  }
  for (int64_t n = 1; n <= 13; n++) near(log_count(BIJECTION, n, n), lgamma((double)n + 1));
  near(log_count(MATCHING, 3, 17), log(17.0 * 16 * 15));
  near(log_count(MATCHING_OR_NONE, 2, 40), log(1 + 2 * 40 + 40 * 39));
  near(log_count(MATCHING_OR_NONE, 40, 2), log(1 + 2 * 40 + 40 * 39));
  cr_assert_eq(log_count(MATCHING, 4, 3), -INFINITY);
}

Test(family, of_no_nodes_there_is_one) {
  for (Kind k = TREE; k <= MATCHING_OR_NONE; k++) cr_assert_eq(log_count(k, 0, 0), 0);
}

/* ---- scores of any size ------------------------------------------------------------------------------------------ */

static double uniform_100(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return ldexp((double)(*state >> 11), -53) * 200 - 100;
}

Test(family, trees_of_12_nodes_with_scores_up_to_100) {
  Problem p = problem(FOREST, 12, 12);
  uint64_t state = 1;
  for (int64_t k = 0; k < 12 * 13; k++) p.local[k] = uniform_100(&state);
  Sum s = sum(&p);
  near(s.z[0], 884.39544387417088276);
  cr_assert_float_eq(p_of(&p, &s, 6, 12), 0.92105192631962275, 1e-13);
  cr_assert_float_eq(p_of(&p, &s, 6, 8), 0.078946554102653791, 1e-13);
  cr_assert_float_eq(p_of(&p, &s, 5, 8), 0.97319902878675665, 1e-13);
  cr_assert_float_eq(p_of(&p, &s, 11, 6) * 1e27, 7.7572307273840126, 1e-11, "small ones keep their digits");
  free(s.log_p);
  p.kind = TREE;
  s = sum(&p);
  near(s.z[0], 881.85643225082760865);
  cr_assert_float_eq(p_of(&p, &s, 3, 5), 0.9864728186278659, 1e-13);
  cr_assert_float_eq(p_of(&p, &s, 3, 8), 0.011780409832967454, 1e-13);
  cr_assert_float_eq(p_of(&p, &s, 4, 0) * 1e30, 3.9985027497660008, 1e-11);
  free(s.log_p);
  free(p.local);
}

/* Mates i, i ^ 1 with weight w for each other, all else 1: by symmetry the determinant falls apart into (n + 1)^(n/2 -
 * 1) (2 w + n - 1)^(n/2), and with one root into n^(n/2 - 1) (2 w + n - 2)^(n/2). */
Test(family, trees_of_256_nodes_in_mutual_pairs) {
  enum { N = 256 };
  for (int one = 0; one < 2; one++) {
    Problem p = problem(one ? TREE : FOREST, N, N);
    double score = 100, w = exp(score), half = N / 2;
    for (int64_t i = 0; i < N; i++) p.local[i * (N + 1) + (i ^ 1)] = score;
    Sum s = sum(&p);
    near(s.z[0], (half - 1) * log(N + 1 - one) + half * log(2 * w + N - 1 - one));
    double roots = one ? 1 : 1 + (half - 1) / (N + 1) + half / (2 * w + N - 1);
    for (int64_t i = 0; i < N; i++) {
      cr_assert_float_eq(p_of(&p, &s, i, N), roots / N, 1e-12);
      cr_assert_float_eq(p_of(&p, &s, i, i ^ 1), 0.5, 1e-12);
    }
    free(s.log_p);
    free(p.local);
  }
}

/* One inverse, halves, and logs alone are three ways to the same numbers. */
Test(family, trees_three_ways) {
  for (int64_t n = 1; n < 60; n += n < 20 ? 1 : 13)
    for (int64_t seed = 0; seed < 8; seed++) {
      Problem p = problem(seed % 2 ? FOREST : TREE, n, n);
      randomise(&p, 900 + 64 * n + seed);
      for (int64_t k = 0; k < n * (n + 1); k++) p.local[k] *= 1 + (double)(seed / 2);
      Routines r = routines_of(&p);
      size_t cells = (size_t)(n * (n + 1));
      double *log_p = calloc(4 * cells, sizeof *log_p), *share = log_p + cells, *both = log_p + 2 * cells, z[3][2],
             zp[2];
      call(attn_rt_tree_sum, &r, (const void *[]){p.local}, (void *[]){log_p, z[0]});
      call(attn_rt_tree_shares, &r, (const void *[]){p.local}, (void *[]){share, z[1]});
      call(attn_rt_tree_both, &r, (const void *[]){p.local}, (void *[]){both, both + cells, z[2]});
      cr_assert(!memcmp(z[0], z[1], sizeof z[0]) && !memcmp(z[0], z[2], sizeof z[0]));
      cr_assert(!memcmp(log_p, both, cells * sizeof *both) && !memcmp(share, both + cells, cells * sizeof *both));
      for (size_t k = 0; k < cells; k++) cr_assert_float_eq(share[k], exp(log_p[k]), 1e-14 + 1e-13 * share[k]);
      double *work = calloc((size_t)r.work, sizeof *work), *other = calloc(cells, sizeof *other);
      if (attn_rt_tree_plain(p.local, n, p.kind == TREE, other, zp, work)) {
        cr_assert_float_eq(zp[0], z[0][0], 1e-12 * (1 + fabs(zp[0])));
        for (size_t k = 0; k < cells; k++)
          cr_assert(other[k] == log_p[k] || fabs(other[k] - log_p[k]) < 1e-10, "n = %d, seed %d: %g %g", (int)n,
                    (int)seed, other[k], log_p[k]);
      }
      free(other), free(work), free(log_p), free(p.local);
    }
}

/* Where single precision is kept, no probability is off by more than its bound, 2e-6, and half a unit in the last
 * place: random scores of several widths, equal ones, of two values, a few missing; log Z and entropy. */
/* The log of a probability below the least number: 0 -> 1 of two nodes, weight e^-x beside 1. */
Test(family, trees_with_tiny_probabilities) {
  for (double x = 200; x < 2000; x += 45) {
    Problem p = problem(FOREST, 2, 2);
    p.local[1] = -x;
    Sum s = sum(&p);
    near(s.log_p[1], -x - log(2));
    near(s.z[0], log(2));
    free(s.log_p), free(p.local);
  }
}

/* Trees that single precision must leave to double: mates far above all others, where what is small cancels; a wide
 * range; scores of which a float loses what counts, one that its own rounding spoils; a weight whose exponent would
 * wrap.  Small probabilities keep their
 * digits too. */
Test(family, trees_beyond_single_precision) {
  enum { MATES, FAR_ROOT, WIDE, NO_FLOATS, LARGE, BEYOND, SHAPES };
  for (int64_t n = 2; n <= 30; n += 4)
    for (int64_t seed = 0; seed < 60 * SHAPES; seed++) {
      Problem p = problem(seed % 2 ? TREE : FOREST, n, n);
      uint64_t state = (uint64_t)(1000 * n + seed % 60 + seed / 60 * 777777);
      size_t cells = (size_t)(n * (n + 1));
      int64_t shape = seed / 60;
      double high = 6 + (double)(seed % 15);
      for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= n; j++) {
          double u = uniform_100(&state) / 200 + 0.5, x = 2 * u + (j == (i ^ 1) ? high : 0);
          if (shape == FAR_ROOT && j == n) x -= 3;
          if (shape == WIDE) x = high * u;
          if (shape == LARGE) x = (seed % 3 ? 1e6 : 3e7) + 8 * u;
          if (shape == BEYOND) x = i == 0 && j == 1 ? -348 : 2 * u; /* 2^-502, whose exponent modulo 512 is 10 */
          p.local[i * (n + 1) + j] = shape == NO_FLOATS ? 900 + u : (float)x;
        }
      Routines r = routines_of(&p);
      double *wide = calloc(2 * cells, sizeof *wide), *single = wide + cells, z[2];
      call(attn_rt_tree_shares, &r, (const void *[]){p.local}, (void *[]){wide, z});
      call(attn_rt_tree_shares_f32, &r, (const void *[]){p.local}, (void *[]){single, z});
      for (size_t k = 0; k < cells; k++) {
        if (k % (size_t)(n + 1) == k / (size_t)(n + 1)) continue;
        double off = fabs(single[k] - wide[k]);
        cr_assert(off <= 2e-6 + 0x1p-24 * wide[k] && off <= 5e-5 * wide[k], "n = %d, %d, seed %d: %.9g, %.9g", (int)n,
                  (int)shape, (int)seed, single[k], wide[k]);
      }
      free(wide), free(p.local);
    }
}

Test(family, trees_in_single_precision) {
  static const double width[] = {0.5, 1, 2, 3, 5};
  int kept = 0;
  double worst = 0;
  static const int64_t larger[] = {31, 32, 33, 40, 47, 48, 49, 64, 65, 79, 80, 96, 97};
  for (int64_t at = 1; at <= 20 + 13; at++)
    for (int64_t seed = 0; seed < 40; seed++) {
      int64_t n = at <= 20 ? at : larger[at - 21];
      Problem p = problem(seed % 2 ? FOREST : TREE, n, n);
      uint64_t state = (uint64_t)(1000 * n + seed);
      size_t cells = (size_t)(n * (n + 1));
      int64_t shape = seed / 10; /* 0, 1: sums of numbers; 2: of two values; 3: some are missing */
      for (size_t k = 0; k < cells; k++) {
        double x = 0;
        for (int m = 0; m < 12; m++) x += uniform_100(&state) / 200;
        if (shape == 2) x = x > 0 ? 0.7 : -0.3;
        p.local[k] = (float)(width[seed / 2 % 5] * x + (seed % 3 ? 0 : 40));
        if (shape == 3 && uniform_100(&state) < -90) p.local[k] = -INFINITY;
      }
      Routines r = routines_of(&p);
      double *wide = calloc(2 * cells, sizeof *wide), *single = wide + cells, z[2], zs[2];
      float *narrow = calloc(3 * cells, sizeof *narrow), *real = narrow + cells, *other = real + cells;
      for (size_t k = 0; k < cells; k++) narrow[k] = (float)p.local[k];
      double *work = calloc((size_t)r.work, sizeof *work);
      call(attn_rt_tree_shares, &r, (const void *[]){p.local}, (void *[]){wide, z});
      call(attn_rt_tree_shares_f32, &r, (const void *[]){p.local}, (void *[]){single, zs});
      call(attn_rt_tree_shares_real_f32, &r, (const void *[]){narrow}, (void *[]){real, zs});
      bool is_kept = attn_rt_tree_single(narrow, n, p.kind == TREE, other, zs, work);
      kept += is_kept;
      for (size_t k = 0; k < cells; k++) {
        bool own = (int64_t)(k % (size_t)(n + 1)) == (int64_t)(k / (size_t)(n + 1));
        if (own) continue;
        double off = fabs(single[k] - wide[k]);
        worst = fmax(worst, off);
        cr_assert(off <= 2e-6 + 0x1p-24 * wide[k], "n = %d, seed %d: %g, %g", (int)n, (int)seed, single[k], wide[k]);
        cr_assert(real[k] == (float)single[k]);
        cr_assert(!is_kept || single[k] == (double)other[k]);
      }
      if (is_kept) {
        cr_assert_float_eq(zs[0], z[0], 1e-6 * (1 + fabs(z[0])), "n = %d, seed %d: %.9g, %.9g", (int)n, (int)seed,
                           zs[0], z[0]);
        cr_assert_float_eq(zs[1], z[1], 1e-5 * (1 + fabs(z[1])), "n = %d, seed %d: %.9g, %.9g", (int)n, (int)seed,
                           zs[1], z[1]);
      }
      free(work), free(wide), free(narrow), free(p.local);
    }
  cr_assert_gt(kept, 400, "%d", kept);
  cr_log_info("%d kept, the worst off by %g", kept, worst);
}

Test(family, huge_scores) {
  static const double scale[] = {1e4, 1e30, -1e30};
  for (size_t k = 0; k < 3; k++)
    for (Kind kind = TREE; kind <= MATCHING_OR_NONE; kind++) {
      Problem p = problem(kind, 4, 4);
      for (int64_t j = 0; j < 4 * p.choices; j++) p.local[j] = scale[k] * (1 + 0.25 * (double)(j * 7 % 5));
      Sum s = sum(&p);
      cr_assert(isfinite(s.z[0]) && isfinite(s.z[1]));
      for (int64_t i = 0; i < 4; i++) {
        double total = 0;
        for (int64_t c = 0; c < p.choices; c++)
          if (!is_tree_kind(kind) || c != i) total += p_of(&p, &s, i, c);
        cr_assert_float_eq(total, 1, 1e-12, "kind %d", (int)kind);
      }
      free(s.log_p);
      free(p.local);
    }
}

/* The exact sum is for the diagonal nothing: no node is its own parent. */
Test(family, what_is_no_number) {
  for (Kind kind = TREE; kind <= MATCHING_OR_NONE; kind++) {
    Problem p = problem(kind, 3, 3);
    int64_t choice[3];
    Routines r = routines_of(&p);
    p.local[1] = NAN;
    Sum s = sum(&p);
    cr_assert(isnan(s.z[0]) && isnan(s.z[1]) && isnan(s.log_p[2]));
    call(r.best, &r, (const void *[]){p.local}, (void *[]){choice});
    cr_assert_eq(choice[0], FAMILY_EMPTY);
    free(s.log_p);
    p.local[1] = 0;
    if (is_tree_kind(kind)) {
      p.local[0] = NAN;
      s = sum(&p);
      cr_assert(isfinite(s.z[0]));
      free(s.log_p);
    }
    free(p.local);
  }
}

/* ---- golden numbers ---------------------------------------------------------------------------------------------- */

Test(family, golden_trees) {
  static const double root[] = {0, 0.5, -0.5}, one[] = {0.2091387842, 0.5037840482, 0.2870771676};
  static const double many[] = {0.4037702138, 0.6495425861, 0.4698120971};
  Problem p = problem(TREE, 3, 3);
  for (int64_t child = 0; child < 3; child++) {
    for (int64_t head = 0; head < 3; head++)
      p.local[child * 4 + head] = 0.1 * (double)(head + 1) - 0.2 * (double)(child + 1) + 0.3 * (head == child + 1);
    p.local[child * 4 + 3] = root[child];
  }
  for (int k = 0; k < 2; k++) {
    p.kind = k ? FOREST : TREE;
    Sum s = sum(&p);
    cr_assert_float_eq(s.z[0], k ? 2.6956727581 : 2.0875504267, 1e-9);
    for (int64_t i = 0; i < 3; i++) cr_assert_float_eq(p_of(&p, &s, i, 3), k ? many[i] : one[i], 1e-9);
    free(s.log_p);
  }
  free(p.local);
}

static void approximate(attn_family_fn *f, int64_t n, int64_t steps, const double *local, double *log_p, double *z) {
  Routines r = {.n = {n, steps}, .work = 3 * n * n + 16 * n + 32};
  call(f, &r, (const void *[]){local}, (void *[]){log_p, z});
}

Test(family, golden_approximations) {
  static const double s[] = {1, 0, 0, 0.5};
  double log_p[4], z[2];
  approximate(attn_rt_scaled, 2, 60, s, log_p, z);
  cr_assert_float_eq(exp(log_p[0]), 0.6791786992, 1e-9);
  cr_assert_float_eq(exp(log_p[3]), 0.6791786992, 1e-9);
  approximate(attn_rt_bethe, 2, 60, s, log_p, z);
  cr_assert_float_eq(exp(log_p[0]), 1, 1e-9, "of two, all weight goes to the better one");
  Problem p = problem(BIJECTION, 2, 2);
  memcpy(p.local, s, sizeof s);
  Sum exact = sum(&p);
  cr_assert_float_eq(p_of(&p, &exact, 0, 0), 0.8175744762, 1e-9);
  free(p.local);
  free(exact.log_p);
}

/* Scaled: c + log(n! / n^n) <= log permanent <= c, c = - sum of f and g = sum over nodes P (log weight - log P). */
Test(family, approximations_are_near) {
  enum { N = 6 };
  Problem p = problem(BIJECTION, N, N);
  for (int64_t seed = 2; seed < 20; seed += 6) {
    randomise(&p, seed + 2);
    Sum exact = sum(&p);
    double log_p[N * N], z[2], c = 0, worst = 0;
    approximate(attn_rt_scaled, N, 400, p.local, log_p, z);
    for (int64_t k = 0; k < N * N; k++) c += exp(log_p[k]) * (p.local[k] - log_p[k]);
    cr_assert(exact.z[0] <= c + 1e-9 && c + lgamma(N + 1) - N * log(N) <= exact.z[0] + 1e-9);
    approximate(attn_rt_bethe, N, 400, p.local, log_p, z);
    for (int64_t i = 0; i < N; i++) {
      double row = 0;
      for (int64_t j = 0; j < N; j++) {
        row += exp(log_p[i * N + j]);
        worst = fmax(worst, fabs(exp(log_p[i * N + j]) - p_of(&p, &exact, i, j)));
      }
      cr_assert_float_eq(row, 1, 1e-6);
    }
    cr_assert_lt(worst, 0.15);
    free(exact.log_p);
  }
  free(p.local);
}

Test(family, approximations_of_nothing) {
  static const double none[] = {0, -INFINITY, 0, -INFINITY}, one[] = {1, -INFINITY, 2, 3};
  static attn_family_fn *const f[] = {attn_rt_scaled, attn_rt_bethe};
  double log_p[4], z[2];
  for (int k = 0; k < 2; k++) {
    approximate(f[k], 2, 5, none, log_p, z);
    cr_assert(z[0] == -INFINITY && log_p[0] == -INFINITY && log_p[1] == -INFINITY);
    approximate(f[k], 2, 100, one, log_p, z);
    cr_assert_float_eq(exp(log_p[0]), 1, 0.02);
    cr_assert_eq(exp(log_p[1]), 0);
  }
}

/* ---- in place of a posterior ------------------------------------------------------------------------------------- */

static void replace(attn_family_fn *f, int64_t n, int64_t k, double alpha, const double *log_w, double *log_p) {
  Routines r = {.n = {n, k}, .work = n};
  call(f, &r, (const void *[]){log_w, &alpha}, (void *[]){log_p});
}

static void expect_p(const double *log_p, int64_t n, const double *want) {
  for (int64_t j = 0; j < n; j++)
    cr_assert_float_eq(exp(log_p[j]), want[j], 1e-12, "%ld: %.17g", (long)j, exp(log_p[j]));
}

Test(family, largest_values) {
  static const double s[] = {0, 1, 2, 1, -INFINITY};
  const double e = exp(1);
  double p[5];
  replace(attn_rt_top, 5, 1, 0, s, p);
  expect_p(p, 5, (double[]){0, 0, 1, 0, 0});
  replace(attn_rt_top, 5, 2, 0, s, p);
  expect_p(p, 5, (double[]){0, 1 / (1 + e), e / (1 + e), 0, 0});
  replace(attn_rt_top, 5, 9, 0, s, p);
  double all = 1 + 2 * e + e * e;
  expect_p(p, 5, (double[]){1 / all, e / all, e * e / all, e / all, 0});
  replace(attn_rt_top, 5, 0, 0, s, p);
  expect_p(p, 5, (double[]){0, 0, 0, 0, 0});
  replace(attn_rt_top, 2, 1, 0, (double[]){-INFINITY, -INFINITY}, p);
  expect_p(p, 2, (double[]){0, 0});
  replace(attn_rt_top, 2, 1, 0, (double[]){NAN, 0}, p);
  cr_assert(isnan(p[0]) && isnan(p[1]));
}

Test(family, largest_of_many) {
  enum { N = 500 };
  static double s[N], p[N];
  for (int64_t seed = 0; seed < 40; seed++) {
    int64_t k = 1 + seed * 13 % N, taken = 0;
    for (int64_t j = 0; j < N; j++) s[j] = floor(attn_rt_random_uniform(seed, 1, &j) * (seed % 2 ? 8 : 1e6));
    replace(attn_rt_top, N, k, 0, s, p);
    for (int64_t j = 0; j < N; j++) {
      int64_t before = 0;
      for (int64_t i = 0; i < N; i++) before += s[i] > s[j] || (s[i] == s[j] && i < j);
      cr_assert_eq(before < k, p[j] > -INFINITY);
      taken += p[j] > -INFINITY;
    }
    cr_assert_eq(taken, k);
  }
}

/* Between (0, x) the closed forms: alpha = 2: p = (1 + x) / 2; alpha = 1.5: p^(1/2) - (1 - p)^(1/2) = x / 2. */
Test(family, other_entropies) {
  double p[3];
  for (double x = -0.9; x < 1; x += 0.3) {
    replace(attn_rt_entmax, 2, 0, 2, (double[]){0, x}, p);
    expect_p(p, 2, (double[]){(1 - x) / 2, (1 + x) / 2});
    replace(attn_rt_entmax, 2, 0, 1.5, (double[]){0, x}, p);
    cr_assert_float_eq(exp(p[1] / 2) - exp(p[0] / 2), x / 2, 1e-12);
    replace(attn_rt_entmax, 2, 0, 1, (double[]){0, x}, p);
    expect_p(p, 2, (double[]){1 / (1 + exp(x)), exp(x) / (1 + exp(x))});
  }
  replace(attn_rt_entmax, 3, 0, 2, (double[]){5, 7, -1e30}, p);
  expect_p(p, 3, (double[]){0, 1, 0});
  replace(attn_rt_entmax, 3, 0, 1.3, (double[]){-INFINITY, -INFINITY, -INFINITY}, p);
  expect_p(p, 3, (double[]){0, 0, 0});
}

/* ---- draws ------------------------------------------------------------------------------------------------------- */

/* Frequencies of all structures: chi squared below its mean plus 6 standard deviations.  A draw of many is the one of
 * its uniform numbers alone. */
static void check_draws(Kind kind, int64_t nodes, int64_t targets, uint64_t seed) {
  enum { DRAWS = 20000, MAX = 4096 };
  Problem p = problem(kind, nodes, targets);
  randomise(&p, seed);
  p.local[1] = 0.5;
  All a = enumerate(&p);
  Routines r = routines_of(&p);
  int64_t *seen = calloc(MAX, sizeof *seen), line = nodes > targets ? nodes : targets,
          *all = calloc((size_t)(DRAWS * nodes), sizeof *all);
  double *u = calloc((size_t)(DRAWS * 2 * line), sizeof *u), chi = 0, cells = 0;
  for (int64_t d = 0; d < DRAWS; d++)
    for (int64_t k = 0; k < 2 * line; k++) u[2 * line * d + k] = attn_rt_random_uniform(9, 2, (int64_t[]){d, k});
  r.n[r.draws] = DRAWS;
  call(r.draw, &r, (const void *[]){p.local, u}, (void *[]){all});
  r.n[r.draws] = 1;
  for (int64_t d = 0; d < DRAWS; d++) {
    int64_t alone[MAX_NODES], *choice = all + d * nodes, at = 0;
    if (d % 1000 == 7) {
      call(r.draw, &r, (const void *[]){p.local, u + 2 * line * d}, (void *[]){alone});
      cr_assert_arr_eq(alone, choice, (size_t)nodes * sizeof *choice);
    }
    for (int64_t i = 0; i < nodes; i++) at = at * p.choices + (choice[i] == FAMILY_NONE ? targets : choice[i]);
    seen[at]++;
  }
  int64_t c[MAX_NODES] = {0}, at = 0, total = 0;
  do {
    double want = admitted(&p, c) ? DRAWS * exp(weight(&p, c)) / a.z : 0;
    if (want == 0) cr_assert_eq(seen[at], 0);
    else chi += ((double)seen[at] - want) * ((double)seen[at] - want) / want, cells++;
    total += seen[at++];
  } while (next(&p, c));
  cr_assert_eq(total, DRAWS);
  cr_assert_lt(chi, cells + 6 * sqrt(2 * cells), "kind %d: chi squared %g of %g cells", (int)kind, chi, cells);
  free(seen);
  free(all);
  free(u);
  free(p.local);
}

Test(family, draws_have_the_law) {
  for (uint64_t seed = 5; seed <= 6; seed++) { /* with and without arcs that have no weight */
    check_draws(TREE, 4, 4, seed);
    check_draws(FOREST, 4, 4, seed);
    check_draws(PROJECTIVE, 4, 4, seed);
  }
  check_draws(BIJECTION, 4, 4, 5);
  check_draws(MATCHING, 3, 5, 5);
  check_draws(MATCHING_OR_NONE, 4, 3, 5);
  check_draws(MATCHING_OR_NONE, 3, 4, 5);
}

/* Draws in plain doubles are those in log space, where an arc of almost no weight sends them. */
Test(family, draws_of_trees_in_plain_doubles) {
  for (Kind kind = TREE; kind <= FOREST; kind++)
    for (int64_t n = 1; n <= 41; n += n < 10 ? 1 : 8)
      for (int64_t d = 0; d < 6; d++) {
        Problem p = problem(kind, n, n);
        double u[82], spread = d < 3 ? 1 : 12;
        int64_t plain[41], logs[41], last = n * p.choices - 1;
        for (int64_t k = 0; k <= last; k++)
          p.local[k] = spread * attn_rt_random_normal(4, 3, (int64_t[]){n, d, k});
        for (int64_t k = 0; k < 2 * n; k++) u[k] = attn_rt_random_uniform(5, 3, (int64_t[]){n, d, k});
        if (n > 1) p.local[1] = -200; /* the first node's arc to the second */
        Routines r = routines_of(&p);
        r.n[r.draws] = 1;
        call(r.draw, &r, (const void *[]){p.local, u}, (void *[]){plain});
        if (n > 1) p.local[1] = -400;
        call(r.draw, &r, (const void *[]){p.local, u}, (void *[]){logs});
        cr_assert_arr_eq(plain, logs, (size_t)n * sizeof *plain, "kind %d, %lld nodes", (int)kind, (long long)n);
        free(p.local);
      }
}

/* ---- larger heaviest values: against sums of weights that are far apart ------------------------------------------ */

Test(family, heaviest_is_where_the_mass_is) {
  for (Kind kind = TREE; kind <= BIJECTION; kind++) {
    int64_t n = kind == BIJECTION ? 9 : 24, choice[24];
    Problem p = problem(kind, n, n);
    for (int64_t k = 0; k < n * p.choices; k++) p.local[k] = 1000 * attn_rt_random_uniform(3, 1, &k);
    Sum s = sum(&p);
    Routines r = routines_of(&p);
    call(r.best, &r, (const void *[]){p.local}, (void *[]){choice});
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
      int64_t c = choice[i] == FAMILY_NONE ? n : choice[i];
      total += p.local[i * p.choices + c];
      cr_assert_gt(p_of(&p, &s, i, c), 0.4);
    }
    cr_assert(s.z[0] >= total - 1e-9 && s.z[0] < total + 3);
    free(s.log_p);
    free(p.local);
  }
}
