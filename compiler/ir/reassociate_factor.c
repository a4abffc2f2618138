/* reassociate_factor: the sum over features inside a part, as one of products of numbers. */
#include "ir/reassociate_sums.h"

/* Summands below the least number are lost; beside a sum of this size they are nothing. */
static const double SUM_LEAST = 1e-30; /* far from where f32 ends, too */

void sums_keep_features(Rewrite *p, const LogWeight *w) {
  for (uint32_t n = 0; n < p->keeps.n; n++)
    if (p->keeps.at[n].w->sum == w->sum) return;
  if (!w->features || is_all(p)) return;
  Val dims[RANK_MAX], columns = extent(p, p->cut.lo, p->cut.hi);
  uint32_t n = sums_plate_dims(p, dims);
  dims[n++] = build_select(B(p), p->cut.use, columns, integer(p, 0));
  dims[n] = extent(p, old(p, w->features->lo), old(p, w->features->hi));
  Kept k = {.features = w->features, .w = w};
  k.col_max = sums_new_temp(p, "top", STORE_WIDE, n, dims);
  k.col = sums_new_temp(p, "factor", STORE_WIDE, n + 1, dims);
  vec_push(arena_of(p), &p->keeps, k);
}

uint32_t sums_kept_of(const Rewrite *p, const Loop *features) {
  uint32_t many = 0;
  for (uint32_t n = 0; p->in_chunk && n < p->keeps.n; n++) many += p->keeps.at[n].features == features;
  return many;
}

/* Of the row or column that is mapped, at feature f. */
static Val summand(Rewrite *p, const Kept *k, const Vals *terms, Val f) {
  Scope s = scope_enter(&p->r);
  p->r.map[k->features->index] = f;
  Val t = sums_product_of(p, terms);
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

void sums_keep_columns(Rewrite *p, const Kept *k) {
  const Cut *c = &p->cut;
  Loop *columns, *features;
  Val at[RANK_MAX], lo = old(p, k->features->lo), hi = old(p, k->features->hi);
  Scope s = scope_enter(&p->r);
  Val j = p->r.map[p->x->stream->index] = open(p, LOOP_PAR, c->lo, build_select(B(p), c->use, c->hi, c->lo), &columns);
  uint32_t n = sums_plate_slots(p, at);
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
void sums_keep_row(Rewrite *p, Kept *k) {
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
  uint32_t n = sums_plate_slots(p, at);
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
  at[sums_plate_slots(p, at)] = op(p, IR_SUB, p->r.map[p->x->stream->index], p->cut.lo);
  Val max = op(p, IR_ADD, k->row_max, build_load(B(p), k->col_max, at));
  p->r.map[k->w->sum] = build_select(B(p), is_small, logs, op(p, IR_ADD, max, build_1(B(p), IR_LOG, sum)));
}

/* In the place of a loop over features, of which `kept` sums are of products. */
void sums_emit_features(Rewrite *p, Val v, const Loop *features, uint32_t kept) {
  if (kept < features->accs.n) rebuild_instr(&p->r, v);
  for (uint32_t n = 0; n < p->keeps.n; n++)
    if (p->keeps.at[n].features == features) emit_sum(p, &p->keeps.at[n]);
}
