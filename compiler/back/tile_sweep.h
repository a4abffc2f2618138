/* tile_sweep: what the files of a sweep share; see tile_sweep.c. */
#ifndef ATTN_BACK_TILE_SWEEP_H
#define ATTN_BACK_TILE_SWEEP_H

#include <math.h>

#include "back/tile.h"
#include "back/whole.h"

/* The vectors of a sweep.  max, sum: of each weight, sum NULL where its mass is that of rounded weights; acc: of each
 * accumulator that has one, else NULL.  Where it is enough to know whether a weight's slack was exceeded, max is the
 * largest of the exponential's steps. */
typedef struct Vectors {
  LLVMValueRef *max, *sum, *acc;
} Vectors;

typedef struct Sweep {
  Tile *t;
  bool masked;         /* pairs may be missing, and columns bad */
  bool beside;         /* beside another loop: the fewest operations of its units */
  LLVMValueRef row;    /* of the block */
  LLVMValueRef *depth; /* of each weight, a scalar: less its reference, and 0 where that is -inf */
  Vectors phi, next;
} Sweep;

/* Log weights above the reference by less than this, in powers of 2, are not worth another one. */
#define SWEEP_SLACK 8.0

/* ---- tile_carried.c ----------------------------------------------------------------------------------- */

/* What an accumulator of pairs has seen before the first. */
LLVMValueRef sweep_none_of(const Lanes *l, const Acc *a);
/* Does a result need the largest log weight itself, so that there is no slack? */
bool sweep_asks_for_maximum(const TileStream *s, uint32_t w);
/* Is it enough to know whether the slack of the weight was exceeded? */
bool sweep_is_flag(const Tile *t, uint32_t w, bool beside);
bool sweep_has_vector(const TileAcc *a);
/* An accumulator whose states are sums over the lanes. */
bool sweep_is_summed(const TileAcc *a);
/* Lanes of a register, where t->l has those of several side by side. */
Lanes sweep_one_register(const Tile *t);
/* Registers side by side as one. */
LLVMValueRef sweep_into_one(const Tile *t, LLVMValueRef x, LLVMValueRef (*combine)(Emit *, LLVMValueRef, LLVMValueRef));
Vectors sweep_vectors_new(const Tile *t);
Vectors sweep_vectors_first(const Tile *t, bool beside);
Vectors sweep_vectors_phi(Tile *t, const Vectors *first, LLVMBasicBlockRef from);
void sweep_vectors_incoming(const Tile *t, const Vectors *phi, const Vectors *next, LLVMBasicBlockRef from);

/* ---- tile_sweep.c ------------------------------------------------------------------------------------- */

/* The vector at t->here_column: s->next from s->phi. */
void sweep_vector(Sweep *s);
/* i1 a lane: inside the block and the mask. */
LLVMValueRef sweep_alive_here(Tile *t);
/* Where the bits of the mask are kept for the vector. */
LLVMValueRef sweep_live_address(Tile *t);

/* ---- tile_reference.c --------------------------------------------------------------------------------- */

LLVMValueRef sweep_reference_of(Tile *t, uint32_t w, LLVMValueRef row);
/* Less the reference, and 0 where there is none yet. */
LLVMValueRef sweep_depth_of(Tile *t, uint32_t w, LLVMValueRef row);
/* Heights above this one call for another reference than `old`. */
LLVMValueRef sweep_limit_of(Tile *t, uint32_t w, LLVMValueRef old);
/* Whether some log weight of the sweep is above the limit of its reference. */
LLVMValueRef sweep_is_above(Sweep *s);
void sweep_raise_all(Sweep *s);
/* The reference of a row becomes `top`, its states with it: without one they were those of nothing. */
void sweep_raise(Tile *t, uint32_t w, LLVMValueRef row, LLVMValueRef old, LLVMValueRef top);
/* Adds what the vectors came to to the row's states; one accumulator, and where but_sums not if it is a sum. */
void sweep_keep(Sweep *s);
void sweep_keep_acc(Sweep *s, uint32_t k, bool but_sums);

/* ---- short words ---------------------------------------------------------------------------------------- */

static inline LLVMValueRef sweep_choose(Emit *e, LLVMValueRef c, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(e->b, c, x, y, "");
}
static inline LLVMValueRef sweep_compare(Emit *e, LLVMRealPredicate p, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildFCmp(e->b, p, x, y, "");
}
static inline LLVMValueRef sweep_bigger(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return sweep_choose(e, sweep_compare(e, LLVMRealOGT, y, x), y, x);
}
static inline LLVMValueRef sweep_sum_two(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildFAdd(e->b, x, y, "");
}
static inline LLVMValueRef sweep_smaller_int(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return sweep_choose(e, LLVMBuildICmp(e->b, LLVMIntSLT, y, x, ""), y, x);
}
static inline LLVMValueRef sweep_bigger_int(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  return sweep_choose(e, LLVMBuildICmp(e->b, LLVMIntSGT, y, x, ""), y, x);
}
static inline LLVMValueRef sweep_none_scalar(Emit *e) { return LLVMConstReal(e->t.f32, -INFINITY); }
/* The row at hand, in the block. */
static inline LLVMValueRef sweep_row_of_block(Tile *t) {
  return plus(t->e, times(t->e, t->strip, t->nrow), t->here_row);
}

#endif
