/* check_file FILE...: prints the diagnostics of each file; with --dump the models too.  Exit 1 on errors. */
#include <stdio.h>
#include <string.h>

#include "front/parse.h"
#include "model/check.h"
#include "model/term.h"

static bool check(const char *path, bool dump) {
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
  const File *file = parse_file(&arena, &names, &diags, source);
  const ModelFile *models = check_file(&arena, &names, &diags, source, file);
  diag_print(&diags, stderr);
  for (uint32_t i = 0; dump && i < models->models.n; i++) model_print(models->models.at[i], stdout);
  bool good = !diags.errors;
  arena_free(&arena);
  return good;
}

int main(int argc, char **argv) {
  bool good = true, dump = false;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--dump")) dump = true;
    else good &= check(argv[i], dump);
  return good ? 0 : 1;
}
