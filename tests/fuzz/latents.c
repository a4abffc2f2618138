/* latents: random models with continuous unknowns; see generate.h.
 *
 * One or two latents of some range (the line, positive, the unit interval, a simplex), edges that pick among their
 * copies, alone, along a chain, in a circle or as nodes of a structure, as many as sizes or data say, weights of the
 * kinds that have closed steps and of some that have none, and infer lines with every argument.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "generate.h"

typedef enum { LINE_VECTOR, LINE_SCALAR, POSITIVE, UNIT, SIMPLEX, KINDS } Kind;

/* How the copies of the edge are joined: not at all, to the one before, each to the next of a circle, by what their
 * choices form. */
typedef enum { ALONE, CHAIN, CIRCLE, NODES } Join;

typedef struct Gen {
  Arena *arena;
  Random r;
  const char *plate; /* index of the plate around, with its comma; "" without one */
  const char *size;  /* its size, likewise */
  const char *data;  /* declarations */
  bool closed;       /* everything so far has a closed step */
  bool opaque;       /* something has no mean under a normal q */
  Join join;
  const char *edge;  /* the choice of copy j */
  const char *copies; /* the size that bounds their number, */
  const char *number; /* and their number, perhaps data; as a plate's range: `range` */
  const char *range;
  const char *domain; /* of a structure */
  bool scaled;
} Gen;

typedef struct Unknown {
  Kind kind;
  const char *name;
  bool flat, conjugate;
} Unknown;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

/* Declares an input once; returns its name. */
static const char *input(Gen *g, const char *name, const char *type) {
  const char *line = TEXT(g, "  data %s: %s\n", name, type);
  if (!strstr(g->data, line)) g->data = TEXT(g, "%s%s", g->data, line);
  return name;
}

/* Data of each copy j, with the plate's index where there is one. */
static const char *own(Gen *g, const char *letter, const char *suffix, const char *type, const char *dims,
                       const char *more) {
  const char *name = TEXT(g, "%s_%s", letter, suffix);
  input(g, name, TEXT(g, "%s[%s%s%s]", type, g->size, g->copies, dims));
  return TEXT(g, "%s[%sj%s]", name, g->plate, more);
}

static const char *copy(const Gen *g, const Unknown *z, const char *k) { return TEXT(g, "%s[%s]", z->name, k); }

/* ---- declarations ------------------------------------------------------------------------------------------------ */

static const char *prior(Gen *g, const Unknown *z) {
  static const char *const scales[] = {"1", "0.7", "2.5"};
  const char *left = copy(g, z, "k");
  switch (z->kind) {
  case LINE_VECTOR:
  case LINE_SCALAR:
    if (z->flat) return "";
    if (chance(g, 10) && !z->conjugate) {
      g->closed = false, g->opaque = true;
      return TEXT(g, "  for k in K { prior %s ~ student_t(4, 0.3, %s) }\n", left, scales[below(g, 3)]);
    }
    if (chance(g, 30))
      return TEXT(g, "  for k in K { prior %s ~ normal(%s[k], %s) }\n", left, input(g, "x_m", "[K]"),
                  scales[below(g, 3)]);
    return TEXT(g, "  for k in K { prior %s ~ normal(0.%u, %s) }\n", left, below(g, 9), scales[below(g, 3)]);
  case POSITIVE:
    if (chance(g, 20)) return TEXT(g, "  for k in K { prior %s ~ exponential(1.5) }\n", left);
    return TEXT(g, "  for k in K { prior %s ~ gamma(%u + 0.5, %s) }\n", left, 1 + below(g, 2), scales[below(g, 3)]);
  case UNIT: return TEXT(g, "  for k in K { prior %s ~ beta(1.%u, 2) }\n", left, below(g, 9));
  case SIMPLEX: return TEXT(g, "  require K > 0\n  prior %s ~ dirichlet(1.%u)\n", z->name, 1 + below(g, 9));
  case KINDS: break;
  }
  return "";
}

static const char *declaration(Gen *g, const Unknown *z) {
  if (z->kind == SIMPLEX) return TEXT(g, "  latent %s: [K]\n", z->name);
  return TEXT(g, "  latent %s[k in K]: %s\n", z->name, z->kind == LINE_VECTOR ? "[D]" : "real");
}

/* ---- weights of one copy j, whose edge is e ---------------------------------------------------------------------- */

