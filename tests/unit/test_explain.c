/* explain: polynomials, and costs against formulas derived by hand.  Whole texts are tested in tests/explain. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "explain/explain.h"
#include "explain/facts.h"
#include "explain/live.h"
#include "front/parse.h"
#include "infer/derive.h"
#include "ir/pass.h"
#include "model/check.h"

/* ---- polynomials ------------------------------------------------------------------------------------------------ */

typedef struct Sizes { Arena arena; PolyTable t; Poly m, n; } Sizes;

static void make_sizes(Sizes *s) {
  arena_init(&s->arena, NULL);
  s->t = (PolyTable){.arena = &s->arena};
  s->m = poly_atom(&s->t, "M", 3);
  s->n = poly_atom(&s->t, "N", NAN);
}

Test(poly, sums_and_products_are_normal) {
  Sizes s;
  make_sizes(&s);
  Poly sum = poly_add(&s.t, &s.m, &s.n), square = poly_mul(&s.t, &sum, &sum);
  cr_assert_str_eq(poly_text(&s.t, &square), "M^2 + 2*M*N + N^2");
  Poly none = poly_sub(&s.t, &square, &square);
  cr_assert(poly_is_zero(&none));
  cr_assert_str_eq(poly_text(&s.t, &none), "0");
  Poly twice = poly_scale(&s.t, &s.m, -2);
  cr_assert_str_eq(poly_text(&s.t, &twice), "-2*M");
  cr_assert_not(poly_is_positive(&twice));
  arena_free(&s.arena);
}

Test(poly, value_needs_every_atom) {
  Sizes s;
  make_sizes(&s);
  Poly square = poly_mul(&s.t, &s.m, &s.m), both = poly_mul(&s.t, &s.m, &s.n);
  cr_assert_eq(poly_value(&s.t, &square), 9);
  cr_assert(isnan(poly_value(&s.t, &both)));
  arena_free(&s.arena);
}

/* If a negative factor took the upper bound, lengths such as N - i would come out too small. */
Test(poly, bounds_follow_signs) {
  Sizes s;
  make_sizes(&s);
  Poly zero = poly_constant(&s.t, 0), one = poly_constant(&s.t, 1), last = poly_sub(&s.t, &s.m, &one), bound;
  Poly i = poly_varying(&s.t, "i", &zero, &last), length = poly_sub(&s.t, &s.n, &i);
  cr_assert(poly_varies(&s.t, &length));
  cr_assert(poly_upper(&s.t, &length, &bound));
  cr_assert_str_eq(poly_text(&s.t, &bound), "N");
  cr_assert(poly_lower(&s.t, &length, &bound));
  cr_assert_str_eq(poly_text(&s.t, &bound), "-M + N + 1");
  Poly data = poly_varying(&s.t, "d", NULL, NULL);
  cr_assert_not(poly_upper(&s.t, &data, &bound));
  arena_free(&s.arena);
}

