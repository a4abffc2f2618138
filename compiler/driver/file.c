/* file: see file.h. */
#include "driver/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

bool file_write(Arena *arena, const char *path, const void *bytes, size_t n) {
  const char *aside = arena_printf(arena, "%s.%ld.tmp", path, (long)getpid());
  int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  bool ok = fd_write(fd, bytes, n);
  ok = close(fd) == 0 && ok;
  ok = ok && rename(aside, path) == 0;
  if (ok) return true;
  int why = errno;
  unlink(aside);
  errno = why;
  return false;
}

const char *file_text(Arena *arena, const char *path, size_t most) {
  char *text = arena_alloc(arena, most + 1);
  FILE *f = fopen(path, "r");
  if (!f) return text;
  text[fread(text, 1, most, f)] = 0;
  fclose(f);
  return text;
}
