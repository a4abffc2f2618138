/* generate: see generate.h.  One function a syntactic role; each picks a form at random and fills it. */
#include "generate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/vec.h"

uint64_t random_next(Random *r) {
  uint64_t z = r->state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
uint32_t random_below(Random *r, uint32_t n) { return n ? (uint32_t)(random_next(r) % n) : 0; }
double random_unit(Random *r) { return (double)(random_next(r) >> 11) * 0x1p-53; }
double random_gauss(Random *r) {
  double u = 1 - random_unit(r), v = random_unit(r);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* ---- what is in sight ------------------------------------------------------------------------------- */

enum { MAX_PLATES = 3, MAX_IN_SIGHT = 24 };

typedef struct Atom {
  const char *text; /* an int expression of values 0 .. size-1 */
  char size;
  bool none;        /* may be none */
  bool edge;
} Atom;

typedef struct Plate { const char *name, *range; char size; bool fixed, whole; } Plate;

typedef struct EdgeInfo {
  const char *name;
  char size; /* '2' for a bit */
  bool none, plain; /* plain: the domain is the whole size */
  uint32_t depth;
  Plate plates[MAX_PLATES];
  uint32_t component; /* edges that some weight joins */
} EdgeInfo;

typedef struct Sight { Atom atoms[MAX_IN_SIGHT]; uint32_t n; } Sight;

typedef struct Declared { const char *name, *text; bool param; } Declared;

typedef struct Gen {
  Arena *arena;
  Random r;
  VEC(Declared) inputs;
  VEC(const char *) lines;
  VEC(EdgeInfo) edges;
  Plate plates[MAX_PLATES];
  uint32_t depth;
  uint32_t names; /* numbers for fresh names */
  uint32_t outs;
  bool nasty;    /* data with -inf, NaN, large scores */
  bool no_nan;   /* in a prior: its normaliser cancels in posteriors; whether its NaN or +inf shows is left open */
  bool has_def;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }

static void line(Gen *g, const char *text) {
  vec_push(g->arena, &g->lines, TEXT(g, "%*s%s", (int)(2 * g->depth + 2), "", text));
}

static const char *fresh(Gen *g, const char *stem) { return TEXT(g, "%s%u", stem, g->names++); }

static char a_size(Gen *g) { return "MNKLNN"[below(g, 6)]; }

static void see(Sight *s, Atom a) {
  if (s->n < MAX_IN_SIGHT) s->atoms[s->n++] = a;
}

static void see_plates(Gen *g, Sight *s) {
  for (uint32_t i = 0; i < g->depth; i++) see(s, (Atom){g->plates[i].name, g->plates[i].size, false, false});
}

/* Copies of edges count twice: they are what it is about. */
static const Atom *pick(Gen *g, const Sight *s) {
  if (!s->n) return NULL;
  for (int tries = 0; tries < 2; tries++) {
    const Atom *a = &s->atoms[below(g, s->n)];
    if (a->edge || tries) return a;
  }
  return &s->atoms[s->n - 1];
}

static const Atom *pick_edge(Gen *g, const Sight *s) {
  uint32_t n = 0;
  const Atom *found = NULL;
  for (uint32_t i = 0; i < s->n; i++)
    if (s->atoms[i].edge && below(g, ++n) == 0) found = &s->atoms[i];
  return found;
}

/* ---- inputs ------------------------------------------------------------------------------------------- */

static const char *dim_text(Gen *g, char size) { return size == '2' ? "2" : TEXT(g, "%c", size); }

static const char *declare(Gen *g, const char *name, const char *type, const char *dims, uint32_t ndims) {
  for (uint32_t i = 0; i < g->inputs.n; i++)
    if (!strcmp(g->inputs.at[i].name, name)) return name;
  const char *list = "";
  for (uint32_t i = 0; i < ndims; i++) list = TEXT(g, "%s%s%s", list, i ? ", " : "", dim_text(g, dims[i]));
  const char *text = ndims ? TEXT(g, "%s: %s[%s]", name, type, list) : TEXT(g, "%s: %s", name, *type ? type : "real");
  bool real = !*type && *name != 'z' && *name != 'h' && *name != 'b' && *name != 'n' && *name != 's',
       param = real && chance(g, 15);
  if (param && !ndims && chance(g, 50)) text = TEXT(g, "%s = %s", text, below(g, 2) ? "0.5" : "1 / 2 + 0.25");
  vec_push(g->arena, &g->inputs, (Declared){name, text, param});
  return name;
}

static const char *input_name(Gen *g, const char *letters, const char *dims, uint32_t ndims) {
  return TEXT(g, "%s_%.*s%u", letters, (int)ndims, dims, below(g, 2));
}

/* An element of an input of this letter, indexed by up to two things in sight, one of them `must` if given; `tails` are
 * the sizes of trailing dimensions left off. */
static const char *part_of(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must,
                           const char *tails) {
  char dims[5];
  const char *at = "";
  uint32_t n = 0, rank = s->n ? 1 + below(g, 2) : 0, place = below(g, rank ? rank : 1);
  for (uint32_t i = 0; i < rank; i++) {
    const Atom *a = must && i == place ? must : pick(g, s);
    dims[n++] = a->size;
    at = TEXT(g, "%s%s%s", at, i ? ", " : "", a->text);
  }
  for (; *tails; tails++) dims[n++] = *tails;
  const char *name = declare(g, input_name(g, letters, dims, n), type, dims, n);
  return rank ? TEXT(g, "%s[%s]", name, at) : name;
}

static const char *element(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must, char tail) {
  return part_of(g, s, letters, type, must, (char[]){tail, 0});
}

static const char *real_input(Gen *g, const Sight *s) { return element(g, s, chance(g, 50) ? "x" : "v", "", NULL, 0); }

/* ---- ints, conditions, reals ---------------------------------------------------------------------------- */

static const char *an_int(Gen *g, const Sight *s, uint32_t deep);
static const char *condition(Gen *g, const Sight *s, uint32_t deep);
static const char *real(Gen *g, const Sight *s, uint32_t deep);

static const char *int_leaf(Gen *g, const Sight *s) {
  const Atom *a = pick(g, s);
  if (!a || chance(g, 20)) return TEXT(g, "%u", below(g, 4));
  if (chance(g, 12)) return element(g, s, TEXT(g, "t%c", a_size(g)), "int", NULL, 0);
  return a->text;
}

static const char *an_int(Gen *g, const Sight *s, uint32_t deep) {
  if (!deep || chance(g, 35)) return int_leaf(g, s);
  const char *a = an_int(g, s, deep - 1), *b = an_int(g, s, deep - 1);
  switch (below(g, 10)) {
  case 0: return TEXT(g, "(%s + %s)", a, b);
  case 1: return TEXT(g, "(%s - %s)", a, b);
  case 2: return TEXT(g, "(%s // %u)", a, 2 + below(g, 2));
  case 3: return TEXT(g, "(%s %% %u)", a, 2 + below(g, 3));
  case 4: return TEXT(g, "abs(%s - %s)", a, b);
  case 5: return TEXT(g, "min(%s, %s)", a, b);
  case 6: return TEXT(g, "max(%s, %s)", a, b);
  case 7: return TEXT(g, "clamp(%s, %u, %u)", a, below(g, 2), 1 + below(g, 3));
  case 8: return TEXT(g, "(if %s then %s else %s)", condition(g, s, deep - 1), a, b);
  default: return TEXT(g, "floor(%s * %u)", real_input(g, s), 1u << below(g, 3));
  }
}

/* A new atom made of others: a table look-up, a clamped bucket. */
static Atom derived_atom(Gen *g, const Sight *s) {
  char size = a_size(g);
  if (chance(g, 50)) return (Atom){element(g, s, TEXT(g, "t%c", size), "int", NULL, 0), size, false, false};
  return (Atom){TEXT(g, "clamp(%s, 0, %c - 1)", an_int(g, s, 2), size), size, false, false};
}

static const char *compare(Gen *g) {
  static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
  return ops[below(g, 6)];
}

static const char *condition(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = pick_edge(g, s);
  if (e && e->none && chance(g, 25)) return TEXT(g, "%s %s none", e->text, chance(g, 50) ? "==" : "!=");
  if (deep && chance(g, 30)) {
    const char *a = condition(g, s, deep - 1), *b = condition(g, s, deep - 1);
    switch (below(g, 4)) {
    case 0: return TEXT(g, "(%s and %s)", a, b);
    case 1: return TEXT(g, "(%s or %s)", a, b);
    case 2: return TEXT(g, "not (%s)", a);
    default: return TEXT(g, "(not (%s) or %s)", a, b);
    }
  }
  switch (below(g, 6)) {
  case 0: return element(g, s, "f", "bool", e, 0);
  case 1: return TEXT(g, "%s > 0", element(g, s, "z", "", e, 0));
  case 2: return TEXT(g, "%s < %s", real_input(g, s), chance(g, 50) ? "0.5" : real_input(g, s));
  case 3: return TEXT(g, "%s %s %s", e ? e->text : an_int(g, s, 1), compare(g), int_leaf(g, s));
  default: return TEXT(g, "%s %s %s", an_int(g, s, 1), compare(g), an_int(g, s, 1));
  }
}

static const char *literal(Gen *g) {
  static const char *const l[] = {"0.5", "2", "-1", "1.5", "0.25", "3", "-0.75", "1"};
  return l[below(g, 8)];
}

/* sum(j in ..) body with the new index in sight. */
static const char *reduction(Gen *g, const Sight *s, uint32_t deep, const char *const *kinds, uint32_t nkinds,
                             const char *(*body)(Gen *g, const Sight *s, uint32_t deep)) {
  const char *j = fresh(g, "j"), *kind = kinds[below(g, nkinds)];
  char size = a_size(g);
  const Atom *a = pick(g, s);
  const char *range = TEXT(g, "%c", size);
  if (a && a->size != '2' && chance(g, 35)) {
    size = a->size;
    range = chance(g, 70) ? TEXT(g, "0..%s + 1", a->text) : TEXT(g, "%s..%c", a->text, size);
  } else if (chance(g, 25)) range = TEXT(g, "1..%c", size);
  Sight inner = *s;
  see(&inner, (Atom){j, size, false, false});
  return TEXT(g, "(%s(%s in %s) %s)", kind, j, range, body(g, &inner, deep));
}

static const char *feature(Gen *g, const Sight *s, const Atom *must) { return element(g, s, "q", "", must, 'D'); }

/* A bounded function of a real: values stay of order one. */
static const char *bounded(Gen *g, const char *a) {
  static const char *const fns[] = {"tanh", "sigmoid", "sin",  "cos",        "relu", "softplus",
                                    "abs",  "elu",     "gelu", "leaky_relu", "erf",  "sq"};
  return TEXT(g, "%s(%s)", fns[below(g, 12)], a);
}

static const char *real(Gen *g, const Sight *s, uint32_t deep) {
  static const char *const sums[] = {"sum", "sum", "sum", "max", "min", "prod"};
  if (!deep || chance(g, 25)) {
    if (chance(g, 15)) return literal(g);
    if (chance(g, 15)) return an_int(g, s, 1);
    return real_input(g, s);
  }
  const char *a = real(g, s, deep - 1);
  switch (below(g, 14)) {
  case 0: case 1: return TEXT(g, "(%s + %s)", a, real(g, s, deep - 1));
  case 2: return TEXT(g, "(%s - %s)", a, real(g, s, deep - 1));
  case 3: case 4: return TEXT(g, "%s * %s", a, real(g, s, 0));
  case 5: return TEXT(g, "%s / (1 + sq(%s))", a, real(g, s, deep - 1));
  case 6: case 7: return bounded(g, a);
  case 8: return TEXT(g, "(if %s then %s else %s)", condition(g, s, 1), a, real(g, s, deep - 1));
  case 9: return reduction(g, s, deep - 1, sums, 6, real);
  case 10: return TEXT(g, "dot(%s, %s)", feature(g, s, NULL), feature(g, s, pick_edge(g, s)));
  case 11: {
    Sight one = {.n = 1};
    one.atoms[0] = derived_atom(g, s);
    return real_input(g, &one);
  }
  case 12:
    if (!g->has_def) return TEXT(g, "exp(-sq(%s))", a);
    return chance(g, 50) ? TEXT(g, "squash(%s, 2)", a)
                         : TEXT(g, "pick(%s, %s, %s)", condition(g, s, 1), a, real(g, s, 0));
  default: return TEXT(g, "max(%s, %s)", a, real(g, s, deep - 1));
  }
}

/* ---- scores and weights ----------------------------------------------------------------------------------- */

static const char *score(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = pick_edge(g, s);
  switch (below(g, g->nasty ? 16 - g->no_nan : 13)) {
  case 0: case 1: case 2: {
    const char *a = feature(g, s, NULL), *b = feature(g, s, e);
    return g->has_def && chance(g, 40) ? TEXT(g, "near(%s, %s)", a, b) : TEXT(g, "dot(%s, %s) / sqrt(D)", a, b);
  }
  case 3: return TEXT(g, "-0.5 * sum(sq(%s - %s))", feature(g, s, NULL), feature(g, s, e));
  case 4: return element(g, s, "x", "", e, 0);
  case 5: return TEXT(g, "-%s * abs(%s)", element(g, s, "p", "", NULL, 0), an_int(g, s, 1));
  case 6: {
    Sight one = {.n = 1};
    one.atoms[0] = derived_atom(g, s);
    return real_input(g, &one);
  }
  case 7:
    return deep ? TEXT(g, "(if %s then %s else %s)", condition(g, s, 1), score(g, s, deep - 1), score(g, s, deep - 1))
                : element(g, s, "x", "", e, 0);
  case 8:
  case 9:
    return deep ? TEXT(g, "%s %c %s", score(g, s, deep - 1), "+-"[!g->no_nan && chance(g, 30)], score(g, s, 0))
                : element(g, s, "v", "", e, 0);
  case 10: return TEXT(g, "log(%s)", element(g, s, "p", "", e, 0));
  case 11: case 12: return TEXT(g, "0.5 * %s", real(g, s, deep));
  case 13:
    return TEXT(g, "%s + %s", element(g, s, "h", "", e, 0),
                deep ? score(g, s, deep - 1) : element(g, s, "x", "", e, 0));
  case 14: return element(g, s, "b", "", e, 0);
  default: return TEXT(g, "%s + %s", element(g, s, "n", "", e, 0), element(g, s, "h", "", e, 0));
  }
}

static const char *positive_feature(Gen *g, const Sight *s, const Atom *must) {
  static const char *const f[] = {"relu(%s)", "sigmoid(%s)", "softplus(%s)", "(elu(%s) + 1)", "sq(%s)", "exp(%s)"};
  switch (below(g, 6)) {
  case 0: return TEXT(g, "relu(%s)", feature(g, s, must));
  case 1: return TEXT(g, "sigmoid(%s)", feature(g, s, must));
  case 2: return TEXT(g, "softplus(%s)", feature(g, s, must));
  case 3: return TEXT(g, "(elu(%s) + 1)", feature(g, s, must));
  case 4: return TEXT(g, "sq(%s)", feature(g, s, must));
  default: (void)f; return TEXT(g, "exp(%s)", feature(g, s, must));
  }
}

/* A sum of products of a factor of the plates and one of the edge, perhaps fading with what lies between them. */
static const char *factored(Gen *g, const Atom *e) {
  Sight plates = {0}, one = {.n = 1};
  see_plates(g, &plates);
  one.atoms[0] = *e;
  const char *sum = TEXT(g, "dot(%s, %s)", positive_feature(g, &plates, NULL), positive_feature(g, &one, e));
  const char *i = plates.n ? plates.atoms[below(g, plates.n)].text : "2";
  switch (below(g, 5)) {
  case 0: return TEXT(g, "exp(-0.%u * (%s - %s)) * %s", 1 + below(g, 9), i, e->text, sum);
  case 1:
    return TEXT(g, "exp(%s - %s) * %s", element(g, &plates, "x", "", NULL, 0), element(g, &one, "x", "", e, 0), sum);
  case 2: return TEXT(g, "%s * %s", element(g, &one, "p", "", e, 0), sum);
  default: return sum;
  }
}

static const char *weight(Gen *g, const Sight *s, uint32_t deep) {
  static const char *const kinds[] = {"sum", "prod"};
  const Atom *e = pick_edge(g, s);
  if (e && e->none && chance(g, 40))
    return TEXT(g, "(if %s == none then %s else exp(%s))", e->text, element(g, s, "p", "", NULL, 0), score(g, s, 1));
  if (e && chance(g, 25)) return factored(g, e);
  if (chance(g, 35)) return TEXT(g, "exp(%s)", score(g, s, deep ? deep : 1));
  if (!deep) return element(g, s, "p", "", e, 0);
  switch (below(g, g->nasty ? 16 : 14)) {
  case 0: return TEXT(g, "%s * %s", weight(g, s, deep - 1), weight(g, s, 0));
  case 1: return TEXT(g, "%s / (1 + %s)", weight(g, s, deep - 1), weight(g, s, 0));
  case 2:
    return TEXT(g, "(%s) ^ %s", weight(g, s, deep - 1),
                chance(g, 50)                ? "2"
                : g->no_nan || chance(g, 50) ? "0.5"
                                             : "-1");
  case 3: return TEXT(g, "(if %s then %s else %s)", condition(g, s, 1), weight(g, s, deep - 1), weight(g, s, 0));
  case 4: return TEXT(g, "(%s + %s)", weight(g, s, deep - 1), weight(g, s, deep - 1));
  case 5: case 6: return TEXT(g, "dot(%s, %s)", positive_feature(g, s, NULL), positive_feature(g, s, e));
  case 7: return element(g, s, "z", "", e, 0);
  case 8: return TEXT(g, "(1 + sum(sq(%s - %s)) / 3) ^ -2", feature(g, s, NULL), feature(g, s, e));
  case 9: return reduction(g, s, deep - 1, kinds, 2, weight);
  case 10: return TEXT(g, "sigmoid(%s)", score(g, s, 1));
  case 11: return TEXT(g, "softplus(%s)", score(g, s, 1));
  case 12: return TEXT(g, "sq(%s)", real(g, s, 1));
  case 13: return TEXT(g, "relu(%s)", real(g, s, 1));
  case 14: return TEXT(g, "%s * %s", element(g, s, "z", "", e, 0), element(g, s, g->no_nan ? "p" : "n", "", e, 0));
  default: return element(g, s, g->no_nan ? "p" : "x", "", e, 0);
  }
}

/* ---- weight statements --------------------------------------------------------------------------------------- */

static void observe(Gen *g, const Sight *data, const Sight *s) {
  const char *mu = element(g, s, "x", "", pick_edge(g, s), 0), *sd = element(g, s, "p", "", NULL, 0);
  switch (below(g, 9)) {
  case 0: case 1: line(g, TEXT(g, "observe %s ~ normal(%s, %s)", real_input(g, data), mu, sd)); return;
  case 2: line(g, TEXT(g, "observe %s ~ laplace(%s, %s)", real_input(g, data), mu, sd)); return;
  case 3: line(g, TEXT(g, "observe %s ~ student_t(3, %s, %s)", real_input(g, data), mu, sd)); return;
  case 4: line(g, TEXT(g, "observe %s ~ exponential(exp(%s))", element(g, data, "p", "", NULL, 0), mu)); return;
  case 5: line(g, TEXT(g, "observe %s ~ gamma(%s, exp(%s))", element(g, data, "p", "", NULL, 0), sd, mu)); return;
  case 6: line(g, TEXT(g, "observe %s ~ beta(1 + sq(%s), %s)", element(g, data, "u", "", NULL, 0), mu, sd)); return;
  case 7: line(g, TEXT(g, "observe %s ~ poisson(exp(%s))", element(g, data, "c", "int", NULL, 0), mu)); return;
  default:
    line(g, TEXT(g, "observe %s ~ normal(%s, %s)", feature(g, data, NULL), feature(g, s, pick_edge(g, s)), sd));
    return;
  }
}

static void weight_statement(Gen *g, const Sight *s) {
  Sight data = {.n = 0};
  see_plates(g, &data);
  switch (below(g, 8)) {
  case 0: observe(g, &data, s); return;
  case 1: line(g, TEXT(g, "require %s", condition(g, s, 1))); return;
  case 2: case 3: line(g, TEXT(g, "potential %s", weight(g, s, 2))); return;
  default: line(g, TEXT(g, "potential exp(%s)", score(g, s, 2))); return;
  }
}

/* What the log weight of a prior may use beside the edge itself: the plates and earlier edges. */
static void prior_line(Gen *g, const EdgeInfo *e, const Sight *s) {
  const char *prob = element(g, s, "u", "", NULL, 0);
  if (e->size == '2') {
    switch (below(g, 4)) {
    case 0: line(g, TEXT(g, "prior %s ~ bernoulli(%s)", e->name, prob)); return;
    case 1: line(g, TEXT(g, "prior %s ~ bernoulli_logit(%s)", e->name, score(g, s, 1))); return;
    case 2: line(g, TEXT(g, "prior %s ~ logits(%s)", e->name, score(g, s, 1))); return;
    default: line(g, TEXT(g, "prior %s ~ weights(%s)", e->name, weight(g, s, 1))); return;
    }
  }
  const char *left = e->name;
  if (g->depth && chance(g, 40)) left = TEXT(g, "%s - %s", g->plates[g->depth - 1].name, e->name);
  else if (g->depth && chance(g, 30)) left = TEXT(g, "abs(%s - %s)", e->name, g->plates[g->depth - 1].name);
  Sight data = {.n = 0};
  see_plates(g, &data);
  const char *stop = chance(g, 50) ? prob : TEXT(g, "sigmoid(%s)", score(g, s, 1));
  prob = element(g, &data, "u", "", NULL, 0);
  switch (below(g, 12)) {
  case 10: case 11: line(g, TEXT(g, "prior %s ~ stick_breaking(%s)", e->name, stop)); return;
  case 0: line(g, TEXT(g, "prior %s ~ uniform()", e->name)); return;
  case 1: case 2: line(g, TEXT(g, "prior %s ~ weights(%s)", e->name, weight(g, s, 1))); return;
  case 3: case 4: line(g, TEXT(g, "prior %s ~ logits(%s)", e->name, score(g, s, 1))); return;
  case 5: line(g, TEXT(g, "prior %s ~ geometric(%s)", left, prob)); return;
  case 6:
    line(g, TEXT(g, "prior %s ~ beta_geometric(%s, %s)", left, element(g, &data, "p", "", NULL, 0),
                 literal(g)[0] == '2' ? "2" : "1.5"));
    return;
  case 7: line(g, TEXT(g, "prior %s ~ poisson(%s)", left, element(g, &data, "p", "", NULL, 0))); return;
  case 8: line(g, TEXT(g, "prior %s ~ binomial(%u, %s)", left, 2 + below(g, 4), prob)); return;
  default: {
    if (!e->plain) return;
    const Atom *a = pick(g, &data);
    char dims[2] = {a ? a->size : e->size, e->size};
    const char *name = declare(g, input_name(g, "p", dims + !a, 2u - !a), "", dims + !a, 2u - !a);
    line(g, a ? TEXT(g, "prior %s ~ categorical(%s[%s])", e->name, name, a->text)
              : TEXT(g, "prior %s ~ categorical(%s)", e->name, name));
  }
  }
}

static void prior(Gen *g, const EdgeInfo *e, const Sight *s) {
  g->no_nan = true;
  prior_line(g, e, s);
  g->no_nan = false;
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static const Atom *whole_atom(Gen *g, const Sight *s, bool edge) {
  for (int k = 0; k < 6; k++) {
    const Atom *a = pick(g, s);
    if (a && a->edge == edge && a->size != '2' && !a->none) return a;
  }
  return NULL;
}

/* The domain of an edge, its size, and whether it covers all of it. */
static const char *domain(Gen *g, const Sight *s, char *size, bool *plain) {
  *size = a_size(g);
  *plain = false;
  const Atom *a = whole_atom(g, s, false), *b = whole_atom(g, s, true);
  switch (below(g, 14)) {
  case 0: case 1: *size = '2'; return "bit";
  case 2: return TEXT(g, "1..%c", *size);
  case 3: if (a) { *size = a->size; return TEXT(g, "0..%s + 1", a->text); } break;
  case 4: if (a) { *size = a->size; return TEXT(g, "%s..%c", a->text, *size); } break;
  case 5: if (a) { *size = a->size; return TEXT(g, "max(%s - 2, 0)..min(%s + 2, %c)", a->text, a->text, *size); } break;
  case 6:
    if (a) {
      Sight d = {.n = 1};
      d.atoms[0] = *a;
      return TEXT(g, "%s..%c", element(g, &d, TEXT(g, "t%c", *size), "int", NULL, 0), *size);
    }
    break;
  case 7:
    if (b) {
      *size = b->size;
      return chance(g, 50) ? TEXT(g, "0..%s + 1", b->text) : TEXT(g, "%s..%c", b->text, *size);
    }
    break;
  case 8: if (a) {
      char dims[2] = {a->size, *size};
      return TEXT(g, "%s[%s]", declare(g, input_name(g, "g", dims, 2), "graph", dims, 2), a->text);
    } break;
  case 9: if (b && chance(g, 60)) {
      char dims[2] = {b->size, *size};
      return TEXT(g, "%s[%s]", declare(g, input_name(g, "g", dims, 2), "graph", dims, 2), b->text);
    } break;
  default: break;
  }
  if (a && chance(g, 40)) *size = a->size;
  *plain = true;
  return TEXT(g, "%c", *size);
}

/* A prefix or a suffix that moves with a plate. */
static const char *moving_bound(Gen *g, const char *name) {
  static const char *const ops[] = {"<=", "<", ">=", ">"};
  return TEXT(g, "%s %s %s + %u", name, ops[below(g, 4)], g->plates[below(g, g->depth)].name, below(g, 3));
}

static EdgeInfo edge(Gen *g, const Sight *before) {
  EdgeInfo e = {.name = fresh(g, "e"), .depth = g->depth};
  memcpy(e.plates, g->plates, sizeof e.plates);
  const char *text = domain(g, before, &e.size, &e.plain);
  e.none = e.size != '2' && chance(g, 22);
  Sight s = *before;
  see(&s, (Atom){e.name, e.size, false, true});
  const char *where = chance(g, 35) ? TEXT(g, " where %s", condition(g, &s, 1)) : "";
  if (g->depth && chance(g, 30)) where = TEXT(g, " where %s", moving_bound(g, e.name));
  line(g, TEXT(g, "edge %s in %s%s%s", e.name, text, e.none ? " or none" : "", where));
  return e;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* An expression of order one over copies of edges, for the inside of E. */
static const char *value(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = pick_edge(g, s);
  if (!deep || chance(g, 25)) {
    if (e && chance(g, 15)) return e->text;
    return chance(g, 15) ? element(g, s, "c", "int", e, 0) : element(g, s, "v", "", e, 0);
  }
  switch (below(g, 8)) {
  case 0: case 1: return TEXT(g, "%s * %s", value(g, s, deep - 1), value(g, s, 0));
  case 2: return TEXT(g, "(%s + %s)", value(g, s, deep - 1), value(g, s, deep - 1));
  case 3: return bounded(g, value(g, s, deep - 1));
  case 4: return TEXT(g, "(if %s then %s else %s)", condition(g, s, 1), value(g, s, deep - 1), value(g, s, 0));
  default: return real(g, s, deep);
  }
}

static const char *vector_value(Gen *g, const Sight *s) {
  const char *v = element(g, s, "v", "", pick_edge(g, s), 'C');
  switch (below(g, 6)) {
  case 0: return TEXT(g, "%s * %s", value(g, s, 1), v);
  case 1: return TEXT(g, "(%s + %s)", v, element(g, s, "v", "", NULL, 'C'));
  case 2: return TEXT(g, "tanh(%s)", v);
  case 3: return TEXT(g, "sq(%s)", v);
  default: return v;
  }
}

/* A value of two axes. */
static const char *matrix_value(Gen *g, const Sight *s) {
  const char *v = part_of(g, s, "v", "", pick_edge(g, s), "CD");
  switch (below(g, 4)) {
  case 0: return TEXT(g, "%s * %s", value(g, s, 1), v);
  case 1: return TEXT(g, "(%s - %s)", v, part_of(g, s, "v", "", NULL, "CD"));
  case 2: return TEXT(g, "sq(%s)", v);
  default: return v;
  }
}

/* The copies of an edge where the block stands: bare, at another index, through a value of an edge. */
static void see_copy(Gen *g, Sight *s, const EdgeInfo *e) {
  see(s, (Atom){e->name, e->size, e->none, true});
  (void)g;
}

static void see_hop(Gen *g, Sight *s, const EdgeInfo *e) {
  const Plate *p = e->depth ? &e->plates[e->depth - 1] : NULL;
  if (!p || !p->whole || e->size != p->size || e->none) return;
  const char *hop = TEXT(g, "%s[%s]", e->name, e->name);
  see(s, (Atom){hop, e->size, false, true});
  if (chance(g, 30)) see(s, (Atom){TEXT(g, "%s[%s]", e->name, hop), e->size, false, true});
}

/* The left side of an output in the current plates, with `own` (text or NULL) among the slots. */
static const char *target(Gen *g, const char *own) {
  const char *slots[MAX_PLATES + 1];
  uint32_t n = 0;
  for (uint32_t i = 0; i < g->depth; i++) slots[n++] = g->plates[i].name;
  if (own) slots[n++] = own;
  const char *list = "";
  for (uint32_t left = n; left; left--) {
    uint32_t k = chance(g, 60) ? 0 : below(g, left);
    list = TEXT(g, "%s%s%s", list, left < n ? ", " : "", slots[k]);
    for (uint32_t i = k; i + 1 < left; i++) slots[i] = slots[i + 1];
  }
  g->outs++;
  return n ? TEXT(g, "out %s[%s]", fresh(g, "o"), list) : TEXT(g, "out %s", fresh(g, "o"));
}

static bool all_fixed(const Gen *g) {
  for (uint32_t i = 0; i < g->depth; i++)
    if (!g->plates[i].fixed) return false;
  return true;
}

static void joint_query(Gen *g, const EdgeInfo *here, uint32_t n, const char *fn) {
  const char *names = "";
  bool some = false;
  for (uint32_t i = 0; i < n; i++)
    if (chance(g, 60)) {
      names = TEXT(g, "%s%s%s", names, some ? ", " : "", here[i].name);
      some = true;
    }
  line(g, TEXT(g, "%s = %s(%s)", target(g, NULL), fn, some ? names : here[0].name));
}

/* A let without indices: a query or a value of edges, used in what follows. */
static void abbreviation(Gen *g, const Sight *s) {
  const char *name = fresh(g, "s");
  if (chance(g, 50)) {
    line(g, TEXT(g, "let %s = %s[%s]", name, chance(g, 70) ? "E" : "P", condition(g, s, 1)));
    line(g, TEXT(g, "%s = %s + E[%s]", target(g, NULL), name, value(g, s, 1)));
  } else {
    line(g, TEXT(g, "let %s = %s", name, vector_value(g, s)));
    line(g, TEXT(g, "%s = E[%s * sum(%s)]", target(g, NULL), value(g, s, 1), name));
  }
}

static void output(Gen *g, const Sight *s, const EdgeInfo *here, uint32_t n, bool logz) {
  const EdgeInfo *e = &here[below(g, n)];
  const char *j = fresh(g, "j");
  switch (below(g, 17)) {
  case 0: case 1: case 2: line(g, TEXT(g, "%s = E[%s]", target(g, NULL), value(g, s, 2))); return;
  case 3: case 4: line(g, TEXT(g, "%s = E[%s]", target(g, NULL), vector_value(g, s))); return;
  case 5: line(g, TEXT(g, "%s = %c[%s]", target(g, NULL), "PPE"[below(g, 3)], condition(g, s, 2))); return;
  case 6: {
    const Atom *a = pick_edge(g, s);
    const char *range = a->size == '2' ? "2" : chance(g, 80) ? TEXT(g, "%c", a->size) : TEXT(g, "1..%c", a->size);
    line(g, TEXT(g, "%s = P[%s == %s]", target(g, TEXT(g, "%s in %s", j, range)), a->text, j));
    return;
  }
  case 7: line(g, TEXT(g, "%s = %s(%s)", target(g, NULL), chance(g, 85) ? "mode" : "sample", e->name)); return;
  case 8: joint_query(g, here, n, "entropy"); return;
  case 9: line(g, TEXT(g, "%s = count(%s)", target(g, NULL), e->name)); return;
  case 10: joint_query(g, here, n, "kl"); return;
  case 11:
    if (logz)
      line(g, TEXT(g, "%s = logZ%s", target(g, NULL), chance(g, 30) ? TEXT(g, " + log(1 + count(%s))", e->name) : ""));
    return;
  case 12: {
    const char *v = value(g, s, 1);
    line(g, TEXT(g, "%s = E[sq(%s)] - sq(E[%s])", target(g, NULL), v, v));
    return;
  }
  case 13:
    line(g, chance(g, 40) ? TEXT(g, "%s = E[%s]", target(g, NULL), matrix_value(g, s))
                          : TEXT(g, "%s = norm(E[%s])", target(g, NULL), vector_value(g, s)));
    return;
  case 14: case 15: { /* another copy, named by an index of the output */
    if (!e->depth || !e->plates[e->depth - 1].fixed) return;
    Sight two = *s;
    see(&two, (Atom){TEXT(g, "%s[%s]", e->name, j), e->size, e->none, true});
    see(&two, (Atom){j, e->plates[e->depth - 1].size, false, false});
    line(g, TEXT(g, "%s = E[%s]", target(g, TEXT(g, "%s in %s", j, e->plates[e->depth - 1].range)), value(g, &two, 2)));
    return;
  }
  default: { /* a sum over the copies of a plate */
    if (!e->depth) return;
    Sight two = *s;
    see(&two, (Atom){TEXT(g, "%s[%s]", e->name, j), e->size, e->none, true});
    see(&two, (Atom){j, e->plates[e->depth - 1].size, false, false});
    bool inside = chance(g, 50);
    const char *sum = TEXT(g, "sum(%s in %s)", j, e->plates[e->depth - 1].range), *v = value(g, &two, 1);
    line(g, inside ? TEXT(g, "%s = E[%s %s]", target(g, NULL), sum, v)
                   : TEXT(g, "%s = %s E[%s]", target(g, NULL), sum, v));
  }
  }
}

/* Queries outside all plates, about all copies. */
static void outer_output(Gen *g, const EdgeInfo *e) {
  const char *copy = "", *binders = "";
  Sight s = {.n = 0};
  for (uint32_t i = 0; i < e->depth; i++) {
    const char *name = e->plates[i].name;
    binders = TEXT(g, "%s%s%s in %s", binders, i ? ", " : "", name, e->plates[i].range);
    copy = TEXT(g, "%s%s%s", copy, i ? ", " : "", name);
    see(&s, (Atom){name, e->plates[i].size, false, false});
  }
  see(&s, (Atom){e->depth ? TEXT(g, "%s[%s]", e->name, copy) : e->name, e->size, e->none, true});
  const char *sum = e->depth ? TEXT(g, "sum(%s) ", binders) : "";
  switch (below(g, 6)) {
  case 0: line(g, TEXT(g, "%s = %sE[%s]", target(g, NULL), sum, value(g, &s, 1))); return;
  case 1: line(g, TEXT(g, "%s = E[%s%s]", target(g, NULL), sum, value(g, &s, 1))); return;
  case 2: line(g, TEXT(g, "%s = %sP[%s]", target(g, NULL), sum, condition(g, &s, 1))); return;
  case 3: line(g, TEXT(g, "%s = logZ", target(g, NULL))); return;
  case 4: line(g, TEXT(g, "%s = %s(%s)", target(g, NULL), chance(g, 50) ? "kl" : "entropy", e->name)); return;
  default: line(g, TEXT(g, "%s = count(%s)", target(g, NULL), e->name)); return;
  }
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void block(Gen *g);

static void for_block(Gen *g) {
  Plate p = {.name = fresh(g, "i"), .size = a_size(g), .fixed = true};
  Plate *outer = g->depth ? &g->plates[g->depth - 1] : NULL;
  uint32_t form = below(g, 10);
  p.range = TEXT(g, "%c", p.size);
  p.whole = true;
  if (form == 0) {
    p.range = TEXT(g, "1..%c", p.size);
    p.whole = false;
  } else if (form == 1 && outer) {
    p = (Plate){p.name, TEXT(g, "0..%s + 1", outer->name), outer->size, false, false};
  } else if (form == 2 && outer) {
    char dims[2] = {outer->size, p.size};
    const char *graph = declare(g, input_name(g, "g", dims, 2), "graph", dims, 2);
    p = (Plate){p.name, TEXT(g, "%s[%s]", graph, outer->name), p.size, false, false};
  } else if (form == 3 && outer) {
    Sight s = {.n = 1};
    s.atoms[0] = (Atom){outer->name, outer->size, false, false};
    p = (Plate){p.name, TEXT(g, "0..%s", element(g, &s, TEXT(g, "t%c", p.size), "int", NULL, 0)), p.size, false, false};
  }
  line(g, TEXT(g, "for %s in %s {", p.name, p.range));
  g->plates[g->depth++] = p;
  block(g);
  g->depth--;
  line(g, "}");
}

/* Weights of edges already declared, repeated over a deeper plate. */
static void deeper_weight(Gen *g, const Sight *s) {
  Plate p = {.name = fresh(g, "i"), .size = a_size(g), .fixed = true};
  p.range = TEXT(g, "%c", p.size);
  line(g, TEXT(g, "for %s in %s {", p.name, p.range));
  g->plates[g->depth++] = p;
  Sight inner = *s;
  see(&inner, (Atom){p.name, p.size, false, false});
  weight_statement(g, &inner);
  g->depth--;
  line(g, "}");
}

static void derived_array(Gen *g) {
  const char *j = fresh(g, "j"), *name = fresh(g, "xl");
  char size = a_size(g);
  Sight s = {.n = 0};
  see_plates(g, &s);
  see(&s, (Atom){j, size, false, false});
  line(g, TEXT(g, "let %s[%s in %c] = %s", name, j, size, real(g, &s, 2)));
  Sight use = {.n = 0};
  see_plates(g, &use);
  char dims[1] = {size};
  (void)dims;
  /* used at once by an output of its own, so that it is never idle */
  if (all_fixed(g) && chance(g, 50)) line(g, TEXT(g, "%s = %s[%s]", target(g, TEXT(g, "%s in %c", j, size)), name, j));
}

static void own_edges(Gen *g, Sight *together, EdgeInfo *here, uint32_t n, bool coupled) {
  Sight plates = {.n = 0};
  see_plates(g, &plates);
  *together = plates;
  for (uint32_t i = 0; i < n; i++) {
    here[i] = edge(g, coupled && chance(g, 50) ? together : &plates);
    Sight alone = plates;
    Sight *with = coupled && chance(g, 50) ? together : &alone;
    Sight s = *with;
    see(&s, (Atom){here[i].name, here[i].size, here[i].none, true});
    if (chance(g, 60)) prior(g, &here[i], &s);
    see_copy(g, together, &here[i]);
    vec_push(g->arena, &g->edges, here[i]);
  }
}

static void infer_line(Gen *g, const EdgeInfo *here, uint32_t n) {
  const char *names = "";
  for (uint32_t i = 0; i < n; i++) names = TEXT(g, "%s%s%s", names, i ? ", " : "", here[i].name);
  line(g, chance(g, 65) ? TEXT(g, "infer %s by mode", names)
                        : TEXT(g, "infer %s by sample(n = %u, seed = %u)", names, 1 + below(g, 4), below(g, 3)));
}

static void block(Gen *g) {
  Sight all;
  EdgeInfo here[3];
  static const uint32_t counts[] = {1, 1, 1, 1, 2, 2, 2, 3, 3, 0};
  uint32_t n = counts[below(g, 10)];
  if (g->depth < 2 && chance(g, 20)) for_block(g);
  if (chance(g, 15)) derived_array(g);
  bool coupled = n > 1 && chance(g, 60);
  own_edges(g, &all, here, n, coupled);
  if (!n) {
    if (g->depth < MAX_PLATES) for_block(g);
    return;
  }
  uint32_t weights = below(g, 3) + (n > 1 && coupled);
  for (uint32_t i = 0; i < weights; i++) {
    Sight s = {.n = 0};
    see_plates(g, &s);
    uint32_t k = below(g, n), l = below(g, n);
    see_copy(g, &s, &here[k]);
    if (coupled && l != k) see_copy(g, &s, &here[l]);
    if (chance(g, 15) && g->depth < MAX_PLATES) deeper_weight(g, &s);
    else weight_statement(g, &s);
  }
  if (chance(g, 6)) {
    Sight s = {.n = 0};
    see_plates(g, &s);
    line(g, TEXT(g, "potential %s", weight(g, &s, 1)));
  }
  if (chance(g, 6)) infer_line(g, here, n);
  if (all_fixed(g)) {
    uint32_t outs = 1 + below(g, 4);
    for (uint32_t i = 0; i < outs; i++) {
      Sight s = all;
      if (chance(g, 15)) see_hop(g, &s, &here[below(g, n)]);
      if (chance(g, 8)) abbreviation(g, &s);
      output(g, &s, here, n, true);
    }
  }
  if (g->depth < 2 && chance(g, 10)) for_block(g);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static const char *one_model(Arena *arena, uint64_t seed, const char *model, bool *has_def) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 77}}, *g = &gen;
  g->nasty = chance(g, 25);
  g->has_def = chance(g, 20);
  if (chance(g, 90)) for_block(g);
  else block(g);
  if (chance(g, 15)) for_block(g);
  uint32_t outer = g->outs ? below(g, 3) : 2;
  for (uint32_t i = 0; i < outer && g->edges.n; i++) outer_output(g, &g->edges.at[below(g, g->edges.n)]);
  const char *text = TEXT(g, "model %s(M, N, K, L, D, C) {\n", model);
  for (uint32_t i = 0; i < g->inputs.n; i++)
    text = TEXT(g, "%s  %s %s\n", text, g->inputs.at[i].param ? "param" : "data", g->inputs.at[i].text);
  for (uint32_t i = 0; i < g->lines.n; i++) text = TEXT(g, "%s%s\n", text, g->lines.at[i]);
  *has_def |= g->has_def;
  return TEXT(g, "%s}\n", text);
}

static const char *const DEFS =
  "def squash(a, c) = c * tanh(a / c)\n"
  "def pick(c, a, b) = if c then a else b - a\n"
  "def near(a, b) = -sum(sq(a - b)) / (1 + norm(b))\n";

const char *generate_model(Arena *arena, uint64_t seed) {
  bool has_def = false;
  const char *text = one_model(arena, seed, "m", &has_def);
  if (seed % 16 == 5)
    text = arena_printf(arena, "%s%s", text, one_model(arena, seed + (UINT64_C(1) << 40), "second", &has_def));
  return has_def ? arena_printf(arena, "%s%s", DEFS, text) : text;
}
