/* generate_query: what is asked of a posterior, and outputs. */
#include "generate_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* An expression of order one over copies of edges, for the inside of E. */
static const char *value(Gen *g, const Sight *s, uint32_t deep) {
  const Atom *e = gen_pick_edge(g, s);
  if (!deep || gen_chance(g, 25)) {
    if (e && gen_chance(g, 15)) return e->text;
    return gen_chance(g, 15) ? gen_element(g, s, "c", "int", e, 0) : gen_element(g, s, "v", "", e, 0);
  }
  switch (gen_below(g, 8)) {
  case 0:
  case 1: return TEXT(g, "%s * %s", value(g, s, deep - 1), value(g, s, 0));
  case 2: return TEXT(g, "(%s + %s)", value(g, s, deep - 1), value(g, s, deep - 1));
  case 3: return gen_bounded(g, value(g, s, deep - 1));
  case 4: return TEXT(g, "(if %s then %s else %s)", gen_condition(g, s, 1), value(g, s, deep - 1), value(g, s, 0));
  default: return gen_real(g, s, deep);
  }
}

static const char *vector_value(Gen *g, const Sight *s) {
  const char *v = gen_element(g, s, "v", "", gen_pick_edge(g, s), 'C');
  switch (gen_below(g, 6)) {
  case 0: return TEXT(g, "%s * %s", value(g, s, 1), v);
  case 1: return TEXT(g, "(%s + %s)", v, gen_element(g, s, "v", "", NULL, 'C'));
  case 2: return TEXT(g, "tanh(%s)", v);
  case 3: return TEXT(g, "sq(%s)", v);
  default: return v;
  }
}

/* A value of two axes. */
static const char *matrix_value(Gen *g, const Sight *s) {
  const char *v = gen_part_of(g, s, "v", "", gen_pick_edge(g, s), "CD");
  switch (gen_below(g, 4)) {
  case 0: return TEXT(g, "%s * %s", value(g, s, 1), v);
  case 1: return TEXT(g, "(%s - %s)", v, gen_part_of(g, s, "v", "", NULL, "CD"));
  case 2: return TEXT(g, "sq(%s)", v);
  default: return v;
  }
}

/* The copies of an edge where the block stands: bare, at another index, through a value of an edge. */
void gen_see_copy(Gen *g, Sight *s, const EdgeInfo *e) {
  gen_see(s, (Atom){e->name, e->size, e->none, true});
  (void)g;
}

void gen_see_hop(Gen *g, Sight *s, const EdgeInfo *e) {
  const Plate *p = e->depth ? &e->plates[e->depth - 1] : NULL;
  if (!p || !p->whole || e->size != p->size || e->none) return;
  const char *hop = TEXT(g, "%s[%s]", e->name, e->name);
  gen_see(s, (Atom){hop, e->size, false, true});
  if (gen_chance(g, 30)) gen_see(s, (Atom){TEXT(g, "%s[%s]", e->name, hop), e->size, false, true});
}

/* The left side of an output in the current plates, with `own` (text or NULL) among the slots. */
const char *gen_target(Gen *g, const char *own) {
  const char *slots[MAX_PLATES + 1];
  uint32_t n = 0;
  for (uint32_t i = 0; i < g->depth; i++) slots[n++] = g->plates[i].name;
  if (own) slots[n++] = own;
  const char *list = "";
  for (uint32_t left = n; left; left--) {
    uint32_t k = gen_chance(g, 60) ? 0 : gen_below(g, left);
    list = TEXT(g, "%s%s%s", list, left < n ? ", " : "", slots[k]);
    for (uint32_t i = k; i + 1 < left; i++) slots[i] = slots[i + 1];
  }
  g->outs++;
  return n ? TEXT(g, "out %s[%s]", gen_fresh(g, "o"), list) : TEXT(g, "out %s", gen_fresh(g, "o"));
}

bool gen_all_fixed(const Gen *g) {
  for (uint32_t i = 0; i < g->depth; i++)
    if (!g->plates[i].fixed) return false;
  return true;
}

static void joint_query(Gen *g, const EdgeInfo *here, uint32_t n, const char *fn) {
  const char *names = "";
  bool some = false;
  for (uint32_t i = 0; i < n; i++)
    if (gen_chance(g, 60)) {
      names = TEXT(g, "%s%s%s", names, some ? ", " : "", here[i].name);
      some = true;
    }
  gen_line(g, TEXT(g, "%s = %s(%s)", gen_target(g, NULL), fn, some ? names : here[0].name));
}

/* A let without indices: a query or a value of edges, used in what follows. */
void gen_abbreviation(Gen *g, const Sight *s) {
  const char *name = gen_fresh(g, "s");
  if (gen_chance(g, 50)) {
    gen_line(g, TEXT(g, "let %s = %s[%s]", name, gen_chance(g, 70) ? "E" : "P", gen_condition(g, s, 1)));
    gen_line(g, TEXT(g, "%s = %s + E[%s]", gen_target(g, NULL), name, value(g, s, 1)));
  } else {
    gen_line(g, TEXT(g, "let %s = %s", name, vector_value(g, s)));
    gen_line(g, TEXT(g, "%s = E[%s * sum(%s)]", gen_target(g, NULL), value(g, s, 1), name));
  }
}

