/* generate: see generate.h.  One function a syntactic role; each picks a form at random and fills it. */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- weight statements --------------------------------------------------------------------------------------- */

static void observe(Gen *g, const Sight *data, const Sight *s) {
  const char *mu = gen_element(g, s, "x", "", gen_pick_edge(g, s), 0), *sd = gen_element(g, s, "p", "", NULL, 0);
  switch (gen_below(g, 9)) {
  case 0:
  case 1: gen_line(g, TEXT(g, "observe %s ~ normal(%s, %s)", gen_real_input(g, data), mu, sd)); return;
  case 2: gen_line(g, TEXT(g, "observe %s ~ laplace(%s, %s)", gen_real_input(g, data), mu, sd)); return;
  case 3: gen_line(g, TEXT(g, "observe %s ~ student_t(3, %s, %s)", gen_real_input(g, data), mu, sd)); return;
  case 4: gen_line(g, TEXT(g, "observe %s ~ exponential(exp(%s))", gen_element(g, data, "p", "", NULL, 0), mu)); return;
  case 5:
    gen_line(g, TEXT(g, "observe %s ~ gamma(%s, exp(%s))", gen_element(g, data, "p", "", NULL, 0), sd, mu));
    return;
  case 6:
    gen_line(g, TEXT(g, "observe %s ~ beta(1 + sq(%s), %s)", gen_element(g, data, "u", "", NULL, 0), mu, sd));
    return;
  case 7: gen_line(g, TEXT(g, "observe %s ~ poisson(exp(%s))", gen_element(g, data, "c", "int", NULL, 0), mu)); return;
  default:
    gen_line(g, TEXT(g, "observe %s ~ normal(%s, %s)", gen_feature(g, data, NULL),
                     gen_feature(g, s, gen_pick_edge(g, s)), sd));
    return;
  }
}

static void weight_statement(Gen *g, const Sight *s) {
  Sight data = {.n = 0};
  gen_see_plates(g, &data);
  switch (gen_below(g, 8)) {
  case 0: observe(g, &data, s); return;
  case 1: gen_line(g, TEXT(g, "require %s", gen_condition(g, s, 1))); return;
  case 2:
  case 3: gen_line(g, TEXT(g, "potential %s", gen_weight(g, s, 2))); return;
  default: gen_line(g, TEXT(g, "potential exp(%s)", gen_score(g, s, 2))); return;
  }
}

