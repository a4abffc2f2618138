/* sum: streaming over the values of an edge.
 *
 *   log sum_phi w(phi) = lse over the support of [ factors complete at phi + sum over subtrees below ]
 *
 * by recursion down the elimination tree: a child's sum is a function of the values above it, computed inside
 * the stream of its parent; nothing is tabulated.  Factors that mention no edge of the component (the
 * normalisers of ordinary priors) cancel in every posterior: they are left out here and added in logZ. */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/chain.h"
#include "infer/network.h"
#include "infer/structure.h"
#include "model/term.h"

/* ---- copies ---------------------------------------------------------------------------------------------- */

static bool equal_all(const Component *c, const Val *a, const Val *b) {
  for (uint32_t i = 0; i < c->plates.n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool equal_whole(const Component *c, const Val *a, const Val *b) {
  for (uint32_t i = 0; i < c->plates.n; i++)
    if (tells_apart(c, i) && a[i] != b[i]) return false;
  return true;
}

bool tells_apart(const Component *c, uint32_t k) {
  if (c->structure) return k + 1 < c->plates.n;
  if (c->network) return k < c->network->outer;
  return !c->chain || k != c->chain->step;
}

bool is_joined_to_others(const Component *c) { return c->structure || c->chain || c->network; }

const Component *whole_of(const Component *c) { return c->network ? c->network->parts.at[0] : c; }

/* The node, or copy, of that structure, chain or network which stands for all that are the same. */
static Val *in_named_one(const Context *x, const Component *c, Val *at) {
  const Component *whole = whole_of(c);
  for (const Decision *d = is_joined_to_others(c) ? x->decisions : NULL; d && x->d->steps <= DERIVE_MAX_STEPS;
       x->d->steps++) {
    bool here = d->c == whole && d->same && d->of_one && equal_whole(whole, d->x, at);
    if (here) {
      Val *there = NEW_ARRAY(x->d->arena, Val, c->plates.n);
      for (uint32_t k = 0; k < c->plates.n; k++) there[k] = tells_apart(c, k) ? d->y[k] : at[k];
      at = there;
    }
    d = here ? x->decisions : d->next;
  }
  return at;
}

Val *named_copy(const Context *x, const Component *c, Val *at) {
  at = in_named_one(x, c, at);
  for (const Decision *d = x->decisions; d && x->d->steps <= DERIVE_MAX_STEPS; x->d->steps++) {
    bool here = d->c == c && d->same && !d->of_one && equal_all(c, in_named_one(x, c, d->x), at);
    if (here) at = in_named_one(x, c, d->y);
    d = here ? x->decisions : d->next;
  }
  return at;
}

bool same_copy(const Context *x, const Component *c, Val *a, Val *b) {
  return equal_all(c, named_copy(x, c, a), named_copy(x, c, b));
}

bool are_of_one(const Context *x, Copy a, Copy b) {
  return is_joined_to_others(a.c) && whole_of(a.c) == whole_of(b.c) &&
         equal_whole(whole_of(a.c), in_named_one(x, a.c, a.at), in_named_one(x, b.c, b.at));
}

const Known *find_known(const Context *x, const Component *c, const Edge *e, Val *copy) {
  for (const Known *k = x->known; k; k = k->next)
    if (k->c == c && k->edge == e && same_copy(x, c, k->copy, copy)) return k;
  return NULL;
}

Context with_known(const Context *x, Copy copy, Edge *e, Choice value) {
  Known *k = NEW(x->d->arena, Known);
  *k = (Known){.c = copy.c, .edge = e, .copy = copy.at, .value = value, .next = x->known};
  Context y = *x;
  y.known = k;
  return y;
}

Context with_same_copy(const Context *x, Component *c, Val *other, Val *at) {
  Val *from = named_copy(x, c, other), *to = named_copy(x, c, at);
  if (equal_all(c, from, to)) return *x;
  Decision *d = NEW(x->d->arena, Decision);
  *d = (Decision){c, from, to, false, true, x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

Context in_copy(const Context *x, Copy copy) {
  Context y = *x, top = {.d = x->d};
  y.bound = NULL;
  for (uint32_t i = 0; i < copy.c->plates.n; i++) {
    Index *p = copy.c->plates.at[i];
    const BoundIndex *n = find_bound(x, p);
    Bounds r = {0};
    Val v = index_along(&y, copy, i);
    if (n && n->v == v) r = (Bounds){n->lo, n->hi, NULL, 0};
    else if (has_fixed_bounds(p)) r = eval_range(&top, &p->range);
    y = with_index(&y, p, v, r.lo ? r.lo : v, r.hi, false);
  }
  return y;
}

Copy own_copy(Context *x, Component *c) {
  Copy copy = {c, NEW_ARRAY(x->d->arena, Val, c->plates.n)};
  for (uint32_t i = 0; i < c->plates.n; i++) {
    const BoundIndex *n = find_bound(x, c->plates.at[i]);
    if (!n) ICE("a copy outside its plates");
    copy.at[i] = place_along(x, c, i, n->v);
  }
  return copy;
}

/* Does v run over this row: is it the row's element at the position of a loop over all of it? */
static bool runs_over(const Context *x, Val v, const Bounds *r) {
  const Kernel *k = B(x)->k;
  const Instr *i = ir_at(k, v);
  if (i->op != IR_LOAD || i->array != r->row) return false;
  const Instr *position = ir_at(k, i->arg[0]);
  return position->op == IR_INDEX && position->loop && position->loop->lo == r->lo && position->loop->hi == r->hi;
}

typedef struct Search { const Bounds *r; Val v; } Search;

/* bool: is v stored in the row? */
static Val is_stored(Context *x, Val v, const Bounds *r) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_REDUCE, r->lo, r->hi);
  Acc *a = build_acc(b, l, ACC_ANY, IR_BOOL, 0, NULL);
  a->body = (Contribution){.x = build_2(b, IR_EQ, build_load(b, r->row, &l->index), v)};
  return build_close(b, l)->accs.at[0]->result;
}

/* A copy, or an element of an array, named by a value that is not stored in the row does not exist. */
void check_stored(Context *x, Val v, const Bounds *r) {
  if (runs_over(x, v, r)) return;
  Builder *b = B(x);
  Val place = build_select(b, is_stored(x, v, r), build_int(b, 0), build_int(b, -1));
  build_check(b, IR_CHECK_INDEX, x->guard, place, build_int(b, 1));
}

/* y binds the plates before this one to the copy's index values: its bounds may depend on them. */
static void check_copy_index(Context *y, const Term *arg, Val v, const Index *plate) {
  Context top = {.d = y->d}, *scope = has_fixed_bounds(plate) ? &top : y;
  Bounds r = eval_range(scope, &plate->range);
  B(y)->span = arg->span;
  if (r.row) {
    check_stored(y, v, &r);
    return;
  }
  if (provably_within(y, v, r.lo, r.hi)) return;
  build_check(B(y), IR_CHECK_INDEX, y->guard, build_2(B(y), IR_SUB, v, r.lo), build_2(B(y), IR_SUB, r.hi, r.lo));
}

Val index_of_copy(Context *x, Choice named) {
  return named.none ? build_select(B(x), named.none, build_int(B(x), 0), named.v) : named.v;
}

void copy_indices(Context *x, const Edge *e, const TermVec *args, Val *at) {
  Context y = *x;
  bool own = true; /* so far these are the indices of the plates one stands in */
  for (uint32_t i = 0; i < args->n; i++) {
    Index *plate = x->d->plan->of_edge[e->id]->plates.at[i];
    Choice named = eval_choice(x, args->at[i]);
    Val v = index_of_copy(x, named);
    Context there = named.none ? with_guard(&y, build_1(B(x), IR_NOT, named.none)) : y;
    const BoundIndex *n = find_bound(x, plate);
    own = own && n && n->v == v;
    if (!own) check_copy_index(&there, args->at[i], v, plate);
    at[i] = place_along(&y, x->d->plan->of_edge[e->id], i, v);
    if (!own) y = with_index(&y, plate, v, v, 0, false);
  }
}

Copy copy_of(Context *x, const Term *t) {
  Copy copy = {x->d->plan->of_edge[t->edge->id], NEW_ARRAY(x->d->arena, Val, t->args.n)};
  copy_indices(x, t->edge, &t->args, copy.at);
  return copy;
}

/* ---- supports --------------------------------------------------------------------------------------------- */

static Bounds domain_of(Context *x, const Edge *e) {
  if (edge_is_structured(e)) return (Bounds){build_int(B(x), 0), eval(x, e->n), NULL, 0};
  if (e->domain == DOMAIN_BIT) return (Bounds){build_int(B(x), 0), build_int(B(x), 2), NULL, 0};
  return eval_range(x, &e->range);
}

/* `where` at the value known in x; a bit keeps its 0. */
static Val where_holds(Context *x, const Edge *e, Val value) {
  if (!e->where) return 0;
  Val cond = eval(x, e->where);
  return e->domain == DOMAIN_BIT ? build_2(B(x), IR_OR, build_2(B(x), IR_EQ, value, build_int(B(x), 0)), cond) : cond;
}

static bool support_is_known(Context *x, Copy copy, const Edge *e);

Val in_support(Context *x, Copy copy, Edge *e, Choice value) {
  Builder *b = B(x);
  Context y = in_copy(x, copy);
  Bounds r = domain_of(&y, e);
  Val inside = r.row ? is_stored(x, value.v, &r)
                     : build_2(b, IR_AND, build_2(b, IR_GE, value.v, r.lo), build_2(b, IR_LT, value.v, r.hi));
  y = with_known(&y, copy, e, value);
  y = with_guard(&y, inside);
  if (support_is_known(x, copy, e))
    inside = build_and(b, inside, where_holds(&y, e, value.v)); /* else its weight is -inf */
  return value.none ? build_select(b, value.none, build_bool(b, edge_has_none(e)), inside) : inside;
}

/* ---- an edge above what its support depends on -----------------------------------------------------------------
 * It is streamed from the smallest to the greatest value it may have, over all columns of a graph where it is one of a
 * row; FACTOR_SUPPORT, where the others are known, removes those that it has not. */

static bool support_is_known(Context *x, Copy copy, const Edge *e) {
  if (copy.c->network) return network_support_known(x, copy, e);
  EdgeSet scope = support_scope(copy.c, e);
  for (uint32_t k = 0; k < copy.c->edges.n; k++)
    if ((scope >> k & 1) && !find_known(x, copy.c, copy.c->edges.at[k], copy.at)) return false;
  return true;
}

typedef struct Hull { Copy copy; const Edge *e; bool greatest; } Hull;

static Val hull_bound(Context *x, const Hull *h);

static void contribute_bound(Context *x, void *arg, Contribution *c) { c->x = hull_bound(x, arg); }

/* The least lower or greatest upper bound over all values of the edges that are not known. */
static Val hull_bound(Context *x, const Hull *h) {
  EdgeSet scope = support_scope(h->copy.c, h->e);
  for (uint32_t k = 0; k < h->copy.c->edges.n; k++) {
    Edge *other = h->copy.c->edges.at[k];
    if (!(scope >> k & 1) || find_known(x, h->copy.c, other, h->copy.at)) continue;
    return stream_edge(x, h->copy, other, h->greatest ? ACC_MAX : ACC_MIN, IR_INT, 0, NULL, contribute_bound, (void *)h)
        ->result;
  }
  Context own = in_copy(x, h->copy);
  Bounds r = domain_of(&own, h->e);
  Val empty = build_2(B(x), IR_GE, r.lo, r.hi);
  if (r.none) empty = build_2(B(x), IR_OR, empty, r.none);
  Val neutral = build_int(B(x), h->greatest ? INT64_MIN : INT64_MAX);
  return build_select(B(x), empty, neutral, h->greatest ? r.hi : r.lo);
}

static Bounds values_of(Context *x, Copy copy, const Edge *e) {
  Context own = in_copy(x, copy);
  if (support_is_known(x, copy, e) || copy.c->chain || copy.c->network) return domain_of(&own, e);
  if (e->range.kind == RANGE_ROW) return (Bounds){.lo = build_int(B(x), 0), .hi = eval(x, e->range.graph->dims.at[1])};
  Val lo = hull_bound(x, &(Hull){copy, e, false}), hi = hull_bound(x, &(Hull){copy, e, true});
  return (Bounds){.lo = lo, .hi = build_2(B(x), IR_MAX, lo, hi)}; /* where there is no value: nothing, not hi - lo */
}

/* ---- streams ---------------------------------------------------------------------------------------------- */

Acc *stream_edge(Context *x, Copy copy, Edge *e, AccKind kind, IrType type, uint32_t naxis, const Axis *axes,
                 ContributeFn fn, void *arg) {
  Builder *b = B(x);
  b->span = e->span;
  Context own = in_copy(x, copy);
  bool hull = !support_is_known(x, copy, e);
  Bounds r = values_of(x, copy, e);
  Loop *l = open_loop(x, LOOP_REDUCE, e->span, r.lo, r.hi);
  Acc *acc = build_acc(b, l, kind, type, naxis, axes);
  Choice value = {range_value(&own, &r, l->index), 0};
  Context inside = with_known(&own, copy, e, value);
  l->mask = hull ? 0 : where_holds(&inside, e, value.v);
  Context y = with_known(x, copy, e, value);
  if (l->mask) y = with_guard(&y, l->mask);
  Contribution c = {0};
  fn(&y, arg, &c);
  acc->body = c;
  if (edge_has_none(e)) {
    build_seed(b, l);
    Context none = with_known(x, copy, e, (Choice){build_int(b, -1), build_bool(b, true)});
    Contribution s = {0};
    fn(&none, arg, &s);
    acc->seed = s;
    build_body(b, l);
  }
  return build_close(b, l)->accs.at[0];
}

/* Does evaluating it perhaps fail (an index from data, an integer division)? */
static bool may_fail(const Term *t, bool by_edges) {
  if (!t) return false;
  bool divides = t->kind == TERM_OP && (t->op == OP_FLOORDIV || t->op == OP_MOD) && t->args.at[1]->kind != TERM_INT;
  if (divides && (!by_edges || term_mentions_edge(t->args.at[1], NULL))) return true;
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *a = t->args.at[i];
    bool plain = a->kind == TERM_INDEX || a->kind == TERM_EDGE || a->kind == TERM_INT;
    bool reads = (t->kind == TERM_INPUT || t->kind == TERM_LET) && !plain;
    if (reads && (!by_edges || term_mentions_edge(a, NULL))) return true;
    if (may_fail(a, by_edges)) return true;
  }
  return false;
}

static bool weight_may_fail(const Weight *w, bool by_edges) {
  if (!w) return false;
  for (uint32_t i = 0; i < w->params.n; i++)
    if (may_fail(w->params.at[i], by_edges)) return true;
  return may_fail(w->value, by_edges) || may_fail(w->left, by_edges);
}

bool factor_may_fail(const Factor *f) { return weight_may_fail(f->weight, false); }
bool factor_fails_by_edges(const Factor *f) { return weight_may_fail(f->weight, true); }

static Val live(Context *x, Val log_w) { return build_2(B(x), IR_NE, log_w, wide(x, -INFINITY)); }

static Val factors_log(Context *x, Copy copy, const Node *n, bool fallible, Val sum) {
  Context y = in_copy(x, copy);
  for (uint32_t i = 0; i < n->factors.n; i++) {
    const Factor *f = n->factors.at[i];
    if (factor_may_fail(f) != fallible) continue;
    Context z = fallible ? with_guard(&y, live(x, sum)) : y;
    sum = build_2(B(x), IR_LOGMUL, sum, factor_log(&z, copy.c, f));
  }
  return sum;
}

static Val node_max(Context *x, Copy copy, const Node *n);

static Val children_log(Context *x, Copy copy, const Node *n, Val sum, bool maximise) {
  for (uint32_t i = 0; i < n->children.n; i++) {
    const Node *child = n->children.at[i];
    sum = build_2(B(x), IR_LOGMUL, sum, maximise ? node_max(x, copy, child) : node_sum(x, copy, child));
  }
  return sum;
}

/* Factors that can fail come last: a value that the others, or the edges below, remove is not looked at. */
Val node_log(Context *x, Copy copy, const Node *n, bool maximise) {
  if (copy.c->chain) return chain_log(x, copy);
  if (copy.c->network) return network_log(x, copy);
  Val sum = factors_log(x, copy, n, false, wide(x, 0));
  sum = children_log(x, copy, n, sum, maximise);
  return factors_log(x, copy, n, true, sum);
}

typedef struct At { Copy copy; const Node *n; } At;

static void contribute_sum(Context *x, void *arg, Contribution *c) {
  At *a = arg;
  c->log_w = node_log(x, a->copy, a->n, false);
}

static void contribute_max(Context *x, void *arg, Contribution *c) {
  At *a = arg;
  c->x = node_log(x, a->copy, a->n, true);
}

Val node_sum(Context *x, Copy copy, const Node *n) {
  return stream_edge(x, copy, n->edge, ACC_LSE, IR_WIDE, 0, NULL, contribute_sum, &(At){copy, n})->result;
}

static Val node_max(Context *x, Copy copy, const Node *n) {
  return stream_edge(x, copy, n->edge, ACC_MAX, IR_WIDE, 0, NULL, contribute_max, &(At){copy, n})->result;
}

/* ---- a sum as maximum and mass: log p(phi) = (log_w - max) - mass keeps its digits at any size of the weights -- */

static Val node_mass(Context *x, Copy copy, const Node *n) {
  return stream_edge(x, copy, n->edge, ACC_MASS, IR_WIDE, 0, NULL, contribute_sum, &(At){copy, n})->result;
}

static void contribute_sum_as_value(Context *x, void *arg, Contribution *c) {
  At *a = arg;
  c->x = node_log(x, a->copy, a->n, false);
}

static Val node_greatest(Context *x, Copy copy, const Node *n) {
  return stream_edge(x, copy, n->edge, ACC_MAX, IR_WIDE, 0, NULL, contribute_sum_as_value, &(At){copy, n})->result;
}

typedef Val (*NodeFn)(Context *x, Copy copy, const Node *n);

static Val root_of(Context *x, Copy copy, void *fn) { return (*(NodeFn *)fn)(x, copy, copy.c->root); }

/* fn at the root of the copy, kept for all copies if that is worth it. */
static Val of_copy(Context *x, Copy copy, NodeFn fn, const void *key) {
  bool keep = (x->d->keep_sums && copy.c->plates.n) || is_redundant(x, copy.c->plates.n, copy.at);
  Array *a = keep ? memo(x, copy.c, key, NULL, &(IndexVec){0}, STORE_WIDE, root_of, &fn) : NULL;
  return a ? memo_load(x, a, copy, &(IndexVec){0}) : fn(x, copy, copy.c->root);
}

Split node_split(Context *x, Copy copy, const Node *n) {
  static const char greatest, mass;
  if (copy.c->structure) { /* marginals sum to 1 */
    Val sum = structure_status(x, copy);
    return (Split){wide(x, 0), build_select(B(x), build_2(B(x), IR_NE, sum, sum), sum, wide(x, 0))};
  }
  if (copy.c->chain && !chain_known(x, copy)) return (Split){wide(x, 0), chain_status(x, copy)};
  if (copy.c->network && !network_known(x, copy)) return (Split){wide(x, 0), network_status(x, copy)};
  if (n != copy.c->root || copy.c->network) return (Split){node_greatest(x, copy, n), node_mass(x, copy, n)};
  return (Split){of_copy(x, copy, node_greatest, &greatest), of_copy(x, copy, node_mass, &mass)};
}

Val copy_log_sum(Context *x, Copy copy) {
  if (copy.c->chain) return chain_status(x, copy);
  static const char key;
  if (copy.c->structure) return structure_log_sum(x, copy);
  if (copy.c->network) return network_status(x, copy);
  if (x->d->keep_sums && copy.c->plates.n) { /* F: in the form in which posteriors of the same stage want it */
    Split s = node_split(x, copy, copy.c->root);
    return build_2(B(x), IR_ADD, s.max, s.mass); /* of nothing: twice -inf */
  }
  return of_copy(x, copy, node_sum, &key);
}

Val copy_log_constant(Context *x, Copy copy) {
  Context y = in_copy(x, copy);
  Val sum = wide(x, 0);
  for (uint32_t i = 0; i < copy.c->constants.n; i++)
    sum = build_2(B(x), IR_LOGMUL, sum, factor_log(&y, copy.c, copy.c->constants.at[i]));
  return sum;
}

Val copy_has_value(Context *x, Copy copy) {
  return live(x, copy.c->structure ? structure_status(x, copy) : copy_log_sum(x, copy));
}

Val copy_exists(Context *x, Copy copy) { return build_and(B(x), copy_has_value(x, copy), bond_holds(x, copy)); }
