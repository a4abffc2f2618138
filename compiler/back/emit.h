/* emit: reduction IR to LLVM IR, inside the backend.
 *
 * One module a kernel, two visible functions: the kernel and its workspace size.  The code streams: one scalar
 * element after another, an accumulator is a stack cell that LLVM turns into registers.  A value of the
 * reduction IR is one LLVM value; blocks are made in the order of the code, so a value is defined in a block
 * that dominates its uses whenever the kernel verifies.
 *
 *   module.c    the functions of a module
 *   emit.c      regions, loops, checks
 *   need.c      which instructions are needed for what is read
 *   emit_op.c   scalar operations
 *   emit_acc.c  accumulators
 *   lanes*.c    operations on vectors of elements (lanes.h); doubles.c: exponentials and logarithms of doubles
 *   line.c      runs of neighbouring elements, in vectors
 *   gather*.c   streams in blocks of elements, whose values are lines (gather_parts.h)
 *   beside*.c   iterations side by side, in vectors (beside.h)
 *   tile_*.c    register tiles (tile.h)
 *   layout.c    where the arrays of the workspace lie
 *   array.c     views of inputs and outputs; loads and stores
 *   array_run.c elements side by side, as vectors
 *   element.c   what is stored of a value
 *   solve.c     calls of routines of the runtime
 *   nest.c      loops as one space of rows, cut into blocks and items
 *   parallel.c  independent iterations as tasks for threads
 *   task.c      the functions that compute the rows of an item
 *   share.c     the function that runs tasks
 *   balance.c   rows of uneven cost
 *   pieces.c    long rows, piece by piece
 *   interchange.c  a sequence of steps over parallel iterations, run by run
 *   workspace.c how large the workspace is, told without a kernel
 *   dispatch.c  one kernel for several processors
 *   target.c    machines, passes, text
 *   object.c    object files, made side by side
 *   jit.c       code in memory
 *   cache.c     code kept between processes */
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

enum { LEVELS = 4 }; /* of x86-64 that one object may serve, see dispatch.c */

typedef struct IndexRange { Val lo, hi; } IndexRange;

/* Bytes of the workspace.  local: of `each`, without the tiles; arrays: of `shared`, without the states of spans. */
typedef struct Layout { LLVMValueRef shared, each, local, arrays; } Layout;

typedef struct Types {
  LLVMTypeRef none, i1, i8, i16, i32, i64, f32, f64, ptr;
} Types;

typedef struct Emit {
  Arena *arena;
  const Kernel *k;
  bool f64;
  LLVMContextRef cx;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  ArenaOwned *own_machine, *own_context, *own_builders; /* a jump for want of memory loses nothing */
  const char *cpu, *features; /* of the functions being emitted */
  const int64_t *fixed;       /* by place in Kernel.sizes: the one value compiled for; -1: any.  NULL: all any */
  bool levels;                /* one kernel for each of several processors, chosen when first called */
  Types t;
  LLVMBuilderRef b;
  LLVMBuilderRef cells;     /* at the end of the block of stack cells */
  LLVMValueRef fn;
  LLVMBasicBlockRef start;  /* follows the stack cells */
  LLVMValueRef in, out, sizes, workspace, workspace_bytes, pool, err; /* parameters; err is never NULL */
  const char *name;         /* of the kernel function being emitted */
  bool in_task;             /* inside iterations that threads share */
  bool sized;               /* the workspace was found large enough, so that sums of sizes do not overflow */
  uint32_t tasks;
  LLVMValueRef zero;        /* the element that is read outside arrays */
  LLVMValueRef fail;        /* the cold function that records an error */
  LLVMValueRef share;       /* the function that hands items to threads */
  LLVMValueRef need;        /* the function that says how large the workspace must be */
  LLVMValueRef *val;        /* by Val; NULL: not emitted in this function */
  IndexRange *range;        /* by Val: what the variable of an emitted loop or axis runs over */
  ArrayPlace *place;        /* by Array.id */
  uint32_t *own;            /* by Array.id: how many leading dimensions an iteration has to itself, see own.c */
  VEC(Span) sites;
  unsigned beside;          /* how many iterations of a loop outside tiles are computed side by side; 0: one */
  unsigned level_beside[LEVELS];
  const TilePlan *plan;     /* NULL: scalar code alone */
  const TilePlan *level_plan[LEVELS]; /* of the kernels, where there are levels */
  int nlevels;              /* of them, from the oldest on: the last is left out where it is the one before */
  Layout layout;            /* of the kernel */
  LLVMValueRef tile_space;  /* workspace of the tiles */
  LLVMValueRef threads;     /* of the pool; 1 without one */
  LLVMValueRef split_space; /* states of spans that threads share */
  const struct Pieces *pieces; /* of the stream in rows of the present loop; NULL: it is not cut */
  LLVMValueRef run_first, run_count; /* of the iterations of parallel loops those that are computed now; NULL: all */
  const TileRows *shared_rows; /* whose blocks are shared out among threads, and how many rows these have; NULL: none */
  LLVMValueRef block_rows, row;        /* row: the number of the one being computed */
  LLVMValueRef group; /* iterations of the loop around the rows that share a block (tile_group.c); NULL: none do */
  LLVMValueRef odd_rows; /* the function of those that tiles leave to scalar code; NULL: they are emitted in place */
  LLVMValueRef column;   /* the function that does what a loop over columns does for one (tile_across.c) */
  LLVMValueRef pack;                   /* the function that packs a block of columns, likewise */
} Emit;

