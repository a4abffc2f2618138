/* array_run: runs of elements that lie side by side along one dimension of an array, moved as vectors.
 *
 * Whether a run is there is asked before it is touched (array_run_holds): its stride is 1, and all of it lies inside
 * the array.  What a cache is asked to fetch need not be there. */
#include "back/emit.h"
#include "back/lanes.h"

bool array_has_runs(const Array *a) {
  return a->type != IR_INT && a->type != IR_BOOL && a->elem != STORE_BOOL && a->elem != STORE_INT;
}

LLVMValueRef array_run_holds(Emit *e, const Instr *i, uint32_t along, LLVMValueRef lo, LLVMValueRef hi) {
  const ArrayPlace *p = &e->place[i->array->id];
  LLVMValueRef all = LLVMBuildICmp(e->b, LLVMIntEQ, p->stride[along], const_int(e, 1), "");
  for (uint32_t n = 0; n < i->narg; n++) {
    if (n != along && array_within(e, i->arg[n], i->array->dims[n])) continue;
    LLVMValueRef first = n == along ? lo : e->val[i->arg[n]],
                 last = n == along ? hi : LLVMBuildAdd(e->b, first, const_int(e, 1), "");
    all = LLVMBuildAnd(e->b, all, LLVMBuildICmp(e->b, LLVMIntSGE, first, const_int(e, 0), ""), "");
    all = LLVMBuildAnd(e->b, all, LLVMBuildICmp(e->b, LLVMIntSLE, last, p->dim[n], ""), "");
  }
  return all;
}

/* The run's own index is added last, its stride being 1. */
static LLVMValueRef run_address(Emit *e, const Instr *i, uint32_t along) {
  const Array *a = i->array;
  LLVMValueRef start = const_int(e, 0);
  for (uint32_t n = 0; n < i->narg; n++)
    if (n != along)
      start = LLVMBuildAdd(e->b, start, LLVMBuildMul(e->b, e->val[i->arg[n]], e->place[a->id].stride[n], ""), "");
  return LLVMBuildGEP2(e->b, array_stored_type(e, a->elem), array_at(e, a, start), &e->val[i->arg[along]], 1, "");
}

/* near: the cache, 3 for the first, 2 for the second. */
static void fetch(Emit *e, LLVMValueRef address, bool writes, unsigned near) {
  static const char name[] = "llvm.prefetch";
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), &e->t.ptr, 1);
  LLVMValueRef arg[] = {address, LLVMConstInt(e->t.i32, writes, false), LLVMConstInt(e->t.i32, near, false),
                        LLVMConstInt(e->t.i32, 1, false)};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
}

void array_fetch(Emit *e, LLVMValueRef address) { fetch(e, address, false, 2); }

void array_run_ahead(Emit *e, const Instr *i, uint32_t along, uint32_t across, int64_t ahead, int64_t least) {
  LLVMValueRef far = LLVMBuildMul(e->b, e->place[i->array->id].stride[across], const_int(e, ahead), "");
  if (least) far = op_extreme(e, IR_INT, true, far, const_int(e, least));
  array_fetch(e, LLVMBuildGEP2(e->b, array_stored_type(e, i->array->elem), run_address(e, i, along), &far, 1, ""));
}

LLVMValueRef array_run_at(Emit *e, const Instr *i, uint32_t along, uint32_t across, LLVMValueRef *bytes) {
  LLVMValueRef each = const_int(e, array_stored_bytes(e, i->array->elem));
  *bytes = LLVMBuildMul(e->b, e->place[i->array->id].stride[across], each, "");
  return run_address(e, i, along);
}

LLVMValueRef array_bits_from(Emit *e, const Array *a, LLVMValueRef address, unsigned count) {
  LLVMTypeRef type = LLVMVectorType(array_stored_type(e, a->elem), count);
  LLVMValueRef raw = LLVMBuildLoad2(e->b, type, address, "");
  LLVMSetAlignment(raw, (unsigned)array_stored_bytes(e, a->elem));
  return raw;
}

LLVMValueRef array_run_bits(Emit *e, const Instr *i, uint32_t along, unsigned count) {
  return array_bits_from(e, i->array, run_address(e, i, along), count);
}

static LLVMValueRef floats_of(Emit *e, const Array *a, LLVMValueRef raw, unsigned count) {
  Lanes l = lanes_of(e, count);
  if (a->elem == STORE_BF16) return lanes_from_bf16(&l, raw);
  return a->elem == STORE_F16 ? lanes_from_f16(&l, raw) : raw;
}

LLVMValueRef array_floats_from(Emit *e, const Array *a, LLVMValueRef address, unsigned count) {
  return floats_of(e, a, array_bits_from(e, a, address, count), count);
}

LLVMValueRef array_run(Emit *e, const Instr *i, uint32_t along, unsigned count) {
  return array_floats_from(e, i->array, run_address(e, i, along), count);
}

LLVMValueRef array_run_part(Emit *e, const Instr *i, uint32_t along, unsigned count, LLVMValueRef mask) {
  static const char name[] = "llvm.masked.load";
  if (!mask) return array_run(e, i, along, count);
  const Array *a = i->array;
  LLVMTypeRef type[] = {LLVMVectorType(array_stored_type(e, a->elem), count), e->t.ptr};
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), type, 2);
  LLVMValueRef bytes = LLVMConstInt(e->t.i32, (unsigned long long)array_stored_bytes(e, a->elem), false);
  LLVMValueRef arg[] = {run_address(e, i, along), bytes, mask, LLVMConstNull(type[0])};
  return floats_of(e, a, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, ""), count);
}

void array_run_fetch(Emit *e, const Instr *load, uint32_t along, LLVMValueRef bytes, Fetch to) {
  LLVMValueRef at = LLVMBuildGEP2(e->b, e->t.i8, run_address(e, load, along), &bytes, 1, "");
  fetch(e, at, to == FETCH_STORE, to == FETCH_SECOND ? 2 : 3);
}

LLVMValueRef array_run_bytes(Emit *e, const Array *a, LLVMValueRef extent) {
  return LLVMBuildMul(e->b, extent, const_int(e, array_stored_bytes(e, a->elem)), "");
}

Instr array_place(const Instr *i) {
  Instr place = *i;
  place.arg = i->arg + 1;
  place.narg = i->narg - 1;
  return place;
}

/* A store of REAL elements, the last index being the run's. */
LLVMValueRef array_store_holds(Emit *e, const Instr *i, LLVMValueRef lo, LLVMValueRef hi) {
  Instr place = array_place(i);
  return array_run_holds(e, &place, place.narg - 1, lo, hi);
}

void array_store_run(Emit *e, const Instr *i, LLVMValueRef x, LLVMValueRef mask) {
  static const char name[] = "llvm.masked.store";
  Instr place = array_place(i);
  LLVMTypeRef type[] = {LLVMTypeOf(x), e->t.ptr};
  LLVMValueRef address = run_address(e, &place, place.narg - 1);
  unsigned bytes = (unsigned)array_stored_bytes(e, i->array->elem);
  if (!mask) {
    LLVMSetAlignment(LLVMBuildStore(e->b, x, address), bytes);
    return;
  }
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), type, 2);
  LLVMValueRef arg[] = {x, address, LLVMConstInt(e->t.i32, bytes, false), mask};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
}
