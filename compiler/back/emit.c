/* emit: functions, regions and loops.
 *
 * The code of a region is emitted in its order.  In the body of a reduction what the mask needs comes first,
 * then the branch that ends the iteration where the mask is false, then the rest: an element outside the
 * mask costs its mask.
 *
 * An error does not stop a kernel: checks record the first one, and the results of the run do not matter. */
#include <llvm-c/Analysis.h>
#include <stddef.h>

#include "back/beside.h"
#include "back/gather.h"
#include "back/line.h"
#include "back/tile.h"
#include "base/ice.h"
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

/* ---- what a mask needs -------------------------------------------------------------------------- */

static void need_region(Need *n, const Region *r);

static void need_acc(Need *n, const Acc *a) {
  const Contribution *side[] = {&a->body, &a->seed};
  for (int s = 0; s < 2; s++) {
    n->val[side[s]->log_w] = n->val[side[s]->x] = true;
    if (side[s]->at) need_region(n, side[s]->at);
  }
  for (uint32_t x = 0; x < a->naxis; x++) n->val[a->axes[x].lo] = n->val[a->axes[x].hi] = true;
  if (a->naxis) n->array[a->result_at->id] = true;
}

static void need_loop(Need *n, const Loop *l) {
  n->val[l->lo] = n->val[l->hi] = n->val[l->mask] = n->val[l->seed_mask] = true;
  for (uint32_t a = 0; a < l->accs.n; a++) need_acc(n, l->accs.at[a]);
  need_region(n, l->body);
  if (l->seed) need_region(n, l->seed);
}

static void need_array(Need *n, const Array *a) {
  n->array[a->id] = true;
  for (uint32_t d = 0; d < a->rank; d++) n->val[a->dims[d]] = true;
}

void need_instr(Need *n, const Instr *i) {
  for (uint32_t a = 0; a < i->narg; a++) n->val[i->arg[a]] = true;
  if (i->op == IR_LOOP) need_loop(n, i->loop);
  else if (i->array) need_array(n, i->array);
}

static void need_region(Need *n, const Region *r) {
  for (uint32_t at = 0; at < r->code.n; at++) need_instr(n, ir_at(n->k, r->code.at[at]));
}

static bool yields_needed(const Need *n, const Loop *l) {
  for (uint32_t a = 0; a < l->accs.n; a++) {
    const Acc *acc = l->accs.at[a];
    if (n->val[acc->result] || (acc->naxis && n->array[acc->result_at->id])) return true;
  }
  return false;
}

static bool is_needed(const Need *n, Val v) {
  const Instr *i = ir_at(n->k, v);
  if (i->op == IR_LOOP) return yields_needed(n, i->loop);
  if (i->op == IR_ARRAY) return n->array[i->array->id];
  return n->val[v];
}

bool *need_slice(Emit *e, Need *n, const Region *r) {
  bool *pick = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t at = r->code.n; at-- > 0;) {
    n->val[0] = false;
    if (!is_needed(n, r->code.at[at])) continue;
    pick[r->code.at[at]] = true;
    need_instr(n, ir_at(e->k, r->code.at[at]));
  }
  return pick;
}

/* By Val: the instructions of r that come before the branch on its mask: what the mask depends on, and checks
 * that are not about elements inside it.  Definitions precede uses, so one pass backwards. */
bool *emit_before_mask(Emit *e, const Region *r, Val mask) {
  Need n = {e->k, NEW_ARRAY(e->arena, bool, e->k->instrs.n), NEW_ARRAY(e->arena, bool, e->k->arrays.n)};
  bool *pick = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  n.val[mask] = true;
  for (uint32_t at = r->code.n; at-- > 0;) {
    Val c = r->code.at[at];
    n.val[0] = false; /* "no value" is marked as any other: results that nobody reads have it */
    if (!is_needed(&n, c) && !ir_checked_beyond(e->k, ir_at(e->k, c), mask)) continue;
    pick[c] = true;
    need_instr(&n, ir_at(e->k, c));
  }
  return pick;
}

/* ---- loops -------------------------------------------------------------------------------------- */

Count loop_enter(Emit *e, const Loop *l) {
  Count c = count_enter(e, e->val[l->lo], e->val[l->hi]);
  e->val[l->index] = c.index;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  return c;
}

bool emit_checks_beyond_mask(const Kernel *k, const Loop *l) { return ir_checks_beyond_mask(k, l); }

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
  bool *early = mask ? emit_before_mask(e, code, mask) : NULL;
  if (mask) emit_code(e, code, early, true);
  LLVMBasicBlockRef done = mask ? block_when(e, e->val[mask], "masked") : NULL;
  emit_code(e, code, early, false);
  reduction_add(e, r, seed);
  if (done) block_go(e, done);
}

