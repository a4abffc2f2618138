/* gather_lines: what a line of each element of a vector comes to: a dot product of a row with each of its neighbours.
 *
 * Lanes are elements, but a line needs all lanes for itself: elements come one after another, values that differ from
 * lane to lane being scalars meanwhile.  Where vectors take all their lines, and these are short, the lanes of their
 * sums are folded at the end, those of all elements at once; else each is a loop of its own, as outside blocks.  The
 * bits are the same. */
#include "back/gather_parts.h"
#include "base/ice.h"
#include "ir/walk.h"

enum { FOLDED = 8 }; /* vectors at once, at most */

typedef struct Apart { Beside *b; const Loop *loop; VEC(Kept) in; V *before; } Apart;

static void note_outside(void *ctx, Val v) {
  Apart *a = ctx;
  if (!a->b->varies[v] || ir_at(a->b->e->k, v)->home != a->b->loop->body) return;
  for (uint32_t n = 0; n < a->in.n; n++)
    if (a->in.at[n].v == v) return;
  vec_push(a->b->e->arena, &a->in, (Kept){v, NULL});
}

static void note_instr(void *ctx, Val v) {
  Apart *a = ctx;
  walk_operands(a->b->e->k, v, note_outside, a);
}

static V lanes_cell(const Beside *b, LLVMTypeRef t) { return cell_new(b->e, LLVMArrayType2(t, b->n), "lanes"); }

/* Lanes that the loop reads, where scalars of them can be had. */
static Apart take_apart(Emit *e, Beside *b, Val v) {
  Apart a = {.b = b, .loop = ir_at(e->k, v)->loop};
  walk_whole(e->k, v, note_instr, &a);
  a.before = NEW_ARRAY(e->arena, V, a.in.n + 1);
  for (uint32_t n = 0; n < a.in.n; n++) {
    IrType t = ir_at(e->k, a.in.at[n].v)->type;
    V x = a.before[n] = e->val[a.in.at[n].v];
    a.in.at[n].at = lanes_cell(b, kept_type(e, t));
    put_lanes(e, t == IR_BOOL ? LLVMBuildZExt(e->b, x, LLVMVectorType(e->t.i8, b->n), "") : x, a.in.at[n].at);
  }
  return a;
}

static void become(Emit *e, const Apart *a, V lane, V position) {
  for (uint32_t n = 0; n < a->in.n; n++) {
    IrType t = ir_at(e->k, a->in.at[n].v)->type;
    V x = get(e, kept_type(e, t), slot(e, kept_type(e, t), a->in.at[n].at, lane));
    e->val[a->in.at[n].v] = t == IR_BOOL ? LLVMBuildTrunc(e->b, x, e->t.i1, "") : x;
  }
  e->val[a->b->loop->index] = position;
}

static void become_lanes(Emit *e, const Apart *a, V index) {
  for (uint32_t n = 0; n < a->in.n; n++) e->val[a->in.at[n].v] = a->before[n];
  e->val[a->b->loop->index] = index;
}

/* Whether the code can be made; whether it may run. */
static bool can_fold(const Emit *e, const Apart *a) {
  for (uint32_t n = 0; n < a->loop->accs.n; n++)
    if (!gather_line_beside(e, a->b, a->loop->body, a->loop->accs.at[n]->body.x, a->loop->index)) return false;
  return true;
}

static V may_fold(Emit *e, const Apart *a) {
  const Beside *b = a->b;
  V holds = LLVMConstAllOnes(LLVMVectorType(e->t.i1, b->n)), lo = e->val[a->loop->lo], hi = e->val[a->loop->hi];
  for (uint32_t n = 0; n < a->loop->accs.n; n++) {
    V one = gather_holds_beside(e, b, a->loop->accs.at[n]->body.x, a->loop->index, lo, hi);
    if (one) holds = both(e, holds, one);
  }
  V fails = both(e, b->active, negate(e, holds));
  V none = LLVMBuildIsNull(e->b, LLVMBuildBitCast(e->b, fails, LLVMIntTypeInContext(e->cx, b->n), ""), "");
  return both(e, none, line_is_part(e, a->loop));
}

static V add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }

static void sum_together(Emit *e, const Apart *a, V first, V count, const V *to) {
  const Beside *b = a->b;
  const Loop *l = a->loop;
  Line line = line_along(e, l->index);
  ICE_UNLESS(b->n <= FOLDED);
  V lanes[TILE_LINE_ACCS], kept[TILE_LINE_ACCS], row[FOLDED];
  gather_check_beside(e, b, l->body, e->val[l->lo], e->val[l->hi]);
  for (uint32_t n = 0; n < l->accs.n; n++) kept[n] = cell_new(e, LLVMArrayType2(line.l.f32, b->n), "sums");
  Count c = count_enter(e, const_int(e, 0), count);
  become(e, a, c.index, plus(e, first, c.index));
  line_sum_lanes(&line, l, lanes);
  for (uint32_t n = 0; n < l->accs.n; n++) put(e, lanes[n], slot(e, line.l.f32, kept[n], c.index));
  count_leave(e, &c);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    for (unsigned lane = 0; lane < b->n; lane++)
      row[lane] = get(e, line.l.f32, slot(e, line.l.f32, kept[n], const_int(e, lane)));
    V sum = LLVMBuildFPExt(e->b, lanes_fold_all(&line.l, row, b->n, add), beside_type(b, IR_WIDE), "");
    put_lanes(e, LLVMBuildSelect(e->b, b->active, sum, beside_number(b, 0), ""), to[n]);
  }
}

static void sum_one_by_one(Emit *e, const Apart *a, Val v, V first, V count, const V *to) {
  const Loop *l = a->loop;
  for (uint32_t n = 0; n < l->accs.n; n++) put_lanes(e, beside_number(a->b, 0), to[n]);
  Count c = count_enter(e, const_int(e, 0), count);
  become(e, a, c.index, plus(e, first, c.index));
  emit_instr(e, v);
  for (uint32_t n = 0; n < l->accs.n; n++) put(e, e->val[l->accs.at[n]->result], slot(e, e->t.f64, to[n], c.index));
  count_leave(e, &c);
}

void gather_sum_lines(Emit *e, Reduction *r, Val v, V first, V count) {
  Beside *b = r->gather->beside;
  V index = e->val[b->loop->index], some = least(e, count, const_int(e, b->n)), to[TILE_LINE_ACCS];
  Apart a = take_apart(e, b, v);
  for (uint32_t n = 0; n < a.loop->accs.n; n++) to[n] = lanes_cell(b, e->t.f64);
  LLVMBasicBlockRef done = block_new(e, "lines");
  if (can_fold(e, &a)) {
    LLVMBasicBlockRef apart = block_new(e, "apart"), together = block_new(e, "together");
    LLVMBuildCondBr(e->b, may_fold(e, &a), together, apart);
    LLVMPositionBuilderAtEnd(e->b, together);
    sum_together(e, &a, first, some, to);
    LLVMBuildBr(e->b, done);
    LLVMMoveBasicBlockAfter(apart, LLVMGetInsertBlock(e->b));
    LLVMPositionBuilderAtEnd(e->b, apart);
  }
  sum_one_by_one(e, &a, v, first, some, to);
  LLVMMoveBasicBlockAfter(done, LLVMGetInsertBlock(e->b));
  block_go(e, done);
  become_lanes(e, &a, index);
  for (uint32_t n = 0; n < a.loop->accs.n; n++) {
    V x = get(e, beside_type(b, IR_WIDE), to[n]);
    LLVMSetAlignment(x, sizeof(double));
    e->val[a.loop->accs.at[n]->result] = x;
  }
}
