/* named: the copies that entropy, kl and count name.
 *
 * Leading indices that are written fix a copy, those that are not run over all.  Components are independent, so that
 * entropies and kl add up over them and counts multiply; in a component several names are joint. */
#include "infer/named.h"

#include "infer/expect.h"
#include "infer/structure.h"

typedef struct OverStep { AccKind kind; const Over *o; uint32_t from; } OverStep;

static void contribute_copies(Context *x, void *arg, Contribution *c) {
  OverStep *s = arg;
  Over o = *s->o;
  o.at = NEW_ARRAY(x->d->arena, Val, o.c->plates.n);
  for (uint32_t i = 0; i < s->from; i++) o.at[i] = s->o->at[i];
  o.at[s->from] = find_bound(x, o.c->plates.at[s->from])->v;
  c->x = build_convert(B(x), over_copies(x, s->kind, &o, s->from + 1), IR_WIDE);
}

Val over_copies(Context *x, AccKind kind, const Over *o, uint32_t from) {
  if (o->c->chain && from == o->c->chain->step) { /* all along it are one chain */
    Over chain = *o;
    chain.at = NEW_ARRAY(x->d->arena, Val, o->c->plates.n);
    for (uint32_t i = 0; i < from; i++) chain.at[i] = o->at[i];
    chain.at[from] = build_int(B(x), 0);
    return over_copies(x, kind, &chain, from + 1);
  }
  if (o->c->structure && from + 1 == o->c->plates.n) return o->fn(x, whole_structure(x, (Copy){o->c, o->at}), o);
  if (from == o->c->plates.n) return o->fn(x, (Copy){o->c, o->at}, o);
  return reduce_over(x, o->c->plates.at[from], kind, IR_WIDE, contribute_copies, &(OverStep){kind, o, from});
}

/* Plates above those being reduced must stand for the given indices. */
static Context with_plates(const Context *x, const Component *c, const Val *at, uint32_t n) {
  Context y = *x;
  for (uint32_t i = 0; i < n; i++) {
    const BoundIndex *b = find_bound(x, c->plates.at[i]);
    if (!b || b->v != at[i]) y = with_index(&y, c->plates.at[i], at[i], at[i], 0, false);
  }
  return y;
}

/* The copies of a component that the query names. */
static NamedCopies named_copies(Context *x, Component *c, const Term *t) {
  NamedCopies n = {0};
  for (uint32_t i = 0; i < t->copies.n; i++) {
    const CopySet *s = &t->copies.at[i];
    if (x->d->plan->of_edge[s->edge->id] != c) continue;
    Copy named = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
    copy_indices(x, s->edge, &s->fixed, named.at);
    vec_push(x->d->arena, &n, (NamedCopy){named, s->edge, s->fixed.n});
  }
  return n;
}

static Val of_copies(Context *x, AccKind kind, const Over *o) {
  Context y = with_plates(x, o->c, o->at, o->fixed);
  return build_convert(B(x), over_copies(&y, kind, o, o->fixed), IR_WIDE);
}

static bool names_one_copy(const Over *o) {
  for (uint32_t i = 1; i < o->named.n; i++)
    for (uint32_t k = 0; k < o->c->plates.n; k++)
      if (o->named.at[i].copy.at[k] != o->named.at[0].copy.at[k]) return false;
  return true;
}

/* Copies that are joined to no others, each with those of its edges that are named. */
static Val apart(Context *x, AccKind kind, IrOp combine, const Over *o) {
  Val total = 0;
  for (uint32_t i = 0; i < o->named.n; i++) {
    Over one = *o;
    bool first = true;
    one.set = 0;
    one.at = o->named.at[i].copy.at;
    for (uint32_t k = 0; k < o->named.n; k++) {
      if (!same_copy(x, o->c, one.at, o->named.at[k].copy.at)) continue;
      if (k < i) first = false;
      one.set |= (EdgeSet)1 << component_place(o->c, o->named.at[k].edge);
    }
    if (!first) continue;
    Val v = of_copies(x, kind, &one);
    total = total ? build_2(B(x), combine, total, v) : v;
  }
  return total;
}

static Val refuse_partly_named(Context *x, const Over *o) {
  const char *why = "copies named by some of their indices, joint with others, are not compiled yet";
  return refuse_query(x, o->t->span, why);
}

/* What is not yet decided of two of the copies named. */
static bool open_question(const Context *x, const NamedCopies *n, Coincidence *found) {
  for (uint32_t i = 0; i < n->n; i++)
    for (uint32_t k = 0; k < i; k++)
      if (find_question(x, n->at[i].copy, n->at[k].copy, found)) return true;
  return false;
}

typedef struct Each { AccKind kind; IrOp combine; const Over *o; } Each;

/* Several copies of one component are named: whether two are one is decided first, each case under its decision. */
static Val of_each_copy(Context *x, const void *arg) {
  const Each *e = arg;
  Coincidence two;
  for (uint32_t i = 0; i < e->o->named.n; i++)
    if (e->o->named.at[i].fixed < e->o->c->plates.n) return refuse_partly_named(x, e->o);
  if (open_question(x, &e->o->named, &two)) return either_case(x, &two, of_each_copy, e);
  return apart(x, e->kind, e->combine, e->o);
}

