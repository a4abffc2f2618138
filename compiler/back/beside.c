/* beside: which loops are computed side by side, and their code; see beside.h. */
#include "back/beside.h"

#include "base/ice.h"
#include "ir/beyond.h"

typedef LLVMValueRef V;

/* ---- which loops --------------------------------------------------------------------------------- */

static bool known_few(const Kernel *k, const Loop *l, unsigned n) {
  const Instr *lo = ir_at(k, l->lo), *hi = ir_at(k, l->hi);
  return lo->op == IR_CONST && hi->op == IR_CONST && hi->integer - lo->integer <= (int64_t)n / 2;
}

static bool plain_accumulators(const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis) return false;
  return !l->seed;
}

static bool any_varies(const Beside *b, const Instr *i) {
  for (uint32_t n = 0; n < i->narg; n++)
    if (b->varies[i->arg[n]]) return true;
  return false;
}

static bool fits_region(Beside *b, const Region *r);

static bool body_varies(const Beside *b, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (b->varies[r->code.at[n]]) return true;
  return false;
}

/* A reduction inside: over the same range for all lanes.  One whose results are the same for all has lanes too where
 * anything in it differs: scalar code cannot read a vector, be it for a check or for nobody. */
static bool fits_inside(Beside *b, Val v, const Loop *l) {
  if (l->kind != LOOP_REDUCE || !plain_accumulators(l) || b->varies[l->lo] || b->varies[l->hi]) return false;
  if (!fits_region(b, l->body)) return false;
  bool varies = body_varies(b, l->body) || (l->mask && b->varies[l->mask]);
  for (uint32_t n = 0; n < l->accs.n; n++)
    varies = varies || b->varies[l->accs.at[n]->body.log_w] || b->varies[l->accs.at[n]->body.x];
  for (uint32_t n = 0; n < l->accs.n; n++) b->varies[l->accs.at[n]->result] = varies;
  b->varies[v] = varies;
  b->varies[0] = false; /* "no value" */
  return true;
}

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }

static bool fits_store(const Beside *b, const Instr *i) {
  if (b->loop->kind != LOOP_PAR || (i->array->elem == STORE_INT && is_float(ir_at(b->e->k, i->arg[0])->type)))
    return false;
  for (uint32_t n = 1; n < i->narg; n++)
    if (b->varies[i->arg[n]]) return true;
  return false;
}

static bool fits_region(Beside *b, const Region *r) {
  const Kernel *k = b->e->k;
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(k, v);
    if (i->op == IR_ARRAY || i->op == IR_SOLVE || i->op == IR_CHECK_CLIQUE) return false;
    if (i->op == IR_LOOP && !fits_inside(b, v, i->loop)) return false;
    if (i->op == IR_STORE && !fits_store(b, i)) return false;
    if (i->op != IR_LOOP) b->varies[v] = any_varies(b, i);
  }
  return true;
}

/* Whether it is worth while: a loop of a few iterations would leave most lanes without work. */
static bool fits(Beside *b, const Loop *l) {
  const Kernel *k = b->e->k;
  if (known_few(k, l, b->n) || (l->kind == LOOP_REDUCE && !plain_accumulators(l))) return false;
  b->varies[l->index] = true;
  if (!fits_region(b, l->body)) return false;
  return true;
}

/* ---- code ----------------------------------------------------------------------------------------- */

static void code(Beside *b, const Region *r, const bool *pick, bool want, V on);

/* on: lanes for which it matters; NULL: all that are there. */
void beside_check(const Beside *b, const Instr *i, V on) {
  Emit *e = b->e;
  V x = beside_get(b, i->arg[1]), limit = beside_get(b, i->arg[2]), zero = LLVMConstNull(LLVMTypeOf(x)), fails;
  if (i->op != IR_CHECK_INDEX) {
    fails = is_float(ir_at(e->k, i->arg[1])->type) ? LLVMBuildFCmp(e->b, LLVMRealOEQ, x, zero, "")
                                                   : LLVMBuildICmp(e->b, LLVMIntEQ, x, zero, "");
  } else {
    V low = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero, "");
    fails = LLVMBuildOr(e->b, low, LLVMBuildICmp(e->b, LLVMIntSGE, x, limit, ""), "");
  }
  if (b->active) fails = LLVMBuildAnd(e->b, fails, b->active, "");
  if (i->arg[0]) fails = LLVMBuildAnd(e->b, fails, beside_get(b, i->arg[0]), "");
  if (on) fails = LLVMBuildAnd(e->b, fails, on, "");
  LLVMBasicBlockRef none = block_when(
      e, LLVMBuildIsNotNull(e->b, LLVMBuildBitCast(e->b, fails, LLVMIntTypeInContext(e->cx, b->n), ""), ""), "fails");
  for (unsigned n = 0; n < b->n; n++) { /* the first lane's comes first */
    V at = LLVMConstInt(e->t.i32, n, false);
    V value = ir_at(e->k, i->arg[1])->type == IR_INT ? LLVMBuildExtractElement(e->b, x, at, "") : const_int(e, 0);
    V top = i->op == IR_CHECK_INDEX ? LLVMBuildExtractElement(e->b, limit, at, "") : const_int(e, 0);
    if (n) e->sites.n--; /* one place for all lanes */
    emit_check_failure(e, i, LLVMBuildExtractElement(e->b, fails, at, ""), value, top);
  }
  block_go(e, none);
}

