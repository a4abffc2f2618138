/* chain: what is asked of the copies of a chain, from its messages.
 *
 *   p(one copy), p(copies within a clique)   forward * factors * backward, the rest of the clique summed out
 * The law of copies further apart is that of pairs of them, or of them and the states between (pair.c). */
#include "infer/chain.h"

#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"

/* ---- where copies lie to each other -------------------------------------------------------------------------- */

bool chain_known(Context *x, Copy copy) {
  for (const Known *k = x->known; k; k = k->next)
    if (k->c == copy.c && may_be_of_one(x, (Copy){k->c, k->copy}, copy)) return true;
  return false;
}

typedef struct Found { uint32_t at; Val *copy; int64_t offset; Choice value; } Found;
/* apart: distances are not all constants. */
typedef struct Evidence {
  Found list[CLIQUE_MAX];
  uint32_t n;
  int64_t last;
  Val *home;
  bool apart;
  const char *why;
} Evidence;

static bool is_double(const Kernel *k, const Component *c, Evidence *v, Found f) {
  int64_t d;
  for (uint32_t i = 0; i < v->n; i++)
    if (v->list[i].at == f.at && constant_distance(k, v->list[i].copy[c->chain->step], f.copy[c->chain->step], &d) &&
        !d)
      return true;
  return false;
}

/* The copies of this chain with known values, and the last of them. */
static Evidence evidence(Context *x, Copy copy) {
  Evidence v = {0};
  const Component *c = copy.c;
  uint32_t step = c->chain->step;
  Val *here = named_copy(x, c, copy.at);
  for (const Known *k = x->known; k && !v.why; k = k->next) {
    if (k->c != c || !may_be_of_one(x, (Copy){k->c, k->copy}, copy)) continue;
    Val *at = named_copy(x, c, k->copy);
    Found f = {(uint32_t)component_place(c, k->edge), at, 0, k->value};
    for (uint32_t p = 0; p < c->plates.n; p++)
      if (p != step && at[p] != here[p]) v.why = "this function of copies of several chains is not compiled yet";
    bool constant = constant_distance(B(x)->k, at[step], here[step], &f.offset);
    if (v.why || is_double(B(x)->k, c, &v, f)) continue;
    v.apart |= !constant;
    if (v.n == CLIQUE_MAX) v.why = "this function of many copies of a chain is not compiled";
    else v.list[v.n++] = f;
    if (v.n == 1 || f.offset > v.last) v.last = f.offset, v.home = at;
  }
  return v;
}

/* ---- marginals -------------------------------------------------------------------------------------------------- */

static const Terms AT_STATE = {.here = true, .after = true},
                   AT_CLIQUE = {.factors = true, .before = true, .after = true};

/* log p of the cell up to a constant: from the state after the step where that has all of it. */
static Val cell_log(Step *s, const Cell *cell) {
  const Chain *ch = s->copy.c->chain;
  bool in_state = !(cell->known & ~state_after(ch));
  VarSet all = in_state ? state_after(ch) : whole_clique(ch);
  return clique_sum(s, cell, all & ~cell->known, in_state ? AT_STATE : AT_CLIQUE);
}

static Val *marginal_place(Context *x, Copy copy, Val step, Val code) {
  Val *at = NEW_ARRAY(x->d->arena, Val, copy.c->plates.n + 1), *row = chain_place(x, copy, step);
  for (uint32_t k = 0; k < row_rank(copy.c); k++) at[k] = row[k];
  at[row_rank(copy.c)] = code;
  return at;
}

static Acc *over_row(Context *x, Array *a, Copy copy, Val step, const Edge *e, AccKind kind) {
  Builder *b = B(x);
  Loop *l =
      open_loop(x, LOOP_REDUCE, e->span, build_int(b, 0), value_count(x, copy.c, (uint32_t)component_place(copy.c, e)));
  Acc *acc = build_acc(b, l, kind, IR_WIDE, 0, NULL);
  Val v = build_load(b, a, marginal_place(x, copy, step, l->index));
  if (kind == ACC_MAX) acc->body.x = v;
  else acc->body.log_w = v;
  return build_close(b, l)->accs.at[0];
}

