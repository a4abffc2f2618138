/* reassociate_sums: what the files share that write sums in another order.  The laws are in pass_reassociate.c.
 *
 *   reassociate_term.c    what weighs rows and columns, and how both are measured from a reference
 *   reassociate_state.c   how the range is cut, and the states of its parts
 *   reassociate_factor.c  sums over features inside a part
 *   pass_reassociate.c    rows, and the pass
 *
 * A log weight of 0 as a Val stands for none, a factor of 1. */
#ifndef ATTN_IR_REASSOCIATE_SUMS_H
#define ATTN_IR_REASSOCIATE_SUMS_H

#include "ir/pass.h"
#include "ir/reassociate.h"

/* Indices of a state: those of the plates around, part, feature, and a value's axes. */
enum { RANK_MAX = PLATES_MAX + AXES_MAX + 2 };

typedef struct State { const Acc *acc; Array *at; } State;

/* What a weight leaves of a part of the columns; without a weight: of the plain accumulator `plain`. */
typedef struct Summary {
  const LogWeight *w;
  Array *z;
  VEC(State) expects;
  Val lo, hi; /* of its features */
  const Acc *plain;
} Summary;

typedef VEC(Summary) Summaries;

/* The factors of a sum over features inside chunks. */
typedef struct Kept {
  const Loop *features;
  const LogWeight *w;
  Array *col, *col_max;
  Array *row; /* of the row that is being copied */
  Val row_max;
} Kept;

typedef VEC(Kept) Keeps;

/* Values of the new kernel, functions of the sizes. */
typedef struct Cut { Val use, lo, hi, length, chunks, states; } Cut;

typedef struct Rewrite {
  Rebuild r;
  Kernel from;     /* the kernel with a few more values, which stand for what the rewrite puts there */
  Val lo, hi, feature_hi, mask;
  Makers makers;
  Reassociate mode;
  Reassociations found;
  const Reassociation *x; /* whose rows are being copied in the new order; NULL: none */
  Cut cut;
  Summaries summaries;
  Keeps keeps;
  bool in_chunk;   /* the stream that is being copied is cut to a chunk */
  Val chunk;       /* index of the loop over chunks of rows */
} Rewrite;

/* Where a state lies in its array, as far as it is known. */
typedef struct Slot { Val at[RANK_MAX]; uint32_t n; } Slot;

/* A column, a state, or the results of the ordinary stream, as an element of a reduction: its log weight, and x of an
 * expectation at a point of the expectation's axes. */
typedef struct Element Element;
struct Element {
  Val log_w;
  Val (*x)(Rewrite *p, const Element *e, const State *s, const Val *index);
  Slot at;           /* of a state */
  Val *direct;       /* results of the ordinary stream, by expectation: a value, */
  Array **direct_at; /* or an array */
  uint32_t k;        /* the expectation that x is asked for */
};

/* ---- short words ----------------------------------------------------------------------------------- */

static inline Builder *B(Rewrite *p) { return &p->r.b; }
static inline Arena *arena_of(Rewrite *p) { return p->r.b.k->arena; }
static inline Val integer(Rewrite *p, int64_t v) { return build_int(B(p), v); }
static inline Val op(Rewrite *p, IrOp o, Val x, Val y) { return build_2(B(p), o, x, y); }
static inline Val wide(Rewrite *p, Val v) { return build_convert(B(p), v, IR_WIDE); }
static inline Val old(Rewrite *p, Val v) { return demand(&p->r, &p->makers, v); }

/* Products of log weights; 0 stands for none. */
static inline Val times(Rewrite *p, Val x, Val y) { return !x ? y : !y ? x : op(p, IR_LOGMUL, wide(p, x), wide(p, y)); }
static inline Val inverse(Rewrite *p, Val x) { return x ? build_1(B(p), IR_NEG, wide(p, x)) : 0; }

static inline bool is_all(const Rewrite *p) { return p->x->bound.support == SUPPORT_ALL; }

static inline Val extent(Rewrite *p, Val lo, Val hi) { return op(p, IR_MAX, op(p, IR_SUB, hi, lo), integer(p, 0)); }

static inline Val open(Rewrite *p, LoopKind kind, Val lo, Val hi, Loop **l) {
  *l = build_open(B(p), kind, lo, hi);
  return (*l)->index;
}

/* reassociate_term.c */
/* Products of terms, and conditions that must all hold. */
Val sums_product_of(Rewrite *p, const Vals *terms);
Val sums_condition_of(Rewrite *p, const Vals *conditions);
Val sums_offset_of(Rewrite *p);
/* What weighs the column (row) that the stream's (rows') index is mapped to, without what lies between them. */
Val sums_column_of(Rewrite *p, const LogWeight *w);
Val sums_row_of(Rewrite *p, const LogWeight *w);
/* Where the weights of columns are measured from: that of column e, if it is finite. */
Val sums_reference(Rewrite *p, const LogWeight *w, Val e);
/* What lies between a row (0: the one that is being copied) and a column. */
Val sums_between(Rewrite *p, const LogWeight *w, Val row, Val col);

/* reassociate_state.c */
/* The column from which part u is measured, and the row whose bound it is. */
Val sums_edge(Rewrite *p, Val u);
Val sums_row_at(Rewrite *p, Val e);
Array *sums_new_temp(Rewrite *p, const char *what, StoreType t, uint32_t n, const Val *dims);
uint32_t sums_plate_dims(Rewrite *p, Val *dims);
uint32_t sums_plate_slots(Rewrite *p, Val *slots);
Slot sums_slot_of(Rewrite *p, const Summary *s, Val u, Val f);
void sums_make_summaries(Rewrite *p);
/* Gives an open reduction its accumulators, an lse and the expectations of s, and closes it.  seed NULL: none. */
Loop *sums_reduce(Rewrite *p, Loop *l, const Summary *s, Element *body, Element *seed);
void sums_fill_states(Rewrite *p, const Summary *s);
Element sums_stored(Rewrite *p, const Summary *s, Val u, Val f);
/* The accumulation of n (0 or 1) times x and once y. */
Val sums_merge_values(Rewrite *p, const Acc *like, Val n, Val x, Val y);
void sums_run_states(Rewrite *p, const Summary *s);
Val sums_element(Rewrite *p, Array *a, Slot at, const Acc *acc, const Val *index);

/* reassociate_factor.c */
void sums_keep_features(Rewrite *p, const LogWeight *w);
uint32_t sums_kept_of(const Rewrite *p, const Loop *features);
void sums_keep_columns(Rewrite *p, const Kept *k);
void sums_keep_row(Rewrite *p, Kept *k);
void sums_emit_features(Rewrite *p, Val v, const Loop *features, uint32_t kept);

#endif
