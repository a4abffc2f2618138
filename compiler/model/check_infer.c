/* check_infer: `infer NAMES by METHOD(ARGUMENTS)`. */
#include "model/checker.h"

typedef enum {
  ARG_STEPS = 1,
  ARG_N = 2,
  ARG_SEED = 4,
  ARG_K = 8,
  ARG_ALPHA = 16,
  ARG_TAU = 32,
  ARG_Q = 64,
  ARG_METHOD = 128,
  ARG_RATE = 256,
  ARG_DAMPING = 512,
  ARG_TOL = 1024,
  ARG_INIT = 2048,
} InferArg;

static const char *const ARGS[] = {"steps", "n",      "seed", "k",       "alpha", "tau",
                                   "q",     "method", "rate", "damping", "tol",   "init"};
enum { ARG_COUNT = 12 };

static const struct { const char *name; uint32_t takes, needs;
} METHODS[] = {
    [INFER_EXACT] = {"exact", 0, 0},
    [INFER_MODE] = {"mode", 0, 0},
    [INFER_SAMPLE] = {"sample", ARG_N | ARG_SEED, ARG_N},
    [INFER_TOP] = {"top", ARG_K, ARG_K},
    [INFER_ENTMAX] = {"entmax", ARG_ALPHA, ARG_ALPHA},
    [INFER_SINKHORN] = {"sinkhorn", ARG_STEPS | ARG_TAU, ARG_STEPS},
    [INFER_BETHE] = {"bethe", ARG_STEPS, ARG_STEPS},
    [INFER_COLLAPSED] = {"collapsed", ARG_STEPS | ARG_Q | ARG_METHOD | ARG_RATE | ARG_DAMPING | ARG_TOL | ARG_INIT,
                         ARG_STEPS},
};
enum { METHOD_COUNT = INFER_COLLAPSED + 1 };

static bool find_method(Checker *c, Name name, InferMethod *method) {
  const char *word = name_text(c, name.sym), *words[METHOD_COUNT];
  for (int i = 0; i < METHOD_COUNT; i++) {
    words[i] = METHODS[i].name;
    if (!strcmp(word, words[i])) return *method = (InferMethod)i, true;
  }
  Diag *d = diag_error(c->diags, name.span,
                       "unknown method '%s'; expected exact, mode, sample, top, entmax, sinkhorn or bethe for edges, "
                       "collapsed for latents",
                       word);
  const char *near = nearest_word(word, words, METHOD_COUNT);
  if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
  return false;
}

/* ---- names -------------------------------------------------------------------------------------- */

static void tell_twice(Checker *c, Name name, const Infer *old) {
  Diag *d = diag_error(c->diags, name.span, "'%s' is inferred twice", name_text(c, name.sym));
  diag_note(c->diags, d, old->span, "first here");
}

static bool add_edge(Checker *c, Name name, Edge *e, Infer *f) {
  if (f->method == INFER_COLLAPSED) {
    Diag *d = diag_error(c->diags, name.span, "'collapsed' infers latents; '%s' is an edge", name_text(c, name.sym));
    diag_hint(c->diags, d, "edges are always summed out; without a line of their own exactly");
    return false;
  }
  bool permutes = e->domain == DOMAIN_PERMUTATION || e->domain == DOMAIN_MATCHING;
  if (f->method == INFER_SINKHORN && !permutes) {
    diag_error(c->diags, name.span, "'sinkhorn' approximates permutations and matchings; edge '%s' is neither",
               name_text(c, name.sym));
    return false;
  }
  if (e->infer) return tell_twice(c, name, e->infer), false;
  e->infer = f;
  vec_push(c->arena, &f->edges, e);
  return true;
}

