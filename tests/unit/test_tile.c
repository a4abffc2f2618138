/* Tiles against scalar code: the same kernel text compiled with and without, over sizes around those of a tile and a
 * block, awkward views, and numbers that are none.  Every array ends at a page that may not be touched. */
#define _DEFAULT_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "back/back.h"
#include "base/diag.h"
#include "ir/ir.h"
#include "ir/pass.h"
#include "tile/tile.h"

enum { MOST = 8 };

/* ---- memory with a fence behind it -------------------------------------------------------------- */

typedef struct Fenced { void *map; size_t bytes; void *data; } Fenced;

static Fenced fenced(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  Fenced f = {.bytes = whole + 2 * page};
  f.map = mmap(NULL, f.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert(f.map != MAP_FAILED);
  mprotect(f.map, page, PROT_NONE);
  mprotect((char *)f.map + page + whole, page, PROT_NONE);
  f.data = (char *)f.map + page + whole - bytes;
  return f;
}

static void unfence(Fenced *f) { munmap(f->map, f->bytes); }

/* ---- a run -------------------------------------------------------------------------------------- */

typedef enum { VIEW_PLAIN, VIEW_TRANSPOSED, VIEW_REVERSED } Layout;

typedef struct Setup {
  int64_t sizes[MOST]; /* as the kernel's */
  Layout layout;
  uint64_t seed;
  double scale;        /* of inputs */
  int poison;          /* 0: none; else every so many elements of input `victim` is NaN or infinite */
  uint32_t victim;
  double poisonous;
  uint32_t unwanted;   /* bits: outputs that the caller does not want */
} Setup;

typedef struct Run { int status; double *out[MOST]; int64_t n[MOST]; } Run;

static double uniform(uint64_t *s) {
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return (double)(*s >> 11) * 0x1p-53;
}

static int64_t size_of(const Kernel *k, Val v, const int64_t *sizes) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_SIZE) return sizes[i->integer];
  if (i->op == IR_CONST) return i->integer;
  if (i->op == IR_MAX) {
    int64_t a = size_of(k, i->arg[0], sizes), b = size_of(k, i->arg[1], sizes);
    return a > b ? a : b;
  }
  cr_assert(i->op == IR_ADD);
  return size_of(k, i->arg[0], sizes) + size_of(k, i->arg[1], sizes);
}

static size_t bytes_of(StoreType t, bool f64) {
  if (t == STORE_BOOL) return 1;
  return t == STORE_REAL && !f64 ? 4 : 8;
}

static attn_view view_of(const Kernel *k, const Array *a, const Setup *s, bool f64, Fenced *memory, int64_t *count) {
  attn_view v = {0};
  int64_t n = 1;
  Layout layout = a->kind == ARRAY_IN ? s->layout : VIEW_PLAIN;
  for (uint32_t d = 0; d < a->rank; d++) v.size[d] = size_of(k, a->dims[d], s->sizes);
  for (uint32_t step = 0; step < a->rank; step++) {
    uint32_t d = layout == VIEW_TRANSPOSED ? step : a->rank - 1 - step;
    v.stride[d] = n;
    n *= v.size[d];
  }
  size_t each = bytes_of(a->elem, f64);
  *memory = fenced((size_t)n * each);
  v.data = memory->data;
  *count = n;
  for (uint32_t d = 0; layout == VIEW_REVERSED && n > 0 && d < a->rank; d++) {
    v.data = (char *)v.data + (v.size[d] - 1) * v.stride[d] * (int64_t)each;
    v.stride[d] = -v.stride[d];
  }
  return v;
}

/* Inputs are filled element by element in C order, whatever their layout, with what a float holds. */
static void fill(const Array *a, const Setup *s, bool f64, const attn_view *v, int64_t n) {
  uint64_t seed = s->seed * 977 + a->external;
  for (int64_t at = 0; at < n; at++) {
    int64_t offset = 0, rest = at;
    for (uint32_t d = a->rank; d-- > 0;) offset += rest % v->size[d] * v->stride[d], rest /= v->size[d];
    double u = uniform(&seed);
    float x = (float)((u - 0.5) * 2 * s->scale);
    if (s->poison && a->external == s->victim && at % s->poison == s->poison / 2) x = (float)s->poisonous;
    if (a->elem == STORE_BOOL) ((uint8_t *)v->data)[offset] = u < 0.7;
    else if (a->elem == STORE_INT) ((int64_t *)v->data)[offset] = (int64_t)(u * 5);
    else if (f64) ((double *)v->data)[offset] = x;
    else ((float *)v->data)[offset] = x;
  }
}