static void emit_body(Emit *e, Reduction *r, const Loop *l) { emit_element(e, r, l, false); }

static void reduce_scalars(Emit *e, const Loop *l) {
  if (beside_loop(e, l)) return;
  Reduction *r = reduction_begin(e, l);
  if (l->seed) emit_element(e, r, l, true);
  r->gather = gather_new(e, r);
  if (r->gather) gather_run(e, r, emit_body);
  else {
    Count c = loop_enter(e, l);
    emit_body(e, r, l);
    count_leave(e, &c);
  }
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

static void enter_here(Emit *e, void *loop, LLVMValueRef at) {
  const Loop *l = loop;
  e->val[l->index] = at;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
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

/* ---- functions ---------------------------------------------------------------------------------- */

void function_attribute(Emit *e, LLVMValueRef f, unsigned at, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(f, at, LLVMCreateEnumAttribute(e->cx, kind, 0));
}

static void set_text(Emit *e, LLVMValueRef f, const char *name, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(e->cx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, a);
}

static const char brief[] = "attn-brief";
void function_brief(Emit *e) { set_text(e, e->fn, brief, ""); }
bool function_is_brief(LLVMValueRef f) {
  return LLVMGetStringAttributeAtIndex(f, LLVMAttributeFunctionIndex, brief, sizeof brief - 1) != NULL;
}

void function_begin(Emit *e, const char *name, LLVMTypeRef type) {
  e->fn = LLVMAddFunction(e->module, name, type);
  set_text(e, e->fn, "target-cpu", e->cpu);
  set_text(e, e->fn, "target-features", e->features);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "nounwind");
  memset(e->val, 0, e->k->instrs.n * sizeof *e->val);
  memset(e->place, 0, e->k->arrays.n * sizeof *e->place);
  LLVMPositionBuilderAtEnd(e->cells, block_new(e, "cells"));
  e->start = block_new(e, "start");
  LLVMPositionBuilderAtEnd(e->b, e->start);
}

void function_end(Emit *e, LLVMValueRef result) {
  if (result) LLVMBuildRet(e->b, result);
  else LLVMBuildRetVoid(e->b);
  LLVMBuildBr(e->cells, e->start);
}

static void emit_workspace(Emit *e) {
  char *name = arena_printf(e->arena, "attn_%s_workspace", e->k->name);
  function_begin(e, name, LLVMFunctionType(e->t.i64, (LLVMTypeRef[]){e->t.ptr, e->t.i32}, 2, false));
  function_brief(e);
  e->sizes = LLVMGetParam(e->fn, 0);
  LLVMValueRef threads = LLVMBuildSExt(e->b, LLVMGetParam(e->fn, 1), e->t.i64, "");
  threads = op_extreme(e, IR_INT, true, threads, const_int(e, 1));
  e->threads = threads;
  LLVMValueRef most = const_int(e, 0);
  for (int n = 0; n < (e->levels ? e->nlevels : 1); n++) { /* enough for whichever kernel is chosen */
    if (e->levels) e->plan = e->level_plan[n];
    Layout l = layout_workspace(e);
    LLVMValueRef need = layout_total(e, &l, threads), more = LLVMBuildICmp(e->b, LLVMIntUGT, need, most, "");
    most = LLVMBuildSelect(e->b, more, need, most, "");
  }
  function_end(e, most);
  e->need = e->fn;
}

LLVMValueRef field_at(Emit *e, LLVMValueRef base, size_t offset) {
  LLVMValueRef at = const_int(e, (int64_t)offset);
  return LLVMBuildGEP2(e->b, e->t.i8, base, &at, 1, "");
}

static LLVMValueRef error_status(Emit *e, LLVMValueRef err) {
  return LLVMBuildLoad2(e->b, e->t.i32, field_at(e, err, offsetof(attn_error, status)), "");
}

/* fail(err, status, site, value, limit): the first error is kept. */
static void emit_fail(Emit *e) {
  LLVMTypeRef p[] = {e->t.ptr, e->t.i32, e->t.i32, e->t.i64, e->t.i64};
  static const size_t field[] = {0, offsetof(attn_error, status), offsetof(attn_error, site),
                                 offsetof(attn_error, value), offsetof(attn_error, limit)};
  function_begin(e, "fail", LLVMFunctionType(e->t.none, p, 5, false));
  e->fail = e->fn;
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "cold");
  function_brief(e);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "noinline");
  LLVMValueRef err = LLVMGetParam(e->fn, 0), none = LLVMConstNull(e->t.i32);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntEQ, error_status(e, err), none, ""), "first");
  for (unsigned n = 1; n < 5; n++) LLVMBuildStore(e->b, LLVMGetParam(e->fn, n), field_at(e, err, field[n]));
  block_go(e, done);
  function_end(e, NULL);
}

