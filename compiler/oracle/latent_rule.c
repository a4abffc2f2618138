/* latent_rule: expectations under q by nodes and weights. */
#include <math.h>

#include "base/ice.h"
#include "oracle/latent.h"

/* ---- touching ----------------------------------------------------------------------------------------- */

void latent_touch(World *w, uint32_t place) {
  LatentState *q = w->q;
  if (!q || !q->random || q->touched[place]) return;
  const Block *b = &q->blocks.at[q->block_of[place]];
  if (b->family == FAMILY_POINT || b->pinned) return;
  q->touched[place] = true;
  vec_push(w->arena, &q->touch_list, place);
}

void latent_touch_begin(World *w) {
  LatentState *q = w->q;
  if (!q) return;
  for (uint32_t k = 0; k < q->touch_list.n; k++) q->touched[q->touch_list.at[k]] = false;
  q->touch_list.n = 0;
}

uint32_t latent_touched(const World *w) { return w->q ? w->q->touch_list.n : 0; }

Touched latent_touch_save(World *w) {
  Touched t = {latent_touched(w), NEW_ARRAY(w->scratch, uint32_t, latent_touched(w) + 1)};
  for (uint32_t k = 0; k < t.n; k++) t.places[k] = w->q->touch_list.at[k];
  latent_touch_begin(w);
  return t;
}

void latent_touch_restore(World *w, const Touched *t) {
  latent_touch_begin(w);
  for (uint32_t k = 0; k < t->n; k++) latent_touch(w, t->places[k]);
}

/* ---- moments -------------------------------------------------------------------------------------------- */

static double *params(const World *w, const Block *b) { return w->q->param + 2 * (size_t)b->first; }

static double alpha_sum(const World *w, const Block *b) {
  double sum = 0;
  for (uint32_t k = 0; k < b->n; k++) sum += params(w, b)[2 * k];
  return sum;
}

void latent_block_mean(World *w, const Block *b) {
  const double *p = params(w, b);
  switch (b->family) {
  case FAMILY_POINT: return;
  case FAMILY_NORMAL: w->z[b->first] = p[0]; return;
  case FAMILY_BETA: w->z[b->first] = p[0] / (p[0] + p[1]); return;
  case FAMILY_GAMMA: w->z[b->first] = p[0] / p[1]; return;
  case FAMILY_DIRICHLET:
    for (uint32_t k = 0; k < b->n; k++) w->z[b->first + k] = p[2 * k] / alpha_sum(w, b);
    return;
  }
}

static double dirichlet_entropy(const World *w, const Block *b) {
  const double *p = params(w, b);
  double sum = alpha_sum(w, b), h = (sum - b->n) * oracle_digamma(sum) - lgamma(sum);
  for (uint32_t k = 0; k < b->n; k++) h += lgamma(p[2 * k]) - (p[2 * k] - 1) * oracle_digamma(p[2 * k]);
  return h;
}

double latent_block_entropy(World *w, const Block *b) {
  const double *p = params(w, b);
  switch (b->family) {
  case FAMILY_POINT: return 0;
  case FAMILY_NORMAL: return 0.5 * (1 + log(2 * 3.14159265358979323846)) + log(p[1]);
  case FAMILY_BETA:
    return lgamma(p[0]) + lgamma(p[1]) - lgamma(p[0] + p[1]) - (p[0] - 1) * oracle_digamma(p[0]) -
           (p[1] - 1) * oracle_digamma(p[1]) + (p[0] + p[1] - 2) * oracle_digamma(p[0] + p[1]);
  case FAMILY_GAMMA: return p[0] - log(p[1]) + lgamma(p[0]) + (1 - p[0]) * oracle_digamma(p[0]);
  case FAMILY_DIRICHLET: return dirichlet_entropy(w, b);
  }
  ICE("unknown family");
}

/* ---- rules for log weights --------------------------------------------------------------------------------- */