static double element(const Array *a, bool f64, const void *data, int64_t at) {
  if (a->elem == STORE_BOOL) return ((const uint8_t *)data)[at];
  if (a->elem == STORE_INT) return (double)((const int64_t *)data)[at];
  return a->elem == STORE_WIDE || f64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

static Run run(Arena *arena, const Kernel *k, const Compiled *c, const Setup *s, bool f64) {
  attn_view in[MOST] = {0}, out[MOST] = {0};
  Fenced memory[2 * MOST + 1];
  const Array *outs[MOST] = {0};
  Run r = {0};
  uint32_t used = 0;
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    int64_t count;
    if (a->kind != ARRAY_IN && a->kind != ARRAY_OUT) continue;
    attn_view v = view_of(k, a, s, f64, &memory[used++], &count);
    if (a->kind == ARRAY_IN) fill(a, s, f64, &v, count);
    else outs[a->external] = a, r.n[a->external] = count;
    if (a->kind == ARRAY_OUT && s->unwanted >> a->external & 1)
      v.data = NULL, outs[a->external] = NULL, r.n[a->external] = 0;
    (a->kind == ARRAY_IN ? in : out)[a->external] = v;
  }
  size_t bytes = c->workspace(s->sizes, 1);
  memory[used] = fenced(bytes);
  attn_error err;
  r.status = c->run(in, out, s->sizes, memory[used++].data, bytes, NULL, &err);
  for (uint32_t o = 0; o < MOST; o++) {
    if (!outs[o]) continue;
    r.out[o] = NEW_ARRAY(arena, double, r.n[o] + 1);
    for (int64_t at = 0; at < r.n[o]; at++) r.out[o][at] = element(outs[o], f64, out[o].data, at);
  }
  while (used) unfence(&memory[--used]);
  return r;
}

/* ---- comparison --------------------------------------------------------------------------------- */

/* Numbers that are none must be at the same places, the others near relative to the largest. */
static void compare(const char *what, const Setup *s, const Run *a, const Run *b, double tol) {
  cr_expect_eq(a->status, b->status, "%s: status %d, %d", what, a->status, b->status);
  for (uint32_t o = 0; o < MOST; o++) {
    double most = 1, worst = 0;
    int64_t odd = 0;
    for (int64_t n = 0; n < a->n[o]; n++)
      if (isfinite(b->out[o][n])) most = fmax(most, fabs(b->out[o][n]));
    for (int64_t n = 0; n < a->n[o]; n++) {
      double x = a->out[o][n], y = b->out[o][n];
      if (isnan(x) && isnan(y)) continue;
      if (!isfinite(x) || !isfinite(y)) odd += x != y;
      else worst = fmax(worst, fabs(x - y) / most);
    }
    cr_expect(
        odd == 0 && worst <= tol,
        "%s, sizes %ld %ld %ld %ld, layout %d, poison %d of %u by %g: output %u: %ld numbers differ in kind, error %g",
        what, (long)s->sizes[0], (long)s->sizes[1], (long)s->sizes[2], (long)s->sizes[3], (int)s->layout, s->poison,
        s->victim, s->poisonous, o, (long)odd, worst);
  }
}

static Kernel *parse(Arena *arena, const char *text) {
  const Source *source = source_from_text(arena, "test.air", text, strlen(text));
  Diags diags;
  diag_init(&diags, arena, source);
  Kernel *k = ir_parse(arena, &diags, source);
  cr_assert(k, "%s in %s", diags.errors ? diags.list.at[0]->text : "", text);
  const char *why = ir_verify(k);
  cr_assert(!why, "%s", why);
  return k;
}

