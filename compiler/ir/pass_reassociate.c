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
 * column it is, so that all three stay as small as distances are: decays do not overflow, and 0.9^-5000 is never needed.
 * Of terms that read data the column's part at e is subtracted from the state and added to the row, where it is finite.
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
#include "ir/pass.h"
#include "ir/reassociate.h"

enum { CHUNK_FORCED = 3 };
/* Summands below the least number are lost; beside a sum of this size they are nothing. */
static const double SUM_LEAST = 1e-280;

typedef struct State { const Acc *acc; Array *at; } State;

/* What a weight leaves of a part of the columns; without a weight: of the plain accumulator `plain`. */
typedef struct Summary {
  const LogWeight *w;
  Array *z;
  VEC(State) expects;
  Val lo, hi; /* of its features */
  const Acc *plain;
} Summary;

typedef VEC(Summary) Summaries;

/* The factors of a sum over features inside chunks. */
typedef struct Kept {
  const Loop *features;
  const LogWeight *w;
  Array *col, *col_max;
  Array *row; /* of the row that is being copied */
  Val row_max;
} Kept;

typedef VEC(Kept) Keeps;

/* Values of the new kernel, functions of the sizes. */
typedef struct Cut { Val use, lo, hi, length, chunks, states; } Cut;

typedef struct Rewrite {
  Rebuild r;
  Kernel from;     /* the kernel with a few more values, which stand for what the rewrite puts there */
  Val lo, hi, feature_hi, mask;
  Makers makers;
  Reassociate mode;
  Reassociations found;
  const Reassociation *x; /* whose rows are being copied in the new order; NULL: none */
  Cut cut;
  Summaries summaries;
  Keeps keeps;
  bool in_chunk;   /* the stream that is being copied is cut to a chunk */
  Val chunk;       /* index of the loop over chunks of rows */
} Rewrite;

static Builder *B(Rewrite *p) { return &p->r.b; }
static Arena *arena_of(Rewrite *p) { return p->r.b.k->arena; }
static Val integer(Rewrite *p, int64_t v) { return build_int(B(p), v); }
static Val op(Rewrite *p, IrOp o, Val x, Val y) { return build_2(B(p), o, x, y); }
static Val wide(Rewrite *p, Val v) { return build_convert(B(p), v, IR_WIDE); }
static Val old(Rewrite *p, Val v) { return demand(&p->r, &p->makers, v); }

/* Products of log weights; 0 stands for none. */
static Val times(Rewrite *p, Val x, Val y) { return !x ? y : !y ? x : op(p, IR_LOGMUL, wide(p, x), wide(p, y)); }
static Val inverse(Rewrite *p, Val x) { return x ? build_1(B(p), IR_NEG, wide(p, x)) : 0; }

static Val product_of(Rewrite *p, const Vals *terms) {
  Val t = 0;
  for (uint32_t n = 0; n < terms->n; n++) t = times(p, t, wide(p, old(p, terms->at[n])));
  return t;
}

static Val condition_of(Rewrite *p, const Vals *conditions) {
  Val c = 0;
  for (uint32_t n = 0; n < conditions->n; n++) c = build_and(B(p), c, old(p, conditions->at[n]));
  return c;
}

static Val offset_of(Rewrite *p) {
  const Offset *o = &p->x->bound.offset;
  Val v = 0;
  for (uint32_t n = 0; n < o->parts.n; n++) {
    Val part = old(p, o->parts.at[n].v);
    if (!v) v = o->parts.at[n].sign < 0 ? build_1(B(p), IR_NEG, part) : part;
    else v = op(p, o->parts.at[n].sign < 0 ? IR_SUB : IR_ADD, v, part);
  }
  return v ? op(p, IR_ADD, v, integer(p, o->constant)) : integer(p, o->constant);
}

static bool is_all(const Rewrite *p) { return p->x->bound.support == SUPPORT_ALL; }

/* ---- at another row or column --------------------------------------------------------------------- */

static void forget(Rewrite *p, uint8_t side, const Region *r) {
  for (Val v = 1; v < p->lo; v++)
    if (p->x->dep[v] & side) p->r.map[v] = 0;
  for (uint32_t n = 0; n < p->from.arrays.n; n++) {
    const Array *a = p->from.arrays.at[n];
    if (a->kind == ARRAY_LOCAL && region_contains(r, a->home)) p->r.arrays[n] = NULL;
  }
}

