/* lanes_math: elementary functions on vectors of floats, by reduction of the argument and a polynomial.
 *
 * e^x = 2^n e^r with n the integer nearest to x / log 2, found by adding a number so large that the fraction falls off;
 * log x = n log 2 + log m with m in [sqrt 1/2, sqrt 2).  The polynomials are those of Moshier's Cephes library.  The
 * other functions follow from these two by formulas that keep the relative error at the zeros. */
#include <math.h>
#include <string.h>

#include "back/lanes.h"

typedef LLVMValueRef V;

static V add(const Lanes *l, V x, V y) { return LLVMBuildFAdd(l->e->b, x, y, ""); }
static V sub(const Lanes *l, V x, V y) { return LLVMBuildFSub(l->e->b, x, y, ""); }
static V mul(const Lanes *l, V x, V y) { return LLVMBuildFMul(l->e->b, x, y, ""); }
static V quotient(const Lanes *l, V x, V y) { return LLVMBuildFDiv(l->e->b, x, y, ""); }
static V choose(const Lanes *l, V c, V x, V y) { return LLVMBuildSelect(l->e->b, c, x, y, ""); }
static V compare(const Lanes *l, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(l->e->b, p, x, y, ""); }
static V number(const Lanes *l, double v) { return lanes_float(l, v); }
static V absolute(const Lanes *l, V x) { return lanes_call(l, "llvm.fabs", 1, &x); }
static V as_bits(const Lanes *l, V x) { return LLVMBuildBitCast(l->e->b, x, l->i32, ""); }
static V as_float(const Lanes *l, V x) { return LLVMBuildBitCast(l->e->b, x, l->f32, ""); }

/* c[0] x^(n-1) + .. + c[n-1] */
static V polynomial(const Lanes *l, V x, const double *c, unsigned n) {
  V p = number(l, c[0]);
  for (unsigned k = 1; k < n; k++) p = lanes_fma(l, p, x, number(l, c[k]));
  return p;
}

/* ---- exponentials ------------------------------------------------------------------------------- */

enum { LANES_PARTS = 8 };

static const double SHIFT = 0x1.8p23; /* adding it leaves an integer in the low bits */

typedef struct Reduced { V value, shifted; } Reduced; /* e^r; n in the low bits */

static Reduced reduce(const Lanes *l, V x) {
  static const double c[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                             4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
  V shifted = lanes_fma(l, x, number(l, 1.44269504088896341), number(l, SHIFT)), n = sub(l, shifted, number(l, SHIFT));
  V r = lanes_fma(l, n, number(l, -0.693359375), x);
  r = lanes_fma(l, n, number(l, 2.12194440e-4), r);
  V p = polynomial(l, r, c, 6);
  return (Reduced){add(l, lanes_fma(l, p, mul(l, r, r), r), number(l, 1)), as_bits(l, shifted)};
}

/* 2^n for -127 < n < 128, n in the low bits. */
static V power_of_two(const Lanes *l, V n) {
  V biased = LLVMBuildAdd(l->e->b, n, lanes_bits(l, 127), "");
  return as_float(l, LLVMBuildShl(l->e->b, biased, lanes_bits(l, 23), ""));
}

/* x plus a shift that leaves the integer nearest to x times the steps in the low bits. */
typedef struct Shifted { V sum; double shift; } Shifted;

/* Steps of 1/32 or 1/8 where there is a table of so many powers, else of 1. */
static double steps_shift(const Lanes *l) { return l->step == 16 ? 0x1.8p18 : l->step == 8 ? 0x1.8p20 : SHIFT; }

static Shifted shifted(const Lanes *l, V x) { return (Shifted){add(l, x, number(l, steps_shift(l))), steps_shift(l)}; }

/* What is left of x beyond the integer of steps; the order of the terms lets both use one register for the shift. */
static V beyond_steps(const Lanes *l, V x, const Shifted *s) { return add(l, sub(l, number(l, s->shift), s->sum), x); }

/* Entry k of n = 2^bits: 2^(k/n - lift), less what k << (23 - bits) adds to its bits. */
static V power_entry(const Lanes *l, unsigned k, unsigned bits, int lift) {
  float power = (float)exp2(k / (double)(1u << bits) - lift);
  uint32_t word;
  memcpy(&word, &power, sizeof word);
  return LLVMConstInt(l->e->t.i32, word - (k << (23 - bits)), false);
}

static V power_table(const Lanes *l, unsigned first, unsigned count, unsigned bits, int lift) {
  V entry[16];
  for (unsigned k = 0; k < count; k++) entry[k] = power_entry(l, first + k, bits, lift);
  return LLVMConstBitCast(LLVMConstVector(entry, count), LLVMVectorType(l->e->t.f32, count));
}

/* Two vectors of 16 hold 32 entries, one of 8 holds 8; other bits of the index are passed over. */
static V look_up(const Lanes *l, const char *name, const V *table, V index) {
  V f = LLVMGetIntrinsicDeclaration(l->e->module, LLVMLookupIntrinsicID(name, strlen(name)), NULL, 0),
    part[LANES_PARTS];
  for (unsigned n = 0; n < l->n / l->step; n++) {
    V own = lanes_part(l, index, l->step * n, l->step), one[] = {table[0], own}, two[] = {table[0], own, table[1]};
    part[n] =
        LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, l->step == 16 ? two : one, l->step == 16 ? 3 : 2, "");
  }
  return lanes_joined(l, part, l->n / l->step);
}

