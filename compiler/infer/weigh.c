/* weigh: weights in log space.
 *
 *   L[exp a] = a           L[a b] = L[a] + L[b]      L[a / b] = L[a] - L[b]     L[a ^ b] = b L[a]
 *   L[if c then a else b] = if c then L[a] else L[b]                            L[prod e] = sum L[e]
 *   L[a + b] = log(e^L[a] + e^L[b]), L[sum e] = lse L[e]        where the parts are provably >= 0, and logs keep more
 *                                                               than values (separate.c)
 *   L[sigmoid a] = -softplus(-a)             L[softplus a], L[elu a + 1] = a where e^a is too small to be added to 1
 *   anything else: the log of the value.
 * A weight is kept as log|w| and the condition that w < 0, so that a product of two negative factors is what
 * it is; a weight negative in the end is NaN.  In products, and between the terms of an exponent, -inf
 * removes the value whatever stands beside it (LOGMUL). */
#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "infer/context.h"
#include "infer/latent.h"
#include "infer/stick.h"
#include "infer/structure.h"
#include "model/term.h"

/* negative: bool, 0: never.  value: where log|w| is the log of a value that is known, that value: its log is NaN where
 * it is negative. */
typedef struct Signed { Val log_abs, negative, value; } Signed;

static Signed signed_log(Context *x, const Term *t);

static Val logmul(Context *x, Val a, Val b) { return build_2(B(x), IR_LOGMUL, a, b); }
static Val negate(Context *x, Val a) { return build_1(B(x), IR_NEG, a); }

static Val exclusive(Context *x, Val a, Val b) { return !a ? b : !b ? a : build_2(B(x), IR_NE, a, b); }

static bool is_of_bits(const Term *t) {
  if (t->kind == TERM_EDGE) return t->edge->domain == DOMAIN_BIT;
  if (t->kind != TERM_OP) return false;
  const Term *p = t->args.at[0];
  if (t->op == OP_NEG) return is_of_bits(p);
  if (t->op == OP_SUB) return p->kind == TERM_INT && p->integer == 1 && is_of_bits(t->args.at[1]);
  return t->op == OP_MUL && is_of_bits(p) && is_of_bits(t->args.at[1]);
}

/* The condition that a factor of a product is a bit, or a product of bits, that is 0; 0: there is no such factor. */
static Val has_zero_bit(Context *x, const Term *t) {
  if (t->kind != TERM_OP) return 0;
  const Term *p = t->args.at[0];
  if (t->op == OP_TO_REAL && is_of_bits(p)) return build_2(B(x), IR_EQ, eval(x, p), build_int(B(x), 0));
  if (t->op == OP_NEG || t->op == OP_TO_REAL || t->op == OP_DIV) return has_zero_bit(x, p);
  if (t->op != OP_MUL) return 0;
  Val a = has_zero_bit(x, p), b = has_zero_bit(x, t->args.at[1]);
  return a && b ? build_2(B(x), IR_OR, a, b) : a ? a : b;
}

/* exp(a s) is exp(s) ^ a: 1 where the bit a is 0, also where s is infinite. */
static Val product_in_exponent(Context *x, const Term *t) {
  Val zero = has_zero_bit(x, t), value = eval(x, t);
  return zero ? build_select(B(x), zero, build_float(B(x), ir_at(B(x)->k, value)->type, 0), value) : value;
}

/* The exponent of exp(t): its terms are factors of the weight. */
static Val exponent(Context *x, const Term *t) {
  if (t->kind == TERM_OP && t->op == OP_ADD) {
    Val a = exponent(x, t->args.at[0]);
    return logmul(x, a, exponent(x, t->args.at[1]));
  }
  if (t->kind == TERM_OP && t->op == OP_SUB) {
    Val a = exponent(x, t->args.at[0]);
    return logmul(x, a, negate(x, product_in_exponent(x, t->args.at[1])));
  }
  if (t->kind == TERM_IF) {
    Val cond = eval(x, t->args.at[0]);
    const Instr *i = ir_at(B(x)->k, cond);
    if (i->op == IR_CONST) return exponent(x, t->args.at[i->integer ? 1 : 2]);
    Context yes = with_guard(x, cond), no = with_guard(x, build_1(B(x), IR_NOT, cond));
    Val a = exponent(&yes, t->args.at[1]);
    return build_select(B(x), cond, a, exponent(&no, t->args.at[2]));
  }
  return product_in_exponent(x, t);
}

