/* tile_line: the values of an operand along its feature, for one row or one column: a line.
 *
 * Neighbouring features lie in the lanes of a vector where every array that the operand reads along the feature has
 * its elements there side by side, and all that is computed from them has a vector form: then the line is computed n at
 * a time.  What is left over, and any other operand, is computed by the scalar code of the value, one by one. */
#include <math.h>

#include "back/tile.h"
#include "back/whole.h"

typedef LLVMValueRef V;

/* ---- whether a value has a vector form along the feature ------------------------------------------- */

static bool runs_along(const Tile *t, Val v) { return (t->rows->dep[v] & DEP_FEATURE) != 0; }

/* Which index of a load is the feature's, all others lacking it; -1: none is. */
static int feature_place(const Tile *t, const Instr *load, Val feature) {
  int place = -1;
  for (uint32_t n = 0; n < load->narg; n++) {
    if (load->arg[n] == feature && place < 0) place = (int)n;
    else if (runs_along(t, load->arg[n])) return -1;
  }
  return place;
}

/* Arithmetic in f64 keeps its digits: only f32 is computed in lanes. */
static bool is_vector(const Tile *t, Val v, Val feature, uint32_t depth) {
  const Kernel *k = t->e->k;
  const Instr *i = ir_at(k, v);
  if (!runs_along(t, v)) return i->type != IR_INT;
  if (depth > 32) return false;
  if (i->op == IR_LOAD) return array_has_runs(i->array) && feature_place(t, i, feature) >= 0;
  if (i->op == IR_CONVERT)
    return i->type == IR_WIDE && ir_at(k, i->arg[0])->type == IR_REAL && is_vector(t, i->arg[0], feature, depth + 1);
  if (!tile_has_vector_form(i->op, false) || (i->type != IR_REAL && i->type != IR_BOOL)) return false;
  for (uint32_t n = 0; n < i->narg; n++) {
    IrType type = ir_at(k, i->arg[n])->type;
    if ((type != IR_REAL && type != IR_BOOL) || !is_vector(t, i->arg[n], feature, depth + 1)) return false;
  }
  return true;
}

static bool tile_line_is_vector(const Tile *t, Val v, Val feature) {
  IrType type = ir_at(t->e->k, v)->type;
  return (type == IR_REAL || type == IR_WIDE) && runs_along(t, v) && is_vector(t, v, feature, 0);
}

/* Whether the arrays lie so, for features from lo to hi. */
static V tile_line_holds(Tile *t, Val v, Val feature, V lo, V hi) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  V all = LLVMConstInt(e->t.i1, 1, false);
  if (!runs_along(t, v)) return all;
  if (i->op == IR_LOAD) return array_run_holds(e, i, (uint32_t)feature_place(t, i, feature), lo, hi);
  for (uint32_t n = 0; n < i->narg; n++) all = both(e, all, tile_line_holds(t, i->arg[n], feature, lo, hi));
  return all;
}

/* ---- the values ---------------------------------------------------------------------------------------- */

enum { COLUMNS_AHEAD = 16, ELEMENTS_AHEAD = 1024 }; /* memory that is read once is late otherwise */

/* The columns to come, where it is known how they lie. */
static void fetch_ahead(Tile *t, const Instr *load, uint32_t along) {
  for (uint32_t n = 0; n < load->narg; n++)
    if (load->arg[n] == t->s->loop->index) array_run_ahead(t->e, load, along, n, COLUMNS_AHEAD, ELEMENTS_AHEAD);
}

V tile_line_bits(Tile *t, Val v, Val feature) {
  const Instr *i = ir_at(t->e->k, v);
  uint32_t along = (uint32_t)feature_place(t, i, feature);
  V bits = array_run_bits(t->e, i, along, t->l.n);
  fetch_ahead(t, i, along);
  return bits;
}

