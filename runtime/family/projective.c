/* projective: sums over trees without crossing arcs, by spans (Eisner 1996, 2000).
 *
 * Words are 1 .. n, the place left of them is 0.  Over words i .. j, with an arc between the two, or all hanging from
 * one:
 *
 *   bare[i,j]  = sum_{i<=k<j} right[i,k] left[k+1,j]        two halves that meet
 *   out[i,j]   = bare * w(i -> j),  back[i,j] = bare * w(j -> i), i > 0
 *   left[i,j]  = sum_{i<=k<j} left[i,k] back[k,j]           all of i .. j under j
 *   right[i,j] = sum_{i<k<=j} out[i,k] right[k,j]           all of i .. j under i
 *   Z          = right[0, n]
 *
 * (+, *) is (log-sum-exp, +) for sums and (max, +) for the best tree.  The same backwards gives for each arc the sum,
 * or the best, of all trees that have it.  Time n^3.
 *
 * Each word's largest log weight is taken out first: it has one arc in every tree. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "family.h"

typedef enum { RIGHT, LEFT, OUT, BACK, CHARTS } Chart;

typedef struct Spans {
  int64_t n, width;
  bool max;            /* of the two semirings */
  const double *local; /* [n, n + 1] */
  double *top;         /* by word - 1: what is taken out */
  double *in[CHARTS], *around[CHARTS]; /* [n + 1, n + 1]: what a span holds; what is around it */
} Spans;

static double plus(const Spans *s, double x, double y) {
  double high = x > y ? x : y, low = x > y ? y : x;
  return s->max || low == -INFINITY ? high : high + log1p(exp(low - high));
}

static double *cell(const Spans *s, double *const *charts, Chart c, int64_t i, int64_t j) {
  return charts[c] + i * s->width + j;
}
static double held(const Spans *s, Chart c, int64_t i, int64_t j) { return *cell(s, s->in, c, i, j); }

static void add_around(const Spans *s, Chart c, int64_t i, int64_t j, double x) {
  double *to = cell(s, s->around, c, i, j);
  *to = plus(s, *to, x);
}

/* Log weight of word m under h. */
static double arc(const Spans *s, int64_t h, int64_t m) {
  return s->local[(m - 1) * s->width + (h ? h - 1 : s->n)] - s->top[m - 1];
}

static double part(const Spans *s, Chart x, Chart y, int64_t i, int64_t k, int64_t l, int64_t j) {
  return held(s, x, i, k) + held(s, y, l, j);
}

/* Sum over k of x[i,k] y[k + skip, j]. */
static double join(const Spans *s, Chart x, Chart y, int64_t i, int64_t j, int64_t from, int64_t to, int64_t skip) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = from; k < to; k++) max = fmax(max, part(s, x, y, i, k, k + skip, j));
  if (s->max || max == -INFINITY) return max;
  for (int64_t k = from; k < to; k++) sum += exp(part(s, x, y, i, k, k + skip, j) - max);
  return max + log(sum);
}

static void inside(const Spans *s) {
  for (int64_t i = 0; i <= s->n; i++) *cell(s, s->in, RIGHT, i, i) = *cell(s, s->in, LEFT, i, i) = 0;
  for (int64_t w = 1; w <= s->n; w++)
    for (int64_t i = 0; i + w <= s->n; i++) {
      int64_t j = i + w;
      double bare = join(s, RIGHT, LEFT, i, j, i, j, 1);
      *cell(s, s->in, OUT, i, j) = bare + arc(s, i, j);
      *cell(s, s->in, BACK, i, j) = i ? bare + arc(s, j, i) : -INFINITY;
      *cell(s, s->in, LEFT, i, j) = join(s, LEFT, BACK, i, j, i, j, 0);
      *cell(s, s->in, RIGHT, i, j) = join(s, OUT, RIGHT, i, j, i + 1, j + 1, 0);
    }
}

static void around_join(const Spans *s, double w, Chart x, Chart y, int64_t i, int64_t j, int64_t from, int64_t to,
                        int64_t skip) {
  if (w == -INFINITY) return;
  for (int64_t k = from; k < to; k++) {
    add_around(s, x, i, k, w + held(s, y, k + skip, j));
    add_around(s, y, k + skip, j, w + held(s, x, i, k));
  }
}

