/* pick: the mode and the draws of whole chains.
 *
 * With the backward messages in hand a chain is picked from its first step to its last: given what came before, the new
 * values have the weight factors * backward, maximised (Viterbi 1967; ties: the lowest value first) or drawn (forward
 * filtering, backward sampling, from the other end) by adding a Gumbel variable to the log weights.  All copies are
 * picked at once and kept. */
#include <math.h>

#include "base/ice.h"
#include "infer/chain.h"

typedef struct ChainPick {
  bool draw;
  Val seed, n;
  Array **codes; /* by edge: the number of the value at every draw and step; -1: the chain is empty */
  struct ChainPick *next;
} ChainPick;

/* As many rows of number 0 as a step looks back stand before the first one of every draw. */
static Val rows_of_draw(Context *x, const Component *c) { return table_rows(x, c, longest_reach(c->chain)); }

/* row: of the step, less its lag. */
static Val *code_place(Context *x, Copy copy, Val number, Val row) {
  Val first = build_2(B(x), IR_MUL, number, rows_of_draw(x, copy.c));
  row = build_2(B(x), IR_ADD, row, build_int(B(x), longest_reach(copy.c->chain)));
  return chain_place(x, copy, build_2(B(x), IR_ADD, first, row));
}

typedef struct Picking { const ChainPick *p; Step *s; Val number, row; } Picking;

/* The values of earlier copies; *empty: a chain without values. */
static Cell values_before(Context *x, const Picking *k, Val *empty) {
  Builder *b = B(x);
  const Component *c = k->s->copy.c;
  Cell cell = {0};
  *empty = 0;
  for (uint32_t v = 0; v < c->chain->clique.n; v++) {
    Lagged var = c->chain->clique.at[v];
    if (!var.lag) continue;
    Val row = build_2(b, IR_SUB, k->row, build_int(b, var.lag));
    Val code = build_load(b, k->p->codes[var.at], code_place(x, k->s->copy, k->number, row));
    Val gone = build_2(b, IR_LT, code, build_int(b, 0));
    *empty = *empty ? build_2(b, IR_OR, *empty, gone) : gone;
    cell = with_code(x, c, &cell, v, build_2(b, IR_MAX, code, build_int(b, 0)));
  }
  return cell;
}

static const Terms GIVEN_BEFORE = {.factors = true, .after = true};

static Val pick_value(Context *x, const Picking *k, const Cell *cell, uint32_t var) {
  Builder *b = B(x);
  const Component *c = k->s->copy.c;
  Edge *e = c->edges.at[c->chain->clique.at[var].at];
  Cell inside;
  Loop *l = open_values(&k->s->own, c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, ACC_ARGMAX, IR_INT, 0, NULL);
  a->body.log_w = clique_sum(k->s, &inside, whole_clique(c->chain) & ~inside.known, GIVEN_BEFORE);
  if (k->p->draw)
    a->body.log_w = build_2(b, IR_LOGMUL, a->body.log_w,
                            gumbel_variable(x, k->s->copy, e, k->p->seed, k->number, inside.value[var]));
  a->body.x = l->index;
  return build_close(b, l)->accs.at[0]->result;
}

static void pick_step(const Picking *k) {
  Context *x = &k->s->own;
  Builder *b = B(x);
  const Component *c = k->s->copy.c;
  Val empty, nothing = build_int(b, -1);
  Cell cell = values_before(x, k, &empty);
  if (k->s->joined && empty) empty = build_2(b, IR_AND, k->s->joined, empty); /* another component is empty */
  if (empty) k->s->own = with_guard(&k->s->own, build_1(b, IR_NOT, empty));
  for (uint32_t v = 0; v < c->chain->clique.n && c->chain->clique.at[v].lag == 0; v++) {
    if (c->chain->clique.at[v].at >= c->edges.n) continue;
    Val code = pick_value(x, k, &cell, v);
    if (empty) code = build_select(b, empty, nothing, code); /* what comes then is not looked at */
    build_store(b, k->p->codes[c->chain->clique.at[v].at], code, code_place(x, k->s->copy, k->number, k->row));
    Val gone = build_2(b, IR_LT, code, build_int(b, 0));
    empty = empty ? build_2(b, IR_OR, empty, gone) : gone;
    k->s->own = with_guard(&k->s->own, build_1(b, IR_NOT, empty));
    cell = with_code(x, c, &cell, v, build_2(b, IR_MAX, code, build_int(b, 0)));
  }
  Val ok;
  cell = with_counts_after(k->s, &cell, &ok);
  for (uint32_t i = 0; i < c->chain->counters.n; i++) {
    uint32_t at = c->edges.n + i;
    Val code = cell.code[clique_place(c->chain, at, 0)];
    build_store(b, k->p->codes[at], empty ? build_select(b, empty, nothing, code) : code,
                code_place(x, k->s->copy, k->number, k->row));
  }
}

