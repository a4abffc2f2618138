/* attn bench: what a compiled model costs. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "driver/cost.h"
#include "driver/execute.h"
#include "driver/limit.h"
#include "driver/peak.h"
#include "driver/precheck.h"
#include "tile/tile.h"

enum { RUNS_MIN = 7, RUNS_MAX = 1000 };
static const double SECONDS_MAX = 2;  /* of measuring, once RUNS_MIN runs are done */
static const double SAMPLE_EVERY = 0.1; /* seconds between samples of what the machine can do */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The time of one call; negative after a message. */
static double time_call(Arena *arena, const Call *c) {
  attn_error err;
  double start = seconds_now();
  if (execute_call(c, &err)) return seconds_now() - start;
  execute_report(arena, c, &err);
  return -1;
}

/* The median time of a call, once a first one has touched all memory; negative after a message. */
static double measure(Arena *arena, const Call *c, Peak *peak, uint32_t *runs) {
  double *times = NEW_ARRAY(arena, double, RUNS_MAX), begin = seconds_now(), sampled = -1;
  uint32_t n = 0;
  if (time_call(arena, c) < 0) return -1;
  for (; n < RUNS_MAX && (n < RUNS_MIN || seconds_now() - begin < SECONDS_MAX); n++) {
    if (seconds_now() - sampled > SAMPLE_EVERY) peak_sample(peak), sampled = seconds_now();
    times[n] = time_call(arena, c);
    if (times[n] < 0) return -1;
  }
  peak_sample(peak);
  qsort(times, n, sizeof *times, by_value);
  *runs = n;
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

typedef struct Report {
  double seconds, bytes, operations, peak, bandwidth;
  uint32_t runs;
  const Program *program;
} Report;

/* No run takes less than the useful operations at the peak, nor than reading and writing everything once. */
typedef struct Roof { double seconds; const char *by; } Roof;

static Roof roof_of(const Report *r) {
  double flops = r->operations / r->peak, bytes = r->bytes / r->bandwidth;
  return flops >= bytes ? (Roof){flops, "flops"} : (Roof){bytes, "bytes"};
}

static void print_text(const Report *r, Roof roof) {
  double rate = r->operations / r->seconds;
  printf("%.6g ms (median of %u), %.4g GFLOP/s of a peak of %.4g (%.3g %%), %.4g GB/s of inputs and outputs of %.4g\n",
         1e3 * r->seconds, r->runs, 1e-9 * rate, 1e-9 * r->peak, 100 * rate / r->peak, 1e-9 * r->bytes / r->seconds,
         1e-9 * r->bandwidth);
  printf("bound by %s: %.6g ms, of which this is %.3g %%; compiled in %.4g ms\n", roof.by, 1e3 * roof.seconds,
         100 * roof.seconds / r->seconds, 1e3 * r->program->compile_seconds);
}

static void print_json(const Report *r, Roof roof) {
  double rate = r->operations / r->seconds;
  Json j = {.to = stdout};
  json_open(&j, NULL, '{');
  json_real(&j, "seconds", r->seconds);
  json_real(&j, "gflops", 1e-9 * rate);
  json_real(&j, "peak_gflops", 1e-9 * r->peak);
  json_real(&j, "fraction_of_peak", rate / r->peak);
  json_real(&j, "bytes_per_second", r->bytes / r->seconds);
  json_real(&j, "bandwidth_bytes_per_second", r->bandwidth);
  json_real(&j, "bound_seconds", roof.seconds);
  json_string(&j, "bound", roof.by);
  json_real(&j, "compile_seconds", r->program->compile_seconds);
  json_int(&j, "threads", execute_threads(r->program));
  json_int(&j, "runs", r->runs);
  json_close(&j, '}');
}

/* What the machine could do with the numbers that the kernel multiplies. */
static PeakKind peak_kind(Driver *d, const Program *p) {
  BackOptions options = execute_back_options(&d->options);
  const TilePlan *plan = back_tile_plan(d->arena, p->kernel, &options);
  if (d->options.f64) return PEAK_F64;
  return plan && tile_has_dots(plan) ? PEAK_DOT : PEAK_F32;
}

static bool bench(Driver *d, const Program *p, const Inputs *in) {
  Results r;
  Call call;
  if (!execute_prepare(d->arena, p, in, d->options.seed, &r, &call)) return false;
  Report report = {.bytes = traffic(in, &r), .program = p};
  Peak *peak = peak_open(peak_kind(d, p), execute_threads(p), report.bytes);
  if (!peak) return wrong("there is no memory to measure what this machine can do"), false;
  report.seconds = measure(d->arena, &call, peak, &report.runs);
  report.peak = peak_operations(peak);
  report.bandwidth = peak_bandwidth(peak);
  peak_close(peak);
  if (report.seconds < 0) return false;
  report.seconds = fmax(report.seconds, 1e-9);
  report.operations = cost_operations(d->arena, p->model, in->sizes, in);
  Roof roof = roof_of(&report);
  if (d->options.json) print_json(&report, roof);
  else print_text(&report, roof);
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
  if (status || !precheck(d->arena, c.file, &in) || !limit_holds(d->arena, c.file, &in, d->options.max_cost))
    return STATUS_WRONG;
  if (!execute_compile(d->arena, c.file, c.model, &d->options, in.sizes, &p)) return STATUS_WRONG;
  bool ok = bench(d, &p, &in);
  execute_dispose(&p);
  return ok ? STATUS_DONE : STATUS_WRONG;
}
