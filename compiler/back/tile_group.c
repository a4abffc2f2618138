/* tile_group: blocks with rows of several iterations of the loop around them.  See tile/tile_gather.c.
 *
 * A block then begins at the iteration that the loop around is at, and has all rows of some iterations from there on,
 * in their order; what the loop around computes is computed again wherever a row asks for it, with that row's index.
 * Columns see the first iteration, which is as good as any. */
#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

bool group_is(const Emit *e, const TileRows *rows) { return rows->around && e->shared_rows == rows && e->group; }

V group_period(Emit *e, const TileRows *rows) {
  V gap = minus(e, e->val[rows->loop->hi], e->val[rows->loop->lo]);
  return op_extreme(e, IR_INT, true, gap, const_int(e, 1));
}

V group_rows(Emit *e, const TileRows *rows) {
  V all = minus(e, e->val[rows->loop->hi], e->val[rows->loop->lo]);
  if (!group_is(e, rows)) return all;
  V left = minus(e, e->val[rows->around->hi], e->val[rows->around->index]);
  return LLVMBuildMul(e->b, all, op_extreme(e, IR_INT, false, left, e->group), "");
}

/* The values of the loop around, which row after row changes. */
static V *values_around(Emit *e, const TileRows *rows) {
  const Region *r = rows->around->body;
  V *kept = NEW_ARRAY(e->arena, V, r->code.n + 1);
  for (uint32_t n = 0; n < r->code.n; n++) kept[n] = e->val[r->code.at[n]];
  kept[r->code.n] = e->val[rows->around->index];
  return kept;
}

V *group_begin(Emit *e, const TileRows *rows) { return group_is(e, rows) ? values_around(e, rows) : NULL; }

void group_end(Emit *e, const TileRows *rows, V *kept) {
  if (!kept) return;
  const Region *r = rows->around->body;
  for (uint32_t n = 0; n < r->code.n; n++) e->val[r->code.at[n]] = kept[n];
  e->val[rows->around->index] = kept[r->code.n];
}

void group_row(Emit *e, const TileRows *rows, V *kept, V number) {
  const Loop *l = rows->loop, *around = rows->around;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  if (!kept) {
    e->val[l->index] = plus(e, e->val[l->lo], number);
    return;
  }
  const Region *r = around->body;
  V period = group_period(e, rows);
  e->val[l->index] = plus(e, e->val[l->lo], LLVMBuildURem(e->b, number, period, ""));
  e->val[around->index] = plus(e, kept[r->code.n], LLVMBuildUDiv(e->b, number, period, ""));
  bool *loops = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t c = 0; c < r->code.n; c++) loops[r->code.at[c]] = ir_at(e->k, r->code.at[c])->op == IR_LOOP;
  emit_code(e, r, loops, false);
}