static Signed log_of_value(Context *x, const Term *t) {
  Val v = build_convert(B(x), eval(x, t), IR_WIDE);
  if (t->nonnegative) return (Signed){build_1(B(x), IR_LOG, v), 0, 0};
  return (Signed){build_1(B(x), IR_LOG, build_1(B(x), IR_ABS, v)), build_2(B(x), IR_LT, v, wide(x, 0)), v};
}

static Signed log_of_bool(Context *x, const Term *t) {
  return (Signed){build_select(B(x), eval(x, t), wide(x, 0), wide(x, -INFINITY)), 0, 0};
}

static Signed log_of_product(Context *x, const Term *t, bool quotient) {
  Signed a = signed_log(x, t->args.at[0]), b = signed_log(x, t->args.at[1]);
  return (Signed){logmul(x, a.log_abs, quotient ? negate(x, b.log_abs) : b.log_abs),
                  exclusive(x, a.negative, b.negative), 0};
}

/* b L[a], and 0 for b = 0 also where L[a] is infinite.  A negative base needs an integer exponent. */
static Signed log_of_power(Context *x, const Term *t) {
  const Term *base = t->args.at[0], *exp = t->args.at[1];
  int64_t n = exp->kind == TERM_INT                                                              ? exp->integer
              : exp->kind == TERM_REAL && exp->real == floor(exp->real) && fabs(exp->real) < 1e6 ? (int64_t)exp->real
                                                                                                 : 0;
  bool whole = exp->kind == TERM_INT || n;
  if (!base->nonnegative && !whole) return log_of_value(x, t);
  Signed a = signed_log(x, base);
  if (whole && n == 0) return (Signed){wide(x, 0), 0, 0};
  Val b = build_convert(B(x), eval(x, exp), IR_WIDE);
  Val product = build_2(B(x), IR_MUL, b, build_convert(B(x), a.log_abs, IR_WIDE));
  if (!whole) product = build_select(B(x), build_2(B(x), IR_EQ, b, wide(x, 0)), wide(x, 0), product);
  return (Signed){product, n & 1 ? a.negative : 0, 0};
}

static Signed log_of_if(Context *x, const Term *t) {
  Builder *b = B(x);
  Val cond = eval(x, t->args.at[0]);
  const Instr *i = ir_at(b->k, cond);
  if (i->op == IR_CONST) return signed_log(x, t->args.at[i->integer ? 1 : 2]);
  Context yes = with_guard(x, cond), no = with_guard(x, build_1(b, IR_NOT, cond));
  Signed p = signed_log(&yes, t->args.at[1]), q = signed_log(&no, t->args.at[2]);
  Val never = build_bool(b, false), negative = 0;
  if (p.negative || q.negative)
    negative = build_select(b, cond, p.negative ? p.negative : never, q.negative ? q.negative : never);
  return (Signed){build_select(b, cond, p.log_abs, q.log_abs), negative, 0};
}

static void contribute_log(Context *x, void *arg, Contribution *c) {
  c->x = build_convert(B(x), log_weight(x, arg), IR_WIDE);
}

static void contribute_weight(Context *x, void *arg, Contribution *c) {
  c->log_w = build_convert(B(x), log_weight(x, arg), IR_WIDE);
}

static void contribute_removed(Context *x, void *arg, Contribution *c) {
  c->x = build_2(B(x), IR_EQ, build_convert(B(x), log_weight(x, arg), IR_WIDE), wide(x, -INFINITY));
}

