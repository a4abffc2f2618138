/* execute: from a model to machine code, and from inputs to outputs. */
#ifndef ATTN_DRIVER_EXECUTE_H
#define ATTN_DRIVER_EXECUTE_H

#include "back/back.h"
#include "driver/bind.h"
#include "infer/plan.h"

typedef struct Program {
  const Loaded *file;
  const Model *model;
  Kernel *kernel;
  Compiled *code;
  attn_pool *pool; /* --threads */
  bool f64;
  double compile_seconds; /* from the file to code that can be called */
} Program;

/* The kernel after all passes.  NULL when the model cannot be compiled; *refusals (never NULL) holds what was
 * refused, as errors at their place. */
Kernel *execute_derive(Arena *arena, const Loaded *l, const Model *m, const Options *o, Diags **refusals);

/* One derived with REASSOCIATE_NEVER, after all passes, for sizes by place in Kernel.sizes; -1: any. */
Kernel *execute_specialise(Arena *arena, const Kernel *k, const Options *o, const int64_t *sizes);

/* How a kernel is made under these options. */
BackOptions execute_back_options(const Options *o);

/* sizes: by Size.id, those of the calls to come, -1 where not known; NULL: any may come.  False after messages;
 * execute_dispose it in any case. */
bool execute_compile(Arena *arena, const Loaded *l, const Model *m, const Options *o, const int64_t *sizes, Program *p);

void execute_dispose(Program *p);
int execute_threads(const Program *p); /* that work on a call */

/* Results by Out.id, in C order, in the types outputs are written in.  All memory is the arena's. */
typedef struct Results {
  const Model *model;
  AttnArray *at;
  double seconds; /* of the kernel */
} Results;

bool execute_run(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, Results *r);

/* A call made ready, for callers that time it. */
typedef struct Call {
  const Program *program;
  attn_view *in, *out;
  int64_t *sizes;
  void *workspace;
  size_t workspace_bytes;
} Call;
bool execute_prepare(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, Results *r, Call *c);
/* The same with results whose arrays are there already: any strides; data NULL is not computed. */
bool execute_prepare_for(Arena *arena, const Program *p, const Inputs *in, uint64_t seed, const Results *r, Call *c);
/* The array of an output, data NULL; false after a message. */
bool execute_shape(const Program *p, const Inputs *in, const Out *o, AttnArray *a);
/* False after a message at the place in the model where it went wrong; quiet: into *err alone. */
bool execute_call(const Call *c, attn_error *err);
void execute_report(Arena *arena, const Call *c, const attn_error *err);

#endif
