/* bind: sizes and inputs for a model of the generator, or for any other.
 *
 * What draw_binding finds from the uses of an input is kept unless the input's name follows the generator's
 * convention (generate.h); then its first letter decides, so that data also hold what a user may give and a
 * polite drawing avoids: -inf, NaN, scores of 1e4, masks of 0.  A value depends on the seed, the name of the
 * input and the place alone: a statement dropped from the text changes no data. */
#ifndef TESTS_FUZZ_BIND_H
#define TESTS_FUZZ_BIND_H

#include "model/binding.h"

/* `attempt` 0 is the boldest in sizes; later ones are smaller.  All reals are exact in f32. */
bool bind_model(Arena *arena, const Model *m, uint64_t seed, uint32_t attempt, Binding *bound, char **why);

/* The same binding with every finite real, beside 0 and 1, moved by this relative rounding. */
Binding bind_perturbed(Arena *arena, const Model *m, const Binding *bound, double rounding, uint64_t seed);

#endif
