/* attn verify: the compiled model against enumeration, on random inputs.
 *
 * Every trial draws sizes and inputs that f32 holds exactly and runs the oracle once; kernels of both precisions
 * see the same numbers.  An f32 result may be off by what rounding does to the largest log weight and, beyond
 * that, by as much as the f64 kernel itself moves when its inputs change by a rounding: near-ties and cancellation
 * amplify that for any program.  In f64 that holds for modes alone: weights that are equal up to rounding only.
 *
 * Means of bf16 values for which the kernel rounds the weights may be off by that too: see distance_allowed_rounded.
 *
 * Of models with latents F after every step is judged too, and where all steps are closed, that it never falls. */
#include <math.h>
#include <unistd.h>

#include "driver/compare.h"
#include "driver/execute.h"
#include "driver/precheck.h"
#include "driver/verify_input.h"
#include "driver/watch.h"
#include "driver/watch_line.h"
#include "oracle/distance.h"
#include "oracle/draw.h"
#include "tile/tile.h"

enum { BF16_BITS = 8 }; /* significant */
enum { TRIALS = 20, PERTURBED_RUNS = 4, DRAWS = 400 };
static const double TOLERANCE_F64 = 1e-10, ROUNDING[] = {0x1p-23, 0x1p-52}, EXCUSE = 8;
static const double DRAW_SECONDS = 10;
/* Sizes that the user gives are worth waiting for. */
static const OracleLimits LIMITS = {.max_values = 4e5, .max_steps = 2e7},
                          LIMITS_FIXED = {.max_values = 1e7, .max_steps = 2e9};

typedef struct Score {
  double worst, allowed;
  int excused;
} Score; /* allowed: the largest of all trials so far */

typedef struct Verify {
  Driver *d;
  Chosen chosen;
  const Model *model;   /* with F of every step */
  Watch watch;
  bool rises;           /* F never falls */
  Inputs given;
  OracleLimits limits;
  Program program[2];   /* f32, f64 */
  bool compiled, use[2];
  Score *score[2];      /* by Out.id */
  int *unjudged;        /* by Out.id: trials */
  bool *rounds;         /* by Out.id: in f32 it is made from weights rounded to bf16 */
  double max_log_w;     /* of this trial */
  int trials, lost;     /* lost: runs, one a precision, in which F became infinite or no number */
} Verify;

static const char *const PRECISION[] = {"f32", "f64"};

/* What the user knows an output by: the one that is added is no name of the model. */
static const char *output_name(const Verify *v, uint32_t out) {
  bool own = out < v->chosen.model->outs.n;
  return own ? sym_text(v->model->names, v->model->outs.at[out]->name) : "F after every step";
}

/* ---- a mismatch ------------------------------------------------------------------------------------------- */

static void say_how_to_repeat(const Verify *v, const Binding *b, uint64_t seed) {
  const WordVec *words = &v->d->options.words;
  fprintf(stderr, "  sizes: %s\n  again: attn verify", precheck_sizes(v->d->arena, v->model, b->sizes));
  for (uint32_t i = 0; i < words->n; i++) fprintf(stderr, " %s", words->at[i]);
  if (v->d->options.has_precision) fprintf(stderr, " --precision=%s", PRECISION[v->use[1]]);
  if (v->d->options.tol > 0) fprintf(stderr, " --tol=%g", v->d->options.tol);
  fprintf(stderr, " --trials=1 --seed=%llu\n", (unsigned long long)seed);
}

static void print_index(const OutputArray *a, int64_t at) {
  int64_t index[ARRAY_RANK_MAX];
  for (uint32_t k = a->rank; k-- > 0; at /= a->dims[k] ? a->dims[k] : 1) index[k] = a->dims[k] ? at % a->dims[k] : 0;
  for (uint32_t k = 0; k < a->rank; k++) fprintf(stderr, "%s%lld", k ? ", " : "[", (long long)index[k]);
  if (a->rank) fputc(']', stderr);
}

