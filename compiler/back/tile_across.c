/* tile_across: sums over the rows of a block, for each of its columns: see tile/tile_across.c.
 *
 *     features   of all strips, into buffers of pairs
 *     for every vector of columns:
 *       m        the largest log weight of its rows, row after row
 *       sum      of e^(log weight - m), likewise
 *       results  m, log sum or both added, into their arrays and into operands of columns, if anybody asks for them
 *     strips     swept from the buffers, where e^(log weight - m) / sum is two numbers' product; contracted
 *
 * Lanes are columns, so that neither a row nor a column has a state of its own, and nothing is summed across lanes. The
 * sum is taken in f32, in the order of the rows, of which there are at most TILE_ACROSS_ROWS.
 *
 * A column for which that is no answer (a log weight that is NaN or +inf, pairs that are all without weight in f32, an
 * exception of a pair) is left, with its vector, to the scalar code of the loop over columns.  So are all columns where
 * only scalar code of the rows would read results, before the first row of the block that goes that way. */
#include <math.h>

#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

static V compare(Emit *e, LLVMRealPredicate p, V x, V y) { return LLVMBuildFCmp(e->b, p, x, y, ""); }

V tile_across_holds(Emit *e, const TileRows *rows) {
  V extent = LLVMBuildSub(e->b, e->val[rows->loop->hi], e->val[rows->loop->lo], "");
  V some = LLVMBuildICmp(e->b, LLVMIntSGT, extent, const_int(e, 0), "");
  return LLVMBuildAnd(e->b, some, LLVMBuildICmp(e->b, LLVMIntSLE, extent, const_int(e, TILE_ACROSS_ROWS), ""), "");
}

V tile_across_rows(const Tile *t) {
  Emit *e = t->e;
  V rows = op_extreme(e, IR_INT, false, tile_extent(e, t->rows->loop->lo, t->rows->loop->hi),
                      const_int(e, TILE_ACROSS_ROWS));
  return times(e, ceil_div(e, op_extreme(e, IR_INT, true, rows, const_int(e, 1)), t->nrow), t->nrow);
}

/* ---- scalar code ---------------------------------------------------------------------------------- */

static void enter(Emit *e, const Loop *l, V index) {
  e->val[l->index] = index;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
}

/* The loops around the columns stand where those around the rows do. */
static void enter_around(Emit *e, const TileRows *rows, bool with_code) {
  const TileAcross *a = rows->streams.at[0]->across;
  const Region *r = rows->loop->body->parent;
  for (uint32_t n = a->depth - 1; n-- > 0; r = r->parent) enter(e, a->around[n], e->val[r->loop->index]);
  for (uint32_t n = 0; with_code && n + 1 < a->depth; n++) {
    const Region *body = a->around[n]->body;
    bool *loops = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
    for (uint32_t c = 0; c < body->code.n; c++) loops[body->code.at[c]] = ir_at(e->k, body->code.at[c])->op == IR_LOOP;
    emit_code(e, body, loops, false);
  }
}

void tile_across_column(Emit *e, const TileRows *rows, V column) {
  const TileAcross *a = rows->streams.at[0]->across;
  const TilePlan *plan = e->plan;
  e->plan = NULL;
  enter_around(e, rows, true);
  enter(e, a->loop, column);
  emit_code(e, a->loop->body, NULL, false);
  e->plan = plan;
}

void tile_across_late_results(Emit *e, const TileRows *rows, V known) {
  const TileStream *s = rows->streams.at[0];
  if (!s->across || s->across->asked) return;
  V missing = LLVMBuildNot(e->b, LLVMBuildLoad2(e->b, e->t.i1, known, ""), "");
  LLVMBasicBlockRef done = block_when(e, LLVMBuildAnd(e->b, missing, tile_across_holds(e, rows), ""), "results");
  Count c = count_enter(e, e->val[s->loop->lo], e->val[s->loop->hi]);
  task_column(e, c.index);
  count_leave(e, &c);
  LLVMBuildStore(e->b, LLVMConstInt(e->t.i1, 1, false), known);
  block_go(e, done);
}

/* ---- a vector of columns ---------------------------------------------------------------------------- */

/* first: of the vector, in the block; inside: lanes that are columns of it; largest: of the log weights, least: that,
 * and 0 where it is -inf; sum: of the parts; bad: lanes that need the scalar code. */
typedef struct Across { Tile *t; V first, inside, largest, least, sum, bad; } Across;

/* What goes around a loop over the rows: x; lanes that are bad; lanes of which the mask leaves some pair. */
typedef struct Pass { V x, bad, some; } Pass;

static V phi_of(Tile *t, V first, LLVMBasicBlockRef from) {
  V phi = LLVMBuildPhi(t->e->b, LLVMTypeOf(first), "");
  LLVMAddIncoming(phi, &first, &from, 1);
  return phi;
}

