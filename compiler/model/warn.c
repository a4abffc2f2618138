/* warn: what is legal and probably not meant.
 *
 * Each warning is decided from the text of the model alone, for all sizes, and given only where the proof
 * is simple: no warning says nothing. */
#include "model/checker.h"

/* A function's body is read at every call. */
static bool told(const Checker *c, Span span) {
  for (uint32_t i = 0; i < c->diags->list.n; i++)
    if (c->diags->list.at[i]->level == DIAG_WARNING && c->diags->list.at[i]->span.lo == span.lo) return true;
  return false;
}

void warn_division(Checker *c, const Expr *e) {
  if (e->binary.op != BINARY_DIV || e->binary.b->kind != EXPR_REDUCE || e->binary.b->parenthesised) return;
  const Expr *body = e->binary.b->reduce.body;
  bool product = body->kind == EXPR_BINARY && !body->parenthesised &&
                 (body->binary.op == BINARY_MUL || body->binary.op == BINARY_DIV);
  if (!product || told(c, e->binary.b->span)) return;
  Diag *d =
      diag_warning(c->diags, e->binary.b->span, "this divides by the whole product: '%s' reaches over '*' and '/'",
                   name_text(c, e->binary.b->reduce.op.sym));
  diag_hint(c->diags, d, "put brackets around the divisor");
}

static void unused_params(Checker *c) {
  for (uint32_t i = 0; i < c->model->inputs.n; i++) {
    const Input *in = c->model->inputs.at[i];
    if (in->is_param && !c->input_used.at[i])
      diag_warning(c->diags, in->span, "param '%s' is never used", name_text(c, in->name));
  }
}

/* ---- weights without effect ------------------------------------------------------------------------
 * Unknowns (edges, then latents) that a weight or a support joins share a group; a weight matters when its
 * group is asked for by an output, and always when an output is the evidence. */

typedef struct Groups {
  uint32_t edges;
  uint32_t *parent;
  bool *asked;
  bool all;
  uint32_t last; /* the unknown met last in the walk; NONE at its start */
} Groups;

static const uint32_t NONE = UINT32_MAX;

static uint32_t group(const Groups *g, uint32_t x) {
  while (g->parent[x] != x) x = g->parent[x];
  return x;
}

static void join(Groups *g, uint32_t x) {
  if (g->last != NONE) g->parent[group(g, x)] = group(g, g->last);
  g->last = x;
}

static void join_visit(const Term *t, void *context) {
  Groups *g = context;
  if (t->kind == TERM_EDGE) join(g, t->edge->id);
  if (t->kind == TERM_LATENT) join(g, g->edges + t->latent->id);
}

static void ask_visit(const Term *t, void *context) {
  Groups *g = context;
  if (t->kind == TERM_EDGE) g->asked[group(g, t->edge->id)] = true;
  if (t->kind == TERM_LATENT) g->asked[group(g, g->edges + t->latent->id)] = true;
  if (t->kind == TERM_QUERY && (t->query == QUERY_LOGZ || t->query == QUERY_ELBO)) g->all = true;
  for (uint32_t i = 0; i < t->copies.n; i++) g->asked[group(g, t->copies.at[i].edge->id)] = true;
}

static void walk_weight(const Weight *w, void (*visit)(const Term *, void *), void *context) {
  if (w->value) term_walk(w->value, visit, context);
  if (w->left) term_walk(w->left, visit, context);
  for (uint32_t i = 0; i < w->params.n; i++) term_walk(w->params.at[i], visit, context);
}

static void join_edge(Groups *g, const Edge *e) {
  const Term *parts[] = {e->range.lo, e->range.hi, e->range.row, e->where};
  g->last = e->id;
  for (int i = 0; i < 4; i++)
    if (parts[i]) term_walk(parts[i], join_visit, g);
}

static Groups make_groups(Checker *c) {
  const Model *m = c->model;
  uint32_t n = m->edges.n + m->latents.n;
  Groups g = {
      .edges = m->edges.n, .parent = NEW_ARRAY(c->arena, uint32_t, n + 1), .asked = NEW_ARRAY(c->arena, bool, n + 1)};
  for (uint32_t i = 0; i < n; i++) g.parent[i] = i;
  for (uint32_t i = 0; i < m->edges.n; i++) join_edge(&g, m->edges.at[i]);
  for (uint32_t i = 0; i < m->weights.n; i++) {
    g.last = NONE;
    walk_weight(m->weights.at[i], join_visit, &g);
  }
  for (uint32_t i = 0; i < m->outs.n; i++) term_walk(m->outs.at[i]->value, ask_visit, &g);
  for (uint32_t i = 0; i < m->lets.n; i++) term_walk(m->lets.at[i]->value, ask_visit, &g);
  return g;
}

