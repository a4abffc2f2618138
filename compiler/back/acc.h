/* acc: the states of a reduction under way, for those who add elements to them: emit_acc.c one by one, gather.c in
 * blocks. */
#ifndef ATTN_BACK_ACC_H
#define ATTN_BACK_ACC_H

#include "back/emit.h"

typedef struct Weight {
  Val body, seed;
  IrType type;
  bool summed;             /* some accumulator needs the mass */
  LLVMValueRef max, mass;  /* cells */
  LLVMValueRef bad;        /* cell */
  /* Of the element being added. */
  LLVMValueRef alive;      /* it has a finite log weight */
  LLVMValueRef part;       /* e^(log_w - m), wide; 0 if not alive */
  LLVMValueRef above, tie; /* beside the maximum before it; false if not alive */
} Weight;

typedef struct State {
  const Acc *acc;
  Weight *weight;    /* NULL: unweighted */
  IrType type;       /* of the state */
  LLVMValueRef cell; /* without axes */
} State;

struct Reduction {
  const Loop *loop;
  uint32_t n, nweight;
  State *state;
  Weight *weight;
  struct Gather *gather; /* elements of the body are added in blocks; NULL: one by one */
};

/* Its cells; then states of no elements: those without axes alone, or all. */
Reduction *acc_new(Emit *e, const Loop *l);
void acc_begin(Emit *e, const Reduction *r, bool axes);
/* What a reduction without axes comes to. */
void acc_end_scalar(Emit *e, const State *s);
/* By how much the points of a state with axes are multiplied at the end; NULL: they are divided, or are results. */
LLVMValueRef acc_factor(Emit *e, const State *s);
LLVMValueRef acc_result_at(Emit *e, const State *s, LLVMValueRef x, LLVMValueRef factor); /* x: a point, or a vector */
/* Of a state with axes each point becomes what f makes of it: x, one or a vector of them, from number `at` on. */
typedef LLVMValueRef (*PointFn)(Emit *e, const State *s, LLVMValueRef x, LLVMValueRef at, void *arg);
void acc_each_point(Emit *e, const State *s, PointFn f, void *arg);
/* With an x more, whose weight's fields are set: one, or a vector of sums of doubles. */
LLVMValueRef acc_combine(Emit *e, const State *s, LLVMValueRef old, LLVMValueRef x);
/* The maximum of w becomes log_w > old: sums are brought to the new scale. */
void acc_grow(Emit *e, const Reduction *r, const Weight *w, LLVMValueRef old, LLVMValueRef log_w);
/* Adds e->val of x to a state without axes, its weight's fields being those of the element. */
void acc_add_scalar(Emit *e, const State *s, bool seed);
LLVMValueRef acc_entropy_term(Emit *e, LLVMValueRef part, LLVMValueRef distance); /* e^d d; 0 where e^d is */
/* One pass over the axes of state `first` and those that share it; `add`: for the accumulators, else for checks alone.
 */
void acc_run_axes(Emit *e, const Reduction *r, uint32_t first, bool seed, bool add);
bool acc_starts_pass(const Reduction *r, uint32_t n, bool seed);

#endif
