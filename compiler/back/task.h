/* task: what the functions of a kernel hand each other where work is shared: a context, on the stack of the thread that
 * called the kernel, and the parameters of functions that compute rows.  parallel.c makes these functions, share.c the
 * one that pools call. */
#ifndef ATTN_BACK_TASK_H
#define ATTN_BACK_TASK_H

#include <stddef.h>

#include "back/emit.h"

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

LLVMTypeRef rows_type(const Emit *e); /* of such a function; parallel.c */

static inline LLVMValueRef load_field(Emit *e, LLVMTypeRef t, LLVMValueRef base, size_t offset) {
  return LLVMBuildLoad2(e->b, t, field_at(e, base, offset), "");
}

static inline void store_field(Emit *e, LLVMValueRef v, LLVMValueRef base, size_t offset) {
  LLVMBuildStore(e->b, v, field_at(e, base, offset));
}

#endif
