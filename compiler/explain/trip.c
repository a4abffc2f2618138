/* trip: int values of a kernel as polynomials of the sizes, and how often loops run.
 *
 * An index is an atom that varies between its loop's bounds; the length of a loop whose bounds vary is taken at its
 * largest ("at most"), and where data decide it, it gets a name of its own. */
#include <math.h>

#include "explain/facts.h"
#include "ir/walk.h"
#include "model/term.h"

static Poly atom(Facts *f, const char *text, double value) { return poly_atom(&f->polys, text, value); }

static double known_size(const Facts *f, uint32_t id) {
  return id < f->m->sizes.n && f->sizes && f->sizes[id] >= 0 ? (double)f->sizes[id] : NAN;
}

static double apply(IrOp op, double x, double y) {
  switch ((int)op) {
  case IR_MAX: return isnan(x) || isnan(y) ? NAN : fmax(x, y);
  case IR_MIN: return isnan(x) || isnan(y) ? NAN : fmin(x, y);
  case IR_POW: return pow(x, y);
  case IR_FLOORDIV: return y == 0 ? NAN : floor(x / y);
  case IR_MOD: return y == 0 ? NAN : x - floor(x / y) * y;
  default: return NAN;
  }
}

static const char *op_text(Facts *f, IrOp op, const Poly *a, const Poly *b) {
  const char *x = poly_text(&f->polys, a), *y = poly_text(&f->polys, b);
  if (op == IR_MAX || op == IR_MIN) return arena_printf(f->arena, "%s(%s, %s)", ir_op_name(op), x, y);
  if (op == IR_POW) return arena_printf(f->arena, "%s^%s", x, y);
  const char *open = a->terms.n > 1 ? "(" : "", *close = a->terms.n > 1 ? ")" : "";
  return arena_printf(f->arena, op == IR_MOD ? "(%s%s%s %% %s)" : "(%s%s%s // %s)", open, x, close, y);
}

static Poly fixed_op(Facts *f, IrOp op, const Poly *a, const Poly *b) {
  return atom(f, op_text(f, op, a, b), apply(op, poly_value(&f->polys, a), poly_value(&f->polys, b)));
}

typedef struct Range2 { bool has_lo, has_hi; Poly lo, hi; } Range2;

static Range2 range_of(Facts *f, const Poly *p) {
  Range2 r = {0};
  r.has_lo = poly_lower(&f->polys, p, &r.lo);
  r.has_hi = poly_upper(&f->polys, p, &r.hi);
  return r;
}

/* Is a >= b whatever the sizes are, as far as signs tell? */
static bool not_below(Facts *f, const Poly *a, const Poly *b) {
  Poly d = poly_sub(&f->polys, a, b);
  return !poly_varies(&f->polys, &d) && poly_is_positive(&d);
}

static Range2 range_of_max(Facts *f, const Range2 *a, const Range2 *b) {
  Range2 r = {.has_lo = a->has_lo || b->has_lo, .has_hi = a->has_hi && b->has_hi};
  if (r.has_lo) r.lo = !a->has_lo || (b->has_lo && not_below(f, &b->lo, &a->lo)) ? b->lo : a->lo;
  if (!r.has_hi) return r;
  r.hi = not_below(f, &b->hi, &a->hi)   ? b->hi
         : not_below(f, &a->hi, &b->hi) ? a->hi
                                        : poly_add(&f->polys, &a->hi, &b->hi);
  return r;
}

static Range2 range_of_min(Facts *f, const Range2 *a, const Range2 *b) {
  Range2 r = {.has_hi = a->has_hi || b->has_hi};
  if (r.has_hi) r.hi = !a->has_hi || (b->has_hi && not_below(f, &a->hi, &b->hi)) ? b->hi : a->hi;
  if (!a->has_lo || !b->has_lo) return r;
  r.has_lo = not_below(f, &a->lo, &b->lo) || not_below(f, &b->lo, &a->lo);
  r.lo = not_below(f, &a->lo, &b->lo) ? b->lo : a->lo;
  return r;
}

static Range2 range_of_division(Facts *f, IrOp op, const Range2 *a, const Range2 *b) {
  Poly one = poly_constant(&f->polys, 1);
  Range2 r = {.has_lo = true, .lo = {{0}}};
  if (op == IR_FLOORDIV) return (Range2){.has_lo = true, .has_hi = a->has_hi, .hi = a->hi};
  r.has_hi = b->has_hi;
  if (b->has_hi) r.hi = poly_sub(&f->polys, &b->hi, &one);
  return r;
}

static Poly varying(Facts *f, Val v, const Range2 *r) {
  const char *text = arena_printf(f->arena, "value#%u", v);
  return poly_varying(&f->polys, text, r->has_lo ? &r->lo : NULL, r->has_hi ? &r->hi : NULL);
}

