/* pairs: see pairs.h. */
#include "driver/pairs.h"

#include <stdlib.h>

#include "driver/measure.h"
#include "model/term.h"

enum { SPANS = 8, VARS = 32, RUNS_FIRST = 64 };

/* ---- sets of values ----------------------------------------------------------------------------------------- */

/* lo .. hi each, none empty, in order, with gaps between them.  !exact: some values inside may be dead. */
typedef struct Run { int64_t lo, hi; } Run;
typedef struct Set { uint32_t n; Run run[SPANS]; bool exact; } Set;

static Set run_of(int64_t lo, int64_t hi, bool exact) {
  return lo < hi ? (Set){.n = 1, .run = {{lo, hi}}, .exact = exact} : (Set){.exact = true};
}

static bool put(Set *s, int64_t lo, int64_t hi) {
  if (lo >= hi) return true;
  if (s->n && s->run[s->n - 1].hi >= lo) {
    if (hi > s->run[s->n - 1].hi) s->run[s->n - 1].hi = hi;
    return true;
  }
  if (s->n == SPANS) return false;
  s->run[s->n++] = (Run){lo, hi};
  return true;
}

/* all: what stands for a set of too many runs. */
static Set set_and(const Set *a, const Set *b, Run all) {
  Set s = {.exact = a->exact && b->exact};
  for (uint32_t i = 0; i < a->n; i++)
    for (uint32_t k = 0; k < b->n; k++) {
      int64_t lo = a->run[i].lo > b->run[k].lo ? a->run[i].lo : b->run[k].lo;
      int64_t hi = a->run[i].hi < b->run[k].hi ? a->run[i].hi : b->run[k].hi;
      if (!put(&s, lo, hi)) return run_of(all.lo, all.hi, false);
    }
  return s;
}

static Set set_or(const Set *a, const Set *b, Run all) {
  Set s = {.exact = a->exact && b->exact};
  for (uint32_t i = 0, k = 0; i < a->n || k < b->n;) {
    bool first = k == b->n || (i < a->n && a->run[i].lo <= b->run[k].lo);
    Run next = first ? a->run[i++] : b->run[k++];
    if (!put(&s, next.lo, next.hi)) return run_of(all.lo, all.hi, false);
  }
  return s;
}

static Set set_not(const Set *a, Run all) {
  Set s = {.exact = true};
  int64_t at = all.lo;
  if (!a->exact) return run_of(all.lo, all.hi, false);
  for (uint32_t i = 0; i < a->n; i++) {
    if (!put(&s, at, a->run[i].lo)) return run_of(all.lo, all.hi, false);
    at = a->run[i].hi;
  }
  return put(&s, at, all.hi) ? s : run_of(all.lo, all.hi, false);
}

/* ---- conditions --------------------------------------------------------------------------------------------- */

static ConstantStatus eval(Pairs *p, const Term *t, Constant *value) {
  p->known.steps = 0;
  p->steps++;
  return constant_eval(&p->known, t, value);
}

/* A plate index or an edge. */
typedef struct Var { const Index *index; const Edge *edge; } Var;

static void set_value(Pairs *p, Var v, int64_t value, bool known) {
  if (v.index) p->known.index[v.index->id] = value, p->known.bound[v.index->id] = known;
  else p->edge[v.edge->id] = value, p->has_edge[v.edge->id] = known;
}

/* t = a * edge + b, in numbers that leave room for sums. */
typedef struct Affine { int64_t a, b; } Affine;
static const int64_t SMALL = (int64_t)1 << 52;

static bool affine(Pairs *p, const Term *t, const Edge *e, Affine *f);

static bool affine_op(Pairs *p, const Term *t, const Edge *e, Affine *f) {
  Affine x, y = {0, 0};
  if (t->op != OP_ADD && t->op != OP_SUB && t->op != OP_NEG && t->op != OP_MUL) return false;
  if (!affine(p, t->args.at[0], e, &x) || (t->args.n > 1 && !affine(p, t->args.at[1], e, &y))) return false;
  if (t->op == OP_MUL) {
    double largest = (double)(llabs(x.a) + llabs(x.b)) * (double)(llabs(y.a) + llabs(y.b));
    if ((x.a && y.a) || largest > (double)SMALL) return false;
    *f = (Affine){x.a * y.b + y.a * x.b, x.b * y.b};
  } else if (t->op == OP_NEG) *f = (Affine){-x.a, -x.b};
  else *f = t->op == OP_ADD ? (Affine){x.a + y.a, x.b + y.b} : (Affine){x.a - y.a, x.b - y.b};
  return llabs(f->a) < SMALL && llabs(f->b) < SMALL;
}

