/* generate_real: expressions: ints, conditions, reals, scores and weights. */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- ints, conditions, reals ---------------------------------------------------------------------------- */

static const char *an_int(Gen *g, const Sight *s, uint32_t deep);
static const char *int_leaf(Gen *g, const Sight *s) {
  const Atom *a = gen_pick(g, s);
  if (!a || gen_chance(g, 20)) return TEXT(g, "%u", gen_below(g, 4));
  if (gen_chance(g, 12)) return gen_element(g, s, TEXT(g, "t%c", gen_a_size(g)), "int", NULL, 0);
  return a->text;
}

static const char *an_int(Gen *g, const Sight *s, uint32_t deep) {
  if (!deep || gen_chance(g, 35)) return int_leaf(g, s);
  const char *a = an_int(g, s, deep - 1), *b = an_int(g, s, deep - 1);
  switch (gen_below(g, 10)) {
  case 0: return TEXT(g, "(%s + %s)", a, b);
  case 1: return TEXT(g, "(%s - %s)", a, b);
  case 2: return TEXT(g, "(%s // %u)", a, 2 + gen_below(g, 2));
  case 3: return TEXT(g, "(%s %% %u)", a, 2 + gen_below(g, 3));
  case 4: return TEXT(g, "abs(%s - %s)", a, b);
  case 5: return TEXT(g, "min(%s, %s)", a, b);
  case 6: return TEXT(g, "max(%s, %s)", a, b);
  case 7: return TEXT(g, "clamp(%s, %u, %u)", a, gen_below(g, 2), 1 + gen_below(g, 3));
  case 8: return TEXT(g, "(if %s then %s else %s)", gen_condition(g, s, deep - 1), a, b);
  default: return TEXT(g, "floor(%s * %u)", gen_real_input(g, s), 1u << gen_below(g, 3));
  }
}

/* A new atom made of others: a table look-up, a clamped bucket. */
static Atom derived_atom(Gen *g, const Sight *s) {
  char size = gen_a_size(g);
  if (gen_chance(g, 50)) return (Atom){gen_element(g, s, TEXT(g, "t%c", size), "int", NULL, 0), size, false, false};
  return (Atom){TEXT(g, "clamp(%s, 0, %c - 1)", an_int(g, s, 2), size), size, false, false};
}

static const char *compare(Gen *g) {
  static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
  return ops[gen_below(g, 6)];
}

const char *gen_condition(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = gen_pick_edge(g, s);
  if (e && e->none && gen_chance(g, 25)) return TEXT(g, "%s %s none", e->text, gen_chance(g, 50) ? "==" : "!=");
  if (deep && gen_chance(g, 30)) {
    const char *a = gen_condition(g, s, deep - 1), *b = gen_condition(g, s, deep - 1);
    switch (gen_below(g, 4)) {
    case 0: return TEXT(g, "(%s and %s)", a, b);
    case 1: return TEXT(g, "(%s or %s)", a, b);
    case 2: return TEXT(g, "not (%s)", a);
    default: return TEXT(g, "(not (%s) or %s)", a, b);
    }
  }
  switch (gen_below(g, 6)) {
  case 0: return gen_element(g, s, "f", "bool", e, 0);
  case 1: return TEXT(g, "%s > 0", gen_element(g, s, "z", "", e, 0));
  case 2: return TEXT(g, "%s < %s", gen_real_input(g, s), gen_chance(g, 50) ? "0.5" : gen_real_input(g, s));
  case 3: return TEXT(g, "%s %s %s", e ? e->text : an_int(g, s, 1), compare(g), int_leaf(g, s));
  default: return TEXT(g, "%s %s %s", an_int(g, s, 1), compare(g), an_int(g, s, 1));
  }
}

const char *gen_literal(Gen *g) {
  static const char *const l[] = {"0.5", "2", "-1", "1.5", "0.25", "3", "-0.75", "1"};
  return l[gen_below(g, 8)];
}

/* sum(j in ..) body with the new index in sight. */
static const char *reduction(Gen *g, const Sight *s, uint32_t deep, const char *const *kinds, uint32_t nkinds,
                             const char *(*body)(Gen *g, const Sight *s, uint32_t deep)) {
  const char *j = gen_fresh(g, "j"), *kind = kinds[gen_below(g, nkinds)];
  char size = gen_a_size(g);
  const Atom *a = gen_pick(g, s);
  const char *range = TEXT(g, "%c", size);
  if (a && a->size != '2' && gen_chance(g, 35)) {
    size = a->size;
    range = gen_chance(g, 70) ? TEXT(g, "0..%s + 1", a->text) : TEXT(g, "%s..%c", a->text, size);
  } else if (gen_chance(g, 25))
    range = TEXT(g, "1..%c", size);
  Sight inner = *s;
  gen_see(&inner, (Atom){j, size, false, false});
  return TEXT(g, "(%s(%s in %s) %s)", kind, j, range, body(g, &inner, deep));
}

