/* count_plan: weights on the number of copies that have a property, or on sums of whole numbers.
 *
 * A weight that mentions copies only inside sums of 0/1 terms over an index that follows a plate, sum(j in N) a[i, j],
 * is a weight on counts; so it is where terms are whole numbers between 0 and what the sizes tell.  Each sum becomes a
 * Counter, a value of the chain along that plate that grows from copy to copy, and the weight an End, a function of the
 * counts once the last copy is counted.  Where all that ends ask is how a count compares with a limit, larger counts
 * are one, or have no weight: the chain then needs O(limit) counts. */
#include "base/ice.h"
#include "infer/plan.h"
#include "model/term.h"

/* ---- 0/1 terms ------------------------------------------------------------------------------------------- */

bool is_zero_or_one(const Term *t) {
  switch ((int)t->kind) {
  case TERM_EDGE: return t->edge->domain == DOMAIN_BIT;
  case TERM_INT: return t->integer == 0 || t->integer == 1;
  case TERM_IF: return is_zero_or_one(t->args.at[1]) && is_zero_or_one(t->args.at[2]);
  case TERM_OP: break;
  default: return false;
  }
  if (t->op == OP_MUL) return is_zero_or_one(t->args.at[0]) && is_zero_or_one(t->args.at[1]);
  bool complement = t->op == OP_SUB && t->args.at[0]->kind == TERM_INT && t->args.at[0]->integer == 1;
  return complement && is_zero_or_one(t->args.at[1]);
}

/* The greatest value of an int that is at least 0, in terms of sizes; NULL: it is not known. */
static Term *greatest(Arena *a, const Term *t) {
  const Range *r = t->kind == TERM_INDEX ? &t->index->range : t->kind == TERM_EDGE ? &t->edge->range : NULL;
  Term *x, *y;
  switch ((int)t->kind) {
  case TERM_INT: return t->integer >= 0 ? (Term *)t : NULL;
  case TERM_SIZE: return (Term *)t;
  case TERM_EDGE: case TERM_INDEX:
    if (t->kind == TERM_EDGE && t->edge->domain == DOMAIN_BIT) return term_int(a, 1, t->span);
    if (t->kind == TERM_EDGE && t->edge->domain != DOMAIN_RANGE) return NULL;
    if (r->kind != RANGE_INTERVAL || !greatest(a, r->lo) || !term_is_of_sizes(r->hi)) return NULL;
    x = term_op2(a, OP_SUB, r->hi, term_int(a, 1, t->span), t->span);
    return term_op2(a, OP_MAX, x, term_int(a, 0, t->span), t->span);
  case TERM_IF:
    x = greatest(a, t->args.at[1]), y = greatest(a, t->args.at[2]);
    return x && y ? term_op2(a, OP_MAX, x, y, t->span) : NULL;
  case TERM_OP:
    if (t->op == OP_MOD && t->args.at[1]->kind == TERM_INT && t->args.at[1]->integer > 0)
      return term_int(a, t->args.at[1]->integer - 1, t->span);
    if (t->op != OP_ADD && t->op != OP_MUL) return NULL;
    x = greatest(a, t->args.at[0]), y = greatest(a, t->args.at[1]);
    return x && y ? term_op2(a, t->op, x, y, t->span) : NULL;
  }
  return NULL;
}

bool is_sum_of_counts(Arena *a, const Term *sum) {
  const Term *body = sum->args.at[0];
  return is_zero_or_one(body) || (sum->type == TYPE_INT && greatest(a, body));
}

bool may_count_none(const Term *t) {
  if (t->kind == TERM_EDGE) return t->edge->or_none;
  bool looks = t->kind == TERM_OP && (t->op == OP_EQ || t->op == OP_NE);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!(looks && t->args.at[i]->kind == TERM_EDGE) && may_count_none(t->args.at[i])) return true;
  return false;
}

/* ---- sums in a weight -------------------------------------------------------------------------------------- */

typedef struct Sums {
  Arena *arena;
  VEC(const Term *) list;
  bool bare;
} Sums; /* bare: an edge stands outside all of them */

