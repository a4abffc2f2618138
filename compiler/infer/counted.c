/* counted: see counted.h.
 *
 * Sums and products of counts are those of copies, and an exponential of a count of independent copies a product over
 * them: the laws of expectation take these apart.  Any other function is of all copies together. */
#include "infer/counted.h"

#include "infer/network_plan.h"
#include "infer/twin.h"
#include "model/dim.h"
#include "model/term.h"

/* ---- counts -------------------------------------------------------------------------------------------------- */

Component *countable(const Plan *p, const Edge *e) {
  Component *c = p->of_edge[e->id];
  return c->structure || c->network || c->beyond || c->edges.at[0]->infer ? NULL : c;
}

typedef struct Names {
  const Plan *p;
  const Index *by;
  Component *c;
  int step;
  bool other;
} Names;

/* Along which plate does the index run through copies? */
static void see_names(const Term *t, void *context) {
  Names *s = context;
  if (t->kind != TERM_EDGE) return;
  Component *c = countable(s->p, t->edge);
  s->other |= !c || (s->c && c != s->c);
  s->c = c;
  for (uint32_t k = 0; k < t->args.n; k++) {
    if (!term_mentions_index(t->args.at[k], s->by)) continue;
    s->other |= s->step >= 0 && s->step != (int)k;
    s->step = (int)k;
  }
}

static bool sums_over_copies(const Term *t) {
  if (t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM && term_mentions_edge(t->args.at[0], NULL)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (sums_over_copies(t->args.at[i])) return true;
  return false;
}

Component *counted(const Plan *p, const Term *t, uint32_t *step) {
  if (t->kind != TERM_REDUCE || t->reduce != REDUCE_SUM || !term_mentions_edge(t->args.at[0], NULL)) return NULL;
  Names s = {.p = p, .by = t->index, .step = -1};
  term_walk(t->args.at[0], see_names, &s);
  if (s.other || s.step < 0 || !is_sum_of_counts(p->arena, t) || !twin_all_edges_in(s.c, t)) return NULL;
  if (sums_over_copies(t->args.at[0]) || may_count_none(t->args.at[0])) return NULL;
  if (s.c->chain && s.c->chain->step != (uint32_t)s.step) return NULL;
  *step = (uint32_t)s.step;
  return s.c;
}

bool has_count(const Plan *p, const Term *t) {
  uint32_t step;
  if (!(t->mentions & MENTIONS_EDGE)) return false;
  if (counted(p, t, &step)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_count(p, t->args.at[i])) return true;
  return false;
}

static bool is_linear(const Plan *p, const Term *t) {
  uint32_t step;
  if (!has_count(p, t) || counted(p, t, &step)) return true;
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_ADD:
  case OP_SUB:
  case OP_NEG:
  case OP_TO_REAL:
    for (uint32_t i = 0; i < t->args.n; i++)
      if (!is_linear(p, t->args.at[i])) return false;
    return true;
  case OP_MUL:
    return (is_linear(p, t->args.at[0]) && !term_mentions_edge(t->args.at[1], NULL)) ||
           (is_linear(p, t->args.at[1]) && !term_mentions_edge(t->args.at[0], NULL));
  case OP_DIV: return is_linear(p, t->args.at[0]) && !term_mentions_edge(t->args.at[1], NULL);
  }
  return false;
}

/* Does nothing join the copies that t counts?  An exponential of their sum is then a product over them. */
static bool counts_apart(const Plan *p, const Term *t) {
  uint32_t step;
  Component *c = counted(p, t, &step);
  if (c) return !c->chain;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_count(p, t->args.at[i]) && !counts_apart(p, t->args.at[i])) return false;
  return true;
}

/* Is there a function of counts in t that is no sum of products of copies? */
bool is_hard(const Plan *p, const Term *t) {
  uint32_t step;
  if (!has_count(p, t) || counted(p, t, &step)) return false;
  if (t->kind == TERM_IF && has_count(p, t->args.at[0])) return true;
  bool open = t->kind == TERM_IF || (t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM);
  if (t->kind == TERM_OP) {
    OpKind op = t->op;
    open = op == OP_ADD || op == OP_SUB || op == OP_NEG || op == OP_MUL || op == OP_TO_REAL || op == OP_SQ;
    if (op == OP_EXP && is_linear(p, t->args.at[0]) && counts_apart(p, t)) return false;
    if (op == OP_POW) open = t->args.at[1]->kind == TERM_INT;
    if (op == OP_DIV) open = !has_count(p, t->args.at[1]);
  }
  if (!open) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_hard(p, t->args.at[i])) return true;
  return false;
}