/* 2^x = 2^(k/n) 2^f with k the integer nearest to n x, and a table of n powers.  The fraction of k/n selects one of
 * them; its integer part is added to their exponents, and what k << (23 - bits) adds beyond it is taken off the table.
 * n = 32: |f| <= 1/64 leaves a polynomial of degree 2, the best one for the cubic term left out, three operations of
 * multiply-add units, which are what such a loop waits for.  n = 8: |f| <= 1/16 leaves degree 3, the best for the
 * quartic term left out, four of them.
 *
 * lift: the powers are 2^-lift of what they are, and the factor 2^f makes up for it, 0.5 ulp less exact but with as
 * many operations: where the bits of a power's exponent are 0, at lift - 127, the product is 0, and next to it normal.
 */
static V exp2_by_table(const Lanes *l, V shifted_x, V f, int lift) {
  const double one = ldexp(1, lift), ln2 = log(2.0), square = ln2 * ln2 / 2, cubic = square * ln2 / 3,
               quartic = cubic * ln2 / 4;
  bool wide = l->step == 16;
  unsigned bits = wide ? 5 : 3;
  double h = wide ? 1.0 / 64 : 1.0 / 16;
  V k = as_bits(l, shifted_x), table[2] = {power_table(l, 0, l->step, bits, lift)};
  if (wide) table[1] = power_table(l, 16, 16, bits, lift);
  V power = look_up(l, wide ? "llvm.x86.avx512.vpermi2var.ps.512" : "llvm.x86.avx2.permps", table, k);
  V whole = LLVMBuildShl(l->e->b, k, lanes_bits(l, 23 - bits), "");
  power = as_float(l, LLVMBuildAdd(l->e->b, as_bits(l, power), whole, ""));
  double flat = one * (ln2 + 0.75 * h * h * cubic), steep = one * (square + 2 * (sqrt(2.0) - 1) * h * h * quartic);
  V slope = wide ? lanes_fma(l, f, number(l, one * square), number(l, flat))
                 : polynomial(l, f, (double[]){one * cubic, steep, one * ln2}, 3);
  return lift ? mul(l, power, lanes_fma(l, f, slope, number(l, one))) : lanes_fma(l, mul(l, f, slope), power, power);
}

/* 2^x = 2^n 2^f, |f| <= 1/2; coefficients by least squares at Chebyshev's points, relative error 1.3e-7. */
static V exp2_by_polynomial(const Lanes *l, V shifted_x, V f) {
  static const double c[] = {1.340043216955e-3, 9.672171736023e-3, 5.550327214198e-2,
                             2.402222814839e-1, 6.931472067106e-1, 1.0};
  V whole = LLVMBuildShl(l->e->b, as_bits(l, shifted_x), lanes_bits(l, 23), "");
  return as_float(l, LLVMBuildAdd(l->e->b, as_bits(l, polynomial(l, f, c, 6)), whole, ""));
}

/* 2 to the integer of steps, times 2^f; 0 at -127. */
static V exp2_of(const Lanes *l, const Shifted *s, V f) {
  return l->step >= 8 ? exp2_by_table(l, s->sum, f, 0) : exp2_by_polynomial(l, s->sum, f);
}

static V at_least(const Lanes *l, V x, double least) {
  return choose(l, compare(l, LLVMRealOLT, x, number(l, least)), number(l, least), x);
}

V lanes_weight_exponent(const Lanes *l, V x) { return at_least(l, x, LANES_NO_WEIGHT); }

/* Some processors take a hundred cycles for a product that is denormal, or of one that is, and where weights fall off
 * with the distance they all pass there: so they become 0 above, where their products with values of common sizes are
 * normal. */
