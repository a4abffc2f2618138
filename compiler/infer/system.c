/* system: the linear system A z = b of a quadratic form that joins components; one for every value of the outer
 * indices.
 *
 * Unknowns are the members' components, member after member.  Of a product one of its two derivatives is summed, and
 * A is the sum and its transpose. */
#include "infer/system.h"

#include "infer/arith.h"
#include "infer/tabulate.h"
#include "model/term.h"

static Val number(Context *x, int64_t v) { return build_int(B(x), v); }

/* ---- places in the system ------------------------------------------------------------------------------------- */

static Val extent(Context *x, const Index *i) {
  Bounds r = eval_range(x, &i->range);
  return build_2(B(x), IR_MAX, sub(x, r.hi, r.lo), number(x, 0));
}

static Array *system_array(const System *s, const char *what, StoreType elem, uint32_t ranks) {
  Context x = {.d = s->d};
  const Latent *z = s->j->members.at[0]->z;
  Val *dims = NEW_ARRAY(s->d->arena, Val, s->j->outer + ranks);
  for (uint32_t i = 0; i < s->j->outer; i++) dims[i] = extent(&x, latent_index(z, i));
  for (uint32_t i = 0; i < ranks; i++) dims[s->j->outer + i] = s->n;
  Builder *b = &s->d->b;
  const char *text = arena_printf(s->d->arena, "%s.%s", sym_text(s->d->m->names, z->name), what);
  return build_array(b, ARRAY_TEMP, text, elem, s->j->outer + ranks, dims);
}

static System declare_system(Derive *d, const Joint *j) {
  System s = {.d = d, .j = j, .first = NEW_ARRAY(d->arena, Val, j->members.n + 1)};
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
  s.first[j->members.n] = s.n;
  s.a = system_array(&s, "A", STORE_WIDE, 2);
  s.diagonal = system_array(&s, "diagonal", STORE_WIDE, 1);
  s.b = system_array(&s, "b", STORE_WIDE, 1);
  s.z = system_array(&s, "old", STORE_WIDE, 1);
  s.y = system_array(&s, "y", STORE_WIDE, 1);
  if (!j->concave) s.bad = system_array(&s, "bad", STORE_BOOL, 0);
  d->b.at = back;
  return s;
}

static uint32_t member_number(const Joint *j, const LatentPlan *l) {
  uint32_t m = 0;
  while (j->members.at[m] != l) m++;
  return m;
}

/* Of the first `rank` indices, as if the rest were at their first values. */
static Val leading_place(Context *x, const System *s, const LatentPlan *l, const IndexVec *at, uint32_t rank) {
  Val place = number(x, 0);
  for (uint32_t i = s->j->outer; i < latent_rank(l->z); i++) {
    Context top = {.d = s->d};
    place = mul(x, place, extent(&top, latent_index(l->z, i)));
    if (i >= rank) continue;
    const BoundIndex *b = find_bound(x, at ? at->at[i] : latent_index(l->z, i));
    place = add(x, place, sub(x, b->v, b->lo));
  }
  return add(x, s->first[member_number(s->j, l)], place);
}

Val system_place(Context *x, const System *s, const LatentPlan *l, const IndexVec *at) {
  return leading_place(x, s, l, at, latent_rank(l->z));
}

uint32_t lead_of(const LatentPlan *l) { return l->z->plates.n + l->z->own.n; }

Block member_block(const System *s, uint32_t member) {
  return (Block){s->first[member], s->first[member + 1]};
}

