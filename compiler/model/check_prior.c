/* check_prior: whose prior a line is, and that no copy has two.
 *
 * On edges a line is either a distribution over the support (`weights` and its kin: the left side is
 * the bare edge) or an exact pmf of an integer expression, which belongs to the last declared edge in
 * it, and among copies of that edge to the highest.  On a latent it is a density of components. */
#include "model/checker.h"

static void note_edge(Checker *c, Diag *d, const Edge *e) {
  diag_note(c->diags, d, e->span, "edge '%s' is declared here", name_text(c, e->name));
}

/* ---- which copy ----------------------------------------------------------------------------------- */

typedef struct Owner { Term *ref; bool unclear; } Owner;

/* +1: a is the higher copy, -1: b, 0: the same; 2: not known. */
static int compare_copies(Checker *c, const Term *a, const Term *b) {
  for (uint32_t i = 0; i < a->args.n; i++) {
    int64_t d;
    if (!dim_difference(c->arena, a->args.at[i], b->args.at[i], &d)) return 2;
    if (d) return d > 0 ? 1 : -1;
  }
  return 0;
}

static void consider(Checker *c, Owner *o, Term *ref) {
  if (!o->ref || ref->edge->id > o->ref->edge->id) {
    *o = (Owner){.ref = ref};
  } else if (ref->edge == o->ref->edge) {
    int order = compare_copies(c, ref, o->ref);
    if (order == 2) o->unclear = true;
    if (order == 1) o->ref = ref;
  }
}

static void collect(Checker *c, Owner *o, Term *t) {
  if (!(t->mentions & MENTIONS_EDGE)) return;
  if (t->kind == TERM_EDGE) consider(c, o, t);
  for (uint32_t i = 0; i < t->args.n; i++) collect(c, o, t->args.at[i]);
}

static bool mentions_bound(const Term *t) { return term_find(t, TERM_REDUCE) != NULL; }

/* ---- priors of edges ------------------------------------------------------------------------------ */

static Term *bare_edge(Checker *c, const Stmt *s, const Value *left, const char *dist) {
  if (left->kind == VALUE_TERM && left->term->kind == TERM_EDGE) return left->term;
  Diag *d = diag_error(c->diags, s->draw.left->span,
                       "'%s' is over the support of one edge; expected the edge alone on the left", dist);
  if (!left->rank && term_mentions_edge(left->term, NULL))
    diag_hint(c->diags, d,
              "of an expression there are exact pmfs: geometric, beta_geometric, poisson, binomial, bernoulli");
  return NULL;
}

static void check_prior_clash(Checker *c, Weight *w);

static void add_edge_prior(Checker *c, Weight *w, Term *ref) {
  if (!copy_allowed(c, ref, ref->span)) return;
  w->edge = ref->edge;
  w->edge_ref = ref;
  check_prior_clash(c, w);
  if (!w->edge->prior) w->edge->prior = w;
  vec_push(c->arena, &w->edge->priors, w);
  w->id = c->model->weights.n;
  vec_push(c->arena, &c->model->weights, w);
}

static void support_prior(Checker *c, const Stmt *s, Dist d, const Value *left) {
  Weight *w = new_weight(c, WEIGHT_PRIOR, s);
  Term *ref = bare_edge(c, s, left, dist_name(d));
  if (!ref || !dist_params(c, s, d, left, w, s->draw.left->span)) return;
  w->left = ref;
  add_edge_prior(c, w, ref);
}

/* The number of values in a plain domain 0 .. n, NULL where it is something else. */
static const Term *domain_size(const Edge *e) {
  if (edge_is_structured(e)) return e->n;
  bool from_zero = e->domain == DOMAIN_RANGE && e->range.kind == RANGE_INTERVAL && e->range.lo->kind == TERM_INT &&
                   e->range.lo->integer == 0;
  return from_zero && range_is_static(&e->range) ? e->range.hi : NULL;
}

static bool covers_domain(Checker *c, const Value *p, const Edge *e) {
  if (p->rank != 1) {
    Diag *d = diag_error(c->diags, p->span, "'categorical' takes a vector over the domain; found shape %s",
                         value_shape_text(c, p));
    if (!p->rank) diag_hint(c->diags, d, "an expression in the edge is given by weights(...)");
    return false;
  }
  const Term *n = domain_size(e);
  if (!n || dim_equal(c->arena, n, p->dims[0])) return true;
  Diag *d = diag_error(c->diags, p->span, "'categorical' takes a vector over the domain, of %s values; found shape %s",
                       term_text(c->model, c->arena, n), value_shape_text(c, p));
  note_edge(c, d, e);
  return false;
}

