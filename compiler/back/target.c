/* target: processors, the passes of LLVM, and kernels as text. */
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
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

/* Loop strength reduction looks for the best addresses of all loads and stores of a loop together, of which a register
 * tile has dozens: it took up to five sixths of the time of code generation, and the code is no faster for it.  Domain
 * reassignment looks for integers better kept in mask registers; the code is all but the same without it.  LLVM takes
 * these only as options of the process. */
static void set_options(void) {
  static const char *const options[] = {"attn", "-disable-lsr", "-disable-x86-domain-reassignment"};
  LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, "");
}

static void init_once(void) {
  set_options();
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
  LLVMInstallFatalErrorHandler(on_fatal);
}

static void target_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT; /* LLVM's table of targets is one a process */
  pthread_once(&once, init_once);
}

static void dispose_context(void *cx) { LLVMContextDispose(cx); }

void target_context(Emit *e) {
  e->own_context = arena_own(e->arena, dispose_context);
  e->own_context->what = e->cx = LLVMContextCreate();
  LLVMContextSetDiagnosticHandler(e->cx, on_diagnostic, NULL);
}

void target_end(Emit *e) {
  if (e->own_context) arena_drop(e->own_context);
  if (e->own_machine) arena_drop(e->own_machine);
  e->own_context = e->own_machine = NULL;
}

/* ---- processors --------------------------------------------------------------------------------- */

static bool is_native(const char *cpu) { return !cpu || !strcmp(cpu, "native"); }

typedef enum { ARCH_X86_64, ARCH_AARCH64, ARCHS } Arch;

static const char *const arch_prefix[ARCHS] = {"x86_64-", "aarch64-"};
static const char *const arch_cpu[ARCHS] = {"x86-64", "generic"}; /* the oldest */

/* ARCHS: none that is known here. */
static Arch arch_of(const char *triple) {
  for (int a = 0; a < ARCHS; a++)
    if (!strncmp(triple, arch_prefix[a], strlen(arch_prefix[a]))) return (Arch)a;
  return ARCHS;
}

static char *host_triple(Arena *arena) {
  char *triple = LLVMGetDefaultTargetTriple(), *copy = arena_strndup(arena, triple, strlen(triple));
  LLVMDisposeMessage(triple);
  return copy;
}

static bool is_known(Arch arch, const char *cpu) {
  static const struct { Arch arch; const char *name; } known[] = {
#define CPU(name) {ARCH_X86_64, name},
#define CPU_ARM(name) {ARCH_AARCH64, name},
#include "back/cpu.def"
#undef CPU
#undef CPU_ARM
  };
  for (size_t n = 0; n < sizeof known / sizeof *known; n++)
    if ((arch == ARCHS || arch == known[n].arch) && !strcmp(cpu, known[n].name)) return true;
  return false;
}

bool back_cpu_known(const char *cpu) { return is_native(cpu) || is_known(ARCHS, cpu); }

bool back_target_known(const char *triple) { return arch_of(triple) != ARCHS && strstr(triple, "linux"); }

bool back_target_is_host(const char *triple) {
  char *host = LLVMGetDefaultTargetTriple();
  bool same = !triple || arch_of(triple) == arch_of(host);
  LLVMDisposeMessage(host);
  return same;
}

bool back_has_levels(const char *triple) {
  char *host = LLVMGetDefaultTargetTriple();
  bool has = arch_of(triple ? triple : host) == ARCH_X86_64;
  LLVMDisposeMessage(host);
  return has;
}

static LLVMTargetMachineRef create(const BackOptions *o, const char *triple, const char *cpu, const char *features) {
  LLVMTargetRef target;
  char *message = NULL, *normal = LLVMNormalizeTargetTriple(triple);
  if (LLVMGetTargetFromTriple(normal, &target, &message)) ICE("LLVM: %s", message);
  LLVMCodeGenOptLevel level = o->optimise ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelNone;
  LLVMTargetMachineRef m =
      LLVMCreateTargetMachine(target, normal, cpu, features, level, LLVMRelocPIC, LLVMCodeModelDefault);
  LLVMDisposeMessage(normal);
  return m;
}

static LLVMTargetMachineRef create_native(const BackOptions *o, const char *triple) {
  char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
  LLVMTargetMachineRef m = create(o, triple, cpu, features);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  return m;
}

