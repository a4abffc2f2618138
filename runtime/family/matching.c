/* matching: sums over bijections and matchings, by subsets.
 *
 * The side with fewer members is a set S of bits; the members of the other side, the line, come one after another, and
 * each takes one bit that is not in S, or is passed over:
 *
 *   before[l + 1, S] = before[l, S] pass_l + sum_{k in S} before[l, S - k] w(l, k)        before[0, {}] = 1
 *   after[l, S]      = after[l + 1, S] pass_l + sum_{k not in S} w(l, k) after[l + 1, S + k]
 *   P(l takes k)     = sum_{S without k} before[l, S] w(l, k) after[l + 1, S + k] / Z
 *
 * Rows that are the line pass with the weight of none; columns pass freely, and rows that are bits and remain at the
 * end have none.  Where nobody may pass, l is the size of S and one table does for all l (a permanent; Bellman 1962).
 *
 * All weights are divided by the prices of the best matching (assign.c): then every partial product is at most 1 and
 * the best matching is 1, so that linear arithmetic neither overflows nor loses what could matter: what underflows has
 * a probability below 1e-300.  Rows that no column takes, and columns that no row takes, stand aside: they multiply
 * nothing by more than one number.  Time: line 2^bits bits / 2, twice where somebody may pass for every l. */
#include <math.h>
#include <string.h>

#include "assign.h"
#include "family.h"

typedef struct Sums {
  Assign a;
  bool rows_are_line, may_pass;
  int64_t line, bits, subsets, step; /* step: from the table of l to that of l + 1 */
  int64_t *line_at, *bit_at; /* which rows, or columns, they are */
  double *w;    /* [line, bits] */
  double *pass; /* [line] */
  double *end;  /* [bits]: of a bit that remains */
  double *before, *after;
} Sums;

static double local(const Assign *a, int64_t i, int64_t c) { return a->local[i * (a->n + a->none) + c]; }

/* Where column j of row i, or none, has weight. */
static bool has(const Assign *a, int64_t i, int64_t j) { return local(a, i, j) > -INFINITY; }

/* Rows, or columns, that have weight with some of the others; how many. */
static int64_t with_others(const Assign *a, bool rows, int64_t *at) {
  int64_t many = 0, all = rows ? a->m : a->n, others = rows ? a->n : a->m;
  for (int64_t i = 0; i < all; i++) {
    int64_t j = 0;
    while (j < others && !(rows ? has(a, i, j) : has(a, j, i))) j++;
    if (j < others) at[many++] = i;
  }
  return many;
}

static int64_t row_of(const Sums *s, int64_t l, int64_t k) { return s->rows_are_line ? s->line_at[l] : s->bit_at[k]; }

static int64_t column_of(const Sums *s, int64_t l, int64_t k) {
  return s->rows_are_line ? s->bit_at[k] : s->line_at[l];
}

static int64_t table_size(const Sums *s) { return s->subsets * (s->may_pass ? s->line + 1 : 1); }

/* The weight of a row of none, of a column that nobody has. */
static double alone(const Assign *a, bool row, int64_t at) {
  if (!row) return exp(a->v[at]);
  return a->none ? exp(local(a, at, a->n) + a->u[at]) : 0;
}