Test(poly, products_stay_small) {
  Sizes s;
  make_sizes(&s);
  Poly p = poly_add(&s.t, &s.m, &s.n);
  for (int k = 0; k < 40; k++) {
    Poly more = poly_atom(&s.t, arena_printf(&s.arena, "K%d", k), 1);
    more = poly_add(&s.t, &more, &s.m);
    p = poly_mul(&s.t, &p, &more);
    cr_assert_leq(p.terms.n, POLY_MAX_TERMS);
  }
  arena_free(&s.arena);
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

typedef struct Explained { Arena arena; Interner names; Diags diags; const Model *m; Plan *plan; Kernel *k; } Explained;

static void compile(Explained *e, const char *text) {
  arena_init(&e->arena, NULL);
  Source *source = source_from_text(&e->arena, "t.attn", text, strlen(text));
  intern_init(&e->names, &e->arena);
  diag_init(&e->diags, &e->arena, source);
  const File *file = parse_file(&e->arena, &e->names, &e->diags, source);
  const ModelFile *models = check_file(&e->arena, &e->names, &e->diags, source, file);
  cr_assert_eq(models->models.n, 1);
  e->m = models->models.at[0];
  e->plan = plan_model(&e->arena, e->m);
  e->k = e->plan->refusals.n ? NULL : derive_kernel(&e->arena, e->plan);
  if (e->k) e->k = ir_run_passes_with(&e->arena, e->k, &(PassOptions){.as_derived = true}, NULL);
}

static Facts *facts(Explained *e, const int64_t *sizes) { return facts_of(&e->arena, e->m, e->plan, e->k, sizes); }

#define QKV "data q: [M, D], k: [N, D], v: [N, C]\n"

static const char ONE_EDGE[] =
    "model t(M, N, D, C) {\n" QKV
    "for i in M {\n edge phi in N\n potential exp(dot(q[i], k[phi]) / sqrt(D))\n out o[i] = E[v[phi]]\n}\n}\n";

/* 2MND for the scores and 2MNC for the mean: what anyone counts by hand. */
Test(cost, one_edge_costs_two_contractions) {
  Explained e;
  compile(&e, ONE_EDGE);
  int64_t sizes[] = {10, 20, 4, 3};
  Facts *f = facts(&e, sizes);
  cr_assert_str_eq(poly_text(&f->polys, &f->cost.contraction), "2*M*N*D + 2*M*N*C");
  cr_assert_eq(poly_value(&f->polys, &f->cost.contraction), 2 * 10 * 20 * 4 + 2 * 10 * 20 * 3);
  cr_assert_str_eq(poly_text(&f->polys, &f->cost.transcendental), "M*N");
  cr_assert_str_eq(poly_text(&f->polys, &f->bytes_read), "4*M*D + 4*N*D + 4*N*C");
  cr_assert_str_eq(poly_text(&f->polys, &f->bytes_written), "4*M*C");
  cr_assert(poly_is_zero(&f->bytes_kept));
  cr_assert_eq(f->streams.n, 1);
  cr_assert_not(f->is_masked || f->is_bound);
  arena_free(&e.arena);
}

/* If an unread input were counted, or a shared pass twice, the sum would differ. */
Test(cost, outputs_share_a_pass) {
  Explained e;
  compile(
      &e,
      "model t(M, N, D, C) {\n" QKV "param unused: real = 1\nfor i in M {\n edge phi in N\n"
      " potential exp(dot(q[i], k[phi]))\n out o[i] = E[v[phi]]\n out e[i] = logZ\n out h[i] = entropy(phi)\n}\n}\n");
  Facts *f = facts(&e, NULL);
  cr_assert_str_eq(poly_text(&f->polys, &f->cost.contraction), "2*M*N*D + 2*M*N*C");
  cr_assert_eq(f->streams.n, 1);
  for (int k = 0; k < 3; k++) cr_assert(f->streams.at[0].feeds[k]);
  cr_assert_str_eq(poly_text(&f->polys, &f->bytes_read), "4*M*D + 4*N*D + 4*N*C");
  arena_free(&e.arena);
}

Test(cost, a_range_that_ends_at_an_index_is_bounded) {
  Explained e;
  compile(&e, "model t(N, C) {\ndata v: [N, C]\nfor i in N {\n edge phi in 0..i + 1\n out o[i] = E[v[phi]]\n}\n}\n");
  Facts *f = facts(&e, NULL);
  cr_assert_str_eq(poly_text(&f->polys, &f->cost.contraction), "2*N^2*C");
  cr_assert(f->is_bound);
  int64_t sizes[] = {10, 1};
  Live live;
  cr_assert(live_count(e.m, e.m->edges.at[0], sizes, &live));
  cr_assert_eq(live.admitted, 55);
  arena_free(&e.arena);
}

/* An array of copies times values is announced where a model stores one, and nowhere else. */
Test(memory, pairwise_arrays_are_found) {
  Explained e;
  compile(&e, "model t(N, D, C) {\ndata q: [N, D], v: [N, C]\nlet s[i in N, j in N] = dot(q[i], q[j])\nfor i in N {\n"
              " edge phi in N\n potential exp(s[i, phi] + s[phi, i])\n out o[i] = E[v[phi]]\n}\n}\n");
  Facts *f = facts(&e, NULL);
  for (uint32_t k = 0; k < f->kept.n; k++) cr_assert(f->kept.at[k].is_pairwise);
  arena_free(&e.arena);
  compile(&e, "model t(N, C) {\ndata v: [N, C]\nfor i in N {\n edge phi in N\n potential exp(dot(v[i], v[phi]))\n"
              " out o[i] = E[v[phi[phi]]]\n}\n}\n");
  f = facts(&e, NULL);
  cr_assert_gt(f->kept.n, 0);
  for (uint32_t k = 0; k < f->kept.n; k++) cr_assert_not(f->kept.at[k].is_pairwise);
  arena_free(&e.arena);
}

/* ---- supports ---------------------------------------------------------------------------------------------------- */

static Live count(const char *where, const int64_t *sizes, bool *known) {
  Explained e;
  char text[512];
  snprintf(
      text, sizeof text,
      "model t(M, N) {\ndata v: [N], c: int[N]\nfor i in M {\n edge phi in N where %s\n out o[i] = E[v[phi]]\n}\n}\n",
      where);
  compile(&e, text);
  Live live = {0};
  *known = live_count(e.m, e.m->edges.at[0], sizes, &live);
  arena_free(&e.arena);
  return live;
}

Test(live, conditions_of_indices_are_counted) {
  int64_t sizes[] = {4, 6}, unknown[] = {4, -1}, huge[] = {1000000, 1000000};
  bool known;
  cr_assert_eq(count("phi <= i", sizes, &known).admitted, 10);
  cr_assert_eq(count("phi % 2 == 0 and not (phi == 4)", sizes, &known).admitted, 2);
  cr_assert_eq(count("phi - i <= N - M", sizes, &known).visited, 24);
  cr_assert(known);
  count("phi <= i", unknown, &known);
  cr_assert_not(known);
  count("phi <= i", huge, &known);
  cr_assert_not(known);
  count("c[phi] <= i", sizes, &known);
  cr_assert_not(known);
}
