/* pass_reassociate: sums over columns and features in the cheaper order.
 *
 * Law: where log_w(i, j) = row(i) + col(j) + lse_f [ row_f(i, f) + col_f(j, f) ], sums over j and f may change places.
 * With the state of every feature
 *     Z[f] = lse_j ( col(j) + col_f(j, f) )         S[f] = expect_j with that weight of x(j)
 * the results of row i are
 *     lse = lse_f ( row(i) + row_f(i, f) + Z[f] )   expectation = expect_f with that weight of S[f]
 * which costs (M + N) F C instead of M N (F + C).  A pair (Z, S) is the state of a part of the columns; parts merge by
 * the same two reductions, over the parts.
 *
 * All of the range: one state, before the loop over rows.  A prefix j <= i + offset: the range is cut into chunks; the
 * state of all chunks before is merged with the ordinary stream over the chunk that holds the row's last column (the
 * state is its seed), so that what the mask decides is decided column by column.  A suffix is a prefix from the end.
 * Rows belong to the chunk that holds their last (first) column, or to the nearest.
 *
 * Reference: a term d(i, j) that is a function of i plus one of j, as distance priors are, is
 *     d(i, e) + d(r, j) - d(r, e)
 * for every column e and row r.  e is the column at which a chunk starts (ends, for suffixes) and r the row whose last
 * column it is, so that all three stay as small as distances are: decays do not overflow, and 0.9^-5000 is never
 * needed. Of terms that read data the column's part at e is subtracted from the state and added to the row, where it is
 * finite.
 *
 * Inside a chunk the sum over features is one of numbers: with the maxima a of row_f(i, .) and b of col_f(j, .),
 *     lse_f [ row_f(i, f) + col_f(j, f) ] = a + b + log sum_f e^(row_f(i, f) - a) e^(col_f(j, f) - b)
 * whose factors are computed once a row and once a column and kept. Where that sum is so small that it may have lost
 * summands, or is no number, the sum of logs is taken as it stands, by a loop that otherwise has no iterations.
 *
 * Nothing is lost at the edges: a weight of 0 on either side removes the feature (LOGMUL), x is never looked at where
 * no feature gives it weight, and a column reaches only rows that have it in their support.
 *
 * Both orders stand in the kernel; one of them has loops of no iterations.  The choice follows from the sizes: in
 * multiply-adds, pairs (F + C) against (M + N) F C + M L (F + C), L the length of a chunk. */
#include "ir/reassociate_sums.h"

/* ---- rows ---------------------------------------------------------------------------------------- */

/* A row's results over a part of the columns, taken over from the ordinary stream. */
typedef struct Direct { Val *z, *value; Array **vector; } Direct; /* by summary; by accumulator */

static uint32_t place_in(const Loop *l, const Acc *a) {
  uint32_t n = 0;
  while (l->accs.at[n] != a) n++;
  return n;
}

static Loop *chunk_stream(Rewrite *p, Acc *extra) {
  const Loop *stream = p->x->stream;
  Loop *l = NEW(arena_of(p), Loop);
  *l = *stream;
  l->lo = p->lo;
  l->hi = p->hi;
  if (p->x->is_ranged) l->mask = p->mask;
  l->accs.at = NULL;
  l->accs.n = l->accs.cap = 0;
  for (uint32_t n = 0; n < stream->accs.n; n++)
    if (reassociate_takes(p->x, stream->accs.at[n])) vec_push(arena_of(p), &l->accs, stream->accs.at[n]);
  for (uint32_t n = 0; n < p->x->weights.n; n++) {
    if (p->x->weights.at[n].why) continue;
    extra[n] =
        (Acc){.kind = ACC_LSE, .type = IR_WIDE, .body.log_w = p->x->weights.at[n].log_w, .result = p->mask + 1 + n};
    vec_push(arena_of(p), &l->accs, &extra[n]);
  }
  return l;
}

