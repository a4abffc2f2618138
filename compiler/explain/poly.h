/* poly: polynomials in the sizes of a model, for costs.
 *
 * An atom is a name with, perhaps, a number: a size (M), a quotient of sizes ((H // G)), the mean length of a range
 * that depends on data.  Coefficients are doubles: exact for every count that fits 53 bits.  Polynomials are values:
 * no function changes an argument.  A product that would have more than POLY_MAX_TERMS terms becomes one atom, so
 * that nothing grows without bound. */
#ifndef ATTN_EXPLAIN_POLY_H
#define ATTN_EXPLAIN_POLY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/vec.h"

enum { POLY_MAX_TERMS = 48 };

typedef struct PolyTerm { double factor; uint32_t degree; const uint32_t *atoms; /* sorted */ } PolyTerm;
typedef struct Poly { VEC(PolyTerm) terms; } Poly; /* no term of factor 0, no two with the same atoms */

/* An atom that is no size lies between lo and hi, where those are known. */
typedef struct PolyAtom {
  const char *text;
  double value;    /* NaN: not known */
  bool varies;     /* differs between the iterations of a loop: an index, or what is computed from one */
  bool has_lo, has_hi;
  Poly lo, hi;
} PolyAtom;

typedef struct PolyTable { Arena *arena; VEC(PolyAtom) atoms; } PolyTable;

Poly poly_constant(PolyTable *t, double v);
/* The atom of that text, made when it is new; value NaN where it is not known. */
Poly poly_atom(PolyTable *t, const char *text, double value);
/* The same for one that differs between iterations; lo, hi: bounds, NULL where there is none. */
Poly poly_varying(PolyTable *t, const char *text, const Poly *lo, const Poly *hi);
Poly poly_add(PolyTable *t, const Poly *a, const Poly *b);
Poly poly_sub(PolyTable *t, const Poly *a, const Poly *b);
Poly poly_scale(PolyTable *t, const Poly *a, double by);
Poly poly_mul(PolyTable *t, const Poly *a, const Poly *b);

bool poly_is_zero(const Poly *p);
bool poly_is_constant(const Poly *p, double *value);
/* Every factor is positive: then so is the value, as sizes are not negative. */
bool poly_is_positive(const Poly *p);
/* Does any atom differ between iterations? */
bool poly_varies(const PolyTable *t, const Poly *p);
/* A bound from above (from below) in atoms that do not vary.  False: none is known. */
bool poly_upper(PolyTable *t, const Poly *p, Poly *bound);
bool poly_lower(PolyTable *t, const Poly *p, Poly *bound);
/* Is some term of p divided by the product d of atoms, whatever its other atoms are? */
bool poly_contains_product(const Poly *p, const Poly *d);

/* NaN where an atom's value is not known. */
double poly_value(const PolyTable *t, const Poly *p);
/* "2*M*N^2*D + 3*M", highest degree first; "0". */
const char *poly_text(PolyTable *t, const Poly *p);

#endif
