/* counts: random models asked how many of their copies have a property, beside values of single copies; see generate.h.
 *
 * Copies j, which nothing joins, or a limit on how many, or a chain; bits or labels, one or two edges a copy, some of which
 * may have no value; perhaps rows i of them, outside or inside, as many as data say, or the neighbours of a node.  What is
 * asked is a function of one or two counts and of up to two copies, or a condition on both. */
#include <stdbool.h>

#include "base/vec.h"
#include "generate.h"

typedef struct Made { const char *name; char size; bool bit, none; } Made;

typedef struct Gen {
  Arena *arena;
  Random r;
  bool rows, inner;  /* rows i in M, outside or inside the copies */
  bool ragged, list; /* data end each row; the copies are the neighbours of a node */
  bool chain, nasty;
  Made edges[2];
  uint32_t n, outs;
  const char *row, *at; /* of the copies that a query is about */
  bool other;           /* the query has an index of its own, l in L */
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }
static const Made *some_edge(Gen *g) { return &g->edges[below(g, g->n)]; }

static const char *copy(Gen *g, const Made *e, const char *at) {
  if (!g->rows) return TEXT(g, "%s[%s]", e->name, at);
  return g->inner ? TEXT(g, "%s[%s, %s]", e->name, at, g->row) : TEXT(g, "%s[%s, %s]", e->name, g->row, at);
}

static const char *all_copies(Gen *g, const char *row) {
  if (g->list) return TEXT(g, "adj[%s]", row);
  return !g->ragged ? "N" : g->rows ? TEXT(g, "0..tN_M[%s]", row) : "0..tN_0";
}

/* ---- the copies ------------------------------------------------------------------------------------------------- */

static const char *edge(Gen *g, uint32_t n) {
  static const char *const names[] = {"a", "c"};
  Made *e = &g->edges[n];
  *e = (Made){names[n], "2L2K"[below(g, 4)], false, false};
  e->bit = e->size == '2';
  e->none = !e->bit && chance(g, 20);
  const char *where = "";
  if (chance(g, 15)) where = TEXT(g, " where x_n%c[j, %s] > -0.5", e->size, e->name);
  if (chance(g, 5)) where = TEXT(g, " where %s != j", e->name);
  const char *domain = e->bit ? "bit" : chance(g, 10) ? TEXT(g, "1..%c", e->size) : TEXT(g, "%c", e->size);
  return TEXT(g, "edge %s in %s%s%s\n", e->name, domain, e->none ? " or none" : "", where);
}

static const char *weight(Gen *g, const Made *e) {
  char letter = g->nasty ? "bhxx"[below(g, 4)] : 'x';
  switch (below(g, 6)) {
  case 0: return TEXT(g, "potential if z_n[j] == 1 then exp(%c_n%c[j, %s]) else 0\n", letter, e->size, e->name);
  case 1: if (g->rows) return TEXT(g, "potential exp(%c_m%c[i, %s])\n", letter, e->size, e->name); /* fallthrough */
  case 2: if (e->bit) return TEXT(g, "potential exp(%s * x_n[j])\n", e->name);                     /* fallthrough */
  case 3: if (g->n == 2) return TEXT(g, "potential exp(x_%c%c[a, c])\n", g->edges[0].size, g->edges[1].size); /* fallthrough */
  default: return TEXT(g, "potential exp(%c_n%c[j, %s])\n", letter, e->size, e->name);
  }
}

static const char *copies(Gen *g) {
  const char *body = "";
  g->n = 1 + chance(g, 30);
  for (uint32_t k = 0; k < g->n; k++) body = TEXT(g, "%s%s", body, edge(g, k));
  for (uint32_t k = 0; k < g->n; k++) {
    const Made *e = &g->edges[k];
    if (chance(g, 30))
      body = TEXT(g, e->bit ? "%sprior %s ~ bernoulli(u_n[j])\n" : "%sprior %s ~ logits(x_%c[%s])\n", body, e->name, e->size,
                  e->name);
  }
  for (uint32_t k = chance(g, 80) + chance(g, 30); k; k--) body = TEXT(g, "%s%s", body, weight(g, some_edge(g)));
  const char *all = all_copies(g, "i");
  if (!g->rows) return TEXT(g, "for j in %s {\n%s}\n", all, body);
  return g->inner ? TEXT(g, "for j in %s, i in M {\n%s}\n", all, body) : TEXT(g, "for i in M, j in %s {\n%s}\n", all, body);
}