void gen_output(Gen *g, const Sight *s, const EdgeInfo *here, uint32_t n, bool logz) {
  const EdgeInfo *e = &here[gen_below(g, n)];
  const char *j = gen_fresh(g, "j");
  switch (gen_below(g, 17)) {
  case 0:
  case 1:
  case 2: gen_line(g, TEXT(g, "%s = E[%s]", gen_target(g, NULL), value(g, s, 2))); return;
  case 3:
  case 4: gen_line(g, TEXT(g, "%s = E[%s]", gen_target(g, NULL), vector_value(g, s))); return;
  case 5:
    gen_line(g, TEXT(g, "%s = %c[%s]", gen_target(g, NULL), "PPE"[gen_below(g, 3)], gen_condition(g, s, 2)));
    return;
  case 6: {
    const Atom *a = gen_pick_edge(g, s);
    const char *range = a->size == '2' ? "2" : gen_chance(g, 80) ? TEXT(g, "%c", a->size) : TEXT(g, "1..%c", a->size);
    gen_line(g, TEXT(g, "%s = P[%s == %s]", gen_target(g, TEXT(g, "%s in %s", j, range)), a->text, j));
    return;
  }
  case 7:
    gen_line(g, TEXT(g, "%s = %s(%s)", gen_target(g, NULL), gen_chance(g, 85) ? "mode" : "sample", e->name));
    return;
  case 8: joint_query(g, here, n, "entropy"); return;
  case 9: gen_line(g, TEXT(g, "%s = count(%s)", gen_target(g, NULL), e->name)); return;
  case 10: joint_query(g, here, n, "kl"); return;
  case 11:
    if (logz)
      gen_line(g, TEXT(g, "%s = logZ%s", gen_target(g, NULL),
                       gen_chance(g, 30) ? TEXT(g, " + log(1 + count(%s))", e->name) : ""));
    return;
  case 12: {
    const char *v = value(g, s, 1);
    gen_line(g, TEXT(g, "%s = E[sq(%s)] - sq(E[%s])", gen_target(g, NULL), v, v));
    return;
  }
  case 13:
    gen_line(g, gen_chance(g, 40) ? TEXT(g, "%s = E[%s]", gen_target(g, NULL), matrix_value(g, s))
                                  : TEXT(g, "%s = norm(E[%s])", gen_target(g, NULL), vector_value(g, s)));
    return;
  case 14:
  case 15: { /* another copy, named by an index of the output */
    if (!e->depth || !e->plates[e->depth - 1].fixed) return;
    Sight two = *s;
    gen_see(&two, (Atom){TEXT(g, "%s[%s]", e->name, j), e->size, e->none, true});
    gen_see(&two, (Atom){j, e->plates[e->depth - 1].size, false, false});
    gen_line(g, TEXT(g, "%s = E[%s]", gen_target(g, TEXT(g, "%s in %s", j, e->plates[e->depth - 1].range)),
                     value(g, &two, 2)));
    return;
  }
  default: { /* a sum over the copies of a plate */
    if (!e->depth) return;
    Sight two = *s;
    gen_see(&two, (Atom){TEXT(g, "%s[%s]", e->name, j), e->size, e->none, true});
    gen_see(&two, (Atom){j, e->plates[e->depth - 1].size, false, false});
    bool inside = gen_chance(g, 50);
    const char *sum = TEXT(g, "sum(%s in %s)", j, e->plates[e->depth - 1].range), *v = value(g, &two, 1);
    gen_line(g, inside ? TEXT(g, "%s = E[%s %s]", gen_target(g, NULL), sum, v)
                       : TEXT(g, "%s = %s E[%s]", gen_target(g, NULL), sum, v));
  }
  }
}

/* The entropy of all copies is that of whole components: every edge that may be joined to this one is named. */
static const char *entropy_of_all(Gen *g, const EdgeInfo *e) {
  const char *names = e->name;
  for (uint32_t i = 0; i < g->edges.n; i++)
    if (&g->edges.at[i] != e) names = TEXT(g, "%s, %s", names, g->edges.at[i].name);
  return TEXT(g, "entropy(%s)", names);
}

/* Queries outside all plates, about all copies. */
void gen_outer_output(Gen *g, const EdgeInfo *e) {
  const char *copy = "", *binders = "";
  Sight s = {.n = 0};
  for (uint32_t i = 0; i < e->depth; i++) {
    const char *name = e->plates[i].name;
    binders = TEXT(g, "%s%s%s in %s", binders, i ? ", " : "", name, e->plates[i].range);
    copy = TEXT(g, "%s%s%s", copy, i ? ", " : "", name);
    gen_see(&s, (Atom){name, e->plates[i].size, false, false});
  }
  gen_see(&s, (Atom){e->depth ? TEXT(g, "%s[%s]", e->name, copy) : e->name, e->size, e->none, true});
  const char *sum = e->depth ? TEXT(g, "sum(%s) ", binders) : "";
  switch (gen_below(g, 6)) {
  case 0: gen_line(g, TEXT(g, "%s = %sE[%s]", gen_target(g, NULL), sum, value(g, &s, 1))); return;
  case 1: gen_line(g, TEXT(g, "%s = E[%s%s]", gen_target(g, NULL), sum, value(g, &s, 1))); return;
  case 2: gen_line(g, TEXT(g, "%s = %sP[%s]", gen_target(g, NULL), sum, gen_condition(g, &s, 1))); return;
  case 3: gen_line(g, TEXT(g, "%s = logZ", gen_target(g, NULL))); return;
  case 4:
    gen_line(g, TEXT(g, "%s = %s", gen_target(g, NULL),
                     gen_chance(g, 50) ? TEXT(g, "kl(%s)", e->name) : entropy_of_all(g, e)));
    return;
  default: gen_line(g, TEXT(g, "%s = count(%s)", gen_target(g, NULL), e->name)); return;
  }
}
