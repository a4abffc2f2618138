/* tile_ragged: streams whose columns belong to one row alone, and lines.
 *
 * Where the range of a stream depends on the row (the neighbours of a node, a ragged list), no two rows share a panel,
 * and packing a column costs as much as using it once.  What can be vectorised is the other way: a *line* is a run of
 * neighbouring elements along one index (features, components of a value), all that is computed from them having a
 * vector form.
 *
 *     a sum over an index of a line                      sum_d q[i, d] k[j, d]
 *     an accumulator with an axis, its x a line          expect log_w of v[j, c] for every c
 *     a loop that stores a line                          o[i, c] = r[c]
 *
 * A stream with one of the first two is taken in blocks of elements (back/gather.c).  As on tiles, `wide` values along
 * a line have the build's precision: a function of a wide value keeps the loop scalar, sums, differences, products and
 * choices do not.
 *
 * Lines are laid along the index that all arrays have last but for strides that only a call knows; the code tests
 * these, and the scalar loop stands beside. */
#include "ir/build.h"
#include "tile/tile.h"

enum { BUDGET = 256 }; /* values looked at for one line: shared ones are met again and again */

/* wide: what is stored in f64 may be read. */
typedef struct Walk { const Kernel *k; Val index; const Region *within; int budget; bool wide; } Walk;

static bool depends(Walk *w, Val v) {
  const Instr *i = ir_at(w->k, v);
  if (v == w->index) return true;
  if (!region_contains(w->within, i->home) || --w->budget < 0) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (depends(w, i->arg[n])) return true;
  return false;
}

static Walk walk_along(const Kernel *k, Val index) { return (Walk){k, index, ir_at(k, index)->home, BUDGET, false}; }

bool tile_line_depends(const Kernel *k, Val v, Val index) {
  Walk w = walk_along(k, index);
  return depends(&w, v) || w.budget < 0;
}

int tile_line_place(const Kernel *k, const Instr *load, Val index) {
  int place = -1;
  for (uint32_t n = 0; n < load->narg; n++) {
    if (load->arg[n] == index && place < 0) place = (int)n;
    else if (tile_line_depends(k, load->arg[n], index)) return -1;
  }
  return place;
}

static bool is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }

static bool has_runs(const Array *a) { return is_float(a->type) && a->elem != STORE_BOOL && a->elem != STORE_INT; }

bool tile_has_vector_form(IrOp op, bool wide) {
  switch (op) {
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_DIV:
    case IR_NEG:
    case IR_ABS:
    case IR_MIN:
    case IR_MAX:
    case IR_SELECT:
    case IR_LT:
    case IR_LE:
    case IR_GT:
    case IR_GE:
    case IR_EQ:
    case IR_NE:
    case IR_AND:
    case IR_OR:
    case IR_NOT: return true;
    case IR_SQRT:
    case IR_EXP:
    case IR_EXPM1:
    case IR_LOG:
    case IR_LOG1P:
    case IR_TANH:
    case IR_SIGMOID:
    case IR_SOFTPLUS: return !wide;
    default: return false;
  }
}

static bool is_line(Walk *w, Val v) {
  const Instr *i = ir_at(w->k, v);
  if (--w->budget < 0 || i->type == IR_INT) return false;
  if (!depends(w, v)) return w->budget >= 0;
  if (i->op == IR_LOAD && i->array->elem == STORE_WIDE && !w->wide) return false;
  if (i->op == IR_LOAD) return has_runs(i->array) && tile_line_place(w->k, i, w->index) >= 0;
  if (i->op == IR_CONVERT) return is_float(i->type) && is_float(ir_at(w->k, i->arg[0])->type) && is_line(w, i->arg[0]);
  if (!tile_has_vector_form(i->op, i->type == IR_WIDE)) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!is_line(w, i->arg[n])) return false;
  return true;
}

/* What is summed keeps the digits, and the range, of what is stored in f64: messages and counts; what is stored in f32
 * has lost them. */
static bool is_line_of(const Kernel *k, Val v, Val index, bool wide) {
  Walk w = walk_along(k, index);
  w.wide = wide;
  return is_float(ir_at(k, v)->type) && tile_line_depends(k, v, index) && is_line(&w, v);
}

static bool tile_is_line(const Kernel *k, Val v, Val index) { return is_line_of(k, v, index, false); }

/* Straight code of pure operations, and of checks that do not depend on the index. */
static bool is_straight(const Kernel *k, const Region *r, Val index) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_LOOP || i->op == IR_ARRAY || i->op == IR_STORE || i->op == IR_SOLVE) return false;
    for (uint32_t a = 0; ir_is_check(i->op) && a < i->narg; a++)
      if (tile_line_depends(k, i->arg[a], index)) return false;
  }
  return true;
}

/* Rows that tiles take, and that have no columns of their own. */
static bool is_tiled(const TilePlan *p, const Region *r) {
  for (; r && r->loop; r = r->parent) {
    const TileRows *rows = tile_rows_of(p, r->loop);
    if (rows && !rows->ragged) return true;
  }
  return false;
}

