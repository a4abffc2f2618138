/* eight: vectors of eight doubles, one register or several of whatever processor, and functions of plain.h on them.
 *
 * Additions and multiplications alone, each rounded: the bits do not depend on the processor.  Arguments are passed by
 * address, since code for several processors shares these functions, and registers differ. */
#ifndef ATTN_RT_EIGHT_H
#define ATTN_RT_EIGHT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "plain.h"

enum { EIGHT = 8 };
typedef double Vec __attribute__((vector_size(EIGHT * sizeof(double)), aligned(sizeof(double)), may_alias));
typedef uint64_t Bits __attribute__((vector_size(EIGHT * sizeof(uint64_t)), aligned(sizeof(uint64_t)), may_alias));

/* Lanes of x, 0 .. 7, and of y, 8 .. 15. */
#if defined __clang__ || __GNUC__ >= 12
#define LANES(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define LANES(x, y, ...) __builtin_shuffle(x, y, (Bits){__VA_ARGS__})
#endif

/* Attributes of a function for processors with 512-bit registers, which it is to use. */
#ifdef __clang__
#define FOR_512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw")))
#else
#define FOR_512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")))
#endif

#if defined __x86_64__ && defined __GNUC__
/* Whether this processor runs functions that are FOR_512. */
static inline __attribute__((always_inline)) bool has_512(void) {
  return __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

/* Code of a file for several processors: PROCESSOR(NAME, TARGET) defines functions f_NAME, ON_PROCESSOR(f, ..) calls
 * that for the processor at hand. */
#if defined __x86_64__ && defined __GNUC__
#define EACH_PROCESSOR \
  PROCESSOR(any, ) PROCESSOR(avx2, __attribute__((target("avx2")))) PROCESSOR(avx512, FOR_512)
#define ON_PROCESSOR(f, ...) \
  (has_512() ? f##_avx512(__VA_ARGS__) \
             : __builtin_cpu_supports("avx2") ? f##_avx2(__VA_ARGS__) : f##_any(__VA_ARGS__))
#else
#define EACH_PROCESSOR PROCESSOR(any, )
#define ON_PROCESSOR(f, ...) f##_any(__VA_ARGS__)
#endif

/* Loops of few steps, known or not, become straight code; not where every access is checked. */
#if defined __clang__ || defined __SANITIZE_ADDRESS__
#define UNROLLED(N)
#else
#define UNROLLED_PRAGMA(TEXT) _Pragma(#TEXT)
#define UNROLLED(N) UNROLLED_PRAGMA(GCC unroll N)
#endif

#define ALWAYS static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))

ALWAYS int64_t up(int64_t n) { return (n + EIGHT - 1) / EIGHT * EIGHT; }
ALWAYS int64_t down(int64_t n) { return n / EIGHT * EIGHT; }

ALWAYS Vec *at(const double *x) { return (Vec *)(uintptr_t)x; }

/* Lanes are halved three times: x and its upper half, that and its upper half, .. */
ALWAYS double eight_sum(const Vec *x) {
  Vec s = *x + LANES(*x, *x, 4, 5, 6, 7, 0, 1, 2, 3);
  s += LANES(s, s, 2, 3, 0, 1, 6, 7, 4, 5);
  return s[0] + s[1];
}

ALWAYS bool eight_none(const Bits *x) {
  Bits b = *x;
  return !(((b[0] | b[4]) | (b[2] | b[6])) | ((b[1] | b[5]) | (b[3] | b[7])));
}

/* yes where the lanes of `where` are all ones, else no */
ALWAYS void eight_choose(Vec *to, const Bits *where, const Vec *yes, const Vec *no) {
  *to = (Vec)((*where & (Bits)*yes) | (~*where & (Bits)*no));
}

ALWAYS void eight_max(Vec *to, const Vec *x, const Vec *y) {
  Bits more = (Bits)(*x > *y);
  eight_choose(to, &more, x, y);
}

ALWAYS double eight_most(const Vec *x) {
  Vec s = *x, other = LANES(s, s, 4, 5, 6, 7, 0, 1, 2, 3);
  eight_max(&s, &s, &other);
  other = LANES(s, s, 2, 3, 0, 1, 6, 7, 4, 5);
  eight_max(&s, &s, &other);
  return s[0] > s[1] ? s[0] : s[1];
}

/* plain_exp of numbers from -700 to 700, its polynomial by pairs of terms: a shorter chain of operations, other bits.
 */
ALWAYS void eight_exp(Vec *to, const Vec *from) {
  Vec in = *from, whole = in * 1.44269504088896341 + 0x1.8p52, n = whole - 0x1.8p52;
  Vec r = in - n * PLAIN_LN2_HIGH - n * PLAIN_LN2_LOW, r2 = r * r, r4 = r2 * r2;
  Vec p0 = 0x1.0000000000002p-1 + r * 0x1.55555555555adp-3, p2 = 0x1.5555555552b92p-5 + r * 0x1.11111110f624bp-7;
  Vec p4 = 0x1.6c16c17f01569p-10 + r * 0x1.a01a022eb41dbp-13, p6 = 0x1.a019a2265c29dp-16 + r * 0x1.71dd1f800bac2p-19;
  Vec p8 = 0x1.28aa561b46042p-22 + r * 0x1.b02d81f8d55f5p-26;
  Vec p = (p0 + r2 * p2) + r4 * ((p4 + r2 * p6) + r4 * p8);
  Vec y = p * r2 + r + 1;
  *to = (Vec)((Bits)y + ((Bits)whole << 52));
}

/* plain_log, likewise. */
ALWAYS void eight_log(Vec *to, const Vec *from) {
  Vec x = *from, none = (Vec){0} - INFINITY;
  Bits raw = (Bits)x - 0x3fe6a09e667f3bcd, there = (Bits)(x > (Vec){0}); /* sqrt 1/2 */
  Bits high = raw + ((uint64_t)1024 << 52);
  Vec n = (Vec)((high >> 52) | 0x4330000000000000) - (0x1p52 + 1024);
  Vec f = (Vec)((raw & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1, s = f / (2 + f), z = s * s;
  Vec z2 = z * z, p0 = 6.666666666666735130e-01 + z * 3.999999999940941908e-01;
  Vec p2 = 2.857142874366239149e-01 + z * 2.222219843214978396e-01,
      p4 = 1.818357216161805012e-01 + z * 1.531383769920937332e-01;
  Vec p = p0 + z2 * (p2 + z2 * (p4 + z2 * 1.479819860511658591e-01));
  Vec half = f * f * 0.5, y = n * PLAIN_LN2_HIGH - ((half - (s * (half + p * z) + n * PLAIN_LN2_LOW)) - f);
  eight_choose(to, &there, &y, &none);
}

#endif
