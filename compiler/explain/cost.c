/* cost: instructions times the trips of the loops around them; bytes of the arrays.
 *
 * A multiply-add is useful where a sum of products runs over an axis (a dot product) and where a vector is carried
 * through a weighted mean; everything else that the kernel computes is counted beside it, by what it costs.
 * Rescaling when a running maximum changes, conversions and index arithmetic are not counted. */
#include <math.h>

#include "explain/facts.h"
#include "ir/solve.h"
#include "ir/walk.h"

typedef enum { CLASS_FREE, CLASS_ARITHMETIC, CLASS_DIVISION, CLASS_TRANSCENDENTAL, CLASS_SELECTION } CostClass;

static CostClass class_of(IrOp op) {
  switch (op) {
  case IR_CONST: case IR_SIZE: case IR_INDEX: case IR_RESULT: case IR_CONVERT: case IR_LOAD: case IR_ARRAY:
  case IR_STORE: case IR_SOLVE: case IR_CHECK_INDEX: case IR_CHECK_NONZERO: case IR_CHECK_CONCAVE: case IR_CHECK_CLIQUE:
  case IR_LOOP: case IR_OP_COUNT_: return CLASS_FREE;
  case IR_ADD: case IR_SUB: case IR_MUL: case IR_NEG: case IR_ABS: case IR_SIGN: case IR_MIN: case IR_MAX:
  case IR_FLOOR: case IR_CEIL: case IR_ROUND: case IR_LOGMUL: case IR_RANDOM: return CLASS_ARITHMETIC;
  case IR_DIV: case IR_SQRT: return CLASS_DIVISION;
  case IR_POW: case IR_EXP: case IR_EXPM1: case IR_LOG: case IR_LOG1P: case IR_TANH: case IR_SIGMOID: case IR_SOFTPLUS:
  case IR_SIN: case IR_COS: case IR_ERF: case IR_LGAMMA: case IR_LBETA: case IR_DIGAMMA: case IR_LOGADD:
    return CLASS_TRANSCENDENTAL;
  case IR_EQ: case IR_NE: case IR_LT: case IR_LE: case IR_GT: case IR_GE: case IR_AND: case IR_OR: case IR_NOT:
  case IR_SELECT: return CLASS_SELECTION;
  case IR_FLOORDIV: case IR_MOD: return CLASS_FREE;
  }
  return CLASS_FREE;
}

typedef struct Walk { Facts *f; bool *is_product; /* by Val: the multiplication of a contraction */ } Walk;

static void charge(Facts *f, Poly *to, const Poly *times, double each) {
  Poly p = poly_scale(&f->polys, times, each);
  *to = poly_add(&f->polys, to, &p);
}

static void add_item(Facts *f, const Poly *flops, const char *what) {
  for (uint32_t i = 0; i < f->items.n; i++)
    if (!strcmp(f->items.at[i].what, what)) {
      f->items.at[i].flops = poly_add(&f->polys, &f->items.at[i].flops, flops);
      return;
    }
  vec_push(f->arena, &f->items, (CostItem){*flops, what});
}

static void charge_contraction(Facts *f, const Poly *times, const char *what) {
  Poly flops = poly_scale(&f->polys, times, 2);
  f->cost.contraction = poly_add(&f->polys, &f->cost.contraction, &flops);
  add_item(f, &flops, what);
}

static Val behind_conversions(const Kernel *k, Val v) {
  while (v && ir_at(k, v)->op == IR_CONVERT) v = ir_at(k, v)->arg[0];
  return v;
}

static bool has_loop(const Kernel *k, const Region *r) {
  for (uint32_t i = 0; i < r->code.n; i++)
    if (ir_at(k, r->code.at[i])->op == IR_LOOP) return true;
  return false;
}

static bool is_floating(IrType t) { return t == IR_REAL || t == IR_WIDE; }

/* The product that a sum adds up, if that makes it a contraction; 0 if not. */
static Val product_of(const Walk *w, const Loop *l, const Acc *a) {
  if (a->kind != ACC_SUM || !is_floating(a->type)) return 0;
  if (!a->naxis && (loop_edge(w->f, l) || has_loop(w->f->k, l->body))) return 0;
  Val x = behind_conversions(w->f->k, a->body.x);
  const Instr *i = ir_at(w->f->k, x);
  bool here = i->home == (a->body.at ? a->body.at : l->body);
  return i->op == IR_MUL && is_floating(i->type) && here ? x : 0;
}

static Poly with_axes(Facts *f, const Acc *a, Poly n) {
  for (uint32_t i = 0; i < a->naxis; i++) {
    Poly lo = int_poly(f, a->axes[i].lo), hi = int_poly(f, a->axes[i].hi), d = poly_sub(&f->polys, &hi, &lo), most;
    if (poly_varies(&f->polys, &d) && poly_upper(&f->polys, &d, &most)) d = most;
    n = poly_mul(&f->polys, &n, &d);
  }
  return n;
}