/* categorical(p) is weights(p[phi]). */
static void categorical(Checker *c, const Stmt *s, const Value *left) {
  Term *ref = bare_edge(c, s, left, "categorical");
  if (s->draw.args.n != 1 || s->draw.args.at[0].name.sym) {
    diag_error(c->diags, s->draw.dist.span, "'categorical' takes 1 parameter, a vector; %u given", s->draw.args.n);
    return;
  }
  const Expr *e = s->draw.args.at[0].value;
  Value *p = elab_number(c, e, "the parameter of 'categorical'");
  if (!ref || is_poison(p) || !covers_domain(c, p, ref->edge)) return;
  Term *at = value_at(c, value_to_real(c, p), &ref);
  if (!mention_allowed(c, at, PLACE_WEIGHT, e->span)) return;
  Weight *w = new_weight(c, WEIGHT_PRIOR, s);
  w->dist = DIST_WEIGHTS;
  w->left = ref;
  vec_push(c->arena, &w->params, at);
  add_edge_prior(c, w, ref);
}

static bool is_count(Checker *c, const Stmt *s, Dist d, const Value *left) {
  if (!left->rank && left->type == TYPE_INT) return true;
  diag_error(c->diags, s->draw.left->span, "'%s' is a pmf of an integer; found %s", dist_name(d),
             left->rank ? value_shape_text(c, left) : type_words(left->type));
  return false;
}

static void pmf_prior(Checker *c, const Stmt *s, Dist d, const Value *left) {
  if (!is_count(c, s, d, left)) return;
  Weight *w = new_weight(c, WEIGHT_PRIOR, s);
  if (!dist_params(c, s, d, left, w, s->draw.left->span)) return;
  Owner o = {0};
  collect(c, &o, left->term);
  if (o.unclear || mentions_bound(left->term)) {
    Diag *g = diag_error(c->diags, s->draw.left->span, "it is not clear which copy of '%s' this prior belongs to",
                         name_text(c, o.ref->edge->name));
    diag_hint(c->diags, g, "a prior belongs to the highest copy in it; a weight that joins copies is a 'potential'");
    return;
  }
  w->left = left->term;
  add_edge_prior(c, w, o.ref);
}

static void density_on_edge(Checker *c, const Stmt *s, Dist d, const Value *left) {
  Diag *g = diag_error(c->diags, s->draw.dist.span, "'%s' is a density of a real; an edge expression is an integer",
                       dist_name(d));
  diag_hint(c->diags, g, "write 'prior EDGE ~ logits(...)' with the log density as an expression in the edge");
  const Term *e = left->rank ? NULL : term_find(left->term, TERM_EDGE);
  if (e) note_edge(c, g, e->edge);
}

/* ---- priors of latents ---------------------------------------------------------------------------- */

static bool can_be_latent(Checker *c, const Stmt *s, Dist d) {
  if (dist_place(d) == 'l') return true;
  Diag *g =
      diag_error(c->diags, s->draw.dist.span, "'%s' is a distribution of integers; a latent is real", dist_name(d));
  diag_hint(c->diags, g, "of latents: normal, laplace, student_t, exponential, gamma, beta, dirichlet");
  return false;
}

static Latent *latent_of(const Value *left) { return left->rank ? left->what : left->term->latent; }

static void latent_prior(Checker *c, const Stmt *s, Dist d, const Value *left) {
  if (!can_be_latent(c, s, d)) return;
  Weight *w = new_weight(c, WEIGHT_PRIOR, s);
  if (!dist_params(c, s, d, left, w, s->draw.left->span)) return;
  w->left = value_over(c, left, &w->axes);
  w->latent = latent_of(left);
  if (w->left->kind != TERM_LATENT) return;
  if (!copy_allowed(c, w->left, s->draw.left->span)) return;
  check_prior_clash(c, w);
  if (!w->latent->prior) w->latent->prior = w;
  vec_push(c->arena, &w->latent->priors, w);
  w->id = c->model->weights.n;
  vec_push(c->arena, &c->model->weights, w);
}

static bool is_latent(const Value *v) {
  return (v->kind == VALUE_ELEMENT && v->element == TERM_LATENT) ||
         (v->kind == VALUE_TERM && v->term->kind == TERM_LATENT);
}

/* ---- two priors for one copy ---------------------------------------------------------------------- */

static bool same_range(const Range *a, const Range *b) {
  return a->kind == b->kind && a->graph == b->graph && (a->lo ? b->lo && term_equal(a->lo, b->lo) : !b->lo) &&
         (a->hi ? b->hi && term_equal(a->hi, b->hi) : !b->hi) &&
         (a->row ? b->row && term_equal(a->row, b->row) : !b->row);
}

