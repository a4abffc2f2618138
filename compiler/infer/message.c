/* message: sums over what one step of a chain joins, in any semiring; see chain.h. */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/chain.h"

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

VarSet factor_scope(const Chain *ch, const Factor *f) { return scope_of(ch, f->vars.n, f->vars.at); }

VarSet counters_in(const Chain *ch, const Component *c) {
  VarSet set = 0;
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (ch->clique.at[k].at >= c->edges.n) set |= (VarSet)1 << k;
  return set;
}

/* Edges that no later step mentions come late: what they sum to depends on few others.  Counters come last, the count
 * before first: the edges then tell one from the other. */
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

Val edge_count(Context *x, const Edge *e) {
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

Step step_of(Context *x, Copy copy, Ring ring) {
  Step s = {.own = in_copy(x, copy), .copy = copy, .ring = ring};
  s.own.known = NULL;
  s.own.decisions = NULL;
  s.own.used_none = NULL;
  if (copy.c->chain->may_break) s.joined = is_joined(&s.own, copy);
  s.row = build_2(B(x), IR_ADD, row_of_step(&s.own, copy), build_int(B(x), 1));
  return s;
}

/* Values of edges as the context of what is evaluated at a step. */
static Context in_cell(const Step *s, const Cell *cell) {
  const Component *c = s->copy.c;
  Context y = s->own;
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    Lagged v = c->chain->clique.at[k];
    if (!(cell->known >> k & 1) || v.at >= c->edges.n) continue;
    y = with_known(&y, lagged_copy(&y, s->copy, v.lag), c->edges.at[v.at], cell->value[k]);
  }
  return y;
}

/* ---- the semirings ----------------------------------------------------------------------------------------------- */

AccKind ring_plus(Ring ring) {
  switch (ring) {
  case RING_SUM: case RING_PRIOR: return ACC_LSE;
  case RING_MAX: return ACC_MAX;
  case RING_COUNT: return ACC_SUM;
  case RING_COUNT_: break;
  }
  ICE("unknown semiring");
}

Val ring_times(Context *x, Ring ring, Val a, Val b) {
  return build_2(B(x), ring == RING_COUNT ? IR_MUL : IR_LOGMUL, a, b);
}
Val ring_one(Context *x, Ring ring) { return wide(x, ring == RING_COUNT ? 1 : 0); }
Val ring_zero(Context *x, Ring ring) { return wide(x, ring == RING_COUNT ? 0 : -INFINITY); }

bool ring_counts(Ring ring, const Factor *f) {
  bool is_require = f->kind == FACTOR_SUPPORT || (f->kind == FACTOR_WEIGHT && f->weight->kind == WEIGHT_REQUIRE);
  return ring == RING_PRIOR ? f->is_prior : ring == RING_COUNT ? is_require : true;
}

static Val factor_in(Context *x, const Step *s, const Factor *f) {
  Val l = build_convert(B(x), factor_log(x, s->copy.c, f), IR_WIDE);
  if (s->ring != RING_COUNT) return l;
  return build_select(B(x), build_2(B(x), IR_EQ, l, wide(x, -INFINITY)), wide(x, 0), wide(x, 1));
}

/* ---- places in tables -------------------------------------------------------------------------------------------- */

/* Parallel plates, the row, the numbers of the state; `lag` later than the variables of the clique. */
Val *table_place(Context *x, Copy copy, Val row, VarSet state, uint32_t lag, const Cell *cell) {
  const Component *c = copy.c;
  const Chain *ch = c->chain;
  Val *at = NEW_ARRAY(x->d->arena, Val, c->plates.n + ch->clique.n);
  uint32_t n = 0;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (!is_row_plate(c, k)) at[n++] = plate_place(x, copy, k);
  at[n++] = packed_row(x, copy, row);
  for (uint32_t k = 0; k < ch->clique.n; k++)
    if (state >> k & 1) at[n++] = cell->code[clique_place(ch, ch->clique.at[k].at, ch->clique.at[k].lag + lag)];
  return at;
}

Val *held_place(Step *s, Array *gamma, Val i, Val a, Val row, uint32_t lag, const Cell *cell) {
  Context *x = &s->own;
  const Component *c = s->copy.c;
  Val *at = NEW_ARRAY(x->d->arena, Val, gamma->rank),
      *codes = table_place(x, s->copy, i, state_after(c->chain), lag, cell);
  uint32_t n = 0;
  for (; n < row_rank(c); n++) at[n] = codes[n];
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
      start =
          build_and(B(x), start,
                    build_2(B(x), IR_EQ, cell->code[clique_place(ch, ch->clique.at[k].at, ch->clique.at[k].lag + lag)],
                            build_int(B(x), 0)));
  return build_select(B(x), start, mass, ring_zero(x, s->ring));
}

