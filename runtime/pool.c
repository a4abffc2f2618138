/* pool: see pool.h.
 *
 * A job is open while its caller works on it.  Threads join an open job under the lock and then take items from an
 * atomic counter until there are none; the caller closes the job when it finds none left, and waits for those that
 * joined.  A thread that wakes late finds the job closed and goes back to sleep.
 *
 * Waking a thread takes as long as a small job: who waits looks on for LOOK_SECONDS before it sleeps, so that calls
 * that follow one another, and the parts of one call, find the others awake.
 *
 * The system wakes a thread on the processor of the one that wakes it now and then, and parts them only when its clock
 * ticks, some milliseconds later.  So a thread is kept off the processor of the caller, which that has for itself as
 * long as the job takes; its affinity is otherwise left as it is found. */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef void (*Task)(void *arg, int64_t item, int thread);

typedef struct Pool Pool;
/* kept_off: the processor that its affinity lacks by our doing; -1: none. */
typedef struct Worker { Pool *pool; pthread_t id; int thread, kept_off; } Worker;

static const double LOOK_SECONDS = 100e-6;
enum { LOOKS = 64 }; /* between two looks at the clock */

struct Pool {
  attn_pool face; /* first, so that a face is its pool */
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  bool open, ending;
  atomic_ullong job; /* counts jobs, so that a thread joins each at most once; changes under the lock */
  atomic_int joined; /* threads at work on the job, without the caller; changes under the lock */
  bool may_look;     /* every thread may have a processor */
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

/* ---- waiting ----------------------------------------------------------------------------------- */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void breathe(void) {
#if defined __x86_64__
  __builtin_ia32_pause();
#elif defined __aarch64__
  __asm__ volatile("yield");
#endif
}

/* Looks on until over(p, than), or not for long. */
static void look_on(Pool *p, bool (*over)(Pool *p, uint64_t than), uint64_t than) {
  if (!p->may_look) return;
  double start = seconds();
  for (int n = 1; !over(p, than); n++) {
    breathe();
    if (n % LOOKS == 0 && seconds() - start > LOOK_SECONDS) return;
  }
}

static bool has_job(Pool *p, uint64_t than) { return atomic_load_explicit(&p->job, memory_order_relaxed) != than; }

static bool all_have_left(Pool *p, uint64_t unused) {
  (void)unused;
  return atomic_load_explicit(&p->joined, memory_order_relaxed) == 0;
}

/* ---- processors ---------------------------------------------------------------------------------- */

static void keep_off(Worker *w, int processor) {
  cpu_set_t set;
  if (w->kept_off == processor || pthread_getaffinity_np(w->id, sizeof set, &set)) return;
  if (w->kept_off >= 0) CPU_SET(w->kept_off, &set);
  CPU_CLR(processor, &set);
  if (CPU_COUNT(&set) && pthread_setaffinity_np(w->id, sizeof set, &set) == 0) w->kept_off = processor;
}

/* Threads that must share processors are left to the system. */
static void keep_workers_off(Pool *p) {
  int processor = p->may_look ? sched_getcpu() : -1;
  for (int n = 0; processor >= 0 && processor < CPU_SETSIZE && n < p->workers; n++) keep_off(&p->worker[n], processor);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static void *work(void *of) {
  Worker *w = of;
  Pool *p = w->pool;
  uint64_t last = 0;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    while (!p->ending && (!p->open || !has_job(p, last))) pthread_cond_wait(&p->work, &p->lock);
    if (p->ending) break;
    last = atomic_load_explicit(&p->job, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->joined, 1, memory_order_relaxed);
    Task task = p->task;
    void *arg = p->arg;
    int64_t count = p->count;
    pthread_mutex_unlock(&p->lock);
    take_items(p, task, arg, count, w->thread);
    pthread_mutex_lock(&p->lock);
    if (atomic_fetch_sub_explicit(&p->joined, 1, memory_order_relaxed) == 1) pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
    look_on(p, has_job, last);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static bool open_job(Pool *p, Task task, void *arg, int64_t count) {
  pthread_mutex_lock(&p->lock);
  bool mine = !p->open;
  if (mine) {
    p->open = true;
    atomic_fetch_add_explicit(&p->job, 1, memory_order_relaxed);
    p->task = task;
    p->arg = arg;
    p->count = count;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    keep_workers_off(p);
    pthread_cond_broadcast(&p->work);
  }
  pthread_mutex_unlock(&p->lock);
  return mine;
}

/* `open` stays set until the last has left, so that no other job uses the counter meanwhile; nobody joins, since
 * all items are taken and joining again would only find that. */
static void close_job(Pool *p) {
  look_on(p, all_have_left, 0);
  pthread_mutex_lock(&p->lock);
  while (atomic_load_explicit(&p->joined, memory_order_relaxed)) pthread_cond_wait(&p->done, &p->lock);
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
  int all = processors();
  if (threads <= 0) threads = all;
  if (threads > POOL_THREADS_MAX) threads = POOL_THREADS_MAX;
  Pool *p = calloc(1, sizeof *p + (size_t)(threads - 1) * sizeof *p->worker);
  if (!p) return NULL;
  p->face.run = run;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->done, NULL);
  atomic_init(&p->next, 0);
  atomic_init(&p->job, 0);
  atomic_init(&p->joined, 0);
  p->may_look = threads <= all;
  int made = 0;
  for (; made < threads - 1; made++) {
    p->worker[made] = (Worker){.pool = p, .thread = made + 1, .kept_off = -1};
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
