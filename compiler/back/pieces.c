/* pieces: see pieces.h.
 *
 * A row has pieces if it has at least two of PIECE elements: all whole ones, from its beginning on; what is left at its
 * end is less than one.  Each leaves the state of its reduction: maxima, masses, sums.  The row begins with these, one
 * after another, and goes on with the rest.  So which sums a row is made of depends on its length alone: neither on the
 * threads nor on where in the list it stands.
 *
 * A state is added like one element: its log weight is the piece's maximum, its mass what stands for 1.
 *
 * Where a state lies.  The list is cut into cells of PIECE positions.  Of a row's pieces each begins in a cell of its
 * own and reaches beyond it, so that no other row has a piece there: a cell has one piece at most, whose row the
 * borders next to the cell's end tell, and states are as many as the list has cells.  A state says whose it is.  What
 * a list of borders that fall says of a cell is no matter: a row takes only what is its own, and computes the rest. */
#include "back/pieces.h"

#include <math.h>

#include "back/task.h"
#include "back/whole.h"
#include "ir/build.h"
#include "ir/walk.h"

enum {
  PIECE = 4096, /* elements: as spans of columns on tiles */
  WORD = 8,     /* bytes of a number in a state */
  WEIGHT = 3,   /* numbers of a weight: maximum, mass, whether one is bad */
  LINE = 64
};

typedef LLVMValueRef V;

/* ---- which ---------------------------------------------------------------------------------------------- */

/* Sums over features, say: little beside a piece, which computes them anew. */
static bool is_brief(const Kernel *k, const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (ir_acc_takes_log_w(l->accs.at[n]->kind)) return false;
  for (uint32_t n = 0; n < l->body->code.n; n++)
    if (ir_at(k, l->body->code.at[n])->op == IR_LOOP) return false;
  return true;
}

/* The stream, if all that stands before it are pure operations and brief reductions. */
static const Loop *stream_of(const Kernel *k, const Loop *rows, const Loop *borders) {
  const Region *r = rows->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_STORE || i->op == IR_SOLVE) return NULL;
    if (i->op != IR_LOOP) continue;
    const Loop *l = i->loop;
    if (l->kind != LOOP_REDUCE) return NULL;
    if (l->lo == borders->lo && l->hi == borders->hi) return l;
    if (!is_brief(k, l)) return NULL;
  }
  return NULL;
}

/* An element without a vector is too little for pieces to be worth while. */
static bool has_axes(const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis) return true;
  return false;
}

typedef struct Lists { const Kernel *k; const Loop *stream; Val listed; } Lists;

/* An input that is read at the stream's position. */
static void note_list(void *lists, Val v) {
  Lists *s = lists;
  const Instr *i = ir_at(s->k, v);
  if (i->op != IR_LOAD || i->array->kind != ARRAY_IN || !i->narg || i->arg[0] != s->stream->index) return;
  if (!s->listed && ir_follows_from_sizes(s->k, i->array->dims[0])) s->listed = i->array->dims[0];
}

bool pieces_of(Emit *e, const Nest *nest, Pieces *p) {
  const Kernel *k = e->k;
  const Loop *rows = nest->loop[nest->n - 1];
  if (nest->tiled || e->run_first || !nest_follows_from_sizes(k, nest)) return false;
  *p = (Pieces){.nest = nest, .border = balance_of(k, rows)};
  if (!p->border.first) return false;
  p->stream = stream_of(k, rows, p->border.stream);
  if (!p->stream || !has_axes(p->stream)) return false;
  Lists lists = {.k = k, .stream = p->stream};
  walk_code(k, p->stream->body, note_list, &lists);
  p->listed = lists.listed;
  return p->listed != 0;
}

/* ---- how many, and where -------------------------------------------------------------------------------- */

/* Of one iteration of the loops around the rows. */
static V cells(Emit *e, const Pieces *p) {
  V all = greatest(e, layout_size(e, p->listed), const_int(e, 0));
  V some = LLVMBuildICmp(e->b, LLVMIntSGE, all, const_int(e, 2 * PIECE), "");
  return LLVMBuildSelect(e->b, some, LLVMBuildUDiv(e->b, all, const_int(e, PIECE), ""), const_int(e, 0), "");
}

V pieces_count(Emit *e, const Pieces *p) {
  V count = cells(e, p);
  for (uint32_t n = 0; n + 1 < p->nest->n; n++) count = nest_product(e, count, nest_steps(e, p->nest, n));
  return count;
}

static V whole_lines(Emit *e, V bytes) {
  return both(e, layout_add(e, bytes, const_int(e, LINE - 1)), const_int(e, -LINE));
}

