/* reassociate_state: the range in parts, and what a part leaves for each feature.
 *
 * States are filled part by part, then each takes in the one before it.  Columns, parts and features are reduced alike:
 * by an lse, and by expectations with the same log weight (sums_reduce). */
#include "ir/reassociate_sums.h"

enum { CHUNK_FORCED = 3 };

/* ---- cutting ------------------------------------------------------------------------------------- */

/* Features: 1 where there is no sum. */
static Val features_of(Rewrite *p, const Summary *s) { return extent(p, s->lo, s->hi); }

static Val width_of(Rewrite *p, const Acc *a) {
  Val n = integer(p, 1);
  for (uint32_t k = 0; k < a->naxis; k++) n = op(p, IR_MUL, n, extent(p, old(p, a->axes[k].lo), old(p, a->axes[k].hi)));
  return n;
}

/* Multiply-adds of a pair, and of a column's way into the state (a row's out of it costs the same). */
static void costs(Rewrite *p, Val *pair, Val *state) {
  *pair = integer(p, 1);
  *state = integer(p, 1);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    const Summary *s = &p->summaries.at[n];
    Val width = integer(p, 1), f = features_of(p, s);
    for (uint32_t k = 0; k < s->expects.n; k++) width = op(p, IR_ADD, width, width_of(p, s->expects.at[k].acc));
    *pair = op(p, IR_ADD, *pair, op(p, IR_ADD, f, width));
    *state = op(p, IR_ADD, *state, op(p, IR_MUL, f, width));
  }
}

static Val is_cheaper(Rewrite *p, Val rows, Val columns, Val length, Val pair, Val state) {
  Val both = op(p, IR_ADD, wide(p, rows), wide(p, columns)), new = op(p, IR_MUL, both, wide(p, state));
  Val direct = op(p, IR_MUL, op(p, IR_MUL, wide(p, rows), wide(p, columns)), wide(p, pair));
  if (length) new = op(p, IR_ADD, new, op(p, IR_MUL, op(p, IR_MUL, wide(p, rows), wide(p, length)), wide(p, pair)));
  return op(p, IR_LT, new, direct);
}

/* Whether something of the stream stays as it was. */
static bool rows_are_shared(const Rewrite *p) {
  const Loop *l = p->x->stream;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (!reassociate_takes(p->x, l->accs.at[n])) return true;
  return false;
}

/* A chunk is so long that all states together are no larger than the columns' features and values, in f64. */
static void cut(Rewrite *p) {
  const Loop *rows = p->x->rows, *stream = p->x->stream;
  Cut *c = &p->cut;
  Val pair, state, one = integer(p, 1), none = integer(p, 0), row_lo = old(p, rows->lo), row_hi = old(p, rows->hi);
  bool forced = p->mode == REASSOCIATE_ALWAYS;
  costs(p, &pair, &state);
  c->lo = old(p, stream->lo);
  c->hi = p->x->is_ranged ? op(p, IR_ADD, row_hi, sums_offset_of(p)) : old(p, stream->hi);
  c->length = op(p, IR_MAX, integer(p, rows_are_shared(p) ? REASSOCIATE_SHARED_CHUNK : REASSOCIATE_CHUNK),
                 op(p, IR_FLOORDIV, state, pair));
  if (forced) c->length = integer(p, CHUNK_FORCED);
  Val columns = extent(p, c->lo, c->hi);
  c->use = forced ? build_bool(B(p), true)
                  : is_cheaper(p, extent(p, row_lo, row_hi), columns, is_all(p) ? 0 : c->length, pair, state);
  Val parts = op(p, IR_FLOORDIV, op(p, IR_ADD, columns, op(p, IR_SUB, c->length, one)), c->length);
  c->chunks = op(p, IR_MAX, parts, one);
  c->states = build_select(B(p), c->use, is_all(p) ? one : op(p, IR_SUB, c->chunks, one), none);
}

/* The column that a state's decays are measured from: that at which the rows that use it begin (end, for suffixes). */
Val sums_edge(Rewrite *p, Val u) {
  const Cut *c = &p->cut;
  return is_all(p) ? c->lo : op(p, IR_ADD, c->lo, op(p, IR_MUL, op(p, IR_ADD, u, integer(p, 1)), c->length));
}

Val sums_row_at(Rewrite *p, Val e) { return is_all(p) ? old(p, p->x->rows->lo) : op(p, IR_SUB, e, sums_offset_of(p)); }

