/* target: processors, the passes of LLVM, and kernels as text. */
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdlib.h>

#include "back/emit.h"
#include "base/ice.h"

/* ---- LLVM's own errors -------------------------------------------------------------------------- */

static void on_fatal(const char *reason) { ICE("LLVM: %s", reason); }

static void on_diagnostic(LLVMDiagnosticInfoRef info, void *unused) {
  (void)unused;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return; /* remarks and warnings are for LLVM's authors */
  ICE("LLVM: %s", LLVMGetDiagInfoDescription(info));
}

static void init_once(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  LLVMInstallFatalErrorHandler(on_fatal);
}

void target_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT; /* LLVM's table of targets is one a process */
  pthread_once(&once, init_once);
}

LLVMContextRef target_context(LLVMContextRef cx) {
  LLVMContextSetDiagnosticHandler(cx, on_diagnostic, NULL);
  return cx;
}

/* ---- processors --------------------------------------------------------------------------------- */

static bool is_native(const char *cpu) { return !cpu || !strcmp(cpu, "native"); }

bool back_cpu_known(const char *cpu) {
  static const char *const known[] = {
#define CPU(name) name,
#include "back/cpu.def"
#undef CPU
  };
  if (is_native(cpu)) return true;
#if defined(__x86_64__)
  for (size_t n = 0; n < sizeof known / sizeof *known; n++)
    if (!strcmp(cpu, known[n])) return true;
#else
  (void)known;
#endif
  return false;
}

static LLVMTargetMachineRef create(const char *triple, const char *cpu, const char *features) {
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) ICE("LLVM: %s", message);
  return LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                 LLVMCodeModelDefault);
}

LLVMTargetMachineRef target_machine(Arena *arena, const char *cpu, const char **why) {
  target_init();
  if (!back_cpu_known(cpu)) {
    *why = arena_printf(arena, "unknown CPU '%s'", cpu);
    return NULL;
  }
  char *triple = LLVMGetDefaultTargetTriple();
  char *host = is_native(cpu) ? LLVMGetHostCPUName() : NULL;
  char *features = is_native(cpu) ? LLVMGetHostCPUFeatures() : NULL;
  LLVMTargetMachineRef m = create(triple, host ? host : cpu, features ? features : "");
  LLVMDisposeMessage(triple);
  if (host) LLVMDisposeMessage(host);
  if (features) LLVMDisposeMessage(features);
  return m;
}

const char *back_version(void) { return "LLVM " LLVM_VERSION_STRING; }

char *back_host_cpu(Arena *arena) {
  char *name = LLVMGetHostCPUName();
  char *copy = arena_strndup(arena, name, strlen(name));
  LLVMDisposeMessage(name);
  return copy;
}

/* ---- tiles -------------------------------------------------------------------------------------- */

static bool is_one_of(const char *cpu, const char *const *names) {
  for (; *names; names++)
    if (!strcmp(cpu, *names)) return true;
  return false;
}

/* By the features of the machine, or what the name of a processor implies.  Without fused multiply-add there are no
 * tiles: its emulation is a call. */
static bool tile_target(LLVMTargetMachineRef m, TileTarget *t) {
  static const char *const wide[] = {"x86-64-v4", "skylake-avx512", "skx", "cascadelake", "cooperlake", "icelake-client",
                                     "icelake-server", "rocketlake", "tigerlake", "sapphirerapids", "emeraldrapids",
                                     "graniterapids", "graniterapids-d", "znver4", "znver5", NULL};
  static const char *const usual[] = {"x86-64-v3", "haswell", "core-avx2", "broadwell", "skylake", "alderlake", "raptorlake",
                                      "meteorlake", "arrowlake", "lunarlake", "znver1", "znver2", "znver3", "bdver4", NULL};
  char *cpu = LLVMGetTargetMachineCPU(m), *features = LLVMGetTargetMachineFeatureString(m), *triple = LLVMGetTargetMachineTriple(m);
  bool told = *features != 0;
  bool avx512 = told ? strstr(features, "+avx512f") && strstr(features, "+avx512dq") : is_one_of(cpu, wide);
  bool avx2 = told ? strstr(features, "+avx2") && strstr(features, "+fma,") : is_one_of(cpu, usual);
  bool neon = !strncmp(triple, "aarch64", 7);
  *t = (TileTarget){avx512 ? 16 : avx2 ? 8 : 4, avx512 || neon ? 32 : 16};
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  LLVMDisposeMessage(triple);
  return avx512 || avx2 || neon;
}

void target_plan(Emit *e, const BackOptions *options) {
  TileTarget t;
  if (options->tile && !options->f64 && tile_target(e->machine, &t)) e->plan = tile_plan(e->arena, e->k, &t);
}

const struct TilePlan *back_tile_plan(Arena *arena, const Kernel *k, const BackOptions *options) {
  const char *why;
  Emit e = {.arena = arena, .k = k, .f64 = options->f64, .machine = target_machine(arena, options->cpu, &why)};
  if (!e.machine) return NULL;
  target_plan(&e, options);
  LLVMDisposeTargetMachine(e.machine);
  return e.plan;
}

/* ---- passes ------------------------------------------------------------------------------------- */

/* The builder of the reduction IR has already moved invariants out and shared equal values; what is left is
 * to turn cells into registers, tidy the blocks, and simplify addresses.  instcombine named alone would stop
 * the program where it has not come to an end in one round. */
#define COMBINE "instcombine<no-verify-fixpoint>"
static const char passes[] =
    "function(sroa,early-cse<memssa>," COMBINE ",simplifycfg,loop-mssa(loop-rotate,licm),early-cse<memssa>," COMBINE
    ",simplifycfg),globaldce";

void target_optimise(const Emit *e) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(e->module, passes, e->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return;
  char *message = LLVMGetErrorMessage(error);
  ICE("LLVM: %s", message);
}

/* ---- text --------------------------------------------------------------------------------------- */

/* LLVM's strings are freed by LLVM. */
static char *heap_copy(const char *s, size_t n) {
  char *copy = malloc(n + 1);
  if (!copy) return NULL;
  memcpy(copy, s, n);
  copy[n] = 0;
  return copy;
}

static char *module_text(const Emit *e) {
  char *text = LLVMPrintModuleToString(e->module), *copy = heap_copy(text, strlen(text));
  LLVMDisposeMessage(text);
  return copy;
}

static char *assembly_text(const Emit *e) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer;
  if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, LLVMAssemblyFile, &message, &buffer))
    ICE("LLVM: %s", message);
  char *copy = heap_copy(LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
  LLVMDisposeMemoryBuffer(buffer);
  return copy;
}

char *back_text(Arena *arena, const Kernel *k, const BackOptions *options, BackForm form, const char **why) {
  Emit e = {.arena = arena, .k = k, .f64 = options->f64};
  const char *refusal = layout_refusal(arena, k);
  if (refusal) return *why = refusal, NULL;
  e.machine = target_machine(arena, options->cpu, why);
  if (!e.machine) return NULL;
  target_plan(&e, options);
  e.cx = target_context(LLVMContextCreate());
  emit_module(&e);
  if (form == BACK_LLVM_OPTIMISED || (form == BACK_ASM && options->optimise)) target_optimise(&e);
  char *text = form == BACK_ASM ? assembly_text(&e) : module_text(&e);
  LLVMContextDispose(e.cx);
  LLVMDisposeTargetMachine(e.machine);
  if (!text) *why = "out of memory";
  return text;
}