/* sum of logs in which one -inf removes everything */
static Val sum_of_logs(Context *x, Index *i, const Term *body) {
  Val removed = reduce_over(x, i, ACC_ANY, IR_BOOL, contribute_removed, (void *)body);
  Val sum = reduce_over(x, i, ACC_SUM, IR_WIDE, contribute_log, (void *)body);
  return build_select(B(x), removed, wide(x, -INFINITY), sum);
}

static Signed log_of_reduce(Context *x, const Term *t) {
  const Term *body = t->args.at[0];
  if (!body->nonnegative || (t->reduce == REDUCE_SUM && !logs_keep(body))) return log_of_value(x, t);
  switch (t->reduce) {
  case REDUCE_SUM: return (Signed){reduce_over(x, t->index, ACC_LSE, IR_WIDE, contribute_weight, (void *)body), 0, 0};
  case REDUCE_PROD: return (Signed){sum_of_logs(x, t->index, body), 0, 0};
  case REDUCE_MAX: case REDUCE_MIN: return log_of_value(x, t);
  }
  ICE("unknown reduction");
}

/* log(log(1 + e^a)) = a - e^a / 2 + ...: a weight may be far below what a real can hold. */
static Signed log_of_softplus(Context *x, const Term *t) {
  Builder *b = B(x);
  Val a = build_convert(b, eval(x, t->args.at[0]), IR_WIDE), small = build_2(b, IR_LT, a, wide(x, -18));
  Val far = build_2(b, IR_SUB, a, build_2(b, IR_MUL, wide(x, 0.5), build_1(b, IR_EXP, a)));
  return (Signed){build_select(b, small, far, log_of_value(x, t).log_abs), 0, 0};
}

static const Term *elu_of(const Term *t, const Term *one) {
  return t->kind == TERM_OP && t->op == OP_ELU && one->kind == TERM_REAL && one->real == 1 ? t->args.at[0] : NULL;
}

/* elu(a) + 1 is e^a below 0, 1 + a above. */
static Signed log_of_elu_plus_one(Context *x, const Term *argument) {
  Builder *b = B(x);
  Val a = build_convert(b, eval(x, argument), IR_WIDE);
  return (Signed){build_select(b, build_2(b, IR_GT, a, wide(x, 0)), build_1(b, IR_LOG1P, a), a), 0, 0};
}

static Signed log_of_sum(Context *x, const Term *t) {
  const Term *p = t->args.at[0], *q = t->args.at[1];
  const Term *elu = elu_of(p, q) ? elu_of(p, q) : elu_of(q, p);
  if (elu) return log_of_elu_plus_one(x, elu);
  if (!p->nonnegative || !q->nonnegative || !logs_keep(t)) return log_of_value(x, t);
  Val a = signed_log(x, p).log_abs;
  return (Signed){build_2(B(x), IR_LOGADD, a, signed_log(x, q).log_abs), 0, 0};
}

static Signed log_of_op(Context *x, const Term *t) {
  Builder *b = B(x);
  const Term *p = t->args.at[0];
  switch ((int)t->op) {
  case OP_EXP: return (Signed){exponent(x, p), 0, 0};
  case OP_MUL: return log_of_product(x, t, false);
  case OP_DIV: return log_of_product(x, t, true);
  case OP_POW: return log_of_power(x, t);
  case OP_SQ: {
    Val l = signed_log(x, p).log_abs;
    return (Signed){build_2(b, IR_ADD, l, l), 0, 0};
  }
  case OP_SIGMOID: return (Signed){negate(x, build_1(b, IR_SOFTPLUS, negate(x, eval(x, p)))), 0, 0};
  case OP_TO_REAL: return p->type == TYPE_BOOL ? log_of_bool(x, p) : log_of_value(x, t);
  case OP_SOFTPLUS: return log_of_softplus(x, t);
  case OP_ADD: return log_of_sum(x, t);
  }
  return log_of_value(x, t);
}