static LLVMTargetMachineRef machine_for(Arena *arena, const BackOptions *o, const char **why) {
  target_init();
  const char *triple = o->triple ? o->triple : host_triple(arena);
  Arch arch = arch_of(triple);
  bool here = back_target_is_host(o->triple);
  if (arch == ARCHS) return *why = arena_printf(arena, "no code is made for '%s'", triple), NULL;
  if (!is_native(o->cpu) && !is_known(arch, o->cpu))
    return *why = arena_printf(arena, "unknown CPU '%s'", o->cpu), NULL;
  if (o->cpu && is_native(o->cpu) && !here) return *why = "the CPU of this machine is none of the target's", NULL;
  if (o->levels && arch != ARCH_X86_64) return *why = "only x86-64 has levels to choose from", NULL;
  if (o->levels || (!o->cpu && !here)) return create(o, triple, arch_cpu[arch], "");
  return is_native(o->cpu) ? create_native(o, triple) : create(o, triple, o->cpu, "");
}

static void dispose_machine(void *m) { LLVMDisposeTargetMachine(m); }

bool target_machine(Emit *e, const BackOptions *o, const char **why) {
  e->own_machine = arena_own(e->arena, dispose_machine);
  e->own_machine->what = e->machine = machine_for(e->arena, o, why);
  return e->machine != NULL;
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
static bool tile_target(const char *triple, const char *cpu, const char *features, TileTarget *t) {
  static const char *const wide[] = {"x86-64-v4",
                                     "skylake-avx512",
                                     "skx",
                                     "cascadelake",
                                     "cooperlake",
                                     "icelake-client",
                                     "icelake-server",
                                     "rocketlake",
                                     "tigerlake",
                                     "sapphirerapids",
                                     "emeraldrapids",
                                     "graniterapids",
                                     "graniterapids-d",
                                     "znver4",
                                     "znver5",
                                     NULL};
  static const char *const usual[] = {"x86-64-v3", "haswell",    "core-avx2",  "broadwell", "skylake",
                                      "alderlake", "raptorlake", "meteorlake", "arrowlake", "lunarlake",
                                      "znver1",    "znver2",     "znver3",     "bdver4",    NULL};
  static const char *const halves[] = {"cooperlake",      "sapphirerapids", "emeraldrapids", "graniterapids",
                                       "graniterapids-d", "znver4",         "znver5",        NULL};
  static const char *const undivided[] = {"skylake-avx512", "skx",           "cascadelake",   "cooperlake",
                                          "icelake-server", "sapphirerapids", "emeraldrapids", "graniterapids",
                                          "graniterapids-d", "znver5",        NULL};
  bool told = strstr(features, "avx512f") != NULL; /* a machine's list names what it lacks, too */
  bool avx512 = told ? strstr(features, "+avx512f") && strstr(features, "+avx512dq") : is_one_of(cpu, wide);
  bool avx2 = told ? strstr(features, "+avx2") && strstr(features, "+fma,") : is_one_of(cpu, usual);
  bool neon = !strncmp(triple, "aarch64", 7);
  bool dots = avx512 && (strstr(features, "+avx512bf16") || (!told && is_one_of(cpu, halves)));
  bool widens = neon || (told ? strstr(features, "+f16c") != NULL : avx512 || avx2);
  *t = (TileTarget){avx512 ? 16 : avx2 ? 8 : 4, avx512 || neon ? 32 : 16, dots, widens,
                    avx512 && is_one_of(cpu, undivided)};
  return avx512 || avx2 || neon;
}

static const TilePlan *plan_for(const Emit *e, const char *triple, const char *cpu, const char *features,
                                const int64_t *expected) {
  TileTarget t;
  if (!tile_target(triple, cpu, features, &t)) return NULL;
  TilePlan *plan = tile_plan(e->arena, e->k, &t);
  tile_expect(plan, expected);
  return plan;
}

/* Doubles of a register; of two lanes there is nothing to gain. */
static unsigned beside_for(const char *triple, const char *cpu, const char *features) {
  TileTarget t;
  return tile_target(triple, cpu, features, &t) && t.lanes >= 8 ? t.lanes / 2 : 0;
}

/* For all of the levels, what the newest does. */
static void widen_for(Emit *e, const char *triple, const char *cpu, const char *features) {
  TileTarget t;
  if (tile_target(triple, cpu, features, &t)) e->k = tile_widen(e->arena, e->k, &t);
}

/* Sets e->plan, and e->k to what it is of, where the options and the processor allow tiles. */
static void target_plan(Emit *e, const BackOptions *options) {
  e->nlevels = LEVELS - 1;
  if (!options->tile) return;
  LLVMTargetMachineRef m = e->machine;
  char *cpu = LLVMGetTargetMachineCPU(m), *features = LLVMGetTargetMachineFeatureString(m),
       *triple = LLVMGetTargetMachineTriple(m);
  e->beside = beside_for(triple, cpu, features);
  for (int n = 0; n < LEVELS && e->levels; n++)
    e->level_beside[n] = beside_for(triple, levels[n].cpu, levels[n].features);
  if (!options->f64 && e->levels) widen_for(e, triple, levels[LEVELS - 2].cpu, levels[LEVELS - 2].features);
  else if (!options->f64) widen_for(e, triple, cpu, features);
  if (!options->f64) e->plan = plan_for(e, triple, cpu, features, options->expected);
  for (int n = 0; n < LEVELS && e->levels && !options->f64; n++)
    e->level_plan[n] = plan_for(e, triple, levels[n].cpu, levels[n].features, options->expected);
  if (e->levels && !options->f64 && tile_has_dots(e->level_plan[LEVELS - 1])) e->nlevels = LEVELS;
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  LLVMDisposeMessage(triple);
}

const struct TilePlan *back_tile_plan(Arena *arena, const Kernel *k, const BackOptions *options) {
  const char *why;
  Emit e = {.arena = arena, .k = k, .f64 = options->f64};
  if (!target_machine(&e, options, &why)) return NULL;
  target_plan(&e, options);
  target_end(&e);
  return e.plan;
}

/* ---- passes ------------------------------------------------------------------------------------- */

/* The builder of the reduction IR has already moved invariants out and shared equal values; what is left is to drop
 * what nobody reads, turn cells into registers, simplify addresses, and tidy the blocks.  instcombine costs half of all
 * this, and a second one did nothing for the code; without any, address arithmetic in small loops cost up to a tenth of
 * a kernel's time. Named alone it would stop the program where it has not come to an end in one round. */
#define COMBINE "instcombine<no-verify-fixpoint>"
static const char passes[] = "elim-avail-extern,function(adce,sroa,early-cse<memssa>," COMBINE
                             ",simplifycfg,loop-mssa(licm),early-cse,simplifycfg),globaldce";

static void run_passes(const Emit *e, const char *names) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(e->module, names, e->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return;
  char *message = LLVMGetErrorMessage(error);
  ICE("LLVM: %s", message);
}

void target_optimise(const Emit *e) { run_passes(e, passes); }

static void add_attribute(const Emit *e, LLVMValueRef f, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->cx, kind, 0));
}

