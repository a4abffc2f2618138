/* test_ir_random: passes on kernels nobody would write.
 *
 * A kernel is drawn as text, so not in the builder's normal form: nested reductions with masks, seeds and axes,
 * parallel loops that store two temporaries, sequential loops around them.  Iterations of a parallel loop are
 * independent, as the IR demands: a loop stores one temporary at its own index, and reads that one nowhere else. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ir_testing.h"
#include "random.h"

enum { TEXT = 1 << 16, STACK = 4096, TEMPS = 2 };

typedef struct Pool { uint32_t at[STACK], n; } Pool; /* values in sight, by printed number */

typedef struct Gen {
  char *text;
  size_t n;
  int64_t seed, draws;
  uint32_t next, arrays;
  Pool ints, wides, bools, locals;
  int stored; /* the temporary that the parallel loop around stores; -1: none */
  uint32_t par_index;
} Gen;

static int64_t draw(Gen *g, int64_t n) { return attn_rt_random_int(g->seed, 1, &(int64_t){g->draws++}, 0, n); }
static bool chance(Gen *g, int64_t one_in) { return draw(g, one_in) == 0; }
static uint32_t pick(Gen *g, const Pool *p) { return p->at[draw(g, p->n)]; }

static void put(Gen *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(Gen *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  g->n += (size_t)vsnprintf(g->text + g->n, TEXT - g->n, fmt, ap);
  va_end(ap);
  cr_assert(g->n < TEXT - 200);
}

static uint32_t add(Gen *g, Pool *p) {
  cr_assert(p->n < STACK);
  return p->at[p->n++] = g->next++;
}

static void leave(Gen *g, const Gen *mark) {
  g->ints.n = mark->ints.n;
  g->wides.n = mark->wides.n;
  g->bools.n = mark->bools.n;
  g->locals.n = mark->locals.n;
}

/* ---- pure -------------------------------------------------------------------------------------- */

static void gen_int(Gen *g) {
  static const char *const ops[] = {"add", "sub", "mul", "min", "mod", "floordiv"};
  uint32_t x = pick(g, &g->ints), y = pick(g, &g->ints);
  put(g, "%%%u = %s %%%u, %%%u : int\n", add(g, &g->ints), ops[draw(g, 6)], x, y);
}

static void gen_bool(Gen *g) {
  static const char *const ops[] = {"lt", "le", "eq", "ne"};
  uint32_t x = pick(g, &g->ints), y = pick(g, &g->ints);
  put(g, "%%%u = %s %%%u, %%%u : bool\n", add(g, &g->bools), ops[draw(g, 4)], x, y);
}

static void gen_wide(Gen *g) {
  static const char *const ops[] = {"add", "sub", "mul", "max", "logmul", "logadd"};
  uint32_t x = pick(g, &g->wides), y = pick(g, &g->wides);
  put(g, "%%%u = %s %%%u, %%%u : wide\n", add(g, &g->wides), ops[draw(g, 6)], x, y);
}

static void gen_select(Gen *g) {
  uint32_t c = pick(g, &g->bools), x = pick(g, &g->wides), y = pick(g, &g->wides);
  put(g, "%%%u = select %%%u, %%%u, %%%u : wide\n", add(g, &g->wides), c, x, y);
}

static void gen_load(Gen *g) {
  uint32_t i = pick(g, &g->ints);
  put(g, "%%%u = load x[%%%u] : wide\n", add(g, &g->wides), i);
}

static void gen_load_temp(Gen *g) {
  int t = (int)draw(g, TEMPS);
  uint32_t i = t == g->stored ? g->par_index : pick(g, &g->ints);
  put(g, "%%%u = load t%d[%%%u] : wide\n", add(g, &g->wides), t, i);
}

static void gen_load_local(Gen *g) {
  if (!g->locals.n) return;
  uint32_t r = pick(g, &g->locals), i = pick(g, &g->ints);
  put(g, "%%%u = load r%u[%%%u] : wide\n", add(g, &g->wides), r, i);
}

static void gen_pure(Gen *g) {
  static void (*const kinds[])(Gen *) = {gen_int,    gen_bool, gen_wide,      gen_wide,
                                         gen_select, gen_load, gen_load_temp, gen_load_local};
  kinds[draw(g, 8)](g);
}

/* ---- loops ------------------------------------------------------------------------------------- */

static void gen_code(Gen *g, int depth, bool reduce);

static void gen_axis_code(Gen *g, uint32_t index, int depth) {
  Gen mark = *g;
  g->ints.at[g->ints.n++] = index;
  put(g, "{\n");
  gen_code(g, depth, true);
  put(g, "yield %%%u\n} ", pick(g, &g->wides));
  leave(g, &mark);
}

static void gen_x(Gen *g, const char *kind, bool axes, int depth, uint32_t index) {
  if (!strcmp(kind, "lse")) put(g, " %%%u ", pick(g, &g->wides));
  else if (!strcmp(kind, "expect")) put(g, " %%%u of ", pick(g, &g->wides));
  else put(g, " ");
  if (axes) gen_axis_code(g, index, depth);
  else if (strcmp(kind, "lse")) put(g, "%%%u ", pick(g, &g->wides));
}

/* The values in sight are those of the body, for a seed those of the seed. */
static void gen_acc(Gen *g, const Gen *seed, uint32_t local, uint32_t result, int depth) {
  static const char *const kinds[] = {"sum", "max", "expect", "lse"};
  bool axes = local != 0;
  const char *kind = kinds[draw(g, axes ? 3 : 4)];
  uint32_t index = axes ? g->next++ : 0;
  if (axes) put(g, "r%u[%%%u in %%1..%%0] = %s", local, index, kind);
  else put(g, "%%%u = %s", result, kind);
  gen_x(g, kind, axes, depth, index);
  if (seed && chance(g, 2)) {
    Gen body = *g;
    g->ints = seed->ints, g->wides = seed->wides, g->bools = seed->bools, g->locals = seed->locals;
    uint32_t at = axes ? g->next++ : 0;
    put(g, "seed");
    if (axes && !strcmp(kind, "expect")) {
      put(g, " %%%u of [%%%u] ", pick(g, &g->wides), at);
      gen_axis_code(g, at, depth);
    } else if (axes) {
      put(g, " [%%%u] ", at);
      gen_axis_code(g, at, depth);
    } else {
      gen_x(g, kind, false, depth, 0);
    }
    g->ints = body.ints, g->wides = body.wides, g->bools = body.bools, g->locals = body.locals;
  }
  put(g, ": wide\n");
}

static void gen_mask(Gen *g) {
  if (chance(g, 2)) put(g, "where %%%u\n", pick(g, &g->bools));
}

static void gen_reduce(Gen *g, int depth) {
  uint32_t local = chance(g, 3) ? ++g->arrays : 0, accs = (uint32_t)draw(g, 2) + !local;
  if (local) put(g, "local r%u: wide[%%0]\n", local);
  Gen outside = *g;
  uint32_t hi = chance(g, 3) ? 2 : 0, results[2];
  put(g, "reduce %%%u in %%1..%%%u {\n", add(g, &g->ints), hi);
  gen_code(g, depth, true);
  gen_mask(g);
  Gen *body = malloc(sizeof *body), *seed = chance(g, 3) ? malloc(sizeof *seed) : NULL;
  *body = *g;
  if (seed) {
    leave(g, &outside);
    put(g, "} seed {\n");
    gen_code(g, depth, true);
    gen_mask(g);
    *seed = *g;
    g->ints = body->ints, g->wides = body->wides, g->bools = body->bools, g->locals = body->locals;
  }
  put(g, "} acc {\n");
  for (uint32_t n = 0; n < accs; n++) gen_acc(g, seed, 0, results[n] = g->next++, depth);
  if (local) gen_acc(g, seed, local, 0, depth);
  put(g, "}\n");
  leave(g, &outside);
  for (uint32_t n = 0; n < accs; n++) g->wides.at[g->wides.n++] = results[n];
  if (local) g->locals.at[g->locals.n++] = local;
  free(body);
  free(seed);
}

static void gen_par(Gen *g, int depth) {
  Gen outside = *g;
  g->stored = (int)draw(g, TEMPS);
  put(g, "par %%%u in %%1..%%0 {\n", g->par_index = add(g, &g->ints));
  gen_code(g, depth, false);
  put(g, "store t%d[%%%u], %%%u\n}\n", g->stored, g->par_index, pick(g, &g->wides));
  leave(g, &outside);
  g->stored = outside.stored;
}

static void gen_seq(Gen *g, int depth) {
  Gen outside = *g;
  put(g, "seq %%%u in %%1..%%2 {\n", add(g, &g->ints));
  gen_code(g, depth, false);
  put(g, "}\n");
  leave(g, &outside);
}

static void gen_code(Gen *g, int depth, bool reduce) {
  for (int64_t n = draw(g, 4) + 1; n > 0; n--) {
    int64_t what = draw(g, 6);
    if (what < 3 || depth == 0) gen_pure(g);
    else if (what < 5 || reduce || g->stored >= 0) gen_reduce(g, depth - 1);
    else if (chance(g, 4)) gen_seq(g, depth - 1);
    else gen_par(g, depth - 1);
  }
}

static const char *gen_kernel(Arena *a, int64_t seed) {
  Gen *g = NEW(a, Gen);
  *g = (Gen){.text = arena_alloc(a, TEXT), .seed = seed, .stored = -1};
  put(g, "kernel random {\nsize N\n%%%u = size N : int\n", add(g, &g->ints));
  put(g, "%%%u = const 0 : int\n", add(g, &g->ints));
  put(g, "%%%u = const 2 : int\n", add(g, &g->ints));
  put(g, "%%%u = const true : bool\n", add(g, &g->bools));
  put(g, "%%%u = const 0.5 : wide\n", add(g, &g->wides));
  put(g, "in x: wide[%%0] input 0\nout o: wide[%%0] output 0\nout p: wide[] output 1\ntemp t0: wide[%%0]\ntemp t1: "
         "wide[%%0]\n");
  for (int t = 0; t < TEMPS; t++) {
    uint32_t i = g->next++, v = g->next++;
    put(g, "par %%%u in %%1..%%0 {\n%%%u = load x[%%%u] : wide\nstore t%d[%%%u], %%%u\n}\n", i, v, i, t, i, v);
  }
  for (int n = 0; n < 3; n++) gen_code(g, 3, false);
  put(g, "store p[], %%%u\n", pick(g, &g->wides));
  uint32_t i = g->next++, x = g->next++, y = g->next++;
  put(g, "par %%%u in %%1..%%0 {\n%%%u = load t0[%%%u] : wide\n%%%u = load t1[%%%u] : wide\n", i, x, i, y, i);
  put(g, "%%%u = sub %%%u, %%%u : wide\nstore o[%%%u], %%%u\n}\n}\n", g->next, x, y, i, g->next);
  return g->text;
}

static void expect_passes_keep(Arena *a, const char *text, uint64_t seed) {
  Kernel *k = read_text(a, text);
  cr_assert_null(ir_verify(k), "%s in %s", ir_verify(k), text);
  const char *once = print_text(a, k);
  cr_assert_str_eq(print_text(a, read_text(a, once)), once);
  for (uint32_t p = 0; p < ir_pass_count; p++) {
    Kernel *to = ir_run_passes(a, k, ir_passes[p].name);
    cr_assert(same_results(a, k, to, seed), "after %s:\n%s\n%s", ir_passes[p].name, once, print_text(a, to));
  }
}

Test(random_kernels, passes_keep_the_results) {
  for (int64_t seed = 0; seed < 400; seed++) {
    Arena a;
    arena_init(&a, NULL);
    expect_passes_keep(&a, gen_kernel(&a, seed), (uint64_t)seed);
    arena_free(&a);
  }
}
