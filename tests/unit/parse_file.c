/* parse_file: prints the syntax errors of one file, as `attn check` does, and with --tree its tree, with
 * --format its canonical layout.  Exit status 1 when there are errors. */
#include <stdio.h>
#include <string.h>

#include "front/ast_print.h"
#include "front/format.h"
#include "front/parse.h"

int main(int argc, char **argv) {
  const char *path = argv[argc - 1], *why = NULL;
  bool tree = argc > 2 && !strcmp(argv[1], "--tree"), format = argc > 2 && !strcmp(argv[1], "--format");
  Arena arena;
  Interner names;
  Diags diags;
  arena_init(&arena, NULL);
  intern_init(&names, &arena);
  Source *source = argc > 1 ? source_read(&arena, path, &why) : NULL;
  if (!source) {
    fprintf(stderr, "%s\n", why ? why : "usage: parse_file [--tree | --format] FILE");
    arena_free(&arena);
    return 2;
  }
  diag_init(&diags, &arena, source);
  File *file = format ? NULL : parse_file(&arena, &names, &diags, source);
  size_t size = 0;
  char *text = format ? format_source(&arena, &names, &diags, source, &size) : NULL;
  if (text) fwrite(text, 1, size, stdout);
  if (tree) ast_print(file, &names, stdout);
  diag_print(&diags, stderr);
  int status = diags.errors != 0;
  arena_free(&arena);
  return status;
}
