/* array: the views of inputs and outputs, and single elements of all arrays.
 *
 * Inputs and outputs are the caller's views; where the others lie, layout.c says.
 *
 * A load outside its array gives 0 without touching memory: the address is exchanged for that of a zero.
 * No test is made where an index is the variable of a loop that runs within the dimension. */
#include <stddef.h>

#include "back/emit.h"
#include "base/ice.h"

bool array_in_workspace(const Array *a) { return a->kind == ARRAY_TEMP || a->kind == ARRAY_LOCAL; }

ArrayPlace *array_place_in(Emit *e, const Array *a) {
  ArrayPlace *p = &e->place[a->id];
  if (!p->dim) {
    p->dim = NEW_ARRAY(e->arena, LLVMValueRef, a->rank + 1);
    p->stride = NEW_ARRAY(e->arena, LLVMValueRef, a->rank + 1);
  }
  return p;
}

/* ---- views -------------------------------------------------------------------------------------- */

static bool of_graph(const Array *a) { return a->kind == ARRAY_IN && a->part != PART_DATA; }

/* A graph has two views, so inputs after it stand one further back.  All graph inputs are declared. */
static uint32_t view_number(const Emit *e, const Array *a) {
  uint32_t n = a->external;
  if (a->kind == ARRAY_OUT) return n;
  for (uint32_t k = 0; k < e->k->arrays.n; k++) {
    const Array *other = e->k->arrays.at[k];
    if (of_graph(other) && other->part == PART_INDPTR && other->external < a->external) n++;
  }
  return n + (a->part == PART_INDICES);
}

/* What is read through an input pointer is the same throughout the call. */
static LLVMValueRef constant_load(Emit *e, LLVMTypeRef type, LLVMValueRef address) {
  LLVMValueRef load = LLVMBuildLoad2(e->b, type, address, "");
  LLVMMetadataRef empty = LLVMMDNodeInContext2(e->cx, NULL, 0);
  LLVMSetMetadata(load, LLVMGetMDKindIDInContext(e->cx, "invariant.load", 14), LLVMMetadataAsValue(e->cx, empty));
  return load;
}

static LLVMValueRef view_field(Emit *e, const Array *a, LLVMTypeRef type, size_t field) {
  LLVMValueRef offset = const_int(e, (int64_t)(view_number(e, a) * sizeof(attn_view) + field));
  LLVMValueRef views = a->kind == ARRAY_IN ? e->in : e->out;
  return constant_load(e, type, LLVMBuildGEP2(e->b, e->t.i8, views, &offset, 1, ""));
}

void array_views(Emit *e) {
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (array_in_workspace(a)) continue;
    ICE_UNLESS(a->rank <= ATTN_MAX_RANK);
    ArrayPlace *p = array_place_in(e, a);
    p->data = view_field(e, a, e->t.ptr, offsetof(attn_view, data));
    if (a->kind == ARRAY_OUT) p->present = LLVMBuildIsNotNull(e->b, p->data, "");
    for (uint32_t d = 0; d < a->rank; d++)
      p->stride[d] = view_field(e, a, e->t.i64, offsetof(attn_view, stride) + d * sizeof(int64_t));
  }
}

void array_declare(Emit *e, const Array *a) {
  if (array_in_workspace(a)) return;
  for (uint32_t n = 0; n < a->rank; n++) array_place_in(e, a)->dim[n] = e->val[a->dims[n]];
}

/* ---- elements ----------------------------------------------------------------------------------- */

static bool constant(const Emit *e, Val v, int64_t *value) {
  const Instr *i = ir_at(e->k, v);
  *value = i->integer;
  return i->op == IR_CONST && i->type == IR_INT;
}

/* Whether y = x + c, c at least `least`.  (Sums of sizes: arrays so long that these overflow do not exist.) */
static bool is_more(const Emit *e, Val x, Val y, int64_t least) {
  const Instr *i = ir_at(e->k, y);
  int64_t c;
  if (i->op != IR_ADD) return false;
  return (i->arg[0] == x && constant(e, i->arg[1], &c) && c >= least) ||
         (i->arg[1] == x && constant(e, i->arg[0], &c) && c >= least);
}

/* Whether x <= y is plain: equal, constants, more, or one argument of a minimum or maximum decides. */
static bool at_most(const Emit *e, Val x, Val y) {
  const Instr *i = ir_at(e->k, x), *j = ir_at(e->k, y);
  int64_t a, b;
  if (x == y || (constant(e, x, &a) && constant(e, y, &b) && a <= b)) return true;
  if (i->op == IR_SIZE && is_more(e, x, y, 0)) return true;
  if (i->op == IR_MIN && (at_most(e, i->arg[0], y) || at_most(e, i->arg[1], y))) return true;
  return j->op == IR_MAX && (at_most(e, x, j->arg[0]) || at_most(e, x, j->arg[1]));
}

