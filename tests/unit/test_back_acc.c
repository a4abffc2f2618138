/* Accumulators: each against its definition, computed in two passes in f64. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "back_kernel.h"

enum { PIECE = 4096, MOST = 3 * PIECE + 1, KINDS = 12, DIM = 3 };

/* Elements, and one more, the seed, at place n.  listed: they are a row of a list, which is cut into pieces. */
typedef struct Data {
  int64_t n;
  bool seeded, seed_on, masked, listed;
  double log_w[MOST + 1], x[MOST + 1];
  int64_t id[MOST + 1];
  uint8_t on[MOST + 1];
} Data;

static bool counted(const Data *d, int64_t i) {
  if (i == d->n) return d->seeded && d->seed_on;
  return !d->masked || d->on[i];
}

typedef struct Want { double v[KINDS], vector[DIM]; int64_t argmax, argmax_at[DIM], ids; bool any, all; } Want;

static double max_nan(double a, double b) { return isnan(a) || isnan(b) ? NAN : fmax(a, b); }

static void plain(const Data *d, Want *w) {
  w->v[0] = 0, w->v[1] = 1, w->v[2] = -INFINITY, w->v[3] = INFINITY, w->ids = 0, w->any = false, w->all = true;
  for (int64_t i = 0; i <= d->n; i++) {
    if (!counted(d, i)) continue;
    w->v[0] += d->x[i];
    w->v[1] *= d->x[i];
    w->v[2] = max_nan(w->v[2], d->x[i]);
    w->v[3] = -max_nan(-w->v[3], -d->x[i]);
    w->ids += d->id[i];
    w->any |= d->x[i] > 0;
    w->all &= d->x[i] > 0;
  }
}

/* The vector's component c at element i. */
static double component(const Data *d, int64_t i, int c) { return d->x[i] + c; }

static void weighted(const Data *d, Want *w) {
  double max = -INFINITY, mass = 0, t = 0, h = 0;
  bool bad = false;
  w->argmax = -1;
  for (int64_t i = 0; i <= d->n; i++) {
    if (!counted(d, i)) continue;
    bad |= !(d->log_w[i] < INFINITY);
    max = fmax(max, d->log_w[i]);
  }
  for (int c = 0; c < DIM; c++) w->vector[c] = 0;
  for (int64_t i = 0; i <= d->n && !bad; i++) {
    if (!counted(d, i) || d->log_w[i] == -INFINITY) continue;
    double p = exp(d->log_w[i] - max);
    mass += p;
    t += p * d->x[i];
    for (int c = 0; c < DIM; c++) w->vector[c] += p * component(d, i, c);
    h += p == 0 ? 0 : p * (d->log_w[i] - max);
    if (d->log_w[i] == max && (w->argmax < 0 || d->id[i] < w->argmax)) w->argmax = d->id[i];
  }
  bool empty = max == -INFINITY;
  w->v[4] = bad ? NAN : empty ? -INFINITY : max + log(mass);
  w->v[5] = bad ? NAN : empty ? 0 : t / mass;
  w->v[6] = bad ? NAN : empty ? 0 : log(mass) - h / mass;
  for (int c = 0; c < DIM; c++) w->vector[c] = bad ? NAN : empty ? 0 : w->vector[c] / mass;
  if (bad) w->argmax = -1;
}

/* ---- the kernel --------------------------------------------------------------------------------- */

typedef struct Made { Val log_w, x, id, positive; } Made;

static Made element(Rig *r, Array *const *in, Val at) {
  Made m = {build_load(&r->b, in[0], &at), build_load(&r->b, in[1], &at), build_load(&r->b, in[2], &at), 0};
  m.positive = build_2(&r->b, IR_GT, m.x, build_float(&r->b, IR_REAL, 0));
  return m;
}

static const AccKind kinds[] = {ACC_SUM,     ACC_PROD,   ACC_MAX, ACC_MIN, ACC_LSE, ACC_EXPECT,
                                ACC_ENTROPY, ACC_ARGMAX, ACC_ANY, ACC_ALL, ACC_SUM};
enum { SCALARS = sizeof kinds / sizeof *kinds };

static IrType type_at(int n) {
  if (kinds[n] == ACC_ARGMAX || n == 10) return IR_INT;
  return kinds[n] == ACC_ANY || kinds[n] == ACC_ALL ? IR_BOOL : IR_WIDE;
}