/* ---- module.c ------------------------------------------------------------------------------------ */

/* The module of a kernel: verified, not optimised.  `e` is zeroed but for arena, k, cx and what target_choose sets. */
void emit_module(Emit *e);
/* Around other functions in a module of their own. */
void emit_begin(Emit *e);
void emit_finish(Emit *e);

void function_begin(Emit *e, const char *name, LLVMTypeRef type);
void function_end(Emit *e, LLVMValueRef result);   /* NULL: of a function without one */
void function_attribute(Emit *e, LLVMValueRef f, unsigned at, const char *name);
/* Notes that the function being emitted takes a vanishing share of a kernel's time: code for it is made in a hurry. */
void function_brief(Emit *e);
bool function_is_brief(LLVMValueRef f);
/* A field of a structure, its offset in bytes. */
LLVMValueRef field_at(Emit *e, LLVMValueRef base, size_t offset);
/* Records an error unless there is one, and returns. */
void emit_failure(Emit *e, LLVMValueRef status, LLVMValueRef site, LLVMValueRef value, LLVMValueRef limit);
void begin_error(Emit *e); /* err may be NULL; its status starts at 0 */
LLVMTypeRef kernel_type(const Emit *e);

/* ---- emit.c: blocks, loops, checks ------------------------------------------------------------------ */

LLVMBasicBlockRef block_new(Emit *e, const char *name);
void block_go(Emit *e, LLVMBasicBlockRef to); /* branch there and go on there */
/* Goes on in a new block where cond holds; block_go(returned) ends it. */
LLVMBasicBlockRef block_when(Emit *e, LLVMValueRef cond, const char *name);
LLVMValueRef cell_new(Emit *e, LLVMTypeRef type, const char *name);

typedef struct Count { LLVMValueRef index, hi; LLVMBasicBlockRef body, exit; } Count;
/* for (index = lo; index < hi; index++), signed.  Code between enter and leave is the body. */
Count count_enter(Emit *e, LLVMValueRef lo, LLVMValueRef hi);
void count_leave(Emit *e, const Count *c);
Count loop_enter(Emit *e, const Loop *l); /* the same for the iterations of a loop */

/* All instructions of a region; all those whose `pick` (by Val) is `want`. */
void emit_code(Emit *e, const Region *r, const bool *pick, bool want);

/* i1: whether someone reads what a loop that stores leaves: a temporary, or an output that the caller wants. */
LLVMValueRef emit_wanted(Emit *e, const Loop *l);
void emit_instr(Emit *e, Val v);
/* Records the error of a check where it fails. */
void emit_check_failure(Emit *e, const Instr *check, LLVMValueRef fails, LLVMValueRef x, LLVMValueRef limit);
LLVMValueRef check_fails(Emit *e, const Instr *check); /* without its guard */

/* ---- need.c -------------------------------------------------------------------------------------- */

/* What code reads: values and arrays, by number. */
typedef struct Need { const Kernel *k; bool *val, *array; } Need;
void need_instr(Need *n, const Instr *i);
/* By Val: the instructions of a region that yield what is needed; adds what those read. */
bool *need_slice(Emit *e, Need *n, const Region *r);
/* By Val: the instructions of r that come before the branch on its mask. */
bool *need_before_mask(Emit *e, const Region *r, Val mask);

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
/* emit.c: all elements of the body from lo to hi, instead of its whole range. */
void reduction_body(Emit *e, Reduction *r, LLVMValueRef lo, LLVMValueRef hi);