/* Where in a state number n of a weight lies; that of an accumulator without axes; where those with axes begin. */
static int64_t weight_at(uint32_t weight, int n) { return WORD * (1 + WEIGHT * (int64_t)weight + n); }
static int64_t scalar_at(const Loop *l, uint32_t acc) { return WORD * (1 + WEIGHT * (int64_t)l->accs.n + acc); }
static int64_t points_at(const Loop *l) { return scalar_at(l, l->accs.n); }

/* Bytes of a state up to the accumulator number `acc` that has axes; of all of it. */
static V state_bytes(Emit *e, const Loop *l, uint32_t acc) {
  V bytes = whole_lines(e, const_int(e, points_at(l)));
  for (uint32_t n = 0; n < acc; n++) {
    const Array *a = l->accs.at[n]->result_at;
    if (!l->accs.at[n]->naxis) continue;
    V points = const_int(e, array_stored_bytes(e, a->elem));
    for (uint32_t d = 0; d < a->rank; d++)
      points = layout_multiply(e, points, greatest(e, layout_size(e, a->dims[d]), const_int(e, 0)));
    bytes = layout_add(e, bytes, whole_lines(e, points));
  }
  return bytes;
}

/* Behind the pieces' states one for each thread. */
V pieces_bytes(Emit *e, const Pieces *p) {
  V states = layout_add(e, pieces_count(e, p), e->threads);
  return layout_multiply(e, states, state_bytes(e, p->stream, p->stream->accs.n));
}

static V bytes_from(Emit *e, V base, V bytes) { return LLVMBuildGEP2(e->b, e->t.i8, base, &bytes, 1, ""); }

static V state_at(Emit *e, const Pieces *p, V number) {
  return bytes_from(e, e->split_space, LLVMBuildMul(e->b, number, state_bytes(e, p->stream, p->stream->accs.n), ""));
}

static V get(Emit *e, LLVMTypeRef t, V at) { return LLVMBuildLoad2(e->b, t, at, ""); }
static void put(Emit *e, V v, V at) { LLVMBuildStore(e->b, v, at); }

/* ---- a piece -------------------------------------------------------------------------------------------- */

static void move(Emit *e, LLVMTypeRef t, V from, V to) { put(e, get(e, t, from), to); }

static void keep_state(Emit *e, const Reduction *r, V state) {
  for (uint32_t n = 0; n < r->nweight; n++) {
    const Weight *w = &r->weight[n];
    move(e, type_of(e, w->type), w->max, field_at(e, state, (size_t)weight_at(n, 0)));
    move(e, e->t.f64, w->mass, field_at(e, state, (size_t)weight_at(n, 1)));
    move(e, e->t.i1, w->bad, field_at(e, state, (size_t)weight_at(n, 2)));
  }
  for (uint32_t n = 0; n < r->n; n++)
    if (!r->state[n].acc->naxis)
      move(e, type_of(e, r->state[n].type), r->state[n].cell, field_at(e, state, (size_t)scalar_at(r->loop, n)));
}

/* What of a row's code the stream reads. */
static void code_before(Emit *e, const Pieces *p) {
  const Region *r = p->stream->body->parent;
  Need need = {e->k, NEW_ARRAY(e->arena, bool, e->k->instrs.n), NEW_ARRAY(e->arena, bool, e->k->arrays.n)};
  uint32_t n = 0, end = 0;
  for (; n < r->code.n; n++)
    if (ir_at(e->k, r->code.at[n])->loop == p->stream && ir_at(e->k, r->code.at[n])->op == IR_LOOP) end = n;
  need_instr(&need, ir_at(e->k, r->code.at[end]));
  bool *pick = need_slice(e, &need, r);
  for (n = 0; n < end; n++)
    if (pick[r->code.at[n]]) emit_instr(e, r->code.at[n]);
}

/* Whether a row has pieces; lo, hi: of any size. */
static V is_long(Emit *e, V lo, V hi) {
  V length = minus(e, hi, lo);
  return both(e, LLVMBuildICmp(e->b, LLVMIntSGE, lo, const_int(e, 0), ""),
              LLVMBuildICmp(e->b, LLVMIntSGE, length, const_int(e, 2 * PIECE), ""));
}

/* Accumulators with axes have their points in the state itself. */
static void reduce_piece(Emit *e, const Pieces *p, V from, V to, V state) {
  const Loop *l = p->stream;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis)
      e->place[l->accs.at[n]->result_at->id].data = bytes_from(e, state, state_bytes(e, l, n));
  Reduction *r = reduction_begin(e, l);
  reduction_body(e, r, from, to);
  keep_state(e, r, state);
}

