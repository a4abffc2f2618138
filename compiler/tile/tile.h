/* tile: in what shapes the streams of a kernel are computed.
 *
 * A `par` loop (rows, index i) whose body holds a `reduce` stream (columns, index j) is a matrix of points.  Every
 * value of the stream is classified by what it depends on: neither (uniform), i (row), j (column), both (tile), and
 * with each of these a feature d, the index of an inner loop or of an axis.  What lacks one of i and j is computed
 * once for a block of rows or columns by ordinary scalar code and kept in buffers: the operands.  What depends on
 * both is computed in register tiles of `rows` x `vectors`.  A stream that has another form stays a scalar loop, and
 * the plan says why.
 *
 * The plan is a function of the kernel and of the target's description; it knows no processor and emits nothing. */
#ifndef ATTN_TILE_TILE_H
#define ATTN_TILE_TILE_H

#include "ir/ir.h"

/* Registers of `lanes` floats each.  dots_bf16, widens_f16: there is an instruction that adds products of pairs of bf16
 * to floats; one that makes floats of f16. */
typedef struct TileTarget {
  uint32_t lanes, registers;
  bool dots_bf16, widens_f16;
  bool undivided; /* a vector of 16 lanes is one operation, not two of 8 */
} TileTarget;

/* A tile: rows x (vectors * lanes) points, of which registers hold rows x (at_once * lanes); at_once divides vectors.
 * Blocks: multiples of it.  hosts: registers are left for the sweep of another tile beside the features of one.
 * pair_line: floats from a row's pairs to the next row's; even. */
typedef struct TileShape {
  uint32_t lanes, rows, vectors, at_once, row_block, col_block, pair_line;
  bool hosts;
} TileShape;

enum { TILE_ROWS = 6, TILE_VECTORS = 4 }; /* of a register tile, at most */
enum { TILE_FEW = 8 }; /* rows of a block, at most, whose columns are read where they lie: packing costs more */
enum { TILE_GROUPED = 96 }; /* rows of a block, at most, that has those of several iterations */
enum {
  TILE_SPAN_BLOCKS = 8
}; /* of columns: what one thread takes of a row at least, where threads share its columns */

/* DEP_DIAGONAL, beside both: it depends on i - j alone, so that a block of rows by columns holds few of its values. */
enum { DEP_ROW = 1, DEP_COL = 2, DEP_FEATURE = 4, DEP_BOTH = DEP_ROW | DEP_COL, DEP_DIAGONAL = 8 };

typedef VEC(Val) ValVec;

typedef struct TileBy { Val v; bool divides; } TileBy;
typedef VEC(TileBy) TileBys;

/* An inner loop over d: operands packed by (row, d) and by (column, d).
 *
 * outer: NULL, or a loop over e in which that of d stands, the sum over e of f(e) times the sums over d; both are one
 * feature (e, d), counted e after e.  product: 0, or what is summed, scaled_row times scaled_col, times f, the factors
 * of which these take: row_by, those that do not depend on the column, and col_by, those that do not depend on the row.
 *
 * is_log: the loop is the log of a sum of products, lse over d of a(i, d) + b(j, d), with top(x) = max_d x equal to
 * top(a) + top(b) + log sum_d e^(a - top(a)) e^(b - top(b)).  log_row, log_col: a and b.
 *
 * is_dot: the loop is the sum of c a(i, d) b(j, d), a and b being elements of bf16 inputs, on a target that has an
 * instruction for it: their bits are packed as they are, two features a word, and products are exact.  dot_row,
 * dot_col: a and b.  c: the product of `by`, the same for all pairs, with another sign where is_negative; the sum is
 * multiplied by it. */
typedef struct TileFeature {
  const Loop *loop, *outer;
  TileBys row_by, col_by;
  Val product, scaled_row, scaled_col;
  ValVec row, col;
  bool is_log, is_dot, is_negative;
  Val log_row, log_col, dot_row, dot_col;
  TileBys by;
} TileFeature;

/* What the pair's sum n is called, and the loop, in the stream's body, that leaves it. */
static inline Val tile_feature_result(const TileFeature *f, uint32_t n) {
  return f->outer ? f->outer->accs.at[0]->result : f->loop->accs.at[n]->result;
}
/* What a sum of the loop adds up, but for factors that operands take. */
static inline Val tile_feature_summed(const TileFeature *f, const Acc *a) {
  return f->product ? f->product : a->body.x;
}
static inline const Loop *tile_feature_whole(const TileFeature *f) { return f->outer ? f->outer : f->loop; }

typedef enum {
  USE_REDUCE,   /* one x a point: sum prod max min any all */
  USE_WEIGHTED, /* lse expect entropy mass argmax */
  USE_CONTRACT  /* an axis c: sum over columns of weight(i, j) * panel(j, c) */
} TileUse;

typedef struct TileAcc {
  const Acc *acc;
  TileUse use;
  uint32_t weight; /* USE_WEIGHTED, and USE_CONTRACT of an expect: place in TileStream.weights */
  Val factor;      /* USE_CONTRACT: a value of the tile that multiplies the weight; 0: none */
  Val panel;       /* USE_CONTRACT: x without the factor: depends on j and c at most; 0: x is the factor */
  TileBys by;      /* USE_CONTRACT: what is the same for all pairs, by which results are multiplied or divided */
  bool rounds; /* an expect whose panel is an element of a bf16 input: its weights are rounded to bf16, and their sum
                  is that of the rounded weights, so that it still is a mean */
} TileAcc;

