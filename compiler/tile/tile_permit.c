/* tile_permit: what tiles cannot do, with the reason.
 *
 * On tiles `wide` values have the build's precision.  So a logarithm of something that may leave the range of f32
 * before it is taken, angles, which grow with the index, and products of numbers that are widened first keep their
 * stream scalar.  Loops over each pair are sums over one feature whose range follows from the sizes. */
#include "ir/beyond.h"
#include "tile/tile_plan.h"

static bool leaves_range(const Planner *p, Val v, uint32_t depth) {
  const Instr *i = ir_at(p->k, v);
  if (!plan_is_both(p, v) || depth > 64) return depth > 64;
  if (i->op == IR_EXP || i->op == IR_EXPM1 || i->op == IR_POW || i->op == IR_SIGMOID) return true;
  for (uint32_t n = 0; n < i->narg; n++)
    if (leaves_range(p, i->arg[n], depth + 1)) return true;
  return false;
}

/* log |x^y| is taken as y log |x|. */
static bool is_log_power(const Planner *p, const Instr *i) {
  const Instr *x = ir_at(p->k, i->arg[0]);
  if (x->op == IR_ABS) x = ir_at(p->k, x->arg[0]);
  return x->op == IR_POW && !leaves_range(p, x->arg[0], 0) && !leaves_range(p, x->arg[1], 0);
}

static bool stored_in(const Kernel *k, const Region *r, const Array *a) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_STORE && i->array == a) return true;
    if (i->op == IR_LOOP && stored_in(k, i->loop->body, a)) return true;
  }
  return false;
}

static void permit_load(Planner *p, const Instr *i) {
  if (i->array->kind == ARRAY_TEMP && stored_in(p->k, p->rows->loop->body, i->array))
    stream_refuse(p, "it reads a temporary that its rows write");
}

static bool is_steady(const void *planner, Val v) { return !plan_dep(planner, v); }

/* Products of widened numbers are wanted exactly. */
static bool is_exact_product(const Planner *p, Val v) {
  return plan_dep(p, v) && tile_exact_product(p->k, v, is_steady, p);
}

/* Is a number of f64 that is kept for a row or a column one of its factors, of which the logs are added? */
static bool has_kept(const Planner *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  if (!plan_dep(p, v)) return false;
  if (i->op == IR_LOAD) return i->array->kind == ARRAY_TEMP && i->type == IR_WIDE;
  if (i->op == IR_SELECT) return has_kept(p, i->arg[1]) || has_kept(p, i->arg[2]);
  return i->op == IR_LOGMUL && (has_kept(p, i->arg[0]) || has_kept(p, i->arg[1]));
}

/* Products of messages that came from either side: the log of each may be as large as the sum of all scores, and little
 * is left of two. */
static bool is_product_of_kept(const Planner *p, const Instr *i) {
  if (i->op != IR_LOGMUL || !((plan_dep(p, i->arg[0]) | plan_dep(p, i->arg[1])) & DEP_COL)) return false;
  return has_kept(p, i->arg[0]) && has_kept(p, i->arg[1]);
}

static void permit_op(Planner *p, Val v, const Instr *i) {
  if (i->op == IR_LOAD) permit_load(p, i);
  if (is_product_of_kept(p, i)) stream_refuse(p, "a product of messages needs f64");
  if (is_exact_product(p, v)) stream_refuse(p, "a product of widened numbers needs f64");
  if (!plan_is_both(p, v)) return;
  if (i->op == IR_SIN || i->op == IR_COS) stream_refuse(p, "an angle of a pair needs f64");
  if (i->op == IR_LOG && leaves_range(p, i->arg[0], 0) && !is_log_power(p, i))
    stream_refuse(p, "a logarithm needs the range of f64");
  if (i->op == IR_LOAD && i->array->kind == ARRAY_LOCAL) stream_refuse(p, "it reads a vector of each pair");
}

bool plan_is_float_product(const Acc *a) { return a->kind == ACC_PROD && a->type != IR_INT; }

Val plan_unconverted(const Planner *p, Val v) {
  const Kernel *k = p->k;
  while (plan_dep(p, v) && ir_at(k, v)->op == IR_CONVERT && ir_at(k, ir_at(k, v)->arg[0])->type != IR_BOOL &&
         ir_at(k, ir_at(k, v)->arg[0])->type != IR_INT)
    v = ir_at(k, v)->arg[0];
  return v;
}

bool plan_log_contraction(const Planner *p, const Loop *l, Val *row, Val *col) {
  const Acc *a = l->accs.at[0];
  if (l->accs.n != 1 || a->kind != ACC_LSE || a->naxis) return false;
  const Instr *i = ir_at(p->k, a->body.log_w);
  if (i->op != IR_LOGMUL) return false;
  for (int n = 0; n < 2; n++) {
    *row = plan_unconverted(p, i->arg[n]), *col = plan_unconverted(p, i->arg[1 - n]);
    if ((plan_dep(p, *row) & (DEP_COL | DEP_ROW)) == DEP_ROW && (plan_dep(p, *col) & (DEP_COL | DEP_ROW)) == DEP_COL &&
        plan_dep(p, *row) & DEP_FEATURE && plan_dep(p, *col) & DEP_FEATURE)
      return true;
  }
  return false;
}

