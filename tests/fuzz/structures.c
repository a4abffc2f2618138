/* structures: random models of trees, permutations and matchings; see generate.h.
 *
 * One structure, perhaps in a plate, weights of single nodes (over all nodes, some, or one), and queries about the
 * whole and about nodes. */
#include <stdbool.h>
#include <stdio.h>

#include "generate.h"

typedef struct Gen {
  Arena *arena;
  Random r;
  const char *h;             /* index of the plate around, with its comma; "" without one */
  const char *rows, *nodes;  /* how many arrays have, and there are: a range */
  const char *ended;         /* how many nodes data say there are; NULL: all of them */
  const char *e;             /* the choice of node n: e[n] */
  bool none, trees, bijection, nasty, single, scaled, ragged;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

/* An element of an array over nodes (n), targets (t) or both (nt), now and then with the plate in front. */
static const char *at(Gen *g, const char *letter, const char *over) {
  const char *n = over[0] == 'n' ? "n" : "", *t = over[0] == 't' || over[1] == 't' ? g->e : "",
             *comma = over[1] == 't' ? ", " : "";
  return chance(g, 70) ? TEXT(g, "%s_%sh[%s%s%s%s]", letter, over, g->h, n, comma, t)
                       : TEXT(g, "%s_%s[%s%s%s]", letter, over, n, comma, t);
}

static const char *over(Gen *g) {
  static const char *const o[] = {"n", "t", "nt", "nt"};
  return o[below(g, 4)];
}

static const char *score(Gen *g) {
  switch (below(g, g->nasty ? 12 : 9)) {
  case 0: return TEXT(g, "-0.%u * abs(n - %s)", 1 + below(g, 9), g->e);
  case 1: return TEXT(g, "%s * %s", at(g, "x", "n"), at(g, "x", "t"));
  case 2: return TEXT(g, "(if %s < n then %s else 0.5)", g->e, at(g, "x", "nt"));
  case 3: return TEXT(g, "dot(q_n[n], q_t[%s])", g->e);
  case 4: return TEXT(g, "%s + %s", at(g, "x", over(g)), at(g, "v", over(g)));
  case 9: return TEXT(g, "%s + %s", at(g, "h", over(g)), at(g, "x", "nt"));
  case 10: return TEXT(g, "0.002 * %s", at(g, "b", over(g))); /* of many nodes the largest weight is not that of each */
  case 11: return TEXT(g, "%s", at(g, "h", "nt"));
  default: return at(g, "x", "nt");
  }
}

static const char *positive(Gen *g) {
  switch (below(g, 9)) {
  case 0: return TEXT(g, "%s * %s", at(g, "p", "n"), at(g, "p", "t"));
  case 1: return TEXT(g, "(1 + sq(n - %s))", g->e);
  case 2: return at(g, "z", "nt");
  case 3: return TEXT(g, "(%s + exp(%s))", at(g, "p", "nt"), score(g));
  case 4: return TEXT(g, "dot(relu(q_n[n]), exp(q_t[%s]))", g->e);
  default: return TEXT(g, "exp(%s)", score(g));
  }
}

static const char *weight(Gen *g) {
  const char *w = positive(g);
  if (g->none && chance(g, 50)) return TEXT(g, "if %s == none then %s else %s", g->e, at(g, "p", "n"), w);
  return w;
}

static const char *condition(Gen *g) {
  switch (below(g, 5)) {
  case 0: return TEXT(g, "%s != n + 1", g->e);
  case 1: return g->none ? TEXT(g, "%s != none", g->e) : TEXT(g, "%s > 0", g->e);
  case 2: return TEXT(g, "%s > 0.2", at(g, "z", "nt"));
  case 3: return TEXT(g, "not (%s == 2 and n < 2)", g->e);
  default: return TEXT(g, "%s < n + 2", g->e);
  }
}

static const char *statement(Gen *g) {
  switch (below(g, 12)) {
  case 0: return TEXT(g, "require %s", condition(g));
  case 1: return TEXT(g, "observe %s ~ normal(%s, 1 + %s)", at(g, "x", "n"), at(g, "x", "t"), at(g, "p", "n"));
  default: return TEXT(g, "potential %s", weight(g));
  }
}

static const char *prior(Gen *g) {
  switch (below(g, 3)) {
  case 0: return TEXT(g, "prior n - %s ~ geometric(0.%u)", g->e, 1 + below(g, 8));
  case 1: return TEXT(g, "prior %s ~ poisson(%s)", g->e, at(g, "p", "n"));
  default: return TEXT(g, "prior abs(n - %s) ~ geometric(u_0)", g->e);
  }
}

static const char *length(Gen *g, char size) { return TEXT(g, g->h[0] ? "t%c_K[h]" : "t%c_0", size); }
static const char *count(Gen *g) { return g->ended ? g->ended : g->rows; }

/* A statement for all nodes, some, or one: then the node is an expression. */
static const char *weights(Gen *g, const char *indent) {
  switch (below(g, 8)) {
  case 0: return TEXT(g, "%sfor n in 1..%s { %s }\n", indent, count(g), statement(g));
  case 1:
    return TEXT(g, "%sfor n in %s, c in C { potential exp(0.5 * v_c[c] * %s) }\n", indent, g->nodes, at(g, "x", "nt"));
  case 2: {
    if (!g->single) break;
    const char *back = g->e;
    g->e = TEXT(g, "e[%s%s - 1]", g->h, count(g));
    const char *text = TEXT(g, "%spotential exp(x_t[%s])\n", indent, g->e);
    if (g->none) text = TEXT(g, "%spotential if %s == none then 2 else 0.5\n", indent, g->e);
    g->e = back;
    return text;
  }
  case 3: {
    const char *back = g->e;
    g->e = TEXT(g, "e[%s%s - 1 - n]", g->h, count(g));
    const char *text = TEXT(g, "%sfor n in %s { potential %s }\n", indent, g->nodes, weight(g));
    g->e = back;
    return text;
  }
  default: break;
  }
  return TEXT(g, "%sfor n in %s { %s }\n", indent, g->nodes, statement(g));
}

static const char *value(Gen *g) {
  switch (below(g, 6)) {
  case 0: return TEXT(g, "%s * %s", at(g, "v", "n"), at(g, "v", "t"));
  case 1:
    return g->scaled ? TEXT(g, "sq(n - %s)", g->e) : TEXT(g, "(n - %s)", g->e); /* what is scaled need not sum to 1 */
  case 2: return TEXT(g, "(if %s < n then %s else %s)", g->e, at(g, "v", "t"), at(g, "v", "n"));
  case 3: return TEXT(g, "tanh(%s + %s)", at(g, "v", "t"), at(g, "v", "nt"));
  default: return at(g, "v", over(g)[1] ? "nt" : "t");
  }
}

static const char *node_output(Gen *g, bool exact) {
  switch (below(g, exact ? 12 : 7)) {
  case 0: case 1: return TEXT(g, "E[%s]", value(g));
  case 2: return TEXT(g, "E[q_t[%s]]", g->e);
  case 3: return TEXT(g, "P[%s]", condition(g));
  case 4: return g->none ? TEXT(g, "P[%s == none]", g->e) : TEXT(g, "P[%s == 1]", g->e);
  case 5: return TEXT(g, "E[sq(%s)] - sq(E[%s])", at(g, "v", "t"), at(g, "v", "t"));
  case 6: return TEXT(g, "E[%s * q_t[%s]]", value(g), g->e);
  case 7: return TEXT(g, "entropy(%s)", g->e);
  case 8: return TEXT(g, "kl(%s)", g->e);
  case 9: return TEXT(g, "count(%s)", g->e);
  case 10: return TEXT(g, "sample(%s)", g->e);
  default: return TEXT(g, "mode(%s)", g->e);
  }
}

static const char *whole_output(Gen *g, bool exact) {
  static const char *const names[] = {"entropy(e)", "kl(e)", "count(e)", "logZ"};
  switch (below(g, exact ? 6 : 2)) {
  case 0: return TEXT(g, "E[sum(n in %s) %s]", g->nodes, value(g));
  case 1: return TEXT(g, "sum(n in %s) E[%s]", g->nodes, value(g));
  default: return names[below(g, 4)];
  }
}

/* Of node n, which perhaps does not exist. */
static const char *of_node(Gen *g, const char *query) {
  return g->ended ? TEXT(g, "if n < %s then %s else 0", count(g), query) : query;
}

/* Of several nodes, which are perhaps the same, in one structure or, `i`, perhaps in another. */
static const char *joint_output(Gen *g, bool law, const char *i) {
  const char *other = TEXT(g, "e[%s0 + n // 2]", i), *third = TEXT(g, "e[%s(n + 1) %% %s]", g->h, count(g));
  if (chance(g, 30)) third = TEXT(g, "e[%s0]", g->h);
  if (g->rows[0] == 'N' && !i[0] == !g->h[0] && chance(g, 20)) third = TEXT(g, "e[%s%s]", g->h, g->e);
  switch (below(g, law ? 11 : 6)) {
  case 0: return TEXT(g, "E[v_t[%s] * v_n[n] + v_t[%s] * v_t[%s]]", g->e, other, g->e);
  case 1: return TEXT(g, "P[%s == %s or %s < n]", g->e, other, other);
  case 2: return TEXT(g, "P[%s == 1 and %s != %s]", third, g->e, other);
  case 3: return TEXT(g, "E[v_t[%s] * v_t[%s] * v_t[%s]]", g->e, third, other);
  case 4: return TEXT(g, "E[tanh(v_t[%s] - v_t[%s] * v_t[%s])]", g->e, other, third);
  case 5: return TEXT(g, "E[if %s == %s then v_t[%s] else 2]", g->e, third, other);
  case 6: return TEXT(g, "entropy(%s, %s)", g->e, other);
  case 7: return TEXT(g, "kl(%s, %s)", other, g->e);
  case 8: return TEXT(g, "count(%s, %s)", g->e, other);
  case 9: return TEXT(g, "entropy(%s, %s, e[%s0])", other, g->e, g->h);
  default: return TEXT(g, "kl(%s, e[%s0], %s)", g->e, g->h, other);
  }
}

/* Of all nodes, where they are inferred by mode or by draws. */
static const char *function_of_all(Gen *g) {
  const char *all = TEXT(g, "n in %s", g->nodes), *choice = TEXT(g, "v_t[%s]", g->e);
  switch (below(g, 4)) {
  case 0: return TEXT(g, "P[max(%s) (%s * v_n[n]) > 0.2]", all, choice);
  case 1: return TEXT(g, "E[sqrt(1 + abs(sum(%s) %s))]", all, value(g));
  case 2: return TEXT(g, "P[(sum(%s) (if %s then 1 else 0)) %% 2 == 1]", all, condition(g));
  default: return TEXT(g, "E[tanh(min(%s) %s)]", all, value(g));
  }
}

static const char *outputs(Gen *g, const char *indent, bool exact, bool joint) {
  const char *text = "";
  for (uint32_t k = 0, many = 1 + below(g, 4); k < many; k++) {
    if (joint && g->h[0] && !g->ended && chance(g, 12)) {
      const char *v = joint_output(g, exact && g->single, "g, ");
      text = TEXT(g, "%s%sout b%u[%sn in %s, g in K] = %s\n", text, indent, k, g->h, g->rows, v);
    } else if (joint && chance(g, 25)) {
      const char *v = joint_output(g, exact && !g->ended, g->h);
      if (g->rows[0] == 'N' && chance(g, 20)) v = TEXT(g, "E[v_t[e[%s%s]]]", g->h, g->e);
      if (g->rows[0] == 'N' && chance(g, 20)) v = TEXT(g, "P[e[%se[%s%s]] == 0]", g->h, g->h, g->e);
      text = TEXT(g, "%s%sout o%u[%sn in %s] = %s\n", text, indent, k, g->h, g->rows, of_node(g, v));
    } else if (chance(g, 25)) {
      const char *v = of_node(g, TEXT(g, "P[%s == j]", g->e));
      text = TEXT(g, "%s%sout p%u[%sn in %s, j in N] = %s\n", text, indent, k, g->h, g->rows, v);
    } else if (chance(g, 60)) {
      const char *q = node_output(g, exact);
      if (g->ragged && !__builtin_strncmp(q, "E[q_t", 5)) q = TEXT(g, "E[%s]", value(g));
      if (g->ragged && __builtin_strstr(q, "* q_t")) q = TEXT(g, "E[%s]", value(g));
      text = TEXT(g, "%s%sout o%u[%sn in %s] = %s\n", text, indent, k, g->h, g->rows, of_node(g, q));
    } else {
      const char *slots = g->h[0] ? "[h]" : "";
      text = TEXT(g, "%s%sout w%u%s = %s\n", text, indent, k, slots, whole_output(g, exact));
    }
  }
  return text;
}

static const char *ragged_domain(Gen *g) {
  g->ragged = true;
  g->single = false;
  bool matching = chance(g, 40), rows = !matching || chance(g, 75);
  g->rows = matching ? "M" : "N";
  if (rows) g->ended = length(g, g->rows[0]);
  g->nodes = rows ? TEXT(g, "0 .. %s", count(g)) : g->rows;
  if (matching) {
    g->none = chance(g, 50);
    const char *columns = !rows || chance(g, 70) ? length(g, 'N') : "N";
    return TEXT(g, "matching(%s, %s)%s", count(g), columns, g->none ? " or none" : "");
  }
  g->none = g->trees = chance(g, 80);
  g->bijection = !g->none;
  const char *family = g->bijection ? "permutation" : chance(g, 50) ? "projective_tree" : "tree";
  return TEXT(g, "%s(%s%s)", family, count(g), family[0] == 't' && chance(g, 40) ? ", roots = any" : "");
}

static const char *domain(Gen *g) {
  if (chance(g, 25)) return ragged_domain(g);
  g->nodes = g->rows = "N";
  switch (below(g, 7)) {
  case 0: case 1: g->none = g->trees = true; return chance(g, 50) ? "tree(N)" : "tree(N, roots = any)";
  case 2: case 3: g->none = g->trees = true; return "projective_tree(N)";
  case 4: g->bijection = true; return "permutation(N)";
  case 5: g->nodes = g->rows = "M"; return "matching(M, N)";
  default: g->nodes = g->rows = "M"; g->none = true; return "matching(M, N) or none";
  }
}

static const char *infer(Gen *g, const char *indent, bool *exact, bool *joint) {
  const char *all = TEXT(g, "%sout all_nodes%s = %s\n", indent, g->h[0] ? "[h]" : "", function_of_all(g));
  *exact = *joint = true;
  if (g->bijection && !g->ragged && chance(g, 20)) {
    *exact = *joint = false;
    g->scaled = true;
    if (chance(g, 40)) return TEXT(g, "%sinfer e by bethe(steps = %u)\n", indent, below(g, 6));
    return TEXT(g, "%sinfer e by sinkhorn(steps = %u, tau = %s)\n", indent, below(g, 6), chance(g, 50) ? "1" : "0.7");
  }
  if (chance(g, 12)) return TEXT(g, "%sinfer e by mode\n%s", indent, all);
  if (chance(g, 5)) return TEXT(g, "%sinfer e by sample(n = 3, seed = 2)\n%s", indent, all);
  return "";
}

const char *generate_structures(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 123}, .h = "", .e = "e[n]"}, *g = &gen;
  bool plate = chance(g, 50), exact, joint;
  g->nasty = chance(g, 20);
  g->single = chance(g, 60);
  const char *K = plate ? "K, " : "", *indent = plate ? "    " : "  ", *body, *data = "";
  if (plate) g->h = "h, ", g->e = "e[h, n]";
  const char *edge = domain(g);
  body = TEXT(g, "%sedge e in %s\n", indent, edge);
  body = TEXT(g, "%s%s", body, infer(g, indent, &exact, &joint));
  if (chance(g, 20)) body = TEXT(g, "%s%sfor n in %s { %s }\n", body, indent, g->nodes, prior(g));
  for (uint32_t k = 0, many = 1 + below(g, 3); k < many; k++) body = TEXT(g, "%s%s", body, weights(g, indent));
  if (g->ragged) body = TEXT(g, "%s%sfor n in %s { potential exp(x_nt[n, %s]) }\n", body, indent, g->nodes, g->e);
  body = TEXT(g, "%s%s", body, outputs(g, indent, exact, joint));
  if (plate) body = TEXT(g, "  for h in K {\n%s  }\n", body);
  if (plate && exact && chance(g, 30)) body = TEXT(g, "%s  out all = logZ\n", body);
  if (plate && exact && chance(g, 30))
    body = TEXT(g, "%s  out some = sum(h in K, n in %s) E[%s]\n", body, g->nodes, value(g));
  if (plate && exact && chance(g, 20)) body = TEXT(g, "%s  out every = entropy(e) + kl(e) + count(e)\n", body);
  static const char letters[] = "xvpzhb";
  for (const char *l = letters; *l; l++)
    data = TEXT(g, "%s  data %c_n: [%s], %c_t: [N], %c_nt: [%s, N], %c_nh: [%s%s], %c_th: [%sN], %c_nth: [%s%s, N]\n",
                data, *l, g->rows, *l, *l, g->rows, *l, K, g->rows, *l, K, *l, K, g->rows);
  data = TEXT(g, "%s  data q_n: [%s, D], q_t: [N, D], v_c: [C], u_0: real\n", data, g->rows);
  if (g->ragged) data = TEXT(g, "%s  data %s\n", data, plate ? "tM_K: int[K], tN_K: int[K]" : "tM_0: int, tN_0: int");
  if (g->single) data = TEXT(g, "%s  require %s > 0\n", data, g->rows);
  return TEXT(g, "model m(M, N, K, D, C) {\n%s%s}\n", data, body);
}
