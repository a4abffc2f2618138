/* ir: the reduction IR: loops over index sets with reductions in monoids.
 *
 * A Kernel is a tree of Regions.  A region is a list of instructions; instructions are numbered values
 * (Val); an instruction may use values of its own region and of the regions around it, defined before.
 * Nothing is ever changed after it is built: a pass rebuilds the kernel through the builder
 * (ir/build.h), which places every pure operation in the outermost region in which its arguments are
 * known and shares equal ones.
 *
 * Loops:
 *   par    %i in lo..hi { }   independent iterations, which store
 *   seq    %s in lo..hi { }   iterations one after another, which store (iterative inference)
 *   reduce %j in lo..hi { }   iterations feed accumulators and store nothing
 * An accumulator is a commutative monoid over the iterations whose `mask` holds:
 *   sum x   prod x   max x   min x   any x   all x
 *   lse log_w             log sum e^log_w                                    -inf when empty
 *   mass log_w            log sum e^(log_w - max log_w): lse less the maximum, exact     -inf when empty
 *                         where the maximum is so large that log sum would be lost in it
 *   expect log_w of x     sum e^log_w x / sum e^log_w                        0 when empty
 *   entropy log_w         of the normalised weights                          0 when empty
 *   argmax log_w of x     the int x at the largest log_w (ties: smallest x)  -1 when empty
 * Weights of -inf are not there: their x is not looked at.  A log weight that is NaN or +inf makes the
 * results NaN (argmax: -1).  An accumulator may carry axes: one x, and one result, for every point of
 * `axes` (the weight is shared): the expectation of a vector.  Its x is computed in the region `at`.
 * A reduction may have a `seed` region, evaluated once: one more element that is not in the range.
 *
 * What no loop over single elements computes (determinants, matchings) is a `solve`: one call of a routine on
 * temporaries.
 *
 * Types: bool; int (64 bits); real, the build's precision; wide, always f64.  Sums of reductions are
 * carried in wide. */
#ifndef ATTN_IR_IR_H
#define ATTN_IR_IR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/source.h"
#include "base/vec.h"

typedef uint32_t Val; /* index into Kernel.instrs; 0 is no value */

typedef enum { IR_VOID, IR_BOOL, IR_INT, IR_REAL, IR_WIDE } IrType;

typedef enum {
#define IR(ID, name, args, rule) IR_##ID,
#include "ir/op.def"
#undef IR
  IR_OP_COUNT_
} IrOp;

typedef enum { ARRAY_IN, ARRAY_OUT, ARRAY_TEMP, ARRAY_LOCAL } ArrayKind;

/* IN: an input; `elem` is as the caller stores it.  OUT: an output.  TEMP: of the whole kernel, written by
 * par loops before it is read.  LOCAL: the results of an accumulator with axes, valid until the
 * iteration of the region it is declared in ends; or the work space of a `solve`. */
typedef enum { STORE_BOOL, STORE_INT, STORE_REAL, STORE_WIDE, STORE_F16, STORE_BF16, STORE_F32 } StoreType;

typedef struct Region Region;
typedef struct Loop Loop;

typedef struct Array {
  uint32_t id; /* place in Kernel.arrays */
  ArrayKind kind;
  const char *name; /* unique in the kernel */
  StoreType elem;
  IrType type;      /* of a loaded element */
  uint32_t rank;
  Val *dims;
  Region *home;      /* where it is declared */
  uint32_t writes;   /* TEMP, while the kernel is built: see Builder.writes */
  uint32_t external; /* IN: Input.id (see `part`); OUT: Out.id */
  enum { PART_DATA, PART_INDPTR, PART_INDICES } part; /* IN: which array of a graph input */
} Array;

typedef enum {
#define FAMILY(ID, name, function, ints, inputs, outputs) FAMILY_##ID,
#include "ir/family.def"
#undef FAMILY
  FAMILY_COUNT_
} Family;

/* SOLVE: a routine of the runtime on parts of temporaries, those at the leading indices arg[0 .. nat); the integers
 * that it takes are the arguments behind.  `work`: a LOCAL array of its own, that nobody else reads. */
typedef struct Solve {
  Family family;
  uint32_t nat;
  Array **array; /* inputs, then outputs */
  Array *work;
} Solve;

typedef struct Instr {
  IrOp op;
  IrType type;
  Span span;
  Region *home;
  uint32_t narg;
  Val *arg;
  int64_t integer; /* CONST int or bool; SIZE */
  double number;   /* CONST real, wide */
  Array *array;    /* LOAD STORE ARRAY */
  Solve *solve;    /* SOLVE */
  Loop *loop;      /* LOOP; RESULT and INDEX: the loop that defines it (NULL: an axis) */
} Instr;

