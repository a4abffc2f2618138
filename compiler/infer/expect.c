/* expect: E and P pushed inward by the laws of expectation.
 *
 *   linear            E[a + b] = E[a] + E[b],  E[sum_j e] = sum_j E[e],  E[a / c] = E[a] / c
 *   independence      E[f(phi) g(psi)] = E[f(phi)] E[g(psi)]        copies no weight joins
 *   coincidence       two references are one copy exactly when their index values agree: both cases, selected
 *   conditioning      E[f(phi)] = sum_j P(phi = j) E[f(j) | phi = j]           one stream over phi
 *   sifting           E[1(phi = t) f] = P(phi = t) E[f | phi = t]               no stream at all
 * An indicator is a 0/1 value, P[c] = E[1(c)].  Conditioning on the edges above an edge in the elimination
 * tree comes first; subtrees are then independent.
 *
 * A bracket is 0 if a component it mentions is empty: linearity is used under the condition that all of
 * them exist.  A stream alone gives 0 by itself.
 *
 * An expectation asked for under loops over the components of its value (o[i, c] = E[v[phi, c]]) is one
 * stream outside those loops that carries them as axes. */
#include <math.h>

#include "base/ice.h"
#include "infer/context.h"
#include "model/term.h"

/* A reference whose copy is known by its index values, but not its value. */
typedef struct Mention { Copy copy; Edge *edge; } Mention;

typedef struct Mentions {
  VEC(Mention) list;  /* one for each edge of each copy */
  bool under_binder;  /* some copies are named by the variable of a sum inside */
  bool reached;       /* some copies are named by the value of an edge not yet known */
  VEC(Component *) reached_in; /* the components of the last two */
} Mentions;

static Val wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }

static Val expect(Context *x, const Term *t);
static Val part(Context *x, const Term *t);
static Val bracket(Context *x, const Term *t);

/* ---- what a bracket mentions ----------------------------------------------------------------------------- */

static bool unbound(const Context *x, const Term *t) {
  if (t->kind == TERM_INDEX) return !find_bound(x, t->index);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unbound(x, t->args.at[i])) return true;
  return false;
}

static bool unresolved(Context *x, const Term *t);

static bool range_unresolved(Context *x, const Range *r) {
  return (r->lo && unresolved(x, r->lo)) || (r->hi && unresolved(x, r->hi)) || (r->row && unresolved(x, r->row));
}

static bool args_unresolved(Context *x, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unresolved(x, t->args.at[i])) return true;
  return false;
}

static bool args_unbound(Context *x, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unbound(x, t->args.at[i])) return true;
  return false;
}

/* Index values for looking a copy up; the checks come where it is used. */
static Copy silent_copy(Context *x, const Term *ref) {
  Context y = with_guard(x, build_bool(B(x), false));
  return copy_of(&y, ref);
}

static bool unresolved(Context *x, const Term *t) {
  if (t->kind == TERM_EDGE) {
    if (args_unresolved(x, t) || args_unbound(x, t)) return true;
    Copy copy = silent_copy(x, t);
    return !find_known(x, copy.c, t->edge, copy.at);
  }
  return args_unresolved(x, t) || (t->kind == TERM_REDUCE && range_unresolved(x, &t->index->range));
}

static void add_component(Context *x, Mentions *m, Component *c) {
  for (uint32_t i = 0; i < m->reached_in.n; i++)
    if (m->reached_in.at[i] == c) return;
  vec_push(x->d->arena, &m->reached_in, c);
}

static void add_mention(Context *x, Mentions *m, Copy copy, Edge *e) {
  for (uint32_t i = 0; i < m->list.n; i++)
    if (m->list.at[i].edge == e && same_copy(x, copy.c, m->list.at[i].copy.at, copy.at)) return;
  vec_push(x->d->arena, &m->list, (Mention){copy, e});
}

