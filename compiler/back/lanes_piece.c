/* lanes_piece: functions of one number by a table of polynomials, one for each piece of the range.
 *
 * The pieces are those in which numbers share their exponent and the first bits of their mantissa: a shift gives the
 * piece's number, a mask where it begins, and what is left is exact.  Registers hold 16 (or 32) numbers each, of every
 * coefficient one, and a permutation looks up 16 at a time.  So a function of bounded slope takes as many multiply-adds
 * as the polynomials have degrees, no division and no comparison, which would need the multiply-add units too.
 *
 * Coefficients are those of the polynomial through the function's values at Chebyshev's points of a piece, by divided
 * differences, found when a model is compiled.
 *
 * Requires: vectors of 16 lanes (Lanes.step). */
#include <math.h>
#include <string.h>

#include "back/lanes.h"
#include "base/ice.h"

typedef LLVMValueRef V;

enum { MOST_TERMS = 6, MANTISSA = 23 };
static const double PI = 3.14159265358979323846;

static V add(const Lanes *l, V x, V y) { return LLVMBuildFAdd(l->e->b, x, y, ""); }
static V sub(const Lanes *l, V x, V y) { return LLVMBuildFSub(l->e->b, x, y, ""); }
static V number(const Lanes *l, double v) { return lanes_float(l, v); }
static V as_bits(const Lanes *l, V x) { return LLVMBuildBitCast(l->e->b, x, l->i32, ""); }
static V as_float(const Lanes *l, V x) { return LLVMBuildBitCast(l->e->b, x, l->f32, ""); }

/* ---- coefficients ------------------------------------------------------------------------------- */

/* c[0] + c[1] r + .. close to f(r) for 0 <= r <= width. */
static void fit(double (*f)(double at, double r), double at, double width, unsigned terms, double *c) {
  double r[MOST_TERMS], y[MOST_TERMS];
  for (unsigned k = 0; k < terms; k++) {
    r[k] = width / 2 * (1 - cos(PI * (2 * k + 1) / (2 * terms)));
    y[k] = f(at, r[k]);
  }
  for (unsigned n = 1; n < terms; n++)
    for (unsigned k = terms - 1; k >= n; k--) y[k] = (y[k] - y[k - 1]) / (r[k] - r[k - n]);
  memset(c, 0, terms * sizeof *c);
  for (unsigned n = terms; n-- > 0;) { /* c = c (r - r[n]) + y[n] */
    for (unsigned k = terms - 1; k > 0; k--) c[k] = c[k - 1] - r[n] * c[k];
    c[0] = y[n] - r[n] * c[0];
  }
}

/* ---- look-ups -------------------------------------------------------------------------------------- */

/* Entries at the low bits of an index; `entries`: 16 or 32. */
static V look_up(const Lanes *l, const double *entry, unsigned entries, V index) {
  static const char one[] = "llvm.x86.avx512.permvar.sf.512", two[] = "llvm.x86.avx512.vpermi2var.ps.512";
  unsigned id = entries == 16 ? LLVMLookupIntrinsicID(one, sizeof one - 1) : LLVMLookupIntrinsicID(two, sizeof two - 1);
  V f = LLVMGetIntrinsicDeclaration(l->e->module, id, NULL, 0), c[32], part[4], table[2] = {NULL, NULL};
  for (unsigned n = 0; n < entries; n++) c[n] = LLVMConstReal(l->e->t.f32, entry[n]);
  for (unsigned n = 0; n < entries / 16; n++) table[n] = LLVMConstVector(c + 16 * n, 16);
  for (unsigned n = 0; n < l->n / 16; n++) {
    V arg[] = {table[0], lanes_part(l, index, 16 * n, 16), table[1]};
    part[n] = LLVMBuildCall2(l->e->b, LLVMGlobalGetValueType(f), f, arg, entries / 16 + 1, "");
  }
  return lanes_joined(l, part, l->n / 16);
}

/* Piece `index` of a table [term][entries] at r, by Horner's rule. */
static V piece_at(const Lanes *l, const double *c, unsigned terms, unsigned entries, V index, V r) {
  V p = look_up(l, c + (terms - 1) * entries, entries, index);
  for (unsigned n = terms - 1; n-- > 0;) p = lanes_fma(l, p, r, look_up(l, c + n * entries, entries, index));
  return p;
}

