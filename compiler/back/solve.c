/* solve: calls of the runtime's routines on parts of temporaries.
 *
 * The routine gets its integers and the addresses of its arrays in two cells of the stack; its work space is a local
 * array of the region, so every thread has one. */
#include "back/emit.h"
#include "ir/solve.h"

static LLVMValueRef routine(Emit *e, const char *name) {
  LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
  if (f) return f;
  LLVMTypeRef p[] = {e->t.ptr, e->t.ptr, e->t.ptr, e->t.ptr};
  f = LLVMAddFunction(e->module, name, LLVMFunctionType(e->t.none, p, 4, false));
  function_attribute(e, f, LLVMAttributeFunctionIndex, "nounwind");
  return f;
}

/* Of the part at the leading indices, the last ones where the array has not all. */
static LLVMValueRef part_address(Emit *e, const Instr *i, uint32_t k) {
  const Solve *s = i->solve;
  const ArrayPlace *p = &e->place[s->array[k]->id];
  uint32_t leading = s->array[k]->rank - ir_family_array(s->family, k).rank;
  LLVMValueRef offset = const_int(e, 0);
  for (uint32_t d = 0; d < leading; d++) {
    LLVMValueRef at = e->val[i->arg[s->nat - leading + d]];
    offset = LLVMBuildAdd(e->b, offset, LLVMBuildMul(e->b, at, p->stride[d], ""), "");
  }
  LLVMTypeRef elem = s->array[k]->elem == STORE_REAL && !e->f64 ? e->t.f32 : e->t.i64; /* by width alone */
  return LLVMBuildGEP2(e->b, elem, p->data, &offset, 1, "");
}

static LLVMValueRef table(Emit *e, uint32_t n, const char *name) {
  return cell_new(e, LLVMArrayType2(e->t.i64, n ? n : 1), name);
}

void emit_solve(Emit *e, const Instr *i) {
  const Solve *s = i->solve;
  uint32_t ints = i->narg - s->nat, arrays = ir_family_arrays(s->family), inputs = ir_family_inputs(s->family);
  LLVMValueRef n = table(e, ints, "ints"), part = table(e, arrays, "parts");
  for (uint32_t k = 0; k < ints; k++)
    LLVMBuildStore(e->b, e->val[i->arg[s->nat + k]], field_at(e, n, k * sizeof(int64_t)));
  for (uint32_t k = 0; k < arrays; k++)
    LLVMBuildStore(e->b, part_address(e, i, k), field_at(e, part, k * sizeof(void *)));
  LLVMValueRef arg[] = {n, part, field_at(e, part, inputs * sizeof(void *)), e->place[s->work->id].data};
  LLVMValueRef f = routine(e, ir_family_function(s->family, e->f64));
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
}
