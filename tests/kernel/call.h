/* call: one call of a kernel, with every array where a wrong access is seen.
 *
 * Each array, and the workspace, lies on pages of its own between pages that nobody may touch, its last byte directly
 * before the one behind or its first byte directly behind the one before.  What an output does not own, and every
 * input, must be as it was after the call. */
#ifndef KERNEL_CALL_H
#define KERNEL_CALL_H

#include "plan.h"

typedef enum Order { ORDER_C, ORDER_TRANSPOSED, ORDER_PADDED, ORDER_SPREAD } Order;

/* Where an array lies.  SPREAD: no two elements are neighbours.  reversed, broadcast: bits by axis; an axis that is
 * broadcast has the stride 0, and the values of its place 0.  shift: in elements, away from the guarded page. */
typedef struct Layout { Order order; unsigned reversed, broadcast; int shift; bool at_front; } Layout;

typedef struct Setup {
  Layout in[ARRAYS_MAX], out[ARRAYS_MAX], workspace;
  unsigned no_out;      /* outputs whose data is NULL, as bits */
  attn_pool *pool;
  bool no_err;
  int64_t short_by;     /* bytes that the workspace lacks */
  unsigned char garbage; /* what outputs, the workspace and the stack are full of before */
} Setup;

/* out: in C order, elements as the kernel wrote them; NULL where there was no output. */
typedef struct Result {
  int status;
  attn_error err;
  size_t need;
  int64_t bytes[ARRAYS_MAX];
  unsigned char *out[ARRAYS_MAX];
} Result;

Result call(const Kernel *k, const Case *c, const Setup *s);
void result_free(Result *r);
double result_at(const Kernel *k, const Case *c, const Result *r, int out, int64_t at);

/* ---- reports: of the call under way ---- */

extern long checks, failures;
void doing(const char *format, ...) __attribute__((format(printf, 1, 2)));  /* for what fails from now on */
bool expect(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
void catch_faults(void); /* a fault is reported like a failure, and ends the program */

#endif
