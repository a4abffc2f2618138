/* collect: a log weight as a sum of monomials in the statistics of latents.
 *
 *   (sum_i m_i) (sum_j n_j) = sum_ij m_i n_j, bound indices of one factor renamed
 *   (sum_i m_i)^2 = sum_i m_i^2 + 2 sum_{i<j} m_i m_j
 *   m^p, 1 / m, sqrt m      of one monomial without sums: powers of its statistics
 *   log m = log coef + sum power log z         log(1 - z), log1p(-z)
 * A part without latents is a coefficient as it stands. */
#include <math.h>

#include "algebra/algebra.h"

typedef struct Collect {
  Model *m;
  Obstacle *why;
  const Latent *only;        /* all others are coefficients; NULL: none is, */
  const Obstacle *obstacles; /* but for those with one here; NULL: none */
  const Term *part;          /* that `why` is about */
} Collect;

static bool fail_at(Collect *c, const Term *t, const Term *part, const char *text) {
  if (!c->why->text) *c->why = (Obstacle){t->span, text}, c->part = part;
  return false;
}

static bool fail(Collect *c, const Term *t, const char *text) { return fail_at(c, t, t, text); }

static bool is_variable(const Collect *c, const Term *t) {
  if (!(t->mentions & MENTIONS_LATENT)) return false;
  if (t->kind == TERM_LATENT && t->moment == MOMENT_VALUE && (!c->only || t->latent == c->only) &&
      (!c->obstacles || !c->obstacles[t->latent->id].text))
    return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (is_variable(c, t->args.at[i])) return true;
  return false;
}

static Arena *arena_of(const Collect *c) { return c->m->arena; }

/* ---- monomials ------------------------------------------------------------------------------------------------ */

/* Replaces bound or free indices in all parts. */
static Monomial monomial_substitute(Model *m, const Monomial *x, const IndexMap *map, uint32_t n) {
  Monomial y = {.scale = x->scale};
  IndexMap *all = NEW_ARRAY(m->arena, IndexMap, n + x->sums.n);
  for (uint32_t i = 0; i < n; i++) all[i] = map[i];
  for (uint32_t i = 0; i < x->sums.n; i++) { /* a range that changes makes another index */
    Index *old = x->sums.at[i], *new = old;
    Range r = old->range;
    if (r.lo) r.lo = term_substitute(m, r.lo, all, n);
    if (r.hi) r.hi = term_substitute(m, r.hi, all, n);
    if (r.row) r.row = term_substitute(m, r.row, all, n);
    if (r.lo != old->range.lo || r.hi != old->range.hi || r.row != old->range.row) {
      new = NEW(m->arena, Index);
      *new = *old;
      new->id = m->index_count++;
      new->range = r;
      all[n++] = (IndexMap){old, term_index(m->arena, new, old->span)};
    }
    vec_push(m->arena, &y.sums, new);
  }
  if (x->cond) y.cond = term_substitute(m, x->cond, all, n);
  if (x->coef) y.coef = term_substitute(m, x->coef, all, n);
  for (uint32_t i = 0; i < x->stats.n; i++) {
    Stat s = x->stats.at[i];
    s.ref = term_substitute(m, s.ref, all, n);
    vec_push(m->arena, &y.stats, s);
  }
  return y;
}

Monomial monomial_renamed(Model *m, const Monomial *x) {
  Monomial y = *x;
  for (uint32_t i = 0; i < x->sums.n; i++) {
    Index *old = y.sums.at[i], *new = NEW(m->arena, Index);
    *new = *old;
    new->id = m->index_count++;
    IndexMap map = {old, term_index(m->arena, new, old->span)};
    Monomial z = monomial_substitute(m, &y, &map, 1);
    z.sums.at[i] = new;
    y = z;
  }
  return y;
}

static Monomial constant(Term *coef) {
  if (coef->kind == TERM_REAL) return (Monomial){.scale = coef->real};
  if (coef->kind == TERM_OP && coef->op == OP_NEG) {
    Monomial m = constant(coef->args.at[0]);
    m.scale = -m.scale;
    return m;
  }
  return (Monomial){.scale = 1, .coef = coef};
}

