/* The syntactic front end: what tree a text gives, where statements end, what is said about broken ones, and
 * the formatter's two laws.  Each expectation is the s-expression of a small text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/ast_print.h"
#include "front/format.h"
#include "front/parse.h"

typedef struct Parsed {
  Arena arena;
  Interner names;
  Diags diags;
  File *file;
  char *tree, *messages;
} Parsed;

static Parsed *parse_bytes(const char *text, size_t n) {
  Parsed *r = calloc(1, sizeof *r);
  size_t size;
  arena_init(&r->arena, NULL);
  intern_init(&r->names, &r->arena);
  Source *source = source_from_text(&r->arena, "t.attn", text, n);
  diag_init(&r->diags, &r->arena, source);
  r->file = parse_file(&r->arena, &r->names, &r->diags, source);
  FILE *to = open_memstream(&r->tree, &size);
  ast_print(r->file, &r->names, to);
  fclose(to);
  to = open_memstream(&r->messages, &size);
  diag_print(&r->diags, to);
  fclose(to);
  return r;
}

static Parsed *parse_text(const char *text) { return parse_bytes(text, strlen(text)); }

static void parsed_free(Parsed *r) {
  arena_free(&r->arena);
  free(r->tree);
  free(r->messages);
  free(r);
}

/* ---- trees of expressions ---- */

static void expect_tree(const char *text, const char *tree) {
  Parsed *r = parse_text(text);
  cr_expect_str_eq(r->messages, "", "%s\n%s", text, r->messages);
  cr_expect_str_eq(r->tree, tree, "%s\n got %s\nwant %s", text, r->tree, tree);
  parsed_free(r);
}

static void expect_expr(const char *expr, const char *tree) {
  char text[600], want[600];
  snprintf(text, sizeof text, "def f(x) = %s", expr);
  snprintf(want, sizeof want, "(def f (x) %s)\n", tree);
  expect_tree(text, want);
}

static void expect_stmt(const char *stmt, const char *tree) {
  char text[600], want[600];
  snprintf(text, sizeof text, "model m(N) { %s }", stmt);
  snprintf(want, sizeof want, "(model m (N)\n  %s)\n", tree);
  expect_tree(text, want);
}

Test(parse, precedence) {
  expect_expr("-x^2", "(neg (^ x 2))");
  expect_expr("a^b^c", "(^ a (^ b c))");
  expect_expr("x ^ -2", "(^ x (neg 2))");
  expect_expr("-x ^ -y ^ -z", "(neg (^ x (neg (^ y (neg z)))))");
  expect_expr("a - b - c", "(- (- a b) c)");
  expect_expr("a / b * c // d % e", "(% (// (* (/ a b) c) d) e)");
  expect_expr("a + b * c", "(+ a (* b c))");
  expect_expr("-a * b", "(* (neg a) b)");
  expect_expr("a - -b", "(- a (neg b))");
  expect_expr("not a == b", "(not (== a b))");
  expect_expr("not a and b or c", "(or (and (not a) b) c)");
  expect_expr("a or b and not c", "(or a (and b (not c)))");
  expect_expr("a + 1 <= b * 2", "(<= (+ a 1) (* b 2))");
  expect_expr("a[1, 2][3]", "(index (index a 1 2) 3)");
  expect_expr("f(a, b = 1)[0]", "(index (call f a (= b 1)) 0)");
  expect_expr("x[i] ^ 2", "(^ (index x i) 2)");
  expect_expr("((x))", "x");
}

Test(parse, choice_reaches_far) {
  expect_expr("if a then b else c + d", "(if a b (+ c d))");
  expect_expr("if a then b else c or d", "(if a b (or c d))");
  expect_expr("x and if a then b else c or d", "(and x (if a b (or c d)))");
  expect_expr("if a then if b then c else d else e", "(if a (if b c d) e)");
  expect_expr("if a then b else if c then d else e", "(if a b (if c d e))");
  expect_expr("not if a then b else c and d", "(not (if a b (and c d)))");
}

