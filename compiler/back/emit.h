/* emit: reduction IR to LLVM IR, inside the backend.
 *
 * One module a kernel, two functions: the kernel and its workspace size.  The code streams: one scalar
 * element after another, an accumulator is a stack cell that LLVM turns into registers.  A value of the
 * reduction IR is one LLVM value; blocks are made in the order of the code, so a value is defined in a block
 * that dominates its uses whenever the kernel verifies.
 *
 *   emit.c      functions, regions, loops, checks
 *   emit_op.c   scalar operations
 *   emit_acc.c  accumulators
 *   array.c     where arrays lie: views, workspace; loads and stores
 *   target.c    machines, passes, text
 *   jit.c       code in memory */
#ifndef ATTN_BACK_EMIT_H
#define ATTN_BACK_EMIT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "back/back.h"
#include "tile/tile.h"

/* Where an array lies.  The address of an element is data + sum index * stride, strides in elements. */
typedef struct ArrayPlace {
  LLVMValueRef data;
  LLVMValueRef present; /* OUT: the caller wants it */
  LLVMValueRef *dim, *stride;
} ArrayPlace;

typedef struct IndexRange { Val lo, hi; } IndexRange;

typedef struct Types {
  LLVMTypeRef none, i1, i8, i16, i32, i64, f16, f32, f64, ptr;
} Types;

typedef struct Emit {
  Arena *arena;
  const Kernel *k;
  bool f64;
  LLVMContextRef cx;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  Types t;
  LLVMBuilderRef b;
  LLVMBuilderRef cells;     /* at the end of the block of stack cells */
  LLVMValueRef fn;
  LLVMBasicBlockRef start;  /* follows the stack cells */
  LLVMValueRef in, out, sizes, workspace, workspace_bytes, err; /* parameters; err is never NULL */
  LLVMValueRef zero;        /* the element that is read outside arrays */
  LLVMValueRef fail;        /* the cold function that records an error */
  LLVMValueRef *val;        /* by Val; NULL: not emitted in this function */
  IndexRange *range;        /* by Val: what the variable of an emitted loop or axis runs over */
  ArrayPlace *place;        /* by Array.id */
  VEC(Span) sites;
  const TilePlan *plan;     /* NULL: scalar code alone */
  LLVMValueRef tile_space;  /* workspace of the tiles */
} Emit;

/* The module of a kernel: verified, not optimised.  `e` is zeroed but for arena, k, f64, cx, machine. */
void emit_module(Emit *e);

/* ---- emit.c: blocks and loops ------------------------------------------------------------------- */

LLVMBasicBlockRef block_new(Emit *e, const char *name);
void block_go(Emit *e, LLVMBasicBlockRef to); /* branch there and go on there */
/* Goes on in a new block where cond holds; block_go(returned) ends it. */
LLVMBasicBlockRef block_when(Emit *e, LLVMValueRef cond, const char *name);
LLVMValueRef cell_new(Emit *e, LLVMTypeRef type, const char *name);

typedef struct Count { LLVMValueRef index, hi; LLVMBasicBlockRef body, exit; } Count;
/* for (index = lo; index < hi; index++), signed.  Code between enter and leave is the body. */
Count count_enter(Emit *e, LLVMValueRef lo, LLVMValueRef hi);
void count_leave(Emit *e, const Count *c);

/* All instructions of a region; all those whose `pick` (by Val) is `want`. */
void emit_code(Emit *e, const Region *r, const bool *pick, bool want);

/* What code reads: values and arrays, by number. */
typedef struct Need { const Kernel *k; bool *val, *array; } Need;
void need_instr(Need *n, const Instr *i);
/* By Val: the instructions of a region that yield what is needed; adds what those read. */
bool *need_slice(Emit *e, Need *n, const Region *r);
bool emit_has_checks(const Kernel *k, const Loop *l); /* a reduction, or what is inside it */
LLVMValueRef check_fails(Emit *e, const Instr *check); /* without its guard */

/* ---- emit_op.c ---------------------------------------------------------------------------------- */

LLVMTypeRef type_of(const Emit *e, IrType t);
LLVMValueRef const_int(const Emit *e, int64_t v);
LLVMValueRef const_float(const Emit *e, IrType t, double v);
/* A pure operation other than LOAD, its arguments being emitted. */
LLVMValueRef emit_op(Emit *e, const Instr *i);
LLVMValueRef op_convert(Emit *e, LLVMValueRef x, IrType from, IrType to);
LLVMValueRef op_extreme(Emit *e, IrType t, bool max, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef op_math(Emit *e, const char *name, IrType t, LLVMValueRef x); /* of the C library */

/* ---- emit_acc.c --------------------------------------------------------------------------------- */

typedef struct Reduction Reduction;
Reduction *reduction_begin(Emit *e, const Loop *l);
/* Adds the element of the body or the seed, whose instructions are emitted. */
void reduction_add(Emit *e, Reduction *r, bool seed);
/* Runs the axis regions of an element that is not added, for their checks. */
void reduction_pass_over(Emit *e, Reduction *r, bool seed);
void reduction_end(Emit *e, Reduction *r);

/* ---- array.c ------------------------------------------------------------------------------------ */

/* NULL, or why the workspace cannot be laid out: a dimension does not follow from the sizes. */
const char *layout_refusal(Arena *arena, const Kernel *k);
/* Places of the arrays in the workspace, of dimensions that follow from the sizes; returns the bytes needed
 * for one thread in `shared` and those for each thread in `each`, SIZE_MAX where they exceed it. */
typedef struct Layout { LLVMValueRef shared, each, local; } Layout; /* local: of `each`, without the tiles */
Layout layout_workspace(Emit *e);
/* shared + threads * each, and the room to align them, saturating. */
LLVMValueRef layout_total(Emit *e, const Layout *l, LLVMValueRef threads);
LLVMValueRef layout_size(Emit *e, Val v); /* a value that follows from the sizes */
LLVMValueRef layout_add(Emit *e, LLVMValueRef x, LLVMValueRef y); /* saturating */
LLVMValueRef layout_multiply(Emit *e, LLVMValueRef x, LLVMValueRef y);
/* Sets the places' data, after the size of the workspace was checked. */
void layout_place(Emit *e, const Layout *l);

void array_views(Emit *e);                        /* IN and OUT: data and strides */
void array_declare(Emit *e, const Array *a);      /* dimensions, from the values */
LLVMValueRef array_load(Emit *e, const Instr *i); /* IR_LOAD */
void array_store(Emit *e, const Instr *i);        /* IR_STORE */
/* Elements of a workspace array without test of range. */
LLVMValueRef array_points(Emit *e, const Array *a); /* how many */
LLVMValueRef array_at(Emit *e, const Array *a, LLVMValueRef offset);
LLVMValueRef array_get(Emit *e, const Array *a, LLVMValueRef address);
void array_put(Emit *e, const Array *a, LLVMValueRef address, LLVMValueRef value, IrType type);

/* ---- target.c ----------------------------------------------------------------------------------- */

void target_init(void);
/* NULL with *why when the name is unknown. */
LLVMTargetMachineRef target_machine(Arena *arena, const char *cpu, const char **why);
LLVMContextRef target_context(LLVMContextRef cx); /* errors of LLVM become ICEs; returns cx */
void target_optimise(const Emit *e);
/* Sets e->plan where the options and the processor allow tiles. */
void target_plan(Emit *e, const BackOptions *options);

#endif
