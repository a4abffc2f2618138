/* attn bench: what a compiled model costs. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "driver/cost.h"
#include "driver/execute.h"
#include "driver/limit.h"
#include "driver/peak.h"
#include "driver/precheck.h"

enum { RUNS_MIN = 5, RUNS_MAX = 1000 };
static const double SECONDS_MAX = 2; /* of measuring, once RUNS_MIN runs are done */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The median time of a call; negative after a message. */
static double measure(Arena *arena, const Call *c) {
  double *times = NEW_ARRAY(arena, double, RUNS_MAX), begin = seconds_now();
  attn_error err;
  uint32_t n = 0;
  for (; n < RUNS_MAX && (n < RUNS_MIN || seconds_now() - begin < SECONDS_MAX); n++) {
    double start = seconds_now();
    if (!execute_call(arena, c, &err)) {
      execute_report(arena, c->program, &err);
      return -1;
    }
    times[n] = seconds_now() - start;
  }
  qsort(times, n, sizeof *times, by_value);
  return times[n / 2];
}

static double bytes_of(const AttnArray *a) { return a->data ? (double)array_count(a) * (double)elem_size(a->type) : 0; }

/* Every input read and every output written once. */
static double traffic(const Inputs *in, const Results *r) {
  double bytes = 0;
  for (uint32_t k = 0; k < in->model->inputs.n; k++)
    bytes += bytes_of(&in->at[k].data) + bytes_of(&in->at[k].indptr) + bytes_of(&in->at[k].indices);
  for (uint32_t k = 0; k < in->model->outs.n; k++) bytes += bytes_of(&r->at[k]);
  return bytes;
}

typedef struct Report { double seconds, bytes, operations, peak; const Program *program; } Report;

static void print_report(const Report *r, bool as_json) {
  double rate = r->operations / r->seconds;
  if (!as_json) {
    printf("%.6g ms (median), %.4g GFLOP/s of a peak of %.4g (%.3g %%), %.4g GB/s of inputs and outputs; compiled in %.4g ms\n",
           1e3 * r->seconds, 1e-9 * rate, 1e-9 * r->peak, 100 * rate / r->peak, 1e-9 * r->bytes / r->seconds,
           1e3 * r->program->compile_seconds);
    return;
  }
  Json j = {.to = stdout};
  json_open(&j, NULL, '{');
  json_real(&j, "seconds", r->seconds);
  json_real(&j, "gflops", 1e-9 * rate);
  json_real(&j, "peak_gflops", 1e-9 * r->peak);
  json_real(&j, "fraction_of_peak", rate / r->peak);
  json_real(&j, "bytes_per_second", r->bytes / r->seconds);
  json_real(&j, "compile_seconds", r->program->compile_seconds);
  json_int(&j, "threads", execute_threads(r->program));
  json_close(&j, '}');
}

static bool bench(Driver *d, const Program *p, const Inputs *in) {
  Results r;
  Call call;
  if (!execute_prepare(d->arena, p, in, d->options.seed, &r, &call)) return false;
  double seconds = measure(d->arena, &call);
  if (seconds < 0) return false;
  Report report = {.seconds = fmax(seconds, 1e-9), .bytes = traffic(in, &r), .program = p,
                   .operations = cost_operations(d->arena, p->model, in->sizes),
                   .peak = peak_operations(d->options.f64, execute_threads(p))};
  print_report(&report, d->options.json);
  return true;
}

int verb_bench(Driver *d) {
  Chosen c;
  Inputs in;
  Program p;
  int status;
  const WordVec *words = &d->options.words;
  if (!load_model(d, &c, &status)) return status;
  status = bind_inputs(d->arena, c.model, d->options.f64, words->at + c.used, words->n - c.used, BIND_RANDOM, &in);
  if (status || !precheck(d->arena, c.file, &in) || !limit_holds(d->arena, c.file, &in, d->options.max_cost)) return STATUS_WRONG;
  if (!execute_compile(d->arena, c.file, c.model, &d->options, &p)) return STATUS_WRONG;
  bool ok = bench(d, &p, &in);
  execute_dispose(&p);
  return ok ? STATUS_DONE : STATUS_WRONG;
}