static V first_bits(const Lanes *l, V x, unsigned kept) {
  return as_float(l, LLVMBuildAnd(l->e->b, as_bits(l, x), lanes_bits(l, -((int64_t)1 << (MANTISSA - kept))), ""));
}

static V index_of(const Lanes *l, V x, unsigned kept) {
  return LLVMBuildLShr(l->e->b, as_bits(l, x), lanes_bits(l, MANTISSA - kept), "");
}

/* ---- the hyperbolic tangent ------------------------------------------------------------------------- */

enum { TANH_TERMS = 5, TANH_BITS = 3, TANH_PIECES = 32 };
static const double TANH_FROM = 0.5625; /* 32 pieces from there: to 9 */

static double tanh_near(double at, double r) { return tanh(at + r); }
static double tanh_over(double at, double r) { return r ? tanh(at + r) / r : 1; }

/* Of |x| + 9/16: pieces are 1/16 wide near 0 and grow with the distance from it, as the tangent becomes flat.  The
 * first is r times a polynomial, which keeps the digits of what is small.  2 ulp. */
V lanes_tanh_by_pieces(const Lanes *l, V x) {
  static const double most = 9 - 0x1p-20;
  double c[TANH_TERMS * TANH_PIECES], own[TANH_TERMS];
  for (unsigned n = 0; n < TANH_PIECES; n++) {
    float at = (float)TANH_FROM, next;
    uint32_t bits;
    memcpy(&bits, &at, sizeof bits);
    bits += n << (MANTISSA - TANH_BITS);
    memcpy(&at, &bits, sizeof bits);
    uint32_t index = bits >> (MANTISSA - TANH_BITS) & (TANH_PIECES - 1);
    bits += 1u << (MANTISSA - TANH_BITS);
    memcpy(&next, &bits, sizeof bits);
    memset(own, 0, sizeof own);
    if (n == 0) fit(tanh_over, 0, next - at, TANH_TERMS - 1, own + 1);
    else fit(tanh_near, at - TANH_FROM, next - at, TANH_TERMS, own);
    for (unsigned k = 0; k < TANH_TERMS; k++) c[k * TANH_PIECES + index] = own[k];
  }
  V size = lanes_call(l, "llvm.fabs", 1, &x), from = number(l, TANH_FROM), end = number(l, most - TANH_FROM);
  size = LLVMBuildSelect(l->e->b, LLVMBuildFCmp(l->e->b, LLVMRealOGT, size, end, ""), end, size, "");
  V y = add(l, size, from), r = sub(l, size, sub(l, first_bits(l, y, TANH_BITS), from));
  V p = piece_at(l, c, TANH_TERMS, TANH_PIECES, index_of(l, y, TANH_BITS), r);
  return lanes_call(l, "llvm.copysign", 2, (V[]){p, x});
}

/* ---- the logarithm of base 2 -------------------------------------------------------------------------- */

enum { LOG2_TERMS = 4, LOG2_BITS = 4, LOG2_PIECES = 16 };

static double log2_near(double at, double r) { return log2(at + r); }

/* Of a mantissa in [1, 2), by pieces; the exponent is added.  The instructions that take them apart give what makes the
 * sum right for 0, inf, and numbers below 0, of which the mantissa is NaN. */
V lanes_log2_by_pieces(const Lanes *l, V x) {
  enum { ONE_TO_TWO = 0, NAN_BELOW_ZERO = 2 << 2 };
  double c[LOG2_TERMS * LOG2_PIECES], own[LOG2_TERMS];
  for (unsigned n = 0; n < LOG2_PIECES; n++) {
    fit(log2_near, 1 + n / 16.0, 1 / 16.0, LOG2_TERMS, own);
    for (unsigned k = 0; k < LOG2_TERMS; k++) c[k * LOG2_PIECES + n] = own[k];
  }
  c[0] = 0; /* log2 1 */
  V m = lanes_mantissa(l, ONE_TO_TWO | NAN_BELOW_ZERO, x), r = sub(l, m, first_bits(l, m, LOG2_BITS));
  return add(l, piece_at(l, c, LOG2_TERMS, LOG2_PIECES, index_of(l, m, LOG2_BITS), r), lanes_exponent(l, x));
}
