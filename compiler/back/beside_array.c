/* beside_array: the elements that the lanes name.
 *
 * Where the index that differs from lane to lane goes up by one, and its stride is 1, they lie side by side and one
 * instruction moves them; else each is found for itself.  The stride of an input is the caller's: the choice is made
 * when the code runs.  As in the scalar code a load outside the array is 0, and no test is made where an index is known
 * to lie inside. */
#include "back/beside.h"
#include "base/ice.h"

typedef LLVMValueRef V;

typedef struct Elements {
  V offset;            /* scalar: of what is the same for all lanes, */
  V apart;             /* vector: and what is not; NULL: one dimension, whose index is `run` plus the lane */
  V run, stride;       /* scalars: stride of that dimension */
  V there;             /* vector: active lanes whose indices lie inside; NULL: all */
} Elements;

/* NULL: all. */
static V both(const Beside *b, V x, V y) { return x && y ? LLVMBuildAnd(b->e->b, x, y, "") : x ? x : y; }

static V is_inside(const Beside *b, const Array *a, uint32_t d, Val index) {
  V x = b->e->val[index], dim = b->e->place[a->id].dim[d], zero = const_int(b->e, 0);
  if (b->varies[index]) dim = beside_splat(b, dim), zero = beside_splat(b, zero);
  V in = both(b, LLVMBuildICmp(b->e->b, LLVMIntSGE, x, zero, ""), LLVMBuildICmp(b->e->b, LLVMIntSLT, x, dim, ""));
  return b->varies[index] ? in : beside_splat(b, in);
}

static uint32_t varying(const Beside *b, const Array *a, const Val *index) {
  uint32_t n = 0;
  for (uint32_t d = 0; d < a->rank; d++) n += b->varies[index[d]];
  return n;
}

static Elements place_of(const Beside *b, const Array *a, const Val *index) {
  Emit *e = b->e;
  const ArrayPlace *at = &e->place[a->id];
  Elements p = {.offset = const_int(e, 0), .there = b->active};
  bool one = varying(b, a, index) == 1;
  for (uint32_t d = 0; d < a->rank; d++) {
    Val v = index[d];
    if (!array_within(e, v, a->dims[d])) p.there = both(b, p.there, is_inside(b, a, d, v));
    if (b->varies[v] && one && b->base[v]) {
      p.run = b->base[v];
      p.stride = at->stride[d];
    } else if (b->varies[v]) {
      V part = LLVMBuildMul(e->b, e->val[v], beside_splat(b, at->stride[d]), "");
      p.apart = p.apart ? LLVMBuildAdd(e->b, p.apart, part, "") : part;
    } else {
      p.offset = LLVMBuildAdd(e->b, p.offset, LLVMBuildMul(e->b, e->val[v], at->stride[d], ""), "");
    }
  }
  return p;
}

static LLVMTypeRef stored(const Beside *b, const Array *a) { return array_stored_type(b->e, a->elem); }

static V first_address(const Beside *b, const Array *a, const Elements *p) {
  V offset = LLVMBuildAdd(b->e->b, p->offset, LLVMBuildMul(b->e->b, p->run, p->stride, ""), "");
  return array_at(b->e, a, offset);
}

static V addresses(const Beside *b, const Array *a, const Elements *p) {
  Emit *e = b->e;
  V apart = p->apart;
  if (!apart) {
    V lane = lanes_iota(&b->lanes, e->t.i64), at = LLVMBuildAdd(e->b, beside_splat(b, p->run), lane, "");
    apart = LLVMBuildMul(e->b, at, beside_splat(b, p->stride), "");
  }
  return LLVMBuildGEP2(e->b, stored(b, a), array_at(e, a, p->offset), &apart, 1, "");
}

/* A call of one of LLVM's operations on the lanes of a mask. */
static V masked(const Beside *b, const char *name, unsigned ntypes, LLVMTypeRef *types, unsigned narg, V *arg) {
  V f = LLVMGetIntrinsicDeclaration(b->e->module, LLVMLookupIntrinsicID(name, strlen(name)), types, ntypes);
  return LLVMBuildCall2(b->e->b, LLVMGlobalGetValueType(f), f, arg, narg, "");
}

static V alignment(const Beside *b, const Array *a) {
  return LLVMConstInt(b->e->t.i32, (unsigned)array_stored_bytes(b->e, a->elem), false);
}

static bool is_one(V stride) { return LLVMIsAConstantInt(stride) && LLVMConstIntGetSExtValue(stride) == 1; }

static V all_lanes(const Beside *b) { return LLVMConstAllOnes(LLVMVectorType(b->e->t.i1, b->n)); }

static V line_get(const Beside *b, LLVMTypeRef t, V address, unsigned align, V there) {
  if (!there) {
    V plain = LLVMBuildLoad2(b->e->b, t, address, "");
    LLVMSetAlignment(plain, align);
    return plain;
  }
  LLVMTypeRef types[] = {t, b->e->t.ptr};
  V bytes = LLVMConstInt(b->e->t.i32, align, false);
  return masked(b, "llvm.masked.load", 2, types, 4, (V[]){address, bytes, there, LLVMConstNull(t)});
}

static void line_put(const Beside *b, V x, V address, unsigned align, V there) {
  if (!there) {
    LLVMSetAlignment(LLVMBuildStore(b->e->b, x, address), align);
    return;
  }
  LLVMTypeRef types[] = {LLVMTypeOf(x), b->e->t.ptr};
  masked(b, "llvm.masked.store", 2, types, 4, (V[]){x, address, LLVMConstInt(b->e->t.i32, align, false), there});
}

