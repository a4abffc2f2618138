/* Random kernels: compiled code against the evaluator of the reduction IR.
 *
 * A kernel is grown from pools of values in sight.  All operations used give the same number in both, up to
 * the rounding of log and exp in the weights, so that no comparison is decided by rounding alone. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "back_kernel.h"
#include "ir/ir_eval.h"

enum { POOL = 512, INPUTS = 4, OUTPUTS = 3, KERNELS = 100 };

typedef struct Pool { Val at[POOL]; int n; } Pool;

typedef struct Grow {
  Rig r;
  uint64_t state;
  Pool ints, reals, bools;
  int budget;
  bool in_axes;
  Array *in[INPUTS];
  int64_t dims[INPUTS][2];
  double *real[INPUTS];
  int64_t *integer[INPUTS];
} Grow;

static uint32_t draw(Grow *g, uint32_t below) {
  g->state = g->state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(g->state >> 33) % below;
}

static double draw_real(Grow *g) { return ((double)draw(g, 2001) - 1000) / 256; }

static Pool *pool_of(Grow *g, IrType t) { return t == IR_INT ? &g->ints : t == IR_BOOL ? &g->bools : &g->reals; }

static void keep(Grow *g, Val v) {
  Pool *p = pool_of(g, ir_at(g->r.b.k, v)->type);
  if (p->n < POOL) p->at[p->n++] = v;
}

/* The newest values are the likelier ones: dependence grows deep. */
static Val any(Grow *g, IrType t) {
  Pool *p = pool_of(g, t);
  int window = p->n < 6 || draw(g, 3) == 0 ? p->n : 6;
  return p->at[p->n - 1 - (int)draw(g, (uint32_t)window)];
}

typedef struct Marks { int ints, reals, bools; } Marks;
static Marks mark(const Grow *g) { return (Marks){g->ints.n, g->reals.n, g->bools.n}; }
static void leave(Grow *g, Marks m) { g->ints.n = m.ints, g->reals.n = m.reals, g->bools.n = m.bools; }

static void grow_code(Grow *g, int depth, int steps);

static Val load(Grow *g, const Array *a) {
  Val index[] = {any(g, IR_INT), any(g, IR_INT)};
  return build_load(&g->r.b, (Array *)(uintptr_t)a, index);
}

static Val bounded(Grow *g, Val x) { return build_1(&g->r.b, IR_TANH, x); }

static Val real_op(Grow *g) {
  static const IrOp two[] = {IR_ADD, IR_SUB, IR_MUL, IR_MIN, IR_MAX, IR_LOGADD, IR_LOGMUL};
  static const IrOp one[] = {IR_NEG, IR_ABS, IR_TANH, IR_SIN, IR_SOFTPLUS, IR_SIGN};
  Builder *b = &g->r.b;
  if (draw(g, 5) == 0) return build_select(b, any(g, IR_BOOL), any(g, IR_WIDE), any(g, IR_WIDE));
  if (draw(g, 5) == 0) return build_convert(b, any(g, IR_INT), IR_WIDE);
  if (draw(g, 3) == 0) return build_1(b, one[draw(g, 6)], any(g, IR_WIDE));
  return build_2(b, two[draw(g, 7)], bounded(g, any(g, IR_WIDE)), any(g, IR_WIDE));
}

static Val int_op(Grow *g) {
  static const IrOp two[] = {IR_ADD, IR_SUB, IR_MUL, IR_FLOORDIV, IR_MOD, IR_MIN, IR_MAX, IR_POW};
  Builder *b = &g->r.b;
  if (draw(g, 4) == 0) return build_select(b, any(g, IR_BOOL), any(g, IR_INT), any(g, IR_INT));
  return build_2(b, two[draw(g, 8)], any(g, IR_INT), any(g, IR_INT));
}

static Val bool_op(Grow *g) {
  static const IrOp compare[] = {IR_EQ, IR_NE, IR_LT, IR_LE, IR_GT, IR_GE}, two[] = {IR_AND, IR_OR};
  Builder *b = &g->r.b;
  if (draw(g, 3) == 0) return build_2(b, two[draw(g, 2)], any(g, IR_BOOL), any(g, IR_BOOL));
  if (draw(g, 4) == 0) return build_1(b, IR_NOT, any(g, IR_BOOL));
  IrType t = draw(g, 3) ? IR_INT : IR_WIDE;
  return build_2(b, compare[draw(g, 6)], any(g, t), any(g, t));
}

/* ---- reductions --------------------------------------------------------------------------------- */

static IrType type_for(AccKind k, Grow *g) {
  if (k == ACC_ANY || k == ACC_ALL) return IR_BOOL;
  if (k == ACC_ARGMAX) return IR_INT;
  bool weighted = ir_acc_takes_log_w(k);
  return !weighted && draw(g, 3) == 0 ? IR_INT : IR_WIDE;
}