static double value_at(const AttnArray *a, int64_t at) {
  int64_t index[ARRAY_RANK_MAX];
  for (int k = a->rank - 1; k >= 0; at /= a->shape[k--]) index[k] = at % a->shape[k];
  return array_get_f64(a, index);
}

static void say_mismatch(const Verify *v, uint32_t out, int p, double error, double allowed, const AttnArray *got,
                         const OutputArray *want, int64_t at) {
  const char *name = output_name(v, out);
  wrong("output '%s' at %s is off by %.3g, allowed is %.3g", name, PRECISION[p], error, allowed);
  if (at < 0) return;
  fputs("  e.g. ", stderr);
  fputs(name, stderr);
  print_index(want, at);
  fprintf(stderr, ": compiled %.10g, by enumeration %.10g\n", value_at(got, at),
          want->real ? want->real[at] : (double)want->integer[at]);
}

/* ---- a trial ------------------------------------------------------------------------------------------------ */

/* How far output `out` of the f64 kernel moves under changes of the inputs by a rounding of this precision. */
static double sensitivity(Verify *v, Arena *arena, const Binding *b, uint32_t out, int precision) {
  const Program *p = &v->program[1];
  Results plain, moved;
  Inputs in = verify_inputs(arena, v->model, b, true, 0, 0);
  double worst = 0;
  if (!p->code || !execute_run(arena, p, &in, b->seed, &plain)) return 0;
  for (int k = 0; k < PERTURBED_RUNS; k++) {
    in = verify_inputs(arena, v->model, b, true, ROUNDING[precision], 1000 * (k + 1));
    if (!execute_run(arena, p, &in, b->seed, &moved)) return worst;
    double d = compare_runs(&plain.at[out], &moved.at[out]);
    if (d > worst) worst = d;
  }
  return worst;
}

/* Of the values that a mean with rounded weights may be of. */
static double largest_half(const Verify *v, const Binding *b) {
  double most = 0;
  for (uint32_t k = 0; k < v->model->inputs.n; k++) {
    const BoundInput *x = &b->inputs[k];
    for (int64_t n = 0; v->model->inputs.at[k]->elem == ELEM_BF16 && n < x->count; n++)
      if (isfinite(x->real[n])) most = fmax(most, fabs(x->real[n]));
  }
  return most;
}

static double allowed_error(const Verify *v, const Binding *b, int p, uint32_t out) {
  double tol = v->d->options.tol;
  if (p == 1) return tol > 0 ? tol : TOLERANCE_F64;
  double allowed = distance_allowed_f32(v->max_log_w);
  if (v->rounds[out]) allowed += distance_allowed_rounded(BF16_BITS, largest_half(v, b));
  return fmax(allowed, tol);
}

static bool judge(Verify *v, Arena *arena, const Binding *b, int p, uint32_t out, const AttnArray *got,
                  const OutputArray *want) {
  int64_t at;
  Score *s = &v->score[p][out];
  double error = compare_output(got, want, &at), real = allowed_error(v, b, p, out), allowed = want->real ? real : 0;
  s->allowed = fmax(s->allowed, real);
  bool ok = error <= allowed;
  if (!ok && (p == 0 || !want->real) && error <= allowed + EXCUSE * sensitivity(v, arena, b, out, p)) {
    s->excused++;
    return true;
  }
  if (error > s->worst) s->worst = error;
  if (!ok) say_mismatch(v, out, p, error, allowed, got, want, at);
  return ok;
}

static bool bound_rises(const Verify *v, int p, const Results *r) {
  const AttnArray *f = watch_bound(&v->watch, r);
  int64_t step = f ? watch_fall(f) : 0;
  if (step)
    wrong("the bound falls in step %lld at %s, from %.10g to %.10g, though the step is closed", (long long)step,
          PRECISION[p], value_at(f, step - 1), value_at(f, step));
  return !step;
}

/* F is no number or +inf after the same step on both sides, for the first time: a run of these inputs is refused, and
 * what inf - inf makes of the outputs after that step is no result of the model. */
