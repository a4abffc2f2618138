/* tile: streams that the plan found to be matrices, emitted as register tiles.
 *
 * For every block of rows:
 *     rows     scalar code computes what belongs to a row (and to a row and a feature), and sets the states
 *     for every block of columns:
 *       columns  scalar code computes what belongs to a column, into panels
 *       for every strip of rows:
 *         features  the inner loops of each pair, tile by tile, into buffers that fit in L1
 *         sweep     vector by vector: log weights and other values of the pairs from these; 2^(log_w - m), m the row's
 *                   reference, is summed and kept; of one tile between parts of the next one's features
 *         contract  the kept weights times the panels of x
 *     results  the scalar code of the row's body, the streams' results being read from the states
 *
 * Anything unusual (an x that is no number in a pair that has weight, a check that may fail, a constant out of the
 * range of f32) sets the flag `odd` of the row, or of the block of rows where it belongs to no row.  Their results then
 * come from the scalar code alone: exact, reporting, and rare.
 *
 * Precision: inside a block of columns sums are in f32; over the blocks the mass and scalar states are f64, vectors
 * f32.
 *
 *   tile_rows.c    blocks of rows, spans of columns
 *   tile_space.c   their places in the workspace
 *   tile_state.c   the state of a row, and its results
 *   tile_pack.c    operands of rows and columns, by scalar code
 *   tile_check.c   checks that are decided there
 *   tile_panel.c   vectors of columns along an axis
 *   tile_group.c   blocks with rows of several iterations of the loop around
 *   tile_line.c    an operand along its feature, in vectors
 *   tile_half.c    the same of bf16, as bits
 *   tile_value.c   values of a register tile
 *   tile_load.c    elements that its lanes read each for itself
 *   tile_feature.c its loops over features
 *   tile_place.c   columns that are read where they lie
 *   tile_narrow.c  the same, lanes being rows
 *   tile_patch.c   such columns, contracted
 *   tile_affine.c  log weights, their factors being carried into operands
 *   tile_stream.c  strips: features, sweep, contract
 *   tile_sweep.c   the sweep over the pairs of a row
 *   tile_aside.c   the same beside another loop
 *   tile_carried.c what goes around a sweep's loop
 *   tile_reference.c  the reference of a row, and states relative to it
 *   tile_merge.c   states of parts of the columns
 *   tile_mask.c    which blocks a mask leaves empty or full
 *   tile_across.c  sums over the rows, for each column of a block */
#ifndef ATTN_BACK_TILE_H
#define ATTN_BACK_TILE_H

#include "back/emit.h"
#include "back/lanes.h"
#include "tile/tile.h"

/* Where an operand of the tile code comes from; FROM_LOG_PAIR: the buffer holds e to it, less the tops; FROM_SHARE:
 * what Tile.parts holds, times the column's inverse. */
typedef enum {
  FROM_NOWHERE,
  FROM_ROW,
  FROM_COL,
  FROM_ROW_FEATURE,
  FROM_COL_FEATURE,
  FROM_DIAGONAL,
  FROM_PAIR,
  FROM_LOG_PAIR,
  FROM_SHARE
} TileSource;

/* scratch: lines of as many columns as a vector has lanes, FROM_COL_FEATURE of 4 bytes; of rows as tile_narrow.c wants
 * them.  top: of a factor of a log of a sum of products its largest value, one a row or column; its lines hold e^(value
 * - top). */
typedef struct TileOperand {
  TileSource from;
  LLVMValueRef at, scratch, top;
  uint32_t feature;
  struct TileFactor *factor; /* by which it is multiplied when it is packed; NULL: 1 */
  bool is_scaled;            /* the value read is a term of a log weight, with the factor that it has there */
} TileOperand;

/* number times (or through) values that are the same for all pairs.  exact: of a value that is no log weight, in which
 * sums of logs keep their law that -inf wins. */
enum { TILE_FACTORS = 4 };
typedef struct TileFactorBy { Val v; bool divides; } TileFactorBy;
typedef struct TileFactor { double number; bool exact; uint32_t n; TileFactorBy by[TILE_FACTORS]; } TileFactor;

/* Log weights are kept in base 2, in which an exponential is cheapest: scores, maxima and the sums of entropies. */
#define TILE_LOG2_E 1.44269504088896340736
#define TILE_LN_2 0.69314718055994530942
#define TILE_SUM_LEAST 1e-30 /* of products of numbers up to 1: far from where f32 ends */

