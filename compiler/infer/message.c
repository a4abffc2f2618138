/* message: the tables of a chain; see chain.h for what they hold. */
#include <math.h>

#include "base/ice.h"
#include "infer/chain.h"

static Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }

/* ---- cliques ----------------------------------------------------------------------------------------------- */

int clique_place(const Chain *ch, uint32_t at, uint32_t lag) {
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (ch->clique.at[k].at == at && ch->clique.at[k].lag == lag) return (int)k;
  return -1;
}

VarSet whole_clique(const Chain *ch) { return ((VarSet)1 << ch->clique.n) - 1; }

VarSet state_after(const Chain *ch) {
  VarSet set = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (ch->clique.at[k].lag < ch->reach[ch->clique.at[k].at]) set |= (VarSet)1 << k;
  return set;
}

VarSet state_before(const Chain *ch) {
  VarSet set = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (ch->clique.at[k].lag > 0) set |= (VarSet)1 << k;
  return set;
}

static VarSet scope_of(const Chain *ch, uint32_t n, const Lagged *vars) {
  VarSet set = 0;
  for (uint32_t i = 0; i < n; i++) set |= (VarSet)1 << clique_place(ch, vars[i].at, vars[i].lag);
  return set;
}

VarSet counters_in(const Chain *ch, const Component *c) {
  VarSet set = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (ch->clique.at[k].at >= c->edges.n) set |= (VarSet)1 << k;
  return set;
}

/* Edges that no later step mentions come late: what they sum to depends on few others.  Counters come last, the count before
 * first: the edges then tell one from the other. */
static uint32_t next_to_sum(const Component *c, VarSet set) {
  const Chain *ch = c->chain;
  uint32_t best = 0, rank = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++) {
    Lagged v = ch->clique.at[k];
    uint32_t here = v.at >= c->edges.n ? 1 + v.lag : 4 + 2 * v.lag + (ch->reach[v.at] > 0);
    if ((set >> k & 1) && here > rank) best = k, rank = here;
  }
  return best;
}

/* ---- values of a variable ------------------------------------------------------------------------------------ */

static Bounds hull(Context *x, const Edge *e) {
  Context top = {.d = x->d};
  if (e->domain == DOMAIN_BIT) return (Bounds){build_int(B(x), 0), build_int(B(x), 2), NULL, 0};
  return eval_range(&top, &e->range);
}

static Val plain_count(Context *x, const Edge *e) {
  Bounds r = hull(x, e);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0));
}

static Val edge_count(Context *x, const Edge *e) {
  Val n = plain_count(x, e);
  return e->or_none ? build_2(B(x), IR_ADD, n, build_int(B(x), 1)) : n;
}

Val value_count(Context *x, const Component *comp, uint32_t at) {
  if (at < comp->edges.n) return edge_count(x, comp->edges.at[at]);
  Val greatest = counter_limit(x, comp, at);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_ADD, greatest, build_int(B(x), 1)), build_int(B(x), 0));
}

Choice numbered(Context *x, const Component *comp, uint32_t at, Val code) {
  if (at >= comp->edges.n) return (Choice){code, 0};
  const Edge *e = comp->edges.at[at];
  Choice c = {build_2(B(x), IR_ADD, code, hull(x, e).lo), 0};
  if (e->or_none) c.none = build_2(B(x), IR_EQ, code, plain_count(x, e));
  return c;
}

static Val number_of(Context *x, const Edge *e, Choice value) {
  Val code = build_2(B(x), IR_SUB, value.v, hull(x, e).lo);
  return value.none ? build_select(B(x), value.none, plain_count(x, e), code) : code;
}

Cell with_value(Context *x, const Component *c, const Cell *cell, uint32_t var, Choice value) {
  Cell r = *cell;
  r.known |= (VarSet)1 << var;
  r.value[var] = value;
  r.code[var] = number_of(x, c->edges.at[c->chain->clique.at[var].at], value);
  return r;
}

