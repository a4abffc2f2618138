/* poly: see poly.h.  Terms are kept by their sorted lists of atoms; all lists are on the arena and shared. */
#include "explain/poly.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"

static bool same_atoms(const PolyTerm *a, const PolyTerm *b) {
  return a->degree == b->degree && (!a->degree || !memcmp(a->atoms, b->atoms, a->degree * sizeof *a->atoms));
}

static void add_term(PolyTable *t, Poly *p, PolyTerm term) {
  for (uint32_t i = 0; i < p->terms.n; i++) {
    if (!same_atoms(&p->terms.at[i], &term)) continue;
    p->terms.at[i].factor += term.factor;
    if (p->terms.at[i].factor == 0) p->terms.at[i] = p->terms.at[--p->terms.n];
    return;
  }
  if (term.factor != 0) vec_push(t->arena, &p->terms, term);
}

Poly poly_constant(PolyTable *t, double v) {
  Poly p = {0};
  add_term(t, &p, (PolyTerm){.factor = v});
  return p;
}

static Poly single(PolyTable *t, uint32_t atom) {
  uint32_t *atoms = NEW_ARRAY(t->arena, uint32_t, 1);
  atoms[0] = atom;
  Poly p = {0};
  add_term(t, &p, (PolyTerm){1, 1, atoms});
  return p;
}

static bool find_atom(const PolyTable *t, const char *text, uint32_t *at) {
  for (*at = 0; *at < t->atoms.n; ++*at)
    if (!strcmp(t->atoms.at[*at].text, text)) return true;
  return false;
}

Poly poly_atom(PolyTable *t, const char *text, double value) {
  uint32_t at;
  if (!find_atom(t, text, &at)) vec_push(t->arena, &t->atoms, (PolyAtom){.text = text, .value = value});
  return single(t, at);
}

Poly poly_varying(PolyTable *t, const char *text, const Poly *lo, const Poly *hi) {
  uint32_t at;
  if (find_atom(t, text, &at)) return single(t, at);
  PolyAtom a = {.text = text, .value = NAN, .varies = true, .has_lo = lo != NULL, .has_hi = hi != NULL};
  if (lo) a.lo = *lo;
  if (hi) a.hi = *hi;
  vec_push(t->arena, &t->atoms, a);
  return single(t, at);
}

static void add_scaled(PolyTable *t, Poly *to, const Poly *p, double by) {
  for (uint32_t i = 0; i < p->terms.n; i++) {
    PolyTerm term = p->terms.at[i];
    term.factor *= by;
    add_term(t, to, term);
  }
}

static Poly combine(PolyTable *t, const Poly *a, const Poly *b, double by) {
  Poly p = {0};
  add_scaled(t, &p, a, 1);
  add_scaled(t, &p, b, by);
  return p;
}

Poly poly_add(PolyTable *t, const Poly *a, const Poly *b) { return combine(t, a, b, 1); }
Poly poly_sub(PolyTable *t, const Poly *a, const Poly *b) { return combine(t, a, b, -1); }

Poly poly_scale(PolyTable *t, const Poly *a, double by) {
  Poly none = {0};
  return combine(t, &none, a, by);
}

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static PolyTerm term_product(PolyTable *t, const PolyTerm *a, const PolyTerm *b) {
  uint32_t n = a->degree + b->degree, *atoms = NEW_ARRAY(t->arena, uint32_t, n);
  if (a->degree) memcpy(atoms, a->atoms, a->degree * sizeof *atoms);
  if (b->degree) memcpy(atoms + a->degree, b->atoms, b->degree * sizeof *atoms);
  qsort(atoms, n, sizeof *atoms, by_number);
  return (PolyTerm){a->factor * b->factor, n, atoms};
}

enum { LONGEST_NAME = 400 }; /* atoms made of atoms would double their names each time */

static Poly as_atom(PolyTable *t, const Poly *p) {
  const char *text = poly_text(t, p);
  text = strlen(text) > LONGEST_NAME ? arena_printf(t->arena, "(sum%u of %u terms)", t->atoms.n, p->terms.n)
                                     : arena_printf(t->arena, "(%s)", text);
  return poly_atom(t, text, poly_value(t, p));
}

Poly poly_mul(PolyTable *t, const Poly *a, const Poly *b) {
  Poly p = {0};
  if ((uint64_t)a->terms.n * b->terms.n > POLY_MAX_TERMS) {
    Poly x = a->terms.n > 1 ? as_atom(t, a) : *a, y = b->terms.n > 1 ? as_atom(t, b) : *b;
    return poly_mul(t, &x, &y);
  }
  for (uint32_t i = 0; i < a->terms.n; i++)
    for (uint32_t k = 0; k < b->terms.n; k++) add_term(t, &p, term_product(t, &a->terms.at[i], &b->terms.at[k]));
  return p;
}

bool poly_is_zero(const Poly *p) { return p->terms.n == 0; }

