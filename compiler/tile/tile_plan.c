/* tile_plan: which streams are computed in tiles, and how: see tile.h.
 *
 * A stream is planned in three steps: the dependence of every value inside it (depend_*), the use of every
 * accumulator (lower_*), and the operands that tiles read, found by walking back from what accumulators,
 * masks and checks need until a value lacks one of the two indices (demand).
 *
 * On tiles `wide` values have the build's precision.  So a logarithm of something that may leave the range of f32
 * before it is taken, angles, which grow with the index, and products of numbers that are widened first keep their
 * stream scalar. */
#include "ir/build.h"
#include "ir/walk.h"
#include "tile/tile.h"
#include "tile/tile_dot.h"

typedef struct Planner {
  Arena *arena;
  TilePlan *plan;
  const Kernel *k;
  TileRows *rows;
  TileStream *s;
  bool *seen;         /* by Val: demanded */
  uint8_t *array_dep; /* by Array.id: LOCAL arrays inside the stream */
  uint32_t accs;      /* most accumulators of a feature loop */
  const TileTarget *target;
} Planner;

static void refuse(Planner *p, const char *why) {
  if (!p->s->why) p->s->why = why;
}

bool tile_follows_from_sizes(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_LOAD || i->op == IR_INDEX || i->op == IR_RESULT) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!tile_follows_from_sizes(k, i->arg[n])) return false;
  return true;
}

/* ---- dependence --------------------------------------------------------------------------------- */

static uint8_t dep_of(const Planner *p, Val v) { return p->rows->dep[v]; }

/* ci i + cj j + what depends on neither. */
typedef struct Affine { bool ok; int64_t row, col; } Affine;

static Affine affine(const Planner *p, Val v, int depth) {
  const Instr *i = ir_at(p->k, v);
  if (!dep_of(p, v)) return (Affine){.ok = true};
  if (v == p->rows->loop->index) return (Affine){true, 1, 0};
  if (p->s && v == p->s->loop->index) return (Affine){true, 0, 1};
  if (depth > 8 || i->type != IR_INT || (i->op != IR_ADD && i->op != IR_SUB && i->op != IR_NEG)) return (Affine){0};
  Affine x = affine(p, i->arg[0], depth + 1), y = {.ok = true};
  if (i->op == IR_NEG) return (Affine){x.ok, -x.row, -x.col};
  y = affine(p, i->arg[1], depth + 1);
  int sign = i->op == IR_SUB ? -1 : 1;
  return (Affine){x.ok && y.ok, x.row + sign * y.row, x.col + sign * y.col};
}

static bool compares(IrOp op) {
  return op == IR_EQ || op == IR_NE || op == IR_LT || op == IR_LE || op == IR_GT || op == IR_GE;
}

/* Whether a value of both indices depends on their difference alone. */
static bool is_diagonal(const Planner *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  if (i->op == IR_RESULT || i->op == IR_LOOP || i->type == IR_VOID) return false;
  Affine a = affine(p, v, 0);
  if (a.ok) return a.row == -a.col;
  if (compares(i->op)) {
    Affine x = affine(p, i->arg[0], 0), y = affine(p, i->arg[1], 0);
    if (x.ok && y.ok) return x.row - y.row == y.col - x.col;
  }
  if (i->op == IR_LOAD && p->array_dep[i->array->id]) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (dep_of(p, i->arg[n]) && !(dep_of(p, i->arg[n]) & DEP_DIAGONAL)) return false;
  return true;
}

static uint8_t depend_loop(Planner *p, const Loop *l);

static uint8_t depend_args(const Planner *p, const Instr *i) {
  uint8_t d = 0;
  for (uint32_t n = 0; n < i->narg; n++) d |= dep_of(p, i->arg[n]) & ~DEP_DIAGONAL;
  return d;
}

