/* chain_plan: copies that weights join along a plate.
 *
 * Where all references of all weights agree in their offsets, copies are joined to no others.  Where they differ along
 * one plate, and all others are shared, the copies along that plate are a chain: a factor is weighed at the step of the
 * highest copy that it mentions, its home, and mentions copies up to `reach` steps before. */
#include "base/ice.h"
#include "infer/plan.h"
#include "model/dim.h"
#include "model/term.h"

enum { CHAIN_MAX_VARS = 12 }; /* edges of copies that one step joins */

/* ---- reaches ------------------------------------------------------------------------------------------- */

static const char *edge_name(const Plan *p, const Component *c) {
  return sym_text(p->model->names, c->edges.at[0]->name);
}

static bool has_range_plate(const Component *c, int plate) { return c->plates.at[plate]->range.kind == RANGE_INTERVAL; }

static void join_along(Plan *p, Component *c, const Reach *r) {
  int plate = reach_joined_plate(r);
  if (plate == -1) return;
  if (plate == -2 || (c->chain && c->chain->step != (uint32_t)plate)) {
    plan_beyond(c, r->span, "joins copies along a second plate");
    return;
  }
  if (!has_range_plate(c, plate)) {
    plan_beyond(c, r->span, "joins copies along the rows of a graph");
    return;
  }
  if (c->chain) return;
  c->chain = NEW(p->arena, Chain);
  c->chain->step = (uint32_t)plate;
}

static Reach *reach_checked(Plan *p, Component *c, const IndexVec *plates, const void *statement, Visit visit,
                            Span span) {
  const char *why = NULL;
  Reach *r = reach_of(p->arena, c, plates, statement, visit, span, &why);
  if (!r) plan_beyond(c, span, why);
  else join_along(p, c, r);
  return r;
}

typedef struct First { const Edge *edge; } First;

static void note_edge(void *arg, const Term *t, bool sure) {
  (void)sure;
  First *f = arg;
  if (!f->edge) f->edge = t->edge;
}

static void reach_support(Plan *p, Component *c, Edge *e) {
  First f = {0};
  visit_support(e, note_edge, &f);
  if (!f.edge || c->beyond) return;
  const char *why = NULL;
  Reach *r = reach_of(p->arena, c, &e->plates, e, visit_support, e->span, &why);
  bool own = r && r->own;
  if (!own) plan_beyond(c, e->span, "gives a support that depends on other copies");
}

/* Plates beside the steps that data end, of as many chains as there is room for.  False: how many depends on the step.
 */
static bool find_beside(Plan *p, const Component *c) {
  const Index *step = c->plates.at[c->chain->step];
  c->chain->beside = NEW_ARRAY(p->arena, TermVec, c->plates.n);
  for (uint32_t k = 0; k < c->plates.n; k++) {
    const Range *r = &c->plates.at[k]->range;
    bool ended = r->kind == RANGE_INTERVAL && term_is_of_sizes(r->lo) && !term_is_of_sizes(r->hi);
    if (k == c->chain->step || !ended) continue;
    c->chain->beside[k] = plan_room(p, (RoomOf){.index = c->plates.at[k]});
    if (c->chain->beside[k].n && term_mentions_index(r->hi, step)) return false;
  }
  return true;
}

void plan_reaches(Plan *p) {
  const Model *m = p->model;
  p->reach_of_weight = NEW_ARRAY(p->arena, Reach *, m->weights.n);
  for (uint32_t i = 0; i < m->edges.n; i++) reach_support(p, p->of_edge[i], m->edges.at[i]);
  for (uint32_t i = 0; i < m->weights.n; i++) {
    Weight *w = m->weights.at[i];
    First f = {0};
    visit_weight(w, note_edge, &f);
    if (f.edge && (edge_is_structured(f.edge) || p->of_edge[f.edge->id]->beyond))
      continue; /* structure_plan.c, network_plan.c */
    if (f.edge && is_count_weight(p, w)) {
      const char *why = plan_count(p, p->of_edge[f.edge->id], w);
      if (why) plan_beyond(p->of_edge[f.edge->id], w->span, why);
    } else if (f.edge)
      p->reach_of_weight[w->id] = reach_checked(p, p->of_edge[f.edge->id], &w->plates, w, visit_weight, w->span);
  }
  for (uint32_t i = 0; i < m->weights.n; i++) { /* along its plate a chain looks at this when it runs */
    const Reach *r = p->reach_of_weight[i];
    if (!r || r->own) continue;
    Component *c = p->of_edge[r->refs.at[0].ref->edge->id];
    for (uint32_t k = 0; k < r->n && !c->beyond; k++) {
      if (r->proved[k]) continue;
      if (!(c->chain && c->chain->step == k))
        plan_beyond(c, r->span, "names copies of which it is not known that they exist");
      else if (r->homeless[k])
        plan_beyond(c, r->span, "looks at copies where a condition says that there are some");
    }
  }
  for (uint32_t i = 0; i < p->components.n; i++) {
    Component *c = p->components.at[i];
    if (c->chain && !find_beside(p, c) && !c->beyond)
      plan_beyond(c, c->edges.at[0]->span, "joins copies beside which there are others at some steps alone");
  }
  for (uint32_t i = 0; p->known && i < p->known->n; i++)
    plan_beyond(p->of_edge[p->known->at[i].edge], p->known->at[i].span, p->known->at[i].why);
}

