/* pool: see pool.h.
 *
 * A job is open while its caller works on it.  Threads join an open job under the lock and then take items from an
 * atomic counter until there are none; the caller closes the job when it finds none left, and waits for those that
 * joined.  A thread that wakes late finds the job closed and goes back to sleep. */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

typedef void (*Task)(void *arg, int64_t item, int thread);

typedef struct Pool Pool;
typedef struct Worker { Pool *pool; pthread_t id; int thread; } Worker;

struct Pool {
  attn_pool face; /* first, so that a face is its pool */
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  bool open, ending;
  uint64_t job; /* counts jobs, so that a thread joins each at most once */
  int joined;   /* threads at work on the job, without the caller */
  Task task;
  void *arg;
  int64_t count;
  atomic_llong next;
  int workers;
  Worker worker[];
};

static void take_items(Pool *p, Task task, void *arg, int64_t count, int thread) {
  for (;;) {
    int64_t item = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    if (item >= count) return;
    task(arg, item, thread);
  }
}

static void *work(void *of) {
  Worker *w = of;
  Pool *p = w->pool;
  uint64_t last = 0;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    while (!p->ending && (!p->open || p->job == last)) pthread_cond_wait(&p->work, &p->lock);
    if (p->ending) break;
    last = p->job;
    p->joined++;
    Task task = p->task;
    void *arg = p->arg;
    int64_t count = p->count;
    pthread_mutex_unlock(&p->lock);
    take_items(p, task, arg, count, w->thread);
    pthread_mutex_lock(&p->lock);
    if (--p->joined == 0) pthread_cond_signal(&p->done);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static bool open_job(Pool *p, Task task, void *arg, int64_t count) {
  pthread_mutex_lock(&p->lock);
  bool mine = !p->open;
  if (mine) {
    p->open = true;
    p->job++;
    p->task = task;
    p->arg = arg;
    p->count = count;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    pthread_cond_broadcast(&p->work);
  }
  pthread_mutex_unlock(&p->lock);
  return mine;
}

/* `open` stays set until the last has left, so that no other job uses the counter meanwhile; nobody joins, since
 * all items are taken and joining again would only find that. */
static void close_job(Pool *p) {
  pthread_mutex_lock(&p->lock);
  while (p->joined) pthread_cond_wait(&p->done, &p->lock);
  p->open = false;
  pthread_mutex_unlock(&p->lock);
}

static void run(attn_pool *face, Task task, void *arg, int64_t count) {
  Pool *p = (Pool *)face;
  if (count > 1 && p->workers && open_job(p, task, arg, count)) {
    take_items(p, task, arg, count, 0);
    close_job(p);
    return;
  }
  for (int64_t item = 0; item < count; item++) task(arg, item, 0);
}

static int processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 && n < POOL_THREADS_MAX ? (int)n : 1;
}

attn_pool *pool_create(int threads) {
  if (threads <= 0) threads = processors();
  if (threads > POOL_THREADS_MAX) threads = POOL_THREADS_MAX;
  Pool *p = calloc(1, sizeof *p + (size_t)(threads - 1) * sizeof *p->worker);
  if (!p) return NULL;
  p->face.run = run;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->done, NULL);
  atomic_init(&p->next, 0);
  int made = 0;
  for (; made < threads - 1; made++) {
    p->worker[made] = (Worker){.pool = p, .thread = made + 1};
    if (pthread_create(&p->worker[made].id, NULL, work, &p->worker[made])) break;
  }
  p->workers = made;
  p->face.threads = made + 1;
  return &p->face;
}

void pool_destroy(attn_pool *face) {
  Pool *p = (Pool *)face;
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->ending = true;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int n = 0; n < p->workers; n++) pthread_join(p->worker[n].id, NULL);
  pthread_cond_destroy(&p->done);
  pthread_cond_destroy(&p->work);
  pthread_mutex_destroy(&p->lock);
  free(p);
}
