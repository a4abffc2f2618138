/* cancel: see cancel.h.
 *
 * A kernel gives its work to a pool, item by item, from the thread that called it.  Between it and the pool stands one
 * that does no item once it is told to stop, waits for those under way, and then leaves the kernel by a jump: a kernel
 * allocates nothing and holds nothing, so there is nothing to give back.  What comes behind a loop of which items are
 * missing is never reached. */
#include "driver/cancel.h"

#include <setjmp.h>

typedef struct Guarded {
  attn_pool face; /* first: one is the other */
  attn_pool *inner; /* NULL: the calling thread does it all */
  atomic_bool *stop;
  jmp_buf out;
  void (*task)(void *arg, int64_t item, int thread);
  void *arg;
} Guarded;

static bool is_over(const Guarded *g) { return atomic_load_explicit(g->stop, memory_order_relaxed); }

static void item(void *guarded, int64_t n, int thread) {
  const Guarded *g = guarded;
  if (!is_over(g)) g->task(g->arg, n, thread);
}

static void run(attn_pool *face, void (*task)(void *arg, int64_t item, int thread), void *arg, int64_t count) {
  Guarded *g = (Guarded *)face;
  g->task = task;
  g->arg = arg;
  if (g->inner) g->inner->run(g->inner, item, g, count);
  else
    for (int64_t n = 0; n < count && !is_over(g); n++) task(arg, n, 0);
  if (is_over(g)) longjmp(g->out, 1);
}

bool cancel_call(const Call *c, atomic_bool *stop, attn_error *err, bool *stopped) {
  const Program *p = c->program;
  Guarded g = {.face = {.threads = execute_threads(p), .run = run}, .inner = p->pool, .stop = stop};
  *err = (attn_error){0};
  *stopped = false;
  if (is_over(&g) || setjmp(g.out)) {
    *stopped = true;
    return false;
  }
  return p->code->run(c->in, c->out, c->sizes, c->workspace, c->workspace_bytes, &g.face, err) == 0;
}
