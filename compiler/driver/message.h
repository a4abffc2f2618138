/* message: exit statuses, and messages that have no place in a model file. */
#ifndef ATTN_DRIVER_MESSAGE_H
#define ATTN_DRIVER_MESSAGE_H

#include <stdio.h>

#include "base/arena.h"

enum {
  STATUS_DONE = 0,
  STATUS_WRONG = 1, /* the model or the inputs */
  STATUS_USAGE = 2, /* an unknown verb or option */
};

/* Where the messages of this thread go.  The command leaves them on stderr; the library, which prints nothing,
 * collects what it calls says.  One place a thread rather than an argument of everything that can fail. */
FILE *message_stream(void);
/* NULL: stderr.  Returns what it was, NULL for stderr. */
FILE *message_divert(FILE *to);

/* "error: ..." on message_stream; returns STATUS_WRONG (usage_error: STATUS_USAGE). */
int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "hint: ..." after a message. */
void hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The candidate that `word` may be a slip of, or NULL. */
const char *closest(const char *word, const char *const *candidates, uint32_t n);

/* Seconds on a clock that only goes forward. */
double seconds_now(void);
/* Of all threads of this process: what it may do in them does not hang on what else the machine does. */
double seconds_of_processor(void);

#endif
