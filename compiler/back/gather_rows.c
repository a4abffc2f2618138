/* gather_rows: a loop over rows, each with a stream that is added in blocks, in three passes over strips of rows.
 *
 *     first     of all rows of the strip: elements, kept one behind the other, and the largest log weight
 *     second    of all rows: weights, and their mass
 *     third     of all rows: sums of lines; then the rest of the row
 *
 * Row by row, what is computed of a few elements stands between sums of lines, which wait for memory, and a row's
 * weights wait for its maximum, and its sums for them: no part is long enough for the processor to see the next row's.
 * A strip has up to STRIP_ELEMENTS elements and STRIP_ROWS rows.
 *
 * Where a row's elements are one block, nothing is added in f64: its sums times 1 / mass are the results.  The bits are
 * those of the row alone: 0 + sum is the sum.
 *
 * Rows apart, which are left to the third pass whole: those with more elements than a block has, and those with an
 * element that needs more than vectors. */
#include "back/gather_parts.h"
#include "back/pieces.h"
#include "ir/build.h"

enum { STRIP_ELEMENTS = 256, STRIP_ROWS = 64 };

/* By row of the strip. */
typedef struct RowWeight { V max, mass; } RowWeight;

typedef struct Strips {
  const Loop *rows, *stream;
  Val at; /* the stream, in the code of a row */
  Reduction *r;
  V from, apart; /* by row: where its elements begin; whether it stands apart */
  RowWeight *weight;
  V *state;             /* by state */
  V *log_w, *part, *kept; /* where buffers begin; by weight, by value that is kept */
} Strips;

/* ---- which --------------------------------------------------------------------------------------------- */

/* The first loop of a row, if nothing is stored before it. */
static Val first_stream(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_STORE || i->op == IR_SOLVE) return 0;
    if (i->op == IR_LOOP) return i->loop->kind == LOOP_REDUCE && !i->loop->seed ? r->code.at[n] : 0;
  }
  return 0;
}

static bool has_lines(const Reduction *r) {
  for (uint32_t n = 0; n < r->n; n++)
    if (r->state[n].acc->naxis && !has_line(&r->state[n])) return false;
  return r->gather->holds && r->nweight;
}

static V by_row(Emit *e, LLVMTypeRef t, const char *name) {
  return cell_new(e, LLVMArrayType2(t, STRIP_ROWS + 1), name);
}

static void keep_rows(Emit *e, Strips *s) {
  const Reduction *r = s->r;
  const Gather *g = r->gather;
  s->from = by_row(e, e->t.i64, "row_from");
  s->apart = by_row(e, e->t.i1, "row_apart");
  s->weight = NEW_ARRAY(e->arena, RowWeight, r->nweight + 1);
  s->state = NEW_ARRAY(e->arena, V, r->n + 1);
  s->log_w = NEW_ARRAY(e->arena, V, r->nweight + 1);
  s->part = NEW_ARRAY(e->arena, V, r->nweight + 1);
  s->kept = NEW_ARRAY(e->arena, V, g->kept.n + 1);
  for (uint32_t n = 0; n < r->nweight; n++) {
    s->weight[n] = (RowWeight){by_row(e, type_of(e, r->weight[n].type), "row_max"), by_row(e, e->t.f64, "row_mass")};
    s->log_w[n] = g->log_w[n];
    s->part[n] = g->part[n];
  }
  for (uint32_t n = 0; n < r->n; n++)
    if (!r->state[n].acc->naxis) s->state[n] = by_row(e, type_of(e, r->state[n].type), "row_state");
  for (uint32_t n = 0; n < g->kept.n; n++) s->kept[n] = g->kept.at[n].at;
}

static bool strips_of(Emit *e, const Loop *rows, Strips *s) {
  if (!e->plan) return false;
  *s = (Strips){.rows = rows, .at = first_stream(e->k, rows->body)};
  if (!s->at) return false;
  s->stream = ir_at(e->k, s->at)->loop;
  if (!tile_in_blocks(e->plan, s->stream) || tile_sums_line(e->plan, s->stream)) return false;
  s->r = acc_new(e, s->stream);
  s->r->gather = gather_make(e, s->r, STRIP_ELEMENTS);
  if (!s->r->gather->beside || !has_lines(s->r)) return false;
  s->r->gather->whole = true;
  keep_rows(e, s);
  return true;
}

/* ---- rows of the strip --------------------------------------------------------------------------------- */

