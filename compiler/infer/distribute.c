/* distribute: what many copies make together, as sums and products over the copies.
 *
 *   f (a + b) = f a + f b               f sum_j a_j = sum_j f a_j            x^n = x x^(n - 1)
 *   exp(a + b) = exp(a) exp(b)          exp(sum_j a_j) = prod_j exp(a_j)
 *   1(sum_j b_j = 0) = prod_j (1 - b_j), b_j in {0, 1}
 *
 * Values are rewritten, nothing is expected: linearity, coincidence and independence then apply.  An expression that
 * may itself be none is left alone: what uses it is 0 as a whole, not in parts. */
#include "infer/expect.h"
#include "model/term.h"

enum { POWER_MOST = 8 };

static const Term *unconverted(const Term *t) {
  return t->kind == TERM_OP && t->op == OP_TO_REAL ? t->args.at[0] : t;
}

static Term *real_product(Context *x, const Term *a, const Term *b, Span span) {
  Arena *arena = x->d->arena;
  return term_op2(arena, OP_MUL, term_to_real(arena, (Term *)a), term_to_real(arena, (Term *)b), span);
}

/* The sum, or product, over an index of its own of what fn makes of the body. */
typedef Term *(*BodyFn)(Context *x, Term *body, const Term *with);

static const Term *over_copies(Context *x, const Term *t, ReduceKind kind, BodyFn fn, const Term *with) {
  Arena *arena = x->d->arena;
  Model scratch = *x->d->m; /* for its arena and its count of indices */
  scratch.arena = arena;
  Index *own = NEW(arena, Index);
  *own = *t->index;
  IndexMap map = {t->index, term_index(arena, own, t->index->span)};
  Term *body = term_substitute(&scratch, t->args.at[0], &map, 1);
  return term_reduce(arena, kind, own, fn(x, body, with), t->span);
}

/* A sum to which a function of it can be distributed: its terms mention copies and are never none. */
static bool is_sum(Context *x, const Term *t) {
  if (!unresolved(x, t)) return false;
  if (t->kind == TERM_REDUCE) return t->reduce == REDUCE_SUM && !range_unresolved(x, &t->index->range);
  if (t->kind != TERM_OP || (t->op != OP_ADD && t->op != OP_SUB && t->op != OP_NEG && t->op != OP_DIV)) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (may_be_none(t->args.at[i])) return false;
  if (t->op == OP_DIV) return !unresolved(x, t->args.at[1]) && is_sum(x, unconverted(t->args.at[0]));
  if (t->op == OP_NEG) return is_sum(x, unconverted(t->args.at[0]));
  return true;
}

/* ---- products -------------------------------------------------------------------------------------------------- */

static Term *times(Context *x, Term *body, const Term *with) { return real_product(x, body, with, body->span); }

static const Term *product_of_sum(Context *x, const Term *sum, const Term *rest) {
  Arena *arena = x->d->arena;
  if (sum->kind == TERM_REDUCE) return over_copies(x, sum, REDUCE_SUM, times, rest);
  Term *first = real_product(x, sum->args.at[0], rest, sum->span);
  if (sum->op == OP_NEG) return term_op1(arena, OP_NEG, first, sum->span);
  if (sum->op == OP_DIV) return term_op2(arena, OP_DIV, first, term_to_real(arena, sum->args.at[1]), sum->span);
  return term_op2(arena, sum->op, first, real_product(x, sum->args.at[1], rest, sum->span), sum->span);
}

static const Term *distributed_product(Context *x, const Term *t) {
  Factors f = {0};
  flatten(x, &f, t);
  for (uint32_t i = 0; i < f.n && f.n > 1; i++) {
    const Term *sum = unconverted(f.at[i]);
    if (sum->type == TYPE_BOOL || !is_sum(x, sum)) continue;
    bool *in = NEW_ARRAY(x->d->arena, bool, f.n);
    in[i] = true;
    return product_of_sum(x, sum, product_of(x, &f, in, false));
  }
  return NULL;
}

static int64_t power_of(const Term *t) {
  const Term *n = unconverted(t->args.at[1]);
  if (n->kind == TERM_INT) return n->integer;
  return n->kind == TERM_REAL && n->real >= 0 && n->real <= POWER_MOST && n->real == (int)n->real ? (int)n->real : -1;
}

static const Term *distributed_power(Context *x, const Term *t) {
  Arena *arena = x->d->arena;
  Term *base = t->args.at[0];
  int64_t n = t->op == OP_SQ ? 2 : power_of(t);
  if (n < 2 || n > POWER_MOST || !is_sum(x, unconverted(base))) return NULL;
  if (n == 2) return real_product(x, base, base, t->span);
  Term *less = term_op2(arena, OP_POW, term_to_real(arena, base),
                        term_to_real(arena, term_int(arena, n - 1, t->span)), t->span);
  return real_product(x, base, less, t->span);
}

