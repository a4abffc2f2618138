/* verify_input: the same numbers for the oracle (Binding) and for kernels (Inputs). */
#ifndef ATTN_DRIVER_VERIFY_INPUT_H
#define ATTN_DRIVER_VERIFY_INPUT_H

#include "driver/bind.h"
#include "model/binding.h"

/* Replaces the inputs of `b` that `given` holds. */
void verify_fix_inputs(Arena *arena, const Inputs *given, Binding *b);
/* As kernels of this precision read them.  noise: relative size of a random change of every real number. */
Inputs verify_inputs(Arena *arena, const Model *m, const Binding *b, bool f64, double noise, int64_t seed);

#endif
