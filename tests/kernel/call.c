/* call: see call.h. */
#include "call.h"

#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "half.h"

long checks, failures;

/* ---- reports ------------------------------------------------------------------------------------------------ */

enum { REPORTS_MAX = 20, TEXT_BYTES = 1024 };
static char context[TEXT_BYTES];

void doing(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(context, sizeof context, format, args);
  va_end(args);
}

bool expect(bool ok, const char *format, ...) {
  checks++;
  if (ok) return true;
  if (failures++ >= REPORTS_MAX) return false;
  va_list args;
  va_start(args, format);
  printf("failed: %s: ", context);
  vprintf(format, args);
  printf("\n");
  va_end(args);
  return false;
}

/* Which fault and where: one that comes once in a thousand runs has to be understood from these lines alone. */
static void on_fault(int number, siginfo_t *info, void *machine) {
  char text[TEXT_BYTES + 160];
  void *frames[32];
  (void)machine;
  int n = snprintf(text, sizeof text, "failed: a fault, while doing: %s: signal %d, code %d, at %p\n", context, number,
                   info->si_code, info->si_addr);
  bool told = write(STDOUT_FILENO, text, (size_t)n) == n;
  backtrace_symbols_fd(frames, backtrace(frames, 32), STDOUT_FILENO);
  _exit(told ? 1 : 2);
}

void catch_faults(void) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  for (int k = 0; k < 5; k++) sigaction(faults[k], &action, NULL);
  setvbuf(stdout, NULL, _IOLBF, 0);
}

/* ---- guarded memory ----------------------------------------------------------------------------------------- */

/* room: all that may be touched.  data: `bytes` of it, beside the guard. */
typedef struct Guarded { unsigned char *map, *room, *data, *before; size_t mapped, room_bytes, bytes; } Guarded;

/* Pages that were released, to be used again: making them is slower than most calls.  The first ones go first. */
enum { KEPT_MAX = 128 };
static struct { unsigned char *map; size_t mapped; } kept[KEPT_MAX];
static int kept_count;

static unsigned char *take_pages(size_t mapped, size_t page) {
  for (int k = kept_count - 1; k >= 0; k--) {
    if (kept[k].mapped != mapped) continue;
    unsigned char *map = kept[k].map;
    memmove(&kept[k], &kept[k + 1], (size_t)(--kept_count - k) * sizeof kept[0]);
    return map;
  }
  unsigned char *map = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) abort();
  if (mapped > 2 * page && mprotect(map + page, mapped - 2 * page, PROT_READ | PROT_WRITE)) abort();
  return map;
}

/* Of rooms that few calls touch in the middle, no more than their ends is filled: pages are made when they are touched. */
enum { FILLED = 1 << 23 };

static void fill(unsigned char *room, size_t bytes, unsigned char garbage) {
  size_t end = bytes < 2 * (size_t)FILLED ? bytes - bytes / 2 : FILLED;
  memset(room, garbage, end);
  memset(room + bytes - end, garbage, end);
}

static Guarded guarded(size_t bytes, size_t gap, bool at_front, unsigned char garbage) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + gap + page - 1) / page * page;
  Guarded g = {.mapped = room + 2 * page, .room_bytes = room, .bytes = bytes};
  g.map = take_pages(g.mapped, page);
  g.room = g.map + page;
  g.data = at_front ? g.room + gap : g.room + room - bytes - gap;
  fill(g.room, room, garbage);
  return g;
}

/* What the pages hold now is what they must hold after the call. */
static void remember(Guarded *g) {
  g->before = malloc(g->room_bytes + 1);
  if (!g->before) abort();
  memcpy(g->before, g->room, g->room_bytes);
}

static void release(Guarded *g) {
  free(g->before);
  if (kept_count == KEPT_MAX) {
    munmap(kept[0].map, kept[0].mapped);
    memmove(&kept[0], &kept[1], (size_t)--kept_count * sizeof kept[0]);
  }
  kept[kept_count].map = g->map, kept[kept_count++].mapped = g->mapped;
}

/* ---- arrays in memory --------------------------------------------------------------------------------------- */

