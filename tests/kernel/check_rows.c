/* check_rows: a row's results depend on what belongs to the row, and on nothing else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* The index of an axis in element `at` of an array; 0 if it has no such axis. */
static int64_t index_of(const Array *a, int64_t at, const char *axis) {
  int where = array_axis(a, axis);
  if (where < 0) return 0;
  for (int k = a->rank - 1; k > where; k--) at /= a->extent[k];
  return at % a->extent[where];
}

static bool is_key(const Plan *p, const char *name) {
  for (int k = 0; k < p->nkeys; k++)
    if (!strcmp(p->keys[k], name)) return true;
  return false;
}

static bool is_row(const Plan *p, const Array *a) {
  bool real = a->type == TYPE_REAL || a->type == TYPE_F16 || a->type == TYPE_BF16;
  return real && array_axis(a, p->row) >= 0 && !is_key(p, a->name);
}

/* ---- slices ------------------------------------------------------------------------------------------------- */

static bool same_element(const Subject *s, int out, const Result *r, int64_t there, int64_t here) {
  int64_t n = array_count(&s->c->out[out]), bytes = s->base.bytes[out] / (n ? n : 1);
  return !memcmp(r->out[out] + there * bytes, s->base.out[out] + here * bytes, (size_t)bytes);
}

static void slice(const Subject *s, const char *axis, int64_t at) {
  Case part = case_slice(s->plan, s->c, axis, at);
  Result r = call(s->kernel, &part, &(Setup){.garbage = 0xa5});
  for (int k = 0; k < s->c->nout && r.out[k]; k++) {
    const Array *a = &s->c->out[k];
    int64_t there = 0, n = array_count(a), other = 0;
    for (int64_t here = 0; here < n; here++)
      if (index_of(a, here, axis) == at || array_axis(a, axis) < 0) other += !same_element(s, k, &r, there++, here);
    expect(!other, "%s %lld alone: %s has %lld other elements", axis, (long long)at, a->name, (long long)other);
  }
  expect(r.status == s->base.status, "%s %lld alone: status %d", axis, (long long)at, r.status);
  result_free(&r);
  case_free(&part);
}

static int64_t extent_of(const Subject *s, const char *axis) {
  for (int k = 0; k < s->plan->nsizes; k++)
    if (!strcmp(s->plan->size[k], axis)) return s->c->size[k];
  return 0;
}

enum { PLACES = 5 };

/* Places worth a look among n: returns how many. */
static int places(int64_t n, int64_t *at) {
  const int64_t wanted[PLACES] = {0, 1, n / 2, n - 2, n - 1};
  int found = 0;
  for (int k = 0; k < PLACES; k++)
    if (wanted[k] >= 0 && wanted[k] < n && (!found || wanted[k] > at[found - 1])) at[found++] = wanted[k];
  return found;
}

void check_slices(const Subject *s) {
  int64_t at[PLACES];
  for (int k = 0; k < s->plan->nfree; k++) {
    int n = places(extent_of(s, s->plan->free_axis[k]), at);
    for (int m = 0; m < n; m++) slice(s, s->plan->free_axis[k], at[m]);
  }
}

/* ---- other rows, the row itself ----------------------------------------------------------------------------- */

/* Spoils the inputs of one row, or of all the others. */
static bool spoil_rows(const Subject *s, Case *c, int64_t row, bool others, double x) {
  bool any = false;
  for (int k = 0; k < c->nin; k++) {
    if (!is_row(s->plan, &c->in[k])) continue;
    int64_t n = array_count(&c->in[k]);
    for (int64_t m = 0; m < n; m++)
      if ((index_of(&c->in[k], m, s->plan->row) == row) != others) c->in[k].values[m] = x, any = true;
  }
  return any;
}

/* Whether results of the row (of all the others) are as they were. */
static void row_kept(const Subject *s, const Result *r, int64_t row, bool others, const char *what, double x) {
  if (!expect(r->status == ATTN_OK, "%s: status %d", what, r->status)) return;
  for (int k = 0; k < s->c->nout; k++) {
    const Array *a = &s->c->out[k];
    int64_t n = array_count(a), other = 0;
    for (int64_t m = 0; m < n; m++)
      if ((index_of(a, m, s->plan->row) == row) != others) other += !same_element(s, k, r, m, m);
    expect(!other, "%s (%g), row %lld: %s has %lld other elements", what, x, (long long)row, a->name, (long long)other);
  }
}

static const double garbage[] = {NAN, 1e30, INFINITY, -INFINITY};
enum { GARBAGE = 4 };

void check_other_rows(const Subject *s) {
  int64_t at[PLACES];
  int n = places(extent_of(s, s->plan->row), at);
  for (int k = 0; k < n * GARBAGE; k++) {
    double x = garbage[k % GARBAGE];
    Case c = case_copy(s->c);
    if (spoil_rows(s, &c, at[k / GARBAGE], true, x)) {
      Result r = call(s->kernel, &c, &(Setup){.garbage = 0xa5});
      row_kept(s, &r, at[k / GARBAGE], false, "garbage in other rows", x);
      result_free(&r);
    }
    case_free(&c);
  }
}