static const char *in_rows(Gen *g, const char *text) { return g->rows ? TEXT(g, "for i in M {\n%s}\n", text) : text; }

/* What joins copies: neighbours, or a limit. */
static const char *joined(Gen *g) {
  const Made *e = some_edge(g), *f = some_edge(g);
  const char *text = "", *all = all_copies(g, "i"), *q = copy(g, e, "q");
  if (g->chain) {
    const char *range = g->ragged ? TEXT(g, "1..%s", g->rows ? "tN_M[i]" : "tN_0") : "1..N";
    text = TEXT(g, "for j in %s { potential exp(x_%c%c[%s, %s]) }\n", range, f->size, e->size, copy(g, f, "j - 1"),
                copy(g, e, "j"));
  }
  if (!g->chain || chance(g, 20)) {
    const char *one = e->bit ? q : TEXT(g, "(if %s == 0 then 1 else 0)", q);
    const char *ops[] = {"<=", "==", ">=", "<="};
    text = TEXT(g, "%srequire sum(q in %s) %s %s %s\n", text, all, one, ops[below(g, 4)], chance(g, 50) ? "K" : "tN_0");
  }
  return in_rows(g, text);
}

/* ---- counts ------------------------------------------------------------------------------------------------------- */

static const char *one_or_none(Gen *g) {
  const Made *e = some_edge(g);
  const char *q = copy(g, e, "q");
  if (g->n == 2 && chance(g, 20))
    return TEXT(g, "(if %s == %s then 1 else 0)", copy(g, &g->edges[0], "q"), copy(g, &g->edges[1], "q"));
  if (g->other && chance(g, 40)) return TEXT(g, "(if %s == l then 1 else 0)", q);
  switch (below(g, e->bit ? 6 : 4)) {
  case 0: return TEXT(g, "(if %s == %u then 1 else 0)", q, below(g, 3));
  case 1: return e->none ? TEXT(g, "(if %s == none then 1 else 0)", q) : TEXT(g, "(if %s > 0 and x_n[q] > 0 then 1 else 0)", q);
  case 2: return e->none ? TEXT(g, "(if %s != none then 1 else 0)", q) : q;
  case 3: return TEXT(g, "(if %s != q %% 2 then 1 else 0)", q);
  default: return q;
  }
}

static const char *sum(Gen *g) {
  const char *all = all_copies(g, g->row), *range = all;
  if (!g->ragged && !g->list && chance(g, 12)) {
    const char *some[] = {TEXT(g, "0..%s + 1", g->at), TEXT(g, "%s..N", g->at), "1..N"};
    range = some[below(g, 3)];
  }
  if (g->chain && !g->ragged && chance(g, 15)) {
    const Made *e = some_edge(g);
    return TEXT(g, "(sum(q in 1..N) (if %s == %s then 1 else 0))", copy(g, e, "q"), copy(g, e, "q - 1"));
  }
  return TEXT(g, "(sum(q in %s) %s)", range, one_or_none(g));
}

/* A whole number of counts. */
static const char *whole(Gen *g, const char *s) {
  switch (below(g, 12)) {
  case 0: return TEXT(g, "(2 * %s - 1)", s);
  case 1: return TEXT(g, "(%s // 2)", s);
  case 2: return TEXT(g, "(%s %% 2)", s);
  case 3: return TEXT(g, "min(%s, 2)", s);
  case 4: return TEXT(g, "max(%s, K)", s);
  case 5: return TEXT(g, "abs(%s - 2)", s);
  case 6: return TEXT(g, "(%s + %s)", s, sum(g));
  case 7: return TEXT(g, "(K - %s)", s);
  default: return s;
  }
}