static bool add_latent(Checker *c, Name name, Latent *z, Infer *f) {
  if (f->method != INFER_COLLAPSED) {
    Diag *d = diag_error(c->diags, name.span, "'%s' infers edges; '%s' is a latent", METHODS[f->method].name,
                         name_text(c, name.sym));
    diag_hint(c->diags, d, "write 'infer %s by collapsed(steps = ...)'", name_text(c, name.sym));
    return false;
  }
  if (z->infer) return tell_twice(c, name, z->infer), false;
  z->infer = f;
  vec_push(c->arena, &f->latents, z);
  return true;
}

static bool add_name(Checker *c, Name name, Infer *f) {
  Entity *e = lookup_name(c, name, "an edge or a latent");
  if (!e || e->kind == ENTITY_POISON) return false;
  if (e->kind == ENTITY_EDGE) return add_edge(c, name, e->edge, f);
  if (e->kind == ENTITY_LATENT) return add_latent(c, name, e->latent, f);
  Diag *d = diag_error(c->diags, name.span, "'infer' is about edges and latents; '%s' is %s", name_text(c, name.sym),
                       entity_words(e));
  diag_note(c->diags, d, e->span, "declared here");
  return false;
}

/* ---- arguments ---------------------------------------------------------------------------------- */

static bool word_arg(Checker *c, const Arg *a, const char *const *words, int n, int *to) {
  const char *word = a->value->kind == EXPR_NAME ? name_text(c, a->value->name) : "";
  const char *list = "";
  for (int i = 0; i < n; i++) {
    if (!strcmp(word, words[i])) return *to = i, true;
    list = arena_printf(c->arena, "%s%s%s", list, i == 0 ? "" : i == n - 1 ? " or " : ", ", words[i]);
  }
  diag_error(c->diags, a->value->span, "'%s' is one of %s", name_text(c, a->name.sym), list);
  return false;
}

static bool literal(const Term *t, double *v) {
  if (t->kind == TERM_INT) return *v = (double)t->integer, true;
  if (t->kind == TERM_REAL) return *v = t->real, true;
  return false;
}

/* Least and greatest value of a numeric argument; out of them is an error where it is a literal. */
static bool within(Checker *c, const Arg *a, const Term *t, double least, double greatest) {
  double v;
  if (!literal(t, &v) || (v >= least && v <= greatest)) return true;
  const char *name = name_text(c, a->name.sym);
  if (greatest < 1e300)
    diag_error(c->diags, a->value->span, "'%s' must be from %g to %g; found %g", name, least, greatest, v);
  else diag_error(c->diags, a->value->span, "'%s' must be at least %g; found %g", name, least, v);
  return false;
}

static bool number_arg(Checker *c, const Arg *a, ScalarType type, double least, double greatest, Term **to) {
  const char *what = arena_printf(c->arena, "'%s'", name_text(c, a->name.sym));
  Term *t = type == TYPE_INT ? scalar_int(c, a->value, what) : scalar_real(c, a->value, what);
  if (!t || !mention_allowed(c, t, PLACE_INFER, a->value->span) || !within(c, a, t, least, greatest)) return false;
  if (!plates_allowed(c, t, 0, a->value->span)) return false;
  *to = t;
  return true;
}

static bool value_of(Checker *c, const Arg *a, InferArg which, Infer *f) {
  static const char *const QS[] = {"point", "gaussian", "conjugate"}, *const STEPS[] = {"auto", "closed", "gradient"};
  int choice;
  switch (which) {
    case ARG_STEPS: return number_arg(c, a, TYPE_INT, 0, 1e300, &f->steps);
    case ARG_N: return number_arg(c, a, TYPE_INT, 1, 1e300, &f->n);
    case ARG_SEED: return number_arg(c, a, TYPE_INT, -1e300, 1e300, &f->seed);
    case ARG_K: return number_arg(c, a, TYPE_INT, 1, 1e300, &f->k);
    case ARG_ALPHA: return number_arg(c, a, TYPE_REAL, 1, 1e300, &f->alpha);
    case ARG_TAU: return number_arg(c, a, TYPE_REAL, 1e-30, 1e300, &f->tau);
    case ARG_RATE: return number_arg(c, a, TYPE_REAL, 0, 1e300, &f->rate);
    case ARG_DAMPING: return number_arg(c, a, TYPE_REAL, 0, 1, &f->damping);
    case ARG_TOL: return number_arg(c, a, TYPE_REAL, 0, 1e300, &f->tol);
    case ARG_Q: return word_arg(c, a, QS, 3, &choice) && (f->q = (QKind)choice, true);
    case ARG_METHOD: return word_arg(c, a, STEPS, 3, &choice) && (f->step = (StepKind)choice, true);
    case ARG_INIT: return true; /* needs the latents: below */
  }
  return false;
}