static bool bound_is_lost(const Verify *v, const Results *r, OutputArray **want) {
  const AttnArray *got = watch_bound(&v->watch, r);
  const OutputArray *f = got ? want[v->model->outs.n - 1] : NULL;
  int64_t step = 0;
  while (f && step < f->count && f->real[step] < INFINITY && value_at(got, step) < INFINITY) step++;
  return f && step < f->count && !(f->real[step] < INFINITY) && !(value_at(got, step) < INFINITY);
}

static bool run_precision(Verify *v, Arena *arena, const Binding *b, int p, OutputArray **want) {
  Results r;
  Inputs in = verify_inputs(arena, v->model, b, p == 1, 0, 0);
  if (!execute_run(arena, &v->program[p], &in, b->seed, &r)) {
    wrong("the kernel at %s fails where enumeration does not", PRECISION[p]);
    return false;
  }
  if (bound_is_lost(v, &r, want)) {
    v->lost++;
    return true;
  }
  bool ok = !v->rises || bound_rises(v, p, &r);
  for (uint32_t k = 0; k < v->model->outs.n; k++)
    if (want[k]) ok = judge(v, arena, b, p, k, &r.at[k], want[k]) && ok;
  return ok;
}

static bool draw(Verify *v, Arena *arena, uint64_t seed, Binding *b) {
  char *why = NULL;
  DrawOptions options = {.sizes = v->given.sizes, .round_f32 = true};
  if (!draw_binding(arena, v->model, seed, &options, b, &why)) {
    wrong("no inputs were found that '%s' allows: %s", sym_text(v->model->names, v->model->name), why);
    return false;
  }
  verify_fix_inputs(arena, &v->given, b);
  return true;
}

/* Inputs and what enumeration makes of them.  A draw that the model does not allow, or that is too large to
 * enumerate, is followed by others, for a while. */
static bool draw_and_enumerate(Verify *v, Arena *arena, uint64_t seed, Binding *b, OutputArray ***want) {
  char *why = NULL;
  double start = seconds_of_processor();
  for (uint64_t k = 0; k < DRAWS && seconds_of_processor() - start < DRAW_SECONDS; k++) {
    if (!draw(v, arena, seed + (k << 32), b)) return false;
    b->seed = seed;
    if (oracle_run(arena, v->model, b, &v->limits, want, &v->max_log_w, &why)) return true;
  }
  fprintf(stderr, "%s\n", why);
  wrong("no inputs were found on which '%s' can be enumerated", sym_text(v->model->names, v->model->name));
  return false;
}

