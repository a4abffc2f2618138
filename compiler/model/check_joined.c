/* check_joined: the methods of edges that are joined.
 *
 * A weight, or a support, joins all copies of edges that it mentions, whatever data say.  Joined edges have one
 * posterior, so one `infer` line replaces it; `top` and `entmax` are for copies joined to nothing; where a method gives
 * single marginals alone there is no evidence. */
#include "model/checker.h"

typedef struct Joining {
  Checker *c;
  const Edge **leader; /* by Edge.id */
  const Term *first;   /* the copy met first in this statement, NULL: none yet */
  Edge *owner;         /* whose support this is, or NULL */
  Span span;           /* of the statement */
  bool *told;          /* by Infer.id */
} Joining;

static const Edge *leader_of(const Joining *j, const Edge *e) {
  while (j->leader[e->id] != e) e = j->leader[e->id];
  return e;
}

static bool for_single_copies(const Infer *f) { return f && (f->method == INFER_TOP || f->method == INFER_ENTMAX); }

static void refuse_joined(Joining *j, const Edge *e) {
  Infer *f = e->infer;
  if (!for_single_copies(f) || j->told[f->id]) return;
  j->told[f->id] = true;
  Diag *d = diag_error(j->c->diags, f->span, "'%s' is for edges joined to nothing, but '%s' is joined to other copies",
                       infer_method_name(f->method), name_text(j->c, e->name));
  diag_note(j->c->diags, d, j->span, "joined here");
}

/* Is the copy named by the variable of a sum, and so several copies? */
static bool is_summed_over(const Term *t) {
  if (t->kind == TERM_INDEX) return t->index->role == INDEX_REDUCE;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_summed_over(t->args.at[i])) return true;
  return false;
}

static void join_copy(const Term *t, void *context) {
  Joining *j = context;
  if (t->kind != TERM_EDGE) return;
  const Edge *first = j->first ? j->first->edge : j->owner;
  if (is_summed_over(t)) refuse_joined(j, t->edge);
  if (first && (first != t->edge || (j->first && !term_equal(j->first, t)))) {
    refuse_joined(j, first);
    refuse_joined(j, t->edge);
    j->leader[leader_of(j, t->edge)->id] = leader_of(j, first);
  }
  if (!j->first) j->first = t;
}

static void join_part(Joining *j, const Term *t) {
  if (t) term_walk(t, join_copy, j);
}

static void join_support(Joining *j, Edge *e) {
  j->first = NULL;
  j->owner = e;
  j->span = e->span;
  join_part(j, e->range.lo);
  join_part(j, e->range.hi);
  join_part(j, e->range.row);
  join_part(j, e->where);
  j->owner = NULL;
}

static void join_weight(Joining *j, const Weight *w) {
  j->first = NULL;
  j->span = w->span;
  join_part(j, w->value);
  join_part(j, w->left);
  join_part(j, w->edge_ref);
  for (uint32_t i = 0; i < w->params.n; i++) join_part(j, w->params.at[i]);
}

/* The first line of each group of joined edges stands for it. */
static void check_one_line(Joining *j, const Edge *e, const Edge **lined) {
  const Edge *leader = leader_of(j, e), *other = lined[leader->id];
  if (!e->infer) return;
  if (!other) {
    lined[leader->id] = e;
    return;
  }
  if (other->infer == e->infer || j->told[e->infer->id]) return;
  j->told[e->infer->id] = true;
  Diag *d = diag_error(j->c->diags, e->infer->span, "'%s' and '%s' are joined: one 'infer' line must name both",
                       name_text(j->c, other->name), name_text(j->c, e->name));
  diag_note(j->c->diags, d, other->infer->span, "'%s' is inferred here", name_text(j->c, other->name));
}

static bool stands_around(const Out *o, const Edge *e) {
  for (uint32_t i = 0; i < o->plates.n; i++)
    if (!indices_hold(&e->plates, o->plates.at[i])) return false;
  return true;
}

typedef struct Evidence { Checker *c; const Out *out; } Evidence;

static void check_evidence(const Term *t, void *context) {
  Evidence *x = context;
  if (t->kind != TERM_QUERY || t->query != QUERY_LOGZ) return;
  for (uint32_t i = 0; i < x->c->model->edges.n; i++) {
    const Edge *e = x->c->model->edges.at[i];
    if (!infer_gives_marginals(e->infer) || !stands_around(x->out, e)) continue;
    Diag *d = diag_error(x->c->diags, t->span,
                         "'logZ' of '%s', which is inferred by '%s': only E and P of single copies are defined then",
                         name_text(x->c, e->name), infer_method_name(e->infer->method));
    diag_note(x->c->diags, d, e->infer->span, "inferred here");
    return;
  }
}

void check_joined(Checker *c) {
  const Model *m = c->model;
  Joining j = {.c = c,
               .leader = NEW_ARRAY(c->arena, const Edge *, m->edges.n + 1),
               .told = NEW_ARRAY(c->arena, bool, m->infers.n + 1)};
  const Edge **lined = NEW_ARRAY(c->arena, const Edge *, m->edges.n + 1);
  for (uint32_t i = 0; i < m->edges.n; i++) j.leader[i] = m->edges.at[i];
  for (uint32_t i = 0; i < m->edges.n; i++) join_support(&j, m->edges.at[i]);
  for (uint32_t i = 0; i < m->weights.n; i++) join_weight(&j, m->weights.at[i]);
  for (uint32_t i = 0; i < m->edges.n; i++) check_one_line(&j, m->edges.at[i], lined);
  for (uint32_t i = 0; i < m->outs.n; i++)
    term_walk(m->outs.at[i]->value, check_evidence, &(Evidence){c, m->outs.at[i]});
  for (uint32_t i = 0; i < m->edges.n; i++) j.leader[i] = leader_of(&j, m->edges.at[i]);
  check_whole(c, j.leader);
}
