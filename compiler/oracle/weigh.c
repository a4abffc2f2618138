/* weigh: the log weight of one statement at the values known so far.
 *
 * L[exp a] = a, products add, quotients subtract, powers multiply, `if` and `prod` go inside; a sum whose
 * parts are provably >= 0 is a log-sum-exp of theirs; sigmoid, softplus and elu + 1 are positive however small
 * their exp is; anything else is the log of its absolute value, with the sign kept apart.  A factor 0 removes the value
 * even where another factor is NaN. */
#include <math.h>

#include "base/ice.h"
#include "oracle/world.h"

typedef struct LogW { double log; int sign; } LogW; /* 0 is {-inf, 1} */

double oracle_add_log(double a, double b) { return a == -INFINITY || b == -INFINITY ? -INFINITY : a + b; }

double oracle_log_sum_exp(const double *x, uint64_t n) {
  double max = -INFINITY;
  for (uint64_t k = 0; k < n; k++) {
    if (isnan(x[k])) return NAN;
    if (x[k] > max) max = x[k];
  }
  if (isinf(max)) return max;
  long double sum = 0;
  for (uint64_t k = 0; k < n; k++) sum += expl((long double)x[k] - max);
  return (double)((long double)max + logl(sum));
}

/* ---- exponents ------------------------------------------------------------------------------------------ */

/* The value of an exponent, times sign: a term of -inf wins over NaN and +inf beside it, a factor that is a bit and 0
 * over what it multiplies: exp(a s) is exp(s) ^ a. */
static double exponent(World *w, const Term *t, int sign);

static bool is_of_bits(const Term *t) {
  if (t->kind == TERM_EDGE) return t->edge->domain == DOMAIN_BIT;
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_NEG: return is_of_bits(t->args.at[0]);
  case OP_MUL: return is_of_bits(t->args.at[0]) && is_of_bits(t->args.at[1]);
  case OP_SUB: return t->args.at[0]->kind == TERM_INT && t->args.at[0]->integer == 1 && is_of_bits(t->args.at[1]);
  }
  return false;
}

static bool has_zero_bit(World *w, const Term *t) {
  if (t->kind != TERM_OP) return false;
  const Term *first = t->args.at[0];
  if (t->op == OP_TO_REAL && is_of_bits(first)) return world_real(w, t) == 0;
  if (t->op == OP_NEG || t->op == OP_TO_REAL || t->op == OP_DIV) return has_zero_bit(w, first);
  return t->op == OP_MUL && (has_zero_bit(w, first) || has_zero_bit(w, t->args.at[1]));
}

static double exponent_sum(World *w, const Term *t, int sign) {
  Index *x = t->index;
  int64_t saved = w->index[x->id];
  Values v = world_range(w, &x->range);
  if (!v.n) world_note_none_over_nothing(w, t->args.at[0], x);
  double total = 0;
  for (int64_t k = 0; k < v.n && world_step(w, t->span); k++) {
    w->index[x->id] = value_at(&v, k);
    total = oracle_add_log(total, exponent(w, t->args.at[0], sign));
  }
  w->index[x->id] = saved;
  return total;
}

static double exponent(World *w, const Term *t, int sign) {
  if (t->type == TYPE_REAL && t->kind == TERM_OP) {
    if (t->op == OP_ADD) {
      double a = exponent(w, t->args.at[0], sign);
      return oracle_add_log(a, exponent(w, t->args.at[1], sign));
    }
    if (t->op == OP_SUB) {
      double a = exponent(w, t->args.at[0], sign);
      return oracle_add_log(a, exponent(w, t->args.at[1], -sign));
    }
    if (t->op == OP_NEG) return exponent(w, t->args.at[0], -sign);
  }
  if (t->type == TYPE_REAL && t->kind == TERM_IF)
    return exponent(w, t->args.at[world_bool(w, t->args.at[0]) ? 1 : 2], sign);
  if (t->type == TYPE_REAL && t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM) return exponent_sum(w, t, sign);
  double value = world_real(w, t);
  return has_zero_bit(w, t) ? 0 : sign * value;
}