Cell with_code(Context *x, const Component *c, const Cell *cell, uint32_t var, Val code) {
  Cell r = *cell;
  r.known |= (VarSet)1 << var;
  r.code[var] = code;
  r.value[var] = numbered(x, c, c->chain->clique.at[var].at, code);
  return r;
}

Loop *open_values(Context *x, const Component *c, uint32_t var, const Cell *cell, LoopKind kind, Cell *inside) {
  uint32_t at = c->chain->clique.at[var].at;
  Span span = at < c->edges.n ? c->edges.at[at]->span : c->chain->counters.at[at - c->edges.n]->span;
  Loop *l = open_loop(x, kind, span, build_int(B(x), 0), value_count(x, c, at));
  *inside = with_code(x, c, cell, var, l->index);
  return l;
}

/* ---- one step ---------------------------------------------------------------------------------------------------- */

Bounds step_range(Context *x, const Component *c) {
  Context top = {.d = x->d};
  return eval_range(&top, &c->plates.at[c->chain->step]->range);
}

Val step_count(Context *x, const Component *c) {
  Bounds r = step_range(x, c);
  return build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0));
}

Step step_of(Context *x, Copy copy, Ring ring) {
  Step s = {.own = in_copy(x, copy), .copy = copy, .ring = ring};
  s.own.known = NULL;
  s.own.decisions = NULL;
  s.own.used_none = NULL;
  Val t = copy.at[copy.c->chain->step];
  if (copy.c->chain->may_break) s.joined = is_joined(&s.own, copy);
  s.row = build_2(B(x), IR_ADD, build_2(B(x), IR_SUB, t, step_range(x, copy.c).lo), build_int(B(x), 1));
  return s;
}

Context in_cell(const Step *s, const Cell *cell) {
  const Component *c = s->copy.c;
  Context y = s->own;
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    Lagged v = c->chain->clique.at[k];
    if (!(cell->known >> k & 1) || v.at >= c->edges.n) continue;
    y = with_known(&y, lagged_copy(&y, s->copy, v.lag), c->edges.at[v.at], cell->value[k]);
  }
  return y;
}

/* ---- the semirings ------------------------------------------------------------------------------------------------- */

static AccKind plus(Ring ring) {
  switch (ring) {
  case RING_SUM: case RING_PRIOR: return ACC_LSE;
  case RING_MAX: return ACC_MAX;
  case RING_COUNT: return ACC_SUM;
  case RING_COUNT_: break;
  }
  ICE("unknown semiring");
}

static Val times(Context *x, Ring ring, Val a, Val b) { return build_2(B(x), ring == RING_COUNT ? IR_MUL : IR_LOGMUL, a, b); }
static Val one(Context *x, Ring ring) { return wide(x, ring == RING_COUNT ? 1 : 0); }
static Val zero(Context *x, Ring ring) { return wide(x, ring == RING_COUNT ? 0 : -INFINITY); }

static bool counts_in(Ring ring, const Factor *f) {
  bool is_require = f->kind == FACTOR_SUPPORT || (f->kind == FACTOR_WEIGHT && f->weight->kind == WEIGHT_REQUIRE);
  return ring == RING_PRIOR ? f->is_prior : ring == RING_COUNT ? is_require : true;
}

static Val factor_in(Context *x, const Step *s, const Factor *f) {
  Val l = build_convert(B(x), factor_log(x, s->copy.c, f), IR_WIDE);
  if (s->ring != RING_COUNT) return l;
  return build_select(B(x), build_2(B(x), IR_EQ, l, wide(x, -INFINITY)), wide(x, 0), wide(x, 1));
}

/* ---- places in tables ------------------------------------------------------------------------------------------------ */

