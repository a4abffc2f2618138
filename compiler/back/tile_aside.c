/* tile_aside: a sweep beside another loop.
 *
 * The vectors of a strip are taken one at a time, wherever the caller has room for one, what they come to lying in
 * memory; so little room is there that instead of the largest log weight it is kept whether the slack was exceeded. */
#include <math.h>

#include "back/tile_sweep.h"

typedef LLVMValueRef V;

/* Sweeps several vectors as one where their instructions are many; returns what t->l must become again. */
static Lanes many_lanes(Tile *t) {
  Lanes single = t->l;
  t->l = lanes_side_by_side(&single, t->unit);
  return single;
}

/* The vectors of all rows of a strip while its tiles are swept one by one, and what is read of the rows: [row] each. */
struct TileAside {
  Vectors at;
  V *depth, odd;
};

static V line_of(Tile *t, V first) {
  return first ? cell_new(t->e, LLVMArrayType2(LLVMTypeOf(first), t->nrow), "aside") : NULL;
}

static V line_at(Tile *t, V line, LLVMTypeRef type) {
  return LLVMBuildInBoundsGEP2(t->e->b, type, line, &t->here_row, 1, "");
}

static void line_put(Tile *t, V line, V value) { LLVMBuildStore(t->e->b, value, line_at(t, line, LLVMTypeOf(value))); }

static V line_get(Tile *t, V line, LLVMTypeRef type) {
  return LLVMBuildLoad2(t->e->b, type, line_at(t, line, type), "");
}

static Vectors load_vectors(Tile *t, const Vectors *first) {
  const Vectors *at = &t->aside->at;
  Vectors v = sweep_vectors_new(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    v.max[w] = line_get(t, at->max[w], LLVMTypeOf(first->max[w]));
    if (at->sum[w]) v.sum[w] = line_get(t, at->sum[w], LLVMTypeOf(first->sum[w]));
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (first->acc[k]) v.acc[k] = line_get(t, at->acc[k], LLVMTypeOf(first->acc[k]));
  return v;
}

static void store_vectors(Tile *t, const Vectors *v) {
  const Vectors *at = &t->aside->at;
  for (uint32_t w = 0; w < t->s->weights.n; w++) line_put(t, at->max[w], v->max[w]);
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (v->sum[w]) line_put(t, at->sum[w], v->sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (v->acc[k]) line_put(t, at->acc[k], v->acc[k]);
}

bool tile_keeps_live(const Tile *t) {
  return t->s->loop->mask && !t->s->checks.n && !t->s->exceptions.n && t->unit == 1;
}

/* The bits of a row's vectors of tile `column`; full: (i1) all of them. */
static void note_live(Tile *t, V column, V full) {
  Emit *e = t->e;
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, t->l.n);
  V live = t->live, first = times(e, column, t->nvec);
  Count c = count_enter(e, first, plus(e, first, const_int(e, t->nvec)));
  t->here_column = times(e, c.index, t->l.n);
  V at = sweep_live_address(t);
  LLVMBuildStore(e->b, LLVMConstAllOnes(bits), at);
  LLVMBasicBlockRef done = block_when(e, LLVMBuildNot(e->b, full, ""), "cut");
  uint32_t mark = tile_mark(t);
  t->live = NULL;
  LLVMBuildStore(e->b, LLVMBuildBitCast(e->b, sweep_alive_here(t), bits, ""), at);
  t->live = live;
  tile_forget(t, mark);
  block_go(e, done);
  t->here_column = NULL;
  count_leave(e, &c);
}

void tile_note_live(Tile *t, V column, V full) {
  Count r = count_enter(t->e, const_int(t->e, 0), const_int(t->e, t->nrow));
  t->here_row = r.index;
  t->row_odd = line_at(t, t->aside->odd, t->e->t.i1);
  note_live(t, column, full);
  t->here_row = NULL;
  count_leave(t->e, &r);
}

void tile_aside_new(Tile *t) {
  Lanes single = many_lanes(t);
  Vectors first = sweep_vectors_first(t, true);
  TileAside *a = t->aside = NEW(t->e->arena, TileAside);
  *a = (TileAside){sweep_vectors_new(t), NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1),
                   cell_new(t->e, LLVMArrayType2(t->e->t.i1, t->nrow), "odd")};
  for (uint32_t w = 0; w < t->s->weights.n; w++) a->depth[w] = line_of(t, sweep_none_scalar(t->e));
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    a->at.max[w] = line_of(t, first.max[w]), a->at.sum[w] = line_of(t, first.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++)
    if (first.acc[k]) a->at.acc[k] = line_of(t, first.acc[k]);
  t->l = single;
}

static void note_references(Tile *t) {
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    line_put(t, t->aside->depth[w], sweep_depth_of(t, w, sweep_row_of_block(t)));
}