static uint8_t depend_region(Planner *p, const Region *r) {
  uint8_t all = 0;
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(p->k, v);
    uint8_t d = depend_args(p, i);
    if (i->op == IR_LOOP) d = depend_loop(p, i->loop);
    else if (i->op == IR_LOAD) d |= p->array_dep[i->array->id];
    all |= d;
    p->rows->dep[v] = d == DEP_BOTH && is_diagonal(p, v) ? d | DEP_DIAGONAL : d;
  }
  return all;
}

static uint8_t depend_contribution(Planner *p, const Contribution *c, uint32_t naxis) {
  for (uint32_t n = 0; c->at && n < naxis; n++) p->rows->dep[c->index[n]] = DEP_FEATURE;
  uint8_t d = c->at ? depend_region(p, c->at) : 0;
  return (d | dep_of(p, c->x) | dep_of(p, c->log_w)) & ~DEP_DIAGONAL;
}

static uint8_t depend_accs(Planner *p, const Loop *l) {
  uint8_t all = 0;
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    all |= depend_contribution(p, &a->body, a->naxis);
    if (l->seed) all |= depend_contribution(p, &a->seed, a->naxis);
  }
  return all;
}

static uint8_t depend_loop(Planner *p, const Loop *l) {
  p->rows->dep[l->index] = DEP_FEATURE;
  uint8_t d = depend_region(p, l->body) | dep_of(p, l->lo) | dep_of(p, l->hi) | dep_of(p, l->mask);
  if (l->seed) d |= depend_region(p, l->seed) | dep_of(p, l->seed_mask);
  d |= depend_accs(p, l);
  bool inner = l->body->parent != p->s->loop->body; /* what it yields may belong to a feature around it */
  d &= inner ? DEP_BOTH | DEP_FEATURE : DEP_BOTH;
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->result) p->rows->dep[a->result] = d;
    if (a->naxis) p->array_dep[a->result_at->id] = d;
  }
  return d;
}

/* ---- what tiles cannot do ----------------------------------------------------------------------- */

/* Of tiles: values of diagonals are computed by the scalar code, in f64. */
static bool is_both(const Planner *p, Val v) { return (dep_of(p, v) & (DEP_BOTH | DEP_DIAGONAL)) == DEP_BOTH; }

static bool leaves_range(const Planner *p, Val v, uint32_t depth) {
  const Instr *i = ir_at(p->k, v);
  if (!is_both(p, v) || depth > 64) return depth > 64;
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
    refuse(p, "it reads a temporary that its rows write");
}

static bool is_steady(const void *planner, Val v) { return !dep_of(planner, v); }

/* Products of widened numbers are wanted exactly. */
static bool is_exact_product(const Planner *p, Val v) {
  return dep_of(p, v) && tile_exact_product(p->k, v, is_steady, p);
}

/* Is a number of f64 that is kept for a column one of its factors, of which the logs are added? */
static bool has_kept(const Planner *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  if (!(dep_of(p, v) & DEP_COL)) return false;
  if (i->op == IR_LOAD) return i->array->kind == ARRAY_TEMP && i->type == IR_WIDE;
  if (i->op == IR_SELECT) return has_kept(p, i->arg[1]) || has_kept(p, i->arg[2]);
  return i->op == IR_LOGMUL && (has_kept(p, i->arg[0]) || has_kept(p, i->arg[1]));
}

/* Products of messages that came from either side: the log of each may be as large as the sum of all scores, and little
 * is left of two. */
static bool is_product_of_kept(const Planner *p, const Instr *i) {
  return i->op == IR_LOGMUL && has_kept(p, i->arg[0]) && has_kept(p, i->arg[1]);
}

static void permit_op(Planner *p, Val v, const Instr *i) {
  if (i->op == IR_LOAD) permit_load(p, i);
  if (is_product_of_kept(p, i)) refuse(p, "a product of messages needs f64");
  if (is_exact_product(p, v)) refuse(p, "a product of widened numbers needs f64");
  if (!is_both(p, v)) return;
  if (i->op == IR_SIN || i->op == IR_COS) refuse(p, "an angle of a pair needs f64");
  if (i->op == IR_LOG && leaves_range(p, i->arg[0], 0) && !is_log_power(p, i))
    refuse(p, "a logarithm needs the range of f64");
  if (i->op == IR_LOAD && i->array->kind == ARRAY_LOCAL) refuse(p, "it reads a vector of each pair");
}

