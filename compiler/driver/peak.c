/* peak: twelve independent chains of vector multiply-adds hide the latency of each other, and eight sums of vectors
 * that of reading.  The widest vectors that the machine has are used; elsewhere than on x86 the compiler's own. */
#include "driver/peak.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "driver/message.h"

enum {
  CHAINS = 12, ROUNDS = 4000, MAX_THREADS = 256,
  WINDOWS = 4096,          /* kept a thread: the last ones */
  WINDOW_BYTES = 1 << 18,  /* read in one */
  BLOCK_BYTES = 512,       /* read in one round: eight vectors of the widest kind */
};
static const double SECONDS = 0.004, BYTES_MAX = 0x1p28;

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

/* n: a multiple of BLOCK_BYTES. */
#define READ_LOOP(NAME, TARGET, BYTES)                                                                               \
  typedef uint64_t NAME##_vector __attribute__((vector_size(BYTES)));                                                \
  TARGET static uint64_t NAME(const void *from, size_t n) {                                                          \
    const NAME##_vector *at = from, *end = at + n / (BYTES);                                                         \
    NAME##_vector a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, a4 = {0}, a5 = {0}, a6 = {0}, a7 = {0};                    \
    for (; at < end; at += 8) {                                                                                      \
      a0 += at[0], a1 += at[1], a2 += at[2], a3 += at[3], a4 += at[4], a5 += at[5], a6 += at[6], a7 += at[7];        \
    }                                                                                                                \
    a0 += a1 + a2 + a3 + a4 + a5 + a6 + a7;                                                                          \
    return a0[0];                                                                                                    \
  }

#define PLAIN
#ifdef __clang__ /* which takes vectors as wide as they are written */
#define AVX512 __attribute__((target("avx512f")))
#else
#define AVX512 __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
CHAIN_LOOP(plain_f32, float, PLAIN, 16)
CHAIN_LOOP(plain_f64, double, PLAIN, 16)
READ_LOOP(plain_read, PLAIN, 16)
#ifdef __x86_64__
CHAIN_LOOP(avx2_f32, float, __attribute__((target("avx2,fma"))), 32)
CHAIN_LOOP(avx2_f64, double, __attribute__((target("avx2,fma"))), 32)
READ_LOOP(avx2_read, __attribute__((target("avx2"))), 32)
CHAIN_LOOP(avx512_f32, float, AVX512, 64)
CHAIN_LOOP(avx512_f64, double, AVX512, 64)
READ_LOOP(avx512_read, AVX512, 64)

__attribute__((target("avx512f,avx512bf16"))) static double avx512_dot(void) {
  __m512 at[CHAINS];
  __m512bh x = (__m512bh)_mm512_set1_epi16(0x3f7f), y = (__m512bh)_mm512_set1_epi16(0x3a83); /* 0.996, 0.001 */
#pragma GCC unroll 16
  for (int n = 0; n < CHAINS; n++) at[n] = _mm512_set1_ps((float)n);
  for (int k = 0; k < ROUNDS; k++) {
#pragma GCC unroll 16
    for (int n = 0; n < CHAINS; n++) at[n] = _mm512_dpbf16_ps(at[n], x, y);
  }
#pragma GCC unroll 16
  for (int n = 1; n < CHAINS; n++) at[0] = _mm512_add_ps(at[0], at[n]);
  return (double)_mm512_cvtss_f32(at[0]);
}
#endif

typedef struct Loop { double (*run)(void); uint64_t (*read)(const void *from, size_t n); int lanes; } Loop;

