/* tile_nest: a sum of multiples of sums is one sum.
 *
 *     sum_e f(e) sum_d a(i, e, d) b(j, e, d)  =  sum_(e, d) (f(e) a(i, e, d)) b(j, e, d)
 *
 * by distributivity: what f depends on, the row or the column, says which operand takes it where it is packed.  If f is
 * 1 the inner sum may be of anything. */
#include "tile/tile_plan.h"

enum { MOST_FACTORS = 8 }; /* how deep they may be nested */

static bool is_sum(const Planner *p, const Loop *l) {
  if (l->kind != LOOP_REDUCE || l->mask || l->seed || l->accs.n != 1) return false;
  const Acc *a = l->accs.at[0];
  return a->kind == ACC_SUM && a->type == IR_WIDE && !a->naxis && ir_follows_from_sizes(p->k, l->lo) &&
         ir_follows_from_sizes(p->k, l->hi);
}

/* The only one in a region that has pure operations beside it; NULL: it is none. */
static const Loop *loop_in(const Planner *p, const Region *r) {
  const Loop *l = NULL;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (ir_is_check(i->op) || i->op == IR_ARRAY || (i->op == IR_LOOP && l)) return NULL;
    if (i->op == IR_LOOP) l = i->loop;
  }
  return l;
}

static bool holds_check(const Planner *p, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_is_check(ir_at(p->k, r->code.at[n])->op)) return true;
  return false;
}

static bool is_float(const Planner *p, Val v) {
  IrType type = ir_at(p->k, v)->type;
  return type == IR_REAL || type == IR_WIDE;
}

/* v as a product of the inner sum, met once, and of factors that lack the row or the column. */
static bool take_factors(const Planner *p, Val v, bool divides, TileFeature *to, bool *met, uint32_t depth) {
  v = plan_unconverted(p, v);
  const Instr *i = ir_at(p->k, v);
  if (depth > MOST_FACTORS || !is_float(p, v)) return false;
  if ((plan_dep(p, v) & DEP_BOTH) != DEP_BOTH) {
    vec_push(p->arena, plan_dep(p, v) & DEP_COL ? &to->col_by : &to->row_by, (TileBy){v, divides});
    return true;
  }
  if (i->op == IR_RESULT) {
    bool once = i->loop == to->loop && !divides && !*met;
    *met = true;
    return once;
  }
  if (i->op != IR_MUL && i->op != IR_DIV) return false;
  return take_factors(p, i->arg[0], divides, to, met, depth + 1) &&
         take_factors(p, i->arg[1], divides != (i->op == IR_DIV), to, met, depth + 1);
}

static bool is_operand(const Planner *p, Val v, uint8_t side) {
  return (plan_dep(p, v) & (DEP_BOTH | DEP_FEATURE)) == (side | DEP_FEATURE) && is_float(p, v);
}

/* The operands that take factors: those of a product. */
static bool find_scaled(const Planner *p, TileFeature *to) {
  const Instr *i = ir_at(p->k, plan_unconverted(p, to->loop->accs.at[0]->body.x));
  if (!to->row_by.n && !to->col_by.n) return true;
  if (i->op != IR_MUL) return false;
  for (int n = 0; n < 2; n++) {
    Val row = plan_unconverted(p, i->arg[n]), col = plan_unconverted(p, i->arg[1 - n]);
    if (!is_operand(p, row, DEP_ROW) || !is_operand(p, col, DEP_COL)) continue;
    to->scaled_row = row, to->scaled_col = col;
    return true;
  }
  return false;
}

bool plan_nested(const Planner *p, const Loop *l, TileFeature *to) {
  TileFeature found = {.outer = l, .loop = loop_in(p, l->body)};
  bool met = false;
  if (!is_sum(p, l) || !found.loop || !is_sum(p, found.loop) || holds_check(p, found.loop->body)) return false;
  if (!take_factors(p, l->accs.at[0]->body.x, false, &found, &met, 0) || !met) return false;
  if (!find_scaled(p, &found)) return false;
  *to = found;
  return true;
}