V lanes_exp2_weight(const Lanes *l, V x, V *steps) {
  Shifted s = shifted(l, x);
  if (steps) *steps = as_bits(l, s.sum);
  V f = beyond_steps(l, x, &s);
  if (l->step >= 8) return exp2_by_table(l, s.sum, f, LANES_NO_WEIGHT + 127);
  return choose(l, compare(l, LLVMRealUGT, x, number(l, LANES_NO_WEIGHT)), exp2_of(l, &s, f), number(l, 0));
}

V lanes_steps_above(const Lanes *l, V steps, double limit) {
  return LLVMBuildICmp(l->e->b, LLVMIntSGT, steps, as_bits(l, number(l, steps_shift(l) + limit)), "");
}

/* e^x = 2^(x log2 e), the product being taken in two parts. */
V lanes_exp_negative(const Lanes *l, V x) {
  const double log2e = 1.44269504088896341, high = (float)log2e, least = -88.0296;
  x = choose(l, compare(l, LLVMRealOLT, x, number(l, least)), number(l, least), x); /* rounds to 2^-127, which is 0 */
  double shift = steps_shift(l);
  Shifted s = {lanes_fma(l, x, number(l, log2e), number(l, shift)), shift};
  V f = lanes_fma(l, x, number(l, high), sub(l, number(l, shift), s.sum));
  return exp2_of(l, &s, lanes_fma(l, x, number(l, log2e - high), f));
}

/* Scaled in two steps, which pass through the denormals and to infinity. */
V lanes_exp(const Lanes *l, V x) {
  V clamped = choose(l, compare(l, LLVMRealOGT, x, number(l, 89)), number(l, 89), x);
  clamped = choose(l, compare(l, LLVMRealOLT, x, number(l, -105)), number(l, -105), clamped);
  Reduced r = reduce(l, clamped);
  V n = LLVMBuildSub(l->e->b, r.shifted, as_bits(l, number(l, SHIFT)), "");
  V half = LLVMBuildAShr(l->e->b, n, lanes_bits(l, 1), ""), rest = LLVMBuildSub(l->e->b, n, half, "");
  return mul(l, mul(l, r.value, power_of_two(l, half)), power_of_two(l, rest));
}

/* (u - 1) x / log u with u = e^x rounded: the errors of numerator and denominator cancel. */
V lanes_expm1(const Lanes *l, V x) {
  V one = number(l, 1), u = lanes_exp(l, x), less = sub(l, u, one);
  V ratio = mul(l, less, quotient(l, x, lanes_log(l, u)));
  V far =
      LLVMBuildOr(l->e->b, compare(l, LLVMRealOLT, x, number(l, -17)), compare(l, LLVMRealOGT, x, number(l, 17)), "");
  return choose(l, compare(l, LLVMRealOEQ, u, one), x, choose(l, far, less, ratio));
}

/* An approximation of 14 bits, and a step of Newton's that doubles them. */
V lanes_reciprocal(const Lanes *l, V x) {
  static const char name[] = "llvm.x86.avx512.rcp14.ps.512";
  if (l->step != 16) return quotient(l, number(l, 1), x);
  V f = LLVMGetIntrinsicDeclaration(l->e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), NULL, 0);
  V part[4], none = LLVMConstNull(LLVMVectorType(l->e->t.f32, 16)),
             all = LLVMConstInt(LLVMInt16TypeInContext(l->e->cx), 0xffff, false);
  for (unsigned n = 0; n < l->n / 16; n++) {
    V arg[] = {lanes_part(l, x, 16 * n, 16), none, all};
    part[n] = LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, arg, 3, "");
  }
  V r = lanes_joined(l, part, l->n / 16);
  V miss = lanes_fma(l, LLVMBuildFNeg(l->e->b, x, ""), r, number(l, 1));
  return lanes_fma(l, r, miss, r);
}

/* The quotient is taken times the reciprocal, and once more what that misses. */
V lanes_logistic2(const Lanes *l, V x) {
  x = choose(l, compare(l, LLVMRealOGT, x, number(l, 119)), number(l, 119), x);
  x = at_least(l, x, -127);
  Shifted s = shifted(l, x);
  V e = exp2_of(l, &s, beyond_steps(l, x, &s));
  return mul(l, e, lanes_reciprocal(l, add(l, e, number(l, 1))));
}

