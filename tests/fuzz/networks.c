/* networks: random models whose copies are joined in no chain; see generate.h.
 *
 * Grids with neighbours along two plates, labels whose neighbour is named by data, an edge outside the plate of others,
 * two plates joined copy by copy, all pairs of a plate; perhaps in a plate around it all, perhaps of as many copies as
 * data say, from where they say; with all that supports and priors may be, and questions about one copy, two copies and
 * all of them. */
#include <stdbool.h>
#include <stdio.h>

#include "base/vec.h"
#include "generate.h"

typedef enum { GRID, PARENTS, SHARED, BIPARTITE, PAIRS, KINDS } Kind;

typedef struct Made { const char *name; char size; bool bit, none; const char *plates[3]; const char *sizes; } Made;

/* A loop of a statement, lo .. the plate's end - less, or .. hi. */
typedef struct Over { char index; const char *lo; char size; uint32_t less; const char *hi; } Over;

static Over over(char index, const char *lo, char size) { return (Over){index, lo, size, 0, NULL}; }

#define OVER(...) ((const Over[]){__VA_ARGS__, over(0, NULL, 0)})

typedef struct Gen {
  Arena *arena;
  Random r;
  Kind kind;
  bool outer, nasty;
  bool ragged, by_line; /* data end the plates; the second one at every index of the first */
  bool begun;           /* and begin them */
  Made edges[3];
  uint32_t n, outs;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

/* ---- where plates begin and end -------------------------------------------------------------------------- */

static const char *begin_of(Gen *g, char size) {
  if (!g->begun) return "0";
  return TEXT(g, g->outer ? "t%c_C0[b]" : "t%c_00", size);
}

/* lo: of the loop; NULL: the plate's, "1": one more. */
static const char *begin_over(Gen *g, const Over *o) {
  bool later = o->lo && o->lo[0] == '1' && !o->lo[1];
  if (!g->begun || (o->lo && !later)) return o->lo;
  return TEXT(g, later ? "%s + 1" : "%s", begin_of(g, o->size));
}

static const char *end_of(Gen *g, char size, const char *line) {
  if (!g->ragged) return TEXT(g, "%c", size);
  if (size == 'M' && g->by_line) return TEXT(g, g->outer ? "tM_CN[b, %s]" : "tM_N[%s]", line);
  return TEXT(g, g->outer ? "t%c_C[b]" : "t%c_0", size);
}

/* With copies one line before, both must be there. */
static const char *end_over(Gen *g, const Over *o, bool back) {
  const char *end = end_of(g, o->size, "i");
  if (o->hi) return o->hi;
  if (back && g->ragged && g->by_line && o->size == 'M') end = TEXT(g, "min(%s, %s)", end, end_of(g, 'M', "i - 1"));
  return o->less ? TEXT(g, "%s - %u", end, o->less) : end;
}

static const char *loops_of(Gen *g, const Over *o, bool back) {
  const char *text = "";
  for (; o->index; o++) {
    const char *end = end_over(g, o, back), *lo = begin_over(g, o);
    if (!lo && (g->ragged || o->less || o->hi)) lo = "0";
    text = TEXT(g, "%s%s%c in %s%s%s", text, *text ? ", " : "", o->index, lo ? lo : "", lo ? ".." : "", end);
  }
  return text;
}

/* An output over all that sizes allow, of what data say is there. */
static const char *where_there(Gen *g, const Over *o, bool back, const char *query) {
  const char *at = g->outer ? "b" : "", *cond = "";
  for (; o->index; o++) {
    at = TEXT(g, "%s%s%c in %c", at, *at ? ", " : "", o->index, o->size);
    const char *lo = begin_over(g, o);
    if (lo) cond = TEXT(g, "%s%s%c >= %s", cond, *cond ? " and " : "", o->index, lo);
    cond = TEXT(g, "%s%s%c < %s", cond, *cond ? " and " : "", o->index, end_over(g, o, back));
  }
  return TEXT(g, "out o%u[%s] = if %s then %s else 0\n", g->outs++, at, cond, query);
}

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
  if (g->kind == GRID && p && q && !e->none && !(g->ragged && g->by_line) && chance(g, 10))
    where = TEXT(g, " where i == %s or %s != %s", begin_of(g, 'N'), name, copy_at(g, e, "i - 1", NULL));
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

static const char *of_copy(Gen *g, const Made *e, const char *copy) {
  switch (below(g, 8)) {
  case 0: return TEXT(g, "P[%s == %u]", copy, below(g, 3));
  case 1: return TEXT(g, "mode(%s)", copy);
  case 2: return TEXT(g, "entropy(%s)", copy);
  case 3: return TEXT(g, "kl(%s)", copy);
  case 4: return TEXT(g, "sample(%s)", copy);
  default: return g->ragged ? TEXT(g, "E[x_%c[%s]]", e->size, copy) : TEXT(g, "E[v_%cC[%s]]", e->size, copy);
  }
}

static const char *single(Gen *g, const Made *e) {
  if (!g->ragged || !e->plates[0]) {
    const char *o = target(g, e);
    return TEXT(g, "%s = %s\n", o, of_copy(g, e, e->name));
  }
  char second = e->plates[1] ? e->plates[1][0] : 0;
  const Over *all = OVER(over(e->plates[0][0], NULL, e->sizes[0]), over(second, NULL, e->sizes[1]));
  return where_there(g, all, false, of_copy(g, e, own(g, e)));
}

/* Arrays as long as there may be copies. */
static const char *room(Gen *g, const Made *e) {
  const char *text = "";
  for (uint32_t k = 0; g->ragged && e->plates[k]; k++)
    text = TEXT(g, "%spotential exp(x_%c%c[%s, %s])\n", text, e->sizes[k] + 'a' - 'A', e->size, e->plates[k], e->name);
  return text;
}

/* In its plates: the edge, weights, questions. */
static const char *in_plates(Gen *g, Made *e, const char *name, const char *p, const char *q, const char *sizes) {
  const char *body = edge(g, e, name, p, q, sizes);
  for (uint32_t n = chance(g, 70); n; n--) body = TEXT(g, "%s%s", body, weight(g, e));
  body = TEXT(g, "%s%s", body, room(g, e));
  const char *asked = "";
  for (uint32_t n = 1 + chance(g, 40); n; n--) asked = TEXT(g, "%s%s", asked, single(g, e));
  g->n++;
  if (!p) return TEXT(g, "%s%s", body, asked);
  const char *loops = loops_of(g, OVER(over(p[0], NULL, sizes[0]), over(q ? q[0] : 0, NULL, sizes[1])), false);
  return TEXT(g, g->ragged ? "for %s {\n%s}\n%s" : "for %s {\n%s%s}\n", loops, body, asked);
}

/* ---- what joins them ------------------------------------------------------------------------------------- */

static const char *joint(Gen *g, const Made *e, const char *a, const Made *f, const char *b) {
  if (chance(g, 25)) return TEXT(g, "require %s\n", relation(g, a, b));
  if (chance(g, 15)) return TEXT(g, "potential if %s == %s then p_0 else 1\n", a, b);
  return TEXT(g, "potential exp(%s)\n", of_two(g, e, a, f, b));
}

static const char *of_pair(Gen *g, const Made *e, const char *a, const Made *f, const char *b) {
  const char *third = g->ragged ? a : copy_at(g, e, "0", "0");
  switch (below(g, 6)) {
  case 0: return TEXT(g, "P[%s]", relation(g, a, b));
  case 1: return TEXT(g, "entropy(%s, %s)", a, b);
  case 2: return TEXT(g, "E[x_%c[%s] + x_%c[%s]]", e->size, a, f->size, b);
  case 3: return TEXT(g, "E[%s * x_%c[%s]]", of_two(g, e, a, f, b), e->size, third);
  case 4: return TEXT(g, "entropy(%s, %s, %s)", a, third, b);
  default: return TEXT(g, "E[%s * x_%c[%s]]", of_two(g, e, a, f, b), e->size, a);
  }
}

/* In a loop of its own. */
static const char *pair(Gen *g, const Over *o, bool back, const Made *e, const char *a, const Made *f, const char *b) {
  if (g->ragged) return where_there(g, o, back, of_pair(g, e, a, f, b));
  const char *at = g->outer ? "b" : "", *loops = loops_of(g, o, back);
  for (; o->index; o++) at = TEXT(g, "%s%s%c", at, *at ? ", " : "", o->index);
  const char *out = TEXT(g, "out o%u[%s]", g->outs++, at);
  return TEXT(g, "for %s {\n%s = %s\n}\n", loops, out, of_pair(g, e, a, f, b));
}

/* back: it names a copy one line before. */
static const char *joined(Gen *g, const Over *o, bool back, bool asked, const Made *e, const char *a, const Made *f,
                          const char *b) {
  const char *text = TEXT(g, "for %s {\n%s}\n", loops_of(g, o, back), joint(g, e, a, f, b));
  return asked && chance(g, 50) ? TEXT(g, "%s%s", text, pair(g, o, back, e, a, f, b)) : text;
}


static const char *grid(Gen *g) {
  Made *e = &g->edges[0], *f = &g->edges[1];
  const char *text = in_plates(g, e, "c", "i", "j", "NM");
  if (chance(g, 20)) text = TEXT(g, "%s%s", text, in_plates(g, f, "m", "i", "j", "NM"));
  else f = e;
  const char *here = own(g, e);
  const Over *all = OVER(over('i', NULL, 'N'), over('j', NULL, 'M')), *later = OVER(over('i', "1", 'N'), all[1]),
             *right = OVER(all[0], over('j', "1", 'M')), *across = OVER(later[0], (Over){'j', NULL, 'M', 1, NULL});
  text = TEXT(g, "%s%s", text, joined(g, later, true, true, e, here, f, copy_at(g, f, "i - 1", NULL)));
  if (f != e) text = TEXT(g, "%s%s", text, joined(g, all, false, true, e, here, f, own(g, f)));
  if (chance(g, 80))
    text = TEXT(g, "%s%s", text, joined(g, right, false, true, e, here, e, copy_at(g, e, NULL, "j - 1")));
  if (chance(g, 20))
    text = TEXT(g, "%s%s", text, joined(g, across, true, true, e, here, f, copy_at(g, f, "i - 1", "j + 1")));
  return text;
}

static const char *parents(Gen *g) {
  Made *e = &g->edges[0];
  const char *text = in_plates(g, e, "c", "t", NULL, "N");
  const char *some = g->begun ? TEXT(g, "clamp(tN_n[t], %s, t)", begin_of(g, 'N')) : "min(tN_n[t], t)";
  const char *parent = copy_at(g, e, g->ragged && !chance(g, 25) ? some : "tN_n[t]", NULL);
  const Over *all = OVER(over('t', NULL, 'N')), *later = OVER(over('t', "1", 'N'));
  text = TEXT(g, "%s%s", text, joined(g, chance(g, 50) ? all : later, false, false, e, own(g, e), e, parent));
  if (chance(g, 40)) text = TEXT(g, "%s%s", text, pair(g, all, false, e, own(g, e), e, parent));
  if (chance(g, 30))
    text = TEXT(g, "%s%s", text, joined(g, later, false, true, e, own(g, e), e, copy_at(g, e, "t - 1", NULL)));
  return text;
}

static const char *shared(Gen *g) {
  Made *top = &g->edges[0], *e = &g->edges[1], *f = &g->edges[2];
  const char *text = in_plates(g, top, "m", NULL, NULL, ""), *more = "";
  text = TEXT(g, "%s%s", text, in_plates(g, e, "c", "i", NULL, "N"));
  text = TEXT(g, "%s%s", text, joined(g, OVER(over('i', NULL, 'N')), false, true, e, own(g, e), top, own(g, top)));
  if (chance(g, 40)) {
    more = in_plates(g, f, "d", "i", "j", "NM");
    const Over *all = OVER(over('i', NULL, 'N'), over('j', NULL, 'M'));
    more = TEXT(g, "%s%s", more, joined(g, all, false, true, f, own(g, f), e, own(g, e)));
  }
  return TEXT(g, "%s%s", text, more);
}

static const char *bipartite(Gen *g) {
  Made *e = &g->edges[0], *f = &g->edges[1];
  const char *text = in_plates(g, e, "c", "i", NULL, "N");
  text = TEXT(g, "%s%s", text, in_plates(g, f, "m", "j", NULL, "M"));
  const Over *all = OVER(over('i', chance(g, 30) ? "1" : NULL, 'N'), over('j', NULL, 'M'));
  return TEXT(g, "%s%s", text, joined(g, all, false, true, e, own(g, e), f, own(g, f)));
}

static const char *all_pairs(Gen *g) {
  Made *e = &g->edges[0];
  const char *text = in_plates(g, e, "c", "i", NULL, "N");
  return TEXT(g, "%s%s", text,
              joined(g,
                     chance(g, 60) ? OVER(over('i', NULL, 'N'), over('j', "i + 1", 'N'))
                                   : OVER(over('i', NULL, 'N'), (Over){'j', NULL, 'N', 0, "i"}),
                     false, false, e, own(g, e), e, copy_at(g, e, "j", NULL)));
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
  const Over *both = OVER(over('s', NULL, e->sizes[0]), over('q', NULL, e->sizes[0]));
  if (g->ragged) return where_there(g, both, false, TEXT(g, "P[%s]", relation(g, a, b)));
  return TEXT(g, "out o%u[%ss in %c, q in %c] = P[%s]\n", g->outs++, g->outer ? "b, " : "", e->sizes[0], e->sizes[0],
              relation(g, a, b));
}

/* Of copies of two networks, now and then of one. */
static const char *two_networks(Gen *g) {
  const Made *e = &g->edges[below(g, g->n)];
  const char *loops = "b in C, h in C", *other = "h", *query;
  for (uint32_t k = 0; e->plates[k]; k++) {
    loops = TEXT(g, "%s, %s in %c", loops, e->plates[k], e->sizes[k]);
    other = TEXT(g, "%s, %s", other, e->plates[k]);
  }
  const char *a = own(g, e), *b = TEXT(g, "%s[%s]", e->name, other), *one = TEXT(g, "x_%c[%s]", e->size, b);
  switch (below(g, 4)) {
  case 0: query = TEXT(g, "P[%s]", relation(g, a, b)); break;
  case 1: query = TEXT(g, "entropy(%s, %s)", a, b); break;
  case 2: query = TEXT(g, "E[max(x_%c[%s], %s) * %s]", e->size, a, one, one); break;
  default: query = TEXT(g, "P[(sum(k in C) (if %s[k%s] == 0 then 1 else 0)) >= 1 + h]", e->name, other + 1); break;
  }
  return TEXT(g, "out o%u[%s] = %s\n", g->outs++, loops, query);
}

/* Of all copies of an edge, where they are inferred by mode or by draws. */
static const char *function_of_all(Gen *g) {
  const Made *e = &g->edges[below(g, g->n)];
  if (!e->plates[0]) return "";
  char second = e->plates[1] ? e->plates[1][0] : 0;
  const Over *all = OVER(over(e->plates[0][0], NULL, e->sizes[0]), over(second, NULL, e->sizes[1]));
  const char *o = target(g, NULL), *loops = loops_of(g, all, false), *x = TEXT(g, "x_%c[%s]", e->size, own(g, e));
  switch (below(g, 3)) {
  case 0: return TEXT(g, "%s = P[max(%s) %s > z_0]\n", o, loops, x);
  case 1: return TEXT(g, "%s = E[sqrt(1 + abs(sum(%s) %s))]\n", o, loops, x);
  default: return TEXT(g, "%s = P[sum(%s) (if %s > 0 then 1 else 0) >= 2]\n", o, loops, own(g, e));
  }
}

static const char *dimension(Gen *g, char c) { return TEXT(g, "%c", c == 'n' ? 'N' : c == 'm' ? 'M' : c); }

/* Inputs are named by their dimensions; those that are used are declared. */
static const char *declarations(Gen *g, const char *body) {
  const char *text = "";
  VEC(const char *) seen = {0};
  for (const char *p = body; *p; p++) {
    bool parent = p[0] == 't' && (p[1] == 'N' || p[1] == 'M') && p[2] == '_';
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
  g->ragged = chance(g, 30);
  g->begun = g->ragged && chance(g, 40);
  g->by_line = (g->kind == GRID || g->kind == SHARED) && chance(g, 40);
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
  bool replaced = chance(g, 8);
  if (replaced) body = TEXT(g, "%s%s", body, function_of_all(g));
  if (g->outer) body = TEXT(g, "for b in C {\n%s}\n", body);
  if (g->outer && !g->ragged && chance(g, 50)) body = TEXT(g, "%s%s", body, two_networks(g));
  if (replaced) body = TEXT(g, "%sinfer %s by %s\n", body, names(g), chance(g, 60) ? "mode" : "sample(n = 3)");
  return TEXT(g, "model m(M, N, K, L, C) {\n%s%s}\n", declarations(g, body), body);
}