/* Buffers begin at the element `at` of the strip. */
static void seek(Emit *e, const Strips *s, V at) {
  Gather *g = s->r->gather;
  for (uint32_t n = 0; n < s->r->nweight; n++) {
    g->log_w[n] = slot(e, type_of(e, s->r->weight[n].type), s->log_w[n], at);
    g->part[n] = slot(e, e->t.f32, s->part[n], at);
  }
  for (uint32_t n = 0; n < g->kept.n; n++)
    g->kept.at[n].at = slot(e, kept_type(e, ir_at(e->k, g->kept.at[n].v)->type), s->kept[n], at);
}

static void move(Emit *e, LLVMTypeRef t, V from, V to) { put(e, get(e, t, from), to); }

/* States of the row from their cells, or to them; weights that are no numbers are those of rows apart. */
static void move_row(Emit *e, const Strips *s, V row, bool out) {
  for (uint32_t n = 0; n < s->r->nweight; n++) {
    const Weight *w = &s->r->weight[n];
    V cell[] = {w->max, w->mass}, kept[] = {s->weight[n].max, s->weight[n].mass};
    LLVMTypeRef t[] = {type_of(e, w->type), e->t.f64};
    if (!out) put(e, LLVMConstNull(e->t.i1), w->bad);
    for (int c = 0; c < 2; c++) {
      V at = slot(e, t[c], kept[c], row);
      move(e, t[c], out ? cell[c] : at, out ? at : cell[c]);
    }
  }
  for (uint32_t n = 0; n < s->r->n; n++) {
    const State *state = &s->r->state[n];
    if (state->acc->naxis) continue;
    V at = slot(e, type_of(e, state->type), s->state[n], row);
    move(e, type_of(e, state->type), out ? state->cell : at, out ? at : state->cell);
  }
}

/* What comes before the stream: all of it; or values alone. */
static void code_before(Emit *e, const Strips *s, bool checks) {
  const Region *r = s->rows->body;
  for (uint32_t n = 0; r->code.at[n] != s->at; n++)
    if (checks || !ir_is_check(ir_at(e->k, r->code.at[n])->op)) emit_instr(e, r->code.at[n]);
}

static void code_behind(Emit *e, const Strips *s) {
  const Region *r = s->rows->body;
  bool behind = false;
  for (uint32_t n = 0; n < r->code.n; n++) {
    if (behind) emit_instr(e, r->code.at[n]);
    behind |= r->code.at[n] == s->at;
  }
}

static V elements(Emit *e, const Loop *stream) {
  return greatest(e, minus(e, e->val[stream->hi], e->val[stream->lo]), const_int(e, 0));
}

/* The elements of the row number `row` of the strip, from `at` on; returns where they end. */
static V weigh_row(Emit *e, const Strips *s, V row, V at) {
  Reduction *r = s->r;
  Gather *g = r->gather;
  code_before(e, s, true);
  V lo = e->val[s->stream->lo], count = elements(e, s->stream), end = cell_new(e, e->t.i64, "end");
  V fits = LLVMBuildICmp(e->b, LLVMIntSLE, count, const_int(e, GATHER_BLOCK), "");
  put(e, LLVMConstInt(e->t.i1, 1, false), slot(e, e->t.i1, s->apart, row));
  put(e, at, end);
  LLVMBasicBlockRef done = block_when(e, fits, "weigh");
  seek(e, s, at);
  acc_begin(e, r, false);
  put(e, LLVMConstInt(e->t.i1, 1, false), g->all);
  put(e, lo, g->from);
  gather_append_beside(e, r, lo, plus(e, lo, count));
  V *tops = gather_tops(e, r);
  gather_raise_max(e, r, count);
  if (gather_has_scalars(r)) {
    gather_add_mass(e, r, count);
    gather_add_scalars(e, r, count, tops);
  }
  V all = get(e, e->t.i1, g->all);
  put(e, negate(e, all), slot(e, e->t.i1, s->apart, row));
  put(e, plus(e, at, LLVMBuildSelect(e->b, all, count, const_int(e, 0), "")), end);
  move_row(e, s, row, true);
  block_go(e, done);
  return get(e, e->t.i64, end);
}

/* States without axes that read elements have taken their weights in the first pass. */
static void share_row(Emit *e, const Strips *s, V row) {
  if (gather_has_scalars(s->r)) return;
  V from = get(e, e->t.i64, slot(e, e->t.i64, s->from, row));
  V end = get(e, e->t.i64, slot(e, e->t.i64, s->from, plus(e, row, const_int(e, 1))));
  seek(e, s, from);
  move_row(e, s, row, false);
  gather_add_mass(e, s->r, minus(e, end, from));
  move_row(e, s, row, true);
}