void tile_aside_begin(Tile *t) {
  Lanes single = many_lanes(t);
  Vectors first = sweep_vectors_first(t, true);
  store_vectors(t, &first);
  line_put(t, t->aside->odd, LLVMConstNull(t->e->t.i1));
  note_references(t);
  t->l = single;
}

void tile_aside_sweep(Tile *t, V column, bool masked) {
  Lanes single = many_lanes(t);
  Sweep s = {.t = t, .beside = true, .masked = masked, .row = sweep_row_of_block(t)};
  uint32_t mark = tile_mark(t);
  Vectors first = sweep_vectors_first(t, true);
  t->row_odd = line_at(t, t->aside->odd, t->e->t.i1);
  t->here_column = column;
  s.depth = NEW_ARRAY(t->e->arena, V, t->s->weights.n + 1);
  for (uint32_t w = 0; w < t->s->weights.n; w++) s.depth[w] = line_get(t, t->aside->depth[w], t->e->t.f32);
  s.phi = load_vectors(t, &first);
  s.next = sweep_vectors_new(t);
  sweep_vector(&s);
  t->here_column = NULL;
  store_vectors(t, &s.next);
  tile_forget(t, mark);
  t->l = single;
}

/* One vector for every row of the strip. */
static void lines_of(Tile *t, V line, LLVMTypeRef type, V *row) {
  for (uint32_t n = 0; n < t->nrow; n++) {
    V at = const_int(t->e, n);
    row[n] = LLVMBuildLoad2(t->e->b, type, LLVMBuildInBoundsGEP2(t->e->b, type, line, &at, 1, ""), "");
  }
}

/* Whether a row of the strip has no reference: of it no weight has been summed. */
V tile_aside_is_new(Tile *t) {
  Emit *e = t->e;
  V any = LLVMConstNull(LLVMVectorType(e->t.i1, t->nrow)), none[TILE_ROWS];
  for (uint32_t n = 0; n < t->nrow; n++) none[n] = sweep_none_scalar(e);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V max = tile_get(e, LLVMVectorType(e->t.f32, t->nrow), t->weight[w].max, times(e, t->strip, t->nrow));
    any = LLVMBuildOr(e->b, any, sweep_compare(e, LLVMRealOEQ, max, LLVMConstVector(none, t->nrow)), "");
  }
  Lanes rows = lanes_of(e, t->nrow);
  V there = LLVMBuildTrunc(e->b, t->live_rows, e->t.i32, "");
  any = LLVMBuildAnd(e->b, any,
                     LLVMBuildICmp(e->b, LLVMIntSLT, lanes_iota(&rows, e->t.i32), lanes_splat(&rows, there), ""), "");
  LLVMTypeRef bits = LLVMIntTypeInContext(e->cx, t->nrow);
  return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, any, bits, ""), LLVMConstNull(bits), "");
}

/* line: of each weight the largest of the row's vectors lo .. hi. */
static void find_largest(Tile *t, V *line, V lo, V hi) {
  Emit *e = t->e;
  V none = lanes_float(&t->l, -INFINITY);
  for (uint32_t w = 0; w < t->s->weights.n; w++) line_put(t, line[w], none);
  V unit = const_int(e, t->unit), end = LLVMBuildUDiv(e->b, plus(e, hi, const_int(e, t->unit - 1)), unit, "");
  Count c = count_enter(e, LLVMBuildUDiv(e->b, lo, unit, ""), end);
  uint32_t mark = tile_mark(t);
  t->here_column = times(e, c.index, t->l.n);
  V alive = t->alive = sweep_alive_here(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V log_w = sweep_choose(e, alive, tile_value_affine(t, t->s->weights.at[w].body, TILE_LOG2_E), none);
    line_put(t, line[w], sweep_bigger(e, line_get(t, line[w], t->l.f32), log_w));
  }
  t->here_column = NULL;
  tile_forget(t, mark);
  count_leave(e, &c);
}

/* top becomes the reference of the row at t->here_row if it is far above the old one. */
static void raise_row(Tile *t, V *top, V new_only) {
  Emit *e = t->e;
  V row = sweep_row_of_block(t);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    V old = sweep_reference_of(t, w, row), is_new = sweep_compare(e, LLVMRealOEQ, old, sweep_none_scalar(e));
    V above = sweep_compare(e, LLVMRealOGT, line_get(t, top[w], e->t.f32), sweep_limit_of(t, w, old));
    LLVMBasicBlockRef done = block_when(
        e, LLVMBuildAnd(e->b, above, LLVMBuildOr(e->b, is_new, LLVMBuildNot(e->b, new_only, ""), ""), ""), "raise");
    sweep_raise(t, w, row, old, line_get(t, top[w], e->t.f32));
    block_go(e, done);
  }
}

