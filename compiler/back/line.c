/* line: see line.h.
 *
 * A sum along a line has four vectors of partial sums, in f32 for at most LINE_PART elements, which then are added to a
 * sum in f64.  Ends of lines are computed under a mask, so that a line of 10 elements costs what one of 16 does. */
#include "back/line.h"
#include "back/whole.h"

#include <float.h>
#include <math.h>

typedef LLVMValueRef V;

enum { LINE_VECTORS = 4, LINE_PART = 1024, WRITTEN_OUT = 4 };

Line line_along(Emit *e, Val index) { return (Line){.e = e, .l = lanes_of(e, e->plan->target.lanes), .index = index}; }

/* ---- values ---------------------------------------------------------------------------------------- */

/* A scalar of f64 that f32 has, or that is no number in both. */
static V fits(Emit *e, Val v) {
  if (ir_at(e->k, v)->type != IR_WIDE) return LLVMConstInt(e->t.i1, 1, false);
  static const char fabs[] = "llvm.fabs";
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(fabs, sizeof fabs - 1), &e->t.f64, 1);
  V size = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, &e->val[v], 1, "");
  V small = LLVMBuildFCmp(e->b, LLVMRealULE, size, const_float(e, IR_WIDE, FLT_MAX), "");
  return LLVMBuildOr(e->b, small, LLVMBuildFCmp(e->b, LLVMRealOEQ, size, const_float(e, IR_WIDE, INFINITY), ""), "");
}

V line_holds(Line *n, Val v, V lo, V hi) {
  Emit *e = n->e;
  const Instr *i = ir_at(e->k, v);
  if (!tile_line_depends(e->k, v, n->index)) return fits(e, v);
  if (i->op == IR_LOAD) return array_run_holds(e, i, (uint32_t)tile_line_place(e->k, i, n->index), lo, hi);
  V all = LLVMConstInt(e->t.i1, 1, false);
  for (uint32_t a = 0; a < i->narg; a++) all = both(e, all, line_holds(n, i->arg[a], lo, hi));
  return all;
}

/* Values from the index at e->val[index] on, as floats. */
static V line_value(Line *n, Val v) {
  Emit *e = n->e;
  const Instr *i = ir_at(e->k, v);
  if (!tile_line_depends(e->k, v, n->index)) return lanes_splat(&n->l, lane_from(e, e->val[v], i->type));
  if (i->op == IR_LOAD) {
    V x = array_run_part(e, i, (uint32_t)tile_line_place(e->k, i, n->index), n->l.n, n->mask);
    return LLVMTypeOf(x) == n->l.f32 ? x : LLVMBuildFPTrunc(e->b, x, n->l.f32, "");
  }
  V *arg = NEW_ARRAY(e->arena, V, i->narg + 1);
  for (uint32_t a = 0; a < i->narg; a++) arg[a] = line_value(n, i->arg[a]);
  return lanes_op(&n->l, i, arg);
}

V line_add(Line *n, Val v, V part, V sum) {
  const Kernel *k = n->e->k;
  V next;
  while (ir_at(k, v)->op == IR_CONVERT && tile_line_depends(k, v, n->index)) v = ir_at(k, v)->arg[0];
  const Instr *i = ir_at(k, v);
  if (part) next = lanes_fma(&n->l, part, line_value(n, v), sum);
  else if (i->op == IR_MUL && tile_line_depends(k, v, n->index))
    next = lanes_fma(&n->l, line_value(n, i->arg[0]), line_value(n, i->arg[1]), sum);
  else next = LLVMBuildFAdd(n->e->b, sum, line_value(n, v), "");
  return n->mask ? LLVMBuildSelect(n->e->b, n->mask, next, sum, "") : next;
}

/* ---- parts of a line --------------------------------------------------------------------------------- */

static bool constant(V x, int64_t *v) {
  if (!LLVMIsAConstantInt(x)) return false;
  *v = LLVMConstIntGetSExtValue(x);
  return true;
}