Test(parse, reduction_reach) {
  expect_expr("sum(j in N) x[j] * y", "(reduce sum ((in j N)) (* (index x j) y))");
  expect_expr("sum(j in N) x / y + z", "(+ (reduce sum ((in j N)) (/ x y)) z)");
  expect_expr("sum(j in N) x - z", "(- (reduce sum ((in j N)) x) z)");
  expect_expr("sum(j in N) x == z", "(== (reduce sum ((in j N)) x) z)");
  expect_expr("a * sum(j in N) x * y", "(* a (reduce sum ((in j N)) (* x y)))");
  expect_expr("x / sum(j in N) a[j] * b", "(/ x (reduce sum ((in j N)) (* (index a j) b)))");
  expect_expr("-sum(j in N) x * y", "(neg (reduce sum ((in j N)) (* x y)))");
  expect_expr("2 ^ sum(j in N) x * y", "(^ 2 (reduce sum ((in j N)) (* x y)))");
  expect_expr("a * -sum(j in N) -x * y", "(* a (neg (reduce sum ((in j N)) (* (neg x) y))))");
  expect_expr("sum(i in N, j in 0..i) max(k in K) x",
              "(reduce sum ((in i N) (in j (.. 0 i))) (reduce max ((in k K)) x))");
  expect_expr("sum(x)", "(call sum x)");
  expect_expr("(sum(j in N) x) * y", "(* (reduce sum ((in j N)) x) y)");
}

Test(parse, statements) {
  expect_stmt("edge phi in N or none where a or b", "(edge phi N or-none (where (or a b)))");
  expect_stmt("edge phi in a + 1 .. b - 1 where c", "(edge phi (.. (+ a 1) (- b 1)) (where c))");
  expect_stmt("edge up in tree(N, roots = any)", "(edge up (call tree N (= roots any)))");
  expect_stmt("prior i - phi ~ geometric(p)", "(prior (- i phi) (geometric p))");
  expect_stmt("infer a, b by exact", "(infer (a b) (exact))");
  expect_stmt("out w[i, j in N] = P[phi == j]", "(out (w i (in j N)) (P (== phi j)))");
  expect_stmt("out a = param(theta, 1)", "(out (a) (call param theta 1))");
  expect_stmt("out e = elbo(s) + logZ - inf", "(out (e) (- (+ (call elbo s) logZ) inf))");
  expect_stmt("param b: real = 1.0, c: int[N], d: [N, 2]",
              "(param ((b) real (dims) 1.0) ((c) int (dims N)) ((d) - (dims N 2)))");
  expect_stmt("latent z[k in K]: [D]", "(latent ((z (in k K)) - (dims D)))");
  expect_stmt("for b in B, t in 1..T { }", "(for ((in b B) (in t (.. 1 T))))");
  expect_stmt("def f(a, b) = a * b", "(def f (a b) (* a b))");
  expect_stmt("require none == true; potential 0.5", "(require (== none true))\n  (potential 0.5)");
}

Test(parse, numbers) {
  expect_stmt("for t in 1..12 {}", "(for ((in t (.. 1 12))))");
  expect_stmt("for t in 1.5..2 {}", "(for ((in t (.. 1.5 2))))");
  expect_expr("9223372036854775807", "9223372036854775807");
  expect_expr("1e-3", "0.001");
  expect_expr("1E2", "100.0");
  expect_expr("0.1", "0.10000000000000001");
  expect_expr("0e9", "0.0");
}

/* ---- where statements end ---- */

static int count(const char *in, const char *what) {
  int n = 0;
  for (const char *s = in; (s = strstr(s, what)); s += strlen(what)) n++;
  return n;
}

