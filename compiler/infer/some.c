/* some: the joint law of some copies of a chain: entropy and kl by the chain rule, copy by copy; of some nodes of a
 * structure the entropy. */
#include <math.h>

#include "infer/arith.h"
#include "infer/chain.h"

typedef struct Rest { const NamedCopies *n; uint32_t at; } Rest;

static Val rest_known(Context *x, const Rest *r) {
  const NamedCopy *k = &r->n->at[r->at];
  return find_known(x, k->copy.c, k->edge, k->copy.at) ? 1 : 0;
}

static void contribute_log(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  Copy copy = r->n->at[r->at].copy;
  c->log_w = node_log(x, copy, copy.c->root, false);
}

static Val entropy_from(Context *x, const Rest *r);

static void contribute_rest_entropy(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  contribute_log(x, arg, c);
  c->x = entropy_from(x, &(Rest){r->n, r->at + 1});
}

static Acc *over_copy(Context *x, const Rest *r, AccKind kind, ContributeFn fn) {
  const NamedCopy *k = &r->n->at[r->at];
  return stream_edge(x, k->copy, k->edge, kind, IR_WIDE, 0, NULL, fn, (void *)r);
}

/* H(a, b) = H(a) + E H(b | a).  Where a chain falls apart, a copy of a component without weight has no law, and the
 * others have theirs without it. */
static Val entropy_from(Context *x, const Rest *r) {
  const Rest next = {r->n, r->at + 1};
  if (r->at == r->n->n) return wide(x, 0);
  if (rest_known(x, r)) return entropy_from(x, &next);
  Val h = over_copy(x, r, ACC_ENTROPY, contribute_log)->result;
  if (next.at == r->n->n) return h;
  Copy copy = r->n->at[r->at].copy;
  h = build_2(B(x), IR_ADD, h, over_copy(x, r, ACC_EXPECT, contribute_rest_entropy)->result);
  if (!copy.c->chain || !copy.c->chain->may_break) return h;
  Val empty = build_2(B(x), IR_EQ, chain_status(x, copy), wide(x, -INFINITY));
  return build_select(B(x), empty, entropy_from(x, &next), h);
}

Val copies_entropy(Context *x, const NamedCopies *n) { return entropy_from(x, &(Rest){n, 0}); }

static Val prior_mass(Context *x, const Rest *r);

static void contribute_prior_mass(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  c->log_w = prior_mass(x, &(Rest){r->n, r->at + 1});
}

/* The log sum of the prior's weights over the copies not yet known, up to the constant of chain_log. */
static Val prior_mass(Context *x, const Rest *r) {
  if (r->at == r->n->n) return chain_log_in(x, r->n->at[0].copy, RING_PRIOR);
  if (rest_known(x, r)) return prior_mass(x, &(Rest){r->n, r->at + 1});
  return over_copy(x, r, ACC_LSE, contribute_prior_mass)->result;
}

static Val cross_from(Context *x, const Rest *r);

static void contribute_cross(Context *x, void *arg, Contribution *c) {
  const Rest *r = arg;
  contribute_log(x, arg, c);
  c->x = cross_from(x, &(Rest){r->n, r->at + 1});
}

static Val cross_from(Context *x, const Rest *r) {
  if (r->at == r->n->n) return build_1(B(x), IR_NEG, chain_log_in(x, r->n->at[0].copy, RING_PRIOR));
  if (rest_known(x, r)) return cross_from(x, &(Rest){r->n, r->at + 1});
  return over_copy(x, r, ACC_EXPECT, contribute_cross)->result;
}

static Val prior_total(Context *x, Copy copy) {
  if (copy.c->chain->may_break) return piece_prior(x, copy);
  return build_2(B(x), IR_ADD, chain_total(x, copy, RING_PRIOR), over_steps(x, copy, prior_constant));
}

/* The prior of the copies is their share of the prior's total, since the constant of chain_log is in both. */
static Val kl_in_one_piece(Context *x, const NamedCopies *n) {
  Copy copy = n->at[0].copy;
  Rest all = {n, 0};
  Val cross = build_2(B(x), IR_ADD, cross_from(x, &all), prior_mass(x, &all));
  cross = build_2(B(x), IR_SUB, cross, prior_total(x, copy));
  return unless_empty(x, copy, build_2(B(x), IR_SUB, cross, copies_entropy(x, n)));
}

/* ---- copies of several components ---- */

enum { STEPS_MOST = 6 };

/* The steps that copies are of, a copy of each; and, of copy i, the number of its step. */
typedef struct Steps { Copy at[STEPS_MOST]; uint32_t n, *of; } Steps;

/* False: they are of too many. */
static bool find_steps(Context *x, const NamedCopies *n, Steps *s) {
  *s = (Steps){.of = NEW_ARRAY(x->d->arena, uint32_t, n->n)};
  for (uint32_t i = 0; i < n->n; i++) {
    uint32_t k = 0;
    while (k < s->n && !are_of_one_step(x, s->at[k], n->at[i].copy)) k++;
    if (k == STEPS_MOST) return false;
    if (k == s->n) s->at[s->n++] = n->at[i].copy;
    s->of[i] = k;
  }
  return true;
}

/* The copies of the steps in `set`. */
static NamedCopies of_steps(Context *x, const NamedCopies *n, const Steps *s, uint32_t set) {
  NamedCopies some = {0};
  for (uint32_t i = 0; i < n->n; i++)
    if (set >> s->of[i] & 1) vec_push(x->d->arena, &some, n->at[i]);
  return some;
}

/* bool: the steps in `set` are of one component, and no others are; 0: there is one step. */
static Val are_a_component(Context *x, const Steps *s, uint32_t set) {
  uint32_t first = 0;
  Val one = 0;
  while (!(set >> first & 1)) first++;
  for (uint32_t i = 0; i < s->n; i++) {
    if (i == first) continue;
    Val with = in_one_piece(x, s->at[first], s->at[i]);
    one = build_and(B(x), one, set >> i & 1 ? with : build_1(B(x), IR_NOT, with));
  }
  return one;
}

/* Of copies of several components it is the sum of what it is of each: of every set of them, where that is one. */
Val copies_kl(Context *x, const NamedCopies *n) {
  Steps s;
  if (!n->at[0].copy.c->chain->may_break) return kl_in_one_piece(x, n);
  if (!find_steps(x, n, &s))
    return refuse_query(x, B(x)->span, "kl of this many copies of a chain that may fall apart is not compiled");
  Val sum = wide(x, 0);
  for (uint32_t set = 1; set < (uint32_t)1 << s.n; set++) {
    NamedCopies some = of_steps(x, n, &s, set);
    Val kl = kl_in_one_piece(x, &some), alone = are_a_component(x, &s, set);
    sum = build_2(B(x), IR_ADD, sum, alone ? build_select(B(x), alone, kl, wide(x, 0)) : kl);
  }
  return sum;
}
