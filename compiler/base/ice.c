#include "base/ice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* exit() is for one thread: another one that meets a bug meanwhile waits for the end. */
void ice(const char *file, int line, const char *fmt, ...) {
  static atomic_flag taken = ATOMIC_FLAG_INIT;
  while (atomic_flag_test_and_set(&taken)) pause();
  va_list ap;
  va_start(ap, fmt);
  fprintf(stderr, "attn: internal compiler error at %s:%d: ", file, line);
  vfprintf(stderr, fmt, ap);
  fputs("\nThis is a bug in attn, not in the model.\n", stderr);
  va_end(ap);
  exit(3);
}