static void expect_lets(const char *body, int statements) {
  char text[600];
  snprintf(text, sizeof text, "model m(N) {\n%s\n}", body);
  Parsed *r = parse_text(text);
  cr_expect_str_eq(r->messages, "", "%s\n%s", text, r->messages);
  cr_expect_eq(count(r->tree, "\n  ("), statements, "%s\n%s", text, r->tree);
  parsed_free(r);
}

Test(parse, newlines) {
  expect_lets("let a = 1\nlet b = 2", 2);
  expect_lets("let a = 1; let b = 2;", 2);
  expect_lets(";;\n\n;let a = 1;;\n;", 1);
  expect_lets("let a =\n\n  # why\n 1", 1);
  expect_lets("let a = 1 +\n 2", 1);
  expect_lets("let a = 1\n + 2", 1);
  expect_lets("let a = b\n - 2", 1);
  expect_lets("let a = b\n # a comment\n\n * 2\nlet c = 1", 2);
  expect_lets("let a = f(1\n,\n 2)[\n3\n]", 1);
  expect_lets("edge e in N\n or none\n where a\n and b", 1);
  expect_lets("let a = if x\n then y\n else z", 1);
  expect_lets("let a = x !=\n none\nlet b = true\nlet c = pi\nlet d = E[x]", 4);
  expect_lets("infer z\n by\n mode", 1);
  expect_lets("data\n q:\n [N],\n r:\n [N]", 1);
  expect_lets("prior x ~\n uniform()", 1);
  expect_lets("for i in N {\n\n}\nfor j in N { let a = 1 }", 2);
  expect_lets("let a = f(1,\n param(2))", 1);
  expect_lets("let a = 1\r\nlet b = 2\r\n", 2);
}

Test(parse, texts_around_the_edges) {
  expect_tree("", "");
  expect_tree("\xEF\xBB\xBF# \xC3\xA9\xFF\n", "");
  expect_tree("model m() {}", "(model m ())\n");
  expect_tree(";\n;def f(x) = x;model m(N,) {;};", "(def f (x) x)\n(model m (N))\n");
  expect_tree("model a() {\t}\nmodel b() {\r\n}\r\n", "(model a ())\n(model b ())\n");
}

/* ---- errors ---- */

static void expect_errors(const char *text, int n, const char *first) {
  Parsed *r = parse_text(text);
  cr_expect_eq((int)r->diags.errors, n, "%s\n%s", text, r->messages);
  cr_expect(strstr(r->messages, first) != NULL, "want %s in\n%s", first, r->messages);
  parsed_free(r);
}

Test(parse, recovery) {
  expect_errors("model m(N) {\n let = 1\n let b 2\n let c = 3\n out o = )\n}", 3,
                "t.attn:2:6: error: unexpected '=', expected a name");
  expect_errors("model m(N {\n let = 1\n}\nmodel n(N) {\n edge in N\n}", 3,
                "t.attn:1:11: error: unexpected '{', expected ')' or ','");
  expect_errors("model m(N) {\n for i N {\n let = 1\n }\n let = 2\n}", 3, "unexpected 'N', expected 'in'");
  expect_errors("model m(N) {\n let a = (1 + [2\n let b = 2\n}", 1, "unexpected '[', expected an expression");
  expect_errors("model m(N) {\n let a = f(1,\n 2\n let b = 3\n}", 1, "t.attn:2:11: note: '(' is not closed");
  expect_errors("model m(N) {\n for i in N {\n let a = (1\n", 1, "unexpected end of file, expected ')'");
}

Test(parse, recovery_keeps_names) {
  Parsed *r = parse_text("model m(N) {\n let a = )\n edge e in ]\n data q [N] r: [N], s: [N]\n out o = 1\n}");
  cr_expect_str_eq(r->tree, "(model m (N)\n  (let (a) <error>)\n  (edge e <error>)\n"
                            "  (data ((q) - (dims) <error>) ((s) - (dims N)))\n  (out (o) 1))\n", "%s", r->tree);
  parsed_free(r);
}