bool poly_is_constant(const Poly *p, double *value) {
  *value = p->terms.n ? p->terms.at[0].factor : 0;
  return p->terms.n == 0 || (p->terms.n == 1 && p->terms.at[0].degree == 0);
}

bool poly_is_positive(const Poly *p) {
  for (uint32_t i = 0; i < p->terms.n; i++)
    if (p->terms.at[i].factor < 0) return false;
  return true;
}

/* ---- bounds ------------------------------------------------------------------------------------------------ */

static bool term_varies(const PolyTable *t, const PolyTerm *m) {
  for (uint32_t i = 0; i < m->degree; i++)
    if (t->atoms.at[m->atoms[i]].varies) return true;
  return false;
}

bool poly_varies(const PolyTable *t, const Poly *p) {
  for (uint32_t i = 0; i < p->terms.n; i++)
    if (term_varies(t, &p->terms.at[i])) return true;
  return false;
}

/* A term at the bound of each of its atoms; right for atoms that are not negative, as indices and sizes are. */
static bool bound_term(PolyTable *t, const PolyTerm *m, bool upper, Poly *bound) {
  bool top = upper == (m->factor > 0);
  *bound = poly_constant(t, m->factor);
  for (uint32_t i = 0; i < m->degree; i++) {
    PolyAtom a = t->atoms.at[m->atoms[i]];
    if (a.varies && !(top ? a.has_hi : a.has_lo)) return false;
    Poly x = !a.varies ? single(t, m->atoms[i]) : top ? a.hi : a.lo;
    *bound = poly_mul(t, bound, &x);
  }
  return true;
}

static bool bound_poly(PolyTable *t, const Poly *p, bool upper, Poly *bound) {
  *bound = (Poly){0};
  for (uint32_t i = 0; i < p->terms.n; i++) {
    Poly term;
    if (!bound_term(t, &p->terms.at[i], upper, &term)) return false;
    *bound = poly_add(t, bound, &term);
  }
  return true;
}

bool poly_upper(PolyTable *t, const Poly *p, Poly *bound) { return bound_poly(t, p, true, bound); }
bool poly_lower(PolyTable *t, const Poly *p, Poly *bound) { return bound_poly(t, p, false, bound); }

/* Both lists are sorted. */
static bool divides(const PolyTerm *d, const PolyTerm *m) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < m->degree && at < d->degree; i++) at += m->atoms[i] == d->atoms[at];
  return at == d->degree;
}

bool poly_contains_product(const Poly *p, const Poly *d) {
  for (uint32_t i = 0; i < p->terms.n; i++)
    for (uint32_t k = 0; k < d->terms.n; k++)
      if (d->terms.at[k].degree && divides(&d->terms.at[k], &p->terms.at[i])) return true;
  return false;
}

/* ---- numbers and text ---------------------------------------------------------------------------------------- */

double poly_value(const PolyTable *t, const Poly *p) {
  double sum = 0;
  for (uint32_t i = 0; i < p->terms.n; i++) {
    double product = p->terms.at[i].factor;
    for (uint32_t k = 0; k < p->terms.at[i].degree; k++) product *= t->atoms.at[p->terms.at[i].atoms[k]].value;
    sum += product;
  }
  return sum;
}

static int by_degree(const void *x, const void *y) {
  const PolyTerm *a = x, *b = y;
  if (a->degree != b->degree) return a->degree > b->degree ? -1 : 1;
  for (uint32_t i = 0; i < a->degree; i++)
    if (a->atoms[i] != b->atoms[i]) return a->atoms[i] < b->atoms[i] ? -1 : 1;
  return 0;
}

static void print_term(const PolyTable *t, const PolyTerm *m, bool first, FILE *to) {
  double factor = m->factor;
  if (!first) fputs(factor < 0 ? " - " : " + ", to);
  else if (factor < 0) fputs("-", to);
  factor = fabs(factor);
  if (factor != 1 || !m->degree) fprintf(to, "%.15g%s", factor, m->degree ? "*" : "");
  for (uint32_t i = 0, until; i < m->degree; i = until) {
    for (until = i + 1; until < m->degree && m->atoms[until] == m->atoms[i];) until++;
    fprintf(to, "%s%s", i ? "*" : "", t->atoms.at[m->atoms[i]].text);
    if (until - i > 1) fprintf(to, "^%u", until - i);
  }
}

const char *poly_text(PolyTable *t, const Poly *p) {
  if (!p->terms.n) return "0";
  PolyTerm *sorted = NEW_ARRAY(t->arena, PolyTerm, p->terms.n);
  memcpy(sorted, p->terms.at, p->terms.n * sizeof *sorted);
  qsort(sorted, p->terms.n, sizeof *sorted, by_degree);
  Text *text = text_open(t->arena);
  for (uint32_t i = 0; i < p->terms.n; i++) print_term(t, &sorted[i], i == 0, text->to);
  return text_close(text, NULL);
}