/* Every access is checked against the shadow memory of the process.  What the pass would run when the module is loaded
 * is left out: the process has done it.  The lists that name it go first: what is used is not deleted. */
void target_sanitize(const Emit *e) {
  static const char *const lists[] = {"llvm.global_ctors", "llvm.global_dtors", "llvm.used", "llvm.compiler.used"};
  static const char *const functions[] = {"asan.module_ctor", "asan.module_dtor"};
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f))
    if (!LLVMIsDeclaration(f)) add_attribute(e, f, "sanitize_address");
  run_passes(e, "asan");
  for (size_t n = 0; n < sizeof lists / sizeof *lists; n++) {
    LLVMValueRef list = LLVMGetNamedGlobal(e->module, lists[n]);
    if (list) LLVMDeleteGlobal(list);
  }
  for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) {
    LLVMValueRef f = LLVMGetNamedFunction(e->module, functions[n]);
    if (f) LLVMDeleteFunction(f);
  }
}

/* Passes over a function's LLVM IR have made it small; what follows takes a half or a third of the time. */
void target_hurry(const Emit *e) {
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f)) {
    if (!function_is_brief(f)) continue;
    add_attribute(e, f, "optnone");
    add_attribute(e, f, "noinline");
  }
}

/* Steps of latents, streams over the same columns and lines that are packed alike are emitted once for each place that
 * asks: of functions that do the same, in the same words, all but the first go.  The address of a function says no more
 * than what it does, so that its callers become equal, too. */
void target_merge(const Emit *e) {
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f))
    if (LLVMGetLinkage(f) == LLVMInternalLinkage) LLVMSetUnnamedAddress(f, LLVMGlobalUnnamedAddr);
  run_passes(e, "function(adce),mergefunc");
}

/* ---- size ----------------------------------------------------------------------------------------- */

