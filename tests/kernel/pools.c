/* pools: see pools.h. */
#include "pools.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MAX = 16 };

typedef void Task(void *arg, int64_t item, int thread);
typedef struct Work { Task *task; void *arg; int64_t count; atomic_llong next; } Work;
typedef struct Worker { Work *work; int thread; } Worker;

static void *take_items(void *arg) {
  Worker *w = arg;
  for (int64_t item; (item = atomic_fetch_add(&w->work->next, 1)) < w->work->count;)
    w->work->task(w->work->arg, item, w->thread);
  return NULL;
}

static void run_threads(attn_pool *pool, Task *task, void *arg, int64_t count) {
  Work work = {.task = task, .arg = arg, .count = count};
  Worker worker[THREADS_MAX];
  pthread_t id[THREADS_MAX];
  for (int k = 0; k < pool->threads; k++) {
    worker[k] = (Worker){&work, k};
    if (k && pthread_create(&id[k], NULL, take_items, &worker[k])) abort();
  }
  take_items(&worker[0]);
  for (int k = 1; k < pool->threads; k++) pthread_join(id[k], NULL);
}

static void run_backwards(attn_pool *pool, Task *task, void *arg, int64_t count) {
  for (int64_t item = count - 1; item >= 0; item--) task(arg, item, (int)(item * 5 % pool->threads));
}

attn_pool *pool_of_threads(int threads) {
  static attn_pool pool;
  pool = (attn_pool){threads, run_threads};
  return &pool;
}

attn_pool *pool_backwards(int threads) {
  static attn_pool pool;
  pool = (attn_pool){threads, run_backwards};
  return &pool;
}
