/* doubles: see doubles.h.
 *
 * e^x = 2^n e^r with n the integer nearest to x log2 e, found by adding a number so large that the sum has no fraction;
 * the remainder in two parts of log 2, |r| <= log 2 / 2, and a polynomial fitted at Chebyshev's points: relative error
 * 2e-17. log x = n log 2 + log m, sqrt 1/2 < m < sqrt 2, with s = f / (2 + f), f = m - 1, log m = 2 artanh s as a
 * polynomial in s^2 (the coefficients of fdlibm).  log (1 + x) for 0 <= x <= 1 the same way without n. */
#include "back/doubles.h"

#include <math.h>

#include "base/ice.h"

typedef LLVMValueRef V;

enum { LANES_MAX = 16 };

static unsigned width(V x) { return LLVMGetVectorSize(LLVMTypeOf(x)); }

static V repeated(V scalar, unsigned n) {
  V c[LANES_MAX];
  ICE_UNLESS(n <= LANES_MAX);
  for (unsigned k = 0; k < n; k++) c[k] = scalar;
  return LLVMConstVector(c, n);
}

V doubles_number(const Emit *e, unsigned n, double v) { return repeated(LLVMConstReal(e->t.f64, v), n); }
static V number(const Emit *e, V like, double v) { return doubles_number(e, width(like), v); }
static V bits(const Emit *e, V like, int64_t v) { return repeated(const_int(e, v), width(like)); }

V doubles_call(Emit *e, const char *name, unsigned narg, V *arg) {
  LLVMTypeRef t = LLVMTypeOf(arg[0]);
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, strlen(name)), &t, 1);
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, narg, "");
}

V doubles_fma(Emit *e, V x, V y, V z) { return doubles_call(e, "llvm.fma", 3, (V[]){x, y, z}); }

static V add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static V sub(Emit *e, V x, V y) { return LLVMBuildFSub(e->b, x, y, ""); }
static V mul(Emit *e, V x, V y) { return LLVMBuildFMul(e->b, x, y, ""); }
static V choose(Emit *e, V c, V x, V y) { return LLVMBuildSelect(e->b, c, x, y, ""); }
static V is(Emit *e, LLVMRealPredicate p, V x, double y) { return LLVMBuildFCmp(e->b, p, x, number(e, x, y), ""); }
static V as_bits(Emit *e, V x) { return LLVMBuildBitCast(e->b, x, LLVMVectorType(e->t.i64, width(x)), ""); }
static V as_double(Emit *e, V x) { return LLVMBuildBitCast(e->b, x, LLVMVectorType(e->t.f64, width(x)), ""); }

/* c[0] x^(n-1) + .. + c[n-1] */
static V polynomial(Emit *e, V x, const double *c, unsigned n) {
  V p = number(e, x, c[0]);
  for (unsigned k = 1; k < n; k++) p = doubles_fma(e, p, x, number(e, x, c[k]));
  return p;
}

/* ---- exponentials ------------------------------------------------------------------------------- */

static const double LN2_HIGH = 0x1.62e42fee00000p-1, LN2_LOW = 0x1.a39ef35793c76p-33;
static const double LEAST = -708.39641853226408,
                    MOST = 709.78271289338397; /* logs of the least normal number, of the greatest */

/* Right between LEAST and MOST. */
static V exp_inside(Emit *e, V x) {
  static const double c[] = {0x1.b02d81f8d55f5p-26, 0x1.28aa561b46042p-22, 0x1.71dd1f800bac2p-19, 0x1.a019a2265c29dp-16,
                             0x1.a01a022eb41dbp-13, 0x1.6c16c17f01569p-10, 0x1.11111110f624bp-7,  0x1.5555555552b92p-5,
                             0x1.55555555555adp-3,  0x1.0000000000002p-1};
  V shift = number(e, x, 0x1.8p52), whole = doubles_fma(e, x, number(e, x, 1.44269504088896341), shift),
    n = sub(e, whole, shift);
  V r = doubles_fma(e, n, number(e, x, -LN2_HIGH), x);
  r = doubles_fma(e, n, number(e, x, -LN2_LOW), r);
  V p = add(e, doubles_fma(e, polynomial(e, r, c, 10), mul(e, r, r), r), number(e, x, 1));
  V power = LLVMBuildShl(e->b, as_bits(e, whole), bits(e, x, 52), "");
  return as_double(e, LLVMBuildAdd(e->b, as_bits(e, p), power, ""));
}

