/* task: the functions that compute the rows of an item.
 *
 * A function finds what its rows read again from its parameters (views, places in the workspace) or takes it from the
 * context (what parallel.c captured).  It is made in the middle of another one, whose state it leaves as it was.
 *
 * A block of rows goes through its columns span after span: each is computed into a state, and states are merged in the
 * order of the spans.  These steps are functions of their own, so that threads may also take the spans of one row side
 * by side: the same sums come about. */
#include "back/task.h"

#include "back/balance.h"
#include "back/gather.h"
#include "back/pieces.h"
#include "back/tile.h"
#include "base/ice.h"

/* `before`: the values as the caller has them. */
static void take_over(Emit *e, LLVMValueRef context, const Captured *list, const LLVMValueRef *before) {
  for (uint32_t n = 0; n < list->n; n++) {
    Val v = list->at[n];
    LLVMTypeRef type = LLVMTypeOf(before[v]);
    bool same = LLVMIsConstant(before[v]);
    e->val[v] = same ? before[v] : LLVMBuildLoad2(e->b, type, field_at(e, context, captured_offset(n)), "");
  }
}

LLVMTypeRef rows_type(const Emit *e) {
  LLVMTypeRef p = e->t.ptr, i = e->t.i64;
  return LLVMFunctionType(e->t.none, (LLVMTypeRef[]){p, p, p, p, p, p, i, i, i, i, p, p}, ROW_PARAMS, false);
}

static void rows_parameters(Emit *e) {
  for (unsigned n = ROW_IN; n <= ROW_CONTEXT; n++) function_attribute(e, e->fn, n + 1, "noalias");
  static const unsigned readonly[] = {ROW_IN, ROW_OUT, ROW_SIZES, ROW_CONTEXT};
  for (unsigned n = 0; n < 4; n++) function_attribute(e, e->fn, readonly[n] + 1, "readonly");
  e->in = LLVMGetParam(e->fn, ROW_IN);
  e->out = LLVMGetParam(e->fn, ROW_OUT);
  e->sizes = LLVMGetParam(e->fn, ROW_SIZES);
  e->workspace = LLVMGetParam(e->fn, ROW_WORKSPACE);
  e->err = LLVMGetParam(e->fn, ROW_ERR);
  e->workspace_bytes = e->pool = NULL;
  e->threads = load_field(e, e->t.i64, LLVMGetParam(e->fn, ROW_CONTEXT), offsetof(Context, threads));
}

static bool dims_known(const Emit *e, const Array *a) {
  for (uint32_t d = 0; d < a->rank; d++)
    if (!e->val[a->dims[d]]) return false;
  return true;
}

static void rows_arrays(Emit *e) {
  LLVMValueRef context = LLVMGetParam(e->fn, ROW_CONTEXT);
  LLVMValueRef shared = load_field(e, e->t.i64, context, offsetof(Context, shared));
  Layout l = layout_within(e, shared, load_field(e, e->t.i64, context, offsetof(Context, each)));
  layout_place(e, &l, LLVMGetParam(e->fn, ROW_THREAD));
  array_views(e);
  for (uint32_t n = 0; n < e->k->arrays.n; n++)
    if (dims_known(e, e->k->arrays.at[n])) array_declare(e, e->k->arrays.at[n]);
}

static void set_index(Emit *e, const Loop *l, LLVMValueRef offset) {
  e->val[l->index] = LLVMBuildAdd(e->b, e->val[l->lo], offset, "");
  e->range[l->index] = (IndexRange){l->lo, l->hi};
}

/* A row's number to the numbers of the loops' steps: the last loop runs fastest. */
static void split_row(Emit *e, const Nest *nest, LLVMValueRef row, LLVMValueRef *step) {
  for (uint32_t n = nest->n; n-- > 1;) {
    LLVMValueRef many = nest_steps(e, nest, n);
    step[n] = LLVMBuildURem(e->b, row, many, "");
    row = LLVMBuildUDiv(e->b, row, many, "");
  }
  step[0] = row;
}