/* ---- own.c -------------------------------------------------------------------------------------- */

void own_find(Emit *e); /* sets own */

/* ---- layout.c ----------------------------------------------------------------------------------- */

/* NULL, or why the workspace cannot be laid out: a dimension does not follow from the sizes. */
const char *layout_refusal(Arena *arena, const Kernel *k);
/* Places of the arrays in the workspace, of dimensions that follow from the sizes; returns the bytes needed
 * for one thread in `shared` and those for each thread in `each`, SIZE_MAX where they exceed it. */
Layout layout_workspace(Emit *e);
/* The same where the bytes needed in all are known. */
Layout layout_within(Emit *e, LLVMValueRef shared, LLVMValueRef each);
/* shared + threads * each, and the room to align them, saturating. */
LLVMValueRef layout_total(Emit *e, const Layout *l, LLVMValueRef threads);
LLVMValueRef layout_size(Emit *e, Val v); /* a value that follows from the sizes */
LLVMValueRef layout_add(Emit *e, LLVMValueRef x, LLVMValueRef y); /* saturating */
LLVMValueRef layout_multiply(Emit *e, LLVMValueRef x, LLVMValueRef y);
/* Sets the places' data for a thread, after the size of the workspace was checked. */
void layout_place(Emit *e, const Layout *l, LLVMValueRef thread);

/* ---- element.c ---------------------------------------------------------------------------------- */

LLVMTypeRef array_stored_type(const Emit *e, StoreType s);
int64_t array_stored_bytes(const Emit *e, StoreType s);
LLVMValueRef array_decode(Emit *e, const Array *a, LLVMValueRef raw); /* a stored element as a value of a->type */
LLVMValueRef array_encode(Emit *e, const Array *a, LLVMValueRef x, IrType type); /* x, of that type, as it is stored */

/* ---- module.c, graph.c -------------------------------------------------------------------------- */

/* The kernel returns with that status where cond holds. */
void refuse_when(Emit *e, LLVMValueRef cond, attn_status status, int site, LLVMValueRef value, LLVMValueRef limit);
void check_graphs(Emit *e); /* rows in order, within what is listed */

/* ---- array.c ------------------------------------------------------------------------------------ */

bool array_in_workspace(const Array *a);               /* TEMP and LOCAL */
ArrayPlace *array_place_in(Emit *e, const Array *a);   /* with room for its dimensions and strides */
void array_views(Emit *e);                             /* IN and OUT: data and strides */
void array_declare(Emit *e, const Array *a);           /* dimensions, from the values */
bool array_within(const Emit *e, Val index, Val dim);  /* proved */
LLVMValueRef array_load(Emit *e, const Instr *i);      /* IR_LOAD */
LLVMValueRef array_load_bits(Emit *e, const Instr *i); /* of an input, as it is stored */
void array_store(Emit *e, const Instr *i);             /* IR_STORE */
LLVMValueRef array_points(Emit *e, const Array *a);    /* how many */
LLVMValueRef array_bytes(Emit *e, const Array *a);
/* Elements without test of range: the address of one, by its offset in elements; its value. */
LLVMValueRef array_at(Emit *e, const Array *a, LLVMValueRef offset);
LLVMValueRef array_get(Emit *e, const Array *a, LLVMValueRef address);
void array_put(Emit *e, const Array *a, LLVMValueRef address, LLVMValueRef value, IrType type);

/* ---- array_run.c: consecutive elements along one dimension of a load ------------------------------ */

bool array_has_runs(const Array *a); /* of floats */
/* Whether the elements from lo to hi along that dimension are there, side by side. */
LLVMValueRef array_run_holds(Emit *e, const Instr *i, uint32_t along, LLVMValueRef lo, LLVMValueRef hi);
/* `count` of them from the indices that are emitted, as floats or doubles. */
LLVMValueRef array_run(Emit *e, const Instr *i, uint32_t along, unsigned count);
/* Under a mask what it leaves out is 0, and not read; NULL: all. */
LLVMValueRef array_run_part(Emit *e, const Instr *i, uint32_t along, unsigned count, LLVMValueRef mask);
LLVMValueRef array_run_bits(Emit *e, const Instr *i, uint32_t along, unsigned count); /* as they are stored */
/* Has the cache fetch the run that lies `ahead` further along another dimension, and no fewer than `least` elements; it
 * need not be there. */
