/* query: what is asked of the posterior beside E and P.
 *
 *   mode      the largest joint weight: maxima below, arg max, then downward given what is above
 *   sample    the same with a Gumbel variable added to the log marginal of each value (Gumbel-max trick:
 *             Yellott 1977); draws are functions of (seed, edge, copy, draw, value)
 *   entropy   chain rule H(a, b) = H(a) + E_a H(b | a)
 *   kl        E[log posterior - log prior], by the same rule
 *   logZ      sum over the components inside the enclosing copies, priors normalised
 *   count     of supports; of all copies, or several edges: also what requires admit */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/latent.h"
#include "infer/named.h"
#include "infer/network.h"
#include "infer/structure.h"
#include "model/term.h"

/* ---- mode and draws ---------------------------------------------------------------------------------------- */

enum { NONE_CODE = -2 }; /* how a stored choice says none; -1 says that the copy is empty */

/* arg max prefers small values: none comes after all others. */
static const int64_t NONE_LAST = INT64_MAX;

typedef struct Pick { const Edge *edge; bool draw; Val seed, number; } Pick;

typedef struct PickAt { Copy copy; const Node *n; const Pick *pick; } PickAt;

Val gumbel_variable(Context *x, Copy copy, const Edge *edge, Val seed, Val number, Choice value) {
  Builder *b = B(x);
  uint32_t n = copy.c->plates.n;
  Val *key = NEW_ARRAY(x->d->arena, Val, n + 4);
  key[0] = seed;
  key[1] = build_int(b, edge->id);
  for (uint32_t i = 0; i < n; i++) key[2 + i] = copy.at[i];
  key[n + 2] = number;
  key[n + 3] = value.none ? build_int(b, -1) : value.v;
  Val u = build_2(b, IR_ADD, build_op(b, IR_RANDOM, IR_WIDE, n + 4, key), wide(x, 0x1p-54)); /* never 0 */
  Val e = build_1(b, IR_NEG, build_1(b, IR_LOG, u));
  return build_1(b, IR_NEG, build_1(b, IR_LOG, e));
}

static void contribute_pick(Context *x, void *arg, Contribution *c) {
  PickAt *p = arg;
  Choice value = find_known(x, p->copy.c, p->n->edge, p->copy.at)->value;
  c->log_w = node_log(x, p->copy, p->n, !p->pick->draw);
  if (p->pick->draw)
    c->log_w = build_2(B(x), IR_LOGMUL, c->log_w,
                       gumbel_variable(x, p->copy, p->n->edge, p->pick->seed, p->pick->number, value));
  c->x = value.none ? build_int(B(x), NONE_LAST) : value.v;
}

static Choice decode(Context *x, Val code, int64_t none_code, bool or_none) {
  return (Choice){code, or_none ? build_2(B(x), IR_EQ, code, build_int(B(x), none_code)) : 0};
}

static Val pick_at(Context *x, Copy copy, const Node *n, const Pick *pick) {
  return stream_edge(x, copy, n->edge, ACC_ARGMAX, IR_INT, 0, NULL, contribute_pick, &(PickAt){copy, n, pick})->result;
}

static bool is_below(const Node *n, const Edge *e) {
  if (n->edge == e) return true;
  for (uint32_t i = 0; i < n->children.n; i++)
    if (is_below(n->children.at[i], e)) return true;
  return false;
}

/* The code of the value of pick->edge: the value, -1 for an empty copy, NONE_LAST. */
static Val pick_below(Context *x, Copy copy, const Node *n, const Pick *pick) {
  Builder *b = B(x);
  Val code = pick_at(x, copy, n, pick);
  if (n->edge == pick->edge) return code;
  Val empty = build_2(b, IR_EQ, code, build_int(b, -1));
  Context y = with_known(x, copy, n->edge, decode(x, code, NONE_LAST, edge_has_none(n->edge)));
  y = with_guard(&y, build_1(b, IR_NOT, empty));
  for (uint32_t i = 0; i < n->children.n; i++)
    if (is_below(n->children.at[i], pick->edge))
      return build_select(b, empty, code, pick_below(&y, copy, n->children.at[i], pick));
  ICE("an edge outside its elimination tree");
}