/* The ordinary stream over the columns of the rows' chunk. */
static Direct run_direct(Rewrite *p) {
  const Loop *stream = p->x->stream;
  const Cut *c = &p->cut;
  Direct d = {NEW_ARRAY(arena_of(p), Val, p->x->weights.n), NEW_ARRAY(arena_of(p), Val, stream->accs.n),
              NEW_ARRAY(arena_of(p), Array *, stream->accs.n)};
  Scope s = scope_enter(&p->r);
  Val lo = p->r.map[p->lo] = op(p, IR_ADD, c->lo, op(p, IR_MUL, p->chunk, c->length));
  p->r.map[p->hi] = op(p, IR_MIN, op(p, IR_ADD, lo, c->length), c->hi);
  for (uint32_t n = 0; n < p->keeps.n; n++) sums_keep_row(p, &p->keeps.at[n]);
  p->in_chunk = true;
  const Loop *l = chunk_stream(p, NEW_ARRAY(arena_of(p), Acc, p->x->weights.n));
  rebuild_merged(&p->r, 1, &l);
  p->in_chunk = false;
  for (uint32_t n = 0; n < p->x->weights.n; n++) d.z[n] = p->r.map[p->mask + 1 + n];
  for (uint32_t n = 0; n < stream->accs.n; n++) {
    const Acc *a = stream->accs.at[n];
    if (!reassociate_takes(p->x, a)) continue;
    if (a->naxis) d.vector[n] = p->r.arrays[a->result_at->id];
    else d.value[n] = p->r.map[a->result];
  }
  scope_leave(&p->r, s);
  return d;
}

static bool has_states_before(const Rewrite *p) { return p->x->bound.support == SUPPORT_PREFIX; }

/* Whether there is a state for the rows of this chunk. */
static Val has_state(Rewrite *p) {
  if (has_states_before(p)) return op(p, IR_GT, p->chunk, integer(p, 0));
  return op(p, IR_LT, p->chunk, p->cut.states);
}

static Val state_for(Rewrite *p) {
  if (is_all(p)) return integer(p, 0);
  return has_states_before(p) ? op(p, IR_SUB, p->chunk, integer(p, 1)) : p->chunk;
}

/* A feature's weight in a row's results. */
static Val feature_log(Rewrite *p, const Summary *s, Val u, Val z) {
  Val e = sums_edge(p, u);
  Val row = times(p, sums_row_of(p, s->w), sums_product_of(p, &s->w->row_f));
  row = times(p, row, sums_reference(p, s->w, e));
  row = times(p, row, times(p, sums_between(p, s->w, 0, e), inverse(p, sums_between(p, s->w, sums_row_at(p, e), e))));
  return times(p, row, z);
}

static void map_results(Rewrite *p, const Summary *s, const Loop *l) {
  for (uint32_t n = 0; n < p->x->stream->accs.n; n++) {
    const Acc *a = p->x->stream->accs.at[n];
    if (a->kind == ACC_LSE && a->body.log_w == s->w->log_w) p->r.map[a->result] = l->accs.at[0]->result;
  }
  for (uint32_t k = 0; k < s->expects.n; k++) {
    const Acc *a = s->expects.at[k].acc;
    if (a->naxis) p->r.arrays[a->result_at->id] = l->accs.at[k + 1]->result_at;
    else p->r.map[a->result] = l->accs.at[k + 1]->result;
  }
}

static Val direct_x(Rewrite *p, const Element *e, const State *s, const Val *index) {
  if (!s->acc->naxis) return e->direct[e->k];
  return sums_element(p, e->direct_at[e->k], (Slot){.n = 0}, s->acc, index);
}

static void direct_element(Rewrite *p, const Summary *s, const Direct *d, Element *e) {
  *e = (Element){.log_w = d->z[s->w - p->x->weights.at], .x = direct_x};
  e->direct = NEW_ARRAY(arena_of(p), Val, s->expects.n);
  e->direct_at = NEW_ARRAY(arena_of(p), Array *, s->expects.n);
  for (uint32_t k = 0; k < s->expects.n; k++) {
    uint32_t at = place_in(p->x->stream, s->expects.at[k].acc);
    e->direct[k] = d->value[at];
    e->direct_at[k] = d->vector[at];
  }
}

