/* The checker: what graph a model gives, seen through its printed form and a few direct questions, and the laws
 * of terms and dimensions that later passes rely on.  Messages are tested in tests/diag. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/parse.h"
#include "model/check.h"
#include "model/dim.h"
#include "model/term.h"

typedef struct Checked {
  Arena arena;
  Interner names;
  Diags diags;
  ModelFile *file;
  char *messages, *dump;
} Checked;

static Checked *check_text(const char *text) {
  Checked *r = calloc(1, sizeof *r);
  size_t size;
  arena_init(&r->arena, NULL);
  intern_init(&r->names, &r->arena);
  Source *source = source_from_text(&r->arena, "t.attn", text, strlen(text));
  diag_init(&r->diags, &r->arena, source);
  File *file = parse_file(&r->arena, &r->names, &r->diags, source);
  r->file = check_file(&r->arena, &r->names, &r->diags, source, file);
  FILE *to = open_memstream(&r->messages, &size);
  diag_print(&r->diags, to);
  fclose(to);
  to = open_memstream(&r->dump, &size);
  for (uint32_t i = 0; i < r->file->models.n; i++) model_print(r->file->models.at[i], to);
  fclose(to);
  return r;
}

static void done(Checked *r) {
  arena_free(&r->arena);
  free(r->messages);
  free(r->dump);
  free(r);
}

/* The dump of a model with this body has the line. */
static void expect_line(const char *body, const char *line) {
  char text[3000];
  snprintf(text, sizeof text,
           "model m(M, N, K, D, H, G) {\n data q: [M, D], k: [N, D], v: [N, D], x: [N], t: int[N], f: bool[N]\n param "
           "beta: real\n"
           "%s\n out used = beta\n}\n",
           body);
  Checked *r = check_text(text);
  cr_expect_str_eq(r->messages, "", "%s", r->messages);
  cr_expect(strstr(r->dump, line), "want %s\n got\n%s", line, r->dump);
  done(r);
}

static void expect_out(const char *expr, const char *printed) {
  char body[600], line[600];
  snprintf(body, sizeof body, " out o = %s", expr);
  snprintf(line, sizeof line, "  out o%s\n", printed);
  expect_line(body, line);
}

/* ---- types and vectors ---- */

Test(check, integers_stay_integers_and_meet_reals_by_conversion) {
  expect_out("7 // 2 + 7 % 4 - 2 * 3", " = 0   # int");
  expect_out("-7 // 2", " = -4   # int"); /* (-7) // 2: unary minus binds tighter than // */
  expect_out("-7 % 3", " = 2   # int");
  expect_out("7 / 2", " = 7.0 / 2.0   # real");
  expect_out("N ^ 2", " = N^2   # int");
  expect_out("N ^ -1", " = N^(-1.0)   # real");
  expect_out("2 * x[0]", " = 2.0 * x[0]   # real");
  expect_out("max(N, 3)", " = max(N, 3)   # int");
  expect_out("max(N, 3.5)", " = max(N, 3.5)   # real");
  expect_out("sq(N)", " = sq(N)   # real");
  expect_out("if f[0] then 1 else 2", " = if f[0] then 1 else 2   # int");
  expect_out("if f[0] then 1 else x[0]", " = if f[0] then 1.0 else x[0]   # real");
  expect_out("floor(x[0]) + 1", " = floor(x[0]) + 1   # int");
  expect_out("f[1]", " = f[1]   # bool");
}

Test(check, vectors_become_indices) {
  expect_out("q[0]", ": [d in D] = q[0, d]   # real");
  expect_out("q", ": [m in M, d in D] = q[m, d]   # real");
  expect_out("dot(q[0], k[1])", " = sum(d in D) q[0, d] * k[1, d]   # real");
  expect_out("norm(q[0] - 1)", " = sqrt(sum(d in D) sq(q[0, d] - 1.0))   # real");
  expect_out("sum(q)", " = sum(m in M) sum(d in D) q[m, d]   # real");
  expect_out("(q[0] + k[1])[2]", " = q[0, 2] + k[1, 2]   # real");
  expect_out("q[0][1]", " = q[0, 1]   # real");
  expect_out("sum(j in N) x[j] * k[j]", ": [d in D] = sum(j in N) x[j] * k[j, d]   # real");
  expect_out("if N > 3 then q[0] else 0", ": [d in D] = if N > 3 then q[0, d] else 0.0   # real");
  expect_out("q[0] * dot(q[0], k[0])", ": [d in D] = q[0, d] * (sum(d in D) q[0, d] * k[0, d])   # real");
  expect_out("leaky_relu(x)", ": [n in N] = leaky_relu(x[n], 0.2)   # real");
}

