/* running: a derived array of sums that grow with its index is filled in order.
 *
 *     let a[.., i in lo..hi] = sum(l in L..i + c) f(l)       a[i] = a[i - 1] + f(i + c - 1)
 *
 * f and L do not mention i.  The first sum is taken as it is written; after it each adds what its range has more than
 * the one before, so that time is linear.  The sum so far is kept in f64 beside the array, one number for every value
 * of the other indices. */
#include "infer/running.h"

/* c, where t is i + c. */
static bool is_shifted(const Term *t, const Index *i, int64_t *c) {
  *c = 0;
  if (t->kind == TERM_INDEX) return t->index == i;
  if (t->kind != TERM_OP || t->op != OP_ADD) return false;
  for (int n = 0; n < 2; n++) {
    const Term *x = t->args.at[n], *y = t->args.at[1 - n];
    if (x->kind != TERM_INDEX || x->index != i || y->kind != TERM_INT) continue;
    *c = y->integer;
    return true;
  }
  return false;
}

Index *running_index(const Let *l, int64_t *c) {
  const Term *t = l->value;
  if (t->kind != TERM_REDUCE || t->reduce != REDUCE_SUM || t->type != TYPE_REAL ||
      t->index->range.kind != RANGE_INTERVAL)
    return NULL;
  for (uint32_t k = 0; k < l->own.n; k++) {
    Index *i = l->own.at[k];
    bool other = term_mentions_index(t->args.at[0], i) || term_mentions_index(t->index->range.lo, i);
    if (!other && is_shifted(t->index->range.hi, i, c)) return i;
  }
  return NULL;
}

/* What the range has from `from` on. */
static Val sum_from(Context *x, const Term *t, Val from, Val to) {
  Builder *b = B(x);
  Loop *l = open_loop(x, LOOP_REDUCE, t->index->span, from, to);
  Acc *acc = build_acc(b, l, ACC_SUM, IR_WIDE, 0, NULL);
  Context y = with_index(x, t->index, l->index, from, to, false);
  acc->body.x = build_convert(b, eval(&y, t->args.at[0]), IR_WIDE);
  return build_close(b, l)->accs.at[0]->result;
}

static Index *index_at(const Let *l, uint32_t n) {
  if (n < l->plates.n) return l->plates.at[n];
  n -= l->plates.n;
  return n < l->own.n ? l->own.at[n] : l->axes.at[n - l->own.n];
}

/* The places of all indices but i; at least one. */
static uint32_t beside(const Let *l, const Index *i, const Val *place, Val single, Val *out) {
  uint32_t n = 0;
  for (uint32_t k = 0; k < l->plates.n + l->own.n + l->axes.n; k++)
    if (index_at(l, k) != i) out[n++] = place[k];
  if (!n) out[n++] = single;
  return n;
}

Array *running_array(Derive *d, const Let *l, const Index *i, const Val *dims) {
  Val *extent = NEW_ARRAY(d->arena, Val, l->plates.n + l->own.n + l->axes.n + 1);
  uint32_t n = beside(l, i, dims, build_int(&d->b, 1), extent);
  return build_array(&d->b, ARRAY_TEMP, arena_printf(d->arena, "sum.%s", sym_text(d->m->names, l->name)), STORE_WIDE, n,
                     extent);
}

static Val *places(Context *x, const Let *l, const Index *i, const Val *place) {
  Val *out = NEW_ARRAY(x->d->arena, Val, l->plates.n + l->own.n + l->axes.n + 1);
  beside(l, i, place, build_int(B(x), 0), out);
  return out;
}

void running_begin(Context *x, const Let *l, const Index *i, Array *sum, const Val *place) {
  build_store(B(x), sum, build_float(B(x), IR_WIDE, 0), places(x, l, i, place));
}

Val running_value(Context *x, const Let *l, const Index *i, int64_t c, Array *sum, const Val *place) {
  Builder *b = B(x);
  const Term *t = l->value;
  const BoundIndex *at = find_bound(x, i);
  Val L = eval(x, t->index->range.lo), to = build_2(b, IR_ADD, at->v, build_int(b, c)), *where = places(x, l, i, place);
  Val first = build_2(b, IR_EQ, at->v, at->lo), last = build_2(b, IR_MAX, L, build_2(b, IR_SUB, to, build_int(b, 1)));
  Val more = sum_from(x, t, build_select(b, first, L, last), to);
  Val all = build_2(b, IR_ADD, build_load(b, sum, where), more);
  build_store(b, sum, all, where);
  return build_convert(b, all, IR_REAL);
}
