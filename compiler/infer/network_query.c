/* network_query: what is asked of a network.
 *
 *   p(one copy), p(copies that an instance of a weight names)     marginals of the stage, the rest summed out
 *   p(any copies)         p(a) p(b | a) p(c | a, b) .., from one more sum for all values of what is given
 *   entropy, kl           of all copies from the stage; of some by the chain rule
 *   log Z, count          the stage's total */
#include <math.h>

#include "infer/arith.h"
#include "infer/expect.h"
#include "infer/network.h"

#include "model/dim.h"
#include "model/term.h"

/* ---- copies with known values ---------------------------------------------------------------------------- */

typedef struct Found { Component *c; Val *at; Choice value; } Found;
typedef struct Evidence { Found list[NETWORK_MAX_NAMES]; uint32_t n; const char *why; } Evidence;

bool network_known(Context *x, Copy copy) {
  for (const Known *k = x->known; k; k = k->next)
    if (may_be_of_one(x, (Copy){k->c, k->copy}, copy)) return true;
  return false;
}

bool network_support_known(Context *x, Copy copy, const Edge *e) {
  if (!e->where) return true;
  Context y = in_copy(x, copy);
  y = with_guard(&y, build_bool(B(x), false));
  y = with_known(&y, copy, (Edge *)e, (Choice){build_int(B(x), 0), 0});
  return !unresolved(&y, e->where);
}

static Evidence evidence(Context *x, Copy copy) {
  Evidence v = {0};
  for (const Known *k = x->known; k && !v.why; k = k->next) {
    if (!may_be_of_one(x, (Copy){k->c, k->copy}, copy)) continue;
    if (!are_of_one(x, (Copy){k->c, k->copy}, copy)) /* coincide.c has asked, but for DERIVE_MAX_STEPS */
      v.why = "this function of copies of several networks has too many cases to be compiled";
    Val *at = named_copy(x, k->c, k->copy);
    bool found = false;
    for (uint32_t i = 0; i < v.n; i++) found |= v.list[i].c == k->c && same_copy(x, k->c, v.list[i].at, at);
    if (found || v.why) continue;
    if (v.n == NETWORK_MAX_NAMES) v.why = "this function of many copies of a network is not compiled";
    else v.list[v.n++] = (Found){k->c, at, k->value};
  }
  return v;
}

/* ---- copies that a weight names together --------------------------------------------------------------------
 *
 * The indices of a statement at which its names are the copies: from an index alone, or displaced by a constant, as the
 * index of a copy its value follows; the names then are looked at with those. */

typedef struct Match { uint32_t name[NETWORK_MAX_NAMES]; Context x; } Match; /* by evidence: the name it has */

static void bind_from(Context *x, const Group *g, const Found *f, const Term *name, bool displaced) {
  for (uint32_t k = f->c->network->outer; k < f->c->plates.n; k++)
    for (uint32_t i = 0; i < g->loops.n; i++) {
      int64_t d;
      Index *index = g->loops.at[i];
      const Term *t = name->args.at[k];
      bool alone = t->kind == TERM_INDEX && t->index == index;
      if (find_bound(x, index) || (!displaced && !alone)) continue;
      if (!alone && !dim_difference(x->d->arena, t, term_index(x->d->arena, index, t->span), &d)) continue;
      Val v =
          alone || !d ? f->at[k] : build_2(B(x), d > 0 ? IR_SUB : IR_ADD, f->at[k], build_int(B(x), d > 0 ? d : -d));
      *x = with_index(x, index, v, v, 0, false);
    }
}

static bool all_bound(Context *x, const Group *g) {
  for (uint32_t i = 0; i < g->loops.n; i++)
    if (!find_bound(x, g->loops.at[i])) return false;
  return true;
}

static bool is_same(Context *x, Val a, Val b) {
  int64_t d;
  return a == b || (constant_distance(B(x)->k, a, b, &d) && !d);
}

static bool names_it(Context *x, const Term *name, const Found *f) {
  for (uint32_t k = 0; k < f->c->plates.n; k++)
    if (!is_same(x, eval(x, name->args.at[k]), f->at[k])) return false;
  return true;
}