/* ---- what factors mention ------------------------------------------------------------------------------ */

static void mention(Plan *p, Factor *f, uint32_t at, uint32_t lag) {
  for (uint32_t i = 0; i < f->vars.n; i++)
    if (f->vars.at[i].at == at && f->vars.at[i].lag == lag) return;
  vec_push(p->arena, &f->vars, (Lagged){at, lag});
}

static void mention_set(Plan *p, Factor *f, EdgeSet set, uint32_t lag) {
  for (uint32_t k = 0; k < COMPONENT_MAX_EDGES; k++)
    if (set >> k & 1) mention(p, f, k, lag);
}

/* All but the value of the edge itself in a normaliser, which sums over it. */
void plan_mentions(Plan *p, const Component *c, Factor *f) {
  uint32_t self = f->edge ? (uint32_t)component_place(c, f->edge) : 0;
  if (f->weight) {
    const Reach *r = p->reach_of_weight[f->weight->id];
    for (uint32_t i = 0; i < r->refs.n; i++) mention(p, f, r->refs.at[i].at, r->refs.at[i].lag);
  }
  if (f->edge) {
    mention(p, f, self, f->lag);
    bool counts = f->kind == FACTOR_NORMALISER || f->kind == FACTOR_SUPPORT || f->edge->domain == DOMAIN_BIT;
    if (counts) mention_set(p, f, support_scope(c, f->edge), f->lag);
  }
  if (f->kind != FACTOR_NORMALISER) return;
  for (uint32_t i = 0; i < f->vars.n; i++)
    if (f->vars.at[i].at == self && f->vars.at[i].lag == f->lag) f->vars.at[i--] = f->vars.at[--f->vars.n];
}

/* ---- chains ---------------------------------------------------------------------------------------------- */

/* From sizes to data. */
static bool has_room(Plan *p, const Component *c) {
  const Index *plate = c->plates.at[c->chain->step];
  if (plate->range.kind == RANGE_ROW) return true; /* as many as the graph has edges */
  c->chain->room = plan_room(p, (RoomOf){.index = plate});
  return c->chain->room.n > 0;
}

static bool begins_where_ends(Plan *p, const Range *steps, Index *plate) {
  if (steps->kind == RANGE_ROW) return steps->row->kind == TERM_INDEX && steps->row->index == plate;
  if (term_is_of_sizes(steps->lo) || !term_mentions_index(steps->lo, plate)) return false;
  Model scratch = *p->model; /* for its arena and its count of indices */
  scratch.arena = p->arena;
  Term *i = term_index(p->arena, plate, plate->span);
  IndexMap next = {plate, term_op2(p->arena, OP_ADD, i, term_int(p->arena, 1, plate->span), plate->span)};
  return dim_equal(p->arena, steps->hi, term_substitute(&scratch, steps->lo, &next, 1));
}

static void find_packed(Plan *p, const Component *c) {
  c->chain->packed = NO_PLATE;
  bool ended = c->chain->room.n || c->plates.at[c->chain->step]->range.kind == RANGE_ROW;
  const Range *steps = &c->plates.at[c->chain->step]->range;
  for (uint32_t k = 0; k < c->plates.n && ended; k++)
    if (k != c->chain->step && !c->chain->beside[k].n && begins_where_ends(p, steps, c->plates.at[k]))
      c->chain->packed = k;
}

