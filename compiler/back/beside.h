/* beside: iterations of one loop side by side, in vectors.
 *
 * What tiles do not take is scalar code.  Where a parallel loop, or a reduction, holds nothing but pure operations,
 * loads, stores, checks and reductions over ranges that are the same for all its iterations, `n` iterations are
 * computed at once: a value that differs from iteration to iteration is a vector with a lane for each of them, all
 * others stay scalars.  The last iterations are a vector some lanes of which are inactive: they load nothing, store
 * nothing and add nothing, so that how a range is cut follows from its bounds alone.  Sums in log space of a chain's
 * steps, over the states before, are such loops.
 *
 * A lane of type `wide` is a double, of `real` as the build says, an int an i64, a bool an i1.
 *
 *   beside.c        which loops, and their code
 *   beside_op.c     operations on lanes
 *   beside_acc.c    accumulators: one state a lane; those of the loop itself are merged at its end
 *   beside_array.c  elements that lie side by side, or apart */
#ifndef ATTN_BACK_BESIDE_H
#define ATTN_BACK_BESIDE_H

#include "back/emit.h"
#include "back/lanes.h"

typedef struct Beside {
  Emit *e;
  unsigned n;
  Lanes lanes;          /* of n floats */
  const Loop *loop;
  bool *varies;         /* by Val: it differs from lane to lane; a LOOP: some result does */
  LLVMValueRef *base;   /* by Val: an int that is this plus the number of the lane; NULL: not known */
  LLVMValueRef active;  /* which lanes are there; NULL: all */
} Beside;

/* ---- beside.c: called where a loop is emitted ------------------------------------------------------ */

/* False: nothing was emitted, the loop has no such form. */
bool beside_loop(Emit *e, const Loop *l);

/* Elements of a reduction for another's blocks: false where its body has no such form.  Then, vector by vector: the
 * iterations from `first` on, `left` of them or, if more, all lanes; for them one instruction of the body after
 * another; checks of other regions, where `on` (NULL: always). */
bool beside_elements(Emit *e, const Loop *l, Beside *b);
void beside_elements_from(Beside *b, LLVMValueRef first, LLVMValueRef left);
void beside_instr(Beside *b, Val v);
void beside_check(const Beside *b, const Instr *i, LLVMValueRef on);

/* The points of an accumulator's axis whose variable is `index`, x computed in the region `at`: false where that has
 * checks, or no such form.  Then `body` for vector after vector of the points lo .. hi, after the code of the region:
 * `first` is the first lane's point. */
bool beside_axis(Emit *e, const Region *at, Val index, Beside *b);
void beside_axis_run(Beside *b, const Region *at, Val index, IndexRange range,
                     void (*body)(Beside *b, LLVMValueRef first, void *arg), void *arg);

/* ---- beside_op.c ------------------------------------------------------------------------------------ */

LLVMTypeRef beside_type(const Beside *b, IrType t);
LLVMValueRef beside_get(const Beside *b, Val v); /* as a vector */
LLVMValueRef beside_splat(const Beside *b, LLVMValueRef scalar);
LLVMValueRef beside_number(const Beside *b, double v);
LLVMValueRef beside_convert(const Beside *b, LLVMValueRef x, IrType from, IrType to);
LLVMValueRef beside_op(const Beside *b, const Instr *i); /* pure, not a load */

/* ---- beside_array.c --------------------------------------------------------------------------------- */

LLVMValueRef beside_load(const Beside *b, const Instr *i);
void beside_store(const Beside *b, const Instr *i);
/* Active lanes of neighbours in memory; others are 0, or stay as they are there. */
LLVMValueRef beside_line_get(const Beside *b, LLVMTypeRef vector, LLVMValueRef address, unsigned align);
void beside_line_put(const Beside *b, LLVMValueRef x, LLVMValueRef address, unsigned align);

/* ---- beside_acc.c ----------------------------------------------------------------------------------- */

typedef struct LaneReduction LaneReduction;
LaneReduction *lane_reduction_begin(const Beside *b, const Loop *l);
void lane_reduction_add(const Beside *b, LaneReduction *r, LLVMValueRef on); /* on: lanes that take part; NULL: all */
/* across: the lanes are iterations of the reduction itself, and results are scalars. */
void lane_reduction_end(const Beside *b, LaneReduction *r, bool across);

#endif
