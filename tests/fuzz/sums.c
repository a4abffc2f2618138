/* sums: random models whose weights are sums of products, or nearly; see generate.h.
 *
 * A row i and perhaps a plate around it, edges over all of a range or up to a bound that moves with the row, weights
 * that factor into rows and columns, distances, gates, and now and then something that does not factor. */
#include <stdbool.h>
#include <stdio.h>

#include "generate.h"

typedef struct Gen {
  Arena *arena;
  Random r;
  const char *e; /* the edge being written */
  const char *h; /* index of the plate around, with its comma; "" without one */
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

static const char *positive(Gen *g, const char *feature) {
  static const char *const open[] = {"exp(", "relu(", "(1 + elu(", "sq(", "sigmoid("};
  uint32_t n = below(g, 5);
  return TEXT(g, "%s%s%s", open[n], feature, n == 2 ? "))" : ")");
}

/* Not in every plate do rows and columns differ from those of others. */
static const char *row(Gen *g, const char *name) {
  return chance(g, 70) ? TEXT(g, "%sh[%si]", name, g->h) : TEXT(g, "%s[i]", name);
}
static const char *column(Gen *g, const char *name) {
  return chance(g, 70) ? TEXT(g, "%sh[%s%s]", name, g->h, g->e) : TEXT(g, "%s[%s]", name, g->e);
}

static const char *sum(Gen *g) {
  const char *q = positive(g, row(g, "q_r")), *k = positive(g, column(g, "q_c"));
  if (chance(g, 12)) return TEXT(g, "sum(d in D) exp(q_r[i, d] + q_c[%s, d]) * p_f[d]", g->e);
  if (chance(g, 8)) return TEXT(g, "dot(%s, %s - 0.5)", q, k);
  return TEXT(g, "dot(%s, %s)", q, k);
}

static const char *factor(Gen *g) {
  switch (below(g, 9)) {
  case 0: case 1: return TEXT(g, "exp(-0.%u * (i - %s))", 1 + below(g, 9), g->e);
  case 2: return TEXT(g, "exp(%s - %s)", row(g, "x_r"), column(g, "x_c"));
  case 3: return TEXT(g, "exp(p_0 * (%s - %s))", row(g, "x_r"), column(g, "x_c"));
  case 4: return column(g, "p_c");
  case 5: return row(g, "p_r");
  case 6: return column(g, "z_c");
  case 7: return TEXT(g, "exp(%s)", column(g, "h_c"));
  default: return TEXT(g, "exp(x_rc[i, %s])", g->e);
  }
}

static const char *weight(Gen *g) {
  const char *w = chance(g, 85) ? sum(g) : factor(g);
  for (uint32_t n = below(g, 3); n > 0; n--)
    w = chance(g, 50) ? TEXT(g, "%s * (%s)", factor(g), w) : TEXT(g, "(%s) * %s", w, factor(g));
  return w;
}

static const char *support(Gen *g) {
  static const char *const ops[] = {"<=", "<", ">=", ">"};
  static const char *const ends[] = {"i", "i + 1", "i - 2", "i + N - M", "i + 3 - M"};
  const char *moving = TEXT(g, "%s %s %s", g->e, ops[below(g, 4)], ends[below(g, 5)]);
  switch (below(g, 8)) {
  case 0: case 1: return "";
  case 2: return TEXT(g, " where %s and %s %% 3 > 0", moving, g->e);
  case 3: return TEXT(g, " where i %% 2 == 0 and %s", moving);
  case 4: return TEXT(g, " where z_rc[i, %s] > 0", g->e);
  default: return TEXT(g, " where %s", moving);
  }
}

static const char *value(Gen *g) {
  switch (below(g, 6)) {
  case 0: return TEXT(g, "E[%s]", column(g, "x_v"));
  case 1: return TEXT(g, "E[%s * %s]", row(g, "x_r"), column(g, "x_v"));
  case 2: return TEXT(g, "logZ");
  case 3: return TEXT(g, "E[sq(%s)] - sq(E[%s])", column(g, "v_c"), column(g, "v_c"));
  default: return TEXT(g, "E[%s]", column(g, "v_c"));
  }
}

/* An edge with its weights and outputs; n numbers it. */
static const char *edge(Gen *g, uint32_t n) {
  g->e = TEXT(g, "e%u", n);
  const char *text = TEXT(g, "    edge %s in %s%s\n", g->e, chance(g, 15) ? "1..N" : "N", support(g));
  if (chance(g, 15)) text = TEXT(g, "%s    prior i - %s ~ geometric(u_0)\n", text, g->e);
  else if (chance(g, 10)) text = TEXT(g, "%s    prior %s ~ weights(%s)\n", text, g->e, column(g, "p_c"));
  text = TEXT(g, "%s    potential %s\n", text, weight(g));
  for (uint32_t k = 0, many = 1 + below(g, 3); k < many; k++) {
    const char *v = value(g);
    text = TEXT(g, "%s    out o%u_%u[%si] = %s\n", text, n, k, g->h,
                v[0] == 'l' ? TEXT(g, "E[%s] + 0 * count(%s)", column(g, "x_v"), g->e) : v);
  }
  if (chance(g, 8)) text = TEXT(g, "%s    out s%u[%si] = entropy(%s)\n", text, n, g->h, g->e);
  return text;
}

const char *generate_sums(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 99}, .h = ""}, *g = &gen;
  bool plate = chance(g, 50);
  const char *H = plate ? "K, " : "", *body = "", *data = "";
  if (plate) g->h = "h, ";
  for (uint32_t n = 0, many = 1 + chance(g, 30); n < many; n++) body = TEXT(g, "%s%s", body, edge(g, n));
  if (chance(g, 30)) body = TEXT(g, "%s    out z[%si] = logZ\n", body, g->h);
  static const char *const names[] = {"q_r:M, D", "q_c:N, D", "x_r:M", "x_c:N", "p_r:M",
                                      "p_c:N",    "z_c:N",    "h_c:N", "x_v:N", "v_c:N, C"};
  for (uint32_t n = 0; n < sizeof names / sizeof *names; n++)
    data =
        TEXT(g, "%s  data %.3s: [%s]\n  data %.3sh: [%s%s]\n", data, names[n], names[n] + 4, names[n], H, names[n] + 4);
  data = TEXT(g, "%s  data x_rc: [M, N]\n  data z_rc: [M, N]\n  data p_f: [D]\n  data p_0: real\n  data u_0: real\n",
              data);
  return TEXT(g, "model m(M, N, K, D, C) {\n%s  for %si in M {\n%s  }\n}\n", data, plate ? "h in K, " : "", body);
}