/* lanes: of multiply-adds. */
static Loop widest(PeakKind kind) {
  bool f64 = kind == PEAK_F64;
#ifdef __x86_64__
  if (kind == PEAK_DOT && __builtin_cpu_supports("avx512bf16")) return (Loop){avx512_dot, avx512_read, 32};
  if (__builtin_cpu_supports("avx512f")) return (Loop){f64 ? avx512_f64 : avx512_f32, avx512_read, f64 ? 8 : 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (Loop){f64 ? avx2_f64 : avx2_f32, avx2_read, f64 ? 4 : 8};
#endif
  return (Loop){f64 ? plain_f64 : plain_f32, plain_read, f64 ? 2 : 4};
}

typedef struct Rates { double at[WINDOWS]; long count; } Rates;

typedef struct Worker {
  Loop loop;
  char *data;
  size_t bytes, read; /* where reading goes on */
  Rates operations, bandwidth;
  volatile double sink;
} Worker;

struct Peak { int threads; Worker *worker[MAX_THREADS]; };

/* ---- sampling ----------------------------------------------------------------------------------------------- */

static void keep(Rates *r, double work, double seconds) {
  if (seconds > 0) r->at[r->count++ % WINDOWS] = work / seconds;
}

static double multiply_add(Worker *w) {
  w->sink = w->loop.run();
  return 2.0 * CHAINS * ROUNDS * w->loop.lanes;
}

static double read_on(Worker *w) {
  size_t done = 0;
  uint64_t sum = 0;
  while (done < WINDOW_BYTES) {
    size_t left = w->bytes - w->read, n = left < WINDOW_BYTES - done ? left : WINDOW_BYTES - done;
    sum += w->loop.read(w->data + w->read, n);
    w->read = (w->read + n) % w->bytes;
    done += n;
  }
  w->sink = (double)sum;
  return (double)done;
}

static void fill_windows(Worker *w, Rates *r, double (*window)(Worker *w)) {
  double start = seconds_now(), before = start, now;
  do {
    double work = window(w);
    now = seconds_now();
    keep(r, work, now - before);
    before = now;
  } while (now - start < SECONDS);
}

static void *work(void *arg) {
  Worker *w = arg;
  fill_windows(w, &w->operations, multiply_add);
  fill_windows(w, &w->bandwidth, read_on);
  return NULL;
}

void peak_sample(Peak *p) {
  pthread_t thread[MAX_THREADS];
  int started = 1;
  while (started < p->threads && !pthread_create(&thread[started], NULL, work, p->worker[started])) started++;
  work(p->worker[0]);
  for (int i = 1; i < started; i++) pthread_join(thread[i], NULL);
}

/* ---- opening, results --------------------------------------------------------------------------------------- */

static Worker *open_worker(PeakKind kind, double bytes) {
  Worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->loop = widest(kind);
  w->bytes = ((size_t)bytes / BLOCK_BYTES + 1) * BLOCK_BYTES;
  w->data = aligned_alloc(BLOCK_BYTES, w->bytes);
  if (!w->data) return free(w), NULL;
  memset(w->data, 1, w->bytes); /* pages that were never written are all the same one */
  return w;
}

Peak *peak_open(PeakKind kind, int threads, double bytes) {
  Peak *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  int n = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
  double each = (bytes < BYTES_MAX ? bytes : BYTES_MAX) / n;
  while (p->threads < n && (p->worker[p->threads] = open_worker(kind, each))) p->threads++;
  if (p->threads) return p;
  free(p);
  return NULL;
}

void peak_close(Peak *p) {
  for (int i = 0; i < p->threads; i++) {
    free(p->worker[i]->data);
    free(p->worker[i]);
  }
  free(p);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(const Rates *r) {
  double at[WINDOWS];
  size_t n = r->count < WINDOWS ? (size_t)r->count : WINDOWS;
  memcpy(at, r->at, sizeof at);
  qsort(at, n, sizeof *at, by_value);
  return n ? at[n / 2] : 0;
}

double peak_operations(const Peak *p) {
  double sum = 0;
  for (int i = 0; i < p->threads; i++) sum += median(&p->worker[i]->operations);
  return sum;
}

double peak_bandwidth(const Peak *p) {
  double sum = 0;
  for (int i = 0; i < p->threads; i++) sum += median(&p->worker[i]->bandwidth);
  return sum;
}
