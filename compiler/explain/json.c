/* json: see json.h. */
#include "explain/json.h"

#include <math.h>

static void quoted(FILE *to, const char *s) {
  fputc('"', to);
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') fprintf(to, "\\%c", c);
    else if (c < 0x20) fprintf(to, "\\u%04x", c);
    else fputc(c < 0x7f ? c : '?', to);
  }
  fputc('"', to);
}

static void member(Json *j, const char *key) {
  if (j->any) fputc(',', j->to);
  if (j->depth) fprintf(j->to, "\n%*s", (int)(2 * j->depth), "");
  if (key) {
    quoted(j->to, key);
    fputs(": ", j->to);
  }
  j->any = true;
}

void json_open(Json *j, const char *key, char bracket) {
  member(j, key);
  fputc(bracket, j->to);
  j->depth++;
  j->any = false;
}

void json_close(Json *j, char bracket) {
  j->depth--;
  if (j->any) fprintf(j->to, "\n%*s", (int)(2 * j->depth), "");
  fputc(bracket, j->to);
  j->any = true;
}

void json_string(Json *j, const char *key, const char *value) {
  member(j, key);
  if (value) quoted(j->to, value);
  else fputs("null", j->to);
}

void json_number(Json *j, const char *key, double value) {
  member(j, key);
  if (isfinite(value)) fprintf(j->to, "%.15g", value);
  else fputs("null", j->to);
}

void json_bool(Json *j, const char *key, bool value) {
  member(j, key);
  fputs(value ? "true" : "false", j->to);
}
