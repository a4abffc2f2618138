/* solve: see solve.h. */
#include "ir/solve.h"

#include <string.h>

typedef struct FamilyInfo { const char *name, *function; uint32_t ints; const char *inputs, *outputs; } FamilyInfo;

static const FamilyInfo family[] = {
#define FAMILY(ID, name, function, ints, inputs, outputs) {name, #function, ints, inputs, outputs},
#include "ir/family.def"
#undef FAMILY
};
_Static_assert(sizeof family / sizeof family[0] == FAMILY_COUNT_, "one entry a routine");

const char *ir_family_name(Family f) { return family[f].name; }

const char *ir_family_function(Family f, bool f64) {
#define FAMILY(ID, name, function, ints, inputs, outputs)
#define SINGLE(ID, function) \
  if (!f64 && f == FAMILY_##ID) return #function;
#include "ir/family.def"
#undef FAMILY
#undef SINGLE
  return family[f].function;
}

bool ir_family_on_reals(Family f, Family *twin) {
#define FAMILY(ID, name, function, ints, inputs, outputs)
#define REALS(ID, TWIN) \
  if (f == FAMILY_##ID) return *twin = FAMILY_##TWIN, true;
#include "ir/family.def"
#undef FAMILY
#undef REALS
  return false;
}

uint32_t ir_family_ints(Family f) { return family[f].ints; }

static bool is_type(char c) { return c == 'w' || c == 'r' || c == 'i'; }

static uint32_t count(const char *arrays) {
  uint32_t n = 0;
  for (; *arrays; arrays++) n += is_type(*arrays);
  return n;
}

uint32_t ir_family_inputs(Family f) { return count(family[f].inputs); }
uint32_t ir_family_arrays(Family f) { return count(family[f].inputs) + count(family[f].outputs); }

static FamilyDim dim_of(char c) {
  if (c >= '0' && c <= '9') return (FamilyDim){true, false, (uint32_t)(c - '0')};
  return c >= 'a' ? (FamilyDim){false, false, (uint32_t)(c - 'a')} : (FamilyDim){false, true, (uint32_t)(c - 'A')};
}

FamilyArray ir_family_array(Family f, uint32_t k) {
  uint32_t inputs = ir_family_inputs(f);
  const char *s = k < inputs ? family[f].inputs : family[f].outputs;
  for (uint32_t n = k < inputs ? k : k - inputs; n || !is_type(*s); s++)
    if (is_type(*s)) n--;
  FamilyArray a = {.type = *s == 'w' ? IR_WIDE : *s == 'r' ? IR_REAL : IR_INT};
  s++;
  while (*s && !is_type(*s)) a.dim[a.rank++] = dim_of(*s++);
  return a;
}
