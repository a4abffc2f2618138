/* gather: see gather.h.
 *
 * Of every block of at most TILE_GATHER_BLOCK elements:
 *
 *     elements   scalar code, or lanes, for what is a scalar, vectors along lines for what is summed over features;
 *                log weights, and all else that lines and other accumulators read of an element, are put side by side
 *     weights    in vectors of elements: the maximum, e^(log_w - maximum), the mass
 *     scalars    accumulators without axes, element by element
 *     lines      for every part of an axis that fits in registers, all elements: sum += weight * line
 *
 * so a row of the gathered array is read once, and exponentials cost what they cost on tiles.  Inside a block sums are
 * f32, between blocks f64.
 *
 * An element whose lines do not lie side by side, or do not fit f32, is added by the scalar code.  One whose weight is
 * -inf is not there: its lines are not read.
 *
 *   gather_weigh.c   weights, and scalars
 *   gather_fetch.c   rows named by data come from anywhere in memory: the cache is told of them before
 *   gather_beside.c  elements that are straight code, in vectors
 *   gather_lines.c   what a line of each of several elements comes to, at once
 *   gather_rows.c    rows of one block: weights of many before the sums of many */
#include <math.h>

#include "back/gather_parts.h"

enum { BLOCK = GATHER_BLOCK, LINE_VECTORS = 4 };

/* ---- buffers ------------------------------------------------------------------------------------------ */

/* A vector may be read and written behind the last element. */
static V buffer(Emit *e, const Gather *g, LLVMTypeRef t, const char *name) {
  return cell_new(e, LLVMArrayType2(t, (uint64_t)g->room + BLOCK), name);
}

static void keep_element(Emit *e, const Kept *x, V at) {
  IrType t = ir_at(e->k, x->v)->type;
  V v = t == IR_BOOL ? LLVMBuildZExt(e->b, e->val[x->v], e->t.i8, "") : e->val[x->v];
  put(e, v, slot(e, kept_type(e, t), x->at, at));
}

void gather_recall_element(Emit *e, const Gather *g, V at) {
  for (uint32_t n = 0; n < g->kept.n; n++) {
    const Kept *x = &g->kept.at[n];
    IrType t = ir_at(e->k, x->v)->type;
    V v = get(e, kept_type(e, t), slot(e, kept_type(e, t), x->at, at));
    e->val[x->v] = t == IR_BOOL ? LLVMBuildTrunc(e->b, v, e->t.i1, "") : v;
  }
}

/* ---- what is kept ----------------------------------------------------------------------------------------- */

static void keep(Emit *e, Gather *g, const Loop *l, Val v) {
  const Instr *i = ir_at(e->k, v);
  if (!v || i->home != l->body) return;
  for (uint32_t n = 0; n < g->kept.n; n++)
    if (g->kept.at[n].v == v) return;
  vec_push(e->arena, &g->kept, (Kept){v, buffer(e, g, kept_type(e, i->type), "kept")});
}

static void keep_for_axis(Emit *e, Gather *g, const Loop *l, const Contribution *c) {
  keep(e, g, l, c->x);
  for (uint32_t n = 0; n < c->at->code.n; n++) {
    const Instr *i = ir_at(e->k, c->at->code.at[n]);
    for (uint32_t a = 0; a < i->narg; a++) keep(e, g, l, i->arg[a]);
  }
}

Gather *gather_make(Emit *e, Reduction *r, int64_t room) {
  const Loop *l = r->loop;
  if (!e->plan || !tile_in_blocks(e->plan, l)) return NULL;
  Gather *g = NEW(e->arena, Gather);
  g->room = room;
  g->line = line_along(e, 0);
  g->count = cell_new(e, e->t.i64, "elements");
  g->from = cell_new(e, e->t.i64, "from");
  g->log_w = NEW_ARRAY(e->arena, V, r->nweight + 1);
  g->part = NEW_ARRAY(e->arena, V, r->nweight + 1);
  g->last = NEW_ARRAY(e->arena, V, r->nweight + 1);
  for (uint32_t n = 0; n < r->nweight; n++) {
    g->log_w[n] = buffer(e, g, type_of(e, r->weight[n].type), "log_w");
    g->part[n] = buffer(e, g, e->t.f32, "part");
    g->last[n] = cell_new(e, LLVMVectorType(type_of(e, r->weight[n].type), g->line.l.n), "last");
  }
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    if (is_late(s)) keep(e, g, l, s->acc->body.x);
    if (!has_line(s)) continue;
    keep_for_axis(e, g, l, &s->acc->body);
    if (g->holds) continue;
    g->holds = buffer(e, g, e->t.i8, "holds");
    g->all = cell_new(e, e->t.i1, "all");
  }
  g->beside = gather_beside(e, r);
  return g;
}