/* What the log weight of a prior may use beside the edge itself: the plates and earlier edges. */
static void prior_line(Gen *g, const EdgeInfo *e, const Sight *s) {
  const char *prob = gen_element(g, s, "u", "", NULL, 0);
  if (e->size == '2') {
    switch (gen_below(g, 4)) {
    case 0: gen_line(g, TEXT(g, "prior %s ~ bernoulli(%s)", e->name, prob)); return;
    case 1: gen_line(g, TEXT(g, "prior %s ~ bernoulli_logit(%s)", e->name, gen_score(g, s, 1))); return;
    case 2: gen_line(g, TEXT(g, "prior %s ~ logits(%s)", e->name, gen_score(g, s, 1))); return;
    default: gen_line(g, TEXT(g, "prior %s ~ weights(%s)", e->name, gen_weight(g, s, 1))); return;
    }
  }
  const char *left = e->name;
  if (g->depth && gen_chance(g, 40))
    left = TEXT(g, "%s - %s", g->plates[g->depth - 1].name, e->name);
  else if (g->depth && gen_chance(g, 30))
    left = TEXT(g, "abs(%s - %s)", e->name, g->plates[g->depth - 1].name);
  Sight data = {.n = 0};
  gen_see_plates(g, &data);
  const char *stop = gen_chance(g, 50) ? prob : TEXT(g, "sigmoid(%s)", gen_score(g, s, 1));
  prob = gen_element(g, &data, "u", "", NULL, 0);
  switch (gen_below(g, 12)) {
  case 10:
  case 11: gen_line(g, TEXT(g, "prior %s ~ stick_breaking(%s)", e->name, stop)); return;
  case 0: gen_line(g, TEXT(g, "prior %s ~ uniform()", e->name)); return;
  case 1:
  case 2: gen_line(g, TEXT(g, "prior %s ~ weights(%s)", e->name, gen_weight(g, s, 1))); return;
  case 3:
  case 4: gen_line(g, TEXT(g, "prior %s ~ logits(%s)", e->name, gen_score(g, s, 1))); return;
  case 5: gen_line(g, TEXT(g, "prior %s ~ geometric(%s)", left, prob)); return;
  case 6:
    gen_line(g, TEXT(g, "prior %s ~ beta_geometric(%s, %s)", left, gen_element(g, &data, "p", "", NULL, 0),
                     gen_literal(g)[0] == '2' ? "2" : "1.5"));
    return;
  case 7: gen_line(g, TEXT(g, "prior %s ~ poisson(%s)", left, gen_element(g, &data, "p", "", NULL, 0))); return;
  case 8: gen_line(g, TEXT(g, "prior %s ~ binomial(%u, %s)", left, 2 + gen_below(g, 4), prob)); return;
  default: {
    if (!e->plain) return;
    const Atom *a = gen_pick(g, &data);
    char dims[2] = {a ? a->size : e->size, e->size};
    const char *name = gen_declare(g, gen_input_name(g, "p", dims + !a, 2u - !a), "", dims + !a, 2u - !a);
    gen_line(g, a ? TEXT(g, "prior %s ~ categorical(%s[%s])", e->name, name, a->text)
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
    const Atom *a = gen_pick(g, s);
    if (a && a->edge == edge && a->size != '2' && !a->none) return a;
  }
  return NULL;
}

/* The domain of an edge, its size, and whether it covers all of it. */
static const char *domain(Gen *g, const Sight *s, char *size, bool *plain) {
  *size = gen_a_size(g);
  *plain = false;
  const Atom *a = whole_atom(g, s, false), *b = whole_atom(g, s, true);
  switch (gen_below(g, 14)) {
  case 0:
  case 1: *size = '2'; return "bit";
  case 2: return TEXT(g, "1..%c", *size);
  case 3:
    if (a) {
      *size = a->size;
      return TEXT(g, "0..%s + 1", a->text);
    }
    break;
  case 4:
    if (a) {
      *size = a->size;
      return TEXT(g, "%s..%c", a->text, *size);
    }
    break;
  case 5:
    if (a) {
      *size = a->size;
      return TEXT(g, "max(%s - 2, 0)..min(%s + 2, %c)", a->text, a->text, *size);
    }
    break;
  case 6:
    if (a) {
      Sight d = {.n = 1};
      d.atoms[0] = *a;
      return TEXT(g, "%s..%c", gen_element(g, &d, TEXT(g, "t%c", *size), "int", NULL, 0), *size);
    }
    break;
  case 7:
    if (b) {
      *size = b->size;
      return gen_chance(g, 50) ? TEXT(g, "0..%s + 1", b->text) : TEXT(g, "%s..%c", b->text, *size);
    }
    break;
  case 8:
    if (a) {
      char dims[2] = {a->size, *size};
      return TEXT(g, "%s[%s]", gen_declare(g, gen_input_name(g, "g", dims, 2), "graph", dims, 2), a->text);
    }
    break;
  case 9:
    if (b && gen_chance(g, 60)) {
      char dims[2] = {b->size, *size};
      return TEXT(g, "%s[%s]", gen_declare(g, gen_input_name(g, "g", dims, 2), "graph", dims, 2), b->text);
    }
    break;
  default: break;
  }
  if (a && gen_chance(g, 40)) *size = a->size;
  *plain = true;
  return TEXT(g, "%c", *size);
}

/* A prefix or a suffix that moves with a plate. */
static const char *moving_bound(Gen *g, const char *name) {
  static const char *const ops[] = {"<=", "<", ">=", ">"};
  return TEXT(g, "%s %s %s + %u", name, ops[gen_below(g, 4)], g->plates[gen_below(g, g->depth)].name, gen_below(g, 3));
}

static EdgeInfo edge(Gen *g, const Sight *before) {
  EdgeInfo e = {.name = gen_fresh(g, "e"), .depth = g->depth};
  memcpy(e.plates, g->plates, sizeof e.plates);
  const char *text = domain(g, before, &e.size, &e.plain);
  e.none = e.size != '2' && gen_chance(g, 22);
  Sight s = *before;
  gen_see(&s, (Atom){e.name, e.size, false, true});
  const char *where = gen_chance(g, 35) ? TEXT(g, " where %s", gen_condition(g, &s, 1)) : "";
  if (g->depth && gen_chance(g, 30)) where = TEXT(g, " where %s", moving_bound(g, e.name));
  gen_line(g, TEXT(g, "edge %s in %s%s%s", e.name, text, e.none ? " or none" : "", where));
  return e;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void block(Gen *g);

static void for_block(Gen *g) {
  Plate p = {.name = gen_fresh(g, "i"), .size = gen_a_size(g), .fixed = true};
  Plate *outer = g->depth ? &g->plates[g->depth - 1] : NULL;
  uint32_t form = gen_below(g, 10);
  p.range = TEXT(g, "%c", p.size);
  p.whole = true;
  if (form == 0) {
    p.range = TEXT(g, "1..%c", p.size);
    p.whole = false;
  } else if (form == 1 && outer) {
    p = (Plate){p.name, TEXT(g, "0..%s + 1", outer->name), outer->size, false, false};
  } else if (form == 2 && outer) {
    char dims[2] = {outer->size, p.size};
    const char *graph = gen_declare(g, gen_input_name(g, "g", dims, 2), "graph", dims, 2);
    p = (Plate){p.name, TEXT(g, "%s[%s]", graph, outer->name), p.size, false, false};
  } else if (form == 3 && outer) {
    Sight s = {.n = 1};
    s.atoms[0] = (Atom){outer->name, outer->size, false, false};
    p = (Plate){p.name, TEXT(g, "0..%s", gen_element(g, &s, TEXT(g, "t%c", p.size), "int", NULL, 0)), p.size, false,
                false};
  }
  gen_line(g, TEXT(g, "for %s in %s {", p.name, p.range));
  g->plates[g->depth++] = p;
  block(g);
  g->depth--;
  gen_line(g, "}");
}

/* Weights of edges already declared, repeated over a deeper plate. */
static void deeper_weight(Gen *g, const Sight *s) {
  Plate p = {.name = gen_fresh(g, "i"), .size = gen_a_size(g), .fixed = true};
  p.range = TEXT(g, "%c", p.size);
  gen_line(g, TEXT(g, "for %s in %s {", p.name, p.range));
  g->plates[g->depth++] = p;
  Sight inner = *s;
  gen_see(&inner, (Atom){p.name, p.size, false, false});
  weight_statement(g, &inner);
  g->depth--;
  gen_line(g, "}");
}

static void derived_array(Gen *g) {
  const char *j = gen_fresh(g, "j"), *name = gen_fresh(g, "xl");
  char size = gen_a_size(g);
  Sight s = {.n = 0};
  gen_see_plates(g, &s);
  gen_see(&s, (Atom){j, size, false, false});
  gen_line(g, TEXT(g, "let %s[%s in %c] = %s", name, j, size, gen_real(g, &s, 2)));
  Sight use = {.n = 0};
  gen_see_plates(g, &use);
  char dims[1] = {size};
  (void)dims;
  /* used at once by an output of its own, so that it is never idle */
  if (gen_all_fixed(g) && gen_chance(g, 50))
    gen_line(g, TEXT(g, "%s = %s[%s]", gen_target(g, TEXT(g, "%s in %c", j, size)), name, j));
}

static void own_edges(Gen *g, Sight *together, EdgeInfo *here, uint32_t n, bool coupled) {
  Sight plates = {.n = 0};
  gen_see_plates(g, &plates);
  *together = plates;
  for (uint32_t i = 0; i < n; i++) {
    here[i] = edge(g, coupled && gen_chance(g, 50) ? together : &plates);
    Sight alone = plates;
    Sight *with = coupled && gen_chance(g, 50) ? together : &alone;
    Sight s = *with;
    gen_see(&s, (Atom){here[i].name, here[i].size, here[i].none, true});
    if (gen_chance(g, 60)) prior(g, &here[i], &s);
    gen_see_copy(g, together, &here[i]);
    vec_push(g->arena, &g->edges, here[i]);
  }
}

static void infer_line(Gen *g, const EdgeInfo *here, uint32_t n) {
  const char *names = "";
  for (uint32_t i = 0; i < n; i++) names = TEXT(g, "%s%s%s", names, i ? ", " : "", here[i].name);
  gen_line(g, gen_chance(g, 65)
                  ? TEXT(g, "infer %s by mode", names)
                  : TEXT(g, "infer %s by sample(n = %u, seed = %u)", names, 1 + gen_below(g, 4), gen_below(g, 3)));
}

static void block(Gen *g) {
  Sight all;
  EdgeInfo here[3];
  static const uint32_t counts[] = {1, 1, 1, 1, 2, 2, 2, 3, 3, 0};
  uint32_t n = counts[gen_below(g, 10)];
  if (g->depth < 2 && gen_chance(g, 20)) for_block(g);
  if (gen_chance(g, 15)) derived_array(g);
  bool coupled = n > 1 && gen_chance(g, 60);
  own_edges(g, &all, here, n, coupled);
  if (!n) {
    if (g->depth < MAX_PLATES) for_block(g);
    return;
  }
  uint32_t weights = gen_below(g, 3) + (n > 1 && coupled);
  for (uint32_t i = 0; i < weights; i++) {
    Sight s = {.n = 0};
    gen_see_plates(g, &s);
    uint32_t k = gen_below(g, n), l = gen_below(g, n);
    gen_see_copy(g, &s, &here[k]);
    if (coupled && l != k) gen_see_copy(g, &s, &here[l]);
    if (gen_chance(g, 15) && g->depth < MAX_PLATES)
      deeper_weight(g, &s);
    else
      weight_statement(g, &s);
  }
  if (gen_chance(g, 6)) {
    Sight s = {.n = 0};
    gen_see_plates(g, &s);
    gen_line(g, TEXT(g, "potential %s", gen_weight(g, &s, 1)));
  }
  if (gen_chance(g, 6)) infer_line(g, here, n);
  if (gen_all_fixed(g)) {
    uint32_t outs = 1 + gen_below(g, 4);
    for (uint32_t i = 0; i < outs; i++) {
      Sight s = all;
      if (gen_chance(g, 15)) gen_see_hop(g, &s, &here[gen_below(g, n)]);
      if (gen_chance(g, 8)) gen_abbreviation(g, &s);
      gen_output(g, &s, here, n, true);
    }
  }
  if (g->depth < 2 && gen_chance(g, 10)) for_block(g);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static const char *one_model(Arena *arena, uint64_t seed, const char *model, bool *has_def) {
  Gen gen = {.arena = arena, .r = {seed * 0x2545F4914F6CDD1Du + 77}}, *g = &gen;
  g->nasty = gen_chance(g, 25);
  g->has_def = gen_chance(g, 20);
  if (gen_chance(g, 90))
    for_block(g);
  else
    block(g);
  if (gen_chance(g, 15)) for_block(g);
  uint32_t outer = g->outs ? gen_below(g, 3) : 2;
  for (uint32_t i = 0; i < outer && g->edges.n; i++) gen_outer_output(g, &g->edges.at[gen_below(g, g->edges.n)]);
  const char *text = TEXT(g, "model %s(M, N, K, L, D, C) {\n", model);
  for (uint32_t i = 0; i < g->inputs.n; i++)
    text = TEXT(g, "%s  %s %s\n", text, g->inputs.at[i].param ? "param" : "data", g->inputs.at[i].text);
  for (uint32_t i = 0; i < g->lines.n; i++) text = TEXT(g, "%s%s\n", text, g->lines.at[i]);
  *has_def |= g->has_def;
  return TEXT(g, "%s}\n", text);
}

static const char *const DEFS = "def squash(a, c) = c * tanh(a / c)\n"
                                "def pick(c, a, b) = if c then a else b - a\n"
                                "def near(a, b) = -sum(sq(a - b)) / (1 + norm(b))\n";

const char *generate_model(Arena *arena, uint64_t seed) {
  bool has_def = false;
  const char *text = one_model(arena, seed, "m", &has_def);
  if (seed % 16 == 5)
    text = arena_printf(arena, "%s%s", text, one_model(arena, seed + (UINT64_C(1) << 40), "second", &has_def));
  return has_def ? arena_printf(arena, "%s%s", DEFS, text) : text;
}