static Signed signed_log(Context *x, const Term *t) {
  if (t->type == TYPE_BOOL) return log_of_bool(x, t);
  switch (t->kind) {
  case TERM_OP: return log_of_op(x, t);
  case TERM_IF: return log_of_if(x, t);
  case TERM_REDUCE: return log_of_reduce(x, t);
  case TERM_INT: case TERM_REAL: case TERM_BOOL: case TERM_NONE: case TERM_SIZE: case TERM_INDEX: case TERM_INPUT:
  case TERM_LET: case TERM_EDGE: case TERM_LATENT: case TERM_QUERY: return log_of_value(x, t);
  }
  ICE("unknown term");
}

/* A zero has no sign: it removes the value also as a product with something negative. */
Val log_weight(Context *x, const Term *t) {
  Signed s = signed_log(x, t);
  if (!s.negative) return s.log_abs;
  if (s.value) return build_1(B(x), IR_LOG, s.value);
  Val zero = build_2(B(x), IR_EQ, build_convert(B(x), s.log_abs, IR_WIDE), wide(x, -INFINITY));
  return build_select(B(x), zero, wide(x, -INFINITY), build_select(B(x), s.negative, wide(x, NAN), s.log_abs));
}

/* ---- weight statements -------------------------------------------------------------------------------------- */

/* A statement of which fn computes the log weight is 1 as a whole where it uses a none. */
typedef Val (*LogFn)(Context *x, const Weight *w);

/* E_q[log w], of log w at q's means. */
static Val with_correction(Context *x, const Weight *w, Val log_w) {
  const Latents *q = x->d->plan->latents;
  if (!q || !q->correction[w->id]) return log_w;
  return build_2(B(x), IR_LOGMUL, log_w, build_convert(B(x), eval(x, q->correction[w->id]), IR_WIDE));
}

static Val whole_statement(Context *x, const Weight *w, LogFn fn) {
  Val used = 0;
  Context y = *x;
  y.used_none = &used;
  Val l = with_correction(&y, w, build_convert(B(x), fn(&y, w), IR_WIDE));
  return used ? build_select(B(x), used, wide(x, 0), l) : l;
}

static Val density_at(Context *x, const Weight *w) {
  Val *params = NEW_ARRAY(x->d->arena, Val, w->params.n);
  for (uint32_t i = 0; i < w->params.n; i++) params[i] = eval(x, w->params.at[i]);
  return log_density(x, w->dist, eval(x, w->left), params);
}

/* A product over the indices list[from..until) of what fn gives, a statement at each point. */
typedef struct Product {
  const Weight *w;
  const IndexVec *list;
  uint32_t from, until;
  StatementFn fn;
  void *arg;
  bool removed;
} Product;

static Val product_over(Context *x, const Product *p);

static void contribute_over(Context *x, void *arg, Contribution *c) {
  const Product *p = arg;
  Product next = *p;
  next.from++;
  next.removed = false;
  c->x = product_over(x, &next);
  if (p->removed) c->x = build_2(B(x), IR_EQ, c->x, wide(x, -INFINITY));
}

static Val product_over(Context *x, const Product *p) {
  if (p->from == p->until) return p->fn(x, p->w, p->arg);
  Product removed = *p, sum = *p;
  removed.removed = true;
  sum.removed = false;
  Val gone = reduce_over(x, p->list->at[p->from], ACC_ANY, IR_BOOL, contribute_over, &removed);
  Val total = reduce_over(x, p->list->at[p->from], ACC_SUM, IR_WIDE, contribute_over, &sum);
  return build_select(B(x), gone, wide(x, -INFINITY), total);
}

static Val plain_statement(Context *x, const Weight *w, void *fn) { return (*(LogFn *)fn)(x, w); }

static Val over_indices(Context *x, const Weight *w, const IndexVec *list, uint32_t from, uint32_t until, LogFn fn) {
  return product_over(x, &(Product){w, list, from, until, plain_statement, &fn, false});
}

Val weight_log_each(Context *x, const Weight *w, const IndexVec *list, StatementFn fn, void *arg) {
  return product_over(x, &(Product){w, list, 0, list->n, fn, arg, false});
}