static void check_tables(Plan *p, const Component *c) {
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (!range_is_of_sizes(&c->plates.at[k]->range) &&
        !(k == c->chain->step ? has_room(p, c) : c->chain->beside[k].n > 0))
      plan_refuse(p, c->edges.at[0]->span,
                  arena_printf(p->arena,
                               "the copies of '%s' are joined along a plate, and the range of '%s' is not given by the "
                               "sizes: not compiled yet",
                               edge_name(p, c), sym_text(p->model->names, c->plates.at[k]->name)),
                  "it may end at data that 'min(.., SIZE)' bounds, or an array which a weight reads at it");
  for (uint32_t k = 0; k < c->edges.n; k++) {
    const Edge *e = c->edges.at[k];
    if (e->domain == DOMAIN_BIT || range_is_of_sizes(&e->range)) continue;
    plan_refuse(
        p, e->span,
        arena_printf(
            p->arena,
            "copies of '%s' are joined to each other, and its range is not given by the sizes: not compiled yet",
            sym_text(p->model->names, e->name)),
        "let it range over sizes and restrict it by 'where'");
  }
}

static void add_support(Plan *p, Component *c, uint32_t k) {
  Edge *e = c->edges.at[k];
  if (!e->where) return;
  Factor *f = NEW(p->arena, Factor);
  *f = (Factor){.kind = FACTOR_SUPPORT, .edge = e, .is_prior = true, .scope = support_scope(c, e) | (EdgeSet)1 << k};
  plan_mentions(p, c, f);
  vec_push(p->arena, &c->factors, f);
}

/* ---- is the chain one component? ------------------------------------------------------------------------ */

static bool not_after(Plan *p, const Term *x, int64_t c, const Term *y) { /* x + c <= y for all sizes */
  int64_t d;
  return dim_difference(p->arena, y, x, &d) && d - c >= 0;
}

/* Are its references a run of copies without a gap? */
static bool joins_neighbours(const Reach *r) {
  for (uint32_t i = 0; i < r->refs.n; i++) {
    bool next = r->refs.at[i].lag == 0;
    for (uint32_t k = 0; k < r->refs.n; k++) next |= r->refs.at[k].lag + 1 == r->refs.at[i].lag;
    if (!next) return false;
  }
  return reach_joined_plate(r) >= 0;
}

/* Has q a value wherever the plate has two?  A weight of three neighbours has no instance where there are two. */
static bool is_there_for_two(Plan *p, const Range *plate, const Range *q) {
  int64_t fewer;
  Term *copies = term_op2(p->arena, OP_SUB, plate->hi, plate->lo, plate->span);
  Term *instances = term_op2(p->arena, OP_SUB, q->hi, q->lo, q->span);
  return dim_difference(p->arena, copies, instances, &fewer) && fewer <= 1;
}

/* Do the statement's instances join every copy along the plate to the one before?  all_at_once: they are one weight,
 * which joins what it mentions, also copies that stand apart, but perhaps not those between that it reaches over. */
static bool joins_all(Plan *p, const Component *c, const Reach *r, bool all_at_once) {
  uint32_t step = c->chain->step;
  const Range *plate = &c->plates.at[step]->range, *q = r->follows[step] ? &r->range[step] : NULL;
  if (!q) return false;
  if (q->kind == RANGE_ROW) return all_at_once && r->proved[step];
  for (uint32_t k = 0; k < r->n; k++)
    if (k != step && (r->follows[k] != c->plates.at[k] || r->shift[k]) &&
        !(r->follows[k] && r->proved[k] && term_equal(r->range[k].lo, c->plates.at[k]->range.lo) &&
          term_equal(r->range[k].hi, c->plates.at[k]->range.hi)))
      return false;
  bool near =
      all_at_once ? r->shift[step] - r->lowest[step] <= 1 : joins_neighbours(r) && is_there_for_two(p, plate, q);
  return near && not_after(p, q->lo, r->lowest[step], plate->lo) &&
         not_after(p, plate->hi, -r->shift[step], q->hi);
}

/* Is it pinned to the first copy alone? */
static bool at_first(Plan *p, const Component *c, const Reach *r) {
  uint32_t step = c->chain->step;
  int64_t d;
  return r->pin[step] && !r->shift[step] && !r->lowest[step] &&
         dim_difference(p->arena, r->pin[step], c->plates.at[step]->range.lo, &d) && !d;
}

typedef enum { WITHIN, BETWEEN, FIRST } Where;

static bool joins_where(Plan *p, const Component *c, const Factor *f, Where where) {
  if (!f->reach) return true;
  return where == BETWEEN ? joins_all(p, c, f->reach, false) : where == FIRST && at_first(p, c, f->reach);
}

/* Are all edges joined by weights of every copy, or, beside, by those between all neighbours, or of the first copy? */
static bool all_joined(Plan *p, const Component *c, Where where) {
  EdgeSet all = ((EdgeSet)1 << c->edges.n) - 1, set = 1;
  for (EdgeSet grown = 0; grown != set;) {
    grown = set;
    for (uint32_t i = 0; i < c->factors.n; i++)
      if ((c->factors.at[i]->scope & set) && joins_where(p, c, c->factors.at[i], where)) set |= c->factors.at[i]->scope;
  }
  return set == all;
}

