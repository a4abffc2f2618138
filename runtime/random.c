/* random: Philox4x32-10 and what is made of its bits; the laws are in random.h. */
#include "random.h"

#include <math.h>

enum { ROUNDS = 10 };

void attn_rt_philox(uint32_t counter[4], const uint32_t key[2]) {
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * counter[0], b = (uint64_t)0xCD9E8D57u * counter[2];
    uint32_t c1 = counter[1], c3 = counter[3];
    counter[0] = (uint32_t)(b >> 32) ^ c1 ^ k0;
    counter[1] = (uint32_t)b;
    counter[2] = (uint32_t)(a >> 32) ^ c3 ^ k1;
    counter[3] = (uint32_t)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

typedef struct Block { uint32_t word[4]; } Block;

static void absorb(Block *b, int half, int64_t counter) {
  b->word[2 * half] ^= (uint32_t)(uint64_t)counter;
  b->word[2 * half + 1] ^= (uint32_t)((uint64_t)counter >> 32);
}

static Block draw(int64_t seed, int64_t n, const int64_t *counters) {
  uint64_t keyed = (uint64_t)seed ^ (uint64_t)n * 0x9E3779B97F4A7C15u;
  const uint32_t key[2] = {(uint32_t)keyed, (uint32_t)(keyed >> 32)};
  Block b = {{0}};
  int64_t i = 0;
  do {
    if (i < n) absorb(&b, 0, counters[i]);
    if (i + 1 < n) absorb(&b, 1, counters[i + 1]);
    attn_rt_philox(b.word, key);
    i += 2;
  } while (i < n);
  return b;
}

static uint64_t low_bits(const Block *b) { return b->word[0] | (uint64_t)b->word[1] << 32; }
static uint64_t high_bits(const Block *b) { return b->word[2] | (uint64_t)b->word[3] << 32; }

uint64_t attn_rt_random_bits(int64_t seed, int64_t n, const int64_t *counters) {
  Block b = draw(seed, n, counters);
  return low_bits(&b);
}

double attn_rt_random_uniform(int64_t seed, int64_t n, const int64_t *counters) {
  return (double)(attn_rt_random_bits(seed, n, counters) >> 11) * 0x1p-53;
}

float attn_rt_random_uniformf(int64_t seed, int64_t n, const int64_t *counters) {
  return (float)(attn_rt_random_bits(seed, n, counters) >> 40) * 0x1p-24f;
}

/* The radius takes a uniform in (0, 1], so its log is finite. */
double attn_rt_random_normal(int64_t seed, int64_t n, const int64_t *counters) {
  Block b = draw(seed, n, counters);
  double u = (double)((low_bits(&b) >> 11) + 1) * 0x1p-53, v = (double)(high_bits(&b) >> 11) * 0x1p-53;
  return sqrt(-2 * log(u)) * cos(6.283185307179586477 * v);
}

/* The upper 64 bits of a product of 64-bit numbers. */
static uint64_t multiply_high(uint64_t x, uint64_t y) {
  uint64_t x0 = x & 0xffffffffu, x1 = x >> 32, y0 = y & 0xffffffffu, y1 = y >> 32;
  uint64_t middle = x1 * y0 + (x0 * y0 >> 32), other = x0 * y1 + (middle & 0xffffffffu);
  return x1 * y1 + (middle >> 32) + (other >> 32);
}

static int64_t wrapped(uint64_t x) { return x <= INT64_MAX ? (int64_t)x : -(int64_t)~x - 1; }

int64_t attn_rt_random_int(int64_t seed, int64_t n, const int64_t *counters, int64_t lo, int64_t hi) {
  if (hi <= lo) return lo;
  uint64_t range = (uint64_t)hi - (uint64_t)lo;
  return wrapped((uint64_t)lo + multiply_high(attn_rt_random_bits(seed, n, counters), range));
}

#define FILL(VALUE)                                                                                                  \
  for (int64_t k = 0; k < n; k++) {                                                                                  \
    const int64_t at = first + k;                                                                                    \
    out[k] = VALUE;                                                                                                  \
  }

void random_fill_normal(int64_t seed, int64_t first, int64_t n, double *out) {
  FILL(attn_rt_random_normal(seed, 1, &at))
}
void random_fill_normalf(int64_t seed, int64_t first, int64_t n, float *out) {
  FILL((float)attn_rt_random_normal(seed, 1, &at))
}
void random_fill_uniform(int64_t seed, int64_t first, int64_t n, double *out) {
  FILL(attn_rt_random_uniform(seed, 1, &at))
}
void random_fill_uniformf(int64_t seed, int64_t first, int64_t n, float *out) {
  FILL(attn_rt_random_uniformf(seed, 1, &at))
}
void random_fill_int(int64_t seed, int64_t first, int64_t n, int64_t lo, int64_t hi, int64_t *out) {
  FILL(attn_rt_random_int(seed, 1, &at, lo, hi))
}