/* The least of a count and a number that no count reaches. */
static bool is_beyond(const Poly *p) {
  double v;
  return poly_is_constant(p, &v) && v >= 0x1p30;
}

static Poly extreme(Facts *f, Val v, IrOp op, const Poly *a, const Poly *b) {
  if (op == IR_MIN && (is_beyond(a) || is_beyond(b))) return is_beyond(b) ? *a : *b;
  if (not_below(f, a, b)) return op == IR_MAX ? *a : op == IR_MIN ? *b : fixed_op(f, op, a, b);
  if (not_below(f, b, a)) return op == IR_MAX ? *b : op == IR_MIN ? *a : fixed_op(f, op, a, b);
  if (!poly_varies(&f->polys, a) && !poly_varies(&f->polys, b)) return fixed_op(f, op, a, b);
  Range2 x = range_of(f, a), y = range_of(f, b);
  Range2 r = op == IR_MAX ? range_of_max(f, &x, &y) : range_of_min(f, &x, &y);
  return varying(f, v, &r);
}

static Poly division(Facts *f, Val v, IrOp op, const Poly *a, const Poly *b) {
  if (!poly_varies(&f->polys, a) && !poly_varies(&f->polys, b)) return fixed_op(f, op, a, b);
  Range2 x = range_of(f, a), y = range_of(f, b);
  Range2 r = range_of_division(f, op, &x, &y);
  return varying(f, v, &r);
}

static Poly index_poly(Facts *f, Val v) {
  const Loop *l = ir_at(f->k, v)->loop;
  Val lo = l ? l->lo : f->axis[v].lo, hi = l ? l->hi : f->axis[v].hi;
  Range2 none = {0};
  if (!lo || !hi) return varying(f, v, &none);
  Poly a = int_poly(f, lo), b = int_poly(f, hi), one = poly_constant(&f->polys, 1);
  Range2 x = range_of(f, &a), y = range_of(f, &b);
  Range2 r = {x.has_lo, y.has_hi, x.lo, {{0}}};
  if (y.has_hi) r.hi = poly_sub(&f->polys, &y.hi, &one);
  return varying(f, v, &r);
}

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }

/* A float that the sizes give; NaN: not known. */
static double float_value(Facts *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  Poly p;
  switch ((int)i->op) {
  case IR_CONST: return i->number;
  case IR_CONVERT:
    if (ir_at(f->k, i->arg[0])->type != IR_INT) return NAN;
    p = int_poly(f, i->arg[0]);
    return poly_varies(&f->polys, &p) ? NAN : poly_value(&f->polys, &p);
  case IR_MUL: return float_value(f, i->arg[0]) * float_value(f, i->arg[1]);
  default: return NAN;
  }
}

/* One of two values that sizes give; which, where a comparison of numbers that sizes give too decides. */
static Poly choice(Facts *f, Val v, const Instr *i) {
  const Instr *test = ir_at(f->k, i->arg[0]);
  Poly a = int_poly(f, i->arg[1]), b = int_poly(f, i->arg[2]);
  Range2 none = {0};
  if (test->op != IR_LE || !is_float(ir_at(f->k, test->arg[0])->type) || poly_varies(&f->polys, &a) ||
      poly_varies(&f->polys, &b))
    return varying(f, v, &none);
  double x = float_value(f, test->arg[0]), y = float_value(f, test->arg[1]);
  if (!isnan(x) && !isnan(y)) return x <= y ? a : b;
  return atom(f, arena_printf(f->arena, "either(%s, %s)", poly_text(&f->polys, &a), poly_text(&f->polys, &b)), NAN);
}

/* ceil(sqrt(n)) */
static Poly from_float(Facts *f, Val v, const Instr *i) {
  const Instr *up = ir_at(f->k, i->arg[0]), *root = up->op == IR_CEIL ? ir_at(f->k, up->arg[0]) : NULL;
  const Instr *n = root && root->op == IR_SQRT ? ir_at(f->k, root->arg[0]) : NULL;
  Range2 none = {0};
  if (!n || n->op != IR_CONVERT || ir_at(f->k, n->arg[0])->type != IR_INT) return varying(f, v, &none);
  Poly p = int_poly(f, n->arg[0]);
  if (poly_varies(&f->polys, &p)) return varying(f, v, &none);
  return atom(f, arena_printf(f->arena, "ceil(sqrt(%s))", poly_text(&f->polys, &p)),
              ceil(sqrt(poly_value(&f->polys, &p))));
}