static uint32_t tiled(Arena *arena, const Kernel *k) {
  BackOptions options = {.optimise = true, .tile = true};
  const TilePlan *p = back_tile_plan(arena, k, &options);
  uint32_t n = 0;
  for (uint32_t r = 0; p && r < p->rows.n; r++) n += p->rows.at[r]->tiled;
  return n;
}

/* A kernel in tiles, and in scalar f64; compiled once for all setups. */
typedef struct Subject {
  Arena arena;
  const char *what;
  Kernel *k;
  Compiled *tile, *exact;
} Subject;

static Compiled *compiled(Subject *t, bool f64) {
  Compiled *c;
  const char *why;
  BackOptions options = {.f64 = f64, .optimise = true, .tile = !f64};
  cr_assert(back_compile(&t->arena, t->k, &options, &c, &why), "%s", why);
  return c;
}

static void subject_open(Subject *t, const char *what, const char *text) {
  arena_init(&t->arena, NULL);
  t->what = what;
  t->k = parse(&t->arena, text);
  BackOptions options = {.optimise = true, .tile = true};
  if (back_tile_plan(&t->arena, t->k, &options))
    cr_expect_geq(tiled(&t->arena, t->k), 1, "%s is not tiled", what);
  t->tile = compiled(t, false);
  t->exact = compiled(t, true);
}

static void subject_close(Subject *t) {
  back_dispose(t->tile);
  back_dispose(t->exact);
  arena_free(&t->arena);
}

static void subject_check(const Subject *t, const Setup *s, double tol) {
  Arena arena;
  arena_init(&arena, NULL);
  Run tile = run(&arena, t->k, t->tile, s, false), exact = run(&arena, t->k, t->exact, s, true);
  compare(t->what, s, &tile, &exact, tol);
  arena_free(&arena);
}

/* ---- kernels ------------------------------------------------------------------------------------ */

#define HEAD                                        \
  "kernel t {\n"                                    \
  "  size M, N, D, C\n"                             \
  "  %0 = size M : int\n"                           \
  "  %1 = size N : int\n"                           \
  "  %2 = size D : int\n"                           \
  "  %3 = size C : int\n"                           \
  "  %4 = const 0 : int\n"                          \
  "  in q: real[%0, %2] input 0\n"                  \
  "  in k: real[%1, %2] input 1\n"                  \
  "  in v: real[%1, %3] input 2\n"                  \
  "  in a: real[%0] input 3\n"                      \
  "  in b: real[%1] input 4\n"                      \
  "  in s: real[%0, %1] input 5\n"                  \
  "  in on: bool[%0, %1] input 6\n"                 \
  "  in id: int[%1] input 7\n"

#define DOT                                          \
  "    reduce %21 in %4..%2 {\n"                     \
  "      %22 = load q[%10, %21] : real\n"            \
  "      %23 = load k[%20, %21] : real\n"            \
  "      %24 = mul %22, %23 : real\n"                \
  "    } acc {\n"                                    \
  "      %25 = sum %24 : wide\n"                     \
  "    }\n"

/* Everything weighted, under a mask of data, with a seed. */
static const char weighted[] = HEAD
  "  out o: real[%0, %3] output 0\n"
  "  out e: wide[%0] output 1\n"
  "  out h: wide[%0] output 2\n"
  "  out x: wide[%0] output 3\n"
  "  out m: int[%0] output 4\n"
  "  out z: wide[%0] output 5\n"
  "  par %10 in %4..%0 {\n"
  "    local r: wide[%3]\n"
  "    %11 = load a[%10] : real\n"
  "    %12 = const 0 : real\n"
  "    %13 = lt %11, %12 : bool\n"
  "    %14 = const -1 : int\n"
  "    reduce %20 in %4..%1 {\n" DOT
  "      %26 = load on[%10, %20] : bool\n"
  "      %27 = load b[%20] : real\n"
  "      %28 = load s[%10, %20] : real\n"
  "      %29 = convert %28 : wide\n"
  "      %30 = logmul %25, %29 : wide\n"
  "      %32 = load id[%20] : int\n"
  "      %33 = add %27, %28 : real\n"
  "      where %26\n"
  "    } seed {\n"
  "      where %13\n"
  "    } acc {\n"
  "      r[%40 in %4..%3] = expect %30 of {\n"
  "        %41 = load v[%20, %40] : real\n"
  "        yield %41\n"
  "      } seed %11 of [%42] {\n"
  "        %43 = convert %42 : real\n"
  "        yield %43\n"
  "      } : wide\n"
  "      %44 = lse %30 seed %11 : wide\n"
  "      %45 = entropy %30 : wide\n"
  "      %46 = expect %30 of %33 seed %11 of %11 : wide\n"
  "      %47 = argmax %30 of %32 seed %11 of %14 : int\n"
  "      %48 = mass %29 : wide\n"
  "    }\n"
  "    store e[%10], %44\n"
  "    store h[%10], %45\n"
  "    store x[%10], %46\n"
  "    store m[%10], %47\n"
  "    store z[%10], %48\n"
  "    par %50 in %4..%3 {\n"
  "      %51 = load r[%50] : wide\n"
  "      %52 = convert %51 : real\n"
  "      store o[%10, %50], %52\n"
  "    }\n"
  "  }\n"
  "}\n";

