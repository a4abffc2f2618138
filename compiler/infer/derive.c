/* derive: the kernel of a model.
 *
 * Outputs that stand in the same plates share their loops; each is evaluated at the innermost point, and the
 * builder moves what does not depend on the inner loops outward.  The kernel's sizes are the model's, then
 * NAME.nnz for every graph input, then, where sample() is asked for, "seed." */
#include <string.h>

#include "infer/derive.h"

#include "base/ice.h"
#include "infer/chain.h"
#include "infer/context.h"
#include "infer/network_plan.h"
#include "model/term.h"

StoreType derive_stored(ElemKind k) {
  switch (k) {
  case ELEM_REAL: return STORE_REAL;
  case ELEM_F64: return STORE_WIDE;
  case ELEM_F32: return STORE_F32;
  case ELEM_F16: return STORE_F16;
  case ELEM_BF16: return STORE_BF16;
  case ELEM_INT: case ELEM_GRAPH: return STORE_INT;
  case ELEM_BOOL: return STORE_BOOL;
  }
  return STORE_REAL;
}

static Array *input_array(Derive *d, const Input *in, const char *name, StoreType elem, uint32_t rank,
                          const Val *dims) {
  Array *a = build_array(&d->b, ARRAY_IN, name, elem, rank, dims);
  a->external = in->id;
  return a;
}

static void declare_graph(Derive *d, const Input *in, const char *name) {
  Builder *b = &d->b;
  Context x = {.d = d};
  Val rows = build_2(b, IR_ADD, eval(&x, in->dims.at[0]), build_int(b, 1));
  vec_push(d->arena, &b->k->sizes, arena_printf(d->arena, "%s.nnz", name));
  Val nnz = build_size(b, b->k->sizes.n - 1);
  Array *p = input_array(d, in, arena_printf(d->arena, "%s.indptr", name), STORE_INT, 1, &rows);
  Array *q = input_array(d, in, arena_printf(d->arena, "%s.indices", name), STORE_INT, 1, &nnz);
  p->part = PART_INDPTR;
  q->part = PART_INDICES;
  d->inputs[in->id] = p;
  d->neighbours[in->id] = q;
}

static void declare_inputs(Derive *d) {
  Context x = {.d = d};
  for (uint32_t i = 0; i < d->m->inputs.n; i++) {
    const Input *in = d->m->inputs.at[i];
    const char *name = sym_text(d->m->names, in->name);
    if (in->elem == ELEM_GRAPH) {
      declare_graph(d, in, name);
      continue;
    }
    Val *dims = NEW_ARRAY(d->arena, Val, in->dims.n);
    for (uint32_t k = 0; k < in->dims.n; k++) dims[k] = eval(&x, in->dims.at[k]);
    d->inputs[in->id] = input_array(d, in, name, derive_stored(in->elem), in->dims.n, dims);
  }
}

static Index *out_index(const Out *o, uint32_t i) {
  return i < o->slots.n ? o->slots.at[i] : o->axes.at[i - o->slots.n];
}

/* Outputs and inputs are apart in the language, arrays of a kernel are not. */
static const char *output_name(Derive *d, const Out *o) {
  const char *name = sym_text(d->m->names, o->name);
  for (uint32_t k = 0; k < d->b.k->arrays.n; k++)
    if (!strcmp(d->b.k->arrays.at[k]->name, name)) return arena_printf(d->arena, "%s.out", name);
  return name;
}

static Array *declare_output(Derive *d, const Out *o) {
  Context x = {.d = d};
  uint32_t n = o->slots.n + o->axes.n;
  Val *dims = NEW_ARRAY(d->arena, Val, n);
  for (uint32_t i = 0; i < n; i++) {
    Bounds r = eval_range(&x, &out_index(o, i)->range);
    dims[i] = build_2(&d->b, IR_MAX, build_2(&d->b, IR_SUB, r.hi, r.lo), build_int(&d->b, 0));
  }
  StoreType elem = o->is_count            ? STORE_WIDE
                   : o->type == TYPE_REAL ? STORE_REAL
                   : o->type == TYPE_INT  ? STORE_INT
                                          : STORE_BOOL;
  Array *a = build_array(&d->b, ARRAY_OUT, output_name(d, o), elem, n, dims);
  a->external = o->id;
  return a;
}

