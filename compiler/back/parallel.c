/* parallel: independent iterations as tasks for threads.
 *
 * A parallel loop that one thread comes to becomes a function of its own, which runs the iterations of one item.
 * Loops that are nested without anything between them are one space of rows, counted in C order; an item is a
 * run of rows.  How rows are cut into items follows from the sizes alone, and iterations share nothing, so the bits of
 * the results do not depend on the number of threads, nor on whether there is a pool.
 *
 * Where a list says what rows cost, items are cut by that instead (balance.c).
 *
 * What the iterations read is either found again from the parameters (views, places in the workspace) or
 * handed over in the context, which lies on the caller's stack:
 *
 *   Context   rows function, in, out, sizes, workspace, threads, rows of a block, iterations in one, bytes of the
 * workspace, of a run of iterations the first row and how many, lock, item, error, captured values...
 *
 * Few rows with many columns are shared out by spans of columns (tile.h): first every span of every block is an item,
 * then every block, which merges its spans and finishes.  The same sums come about when one thread goes through the
 * spans of a block, so here the number of threads may decide.
 *
 * share.c runs the items. */
#include <stddef.h>

#include "back/balance.h"
#include "back/gather.h"
#include "back/task.h"
#include "back/tile.h"
#include "base/ice.h"
#include "ir/build.h"
#include "ir/walk.h"

enum {
  ITEMS = 256,  /* at most: enough to balance rows of uneven cost, few enough to cost nothing */
  GRAIN = 1024, /* iterations of straight code in an item: threads that fetch less wait for one another */
  NEST_MAX = 8, /* loops in one space of rows */
  SMALL_BLOCK = 96 /* rows: packing columns for fewer costs too much */
};

/* tiled: the last loop is taken in blocks, each of which counts as one row. */
typedef struct Nest { const Loop *loop[NEST_MAX]; uint32_t n; const TileRows *tiled; } Nest;
typedef VEC(Val) Captured;

bool is_alone(const Region *r) {
  for (; r && r->loop; r = r->parent)
    if (r->loop->kind != LOOP_SEQ) return false;
  return true;
}

/* ---- the space of rows ---------------------------------------------------------------------------- */

static bool has_loop(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_at(k, r->code.at[n])->op == IR_LOOP) return true;
  return false;
}

/* The parallel loop that is, beside pure operations, all that a region holds; NULL: there is more, or none. */
static const Loop *only_loop(const Kernel *k, const Region *r) {
  const Loop *only = NULL;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    bool effect = i->op == IR_STORE || i->op == IR_SOLVE || i->op == IR_ARRAY || ir_is_check(i->op);
    if (effect || (i->op == IR_LOOP && (only || i->loop->kind != LOOP_PAR))) return NULL;
    if (i->op == IR_LOOP) only = i->loop;
  }
  return only;
}

static bool known_outside(const Kernel *k, const Loop *outer, Val v) {
  return !region_contains(outer->body, ir_at(k, v)->home);
}

/* A loop whose body is straight code stays a loop inside its row: finding its index by division would cost more
 * than the body. */
static const TileRows *tiled(const Emit *e, const Loop *l) { return e->plan ? tile_rows_of(e->plan, l) : NULL; }

static Nest nest_of(const Emit *e, const Loop *l) {
  const Kernel *k = e->k;
  Nest nest = {{l}, 1, tiled(e, l)};
  while (nest.n < NEST_MAX && !nest.tiled) {
    const Loop *inner = only_loop(k, nest.loop[nest.n - 1]->body);
    if (!inner || !has_loop(k, inner->body)) break;
    if (!known_outside(k, l, inner->lo) || !known_outside(k, l, inner->hi)) break;
    nest.loop[nest.n++] = inner;
    nest.tiled = tiled(e, inner);
  }
  return nest;
}

static LLVMValueRef extent(Emit *e, const Loop *l) {
  LLVMValueRef n = LLVMBuildSub(e->b, e->val[l->hi], e->val[l->lo], "");
  LLVMValueRef some = LLVMBuildICmp(e->b, LLVMIntSLT, e->val[l->lo], e->val[l->hi], "");
  return LLVMBuildSelect(e->b, some, n, const_int(e, 0), "");
}

