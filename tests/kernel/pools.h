/* pools: threads as a caller might lend them.  One of each kind at a time. */
#ifndef KERNEL_POOLS_H
#define KERNEL_POOLS_H

#include "attn_kernel.h"

attn_pool *pool_of_threads(int threads);  /* real threads, which take items as they come */
attn_pool *pool_backwards(int threads);   /* one thread, the last item first, thread numbers in turn */

#endif