/* The row's number: `item`, or that of the piece's row; goes on if there is one. */
static V number_of(Emit *e, const Pieces *p, V item, V last, V rest, LLVMBasicBlockRef *none) {
  V number = cell_new(e, e->t.i64, "number"), all = nest_steps(e, p->nest, p->nest->n - 1);
  put(e, item, number);
  LLVMBasicBlockRef given = block_when(e, negate(e, rest), "find");
  V row = balance_row(e, &p->border, p->nest->loop[p->nest->n - 1], last, all);
  V around = LLVMBuildUDiv(e->b, item, cells(e, p), "");
  V found = plus(e, LLVMBuildMul(e->b, around, all, ""), row), none_here = const_int(e, -1);
  put(e, LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, row, all, ""), found, none_here, ""), number);
  block_go(e, given);
  V it = get(e, e->t.i64, number);
  *none = block_when(e, LLVMBuildICmp(e->b, LLVMIntSGE, it, const_int(e, 0), ""), "row");
  return it;
}

void pieces_compute(Emit *e, const Pieces *p, V item, V at, V given, RowFn enter, void *arg) {
  V rest = LLVMBuildIsNotNull(e->b, given, ""), each = greatest(e, cells(e, p), const_int(e, 1));
  V cell = LLVMBuildURem(e->b, item, each, "");
  V last = plus(e, LLVMBuildMul(e->b, cell, const_int(e, PIECE), ""), const_int(e, PIECE - 1));
  V state = LLVMBuildSelect(e->b, rest, given, state_at(e, p, item), "");
  put(e, const_int(e, -1), state);
  LLVMBasicBlockRef none;
  V number = number_of(e, p, item, last, rest, &none);
  enter(e, arg, number);
  code_before(e, p);
  V lo = e->val[p->stream->lo], hi = e->val[p->stream->hi];
  V before = LLVMBuildSDiv(e->b, minus(e, last, lo), const_int(e, PIECE), "");
  V from = plus(e, lo, LLVMBuildMul(e->b, before, const_int(e, PIECE), "")), to = plus(e, from, const_int(e, PIECE));
  V has = both(e, is_long(e, lo, hi), LLVMBuildICmp(e->b, LLVMIntSLE, lo, last, ""));
  has = either(e, rest, both(e, has, LLVMBuildICmp(e->b, LLVMIntSLE, to, hi, "")));
  LLVMBasicBlockRef brief = block_when(e, has, "piece");
  reduce_piece(e, p, LLVMBuildSelect(e->b, rest, at, from, ""), LLVMBuildSelect(e->b, rest, hi, to, ""), state);
  put(e, number, state);
  block_go(e, brief);
  block_go(e, none);
}

/* ---- states of pieces in a row -------------------------------------------------------------------------- */

/* The fields of w become those of an element; returns its log weight less the maximum, no number if it is not there. */
static V add_weight(Emit *e, const Reduction *r, uint32_t number, V state) {
  Weight *w = &r->weight[number];
  LLVMTypeRef t = type_of(e, w->type);
  V max = get(e, t, field_at(e, state, (size_t)weight_at(number, 0))),
    mass = get(e, e->t.f64, field_at(e, state, (size_t)weight_at(number, 1))),
    bad = get(e, e->t.i1, field_at(e, state, (size_t)weight_at(number, 2))), old = get(e, t, w->max);
  put(e, either(e, get(e, e->t.i1, w->bad), bad), w->bad);
  w->alive = LLVMBuildFCmp(e->b, LLVMRealOGT, max, const_float(e, w->type, -INFINITY), "");
  w->above = LLVMBuildFCmp(e->b, LLVMRealOGT, max, old, "");
  w->tie = LLVMBuildFCmp(e->b, LLVMRealOEQ, max, old, "");
  LLVMBasicBlockRef grown = block_when(e, w->above, "grow");
  acc_grow(e, r, w, old, max);
  block_go(e, grown);
  V zero = const_float(e, IR_WIDE, 0), top = op_convert(e, get(e, t, w->max), w->type, IR_WIDE);
  V shift = LLVMBuildFSub(e->b, op_convert(e, max, w->type, IR_WIDE), top, "");
  w->part = LLVMBuildSelect(e->b, w->alive, op_math(e, "exp", IR_WIDE, shift), zero, "");
  put(e, LLVMBuildFAdd(e->b, get(e, e->t.f64, w->mass), LLVMBuildFMul(e->b, mass, w->part, ""), ""), w->mass);
  return shift;
}