/* A condition on sizes and data alone is a precondition, not a weight. */
static void idle_weights(Checker *c) {
  if (!c->model->outs.n) return;
  Groups g = make_groups(c);
  if (g.all) return;
  for (uint32_t i = 0; i < c->model->weights.n; i++) {
    const Weight *w = c->model->weights.at[i];
    g.last = NONE;
    walk_weight(w, join_visit, &g);
    if (g.last == NONE && w->kind == WEIGHT_REQUIRE) continue;
    if (g.last != NONE && g.asked[group(&g, g.last)]) continue;
    Diag *d = diag_warning(c->diags, w->span, "this weight has no effect on any output");
    if (g.last == NONE) diag_hint(c->diags, d, "it mentions no edge and no latent, and no output asks for logZ");
  }
}

/* ---- latents of which only differences matter ------------------------------------------------------- */

typedef struct Uses { const Latent *z; uint32_t all, in_differences; } Uses;

static void use_visit(const Term *t, void *context) {
  Uses *u = context;
  if (t->kind == TERM_LATENT && t->latent == u->z) u->all++;
  if (t->kind != TERM_OP || t->op != OP_SUB) return;
  const Term *a = t->args.at[0], *b = t->args.at[1];
  if (a->kind == TERM_LATENT && b->kind == TERM_LATENT && a->latent == u->z && b->latent == u->z)
    u->in_differences += 2;
}

/* Log weights that are normalised over an edge without `none`: what is added at every value of it cancels. */
static bool shifts_cancel(const Weight *w) {
  return w->kind == WEIGHT_PRIOR && w->dist == DIST_LOGITS && w->edge && w->params.n && !edge_has_none(w->edge);
}

static void use_in_sum(const Term *t, Uses *u) {
  bool sum = t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB);
  for (uint32_t i = 0; sum && i < t->args.n; i++) use_in_sum(t->args.at[i], u);
  if (sum) return;
  term_walk(t, use_visit, u);
  if (t->kind == TERM_LATENT && t->latent == u->z) u->in_differences++;
}

static void use_in_weight(const Weight *w, Uses *u) {
  if (shifts_cancel(w)) use_in_sum(w->params.at[0], u);
  else walk_weight(w, use_visit, u);
}

static void unidentified(Checker *c) {
  for (uint32_t i = 0; i < c->model->latents.n; i++) {
    const Latent *z = c->model->latents.at[i];
    Uses u = {.z = z};
    if (z->prior) continue;
    for (uint32_t k = 0; k < c->model->weights.n; k++) use_in_weight(c->model->weights.at[k], &u);
    const char *name = name_text(c, z->name);
    if (!u.all) diag_warning(c->diags, z->span, "no weight mentions latent '%s': it keeps its start", name);
    else if (u.all == u.in_differences)
      diag_warning(c->diags, z->span,
                   "latent '%s' is not identified: only differences of it matter, and it has no prior", name);
  }
}

/* ---- supports that are empty for some index ----------------------------------------------------------
 * A bound leaves room when `slack` >= 0.  Where slack is affine in the plates' indices its least value is at
 * ends of their ranges; if that is a negative constant, the support is empty there. */

static Term *shifted(Checker *c, Term *t, const Index *i, int64_t by) {
  Term *next =
      term_op2(c->arena, OP_ADD, term_index(c->arena, (Index *)i, t->span), term_int(c->arena, by, t->span), t->span);
  IndexMap map = {(Index *)i, next};
  return term_substitute(c->model, t, &map, 1);
}

/* Puts i where slack is least; false: slack is not affine in it, or its range is not plain. */
static bool to_corner(Checker *c, Term **slack, const Index *i, const Index **named) {
  int64_t slope;
  if (!term_mentions_index(*slack, i)) return true;
  if (i->range.kind != RANGE_INTERVAL || !dim_difference(c->arena, shifted(c, *slack, i, 1), *slack, &slope))
    return false;
  Term *last = term_op2(c->arena, OP_SUB, i->range.hi, term_int(c->arena, 1, i->span), i->span);
  IndexMap map = {(Index *)i, slope >= 0 ? i->range.lo : last};
  *slack = term_substitute(c->model, *slack, &map, 1);
  if (slope > 0 && !*named) *named = i;
  return true;
}

