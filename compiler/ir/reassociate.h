/* reassociate: which streams can be summed in another order, and what their log weights are made of.
 *
 * A stream over columns j inside a parallel loop over rows i has, where it is listed here without a reason against it,
 *
 *   log_w(i, j) = row(i) + col(j) + index(i, j) + data(i, j) + lse over f of [ row_f(i, f) + col_f(j, f) ]
 *
 * where index and data are sums of a function of i and one of j (index: of loop variables alone), and its support is
 * all of the range, or a prefix j <= i + offset, or a suffix j >= i + offset of it. A stream may carry several log
 * weights (fusion brings them together): each is judged on its own, and those that have one support in common are
 * taken. */
#ifndef ATTN_IR_REASSOCIATE_H
#define ATTN_IR_REASSOCIATE_H

#include "ir/demand.h"

typedef VEC(Val) Vals;

enum {
  REASSOCIATE_CHUNK = 64, /* the least number of columns of a part */
  REASSOCIATE_SHARED_CHUNK =
      512, /* where the rows of a chunk feed another stream, which prepares its columns for each */
  PLATES_MAX = 12,
  AXES_MAX = 8
};

typedef enum { SUPPORT_ALL, SUPPORT_PREFIX, SUPPORT_SUFFIX } Support;

typedef struct Part { Val v; int sign; } Part;
/* An int without rows and columns: constant + sum of sign * v. */
typedef struct Offset { int64_t constant; VEC(Part) parts; } Offset;

enum { ON_ROW = 1, ON_COL = 2, ON_BOTH = ON_ROW | ON_COL };

/* All of the range, j <= i + offset, or j >= i + offset. */
typedef struct Bound { Support support; Offset offset; } Bound;

/* Terms are values of the kernel; NULL features: a single one. */
typedef struct LogWeight {
  Val log_w;
  const char *why; /* NULL: its sums can be taken in another order; else why not */
  bool is_near;    /* it has a sum of products: worth a word where it is refused */
  Bound bound;
  Vals row, col, index, data, row_f, col_f;
  const Loop *features;
  Val sum; /* the result of features that is the lse over them */
} LogWeight;

typedef struct Reassociation {
  const Loop *rows, *stream;
  const uint8_t *dep; /* by Val: on which of the two indices it depends */
  const char *why; /* NULL: some weight is reassociated; else why none is */
  Bound bound;     /* of those weights */
  bool takes_plain; /* accumulators without weights go with them, where their values do not depend on the row */
  bool is_ranged;  /* the end of the stream's range is what makes the prefix: it is i + offset + 1 */
  Vals row_mask, col_mask; /* conditions on one side */
  VEC(LogWeight) weights;
} Reassociation;

typedef VEC(Reassociation *) Reassociations;

/* Of all streams that have weights. */
Reassociations reassociate_find(Arena *arena, const Kernel *k);
/* Whether an accumulator of the stream is taken over; the others stay with the stream as it was. */
bool reassociate_takes(const Reassociation *x, const Acc *a);

#endif
