/* pool: threads for kernels.
 *
 * A fixed number of threads waits for work; the thread that calls run takes part, so that a pool of one thread makes
 * none.  One call at a time has the threads; a call that comes meanwhile, from another thread or from
 * inside a task, does all its items itself.  Either way every item is done once, and run returns after the
 * last.  Memory written before run is seen by the tasks, and what they write by the caller after it. */
#ifndef ATTN_RT_POOL_H
#define ATTN_RT_POOL_H

#include "attn_kernel.h"

enum { POOL_THREADS_MAX = 4096 };

/* The face of a pool of `threads` threads, the caller among them; 0: one for each processor that this process
 * may use.  Threads that cannot be had are done without: see threads in the result.  NULL: no memory. */
attn_pool *pool_create(int threads);
/* Waits for the threads to end; no run may be under way.  NULL: nothing. */
void pool_destroy(attn_pool *pool);

#endif