static bool try_match(Context *x, const Group *g, const Evidence *v, uint32_t n, Match *m) {
  if (n == v->n) {
    const Found *first = &v->list[0];
    Context own = {.d = x->d, .guard = build_bool(B(x), false)};
    Context top = {.d = x->d};
    for (uint32_t k = 0; k < first->c->network->outer; k++) {
      Bounds r = eval_range(&top, &first->c->plates.at[k]->range);
      own = with_index(&own, first->c->plates.at[k], first->at[k], r.lo, r.hi, false);
      if (g->outer.at[k] != first->c->plates.at[k])
        own = with_index(&own, g->outer.at[k], first->at[k], r.lo, r.hi, false);
    }
    for (uint32_t round = 0; round < 2; round++)
      for (uint32_t i = 0; i < n; i++) bind_from(&own, g, &v->list[i], g->names.at[m->name[i]], round);
    if (!all_bound(&own, g)) return false;
    for (uint32_t i = 0; i < n; i++)
      if (!names_it(&own, g->names.at[m->name[i]], &v->list[i])) return false;
    m->x = own;
    m->x.guard = x->guard;
    return true;
  }
  for (uint32_t k = 0; k < g->names.n; k++) {
    bool taken = g->names.at[k]->edge != v->list[n].c->edges.at[0];
    for (uint32_t i = 0; i < n; i++) taken |= m->name[i] == k;
    m->name[n] = k;
    if (!taken && try_match(x, g, v, n + 1, m)) return true;
  }
  return false;
}

/* Bounds of the loops around, by value, so that ranges which are the same are seen to be. */
static void take_bounds(Context *x, const Group *g, Context *y) {
  for (uint32_t i = 0; i < g->loops.n; i++) {
    const BoundIndex *own = find_bound(y, g->loops.at[i]);
    for (const BoundIndex *b = x->bound; b; b = b->next)
      if (b->v == own->v) {
        *y = with_index(y, g->loops.at[i], own->v, b->lo, b->hi, false);
        break;
      }
  }
}

typedef struct Rest { Copy copy; uint32_t group; Val instance, *numbers; uint32_t left; } Rest;

/* Summed over the names in `left`. */
static Val joint_sum(Context *x, const Rest *r) {
  const Network *net = r->copy.c->network;
  if (!r->left) return network_joint(x, r->copy, net, r->group, r->instance, r->numbers);
  uint32_t k = 0;
  while (!(r->left >> k & 1)) k++;
  Component *c = x->d->plan->of_edge[net->groups.at[r->group]->names.at[k]->edge->id];
  NetworkLayout l = network_layout(x->d, net);
  Loop *loop = open_loop(x, LOOP_REDUCE, c->edges.at[0]->span, build_int(B(x), 0), l.values[network_part(net, c)]);
  Acc *a = build_acc(B(x), loop, ACC_LSE, IR_WIDE, 0, NULL);
  Rest inside = *r;
  inside.left &= ~((uint32_t)1 << k);
  inside.numbers[k] = loop->index;
  a->body.log_w = joint_sum(x, &inside);
  return build_close(B(x), loop)->accs.at[0]->result;
}

/* 0: no weight names them together.  *ok: bool, there is such an instance; 0: always. */
static Val named_together(Context *x, Copy copy, const Evidence *v, Val *ok) {
  const Network *net = copy.c->network;
  for (uint32_t i = 0; i < net->groups.n; i++) {
    const Group *g = net->groups.at[i];
    Match m = {0};
    if (g->names.n < v->n || !network_is_countable(g) || !try_match(x, g, v, 0, &m)) continue;
    take_bounds(x, g, &m.x);
    Val numbers[NETWORK_MAX_NAMES] = {0};
    Rest r = {.copy = copy, .group = i, .numbers = numbers, .left = ((uint32_t)1 << g->names.n) - 1};
    r.instance = network_instance(&m.x, net, g, ok);
    if (*ok) r.instance = build_select(B(x), *ok, r.instance, build_int(B(x), 0));
    for (uint32_t k = 0; k < v->n; k++) {
      numbers[m.name[k]] = network_number(x, v->list[k].c, v->list[k].value);
      r.left &= ~((uint32_t)1 << m.name[k]);
    }
    return joint_sum(x, &r);
  }
  return 0;
}