static void outside(const Spans *s) {
  for (int c = 0; c < CHARTS; c++)
    for (int64_t k = 0; k < s->width * s->width; k++) s->around[c][k] = -INFINITY;
  *cell(s, s->around, RIGHT, 0, s->n) = 0;
  for (int64_t w = s->n; w >= 1; w--)
    for (int64_t i = 0; i + w <= s->n; i++) {
      int64_t j = i + w;
      around_join(s, *cell(s, s->around, RIGHT, i, j), OUT, RIGHT, i, j, i + 1, j + 1, 0);
      around_join(s, *cell(s, s->around, LEFT, i, j), LEFT, BACK, i, j, i, j, 0);
      double out = *cell(s, s->around, OUT, i, j) + arc(s, i, j);
      double back = i ? *cell(s, s->around, BACK, i, j) + arc(s, j, i) : -INFINITY;
      around_join(s, plus(s, out, back), RIGHT, LEFT, i, j, i, j, 1);
    }
}

/* Of all trees with word m under h: their sum, or the best of them. */
static double with_arc(const Spans *s, int64_t h, int64_t m) {
  Chart c = h < m ? OUT : BACK;
  int64_t i = h < m ? h : m, j = h < m ? m : h;
  return held(s, c, i, j) + *cell(s, s->around, c, i, j);
}

/* The log probabilities of m's arcs, to[h].  Each word's own sum is that over all trees, but for what scores leave of
 * its digits: probabilities add up to 1 all the same. */
static void arcs_to(const Spans *s, int64_t m, double *to) {
  double max = -INFINITY, sum = 0;
  for (int64_t h = 0; h <= s->n; h++) to[h] = h == m ? -INFINITY : with_arc(s, h, m);
  for (int64_t h = 0; h <= s->n; h++) max = fmax(max, to[h]);
  for (int64_t h = 0; h <= s->n; h++) sum += exp(to[h] - max);
  double log_sum = log(sum);
  for (int64_t h = 0; h <= s->n; h++) to[h] = to[h] - max - log_sum;
}

static bool is_spoilt(const double *local, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= n; j++)
      if (i != j && (isnan(local[i * (n + 1) + j]) || local[i * (n + 1) + j] == INFINITY)) return true;
  return false;
}

/* Places the charts in `work`; takes each word's largest log weight out. */
static Spans prepare(const double *local, int64_t n, bool max, double *work) {
  Spans s = {.n = n, .width = n + 1, .max = max, .local = local, .top = work};
  work += n;
  for (int c = 0; c < CHARTS; c++, work += s.width * s.width) s.in[c] = work;
  for (int c = 0; c < CHARTS; c++, work += s.width * s.width) s.around[c] = work;
  for (int64_t i = 0; i < n; i++) {
    double top = -INFINITY;
    for (int64_t j = 0; j <= n; j++)
      if (j != i) top = fmax(top, local[i * s.width + j]);
    s.top[i] = top == -INFINITY ? 0 : top;
  }
  return s;
}

static void fill(double *to, int64_t n, double x) {
  for (int64_t i = 0; i < n; i++) to[i] = x;
}

void attn_rt_projective_sum(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t words = n[0], width = words + 1;
  double *log_p = out[0], *z = out[1];
  z[0] = z[1] = 0;
  if (words <= 0) return;
  bool spoilt = is_spoilt(in[0], words);
  fill(log_p, words * width, spoilt ? NAN : -INFINITY);
  fill(z, 2, spoilt ? NAN : -INFINITY);
  if (spoilt) return;
  Spans s = prepare(in[0], words, false, work);
  inside(&s);
  double sum = held(&s, RIGHT, 0, words), shift = 0, mean = 0, most = 0; /* most: the words' own entropies */
  z[1] = 0;
  if (sum == -INFINITY) return;
  outside(&s);
  double *at = s.in[LEFT]; /* no longer needed */
  for (int64_t m = 1; m <= words; m++) {
    arcs_to(&s, m, at);
    shift += s.top[m - 1];
    for (int64_t h = 0; h <= words; h++) {
      if (h == m) continue;
      double p = at[h];
      log_p[(m - 1) * width + (h ? h - 1 : words)] = p;
      if (p > -INFINITY) mean += exp(p) * arc(&s, h, m), most -= exp(p) * p;
    }
  }
  z[0] = sum + shift;
  z[1] = fmax(fmin(sum - mean, most), 0);
}