/* Buffers of one weight.  part: 2^(log_w - m), m the row's reference, which is kept in max; [row of the strip][column
 * of the block]; NULL: nobody contracts it. half: the same rounded to bf16, for accumulators that round. */
typedef struct WeightSpace { LLVMValueRef part, half, max, mass; } WeightSpace;

/* x: values of the pairs times their weight, as part.  panel: [axis / panel_width][column][panel_width].  sum: [row of
 * the block][axis, padded]. state: one a row of the block; of one that rounds, the sum of the rounded weights, where
 * that is not the weight's mass.  There the panel holds bf16, [axis / panel_width][column / 2][panel_width][2], and
 * scratch lines of it. */
typedef struct AccSpace { LLVMValueRef x, panel, sum, state, extent, padded, scratch; } AccSpace;

typedef struct Tile {
  Emit *e;
  const TileRows *rows;
  const TileStream *s;
  Lanes l;
  uint32_t nrow, nvec, width; /* of the tile; width: its columns */
  uint32_t panel_width;       /* of a line of a panel: what registers hold sums of */
  uint32_t unit;              /* vectors of a row that are swept side by side: 1 or nvec */
  TileOperand *operand;       /* by Val */
  LLVMValueRef *extent;       /* of feature loops, as TileStream.features: at least 0; where one is_dot, in pairs */
  LLVMValueRef *padded;       /* the same, up to a multiple of the lanes: how lines lie */
  WeightSpace *weight;
  AccSpace *acc;
  LLVMValueRef odd;           /* cell, i1 */
  LLVMValueRef kept_odd;      /* the same, in the states of a span; some_bad is kept behind it */
  LLVMValueRef odd_rows;      /* of single rows, in their states, i32 */
  LLVMValueRef row_odd;       /* cell, i1: of the row being swept */
  VEC(struct TileLeaf *) leaves; /* data in the mask */
  /* where the code being emitted stands */
  LLVMValueRef first_row, rows_in_block; /* the block of rows; rows: at least 1 */
  LLVMValueRef period;        /* NULL, or after how many rows of the block their index begins again */
  LLVMValueRef first_col, cols_in_block, tiles;
  LLVMValueRef bad, some_bad; /* columns of the block with an x that is no number, i32; cell, i1: whether there are */
  LLVMValueRef vec_lo, vec_hi; /* vectors of the block that may hold a pair of the strip: vec_lo..vec_hi, not empty */
  LLVMValueRef all, partial;  /* i1: all pairs of the strip are there; else cells of i1 by tile: some pair is missing */
  LLVMValueRef parts,
      inverse; /* of TileStream.across: by pair, e^(log weight - the column's largest); by column, 1 / their sum */
  LLVMValueRef in_place,
      lost; /* NULL, or i1: columns are read where they lie; cell, i1: the span must be taken from panels */
  LLVMValueRef strip;         /* number of the strip in the block of rows */
  LLVMValueRef
      pair_row; /* where the strip's rows begin in buffers of pairs, which hold all of a block read in place; NULL: 0 */
  LLVMValueRef strip_lo, strip_hi; /* cells by strip: columns that it has weights of, where they are read in place */
  LLVMValueRef live_rows;     /* of the strip: how many are swept; others are there for the registers' sake */
  LLVMValueRef column;        /* number of the register tile in the block of columns */
  LLVMValueRef vector;        /* of the block, the first of those that are computed; NULL: the tile's */
  LLVMValueRef feature;       /* d - lo */
  LLVMValueRef alive;         /* which pairs of that vector are there; NULL: all */
  LLVMValueRef live; /* cells of bits, a vector's together: which pairs of the strip are there; NULL: not kept */
  struct TileAside *aside;    /* NULL: the stream has no feature loops */
  LLVMValueRef here_row, here_column; /* one vector of pairs: row of the strip, first column of the block; else NULL */
  LLVMValueRef **memo;        /* by Val: values of the tile, [row][vector] */
  VEC(LLVMValueRef *) memos;  /* filled cells, in order */
} Tile;

/* ---- tile_space.c ------------------------------------------------------------------------------- */

