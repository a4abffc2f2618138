/* tile_plan: which streams are computed in tiles, and how: see tile.h.
 *
 * A stream is planned in four steps: the dependence of every value inside it (tile_depend.c), what forbids tiles
 * (tile_permit.c), the use of every accumulator (lower_*), and the operands that tiles read, found by walking back from
 * what accumulators, masks and checks need until a value lacks one of the two indices (demand). */
#include "tile/tile_plan.h"

#include "ir/walk.h"
#include "tile/tile_dot.h"

/* ---- accumulators ------------------------------------------------------------------------------- */

/* Splits x(i, j, c) = factor(i, j) * panel(j, c). */
static bool split_factor(const Planner *p, Val x, TileAcc *t) {
  Val y = plan_unconverted(p, x);
  const Instr *i = ir_at(p->k, y);
  if (!(plan_dep(p, x) & DEP_ROW)) return t->panel = y, true;
  if (!(plan_dep(p, x) & DEP_FEATURE)) return t->factor = x, true;
  if (i->op != IR_MUL) return false;
  for (int n = 0; n < 2; n++) {
    uint8_t one = plan_dep(p, i->arg[n]), other = plan_dep(p, i->arg[1 - n]);
    if ((one & DEP_FEATURE) || (other & DEP_ROW)) continue;
    t->factor = i->arg[n], t->panel = plan_unconverted(p, i->arg[1 - n]);
    return true;
  }
  return false;
}

/* A sum, or a mean, of multiples is the multiple of that: the panel is without what is the same for all pairs. */
static void peel_factors(const Planner *p, TileAcc *t) {
  const Instr *i = ir_at(p->k, t->panel);
  while (t->panel && !p->s->loop->seed && (i->op == IR_MUL || i->op == IR_DIV) && i->type != IR_INT) {
    uint32_t of = i->op == IR_MUL && !plan_dep(p, i->arg[0]) ? 1 : 0;
    if (plan_dep(p, i->arg[1 - of]) || !plan_dep(p, i->arg[of])) return;
    vec_push(p->arena, &t->by, (TileBy){i->arg[1 - of], i->op == IR_DIV});
    t->panel = plan_unconverted(p, i->arg[of]);
    i = ir_at(p->k, t->panel);
  }
}

static uint32_t weight_at(Planner *p, const Acc *a) {
  for (uint32_t n = 0; n < p->s->weights.n; n++)
    if (p->s->weights.at[n].body == a->body.log_w && p->s->weights.at[n].seed == a->seed.log_w) return n;
  vec_push(p->arena, &p->s->weights, (TileWeight){a->body.log_w, a->seed.log_w});
  return p->s->weights.n - 1;
}

static void lower_axes(Planner *p, TileAcc *t) {
  const Acc *a = t->acc;
  plan_permit_vector(p, a);
  t->use = USE_CONTRACT;
  if (a->kind != ACC_EXPECT && a->kind != ACC_SUM)
    stream_refuse(p, "an accumulator with axes is neither a sum nor an expectation");
  if (a->type != IR_WIDE) stream_refuse(p, "a vector of ints is accumulated");
  if (a->naxis != 1) stream_refuse(p, "an accumulator has several axes");
  if (!ir_follows_from_sizes(p->k, a->axes[0].lo) || !ir_follows_from_sizes(p->k, a->axes[0].hi))
    stream_refuse(p, "the bounds of an axis do not follow from the sizes");
  if (!a->body.x || !split_factor(p, a->body.x, t))
    stream_refuse(p, "a vector is no product of a weight and a column's vector");
  else peel_factors(p, t);
}

static void lower_acc(Planner *p, const Acc *a) {
  TileAcc t = {.acc = a, .use = !ir_acc_takes_log_w(a->kind) ? USE_REDUCE : USE_WEIGHTED};
  if (!a->body.x && !a->body.log_w) stream_refuse(p, "an accumulator takes the seed alone");
  if (plan_is_float_product(a)) stream_refuse(p, "a product needs the range of f64");
  if (ir_acc_takes_log_w(a->kind)) t.weight = weight_at(p, a);
  if (a->naxis) lower_axes(p, &t);
  vec_push(p->arena, &p->s->accs, t);
}

/* ---- operands ----------------------------------------------------------------------------------- */

static TileFeature form_of(const Planner *p, const Loop *l) {
  TileFeature f = {.loop = l}, multiples;
  Val row, col;
  if (plan_log_contraction(p, l, &row, &col))
    return (TileFeature){.loop = l, .is_log = true, .log_row = row, .log_col = col};
  if (p->target->dots_bf16 && tile_dot_find(p->arena, p->k, p->rows, l, &f)) return f;
  return plan_multiples(p, l, &multiples) ? multiples : f;
}

static TileFeature *feature_of(Planner *p, const Loop *l) {
  for (uint32_t n = 0; n < p->s->features.n; n++)
    if (p->s->features.at[n].loop == l || p->s->features.at[n].outer == l) return &p->s->features.at[n];
  vec_push(p->arena, &p->s->features, form_of(p, l));
  return &vec_last(&p->s->features);
}