/* n values from the feature at e->val[feature]. */
V tile_line_value(Tile *t, Val v, Val feature) {
  Emit *e = t->e;
  const Instr *i = ir_at(e->k, v);
  if (!runs_along(t, v)) return lanes_splat(&t->l, lane_from(e, e->val[v], i->type));
  if (i->op == IR_LOAD) {
    uint32_t along = (uint32_t)feature_place(t, i, feature);
    V x = array_run(e, i, along, t->l.n);
    fetch_ahead(t, i, along);
    if (LLVMTypeOf(x) == t->l.f32) return x;
    V y = LLVMBuildFPTrunc(e->b, x, t->l.f32, "");
    if (i->type == IR_WIDE)
      tile_odd(t,
               tile_line_any(t, both(e, tile_line_infinite(e, y), LLVMBuildNot(e->b, tile_line_infinite(e, x), ""))));
    return y;
  }
  V *arg = NEW_ARRAY(e->arena, V, i->narg + 1);
  for (uint32_t n = 0; n < i->narg; n++) arg[n] = tile_line_value(t, i->arg[n], feature);
  return lanes_op(&t->l, i, arg);
}

V tile_line_any(Tile *t, V lanes) {
  LLVMTypeRef bits = LLVMIntTypeInContext(t->e->cx, LLVMGetVectorSize(LLVMTypeOf(lanes)));
  return LLVMBuildICmp(t->e->b, LLVMIntNE, LLVMBuildBitCast(t->e->b, lanes, bits, ""), LLVMConstNull(bits), "");
}

V tile_line_infinite(Emit *e, V x) {
  static const char fabs[] = "llvm.fabs";
  LLVMTypeRef type = LLVMTypeOf(x);
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(fabs, sizeof fabs - 1), &type, 1);
  V size = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, &x, 1, "");
  V most = LLVMConstReal(LLVMGetElementType(type), INFINITY), each[64];
  for (unsigned n = 0; n < LLVMGetVectorSize(type); n++) each[n] = most;
  return LLVMBuildFCmp(e->b, LLVMRealOEQ, size, LLVMConstVector(each, LLVMGetVectorSize(type)), "");
}

/* ---- squares ------------------------------------------------------------------------------------------- */

static V shuffle(const Lanes *l, V x, V y, const unsigned *from) {
  V index[64];
  for (unsigned k = 0; k < l->n; k++) index[k] = LLVMConstInt(l->e->t.i32, from[k], false);
  return LLVMBuildShuffleVector(l->e->b, x, y, LLVMConstVector(index, l->n), "");
}

/* The step of distance h of a transposition: x and y are h rows apart, and change the quarters that are h columns off
 * their diagonal.  After the steps h = 1, 2, .., n / 2 row r holds what column r held. */
static void exchange(const Lanes *l, V *x, V *y, unsigned h) {
  unsigned low[64], high[64];
  for (unsigned k = 0; k < l->n; k++) {
    low[k] = k & h ? l->n + k - h : k;
    high[k] = k & h ? l->n + k : k + h;
  }
  V kept = *x;
  *x = shuffle(l, kept, *y, low);
  *y = shuffle(l, kept, *y, high);
}

void tile_transpose(const Lanes *l, V *row) {
  for (unsigned h = 1; h < l->n; h *= 2)
    for (unsigned r = 0; r < l->n; r++)
      if (!(r & h)) exchange(l, &row[r], &row[r + h], h);
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

bool tile_line_may(V full) { return !LLVMIsConstant(full) || !LLVMIsNull(full); }

V tile_line_full(Tile *t, const ValVec *values, Val feature, V lo, V extent) {
  Emit *e = t->e;
  V whole = both(e, extent, const_int(e, -(int64_t)t->l.n)), holds = LLVMConstInt(e->t.i1, 1, false);
  for (uint32_t n = 0; n < values->n; n++) {
    if (!tile_line_is_vector(t, values->at[n], feature)) return const_int(e, 0);
    holds = both(e, holds, tile_line_holds(t, values->at[n], feature, lo, plus(e, lo, whole)));
  }
  return LLVMBuildSelect(e->b, holds, whole, const_int(e, 0), "");
}