/* ---- L ---------------------------------------------------------------------------------------------------- */

static LogW log_of(World *w, const Term *t);

static LogW log_value(double x) { return (LogW){x == 0 ? -INFINITY : log(fabs(x)), x < 0 ? -1 : 1}; }

static LogW times(LogW a, LogW b) { return (LogW){oracle_add_log(a.log, b.log), a.sign * b.sign}; }

static bool is_int_literal(const Term *t) {
  if (t->kind == TERM_OP && (t->op == OP_NEG || t->op == OP_TO_REAL)) return is_int_literal(t->args.at[0]);
  return t->kind == TERM_INT || (t->kind == TERM_REAL && floor(t->real) == t->real);
}

static LogW log_power(World *w, const Term *t) {
  double b = world_real(w, t->args.at[1]);
  LogW a = log_of(w, t->args.at[0]);
  if (b == 0) return (LogW){0, 1};
  if (a.sign > 0 || a.log == -INFINITY) return (LogW){b * a.log, 1};
  if (!is_int_literal(t->args.at[1])) return (LogW){NAN, 1};
  return (LogW){b * a.log, fmod(b, 2) != 0 ? -1 : 1};
}

/* Log of the sum of two non-negative parts. */
static LogW log_add(LogW a, LogW b) { return (LogW){oracle_log_sum_exp((double[]){a.log, b.log}, 2), 1}; }

static LogW log_reduce(World *w, const Term *t) {
  bool product = t->reduce == REDUCE_PROD;
  LogW total = {product ? 0 : -INFINITY, 1};
  Index *x = t->index;
  int64_t saved = w->index[x->id];
  Values v = world_range(w, &x->range);
  if (!v.n) world_note_none_over_nothing(w, t->args.at[0], x);
  for (int64_t k = 0; k < v.n && world_step(w, t->span); k++) {
    w->index[x->id] = value_at(&v, k);
    LogW part = log_of(w, t->args.at[0]);
    total = product ? times(total, part) : log_add(total, part);
  }
  w->index[x->id] = saved;
  return total;
}

static bool is_elu_plus_one(const Term *t) {
  const Term *elu = t->args.at[0], *one = t->args.at[1];
  return elu->kind == TERM_OP && elu->op == OP_ELU && one->kind == TERM_REAL && one->real == 1;
}

static double log_sigmoid(double x) { return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)); }

static LogW log_op(World *w, const Term *t) {
  switch ((int)t->op) {
  case OP_EXP: return (LogW){exponent(w, t->args.at[0], 1), 1};
  case OP_MUL: {
    LogW a = log_of(w, t->args.at[0]);
    return times(a, log_of(w, t->args.at[1]));
  }
  case OP_DIV: {
    LogW a = log_of(w, t->args.at[0]), b = log_of(w, t->args.at[1]);
    return times(a, (LogW){-b.log, b.sign});
  }
  case OP_POW: return log_power(w, t);
  case OP_SQ: {
    LogW a = log_of(w, t->args.at[0]);
    return times(a, a);
  }
  /* Of any argument a positive number, which underflows. */
  case OP_SIGMOID: return (LogW){log_sigmoid(world_real(w, t->args.at[0])), 1};
  case OP_SOFTPLUS: {
    double x = world_real(w, t->args.at[0]);
    return x < -40 ? (LogW){x, 1} : log_value(world_real(w, t));
  }
  case OP_ADD:
    if (is_elu_plus_one(t)) {
      double x = world_real(w, t->args.at[0]->args.at[0]);
      return (LogW){x < 0 ? x : log1p(x), 1};
    }
    if (t->args.at[0]->nonnegative && t->args.at[1]->nonnegative) {
      LogW a = log_of(w, t->args.at[0]);
      return log_add(a, log_of(w, t->args.at[1]));
    }
    break;
  default: break;
  }
  return log_value(world_real(w, t));
}

