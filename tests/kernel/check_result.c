/* check_result: numbers, and what a caller may leave out. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "pools.h"

/* README: f32 results are within 1e-5 (1 + max|log_w| / 100), by their norm.  Cases keep log weights small; a single
 * element may be further off, but not by much. */
static const double TOLERANCE = 1e-5, TOLERANCE_ELEMENT = 1e-4;

/* With weights w (1 + d), |d| <= u, in place of w a mean o of values v is off by at most u / (1 - u) E|v - o|, and that
 * expectation is at most the largest |v|.  u of bf16: 2^-8. */
static const double ROUNDED = 0x1p-8 / (1 - 0x1p-8);

/* ---- comparisons -------------------------------------------------------------------------------------------- */

/* The first output of other bits, -1 where there is none. */
static int different(const Subject *s, const Result *r) {
  for (int k = 0; k < s->c->nout; k++) {
    if (!r->out[k]) continue;
    if (r->bytes[k] != s->base.bytes[k] || memcmp(r->out[k], s->base.out[k], (size_t)r->bytes[k])) return k;
  }
  return -1;
}

bool same_bits(const Subject *s, const Result *r) { return r->status == s->base.status && different(s, r) < 0; }

void expect_same(const Subject *s, const Setup *setup, const char *what) {
  Result r = call(s->kernel, s->c, setup);
  int k = different(s, &r);
  expect(r.status == s->base.status, "%s: status %d", what, r.status);
  expect(k < 0, "%s: other bits in %s", what, k < 0 ? "" : s->c->out[k].name);
  result_free(&r);
}

static bool same_odd(double got, double want) { return isnan(want) ? isnan(got) : got == want; }

static bool is_rounded(const Plan *p, const char *name) {
  for (int k = 0; k < p->nrounded; k++)
    if (!strcmp(p->rounded[k], name)) return true;
  return false;
}

/* What rounding the weights may add to the error of an element. */
static double allowance(const Plan *p, const Case *c, const Array *a) {
  double most = 0;
  for (int k = 0; k < c->nin && is_rounded(p, a->name); k++)
    for (int64_t n = 0; c->in[k].type == TYPE_BF16 && n < array_count(&c->in[k]); n++)
      if (isfinite(c->in[k].values[n])) most = fmax(most, fabs(c->in[k].values[n]));
  return ROUNDED * most;
}

void near_output(const Subject *s, const Case *c, int out, const Result *r, const Result *reference,
                 const bool *judged) {
  const Array *a = &c->out[out];
  double error = 0, scale = 0, furthest = 0;
  int64_t n = array_count(a), odd = 0, count = 0;
  for (int64_t k = 0; k < n; k++) {
    if (judged && !judged[k]) continue;
    double got = result_at(s->kernel, c, r, out, k), want = result_at(&s->plan->reference, c, reference, out, k);
    count++;
    if (!isfinite(got) || !isfinite(want)) {
      odd += !same_odd(got, want);
      continue;
    }
    furthest = fmax(furthest, fabs(got - want) / (1 + fabs(want)));
    error += (got - want) * (got - want);
    scale += want * want;
  }
  double distance = error == 0 ? 0 : sqrt(error) / (sqrt(scale) + sqrt((double)count));
  expect(!odd, "%s: %lld infinities or NaN at other places", a->name, (long long)odd);
  double more = allowance(s->plan, c, a);
  expect(a->type == TYPE_REAL ? distance <= TOLERANCE + more && furthest <= TOLERANCE_ELEMENT + more : error == 0,
         "%s: %.2e from f64, a single element %.2e", a->name, distance, furthest);
}

void near_reference(const Subject *s, const Case *c, const Result *r, const Result *reference) {
  if (!expect(r->status == ATTN_OK && reference->status == ATTN_OK, "status %d", r->status)) return;
  for (int k = 0; k < c->nout; k++) near_output(s, c, k, r, reference, NULL);
}

/* ---- checks ------------------------------------------------------------------------------------------------- */

void check_right(const Subject *s) { near_reference(s, s->c, &s->base, &s->reference); }

void check_nulls(const Subject *s) {
  unsigned all = (1u << s->c->nout) - 1;
  expect_same(s, &(Setup){.no_err = true, .garbage = 0xa5}, "without err");
  for (unsigned k = 0; k < (unsigned)s->c->nout; k++) {
    char what[NAME_MAX_BYTES + 16];
    snprintf(what, sizeof what, "without %s", s->c->out[k].name);
    expect_same(s, &(Setup){.no_out = 1u << k, .garbage = 0xa5}, what);
    snprintf(what, sizeof what, "%s alone", s->c->out[k].name);
    expect_same(s, &(Setup){.no_out = all & ~(1u << k), .garbage = 0xa5}, what);
  }
  expect_same(s, &(Setup){.no_out = all, .garbage = 0xa5}, "without outputs");
}

/* The record of a refusal: what was given, and what the kernel needs. */
static bool says_need(const Subject *s, const Result *r, int64_t given) {
  int64_t need = (int64_t)r->need;
  if (r->err.status != ATTN_ERROR_WORKSPACE || r->err.value != given) return false;
  return s->kernel->dispatches ? r->err.limit > given && r->err.limit <= need : r->err.limit == need;
}

static void refused(const Subject *s, int64_t short_by, bool no_err) {
  Result r = call(s->kernel, s->c, &(Setup){.short_by = short_by, .no_err = no_err, .garbage = 0xa5});
  if (s->kernel->dispatches && r.status == ATTN_OK)
    expect(same_bits(s, &r), "%lld bytes fewer: other bits", (long long)short_by);
  else {
    expect(r.status == ATTN_ERROR_WORKSPACE, "%lld bytes too few: status %d", (long long)short_by, r.status);
    expect(no_err || says_need(s, &r, (int64_t)r.need - short_by), "%lld bytes too few: the record says %lld of %lld",
           (long long)short_by, (long long)r.err.value, (long long)r.err.limit);
  }
  result_free(&r);
}

void check_workspace(const Subject *s) {
  int64_t need = (int64_t)s->base.need;
  for (int shift = 1; shift < 64; shift += 9)
    expect_same(s, &(Setup){.workspace = {.shift = shift, .at_front = shift % 2}, .garbage = 0xff},
                "an unaligned workspace");
  if (!need) return;
  refused(s, 1, false);
  refused(s, 1, true);
  refused(s, need, false);
  refused(s, need / 2 ? need / 2 : 1, false);
}

void check_threads(const Subject *s) {
  static const int threads[] = {1, 2, 7};
  for (int k = 0; k < 3; k++) {
    expect_same(s, &(Setup){.pool = pool_of_threads(threads[k]), .garbage = 0xff}, "threads");
    expect_same(s, &(Setup){.pool = pool_backwards(threads[k]), .workspace = {.at_front = true}, .garbage = 0xa5},
                "items backwards");
  }
}
