/* none: under which condition a weight uses an edge that is none, and so counts as 1.
 *
 * Evaluated as written: an `if` uses what its condition and its chosen side do, `and` and `or` stop early; standing in
 * == or != is no use.  On the side of a choice where an edge is known to be there it is not asked about again:
 * `if phi == none then exp(b) else exp(s[phi])` never uses a none. */
#include "algebra/algebra.h"

/* A reference that is no none here. */
typedef struct Known {
  const struct Known *outer;
  const Term *ref;
} Known;

static bool is_op(const Term *t, OpKind op) { return t->kind == TERM_OP && t->op == op; }
static bool is_comparison(const Term *t) { return is_op(t, OP_EQ) || is_op(t, OP_NE); }
static bool is_true(const Term *t) { return t && t->kind == TERM_BOOL && t->truth; }
static Term *negated(Arena *a, Term *t) { return term_op1(a, OP_NOT, t, t->span); }

static bool is_known(const Known *k, const Term *ref) {
  for (; k; k = k->outer)
    if (term_equal(k->ref, ref)) return true;
  return false;
}

/* What holds beside where the condition has that value. */
static const Known *given(Arena *a, const Term *cond, bool value, const Known *outer) {
  if (is_op(cond, OP_NOT)) return given(a, cond->args.at[0], !value, outer);
  if (is_op(cond, value ? OP_AND : OP_OR))
    return given(a, cond->args.at[1], value, given(a, cond->args.at[0], value, outer));
  if (!is_comparison(cond)) return outer;
  const Term *x = cond->args.at[0], *y = cond->args.at[1];
  const Term *ref = x->kind == TERM_EDGE ? x : y, *other = ref == x ? y : x;
  bool same = is_op(cond, OP_EQ) == value;
  if (ref->kind != TERM_EDGE || other->kind == TERM_EDGE || same == (other->kind == TERM_NONE)) return outer;
  Known *k = NEW(a, Known);
  *k = (Known){outer, ref};
  return k;
}

/* Conditions; NULL: never. */
static Term *either(Arena *a, Term *x, Term *y) {
  if (!x || !y || is_true(x)) return x ? x : y;
  return is_true(y) || term_equal(x, y) ? y : term_op2(a, OP_OR, x, y, x->span);
}

static Term *both(Arena *a, Term *cond, Term *x) { return x ? make_and(a, cond, is_true(x) ? NULL : x) : NULL; }

static Term *uses(Arena *a, const Term *t, const Known *known);

static Term *uses_in_parts(Arena *a, const Term *t, const Known *known) {
  Term *any = NULL;
  for (uint32_t i = 0; i < t->args.n; i++) any = either(a, any, uses(a, t->args.at[i], known));
  return any;
}

static Term *uses_in_comparison(Arena *a, const Term *t, const Known *known) {
  Term *any = NULL;
  for (uint32_t i = 0; i < 2; i++) {
    const Term *x = t->args.at[i];
    bool bare = x->kind == TERM_EDGE || x->kind == TERM_NONE;
    any = either(a, any, bare ? uses_in_parts(a, x, known) : uses(a, x, known));
  }
  return any;
}

static Term *uses_in_edge(Arena *a, const Term *t, const Known *known) {
  Term *any = uses_in_parts(a, t, known);
  if (!t->edge->or_none || is_known(known, t)) return any;
  return either(a, any, term_op2(a, OP_EQ, (Term *)t, term_none(a, t->span), t->span));
}

static Term *uses_in_if(Arena *a, const Term *t, const Known *known) {
  Term *cond = t->args.at[0], *first = uses(a, cond, known);
  Term *yes = uses(a, t->args.at[1], given(a, cond, true, known));
  Term *no = uses(a, t->args.at[2], given(a, cond, false, known));
  bool same = yes && no && term_equal(yes, no);
  return either(a, first, same ? yes : either(a, both(a, cond, yes), both(a, negated(a, cond), no)));
}

static Term *uses_in_connective(Arena *a, const Term *t, const Known *known) {
  Term *cond = t->args.at[0];
  bool goes_on = t->op == OP_AND;
  Term *second = uses(a, t->args.at[1], given(a, cond, goes_on, known));
  return either(a, uses(a, cond, known), both(a, goes_on ? cond : negated(a, cond), second));
}

/* Over nothing too it uses what its body does whatever the index is. */
static Term *uses_in_reduce(Arena *a, const Term *t, const Known *known) {
  const Range *r = &t->index->range;
  Term *any = r->lo ? uses(a, r->lo, known) : NULL;
  if (r->hi) any = either(a, any, uses(a, r->hi, known));
  if (r->row) any = either(a, any, uses(a, r->row, known));
  Term *body = uses(a, t->args.at[0], known);
  if (body && term_mentions_index(body, t->index)) {
    Term *one = term_int(a, 1, t->span), *zero = term_int(a, 0, t->span);
    Term *count = term_reduce(a, REDUCE_SUM, t->index, term_if(a, body, one, zero, t->span), t->span);
    body = term_op2(a, OP_GT, count, zero, t->span);
  }
  return either(a, any, body);
}

static Term *uses(Arena *a, const Term *t, const Known *known) {
  if (t->kind == TERM_NONE) return term_bool(a, true, t->span);
  if (is_comparison(t)) return uses_in_comparison(a, t, known);
  if (t->kind == TERM_EDGE) return uses_in_edge(a, t, known);
  if (t->kind == TERM_IF) return uses_in_if(a, t, known);
  if (is_op(t, OP_AND) || is_op(t, OP_OR)) return uses_in_connective(a, t, known);
  if (t->kind == TERM_REDUCE) return uses_in_reduce(a, t, known);
  return uses_in_parts(a, t, known);
}

/* weights and logits are functions of the edge on the left, which alone is no use of it. */
Term *uses_none(Arena *a, const Weight *w) {
  Term *any = w->value ? uses(a, w->value, NULL) : NULL;
  if (w->left && w->dist != DIST_WEIGHTS && w->dist != DIST_LOGITS) any = either(a, any, uses(a, w->left, NULL));
  for (uint32_t i = 0; i < w->params.n; i++) any = either(a, any, uses(a, w->params.at[i], NULL));
  return any;
}

/* ---- a term at a none -------------------------------------------------------------------------------------------- */

static Term *without_uses(Arena *a, Term *t) {
  if (t->kind == TERM_IF && is_true(uses(a, t->args.at[1], NULL))) return without_uses(a, t->args.at[2]);
  if (t->kind == TERM_IF && is_true(uses(a, t->args.at[2], NULL))) return without_uses(a, t->args.at[1]);
  if ((is_op(t, OP_AND) || is_op(t, OP_OR)) && is_true(uses(a, t->args.at[1], NULL)))
    return without_uses(a, t->args.at[0]);
  Term *u = NEW(a, Term);
  *u = *t;
  u->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(a, &u->args, without_uses(a, t->args.at[i]));
  return term_finish(u);
}

/* A none that is not compared with anything. */
static bool has_stray_none(const Term *t) {
  if (t->kind == TERM_NONE) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!(is_comparison(t) && t->args.at[i]->kind == TERM_NONE) && has_stray_none(t->args.at[i])) return true;
  return false;
}

Term *one_where_none_is_used(Arena *a, Term *t) {
  Term *one = term_real(a, 1, t->span), *any = uses(a, t, NULL);
  if (is_true(any)) return one;
  Term *rest = without_uses(a, t);
  if (has_stray_none(rest)) return NULL;
  return any ? term_if(a, any, one, rest, t->span) : rest;
}