static void collect(Context *x, Mentions *m, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++) collect(x, m, t->args.at[i]);
  if (t->kind == TERM_REDUCE) {
    const Range *r = &t->index->range;
    if (r->lo) collect(x, m, r->lo);
    if (r->hi) collect(x, m, r->hi);
    if (r->row) collect(x, m, r->row);
  }
  if (t->kind != TERM_EDGE) return;
  Component *c = x->d->plan->of_edge[t->edge->id];
  if (args_unresolved(x, t)) {
    m->reached = true;
    add_component(x, m, c);
  } else if (args_unbound(x, t)) {
    m->under_binder = true;
    add_component(x, m, c);
  } else {
    Copy copy = silent_copy(x, t);
    if (!find_known(x, c, t->edge, copy.at)) add_mention(x, m, copy, t->edge);
  }
}

static Mentions mentions_of(Context *x, const Term *t) {
  Mentions m = {0};
  collect(x, &m, t);
  return m;
}

/* ---- parts of a component that are independent given what is known --------------------------------------- */

static const Node *node_of(const Node *n, const Edge *e) {
  if (n->edge == e) return n;
  for (uint32_t i = 0; i < n->children.n; i++) {
    const Node *found = node_of(n->children.at[i], e);
    if (found) return found;
  }
  return NULL;
}

/* The highest node, on the way from the root to the edge, without a value yet. */
static const Node *top_unknown(Context *x, const Mention *m) {
  const Node *n = node_of(m->copy.c->root, m->edge), *top = n;
  for (; n; n = n->parent)
    if (!find_known(x, m->copy.c, n->edge, m->copy.at)) top = n;
  return top;
}

static bool same_part(Context *x, const Mention *a, const Mention *b) {
  return a->copy.c == b->copy.c && same_copy(x, a->copy.c, a->copy.at, b->copy.at) && top_unknown(x, a) == top_unknown(x, b);
}

static bool single_part(Context *x, const Mentions *m) {
  if (m->under_binder) return false;
  for (uint32_t i = 1; i < m->list.n; i++)
    if (!same_part(x, &m->list.at[0], &m->list.at[i])) return false;
  return true;
}

/* ---- existence --------------------------------------------------------------------------------------------- */

static Val exists_all(Context *x, const Term *t);

static void contribute_exists(Context *x, void *arg, Contribution *c) {
  Val v = exists_all(x, arg);
  c->x = v ? v : build_bool(B(x), true);
}

/* Is t known here although what stands around it is not? */
static bool is_known_here(Context *x, const Term *t) { return !unresolved(x, t) && !unbound(x, t); }

static Val exists_if(Context *x, const Term *t) {
  Val in_cond = exists_all(x, t->args.at[0]);
  if (!is_known_here(x, t->args.at[0])) {
    Val v = build_and(B(x), in_cond, exists_all(x, t->args.at[1]));
    return build_and(B(x), v, exists_all(x, t->args.at[2]));
  }
  Val cond = eval(x, t->args.at[0]), yes = build_bool(B(x), true);
  Context chosen = with_guard(x, cond), other = with_guard(x, build_1(B(x), IR_NOT, cond));
  Val a = exists_all(&chosen, t->args.at[1]), b = exists_all(&other, t->args.at[2]);
  if (!a && !b) return in_cond;
  return build_and(B(x), in_cond, build_select(B(x), cond, a ? a : yes, b ? b : yes));
}

static bool is_logic(const Term *t) { return t->kind == TERM_OP && (t->op == OP_AND || t->op == OP_OR); }

/* The right side counts only where a left side without edges does not decide. */
static Val exists_logic(Context *x, const Term *t) {
  Val left = eval(x, t->args.at[0]), decided = t->op == OP_OR ? left : build_1(B(x), IR_NOT, left);
  Context y = with_guard(x, build_1(B(x), IR_NOT, decided));
  Val right = exists_all(&y, t->args.at[1]);
  return right ? build_select(B(x), decided, build_bool(B(x), true), right) : 0;
}

static bool left_is_known(Context *x, const Term *t) { return is_logic(t) && is_known_here(x, t->args.at[0]); }

/* Then it exists. */
static bool is_partly_known(const Context *x, Copy copy) {
  for (uint32_t i = 0; i < copy.c->edges.n; i++)
    if (find_known(x, copy.c, copy.c->edges.at[i], copy.at)) return true;
  return false;
}

static Val exists_range(Context *x, const Range *r) {
  Val v = r->lo ? exists_all(x, r->lo) : 0;
  if (r->hi) v = build_and(B(x), v, exists_all(x, r->hi));
  return r->row ? build_and(B(x), v, exists_all(x, r->row)) : v;
}