/* Multiplies by a statistic: powers of one component add up. */
static void multiply_stat(Arena *a, Monomial *x, Stat s) {
  for (uint32_t i = 0; i < x->stats.n; i++) {
    Stat *old = &x->stats.at[i];
    if (old->kind != STAT_POWER || s.kind != STAT_POWER || !term_equal(old->ref, s.ref)) continue;
    old->power += s.power;
    if (old->power == 0) *old = x->stats.at[--x->stats.n];
    return;
  }
  vec_push(a, &x->stats, s);
}

static Monomial product(Collect *c, const Monomial *x, const Monomial *y) {
  Arena *a = arena_of(c);
  Monomial r = {.scale = x->scale * y->scale}, other = x->sums.n && y->sums.n ? monomial_renamed(c->m, y) : *y;
  for (uint32_t i = 0; i < x->sums.n; i++) vec_push(a, &r.sums, x->sums.at[i]);
  for (uint32_t i = 0; i < other.sums.n; i++) vec_push(a, &r.sums, other.sums.at[i]);
  r.cond = make_and(a, x->cond, other.cond);
  r.coef = make_product(a, x->coef, other.coef);
  for (uint32_t i = 0; i < x->stats.n; i++) multiply_stat(a, &r, x->stats.at[i]);
  for (uint32_t i = 0; i < other.stats.n; i++) multiply_stat(a, &r, other.stats.at[i]);
  return r;
}

/* ---- sums of monomials ------------------------------------------------------------------------------------------ */

static bool collect_all(Collect *c, Term *t, Monomials *p);

static bool same_stats(const Monomial *x, const Monomial *y) {
  if (x->stats.n != y->stats.n || x->sums.n || y->sums.n || x->cond != y->cond) return false;
  for (uint32_t i = 0; i < x->stats.n; i++) {
    const Stat *s = &x->stats.at[i], *t = &y->stats.at[i];
    if (s->kind != t->kind || s->power != t->power || !term_equal(s->ref, t->ref)) return false;
  }
  return !x->coef == !y->coef && (!x->coef || term_equal(x->coef, y->coef));
}

static bool add(Collect *c, const Term *t, Monomials *p, Monomial m) {
  if (p->n >= POLY_MAX) return fail(c, t, "it has too many terms");
  for (uint32_t i = 0; i < p->n; i++)
    if (same_stats(&p->at[i], &m)) {
      p->at[i].scale += m.scale;
      return true;
    }
  vec_push(arena_of(c), p, m);
  return true;
}

static bool add_scaled(Collect *c, const Term *t, Monomials *p, const Monomials *q, double scale) {
  for (uint32_t i = 0; i < q->n; i++) {
    Monomial m = q->at[i];
    m.scale *= scale;
    if (!add(c, t, p, m)) return false;
  }
  return true;
}

static bool multiply(Collect *c, const Term *t, Monomials *p, const Monomials *x, const Monomials *y) {
  for (uint32_t i = 0; i < x->n; i++)
    for (uint32_t j = 0; j < y->n; j++)
      if (!add(c, t, p, product(c, &x->at[i], &y->at[j]))) return false;
  return true;
}

static bool square(Collect *c, const Term *t, Monomials *p, const Monomials *x) {
  for (uint32_t i = 0; i < x->n; i++)
    for (uint32_t j = i; j < x->n; j++) {
      Monomial m = product(c, &x->at[i], &x->at[j]);
      if (j > i) m.scale *= 2;
      if (!add(c, t, p, m)) return false;
    }
  return true;
}

/* ---- powers of one monomial ----------------------------------------------------------------------------------- */

static bool is_nonnegative(const Latent *z) {
  for (uint32_t i = 0; i < z->priors.n; i++) {
    Dist d = z->priors.at[i]->dist;
    if (d == DIST_BETA || d == DIST_GAMMA || d == DIST_EXPONENTIAL || d == DIST_DIRICHLET) return true;
  }
  return false;
}

/* Does c z^m .. to the power p, or its logarithm, go by factors?  Where some may be negative a broken power of the
 * whole may be a number (the root of z^2 is |z|), so it goes only where all others are known not to be, and that is z.
 */