Gather *gather_new(Emit *e, Reduction *r) { return gather_make(e, r, BLOCK); }

/* ---- elements ------------------------------------------------------------------------------------------------ */

/* Whole vectors are stored, for a vector that is loaded soon after its elements were stored one by one waits for all of
 * them. Lanes behind the last element are -inf. */
static void append_log_w(Emit *e, const Gather *g, const Weight *w, uint32_t number, V at) {
  const Lanes *l = &g->line.l;
  LLVMTypeRef t = type_of(e, w->type), vector = LLVMVectorType(t, l->n);
  V x = op_convert(e, e->val[w->body], ir_at(e->k, w->body)->type, w->type);
  V lane = both(e, at, const_int(e, (int64_t)l->n - 1)), first = both(e, at, const_int(e, -(int64_t)l->n));
  V here = LLVMBuildICmp(e->b, LLVMIntEQ, lanes_iota(l, e->t.i32),
                         lanes_splat(l, LLVMBuildTrunc(e->b, lane, e->t.i32, "")), "");
  V fresh = LLVMBuildICmp(e->b, LLVMIntEQ, lane, const_int(e, 0), "");
  V before = LLVMBuildSelect(e->b, fresh, lanes_splat(l, const_float(e, w->type, -INFINITY)),
                             get(e, vector, g->last[number]), "");
  V now = LLVMBuildSelect(e->b, here, lanes_splat(l, x), before, "");
  put(e, now, g->last[number]);
  LLVMSetAlignment(put(e, now, slot(e, t, g->log_w[number], first)), 4);
}

static V is_finite(Emit *e, V x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  static const char fabs[] = "llvm.fabs";
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(fabs, sizeof fabs - 1), &t, 1);
  V size = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, &x, 1, "");
  return LLVMBuildFCmp(e->b, LLVMRealOLT, size, LLVMConstReal(t, INFINITY), "");
}

void gather_append(Emit *e, Reduction *r) {
  Gather *g = r->gather;
  V at = get(e, e->t.i64, g->count);
  gather_fetch_element(e, r);
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body) append_log_w(e, g, &r->weight[n], n, at);
  for (uint32_t n = 0; n < r->n; n++)
    if (has_line(&r->state[n]) && acc_starts_pass(r, n, false))
      line_fixed(e, r->state[n].acc->body.at, r->state[n].acc->body.index[0]);
  for (uint32_t n = 0; n < g->kept.n; n++) keep_element(e, &g->kept.at[n], at);
  V holds = LLVMConstInt(e->t.i1, 1, false);
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    const Acc *a = s->acc;
    if (has_line(s)) {
      Line line = line_along(e, a->body.index[0]);
      V lo = e->val[a->axes[0].lo], hi = e->val[a->axes[0].hi];
      holds = both(e, holds, line_holds(&line, a->body.x, lo, hi));
      if (acc_starts_pass(r, n, false)) line_checks(e, a->body.at, lo, hi);
    } else if (!s->weight && !a->naxis && a->body.x) acc_add_scalar(e, s, false);
  }
  if (g->holds) {
    put(e, LLVMBuildZExt(e->b, holds, e->t.i8, ""), slot(e, e->t.i8, g->holds, at));
    for (uint32_t n = 0; n < r->nweight; n++)
      if (r->weight[n].body) holds = both(e, holds, is_finite(e, e->val[r->weight[n].body]));
    put(e, both(e, holds, get(e, e->t.i1, g->all)), g->all);
  }
  put(e, plus(e, at, const_int(e, 1)), g->count);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Elements whose lines the vectors do not take. */