/* Parallel plates, the row, the numbers of the state; `lag` later than the variables of the clique. */
static Val *place(Context *x, Copy copy, Val row, VarSet state, uint32_t lag, const Cell *cell) {
  const Component *c = copy.c;
  const Chain *ch = c->chain;
  Val *at = NEW_ARRAY(x->d->arena, Val, c->plates.n + ch->clique.n);
  Context top = {.d = x->d};
  uint32_t n = 0;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (k != ch->step) at[n++] = build_2(B(x), IR_SUB, copy.at[k], eval_range(&top, &c->plates.at[k]->range).lo);
  at[n++] = row;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (state >> k & 1) at[n++] = cell->code[clique_place(ch, ch->clique.at[k].at, ch->clique.at[k].lag + lag)];
  return at;
}

Val *held_place(Step *s, Array *gamma, Val i, Val a, Val row, uint32_t lag, const Cell *cell) {
  Context *x = &s->own;
  const Component *c = s->copy.c;
  Val *at = NEW_ARRAY(x->d->arena, Val, gamma->rank), *codes = place(x, s->copy, i, state_after(c->chain), lag, cell);
  uint32_t n = 0;
  for (; n < c->plates.n; n++) at[n] = codes[n];
  at[n] = a;
  at[n + 1] = build_2(B(x), IR_MOD, row, build_int(B(x), 2));
  for (; n + 2 < gamma->rank; n++) at[n + 2] = codes[n];
  return at;
}

/* Number 0 of every variable of the state, as if the copies before did not exist. */
static Val afresh(Step *s, Val mass, uint32_t lag, const Cell *cell) {
  Context *x = &s->own;
  const Chain *ch = s->copy.c->chain;
  Val start = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (state_after(ch) >> k & 1)
      start = build_and(B(x), start, build_2(B(x), IR_EQ, cell->code[clique_place(ch, ch->clique.at[k].at, ch->clique.at[k].lag + lag)], build_int(B(x), 0)));
  return build_select(B(x), start, mass, zero(x, s->ring));
}

static Val load_message(Step *s, Array *a, bool before, const Cell *cell) {
  Context *x = &s->own;
  Val row = before ? build_2(B(x), IR_SUB, s->row, build_int(B(x), 1)) : s->row, v;
  if (before && s->gamma) v = build_load(B(x), s->gamma, held_place(s, s->gamma, s->gamma_at[0], s->gamma_at[1], row, 1, cell));
  else v = build_load(B(x), a, place(x, s->copy, row, state_after(s->copy.c->chain), before, cell));
  if (!before || !s->joined) return v;
  return build_select(B(x), s->joined, v, afresh(s, s->gamma ? s->held_mass : one(x, s->ring), 1, cell));
}

/* ---- sums over a clique -------------------------------------------------------------------------------------------- */

typedef struct Level { VarSet done; bool first; } Level; /* what has been multiplied in: what is complete in `done` */

static bool completes(const Level *v, VarSet known, VarSet scope) { return !(scope & ~known) && (v->first || (scope & ~v->done)); }

static Val level(Step *s, const Cell *cell, Level v, VarSet sum, Terms t);

/* ---- counts ---- */

/* What the count before, and the edges, make of a count. */
static Val count_after(Step *s, const Cell *cell, uint32_t at, Val before, Val *ok) {
  const Component *c = s->copy.c;
  Builder *b = B(&s->own);
  Context y = in_cell(s, cell);
  Val n = build_2(b, IR_ADD, before, counter_increment(&y, s->copy, at)), limit = counter_limit(&s->own, c, at);
  if (counter_saturates(c, at, s->ring)) return build_2(b, IR_MIN, n, limit);
  if (c->chain->counters.at[at - c->edges.n]->limit) *ok = build_and(b, *ok, build_2(b, IR_LE, n, limit));
  return n;
}

static Cell with_count_after(Step *s, const Cell *cell, uint32_t var, Val *ok) {
  const Chain *ch = s->copy.c->chain;
  uint32_t at = ch->clique.at[var].at;
  Val n = count_after(s, cell, at, cell->code[clique_place(ch, at, 1)], ok);
  Cell r = with_code(&s->own, s->copy.c, cell, var, n);
  r.settled |= (VarSet)1 << var;
  return r;
}