/* Inside the loops of its plates: the loops over its own indices and the store. */
static void derive_output(Derive *d, Context x, const Out *o, Array *a) {
  Builder *b = &d->b;
  uint32_t n = o->slots.n + o->axes.n, opened = 0;
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n);
  Val *place = NEW_ARRAY(d->arena, Val, n);
  d->plates = &o->plates;
  b->span = o->span;
  for (uint32_t i = 0; i < n; i++) {
    Index *index = out_index(o, i);
    if (indices_hold(&o->plates, index)) continue;
    Bounds r = eval_range(&x, &index->range);
    loops[opened] = open_loop(&x, LOOP_PAR, index->span, r.lo, r.hi);
    x = with_index(&x, index, loops[opened++]->index, r.lo, r.hi, true);
  }
  for (uint32_t i = 0; i < n; i++) {
    const BoundIndex *bound = find_bound(&x, out_index(o, i));
    place[i] = build_2(b, IR_SUB, bound->v, bound->lo);
  }
  build_store(b, a, eval(&x, o->value), place);
  while (opened) build_close(b, loops[--opened]);
}

/* Outputs still to do, in the plates opened so far (`depth` of them). */
static void derive_plates(Derive *d, Context x, Array **arrays, bool *done, const Out *like, uint32_t depth) {
  for (uint32_t i = 0; i < d->m->outs.n; i++) {
    const Out *o = d->m->outs.at[i];
    bool inside = !done[i] && o->plates.n >= depth;
    for (uint32_t k = 0; inside && k < depth; k++) inside = o->plates.at[k] == like->plates.at[k];
    if (!inside) continue;
    if (o->plates.n == depth) {
      done[i] = true;
      derive_output(d, x, o, arrays[i]);
      continue;
    }
    Bounds r = eval_range(&x, &o->plates.at[depth]->range);
    Loop *l = open_loop(&x, LOOP_PAR, o->plates.at[depth]->span, r.lo, r.hi);
    Context y = with_index(&x, o->plates.at[depth], range_value(&x, &r, l->index), r.lo, r.hi, !r.row);
    derive_plates(d, y, arrays, done, o, depth + 1);
    build_close(&d->b, l);
  }
}

static Kernel *derive_once(Arena *arena, Plan *plan, ChainUse *uses) {
  const Model *m = plan->model;
  Derive d = {.arena = arena, .plan = plan, .m = m, .uses = uses};
  build_init(&d.b, arena, sym_text(m->names, m->name));
  d.stage = d.b.k->top;
  for (uint32_t i = 0; i < plan->components.n; i++) {
    Component *c = plan->components.at[i];
    if (c->structure) c->structure->given.n = 0;
    if (c->network) c->network->given.n = 0;
  }
  for (uint32_t i = 0; i < m->sizes.n; i++) vec_push(arena, &d.b.k->sizes, sym_text(m->names, m->sizes.at[i]->name));
  d.inputs = NEW_ARRAY(arena, Array *, m->inputs.n);
  d.neighbours = NEW_ARRAY(arena, Array *, m->inputs.n);
  d.lets = NEW_ARRAY(arena, Array *, m->lets.n);
  d.let_count = m->lets.n;
  Array **outs = NEW_ARRAY(arena, Array *, m->outs.n);
  bool *done = NEW_ARRAY(arena, bool, m->outs.n);
  declare_inputs(&d);
  for (uint32_t i = 0; i < m->outs.n; i++) outs[i] = declare_output(&d, m->outs.at[i]);
  if (m->latents.n) derive_iteration(&d);
  derive_plates(&d, (Context){.d = &d}, outs, done, NULL, 0);
  return d.failed ? NULL : d.b.k;
}

/* Messages of a stage are filled at every stage: what is asked of them is not known at the first.  Rings are a chain's
 * own, which would be more than all rows of chains that lie one after another. */
static bool may_sweep(const Component *c, const ChainUse *use) {
  return c->chain && c->chain->packed == NO_PLATE && !use->whole && (use->marginals || use->sums) &&
         !component_depends_on_latents(c);
}

Kernel *derive_kernel(Arena *arena, Plan *plan) {
  ICE_UNLESS(plan->refusals.n == 0);
  ChainUse *uses = NEW_ARRAY(arena, ChainUse, plan->components.n);
  Kernel *k = derive_once(arena, plan, uses);
  bool again = false;
  for (uint32_t i = 0; k && i < plan->components.n; i++)
    again |= uses[i].sweep = may_sweep(plan->components.at[i], &uses[i]);
  return again ? derive_once(arena, plan, uses) : k;
}
