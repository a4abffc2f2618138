/* emit: regions, loops and checks.
 *
 * The code of a region is emitted in its order.  In the body of a reduction what the mask needs comes first,
 * then the branch that ends the iteration where the mask is false, then the rest: an element outside the
 * mask costs its mask. */
#include "back/beside.h"
#include "back/gather.h"
#include "back/line.h"
#include "back/pieces.h"
#include "back/tile.h"
#include "ir/beyond.h"

/* ---- blocks ------------------------------------------------------------------------------------- */

LLVMBasicBlockRef block_new(Emit *e, const char *name) { return LLVMAppendBasicBlockInContext(e->cx, e->fn, name); }

void block_go(Emit *e, LLVMBasicBlockRef to) {
  LLVMBuildBr(e->b, to);
  LLVMMoveBasicBlockAfter(to, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, to);
}

LLVMBasicBlockRef block_when(Emit *e, LLVMValueRef cond, const char *name) {
  LLVMBasicBlockRef then = block_new(e, name), done = block_new(e, "");
  LLVMBuildCondBr(e->b, cond, then, done);
  LLVMPositionBuilderAtEnd(e->b, then);
  return done;
}

LLVMValueRef cell_new(Emit *e, LLVMTypeRef type, const char *name) { return LLVMBuildAlloca(e->cells, type, name); }

Count count_enter(Emit *e, LLVMValueRef lo, LLVMValueRef hi) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  Count c = {.hi = hi, .body = block_new(e, "loop"), .exit = block_new(e, "done")};
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, ""), c.body, c.exit);
  LLVMPositionBuilderAtEnd(e->b, c.body);
  c.index = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMAddIncoming(c.index, &lo, &from, 1);
  return c;
}

void count_leave(Emit *e, const Count *c) {
  LLVMValueRef next = LLVMBuildNSWAdd(e->b, c->index, const_int(e, 1), "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b);
  LLVMAddIncoming(c->index, &next, &last, 1);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, c->hi, ""), c->body, c->exit);
  LLVMMoveBasicBlockAfter(c->exit, last);
  LLVMPositionBuilderAtEnd(e->b, c->exit);
}

/* ---- loops -------------------------------------------------------------------------------------- */

static void enter_here(Emit *e, void *loop, LLVMValueRef at) {
  const Loop *l = loop;
  e->val[l->index] = at;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
}

Count loop_enter(Emit *e, const Loop *l) {
  Count c = count_enter(e, e->val[l->lo], e->val[l->hi]);
  enter_here(e, (void *)l, c.index);
  return c;
}

/* An element whose axis regions check something also where the mask is false. */
static void emit_checked_element(Emit *e, Reduction *r, const Region *code, Val mask, bool seed) {
  emit_code(e, code, NULL, false);
  LLVMBasicBlockRef done = block_new(e, ""), outside = block_when(e, e->val[mask], "masked");
  reduction_add(e, r, seed);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, outside);
  reduction_pass_over(e, r, seed);
  block_go(e, done);
}

/* One element: the body's or the seed's. */
static void emit_element(Emit *e, Reduction *r, const Loop *l, bool seed) {
  const Region *code = seed ? l->seed : l->body;
  Val mask = seed ? l->seed_mask : l->mask;
  if (mask && ir_axes_check_beyond(e->k, l, seed, mask)) {
    emit_checked_element(e, r, code, mask, seed);
    return;
  }
  bool *early = mask ? need_before_mask(e, code, mask) : NULL;
  if (mask) emit_code(e, code, early, true);
  LLVMBasicBlockRef done = mask ? block_when(e, e->val[mask], "masked") : NULL;
  emit_code(e, code, early, false);
  reduction_add(e, r, seed);
  if (done) block_go(e, done);
}

static void emit_body(Emit *e, Reduction *r, const Loop *l) { emit_element(e, r, l, false); }

void reduction_body(Emit *e, Reduction *r, LLVMValueRef lo, LLVMValueRef hi) {
  const Loop *l = r->loop;
  r->gather = gather_new(e, r);
  if (r->gather) {
    gather_run(e, r, lo, hi, emit_body);
    return;
  }
  Count c = count_enter(e, lo, hi);
  enter_here(e, (void *)l, c.index);
  emit_body(e, r, l);
  count_leave(e, &c);
}

static void reduce_scalars(Emit *e, const Loop *l) {
  if (beside_loop(e, l)) return;
  Reduction *r = reduction_begin(e, l);
  if (l->seed) emit_element(e, r, l, true);
  LLVMValueRef from = pieces_add(e, r);
  reduction_body(e, r, from, e->val[l->hi]);
  reduction_end(e, r);
}

static void emit_reduce(Emit *e, const Loop *l) {
  if (e->plan && tile_sums_line(e->plan, l)) line_sum(e, l, reduce_scalars);
  else reduce_scalars(e, l);
}

/* NULL stands for false. */
static LLVMValueRef wanted(Emit *e, const Region *r) {
  LLVMValueRef any = NULL;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(e->k, r->code.at[n]);
    LLVMValueRef one = NULL;
    if (i->op == IR_LOOP && i->loop->kind != LOOP_REDUCE) one = wanted(e, i->loop->body);
    if (i->op == IR_STORE) one = e->place[i->array->id].present;
    if ((i->op == IR_STORE && !one) || i->op == IR_SOLVE) one = LLVMConstInt(e->t.i1, 1, false);
    if (one) any = any ? LLVMBuildOr(e->b, any, one, "") : one;
  }
  return any;
}