static bool reaches(const Term *index, const Term *number) {
  const Term *lo = index->kind == TERM_INDEX ? index->index->range.lo : NULL;
  return lo && number->kind == TERM_INT && lo->kind == TERM_INT && number->integer >= lo->integer;
}

/* Provably one number for some values of the indices: the same term, indices over the same range, or a
 * number that the index's range reaches. */
static bool may_meet(const Term *a, const Term *b) {
  if (term_equal(a, b) || reaches(a, b) || reaches(b, a)) return true;
  return a->kind == TERM_INDEX && b->kind == TERM_INDEX && same_range(&a->index->range, &b->index->range);
}

static bool overlap(const Term *a, const Term *b) {
  if (a->args.n != b->args.n) return false;
  for (uint32_t i = 0; i < a->args.n; i++)
    if (!may_meet(a->args.at[i], b->args.at[i])) return false;
  return true;
}

static void tell_clash(Checker *c, const Weight *w, const Weight *old, Sym name) {
  Diag *d = diag_error(c->diags, w->span, "'%s' has two priors", name_text(c, name));
  diag_note(c->diags, d, old->span, "the first is here");
  diag_hint(c->diags, d, "each copy has one prior; further weights are potentials");
}

/* Does the copy depend on the plate, perhaps by an index that runs over a piece of it? */
static bool tells_apart(const Weight *w, const Term *copy, const Index *plate) {
  if (term_mentions_index(copy, plate)) return true;
  for (uint32_t i = 0; i < w->plates.n; i++) {
    const Index *inner = w->plates.at[i];
    if (range_mentions_index(&inner->range, plate) && tells_apart(w, copy, inner)) return true;
  }
  return false;
}

/* A prior in a plate on which its copy does not depend would be one for each value. */
static bool one_for_each_copy(Checker *c, const Weight *w, const Term *copy, Sym name) {
  for (uint32_t i = 0; i < w->plates.n; i++) {
    const Index *plate = w->plates.at[i];
    if (tells_apart(w, copy, plate)) continue;
    const char *text = name_text(c, name), *index = name_text(c, plate->name);
    Diag *d = diag_error(c->diags, w->span,
                         "'%s' would have a prior for every '%s': its copy is the same for all of them",
                         text, index);
    diag_note(c->diags, d, plate->span, "the plate is here");
    diag_hint(c->diags, d, "each copy has one prior: write it outside this plate, or declare '%s' inside", text);
    return false;
  }
  return true;
}

static void check_prior_clash(Checker *c, Weight *w) {
  if (w->edge && !one_for_each_copy(c, w, w->edge_ref, w->edge->name)) return;
  if (w->latent && !one_for_each_copy(c, w, w->left, w->latent->name)) return;
  if (w->edge)
    for (uint32_t i = 0; i < w->edge->priors.n; i++)
      if (overlap(w->edge_ref, w->edge->priors.at[i]->edge_ref)) {
        tell_clash(c, w, w->edge->priors.at[i], w->edge->name);
        return;
      }
  if (w->latent)
    for (uint32_t i = 0; i < w->latent->priors.n; i++)
      if (overlap(w->left, w->latent->priors.at[i]->left)) {
        tell_clash(c, w, w->latent->priors.at[i], w->latent->name);
        return;
      }
}

/* ---- the statement -------------------------------------------------------------------------------- */

static void not_unknown(Checker *c, const Stmt *s) {
  Diag *d = diag_error(c->diags, s->draw.left->span, "a prior is of an edge or a latent; found neither on the left");
  diag_hint(c->diags, d, "the density of data is given by 'observe'");
}

void check_prior(Checker *c, const Stmt *s) {
  Value *left = elab(c, s->draw.left);
  bool is_categorical = !strcmp(name_text(c, s->draw.dist.sym), "categorical");
  Dist d = DIST_WEIGHTS;
  if (!is_poison(left) && is_latent(left)) latent_of(left)->has_prior_line = true;
  if (!is_categorical && !find_dist(c, s, &d)) return;
  if (is_poison(left)) return;
  if (is_latent(left)) {
    latent_prior(c, s, d, left);
    return;
  }
  if (left->rank || is_none(left) || !term_mentions_edge(left->term, NULL)) {
    not_unknown(c, s);
    return;
  }
  if (!mention_allowed(c, left->term, PLACE_SUPPORT, s->draw.left->span)) return;
  if (is_categorical) categorical(c, s, left);
  else if (dist_place(d) == 'e') support_prior(c, s, d, left);
  else if (dist_place(d) == 'l') density_on_edge(c, s, d, left);
  else pmf_prior(c, s, d, left);
}
