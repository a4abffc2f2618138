/* generate_sight: random numbers, what may be named at a place, and inputs, which are declared as they are needed. */
#include "generate_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

uint32_t gen_below(Gen *g, uint32_t n) { return random_below(&g->r, n); }
bool gen_chance(Gen *g, uint32_t percent) { return gen_below(g, 100) < percent; }

void gen_line(Gen *g, const char *text) {
  vec_push(g->arena, &g->lines, TEXT(g, "%*s%s", (int)(2 * g->depth + 2), "", text));
}

const char *gen_fresh(Gen *g, const char *stem) { return TEXT(g, "%s%u", stem, g->names++); }

char gen_a_size(Gen *g) { return "MNKLNN"[gen_below(g, 6)]; }

void gen_see(Sight *s, Atom a) {
  if (s->n < MAX_IN_SIGHT) s->atoms[s->n++] = a;
}

void gen_see_plates(Gen *g, Sight *s) {
  for (uint32_t i = 0; i < g->depth; i++) gen_see(s, (Atom){g->plates[i].name, g->plates[i].size, false, false});
}

/* Copies of edges count twice: they are what it is about. */
const Atom *gen_pick(Gen *g, const Sight *s) {
  if (!s->n) return NULL;
  for (int tries = 0; tries < 2; tries++) {
    const Atom *a = &s->atoms[gen_below(g, s->n)];
    if (a->edge || tries) return a;
  }
  return &s->atoms[s->n - 1];
}

const Atom *gen_pick_edge(Gen *g, const Sight *s) {
  uint32_t n = 0;
  const Atom *found = NULL;
  for (uint32_t i = 0; i < s->n; i++)
    if (s->atoms[i].edge && gen_below(g, ++n) == 0) found = &s->atoms[i];
  return found;
}

/* ---- inputs ------------------------------------------------------------------------------------------- */

static const char *dim_text(Gen *g, char size) { return size == '2' ? "2" : TEXT(g, "%c", size); }

const char *gen_declare(Gen *g, const char *name, const char *type, const char *dims, uint32_t ndims) {
  for (uint32_t i = 0; i < g->inputs.n; i++)
    if (!strcmp(g->inputs.at[i].name, name)) return name;
  const char *list = "";
  for (uint32_t i = 0; i < ndims; i++) list = TEXT(g, "%s%s%s", list, i ? ", " : "", dim_text(g, dims[i]));
  const char *text = ndims ? TEXT(g, "%s: %s[%s]", name, type, list) : TEXT(g, "%s: %s", name, *type ? type : "real");
  bool real = !*type && *name != 'z' && *name != 'h' && *name != 'b' && *name != 'n' && *name != 's',
       param = real && gen_chance(g, 15);
  if (param && !ndims && gen_chance(g, 50)) text = TEXT(g, "%s = %s", text, gen_below(g, 2) ? "0.5" : "1 / 2 + 0.25");
  vec_push(g->arena, &g->inputs, (Declared){name, text, param});
  return name;
}

const char *gen_input_name(Gen *g, const char *letters, const char *dims, uint32_t ndims) {
  return TEXT(g, "%s_%.*s%u", letters, (int)ndims, dims, gen_below(g, 2));
}

/* An element of an input of this letter, indexed by up to two things in sight, one of them `must` if given; `tails` are
 * the sizes of trailing dimensions left off. */
const char *gen_part_of(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must,
                        const char *tails) {
  char dims[5];
  const char *at = "";
  uint32_t n = 0, rank = s->n ? 1 + gen_below(g, 2) : 0, place = gen_below(g, rank ? rank : 1);
  for (uint32_t i = 0; i < rank; i++) {
    const Atom *a = must && i == place ? must : gen_pick(g, s);
    dims[n++] = a->size;
    at = TEXT(g, "%s%s%s", at, i ? ", " : "", a->text);
  }
  for (; *tails; tails++) dims[n++] = *tails;
  const char *name = gen_declare(g, gen_input_name(g, letters, dims, n), type, dims, n);
  return rank ? TEXT(g, "%s[%s]", name, at) : name;
}

const char *gen_element(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must, char tail) {
  return gen_part_of(g, s, letters, type, must, (char[]){tail, 0});
}

const char *gen_real_input(Gen *g, const Sight *s) {
  return gen_element(g, s, gen_chance(g, 50) ? "x" : "v", "", NULL, 0);
}