static void one_step(Line *n, V at, uint32_t vectors, LineFn step, void *arg) {
  n->e->val[n->index] = at;
  step(n, vectors, arg);
}

/* Lanes of the vector at `at` that lie before hi, which is less than a step away. */
static V lanes_before(Line *n, V at, V hi) {
  Emit *e = n->e;
  V narrow = lanes_splat(&n->l, LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, hi, at, ""), e->t.i32, ""));
  return LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&n->l, e->t.i32), narrow, "");
}

static void steps_written_out(Line *n, V lo, int64_t extent, uint32_t most, LineFn step, void *arg) {
  int64_t lanes = n->l.n, at = 0;
  for (; extent - at >= lanes * most; at += lanes * most)
    one_step(n, plus(n->e, lo, const_int(n->e, at)), most, step, arg);
  for (; extent - at > 0; at += lanes) {
    V from = plus(n->e, lo, const_int(n->e, at));
    n->mask = extent - at < lanes ? lanes_before(n, const_int(n->e, at), const_int(n->e, extent)) : NULL;
    one_step(n, from, 1, step, arg);
    n->mask = NULL;
  }
}

void line_each(Line *n, V lo, V hi, uint32_t most, LineFn step, void *arg) {
  Emit *e = n->e;
  V extent = LLVMBuildSub(e->b, hi, lo, "");
  int64_t known, wide = (int64_t)n->l.n * most;
  if (constant(extent, &known) && known < WRITTEN_OUT * wide) {
    steps_written_out(n, lo, known, most, step, arg);
    return;
  }
  V whole = LLVMBuildSDiv(e->b, op_extreme(e, IR_INT, true, extent, const_int(e, 0)), const_int(e, wide), "");
  Count c = count_enter(e, const_int(e, 0), whole);
  one_step(n, plus(e, lo, LLVMBuildMul(e->b, c.index, const_int(e, wide), "")), most, step, arg);
  count_leave(e, &c);
  V rest = plus(e, lo, LLVMBuildMul(e->b, whole, const_int(e, wide), ""));
  V left = plus(e, LLVMBuildSub(e->b, hi, rest, ""), const_int(e, (int64_t)n->l.n - 1));
  c = count_enter(e, const_int(e, 0), LLVMBuildSDiv(e->b, left, const_int(e, (int64_t)n->l.n), ""));
  V at = plus(e, rest, LLVMBuildMul(e->b, c.index, const_int(e, (int64_t)n->l.n), ""));
  n->mask = lanes_before(n, at, hi);
  one_step(n, at, 1, step, arg);
  n->mask = NULL;
  count_leave(e, &c);
}

/* The vector number `vec` of a step. */
static void at_vector(Line *n, V from, uint32_t vec) {
  n->e->val[n->index] = plus(n->e, from, const_int(n->e, (int64_t)(vec * n->l.n)));
}

/* ---- checks -------------------------------------------------------------------------------------------- */

void line_checks(Emit *e, const Region *r, V lo, V hi) {
  bool *check = NEW_ARRAY(e->arena, bool, e->k->instrs.n), any = false;
  for (uint32_t n = 0; n < r->code.n; n++) any |= check[r->code.at[n]] = ir_is_check(ir_at(e->k, r->code.at[n])->op);
  if (!any) return;
  V done = LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, "");
  LLVMBasicBlockRef after = block_when(e, done, "checks");
  emit_code(e, r, check, true);
  block_go(e, after);
}

void line_fixed(Emit *e, const Region *r, Val index) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(e->k, v);
    if (i->op != IR_STORE && i->op != IR_LOOP && !ir_is_check(i->op) && !tile_line_depends(e->k, v, index))
      emit_instr(e, v);
  }
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

typedef struct Sums { const Loop *loop; V part[TILE_LINE_ACCS][LINE_VECTORS]; } Sums;

