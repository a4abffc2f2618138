/* array: where arrays lie, and their elements.
 *
 * Inputs and outputs are the caller's views.  TEMP and LOCAL arrays are laid out one after another in the
 * workspace, C order, in the order of Kernel.arrays; their dimensions follow from the sizes alone, so that
 * the workspace function computes the same layout from the same code.  What one thread writes before others
 * read it comes first and exists once: TEMP arrays, and LOCAL arrays outside parallel loops.  LOCAL arrays that
 * are an iteration's own exist once a thread.
 *
 * A load outside its array gives 0 without touching memory: the address is exchanged for that of a zero.
 * No test is made where an index is the variable of a loop that runs within the dimension. */
#include <stddef.h>

#include "back/emit.h"
#include "back/lanes.h"
#include "back/tile.h"
#include "base/ice.h"

enum { LINE = 64 }; /* alignment of workspace arrays: a cache line, and the widest vector */

static LLVMTypeRef stored_type(const Emit *e, StoreType s) {
  switch (s) {
    case STORE_BOOL: return e->t.i8;
    case STORE_INT: return e->t.i64;
    case STORE_REAL: return type_of(e, IR_REAL);
    case STORE_WIDE: return e->t.f64;
    case STORE_F16: return e->t.i16;
    case STORE_BF16: return e->t.i16;
    case STORE_F32: return e->t.f32;
  }
  ICE("stored type %d", (int)s);
}

static int64_t stored_bytes(const Emit *e, StoreType s) {
  switch (s) {
    case STORE_BOOL: return 1;
    case STORE_INT: return 8;
    case STORE_REAL: return e->f64 ? 8 : 4;
    case STORE_WIDE: return 8;
    case STORE_F16: return 2;
    case STORE_BF16: return 2;
    case STORE_F32: return 4;
  }
  ICE("stored type %d", (int)s);
}

static bool in_workspace(const Array *a) { return a->kind == ARRAY_TEMP || a->kind == ARRAY_LOCAL; }

static ArrayPlace *place_of(Emit *e, const Array *a) {
  ArrayPlace *p = &e->place[a->id];
  if (!p->dim) {
    p->dim = NEW_ARRAY(e->arena, LLVMValueRef, a->rank + 1);
    p->stride = NEW_ARRAY(e->arena, LLVMValueRef, a->rank + 1);
  }
  return p;
}

/* ---- layout of the workspace -------------------------------------------------------------------- */

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

static bool follows_from_sizes(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_LOAD || i->op == IR_INDEX || i->op == IR_RESULT) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!follows_from_sizes(k, i->arg[n])) return false;
  return true;
}

/* Arrays that no instruction declares take no room: their loop was found to equal another. */
static bool laid_out(const Array *a) { return in_workspace(a) && a->home; }

const char *layout_refusal(Arena *arena, const Kernel *k) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    for (uint32_t d = 0; laid_out(a) && d < a->rank; d++)
      if (!follows_from_sizes(k, a->dims[d]))
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

/* Dimensions and strides, C order; returns the bytes, 0 where a dimension is not positive. */
static LLVMValueRef layout_array(Emit *e, const Array *a) {
  ArrayPlace *p = place_of(e, a);
  LLVMValueRef bytes = const_int(e, stored_bytes(e, a->elem)), stride = const_int(e, 1);
  for (uint32_t n = a->rank; n-- > 0;) {
    LLVMValueRef dim = layout_size(e, a->dims[n]);
    p->dim[n] = op_extreme(e, IR_INT, true, dim, const_int(e, 0));
    p->stride[n] = stride;
    stride = LLVMBuildMul(e->b, stride, p->dim[n], "");
    bytes = layout_multiply(e, bytes, p->dim[n]);
  }
  LLVMValueRef padded = layout_add(e, bytes, const_int(e, LINE - 1));
  return LLVMBuildAnd(e->b, padded, const_int(e, -LINE), "");
}

static bool is_shared(const Array *a) { return a->kind == ARRAY_TEMP || is_alone(a->home); }

