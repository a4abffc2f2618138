/* nest: loops as one space of rows, cut into blocks and items.
 *
 * Parallel loops that are nested without anything between them are one space of rows, counted in C order; of a loop on
 * tiles a block of rows counts as one.  An item is a run of rows, what a thread fetches at once.  How rows are cut
 * follows from the sizes alone; only how many a block has depends on the threads too, and no result shows it. */
#include "back/nest.h"

#include "back/tile.h"
#include "ir/build.h"

enum {
  ITEMS = 256,  /* at most: enough to balance rows of uneven cost, few enough to cost nothing */
  GRAIN = 1024, /* iterations of straight code in an item: threads that fetch less wait for one another */
  SMALL_BLOCK = 96 /* rows: packing columns for fewer costs too much */
};

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

static const TileRows *tiled(const Emit *e, const Loop *l) { return e->plan ? tile_rows_of(e->plan, l) : NULL; }

/* A loop whose body is straight code stays a loop inside its row: finding its index by division would cost more
 * than the body. */
Nest nest_of(const Emit *e, const Loop *l) {
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

LLVMValueRef nest_product(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  static const char name[] = "llvm.smul.with.overflow";
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), &e->t.i64, 1);
  LLVMValueRef r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, (LLVMValueRef[]){x, y}, 2, "");
  LLVMValueRef over = LLVMBuildExtractValue(e->b, r, 1, "");
  return LLVMBuildSelect(e->b, over, const_int(e, INT64_MAX), LLVMBuildExtractValue(e->b, r, 0, ""), "");
}

LLVMValueRef nest_parts(Emit *e, LLVMValueRef rows, LLVMValueRef by) {
  LLVMValueRef whole = LLVMBuildUDiv(e->b, rows, by, ""), rest = LLVMBuildURem(e->b, rows, by, "");
  LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntNE, rest, const_int(e, 0), "");
  return LLVMBuildAdd(e->b, whole, LLVMBuildZExt(e->b, more, e->t.i64, ""), "");
}

bool nest_is_grouped(const Nest *nest) {
  return nest->tiled && nest->tiled->around && nest->n >= 2 && nest->loop[nest->n - 2] == nest->tiled->around;
}

LLVMValueRef nest_steps(Emit *e, const Nest *nest, uint32_t n) {
  LLVMValueRef all = extent(e, nest->loop[n]);
  if (nest_is_grouped(nest) && n + 2 == nest->n) return nest_parts(e, all, e->group);
  bool blocks = nest->tiled && n + 1 == nest->n;
  return blocks ? nest_parts(e, all, e->block_rows) : all;
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
  if (!nest_is_grouped(nest)) return;
  const TileRows *rows = nest->tiled;
  LLVMValueRef one = const_int(e, 1), each = op_extreme(e, IR_INT, true, extent(e, nest->loop[nest->n - 1]), one),
               outer = one;
  LLVMValueRef room = op_extreme(e, IR_INT, true, LLVMBuildUDiv(e->b, const_int(e, TILE_GROUPED), each, ""), one);
  LLVMValueRef many =
      op_extreme(e, IR_INT, true, rows->share ? layout_size(e, rows->share) : extent(e, rows->around), one);
  LLVMValueRef fits = LLVMBuildICmp(e->b, LLVMIntSLE, many, room, "");
  e->group = LLVMBuildSelect(e->b, fits, many, rows->share ? one : room, "");
  for (uint32_t n = 0; n + 1 < nest->n; n++) outer = nest_product(e, outer, nest_steps(e, nest, n));
  if (tile_has_spans(e->k, rows)) outer = nest_product(e, outer, tile_spans(e, rows));
  e->group = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGE, outer, e->threads, ""), e->group, one, "");
}

/* Sets how many rows a block takes: the most that the tiles allow, or less where that would leave threads without
 * work: the number of blocks becomes a multiple of the threads, or 8 times as many where they are uneven. */
void nest_share_blocks(Emit *e, const Nest *nest) {
  share_iterations(e, nest);
  if (!nest->tiled) return;
  uint32_t strip = nest->tiled->streams.at[0]->shape.rows;
  LLVMValueRef most = const_int(e, tile_block_rows(nest->tiled)), one = const_int(e, 1);
  LLVMValueRef rows = op_extreme(e, IR_INT, true, extent(e, nest->loop[nest->n - 1]), one), outer = one;
  if (e->group) rows = nest_product(e, rows, e->group);
  for (uint32_t n = 0; n + 1 < nest->n; n++) outer = nest_product(e, outer, nest_steps(e, nest, n));
  outer = op_extreme(e, IR_INT, true, outer, one);
  LLVMValueRef all = nest_product(e, outer, nest_parts(e, rows, most)),
               many = LLVMBuildShl(e->b, e->threads, const_int(e, 3), "");
  LLVMValueRef even = LLVMBuildMul(e->b, nest_parts(e, all, e->threads), e->threads, "");
  LLVMValueRef want = nest_parts(e, is_uneven(nest->tiled) ? many : even, outer);
  LLVMValueRef size = nest_parts(e, nest_parts(e, rows, want), const_int(e, strip));
  size = op_extreme(e, IR_INT, true, LLVMBuildMul(e->b, size, const_int(e, strip), ""),
                    const_int(e, SMALL_BLOCK / strip * strip));
  LLVMValueRef alone = LLVMBuildICmp(e->b, LLVMIntEQ, e->threads, one, ""),
               enough = LLVMBuildICmp(e->b, LLVMIntSGE, all, many, "");
  size =
      LLVMBuildSelect(e->b, LLVMBuildOr(e->b, alone, enough, ""), most, op_extreme(e, IR_INT, false, size, most), "");
  e->shared_rows = nest->tiled;
  e->block_rows = size;
}

LLVMValueRef nest_rows(Emit *e, const Nest *nest) {
  LLVMValueRef rows = const_int(e, 1);
  for (uint32_t n = 0; n < nest->n; n++) rows = nest_product(e, rows, nest_steps(e, nest, n));
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
LLVMValueRef nest_item_rows(Emit *e, const Nest *nest, LLVMValueRef rows) {
  LLVMValueRef each = op_extreme(e, IR_INT, true, nest_parts(e, rows, const_int(e, ITEMS)), const_int(e, 1));
  LLVMValueRef brief = row_iterations(e, nest);
  if (!brief) return each;
  LLVMValueRef worth =
      LLVMBuildUDiv(e->b, const_int(e, GRAIN), op_extreme(e, IR_INT, true, brief, const_int(e, 1)), "");
  return op_extreme(e, IR_INT, true, each, worth);
}

bool nest_follows_from_sizes(const Kernel *k, const Nest *nest) {
  for (uint32_t n = 0; n < nest->n; n++)
    if (!ir_follows_from_sizes(k, nest->loop[n]->lo) || !ir_follows_from_sizes(k, nest->loop[n]->hi)) return false;
  return true;
}

bool nest_has_spans(const Emit *e, const Nest *nest) {
  return nest->tiled && tile_has_spans(e->k, nest->tiled) && nest_follows_from_sizes(e->k, nest);
}