/* Sometimes -inf, rarely NaN. */
static Val weight(Grow *g) {
  Builder *b = &g->r.b;
  Val w = any(g, IR_WIDE);
  if (draw(g, 3) == 0) w = build_select(b, any(g, IR_BOOL), w, build_float(b, IR_WIDE, -INFINITY));
  return w;
}

static Contribution contribute(Grow *g, Loop *l, const Acc *a, Val log_w, int depth) {
  Contribution c = {.log_w = ir_acc_takes_log_w(a->kind) ? log_w : 0};
  if (!ir_acc_takes_x(a->kind)) return c;
  if (!a->naxis) {
    c.x = any(g, a->type);
    return c;
  }
  Marks m = mark(g);
  bool outer = g->in_axes;
  g->in_axes = true;
  c.index = NEW_ARRAY(&g->r.arena, Val, a->naxis);
  c.at = build_axes(&g->r.b, l, a->naxis, c.index);
  for (uint32_t n = 0; n < a->naxis; n++) keep(g, c.index[n]);
  grow_code(g, depth + 1, 3);
  c.x = any(g, a->type);
  build_leave_axes(&g->r.b, c.at);
  g->in_axes = outer;
  leave(g, m);
  return c;
}

static void add_accs(Grow *g, Loop *l, int naccs, int depth) {
  Val size[] = {build_size(&g->r.b, 0), build_size(&g->r.b, 1)}, zero = build_int(&g->r.b, 0),
      one = build_int(&g->r.b, 1);
  for (int n = 0; n < naccs; n++) {
    AccKind kind = (AccKind)draw(g, ACC_ARGMAX + 1);
    Axis axes[] = {{draw(g, 2) ? zero : one, size[draw(g, 2)], 0}, {zero, size[draw(g, 2)], 0}};
    build_acc(&g->r.b, l, kind, type_for(kind, g), ir_acc_takes_x(kind) ? draw(g, 4) / 2 * (1 + draw(g, 2)) : 0, axes);
  }
  (void)depth;
}

static void grow_reduce(Grow *g, int depth) {
  Builder *b = &g->r.b;
  Marks outside = mark(g);
  Val zero = build_int(b, 0),
      hi = draw(g, 2) ? build_size(b, draw(g, 2)) : build_2(b, IR_MIN, any(g, IR_INT), build_int(b, 6));
  Loop *l = build_open(b, LOOP_REDUCE, draw(g, 3) ? zero : build_2(b, IR_MAX, any(g, IR_INT), build_int(b, -2)), hi);
  int naccs = 1 + (int)draw(g, 4);
  keep(g, l->index);
  grow_code(g, depth + 1, 5);
  if (draw(g, 2)) l->mask = any(g, IR_BOOL);
  if (l->mask && draw(g, 3) == 0) build_check(b, IR_CHECK_NONZERO, l->mask, build_2(b, IR_ADD, l->index, zero), zero);
  add_accs(g, l, naccs, depth);
  Val log_w = weight(g);
  for (int n = 0; n < naccs; n++)
    l->accs.at[n]->body = contribute(g, l, l->accs.at[n], draw(g, 4) ? log_w : weight(g), depth);
  leave(g, outside);
  if (draw(g, 3) == 0) {
    build_seed(b, l);
    grow_code(g, depth + 1, 3);
    if (draw(g, 2)) l->seed_mask = any(g, IR_BOOL);
    log_w = weight(g);
    for (int n = 0; n < naccs; n++)
      if (draw(g, 4)) l->accs.at[n]->seed = contribute(g, l, l->accs.at[n], log_w, depth);
    leave(g, outside);
    build_body(b, l);
  }
  l = build_close(b, l);
  for (int n = 0; n < naccs; n++)
    keep(g, l->accs.at[n]->naxis ? load(g, l->accs.at[n]->result_at) : l->accs.at[n]->result);
}

static void grow_code(Grow *g, int depth, int steps) {
  for (int n = 0; n < steps && g->budget > 0; n++, g->budget--) {
    switch (draw(g, depth < 3 ? 9 : 7)) {
      case 0: case 1: keep(g, load(g, g->in[draw(g, INPUTS)])); break;
      case 2: case 3: keep(g, real_op(g)); break;
      case 4: case 5: keep(g, int_op(g)); break;
      case 6: keep(g, bool_op(g)); break;
      default: grow_reduce(g, depth); break;
    }
  }
}

/* ---- kernels ------------------------------------------------------------------------------------ */