static void columns_of(Rewrite *p, Val u, Val *lo, Val *hi) {
  const Cut *c = &p->cut;
  Val e = sums_edge(p, u);
  bool prefix = p->x->bound.support == SUPPORT_PREFIX;
  *lo = prefix ? op(p, IR_SUB, e, c->length) : e;
  *hi = is_all(p) ? c->hi : prefix ? e : op(p, IR_MIN, op(p, IR_ADD, e, c->length), c->hi);
}

/* ---- states -------------------------------------------------------------------------------------- */

static uint32_t plates_of(const Rewrite *p, const Loop **plates) {
  uint32_t n = 0;
  for (const Region *r = p->x->rows->body->parent; r->loop; r = r->parent) plates[n++] = r->loop;
  return n;
}

Array *sums_new_temp(Rewrite *p, const char *what, StoreType t, uint32_t n, const Val *dims) {
  Region *here = B(p)->at;
  B(p)->at = B(p)->k->top;
  Array *to = build_array(B(p), ARRAY_TEMP, arena_printf(arena_of(p), "%s.%u", what, B(p)->k->arrays.n), t, n, dims);
  B(p)->at = here;
  return to;
}

uint32_t sums_plate_dims(Rewrite *p, Val *dims) {
  const Loop *plates[RANK_MAX];
  uint32_t n = plates_of(p, plates), to = 0;
  while (n) n--, dims[to++] = extent(p, old(p, plates[n]->lo), old(p, plates[n]->hi));
  return to;
}

uint32_t sums_plate_slots(Rewrite *p, Val *slots) {
  const Loop *plates[RANK_MAX];
  uint32_t n = plates_of(p, plates), to = 0;
  while (n) n--, slots[to++] = op(p, IR_SUB, old(p, plates[n]->index), old(p, plates[n]->lo));
  return to;
}

/* Indexed by plates, part, feature, axes. */
static Array *new_state(Rewrite *p, const Summary *s, const Acc *a) {
  Val dims[RANK_MAX];
  uint32_t n = sums_plate_dims(p, dims), naxis = a ? a->naxis : 0;
  dims[n++] = p->cut.states;
  if (s->w) dims[n++] = features_of(p, s);
  for (uint32_t k = 0; k < naxis; k++) dims[n++] = extent(p, old(p, a->axes[k].lo), old(p, a->axes[k].hi));
  StoreType t = !s->plain || s->plain->type == IR_WIDE ? STORE_WIDE : s->plain->type == IR_INT ? STORE_INT : STORE_BOOL;
  return sums_new_temp(p, "state", t, n, dims);
}

Slot sums_slot_of(Rewrite *p, const Summary *s, Val u, Val f) {
  Slot to = {.n = 0};
  to.n = sums_plate_slots(p, to.at);
  to.at[to.n++] = u;
  if (s->w) to.at[to.n++] = op(p, IR_SUB, f, s->lo);
  return to;
}

/* The element of a vector at the point of axes' variables `index`, which start at the axes' lower bounds. */
Val sums_element(Rewrite *p, Array *a, Slot at, const Acc *acc, const Val *index) {
  for (uint32_t n = 0; n < acc->naxis; n++) at.at[at.n++] = op(p, IR_SUB, index[n], old(p, acc->axes[n].lo));
  return build_load(B(p), a, at.at);
}

static void summarise(Rewrite *p, const LogWeight *w) {
  Summary s = {.w = w};
  s.lo = w->features ? old(p, w->features->lo) : integer(p, 0);
  s.hi = w->features ? old(p, w->features->hi) : integer(p, 1);
  for (uint32_t n = 0; n < p->x->stream->accs.n; n++) {
    const Acc *a = p->x->stream->accs.at[n];
    if (a->kind == ACC_EXPECT && a->body.log_w == w->log_w) vec_push(arena_of(p), &s.expects, (State){a, NULL});
  }
  vec_push(arena_of(p), &p->summaries, s);
}

static bool is_plain(const Rewrite *p, const Acc *a) { return !a->body.log_w && reassociate_takes(p->x, a); }

void sums_make_summaries(Rewrite *p) {
  p->summaries.n = 0;
  for (uint32_t n = 0; n < p->x->weights.n; n++)
    if (!p->x->weights.at[n].why) summarise(p, &p->x->weights.at[n]);
  cut(p);
  for (uint32_t n = 0; n < p->x->stream->accs.n; n++)
    if (is_plain(p, p->x->stream->accs.at[n]))
      vec_push(arena_of(p), &p->summaries, (Summary){.plain = p->x->stream->accs.at[n]});
  for (uint32_t n = 0; n < p->x->weights.n; n++)
    if (!p->x->weights.at[n].why) sums_keep_features(p, &p->x->weights.at[n]);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    Summary *s = &p->summaries.at[n];
    s->z = new_state(p, s, NULL);
    for (uint32_t k = 0; k < s->expects.n; k++) s->expects.at[k].at = new_state(p, s, s->expects.at[k].acc);
  }
}