/* false: no matching has weight.  *log_best: log weight taken out. */
static bool prepare(Sums *s, const int64_t *n, const double *weights, double *work, int64_t *choice, double *log_best) {
  s->a = (Assign){.m = n[0], .n = n[1], .none = n[2] > n[1], .local = weights};
  const Assign *a = &s->a;
  work = attn_rt_assign_place(&s->a, work);
  if (!attn_rt_assign(&s->a, choice, log_best)) return false;
  *log_best = 0;
  for (int64_t i = 0; i < a->m; i++) *log_best -= a->u[i];
  for (int64_t j = 0; j < a->n; j++) *log_best -= a->v[j];
  int64_t *rows = (int64_t *)(void *)work, *columns = rows + a->m;
  int64_t m = with_others(a, true, rows), many = with_others(a, false, columns);
  s->rows_are_line = many <= m;
  s->line = s->rows_are_line ? m : many;
  s->bits = s->rows_are_line ? many : m;
  s->line_at = s->rows_are_line ? rows : columns;
  s->bit_at = s->rows_are_line ? columns : rows;
  s->may_pass = a->none || m != many;
  s->subsets = (int64_t)1 << s->bits;
  s->step = s->may_pass ? s->subsets : 0;
  s->w = work + a->m + a->n;
  s->pass = s->w + s->line * s->bits;
  s->end = s->pass + s->line;
  s->before = s->end + s->bits;
  s->after = s->before + table_size(s);
  for (int64_t l = 0; l < s->line; l++) {
    for (int64_t k = 0; k < s->bits; k++) {
      int64_t i = row_of(s, l, k), j = column_of(s, l, k);
      s->w[l * s->bits + k] = exp(local(a, i, j) + a->u[i] + a->v[j]);
    }
    s->pass[l] = alone(a, s->rows_are_line, s->line_at[l]);
  }
  for (int64_t k = 0; k < s->bits; k++) s->end[k] = alone(a, !s->rows_are_line, s->bit_at[k]);
  return true;
}

static int64_t popcount(int64_t x) { return __builtin_popcountll((unsigned long long)x); }

/* Of the subsets that l members of the line can have taken. */
static bool reachable(const Sums *s, int64_t l, int64_t set) {
  return s->may_pass ? popcount(set) <= l : popcount(set) == l;
}

static void forward(const Sums *s) {
  memset(s->before, 0, (size_t)table_size(s) * sizeof *s->before);
  s->before[0] = 1;
  for (int64_t l = 0; l < s->line; l++) {
    const double *w = s->w + l * s->bits;
    const double *from = s->before + l * s->step;
    double *to = s->before + (l + 1) * s->step;
    for (int64_t set = 0; set < s->subsets; set++) {
      if (!reachable(s, l + 1, set)) continue;
      double sum = s->may_pass ? from[set] * s->pass[l] : 0;
      for (int64_t rest = set; rest; rest &= rest - 1) {
        int64_t bit = rest & -rest;
        sum += from[set - bit] * w[__builtin_ctzll((unsigned long long)bit)];
      }
      to[set] = sum;
    }
  }
}

static double end_of(const Sums *s, int64_t set) {
  double p = 1;
  for (int64_t k = 0; k < s->bits; k++)
    if (!(set >> k & 1)) p *= s->end[k];
  return p;
}

static void backward(const Sums *s) {
  double *last = s->after + s->line * s->step;
  if (s->may_pass)
    for (int64_t set = 0; set < s->subsets; set++) last[set] = end_of(s, set);
  else last[s->subsets - 1] = 1;
  for (int64_t l = s->line; l-- > 0;) {
    const double *w = s->w + l * s->bits, *from = s->after + (l + 1) * s->step;
    double *to = s->after + l * s->step;
    for (int64_t set = 0; set < s->subsets; set++) {
      if (!reachable(s, l, set)) continue;
      double sum = s->may_pass ? from[set] * s->pass[l] : 0;
      for (int64_t rest = ~set & (s->subsets - 1); rest; rest &= rest - 1) {
        int64_t bit = rest & -rest;
        sum += from[set + bit] * w[__builtin_ctzll((unsigned long long)bit)];
      }
      to[set] = sum;
    }
  }
}

/* Sum over sets without the bit of before * after of the set with it. */
static double took(const Sums *s, int64_t l, int64_t bit) {
  const double *before = s->before + l * s->step, *after = s->after + (l + 1) * s->step;
  double sum = 0;
  for (int64_t set = 0; set < s->subsets; set++)
    if (!(set & bit) && reachable(s, l, set)) sum += before[set] * after[set + bit];
  return sum;
}