static Contribution scalar(int n, const Made *m) {
  Contribution c = {0};
  if (ir_acc_takes_log_w(kinds[n])) c.log_w = m->log_w;
  if (ir_acc_takes_x(kinds[n])) c.x = type_at(n) == IR_INT ? m->id : type_at(n) == IR_BOOL ? m->positive : m->x;
  return c;
}

/* Adds x + c for the axis c, or id * 2 + c. */
static Contribution vector(Rig *r, Loop *l, const Made *m, AccKind kind) {
  Contribution c = {.log_w = ir_acc_takes_log_w(kind) ? m->log_w : 0, .index = NEW_ARRAY(&r->arena, Val, 1)};
  c.at = build_axes(&r->b, l, 1, c.index);
  if (kind == ACC_ARGMAX) c.x = build_2(&r->b, IR_ADD, build_2(&r->b, IR_MUL, m->id, build_int(&r->b, 2)), c.index[0]);
  else c.x = build_2(&r->b, IR_ADD, build_convert(&r->b, m->x, IR_WIDE), build_convert(&r->b, c.index[0], IR_WIDE));
  build_leave_axes(&r->b, c.at);
  return c;
}

static const AccKind vectors[] = {ACC_EXPECT, ACC_SUM, ACC_ARGMAX, ACC_MAX};
enum { VECTORS = 4 };

static void build(Rig *r, const Data *d) {
  Builder *b = &r->b;
  Val dim = rig_size(r, d->n), zero = build_int(b, 0), one = build_int(b, 1), all = build_2(b, IR_ADD, dim, one);
  Val three = build_int(b, DIM);
  Array *in[] = {rig_reals(r, all, d->n + 1, d->log_w), rig_reals(r, all, d->n + 1, d->x),
                 rig_in(r, STORE_INT, all, d->n + 1, d->id)};
  Array *on = rig_in(r, STORE_BOOL, all, d->n + 1, d->on), *out[SCALARS], *vout[VECTORS];
  for (int n = 0; n < SCALARS; n++)
    out[n] = rig_out(r, type_at(n) == IR_WIDE ? STORE_WIDE : type_at(n) == IR_INT ? STORE_INT : STORE_BOOL, one, 1);
  for (int n = 0; n < VECTORS; n++) vout[n] = rig_out(r, vectors[n] == ACC_ARGMAX ? STORE_INT : STORE_WIDE, three, DIM);
  Array *border = d->listed ? rig_in(r, STORE_INT, build_int(b, 2), 2, (int64_t[]){0, d->n}) : NULL;
  Loop *row = d->listed ? build_open(b, LOOP_PAR, zero, one) : NULL;
  Val at = row ? row->index : zero, next = build_2(b, IR_ADD, at, one);
  Val from = row ? build_load(b, border, &at) : zero, to = row ? build_load(b, border, &next) : dim;
  Loop *l = build_open(b, LOOP_REDUCE, from, to);
  Made body = element(r, in, l->index), seed = {0};
  Contribution vbody[VECTORS], vseed[VECTORS] = {0};
  for (int n = 0; n < VECTORS; n++) vbody[n] = vector(r, l, &body, vectors[n]);
  if (d->masked) l->mask = build_load(b, on, &l->index);
  if (d->seeded) {
    build_seed(b, l);
    seed = element(r, in, dim);
    for (int n = 0; n < VECTORS; n++) vseed[n] = vector(r, l, &seed, vectors[n]);
    l->seed_mask = build_load(b, on, &dim);
    build_body(b, l);
  }
  Acc *acc[SCALARS], *vacc[VECTORS];
  for (int n = 0; n < SCALARS; n++) {
    acc[n] = build_acc(b, l, kinds[n], type_at(n), 0, NULL);
    acc[n]->body = scalar(n, &body);
    if (d->seeded) acc[n]->seed = scalar(n, &seed);
  }
  Axis axis = {zero, three, 0};
  for (int n = 0; n < VECTORS; n++) {
    vacc[n] = build_acc(b, l, vectors[n], vectors[n] == ACC_ARGMAX ? IR_INT : IR_WIDE, 1, &axis);
    vacc[n]->body = vbody[n];
    vacc[n]->seed = vseed[n];
  }
  build_close(b, l);
  for (int n = 0; n < SCALARS; n++) build_store(b, out[n], acc[n]->result, &at);
  Loop *c = build_open(b, LOOP_PAR, zero, three);
  for (int n = 0; n < VECTORS; n++) build_store(b, vout[n], build_load(b, vacc[n]->result_at, &c->index), &c->index);
  build_close(b, c);
  if (row) build_close(b, row);
}