static bool empty_somewhere(Checker *c, const Edge *e, Term *slack, const Index **named) {
  int64_t least;
  if (slack->mentions & (MENTIONS_EDGE | MENTIONS_INPUT | MENTIONS_LET)) return false;
  for (uint32_t i = e->plates.n; i-- > 0;)
    if (!to_corner(c, &slack, e->plates.at[i], named)) return false;
  return dim_difference(c->arena, slack, term_int(c->arena, 0, slack->span), &least) && least < 0;
}

static void tell_empty(Checker *c, const Edge *e, Span span, const Index *named) {
  const char *name = name_text(c, e->name);
  Diag *d = named ? diag_warning(c->diags, span, "the support of '%s' is empty at %s = %s", name,
                                 name_text(c, named->name), term_text(c->model, c->arena, named->range.lo))
                  : diag_warning(c->diags, span, "the support of '%s' is empty for some index", name);
  diag_hint(c->diags, d, "results are 0 there and logZ is -inf; 'or none' would keep a value");
}

static Term *minus(Checker *c, Term *a, Term *b, int64_t more) {
  Term *d = term_op2(c->arena, OP_SUB, a, b, a->span);
  return term_op2(c->arena, OP_SUB, d, term_int(c->arena, more, a->span), a->span);
}

static bool is_own(const Term *t, const Edge *e) { return t->kind == TERM_EDGE && t->edge == e; }

/* slack of `phi < t`, `phi <= t` (upper) or `phi > t`, `phi >= t`; NULL: another condition. */
static Term *bound_slack(Checker *c, const Edge *e, Term *t) {
  if (t->kind != TERM_OP) return NULL;
  OpKind op = t->op;
  if (op != OP_LT && op != OP_LE && op != OP_GT && op != OP_GE) return NULL;
  bool left = is_own(t->args.at[0], e);
  Term *bound = t->args.at[left ? 1 : 0];
  if ((!left && !is_own(t->args.at[1], e)) || bound->type != TYPE_INT) return NULL;
  bool upper = (op == OP_LT || op == OP_LE) == left, strict = op == OP_LT || op == OP_GT;
  return upper ? minus(c, bound, e->range.lo, strict) : minus(c, e->range.hi, bound, 1 + strict);
}

static void empty_where(Checker *c, const Edge *e, Term *where) {
  const Index *named = NULL;
  if (where->kind == TERM_OP && where->op == OP_AND) {
    empty_where(c, e, where->args.at[0]);
    empty_where(c, e, where->args.at[1]);
    return;
  }
  Term *slack = bound_slack(c, e, where);
  if (slack && empty_somewhere(c, e, slack, &named)) tell_empty(c, e, where->span, named);
  if (where->kind == TERM_BOOL && !where->truth) tell_empty(c, e, where->span, NULL);
}

static void empty_supports(Checker *c) {
  for (uint32_t i = 0; i < c->model->edges.n; i++) {
    const Edge *e = c->model->edges.at[i];
    const Index *named = NULL;
    if (e->domain != DOMAIN_RANGE || e->range.kind != RANGE_INTERVAL || e->or_none) continue;
    bool whole = e->range.hi->kind == TERM_SIZE && e->range.lo->kind == TERM_INT;
    if (!whole && empty_somewhere(c, e, minus(c, e->range.hi, e->range.lo, 1), &named))
      tell_empty(c, e, e->range.span, named);
    else if (e->where) empty_where(c, e, e->where);
  }
}

/* A conjugate q starts with the parameters of the prior. */
static void idle_starts(Checker *c) {
  for (uint32_t i = 0; i < c->model->infers.n; i++) {
    const Infer *line = c->model->infers.at[i];
    const Term *init = line->init.n ? line->init.at[0] : NULL;
    if (line->method != INFER_COLLAPSED || line->q != Q_CONJUGATE || !init) continue;
    Diag *d = diag_warning(c->diags, init->span,
                           "'init' has no effect with 'q = conjugate', which starts with the prior's parameters");
    diag_hint(c->diags, d, "'q = gaussian' starts there, and 'q = point'");
  }
}

void warn_model(Checker *c) {
  unused_params(c);
  idle_weights(c);
  unidentified(c);
  empty_supports(c);
  idle_starts(c);
}
