/* compile_link: a shared object, by the first linker that there is.
 *
 * All work is done in a fresh folder beside the result, which is then renamed; the folder goes in any case.  An
 * undefined symbol is an error of the link: a kernel may call the runtime and the mathematics of the C library,
 * nothing else. */
#define _GNU_SOURCE 1 /* environ */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/compile.h"
#include "driver/embed.h"
#include "driver/file.h"

enum { LOG_MOST = 2000 };

/* Words: NULL ends; %o %a %s stand for the object, the archive and the result. */
static const char *const linkers[][20] = {
    {"cc", "-shared", "-o", "%s", "%o", "%a", "-lm", "-Wl,-z,defs", "-Wl,-z,now", "-Wl,--exclude-libs,ALL", NULL},
    {"ld", "-shared", "-o", "%s", "%o", "%a", "-z", "defs", "-z", "now", "--exclude-libs", "ALL", "-lm", "-lc", NULL},
    {"ld.lld-19", "-shared", "-o", "%s", "%o", "%a", "-z", "defs", "-z", "now", "--exclude-libs", "ALL",
     "-L/usr/lib/x86_64-linux-gnu", "-L/usr/lib64", "-L/usr/lib", "-lm", "-lc", NULL},
};
enum { LINKERS = sizeof linkers / sizeof *linkers };

typedef struct Work { Arena *arena; const char *object, *archive, *result, *log; } Work;

static const char *word(const Work *w, const char *pattern) {
  if (!strcmp(pattern, "%o")) return w->object;
  if (!strcmp(pattern, "%a")) return w->archive;
  return !strcmp(pattern, "%s") ? w->result : pattern;
}

/* The exit status; -1: there is no such program. */
static int spawn(const Work *w, const char *const *pattern) {
  char *argv[20] = {0};
  for (int n = 0; pattern[n]; n++) {
    const char *s = word(w, pattern[n]);
    argv[n] = arena_strndup(w->arena, s, strlen(s));
  }
  posix_spawn_file_actions_t to_log;
  posix_spawn_file_actions_init(&to_log);
  posix_spawn_file_actions_addopen(&to_log, 1, w->log, 1 /* O_WRONLY */, 0600);
  posix_spawn_file_actions_adddup2(&to_log, 1, 2);
  pid_t pid;
  int status = 0, failed = posix_spawnp(&pid, argv[0], &to_log, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&to_log);
  if (failed) return -1;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static bool try_linkers(const Work *w) {
  const char *tried = NULL;
  for (int n = 0; n < LINKERS; n++) {
    if (!file_write(w->arena, w->log, "", 0)) break;
    int status = spawn(w, linkers[n]);
    if (status == 0) return true;
    if (status > 0)
      tried = arena_printf(w->arena, "%s says:\n%s", linkers[n][0], file_text(w->arena, w->log, LOG_MOST));
  }
  if (tried) wrong("the shared object could not be linked; %s", tried);
  else wrong("the shared object cannot be linked: there is no cc, ld or ld.lld-19 here");
  hint("--emit=obj,header needs no linker");
  return false;
}

static bool link_in(const Work *w, const char *path, const void *object, size_t n) {
  size_t archive = (size_t)(embed_archive_end - embed_archive_begin);
  if (file_write(w->arena, w->object, object, n) && file_write(w->arena, w->archive, embed_archive_begin, archive)) {
    if (!try_linkers(w)) return false;
    if (rename(w->result, path) == 0) return true;
  }
  wrong("cannot write '%s': %s", path, strerror(errno));
  return false;
}

bool compile_link(Arena *arena, const char *path, const void *object, size_t n) {
  char *folder = arena_printf(arena, "%s.XXXXXX", path);
  if (!mkdtemp(folder)) {
    wrong("cannot write '%s': %s", path, strerror(errno));
    return false;
  }
  Work w = {arena, arena_printf(arena, "%s/kernel.o", folder), arena_printf(arena, "%s/libattn_rt.a", folder),
            arena_printf(arena, "%s/kernel.so", folder), arena_printf(arena, "%s/log", folder)};
  bool ok = link_in(&w, path, object, n);
  unlink(w.object);
  unlink(w.archive);
  unlink(w.result);
  unlink(w.log);
  rmdir(folder);
  return ok;
}