static Val narrow(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  return i->op == IR_CONVERT && ir_at(k, i->arg[0])->type == IR_REAL ? i->arg[0] : v;
}

static void demand(Planner *p, Val v);

static void demand_result(Planner *p, const Instr *i) {
  if (plan_exception(p, i->loop)) return;
  const TileFeature f = *feature_of(p, i->loop); /* demanding may move it */
  if (f.is_log || f.is_dot) {
    demand(p, f.is_log ? f.log_row : f.dot_row);
    demand(p, f.is_log ? f.log_col : f.dot_col);
    return;
  }
  for (uint32_t n = 0; n < f.loop->accs.n; n++) demand(p, tile_feature_summed(&f, f.loop->accs.at[n]));
}

static void demand(Planner *p, Val v) {
  v = narrow(p->k, v); /* on tiles a widened value is what it was */
  const Instr *i = ir_at(p->k, v);
  uint8_t d = plan_dep(p, v);
  if (!v || !d || p->seen[v]) return;
  p->seen[v] = true;
  if (d & DEP_DIAGONAL) {
    vec_push(p->arena, &p->s->diagonal, v);
    return;
  }
  if (d & DEP_FEATURE && (d & DEP_BOTH) != DEP_BOTH) {
    const Region *home = i->home;
    TileFeature *f = feature_of(p, home->loop);
    if (d & DEP_COL) vec_push(p->arena, &f->col, v);
    else vec_push(p->arena, &f->row, v);
    return;
  }
  if (d == DEP_ROW) {
    vec_push(p->arena, &p->s->row, v);
    return;
  }
  if (d == DEP_COL) {
    if (v != p->s->loop->index) vec_push(p->arena, &p->s->col, v);
    return;
  }
  if (i->op == IR_RESULT) demand_result(p, i);
  for (uint32_t n = 0; n < i->narg; n++) demand(p, i->arg[n]);
}

/* A check on tiles is one of the stream's own body whose index depends on the pair, or on the column under a guard
 * of the pair; all others are decided where their operands are made. */
static void demand_checks(Planner *p) {
  const Region *r = p->s->loop->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (!ir_is_check(i->op) || (plan_dep(p, r->code.at[n]) & DEP_BOTH) != DEP_BOTH) continue;
    if (!((plan_dep(p, i->arg[1]) | plan_dep(p, i->arg[2])) & DEP_COL)) continue;
    vec_push(p->arena, &p->s->checks, r->code.at[n]);
    for (uint32_t a = 0; a < i->narg; a++) demand(p, i->arg[a]);
  }
}

static void demand_all(Planner *p) {
  demand(p, p->s->loop->mask);
  for (uint32_t n = 0; n < p->s->weights.n; n++) demand(p, p->s->weights.at[n].body);
  for (uint32_t n = 0; n < p->s->accs.n; n++) {
    const TileAcc *t = &p->s->accs.at[n];
    demand(p, t->use == USE_CONTRACT ? t->factor : t->acc->body.x);
    if (t->use == USE_CONTRACT) plan_permit_checks(p, t->acc->body.at);
  }
  demand_checks(p);
  for (uint32_t n = 0; n < p->s->exceptions.n; n++) demand(p, p->s->exceptions.at[n]);
  for (uint32_t n = 0; n < p->s->features.n; n++) plan_permit_checks(p, p->s->features.at[n].loop->body);
}

/* ---- streams ------------------------------------------------------------------------------------ */

typedef struct Mentions { const Kernel *k; Val index; bool any; } Mentions;

static void mention_value(void *ctx, Val v) {
  Mentions *m = ctx;
  m->any |= v == m->index;
}

static void mention_instr(void *ctx, Val v) {
  Mentions *m = ctx;
  walk_operands(m->k, v, mention_value, m);
}

bool tile_repeats(const Kernel *k, const Loop *l) {
  Mentions m = {k, l->index, l->mask == l->index};
  for (uint32_t n = 0; n < l->accs.n; n++) m.any |= l->accs.at[n]->body.x == l->index;
  walk_code(k, l->body, mention_instr, &m);
  for (uint32_t n = 0; n < l->accs.n; n++) walk_code(k, l->accs.at[n]->body.at, mention_instr, &m);
  return !m.any && !l->seed;
}

enum {
  SWEEP_REGISTERS = 10, /* of a sweep of few instructions */
  FEW_SUMS = 12,        /* hide the latency of multiply-adds: two a cycle, four cycles or five each */
};

/* Registers hold a line of the panel, one broadcast, and for the rest sums.  A line of 4 vectors is loaded once for as
 * many multiply-adds as there are rows.  Where registers are too few for its sums, they take half a line of 6 rows: 2 +
 * 6 loads for 12 multiply-adds.  A tile has 4 vectors all the same, which a sweep takes side by side. */
