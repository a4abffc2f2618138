/* generate: the text of a random legal model, now and then of two in a file, a pure function of a seed.
 *
 * The generator knows what is in sight (indices, copies of edges) and the size that bounds each, so that what it
 * writes passes the checker; it knows nothing of how models are compiled.  Inputs are declared as they are
 * needed, and the first letter of a name says what values make sense for it (see bind.c):
 *
 *   x v  reals     q  feature vectors   p  positive       u  in (0, 1)      s  rows that sum to 1
 *   z    0 or 1    h  0 or -inf         b  large scores   n  some NaN       c  small counts (int)
 *   t    int, below the size whose name is the second letter                f  bool      g  graph
 *
 * Sizes are M, N, K, L (plates and domains) and D, C (features: never 0). */
#ifndef TESTS_FUZZ_GENERATE_H
#define TESTS_FUZZ_GENERATE_H

#include "base/arena.h"

const char *generate_model(Arena *arena, uint64_t seed);
/* The same of models whose weights are sums of products. */
const char *generate_sums(Arena *arena, uint64_t seed);
/* The same of models with latents. */
const char *generate_latents(Arena *arena, uint64_t seed);
/* The same of models whose copies are joined along a plate. */
const char *generate_chains(Arena *arena, uint64_t seed);
/* The same of models that are asked how many of their copies have a property. */
const char *generate_counts(Arena *arena, uint64_t seed);

/* The same of models whose copies are joined in other ways. */
const char *generate_networks(Arena *arena, uint64_t seed);

/* The same of trees, permutations and matchings. */
const char *generate_structures(Arena *arena, uint64_t seed);

/* "  data x_nK: [N, K]" and so on for every input of one letter in the body: its dimensions follow the `_`, n and m being N
 * and M, 0 none. */
const char *declare_reals(Arena *arena, const char *body);

/* The stream of numbers behind it: splitmix64. */
typedef struct Random { uint64_t state; } Random;
uint64_t random_next(Random *r);
uint32_t random_below(Random *r, uint32_t n); /* 0 .. n-1; 0 for n = 0 */
double random_unit(Random *r);
double random_gauss(Random *r);

#endif
