/* solve: components that a quadratic form joins, solved for together.
 *
 *   A z = b,   A = L D L'
 * for every value of the outer indices: elimination column by column, then forwards and backwards.  A direction without
 * curvature keeps its value: a pivot that is 0, up to rounding, leaves the unknown as it is.  A negative one means that
 * there is no maximum: an error of the run, unless it comes from NaN, which spreads. */
#include <math.h>

#include "infer/arith.h"
#include "infer/iterate.h"
#include "model/term.h"

static Val number(Context *x, int64_t v) { return build_int(B(x), v); }

/* ---- places in the system ------------------------------------------------------------------------------------- */

/* The system of one joint form.  Arrays have the outer dimensions first. */
typedef struct System {
  Derive *d;
  const Joint *j;
  Val n;           /* unknowns */
  Val *first;      /* by member: the place of its first component */
  Array *a;        /* [.., n, n] */
  Array *old, *y;  /* [.., n]: the unknowns before; b, then forwards, then the solution */
  Array *diagonal; /* of A, before elimination */
} System;

static Val extent(Context *x, const Index *i) {
  Bounds r = eval_range(x, &i->range);
  return build_2(B(x), IR_MAX, sub(x, r.hi, r.lo), number(x, 0));
}

static Array *system_array(const System *s, const char *what, uint32_t ranks) {
  Context x = {.d = s->d};
  const Latent *z = s->j->members.at[0]->z;
  Val *dims = NEW_ARRAY(s->d->arena, Val, s->j->outer + ranks);
  for (uint32_t i = 0; i < s->j->outer; i++) dims[i] = extent(&x, latent_index(z, i));
  for (uint32_t i = 0; i < ranks; i++) dims[s->j->outer + i] = s->n;
  Builder *b = &s->d->b;
  const char *text = arena_printf(s->d->arena, "%s.%s", sym_text(s->d->m->names, z->name), what);
  return build_array(b, ARRAY_TEMP, text, STORE_WIDE, s->j->outer + ranks, dims);
}

static System open_system(Derive *d, const Joint *j) {
  System s = {.d = d, .j = j, .first = NEW_ARRAY(d->arena, Val, j->members.n)};
  Context x = {.d = d};
  Region *back = d->b.at;
  d->b.at = d->b.k->top;
  s.n = number(&x, 0);
  for (uint32_t m = 0; m < j->members.n; m++) {
    const Latent *z = j->members.at[m]->z;
    Val size = number(&x, 1);
    for (uint32_t i = j->outer; i < latent_rank(z); i++) size = mul(&x, size, extent(&x, latent_index(z, i)));
    s.first[m] = s.n;
    s.n = add(&x, s.n, size);
  }
  s.a = system_array(&s, "A", 2);
  s.old = system_array(&s, "old", 1);
  s.y = system_array(&s, "y", 1);
  s.diagonal = system_array(&s, "diagonal", 1);
  d->b.at = back;
  return s;
}

static uint32_t member_number(const Joint *j, const LatentPlan *l) {
  uint32_t m = 0;
  while (j->members.at[m] != l) m++;
  return m;
}

/* The place of the component at the indices bound in x. */
static Val place_of(Context *x, const System *s, const LatentPlan *l, const IndexVec *at) {
  Val place = number(x, 0);
  for (uint32_t i = s->j->outer; i < latent_rank(l->z); i++) {
    const BoundIndex *b = find_bound(x, at ? at->at[i] : latent_index(l->z, i));
    Context top = {.d = s->d};
    place = add(x, mul(x, place, extent(&top, b->index)), sub(x, b->v, b->lo));
  }
  return add(x, s->first[member_number(s->j, l)], place);
}

/* ---- filling A and b ------------------------------------------------------------------------------------------ */

static uint32_t depth_of(const IndexVec *order, const Term *t) {
  uint32_t n = order->n;
  while (n && !term_mentions_index(t, order->at[n - 1])) n--;
  return n;
}

/* Loops over the indices in order; each term is evaluated where its last index is known. */
typedef struct Filling {
  Context x;
  IndexVec order;
  Loop **loops;
  Val *outer;
  uint32_t n;
} Filling;

static Filling open_filling(Derive *d, uint32_t rank) {
  return (Filling){
      .x = {.d = d}, .loops = NEW_ARRAY(d->arena, Loop *, rank), .outer = NEW_ARRAY(d->arena, Val, rank + 2)};
}

