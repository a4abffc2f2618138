/* gather_parts: a block of elements under way, for the files that fill and add it; see gather.c. */
#ifndef ATTN_BACK_GATHER_PARTS_H
#define ATTN_BACK_GATHER_PARTS_H

#include "back/beside.h"
#include "back/gather.h"
#include "back/line.h"
#include "back/whole.h"

typedef LLVMValueRef V;

enum { GATHER_BLOCK = TILE_GATHER_BLOCK };

/* Values of an element's body, read by what comes after the block is full. */
typedef struct Kept { Val v; V at; } Kept;

struct Gather {
  Line line;          /* lanes are elements; index: none */
  int64_t room;       /* elements that buffers have */
  V count;            /* cell: elements in the block */
  V from;             /* cell: the position of its first */
  VEC(Kept) kept;
  V *log_w, *part;    /* by weight: buffers; part: f32 */
  V *last;            /* by weight: cell, the vector of log weights that is being filled */
  V holds;            /* buffer of bytes: whether the element's lines can be read as such; NULL: there are none */
  V all;              /* cell: lines of all elements of the block can, and all have weight */
  Beside *beside;     /* elements are computed side by side; NULL: one by one */
  bool whole;         /* a block is all elements of its stream, and states are what it comes to; they are not read where
                       * a log weight is no number, or -inf */
};

static inline V get(Emit *e, LLVMTypeRef t, V at) { return LLVMBuildLoad2(e->b, t, at, ""); }
static inline V put(Emit *e, V v, V at) { return LLVMBuildStore(e->b, v, at); }
static inline V slot(Emit *e, LLVMTypeRef t, V base, V at) { return LLVMBuildGEP2(e->b, t, base, &at, 1, ""); }
static inline LLVMTypeRef kept_type(Emit *e, IrType t) { return t == IR_BOOL ? e->t.i8 : type_of(e, t); }

static inline V vector_add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }
static inline uint32_t weight_number(const Reduction *r, const Weight *w) { return (uint32_t)(w - r->weight); }

/* An accumulator of lines, and one that needs the weights of a full block. */
static inline bool has_line(const State *s) { return s->acc->naxis && s->acc->body.at; }
static inline bool is_late(const State *s) { return s->weight && !s->acc->naxis; }

/* Buffers of `room` elements. */
Gather *gather_make(Emit *e, Reduction *r, int64_t room);

/* Values that are kept of the element at `at` become those of the stream's body. */
void gather_recall_element(Emit *e, const Gather *g, V at);
/* States with axes, of a block all of whose lines vectors take. */
void gather_add_lines(Emit *e, const Reduction *r, V count);

/* ---- gather_weigh.c: a full block ---------------------------------------------------------------------- */

/* By weight, of the `count` elements: the maximum; then, of that, parts and the mass. */
void gather_raise_max(Emit *e, const Reduction *r, V count);
void gather_add_mass(Emit *e, const Reduction *r, V count);
/* States without axes; tops: by weight, cells: the largest log weight that an argument was chosen at. */
V *gather_tops(Emit *e, const Reduction *r);
bool gather_has_scalars(const Reduction *r);
void gather_add_scalars(Emit *e, const Reduction *r, V count, const V *tops);
/* The weight of the element at `at`; returns its log weight. */
V gather_recall_weight(Emit *e, const Reduction *r, Weight *w, V at);

/* ---- gather_fetch.c ---------------------------------------------------------------------------------- */

/* Where blocks are filled element by element: what is read of one AHEAD of the one at the stream's index before its
 * block is full. */
void gather_fetch_element(Emit *e, const Reduction *r);
/* `extent` numbers from `lo` on of a's axis, for what lies AHEAD of an element of the block, or, where lanes fill
 * blocks, as many elements as they are, of those that are kept: told of where they are read, in step with reading, so
 * that neither waits long. */
void gather_fetch_part(Emit *e, const Reduction *r, const Acc *a, V element, V lo, V extent);
/* Where lanes fill them: of a block of `count` elements from lo on the lines; and of elements FAR ahead of them what is
 * read before their block is full. */
void gather_fetch_block(Emit *e, const Reduction *r, V lo, V count);
/* Lines that the region around the stream will store. */
void gather_fetch_results(Emit *e, const Loop *l);

/* ---- gather_beside.c --------------------------------------------------------------------------------- */

/* NULL: an element needs more than straight code, or is added at once. */
Beside *gather_beside(Emit *e, const Reduction *r);
/* Whether lanes can say of the line x of region r that vectors take it; whether they do, lanes, or NULL for all; and
 * the checks of the region, whose range is not empty where lo < hi. */
bool gather_line_beside(const Emit *e, const Beside *b, const Region *r, Val x, Val index);
V gather_holds_beside(Emit *e, const Beside *b, Val x, Val index, V lo, V hi);
void gather_check_beside(Emit *e, const Beside *b, const Region *r, V lo, V hi);
static inline void put_lanes(Emit *e, V x, V at) { LLVMSetAlignment(put(e, x, at), 1); }
/* The elements from .. to become the block. */
void gather_append_beside(Emit *e, Reduction *r, V from, V to);

/* ---- gather_lines.c ---------------------------------------------------------------------------------- */

/* The results of v, a loop that tile_sums_line admits, for lanes of elements from `first` on, `count` or all. */
void gather_sum_lines(Emit *e, Reduction *r, Val v, V first, V count);

#endif
