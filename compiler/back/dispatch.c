/* dispatch: one kernel for several processors.
 *
 * The levels are those of the x86-64 psABI, and above them, for kernels that have a use for it, the last with dot
 * products of bf16; each kernel is compiled for one.  The visible function reads the kernel chosen for this processor
 * from a slot; while the slot is empty it asks the processor (cpuid, and xgetbv for what the operating system saves)
 * and fills the slot.  Threads that race find the same answer, so plain atomic loads and stores are enough.  Nothing
 * outside the module is needed.  A processor below the oldest level gets a kernel that returns ATTN_ERROR_CPU. */
#include "back/emit.h"

const Level levels[LEVELS] = {{"x86-64-v2", "x86-64-v2", ""},
                              {"x86-64-v3", "x86-64-v3", ""},
                              {"x86-64-v4", "x86-64-v4", ""},
                              {"x86-64-v4.bf16", "x86-64-v4", "+avx512bf16"}};

#define BIT(n) (1u << (n))
enum { AX, BX, CX, DX };

/* What a level demands beyond the one below. */
typedef struct Demand {
  uint32_t basic;    /* leaf 1, ecx */
  uint32_t extended; /* leaf 7, ebx */
  uint32_t amd;      /* leaf 0x80000001, ecx */
  uint32_t saved;    /* xcr0 */
  uint32_t deeper;   /* leaf 7, subleaf 1, eax */
} Demand;

static const Demand demands[LEVELS] = {
    {.basic = BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23), /* sse3 ssse3 cx16 sse4.1 sse4.2 popcnt */
     .amd = BIT(0)},                                                   /* lahf */
    {.basic = BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29), /* fma movbe osxsave avx f16c */
     .extended = BIT(3) | BIT(5) | BIT(8),                     /* bmi1 avx2 bmi2 */
     .amd = BIT(5),                                            /* lzcnt */
     .saved = BIT(1) | BIT(2)},                                /* xmm ymm */
    {.extended = BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31), /* avx512 f dq cd bw vl */
     .saved = BIT(5) | BIT(6) | BIT(7)},                          /* k zmm */
    {.deeper = BIT(5)},                                           /* avx512 bf16 */
};

static LLVMValueRef const32(const Emit *e, uint32_t v) { return LLVMConstInt(e->t.i32, v, false); }

static LLVMValueRef assembly(Emit *e, LLVMTypeRef type, const char *text, const char *constraints, unsigned n,
                             LLVMValueRef *arg) {
  LLVMValueRef f = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), true, false,
                                    LLVMInlineAsmDialectATT, false);
  return LLVMBuildCall2(e->b, type, f, arg, n, "");
}

static LLVMValueRef cpuid(Emit *e, uint32_t leaf, uint32_t subleaf, unsigned reg) {
  LLVMTypeRef w = e->t.i32, out = LLVMStructTypeInContext(e->cx, (LLVMTypeRef[]){w, w, w, w}, 4, false);
  LLVMTypeRef type = LLVMFunctionType(out, (LLVMTypeRef[]){w, w}, 2, false);
  LLVMValueRef arg[] = {const32(e, leaf), const32(e, subleaf)};
  LLVMValueRef r = assembly(e, type, "cpuid", "={ax},={bx},={cx},={dx},0,2,~{dirflag},~{fpsr},~{flags}", 2, arg);
  return LLVMBuildExtractValue(e->b, r, reg, "");
}

static LLVMValueRef xcr0(Emit *e) {
  LLVMTypeRef w = e->t.i32, out = LLVMStructTypeInContext(e->cx, (LLVMTypeRef[]){w, w}, 2, false);
  LLVMValueRef arg[] = {const32(e, 0)};
  LLVMValueRef r = assembly(e, LLVMFunctionType(out, &w, 1, false), "xgetbv",
                            "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", 1, arg);
  return LLVMBuildExtractValue(e->b, r, 0, "");
}

static LLVMValueRef has_all(Emit *e, LLVMValueRef have, uint32_t bits) {
  return LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildAnd(e->b, have, const32(e, bits), ""), const32(e, bits), "");
}

/* What make() gives where cond holds, else 0: some leaves and xgetbv may be asked for only if others allow it. */
static LLVMValueRef if_allowed(Emit *e, LLVMValueRef cond, LLVMValueRef (*make)(Emit *e)) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), done = block_when(e, cond, "ask");
  LLVMValueRef v = make(e);
  LLVMBasicBlockRef there = LLVMGetInsertBlock(e->b);
  block_go(e, done);
  LLVMValueRef phi = LLVMBuildPhi(e->b, e->t.i32, "");
  LLVMAddIncoming(phi, (LLVMValueRef[]){v, const32(e, 0)}, (LLVMBasicBlockRef[]){there, from}, 2);
  return phi;
}