static LogW log_of(World *w, const Term *t) {
  if (t->type != TYPE_REAL) return log_value(world_real(w, t));
  if (t->kind == TERM_OP) return log_op(w, t);
  if (t->kind == TERM_IF) return log_of(w, t->args.at[world_bool(w, t->args.at[0]) ? 1 : 2]);
  if (t->kind == TERM_REDUCE) {
    if (t->reduce == REDUCE_PROD || (t->reduce == REDUCE_SUM && t->args.at[0]->nonnegative)) return log_reduce(w, t);
  }
  return log_value(world_real(w, t));
}

/* As a weight: negative and +inf spoil like NaN. */
static double as_weight(LogW l) {
  if (l.log == -INFINITY) return -INFINITY;
  return l.sign < 0 || l.log == INFINITY ? NAN : l.log;
}

/* ---- priors of edges ------------------------------------------------------------------------------------------ */

/* Unnormalised prior of the value that the copy has now; 1 where it cannot be told for a none edge. */
static double prior_part(World *w, const Weight *x) {
  bool used = w->used_none;
  w->used_none = false;
  double log_w = 0;
  if (x->dist == DIST_WEIGHTS) log_w = as_weight(log_of(w, x->params.at[0]));
  if (x->dist == DIST_LOGITS) log_w = as_weight((LogW){exponent(w, x->params.at[0], 1), 1});
  if (w->used_none) log_w = 0;
  w->used_none = used;
  return log_w;
}

/* Gives the copy its k-th candidate and the statement its indices again (they may be the edge's own). */
static bool try_value(World *w, const Factor *f, const Unit *u, const Support *s, int64_t k) {
  bool ok = support_set(w, u, s, k);
  world_bind(w, &f->weight->plates, f->at);
  return ok;
}

/* Of a piece of a stick and of the rest: those of a sigmoid never are 0. */
static void break_off(World *w, const Term *p, double *log_p, double *log_rest) {
  if (p->kind == TERM_OP && p->op == OP_SIGMOID) {
    double a = world_real(w, p->args.at[0]);
    *log_p = log_sigmoid(a);
    *log_rest = log_sigmoid(-a);
    return;
  }
  double v = world_real(w, p);
  if (!(v >= 0 && v <= 1)) v = NAN;
  *log_p = log(v);
  *log_rest = log1p(-v);
}

/* Sticks are broken from the last value to the first; what is left of them is the part of none. */
static void break_stick(World *w, const Factor *f, const Unit *u, const Support *s, double *parts) {
  double left = 0;
  for (int64_t k = s->range.n - 1; k >= 0; k--) {
    parts[k] = -INFINITY;
    if (!try_value(w, f, u, s, k)) continue;
    double log_p, log_rest;
    break_off(w, f->weight->params.at[0], &log_p, &log_rest);
    parts[k] = oracle_add_log(left, log_p);
    left = oracle_add_log(left, log_rest);
  }
  if (s->or_none) parts[s->range.n] = left;
}

static void prior_parts(World *w, const Factor *f, const Unit *u, const Support *s, double *parts) {
  for (int64_t k = 0; k < support_tries(s); k++)
    parts[k] = try_value(w, f, u, s, k) ? prior_part(w, f->weight) : -INFINITY;
}

/* log(part / sum of the parts).  A sum that is NaN, and the same whatever other copies are worth, cancels in every
 * posterior: it is left out here and spoils only what depends on it. */
static double normalise(World *w, const Factor *f, double part, double sum) {
  if (!isnan(sum) || f->n_scope > 1 || f->component == NO_COMPONENT) return oracle_add_log(part, -sum);
  w->components[f->component].lost_prior = true;
  return part;
}