static Val components_of_density(Context *x, const Weight *w) {
  if (w->dist == DIST_DIRICHLET) return log_dirichlet(x, w);
  if (has_common_spread(w)) return over_indices(x, w, &w->axes, 0, w->axes.n - 1, log_normal_vector);
  return over_indices(x, w, &w->axes, 0, w->axes.n, density_at);
}

static Val one_statement(Context *x, const Weight *w) {
  switch (w->kind) {
  case WEIGHT_POTENTIAL: return log_weight(x, w->value);
  case WEIGHT_REQUIRE: return log_of_bool(x, w->value).log_abs;
  case WEIGHT_PRIOR: case WEIGHT_OBSERVE: return components_of_density(x, w);
  }
  ICE("unknown weight");
}

static Val statement(Context *x, const Weight *w) { return whole_statement(x, w, one_statement); }

Val weight_log(Context *x, const Weight *w, const IndexVec *plates) {
  return over_indices(x, w, &w->plates, plates->n, w->plates.n, statement);
}

Val weight_over(Context *x, const Weight *w, const IndexVec *indices) {
  return over_indices(x, w, indices, 0, indices->n, statement);
}

Val weight_statement(Context *x, const Weight *w) { return statement(x, w); }

/* ---- priors --------------------------------------------------------------------------------------------------- */

/* log D at the edge's value, before normalisation. */
static Val unnormalised_prior(Context *x, const Weight *w) {
  switch ((int)w->dist) {
  case DIST_UNIFORM: return wide(x, 0);
  case DIST_WEIGHTS: return log_weight(x, w->params.at[0]);
  case DIST_LOGITS: return exponent(x, w->params.at[0]);
  }
  ICE("a prior that is not normalised over the support");
}

/* A factor at its home; the plates of x stand for that copy. */
typedef struct At { Copy home; const Factor *f; } At;

static bool is_stick(const Factor *f) { return f->weight && f->weight->dist == DIST_STICK_BREAKING; }

static Val prior_log(Context *x, const At *a, Copy owner) {
  if (!a->f->weight) return wide(x, 0);
  if (is_stick(a->f)) return with_correction(x, a->f->weight, stick_log(x, a->home, owner, a->f));
  return whole_statement(x, a->f->weight, unnormalised_prior);
}

static void contribute_prior(Context *x, void *arg, Contribution *c) {
  const At *a = arg;
  Val active;
  Context y = a->f->reach ? at_home(x, a->home, a->f->reach, &active) : *x;
  c->log_w = prior_log(&y, a, a->f->lag ? lagged_copy(x, a->home, a->f->lag) : a->home);
}

static void contribute_one(Context *x, void *arg, Contribution *c) {
  (void)arg;
  c->x = build_int(B(x), 1);
}

Val range_count(Context *x, const Edge *e) {
  Bounds r = eval_range(x, &e->range);
  Val n = build_2(B(x), IR_MAX, build_2(B(x), IR_SUB, r.hi, r.lo), build_int(B(x), 0));
  return e->or_none ? build_2(B(x), IR_ADD, n, build_int(B(x), 1)) : n;
}

static Val normaliser_log(Context *x, const At *a, Copy owner) {
  if (owner.c->structure) {
    Context y = in_copy(x, owner);
    return negate(x, structure_log_support(&y, a->f->edge));
  }
  const Factor *f = a->f;
  Val sum;
  if (is_stick(f) && edge_has_none(f->edge)) return wide(x, 0);
  if (f->weight && x->d->plan->latents && x->d->plan->latents->correction[f->weight->id])
    return wide(x, 0); /* plan_latent.c: only where it is 1 for every value of the latent */
  if (f->weight) sum = stream_edge(x, owner, f->edge, ACC_LSE, IR_WIDE, 0, NULL, contribute_prior, (void *)a)->result;
  else if (f->edge->domain == DOMAIN_RANGE && !f->edge->where)
    sum = build_1(B(x), IR_LOG, build_convert(B(x), range_count(x, f->edge), IR_WIDE));
  else {
    Val n = stream_edge(x, owner, f->edge, ACC_SUM, IR_INT, 0, NULL, contribute_one, NULL)->result;
    sum = build_1(B(x), IR_LOG, build_convert(B(x), n, IR_WIDE));
  }
  return is_stick(f) ? stick_unless_used(x, a->home, owner, f, negate(x, sum)) : negate(x, sum);
}