static void permit_region(Planner *p, const Region *r, uint32_t depth);

static bool is_plain(AccKind k) {
  switch (k) {
    case ACC_SUM:
    case ACC_PROD:
    case ACC_MAX:
    case ACC_MIN:
    case ACC_ANY:
    case ACC_ALL: return true;
    default: return false;
  }
}

static bool is_float_product(const Acc *a) { return a->kind == ACC_PROD && a->type != IR_INT; }

/* What a value is before it is widened; of a value around the rows only itself is there. */
static Val through_converts(const Planner *p, Val v) {
  const Kernel *k = p->k;
  while (dep_of(p, v) && ir_at(k, v)->op == IR_CONVERT && ir_at(k, ir_at(k, v)->arg[0])->type != IR_BOOL &&
         ir_at(k, ir_at(k, v)->arg[0])->type != IR_INT)
    v = ir_at(k, v)->arg[0];
  return v;
}

/* lse over d of a(i, d) + b(j, d). */
static bool is_log_contraction(const Planner *p, const Loop *l, Val *row, Val *col) {
  const Acc *a = l->accs.at[0];
  if (l->accs.n != 1 || a->kind != ACC_LSE || a->naxis) return false;
  const Instr *i = ir_at(p->k, a->body.log_w);
  if (i->op != IR_LOGMUL) return false;
  for (int n = 0; n < 2; n++) {
    *row = through_converts(p, i->arg[n]), *col = through_converts(p, i->arg[1 - n]);
    if ((dep_of(p, *row) & (DEP_COL | DEP_ROW)) == DEP_ROW && (dep_of(p, *col) & (DEP_COL | DEP_ROW)) == DEP_COL &&
        dep_of(p, *row) & DEP_FEATURE && dep_of(p, *col) & DEP_FEATURE)
      return true;
  }
  return false;
}

/* A loop over lo .. (c ? hi : lo) with c of a pair serves pairs that are exceptions: where c holds for one, the block
 * of rows is left to the scalar code, so on tiles its results are those over nothing.  Returns c; 0: it is no such
 * loop. */
static Val exception_of(const Planner *p, const Loop *l) {
  const Instr *i = ir_at(p->k, l->hi);
  if (i->op != IR_SELECT || !is_both(p, i->arg[0]) || i->arg[2] != l->lo || dep_of(p, l->lo)) return 0;
  return i->arg[0];
}

/* Does v, of a pair, follow from what another loop over each pair leaves?  On tiles all these loops run before it is
 * there. */
static bool follows_from_loop(const Planner *p, Val v, uint32_t depth) {
  const Instr *i = ir_at(p->k, v);
  if (!v || !is_both(p, v) || depth > 64) return depth > 64;
  if (i->op == IR_RESULT) return !exception_of(p, i->loop);
  for (uint32_t n = 0; n < i->narg; n++)
    if (follows_from_loop(p, i->arg[n], depth + 1)) return true;
  return false;
}

/* A loop inside a stream whose result belongs to a pair. */
static void permit_feature(Planner *p, const Loop *l, uint32_t depth) {
  Val exception = exception_of(p, l), row, col;
  if (exception) {
    vec_push(p->arena, &p->s->exceptions, exception);
    return;
  }
  if (depth || l->kind != LOOP_REDUCE) refuse(p, "it holds nested loops over each pair");
  if (l->mask || l->seed) refuse(p, "an inner loop over each pair has a mask or a seed");
  if (!tile_follows_from_sizes(p->k, l->lo) || !tile_follows_from_sizes(p->k, l->hi))
    refuse(p, "the bounds of an inner loop do not follow from the sizes");
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (is_float_product(l->accs.at[n])) refuse(p, "a product needs the range of f64");
  for (uint32_t n = 0; n < l->accs.n && !is_log_contraction(p, l, &row, &col); n++)
    if (l->accs.at[n]->naxis || !is_plain(l->accs.at[n]->kind))
      refuse(p, "an inner loop over each pair is weighted or has axes");
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (follows_from_loop(p, l->accs.at[n]->body.x, 0))
      refuse(p, "an inner loop over each pair reads what another leaves");
  if (l->accs.n > p->accs) p->accs = l->accs.n;
  permit_region(p, l->body, depth + 1);
}

