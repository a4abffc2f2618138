/* peak: twelve independent chains of vector multiply-adds hide the latency of each other.  The widest vectors that
 * the machine has are used; elsewhere than on x86 the compiler's own. */
#include "driver/peak.h"

#include <pthread.h>

#include "driver/message.h"

enum { CHAINS = 12, ROUNDS = 4000, MAX_THREADS = 256 };
static const double SECONDS = 0.05;

#define CHAIN_LOOP(NAME, TYPE, TARGET, BYTES)                                                                        \
  typedef TYPE NAME##_vector __attribute__((vector_size(BYTES)));                                                    \
  TARGET static double NAME(void) {                                                                                  \
    NAME##_vector a0 = {0}, a1 = {1}, a2 = {2}, a3 = {3}, a4 = {4}, a5 = {5}, a6 = {6}, a7 = {7}, a8 = {8};          \
    NAME##_vector a9 = {9}, a10 = {10}, a11 = {11}, x = {0}, y = {0};                                                \
    x += (TYPE)0.999, y += (TYPE)0.001;                                                                              \
    for (int k = 0; k < ROUNDS; k++) {                                                                               \
      a0 = a0 * x + y, a1 = a1 * x + y, a2 = a2 * x + y, a3 = a3 * x + y, a4 = a4 * x + y, a5 = a5 * x + y;          \
      a6 = a6 * x + y, a7 = a7 * x + y, a8 = a8 * x + y, a9 = a9 * x + y, a10 = a10 * x + y, a11 = a11 * x + y;      \
    }                                                                                                                \
    a0 += a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;                                                    \
    return (double)a0[0];                                                                                            \
  }

#define PLAIN
CHAIN_LOOP(plain_f32, float, PLAIN, 16)
CHAIN_LOOP(plain_f64, double, PLAIN, 16)
#ifdef __x86_64__
CHAIN_LOOP(avx2_f32, float, __attribute__((target("avx2,fma"))), 32)
CHAIN_LOOP(avx2_f64, double, __attribute__((target("avx2,fma"))), 32)
CHAIN_LOOP(avx512_f32, float, __attribute__((target("avx512f,prefer-vector-width=512"))), 64)
CHAIN_LOOP(avx512_f64, double, __attribute__((target("avx512f,prefer-vector-width=512"))), 64)
#endif

typedef struct Loop { double (*run)(void); int lanes; } Loop;

static Loop widest(bool f64) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return (Loop){f64 ? avx512_f64 : avx512_f32, f64 ? 8 : 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (Loop){f64 ? avx2_f64 : avx2_f32, f64 ? 4 : 8};
#endif
  return (Loop){f64 ? plain_f64 : plain_f32, f64 ? 2 : 4};
}

typedef struct Worker { Loop loop; double operations_per_second; volatile double sink; } Worker;

static void *work(void *arg) {
  Worker *w = arg;
  double start = seconds_now(), now = start;
  long calls = 0;
  for (; now - start < SECONDS; now = seconds_now(), calls++) w->sink = w->loop.run();
  w->operations_per_second = 2.0 * CHAINS * ROUNDS * w->loop.lanes * (double)calls / (now - start);
  return NULL;
}

double peak_operations(bool f64, int threads) {
  Worker workers[MAX_THREADS];
  pthread_t thread[MAX_THREADS];
  int n = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads, started = 1;
  for (int i = 0; i < n; i++) workers[i] = (Worker){.loop = widest(f64)};
  while (started < n && !pthread_create(&thread[started], NULL, work, &workers[started])) started++;
  work(&workers[0]);
  double sum = workers[0].operations_per_second;
  for (int i = 1; i < started; i++) {
    pthread_join(thread[i], NULL);
    sum += workers[i].operations_per_second;
  }
  return sum;
}