/* The component of a copy is empty where its marginal is. */
static void store_status(Context *x, Copy copy, Val row, Val max, Val mass) {
  Builder *b = B(x);
  Array *a = tables_of(x->d, copy.c)->status;
  Val finite = build_2(b, IR_LT, build_1(b, IR_ABS, build_2(b, IR_ADD, max, mass)), wide(x, INFINITY));
  Val other = build_select(b, build_2(b, IR_EQ, max, wide(x, -INFINITY)), wide(x, -INFINITY), wide(x, NAN));
  build_store(b, a, build_select(b, finite, wide(x, 0), other), chain_place(x, copy, row));
}

/* log p of every value of every copy: what is left of forward and backward messages, less its largest and the mass
 * about that. */
void declare_marginal(Derive *d, Component *c, ChainTables *t, uint32_t at_edge) {
  Context x = {.d = d};
  if (!t->marginal) t->marginal = NEW_ARRAY(d->arena, Array *, c->edges.n);
  VarSet var = (VarSet)1 << clique_place(c->chain, at_edge, 0);
  t->marginal[at_edge] = chain_array(d, c, "marginal", STORE_WIDE, table_rows(&x, c, 0), var);
  if (c->chain->may_break && !t->status) t->status = chain_array(d, c, "status", STORE_WIDE, table_rows(&x, c, 0), 0);
}

void marginal_step(Step *s, ChainTables *t, uint32_t at_edge) {
  Context *y = &s->own;
  Builder *b = B(y);
  Component *c = s->copy.c;
  const Edge *e = c->edges.at[at_edge];
  Array *a = t->marginal[at_edge];
  uint32_t var = (uint32_t)clique_place(c->chain, at_edge, 0);
  Val row = build_2(b, IR_SUB, s->row, build_int(b, 1));
  Cell cell;
  Loop *v = open_values(y, c, var, &(Cell){0}, LOOP_PAR, &cell);
  build_store(b, a, cell_log(s, &cell), marginal_place(y, s->copy, row, cell.code[var]));
  build_close(b, v);
  Val max = over_row(y, a, s->copy, row, e, ACC_MAX)->result, mass = over_row(y, a, s->copy, row, e, ACC_MASS)->result;
  Val nothing = build_2(b, IR_EQ, max, wide(y, -INFINITY));
  if (c->chain->may_break) store_status(y, s->copy, row, max, mass);
  v = open_values(y, c, var, &(Cell){0}, LOOP_PAR, &cell);
  Val *at = marginal_place(y, s->copy, row, cell.code[var]);
  Val log_p = build_2(b, IR_SUB, build_2(b, IR_SUB, build_load(b, a, at), max), mass);
  build_store(b, a, build_select(b, nothing, wide(y, -INFINITY), log_p), at);
  build_close(b, v);
}

/* log p of every value of every copy: what is left of forward and backward messages, less its largest and the mass
 * about that. */
static void fill_marginal(Derive *d, Component *c, ChainTables *t, uint32_t at_edge) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  declare_marginal(d, c, t, at_edge);
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  Bounds range = step_range(&x, c);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_PAR, step->span, range.lo, range.hi);
  Context y = with_index(&x, step, l->index, range.lo, range.hi, false);
  copy.at[c->chain->step] = l->index;
  Step s = step_of(&y, copy, RING_SUM);
  see_after(&s, t);
  marginal_step(&s, t, at_edge);
  close_nest(b, &nest);
  b->at = back;
}

ChainTables *with_marginal(Derive *d, Component *c, uint32_t at) {
  ChainTables *t = tables_of(d, c);
  use_of(d, c)->marginals |= (EdgeSet)1 << at;
  forward_table(d, c, RING_SUM);
  backward_table(d, c, RING_SUM);
  if (!t->marginal || !t->marginal[at]) fill_marginal(d, c, t, at);
  return t;
}

Val marginal_log(Context *x, const PairEnd *e) {
  const Chain *ch = e->copy.c->chain;
  uint32_t var = 0;
  while (!(e->cell.known >> var & 1)) var++;
  uint32_t at = ch->clique.at[var].at;
  ChainTables *t = with_marginal(x->d, e->copy.c, at);
  return build_load(B(x), t->marginal[at], marginal_place(x, e->copy, row_of_step(x, e->copy), e->cell.code[var]));
}