/* Bytes of a thread's workspace for all tiled loops. */
LLVMValueRef tile_workspace(Emit *e);
/* Bytes of the tiled loops around this one, whose places it must leave alone. */
LLVMValueRef tile_bytes_around(Emit *e, const TileRows *rows);
/* One Tile for every stream; NULL for those that are not tiled.  Returns the bytes, which is all where base is NULL. */
LLVMValueRef tile_spaces(Emit *e, const TileRows *rows, LLVMValueRef base, Tile **tiles);
/* The same of the states of a block and a span. */
LLVMValueRef tile_place_states(Emit *e, const TileRows *rows, Tile *t, LLVMValueRef base);
LLVMValueRef tile_extent(Emit *e, Val lo, Val hi); /* of a range that follows from the sizes: at least 0 */

/* ---- tile_state.c: of the row of number `at` in the block ----------------------------------------- */

/* seeded: NULL for always; of the spans of a row's columns the first alone takes the seed. */
void tile_begin_row(Tile *t, LLVMValueRef at, LLVMValueRef seeded);
/* Gives the accumulators' results the values of the row. */
void tile_load_results(Tile *t, LLVMValueRef at);

/* ---- tile_rows.c -------------------------------------------------------------------------------- */

/* Emits a loop over rows of which something is tiled. */
void tile_rows(Emit *e, const TileRows *rows);
/* The same in pieces: how many rows a block takes; the block of that number. */
uint32_t tile_block_rows(const TileRows *rows);
void tile_block(Emit *e, const TileRows *rows, LLVMValueRef block);
/* A row of that block by scalar code, where Emit.odd_rows asks for one. */
void tile_odd_row(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef at);

/* Spans: the columns of a stream cut into runs of the same length, which follows from the target alone.  The state of a
 * row after all columns is that of the first span merged with that of the second, and so on; so its bits do not depend
 * on whether spans were computed one after another or by several threads. */
bool tile_has_spans(const Kernel *k, const TileRows *rows);
LLVMValueRef tile_spans(Emit *e, const TileRows *rows);       /* how many: at least 1 */
LLVMValueRef tile_state_bytes(Emit *e, const TileRows *rows); /* of a block and a span */
LLVMValueRef tile_own_state(Emit *e, const TileRows *rows, uint32_t which); /* two places of the thread's own: 0, 1 */
/* Whether the mask may admit a pair of the block in the span (i1), by what is known of indices alone. */
LLVMValueRef tile_span_may(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef span);
void tile_span_begin(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef span, LLVMValueRef state);
/* One that has begun.  panels: i1: nothing is to be read in place.  Returns NULL, or i1: it must be begun and done once
 * more, from panels. */
LLVMValueRef tile_span(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef span, LLVMValueRef state,
                       LLVMValueRef panels);
/* The block of columns from `first`, where Emit.pack asks for it. */
void tile_span_pack(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef span, LLVMValueRef state,
                    LLVMValueRef first);
void tile_merge(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef into, LLVMValueRef from);
void tile_finish(Emit *e, const TileRows *rows, LLVMValueRef block, LLVMValueRef state);

/* ---- tile_group.c ------------------------------------------------------------------------------- */

bool group_is(const Emit *e,
              const TileRows *rows); /* whether blocks may have rows of several iterations, Emit.group of them */
LLVMValueRef group_rows(Emit *e, const TileRows *rows);   /* from the iteration that the loop around is at */
LLVMValueRef group_period(Emit *e, const TileRows *rows); /* rows of one iteration; at least 1 */
/* Between begin and end the loop around may be at another iteration: that of the row of that number, counted from the
 * first row of the iteration that it was at. */
LLVMValueRef *group_begin(Emit *e, const TileRows *rows);
void group_row(Emit *e, const TileRows *rows, LLVMValueRef *kept, LLVMValueRef number);
void group_end(Emit *e, const TileRows *rows, LLVMValueRef *kept);

/* ---- tile_merge.c ------------------------------------------------------------------------------- */

void tile_merge_row(Tile *into, Tile *from, LLVMValueRef row);

/* ---- tile_pack.c -------------------------------------------------------------------------------- */

void tile_pack_row(Tile *t, LLVMValueRef at);  /* operands of the row e->val[rows->index], local number `at` */
void tile_pack_columns(Tile *t);               /* panels and operands of the block of columns */
void tile_pack_columns_bare(Tile *t);         /* the same without what is read in place */
void tile_pack_column_values(Tile *t, const ValVec *values); /* some operands of columns alone */
void tile_pack_values_between(Tile *t, const ValVec *values, LLVMValueRef from,
                              LLVMValueRef to); /* of these columns of the block */