static void row_weighted(Rewrite *p, const Summary *s, const Direct *d) {
  Loop *l;
  Scope scope = scope_enter(&p->r);
  Element own, *seed = NULL;
  Val u = state_for(p), hi = s->hi;
  if (d) hi = build_select(B(p), has_state(p), s->hi, s->lo);
  Val f = open(p, LOOP_REDUCE, s->lo, hi, &l);
  if (s->w->features) p->r.map[s->w->features->index] = f;
  l->mask = sums_condition_of(p, &p->x->row_mask);
  Element state = sums_stored(p, s, u, f);
  state.log_w = feature_log(p, s, u, state.log_w);
  if (d) direct_element(p, s, d, seed = &own);
  l = sums_reduce(p, l, s, &state, seed);
  scope_leave(&p->r, scope);
  map_results(p, s, l);
}

static void row_plain(Rewrite *p, const Summary *s, const Direct *d) {
  Val n = build_select(B(p), has_state(p), integer(p, 1), integer(p, 0));
  Val mask = sums_condition_of(p, &p->x->row_mask);
  if (mask) n = build_select(B(p), mask, n, integer(p, 0));
  Val x = build_load(B(p), s->z, sums_slot_of(p, s, state_for(p), 0).at);
  p->r.map[s->plain->result] = sums_merge_values(p, s->plain, n, x, d->value[place_in(p->x->stream, s->plain)]);
}

/* What is not taken over, in a stream like the old one. */
static void emit_rest(Rewrite *p) {
  const Loop *stream = p->x->stream;
  Loop rest = *stream;
  const Loop *l = &rest;
  rest.accs.at = NULL;
  rest.accs.n = rest.accs.cap = 0;
  for (uint32_t n = 0; n < stream->accs.n; n++)
    if (!reassociate_takes(p->x, stream->accs.at[n])) vec_push(arena_of(p), &rest.accs, stream->accs.at[n]);
  if (!rest.accs.n) return;
  Scope s = scope_enter(&p->r);
  rebuild_merged(&p->r, 1, &l);
  Scope inner = {p->r.map, p->r.arrays};
  scope_leave(&p->r, s);
  for (uint32_t n = 0; n < rest.accs.n; n++) {
    const Acc *a = rest.accs.at[n];
    if (a->naxis) p->r.arrays[a->result_at->id] = inner.arrays[a->result_at->id];
    else p->r.map[a->result] = inner.map[a->result];
  }
}

/* In the place of the stream. */
static void emit_stream(Rewrite *p) {
  emit_rest(p);
  Direct d;
  if (!is_all(p)) d = run_direct(p);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    const Summary *s = &p->summaries.at[n];
    if (s->w) row_weighted(p, s, is_all(p) ? NULL : &d);
    else row_plain(p, s, &d);
  }
}

/* The first row of a chunk. */
static Val first_row(Rewrite *p, Val t) {
  const Cut *c = &p->cut;
  Val lo = old(p, p->x->rows->lo), hi = old(p, p->x->rows->hi);
  Val column = op(p, IR_ADD, c->lo, op(p, IR_MUL, t, c->length));
  Val row = op(p, IR_MIN, op(p, IR_MAX, op(p, IR_SUB, column, sums_offset_of(p)), lo), hi);
  row = build_select(B(p), op(p, IR_LE, t, integer(p, 0)), lo, row);
  return build_select(B(p), op(p, IR_GE, t, c->chunks), hi, row);
}

static void copy_rows(Rewrite *p, const Loop *from, Val lo, Val hi) {
  Loop rows = *from;
  const Loop *l = &rows;
  rows.lo = p->lo;
  rows.hi = p->hi;
  Scope s = scope_enter(&p->r);
  p->r.map[p->lo] = lo;
  p->r.map[p->hi] = hi;
  rebuild_merged(&p->r, 1, &l);
  scope_leave(&p->r, s);
}

static void emit_rows(Rewrite *p) {
  Loop *chunks;
  Val lo = old(p, p->x->rows->lo), hi = old(p, p->x->rows->hi), none = integer(p, 0);
  if (is_all(p)) {
    copy_rows(p, p->x->rows, lo, build_select(B(p), p->cut.use, hi, lo));
    return;
  }
  p->chunk = open(p, LOOP_PAR, none, build_select(B(p), p->cut.use, p->cut.chunks, none), &chunks);
  copy_rows(p, p->x->rows, first_row(p, p->chunk), first_row(p, op(p, IR_ADD, p->chunk, integer(p, 1))));
  build_close(B(p), chunks);
}

/* ---- the pass ------------------------------------------------------------------------------------ */