static Val by_chain_rule(Context *x, const Evidence *v) {
  NetworkHeld held[NETWORK_MAX_NAMES];
  Val log_p = 0;
  for (uint32_t k = 0; k < v->n; k++) {
    const Found *f = &v->list[v->n - 1 - k];
    Copy copy = {f->c, f->at};
    Val own = k ? network_given(x, k, held, copy, f->value) : network_marginal(x, copy, NETWORK_ALL, f->value);
    log_p = log_p ? build_2(B(x), IR_LOGMUL, log_p, own) : own;
    held[k] = (NetworkHeld){copy, f->value};
  }
  return log_p;
}

Val network_log(Context *x, Copy copy) {
  Evidence v = evidence(x, copy);
  if (v.why) return refuse_query(x, B(x)->span, v.why);
  if (v.n == 1) return network_marginal(x, (Copy){v.list[0].c, v.list[0].at}, NETWORK_ALL, v.list[0].value);
  Val ok = 0, joint = named_together(x, copy, &v, &ok);
  if (joint && !ok) return joint;
  Val any = by_chain_rule(x, &v);
  return joint ? build_select(B(x), ok, joint, any) : any;
}

Val network_status(Context *x, Copy copy) {
  Val z = network_state(x, copy, NETWORK_ALL),
      finite = build_2(B(x), IR_LT, build_1(B(x), IR_ABS, z), wide(x, INFINITY));
  return build_select(B(x), finite, wide(x, 0), z);
}

/* ---- entropy, kl and count as they name copies ----------------------------------------------------------- */

typedef struct Named { NamedCopies some; bool whole, mixed; const Network *net; Copy first; } Named;

/* All of one network: every edge is named, up to the outer plates at most, by the same indices; by these the checker
 * lets none be named twice. */
static bool is_whole(const Context *x, const Term *t, const Network *net) {
  uint32_t names = 0;
  const CopySet *first = NULL;
  for (uint32_t i = 0; i < t->copies.n; i++) {
    const CopySet *s = &t->copies.at[i];
    const Component *o = x->d->plan->of_edge[s->edge->id];
    if (o->network != net) continue;
    if (!first) first = s;
    if (s->fixed.n > net->outer || s->fixed.n != first->fixed.n) return false;
    for (uint32_t k = 0; k < s->fixed.n; k++)
      if (!term_equal(s->fixed.at[k], first->fixed.at[k])) return false;
    names++;
  }
  return names == net->parts.n;
}

static Named named_in(Context *x, const Term *t, const Component *c) {
  Named n = {.net = c->network, .whole = is_whole(x, t, c->network)};
  uint32_t names = 0;
  for (uint32_t i = 0; i < t->copies.n; i++) {
    const CopySet *s = &t->copies.at[i];
    Component *o = x->d->plan->of_edge[s->edge->id];
    if (o->network != c->network) continue;
    Copy copy = {o, NEW_ARRAY(x->d->arena, Val, o->plates.n + 1)};
    copy_indices(x, s->edge, &s->fixed, copy.at);
    if (!n.first.c) n.first = copy;
    if (s->fixed.n == o->plates.n) vec_push(x->d->arena, &n.some, (NamedCopy){copy, s->edge, s->fixed.n});
    names++;
  }
  n.mixed = !n.whole && n.some.n != names;
  return n;
}

static Val refuse_named(Context *x, const Term *t) {
  return refuse_query(x, t->span,
                      "of edges that are joined in a network this query is about some of their copies, or about all "
                      "copies of all of them; others are not compiled yet");
}

typedef Val (*WholeFn)(Context *x, Copy copy);
typedef struct OverOuter { WholeFn fn; uint32_t at; Copy copy; } OverOuter;

