/* watch: see watch.h.
 *
 * Which latent it was is found by running again, up to the step after which F was lost, with the latents as outputs. */
#include "driver/watch.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver/message.h"
#include "driver/watch_line.h"
#include "model/term.h"

/* ---- outputs that are added --------------------------------------------------------------------------- */

static Index *new_index(Model *m, const char *name, Term *lo, Term *hi, Span span) {
  Index *i = NEW(m->arena, Index);
  *i = (Index){.id = m->index_count++,
               .name = intern_str(m->names, name),
               .span = span,
               .role = INDEX_OUTPUT,
               .range = {.kind = RANGE_INTERVAL, .span = span, .lo = lo, .hi = hi}};
  return i;
}

static Out *new_out(Model *m, const char *name, Term *value) {
  Out *o = NEW(m->arena, Out);
  *o = (Out){
      .id = m->outs.n, .name = intern_str(m->names, name), .span = value->span, .value = value, .type = TYPE_REAL};
  vec_push(m->arena, &m->outs, o);
  return o;
}

static Model *copy_of(Arena *arena, const Model *m) {
  Model *copy = NEW(arena, Model);
  *copy = *m;
  memset(&copy->outs, 0, sizeof copy->outs);
  return copy;
}

/* The most steps of any line; NULL: inputs decide. */
static Term *most_steps(const Model *m) {
  Term *most = NULL;
  for (uint32_t i = 0; i < m->infers.n; i++) {
    const Infer *line = m->infers.at[i];
    if (line->method != INFER_COLLAPSED) continue;
    if (!term_is_of_sizes(line->steps)) return NULL;
    most = most ? term_op2(m->arena, OP_MAX, most, line->steps, line->span) : line->steps;
  }
  return most;
}

static Model *with_bound(Arena *arena, const Model *m) {
  Term *steps = most_steps(m);
  if (!steps) return NULL;
  Model *copy = copy_of(arena, m);
  for (uint32_t i = 0; i < m->outs.n; i++) vec_push(arena, &copy->outs, m->outs.at[i]);
  Span span = m->span;
  Term *end = term_op2(arena, OP_ADD, steps, term_int(arena, 1, span), span);
  Index *step = new_index(copy, "step", term_int(arena, 0, span), end, span);
  TermVec args = {0};
  vec_push(arena, &args, term_index(arena, step, span));
  Out *o = new_out(copy, "F.of.every.step", term_query(arena, QUERY_ELBO, TYPE_REAL, &args, span));
  vec_push(arena, &o->slots, step);
  return copy;
}

Watch watch_model(Arena *arena, const Loaded *l, const Model *m, const Options *o) {
  Watch w = {arena, l, o, m, m};
  Model *copy = m->latents.n && model_is_exact(m) ? with_bound(arena, m) : NULL;
  Diags *refusals;
  if (copy && execute_derive(arena, l, copy, o, &refusals)) w.watched = copy;
  return w;
}

/* ---- numbers --------------------------------------------------------------------------- */

static double number_at(const AttnArray *a, int64_t k) {
  return a->type == ELEMTYPE_F64 ? ((const double *)a->data)[k] : (double)((const float *)a->data)[k];
}

static bool holds_only_numbers(const AttnArray *a) {
  if (a->type != ELEMTYPE_F32 && a->type != ELEMTYPE_F64) return true;
  for (int64_t k = 0, n = array_count(a); k < n; k++)
    if (isnan(number_at(a, k))) return false;
  return true;
}

static bool inputs_are_numbers(const Inputs *in) {
  for (uint32_t i = 0; i < in->model->inputs.n; i++)
    if (in->model->inputs.at[i]->elem != ELEM_GRAPH && in->at[i].data.data && !holds_only_numbers(&in->at[i].data))
      return false;
  return true;
}

/* ---- which latent --------------------------------------------------------------------------- */

static bool of_sizes(const IndexVec *v) {
  for (uint32_t i = 0; i < v->n; i++) {
    const Range *r = &v->at[i]->range;
    if (r->kind != RANGE_INTERVAL || !term_is_of_sizes(r->lo) || !term_is_of_sizes(r->hi)) return false;
  }
  return true;
}

