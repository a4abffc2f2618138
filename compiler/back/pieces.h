/* pieces: a long reduction over part of a list is cut into pieces of one length, which threads take side by side. */
#ifndef ATTN_BACK_PIECES_H
#define ATTN_BACK_PIECES_H

#include "back/acc.h"
#include "back/balance.h"
#include "back/gather.h"
#include "back/nest.h"

/* A stream over ptr[i] .. ptr[i + 1] in the rows of a nest, whose last loop runs over i. */
typedef struct Pieces {
  const Nest *nest;
  const Loop *stream;
  Balance border;
  Val listed; /* how long the list is, by the sizes */
  LLVMValueRef compute; /* the function around pieces_compute */
} Pieces;

/* False: the rows have no such stream, or one whose pieces cannot be computed alone. */
bool pieces_of(Emit *e, const Nest *nest, Pieces *p);
/* By the sizes alone: how many pieces there may be; what their states take. */
LLVMValueRef pieces_count(Emit *e, const Pieces *p);
LLVMValueRef pieces_bytes(Emit *e, const Pieces *p);

/* Leaves the state of piece number `item`, if a row has it; or, in `given` if that is no NULL, that of the elements of
 * row number `item` from `at` on. */
void pieces_compute(Emit *e, const Pieces *p, LLVMValueRef item, LLVMValueRef at, LLVMValueRef given, RowFn enter,
                    void *arg);
/* Adds the pieces that were computed of the row e->row to r, in order; returns where the others begin.  e->pieces: NULL
 * where none were. */
LLVMValueRef pieces_add(Emit *e, Reduction *r);
/* All of the stream, which has no seed, in the row e->row: what its pieces leave by a call, so that code is made once;
 * false: nothing was emitted, it is not cut. */
bool pieces_row(Emit *e, const Loop *stream);

#endif