/* ---- reductions over columns, parts or features, all with the same results ----------------------- */

static Val column_x(Rewrite *p, const Element *e, const State *s, const Val *index) {
  const Contribution *c = &s->acc->body;
  for (uint32_t n = 0; n < s->acc->naxis; n++) p->r.map[c->index[n]] = index[n];
  (void)e;
  return old(p, c->x);
}

static Val state_x(Rewrite *p, const Element *e, const State *s, const Val *index) {
  return sums_element(p, s->at, e->at, s->acc, index);
}

static void contribute(Rewrite *p, Loop *l, const State *s, Element *e, uint32_t k, Contribution *to) {
  e->k = k;
  to->log_w = e->log_w;
  if (s->acc->naxis) {
    to->index = NEW_ARRAY(arena_of(p), Val, s->acc->naxis);
    to->at = build_axes(B(p), l, s->acc->naxis, to->index);
  }
  to->x = wide(p, e->x(p, e, s, to->index));
  if (to->at) build_leave_axes(B(p), to->at);
}

static Acc *new_acc(Rewrite *p, Loop *l, const Acc *like) {
  Axis *axes = NEW_ARRAY(arena_of(p), Axis, like->naxis);
  for (uint32_t n = 0; n < like->naxis; n++)
    axes[n] = (Axis){.lo = old(p, like->axes[n].lo), .hi = old(p, like->axes[n].hi)};
  return build_acc(B(p), l, ACC_EXPECT, IR_WIDE, like->naxis, axes);
}

/* The accumulators of an open loop: lse, then the expectations; seed NULL: none.  Closes it. */
Loop *sums_reduce(Rewrite *p, Loop *l, const Summary *s, Element *body, Element *seed) {
  Acc *z = build_acc(B(p), l, ACC_LSE, IR_WIDE, 0, NULL), **accs = NEW_ARRAY(arena_of(p), Acc *, s->expects.n);
  z->body.log_w = body->log_w;
  for (uint32_t k = 0; k < s->expects.n; k++) {
    accs[k] = new_acc(p, l, s->expects.at[k].acc);
    contribute(p, l, &s->expects.at[k], body, k, &accs[k]->body);
  }
  if (seed) build_seed(B(p), l);
  if (seed) z->seed.log_w = seed->log_w;
  for (uint32_t k = 0; seed && k < s->expects.n; k++) contribute(p, l, &s->expects.at[k], seed, k, &accs[k]->seed);
  build_body(B(p), l);
  return build_close(B(p), l);
}

/* ---- states of chunks ---------------------------------------------------------------------------- */

static void store_vector(Rewrite *p, Array *to, Slot at, const Acc *like, const Acc *result) {
  Loop *loops[RANK_MAX];
  Val from[RANK_MAX], value = result->result;
  for (uint32_t n = 0; n < like->naxis; n++) {
    Val hi = extent(p, old(p, like->axes[n].lo), old(p, like->axes[n].hi));
    from[n] = at.at[at.n++] = open(p, LOOP_PAR, integer(p, 0), hi, &loops[n]);
  }
  if (like->naxis) value = build_load(B(p), result->result_at, from);
  build_store(B(p), to, value, at.at);
  for (uint32_t n = like->naxis; n-- > 0;) build_close(B(p), loops[n]);
}

static void store_state(Rewrite *p, const Summary *s, Slot at, const Loop *l) {
  build_store(B(p), s->z, l->accs.at[0]->result, at.at);
  for (uint32_t k = 0; k < s->expects.n; k++)
    store_vector(p, s->expects.at[k].at, at, s->expects.at[k].acc, l->accs.at[k + 1]);
}

/* The weight of the column that is mapped, in a state measured from e. */
static Val state_log(Rewrite *p, const LogWeight *w, Val base, Val row, Val col) {
  Val c = sums_column_of(p, w);
  if (base) c = op(p, IR_SUB, c, base);
  c = times(p, c, sums_between(p, w, row, col));
  c = times(p, c, sums_product_of(p, &w->col_f));
  return c ? wide(p, c) : build_float(B(p), IR_WIDE, 0);
}

/* One state, of part u and feature f. */
static void fill_state(Rewrite *p, const Summary *s, Val u, Val base, Val f) {
  Loop *l;
  Val lo, hi;
  Scope scope = scope_enter(&p->r);
  columns_of(p, u, &lo, &hi);
  if (s->w->features) p->r.map[s->w->features->index] = f;
  Val j = p->r.map[p->x->stream->index] = open(p, LOOP_REDUCE, lo, hi, &l);
  l->mask = sums_condition_of(p, &p->x->col_mask);
  Element column = {.log_w = state_log(p, s->w, base, sums_row_at(p, sums_edge(p, u)), j), .x = column_x};
  l = sums_reduce(p, l, s, &column, NULL);
  scope_leave(&p->r, scope);
  store_state(p, s, sums_slot_of(p, s, u, f), l);
}