static Val over_outer(Context *x, AccKind kind, const OverOuter *o);

typedef struct OuterStep { AccKind kind; const OverOuter *o; } OuterStep;

static void contribute_outer(Context *x, void *arg, Contribution *c) {
  OuterStep *s = arg;
  OverOuter o = *s->o;
  Copy copy = {o.copy.c, NEW_ARRAY(x->d->arena, Val, o.copy.c->plates.n + 1)};
  memcpy(copy.at, o.copy.at, o.copy.c->plates.n * sizeof *copy.at);
  copy.at[o.at] = find_bound(x, o.copy.c->plates.at[o.at])->v;
  o.copy = copy;
  o.at++;
  c->x = build_convert(B(x), over_outer(x, s->kind, &o), IR_WIDE);
}

/* fn of the networks of all outer copies from o->at on. */
static Val over_outer(Context *x, AccKind kind, const OverOuter *o) {
  if (o->at < o->copy.c->network->outer)
    return reduce_over(x, o->copy.c->plates.at[o->at], kind, IR_WIDE, contribute_outer, &(OuterStep){kind, o});
  return o->fn(x, o->copy);
}

static Val of_whole(Context *x, const Term *t, const Named *n, AccKind kind, WholeFn fn) {
  uint32_t fixed = n->net->outer;
  for (uint32_t i = 0; i < t->copies.n; i++)
    if (t->copies.at[i].edge == n->first.c->edges.at[0]) fixed = t->copies.at[i].fixed.n;
  return over_outer(x, kind, &(OverOuter){fn, fixed < n->net->outer ? fixed : n->net->outer, n->first});
}

static Val or_nothing(Context *x, Copy copy, Val v) { return where_bond_holds(x, copy, v, 0); }

static Val unless_spoilt(Context *x, Copy copy, Val v) {
  Val z = network_total(x, copy, NETWORK_ALL, 0), spoilt = build_2(B(x), IR_NE, z, z);
  return or_nothing(x, copy, build_select(B(x), spoilt, wide(x, NAN), v));
}

static Val whole_entropy(Context *x, Copy copy) {
  return unless_spoilt(x, copy, network_total(x, copy, NETWORK_ALL, 1));
}

static Val whole_kl(Context *x, Copy copy) {
  Val h = network_total(x, copy, NETWORK_ALL, 1), kl = build_2(B(x), IR_SUB, network_total(x, copy, NETWORK_ALL, 2), h);
  return unless_spoilt(x, copy, build_2(B(x), IR_ADD, kl, network_lost(x, copy)));
}

static Val whole_count(Context *x, Copy copy) { return network_total(x, copy, NETWORK_REQUIRES, 0); }

/* ---- some copies: the chain rule, copy by copy ----------------------------------------------------------- */

typedef struct Some { const NamedCopies *n; uint32_t at; } Some;

static Val entropy_from(Context *x, const Some *s);

static void contribute_law(Context *x, void *arg, Contribution *c) {
  const Some *s = arg;
  c->log_w = network_log(x, s->n->at[s->at].copy);
}

static void contribute_rest(Context *x, void *arg, Contribution *c) {
  const Some *s = arg;
  contribute_law(x, arg, c);
  c->x = entropy_from(x, &(Some){s->n, s->at + 1});
}

static Val over_copy(Context *x, const Some *s, AccKind kind, ContributeFn fn) {
  const NamedCopy *k = &s->n->at[s->at];
  return stream_edge(x, k->copy, k->edge, kind, IR_WIDE, 0, NULL, fn, (void *)s)->result;
}

static Val is_without_weight(Context *x, Copy copy) {
  Val without = build_2(B(x), IR_EQ, network_status(x, copy), wide(x, -INFINITY)), holds = bond_holds(x, copy);
  return holds ? build_2(B(x), IR_OR, without, build_1(B(x), IR_NOT, holds)) : without;
}