static void fill_loop(Filling *f) {
  Index *index = f->order.at[f->n];
  Bounds r = eval_range(&f->x, &index->range);
  Loop *l = open_loop(&f->x, LOOP_PAR, index->span, r.lo, r.hi);
  f->x = with_index(&f->x, index, l->index, r.lo, r.hi, index->role == INDEX_AXIS);
  f->outer[f->n] = sub(&f->x, l->index, r.lo);
  f->loops[f->n++] = l;
}

static void close_filling(Filling *f) {
  while (f->n) build_close(B(&f->x), f->loops[--f->n]);
}

typedef struct Sums {
  Val at[3];
} Sums;

static void add_terms(Filling *f, const TermList *t, Val *sum) {
  for (uint32_t i = 0; i < t->n; i++) {
    if (depth_of(&f->order, t->at[i]) != f->n) continue;
    Val v = build_convert(B(&f->x), eval(&f->x, t->at[i]), IR_WIDE);
    *sum = *sum ? add(&f->x, *sum, v) : v;
  }
}

/* Opens all loops; the sums of up to three lists of terms. */
static Sums fill(Filling *f, const TermList *const *lists, uint32_t n) {
  Sums s = {{0, 0, 0}};
  for (;;) {
    for (uint32_t i = 0; i < n; i++) add_terms(f, lists[i], &s.at[i]);
    if (f->n == f->order.n) break;
    fill_loop(f);
  }
  for (uint32_t i = 0; i < n; i++)
    if (!s.at[i]) s.at[i] = wide(&f->x, 0);
  return s;
}

static void fill_vector(const System *s, const LatentPlan *l) {
  Filling f = open_filling(s->d, latent_rank(l->z));
  for (uint32_t i = 0; i < latent_rank(l->z); i++) vec_push(s->d->arena, &f.order, latent_index(l->z, i));
  Sums sum = fill(&f, (const TermList *const[]){&l->sum[0], &l->sum[1]}, 2);
  Val place = place_of(&f.x, s, l, NULL);
  f.outer[s->j->outer] = place;
  build_store(B(&f.x), s->y, sum.at[0], f.outer);
  build_store(B(&f.x), s->diagonal, mul(&f.x, wide(&f.x, -2), sum.at[1]), f.outer);
  close_filling(&f);
}

static TermList pairs_of(const System *s, const LatentPlan *u, const LatentPlan *v) {
  TermList t = {0};
  for (uint32_t i = 0; i < s->j->pairs.n; i++)
    if (s->j->pairs.at[i].u == u && s->j->pairs.at[i].v == v) vec_push(s->d->arena, &t, s->j->pairs.at[i].t);
  return t;
}

static void fill_matrix(const System *s, const LatentPlan *u, const LatentPlan *v) {
  uint32_t outer = s->j->outer;
  Filling f = open_filling(s->d, latent_rank(u->z) + latent_rank(v->z));
  for (uint32_t i = 0; i < latent_rank(u->z); i++) vec_push(s->d->arena, &f.order, latent_index(u->z, i));
  for (uint32_t i = outer; i < latent_rank(v->z); i++) vec_push(s->d->arena, &f.order, v->other.at[i]);
  TermList pairs = pairs_of(s, u, v);
  Sums sum = fill(&f, (const TermList *const[]){&pairs}, 1);
  Context *x = &f.x;
  Val *at = NEW_ARRAY(s->d->arena, Val, outer + 2);
  for (uint32_t i = 0; i < outer; i++) at[i] = f.outer[i];
  at[outer] = place_of(x, s, u, NULL);
  at[outer + 1] = place_of(x, s, v, &v->other);
  Val same = build_2(B(x), IR_EQ, at[outer], at[outer + 1]);
  Val half = mul(x, wide(x, 0.5), build_load(B(x), s->diagonal, at)), own = build_select(B(x), same, half, wide(x, 0));
  build_store(B(x), s->a, sub(x, own, sum.at[0]), at);
  close_filling(&f);
}

/* The pairs that meet on the diagonal (both indices the same) belong to it. */
static void complete_diagonal(const System *s, Context *x, Val *at) {
  Builder *b = B(x);
  uint32_t outer = s->j->outer;
  Loop *l = build_open(b, LOOP_PAR, number(x, 0), s->n);
  at[outer] = at[outer + 1] = l->index;
  build_store(b, s->diagonal, build_load(b, s->a, at), at);
  build_close(b, l);
}