V beside_line_get(const Beside *b, LLVMTypeRef t, V address, unsigned align) {
  return line_get(b, t, address, align, b->active);
}

void beside_line_put(const Beside *b, V x, V address, unsigned align) { line_put(b, x, address, align, b->active); }

static unsigned element_bytes(const Beside *b, const Array *a) { return (unsigned)array_stored_bytes(b->e, a->elem); }

static V load_side_by_side(const Beside *b, const Array *a, const Elements *p) {
  LLVMTypeRef t = LLVMVectorType(stored(b, a), b->n);
  return line_get(b, t, first_address(b, a, p), element_bytes(b, a), p->there);
}

static V load_apart(const Beside *b, const Array *a, const Elements *p) {
  V at = addresses(b, a, p);
  LLVMTypeRef t = LLVMVectorType(stored(b, a), b->n), types[] = {t, LLVMTypeOf(at)};
  return masked(b, "llvm.masked.gather", 2, types, 4,
                (V[]){at, alignment(b, a), p->there ? p->there : all_lanes(b), LLVMConstNull(t)});
}

static void store_side_by_side(const Beside *b, const Array *a, const Elements *p, V x) {
  line_put(b, x, first_address(b, a, p), element_bytes(b, a), p->there);
}

static void store_apart(const Beside *b, const Array *a, const Elements *p, V x) {
  V at = addresses(b, a, p);
  LLVMTypeRef types[] = {LLVMTypeOf(x), LLVMTypeOf(at)};
  masked(b, "llvm.masked.scatter", 2, types, 4, (V[]){x, at, alignment(b, a), p->there ? p->there : all_lanes(b)});
}

/* Both ways, the stride decides; x: what is stored, NULL: a load. */
static V by_stride(const Beside *b, const Array *a, const Elements *p, V x) {
  Emit *e = b->e;
  LLVMBasicBlockRef near = block_new(e, "near"), far = block_new(e, "far"), done = block_new(e, "moved");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, p->stride, const_int(e, 1), ""), near, far);
  LLVMPositionBuilderAtEnd(e->b, near);
  V first = NULL, second = NULL;
  if (x) store_side_by_side(b, a, p, x);
  else first = load_side_by_side(b, a, p);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, far);
  if (x) store_apart(b, a, p, x);
  else second = load_apart(b, a, p);
  block_go(e, done);
  if (x) return NULL;
  V phi = LLVMBuildPhi(e->b, LLVMTypeOf(first), "");
  LLVMAddIncoming(phi, (V[]){first, second}, (LLVMBasicBlockRef[]){near, far}, 2);
  return phi;
}

static V load_raw(const Beside *b, const Array *a, const Elements *p) {
  if (p->apart) return load_apart(b, a, p);
  return is_one(p->stride) ? load_side_by_side(b, a, p) : by_stride(b, a, p, NULL);
}

/* Stored elements as values of the array's type. */
static V decode(const Beside *b, const Array *a, V raw) {
  switch (a->elem) {
    case STORE_BOOL: {
      V set = LLVMBuildICmp(b->e->b, LLVMIntNE, raw, LLVMConstNull(LLVMTypeOf(raw)), "");
      return beside_convert(b, set, IR_BOOL, a->type);
    }
    case STORE_INT: return beside_convert(b, raw, IR_INT, a->type);
    case STORE_BF16: raw = lanes_from_bf16(&b->lanes, raw); break;
    case STORE_F16: raw = lanes_from_f16(&b->lanes, raw); break;
    case STORE_REAL:
    case STORE_WIDE:
    case STORE_F32: break;
  }
  LLVMTypeRef t = beside_type(b, a->type);
  if (LLVMTypeOf(raw) == t) return raw;
  bool up = LLVMGetElementType(t) == b->e->t.f64;
  return up ? LLVMBuildFPExt(b->e->b, raw, t, "") : LLVMBuildFPTrunc(b->e->b, raw, t, "");
}

V beside_load(const Beside *b, const Instr *i) {
  Elements p = place_of(b, i->array, i->arg);
  return decode(b, i->array, load_raw(b, i->array, &p));
}

static V encode(const Beside *b, const Array *a, V x, IrType type) {
  Emit *e = b->e;
  LLVMTypeRef t = LLVMVectorType(stored(b, a), b->n);
  switch (a->elem) {
    case STORE_BOOL: return LLVMBuildZExt(e->b, beside_convert(b, x, type, IR_BOOL), t, "");
    case STORE_INT: return beside_convert(b, x, type, IR_INT);
    case STORE_REAL: return beside_convert(b, x, type, IR_REAL);
    case STORE_WIDE: return beside_convert(b, x, type, IR_WIDE);
    case STORE_F32:
      x = beside_convert(b, x, type, IR_REAL);
      return LLVMTypeOf(x) == t ? x : LLVMBuildFPTrunc(e->b, x, t, "");
    case STORE_F16:
    case STORE_BF16: break;
  }
  ICE("array '%s' is stored in half precision, which only inputs are", a->name);
}

void beside_store(const Beside *b, const Instr *i) {
  Emit *e = b->e;
  const Array *a = i->array;
  V present = e->place[a->id].present;
  LLVMBasicBlockRef done = present ? block_when(e, present, "store") : NULL;
  V x = encode(b, a, beside_get(b, i->arg[0]), ir_at(e->k, i->arg[0])->type);
  Elements p = place_of(b, a, i->arg + 1);
  if (p.apart) store_apart(b, a, &p, x);
  else if (is_one(p.stride)) store_side_by_side(b, a, &p, x);
  else by_stride(b, a, &p, x);
  if (done) block_go(e, done);
}