/* Gaussian elimination with partial pivoting. */
bool latent_solve(double *a, double *b, uint32_t n) {
  for (uint32_t k = 0; k < n; k++) {
    uint32_t pivot = k;
    for (uint32_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    if (!(fabs(a[pivot * n + k]) > 1e-300)) return false;
    for (uint32_t j = 0; j < n; j++) {
      double swap = a[k * n + j];
      a[k * n + j] = a[pivot * n + j];
      a[pivot * n + j] = swap;
    }
    double swap = b[k];
    b[k] = b[pivot];
    b[pivot] = swap;
    for (uint32_t i = k + 1; i < n; i++) {
      double factor = a[i * n + k] / a[k * n + k];
      for (uint32_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (uint32_t k = n; k-- > 0;) {
    for (uint32_t j = k + 1; j < n; j++) b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
  return true;
}

static Rule new_rule(World *w, uint32_t n, uint32_t width) {
  return (Rule){n, NEW_ARRAY(w->scratch, double, n * width), NEW_ARRAY(w->scratch, double, n)};
}

/* Weights at three nodes that give the family's means of 1, f and g. */
static Rule three_nodes(World *w, const double *x, const double *f, const double *g, double mean_f, double mean_g) {
  Rule r = new_rule(w, 3, 1);
  double a[9];
  for (int k = 0; k < 3; k++) {
    r.nodes[k] = x[k];
    a[k] = 1;
    a[3 + k] = f[k];
    a[6 + k] = g[k];
  }
  r.weights[0] = 1;
  r.weights[1] = mean_f;
  r.weights[2] = mean_g;
  if (!latent_solve(a, r.weights, 3)) ICE("dependent functions");
  return r;
}

static Rule beta_rule(World *w, const double *p) {
  const double x[3] = {0.2, 0.5, 0.8};
  double f[3], g[3], both = oracle_digamma(p[0] + p[1]);
  for (int k = 0; k < 3; k++) f[k] = log(x[k]), g[k] = log1p(-x[k]);
  return three_nodes(w, x, f, g, oracle_digamma(p[0]) - both, oracle_digamma(p[1]) - both);
}

static Rule gamma_rule(World *w, const double *p) {
  double mean = p[0] / p[1], x[3] = {mean / 2, mean, mean * 2}, f[3];
  for (int k = 0; k < 3; k++) f[k] = log(x[k]);
  return three_nodes(w, x, f, x, oracle_digamma(p[0]) - log(p[1]), mean);
}

enum { HERMITE_MOST = 20, NODES_MOST = 16 };

static Rule normal_rule(World *w, const double *p) {
  Rule r = new_rule(w, 3, 1);
  const double step = sqrt(3) * p[1];
  for (int k = 0; k < 3; k++) {
    r.nodes[k] = p[0] + (k - 1) * step;
    r.weights[k] = k == 1 ? 2.0 / 3 : 1.0 / 6;
  }
  return r;
}

/* The n nodes of Gauss and Hermite, roots of the polynomial He_n by Newton's method from far outside inwards, each of
 * those found before divided out; exact up to the degree 2 n - 1. */
static Rule hermite_rule(World *w, const double *p, uint32_t n) {
  Rule r = new_rule(w, n, 1);
  double root[HERMITE_MOST], total = 0;
  for (uint32_t k = 0; k < n; k++) {
    double x = k == 0 ? sqrt(4.0 * n + 2) : root[k - 1] - 1e-3, move = 1, before = 1;
    for (int round = 0; round < 200 && fabs(move) > 1e-16 * (1 + fabs(x)); round++) {
      double he = x, deflated = 0;
      before = 1;
      for (uint32_t i = 1; i < n; i++) {
        double next = x * he - i * before;
        before = he, he = next;
      }
      for (uint32_t i = 0; i < k; i++) deflated += 1 / (x - root[i]);
      move = he / (n * before - he * deflated);
      x -= move;
    }
    root[k] = x;
    r.nodes[k] = p[0] + p[1] * x;
    total += r.weights[k] = 1 / (before * before);
  }
  for (uint32_t k = 0; k < n; k++) r.weights[k] /= total;
  return r;
}

/* Node 0 is the middle of the simplex, node k leans to corner k - 1. */
static Rule dirichlet_rule(World *w, const Block *b) {
  uint32_t n = b->n, m = n + 1;
  const double *p = params(w, b);
  if (n == 1) {
    Rule one = new_rule(w, 1, 1);
    one.nodes[0] = one.weights[0] = 1;
    return one;
  }
  Rule r = new_rule(w, m, n);
  double *a = NEW_ARRAY(w->scratch, double, m * m), sum = alpha_sum(w, b);
  for (uint32_t k = 0; k < m; k++) {
    a[k] = 1;
    for (uint32_t i = 0; i < n; i++) {
      r.nodes[k * n + i] = k == 0 ? 1.0 / n : (i + 1 == k ? 3.0 : 1.0) / (n + 2);
      a[(i + 1) * m + k] = log(r.nodes[k * n + i]);
    }
  }
  r.weights[0] = 1;
  for (uint32_t i = 0; i < n; i++) r.weights[i + 1] = oracle_digamma(p[2 * i]) - oracle_digamma(sum);
  if (!latent_solve(a, r.weights, m)) ICE("dependent functions");
  return r;
}

/* nodes: for a normal where rules are for any smooth function. */
static Rule log_weight_rule(World *w, const Block *b, uint32_t nodes) {
  if (b->family == FAMILY_NORMAL && w->q->fine) return hermite_rule(w, params(w, b), nodes);
  switch (b->family) {
  case FAMILY_POINT: break;
  case FAMILY_NORMAL: return normal_rule(w, params(w, b));
  case FAMILY_BETA: return beta_rule(w, params(w, b));
  case FAMILY_GAMMA: return gamma_rule(w, params(w, b));
  case FAMILY_DIRICHLET: return dirichlet_rule(w, b);
  }
  ICE("a point has no rule");
}

/* nodes: how many each block gets, if it is normal and rules are for any smooth function. */
typedef struct Touching { const Factor *f; const Term *t; uint32_t *blocks, *places, n; uint8_t *nodes; } Touching;

static void set_nodes(World *w, const Block *b, const double *node) {
  for (uint32_t k = 0; k < b->n; k++) w->z[b->first + k] = node[k];
}

static double integrate_factor(World *w, const Touching *t, uint32_t depth) {
  if (depth == t->n) return factor_log_w(w, t->f);
  const Block *b = &w->q->blocks.at[t->blocks[depth]];
  ArenaMark mark = arena_mark(w->scratch);
  Rule r = log_weight_rule(w, b, t->nodes[depth]);
  double total = 0;
  for (uint32_t k = 0; k < r.n; k++) {
    set_nodes(w, b, r.nodes + k * b->n);
    total += r.weights[k] * integrate_factor(w, t, depth + 1);
  }
  arena_release(w->scratch, mark);
  latent_block_mean(w, b);
  return total;
}

/* One block at a time about the means: exact for what is linear in the statistics of each block apart. */
static double integrate_apart(World *w, const Touching *t, double at_mean) {
  double total = at_mean;
  if (w->q->fine) w->q->lost = true;
  for (uint32_t k = 0; k < t->n; k++) {
    Touching one = {.f = t->f, .blocks = t->blocks + k, .n = 1, .nodes = &(uint8_t){NODES_MOST}};
    total += integrate_factor(w, &one, 0) - at_mean;
  }
  return total;
}

/* Each by another part of its sd, so that a difference of two is not what it was. */
static void shift_others(World *w, const Touching *t, uint32_t but, double by) {
  for (uint32_t k = 0; k < t->n; k++) {
    const Block *b = &w->q->blocks.at[t->blocks[k]];
    if (k != but && b->family == FAMILY_NORMAL) w->z[b->first] = params(w, b)[0] + by * (1 + 0.7 * k) * params(w, b)[1];
  }
}

/* The fewest nodes that leave the integral over one block what the most make of it, others not standing at their means.
 */
static uint8_t nodes_for(World *w, const Touching *t, uint32_t k) {
  static const uint8_t few[] = {3, 8, NODES_MOST};
  const Block *b = &w->q->blocks.at[t->blocks[k]];
  double x[sizeof few];
  uint32_t i = sizeof few - 1;
  shift_others(w, t, k, 0.7);
  for (uint32_t n = 0; n < sizeof few; n++) {
    Touching one = {.f = t->f, .blocks = t->blocks + k, .n = 1, .nodes = (uint8_t[]){few[n]}};
    x[n] = integrate_factor(w, &one, 0);
  }
  shift_others(w, t, k, 0);
  latent_block_mean(w, b);
  while (i > 0 && fabs(x[i - 1] - x[sizeof few - 1]) <= 1e-13 * (1 + fabs(x[sizeof few - 1]))) i--;
  return few[i];
}

enum { MAX_TENSOR = 5, TENSOR_NODES = 5000 };

/* false: there would be too many together. */
static bool choose_nodes(World *w, Touching *t) {
  double all = 1;
  t->nodes = NEW_ARRAY(w->scratch, uint8_t, t->n);
  for (uint32_t k = 0; k < t->n; k++) {
    bool any = w->q->fine && w->q->blocks.at[t->blocks[k]].family == FAMILY_NORMAL;
    t->nodes[k] = any && t->n > 1 ? nodes_for(w, t, k) : NODES_MOST;
    if (any) all *= t->nodes[k];
  }
  return all <= TENSOR_NODES;
}

double factor_expected_log_w(World *w, const Factor *f) {
  if (!w->q || !w->q->random || !w->q->weight_mentions[f->weight->id]) return factor_log_w(w, f);
  latent_touch_begin(w);
  double at_mean = factor_log_w(w, f);
  if (!latent_touched(w) || w->failed || isinf(at_mean)) return at_mean;
  ArenaMark mark = arena_mark(w->scratch);
  Touching t = {.f = f, .blocks = NEW_ARRAY(w->scratch, uint32_t, latent_touched(w))};
  for (uint32_t k = 0; k < latent_touched(w); k++) {
    uint32_t block = w->q->block_of[w->q->touch_list.at[k]], i = 0;
    while (i < t.n && t.blocks[i] != block) i++;
    if (i == t.n) t.blocks[t.n++] = block;
  }
  bool together = t.n <= MAX_TENSOR && choose_nodes(w, &t);
  double total = together ? integrate_factor(w, &t, 0) : integrate_apart(w, &t, at_mean);
  arena_release(w->scratch, mark);
  return total;
}

/* ---- rules for any smooth function -------------------------------------------------------------------------- */

/* Log density of t where the latent is t, log-, or logit-transformed to the whole line. */
static double line_density(Family family, const double *p, double t) {
  if (family == FAMILY_NORMAL) return -0.5 * t * t;
  if (family == FAMILY_GAMMA) return p[0] * t - p[1] * exp(t);
  return -p[0] * oracle_softplus(-t) - p[1] * oracle_softplus(t);
}

static double from_line(Family family, const double *p, double t) {
  if (family == FAMILY_NORMAL) return p[0] + p[1] * t;
  if (family == FAMILY_GAMMA) return exp(t);
  return t >= 0 ? 1 / (1 + exp(-t)) : exp(t) / (1 + exp(t));
}

/* The trapezoidal rule, which converges faster than any power for such densities. */
static Rule trapezoid(World *w, Family family, const double *p) {
  double peak = 0, step = 0.25;
  if (family == FAMILY_GAMMA) peak = log(p[0] / p[1]), step = fmin(0.25, 0.125 / sqrt(p[0]));
  if (family == FAMILY_BETA) peak = log(p[0] / p[1]), step = fmin(0.25, 0.125 / sqrt(p[0] * p[1] / (p[0] + p[1])));
  double top = line_density(family, p, peak), tail = family == FAMILY_NORMAL ? 80 : 42; /* also times an exponential */
  int64_t lo = 0, hi = 0, limit = 20000;
  while (lo > -limit && line_density(family, p, peak + (double)lo * step) > top - tail) lo--;
  while (hi < limit && line_density(family, p, peak + (double)hi * step) > top - tail) hi++;
  Rule r = new_rule(w, (uint32_t)(hi - lo + 1), 1);
  long double sum = 0;
  for (uint32_t k = 0; k < r.n; k++) {
    double t = peak + (double)(lo + k) * step;
    r.nodes[k] = from_line(family, p, t);
    r.weights[k] = exp(line_density(family, p, t) - top);
    sum += r.weights[k];
  }
  for (uint32_t k = 0; k < r.n; k++) r.weights[k] = (double)(r.weights[k] / sum);
  return r;
}

/* For anything smooth, about 1e-12; a dirichlet component alone is its beta marginal. */
static Rule latent_fine_rule(World *w, const Block *b, uint32_t place) {
  const double *p = w->q->param + 2 * (size_t)place;
  if (b->family != FAMILY_DIRICHLET) return trapezoid(w, b->family, p);
  if (b->n == 1) return dirichlet_rule(w, b);
  double marginal[2] = {p[0], alpha_sum(w, b) - p[0]};
  return trapezoid(w, FAMILY_BETA, marginal);
}

static double integrate_term(World *w, const Touching *t, uint32_t depth) {
  if (depth == t->n) return world_real(w, t->t);
  uint32_t place = t->places[depth];
  const Block *b = &w->q->blocks.at[w->q->block_of[place]];
  ArenaMark mark = arena_mark(w->scratch);
  Rule r = latent_fine_rule(w, b, place);
  double total = 0;
  for (uint32_t k = 0; k < r.n && world_step(w, t->t->span); k++) {
    w->z[place] = r.nodes[k];
    total += r.weights[k] * integrate_term(w, t, depth + 1);
  }
  arena_release(w->scratch, mark);
  latent_block_mean(w, b);
  return total;
}

/* Two components at once at most, and one of a dirichlet vector: beyond that nothing is claimed. */
double latent_expect(World *w, const Term *t) {
  uint32_t n = latent_touched(w), places[2];
  LatentState *q = w->q;
  for (uint32_t k = 0; k < n && k < 2; k++) places[k] = q->touch_list.at[k];
  if (n > 2 || (n == 2 && q->block_of[places[0]] == q->block_of[places[1]])) {
    w->unjudged = true;
    return NAN;
  }
  Touching touching = {.t = t, .places = places, .n = n};
  return integrate_term(w, &touching, 0);
}