/* Per component named: the set of its edges; then fn over its copies; combined by `combine`. */
Val over_components(Context *x, const Term *t, AccKind kind, IrOp combine, CopyQuery fn) {
  Val total = 0;
  for (uint32_t i = 0; i < t->copies.n; i++) {
    const CopySet *s = &t->copies.at[i];
    Over o = {.c = x->d->plan->of_edge[s->edge->id], .fixed = s->fixed.n, .fn = fn, .t = t};
    bool first = true;
    for (uint32_t k = 0; k < t->copies.n; k++) {
      const Component *other = x->d->plan->of_edge[t->copies.at[k].edge->id];
      if (k < i && o.c->network && other->network == o.c->network) first = false;
      if (other != o.c) continue;
      if (k < i) first = false;
      o.set |= (EdgeSet)1 << component_place(o.c, t->copies.at[k].edge);
    }
    if (!first) continue;
    o.at = NEW_ARRAY(x->d->arena, Val, o.c->plates.n);
    copy_indices(x, s->edge, &s->fixed, o.at);
    o.named = named_copies(x, o.c, t);
    Val v = o.c->network                                         ? fn(x, (Copy){o.c, o.at}, &o)
            : o.c->chain || o.c->structure || names_one_copy(&o) ? of_copies(x, kind, &o)
                                                                 : of_each_copy(x, &(Each){kind, combine, &o});
    total = total ? build_2(B(x), combine, total, v) : v;
  }
  return total;
}

/* ---- some copies --------------------------------------------------------------------------------------------- */

typedef struct Some { const NamedCopies *n; CopiesFn fn; } Some;

static Val decided_case(Context *x, const void *arg) {
  const Some *s = arg;
  Coincidence two;
  return open_question(x, s->n, &two) ? either_case(x, &two, decided_case, s) : s->fn(x, s->n);
}

Val decided_copies(Context *x, const NamedCopies *n, CopiesFn fn) { return decided_case(x, &(Some){n, fn}); }

/* ---- the joint law of some copies of chains, or nodes of structures ------------------------------------------- */

/* fn of the copies named, chain by chain, or structure by structure: those of two are independent. */
static Val over_joined(Context *x, const NamedCopies *n, IrOp combine, CopiesFn fn) {
  Val total = 0;
  for (uint32_t i = 0; i < n->n; i++) {
    NamedCopies one = {0};
    Copy copy = n->at[i].copy;
    bool first = true;
    for (uint32_t k = 0; k < n->n; k++) {
      if (!are_of_one(x, copy, n->at[k].copy)) continue;
      if (k < i) first = false;
      vec_push(x->d->arena, &one, n->at[k]);
    }
    if (!first) continue;
    Val v = build_convert(B(x), fn(x, &one), IR_WIDE);
    if (combine == IR_ADD) v = where_bond_holds(x, copy, v, 0);
    total = total ? build_2(B(x), combine, total, v) : v;
  }
  return total;
}

typedef struct Joined { const NamedCopies *n; IrOp combine; CopiesFn fn; } Joined;

static Val joined_case(Context *x, const void *arg) {
  const Joined *s = arg;
  Coincidence two;
  return open_question(x, s->n, &two) ? either_case(x, &two, joined_case, s)
                                      : over_joined(x, s->n, s->combine, s->fn);
}

/* ---- chains: of all copies, or of the joint law of some ----------------------------------------------------- */

Val chain_query(Context *x, Copy copy, const Over *o, ChainFn whole, CopiesFn some) {
  uint32_t outside = 0, names = 0;
  for (uint32_t i = 0; i < o->named.n; i++) outside += o->named.at[i].fixed <= copy.c->chain->step;
  NamedCopies n = {0};
  for (uint32_t i = 0; i < o->named.n; i++) { /* plates that are not written: those of the copy at hand */
    NamedCopy k = o->named.at[i];
    Val *at = NEW_ARRAY(x->d->arena, Val, copy.c->plates.n);
    for (uint32_t p = 0; p < copy.c->plates.n; p++) at[p] = p < k.fixed ? k.copy.at[p] : copy.at[p];
    k.copy.at = at;
    vec_push(x->d->arena, &n, k);
  }
  if (!outside && some) return joined_case(x, &(Joined){&n, IR_ADD, some});
  for (uint32_t k = 0; k < copy.c->edges.n; k++) names += o->set >> k & 1;
  if (names == copy.c->edges.n && outside == names) return whole(x, copy);
  return refuse_query(x, o->t->span,
                      "of a chain this query is about one or more of its copies, or about all copies of all its edges; "
                      "others are not compiled yet");
}

/* ---- structures: of all nodes, or of the joint law of some ---------------------------------------------------- */

Val structure_query(Context *x, Copy copy, const Over *o, IrOp combine, StructureFn whole, CopiesFn nodes) {
  bool all = true;
  for (uint32_t i = 0; i < o->named.n; i++) all &= o->named.at[i].fixed == copy.c->plates.n;
  if (all) return joined_case(x, &(Joined){&o->named, combine, nodes});
  return o->named.n == 1 ? whole(x, copy) : refuse_partly_named(x, o);
}