/* t + l (m1 - m), of the piece, at the new scale; 0 if that is. */
static V moved_entropy(Emit *e, const Weight *w, V t, V mass, V shift) {
  V at = LLVMBuildFAdd(e->b, t, LLVMBuildFMul(e->b, mass, shift, ""), "");
  return acc_entropy_term(e, w->part, at);
}

static V point_with(Emit *e, const State *s, V x, V at, void *piece) {
  const Array *a = s->acc->result_at;
  V other = LLVMBuildGEP2(e->b, array_stored_type(e, a->elem), (V)piece, &at, 1, "");
  if (LLVMGetTypeKind(LLVMTypeOf(x)) != LLVMVectorTypeKind)
    return acc_combine(e, s, x, op_convert(e, array_get(e, a, other), a->type, s->type));
  V y = get(e, LLVMTypeOf(x), other);
  LLVMSetAlignment(y, sizeof(double));
  return acc_combine(e, s, x, y);
}

static void add_state(Emit *e, const Reduction *r, V state) {
  V *shift = NEW_ARRAY(e->arena, V, r->nweight + 1);
  for (uint32_t n = 0; n < r->nweight; n++) shift[n] = add_weight(e, r, n, state);
  for (uint32_t n = 0; n < r->n; n++) {
    const State *s = &r->state[n];
    AccKind kind = s->acc->kind;
    if (kind == ACC_LSE || kind == ACC_MASS) continue;
    if (s->acc->naxis) {
      acc_each_point(e, s, point_with, bytes_from(e, state, state_bytes(e, r->loop, n)));
      continue;
    }
    V old = get(e, type_of(e, s->type), s->cell),
      x = get(e, type_of(e, s->type), field_at(e, state, (size_t)scalar_at(r->loop, n)));
    if (kind != ACC_ENTROPY) {
      put(e, acc_combine(e, s, old, x), s->cell);
      continue;
    }
    uint32_t w = (uint32_t)(s->weight - r->weight);
    V mass = get(e, e->t.f64, field_at(e, state, (size_t)weight_at(w, 1)));
    put(e, LLVMBuildFAdd(e->b, old, moved_entropy(e, s->weight, x, mass, shift[w]), ""), s->cell);
  }
}

/* The states of the row, as far as they are its own. */
static void add_states(Emit *e, const Pieces *p, const Reduction *r, V lo, V from) {
  V each = cells(e, p), first = LLVMBuildUDiv(e->b, lo, const_int(e, PIECE), ""), around = const_int(e, 0);
  if (p->nest->n > 1) around = LLVMBuildUDiv(e->b, e->row, nest_steps(e, p->nest, p->nest->n - 1), "");
  LLVMBasicBlockRef head = block_new(e, "cell"), inside = block_new(e, "whose"), own = block_new(e, "own"),
                    done = block_new(e, "pieces");
  block_go(e, head);
  V here = get(e, e->t.i64, from);
  V cell = plus(e, first, LLVMBuildUDiv(e->b, minus(e, here, lo), const_int(e, PIECE), ""));
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, cell, each, ""), inside, done);
  LLVMPositionBuilderAtEnd(e->b, inside);
  V state = state_at(e, p, plus(e, LLVMBuildMul(e->b, around, each, ""), cell));
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, get(e, e->t.i64, state), e->row, ""), own, done);
  LLVMPositionBuilderAtEnd(e->b, own);
  add_state(e, r, state);
  put(e, plus(e, here, const_int(e, PIECE)), from);
  LLVMBuildBr(e->b, head);
  LLVMMoveBasicBlockAfter(done, LLVMGetInsertBlock(e->b));
  LLVMPositionBuilderAtEnd(e->b, done);
}

V pieces_add(Emit *e, Reduction *r) {
  V lo = e->val[r->loop->lo];
  if (!e->pieces || e->pieces->stream != r->loop) return lo;
  V from = cell_new(e, e->t.i64, "from");
  put(e, lo, from);
  LLVMBasicBlockRef brief = block_when(e, is_long(e, lo, e->val[r->loop->hi]), "long");
  add_states(e, e->pieces, r, lo, from);
  block_go(e, brief);
  return get(e, e->t.i64, from);
}

bool pieces_row(Emit *e, const Loop *stream) {
  const Pieces *p = e->pieces;
  if (!p || p->stream != stream) return false;
  V own = state_at(e, p, plus(e, pieces_count(e, p), LLVMGetParam(e->fn, ROW_THREAD)));
  Reduction *r = reduction_begin(e, stream);
  task_piece(e, pieces_add(e, r), own);
  add_state(e, r, own);
  reduction_end(e, r);
  return true;
}
