/* message: what the compiler says to the caller's room. */
#include <stdarg.h>
#include <stdlib.h>

#include "api/api.h"

static void put(attn_message *why, const char *text, size_t n) {
  if (!why) return;
  while (n && text[n - 1] == '\n') n--;
  if (n >= sizeof why->text) n = sizeof why->text - 1;
  memcpy(why->text, text, n);
  why->text[n] = 0;
}

int api_error(attn_message *why, int status, const char *fmt, ...) {
  char text[ATTN_MESSAGE_BYTES];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put(why, text, strlen(text));
  return status;
}

int api_no_memory(attn_message *why) { return api_error(why, ATTN_ERROR_MEMORY, "out of memory"); }

bool collect_begin(Collect *c) {
  *c = (Collect){0};
  c->to = open_memstream(&c->text, &c->n);
  if (c->to) c->before = message_divert(c->to);
  return c->to != NULL;
}

int collect_end(Collect *c, int status, attn_message *why) {
  message_divert(c->before);
  bool whole = fclose(c->to) == 0 && c->text;
  if (status == ATTN_OK) put(why, "", 0);
  else if (status == ATTN_ERROR_MEMORY || !whole) api_no_memory(why);
  else put(why, c->text, c->n);
  free(c->text);
  return status;
}