static double passed(const Sums *s, int64_t l) {
  const double *before = s->before + l * s->step, *after = s->after + (l + 1) * s->step;
  double sum = 0;
  for (int64_t set = 0; set < s->subsets; set++)
    if (reachable(s, l, set)) sum += before[set] * after[set];
  return sum * s->pass[l];
}

static double remained(const Sums *s, int64_t bit) {
  const double *before = s->before + s->line * s->step, *after = s->after + s->line * s->step;
  double sum = 0;
  for (int64_t set = 0; set < s->subsets; set++)
    if (!(set & bit)) sum += before[set] * after[set];
  return sum;
}

static void marginals(const Sums *s, double z, double *log_p) {
  const Assign *a = &s->a;
  int64_t choices = a->n + a->none;
  for (int64_t l = 0; l < s->line; l++)
    for (int64_t k = 0; k < s->bits; k++) {
      double w = s->w[l * s->bits + k];
      if (w > 0) log_p[row_of(s, l, k) * choices + column_of(s, l, k)] = log(took(s, l, (int64_t)1 << k) * w / z);
    }
  if (!a->none) return;
  for (int64_t i = 0; i < a->m; i++) log_p[i * choices + a->n] = 0; /* of rows that stand aside */
  for (int64_t l = 0; l < s->line && s->rows_are_line; l++)
    log_p[s->line_at[l] * choices + a->n] = log(passed(s, l) / z);
  for (int64_t k = 0; k < s->bits && !s->rows_are_line; k++)
    log_p[s->bit_at[k] * choices + a->n] = log(remained(s, (int64_t)1 << k) / z);
}

/* Prices of columns that nobody has, with how likely that is. */
static double prices_left(const Sums *s, double z) {
  const Assign *a = &s->a;
  double mean = 0;
  if (!s->may_pass) return 0;
  for (int64_t k = 0; k < (s->rows_are_line ? s->bits : s->line); k++) {
    double p = (s->rows_are_line ? remained(s, (int64_t)1 << k) : passed(s, k)) / z;
    if (p > 0) mean += p * a->v[s->rows_are_line ? s->bit_at[k] : s->line_at[k]];
  }
  return mean;
}

/* H = log Z - E[log weight], all about the prices: whatever the size of scores, what is left of them is that of the
 * sums. */
static double entropy(const Sums *s, double z, const double *log_p) {
  const Assign *a = &s->a;
  double mean = prices_left(s, z);
  int64_t choices = a->n + a->none;
  for (int64_t i = 0; i < a->m; i++)
    for (int64_t c = 0; c < choices; c++)
      if (log_p[i * choices + c] > -INFINITY)
        mean += exp(log_p[i * choices + c]) * (local(a, i, c) + a->u[i] + (c < a->n ? a->v[c] : 0));
  return fmax(log(z) - mean, 0);
}

static void fill(double *to, int64_t n, double x) {
  for (int64_t i = 0; i < n; i++) to[i] = x;
}

void attn_rt_matching_sum(const int64_t *n, const void *const *in, void *const *out, double *work) {
  Sums s = {.a = {.m = n[0], .n = n[1], .none = n[2] > n[1], .local = in[0]}};
  double *log_p = out[0], *z = out[1], log_best = 0;
  int64_t cells = n[0] * n[2], *choice = (int64_t *)(void *)work;
  z[0] = z[1] = 0;
  if (n[0] <= 0) return;
  bool spoilt = attn_rt_assign_is_spoilt(&s.a);
  fill(log_p, cells, spoilt ? NAN : -INFINITY);
  z[0] = z[1] = spoilt ? NAN : -INFINITY;
  if (spoilt) return;
  z[1] = 0;
  if (!prepare(&s, n, in[0], work + n[0], choice, &log_best)) return;
  forward(&s);
  backward(&s);
  double sum = s.after[0];
  marginals(&s, sum, log_p);
  z[0] = log(sum) + log_best;
  z[1] = entropy(&s, sum, log_p);
}