/* The states, then the rows in the new order, then the rows in the old one. */
static void reassociate(Rewrite *p, const Reassociation *x) {
  const Reassociation *around = p->x;
  p->x = x;
  p->summaries = (Summaries){0};
  p->keeps = (Keeps){0};
  sums_make_summaries(p);
  for (uint32_t n = 0; n < p->keeps.n; n++) sums_keep_columns(p, &p->keeps.at[n]);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    sums_fill_states(p, &p->summaries.at[n]);
    if (!is_all(p)) sums_run_states(p, &p->summaries.at[n]);
  }
  emit_rows(p);
  Val lo = old(p, x->rows->lo), direct = build_select(B(p), p->cut.use, lo, old(p, x->rows->hi));
  p->x = around;
  if (direct != lo) copy_rows(p, x->rows, lo, direct);
}

static const Reassociation *of_rows(const Rewrite *p, const Loop *l) {
  for (uint32_t n = 0; l && n < p->found.n; n++)
    if (p->found.at[n]->rows == l && !p->found.at[n]->why) return p->found.at[n];
  return NULL;
}

/* A loop over rows inside another one that is copied has states of its own. */
static void reassociate_inside(Rewrite *p, const Reassociation *x) {
  Cut cut = p->cut;
  Summaries summaries = p->summaries;
  Keeps keeps = p->keeps;
  Val chunk = p->chunk;
  reassociate(p, x);
  p->cut = cut;
  p->summaries = summaries;
  p->keeps = keeps;
  p->chunk = chunk;
}

/* A range that ends with the row becomes one that a mask ends. */
static void bound_range(Rewrite *p) {
  Val j = p->r.map[p->x->stream->index], last = op(p, IR_ADD, p->r.map[p->x->rows->index], sums_offset_of(p));
  Val mask = p->x->stream->mask ? p->r.map[p->x->stream->mask] : 0;
  p->r.map[p->mask] = build_and(B(p), mask, op(p, IR_LE, j, last));
}

static void copy_code(Rebuild *r, const Region *region) {
  Rewrite *p = r->ctx;
  for (uint32_t n = 0; n < region->code.n; n++) {
    const Loop *l = ir_at(r->from, region->code.at[n])->loop;
    if (ir_at(r->from, region->code.at[n])->op != IR_LOOP) l = NULL;
    if (l && p->x && l == p->x->stream) emit_stream(p);
    else if (l && sums_kept_of(p, l)) sums_emit_features(p, region->code.at[n], l, sums_kept_of(p, l));
    else if (of_rows(p, l)) reassociate_inside(p, of_rows(p, l));
    else rebuild_instr(r, region->code.at[n]);
  }
  if (p->x && p->x->is_ranged && p->in_chunk && region == p->x->stream->body) bound_range(p);
}

/* Room for the values that stand for others. */
static void extend(Rewrite *p, Arena *arena, const Kernel *k) {
  uint32_t weights = 0;
  for (uint32_t n = 0; n < p->found.n; n++) weights += p->found.at[n]->weights.n;
  p->from = *k;
  p->from.instrs.at = NEW_ARRAY(arena, Instr, k->instrs.n + 4 + weights);
  memcpy(p->from.instrs.at, k->instrs.at, k->instrs.n * sizeof *k->instrs.at);
  p->from.instrs.n = k->instrs.n + 4 + weights;
  p->lo = k->instrs.n;
  p->hi = p->lo + 1;
  p->feature_hi = p->lo + 2;
  p->mask = p->lo + 3;
}

static bool any_found(const Rewrite *p) {
  for (uint32_t n = 0; n < p->found.n; n++)
    if (!p->found.at[n]->why) return true;
  return false;
}

Kernel *pass_reassociate(Arena *arena, const Kernel *k, Reassociate mode) {
  Rewrite p = {.mode = mode};
  if (mode != REASSOCIATE_NEVER) p.found = reassociate_find(arena, k);
  extend(&p, arena, k);
  p.makers = makers_of(arena, &p.from, k->top);
  rebuild_init(&p.r, arena, &p.from);
  p.r.stores = true;
  p.r.ctx = &p;
  if (any_found(&p)) p.r.code = copy_code;
  return rebuild_run(&p.r);
}