static const char *for_vector(Gen *g, const Unknown *z) {
  const char *v = copy(g, z, g->edge), *q = own(g, "q", "j", "", ", D", "");
  switch (below(g, 8)) {
  case 0: return TEXT(g, "observe %s ~ normal(%s, 0.8)", q, v);
  case 1:
    return TEXT(g, "potential exp(-0.5 * sum(d in D) sq(%s - %s[%s, d]))", own(g, "q", "j", "", ", D", ", d"), z->name,
                g->edge);
  case 2: {
    input(g, "q_w", "[D, D]");
    return TEXT(g, "for c in D { observe %s ~ normal(dot(q_w[c], %s), 0.9) }", own(g, "q", "j", "", ", D", ", c"), v);
  }
  case 3: g->closed = false, g->opaque = true; return TEXT(g, "potential exp(tanh(dot(%s, %s)))", q, v);
  case 4: return TEXT(g, "potential exp(%s * dot(%s, %s))", own(g, "u", "j", "", "", ""), q, v);
  case 5:
    g->closed = false;
    return TEXT(g, "potential exp(-(dot(%s, %s) - %s) ^ %u / 30)", q, v, own(g, "x", "j", "", "", ""), 2 + 2 * below(g, 2));
  default: return TEXT(g, "potential exp(dot(%s, %s) / sqrt(D))", q, v);
  }
}

static const char *for_scalar(Gen *g, const Unknown *z, const Unknown *scale) {
  const char *v = copy(g, z, g->edge), *x = own(g, "x", "j", "", "", "");
  if (scale) return TEXT(g, "observe %s ~ normal(%s, 1 / sqrt(%s))", x, v, copy(g, scale, g->edge));
  switch (below(g, 11)) {
  case 7: g->closed = false; return TEXT(g, "observe %s ~ normal(%s, exp(0.3 * %s))", x, v, v);
  case 8: g->closed = false; return TEXT(g, "potential exp(-0.2 * sq(%s - %s) * (1 + exp(0.4 * %s)))", v, x, v);
  case 0: return TEXT(g, "observe %s ~ normal(2 * %s - 0.3, 1.1)", x, v);
  case 1: g->closed = false, g->opaque = true; return TEXT(g, "potential sigmoid(%s * %s)", x, v);
  case 2: g->closed = false, g->opaque = true; return TEXT(g, "observe %s ~ normal(sin(%s), 1)", x, v);
  case 4: g->closed = false; return TEXT(g, "observe %s ~ poisson(exp(0.4 * %s))", own(g, "c", "j", "int", "", ""), v);
  case 5: g->closed = false; return TEXT(g, "observe %s ~ normal(0.2, exp(0.3 * %s))", x, v);
  case 6: g->closed = false; return TEXT(g, "potential exp(%s ^ 3 / 20 - %s ^ 4 / 9)", v, v);
  case 3: return TEXT(g, "potential exp(if %s > 0 then %s * %s else 0.3 * %s)", x, x, v, v);
  default: return TEXT(g, "observe %s ~ normal(%s, 0.6)", x, v);
  }
}

static const char *for_positive(Gen *g, const Unknown *z) {
  const char *v = copy(g, z, g->edge);
  switch (below(g, 4)) {
  case 0: return TEXT(g, "observe %s ~ exponential(%s)", own(g, "p", "j", "", "", ""), v);
  case 1: return TEXT(g, "potential %s ^ 2 * exp(-%s * %s)", v, own(g, "p", "j", "", "", ""), v);
  case 2: g->closed = false, g->opaque = true; return TEXT(g, "potential exp(-sq(log(%s) - %s))", v, own(g, "x", "j", "", "", ""));
  default: return TEXT(g, "observe %s ~ poisson(%s)", own(g, "c", "j", "int", "", ""), v);
  }
}

static const char *for_unit(Gen *g, const Unknown *z) {
  const char *v = copy(g, z, g->edge);
  switch (below(g, 3)) {
  case 0: return TEXT(g, "observe %s ~ bernoulli(%s)", own(g, "f", "j", "bool", "", ""), v);
  case 1: return TEXT(g, "potential %s * (1 - %s) ^ %s", v, v, own(g, "c", "j", "int", "", ""));
  default: return TEXT(g, "potential if %s then %s else 1 - %s", own(g, "f", "j", "bool", "", ""), v, v);
  }
}