Test(parse, slips) {
  expect_errors("def f(x) = x ** 2", 1, "hint: a power is written x ^ y");
  expect_errors("def f(x) = !x && x || x", 3, "hint: negation is written 'not'");
  expect_errors("model m(N) { require a = b }", 1, "hint: equality is tested with '=='");
  expect_errors("model m(N) { out a = E(x) }", 1, "hint: a query is written with brackets");
  expect_errors("model m(N) { data q [N] }", 1, "hint: a declaration is written name: [SIZE, ...]");
  expect_errors("model m(N) { let edge = 1 }", 1, "hint: 'edge' is a keyword and cannot be a name");
  expect_errors("model m(N) { let E = 1 }", 1, "hint: 'E' has a fixed meaning and cannot be declared");
  expect_errors("model m(N) { for i N { } }", 1, "hint: a range is written 'i in N'");
  expect_errors("// note\nmodel m(N) { }", 1, "hint: a comment starts with '#'");
  expect_errors("/* note */ model m(N) { }", 1, "hint: a comment starts with '#'");
  expect_errors("def f(x) = a < b < c", 1, "hint: comparisons do not chain");
  expect_errors("def f(x) = 1 + if x then 1 else 2", 1, "hint: put parentheses around it");
  expect_errors("def f(x) = if x then 1", 1, "hint: a choice always has both sides");
  expect_errors("model m(N)\n{\n}", 1, "hint: '{' stands on the line of the header");
}

Test(parse, bad_literals) {
  expect_errors("def f(x) = 9223372036854775808", 1, "does not fit into 64 bits");
  expect_errors("def f(x) = 1e999", 1, "too large");
  expect_errors("def f(x) = 1e-999", 1, "too small");
  expect_errors("def f(x) = 2x", 1, "neither a number nor a name");
  expect_errors("def f(x) = 1. + 2", 1, "digits on both sides");
  expect_errors("def f(x) = .5", 1, "digits on both sides");
  expect_errors("def f(x) = \"a\"", 1, "no strings");
  expect_errors("def f(x) = \xC3\xA9", 1, "unexpected '\xC3\xA9'");
  Parsed *r = parse_bytes("def f(x) = x\0 + 1\n", 18);
  cr_expect(strstr(r->messages, "t.attn:1:13: error: unexpected byte 0x00") != NULL, "%s", r->messages);
  parsed_free(r);
  r = parse_bytes("# a\0b\n", 6);
  cr_expect(strstr(r->messages, "t.attn:1:4: error: unexpected NUL byte") != NULL, "%s", r->messages);
  parsed_free(r);
}

/* ---- nesting ---- */

/* head, `n` times `open`, mid, `n` times `close`, tail */
static Parsed *parse_nested(const char *head, const char *open, int n, const char *mid, const char *close,
                            const char *tail) {
  char *text;
  size_t size;
  FILE *to = open_memstream(&text, &size);
  fputs(head, to);
  for (int i = 0; i < n; i++) fputs(open, to);
  fputs(mid, to);
  for (int i = 0; i < n; i++) fputs(close, to);
  fputs(tail, to);
  fclose(to);
  Parsed *r = parse_bytes(text, size);
  free(text);
  return r;
}

static void expect_limit(const char *open, const char *mid, const char *close, int limit) {
  const char *head = "model m(N) {\nlet x = ", *tail = "\nlet y = 1\n}";
  Parsed *r = parse_nested(head, open, limit, mid, close, tail);
  cr_expect_eq(r->diags.errors, 0, "%d times %s\n%s", limit, open, r->messages);
  parsed_free(r);
  for (int n = limit + 1; n < 300000; n *= 60) {
    r = parse_nested(head, open, n, mid, close, tail);
    cr_expect_eq(r->diags.errors, 1, "%d times %s\n%s", n, open, r->messages);
    cr_expect(strstr(r->messages, "deep") && strstr(r->messages, "t.attn:2:"), "%s", r->messages);
    cr_expect(strstr(r->tree, "(let (y) 1)") != NULL);
    parsed_free(r);
  }
}

