/* judge: one model through the oracle and through every stage of the compiler, and what came out.
 *
 * The interpreter of the IR runs the kernel before and after the passes, in f64 and f32; the back end compiles
 * it for both.  Each result is held against the oracle's within
 *   f64   1e-10 norm-wise relative         f32   1e-5 (1 + max|log_w| / 100)
 * and beyond that within the sensitivity of the result: how far it moves when the inputs, or the results of all
 * operations, move by the rounding of f32. */
#ifndef TESTS_FUZZ_JUDGE_H
#define TESTS_FUZZ_JUDGE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "ir/pass.h"

typedef enum {
  VERDICT_AGREE,
  VERDICT_REFUSED,  /* the plan says what it cannot do yet */
  VERDICT_FAULT,    /* the oracle and the compiled model both stop with a run-time error */
  VERDICT_LAZY,     /* the oracle stops with a run-time error, the compiled model does not: nothing read the place */
  VERDICT_COSTLY,   /* the oracle refuses */
  VERDICT_ILLEGAL,  /* the checker finds errors */
  VERDICT_DISPARITY, /* the compiled model stops with a run-time error, the oracle does not */
  VERDICT_MISMATCH,
  VERDICT_CRASH,    /* signals, sanitizers, ICE; given by the caller */
  VERDICT_HANG,
  VERDICT_COUNT_
} Verdict;

typedef struct JudgeOptions {
  FILE *to;       /* where differences are explained; NULL: nowhere */
  bool interpret_only;
  bool unoptimised; /* compiled without LLVM's passes, and f64 without vectors, in half the time */
  Reassociate reassociate; /* ALWAYS: the machine runs the kernel after the passes, else before */
  bool only_reassociated; /* models whose kernels ALWAYS changes; others agree */
  bool no_large;   /* no size far beyond the usual: work grows with their cubes */
  bool one_native; /* compile for f64 or f32, by the seed, not both: LLVM takes most of the time */
} JudgeOptions;

/* The worst verdict of the models in the text; `why` (of `room` bytes) holds a line about it. */
Verdict judge_text(const char *path, const char *text, uint64_t seed, const JudgeOptions *options, char *why,
                   size_t room);

const char *verdict_name(Verdict v);

#endif