void emit_failure(Emit *e, LLVMValueRef status, LLVMValueRef site, LLVMValueRef value, LLVMValueRef limit) {
  LLVMValueRef arg[] = {e->err, status, site, value, limit};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(e->fail), e->fail, arg, 5, "");
}

static void take_parameters(Emit *e) {
  LLVMValueRef *param[] = {&e->in, &e->out, &e->sizes, &e->workspace, &e->workspace_bytes, &e->pool, &e->err};
  static const char *const name[] = {"in", "out", "sizes", "workspace", "workspace_bytes", "pool", "err"};
  for (unsigned n = 0; n < 7; n++) {
    LLVMValueRef p = LLVMGetParam(e->fn, n);
    LLVMSetValueName2(p, name[n], strlen(name[n]));
    if (n < 4 || n == 6) function_attribute(e, e->fn, n + 1, "noalias");
    if (n < 3) function_attribute(e, e->fn, n + 1, "readonly");
    *param[n] = p;
  }
}

void begin_error(Emit *e) {
  LLVMValueRef own = cell_new(e, LLVMArrayType2(e->t.i64, sizeof(attn_error) / 8), "own_error");
  e->err = LLVMBuildSelect(e->b, LLVMBuildIsNull(e->b, e->err, ""), own, e->err, "err");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i32), field_at(e, e->err, offsetof(attn_error, status)));
}

/* Returns with a status where cond holds. */
static void refuse_when(Emit *e, LLVMValueRef cond, attn_status status, int site, LLVMValueRef value,
                        LLVMValueRef limit) {
  LLVMBasicBlockRef fine = block_when(e, cond, "refused");
  LLVMValueRef s = LLVMConstInt(e->t.i32, status, false);
  emit_failure(e, s, LLVMConstInt(e->t.i32, (unsigned long long)site, true), value, limit);
  LLVMBuildRet(e->b, s);
  LLVMPositionBuilderAtEnd(e->b, fine);
}

/* Beyond it nothing overflows that a layout is computed from. */
static void check_workspace(Emit *e) {
  LLVMValueRef arg[] = {e->sizes, LLVMBuildTrunc(e->b, e->threads, e->t.i32, "")};
  LLVMValueRef need = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(e->need), e->need, arg, 2, "");
  LLVMValueRef small = LLVMBuildICmp(e->b, LLVMIntULT, e->workspace_bytes, need, "");
  refuse_when(e, small, ATTN_ERROR_WORKSPACE, -1, e->workspace_bytes, need);
  e->sized = true;
}

static void check_sizes(Emit *e) {
  for (uint32_t n = 0; e->fixed && n < e->k->sizes.n; n++) {
    if (e->fixed[n] < 0) continue;
    LLVMValueRef given = LLVMBuildLoad2(e->b, e->t.i64, field_at(e, e->sizes, n * sizeof(int64_t)), "");
    LLVMValueRef fixed = const_int(e, e->fixed[n]);
    refuse_when(e, LLVMBuildICmp(e->b, LLVMIntNE, given, fixed, ""), ATTN_ERROR_SIZE, (int)n, given, fixed);
  }
}

/* How many threads the pool has; 1 without one. */
static LLVMValueRef pool_threads(Emit *e) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildIsNotNull(e->b, e->pool, ""), "threads");
  LLVMValueRef n = LLVMBuildLoad2(e->b, e->t.i32, field_at(e, e->pool, offsetof(attn_pool, threads)), "");
  LLVMValueRef have = op_extreme(e, IR_INT, true, LLVMBuildSExt(e->b, n, e->t.i64, ""), const_int(e, 1));
  LLVMBasicBlockRef there = LLVMGetInsertBlock(e->b);
  block_go(e, done);
  LLVMValueRef phi = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMAddIncoming(phi, (LLVMValueRef[]){have, const_int(e, 1)}, (LLVMBasicBlockRef[]){there, from}, 2);
  return phi;
}

LLVMTypeRef kernel_type(const Emit *e) {
  LLVMTypeRef p[] = {e->t.ptr, e->t.ptr, e->t.ptr, e->t.ptr, e->t.i64, e->t.ptr, e->t.ptr};
  return LLVMFunctionType(e->t.i32, p, 7, false);
}

