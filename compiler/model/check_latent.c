/* check_latent: what the statements about latents say that cannot be meant.
 *
 * Errors: a bound asked for where nothing of the joint weight lies; a start that is written as a number outside the
 * range that the prior gives the latent.  Warnings: a point where the prior's density has no largest value: a
 * concentration or shape below 1 lets the density grow without bound towards the border, where F is infinite. */
#include "model/checker.h"
#include "model/term.h"

/* ---- elbo in plates that hold nothing ----------------------------------------------------------------------- */

static bool begins_with(const IndexVec *plates, const IndexVec *prefix) {
  bool same = plates->n >= prefix->n;
  for (uint32_t i = 0; same && i < prefix->n; i++) same = plates->at[i] == prefix->at[i];
  return same;
}

static bool plates_hold_something(const Model *m, const IndexVec *plates) {
  for (uint32_t i = 0; i < m->edges.n; i++)
    if (begins_with(&m->edges.at[i]->plates, plates)) return true;
  for (uint32_t i = 0; i < m->latents.n; i++)
    if (begins_with(&m->latents.at[i]->plates, plates)) return true;
  for (uint32_t i = 0; i < m->weights.n; i++)
    if (begins_with(&m->weights.at[i]->plates, plates)) return true;
  return false;
}

/* A query is about the plates in which it stands: in a derived array those of the array, wherever that is read. */
typedef struct Standing { Checker *c; const IndexVec *plates; } Standing;

static void check_bound(const Term *t, void *context) {
  const Standing *at = context;
  if (t->kind != TERM_QUERY || t->query != QUERY_ELBO || plates_hold_something(at->c->model, at->plates)) return;
  Diag *d = diag_error(at->c->diags, t->span,
                       "no edge, latent or weight lies in these plates: there is nothing here that 'elbo' could bound");
  diag_hint(at->c->diags, d, "it is about what stands in the same 'for'; outside all of them it is the whole model's");
}

static void check_bounds(Checker *c) {
  for (uint32_t i = 0; i < c->model->outs.n; i++)
    term_walk(c->model->outs.at[i]->value, check_bound, &(Standing){c, &c->model->outs.at[i]->plates});
  for (uint32_t i = 0; i < c->model->lets.n; i++)
    term_walk(c->model->lets.at[i]->value, check_bound, &(Standing){c, &c->model->lets.at[i]->plates});
}

/* ---- ranges -------------------------------------------------------------------------------------------------- */

static bool literal(const Term *t, double *value) {
  if (t->kind == TERM_OP && (t->op == OP_NEG || t->op == OP_TO_REAL) && literal(t->args.at[0], value)) {
    if (t->op == OP_NEG) *value = -*value;
    return true;
  }
  if (t->kind == TERM_INT)
    *value = (double)t->integer;
  else if (t->kind == TERM_REAL)
    *value = t->real;
  else
    return false;
  return true;
}

static const char *range_text(Dist d) {
  switch ((int)d) {
  case DIST_BETA:
  case DIST_DIRICHLET: return "between 0 and 1";
  case DIST_GAMMA:
  case DIST_EXPONENTIAL: return "positive";
  }
  return NULL;
}

static bool is_inside(Dist d, double x) { return x >= 0 && ((d != DIST_BETA && d != DIST_DIRICHLET) || x <= 1); }

static void check_start(Checker *c, const Latent *z, const Term *init) {
  double x;
  if (!z->prior || !range_text(z->prior->dist) || !literal(init, &x) || is_inside(z->prior->dist, x)) return;
  Diag *d = diag_error(c->diags, init->span, "'%s' cannot start at %.9g: its prior holds it %s", name_text(c, z->name),
                       x, range_text(z->prior->dist));
  diag_note(c->diags, d, z->prior->span, "its prior");
}

static void check_starts(Checker *c) {
  for (uint32_t i = 0; i < c->model->infers.n; i++) {
    const Infer *line = c->model->infers.at[i];
    for (uint32_t k = 0; k < line->latents.n && k < line->init.n; k++)
      if (line->init.at[k]) check_start(c, line->latents.at[k], line->init.at[k]);
  }
}

void check_latent_use(Checker *c) {
  check_bounds(c);
  check_starts(c);
}

/* ---- modes at the border --------------------------------------------------------------------------------------- */

/* A parameter below which the density has no largest value; by place in the list of parameters. */
static const Term *unbounded_at(const Weight *w) {
  uint32_t n = w->dist == DIST_BETA ? 2 : w->dist == DIST_GAMMA || w->dist == DIST_DIRICHLET ? 1 : 0;
  for (uint32_t i = 0; i < n; i++) {
    const Term *t = w->params.at[i];
    double x;
    while (t->kind == TERM_OP && t->op == OP_TO_REAL) t = t->args.at[0];
    if (t->kind == TERM_INPUT && t->input->init && !t->args.n) t = t->input->init; /* the default of a scalar param */
    if (literal(t, &x) && x > 0 && x < 1) return w->params.at[i];
  }
  return NULL;
}

void warn_latents(Checker *c) {
  for (uint32_t i = 0; i < c->model->latents.n; i++) {
    const Latent *z = c->model->latents.at[i];
    if (!z->infer || z->infer->q != Q_POINT) continue;
    for (uint32_t k = 0; k < z->priors.n; k++) {
      const Weight *w = z->priors.at[k];
      const Term *low = unbounded_at(w);
      if (!low) continue;
      Diag *d = diag_warning(c->diags, low->span,
                             "below 1 this density grows without bound towards the border: a point q of '%s' may end "
                             "there, with an infinite bound",
                             name_text(c, z->name));
      diag_note(c->diags, d, z->infer->span, "inferred as a point here");
      diag_hint(c->diags, d, "'q = conjugate' keeps the whole posterior; a mode inside the range takes at least 1");
    }
  }
}