static uint32_t arg_flag(Checker *c, Name name) {
  for (int i = 0; i < ARG_COUNT; i++)
    if (!strcmp(name_text(c, name.sym), ARGS[i])) return 1u << i;
  return 0;
}

static void unknown_arg(Checker *c, Name name, uint32_t takes, const char *method) {
  const char *word = name_text(c, name.sym), *words[ARG_COUNT], *list = "";
  uint32_t n = 0;
  for (int i = 0; i < ARG_COUNT; i++)
    if (takes & (1u << i)) {
      list = arena_printf(c->arena, "%s%s%s", list, n ? ", " : "", ARGS[i]);
      words[n++] = ARGS[i];
    }
  Diag *d = n ? diag_error(c->diags, name.span, "'%s' has no argument '%s'; it has %s", method, word, list)
              : diag_error(c->diags, name.span, "'%s' has no arguments", method);
  const char *near = nearest_word(word, words, n);
  if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
}

static bool one_arg(Checker *c, const Arg *a, Infer *f, uint32_t *seen) {
  const char *method = METHODS[f->method].name;
  if (!a->name.sym) {
    Diag *d = diag_error(c->diags, a->value->span, "the arguments of '%s' are named", method);
    diag_hint(c->diags, d, "write NAME = value, for example %s", f->method == INFER_TOP ? "k = 8" : "steps = 3");
    return false;
  }
  uint32_t flag = arg_flag(c, a->name);
  if (!(flag & METHODS[f->method].takes)) return unknown_arg(c, a->name, METHODS[f->method].takes, method), false;
  if (*seen & flag) {
    diag_error(c->diags, a->name.span, "'%s' is given twice", name_text(c, a->name.sym));
    return false;
  }
  *seen |= flag;
  return value_of(c, a, (InferArg)flag, f);
}

static bool all_args(Checker *c, const Stmt *s, Infer *f) {
  uint32_t seen = 0;
  bool good = true;
  for (uint32_t i = 0; i < s->infer.args.n; i++) good &= one_arg(c, &s->infer.args.at[i], f, &seen);
  uint32_t missing = METHODS[f->method].needs & ~seen;
  for (int i = 0; good && i < ARG_COUNT; i++)
    if (missing & (1u << i)) {
      diag_error(c->diags, s->infer.method.span, "'%s' needs the argument '%s'", METHODS[f->method].name, ARGS[i]);
      return false;
    }
  return good;
}

static void set_defaults(Checker *c, Infer *f) {
  Span span = f->span;
  uint32_t takes = METHODS[f->method].takes;
  if ((takes & ARG_SEED) && !f->seed) f->seed = term_int(c->arena, 0, span);
  if ((takes & ARG_TAU) && !f->tau) f->tau = term_real(c->arena, 1, span);
  if ((takes & ARG_RATE) && !f->rate) f->rate = term_real(c->arena, 0.1, span);
  if ((takes & ARG_DAMPING) && !f->damping) f->damping = term_real(c->arena, 0, span);
  if ((takes & ARG_TOL) && !f->tol) f->tol = term_real(c->arena, 0, span);
}

/* ---- init --------------------------------------------------------------------------------------- */

