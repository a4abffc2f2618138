/* tile_load: the elements that the lanes of a vector of pairs name.
 *
 * Where they lie side by side along the columns one load takes them; that a run is one is found when the code runs.
 * Elsewhere they are gathered.  As in the scalar code an element outside the array is 0, and nothing is read there. */
#include "back/tile.h"
#include "back/whole.h"
#include "base/ice.h"

/* The indices of lane k become the ones that scalar code sees. */
static void set_indices(Emit *e, const Instr *i, LLVMValueRef *index, unsigned k) {
  for (uint32_t a = 0; a < i->narg; a++)
    e->val[i->arg[a]] = LLVMBuildExtractElement(e->b, index[a], LLVMConstInt(e->t.i32, k, false), "");
}

/* Where each lane's element is; that of a zero in place of what lies outside the array. */
static LLVMValueRef addresses(Tile *t, const Instr *i, LLVMValueRef *index) {
  Emit *e = t->e;
  const ArrayPlace *p = &e->place[i->array->id];
  LLVMValueRef offset = LLVMConstNull(t->l.i64), inside = NULL;
  for (uint32_t n = 0; n < i->narg; n++) {
    offset = plus(e, offset, LLVMBuildMul(e->b, index[n], lanes_splat(&t->l, p->stride[n]), ""));
    if (array_within(e, i->arg[n], i->array->dims[n])) continue;
    LLVMValueRef in = LLVMBuildICmp(e->b, LLVMIntULT, index[n], lanes_splat(&t->l, p->dim[n]), "");
    inside = inside ? LLVMBuildAnd(e->b, inside, in, "") : in;
  }
  LLVMValueRef at = LLVMBuildGEP2(e->b, array_stored_type(e, i->array->elem), p->data, &offset, 1, "");
  return inside ? LLVMBuildSelect(e->b, inside, at, lanes_splat(&t->l, e->zero), "") : at;
}

/* Stored elements as lanes. */
static LLVMValueRef decode(Tile *t, const Array *a, LLVMValueRef raw) {
  Emit *e = t->e;
  switch (a->elem) {
    case STORE_BOOL: return LLVMBuildICmp(e->b, LLVMIntNE, raw, LLVMConstNull(LLVMTypeOf(raw)), "");
    case STORE_INT: return raw;
    case STORE_BF16: return lanes_from_bf16(&t->l, raw);
    case STORE_F16: return lanes_from_f16(&t->l, raw);
    case STORE_REAL: case STORE_WIDE: case STORE_F32: break;
  }
  return LLVMTypeOf(raw) == t->l.f32 ? raw : LLVMBuildFPTrunc(e->b, raw, t->l.f32, "");
}

/* Elements that lie anywhere, by one operation: code for each lane is most of what a tile would be. */
static LLVMValueRef load_each(Tile *t, const Instr *i, LLVMValueRef *index) {
  static const char name[] = "llvm.masked.gather";
  Emit *e = t->e;
  LLVMValueRef at = addresses(t, i, index);
  LLVMTypeRef v = LLVMVectorType(array_stored_type(e, i->array->elem), t->l.n), types[] = {v, LLVMTypeOf(at)};
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, sizeof name - 1), types, 2);
  LLVMValueRef align = LLVMConstInt(e->t.i32, (unsigned)array_stored_bytes(e, i->array->elem), false);
  LLVMValueRef arg[] = {at, align, LLVMConstAllOnes(t->l.i1), LLVMGetPoison(v)};
  return decode(t, i->array, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, 4, ""));
}

/* The column's index, or that more or less what all columns share: it goes up by one from lane to lane. */
static bool runs_along(const Tile *t, Val v) {
  const Instr *i = ir_at(t->e->k, v);
  Val column = t->s->loop->index;
  if (v == column) return true;
  if (i->op != IR_ADD && i->op != IR_SUB) return false;
  if (i->arg[0] == column) return !(t->rows->dep[i->arg[1]] & DEP_COL);
  return i->op == IR_ADD && i->arg[1] == column && !(t->rows->dep[i->arg[0]] & DEP_COL);
}

