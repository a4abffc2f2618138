/* check_call: built-in functions, reductions, and `def`s, which are inlined.
 *
 * Arguments of a `def` are elaborated once, where the call stands, and its body in the scope where the
 * `def` stands: a use inside the body shares the argument's term, so text is never copied twice. */
#include "model/checker.h"

/* ---- scalar functions, applied to vectors component by component ---------------------------------- */

static const struct { const char *name; OpKind op;
} FUNCTIONS[] = {
    {"exp", OP_EXP},
    {"log", OP_LOG},
    {"log1p", OP_LOG1P},
    {"expm1", OP_EXPM1},
    {"sqrt", OP_SQRT},
    {"sq", OP_SQ},
    {"tanh", OP_TANH},
    {"sigmoid", OP_SIGMOID},
    {"softplus", OP_SOFTPLUS},
    {"relu", OP_RELU},
    {"leaky_relu", OP_LEAKY_RELU},
    {"gelu", OP_GELU},
    {"elu", OP_ELU},
    {"sin", OP_SIN},
    {"cos", OP_COS},
    {"abs", OP_ABS},
    {"sign", OP_SIGN},
    {"floor", OP_FLOOR},
    {"ceil", OP_CEIL},
    {"round", OP_ROUND},
    {"min", OP_MIN},
    {"max", OP_MAX},
    {"clamp", OP_CLAMP},
    {"erf", OP_ERF},
    {"lgamma", OP_LGAMMA},
    {"digamma", OP_DIGAMMA},
    {"random", OP_RANDOM},
};
enum { FUNCTION_COUNT = sizeof FUNCTIONS / sizeof *FUNCTIONS };

static const char *const VECTOR_FUNCTIONS[] = {"dot", "norm", "sum", "prod", "max", "min"};
static const char *const REDUCTIONS[] = {"sum", "prod", "max", "min"}; /* in the order of ReduceKind */
enum { VECTOR_COUNT = 6, REDUCTION_COUNT = 4 };

static int word_in(const char *word, const char *const *list, int n) {
  for (int i = 0; i < n; i++)
    if (!strcmp(word, list[i])) return i;
  return -1;
}

static int function_number(const char *word) {
  for (int i = 0; i < FUNCTION_COUNT; i++)
    if (!strcmp(word, FUNCTIONS[i].name)) return i;
  return -1;
}

bool is_builtin(const char *name) {
  return function_number(name) >= 0 || word_in(name, VECTOR_FUNCTIONS, VECTOR_COUNT) >= 0;
}

static bool no_named(Checker *c, const Expr *e) {
  for (uint32_t i = 0; i < e->call.args.n; i++)
    if (e->call.args.at[i].name.sym) {
      diag_error(c->diags, e->call.args.at[i].name.span, "a function takes its arguments by place, not by name");
      return false;
    }
  return true;
}

static bool elab_args(Checker *c, const Expr *e, Value **to) {
  bool good = true;
  for (uint32_t i = 0; i < e->call.args.n; i++) {
    to[i] = elab(c, e->call.args.at[i].value);
    good &= !is_poison(to[i]);
  }
  return good;
}

static bool numbers(Checker *c, const char *name, Value *const *args, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (is_numeric(args[i]) && !is_none(args[i])) continue;
    if (is_none(args[i])) diag_error(c->diags, args[i]->span, "'none' is no argument of '%s'", name);
    else diag_error(c->diags, args[i]->span, "'%s' is of numbers; found a condition (bool)", name);
    return false;
  }
  return true;
}

static bool shapes(Checker *c, const char *name, Value *const *args, uint32_t n, Span span) {
  const Value *shape = NULL;
  for (uint32_t i = 0; i < n; i++) {
    if (!args[i]->rank) continue;
    if (shape && !value_same_shape(c, shape, args[i])) {
      diag_error(c->diags, span, "'%s' of shapes %s and %s; expected equal shapes, or a scalar with a vector", name,
                 value_shape_text(c, shape), value_shape_text(c, args[i]));
      return false;
    }
    shape = args[i];
  }
  return true;
}

static Value *wrong_count(Checker *c, const Expr *e, const char *expected) {
  diag_error(c->diags, e->span, "'%s' takes %s; %u given", name_text(c, e->call.callee.sym), expected, e->call.args.n);
  return &c->poison;
}

static bool all_int(Value *const *args, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (args[i]->type != TYPE_INT) return false;
  return true;
}

/* sq is defined for integers below, but of the language's functions only these keep them. */
static bool keeps_int(OpKind op) {
  return op == OP_MIN || op == OP_MAX || op == OP_CLAMP || op == OP_ABS || op == OP_SIGN;
}

