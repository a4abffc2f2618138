/* task: what the functions of a kernel hand each other where work is shared: a context, on the stack of the thread that
 * called the kernel, and the parameters of functions that compute rows.  task.c makes these functions, parallel.c the
 * calls, share.c the function that pools call. */
#ifndef ATTN_BACK_TASK_H
#define ATTN_BACK_TASK_H

#include <stddef.h>

#include "back/nest.h"

/* As the generated code sees it; only offsets are used here. */
typedef struct Context {
  void *rows, *in, *out, *sizes, *workspace;
  int64_t threads, block_rows, group, shared, each, first, rows_here, lock, item;
  attn_error error;
  int64_t captured[];
} Context;

enum {
  ROW_IN, ROW_OUT, ROW_SIZES, ROW_WORKSPACE, ROW_ERR, ROW_CONTEXT, ROW_ITEM, ROW_THREAD, ROW_SPAN, ROW_AT, ROW_STATE,
  ROW_FROM, ROW_PARAMS
};

/* ROWS_ALL: the rows of an item.  ROWS_ODD: of the block ROW_ITEM the row ROW_AT, by scalar code; ROWS_COLUMN: the
 * column ROW_AT of a loop across the rows.  For loops with spans, whose rows are blocks: ROWS_SPAN: of row ROW_ITEM the
 * span ROW_SPAN, into ROW_STATE, once ROWS_BEGIN has set that; ROWS_PACK: for it the columns from ROW_AT; ROWS_JOIN:
 * the state ROW_FROM into ROW_STATE; ROWS_FINISH: the results from ROW_STATE; ROWS_SPANS: one span of one row an item,
 * into the shared states; ROWS_MERGE: what those of a row come to.  ROWS_PIECES: one piece of a long
 * row an item, or the row ROW_ITEM from ROW_AT on, into ROW_STATE. */
typedef enum {
  ROWS_ALL,
  ROWS_ODD,
  ROWS_COLUMN,
  ROWS_BEGIN,
  ROWS_PACK,
  ROWS_SPAN,
  ROWS_JOIN,
  ROWS_FINISH,
  ROWS_SPANS,
  ROWS_MERGE,
  ROWS_PIECES,
  ROWS_PARTS
} RowsPart;

/* A loop's functions by part; those that other parts call come first. */
typedef struct RowsFunctions { LLVMValueRef of[ROWS_PARTS]; } RowsFunctions;

LLVMTypeRef rows_type(const Emit *e); /* of such a function */

typedef VEC(Val) Captured;

static inline size_t captured_offset(uint32_t n) { return offsetof(Context, captured) + n * sizeof(int64_t); }

/* Emits a part in the middle of another function, which captured the list: values that the rows read. */
LLVMValueRef task_rows(Emit *e, const Nest *nest, const Captured *list, RowsPart part, const RowsFunctions *f);

static inline LLVMValueRef load_field(Emit *e, LLVMTypeRef t, LLVMValueRef base, size_t offset) {
  return LLVMBuildLoad2(e->b, t, field_at(e, base, offset), "");
}

static inline void store_field(Emit *e, LLVMValueRef v, LLVMValueRef base, size_t offset) {
  LLVMBuildStore(e->b, v, field_at(e, base, offset));
}

#endif