/* A scope in which the row or the column (0: as it is) is another. */
static Scope at(Rewrite *p, Val row, Val col) {
  Scope s = scope_enter(&p->r);
  if (row) forget(p, ON_ROW, p->x->rows->body);
  if (col) forget(p, ON_COL, p->x->stream->body);
  if (row) p->r.map[p->x->rows->index] = row;
  if (col) p->r.map[p->x->stream->index] = col;
  return s;
}

/* ---- terms that separate ------------------------------------------------------------------------- */

/* The part of a sum that depends on one side: the other side's terms are 0.  side 0: what depends on neither. */
static Val side_of(Rewrite *p, Val v, uint8_t side) {
  const Instr *i = ir_at(&p->from, v);
  uint8_t d = p->x->dep[v];
  if (!d || d == side) return wide(p, old(p, v));
  if (d != ON_BOTH) return build_float(B(p), IR_WIDE, 0);
  if (i->op == IR_CONVERT) return side_of(p, i->arg[0], side);
  if (i->op == IR_NEG) return inverse(p, side_of(p, i->arg[0], side));
  if (i->op == IR_SELECT && !p->x->dep[i->arg[0]])
    return build_select(B(p), old(p, i->arg[0]), side_of(p, i->arg[1], side), side_of(p, i->arg[2], side));
  if (i->op == IR_SELECT) return side_of(p, i->arg[1], side); /* its condition is part of the support */
  return op(p, i->op, side_of(p, i->arg[0], side), side_of(p, i->arg[1], side));
}

static Val sides_of(Rewrite *p, const Vals *terms, uint8_t side) {
  Val t = 0;
  for (uint32_t n = 0; n < terms->n; n++) t = times(p, t, side_of(p, terms->at[n], side));
  return t;
}

/* What weighs a column: its own terms and its part of the data terms, where the stream's index is mapped. */
static Val column_of(Rewrite *p, const LogWeight *w) { return times(p, product_of(p, &w->col), sides_of(p, &w->data, ON_COL)); }

/* The same for a row, with what depends on neither counted once. */
static Val row_of(Rewrite *p, const LogWeight *w) {
  Val shared = w->data.n ? inverse(p, sides_of(p, &w->data, 0)) : 0;
  return times(p, product_of(p, &w->row), times(p, sides_of(p, &w->data, ON_ROW), shared));
}

/* A column's weight as the reference of others: any finite number is a right one. */
static Val reference(Rewrite *p, const LogWeight *w, Val e) {
  Scope s = at(p, 0, e);
  Val c = column_of(p, w);
  scope_leave(&p->r, s);
  if (!c) return 0;
  Val zero = build_float(B(p), IR_WIDE, 0);
  return build_select(B(p), op(p, IR_EQ, op(p, IR_SUB, c, c), zero), c, zero);
}

/* Terms of indices between a row and a column; row 0: the one that is being copied. */
static Val between(Rewrite *p, const LogWeight *w, Val row, Val col) {
  Scope s = at(p, row, col);
  Val d = product_of(p, &w->index);
  scope_leave(&p->r, s);
  return d;
}

/* ---- cutting ------------------------------------------------------------------------------------- */

static Val extent(Rewrite *p, Val lo, Val hi) { return op(p, IR_MAX, op(p, IR_SUB, hi, lo), integer(p, 0)); }

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

/* A chunk is so long that all states together are no larger than the columns' features and values, in f64. */
static void cut(Rewrite *p) {
  const Loop *rows = p->x->rows, *stream = p->x->stream;
  Cut *c = &p->cut;
  Val pair, state, one = integer(p, 1), none = integer(p, 0), row_lo = old(p, rows->lo), row_hi = old(p, rows->hi);
  bool forced = p->mode == REASSOCIATE_ALWAYS;
  costs(p, &pair, &state);
  c->lo = old(p, stream->lo);
  c->hi = p->x->is_ranged ? op(p, IR_ADD, row_hi, offset_of(p)) : old(p, stream->hi);
  c->length = op(p, IR_MAX, integer(p, REASSOCIATE_CHUNK), op(p, IR_FLOORDIV, state, pair));
  if (forced) c->length = integer(p, CHUNK_FORCED);
  Val columns = extent(p, c->lo, c->hi);
  c->use = forced ? build_bool(B(p), true) : is_cheaper(p, extent(p, row_lo, row_hi), columns, is_all(p) ? 0 : c->length, pair, state);
  Val parts = op(p, IR_FLOORDIV, op(p, IR_ADD, columns, op(p, IR_SUB, c->length, one)), c->length);
  c->chunks = op(p, IR_MAX, parts, one);
  c->states = build_select(B(p), c->use, is_all(p) ? one : op(p, IR_SUB, c->chunks, one), none);
}

