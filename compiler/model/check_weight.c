/* check_weight: potential, require, observe, and what distributions want of their parameters. */
#include "model/checker.h"

#include <math.h>

static const char DISTS[] = {
#define DIST(ID, name, n, on) #on[0],
#include "model/dist.def"
#undef DIST
};

/* What each parameter must be: '+' positive, 'p' in [0, 1], 'n' >= 0, 'c' a count, '.' anything. */
static const char *const RANGES[] = {
    [DIST_UNIFORM] = "",      [DIST_WEIGHTS] = "n",         [DIST_LOGITS] = ".",    [DIST_STICK_BREAKING] = "p",
    [DIST_BERNOULLI] = "p",   [DIST_BERNOULLI_LOGIT] = ".", [DIST_GEOMETRIC] = "p", [DIST_BETA_GEOMETRIC] = "++",
    [DIST_POISSON] = "n",     [DIST_BINOMIAL] = "cp",       [DIST_NORMAL] = ".+",   [DIST_LAPLACE] = ".+",
    [DIST_STUDENT_T] = "+.+", [DIST_EXPONENTIAL] = "+",     [DIST_GAMMA] = "++",    [DIST_BETA] = "++",
    [DIST_DIRICHLET] = "+",
};

char dist_place(Dist d) { return DISTS[d]; }

static bool find_word(const char *word, Dist *d) {
  for (int i = 0; i <= (int)DIST_DIRICHLET; i++)
    if (!strcmp(word, dist_name((Dist)i))) return *d = (Dist)i, true;
  return false;
}

bool find_dist(Checker *c, const Stmt *s, Dist *d) {
  const char *word = name_text(c, s->draw.dist.sym);
  if (find_word(word, d)) return true;
  Diag *g = diag_error(c->diags, s->draw.dist.span, "unknown distribution '%s'", word);
  const char *words[DIST_DIRICHLET + 2];
  for (int i = 0; i <= (int)DIST_DIRICHLET; i++) words[i] = dist_name((Dist)i);
  words[DIST_DIRICHLET + 1] = "categorical";
  const char *near = nearest_word(word, words, DIST_DIRICHLET + 2);
  if (!strcmp(word, "gaussian")) near = "normal";
  if (near) diag_hint(c->diags, g, "did you mean '%s'?", near);
  return false;
}

Weight *new_weight(Checker *c, WeightKind kind, const Stmt *s) {
  Weight *w = NEW(c->arena, Weight);
  *w = (Weight){.kind = kind, .span = s->span};
  for (uint32_t i = 0; i < c->plates.n; i++) vec_push(c->arena, &w->plates, c->plates.at[i]);
  return w;
}

static void add(Checker *c, Weight *w) {
  w->id = c->model->weights.n;
  vec_push(c->arena, &c->model->weights, w);
}

/* ---- parameters --------------------------------------------------------------------------------- */

static bool literal(const Term *t, double *v) {
  if (t->kind == TERM_INT) return *v = (double)t->integer, true;
  if (t->kind == TERM_REAL) return *v = t->real, true;
  return false;
}

/* NULL: `v` is what `need` wants; else words for that. */
static const char *unmet(char need, double v) {
  switch (need) {
  case '+': return v > 0 && v < INFINITY ? NULL : v > 0 ? "finite" : "positive";
  case 'p': return v >= 0 && v <= 1 ? NULL : "in [0, 1]";
  case 'n': return v >= 0 ? NULL : "at least 0";
  case 'c': return v >= 0 && floor(v) == v && v < INFINITY ? NULL : "a whole number of at least 0";
  default: return NULL;
  }
}

static bool in_range(Checker *c, Dist d, uint32_t k, const Term *t) {
  double v;
  const char *want = literal(t, &v) ? unmet(RANGES[d][k], v) : NULL;
  if (want) diag_error(c->diags, t->span, "parameter %u of '%s' must be %s; found %g", k + 1, dist_name(d), want, v);
  return !want;
}

static bool right_count(Checker *c, const Stmt *s, const char *name, int expected) {
  for (uint32_t i = 0; i < s->draw.args.n; i++)
    if (s->draw.args.at[i].name.sym) {
      diag_error(c->diags, s->draw.args.at[i].name.span, "a distribution takes its parameters by place, not by name");
      return false;
    }
  if ((int)s->draw.args.n == expected) return true;
  diag_error(c->diags, s->draw.dist.span, "'%s' takes %d parameter%s; %u given", name, expected,
             expected == 1 ? "" : "s", s->draw.args.n);
  return false;
}

/* A vector parameter runs along the components of the left side, `dirichlet`'s along the last axis. */
static bool fits(Checker *c, Dist d, uint32_t k, const Value *p, const Value *left) {
  if (!p->rank) return true;
  Value last = *left;
  if (d == DIST_DIRICHLET && p->rank == 1 && left->rank > 1) {
    last.rank = 1;
    last.dims = left->dims + left->rank - 1;
  }
  if (value_same_shape(c, p, &last)) return true;
  Diag *g = diag_error(c->diags, p->span,
                       "parameter %u of '%s' has shape %s, the left side %s; expected equal shapes or a scalar", k + 1,
                       dist_name(d), value_shape_text(c, p), value_shape_text(c, left));
  if (dist_place(d) == 'e') diag_hint(c->diags, g, "a vector over the domain is given by categorical(p)");
  return false;
}

