/* half: the two 16-bit floating formats, as bits.
 *
 *   f16   1 sign, 5 exponent, 10 fraction bits   IEEE 754 binary16
 *   bf16  1 sign, 8 exponent,  7 fraction bits   the upper half of a binary32
 *
 * Widening is exact.  Narrowing rounds once, to nearest with ties to even, from the wide value given:
 * f64 to f16 by way of f32 would round twice and be wrong near ties.  Overflow gives infinity, tiny
 * values become denormals or signed zeros, and a NaN stays a (quiet) NaN of the same sign. */
#ifndef ATTN_RT_HALF_H
#define ATTN_RT_HALF_H

#include <stdint.h>

float f16_to_f32(uint16_t h);
float bf16_to_f32(uint16_t h);
uint16_t f32_to_f16(float x);
uint16_t f32_to_bf16(float x);
uint16_t f64_to_f16(double x);
uint16_t f64_to_bf16(double x);

#endif