static bool names_by(const Term *t, const Index *q) {
  if (t->kind == TERM_EDGE && term_mentions_index(t, q)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (names_by(t->args.at[i], q)) return true;
  return false;
}

static void find_sums(Sums *s, const Term *t) {
  if (t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM && names_by(t->args.at[0], t->index)) {
    for (uint32_t i = 0; i < s->list.n; i++)
      if (term_equal(s->list.at[i], t)) return;
    vec_push(s->arena, &s->list, t);
    return;
  }
  if (t->kind == TERM_EDGE) s->bare = true;
  for (uint32_t i = 0; i < t->args.n; i++) find_sums(s, t->args.at[i]);
}

static Sums sums_of(Plan *p, const Weight *w) {
  Sums s = {.arena = p->arena};
  if (w->value) find_sums(&s, w->value);
  if (w->left) find_sums(&s, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) find_sums(&s, w->params.at[i]);
  return s;
}

bool is_count_weight(Plan *p, const Weight *w) {
  Sums s = sums_of(p, w);
  return s.list.n > 0 && !s.bare && w->kind != WEIGHT_PRIOR;
}

/* ---- ends --------------------------------------------------------------------------------------------------- */

static Term *with_counts(Plan *p, const Chain *ch, const Term *t) {
  for (uint32_t i = 0; i < ch->counters.n; i++)
    if (term_equal(ch->counters.at[i]->sum, t)) return term_index(p->arena, ch->counters.at[i]->count, t->span);
  if (!t->args.n) return (Term *)t;
  Term *r = NEW(p->arena, Term);
  *r = *t;
  r->args = (TermVec){0};
  for (uint32_t i = 0; i < t->args.n; i++) vec_push(p->arena, &r->args, with_counts(p, ch, t->args.at[i]));
  return term_finish(r);
}

static Weight *end_of(Plan *p, const Chain *ch, const Weight *w) {
  Weight *e = NEW(p->arena, Weight);
  *e = *w;
  e->params = (TermVec){0};
  if (w->value) e->value = with_counts(p, ch, w->value);
  if (w->left) e->left = with_counts(p, ch, w->left);
  for (uint32_t i = 0; i < w->params.n; i++) vec_push(p->arena, &e->params, with_counts(p, ch, w->params.at[i]));
  return e;
}

/* ---- limits --------------------------------------------------------------------------------------------------- */

typedef struct Compared { OpKind op; const Term *with; } Compared; /* count op with */

static bool is_count(const Term *t, const Counter *c) { return t->kind == TERM_INDEX && t->index == c->count; }

static OpKind turned(OpKind op) {
  return op == OP_LT ? OP_GT : op == OP_GT ? OP_LT : op == OP_LE ? OP_GE : op == OP_GE ? OP_LE : op;
}

/* Is t a comparison of the bare count with an int that does not depend on counts? */
static bool compares(const Chain *ch, const Counter *c, const Term *t, Compared *found) {
  if (t->kind != TERM_OP || t->op < OP_EQ || t->op > OP_GE || t->op == OP_NE) return false;
  for (uint32_t side = 0; side < 2; side++) {
    const Term *count = t->args.at[side], *with = t->args.at[1 - side];
    bool free = with->type == TYPE_INT && !term_mentions_edge(with, NULL);
    for (uint32_t i = 0; i < ch->counters.n; i++) free = free && !term_mentions_index(with, ch->counters.at[i]->count);
    if (!is_count(count, c) || !free) continue;
    *found = (Compared){side ? turned(t->op) : t->op, with};
    return true;
  }
  return false;
}

typedef struct Bounds { Term *above, *below; bool other; } Bounds; /* count <= above; counts >= below are one */

static Term *plus(Plan *p, const Term *t, int64_t n) {
  return n ? term_op2(p->arena, OP_ADD, (Term *)t, term_int(p->arena, n, t->span), t->span) : (Term *)t;
}

static void bound_by(Plan *p, const Chain *ch, const Counter *c, const Term *t, Bounds *b) {
  Compared k;
  if (t->kind == TERM_OP && t->op == OP_AND) {
    bound_by(p, ch, c, t->args.at[0], b);
    bound_by(p, ch, c, t->args.at[1], b);
  } else if (!compares(ch, c, t, &k)) {
    b->other |= term_mentions_index(t, c->count);
  } else if (k.op == OP_EQ || k.op == OP_LE || k.op == OP_LT) {
    if (!b->above) b->above = plus(p, k.with, k.op == OP_LT ? -1 : 0);
  } else {
    Term *enough = plus(p, k.with, k.op == OP_GT ? 1 : 0);
    b->below = b->below ? term_op2(p->arena, OP_MAX, b->below, enough, enough->span) : enough;
  }
}

static bool weight_mentions(const Weight *w, const Index *i) {
  bool found = (w->value && term_mentions_index(w->value, i)) || (w->left && term_mentions_index(w->left, i));
  for (uint32_t k = 0; k < w->params.n; k++) found |= term_mentions_index(w->params.at[k], i);
  return found;
}

/* Limits may not depend on what a weight is a product over. */
static bool mentions_some(const Term *t, const IndexVec *list) {
  for (uint32_t i = 0; t && i < list->n; i++)
    if (term_mentions_index(t, list->at[i])) return true;
  return false;
}

static void find_limit(Plan *p, const Chain *ch, Counter *c) {
  Bounds b = {0};
  for (uint32_t i = 0; i < ch->ends.n; i++) {
    const Weight *w = ch->ends.at[i]->weight;
    if (w->kind == WEIGHT_REQUIRE) {
      Bounds here = {0};
      bound_by(p, ch, c, w->value, &here);
      if (mentions_some(here.above, &ch->ends.at[i]->beyond)) here.above = NULL, here.other = true;
      if (mentions_some(here.below, &ch->ends.at[i]->beyond)) here.below = NULL, here.other = true;
      if (!b.above) b.above = here.above;
      if (here.below)
        b.below = b.below ? term_op2(p->arena, OP_MAX, b.below, here.below, here.below->span) : here.below;
      b.other |= here.other;
    } else {
      b.other |= weight_mentions(w, c->count);
    }
  }
  if (b.above) c->limit = b.above;
  else if (b.below && !b.other) c->limit = b.below, c->saturates = true;
}

/* ---- counters --------------------------------------------------------------------------------------------------- */

static void visit_term(const void *term, EdgeVisitor visit, void *arg) { visit_edges(term, visit, arg); }

/* Along all plates but the counted one the weight must stand in the copies' own plates, or run over the same range. */
static bool stands_beside(const Component *c, const Reach *r, uint32_t plate) {
  for (uint32_t k = 0; k < r->n; k++) {
    if (k == plate) continue;
    const Range *own = &c->plates.at[k]->range, *q = &r->range[k];
    if (!r->follows[k] || r->shift[k]) return false;
    bool same = own->kind == RANGE_INTERVAL && q->kind == RANGE_INTERVAL && term_equal(own->lo, q->lo) &&
                term_equal(own->hi, q->hi);
    if (r->follows[k] != c->plates.at[k] && !same) return false;
  }
  return true;
}

static uint32_t add_counter(Plan *p, Component *c, const Weight *w, const Term *sum, Reach *r) {
  Term *body = sum->args.at[0], *most = is_zero_or_one(body) ? NULL : greatest(p->arena, body);
  for (uint32_t i = 0; i < c->chain->counters.n; i++)
    if (term_equal(c->chain->counters.at[i]->sum, sum)) return i;
  Counter *k = NEW(p->arena, Counter);
  *k = (Counter){.sum = (Term *)sum, .most = most, .reach = r, .span = w->span};
  k->count = NEW(p->arena, Index);
  *k->count = (Index){.id = UINT32_MAX, .name = sum->index->name, .span = sum->span, .role = INDEX_REDUCE};
  vec_push(p->arena, &c->chain->counters, k);
  return c->chain->counters.n - 1;
}

static bool is_beyond(const Reach *r, const Index *i) {
  for (uint32_t k = 0; k < r->beyond.n; k++)
    if (r->beyond.at[k] == i) return true;
  return false;
}

static const char *count_one(Plan *p, Component *c, const Weight *w, const Term *sum, Reach **reach) {
  const char *why = NULL;
  IndexVec plates = {0};
  for (uint32_t i = 0; i < w->plates.n; i++) vec_push(p->arena, &plates, w->plates.at[i]);
  vec_push(p->arena, &plates, sum->index);
  Reach *r = *reach = reach_of(p->arena, c, &plates, sum->args.at[0], visit_term, sum->span, &why);
  if (!r) return why;
  int plate = -1;
  for (uint32_t k = 0; k < r->n; k++)
    if (r->follows[k] == sum->index) plate = (int)k;
  if (plate < 0) return "sums over copies along no plate of theirs";
  for (uint32_t i = 0; i < w->plates.n; i++)
    if (is_beyond(r, w->plates.at[i]) && term_mentions_index(sum, w->plates.at[i]))
      return "counts another property of the same copies for every value of an index";
  if (!is_sum_of_counts(p->arena, sum)) return "sums values of copies that are not whole numbers between 0 and a size";
  if (may_count_none(sum->args.at[0])) return "counts copies that may be none by more than == and !=";
  if (!stands_beside(c, r, (uint32_t)plate)) return "counts copies of other plates than those it stands in";
  if (r->shift[plate] != r->lowest[plate] && c->plates.at[plate]->range.kind != RANGE_INTERVAL)
    return "joins copies along a row of a graph";
  if (c->chain && c->chain->step != (uint32_t)plate) return "joins copies along a second plate";
  if (!c->chain) c->chain = NEW(p->arena, Chain);
  c->chain->step = (uint32_t)plate;
  return NULL;
}

const char *plan_count(Plan *p, Component *c, const Weight *w) {
  Sums s = sums_of(p, w);
  Reach *r = NULL;
  uint32_t counters = 0;
  for (uint32_t i = 0; i < s.list.n; i++) {
    const char *why = count_one(p, c, w, s.list.at[i], &r);
    if (why) return why;
    counters |= (uint32_t)1 << add_counter(p, c, w, s.list.at[i], r);
  }
  End *e = NEW(p->arena, End);
  *e = (End){.weight = end_of(p, c->chain, w), .reach = r, .counters = counters};
  for (uint32_t i = 0; i < r->beyond.n; i++)
    if (r->beyond.at[i] != s.list.at[s.list.n - 1]->index) vec_push(p->arena, &e->beyond, r->beyond.at[i]);
  vec_push(p->arena, &c->chain->ends, e);
  return NULL;
}

void plan_limits(Plan *p, Component *c) {
  for (uint32_t i = 0; i < c->chain->counters.n; i++) find_limit(p, c->chain, c->chain->counters.at[i]);
}