/* An int that goes up by one from lane to lane. */
static V base_of(const Beside *b, const Instr *i) {
  if (i->type != IR_INT || (i->op != IR_ADD && i->op != IR_SUB)) return NULL;
  V x = b->base[i->arg[0]], y = b->base[i->arg[1]];
  bool first = b->varies[i->arg[0]], second = b->varies[i->arg[1]];
  if (x && !second) return (i->op == IR_ADD ? LLVMBuildAdd : LLVMBuildSub)(b->e->b, x, b->e->val[i->arg[1]], "");
  return y && !first && i->op == IR_ADD ? LLVMBuildAdd(b->e->b, b->e->val[i->arg[0]], y, "") : NULL;
}

static V and_maybe(const Beside *b, V x, V y) { return x && y ? LLVMBuildAnd(b->e->b, x, y, "") : x ? x : y; }

/* One element of a reduction; on: the lanes that come to it. */
static void element(Beside *b, LaneReduction *r, const Loop *l, V on) {
  Emit *e = b->e;
  bool *early = l->mask ? need_before_mask(e, l->body, l->mask) : NULL;
  LLVMBasicBlockRef done = NULL;
  if (l->mask) code(b, l->body, early, true, on);
  if (l->mask && b->varies[l->mask]) on = and_maybe(b, on, e->val[l->mask]);
  else if (l->mask) done = block_when(e, e->val[l->mask], "masked");
  code(b, l->body, early, false, on);
  lane_reduction_add(b, r, on);
  if (done) block_go(e, done);
}

static void reduction_inside(Beside *b, const Loop *l, V on) {
  Emit *e = b->e;
  LaneReduction *r = lane_reduction_begin(b, l);
  Count c = count_enter(e, e->val[l->lo], e->val[l->hi]);
  e->val[l->index] = c.index;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  element(b, r, l, on);
  count_leave(e, &c);
  lane_reduction_end(b, r, false);
}

static bool check_varies(const Beside *b, const Instr *i, V on) { return on || any_varies(b, i); }

static void instruction(Beside *b, Val v, V on) {
  Emit *e = b->e;
  const Instr *i = ir_at(e->k, v);
  if (i->op == IR_STORE) beside_store(b, i);
  else if (i->op == IR_LOOP && b->varies[v]) reduction_inside(b, i->loop, on);
  else if (ir_is_check(i->op) && check_varies(b, i, on)) beside_check(b, i, on);
  else if (!b->varies[v]) emit_instr(e, v);
  else if (i->op == IR_LOAD) e->val[v] = beside_load(b, i);
  else {
    b->base[v] = base_of(b, i);
    e->val[v] = beside_op(b, i);
  }
}

static void code(Beside *b, const Region *r, const bool *pick, bool want, V on) {
  for (uint32_t n = 0; n < r->code.n; n++)
    if (!pick || pick[r->code.at[n]] == want) instruction(b, r->code.at[n], on);
}

/* The lanes are the values from `first` on of a loop's or an axis' variable; `left` of them: NULL: all. */
static void set_lanes(Beside *b, Val index, IndexRange range, V first, V left) {
  Emit *e = b->e;
  V lane = lanes_iota(&b->lanes, e->t.i64);
  b->base[index] = first;
  e->val[index] = LLVMBuildAdd(e->b, beside_splat(b, first), lane, "");
  e->range[index] = range;
  b->active = left ? LLVMBuildICmp(e->b, LLVMIntSLT, lane, beside_splat(b, left), "") : NULL;
}

/* ---- for blocks ------------------------------------------------------------------------------------ */