Val ring_row(Context *x, const Component *c, const Array *a, Val row) {
  const ChainTables *t = tables_of(x->d, c);
  Val ring = a == t->forward[RING_SUM] ? t->forward_ring : a == t->backward[RING_SUM] ? t->backward_ring : 0;
  ICE_UNLESS(!ring || t->sweeping);
  return ring ? build_2(B(x), IR_MOD, row, ring) : row;
}

static Val load_fold(Step *s, const Fold *f, uint32_t lag, const Cell *cell) {
  return build_load(B(&s->own), f->a,
                    table_place(&s->own, s->copy, f->row, state_after(s->copy.c->chain), lag, cell));
}

static Val load_message(Step *s, Array *a, bool before, const Cell *cell) {
  Context *x = &s->own;
  if (before && s->before.a) return load_fold(s, &s->before, 1, cell);
  Val row = before ? build_2(B(x), IR_SUB, s->row, build_int(B(x), 1)) : s->row, v;
  if (before && s->gamma)
    v = build_load(B(x), s->gamma, held_place(s, s->gamma, s->gamma_at[0], s->gamma_at[1], row, 1, cell));
  else
    v = build_load(
        B(x), a, table_place(x, s->copy, ring_row(x, s->copy.c, a, row), state_after(s->copy.c->chain), before, cell));
  if (!before || !s->joined) return v;
  return build_select(B(x), s->joined, v, afresh(s, s->gamma ? s->held_mass : ring_one(x, s->ring), 1, cell));
}

/* ---- sums over a clique ------------------------------------------------------------------------------------------ */

typedef struct Level { VarSet done; bool first; } Level; /* what has been multiplied in: what is complete in `done` */

static bool completes(const Level *v, VarSet known, VarSet scope) {
  return !(scope & ~known) && (v->first || (scope & ~v->done));
}

static Val level(Step *s, const Cell *cell, Level v, VarSet sum, Terms t);

/* ---- counts ---- */

static Val increment(Step *s, Context *y, uint32_t at) {
  return counter_increment(y, s->copy, at);
}

