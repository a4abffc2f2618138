/* condition: E[f(phi)] = sum_j P(phi = j) E[f(j) | phi = j], one stream over the values of an edge.
 *
 *   sifting     E[1(phi = t) f] = P(phi = t) E[f | phi = t]: no stream at all
 *   carrying    asked for under loops over the components of its value (o[i, c] = E[v[phi, c]]), it is one stream
 *               outside those loops that carries them as axes
 *   methods     at the mode, or over draws, the copy has one value after the other in place of its posterior
 *   keeping     a function of one copy alone, asked for again and again, is kept for all copies (memo.c)
 * The edges above an edge in the elimination tree come first. */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"
#include "infer/expect.h"
#include "infer/network.h"
#include "infer/replace.h"
#include "infer/structure.h"
#include "model/term.h"

/* ---- carrying axes -------------------------------------------------------------------------------------------- */

enum { MAX_CARRIED = 8 };

typedef struct Carry {
  Region *base;
  uint32_t n;
  BoundIndex *bound[MAX_CARRIED];
  Axis axes[MAX_CARRIED];
} Carry;

/* The plain loops inside `base`, where everything but the value is known, on which the value depends. */
static bool find_carry(Context *x, Copy copy, const Term *t, Carry *carry) {
  Builder *b = B(x);
  *carry = (Carry){.base = build_deepest(b, copy.c->plates.n, copy.at)};
  for (const Known *k = x->known; k; k = k->next)
    if (k->c == copy.c && ir_at(b->k, k->value.v)->home->depth > carry->base->depth)
      carry->base = ir_at(b->k, k->value.v)->home;
  if (x->d->stage->depth > carry->base->depth) carry->base = x->d->stage; /* what is summed may be read from latents */
  if (carry->base == b->at || !context_holds_in(x, carry->base)) return false;
  for (BoundIndex *n = x->bound; n; n = n->next) {
    if (n->region->depth <= carry->base->depth || find_bound(x, n->index) != n || !term_mentions_index(t, n->index))
      continue;
    bool bounds_known = region_contains(ir_at(b->k, n->lo)->home, carry->base) && n->hi &&
                        region_contains(ir_at(b->k, n->hi)->home, carry->base);
    if (!n->carryable || !bounds_known || carry->n == MAX_CARRIED) return false;
    carry->bound[carry->n] = n;
    carry->axes[carry->n++] = (Axis){.lo = n->lo, .hi = n->hi};
  }
  return carry->n > 0;
}

/* Inside the axis region the carried variables stand for its points. */
static Context with_axes(const Context *x, const Carry *carry, const Val *index) {
  Context y = *x;
  for (uint32_t i = 0; i < carry->n; i++)
    y = with_index(&y, carry->bound[i]->index, index[i], carry->axes[i].lo, carry->axes[i].hi, true);
  return y;
}

static Val bracket_on_axes(Context *x, const Carry *carry, const Term *t, Contribution *c) {
  Builder *b = B(x);
  if (!carry->n) return build_convert(b, part(x, t), IR_WIDE);
  c->index = NEW_ARRAY(x->d->arena, Val, carry->n);
  c->at = build_axes(b, b->at->loop, carry->n, c->index);
  Context y = with_axes(x, carry, c->index);
  Val v = build_convert(b, part(&y, t), IR_WIDE);
  build_leave_axes(b, c->at);
  return v;
}

/* The result of a stream made in carry->base, back where it was asked for. */
static Val carried_result(Context *x, const Carry *carry, const Acc *a) {
  if (!carry->n) return a->result;
  Val place[MAX_CARRIED];
  for (uint32_t i = 0; i < carry->n; i++) place[i] = build_2(B(x), IR_SUB, carry->bound[i]->v, carry->axes[i].lo);
  return build_load(B(x), a->result_at, place);
}

/* ---- conditioning on one edge ------------------------------------------------------------------------------ */

/* Only then is what is expected looked at: a weight that is no number spoils the copy, whatever the values are. */
static Val has_weight(Context *x, Val log_w) {
  return build_and(B(x), build_2(B(x), IR_GT, log_w, wide(x, -INFINITY)),
                   build_2(B(x), IR_LT, log_w, wide(x, INFINITY)));
}

typedef struct Streamed { Copy copy; const Node *n; const Term *t; const Carry *carry; } Streamed;