Cell with_counts_after(Step *s, const Cell *cell, Val *ok) {
  const Chain *ch = s->copy.c->chain;
  Cell r = *cell;
  *ok = 0;
  for (uint32_t k = 0; k < ch->counters.n; k++)
    r = with_count_after(s, &r, (uint32_t)clique_place(ch, s->copy.c->edges.n + k, 0), ok);
  return r;
}

static Val only_where(Step *s, Val ok, Val w) { return ok ? build_select(B(&s->own), ok, w, zero(&s->own, s->ring)) : w; }

static Val either(Context *x, Ring ring, Val a, Val b) {
  switch (ring) {
  case RING_SUM: case RING_PRIOR: return build_2(B(x), IR_LOGADD, a, b);
  case RING_MAX: return build_2(B(x), IR_MAX, a, b);
  case RING_COUNT: return build_2(B(x), IR_ADD, a, b);
  case RING_COUNT_: break;
  }
  ICE("unknown semiring");
}

/* The count after is known: the one before is that less the increment, or, at the limit, the limit too. */
static Val sum_count_before(Step *s, const Cell *cell, uint32_t var, VarSet left, Terms t) {
  const Component *c = s->copy.c;
  Builder *b = B(&s->own);
  uint32_t at = c->chain->clique.at[var].at, after = (uint32_t)clique_place(c->chain, at, 0);
  Context y = in_cell(s, cell);
  Val d = counter_increment(&y, s->copy, at), n = cell->code[after];
  Cell inside = with_code(&s->own, c, cell, var, build_2(b, IR_SUB, n, d));
  inside.settled |= (VarSet)1 << after;
  Level v = {cell->known, false};
  Val w = only_where(s, build_2(b, IR_GE, inside.code[var], build_int(b, 0)), level(s, &inside, v, left, t));
  if (!counter_saturates(c, at, s->ring)) return w;
  Val limit = counter_limit(&s->own, c, at);
  Val again = build_and(b, build_2(b, IR_EQ, n, limit), build_2(b, IR_NE, d, build_int(b, 0)));
  Cell full = with_code(&s->own, c, cell, var, limit);
  full.settled = inside.settled;
  return either(&s->own, s->ring, w, only_where(s, again, level(s, &full, v, left, t)));
}

static Val sum_count_after(Step *s, const Cell *cell, uint32_t var, VarSet left, Terms t) {
  Val ok = 0;
  Cell inside = with_count_after(s, cell, var, &ok);
  return only_where(s, ok, level(s, &inside, (Level){cell->known, false}, left, t));
}

/* 0 or -inf: do counts that were both given follow from each other? */
static Val counts_at(Step *s, const Cell *cell, Level v, Val w) {
  const Component *c = s->copy.c;
  const Chain *ch = c->chain;
  for (uint32_t k = 0; k < ch->counters.n; k++) {
    uint32_t at = c->edges.n + k, after = (uint32_t)clique_place(ch, at, 0), before = (uint32_t)clique_place(ch, at, 1);
    const Counter *counter = ch->counters.at[k];
    VarSet scope = scope_of(ch, counter->vars.n, counter->vars.at) | (VarSet)1 << after | (VarSet)1 << before;
    if ((cell->settled >> after & 1) || !completes(&v, cell->known, scope)) continue;
    Val ok = 0, n = count_after(s, cell, at, cell->code[before], &ok);
    w = only_where(s, build_and(B(&s->own), ok, build_2(B(&s->own), IR_EQ, n, cell->code[after])), w);
  }
  return w;
}

/* ---- values ---- */