static void permit_region(Planner *p, const Region *r, uint32_t depth) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(p->k, v);
    if (i->op != IR_LOOP) permit_op(p, v, i);
    else if ((dep_of(p, v) & DEP_BOTH) == DEP_BOTH) permit_feature(p, i->loop, depth);
    else if (dep_of(p, v) != DEP_COL) refuse(p, "an inner loop does not depend on the column");
    else permit_region(p, i->loop->body, depth + 1);
  }
}

/* ---- accumulators ------------------------------------------------------------------------------- */

/* Splits x(i, j, c) = factor(i, j) * panel(j, c). */
static bool split_factor(const Planner *p, Val x, TileAcc *t) {
  Val y = through_converts(p, x);
  const Instr *i = ir_at(p->k, y);
  if (!(dep_of(p, x) & DEP_ROW)) return t->panel = y, true;
  if (!(dep_of(p, x) & DEP_FEATURE)) return t->factor = x, true;
  if (i->op != IR_MUL) return false;
  for (int n = 0; n < 2; n++) {
    uint8_t one = dep_of(p, i->arg[n]), other = dep_of(p, i->arg[1 - n]);
    if ((one & DEP_FEATURE) || (other & DEP_ROW)) continue;
    t->factor = i->arg[n], t->panel = through_converts(p, i->arg[1 - n]);
    return true;
  }
  return false;
}

/* A sum, or a mean, of multiples is the multiple of that: the panel is without what is the same for all pairs. */
static void peel_factors(const Planner *p, TileAcc *t) {
  const Instr *i = ir_at(p->k, t->panel);
  while (t->panel && !p->s->loop->seed && (i->op == IR_MUL || i->op == IR_DIV) && i->type != IR_INT) {
    uint32_t of = i->op == IR_MUL && !dep_of(p, i->arg[0]) ? 1 : 0;
    if (dep_of(p, i->arg[1 - of]) || !dep_of(p, i->arg[of])) return;
    vec_push(p->arena, &t->by, (TileBy){i->arg[1 - of], i->op == IR_DIV});
    t->panel = through_converts(p, i->arg[of]);
    i = ir_at(p->k, t->panel);
  }
}

static uint32_t weight_at(Planner *p, const Acc *a) {
  for (uint32_t n = 0; n < p->s->weights.n; n++)
    if (p->s->weights.at[n].body == a->body.log_w && p->s->weights.at[n].seed == a->seed.log_w) return n;
  vec_push(p->arena, &p->s->weights, (TileWeight){a->body.log_w, a->seed.log_w});
  return p->s->weights.n - 1;
}

/* A sum of exact products is as exact with axes as without. */
static void permit_vector(Planner *p, const Acc *a) {
  for (uint32_t n = 0; a->kind == ACC_SUM && a->body.at && n < a->body.at->code.n; n++) {
    Val v = a->body.at->code.at[n];
    if (is_exact_product(p, v)) refuse(p, "a product of widened numbers needs f64");
  }
}

static void lower_axes(Planner *p, TileAcc *t) {
  const Acc *a = t->acc;
  permit_vector(p, a);
  t->use = USE_CONTRACT;
  if (a->kind != ACC_EXPECT && a->kind != ACC_SUM)
    refuse(p, "an accumulator with axes is neither a sum nor an expectation");
  if (a->type != IR_WIDE) refuse(p, "a vector of ints is accumulated");
  if (a->naxis != 1) refuse(p, "an accumulator has several axes");
  if (!tile_follows_from_sizes(p->k, a->axes[0].lo) || !tile_follows_from_sizes(p->k, a->axes[0].hi))
    refuse(p, "the bounds of an axis do not follow from the sizes");
  if (!a->body.x || !split_factor(p, a->body.x, t))
    refuse(p, "a vector is no product of a weight and a column's vector");
  else peel_factors(p, t);
}

