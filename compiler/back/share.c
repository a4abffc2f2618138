/* share: the items of a parallel loop, by the threads of a pool or one after another.
 *
 * Each item has an error record; that of the lowest item that failed is kept, so that messages do not depend on
 * threads either. */
#include "back/task.h"

/* Waits until the lock is 0 and makes it 1. */
static void take_lock(Emit *e, LLVMValueRef lock) {
  LLVMBasicBlockRef again = block_new(e, "lock"), locked = block_new(e, "locked");
  block_go(e, again);
  LLVMValueRef r = LLVMBuildAtomicCmpXchg(e->b, lock, const_int(e, 0), const_int(e, 1), LLVMAtomicOrderingAcquire,
                                          LLVMAtomicOrderingMonotonic, false);
  LLVMBuildCondBr(e->b, LLVMBuildExtractValue(e->b, r, 1, ""), locked, again);
  LLVMPositionBuilderAtEnd(e->b, locked);
}

static void drop_lock(Emit *e, LLVMValueRef lock) {
  LLVMValueRef s = LLVMBuildStore(e->b, const_int(e, 0), lock);
  LLVMSetAlignment(s, 8);
  LLVMSetOrdering(s, LLVMAtomicOrderingRelease);
}

/* Under the lock: keeps the error of the lowest item. */
static void keep_error(Emit *e, LLVMValueRef context, LLVMValueRef own, LLVMValueRef item) {
  LLVMValueRef lock = field_at(e, context, offsetof(Context, lock));
  take_lock(e, lock);
  LLVMValueRef kept = load_field(e, e->t.i64, context, offsetof(Context, item));
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntSLT, item, kept, ""), "lower");
  store_field(e, item, context, offsetof(Context, item));
  for (size_t at = 0; at < sizeof(attn_error); at += sizeof(int64_t))
    store_field(e, load_field(e, e->t.i64, own, at), context, offsetof(Context, error) + at);
  block_go(e, done);
  drop_lock(e, lock);
}

/* task(context, item, thread): the function that pools call. */
static LLVMValueRef emit_task(Emit *e) {
  LLVMTypeRef type = LLVMFunctionType(e->t.none, (LLVMTypeRef[]){e->t.ptr, e->t.i64, e->t.i32}, 3, false);
  function_begin(e, "task", type);
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_brief(e);
  LLVMValueRef context = LLVMGetParam(e->fn, 0), item = LLVMGetParam(e->fn, 1);
  LLVMValueRef own = cell_new(e, LLVMArrayType2(e->t.i64, sizeof(attn_error) / 8), "own_error");
  LLVMBuildStore(e->b, LLVMConstNull(e->t.i64), own);
  LLVMValueRef arg[ROW_PARAMS] = {[ROW_ERR] = own,
                                  [ROW_CONTEXT] = context,
                                  [ROW_ITEM] = item,
                                  [ROW_SPAN] = const_int(e, 0),
                                  [ROW_AT] = const_int(e, 0),
                                  [ROW_STATE] = LLVMConstNull(e->t.ptr),
                                  [ROW_FROM] = LLVMConstNull(e->t.ptr)};
  for (size_t n = ROW_IN; n <= ROW_WORKSPACE; n++) arg[n] = load_field(e, e->t.ptr, context, (n + 1) * sizeof(void *));
  arg[ROW_THREAD] = LLVMBuildSExt(e->b, LLVMGetParam(e->fn, 2), e->t.i64, "");
  LLVMValueRef rows = load_field(e, e->t.ptr, context, offsetof(Context, rows));
  LLVMBuildCall2(e->b, rows_type(e), rows, arg, ROW_PARAMS, "");
  LLVMValueRef status = load_field(e, e->t.i32, own, offsetof(attn_error, status));
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntNE, status, LLVMConstNull(e->t.i32), ""), "failed");
  keep_error(e, context, own, item);
  block_go(e, done);
  function_end(e, NULL);
  return e->fn;
}

static void run_items(Emit *e, LLVMValueRef task, LLVMValueRef context, LLVMValueRef pool, LLVMValueRef count) {
  LLVMBasicBlockRef shared = block_new(e, "pool"), alone = block_new(e, "alone"), done = block_new(e, "done");
  LLVMBuildCondBr(e->b, LLVMBuildIsNull(e->b, pool, ""), alone, shared);
  LLVMPositionBuilderAtEnd(e->b, shared);
  LLVMTypeRef run = LLVMFunctionType(e->t.none, (LLVMTypeRef[]){e->t.ptr, e->t.ptr, e->t.ptr, e->t.i64}, 4, false);
  LLVMValueRef f = load_field(e, e->t.ptr, pool, offsetof(attn_pool, run));
  LLVMBuildCall2(e->b, run, f, (LLVMValueRef[]){pool, task, context, count}, 4, "");
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, alone);
  Count c = count_enter(e, const_int(e, 0), count);
  LLVMValueRef arg[] = {context, c.index, LLVMConstNull(e->t.i32)};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(task), task, arg, 3, "");
  count_leave(e, &c);
  block_go(e, done);
}

/* share(context, pool, count, err): runs all items, then passes on the error of the lowest that failed. */
void emit_share(Emit *e) {
  LLVMValueRef task = emit_task(e);
  LLVMTypeRef p[] = {e->t.ptr, e->t.ptr, e->t.i64, e->t.ptr};
  function_begin(e, "share", LLVMFunctionType(e->t.none, p, 4, false));
  LLVMSetLinkage(e->fn, LLVMInternalLinkage);
  function_attribute(e, e->fn, LLVMAttributeFunctionIndex, "noinline");
  function_brief(e);
  e->share = e->fn;
  LLVMValueRef context = LLVMGetParam(e->fn, 0), none = const_int(e, INT64_MAX);
  store_field(e, const_int(e, 0), context, offsetof(Context, lock));
  store_field(e, none, context, offsetof(Context, item));
  run_items(e, task, context, LLVMGetParam(e->fn, 1), LLVMGetParam(e->fn, 2));
  LLVMValueRef item = load_field(e, e->t.i64, context, offsetof(Context, item));
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntNE, item, none, ""), "failed");
  size_t at = offsetof(Context, error);
  e->err = LLVMGetParam(e->fn, 3);
  emit_failure(e, load_field(e, e->t.i32, context, at + offsetof(attn_error, status)),
               load_field(e, e->t.i32, context, at + offsetof(attn_error, site)),
               load_field(e, e->t.i64, context, at + offsetof(attn_error, value)),
               load_field(e, e->t.i64, context, at + offsetof(attn_error, limit)));
  block_go(e, done);
  function_end(e, NULL);
}
