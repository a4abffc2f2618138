/* rt_error: how a runtime function says what went wrong.
 *
 * Functions that can fail return false and write one line into an RtError that the caller owns; they
 * print nothing and free what they had allocated.  The buffer is fixed so that "out of memory" can be
 * reported without memory.  A NULL RtError is allowed everywhere: the message is dropped. */
#ifndef ATTN_RT_ERROR_H
#define ATTN_RT_ERROR_H

#include <stdbool.h>

enum { RT_ERROR_SIZE = 512 };

typedef struct RtError {
  char message[RT_ERROR_SIZE]; /* NUL-terminated, no newline, cut short if too long */
} RtError;

/* Writes "SUBJECT: text" and returns false, so that `return rt_fail(...)` ends a function.  `subject` is
 * the file or array concerned, or NULL; a long one keeps its end, so that the problem is always seen.
 * Control characters in it become "?". */
bool rt_fail(RtError *err, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
