/* The pool, under ThreadSanitizer (a plain program: the test framework does not run under it).
 *
 * Every item is done once; no thread number is used by two calls at a time; what tasks write is seen after run;
 * calls from several threads and from inside tasks are served. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pool.h"

enum { ITEMS = 1000, ROUNDS = 50, CALLERS = 4 };

typedef struct Job {
  attn_pool *pool;
  int done[ITEMS]; /* written without atomics: the pool must order it */
  atomic_int busy[16];
  bool nested;
} Job;

static int failures;

static void expect(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "failed: %s\n", what);
  failures++;
}

static void count_up(void *arg, int64_t item, int thread) {
  Job *j = arg;
  (void)thread;
  j->done[item]++;
}

static void task(void *arg, int64_t item, int thread) {
  Job *j = arg;
  expect(thread >= 0 && thread < j->pool->threads, "thread number in range");
  expect(atomic_fetch_add(&j->busy[thread], 1) == 0, "one call a thread number");
  j->done[item]++;
  if (j->nested && item % 100 == 0) {
    Job *inner = calloc(1, sizeof *inner);
    inner->pool = j->pool;
    j->pool->run(j->pool, count_up, inner, 10);
    for (int n = 0; n < 10; n++) expect(inner->done[n] == 1, "inner item done once");
    free(inner);
  }
  atomic_fetch_sub(&j->busy[thread], 1);
}

static void *caller(void *arg) {
  Job *j = arg;
  for (int r = 0; r < ROUNDS; r++) j->pool->run(j->pool, task, j, r % 7 ? ITEMS : r % 3);
  return NULL;
}

static int expected(int64_t item) {
  int n = 0;
  for (int r = 0; r < ROUNDS; r++) n += item < (r % 7 ? ITEMS : r % 3);
  return n;
}

static void check(int threads, bool nested) {
  attn_pool *pool = pool_create(threads);
  expect(pool && pool->threads >= 1 && pool->threads <= threads, "pool made");
  pthread_t id[CALLERS];
  Job *job = calloc(CALLERS, sizeof *job);
  for (int n = 0; n < CALLERS; n++) {
    job[n].pool = pool;
    job[n].nested = nested;
    pthread_create(&id[n], NULL, caller, &job[n]);
  }
  for (int n = 0; n < CALLERS; n++) pthread_join(id[n], NULL);
  for (int n = 0; n < CALLERS; n++)
    for (int i = 0; i < ITEMS; i++) expect(job[n].done[i] == expected(i), "every item done once a round");
  free(job);
  pool_destroy(pool);
}

/* A thread that is still at work keeps its job open. */
static void slow_task(void *arg, int64_t item, int thread) {
  if (thread) nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
  ((int *)arg)[item]++;
}

static void check_slow(void) {
  attn_pool *pool = pool_create(3);
  int done[64] = {0};
  for (int r = 1; r <= 20; r++) {
    pool->run(pool, slow_task, done, 64);
    for (int n = 0; n < 64; n++) expect(done[n] == r, "a job that ends has done all");
  }
  pool_destroy(pool);
}

int main(void) {
  const int threads[] = {1, 2, 7};
  for (int n = 0; n < 3; n++) check(threads[n], n == 2);
  check_slow();
  pool_destroy(NULL);
  attn_pool *all = pool_create(0);
  expect(all && all->threads >= 1, "a pool of all processors");
  pool_destroy(all);
  printf("%s\n", failures ? "failed" : "passed");
  return failures != 0;
}