static Val pick_code(Context *x, Copy copy, void *arg) {
  const Pick *p = arg;
  Val code = pick_below(x, copy, copy.c->root, p);
  return build_select(B(x), build_2(B(x), IR_EQ, code, build_int(B(x), NONE_LAST)), build_int(B(x), NONE_CODE), code);
}

static Choice stored_pick(Context *x, Copy copy, const Pick *pick, const void *key) {
  Array *a = NULL;
  if (is_redundant(x, copy.c->plates.n, copy.at))
    a = memo(x, copy.c, key, NULL, &(IndexVec){0}, STORE_INT, pick_code, (void *)pick);
  Val code = a ? memo_load(x, a, copy, &(IndexVec){0}) : pick_code(x, copy, (void *)pick);
  return decode(x, code, NONE_CODE, edge_has_none(pick->edge));
}

Choice mode_value(Context *x, Copy copy, Edge *e) {
  if (copy.c->structure) return structure_mode(x, copy);
  if (copy.c->chain) return chain_mode(x, copy, e);
  if (copy.c->network) return network_mode(x, copy);
  return stored_pick(x, copy, &(Pick){.edge = e}, e);
}

Choice draw_value(Context *x, Copy copy, Edge *e, Val seed, Val draw) {
  if (copy.c->structure) return structure_draw_of(x, copy, draw);
  Pick p = {.edge = e, .draw = true, .seed = seed, .number = draw};
  return decode(x, pick_code(x, copy, &p), NONE_CODE, edge_has_none(e));
}

static Val seed_of_run(Context *x) {
  Derive *d = x->d;
  if (!d->seed) {
    vec_push(d->arena, &d->b.k->sizes, "seed.");
    d->seed = build_size(&d->b, d->b.k->sizes.n - 1);
  }
  return d->seed;
}

static Val query_pick(Context *x, const Term *t) {
  const Term *ref = t->args.at[0];
  Copy copy = copy_of(x, ref);
  Choice c;
  if (t->query == QUERY_MODE) c = mode_value(x, copy, ref->edge);
  else if (copy.c->structure) c = structure_draw(x, copy, seed_of_run(x), build_int(B(x), 0));
  else if (copy.c->network) c = network_draw(x, copy, seed_of_run(x), build_int(B(x), 1), build_int(B(x), 0));
  else if (copy.c->chain) c = chain_draw(x, copy, ref->edge, seed_of_run(x), build_int(B(x), 1), build_int(B(x), 0));
  else {
    Pick p = {.edge = ref->edge, .draw = true, .seed = seed_of_run(x), .number = build_int(B(x), 0)};
    c = stored_pick(x, copy, &p, &ref->edge->plates);
  }
  return where_bond_holds(x, copy, c.none ? build_select(B(x), c.none, build_int(B(x), -1), c.v) : c.v, -1);
}

static EdgeSet all_edges(const Component *c) { return ((EdgeSet)1 << c->edges.n) - 1; }

static bool named(const Node *n, EdgeSet set) { return set >> n->at & 1; }

/* Named nodes below unnamed ones: the marginal does not come off the top of the tree. */
static bool named_on_top(const Node *n, EdgeSet set) {
  for (uint32_t i = 0; i < n->children.n; i++) {
    if (!named(n, set) && (n->children.at[i]->below & set)) return false;
    if (!named_on_top(n->children.at[i], set)) return false;
  }
  return true;
}

/* A tree with the named edges on top: the component's own if it will do, else one in which a named edge may even stand
 * above what its support depends on. */
static const Node *marginal_tree(Context *x, Component *c, EdgeSet set) {
  const Node *root = set == all_edges(c) ? c->root : plan_tree(x->d->plan, c, set, false);
  if (root && named_on_top(root, set)) return root;
  root = plan_tree(x->d->plan, c, set, true);
  ICE_UNLESS(root && named_on_top(root, set));
  return root;
}