static void add_to_sums(Line *n, uint32_t vectors, void *arg) {
  const Sums *s = arg;
  Emit *e = n->e;
  V from = e->val[n->index];
  for (uint32_t vec = 0; vec < vectors; vec++) {
    at_vector(n, from, vec);
    for (uint32_t a = 0; a < s->loop->accs.n; a++) {
      V cell = s->part[a][vec], sum = LLVMBuildLoad2(e->b, n->l.f32, cell, "");
      LLVMBuildStore(e->b, line_add(n, s->loop->accs.at[a]->body.x, NULL, sum), cell);
    }
  }
}

static V add(Emit *e, V x, V y) { return LLVMBuildFAdd(e->b, x, y, ""); }

/* sum: by accumulator, vectors whose lanes add up to the part's. */
static void sum_lanes(Line *n, Sums *s, V lo, V hi, V *sum) {
  Emit *e = n->e;
  for (uint32_t a = 0; a < s->loop->accs.n; a++)
    for (uint32_t vec = 0; vec < LINE_VECTORS; vec++) LLVMBuildStore(e->b, LLVMConstNull(n->l.f32), s->part[a][vec]);
  line_each(n, lo, hi, LINE_VECTORS, add_to_sums, s);
  for (uint32_t a = 0; a < s->loop->accs.n; a++) {
    V x[LINE_VECTORS];
    for (uint32_t vec = 0; vec < LINE_VECTORS; vec++) x[vec] = LLVMBuildLoad2(e->b, n->l.f32, s->part[a][vec], "");
    sum[a] = add(e, add(e, x[0], x[1]), add(e, x[2], x[3]));
  }
}

static void sum_part(Line *n, Sums *s, V lo, V hi, const V *total) {
  Emit *e = n->e;
  V lanes[TILE_LINE_ACCS];
  sum_lanes(n, s, lo, hi, lanes);
  for (uint32_t a = 0; a < s->loop->accs.n; a++) {
    V sum = LLVMBuildFPExt(e->b, lanes_fold(&n->l, lanes[a], add), e->t.f64, "");
    LLVMBuildStore(e->b, add(e, LLVMBuildLoad2(e->b, e->t.f64, total[a], ""), sum), total[a]);
  }
}

static Sums sums_of(Line *n, const Loop *l) {
  Sums s = {.loop = l};
  for (uint32_t a = 0; a < l->accs.n; a++)
    for (uint32_t vec = 0; vec < LINE_VECTORS; vec++) s.part[a][vec] = cell_new(n->e, n->l.f32, "part");
  return s;
}

V line_is_part(Emit *e, const Loop *l) {
  return LLVMBuildICmp(e->b, LLVMIntSLE, minus(e, e->val[l->hi], e->val[l->lo]), const_int(e, LINE_PART), "");
}

void line_sum_lanes(Line *n, const Loop *l, V *sum) {
  Sums s = sums_of(n, l);
  sum_lanes(n, &s, n->e->val[l->lo], n->e->val[l->hi], sum);
}

static void sum_parts(Emit *e, const Loop *l, const V *total) {
  Line n = line_along(e, l->index);
  Sums s = sums_of(&n, l);
  V lo = e->val[l->lo], hi = e->val[l->hi], extent = LLVMBuildSub(e->b, hi, lo, "");
  int64_t known;
  for (uint32_t a = 0; a < l->accs.n; a++) LLVMBuildStore(e->b, const_float(e, IR_WIDE, 0), total[a]);
  if (constant(extent, &known) && known <= LINE_PART) {
    sum_part(&n, &s, lo, hi, total);
    return;
  }
  V parts = LLVMBuildSDiv(e->b, plus(e, extent, const_int(e, LINE_PART - 1)), const_int(e, LINE_PART), "");
  Count c = count_enter(e, const_int(e, 0), parts);
  V from = plus(e, lo, LLVMBuildMul(e->b, c.index, const_int(e, LINE_PART), ""));
  sum_part(&n, &s, from, op_extreme(e, IR_INT, false, plus(e, from, const_int(e, LINE_PART)), hi), total);
  count_leave(e, &c);
}