struct Region {
  Region *parent; /* NULL: the kernel's top */
  uint32_t depth; /* top: 0 */
  Loop *loop;     /* the loop whose body, seed or axis region it is */
  VEC(Val) code;
};

typedef enum {
  ACC_SUM,
  ACC_PROD,
  ACC_MAX,
  ACC_MIN,
  ACC_ANY,
  ACC_ALL,
  ACC_LSE,
  ACC_MASS,
  ACC_EXPECT,
  ACC_ENTROPY,
  ACC_ARGMAX
} AccKind;

typedef struct Axis { Val lo, hi; Val index; } Axis;

/* What one iteration (the body) or the seed contributes. */
typedef struct Contribution {
  Val log_w;  /* LSE MASS EXPECT ENTROPY ARGMAX */
  Val x;      /* all but LSE, MASS, ENTROPY; in region `at` when there are axes */
  Region *at; /* axis region, a child of the body (or seed); NULL without axes */
  Val *index; /* the axes' variables in `at`, naxis of them */
} Contribution;

typedef struct Acc {
  AccKind kind;
  Contribution body, seed; /* seed: log_w and x 0 where the loop has none or it does not contribute */
  uint32_t naxis;
  Axis *axes;       /* bounds lo, hi: int values outside the loop; lo is where the result array starts */
  IrType type;      /* of the result: wide; int for ARGMAX and sums of ints; bool for ANY, ALL */
  Val result;       /* without axes: an IR_RESULT in the loop's region */
  Array *result_at; /* with axes: a LOCAL array of dimensions hi - lo, indexed from 0 */
} Acc;

typedef enum { LOOP_PAR, LOOP_SEQ, LOOP_REDUCE } LoopKind;

struct Loop {
  LoopKind kind;
  Val lo, hi;   /* ints outside the loop; empty if hi <= lo */
  Val index;    /* IR_INDEX, in body */
  Region *body;
  Val mask;     /* REDUCE: bool in body; 0: always true */
  Region *seed; /* REDUCE: NULL: none */
  Val seed_mask; /* 0: always true */
  bool listed;   /* while it is built: `stores` has all temporaries that are stored into inside */
  VEC(Array *) stores;
  VEC(Acc *) accs;
  Span span;
};

typedef struct Kernel {
  Arena *arena;
  const char *name;
  VEC(const char *) sizes;
  VEC(Array *) arrays;
  VEC(Instr) instrs; /* instrs.at[0] is unused */
  Region *top;
} Kernel;

static inline Instr *ir_at(const Kernel *k, Val v) { return &k->instrs.at[v]; }
uint64_t ir_number_bits(double x); /* by which constants are the same: NaN is NaN, 0 is not -0 */

/* Whether v is that constant, of either floating type. */
static inline bool ir_is_number(const Kernel *k, Val v, double number) {
  const Instr *i = ir_at(k, v);
  return i->op == IR_CONST && (i->type == IR_REAL || i->type == IR_WIDE) && i->number == number;
}

static inline bool ir_is_check(IrOp op) {
  return op == IR_CHECK_INDEX || op == IR_CHECK_NONZERO || op == IR_CHECK_CONCAVE || op == IR_CHECK_CLIQUE;
}

/* Sizes and constants alone decide it: it is known before any input is read. */
bool ir_follows_from_sizes(const Kernel *k, Val v);

const char *ir_op_name(IrOp op);
int ir_op_arity(IrOp op);
char ir_op_rule(IrOp op);
static inline bool ir_op_compares(IrOp op) { return ir_op_rule(op) == 'c'; }
const char *ir_type_name(IrType t);
const char *ir_acc_name(AccKind a);
const char *ir_store_name(StoreType t);
const char *ir_array_kind_name(ArrayKind kind);
const char *ir_loop_name(LoopKind kind);
IrType ir_store_type(StoreType t);  /* of a loaded element */
bool ir_acc_takes_log_w(AccKind a); /* reads Contribution.log_w */
bool ir_acc_takes_x(AccKind a);     /* reads Contribution.x */

/* ---- text (.air): print(parse(print(k))) == print(k) ------------------------------------------- */

/* Values are numbered in order of printing, so that equal kernels print equal. */
void ir_print(const Kernel *k, FILE *to);
/* NULL with messages in diags when the text is not a kernel; the result still needs ir_verify. */
struct Diags;
Kernel *ir_parse(Arena *arena, struct Diags *diags, const Source *source);

/* Everything that must hold after any pass: definitions before uses, region nesting, types, ranks,
 * accumulators, no store in a reduction, every OUT stored.  NULL, or what is wrong (on the arena). */
const char *ir_verify(const Kernel *k);

#endif