/* ---- entropy ------------------------------------------------------------------------------------------------- */

typedef struct ChainRule { Copy copy; const Node *n; EdgeSet set; } ChainRule;

static Val entropy_below(Context *x, const ChainRule *c);

static Val children_entropy(Context *x, const ChainRule *c) {
  Val sum = 0;
  for (uint32_t i = 0; i < c->n->children.n; i++) {
    const Node *child = c->n->children.at[i];
    if (!named(child, c->set)) continue;
    Val h = entropy_below(x, &(ChainRule){c->copy, child, c->set});
    sum = sum ? build_2(B(x), IR_ADD, sum, h) : h;
  }
  return sum;
}

static void contribute_entropy(Context *x, void *arg, Contribution *c) {
  ChainRule *k = arg;
  c->log_w = node_log(x, k->copy, k->n, false);
}

static void contribute_children_entropy(Context *x, void *arg, Contribution *c) {
  ChainRule *k = arg;
  c->log_w = node_log(x, k->copy, k->n, false);
  c->x = children_entropy(x, k);
}

static bool has_named_child(const Node *n, EdgeSet set) {
  for (uint32_t i = 0; i < n->children.n; i++)
    if (named(n->children.at[i], set)) return true;
  return false;
}

static Val entropy_below(Context *x, const ChainRule *c) {
  Edge *e = c->n->edge;
  Val h = stream_edge(x, c->copy, e, ACC_ENTROPY, IR_WIDE, 0, NULL, contribute_entropy, (void *)c)->result;
  if (!has_named_child(c->n, c->set)) return h;
  Val below = stream_edge(x, c->copy, e, ACC_EXPECT, IR_WIDE, 0, NULL, contribute_children_entropy, (void *)c)->result;
  return build_2(B(x), IR_ADD, h, below);
}

static Val or_nothing(Context *x, Copy copy, Val v) { return where_bond_holds(x, copy, v, 0); }

static Val entropy_of_structure(Context *x, Copy copy) { return or_nothing(x, copy, structure_entropy(x, copy)); }
static Val entropy_of_chain(Context *x, Copy copy) { return or_nothing(x, copy, chain_entropy(x, copy)); }

static Val entropy_of(Context *x, Copy copy, const Over *o) {
  if (copy.c->structure) return structure_query(x, copy, o, IR_ADD, entropy_of_structure, copies_entropy);
  if (copy.c->chain) return chain_query(x, copy, o, entropy_of_chain, copies_entropy);
  if (copy.c->network) return network_entropy_of(x, o->t, copy.c);
  const Node *root = marginal_tree(x, copy.c, o->set);
  return or_nothing(x, copy, entropy_below(x, &(ChainRule){copy, root, o->set}));
}

/* ---- kl ---------------------------------------------------------------------------------------------------------
 * kl = E[log p(a) - log prior(a)] = -H - E[log prior(a)] over the named edges a, which stand on top of the tree:
 * scores of any size cancel in H.  prior(a) takes the prior lines alone, those of unnamed edges summed out, and is
 * not normalised, since exact pmfs are not. */

typedef struct PriorSum { Copy copy; const Node *n; } PriorSum;

static Val prior_at(Context *x, Copy copy, const Node *n, EdgeSet set);

static void contribute_prior_sum(Context *x, void *arg, Contribution *c) {
  PriorSum *s = arg;
  c->log_w = prior_at(x, s->copy, s->n, 0);
}

/* The node's prior factors and the log sums of those below, but for the subtrees of named nodes. */
static Val prior_at(Context *x, Copy copy, const Node *n, EdgeSet set) {
  Context y = in_copy(x, copy);
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < n->factors.n; i++)
    if (n->factors.at[i]->is_prior) sum = build_2(B(x), IR_LOGMUL, sum, factor_log(&y, copy.c, n->factors.at[i]));
  for (uint32_t i = 0; i < n->children.n; i++) {
    PriorSum s = {copy, n->children.at[i]};
    if (named(s.n, set)) continue;
    Val below = stream_edge(x, copy, s.n->edge, ACC_LSE, IR_WIDE, 0, NULL, contribute_prior_sum, &s)->result;
    sum = build_2(B(x), IR_LOGMUL, sum, below);
  }
  return sum;
}