void tile_pack_diagonals(Tile *t);             /* operands of i - j in the block of rows and columns */
void tile_need_row(const Tile *t, Need *n);    /* what tile_pack_row reads from the body of the rows */
LLVMValueRef tile_get(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef at);
void tile_put(Emit *e, LLVMValueRef base, LLVMValueRef at, LLVMValueRef value);
LLVMValueRef tile_address(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef at);
LLVMValueRef tile_padded(const Tile *t, LLVMValueRef extent);
void tile_odd(Tile *t, LLVMValueRef cond);
LLVMValueRef tile_infinite(Emit *e, IrType t, LLVMValueRef x); /* of a scalar */

/* ---- tile_check.c, tile_panel.c ----------------------------------------------------------------- */

/* Whether no check is decided where columns are packed along a feature or an axis. */
bool tile_columns_unchecked(const Tile *t);
void tile_mark_bad(Tile *t, LLVMValueRef column, LLVMValueRef cond); /* number in the block; i1 */

/* ---- tile_half.c -------------------------------------------------------------------------------- */

/* The operand of the row or column in whose registers e->val is, number `at` in the block, of feature loop k, which
 * is_dot. slot: of columns: which line of the scratch; pick: of the loop's region. */
void tile_half_line(Tile *t, uint32_t k, const bool *pick, LLVMValueRef at, LLVMValueRef slot, bool columns);
/* The same of the panel of acc k, which rounds; then lines of as many columns as a vector has lanes become words. */
void tile_half_axis(Tile *t, uint32_t k, const bool *pick, LLVMValueRef at, LLVMValueRef slot);
void tile_half_interleave(Tile *t, uint32_t k, LLVMValueRef group);
/* Whether nothing but means that round are made from weight w: then its mass is that of the rounded weights.  Else
 * these means have a mass of their own (AccSpace.state). */
bool tile_half_is_mass(const TileStream *s, uint32_t w);
bool tile_half_has_mass(const TileStream *s, uint32_t k); /* of acc k */
void tile_half_masses(Tile *t); /* of the strip, once its weights are there: adds them to the states of its rows */
/* Of vectors of twice as many words of 16 bits as there are lanes: the smaller sizes of numbers, 0 counting as the
 * largest (so_far: NULL: none yet); whether one is so small that it is bad, in a panel or else a feature.  Lines of two
 * columns as words. */
LLVMValueRef tile_half_smaller(Tile *t, LLVMValueRef so_far, LLVMValueRef bits);
LLVMValueRef tile_half_is_small(Tile *t, LLVMValueRef smallest, bool panel);
LLVMValueRef tile_half_pairs(Tile *t, LLVMValueRef even, LLVMValueRef odd);
bool tile_half_is_any(const Tile *t); /* whether a feature loop is_dot */
LLVMValueRef tile_half_scaled(Tile *t, uint32_t k,
                              LLVMValueRef sum); /* a result of feature loop k, of any kind: with its factor */
void tile_half_check(Tile *t); /* of a block of rows: factors with which the sums may leave the range of f32 */

/* ---- tile_line.c -------------------------------------------------------------------------------- */

/* A line's values for features lo..lo + extent: how many of them are computed in lanes, a multiple of these. */
LLVMValueRef tile_line_full(Tile *t, const ValVec *values, Val feature, LLVMValueRef lo, LLVMValueRef extent);
bool tile_line_may(LLVMValueRef full); /* whether it may be more than none; a number where sizes are known */
LLVMValueRef tile_line_value(Tile *t, Val v, Val feature); /* from the feature at e->val[feature] */
LLVMValueRef tile_line_bits(Tile *t, Val v, Val feature);  /* of a load of half precision */
LLVMValueRef tile_line_any(Tile *t, LLVMValueRef lanes);      /* of i1 */
LLVMValueRef tile_line_infinite(Emit *e, LLVMValueRef x);     /* of a vector */
/* n vectors of n lanes: rows become columns. */
void tile_transpose(const Lanes *l, LLVMValueRef *row);

/* ---- tile_feature.c ----------------------------------------------------------------------------- */

/* LLVM moves no load past this, nor takes from a register what was stored before. */
void tile_hold_loads(const Tile *t);