void array_run_ahead(Emit *e, const Instr *i, uint32_t along, uint32_t across, int64_t ahead, int64_t least);
/* Where its first element lies, and how many bytes further on the one is with the next index `across`. */
LLVMValueRef array_run_at(Emit *e, const Instr *i, uint32_t along, uint32_t across, LLVMValueRef *bytes);
/* `count` elements of an array from that address on, as floats or doubles; as they are stored. */
LLVMValueRef array_floats_from(Emit *e, const Array *a, LLVMValueRef address, unsigned count);
LLVMValueRef array_bits_from(Emit *e, const Array *a, LLVMValueRef address, unsigned count);
void array_fetch(Emit *e, LLVMValueRef address); /* into the second cache; it need not be there */
/* Has a cache, the first or the second, fetch the line `bytes` behind where the run begins; it need not be there. */
typedef enum { FETCH_FIRST, FETCH_SECOND, FETCH_STORE } Fetch;
void array_run_fetch(Emit *e, const Instr *load, uint32_t along, LLVMValueRef bytes, Fetch to);
Instr array_place(const Instr *store); /* the load of what is stored */
LLVMValueRef array_run_bytes(Emit *e, const Array *a, LLVMValueRef extent); /* that a run of so many elements has */
/* A run that is stored along the last index, of elements of the build's precision. */
LLVMValueRef array_store_holds(Emit *e, const Instr *i, LLVMValueRef lo, LLVMValueRef hi);
void array_store_run(Emit *e, const Instr *i, LLVMValueRef x, LLVMValueRef mask);

/* ---- solve.c ------------------------------------------------------------------------------------ */

void emit_solve(Emit *e, const Instr *i); /* IR_SOLVE */

/* ---- parallel.c --------------------------------------------------------------------------------- */

/* Whether a region is run by one thread: no loop around it is parallel or a reduction. */
bool is_alone(const Region *r);
void emit_share(Emit *e); /* share.c: the function that emit_parallel calls */
/* A parallel loop of a region that is_alone, its iterations shared among the threads of the pool. */
void emit_parallel(Emit *e, const Loop *l);
/* Whether it may be e->run_count iterations from e->run_first. */
bool parallel_takes_runs(const Emit *e, const Loop *l);
LLVMValueRef parallel_split_bytes(Emit *e); /* of the states of spans that threads share, at e->threads threads */

/* ---- task.c: calls from the code of a block of rows ----------------------------------------------- */

void task_pack(Emit *e, LLVMValueRef first);    /* e->pack, for the present block and span */
void task_odd_row(Emit *e, LLVMValueRef at);    /* e->odd_rows, for a row of the present block */
void task_column(Emit *e, LLVMValueRef column); /* e->column */
/* Of the present row the elements from `from` on (pieces.c). */
void task_piece(Emit *e, LLVMValueRef from, LLVMValueRef state);

/* ---- interchange.c ------------------------------------------------------------------------------ */

/* Emits a sequence of a region that is_alone, run by run; false: its order matters. */
bool interchange(Emit *e, const Loop *seq);

/* ---- dispatch.c --------------------------------------------------------------------------------- */

/* The function `name` that calls, of the kernels given, the one for the best processor that this one is. */
typedef struct Level { const char *name, *cpu, *features; } Level;
extern const Level levels[LEVELS]; /* from the oldest to the newest */
void emit_dispatch(Emit *e, const char *name, const LLVMValueRef *kernel);

/* ---- target.c ----------------------------------------------------------------------------------- */

/* Sets e->machine, which the arena owns, for BackOptions.triple and cpu; false with *why when they are unknown. */
bool target_machine(Emit *e, const BackOptions *o, const char **why);
/* Sets what follows from the options, arena and k being set; false with *why where they cannot be followed. */
bool target_choose(Emit *e, const BackOptions *o, const char **why);
void target_context(Emit *e); /* sets e->cx, which the arena owns; errors of LLVM become ICEs */
/* Whether the module is small enough to be compiled in reasonable time; why: of what is not. */
uint32_t target_count(LLVMValueRef f); /* instructions of a function */
bool target_fits(const Emit *e, const char **why);
const char *target_too_large(Arena *arena);
void target_end(Emit *e);     /* gives back the context, if any, and the machine */
void target_optimise(const Emit *e);
void target_sanitize(const Emit *e); /* after the passes */
void target_hurry(const Emit *e);     /* over functions that are brief; the last step before code is made */
void target_merge(const Emit *e);     /* drops instructions that nobody reads, and functions that others equal */

#endif
