/* fold: what a step's factors tell of one side of it alone is told once.
 *
 * A message is summed over pairs of states.  A factor of the state before alone, or of the state after alone, is
 * computed once for each such state and multiplied into the message that the sum reads:
 *
 *   before(state before) = forward[row - 1] times the factors of the state before alone
 *   after(state after)   = backward[row] times the factors of the state after alone, variables summed out that neither
 *                          later steps nor factors with the state before mention
 *
 * With L values, and D terms in such a factor, a step takes L D + L^2, not L^2 D.  Forward, factors of the state after
 * stand outside the loop over states before as they are.  It is done where a sum is among the factors: loads alone are
 * as cheap again.  A factor that some values of the edges make fail stays with the pair: others may remove it. */
#include "base/ice.h"
#include "infer/arith.h"
#include "infer/chain.h"

bool is_folded_before(const Step *s, const Factor *f) {
  VarSet scope = factor_scope(s->copy.c->chain, f);
  return scope && !(scope & ~state_before(s->copy.c->chain));
}

bool is_folded_after(const Step *s, const Factor *f) {
  const Chain *ch = s->copy.c->chain;
  VarSet scope = factor_scope(ch, f);
  return !factor_fails_by_edges(f) && (scope & ~state_before(ch)) && !(scope & ~(state_after(ch) | s->after.summed));
}

/* Is a sum among what depends on the state before alone?  (The normaliser of a prior given the copy before.) */
static bool folds_before(const Step *s) {
  const Component *c = s->copy.c;
  bool sums = false;
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    sums |= f->kind == FACTOR_NORMALISER && f->weight && ring_counts(s->ring, f) && is_folded_before(s, f);
  }
  return sums && !c->chain->counters.n;
}

/* The variables of the step that no later one mentions, where none of their factors mentions the state before. */
static VarSet forgotten(const Step *s) {
  const Component *c = s->copy.c;
  const Chain *ch = c->chain;
  VarSet after = state_after(ch), set = whole_clique(ch) & ~after & ~state_before(ch);
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    VarSet scope = factor_scope(ch, f);
    if (!ring_counts(s->ring, f) || !(scope & set)) continue;
    if (factor_fails_by_edges(f) || (scope & ~(after | set))) return 0;
  }
  return set;
}

static bool has_sum(const Factor *f) {
  const Weight *w = f->weight;
  if (!w) return false;
  if (f->kind == FACTOR_NORMALISER || w->axes.n) return true;
  for (uint32_t i = 0; i < w->params.n; i++)
    if (contains_reduce(w->params.at[i])) return true;
  return (w->value && contains_reduce(w->value)) || (w->left && contains_reduce(w->left));
}

static bool folds_after(const Step *s) {
  const Component *c = s->copy.c;
  bool sums = s->after.summed != 0;
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    sums |= ring_counts(s->ring, f) && is_folded_after(s, f) && has_sum(f);
  }
  return sums && !c->chain->counters.n;
}

static bool is_swept(const Step *s, const ChainTables *t) { return s->ring == RING_SUM && t->forward_ring; }

static Val last_row(Step *s) { return build_2(B(&s->own), IR_SUB, s->row, build_int(B(&s->own), 1)); }

static Array *rows_of_states(Step *s, const char *what, Val swept_rows) {
  Builder *b = B(&s->own);
  Region *back = b->at;
  b->at = b->k->top;
  Context top = {.d = s->own.d};
  Val rows = swept_rows ? swept_rows : table_rows(&top, s->copy.c, 0);
  Array *a = chain_array(s->own.d, s->copy.c, what, STORE_WIDE, rows, state_after(s->copy.c->chain));
  b->at = back;
  return a;
}

void see_before(Step *s, const ChainTables *t) {
  if (!is_swept(s, t)) s->before = (Fold){t->before[s->ring], last_row(s), 0};
}

void fold_before(Step *s, ChainTables *t) {
  if (!folds_before(s)) return;
  Context *x = &s->own;
  Builder *b = B(x);
  const Chain *ch = s->copy.c->chain;
  bool swept = is_swept(s, t);
  if (!t->before[s->ring]) t->before[s->ring] = rows_of_states(s, "before", swept ? build_int(b, 1) : 0);
  Val row = swept ? build_int(b, 0) : last_row(s);
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_before(ch), LOOP_PAR, &nest);
  Val w = clique_rest(s, &cell, 0, 0, (Terms){.factors = true, .before = true});
  build_store(b, t->before[s->ring], w, table_place(x, s->copy, row, state_after(ch), 1, &cell));
  close_nest(b, &nest);
  s->before = (Fold){t->before[s->ring], row, 0};
}

void see_after(Step *s, const ChainTables *t) {
  if (!t->after[s->ring] || (is_swept(s, t) && !t->sweeping)) return;
  Val row = last_row(s);
  if (is_swept(s, t)) row = build_2(B(&s->own), IR_MOD, row, t->after_ring);
  s->after = (Fold){t->after[s->ring], row, forgotten(s)};
}

void fold_after(Step *s, ChainTables *t) {
  Context *x = &s->own;
  const Chain *ch = s->copy.c->chain;
  s->after.summed = forgotten(s);
  if (!folds_after(s)) return;
  if (!t->after[s->ring]) t->after[s->ring] = rows_of_states(s, "after", is_swept(s, t) ? t->after_ring : 0);
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_after(ch), LOOP_PAR, &nest);
  Val w = clique_rest(s, &cell, 0, s->after.summed, (Terms){.factors = true, .after = true, .alone = true});
  see_after(s, t);
  build_store(B(x), s->after.a, w, table_place(x, s->copy, s->after.row, state_after(ch), 0, &cell));
  close_nest(B(x), &nest);
}