static void name_all(Model *m, Out *o, TermVec *args, const IndexVec *v) {
  for (uint32_t i = 0; i < v->n; i++) {
    Index *x = new_index(m, sym_text(m->names, v->at[i]->name), v->at[i]->range.lo, v->at[i]->range.hi, v->at[i]->span);
    vec_push(m->arena, &o->slots, x);
    vec_push(m->arena, args, term_index(m->arena, x, x->span));
  }
}

/* The latents after `steps` steps; false: it cannot be told. */
static bool run_up_to(const Watch *w, const Inputs *in, int64_t steps, Results *r) {
  Model *m = copy_of(w->arena, w->model);
  memset(&m->infers, 0, sizeof m->infers);
  for (uint32_t i = 0; i < w->model->infers.n; i++) {
    Infer *line = NEW(w->arena, Infer);
    *line = *w->model->infers.at[i];
    if (line->steps && line->method == INFER_COLLAPSED)
      line->steps = term_op2(w->arena, OP_MIN, line->steps, term_int(w->arena, steps, line->span), line->span);
    vec_push(w->arena, &m->infers, line);
  }
  for (uint32_t i = 0; i < m->latents.n; i++) {
    Latent *z = m->latents.at[i];
    if (!of_sizes(&z->plates) || !of_sizes(&z->own) || !of_sizes(&z->axes)) return false;
    Out *o = new_out(m, sym_text(m->names, z->name), term_int(w->arena, 0, z->span));
    TermVec args = {0};
    name_all(m, o, &args, &z->plates);
    name_all(m, o, &args, &z->own);
    name_all(m, o, &args, &z->axes);
    o->value = term_ref(w->arena, TERM_LATENT, z, &args, z->span);
  }
  Inputs again = *in;
  again.model = m;
  Program p;
  Options quiet = *w->options;
  bool ok = execute_compile(w->arena, w->file, m, &quiet, in->sizes, &p) &&
            execute_run(w->arena, &p, &again, w->options->seed, r);
  execute_dispose(&p);
  return ok;
}

/* 'mu', 'w': those that are no numbers, or if none is, all. */
static const char *lost_latents(const Watch *w, const Inputs *in, int64_t step, const Infer **line) {
  Results r;
  const Model *m = w->model;
  bool told = run_up_to(w, in, step, &r), some = false;
  for (uint32_t i = 0; told && i < m->latents.n; i++) some = some || !holds_only_numbers(&r.at[i]);
  const char *names = NULL;
  for (uint32_t i = 0; i < m->latents.n; i++) {
    if (some && holds_only_numbers(&r.at[i])) continue;
    if (!names) *line = m->latents.at[i]->infer;
    const char *name = sym_text(m->names, m->latents.at[i]->name);
    names = names ? arena_printf(w->arena, "%s, '%s'", names, name) : arena_printf(w->arena, "'%s'", name);
  }
  return names;
}

static void tell_lost(const Watch *w, const Inputs *in, int64_t step, double f) {
  const Infer *line = w->model->infers.at[0];
  const char *names = lost_latents(w, in, step, &line);
  Diags *diags = load_messages(w->arena, w->file);
  const char *what = isnan(f) ? "no number" : "infinite";
  Diag *d = step ? diag_error(diags, line->span, "the bound is %s after step %lld of inference, in %s", what,
                              (long long)step, names)
                 : diag_error(diags, line->span, "the bound is %s at the start of %s, before any step", what, names);
  if (isnan(f))
    diag_hint(diags, d, "a smaller 'rate', a start inside the range, scales that are positive, weights that are not "
              "negative");
  else
    diag_hint(diags, d,
              "a latent has reached a place where its density has no largest value: a prior holds it off, or 'q = "
              "conjugate'");
  diag_print(diags, message_stream());
}

/* ---- warnings --------------------------------------------------------------------------- */

static void tell_fall(const Watch *w, const AttnArray *f, int64_t step) {
  Diags *diags = load_messages(w->arena, w->file);
  const Infer *line = gradient_line(w->arena, w->model);
  Span at = line ? line->span : w->model->latents.at[0]->infer->span;
  Diag *d = diag_warning(diags, at, "the bound fell in step %lld of inference, from %.9g to %.9g", (long long)step,
                         number_at(f, step - 1), number_at(f, step));
  diag_hint(diags, d,
            line ? "its step goes along the gradient, and is too long: a smaller 'rate'"
                 : "a closed step never lowers it: f32 has not enough digits here; try --precision=f64");
  diag_print(diags, message_stream());
}