/* Does a condition on j in t decide what else is mentioned? */
static bool has_choice_by(const Term *t, const Index *j) {
  bool choice = t->kind == TERM_IF || is_logic(t);
  if (choice && term_mentions_index(t->args.at[0], j) && term_mentions_edge(t, NULL)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_choice_by(t->args.at[i], j)) return true;
  return false;
}

static bool range_unbound(const Context *x, const Range *r) {
  return (r->lo && unbound(x, r->lo)) || (r->hi && unbound(x, r->hi)) || (r->row && unbound(x, r->row));
}

/* Is there a sum in t whose index chooses, by a condition, what is mentioned? */
static bool sum_chooses(const Term *t) {
  if (t->kind == TERM_REDUCE && has_choice_by(t->args.at[0], t->index)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (sum_chooses(t->args.at[i])) return true;
  return false;
}

/* What the body names whatever the index is mentioned also by a sum over nothing. */
static Val exists_reduce(Context *x, const Term *t) {
  const Term *body = t->args.at[0];
  Val bounds = exists_range(x, &t->index->range), plain = exists_all(x, body);
  bool each = mentions_of(x, body).under_binder || has_choice_by(body, t->index);
  if (!each || range_unresolved(x, &t->index->range) || range_unbound(x, &t->index->range)) return build_and(B(x), bounds, plain);
  Bounds r = eval_range(x, &t->index->range);
  Val all = reduce_over(x, t->index, ACC_ALL, IR_BOOL, contribute_exists, (void *)body);
  if (plain) all = build_select(B(x), build_2(B(x), IR_LT, r.lo, r.hi), all, plain);
  return build_and(B(x), bounds, all);
}

/* bool: every component that t mentions by index values known here has a value with weight; 0: true. */
static Val exists_all(Context *x, const Term *t) {
  if (t->kind == TERM_IF) return exists_if(x, t);
  if (left_is_known(x, t)) return exists_logic(x, t);
  if (t->kind == TERM_REDUCE) return exists_reduce(x, t);
  Val v = 0;
  for (uint32_t i = 0; i < t->args.n; i++) v = build_and(B(x), v, exists_all(x, t->args.at[i]));
  if (t->kind != TERM_EDGE || args_unresolved(x, t) || args_unbound(x, t)) return v;
  Copy copy = copy_of(x, t);
  if (find_known(x, copy.c, t->edge, copy.at)) return v;
  return is_partly_known(x, copy) ? v : build_and(B(x), v, copy_exists(x, copy));
}

/* ---- coincidences ------------------------------------------------------------------------------------------- */

static bool taken_apart(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_copy(x, d->c, d->x, a) && same_copy(x, d->c, d->y, b)) || (same_copy(x, d->c, d->x, b) && same_copy(x, d->c, d->y, a));
}

static bool decided(const Context *x, const Component *c, Val *a, Val *b) {
  if (same_copy(x, c, a, b)) return true;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && taken_apart(x, d, a, b)) return true;
  return false;
}

typedef struct Coincidence { Component *c; Val *a, *b; } Coincidence;

/* Two copies of which it is not yet decided whether they are one. */
static bool find_coincidence(Context *x, const Mentions *m, Coincidence *found) {
  for (uint32_t i = 0; i < m->list.n; i++) {
    Component *c = m->list.at[i].copy.c;
    Val *a = m->list.at[i].copy.at;
    for (const Known *k = x->known; k; k = k->next)
      if (k->c == c && !decided(x, c, a, k->copy)) {
        *found = (Coincidence){c, a, k->copy};
        return true;
      }
    for (uint32_t j = 0; j < i; j++)
      if (m->list.at[j].copy.c == c && !decided(x, c, a, m->list.at[j].copy.at)) {
        *found = (Coincidence){c, a, m->list.at[j].copy.at};
        return true;
      }
  }
  return false;
}