Test(parse, nesting_limits) {
  expect_limit("(", "x", ")", PARSE_MAX_DEPTH);
  expect_limit("a[", "x", "]", PARSE_MAX_DEPTH);
  expect_limit("f(", "x", ")", PARSE_MAX_DEPTH);
  expect_limit("E[", "x", "]", PARSE_MAX_DEPTH);
  expect_limit("-", "x", "", PARSE_MAX_DEPTH);
  expect_limit("not ", "x", "", PARSE_MAX_DEPTH);
  expect_limit("if a then b else ", "x", "", PARSE_MAX_DEPTH);
  expect_limit("if ", "x", " then a else b", PARSE_MAX_DEPTH);
  expect_limit("a^", "x", "", PARSE_MAX_DEPTH);
  expect_limit("sum(j in N) ", "x", "", PARSE_MAX_DEPTH);
  expect_limit("sum(j in N) -", "x", "", PARSE_MAX_DEPTH / 2);
  expect_limit("f(i, k = if a then b else ", "x", ")", PARSE_MAX_DEPTH / 2);
  expect_limit("x + ", "x", "", PARSE_MAX_TREE - 1);
  expect_limit("x and ", "x", "", PARSE_MAX_TREE - 1);
  expect_limit("", "x", "[1]", PARSE_MAX_TREE - 1);
}

Test(parse, closed_operators_do_not_nest) {
  Parsed *r = parse_nested("def f(x) = 0", " + -x * -x ^ -2 - sum(j in N) x", 600, "", "", "");
  cr_expect_eq(r->diags.errors, 0, "%s", r->messages);
  parsed_free(r);
  r = parse_nested("def f(x) = not x", " and not -x == -2 or not (x)", 600, "", "", "");
  cr_expect_eq(r->diags.errors, 0, "%s", r->messages);
  parsed_free(r);
}

Test(parse, block_limit) {
  Parsed *r = parse_nested("model m(N) {\n", "for i in N {\n", PARSE_MAX_DEPTH - 1, "", "}\n", "let = 1\n}");
  cr_expect_eq(r->diags.errors, 1, "%s", r->messages);
  parsed_free(r);
  r = parse_nested("model m(N) {\n", "for i in N {\n", 3000, "", "}\n", "let y = 1\n}");
  cr_expect_eq(r->diags.errors, 1, "%s", r->messages);
  cr_expect(strstr(r->messages, "t.attn:257:12: error: blocks are nested more than 256 deep") != NULL, "%s",
            r->messages);
  parsed_free(r);
}

/* Any bytes give a tree or messages; what parses also survives formatting. */
static void expect_laws(const char *text, size_t n, bool must_parse);

Test(parse, random_bytes) {
  static const char *const words[] = {"model ",
                                      "data ",
                                      "param ",
                                      "let ",
                                      "def ",
                                      "for ",
                                      "in ",
                                      "edge ",
                                      "or ",
                                      "none ",
                                      "not ",
                                      "if ",
                                      "then ",
                                      "else ",
                                      "E",
                                      "P",
                                      "x ",
                                      "y",
                                      "1",
                                      "0.5",
                                      "(",
                                      ")",
                                      "[",
                                      "]",
                                      "{",
                                      "}",
                                      ",",
                                      ";",
                                      "\n",
                                      "=",
                                      "~",
                                      "+",
                                      "-",
                                      "^",
                                      "**",
                                      "..",
                                      "==",
                                      "#",
                                      "\r\n",
                                      "\t",
                                      "sum(j in N) ",
                                      "where ",
                                      "let a = x\n",
                                      "model m(N) {\n",
                                      "}\n",
                                      "\xFF",
                                      "'",
                                      "&&"};
  uint64_t state = 12345;
  for (int round = 0; round < 400; round++) {
    char text[512];
    size_t n = 0;
    while (n < 450) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      uint32_t r = (uint32_t)(state >> 33);
      if (round % 4 == 0) text[n++] = (char)r;
      else n += (size_t)sprintf(text + n, "%s", words[r % (sizeof words / sizeof *words)]);
    }
    expect_laws(text, n, false);
  }
}

