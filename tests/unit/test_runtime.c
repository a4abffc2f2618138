/* Half floats, strided arrays, conversion, and random numbers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "tensor.h"

/* --- half ----------------------------------------------------------------------------------------- */

/* The value of a 16-bit float by its definition, in arithmetic that shares nothing with half.c. */
static double by_definition(unsigned h, int fraction) {
  int exponent = (int)(h & 0x7fff) >> fraction, bias = (1 << (14 - fraction)) - 1;
  double m = (double)(h & ((1u << fraction) - 1)) / (1 << fraction);
  double size = exponent ? ldexp(1 + m, exponent - bias) : ldexp(m, 1 - bias);
  return h & 0x8000 ? -size : size;
}

static bool is_nan_half(unsigned h, int fraction) { return (h & 0x7fff) > 0x7fffu >> fraction << fraction; }

static void check_round_trip(int fraction, float (*widen)(uint16_t), uint16_t (*narrow)(float),
                             uint16_t (*narrow64)(double)) {
  unsigned infinity = 0x7fffu >> fraction << fraction;
  for (unsigned h = 0; h <= 0xffff; h++) {
    float x = widen((uint16_t)h);
    uint16_t back = narrow(x), back64 = narrow64((double)x);
    if (is_nan_half(h, fraction)) {
      cr_assert(isnan(x) && is_nan_half(back, fraction) && is_nan_half(back64, fraction), "NaN %04x", h);
      cr_assert_eq(back & 0x8000, h & 0x8000, "sign of NaN %04x", h);
      continue;
    }
    cr_assert(back == h && back64 == h, "%04x came back as %04x", h, back);
    if ((h & 0x7fff) == infinity) cr_assert(isinf(x));
    else cr_assert(x == (float)by_definition(h, fraction) && !signbit(x) == !(h & 0x8000), "value of %04x", h);
  }
}

/* Between neighbours lo and hi: the middle goes to the even one, a hair beside it to the nearer. */
static void check_rounding(int fraction, float (*widen)(uint16_t), uint16_t (*narrow)(double)) {
  unsigned infinity = 0x7fffu >> fraction << fraction;
  for (unsigned h = 0; h + 1 < infinity; h++) {
    double lo = widen((uint16_t)h), hi = widen((uint16_t)(h + 1)), middle = (lo + hi) / 2;
    cr_assert_eq(narrow(middle), h + (h & 1), "middle above %04x", h);
    cr_assert_eq(narrow(nextafter(middle, 0)), h, "below the middle above %04x", h);
    cr_assert_eq(narrow(nextafter(middle, INFINITY)), h + 1, "above the middle above %04x", h);
    cr_assert_eq(narrow(-middle), 0x8000 | (h + (h & 1)));
  }
  double largest = widen((uint16_t)(infinity - 1)), ulp = largest - widen((uint16_t)(infinity - 2));
  cr_assert_eq(narrow(nextafter(largest + ulp / 2, 0)), infinity - 1);
  cr_assert_eq(narrow(largest + ulp / 2), infinity);
  cr_assert_eq(narrow(-1e300), 0x8000 | infinity);
  cr_assert_eq(narrow(-5e-324), 0x8000);
  cr_assert_eq(narrow(1e-30 * widen(1)), 0);
}

Test(half, every_value_comes_back) {
  check_round_trip(10, f16_to_f32, f32_to_f16, f64_to_f16);
  check_round_trip(7, bf16_to_f32, f32_to_bf16, f64_to_bf16);
}

Test(half, rounds_to_nearest_even) {
  check_rounding(10, f16_to_f32, f64_to_f16);
  check_rounding(7, bf16_to_f32, f64_to_bf16);
}

/* --- tensor --------------------------------------------------------------------------------------- */

Test(tensor, products_never_wrap) {
  int64_t n;
  cr_assert(shape_count(0, NULL, 8, &n) && n == 1);
  cr_assert(shape_count(3, (int64_t[]){2, 0, 5}, 8, &n) && n == 0);
  cr_assert(shape_count(1, (int64_t[]){INT64_MAX}, 1, &n) && n == INT64_MAX);
  cr_assert(!shape_count(1, (int64_t[]){INT64_MAX}, 2, &n));
  cr_assert(!shape_count(2, (int64_t[]){1ll << 32, 1ll << 32}, 1, &n));
  cr_assert(!shape_count(3, (int64_t[]){0, 1ll << 32, 1ll << 32}, 1, &n), "a zero must not hide the overflow");
  cr_assert(!shape_count(2, (int64_t[]){0, -1}, 1, &n));
  cr_assert(!shape_count(17, (int64_t[17]){0}, 1, &n));
  cr_assert(!shape_count(-1, NULL, 1, &n));
}

