/* bond: copies that one potential joins although it is weighed as a product over them (split.c).
 *
 * A potential of many copies makes one component of them: if one of them has no value, or a factor that names none of
 * them is 0, no value of the whole has weight, and none of them has one.  Split into a weight of each it leaves them
 * independent otherwise; so copies, chains, structures and networks are summed apart, and only whether they have a
 * value is a matter of all of a bond:
 *
 *     a copy exists if every bond that names it holds;    a bond holds if all that it names have values
 *
 * Indices that the potential shares with all it names are the bond's *slots*: a bond for each of their values. */
#ifndef ATTN_INFER_BOND_H
#define ATTN_INFER_BOND_H

#include "infer/plan.h"

enum { BOND_MAX_WEIGHTS = 4 }; /* how they hang together is asked of every two */

/* A potential as it was written. */
typedef struct BondWeight {
  const Weight *weight;
  IndexVec stands;         /* by slot: which of its plates stands for it */
  VEC(Weight *) constants; /* its parts that name no copy */
} BondWeight;

/* A reference in one of the potentials. */
typedef struct BondRef {
  uint32_t weight;
  const Term *ref;
  IndexVec binders; /* the potential's plates, and the indices of sums and products around it */
  bool all;         /* it names every copy, chain or structure; in a network every copy */
} BondRef;

typedef struct BondMember {
  Component *c;
  VEC(uint32_t) plates; /* by slot: the plate */
  VEC(BondRef) refs;
} BondMember;

struct Bond {
  uint32_t slots;
  VEC(BondMember) members;
  VEC(BondWeight) weights;
  bool connected; /* all copies that share the slots are joined */
};

/* Do the values of the plate tell components apart, as far as weights beside the bonds' join copies?  Of a network
 * whose statements name one copy each, all plates do. */
bool bond_tells_apart(const Component *c, uint32_t plate);
/* May copies that agree in all that tells them apart be of several components? */
bool bond_may_fall_apart(const Component *c);
/* Is there one, or the other, for which a copy's place along the plate has to be known? */
static inline bool bond_asks_place(const Component *c, uint32_t plate) {
  return bond_tells_apart(c, plate) || bond_may_fall_apart(c);
}

/* ---- bond_plan.c ----------------------------------------------------------------------------------------- */

/* Bonds among the components, of the potentials that were split, where emptiness is possible and what is joined is
 * known. */
void plan_bonds(Plan *p);

#endif
