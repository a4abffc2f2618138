/* library: a model through attn.h in which each step that fails is taken once more, as attn.h says it can be. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "attn.h"
#include "library.h"

enum { M = 3, D = 2 };

static attn_message why;

/* Of a step that went wrong: was it said why?  Else the caller must not go on. */
static bool again(int status) {
  if (status == ATTN_OK) return false;
  fprintf(stderr, "%d: %s\n", status, why.text);
  return status >= ATTN_ERROR_MODEL && *why.text;
}

/* Twice at most: one fault comes in a run. */
#define STEP(call)                                     \
  do {                                                 \
    if (again(call) && again(call)) return LIBRARY_BAD; \
  } while (0)

static int run(attn_model *m, attn_call *c) {
  static double q[M * D] = {1, -2, 0.5, 3, -1, 0.25};
  const int64_t shape[2] = {M, D};
  attn_array x = attn_array_of(q, ATTN_F64, 2, shape), o = {0}, there = {0};
  STEP(attn_call_input(c, "q", &x, &why));
  STEP(attn_call_input(c, "k", &x, &why));
  STEP(attn_call_shape(c, "o", &o, &why));
  STEP(attn_call_run(c, &why));
  STEP(attn_call_run(c, &why));
  STEP(attn_call_result(c, "o", &there, &why));
  const double *at = there.data;
  printf("%s, %d by %d:", attn_model_size(m, 0), (int)o.shape[0], (int)there.shape[1]);
  for (int k = 0; k < M * D; k++) printf(" %.17g", at[k]);
  return puts("") < 0;
}

int library_run(void) {
  attn_options options = {.f64 = 1, .threads = 2, .cache = "cache"};
  attn_model *m = NULL;
  attn_call *c = NULL;
  STEP(attn_model_load("model.attn", NULL, &options, &m, &why));
  int status = LIBRARY_BAD;
  if (!again(attn_call_new(m, &c, &why)) || !again(attn_call_new(m, &c, &why))) status = run(m, c);
  attn_call_free(c);
  attn_model_free(m);
  return status;
}