static Val constant_prior(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < copy.c->constants.n; i++)
    if (copy.c->constants.at[i]->is_prior)
      sum = build_2(B(x), IR_LOGMUL, sum, factor_log(&y, copy.c, copy.c->constants.at[i]));
  return sum;
}

static Val kl_below(Context *x, const ChainRule *c);

static void contribute_kl(Context *x, void *arg, Contribution *c) {
  ChainRule *k = arg;
  c->log_w = node_log(x, k->copy, k->n, false);
  c->x = build_1(B(x), IR_NEG, prior_at(x, k->copy, k->n, k->set));
  for (uint32_t i = 0; i < k->n->children.n; i++)
    if (named(k->n->children.at[i], k->set))
      c->x = build_2(B(x), IR_ADD, c->x, kl_below(x, &(ChainRule){k->copy, k->n->children.at[i], k->set}));
}

static Val kl_below(Context *x, const ChainRule *c) {
  Val cross = stream_edge(x, c->copy, c->n->edge, ACC_EXPECT, IR_WIDE, 0, NULL, contribute_kl, (void *)c)->result;
  Val h = stream_edge(x, c->copy, c->n->edge, ACC_ENTROPY, IR_WIDE, 0, NULL, contribute_entropy, (void *)c)->result;
  return build_2(B(x), IR_SUB, cross, h);
}

static Val kl_of_structure(Context *x, Copy copy) { return or_nothing(x, copy, structure_kl(x, copy)); }
static Val kl_of_chain(Context *x, Copy copy) { return or_nothing(x, copy, chain_kl(x, copy)); }

static Val kl_of(Context *x, Copy copy, const Over *o) {
  if (copy.c->structure) return structure_query(x, copy, o, IR_ADD, kl_of_structure, structure_nodes_kl);
  if (copy.c->chain) return chain_query(x, copy, o, kl_of_chain, copies_kl);
  if (copy.c->network) return network_kl_of(x, o->t, copy.c);
  const Node *root = marginal_tree(x, copy.c, o->set);
  Val kl = kl_below(x, &(ChainRule){copy, root, o->set});
  return build_select(B(x), copy_exists(x, copy), build_2(B(x), IR_SUB, kl, constant_prior(x, copy)), wide(x, 0));
}

/* ---- count --------------------------------------------------------------------------------------------------------
 * Of one copy: the size of its support.  Else the number of joint values of the named edges that supports and
 * requires admit, for some value of the edges that are not named. */

typedef struct Counting { Copy copy; EdgeSet set; uint32_t at; bool joint; } Counting;

static Val count_from(Context *x, const Counting *k);

static void contribute_count(Context *x, void *arg, Contribution *c) {
  Counting *k = arg;
  c->x = count_from(x, &(Counting){k->copy, k->set, k->at + 1, k->joint});
}

/* bool: every require over the edges of the component holds at the values known, and so do the supports of named edges
 * that depend on others, which are streamed after them. */
static Val admitted(Context *x, const Counting *k) {
  Copy copy = k->copy;
  Context y = in_copy(x, copy);
  Val ok = wide(x, 0), inside = build_bool(B(x), true);
  for (uint32_t i = 0; i < copy.c->edges.n; i++) {
    Edge *e = copy.c->edges.at[i];
    if ((k->set >> i & 1) && (support_scope(copy.c, e) & ~k->set))
      inside = build_and(B(x), inside, in_support(x, copy, e, find_known(x, copy.c, e, copy.at)->value));
  }
  for (uint32_t i = 0; i < copy.c->factors.n; i++) {
    const Factor *f = copy.c->factors.at[i];
    if (f->kind == FACTOR_WEIGHT && f->weight->kind == WEIGHT_REQUIRE)
      ok = build_2(B(x), IR_LOGMUL, ok, factor_log(&y, copy.c, f));
  }
  return build_and(B(x), inside, build_2(B(x), IR_EQ, ok, wide(x, 0)));
}