static const char *weight(Gen *g, const Unknown *z, const Unknown *scale) {
  switch (z->kind) {
  case LINE_VECTOR: return for_vector(g, z);
  case LINE_SCALAR: return for_scalar(g, z, scale);
  case POSITIVE: return for_positive(g, z);
  case UNIT: return for_unit(g, z);
  case SIMPLEX: return TEXT(g, "prior e ~ categorical(%s)", z->name);
  case KINDS: break;
  }
  return "";
}

/* Of two on the line: closed in the first, of which the second is the log of the spread. */
static const char *for_both(Gen *g, const Unknown *z) {
  g->closed = false;
  return TEXT(g, "    observe %s ~ normal(%s, exp(0.3 * %s))\n", own(g, "x", "j", "", "", ""), copy(g, &z[0], g->edge),
              copy(g, &z[1], g->edge));
}

/* Weights without edges. */
static const char *free_weight(Gen *g, const Unknown *z) {
  if (z->kind == LINE_SCALAR && !z->flat && chance(g, 20))
    return TEXT(g, "  for k in 1..K { potential exp(-0.4 * sq(%s[k] - %s[k - 1])) }\n", z->name, z->name);
  if (z->kind == LINE_VECTOR && chance(g, 30))
    return TEXT(g, "  for k in K { potential exp(-0.3 * dot(%s[k], %s[k])) }\n", z->name, z->name);
  return "";
}

/* ---- inference --------------------------------------------------------------------------------------------------- */

static const char *arguments(Gen *g, const Unknown *z) {
  const char *text = TEXT(g, "steps = %u", below(g, 4));
  bool line = z->kind == LINE_VECTOR || z->kind == LINE_SCALAR;
  if (g->closed && line && !z->flat && chance(g, 30))
    text = TEXT(g, "%s, q = %s", text, chance(g, 50) ? "gaussian" : "conjugate");
  else if (g->closed && !line && z->conjugate)
    text = TEXT(g, "%s, q = conjugate", text);
  else if (!g->opaque && line && chance(g, g->closed ? 10 : 60))
    text = TEXT(g, "%s, q = gaussian, method = gradient", text);
  else if (!g->closed || chance(g, 20))
    text = TEXT(g, "%s, method = gradient", text);
  text = TEXT(g, "%s, rate = 0.0%u", text, 1 + below(g, 9));
  if (chance(g, 20)) text = TEXT(g, "%s, damping = 0.%u", text, below(g, 9));
  if (chance(g, 15)) text = TEXT(g, "%s, tol = 0.0%u", text, below(g, 9));
  if (line && (z->flat || chance(g, 60)))
    text = TEXT(g, "%s, init = %s", text, z->kind == LINE_VECTOR ? input(g, "q_0", "[K, D]") : input(g, "x_0", "[K]"));
  return text;
}