static Val statement_log(Context *x, const At *a) {
  const Factor *f = a->f;
  return f->reach ? weight_over(x, f->weight, &f->reach->beyond) : weight_log(x, f->weight, &a->home.c->plates);
}

static Val prior_factor_log(Context *x, const At *a, Copy owner) {
  switch ((int)a->f->kind) {
  case FACTOR_PRIOR: return prior_log(x, a, owner);
  case FACTOR_NORMALISER: return normaliser_log(x, a, owner);
  }
  return statement_log(x, a);
}

/* A bit that `where` does not let be 1 has prior 1 at its only value, whatever the line says. */
static Val unless_fixed_bit(Context *x, const At *a, Copy owner) {
  const Edge *e = a->f->edge;
  if (e->domain != DOMAIN_BIT || !e->where) return prior_factor_log(x, a, owner);
  Context y = in_copy(x, owner);
  y = with_known(&y, owner, (Edge *)e, (Choice){build_int(B(x), 1), 0});
  Val free = eval(&y, e->where);
  y = with_guard(x, free);
  return build_select(B(x), free, prior_factor_log(&y, a, owner), wide(x, 0));
}

static Val support_log(Context *x, Copy owner, const Factor *f) {
  Val inside = in_support(x, owner, f->edge, find_known(x, owner.c, f->edge, owner.at)->value);
  return build_select(B(x), inside, wide(x, 0), wide(x, -INFINITY));
}

/* The uniform prior is that of copies that no line names: bool, 0: this one. */
static Val is_unnamed(Context *x, Copy copy, const Edge *e) {
  Val named = 0;
  for (uint32_t i = 0; i < e->priors.n; i++) {
    const Weight *w = e->priors.at[i];
    const Reach *r = x->d->plan->reach_of_weight[w->id];
    int64_t lag = 0;
    for (uint32_t k = 0; k < r->refs.n; k++)
      if (r->refs.at[k].ref == w->edge_ref) lag = r->refs.at[k].lag;
    Copy home = lagged_copy(x, copy, -lag);
    Context y = in_copy(x, home);
    Val meets = reach_meets(&y, home, r);
    named = named ? build_2(B(x), IR_OR, named, meets) : meets;
  }
  return named ? build_1(B(x), IR_NOT, named) : 0;
}

static Val log_of_factor(Context *x, const At *a, Copy owner) {
  const Factor *f = a->f;
  switch (f->kind) {
  case FACTOR_SUPPORT: return support_log(x, owner, f);
  case FACTOR_MARGINAL:
    return structure_log_given(x, owner, posterior_weights(owner.c), find_known(x, owner.c, f->edge, owner.at)->value);
  case FACTOR_PRIOR: case FACTOR_NORMALISER: return unless_fixed_bit(x, a, owner);
  case FACTOR_WEIGHT: return f->edge ? unless_fixed_bit(x, a, owner) : statement_log(x, a);
  }
  ICE("unknown factor");
}

Val owned_factor_log(Context *x, Copy owner, const Factor *f) { return log_of_factor(x, &(At){owner, f}, owner); }

Val factor_log(Context *x, Component *c, const Factor *f) {
  Copy home = own_copy(x, c), owner = f->lag ? lagged_copy(x, home, f->lag) : home;
  Val active = 0;
  Context y = *x;
  if (f->reach) y = at_home(x, home, f->reach, &active);
  else if (f->edge && !f->weight && f->kind != FACTOR_SUPPORT && !c->structure) active = is_unnamed(x, home, f->edge);
  Val l = log_of_factor(&y, &(At){home, f}, owner);
  return active ? build_select(B(x), active, l, wide(x, 0)) : l;
}