static Val sum_values(Step *s, const Cell *cell, VarSet sum, Terms t) {
  Builder *b = B(&s->own);
  const Component *c = s->copy.c;
  uint32_t var = next_to_sum(c, sum);
  Lagged which = c->chain->clique.at[var];
  bool paired = which.at >= c->edges.n && t.factors && (cell->known >> clique_place(c->chain, which.at, 1 - which.lag) & 1);
  if (paired) return (which.lag ? sum_count_before : sum_count_after)(s, cell, var, sum & ~((VarSet)1 << var), t);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, plus(s->ring), IR_WIDE, 0, NULL);
  Val w = level(s, &inside, (Level){cell->known, false}, sum & ~((VarSet)1 << var), t);
  if (ir_acc_takes_log_w(a->kind)) a->body.log_w = w;
  else a->body.x = w;
  return build_close(b, l)->accs.at[0]->result;
}

static Val tables_at(Step *s, const Cell *cell, Level v, Terms t, Val w) {
  Component *c = s->copy.c;
  VarSet before = state_before(c->chain), after = state_after(c->chain);
  Context *x = &s->own;
  Derive *d = x->d;
  if (t.before && completes(&v, cell->known, before)) w = times(x, s->ring, w, load_message(s, forward_table(d, c, s->ring), true, cell));
  if (t.here && completes(&v, cell->known, after)) w = times(x, s->ring, w, load_message(s, forward_table(d, c, s->ring), false, cell));
  if (t.after && completes(&v, cell->known, after)) w = times(x, s->ring, w, load_message(s, backward_table(d, c, s->ring), false, cell));
  return w;
}

/* Factors that may fail come last: where others remove the value they are not looked at. */
static Val factors_at(Step *s, const Cell *cell, Level v, bool fallible, Val w) {
  const Component *c = s->copy.c;
  Context y = in_cell(s, cell);
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    if (!counts_in(s->ring, f) || factor_may_fail(f) != fallible || !completes(&v, cell->known, scope_of(c->chain, f->vars.n, f->vars.at))) continue;
    Context z = fallible ? with_guard(&y, build_2(B(&y), IR_NE, w, zero(&y, s->ring))) : y;
    w = times(&y, s->ring, w, factor_in(&z, s, f));
  }
  return w;
}

static Val level(Step *s, const Cell *cell, Level v, VarSet sum, Terms t) {
  Val w = tables_at(s, cell, v, t, one(&s->own, s->ring));
  if (t.factors) w = counts_at(s, cell, v, factors_at(s, cell, v, false, w));
  if (t.factors && s->copy.c->chain->ends.n) w = times(&s->own, s->ring, w, ends_in(s, cell, v.done, v.first));
  if (sum) w = times(&s->own, s->ring, w, sum_values(s, cell, sum, t));
  return t.factors ? factors_at(s, cell, v, true, w) : w;
}

Val clique_sum(Step *s, const Cell *cell, VarSet sum, Terms t) { return level(s, cell, (Level){0, true}, sum, t); }

Val clique_rest(Step *s, const Cell *cell, VarSet before, VarSet sum, Terms t) { return level(s, cell, (Level){before, false}, sum, t); }

/* ---- filling tables --------------------------------------------------------------------------------------------------- */

ChainTables *tables_of(Derive *d, const Component *c) {
  if (!d->chains) d->chains = NEW_ARRAY(d->arena, ChainTables *, d->plan->components.n);
  if (!d->chains[c->id]) d->chains[c->id] = NEW(d->arena, ChainTables);
  return d->chains[c->id];
}

Val chain_dimension(Context *x, const Component *c, uint32_t at) {
  return at < c->edges.n ? edge_count(x, c->edges.at[at]) : counter_dimension(x, c, at);
}