/* A copy of a component without weight has no law, and the others have theirs without it. */
static Val entropy_from(Context *x, const Some *s) {
  const Some next = {s->n, s->at + 1};
  if (s->at == s->n->n) return wide(x, 0);
  const NamedCopy *k = &s->n->at[s->at];
  if (find_known(x, k->copy.c, k->edge, k->copy.at)) return entropy_from(x, &next);
  Val h = over_copy(x, s, ACC_ENTROPY, contribute_law);
  if (next.at == s->n->n) return or_nothing(x, k->copy, h);
  h = build_2(B(x), IR_ADD, h, over_copy(x, s, ACC_EXPECT, contribute_rest));
  return build_select(B(x), is_without_weight(x, k->copy), entropy_from(x, &next), h);
}

static Val some_entropy(Context *x, const NamedCopies *n) { return entropy_from(x, &(Some){n, 0}); }

/* E[- log of the copy's share of the prior's total]. */
static void contribute_prior(Context *x, void *arg, Contribution *c) {
  const NamedCopy *k = arg;
  contribute_law(x, &(Some){&(NamedCopies){.at = (NamedCopy *)k, .n = 1}, 0}, c);
  Val share = network_marginal(x, k->copy, NETWORK_PRIORS, find_known(x, k->copy.c, k->edge, k->copy.at)->value);
  c->x = build_1(B(x), IR_NEG, build_2(B(x), IR_ADD, share, network_state(x, k->copy, NETWORK_PRIORS)));
}

static Val one_kl(Context *x, const NamedCopies *n) {
  NamedCopy *k = &n->at[0];
  Val cross = stream_edge(x, k->copy, k->edge, ACC_EXPECT, IR_WIDE, 0, NULL, contribute_prior, k)->result;
  Val kl = build_2(B(x), IR_SUB, cross, some_entropy(x, n));
  return build_select(B(x), is_without_weight(x, k->copy), wide(x, 0), kl);
}

/* ---- queries --------------------------------------------------------------------------------------------- */

Val network_entropy_of(Context *x, const Term *t, const Component *c) {
  Named n = named_in(x, t, c);
  if (n.whole) return of_whole(x, t, &n, ACC_SUM, whole_entropy);
  return n.mixed || !n.some.n ? refuse_named(x, t) : decided_copies(x, &n.some, some_entropy);
}

Val network_kl_of(Context *x, const Term *t, const Component *c) {
  Named n = named_in(x, t, c);
  if (n.whole) return of_whole(x, t, &n, ACC_SUM, whole_kl);
  if (n.mixed || n.some.n != 1) return refuse_named(x, t);
  return one_kl(x, &n.some);
}

Val network_count_of(Context *x, const Term *t, const Component *c) {
  Named n = named_in(x, t, c);
  return n.whole ? of_whole(x, t, &n, ACC_PROD, whole_count) : refuse_named(x, t);
}

static Val whole_logz(Context *x, Copy copy) {
  return build_2(B(x), IR_LOGMUL, network_total(x, copy, NETWORK_ALL, 0), network_lost(x, copy));
}

static Val is_empty(Context *x, Copy copy) {
  return build_select(B(x), build_2(B(x), IR_EQ, network_total(x, copy, NETWORK_ALL, 0), wide(x, -INFINITY)),
                      wide(x, 1), wide(x, 0));
}

Val network_logz(Context *x, const Component *c, Span span) {
  uint32_t n = x->d->plates->n, outer = c->network->outer;
  if (n > outer)
    return refuse_partly_outside(x, span, c);
  Copy copy = {(Component *)c, NEW_ARRAY(x->d->arena, Val, c->plates.n + 1)};
  for (uint32_t i = 0; i < n; i++) copy.at[i] = find_bound(x, c->plates.at[i])->v;
  Val sum = over_outer(x, ACC_SUM, &(OverOuter){.fn = whole_logz, .at = n, .copy = copy});
  if (n == outer) return sum;
  Val empties = over_outer(x, ACC_SUM, &(OverOuter){.fn = is_empty, .at = n, .copy = copy});
  return build_select(B(x), build_2(B(x), IR_GT, empties, wide(x, 0)), wide(x, -INFINITY), sum);
}