/* Evaluates the feature loops of the tile t->column; beside each part of the first of them stands what beside(t, part)
 * emits, for as many parts as a tile has vectors, or `unit` of them; NULL: nothing. */
void tile_features(Tile *t, void (*beside)(Tile *t, LLVMValueRef part));
LLVMValueRef tile_feature_step(Tile *t, const TileFeature *f, const Acc *a, LLVMValueRef old, uint32_t row,
                               uint32_t vec);
LLVMValueRef tile_identity(const Tile *t, const Acc *a); /* before the first feature */
void tile_keep_result(Tile *t, Val v, uint32_t row, uint32_t vec, LLVMValueRef x); /* in its buffer of pairs */

/* ---- tile_load.c -------------------------------------------------------------------------------- */

LLVMValueRef tile_load(Tile *t, const Instr *load, LLVMValueRef *index); /* index: in lanes */

/* ---- tile_value.c ------------------------------------------------------------------------------- */

LLVMValueRef tile_value(Tile *t, Val v, uint32_t row, uint32_t vec);
LLVMValueRef tile_power_base(Tile *t, const Instr *power,
                             bool absolute);                       /* z of which log z times the exponent is the log */
LLVMValueRef tile_pair_place(Tile *t, uint32_t row, uint32_t vec); /* in buffers of pairs */
void tile_preset(Tile *t, Val v,
                 LLVMValueRef x); /* an operand of columns, of the first vector, until it is forgotten */
uint32_t tile_mark(const Tile *t);
void tile_forget(Tile *t, uint32_t mark);

/* ---- tile_place.c ------------------------------------------------------------------------------- */

bool tile_place_can(const Tile *t); /* whether the stream's columns may be read in place */
LLVMValueRef tile_place_holds(Tile *t, LLVMValueRef lo,
                              LLVMValueRef hi); /* i1: whether those of the block should be: columns lo .. hi */
/* Of the block: features of all its rows, into buffers of pairs; where it skips, without vectors that the mask leaves
 * out. */
void tile_place_features(Tile *t, bool skips);
void tile_lose(Tile *t, LLVMValueRef cond); /* under it the span is taken again from panels */
uint32_t tile_registers(const Tile *t);     /* vectors that the processor holds */

/* ---- tile_patch.c ------------------------------------------------------------------------------- */

/* Strips tell which columns their weights are of, none at first; then all rows are contracted with columns in place. */
void tile_patch_begin(Tile *t);
void tile_patch_no_range(Tile *t);
void tile_patch_range(Tile *t);
void tile_patch_contract(Tile *t, uint32_t k);

/* ---- tile_narrow.c ------------------------------------------------------------------------------ */

bool tile_narrow_can(const Tile *t); /* of streams whose columns may be read in place */
LLVMValueRef tile_narrow_holds(const Tile *t); /* i1: whether the block has rows enough for it */
LLVMValueRef tile_narrow_floats(const Tile *t, uint32_t k); /* of an operand of rows in feature loop k, in its order */
/* Once the rows have their operands; then, in place of tile_place_features: */
void tile_narrow_begin(Tile *t);
void tile_narrow_features(Tile *t);

/* ---- tile_across.c ------------------------------------------------------------------------------ */

/* i1: whether a block holds all rows of the loop and, so, does what the loop over columns would. */
LLVMValueRef tile_across_holds(Emit *e, const TileRows *rows);
/* Rows in buffers of pairs: as many as all strips of such a block have. */
LLVMValueRef tile_across_rows(const Tile *t);
/* Of the block of columns, whose other operands are packed, where the block of rows holds all: features of all strips,
 * results of the loop over columns, into their arrays and into the operands that are read of them; then all strips,
 * swept and contracted. */
void tile_across_columns(Tile *t);
/* The iteration of the loop over columns for the column of that number, by scalar code: the loops around the rows stand
 * where they do. */
void tile_across_column(Emit *e, const TileRows *rows, LLVMValueRef column);
/* Before scalar code of a row: the results that nobody else asks for, once a block; known: i1, whether they are. */
void tile_across_late_results(Emit *e, const TileRows *rows, LLVMValueRef known);

/* ---- tile_affine.c ------------------------------------------------------------------------------ */

LLVMValueRef tile_value_affine(Tile *t, Val v, double times); /* v * times, of one vector of pairs, a float */
LLVMValueRef tile_function(Tile *t,
                           Val v); /* of one vector of pairs, whose argument takes a factor; NULL: it is none */