static void open_lanes(Beside *b) {
  b->lanes = lanes_of(b->e, b->n);
  b->base = NEW_ARRAY(b->e->arena, V, b->e->k->instrs.n);
}

static Beside beside_of(Emit *e, const Loop *l) {
  return (Beside){.e = e, .n = e->beside, .loop = l, .varies = NEW_ARRAY(e->arena, bool, e->k->instrs.n)};
}

bool beside_elements(Emit *e, const Loop *l, Beside *b) {
  if (!e->beside || l->mask || l->kind != LOOP_REDUCE) return false;
  *b = beside_of(e, l);
  b->varies[l->index] = true;
  if (!fits_region(b, l->body)) return false;
  open_lanes(b);
  return true;
}

void beside_elements_from(Beside *b, V first, V left) {
  set_lanes(b, b->loop->index, (IndexRange){b->loop->lo, b->loop->hi}, first, left);
}

void beside_instr(Beside *b, Val v) { instruction(b, v, NULL); }

/* ---- whole ranges ---------------------------------------------------------------------------------- */

typedef void (*VectorFn)(Beside *b, V first, V left, void *arg);

/* Whole vectors, then the rest, whose checks are those of the whole ones. */
static void each_vector(Beside *b, IndexRange range, VectorFn vector, void *arg) {
  Emit *e = b->e;
  V lo = e->val[range.lo], hi = e->val[range.hi], width = const_int(e, b->n);
  uint32_t sites = e->sites.n;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b), loop = block_new(e, "beside"), rest = block_new(e, "rest");
  V end = LLVMBuildSub(e->b, hi, const_int(e, b->n - 1), "");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, end, ""), loop, rest);
  LLVMPositionBuilderAtEnd(e->b, loop);
  V first = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMAddIncoming(first, &lo, &from, 1);
  vector(b, first, NULL, arg);
  V next = LLVMBuildNSWAdd(e->b, first, width, "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b);
  LLVMAddIncoming(first, &next, &last, 1);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, end, ""), loop, rest);
  LLVMMoveBasicBlockAfter(rest, last);
  LLVMPositionBuilderAtEnd(e->b, rest);
  V at = LLVMBuildPhi(e->b, e->t.i64, "");
  LLVMAddIncoming(at, (V[]){lo, next}, (LLVMBasicBlockRef[]){from, last}, 2);
  V left = LLVMBuildSub(e->b, hi, at, "");
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntSGT, left, const_int(e, 0), ""), "odd");
  e->sites.n = sites;
  vector(b, at, left, arg);
  block_go(e, done);
}

static void iterations(Beside *b, V first, V left, void *reduction) {
  const Loop *l = b->loop;
  set_lanes(b, l->index, (IndexRange){l->lo, l->hi}, first, left);
  if (reduction) element(b, reduction, l, b->active);
  else code(b, l->body, NULL, false, NULL);
}

bool beside_loop(Emit *e, const Loop *l) {
  if (!e->beside) return false;
  Beside b = beside_of(e, l);
  if (!fits(&b, l)) return false;
  open_lanes(&b);
  LaneReduction *r = l->kind == LOOP_REDUCE ? lane_reduction_begin(&b, l) : NULL;
  each_vector(&b, (IndexRange){l->lo, l->hi}, iterations, r);
  if (r) lane_reduction_end(&b, r, true);
  return true;
}

/* ---- axes ------------------------------------------------------------------------------------------ */

static bool has_check(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (ir_is_check(i->op) || (i->op == IR_LOOP && has_check(k, i->loop->body))) return true;
  }
  return false;
}

bool beside_axis(Emit *e, const Region *at, Val index, Beside *b) {
  if (!e->beside || has_check(e->k, at)) return false;
  *b = beside_of(e, at->loop);
  b->varies[index] = true;
  if (!fits_region(b, at)) return false;
  open_lanes(b);
  return true;
}

typedef struct AxisRun {
  const Region *at;
  Val index;
  IndexRange range;
  void (*body)(Beside *b, V first, void *arg);
  void *arg;
} AxisRun;

static void points(Beside *b, V first, V left, void *run) {
  const AxisRun *a = run;
  set_lanes(b, a->index, a->range, first, left);
  code(b, a->at, NULL, false, NULL);
  a->body(b, first, a->arg);
}

void beside_axis_run(Beside *b, const Region *at, Val index, IndexRange range,
                     void (*body)(Beside *b, V first, void *arg), void *arg) {
  AxisRun run = {at, index, range, body, arg};
  each_vector(b, range, points, &run);
}