static LLVMValueRef leaf_7(Emit *e) { return cpuid(e, 7, 0, BX); }
static LLVMValueRef subleaves_7(Emit *e) { return cpuid(e, 7, 0, AX); }
static LLVMValueRef subleaf_7(Emit *e) { return cpuid(e, 7, 1, AX); }

/* The kernel that refuses. */
static LLVMValueRef emit_refusal(Emit *e, const char *name) {
  function_begin(e, arena_printf(e->arena, "%s.none", name), kernel_type(e));
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  e->err = LLVMGetParam(e->fn, 6);
  begin_error(e);
  LLVMValueRef status = const32(e, ATTN_ERROR_CPU);
  emit_failure(e, status, LLVMConstInt(e->t.i32, (unsigned long long)-1, true), const_int(e, 0), const_int(e, 0));
  function_end(e, status);
  return e->fn;
}

/* choose(): fills the slot. */
static LLVMValueRef emit_choose(Emit *e, const char *name, LLVMValueRef slot, LLVMValueRef none,
                                const LLVMValueRef *kernel) {
  function_begin(e, arena_printf(e->arena, "%s.choose", name), LLVMFunctionType(e->t.ptr, NULL, 0, false));
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "cold");
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "noinline");
  LLVMValueRef basic = cpuid(e, 1, 0, CX), amd = cpuid(e, 0x80000001u, 0, CX);
  LLVMValueRef deep = LLVMBuildICmp(e->b, LLVMIntUGE, cpuid(e, 0, 0, AX), const32(e, 7), "");
  LLVMValueRef extended = if_allowed(e, deep, leaf_7);
  LLVMValueRef saved = if_allowed(e, has_all(e, basic, BIT(27)), xcr0);
  LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntUGE, if_allowed(e, deep, subleaves_7), const32(e, 1), "");
  LLVMValueRef deeper = if_allowed(e, more, subleaf_7);
  LLVMValueRef best = none, all = LLVMConstInt(e->t.i1, 1, false);
  for (int n = 0; n < e->nlevels; n++) {
    const Demand *d = &demands[n];
    LLVMValueRef x = LLVMBuildAnd(e->b, has_all(e, basic, d->basic), has_all(e, extended, d->extended), "");
    LLVMValueRef y = LLVMBuildAnd(e->b, has_all(e, amd, d->amd), has_all(e, saved, d->saved), "");
    all = LLVMBuildAnd(e->b, all, LLVMBuildAnd(e->b, x, y, ""), "");
    all = LLVMBuildAnd(e->b, all, has_all(e, deeper, d->deeper), "");
    best = LLVMBuildSelect(e->b, all, kernel[n], best, "");
  }
  LLVMValueRef store = LLVMBuildStore(e->b, best, slot);
  LLVMSetAlignment(store, 8);
  LLVMSetOrdering(store, LLVMAtomicOrderingMonotonic);
  function_end(e, best);
  return e->fn;
}

void emit_dispatch(Emit *e, const char *name, const LLVMValueRef *kernel) {
  LLVMValueRef slot = LLVMAddGlobal(e->module, e->t.ptr, arena_printf(e->arena, "%s.slot", name));
  LLVMSetInitializer(slot, LLVMConstNull(e->t.ptr));
  LLVMSetLinkage(slot, LLVMInternalLinkage);
  LLVMValueRef choose = emit_choose(e, name, slot, emit_refusal(e, name), kernel);
  function_begin(e, name, kernel_type(e));
  LLVMValueRef chosen = LLVMBuildLoad2(e->b, e->t.ptr, slot, "");
  LLVMSetAlignment(chosen, 8);
  LLVMSetOrdering(chosen, LLVMAtomicOrderingMonotonic);
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), done = block_when(e, LLVMBuildIsNull(e->b, chosen, ""), "first");
  LLVMValueRef found = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(choose), choose, NULL, 0, "");
  block_go(e, done);
  LLVMValueRef f = LLVMBuildPhi(e->b, e->t.ptr, "");
  LLVMBasicBlockRef there = LLVMGetInstructionParent(found);
  LLVMAddIncoming(f, (LLVMValueRef[]){chosen, found}, (LLVMBasicBlockRef[]){from, there}, 2);
  LLVMValueRef arg[7];
  LLVMGetParams(e->fn, arg);
  LLVMValueRef call = LLVMBuildCall2(e->b, kernel_type(e), f, arg, 7, "");
  LLVMSetTailCall(call, true);
  function_end(e, call);
}