/* The column that a state's decays are measured from: that at which the rows that use it begin (end, for suffixes). */
static Val edge(Rewrite *p, Val u) {
  const Cut *c = &p->cut;
  return is_all(p) ? c->lo : op(p, IR_ADD, c->lo, op(p, IR_MUL, op(p, IR_ADD, u, integer(p, 1)), c->length));
}

static Val row_at(Rewrite *p, Val e) { return is_all(p) ? old(p, p->x->rows->lo) : op(p, IR_SUB, e, offset_of(p)); }

static void columns_of(Rewrite *p, Val u, Val *lo, Val *hi) {
  const Cut *c = &p->cut;
  Val e = edge(p, u);
  bool prefix = p->x->bound.support == SUPPORT_PREFIX;
  *lo = prefix ? op(p, IR_SUB, e, c->length) : e;
  *hi = is_all(p) ? c->hi : prefix ? e : op(p, IR_MIN, op(p, IR_ADD, e, c->length), c->hi);
}

/* ---- states -------------------------------------------------------------------------------------- */

enum { RANK_MAX = 24 };

static uint32_t plates_of(const Rewrite *p, const Loop **plates) {
  uint32_t n = 0;
  for (const Region *r = p->x->rows->body->parent; r->loop && n < RANK_MAX / 2; r = r->parent) plates[n++] = r->loop;
  return n;
}

static Array *new_temp(Rewrite *p, const char *what, StoreType t, uint32_t n, const Val *dims) {
  Region *here = B(p)->at;
  B(p)->at = B(p)->k->top;
  Array *to = build_array(B(p), ARRAY_TEMP, arena_printf(arena_of(p), "%s.%u", what, B(p)->k->arrays.n), t, n, dims);
  B(p)->at = here;
  return to;
}

static uint32_t plate_dims(Rewrite *p, Val *dims) {
  const Loop *plates[RANK_MAX];
  uint32_t n = plates_of(p, plates), to = 0;
  while (n) n--, dims[to++] = extent(p, old(p, plates[n]->lo), old(p, plates[n]->hi));
  return to;
}

static uint32_t plate_slots(Rewrite *p, Val *slots) {
  const Loop *plates[RANK_MAX];
  uint32_t n = plates_of(p, plates), to = 0;
  while (n) n--, slots[to++] = op(p, IR_SUB, old(p, plates[n]->index), old(p, plates[n]->lo));
  return to;
}

/* Indexed by plates, part, feature, axes. */
static Array *new_state(Rewrite *p, const Summary *s, const Acc *a) {
  Val dims[RANK_MAX];
  uint32_t n = plate_dims(p, dims), naxis = a ? a->naxis : 0;
  dims[n++] = p->cut.states;
  if (s->w) dims[n++] = features_of(p, s);
  for (uint32_t k = 0; k < naxis; k++) dims[n++] = extent(p, old(p, a->axes[k].lo), old(p, a->axes[k].hi));
  StoreType t = !s->plain || s->plain->type == IR_WIDE ? STORE_WIDE : s->plain->type == IR_INT ? STORE_INT : STORE_BOOL;
  return new_temp(p, "state", t, n, dims);
}

typedef struct Slot { Val at[RANK_MAX]; uint32_t n; } Slot;

static Slot slot_of(Rewrite *p, const Summary *s, Val u, Val f) {
  Slot to = {.n = 0};
  to.n = plate_slots(p, to.at);
  to.at[to.n++] = u;
  if (s->w) to.at[to.n++] = op(p, IR_SUB, f, s->lo);
  return to;
}

