/* object: see object.h.
 *
 * LLVM works on one module in one thread, and what it costs is the sum over the functions.  So every part emits the
 * whole kernel in a context of its own, which takes a small share of the time, and keeps its share of the functions:
 * those of the other parts become declarations.  Which functions these are follows from the kernel alone: from the
 * largest to the smallest, each goes to the part that costs least so far.  No pass looks beyond a function, so a
 * function's code is the same in whatever part it is, and the same as in an object that holds them all. */
#include "back/object.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/ice.h"

enum {
  PART_COST = 400, /* instructions: a part with fewer would not be worth a thread */
  BRIEF_SHARE = 4  /* code for brief functions is made in a quarter of the time */
};

/* emit: of the kernel, its plan chosen; the arena and the machine are the thread's own. */
typedef struct Part {
  Emit emit;
  Arena arena;
  ArenaOwned *own; /* the object and the arena; by the arena of whoever asked */
  bool optimise, sanitize, failed, too_large; /* failed: memory ran out */
  uint32_t number, of; /* of how many parts at most */
  LLVMMemoryBufferRef object; /* NULL: the part is empty */
  pthread_t thread;
} Part;

/* ---- shares of the functions ------------------------------------------------------------------------------- */

typedef struct Function { LLVMValueRef f; uint32_t cost, order; } Function;
typedef VEC(Function) FunctionVec;

static uint32_t cost_of(LLVMValueRef f) {
  uint32_t n = target_count(f);
  return function_is_brief(f) ? n / BRIEF_SHARE : n;
}

static int by_cost(const void *a, const void *b) {
  const Function *x = a, *y = b;
  if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
  return x->order < y->order ? -1 : 1;
}

static FunctionVec functions_of(const Emit *e) {
  FunctionVec list = {0};
  for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f)) {
    Function at = {f, cost_of(f), list.n};
    if (!LLVMIsDeclaration(f)) vec_push(e->arena, &list, at);
  }
  qsort(list.at, list.n, sizeof *list.at, by_cost);
  return list;
}

static uint32_t parts_of(const FunctionVec *list, uint32_t most) {
  uint32_t all = 0;
  for (uint32_t n = 0; n < list->n; n++) all += list->at[n].cost;
  return 1 + (all / PART_COST < most ? all / PART_COST : most - 1);
}

/* Parts call each other's functions by name; bodies that are available elsewhere are dropped.  False: no function is
 * left. */
static bool keep_share(const Emit *e, uint32_t part, uint32_t most) {
  uint32_t load[OBJECT_PARTS] = {0}, kept = 0;
  FunctionVec list = functions_of(e);
  uint32_t parts = parts_of(&list, most);
  for (uint32_t n = 0; n < list.n; n++) {
    uint32_t least = 0;
    for (uint32_t p = 1; p < parts; p++)
      if (load[p] < load[least]) least = p;
    load[least] += list.at[n].cost;
    kept += least == part;
    LLVMSetLinkage(list.at[n].f, least == part ? LLVMExternalLinkage : LLVMAvailableExternallyLinkage);
  }
  return kept;
}

/* ---- a part ------------------------------------------------------------------------------------------------- */

static LLVMMemoryBufferRef machine_code(const Emit *e) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer;
  if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, LLVMObjectFile, &message, &buffer))
    ICE("LLVM: %s", message);
  return buffer;
}

static void *make_part(void *part) {
  Part *p = part;
  jmp_buf oom;
  p->arena.oom = &oom;
  if (setjmp(oom)) return p->failed = true, NULL;
  Emit *e = &p->emit;
  target_context(e);
  emit_module(e);
  const char *why;
  p->too_large = !target_fits(e, &why);
  if (p->too_large) return NULL;
  target_merge(e);
  if (keep_share(e, p->number, p->of)) {
    if (p->optimise) target_optimise(e);
    if (p->sanitize) target_sanitize(e);
    target_hurry(e);
    p->object = machine_code(e);
  }
  arena_drop(e->own_context);
  return NULL;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static void end_part(void *part) {
  Part *p = part;
  if (p->object) LLVMDisposeMemoryBuffer(p->object);
  arena_free(&p->arena);
}

/* Without passes a second emission takes as long as a second thread would save. */
static uint32_t parts_for(const BackOptions *o) { return o->optimise ? OBJECT_PARTS : 1; }

static void begin_part(Part *p, const Emit *e, const BackOptions *o, uint32_t number) {
  const char *why;
  *p = (Part){.emit = *e, .optimise = o->optimise, .sanitize = o->sanitize, .number = number,
              .of = parts_for(o)};
  target_machine(&p->emit, o, &why);
  p->own = arena_own(e->arena, end_part);
  p->own->what = p;
  arena_init(&p->arena, NULL);
  if (e->arena->limit) p->arena.limit = e->arena->used < e->arena->limit ? e->arena->limit - e->arena->used : 1;
  p->emit.arena = &p->arena;
}

/* The first in this thread, the others side by side with it. */
static void run_parts(Part *part, int parts) {
  bool beside[OBJECT_PARTS] = {false};
  for (int n = 1; n < parts; n++) beside[n] = pthread_create(&part[n].thread, NULL, make_part, &part[n]) == 0;
  for (int n = 0; n < parts; n++)
    if (!beside[n]) make_part(&part[n]);
  for (int n = 1; n < parts; n++)
    if (beside[n]) pthread_join(part[n].thread, NULL);
}

static void end_parts(Part *part, int parts) {
  for (int n = 0; n < parts; n++) {
    arena_drop(part[n].own);
    arena_drop(part[n].emit.own_machine);
  }
}

static void *copy(Arena *arena, const void *bytes, size_t n) {
  char *to = arena_alloc(arena, n);
  return n ? memcpy(to, bytes, n) : to;
}

static ObjectFiles collect(Arena *arena, const Part *part) {
  ObjectFiles files = {.nsites = part[0].emit.sites.n};
  files.sites = copy(arena, part[0].emit.sites.at, files.nsites * sizeof *files.sites);
  for (int n = 0; n < OBJECT_PARTS; n++) {
    if (!part[n].object) continue;
    size_t size = LLVMGetBufferSize(part[n].object);
    files.at[files.n++] = (ObjectFile){copy(arena, LLVMGetBufferStart(part[n].object), size), size};
  }
  return files;
}

bool object_files(const Emit *e, const BackOptions *o, ObjectFiles *files, const char **why) {
  int parts = (int)parts_for(o);
  Part *part = NEW_ARRAY(e->arena, Part, OBJECT_PARTS);
  for (int n = 0; n < parts; n++) begin_part(&part[n], e, o, (uint32_t)n);
  run_parts(part, parts);
  for (int n = 0; n < parts; n++) {
    if (!part[n].failed) continue;
    e->arena->over_limit |= part[n].arena.over_limit;
    arena_out_of_memory(e->arena);
  }
  bool fits = !part[0].too_large;
  if (fits) *files = collect(e->arena, part);
  else *why = target_too_large(e->arena);
  end_parts(part, parts);
  return fits;
}