typedef struct TileWeight { Val body, seed; } TileWeight;

/* What a loop over the columns, before the rows, finds for each of them by going over all rows with the log weight of a
 * pair: its largest, lse and mass (tile_across.c).  around: the loops around it, depth - 1 of them, in order; log_w: in
 * the stream; mask: 0, or which pairs it takes; share: 0, or e^log_w over its sum for the column, there too, or what is
 * made of that and is the same wherever the sum is a number; stores: of the results, at the column; late: what the
 * stream reads of them, operands of columns; asked: whether anything reads the results where the share is known, so
 * that they must be there without scalar code of the rows. */
/* rows of a block that does this, at most; its columns */
enum { TILE_NEST = 7, TILE_ACROSS_ROWS = 64, TILE_ACROSS_COLUMNS = 256 };
typedef struct TileAcross {
  const Loop *around[TILE_NEST], *loop;
  uint32_t depth;
  Val log_w, mask, share;
  ValVec stores, late;
  bool asked;
} TileAcross;

typedef struct TileStream {
  const Loop *loop;
  const char *why;       /* NULL: tiled; else why it stays scalar */
  ValVec row, col;       /* operands without a feature */
  ValVec diagonal;       /* operands that depend on i - j */
  VEC(TileFeature) features;
  VEC(TileAcc) accs;
  VEC(TileWeight) weights;
  ValVec checks;         /* CHECK instructions that depend on both, evaluated on tiles */
  ValVec exceptions;     /* conditions of pairs that the scalar code decides: see tile_permit.c */
  TileShape shape;
  bool few;              /* blocks of few rows have code of their own */
  bool ragged;           /* its range depends on the row */
  const TileAcross *across; /* NULL: there is no such loop */
} TileStream;

typedef struct TileRows {
  const Loop *loop;
  uint8_t *dep;              /* by Val, of values inside the loop; 0 for those around it */
  VEC(TileStream *) streams; /* in the order of the text */
  uint32_t tiled;
  const Loop
      *around; /* the parallel loop around, rows of whose iterations may share a block, from 0 on; NULL: may not */
  Val share;          /* as many iterations as this in turn do; 0: all of them */
  bool ragged;               /* some stream is */
} TileRows;

typedef struct TilePlan {
  const Kernel *k;
  TileTarget target;
  VEC(TileRows *) rows;
} TilePlan;

/* The kernel, or a copy in which streams that then run on tiles have one range for all rows.  tile_widen.c */
const Kernel *tile_widen(Arena *arena, const Kernel *k, const TileTarget *target);
/* Of a verified kernel after the passes, in the precision f32.  Lives on the arena, refers to the kernel. */
TilePlan *tile_plan(Arena *arena, const Kernel *k, const TileTarget *target);
/* Sets TileStream.few, and TileRows.around to NULL where that serves for nothing: sizes: by place in Kernel.sizes,
 * those of the next calls, -1 where not known; NULL: any may come. */
void tile_expect(TilePlan *p, const int64_t *sizes);
/* Sets rows->around and rows->share; the streams are planned.  tile_gather.c */
void tile_gather(Arena *arena, const Kernel *k, TileRows *rows);
/* Sets TileStream.across where all of the plan is made.  tile_across.c */
void tile_across(Arena *arena, TilePlan *p);
/* The rows whose stream does what that loop, the outermost, would; NULL: there are none. */
const TileRows *tile_across_of(const TilePlan *p, const Loop *l);
/* NULL: no such loop, or nothing in it is tiled. */
const TileRows *tile_rows_of(const TilePlan *p, const Loop *l);
/* Whether pairs that the stream's mask leaves out may be passed over: no check matters for them that is not asked with
 * their row. */
bool tile_passes_over(const Kernel *k, const TileRows *rows, const Loop *stream);
/* Whether it has a use for TileTarget.dots_bf16. */
bool tile_has_dots(const TilePlan *p);
/* As text: operands, accumulators, shapes; for streams that are not tiled, why. */
void tile_print(const TilePlan *p, FILE *to);

/* Whether the output of that number (Array.external) is made from weights that a stream rounds (TileAcc.rounds). */
bool tile_rounds(Arena *arena, const TilePlan *p, uint32_t out);

/* ---- tile_ragged.c: lines, which are computed in vectors along one index, outside tiles ------------- */

enum { TILE_LINE_ACCS = 4, TILE_GATHER_BLOCK = 64 }; /* sums of one loop; elements of a block */

bool tile_in_blocks(const TilePlan *p, const Loop *l);     /* a stream that is taken in blocks of elements */
bool tile_sums_line(const TilePlan *p, const Loop *l);   /* a reduction that sums lines along its index */
bool tile_stores_line(const TilePlan *p, const Loop *l); /* a parallel loop that stores lines */
/* A product of elements of inputs that are widened before anything is done with them, or of sums and multiples of such
 * by what is steady, or of two numbers of latents: exact in f64. */
bool tile_exact_product(const Kernel *k, Val v, bool (*steady)(const void *ctx, Val v), const void *ctx);
bool tile_has_vector_form(IrOp op, bool wide); /* wide: also of values that scalar code computes in f64 */
bool tile_line_depends(const Kernel *k, Val v, Val index);
int tile_line_place(const Kernel *k, const Instr *load,
                    Val index); /* which index of a load is this, all others lacking it; -1 */

/* Whether all iterations of a reduction are the same: a multiple of one, in which there is nothing for a tile. */
bool tile_repeats(const Kernel *k, const Loop *l);


#endif
