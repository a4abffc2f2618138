/* structure_prior: how many values a structure has, and what its prior makes of them.
 *
 *   log of their number   a closed form; under requires, the log sum with these alone as weights
 *   kl of all nodes       E[log posterior - log prior] = -H - sum over nodes E[log prior choice] + log normaliser
 *   kl of some            the same of their law, node by node */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/chain.h"
#include "infer/structure.h"

/* ---- supports ---------------------------------------------------------------------------------------------------- */

static Val log_factorial(Context *x, Val n) { return build_1(B(x), IR_LGAMMA, add(x, n, wide(x, 1))); }

static Val log_choose(Context *x, Val n, Val k) {
  return sub(x, sub(x, log_factorial(x, n), log_factorial(x, k)), log_factorial(x, sub(x, n, k)));
}

typedef struct Sides { Val m, n; } Sides;

static void contribute_matched(Context *x, const Sides *s, Val matched, Contribution *c) {
  Val k = build_convert(B(x), matched, IR_WIDE);
  c->log_w = add(x, add(x, log_choose(x, s->m, k), log_choose(x, s->n, k)), log_factorial(x, k));
}

/* sum over k of C(m, k) C(n, k) k! */
static Val log_partial_matchings(Context *x, const Shape *shape, const Sides *s) {
  Builder *b = B(x);
  Val most = build_2(b, IR_MAX, build_2(b, IR_MIN, shape->nodes, shape->targets), build_int(b, 0));
  Loop *l = build_open(b, LOOP_REDUCE, build_int(b, 0), build_2(b, IR_ADD, most, build_int(b, 1)));
  Acc *a = build_acc(b, l, ACC_LSE, IR_WIDE, 0, NULL);
  Contribution c = {0};
  contribute_matched(x, s, l->index, &c);
  a->body = c;
  return build_close(b, l)->accs.at[0]->result;
}

/* n^(n - 1) rooted trees, (n + 1)^(n - 1) rooted forests (Cayley 1889), C(3n, n) / (2n + 1) without crossing arcs;
 * n! / (n - m)! matchings of all of m rows. */