/* What a region computes before the loop inside it. */
static void emit_around(Emit *e, const Region *r) {
  bool *loops = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t c = 0; c < r->code.n; c++) loops[r->code.at[c]] = ir_at(e->k, r->code.at[c])->op == IR_LOOP;
  emit_code(e, r, loops, false);
}

/* Up to the last loop; returns the step of that. */
static LLVMValueRef enter_row(Emit *e, const Nest *nest, LLVMValueRef row) {
  e->row = row;
  LLVMValueRef step[NEST_MAX];
  uint32_t last = nest->n - 1;
  split_row(e, nest, row, step);
  for (uint32_t n = 0; n < last; n++) {
    if (nest_is_grouped(nest) && n + 1 == last) step[n] = LLVMBuildMul(e->b, step[n], e->group, "");
    set_index(e, nest->loop[n], step[n]);
    emit_around(e, nest->loop[n]->body);
  }
  return step[last];
}

static void enter_last(Emit *e, void *nest, LLVMValueRef row) {
  const Nest *n = nest;
  set_index(e, n->loop[n->n - 1], enter_row(e, n, row));
}

/* What a part is called with beside what all have; NULL: none. */
typedef struct RowsCall { LLVMValueRef row, span, at, state, from; } RowsCall;

static void call_part(Emit *e, LLVMValueRef f, RowsCall c) {
  LLVMValueRef none = LLVMConstNull(e->t.ptr), zero = const_int(e, 0);
  LLVMValueRef arg[ROW_PARAMS] = {e->in,
                                  e->out,
                                  e->sizes,
                                  e->workspace,
                                  e->err,
                                  LLVMGetParam(e->fn, ROW_CONTEXT),
                                  c.row,
                                  LLVMGetParam(e->fn, ROW_THREAD),
                                  c.span ? c.span : zero,
                                  c.at ? c.at : zero,
                                  c.state ? c.state : none,
                                  c.from ? c.from : none};
  LLVMBuildCall2(e->b, rows_type(e), f, arg, ROW_PARAMS, "");
}

void task_odd_row(Emit *e, LLVMValueRef at) { call_part(e, e->odd_rows, (RowsCall){.row = e->row, .at = at}); }

void task_column(Emit *e, LLVMValueRef column) { call_part(e, e->column, (RowsCall){.row = e->row, .at = column}); }

void task_piece(Emit *e, LLVMValueRef from, LLVMValueRef state) {
  call_part(e, e->pieces->compute, (RowsCall){.row = e->row, .at = from, .state = state});
}

void task_pack(Emit *e, LLVMValueRef first) {
  LLVMValueRef span = LLVMGetParam(e->fn, ROW_SPAN), state = LLVMGetParam(e->fn, ROW_STATE);
  call_part(e, e->pack, (RowsCall){.row = e->row, .span = span, .at = first, .state = state});
}

/* Span after span, each into the first state or into the second, which is merged into the first; nothing comes of one
 * that the mask leaves empty. */
static void emit_spans_of_row(Emit *e, const Nest *nest, LLVMValueRef row, const RowsFunctions *f) {
  LLVMValueRef all = tile_own_state(e, nest->tiled, 0), one = tile_own_state(e, nest->tiled, 1);
  call_part(e, f->of[ROWS_SPAN], (RowsCall){.row = row, .state = all});
  Count c = count_enter(e, const_int(e, 1), tile_spans(e, nest->tiled));
  LLVMBasicBlockRef empty = block_when(e, tile_span_may(e, nest->tiled, enter_row(e, nest, row), c.index), "span");
  call_part(e, f->of[ROWS_SPAN], (RowsCall){.row = row, .span = c.index, .state = one});
  call_part(e, f->of[ROWS_JOIN], (RowsCall){.row = row, .state = all, .from = one});
  block_go(e, empty);
  count_leave(e, &c);
  call_part(e, f->of[ROWS_FINISH], (RowsCall){.row = row, .state = all});
}

static void emit_row(Emit *e, const Nest *nest, LLVMValueRef row, const RowsFunctions *f) {
  if (f->of[ROWS_SPAN]) {
    emit_spans_of_row(e, nest, row, f);
    return;
  }
  const Loop *last = nest->loop[nest->n - 1];
  LLVMValueRef step = enter_row(e, nest, row);
  if (nest->tiled) {
    tile_block(e, nest->tiled, step);
    return;
  }
  set_index(e, last, step);
  emit_code(e, last->body, NULL, false);
}

