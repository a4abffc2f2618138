/* json: see json.h.  Bytes that are no UTF-8 text cannot reach it: names and source pass the lexer. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>

static void quoted(FILE *to, const char *s) {
  fputc('"', to);
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') fprintf(to, "\\%c", c);
    else if (c == '\n') fputs("\\n", to);
    else if (c < 32) fprintf(to, "\\u%04x", c);
    else fputc(c, to);
  }
  fputc('"', to);
}

static void start(Json *j, const char *key) {
  if (!j->first) fputc(',', j->to);
  if (j->depth) fprintf(j->to, "\n%*s", 2 * j->depth, "");
  j->first = false;
  if (!key) return;
  quoted(j->to, key);
  fputs(": ", j->to);
}

void json_open(Json *j, const char *key, char bracket) {
  if (!j->depth) j->first = true;
  start(j, key);
  fputc(bracket, j->to);
  j->depth++;
  j->first = true;
}

void json_close(Json *j, char bracket) {
  j->depth--;
  if (!j->first) fprintf(j->to, "\n%*s", 2 * j->depth, "");
  fputc(bracket, j->to);
  j->first = false;
  if (!j->depth) fputc('\n', j->to);
}

void json_string(Json *j, const char *key, const char *value) {
  start(j, key);
  if (value) quoted(j->to, value);
  else fputs("null", j->to);
}

void json_int(Json *j, const char *key, int64_t value) {
  start(j, key);
  fprintf(j->to, "%" PRId64, value);
}

void json_real(Json *j, const char *key, double value) {
  start(j, key);
  if (isfinite(value)) fprintf(j->to, "%.17g", value);
  else fputs("null", j->to);
}

void json_bool(Json *j, const char *key, bool value) {
  start(j, key);
  fputs(value ? "true" : "false", j->to);
}