V doubles_exp_weight(Emit *e, V x) {
  return choose(e, is(e, LLVMRealOGT, x, LEAST), exp_inside(e, x), number(e, x, 0));
}

V doubles_exp(Emit *e, V x) {
  V y = choose(e, is(e, LLVMRealOLT, x, LEAST), number(e, x, 0), exp_inside(e, x));
  return choose(e, is(e, LLVMRealUGT, x, MOST), add(e, x, number(e, x, INFINITY)), y);
}

/* ---- logarithms --------------------------------------------------------------------------------- */

/* Of positive normal numbers; more: added to the exponent of 2. */
static V log_normal(Emit *e, V x, V more) {
  static const double c[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                             2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                             6.666666666666735130e-01};
  LLVMBuilderRef b = e->b;
  V raw = LLVMBuildSub(b, as_bits(e, x), bits(e, x, 0x3fe6a09e667f3bcd), ""); /* sqrt 1/2 */
  V high = LLVMBuildAdd(b, raw, bits(e, x, (int64_t)1024 << 52), ""); /* a positive number's exponent, biased by 1024 */
  V whole = LLVMBuildOr(b, LLVMBuildLShr(b, high, bits(e, x, 52), ""), bits(e, x, 0x4330000000000000), "");
  V n = add(e, sub(e, as_double(e, whole), number(e, x, 0x1p52 + 1024)), more);
  V low = LLVMBuildAdd(b, LLVMBuildAnd(b, raw, bits(e, x, 0xfffffffffffff), ""), bits(e, x, 0x3fe6a09e667f3bcd), "");
  V f = sub(e, as_double(e, low), number(e, x, 1)), s = LLVMBuildFDiv(b, f, add(e, f, number(e, x, 2)), ""),
    z = mul(e, s, s);
  V half = mul(e, mul(e, f, f), number(e, x, 0.5)), rest = mul(e, polynomial(e, z, c, 7), z);
  V small = doubles_fma(e, n, number(e, x, LN2_LOW), mul(e, s, add(e, half, rest)));
  return doubles_fma(e, n, number(e, x, LN2_HIGH), sub(e, f, sub(e, half, small)));
}

V doubles_log(Emit *e, V x) {
  V zero = number(e, x, 0), tiny = is(e, LLVMRealOLT, x, 0x1p-1022);
  V scaled = choose(e, tiny, mul(e, x, number(e, x, 0x1p54)), x);
  V y = log_normal(e, scaled, choose(e, tiny, number(e, x, -54), zero));
  y = choose(e, LLVMBuildNot(e->b, is(e, LLVMRealOLT, x, INFINITY), ""), x, y);
  y = choose(e, is(e, LLVMRealOEQ, x, 0), number(e, x, -INFINITY), y);
  return choose(e, is(e, LLVMRealOLT, x, 0), number(e, x, NAN), y);
}

V doubles_log1p_unit(Emit *e, V x) {
  static const double c[] = {0x1.5d4d32c267572p-3, 0x1.57bf35e709ca6p-4, 0x1.eeacfec06429dp-4, 0x1.10861c91f7f28p-3,
                             0x1.3b1ab34913c54p-3, 0x1.745ce32dd3daep-3, 0x1.c71c7290489ecp-3, 0x1.24924923f7f42p-2,
                             0x1.9999999999b03p-2, 0x1.5555555555555p-1};
  V s = LLVMBuildFDiv(e->b, x, add(e, x, number(e, x, 2)), ""), z = mul(e, s, s);
  return doubles_fma(e, mul(e, s, z), polynomial(e, z, c, 10), add(e, s, s));
}

/* log u plus what rounding 1 + x to u lost. */
V doubles_log1p(Emit *e, V x) {
  V one = number(e, x, 1), u = add(e, x, one), lost = sub(e, x, sub(e, u, one));
  V usual = LLVMBuildAnd(e->b, is(e, LLVMRealOGT, u, 0), is(e, LLVMRealOLT, u, INFINITY), "");
  V y = add(e, doubles_log(e, u), choose(e, usual, LLVMBuildFDiv(e->b, lost, u, ""), number(e, x, 0)));
  V size = doubles_call(e, "llvm.fabs", 1, &x);
  return choose(e, is(e, LLVMRealOLT, size, 0x1p-53), x, y);
}