const char *gen_feature(Gen *g, const Sight *s, const Atom *must) { return gen_element(g, s, "q", "", must, 'D'); }

/* A bounded function of a real: values stay of order one. */
const char *gen_bounded(Gen *g, const char *a) {
  static const char *const fns[] = {"tanh", "sigmoid", "sin",  "cos",        "relu", "softplus",
                                    "abs",  "elu",     "gelu", "leaky_relu", "erf",  "sq"};
  return TEXT(g, "%s(%s)", fns[gen_below(g, 12)], a);
}

const char *gen_real(Gen *g, const Sight *s, uint32_t deep) {
  static const char *const sums[] = {"sum", "sum", "sum", "max", "min", "prod"};
  if (!deep || gen_chance(g, 25)) {
    if (gen_chance(g, 15)) return gen_literal(g);
    if (gen_chance(g, 15)) return an_int(g, s, 1);
    return gen_real_input(g, s);
  }
  const char *a = gen_real(g, s, deep - 1);
  switch (gen_below(g, 14)) {
  case 0:
  case 1: return TEXT(g, "(%s + %s)", a, gen_real(g, s, deep - 1));
  case 2: return TEXT(g, "(%s - %s)", a, gen_real(g, s, deep - 1));
  case 3:
  case 4: return TEXT(g, "%s * %s", a, gen_real(g, s, 0));
  case 5: return TEXT(g, "%s / (1 + sq(%s))", a, gen_real(g, s, deep - 1));
  case 6:
  case 7: return gen_bounded(g, a);
  case 8: return TEXT(g, "(if %s then %s else %s)", gen_condition(g, s, 1), a, gen_real(g, s, deep - 1));
  case 9: return reduction(g, s, deep - 1, sums, 6, gen_real);
  case 10: return TEXT(g, "dot(%s, %s)", gen_feature(g, s, NULL), gen_feature(g, s, gen_pick_edge(g, s)));
  case 11: {
    Sight one = {.n = 1};
    one.atoms[0] = derived_atom(g, s);
    return gen_real_input(g, &one);
  }
  case 12:
    if (!g->has_def) return TEXT(g, "exp(-sq(%s))", a);
    return gen_chance(g, 50) ? TEXT(g, "squash(%s, 2)", a)
                             : TEXT(g, "pick(%s, %s, %s)", gen_condition(g, s, 1), a, gen_real(g, s, 0));
  default: return TEXT(g, "max(%s, %s)", a, gen_real(g, s, deep - 1));
  }
}

/* ---- scores and weights ----------------------------------------------------------------------------------- */

const char *gen_score(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = gen_pick_edge(g, s);
  switch (gen_below(g, g->nasty ? 16 - g->no_nan : 13)) {
  case 0:
  case 1:
  case 2: {
    const char *a = gen_feature(g, s, NULL), *b = gen_feature(g, s, e);
    return g->has_def && gen_chance(g, 40) ? TEXT(g, "near(%s, %s)", a, b) : TEXT(g, "dot(%s, %s) / sqrt(D)", a, b);
  }
  case 3: return TEXT(g, "-0.5 * sum(sq(%s - %s))", gen_feature(g, s, NULL), gen_feature(g, s, e));
  case 4: return gen_element(g, s, "x", "", e, 0);
  case 5: return TEXT(g, "-%s * abs(%s)", gen_element(g, s, "p", "", NULL, 0), an_int(g, s, 1));
  case 6: {
    Sight one = {.n = 1};
    one.atoms[0] = derived_atom(g, s);
    return gen_real_input(g, &one);
  }
  case 7:
    return deep ? TEXT(g, "(if %s then %s else %s)", gen_condition(g, s, 1), gen_score(g, s, deep - 1),
                       gen_score(g, s, deep - 1))
                : gen_element(g, s, "x", "", e, 0);
  case 8:
  case 9:
    return deep ? TEXT(g, "%s %c %s", gen_score(g, s, deep - 1), "+-"[!g->no_nan && gen_chance(g, 30)],
                       gen_score(g, s, 0))
                : gen_element(g, s, "v", "", e, 0);
  case 10: return TEXT(g, "log(%s)", gen_element(g, s, "p", "", e, 0));
  case 11:
  case 12: return TEXT(g, "0.5 * %s", gen_real(g, s, deep));
  case 13:
    return TEXT(g, "%s + %s", gen_element(g, s, "h", "", e, 0),
                deep ? gen_score(g, s, deep - 1) : gen_element(g, s, "x", "", e, 0));
  case 14: return gen_element(g, s, "b", "", e, 0);
  default: return TEXT(g, "%s + %s", gen_element(g, s, "n", "", e, 0), gen_element(g, s, "h", "", e, 0));
  }
}