Test(check, functions_are_inlined_in_their_own_scope) {
  expect_line(" def g(x) = x * beta\n def f(a, b) = g(a) + g(b)\n out o = f(1, x[0])",
              "out o = 1.0 * beta + x[0] * beta");
  expect_line(" def f(N) = N + 1\n out o = f(2) + N", "out o = 3 + N");
  expect_line(" def f(a) = dot(a, a)\n out o = f(q[0])", "out o = sum(d in D) q[0, d] * q[0, d]");
}

/* Written indices are index values; a left-off axis counts from 0, as every vector's does. */
Test(check, ranges_that_do_not_begin_at_zero) {
  expect_line(" let u[j in 2..N] = x[j] * j\n out o = u[3] + sum(j in 2..N) u[j]",
              "out o = u[3] + (sum(j in 2..N) u[j])");
  expect_line(" let u[j in 2..N] = x[j]\n out o = u", "out o: [axis in N - 2] = u[axis + 2]");
  expect_line(" let u[j in 2..N] = x[j]\n let w = u\n out o = w[3]", "out o = u[3]");
  expect_line(" let u[j in 2..N] = x[j]\n latent z[k in 2..N]: real\n prior z ~ normal(u, 1)\n"
              " infer z by collapsed(steps = 1, init = u)\n out o = z[2]",
              "init = u[k - 2 + 2]");
}

/* ---- copies of edges ---- */

static const char PLATES[] =
  " for h in H, i in M {\n  edge phi in N\n  potential exp(x[phi] * i)\n%s\n }\n%s";

static void expect_copy(const char *inside, const char *outside, const char *line) {
  char body[1000];
  snprintf(body, sizeof body, PLATES, inside, outside);
  expect_line(body, line);
}

Test(check, missing_indices_are_the_plates_of_the_place) {
  expect_copy("  out o[h, i] = E[x[phi]]", "", "E[x[phi[h, i]]]");
  expect_copy("  out o[h, i] = E[x[phi[0]]]", "", "E[x[phi[h, 0]]]");
  expect_copy("  out o[h, i] = E[x[phi[0, i]]]", "", "E[x[phi[0, i]]]");
  expect_copy("  out o[h, i] = entropy(phi)", "", "entropy(phi[h, i])");
  expect_copy("", " out o = entropy(phi)", "out o = entropy(phi)");
  expect_copy("", " for h in H { out o[h] = E[x[phi[h, 0]]] }", "E[x[phi[h, 0]]]");
  expect_line(
      " for h in H { for i in M { edge phi in N; potential exp(x[phi]) }\n out o[h] = entropy(phi) + E[x[phi[2]]] }",
      "out o[h in H] = entropy(phi[h, ...]) + E[x[phi[h, 2]]]");
  expect_line(" for h in H { edge up in tree(N)\n for n in N { potential exp(x[n] * up[n] * h) }\n out o[h] = "
              "entropy(up) + P[up[3] == 2] }",
              "out o[h in H] = entropy(up[h, ...]) + P[up[h, 3] == 2]");
}

Test(check, another_loop_over_the_same_range_is_another_place) {
  Checked *r = check_text(
      "model m(N) {\n data x: [N]\n for i in N { edge phi in N }\n for i in N { out o[i] = E[x[phi]] }\n}\n");
  cr_expect_eq(r->diags.errors, 1);
  cr_expect_eq(r->file->models.n, 0);
  done(r);
}

/* ---- weights ---- */

Test(check, a_pmf_belongs_to_the_last_edge_and_its_highest_copy) {
  expect_line(" edge a in N\n edge b in N\n prior a - b ~ geometric(0.5)\n out o = E[x[a] + x[b]]",
              "prior a - b ~ geometric(0.5)   # of b");
  expect_line(
      " for t in N { edge c in N }\n for t in 1..N { prior c[t - 1] - c[t] + 2 ~ poisson(2) }\n out o = E[x[c[0]]]",
      "# of c[t]");
  expect_line(" edge a in N\n prior a ~ categorical(x)\n out o = E[x[a]]", "prior a ~ weights(x[a])");
}

