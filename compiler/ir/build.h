/* build: the only way to make reduction IR.
 *
 * Pure operations go to the outermost region in which their arguments are known and equal ones are
 * shared (loop-invariant motion and common subexpressions by construction); constants fold; a finished
 * reduction moves outward in the same way, unless it contains a check.  Loops are appended to their region
 * when they are closed, so whatever is placed in an outer region meanwhile stands before them.
 *
 * Loads of a temporary are pure only between stores into it: neither they nor the reductions that contain them leave
 * the innermost loop that may store into it, and none is shared across such a store or the border of such a loop.
 *
 * Law: a value may be used wherever its region is the current one or around it. */
#ifndef ATTN_IR_BUILD_H
#define ATTN_IR_BUILD_H

#include "ir/ir.h"

typedef struct Builder {
  Kernel *k;
  Region *at;   /* current region: where effects and loops are put */
  Span span;    /* given to new instructions */
  uint32_t *table; /* hash of pure instructions */
  uint32_t table_size, table_fill;
  uint32_t writes; /* counts the places at which any temporary may have changed; Array.writes: this one */
} Builder;

void build_init(Builder *b, Arena *arena, const char *name);

Val build_int(Builder *b, int64_t v);
Val build_bool(Builder *b, bool v);
Val build_float(Builder *b, IrType t, double v); /* t: IR_REAL or IR_WIDE */
Val build_size(Builder *b, uint32_t size);       /* index into Kernel.sizes */
Val build_op(Builder *b, IrOp op, IrType type, uint32_t narg, const Val *args);
Val build_1(Builder *b, IrOp op, Val x);          /* type by the op's rule */
Val build_2(Builder *b, IrOp op, Val x, Val y);   /* real with wide: real is widened first */
Val build_select(Builder *b, Val cond, Val x, Val y);
Val build_convert(Builder *b, Val x, IrType to);
Val build_and(Builder *b, Val x, Val y); /* 0 stands for true */

/* Its ARRAY instruction is put in the current region. */
Array *build_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims);
Val build_load(Builder *b, Array *a, const Val *index);
void build_store(Builder *b, Array *a, Val value, const Val *index);
/* A routine on temporaries at the leading indices `at`; arrays: inputs, then outputs; work: how many doubles it needs.
 * Until the kernel is run through passes its routine may be exchanged for one of the same family. */
Solve *build_solve(Builder *b, Family f, uint32_t nat, const Val *at, Array *const *arrays, const Val *ints, Val work);
void build_check(Builder *b, IrOp check, Val guard, Val x, Val y);

/* Opens a loop: its body becomes the current region.  build_close puts it where it belongs and makes the
 * region that was current at build_open current again. */
Loop *build_open(Builder *b, LoopKind kind, Val lo, Val hi);
/* Of a loop just opened: inside, of all temporaries only these will be stored into, so that loads of others may leave
 * it.  Of loops of which this is not said nothing is known. */
void build_stores(Builder *b, Loop *l, uint32_t n, Array *const *temps);
Region *build_seed(Builder *b, Loop *l);                /* makes a seed region (current until build_body) */
void build_body(Builder *b, Loop *l);                   /* back to the body */
/* Axis region under the current body or seed: makes it current; *index gets naxis variables. */
Region *build_axes(Builder *b, Loop *l, uint32_t naxis, Val *index);
void build_leave_axes(Builder *b, Region *at);
/* Adds an accumulator.  The result (Acc.result or Acc.result_at) may be used once the loop is closed. */
Acc *build_acc(Builder *b, Loop *l, AccKind kind, IrType type, uint32_t naxis, const Axis *axes);
/* Where the loop went.  An equal loop already there is used instead: read results from the returned one. */
Loop *build_close(Builder *b, Loop *l);

/* The innermost region among the homes of n values. */
Region *build_deepest(Builder *b, uint32_t n, const Val *v);
bool region_contains(const Region *outer, const Region *inner);

#endif
