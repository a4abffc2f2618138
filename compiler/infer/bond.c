/* bond: do the copies have values that a split potential joins this one to?  See bond.h.
 *
 *     named_w(c)  is copy c one of those that the potential w names at the slots of c?
 *     own_w       = and_c (named_w(c) => c has a value by its own weights), and w's factors without edges are not 0
 *     holds_w     = and over all potentials v that share copies with w, or with one that does, .. of own_v
 *     exists(c)   = c has a value and and_w (named_w(c) => holds_w)
 *
 * Equal reductions are one in a kernel, and what no loop around changes stands before it: nothing is kept here. */
#include "infer/bond.h"

#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"
#include "infer/structure.h"
#include "model/term.h"

static Val not(Context * x, Val v) { return build_1(B(x), IR_NOT, v); }
static Val yes(Context *x) { return build_bool(B(x), true); }

/* a => b; a 0: it holds. */
static Val implies(Context *x, Val a, Val b) { return a ? build_2(B(x), IR_OR, not(x, a), b) : b; }

static const BondMember *member_of(const Component *c) {
  for (uint32_t i = 0; i < c->bond->members.n; i++)
    if (c->bond->members.at[i].c == c) return &c->bond->members.at[i];
  return NULL;
}

/* ---- is a copy named? ---------------------------------------------------------------------------------------- */

typedef struct Naming {
  const BondRef *r;
  uint32_t plates; /* of the potential: so many binders come first */
  Copy copy;
  uint32_t at; /* of the reference's binders */
} Naming;

/* Is none of the potential's plates from the one at hand on of any matter to the name?  A statement over no values of
 * an index joins what it names without that and those after it. */
static bool is_named_without(const Naming *s) {
  for (uint32_t k = s->at; k < s->plates; k++) {
    if (term_mentions_index(s->r->ref, s->r->binders.at[k])) return false;
    for (uint32_t i = s->plates; i < s->r->binders.n; i++)
      if (range_mentions_index(&s->r->binders.at[i]->range, s->r->binders.at[k])) return false;
  }
  return true;
}

/* The plate at which the reference has the index alone, whose value the copy then says; -1: none. */
static int plate_by(const Naming *s, const Index *i) {
  for (uint32_t k = 0; k < s->copy.c->plates.n && i->range.kind == RANGE_INTERVAL; k++) {
    const Term *arg = s->r->ref->args.at[k];
    if (bond_tells_apart(s->copy.c, k) && arg->kind == TERM_INDEX && arg->index == i) return (int)k;
  }
  return -1;
}

static Val agree(Context *x, const Naming *s) {
  Val all = yes(x);
  for (uint32_t k = 0; k < s->copy.c->plates.n; k++) {
    const Term *arg = s->r->ref->args.at[k];
    if (!bond_tells_apart(s->copy.c, k) || (arg->kind == TERM_INDEX && plate_by(s, arg->index) == (int)k)) continue;
    all = build_and(B(x), all, build_2(B(x), IR_EQ, eval(x, arg), index_along(x, s->copy, k)));
  }
  return all;
}

static Val named_from(Context *x, const Naming *s);

static void contribute_named(Context *x, void *arg, Contribution *c) { c->x = named_from(x, arg); }

/* bool: is there a value of the binders from number `at` on at which the reference names the copy? */
static Val named_from(Context *x, const Naming *s) {
  Builder *b = B(x);
  if (s->at == s->r->binders.n) return agree(x, s);
  Naming next = *s;
  if (s->at < s->plates && is_named_without(s)) {
    next.at = s->plates;
    return named_from(x, &next);
  }
  Index *i = s->r->binders.at[next.at++];
  int k = plate_by(s, i);
  if (k < 0) return reduce_over(x, i, ACC_ANY, IR_BOOL, contribute_named, &next);
  Val v = index_along(x, s->copy, (uint32_t)k);
  Context y = with_index(x, i, v, v, 0, false);
  if (i == s->copy.c->plates.at[k]) return named_from(&y, &next);
  Bounds r = eval_range(x, &i->range);
  Val inside = build_and(b, build_2(b, IR_GE, v, r.lo), build_2(b, IR_LT, v, r.hi));
  y = with_guard(&y, inside);
  return build_and(b, inside, named_from(&y, &next));
}