LLVMValueRef emit_wanted(Emit *e, const Loop *l) {
  LLVMValueRef some = l->body->depth == 1 ? wanted(e, l->body) : NULL;
  return some ? some : LLVMConstInt(e->t.i1, l->body->depth != 1, false);
}

static void store_scalars(Emit *e, const Loop *l) {
  Count c = loop_enter(e, l);
  emit_code(e, l->body, NULL, false);
  count_leave(e, &c);
}

static void emit_stores(Emit *e, const Loop *l) {
  LLVMValueRef some = l->body->depth == 1 ? wanted(e, l->body) : NULL;
  LLVMBasicBlockRef done = some ? block_when(e, some, "wanted") : NULL;
  const TileRows *rows = e->plan ? tile_rows_of(e->plan, l) : NULL;
  if (l->kind == LOOP_PAR && !e->in_task && is_alone(l->body->parent)) emit_parallel(e, l);
  else if (l->kind == LOOP_SEQ && !e->in_task && is_alone(l->body->parent) && interchange(e, l)) (void)0;
  else if (rows) tile_rows(e, rows);
  else if (e->plan && tile_stores_line(e->plan, l)) line_store(e, l, store_scalars);
  else if (l->kind != LOOP_PAR || (!beside_loop(e, l) && !gather_rows(e, l, e->val[l->lo], e->val[l->hi], enter_here,
                                                                      (void *)l)))
    store_scalars(e, l);
  if (done) block_go(e, done);
}

static void emit_loop(Emit *e, const Loop *l) {
  switch (l->kind) {
    case LOOP_PAR:
    case LOOP_SEQ: emit_stores(e, l); return;
    case LOOP_REDUCE: emit_reduce(e, l); return;
  }
}

/* ---- checks ------------------------------------------------------------------------------------- */

LLVMValueRef check_fails(Emit *e, const Instr *i) {
  LLVMValueRef x = e->val[i->arg[1]], zero = const_int(e, 0);
  if (i->op != IR_CHECK_INDEX && i->op != IR_CHECK_CLIQUE) return LLVMBuildICmp(e->b, LLVMIntEQ, x, zero, "");
  LLVMValueRef low = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero, "");
  return LLVMBuildOr(e->b, low, LLVMBuildICmp(e->b, LLVMIntSGE, x, e->val[i->arg[2]], ""), "");
}

static void set_unlikely(Emit *e, LLVMValueRef branch) {
  LLVMMetadataRef part[] = {LLVMMDStringInContext2(e->cx, "branch_weights", 14),
                            LLVMValueAsMetadata(LLVMConstInt(e->t.i32, 1, false)),
                            LLVMValueAsMetadata(LLVMConstInt(e->t.i32, 1 << 20, false))};
  LLVMMetadataRef node = LLVMMDNodeInContext2(e->cx, part, 3);
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(e->cx, "prof", 4), LLVMMetadataAsValue(e->cx, node));
}

static int status_of(IrOp check) {
  switch ((int)check) {
  case IR_CHECK_INDEX: return ATTN_ERROR_INDEX;
  case IR_CHECK_NONZERO: return ATTN_ERROR_DIVISOR;
  case IR_CHECK_CLIQUE: return ATTN_ERROR_CLIQUE;
  default: return ATTN_ERROR_CONCAVE;
  }
}

void emit_check_failure(Emit *e, const Instr *i, LLVMValueRef fails, LLVMValueRef x, LLVMValueRef limit) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), done = block_when(e, fails, "fails");
  set_unlikely(e, LLVMGetBasicBlockTerminator(from));
  emit_failure(e, LLVMConstInt(e->t.i32, (unsigned)status_of(i->op), false), LLVMConstInt(e->t.i32, e->sites.n, false),
               x, limit);
  block_go(e, done);
  vec_push(e->arena, &e->sites, i->span);
}

static void emit_check(Emit *e, const Instr *i) {
  LLVMValueRef fails = check_fails(e, i);
  if (i->arg[0]) fails = LLVMBuildAnd(e->b, e->val[i->arg[0]], fails, "");
  emit_check_failure(e, i, fails, e->val[i->arg[1]], i->op == IR_CHECK_NONZERO ? const_int(e, 0) : e->val[i->arg[2]]);
}

/* ---- regions ------------------------------------------------------------------------------------ */

void emit_instr(Emit *e, Val v) {
  const Instr *i = ir_at(e->k, v);
  if (i->op == IR_LOOP) emit_loop(e, i->loop);
  else if (i->op == IR_ARRAY) array_declare(e, i->array);
  else if (i->op == IR_STORE) array_store(e, i);
  else if (i->op == IR_SOLVE) emit_solve(e, i);
  else if (ir_is_check(i->op)) emit_check(e, i);
  else e->val[v] = i->op == IR_LOAD ? array_load(e, i) : emit_op(e, i);
}

void emit_code(Emit *e, const Region *r, const bool *pick, bool want) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (!pick || pick[r->code.at[n]] == want) emit_instr(e, r->code.at[n]);
}