static TileShape shape_for(const TileTarget *t, uint32_t accs, uint32_t at_most) {
  TileShape s = {.lanes = t->lanes, .vectors = TILE_VECTORS, .at_once = TILE_VECTORS};
  if (s.at_once * 4 + s.at_once + 1 > t->registers) s.at_once = TILE_VECTORS / 2;
  uint32_t room = (t->registers - s.at_once - 1) / s.at_once;
  uint32_t most = s.at_once < TILE_VECTORS ? FEW_SUMS / s.at_once : 4;
  s.rows = room / (accs > 1 ? accs : 1);
  if (s.rows < 2) s.rows = 2;
  if (s.rows > most) s.rows = most;
  if (s.rows > at_most) s.rows = at_most;
  s.hosts = s.rows * s.at_once * accs + s.at_once + 1 + SWEEP_REGISTERS <= t->registers;
  s.row_block = s.rows * ((1024 + s.rows - 1) / s.rows);
  s.col_block = s.pair_line = 512;
  return s;
}

/* Rows of a tile: no more than there are, but for features, of which there is little else to do side by side. */
static uint32_t rows_at_most(const Planner *p) {
  const Instr *lo = ir_at(p->k, p->rows->loop->lo), *hi = ir_at(p->k, p->rows->loop->hi);
  bool few = lo->op == IR_CONST && hi->op == IR_CONST && hi->integer - lo->integer <= 2;
  return few && !p->s->features.n ? 2 : TILE_ROWS;
}

static bool stores_or_orders(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_LOOP && (i->loop->kind != LOOP_REDUCE || stores_or_orders(k, i->loop->body))) return true;
  }
  return false;
}

static TileStream *plan_stream(Planner *p, const Loop *l) {
  TileStream *s = p->s = NEW(p->arena, TileStream);
  s->loop = l;
  p->seen = NEW_ARRAY(p->arena, bool, p->k->instrs.n);
  p->accs = 1;
  uint8_t d = plan_depend_stream(p, l);
  if (!(d & DEP_ROW)) stream_refuse(p, "it does not depend on the row");
  s->ragged = plan_dep(p, l->lo) & DEP_BOTH || plan_dep(p, l->hi) & DEP_BOTH;
  if (s->ragged) stream_refuse(p, "its range depends on the row");
  if (stores_or_orders(p->k, l->body)) stream_refuse(p, "it holds an ordered loop");
  plan_permit(p, l);
  for (uint32_t n = 0; n < l->accs.n; n++) lower_acc(p, l->accs.at[n]);
  if (p->target->dots_bf16) tile_dot_rounding(p->k, p->rows, s);
  if (!s->why) demand_all(p);
  s->shape = shape_for(p->target, p->accs, rows_at_most(p));
  plan_depend_results(p, l);
  return s;
}

static void plan_rows(Planner *p, const Loop *l) {
  TileRows *rows = p->rows = NEW(p->arena, TileRows);
  *rows = (TileRows){.loop = l, .dep = NEW_ARRAY(p->arena, uint8_t, p->k->instrs.n)};
  p->array_dep = NEW_ARRAY(p->arena, uint8_t, p->k->arrays.n);
  plan_depend_rows(p, l);
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    const Instr *i = ir_at(p->k, l->body->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || tile_repeats(p->k, i->loop)) continue;
    TileStream *s = plan_stream(p, i->loop);
    vec_push(p->arena, &rows->streams, s);
    rows->ragged |= s->ragged;
  }
  for (uint32_t n = 0; n < rows->streams.n; n++) {
    TileStream *s = rows->streams.at[n];
    if (rows->ragged && !s->why && tile_sums_line(p->plan, s->loop)) s->why = "it sums a line of each row";
    rows->tiled += !s->why;
  }
  tile_gather(p->arena, p->k, rows);
  vec_push(p->arena, &p->plan->rows, rows);
}

static bool holds_stream(const Kernel *k, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (i->op == IR_LOOP && i->loop->kind == LOOP_REDUCE) return true;
  }
  return false;
}

static void plan_region(Planner *p, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind == LOOP_REDUCE) continue;
    plan_region(p, i->loop->body);
    if (i->loop->kind == LOOP_PAR && holds_stream(p->k, i->loop->body)) plan_rows(p, i->loop);
  }
}

TilePlan *tile_plan(Arena *arena, const Kernel *k, const TileTarget *target) {
  TilePlan *plan = NEW(arena, TilePlan);
  plan->k = k;
  plan->target = *target;
  Planner p = {.arena = arena, .plan = plan, .k = k, .target = target};
  plan_region(&p, k->top);
  tile_across(arena, plan);
  return plan;
}

const TileRows *tile_rows_of(const TilePlan *p, const Loop *l) {
  for (uint32_t n = 0; n < p->rows.n; n++)
    if (p->rows.at[n]->loop == l) return p->rows.at[n]->tiled ? p->rows.at[n] : NULL;
  return NULL;
}