static void emit_item(Emit *e, const Nest *nest, const RowsFunctions *f) {
  LLVMValueRef context = LLVMGetParam(e->fn, ROW_CONTEXT);
  LLVMValueRef rows =
      e->run_first ? load_field(e, e->t.i64, context, offsetof(Context, rows_here)) : nest_rows(e, nest);
  LLVMValueRef each = nest_item_rows(e, nest, rows), item = LLVMGetParam(e->fn, ROW_ITEM),
               lo = LLVMBuildMul(e->b, item, each, "");
  LLVMValueRef left = LLVMBuildSub(e->b, rows, lo, "");
  LLVMValueRef hi = LLVMBuildAdd(e->b, lo, op_extreme(e, IR_INT, false, left, each), "");
  Balance b = nest->n == 1 && !nest->tiled ? balance_of(e->k, nest->loop[0]) : (Balance){0};
  if (b.first) {
    LLVMValueRef items = nest_parts(e, rows, each), next = LLVMBuildAdd(e->b, item, const_int(e, 1), "");
    lo = balance_border(e, &b, nest->loop[0], item, items, rows);
    hi = balance_border(e, &b, nest->loop[0], next, items, rows);
  }
  if (e->run_first) {
    LLVMValueRef first = load_field(e, e->t.i64, context, offsetof(Context, first));
    lo = LLVMBuildAdd(e->b, lo, first, ""), hi = LLVMBuildAdd(e->b, hi, first, "");
  }
  if (!nest->tiled && gather_rows(e, nest->loop[nest->n - 1], lo, hi, enter_last, (void *)nest)) return;
  Count c = count_enter(e, lo, hi);
  emit_row(e, nest, c.index, f);
  count_leave(e, &c);
}

/* The shared state of a span of a row. */
static LLVMValueRef shared_state(Emit *e, const Nest *nest, LLVMValueRef row, LLVMValueRef span) {
  LLVMValueRef number = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, row, tile_spans(e, nest->tiled), ""), span, "");
  LLVMValueRef at = LLVMBuildMul(e->b, number, tile_state_bytes(e, nest->tiled), "");
  return LLVMBuildGEP2(e->b, e->t.i8, e->split_space, &at, 1, "");
}

static void emit_shared_span(Emit *e, const Nest *nest, const RowsFunctions *f) {
  LLVMValueRef item = LLVMGetParam(e->fn, ROW_ITEM), spans = tile_spans(e, nest->tiled);
  LLVMValueRef row = LLVMBuildUDiv(e->b, item, spans, ""), span = LLVMBuildURem(e->b, item, spans, "");
  call_part(e, f->of[ROWS_SPAN], (RowsCall){.row = row, .span = span, .state = shared_state(e, nest, row, span)});
}

static void merge_shared_spans(Emit *e, const Nest *nest, const RowsFunctions *f) {
  LLVMValueRef row = LLVMGetParam(e->fn, ROW_ITEM), all = shared_state(e, nest, row, const_int(e, 0));
  Count c = count_enter(e, const_int(e, 1), tile_spans(e, nest->tiled));
  call_part(e, f->of[ROWS_JOIN], (RowsCall){.row = row, .state = all, .from = shared_state(e, nest, row, c.index)});
  count_leave(e, &c);
  call_part(e, f->of[ROWS_FINISH], (RowsCall){.row = row, .state = all});
}

/* Where the span must be taken again from panels, the function calls itself for that. */
static void take_span(Emit *e, const Nest *nest, LLVMValueRef row, LLVMValueRef span, LLVMValueRef state,
                      LLVMValueRef panels) {
  LLVMValueRef only = LLVMBuildICmp(e->b, LLVMIntNE, panels, const_int(e, 0), "");
  LLVMValueRef again = tile_span(e, nest->tiled, enter_row(e, nest, row), span, state, only);
  if (!again) return;
  LLVMBasicBlockRef done = block_when(e, again, "again");
  call_part(e, e->fn, (RowsCall){.row = row, .span = span, .at = const_int(e, 1), .state = state});
  block_go(e, done);
}

