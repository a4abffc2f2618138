/* parallel: independent iterations as tasks for threads.
 *
 * A parallel loop that one thread comes to becomes a function of its own (task.c), which runs the iterations of one
 * item (nest.c).  How rows are cut into items follows from the sizes alone, and iterations share nothing, so the bits
 * of the results do not depend on the number of threads, nor on whether there is a pool.
 *
 * Where a list says what rows cost, items are cut by that instead (balance.c).
 *
 * What the iterations read is either found again from the parameters (views, places in the workspace) or handed over
 * in the context, which lies on the caller's stack (task.h).
 *
 * Few rows with many columns are shared out by spans of columns (tile.h): first every span of every block is an item,
 * then every block, which merges its spans and finishes.  The same sums come about when one thread goes through the
 * spans of a block, so here the number of threads may decide.
 *
 * share.c runs the items. */
#include "back/balance.h"
#include "back/pieces.h"
#include "back/task.h"
#include "back/tile.h"
#include "ir/build.h"
#include "ir/walk.h"

bool is_alone(const Region *r) {
  for (; r && r->loop; r = r->parent)
    if (r->loop->kind != LOOP_SEQ) return false;
  return true;
}

/* ---- what is handed over -------------------------------------------------------------------------- */

typedef struct Capture { Emit *e; const Region *body; bool *seen; Captured list; } Capture;

/* Constants need no handing over. */
static void capture(void *ctx, Val v) {
  Capture *c = ctx;
  if (!v || c->seen[v] || region_contains(c->body, ir_at(c->e->k, v)->home)) return;
  c->seen[v] = true;
  if (c->e->val[v]) vec_push(c->e->arena, &c->list, v);
}

static void capture_instr(void *ctx, Val v) {
  Capture *c = ctx;
  const Instr *i = ir_at(c->e->k, v);
  walk_operands(c->e->k, v, capture, c);
  for (uint32_t d = 0; i->array && d < i->array->rank; d++) capture(c, i->array->dims[d]);
}

/* What the iterations read; those of another loop too where rows are summed across. */
static Captured captured_by(Emit *e, const Loop *l, const Nest *nest) {
  Capture c = {.e = e, .body = l->body, .seen = NEW_ARRAY(e->arena, bool, e->k->instrs.n)};
  capture(&c, l->lo);
  capture(&c, l->hi);
  walk_code(e->k, l->body, capture_instr, &c);
  const TileAcross *a = nest->tiled ? nest->tiled->streams.at[0]->across : NULL;
  if (!a) return c.list;
  c.body = (a->depth > 1 ? a->around[0] : a->loop)->body;
  walk_code(e->k, c.body, capture_instr, &c);
  return c.list;
}

static void hand_over(Emit *e, LLVMValueRef context, const Captured *list) {
  for (uint32_t n = 0; n < list->n; n++)
    if (!LLVMIsConstant(e->val[list->at[n]]))
      LLVMBuildStore(e->b, e->val[list->at[n]], field_at(e, context, captured_offset(n)));
}

/* A run of iterations is a run of rows: the first loop's iterations come one after another. */
static LLVMValueRef rows_of(Emit *e, const Nest *nest, LLVMValueRef iterations) {
  for (uint32_t n = 1; n < nest->n; n++) iterations = nest_product(e, iterations, nest_steps(e, nest, n));
  return iterations;
}

bool parallel_takes_runs(const Emit *e, const Loop *l) {
  Nest nest = nest_of(e, l);
  if (nest_is_grouped(&nest)) return false;
  return nest.n > 1 || (!nest.tiled && !balance_of(e->k, l).first);
}

/* ---- the call --------------------------------------------------------------------------------------- */

/* Rows are few where threads would have less than two each. */
static LLVMValueRef is_split(Emit *e, const Nest *nest, LLVMValueRef rows) {
  LLVMValueRef two = LLVMBuildShl(e->b, e->threads, const_int(e, 1), "");
  LLVMValueRef few = LLVMBuildICmp(e->b, LLVMIntSLT, rows, two, "");
  LLVMValueRef several = LLVMBuildICmp(e->b, LLVMIntSGT, e->threads, const_int(e, 1), "");
  LLVMValueRef long_enough = LLVMBuildICmp(e->b, LLVMIntSGT, tile_spans(e, nest->tiled), const_int(e, 1), "");
  return LLVMBuildAnd(e->b, LLVMBuildAnd(e->b, few, several, ""), long_enough, "");
}

static LLVMValueRef split_bytes_of(Emit *e, const Loop *l) {
  Nest nest = nest_of(e, l);
  Pieces pieces;
  bool cut = pieces_of(e, &nest, &pieces);
  if (!cut && !nest_has_spans(e, &nest)) return const_int(e, 0);
  for (uint32_t n = 0; n < nest.n; n++) layout_size(e, nest.loop[n]->lo), layout_size(e, nest.loop[n]->hi);
  if (cut) return pieces_bytes(e, &pieces);
  nest_share_blocks(e, &nest);
  LLVMValueRef rows = nest_rows(e, &nest), states = layout_multiply(e, rows, tile_spans(e, nest.tiled));
  LLVMValueRef bytes = layout_multiply(e, states, tile_state_bytes(e, nest.tiled));
  return LLVMBuildSelect(e->b, is_split(e, &nest, rows), bytes, const_int(e, 0), "");
}