static const char *item_text(const Facts *f, const Loop *l, const Acc *a) {
  return a->naxis ? arena_printf(f->arena, "%s, over %s", acc_text(f, l, a), loop_name(f, l))
                  : value_text(f, a->result);
}

static void charge_acc(Walk *w, const Loop *l, const Acc *a, const Poly *elements) {
  Facts *f = w->f;
  Poly n = with_axes(f, a, *elements);
  Val product = product_of(w, l, a);
  switch (a->kind) {
  case ACC_SUM:
    if (!product) {
      if (is_floating(a->type)) charge(f, &f->cost.arithmetic, &n, 1);
      return;
    }
    w->is_product[product] = true;
    charge_contraction(f, &n, item_text(f, l, a));
    return;
  case ACC_EXPECT:
    if (a->naxis) charge_contraction(f, &n, item_text(f, l, a));
    else charge(f, &f->cost.arithmetic, &n, 2);
    return;
  case ACC_ENTROPY: charge(f, &f->cost.arithmetic, &n, 2); return;
  case ACC_PROD: case ACC_MAX: case ACC_MIN: charge(f, &f->cost.arithmetic, &n, 1); return;
  case ACC_ANY: case ACC_ALL: case ACC_ARGMAX: charge(f, &f->cost.selection, &n, 1); return;
  case ACC_LSE: case ACC_MASS: return;
  }
}

static bool takes_exp(AccKind a) { return a == ACC_LSE || a == ACC_MASS || a == ACC_EXPECT || a == ACC_ENTROPY; }

/* Accumulators of one log weight share its running maximum, exponential and sum. */
static void charge_weights(Walk *w, const Loop *l, const Poly *elements) {
  for (uint32_t i = 0; i < l->accs.n; i++) {
    bool seen = !takes_exp(l->accs.at[i]->kind);
    for (uint32_t k = 0; k < i && !seen; k++)
      seen = takes_exp(l->accs.at[k]->kind) && l->accs.at[k]->body.log_w == l->accs.at[i]->body.log_w;
    if (seen) continue;
    charge(w->f, &w->f->cost.transcendental, elements, 1);
    charge(w->f, &w->f->cost.arithmetic, elements, 3); /* maximum, difference, sum */
  }
}

static void walk_region(Walk *w, const Region *r, const Poly *times);

static void walk_loop(Walk *w, const Loop *l, const Poly *times) {
  Facts *f = w->f;
  Poly trips = loop_trips(f, l), n = poly_mul(&f->polys, times, &trips);
  f->is_masked |= l->mask != 0;
  Poly elements = l->seed ? poly_add(&f->polys, &n, times) : n;
  for (uint32_t i = 0; i < l->accs.n; i++) charge_acc(w, l, l->accs.at[i], &elements);
  charge_weights(w, l, &elements);
  walk_region(w, l->body, &n);
  walk_region(w, l->seed, times);
  for (uint32_t i = 0; i < l->accs.n; i++) {
    Poly axes = with_axes(f, l->accs.at[i], n), once = with_axes(f, l->accs.at[i], *times);
    walk_region(w, l->accs.at[i]->body.at, &axes);
    walk_region(w, l->accs.at[i]->seed.at, &once);
  }
}

static void charge_instr(Walk *w, Val v, const Poly *times) {
  Facts *f = w->f;
  const Instr *i = ir_at(f->k, v);
  bool compares = i->type == IR_BOOL && i->op != IR_LOAD && i->op != IR_CONVERT;
  if (!is_floating(i->type) && !compares) return;
  switch (class_of(i->op)) {
  case CLASS_FREE: return;
  case CLASS_ARITHMETIC:
    if (!w->is_product[v]) charge(f, &f->cost.arithmetic, times, 1);
    return;
  case CLASS_DIVISION: charge(f, &f->cost.division, times, 1); return;
  case CLASS_TRANSCENDENTAL: charge(f, &f->cost.transcendental, times, 1); return;
  case CLASS_SELECTION: charge(f, &f->cost.selection, times, 1); return;
  }
}

static void walk_region(Walk *w, const Region *r, const Poly *times) {
  for (uint32_t i = 0; r && i < r->code.n; i++) {
    Val v = r->code.at[i];
    if (ir_at(w->f->k, v)->op == IR_LOOP) walk_loop(w, ir_at(w->f->k, v)->loop, times);
    else charge_instr(w, v, times);
  }
}

