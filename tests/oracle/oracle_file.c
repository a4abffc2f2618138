/* oracle_file [--seed=S] [--trials=T] [--print] FILE...: draws inputs for every model of the files and runs
 * the oracle.  Says what was drawn, how much it cost, which outputs are not judged.  Exit 1 on any error. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/parse.h"
#include "model/check.h"
#include "oracle/draw.h"

typedef struct Options { uint64_t seed; int trials; bool print; } Options;

static void print_output(const Model *m, const Out *out, const OutputArray *a) {
  printf("    %s", sym_text(m->names, out->name));
  if (!a) {
    printf(": not judged\n");
    return;
  }
  for (uint32_t k = 0; k < a->rank; k++) printf("%s%lld", k ? ", " : " [", (long long)a->dims[k]);
  printf("%s:", a->rank ? "]" : "");
  for (int64_t k = 0; k < a->count && k < 8; k++)
    if (a->integer) printf(" %lld", (long long)a->integer[k]);
    else printf(" %.10g", a->real[k]);
  printf("%s\n", a->count > 8 ? " ..." : "");
}

static int64_t nans(const OutputArray *a) {
  int64_t n = 0;
  for (int64_t k = 0; a && a->real && k < a->count; k++) n += isnan(a->real[k]);
  return n;
}

static bool trial(const Model *m, uint64_t seed, bool print) {
  Arena arena;
  arena_init(&arena, NULL);
  Binding bound;
  OutputArray **outs;
  char *why;
  OracleLimits limits = {.max_values = 4e5, .max_steps = 2e7};
  DrawOptions options = {.runs = &limits};
  const char *name = sym_text(m->names, m->name);
  bool ok = draw_binding(&arena, m, seed, &options, &bound, &why);
  if (!ok) printf("  %s: cannot draw: %s\n", name, why);
  if (ok && !oracle_run(&arena, m, &bound, &limits, &outs, NULL, &why)) {
    printf("  %s: %s\n", name, why);
    ok = false;
  }
  if (ok) {
    printf("  %s(", name);
    for (uint32_t k = 0; k < m->sizes.n; k++)
      printf("%s%s=%lld", k ? ", " : "", sym_text(m->names, m->sizes.at[k]->name), (long long)bound.sizes[k]);
    printf(")\n");
    for (uint32_t k = 0; k < m->outs.n; k++) {
      if (print || !outs[k]) print_output(m, m->outs.at[k], outs[k]);
      if (nans(outs[k]))
        printf("    %s: %lld NaN\n", sym_text(m->names, m->outs.at[k]->name), (long long)nans(outs[k]));
    }
  }
  arena_free(&arena);
  return ok;
}

static bool run_file(const char *path, const Options *o) {
  Arena arena;
  arena_init(&arena, NULL);
  const char *why = "";
  Source *source = source_read(&arena, path, &why);
  if (!source) {
    fprintf(stderr, "%s\n", why);
    arena_free(&arena);
    return false;
  }
  Interner names;
  Diags diags;
  intern_init(&names, &arena);
  diag_init(&diags, &arena, source);
  const ModelFile *models = check_file(&arena, &names, &diags, source, parse_file(&arena, &names, &diags, source));
  diag_print(&diags, stderr);
  printf("%s\n", path);
  bool good = !diags.errors;
  for (uint32_t i = 0; i < models->models.n; i++)
    for (int t = 0; t < o->trials; t++) good &= trial(models->models.at[i], o->seed + (uint64_t)t, o->print);
  arena_free(&arena);
  return good;
}

int main(int argc, char **argv) {
  Options o = {.seed = 0, .trials = 1};
  bool good = true;
  for (int i = 1; i < argc; i++) {
    if (!strncmp(argv[i], "--seed=", 7)) o.seed = strtoull(argv[i] + 7, NULL, 10);
    else if (!strncmp(argv[i], "--trials=", 9)) o.trials = atoi(argv[i] + 9);
    else if (!strcmp(argv[i], "--print")) o.print = true;
    else good &= run_file(argv[i], &o);
  }
  return good ? 0 : 1;
}
