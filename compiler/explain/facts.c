/* facts: names of loops out of the model, maps of the kernel, then the counts. */
#include "explain/facts.h"

#include <math.h>

#include "ir/walk.h"
#include "model/term.h"

static void add_name(Facts *f, Span span, Sym name, Edge *edge) {
  for (uint32_t i = 0; i < f->names.n; i++)
    if (f->names.at[i].span.lo == span.lo && f->names.at[i].span.hi == span.hi) return;
  vec_push(f->arena, &f->names, (LoopName){span, sym_text(f->m->names, name), edge});
}

static void add_indices(Facts *f, const IndexVec *v) {
  for (uint32_t i = 0; i < v->n; i++) add_name(f, v->at[i]->span, v->at[i]->name, NULL);
}

static void visit_reduce(const Term *t, void *ctx) {
  if (t->kind == TERM_REDUCE) add_name(ctx, t->index->span, t->index->name, NULL);
}

static void add_term(Facts *f, const Term *t) {
  if (t) term_walk(t, visit_reduce, f);
}

static void name_weight(Facts *f, const Weight *w) {
  add_indices(f, &w->plates);
  add_indices(f, &w->axes);
  add_term(f, w->value);
  add_term(f, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) add_term(f, w->params.at[i]);
}

static void name_loops(Facts *f) {
  const Model *m = f->m;
  for (uint32_t i = 0; i < m->infers.n; i++)
    if (m->infers.at[i]->method == INFER_SAMPLE)
      vec_push(f->arena, &f->names, (LoopName){m->infers.at[i]->span, "draw", NULL});
  for (uint32_t i = 0; i < m->edges.n; i++) {
    add_name(f, m->edges.at[i]->span, m->edges.at[i]->name, m->edges.at[i]);
    add_indices(f, &m->edges.at[i]->plates);
    add_term(f, m->edges.at[i]->where);
  }
  for (uint32_t i = 0; i < m->outs.n; i++) {
    add_indices(f, &m->outs.at[i]->plates);
    add_indices(f, &m->outs.at[i]->slots);
    add_indices(f, &m->outs.at[i]->axes);
    add_term(f, m->outs.at[i]->value);
  }
  for (uint32_t i = 0; i < m->weights.n; i++) name_weight(f, m->weights.at[i]);
  for (uint32_t i = 0; i < m->lets.n; i++) {
    add_indices(f, &m->lets.at[i]->plates);
    add_indices(f, &m->lets.at[i]->own);
    add_indices(f, &m->lets.at[i]->axes);
    add_term(f, m->lets.at[i]->value);
  }
}

static void map_contribution(Facts *f, const Acc *a, const Contribution *c) {
  for (uint32_t i = 0; c->index && i < a->naxis; i++) f->axis[c->index[i]] = (AxisBounds){a->axes[i].lo, a->axes[i].hi};
}

static void map_loop(void *ctx, Val v) {
  Facts *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (i->op != IR_LOOP) return;
  for (uint32_t n = 0; n < i->loop->accs.n; n++) {
    const Acc *a = i->loop->accs.at[n];
    map_contribution(f, a, &a->body);
    map_contribution(f, a, &a->seed);
    if (a->result) f->acc_of[a->result] = a;
    if (!a->result_at) continue;
    f->acc_at[a->result_at->id] = a;
    f->loop_at[a->result_at->id] = i->loop;
  }
}

static void map_kernel(Facts *f) {
  uint32_t values = f->k->instrs.n, arrays = f->k->arrays.n + 1;
  f->int_polys = NEW_ARRAY(f->arena, Poly *, values);
  f->axis = NEW_ARRAY(f->arena, AxisBounds, values);
  f->acc_of = NEW_ARRAY(f->arena, const Acc *, values);
  f->acc_at = NEW_ARRAY(f->arena, const Acc *, arrays);
  f->loop_at = NEW_ARRAY(f->arena, const Loop *, arrays);
  walk_code(f->k, f->k->top, map_loop, f);
}

static void look_at_sizes(Facts *f) {
  f->all_sizes = true;
  for (uint32_t i = 0; i < f->m->sizes.n; i++) {
    bool known = f->sizes && f->sizes[i] >= 0;
    f->all_sizes &= known;
    poly_atom(&f->polys, sym_text(f->m->names, f->m->sizes.at[i]->name), known ? (double)f->sizes[i] : NAN);
  }
}

Facts *facts_of(Arena *arena, const Model *m, const Plan *plan, const Kernel *k, const int64_t *sizes) {
  Facts *f = NEW(arena, Facts);
  *f = (Facts){.arena = arena, .m = m, .plan = plan, .k = k, .sizes = sizes, .polys = {.arena = arena}};
  name_loops(f);
  look_at_sizes(f);
  if (!k) return f;
  map_kernel(f);
  count_cost(f);
  count_memory(f);
  find_streams(f);
  find_hoists(f);
  find_orders(f);
  return f;
}