/* The log weight of the value known in x, or of what is put in its place. */
static Val value_log(Context *x, Copy copy, const Node *n) {
  if (!is_replaced(copy.c)) return node_log(x, copy, n, false);
  return replaced_log(x, copy, find_known(x, copy.c, n->edge, copy.at)->value);
}

static void contribute_expected(Context *x, void *arg, Contribution *c) {
  Streamed *s = arg;
  c->log_w = value_log(x, s->copy, s->n);
  Context y = with_guard(x, has_weight(x, c->log_w));
  c->x = bracket_on_axes(&y, s->carry, s->t, c);
}

static Val stream(Context *x, Copy copy, const Node *n, const Term *t) {
  Builder *b = B(x);
  Region *back = b->at;
  Carry carry;
  if (find_carry(x, copy, t, &carry)) b->at = carry.base;
  else carry.n = 0;
  Streamed s = {copy, n, t, &carry};
  Acc *a = stream_edge(x, copy, n->edge, ACC_EXPECT, IR_WIDE, carry.n, carry.axes, contribute_expected, &s);
  bool approximate = copy.c->structure && structure_is_approximate(copy.c); /* then the weights need not sum to 1 */
  Val mass = approximate ? build_1(b, IR_EXP, node_sum(x, copy, n)) : 0;
  b->at = back;
  Val v = carried_result(x, &carry, a);
  return mass ? build_2(b, IR_MUL, v, mass) : v;
}

/* ---- sifting -------------------------------------------------------------------------------------------------- */

/* phi == t among the factors of a conjunction, t known: returns t and the product of the others. */
static const Term *find_sift(Context *x, const Mention *m, const Edge *e, const Term *t, const Term **rest) {
  Factors f = {0};
  flatten(x, &f, t);
  if (e->domain == DOMAIN_RANGE && e->range.kind == RANGE_ROW) return NULL;
  for (uint32_t i = 0; i < f.n; i++) {
    const Term *eq = f.at[i];
    if (eq->kind == TERM_OP && eq->op == OP_TO_REAL) eq = eq->args.at[0];
    if (eq->kind != TERM_OP || eq->op != OP_EQ) continue;
    for (uint32_t side = 0; side < 2; side++) {
      const Term *ref = eq->args.at[side], *value = eq->args.at[1 - side];
      if (ref->kind != TERM_EDGE || ref->edge != e || unresolved(x, value) || args_unresolved(x, ref) ||
          args_unbound(x, ref))
        continue;
      Copy copy = silent_copy(x, ref);
      if (!same_copy(x, copy.c, copy.at, m->copy.at)) continue;
      bool *in = NEW_ARRAY(x->d->arena, bool, f.n);
      in[i] = true;
      *rest = product_of(x, &f, in, false);
      return value;
    }
  }
  return NULL;
}

/* They sum to 1, or none is a number. */
static Split of_probabilities(Context *x, Copy copy) {
  Val one = replaced_any(x, copy);
  return (Split){wide(x, 0), build_select(B(x), build_2(B(x), IR_NE, one, one), one, wide(x, 0))};
}

static Val sift(Context *x, Copy copy, const Node *n, const Term *value, const Term *rest) {
  Builder *b = B(x);
  Choice v = eval_choice(x, value);
  Split total = is_replaced(copy.c) ? of_probabilities(x, copy) : node_split(x, copy, n);
  Val inside = in_support(x, copy, n->edge, v);
  if (v.none && ir_at(b->k, v.none)->op == IR_CONST) v.v = build_int(b, -1);
  Context y = with_known(x, copy, n->edge, v);
  y = with_guard(&y, inside);
  Val there, p = is_replaced(copy.c) ? 0 : structure_share(&y, copy, v);
  if (p) there = build_and(b, inside, build_2(b, IR_GT, p, wide(x, 0)));
  else {
    Val log_w = value_log(&y, copy, n);
    there = build_and(b, inside, has_weight(x, log_w));
    p = build_1(b, IR_EXP, build_2(b, IR_SUB, build_2(b, IR_SUB, log_w, total.max), total.mass));
  }
  if (rest) {
    Context z = with_guard(&y, there);
    p = build_2(b, IR_MUL, p, part(&z, rest));
  }
  Val invalid = build_2(b, IR_NE, total.mass, total.mass);
  return build_select(b, invalid, total.mass, build_select(b, there, p, wide(x, 0)));
}