static Val admitted_from(Context *x, const Counting *k);

static void contribute_admitted(Context *x, void *arg, Contribution *c) {
  Counting *k = arg;
  c->x = admitted_from(x, &(Counting){k->copy, k->set, k->at + 1, true});
}

/* bool: the edges not named, from number k->at on, have values that are admitted with those known. */
static Val admitted_from(Context *x, const Counting *k) {
  Counting next = *k;
  while (next.at < k->copy.c->edges.n && (k->set >> next.at & 1)) next.at++;
  if (next.at == k->copy.c->edges.n) return admitted(x, k);
  return stream_edge(x, k->copy, k->copy.c->edges.at[next.at], ACC_ANY, IR_BOOL, 0, NULL, contribute_admitted, &next)
      ->result;
}

static Val count_one(Context *x, const Counting *k) {
  if (!k->joint) return wide(x, 1);
  Val ok = admitted_from(x, &(Counting){k->copy, k->set, 0, true});
  return build_select(B(x), ok, wide(x, 1), wide(x, 0));
}

static Val count_from(Context *x, const Counting *k) {
  Counting next = *k;
  while (next.at < k->copy.c->edges.n && !(k->set >> next.at & 1)) next.at++;
  if (next.at == k->copy.c->edges.n) return count_one(x, &next);
  Edge *e = k->copy.c->edges.at[next.at];
  if (!k->joint && !(k->set >> next.at >> 1) && e->domain == DOMAIN_RANGE && !e->where) {
    Context y = in_copy(x, k->copy);
    return build_convert(B(x), range_count(&y, e), IR_WIDE);
  }
  return stream_edge(x, k->copy, e, ACC_SUM, IR_WIDE, 0, NULL, contribute_count, &next)->result;
}

static bool support_depends_on_others(const Component *c, EdgeSet set) {
  for (uint32_t i = 0; i < c->edges.n; i++)
    if ((set >> i & 1) && (support_scope(c, c->edges.at[i]) & ~set)) return true;
  return false;
}

/* One name with all its indices asks for the size of that copy's support; anything else for joint values, which
 * requires restrict too. */
static Val count_of(Context *x, Copy copy, const Over *o) {
  const Term *t = o->t;
  EdgeSet set = o->set;
  if (copy.c->structure) return structure_query(x, copy, o, IR_MUL, structure_count, structure_nodes_count);
  bool joint = t->copies.n > 1 || t->copies.at[0].fixed.n < copy.c->plates.n;
  if (joint && copy.c->chain) return chain_query(x, copy, o, chain_count, NULL);
  if (joint && copy.c->network) return network_count_of(x, t, copy.c);
  bool depends = copy.c->network ? !network_support_known(x, copy, copy.c->edges.at[0])
                                 : support_depends_on_others(copy.c, set);
  if (depends && !joint)
    return refuse_query(x, t->span, "the count of an edge whose support depends on another edge: name that edge too");
  return count_from(x, &(Counting){copy, set, 0, joint});
}

/* ---- logZ -------------------------------------------------------------------------------------------------------- */

static bool has_prefix(const IndexVec *plates, const IndexVec *prefix) {
  if (plates->n < prefix->n) return false;
  for (uint32_t i = 0; i < prefix->n; i++)
    if (plates->at[i] != prefix->at[i]) return false;
  return true;
}

static Val logz_of(Context *x, Copy copy, const Over *o) {
  (void)o;
  if (copy.c->chain) return chain_logz(x, copy);
  return build_2(B(x), IR_LOGMUL, copy_log_sum(x, copy), copy_log_constant(x, copy));
}

static Val is_empty_copy(Context *x, Copy copy, const Over *o) {
  Val l = logz_of(x, copy, o);
  return build_select(B(x), build_2(B(x), IR_EQ, l, wide(x, -INFINITY)), wide(x, 1), wide(x, 0));
}

