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
} Pieces;

/* False: the rows have no such stream, or one whose pieces cannot be computed alone. */
bool pieces_of(Emit *e, const Nest *nest, Pieces *p);
/* By the sizes alone: how many pieces there may be; what their states take. */
LLVMValueRef pieces_count(Emit *e, const Pieces *p);
LLVMValueRef pieces_bytes(Emit *e, const Pieces *p);

/* Leaves the state of piece number `item`, if a row has it. */
void pieces_compute(Emit *e, const Pieces *p, LLVMValueRef item, RowFn enter, void *arg);
/* Adds the pieces that were computed of the row e->row to r, in order; returns where the others begin.  e->pieces: NULL
 * where none were. */
LLVMValueRef pieces_add(Emit *e, Reduction *r);

#endif
