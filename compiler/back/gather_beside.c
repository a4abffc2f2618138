/* gather_beside: elements of a block side by side, a lane for each (beside.h).
 *
 * Log weights, and all else that is read of an element later, are stored a vector at a time; behind the last element
 * log weights are -inf. Of lines no more is asked here than whether vectors may read them. */
#include <math.h>

#include "back/gather_parts.h"

/* ---- which ----------------------------------------------------------------------------------------------- */

/* Whether lanes can say of a value that is a line that vectors take it: of its loads. */
static bool lanes_hold(const Emit *e, const Beside *b, Val v, Val index) {
  const Instr *i = ir_at(e->k, v);
  if (!tile_line_depends(e->k, v, index)) return i->type != IR_WIDE || !b->varies[v];
  if (i->op == IR_LOAD) return true;
  for (uint32_t a = 0; a < i->narg; a++)
    if (!lanes_hold(e, b, i->arg[a], index)) return false;
  return true;
}

bool gather_line_beside(const Emit *e, const Beside *b, const Region *r, Val x, Val index) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(e->k, v);
    if (!ir_is_check(i->op) && !tile_line_depends(e->k, v, index)) return false;
    for (uint32_t c = 0; ir_is_check(i->op) && c < i->narg; c++)
      if (tile_line_depends(e->k, i->arg[c], index)) return false;
  }
  return lanes_hold(e, b, x, index);
}

Beside *gather_beside(Emit *e, const Reduction *r) {
  Beside *b = NEW(e->arena, Beside);
  if (!beside_elements(e, r->loop, b)) return NULL;
  for (uint32_t n = 0; n < r->loop->body->code.n; n++) {
    const Instr *i = ir_at(e->k, r->loop->body->code.at[n]);
    if (i->op == IR_LOOP && !tile_sums_line(e->plan, i->loop)) return NULL;
  }
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    const Contribution *c = &s->acc->body;
    if (has_line(s) && !gather_line_beside(e, b, c->at, c->x, c->index[0])) return NULL;
    if (!s->weight && !s->acc->naxis && s->acc->body.x) return NULL;
  }
  return b;
}

/* ---- code ------------------------------------------------------------------------------------------------ */

V gather_holds_beside(Emit *e, const Beside *b, Val v, Val index, V lo, V hi) {
  const Instr *i = ir_at(e->k, v);
  if (!tile_line_depends(e->k, v, index)) {
    Line line = line_along(e, index);
    return b->varies[v] ? NULL : beside_splat(b, line_holds(&line, v, lo, hi));
  }
  V all = NULL;
  if (i->op != IR_LOAD) {
    for (uint32_t a = 0; a < i->narg; a++) {
      V one = gather_holds_beside(e, b, i->arg[a], index, lo, hi);
      all = !all ? one : one ? both(e, all, one) : all;
    }
    return all;
  }
  uint32_t along = (uint32_t)tile_line_place(e->k, i, index);
  const ArrayPlace *p = &e->place[i->array->id];
  V run = LLVMBuildICmp(e->b, LLVMIntEQ, p->stride[along], const_int(e, 1), "");
  run = both(e, run, LLVMBuildICmp(e->b, LLVMIntSGE, lo, const_int(e, 0), ""));
  run = both(e, run, LLVMBuildICmp(e->b, LLVMIntSLE, hi, p->dim[along], ""));
  all = beside_splat(b, run);
  for (uint32_t n = 0; n < i->narg; n++) {
    if (n == along) continue;
    V at = beside_get(b, i->arg[n]); /* as numbers without a sign, what is below 0 is large */
    all = both(e, all, LLVMBuildICmp(e->b, LLVMIntULT, at, beside_splat(b, p->dim[n]), ""));
  }
  return all;
}

static V lanes_finite(Emit *e, V x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  static const char fabs[] = "llvm.fabs";
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(fabs, sizeof fabs - 1), &t, 1);
  V size = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, &x, 1, "");
  LLVMTypeRef scalar = LLVMGetElementType(t);
  V *limit = NEW_ARRAY(e->arena, V, LLVMGetVectorSize(t));
  for (unsigned n = 0; n < LLVMGetVectorSize(t); n++) limit[n] = LLVMConstReal(scalar, INFINITY);
  return LLVMBuildFCmp(e->b, LLVMRealOLT, size, LLVMConstVector(limit, LLVMGetVectorSize(t)), "");
}

/* An element of the body that was checked before, whatever the guard. */
static bool is_checked(Emit *e, const Beside *b, const Instr *i) {
  const Region *r = b->loop->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *x = ir_at(e->k, r->code.at[n]),
                *guard = ir_is_check(x->op) && x->arg[0] ? ir_at(e->k, x->arg[0]) : NULL;
    bool always = ir_is_check(x->op) && (!guard || (guard->op == IR_CONST && guard->integer));
    if (always && x->op == i->op && x->arg[1] == i->arg[1] && x->arg[2] == i->arg[2]) return true;
  }
  return false;
}

