/* jit: kernels in memory.
 *
 * A kernel calls the C library and the runtime by name.  Their addresses are given to the linker of the JIT
 * one by one, so that the process need not export them; others that LLVM adds itself are looked up in the process. */
#define _GNU_SOURCE 1 /* roundeven, and what LLVM turns pairs and powers into: sincos, exp10 */
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <math.h>

#include "back/cache.h"
#include "base/ice.h"
#include "family.h"
#include "random.h"
#include "special.h"

typedef void (*AnyFunction)(void);
typedef struct Symbol { const char *name; AnyFunction f; } Symbol;

#define BOTH(name) {#name, (AnyFunction)(name)}, {#name "f", (AnyFunction)(name##f)}
static const Symbol symbols[] = {
    BOTH(exp), BOTH(expm1), BOTH(log), BOTH(log1p), BOTH(tanh), BOTH(sin), BOTH(cos), BOTH(erf), BOTH(pow),
    BOTH(exp2), BOTH(exp10), BOTH(sincos), BOTH(log2), BOTH(log10), BOTH(sqrt), BOTH(floor), BOTH(ceil),
    BOTH(roundeven), BOTH(ldexp), BOTH(cbrt),
    BOTH(attn_rt_lgamma), BOTH(attn_rt_lbeta), BOTH(attn_rt_digamma),
    {"attn_rt_random_uniform", (AnyFunction)attn_rt_random_uniform},
#define FAMILY(ID, name, function, ints, inputs, outputs) {#function, (AnyFunction)(function)},
#define SINGLE(ID, function) {#function, (AnyFunction)(function)},
#include "ir/family.def"
#undef FAMILY
#undef SINGLE
    {"memset", (AnyFunction)memset}, {"memcpy", (AnyFunction)memcpy}, {"memmove", (AnyFunction)memmove},
};
#undef BOTH

enum { SYMBOLS = sizeof symbols / sizeof *symbols };

static void succeed(LLVMErrorRef error) {
  if (error) ICE("LLVM: %s", LLVMGetErrorMessage(error));
}

static void define_symbols(LLVMOrcLLJITRef jit) {
  LLVMOrcCSymbolMapPair pair[SYMBOLS];
  for (size_t n = 0; n < SYMBOLS; n++) {
    pair[n].Name = LLVMOrcLLJITMangleAndIntern(jit, symbols[n].name);
    pair[n].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)symbols[n].f;
    pair[n].Sym.Flags = (LLVMJITSymbolFlags){LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0};
  }
  succeed(LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit), LLVMOrcAbsoluteSymbols(pair, SYMBOLS)));
}

static void dispose_jit(void *jit) { succeed(LLVMOrcDisposeLLJIT(jit)); }

/* Code is made for e's machine, which it takes. */
static LLVMOrcLLJITRef jit_create(const Emit *e, Compiled *c) {
  ArenaOwned *own = c->impl = arena_own(e->arena, dispose_jit);
  LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
  LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(e->machine));
  e->own_machine->what = NULL;
  LLVMOrcLLJITRef jit;
  succeed(LLVMOrcCreateLLJIT(&jit, builder));
  own->what = jit;
  define_symbols(jit);
  return jit;
}

static uintptr_t find(LLVMOrcLLJITRef jit, const char *name) {
  LLVMOrcExecutorAddress address = 0;
  succeed(LLVMOrcLLJITLookup(jit, &address, name));
  return (uintptr_t)address;
}

/* From the cache where it is there, else into it. */
static bool objects_for(Emit *e, const BackOptions *o, bool *cached, ObjectFiles *files, const char **why) {
  if (!o->cache) return object_files(e, o, files, why);
  CacheKey key = cache_key(e, o);
  *cached = cache_get(e->arena, o->cache, &key, files);
  if (*cached) return true;
  if (!object_files(e, o, files, why)) return false;
  cache_put(e->arena, o->cache, &key, files);
  return true;
}

static void add_object(LLVMOrcLLJITRef jit, const ObjectFile *f, const char *name) {
  LLVMMemoryBufferRef bytes = LLVMCreateMemoryBufferWithMemoryRangeCopy(f->bytes, f->size, name);
  succeed(LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), bytes));
}

bool back_compile(Arena *arena, const Kernel *k, const BackOptions *options, Compiled **out, const char **why) {
  Emit e = {.arena = arena, .k = k};
  if (!target_choose(&e, options, why)) return false;
  Compiled *c = NEW(arena, Compiled);
  ObjectFiles files;
  if (!objects_for(&e, options, &c->cached, &files, why)) {
    target_end(&e);
    return false;
  }
  LLVMOrcLLJITRef jit = jit_create(&e, c);
  for (uint32_t n = 0; n < files.n; n++) add_object(jit, &files.at[n], arena_printf(arena, "%s.%u", k->name, n));
  c->run = (attn_kernel_fn)find(jit, arena_printf(arena, "attn_%s", k->name));
  c->workspace = (attn_workspace_fn)find(jit, arena_printf(arena, "attn_%s_workspace", k->name));
  c->sites = files.sites;
  c->nsites = files.nsites;
  *out = c;
  return true;
}

void back_dispose(Compiled *c) {
  if (c) arena_drop(c->impl);
}
