/* check_query: E, P, mode, sample, entropy, count, kl, elbo and param.
 *
 * A query is a number: its bracket is elaborated like any expression, and what is around it sees no edge.
 * Where queries may stand is asked when the whole expression is known (check_mention.c). */
#include "model/checker.h"

static const char *const WORDS[] = {"mode", "sample", "entropy", "count", "kl", "elbo", "param"};
enum { WORD_COUNT = 7 };

bool is_query_word(const char *name) {
  for (int i = 0; i < WORD_COUNT; i++)
    if (!strcmp(name, WORDS[i])) return true;
  return false;
}

static void suggest_probability(Checker *c, Value *v) {
  Diag *d = diag_error(c->diags, v->span, "the bracket of P must be a condition (bool); found %s", type_words(v->type));
  diag_hint(c->diags, d, "write P[phi == j] for a probability, E[...] for an expectation");
}

static Value *probability(Checker *c, Value *v, Span span) {
  if (v->type != TYPE_BOOL) return suggest_probability(c, v), &c->poison;
  if (!scalar_of(c, v, TYPE_BOOL, "the bracket of P")) return &c->poison;
  TermVec args = {0};
  vec_push(c->arena, &args, v->term);
  return value_term(c, term_query(c->arena, QUERY_P, TYPE_REAL, &args, span));
}

static Value *expectation(Checker *c, Value *v, Span span) {
  v = value_to_real(c, v);
  if (v->rank) {
    Value *q = value_of_kind(c, VALUE_E, TYPE_REAL, v, span);
    vec_push(c->arena, &q->args, v);
    return q;
  }
  if (is_poison(v)) return v;
  TermVec args = {0};
  vec_push(c->arena, &args, v->term);
  return value_term(c, term_query(c->arena, QUERY_E, TYPE_REAL, &args, span));
}

Value *elab_query(Checker *c, const Expr *e) {
  Value *v = elab(c, e->query.arg);
  if (is_poison(v)) return v;
  if (is_none(v)) {
    diag_error(c->diags, v->span, "'none' is no value; write P[phi == none] for the probability of no edge");
    return &c->poison;
  }
  return e->query.is_probability ? probability(c, v, e->span) : expectation(c, v, e->span);
}

/* ---- queries about copies ------------------------------------------------------------------------- */

/* The edge that an argument names; NULL after an error. */
static Edge *named_edge(Checker *c, const Expr *arg, const char *query) {
  const Expr *base = arg->kind == EXPR_INDEX ? arg->index.base : arg;
  if (base->kind == EXPR_ERROR) return NULL;
  if (base->kind != EXPR_NAME) {
    diag_error(c->diags, arg->span,
               "'%s' is about an edge; expected its name, with indices where another copy is meant", query);
    return NULL;
  }
  Entity *e = lookup_name(c, (Name){base->name, base->span}, "an edge");
  if (!e || e->kind == ENTITY_POISON) return NULL;
  if (e->kind == ENTITY_EDGE) return e->edge;
  Diag *d = diag_error(c->diags, arg->span, "'%s' is about an edge; '%s' is %s", query, name_text(c, base->name),
                       entity_words(e));
  diag_note(c->diags, d, e->span, "declared here");
  if (e->kind == ENTITY_LATENT) diag_hint(c->diags, d, "write E[%s] for its mean", name_text(c, base->name));
  return NULL;
}

static Value *copy_query(Checker *c, const Expr *e, QueryKind q) {
  const char *name = name_text(c, e->call.callee.sym);
  if (e->call.args.n != 1) {
    diag_error(c->diags, e->span, "'%s' takes 1 edge; %u given", name, e->call.args.n);
    return &c->poison;
  }
  const Expr *arg = e->call.args.at[0].value;
  if (!named_edge(c, arg, name)) return &c->poison;
  Value *v = elab(c, arg);
  if (is_poison(v) || !copy_allowed(c, v->term, arg->span)) return &c->poison;
  TermVec args = {0};
  vec_push(c->arena, &args, v->term);
  return value_term(c, term_query(c->arena, q, TYPE_INT, &args, e->span));
}

static void open_copies(Checker *c, Edge *edge, CopySet *set) {
  uint32_t n = shared_plates(c, &edge->plates);
  for (uint32_t i = 0; i < n; i++) vec_push(c->arena, &set->fixed, term_index(c->arena, edge->plates.at[i], set->span));
}

/* Bare, an edge stands for its copies in the plates of this place: one inside them, all outside. */
static bool copy_set(Checker *c, const Expr *arg, const char *query, CopySet *set) {
  Edge *edge = named_edge(c, arg, query);
  if (!edge) return false;
  *set = (CopySet){.edge = edge, .span = arg->span};
  if (arg->kind == EXPR_NAME) return open_copies(c, edge, set), true;
  Value *v = elab(c, arg);
  if (is_poison(v) || !copy_allowed(c, v->term, arg->span)) return false;
  set->fixed = v->term->args;
  return true;
}