static bool not_negative(const Emit *e, Val x) {
  const Instr *i = ir_at(e->k, x);
  int64_t v;
  if (i->op == IR_SELECT) return not_negative(e, i->arg[1]) && not_negative(e, i->arg[2]);
  return (constant(e, x, &v) && v >= 0) || i->op == IR_SIZE ||
         (i->op == IR_MAX && (not_negative(e, i->arg[0]) || not_negative(e, i->arg[1])));
}

/* Whether a range ends at `dim` or before, or is empty. */
static bool ends_within(const Emit *e, Val lo, Val hi, Val dim) {
  const Instr *i = ir_at(e->k, hi);
  if (hi == lo || at_most(e, hi, dim)) return true;
  return i->op == IR_SELECT && ends_within(e, lo, i->arg[1], dim) && ends_within(e, lo, i->arg[2], dim);
}

/* Whether an index is proved to lie in its dimension.  (All these ranges hold the index: lo <= index < hi.) */
bool array_within(const Emit *e, Val index, Val dim) {
  const Instr *i = ir_at(e->k, index);
  int64_t v, d;
  if (constant(e, index, &v)) return constant(e, dim, &d) && v >= 0 && v < d;
  if (i->op == IR_SIZE) return is_more(e, index, dim, 1);
  const IndexRange *r = &e->range[index];
  return i->op == IR_INDEX && not_negative(e, r->lo) && ends_within(e, r->lo, r->hi, dim);
}

/* Whether all indices are inside; NULL: proved. */
static LLVMValueRef inside(Emit *e, const Array *a, const Val *index) {
  LLVMValueRef all = NULL;
  for (uint32_t n = 0; n < a->rank; n++) {
    if (array_within(e, index[n], a->dims[n])) continue;
    LLVMValueRef x = e->val[index[n]];
    LLVMValueRef low = LLVMBuildICmp(e->b, LLVMIntSGE, x, const_int(e, 0), "");
    LLVMValueRef high = LLVMBuildICmp(e->b, LLVMIntSLT, x, e->place[a->id].dim[n], "");
    LLVMValueRef in = LLVMBuildAnd(e->b, low, high, "");
    all = all ? LLVMBuildAnd(e->b, all, in, "") : in;
  }
  return all;
}

static LLVMValueRef address_of(Emit *e, const Array *a, const Val *index) {
  const ArrayPlace *p = &e->place[a->id];
  LLVMValueRef offset = const_int(e, 0);
  for (uint32_t n = 0; n < a->rank; n++)
    offset = LLVMBuildAdd(e->b, offset, LLVMBuildMul(e->b, e->val[index[n]], p->stride[n], ""), "");
  return array_at(e, a, offset);
}

/* Zero stands in for what is outside. */
static LLVMValueRef safe_address(Emit *e, const Instr *i) {
  LLVMValueRef in = inside(e, i->array, i->arg), address = address_of(e, i->array, i->arg);
  return in ? LLVMBuildSelect(e->b, in, address, e->zero, "") : address;
}

LLVMValueRef array_load_bits(Emit *e, const Instr *i) {
  return constant_load(e, array_stored_type(e, i->array->elem), safe_address(e, i));
}

LLVMValueRef array_load(Emit *e, const Instr *i) {
  const Array *a = i->array;
  if (a->kind != ARRAY_IN) return array_get(e, a, safe_address(e, i));
  return array_decode(e, a, array_load_bits(e, i));
}

static LLVMValueRef both(Emit *e, LLVMValueRef x, LLVMValueRef y) {
  if (!x || !y) return x ? x : y;
  return LLVMBuildAnd(e->b, x, y, "");
}

void array_store(Emit *e, const Instr *i) {
  const Array *a = i->array;
  LLVMValueRef cond = both(e, e->place[a->id].present, inside(e, a, i->arg + 1));
  LLVMBasicBlockRef done = cond ? block_when(e, cond, "store") : NULL;
  array_put(e, a, address_of(e, a, i->arg + 1), e->val[i->arg[0]], ir_at(e->k, i->arg[0])->type);
  if (done) block_go(e, done);
}

LLVMValueRef array_points(Emit *e, const Array *a) {
  LLVMValueRef n = const_int(e, 1);
  for (uint32_t d = 0; d < a->rank; d++) n = LLVMBuildMul(e->b, n, e->place[a->id].dim[d], "");
  return n;
}

LLVMValueRef array_bytes(Emit *e, const Array *a) {
  return LLVMBuildMul(e->b, array_points(e, a), const_int(e, array_stored_bytes(e, a->elem)), "");
}

LLVMValueRef array_at(Emit *e, const Array *a, LLVMValueRef offset) {
  return LLVMBuildGEP2(e->b, array_stored_type(e, a->elem), e->place[a->id].data, &offset, 1, "");
}

LLVMValueRef array_get(Emit *e, const Array *a, LLVMValueRef address) {
  return array_decode(e, a, LLVMBuildLoad2(e->b, array_stored_type(e, a->elem), address, ""));
}

void array_put(Emit *e, const Array *a, LLVMValueRef address, LLVMValueRef value, IrType type) {
  LLVMBuildStore(e->b, array_encode(e, a, value, type), address);
}