/* Which index of a load runs along the columns, all others lacking them; -1: none does. */
static int column_place(const Tile *t, const Instr *load) {
  int place = -1;
  for (uint32_t n = 0; n < load->narg; n++) {
    if (runs_along(t, load->arg[n]) && place < 0) place = (int)n;
    else if (t->rows->dep[load->arg[n]] & DEP_COL) return -1;
  }
  return array_has_runs(load->array) ? place : -1;
}

/* Of a run that leaves its array: what is inside, by one load under a mask where the stride is known to be 1. */
static LLVMValueRef load_part_of_run(Tile *t, const Instr *i, LLVMValueRef *index, uint32_t along) {
  Emit *e = t->e;
  const ArrayPlace *p = &e->place[i->array->id];
  bool is_near = LLVMIsAConstantInt(p->stride[along]) && LLVMConstIntGetSExtValue(p->stride[along]) == 1;
  if (!is_near) return load_each(t, i, index);
  LLVMValueRef lane = plus(e, lanes_splat(&t->l, e->val[i->arg[along]]), lanes_iota(&t->l, e->t.i64));
  LLVMValueRef inside = LLVMBuildICmp(e->b, LLVMIntULT, lane, lanes_splat(&t->l, p->dim[along]), "");
  for (uint32_t n = 0; n < i->narg; n++) {
    if (n == along || array_within(e, i->arg[n], i->array->dims[n])) continue;
    LLVMValueRef there = LLVMBuildICmp(e->b, LLVMIntULT, e->val[i->arg[n]], p->dim[n], "");
    inside = LLVMBuildAnd(e->b, inside, lanes_splat(&t->l, there), "");
  }
  return array_run_part(e, i, along, t->l.n, inside);
}

/* Elements that lie side by side along the columns, where they do.  Lanes behind the last column then read what is
 * there: they are masked. */
static LLVMValueRef load_run(Tile *t, const Instr *i, LLVMValueRef *index, uint32_t along) {
  Emit *e = t->e;
  set_indices(e, i, index, 0);
  LLVMValueRef first = e->val[i->arg[along]], last = plus(e, first, const_int(e, t->l.n)), value[2];
  LLVMBasicBlockRef from[2], done = block_new(e, "loaded"),
                             each = block_when(e, array_run_holds(e, i, along, first, last), "run");
  value[0] = array_run(e, i, along, t->l.n);
  if (LLVMTypeOf(value[0]) != t->l.f32) value[0] = LLVMBuildFPTrunc(e->b, value[0], t->l.f32, "");
  from[0] = LLVMGetInsertBlock(e->b);
  LLVMBuildBr(e->b, done);
  LLVMPositionBuilderAtEnd(e->b, each);
  value[1] = load_part_of_run(t, i, index, along);
  if (LLVMTypeOf(value[1]) != t->l.f32) value[1] = LLVMBuildFPTrunc(e->b, value[1], t->l.f32, "");
  from[1] = LLVMGetInsertBlock(e->b);
  block_go(e, done);
  LLVMValueRef phi = LLVMBuildPhi(e->b, t->l.f32, "");
  LLVMAddIncoming(phi, value, from, 2);
  return phi;
}

LLVMValueRef tile_load(Tile *t, const Instr *i, LLVMValueRef *index) {
  Emit *e = t->e;
  LLVMValueRef *kept = NEW_ARRAY(e->arena, LLVMValueRef, i->narg + 1);
  int along = column_place(t, i);
  for (uint32_t a = 0; a < i->narg; a++) kept[a] = e->val[i->arg[a]];
  LLVMValueRef x = along < 0 ? load_each(t, i, index) : load_run(t, i, index, (uint32_t)along);
  for (uint32_t a = 0; a < i->narg; a++) e->val[i->arg[a]] = kept[a];
  return x;
}