static const Arg *init_arg(Checker *c, const Stmt *s) {
  for (uint32_t i = 0; i < s->infer.args.n; i++)
    if (s->infer.args.at[i].name.sym && arg_flag(c, s->infer.args.at[i].name) == ARG_INIT) return &s->infer.args.at[i];
  return NULL;
}

static void push_all(Checker *c, const IndexVec *from, uint32_t first, IndexVec *to, TermVec *dims) {
  for (uint32_t i = first; i < from->n; i++) {
    vec_push(c->arena, to, from->at[i]);
    vec_push(c->arena, dims, range_extent(c, &from->at[i]->range));
  }
}

/* Places in an array from 0, of indices that may begin elsewhere. */
static TermVec positions(Checker *c, const Value *v, const IndexVec *over) {
  TermVec at = {0};
  for (uint32_t i = 0; v->rank && i < over->n; i++) {
    const Range *r = &over->at[i]->range;
    vec_push(c->arena, &at,
             term_op2(c->arena, OP_SUB, term_index(c->arena, over->at[i], v->span), range_origin(c, r), v->span));
  }
  return at;
}

/* `init` over all of the latent that this place does not already stand in; a scalar fills it. */
static Term *init_of(Checker *c, const Arg *a, Value *v, const Latent *z) {
  IndexVec over = {0};
  TermVec dims = {0};
  uint32_t shared = shared_plates(c, &z->plates);
  push_all(c, &z->plates, shared, &over, &dims);
  push_all(c, &z->own, 0, &over, &dims);
  push_all(c, &z->axes, 0, &over, &dims);
  Value whole = {.kind = VALUE_ELEMENT, .rank = dims.n, .dims = dims.at};
  if (v->rank && !value_same_shape(c, v, &whole)) {
    Diag *d = diag_error(c->diags, a->value->span, "'init' has shape %s; latent '%s' has %s", value_shape_text(c, v),
                         name_text(c, z->name), value_shape_text(c, &whole));
    diag_note(c->diags, d, z->span, "declared here");
    return NULL;
  }
  Term *t = value_at(c, value_to_real(c, v), positions(c, v, &over).at);
  bool good = mention_allowed(c, t, PLACE_INFER, a->value->span) && plates_allowed(c, t, shared, a->value->span);
  return good ? t : NULL;
}

static bool start(Checker *c, const Stmt *s, Infer *f) {
  const Arg *a = f->method == INFER_COLLAPSED ? init_arg(c, s) : NULL;
  Value *v = a ? elab_number(c, a->value, "'init'") : NULL;
  bool good = true;
  for (uint32_t i = 0; i < f->latents.n; i++) {
    Term *t = v && !is_poison(v) ? init_of(c, a, v, f->latents.at[i]) : NULL;
    good &= !v || t;
    vec_push(c->arena, &f->init,
             v && !t ? term_real(c->arena, 0, f->span) : t); /* a wrong start is not a missing one */
  }
  return good;
}

/* ---- statement and model ------------------------------------------------------------------------ */

void check_infer(Checker *c, const Stmt *s) {
  Infer *f = NEW(c->arena, Infer);
  f->span = s->span;
  bool known = find_method(c, s->infer.method, &f->method);
  if (!known) f->method = INFER_COLLAPSED;
  for (uint32_t i = 0; known && i < s->infer.names.n; i++) add_name(c, s->infer.names.at[i], f);
  for (uint32_t i = 0; !known && i < s->infer.names.n; i++) {
    Entity *e = lookup_quietly(c, s->infer.names.at[i].sym);
    if (e && e->kind == ENTITY_LATENT) e->latent->infer = f; /* no second message about it */
  }
  if (!known || !all_args(c, s, f) || !start(c, s, f)) return;
  set_defaults(c, f);
  f->id = c->model->infers.n;
  vec_push(c->arena, &c->model->infers, f);
}