Test(tensor, allocation_fails_with_a_message) {
  AttnArray a;
  RtError err;
  cr_assert(!array_alloc(&a, ELEMTYPE_F64, 2, (int64_t[]){1ll << 40, 1ll << 40}, "q", &err));
  cr_assert_str_eq(err.message,
                   "q: shape [1099511627776, 1099511627776] is negative somewhere or too large to address");
  array_free(&a);
  cr_assert(!array_alloc(&a, ELEMTYPE_F64, 20, (int64_t[20]){0}, "q", NULL));
  array_free(&a);
  cr_assert(array_alloc(&a, ELEMTYPE_F64, 2, (int64_t[]){0, 3}, "q", &err) && a.data);
  array_free(&a);
  array_free(&a);
}

Test(tensor, strides_may_be_negative_or_zero) {
  float x[6] = {0, 1, 2, 3, 4, 5};
  AttnArray a, b;
  cr_assert(array_view(&a, x, ELEMTYPE_F32, 2, (int64_t[]){2, 3}) && array_is_contiguous(&a));
  a.data = x + 5;
  a.stride[0] = -3, a.stride[1] = -1;
  cr_assert(!array_is_contiguous(&a));
  cr_assert_eq(array_get_f64(&a, (int64_t[]){0, 1}), 4);
  cr_assert(array_convert(&a, ELEMTYPE_F64, &b, NULL, NULL));
  for (int i = 0; i < 6; i++) cr_assert_eq(((double *)b.data)[i], 5 - i);
  array_free(&b);
  a.data = x + 1;
  a.stride[0] = 1, a.stride[1] = 0;
  cr_assert(array_convert(&a, ELEMTYPE_F32, &b, NULL, NULL));
  for (int i = 0; i < 6; i++) cr_assert_eq(((float *)b.data)[i], 1 + i / 3);
  array_free(&b);
}

/* Blocks, merged axes and odd remainders agree with element by element access. */
Test(tensor, conversion_is_element_by_element) {
  enum { A = 3, B = 7, C = 211 };
  static int32_t x[A * B * C];
  for (int i = 0; i < A * B * C; i++) x[i] = i * 7919 % 100003;
  AttnArray a, b;
  array_view(&a, x, ELEMTYPE_I32, 3, (int64_t[]){C, A, B});
  a.stride[0] = 1, a.stride[1] = B * C, a.stride[2] = C;
  for (int t = 0; t < ELEMTYPE_COUNT; t++) {
    if (t == ELEMTYPE_U8 || t == ELEMTYPE_BOOL || t == ELEMTYPE_F16 || t == ELEMTYPE_BF16) continue;
    cr_assert(array_convert(&a, (ElemType)t, &b, NULL, NULL));
    for (int64_t i = 0; i < C; i++)
      for (int64_t j = 0; j < A; j++)
        for (int64_t k = 0; k < B; k++) {
          int64_t at[3] = {i, j, k};
          cr_assert_eq(array_get_i64(&a, at), array_get_i64(&b, at));
        }
    array_free(&b);
  }
  int32_t piece[1000];
  array_pack(&a, 5, 1000, piece);
  for (int64_t p = 0; p < 1000; p++)
    cr_assert_eq(piece[p], array_get_i64(&a, (int64_t[]){(p + 5) / (A * B), (p + 5) / B % A, (p + 5) % B}));
}

