/* lengths: see lengths.h.
 *
 * A loop inside a reduction, and an accumulator's axis, run over the components of a vector: their number is a model's
 * dimension, few and seldom changed, and code in which it is a constant is shorter and faster.  Other loops run over
 * what there is much or little of from call to call; the sizes in their bounds stay open, whatever else they bound. */
#include "ir/lengths.h"

typedef struct Walk { const Kernel *k; bool *inner, *outer; } Walk;

static void mark(const Walk *w, bool *set, Val v) {
  const Instr *i = ir_at(w->k, v);
  if (i->op == IR_SIZE) set[i->integer] = true;
  for (uint32_t n = 0; n < i->narg; n++) mark(w, set, i->arg[n]);
}

static bool holds_reduction(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_LOOP && (i->loop->kind == LOOP_REDUCE || holds_reduction(k, i->loop->body))) return true;
  }
  return false;
}

static void visit(const Walk *w, const Region *r, bool inside) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(w->k, r->code.at[n]);
    if (i->op != IR_LOOP) continue;
    const Loop *l = i->loop;
    bool reduces = l->kind == LOOP_REDUCE;
    if (reduces || holds_reduction(w->k, l->body)) {
      bool *set = reduces && inside ? w->inner : w->outer;
      mark(w, set, l->lo);
      mark(w, set, l->hi);
    }
    for (uint32_t a = 0; a < l->accs.n; a++)
      for (uint32_t x = 0; x < l->accs.at[a]->naxis; x++) mark(w, w->inner, l->accs.at[a]->axes[x].hi);
    visit(w, l->body, inside || reduces);
    visit(w, l->seed, inside || reduces);
  }
}

const bool *ir_lengths(Arena *arena, const Kernel *k) {
  bool *inner = NEW_ARRAY(arena, bool, k->sizes.n + 1), *outer = NEW_ARRAY(arena, bool, k->sizes.n + 1);
  Walk w = {k, inner, outer};
  visit(&w, k->top, false);
  for (uint32_t n = 0; n < k->sizes.n; n++) inner[n] = inner[n] && !outer[n];
  return inner;
}