static Term *param(Checker *c, const Stmt *s, Dist d, uint32_t k, const Value *left, const IndexVec *axes) {
  const Expr *e = s->draw.args.at[k].value;
  Value *v = elab_number(c, e, arena_printf(c->arena, "parameter %u of '%s'", k + 1, dist_name(d)));
  if (is_poison(v) || !fits(c, d, k, v, left)) return NULL;
  Term *t = value_over(c, value_to_real(c, v), axes);
  bool good = mention_allowed(c, t, PLACE_WEIGHT, e->span) && in_range(c, d, k, t);
  return good ? t : NULL;
}

/* Fills w->params and w->axes; the axes are those of the left side. */
bool dist_params(Checker *c, const Stmt *s, Dist d, const Value *left, Weight *w, Span span) {
  w->dist = d;
  if (!right_count(c, s, dist_name(d), dist_arity(d))) return false;
  if (d == DIST_DIRICHLET && !left->rank) {
    diag_error(c->diags, span, "'dirichlet' is of a vector; found a scalar on the left");
    return false;
  }
  axes_make(c, left->dims, left->rank, &w->axes);
  bool good = true;
  for (uint32_t k = 0; k < s->draw.args.n; k++) {
    Term *t = param(c, s, d, k, left, &w->axes);
    good &= t != NULL;
    if (t) vec_push(c->arena, &w->params, t);
  }
  axes_drop(c, left->rank);
  return good;
}

/* ---- statements --------------------------------------------------------------------------------- */

void check_potential(Checker *c, const Stmt *s) {
  Value *v = elab(c, s->weight);
  if (is_poison(v)) return;
  if (v->type == TYPE_BOOL) {
    Diag *d = diag_error(c->diags, s->weight->span, "a potential is a number; found a condition (bool)");
    diag_hint(c->diags, d, "write 'require ...', or 'if ... then 1 else 0'");
    return;
  }
  Term *t = scalar_of(c, v, TYPE_REAL, "a potential");
  double x;
  if (!t || !mention_allowed(c, t, PLACE_WEIGHT, s->weight->span)) return;
  if (literal(t, &x) && !(x >= 0 && x < INFINITY)) {
    diag_error(c->diags, s->weight->span, "a weight must be finite and at least 0; found %g", x);
    return;
  }
  Weight *w = new_weight(c, WEIGHT_POTENTIAL, s);
  w->value = t;
  add(c, w);
}

void check_require(Checker *c, const Stmt *s) {
  Term *t = scalar_bool(c, s->weight, "the condition of 'require'");
  if (!t || !mention_allowed(c, t, PLACE_WEIGHT, s->weight->span)) return;
  Weight *w = new_weight(c, WEIGHT_REQUIRE, s);
  w->value = t;
  add(c, w);
}

/* ---- observe ------------------------------------------------------------------------------------ */

static bool is_discrete(Dist d) { return d == DIST_BERNOULLI || d == DIST_POISSON; }

static bool can_observe(Checker *c, const Stmt *s, Dist d) {
  if (dist_place(d) == 'l' || dist_place(d) == 'b') return true;
  Diag *g = diag_error(c->diags, s->draw.dist.span, "'%s' is a distribution of edges; it cannot stand behind 'observe'",
                       dist_name(d));
  diag_hint(c->diags, g,
            "of data: normal, laplace, student_t, exponential, gamma, beta, dirichlet, bernoulli, poisson");
  return false;
}

/* What is observed is data, chosen perhaps by edges; an unknown is not observed. */
static bool is_data(Checker *c, const Stmt *s, const Term *t) {
  Span span = s->draw.left->span;
  if (t->kind == TERM_EDGE || !(t->mentions & (MENTIONS_INPUT | MENTIONS_LET))) {
    Diag *d = diag_error(c->diags, span, "'observe' is of data; found none on the left");
    if (t->mentions & MENTIONS_EDGE) diag_hint(c->diags, d, "an edge has a 'prior'; fix it by 'require phi == ...'");
    else if (t->mentions & MENTIONS_LATENT) diag_hint(c->diags, d, "a latent has a 'prior'");
    return false;
  }
  const Term *z = term_find(t, TERM_LATENT);
  if (!z) return true;
  Diag *d =
      diag_error(c->diags, span, "'observe' is of data; found latent '%s' on the left", name_text(c, z->latent->name));
  diag_hint(c->diags, d, "move it to the distribution's parameters");
  return false;
}

static Term *observed(Checker *c, const Stmt *s, Dist d, Value *left, const IndexVec *axes) {
  bool whole = is_discrete(d) && left->type == TYPE_INT;
  Term *t = value_over(c, whole ? left : value_to_real(c, left), axes);
  return is_data(c, s, t) && mention_allowed(c, t, PLACE_WEIGHT, s->draw.left->span) ? t : NULL;
}

void check_observe(Checker *c, const Stmt *s) {
  Dist d;
  Value *left = elab(c, s->draw.left);
  if (!strcmp(name_text(c, s->draw.dist.sym), "categorical")) {
    diag_error(c->diags, s->draw.dist.span,
               "'categorical' is a distribution of edges; it cannot stand behind 'observe'");
    return;
  }
  if (!find_dist(c, s, &d) || !can_observe(c, s, d) || is_poison(left)) return;
  if (is_none(left)) {
    diag_error(c->diags, left->span, "'observe' is of data; found none on the left");
    return;
  }
  Weight *w = new_weight(c, WEIGHT_OBSERVE, s);
  if (!dist_params(c, s, d, left, w, s->draw.left->span)) return;
  w->left = observed(c, s, d, left, &w->axes);
  if (w->left) add(c, w);
}
