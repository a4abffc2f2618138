/* dim: polynomials with int coefficients over atoms; see dim.h.
 *
 * An atom is any int term that is not a sum, product or constant.  Atoms are numbered by a table that
 * both sides share, so a monomial is a sorted list of numbers.  A polynomial that outgrows the limit, or
 * whose coefficients overflow, is not compared: the answer is then "not known". */
#include "model/dim.h"

#include <stdlib.h>

#include "model/term.h"

enum { MAX_MONOMIALS = 256, MAX_DEGREE = 16 };

typedef struct Monomial { int64_t factor; uint32_t degree; uint32_t atoms[MAX_DEGREE]; } Monomial;
typedef VEC(Monomial) Poly;
typedef struct Table { Arena *arena; TermVec atoms; } Table;

static bool poly_of(Table *t, const Term *x, Poly *p);

static bool same_atom(Table *t, const Term *x, const Term *y) {
  if (term_equal(x, y)) return true;
  if (x->kind != TERM_OP || y->kind != TERM_OP || x->op != y->op || x->args.n != y->args.n) return false;
  for (uint32_t i = 0; i < x->args.n; i++)
    if (x->args.at[i]->type != TYPE_INT || y->args.at[i]->type != TYPE_INT ||
        !dim_equal(t->arena, x->args.at[i], y->args.at[i]))
      return false;
  return true;
}

static uint32_t atom_number(Table *t, const Term *x) {
  for (uint32_t i = 0; i < t->atoms.n; i++)
    if (same_atom(t, t->atoms.at[i], x)) return i;
  vec_push(t->arena, &t->atoms, (Term *)x);
  return t->atoms.n - 1;
}

static bool same_monomial(const Monomial *a, const Monomial *b) {
  return a->degree == b->degree && !memcmp(a->atoms, b->atoms, a->degree * sizeof *a->atoms);
}

static bool add_monomial(Table *t, Poly *p, const Monomial *m) {
  for (uint32_t i = 0; i < p->n; i++)
    if (same_monomial(&p->at[i], m)) return !__builtin_add_overflow(p->at[i].factor, m->factor, &p->at[i].factor);
  if (p->n == MAX_MONOMIALS) return false;
  vec_push(t->arena, p, *m);
  return true;
}

static bool add_scaled(Table *t, Poly *p, const Poly *q, int64_t scale) {
  for (uint32_t i = 0; i < q->n; i++) {
    Monomial m = q->at[i];
    if (__builtin_mul_overflow(m.factor, scale, &m.factor) || !add_monomial(t, p, &m)) return false;
  }
  return true;
}

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static bool multiply(Table *t, Poly *p, const Poly *a, const Poly *b) {
  for (uint32_t i = 0; i < a->n; i++)
    for (uint32_t k = 0; k < b->n; k++) {
      Monomial m = a->at[i];
      if (m.degree + b->at[k].degree > MAX_DEGREE) return false;
      memcpy(m.atoms + m.degree, b->at[k].atoms, b->at[k].degree * sizeof *m.atoms);
      m.degree += b->at[k].degree;
      qsort(m.atoms, m.degree, sizeof *m.atoms, by_number);
      if (__builtin_mul_overflow(m.factor, b->at[k].factor, &m.factor) || !add_monomial(t, p, &m)) return false;
    }
  return true;
}

static bool poly_atom(Table *t, const Term *x, Poly *p) {
  Monomial m = {.factor = 1, .degree = 1};
  m.atoms[0] = atom_number(t, x);
  return add_monomial(t, p, &m);
}

static bool poly_op(Table *t, const Term *x, Poly *p) {
  Poly a = {0}, b = {0};
  if (x->op == OP_NEG) return poly_of(t, x->args.at[0], &a) && add_scaled(t, p, &a, -1);
  if (x->op != OP_ADD && x->op != OP_SUB && x->op != OP_MUL) return poly_atom(t, x, p);
  if (!poly_of(t, x->args.at[0], &a) || !poly_of(t, x->args.at[1], &b)) return false;
  if (x->op == OP_MUL) return multiply(t, p, &a, &b);
  return add_scaled(t, p, &a, 1) && add_scaled(t, p, &b, x->op == OP_ADD ? 1 : -1);
}

static bool poly_of(Table *t, const Term *x, Poly *p) {
  if (x->kind == TERM_OP) return poly_op(t, x, p);
  if (x->kind != TERM_INT) return poly_atom(t, x, p);
  Monomial m = {.factor = x->integer};
  return add_monomial(t, p, &m);
}

bool dim_difference(Arena *a, const Term *x, const Term *y, int64_t *difference) {
  Table t = {.arena = a};
  Poly p = {0}, q = {0};
  *difference = 0;
  if (!poly_of(&t, x, &p) || !poly_of(&t, y, &q) || !add_scaled(&t, &p, &q, -1)) return term_equal(x, y);
  for (uint32_t i = 0; i < p.n; i++) {
    if (p.at[i].degree && p.at[i].factor) return false;
    if (!p.at[i].degree) *difference = p.at[i].factor;
  }
  return true;
}

bool dim_equal(Arena *a, const Term *x, const Term *y) {
  int64_t d;
  return dim_difference(a, x, y, &d) && d == 0;
}
