/* iterate: the state of q in a kernel, and the loops that improve it.  Shared by iterate.c, start.c, step.c. */
#ifndef ATTN_INFER_ITERATE_H
#define ATTN_INFER_ITERATE_H

#include "infer/context.h"
#include "infer/latent.h"

/* The numbers of q that are kept for every component.  A point has a mean only; a normal mean and variance; the others
 * two parameters (a, b; shape, rate; alpha, -) and what follows from them. */
typedef enum { PART_MEAN, PART_VARIANCE, PART_LOG, PART_LOG1M, PART_FIRST, PART_SECOND, PART_COUNT } QPart;

/* `now`: before the line under way, `fresh`: as far as the line has come.  NULL: q has no such number. */
typedef struct LatentState {
  Array *now[PART_COUNT], *fresh[PART_COUNT];
} LatentState;

/* F after every step, for an elbo(s) that stands in these plates. */
typedef struct History {
  IndexVec plates;
  Array *f;
} History;

struct Iteration {
  LatentState *of; /* by Latent.id */
  VEC(History) histories;
  Val steps; /* the most of any line */
  Val step;  /* the number of the one under way, from 1 */
};

/* One loop over each index of a latent from number `from` on: the body is current until close_loops. */
typedef struct Components {
  Context x;
  Loop **loops;
  Val *place;
  uint32_t n;
} Components;
Components open_components(Context x, const Latent *z);
void component_loop(Components *n, const Latent *z); /* opens the next */
/* carried: sums inside may carry it, if it is an axis. */
void component_loop_in(Components *n, const Latent *z, LoopKind kind, bool carried);
void close_components(Components *n);
/* reduce over the first `rank` indices of a latent; at gives the contribution at the offsets `place` of these. */
typedef Val (*AtComponentFn)(Context *x, void *arg, const Val *place);
Val reduce_components(Context *x, const Latent *z, uint32_t rank, AccKind kind, IrType type, AtComponentFn at,
                      void *arg);

/* q_state.c */
void declare_state(Derive *d, const LatentPlan *l);
Val load_part(Context *x, Array *const *parts, QPart part, const Val *place);
/* Stores parameters and what follows from them. */
void store_moments(Context *x, const LatentPlan *l, Array *const *parts, const Val *place);

/* start.c: q before the first step. */
void start_latents(Derive *d);
/* step.c: one latent of a line, from `now` (and `fresh` ones of the line) into `fresh`. */
void step_latent(Derive *d, const LatentPlan *l);
/* step_joint.c: all members of a joint form. */
void step_joint(Derive *d, const Joint *j);
/* The place of the vector at `place`, at the component that a loop over its last index is at; ints, on the arena. */
Val *component_of_vector(Context *x, const Latent *z, const Val *place);

#endif