/* Of one step it is enough that the first copy's weights join them, of more that those between neighbours do. */
static bool joined_within(Plan *p, const Component *c) {
  return all_joined(p, c, WITHIN) || (all_joined(p, c, BETWEEN) && all_joined(p, c, FIRST));
}

/* A network counts nothing. */
static void no_chain(Plan *p, Component *c, Span span, const char *why, const char *hint) {
  if (c->chain->counters.n) plan_refuse(p, span, arena_printf(p->arena, "%s: not compiled beside counts", why), hint);
  else vec_push(p->arena, &p->no_chains, ((NoChain){c->edges.at[0]->id, span, why}));
}

static void check_gaps(Plan *p, Component *c, const Reach *r) {
  if (r && reach_joined_plate(r) >= 0 && !joins_neighbours(r))
    no_chain(p, c, r->span, "this weight joins copies and leaves out those between, which perhaps nothing joins",
             "a weight of every two neighbours makes them one chain");
}

static void find_breaks(Plan *p, Component *c) {
  c->chain->may_break = true;
  if (!joined_within(p, c))
    no_chain(p, c, c->edges.at[1]->span,
             "these edges are joined to each other's copies at other steps, and not within a step",
             "a weight of both in the plate where they are declared joins them");
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Weight *w = c->factors.at[i]->weight;
    if (w && joins_all(p, c, p->reach_of_weight[w->id], false)) c->chain->may_break = false;
  }
  for (uint32_t i = 0; i < c->chain->counters.n; i++)
    if (joins_all(p, c, c->chain->counters.at[i]->reach, true)) c->chain->may_break = false;
  for (uint32_t i = 0; i < c->factors.n && c->chain->may_break; i++) check_gaps(p, c, c->factors.at[i]->reach);
  for (uint32_t i = 0; i < c->chain->counters.n && c->chain->may_break; i++)
    check_gaps(p, c, c->chain->counters.at[i]->reach);
}

static uint32_t places(const Component *c) { return c->edges.n + c->chain->counters.n; }

static void see_var(Chain *ch, Lagged v, uint32_t *longest) {
  if (v.lag > ch->reach[v.at]) ch->reach[v.at] = v.lag;
  if (v.lag > *longest) *longest = v.lag;
}

static void make_chain(Plan *p, Component *c) {
  Chain *ch = c->chain;
  check_tables(p, c);
  find_packed(p, c);
  for (uint32_t k = 0; k < c->edges.n; k++) add_support(p, c, k);
  ch->reach = NEW_ARRAY(p->arena, uint32_t, places(c));
  uint32_t longest = ch->counters.n > 0;
  for (uint32_t i = 0; i < c->factors.n; i++) {
    const Factor *f = c->factors.at[i];
    for (uint32_t k = 0; k < f->vars.n; k++) see_var(ch, f->vars.at[k], &longest);
  }
  for (uint32_t i = 0; i < ch->counters.n; i++) {
    Counter *k = ch->counters.at[i];
    ch->reach[c->edges.n + i] = 1;
    for (uint32_t r = 0; r < k->reach->refs.n; r++) {
      vec_push(p->arena, &k->vars, (Lagged){k->reach->refs.at[r].at, k->reach->refs.at[r].lag});
      see_var(ch, vec_last(&k->vars), &longest);
    }
  }
  plan_limits(p, c);
  find_breaks(p, c);
  for (uint32_t lag = 0; lag <= longest; lag++)
    for (uint32_t k = 0; k < places(c); k++)
      if (lag <= ch->reach[k]) vec_push(p->arena, &ch->clique, (Lagged){k, lag});
  if (ch->clique.n > CHAIN_MAX_VARS)
    plan_refuse(p, c->edges.at[0]->span,
                arena_printf(p->arena,
                             "one step joins %u values along the plate of '%s': more than %d are not compiled",
                             ch->clique.n, edge_name(p, c), CHAIN_MAX_VARS),
                NULL);
  c->nodes = NEW_ARRAY(p->arena, Node *, c->edges.n);
  for (uint32_t k = 0; k < c->edges.n; k++) {
    c->nodes[k] = NEW(p->arena, Node);
    *c->nodes[k] = (Node){.edge = c->edges.at[k], .at = k, .below = (EdgeSet)1 << k};
  }
}

void plan_chains(Plan *p) {
  for (uint32_t i = 0; i < p->components.n; i++)
    if (p->components.at[i]->chain) make_chain(p, p->components.at[i]);
}