Test(check, every_prior_line_of_an_edge_is_listed) {
  Checked *r =
      check_text("model m(T, S) {\n data A: [S, S], p: [S]\n for t in T { edge c in S }\n prior c[0] ~ categorical(p)\n"
                 " for t in 1..T { prior c[t] ~ weights(A[c[t-1], c[t]]) }\n out e = logZ\n}\n");
  cr_assert_eq(r->file->models.n, 1, "%s", r->messages);
  const Edge *c = r->file->models.at[0]->edges.at[0];
  cr_expect_eq(c->priors.n, 2);
  cr_expect_eq(c->prior, c->priors.at[0]);
  cr_expect_eq(c->priors.at[1]->edge_ref->args.n, 1);
  done(r);
}

static void expect_sign(const char *weight, bool nonnegative) {
  char text[1000];
  snprintf(text, sizeof text,
           "model m(N, D) {\n data q: [D], k: [N, D], x: [N]\n edge phi in N\n def f(y) = elu(y) + 1\n"
           " potential %s\n out o = E[x[phi]]\n}\n",
           weight);
  Checked *r = check_text(text);
  cr_assert_eq(r->file->models.n, 1, "%s", r->messages);
  cr_expect_eq(r->file->models.at[0]->weights.at[0]->value->nonnegative, nonnegative, "%s", weight);
  done(r);
}

Test(check, nonnegative_is_proved_by_shape) {
  expect_sign("exp(x[phi])", true);
  expect_sign("dot(f(q), f(k[phi]))", true);
  expect_sign("dot(relu(q), relu(k[phi]))", true);
  expect_sign("dot(q, k[phi])", false);
  expect_sign("x[phi]", false);
  expect_sign("x[phi] ^ 2", true);
  expect_sign("x[phi] ^ 3", false);
  expect_sign("(1 + sigmoid(x[phi])) / softplus(x[0])", true);
  expect_sign("1 - sigmoid(x[phi])", false);
  expect_sign("max(x[phi], 0)", true);
  expect_sign("phi + 1", true);
  expect_sign("if phi > 3 then 1 else sq(x[0])", true);
  expect_sign("sum(j in 0..phi) abs(x[j])", true);
}

/* ---- whole files ---- */

Test(check, a_wrong_model_leaves_the_others) {
  Checked *r = check_text("model a(N) {\n data x: [N]\n out o = y\n}\nmodel b(N) {\n data x: [N]\n out o = "
                          "sum(x)\n}\nmodel c(N) {\n out o = \n}\n");
  cr_expect_eq(r->file->models.n, 1);
  cr_expect_eq(r->diags.errors, 2, "%s", r->messages);
  cr_expect(strstr(r->dump, "model b("));
  done(r);
}

/* Chains nest without brackets; the text is legal and the stack must hold. */
Test(check, long_chains) {
  enum { LINKS = 4000 };
  char *text = malloc(200 + LINKS * 7), *p = text;
  p += sprintf(p, "model m(N) {\n data x: [N]\n edge phi in N\n potential exp(x[phi]");
  for (int i = 0; i < LINKS; i++) p += sprintf(p, " + x[0]");
  sprintf(p, ")\n out o = E[x[phi]]\n}\n");
  Checked *r = check_text(text);
  cr_expect_str_eq(r->messages, "");
  cr_expect_eq(r->file->models.n, 1);
  done(r);
  free(text);
}

/* Searches are linear in the number of names; the limit keeps a large file from taking minutes. */
Test(check, declarations_are_limited) {
  enum { MANY = 10500 };
  char *text = malloc(100 + MANY * 16), *p = text;
  p += sprintf(p, "model m(N) {\n data x: [N]\n");
  for (int i = 0; i < MANY; i++) p += sprintf(p, " let a%d = N\n", i);
  sprintf(p, "}\nmodel n(N) { out o = N }\n");
  Checked *r = check_text(text);
  cr_expect_eq(r->diags.errors, 1);
  cr_expect(strstr(r->messages, "more than 10000 statements and names"), "%s", r->messages);
  cr_expect_eq(r->file->models.n, 1);
  done(r);
  free(text);
}

/* ---- terms and dimensions ---- */

typedef struct Sizes { Arena arena; Size a, b; Term *A, *B; } Sizes;

static void make_sizes(Sizes *s) {
  Span none = {0, 0};
  arena_init(&s->arena, NULL);
  s->a = (Size){.id = 0};
  s->b = (Size){.id = 1};
  s->A = term_size(&s->arena, &s->a, none);
  s->B = term_size(&s->arena, &s->b, none);
}