static Context with_decision(const Context *x, const Coincidence *k, bool same) {
  Decision *d = NEW(x->d->arena, Decision);
  *d = (Decision){k->c, named_copy(x, k->c, k->a), named_copy(x, k->c, k->b), same, x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

static Val expect_coincidence(Context *x, const Coincidence *k, const Term *t) {
  Builder *b = B(x);
  Val same = 0;
  for (uint32_t i = 0; i < k->c->plates.n; i++) same = build_and(b, same, build_2(b, IR_EQ, k->a[i], k->b[i]));
  const Instr *i = ir_at(b->k, same);
  bool always = i->op == IR_CONST && i->integer, never = i->op == IR_CONST && !i->integer;
  Context one = with_decision(x, k, true), two = with_decision(x, k, false);
  if (always) return expect(&one, t);
  if (never) return expect(&two, t);
  one = with_guard(&one, same);
  two = with_guard(&two, build_1(b, IR_NOT, same));
  Val if_one = part(&one, t);
  return build_select(b, same, if_one, part(&two, t));
}

/* ---- products ----------------------------------------------------------------------------------------------- */

typedef VEC(const Term *) Factors;

static void flatten(Context *x, Factors *f, const Term *t) {
  bool product = t->kind == TERM_OP && (t->op == OP_MUL || t->op == OP_AND);
  bool passes = t->kind == TERM_OP && t->op == OP_TO_REAL && t->args.at[0]->kind == TERM_OP &&
                (t->args.at[0]->op == OP_AND || t->args.at[0]->op == OP_MUL);
  if (!product && !passes) {
    vec_push(x->d->arena, f, t);
    return;
  }
  for (uint32_t i = 0; i < t->args.n; i++) flatten(x, f, t->args.at[i]);
}

static bool reaches(const Mentions *m, const Component *c) {
  for (uint32_t i = 0; i < m->reached_in.n; i++)
    if (m->reached_in.at[i] == c) return true;
  return false;
}

static bool dependent(Context *x, const Mentions *a, const Mentions *b) {
  for (uint32_t i = 0; i < a->list.n; i++) {
    if (reaches(b, a->list.at[i].copy.c)) return true;
    for (uint32_t j = 0; j < b->list.n; j++)
      if (same_part(x, &a->list.at[i], &b->list.at[j])) return true;
  }
  for (uint32_t j = 0; j < b->list.n; j++)
    if (reaches(a, b->list.at[j].copy.c)) return true;
  for (uint32_t i = 0; i < a->reached_in.n; i++)
    if (reaches(b, a->reached_in.at[i])) return true;
  return false;
}

/* The factors that depend on the first, transitively, as one product; the rest in *others.  NULL: all. */
static const Term *product_of(Context *x, const Factors *f, const bool *in, bool want) {
  const Term *p = NULL;
  for (uint32_t i = 0; i < f->n; i++) {
    if (in[i] != want) continue;
    Term *q = (Term *)f->at[i];
    if (!p) p = q;
    else if (p->type == TYPE_BOOL && q->type == TYPE_BOOL) p = term_op2(x->d->arena, OP_AND, (Term *)p, q, q->span);
    else p = term_op2(x->d->arena, OP_MUL, term_to_real(x->d->arena, (Term *)p), term_to_real(x->d->arena, q), q->span);
  }
  return p;
}

static bool split_product(Context *x, const Term *t, const Term **first, const Term **others) {
  Factors f = {0};
  flatten(x, &f, t);
  if (f.n < 2) return false;
  bool *in = NEW_ARRAY(x->d->arena, bool, f.n);
  Mentions *m = NEW_ARRAY(x->d->arena, Mentions, f.n);
  for (uint32_t i = 0; i < f.n; i++) m[i] = mentions_of(x, f.at[i]);
  in[0] = true;
  for (bool grown = true; grown;) {
    grown = false;
    for (uint32_t i = 0; i < f.n; i++)
      for (uint32_t j = 0; j < f.n && !in[i]; j++)
        if (in[j] && dependent(x, &m[i], &m[j])) in[i] = grown = true;
  }
  *first = product_of(x, &f, in, true);
  *others = product_of(x, &f, in, false);
  return *others != NULL;
}

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
    if (k->c == copy.c && ir_at(b->k, k->value.v)->home->depth > carry->base->depth) carry->base = ir_at(b->k, k->value.v)->home;
  if (carry->base == b->at || !context_holds_in(x, carry->base)) return false;
  for (BoundIndex *n = x->bound; n; n = n->next) {
    if (n->region->depth <= carry->base->depth || find_bound(x, n->index) != n || !term_mentions_index(t, n->index)) continue;
    bool bounds_known = region_contains(ir_at(b->k, n->lo)->home, carry->base) && n->hi && region_contains(ir_at(b->k, n->hi)->home, carry->base);
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
  return build_and(B(x), build_2(B(x), IR_GT, log_w, wide(x, -INFINITY)), build_2(B(x), IR_LT, log_w, wide(x, INFINITY)));
}

typedef struct Streamed { Copy copy; const Node *n; const Term *t; const Carry *carry; } Streamed;

static void contribute_expected(Context *x, void *arg, Contribution *c) {
  Streamed *s = arg;
  c->log_w = node_log(x, s->copy, s->n, false);
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
  b->at = back;
  return carried_result(x, &carry, a);
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
      if (ref->kind != TERM_EDGE || ref->edge != e || unresolved(x, value) || args_unresolved(x, ref) || args_unbound(x, ref)) continue;
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

static Val sift(Context *x, Copy copy, const Node *n, const Term *value, const Term *rest) {
  Builder *b = B(x);
  Choice v = eval_choice(x, value);
  Split total = node_split(x, copy, n);
  Val inside = in_support(x, copy, n->edge, v);
  if (v.none && ir_at(b->k, v.none)->op == IR_CONST) v.v = build_int(b, -1);
  Context y = with_known(x, copy, n->edge, v);
  y = with_guard(&y, inside);
  Val log_w = node_log(&y, copy, n, false);
  Val there = build_and(b, inside, has_weight(x, log_w));
  Val p = build_1(b, IR_EXP, build_2(b, IR_SUB, build_2(b, IR_SUB, log_w, total.max), total.mass));
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
  for (uint32_t i = 0; i < copy.c->edges.n; i++) y = with_known(&y, copy, copy.c->edges.at[i], mode_value(x, copy, copy.c->edges.at[i]));
  return y;
}

/* v where some value has weight, 0 where none has, NaN where a weight is no number; `sum` is the log of their sum. */
static Val where_exists(Context *x, Val sum, Val v) {
  Val weight = build_2(B(x), IR_GT, sum, wide(x, -INFINITY)), nan = build_2(B(x), IR_NE, sum, sum);
  return build_select(B(x), weight, v, build_select(B(x), nan, wide(x, NAN), wide(x, 0)));
}

static Context with_weight(const Context *x, Val sum) { return with_guard(x, build_2(B(x), IR_GT, sum, build_float(B(x), IR_WIDE, -INFINITY))); }

static Val at_mode(Context *x, Copy copy, const Term *t) {
  Val sum = copy_log_sum(x, copy);
  Context y = with_mode(x, copy);
  y = with_weight(&y, sum);
  return where_exists(x, sum, build_convert(B(x), part(&y, t), IR_WIDE));
}

static Val over_draws(Context *x, Copy copy, const Term *t) {
  Builder *b = B(x);
  Region *back = b->at;
  const Infer *infer = copy.c->infer;
  Context top = {.d = x->d};
  Carry carry;
  if (find_carry(x, copy, t, &carry)) b->at = carry.base;
  else carry.n = 0;
  Val n = eval(&top, infer->n), seed = eval(&top, infer->seed), sum = copy_log_sum(x, copy);
  Loop *l = open_loop(x, LOOP_REDUCE, infer->span, build_int(b, 0), n);
  Acc *a = build_acc(b, l, ACC_SUM, IR_WIDE, carry.n, carry.axes);
  Context y = *x;
  for (uint32_t i = 0; i < copy.c->edges.n; i++)
    y = with_known(&y, copy, copy.c->edges.at[i], draw_value(x, copy, copy.c->edges.at[i], seed, l->index));
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
    vec_push(arena, &r->args, here ? term_index(arena, t->edge->plates.at[i], t->span) : with_own_plates(x, t->args.at[i], copy, blank));
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
    if (n->index->role != INDEX_AXIS || !has_fixed_bounds(n->index)) return false;
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
  for (uint32_t i = 0; i < c->edges.n; i++)
    if (find_known(x, c, c->edges.at[i], m->copy.at)) return 0;
  IndexVec axes = {0};
  if (!free_axes(x, with_own_plates(x, t, m->copy, true), m->copy, &axes)) return 0;
  Term *own = with_own_plates(x, t, m->copy, false);
  Array *a = memo(x, c, &key, own, &axes, STORE_WIDE, expectation_of_own, own);
  return a ? memo_load(x, a, m->copy, &axes) : 0;
}

static Val condition(Context *x, const Mention *m, const Term *t) {
  const Node *n = top_unknown(x, m);
  const Infer *infer = m->copy.c->infer;
  Val kept = from_memo(x, m, t);
  if (kept) return kept;
  if (infer && infer->method == INFER_MODE) return at_mode(x, m->copy, t);
  if (infer && infer->method == INFER_SAMPLE) return over_draws(x, m->copy, t);
  const Term *rest = NULL, *value = find_sift(x, m, n->edge, t, &rest);
  return value ? sift(x, m->copy, n, value, rest) : stream(x, m->copy, n, t);
}

/* ---- linearity -------------------------------------------------------------------------------------------------- */

/* May t itself be none, as the copy of an edge may?  What uses it is then 0 as a whole, not in parts. */
static bool may_be_none(const Term *t) {
  if (t->kind == TERM_NONE) return true;
  if (t->kind == TERM_OP && t->op == OP_TO_REAL) return may_be_none(t->args.at[0]);
  if (t->kind == TERM_IF) return may_be_none(t->args.at[1]) || may_be_none(t->args.at[2]);
  if (t->kind != TERM_EDGE) return false;
  bool none = t->edge->or_none;
  for (uint32_t i = 0; i < t->args.n; i++) none |= may_be_none(t->args.at[i]);
  return none;
}

static void contribute_expectation(Context *x, void *arg, Contribution *c) { c->x = build_convert(B(x), expect(x, arg), IR_WIDE); }

/* Copies named by the variable of a product are different for different values of it if it is itself one of
 * their indices. */
static bool names_copies_apart(const Term *t, const Index *j) {
  if (t->kind == TERM_EDGE && term_mentions_index(t, j)) {
    for (uint32_t i = 0; i < t->args.n; i++)
      if (t->args.at[i]->kind == TERM_INDEX && t->args.at[i]->index == j) return true;
    return false;
  }
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!names_copies_apart(t->args.at[i], j)) return false;
  return true;
}

static bool all_under_binder(Context *x, const Term *t) {
  Mentions m = mentions_of(x, t);
  return m.list.n == 0 && !m.reached;
}

static Val expect_reduce(Context *x, const Term *t) {
  bool product = t->reduce == REDUCE_PROD && names_copies_apart(t->args.at[0], t->index) && all_under_binder(x, t->args.at[0]);
  if (t->reduce == REDUCE_SUM || product)
    return zero_where_none(x, &t->index->range, reduce_term(x, t, IR_WIDE, contribute_expectation));
  return refuse_query(x, t->span, "the expectation of this function of many copies has no streaming form yet");
}

/* ---- choices ------------------------------------------------------------------------------------------------------
 *
 * f(if c then a else b) = if c then f(a) else f(b), c known: a stream over what only the other side mentions would give
 * 0 where that has no value. */

static bool is_choice(Context *x, const Term *t) { return (t->kind == TERM_IF && is_known_here(x, t->args.at[0])) || left_is_known(x, t); }

/* What t mentions whatever its conditions choose. */
static void collect_certain(Context *x, Mentions *m, const Term *t) {
  if (is_choice(x, t)) return;
  if (t->kind == TERM_EDGE || t->kind == TERM_REDUCE) {
    collect(x, m, t);
    return;
  }
  for (uint32_t i = 0; i < t->args.n; i++) collect_certain(x, m, t->args.at[i]);
}

static bool mentions_more(Context *x, const Mentions *certain, const Term *t) {
  Mentions m = mentions_of(x, t);
  if (m.under_binder) return true;
  for (uint32_t i = 0; i < m.list.n; i++) {
    bool found = false;
    for (uint32_t k = 0; k < certain->list.n && !found; k++)
      found = certain->list.at[k].copy.c == m.list.at[i].copy.c &&
              same_copy(x, m.list.at[i].copy.c, certain->list.at[k].copy.at, m.list.at[i].copy.at);
    if (!found) return true;
  }
  return false;
}

static const Term *choice_in(Context *x, const Mentions *certain, const Term *t) {
  if (!unresolved(x, t)) return NULL;
  bool here = is_choice(x, t);
  for (uint32_t i = 1; here && i < t->args.n; i++)
    if (mentions_more(x, certain, t->args.at[i])) return t;
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *found = choice_in(x, certain, t->args.at[i]);
    if (found) return found;
  }
  return NULL;
}

/* An outermost part of t whose condition is known and decides what is mentioned; NULL: none. */
static const Term *find_choice(Context *x, const Term *t) {
  if (is_choice(x, t)) return t;
  Mentions certain = {0};
  collect_certain(x, &certain, t);
  return choice_in(x, &certain, t);
}

static Term *replace(Arena *arena, const Term *t, const Term *from, Term *to) {
  if (t == from) return to;
  Term *r = NEW(arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(arena, &r->args, replace(arena, t->args.at[i], from, to));
  return term_finish(r);
}

static Val expect_choice(Context *x, const Term *t, const Term *choice) {
  Builder *b = B(x);
  Arena *arena = x->d->arena;
  Val cond = eval(x, choice->args.at[0]);
  Term *yes = choice->args.at[1], *no = choice->kind == TERM_IF ? choice->args.at[2] : NULL;
  if (!no && choice->op == OP_AND) no = term_bool(arena, false, choice->span);
  else if (!no) no = yes, yes = term_bool(arena, true, choice->span);
  const Instr *i = ir_at(b->k, cond);
  if (i->op == IR_CONST) return part(x, replace(arena, t, choice, i->integer ? yes : no));
  Context y = with_guard(x, cond), z = with_guard(x, build_1(b, IR_NOT, cond));
  Val p = build_convert(b, part(&y, replace(arena, t, choice, yes)), IR_WIDE);
  return build_select(b, cond, p, build_convert(b, part(&z, replace(arena, t, choice, no)), IR_WIDE));
}

/* E pushed through the outermost operation, or 0 where no law of linearity applies.  A sum whose bounds are not known
 * is left to conditioning if there is something to condition on. */
static Val expect_linear(Context *x, const Term *t, bool conditionable) {
  Builder *b = B(x);
  if (t->kind == TERM_REDUCE) return conditionable && range_unresolved(x, &t->index->range) ? 0 : expect_reduce(x, t);
  if (t->kind != TERM_OP) return 0;
  switch ((int)t->op) {
  case OP_ADD: case OP_SUB: {
    if (may_be_none(t->args.at[0]) || may_be_none(t->args.at[1])) return 0;
    Val p = build_convert(b, expect(x, t->args.at[0]), IR_WIDE), q = build_convert(b, expect(x, t->args.at[1]), IR_WIDE);
    return build_2(b, t->op == OP_ADD ? IR_ADD : IR_SUB, p, q);
  }
  case OP_NEG: return build_1(b, IR_NEG, build_convert(b, expect(x, t->args.at[0]), IR_WIDE));
  case OP_NOT: return build_2(b, IR_SUB, wide(x, 1), build_convert(b, expect(x, t->args.at[0]), IR_WIDE));
  case OP_TO_REAL: return t->args.at[0]->kind == TERM_EDGE ? 0 : expect(x, t->args.at[0]);
  case OP_DIV:
    if (unresolved(x, t->args.at[1]) || may_be_none(t->args.at[1])) return 0;
    return build_2(b, IR_DIV, expect(x, t->args.at[0]), eval(x, t->args.at[1]));
  }
  return 0;
}

/* The first mention of a copy of which some edges are known. */
static const Mention *find_partly_known(Context *x, const Mentions *m) {
  for (uint32_t i = 0; i < m->list.n; i++)
    if (is_partly_known(x, m->list.at[i].copy)) return &m->list.at[i];
  return NULL;
}

/* Will values of a copy under way decide what else t mentions? */
static bool is_choice_pending(Context *x, const Term *t) {
  if (!unresolved(x, t)) return false;
  if ((t->kind == TERM_IF || is_logic(t)) && unresolved(x, t->args.at[0])) {
    Mentions m = mentions_of(x, t->args.at[0]);
    if (find_partly_known(x, &m)) return true;
  }
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_choice_pending(x, t->args.at[i])) return true;
  return false;
}

/* a + e, a known, perhaps summed, while streams are under way: e may be reached through an edge, and is then 0 alone
 * where it is empty. */
static bool adds_known(Context *x, const Term *t) {
  if (!x->known || !unresolved(x, t)) return false;
  if (t->kind == TERM_REDUCE) return t->reduce == REDUCE_SUM && adds_known(x, t->args.at[0]);
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_ADD: case OP_SUB:
    if (!unresolved(x, t->args.at[0]) || !unresolved(x, t->args.at[1])) return true;
    return adds_known(x, t->args.at[0]) || adds_known(x, t->args.at[1]);
  case OP_NEG: case OP_TO_REAL: case OP_DIV: return adds_known(x, t->args.at[0]);
  }
  return false;
}