/* ---- the formatter ---- */

static char *format_bytes(const char *text, size_t n, size_t *size) {
  Arena arena;
  Interner names;
  Diags diags;
  arena_init(&arena, NULL);
  intern_init(&names, &arena);
  Source *source = source_from_text(&arena, "t.attn", text, n);
  diag_init(&diags, &arena, source);
  char *out = format_source(&arena, &names, &diags, source, size), *copy = NULL;
  if (out) {
    copy = malloc(*size + 1);
    memcpy(copy, out, *size + 1);
  }
  arena_free(&arena);
  return copy;
}

static void expect_laws(const char *text, size_t n, bool must_parse) {
  size_t n1 = 0, n2 = 0;
  char *once = format_bytes(text, n, &n1);
  Parsed *a = parse_bytes(text, n);
  cr_expect_eq(once == NULL, a->diags.errors > 0);
  if (must_parse) cr_expect_str_eq(a->messages, "");
  if (once) {
    char *twice = format_bytes(once, n1, &n2);
    Parsed *b = parse_bytes(once, n1);
    cr_assert(twice != NULL, "%s", b->messages);
    cr_expect_str_eq(once, twice);
    cr_expect_str_eq(a->tree, b->tree);
    parsed_free(b);
    free(twice);
  }
  parsed_free(a);
  free(once);
}

static void expect_file_laws(const char *name) {
  char path[1000];
  const char *why = "";
  snprintf(path, sizeof path, "%s/syntax/%s", ATTN_TESTS, name);
  Arena arena;
  arena_init(&arena, NULL);
  Source *s = source_read(&arena, path, &why);
  cr_assert(s != NULL, "%s", why);
  expect_laws(s->text, s->size, true);
  arena_free(&arena);
}

Test(format, laws) {
  expect_file_laws("attention.attn");
  expect_file_laws("edges.attn");
  expect_file_laws("latents.attn");
  expect_laws("", 0, true);
}

static void expect_format(const char *text, const char *want) {
  size_t n = 0;
  char *got = format_bytes(text, strlen(text), &n);
  cr_assert(got != NULL, "%s", text);
  cr_expect_str_eq(got, want, "got\n%s\nwant\n%s", got, want);
  free(got);
}

Test(format, layout) {
  expect_format(
      "\n\n#a\n\n\n#b  \r\nmodel  m( N,M ){\n\n\tdata q:[N,M],d:int [N] # one\n  let a=1 # two\n\n\n}",
      "#a\n\n#b\nmodel m(N, M) {\n  data q: [N, M], d: int[N]  # one\n  let a = 1                  # two\n}\n");
  expect_format("def f(x)=-x^- 2*(x [1]- -1)", "def f(x) = -x ^ -2 * (x[1] - -1)\n");
  expect_format("def f(x)=sum (j in 0 .. x)(a+b)//E [x]", "def f(x) = sum(j in 0..x) (a + b) // E[x]\n");
  expect_format("def f(x)=f(x,k=not(x))\n+\n1", "def f(x) = f(x, k = not (x))\n    +\n    1\n");
  expect_format("model m(N){for i in p[1]..p[2]{edge a in bit;prior a~uniform()};}",
                "model m(N) { for i in p[1] .. p[2] { edge a in bit; prior a ~ uniform() }; }\n");
  expect_format("def f(x)=sum(j in x)- x-max((x))-1", "def f(x) = sum(j in x) -x - max((x)) - 1\n");
  expect_format("def f(x) = exp(\n1\n)", "def f(x) = exp(\n    1\n)\n");
  expect_format("model m(N) { }", "model m(N) {}\n");
}