static bool run_trial(Verify *v, Arena *arena, uint64_t seed) {
  Binding b;
  OutputArray **want;
  if (!draw_and_enumerate(v, arena, seed, &b, &want)) return false;
  bool ok = true;
  for (uint32_t k = 0; k < v->model->outs.n; k++) v->unjudged[k] += !want[k];
  for (int p = 1; p >= 0 && v->compiled; p--)
    if (v->use[p]) ok = run_precision(v, arena, &b, p, want) && ok;
  if (!ok) say_how_to_repeat(v, &b, seed);
  return ok;
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */

static void say_refusals(const Diags *refusals) {
  puts("the compiled side is not available; the model is only enumerated");
  for (uint32_t i = 0; i < refusals->list.n; i++) {
    Place at = source_place(refusals->source, refusals->list.at[i]->span.lo);
    printf("  %s:%u:%u: %s\n", refusals->source->path, at.line, at.column, refusals->list.at[i]->text);
  }
}

static void find_rounded(Verify *v) {
  Options o = v->d->options;
  o.f64 = false;
  BackOptions options = execute_back_options(&o);
  const TilePlan *plan = back_tile_plan(v->d->arena, v->program[0].kernel, &options);
  for (uint32_t k = 0; plan && k < v->model->outs.n; k++) v->rounds[k] = tile_rounds(v->d->arena, plan, k);
}

static bool compile(Verify *v) {
  Diags *refusals;
  Arena *arena = v->d->arena;
  if (!execute_derive(arena, v->chosen.file, v->model, &v->d->options, &refusals)) {
    say_refusals(refusals);
    return true;
  }
  for (int p = 0; p < 2; p++) {
    Options o = v->d->options;
    o.f64 = p == 1;
    if (!execute_compile(arena, v->chosen.file, v->model, &o, NULL, &v->program[p])) return false;
  }
  v->compiled = true;
  find_rounded(v);
  return true;
}

static void progress(const Verify *v, int done, double start) {
  if (isatty(STDERR_FILENO) && seconds_now() - start > 1)
    fprintf(stderr, "\r%d of %d trials%s", done, v->trials, done < v->trials ? "" : "\n");
}

static bool run_trials(Verify *v) {
  double start = seconds_now();
  bool ok = true;
  for (int t = 0; t < v->trials && ok; t++) {
    Arena *arena = arena_child(v->d->arena);
    ok = run_trial(v, arena, v->d->options.seed + (uint64_t)t);
    arena_child_free(arena);
    progress(v, t + 1, start);
  }
  return ok;
}

static void report(const Verify *v) {
  const Model *m = v->model;
  printf("model %s: %d trials from seed %llu\n", sym_text(m->names, m->name), v->trials,
         (unsigned long long)v->d->options.seed);
  for (uint32_t k = 0; k < m->outs.n; k++) {
    printf("  %s:", output_name(v, k));
    if (v->unjudged[k] == v->trials) {
      puts(" not judged (draws, named approximations and slopes where a function bends have no single right answer)");
      continue;
    }
    if (!v->compiled) fputs(" enumerated", stdout);
    for (int p = 1; p >= 0 && v->compiled; p--) {
      const Score *s = &v->score[p][k];
      if (v->use[p]) printf(" %s worst %.2g of %.2g", PRECISION[p], s->worst, s->allowed);
      if (v->use[p] && s->excused) printf(" (%d excused by rounding)", s->excused);
      if (p == 1 && v->use[0] && v->use[1]) putchar(',');
    }
    if (v->unjudged[k]) printf(" (%d trials not judged: no single right answer)", v->unjudged[k]);
    if (v->rises && m->outs.at[k]->id + 1 == m->outs.n) fputs("; it never falls", stdout);
    putchar('\n');
  }
  if (v->lost)
    printf("  not judged: %d of %d runs, in which the bound becomes infinite; 'attn run' refuses these inputs\n",
           v->lost, v->trials * (v->use[0] + v->use[1]));
}

static void prepare(Verify *v) {
  const Options *o = &v->d->options;
  Arena *arena = v->d->arena;
  uint32_t n = v->model->outs.n;
  for (int p = 0; p < 2; p++) v->score[p] = NEW_ARRAY(arena, Score, n);
  v->unjudged = NEW_ARRAY(arena, int, n);
  v->trials = o->trials ? o->trials : TRIALS;
  v->rounds = NEW_ARRAY(arena, bool, n);
  v->use[0] = !o->has_precision || !o->f64;
  v->use[1] = !o->has_precision || o->f64;
  v->limits = o->words.n > v->chosen.used ? LIMITS_FIXED : LIMITS;
  if (v->model->latents.n) v->limits.sloped = gradient_latents(arena, v->model);
}

int verb_verify(Driver *d) {
  Verify v = {.d = d};
  int status;
  const WordVec *words = &d->options.words;
  if (!load_model(d, &v.chosen, &status)) return status;
  v.watch = watch_model(d->arena, v.chosen.file, v.chosen.model, &d->options);
  v.model = v.watch.watched;
  v.rises = v.model != v.chosen.model && steps_are_closed(d->arena, v.chosen.model);
  uint32_t used = v.chosen.used;
  status = bind_inputs(d->arena, v.model, false, words->at + used, words->n - used, BIND_GIVEN, &v.given);
  if (status || !precheck(d->arena, v.chosen.file, &v.given)) return STATUS_WRONG;
  prepare(&v);
  bool ok = compile(&v) && run_trials(&v);
  if (ok) report(&v);
  for (int p = 0; p < 2; p++) execute_dispose(&v.program[p]);
  return ok ? STATUS_DONE : STATUS_WRONG;
}
