/* reassociate_term: the terms of a log weight at a row, at a column, and between a row and a column.
 *
 * A term of indices is evaluated at other rows and columns; one that reads data is taken apart into its two sides. */
#include "ir/reassociate_sums.h"

Val sums_product_of(Rewrite *p, const Vals *terms) {
  Val t = 0;
  for (uint32_t n = 0; n < terms->n; n++) t = times(p, t, wide(p, old(p, terms->at[n])));
  return t;
}

Val sums_condition_of(Rewrite *p, const Vals *conditions) {
  Val c = 0;
  for (uint32_t n = 0; n < conditions->n; n++) c = build_and(B(p), c, old(p, conditions->at[n]));
  return c;
}

Val sums_offset_of(Rewrite *p) {
  const Offset *o = &p->x->bound.offset;
  Val v = 0;
  for (uint32_t n = 0; n < o->parts.n; n++) {
    Val part = old(p, o->parts.at[n].v);
    if (!v) v = o->parts.at[n].sign < 0 ? build_1(B(p), IR_NEG, part) : part;
    else v = op(p, o->parts.at[n].sign < 0 ? IR_SUB : IR_ADD, v, part);
  }
  return v ? op(p, IR_ADD, v, integer(p, o->constant)) : integer(p, o->constant);
}

/* ---- at another row or column --------------------------------------------------------------------- */

static void forget(Rewrite *p, uint8_t side, const Region *r) {
  for (Val v = 1; v < p->lo; v++)
    if (p->x->dep[v] & side) p->r.map[v] = 0;
  for (uint32_t n = 0; n < p->from.arrays.n; n++) {
    const Array *a = p->from.arrays.at[n];
    if (a->kind == ARRAY_LOCAL && region_contains(r, a->home)) p->r.arrays[n] = NULL;
  }
}

/* A scope in which the row or the column (0: as it is) is another. */
static Scope at(Rewrite *p, Val row, Val col) {
  Scope s = scope_enter(&p->r);
  if (row) forget(p, ON_ROW, p->x->rows->body);
  if (col) forget(p, ON_COL, p->x->stream->body);
  if (row) p->r.map[p->x->rows->index] = row;
  if (col) p->r.map[p->x->stream->index] = col;
  return s;
}

/* ---- terms that separate ------------------------------------------------------------------------- */

/* The part of a sum that depends on one side: the other side's terms are 0.  side 0: what depends on neither. */
static Val side_of(Rewrite *p, Val v, uint8_t side) {
  const Instr *i = ir_at(&p->from, v);
  uint8_t d = p->x->dep[v];
  if (!d || d == side) return wide(p, old(p, v));
  if (d != ON_BOTH) return build_float(B(p), IR_WIDE, 0);
  if (i->op == IR_CONVERT) return side_of(p, i->arg[0], side);
  if (i->op == IR_NEG) return inverse(p, side_of(p, i->arg[0], side));
  if (i->op == IR_SELECT && !p->x->dep[i->arg[0]])
    return build_select(B(p), old(p, i->arg[0]), side_of(p, i->arg[1], side), side_of(p, i->arg[2], side));
  if (i->op == IR_SELECT) return side_of(p, i->arg[1], side); /* its condition is part of the support */
  return op(p, i->op, side_of(p, i->arg[0], side), side_of(p, i->arg[1], side));
}

static Val sides_of(Rewrite *p, const Vals *terms, uint8_t side) {
  Val t = 0;
  for (uint32_t n = 0; n < terms->n; n++) t = times(p, t, side_of(p, terms->at[n], side));
  return t;
}

/* What weighs a column: its own terms and its part of the data terms, where the stream's index is mapped. */
Val sums_column_of(Rewrite *p, const LogWeight *w) {
  return times(p, sums_product_of(p, &w->col), sides_of(p, &w->data, ON_COL));
}

/* The same for a row, with what depends on neither counted once. */
Val sums_row_of(Rewrite *p, const LogWeight *w) {
  Val shared = w->data.n ? inverse(p, sides_of(p, &w->data, 0)) : 0;
  return times(p, sums_product_of(p, &w->row), times(p, sides_of(p, &w->data, ON_ROW), shared));
}

/* A column's weight as the reference of others: any finite number is a right one. */
Val sums_reference(Rewrite *p, const LogWeight *w, Val e) {
  Scope s = at(p, 0, e);
  Val c = sums_column_of(p, w);
  scope_leave(&p->r, s);
  if (!c) return 0;
  Val zero = build_float(B(p), IR_WIDE, 0);
  return build_select(B(p), op(p, IR_EQ, op(p, IR_SUB, c, c), zero), c, zero);
}

/* Terms of indices between a row and a column; row 0: the one that is being copied. */
Val sums_between(Rewrite *p, const LogWeight *w, Val row, Val col) {
  Scope s = at(p, row, col);
  Val d = sums_product_of(p, &w->index);
  scope_leave(&p->r, s);
  return d;
}
