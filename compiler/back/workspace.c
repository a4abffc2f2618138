/* workspace: what a kernel's workspace takes at given sizes, without making the kernel.
 *
 * The layout is emitted by the code that the kernel has it from (layout_workspace), over sizes that are constants where
 * they are known; LLVM's passes compute it, and where it still reads a size that is not known, it is not known. */
#include "back/emit.h"

static LLVMValueRef size_value(Emit *e, uint32_t n) {
  if (e->fixed && e->fixed[n] >= 0) return const_int(e, e->fixed[n]);
  return LLVMBuildLoad2(e->b, e->t.i64, field_at(e, LLVMGetParam(e->fn, 0), n * sizeof(int64_t)), "");
}

/* For one thread: the states of spans that several threads share are not counted. */
static LLVMValueRef emit_bytes(Emit *e, const char *name, bool each) {
  function_begin(e, name, LLVMFunctionType(e->t.i64, &e->t.ptr, 1, false));
  e->sizes = cell_new(e, LLVMArrayType2(e->t.i64, e->k->sizes.n + 1), "sizes");
  for (uint32_t n = 0; n < e->k->sizes.n; n++)
    LLVMBuildStore(e->b, size_value(e, n), field_at(e, e->sizes, n * sizeof(int64_t)));
  e->threads = const_int(e, 1);
  Layout l = layout_workspace(e);
  function_end(e, each ? l.each : l.shared);
  return e->fn;
}

static double constant_of(LLVMValueRef f) {
  LLVMBasicBlockRef block = LLVMGetEntryBasicBlock(f);
  LLVMValueRef end = LLVMGetBasicBlockTerminator(block), x = LLVMIsAReturnInst(end) ? LLVMGetOperand(end, 0) : NULL;
  if (!x || !LLVMIsAConstantInt(x)) return -1;
  return (double)LLVMConstIntGetZExtValue(x);
}

bool back_workspace(Arena *arena, const Kernel *k, const BackOptions *options, BackWorkspace *w, const char **why) {
  Emit e = {.arena = arena, .k = k};
  *w = (BackWorkspace){-1, -1};
  if (!target_choose(&e, options, why)) return false;
  target_context(&e);
  emit_begin(&e);
  LLVMValueRef shared = emit_bytes(&e, "shared", false), each = emit_bytes(&e, "each", true);
  emit_finish(&e);
  target_optimise(&e);
  *w = (BackWorkspace){constant_of(shared), constant_of(each)};
  target_end(&e);
  return true;
}