Val structure_log_support(Context *x, const Edge *e) {
  Builder *b = B(x);
  Shape s = structure_shape(x, e);
  if (structure_is_ended(x, e)) s.nodes = structure_nodes(x, e), s.targets = structure_targets(x, e);
  Val n = build_convert(b, s.targets, IR_WIDE), m = build_convert(b, s.nodes, IR_WIDE), one = wide(x, 1);
  Val some = build_2(b, IR_GT, n, wide(x, 0));
  switch (e->domain) {
  case DOMAIN_TREE: {
    Val base = e->many_roots ? add(x, n, one) : n;
    return build_select(b, some, mul(x, sub(x, n, one), build_1(b, IR_LOG, base)), wide(x, 0));
  }
  case DOMAIN_PROJECTIVE_TREE: {
    Val twice = mul(x, n, wide(x, 2));
    return sub(x, log_choose(x, add(x, twice, n), n), build_1(b, IR_LOG, add(x, twice, one)));
  }
  case DOMAIN_PERMUTATION: return log_factorial(x, n);
  case DOMAIN_MATCHING:
    if (e->or_none) return log_partial_matchings(x, &s, &(Sides){m, n});
    return build_select(b, build_2(b, IR_GT, m, n), wide(x, -INFINITY),
                        sub(x, log_factorial(x, n), log_factorial(x, sub(x, n, m))));
  case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  ICE("no structure");
}

Val structure_count(Context *x, Copy copy) {
  Val count = build_1(B(x), IR_EXP, structure_sum_under(x, copy, WEIGHTS_REQUIRE, 0));
  return build_1(B(x), IR_ROUND, count);
}

typedef struct OfNode { Copy copy; WeightSet set; } OfNode;

static Choice value_of(Context *x, Copy copy) { return find_known(x, copy.c, copy.c->structure->edge, copy.at)->value; }

static Val log_given(Context *x, Copy copy, WeightSet set) {
  return structure_log_given(x, copy, set, value_of(x, copy));
}

/* Nodes of one structure, from number `at` on: those before it have values in x, and one that is named twice too. */
typedef struct Rest { const NamedCopies *n; uint32_t at; } Rest;

static const Rest *skip_known(Context *x, const Rest *r, Rest *next) {
  *next = *r;
  for (; next->at < r->n->n; next->at++) {
    const NamedCopy *k = &r->n->at[next->at];
    if (!find_known(x, k->copy.c, k->edge, k->copy.at)) return next;
  }
  return NULL;
}

static Acc *over_node(Context *x, const Rest *r, AccKind kind, ContributeFn fn) {
  const NamedCopy *k = &r->n->at[r->at];
  return stream_edge(x, k->copy, k->edge, kind, IR_WIDE, 0, NULL, fn, (void *)r);
}

static Val count_from(Context *x, const Rest *r);

static void contribute_possible(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  Val possible = build_2(B(x), IR_GT, log_given(x, r->n->at[r->at].copy, WEIGHTS_REQUIRE), wide(x, -INFINITY));
  c->x = build_select(B(x), possible, count_from(x, &(Rest){r->n, r->at + 1}), wide(x, 0));
}

static Val count_from(Context *x, const Rest *r) {
  Rest next;
  if (!skip_known(x, r, &next)) return wide(x, 1);
  return over_node(x, &next, ACC_SUM, contribute_possible)->result;
}

Val structure_nodes_count(Context *x, const NamedCopies *n) { return count_from(x, &(Rest){n, 0}); }

/* ---- kl ---------------------------------------------------------------------------------------------------------- */

/* Has the structure the uniform prior, none of its nodes having one of its own? */
static bool is_uniform(const Component *c) { return !c->structure->edge->prior; }

static Val where_exists(Context *x, Copy copy, Val v) {
  return build_select(B(x), copy_exists(x, copy), v, wide(x, 0));
}

static void contribute_prior_choice(Context *x, void *arg, Contribution *c) {
  OfNode *o = arg;
  c->log_w = structure_log_marginal(x, o->copy, value_of(x, o->copy));
  c->x = structure_local_log(x, o->copy, WEIGHTS_PRIOR);
}

static void contribute_node_prior(Context *x, void *arg, Contribution *c) {
  OfNode *o = arg;
  Copy copy = {o->copy.c, NEW_ARRAY(x->d->arena, Val, o->copy.c->plates.n)};
  memcpy(copy.at, o->copy.at, copy.c->plates.n * sizeof *copy.at);
  copy.at[copy.c->plates.n - 1] = find_bound(x, copy.c->structure->node)->v;
  OfNode own = {copy, o->set};
  c->x = stream_edge(x, copy, copy.c->structure->edge, ACC_EXPECT, IR_WIDE, 0, NULL, contribute_prior_choice, &own)
             ->result;
}

/* Of the prior, as far as it is not uniform: summed over the nodes. */
Val structure_kl(Context *x, Copy copy) {
  Val minus_h = build_1(B(x), IR_NEG, structure_entropy(x, copy));
  Context y = in_copy(x, copy);
  if (is_uniform(copy.c))
    return where_exists(x, copy, add(x, minus_h, structure_log_support(&y, copy.c->structure->edge)));
  OfNode o = {copy, WEIGHTS_PRIOR};
  Val cross = reduce_over(x, copy.c->structure->node, ACC_SUM, IR_WIDE, contribute_node_prior, &o);
  return where_exists(x, copy, sub(x, minus_h, cross));
}

/* E[log prior], by the chain rule. */
static Val cross_from(Context *x, const Rest *r);

static void contribute_prior_given(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  Copy copy = r->n->at[r->at].copy;
  c->log_w = log_given(x, copy, WEIGHTS_ALL);
  c->x = add(x, log_given(x, copy, WEIGHTS_PRIOR), cross_from(x, &(Rest){r->n, r->at + 1}));
}

static Val cross_from(Context *x, const Rest *r) {
  Rest next;
  if (!skip_known(x, r, &next)) return wide(x, 0);
  return over_node(x, &next, ACC_EXPECT, contribute_prior_given)->result;
}

Val structure_nodes_kl(Context *x, const NamedCopies *n) {
  Copy copy = n->at[0].copy;
  Val minus_h = build_1(B(x), IR_NEG, copies_entropy(x, n)), cross = cross_from(x, &(Rest){n, 0});
  Val lost = is_uniform(copy.c) ? wide(x, 0)
                                : structure_sum_under(x, copy, WEIGHTS_PRIOR, 0); /* exact pmfs need not sum to 1 */
  return where_exists(x, copy, sub(x, sub(x, minus_h, cross), lost));
}
