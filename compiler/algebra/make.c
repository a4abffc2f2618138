/* make: constructors of real terms that keep results short.
 *
 *   1 x = x    x + 0 = x    x x = x^2    a (-x) = -(a x)     numbers fold     what is no edge is not none
 * A square is written as one so that its sign shows (model/nonneg.c). */

#include "algebra/algebra.h"

static bool is_number(const Term *t, double v) { return t->kind == TERM_REAL && t->real == v; }

Term *make_product(Arena *a, Term *x, Term *y) {
  if (!x || is_number(x, 1)) return y;
  if (!y || is_number(y, 1)) return x;
  if (x->kind == TERM_REAL && y->kind == TERM_REAL) return term_real(a, x->real * y->real, x->span);
  if (term_equal(x, y)) return term_op1(a, OP_SQ, x, x->span);
  return term_op2(a, OP_MUL, x, y, x->span);
}

Term *make_quotient(Arena *a, Term *x, Term *y) {
  if (!y || is_number(y, 1)) return x;
  if (!x) x = term_real(a, 1, y->span);
  if (term_equal(x, y)) return term_real(a, 1, x->span);
  return term_op2(a, OP_DIV, x, y, y->span);
}

Term *make_scaled(Arena *a, double scale, Term *x) {
  if (!x) return term_real(a, scale, (Span){0});
  if (scale == 1) return x;
  if (scale == -1) return term_op1(a, OP_NEG, x, x->span);
  if (x->kind == TERM_REAL) return term_real(a, scale * x->real, x->span);
  return term_op2(a, OP_MUL, term_real(a, scale, x->span), x, x->span);
}

Term *make_sum(Arena *a, Term *x, Term *y) {
  if (!x || is_number(x, 0)) return y;
  if (!y || is_number(y, 0)) return x;
  return term_op2(a, OP_ADD, x, y, x->span);
}

Term *make_and(Arena *a, Term *x, Term *y) {
  if (!x) return y;
  if (!y || x == y) return x;
  return term_op2(a, OP_AND, x, y, x->span);
}

Term *make_power(Arena *a, Term *x, double power) {
  if (power == 1) return x;
  if (power == 2) return term_op1(a, OP_SQ, x, x->span);
  if (power == -1) return make_quotient(a, NULL, x);
  if (power == 0.5) return term_op1(a, OP_SQRT, x, x->span);
  if (power == -2) return make_quotient(a, NULL, make_power(a, x, 2));
  return term_op2(a, OP_POW, x, term_real(a, power, x->span), x->span);
}

Term *make_moment(Arena *a, const Term *ref, Moment moment) {
  Term *t = NEW(a, Term);
  *t = *ref;
  t->moment = moment;
  return term_finish(t);
}

/* x == none where it is known what x is. */
static bool is_known_against_none(const Term *t) {
  const Term *x = t->args.at[0], *y = t->args.at[1];
  return (y->kind == TERM_NONE && x->kind != TERM_EDGE) || (x->kind == TERM_NONE && y->kind != TERM_EDGE);
}

/* A condition or choice that its parts decide. */
static Term *decided(Arena *a, Term *t) {
  if (t->kind == TERM_IF && t->args.at[0]->kind == TERM_BOOL) return t->args.at[t->args.at[0]->truth ? 1 : 2];
  if (t->kind != TERM_OP) return t;
  bool numbers = t->args.n == 2 && t->args.at[0]->kind == TERM_INT && t->args.at[1]->kind == TERM_INT;
  if (numbers) return term_op2(a, t->op, t->args.at[0], t->args.at[1], t->span);
  if ((t->op == OP_EQ || t->op == OP_NE) && is_known_against_none(t)) {
    bool same = t->args.at[0]->kind == t->args.at[1]->kind;
    return term_bool(a, same == (t->op == OP_EQ), t->span);
  }
  if (t->op == OP_NOT && t->args.at[0]->kind == TERM_BOOL) return term_bool(a, !t->args.at[0]->truth, t->span);
  for (uint32_t i = 0; (t->op == OP_AND || t->op == OP_OR) && i < 2; i++) {
    const Term *x = t->args.at[i];
    if (x->kind == TERM_BOOL) return x->truth == (t->op == OP_AND) ? t->args.at[1 - i] : t->args.at[i];
  }
  return t;
}

Term *replace_term(Arena *a, Term *t, const Term *from, Term *to) {
  if (term_equal(t, from)) return to;
  Term *u = NEW(a, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(a, &u->args, replace_term(a, t->args.at[i], from, to));
  return decided(a, term_finish(u));
}

Term *open_reduce(Model *m, const Term *t, Index **index) {
  Index *i = NEW(m->arena, Index);
  *i = *t->index;
  i->id = m->index_count++;
  *index = i;
  IndexMap map = {t->index, term_index(m->arena, i, t->span)};
  return term_substitute(m, t->args.at[0], &map, 1);
}

bool has_variable(const Term *t) {
  if (!(t->mentions & MENTIONS_LATENT)) return false;
  if (t->kind == TERM_LATENT) return t->moment == MOMENT_VALUE;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_variable(t->args.at[i])) return true;
  return false;
}