static void lower_acc(Planner *p, const Acc *a) {
  TileAcc t = {.acc = a, .use = is_plain(a->kind) ? USE_REDUCE : USE_WEIGHTED};
  if (!a->body.x && !a->body.log_w) refuse(p, "an accumulator takes the seed alone");
  if (is_float_product(a)) refuse(p, "a product needs the range of f64");
  if (!is_plain(a->kind)) t.weight = weight_at(p, a);
  if (a->naxis) lower_axes(p, &t);
  vec_push(p->arena, &p->s->accs, t);
}

/* ---- operands ----------------------------------------------------------------------------------- */

static TileFeature *feature_of(Planner *p, const Loop *l) {
  for (uint32_t n = 0; n < p->s->features.n; n++)
    if (p->s->features.at[n].loop == l) return &p->s->features.at[n];
  vec_push(p->arena, &p->s->features, (TileFeature){.loop = l});
  return &vec_last(&p->s->features);
}

static Val narrow(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  return i->op == IR_CONVERT && ir_at(k, i->arg[0])->type == IR_REAL ? i->arg[0] : v;
}

static void demand(Planner *p, Val v);

static void demand_result(Planner *p, const Instr *i) {
  if (exception_of(p, i->loop)) return;
  TileFeature *f = feature_of(p, i->loop);
  Val row, col;
  if (is_log_contraction(p, i->loop, &row, &col)) {
    f->is_log = true, f->log_row = row, f->log_col = col;
    demand(p, row);
    demand(p, col);
    return;
  }
  if (p->target->dots_bf16 && tile_dot_find(p->arena, p->k, p->rows, i->loop, f)) {
    row = f->dot_row, col = f->dot_col; /* demanding them may move f */
    demand(p, row);
    demand(p, col);
    return;
  }
  for (uint32_t n = 0; n < i->loop->accs.n; n++) demand(p, i->loop->accs.at[n]->body.x);
}

static void demand(Planner *p, Val v) {
  v = narrow(p->k, v); /* on tiles a widened value is what it was */
  const Instr *i = ir_at(p->k, v);
  uint8_t d = dep_of(p, v);
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

static bool is_check(IrOp op) { return ir_is_check(op); }

/* A check on tiles is one of the stream's own body whose index depends on the pair, or on the column under a guard
 * of the pair; all others are decided where their operands are made. */
static void demand_checks(Planner *p) {
  const Region *r = p->s->loop->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (!is_check(i->op) || (dep_of(p, r->code.at[n]) & DEP_BOTH) != DEP_BOTH) continue;
    if (!((dep_of(p, i->arg[1]) | dep_of(p, i->arg[2])) & DEP_COL)) continue;
    vec_push(p->arena, &p->s->checks, r->code.at[n]);
    for (uint32_t a = 0; a < i->narg; a++) demand(p, i->arg[a]);
  }
}

/* Checks of pairs inside feature loops and axes are not done on tiles. */
static void permit_checks(Planner *p, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (!is_check(i->op)) continue;
    uint8_t d = dep_of(p, i->arg[1]) | dep_of(p, i->arg[2]);
    if ((d & DEP_BOTH) == DEP_BOTH) refuse(p, "an index that is checked depends on the pair and a feature");
  }
}

static void demand_all(Planner *p) {
  demand(p, p->s->loop->mask);
  for (uint32_t n = 0; n < p->s->weights.n; n++) demand(p, p->s->weights.at[n].body);
  for (uint32_t n = 0; n < p->s->accs.n; n++) {
    const TileAcc *t = &p->s->accs.at[n];
    demand(p, t->use == USE_CONTRACT ? t->factor : t->acc->body.x);
    if (t->use == USE_CONTRACT) permit_checks(p, t->acc->body.at);
  }
  demand_checks(p);
  for (uint32_t n = 0; n < p->s->exceptions.n; n++) demand(p, p->s->exceptions.at[n]);
  for (uint32_t n = 0; n < p->s->features.n; n++) permit_checks(p, p->s->features.at[n].loop->body);
}

