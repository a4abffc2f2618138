/* message: see message.h.  Bytes of the user's words that are no printing characters become '?'. */
#include "driver/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver/driver.h"

enum { MESSAGE_MAX = 4096, WORD_MAX = 40 };

static _Thread_local FILE *diverted; /* NULL: stderr */

FILE *message_stream(void) { return diverted ? diverted : stderr; }

FILE *message_divert(FILE *to) {
  FILE *before = diverted;
  diverted = to;
  return before;
}

static void say(const char *label, const char *fmt, va_list ap) {
  char text[MESSAGE_MAX];
  vsnprintf(text, sizeof text, fmt, ap);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 32 || *c == 127) *c = '?';
  fprintf(message_stream(), "%s: %s\n", label, text);
}

int wrong(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say("error", fmt, ap);
  va_end(ap);
  return STATUS_WRONG;
}

int usage_error(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say("error", fmt, ap);
  va_end(ap);
  return STATUS_USAGE;
}

void hint(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say("hint", fmt, ap);
  va_end(ap);
}

/* Insertions, deletions and replacements that turn a into b; both at most WORD_MAX long. */
static uint32_t distance(const char *a, const char *b) {
  uint32_t row[WORD_MAX + 1], n = (uint32_t)strlen(b);
  for (uint32_t j = 0; j <= n; j++) row[j] = j;
  for (uint32_t i = 0; a[i]; i++) {
    uint32_t corner = row[0];
    row[0] = i + 1;
    for (uint32_t j = 1; j <= n; j++) {
      uint32_t best = corner + (a[i] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      corner = row[j];
      row[j] = best;
    }
  }
  return row[n];
}

const char *closest(const char *word, const char *const *candidates, uint32_t n) {
  const char *best = NULL;
  size_t length = strlen(word);
  uint32_t limit = length < 3 ? 1 : length < 6 ? 2 : 3;
  for (uint32_t i = 0; i < n && length <= WORD_MAX; i++) {
    if (strlen(candidates[i]) > WORD_MAX) continue;
    uint32_t d = distance(word, candidates[i]);
    if (d > limit || d >= length) continue;
    limit = d - (d > 0);
    best = candidates[i];
    if (d == 0) break;
  }
  return best;
}

static double seconds_by(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double seconds_now(void) { return seconds_by(CLOCK_MONOTONIC); }

double seconds_of_processor(void) { return seconds_by(CLOCK_PROCESS_CPUTIME_ID); }
