/* ir_eval: the meaning of a kernel, as a program that does what it says.
 *
 * Slow and plain; tests hold passes and compiled code against it.  Real values are rounded to float after
 * every operation unless `f64`; wide ones and accumulators are double.  Where ir.h and op.def leave a choice,
 * this file makes it:
 *   - iterations go from lo to hi, a reduction's seed comes first;
 *   - the code of a body, a seed and an axis region runs for every iteration (and point), its checks too; a
 *     mask only decides whether accumulators see the outcome;
 *   - int arithmetic wraps; an int to a negative power is 0; abs and neg of the least int give it back;
 *   - an int maximum (minimum) over nothing is the least (largest) int;
 *   - NaN as a bool is true;
 *   - the first argument of `random` is the seed, the others are counters.  */
#ifndef ATTN_IR_EVAL_H
#define ATTN_IR_EVAL_H

#include "ir/ir.h"

/* C order.  `real` for arrays of floating type, `integer` for int and bool. */
typedef struct EvalInput {
  const double *real;
  const int64_t *integer;
  const int64_t *dims; /* as many as the kernel's array has */
} EvalInput;

typedef struct EvalOutput {
  uint32_t rank;
  int64_t *dims;
  int64_t count;
  double *real;
  int64_t *integer;
} EvalOutput;

/* Functions that C lacks; an operation whose function is NULL is an error. */
typedef struct EvalFunctions {
  double (*random_uniform)(int64_t seed, int64_t n, const int64_t *counters);
  double (*lgamma)(double);
  double (*digamma)(double);
  double (*lbeta)(double, double);
  void (*const *solve)(const int64_t *n, const void *const *in, void *const *out, double *work); /* by Family */
} EvalFunctions;

enum { EVAL_PARTS = 3 }; /* of an input: as the constants of Array.part */

typedef struct EvalArgs {
  bool f64;
  const int64_t *sizes;    /* by place in Kernel.sizes */
  uint32_t ninput;
  const EvalInput *inputs; /* [external * EVAL_PARTS + part] */
  uint32_t noutput;
  EvalOutput *outputs;     /* by external; filled, on the arena, as far as the kernel declares them */
  EvalFunctions functions;
  double noise;            /* with f64: relative errors of this size, of random sign, in every result of type real */
  uint64_t noise_state;    /* of the signs */
  uint64_t max_steps;      /* instructions; 0: no limit */
  const char *error;       /* set on failure; where it stands in the model is error_at */
  Span error_at;
} EvalArgs;

/* Runs a verified kernel.  False, with args->error, at the first check that fails, and when inputs do not have
 * the kernel's shapes, an array is too large, or the steps run out. */
bool ir_eval(Arena *arena, const Kernel *k, EvalArgs *args);

#endif