static Val as_wide(Context *x, const Term *t) { return build_convert(B(x), eval(x, t), IR_WIDE); }

/* The laws in turn; everything t mentions by known indices exists, or a single stream decides it. */
static Val expect(Context *x, const Term *t) {
  if (B(x)->k->instrs.n > DERIVE_MAX_INSTRS) return refuse_query(x, t->span, "this expectation has too many cases to be compiled");
  if (!unresolved(x, t)) return as_wide(x, t);
  const Term *choice = find_choice(x, t);
  if (choice) return expect_choice(x, t, choice);
  Mentions m = mentions_of(x, t);
  Coincidence k;
  if (find_coincidence(x, &m, &k)) return expect_coincidence(x, &k, t);
  const Term *first, *others;
  if (split_product(x, t, &first, &others)) {
    Val p = build_convert(B(x), expect(x, first), IR_WIDE);
    return build_2(B(x), IR_MUL, p, build_convert(B(x), expect(x, others), IR_WIDE));
  }
  if (!single_part(x, &m) || m.reached || sum_chooses(t) || adds_known(x, t)) {
    Val v = expect_linear(x, t, m.list.n > 0);
    if (v) return v;
  }
  if (!m.list.n) return refuse_query(x, t->span, "the expectation of this function of many copies has no streaming form yet");
  const Mention *next = is_choice_pending(x, t) ? find_partly_known(x, &m) : NULL;
  return condition(x, next ? next : &m.list.at[0], t);
}

