/* chain: what is asked of the copies of a chain, from its messages.
 *
 *   p(one copy), p(copies within a clique)   forward * factors * backward, the rest of the clique summed out
 *   entropy                                  chain rule: sum over steps of E H(new values | state before)
 *   kl                                       - entropy - sum over steps of E[log prior factors]
 *   log Z                                    the total, and the normalisers that depend on no edge
 * The law of copies further apart than a clique is that of pairs (pair.c), where each of them joins past and future by
 * itself; else more than two are refused. */
#include "infer/chain.h"

#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"

/* ---- where copies lie to each other -------------------------------------------------------------------------- */

bool same_chain(Context *x, const Component *c, Val *a, Val *b) {
  a = named_copy(x, c, a);
  b = named_copy(x, c, b);
  for (uint32_t k = 0; k < c->plates.n; k++) {
    int64_t d;
    if (k != c->chain->step && a[k] != b[k] && constant_distance(B(x)->k, a[k], b[k], &d) && d) return false;
  }
  return true;
}

bool chain_known(Context *x, Copy copy) {
  for (const Known *k = x->known; k; k = k->next)
    if (k->c == copy.c && same_chain(x, copy.c, k->copy, copy.at)) return true;
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
    if (k->c != c || !same_chain(x, c, k->copy, copy.at)) continue;
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

static ChainTables *with_marginal(Derive *d, Component *c, uint32_t at) {
  ChainTables *t = tables_of(d, c);
  use_of(d, c)->marginals |= (EdgeSet)1 << at;
  forward_table(d, c, RING_SUM);
  backward_table(d, c, RING_SUM);
  if (!t->marginal || !t->marginal[at]) fill_marginal(d, c, t, at);
  return t;
}

static Val single_log(Context *x, Component *c, const Found *f) {
  ChainTables *t = with_marginal(x->d, c, f->at);
  Copy copy = {c, f->copy};
  Cell cell = with_value(x, c, &(Cell){0}, (uint32_t)clique_place(c->chain, f->at, 0), f->value);
  return build_load(B(x), t->marginal[f->at],
                    marginal_place(x, copy, row_of_step(x, copy), cell.code[clique_place(c->chain, f->at, 0)]));
}

Val chain_log(Context *x, Copy copy) {
  Evidence v = evidence(x, copy);
  return v.n == 1 && !v.why ? single_log(x, copy.c, &v.list[0]) : chain_log_in(x, copy, RING_SUM);
}

static PairEnd pair_end(Context *x, Component *c, const Found *f) {
  Cell cell = with_value(x, c, &(Cell){0}, (uint32_t)clique_place(c->chain, f->at, 0), f->value);
  return (PairEnd){{c, f->copy}, f->at, cell.code[clique_place(c->chain, f->at, 0)]};
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

Val end_log(Context *x, Ring ring, const PairEnd *e) {
  uint32_t var = (uint32_t)clique_place(e->copy.c->chain, e->at, 0);
  Cell cell = with_code(x, e->copy.c, &(Cell){0}, var, e->code);
  return log_at(x, e->copy, ring, &cell);
}

/* Is each of them all that later steps know of its own and earlier ones? */
static bool are_separators(const Chain *ch, const Evidence *v) {
  for (uint32_t i = 0; i < v->n; i++)
    if (state_after(ch) != (VarSet)1 << clique_place(ch, v->list[i].at, 0)) return false;
  return true;
}

static Val separated_log(Context *x, Component *c, Ring ring, const Evidence *v) {
  PairEnd ends[CLIQUE_MAX];
  for (uint32_t i = 0; i < v->n; i++) ends[i] = pair_end(x, c, &v->list[i]);
  return ends_log(x, ring, ends, v->n);
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
  if (!v.why && v.n == 2 &&
      (!in_one_clique(c->chain, &v) || (c->chain->may_break && v.list[0].offset != v.list[1].offset))) {
    PairEnd a = pair_end(x, c, &v.list[0]), b = pair_end(x, c, &v.list[1]);
    int64_t d;
    bool constant = constant_distance(B(x)->k, b.copy.at[c->chain->step], a.copy.at[c->chain->step], &d);
    return pair_log(x, ring, &a, &b, constant ? d : 0);
  }
  bool one_step = true;
  for (uint32_t i = 1; i < v.n; i++) one_step = one_step && v.list[i].offset == v.list[0].offset;
  if (!v.why && v.n > 2 && are_separators(c->chain, &v)) return separated_log(x, c, ring, &v);
  if (!v.why && !one_step && c->chain->may_break)
    v.why = "this function of three or more copies of a chain that may fall apart is not compiled yet";
  if (!v.why && !in_one_clique(c->chain, &v))
    v.why = "this function of three or more copies that no step of their chain joins is not compiled yet";
  Cell cell = {0};
  for (uint32_t i = 0; i < v.n && !v.why; i++) {
    int var = clique_place(c->chain, v.list[i].at, (uint32_t)(v.last - v.list[i].offset));
    cell = with_value(x, c, &cell, (uint32_t)var, v.list[i].value);
  }
  if (v.why) return refuse_query(x, B(x)->span, v.why);
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

/* ---- sums over the steps ----------------------------------------------------------------------------------------- */

Val over_steps(Context *x, Copy copy, StepFn fn) {
  Builder *b = B(x);
  Component *c = copy.c;
  Index *step = c->plates.at[c->chain->step];
  uint32_t known = 0; /* which step_sum it is */
  while (known < STEP_SUMS && step_sum(known) != fn) known++;
  if (known < STEP_SUMS) use_of(x->d, c)->sums |= (uint32_t)1 << known;
  forward_table(x->d, c, RING_SUM);
  backward_table(x->d, c, RING_SUM);
  Array *each = known < STEP_SUMS ? tables_of(x->d, c)->each[known] : NULL;
  Context own = in_copy(x, copy);
  Bounds r = step_range(&own, c);
  Loop *l = open_loop(x, LOOP_REDUCE, step->span, r.lo, r.hi);
  Acc *a = build_acc(b, l, ACC_SUM, IR_WIDE, 0, NULL);
  Context y = with_index(x, step, l->index, r.lo, r.hi, false);
  Copy home = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  for (uint32_t k = 0; k < c->plates.n; k++) home.at[k] = copy.at[k];
  home.at[c->chain->step] = l->index;
  Step s = step_of(&y, home, RING_SUM);
  see_after(&s, tables_of(x->d, c));
  a->body.x = each ? build_load(b, each, chain_place(&y, home, build_2(b, IR_SUB, l->index, r.lo))) : fn(&s);
  return build_close(b, l)->accs.at[0]->result;
}

typedef Val (*CellFn)(Step *s, const Cell *cell);

static uint32_t lowest(VarSet set) {
  uint32_t k = 0;
  while (!(set >> k & 1)) k++;
  return k;
}

/* E of fn over the values of `left`, given the cell, under the law of which `terms` over `all` is the weight. */
static Val expect_cell(Step *s, const Cell *cell, VarSet left, VarSet all, Terms terms, CellFn fn) {
  if (!left) return fn(s, cell);
  uint32_t var = lowest(left);
  left &= ~((VarSet)1 << var);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(B(&s->own), l, ACC_EXPECT, IR_WIDE, 0, NULL);
  a->body.log_w = clique_sum(s, &inside, all & ~inside.known, terms);
  a->body.x = expect_cell(s, &inside, left, all, terms, fn);
  return build_close(B(&s->own), l)->accs.at[0]->result;
}

/* ---- entropy ----------------------------------------------------------------------------------------------------- */

static const Terms GIVEN_BEFORE = {.factors = true, .after = true};

/* H of the values of `left` given the cell: the chain rule, value by value. */
static Val entropy_given(Step *s, const Cell *cell, VarSet left) {
  const Chain *ch = s->copy.c->chain;
  Builder *b = B(&s->own);
  uint32_t var = lowest(left);
  left &= ~((VarSet)1 << var);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *h = build_acc(b, l, ACC_ENTROPY, IR_WIDE, 0, NULL);
  h->body.log_w = clique_sum(s, &inside, whole_clique(ch) & ~inside.known, GIVEN_BEFORE);
  Acc *rest = left ? build_acc(b, l, ACC_EXPECT, IR_WIDE, 0, NULL) : NULL;
  if (rest) rest->body.log_w = h->body.log_w;
  if (rest) rest->body.x = entropy_given(s, &inside, left);
  l = build_close(b, l);
  Val v = l->accs.at[0]->result;
  return rest ? build_2(b, IR_ADD, v, l->accs.at[1]->result) : v;
}

static Val new_entropy(Step *s, const Cell *cell) {
  const Chain *ch = s->copy.c->chain;
  return entropy_given(s, cell, whole_clique(ch) & ~state_before(ch) & ~counters_in(ch, s->copy.c));
}

static Val step_entropy(Step *s) {
  const Chain *ch = s->copy.c->chain;
  return expect_cell(s, &(Cell){0}, state_before(ch), whole_clique(ch), AT_CLIQUE, new_entropy);
}

/* NaN where a weight is no number. */
Val unless_invalid(Context *x, Copy copy, Val v) {
  if (copy.c->chain->may_break) {
    Val z = chain_total(x, copy, RING_SUM);
    return build_select(B(x), build_2(B(x), IR_NE, z, z), wide(x, NAN), v);
  }
  Val status = chain_status(x, copy);
  Val exists = build_2(B(x), IR_EQ, status, wide(x, 0)), nan = build_2(B(x), IR_NE, status, status);
  return build_select(B(x), exists, v, build_select(B(x), nan, wide(x, NAN), wide(x, 0)));
}

Val chain_entropy(Context *x, Copy copy) { return unless_invalid(x, copy, over_steps(x, copy, step_entropy)); }

/* ---- kl ---------------------------------------------------------------------------------------------------------- */

static Val minus_log_prior(Step *s, const Cell *cell) {
  Step p = *s;
  p.ring = RING_PRIOR;
  return build_1(B(&s->own), IR_NEG,
                 clique_sum(&p, cell, 0, (Terms){.factors = true})); /* counts are not known: no factor */
}

static Val step_cross(Step *s) {
  VarSet all = whole_clique(s->copy.c->chain);
  return expect_cell(s, &(Cell){0}, all & ~counters_in(s->copy.c->chain, s->copy.c), all, AT_CLIQUE, minus_log_prior);
}

StepFn step_sum(uint32_t k) {
  static const StepFn sums[STEP_SUMS] = {step_entropy, step_cross};
  return sums[k];
}

static Val constant_of(Step *s, bool priors_alone) {
  const Component *c = s->copy.c;
  Context *x = &s->own;
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < c->constants.n; i++)
    if (c->constants.at[i]->is_prior || !priors_alone)
      sum = build_2(B(x), IR_LOGMUL, sum, factor_log(x, s->copy.c, c->constants.at[i]));
  return sum;
}

/* Where the component has a value: one that has none adds nothing. */
Val prior_constant(Step *s) {
  Val v = constant_of(s, true);
  if (!s->copy.c->chain->may_break) return v;
  Val exists = build_2(B(&s->own), IR_EQ, chain_status(&s->own, s->copy), wide(&s->own, 0));
  return build_select(B(&s->own), exists, v, wide(&s->own, 0));
}
static Val all_constants(Step *s) { return constant_of(s, false); }

static Val step_removed(Step *s) {
  Val v = constant_of(s, false);
  return build_select(B(&s->own), build_2(B(&s->own), IR_EQ, v, wide(&s->own, -INFINITY)), wide(&s->own, 1),
                      wide(&s->own, 0));
}

Val chain_kl(Context *x, Copy copy) {
  Val cross = build_2(B(x), IR_SUB, over_steps(x, copy, step_cross), over_steps(x, copy, prior_constant));
  return unless_invalid(x, copy, build_2(B(x), IR_SUB, cross, over_steps(x, copy, step_entropy)));
}

Val chain_log_sum(Context *x, Copy copy) {
  Val total = chain_total(x, copy, RING_SUM);
  if (!copy.c->constants.n) return total;
  Val removed = build_2(B(x), IR_GT, over_steps(x, copy, step_removed), wide(x, 0));
  Val constants = build_select(B(x), removed, wide(x, -INFINITY), over_steps(x, copy, all_constants));
  return build_2(B(x), IR_LOGMUL, total, constants);
}

Val chain_logz(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  return build_2(B(x), IR_LOGMUL, chain_log_sum(x, copy), ends_of_nothing(&y, copy, RING_SUM));
}

Val chain_count(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  return build_2(B(x), IR_MUL, chain_total(x, copy, RING_COUNT), ends_of_nothing(&y, copy, RING_COUNT));
}