/* Everything unweighted, under a mask of i - j, and what depends on i - j alone. */
static const char plain[] = HEAD
  "  out o: real[%0, %3] output 0\n"
  "  out sums: wide[%0] output 1\n"
  "  out most: wide[%0] output 2\n"
  "  out least: wide[%0] output 3\n"
  "  out counts: int[%0] output 4\n"
  "  out some: bool[%0] output 5\n"
  "  out every: bool[%0] output 6\n"
  "  out ids: int[%0] output 7\n"
  "  %5 = sub %1, %0 : int\n"
  "  %6 = const 1 : int\n"
  "  %7 = const 0.05 : real\n"
  "  par %10 in %4..%0 {\n"
  "    local r: wide[%3]\n"
  "    %11 = add %10, %5 : int\n"
  "    reduce %20 in %4..%1 {\n" DOT
  "      %26 = le %20, %11 : bool\n"
  "      %27 = sub %10, %20 : int\n"
  "      %28 = convert %27 : real\n"
  "      %29 = mul %28, %7 : real\n"
  "      %30 = cos %29 : real\n"
  "      %31 = convert %25 : real\n"
  "      %32 = tanh %31 : real\n"
  "      %33 = mul %32, %30 : real\n"
  "      %34 = gt %33, %7 : bool\n"
  "      %35 = load id[%20] : int\n"
  "      %36 = mul %35, %27 : int\n"
  "      where %26\n"
  "    } acc {\n"
  "      r[%40 in %4..%3] = sum {\n"
  "        %41 = load v[%20, %40] : real\n"
  "        %42 = mul %33, %41 : real\n"
  "        yield %42\n"
  "      } : wide\n"
  "      %43 = sum %33 : wide\n"
  "      %44 = max %33 : wide\n"
  "      %45 = min %33 : wide\n"
  "      %46 = sum %6 : int\n"
  "      %47 = any %34 : bool\n"
  "      %48 = all %34 : bool\n"
  "      %49 = sum %36 : int\n"
  "    }\n"
  "    store sums[%10], %43\n"
  "    store most[%10], %44\n"
  "    store least[%10], %45\n"
  "    store counts[%10], %46\n"
  "    store some[%10], %47\n"
  "    store every[%10], %48\n"
  "    store ids[%10], %49\n"
  "    par %50 in %4..%3 {\n"
  "      %51 = load r[%50] : wide\n"
  "      %52 = convert %51 : real\n"
  "      store o[%10, %50], %52\n"
  "    }\n"
  "  }\n"
  "}\n";

