/* network_plan: which statements make a network, and what of it is not compiled.
 *
 * A statement names copies by indices of its own and data: `x[i - 1, j]`, `c[parent[t]]`, `g[0]`.  It has an instance
 * for every value of the indices that occur in such a name; of the others it is a product.  What an instance names must
 * be a fixed number of copies, and known before any edge has a value. */
#include "infer/network_plan.h"
#include "model/dim.h"
#include "model/term.h"

static const char *name(const Plan *p, const Edge *e) { return sym_text(p->model->names, e->name); }

/* ---- what a statement names ------------------------------------------------------------------------------ */

typedef struct Names {
  Plan *p;
  const Network *net;
  Group *g;
  const IndexVec *plates;
  const char *why;
  Span span;
} Names;

static bool is_one_of(const IndexVec *list, const Index *i) {
  for (uint32_t k = 0; k < list->n; k++)
    if (list->at[k] == i) return true;
  return false;
}

/* Does it use an index that is none of the statement's plates? */
static bool is_bound_inside(const IndexVec *plates, const Term *t) {
  if (t->kind == TERM_INDEX) return !is_one_of(plates, t->index);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_bound_inside(plates, t->args.at[i])) return true;
  return false;
}

static void note_name(void *arg, const Term *t, bool sure) {
  (void)sure;
  Names *n = arg;
  for (uint32_t i = 0; i < t->args.n; i++) {
    if (term_mentions_edge(t->args.at[i], NULL)) n->why = "names a copy by the value of an edge", n->span = t->span;
    else if (is_bound_inside(n->plates, t->args.at[i]))
      n->why = "names as many copies as a sum has terms", n->span = t->span;
  }
  if (edge_is_structured(t->edge)) n->why = "joins a tree, permutation or matching to other edges", n->span = t->span;
  for (uint32_t i = 0; i < n->g->names.n; i++)
    if (term_equal(n->g->names.at[i], t)) return;
  vec_push(n->p->arena, &n->g->names, (Term *)t);
}

/* ---- indices of a statement ------------------------------------------------------------------------------ */

static bool in_some_name(const Group *g, const Index *i) {
  for (uint32_t k = 0; k < g->names.n; k++)
    if (term_mentions_index(g->names.at[k], i)) return true;
  return false;
}

/* The index of the statement that stands for outer plate k in all names; NULL: there is none. */
static Index *stands_for(const Network *net, const Group *g, uint32_t k) {
  Index *plate = net->parts.at[0]->plates.at[k], *found = NULL;
  for (uint32_t i = 0; i < g->names.n; i++) {
    const Term *t = g->names.at[i]->args.at[k];
    if (t->kind != TERM_INDEX || (found && t->index != found)) return NULL;
    found = t->index;
  }
  if (!found || found == plate) return found;
  bool same = found->range.kind == RANGE_INTERVAL && term_equal(found->range.lo, plate->range.lo) &&
              term_equal(found->range.hi, plate->range.hi);
  return same ? found : NULL;
}

static const IndexVec *plates_of(const Group *g) { return g->weight ? &g->weight->plates : &g->edge->plates; }

/* Loops are the indices in names, and what their ranges depend on. */
static void split_indices(Plan *p, Network *net, Group *g) {
  const IndexVec *plates = plates_of(g);
  g->outer = g->loops = g->beyond = (IndexVec){0};
  for (uint32_t k = 0; k < net->outer; k++) vec_push(p->arena, &g->outer, stands_for(net, g, k));
  bool *needed = NEW_ARRAY(p->arena, bool, plates->n + 1);
  for (uint32_t i = plates->n; i-- > 0;) {
    needed[i] |= in_some_name(g, plates->at[i]);
    for (uint32_t k = 0; needed[i] && k < i; k++)
      needed[k] |= range_mentions_index(&plates->at[i]->range, plates->at[k]);
  }
  for (uint32_t i = 0; i < plates->n; i++)
    if (!is_one_of(&g->outer, plates->at[i])) vec_push(p->arena, needed[i] ? &g->loops : &g->beyond, plates->at[i]);
}