/* ---- exponentials ------------------------------------------------------------------------------------------------ */

static Term *exponential(Context *x, const Term *a) {
  return term_op1(x->d->arena, OP_EXP, term_to_real(x->d->arena, (Term *)a), a->span);
}

static Term *exponential_of(Context *x, Term *body, const Term *with) {
  (void)with;
  return exponential(x, body);
}

/* What the signs and divisors around a sum multiply it by. */
static const Term *peel(Context *x, const Term *a, Term **by) {
  Arena *arena = x->d->arena;
  Term *m = term_real(arena, 1, a->span);
  for (; a->kind == TERM_OP && (a->op == OP_NEG || a->op == OP_DIV); a = unconverted(a->args.at[0])) {
    if (a->op == OP_NEG) m = term_op1(arena, OP_NEG, m, a->span);
    else m = term_op2(arena, OP_DIV, m, term_to_real(arena, a->args.at[1]), a->span);
  }
  *by = m;
  return a;
}

static const Term *distributed_exponential(Context *x, const Term *t) {
  const Term *a = unconverted(t->args.at[0]);
  const Term *product = a->kind == TERM_OP && a->op == OP_MUL ? distributed_product(x, a) : NULL;
  if (product) return exponential(x, product);
  if (!is_sum(x, a)) return NULL;
  if (a->kind == TERM_REDUCE)
    return may_be_none(a->args.at[0]) ? NULL : over_copies(x, a, REDUCE_PROD, exponential_of, NULL);
  if (a->op == OP_ADD || a->op == OP_SUB) {
    Term *other = a->args.at[1];
    if (a->op == OP_SUB) other = term_op1(x->d->arena, OP_NEG, other, other->span);
    return real_product(x, exponential(x, a->args.at[0]), exponential(x, other), t->span);
  }
  Term *by;
  const Term *sum = peel(x, a, &by);
  return exponential(x, product_of_sum(x, sum, by));
}

/* ---- is a count 0? ---------------------------------------------------------------------------------------------- */

static Term *complement(Context *x, Term *body, const Term *with) {
  (void)with;
  Arena *arena = x->d->arena;
  return term_op2(arena, OP_SUB, term_real(arena, 1, body->span), term_to_real(arena, body), body->span);
}

/* Of `count op k`: 1 it holds for 0 alone, -1 for all others alone, 0 neither. */
static int asks_for_zero(OpKind op, int64_t k) {
  if ((op == OP_EQ && k == 0) || (op == OP_LE && k == 0) || (op == OP_LT && k == 1)) return 1;
  return (op == OP_NE && k == 0) || (op == OP_GT && k == 0) || (op == OP_GE && k == 1) ? -1 : 0;
}

static const Term *distributed_comparison(Context *x, const Term *t) {
  static const struct { OpKind op, turned; } turns[] = {
      {OP_LT, OP_GT}, {OP_GT, OP_LT}, {OP_LE, OP_GE}, {OP_GE, OP_LE}, {OP_EQ, OP_EQ}, {OP_NE, OP_NE}};
  for (uint32_t side = 0; side < 2; side++) {
    const Term *sum = t->args.at[side], *k = t->args.at[1 - side];
    if (k->kind != TERM_INT || sum->kind != TERM_REDUCE || sum->reduce != REDUCE_SUM || !is_sum(x, sum)) continue;
    if (!is_zero_or_one(sum->args.at[0]) || may_be_none(sum->args.at[0])) continue;
    OpKind op = t->op;
    for (uint32_t i = 0; side && i < sizeof turns / sizeof *turns; i++)
      if (turns[i].op == t->op) op = turns[i].turned;
    int zero = asks_for_zero(op, k->integer);
    if (!zero) continue;
    const Term *none = over_copies(x, sum, REDUCE_PROD, complement, NULL);
    return zero > 0 ? none : complement(x, (Term *)none, NULL);
  }
  return NULL;
}

const Term *distributed(Context *x, const Term *t) {
  if (t->kind != TERM_OP) return NULL;
  switch ((int)t->op) {
  case OP_MUL: return distributed_product(x, t);
  case OP_SQ: case OP_POW: return distributed_power(x, t);
  case OP_EXP: return distributed_exponential(x, t);
  case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE: return distributed_comparison(x, t);
  case OP_TO_REAL: return distributed(x, t->args.at[0]);
  }
  return NULL;
}
