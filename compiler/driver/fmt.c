/* attn fmt: files in the canonical layout, rewritten in place and whole. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "driver/load.h"
#include "front/format.h"

/* Beside the file, then renamed, so that a reader sees the old text or the new one.  A link stays a link. */
static bool replace(Arena *arena, const char *path, const char *text, size_t n) {
  char *real = realpath(path, NULL);
  struct stat st;
  const char *target = real ? arena_strndup(arena, real, strlen(real)) : path;
  free(real);
  char *beside = arena_printf(arena, "%s.XXXXXX", target);
  int file = mkstemp(beside);
  bool ok = file >= 0 && stat(target, &st) == 0 && fchmod(file, st.st_mode & 07777) == 0 &&
            fd_write(file, text, n) && fsync(file) == 0;
  int why = errno;
  if (file >= 0 && close(file) && ok) ok = false, why = errno;
  if (ok && rename(beside, target)) ok = false, why = errno;
  if (!ok) wrong("cannot write '%s': %s", path, strerror(why));
  if (!ok && file >= 0) unlink(beside);
  return ok;
}

/* NULL after messages. */
static char *formatted(Driver *d, const char *path, const Source **source, size_t *n) {
  const char *why = "";
  Interner names;
  Diags diags;
  bool is_stdin = !strcmp(path, "-");
  *source = source_read(d->arena, is_stdin ? "/dev/stdin" : path, &why);
  if (!*source) {
    wrong("%s", why);
    return NULL;
  }
  intern_init(&names, d->arena);
  diag_init(&diags, d->arena, *source);
  char *text = format_source(d->arena, &names, &diags, *source, n);
  diag_print(&diags, stderr);
  return text;
}

static int format_one(Driver *d, const char *path) {
  const Source *source;
  size_t n;
  char *text = formatted(d, path, &source, &n);
  if (!text) return STATUS_WRONG;
  bool same = n == source->size && !memcmp(text, source->text, n);
  if (d->options.check) {
    if (!same) printf("%s\n", path);
    return same ? STATUS_DONE : STATUS_WRONG;
  }
  if (!strcmp(path, "-")) return fwrite(text, 1, n, stdout) == n ? STATUS_DONE : STATUS_WRONG;
  return same || replace(d->arena, path, text, n) ? STATUS_DONE : STATUS_WRONG;
}

int verb_fmt(Driver *d) {
  int status = STATUS_DONE;
  if (!d->options.words.n) return usage_error("a model file is missing; '-' is standard input");
  for (uint32_t i = 0; i < d->options.words.n; i++) {
    ArenaMark mark = arena_mark(d->arena);
    if (format_one(d, d->options.words.at[i])) status = STATUS_WRONG;
    arena_release(d->arena, mark);
  }
  return status;
}