/* Two streams, the second of which reads what the first leaves; a distance; a check under a guard of the pair. */
static const char twice[] = HEAD
  "  out o: real[%0, %3] output 0\n"
  "  out e: wide[%0] output 1\n"
  "  %5 = const 5 : int\n"
  "  par %10 in %4..%0 {\n"
  "    reduce %60 in %4..%1 {\n"
  "      %61 = load s[%10, %60] : real\n"
  "    } acc {\n"
  "      %62 = lse %61 : wide\n"
  "    }\n"
  "    local r: wide[%3]\n"
  "    reduce %20 in %4..%1 {\n"
  "      reduce %21 in %4..%2 {\n"
  "        %22 = load q[%10, %21] : real\n"
  "        %23 = load k[%20, %21] : real\n"
  "        %24 = sub %22, %23 : real\n"
  "        %25 = mul %24, %24 : real\n"
  "      } acc {\n"
  "        %26 = sum %25 : wide\n"
  "        %27 = max %24 : wide\n"
  "      }\n"
  "      %28 = sub %27, %26 : wide\n"
  "      %29 = load s[%10, %20] : real\n"
  "      %30 = convert %29 : wide\n"
  "      %31 = sub %30, %62 : wide\n"
  "      %32 = exp %31 : wide\n"
  "      %33 = load id[%20] : int\n"
  "      %34 = gt %28, %62 : bool\n"
  "      check.index %34, %33, %5\n"
  "    } acc {\n"
  "      r[%40 in %4..%3] = expect %28 of {\n"
  "        %41 = load v[%20, %40] : real\n"
  "        %42 = convert %41 : wide\n"
  "        %43 = mul %32, %42 : wide\n"
  "        yield %43\n"
  "      } : wide\n"
  "      %44 = lse %28 : wide\n"
  "    }\n"
  "    store e[%10], %44\n"
  "    par %50 in %4..%3 {\n"
  "      %51 = load r[%50] : wide\n"
  "      %52 = convert %51 : real\n"
  "      store o[%10, %50], %52\n"
  "    }\n"
  "  }\n"
  "}\n";

/* Log weights of a pair, which two loops write alike: i and j are the row's and the column's index. */
#define PAIR(i, j, n)                                  \
  "      reduce %" n "1 in %4..%2 {\n"                 \
  "        %" n "2 = load q[" i ", %" n "1] : real\n"  \
  "        %" n "3 = load k[" j ", %" n "1] : real\n"  \
  "        %" n "5 = mul %" n "2, %" n "3 : real\n"    \
  "      } acc {\n"                                    \
  "        %" n "6 = sum %" n "5 : wide\n"             \
  "      }\n"                                          \
  "      %" n "7 = load s[" i ", " j "] : real\n"      \
  "      %" n "8 = load b[" j "] : real\n"             \
  "      %" n "9 = add %" n "7, %" n "8 : real\n"      \
  "      %" n "10 = convert %" n "9 : wide\n"          \
  "      %" n "11 = sub %" n "10, %" n "6 : wide\n"

#define TOTAL                           \
  "  reduce %25 in %4..%1 {\n"          \
  "    %26 = load both[%25] : wide\n"   \
  "  } acc {\n"                         \
  "    %27 = sum %26 : wide\n"          \
  "  }\n"                               \
  "  store total[], %27\n"

/* Sums over the rows for each column, which blocks of rows take by the way, where they hold all rows; what reads them
 * later. */
static const char across[] = HEAD
  "  out o: real[%0, %3] output 0\n"
  "  out n: wide[%0] output 1\n"
  "  out e: wide[%0] output 2\n"
  "  out z: wide[%1] output 3\n"
  "  out total: wide[] output 4\n"
  "  temp most: wide[%1]\n"
  "  temp mass: wide[%1]\n"
  "  temp both: wide[%1]\n"
  "  %6 = const 3 : real\n"
  "  par %10 in %4..%1 {\n"
  "    reduce %20 in %4..%0 {\n" PAIR("%20", "%10", "10")
  "    } acc {\n"
  "      %21 = max %1011 : wide\n"
  "      %22 = mass %1011 : wide\n"
  "      %23 = lse %1011 : wide\n"
  "    }\n"
  "    store most[%10], %21\n"
  "    store mass[%10], %22\n"
  "    store both[%10], %23\n"
  "  }\n"
  "  par %30 in %4..%0 {\n"
  "    local r: wide[%3]\n"
  "    reduce %40 in %4..%1 {\n"
  "      %41 = load most[%40] : wide\n"
  "      %42 = load mass[%40] : wide\n" PAIR("%30", "%40", "20")
  "      %43 = sub %2011, %41 : wide\n"
  "      %44 = sub %43, %42 : wide\n"
  "      %45 = exp %44 : wide\n"
  "      %46 = load both[%40] : wide\n"
  "      %47 = sub %2011, %46 : wide\n"
  "      %48 = exp %47 : wide\n"
  "    } acc {\n"
  "      r[%50 in %4..%3] = sum {\n"
  "        %51 = load v[%40, %50] : real\n"
  "        %52 = div %51, %6 : real\n"
  "        %53 = convert %52 : wide\n"
  "        %54 = mul %45, %53 : wide\n"
  "        yield %54\n"
  "      } : wide\n"
  "      %55 = sum %45 : wide\n"
  "      %56 = sum %48 : wide\n"
  "    }\n"
  "    store n[%30], %55\n"
  "    store e[%30], %56\n"
  "    par %60 in %4..%3 {\n"
  "      %61 = load r[%60] : wide\n"
  "      %62 = convert %61 : real\n"
  "      store o[%30, %60], %62\n"
  "    }\n"
  "  }\n"
  TOTAL
  "  par %70 in %4..%1 {\n"
  "    %71 = load both[%70] : wide\n"
  "    store z[%70], %71\n"
  "  }\n"
  "}\n";