/* The element of a vector at the point of axes' variables `index`, which start at the axes' lower bounds. */
static Val element(Rewrite *p, Array *a, Slot at, const Acc *acc, const Val *index) {
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

static void keep_features(Rewrite *p, const LogWeight *w) {
  for (uint32_t n = 0; n < p->keeps.n; n++)
    if (p->keeps.at[n].w->sum == w->sum) return;
  if (!w->features || is_all(p)) return;
  Val dims[RANK_MAX], columns = extent(p, p->cut.lo, p->cut.hi);
  uint32_t n = plate_dims(p, dims);
  dims[n++] = build_select(B(p), p->cut.use, columns, integer(p, 0));
  dims[n] = extent(p, old(p, w->features->lo), old(p, w->features->hi));
  Kept k = {.features = w->features, .w = w};
  k.col_max = new_temp(p, "top", STORE_WIDE, n, dims);
  k.col = new_temp(p, "factor", STORE_WIDE, n + 1, dims);
  vec_push(arena_of(p), &p->keeps, k);
}

static bool is_plain(const Rewrite *p, const Acc *a) { return !a->body.log_w && reassociate_takes(p->x, a); }

static void make_summaries(Rewrite *p) {
  p->summaries.n = 0;
  for (uint32_t n = 0; n < p->x->weights.n; n++)
    if (!p->x->weights.at[n].why) summarise(p, &p->x->weights.at[n]);
  cut(p);
  for (uint32_t n = 0; n < p->x->stream->accs.n; n++)
    if (is_plain(p, p->x->stream->accs.at[n])) vec_push(arena_of(p), &p->summaries, (Summary){.plain = p->x->stream->accs.at[n]});
  for (uint32_t n = 0; n < p->x->weights.n; n++)
    if (!p->x->weights.at[n].why) keep_features(p, &p->x->weights.at[n]);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    Summary *s = &p->summaries.at[n];
    s->z = new_state(p, s, NULL);
    for (uint32_t k = 0; k < s->expects.n; k++) s->expects.at[k].at = new_state(p, s, s->expects.at[k].acc);
  }
}

/* ---- reductions over columns, parts or features, all with the same results ----------------------- */

/* What an element of such a reduction is: its log weight, and x at a point of the axes of acc (NULL index: none). */
typedef struct Element Element;
struct Element {
  Val log_w;
  Val (*x)(Rewrite *p, const Element *e, const State *s, const Val *index);
  const Summary *summary;
  Slot at;       /* in states */
  Val *direct;    /* results of the ordinary stream, by accumulator: a value, */
  Array **direct_at; /* or an array */
  uint32_t k;        /* which of the expectations x is asked for */
};

static Val column_x(Rewrite *p, const Element *e, const State *s, const Val *index) {
  const Contribution *c = &s->acc->body;
  for (uint32_t n = 0; n < s->acc->naxis; n++) p->r.map[c->index[n]] = index[n];
  (void)e;
  return old(p, c->x);
}

static Val state_x(Rewrite *p, const Element *e, const State *s, const Val *index) { return element(p, s->at, e->at, s->acc, index); }

static Val direct_x(Rewrite *p, const Element *e, const State *s, const Val *index) {
  if (!s->acc->naxis) return e->direct[e->k];
  return element(p, e->direct_at[e->k], (Slot){.n = 0}, s->acc, index);
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
  for (uint32_t n = 0; n < like->naxis; n++) axes[n] = (Axis){.lo = old(p, like->axes[n].lo), .hi = old(p, like->axes[n].hi)};
  return build_acc(B(p), l, ACC_EXPECT, IR_WIDE, like->naxis, axes);
}

/* The accumulators of an open loop: lse, then the expectations; seed NULL: none.  Closes it. */
static Loop *reduce(Rewrite *p, Loop *l, const Summary *s, Element *body, Element *seed) {
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

static Val open(Rewrite *p, LoopKind kind, Val lo, Val hi, Loop **l) {
  *l = build_open(B(p), kind, lo, hi);
  return (*l)->index;
}

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
  for (uint32_t k = 0; k < s->expects.n; k++) store_vector(p, s->expects.at[k].at, at, s->expects.at[k].acc, l->accs.at[k + 1]);
}