static void bind_inputs(Grow *g) {
  Rig *r = &g->r;
  Val size[] = {rig_size(r, draw(g, 6)), rig_size(r, 1 + draw(g, 4))};
  static const StoreType elem[INPUTS] = {STORE_WIDE, STORE_WIDE, STORE_INT, STORE_BOOL};
  for (int n = 0; n < INPUTS; n++) {
    uint32_t rank = n == 1 ? 2 : 1, first = n == 2;
    Val dims[] = {size[first], size[1]};
    int64_t count = r->sizes[first] * (rank == 2 ? r->sizes[1] : 1);
    double *real = g->real[n] = rig_block(r, (size_t)count * 8);
    int64_t *integer = g->integer[n] = rig_block(r, (size_t)count * 8);
    uint8_t *bits = rig_block(r, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
      real[i] = draw(g, 40) ? draw_real(g) : -INFINITY;
      integer[i] = elem[n] == STORE_BOOL ? draw(g, 2) : (int64_t)draw(g, 9) - 2;
      bits[i] = (uint8_t)integer[i];
    }
    void *data = elem[n] == STORE_WIDE ? (void *)real : elem[n] == STORE_INT ? (void *)integer : (void *)bits;
    attn_view view = {data, {r->sizes[first], r->sizes[1]}, {rank == 2 ? r->sizes[1] : 1, 1}};
    g->in[n] = rig_view(r, ARRAY_IN, elem[n], rank, dims, view);
    g->dims[n][0] = r->sizes[first], g->dims[n][1] = r->sizes[1];
  }
}

static void grow_kernel(Grow *g, uint64_t seed) {
  memset(g, 0, sizeof *g);
  rig_init(&g->r, true);
  g->state = seed * 0x9E3779B97F4A7C15u + 1;
  g->budget = 60;
  bind_inputs(g);
  Builder *b = &g->r.b;
  Val size = build_size(b, 0), zero = build_int(b, 0);
  for (int n = 0; n < 4; n++)
    keep(g, build_float(b, IR_WIDE, draw_real(g))), keep(g, build_int(b, n)), keep(g, build_bool(b, n & 1));
  Array *out[OUTPUTS];
  static const StoreType elem[] = {STORE_WIDE, STORE_INT, STORE_BOOL};
  for (int n = 0; n < OUTPUTS; n++) out[n] = rig_out(&g->r, elem[n], size, g->r.sizes[0]);
  Loop *l = build_open(b, LOOP_PAR, zero, size);
  keep(g, l->index);
  grow_code(g, 0, 12);
  static const IrType type[] = {IR_WIDE, IR_INT, IR_BOOL};
  for (int n = 0; n < OUTPUTS; n++) build_store(b, out[n], any(g, type[n]), &l->index);
  build_close(b, l);
}

static bool evaluate(Grow *g, EvalOutput *out, const char **error) {
  EvalInput in[INPUTS * EVAL_PARTS] = {0};
  for (int n = 0; n < INPUTS; n++) in[n * EVAL_PARTS] = (EvalInput){g->real[n], g->integer[n], g->dims[n]};
  EvalArgs args = {.f64 = true, .sizes = g->r.sizes, .ninput = INPUTS, .inputs = in, .noutput = OUTPUTS, .outputs = out,
                   .max_steps = 10000000};
  bool ok = ir_eval(&g->r.arena, g->r.b.k, &args);
  *error = args.error;
  return ok;
}

static void compare(const Grow *g, uint64_t seed, const EvalOutput *want) {
  for (int64_t i = 0; i < g->r.sizes[0]; i++) {
    double x = ((double *)g->r.out[0].data)[i];
    cr_expect(near(x, want[0].real[i], 1e-9), "kernel %lu: out0[%ld] is %.17g, evaluated %.17g", (unsigned long)seed,
              (long)i, x, want[0].real[i]);
    int64_t n = ((int64_t *)g->r.out[1].data)[i];
    cr_expect_eq(n, want[1].integer[i], "kernel %lu: out1[%ld] is %ld, evaluated %ld", (unsigned long)seed, (long)i,
                 (long)n, (long)want[1].integer[i]);
    cr_expect_eq(((uint8_t *)g->r.out[2].data)[i], want[2].integer[i], "kernel %lu: out2[%ld]", (unsigned long)seed,
                 (long)i);
  }
}

static void run_random(uint64_t first, uint64_t last) {
  Grow *g = malloc(sizeof *g);
  cr_assert(g);
  int failed = 0;
  for (uint64_t seed = first; seed < last; seed++) {
    grow_kernel(g, seed);
    EvalOutput want[OUTPUTS] = {0};
    const char *error = NULL;
    bool ok = evaluate(g, want, &error);
    cr_assert(ok || strstr(error, "zero"), "kernel %lu: %s", (unsigned long)seed, error);
    failed += !ok;
    int status = rig_run(&g->r);
    cr_expect_eq(status, ok ? ATTN_OK : ATTN_ERROR_DIVISOR, "kernel %lu: status %d, evaluated '%s'",
                 (unsigned long)seed, status, error ? error : "");
    if (ok) compare(g, seed, want);
    rig_free(&g->r);
  }
  cr_expect(failed < KERNELS / 2, "too many kernels end in errors to say much");
  free(g);
}

Test(back_random, kernels) { run_random(1, 1 + KERNELS); }