/* ---- methods that replace the posterior ------------------------------------------------------------------- */

static Context with_mode(Context *x, Copy copy) {
  Context y = *x;
  for (uint32_t i = 0; i < copy.c->edges.n; i++)
    y = with_known(&y, copy, copy.c->edges.at[i], mode_value(x, copy, copy.c->edges.at[i]));
  return y;
}

/* v where some value has weight, 0 where none has, NaN where a weight is no number; `sum` is the log of their sum. */
static Val where_exists(Context *x, Val sum, Val v) {
  Val weight = build_2(B(x), IR_GT, sum, wide(x, -INFINITY)), nan = build_2(B(x), IR_NE, sum, sum);
  return build_select(B(x), weight, v, build_select(B(x), nan, wide(x, NAN), wide(x, 0)));
}

static Context with_weight(const Context *x, Val sum) {
  return with_guard(x, build_2(B(x), IR_GT, sum, build_float(B(x), IR_WIDE, -INFINITY)));
}

static Val at_mode(Context *x, Copy copy, const Term *t) {
  Val sum = copy_log_sum(x, copy);
  Context y = with_mode(x, copy);
  y = with_weight(&y, sum);
  return where_exists(x, sum, build_convert(B(x), part(&y, t), IR_WIDE));
}

/* The draw at which another node of the structure was looked at; 0: none was. */
static Val draw_under_way(const Context *x, Copy copy) {
  for (const Known *k = x->known; k && copy.c->structure; k = k->next)
    if (k->c == copy.c && k->draw && may_be_of_one(x, (Copy){k->c, k->copy}, copy)) return k->draw;
  return 0;
}

static Context with_draw(const Context *x, Copy copy, Edge *e, Val seed, Val draw) {
  Context y = with_known(x, copy, e, draw_value((Context *)x, copy, e, seed, draw));
  y.known->draw = draw;
  return y;
}

/* One draw has values for all copies of a chain, or network, that t mentions; some of them may be without weight. */
static Context with_chain_drawn(Context *x, Copy copy, const Term *t, Val seed, Val n, Val number) {
  Context y = *x;
  Mentions m = mentions_of(x, t);
  for (uint32_t i = 0; i < m.list.n; i++) {
    const Mention *k = &m.list.at[i];
    bool network = copy.c->network;
    if (!may_be_of_one(x, k->copy, copy)) continue;
    y = with_known(&y, k->copy, k->edge,
                   network ? network_draw(x, k->copy, seed, n, number)
                           : chain_draw(x, k->copy, k->edge, seed, n, number));
    y = with_weight(&y, copy_log_sum(x, k->copy));
  }
  return y;
}

/* Is another copy, which loops around may name, drawn together with this one? */
static bool draws_others(Context *x, Copy copy, const Term *t) {
  Mentions m = mentions_of(x, t);
  return (copy.c->chain || copy.c->network) && m.list.n > 1;
}

static Val over_draws(Context *x, Copy copy, const Term *t) {
  Val under_way = draw_under_way(x, copy);
  if (under_way) {
    Context z = with_draw(x, copy, copy.c->edges.at[0], 0, under_way);
    return build_convert(B(x), part(&z, t), IR_WIDE);
  }
  Builder *b = B(x);
  Region *back = b->at;
  const Infer *infer = copy.c->infer;
  Context top = {.d = x->d};
  Carry carry;
  if (!draws_others(x, copy, t) && find_carry(x, copy, t, &carry)) b->at = carry.base;
  else carry.n = 0;
  Val n = eval(&top, infer->n), seed = eval(&top, infer->seed), sum = copy_log_sum(x, copy);
  Loop *l = open_loop(x, LOOP_REDUCE, infer->span, build_int(b, 0), n);
  Acc *a = build_acc(b, l, ACC_SUM, IR_WIDE, carry.n, carry.axes);
  Context y = copy.c->chain || copy.c->network ? with_chain_drawn(x, copy, t, seed, n, l->index) : *x;
  for (uint32_t i = 0; i < copy.c->edges.n && !copy.c->chain && !copy.c->network; i++)
    y = with_draw(&y, copy, copy.c->edges.at[i], seed, l->index);
  y = with_weight(&y, sum);
  Contribution c = {0};
  c.x = bracket_on_axes(&y, &carry, t, &c);
  a->body = c;
  l = build_close(b, l);
  b->at = back;
  Val mean = build_2(b, IR_DIV, carried_result(x, &carry, l->accs.at[0]), build_convert(b, n, IR_WIDE));
  return where_exists(x, sum, mean);
}