static LLVMValueRef split_bytes_in(Emit *e, const Region *r) {
  LLVMValueRef most = const_int(e, 0);
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(e->k, r->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind == LOOP_REDUCE) continue;
    LLVMValueRef bytes = i->loop->kind == LOOP_PAR ? split_bytes_of(e, i->loop) : split_bytes_in(e, i->loop->body);
    most = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntUGT, bytes, most, ""), bytes, most, "");
  }
  return most;
}

LLVMValueRef parallel_split_bytes(Emit *e) { return split_bytes_in(e, e->k->top); }

static void share(Emit *e, LLVMValueRef context, LLVMValueRef rows_function, LLVMValueRef count) {
  store_field(e, rows_function, context, offsetof(Context, rows));
  LLVMValueRef arg[] = {context, e->pool, count, e->err};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(e->share), e->share, arg, 4, "");
}

static void share_spans(Emit *e, const Nest *nest, const Captured *list, LLVMValueRef context, const RowsFunctions *f) {
  LLVMValueRef rows = nest_rows(e, nest);
  share(e, context, task_rows(e, nest, list, ROWS_SPANS, f), LLVMBuildMul(e->b, rows, tile_spans(e, nest->tiled), ""));
  share(e, context, task_rows(e, nest, list, ROWS_MERGE, f), rows);
}

static void share_pieces(Emit *e, LLVMValueRef context) {
  LLVMValueRef count = pieces_count(e, e->pieces);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntSGT, count, const_int(e, 0), ""), "pieces");
  share(e, context, e->pieces->compute, count);
  block_go(e, done);
}

static void emit_shared(Emit *e, const Loop *l) {
  Nest nest = nest_of(e, l);
  Captured list = captured_by(e, l, &nest);
  LLVMValueRef context = cell_new(e, LLVMArrayType2(e->t.i64, captured_offset(list.n) / sizeof(int64_t)), "context");
  LLVMValueRef field[] = {e->in, e->out, e->sizes, e->workspace, e->threads};
  for (size_t n = 0; n < 5; n++) store_field(e, field[n], context, (n + 1) * sizeof(void *));
  store_field(e, e->layout.shared, context, offsetof(Context, shared));
  store_field(e, e->layout.each, context, offsetof(Context, each));
  hand_over(e, context, &list);
  nest_share_blocks(e, &nest);
  if (nest.tiled) store_field(e, e->block_rows, context, offsetof(Context, block_rows));
  if (e->group) store_field(e, e->group, context, offsetof(Context, group));
  LLVMValueRef rows = nest_rows(e, &nest);
  LLVMBasicBlockRef done = NULL;
  RowsFunctions f = {{NULL}};
  if (nest.tiled) f.of[ROWS_ODD] = task_rows(e, &nest, &list, ROWS_ODD, &f);
  if (nest.tiled && nest.tiled->streams.at[0]->across) f.of[ROWS_COLUMN] = task_rows(e, &nest, &list, ROWS_COLUMN, &f);
  if (nest_has_spans(e, &nest)) {
    for (int part = ROWS_BEGIN; part <= ROWS_FINISH; part++)
      f.of[part] = task_rows(e, &nest, &list, (RowsPart)part, &f);
    done = block_new(e, "shared");
    LLVMBasicBlockRef whole = block_when(e, is_split(e, &nest, rows), "split");
    share_spans(e, &nest, &list, context, &f);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, whole);
  }
  if (e->run_first) {
    rows = rows_of(e, &nest, e->run_count);
    store_field(e, rows_of(e, &nest, e->run_first), context, offsetof(Context, first));
    store_field(e, rows, context, offsetof(Context, rows_here));
  }
  Pieces pieces;
  e->pieces = pieces_of(e, &nest, &pieces) ? &pieces : NULL;
  if (e->pieces) pieces.compute = task_rows(e, &nest, &list, ROWS_PIECES, &f);
  if (e->pieces) share_pieces(e, context);
  share(e, context, task_rows(e, &nest, &list, ROWS_ALL, &f), nest_parts(e, rows, nest_item_rows(e, &nest, rows)));
  e->pieces = NULL;
  if (done) block_go(e, done);
  e->tasks++;
}

/* i1: whether the rows will be computed, and do what a loop over their columns would. */
static LLVMValueRef does_columns(Emit *e, const TileRows *rows) {
  const Loop *l = rows->loop;
  while (l->body->parent->loop && l->body->parent->loop->kind == LOOP_PAR) l = l->body->parent->loop;
  return LLVMBuildAnd(e->b, tile_across_holds(e, rows), emit_wanted(e, l), "");
}

/* What blocks of rows do across them, no loop needs to do for their columns. */
void emit_parallel(Emit *e, const Loop *l) {
  const TileRows *rows = e->plan ? tile_across_of(e->plan, l) : NULL;
  LLVMBasicBlockRef done = rows ? block_when(e, LLVMBuildNot(e->b, does_columns(e, rows), ""), "columns") : NULL;
  emit_shared(e, l);
  if (done) block_go(e, done);
}