static double wide_at(const Rig *r, int out, int at) { return ((double *)r->out[out].data)[at]; }
static int64_t int_at(const Rig *r, int out, int at) { return ((int64_t *)r->out[out].data)[at]; }
static bool bool_at(const Rig *r, int out) { return *(uint8_t *)r->out[out].data; }

static void compare(const Rig *r, const Want *w, const char *name) {
  double tol = r->f64 ? 1e-12 : 1e-5;
  for (int n = 0; n < 7; n++)
    cr_expect(near(wide_at(r, n, 0), w->v[n], tol), "%s: %s is %.17g, expected %.17g", name, ir_acc_name(kinds[n]),
              wide_at(r, n, 0), w->v[n]);
  cr_expect_eq(int_at(r, 7, 0), w->argmax, "%s: argmax %ld, expected %ld", name, (long)int_at(r, 7, 0),
               (long)w->argmax);
  cr_expect_eq(bool_at(r, 8), w->any, "%s: any", name);
  cr_expect_eq(bool_at(r, 9), w->all, "%s: all", name);
  cr_expect_eq(int_at(r, 10, 0), w->ids, "%s: int sum", name);
  for (int c = 0; c < DIM; c++) {
    double v = wide_at(r, SCALARS, c);
    cr_expect(near(v, w->vector[c], tol), "%s: expect[%d] is %.17g, expected %.17g", name, c, v, w->vector[c]);
    int64_t arg = w->argmax < 0 ? -1 : 2 * w->argmax + c;
    cr_expect_eq(int_at(r, SCALARS + 2, c), arg, "%s: argmax[%d]", name, c);
    cr_expect(near(wide_at(r, SCALARS + 3, c), w->v[2] + c, tol), "%s: max[%d]", name, c);
  }
  if (isfinite(w->v[0])) {
    double shift = wide_at(r, SCALARS + 1, 1) - wide_at(r, SCALARS + 1, 0),
           twice = wide_at(r, SCALARS + 1, 2) - wide_at(r, SCALARS + 1, 0);
    cr_expect(near(wide_at(r, SCALARS + 1, 0), w->v[0], tol) && near(twice, 2 * shift, tol), "%s: sum[]", name);
  }
}

static void check(const Data *d, bool f64, const char *name) {
  Rig r;
  rig_init(&r, f64);
  build(&r, d);
  cr_assert_eq(rig_run(&r), ATTN_OK);
  Data *rounded = malloc(sizeof *rounded);
  cr_assert(rounded);
  *rounded = *d;
  for (int64_t i = 0; i <= d->n && !f64; i++) {
    rounded->log_w[i] = (double)(float)d->log_w[i];
    rounded->x[i] = (double)(float)d->x[i];
  }
  Want w;
  plain(rounded, &w);
  weighted(rounded, &w);
  compare(&r, &w, name);
  free(rounded);
  rig_free(&r);
}

/* ---- cases -------------------------------------------------------------------------------------- */

static double uniform(uint64_t *s) {
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return (double)(*s >> 11) * 0x1p-53;
}

static Data *random_data(int64_t n, uint64_t seed, double spread) {
  Data *d = calloc(1, sizeof *d);
  cr_assert(d);
  d->n = n;
  for (int64_t i = 0; i <= n; i++) {
    d->log_w[i] = (uniform(&seed) - 0.5) * spread;
    d->x[i] = uniform(&seed) * 2 - 0.5;
    d->id[i] = (int64_t)(uniform(&seed) * 100);
    d->on[i] = uniform(&seed) < 0.6;
  }
  return d;
}

static void check_both(Data *d, const char *name) {
  check(d, true, name);
  check(d, false, name);
  free(d);
}

Test(back_acc, sizes) {
  static const int64_t sizes[] = {0, 1, 2, 17, 100};
  for (int n = 0; n < 5; n++) check_both(random_data(sizes[n], 1, 10), "sizes");
}

Test(back_acc, masked_and_seeded) {
  for (int kind = 0; kind < 8; kind++) {
    Data *d = random_data(kind < 4 ? 20 : 0, 7, 30);
    d->masked = kind & 1;
    d->seeded = true;
    d->on[d->n] = (kind & 2) != 0;
    d->seed_on = d->on[d->n];
    check_both(d, "seeded");
  }
}