static Value *apply(Checker *c, OpKind op, Value **args, uint32_t n, Span span) {
  if (keeps_int(op) && all_int(args, n)) return value_op(c, op, TYPE_INT, args, n, span);
  for (uint32_t i = 0; i < n; i++) args[i] = value_to_real(c, args[i]);
  return value_op(c, op, op_types(op) == 'f' ? TYPE_INT : TYPE_REAL, args, n, span);
}

static Value *random_number(Checker *c, const Expr *e, Value **args) {
  if (!e->call.args.n) return wrong_count(c, e, "a seed and integers");
  for (uint32_t i = 0; i < e->call.args.n; i++)
    if (!scalar_of(c, args[i], TYPE_INT, "an argument of 'random'")) return &c->poison;
  return value_op(c, OP_RANDOM, TYPE_REAL, args, e->call.args.n, e->span);
}

static const char *const COUNTS[] = {"no argument", "1 argument", "2 arguments", "3 arguments"};

static Value *scalar_function(Checker *c, const Expr *e, OpKind op, Value **args) {
  uint32_t n = e->call.args.n;
  const char *name = op_name(op);
  if (op == OP_RANDOM) return random_number(c, e, args);
  if (!numbers(c, name, args, n)) return &c->poison;
  if (op == OP_LEAKY_RELU && n == 1) {
    args[1] = value_term(c, term_real(c->arena, 0.2, e->span));
    n = 2;
  }
  if ((int)n != op_arity(op)) return wrong_count(c, e, op == OP_LEAKY_RELU ? "1 or 2 arguments" : COUNTS[op_arity(op)]);
  return shapes(c, name, args, n, e->span) ? apply(c, op, args, n, e->span) : &c->poison;
}

/* ---- functions of vectors ------------------------------------------------------------------------- */

static Value *reduce_axes(Checker *c, ReduceKind kind, Term *body, const IndexVec *axes, Span span) {
  for (uint32_t i = axes->n; i-- > 0;) body = term_reduce(c->arena, kind, axes->at[i], body, span);
  return value_term(c, body);
}

static Value *vector_reduce(Checker *c, ReduceKind kind, const Value *v, Span span) {
  if (!v->rank) {
    Diag *d = diag_error(c->diags, span, "'%s' of one argument reduces a vector; found a scalar", REDUCTIONS[kind]);
    diag_hint(c->diags, d, "over a range write '%s(j in N) ...'", REDUCTIONS[kind]);
    return &c->poison;
  }
  IndexVec axes = {0};
  Term *body = value_over_axes(c, v, &axes);
  return reduce_axes(c, kind, body, &axes, span);
}

static Value *norm(Checker *c, Value *v, Span span) {
  if (!v->rank) {
    diag_error(c->diags, span, "'norm' is of a vector; found a scalar");
    return &c->poison;
  }
  v = value_to_real(c, v);
  IndexVec axes = {0};
  Term *x = value_over_axes(c, v, &axes);
  Value *sum = reduce_axes(c, REDUCE_SUM, term_op1(c->arena, OP_SQ, x, span), &axes, span);
  return value_op(c, OP_SQRT, TYPE_REAL, &sum, 1, span);
}

static Value *dot(Checker *c, Value **args, Span span) {
  for (uint32_t i = 0; i < 2; i++)
    if (args[i]->rank != 1) {
      diag_error(c->diags, args[i]->span, "'dot' is of two vectors; found shape %s", value_shape_text(c, args[i]));
      return &c->poison;
    }
  if (!value_same_shape(c, args[0], args[1])) {
    diag_error(c->diags, span, "'dot' of vectors of different lengths, %s and %s", value_shape_text(c, args[0]),
               value_shape_text(c, args[1]));
    return &c->poison;
  }
  Value *product = elab_binary(c, BINARY_MUL, args[0], args[1], span);
  return is_poison(product) ? product : vector_reduce(c, REDUCE_SUM, product, span);
}

static Value *vector_function(Checker *c, const Expr *e, const char *name, Value **args) {
  uint32_t n = e->call.args.n;
  if (!numbers(c, name, args, n)) return &c->poison;
  if (!strcmp(name, "dot")) return n == 2 ? dot(c, args, e->span) : wrong_count(c, e, "2 vectors");
  if (n != 1) return wrong_count(c, e, "1 vector");
  if (!strcmp(name, "norm")) return norm(c, args[0], e->span);
  return vector_reduce(c, (ReduceKind)word_in(name, REDUCTIONS, REDUCTION_COUNT), args[0], e->span);
}

/* max(v) reduces, max(a, b) compares. */
static Value *builtin(Checker *c, const Expr *e, const char *name) {
  Value **args = NEW_ARRAY(c->arena, Value *, e->call.args.n + 1);
  if (!no_named(c, e) || !elab_args(c, e, args)) return &c->poison;
  int f = function_number(name);
  bool both = f >= 0 && word_in(name, VECTOR_FUNCTIONS, VECTOR_COUNT) >= 0;
  if (f < 0 || (both && e->call.args.n == 1)) return vector_function(c, e, name, args);
  if (both && e->call.args.n != 2) return wrong_count(c, e, "1 vector or 2 numbers");
  return scalar_function(c, e, FUNCTIONS[f].op, args);
}