static V phi_of_two(Tile *t, V x, LLVMBasicBlockRef from, V y, LLVMBasicBlockRef body) {
  V phi = LLVMBuildPhi(t->e->b, LLVMTypeOf(x), "");
  LLVMAddIncoming(phi, (V[]){x, y}, (LLVMBasicBlockRef[]){from, body}, 2);
  return phi;
}

static Pass all_rows(Across *a, Pass first, Pass (*step)(Across *, Pass)) {
  Tile *t = a->t;
  Emit *e = t->e;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, const_int(e, 0), t->rows_in_block);
  uint32_t mark = tile_mark(t);
  Pass phi = {phi_of(t, first.x, from), phi_of(t, first.bad, from), phi_of(t, first.some, from)};
  t->here_row = c.index;
  Pass next = step(a, phi);
  t->here_row = NULL;
  tile_forget(t, mark);
  LLVMBasicBlockRef body = LLVMGetInsertBlock(e->b);
  LLVMAddIncoming(phi.x, &next.x, &body, 1);
  LLVMAddIncoming(phi.bad, &next.bad, &body, 1);
  LLVMAddIncoming(phi.some, &next.some, &body, 1);
  count_leave(e, &c);
  return (Pass){phi_of_two(t, first.x, from, next.x, body), phi_of_two(t, first.bad, from, next.bad, body),
                phi_of_two(t, first.some, from, next.some, body)};
}

/* The log weight, which is kept. */
static Pass larger(Across *a, Pass p) {
  Tile *t = a->t;
  Emit *e = t->e;
  const TileAcross *s = t->s->across;
  V h = tile_value(t, s->log_w, 0, 0);
  V there = s->mask ? tile_value(t, s->mask, 0, 0) : lanes_splat(&t->l, LLVMConstInt(e->t.i1, 1, false));
  h = LLVMBuildSelect(e->b, there, h, lanes_float(&t->l, -INFINITY), "");
  tile_put(e, t->parts, tile_pair_place(t, 0, 0), h);
  for (uint32_t n = 0; n < t->s->exceptions.n; n++)
    p.bad = LLVMBuildOr(e->b, p.bad, tile_value(t, t->s->exceptions.at[n], 0, 0), "");
  V x = LLVMBuildSelect(e->b, compare(e, LLVMRealOGT, h, p.x), h, p.x, "");
  return (Pass){x, p.bad, LLVMBuildOr(e->b, p.some, there, "")};
}

/* e^(log weight - m), which is kept in its place. */
static Pass add_part(Across *a, Pass p) {
  Tile *t = a->t;
  Emit *e = t->e;
  V at = tile_pair_place(t, 0, 0), gap = LLVMBuildFSub(e->b, tile_get(e, t->l.f32, t->parts, at), a->least, "");
  V distance = lanes_weight_exponent(&t->l, LLVMBuildFMul(e->b, gap, lanes_float(&t->l, TILE_LOG2_E), ""));
  V part = lanes_exp2_weight(&t->l, distance, NULL);
  tile_put(e, t->parts, at, part);
  return (Pass){LLVMBuildFAdd(e->b, p.x, part, ""), p.bad, p.some};
}

static V wide(Tile *t, V x) { return LLVMBuildFPExt(t->e->b, x, LLVMVectorType(t->e->t.f64, t->l.n), ""); }

/* What is stored of the accumulator whose result that is. */
static V result_of(Across *a, Val result, V mass) {
  const Loop *l = ir_at(a->t->e->k, result)->loop;
  AccKind kind = ACC_MAX;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->result == result) kind = l->accs.at[n]->kind;
  V m = wide(a->t, a->largest), z = wide(a->t, mass);
  return kind == ACC_MAX ? m : kind == ACC_MASS ? z : LLVMBuildFAdd(a->t->e->b, m, z, "");
}

static void keep_results(Across *a) {
  Tile *t = a->t;
  Emit *e = t->e;
  const TileAcross *s = t->s->across;
  V inverse = LLVMBuildFDiv(e->b, lanes_float(&t->l, 1), a->sum, ""),
    some = compare(e, LLVMRealOGT, a->sum, lanes_float(&t->l, 0));
  tile_put(e, t->inverse, a->first,
           LLVMBuildSelect(e->b, some, inverse, lanes_float(&t->l, 0), "")); /* nothing has no shares */
  if (!s->asked) return;
  V mass = lanes_log(&t->l, a->sum);
  enter_around(e, t->rows, false);
  enter(e, s->loop, plus(e, t->first_col, a->first));
  for (uint32_t n = 0; n < s->stores.n; n++) {
    const Instr *store = ir_at(e->k, s->stores.at[n]);
    V x = result_of(a, store->arg[0], mass);
    array_store_run(e, store, x, a->inside);
    for (uint32_t k = 0; k < s->late.n; k++) {
      Val v = s->late.at[k];
      if (ir_at(e->k, v)->array != store->array) continue;
      V narrow = LLVMBuildFPTrunc(e->b, x, t->l.f32, "");
      tile_put(e, t->operand[v].at, a->first, tile_scaled(t, v, narrow));
    }
  }
}

