/* ir_testing: see ir_testing.h.  The random inputs do not depend on the kernel's instructions, only on what it
 * declares, so that a kernel and its rewritten form see the same numbers. */
#include "ir_testing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/diag.h"
#include "family.h"
#include "random.h"
#include "special.h"

/* By Family. */
static attn_family_fn *const routines[] = {
#define FAMILY(ID, name, function, ints, inputs, outputs) function,
#include "ir/family.def"
#undef FAMILY
};

static Kernel *parse(Arena *arena, const char *text, size_t n, const char **error) {
  Source *s = source_from_text(arena, "test.air", text, n);
  Diags d;
  diag_init(&d, arena, s);
  Kernel *k = ir_parse(arena, &d, s);
  cr_assert(!k == (d.errors == 1), "a failed parse has one message");
  *error = k ? NULL : d.list.at[0]->text;
  return k;
}

Kernel *read_text(Arena *arena, const char *text) {
  const char *error;
  Kernel *k = parse(arena, text, strlen(text), &error);
  cr_assert(k, "%s in %s", error, text);
  return k;
}

const char *parse_error(Arena *arena, const char *text, size_t n) {
  const char *error;
  parse(arena, text, n, &error);
  return error;
}

Kernel *read_file(Arena *arena, const char *name) {
  const char *why, *path = arena_printf(arena, "%s/%s.air", IR_FILES, name);
  Source *s = source_read(arena, path, &why);
  cr_assert(s, "%s", why);
  Kernel *k = read_text(arena, s->text);
  why = ir_verify(k);
  cr_assert(!why, "%s: %s", name, why);
  return k;
}

const char *print_text(Arena *arena, const Kernel *k) {
  char *text = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&text, &n);
  ir_print(k, f);
  fclose(f);
  char *copy = arena_strndup(arena, text, n);
  free(text);
  return copy;
}

/* ---- random runs ------------------------------------------------------------------------------- */

static int64_t draw(uint64_t seed, int64_t a, int64_t b, int64_t lo, int64_t hi) {
  return attn_rt_random_int((int64_t)seed, 2, (int64_t[]){a, b}, lo, hi);
}

static double draw_real(uint64_t seed, int64_t a, int64_t b) {
  int64_t n = draw(seed, a, b, -20, 21);
  bool special = seed % 3 == 0;
  if (special && n == 20) return -INFINITY;
  if (special && n == 19 && b % 2) return NAN;
  return (double)n / 8;
}

/* A dimension is a size, or a small constant; anything else will not fit and ends the run. */
static int64_t dimension(const Kernel *k, const int64_t *sizes, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_SIZE) return sizes[i->integer];
  return i->op == IR_CONST && i->integer >= 0 && i->integer < 8 ? i->integer : 0;
}

static EvalInput random_input(Arena *arena, const Kernel *k, const Array *a, const int64_t *sizes, uint64_t seed) {
  int64_t *dims = NEW_ARRAY(arena, int64_t, a->rank), count = 1, key = a->external * EVAL_PARTS + a->part;
  for (uint32_t d = 0; d < a->rank; d++) count *= dims[d] = dimension(k, sizes, a->dims[d]);
  double *real = NEW_ARRAY(arena, double, count);
  int64_t *integer = NEW_ARRAY(arena, int64_t, count);
  for (int64_t n = 0; n < count; n++) {
    real[n] = draw_real(seed, key, n);
    integer[n] = draw(seed, key, n, 0, a->type == IR_BOOL ? 2 : 4);
  }
  return (EvalInput){real, integer, dims};
}

Run *random_run(Arena *arena, const Kernel *k, uint64_t seed) {
  Run *r = NEW(arena, Run);
  int64_t *sizes = NEW_ARRAY(arena, int64_t, k->sizes.n);
  for (uint32_t s = 0; s < k->sizes.n; s++) sizes[s] = draw(seed, -1, s, 1, 6);
  EvalInput *inputs = NEW_ARRAY(arena, EvalInput, RUN_ARRAYS * EVAL_PARTS);
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    if (a->kind == ARRAY_IN && a->external < RUN_ARRAYS)
      inputs[a->external * EVAL_PARTS + a->part] = random_input(arena, k, a, sizes, seed);
  }
  r->args = (EvalArgs){.f64 = seed % 2, .sizes = sizes, .ninput = RUN_ARRAYS, .inputs = inputs, .noutput = RUN_ARRAYS,
                       .outputs = r->outputs, .max_steps = 10000000};
  r->args.functions = (EvalFunctions){attn_rt_random_uniform, attn_rt_lgamma, attn_rt_digamma, attn_rt_lbeta, routines};
  return r;
}

static bool same_bits(double x, double y) { return (isnan(x) && isnan(y)) || !memcmp(&x, &y, sizeof x); }

static bool near(double x, double y, double tolerance) {
  if (!isfinite(x) || !isfinite(y)) return same_bits(x, y);
  return fabs(x - y) <= tolerance * (1 + fabs(x));
}

/* tolerance 0: the same bits */
static bool same_output(const EvalOutput *x, const EvalOutput *y, double tolerance) {
  if (x->count != y->count) return false;
  for (int64_t n = 0; n < x->count; n++) {
    if (!x->real && x->integer[n] != y->integer[n]) return false;
    if (x->real && !(tolerance > 0 ? near(x->real[n], y->real[n], tolerance) : same_bits(x->real[n], y->real[n])))
      return false;
  }
  return true;
}

static bool compare(Arena *arena, const Kernel *x, const Kernel *y, uint64_t seed, double f32, double f64) {
  Run *a = random_run(arena, x, seed), *b = random_run(arena, y, seed);
  if (!ir_eval(arena, x, &a->args)) return true;
  if (!ir_eval(arena, y, &b->args)) return strstr(b->args.error, "too ") != NULL;
  for (uint32_t n = 0; n < RUN_ARRAYS; n++)
    if (!same_output(&a->outputs[n], &b->outputs[n], a->args.f64 ? f64 : f32)) return false;
  return true;
}

bool same_results(Arena *arena, const Kernel *x, const Kernel *y, uint64_t seed) {
  return compare(arena, x, y, seed, 0, 0);
}

bool near_results(Arena *arena, const Kernel *x, const Kernel *y, uint64_t seed) {
  return compare(arena, x, y, seed, 4e-6, 1e-11);
}