/* ---- def ---------------------------------------------------------------------------------------- */

static Value *body_of(Checker *c, DefEntity *d, Value **args) {
  Scope *here = c->scope;
  c->scope = d->home;
  scope_push(c);
  for (uint32_t i = 0; i < d->def->params.n; i++) {
    Entity *p = NEW(c->arena, Entity);
    *p = (Entity){.kind = ENTITY_ABBREVIATION, .name = d->def->params.at[i].sym, .span = d->def->params.at[i].span,
                  .is_argument = true, .next = c->scope->entities};
    p->value = args[i];
    c->scope->entities = p;
  }
  d->active = d->called = true;
  c->def_depth++;
  Value *v = elab(c, d->def->body);
  c->def_depth--;
  d->active = false;
  c->scope = here;
  return v;
}

/* An error in a body is told once, with the call outside all bodies that first met it. */
static Value *called_body(Checker *c, const Expr *e, DefEntity *d, Value **args) {
  uint32_t errors = c->diags->errors, first = c->diags->list.n;
  Value *v = body_of(c, d, args);
  if (c->diags->errors == errors) return v;
  d->broken = true;
  for (uint32_t i = first; !c->def_depth && i < c->diags->list.n; i++)
    if (c->diags->list.at[i]->level == DIAG_ERROR && !c->exhausted)
      diag_note(c->diags, c->diags->list.at[i], e->span, "in this call of '%s'", name_text(c, d->def->name.sym));
  return &c->poison;
}

/* With poison for its parameters a body says only what is wrong with it whatever they are. */
void check_uncalled(Checker *c) {
  for (DefEntity *d = c->scope->defs; d; d = d->next) {
    if (d->called || d->active) continue;
    Value **args = NEW_ARRAY(c->arena, Value *, d->def->params.n + 1);
    for (uint32_t i = 0; i < d->def->params.n; i++) args[i] = &c->poison;
    c->statement = d->def->span;
    body_of(c, d, args);
  }
}

static Value *refuse_inline(Checker *c, const Expr *e, const DefEntity *d) {
  const char *name = name_text(c, d->def->name.sym);
  Diag *g = d->active ? diag_error(c->diags, e->call.callee.span,
                                   "function '%s' calls itself; functions are inlined and cannot", name)
                      : diag_error(c->diags, e->call.callee.span, "functions call each other more than %d deep",
                                   (int)DEF_MAX_DEPTH);
  diag_note(c->diags, g, d->def->name.span, "defined here");
  return &c->poison;
}

static Value *inline_def(Checker *c, const Expr *e, DefEntity *d) {
  d->called = true;
  if (d->broken || !no_named(c, e)) return &c->poison;
  if (d->active || c->def_depth >= DEF_MAX_DEPTH) return refuse_inline(c, e, d);
  uint32_t n = d->def->params.n;
  if (e->call.args.n != n) {
    Diag *g = diag_error(c->diags, e->span, "'%s' takes %u argument%s; %u given", name_text(c, d->def->name.sym), n,
                         n == 1 ? "" : "s", e->call.args.n);
    diag_note(c->diags, g, d->def->name.span, "defined here");
    return &c->poison;
  }
  Value **args = NEW_ARRAY(c->arena, Value *, n + 1);
  if (!elab_args(c, e, args)) return &c->poison;
  return called_body(c, e, d, args);
}

/* ---- calls -------------------------------------------------------------------------------------- */

static const struct { const char *word, *hint; } SLIPS[] = {
  {"range", "write 'j in lo..hi', for example sum(j in 0..N)"},
  {"pow", "write x ^ y"},
  {"ln", "the natural logarithm is log(x)"},
  {"fabs", "write abs(x)"},
  {"mean", "write sum(j in N) x[j] / N with brackets around the sum, or E[...] for an expectation"},
  {"argmax", "the most probable value of an edge is mode(phi)"},
  {"expectation", "write E[...]"},
  {"Expectation", "write E[...]"},
  {"Prob", "write P[...]"},
  {"prob", "write P[...]"},
  {"real", "integers turn into reals where that is needed"},
  {"float", "integers turn into reals where that is needed"},
  {"int", "write floor(x) or round(x)"},
  {"len", "sizes have names: use the one in the declaration"},
  {"matmul", "write dot(a, b) of two vectors, or sum(d in D) a[d] * b[d]"},
  {"iff", "write if ... then ... else ..."},
  {"where", "write if ... then ... else ..."},
};

