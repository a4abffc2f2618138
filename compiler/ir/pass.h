/* pass: rewrites of a kernel that keep its meaning, and the order in which they run. */
#ifndef ATTN_IR_PASS_H
#define ATTN_IR_PASS_H

#include "ir/ir.h"

/* When sums are reassociated: where the sizes make it cheaper; always, in chunks short enough for tests; never. */
typedef enum { REASSOCIATE_AUTO, REASSOCIATE_ALWAYS, REASSOCIATE_NEVER } Reassociate;

/* as_derived: sums stay as the derivation left them, for explanations: neither reassociated nor, over two values,
 * written out. */
typedef struct PassOptions { Reassociate reassociate; bool as_derived; } PassOptions;

/* `run` takes a verified kernel and returns another on the arena; it never changes its argument. */
typedef struct Pass {
  const char *name;
  Kernel *(*run)(Arena *arena, const Kernel *k, const PassOptions *options);
} Pass;

extern const Pass ir_passes[];
extern const uint32_t ir_pass_count;

/* Runs all passes, or those up to and with stop_after; the verifier looks at the input and at each result,
 * and what it finds is an ICE that names the pass.  NULL if there is no pass of that name. */
Kernel *ir_run_passes(Arena *arena, const Kernel *k, const char *stop_after);
Kernel *ir_run_passes_with(Arena *arena, const Kernel *k, const PassOptions *options, const char *stop_after);

/* The kernel for given sizes, by place in Kernel.sizes; -1: any.  Run before the others. */
Kernel *pass_specialise(Arena *arena, const Kernel *k, const int64_t *sizes);
Kernel *pass_pair(Arena *arena, const Kernel *k);
/* inner: of sums that depend on a reduction's variable. */
Kernel *pass_invariant(Arena *arena, const Kernel *k, bool inner);
Kernel *pass_vector(Arena *arena, const Kernel *k);
Kernel *pass_fuse(Arena *arena, const Kernel *k);
Kernel *pass_apart(Arena *arena, const Kernel *k); /* pass_fuse.c */
Kernel *pass_narrow(Arena *arena, const Kernel *k);
Kernel *pass_order(Arena *arena, const Kernel *k);
Kernel *pass_dce(Arena *arena, const Kernel *k);
/* To be run once, on a kernel that it has not yet rewritten. */
Kernel *pass_reassociate(Arena *arena, const Kernel *k, Reassociate mode);

#endif
