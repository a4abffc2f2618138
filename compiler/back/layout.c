/* layout: where the arrays of the workspace lie.
 *
 * TEMP and LOCAL arrays are laid out one after another, C order, in the order of Kernel.arrays; their dimensions
 * follow from the sizes alone, so that the workspace function computes the same layout from the same code.  What one
 * thread writes before others read it comes first and exists once: TEMP arrays, and LOCAL arrays outside parallel
 * loops.  LOCAL arrays that are an iteration's own exist once a thread, and so do parts of TEMP arrays (own.c). */
#include "back/emit.h"
#include "back/tile.h"

enum { LINE = 64 }; /* alignment of arrays: a cache line, and the widest vector */

/* The operation with its carry; where it overflows, all ones. */
static LLVMValueRef saturating(Emit *e, const char *name, LLVMValueRef x, LLVMValueRef y) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, &e->t.i64, 1);
  LLVMValueRef r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, (LLVMValueRef[]){x, y}, 2, "");
  LLVMValueRef over = LLVMBuildExtractValue(e->b, r, 1, "");
  return LLVMBuildSelect(e->b, over, const_int(e, -1), LLVMBuildExtractValue(e->b, r, 0, ""), "");
}

LLVMValueRef layout_add(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  if (e->sized) return LLVMBuildAdd(e->b, x, y, "");
  return saturating(e, "llvm.uadd.with.overflow", x, y);
}

LLVMValueRef layout_multiply(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  if (e->sized) return LLVMBuildMul(e->b, x, y, "");
  return saturating(e, "llvm.umul.with.overflow", x, y);
}

/* Arrays that no instruction declares take no room: their loop was found to equal another. */
static bool laid_out(const Array *a) { return array_in_workspace(a) && a->home; }

const char *layout_refusal(Arena *arena, const Kernel *k) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    for (uint32_t d = 0; laid_out(a) && d < a->rank; d++)
      if (!ir_follows_from_sizes(k, a->dims[d]))
        return arena_printf(arena,
                            "the extent of dimension %u of '%s' depends on data, so the workspace of kernel '%s' "
                            "cannot be told from the sizes",
                            d, a->name, k->name);
  }
  return NULL;
}

/* A value that follows from the sizes, wherever its region is. */
LLVMValueRef layout_size(Emit *e, Val v) {
  const Instr *i = ir_at(e->k, v);
  if (e->val[v]) return e->val[v];
  for (uint32_t n = 0; n < i->narg; n++) layout_size(e, i->arg[n]);
  return e->val[v] = emit_op(e, i);
}

/* Dimensions and strides, C order, those of an iteration's own part; its bytes, 0 where a dimension is not positive. */
static LLVMValueRef layout_array(Emit *e, const Array *a) {
  ArrayPlace *p = array_place_in(e, a);
  LLVMValueRef bytes = const_int(e, array_stored_bytes(e, a->elem)), stride = const_int(e, 1);
  for (uint32_t n = a->rank; n-- > 0;) {
    LLVMValueRef dim = layout_size(e, a->dims[n]);
    p->dim[n] = op_extreme(e, IR_INT, true, dim, const_int(e, 0));
    p->stride[n] = n < e->own[a->id] ? const_int(e, 0) : stride;
    if (n < e->own[a->id]) continue;
    stride = LLVMBuildMul(e->b, stride, p->dim[n], "");
    bytes = layout_multiply(e, bytes, p->dim[n]);
  }
  LLVMValueRef padded = layout_add(e, bytes, const_int(e, LINE - 1));
  return LLVMBuildAnd(e->b, padded, const_int(e, -LINE), "");
}

static bool is_shared(const Emit *e, const Array *a) {
  return !e->own[a->id] && (a->kind == ARRAY_TEMP || is_alone(a->home));
}

/* data holds the offset until layout_place. */
static LLVMValueRef layout_part(Emit *e, bool shared) {
  LLVMValueRef total = const_int(e, 0);
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (!laid_out(a) || is_shared(e, a) != shared) continue;
    LLVMValueRef bytes = layout_array(e, a);
    array_place_in(e, a)->data = total;
    total = layout_add(e, total, bytes);
  }
  return total;
}

Layout layout_workspace(Emit *e) {
  LLVMValueRef shared = layout_part(e, true), local = layout_part(e, false);
  return (Layout){layout_add(e, shared, parallel_split_bytes(e)), layout_add(e, local, tile_workspace(e)), local,
                  shared};
}

Layout layout_within(Emit *e, LLVMValueRef shared, LLVMValueRef each) {
  LLVMValueRef arrays = layout_part(e, true), local = layout_part(e, false);
  return (Layout){shared, each, local, arrays};
}

LLVMValueRef layout_total(Emit *e, const Layout *l, LLVMValueRef threads) {
  LLVMValueRef total = layout_add(e, l->shared, layout_multiply(e, l->each, threads));
  LLVMValueRef none = LLVMBuildICmp(e->b, LLVMIntEQ, total, const_int(e, 0), "");
  return LLVMBuildSelect(e->b, none, total, layout_add(e, total, const_int(e, LINE - 1)), "");
}

void layout_place(Emit *e, const Layout *l, LLVMValueRef thread) {
  LLVMValueRef raw = LLVMBuildPtrToInt(e->b, e->workspace, e->t.i64, "");
  LLVMValueRef skip = LLVMBuildAnd(e->b, LLVMBuildNeg(e->b, raw, ""), const_int(e, LINE - 1), "");
  LLVMValueRef own = LLVMBuildAdd(e->b, l->shared, LLVMBuildMul(e->b, thread, l->each, ""), "");
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (!laid_out(a)) continue;
    LLVMValueRef offset = LLVMBuildAdd(e->b, skip, e->place[a->id].data, "");
    if (!is_shared(e, a)) offset = LLVMBuildAdd(e->b, offset, own, "");
    e->place[a->id].data = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &offset, 1, a->name);
  }
  LLVMValueRef tiles = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, skip, own, ""), l->local, "");
  LLVMValueRef split = LLVMBuildAdd(e->b, skip, l->arrays, "");
  e->split_space = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &split, 1, "split");
  e->tile_space = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &tiles, 1, "tiles");
}