/* The same where nothing but the shares asks for them: scalar code of a row must have them made. */
static const char unasked[] = HEAD
  "  out o: real[%0, %3] output 0\n"
  "  out n: wide[%0] output 1\n"
  "  temp most: wide[%1]\n"
  "  temp mass: wide[%1]\n"
  "  par %10 in %4..%1 {\n"
  "    reduce %20 in %4..%0 {\n" PAIR("%20", "%10", "1")
  "    } acc {\n"
  "      %21 = max %111 : wide\n"
  "      %22 = mass %111 : wide\n"
  "    }\n"
  "    store most[%10], %21\n"
  "    store mass[%10], %22\n"
  "  }\n"
  "  par %30 in %4..%0 {\n"
  "    local r: wide[%3]\n"
  "    reduce %40 in %4..%1 {\n"
  "      %41 = load most[%40] : wide\n"
  "      %42 = load mass[%40] : wide\n" PAIR("%30", "%40", "7")
  "      %43 = sub %711, %41 : wide\n"
  "      %44 = sub %43, %42 : wide\n"
  "      %45 = exp %44 : wide\n"
  "    } acc {\n"
  "      r[%50 in %4..%3] = sum {\n"
  "        %51 = load v[%40, %50] : real\n"
  "        %52 = convert %51 : wide\n"
  "        %53 = mul %45, %52 : wide\n"
  "        yield %53\n"
  "      } : wide\n"
  "      %55 = sum %45 : wide\n"
  "    }\n"
  "    store n[%30], %55\n"
  "    par %60 in %4..%3 {\n"
  "      %61 = load r[%60] : wide\n"
  "      %62 = convert %61 : real\n"
  "      store o[%30, %60], %62\n"
  "    }\n"
  "  }\n"
  "}\n";

static const struct {
  const char *name, *text;
} kernels[] = {{"weighted", weighted}, {"plain", plain}, {"twice", twice}, {"across", across}};
enum { KERNELS = 4 };

static const int64_t sizes[][4] = {{1, 1, 1, 1},      {1, 300, 5, 17}, {7, 17, 3, 16},  {13, 256, 8, 33},
                                   {500, 40, 4, 3},   {5, 600, 1, 2},  {6, 16, 16, 16}, {3, 0, 4, 4},
                                   {0, 9, 4, 4},      {4, 5, 0, 3},    {9, 9, 2, 0},    {40, 530, 6, 20},
                                   {64, 1100, 3, 18}, {65, 70, 5, 4}};
enum { SIZES = sizeof sizes / sizeof *sizes };

Test(tile, sizes_and_views) {
  for (int k = 0; k < KERNELS; k++) {
    Subject t;
    subject_open(&t, kernels[k].name, kernels[k].text);
    for (int n = 0; n < SIZES; n++) {
      Setup s = {.layout = (Layout)(n % 3), .seed = 5 + (uint64_t)n, .scale = 1};
      memcpy(s.sizes, sizes[n], sizeof sizes[n]);
      subject_check(&t, &s, 1e-5);
    }
    subject_close(&t);
  }
}

