/* rt_error: builds one-line messages in a fixed buffer; see rt_error.h. */
#include "rt_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SUBJECT_MAX = 200 };

static size_t put_subject(RtError *err, const char *subject) {
  size_t n = strlen(subject);
  bool cut = n > SUBJECT_MAX;
  int written = snprintf(err->message, sizeof err->message, "%s%s: ", cut ? "..." : "",
                         cut ? subject + n - SUBJECT_MAX : subject);
  return written < 0 ? 0 : (size_t)written;
}

static void make_one_line(char *s) {
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c < 0x20 || c == 0x7f) *s = '?';
  }
}

bool rt_fail(RtError *err, const char *subject, const char *fmt, ...) {
  if (!err) return false;
  size_t at = subject ? put_subject(err, subject) : 0;
  va_list ap;
  va_start(ap, fmt);
  if (vsnprintf(err->message + at, sizeof err->message - at, fmt, ap) < 0) err->message[at] = '\0';
  va_end(ap);
  make_one_line(err->message);
  return false;
}