/* The first reference in t outside of counts; NULL: none. */
const Term *beside_counts(const Plan *p, const Term *t) {
  uint32_t step;
  if (t->kind == TERM_EDGE) return t;
  if (!(t->mentions & MENTIONS_EDGE) || counted(p, t, &step)) return NULL;
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *found = beside_counts(p, t->args.at[i]);
    if (found) return found;
  }
  return NULL;
}

/* ---- what is counted ------------------------------------------------------------------------------------------- */

void find_counts(Counts *s, const Term *t) {
  uint32_t step;
  Component *c = counted(s->p, t, &step);
  if (!c) {
    for (uint32_t i = 0; i < t->args.n; i++) find_counts(s, t->args.at[i]);
    return;
  }
  s->apart |= s->c && (s->c != c || s->step != step);
  s->several |= s->sum && !term_equal(s->sum, t);
  s->c = c, s->step = step, s->sum = t;
}

bool mentions_component(const Component *c, const Term *t) {
  if (t->kind == TERM_EDGE && component_place(c, t->edge) >= 0) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (mentions_component(c, t->args.at[i])) return true;
  return false;
}

static bool names_by_index(const Term *t, uint32_t step, const Index *i) {
  if (t->kind == TERM_EDGE && (t->args.at[step]->kind != TERM_INDEX || t->args.at[step]->index != i)) return false;
  for (uint32_t k = 0; k < t->args.n; k++)
    if (!names_by_index(t->args.at[k], step, i)) return false;
  return true;
}

/* Has the law of this one count all that is asked (convolve.c)?  Then it is of one copy after the other, and no sum
 * over others stands beside it. */
bool is_convolved(const Counts *s, const TermVec *others) {
  if (s->c->chain || s->several || !range_is_of_sizes(&s->sum->index->range)) return false;
  if (!is_zero_or_one(s->sum->args.at[0])) return false;
  if (!names_by_index(s->sum->args.at[0], s->step, s->sum->index)) return false;
  for (uint32_t i = 0; i < others->n; i++)
    if (mentions_component(s->c, others->at[i]) || sums_over_copies(others->at[i])) return false;
  return true;
}

/* ---- counts of some copies ------------------------------------------------------------------------------------- */

static bool is_no_more(const Plan *p, const Term *x, const Term *y) { /* x <= y for all sizes */
  int64_t d;
  return dim_difference(p->arena, y, x, &d) && d >= 0;
}

/* The least and greatest values of a bound, of sizes: its own, or those of an index that it is, or is next to. */
static bool bounds_of(const Plan *p, Term *t, Term **least, Term **greatest) {
  Arena *arena = p->arena;
  Term *one = term_int(arena, 1, t->span);
  if (term_is_of_sizes(t)) return *least = *greatest = t, true;
  bool next = t->kind == TERM_OP && t->op == OP_ADD && t->args.at[1]->kind == TERM_INT && t->args.at[1]->integer == 1;
  const Term *i = next ? t->args.at[0] : t;
  if (i->kind != TERM_INDEX || !range_is_of_sizes(&i->index->range)) return false;
  const Range *r = &i->index->range;
  *least = next ? term_op2(arena, OP_ADD, r->lo, one, t->span) : r->lo;
  *greatest = next ? r->hi : term_op2(arena, OP_SUB, r->hi, one, t->span);
  return true;
}

/* Is t 0 where the bit is, whatever it is multiplied by?  In a potential's exponent 0 s = 0, also of an infinite s. */
static bool vanishes_at_0(const Term *t, const Edge *bit) {
  if (t->kind == TERM_EDGE) return t->edge == bit;
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_MUL: return vanishes_at_0(t->args.at[0], bit) || vanishes_at_0(t->args.at[1], bit);
  case OP_TO_REAL:
  case OP_NEG:
  case OP_DIV: return vanishes_at_0(t->args.at[0], bit);
  case OP_ADD:
  case OP_SUB: return vanishes_at_0(t->args.at[0], bit) && vanishes_at_0(t->args.at[1], bit);
  }
  return false;
}