static Array *array_of(Derive *d, const Component *c, const char *what, StoreType elem, Val rows, uint32_t between, const Val *dim, VarSet state) {
  Context x = {.d = d};
  Builder *b = B(&x);
  Val *dims = NEW_ARRAY(d->arena, Val, c->plates.n + c->chain->clique.n + 1 + between);
  uint32_t n = 0;
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step) continue;
    Bounds r = eval_range(&x, &c->plates.at[k]->range);
    dims[n++] = build_2(b, IR_MAX, build_2(b, IR_SUB, r.hi, r.lo), build_int(b, 0));
  }
  if (rows) dims[n++] = rows;
  for (uint32_t k = 0; k < between; k++) dims[n++] = dim[k];
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) dims[n++] = chain_dimension(&x, c, c->chain->clique.at[k].at);
  return build_array(b, ARRAY_TEMP, arena_printf(d->arena, "%s%u", what, b->k->arrays.n), elem, n, dims);
}

Array *chain_array(Derive *d, const Component *c, const char *what, StoreType elem, Val rows, VarSet state) {
  return array_of(d, c, what, elem, rows, 0, NULL, state);
}

Array *chain_array_and(Derive *d, const Component *c, const char *what, Val rows, uint32_t n, const Val *between, VarSet state) {
  return array_of(d, c, what, STORE_WIDE, rows, n, between, state);
}

/* Loops over all chains; x binds their plates, copy.at[step] is left open. */
Copy open_chains(Context *x, Component *c, Nest *nest) {
  Copy copy = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (k == c->chain->step) continue;
    Context top = {.d = x->d};
    Bounds r = eval_range(&top, &c->plates.at[k]->range);
    Loop *l = nest->loops[nest->n++] = open_loop(x, LOOP_PAR, c->plates.at[k]->span, r.lo, r.hi);
    *x = with_index(x, c->plates.at[k], l->index, r.lo, r.hi, false);
    copy.at[k] = l->index;
  }
  return copy;
}

void close_nest(Builder *b, Nest *nest) {
  while (nest->n) build_close(b, nest->loops[--nest->n]);
}

Cell open_state(Context *x, const Component *c, VarSet state, LoopKind kind, Nest *nest) {
  Cell cell = {0};
  for (uint32_t k = 0; k < c->chain->clique.n; k++)
    if (state >> k & 1) nest->loops[nest->n++] = open_values(x, c, k, &cell, kind, &cell);
  return cell;
}

typedef struct Row { Array *a; Copy copy; Val row; } Row; /* one row of a table of messages */

static Val *state_place(Context *x, const Row *r, const Cell *cell) {
  return place(x, r->copy, r->row, state_after(r->copy.c->chain), 0, cell);
}

/* The largest finite entry, -inf where there is none: what the row is then kept relative to. */
static Val largest_in(Context *x, const Row *r, VarSet left, const Cell *cell) {
  Builder *b = B(x);
  if (!left) {
    Val v = build_load(b, r->a, state_place(x, r, cell));
    Val finite = build_2(b, IR_LT, build_1(b, IR_ABS, v), wide(x, INFINITY));
    return build_select(b, finite, v, wide(x, -INFINITY));
  }
  uint32_t var = 0;
  while (!(left >> var & 1)) var++;
  Cell inside;
  Loop *l = open_values(x, r->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, ACC_MAX, IR_WIDE, 0, NULL);
  a->body.x = largest_in(x, r, left & ~((VarSet)1 << var), &inside);
  return build_close(b, l)->accs.at[0]->result;
}

/* Subtracts the largest entry and returns it (0 where there is none). */
static Val make_relative(Context *x, const Row *r) {
  Builder *b = B(x);
  VarSet state = state_after(r->copy.c->chain);
  Val max = largest_in(x, r, state, &(Cell){0});
  max = build_select(b, build_2(b, IR_EQ, max, wide(x, -INFINITY)), wide(x, 0), max);
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state, LOOP_PAR, &nest);
  Val *at = state_place(x, r, &cell);
  build_store(b, r->a, build_2(b, IR_SUB, build_load(b, r->a, at), max), at);
  close_nest(b, &nest);
  return max;
}