Block copy_block(Context *x, const System *s, const LatentPlan *l) {
  Context top = {.d = s->d};
  Val size = number(x, 1), lo = leading_place(x, s, l, NULL, lead_of(l));
  for (uint32_t i = lead_of(l); i < latent_rank(l->z); i++) size = mul(x, size, extent(&top, latent_index(l->z, i)));
  return (Block){lo, add(x, lo, size)};
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

static Val *element(const System *s, const Val *outer, Val row, Val column) {
  Val *place = NEW_ARRAY(s->d->arena, Val, s->j->outer + 2);
  for (uint32_t i = 0; i < s->j->outer; i++) place[i] = outer[i];
  place[s->j->outer] = row;
  place[s->j->outer + 1] = column;
  return place;
}

Val load_unknown(Context *x, const System *s, Array *v, const Val *outer, Val place) {
  return build_load(B(x), v, element(s, outer, place, 0));
}

void store_unknown(Context *x, const System *s, Array *v, const Val *outer, Val place, Val value) {
  build_store(B(x), v, value, element(s, outer, place, 0));
}

Val load_system(Context *x, const System *s, const Val *outer, Val row, Val column) {
  return build_load(B(x), s->a, element(s, outer, row, column));
}

void store_system(Context *x, const System *s, const Val *outer, Val row, Val column, Val value) {
  build_store(B(x), s->a, value, element(s, outer, row, column));
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
    Val v = build_convert(B(&f->x), eval(&f->x, tabulated(f->x.d, t->at[i])), IR_WIDE);
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
  Val place = system_place(&f.x, s, l, NULL);
  store_unknown(&f.x, s, s->b, f.outer, place, sum.at[0]);
  store_unknown(&f.x, s, s->diagonal, f.outer, place, mul(&f.x, wide(&f.x, -2), sum.at[1]));
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
  Val row = system_place(x, s, u, NULL), column = system_place(x, s, v, &v->other);
  Val half = mul(x, wide(x, 0.5), load_unknown(x, s, s->diagonal, f.outer, row));
  Val own = build_select(B(x), equal(x, row, column), half, wide(x, 0));
  store_system(x, s, f.outer, row, column, sub(x, own, sum.at[0]));
  close_filling(&f);
}

static void fill_means(const System *s, const LatentPlan *l) {
  Components n = open_components((Context){.d = s->d}, l->z);
  for (uint32_t i = 0; i < latent_rank(l->z); i++) component_loop(&n, l->z);
  Val old = build_convert(B(&n.x), load_part(&n.x, s->d->iteration->of[l->z->id].now, PART_MEAN, n.place), IR_WIDE);
  store_unknown(&n.x, s, s->z, n.place, system_place(&n.x, s, l, NULL), old);
  close_components(&n);
}

/* A is the sum of what has been stored and its transpose; the diagonal, on which pairs of one component with itself
 * have been stored too, is kept apart. */
static void symmetrise(const System *s) {
  Components nest = open_components((Context){.d = s->d}, s->j->members.at[0]->z);
  for (uint32_t i = 0; i < s->j->outer; i++) component_loop(&nest, s->j->members.at[0]->z);
  Context *x = &nest.x;
  Loop *row = build_open(B(x), LOOP_PAR, number(x, 0), s->n);
  Loop *column = build_open(B(x), LOOP_PAR, row->index, s->n);
  Val sum = add(x, load_system(x, s, nest.place, row->index, column->index),
                load_system(x, s, nest.place, column->index, row->index));
  store_system(x, s, nest.place, row->index, column->index, sum);
  build_close(B(x), column);
  store_unknown(x, s, s->diagonal, nest.place, row->index, load_system(x, s, nest.place, row->index, row->index));
  build_close(B(x), row);
  close_components(&nest);
}

System open_system(Derive *d, const Joint *j) {
  System s = declare_system(d, j);
  for (uint32_t i = 0; i < j->members.n; i++) fill_vector(&s, j->members.at[i]);
  for (uint32_t i = 0; i < j->members.n; i++)
    for (uint32_t k = 0; k < j->members.n; k++) fill_matrix(&s, j->members.at[i], j->members.at[k]);
  for (uint32_t i = 0; i < j->members.n; i++) fill_means(&s, j->members.at[i]);
  symmetrise(&s);
  return s;
}