uint32_t tile_pair_cost(Tile *t); /* about how many instructions a vector of pairs takes, the features apart */
void tile_carry_factors(Tile *t); /* once, when operands have their places */
LLVMValueRef tile_common_factor(Tile *t, uint32_t k); /* of the results of acc k (TileAcc.by), f64 */
void tile_check_factors(Tile *t); /* of a block of rows: uniform values that no pair can be computed with */
bool tile_adds_logs(const Tile *t, uint32_t w); /* whether rows of which the mass is no number must be computed again */
/* A maximum of log weights of which argument n is uniform and, after the check, finite. */
bool tile_is_uniform_maximum(const Tile *t, const Instr *i, uint32_t n);
bool tile_is_uniform_sum(const Tile *t,
                         const Instr *i); /* a sum of logs, one of them uniform and, after the check, finite */
LLVMValueRef tile_scaled(Tile *t, Val v, LLVMValueRef x); /* an operand being packed */
LLVMValueRef tile_product(Emit *e, const TileBys *by); /* in f64; 1 of none */
/* x, a float or lanes of them, times a float; odd where only the product is no number. */
LLVMValueRef tile_times(Tile *t, LLVMValueRef x, LLVMValueRef by);

/* ---- tile_stream.c ------------------------------------------------------------------------------ */

void tile_strip(Tile *t);
void tile_strip_swept(Tile *t);    /* the same where features are there, for all columns of the block */
void tile_strip_features(Tile *t); /* of all columns of the block, for the strip, without a sweep */

/* ---- tile_carried.c ----------------------------------------------------------------------------- */

/* Of scalars or vectors, of the accumulator's type. */
LLVMValueRef tile_combine(Emit *e, const Acc *a, LLVMValueRef x, LLVMValueRef y);
LLVMTypeRef tile_state_type(const Emit *e, const Acc *a); /* USE_REDUCE */

/* ---- tile_sweep.c ------------------------------------------------------------------------------- */

/* The row at t->here_row; masked: pairs may be missing, and columns bad. */
void tile_sweep(Tile *t, bool masked);

/* ---- tile_aside.c ------------------------------------------------------------------------------- */

/* The same vector by vector, beside a loop whose multiply-adds leave the other units idle: for each
 * row of the strip begin, sweep for each vector; then end, unless the strip
 * exceeds.  masked: as above.  In between, what the vectors of a row come to lies in memory. */
typedef struct TileAside TileAside;
void tile_aside_new(Tile *t);                /* once, where a strip begins */
void tile_aside_begin(Tile *t);              /* a row */
/* Whether what is there of a strip can be kept as bits: where nothing else of what is not there matters; keeps it for
 * the tile `column`, of which all is there if `full` (i1). */
bool tile_keeps_live(const Tile *t);
void tile_note_live(Tile *t, LLVMValueRef column, LLVMValueRef full);
/* Of the strip: rows without a reference, and unless new_only (i1) those with a log weight far above it, take the
 * largest log weight of vectors lo .. hi. */
void tile_aside_prime(Tile *t, LLVMValueRef lo, LLVMValueRef hi, LLVMValueRef new_only);
LLVMValueRef tile_aside_is_new(Tile *t);     /* i1: whether a row of the strip has no reference */
void tile_aside_sweep(Tile *t, LLVMValueRef column, bool masked); /* the vector there, of the row */
LLVMValueRef tile_aside_exceeds(Tile *t);    /* of the strip, i1: a log weight was far above its reference */
void tile_aside_end(Tile *t);                /* of the strip */

/* ---- tile_mask.c -------------------------------------------------------------------------------- */

/* Whether the mask may hold, and must hold, for all pairs of a block, of a strip, of a vector of the present strip. */
typedef struct Truth { LLVMValueRef may, must; } Truth;
Truth tile_mask_block(Tile *t);
Truth tile_mask_strip(Tile *t);
Truth tile_mask_vectors(Tile *t, LLVMValueRef first,
                        LLVMValueRef count); /* of columns, by number in the block, in one tile */
void tile_mask_begin(Tile *t);   /* once, when operands have their places */
void tile_mask_rows(Tile *t);    /* the operands of the block's rows are there */
void tile_mask_columns(Tile *t); /* computes what the mask reads of the block's columns */

#endif