void check_own_row(const Subject *s) {
  int64_t at[PLACES];
  int n = places(extent_of(s, s->plan->row), at);
  for (int k = 0; k < n; k++) {
    Case c = case_copy(s->c);
    if (spoil_rows(s, &c, at[k], false, NAN)) {
      Result r = call(s->kernel, &c, &(Setup){.garbage = 0xa5}), want = call(&s->plan->reference, &c, &(Setup){0});
      row_kept(s, &r, at[k], true, "NaN in a row", NAN);
      near_reference(s, &c, &r, &want);
      result_free(&r);
      result_free(&want);
    }
    case_free(&c);
  }
}

/* ---- keys that a row does not see --------------------------------------------------------------------------- */

static void spoil_keys(const Plan *p, Case *c, int64_t lo, int64_t hi, double x) {
  for (int k = 0; k < c->nin; k++) {
    if (!is_key(p, c->in[k].name)) continue;
    int64_t n = array_count(&c->in[k]);
    for (int64_t m = 0; m < n; m++) {
      int64_t j = index_of(&c->in[k], m, p->key);
      if (j >= lo && j < hi) c->in[k].values[m] = x;
    }
  }
}

static bool sees(const Plan *p, const Case *c, int64_t b, int64_t i, int64_t lo, int64_t hi) {
  for (int64_t j = lo; j < hi; j++)
    if (is_live(p, c, b, i, j)) return true;
  return false;
}

/* Elements of an output in rows that see none of the keys lo..hi. */
static bool *blind(const Plan *p, const Case *c, const Array *a, int64_t lo, int64_t hi) {
  int64_t n = array_count(a), row = -1, batch = -1;
  bool *kept = calloc((size_t)n + 1, sizeof *kept), now = false;
  for (int64_t m = 0; kept && m < n; m++) {
    int64_t i = index_of(a, m, p->row), b = index_of(a, m, "B");
    if (i != row || b != batch) now = !sees(p, c, b, i, lo, hi), row = i, batch = b;
    kept[m] = now;
  }
  return kept;
}

/* x at the keys lo..hi. */
typedef struct Spoilt { int64_t lo, hi; double x; } Spoilt;
typedef void Judge(const Subject *s, const Case *c, const Result *r, int out, const bool *kept, Spoilt by);

static void judge_numbers(const Subject *s, const Case *c, const Result *r, int out, const bool *kept, Spoilt by) {
  (void)by;
  near_output(s, c, out, r, &s->reference, kept);
}

static void judge_bits(const Subject *s, const Case *c, const Result *r, int out, const bool *kept, Spoilt by) {
  int64_t n = array_count(&c->out[out]), other = 0;
  for (int64_t m = 0; m < n; m++) other += kept[m] && !same_element(s, out, r, m, m);
  expect(!other, "%g at keys %lld..%lld: %s has other bits in %lld elements", by.x, (long long)by.lo, (long long)by.hi,
         c->out[out].name, (long long)other);
}

static void dead(const Subject *s, int64_t lo, int64_t hi, double x, Judge *judge) {
  Case c = case_copy(s->c);
  spoil_keys(s->plan, &c, lo, hi, x);
  Result r = call(s->kernel, &c, &(Setup){.garbage = 0xa5});
  expect(r.status == ATTN_OK, "%g at keys %lld..%lld: status %d", x, (long long)lo, (long long)hi, r.status);
  for (int k = 0; k < c.nout && r.out[k]; k++) {
    bool *kept = blind(s->plan, &c, &c.out[k], lo, hi);
    judge(s, &c, &r, k, kept, (Spoilt){lo, hi, x});
    free(kept);
  }
  if (isnan(x)) {
    Result want = call(&s->plan->reference, &c, &(Setup){0});
    near_reference(s, &c, &r, &want);
    result_free(&want);
  }
  result_free(&r);
  case_free(&c);
}

static void dead_keys(const Subject *s, Judge *judge) {
  int64_t at[PLACES], keys = extent_of(s, s->plan->key);
  int n = places(keys, at);
  if (!s->plan->nkeys) return;
  for (int k = 0; k < n * GARBAGE; k++) {
    double x = garbage[k % GARBAGE];
    dead(s, at[k / GARBAGE], at[k / GARBAGE] + 1, x, judge);
    if (!strcmp(s->plan->support, "all")) continue;
    dead(s, at[k / GARBAGE], keys, x, judge);
    dead(s, 0, at[k / GARBAGE], x, judge);
  }
}

void check_dead_keys(const Subject *s) { dead_keys(s, judge_numbers); }
void check_dead_bits(const Subject *s) { dead_keys(s, judge_bits); }
