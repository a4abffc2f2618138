/* limit: see limit.h.
 *
 * A component is summed along its elimination tree (infer/plan.h): once for every copy, an edge once for every value of
 * those above it.  A chain is summed step by step, each over the values that it joins.  A range that depends on indices or edges around it is taken at their middle, a row of a graph at
 * its mean length, what depends on other data as one value: an estimate, and never of what costs nothing. */
#include "driver/limit.h"

#include <math.h>

#include "driver/constant.h"
#include "driver/load.h"
#include "driver/message.h"
#include "driver/precheck.h"
#include "infer/plan.h"

static const double DEFAULT_LIMIT = 1e12;

typedef struct Limit {
  const Inputs *in;
  Known known;
  int64_t *edge;
  bool *has_edge;
} Limit;

static double row_length(const Limit *l, const Range *r) {
  double rows = (double)array_count(&l->in->at[r->graph->id].indptr) - 1;
  return rows > 0 ? (double)array_count(&l->in->at[r->graph->id].indices) / rows : 0;
}

/* The length of a range, and its middle. */
static double extent(Limit *l, const Range *r, int64_t *middle) {
  Constant lo, hi;
  *middle = 0;
  l->known.steps = 0;
  if (r->kind != RANGE_INTERVAL) return row_length(l, r);
  if (constant_eval(&l->known, r->lo, &lo) != CONSTANT_KNOWN || constant_eval(&l->known, r->hi, &hi) != CONSTANT_KNOWN) return 1;
  *middle = lo.i / 2 + hi.i / 2;
  return fmax((double)hi.i - (double)lo.i, 0);
}

static double copies(Limit *l, const IndexVec *plates, uint32_t from) {
  double n = 1;
  for (uint32_t i = from; i < plates->n; i++) {
    const Index *p = plates->at[i];
    n *= extent(l, &p->range, &l->known.index[p->id]);
    l->known.bound[p->id] = true;
  }
  return n;
}

static double values(Limit *l, const Edge *e) {
  l->edge[e->id] = 1;
  double n = e->domain == DOMAIN_BIT ? 2 : extent(l, &e->range, &l->edge[e->id]);
  l->has_edge[e->id] = true;
  return n + e->or_none;
}

/* A weight in deeper plates is evaluated at each of their points. */
static double evaluations(Limit *l, const Component *c, const Node *n) {
  double each = 1;
  for (uint32_t i = 0; i < n->factors.n; i++) {
    const Weight *w = n->factors.at[i]->weight;
    if (w) each = fmax(each, copies(l, &w->plates, c->plates.n));
  }
  return each;
}

static double cost_below(Limit *l, const Component *c, const Node *n, double times) {
  times *= values(l, n->edge);
  double sum = times * evaluations(l, c, n);
  for (uint32_t i = 0; i < n->children.n; i++) sum += cost_below(l, c, n->children.at[i], times);
  return sum;
}

/* A count is at most its limit, and no more than there are steps. */
static double counts(Limit *l, const Component *c, const Counter *k) {
  int64_t middle;
  Constant limit;
  double steps = extent(l, &c->plates.at[c->chain->step]->range, &middle);
  l->known.steps = 0;
  if (!k->limit || constant_eval(&l->known, k->limit, &limit) != CONSTANT_KNOWN) return steps + 1;
  return fmax(fmin((double)limit.i, steps) + 1, 1);
}

static double cost_along(Limit *l, const Component *c) {
  double cost = copies(l, &c->plates, 0);
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    Lagged v = c->chain->clique.at[k];
    if (v.at < c->edges.n) cost *= values(l, c->edges.at[v.at]);
    else if (v.lag) cost *= counts(l, c, c->chain->counters.at[v.at - c->edges.n]); /* one count follows from the other */
  }
  return cost;
}

static void refuse(Arena *arena, Diags *to, const Inputs *in, const Component *c, double cost, double max) {
  const char *names = "";
  for (uint32_t i = 0; i < c->edges.n; i++)
    names = arena_printf(arena, "%s%s'%s'", names, !i ? "" : i + 1 == c->edges.n ? " and " : ", ", sym_text(in->model->names, c->edges.at[i]->name));
  Diag *d = diag_error(to, c->edges.at[0]->span, "the exact sum over %s takes about %.2g weight evaluations; the limit is %.2g", names, cost, max);
  for (uint32_t i = 1; i < c->edges.n; i++) diag_note(to, d, c->edges.at[i]->span, "joined to it");
  diag_hint(to, d, "%s; --max-cost=%.0e allows it", precheck_sizes(arena, in->model, in->sizes), pow(10, ceil(log10(cost))));
}

bool limit_holds(Arena *arena, const Loaded *file, const Inputs *in, double max) {
  const Model *m = in->model;
  Plan *p = plan_model(arena, m);
  if (p->refusals.n) return true;
  if (max == 0) max = DEFAULT_LIMIT;
  Diags *to = load_messages(arena, file);
  Limit l = {.in = in, .known = constant_known(arena, m, in->sizes), .edge = NEW_ARRAY(arena, int64_t, m->edges.n + 1),
             .has_edge = NEW_ARRAY(arena, bool, m->edges.n + 1)};
  l.known.edge = l.edge;
  l.known.has_edge = l.has_edge;
  for (uint32_t i = 0; i < p->components.n; i++) {
    const Component *c = p->components.at[i];
    double cost = c->chain ? cost_along(&l, c) : c->root ? cost_below(&l, c, c->root, copies(&l, &c->plates, 0)) : 0;
    if (cost > max) refuse(arena, to, in, c, cost, max);
  }
  diag_print(to, message_stream());
  return to->errors == 0;
}