/* ---- draws: the line in turn, each given what is taken; all of them after one sum -------------------------------- */

static void draw(const Sums *s, const double *u, int64_t *choice) {
  int64_t set = 0;
  for (int64_t i = 0; i < s->a.m; i++) choice[i] = FAMILY_NONE;
  for (int64_t l = 0; l < s->line; l++) {
    const double *after = s->after + (l + 1) * s->step;
    double all = s->after[l * s->step + set], sum = 0;
    int64_t taken = -1;
    for (int64_t k = -1; k < s->bits; k++) { /* -1: passed over */
      if (k < 0 ? !s->may_pass : set >> k & 1) continue;
      double p = (k < 0 ? after[set] * s->pass[l] : after[set + ((int64_t)1 << k)] * s->w[l * s->bits + k]) / all;
      if (p > 0) taken = k;
      sum += p;
      if (u[2 * s->line_at[l]] < sum) break;
    }
    if (taken < 0) continue;
    set += (int64_t)1 << taken;
    choice[row_of(s, l, taken)] = column_of(s, l, taken);
  }
}

void attn_rt_matching_draw(const int64_t *n, const void *const *in, void *const *out, double *work) {
  Sums s = {.a = {.m = n[0], .n = n[1], .none = n[2] > n[1], .local = in[0]}};
  int64_t *choice = out[0], line = n[3], draws = n[4];
  const double *u = in[1];
  double log_best = 0;
  if (n[0] <= 0 || draws <= 0) return;
  if (attn_rt_assign_is_spoilt(&s.a) || !prepare(&s, n, in[0], work, choice, &log_best)) {
    for (int64_t i = 0; i < draws * n[0]; i++) choice[i] = FAMILY_EMPTY;
    return;
  }
  s.after = s.before; /* no other table is needed */
  memset(s.after, 0, (size_t)table_size(&s) * sizeof *s.after);
  backward(&s);
  for (int64_t k = 0; k < draws; k++) draw(&s, u + 2 * k * line, choice + k * n[0]);
}

/* ---- the heaviest one: the first of equals in lexicographic order ------------------------------------------------ */

void attn_rt_matching_best(const int64_t *n, const void *const *in, void *const *out, double *work) {
  int64_t m = n[0], *choice = out[0], *only = (int64_t *)(void *)work, *other = only + m;
  Assign a = {.m = m, .n = n[1], .none = n[2] > n[1], .local = in[0], .only = only};
  double best = 0, total;
  if (m <= 0) return;
  attn_rt_assign_place(&a, work + 2 * m);
  for (int64_t i = 0; i < m; i++) only[i] = -1;
  if (attn_rt_assign_is_spoilt(&a) || !attn_rt_assign(&a, choice, &best)) {
    for (int64_t i = 0; i < m; i++) choice[i] = FAMILY_EMPTY;
    return;
  }
  double tolerance = 1e-12 * (1 + fabs(best));
  for (int64_t i = 0; i < m; i++) {
    for (int64_t c = 0; c < choice[i]; c++) {
      /* Only what its prices leave nothing of can be in another best matching. */
      if (!(local(&a, i, c) + a.u[i] + (c < a.n ? a.v[c] : a.v[a.n + i]) >= -4 * tolerance)) continue;
      only[i] = c;
      if (attn_rt_assign(&a, other, &total) && total >= best - tolerance)
        memcpy(choice, other, (size_t)m * sizeof *choice);
      else {
        only[i] = -1;
        attn_rt_assign(&a, other, &total); /* its prices again */
      }
      if (choice[i] == c) break;
    }
    only[i] = choice[i];
  }
  for (int64_t i = 0; i < m; i++)
    if (choice[i] == a.n) choice[i] = FAMILY_NONE;
}