/* Is it known from the sizes, or from ranges of indices before it that are, where the range lies at most? */
static bool has_hull(const IndexVec *before, const Term *t) {
  if (term_is_of_sizes(t)) return true;
  if (t->kind == TERM_INDEX) return is_one_of(before, t->index);
  if (t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB || t->op == OP_MIN || t->op == OP_MAX))
    return has_hull(before, t->args.at[0]) && has_hull(before, t->args.at[1]);
  return false;
}

/* A row of a graph that belongs to the index before it: instances then are stored neighbours. */
static bool is_own_row(const Group *g, uint32_t k) {
  const Range *r = &g->loops.at[k]->range;
  return r->kind == RANGE_ROW && k == 1 && g->loops.n == 2 && r->row->kind == TERM_INDEX &&
         r->row->index == g->loops.at[0];
}

/* ---- room: where data begin or end an index ----------------------------------------------------------------- */

const IndexRoom *network_room(const Network *net, const Index *i) {
  for (uint32_t k = 0; k < net->rooms.n; k++)
    if (net->rooms.at[k].index == i) return &net->rooms.at[k];
  return NULL;
}

/* What an array that is read at the index has room for begins at 0. */
static IndexRoom room_of_arrays(Plan *p, const Index *i) {
  IndexRoom r = {.index = i, .room = plan_room(p, (RoomOf){.index = i})};
  if (r.room.n) vec_push(p->arena, &r.least, term_int(p->arena, 0, i->span));
  return r;
}

static bool add_room(Plan *p, Network *net, IndexRoom r, bool begun) {
  if (begun) r.least.n = 0;
  if (r.room.n) vec_push(p->arena, &net->rooms, r);
  return r.room.n > 0;
}

static void add_moved(Plan *p, TermVec *to, Term *bound, int64_t d) {
  vec_push(p->arena, to, term_op2(p->arena, OP_ADD, bound, term_int(p->arena, d, bound->span), bound->span));
}

/* An index alone in a name, or displaced by d, has no more values than the plate has, and d more at the end where
 * d < 0, in front where d > 0: beyond is no copy. */
static void room_of_name(Plan *p, const Network *net, const Term *name, IndexRoom *to) {
  Term *own = term_index(p->arena, (Index *)to->index, to->index->span);
  for (uint32_t k = 0; k < name->args.n; k++) {
    const Index *plate = name->edge->plates.at[k];
    const IndexRoom *most = network_room(net, plate);
    int64_t d;
    if (!dim_difference(p->arena, name->args.at[k], own, &d)) continue;
    TermVec hi = most ? most->room : (TermVec){.at = (Term *[]){plate->range.hi}, .n = 1},
            lo = most && most->least.n ? most->least : (TermVec){.at = (Term *[]){plate->range.lo}, .n = 1};
    for (uint32_t r = 0; r < hi.n; r++) add_moved(p, &to->room, hi.at[r], d < 0 ? -d : 0);
    for (uint32_t r = 0; r < lo.n; r++) add_moved(p, &to->least, lo.at[r], d > 0 ? -d : 0);
  }
}

static bool has_room(Plan *p, Network *net, const Group *g, const Index *i, bool begun) {
  if (network_room(net, i)) return true;
  IndexRoom r = room_of_arrays(p, i);
  for (uint32_t k = 0; k < g->names.n; k++) room_of_name(p, net, g->names.at[k], &r);
  return add_room(p, net, r, begun);
}

