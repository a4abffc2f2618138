/* expect: E and P of an expression under the components' posteriors.
 *
 * E goes through + - and sums; a factor free of unknown edges stays outside.  Otherwise the expression is
 * evaluated until it first asks for an unknown copy, and then once for every joint value of that copy's
 * component, weighted.  So an edge indexed by an edge, and two references that turn out to be the same
 * copy, need no rule of their own.
 *
 * An infinite value whose probability is positive, but too small for a number, makes E that infinity; arithmetic makes
 * it NaN (0 times infinity) wherever the probability underflows before they meet.  Such an output is not judged. */
#include <float.h>
#include <math.h>

#include "oracle/world.h"

static double expect(World *w, const Term *t);

static double branch_on_marginal(World *w, const Component *c, uint32_t copy, const Term *t) {
  uint32_t row = 0, n = c->n_copies;
  while (c->copies[row] != copy) row++;
  double total = 0;
  for (uint32_t j = 0; j < n && world_step(w, t->span); j++) {
    w->value[copy] = j;
    total += c->marginal[row * n + j] * expect(w, t);
  }
  w->value[copy] = UNKNOWN_VALUE;
  return total;
}

static double branch(World *w, uint32_t copy, const Term *t) {
  const Component *c = &w->components[w->units.at[w->copies.at[copy].unit].component];
  InferMethod method = c->infer ? c->infer->method : INFER_EXACT;
  bool approximate = method == INFER_SINKHORN || method == INFER_BETHE;
  if (method == INFER_SAMPLE || (approximate && !c->marginal)) w->unjudged = true;
  if (c->marginal) return branch_on_marginal(w, c, copy, t);
  if (isnan(c->table->log_z)) return NAN;
  double total = 0;
  for (uint64_t k = 0; k < c->table->n && !w->failed && world_step(w, t->span); k++) {
    if (c->p[k] == 0 && method != INFER_EXACT) continue;
    for (uint32_t i = 0; i < c->n_copies; i++) w->value[c->copies[i]] = c->table->values[k * c->n_copies + i];
    double value = expect(w, t);
    if (isinf(value) && c->p[k] < (double)FLT_MIN) w->unjudged = true;
    total += c->p[k] * value;
  }
  for (uint32_t i = 0; i < c->n_copies; i++) w->value[c->copies[i]] = UNKNOWN_VALUE;
  return total;
}

/* Evaluates t unless that needs an unknown copy or a latent that q leaves open. */
static bool known(World *w, const Term *t, double *x) {
  w->need = NEED_NOTHING;
  latent_touch_begin(w);
  *x = world_real(w, t);
  bool ok = w->need == NEED_NOTHING && !latent_touched(w);
  w->need = NEED_NOTHING;
  return ok;
}

static double expect_sum(World *w, const Term *t) {
  Index *x = t->index;
  int64_t saved = w->index[x->id];
  Values v = world_range(w, &x->range);
  double total = 0;
  for (int64_t k = 0; k < v.n && !w->failed && world_step(w, t->span); k++) {
    w->index[x->id] = value_at(&v, k);
    total += expect(w, t->args.at[0]);
  }
  w->index[x->id] = saved;
  return total;
}

static bool range_known(World *w, const Range *r) {
  double x;
  if (r->kind == RANGE_ROW) return known(w, r->row, &x);
  return known(w, r->lo, &x) && known(w, r->hi, &x);
}

/* The laws that hold without looking at values; false where none applies. */
static bool expect_by_law(World *w, const Term *t, double *result) {
  double x;
  if (t->kind == TERM_IF && known(w, t->args.at[0], &x)) {
    *result = expect(w, t->args.at[x != 0 ? 1 : 2]);
    return true;
  }
  if (t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM && range_known(w, &t->index->range)) {
    *result = expect_sum(w, t);
    return true;
  }
  if (t->kind != TERM_OP || t->type == TYPE_BOOL || t->args.n == 0) return false;
  const Term *a = t->args.at[0], *b = t->args.at[t->args.n - 1];
  if (t->op != OP_TO_REAL && (oracle_may_be_none(a) || oracle_may_be_none(b))) return false;
  switch ((int)t->op) {
  case OP_ADD: *result = expect(w, a) + expect(w, b); return true;
  case OP_SUB: *result = expect(w, a) - expect(w, b); return true;
  case OP_NEG: *result = -expect(w, a); return true;
  case OP_TO_REAL: *result = expect(w, a); return true;
  case OP_MUL:
    if (known(w, a, &x)) *result = x * expect(w, b);
    else if (known(w, b, &x)) *result = expect(w, a) * x;
    else return false;
    return true;
  case OP_DIV:
    if (!known(w, b, &x)) return false;
    *result = expect(w, a) / x;
    return true;
  default: return false;
  }
}

static double expect(World *w, const Term *t) {
  w->need = NEED_NOTHING;
  latent_touch_begin(w);
  double x = world_real(w, t);
  int64_t need = w->need;
  w->need = NEED_NOTHING;
  if ((need == NEED_NOTHING && !latent_touched(w)) || w->failed) return x;
  if (expect_by_law(w, t, &x)) return x;
  if (need != NEED_NOTHING) return branch(w, (uint32_t)need, t);
  latent_touch_begin(w); /* the laws have looked at parts of t */
  world_real(w, t);
  return latent_expect(w, t);
}

static void note_empty(World *w, void *data, uint32_t copy, bool exact) {
  const Component *c = &w->components[w->units.at[w->copies.at[copy].unit].component];
  if (exact && !c->table->n) *(bool *)data = true;
}

double world_expect(World *w, const Term *t) {
  bool empty = false;
  world_mentions(w, t, note_empty, &empty);
  if (empty || w->failed) return 0;
  return expect(w, t);
}