/* x * y >= 0; the largest int where it is larger. */
static LLVMValueRef product(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  static const char name[] = "llvm.smul.with.overflow";
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), &e->t.i64, 1);
  LLVMValueRef r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, (LLVMValueRef[]){x, y}, 2, "");
  LLVMValueRef over = LLVMBuildExtractValue(e->b, r, 1, "");
  return LLVMBuildSelect(e->b, over, const_int(e, INT64_MAX), LLVMBuildExtractValue(e->b, r, 0, ""), "");
}


/* rows / by, rounded up. */
static LLVMValueRef parts(Emit *e, LLVMValueRef rows, LLVMValueRef by) {
  LLVMValueRef whole = LLVMBuildUDiv(e->b, rows, by, ""), rest = LLVMBuildURem(e->b, rows, by, "");
  LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntNE, rest, const_int(e, 0), "");
  return LLVMBuildAdd(e->b, whole, LLVMBuildZExt(e->b, more, e->t.i64, ""), "");
}

/* Whether blocks may have rows of several iterations of the loop before the last. */
static bool is_grouped(const Nest *nest) {
  return nest->tiled && nest->tiled->around && nest->n >= 2 && nest->loop[nest->n - 2] == nest->tiled->around;
}

/* How many rows loop n of a nest stands for. */
static LLVMValueRef steps(Emit *e, const Nest *nest, uint32_t n) {
  LLVMValueRef all = extent(e, nest->loop[n]);
  if (is_grouped(nest) && n + 2 == nest->n) return parts(e, all, e->group);
  bool blocks = nest->tiled && n + 1 == nest->n;
  return blocks ? parts(e, all, e->block_rows) : all;
}

/* Whether what blocks cost may differ: a mask leaves some of them nothing to do. */
static bool is_uneven(const TileRows *rows) {
  for (uint32_t n = 0; n < rows->streams.n; n++)
    if (rows->streams.at[n]->loop->mask) return true;
  return false;
}

/* Sets how many iterations share a block: all that may, as long as blocks stay small, and threads have one each, or a
 * span. */
static void share_iterations(Emit *e, const Nest *nest) {
  e->group = NULL;
  if (!is_grouped(nest)) return;
  const TileRows *rows = nest->tiled;
  LLVMValueRef one = const_int(e, 1), each = op_extreme(e, IR_INT, true, extent(e, nest->loop[nest->n - 1]), one),
               outer = one;
  LLVMValueRef room = op_extreme(e, IR_INT, true, LLVMBuildUDiv(e->b, const_int(e, TILE_GROUPED), each, ""), one);
  LLVMValueRef many =
      op_extreme(e, IR_INT, true, rows->share ? layout_size(e, rows->share) : extent(e, rows->around), one);
  LLVMValueRef fits = LLVMBuildICmp(e->b, LLVMIntSLE, many, room, "");
  e->group = LLVMBuildSelect(e->b, fits, many, rows->share ? one : room, "");
  for (uint32_t n = 0; n + 1 < nest->n; n++) outer = product(e, outer, steps(e, nest, n));
  if (tile_has_spans(e->k, rows)) outer = product(e, outer, tile_spans(e, rows));
  e->group = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGE, outer, e->threads, ""), e->group, one, "");
}

/* Sets how many rows a block takes: the most that the tiles allow, or less where that would leave threads without
 * work: the number of blocks becomes a multiple of the threads, or 8 times as many where they are uneven. */