static bool leaves_0(const Factor *f, const Edge *bit) {
  const Weight *w = f->weight;
  if (f->kind == FACTOR_PRIOR || f->kind == FACTOR_NORMALISER) return !w || w->dist == DIST_UNIFORM;
  bool exponent = w && w->kind == WEIGHT_POTENTIAL && w->value->kind == TERM_OP && w->value->op == OP_EXP;
  return exponent && vanishes_at_0(w->value->args.at[0], bit);
}

/* Has value 0 of every copy a weight that is not 0? */
static bool allows_0(const Component *c) {
  const Edge *bit = c->edges.at[0];
  bool all = c->edges.n == 1 && bit->domain == DOMAIN_BIT && !bit->or_none && !bit->where;
  for (uint32_t i = 0; i < c->factors.n; i++) all = all && leaves_0(c->factors.at[i], bit);
  for (uint32_t i = 0; i < c->constants.n; i++) all = all && leaves_0(c->constants.at[i], bit);
  return all;
}

static bool group_leaves_0(const Group *g) {
  const Weight *w = g->weight;
  if (g->kind == GROUP_UNIFORM) return true;
  bool exponent = g->kind == GROUP_WEIGHT && w->kind == WEIGHT_POTENTIAL && w->value->kind == TERM_OP &&
                  w->value->op == OP_EXP;
  return exponent && vanishes_at_0(w->value->args.at[0], g->names.at[0]->edge);
}

bool always_exists(const Component *c) {
  if (c->chain && c->chain->ends.n) return false;
  if (!c->network) return allows_0(c);
  bool all = true;
  for (uint32_t i = 0; i < c->network->parts.n; i++) {
    const Edge *bit = c->network->parts.at[i]->edges.at[0];
    all = all && bit->domain == DOMAIN_BIT && !bit->or_none && !bit->where;
  }
  for (uint32_t i = 0; i < c->network->groups.n; i++) all = all && group_leaves_0(c->network->groups.at[i]);
  return all;
}

static Term *count_of_all(const Plan *p, const Index *plate, uint32_t step, Term *t) {
  Arena *arena = p->arena;
  const Range *r = &t->index->range, *all = &plate->range;
  Term *least, *greatest, *ignored;
  if (r->kind != RANGE_INTERVAL || all->kind != RANGE_INTERVAL || !names_by_index(t->args.at[0], step, t->index))
    return t;
  if (term_equal(r->lo, all->lo) && term_equal(r->hi, all->hi)) return t;
  if (!bounds_of(p, r->lo, &least, &ignored) || !bounds_of(p, r->hi, &ignored, &greatest)) return t;
  if (!is_no_more(p, all->lo, least) || !is_no_more(p, greatest, all->hi)) return t;
  Index *own = NEW(arena, Index);
  *own = *t->index;
  own->range.lo = all->lo, own->range.hi = all->hi;
  Model scratch = *p->model; /* for its arena and its count of indices */
  scratch.arena = arena;
  Term *q = term_index(arena, own, t->span);
  Term *body = term_substitute(&scratch, t->args.at[0], &(IndexMap){t->index, q}, 1);
  Term *from = term_op2(arena, OP_LE, r->lo, q, t->span), *to = term_op2(arena, OP_LT, q, r->hi, t->span);
  Term *some = term_if(arena, term_op2(arena, OP_AND, from, to, t->span), body, term_int(arena, 0, t->span), t->span);
  return term_reduce(arena, REDUCE_SUM, own, some, t->span);
}

Term *counts_of_all(const Plan *p, const Component *c, uint32_t step, Term *t) {
  uint32_t at;
  bool apart = !c->chain || c->chain->may_break;
  if (!(t->mentions & MENTIONS_EDGE) || (apart && !always_exists(c))) return t;
  if (counted(p, t, &at) == c && at == step) return count_of_all(p, c->plates.at[step], step, t);
  Term *r = NEW(p->arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &r->args, counts_of_all(p, c, step, t->args.at[i]));
  return term_finish(r);
}