static bool goes_by_factors(const Monomial *m) {
  bool all = !m->coef || m->coef->nonnegative;
  uint32_t negative = 0;
  for (uint32_t i = 0; i < m->stats.n; i++)
    if (!is_nonnegative(m->stats.at[i].ref->latent)) negative++, all &= m->stats.at[i].power == 1;
  return negative == 0 || (negative == 1 && all);
}

/* x^power where x is one product of powers. */
static bool power_of(Collect *c, const Term *t, const Monomials *x, double power, Monomials *p) {
  const Monomial *m = &x->at[0];
  bool plain = x->n == 1 && !m->sums.n && !m->cond;
  for (uint32_t i = 0; plain && i < m->stats.n; i++) plain = m->stats.at[i].kind == STAT_POWER;
  if (plain && power != floor(power)) plain = m->scale > 0 && goes_by_factors(m);
  if (!plain)
    return fail_at(c, t, t->args.at[power == -1 ? t->args.n - 1 : 0],
                   "this function of a latent is not a sum of products of it");
  Monomial r = {.scale = pow(m->scale, power), .coef = m->coef ? make_power(arena_of(c), m->coef, power) : NULL};
  for (uint32_t i = 0; i < m->stats.n; i++)
    multiply_stat(arena_of(c), &r, (Stat){STAT_POWER, m->stats.at[i].ref, m->stats.at[i].power * power});
  return add(c, t, p, r);
}

static bool collect_power(Collect *c, Term *t, Monomials *p) {
  const Term *e = t->args.at[1];
  double power = e->kind == TERM_INT ? (double)e->integer : e->kind == TERM_REAL ? e->real : NAN;
  Monomials x = {0};
  if (!(power == power)) return fail(c, t, "a power of a latent whose exponent is no number");
  if (!collect_all(c, t->args.at[0], &x)) return false;
  if (power == 2) return square(c, t, p, &x);
  if (x.n == 1 || power < 0 || power != floor(power) || power > 8) return power_of(c, t, &x, power, p);
  Monomials y = {0};
  add(c, t, &y, (Monomial){.scale = 1});
  for (int i = 0; i < (int)power; i++) {
    Monomials next = {0};
    if (!multiply(c, t, &next, &y, &x)) return false;
    y = next;
  }
  return add_scaled(c, t, p, &y, 1);
}

static bool collect_quotient(Collect *c, Term *t, Monomials *p) {
  Arena *a = arena_of(c);
  Monomials x = {0}, y = {0}, inverse = {0};
  if (!collect_all(c, t->args.at[0], &x)) return false;
  if (!is_variable(c, t->args.at[1])) {
    for (uint32_t i = 0; i < x.n; i++) {
      Monomial m = x.at[i];
      if (t->args.at[1]->kind == TERM_REAL)
        m.scale /= t->args.at[1]->real;
      else
        m.coef = make_quotient(a, m.coef, t->args.at[1]);
      if (!add(c, t, p, m)) return false;
    }
    return true;
  }
  return collect_all(c, t->args.at[1], &y) && power_of(c, t, &y, -1, &inverse) && multiply(c, t, p, &x, &inverse);
}

/* ---- logarithms ------------------------------------------------------------------------------------------------- */

/* z, if the monomial is scale * z. */
static Term *lone(const Monomial *m, double scale) {
  bool is = m->scale == scale && !m->coef && !m->cond && !m->sums.n && m->stats.n == 1 &&
            m->stats.at[0].kind == STAT_POWER && m->stats.at[0].power == 1;
  return is ? m->stats.at[0].ref : NULL;
}

static bool is_one(const Monomial *m) { return m->scale == 1 && !m->coef && !m->cond && !m->sums.n && !m->stats.n; }

static bool add_log1m(Collect *c, const Term *t, Monomials *p, Term *ref) {
  Monomial r = {.scale = 1};
  vec_push(arena_of(c), &r.stats, ((Stat){STAT_LOG1M, ref, 1}));
  return add(c, t, p, r);
}