Val plan_exception(const Planner *p, const Loop *l) {
  const Instr *i = ir_at(p->k, l->hi);
  if (i->op != IR_SELECT || !plan_is_both(p, i->arg[0]) || i->arg[2] != l->lo || plan_dep(p, l->lo)) return 0;
  return i->arg[0];
}

/* Does v, of a pair, follow from what another loop over each pair leaves?  On tiles all these loops run before it is
 * there. */
static bool follows_from_loop(const Planner *p, Val v, uint32_t depth) {
  const Instr *i = ir_at(p->k, v);
  if (!v || !plan_is_both(p, v) || depth > 64) return depth > 64;
  if (i->op == IR_RESULT) return !plan_exception(p, i->loop);
  for (uint32_t n = 0; n < i->narg; n++)
    if (follows_from_loop(p, i->arg[n], depth + 1)) return true;
  return false;
}

static void permit_region(Planner *p, const Region *r, uint32_t depth);

static void permit_sum(Planner *p, const Loop *l) {
  if (follows_from_loop(p, l->accs.at[0]->body.x, 0))
    stream_refuse(p, "an inner loop over each pair reads what another leaves");
  if (!p->accs) p->accs = 1;
  permit_region(p, l->body, 2);
}

/* A loop inside a stream whose result belongs to a pair. */
static void permit_feature(Planner *p, const Loop *l, uint32_t depth) {
  Val exception = plan_exception(p, l), row, col;
  TileFeature nest;
  if (exception) {
    vec_push(p->arena, &p->s->exceptions, exception);
    return;
  }
  if (!depth && plan_multiples(p, l, &nest) && nest.outer) {
    for (uint32_t n = 0; n < l->body->code.n; n++)
      if (ir_at(p->k, l->body->code.at[n])->op != IR_LOOP)
        permit_op(p, l->body->code.at[n], ir_at(p->k, l->body->code.at[n]));
    permit_sum(p, nest.loop);
    return;
  }
  if (depth || l->kind != LOOP_REDUCE) stream_refuse(p, "it holds nested loops over each pair");
  if (l->mask || l->seed) stream_refuse(p, "an inner loop over each pair has a mask or a seed");
  if (!ir_follows_from_sizes(p->k, l->lo) || !ir_follows_from_sizes(p->k, l->hi))
    stream_refuse(p, "the bounds of an inner loop do not follow from the sizes");
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (plan_is_float_product(l->accs.at[n])) stream_refuse(p, "a product needs the range of f64");
  for (uint32_t n = 0; n < l->accs.n && !plan_log_contraction(p, l, &row, &col); n++)
    if (l->accs.at[n]->naxis || ir_acc_takes_log_w(l->accs.at[n]->kind))
      stream_refuse(p, "an inner loop over each pair is weighted or has axes");
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (follows_from_loop(p, l->accs.at[n]->body.x, 0))
      stream_refuse(p, "an inner loop over each pair reads what another leaves");
  if (l->accs.n > p->accs) p->accs = l->accs.n;
  permit_region(p, l->body, depth + 1);
}

static void permit_region(Planner *p, const Region *r, uint32_t depth) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(p->k, v);
    if (i->op != IR_LOOP) permit_op(p, v, i);
    else if ((plan_dep(p, v) & DEP_BOTH) == DEP_BOTH) permit_feature(p, i->loop, depth);
    else if (plan_dep(p, v) != DEP_COL) stream_refuse(p, "an inner loop does not depend on the column");
    else permit_region(p, i->loop->body, depth + 1);
  }
}

void plan_permit_checks(Planner *p, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (!ir_is_check(i->op)) continue;
    uint8_t d = plan_dep(p, i->arg[1]) | plan_dep(p, i->arg[2]);
    if ((d & DEP_BOTH) == DEP_BOTH) stream_refuse(p, "an index that is checked depends on the pair and a feature");
  }
}

void plan_permit(Planner *p, const Loop *stream) { permit_region(p, stream->body, 0); }

void plan_permit_vector(Planner *p, const Acc *a) {
  for (uint32_t n = 0; a->kind == ACC_SUM && a->body.at && n < a->body.at->code.n; n++)
    if (is_exact_product(p, a->body.at->code.at[n])) stream_refuse(p, "a product of widened numbers needs f64");
}

/* What looks at the row alone is asked when the row is packed, before any column. */
static bool is_asked_with_rows(const TileRows *rows, const Instr *i) {
  return ir_is_check(i->op) && !((rows->dep[i->arg[1]] | rows->dep[i->arg[2]]) & (DEP_COL | DEP_FEATURE));
}

bool tile_passes_over(const Kernel *k, const TileRows *rows, const Loop *stream) {
  if (!stream->mask) return true;
  for (uint32_t n = 0; n < stream->body->code.n; n++) {
    const Instr *i = ir_at(k, stream->body->code.at[n]);
    if (ir_checked_beyond(k, i, stream->mask) && !is_asked_with_rows(rows, i)) return false;
  }
  return !ir_axes_check_beyond(k, stream, false, stream->mask);
}
