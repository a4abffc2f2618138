/* element: elements of inputs, latents and derived arrays.
 *
 * An element named by a none anywhere is not read, so its other indices are not looked at either.  A derived array is
 * stored when evaluating it in place would repeat work. */
#include "infer/eval.h"
#include "infer/latent.h"
#include "infer/running.h"
#include "model/term.h"

static void check_index(Context *x, const Term *t, Val v, Val dim) {
  if (provably_below(x, v, dim)) return;
  B(x)->span = t->span;
  build_check(B(x), IR_CHECK_INDEX, x->guard, v, dim);
}

Val eval_input(Context *x, const Term *t) {
  Array *a = x->d->inputs[t->input->id];
  Val *index = NEW_ARRAY(x->d->arena, Val, t->args.n), none = eval_choices(x, &t->args, index);
  Context read = where_some(x, none);
  for (uint32_t i = 0; i < t->args.n; i++) check_index(&read, t->args.at[i], index[i], a->dims[i]);
  Val v = build_load(B(x), a, index);
  return unless_none(x, none, t->wide && t->type == TYPE_REAL ? build_convert(B(x), v, IR_WIDE) : v);
}

/* As eval_input; indices count from where the latent's ranges begin. */
Val eval_latent(Context *x, const Term *t) {
  Array *a = latent_array(x->d, t);
  Context top = {.d = x->d};
  Val *index = NEW_ARRAY(x->d->arena, Val, t->args.n), none = eval_choices(x, &t->args, index);
  for (uint32_t i = 0; i < t->args.n; i++)
    index[i] = build_2(B(x), IR_SUB, index[i], eval_range(&top, &latent_index(t->latent, i)->range).lo);
  Context read = where_some(x, none);
  for (uint32_t i = 0; i < t->args.n; i++) check_index(&read, t->args.at[i], index[i], a->dims[i]);
  Val v = build_load(B(x), a, index);
  return unless_none(x, none, t->wide ? build_convert(B(x), v, IR_WIDE) : v);
}

bool contains_reduce(const Term *t) {
  if (t->kind == TERM_REDUCE || t->kind == TERM_QUERY) return true;
  if (t->kind == TERM_LET && contains_reduce(t->let->value)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (contains_reduce(t->args.at[i])) return true;
  return false;
}

static Index *let_index(const Let *l, uint32_t i) {
  if (i < l->plates.n) return l->plates.at[i];
  i -= l->plates.n;
  return i < l->own.n ? l->own.at[i] : l->axes.at[i - l->own.n];
}

bool has_fixed_bounds(const Index *i) { return range_is_of_sizes(&i->range); }

static bool let_can_be_stored(const Let *l) {
  for (uint32_t i = 0; i < l->plates.n + l->own.n + l->axes.n; i++)
    if (!has_fixed_bounds(let_index(l, i))) return false;
  return true;
}

static Array *stored_let(Derive *d, Let *l);

/* Evidence in a derived array is of the plates that the array stands in, wherever it is used. */
static Val let_value(Context *x, const Let *l) {
  const IndexVec *around = x->d->plates;
  x->d->plates = &l->plates;
  Val v = eval(x, l->value);
  x->d->plates = around;
  return v;
}

Val eval_let(Context *x, const Term *t) {
  Let *l = t->let;
  uint32_t n = t->args.n;
  Val *index = NEW_ARRAY(x->d->arena, Val, n), none = eval_choices(x, &t->args, index);
  Context top = {.d = x->d}, in = {.d = x->d, .guard = x->guard};
  Bounds *r = NEW_ARRAY(x->d->arena, Bounds, n);
  Context read = where_some(x, none);
  for (uint32_t i = 0; i < n; i++) {
    r[i] = eval_range(let_can_be_stored(l) ? &top : &in, &let_index(l, i)->range);
    if (r[i].row) { /* of a plate along the neighbours of a node; no array is stored for these */
      B(x)->span = t->args.at[i]->span;
      check_stored(&read, index[i], &r[i]);
      in = with_index(&in, let_index(l, i), index[i], index[i], 0, false);
      continue;
    }
    Val place = build_2(B(x), IR_SUB, index[i], r[i].lo), dim = build_2(B(x), IR_SUB, r[i].hi, r[i].lo);
    if (!provably_within(x, index[i], r[i].lo, r[i].hi)) check_index(&read, t->args.at[i], place, dim);
    in = with_index(&in, let_index(l, i), index[i], r[i].lo, r[i].hi, false);
  }
  int64_t shift; /* running sums are cheapest together */
  bool stored = let_can_be_stored(l) && contains_reduce(l->value) &&
                (x->d->lets[l->id] || running_index(l, &shift) || is_redundant(x, n, index));
  if (!stored) {
    in.guard = read.guard;
    return unless_none(x, none, let_value(&in, l));
  }
  Array *a = stored_let(x->d, l);
  for (uint32_t i = 0; i < n; i++) index[i] = build_2(B(x), IR_SUB, index[i], r[i].lo);
  return unless_none(x, none, build_load(B(x), a, index));
}

/* The loops that fill a derived array, at the top of the kernel. */
static Array *stored_let(Derive *d, Let *l) {
  if (d->lets[l->id]) return d->lets[l->id];
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t n = l->plates.n + l->own.n + l->axes.n;
  Val *dims = NEW_ARRAY(d->arena, Val, n), *place = NEW_ARRAY(d->arena, Val, n);
  Bounds *r = NEW_ARRAY(d->arena, Bounds, n);
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n);
  for (uint32_t i = 0; i < n; i++) {
    r[i] = eval_range(&x, &let_index(l, i)->range);
    dims[i] = build_2(b, IR_SUB, r[i].hi, r[i].lo);
  }
  StoreType real = l->wide ? STORE_WIDE : STORE_REAL;
  StoreType elem = l->value->type == TYPE_REAL ? real : l->value->type == TYPE_INT ? STORE_INT : STORE_BOOL;
  Array *a =
      build_array(b, ARRAY_TEMP, arena_printf(d->arena, "let.%s", sym_text(d->m->names, l->name)), elem, n, dims);
  int64_t shift;
  const Index *along = running_index(l, &shift);
  Array *sum = along ? running_array(d, l, along, dims) : NULL;
  uint32_t open = 0;
  for (uint32_t pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < n; i++) { /* an ordered loop stands inside the others */
      bool ordered = let_index(l, i) == along;
      if (ordered != (pass == 1)) continue;
      loops[open] = open_loop(&x, ordered ? LOOP_SEQ : LOOP_PAR, let_index(l, i)->span, r[i].lo, r[i].hi);
      x = with_index(&x, let_index(l, i), loops[open]->index, r[i].lo, r[i].hi, true);
      place[i] = build_2(b, IR_SUB, loops[open++]->index, r[i].lo);
    }
    if (along && !pass) running_begin(&x, l, along, sum, place);
  }
  Val value = along ? running_value(&x, l, along, shift, sum, place) : let_value(&x, l);
  build_store(b, a, value, place);
  for (uint32_t i = n; i-- > 0;) build_close(b, loops[i]);
  b->at = back;
  return d->lets[l->id] = a;
}