static Poly compute(Facts *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  Range2 none = {0};
  Poly a, b;
  switch ((int)i->op) {
  case IR_CONST: return poly_constant(&f->polys, (double)i->integer);
  case IR_SIZE: return atom(f, f->k->sizes.at[i->integer], known_size(f, (uint32_t)i->integer));
  case IR_INDEX: return index_poly(f, v);
  case IR_NEG:
    a = int_poly(f, i->arg[0]);
    return poly_scale(&f->polys, &a, -1);
  case IR_SELECT: return choice(f, v, i);
  case IR_CONVERT: return from_float(f, v, i);
  case IR_ADD: case IR_SUB: case IR_MUL: case IR_MAX: case IR_MIN: case IR_POW: case IR_FLOORDIV: case IR_MOD: break;
  default: return varying(f, v, &none);
  }
  a = int_poly(f, i->arg[0]), b = int_poly(f, i->arg[1]);
  if (i->op == IR_ADD) return poly_add(&f->polys, &a, &b);
  if (i->op == IR_SUB) return poly_sub(&f->polys, &a, &b);
  if (i->op == IR_MUL) return poly_mul(&f->polys, &a, &b);
  return i->op == IR_MAX || i->op == IR_MIN ? extreme(f, v, i->op, &a, &b) : division(f, v, i->op, &a, &b);
}

Poly int_poly(Facts *f, Val v) {
  if (!f->int_polys[v]) {
    Poly *p = NEW(f->arena, Poly);
    *p = compute(f, v);
    f->int_polys[v] = p;
  }
  return *f->int_polys[v];
}

/* ---- loops --------------------------------------------------------------------------------------------------- */

static void explain_symbol(Facts *f, const char *symbol, const char *meaning) {
  for (uint32_t i = 0; i < f->legends.n; i++)
    if (!strcmp(f->legends.at[i].symbol, symbol)) return;
  vec_push(f->arena, &f->legends, (Legend){symbol, meaning});
}

static Poly length_from_data(Facts *f, const Loop *l) {
  const Instr *lo = ir_at(f->k, l->lo);
  if (lo->op == IR_LOAD && lo->array->kind == ARRAY_IN && lo->array->part == PART_INDPTR) {
    const char *graph = sym_text(f->m->names, f->m->inputs.at[lo->array->external]->name);
    const char *symbol = arena_printf(f->arena, "degree(%s)", graph);
    explain_symbol(f, symbol, arena_printf(f->arena, "the mean number of neighbours of a row of '%s'", graph));
    return atom(f, symbol, NAN);
  }
  const char *symbol = arena_printf(f->arena, "length(%s)", loop_name(f, l));
  explain_symbol(
      f, symbol,
      arena_printf(f->arena, "the mean length of the range of '%s', which sizes alone do not tell", loop_name(f, l)));
  return atom(f, symbol, NAN);
}

Poly loop_trips(Facts *f, const Loop *l) {
  Poly lo = int_poly(f, l->lo), hi = int_poly(f, l->hi), n = poly_sub(&f->polys, &hi, &lo), most;
  if (!poly_varies(&f->polys, &n)) return n;
  if (!poly_upper(&f->polys, &n, &most)) return length_from_data(f, l);
  f->is_bound = true;
  return most;
}

Poly array_elements(Facts *f, const Array *a) {
  Poly n = poly_constant(&f->polys, 1);
  for (uint32_t i = 0; i < a->rank; i++) {
    Poly d = int_poly(f, a->dims[i]), most;
    if (poly_varies(&f->polys, &d)) d = poly_upper(&f->polys, &d, &most) ? most : atom(f, "?", NAN);
    n = poly_mul(&f->polys, &n, &d);
  }
  return n;
}

uint32_t store_bytes(StoreType t) {
  switch (t) {
  case STORE_BOOL: return 1;
  case STORE_INT: case STORE_WIDE: return 8;
  case STORE_REAL: case STORE_F32: return 4;
  case STORE_F16: case STORE_BF16: return 2;
  }
  return 0;
}

Poly size_poly(Facts *f, const Term *t) {
  Poly a, b;
  if (t->kind == TERM_INT) return poly_constant(&f->polys, (double)t->integer);
  if (t->kind == TERM_SIZE) return atom(f, sym_text(f->m->names, t->size->name), known_size(f, t->size->id));
  if (t->kind == TERM_OP && t->args.n == 2) {
    a = size_poly(f, t->args.at[0]), b = size_poly(f, t->args.at[1]);
    if (t->op == OP_ADD) return poly_add(&f->polys, &a, &b);
    if (t->op == OP_SUB) return poly_sub(&f->polys, &a, &b);
    if (t->op == OP_MUL) return poly_mul(&f->polys, &a, &b);
    if (t->op == OP_FLOORDIV) return fixed_op(f, IR_FLOORDIV, &a, &b);
    if (t->op == OP_MOD) return fixed_op(f, IR_MOD, &a, &b);
  }
  return atom(f, arena_printf(f->arena, "(%s)", term_text(f->m, f->arena, t)), NAN);
}