static const char *number(Gen *g, const char *s) {
  const char *n = whole(g, s);
  switch (below(g, 13)) {
  case 10: return TEXT(g, "exp(%s * x_0)", n);
  case 11: return TEXT(g, "(1.5 + x_0 * x_0) ^ %s", n);
  case 12: return TEXT(g, "%s * (x_0 + %s)", n, sum(g));
  case 0: return TEXT(g, "log(1 + %s)", s);
  case 1: return TEXT(g, "sqrt(%s)", s);
  case 2: return TEXT(g, "exp(-%s)", n);
  case 3: return TEXT(g, "tanh(%s - 1)", n);
  case 4: return TEXT(g, "1 / (%s - 0.5)", n);
  case 5: return TEXT(g, "sq(%s - 1.5)", n);
  case 6: return n;
  default: return TEXT(g, "1 / (1 + %s)", s);
  }
}

static const char *event(Gen *g, const char *s) {
  const char *n = whole(g, s);
  switch (below(g, 8)) {
  case 0: return TEXT(g, "%s >= %u", n, below(g, 4));
  case 1: return TEXT(g, "%s == %s", n, g->other ? "l" : "tN_0");
  case 2: return TEXT(g, "%s < %s", n, sum(g));
  case 3: return TEXT(g, "%s %% 2 == 1", s);
  case 4: return TEXT(g, "not (%s == %u)", n, below(g, 3));
  case 5: return TEXT(g, "%s > 0 and %s <= K", s, s);
  default: return TEXT(g, "%s == %u", n, below(g, 4));
  }
}

/* ---- single copies ------------------------------------------------------------------------------------------------- */

static const char *some_copy(Gen *g, const Made *e) {
  return copy(g, e, !g->ragged && !g->list && chance(g, 20) ? "0" : g->at);
}

static const char *fact(Gen *g) {
  const Made *e = some_edge(g), *f = some_edge(g);
  const char *t = some_copy(g, e);
  switch (below(g, 7)) {
  case 0: return TEXT(g, "%s == %s", t, copy(g, f, !g->ragged && !g->list ? "N - 1" : g->at));
  case 1: return g->other ? TEXT(g, "%s == l", t) : TEXT(g, "%s != 1", t);
  case 2: return e->none ? TEXT(g, "%s == none", t) : TEXT(g, "x_%c[%s] > 0", e->size, t);
  default: return TEXT(g, "%s == %u", t, below(g, 3));
  }
}

static const char *value(Gen *g) {
  const Made *e = some_edge(g);
  const char *t = some_copy(g, e);
  switch (below(g, 9)) {
  case 7: return TEXT(g, "x_n%c[%s, %s]", e->size, g->at, t);
  case 8: return TEXT(g, "(x_%c[%s] - x_%c[%s])", e->size, t, e->size, some_copy(g, e));
  case 0: return t;
  case 1: return TEXT(g, "x_%c[%s] * x_n[%s]", e->size, t, g->at);
  case 2: return TEXT(g, "%s * x_n[%s]", t, g->at);
  case 3: return TEXT(g, "(if %s then x_0 else 1)", fact(g));
  case 4: return TEXT(g, "x_%c[%s] * x_%c[%s]", e->size, t, e->size, some_copy(g, e));
  default: return TEXT(g, "x_%c[%s]", e->size, t);
  }
}

/* ---- queries ------------------------------------------------------------------------------------------------------- */

