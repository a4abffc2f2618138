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

static bool are_of_one_step(Context *x, Copy a, Copy b) {
  int64_t d;
  Val i = named_copy(x, a.c, a.at)[a.c->chain->step], j = named_copy(x, b.c, b.at)[a.c->chain->step];
  return i == j || (constant_distance(B(x)->k, i, j, &d) && !d);
}

/* The prior of the copies is their share of the prior's total, since the constant of chain_log is in both. */
static Val kl_in_one_piece(Context *x, const NamedCopies *n) {
  Copy copy = n->at[0].copy;
  Rest all = {n, 0};
  Val cross = build_2(B(x), IR_ADD, cross_from(x, &all), prior_mass(x, &all));
  cross = build_2(B(x), IR_SUB, cross, prior_total(x, copy));
  return unless_empty(x, copy, build_2(B(x), IR_SUB, cross, copies_entropy(x, n)));
}

/* Of two copies of several components it is the sum of what it is of each. */
Val copies_kl(Context *x, const NamedCopies *n) {
  Copy copy = n->at[0].copy;
  bool one_step = true;
  for (uint32_t i = 1; i < n->n; i++) one_step = one_step && are_of_one_step(x, n->at[i].copy, copy);
  if (!copy.c->chain->may_break || one_step) return kl_in_one_piece(x, n);
  if (n->n > 2)
    return refuse_query(x, B(x)->span, "kl of three or more copies of a chain that may fall apart is not compiled yet");
  NamedCopies first = {.at = n->at, .n = 1}, second = {.at = n->at + 1, .n = 1};
  Val apart = build_2(B(x), IR_ADD, kl_in_one_piece(x, &first), kl_in_one_piece(x, &second));
  return build_select(B(x), in_one_piece(x, copy, n->at[1].copy), kl_in_one_piece(x, n), apart);
}
