/* solve: what is known of the routines that `solve` calls; see family.def. */
#ifndef ATTN_IR_SOLVE_H
#define ATTN_IR_SOLVE_H

#include "ir/ir.h"

const char *ir_family_name(Family f);
const char *ir_family_function(Family f, bool f64); /* f64: of the build's two precisions */
/* The routine whose first input and first output are reals; false: there is none. */
bool ir_family_on_reals(Family f, Family *twin);
uint32_t ir_family_ints(Family f);
uint32_t ir_family_inputs(Family f); /* how many arrays are read */
uint32_t ir_family_arrays(Family f); /* and how many there are */

/* The k-th array: the type of its elements, and the dimensions behind the leading indices, `rank` of them. */
typedef struct FamilyDim { bool literal, plus_one; uint32_t number; } FamilyDim; /* number: which integer, or itself */
typedef struct FamilyArray { IrType type; uint32_t rank; FamilyDim dim[3]; } FamilyArray;
FamilyArray ir_family_array(Family f, uint32_t k);

static inline uint32_t ir_solve_arrays(const Instr *i) { return ir_family_arrays(i->solve->family); }
static inline bool ir_solve_writes(const Instr *i, uint32_t k) { return k >= ir_family_inputs(i->solve->family); }

#endif