/* bool; 0: it is. */
static Val is_named(Context *x, const BondMember *m, uint32_t weight, Copy copy) {
  Val any = build_bool(B(x), false);
  uint32_t plates = copy.c->bond->weights.at[weight].weight->plates.n;
  for (uint32_t i = 0; i < m->refs.n; i++) {
    const BondRef *r = &m->refs.at[i];
    if (r->weight == weight && r->all) return 0;
  }
  for (uint32_t i = 0; i < m->refs.n; i++)
    if (m->refs.at[i].weight == weight)
      any = build_2(B(x), IR_OR, any, named_from(x, &(Naming){&m->refs.at[i], plates, copy, 0}));
  return any;
}

/* ---- over all copies of a bond ------------------------------------------------------------------------------- */

typedef Val (*EachFn)(Context *x, const BondMember *m, Copy copy, const void *arg);

typedef struct Each {
  const BondMember *m;
  const Val *slots;
  Val *at;
  uint32_t plate;
  AccKind kind;
  EachFn fn;
  const void *arg;
} Each;

static Val over_copies_from(Context *x, const Each *e);

static void contribute_copies(Context *x, void *arg, Contribution *c) {
  Each e = *(Each *)arg;
  Component *of = e.m->c;
  Val *at = NEW_ARRAY(x->d->arena, Val, of->plates.n);
  for (uint32_t k = 0; k < e.plate; k++) at[k] = e.at[k];
  at[e.plate] = place_along(x, of, e.plate, find_bound(x, of->plates.at[e.plate])->v);
  e.at = at, e.plate++;
  c->x = over_copies_from(x, &e);
}

/* Once a chain, and once a structure. */
static Val over_copies_from(Context *x, const Each *e) {
  Component *c = e->m->c;
  Each next = *e;
  next.plate++;
  if (e->plate == c->plates.n) return e->fn(x, e->m, (Copy){c, e->at}, e->arg);
  if (!bond_asks_place(c, e->plate)) {
    e->at[e->plate] = build_int(B(x), 0);
    return over_copies_from(x, &next);
  }
  for (uint32_t s = 0; s < e->m->plates.n; s++)
    if (e->m->plates.at[s] == e->plate) {
      e->at[e->plate] = e->slots[s];
      return over_copies_from(x, &next);
    }
  return reduce_over(x, c->plates.at[e->plate], e->kind, IR_BOOL, contribute_copies, (void *)e);
}

/* The copies of a member that share these values of the slots; nothing else is known of where one stands. */
static Val over_members_copies(Context *x, const BondMember *m, const Val *slots, AccKind kind, EachFn fn,
                               const void *arg) {
  Context y = {.d = x->d};
  for (uint32_t s = 0; s < m->plates.n; s++)
    y = with_index(&y, m->c->plates.at[m->plates.at[s]], slots[s], slots[s], 0, false);
  for (uint32_t s = 0; s < m->plates.n; s++) {
    Bounds r = eval_range(&y, &m->c->plates.at[m->plates.at[s]]->range);
    if (r.row || provably_within(x, slots[s], r.lo, r.hi)) continue;
    Val inside = build_and(B(x), build_2(B(x), IR_GE, slots[s], r.lo), build_2(B(x), IR_LT, slots[s], r.hi));
    y = with_guard(&y, inside);
  }
  Val *at = NEW_ARRAY(x->d->arena, Val, m->c->plates.n);
  return over_copies_from(&y, &(Each){m, slots, at, 0, kind, fn, arg});
}

/* ---- does a bond hold? --------------------------------------------------------------------------------------- */

static Val exists_if_named(Context *x, const BondMember *m, Copy copy, const void *weight) {
  Val named = weight ? is_named(x, m, *(const uint32_t *)weight, copy) : 0;
  return implies(x, named, copy_has_value(x, copy));
}

static Val constants_hold(Context *x, const BondWeight *w, const Val *slots) {
  Context y = {.d = x->d};
  Val all = yes(x);
  for (uint32_t s = 0; s < w->stands.n; s++) y = with_index(&y, w->stands.at[s], slots[s], slots[s], 0, false);
  for (uint32_t s = 0; s < w->stands.n; s++) {
    Bounds r = eval_range(&y, &w->stands.at[s]->range);
    if (!r.row && !provably_within(x, slots[s], r.lo, r.hi))
      y = with_guard(&y, build_and(B(x), build_2(B(x), IR_GE, slots[s], r.lo), build_2(B(x), IR_LT, slots[s], r.hi)));
  }
  for (uint32_t i = 0; i < w->constants.n; i++) {
    Val log_w = weight_log(&y, w->constants.at[i], &w->stands);
    all = build_and(B(x), all, build_2(B(x), IR_NE, log_w, wide(x, -INFINITY)));
  }
  return all;
}