static bool log_of(Collect *c, Term *t, const Monomials *x, Monomials *p) {
  Arena *a = arena_of(c);
  if (x->n == 2) {
    Term *z = is_one(&x->at[0]) ? lone(&x->at[1], -1) : is_one(&x->at[1]) ? lone(&x->at[0], -1) : NULL;
    if (z) return add_log1m(c, t, p, z);
  }
  const Monomial *m = &x->at[0];
  if (x->n != 1 || m->sums.n || m->cond) return fail(c, t, "the logarithm of a sum");
  if (!goes_by_factors(m)) return fail(c, t, "the logarithm of a product whose factors may be negative");
  double scale = 1;
  Term *coef = m->coef;
  if (m->scale > 0)
    scale = m->scale;
  else
    coef = make_scaled(a, m->scale, coef);
  if (scale != 1 && !add(c, t, p, (Monomial){.scale = log(scale)})) return false;
  if (coef && !add(c, t, p, (Monomial){.scale = 1, .coef = term_op1(a, OP_LOG, coef, t->span)})) return false;
  for (uint32_t i = 0; i < m->stats.n; i++) {
    const Stat *s = &m->stats.at[i];
    if (s->kind != STAT_POWER) return fail(c, t, "the logarithm of a logarithm");
    Monomial r = {.scale = s->power};
    vec_push(a, &r.stats, ((Stat){STAT_LOG, s->ref, 1}));
    if (!add(c, t, p, r)) return false;
  }
  return true;
}

/* The logarithm of a product where one factor is known not to be negative: then the other is not where there is one. */
static bool collect_log_of_product(Collect *c, const Term *t, Monomials *p) {
  Arena *a = arena_of(c);
  const Term *u = t->args.at[0];
  Monomials y = {0};
  return collect_all(c, term_op1(a, OP_LOG, u->args.at[0], t->span), p) &&
         collect_all(c, term_op1(a, OP_LOG, u->args.at[1], t->span), &y) &&
         add_scaled(c, t, p, &y, u->op == OP_MUL ? 1 : -1);
}

static bool collect_log(Collect *c, Term *t, Monomials *p) {
  Term *u = t->args.at[0];
  if (u->kind == TERM_OP && u->op == OP_EXP) return collect_all(c, u->args.at[0], p);
  if (u->kind == TERM_OP && (u->op == OP_MUL || u->op == OP_DIV) &&
      (u->args.at[0]->nonnegative || u->args.at[1]->nonnegative))
    return collect_log_of_product(c, t, p);
  Monomials x = {0};
  return collect_all(c, u, &x) && log_of(c, t, &x, p);
}