/* The same copies twice are no more than once. */
static bool is_named(const Term *query, const CopySet *s) {
  for (uint32_t i = 0; i < query->copies.n; i++) {
    const CopySet *o = &query->copies.at[i];
    bool same = o->edge == s->edge && o->fixed.n == s->fixed.n;
    for (uint32_t k = 0; same && k < s->fixed.n; k++) same = term_equal(o->fixed.at[k], s->fixed.at[k]);
    if (same) return true;
  }
  return false;
}

static Value *set_query(Checker *c, const Expr *e, QueryKind q) {
  const char *name = name_text(c, e->call.callee.sym);
  if (!e->call.args.n) {
    diag_error(c->diags, e->span, "'%s' takes one or more edges; none given", name);
    return &c->poison;
  }
  Term *t = term_query(c->arena, q, TYPE_REAL, NULL, e->span);
  bool good = true;
  for (uint32_t i = 0; i < e->call.args.n; i++) {
    CopySet set;
    if (!copy_set(c, e->call.args.at[i].value, name, &set)) {
      good = false;
      continue;
    }
    if (!is_named(t, &set)) vec_push(c->arena, &t->copies, set);
  }
  return good ? value_term(c, term_finish(t)) : &c->poison;
}

/* ---- elbo and param -------------------------------------------------------------------------------- */

static Value *elbo(Checker *c, const Expr *e) {
  if (e->call.args.n != 1) {
    diag_error(c->diags, e->span, "'elbo' takes the number of a step, or stands without brackets; %u given",
               e->call.args.n);
    return &c->poison;
  }
  TermVec args = {0};
  Term *step = scalar_int(c, e->call.args.at[0].value, "the step of 'elbo'");
  if (!step || !mention_allowed(c, step, PLACE_INFER, e->call.args.at[0].value->span)) return &c->poison;
  vec_push(c->arena, &args, step);
  return value_term(c, term_query(c->arena, QUERY_ELBO, TYPE_REAL, &args, e->span));
}

static Value *vector_param(Checker *c, Value *z, int64_t k, Span span) {
  Value *v = value_of_kind(c, VALUE_PARAM, TYPE_REAL, z, span);
  v->number = k;
  vec_push(c->arena, &v->args, z);
  return v;
}

static bool is_latent(const Value *v) {
  if (v->kind == VALUE_ELEMENT) return v->element == TERM_LATENT;
  return v->kind == VALUE_TERM && v->term->kind == TERM_LATENT;
}

static Value *param(Checker *c, const Expr *e) {
  if (e->call.args.n != 2) {
    diag_error(c->diags, e->span, "'param' takes a latent and the number of a parameter of its q; %u given",
               e->call.args.n);
    return &c->poison;
  }
  Value *z = elab(c, e->call.args.at[0].value);
  const Expr *number = e->call.args.at[1].value;
  if (is_poison(z)) return z;
  if (!is_latent(z)) {
    diag_error(c->diags, z->span, "'param' is of a latent");
    return &c->poison;
  }
  if (number->kind != EXPR_INT || number->integer < 1 || number->integer > 2) {
    diag_error(c->diags, number->span, "the parameters of q are numbered 1 and 2; expected one of these literals");
    return &c->poison;
  }
  if (z->rank) return vector_param(c, z, number->integer - 1, e->span);
  TermVec args = {0};
  vec_push(c->arena, &args, z->term);
  vec_push(c->arena, &args, term_int(c->arena, number->integer - 1, number->span));
  return value_term(c, term_query(c->arena, QUERY_PARAM, TYPE_REAL, &args, e->span));
}

Value *elab_query_call(Checker *c, const Expr *e) {
  const char *name = name_text(c, e->call.callee.sym);
  for (uint32_t i = 0; i < e->call.args.n; i++)
    if (e->call.args.at[i].name.sym) {
      Diag *d = diag_error(c->diags, e->call.args.at[i].name.span, "'%s' takes no named arguments", name);
      if (!strcmp(name, "sample")) diag_hint(c->diags, d, "the seed of sample queries is that of the run");
      return &c->poison;
    }
  if (!strcmp(name, "mode")) return copy_query(c, e, QUERY_MODE);
  if (!strcmp(name, "sample")) return copy_query(c, e, QUERY_SAMPLE);
  if (!strcmp(name, "entropy")) return set_query(c, e, QUERY_ENTROPY);
  if (!strcmp(name, "count")) return set_query(c, e, QUERY_COUNT);
  if (!strcmp(name, "kl")) return set_query(c, e, QUERY_KL);
  return !strcmp(name, "elbo") ? elbo(c, e) : param(c, e);
}