/* Before the first step: number 0 for the copies that do not exist. */
static void store_start(Context *x, const Row *r, Ring ring) {
  Builder *b = B(x);
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state_after(r->copy.c->chain), LOOP_PAR, &nest);
  Val start = 0;
  for (uint32_t k = 0; k < r->copy.c->chain->clique.n; k++)
    if (cell.known >> k & 1) start = build_and(b, start, build_2(b, IR_EQ, cell.code[k], build_int(b, 0)));
  build_store(b, r->a, build_select(b, start, one(x, ring), zero(x, ring)), state_place(x, r, &cell));
  close_nest(b, &nest);
}

static Val sum_of_row(Context *x, const Row *r, Ring ring, VarSet left, const Cell *cell) {
  Builder *b = B(x);
  if (!left) return build_load(b, r->a, state_place(x, r, cell));
  uint32_t var = 0;
  while (!(left >> var & 1)) var++;
  Cell inside;
  Loop *l = open_values(x, r->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, plus(ring), IR_WIDE, 0, NULL);
  Val w = sum_of_row(x, r, ring, left & ~((VarSet)1 << var), &inside);
  if (ir_acc_takes_log_w(a->kind)) a->body.log_w = w;
  else a->body.x = w;
  return build_close(b, l)->accs.at[0]->result;
}

Val *message_place(Step *s, Val row, const Cell *cell) { return place(&s->own, s->copy, row, state_after(s->copy.c->chain), 0, cell); }

Val *chain_place(Context *x, Copy copy, Val row) { return place(x, copy, row, 0, 0, NULL); }

/* What is taken out before the step: where it starts afresh, all that came before. */
static Val taken_before(Step *s, Array *a, Array *scale) {
  Context *x = &s->own;
  Val last = build_2(B(x), IR_SUB, s->row, build_int(B(x), 1)), taken = build_load(B(x), scale, chain_place(x, s->copy, last));
  if (!s->joined) return taken;
  Row before = {a, s->copy, last};
  Val all = sum_of_row(x, &before, s->ring, state_after(s->copy.c->chain), &(Cell){0});
  return times(x, s->ring, taken, build_select(B(x), s->joined, one(x, s->ring), all));
}

/* forward[row] of the step s, from forward[row - 1]; what is taken out of the rows is added up in `scale`. */
static void forward_step(Step *s, Array *a, Array *scale, Array *moved) {
  Context *x = &s->own;
  Builder *b = B(x);
  const Chain *ch = s->copy.c->chain;
  Row r = {a, s->copy, s->row};
  Val taken = taken_before(s, a, scale);
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_after(ch), LOOP_PAR, &nest);
  Val w = clique_sum(s, &cell, whole_clique(ch) & ~state_after(ch), (Terms){.factors = true, .before = true});
  build_store(b, a, w, state_place(x, &r, &cell));
  close_nest(b, &nest);
  if (s->ring != RING_COUNT) {
    Val max = make_relative(x, &r);
    build_store(b, moved, max, chain_place(x, s->copy, s->row));
    taken = build_2(b, IR_ADD, taken, max);
  }
  build_store(b, scale, taken, chain_place(x, s->copy, s->row));
}

static void check_reaches(Context *x, Copy copy) {
  const Component *c = copy.c;
  const Plan *p = x->d->plan;
  for (uint32_t i = 0; i < c->factors.n; i++)
    if (c->factors.at[i]->weight) check_reach(x, copy, p->reach_of_weight[c->factors.at[i]->weight->id]);
  for (uint32_t i = 0; i < c->chain->counters.n; i++) check_reach(x, copy, c->chain->counters.at[i]->reach);
}