/* LLVM takes some 60 microseconds for an instruction of these kernels: half a minute.  The largest example has 10
 * thousand.  Within one function time grows with the square where many values live side by side, 6 nanoseconds for a
 * pair: half a minute too. */
enum { CODE_MOST = 500000, FUNCTION_MOST = 72000 };

uint32_t target_count(LLVMValueRef f) {
  uint32_t n = 0;
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
  return n;
}

const char *target_too_large(Arena *arena) {
  return arena_printf(arena,
                      "the code of this model has more than %d instructions, or one loop of it more than %d, which "
                      "would take minutes to compile; split the model",
                      CODE_MOST, FUNCTION_MOST);
}

bool target_fits(const Emit *e, const char **why) {
  uint32_t all = 0, largest = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f && all <= CODE_MOST; f = LLVMGetNextFunction(f)) {
    uint32_t n = target_count(f);
    all += n;
    largest = n > largest ? n : largest;
  }
  bool fits = all <= CODE_MOST && largest <= FUNCTION_MOST;
  if (!fits) *why = target_too_large(e->arena);
  return fits;
}

/* ---- text --------------------------------------------------------------------------------------- */

static void dispose_string(void *text) { LLVMDisposeMessage(text); }
static void dispose_buffer(void *buffer) { LLVMDisposeMemoryBuffer(buffer); }


static char *module_text(const Emit *e) {
  ArenaOwned *own = arena_own(e->arena, dispose_string);
  char *text = own->what = LLVMPrintModuleToString(e->module), *copy = arena_strndup(e->arena, text, strlen(text));
  arena_drop(own);
  return copy;
}

/* Code generation changes the module, so that it is done once for each module. */
static char *machine_code(const Emit *e, LLVMCodeGenFileType type, size_t *size) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer;
  ArenaOwned *own = arena_own(e->arena, dispose_buffer);
  if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, type, &message, &buffer)) ICE("LLVM: %s", message);
  own->what = buffer;
  *size = LLVMGetBufferSize(buffer);
  char *copy = arena_strndup(e->arena, LLVMGetBufferStart(buffer), *size);
  arena_drop(own);
  return copy;
}

bool target_choose(Emit *e, const BackOptions *o, const char **why) {
  const char *refusal = layout_refusal(e->arena, e->k);
  if (refusal) return *why = refusal, false;
  bool ok = target_machine(e, o, why);
  e->f64 = o->f64;
  e->fixed = o->sizes;
  e->levels = o->levels;
  if (ok) target_plan(e, o);
  return ok;
}

static char *form_text(const Emit *e, BackForm form, size_t *size) {
  char *text = NULL;
  switch (form) {
    case BACK_LLVM:
    case BACK_LLVM_OPTIMISED:
      text = module_text(e);
      *size = strlen(text);
      return text;
    case BACK_ASM: return machine_code(e, LLVMAssemblyFile, size);
    case BACK_OBJECT: return machine_code(e, LLVMObjectFile, size);
  }
  return text;
}

/* What a module calls beyond itself. */
static void note_calls(const Emit *e, BackNeeds *needs) {
  if (!needs) return;
  *needs = (BackNeeds){0};
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f)) {
    size_t n;
    const char *name = LLVMGetValueName2(f, &n);
    if (!LLVMIsDeclaration(f) || !LLVMGetFirstUse(f) || !strncmp(name, "llvm.", 5)) continue;
    if (!strncmp(name, "attn_rt_", 8)) needs->runtime = true;
    else needs->libm = true;
  }
}

char *back_emit(Arena *arena, const Kernel *k, const BackOptions *options, BackForm form, size_t *size,
                BackNeeds *needs, const char **why) {
  Emit e = {.arena = arena, .k = k};
  if (!target_choose(&e, options, why)) return NULL;
  target_context(&e);
  emit_module(&e);
  if (!target_fits(&e, why)) {
    target_end(&e);
    return NULL;
  }
  if (form != BACK_LLVM) target_merge(&e);
  if (form != BACK_LLVM && options->optimise) target_optimise(&e);
  if (form != BACK_LLVM) target_hurry(&e);
  note_calls(&e, needs);
  char *text = form_text(&e, form, size);
  target_end(&e);
  return text;
}

char *back_text(Arena *arena, const Kernel *k, const BackOptions *options, BackForm form, const char **why) {
  size_t size;
  return back_emit(arena, k, options, form, &size, NULL, why);
}