void gather_check_beside(Emit *e, const Beside *b, const Region *r, V lo, V hi) {
  V some = LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, "");
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(e->k, r->code.at[n]);
    if (ir_is_check(i->op) && !is_checked(e, b, i)) beside_check(b, i, beside_splat(b, some));
  }
}

/* One vector of elements, at `at` of the block. */
static void append_vector(Emit *e, Reduction *r, V at) {
  Gather *g = r->gather;
  const Beside *b = g->beside;
  LLVMTypeRef bytes = LLVMVectorType(e->t.i8, b->n);
  for (uint32_t n = 0; n < r->nweight; n++) {
    const Weight *w = &r->weight[n];
    if (!w->body) continue;
    V x = beside_convert(b, beside_get(b, w->body), ir_at(e->k, w->body)->type, w->type),
      none = lanes_splat(&b->lanes, const_float(e, w->type, -INFINITY));
    put_lanes(e, LLVMBuildSelect(e->b, b->active, x, none, ""), slot(e, type_of(e, w->type), g->log_w[n], at));
  }
  for (uint32_t n = 0; n < g->kept.n; n++) {
    IrType t = ir_at(e->k, g->kept.at[n].v)->type;
    V x = beside_get(b, g->kept.at[n].v);
    put_lanes(e, t == IR_BOOL ? LLVMBuildZExt(e->b, x, bytes, "") : x, slot(e, kept_type(e, t), g->kept.at[n].at, at));
  }
  if (!g->holds) return;
  V holds = LLVMConstAllOnes(LLVMVectorType(e->t.i1, b->n));
  for (uint32_t n = 0; n < r->n; n++) {
    if (!has_line(&r->state[n])) continue;
    const Acc *a = r->state[n].acc;
    V one = gather_holds_beside(e, b, a->body.x, a->body.index[0], e->val[a->axes[0].lo], e->val[a->axes[0].hi]);
    if (one) holds = both(e, holds, one);
    if (acc_starts_pass(r, n, false))
      gather_check_beside(e, b, a->body.at, e->val[a->axes[0].lo], e->val[a->axes[0].hi]);
  }
  put_lanes(e, LLVMBuildZExt(e->b, holds, bytes, ""), slot(e, e->t.i8, g->holds, at));
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body) holds = both(e, holds, lanes_finite(e, beside_get(b, r->weight[n].body)));
  V fails = both(e, b->active, LLVMBuildNot(e->b, holds, ""));
  V bits = LLVMBuildBitCast(e->b, fails, LLVMIntTypeInContext(e->cx, b->n), "");
  put(e, both(e, LLVMBuildIsNull(e->b, bits, ""), get(e, e->t.i1, g->all)), g->all);
}

/* Behind the block are log weights of -inf, and names of the first row, as many as a vector has. */
void gather_append_beside(Emit *e, Reduction *r, V from, V to) {
  Gather *g = r->gather;
  Beside *b = g->beside;
  V width = const_int(e, b->n), count = LLVMBuildSub(e->b, to, from, "");
  gather_fetch_block(e, r, from, count);
  V vectors = LLVMBuildUDiv(e->b, plus(e, count, const_int(e, b->n - 1)), width, "");
  for (uint32_t n = 0; n < r->nweight; n++) {
    if (!r->weight[n].body) continue;
    V none = lanes_splat(&g->line.l, const_float(e, r->weight[n].type, -INFINITY));
    put_lanes(e, none, slot(e, type_of(e, r->weight[n].type), g->log_w[n], LLVMBuildMul(e->b, vectors, width, "")));
  }
  for (uint32_t n = 0; n < g->kept.n; n++) {
    IrType t = ir_at(e->k, g->kept.at[n].v)->type;
    if (t != IR_INT) continue;
    V none = LLVMConstNull(LLVMVectorType(e->t.i64, b->n));
    put_lanes(e, none, slot(e, e->t.i64, g->kept.at[n].at, LLVMBuildMul(e->b, vectors, width, "")));
  }
  Count c = count_enter(e, const_int(e, 0), vectors);
  V at = LLVMBuildMul(e->b, c.index, width, "");
  V first = plus(e, from, at), left = LLVMBuildSub(e->b, count, at, "");
  beside_elements_from(b, first, left);
  for (uint32_t n = 0; n < r->loop->body->code.n; n++) {
    Val v = r->loop->body->code.at[n];
    if (ir_at(e->k, v)->op == IR_LOOP && b->varies[v]) gather_sum_lines(e, r, v, first, left);
    else beside_instr(b, v);
  }
  append_vector(e, r, at);
  count_leave(e, &c);
  put(e, count, g->count);
}