static void share_blocks(Emit *e, const Nest *nest) {
  share_iterations(e, nest);
  if (!nest->tiled) return;
  uint32_t strip = nest->tiled->streams.at[0]->shape.rows;
  LLVMValueRef most = const_int(e, tile_block_rows(nest->tiled)), one = const_int(e, 1);
  LLVMValueRef rows = op_extreme(e, IR_INT, true, extent(e, nest->loop[nest->n - 1]), one), outer = one;
  if (e->group) rows = product(e, rows, e->group);
  for (uint32_t n = 0; n + 1 < nest->n; n++) outer = product(e, outer, steps(e, nest, n));
  outer = op_extreme(e, IR_INT, true, outer, one);
  LLVMValueRef all = product(e, outer, parts(e, rows, most)),
               many = LLVMBuildShl(e->b, e->threads, const_int(e, 3), "");
  LLVMValueRef even = LLVMBuildMul(e->b, parts(e, all, e->threads), e->threads, "");
  LLVMValueRef want = parts(e, is_uneven(nest->tiled) ? many : even, outer);
  LLVMValueRef size = parts(e, parts(e, rows, want), const_int(e, strip));
  size = op_extreme(e, IR_INT, true, LLVMBuildMul(e->b, size, const_int(e, strip), ""),
                    const_int(e, SMALL_BLOCK / strip * strip));
  LLVMValueRef alone = LLVMBuildICmp(e->b, LLVMIntEQ, e->threads, one, ""),
               enough = LLVMBuildICmp(e->b, LLVMIntSGE, all, many, "");
  size =
      LLVMBuildSelect(e->b, LLVMBuildOr(e->b, alone, enough, ""), most, op_extreme(e, IR_INT, false, size, most), "");
  e->shared_rows = nest->tiled;
  e->block_rows = size;
}

static LLVMValueRef count_rows(Emit *e, const Nest *nest) {
  LLVMValueRef rows = const_int(e, 1);
  for (uint32_t n = 0; n < nest->n; n++) rows = product(e, rows, steps(e, nest, n));
  return rows;
}

static bool is_straight(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (ir_at(k, r->code.at[n])->op == IR_SOLVE) return false;
  return !has_loop(k, r);
}

/* How often straight code runs for a row; NULL: it is not known before, or there is more than straight code. */
static LLVMValueRef row_iterations(Emit *e, const Nest *nest) {
  const Region *body = nest->loop[nest->n - 1]->body;
  LLVMValueRef n = const_int(e, 1);
  if (nest->tiled) return NULL;
  for (uint32_t c = 0; c < body->code.n; c++) {
    const Instr *i = ir_at(e->k, body->code.at[c]);
    if (i->op == IR_SOLVE) return NULL;
    if (i->op != IR_LOOP) continue;
    const Loop *l = i->loop;
    if (l->seed || !is_straight(e->k, l->body) || !known_outside(e->k, nest->loop[0], l->lo) ||
        !known_outside(e->k, nest->loop[0], l->hi))
      return NULL;
    n = LLVMBuildAdd(e->b, n, extent(e, l), "");
  }
  return n;
}