static int element_bytes(const Kernel *k, Type t) {
  switch (t) {
  case TYPE_REAL: return k->real_bytes;
  case TYPE_INT: case TYPE_COUNT: return 8;
  case TYPE_BOOL: return 1;
  case TYPE_F16: case TYPE_BF16: return 2;
  case TYPE_F32: return 4;
  }
  return 8;
}

/* first: elements between the lowest address and the element at index 0. */
typedef struct Placed { Guarded g; attn_view view; int64_t first; int bytes; } Placed;

/* Strides in elements; returns how many elements the array spans. */
static int64_t lay_out(const Array *a, const Layout *l, Placed *p) {
  int64_t step = l->order == ORDER_SPREAD ? 2 : 1, span = 1;
  bool empty = array_count(a) == 0;
  for (int n = 0; n < a->rank; n++) {
    int k = l->order == ORDER_TRANSPOSED ? n : a->rank - 1 - n;
    bool broadcast = l->broadcast >> k & 1, reversed = l->reversed >> k & 1;
    int64_t reach = (a->extent[k] - 1) * step;
    p->view.size[k] = a->extent[k];
    p->view.stride[k] = broadcast ? 0 : reversed ? -step : step;
    if (broadcast) continue;
    if (!empty) p->first += reversed ? reach : 0, span += reach;
    step = step * (a->extent[k] > 0 ? a->extent[k] : 1) + (l->order >= ORDER_PADDED ? 3 : 0);
  }
  return empty ? 0 : span;
}

static Placed place(const Kernel *k, const Array *a, const Layout *l, unsigned char garbage) {
  Placed p = {.bytes = element_bytes(k, a->type)};
  size_t span = (size_t)lay_out(a, l, &p), bytes = (size_t)p.bytes;
  p.g = guarded(span * bytes, (size_t)l->shift * bytes, l->at_front, garbage);
  p.view.data = p.g.data + (size_t)p.first * bytes;
  return p;
}

/* The element at place n in C order. */
static unsigned char *element(const Array *a, const Placed *p, int64_t n) {
  int64_t at = 0;
  for (int k = a->rank - 1; k >= 0; k--) {
    at += n % a->extent[k] * p->view.stride[k];
    n /= a->extent[k];
  }
  return (unsigned char *)p->view.data + at * p->bytes;
}

/* Elements along the last axis, how many such lines there are, and the bytes from one element to the next: within a
 * line no place is divided into indices, which would take most of the time of these checks. */
typedef struct Lines { int64_t length, count, step; } Lines;

static Lines lines_of(const Array *a, const Placed *p) {
  int64_t n = array_count(a), length = a->rank ? a->extent[a->rank - 1] : 1;
  return (Lines){length, n ? n / length : 0, a->rank ? p->view.stride[a->rank - 1] * p->bytes : 0};
}

static void store(unsigned char *to, Type t, int bytes, double x) {
  float single = (float)x;
  uint16_t half = bytes != 2 ? 0 : t == TYPE_F16 ? f64_to_f16(x) : f64_to_bf16(x);
  int64_t integer = t == TYPE_INT || t == TYPE_BOOL ? (int64_t)x : 0;
  if (t == TYPE_BOOL) *to = integer != 0;
  else if (t == TYPE_INT) memcpy(to, &integer, sizeof integer);
  else if (bytes == 2) memcpy(to, &half, sizeof half);
  else memcpy(to, bytes == 4 ? (void *)&single : (void *)&x, (size_t)bytes);
}

static double load(const unsigned char *from, Type t, int bytes) {
  float single;
  double x;
  int64_t integer;
  if (t == TYPE_BOOL) return *from;
  if (t == TYPE_INT) return memcpy(&integer, from, sizeof integer), (double)integer;
  if (bytes == 4) return memcpy(&single, from, sizeof single), (double)single;
  return memcpy(&x, from, sizeof x), x;
}