bool tile_sums_line(const TilePlan *p, const Loop *l) {
  const Kernel *k = p->k;
  if (l->kind != LOOP_REDUCE || l->mask || l->seed || !l->accs.n || l->accs.n > TILE_LINE_ACCS || is_tiled(p, l->body))
    return false;
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->kind != ACC_SUM || a->naxis || a->type != IR_WIDE || !a->body.x || !tile_is_line(k, a->body.x, l->index))
      return false;
  }
  return is_straight(k, l->body, l->index);
}

bool tile_stores_line(const TilePlan *p, const Loop *l) {
  const Kernel *k = p->k;
  bool stores = false;
  if (l->kind != LOOP_PAR || is_tiled(p, l->body)) return false;
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    const Instr *i = ir_at(k, l->body->code.at[n]);
    if (i->op == IR_LOOP || i->op == IR_ARRAY || i->op == IR_SOLVE || ir_is_check(i->op)) return false;
    if (i->op != IR_STORE) continue;
    bool last = i->narg > 1 && i->arg[i->narg - 1] == l->index;
    for (uint32_t a = 1; a + 1 < i->narg; a++) last &= !tile_line_depends(k, i->arg[a], l->index);
    if (!last || i->array->elem != STORE_REAL || !is_line_of(k, i->arg[0], l->index, true)) return false;
    stores = true;
  }
  return stores;
}

static bool reads_local_of(const Kernel *k, const Region *at, const Loop *l) {
  for (uint32_t n = 0; n < at->code.n; n++) {
    const Instr *i = ir_at(k, at->code.at[n]);
    if (i->op == IR_LOAD && i->array->home && region_contains(l->body, i->array->home)) return true;
  }
  return false;
}

/* ---- exact products ---------------------------------------------------------------------------- */

typedef struct Widening { const Kernel *k; bool (*steady)(const void *ctx, Val v); const void *ctx; } Widening;

static bool is_widened(const Widening *w, Val v) {
  const Instr *i = ir_at(w->k, v);
  if (i->op == IR_CONVERT) {
    const Instr *x = ir_at(w->k, i->arg[0]);
    return x->op == IR_LOAD && x->type == IR_REAL && x->array->kind == ARRAY_IN;
  }
  if (i->op == IR_NEG) return is_widened(w, i->arg[0]);
  if (i->op != IR_ADD && i->op != IR_SUB && i->op != IR_MUL) return false;
  bool x = is_widened(w, i->arg[0]), y = is_widened(w, i->arg[1]);
  return (x && y) || (x && w->steady(w->ctx, i->arg[1])) || (y && w->steady(w->ctx, i->arg[0]));
}

/* A number of a latent, or of an input, that is widened by itself: a difference of the two is not wanted exactly. */
static bool is_widened_alone(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v), *x = i->op == IR_CONVERT ? ir_at(k, i->arg[0]) : i;
  return i != x && x->op == IR_LOAD && x->type == IR_REAL &&
         (x->array->kind == ARRAY_IN || x->array->kind == ARRAY_TEMP);
}

bool tile_exact_product(const Kernel *k, Val v, bool (*steady)(const void *ctx, Val v), const void *ctx) {
  Widening w = {k, steady, ctx};
  const Instr *i = ir_at(k, v);
  if (i->op != IR_MUL || i->type != IR_WIDE) return false;
  if (i->arg[0] != i->arg[1] && is_widened_alone(k, i->arg[0]) && is_widened_alone(k, i->arg[1])) return true;
  return is_widened(&w, i->arg[0]) && is_widened(&w, i->arg[1]);
}

typedef struct Stream { const Kernel *k; const Loop *l; } Stream;

static bool is_outside(const void *stream, Val v) {
  const Stream *s = stream;
  return !region_contains(s->l->body, ir_at(s->k, v)->home);
}

/* A sum of exact products has the digits of f64. */
static bool sums_exactly(const Kernel *k, const Loop *l, const Acc *a) {
  Stream s = {k, l};
  for (uint32_t n = 0; a->kind == ACC_SUM && n < a->body.at->code.n; n++)
    if (tile_exact_product(k, a->body.at->code.at[n], is_outside, &s)) return true;
  return false;
}

static bool gathers_line(const Kernel *k, const Loop *l, const Acc *a) {
  const Contribution *c = &a->body;
  if (a->naxis != 1 || (a->kind != ACC_EXPECT && a->kind != ACC_SUM) || a->type != IR_WIDE || !c->x) return false;
  if (sums_exactly(k, l, a)) return false;
  return is_straight(k, c->at, c->index[0]) && tile_is_line(k, c->x, c->index[0]) && !reads_local_of(k, c->at, l);
}

static bool stores_or_orders(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_LOOP && (i->loop->kind != LOOP_REDUCE || stores_or_orders(k, i->loop->body))) return true;
  }
  return false;
}

bool tile_in_blocks(const TilePlan *p, const Loop *l) {
  const Kernel *k = p->k;
  bool lines = false;
  if (l->kind != LOOP_REDUCE || is_tiled(p, l->body) || stores_or_orders(k, l->body)) return false;
  for (uint32_t n = 0; n < l->body->code.n && !lines; n++) {
    const Instr *i = ir_at(k, l->body->code.at[n]);
    lines = i->op == IR_LOOP && tile_sums_line(p, i->loop);
  }
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (!a->naxis) continue;
    if (a->body.at && !gathers_line(k, l, a)) return false;
    lines = true;
  }
  return lines;
}
