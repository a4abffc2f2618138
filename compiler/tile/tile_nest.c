/* tile_nest: sums of multiples of products, and of multiples of such sums.
 *
 *     sum_d f a(i, d) b(j, d)                 =  sum_d (f a(i, d)) b(j, d)
 *     sum_e f(e) sum_d a(i, e, d) b(j, e, d)  =  sum_(e, d) (f(e) a(i, e, d)) b(j, e, d)
 *
 * What f depends on, the row or the column, says which operand takes it where it is packed.  If f is 1 an inner sum may
 * be of anything. */
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

static bool is_operand(const Planner *p, Val v, uint8_t side) {
  return (plan_dep(p, v) & (DEP_BOTH | DEP_FEATURE)) == (side | DEP_FEATURE) && is_float(p, v);
}

/* A product of an operand of the row and one of the column, which take factors. */
static bool take_product(const Planner *p, Val v, TileFeature *to) {
  const Instr *i = ir_at(p->k, v);
  for (int n = 0; i->op == IR_MUL && n < 2; n++) {
    Val row = plan_unconverted(p, i->arg[n]), col = plan_unconverted(p, i->arg[1 - n]);
    if (!is_operand(p, row, DEP_ROW) || !is_operand(p, col, DEP_COL)) continue;
    to->product = v, to->scaled_row = row, to->scaled_col = col;
    return true;
  }
  return false;
}

/* What is multiplied: the sum inside, or the product that is summed. */
static bool is_core(const Planner *p, Val v, TileFeature *to) {
  if (!to->outer) return take_product(p, v, to);
  return ir_at(p->k, v)->op == IR_RESULT && ir_at(p->k, v)->loop == to->loop;
}

/* v as a product of the core, met once, and of factors that lack the row or the column, and do not change along d. */
static bool take_factors(const Planner *p, Val v, bool divides, TileFeature *to, bool *met, uint32_t depth) {
  v = plan_unconverted(p, v);
  const Instr *i = ir_at(p->k, v);
  if (depth > MOST_FACTORS || !is_float(p, v)) return false;
  if ((plan_dep(p, v) & DEP_BOTH) != DEP_BOTH) {
    vec_push(p->arena, plan_dep(p, v) & DEP_COL ? &to->col_by : &to->row_by, (TileBy){v, divides});
    return to->outer || !(plan_dep(p, v) & DEP_FEATURE);
  }
  if (!divides && !*met && is_core(p, v, to)) return *met = true;
  if (i->op != IR_MUL && i->op != IR_DIV) return false;
  return take_factors(p, i->arg[0], divides, to, met, depth + 1) &&
         take_factors(p, i->arg[1], divides != (i->op == IR_DIV), to, met, depth + 1);
}

static bool has_factors(const TileFeature *f) { return f->row_by.n || f->col_by.n; }

static Val summed(const Planner *p, const Loop *l) { return plan_unconverted(p, l->accs.at[0]->body.x); }

static bool is_sum_of_sums(const Planner *p, const Loop *l, TileFeature *to) {
  bool met = false;
  *to = (TileFeature){.outer = l, .loop = loop_in(p, l->body)};
  if (!is_sum(p, l) || !to->loop || !is_sum(p, to->loop) || holds_check(p, to->loop->body)) return false;
  if (!take_factors(p, summed(p, l), false, to, &met, 0) || !met) return false;
  return !has_factors(to) || take_product(p, summed(p, to->loop), to);
}

static bool is_sum_of_multiples(const Planner *p, const Loop *l, TileFeature *to) {
  bool met = false;
  *to = (TileFeature){.loop = l};
  return is_sum(p, l) && take_factors(p, summed(p, l), false, to, &met, 0) && met && has_factors(to);
}

bool plan_multiples(const Planner *p, const Loop *l, TileFeature *to) {
  return is_sum_of_sums(p, l, to) || is_sum_of_multiples(p, l, to);
}