/* Where nothing is observed everything has a closed step, so those without say that they want none. */
static const char *infer(Gen *g, const Unknown *z, uint32_t n) {
  bool point = g->closed && n == 2 && z[0].kind == z[1].kind;
  if (point && chance(g, 40))
    return TEXT(g, "  infer %s, %s by collapsed(steps = %u, rate = 0.02, init = 0.%u)\n", z[0].name, z[1].name,
                1 + below(g, 2), 1 + below(g, 8));
  const char *text = "";
  for (uint32_t i = 0; i < n; i++)
    text = TEXT(g, "%s  infer %s by collapsed(%s)\n", text, z[i].name, arguments(g, &z[i]));
  return text;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static const char *outputs(Gen *g, const Unknown *z) {
  const char *n = z->name, *text;
  if (z->kind == SIMPLEX)
    text = TEXT(g, "  out o_%s = %s\n  out m_%s[k in K] = E[sq(%s[k])]\n", n, n, n, n);
  else {
    text = TEXT(g, "  out o_%s[k in K] = %s[k]\n", n, n);
    if (chance(g, 50) && !g->opaque)
      text = TEXT(g, "%s  out v_%s[k in K] = E[sq(%s[k])] - sq(E[%s[k]])\n", text, n, n, n);
  }
  if (z->kind != LINE_VECTOR && z->kind != SIMPLEX && chance(g, 50))
    text = TEXT(g, "%s  out p_%s[k in K] = param(%s[k], 1)\n", text, n, n);
  return text;
}

/* Of copy j, in its plates.  Behind the last copy, where data end them, there is none. */
static const char *of_copy(Gen *g, const char *name, const char *slots, const char *query) {
  if (g->number == g->copies) return TEXT(g, "    out %s[%sj%s] = %s\n", name, g->plate, slots, query);
  return TEXT(g, "    out %s[%sj in %s%s] = if j < %s then %s else 0\n", name, g->plate, g->copies, slots, g->number,
              query);
}

static const char *of_copies(Gen *g, const Unknown *z) {
  bool ended = g->number != g->copies;
  const char *edge = ended ? TEXT(g, "e[%sj]", g->join == NODES ? "" : g->plate) : g->edge;
  const char *text = of_copy(g, "r", ", k in K", TEXT(g, "P[%s == k]", edge));
  if (z->kind == LINE_VECTOR || z->kind == LINE_SCALAR)
    text = TEXT(g, "%s%s", text, of_copy(g, "w", "", TEXT(g, "E[%s[%s]]", z->name, edge)));
  if (!g->scaled && chance(g, 30)) text = TEXT(g, "%s%s", text, of_copy(g, "a", "", TEXT(g, "entropy(%s)", edge)));
  if (g->join == ALONE && !ended && chance(g, 40))
    text = TEXT(g, "%s%s%s", text, of_copy(g, "l", "", "logZ"), of_copy(g, "i", ", s in 3", "elbo(s)"));
  return text;
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

static uint32_t unknowns(Gen *g, Unknown *z) {
  uint32_t n = 1;
  z[0] = (Unknown){.kind = (Kind)below(g, KINDS), .name = "z"};
  if (z[0].kind == SIMPLEX || chance(g, 35)) {
    static const Kind partner[] = {LINE_SCALAR, LINE_VECTOR, POSITIVE, UNIT};
    z[1] = (Unknown){.kind = partner[below(g, 4)], .name = "t"};
    n = 2;
  }
  for (uint32_t i = 0; i < n; i++) {
    bool line = z[i].kind == LINE_VECTOR || z[i].kind == LINE_SCALAR;
    z[i].flat = line && chance(g, 20);
    z[i].conjugate = !line && chance(g, 70);
  }
  return n;
}

/* A structure, which of this kind has places for `copies` nodes, each with a choice below K. */
static void begin_structure(Gen *g) {
  g->edge = "e[j]";
  if (chance(g, 40)) {
    g->domain = TEXT(g, "matching(%s, K)%s", g->number, chance(g, 70) ? " or none" : "");
    return;
  }
  static const char *const families[] = {"tree(%s)", "tree(%s, roots = any)", "projective_tree(%s)", "permutation(%s)"};
  uint32_t family = below(g, 4);
  g->copies = "K";
  if (!g->range) g->number = g->copies;
  g->domain = TEXT(g, families[family], g->number);
  g->scaled = family == 3 && !g->range && chance(g, 25);
}

/* Data end the copies of some. */
static void end_copies(Gen *g) {
  g->number = g->copies = "N";
  if (g->join == CIRCLE || !chance(g, 30)) return;
  const char *name = TEXT(g, "tN_%s", g->plate[0] ? "L" : "0");
  input(g, name, g->plate[0] ? "int[L]" : "int");
  g->number = TEXT(g, "min(%s%s, %s)", name, g->plate[0] ? "[b]" : "", g->join == NODES ? "min(N, K)" : "N");
  g->range = TEXT(g, "0 .. %s", g->number);
}

static const char *all_copies(Gen *g, const char *copies, const char *outs) {
  const char *b = g->plate[0] ? "b in L, " : "", *j = g->range ? g->range : g->copies;
  if (g->join == NODES) {
    const char *text = TEXT(g, "  edge e in %s\n", g->domain);
    if (g->scaled) text = TEXT(g, "%s  infer e by sinkhorn(steps = %u)\n", text, below(g, 4));
    text = g->range ? TEXT(g, "%s  for j in %s {\n%s  }\n%s", text, j, copies, outs)
                    : TEXT(g, "%s  for j in %s {\n%s%s  }\n", text, j, copies, outs);
    if (g->plate[0] && !g->scaled && chance(g, 50)) text = TEXT(g, "%s  out i[b, s in 3] = elbo(s)\n", text);
    if (g->plate[0] && !g->scaled && chance(g, 25))
      text = TEXT(g, "%s  let u[s in 3] = elbo(s)\n  for h in N { out y[b, h, s in 3] = u[s] - u[0] * h }\n", text);
    return g->plate[0] ? TEXT(g, "  for b in L {\n%s  }\n", text) : text;
  }
  const char *text = g->range ? TEXT(g, "  for %sj in %s {\n%s  }\n  for b in L {\n%s  }\n", b, j, copies, outs)
                              : TEXT(g, "  for %sj in %s {\n%s%s  }\n", b, j, copies, outs);
  if (g->range && !g->plate[0]) text = TEXT(g, "  for j in %s {\n%s  }\n%s", j, copies, outs);
  if (g->join == ALONE) return text;
  const char *other = g->join == CHAIN ? "j - 1" : "(j + 1) % N",
             *same = TEXT(g, "if e[%sj] == e[%s%s] then 1.8 else 0.7", g->plate, g->plate, other);
  text = TEXT(g, "%s  for %sj in %s%s { potential %s }\n", text, b, g->join == CHAIN ? "1 .. " : "", g->number, same);
  if (g->join != CHAIN || !chance(g, 40)) return text;
  const char *counted = TEXT(g, chance(g, 50) ? "e[%sj] == 1" : "e[%sj] != e[%sj - 1]", g->plate, g->plate);
  const char *number = TEXT(g, "sum(j in 1 .. %s) (if %s then 1 else 0)", g->number, counted);
  return TEXT(g, "%s  %sout c[%ss in 3] = P[%s %s s]%s\n", text, g->plate[0] ? "for b in L { " : "", g->plate, number,
              chance(g, 50) ? "==" : ">=", g->plate[0] ? " }" : "");
}

const char *generate_latents(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena,
             .r = {seed * 0x2545F4914F6CDD1Du + 7},
             .plate = "",
             .size = "",
             .data = "",
             .closed = true,
             .edge = "e"},
      *g = &gen;
  if (chance(g, 25)) g->plate = "b, ", g->size = "L, ";
  Unknown z[2];
  uint32_t n = unknowns(g, z);
  static const char *const supports[] = {"", "", "", " where e <= j", " or none", " where e != 1"};
  const char *support = supports[below(g, 6)];
  if (z[0].kind == SIMPLEX && support[0]) support = "";
  if (chance(g, 60)) g->join = (Join)below(g, z[0].kind == SIMPLEX ? NODES : NODES + 1);
  end_copies(g);
  if (g->join == NODES) begin_structure(g);
  bool none = strstr(g->join == NODES ? g->domain : support, "none") || (g->domain && strstr(g->domain, "tree"));
  const char *copies = g->join == NODES ? "" : TEXT(g, "    edge e in K%s\n", support), *priors = "", *outs = "",
             *latents = "";
  bool scale = n == 2 && z[0].kind == LINE_SCALAR && z[1].kind == POSITIVE && chance(g, 60);
  if (scale) z[0].conjugate = !z[0].flat; /* only such a pair has expectations under q */
  for (uint32_t i = 0; i < n; i++) {
    latents = TEXT(g, "%s%s", latents, declaration(g, &z[i]));
    priors = TEXT(g, "%s%s%s", priors, prior(g, &z[i]), free_weight(g, &z[i]));
    if (!(scale && i == 1)) copies = TEXT(g, "%s    %s\n", copies, weight(g, &z[i], scale && i == 0 ? &z[1] : NULL));
  }
  if (n == 2 && z[0].kind == LINE_SCALAR && z[1].kind == LINE_SCALAR && chance(g, 60))
    copies = TEXT(g, "%s%s", copies, for_both(g, z));
  if (chance(g, 40))
    copies = TEXT(g, "%s    potential exp(%s)\n", copies, own(g, "x", "e", "", ", K", TEXT(g, ", %s", g->edge)));
  if (none)
    copies = TEXT(g, "%s    potential if %s == none then 0.4 else 1.5\n", copies, g->edge);
  const char *lines = infer(g, z, n);
  for (uint32_t i = 0; i < n; i++) outs = TEXT(g, "%s%s", outs, outputs(g, &z[i]));
  const char *body = TEXT(g, "%s%s", priors, all_copies(g, copies, of_copies(g, &z[0])));
  return TEXT(g, "model m(M, N, K, L, D, C) {\n%s%s%s%s%s  out f = elbo\n  out h[s in 4] = elbo(s)\n}\n", g->data,
              latents, body, lines, outs);
}
