/* explain_file [--json] [--kernel] FILE [MODEL] [SIZE=N...]: what `attn explain` prints, without the driver; with
 * --kernel also the reduction IR that the costs are counted in.  Exit 1 on errors in the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain/explain.h"
#include "front/parse.h"
#include "infer/derive.h"
#include "ir/pass.h"
#include "model/check.h"

typedef struct Request { const char *path, *model; bool json, kernel; int nsizes; char **sizes; } Request;

static const Model *choose(const ModelFile *models, const Interner *names, const char *wanted) {
  for (uint32_t i = 0; i < models->models.n; i++)
    if (!wanted || !strcmp(sym_text(names, models->models.at[i]->name), wanted)) return models->models.at[i];
  return NULL;
}

static int64_t *read_sizes(Arena *arena, const Model *m, const Request *r) {
  int64_t *sizes = NEW_ARRAY(arena, int64_t, m->sizes.n);
  for (uint32_t i = 0; i < m->sizes.n; i++) {
    const char *name = sym_text(m->names, m->sizes.at[i]->name);
    sizes[i] = -1;
    for (int k = 0; k < r->nsizes; k++)
      if (!strncmp(r->sizes[k], name, strlen(name)) && r->sizes[k][strlen(name)] == '=')
        sizes[i] = strtoll(r->sizes[k] + strlen(name) + 1, NULL, 10);
  }
  return sizes;
}

static bool explain(Arena *arena, const Request *r) {
  const char *why = "";
  Source *source = source_read(arena, r->path, &why);
  if (!source) return fprintf(stderr, "%s\n", why), false;
  Interner names;
  Diags diags;
  intern_init(&names, arena);
  diag_init(&diags, arena, source);
  const File *file = parse_file(arena, &names, &diags, source);
  const ModelFile *models = check_file(arena, &names, &diags, source, file);
  diag_print(&diags, stderr);
  const Model *m = choose(models, &names, r->model);
  if (!m) return false;
  Plan *plan = plan_model(arena, m);
  Kernel *k = plan->refusals.n ? NULL : derive_kernel(arena, plan);
  if (k) k = ir_run_passes_with(arena, k, &(PassOptions){.as_derived = true}, NULL);
  if (k && r->kernel) ir_print(k, stdout);
  return explain_model(m, plan, k, read_sizes(arena, m, r), NULL, r->json, stdout);
}

int main(int argc, char **argv) {
  Request r = {.sizes = argv + argc};
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--json")) r.json = true;
    else if (!strcmp(argv[i], "--kernel")) r.kernel = true;
    else if (strchr(argv[i], '=')) {
      r.sizes = argv + i;
      r.nsizes = argc - i;
      break;
    } else if (!r.path) r.path = argv[i];
    else r.model = argv[i];
  if (!r.path) return 2;
  Arena arena;
  arena_init(&arena, NULL);
  bool good = explain(&arena, &r);
  arena_free(&arena);
  return good ? 0 : 1;
}
