/* separate: whether the log of a sum is put together from logs of its terms.
 *
 * log sum_d e^L[t_d] keeps what the values t_d would lose: the exponent of an exponential may be beyond any number.
 * And logs separate: of a product of what depends on an edge's value alone and of what does not depend on it they are
 * a sum, so that the sums may change places (ir/pass_reassociate.c).  Of anything else, the square of a difference say,
 * L[t] is the log of the value: then one log of the sum does for all of them. */
#include "infer/context.h"
#include "model/term.h"

/* both: beside an edge t mentions a plate of it. */
typedef struct Sides { const Term *t; bool both; } Sides;

static void note_sides(const Term *t, void *context) {
  Sides *s = context;
  if (t->kind != TERM_EDGE) return;
  for (uint32_t k = 0; k < t->edge->plates.n; k++) s->both |= term_mentions_beside_edges(s->t, t->edge->plates.at[k]);
}

static bool is_of_one_side(const Term *t) {
  Sides s = {t, false};
  term_walk(t, note_sides, &s);
  return !s.both;
}

static bool is_square(const Term *exponent) {
  return (exponent->kind == TERM_INT && exponent->integer == 2) || (exponent->kind == TERM_REAL && exponent->real == 2);
}

static bool op_keeps(const Term *t) {
  const Term *p = t->args.at[0], *q = t->args.n > 1 ? t->args.at[1] : NULL;
  switch ((int)t->op) {
    case OP_EXP: case OP_SIGMOID: case OP_SOFTPLUS: case OP_ELU: return true;
    case OP_ADD: return logs_keep(q) || logs_keep(p);
    case OP_MUL: case OP_DIV: return logs_keep(p) || logs_keep(q) || (is_of_one_side(p) && is_of_one_side(q));
    case OP_SQ: return logs_keep(p);
    case OP_POW: return !is_square(q) || logs_keep(p);
  }
  return false;
}

bool logs_keep(const Term *t) {
  switch (t->kind) {
    case TERM_OP: return op_keeps(t);
    case TERM_IF: return logs_keep(t->args.at[1]) || logs_keep(t->args.at[2]);
    case TERM_REDUCE: return t->reduce == REDUCE_PROD || (t->reduce == REDUCE_SUM && logs_keep(t->args.at[0]));
    default: return false;
  }
}
