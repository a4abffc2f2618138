/* guard_checks: compiled models whose arrays lie directly beside memory that nobody may touch.
 *
 *   guard_checks [--share=K/N] [--draws=D] [--sanitize] FILE...
 *   guard_checks --plant FILE
 *
 * Every model of the files (with --share: of each N-th file, from the K-th on) is compiled, in f32 or f64 by turns, and
 * called on random inputs at odd sizes.  Each input, each output and the workspace lies on pages of its own
 * (tests/kernel/call.h), its last byte before a page that faults, then its first byte behind one, then at every
 * alignment that an element allows, in other orders and directions, the workspace at any byte.  A fault names the
 * model; results must be those of the first call.  So are a null output, and a workspace that is a byte too small,
 * refused or obeyed.
 *
 * LLVM's optimisations are left out: accesses that nobody needs are then made, too.  tests/kernel does the same to
 * optimised code of examples.
 *
 * --sanitize: code with AddressSanitizer, which sees what is beside no page: arrays on the stack.  --plant: such code
 * with an output that is a byte too short, which must be seen. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "subject.h"

/* LARGE: sizes that fill vectors and tiles, and some tail.  Where an exact sum over so many is not worth it, smaller
 * ones. */
enum { LARGE = 37, MIDDLE = 11, SMALL = 5, TRIES = 6, DRAWS = 1, CLOCKS_A_CALL = CLOCKS_PER_SEC / 200 };

static_assert((int)DRAWN_ARRAYS <= (int)ARRAYS_MAX && (int)DRAWN_SIZES <= (int)SIZES_MAX, "a drawing fits a case");
static_assert((int)DRAWN_NAME == (int)NAME_MAX_BYTES, "names are as long");

typedef struct Run { int share, of, draws; bool sanitize; long models, without; } Run;

static void check_places(const Subject *s) {
  check_shifts(s);
  check_layouts(s);
  check_nulls(s);
  check_workspace(s);
}

/* False: the model stops at these inputs, by its own rules; or some hundred calls would take long, and smaller sizes
 * will do. */
static bool check_case(const Kernel *k, const Case *c, bool may_be_smaller) {
  Plan plan = {.lines = true, .reference = *k};
  Subject s = {.plan = &plan, .kernel = k, .c = c};
  clock_t begin = clock();
  s.base = call(k, c, &(Setup){.garbage = 0xa5});
  s.reference = s.base;
  bool is_long = clock() - begin > CLOCKS_A_CALL, ran = s.base.status == ATTN_OK && !(is_long && may_be_smaller);
  if (ran) {
    expect_same(&s, &(Setup){.garbage = 0x5a}, "again, over other garbage");
    check_places(&s);
  }
  result_free(&s.base);
  return ran;
}

static Type type_of(Stored t) {
  switch (t) {
  case STORED_REAL: return TYPE_REAL;
  case STORED_F64: return TYPE_COUNT;
  case STORED_F32: return TYPE_F32;
  case STORED_F16: return TYPE_F16;
  case STORED_BF16: return TYPE_BF16;
  case STORED_INT: return TYPE_INT;
  case STORED_BOOL: return TYPE_BOOL;
  }
  return TYPE_REAL;
}

static Array array_of(const DrawnArray *d) {
  Array a = {.type = type_of(d->type), .rank = d->rank, .values = d->values};
  memcpy(a.name, d->name, sizeof a.name);
  memcpy(a.extent, d->extent, sizeof a.extent);
  return a;
}

/* The values are the drawing's. */
static Case case_of(const Drawn *d) {
  Case c = {.nsizes = d->nsizes, .nin = d->nin, .nout = d->nout};
  memcpy(c.size, d->size, sizeof c.size);
  for (int k = 0; k < d->nin; k++) c.in[k] = array_of(&d->in[k]);
  for (int k = 0; k < d->nout; k++) c.out[k] = array_of(&d->out[k]);
  return c;
}

static bool check_draw(Subjects *models, int n, const Kernel *k, int draw) {
  static const int64_t largest[] = {LARGE, MIDDLE, SMALL};
  for (int size = 0; size < 3; size++)
    for (uint64_t t = 0; t < TRIES; t++) {
      Drawn d;
      bool ran = subjects_draw(models, n, largest[size], (uint64_t)draw * TRIES + t, &d);
      Case c = case_of(&d);
      ran = ran && check_case(k, &c, size < 2);
      drawn_free(&d);
      if (ran) return true;
    }
  return false;
}

static void check_file(Run *r, const char *path, bool f64) {
  doing("%s: compiling", path);
  Subjects *models = subjects_load(path, f64, r->sanitize);
  if (!expect(models != NULL, "it cannot be compiled")) return;
  for (int n = 0; n < subjects_count(models); n++) {
    Kernel k = {.real_bytes = f64 ? 8 : 4};
    subjects_code(models, n, &k.run, &k.workspace);
    bool ran = false;
    doing("%s, %s, %s", path, subjects_name(models, n), f64 ? "f64" : "f32");
    for (int d = 0; d < r->draws; d++) ran |= check_draw(models, n, &k, d);
    r->models++;
    r->without += !ran;
    if (!ran) printf("%s, %s: no inputs were found\n", path, subjects_name(models, n));
  }
  subjects_free(models);
}

/* On the heap, where AddressSanitizer knows the end of each. */
static void *heap(int64_t n, int bytes, int missing) {
  char *p = calloc((size_t)(n * bytes - missing), 1);
  if (!p) abort();
  return p;
}

static void short_output(const char *path) {
  Subjects *models = subjects_load(path, false, true);
  Drawn d;
  attn_view in[DRAWN_ARRAYS] = {0}, out[DRAWN_ARRAYS] = {0};
  attn_kernel_fn run;
  attn_workspace_fn workspace;
  if (!models || !subjects_draw(models, 0, MIDDLE, 1, &d)) return;
  subjects_code(models, 0, &run, &workspace);
  for (int k = 0; k < d.nin + d.nout; k++) {
    bool is_in = k < d.nin;
    const Array a = array_of(is_in ? &d.in[k] : &d.out[k - d.nin]);
    attn_view *v = is_in ? &in[k] : &out[k - d.nin];
    int64_t stride = 1;
    for (int axis = a.rank; axis-- > 0; stride *= a.extent[axis])
      v->size[axis] = a.extent[axis], v->stride[axis] = stride;
    v->data = heap(stride, sizeof(double), is_in ? 0 : 1 + (int)sizeof(float) * (int)stride);
  }
  size_t bytes = workspace(d.size, 1);
  run(in, out, d.size, heap((int64_t)bytes + 1, 1, 0), bytes, NULL, NULL);
}

int main(int argc, char **argv) {
  Run r = {.of = 1, .draws = DRAWS};
  if (argc == 3 && !strcmp(argv[1], "--plant")) return short_output(argv[2]), 0;
  catch_faults();
  for (int k = 1, file = 0; k < argc; k++) {
    if (sscanf(argv[k], "--share=%d/%d", &r.share, &r.of) == 2 || sscanf(argv[k], "--draws=%d", &r.draws) == 1)
      continue;
    if (!strcmp(argv[k], "--sanitize")) {
      r.sanitize = true;
      continue;
    }
    if (file++ % r.of == r.share) check_file(&r, argv[k], file / r.of % 2);
  }
  printf("%ld models, %ld without inputs, %ld checks, %ld failed\n", r.models, r.without, checks, failures);
  return failures || !r.models || r.without > r.models / 20;
}
