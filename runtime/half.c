/* half: 16-bit floats by integer arithmetic, the same for both formats; see half.h.
 *
 * A format is its number of fraction bits; the exponent has the other 15 bits less these.  Working on
 * bits alone makes the result independent of the rounding mode and of flush-to-zero. */
#include "half.h"

#include <string.h>

enum { F16_FRACTION = 10, BF16_FRACTION = 7, F64_FRACTION = 52, F64_BIAS = 1023 };

static int format_bias(int fraction) { return (1 << (14 - fraction)) - 1; }

static double double_of(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* x / 2^shift, to nearest, ties to even; 0 <= x < 2^53. */
static uint64_t round_shift(uint64_t x, int shift) {
  if (shift > 54) return 0;
  uint64_t kept = x >> shift, half = 1ull << (shift - 1), rest = x & ((half << 1) - 1);
  return kept + (rest > half || (rest == half && (kept & 1)));
}

/* A carry out of the rounded fraction runs into the exponent, which is what rounding up to the next
 * binade, to the smallest normal number, or to infinity means. */
static uint16_t narrow(double x, int fraction) {
  uint64_t bits = bits_of(x), mantissa = bits & ((1ull << F64_FRACTION) - 1);
  int biased = (int)(bits >> F64_FRACTION & 0x7ff), drop = F64_FRACTION - fraction;
  uint16_t sign = (uint16_t)(bits >> 48 & 0x8000), infinity = (uint16_t)(0x7fff >> fraction << fraction);
  if (biased == 0x7ff && mantissa) return (uint16_t)(sign | infinity | 1 << (fraction - 1) | mantissa >> drop);
  int exponent = biased - F64_BIAS + format_bias(fraction);
  if (exponent >= infinity >> fraction) return sign | infinity;
  if (biased == 0) return sign;
  if (exponent >= 1) return (uint16_t)(sign | (((uint64_t)exponent << fraction) + round_shift(mantissa, drop)));
  return (uint16_t)(sign | round_shift(mantissa | 1ull << F64_FRACTION, drop + 1 - exponent));
}

static double widen(uint16_t h, int fraction) {
  uint64_t sign = (uint64_t)(h & 0x8000) << 48, mantissa = h & ((1u << fraction) - 1);
  int exponent = (h & 0x7fff) >> fraction, top = 0x7fff >> fraction, lift = F64_FRACTION - fraction;
  if (exponent == top) return double_of(sign | 0x7ffull << F64_FRACTION | mantissa << lift);
  if (exponent == 0) {
    uint64_t unit = (uint64_t)(F64_BIAS + 1 - format_bias(fraction) - fraction) << F64_FRACTION;
    double size = (double)mantissa * double_of(unit);
    return sign ? -size : size;
  }
  return double_of(sign | (uint64_t)(exponent - format_bias(fraction) + F64_BIAS) << F64_FRACTION | mantissa << lift);
}

float f16_to_f32(uint16_t h) { return (float)widen(h, F16_FRACTION); }
float bf16_to_f32(uint16_t h) { return (float)widen(h, BF16_FRACTION); }
uint16_t f32_to_f16(float x) { return narrow((double)x, F16_FRACTION); }
uint16_t f32_to_bf16(float x) { return narrow((double)x, BF16_FRACTION); }
uint16_t f64_to_f16(double x) { return narrow(x, F16_FRACTION); }
uint16_t f64_to_bf16(double x) { return narrow(x, BF16_FRACTION); }