Test(tensor, integers_keep_every_bit) {
  int64_t x[4] = {INT64_MAX, INT64_MIN, (1ll << 53) + 1, 16777217};
  AttnArray a, b;
  array_view(&a, x, ELEMTYPE_I64, 1, (int64_t[]){4});
  cr_assert(array_convert(&a, ELEMTYPE_I64, &b, NULL, NULL));
  cr_assert(memcmp(b.data, x, sizeof x) == 0);
  array_free(&b);
  cr_assert(array_convert(&a, ELEMTYPE_F32, &b, NULL, NULL));
  cr_assert_eq(((float *)b.data)[3], 16777216.0f);
  array_free(&b);
  /* 2^61 + 2^53 + 1 lies just above the middle of two bf16 values; as a double it would be the middle itself. */
  x[0] = (1ll << 61) + (1ll << 53) + 1, x[1] = -x[0], x[2] = (1ll << 61) + (1ll << 53);
  cr_assert(array_convert(&a, ELEMTYPE_BF16, &b, NULL, NULL));
  const uint16_t *h = b.data;
  cr_assert_eq(h[0], f32_to_bf16(0x1p61f) + 1);
  cr_assert_eq(h[1], h[0] | 0x8000);
  cr_assert_eq(h[2], f32_to_bf16(0x1p61f));
  array_free(&b);
}

Test(tensor, what_does_not_fit_is_named) {
  int64_t x[6] = {0, 1, 1, 0, 1ll << 31, 300};
  AttnArray a, b;
  RtError err;
  array_view(&a, x, ELEMTYPE_I64, 2, (int64_t[]){2, 3});
  cr_assert(!array_convert(&a, ELEMTYPE_I32, &b, "doc", &err));
  cr_assert_str_eq(err.message, "doc: element [1, 1] is 2147483648, which is no i32");
  cr_assert(!array_convert(&a, ELEMTYPE_BOOL, &b, "doc", &err));
  cr_assert_str_eq(err.message, "doc: element [1, 1] is 2147483648, which is no bool (only 0 and 1 are)");
  cr_assert_null(b.data);
  double y[1] = {1};
  array_view(&a, y, ELEMTYPE_F64, 1, (int64_t[]){1});
  cr_assert(!array_convert(&a, ELEMTYPE_I64, &b, "doc", &err));
  cr_assert_str_eq(err.message, "doc: f64 values where i64 is needed; convert them explicitly");
}

Test(tensor, a_float_read_as_integer_saturates) {
  double x[5] = {-2.9, 1e300, -INFINITY, NAN, 0x1p63};
  int64_t want[5] = {-2, INT64_MAX, INT64_MIN, 0, INT64_MAX};
  AttnArray a;
  array_view(&a, x, ELEMTYPE_F64, 1, (int64_t[]){5});
  for (int64_t i = 0; i < 5; i++) cr_assert_eq(array_get_i64(&a, &i), want[i]);
  cr_assert(!array_index_ok(&a, (int64_t[]){5}) && !array_index_ok(&a, (int64_t[]){-1}));
}

Test(tensor, empty_and_scalar_arrays) {
  AttnArray a, b;
  double x = 2.5;
  array_view(&a, &x, ELEMTYPE_F64, 0, NULL);
  cr_assert(array_convert(&a, ELEMTYPE_F16, &b, NULL, NULL) && b.rank == 0 && array_get_f64(&b, NULL) == 2.5);
  array_free(&b);
  array_view(&a, &x, ELEMTYPE_F64, 3, (int64_t[]){4, 0, 2});
  cr_assert(array_convert(&a, ELEMTYPE_F32, &b, NULL, NULL) && array_count(&b) == 0 && b.data);
  array_free(&b);
}

Test(tensor, a_long_file_name_does_not_hide_the_problem) {
  char name[5000];
  RtError err;
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  cr_assert(!rt_fail(&err, name, "no %s", "good\n"));
  cr_assert(strncmp(err.message, "...xxx", 6) == 0 && strstr(err.message, "x: no good?"));
}

/* --- random --------------------------------------------------------------------------------------- */

/* Known answers of Random123 1.14 (kat_vectors, philox4x32 10 rounds). */
Test(random, philox_known_answers) {
  static const uint32_t in[3][6] = {{0, 0, 0, 0, 0, 0},
                                    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                                    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0}};
  static const uint32_t out[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  for (int i = 0; i < 3; i++) {
    uint32_t c[4];
    memcpy(c, in[i], sizeof c);
    attn_rt_philox(c, in[i] + 4);
    cr_assert(memcmp(c, out[i], sizeof c) == 0, "vector %d", i);
  }
}