/* Backwards, so that a place of a broadcast axis keeps the value of index 0. */
static Placed place_input(const Kernel *k, const Array *a, const Layout *l) {
  Placed p = place(k, a, l, 0xff); /* in gaps: NaN, negative ints */
  Lines lines = lines_of(a, &p);
  for (int64_t n = lines.count - 1; n >= 0; n--) {
    unsigned char *line = element(a, &p, n * lines.length);
    for (int64_t i = lines.length - 1; i >= 0; i--)
      store(line + i * lines.step, a->type, p.bytes, a->values[n * lines.length + i]);
  }
  remember(&p.g);
  return p;
}

/* ---- a call ------------------------------------------------------------------------------------------------- */

/* The output's elements in C order.  They are put where the pages are remembered, so that the rest can be compared. */
static unsigned char *gather(const Array *a, const Placed *p, int64_t *bytes) {
  Lines lines = lines_of(a, p);
  *bytes = array_count(a) * p->bytes;
  unsigned char *out = malloc((size_t)*bytes + 1);
  if (!out) abort();
  for (int64_t n = 0; n < lines.count; n++) {
    const unsigned char *from = element(a, p, n * lines.length);
    unsigned char *to = out + n * lines.length * p->bytes;
    for (int64_t k = 0; k < lines.length; k++, from += lines.step, to += p->bytes) {
      memcpy(to, from, (size_t)p->bytes);
      memcpy(p->g.before + (from - p->g.room), from, (size_t)p->bytes);
    }
  }
  return out;
}

/* What the inputs hold may stop a kernel when it has written some results. */
static bool stopped_inside(int status) {
  return status == ATTN_ERROR_INDEX || status == ATTN_ERROR_DIVISOR || status == ATTN_ERROR_CONCAVE ||
         status == ATTN_ERROR_CLIQUE;
}

static void finish(Placed *p, const char *name, const char *what) {
  expect(!memcmp(p->g.before, p->g.room, p->g.room_bytes), "%s %s", name, what);
  release(&p->g);
}

/* What a kernel finds on its stack is as full of garbage as what it is given. */
enum { STACK_BYTES = 64 << 10 };
static __attribute__((noinline)) void litter_stack(unsigned char garbage) {
  unsigned char below[STACK_BYTES];
  memset(below, garbage, sizeof below);
  __asm__ volatile("" : : "r"(below) : "memory");
}

Result call(const Kernel *k, const Case *c, const Setup *s) {
  Result r = {0};
  Placed in[ARRAYS_MAX], out[ARRAYS_MAX];
  attn_view ins[ARRAYS_MAX], outs[ARRAYS_MAX];
  int64_t sizes[SIZES_MAX];
  for (int n = 0; n < c->nin; n++) in[n] = place_input(k, &c->in[n], &s->in[n]), ins[n] = in[n].view;
  for (int n = 0; n < c->nout; n++) {
    out[n] = place(k, &c->out[n], &s->out[n], s->garbage), outs[n] = out[n].view;
    remember(&out[n].g);
    if (s->no_out >> n & 1) outs[n].data = NULL;
  }
  memcpy(sizes, c->size, sizeof sizes);
  r.need = k->workspace(sizes, s->pool ? s->pool->threads : 1);
  size_t bytes = r.need - (size_t)s->short_by;
  Guarded workspace = guarded(bytes, (size_t)s->workspace.shift, s->workspace.at_front, s->garbage);
  litter_stack(s->garbage);
  r.status = k->run(ins, outs, sizes, workspace.data, bytes, s->pool, s->no_err ? NULL : &r.err);
  release(&workspace);
  for (int n = 0; n < c->nin; n++) finish(&in[n], c->in[n].name, "was changed");
  for (int n = 0; n < c->nout; n++) {
    bool computed = (r.status == ATTN_OK || stopped_inside(r.status)) && !(s->no_out >> n & 1);
    if (computed) r.out[n] = gather(&c->out[n], &out[n], &r.bytes[n]);
    finish(&out[n], c->out[n].name, computed ? "was written beside its elements" : "was written");
  }
  return r;
}

void result_free(Result *r) {
  for (int n = 0; n < ARRAYS_MAX; n++) free(r->out[n]);
}

double result_at(const Kernel *k, const Case *c, const Result *r, int out, int64_t at) {
  Type t = c->out[out].type;
  int bytes = element_bytes(k, t);
  return load(r->out[out] + at * bytes, t, bytes);
}
