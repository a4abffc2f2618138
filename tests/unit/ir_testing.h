/* ir_testing: reading, printing and running kernels in tests. */
#ifndef IR_TESTING_H
#define IR_TESTING_H

#include "ir/ir_eval.h"
#include "ir/pass.h"

/* Fails the test, with the message, if the text is no kernel. */
Kernel *read_text(Arena *arena, const char *text);
Kernel *read_file(Arena *arena, const char *name); /* tests/ir/NAME.air, verified */
/* The message of the first error; NULL if the text parses. */
const char *parse_error(Arena *arena, const char *text, size_t n);
const char *print_text(Arena *arena, const Kernel *k);

/* Inputs for any kernel: every size is 1 to 5, arrays hold small numbers (now and then -inf or NaN in floating
 * ones), all from `seed`. */
enum { RUN_ARRAYS = 16 };
typedef struct Run { EvalArgs args; EvalOutput outputs[RUN_ARRAYS]; } Run;
Run *random_run(Arena *arena, const Kernel *k, uint64_t seed);
/* Whether both kernels give the same bits; true also where x fails, or y runs into a limit of the evaluator (which
 * a pass may move, as it may change which check fails first). */
bool same_results(Arena *arena, const Kernel *x, const Kernel *y, uint64_t seed);
/* The same up to rounding; NaN and infinities at the same places. */
bool near_results(Arena *arena, const Kernel *x, const Kernel *y, uint64_t seed);

#endif