static bool is_dist(const char *word) {
  for (int d = 0; d <= (int)DIST_DIRICHLET; d++)
    if (!strcmp(word, dist_name((Dist)d))) return true;
  return !strcmp(word, "categorical");
}

static const char *nearest_function(Checker *c, const char *word) {
  VEC(const char *) words = {0};
  for (int i = 0; i < FUNCTION_COUNT; i++) vec_push(c->arena, &words, FUNCTIONS[i].name);
  for (int i = 0; i < VECTOR_COUNT; i++) vec_push(c->arena, &words, VECTOR_FUNCTIONS[i]);
  static const char *const QUERIES[] = {"mode", "sample", "entropy", "count", "kl", "param"};
  for (int i = 0; i < 6; i++) vec_push(c->arena, &words, QUERIES[i]);
  for (const Scope *s = c->scope; s; s = s->outer)
    for (const DefEntity *d = s->defs; d; d = d->next) vec_push(c->arena, &words, name_text(c, d->def->name.sym));
  return nearest_word(word, words.at, words.n);
}

static Value *unknown_function(Checker *c, Name name) {
  const char *word = name_text(c, name.sym);
  Entity *e = lookup_quietly(c, name.sym);
  Diag *d;
  if (is_dist(word)) {
    d = diag_error(c->diags, name.span, "'%s' is a distribution; it stands behind '~' in 'prior' or 'observe'", word);
  } else if (e) {
    d = diag_error(c->diags, name.span, "'%s' is %s, not a function", word, entity_words(e));
    diag_note(c->diags, d, e->span, "declared here");
    diag_hint(c->diags, d, "indices stand in square brackets: %s[...]", word);
  } else {
    d = diag_error(c->diags, name.span, "unknown function '%s'", word);
    for (size_t i = 0; i < sizeof SLIPS / sizeof *SLIPS; i++)
      if (!strcmp(SLIPS[i].word, word)) {
        diag_hint(c->diags, d, "%s", SLIPS[i].hint);
        return &c->poison;
      }
    const char *near = nearest_function(c, word);
    if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
  }
  return &c->poison;
}

Value *elab_call(Checker *c, const Expr *e) {
  const char *name = name_text(c, e->call.callee.sym);
  DefEntity *d = lookup_def(c, e->call.callee.sym);
  if (d) return inline_def(c, e, d);
  if (is_builtin(name)) return builtin(c, e, name);
  if (is_query_word(name)) return elab_query_call(c, e);
  return unknown_function(c, e->call.callee);
}

/* ---- reductions over ranges ------------------------------------------------------------------------ */

static Value *wrap_reduce(Checker *c, ReduceKind kind, Index *i, Value *body, Span span) {
  if (!body->rank) return value_term(c, term_reduce(c->arena, kind, i, body->term, span));
  Value *v = value_of_kind(c, VALUE_REDUCE, body->type, body, span);
  v->reduce = kind;
  v->index = i;
  vec_push(c->arena, &v->args, body);
  return v;
}

static Value *reduce_body(Checker *c, const Expr *e, ReduceKind kind, const IndexVec *over) {
  Value *body = elab_number(c, e->reduce.body, arena_printf(c->arena, "what '%s' reduces", REDUCTIONS[kind]));
  if (over->n < e->reduce.binders.n) return &c->poison;
  for (uint32_t i = over->n; i-- > 0 && !is_poison(body);) body = wrap_reduce(c, kind, over->at[i], body, e->span);
  return body;
}

Value *elab_reduce(Checker *c, const Expr *e) {
  const char *word = name_text(c, e->reduce.op.sym);
  int kind = word_in(word, REDUCTIONS, REDUCTION_COUNT);
  if (kind < 0) {
    const char *near = nearest_word(word, REDUCTIONS, REDUCTION_COUNT);
    Diag *d = diag_error(c->diags, e->reduce.op.span, "'%s' is no reduction; expected sum, prod, max or min", word);
    if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
    return &c->poison;
  }
  if (e->reduce.binders.n > REDUCE_MAX_INDICES) {
    diag_error(c->diags, e->reduce.op.span, "a reduction over %u indices; at most %d", e->reduce.binders.n,
               (int)REDUCE_MAX_INDICES);
    return &c->poison;
  }
  scope_push(c);
  IndexVec over = {0};
  for (uint32_t i = 0; i < e->reduce.binders.n; i++) {
    Index *x = bind_index(c, &e->reduce.binders.at[i], INDEX_REDUCE, "the range of a reduction");
    if (x) vec_push(c->arena, &over, x);
  }
  Value *v = reduce_body(c, e, (ReduceKind)kind, &over);
  for (Entity *x = c->scope->entities; x; x = x->next) vec_push(c->arena, &c->closed, x);
  scope_pop(c);
  return v;
}