static LLVMValueRef emit_kernel(Emit *e, const char *name) {
  e->name = name;
  e->sites.n = 0; /* kernels for several processors have the same checks in the same order */
  function_begin(e, name, kernel_type(e));
  take_parameters(e);
  e->sized = false;
  begin_error(e);
  check_sizes(e);
  e->threads = pool_threads(e);
  check_workspace(e);
  e->layout = layout_workspace(e);
  layout_place(e, &e->layout, const_int(e, 0));
  array_views(e);
  emit_code(e, e->k->top, NULL, false);
  function_end(e, error_status(e, e->err));
  return e->fn;
}

static void emit_levels(Emit *e, const char *name) {
  LLVMValueRef kernel[LEVELS];
  const char *cpu = e->cpu, *features = e->features;
  for (int n = 0; n < e->nlevels; n++) {
    e->cpu = levels[n].cpu;
    e->features = levels[n].features;
    e->plan = e->level_plan[n];
    e->beside = e->level_beside[n];
    kernel[n] = emit_kernel(e, arena_printf(e->arena, "%s.%s", name, levels[n].name));
    LLVMSetLinkage(kernel[n], LLVMInternalLinkage);
  }
  e->cpu = cpu, e->features = features;
  emit_dispatch(e, name, kernel);
}

/* ---- the module --------------------------------------------------------------------------------- */

static Types types_of(LLVMContextRef cx) {
  return (Types){.none = LLVMVoidTypeInContext(cx),
                 .i1 = LLVMInt1TypeInContext(cx),
                 .i8 = LLVMInt8TypeInContext(cx),
                 .i16 = LLVMInt16TypeInContext(cx),
                 .i32 = LLVMInt32TypeInContext(cx),
                 .i64 = LLVMInt64TypeInContext(cx),
                 .f32 = LLVMFloatTypeInContext(cx),
                 .f64 = LLVMDoubleTypeInContext(cx),
                 .ptr = LLVMPointerTypeInContext(cx, 0)};
}

static void open_module(Emit *e) {
  e->t = types_of(e->cx);
  e->module = LLVMModuleCreateWithNameInContext(e->k->name, e->cx);
  LLVMTargetDataRef data = LLVMCreateTargetDataLayout(e->machine);
  LLVMSetModuleDataLayout(e->module, data);
  LLVMDisposeTargetData(data);
  char *triple = LLVMGetTargetMachineTriple(e->machine);
  LLVMSetTarget(e->module, triple);
  LLVMDisposeMessage(triple);
  e->zero = LLVMAddGlobal(e->module, e->t.i64, "zero");
  LLVMSetInitializer(e->zero, LLVMConstNull(e->t.i64));
  LLVMSetGlobalConstant(e->zero, true);
  LLVMSetLinkage(e->zero, LLVMInternalLinkage);
}

static void machine_names(Emit *e) {
  char *cpu = LLVMGetTargetMachineCPU(e->machine), *features = LLVMGetTargetMachineFeatureString(e->machine);
  e->cpu = arena_strndup(e->arena, cpu, strlen(cpu));
  e->features = arena_strndup(e->arena, features, strlen(features));
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
}

static void verify(const Emit *e) {
  char *message = NULL;
  if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) ICE("kernel '%s': %s", e->k->name, message);
  LLVMDisposeMessage(message);
}

typedef struct Builders { LLVMBuilderRef b, cells; } Builders;

static void dispose_builders(void *builders) {
  Builders *two = builders;
  if (two->b) LLVMDisposeBuilder(two->b);
  if (two->cells) LLVMDisposeBuilder(two->cells);
}

static void create_builders(Emit *e) {
  e->own_builders = arena_own(e->arena, dispose_builders);
  Builders *two = e->own_builders->what = NEW(e->arena, Builders);
  e->b = two->b = LLVMCreateBuilderInContext(e->cx);
  e->cells = two->cells = LLVMCreateBuilderInContext(e->cx);
}

void emit_begin(Emit *e) {
  e->val = NEW_ARRAY(e->arena, LLVMValueRef, e->k->instrs.n);
  e->range = NEW_ARRAY(e->arena, IndexRange, e->k->instrs.n);
  e->place = NEW_ARRAY(e->arena, ArrayPlace, e->k->arrays.n);
  open_module(e);
  machine_names(e);
  create_builders(e);
}

void emit_finish(Emit *e) {
  arena_drop(e->own_builders);
  verify(e);
}

void emit_module(Emit *e) {
  emit_begin(e);
  emit_fail(e);
  emit_share(e);
  emit_workspace(e);
  const char *name = arena_printf(e->arena, "attn_%s", e->k->name);
  if (e->levels) emit_levels(e, name);
  else emit_kernel(e, name);
  emit_finish(e);
}