static double normalised_prior(World *w, const Factor *f, const Unit *u, const Support *s) {
  int64_t now = w->value[u->first], n = support_tries(s);
  ArenaMark mark = arena_mark(w->scratch);
  double *parts = NEW_ARRAY(w->scratch, double, n);
  bool stick = f->weight->dist == DIST_STICK_BREAKING;
  if (stick) break_stick(w, f, u, s, parts);
  else prior_parts(w, f, u, s, parts);
  double log_w = -INFINITY;
  for (int64_t k = 0; k < n; k++)
    if ((k < s->range.n ? value_at(&s->range, k) : NONE_VALUE) == now) log_w = parts[k];
  if (!stick || !s->or_none) log_w = normalise(w, f, log_w, oracle_log_sum_exp(parts, (uint64_t)n));
  arena_release(w->scratch, mark);
  w->value[u->first] = now;
  return log_w;
}

static double density_of_left(World *w, const Weight *x) {
  double params[4] = {0};
  for (uint32_t k = 0; k < x->params.n && k < 4; k++) params[k] = world_real(w, x->params.at[k]);
  return oracle_log_density(x->dist, world_real(w, x->left), params);
}

static double prior_on_edge(World *w, const Factor *f) {
  const Weight *x = f->weight;
  int64_t at[MAX_RANK];
  for (uint32_t k = 0; k < x->edge_ref->args.n; k++) at[k] = world_int(w, x->edge_ref->args.at[k]);
  uint32_t id = registry_find(&w->copy_ids, x->edge->id, x->edge_ref->args.n, at);
  if (id == NOT_FOUND) {
    world_fault(w, x->edge_ref->span, "there is no such copy of '%s'", sym_text(w->model->names, x->edge->name));
    return NAN;
  }
  Unit *u = &w->units.at[w->copies.at[id].unit];
  Support s = unit_support(w, u);
  world_bind(w, &x->plates, f->at);
  if (s.forced_zero) return 0;
  bool normalised = x->dist == DIST_UNIFORM || x->dist == DIST_WEIGHTS || x->dist == DIST_LOGITS ||
                    x->dist == DIST_STICK_BREAKING;
  if (!normalised) return density_of_left(w, x);
  if (!s.copy) {
    world_refuse(w, x->span, "the oracle knows no normalised prior on a structured edge");
    return NAN;
  }
  return normalised_prior(w, f, u, &s);
}

/* ---- densities --------------------------------------------------------------------------------------------------- */

static double joint_density(World *w, const Weight *x) {
  Index *last = x->axes.at[x->axes.n - 1];
  Values v = world_range(w, &last->range);
  ArenaMark mark = arena_mark(w->scratch);
  double *value = NEW_ARRAY(w->scratch, double, v.n), *alpha = NEW_ARRAY(w->scratch, double, v.n);
  for (int64_t k = 0; k < v.n; k++) {
    w->index[last->id] = value_at(&v, k);
    value[k] = world_real(w, x->left);
    alpha[k] = world_real(w, x->params.at[0]);
  }
  double log_p = oracle_log_dirichlet(value, alpha, v.n);
  arena_release(w->scratch, mark);
  return log_p;
}

static double density(World *w, const Weight *x) {
  return x->dist == DIST_DIRICHLET ? joint_density(w, x) : density_of_left(w, x);
}

static double statement_log_w(World *w, const Factor *f) {
  const Weight *x = f->weight;
  switch (x->kind) {
  case WEIGHT_POTENTIAL: return as_weight(log_of(w, x->value));
  case WEIGHT_REQUIRE: return world_bool(w, x->value) ? 0 : -INFINITY;
  case WEIGHT_OBSERVE: return density(w, x);
  case WEIGHT_PRIOR: return x->edge ? prior_on_edge(w, f) : density(w, x);
  }
  ICE("unknown weight");
}

double factor_log_w(World *w, const Factor *f) {
  const Weight *x = f->weight;
  world_bind(w, &x->plates, f->at);
  for (uint32_t k = 0; k < x->axes.n && !(x->dist == DIST_DIRICHLET && k + 1 == x->axes.n); k++)
    w->index[x->axes.at[k]->id] = f->at[x->plates.n + k];
  w->used_none = false;
  double log_w = statement_log_w(w, f);
  if (w->used_none) log_w = 0;
  w->used_none = false;
  return log_w == INFINITY ? NAN : log_w;
}
