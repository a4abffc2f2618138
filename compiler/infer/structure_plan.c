/* structure_plan: which weights make a structure, and what of it has no exact sum here.
 *
 * A weight is local where all it mentions is one node of one copy, `up[n]`, n being an index of its plates, or any
 * expression of indices and data.  A weight of several nodes, or of a node and another edge, leaves no sum that a
 * family knows. */
#include "infer/structure.h"
#include "model/term.h"

static const char *name(const Plan *p, const Edge *e) { return sym_text(p->model->names, e->name); }

typedef struct Find { const Term *ref, *other; bool different; } Find;

static void look(Find *f, const Term *t) {
  if (!t) return;
  if (t->kind == TERM_EDGE) {
    if (edge_is_structured(t->edge) && !f->ref) f->ref = t;
    else if (edge_is_structured(t->edge) && t->edge == f->ref->edge) f->different |= !term_equal(t, f->ref);
    else f->other = t;
  }
  if (t->kind == TERM_REDUCE) {
    look(f, t->index->range.lo);
    look(f, t->index->range.hi);
    look(f, t->index->range.row);
  }
  for (uint32_t i = 0; i < t->args.n; i++) look(f, t->args.at[i]);
}

static Find find_refs(const Weight *w) {
  Find f = {0};
  look(&f, w->value);
  look(&f, w->left);
  look(&f, w->edge_ref);
  for (uint32_t i = 0; i < w->params.n; i++) look(&f, w->params.at[i]);
  return f;
}

Edge *structure_of_weight(const Weight *w) {
  Find f = find_refs(w);
  return f.ref ? f.ref->edge : NULL;
}

static bool is_own_copy(const Term *ref) {
  const Edge *e = ref->edge;
  for (uint32_t i = 0; i < e->plates.n; i++)
    if (ref->args.at[i]->kind != TERM_INDEX || ref->args.at[i]->index != e->plates.at[i]) return false;
  return true;
}

static uint32_t plate_of(const Weight *w, uint32_t from, const Term *node) {
  for (uint32_t i = from; i < w->plates.n; i++)
    if (node->kind == TERM_INDEX && node->index == w->plates.at[i]) return i;
  return UINT32_MAX;
}

/* Does it use an index that is none of the weight's plates? */
static bool is_bound_inside(const Weight *w, const Term *t) {
  if (t->kind == TERM_INDEX) {
    for (uint32_t i = 0; i < w->plates.n; i++)
      if (w->plates.at[i] == t->index) return false;
    return true;
  }
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_bound_inside(w, t->args.at[i])) return true;
  return false;
}

static bool is_normalised(const Weight *w) {
  return w->kind == WEIGHT_PRIOR && (w->dist == DIST_UNIFORM || w->dist == DIST_WEIGHTS || w->dist == DIST_LOGITS ||
                                     w->dist == DIST_STICK_BREAKING);
}

void structure_add_weight(Plan *p, Structure *s, Weight *w) {
  Find f = find_refs(w);
  const Edge *e = s->edge;
  const Term *node = f.ref->args.at[e->plates.n];
  if (f.other) {
    plan_refuse(p, w->span,
                arena_printf(p->arena, "'%s' and '%s' are joined: sums over both are not compiled", name(p, e),
                             name(p, f.other->edge)),
                "the weights of a tree, permutation or matching mention one of its nodes and no other edge");
  } else if (f.different || term_mentions_edge(node, NULL) || is_bound_inside(w, node)) {
    plan_refuse(p, w->span, arena_printf(p->arena, "a weight of several nodes of '%s' has no exact sum", name(p, e)),
                "write a weight for each node: for n in N { potential .. }");
  } else if (!is_own_copy(f.ref)) {
    plan_refuse(p, f.ref->span,
                arena_printf(p->arena, "a weight that reaches another copy of '%s' is not compiled yet", name(p, e)),
                NULL);
  } else if (is_normalised(w)) {
    plan_refuse(
        p, w->span,
        arena_printf(p->arena, "a prior normalised over the support of one node of '%s' is not compiled", name(p, e)),
        "the prior of a structure is uniform; weights of its nodes are potentials");
  } else {
    Local l = {w, node, plate_of(w, e->plates.n, node)};
    vec_push(p->arena, &s->locals, l);
  }
}

/* Nodes that do not exist then have one choice, which leaves the others theirs: see structure_idle.c. */
static bool may_be_idle(const Edge *e) {
  bool approximate = infer_approximates(e->infer);
  return !approximate && !term_mentions_edge(e->n, NULL) && !(e->m && term_mentions_edge(e->m, NULL));
}

static bool has_room(Plan *p, const Edge *e) {
  bool targets = term_is_of_sizes(e->n) || plan_room(p, (RoomOf){.targets = e}).n;
  return targets && (!e->m || term_is_of_sizes(e->m) || plan_room(p, (RoomOf){.nodes = e}).n);
}

void structure_check(Plan *p, const Edge *e) {
  for (uint32_t i = 0; i < e->plates.n; i++)
    if (!has_fixed_bounds(e->plates.at[i]))
      plan_refuse(
          p, e->span,
          arena_printf(p->arena, "'%s' stands in plates whose bounds are not sizes: not compiled yet", name(p, e)),
          NULL);
  bool fixed = term_is_of_sizes(e->n) && (!e->m || term_is_of_sizes(e->m));
  if (!fixed && !may_be_idle(e))
    plan_refuse(p, e->span,
                arena_printf(p->arena, "the number of nodes of '%s' is not a size: not compiled yet", name(p, e)),
                NULL);
  else if (!fixed && !has_room(p, e))
    plan_refuse(p, e->span,
                arena_printf(p->arena, "nothing says how many nodes '%s' has at most: not compiled", name(p, e)),
                "a size does, 'min(.., SIZE)', or an array that a weight reads at a node");
}

void structure_check_infer(Plan *p, const Infer *f) {
  for (uint32_t i = 0; i < f->edges.n; i++)
    if (f->edges.at[i]->domain != DOMAIN_PERMUTATION)
      plan_refuse(p, f->span,
                  arena_printf(p->arena, "this approximation of '%s' is compiled for permutations alone",
                               name(p, f->edges.at[i])),
                  NULL);
}

Structure *structure_new(Plan *p, Edge *e) {
  Structure *s = NEW(p->arena, Structure);
  Index *node = NEW(p->arena, Index);
  Term *nodes = edge_nodes(e);
  *node =
      (Index){.id = UINT32_MAX,
              .name = e->name,
              .span = e->span,
              .role = INDEX_PLATE,
              .range = {.kind = RANGE_INTERVAL, .span = e->span, .lo = term_int(p->arena, 0, e->span), .hi = nodes}};
  *s = (Structure){.edge = e, .node = node};
  if (!term_is_of_sizes(e->n)) s->room = plan_room(p, (RoomOf){.targets = e});
  if (!term_is_of_sizes(nodes)) s->rows = e->m ? plan_room(p, (RoomOf){.nodes = e}) : s->room;
  return s;
}
