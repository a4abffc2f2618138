/* latent: q over the latents, and its numerical improvement (internal to the oracle).
 *
 * Components of a latent that q treats as one are a block: a point, a Gaussian or a conjugate component
 * alone, or all components of one dirichlet vector.  Expectations under q use, for every block, nodes and
 * weights that are exact for the functions that a log weight may be where a step has a closed form:
 * quadratics for a normal, log z and log(1 - z) for a beta, and so on; where a normal takes gradient steps (`fine`)
 * they are those of Gauss and Hermite. */
#ifndef ATTN_ORACLE_LATENT_H
#define ATTN_ORACLE_LATENT_H

#include "oracle/world.h"

typedef enum { FAMILY_POINT, FAMILY_NORMAL, FAMILY_BETA, FAMILY_GAMMA, FAMILY_DIRICHLET } Family;

/* What a latent's range is, by its prior. */
typedef enum { RANGE_REAL, RANGE_POSITIVE, RANGE_UNIT, RANGE_SIMPLEX } LatentRange;

typedef struct Block {
  Family family;
  QKind kind;
  uint32_t first, n; /* places */
  bool pinned;       /* stands at w->z for the moment, whatever q says */
} Block;

/* A weight: joint values [n, scope] of the copies of its component that it may mention (NULL: none), their
 * probabilities, and its log weight there where `change` is counted from. */
typedef struct LocalWeight {
  const Factor *f;
  uint64_t n;
  int64_t *values;
  long double *p;
  double *base;
} LocalWeight;

struct LatentState {
  double *param;      /* [places, 2]: normal mean, sd; beta a, b; gamma shape, rate; dirichlet alpha, - */
  uint32_t *block_of; /* by place */
  VEC(Block) blocks;
  uint32_t *latent_first; /* by Latent.id: its places are consecutive; one more at the end */
  bool *resting;          /* by Infer.id */
  bool *touched;          /* by place; what evaluation has looked at */
  VEC(uint32_t) touch_list;
  VEC(Snapshot) history;
  bool *weight_mentions;  /* by Weight.id: some latent */
  VEC(LocalWeight) locals; /* while a line moves */
  bool random;            /* some block is no point */
  bool lost;              /* some step could not be judged */
  bool fine;              /* log weights may be no quadratics of a normal latent: rules are for any smooth function */
  bool too_coarse;        /* they should have been */
};

LatentRange latent_range(const Latent *l);

/* latent_start.c: q before the first step. */
bool latent_start(World *w, bool fine);

/* latent_rule.c */
typedef struct Rule { uint32_t n; double *nodes /* [n, block places] */, *weights; } Rule;
void latent_block_mean(World *w, const Block *b); /* puts the mean of q into w->z */
double latent_block_entropy(World *w, const Block *b);
/* Solves a [n, n] x = b in place (b becomes x); false where singular. */
bool latent_solve(double *a, double *b, uint32_t n);

/* latent_objective.c: what depends on latents in E_r E_q[log w], r being the edges' posterior at `begin`; pinned blocks
 * stand where w->z has them; NAN once the run has failed. */
void latent_objective_begin(World *w);
double latent_objective(World *w);
/* The part of it that looks at a place whose q is normal. */
double latent_objective_at(World *w, uint32_t place);
/* The objective's change since `latent_change_begin`, and the size of the log weights that changed, weighed as they
 * are. What did not change takes no part: a change by weights of small probability is as exact as they are. */
typedef struct LatentChange { long double by; double scale; } LatentChange;
void latent_change_begin(World *w);
LatentChange latent_change(World *w);

/* A set of places that move together. */
typedef struct LatentPlaces { uint32_t *at, n; } LatentPlaces;

/* latent_quadratic.c: moves them to the top of the objective where that is a concave quadratic in them, and q's spreads
 * with them; false, with nothing moved, where it is not, or where a place's q is neither a point nor normal. */
bool latent_take_quadratic(World *w, const LatentPlaces *p, double damping);

/* Two values of one function, or of two that may be the same, at the size `scale`. */
static inline bool latent_agrees(double a, double b, double scale) { return fabs(a - b) <= 1e-9 * scale; }
static inline double latent_damped(double fresh, double old, double damping) {
  return damping == 0 ? fresh : (1 - damping) * fresh + damping * old;
}

/* latent_gradient.c: moves them by `rate` along the gradient of F. */
void latent_take_gradient(World *w, const LatentPlaces *p, double rate, double damping);

/* latent_step.c: one step of an `infer` line with the edge posterior held. */
void latent_step(World *w, Infer *line);

#endif
