/* convolve: functions of how many copies have a property.
 *
 *   S_j = b_1 + .. + b_j, b_j in {0, 1} of independent copies, p_j = E[b_j]:
 *   P[S_j = k] = P[S_{j-1} = k] (1 - p_j) + P[S_{j-1} = k - 1] p_j,   E[f(S)] = sum_k P[S = k] f(k)
 *
 * (the Poisson binomial distribution).  Only sums and products of what is at least 0 occur, so that small probabilities
 * keep their digits.  The law is kept for all values of the indices that S mentions: two rows, of S_j and of S_{j-1} in
 * turn. */
#include "infer/arith.h"
#include "infer/expect.h"
#include "model/term.h"

/* ---- which sum --------------------------------------------------------------------------------------------------- */

static bool is_known_in(const Context *x, const Mentions *m) {
  for (const Known *k = x->known; k; k = k->next)
    for (uint32_t i = 0; i < m->reached_in.n; i++)
      if (whole_of(k->c) == whole_of(m->reached_in.at[i])) return true;
  return false;
}

/* Are the terms of the sum 0/1 values of independent copies, of which nothing is known? */
static bool can_count(Context *x, const Term *t) {
  const Term *body = t->args.at[0];
  if (t->reduce != REDUCE_SUM || !has_fixed_bounds(t->index)) return false;
  if (!is_zero_or_one(body) || may_count_none(body)) return false;
  Mentions m = mentions_of(x, t);
  return names_copies_apart(x, body, t->index) && all_under_binder(x, body) && !is_known_in(x, &m);
}

/* The first sum in t that is not known. */
static const Term *find_sum(Context *x, const Term *t) {
  if (!unresolved(x, t)) return NULL;
  if (t->kind == TERM_REDUCE) return t;
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *found = find_sum(x, t->args.at[i]);
    if (found) return found;
  }
  return NULL;
}

static void free_indices(Arena *a, const Term *t, IndexVec *bound, IndexVec *free) {
  if (t->kind == TERM_INDEX) {
    for (uint32_t i = 0; i < bound->n; i++)
      if (bound->at[i] == t->index) return;
    for (uint32_t i = 0; i < free->n; i++)
      if (free->at[i] == t->index) return;
    vec_push(a, free, t->index);
  }
  if (t->kind == TERM_REDUCE) vec_push(a, bound, t->index);
  for (uint32_t i = 0; i < t->args.n; i++) free_indices(a, t->args.at[i], bound, free);
}

/* ---- its law ----------------------------------------------------------------------------------------------------- */

typedef struct Law {
  const Term *sum;
  IndexVec free; /* indices that it mentions, bound around it */
  Array *rows;   /* [free indices][2][how many] */
} Law;

static Val length_of(Context *x, const Bounds *r) {
  return build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r->hi, r->lo), build_int(B(x), 0));
}

/* x binds the free indices. */
static Val *place_of(Context *x, const Law *l, Val row, Val count) {
  Context top = {.d = x->d};
  Val *at = NEW_ARRAY(x->d->arena, Val, l->free.n + 2);
  for (uint32_t i = 0; i < l->free.n; i++)
    at[i] = build_2(B(x), IR_SUB, find_bound(x, l->free.at[i])->v, eval_range(&top, &l->free.at[i]->range).lo);
  at[l->free.n] = row, at[l->free.n + 1] = count;
  return at;
}

static Val product(Context *x, Val a, Val b) { return build_2(B(x), IR_MUL, a, b); }

/* The row after the term at y, from the one before it. */
static void add_term(Context *y, const Law *l, Val before, Val counts) {
  Builder *b = B(y);
  Val zero = build_int(b, 0), one = build_int(b, 1), after = build_2(b, IR_SUB, one, before);
  Val p = build_convert(b, expect(y, term_to_real(y->d->arena, l->sum->args.at[0])), IR_WIDE);
  Loop *k = open_loop(y, LOOP_PAR, l->sum->span, zero, counts);
  Val less = build_2(b, IR_SUB, k->index, one);
  Val not = product(y, build_load(b, l->rows, place_of(y, l, before, k->index)), build_2(b, IR_SUB, wide(y, 1), p));
  Val fewer = build_load(b, l->rows, place_of(y, l, before, less));
  fewer = build_select(b, build_2(b, IR_GE, less, zero), fewer, wide(y, 0));
  build_store(b, l->rows, build_2(b, IR_ADD, not, product(y, fewer, p)), place_of(y, l, after, k->index));
  build_close(b, k);
}