/* The weight of the column that is mapped, in a state measured from e. */
static Val state_log(Rewrite *p, const LogWeight *w, Val base, Val row, Val col) {
  Val c = column_of(p, w);
  if (base) c = op(p, IR_SUB, c, base);
  c = times(p, c, between(p, w, row, col));
  c = times(p, c, product_of(p, &w->col_f));
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
  l->mask = condition_of(p, &p->x->col_mask);
  Element column = {.log_w = state_log(p, s->w, base, row_at(p, edge(p, u)), j), .x = column_x};
  l = reduce(p, l, s, &column, NULL);
  scope_leave(&p->r, scope);
  store_state(p, s, slot_of(p, s, u, f), l);
}

static void fill_plain(Rewrite *p, const Summary *s, Val u) {
  Loop *l;
  Val lo, hi;
  Scope scope = scope_enter(&p->r);
  columns_of(p, u, &lo, &hi);
  p->r.map[p->x->stream->index] = open(p, LOOP_REDUCE, lo, hi, &l);
  l->mask = condition_of(p, &p->x->col_mask);
  Acc *a = build_acc(B(p), l, s->plain->kind, s->plain->type, 0, NULL);
  a->body.x = old(p, s->plain->body.x);
  l = build_close(B(p), l);
  scope_leave(&p->r, scope);
  build_store(B(p), s->z, l->accs.at[0]->result, slot_of(p, s, u, 0).at);
}

static void fill_states(Rewrite *p, const Summary *s) {
  Loop *parts, *features;
  Val u = open(p, LOOP_PAR, integer(p, 0), p->cut.states, &parts);
  if (s->w) {
    Val base = reference(p, s->w, edge(p, u));
    Val f = open(p, LOOP_PAR, s->lo, s->hi, &features);
    fill_state(p, s, u, base, f);
    build_close(B(p), features);
  } else fill_plain(p, s, u);
  build_close(B(p), parts);
}

/* ---- running states ------------------------------------------------------------------------------ */

/* From a state measured from edge v to one measured from edge u. */
static Val shift(Rewrite *p, const LogWeight *w, Val u, Val v) {
  Val eu = edge(p, u), ev = edge(p, v), bu = reference(p, w, eu), bv = reference(p, w, ev);
  Val d = times(p, between(p, w, row_at(p, eu), ev), inverse(p, between(p, w, row_at(p, ev), ev)));
  return bu ? times(p, d, op(p, IR_SUB, bv, bu)) : d;
}

static Element stored(Rewrite *p, const Summary *s, Val u, Val f) {
  Element e = {.x = state_x, .at = slot_of(p, s, u, f)};
  e.log_w = build_load(B(p), s->z, e.at.at);
  return e;
}

static void merge_weighted(Rewrite *p, const Summary *s, Val u, Val v, Val f) {
  Loop *l;
  Val moved = shift(p, s->w, u, v);
  Element own = stored(p, s, u, f), before = stored(p, s, v, f);
  before.log_w = times(p, before.log_w, moved);
  open(p, LOOP_REDUCE, integer(p, 0), integer(p, 1), &l);
  store_state(p, s, own.at, reduce(p, l, s, &own, &before));
}

static Val merge_values(Rewrite *p, const Acc *like, Val n, Val x, Val y) {
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
  Slot own = slot_of(p, s, u, 0), before = slot_of(p, s, v, 0);
  Val x = build_load(B(p), s->z, own.at), y = build_load(B(p), s->z, before.at);
  build_store(B(p), s->z, merge_values(p, s->plain, integer(p, 1), x, y), own.at);
}

