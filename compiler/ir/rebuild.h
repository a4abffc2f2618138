/* rebuild: copies a kernel through the builder, so that a pass states only what it does differently.
 *
 * The copy is in the builder's normal form whatever it was before: operations outermost, equal ones shared,
 * constants folded.  Law: without hooks the copy means the same, and a copy of the copy differs at most in the
 * names of local arrays. */
#ifndef ATTN_IR_REBUILD_H
#define ATTN_IR_REBUILD_H

#include "ir/build.h"

typedef struct Rebuild Rebuild;
struct Rebuild {
  const Kernel *from; /* verified */
  Builder b;
  Val *map;       /* by value of `from`: its copy; 0: none yet */
  Array **arrays; /* by Array.id of `from` */
  void *ctx;      /* the pass's own */
  const int64_t *sizes; /* NULL, or by place in Kernel.sizes: a constant to put there; -1: none */
  bool stores;    /* the pass makes stores of its own */
  bool (*keep)(const Rebuild *r, Val v);             /* NULL: all instructions */
  bool (*keep_acc)(const Rebuild *r, const Acc *a);  /* NULL: all accumulators */
  void (*code)(Rebuild *r, const Region *region);    /* NULL: rebuild_instr for each, in order */
  /* NULL, or the mask of a loop, the copy of its own being `mask`; the body is the current region */
  Val (*mask)(Rebuild *r, const Loop *from, const Loop *to, Val mask);
};

void rebuild_init(Rebuild *r, Arena *arena, const Kernel *from);
/* Copies the whole kernel with the hooks as set. */
Kernel *rebuild_run(Rebuild *r);

void rebuild_instr(Rebuild *r, Val v);
/* n >= 1 loops of one kind become one: bounds, mask and seed mask of the first, the bodies one after
 * another, all accumulators.  The caller knows that this is right. */
void rebuild_merged(Rebuild *r, uint32_t n, const Loop *const *loops);
/* A loop over other bounds, values of the copy. */
void rebuild_between(Rebuild *r, const Loop *from, Val lo, Val hi);
/* n parallel loops over 0 .. 1 become one over 0 .. n, each of whose iterations is one of theirs.  Likewise. */
void rebuild_apart(Rebuild *r, uint32_t n, const Loop *const *loops);

#endif