/* ---- elimination ------------------------------------------------------------------------------------------------ */

static Val load_a(Context *x, const System *s, const Val *at, Val row, Val column) {
  Val *place = NEW_ARRAY(s->d->arena, Val, s->j->outer + 2);
  for (uint32_t i = 0; i < s->j->outer; i++) place[i] = at[i];
  place[s->j->outer] = row;
  place[s->j->outer + 1] = column;
  return build_load(B(x), s->a, place);
}

/* Of each product one of its two derivatives has been summed: the other is the transpose. */
static void symmetrise(const System *s, Context *x, Val *at) {
  Builder *b = B(x);
  uint32_t outer = s->j->outer;
  Loop *row = build_open(b, LOOP_PAR, number(x, 0), s->n);
  Loop *column = build_open(b, LOOP_PAR, number(x, 0), build_2(b, IR_ADD, row->index, number(x, 1)));
  Val sum = add(x, load_a(x, s, at, row->index, column->index), load_a(x, s, at, column->index, row->index));
  at[outer] = row->index, at[outer + 1] = column->index;
  build_store(b, s->a, sum, at);
  at[outer] = column->index, at[outer + 1] = row->index;
  build_store(b, s->a, sum, at);
  build_close(b, column);
  build_close(b, row);
}

static Val load_v(Context *x, const System *s, Array *v, const Val *at, Val row) {
  Val *place = NEW_ARRAY(s->d->arena, Val, s->j->outer + 1);
  for (uint32_t i = 0; i < s->j->outer; i++) place[i] = at[i];
  place[s->j->outer] = row;
  return build_load(B(x), v, place);
}

static void store_v(Context *x, const System *s, Array *v, const Val *at, Val row, Val value) {
  Val *place = NEW_ARRAY(s->d->arena, Val, s->j->outer + 1);
  for (uint32_t i = 0; i < s->j->outer; i++) place[i] = at[i];
  place[s->j->outer] = row;
  build_store(B(x), v, value, place);
}

enum { FLAT = 40 }; /* pivots below 2^-40 of the diagonal are 0 */

/* 1 / pivot; 0 where it is flat. */
static Val inverse_pivot(Context *x, const System *s, const Val *at, Val p) {
  Builder *b = B(x);
  Val pivot = load_a(x, s, at, p, p), zero = wide(x, 0);
  Val tiny = mul(x, wide(x, ldexp(1, -FLAT)), build_1(b, IR_ABS, load_v(x, s, s->diagonal, at, p)));
  Val flat = build_2(b, IR_LE, build_1(b, IR_ABS, pivot), tiny);
  return build_select(b, flat, zero, build_2(b, IR_DIV, wide(x, 1), pivot));
}

static void check_pivot(Context *x, const System *s, const Val *at, Val p) {
  Builder *b = B(x);
  Val negative = build_2(b, IR_LT, inverse_pivot(x, s, at, p), wide(x, 0));
  b->span = s->j->members.at[0]->line->span;
  build_check(b, IR_CHECK_CONCAVE, negative, number(x, 0), x->d->iteration->step);
}

/* A_ij -= A_ip A_jp / A_pp for i, j > p; column p keeps L_ip A_pp. */
static void eliminate(const System *s, Context *x, Val *at) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, number(x, 0), s->n);
  Val p = l->index, next = add(x, p, number(x, 1));
  check_pivot(x, s, at, p);
  Val inverse = inverse_pivot(x, s, at, p);
  Loop *row = build_open(b, LOOP_PAR, next, s->n);
  Val factor = mul(x, inverse, load_a(x, s, at, row->index, p));
  Loop *column = build_open(b, LOOP_PAR, next, add(x, row->index, number(x, 1)));
  Val new = sub(x, load_a(x, s, at, row->index, column->index), mul(x, factor, load_a(x, s, at, column->index, p)));
  at[s->j->outer] = row->index;
  at[s->j->outer + 1] = column->index;
  build_store(b, s->a, new, at);
  build_close(b, column);
  build_close(b, row);
  build_close(b, l);
}