static void fill_plain(Rewrite *p, const Summary *s, Val u) {
  Loop *l;
  Val lo, hi;
  Scope scope = scope_enter(&p->r);
  columns_of(p, u, &lo, &hi);
  p->r.map[p->x->stream->index] = open(p, LOOP_REDUCE, lo, hi, &l);
  l->mask = sums_condition_of(p, &p->x->col_mask);
  Acc *a = build_acc(B(p), l, s->plain->kind, s->plain->type, 0, NULL);
  a->body.x = old(p, s->plain->body.x);
  l = build_close(B(p), l);
  scope_leave(&p->r, scope);
  build_store(B(p), s->z, l->accs.at[0]->result, sums_slot_of(p, s, u, 0).at);
}

void sums_fill_states(Rewrite *p, const Summary *s) {
  Loop *parts, *features;
  Val u = open(p, LOOP_PAR, integer(p, 0), p->cut.states, &parts);
  if (s->w) {
    Val base = sums_reference(p, s->w, sums_edge(p, u));
    Val f = open(p, LOOP_PAR, s->lo, s->hi, &features);
    fill_state(p, s, u, base, f);
    build_close(B(p), features);
  } else fill_plain(p, s, u);
  build_close(B(p), parts);
}

/* ---- running states ------------------------------------------------------------------------------ */

/* From a state measured from edge v to one measured from edge u. */
static Val shift(Rewrite *p, const LogWeight *w, Val u, Val v) {
  Val eu = sums_edge(p, u), ev = sums_edge(p, v), bu = sums_reference(p, w, eu), bv = sums_reference(p, w, ev);
  Val d = times(p, sums_between(p, w, sums_row_at(p, eu), ev), inverse(p, sums_between(p, w, sums_row_at(p, ev), ev)));
  return bu ? times(p, d, op(p, IR_SUB, bv, bu)) : d;
}

Element sums_stored(Rewrite *p, const Summary *s, Val u, Val f) {
  Element e = {.x = state_x, .at = sums_slot_of(p, s, u, f)};
  e.log_w = build_load(B(p), s->z, e.at.at);
  return e;
}

static void merge_weighted(Rewrite *p, const Summary *s, Val u, Val v, Val f) {
  Loop *l;
  Val moved = shift(p, s->w, u, v);
  Element own = sums_stored(p, s, u, f), before = sums_stored(p, s, v, f);
  before.log_w = times(p, before.log_w, moved);
  open(p, LOOP_REDUCE, integer(p, 0), integer(p, 1), &l);
  store_state(p, s, own.at, sums_reduce(p, l, s, &own, &before));
}

Val sums_merge_values(Rewrite *p, const Acc *like, Val n, Val x, Val y) {
  Loop *l;
  open(p, LOOP_REDUCE, integer(p, 0), n, &l);
  Acc *a = build_acc(B(p), l, like->kind, like->type, 0, NULL);
  a->body.x = x;
  build_seed(B(p), l);
  a->seed.x = y;
  build_body(B(p), l);
  return build_close(B(p), l)->accs.at[0]->result;
}

static void merge_plain(Rewrite *p, const Summary *s, Val u, Val v) {
  Slot own = sums_slot_of(p, s, u, 0), before = sums_slot_of(p, s, v, 0);
  Val x = build_load(B(p), s->z, own.at), y = build_load(B(p), s->z, before.at);
  build_store(B(p), s->z, sums_merge_values(p, s->plain, integer(p, 1), x, y), own.at);
}

/* Every state takes in the one before it, in the order of the support. */
void sums_run_states(Rewrite *p, const Summary *s) {
  Loop *features = NULL, *parts;
  Val one = integer(p, 1), f = s->w ? open(p, LOOP_PAR, s->lo, s->hi, &features) : 0;
  Val n = open(p, LOOP_SEQ, one, p->cut.states, &parts);
  bool prefix = p->x->bound.support == SUPPORT_PREFIX;
  Val u = prefix ? n : op(p, IR_SUB, op(p, IR_SUB, p->cut.states, one), n), v = op(p, prefix ? IR_SUB : IR_ADD, u, one);
  if (s->w) merge_weighted(p, s, u, v, f);
  else merge_plain(p, s, u, v);
  build_close(B(p), parts);
  if (features) build_close(B(p), features);
}