static void add_by_points(Emit *e, const Reduction *r, uint32_t first, V count) {
  const Gather *g = r->gather;
  Count c = count_enter(e, const_int(e, 0), count);
  V holds = get(e, e->t.i8, slot(e, e->t.i8, g->holds, c.index));
  LLVMBasicBlockRef next = block_when(e, LLVMBuildIsNull(e->b, holds, ""), "points");
  gather_recall_element(e, g, c.index);
  for (uint32_t n = 0; n < r->nweight; n++)
    if (r->weight[n].body) gather_recall_weight(e, r, &r->weight[n], c.index);
  acc_run_axes(e, r, first, false, true);
  block_go(e, next);
  count_leave(e, &c);
}

/* all: no element is tested. */
typedef struct Lines { const Reduction *r; uint32_t state; bool all; V count, factor, sum[LINE_VECTORS]; } Lines;

/* Whether vectors take the element for this accumulator. */
static V takes(Emit *e, const Lines *p, V at, V *part) {
  const Gather *g = p->r->gather;
  Weight *w = p->r->state[p->state].weight;
  V holds = LLVMBuildIsNotNull(e->b, get(e, e->t.i8, slot(e, e->t.i8, g->holds, at)), "");
  *part = NULL;
  if (!w) return holds;
  gather_recall_weight(e, p->r, w, at);
  *part = get(e, e->t.f32, slot(e, e->t.f32, g->part[weight_number(p->r, w)], at));
  return both(e, holds, w->alive);
}

static V masked(Emit *e, const char *name, LLVMTypeRef vector, V *arg, unsigned narg) {
  LLVMTypeRef type[] = {vector, e->t.ptr};
  V f = LLVMGetIntrinsicDeclaration(e->module, LLVMLookupIntrinsicID(name, strlen(name)), type, 2);
  return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, arg, narg, "");
}

static void add_to_points(Line *n, const Lines *p, V from, uint32_t vec, V sum) {
  Emit *e = n->e;
  const State *s = &p->r->state[p->state];
  const Acc *a = s->acc;
  LLVMTypeRef vector = LLVMVectorType(e->t.f64, n->l.n);
  V at = plus(e, LLVMBuildSub(e->b, from, e->val[a->axes[0].lo], ""), const_int(e, (int64_t)(vec * n->l.n)));
  V address = array_at(e, a->result_at, at), now = LLVMBuildFPExt(e->b, sum, vector, ""),
    bytes = LLVMConstInt(e->t.i32, sizeof(double), false);
  if (p->r->gather->whole) now = acc_result_at(e, s, now, p->factor);
  else if (n->mask)
    now = vector_add(
        e, masked(e, "llvm.masked.load", vector, (V[]){address, bytes, n->mask, LLVMConstNull(vector)}, 4), now);
  else {
    V old = get(e, vector, address);
    LLVMSetAlignment(old, sizeof(double));
    now = vector_add(e, old, now);
  }
  if (n->mask) masked(e, "llvm.masked.store", vector, (V[]){now, address, bytes, n->mask}, 4);
  else LLVMSetAlignment(put(e, now, address), sizeof(double));
}

static void add_lines(Line *n, uint32_t vectors, void *arg) {
  const Lines *p = arg;
  Emit *e = n->e;
  const Acc *a = p->r->state[p->state].acc;
  V from = e->val[n->index], part;
  for (uint32_t vec = 0; vec < vectors; vec++) put(e, LLVMConstNull(n->l.f32), p->sum[vec]);
  Count c = count_enter(e, const_int(e, 0), p->count);
  gather_fetch_part(e, p->r, a, c.index, from, const_int(e, (int64_t)(vectors * n->l.n)));
  V there = takes(e, p, c.index, &part);
  LLVMBasicBlockRef next = p->all ? NULL : block_when(e, there, "line");
  gather_recall_element(e, p->r->gather, c.index);
  V weight = part ? lanes_splat(&n->l, part) : NULL;
  for (uint32_t vec = 0; vec < vectors; vec++) {
    e->val[n->index] = plus(e, from, const_int(e, (int64_t)(vec * n->l.n)));
    put(e, line_add(n, a->body.x, weight, get(e, n->l.f32, p->sum[vec])), p->sum[vec]);
  }
  if (next) block_go(e, next);
  count_leave(e, &c);
  for (uint32_t vec = 0; vec < vectors; vec++) add_to_points(n, p, from, vec, get(e, n->l.f32, p->sum[vec]));
}