static void emit_part(Emit *e, const Nest *nest, RowsPart part, const RowsFunctions *f) {
  LLVMValueRef item = LLVMGetParam(e->fn, ROW_ITEM), span = LLVMGetParam(e->fn, ROW_SPAN),
               at = LLVMGetParam(e->fn, ROW_AT), state = LLVMGetParam(e->fn, ROW_STATE);
  switch (part) {
    case ROWS_ALL: emit_item(e, nest, f); return;
    case ROWS_ODD: tile_odd_row(e, nest->tiled, enter_row(e, nest, item), at); return;
    case ROWS_COLUMN:
      enter_row(e, nest, item);
      tile_across_column(e, nest->tiled, at);
      return;
    case ROWS_BEGIN: tile_span_begin(e, nest->tiled, enter_row(e, nest, item), span, state); return;
    case ROWS_PACK: tile_span_pack(e, nest->tiled, enter_row(e, nest, item), span, state, at); return;
    case ROWS_SPAN:
      call_part(e, f->of[ROWS_BEGIN], (RowsCall){.row = item, .span = span, .state = state});
      take_span(e, nest, item, span, state, at);
      return;
    case ROWS_JOIN: tile_merge(e, nest->tiled, enter_row(e, nest, item), state, LLVMGetParam(e->fn, ROW_FROM)); return;
    case ROWS_FINISH: tile_finish(e, nest->tiled, enter_row(e, nest, item), state); return;
    case ROWS_SPANS: emit_shared_span(e, nest, f); return;
    case ROWS_MERGE: merge_shared_spans(e, nest, f); return;
    case ROWS_PIECES: pieces_compute(e, e->pieces, item, at, state, enter_last, (void *)nest); return;
    case ROWS_PARTS: break;
  }
  ICE("part %d of a loop over rows", (int)part);
}

/* Functions that call others for each of many rows, and rows that tiles leave to scalar code, which are rare. */
static bool is_brief(RowsPart part, const RowsFunctions *f) {
  return part == ROWS_ODD || part == ROWS_COLUMN || part == ROWS_SPANS || part == ROWS_MERGE ||
         (part == ROWS_ALL && f->of[ROWS_SPAN]);
}

LLVMValueRef task_rows(Emit *e, const Nest *nest, const Captured *list, RowsPart part, const RowsFunctions *f) {
  static const char *const name[ROWS_PARTS] = {"rows", "odd",  "column", "begin", "pack",
                                               "span", "join", "finish", "spans", "merge", "pieces"};
  Emit outer = *e;
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b), cells = LLVMGetInsertBlock(e->cells);
  e->val = NEW_ARRAY(e->arena, LLVMValueRef, e->k->instrs.n);
  e->place = NEW_ARRAY(e->arena, ArrayPlace, e->k->arrays.n);
  e->in_task = true;
  if (nest->tiled && part != ROWS_FINISH) e->beside = 0;
  e->odd_rows = f->of[ROWS_ODD];
  e->column = f->of[ROWS_COLUMN];
  e->pack = f->of[ROWS_PACK];
  function_begin(e, arena_printf(e->arena, "%s.%s.%u", e->name, name[part], outer.tasks), rows_type(e));
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "noinline");
  if (is_brief(part, f)) function_brief(e);
  rows_parameters(e);
  take_over(e, LLVMGetParam(e->fn, ROW_CONTEXT), list, outer.val);
  rows_arrays(e);
  e->shared_rows = nest->tiled;
  LLVMValueRef context = LLVMGetParam(e->fn, ROW_CONTEXT);
  e->block_rows = load_field(e, e->t.i64, context, offsetof(Context, block_rows));
  e->group = nest_is_grouped(nest) ? load_field(e, e->t.i64, context, offsetof(Context, group)) : NULL;
  emit_part(e, nest, part, f);
  function_end(e, NULL);
  LLVMValueRef fn = e->fn;
  outer.sites = e->sites;
  *e = outer;
  LLVMPositionBuilderAtEnd(e->b, at);
  LLVMPositionBuilderAtEnd(e->cells, cells);
  return fn;
}