/* data holds the offset until layout_place. */
static LLVMValueRef layout_part(Emit *e, bool shared) {
  LLVMValueRef total = const_int(e, 0);
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (!laid_out(a) || is_shared(a) != shared) continue;
    LLVMValueRef bytes = layout_array(e, a);
    place_of(e, a)->data = total;
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
    if (!is_shared(a)) offset = LLVMBuildAdd(e->b, offset, own, "");
    e->place[a->id].data = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &offset, 1, a->name);
  }
  LLVMValueRef tiles = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, skip, own, ""), l->local, "");
  LLVMValueRef split = LLVMBuildAdd(e->b, skip, l->arrays, "");
  e->split_space = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &split, 1, "split");
  e->tile_space = LLVMBuildGEP2(e->b, e->t.i8, e->workspace, &tiles, 1, "tiles");
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
    if (in_workspace(a)) continue;
    ICE_UNLESS(a->rank <= ATTN_MAX_RANK);
    ArrayPlace *p = place_of(e, a);
    p->data = view_field(e, a, e->t.ptr, offsetof(attn_view, data));
    if (a->kind == ARRAY_OUT) p->present = LLVMBuildIsNotNull(e->b, p->data, "");
    for (uint32_t d = 0; d < a->rank; d++)
      p->stride[d] = view_field(e, a, e->t.i64, offsetof(attn_view, stride) + d * sizeof(int64_t));
  }
}

void array_declare(Emit *e, const Array *a) {
  if (in_workspace(a)) return;
  for (uint32_t n = 0; n < a->rank; n++) place_of(e, a)->dim[n] = e->val[a->dims[n]];
}

/* ---- elements ----------------------------------------------------------------------------------- */

static LLVMValueRef widen_bf16(Emit *e, LLVMValueRef bits) {
  LLVMValueRef high =
      LLVMBuildShl(e->b, LLVMBuildZExt(e->b, bits, e->t.i32, ""), LLVMConstInt(e->t.i32, 16, false), "");
  return LLVMBuildBitCast(e->b, high, e->t.f32, "");
}

/* With integers: processors without half precision would call a function for it.  The exponent is rebased by a
 * multiplication, which is exact and normalises; infinity and NaN keep their fraction under the largest one. */
static LLVMValueRef widen_f16(Emit *e, LLVMValueRef half) {
  LLVMValueRef h = LLVMBuildZExt(e->b, half, e->t.i32, "");
  LLVMValueRef body = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, h, LLVMConstInt(e->t.i32, 0x7fff, false), ""),
                                   LLVMConstInt(e->t.i32, 13, false), "");
  LLVMValueRef finite =
      LLVMBuildFMul(e->b, LLVMBuildBitCast(e->b, body, e->t.f32, ""), LLVMConstReal(e->t.f32, 0x1p112), "");
  LLVMValueRef large = LLVMBuildOr(e->b, body, LLVMConstInt(e->t.i32, 0x7f800000, false), "");
  LLVMValueRef is_large = LLVMBuildICmp(e->b, LLVMIntUGE, body, LLVMConstInt(e->t.i32, 0x7c00 << 13, false), "");
  LLVMValueRef size = LLVMBuildSelect(e->b, is_large, large, LLVMBuildBitCast(e->b, finite, e->t.i32, ""), "");
  LLVMValueRef sign = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, h, LLVMConstInt(e->t.i32, 0x8000, false), ""),
                                   LLVMConstInt(e->t.i32, 16, false), "");
  return LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, size, sign, ""), e->t.f32, "");
}

static LLVMValueRef float_from(Emit *e, LLVMValueRef x, LLVMTypeRef to) {
  LLVMTypeRef from = LLVMTypeOf(x);
  if (from == to) return x;
  return to == e->t.f64 ? LLVMBuildFPExt(e->b, x, to, "") : LLVMBuildFPTrunc(e->b, x, to, "");
}

/* A stored element as a value of the array's type. */
static LLVMValueRef decode(Emit *e, const Array *a, LLVMValueRef raw) {
  switch (a->elem) {
    case STORE_BOOL: {
      LLVMValueRef set = LLVMBuildICmp(e->b, LLVMIntNE, raw, LLVMConstNull(e->t.i8), "");
      return op_convert(e, set, IR_BOOL, a->type);
    }
    case STORE_INT: return op_convert(e, raw, IR_INT, a->type);
    case STORE_BF16: return float_from(e, widen_bf16(e, raw), type_of(e, a->type));
    case STORE_F16: return float_from(e, widen_f16(e, raw), type_of(e, a->type));
    case STORE_REAL:
    case STORE_WIDE:
    case STORE_F32: return float_from(e, raw, type_of(e, a->type));
  }
  ICE("stored type %d", (int)a->elem);
}