/* Runs `vector` where holds, else the scalar loop; both leave what is read afterwards in the cells. */
typedef struct Fork { LLVMBasicBlockRef scalar, done; } Fork;

static Fork fork_on(Emit *e, V holds) {
  Fork f = {block_new(e, "scalar"), block_new(e, "lined")};
  LLVMBasicBlockRef lines = block_new(e, "lines");
  LLVMBuildCondBr(e->b, holds, lines, f.scalar);
  LLVMPositionBuilderAtEnd(e->b, lines);
  return f;
}

static void fork_other(Emit *e, const Fork *f) {
  LLVMBuildBr(e->b, f->done);
  LLVMMoveBasicBlockAfter(f->scalar, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, f->scalar);
}

void line_sum(Emit *e, const Loop *l, void (*scalar)(Emit *e, const Loop *l)) {
  Line n = line_along(e, l->index);
  V total[TILE_LINE_ACCS], lo = e->val[l->lo], hi = e->val[l->hi], holds = LLVMConstInt(e->t.i1, 1, false);
  line_fixed(e, l->body, l->index);
  for (uint32_t a = 0; a < l->accs.n; a++) {
    total[a] = cell_new(e, e->t.f64, "sum");
    holds = both(e, holds, line_holds(&n, l->accs.at[a]->body.x, lo, hi));
  }
  Fork f = fork_on(e, holds);
  line_checks(e, l->body, lo, hi);
  sum_parts(e, l, total);
  fork_other(e, &f);
  scalar(e, l);
  for (uint32_t a = 0; a < l->accs.n; a++)
    if (l->accs.at[a]->result) LLVMBuildStore(e->b, e->val[l->accs.at[a]->result], total[a]);
  block_go(e, f.done);
  for (uint32_t a = 0; a < l->accs.n; a++)
    if (l->accs.at[a]->result) e->val[l->accs.at[a]->result] = LLVMBuildLoad2(e->b, e->t.f64, total[a], "");
}

/* ---- stores -------------------------------------------------------------------------------------------- */

static void store_vectors(Line *n, uint32_t vectors, void *arg) {
  const Loop *l = arg;
  Emit *e = n->e;
  V from = e->val[n->index];
  for (uint32_t vec = 0; vec < vectors; vec++) {
    at_vector(n, from, vec);
    for (uint32_t c = 0; c < l->body->code.n; c++) {
      const Instr *i = ir_at(e->k, l->body->code.at[c]);
      if (i->op != IR_STORE) continue;
      V x = line_value(n, i->arg[0]), present = e->place[i->array->id].present;
      LLVMBasicBlockRef done = present ? block_when(e, present, "store") : NULL;
      array_store_run(e, i, x, n->mask);
      if (done) block_go(e, done);
    }
  }
}

/* An output that is not wanted is no reason to compute the others in another way: their bits are the same without it.
 */
void line_store(Emit *e, const Loop *l, void (*scalar)(Emit *e, const Loop *l)) {
  Line n = line_along(e, l->index);
  V lo = e->val[l->lo], hi = e->val[l->hi], holds = LLVMConstInt(e->t.i1, 1, false);
  line_fixed(e, l->body, l->index);
  for (uint32_t c = 0; c < l->body->code.n; c++) {
    const Instr *i = ir_at(e->k, l->body->code.at[c]);
    if (i->op != IR_STORE) continue;
    V fits = array_store_holds(e, i, lo, hi), present = e->place[i->array->id].present;
    if (present) fits = LLVMBuildOr(e->b, fits, LLVMBuildNot(e->b, present, ""), "");
    holds = both(e, holds, both(e, line_holds(&n, i->arg[0], lo, hi), fits));
  }
  Fork f = fork_on(e, holds);
  line_each(&n, lo, hi, LINE_VECTORS, store_vectors, (void *)l);
  fork_other(e, &f);
  scalar(e, l);
  block_go(e, f.done);
}
