/* attn run: bind, check what can be checked, compile, run, write. */
#include "driver/cache_folder.h"
#include "driver/execute.h"
#include "driver/limit.h"
#include "driver/output.h"
#include "driver/precheck.h"
#include "driver/watch.h"

static int run_program(Driver *d, const Watch *w, const Program *p, const Inputs *in) {
  Results r;
  watch_progress(w);
  bool ok = execute_run(d->arena, p, in, d->options.seed, &r);
  watch_quiet();
  if (ok && d->options.time)
    fprintf(stderr, "compile %.3f ms, run %.3f ms\n", 1e3 * p->compile_seconds, 1e3 * r.seconds);
  if (!ok || !watch_results(w, in, &r)) return STATUS_WRONG;
  r.model = w->model; /* its outputs come first */
  return output_results(d->arena, &r, d->options.output) ? STATUS_DONE : STATUS_WRONG;
}

int verb_run(Driver *d) {
  Chosen c;
  Inputs in;
  Program p;
  int status;
  const WordVec *words = &d->options.words;
  if (!load_model(d, &c, &status)) return status;
  if (!output_plan(c.model, d->options.output)) return STATUS_WRONG;
  Watch w = watch_model(d->arena, c.file, c.model, &d->options);
  status = bind_inputs(d->arena, w.watched, d->options.f64, words->at + c.used, words->n - c.used, BIND_ALL, &in);
  if (status || !precheck(d->arena, c.file, &in) || !limit_holds(d->arena, c.file, &in, d->options.max_cost))
    return STATUS_WRONG;
  if (!d->options.no_cache) d->options.cache = cache_folder(d->arena);
  if (!execute_compile(d->arena, c.file, w.watched, &d->options, in.sizes, &p)) return STATUS_WRONG;
  status = run_program(d, &w, &p, &in);
  execute_dispose(&p);
  return status;
}