void tile_aside_prime(Tile *t, V lo, V hi, V new_only) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  V *line = NEW_ARRAY(e->arena, V, t->s->weights.n + 1), *top = NEW_ARRAY(e->arena, V, t->s->weights.n + 1),
    row[TILE_ROWS];
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    line[w] = line_of(t, lanes_float(&t->l, -INFINITY)), top[w] = line_of(t, sweep_none_scalar(e));
  Count r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  t->row_odd = line_at(t, t->aside->odd, e->t.i1);
  find_largest(t, line, lo, hi);
  t->here_row = NULL;
  count_leave(e, &r);
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    lines_of(t, line[w], t->l.f32, row);
    LLVMSetAlignment(LLVMBuildStore(e->b, lanes_fold_all(&t->l, row, t->nrow, sweep_bigger), top[w]), 4);
  }
  r = count_enter(e, const_int(e, 0), t->live_rows);
  t->here_row = r.index;
  raise_row(t, top, new_only);
  note_references(t);
  t->here_row = NULL;
  count_leave(e, &r);
  t->l = single;
}

/* Whether some row of the strip must be swept again. */
V tile_aside_exceeds(Tile *t) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  Vectors first = sweep_vectors_first(t, true);
  Lanes one = sweep_one_register(t);
  V any = LLVMConstNull(e->t.i1), row[TILE_ROWS];
  for (uint32_t w = 0; w < t->s->weights.n; w++) {
    lines_of(t, t->aside->at.max[w], LLVMTypeOf(first.max[w]), row);
    if (sweep_is_flag(t, w, true)) {
      for (uint32_t n = 1; n < t->nrow; n++) row[0] = sweep_bigger_int(e, row[0], row[n]);
      any = LLVMBuildOr(e->b, any, tile_line_any(t, lanes_steps_above(&one, row[0], SWEEP_SLACK)), "");
      continue;
    }
    for (uint32_t n = 0; n < t->nrow; n++) {
      V limit = sweep_limit_of(t, w, sweep_reference_of(t, w, plus(e, times(e, t->strip, t->nrow), const_int(e, n))));
      any = LLVMBuildOr(e->b, any, tile_line_any(t, sweep_compare(e, LLVMRealOGT, row[n], lanes_splat(&t->l, limit))),
                        "");
    }
  }
  t->l = single;
  return any;
}

/* Adds the sums of the rows' vectors to their states, which lie side by side. */
static void add_lines(Tile *t, V cell, V line) {
  Emit *e = t->e;
  V row[TILE_ROWS], at = times(e, t->strip, t->nrow);
  Lanes one = sweep_one_register(t);
  lines_of(t, line, one.f32, row);
  LLVMTypeRef states = LLVMVectorType(e->t.f64, t->nrow);
  V sums = LLVMBuildFPExt(e->b, lanes_fold_all(&one, row, t->nrow, sweep_sum_two), states, "");
  tile_put(e, cell, at, LLVMBuildFAdd(e->b, tile_get(e, states, cell, at), sums, ""));
}

static void keep_lines_one_by_one(Tile *t) {
  Emit *e = t->e;
  Vectors first = sweep_vectors_first(t, true);
  Count c = count_enter(e, const_int(e, 0), const_int(e, t->nrow));
  t->here_row = c.index;
  Sweep s = {.t = t, .beside = true, .row = sweep_row_of_block(t)};
  s.next = load_vectors(t, &first);
  for (uint32_t k = 0; k < t->s->accs.n; k++) sweep_keep_acc(&s, k, true);
  t->here_row = NULL;
  count_leave(e, &c);
}

void tile_aside_end(Tile *t) {
  Lanes single = many_lanes(t);
  Emit *e = t->e;
  bool one_by_one = false;
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    if (t->aside->at.sum[w]) add_lines(t, t->weight[w].mass, t->aside->at.sum[w]);
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    if (sweep_is_summed(&t->s->accs.at[k]))
      add_lines(t, t->acc[k].state, t->aside->at.acc[k]);
    else
      one_by_one |= sweep_has_vector(&t->s->accs.at[k]);
  }
  if (one_by_one) keep_lines_one_by_one(t);
  LLVMTypeRef bytes = LLVMVectorType(e->t.i8, t->nrow), flags = LLVMVectorType(e->t.i32, t->nrow);
  V odd = LLVMBuildLoad2(e->b, bytes, t->aside->odd, ""), at = times(e, t->strip, t->nrow);
  LLVMSetAlignment(odd, 1);
  odd = LLVMBuildOr(e->b, LLVMBuildZExt(e->b, odd, flags, ""), tile_get(e, flags, t->odd_rows, at), "");
  tile_put(e, t->odd_rows, at, odd);
  t->l = single;
}