/* (1 - e) / (1 + e) with e = e^(-2 |x|), a polynomial where digits would be lost. */
V lanes_tanh(const Lanes *l, V x) {
  if (l->step == 16) return lanes_tanh_by_pieces(l, x);
  static const double c[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                             -3.33332819422e-1};
  V size = absolute(l, x), z = mul(l, x, x), one = number(l, 1);
  V near = lanes_fma(l, mul(l, polynomial(l, z, c, 5), z), x, x);
  V e = lanes_exp_negative(l, mul(l, size, number(l, -2))),
    far = mul(l, sub(l, one, e), lanes_reciprocal(l, add(l, one, e)));
  far = lanes_call(l, "llvm.copysign", 2, (V[]){far, x});
  return choose(l, compare(l, LLVMRealOLT, size, number(l, 0.625)), near, far);
}

/* ---- logarithms --------------------------------------------------------------------------------- */

/* Of positive normal numbers. */
static V log_normal(const Lanes *l, V x, V exponent_shift) {
  static const double c[] = {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                             -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1};
  LLVMBuilderRef b = l->e->b;
  V bits = LLVMBuildSub(b, as_bits(l, x), lanes_bits(l, 0x3f3504f3), ""); /* sqrt 1/2 */
  V n = LLVMBuildSIToFP(b, LLVMBuildAShr(b, bits, lanes_bits(l, 23), ""), l->f32, "");
  V low = LLVMBuildAdd(b, LLVMBuildAnd(b, bits, lanes_bits(l, 0x7fffff), ""), lanes_bits(l, 0x3f3504f3), "");
  V r = sub(l, as_float(l, low), number(l, 1)), z = mul(l, r, r);
  n = add(l, n, exponent_shift);
  V y = mul(l, mul(l, polynomial(l, r, c, 9), r), z);
  y = lanes_fma(l, n, number(l, -2.12194440e-4), y);
  y = lanes_fma(l, z, number(l, -0.5), y);
  return lanes_fma(l, n, number(l, 0.693359375), add(l, r, y));
}

/* A table's entries at the low four bits of k. */
static V table_at(const Lanes *l, const double *entry, V k) {
  static const char name[] = "llvm.x86.avx512.permvar.sf.512";
  V f = LLVMGetIntrinsicDeclaration(l->e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), NULL, 0), c[16],
    part[4];
  for (unsigned n = 0; n < 16; n++) c[n] = LLVMConstReal(l->e->t.f32, entry[n]);
  for (unsigned n = 0; n < l->n / 16; n++) {
    V arg[] = {LLVMConstVector(c, 16), lanes_part(l, k, 16 * n, 16)};
    part[n] = LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, arg, 2, "");
  }
  return lanes_joined(l, part, l->n / 16);
}

/* An instruction that takes x, maybe a control, what masked lanes get, the mask, and the rounding. */
static V by_class(const Lanes *l, const char *name, int control, bool controls, V x) {
  LLVMTypeRef i32 = l->e->t.i32;
  V f = LLVMGetIntrinsicDeclaration(l->e->module, LLVMLookupIntrinsicID(name, strlen(name)), NULL, 0), part[4];
  V none = LLVMConstNull(LLVMVectorType(l->e->t.f32, 16)),
    all = LLVMConstInt(LLVMInt16TypeInContext(l->e->cx), 0xffff, false);
  V here = LLVMConstInt(i32, 4, false), how = LLVMConstInt(i32, (unsigned)control, false);
  for (unsigned n = 0; n < l->n / 16; n++) {
    V own = lanes_part(l, x, 16 * n, 16), plain[] = {own, none, all, here}, controlled[] = {own, how, none, all, here};
    part[n] =
        LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, controls ? controlled : plain, controls ? 5 : 4, "");
  }
  return lanes_joined(l, part, l->n / 16);
}

V lanes_mantissa(const Lanes *l, int control, V x) {
  return by_class(l, "llvm.x86.avx512.mask.getmant.ps.512", control, true, x);
}
V lanes_exponent(const Lanes *l, V x) { return by_class(l, "llvm.x86.avx512.mask.getexp.ps.512", 0, false, x); }

/* x = 2^n m with m in [3/4, 3/2), whose first four bits choose a c with m close to it; log x = n log 2 + log c +
 * log (1 + r), r = m / c - 1.  Near 1, c is 1.  The instructions that find n and m give what makes the sum right for 0
 * (n = -inf), inf, and numbers below 0 (m is NaN). */