static const char *check_loops(Plan *p, Network *net, const Group *g) {
  IndexVec before = {0};
  if (g->loops.n > JOINED_MAX_PLATES) return "names copies by more indices than are compiled";
  for (uint32_t i = 0; i < g->outer.n; i++) vec_push(p->arena, &before, g->outer.at[i]);
  for (uint32_t k = 0; k < g->loops.n; k++) {
    const Range *r = &g->loops.at[k]->range;
    if (r->kind == RANGE_ROW && !is_own_row(g, k)) return "names copies by an index that runs over a row of a graph";
    bool begun = r->kind == RANGE_INTERVAL && has_hull(&before, r->lo), ended = begun && has_hull(&before, r->hi);
    if (r->kind == RANGE_INTERVAL && !ended && !has_room(p, net, g, g->loops.at[k], begun))
      return "names copies by an index whose range depends on data";
    vec_push(p->arena, &before, g->loops.at[k]);
  }
  return NULL;
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

static Term *own_name(Plan *p, Edge *e) {
  TermVec at = {0};
  for (uint32_t i = 0; i < e->plates.n; i++) vec_push(p->arena, &at, term_index(p->arena, e->plates.at[i], e->span));
  return term_ref(p->arena, TERM_EDGE, e, &at, e->span);
}

static bool is_own_line(const Edge *e, const Weight *w) {
  for (uint32_t i = 0; i < e->plates.n; i++)
    if (w->edge_ref->args.at[i]->kind != TERM_INDEX || w->edge_ref->args.at[i]->index != e->plates.at[i]) return false;
  return true;
}

static void add_group(Plan *p, Network *net, Group g) {
  Group *own = NEW(p->arena, Group);
  *own = g;
  Span span = g.weight ? g.weight->span : g.edge->span;
  Names n = {p, net, own, plates_of(own), NULL, span};
  if (g.edge) vec_push(p->arena, &own->names, g.weight ? g.weight->edge_ref : own_name(p, g.edge));
  if (g.weight) visit_weight(g.weight, note_name, &n);
  if (g.edge && (!g.weight || is_own_line(g.edge, g.weight))) visit_support(g.edge, note_name, &n);
  if (own->names.n > NETWORK_MAX_NAMES) n.why = "names more copies than one table is made for";
  if (n.why) {
    bool counted = g.weight && is_count_weight(p, g.weight) && g.weight->span.lo == net->span.lo;
    plan_refuse(
        p, n.span,
        arena_printf(p->arena, "a weight that %s, of copies that are joined in a network, is not compiled", n.why),
        counted ? arena_printf(p->arena, "sums along one plate are counted, but this weight %s", net->why) : NULL);
    return;
  }
  vec_push(p->arena, &net->groups, own);
}

static void add_edge_groups(Plan *p, Network *net, Edge *e) {
  bool all = false;
  for (uint32_t i = 0; i < e->priors.n; i++) {
    all |= is_own_line(e, e->priors.at[i]);
    if (e->where && term_mentions_edge(e->where, NULL) && !is_own_line(e, e->priors.at[i]))
      plan_refuse(p, e->priors.at[i]->span, "a prior of another copy whose support depends on edges is not compiled",
                  NULL);
    add_group(p, net, (Group){.kind = GROUP_PRIOR, .edge = e, .weight = e->priors.at[i]});
  }
  if (!all) add_group(p, net, (Group){.kind = GROUP_UNIFORM, .edge = e});
  if (e->where) add_group(p, net, (Group){.kind = GROUP_SUPPORT, .edge = e});
}

typedef struct InNetwork { const Network *net; bool found; } InNetwork;

static void note_part(void *arg, const Term *t, bool sure) {
  (void)sure;
  InNetwork *f = arg;
  for (uint32_t i = 0; i < f->net->parts.n; i++) f->found |= f->net->parts.at[i]->edges.at[0] == t->edge;
}

static void add_groups(Plan *p, Network *net) {
  for (uint32_t i = 0; i < net->parts.n; i++) add_edge_groups(p, net, net->parts.at[i]->edges.at[0]);
  for (uint32_t i = 0; i < p->model->weights.n; i++) {
    Weight *w = p->model->weights.at[i];
    InNetwork f = {net, false};
    if (w->kind == WEIGHT_PRIOR && w->edge) continue;
    visit_weight(w, note_part, &f);
    if (f.found) add_group(p, net, (Group){.kind = GROUP_WEIGHT, .weight = w});
  }
}

/* ---- what is not compiled -------------------------------------------------------------------------------- */

static bool fixed_interval(const Range *r) {
  return r->kind == RANGE_INTERVAL && term_is_of_sizes(r->lo) && term_is_of_sizes(r->hi);
}

static bool is_ended(Plan *p, Network *net, const Index *plate) {
  if (network_room(net, plate)) return true;
  return plate->range.kind == RANGE_INTERVAL &&
         add_room(p, net, room_of_arrays(p, plate), term_is_of_sizes(plate->range.lo));
}

static void check_edges(Plan *p, Network *net) {
  for (uint32_t i = 0; i < net->parts.n; i++) {
    const Edge *e = net->parts.at[i]->edges.at[0];
    for (uint32_t k = 0; k < e->plates.n; k++)
      if (!fixed_interval(&e->plates.at[k]->range) && !is_ended(p, net, e->plates.at[k]))
        plan_refuse(p, e->span,
                    arena_printf(p->arena,
                                 "the copies of '%s' are joined to each other, and the range of '%s' is not given by "
                                 "the sizes: not compiled yet",
                                 name(p, e), sym_text(p->model->names, e->plates.at[k]->name)),
                    "it may begin at data, and end where 'min(.., SIZE)' or an array that a weight reads at it says");
    if (!edge_is_structured(e) && e->domain != DOMAIN_BIT && !fixed_interval(&e->range))
      plan_refuse(
          p, e->span,
          arena_printf(
              p->arena,
              "copies of '%s' are joined to each other, and its range is not given by the sizes: not compiled yet",
              name(p, e)),
          "let it range over sizes and restrict it by 'where'");
    if (e->infer && e->infer->method != INFER_EXACT && e->infer->method != INFER_MODE &&
        e->infer->method != INFER_SAMPLE)
      plan_refuse(p, e->infer->span, "this method is for edges joined to nothing", NULL);
  }
}

/* Plates that all edges have in common, for each of which every statement has one index. */
static void find_outer(Network *net) {
  const IndexVec *first = &net->parts.at[0]->plates;
  while (net->outer < first->n && fixed_interval(&first->at[net->outer]->range)) net->outer++;
  for (uint32_t i = 1; i < net->parts.n; i++) {
    const IndexVec *other = &net->parts.at[i]->plates;
    uint32_t k = 0;
    while (k < net->outer && k < other->n && other->at[k] == first->at[k]) k++;
    net->outer = k;
  }
  for (uint32_t i = 0; i < net->groups.n; i++)
    for (uint32_t k = 0; k < net->outer; k++)
      if (!stands_for(net, net->groups.at[i], k)) net->outer = k;
}

/* The component's edges, each a part of its own. */
static Network *take_apart(Plan *p, Component *c) {
  Network *net = NEW(p->arena, Network);
  net->span = c->beyond_span;
  net->why = c->beyond;
  Infer *infer = c->infer;
  for (uint32_t i = 0; i < c->edges.n; i++) {
    Component *part = i ? NEW(p->arena, Component) : c;
    Edge *e = c->edges.at[i];
    if (i) {
      part->id = p->components.n;
      vec_push(p->arena, &p->components, part);
      vec_push(p->arena, &part->edges, e);
    }
    part->infer = infer;
    part->plates = e->plates;
    part->network = net;
    part->chain = NULL;
    part->root = NEW(p->arena, Node);
    *part->root = (Node){.edge = e, .below = 1};
    p->of_edge[e->id] = part;
    vec_push(p->arena, &net->parts, part);
  }
  c->edges.n = 1;
  return net;
}

void plan_networks(Plan *p) {
  uint32_t n = p->components.n;
  for (uint32_t i = 0; i < n; i++) {
    Component *c = p->components.at[i];
    if (!c->beyond || c->structure) continue;
    uint32_t before = p->refusals.n;
    Network *net = take_apart(p, c);
    check_edges(p, net);
    add_groups(p, net);
    if (p->refusals.n > before) continue;
    find_outer(net);
    for (uint32_t k = 0; k < net->groups.n; k++) {
      Group *g = net->groups.at[k];
      split_indices(p, net, g);
      const char *why = check_loops(p, net, g);
      if (why)
        plan_refuse(
            p, g->weight ? g->weight->span : g->edge->span,
            arena_printf(p->arena, "a weight that %s, of copies that are joined in a network, is not compiled", why),
            NULL);
    }
  }
}
