/* balance: rows of uneven cost are cut into items of even cost, where a list says what they cost. */
#ifndef ATTN_BACK_BALANCE_H
#define ATTN_BACK_BALANCE_H

#include "back/emit.h"

/* A stream over ptr[i] .. ptr[i + 1] in the rows i of a loop: the list of borders counts all work before a row. */
typedef struct Balance {
  const Instr *first, *behind; /* loads of ptr[i], ptr[i + 1]; first NULL: there is none */
  const Loop *stream;
} Balance;

Balance balance_of(const Kernel *k, const Loop *rows);
/* Where item number `item` of `items` begins, as an offset in 0 .. rows: a function of these, the sizes and the list
 * alone. Items 0 .. items - 1 cover all rows whatever the list says, each row once if it does not fall. */
LLVMValueRef balance_border(Emit *e, const Balance *b, const Loop *l, LLVMValueRef item, LLVMValueRef items,
                            LLVMValueRef rows);
/* The first row behind which the list is beyond `position`, as such an offset; rows: there is none. */
LLVMValueRef balance_row(Emit *e, const Balance *b, const Loop *l, LLVMValueRef position, LLVMValueRef rows);

#endif