/* Every state takes in the one before it, in the order of the support. */
static void run_states(Rewrite *p, const Summary *s) {
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

/* ---- factors of features ------------------------------------------------------------------------- */

static uint32_t kept_of(const Rewrite *p, const Loop *features) {
  uint32_t many = 0;
  for (uint32_t n = 0; p->in_chunk && n < p->keeps.n; n++) many += p->keeps.at[n].features == features;
  return many;
}

/* Of the row or column that is mapped, at feature f. */
static Val summand(Rewrite *p, const Kept *k, const Vals *terms, Val f) {
  Scope s = scope_enter(&p->r);
  p->r.map[k->features->index] = f;
  Val t = product_of(p, terms);
  scope_leave(&p->r, s);
  return t ? t : build_float(B(p), IR_WIDE, 0);
}

static Val greatest(Rewrite *p, const Kept *k, const Vals *terms) {
  Loop *l;
  Val f = open(p, LOOP_REDUCE, old(p, k->features->lo), old(p, k->features->hi), &l);
  Acc *a = build_acc(B(p), l, ACC_MAX, IR_WIDE, 0, NULL);
  a->body.x = summand(p, k, terms, f);
  return build_close(B(p), l)->accs.at[0]->result;
}

static Val factor(Rewrite *p, const Kept *k, const Vals *terms, Val f, Val max) {
  return build_1(B(p), IR_EXP, op(p, IR_SUB, summand(p, k, terms, f), max));
}

static void keep_columns(Rewrite *p, const Kept *k) {
  const Cut *c = &p->cut;
  Loop *columns, *features;
  Val at[RANK_MAX], lo = old(p, k->features->lo), hi = old(p, k->features->hi);
  Scope s = scope_enter(&p->r);
  Val j = p->r.map[p->x->stream->index] = open(p, LOOP_PAR, c->lo, build_select(B(p), c->use, c->hi, c->lo), &columns);
  uint32_t n = plate_slots(p, at);
  at[n++] = op(p, IR_SUB, j, c->lo);
  Val max = greatest(p, k, &k->w->col_f);
  build_store(B(p), k->col_max, max, at);
  Val f = open(p, LOOP_PAR, lo, hi, &features);
  at[n] = op(p, IR_SUB, f, lo);
  build_store(B(p), k->col, factor(p, k, &k->w->col_f, f, max), at);
  build_close(B(p), features);
  build_close(B(p), columns);
  scope_leave(&p->r, s);
}

/* A vector of the row: the sum of one vector. */
static void keep_row(Rewrite *p, Kept *k) {
  Loop *l;
  Axis axis = {.lo = old(p, k->features->lo), .hi = old(p, k->features->hi)};
  Val *f = NEW_ARRAY(arena_of(p), Val, 1);
  k->row_max = greatest(p, k, &k->w->row_f);
  open(p, LOOP_REDUCE, integer(p, 0), integer(p, 1), &l);
  Acc *a = build_acc(B(p), l, ACC_SUM, IR_WIDE, 1, &axis);
  a->body = (Contribution){.index = f, .at = build_axes(B(p), l, 1, f)};
  a->body.x = factor(p, k, &k->w->row_f, *f, k->row_max);
  build_leave_axes(B(p), a->body.at);
  k->row = build_close(B(p), l)->accs.at[0]->result_at;
}

/* The sum of products at the row and column that are being copied. */
static Val sum_factors(Rewrite *p, const Kept *k) {
  Loop *l;
  Val at[RANK_MAX], lo = old(p, k->features->lo);
  Val f = open(p, LOOP_REDUCE, lo, old(p, k->features->hi), &l);
  uint32_t n = plate_slots(p, at);
  at[n++] = op(p, IR_SUB, p->r.map[p->x->stream->index], p->cut.lo);
  at[n] = op(p, IR_SUB, f, lo);
  Acc *a = build_acc(B(p), l, ACC_SUM, IR_WIDE, 0, NULL);
  a->body.x = op(p, IR_MUL, build_load(B(p), k->row, &at[n]), build_load(B(p), k->col, at));
  return build_close(B(p), l)->accs.at[0]->result;
}

/* In the place of one sum over features. */
static void emit_sum(Rewrite *p, const Kept *k) {
  Loop exact = *k->features;
  const Loop *l = &exact;
  Val at[RANK_MAX], lo = old(p, exact.lo), hi = old(p, exact.hi), sum = sum_factors(p, k);
  Val is_small = build_1(B(p), IR_NOT, op(p, IR_GT, sum, build_float(B(p), IR_WIDE, SUM_LEAST)));
  exact.hi = p->feature_hi;
  Scope s = scope_enter(&p->r); /* the loop may hold other sums */
  p->r.map[p->feature_hi] = build_select(B(p), is_small, hi, lo);
  rebuild_merged(&p->r, 1, &l);
  Val logs = p->r.map[k->w->sum];
  scope_leave(&p->r, s);
  at[plate_slots(p, at)] = op(p, IR_SUB, p->r.map[p->x->stream->index], p->cut.lo);
  Val max = op(p, IR_ADD, k->row_max, build_load(B(p), k->col_max, at));
  p->r.map[k->w->sum] = build_select(B(p), is_small, logs, op(p, IR_ADD, max, build_1(B(p), IR_LOG, sum)));
}

/* In the place of a loop over features, of which `kept` sums are of products. */
static void emit_features(Rewrite *p, Val v, const Loop *features, uint32_t kept) {
  if (kept < features->accs.n) rebuild_instr(&p->r, v);
  for (uint32_t n = 0; n < p->keeps.n; n++)
    if (p->keeps.at[n].features == features) emit_sum(p, &p->keeps.at[n]);
}

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
    extra[n] = (Acc){.kind = ACC_LSE, .type = IR_WIDE, .body.log_w = p->x->weights.at[n].log_w, .result = p->mask + 1 + n};
    vec_push(arena_of(p), &l->accs, &extra[n]);
  }
  return l;
}