static char *replaced(Arena *arena, const char *text, const char *what, const char *with) {
  const char *at = strstr(text, what);
  cr_assert_not_null(at, "%s", what);
  return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

/* passes: kernels stand here as they are compiled, or those of the reduction IR run first: what reads sums of columns
 * comes behind what they are made beside. */
static const TileStream *stream_across(Arena *arena, const char *text, bool passes) {
  BackOptions options = {.optimise = true, .tile = true};
  const Kernel *k = parse(arena, text);
  const TilePlan *p = back_tile_plan(arena, passes ? ir_run_passes(arena, k, NULL) : k, &options);
  for (uint32_t n = 0; p && n < p->rows.n; n++)
    for (uint32_t m = 0; m < p->rows.at[n]->streams.n; m++)
      if (p->rows.at[n]->streams.at[m]->across) return p->rows.at[n]->streams.at[m];
  return NULL;
}

Test(tile, sums_across_rows_are_taken_by_the_way) {
  Arena arena;
  arena_init(&arena, NULL);
  BackOptions options = {.optimise = true, .tile = true};
  if (!back_tile_plan(&arena, parse(&arena, across), &options)) cr_skip("no tiles here");
  const TileStream *s = stream_across(&arena, across, false);
  cr_assert_not_null(s);
  cr_expect_eq(s->across->stores.n, 3);
  cr_expect_eq(s->across->late.n, 3);
  cr_expect_neq(s->across->share, 0);
  cr_expect(s->across->asked);
  s = stream_across(&arena, unasked, false);
  cr_assert_not_null(s);
  cr_expect_not(s->across->asked);
  /* what only adds the sums up stands between, and goes behind */
  char *between = replaced(&arena, replaced(&arena, across, TOTAL, ""), "  par %30 in", TOTAL "  par %30 in");
  cr_expect_null(stream_across(&arena, between, false));
  cr_expect_not_null(stream_across(&arena, between, true));
  arena_free(&arena);
}

/* Outputs of the rows that nobody wants are not computed, and sums of columns for others then by themselves. */
Test(tile, sums_across_rows_that_nobody_computes) {
  Subject t;
  subject_open(&t, "across", across);
  for (uint32_t unwanted = 1; unwanted < 32; unwanted += 6) {
    Setup s = {.sizes = {9, 40, 3, 5}, .seed = 2, .scale = 1, .unwanted = unwanted};
    subject_check(&t, &s, 1e-5);
  }
  subject_close(&t);
}

/* Of v an element in 97 is no number: all rows go the scalar way, and need what blocks of rows have not kept. */
Test(tile, sums_across_rows_that_scalar_code_asks_for) {
  Setup s = {.sizes = {20, 300, 4, 5}, .seed = 3, .scale = 1};
  Subject t;
  subject_open(&t, "unasked", unasked);
  subject_check(&t, &s, 1e-5);
  s.poison = 97, s.victim = 2, s.poisonous = NAN;
  subject_check(&t, &s, 2e-5);
  s.victim = 1, s.poisonous = INFINITY;
  subject_check(&t, &s, 2e-5);
  subject_close(&t);
}

/* Sums of rows, of columns under these, and of rows under both: the second loop does what the first would, so it must
 * run, though the third could do what it does. */
static const char in_turn[] = HEAD
  "  out o: wide[%0] output 0\n"
  "  temp norm: wide[%0]\n"
  "  temp most: wide[%1]\n"
  "  temp mass: wide[%1]\n"
  "  par %10 in %4..%0 {\n"
  "    reduce %11 in %4..%1 {\n"
  "      reduce %12 in %4..%2 {\n"
  "        %13 = load q[%10, %12] : real\n"
  "        %14 = load k[%11, %12] : real\n"
  "        %15 = mul %13, %14 : real\n"
  "      } acc {\n"
  "        %16 = sum %15 : wide\n"
  "      }\n"
  "    } acc {\n"
  "      %17 = lse %16 : wide\n"
  "    }\n"
  "    store norm[%10], %17\n"
  "  }\n"
  "  par %20 in %4..%1 {\n"
  "    reduce %21 in %4..%0 {\n"
  "      reduce %22 in %4..%2 {\n"
  "        %23 = load q[%21, %22] : real\n"
  "        %24 = load k[%20, %22] : real\n"
  "        %25 = mul %23, %24 : real\n"
  "      } acc {\n"
  "        %26 = sum %25 : wide\n"
  "      }\n"
  "      %27 = load norm[%21] : wide\n"
  "      %28 = sub %26, %27 : wide\n"
  "    } acc {\n"
  "      %29 = max %28 : wide\n"
  "      %30 = mass %28 : wide\n"
  "    }\n"
  "    store most[%20], %29\n"
  "    store mass[%20], %30\n"
  "  }\n"
  "  par %40 in %4..%0 {\n"
  "    %41 = load norm[%40] : wide\n"
  "    reduce %42 in %4..%1 {\n"
  "      %43 = load most[%42] : wide\n"
  "      %44 = load mass[%42] : wide\n"
  "      reduce %45 in %4..%2 {\n"
  "        %46 = load q[%40, %45] : real\n"
  "        %47 = load k[%42, %45] : real\n"
  "        %48 = mul %46, %47 : real\n"
  "      } acc {\n"
  "        %49 = sum %48 : wide\n"
  "      }\n"
  "      %50 = sub %49, %41 : wide\n"
  "      %51 = sub %50, %43 : wide\n"
  "      %52 = sub %51, %44 : wide\n"
  "      %53 = exp %52 : wide\n"
  "    } acc {\n"
  "      %54 = sum %53 : wide\n"
  "    }\n"
  "    store o[%40], %54\n"
  "  }\n"
  "}\n";

Test(tile, sums_across_rows_in_turn) {
  Subject t;
  subject_open(&t, "in turn", in_turn);
  for (int64_t rows = 5; rows < 90; rows += 40) {
    Setup s = {.sizes = {rows, 40, 3, 5}, .seed = 2, .scale = 1};
    subject_check(&t, &s, 1e-5);
  }
  subject_close(&t);
}

/* Another order of the factors, another range, a store between what the two loops read: each keeps them apart. */
Test(tile, loops_that_differ_stay_apart) {
  static const struct { const char *what, *with;
  } change[] = {
      {"reduce %20 in %4..%0", "reduce %20 in %4..%3"},
      {"%1010 = convert %109", "%1010 = convert %107"},
      {"  par %30 in", "  par %80 in %4..%1 {\n %81 = load a[%80] : real\n %82 = convert %81 : wide\n store most[%80], "
                       "%82\n }\n  par %30 in"},
      {"store n[%30], %55", "store n[%30], %55\n store mass[%30], %55"},
      {"%46 = load both[%40]", "%46 = load both[%30]"},
  };
  Arena arena;
  for (uint32_t n = 0; n < sizeof change / sizeof *change; n++) {
    arena_init(&arena, NULL);
    cr_expect_null(stream_across(&arena, replaced(&arena, across, change[n].what, change[n].with), false), "%s",
                   change[n].with);
    arena_free(&arena);
  }
}

/* NaN, infinities and huge numbers in every input: the same rows are spoiled, and no others. */
Test(tile, no_numbers) {
  static const double what[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30};
  for (int k = 0; k < KERNELS; k++) {
    Subject t;
    subject_open(&t, kernels[k].name, kernels[k].text);
    for (uint32_t victim = 0; victim < 6; victim++)
      for (int n = 0; n < 5; n++) {
        Setup s = {.sizes = {20, 300, 4, 5},
                   .seed = 3,
                   .scale = 1,
                   .poison = n == 0 ? 97 : 301,
                   .victim = victim,
                   .poisonous = what[n]};
        subject_check(&t, &s, 2e-5);
      }
    subject_close(&t);
  }
}

/* Log weights far apart, growing from block to block. */
Test(tile, far_apart) {
  Setup s = {.sizes = {20, 900, 16, 8}, .seed = 9, .scale = 9};
  Subject t;
  subject_open(&t, "weighted", weighted);
  subject_check(&t, &s, 1e-4);
  s.scale = 1e4;
  s.sizes[2] = 1;
  subject_check(&t, &s, 1e-2);
  subject_close(&t);
}