static void check_latent_inferred(Checker *c, const Latent *z) {
  const char *name = name_text(c, z->name);
  if (!z->infer) {
    Diag *d = diag_error(c->diags, z->span, "latent '%s' has no 'infer' line", name);
    diag_hint(c->diags, d, "write 'infer %s by collapsed(steps = ...)'", name);
    return;
  }
  bool has_init = z->infer->init.n == 0;
  for (uint32_t i = 0; i < z->infer->init.n; i++)
    if (z->infer->latents.at[i] == z && z->infer->init.at[i]) has_init = true;
  if (has_init || z->has_prior_line) return;
  Diag *d =
      diag_error(c->diags, z->infer->span, "latent '%s' has neither a prior nor 'init': it has nowhere to start", name);
  diag_note(c->diags, d, z->span, "'%s' is declared here", name);
}

void check_infer_complete(Checker *c) {
  for (uint32_t i = 0; i < c->model->latents.n; i++) check_latent_inferred(c, c->model->latents.at[i]);
}

/* ---- queries against methods ---------------------------------------------------------------------- */

/* Entmax and the message-passing approximations give single marginals and nothing else. */
bool infer_gives_marginals(const Infer *f) {
  return f && (f->method == INFER_ENTMAX || f->method == INFER_SINKHORN || f->method == INFER_BETHE);
}

const char *infer_method_name(InferMethod method) { return METHODS[method].name; }

static void refuse_method(Checker *c, Span span, const Edge *e, const char *query) {
  Diag *d = diag_error(c->diags, span,
                       "'%s' of '%s', which is inferred by '%s': only E and P of single copies are defined then", query,
                       name_text(c, e->name), METHODS[e->infer->method].name);
  diag_note(c->diags, d, e->infer->span, "inferred here");
}

static uint32_t q_parameters(const Latent *z) {
  if (!z->infer || z->infer->q == Q_POINT) return 1;
  if (z->infer->q == Q_GAUSSIAN || !z->prior) return 2;
  return (uint32_t)dist_arity(z->prior->dist);
}

static void check_param(Checker *c, const Term *t) {
  const Latent *z = t->args.at[0]->latent;
  uint32_t has = q_parameters(z);
  if (t->args.at[0]->kind != TERM_LATENT || t->args.at[1]->integer < has) return;
  Diag *d = diag_error(c->diags, t->span, "q of '%s' has %u parameter%s; number %lld is asked for",
                       name_text(c, z->name), has, has == 1 ? "" : "s", (long long)t->args.at[1]->integer + 1);
  if (z->infer) diag_note(c->diags, d, z->infer->span, "inferred here");
}

static void check_one_query(const Term *t, void *context) {
  static const char *const NAMES[] = {
      [QUERY_MODE] = "mode", [QUERY_SAMPLE] = "sample", [QUERY_ENTROPY] = "entropy", [QUERY_KL] = "kl"};
  Checker *c = context;
  if (t->kind != TERM_QUERY) return;
  if (t->query == QUERY_PARAM) check_param(c, t);
  if (t->query == QUERY_MODE || t->query == QUERY_SAMPLE)
    if (infer_gives_marginals(t->args.at[0]->edge->infer))
      refuse_method(c, t->span, t->args.at[0]->edge, NAMES[t->query]);
  if (t->query != QUERY_ENTROPY && t->query != QUERY_KL) return;
  for (uint32_t i = 0; i < t->copies.n; i++)
    if (infer_gives_marginals(t->copies.at[i].edge->infer))
      refuse_method(c, t->span, t->copies.at[i].edge, NAMES[t->query]);
}

void check_queries(Checker *c) {
  for (uint32_t i = 0; i < c->model->outs.n; i++) term_walk(c->model->outs.at[i]->value, check_one_query, c);
  for (uint32_t i = 0; i < c->model->lets.n; i++)
    if (c->model->lets.at[i]->has_query) term_walk(c->model->lets.at[i]->value, check_one_query, c);
}
