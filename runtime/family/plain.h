/* plain: exponentials and logarithms that compilers turn into vectors: straight code without branches or calls.
 * Errors: 2 ulp.  All on doubles that are numbers; see compiler/back/doubles.c for the method. */
#ifndef ATTN_RT_PLAIN_H
#define ATTN_RT_PLAIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline int64_t plain_bits(double x) {
  int64_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}

static inline double plain_double(int64_t b) {
  double x;
  memcpy(&x, &b, sizeof x);
  return x;
}

#define PLAIN_LN2_HIGH 0x1.62e42fee00000p-1
#define PLAIN_LN2_LOW 0x1.a39ef35793c76p-33

/* e^x of x <= 700; 0 from -700 down. */
static inline double plain_exp(double x) {
  double in = x > -700 ? x : -700, whole = in * 1.44269504088896341 + 0x1.8p52, n = whole - 0x1.8p52;
  double r = in - n * PLAIN_LN2_HIGH - n * PLAIN_LN2_LOW, p = 0x1.b02d81f8d55f5p-26;
  p = p * r + 0x1.28aa561b46042p-22;
  p = p * r + 0x1.71dd1f800bac2p-19;
  p = p * r + 0x1.a019a2265c29dp-16;
  p = p * r + 0x1.a01a022eb41dbp-13;
  p = p * r + 0x1.6c16c17f01569p-10;
  p = p * r + 0x1.11111110f624bp-7;
  p = p * r + 0x1.5555555552b92p-5;
  p = p * r + 0x1.55555555555adp-3;
  p = p * r + 0x1.0000000000002p-1;
  double y = p * (r * r) + r + 1;
  y = plain_double((int64_t)((uint64_t)plain_bits(y) + ((uint64_t)plain_bits(whole) << 52)));
  return x > -700 ? y : 0;
}

/* log x of a positive normal x; -inf of 0. */
static inline double plain_log(double x) {
  int64_t raw = plain_bits(x) - 0x3fe6a09e667f3bcd; /* sqrt 1/2 */
  uint64_t high = (uint64_t)raw + ((uint64_t)1024 << 52);
  double n = plain_double((int64_t)(high >> 52 | 0x4330000000000000u)) - (0x1p52 + 1024);
  double f = plain_double((raw & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1, s = f / (2 + f), z = s * s;
  double p = 1.479819860511658591e-01;
  p = p * z + 1.531383769920937332e-01;
  p = p * z + 1.818357216161805012e-01;
  p = p * z + 2.222219843214978396e-01;
  p = p * z + 2.857142874366239149e-01;
  p = p * z + 3.999999999940941908e-01;
  p = p * z + 6.666666666666735130e-01;
  double half = f * f * 0.5, y = n * PLAIN_LN2_HIGH - ((half - (s * (half + p * z) + n * PLAIN_LN2_LOW)) - f);
  return x > 0 ? y : -INFINITY;
}

#endif