static void fill_law(Context *x, const Law *l, const Bounds *r, Val counts) {
  Builder *b = B(x);
  Val zero = build_int(b, 0);
  Loop *k = open_loop(x, LOOP_PAR, l->sum->span, zero, counts);
  Val none = build_select(b, build_2(b, IR_EQ, k->index, zero), wide(x, 1), wide(x, 0));
  build_store(b, l->rows, none, place_of(x, l, zero, k->index));
  build_close(b, k);
  Index *index = l->sum->index;
  Loop *j = open_loop(x, LOOP_SEQ, index->span, r->lo, r->hi);
  Context y = with_index(x, index, j->index, r->lo, r->hi, false);
  Val row = build_2(b, IR_MOD, build_2(b, IR_SUB, j->index, r->lo), build_int(b, 2));
  add_term(&y, l, row, counts);
  build_close(b, j);
}

/* Filled where the latents have their values. */
static Array *make_law(Derive *d, Law *l, Region *stage) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t n = l->free.n;
  Val *dims = NEW_ARRAY(d->arena, Val, n + 2);
  Bounds *each = NEW_ARRAY(d->arena, Bounds, n + 1), r = eval_range(&x, &l->sum->index->range);
  for (uint32_t i = 0; i < n; i++) each[i] = eval_range(&x, &l->free.at[i]->range), dims[i] = length_of(&x, &each[i]);
  Val counts = dims[n + 1] = build_2(b, IR_ADD, length_of(&x, &r), build_int(b, 1));
  dims[n] = build_int(b, 2);
  l->rows = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "law%u", b->k->arrays.n), STORE_WIDE, n + 2, dims);
  b->at = stage;
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    loops[i] = open_loop(&x, LOOP_PAR, l->free.at[i]->span, each[i].lo, each[i].hi);
    x = with_index(&x, l->free.at[i], loops[i]->index, each[i].lo, each[i].hi, true);
  }
  fill_law(&x, l, &r, counts);
  for (uint32_t i = n; i-- > 0;) build_close(b, loops[i]);
  b->at = back;
  return l->rows;
}

static bool depends_on_latents(Context *x, const Term *sum) {
  Mentions m = mentions_of(x, sum);
  bool depends = sum->mentions & MENTIONS_LATENT;
  for (uint32_t i = 0; i < m.reached_in.n; i++) depends |= component_depends_on_latents(m.reached_in.at[i]);
  return depends;
}

static bool law_of(Context *x, const Term *sum, Law *l) {
  IndexVec bound = {0};
  *l = (Law){.sum = sum};
  free_indices(x->d->arena, sum, &bound, &l->free);
  for (uint32_t i = 0; i < l->free.n; i++)
    if (!has_fixed_bounds(l->free.at[i]) || !find_bound(x, l->free.at[i])) return false;
  bool staged = depends_on_latents(x, sum);
  l->rows = kept_array(x->d, sum);
  if (!l->rows) keep_array(x->d, sum, make_law(x->d, l, staged ? x->d->stage : B(x)->k->top), staged);
  return true;
}

/* ---- its functions ----------------------------------------------------------------------------------------------- */

Val expect_convolved(Context *x, const Term *t) {
  Builder *b = B(x);
  const Term *sum = find_sum(x, t);
  Law law;
  if (!sum || sum->type != TYPE_INT || !can_count(x, sum)) return 0;
  Index *count = NEW(x->d->arena, Index);
  *count = (Index){.id = UINT32_MAX, .name = sum->index->name, .span = sum->span, .role = INDEX_REDUCE};
  const Term *f = replace_equal(x->d->arena, t, sum, term_index(x->d->arena, count, sum->span));
  if (unresolved(x, f) || !law_of(x, sum, &law)) return 0;
  Context top = {.d = x->d};
  Bounds r = eval_range(&top, &sum->index->range);
  Val n = length_of(x, &r), zero = build_int(b, 0), end = build_2(b, IR_ADD, n, build_int(b, 1));
  Loop *k = open_loop(x, LOOP_REDUCE, sum->span, zero, end);
  Acc *acc = build_acc(b, k, ACC_SUM, IR_WIDE, 0, NULL);
  Context y = with_index(x, count, k->index, zero, end, false);
  Val p = build_load(b, law.rows, place_of(&y, &law, build_2(b, IR_MOD, n, build_int(b, 2)), k->index));
  Val some = build_2(b, IR_NE, p, wide(x, 0));
  Context z = with_guard(&y, some);
  acc->body.x = build_select(b, some, product(&z, p, build_convert(b, eval(&z, f), IR_WIDE)), wide(x, 0));
  return build_close(b, k)->accs.at[0]->result;
}