static void end_scalars(Emit *e, const Strips *s, const V *result) {
  for (uint32_t n = 0; n < s->r->n; n++)
    if (result[n]) put(e, e->val[s->r->state[n].acc->result], result[n]);
}

static void sum_row(Emit *e, const Strips *s, V row) {
  Reduction *r = s->r;
  V *result = NEW_ARRAY(e->arena, V, r->n + 1);
  code_before(e, s, false);
  for (uint32_t n = 0; n < r->n; n++) {
    Val v = r->state[n].acc->result;
    if (v && !r->state[n].acc->naxis) result[n] = cell_new(e, type_of(e, ir_at(e->k, v)->type), "result");
  }
  LLVMBasicBlockRef apart = block_new(e, "apart"), strip = block_new(e, "strip"), done = block_new(e, "row");
  LLVMBuildCondBr(e->b, get(e, e->t.i1, slot(e, e->t.i1, s->apart, row)), apart, strip);
  LLVMPositionBuilderAtEnd(e->b, apart);
  if (!pieces_row(e, s->stream)) emit_instr(e, s->at);
  end_scalars(e, s, result);
  LLVMBuildBr(e->b, done);
  LLVMMoveBasicBlockAfter(strip, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, strip);
  seek(e, s, get(e, e->t.i64, slot(e, e->t.i64, s->from, row)));
  put(e, e->val[s->stream->lo], r->gather->from);
  move_row(e, s, row, false);
  gather_fetch_results(e, s->stream);
  gather_add_lines(e, r, elements(e, s->stream));
  for (uint32_t n = 0; n < r->n; n++)
    if (!r->state[n].acc->naxis) acc_end_scalar(e, &r->state[n]);
  end_scalars(e, s, result);
  LLVMMoveBasicBlockAfter(done, LLVMGetInsertBlock(e->b));
  block_go(e, done);
  for (uint32_t n = 0; n < r->n; n++)
    if (result[n]) e->val[r->state[n].acc->result] = get(e, LLVMGetAllocatedType(result[n]), result[n]);
  code_behind(e, s);
}

/* ---- strips -------------------------------------------------------------------------------------------- */

/* From row `first` on; returns how many rows the strip has. */
static V weigh_rows(Emit *e, const Strips *s, V first, V hi, RowFn enter, void *arg) {
  V most = least(e, minus(e, hi, first), const_int(e, STRIP_ROWS)), zero = const_int(e, 0);
  V at = cell_new(e, e->t.i64, "at"), row = cell_new(e, e->t.i64, "row");
  put(e, zero, at), put(e, zero, row), put(e, zero, s->from);
  LLVMBasicBlockRef body = block_new(e, "weights"), full = block_new(e, "full");
  block_go(e, body);
  V n = get(e, e->t.i64, row), from = get(e, e->t.i64, at);
  enter(e, arg, plus(e, first, n));
  V end = weigh_row(e, s, n, from), next = plus(e, n, const_int(e, 1));
  put(e, end, at), put(e, next, row), put(e, end, slot(e, e->t.i64, s->from, next));
  V room = LLVMBuildICmp(e->b, LLVMIntSLE, end, const_int(e, STRIP_ELEMENTS - GATHER_BLOCK), "");
  LLVMBuildCondBr(e->b, both(e, room, LLVMBuildICmp(e->b, LLVMIntSLT, next, most, "")), body, full);
  LLVMMoveBasicBlockAfter(full, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, full);
  V rows = get(e, e->t.i64, row);
  Count c = count_enter(e, zero, rows);
  share_row(e, s, c.index);
  count_leave(e, &c);
  return rows;
}

bool gather_rows(Emit *e, const Loop *rows, V lo, V hi, RowFn enter, void *arg) {
  Strips s;
  if (!strips_of(e, rows, &s)) return false;
  V first = cell_new(e, e->t.i64, "first");
  put(e, lo, first);
  LLVMBasicBlockRef body = block_new(e, "strip"), done = block_new(e, "strips");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, ""), body, done);
  LLVMPositionBuilderAtEnd(e->b, body);
  V from = get(e, e->t.i64, first), count = weigh_rows(e, &s, from, hi, enter, arg);
  Count c = count_enter(e, const_int(e, 0), count);
  enter(e, arg, plus(e, from, c.index));
  sum_row(e, &s, c.index);
  count_leave(e, &c);
  V next = plus(e, from, count);
  put(e, next, first);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, hi, ""), body, done);
  LLVMMoveBasicBlockAfter(done, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, done);
  return true;
}
