/* chains: random models whose copies are joined along a plate; see generate.h.
 *
 * Steps t, perhaps a plate of chains around or inside them, one or two edges a step with all that supports and priors
 * may be, weights between neighbours at one or two distances, counts of what happens along the steps, or along the
 * neighbours of a node in a graph, and questions about one copy, neighbouring copies and whole chains. */
#include <stdbool.h>
#include <stdio.h>

#include "base/vec.h"
#include "generate.h"

typedef struct Made { const char *name; char size; bool bit, none; } Made;

typedef struct Gen {
  Arena *arena;
  Random r;
  bool plate, inner; /* chains b in M, outside or inside the steps */
  Made edges[2];
  uint32_t n;
  bool two_back; /* distances 1 and 2 */
  bool ragged, begun; /* data end the steps, and begin them, */
  bool row;           /* each chain's where those of the one before end */
  bool list;          /* the steps are the neighbours of a node */
  bool nasty;
  uint32_t outs;
  const char *data;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

static const char *copy(Gen *g, const Made *e, const char *step) {
  if (!g->plate) return TEXT(g, "%s[%s]", e->name, step);
  return g->inner ? TEXT(g, "%s[%s, b]", e->name, step) : TEXT(g, "%s[b, %s]", e->name, step);
}

/* Where the steps end, and begin. */
static const char *last(Gen *g) {
  if (g->row) return "min(N, (b + 1) * tN_0)";
  return !g->ragged ? "N" : g->plate && !g->inner ? "tN_M[b]" : "tN_0";
}
static const char *begin(Gen *g) {
  if (g->row) return "min(N, b * tN_0)";
  return !g->begun ? "0" : g->plate && !g->inner ? "tN_B[b]" : "tN_00";
}
/* From the one of this number on. */
static const char *from(Gen *g, int k) {
  if (!g->begun) return TEXT(g, "%d", k);
  return k ? TEXT(g, "%s + %d", begin(g), k) : begin(g);
}
static const char *all_steps(Gen *g) {
  if (g->list) return "adj[b]";
  return g->ragged ? TEXT(g, "%s..%s", from(g, 0), last(g)) : "N";
}

static const Made *some_edge(Gen *g) { return &g->edges[below(g, g->n)]; }

/* A real of one value: by the step, the chain or neither. */
static const char *of_one(Gen *g, const Made *e, const char *at, const char *step) {
  char letter = g->nasty && chance(g, 15) ? "nbh"[below(g, 3)] : 'x';
  switch (below(g, 3)) {
  case 0: return TEXT(g, "%c_n%c[%s, %s]", letter, e->size, step, at);
  case 1: if (g->plate) return TEXT(g, "%c_m%c[b, %s]", letter, e->size, at); /* fallthrough */
  default: return TEXT(g, "%c_%c[%s]", letter, e->size, at);
  }
}

static const char *of_two(Gen *g, const Made *e, const char *at, const Made *f, const char *before) {
  return TEXT(g, "%c_%c%c[%s, %s]", g->nasty && chance(g, 10) ? 'h' : 'v', f->size, e->size, before, at);
}

static const char *relation(Gen *g, const char *a, const char *b) {
  switch (below(g, 6)) {
  case 0: return TEXT(g, "%s <= %s", a, b);
  case 1: return TEXT(g, "%s != %s", a, b);
  case 2: return TEXT(g, "abs(%s - %s) <= 1", a, b);
  case 3: return TEXT(g, "not (%s == %s) or z_0 > 0", a, b);
  case 4: return TEXT(g, "%s + %s < K", a, b);
  default: return TEXT(g, "%s >= %s", a, b);
  }
}

/* ---- statements in the steps ----------------------------------------------------------------------------- */

static const char *edge(Gen *g, Made *e, uint32_t n) {
  static const char *const names[] = {"c", "m"};
  *e = (Made){names[n], "LK2"[below(g, 3)], false, chance(g, 15)};
  e->bit = e->size == '2';
  if (e->bit) e->none = false;
  const char *domain = e->bit ? "bit" : chance(g, 15) ? TEXT(g, "1..%c", e->size) : TEXT(g, "%c", e->size);
  const char *where = "";
  if (chance(g, 20))
    where = chance(g, 50) ? TEXT(g, " where (%s + t) %% 3 != 1", e->name)
                          : TEXT(g, " where z_n%c[t, %s] > 0", e->size, e->name);
  if (n && !g->edges[0].none && chance(g, 20)) where = TEXT(g, " where %s != %s", e->name, g->edges[0].name);
  return TEXT(g, "edge %s in %s%s%s\n", e->name, domain, e->none ? " or none" : "", where);
}

static const char *own_prior(Gen *g, const Made *e) {
  if (e->bit && chance(g, 40)) return TEXT(g, "prior %s ~ bernoulli(u_n[t])\n", e->name);
  if (chance(g, 40)) return TEXT(g, "prior %s ~ weights(p_%c[%s])\n", e->name, e->size, e->name);
  if (chance(g, 30)) return TEXT(g, "prior %s ~ geometric(u_0)\n", e->name);
  return TEXT(g, "prior %s ~ logits(%s)\n", e->name, of_one(g, e, e->name, "t"));
}

/* A sum of terms for each value of an edge, or of two. */
static const char *emission(Gen *g, const Made *e) {
  char letter = g->nasty && chance(g, 15) ? "nb"[below(g, 2)] : 'x';
  if (g->n == 2 && chance(g, 40))
    return TEXT(g, "potential exp(sum(q in K) x_nK[t, q] * (%c_K%c[q, c] - v_K%c[q, m]))\n", letter, g->edges[0].size,
                g->edges[1].size);
  switch (below(g, 3)) {
  case 0: return TEXT(g, "potential exp(-sum(q in K) sq(x_nK[t, q] - %c_K%c[q, %s]))\n", letter, e->size, e->name);
  case 1: return TEXT(g, "potential sum(q in K) sq(x_nK[t, q] * %c_K%c[q, %s])\n", letter, e->size, e->name);
  default: return TEXT(g, "potential exp(sum(q in K) x_nK[t, q] * %c_K%c[q, %s])\n", letter, e->size, e->name);
  }
}

static const char *own_weight(Gen *g) {
  const Made *e = some_edge(g);
  if (chance(g, 25)) return emission(g, e);
  if (g->n == 2 && chance(g, 40)) {
    const char *w = of_two(g, &g->edges[0], "c", &g->edges[1], "m");
    return TEXT(g, "potential exp(%s)\n", w);
  }
  if (!g->list && chance(g, 10)) { /* neighbours where there are some */
    const char *w = of_two(g, e, e->name, e, copy(g, e, "t - 1"));
    return TEXT(g, "potential if t > %s then exp(%s) else p_%c[%s]\n", begin(g), w, e->size, e->name);
  }
  if (chance(g, 15)) return TEXT(g, "observe v_n[t] ~ normal(x_%c[%s], 1)\n", e->size, e->name);
  return TEXT(g, "potential exp(%s)\n", of_one(g, e, e->name, "t"));
}

/* ---- statements between steps ------------------------------------------------------------------------------ */

static const char *joint(Gen *g, const char *now, const char *then) {
  const Made *e = some_edge(g), *f = chance(g, 70) ? e : some_edge(g);
  const char *a = copy(g, e, now), *b = copy(g, f, then);
  if (chance(g, 25)) return TEXT(g, "require %s\n", relation(g, a, b));
  if (chance(g, 15)) return TEXT(g, "potential if %s == %s then p_0 else p_%c[%s]\n", a, b, e->size, a);
  return TEXT(g, "potential exp(%s)\n", of_two(g, e, a, f, b));
}

static const char *transition(Gen *g, const Made *e) {
  const char *a = copy(g, e, "t"), *b = copy(g, e, "t - 1");
  if (!e->bit && !e->none && chance(g, 25)) return TEXT(g, "prior %s - %s ~ geometric(u_0)\n", a, b);
  return TEXT(g, "prior %s ~ logits(%s)\n", a, of_two(g, e, a, e, b));
}

static const char *count(Gen *g) {
  const Made *e = some_edge(g);
  const char *part = g->ragged ? TEXT(g, "%s..%s", from(g, 1), last(g)) : chance(g, 50) ? "1..N" : "0..tN_0";
  const char *range = g->list || chance(g, 80) ? all_steps(g) : part, *a = copy(g, e, "s"), *body = a;
  if (!e->bit || chance(g, 20))
    body = TEXT(g, "(if %s then 1 else 0)", chance(g, 50) ? TEXT(g, "%s == 0", a) : TEXT(g, "%s > s", a));
  const char *sum = TEXT(g, "sum(s in %s) %s", range, body), *limit = chance(g, 50)   ? "K"
                                                                      : chance(g, 50) ? "2"
                                                                      : g->plate      ? "tN_M[b]"
                                                                                      : "tN_0";
  switch (below(g, 8)) {
  case 0: return TEXT(g, "potential exp(-sq((%s) - 1))\n", sum);
  case 1: return TEXT(g, "require %s >= (%s)\n", limit, sum);
  case 2: return TEXT(g, "require (%s) >= %s\n", sum, limit);
  case 3: return TEXT(g, "require (%s) > 0 and (%s) < %s\n", sum, sum, limit);
  case 4: return TEXT(g, "require (%s) %% 2 == 0\n", sum);
  case 5: return TEXT(g, "require (%s) <= %s\n", sum, limit);
  default: return TEXT(g, "require (%s) == %s\n", sum, limit);
  }
}

/* ---- outputs --------------------------------------------------------------------------------------------------- */

static const char *target(Gen *g, bool step) {
  const char *b = g->plate ? "b" : "", *both = g->inner ? "t, b" : "b, t";
  return TEXT(g, "out o%u%s", g->outs++,
              step       ? (g->plate ? TEXT(g, "[%s]", both) : "[t]")
              : g->plate ? TEXT(g, "[%s]", b)
                         : "");
}

static const char *single(Gen *g) {
  const Made *e = some_edge(g);
  const char *o = target(g, true), *all = g->n == 2 && chance(g, 50) ? "c, m" : e->name;
  switch (below(g, 9)) {
  case 0: return TEXT(g, "%s = P[%s == %u]\n", o, e->name, below(g, 3));
  case 1: return TEXT(g, "%s = mode(%s)\n", o, e->name);
  case 2: return TEXT(g, "%s = entropy(%s)\n", o, all);
  case 3: return TEXT(g, "%s = kl(%s)\n", o, all);
  case 4: return TEXT(g, "%s = count(%s)\n", o, e->name);
  case 5: return TEXT(g, "%s = sample(%s)\n", o, e->name);
  case 6:
    if (g->n == 2)
      return TEXT(g, "%s = E[v_%c%c[m, c] + 1]\n", o, g->edges[1].size, g->edges[0].size); /* fallthrough */
  default: return TEXT(g, "%s = E[v_%cC[%s]]\n", o, e->size, e->name);
  }
}

static const char *pair(Gen *g, const char *now, const char *then) {
  const Made *e = some_edge(g), *f = g->n == 2 ? some_edge(g) : e;
  const char *a = copy(g, e, now), *b = copy(g, f, then), *o = target(g, true);
  const char *third = copy(g, e, chance(g, 50) ? begin(g) : "t - 1"); /* now and then one of the two */
  const char *last_one = copy(g, f, TEXT(g, "%s - 1", last(g)));
  switch (below(g, 9)) {
  case 7: return TEXT(g, "%s = kl(%s, %s, %s)\n", o, last_one, chance(g, 50) ? b : third, a);
  case 8: return TEXT(g, "%s = P[%s == %s and %s]\n", o, a, third, relation(g, last_one, b));
  case 0: return TEXT(g, "%s = P[%s]\n", o, relation(g, a, b));
  case 1: return TEXT(g, "%s = entropy(%s, %s)\n", o, a, b);
  case 5: return TEXT(g, "%s = E[%s * x_%c[%s]]\n", o, of_two(g, e, a, f, b), e->size, third);
  case 6: return TEXT(g, "%s = entropy(%s, %s, %s)\n", o, b, third, a);
  case 2: return TEXT(g, "%s = kl(%s, %s)\n", o, b, a);
  case 3: return TEXT(g, "%s = E[x_%c[%s] + x_%c[%s]]\n", o, e->size, a, f->size, b);
  default: return TEXT(g, "%s = E[%s * x_%c[%s]]\n", o, of_two(g, e, a, f, b), e->size, a);
  }
}

/* Of how many copies of a chain. */
static const char *counted(Gen *g, const char *o, const Made *e) {
  const char *a = copy(g, e, "s"), *body = a;
  if (!e->bit || chance(g, 50)) body = TEXT(g, "(if %s == %u then 1 else 0)", a, below(g, 2));
  const char *sum = TEXT(g, "sum(s in %s) %s", all_steps(g), body);
  switch (below(g, 4)) {
  case 0: return TEXT(g, "%s = P[(%s) >= 2]\n", o, sum);
  case 1: return TEXT(g, "%s = P[(%s) == tN_0]\n", o, sum);
  case 2: return TEXT(g, "%s = E[if (%s) > 0 then z_0 else 1]\n", o, sum);
  default: return TEXT(g, "%s = sum(q in K) P[(%s) == q]\n", o, sum);
  }
}

static const char *whole(Gen *g) {
  const char *o = target(g, false), *all = g->n == 2 ? "c, m" : "c";
  if (g->inner) all = g->n == 2 ? "c, m" : "c";
  const Made *e = some_edge(g);
  if (chance(g, 20)) return counted(g, o, e);
  switch (below(g, 6)) {
  case 0:
    return TEXT(g, "%s = %s\n", o, g->inner ? TEXT(g, "E[sum(s in %s) x_%c[%s]]", all_steps(g), e->size, copy(g, e, "s")) : "logZ");
  case 1: if (!g->inner) return TEXT(g, "%s = entropy(%s)\n", o, all); /* fallthrough */
  case 2: if (!g->inner) return TEXT(g, "%s = kl(%s)\n", o, all);      /* fallthrough */
  case 3: if (!g->inner) return TEXT(g, "%s = count(%s)\n", o, all);   /* fallthrough */
  default: return TEXT(g, "%s = E[sum(s in %s) x_n[s] * x_%c[%s]]\n", o, all_steps(g), e->size, copy(g, e, "s"));
  }
}

/* Of copies that perhaps exist. */
static const char *where_there(Gen *g) {
  const Made *e = some_edge(g);
  const char *a = copy(g, e, "t"), *query;
  switch (below(g, 4)) {
  case 0: query = TEXT(g, "P[%s == %u]", a, below(g, 3)); break;
  case 1: query = TEXT(g, "mode(%s)", a); break;
  case 2: query = TEXT(g, "entropy(%s)", a); break;
  default: query = TEXT(g, "E[x_%c[%s] * x_n[t]]", e->size, a); break;
  }
  const char *o = g->inner ? TEXT(g, "out o%u[t in N, b in M]", g->outs++)
                           : TEXT(g, g->plate ? "out o%u[b in M, t in N]" : "out o%u[t in N]", g->outs++);
  return TEXT(g, "%s = if t >= %s and t < %s then %s else 0\n", o, begin(g), last(g), query);
}

/* Of copies of two chains, now and then of one. */
static const char *two_chains(Gen *g) {
  const Made *e = some_edge(g), *f = some_edge(g);
  const char *step = chance(g, 50) ? "t" : "N - 1 - t", *query;
  const char *a = copy(g, e, "t"), *other = TEXT(g, g->inner ? "%s, h" : "h, %s", step);
  const char *b = TEXT(g, "%s[%s]", f->name, other);
  switch (below(g, 4)) {
  case 0: query = TEXT(g, "P[%s]", relation(g, a, b)); break;
  case 1: query = TEXT(g, "entropy(%s, %s)", a, b); break;
  case 2: query = TEXT(g, "kl(%s, %s)", a, b); break;
  default: query = TEXT(g, "E[%s * x_%c[%s]]", of_two(g, e, a, f, b), e->size, a); break;
  }
  return TEXT(g, "out o%u[b in M, h in M, t in N] = %s\n", g->outs++, query);
}

static const char *outside(Gen *g) {
  static const char *const queries[] = {"logZ", "entropy", "kl", "count"};
  uint32_t q = below(g, 4);
  return TEXT(g, "out o%u = %s%s\n", g->outs++, queries[q], q ? g->n == 2 ? "(c, m)" : "(c)" : "");
}

/* Of all copies of a chain, where they are inferred by mode or by draws. */
static const char *function_of_all(Gen *g) {
  const Made *e = some_edge(g);
  const char *o = target(g, false), *a = copy(g, e, "s"), *x = TEXT(g, "x_%c[%s]", e->size, a);
  const char *all = TEXT(g, "s in %s", all_steps(g));
  switch (below(g, 5)) {
  case 0: return TEXT(g, "%s = P[max(%s) (%s * x_n[s]) > z_0]\n", o, all, x);
  case 1: return TEXT(g, "%s = E[sqrt(1 + abs(sum(%s) %s * x_n[s]))]\n", o, all, x);
  case 2: return TEXT(g, "%s = P[(sum(%s) (if %s == s %% 2 then 1 else 0)) %% 2 == 1]\n", o, all, a);
  case 3: return TEXT(g, "%s = E[tanh(min(%s) (if %s > 0 then %s else 1))]\n", o, all, x, x);
  default: return TEXT(g, "%s = P[sum(%s) (if %s <= 1 then 1 else 0) >= 2]\n", o, all, a);
  }
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static const char *in_steps(Gen *g, const char *range, const char *body) {
  if (!g->plate) return TEXT(g, "for t in %s {\n%s}\n", range, body);
  return g->inner ? TEXT(g, "for t in %s, b in M {\n%s}\n", range, body)
                  : TEXT(g, "for b in M, t in %s {\n%s}\n", range, body);
}

static const char *first_step(Gen *g) {
  g->n = chance(g, 35) ? 2 : 1;
  const char *body = "";
  for (uint32_t k = 0; k < g->n; k++) body = TEXT(g, "%s%s", body, edge(g, &g->edges[k], k));
  return body;
}

/* Either every copy has the same line, or the first has one of its own and others depend on the one before. */
static const char *priors(Gen *g, const char **body) {
  const char *later = "";
  for (uint32_t k = 0; k < g->n; k++) {
    const Made *e = &g->edges[k];
    if (chance(g, 35)) *body = TEXT(g, "%s%s", *body, own_prior(g, e));
    else if (g->ragged) later = TEXT(g, "%s%s", later, in_steps(g, TEXT(g, "%s..%s", from(g, 1), last(g)), transition(g, e)));
    else if (!g->list && chance(g, 50)) {
      const char *first = TEXT(g, "prior %s ~ logits(x_%c[%s])\n", copy(g, e, "0"), e->size, copy(g, e, "0"));
      if (g->plate) first = TEXT(g, "for b in M {\n%s}\n", first);
      later = TEXT(g, "%s%s%s", later, chance(g, 60) ? TEXT(g, "require N > 0\n%s", first) : "",
                   in_steps(g, "1..N", transition(g, e)));
    }
  }
  return later;
}

static const char *steps(Gen *g) {
  const char *body = first_step(g), *later = priors(g, &body);
  for (uint32_t n = 1 + below(g, 2); n; n--) body = TEXT(g, "%s%s", body, own_weight(g));
  if (g->ragged) body = TEXT(g, "%spotential exp(x_n%c[t, c])\n", body, g->edges[0].size);
  for (uint32_t n = 1 + below(g, 3); n && !g->ragged && !g->list; n--) body = TEXT(g, "%s%s", body, single(g));
  return TEXT(g, "%s%s", in_steps(g, all_steps(g), body), later);
}

static const char *between(Gen *g) {
  const char *text = "";
  for (uint32_t n = 1 + chance(g, 30); n; n--) {
    bool ahead = chance(g, 20), two = g->two_back && chance(g, 50);
    const char *now = ahead ? two ? "t + 2" : "t + 1" : "t", *then = ahead ? "t" : two ? "t - 2" : "t - 1";
    bool part = !ahead && !two && !g->ragged && chance(g, 15);
    const char *range = ahead ? TEXT(g, "%s..%s - %d", from(g, 0), last(g), two ? 2 : 1)
                        : part ? "1..max(1, tN_0)"
                               : TEXT(g, "%s..%s", from(g, two ? 2 : 1), last(g));
    const char *body = joint(g, now, then);
    if (!part && !g->ragged && chance(g, 60) && !ahead) body = TEXT(g, "%s%s", body, pair(g, now, then));
    text = TEXT(g, "%s%s", text, in_steps(g, range, body));
  }
  return text;
}

static const char *declarations(Gen *g, const char *body) {
  const char *text = declare_reals(g->arena, body);
  if (g->list) text = TEXT(g, "%s  data adj: graph[M, N]\n", text);
  return TEXT(g, "%s  data tN_0: int, tN_M: int[M], tN_00: int, tN_B: int[M]\n", text);
}

const char *generate_chains(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 123}}, *g = &gen;
  g->plate = chance(g, 50);
  g->inner = g->plate && chance(g, 25);
  g->two_back = chance(g, 20);
  g->nasty = chance(g, 20);
  g->ragged = chance(g, 30);
  g->begun = g->ragged && chance(g, 50);
  g->row = g->begun && g->plate && !g->inner && chance(g, 50);
  g->list = chance(g, 8);
  if (g->list) g->plate = true, g->inner = g->ragged = g->begun = g->row = false;
  const char *body = steps(g);
  bool counted = g->list || chance(g, 40);
  if (!counted || (!g->list && chance(g, 40))) body = TEXT(g, "%s%s", body, between(g));
  if (counted) {
    const char *statement = count(g);
    body = TEXT(g, "%s%s", body, g->plate ? TEXT(g, "for b in M {\n%s}\n", statement) : statement);
  }
  for (uint32_t n = 1 + below(g, 3); n && g->ragged; n--) body = TEXT(g, "%s%s", body, where_there(g));
  if (chance(g, 70)) {
    const char *o = whole(g);
    body = TEXT(g, "%s%s", body, g->plate ? TEXT(g, "for b in M {\n%s}\n", o) : o);
  }
  for (uint32_t n = below(g, 3); n; n--) body = TEXT(g, "%s%s", body, outside(g));
  if (g->plate && !g->ragged && !g->list && chance(g, 25)) body = TEXT(g, "%s%s", body, two_chains(g));
  if (chance(g, 8)) {
    body = TEXT(g, "%sinfer %s by %s\n", body, g->n == 2 ? "c, m" : "c", chance(g, 60) ? "mode" : "sample(n = 3)");
    const char *o = function_of_all(g);
    body = TEXT(g, "%s%s", body, g->plate ? TEXT(g, "for b in M {\n%s}\n", o) : o);
  }
  return TEXT(g, "model m(M, N, K, L, C) {\n%s%s}\n", declarations(g, body), body);
}
