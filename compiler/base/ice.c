#include "base/ice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void ice(const char *file, int line, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fprintf(stderr, "attn: internal compiler error at %s:%d: ", file, line);
  vfprintf(stderr, fmt, ap);
  fputs("\nThis is a bug in attn, not in the model.\n", stderr);
  va_end(ap);
  exit(3);
}
