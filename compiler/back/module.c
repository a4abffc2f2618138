/* module: the functions of a kernel's module around the code of its regions.
 *
 * What a kernel is called with is checked before anything else: fixed sizes, then the size of the workspace; beyond
 * that no sum of sizes overflows.  An error does not stop a kernel: checks record the first one, and the results of the
 * run do not matter. */
#include <llvm-c/Analysis.h>
#include <stddef.h>

#include "back/emit.h"
#include "base/ice.h"

/* ---- functions ---------------------------------------------------------------------------------- */

LLVMValueRef field_at(Emit *e, LLVMValueRef base, size_t offset) {
  LLVMValueRef at = const_int(e, (int64_t)offset);
  return LLVMBuildGEP2(e->b, e->t.i8, base, &at, 1, "");
}

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

/* need(sizes, threads), and attn_NAME_workspace, its name for others.  The kernel calls the former: what is exported
 * may be bound to another library's function of that name (the model at another precision, loaded before). */
static void emit_workspace(Emit *e) {
  LLVMTypeRef type = LLVMFunctionType(e->t.i64, (LLVMTypeRef[]){e->t.ptr, e->t.i32}, 2, false);
  function_begin(e, arena_printf(e->arena, "attn_%s.need", e->k->name), type);
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
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
  function_begin(e, arena_printf(e->arena, "attn_%s_workspace", e->k->name), type);
  function_brief(e);
  LLVMValueRef arg[] = {LLVMGetParam(e->fn, 0), LLVMGetParam(e->fn, 1)};
  function_end(e, LLVMBuildCall2(e->b, type, e->need, arg, 2, ""));
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

void refuse_when(Emit *e, LLVMValueRef cond, attn_status status, int site, LLVMValueRef value, LLVMValueRef limit) {
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
  check_graphs(e);
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
  own_find(e);
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
