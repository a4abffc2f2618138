/* networks: random models whose copies are joined in no chain; see generate.h.
 *
 * Grids with neighbours along two plates, labels whose neighbour is named by data, an edge outside the plate of others,
 * two plates joined copy by copy, all pairs of a plate; perhaps in a plate around it all; with all that supports and
 * priors may be, and questions about one copy, two copies and all of them. */
#include <stdbool.h>
#include <stdio.h>

#include "base/vec.h"
#include "generate.h"

typedef enum { GRID, PARENTS, SHARED, BIPARTITE, PAIRS, KINDS } Kind;

typedef struct Made { const char *name; char size; bool bit, none; const char *plates[3]; const char *sizes; } Made;

typedef struct Gen {
  Arena *arena;
  Random r;
  Kind kind;
  bool outer, nasty;
  Made edges[3];
  uint32_t n, outs;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

static const char *copy_at(Gen *g, const Made *e, const char *first, const char *second) {
  const char *at[] = {first, second};
  const char *text = g->outer ? "b" : "";
  for (uint32_t k = 0; e->plates[k]; k++)
    text = TEXT(g, "%s%s%s", text, *text ? ", " : "", at[k] ? at[k] : e->plates[k]);
  return *text ? TEXT(g, "%s[%s]", e->name, text) : e->name;
}

static const char *own(Gen *g, const Made *e) { return copy_at(g, e, NULL, NULL); }

static const char *of_one(Gen *g, const Made *e, const char *value) {
  char letter = g->nasty && chance(g, 15) ? "nbh"[below(g, 3)] : 'x';
  if (e->plates[0] && chance(g, 50))
    return TEXT(g, "%c_%c%c[%s, %s]", letter, e->sizes[0] + 'a' - 'A', e->size, e->plates[0], value);
  return TEXT(g, "%c_%c[%s]", letter, e->size, value);
}

static const char *of_two(Gen *g, const Made *e, const char *a, const Made *f, const char *b) {
  return TEXT(g, "%c_%c%c[%s, %s]", g->nasty && chance(g, 10) ? 'h' : 'v', e->size, f->size, a, b);
}

static const char *relation(Gen *g, const char *a, const char *b) {
  switch (below(g, 5)) {
  case 0: return TEXT(g, "%s <= %s", a, b);
  case 1: return TEXT(g, "%s != %s", a, b);
  case 2: return TEXT(g, "abs(%s - %s) <= 1", a, b);
  case 3: return TEXT(g, "not (%s == %s) or z_0 > 0", a, b);
  default: return TEXT(g, "%s + %s < K", a, b);
  }
}

/* ---- edges ----------------------------------------------------------------------------------------------- */

static const char *edge(Gen *g, Made *e, const char *name, const char *p, const char *q, const char *sizes) {
  *e = (Made){name, "LK2"[below(g, 3)], false, chance(g, 15), {p, q}, sizes};
  e->bit = e->size == '2';
  if (e->bit) e->none = false;
  const char *domain = e->bit ? "bit" : chance(g, 15) ? TEXT(g, "1..%c", e->size) : TEXT(g, "%c", e->size);
  const char *where = "";
  if (chance(g, 15))
    where = p ? TEXT(g, " where (%s + %s) %% 3 != 1", name, p) : TEXT(g, " where z_%c[%s] > 0", e->size, name);
  if (g->kind == GRID && p && q && !e->none && chance(g, 10))
    where = TEXT(g, " where i == 0 or %s != %s", name, copy_at(g, e, "i - 1", NULL));
  const char *text = TEXT(g, "edge %s in %s%s%s\n", name, domain, e->none ? " or none" : "", where);
  if (e->bit && chance(g, 30)) return TEXT(g, "%sprior %s ~ bernoulli(u_0)\n", text, name);
  if (chance(g, 20)) return TEXT(g, "%sprior %s ~ weights(p_%c[%s])\n", text, name, e->size, name);
  if (chance(g, 10)) return TEXT(g, "%sprior %s ~ geometric(u_0)\n", text, name);
  return chance(g, 20) ? TEXT(g, "%sprior %s ~ logits(%s)\n", text, name, of_one(g, e, name)) : text;
}

static const char *weight(Gen *g, const Made *e) {
  if (chance(g, 15)) return TEXT(g, "potential if %s == 0 then p_0 else 1\n", e->name);
  return TEXT(g, "potential exp(%s)\n", of_one(g, e, e->name));
}

static const char *target(Gen *g, const Made *e) {
  const char *text = g->outer ? "b" : "";
  for (uint32_t k = 0; e && e->plates[k]; k++) text = TEXT(g, "%s%s%s", text, *text ? ", " : "", e->plates[k]);
  return TEXT(g, "out o%u%s", g->outs++, *text ? TEXT(g, "[%s]", text) : "");
}

static const char *single(Gen *g, const Made *e) {
  const char *o = target(g, e);
  switch (below(g, 8)) {
  case 0: return TEXT(g, "%s = P[%s == %u]\n", o, e->name, below(g, 3));
  case 1: return TEXT(g, "%s = mode(%s)\n", o, e->name);
  case 2: return TEXT(g, "%s = entropy(%s)\n", o, e->name);
  case 3: return TEXT(g, "%s = kl(%s)\n", o, e->name);
  case 4: return TEXT(g, "%s = sample(%s)\n", o, e->name);
  default: return TEXT(g, "%s = E[v_%cC[%s]]\n", o, e->size, e->name);
  }
}

/* In its plates: the edge, weights, questions. */
static const char *in_plates(Gen *g, Made *e, const char *name, const char *p, const char *q, const char *sizes) {
  const char *body = edge(g, e, name, p, q, sizes);
  for (uint32_t n = chance(g, 70); n; n--) body = TEXT(g, "%s%s", body, weight(g, e));
  for (uint32_t n = 1 + chance(g, 40); n; n--) body = TEXT(g, "%s%s", body, single(g, e));
  g->n++;
  if (!p) return body;
  const char *first = TEXT(g, "%s in %c", p, sizes[0]);
  return q ? TEXT(g, "for %s, %s in %c {\n%s}\n", first, q, sizes[1], body) : TEXT(g, "for %s {\n%s}\n", first, body);
}

/* ---- what joins them ------------------------------------------------------------------------------------- */

static const char *joint(Gen *g, const Made *e, const char *a, const Made *f, const char *b) {
  if (chance(g, 25)) return TEXT(g, "require %s\n", relation(g, a, b));
  if (chance(g, 15)) return TEXT(g, "potential if %s == %s then p_0 else 1\n", a, b);
  return TEXT(g, "potential exp(%s)\n", of_two(g, e, a, f, b));
}

static const char *pair(Gen *g, const Made *e, const char *a, const Made *f, const char *b, const char *at) {
  const char *o = TEXT(g, "out o%u[%s%s]", g->outs++, g->outer ? "b, " : "", at);
  switch (below(g, 4)) {
  case 0: return TEXT(g, "%s = P[%s]\n", o, relation(g, a, b));
  case 1: return TEXT(g, "%s = entropy(%s, %s)\n", o, a, b);
  case 2: return TEXT(g, "%s = E[x_%c[%s] + x_%c[%s]]\n", o, e->size, a, f->size, b);
  default: return TEXT(g, "%s = E[%s * x_%c[%s]]\n", o, of_two(g, e, a, f, b), e->size, a);
  }
}

static const char *joined(Gen *g, const char *loops, const char *at, const Made *e, const char *a, const Made *f,
                          const char *b) {
  const char *body = joint(g, e, a, f, b);
  if (at && chance(g, 50)) body = TEXT(g, "%s%s", body, pair(g, e, a, f, b, at));
  return TEXT(g, "for %s {\n%s}\n", loops, body);
}

static const char *grid(Gen *g) {
  Made *e = &g->edges[0], *f = &g->edges[1];
  const char *text = in_plates(g, e, "c", "i", "j", "NM");
  if (chance(g, 20)) text = TEXT(g, "%s%s", text, in_plates(g, f, "m", "i", "j", "NM"));
  else f = e;
  const char *here = own(g, e);
  text = TEXT(g, "%s%s", text, joined(g, "i in 1..N, j in M", "i, j", e, here, f, copy_at(g, f, "i - 1", NULL)));
  if (f != e) text = TEXT(g, "%s%s", text, joined(g, "i in N, j in M", "i, j", e, here, f, own(g, f)));
  if (chance(g, 80))
    text = TEXT(g, "%s%s", text, joined(g, "i in N, j in 1..M", "i, j", e, here, e, copy_at(g, e, NULL, "j - 1")));
  if (chance(g, 20))
    text = TEXT(g, "%s%s", text,
                joined(g, "i in 1..N, j in 0..M - 1", "i, j", e, here, f, copy_at(g, f, "i - 1", "j + 1")));
  return text;
}

static const char *parents(Gen *g) {
  Made *e = &g->edges[0];
  const char *text = in_plates(g, e, "c", "t", NULL, "N"), *parent = copy_at(g, e, "tN_n[t]", NULL);
  text = TEXT(g, "%s%s", text, joined(g, chance(g, 50) ? "t in N" : "t in 1..N", NULL, e, own(g, e), e, parent));
  if (chance(g, 40)) text = TEXT(g, "%sfor t in N {\n%s}\n", text, pair(g, e, own(g, e), e, parent, "t"));
  if (chance(g, 30))
    text = TEXT(g, "%s%s", text, joined(g, "t in 1..N", "t", e, own(g, e), e, copy_at(g, e, "t - 1", NULL)));
  return text;
}

static const char *shared(Gen *g) {
  Made *top = &g->edges[0], *e = &g->edges[1], *f = &g->edges[2];
  const char *text = in_plates(g, top, "m", NULL, NULL, ""), *more = "";
  text = TEXT(g, "%s%s", text, in_plates(g, e, "c", "i", NULL, "N"));
  text = TEXT(g, "%s%s", text, joined(g, "i in N", "i", e, own(g, e), top, own(g, top)));
  if (chance(g, 40)) {
    more = in_plates(g, f, "d", "i", "j", "NM");
    more = TEXT(g, "%s%s", more, joined(g, "i in N, j in M", "i, j", f, own(g, f), e, own(g, e)));
  }
  return TEXT(g, "%s%s", text, more);
}

static const char *bipartite(Gen *g) {
  Made *e = &g->edges[0], *f = &g->edges[1];
  const char *text = in_plates(g, e, "c", "i", NULL, "N");
  text = TEXT(g, "%s%s", text, in_plates(g, f, "m", "j", NULL, "M"));
  return TEXT(g, "%s%s", text,
              joined(g, chance(g, 70) ? "i in N, j in M" : "j in M, i in 1..N", "i, j", e, own(g, e), f, own(g, f)));
}

static const char *all_pairs(Gen *g) {
  Made *e = &g->edges[0];
  const char *text = in_plates(g, e, "c", "i", NULL, "N");
  return TEXT(g, "%s%s", text,
              joined(g, chance(g, 60) ? "i in N, j in i + 1..N" : "i in N, j in 0..i", NULL, e, own(g, e), e,
                     copy_at(g, e, "j", NULL)));
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

static const char *names(Gen *g) {
  const char *text = "";
  for (uint32_t k = 0; k < g->n; k++) text = TEXT(g, "%s%s%s", text, k ? ", " : "", g->edges[k].name);
  return text;
}

static const char *whole(Gen *g) {
  static const char *const queries[] = {"entropy", "kl", "count"};
  const char *o = target(g, NULL);
  if (chance(g, 40)) return TEXT(g, "%s = logZ\n", o);
  return TEXT(g, "%s = %s(%s)\n", o, queries[below(g, 3)], names(g));
}

static const char *two_copies(Gen *g) {
  const Made *e = &g->edges[below(g, g->n)];
  if (!e->plates[0] || e->plates[1]) return "";
  const char *a = copy_at(g, e, "s", NULL), *b = copy_at(g, e, "q", NULL);
  return TEXT(g, "out o%u[%ss in %c, q in %c] = P[%s]\n", g->outs++, g->outer ? "b, " : "", e->sizes[0], e->sizes[0],
              relation(g, a, b));
}

static const char *dimension(Gen *g, char c) { return TEXT(g, "%c", c == 'n' ? 'N' : c == 'm' ? 'M' : c); }

/* Inputs are named by their dimensions; those that are used are declared. */
static const char *declarations(Gen *g, const char *body) {
  const char *text = "";
  VEC(const char *) seen = {0};
  for (const char *p = body; *p; p++) {
    bool parent = p[0] == 't' && p[1] == 'N' && p[2] == '_';
    uint32_t n = parent ? 3 : 2;
    if (p[n - 1] != '_' || (p > body && (p[-1] == '_' || (p[-1] >= 'a' && p[-1] <= 'z')))) continue;
    uint32_t from = n;
    while (p[n] && (p[n] == '_' || (p[n] >= '0' && p[n] <= '9') || (p[n] >= 'a' && p[n] <= 'z') ||
                    (p[n] >= 'A' && p[n] <= 'Z')))
      n++;
    const char *name = TEXT(g, "%.*s", (int)n, p), *dims = "";
    bool old = false;
    for (uint32_t k = 0; k < seen.n; k++) old |= !__builtin_strcmp(seen.at[k], name);
    if (old) continue;
    vec_push(g->arena, &seen, name);
    for (uint32_t k = from; k < n && name[k] != '0'; k++)
      dims = TEXT(g, "%s%s%s", dims, *dims ? ", " : "", dimension(g, name[k]));
    text = TEXT(g, "%s  data %s: %s%s\n", text, name, parent ? "int" : "",
                *dims    ? TEXT(g, "[%s]", dims)
                : parent ? ""
                         : "real");
  }
  return text;
}

const char *generate_networks(Arena *arena, uint64_t seed) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 977}}, *g = &gen;
  const char *body = "";
  g->kind = (Kind)below(g, KINDS);
  g->outer = chance(g, 25);
  g->nasty = chance(g, 15);
  switch (g->kind) {
  case GRID: body = grid(g); break;
  case PARENTS: body = parents(g); break;
  case SHARED: body = shared(g); break;
  case BIPARTITE: body = bipartite(g); break;
  case PAIRS: body = all_pairs(g); break;
  case KINDS: break;
  }
  for (uint32_t n = below(g, 3); n; n--) body = TEXT(g, "%s%s", body, whole(g));
  if (chance(g, 25)) body = TEXT(g, "%s%s", body, two_copies(g));
  if (g->outer) body = TEXT(g, "for b in C {\n%s}\n", body);
  if (chance(g, 8)) body = TEXT(g, "%sinfer %s by %s\n", body, names(g), chance(g, 60) ? "mode" : "sample(n = 3)");
  return TEXT(g, "model m(M, N, K, L, C) {\n%s%s}\n", declarations(g, body), body);
}