/* ---- a function of one copy alone: kept for all copies ------------------------------------------------------ */

static bool names_copy(Context *x, const Term *t, Copy copy) {
  if (t->kind != TERM_EDGE || args_unresolved(x, t) || args_unbound(x, t)) return false;
  Copy named = silent_copy(x, t);
  return named.c == copy.c && same_copy(x, copy.c, named.at, copy.at);
}

/* t with every reference to the copy replaced: by the one inside its plates, or, `blank`, by a constant. */
static Term *with_own_plates(Context *x, const Term *t, Copy copy, bool blank) {
  Arena *arena = x->d->arena;
  bool here = names_copy(x, t, copy);
  if (here && blank) return term_int(arena, 0, t->span);
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++)
    vec_push(arena, &r->args,
             here ? term_index(arena, copy.c->plates.at[i], t->span) : with_own_plates(x, t->args.at[i], copy, blank));
  return term_finish(r);
}

/* A plate in which the copy is the one we stand in: b of v[b, phi[b, phi[b, i]]]. */
static bool is_shared_plate(const BoundIndex *n, Copy copy) {
  for (uint32_t k = 0; k < copy.c->plates.n; k++)
    if (copy.c->plates.at[k] == n->index) return copy.at[k] == n->v;
  return false;
}

/* What is left of t without the copy may depend, beside shared plates, only on components of vectors: the array must
 * stay small. */
static bool free_axes(Context *x, const Term *rest, Copy copy, IndexVec *axes) {
  if (term_mentions_edge(rest, NULL)) return false;
  for (const BoundIndex *n = x->bound; n; n = n->next) {
    if (find_bound(x, n->index) != n || !term_mentions_index(rest, n->index) || is_shared_plate(n, copy)) continue;
    if (n->index->role != INDEX_AXIS || !n->carryable || !has_fixed_bounds(n->index)) return false;
    vec_push(x->d->arena, axes, n->index);
  }
  return true;
}

static Val expectation_of_own(Context *x, Copy copy, void *arg) {
  (void)copy;
  return bracket(x, arg);
}

static Val from_memo(Context *x, const Mention *m, const Term *t) {
  static const char key;
  Component *c = m->copy.c;
  Mentions all = mentions_of(x, t);
  if (!is_redundant(x, c->plates.n, m->copy.at) || all.reached || !single_part(x, &all)) return 0;
  if (is_partly_known(x, m->copy)) return 0;
  IndexVec axes = {0};
  if (!free_axes(x, with_own_plates(x, t, m->copy, true), m->copy, &axes)) return 0;
  Term *own = with_own_plates(x, t, m->copy, false);
  Array *a = memo(x, c, &key, own, &axes, STORE_WIDE, expectation_of_own, own);
  return a ? memo_load(x, a, m->copy, &axes) : 0;
}

static Val conditioned(Context *x, const Mention *m, const Term *t) {
  const Node *n = top_unknown(x, m);
  const Infer *infer = m->copy.c->infer;
  copy_of(x, m->ref); /* for its checks */
  bool joint = m->copy.c->structure && structure_is_given(x, m->copy);
  if (joint && structure_is_approximate(m->copy.c))
    return refuse_query(x, m->ref->span, "no joint law of nodes follows from an approximation of single ones");
  Val kept = joint ? 0 : from_memo(x, m, t);
  if (kept) return kept;
  if (infer && infer->method == INFER_MODE) return at_mode(x, m->copy, t);
  if (infer && infer->method == INFER_SAMPLE) return over_draws(x, m->copy, t);
  const Term *rest = NULL, *value = find_sift(x, m, n->edge, t, &rest);
  return value ? sift(x, m->copy, n, value, rest) : stream(x, m->copy, n, t);
}

Val condition(Context *x, const Mention *m, const Term *t) {
  bool first = m->copy.c->bond && !is_partly_known(x, m->copy);
  Val v = conditioned(x, m, t);
  return first ? where_bond_holds(x, m->copy, v, 0) : v;
}
