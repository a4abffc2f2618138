/* tile_check: checks that are decided where the operands of rows, or of columns, are packed.
 *
 * A check belongs to the packing of columns if what it looks at depends on the column, else to that of rows; those that
 * depend on the pair are decided by the sweep (TileStream.checks).  Where one fails the rows are left to the scalar
 * code, which then decides. */
#include "back/tile_pack.h"

static uint8_t check_dep(const Tile *t, const Instr *i) { return t->rows->dep[i->arg[1]] | t->rows->dep[i->arg[2]]; }

/* Whether a check is decided where rows (or columns) are packed; those of tiles are apart. */
static bool is_decided(const Tile *t, Val v, bool columns, bool feature) {
  const Instr *i = ir_at(t->e->k, v);
  if (!ir_is_check(i->op)) return false;
  for (uint32_t n = 0; n < t->s->checks.n; n++)
    if (t->s->checks.at[n] == v) return false;
  uint8_t d = check_dep(t, i);
  return ((d & DEP_COL) != 0) == columns && ((d & DEP_FEATURE) != 0) == feature;
}

/* What is not known of a guard where rows (or columns) are packed. */
static uint8_t unknown_there(bool columns, bool feature) {
  return (columns ? DEP_ROW : DEP_COL) | (feature ? 0 : DEP_FEATURE);
}

/* A guard counts as far as its conjuncts are known: in a feature loop they are the mask, which is of the pair,
 * and the condition under which the element is looked at. */
static void need_guard(const Tile *t, Val guard, uint8_t unknown, Need *n) {
  const Instr *i = ir_at(t->e->k, guard);
  if (!(t->rows->dep[guard] & unknown)) n->val[guard] = true;
  else if (i->op == IR_AND) {
    need_guard(t, i->arg[0], unknown, n);
    need_guard(t, i->arg[1], unknown, n);
  }
}

static LLVMValueRef where_guarded(const Tile *t, Val guard, uint8_t unknown, LLVMValueRef fails) {
  const Instr *i = ir_at(t->e->k, guard);
  if (!(t->rows->dep[guard] & unknown)) return LLVMBuildAnd(t->e->b, fails, t->e->val[guard], "");
  if (i->op != IR_AND) return fails;
  return where_guarded(t, i->arg[1], unknown, where_guarded(t, i->arg[0], unknown, fails));
}

void check_need(const Tile *t, const Region *r, bool columns, bool feature, Need *n) {
  for (uint32_t k = 0; r && k < r->code.n; k++) {
    const Instr *i = ir_at(t->e->k, r->code.at[k]);
    if (!is_decided(t, r->code.at[k], columns, feature)) continue;
    n->val[i->arg[1]] = n->val[i->arg[2]] = true;
    if (i->arg[0]) need_guard(t, i->arg[0], unknown_there(columns, feature), n);
  }
}

void check_emit(Tile *t, const Region *r, bool columns, bool feature) {
  Emit *e = t->e;
  for (uint32_t k = 0; r && k < r->code.n; k++) {
    const Instr *i = ir_at(e->k, r->code.at[k]);
    if (!is_decided(t, r->code.at[k], columns, feature)) continue;
    LLVMValueRef fails = check_fails(e, i);
    if (i->arg[0]) fails = where_guarded(t, i->arg[0], unknown_there(columns, feature), fails);
    tile_odd(t, fails);
  }
}

bool check_any(const Tile *t, const Region *r, bool columns, bool feature) {
  for (uint32_t k = 0; k < r->code.n; k++)
    if (is_decided(t, r->code.at[k], columns, feature)) return true;
  return false;
}

void check_emit_once(Tile *t, const Region *r, bool columns, LLVMValueRef extent) {
  Emit *e = t->e;
  if (!check_any(t, r, columns, false)) return;
  LLVMBasicBlockRef none = block_when(e, LLVMBuildICmp(e->b, LLVMIntSGT, extent, const_int(e, 0), ""), "checked");
  check_emit(t, r, columns, false);
  block_go(e, none);
}

bool tile_columns_unchecked(const Tile *t) {
  for (uint32_t k = 0; k < t->s->features.n; k++) {
    const Region *r = t->s->features.at[k].loop->body;
    if (check_any(t, r, true, true) || check_any(t, r, true, false)) return false;
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    const Region *r = t->s->accs.at[k].acc->body.at;
    if (t->s->accs.at[k].use != USE_CONTRACT) continue;
    if (check_any(t, r, true, true) || check_any(t, r, true, false) ||
        check_any(t, r, false, true))
      return false;
  }
  return true;
}
