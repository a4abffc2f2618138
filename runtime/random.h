/* random: numbers that are pure functions of a seed and counters.
 *
 * Generator: Philox4x32-10, a keyed bijection of 128 bits (Salmon, Moraes, Dror, Shaw: "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011; checked against that paper's test vectors).  There is no state, so
 * a draw does not depend on the order or the threads in which draws are made.
 *
 * Counters are absorbed two at a time, lowest 32 bits first, as in CBC-MAC:
 *
 *   key   = seed xor n * 0x9E3779B97F4A7C15           n: how many counters, so (s, 1) and (s, 1, 0) differ
 *   state = Philox(key, state xor (c0, c1)), then (c2, c3), ...; a missing one is 0; no counters: one step
 *
 * Bits and uniforms are integer arithmetic and one exact scaling, the same on every machine.  Normals go
 * through log, sqrt and cos of the C library and may differ in the last bit between libraries. */
#ifndef ATTN_RT_RANDOM_H
#define ATTN_RT_RANDOM_H

#include <stdint.h>

/* The Philox4x32-10 block function: in place on counter[4], under key[2]. */
void attn_rt_philox(uint32_t counter[4], const uint32_t key[2]);

/* 64 random bits of (seed, counters[0 .. n)).  n >= 0; counters may be NULL if n is 0. */
uint64_t attn_rt_random_bits(int64_t seed, int64_t n, const int64_t *counters);
/* Uniform in [0, 1), a multiple of 2^-53: the upper 53 of these bits. */
double attn_rt_random_uniform(int64_t seed, int64_t n, const int64_t *counters);
/* The same cut to a multiple of 2^-24, which fits in a float without rounding up to 1. */
float attn_rt_random_uniformf(int64_t seed, int64_t n, const int64_t *counters);
/* Standard normal by Box and Muller's transform; always finite, |x| < 8.6. */
double attn_rt_random_normal(int64_t seed, int64_t n, const int64_t *counters);
/* Uniform integer in lo .. hi - 1 (bias below (hi - lo) / 2^64); lo where the range is empty. */
int64_t attn_rt_random_int(int64_t seed, int64_t n, const int64_t *counters, int64_t lo, int64_t hi);

/* Streams.  out[k] is the draw above with the one counter first + k, for k in 0 .. n - 1, so a stream may be
 * filled in pieces and in any order.  f32 normals are the f64 ones rounded. */
void random_fill_normal(int64_t seed, int64_t first, int64_t n, double *out);
void random_fill_normalf(int64_t seed, int64_t first, int64_t n, float *out);
void random_fill_uniform(int64_t seed, int64_t first, int64_t n, double *out);
void random_fill_uniformf(int64_t seed, int64_t first, int64_t n, float *out);
void random_fill_int(int64_t seed, int64_t first, int64_t n, int64_t lo, int64_t hi, int64_t *out);

#endif