/* May evaluating t be an error: a division, an index that is neither a variable nor an edge? */
static bool may_fail(const Term *t) {
  if (t->kind == TERM_OP && (t->op == OP_FLOORDIV || t->op == OP_MOD)) return true;
  bool element = t->kind == TERM_INPUT || t->kind == TERM_LET;
  for (uint32_t i = 0; i < t->args.n; i++) {
    TermKind kind = t->args.at[i]->kind;
    if (may_fail(t->args.at[i]) || (element && kind != TERM_INDEX && kind != TERM_EDGE)) return true;
  }
  return false;
}

/* A part of a bracket, or what a value of an edge makes of it.  Whether all exists that the whole mentions has been asked;
 * what is reached through an edge makes the stream over it 0, nothing around it. */
static Val part(Context *x, const Term *t) { return build_convert(B(x), expect(x, t), IR_WIDE); }

/* 0 unless all components that t mentions exist. */
static Val bracket(Context *x, const Term *t) {
  if (!unresolved(x, t)) return as_wide(x, t);
  Mentions m = mentions_of(x, t);
  bool stream_decides = single_part(x, &m) && !m.reached && !sum_chooses(t) && !find_choice(x, t);
  Factors f = {0};
  flatten(x, &f, t);
  if (stream_decides && f.n == 1) return part(x, t);
  Val exists = exists_all(x, t);
  Context y = exists && may_fail(t) ? with_guard(x, exists) : *x;
  Val v = part(&y, t);
  return exists ? build_select(B(x), exists, v, wide(x, 0)) : v;
}

Val expectation(Context *x, const Term *t) { return build_convert(B(x), bracket(x, t), IR_WIDE); }