static void add_axis(Emit *e, const Reduction *r, uint32_t state, bool all, V count) {
  const Acc *a = r->state[state].acc;
  Line line = line_along(e, a->body.index[0]);
  Lines p = {.r = r, .state = state, .all = all, .count = count};
  if (r->gather->whole) p.factor = acc_factor(e, &r->state[state]);
  for (uint32_t vec = 0; vec < LINE_VECTORS; vec++) p.sum[vec] = cell_new(e, line.l.f32, "line");
  line_each(&line, e->val[a->axes[0].lo], e->val[a->axes[0].hi], LINE_VECTORS, add_lines, &p);
}

void gather_add_lines(Emit *e, const Reduction *r, V count) {
  for (uint32_t n = 0; n < r->n; n++)
    if (has_line(&r->state[n])) add_axis(e, r, n, true, count);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void add_block(Emit *e, const Reduction *r, const V *tops) {
  const Gather *g = r->gather;
  V count = get(e, e->t.i64, g->count);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildICmp(e->b, LLVMIntSGT, count, const_int(e, 0), ""), "block");
  gather_raise_max(e, r, count);
  gather_add_mass(e, r, count);
  gather_add_scalars(e, r, count, tops);
  if (g->holds) {
    LLVMBasicBlockRef plain = block_new(e, "plain"), mixed = block_new(e, "mixed");
    LLVMBuildCondBr(e->b, get(e, e->t.i1, g->all), plain, mixed);
    LLVMPositionBuilderAtEnd(e->b, mixed);
    for (uint32_t n = 0; n < r->n; n++) {
      if (!has_line(&r->state[n])) continue;
      if (acc_starts_pass(r, n, false)) add_by_points(e, r, n, count);
      add_axis(e, r, n, false, count);
    }
    LLVMBuildBr(e->b, done);
    LLVMMoveBasicBlockAfter(plain, LLVMGetInsertBlock(e->b));
    LLVMPositionBuilderAtEnd(e->b, plain);
    gather_add_lines(e, r, count);
  }
  block_go(e, done);
}

void gather_run(Emit *e, Reduction *r, V lo, V hi, void (*element)(Emit *e, Reduction *r, const Loop *l)) {
  const Loop *l = r->loop;
  V *tops = gather_tops(e, r);
  gather_fetch_results(e, l);
  V extent = plus(e, LLVMBuildSub(e->b, hi, lo, ""), const_int(e, BLOCK - 1));
  V blocks = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, ""),
                             LLVMBuildUDiv(e->b, extent, const_int(e, BLOCK), ""), const_int(e, 0), "");
  Count b = count_enter(e, const_int(e, 0), blocks);
  V from = plus(e, lo, LLVMBuildMul(e->b, b.index, const_int(e, BLOCK), "")), to = plus(e, from, const_int(e, BLOCK));
  put(e, const_int(e, 0), r->gather->count);
  put(e, from, r->gather->from);
  if (r->gather->all) put(e, LLVMConstInt(e->t.i1, 1, false), r->gather->all);
  for (uint32_t n = 0; n < r->nweight; n++) { /* before the first element it is not read, but is a value */
    LLVMTypeRef t = type_of(e, r->weight[n].type);
    put(e, lanes_splat(&r->gather->line.l, LLVMConstNull(t)), r->gather->last[n]);
  }
  V end = op_extreme(e, IR_INT, false, to, hi);
  if (r->gather->beside) {
    gather_append_beside(e, r, from, end);
    add_block(e, r, tops);
    count_leave(e, &b);
    return;
  }
  Count c = count_enter(e, from, end);
  e->val[l->index] = c.index;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  element(e, r, l);
  count_leave(e, &c);
  add_block(e, r, tops);
  count_leave(e, &b);
}