static Term *two(Sizes *s, OpKind op, Term *x, Term *y) { return term_op2(&s->arena, op, x, y, (Span){0, 0}); }
static Term *lit(Sizes *s, int64_t v) { return term_int(&s->arena, v, (Span){0, 0}); }

Test(dim, polynomials_and_opaque_divisions) {
  Sizes s;
  make_sizes(&s);
  Term *sum = two(&s, OP_ADD, s.A, s.B), *square = two(&s, OP_MUL, sum, sum);
  Term *expanded = two(
      &s, OP_ADD, two(&s, OP_ADD, two(&s, OP_MUL, s.A, s.A), two(&s, OP_MUL, lit(&s, 2), two(&s, OP_MUL, s.B, s.A))),
      two(&s, OP_MUL, s.B, s.B));
  cr_expect(dim_equal(&s.arena, square, expanded));
  cr_expect(!dim_equal(&s.arena, s.A, s.B));
  cr_expect(!dim_equal(&s.arena, s.A, lit(&s, 3)));
  cr_expect(dim_equal(&s.arena, two(&s, OP_FLOORDIV, sum, s.B), two(&s, OP_FLOORDIV, two(&s, OP_ADD, s.B, s.A), s.B)));
  cr_expect(!dim_equal(&s.arena, two(&s, OP_FLOORDIV, s.A, s.B), two(&s, OP_MOD, s.A, s.B)));
  int64_t d;
  cr_expect(dim_difference(&s.arena, two(&s, OP_ADD, s.A, lit(&s, 2)), two(&s, OP_SUB, s.A, lit(&s, 3)), &d) && d == 5);
  arena_free(&s.arena);
}

/* Overflow is neither folded nor evaluated: it is the run that reports it. */
Test(term, size_arithmetic_does_not_overflow) {
  Sizes s;
  make_sizes(&s);
  Term *huge = two(&s, OP_MUL, lit(&s, INT64_MAX), lit(&s, 2));
  cr_expect_eq(huge->kind, TERM_OP);
  int64_t v, sizes[2] = {INT64_MAX, 7};
  cr_expect(!term_eval_size(huge, sizes, &v));
  cr_expect(!term_eval_size(two(&s, OP_ADD, s.A, lit(&s, 1)), sizes, &v));
  cr_expect(!term_eval_size(two(&s, OP_FLOORDIV, s.A, lit(&s, 0)), sizes, &v));
  cr_expect(!term_eval_size(two(&s, OP_FLOORDIV, lit(&s, INT64_MIN), lit(&s, -1)), sizes, &v));
  cr_expect(term_eval_size(two(&s, OP_MOD, lit(&s, -8), s.B), sizes, &v) && v == 6);
  arena_free(&s.arena);
}

static Index *range_index(Sizes *s, uint32_t id, Term *hi) {
  Index *i = NEW(&s->arena, Index);
  *i = (Index){.id = id, .role = INDEX_REDUCE, .range = {.kind = RANGE_INTERVAL, .lo = lit(s, 0), .hi = hi}};
  return i;
}

Test(term, substitution_rewrites_inner_ranges_and_equality_pairs_bound_indices) {
  Sizes s;
  make_sizes(&s);
  Model m = {.arena = &s.arena, .index_count = 10};
  Index *i = range_index(&s, 0, s.A), *j = range_index(&s, 1, term_index(&s.arena, i, (Span){0, 0}));
  Term *body = two(&s, OP_ADD, term_index(&s.arena, j, (Span){0, 0}), term_index(&s.arena, i, (Span){0, 0}));
  Term *sum = term_reduce(&s.arena, REDUCE_SUM, j, body, (Span){0, 0});
  IndexMap map = {i, s.B};
  Term *to = term_substitute(&m, sum, &map, 1);
  cr_expect_neq(to->index, j);
  cr_expect_eq(to->index->range.hi, s.B);
  cr_expect(!term_mentions_index(to, i) && !term_mentions_index(to, j) && term_mentions_index(to, to->index));
  cr_expect(term_equal(to, term_substitute(&m, sum, &map, 1)));
  cr_expect(!term_equal(to, sum));
  IndexMap nothing = {range_index(&s, 5, s.A), s.B};
  cr_expect_eq(term_substitute(&m, sum, &nothing, 1), sum);
  arena_free(&s.arena);
}