/* ---- streams ------------------------------------------------------------------------------------ */

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

static TileStream *plan_stream(Planner *p, const Loop *l, const TileTarget *target) {
  TileStream *s = p->s = NEW(p->arena, TileStream);
  s->loop = l;
  p->seen = NEW_ARRAY(p->arena, bool, p->k->instrs.n);
  p->accs = 1;
  depend_loop(p, l);
  p->rows->dep[l->index] = DEP_COL;
  /* once more, now that the column's index is known to be one */
  uint8_t d = depend_region(p, l->body) | depend_accs(p, l);
  if (!(d & DEP_ROW)) refuse(p, "it does not depend on the row");
  s->ragged = dep_of(p, l->lo) & DEP_BOTH || dep_of(p, l->hi) & DEP_BOTH;
  if (s->ragged) refuse(p, "its range depends on the row");
  if (stores_or_orders(p->k, l->body)) refuse(p, "it holds an ordered loop");
  permit_region(p, l->body, 0);
  for (uint32_t n = 0; n < l->accs.n; n++) lower_acc(p, l->accs.at[n]);
  if (p->target->dots_bf16) tile_dot_rounding(p->k, p->rows, s);
  if (!s->why) demand_all(p);
  s->shape = shape_for(target, p->accs, rows_at_most(p));
  for (uint32_t n = 0; n < l->accs.n; n++) { /* results belong to the row */
    const Acc *a = l->accs.at[n];
    if (a->result) p->rows->dep[a->result] = DEP_ROW;
    if (a->naxis) p->array_dep[a->result_at->id] = DEP_ROW;
  }
  return s;
}

/* Everything directly in the body of a loop over rows depends on the row. */
static void mark_rows(Planner *p, const Loop *l) {
  p->rows->dep[l->index] = DEP_ROW;
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    Val v = l->body->code.at[n];
    const Instr *i = ir_at(p->k, v);
    p->rows->dep[v] = DEP_ROW;
    if (i->op == IR_ARRAY) p->array_dep[i->array->id] = DEP_ROW;
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++) {
      const Acc *acc = i->loop->accs.at[a];
      if (acc->result) p->rows->dep[acc->result] = DEP_ROW;
    }
  }
}

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

static void plan_rows(Planner *p, const Loop *l, const TileTarget *target) {
  TileRows *rows = p->rows = NEW(p->arena, TileRows);
  *rows = (TileRows){.loop = l, .dep = NEW_ARRAY(p->arena, uint8_t, p->k->instrs.n)};
  p->array_dep = NEW_ARRAY(p->arena, uint8_t, p->k->arrays.n);
  mark_rows(p, l);
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    const Instr *i = ir_at(p->k, l->body->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || tile_repeats(p->k, i->loop)) continue;
    TileStream *s = plan_stream(p, i->loop, target);
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

static void plan_region(Planner *p, const Region *r, const TileTarget *target) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind == LOOP_REDUCE) continue;
    plan_region(p, i->loop->body, target);
    if (i->loop->kind == LOOP_PAR && holds_stream(p->k, i->loop->body)) plan_rows(p, i->loop, target);
  }
}

TilePlan *tile_plan(Arena *arena, const Kernel *k, const TileTarget *target) {
  TilePlan *plan = NEW(arena, TilePlan);
  plan->k = k;
  plan->target = *target;
  Planner p = {.arena = arena, .plan = plan, .k = k, .target = target};
  plan_region(&p, k->top, target);
  tile_across(arena, plan);
  return plan;
}

const TileRows *tile_rows_of(const TilePlan *p, const Loop *l) {
  for (uint32_t n = 0; n < p->rows.n; n++)
    if (p->rows.at[n]->loop == l) return p->rows.at[n]->tiled ? p->rows.at[n] : NULL;
  return NULL;
}