static void fill_forward(Derive *d, Component *c, Ring ring, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  Bounds range = step_range(&x, c);
  Val n = step_count(&x, c), rows = build_2(b, IR_ADD, n, build_int(b, 1));
  Array *a = t->forward[ring] = chain_array(d, c, "forward", STORE_WIDE, rows, state_after(c->chain));
  Array *scale = t->scale[ring] = chain_array(d, c, "scale", STORE_WIDE, rows, 0), *moved = t->moved[ring] = chain_array(d, c, "moved", STORE_WIDE, rows, 0);
  Array *total = t->total[ring] = chain_array(d, c, "total", STORE_WIDE, 0, 0);
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  check_reaches(&x, copy);
  Row first = {a, copy, build_int(b, 0)};
  store_start(&x, &first, ring);
  build_store(b, scale, one(&x, ring), chain_place(&x, copy, first.row));
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_SEQ, step->span, range.lo, range.hi);
  Context y = with_index(&x, step, l->index, range.lo, range.hi, false);
  copy.at[c->chain->step] = l->index;
  Step s = step_of(&y, copy, ring);
  forward_step(&s, a, scale, moved);
  build_close(b, nest.loops[--nest.n]);
  Row last = {a, copy, n};
  Val sum = sum_of_row(&x, &last, ring, state_after(c->chain), &(Cell){0});
  sum = times(&x, ring, build_load(b, scale, chain_place(&x, copy, n)), sum);
  build_store(b, total, sum, chain_place(&x, copy, 0));
  close_nest(b, &nest);
  b->at = back;
}

static void store_end(Context *x, const Row *r, Ring ring) {
  Nest nest = {0};
  Cell cell = open_state(x, r->copy.c, state_after(r->copy.c->chain), LOOP_PAR, &nest);
  build_store(B(x), r->a, one(x, ring), state_place(x, r, &cell));
  close_nest(B(x), &nest);
}

/* backward[row - 1] of the step s, from backward[row]. */
static void backward_step(Step *s, Array *a) {
  Context *x = &s->own;
  Builder *b = B(x);
  const Chain *ch = s->copy.c->chain;
  Row r = {a, s->copy, build_2(b, IR_SUB, s->row, build_int(b, 1))};
  Nest nest = {0};
  Cell cell = open_state(x, s->copy.c, state_before(ch), LOOP_PAR, &nest);
  Val w = clique_sum(s, &cell, whole_clique(ch) & ~state_before(ch), (Terms){.factors = true, .after = true});
  if (s->joined) w = build_select(b, s->joined, w, one(x, s->ring));
  build_store(b, a, w, place(x, r.copy, r.row, state_after(ch), 1, &cell));
  close_nest(b, &nest);
  if (s->ring != RING_COUNT) make_relative(x, &r);
}

static void fill_backward(Derive *d, Component *c, Ring ring, ChainTables *t) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Index *step = c->plates.at[c->chain->step];
  Bounds range = step_range(&x, c);
  Val n = step_count(&x, c);
  Array *a = t->backward[ring] = chain_array(d, c, "backward", STORE_WIDE, build_2(b, IR_ADD, n, build_int(b, 1)), state_after(c->chain));
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  store_end(&x, &(Row){a, copy, n}, ring);
  Loop *l = nest.loops[nest.n++] = open_loop(&x, LOOP_SEQ, step->span, build_int(b, 0), n);
  Val at = build_2(b, IR_SUB, build_2(b, IR_SUB, range.hi, build_int(b, 1)), l->index);
  Context y = with_index(&x, step, at, range.lo, range.hi, false);
  copy.at[c->chain->step] = at;
  Step s = step_of(&y, copy, ring);
  backward_step(&s, a);
  close_nest(b, &nest);
  b->at = back;
}

Array *forward_table(Derive *d, Component *c, Ring ring) {
  ChainTables *t = tables_of(d, c);
  if (!t->forward[ring]) fill_forward(d, c, ring, t);
  return t->forward[ring];
}

Array *backward_table(Derive *d, Component *c, Ring ring) {
  ChainTables *t = tables_of(d, c);
  if (!t->backward[ring]) fill_backward(d, c, ring, t);
  return t->backward[ring];
}

Val chain_total(Context *x, Copy copy, Ring ring) {
  forward_table(x->d, copy.c, ring);
  Array *a = tables_of(x->d, copy.c)->total[ring];
  return build_load(B(x), a, chain_place(x, copy, 0));
}