/* The share as it is written, of operands that scalar code has left; the inverse is 1. */
static Pass keep_share(Across *a, Pass p) {
  Tile *t = a->t;
  if (t->s->across->share) tile_put(t->e, t->parts, tile_pair_place(t, 0, 0), tile_value(t, t->s->across->share, 0, 0));
  return p;
}

/* Lanes behind the last column repeat it. */
static void leave_to_scalar_code(Across *a) {
  Tile *t = a->t;
  Emit *e = t->e;
  V end = op_extreme(e, IR_INT, false, plus(e, a->first, const_int(e, t->l.n)), t->cols_in_block);
  Count c = count_enter(e, a->first, end);
  task_column(e, plus(e, t->first_col, c.index));
  count_leave(e, &c);
  tile_pack_values_between(t, &t->s->across->late, a->first, plus(e, a->first, const_int(e, t->l.n)));
  t->here_column = a->first;
  V none = LLVMConstNull(t->l.i1);
  all_rows(a, (Pass){lanes_float(&t->l, 0), none, none}, keep_share);
  t->here_column = NULL;
  tile_put(e, t->inverse, a->first, lanes_float(&t->l, 1));
}

static void across_vector(Tile *t, V number) {
  Emit *e = t->e;
  Across a = {.t = t, .first = times(e, number, t->l.n)};
  V none = LLVMConstNull(t->l.i1),
    left = LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, t->cols_in_block, a.first, ""), e->t.i32, "");
  a.inside = LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&t->l, e->t.i32), lanes_splat(&t->l, left), "");
  t->here_column = a.first, t->alive = a.inside;
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i1), t->row_odd);
  Pass top = all_rows(&a, (Pass){lanes_float(&t->l, -INFINITY), none, none}, larger);
  a.largest = top.x, a.bad = top.bad;
  V none_there = compare(e, LLVMRealOEQ, a.largest, lanes_float(&t->l, -INFINITY));
  a.least = LLVMBuildSelect(e->b, none_there, lanes_float(&t->l, 0), a.largest, "");
  a.sum = all_rows(&a, (Pass){lanes_float(&t->l, 0), none, none}, add_part).x;
  t->here_column = t->alive = NULL;
  V spoilt = LLVMBuildOr(e->b, compare(e, LLVMRealUNO, a.sum, a.sum), LLVMBuildAnd(e->b, none_there, top.some, ""), "");
  a.bad = LLVMBuildAnd(e->b, LLVMBuildOr(e->b, a.bad, spoilt, ""), a.inside, "");
  V scalar = LLVMBuildOr(e->b, tile_line_any(t, a.bad), LLVMBuildLoad2(e->b, e->t.i1, t->row_odd, ""), "");
  LLVMBasicBlockRef done = block_new(e, "across"), usual = block_when(e, scalar, "scalar");
  leave_to_scalar_code(&a);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, usual);
  keep_results(&a);
  block_go(e, done);
}

/* ---- a block of columns ------------------------------------------------------------------------------ */

static void features_from_panels(Tile *t) {
  Emit *e = t->e;
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
  t->strip = c.index;
  t->pair_row = times(e, c.index, t->nrow);
  tile_strip_features(t);
  count_leave(e, &c);
}

static void features_in_place(Tile *t) {
  Emit *e = t->e;
  LLVMBasicBlockRef done = block_new(e, "placed");
  if (tile_narrow_can(t)) {
    LLVMBasicBlockRef wide = block_when(e, tile_narrow_holds(t), "narrow");
    tile_narrow_features(t);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, wide);
  }
  tile_place_features(t, false);
  block_go(e, done);
}

static void all_features(Tile *t) {
  Emit *e = t->e;
  if (!t->in_place) {
    features_from_panels(t);
    return;
  }
  tile_patch_begin(t);
  LLVMBasicBlockRef done = block_new(e, "features"), panels = block_when(e, t->in_place, "place");
  features_in_place(t);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, panels);
  features_from_panels(t);
  block_go(e, done);
}

static void all_strips(Tile *t) {
  Emit *e = t->e;
  Val share = t->s->across->share;
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->rows_in_block, t->nrow));
  t->strip = c.index;
  t->pair_row = times(e, c.index, t->nrow);
  if (share) t->operand[share].from = FROM_SHARE;
  tile_strip_swept(t);
  if (share) t->operand[share].from = FROM_NOWHERE;
  count_leave(e, &c);
}

void tile_across_columns(Tile *t) {
  Emit *e = t->e;
  uint32_t mark = tile_mark(t);
  t->row_odd = cell_new(e, e->t.i1, "column_odd");
  all_features(t);
  t->strip = t->pair_row = const_int(e, 0);
  Count c = count_enter(e, const_int(e, 0), ceil_div(e, t->cols_in_block, t->l.n));
  across_vector(t, c.index);
  count_leave(e, &c);
  all_strips(t);
  t->pair_row = NULL;
  tile_forget(t, mark);
}