/* These numbers are part of what a seed means: a change of any would change users' results. */
Test(random, draws_are_pinned) {
  const int64_t c[3] = {1, 2, 3};
  cr_assert_eq(attn_rt_random_bits(0, 0, NULL), 0xe169c58d6627e8d5u);
  cr_assert_eq(attn_rt_random_bits(7, 3, c), 0xbb2cf89222efe6e3u);
  cr_assert_eq(attn_rt_random_uniform(7, 1, c), 0x1.f1f3d98b2ce71p-1);
  cr_assert_float_eq(attn_rt_random_normal(7, 1, c), 0.23522636560221583, 1e-14);
}

Test(random, every_argument_matters) {
  const int64_t zero[5] = {0};
  uint64_t seen[6 * 64];
  int n = 0;
  for (int64_t length = 0; length <= 5; length++) seen[n++] = attn_rt_random_bits(1, length, zero);
  for (int64_t i = 0; i < 5; i++)
    for (int bit = 0; bit < 64; bit += 9) {
      int64_t c[5] = {0};
      c[i] = (int64_t)(1ull << bit);
      seen[n++] = attn_rt_random_bits(1, 5, c);
    }
  for (int64_t seed = -3; seed < 3; seed++)
    if (seed != 1) seen[n++] = attn_rt_random_bits(seed, 5, zero);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) cr_assert_neq(seen[i], seen[j], "draws %d and %d", i, j);
}

Test(random, a_stream_is_its_elements_in_any_order) {
  enum { N = 1000 };
  double whole[N], pieces[N], uniform[N];
  float single[N], unit[N];
  random_fill_normal(3, 0, N, whole);
  random_fill_normal(3, 400, N - 400, pieces + 400);
  random_fill_normal(3, 0, 400, pieces);
  random_fill_normalf(3, 0, N, single);
  random_fill_uniform(3, 0, N, uniform);
  random_fill_uniformf(3, 0, N, unit);
  cr_assert(memcmp(whole, pieces, sizeof whole) == 0);
  for (int64_t i = 0; i < N; i++) {
    cr_assert(single[i] == (float)whole[i] && whole[i] == attn_rt_random_normal(3, 1, &i));
    cr_assert(uniform[i] == attn_rt_random_uniform(3, 1, &i));
    cr_assert(unit[i] <= uniform[i] && uniform[i] - unit[i] < 0x1p-24);
  }
}

/* Bounds are 5 standard deviations of each statistic under its exact law. */
Test(random, moments_are_those_of_the_law) {
  enum { N = 100000 };
  static double x[N], u[N];
  double m1 = 0, m2 = 0, m3 = 0, mu = 0, lag = 0;
  random_fill_normal(11, 0, N, x);
  random_fill_uniform(12, 0, N, u);
  for (int i = 0; i < N; i++) {
    m1 += x[i] / N, m2 += x[i] * x[i] / N, m3 += x[i] * x[i] * x[i] / N, mu += u[i] / N;
    lag += i ? x[i] * x[i - 1] / N : 0;
    cr_assert(u[i] >= 0 && u[i] < 1 && fabs(x[i]) < 8.6);
  }
  double sd = 5 / sqrt(N);
  cr_assert_float_eq(m1, 0, sd);
  cr_assert_float_eq(m2, 1, sd * sqrt(2));
  cr_assert_float_eq(m3, 0, sd * sqrt(15));
  cr_assert_float_eq(lag, 0, sd);
  cr_assert_float_eq(mu, 0.5, sd * sqrt(1.0 / 12));
}

Test(random, integers_cover_their_range) {
  enum { N = 40000 };
  static int64_t x[N];
  int count[4] = {0};
  random_fill_int(5, 0, N, -1, 3, x);
  for (int i = 0; i < N; i++) {
    cr_assert(x[i] >= -1 && x[i] < 3);
    count[x[i] + 1]++;
  }
  for (int k = 0; k < 4; k++) cr_assert_float_eq(count[k], N / 4, 5 * sqrt(N * 3.0 / 16));
  random_fill_int(5, 0, N, INT64_MIN, INT64_MAX, x);
  int negative = 0;
  for (int i = 0; i < N; i++) negative += x[i] < 0;
  cr_assert_float_eq(negative, N / 2, 5 * sqrt(N / 4.0));
  random_fill_int(5, 0, 2, 4, 4, x);
  cr_assert(x[0] == 4 && x[1] == 4);
}