static bool collect_log1p(Collect *c, Term *t, Monomials *p) {
  Monomials x = {0};
  if (!collect_all(c, t->args.at[0], &x)) return false;
  Term *z = x.n == 1 ? lone(&x.at[0], -1) : NULL;
  return z ? add_log1m(c, t, p, z) : fail(c, t, "the logarithm of a sum");
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

static bool collect_op(Collect *c, Term *t, Monomials *p) {
  Monomials x = {0}, y = {0};
  switch ((int)t->op) {
  case OP_ADD: return collect_all(c, t->args.at[0], p) && collect_all(c, t->args.at[1], p);
  case OP_SUB:
    return collect_all(c, t->args.at[0], p) && collect_all(c, t->args.at[1], &y) && add_scaled(c, t, p, &y, -1);
  case OP_NEG: return collect_all(c, t->args.at[0], &x) && add_scaled(c, t, p, &x, -1);
  case OP_MUL:
    if (!collect_all(c, t->args.at[0], &x)) return false;
    if (term_equal(t->args.at[0], t->args.at[1])) return square(c, t, p, &x);
    return collect_all(c, t->args.at[1], &y) && multiply(c, t, p, &x, &y);
  case OP_SQ: return collect_all(c, t->args.at[0], &x) && square(c, t, p, &x);
  case OP_DIV: return collect_quotient(c, t, p);
  case OP_POW: return collect_power(c, t, p);
  case OP_SQRT: return collect_all(c, t->args.at[0], &x) && power_of(c, t, &x, 0.5, p);
  case OP_LOG: return collect_log(c, t, p);
  case OP_LOG1P: return collect_log1p(c, t, p);
  }
  return fail(c, t, arena_printf(arena_of(c), "'%s' of a latent", op_name(t->op)));
}

static bool collect_where(Collect *c, Term *t, Term *cond, Monomials *p) {
  Monomials x = {0};
  if (!collect_all(c, t, &x)) return false;
  for (uint32_t i = 0; i < x.n; i++) {
    Monomial m = x.at[i];
    m.cond = make_and(arena_of(c), cond, m.cond);
    if (!add(c, t, p, m)) return false;
  }
  return true;
}

static bool collect_if(Collect *c, Term *t, Monomials *p) {
  Term *cond = t->args.at[0], *no = term_op1(arena_of(c), OP_NOT, cond, cond->span);
  if (is_variable(c, cond)) return fail(c, cond, "a condition on a latent");
  return collect_where(c, t->args.at[1], cond, p) && collect_where(c, t->args.at[2], no, p);
}

static bool collect_reduce(Collect *c, Term *t, Monomials *p) {
  const Range *r = &t->index->range;
  if (t->reduce != REDUCE_SUM) return fail(c, t, "a product, minimum or maximum of latents");
  if ((r->lo && is_variable(c, r->lo)) || (r->hi && is_variable(c, r->hi)) || (r->row && is_variable(c, r->row)))
    return fail(c, t, "a range that depends on a latent");
  Monomials x = {0};
  Index *index;
  if (!collect_all(c, open_reduce(c->m, t, &index), &x)) return false;
  for (uint32_t i = 0; i < x.n; i++) {
    Monomial m = x.at[i];
    IndexVec sums = {0};
    vec_push(arena_of(c), &sums, index);
    for (uint32_t k = 0; k < m.sums.n; k++) vec_push(arena_of(c), &sums, m.sums.at[k]);
    m.sums = sums;
    if (!add(c, t, p, m)) return false;
  }
  return true;
}

static bool collect_all(Collect *c, Term *t, Monomials *p) {
  if (!is_variable(c, t)) return add(c, t, p, constant(t));
  switch (t->kind) {
  case TERM_LATENT: {
    Monomial m = {.scale = 1};
    for (uint32_t i = 0; i < t->args.n; i++)
      if (is_variable(c, t->args.at[i])) return fail(c, t, "an index that depends on a latent");
    vec_push(arena_of(c), &m.stats, ((Stat){STAT_POWER, t, 1}));
    return add(c, t, p, m);
  }
  case TERM_OP: return collect_op(c, t, p);
  case TERM_IF: return collect_if(c, t, p);
  case TERM_REDUCE: return collect_reduce(c, t, p);
  case TERM_INT:
  case TERM_REAL:
  case TERM_BOOL:
  case TERM_NONE:
  case TERM_SIZE:
  case TERM_INDEX:
  case TERM_INPUT:
  case TERM_LET:
  case TERM_EDGE:
  case TERM_QUERY: break;
  }
  return fail(c, t, "this use of a latent");
}

static bool collect(Collect *c, Term *t, Monomials *p) {
  Monomials all = {0};
  if (!collect_all(c, t, &all)) return false;
  *p = (Monomials){0};
  for (uint32_t i = 0; i < all.n; i++)
    if (all.at[i].stats.n && all.at[i].scale != 0) vec_push(c->m->arena, p, all.at[i]);
  return true;
}

bool collect_monomials_of(Model *m, Term *t, const Latent *only, Monomials *p, Obstacle *why) {
  return collect(&(Collect){m, why, only, NULL, NULL}, t, p);
}

/* Latents in t that have no obstacle yet get one. */
static bool set_aside(const Term *t, Obstacle why, Obstacle *obstacles) {
  bool some = false;
  if (t->kind == TERM_LATENT && t->moment == MOMENT_VALUE && !obstacles[t->latent->id].text)
    obstacles[t->latent->id] = why, some = true;
  for (uint32_t i = 0; i < t->args.n; i++) some |= set_aside(t->args.at[i], why, obstacles);
  return some;
}

bool collect_monomials_of_some(Model *m, Term *t, Monomials *p, Obstacle *obstacles) {
  for (;;) {
    Obstacle why = {0};
    Collect c = {m, &why, NULL, obstacles, NULL};
    if (collect(&c, t, p)) return true;
    *p = (Monomials){0};
    if (!c.part || !set_aside(c.part, why, obstacles)) return false;
  }
}

bool collect_monomials(Model *m, Term *t, Monomials *p, Obstacle *why) {
  return collect_monomials_of(m, t, NULL, p, why);
}
