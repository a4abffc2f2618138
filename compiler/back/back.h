/* back: reduction IR to machine code through LLVM.
 *
 * The only folder that knows LLVM.  Reentrant: every Compiled owns its context; target initialisation is
 * done once, guarded. */
#ifndef ATTN_BACK_BACK_H
#define ATTN_BACK_BACK_H

#include "attn_kernel.h"
#include "ir/ir.h"

typedef struct BackOptions {
  bool f64;        /* IR_REAL is double; else float */
  const char *cpu; /* "native" or NULL: this machine; else a CPU name LLVM knows */
  bool optimise;   /* off: code that is made in half the time and is slow, to debug and for tests */
  bool tile;       /* compute streams in register tiles where their form allows it; f32 only */
  const char *triple;   /* NULL: this machine; else as back_target_known, and cpu NULL is the oldest of its kind */
  bool sanitize; /* LLVM's AddressSanitizer on the code; for kernels in memory, of a build that has it (base/asan.h), no
                    cache */
  bool levels;   /* x86-64: one kernel for each of the levels v2, v3, v4, the best chosen when first called; no cpu */
  const int64_t *sizes; /* by place in Kernel.sizes: the one value that the kernel takes; -1: any.  NULL: all any */
  const int64_t
      *expected; /* in the same way: the sizes of the next calls; code for others may be slower.  NULL: any may come */
  const char *cache;    /* a folder for compiled kernels, made if need be; NULL: none is used */
} BackOptions;

/* A kernel in memory, ready to call. */
typedef struct Compiled {
  attn_kernel_fn run;
  attn_workspace_fn workspace;
  Span *sites;     /* Compiled.sites[attn_error.site]: place of the check in the model file */
  uint32_t nsites;
  bool cached; /* its code came out of the cache */
  void *impl;      /* the JIT, which the arena owns */
} Compiled;

/* False with *why (on the arena) when the CPU name is unknown, when a dimension of a TEMP or LOCAL array does
 * not follow from the sizes, or when memory runs out; any other failure of LLVM is a compiler bug (ICE).
 * Requires a verified kernel that declares every input, in order: a graph's indptr tells the views apart. */
bool back_compile(Arena *arena, const Kernel *k, const BackOptions *options, Compiled **out, const char **why);
void back_dispose(Compiled *c);

/* What the code calls: the C library's mathematics; attn_rt_* of the runtime (runtime/special.h, random.h). */
typedef struct BackNeeds { bool libm, runtime; } BackNeeds;

/* The LLVM IR, the assembly or the object file of a kernel (*size bytes and a NUL, on the arena).
 * needs may be NULL.  NULL with *why as for back_compile. */
typedef enum { BACK_LLVM, BACK_LLVM_OPTIMISED, BACK_ASM, BACK_OBJECT } BackForm;
char *back_emit(Arena *arena, const Kernel *k, const BackOptions *options, BackForm form, size_t *size,
                BackNeeds *needs, const char **why);
/* The same as text, for `attn dump`. */
char *back_text(Arena *arena, const Kernel *k, const BackOptions *options, BackForm form, const char **why);

bool back_target_known(const char *triple);     /* "x86_64-linux-gnu", "aarch64-linux-gnu", ... */
bool back_target_is_host(const char *triple);   /* its processors are of this machine's kind; NULL: yes */
bool back_has_levels(const char *triple);
/* What the tile plan of these options would be, for `attn dump` and `attn explain`; NULL: scalar code alone. */
struct TilePlan;
const struct TilePlan *back_tile_plan(Arena *arena, const Kernel *k, const BackOptions *options);
/* Bytes of the workspace for one thread, at BackOptions.sizes: shared by all threads, and each thread's own.  -1: it
 * does not follow from the sizes that are known.  False with *why as for back_compile. */
typedef struct BackWorkspace { double shared, each; } BackWorkspace;
bool back_workspace(Arena *arena, const Kernel *k, const BackOptions *options, BackWorkspace *w, const char **why);

bool back_cpu_known(const char *cpu);
const char *back_version(void);  /* "LLVM 19.1.7" */
char *back_host_cpu(Arena *arena);

#endif