Test(back_acc, all_masked) {
  Data *d = random_data(9, 3, 5);
  d->masked = true;
  memset(d->on, 0, sizeof d->on);
  check_both(d, "all masked");
}

/* x of an element of no weight does not matter, not even NaN. */
Test(back_acc, minus_infinity) {
  Data *d = random_data(12, 5, 8);
  for (int i = 0; i < 12; i += 2) d->log_w[i] = -INFINITY, d->x[i] = i == 4 ? NAN : i == 6 ? INFINITY : d->x[i];
  check_both(d, "-inf");
  d = random_data(5, 5, 8);
  for (int i = 0; i <= 5; i++) d->log_w[i] = -INFINITY;
  check_both(d, "all -inf");
}

Test(back_acc, bad_weights) {
  for (int at = 0; at < 6; at++) {
    Data *d = random_data(6, 11, 8);
    d->log_w[at] = at % 2 ? NAN : INFINITY;
    check_both(d, "bad");
  }
  Data *d = random_data(6, 11, 8);
  d->masked = true;
  d->on[2] = 0;
  d->log_w[2] = NAN;
  d->x[2] = NAN;
  check_both(d, "bad but masked");
  d = random_data(6, 11, 8);
  d->seeded = true, d->seed_on = true, d->on[6] = 1;
  d->log_w[6] = NAN;
  check_both(d, "bad seed");
  d = random_data(6, 11, 8);
  d->x[3] = NAN;
  check_both(d, "NaN x");
}

/* Growing and falling weights, far apart; ties. */
Test(back_acc, order) {
  Data *up = random_data(50, 13, 1), *down = random_data(50, 13, 1), *tie = random_data(50, 17, 0),
       *far = random_data(9, 19, 1);
  for (int i = 0; i <= 50; i++) up->log_w[i] = i * 7.25, down->log_w[i] = -i * 3.5;
  for (int i = 0; i <= 9; i++) far->log_w[i] = i % 3 == 0 ? -3e38 : i % 3 == 1 ? 3e38 : 0;
  check_both(up, "up");
  check_both(down, "down");
  check_both(tie, "ties");
  check_both(far, "far");
}

/* Errors of the rescaling do not add up when the maximum grows a little at each of many steps. */
Test(back_acc, slow_growth) {
  Data *d = random_data(4096, 23, 1);
  for (int i = 0; i <= 4096; i++) d->log_w[i] = i * 0x1p-12;
  check_both(d, "slow");
}

/* Rows of a list, of about two pieces and more, in every order of their maxima; pieces without weight, or with a bad one. */
static Data *listed(int64_t n, uint64_t seed, double spread) {
  Data *d = random_data(n, seed, spread);
  for (int64_t i = 0; i <= n; i++) d->x[i] = i % 1024 == 5 ? d->x[i] : 1 + (d->x[i] - 0.5) * 0x1p-12; /* a product */
  d->listed = true;
  return d;
}

Test(back_acc, pieces) {
  static const int64_t sizes[] = {0, 1, PIECE, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 1, 3 * PIECE, MOST};
  for (int n = 0; n < 8; n++) check_both(listed(sizes[n], 31, 20), "pieces");
  for (int kind = 0; kind < 8; kind++) {
    Data *d = listed(MOST, 37, 5), *masked = listed(2 * PIECE + 99, 41, 10);
    for (int64_t i = 0; i <= d->n; i++) {
      int64_t piece = i / PIECE;
      double far = kind < 2 ? 40 * (double)piece : kind < 4 ? -40 * (double)piece : 0;
      d->log_w[i] = kind < 4 ? d->log_w[i] + far : kind == 4 ? 0 : kind == 5 && piece == 0 ? -INFINITY : d->log_w[i];
      if (kind == 4) d->id[i] = i == PIECE + 5 ? 0 : i + 1;
    }
    if (kind == 6) d->log_w[PIECE + 7] = NAN;
    if (kind == 7) d->log_w[3] = -3e38, d->log_w[2 * PIECE] = 3e38;
    masked->masked = kind & 1;
    masked->seeded = true;
    masked->on[masked->n] = (kind & 2) != 0;
    masked->seed_on = masked->on[masked->n];
    check_both(d, "pieces apart");
    check_both(masked, "pieces, masked and seeded");
  }
}