static Cell with_found(Context *x, const Component *c, const Cell *cell, const Found *f, int64_t lag) {
  return with_value(x, c, cell, (uint32_t)clique_place(c->chain, f->at, (uint32_t)lag), f->value);
}

static Val single_log(Context *x, Component *c, const Found *f) {
  PairEnd e = {{c, f->copy}, with_found(x, c, &(Cell){0}, f, 0)};
  return marginal_log(x, &e);
}

Val chain_log(Context *x, Copy copy) {
  Evidence v = evidence(x, copy);
  return v.n == 1 && !v.why ? single_log(x, copy.c, &v.list[0]) : chain_log_in(x, copy, RING_SUM);
}

/* log p of a cell of the step up to a constant. */
static Val log_at(Context *x, Copy home, Ring ring, const Cell *cell) {
  Component *c = home.c;
  if (ring == RING_SUM) use_of(x->d, c)->whole = true;
  Step s = step_of(x, home, ring);
  forward_table(x->d, c, ring);
  backward_table(x->d, c, ring);
  see_before(&s, tables_of(x->d, c));
  see_after(&s, tables_of(x->d, c));
  return cell_log(&s, cell);
}

Val end_log(Context *x, Ring ring, const PairEnd *e) { return log_at(x, e->copy, ring, &e->cell); }

bool are_of_one_step(Context *x, Copy a, Copy b) {
  int64_t d;
  uint32_t step = a.c->chain->step;
  Val i = named_copy(x, a.c, a.at)[step], j = named_copy(x, b.c, b.at)[step];
  return constant_distance(B(x)->k, i, j, &d) && !d;
}

/* Step by step. */
static Val apart_log(Context *x, Component *c, Ring ring, const Evidence *v) {
  PairEnd ends[CLIQUE_MAX];
  uint32_t n = 0;
  for (uint32_t i = 0; i < v->n; i++) {
    uint32_t k = 0;
    while (k < n && !are_of_one_step(x, ends[k].copy, (Copy){c, v->list[i].copy})) k++;
    if (k == n) ends[n++] = (PairEnd){.copy = {c, v->list[i].copy}};
    ends[k].cell = with_found(x, c, &ends[k].cell, &v->list[i], 0);
  }
  return ends_log(x, ring, ends, n);
}

static bool in_one_clique(const Chain *ch, const Evidence *v) {
  for (uint32_t i = 0; i < v->n; i++) {
    int64_t lag = v->last - v->list[i].offset;
    if (v->apart || lag > 1000 || clique_place(ch, v->list[i].at, (uint32_t)lag) < 0) return false;
  }
  return true;
}

Val chain_log_in(Context *x, Copy copy, Ring ring) {
  Component *c = copy.c;
  Evidence v = evidence(x, copy);
  if (v.why) return refuse_query(x, B(x)->span, v.why);
  bool one_step = true;
  for (uint32_t i = 1; i < v.n; i++)
    one_step = one_step && are_of_one_step(x, (Copy){c, v.list[i].copy}, (Copy){c, v.list[0].copy});
  if (!one_step && (c->chain->may_break || !in_one_clique(c->chain, &v))) return apart_log(x, c, ring, &v);
  Cell cell = {0};
  for (uint32_t i = 0; i < v.n; i++) cell = with_found(x, c, &cell, &v.list[i], v.last - v.list[i].offset);
  return log_at(x, (Copy){c, v.n ? v.home : copy.at}, ring, &cell);
}

Val chain_status(Context *x, Copy copy) {
  Component *c = copy.c;
  if (c->chain->may_break) {
    Array *a = with_marginal(x->d, c, 0)->status;
    return build_load(B(x), a, chain_place(x, copy, row_of_step(x, copy)));
  }
  Val z = chain_total(x, copy, RING_SUM), finite = build_2(B(x), IR_LT, build_1(B(x), IR_ABS, z), wide(x, INFINITY));
  Val nothing = build_2(B(x), IR_EQ, z, wide(x, -INFINITY));
  return build_select(B(x), finite, wide(x, 0), build_select(B(x), nothing, z, wide(x, NAN)));
}