/* y_p -= sum_{j<p} A_pj / A_jj y_j */
static void forwards(const System *s, Context *x, Val *at) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, number(x, 0), s->n);
  Loop *sum = build_open(b, LOOP_REDUCE, number(x, 0), l->index);
  Acc *acc = build_acc(b, sum, ACC_SUM, IR_WIDE, 0, NULL);
  Val j = sum->index;
  Val part = mul(x, mul(x, load_a(x, s, at, l->index, j), inverse_pivot(x, s, at, j)), load_v(x, s, s->y, at, j));
  acc->body = (Contribution){.x = part};
  sum = build_close(b, sum);
  store_v(x, s, s->y, at, l->index, sub(x, load_v(x, s, s->y, at, l->index), sum->accs.at[0]->result));
  build_close(b, l);
}

/* z_p = (y_p - sum_{j>p} A_jp z_j) / A_pp, or as it was. */
static void backwards(const System *s, Context *x, Val *at) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, number(x, 0), s->n);
  Val p = sub(x, sub(x, s->n, number(x, 1)), l->index), inverse = inverse_pivot(x, s, at, p);
  Loop *sum = build_open(b, LOOP_REDUCE, add(x, p, number(x, 1)), s->n);
  Acc *acc = build_acc(b, sum, ACC_SUM, IR_WIDE, 0, NULL);
  acc->body = (Contribution){.x = mul(x, load_a(x, s, at, sum->index, p), load_v(x, s, s->y, at, sum->index))};
  sum = build_close(b, sum);
  Val z = mul(x, inverse, sub(x, load_v(x, s, s->y, at, p), sum->accs.at[0]->result));
  Val flat = build_2(b, IR_EQ, inverse, wide(x, 0)), pulled = build_2(b, IR_NE, load_v(x, s, s->y, at, p), wide(x, 0));
  Val straight = build_2(b, IR_EQ, load_v(x, s, s->diagonal, at, p), wide(x, 0)); /* a slope and no curvature at all */
  b->span = s->j->members.at[0]->line->span;
  build_check(b, IR_CHECK_CONCAVE, build_2(b, IR_AND, flat, build_2(b, IR_AND, straight, pulled)), number(x, 0),
              x->d->iteration->step);
  store_v(x, s, s->y, at, p, build_select(b, flat, load_v(x, s, s->old, at, p), z));
  build_close(b, l);
}

/* For every value of the outer indices. */
typedef void (*Stage)(const System *s, Context *x, Val *at);

static void for_outer(const System *s, const Stage *stages, uint32_t n) {
  const LatentPlan *first = s->j->members.at[0];
  Components nest = open_components((Context){.d = s->d}, first->z);
  for (uint32_t i = 0; i < s->j->outer; i++) component_loop(&nest, first->z);
  Val *at = NEW_ARRAY(s->d->arena, Val, s->j->outer + 2);
  for (uint32_t i = 0; i < s->j->outer; i++) at[i] = nest.place[i];
  for (uint32_t i = 0; i < n; i++) stages[i](s, &nest.x, at);
  close_components(&nest);
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static void store_old(const System *s, const LatentPlan *l) {
  Components n = open_components((Context){.d = s->d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  Val old = build_convert(B(&n.x), load_part(&n.x, s->d->iteration->of[l->z->id].now, PART_MEAN, n.place), IR_WIDE);
  store_v(&n.x, s, s->old, n.place, place_of(&n.x, s, l, NULL), old);
  close_components(&n);
}

static void store_new(const System *s, const LatentPlan *l) {
  Components n = open_components((Context){.d = s->d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  Val place = place_of(&n.x, s, l, NULL);
  store_quadratic_top(&n.x, l, load_v(&n.x, s, s->y, n.place, place), load_v(&n.x, s, s->diagonal, n.place, place),
                      n.place);
  close_components(&n);
}

void step_joint(Derive *d, const Joint *j) {
  System s = open_system(d, j);
  for (uint32_t i = 0; i < j->members.n; i++) fill_vector(&s, j->members.at[i]);
  for (uint32_t i = 0; i < j->members.n; i++)
    for (uint32_t k = 0; k < j->members.n; k++) fill_matrix(&s, j->members.at[i], j->members.at[k]);
  for (uint32_t i = 0; i < j->members.n; i++) store_old(&s, j->members.at[i]);
  for_outer(&s, (const Stage[]){symmetrise, complete_diagonal, eliminate, forwards, backwards}, 5);
  for (uint32_t i = 0; i < j->members.n; i++) store_new(&s, j->members.at[i]);
}