/* What the count before, and the edges, make of a count. */
static Val count_after(Step *s, const Cell *cell, uint32_t at, Val before, Val *ok) {
  const Component *c = s->copy.c;
  Builder *b = B(&s->own);
  Context y = in_cell(s, cell);
  Val n = build_2(b, IR_ADD, before, increment(s, &y, at)), limit = counter_limit(&s->own, c, at);
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

static Val only_where(Step *s, Val ok, Val w) {
  return ok ? build_select(B(&s->own), ok, w, ring_zero(&s->own, s->ring)) : w;
}

static Val either(Context *x, Ring ring, Val a, Val b) {
  switch (ring) {
  case RING_SUM: case RING_PRIOR: return build_2(B(x), IR_LOGADD, a, b);
  case RING_MAX: return build_2(B(x), IR_MAX, a, b);
  case RING_COUNT: return build_2(B(x), IR_ADD, a, b);
  case RING_COUNT_: break;
  }
  ICE("unknown semiring");
}

/* At the limit, where counts saturate: all counts before from that less the increment on. */
static Val sum_counts_before(Step *s, const Cell *inside, uint32_t var, VarSet left, Terms t, const Level *v, Val d) {
  const Component *c = s->copy.c;
  Builder *b = B(&s->own);
  Val limit = inside->code[var], end = build_2(b, IR_ADD, limit, build_int(b, 1));
  Val first = build_2(b, IR_MAX, build_2(b, IR_SUB, limit, d), build_int(b, 0));
  const Counter *k = c->chain->counters.at[c->chain->clique.at[var].at - c->edges.n];
  Loop *l = open_loop(&s->own, LOOP_REDUCE, k->span, first, end);
  AccKind kind = ring_plus(s->ring);
  Acc *a = build_acc(b, l, kind, IR_WIDE, 0, NULL);
  Cell one = with_code(&s->own, c, inside, var, l->index);
  one.settled = inside->settled;
  Val w = level(s, &one, *v, left, t);
  if (kind == ACC_LSE) a->body.log_w = w;
  else a->body.x = w;
  return build_close(b, l)->accs.at[0]->result;
}

/* The count after is known: the one before is that less the increment, or, at the limit, the limit too. */
static Val sum_count_before(Step *s, const Cell *cell, uint32_t var, VarSet left, Terms t) {
  const Component *c = s->copy.c;
  Builder *b = B(&s->own);
  uint32_t at = c->chain->clique.at[var].at, after = (uint32_t)clique_place(c->chain, at, 0);
  Context y = in_cell(s, cell);
  Val d = increment(s, &y, at), n = cell->code[after];
  Cell inside = with_code(&s->own, c, cell, var, build_2(b, IR_SUB, n, d));
  inside.settled |= (VarSet)1 << after;
  Level v = {cell->known, false};
  Val w = only_where(s, build_2(b, IR_GE, inside.code[var], build_int(b, 0)), level(s, &inside, v, left, t));
  if (!counter_saturates(c, at, s->ring)) return w;
  Val limit = counter_limit(&s->own, c, at);
  Val again = build_and(b, build_2(b, IR_EQ, n, limit), build_2(b, IR_NE, d, build_int(b, 0)));
  Cell full = with_code(&s->own, c, cell, var, limit);
  full.settled = inside.settled;
  if (!counter_is_of_bits(c, at)) {
    Val all = sum_counts_before(s, &full, var, left, t, &v, d);
    return build_select(b, build_2(b, IR_EQ, n, limit), all, w);
  }
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
  bool paired =
      which.at >= c->edges.n && t.factors && (cell->known >> clique_place(c->chain, which.at, 1 - which.lag) & 1);
  if (paired) return (which.lag ? sum_count_before : sum_count_after)(s, cell, var, sum & ~((VarSet)1 << var), t);
  Cell inside;
  Loop *l = open_values(&s->own, s->copy.c, var, cell, LOOP_REDUCE, &inside);
  Acc *a = build_acc(b, l, ring_plus(s->ring), IR_WIDE, 0, NULL);
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
  if (t.before && completes(&v, cell->known, before))
    w = ring_times(x, s->ring, w, load_message(s, forward_table(d, c, s->ring), true, cell));
  if (t.here && completes(&v, cell->known, after))
    w = ring_times(x, s->ring, w, load_message(s, forward_table(d, c, s->ring), false, cell));
  if (t.after && completes(&v, cell->known, after))
    w = ring_times(x, s->ring, w, t.folded ? load_fold(s, &s->after, 0, cell)
                                           : load_message(s, backward_table(d, c, s->ring), false, cell));
  return w;
}

/* Is it in a message already, or not to be in this one? */
static bool is_elsewhere(const Step *s, const Factor *f, Terms t) {
  return (t.before && s->before.a && is_folded_before(s, f)) || (t.folded && is_folded_after(s, f)) ||
         (t.alone && !is_folded_after(s, f));
}

/* Factors that may fail come last: where others remove the value they are not looked at. */
static Val factors_at(Step *s, const Cell *cell, Level v, Terms t, bool fallible, Val w) {
  const Component *c = s->copy.c;
  Context y = in_cell(s, cell);
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    if (!ring_counts(s->ring, f) || factor_may_fail(f) != fallible || is_elsewhere(s, f, t)) continue;
    if (!completes(&v, cell->known, factor_scope(c->chain, f))) continue;
    Context z = fallible ? with_guard(&y, build_2(B(&y), IR_NE, w, ring_zero(&y, s->ring))) : y;
    w = ring_times(&y, s->ring, w, factor_in(&z, s, f));
  }
  return w;
}

static Val level(Step *s, const Cell *cell, Level v, VarSet sum, Terms t) {
  Val w = tables_at(s, cell, v, t, ring_one(&s->own, s->ring));
  if (t.factors) w = counts_at(s, cell, v, factors_at(s, cell, v, t, false, w));
  if (t.factors && s->copy.c->chain->ends.n) w = ring_times(&s->own, s->ring, w, ends_in(s, cell, v.done, v.first));
  if (sum) w = ring_times(&s->own, s->ring, w, sum_values(s, cell, sum, t));
  return t.factors ? factors_at(s, cell, v, t, true, w) : w;
}

Val clique_sum(Step *s, const Cell *cell, VarSet sum, Terms t) {
  t.folded = s->after.a && t.factors && t.after && !(s->after.summed & ~sum);
  return level(s, cell, (Level){0, true}, t.folded ? sum & ~s->after.summed : sum, t);
}

Val clique_rest(Step *s, const Cell *cell, VarSet before, VarSet sum, Terms t) {
  return level(s, cell, (Level){before, false}, sum, t);
}