static Val own_holds(Context *x, const Bond *b, uint32_t weight, const Val *slots) {
  Val all = constants_hold(x, &b->weights.at[weight], slots);
  for (uint32_t i = 0; i < b->members.n; i++)
    all = build_and(B(x), all, over_members_copies(x, &b->members.at[i], slots, ACC_ALL, exists_if_named, &weight));
  return all;
}

static Val all_hold(Context *x, const Bond *b, const Val *slots) {
  Val all = yes(x);
  for (uint32_t i = 0; i < b->weights.n; i++) all = build_and(B(x), all, constants_hold(x, &b->weights.at[i], slots));
  for (uint32_t i = 0; i < b->members.n; i++)
    all = build_and(B(x), all, over_members_copies(x, &b->members.at[i], slots, ACC_ALL, exists_if_named, NULL));
  return all;
}

typedef struct Two {
  uint32_t a, b;
} Two;

static Val is_named_by_both(Context *x, const BondMember *m, Copy copy, const void *arg) {
  const Two *w = arg;
  Val a = is_named(x, m, w->a, copy), b = is_named(x, m, w->b, copy);
  Val both = build_and(B(x), a, b);
  return both ? both : yes(x);
}

/* bool: is there a copy that both name? */
static Val are_joined(Context *x, const Bond *b, Two two, const Val *slots) {
  Val any = build_bool(B(x), false);
  for (uint32_t i = 0; i < b->members.n; i++) {
    Val here = over_members_copies(x, &b->members.at[i], slots, ACC_ANY, is_named_by_both, &two);
    any = build_2(B(x), IR_OR, any, here);
  }
  return any;
}

/* By weight. */
static void find_holds(Context *x, const Bond *b, const Val *slots, Val *holds) {
  uint32_t n = b->weights.n;
  Val joined[BOND_MAX_WEIGHTS][BOND_MAX_WEIGHTS], before[BOND_MAX_WEIGHTS];
  for (uint32_t i = 0; i < n; i++) holds[i] = own_holds(x, b, i, slots);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < i; k++) joined[i][k] = joined[k][i] = are_joined(x, b, (Two){i, k}, slots);
  for (uint32_t round = 1; round < n; round++) {
    for (uint32_t i = 0; i < n; i++) before[i] = holds[i];
    for (uint32_t i = 0; i < n; i++)
      for (uint32_t k = 0; k < n; k++)
        if (k != i) holds[i] = build_and(B(x), holds[i], implies(x, joined[i][k], before[k]));
  }
}

Val bond_holds(Context *x, Copy copy) {
  const Bond *b = copy.c->bond;
  if (!b) return 0;
  const BondMember *m = member_of(copy.c);
  Val *slots = NEW_ARRAY(x->d->arena, Val, b->slots + 1), holds[BOND_MAX_WEIGHTS], all = yes(x);
  for (uint32_t s = 0; s < b->slots; s++) slots[s] = copy.at[m->plates.at[s]];
  if (b->connected) return all_hold(x, b, slots);
  Context y = {.d = x->d, .guard = x->guard};
  find_holds(x, b, slots, holds);
  for (uint32_t i = 0; i < b->weights.n; i++)
    all = build_and(B(x), all, implies(x, is_named(&y, m, i, copy), holds[i]));
  return all;
}

static void contribute_holds(Context *x, void *chain, Contribution *c) {
  const Copy *all = chain;
  uint32_t n = all->c->plates.n;
  Copy copy = {all->c, NEW_ARRAY(x->d->arena, Val, n)};
  for (uint32_t k = 0; k < n; k++) {
    const BoundIndex *here = find_bound(x, all->c->plates.at[k]);
    copy.at[k] = here ? here->v : all->at[k];
  }
  c->x = bond_holds(x, copy);
}

Val bond_holds_along(Context *x, Copy copy, uint32_t step) {
  if (!copy.c->bond || !tells_apart(copy.c, step)) return bond_holds(x, copy);
  Context y = in_copy(x, copy);
  return reduce_over(&y, copy.c->plates.at[step], ACC_ALL, IR_BOOL, contribute_holds, &copy);
}

Val where_bond_holds(Context *x, Copy copy, Val v, int otherwise) {
  Val holds = bond_holds(x, copy);
  if (!holds) return v;
  bool whole = ir_at(B(x)->k, v)->type == IR_INT;
  return build_select(B(x), holds, v, whole ? build_int(B(x), otherwise) : wide(x, otherwise));
}
