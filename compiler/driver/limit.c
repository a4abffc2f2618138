/* limit: see limit.h.
 *
 * A component is summed along its elimination tree (infer/plan.h): once for every copy, an edge once for every value of
 * those above it.  A chain is summed step by step, each over the values that it joins.  A draw goes through the values
 * of all copies.  A range that depends on indices or edges around it is taken at their middle, a row of a graph at its
 * mean length, what depends on other data as one value: an estimate, and never of what costs nothing. */
#include "driver/limit.h"

#include <math.h>

#include "driver/constant.h"
#include "driver/load.h"
#include "driver/measure.h"
#include "driver/message.h"
#include "driver/network.h"
#include "driver/precheck.h"
#include "family_network.h"
#include "infer/derive.h"
#include "model/term.h"

static const double DEFAULT_LIMIT = 1e12;
static const double MOST_JOINT = 1e8;
enum { MOST_BITS = 20 };

typedef struct Limit {
  const Inputs *in;
  const Model *model; /* as it is planned */
  Known known;
  AttnArray *array; /* by Input.id: which copies a network joins, and how many there are, perhaps follows from them */
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
  if (constant_eval(&l->known, r->lo, &lo) != CONSTANT_KNOWN || constant_eval(&l->known, r->hi, &hi) != CONSTANT_KNOWN)
    return 1;
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

static double size_of(Limit *l, const Term *t) {
  Constant n;
  l->known.steps = 0;
  return constant_eval(&l->known, t, &n) == CONSTANT_KNOWN ? (double)n.i : 1;
}

static double largest_of(Limit *l, const TermVec *room) {
  double n = 0;
  for (uint32_t i = 0; i < room->n; i++) n = fmax(n, size_of(l, room->at[i]));
  return n;
}

/* Of a chain: those that tables have rows for, where data end its plate. */
static double steps_of(Limit *l, const Component *c) {
  int64_t middle;
  if (c->chain->room.n) return largest_of(l, &c->chain->room);
  return extent(l, &c->plates.at[c->chain->step]->range, &middle);
}

/* What arrays have. */
static double targets_of(Limit *l, const Component *c) {
  return c->structure->room.n ? largest_of(l, &c->structure->room) : size_of(l, c->structure->edge->n);
}

static double nodes_of(Limit *l, const Component *c) {
  return c->structure->rows.n ? largest_of(l, &c->structure->rows) : size_of(l, edge_nodes(c->structure->edge));
}

/* A count is at most its limit, and no more than all steps add. */
static double counts(Limit *l, const Component *c, const Counter *k) {
  Constant limit, most;
  double steps = steps_of(l, c);
  l->known.steps = 0;
  if (k->most && constant_eval(&l->known, k->most, &most) == CONSTANT_KNOWN) steps *= (double)most.i;
  l->known.steps = 0;
  if (!k->limit || constant_eval(&l->known, k->limit, &limit) != CONSTANT_KNOWN) return steps + 1;
  return fmax(fmin((double)limit.i, steps) + 1, 1);
}

/* Chains that begin where others end have no more steps together than one may have. */
static double cost_along(Limit *l, const Component *c) {
  double cost = copies(l, &c->plates, 0);
  int64_t middle;
  if (c->chain->packed != NO_PLATE) cost /= fmax(extent(l, &c->plates.at[c->chain->packed]->range, &middle), 1);
  if (c->chain->room.n) cost *= steps_of(l, c);
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (c->chain->beside[k].n) cost *= largest_of(l, &c->chain->beside[k]);
  for (uint32_t k = 0; k < c->chain->clique.n; k++) {
    Lagged v = c->chain->clique.at[k];
    if (v.at < c->edges.n) cost *= values(l, c->edges.at[v.at]);
    else if (v.lag)
      cost *= counts(l, c, c->chain->counters.at[v.at - c->edges.n]); /* one count follows from the other */
  }
  return cost;
}

/* Is something asked that takes the sum over all matchings: more than the heaviest one, or an approximation of it? */
typedef struct Asked { const Edge *e; bool sum; } Asked;

static bool is_by_sum(const Edge *e) {
  InferMethod method = e->infer ? e->infer->method : INFER_EXACT;
  return method == INFER_EXACT || method == INFER_SAMPLE;
}

static void note_query(const Term *t, void *ctx) {
  Asked *a = ctx;
  if (t->kind != TERM_QUERY) return;
  switch (t->query) {
  case QUERY_E: case QUERY_P: a->sum |= is_by_sum(a->e) && term_mentions_edge(t->args.at[0], a->e); break;
  case QUERY_SAMPLE: a->sum |= t->args.at[0]->edge == a->e; break;
  case QUERY_ENTROPY: case QUERY_KL: case QUERY_COUNT:
    for (uint32_t i = 0; i < t->copies.n; i++) a->sum |= t->copies.at[i].edge == a->e;
    break;
  case QUERY_SHARE: a->sum |= term_mentions_edge(t, a->e); break;
  case QUERY_LOGZ: case QUERY_ELBO: a->sum = true; break;
  case QUERY_MODE: case QUERY_PARAM: break;
  }
}

static Asked asked_of(const Model *m, const Edge *e) {
  Asked a = {.e = e};
  for (uint32_t i = 0; i < m->outs.n; i++) term_walk(m->outs.at[i]->value, note_query, &a);
  for (uint32_t i = 0; i < m->lets.n; i++)
    if (m->lets.at[i]->has_query) term_walk(m->lets.at[i]->value, note_query, &a);
  return a;
}

static double matching_cost(double m, double n) { return 2 * m * n * pow(2, fmin(m, n)); }

/* For every choice of some nodes of a copy. */
static double given_choices(Limit *l, const Component *c, const GivenCount *g) {
  return pow(nodes_of(l, c), g->every) * pow(targets_of(l, c) + edge_has_none(c->structure->edge), g->nodes);
}

/* One sum for all orders of the nodes. */
static double given_sums(Limit *l, const Component *c, const GivenCount *g) {
  return given_choices(l, c, g) / tgamma(g->every + 1);
}

/* What the family's algorithm takes, for every copy. */
static double structure_cost(Limit *l, const Component *c) {
  const Edge *e = c->structure->edge;
  double n = targets_of(l, c), m = nodes_of(l, c), sums = 1;
  for (uint32_t i = 0; i < c->structure->given.n; i++) sums += given_sums(l, c, &c->structure->given.at[i]);
  double times = sums * copies(l, &e->plates, 0);
  bool sum = asked_of(l->model, e).sum || (is_by_sum(e) && component_depends_on_latents(c)); /* by steps of latents */
  switch (e->domain) {
  case DOMAIN_TREE: return times * 1.5 * n * n * n;
  case DOMAIN_PROJECTIVE_TREE: return times * 4 * n * n * n;
  case DOMAIN_PERMUTATION: case DOMAIN_MATCHING: return sum ? times * matching_cost(m, n) : 0;
  case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  return 0;
}

/* Values of all copies of an edge in a network, of one for each value of the outer plates. */
static double variables(Limit *l, const Component *c) {
  return copies(l, &c->plates, c->network->outer) * values(l, c->edges.at[0]);
}

/* How many sums have copies held, for every value of the outer plates. */
static double held_sums(Limit *l, const Network *net) {
  double all = 0;
  for (uint32_t i = 0; i < net->given.n; i++) {
    double sums = 1;
    for (uint32_t k = 0; k < net->given.at[i].n; k++) sums *= variables(l, net->given.at[i].of[k]);
    all += sums;
  }
  return all;
}

/* The joint law of copies that no weight joins has a number for every value of all of them. */
static bool held_fits(Diags *to, Limit *l, const Network *net, double sums, double outer) {
  double each = 0;
  for (uint32_t i = 0; i < net->parts.n; i++) each += variables(l, net->parts.at[i]);
  if (sums * each * outer <= MOST_JOINT) return true;
  const Edge *e = net->parts.at[0]->edges.at[0];
  Diag *d = diag_error(to, e->span, "queries about several copies of '%s' at once keep %.2g numbers; the limit is %.1g",
                       sym_text(l->in->model->names, e->name), sums * each * outer, MOST_JOINT);
  diag_hint(to, d, "'infer %s by sample(n = ..)' estimates them from draws of the whole",
            sym_text(l->in->model->names, e->name));
  return false;
}

/* The tables of a network: memory is what ends first. */
static bool network_fits(Arena *arena, Diags *to, Limit *l, const Plan *p, const Component *c, double *cost) {
  NetworkOrder o;
  Known data = l->known;
  data.array = l->array;
  *cost = 0;
  if (c->network->parts.at[0] != c || !network_order_at(arena, p, c->network, &data, &o)) return true;
  double outer = network_outer_copies(c->network, &l->known), held = held_sums(l, c->network);
  *cost = o.steps * outer * (1 + held);
  if (o.fits) return held_fits(to, l, c->network, held, outer);
  Diag *d = diag_error(to, c->network->span,
                       "the exact sum over these copies joins %lld of them in one clique (%s), %.2g values, and keeps "
                       "%.2g numbers; the limits are %.2g and %.2g",
                       (long long)o.copies, o.who, o.cells, o.kept, NETWORK_MAX_CELLS, NETWORK_MAX_KEPT);
  diag_hint(to, d, "%s", precheck_sizes(arena, l->in->model, l->in->sizes));
  return false;
}

static double component_cost(Limit *l, const Component *c) {
  if (c->structure) return structure_cost(l, c);
  if (c->chain) return cost_along(l, c);
  return c->root ? cost_below(l, c, c->root, copies(l, &c->plates, 0)) : 0;
}

/* Of an average over draws: the values that all of them go through. */
static double cost_of_draws(Limit *l, const Component *c) {
  if (!c->infer || c->infer->method != INFER_SAMPLE) return 0;
  double each = 0;
  for (uint32_t i = 0; i < c->edges.n; i++) {
    const Edge *e = c->edges.at[i];
    double n = c->structure ? targets_of(l, c) : values(l, e), nodes = c->structure ? nodes_of(l, c) : 1;
    each += copies(l, &e->plates, 0) * nodes * n;
  }
  return each * size_of(l, c->infer->n);
}

static void refuse(Arena *arena, Diags *to, const Inputs *in, const Component *c, const char *what, double cost,
                   double max) {
  const char *names = "";
  for (uint32_t i = 0; i < c->edges.n; i++)
    names = arena_printf(arena, "%s%s'%s'", names,
                         !i                    ? ""
                         : i + 1 == c->edges.n ? " and "
                                               : ", ",
                         sym_text(in->model->names, c->edges.at[i]->name));
  Diag *d = diag_error(to, c->edges.at[0]->span, "%s %s takes about %.2g weight evaluations; the limit is %.2g", what,
                       names, cost, max);
  for (uint32_t i = 1; i < c->edges.n; i++) diag_note(to, d, c->edges.at[i]->span, "joined to it");
  diag_hint(to, d, "%s; --max-cost=%.0e allows it", precheck_sizes(arena, in->model, in->sizes),
            pow(10, ceil(log10(cost))));
}

/* The joint law of several nodes has a number for every choice of all of them. */
static bool nodes_fit(Arena *arena, Diags *to, Limit *l, const Component *c) {
  const Edge *e = c->structure->edge;
  double each = nodes_of(l, c) * (targets_of(l, c) + edge_has_none(e)) * copies(l, &e->plates, 0), all = 0;
  uint32_t most = 0;
  for (uint32_t i = 0; i < c->structure->given.n; i++) {
    const GivenCount *g = &c->structure->given.at[i];
    all += each * given_choices(l, c, g);
    if (g->nodes > most) most = g->nodes;
  }
  if (all <= MOST_JOINT) return true;
  const char *name = sym_text(l->in->model->names, e->name);
  const char *many = most == 1 ? "two" : most == 2 ? "three" : arena_printf(arena, "%u", most + 1);
  Diag *d = diag_error(to, e->span, "queries about %s nodes of '%s' at once keep %.2g numbers; the limit is %.1g", many,
                       name, all, MOST_JOINT);
  diag_hint(to, d, "'infer %s by sample(n = ..)' estimates them from draws of the whole", name);
  return false;
}

/* Sums over matchings keep a number for every subset of the smaller side: memory is what ends first. */
static bool subsets_fit(Arena *arena, Diags *to, Limit *l, const Component *c, double cost) {
  const Edge *e = c->structure->edge;
  if ((e->domain != DOMAIN_PERMUTATION && e->domain != DOMAIN_MATCHING) || !cost) return true;
  double bits = fmin(nodes_of(l, c), targets_of(l, c));
  if (bits <= MOST_BITS) return true;
  const char *name = sym_text(l->in->model->names, e->name);
  Diag *d = diag_error(
      to, e->span,
      "the exact sum over '%s' goes through the subsets of %.0f targets, about %.2g steps; the limit is %d targets",
      name, bits, cost, MOST_BITS);
  const char *way =
      e->domain == DOMAIN_PERMUTATION
          ? arena_printf(arena,
                         "'infer %s by sinkhorn(steps = 20)' and '.. by bethe(steps = 20)' approximate E and P; ", name)
          : "";
  diag_hint(to, d, "%s'mode(%s[..])' is exact at any size; --max-cost=%.0e allows the sum", way, name,
            pow(10, ceil(log10(cost))));
  return false;
}

/* Then the derivation tells how many nodes, or copies, are asked for at once. */
static bool may_hold_some(const Plan *p) {
  for (uint32_t i = 0; i < p->components.n; i++)
    if (p->components.at[i]->structure || p->components.at[i]->network) return true;
  return false;
}

bool limit_holds(Arena *arena, const Loaded *file, const Inputs *in, double max) {
  Plan *p = plan_model(arena, in->model);
  const Model *m = p->model; /* with what the plan adds to it */
  if (p->refusals.n || (may_hold_some(p) && !derive_kernel(arena, p))) return true; /* compiling says why */
  bool is_default = max == 0;
  if (is_default) max = DEFAULT_LIMIT;
  Diags *to = load_messages(arena, file);
  Limit l = {.in = in, .model = m, .known = constant_known(arena, m, in->sizes),
             .array = measure_arrays(arena, in),
             .edge = NEW_ARRAY(arena, int64_t, m->edges.n + 1), .has_edge = NEW_ARRAY(arena, bool, m->edges.n + 1)};
  l.known.edge = l.edge;
  l.known.has_edge = l.has_edge;
  for (uint32_t i = 0; i < p->components.n; i++) {
    const Component *c = p->components.at[i];
    double cost = 0;
    if (c->network && !network_fits(arena, to, &l, p, c, &cost)) continue;
    if (!c->network) cost = component_cost(&l, c);
    if (c->structure && !nodes_fit(arena, to, &l, c)) continue;
    if (c->structure && is_default && !subsets_fit(arena, to, &l, c, cost)) continue;
    double draws = cost_of_draws(&l, c);
    if (cost > max) refuse(arena, to, in, c, "the exact sum over", cost, max);
    else if (draws > max) refuse(arena, to, in, c, "the average over draws of", draws, max);
  }
  diag_print(to, message_stream());
  return to->errors == 0;
}

static double most_gib(const Options *o) { return o->max_memory > 0 ? o->max_memory : COMPILE_MOST_GIB; }

size_t limit_of_memory(const Options *o) { return (size_t)(most_gib(o) * 0x1p30); }

void limit_of_memory_reached(const Options *o) {
  wrong("compiling this takes more than %g GiB of memory", most_gib(o));
  hint("split the model, or allow more by --max-memory=GIB");
}