static void store_before_first(Context *x, const ChainPick *p, Copy copy, Val number) {
  Builder *b = B(x);
  uint32_t reach = longest_reach(copy.c->chain);
  for (uint32_t lag = 1; lag <= reach; lag++)
    for (uint32_t k = 0; k < copy.c->edges.n + copy.c->chain->counters.n; k++)
      build_store(b, p->codes[k], build_int(b, 0), code_place(x, copy, number, build_int(b, -(int64_t)lag)));
}

static void fill_picks(Derive *d, Component *c, ChainPick *p) {
  Builder *b = &d->b;
  Ring ring = p->draw ? RING_SUM : RING_MAX;
  if (ring == RING_SUM) use_of(d, c)->whole = true;
  backward_table(d, c, ring);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  Val rows = build_2(b, IR_MUL, p->n, rows_of_draw(&x, c));
  uint32_t places = c->edges.n + c->chain->counters.n;
  p->codes = NEW_ARRAY(d->arena, Array *, places);
  for (uint32_t k = 0; k < places; k++) p->codes[k] = chain_array(d, c, "pick", STORE_INT, rows, 0);
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  Bounds range = step_range(&x, c);
  Loop *draws = nest.loops[nest.n++] = open_loop(&x, LOOP_PAR, step->span, build_int(b, 0), p->n);
  store_before_first(&x, p, copy, draws->index);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_SEQ, step->span, range.lo, range.hi);
  Context y = with_index(&x, step, l->index, range.lo, range.hi, false);
  copy.at[c->chain->step] = l->index;
  Step s = step_of(&y, copy, ring);
  see_after(&s, tables_of(d, c));
  pick_step(&(Picking){p, &s, draws->index, build_2(b, IR_SUB, l->index, range.lo)});
  close_nest(b, &nest);
  b->at = back;
}

static ChainPick *picks_of(Derive *d, Component *c, bool draw, Val seed, Val n) {
  ChainTables *t = tables_of(d, c);
  for (ChainPick *p = t->picks; p; p = p->next)
    if (p->draw == draw && p->seed == seed && p->n == n) return p;
  ChainPick *p = NEW(d->arena, ChainPick);
  *p = (ChainPick){draw, seed, n, NULL, t->picks};
  t->picks = p;
  fill_picks(d, c, p);
  return p;
}

static Choice picked(Context *x, const ChainPick *p, Copy copy, Edge *e, Val number) {
  Builder *b = B(x);
  Val code = build_load(b, p->codes[component_place(copy.c, e)], code_place(x, copy, number, row_of_step(x, copy)));
  Choice v = numbered(x, copy.c, (uint32_t)component_place(copy.c, e), code);
  v.v = build_select(b, build_2(b, IR_LT, code, build_int(b, 0)), build_int(b, -1), v.v);
  return v;
}

Choice chain_mode(Context *x, Copy copy, Edge *e) {
  Val none = build_int(B(x), 0);
  return picked(x, picks_of(x->d, copy.c, false, none, build_int(B(x), 1)), copy, e, none);
}

Choice chain_draw(Context *x, Copy copy, Edge *e, Val seed, Val n, Val number) {
  return picked(x, picks_of(x->d, copy.c, true, seed, n), copy, e, number);
}