/* Sum over the copies; -inf where one is empty, whatever the others are. */
static Val component_logz(Context *x, Component *c, Span span) {
  uint32_t n = x->d->plates->n;
  if (c->chain && n > c->chain->step)
    return refuse_partly_outside(x, span, c);
  Over o = {.c = c, .at = NEW_ARRAY(x->d->arena, Val, c->plates.n), .fixed = n, .fn = logz_of};
  for (uint32_t i = 0; i < n; i++) o.at[i] = find_bound(x, c->plates.at[i])->v;
  Val sum = over_copies(x, ACC_SUM, &o, n);
  if (n + (c->structure ? 1 : 0) == c->plates.n) return sum;
  o.fn = is_empty_copy;
  if (c->chain && c->plates.n == n + 1) return sum;
  Val empties = over_copies(x, ACC_SUM, &o, n);
  return build_select(B(x), build_2(B(x), IR_GT, empties, wide(x, 0)), wide(x, -INFINITY), sum);
}

Val model_evidence(Context *x, bool entropy, Span span) {
  const Plan *p = x->d->plan;
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < p->components.n; i++) {
    Component *c = p->components.at[i];
    if (c->edges.at[0]->id >= p->own_edges || !has_prefix(&c->plates, x->d->plates)) continue;
    if (c->network && c != c->network->parts.at[0] && x->d->plates->n <= c->network->outer)
      continue; /* its first part is all of it */
    sum = build_2(B(x), IR_LOGMUL, sum, c->network ? network_logz(x, c, span) : component_logz(x, c, span));
  }
  for (uint32_t i = 0; i < p->free_weights.n; i++)
    if (has_prefix(&p->free_weights.at[i]->plates, x->d->plates))
      sum = build_2(B(x), IR_LOGMUL, sum, weight_log(x, p->free_weights.at[i], x->d->plates));
  if (entropy && x->d->iteration) sum = build_2(B(x), IR_LOGMUL, sum, latent_entropy(x, x->d->plates));
  return sum;
}

/* E is over q too. */
static Val expectation_under_q(Context *x, const Term *t) {
  Obstacle why = {0};
  const Term *e = x->d->iteration ? expected_term(x->d->plan, (Term *)t, &why) : t;
  if (e) return expectation(x, e);
  const char *text = "no closed form for the expectation of this under the q of its latents, which is no point: %s";
  return refuse_query(x, why.span, arena_printf(x->d->arena, text, why.text));
}

/* Of approximate marginals, which need not sum to 1. */
static bool sums_approximate(const Model *m, const Term *t) {
  for (uint32_t k = 0; k < m->edges.n; k++) {
    const Edge *e = m->edges.at[k];
    if (infer_approximates(e->infer) && term_mentions_edge(t, e)) return true;
  }
  return false;
}

/* Of log weights so large that their rounding is above 1, which differs here and in the sum, it would be any number. */
static Val probability(Context *x, const Term *t) {
  Val p = expectation_under_q(x, t->args.at[0]);
  bool whole = ir_at(B(x)->k, p)->type != IR_WIDE || sums_approximate(x->d->plan->model, t);
  return whole ? p : build_2(B(x), IR_MIN, p, wide(x, 1));
}

Val query(Context *x, const Term *t) {
  switch (t->query) {
  case QUERY_E: return expectation_under_q(x, t->args.at[0]);
  case QUERY_P: return probability(x, t);
  case QUERY_MODE: case QUERY_SAMPLE: return query_pick(x, t);
  case QUERY_ENTROPY: return over_components(x, t, ACC_SUM, IR_ADD, entropy_of);
  case QUERY_KL: return over_components(x, t, ACC_SUM, IR_ADD, kl_of);
  case QUERY_COUNT: {
    Val n = over_components(x, t, ACC_PROD, IR_MUL, count_of);
    return t->type == TYPE_INT ? build_convert(B(x), n, IR_INT) : n;
  }
  case QUERY_LOGZ: return model_evidence(x, false, t->span);
  case QUERY_ELBO: return query_elbo(x, t);
  case QUERY_PARAM: return query_param(x, t);
  case QUERY_SHARE: return chain_share(x, t);
  }
  ICE("unknown query");
}