static const char *positive_feature(Gen *g, const Sight *s, const Atom *must) {
  static const char *const f[] = {"relu(%s)", "sigmoid(%s)", "softplus(%s)", "(elu(%s) + 1)", "sq(%s)", "exp(%s)"};
  switch (gen_below(g, 6)) {
  case 0: return TEXT(g, "relu(%s)", gen_feature(g, s, must));
  case 1: return TEXT(g, "sigmoid(%s)", gen_feature(g, s, must));
  case 2: return TEXT(g, "softplus(%s)", gen_feature(g, s, must));
  case 3: return TEXT(g, "(elu(%s) + 1)", gen_feature(g, s, must));
  case 4: return TEXT(g, "sq(%s)", gen_feature(g, s, must));
  default: (void)f; return TEXT(g, "exp(%s)", gen_feature(g, s, must));
  }
}

/* A sum of products of a factor of the plates and one of the edge, perhaps fading with what lies between them. */
static const char *factored(Gen *g, const Atom *e) {
  Sight plates = {0}, one = {.n = 1};
  gen_see_plates(g, &plates);
  one.atoms[0] = *e;
  const char *sum = TEXT(g, "dot(%s, %s)", positive_feature(g, &plates, NULL), positive_feature(g, &one, e));
  const char *i = plates.n ? plates.atoms[gen_below(g, plates.n)].text : "2";
  switch (gen_below(g, 5)) {
  case 0: return TEXT(g, "exp(-0.%u * (%s - %s)) * %s", 1 + gen_below(g, 9), i, e->text, sum);
  case 1:
    return TEXT(g, "exp(%s - %s) * %s", gen_element(g, &plates, "x", "", NULL, 0), gen_element(g, &one, "x", "", e, 0),
                sum);
  case 2: return TEXT(g, "%s * %s", gen_element(g, &one, "p", "", e, 0), sum);
  default: return sum;
  }
}

const char *gen_weight(Gen *g, const Sight *s, uint32_t deep) {
  static const char *const kinds[] = {"sum", "prod"};
  const Atom *e = gen_pick_edge(g, s);
  if (e && e->none && gen_chance(g, 40))
    return TEXT(g, "(if %s == none then %s else exp(%s))", e->text, gen_element(g, s, "p", "", NULL, 0),
                gen_score(g, s, 1));
  if (e && gen_chance(g, 25)) return factored(g, e);
  if (gen_chance(g, 35)) return TEXT(g, "exp(%s)", gen_score(g, s, deep ? deep : 1));
  if (!deep) return gen_element(g, s, "p", "", e, 0);
  switch (gen_below(g, g->nasty ? 16 : 14)) {
  case 0: return TEXT(g, "%s * %s", gen_weight(g, s, deep - 1), gen_weight(g, s, 0));
  case 1: return TEXT(g, "%s / (1 + %s)", gen_weight(g, s, deep - 1), gen_weight(g, s, 0));
  case 2:
    return TEXT(g, "(%s) ^ %s", gen_weight(g, s, deep - 1),
                gen_chance(g, 50)                ? "2"
                : g->no_nan || gen_chance(g, 50) ? "0.5"
                                                 : "-1");
  case 3:
    return TEXT(g, "(if %s then %s else %s)", gen_condition(g, s, 1), gen_weight(g, s, deep - 1), gen_weight(g, s, 0));
  case 4: return TEXT(g, "(%s + %s)", gen_weight(g, s, deep - 1), gen_weight(g, s, deep - 1));
  case 5:
  case 6: return TEXT(g, "dot(%s, %s)", positive_feature(g, s, NULL), positive_feature(g, s, e));
  case 7: return gen_element(g, s, "z", "", e, 0);
  case 8: return TEXT(g, "(1 + sum(sq(%s - %s)) / 3) ^ -2", gen_feature(g, s, NULL), gen_feature(g, s, e));
  case 9: return reduction(g, s, deep - 1, kinds, 2, gen_weight);
  case 10: return TEXT(g, "sigmoid(%s)", gen_score(g, s, 1));
  case 11: return TEXT(g, "softplus(%s)", gen_score(g, s, 1));
  case 12: return TEXT(g, "sq(%s)", gen_real(g, s, 1));
  case 13: return TEXT(g, "relu(%s)", gen_real(g, s, 1));
  case 14:
    return TEXT(g, "%s * %s", gen_element(g, s, "z", "", e, 0), gen_element(g, s, g->no_nan ? "p" : "n", "", e, 0));
  default: return gen_element(g, s, g->no_nan ? "p" : "x", "", e, 0);
  }
}
