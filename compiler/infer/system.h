/* system: the linear system A z = b of a joint form (latent.h), for every value of its outer indices; what system.c,
 * solve.c and step_joint.c share.  Everything is f64. */
#ifndef ATTN_INFER_SYSTEM_H
#define ATTN_INFER_SYSTEM_H

#include "infer/iterate.h"

/* Arrays have the outer dimensions first.  Unknowns are the components of member after member, copy after copy. */
typedef struct System {
  Derive *d;
  const Joint *j;
  Val n;           /* unknowns */
  Val *first;      /* by member: the place of its first component; of one more: n */
  Array *a;        /* [.., n, n]: A above the diagonal; on it and below is room for elimination */
  Array *diagonal; /* [.., n]: of A */
  Array *b;        /* [.., n] */
  Array *z;        /* [.., n]: the unknowns as far as the step has come */
  Array *y;        /* [.., n]: the solution of the last block */
  Array *bad;      /* [..], bool: a block without a top; NULL: it is known that all have one */
} System;

/* Unknowns lo .. hi of a system; the others keep their values in z. */
typedef struct Block {
  Val lo, hi;
} Block;

/* ---- system.c ------------------------------------------------------------------------------------------------- */

/* Declares the arrays, and fills all but y and bad; z: q's means before the line. */
System open_system(Derive *d, const Joint *j);
/* The leading indices of a member that tell its copies apart: plates and own ones. */
uint32_t lead_of(const LatentPlan *l);
/* The member's components in the system: all of them; those of the copy whose indices are bound in x. */
Block member_block(const System *s, uint32_t member);
Block copy_block(Context *x, const System *s, const LatentPlan *l);
/* The place of the component at the indices bound in x; at: others, in the order of the latent's.  NULL: its own. */
Val system_place(Context *x, const System *s, const LatentPlan *l, const IndexVec *at);
/* v: an array of the unknowns; outer: offsets of the outer indices. */
Val load_unknown(Context *x, const System *s, Array *v, const Val *outer, Val place);
void store_unknown(Context *x, const System *s, Array *v, const Val *outer, Val place, Val value);
/* A at a place on the diagonal or above: row <= column. */
Val load_system(Context *x, const System *s, const Val *outer, Val row, Val column);
void store_system(Context *x, const System *s, const Val *outer, Val row, Val column, Val value);

/* ---- solve.c -------------------------------------------------------------------------------------------------- */

/* y: the top of the form in the block's unknowns.  Sets bad where there is none (and leaves it where it is set); then y
 * has no meaning. */
void solve_block(Context *x, const System *s, const Val *outer, Block block);
/* The derivative of the form by unknown r, at z. */
Val slope_of(Context *x, const System *s, const Val *outer, Val r);

#endif
