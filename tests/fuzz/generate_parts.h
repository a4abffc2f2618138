/* generate_parts: what the files of the generator share: what is in sight, and one function a syntactic role. */
#ifndef TESTS_FUZZ_GENERATE_PARTS_H
#define TESTS_FUZZ_GENERATE_PARTS_H

#include <stdbool.h>

#include "base/vec.h"
#include "generate.h"

enum { MAX_PLATES = 3, MAX_IN_SIGHT = 24 };

typedef struct Atom {
  const char *text; /* an int expression of values 0 .. size-1 */
  char size;
  bool none; /* may be none */
  bool edge;
} Atom;

typedef struct Plate {
  const char *name, *range;
  char size;
  bool fixed, whole;
} Plate;

typedef struct EdgeInfo {
  const char *name;
  char size;        /* '2' for a bit */
  bool none, plain; /* plain: the domain is the whole size */
  uint32_t depth;
  Plate plates[MAX_PLATES];
  uint32_t component; /* edges that some weight joins */
} EdgeInfo;

typedef struct Sight {
  Atom atoms[MAX_IN_SIGHT];
  uint32_t n;
} Sight;

typedef struct Declared {
  const char *name, *text;
  bool param;
} Declared;

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
  bool nasty;  /* data with -inf, NaN, large scores */
  bool no_nan; /* in a prior: its normaliser cancels in posteriors; whether its NaN or +inf shows is left open */
  bool has_def;
} Gen;

#define TEXT(g, ...) arena_printf((g)->arena, __VA_ARGS__)

/* ---- generate_sight.c ---- */

uint32_t gen_below(Gen *g, uint32_t n);
bool gen_chance(Gen *g, uint32_t percent);
void gen_line(Gen *g, const char *text);
const char *gen_fresh(Gen *g, const char *stem);
char gen_a_size(Gen *g);
void gen_see(Sight *s, Atom a);
void gen_see_plates(Gen *g, Sight *s);
const Atom *gen_pick(Gen *g, const Sight *s);
const Atom *gen_pick_edge(Gen *g, const Sight *s);
const char *gen_declare(Gen *g, const char *name, const char *type, const char *dims, uint32_t ndims);
const char *gen_input_name(Gen *g, const char *letters, const char *dims, uint32_t ndims);
const char *gen_part_of(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must,
                        const char *tails);
const char *gen_element(Gen *g, const Sight *s, const char *letters, const char *type, const Atom *must, char tail);
const char *gen_real_input(Gen *g, const Sight *s);

/* ---- generate_real.c ---- */

const char *gen_condition(Gen *g, const Sight *s, uint32_t deep);
const char *gen_literal(Gen *g);
const char *gen_feature(Gen *g, const Sight *s, const Atom *must);
const char *gen_bounded(Gen *g, const char *a);
const char *gen_real(Gen *g, const Sight *s, uint32_t deep);
const char *gen_score(Gen *g, const Sight *s, uint32_t deep);
const char *gen_weight(Gen *g, const Sight *s, uint32_t deep);

/* ---- generate_query.c ---- */

void gen_see_copy(Gen *g, Sight *s, const EdgeInfo *e);
void gen_see_hop(Gen *g, Sight *s, const EdgeInfo *e);
const char *gen_target(Gen *g, const char *own);
bool gen_all_fixed(const Gen *g);
void gen_abbreviation(Gen *g, const Sight *s);
void gen_output(Gen *g, const Sight *s, const EdgeInfo *here, uint32_t n, bool logz);
void gen_outer_output(Gen *g, const EdgeInfo *e);

#endif