/* The ordinary stream over the columns of the rows' chunk. */
static Direct run_direct(Rewrite *p) {
  const Loop *stream = p->x->stream;
  const Cut *c = &p->cut;
  Direct d = {NEW_ARRAY(arena_of(p), Val, p->x->weights.n), NEW_ARRAY(arena_of(p), Val, stream->accs.n), NEW_ARRAY(arena_of(p), Array *, stream->accs.n)};
  Scope s = scope_enter(&p->r);
  Val lo = p->r.map[p->lo] = op(p, IR_ADD, c->lo, op(p, IR_MUL, p->chunk, c->length));
  p->r.map[p->hi] = op(p, IR_MIN, op(p, IR_ADD, lo, c->length), c->hi);
  for (uint32_t n = 0; n < p->keeps.n; n++) keep_row(p, &p->keeps.at[n]);
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
  Val e = edge(p, u);
  Val row = times(p, row_of(p, s->w), product_of(p, &s->w->row_f));
  row = times(p, row, reference(p, s->w, e));
  row = times(p, row, times(p, between(p, s->w, 0, e), inverse(p, between(p, s->w, row_at(p, e), e))));
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
  l->mask = condition_of(p, &p->x->row_mask);
  Element state = stored(p, s, u, f);
  state.log_w = feature_log(p, s, u, state.log_w);
  if (d) direct_element(p, s, d, seed = &own);
  l = reduce(p, l, s, &state, seed);
  scope_leave(&p->r, scope);
  map_results(p, s, l);
}

static void row_plain(Rewrite *p, const Summary *s, const Direct *d) {
  Val n = build_select(B(p), has_state(p), integer(p, 1), integer(p, 0));
  Val mask = condition_of(p, &p->x->row_mask);
  if (mask) n = build_select(B(p), mask, n, integer(p, 0));
  Val x = build_load(B(p), s->z, slot_of(p, s, state_for(p), 0).at);
  p->r.map[s->plain->result] = merge_values(p, s->plain, n, x, d->value[place_in(p->x->stream, s->plain)]);
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
  Val row = op(p, IR_MIN, op(p, IR_MAX, op(p, IR_SUB, column, offset_of(p)), lo), hi);
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
  make_summaries(p);
  for (uint32_t n = 0; n < p->keeps.n; n++) keep_columns(p, &p->keeps.at[n]);
  for (uint32_t n = 0; n < p->summaries.n; n++) {
    fill_states(p, &p->summaries.at[n]);
    if (!is_all(p)) run_states(p, &p->summaries.at[n]);
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
  Val j = p->r.map[p->x->stream->index], last = op(p, IR_ADD, p->r.map[p->x->rows->index], offset_of(p));
  Val mask = p->x->stream->mask ? p->r.map[p->x->stream->mask] : 0;
  p->r.map[p->mask] = build_and(B(p), mask, op(p, IR_LE, j, last));
}

static void copy_code(Rebuild *r, const Region *region) {
  Rewrite *p = r->ctx;
  for (uint32_t n = 0; n < region->code.n; n++) {
    const Loop *l = ir_at(r->from, region->code.at[n])->loop;
    if (ir_at(r->from, region->code.at[n])->op != IR_LOOP) l = NULL;
    if (l && p->x && l == p->x->stream) emit_stream(p);
    else if (l && kept_of(p, l)) emit_features(p, region->code.at[n], l, kept_of(p, l));
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
  p.r.ctx = &p;
  if (any_found(&p)) p.r.code = copy_code;
  return rebuild_run(&p.r);
}