static V log_by_table(const Lanes *l, V x) {
  static const double p[] = {1.882975409990e-1, -2.500518589607e-1, 3.333447014093e-1, -5.000000226599e-1};
  enum { THREE_QUARTERS = 3, NAN_BELOW_ZERO = 2 << 2 };
  double inverse[16], log_c[16];
  for (unsigned k = 0; k < 16; k++) {
    double lo = k < 8 ? 1 + k / 16.0 : 0.75 + (k - 8) / 32.0, middle = lo + (k < 8 ? 1 / 32.0 : 1 / 64.0);
    inverse[k] = k == 0 || k == 15 ? 1 : (double)(float)(1 / middle);
    log_c[k] = -log(inverse[k]);
  }
  V m = lanes_mantissa(l, THREE_QUARTERS | NAN_BELOW_ZERO, x), n = sub(l, lanes_exponent(l, x), lanes_exponent(l, m));
  V k = LLVMBuildLShr(l->e->b, as_bits(l, m), lanes_bits(l, 19), "");
  V r = lanes_fma(l, m, table_at(l, inverse, k), number(l, -1)),
    y = lanes_fma(l, mul(l, r, r), polynomial(l, r, p, 4), r);
  y = lanes_fma(l, n, number(l, 3.194618494529e-05), y); /* both parts of log 2 are positive: n may be infinite */
  return add(l, lanes_fma(l, n, number(l, 0.693115234375), table_at(l, log_c, k)), y);
}

V lanes_log2(const Lanes *l, V x) {
  return l->step == 16 ? lanes_log2_by_pieces(l, x) : mul(l, lanes_log(l, x), number(l, 1.44269504088896341));
}

V lanes_log(const Lanes *l, V x) {
  if (l->step == 16) return log_by_table(l, x);
  V zero = number(l, 0), tiny = compare(l, LLVMRealOLT, x, number(l, 0x1p-126));
  V scaled = choose(l, tiny, mul(l, x, number(l, 0x1p23)), x);
  V y = log_normal(l, scaled, choose(l, tiny, number(l, -23), zero));
  V beyond = LLVMBuildNot(l->e->b, compare(l, LLVMRealOLT, x, number(l, INFINITY)), "");
  y = choose(l, beyond, x, y);
  y = choose(l, compare(l, LLVMRealOEQ, x, zero), number(l, -INFINITY), y);
  return choose(l, compare(l, LLVMRealOLT, x, zero), number(l, NAN), y);
}

/* log u plus what rounding 1 + x to u lost. */
V lanes_log1p(const Lanes *l, V x) {
  V one = number(l, 1), u = add(l, x, one), lost = sub(l, x, sub(l, u, one));
  V usual = LLVMBuildAnd(l->e->b, compare(l, LLVMRealOGT, u, number(l, 0)),
                         compare(l, LLVMRealOLT, u, number(l, INFINITY)), "");
  V correction = choose(l, usual, quotient(l, lost, u), number(l, 0)), y = add(l, lanes_log(l, u), correction);
  return choose(l, compare(l, LLVMRealOLT, absolute(l, x), number(l, 0x1p-24)), x, y);
}

/* x times a polynomial, fitted to log (1 + x) / x by least squares at Chebyshev's points: relative error 6e-9. */
V lanes_log1p_unit(const Lanes *l, V x) {
  static const double c[] = {-3.163999353195e-3, 1.948768606771e-2, -5.626952578937e-2, 1.053295061015e-1,
                             -1.526327365319e-1, 1.966101787523e-1, -2.495116719144e-1, 3.332966549178e-1,
                             -4.999989089856e-1, 9.999999945431e-1};
  return mul(l, x, polynomial(l, x, c, 10));
}

/* ---- powers ------------------------------------------------------------------------------------- */

static V is_whole(const Lanes *l, V y) {
  return compare(l, LLVMRealOEQ, lanes_call(l, "llvm.trunc", 1, &y), y);
}

V lanes_pow(const Lanes *l, V x, V y) {
  LLVMBuilderRef b = l->e->b;
  V one = number(l, 1), zero = number(l, 0), half = mul(l, y, number(l, 0.5));
  V size = lanes_exp(l, mul(l, y, lanes_log(l, absolute(l, x))));
  V odd = LLVMBuildAnd(b, is_whole(l, y), LLVMBuildNot(b, is_whole(l, half), ""), "");
  V sign = LLVMBuildICmp(b, LLVMIntSLT, as_bits(l, x), lanes_bits(l, 0), "");
  V p = choose(l, LLVMBuildAnd(b, sign, odd, ""), LLVMBuildFNeg(b, size, ""), size);
  V wrong = LLVMBuildAnd(b, compare(l, LLVMRealOLT, x, zero), LLVMBuildNot(b, is_whole(l, y), ""), "");
  p = choose(l, LLVMBuildAnd(b, wrong, compare(l, LLVMRealOGT, x, number(l, -INFINITY)), ""), number(l, NAN), p);
  V trivial = LLVMBuildOr(b, compare(l, LLVMRealOEQ, y, zero), compare(l, LLVMRealOEQ, x, one), "");
  return choose(l, trivial, one, p);
}