/* The loop of collapsed inference is named by the model as a whole. */
static const Loop *step_loop(const Facts *f) {
  for (uint32_t i = 0; i < f->k->top->code.n; i++) {
    const Instr *in = ir_at(f->k, f->k->top->code.at[i]);
    if (in->op == IR_LOOP && in->loop->kind == LOOP_SEQ && in->loop->span.lo == f->m->span.lo) return in->loop;
  }
  return NULL;
}

static void count_step(Walk *w, const Poly *once) {
  Facts *f = w->f;
  const Loop *l = step_loop(f);
  if (!l) return;
  Cost all = f->cost, none = {0};
  uint32_t items = f->items.n;
  Poly *kept = NEW_ARRAY(f->arena, Poly, items);
  for (uint32_t i = 0; i < items; i++) kept[i] = f->items.at[i].flops;
  f->cost = none;
  f->has_steps = true;
  walk_region(w, l->body, once);
  f->step = f->cost;
  f->cost = all;
  for (uint32_t i = 0; i < items; i++) f->items.at[i].flops = kept[i];
  f->items.n = items;
}

void count_cost(Facts *f) {
  Walk w = {f, NEW_ARRAY(f->arena, bool, f->k->instrs.n)};
  Poly once = poly_constant(&f->polys, 1);
  walk_region(&w, f->k->top, &once);
  count_step(&w, &once);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

typedef struct Access { const Facts *f; bool *is_read; Val *stored; const char **solved; } Access; /* by Array.id */

static void note_access(void *ctx, Val v) {
  Access *a = ctx;
  const Instr *i = ir_at(a->f->k, v);
  if (i->op == IR_LOAD) a->is_read[i->array->id] = true;
  if (i->op == IR_STORE) a->stored[i->array->id] = i->arg[0];
  for (uint32_t k = 0; i->op == IR_SOLVE && k < ir_solve_arrays(i); k++)
    if (ir_solve_writes(i, k)) a->solved[i->solve->array[k]->id] = ir_family_name(i->solve->family);
}

/* copies times domain of some edge: the size of the matrix of all its probabilities */
static bool is_pairwise(Facts *f, const Poly *elements) {
  for (uint32_t i = 0; i < f->m->edges.n; i++) {
    const Edge *e = f->m->edges.at[i];
    if (e->domain != DOMAIN_RANGE || e->range.kind != RANGE_INTERVAL) continue;
    Poly all = size_poly(f, e->range.hi);
    for (uint32_t k = 0; k < e->plates.n; k++) {
      if (e->plates.at[k]->range.kind != RANGE_INTERVAL) continue;
      Poly n = size_poly(f, e->plates.at[k]->range.hi);
      all = poly_mul(&f->polys, &all, &n);
    }
    if (e->plates.n && poly_contains_product(elements, &all)) return true;
  }
  return false;
}

static const Let *let_of(const Facts *f, const Array *a) {
  for (uint32_t i = 0; i < f->m->lets.n; i++)
    if (!strncmp(a->name, "let.", 4) && !strcmp(a->name + 4, sym_text(f->m->names, f->m->lets.at[i]->name)))
      return f->m->lets.at[i];
  return NULL;
}

static void count_array(Facts *f, const Array *a, const Access *use) {
  Poly n = array_elements(f, a), bytes = poly_scale(&f->polys, &n, store_bytes(a->elem));
  if (a->kind == ARRAY_IN && use->is_read[a->id]) f->bytes_read = poly_add(&f->polys, &f->bytes_read, &bytes);
  if (a->kind == ARRAY_OUT) f->bytes_written = poly_add(&f->polys, &f->bytes_written, &bytes);
  if (a->kind == ARRAY_LOCAL) f->row_numbers = poly_add(&f->polys, &f->row_numbers, &n);
  if (a->kind != ARRAY_TEMP || !n.terms.n) return; /* an array of nothing is none */
  f->bytes_kept = poly_add(&f->polys, &f->bytes_kept, &bytes);
  const Let *let = let_of(f, a);
  Val v = use->stored[a->id];
  const char *made_by = use->solved[a->id];
  vec_push(f->arena, &f->kept,
           (Kept){a, let ? a->name + 4 : a->name,
                  v         ? value_text(f, v)
                  : made_by ? arena_printf(f->arena, "what %s leaves", made_by)
                            : "...",
                  let, n, bytes, is_pairwise(f, &n)});
}

void count_memory(Facts *f) {
  uint32_t n = f->k->arrays.n;
  Access use = {f, NEW_ARRAY(f->arena, bool, n + 1), NEW_ARRAY(f->arena, Val, n + 1),
                NEW_ARRAY(f->arena, const char *, n + 1)};
  walk_code(f->k, f->k->top, note_access, &use);
  for (uint32_t i = 0; i < n; i++) count_array(f, f->k->arrays.at[i], &use);
}