static const char *query(Gen *g) {
  const char *s = sum(g);
  switch (below(g, 26)) {
  case 18: return TEXT(g, "E[if %s then log(%s) else %s]", fact(g), s, value(g));
  case 19: return TEXT(g, "E[1 / %s]", s);
  case 20: return TEXT(g, "E[%s / (1.5 + %s)]", number(g, s), value(g));
  case 21: return TEXT(g, "E[if %s then %s else %s]", event(g, s), number(g, sum(g)), value(g));
  case 22: return TEXT(g, "E[min(%s, %s) * %s]", number(g, s), sum(g), value(g));
  case 23: return TEXT(g, "E[sq(%s - %s)]", value(g), number(g, s));
  case 24: return TEXT(g, "P[%s > %s]", value(g), number(g, s));
  case 25: return TEXT(g, "P[%s and (%s or %s) and %s]", fact(g), event(g, s), fact(g), event(g, sum(g)));
  case 0:
  case 1:
  case 2: return TEXT(g, "P[%s and %s]", fact(g), event(g, s));
  case 3: return TEXT(g, "P[%s or %s]", event(g, s), fact(g));
  case 4: return TEXT(g, "P[not (%s and %s)]", fact(g), event(g, s));
  case 5: return TEXT(g, "E[max(%s, %s)]", value(g), number(g, s));
  case 6: return TEXT(g, "E[abs(%s - %s)]", value(g), s);
  case 7: return TEXT(g, "E[if %s then %s else %s]", event(g, s), value(g), value(g));
  case 8: return TEXT(g, "E[if %s then %s else %s]", fact(g), number(g, s), value(g));
  case 9: return TEXT(g, "E[%s / (1 + x_0 * x_0 + %s)]", value(g), s);
  case 10: return TEXT(g, "E[%s * %s * %s]", value(g), number(g, s), number(g, sum(g)));
  case 11: return TEXT(g, "E[if %s and %s > 0 then %s / %s else 0]", fact(g), s, value(g), s);
  case 12: return TEXT(g, "E[(%s + %s) / max(1, %s)]", value(g), sum(g), s);
  case 13: return TEXT(g, "E[%s]", number(g, s));
  case 14: return TEXT(g, "P[%s]", event(g, s));
  default: return TEXT(g, "E[%s * %s]", value(g), number(g, s));
  }
}

/* A mean over copies inside the bracket. */
static const char *mean(Gen *g) {
  const Made *e = some_edge(g);
  const char *all = all_copies(g, g->row), *p = copy(g, e, "p");
  const char *one = e->bit && chance(g, 60) ? TEXT(g, "%s * x_n[p]", p) : TEXT(g, "x_%c[%s]", e->size, p);
  bool inside = chance(g, 40);
  g->at = inside ? "p" : "0";
  const char *s = sum(g);
  return inside ? TEXT(g, "E[sum(p in %s) %s * %s]", all, one, number(g, s))
                : TEXT(g, "E[(sum(p in %s) %s) / max(1, %s)]", all, one, s);
}

static const char *output(Gen *g) {
  bool apart = g->ragged || g->list; /* no index of an output runs over these copies */
  g->other = chance(g, 35);
  g->row = !apart && chance(g, 15) ? (chance(g, 50) ? "(i + 1) % M" : "tM_M[i]") : "i";
  g->at = "j";
  bool whole_row = chance(g, 25);
  const char *q = whole_row ? mean(g) : query(g);
  if (!whole_row && apart)
    q = TEXT(g, "sum(j in %s) %s", all_copies(g, g->row), q);
  const char *slots = !whole_row && !apart ? "j in N" : "";
  if (g->rows) slots = TEXT(g, *slots ? "i in M, %s" : "i in M%s", slots);
  if (g->other) slots = TEXT(g, *slots ? "%s, l in L" : "%sl in L", slots);
  return TEXT(g, *slots ? "out o%u[%s] = %s\n" : "out o%u%s = %s\n", g->outs++, slots, q);
}

/* ---- the model ----------------------------------------------------------------------------------------------------- */

static const char *declarations(Gen *g, const char *body) {
  const char *text = declare_reals(g->arena, body);
  if (g->list) text = TEXT(g, "%s  data adj: graph[M, N]\n", text);
  return TEXT(g, "%s  data tN_0: int, tN_M: int[M], tM_M: int[M]\n", text);
}

const char *generate_counts(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 991}, .row = "i", .at = "j"}, *g = &gen;
  g->rows = chance(g, 45);
  g->inner = g->rows && chance(g, 20);
  g->ragged = !g->inner && chance(g, 15);
  g->list = !g->ragged && chance(g, 10);
  if (g->list) g->rows = true, g->inner = false;
  g->chain = !g->list && chance(g, 35);
  g->nasty = chance(g, 20);
  const char *body = copies(g);
  if (g->chain || chance(g, 30)) body = TEXT(g, "%s%s", body, joined(g));
  if (chance(g, 4)) body = TEXT(g, "%sinfer %s by %s\n", body, g->n == 2 ? "a, c" : "a", chance(g, 60) ? "mode" : "sample(n = 3)");
  for (uint32_t n = 1 + below(g, 2); n; n--) body = TEXT(g, "%s%s", body, output(g));
  return TEXT(g, "model m(M, N, K, L) {\n%s%s}\n", declarations(g, body), body);
}