static LLVMValueRef encode(Emit *e, const Array *a, LLVMValueRef x, IrType type) {
  switch (a->elem) {
    case STORE_BOOL: return LLVMBuildZExt(e->b, op_convert(e, x, type, IR_BOOL), e->t.i8, "");
    case STORE_INT: return op_convert(e, x, type, IR_INT);
    case STORE_REAL: return op_convert(e, x, type, IR_REAL);
    case STORE_WIDE: return op_convert(e, x, type, IR_WIDE);
    case STORE_F32: return float_from(e, op_convert(e, x, type, IR_REAL), e->t.f32);
    case STORE_F16:
    case STORE_BF16: break;
  }
  ICE("array '%s' is stored in half precision, which only inputs are", a->name);
}

static bool constant(const Emit *e, Val v, int64_t *value) {
  const Instr *i = ir_at(e->k, v);
  *value = i->integer;
  return i->op == IR_CONST && i->type == IR_INT;
}

/* Whether x <= y is plain: equal, constants, or one argument of a minimum or maximum decides. */
static bool at_most(const Emit *e, Val x, Val y) {
  const Instr *i = ir_at(e->k, x), *j = ir_at(e->k, y);
  int64_t a, b;
  if (x == y || (constant(e, x, &a) && constant(e, y, &b) && a <= b)) return true;
  if (i->op == IR_MIN && (at_most(e, i->arg[0], y) || at_most(e, i->arg[1], y))) return true;
  return j->op == IR_MAX && (at_most(e, x, j->arg[0]) || at_most(e, x, j->arg[1]));
}

static bool not_negative(const Emit *e, Val x) {
  const Instr *i = ir_at(e->k, x);
  int64_t v;
  return (constant(e, x, &v) && v >= 0) ||
         (i->op == IR_MAX && (not_negative(e, i->arg[0]) || not_negative(e, i->arg[1])));
}

/* Whether an index is proved to lie in its dimension.  (All these ranges hold the index: lo <= index < hi.) */
static bool within(const Emit *e, Val index, Val dim) {
  const Instr *i = ir_at(e->k, index);
  int64_t v, d;
  if (constant(e, index, &v)) return constant(e, dim, &d) && v >= 0 && v < d;
  const IndexRange *r = &e->range[index];
  return i->op == IR_INDEX && not_negative(e, r->lo) && at_most(e, r->hi, dim);
}

/* Whether all indices are inside; NULL: proved. */
static LLVMValueRef inside(Emit *e, const Array *a, const Val *index) {
  LLVMValueRef all = NULL;
  for (uint32_t n = 0; n < a->rank; n++) {
    if (within(e, index[n], a->dims[n])) continue;
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
  return constant_load(e, stored_type(e, i->array->elem), safe_address(e, i));
}

LLVMValueRef array_load(Emit *e, const Instr *i) {
  const Array *a = i->array;
  if (a->kind != ARRAY_IN) return array_get(e, a, safe_address(e, i));
  return decode(e, a, array_load_bits(e, i));
}

/* ---- runs ------------------------------------------------------------------------------------------ */

bool array_has_runs(const Array *a) {
  return a->type != IR_INT && a->type != IR_BOOL && a->elem != STORE_BOOL && a->elem != STORE_INT;
}

LLVMValueRef array_run_holds(Emit *e, const Instr *i, uint32_t along, LLVMValueRef lo, LLVMValueRef hi) {
  const ArrayPlace *p = &e->place[i->array->id];
  LLVMValueRef all = LLVMBuildICmp(e->b, LLVMIntEQ, p->stride[along], const_int(e, 1), "");
  for (uint32_t n = 0; n < i->narg; n++) {
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
  return LLVMBuildGEP2(e->b, stored_type(e, a->elem), array_at(e, a, start), &e->val[i->arg[along]], 1, "");
}

void array_fetch(Emit *e, LLVMValueRef address) {
  static const char name[] = "llvm.prefetch";
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), &e->t.ptr, 1);
  LLVMValueRef arg[] = {address, LLVMConstInt(e->t.i32, 0, false), LLVMConstInt(e->t.i32, 2, false),
                        LLVMConstInt(e->t.i32, 1, false)};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
}

void array_run_ahead(Emit *e, const Instr *i, uint32_t along, uint32_t across, int64_t ahead, int64_t least) {
  LLVMValueRef far = LLVMBuildMul(e->b, e->place[i->array->id].stride[across], const_int(e, ahead), "");
  if (least) far = op_extreme(e, IR_INT, true, far, const_int(e, least));
  array_fetch(e, LLVMBuildGEP2(e->b, stored_type(e, i->array->elem), run_address(e, i, along), &far, 1, ""));
}