void attn_rt_projective_best(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t words = n[0], width = words + 1, *choice = out[0];
  double *local = work, total = 0;
  if (words <= 0) return;
  memcpy(local, in[0], (size_t)(words * width) * sizeof *local);
  Spans s = prepare(local, words, true, work + words * width);
  bool fails = is_spoilt(local, words), stale = true;
  for (int64_t m = 1; m <= words && !fails; m++) {
    if (stale) {
      inside(&s);
      outside(&s);
    }
    double best = held(&s, RIGHT, 0, words);
    if (m == 1)
      for (int64_t k = 0; k < words; k++) total += s.top[k];
    double tolerance = 1e-12 * (1 + fabs(best + total));
    int64_t equal = 0, first = 0;
    for (int64_t c = 0; c <= words; c++) { /* none, the place 0, comes last */
      int64_t h = c == words ? 0 : c + 1;
      if (h == m || !(with_arc(&s, h, m) >= best - tolerance) || best == -INFINITY) continue;
      if (!equal++) first = h;
    }
    fails = !equal;
    for (int64_t c = 0; c <= words && equal > 1; c++)
      if (c != (first ? first - 1 : words)) local[(m - 1) * width + c] = -INFINITY;
    stale = equal > 1;
    choice[m - 1] = first ? first - 1 : FAMILY_NONE;
  }
  for (int64_t k = 0; k < words && fails; k++) choice[k] = FAMILY_EMPTY;
}

/* ---- draws: from the whole span downward, each split given the span; all of them after one sum ------------------ */

typedef struct Item { int64_t chart, i, j; } Item;

typedef struct Draw {
  const Spans *s;
  const double *u;
  int64_t used;
  Item *stack;
  int64_t depth;
  int64_t *choice;
} Draw;

static void push(Draw *d, Chart c, int64_t i, int64_t j) {
  if (i != j) d->stack[d->depth++] = (Item){c, i, j};
}

/* One k of a join, as likely as its part of the sum; all: the join. */
static int64_t split(Draw *d, double all, Chart x, Chart y, int64_t i, int64_t j, int64_t from, int64_t to,
                     int64_t skip) {
  double u = d->u[d->used++], sum = 0;
  int64_t at = from;
  for (int64_t k = from; k < to; k++) {
    double p = exp(part(d->s, x, y, i, k, k + skip, j) - all);
    if (p > 0) at = k;
    sum += p;
    if (u < sum) break;
  }
  return at;
}

static void draw_item(Draw *d, Item t) {
  int64_t k;
  switch ((Chart)t.chart) {
  case RIGHT:
    k = split(d, held(d->s, RIGHT, t.i, t.j), OUT, RIGHT, t.i, t.j, t.i + 1, t.j + 1, 0);
    push(d, RIGHT, k, t.j);
    push(d, OUT, t.i, k);
    return;
  case LEFT:
    k = split(d, held(d->s, LEFT, t.i, t.j), LEFT, BACK, t.i, t.j, t.i, t.j, 0);
    push(d, LEFT, t.i, k);
    push(d, BACK, k, t.j);
    return;
  case OUT: d->choice[t.j - 1] = t.i ? t.i - 1 : FAMILY_NONE; break;
  case BACK: d->choice[t.i - 1] = t.j - 1; break;
  case CHARTS: return;
  }
  k = split(d, join(d->s, RIGHT, LEFT, t.i, t.j, t.i, t.j, 1), RIGHT, LEFT, t.i, t.j, t.i, t.j, 1);
  push(d, RIGHT, t.i, k);
  push(d, LEFT, k + 1, t.j);
}

void attn_rt_projective_draw(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t words = n[0], draws = n[1], *choice = out[0];
  const double *u = in[1];
  if (words <= 0 || draws <= 0) return;
  bool fails = is_spoilt(in[0], words);
  Spans s = prepare(in[0], words, false, work);
  if (!fails) inside(&s);
  fails = fails || held(&s, RIGHT, 0, words) == -INFINITY;
  for (int64_t k = 0; k < draws * words && fails; k++) choice[k] = FAMILY_EMPTY;
  for (int64_t k = 0; k < draws && !fails; k++) {
    Draw d = {.s = &s,
              .u = u + 2 * k * words,
              .stack = (Item *)(void *)s.around[RIGHT],
              .choice = choice + k * words};
    push(&d, RIGHT, 0, words);
    while (d.depth) draw_item(&d, d.stack[--d.depth]);
  }
}
