/* live: see live.h.  A small evaluator of int and bool terms over indices, sizes and the edge itself. */
#include "explain/live.h"

#include "model/term.h"

enum { MOST_PAIRS = 4000000 };

typedef struct Count {
  const Model *m;
  const Edge *e;
  const int64_t *sizes;
  int64_t *index;   /* by Index.id */
  int64_t value;    /* of the edge */
  int64_t steps;
  Live live;
} Count;

static bool eval(const Count *c, const Term *t, int64_t *v);

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static bool eval_op(const Count *c, const Term *t, int64_t *v) {
  int64_t x = 0, y = 0;
  if (t->args.n > 2 || !eval(c, t->args.at[0], &x)) return false;
  if (t->op == OP_AND || t->op == OP_OR) {
    *v = x != 0;
    return (t->op == OP_OR) == *v || eval(c, t->args.at[1], v);
  }
  if (t->args.n == 2 && !eval(c, t->args.at[1], &y)) return false;
  switch ((int)t->op) {
  case OP_ADD: return !__builtin_add_overflow(x, y, v);
  case OP_SUB: return !__builtin_sub_overflow(x, y, v);
  case OP_MUL: return !__builtin_mul_overflow(x, y, v);
  case OP_NEG: return !__builtin_sub_overflow(0, x, v);
  case OP_FLOORDIV: return y != 0 && y != -1 && (*v = floor_div(x, y), true);
  case OP_MOD: return y != 0 && y != -1 && (*v = x - floor_div(x, y) * y, true);
  case OP_EQ: *v = x == y; return true;
  case OP_NE: *v = x != y; return true;
  case OP_LT: *v = x < y; return true;
  case OP_LE: *v = x <= y; return true;
  case OP_GT: *v = x > y; return true;
  case OP_GE: *v = x >= y; return true;
  case OP_NOT: *v = !x; return true;
  case OP_MIN: *v = x < y ? x : y; return true;
  case OP_MAX: *v = x > y ? x : y; return true;
  case OP_ABS: *v = x; return x != INT64_MIN && (*v = x < 0 ? -x : x, true);
  default: return false;
  }
}

static bool eval(const Count *c, const Term *t, int64_t *v) {
  switch (t->kind) {
  case TERM_INT: *v = t->integer; return true;
  case TERM_BOOL: *v = t->truth; return true;
  case TERM_SIZE: *v = c->sizes[t->size->id]; return *v >= 0;
  case TERM_INDEX: *v = c->index[t->index->id]; return true;
  case TERM_EDGE: *v = c->value; return t->edge == c->e;
  case TERM_OP: return t->type != TYPE_REAL && eval_op(c, t, v);
  case TERM_IF: return eval(c, t->args.at[0], v) && eval(c, t->args.at[*v ? 1 : 2], v);
  case TERM_REAL: case TERM_NONE: case TERM_INPUT: case TERM_LET: case TERM_LATENT: case TERM_REDUCE: case TERM_QUERY:
    return false;
  }
  return false;
}

/* ---- which terms can be counted ------------------------------------------------------------------------------- */

static bool is_plain(const Edge *e, const Term *t) {
  if (!t) return true;
  if (t->kind == TERM_EDGE && t->edge != e) return false;
  if (t->mentions & (MENTIONS_INPUT | MENTIONS_LET | MENTIONS_LATENT | MENTIONS_QUERY)) return false;
  if (t->kind == TERM_REDUCE || (t->kind == TERM_OP && t->type == TYPE_REAL)) return false;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!is_plain(e, t->args.at[i])) return false;
  return true;
}

static bool is_plain_range(const Edge *e, const Range *r) {
  return r->kind == RANGE_INTERVAL && is_plain(e, r->lo) && is_plain(e, r->hi);
}

/* The indices that name the edge's own copy are no use of them. */
static bool depends_on(const Term *t, const Index *i) {
  if (t->kind == TERM_INDEX) return t->index == i;
  for (uint32_t k = 0; t->kind != TERM_EDGE && k < t->args.n; k++)
    if (depends_on(t->args.at[k], i)) return true;
  return false;
}

static bool mentions(const Range *r, const Index *i) { return depends_on(r->lo, i) || depends_on(r->hi, i); }

static bool support_mentions(const Edge *e, const Index *i) {
  return mentions(&e->range, i) || (e->where && depends_on(e->where, i));
}

static bool is_relevant(const Edge *e, uint32_t plate) {
  const Index *i = e->plates.at[plate];
  for (uint32_t k = plate + 1; k < e->plates.n; k++)
    if (is_relevant(e, k) && mentions(&e->plates.at[k]->range, i)) return true;
  return support_mentions(e, i);
}

bool live_is_countable(const Edge *e) {
  if (e->domain != DOMAIN_RANGE || !is_plain_range(e, &e->range) || !is_plain(e, e->where) || e->plates.n > 16)
    return false;
  bool any = e->where != NULL;
  for (uint32_t i = 0; i < e->plates.n; i++) {
    if (e->plates.at[i]->range.kind != RANGE_INTERVAL) return false;
    any |= mentions(&e->range, e->plates.at[i]);
    if (is_relevant(e, i) && !is_plain_range(e, &e->plates.at[i]->range)) return false;
  }
  return any;
}

/* ---- counting -------------------------------------------------------------------------------------------------- */

static bool count_copy(Count *c) {
  int64_t lo, hi, holds = 1;
  if (!eval(c, c->e->range.lo, &lo) || !eval(c, c->e->range.hi, &hi)) return false;
  for (c->value = lo; c->value < hi; c->value++) {
    if (++c->steps > MOST_PAIRS || (c->e->where && !eval(c, c->e->where, &holds))) return false;
    c->live.visited++;
    c->live.admitted += holds != 0;
  }
  return true;
}

static bool count_plates(Count *c, uint32_t plate) {
  if (plate == c->e->plates.n) return count_copy(c);
  if (!is_relevant(c->e, plate)) return count_plates(c, plate + 1);
  const Index *i = c->e->plates.at[plate];
  int64_t lo, hi;
  if (!eval(c, i->range.lo, &lo) || !eval(c, i->range.hi, &hi)) return false;
  for (int64_t v = lo; v < hi; v++) {
    c->index[i->id] = v;
    if (++c->steps > MOST_PAIRS || !count_plates(c, plate + 1)) return false;
  }
  return true;
}

bool live_count(const Model *m, const Edge *e, const int64_t *sizes, Live *live) {
  if (!sizes || !live_is_countable(e)) return false;
  Count c = {.m = m, .e = e, .sizes = sizes, .index = NEW_ARRAY(m->arena, int64_t, m->index_count)};
  if (!count_plates(&c, 0)) return false;
  *live = c.live;
  return true;
}