/* At least 1: as many as leave ITEMS, or, where rows are brief, enough to be worth fetching. */
static LLVMValueRef item_rows(Emit *e, const Nest *nest, LLVMValueRef rows) {
  LLVMValueRef each = op_extreme(e, IR_INT, true, parts(e, rows, const_int(e, ITEMS)), const_int(e, 1));
  LLVMValueRef brief = row_iterations(e, nest);
  if (!brief) return each;
  LLVMValueRef worth =
      LLVMBuildUDiv(e->b, const_int(e, GRAIN), op_extreme(e, IR_INT, true, brief, const_int(e, 1)), "");
  return op_extreme(e, IR_INT, true, each, worth);
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

static size_t captured_offset(uint32_t n) { return offsetof(Context, captured) + n * sizeof(int64_t); }

static void hand_over(Emit *e, LLVMValueRef context, const Captured *list) {
  for (uint32_t n = 0; n < list->n; n++)
    if (!LLVMIsConstant(e->val[list->at[n]]))
      LLVMBuildStore(e->b, e->val[list->at[n]], field_at(e, context, captured_offset(n)));
}

/* `before`: the values as the caller has them. */
static void take_over(Emit *e, LLVMValueRef context, const Captured *list, const LLVMValueRef *before) {
  for (uint32_t n = 0; n < list->n; n++) {
    Val v = list->at[n];
    LLVMTypeRef type = LLVMTypeOf(before[v]);
    bool same = LLVMIsConstant(before[v]);
    e->val[v] = same ? before[v] : LLVMBuildLoad2(e->b, type, field_at(e, context, captured_offset(n)), "");
  }
}

/* ---- the rows of an item ---------------------------------------------------------------------------- */

/* ROWS_ALL: the rows of an item.  ROWS_ODD: of the block ROW_ITEM the row ROW_AT, by scalar code; ROWS_COLUMN: the
 * column ROW_AT of a loop across the rows.  For loops with spans, whose rows are blocks: ROWS_SPAN: of row ROW_ITEM the
 * span ROW_SPAN, into ROW_STATE, once ROWS_BEGIN has set that; ROWS_PACK: for it the columns from ROW_AT; ROWS_JOIN:
 * the state ROW_FROM into ROW_STATE; ROWS_FINISH: the results from ROW_STATE; ROWS_SPANS: one span of one row an item,
 * into the shared states; ROWS_MERGE: what those of a row come to. */
typedef enum {
  ROWS_ALL,
  ROWS_ODD,
  ROWS_COLUMN,
  ROWS_BEGIN,
  ROWS_PACK,
  ROWS_SPAN,
  ROWS_JOIN,
  ROWS_FINISH,
  ROWS_SPANS,
  ROWS_MERGE,
  ROWS_PARTS
} RowsPart;

/* A loop's functions by part; those that other parts call come first. */
typedef struct RowsFunctions { LLVMValueRef of[ROWS_PARTS]; } RowsFunctions;

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
    LLVMValueRef many = steps(e, nest, n);
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
    if (is_grouped(nest) && n + 1 == last) step[n] = LLVMBuildMul(e->b, step[n], e->group, "");
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

void parallel_odd_row(Emit *e, LLVMValueRef at) { call_part(e, e->odd_rows, (RowsCall){.row = e->row, .at = at}); }

void parallel_column(Emit *e, LLVMValueRef column) { call_part(e, e->column, (RowsCall){.row = e->row, .at = column}); }

void parallel_pack(Emit *e, LLVMValueRef first) {
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

/* A run of iterations is a run of rows: the first loop's iterations come one after another. */
static LLVMValueRef rows_of(Emit *e, const Nest *nest, LLVMValueRef iterations) {
  for (uint32_t n = 1; n < nest->n; n++) iterations = product(e, iterations, steps(e, nest, n));
  return iterations;
}

bool parallel_takes_runs(const Emit *e, const Loop *l) {
  Nest nest = nest_of(e, l);
  return !is_grouped(&nest) && (nest.n > 1 || nest.tiled || !balance_of(e->k, l).first) && (nest.n > 1 || !nest.tiled);
}

static void emit_item(Emit *e, const Nest *nest, const RowsFunctions *f) {
  LLVMValueRef context = LLVMGetParam(e->fn, ROW_CONTEXT);
  LLVMValueRef rows =
      e->run_first ? load_field(e, e->t.i64, context, offsetof(Context, rows_here)) : count_rows(e, nest);
  LLVMValueRef each = item_rows(e, nest, rows), item = LLVMGetParam(e->fn, ROW_ITEM),
               lo = LLVMBuildMul(e->b, item, each, "");
  LLVMValueRef left = LLVMBuildSub(e->b, rows, lo, "");
  LLVMValueRef hi = LLVMBuildAdd(e->b, lo, op_extreme(e, IR_INT, false, left, each), "");
  Balance b = nest->n == 1 && !nest->tiled ? balance_of(e->k, nest->loop[0]) : (Balance){0};
  if (b.first) {
    LLVMValueRef items = parts(e, rows, each), next = LLVMBuildAdd(e->b, item, const_int(e, 1), "");
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
    case ROWS_PARTS: break;
  }
  ICE("part %d of a loop over rows", (int)part);
}

/* Functions that call others for each of many rows, and rows that tiles leave to scalar code, which are rare. */
static bool is_brief(RowsPart part, const RowsFunctions *f) {
  return part == ROWS_ODD || part == ROWS_COLUMN || part == ROWS_SPANS || part == ROWS_MERGE ||
         (part == ROWS_ALL && f->of[ROWS_SPAN]);
}

/* Emits a function in the middle of another one. */
static LLVMValueRef emit_rows(Emit *e, const Nest *nest, const Captured *list, RowsPart part, const RowsFunctions *f) {
  static const char *const name[ROWS_PARTS] = {"rows", "odd",  "column", "begin", "pack",
                                               "span", "join", "finish", "spans", "merge"};
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
  e->block_rows = load_field(e, e->t.i64, LLVMGetParam(e->fn, ROW_CONTEXT), offsetof(Context, block_rows));
  e->group =
      is_grouped(nest) ? load_field(e, e->t.i64, LLVMGetParam(e->fn, ROW_CONTEXT), offsetof(Context, group)) : NULL;
  emit_part(e, nest, part, f);
  function_end(e, NULL);
  LLVMValueRef fn = e->fn;
  outer.sites = e->sites;
  *e = outer;
  LLVMPositionBuilderAtEnd(e->b, at);
  LLVMPositionBuilderAtEnd(e->cells, cells);
  return fn;
}

/* ---- the call --------------------------------------------------------------------------------------- */

static bool follows_from_sizes(const Kernel *k, const Nest *nest) {
  for (uint32_t n = 0; n < nest->n; n++)
    if (!tile_follows_from_sizes(k, nest->loop[n]->lo) || !tile_follows_from_sizes(k, nest->loop[n]->hi)) return false;
  return true;
}

static bool has_spans(const Emit *e, const Nest *nest) {
  return nest->tiled && tile_has_spans(e->k, nest->tiled) && follows_from_sizes(e->k, nest);
}

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
  if (!has_spans(e, &nest)) return const_int(e, 0);
  for (uint32_t n = 0; n < nest.n; n++) layout_size(e, nest.loop[n]->lo), layout_size(e, nest.loop[n]->hi);
  share_blocks(e, &nest);
  LLVMValueRef rows = count_rows(e, &nest), states = layout_multiply(e, rows, tile_spans(e, nest.tiled));
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

LLVMValueRef parallel_split_bytes(Emit *e) { return e->plan ? split_bytes_in(e, e->k->top) : const_int(e, 0); }

static void share(Emit *e, LLVMValueRef context, LLVMValueRef rows_function, LLVMValueRef count) {
  store_field(e, rows_function, context, offsetof(Context, rows));
  LLVMValueRef arg[] = {context, e->pool, count, e->err};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(e->share), e->share, arg, 4, "");
}

static void share_spans(Emit *e, const Nest *nest, const Captured *list, LLVMValueRef context, const RowsFunctions *f) {
  LLVMValueRef rows = count_rows(e, nest);
  share(e, context, emit_rows(e, nest, list, ROWS_SPANS, f), LLVMBuildMul(e->b, rows, tile_spans(e, nest->tiled), ""));
  share(e, context, emit_rows(e, nest, list, ROWS_MERGE, f), rows);
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
  share_blocks(e, &nest);
  if (nest.tiled) store_field(e, e->block_rows, context, offsetof(Context, block_rows));
  if (e->group) store_field(e, e->group, context, offsetof(Context, group));
  LLVMValueRef rows = count_rows(e, &nest);
  LLVMBasicBlockRef done = NULL;
  RowsFunctions f = {{NULL}};
  if (nest.tiled) f.of[ROWS_ODD] = emit_rows(e, &nest, &list, ROWS_ODD, &f);
  if (nest.tiled && nest.tiled->streams.at[0]->across) f.of[ROWS_COLUMN] = emit_rows(e, &nest, &list, ROWS_COLUMN, &f);
  if (has_spans(e, &nest)) {
    for (int part = ROWS_BEGIN; part <= ROWS_FINISH; part++)
      f.of[part] = emit_rows(e, &nest, &list, (RowsPart)part, &f);
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
  share(e, context, emit_rows(e, &nest, &list, ROWS_ALL, &f), parts(e, rows, item_rows(e, &nest, rows)));
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