static bool affine(Pairs *p, const Term *t, const Edge *e, Affine *f) {
  Constant value;
  if (t->type != TYPE_INT) return false;
  if (!term_mentions_edge(t, e)) {
    *f = (Affine){0, 0};
    if (eval(p, t, &value) != CONSTANT_KNOWN) return false;
    f->b = value.i;
    return llabs(f->b) < SMALL;
  }
  if (t->kind == TERM_OP) return affine_op(p, t, e, f);
  *f = (Affine){1, 0};
  return t->kind == TERM_EDGE && t->edge == e && constant_own_copy(t);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* Values x of `all` with a x + b <= 0: x <= floor(-b / a), or for a < 0, x >= ceil(b / -a). */
static Set at_most(Affine f, Run all) {
  if (!f.a) return run_of(all.lo, f.b <= 0 ? all.hi : all.lo, true);
  if (f.a > 0) {
    int64_t hi = floor_div(-f.b, f.a) + 1;
    return run_of(all.lo, hi < all.hi ? hi : all.hi, true);
  }
  int64_t lo = -floor_div(-f.b, -f.a);
  return run_of(lo > all.lo ? lo : all.lo, all.hi, true);
}

/* A condition that has to be tried; on what is not known, it is true. */
static Set untried(Pairs *p, const Term *t, const Edge *e, Run all) {
  Constant value;
  set_value(p, (Var){.edge = e}, all.lo, true);
  bool known = eval(p, t, &value) != CONSTANT_UNKNOWN;
  set_value(p, (Var){.edge = e}, 0, false);
  return run_of(all.lo, all.hi, !known);
}

static Set compare(Pairs *p, const Term *t, const Edge *e, Run all) {
  Affine x, y;
  if (t->args.at[0]->type != TYPE_INT || !affine(p, t->args.at[0], e, &x) || !affine(p, t->args.at[1], e, &y))
    return untried(p, t, e, all);
  Affine less = {x.a - y.a, x.b - y.b}, more = {-less.a, -less.b}, strictly_less = {less.a, less.b + 1};
  Affine strictly_more = {more.a, more.b + 1};
  Set a, b;
  switch ((int)t->op) {
  case OP_LE: return at_most(less, all);
  case OP_LT: return at_most(strictly_less, all);
  case OP_GE: return at_most(more, all);
  case OP_GT: return at_most(strictly_more, all);
  case OP_EQ: a = at_most(less, all), b = at_most(more, all); return set_and(&a, &b, all);
  case OP_NE: a = at_most(strictly_less, all), b = at_most(strictly_more, all); return set_or(&a, &b, all);
  default: return run_of(all.lo, all.hi, false);
  }
}

static Set admitted(Pairs *p, const Term *t, const Edge *e, Run all) {
  Constant value;
  if (!term_mentions_edge(t, e)) {
    bool dead = eval(p, t, &value) == CONSTANT_KNOWN && !value.i;
    return run_of(all.lo, dead ? all.lo : all.hi, true);
  }
  if (t->kind == TERM_OP && op_types(t->op) == 'c') return compare(p, t, e, all);
  if (t->kind != TERM_OP || op_types(t->op) != 'b') return untried(p, t, e, all);
  Set a = admitted(p, t->args.at[0], e, all), b;
  if (t->op == OP_NOT) return set_not(&a, all);
  b = admitted(p, t->args.at[1], e, all);
  return t->op == OP_AND ? set_and(&a, &b, all) : set_or(&a, &b, all);
}

/* ---- counting ----------------------------------------------------------------------------------------------- */

int64_t pairs_extent(Pairs *p, const Range *r, int64_t *lo) {
  Constant from, to;
  *lo = 0;
  if (r->kind == RANGE_ROW) {
    const AttnArray *indptr = p->in ? &p->in->at[r->graph->id].indptr : NULL;
    if (!indptr || !indptr->data || eval(p, r->row, &from) != CONSTANT_KNOWN) return 0;
    return array_get_i64(indptr, (int64_t[]){from.i + 1}) - array_get_i64(indptr, (int64_t[]){from.i});
  }
  if (eval(p, r->lo, &from) != CONSTANT_KNOWN || eval(p, r->hi, &to) != CONSTANT_KNOWN) return 0;
  *lo = from.i;
  return to.i > from.i ? to.i - from.i : 0;
}

typedef struct Vars { Var at[VARS]; uint32_t n; } Vars;

static bool mentions(const Term *t, Var v) {
  if (!t) return false;
  return v.index ? term_mentions_index(t, v.index) : term_mentions_edge(t, v.edge);
}

static bool range_mentions(const Range *r, Var v) {
  return mentions(r->lo, v) || mentions(r->hi, v) || mentions(r->row, v);
}

/* Whether what comes after number k depends on its value. */
static bool matters(const Vars *vars, uint32_t k) {
  for (uint32_t n = k + 1; n < vars->n; n++) {
    const Edge *e = vars->at[n].edge;
    if (range_mentions(e ? &e->range : &vars->at[n].index->range, vars->at[k])) return true;
    if (e && mentions(e->where, vars->at[k])) return true;
  }
  return false;
}

static bool is_dead(Pairs *p, const Edge *e) {
  Constant live;
  return e && e->where && eval(p, e->where, &live) == CONSTANT_KNOWN && !live.i;
}

/* Values of an edge alone, in its range. */
static double count_edge(Pairs *p, const Edge *e, Run all) {
  double sum = 0;
  Set s = !e->where || e->range.kind == RANGE_ROW ? run_of(all.lo, all.hi, true) : admitted(p, e->where, e, all);
  for (uint32_t i = 0; i < s.n; i++) {
    if (s.exact) sum += (double)(s.run[i].hi - s.run[i].lo);
    for (int64_t x = s.run[i].lo; !s.exact && x < s.run[i].hi; x++) {
      set_value(p, (Var){.edge = e}, x, true);
      sum += !is_dead(p, e);
    }
  }
  p->has_edge[e->id] = false;
  return sum;
}

static double count(Pairs *p, const Vars *vars, uint32_t k) {
  if (k == vars->n) return 1;
  Var v = vars->at[k];
  int64_t lo = 0, n;
  if (v.edge && edge_is_structured(v.edge)) return 0;
  if (v.edge && v.edge->domain == DOMAIN_BIT) return count(p, vars, k + 1);
  n = pairs_extent(p, v.edge ? &v.edge->range : &v.index->range, &lo);
  if (!matters(vars, k)) {
    double here = v.edge ? count_edge(p, v.edge, (Run){lo, lo + n}) : (double)n;
    return here > 0 ? here * count(p, vars, k + 1) : 0;
  }
  int64_t runs = n < p->runs ? n : p->runs;
  double sum = 0;
  p->exact = p->exact && runs == n;
  for (int64_t r = 0; r < runs; r++) {
    int64_t from = (int64_t)((double)n * (double)r / (double)runs),
            to = (int64_t)((double)n * (double)(r + 1) / (double)runs);
    set_value(p, v, lo + from + (to - from) / 2, true);
    if (!is_dead(p, v.edge)) sum += (double)(to - from) * count(p, vars, k + 1);
  }
  set_value(p, v, 0, false);
  return sum;
}

/* The runs of a plate become shorter until they are single copies, or there have been enough trials. */
double pairs_count(Pairs *p, const IndexVec *plates, const Term *t) {
  Vars vars = {.n = 0};
  double sum = 0;
  for (uint32_t i = 0; i < plates->n && vars.n < VARS; i++) vars.at[vars.n++].index = plates->at[i];
  for (uint32_t i = 0; i < p->known.model->edges.n && vars.n < VARS; i++)
    if (t && term_mentions_edge(t, p->known.model->edges.at[i])) vars.at[vars.n++].edge = p->known.model->edges.at[i];
  p->exact = false;
  for (p->runs = RUNS_FIRST, p->steps = 0; !p->exact && p->steps < PAIRS_STEPS / 5; p->runs *= 4) {
    p->exact = true;
    p->steps = 0;
    sum = count(p, &vars, 0);
  }
  return sum;
}

Pairs pairs_of(Arena *arena, const Model *m, const int64_t *sizes, const Inputs *in) {
  Pairs p = {.known = constant_known(arena, m, sizes), .in = in, .edge = NEW_ARRAY(arena, int64_t, m->edges.n),
             .has_edge = NEW_ARRAY(arena, bool, m->edges.n)};
  p.known.edge = p.edge;
  p.known.has_edge = p.has_edge;
  p.known.array = in ? measure_arrays(arena, in) : NULL;
  return p;
}