static const Infer *line_with_tol(const Model *m) {
  for (uint32_t i = 0; i < m->infers.n; i++) {
    const Infer *line = m->infers.at[i];
    bool zero = line->method == INFER_COLLAPSED && ((line->tol->kind == TERM_REAL && line->tol->real == 0) ||
                                                    (line->tol->kind == TERM_INT && line->tol->integer == 0));
    if (line->method == INFER_COLLAPSED && !zero) return line;
  }
  return NULL;
}

static void tell_unsettled(const Watch *w, const Infer *line, double before, double after, int64_t steps) {
  Diags *diags = load_messages(w->arena, w->file);
  Diag *d = diag_warning(
      diags, line->span,
      "inference had not come to rest before the last of its %lld steps, in which the bound went from %.9g to %.9g",
      (long long)steps, before, after);
  diag_hint(diags, d, "more 'steps', or a larger 'tol'");
  diag_print(diags, message_stream());
}

/* By how much F may seem to change from one step to the next for want of digits. */
static double digits_of(const AttnArray *f, int64_t step) {
  double size = 1 + fmax(fabs(number_at(f, step)), fabs(number_at(f, step - 1)));
  return isfinite(size) ? (f->type == ELEMTYPE_F64 ? 1e-12 : 1e-6) * size : 0;
}

const AttnArray *watch_bound(const Watch *w, const Results *r) {
  return w->watched == w->model ? NULL : &r->at[w->watched->outs.n - 1];
}

int64_t watch_fall(const AttnArray *f) {
  for (int64_t s = 1; s < array_count(f); s++)
    if (number_at(f, s) < number_at(f, s - 1) - digits_of(f, s)) return s;
  return 0;
}

bool watch_results(const Watch *w, const Inputs *in, const Results *r) {
  const AttnArray *f = watch_bound(w, r);
  if (!f) return true;
  int64_t n = array_count(f);
  for (int64_t s = 0; s < n; s++) {
    double x = number_at(f, s);
    if (!isnan(x) && x != INFINITY) continue;
    if (!inputs_are_numbers(in)) return true; /* what is no number comes from the data */
    tell_lost(w, in, s, x);
    return false;
  }
  if (watch_fall(f)) tell_fall(w, f, watch_fall(f));
  const Infer *line = line_with_tol(w->model);
  if (line && n > 1 && fabs(number_at(f, n - 1) - number_at(f, n - 2)) > digits_of(f, n - 1))
    tell_unsettled(w, line, number_at(f, n - 2), number_at(f, n - 1), n - 1);
  return true;
}

/* ---- progress --------------------------------------------------------------------------- */

static pthread_t ticker;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop = PTHREAD_COND_INITIALIZER;
static bool ticking, over;

static void *tick(void *names) {
  double start = seconds_now();
  bool shown = false;
  pthread_mutex_lock(&gate);
  while (!over) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec++;
    if (pthread_cond_timedwait(&stop, &gate, &at) == 0) continue;
    fprintf(stderr, "\rinferring %s: %.0f s ", (const char *)names, seconds_now() - start);
    shown = true;
  }
  if (shown) fputs("\r\033[K", stderr);
  pthread_mutex_unlock(&gate);
  return NULL;
}

void watch_progress(const Watch *w) {
  if (!w->model->latents.n || !isatty(STDERR_FILENO)) return;
  const char *names = NULL;
  for (uint32_t i = 0; i < w->model->latents.n; i++) {
    const char *name = sym_text(w->model->names, w->model->latents.at[i]->name);
    names = names ? arena_printf(w->arena, "%s, %s", names, name) : name;
  }
  over = false;
  ticking = pthread_create(&ticker, NULL, tick, (void *)names) == 0;
}

void watch_quiet(void) {
  if (!ticking) return;
  pthread_mutex_lock(&gate);
  over = true;
  pthread_cond_signal(&stop);
  pthread_mutex_unlock(&gate);
  pthread_join(ticker, NULL);
  ticking = false;
}