LLVMValueRef array_run_at(Emit *e, const Instr *i, uint32_t along, uint32_t across, LLVMValueRef *bytes) {
  *bytes = LLVMBuildMul(e->b, e->place[i->array->id].stride[across], const_int(e, stored_bytes(e, i->array->elem)), "");
  return run_address(e, i, along);
}

LLVMValueRef array_run_bits(Emit *e, const Instr *i, uint32_t along, unsigned count) {
  LLVMTypeRef type = LLVMVectorType(stored_type(e, i->array->elem), count);
  LLVMValueRef raw = LLVMBuildLoad2(e->b, type, run_address(e, i, along), "");
  LLVMSetAlignment(raw, (unsigned)stored_bytes(e, i->array->elem));
  return raw;
}

LLVMValueRef array_run(Emit *e, const Instr *i, uint32_t along, unsigned count) {
  const Array *a = i->array;
  Lanes l = lanes_of(e, count);
  LLVMValueRef raw = array_run_bits(e, i, along, count);
  if (a->elem == STORE_BF16) return lanes_from_bf16(&l, raw);
  return a->elem == STORE_F16 ? lanes_from_f16(&l, raw) : raw;
}

/* Under a mask what it leaves out is 0, and not read. */
LLVMValueRef array_run_part(Emit *e, const Instr *i, uint32_t along, unsigned count, LLVMValueRef mask) {
  static const char name[] = "llvm.masked.load";
  if (!mask) return array_run(e, i, along, count);
  const Array *a = i->array;
  Lanes l = lanes_of(e, count);
  LLVMTypeRef type[] = {LLVMVectorType(stored_type(e, a->elem), count), e->t.ptr};
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), type, 2);
  LLVMValueRef bytes = LLVMConstInt(e->t.i32, (unsigned long long)stored_bytes(e, a->elem), false);
  LLVMValueRef arg[] = {run_address(e, i, along), bytes, mask, LLVMConstNull(type[0])};
  LLVMValueRef raw = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
  if (a->elem == STORE_BF16) return lanes_from_bf16(&l, raw);
  return a->elem == STORE_F16 ? lanes_from_f16(&l, raw) : raw;
}

void array_run_fetch(Emit *e, const Instr *load, uint32_t along, LLVMValueRef bytes, Fetch to) {
  static const char name[] = "llvm.prefetch";
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), &e->t.ptr, 1);
  LLVMValueRef at = LLVMBuildGEP2(e->b, e->t.i8, run_address(e, load, along), &bytes, 1, "");
  LLVMValueRef arg[] = {at, LLVMConstInt(e->t.i32, to == FETCH_STORE, false),
                        LLVMConstInt(e->t.i32, to == FETCH_SECOND ? 2 : 3, false), LLVMConstInt(e->t.i32, 1, false)};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
}

LLVMValueRef array_run_bytes(Emit *e, const Array *a, LLVMValueRef extent) {
  return LLVMBuildMul(e->b, extent, const_int(e, stored_bytes(e, a->elem)), "");
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
  unsigned bytes = (unsigned)stored_bytes(e, i->array->elem);
  if (!mask) {
    LLVMSetAlignment(LLVMBuildStore(e->b, x, address), bytes);
    return;
  }
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), type, 2);
  LLVMValueRef arg[] = {x, address, LLVMConstInt(e->t.i32, bytes, false), mask};
  LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, "");
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
  return LLVMBuildMul(e->b, array_points(e, a), const_int(e, stored_bytes(e, a->elem)), "");
}

LLVMValueRef array_at(Emit *e, const Array *a, LLVMValueRef offset) {
  return LLVMBuildGEP2(e->b, stored_type(e, a->elem), e->place[a->id].data, &offset, 1, "");
}

LLVMValueRef array_get(Emit *e, const Array *a, LLVMValueRef address) {
  return decode(e, a, LLVMBuildLoad2(e->b, stored_type(e, a->elem), address, ""));
}

void array_put(Emit *e, const Array *a, LLVMValueRef address, LLVMValueRef value, IrType type) {
  LLVMBuildStore(e->b, encode(e, a, value, type), address);
}

/* ---- for iterations side by side ------------------------------------------------------------------- */

LLVMTypeRef array_stored_type(const Emit *e, StoreType s) { return stored_type(e, s); }
int64_t array_stored_bytes(const Emit *e, StoreType s) { return stored_bytes(e, s); }
bool array_within(const Emit *e, Val index, Val dim) { return within(e, index, dim); }
