/* tile_affine: a log weight times a number.
 *
 * Multiplication distributes over sums, and is associative with what is the same for all pairs: so the factor is
 * carried to the terms of v.  A term that is an operand read there alone takes the factor where it is packed, once for
 * a row or a column; a sum of products over a feature takes it in the operand of the row.  What is left for a pair is a
 * sum. So it is with the arguments of some functions. */
#include <math.h>

#include "back/tile.h"

typedef LLVMValueRef V;

/* ---- factors ------------------------------------------------------------------------------------------ */

static bool factor_by(TileFactor *f, Val v, bool divides) {
  if (f->n == TILE_FACTORS) return false;
  f->by[f->n++] = (TileFactorBy){v, divides};
  return true;
}

/* In f64, rounded once. */
static V factor_value(Tile *t, const TileFactor *f) {
  Emit *e = t->e;
  V x = const_float(e, IR_WIDE, f->number);
  for (uint32_t n = 0; n < f->n; n++) {
    V y = op_convert(e, e->val[f->by[n].v], ir_at(e->k, f->by[n].v)->type, IR_WIDE);
    x = f->by[n].divides ? LLVMBuildFDiv(e->b, x, y, "") : LLVMBuildFMul(e->b, x, y, "");
  }
  return op_convert(e, x, IR_WIDE, IR_REAL);
}

/* ---- terms ---------------------------------------------------------------------------------------------- */

typedef enum { TERM, SUM, DIFFERENCE, MULTIPLE } Form;

/* How a value is made of others.  MULTIPLE: of `one`, *f being changed. */
typedef struct Parts { Form form; Val one, two; } Parts;

bool tile_is_uniform_maximum(const Tile *t, const Instr *i, uint32_t n) {
  return i->op == IR_MAX && i->type == IR_WIDE && !t->rows->dep[i->arg[n]] &&
         ir_at(t->e->k, i->arg[n])->op != IR_CONST;
}

bool tile_is_uniform_sum(const Tile *t, const Instr *i) {
  return i->op == IR_LOGMUL && (!t->rows->dep[i->arg[0]] || !t->rows->dep[i->arg[1]]);
}

static bool is_number(const Tile *t, Val v) {
  IrType type = ir_at(t->e->k, v)->type;
  return type == IR_REAL || type == IR_WIDE;
}

static Parts parts_of(const Tile *t, Val v, TileFactor *f) {
  const Instr *i = ir_at(t->e->k, v);
  bool sums_logs = i->op == IR_LOGMUL && (!f->exact || tile_is_uniform_sum(t, i));
  Parts term = {TERM, v, 0};
  if (!t->rows->dep[v] || t->operand[v].from || !is_number(t, v)) return term;
  if (i->op == IR_CONVERT && is_number(t, i->arg[0])) return (Parts){MULTIPLE, i->arg[0], 0};
  if (i->op == IR_NEG) {
    f->number = -f->number;
    return (Parts){MULTIPLE, i->arg[0], 0};
  }
  if (i->op == IR_DIV && !t->rows->dep[i->arg[1]])
    return factor_by(f, i->arg[1], true) ? (Parts){MULTIPLE, i->arg[0], 0} : term;
  if (i->op == IR_MUL)
    for (int n = 0; n < 2; n++)
      if (!t->rows->dep[i->arg[1 - n]])
        return factor_by(f, i->arg[1 - n], false) ? (Parts){MULTIPLE, i->arg[n], 0} : term;
  if (i->op == IR_ADD || sums_logs) return (Parts){SUM, i->arg[0], i->arg[1]};
  if (i->op == IR_SUB) return (Parts){DIFFERENCE, i->arg[0], i->arg[1]};
  return term;
}

/* ---- how many read a value --------------------------------------------------------------------------------- */

typedef struct Carry { Tile *t; uint32_t *readers; } Carry; /* by Val: in the code of pairs */

static void read_value(Carry *c, Val v) {
  const Tile *t = c->t;
  if (!v || !t->rows->dep[v] || c->readers[v]++ || t->operand[v].from) return;
  const Instr *i = ir_at(t->e->k, v);
  for (uint32_t n = 0; n < i->narg; n++) read_value(c, i->arg[n]);
}

static void count_readers(Carry *c) {
  const Tile *t = c->t;
  const TileStream *s = t->s;
  read_value(c, s->loop->mask);
  for (uint32_t n = 0; n < s->weights.n; n++) read_value(c, s->weights.at[n].body);
  for (uint32_t n = 0; n < s->accs.n; n++)
    read_value(c, s->accs.at[n].use == USE_CONTRACT ? s->accs.at[n].factor : s->accs.at[n].acc->body.x);
  if (s->across) read_value(c, s->across->log_w);
  for (uint32_t n = 0; n < s->exceptions.n; n++) read_value(c, s->exceptions.at[n]);
  for (uint32_t n = 0; n < s->checks.n; n++)
    for (uint32_t a = 0; a < ir_at(t->e->k, s->checks.at[n])->narg; a++)
      read_value(c, ir_at(t->e->k, s->checks.at[n])->arg[a]);
  for (uint32_t n = 0; n < s->features.n; n++) {
    const Loop *l = s->features.at[n].loop;
    for (uint32_t a = 0; a < l->accs.n; a++) read_value(c, tile_feature_summed(&s->features.at[n], l->accs.at[a]));
  }
}

static uint32_t cost_of(IrOp op) {
  switch (op) {
    case IR_CONVERT:
    case IR_LOOP:
    case IR_RESULT: return 0;
    case IR_DIV:
    case IR_SQRT: return 6;
    case IR_EXP:
    case IR_EXPM1:
    case IR_LOG:
    case IR_LOG1P:
    case IR_TANH:
    case IR_SIGMOID:
    case IR_SOFTPLUS:
    case IR_LOGADD:
    case IR_POW: return 20;
    default: return 1;
  }
}

uint32_t tile_pair_cost(Tile *t) {
  Carry c = {t, NEW_ARRAY(t->e->arena, uint32_t, t->e->k->instrs.n)};
  uint32_t cost = 0;
  count_readers(&c);
  for (uint32_t v = 1; v < t->e->k->instrs.n; v++)
    if (c.readers[v] && !t->operand[v].from && (t->rows->dep[v] & DEP_BOTH) == DEP_BOTH &&
        !(t->rows->dep[v] & DEP_FEATURE))
      cost += cost_of(ir_at(t->e->k, v)->op);
  return cost;
}

/* ---- operands that take a factor ----------------------------------------------------------------------------- */

static void scale(Tile *t, Val v, const TileFactor *f) {
  t->operand[v].factor = NEW(t->e->arena, TileFactor);
  *t->operand[v].factor = *f;
}

static Val through_converts(const Kernel *k, Val v) {
  while (ir_at(k, v)->op == IR_CONVERT) v = ir_at(k, v)->arg[0];
  return v;
}

/* A sum of products takes it in the factor of the row; but bits stay as they are, and the sum is multiplied. */
static void scale_sum(const Carry *c, Val v, const TileFactor *f) {
  Tile *t = c->t;
  const Kernel *k = t->e->k;
  const Loop *l = t->s->features.at[t->operand[v].feature].loop;
  if (t->s->features.at[t->operand[v].feature].is_dot) {
    scale(t, v, f);
    return;
  }
  if (l->accs.n != 1 || l->accs.at[0]->kind != ACC_SUM) return;
  Val product = through_converts(k, tile_feature_summed(&t->s->features.at[t->operand[v].feature], l->accs.at[0]));
  const Instr *i = ir_at(k, product);
  if (i->op != IR_MUL || t->operand[product].from || c->readers[product] != 1) return;
  for (int n = 0; n < 2; n++) {
    Val row = i->arg[n];
    if (t->operand[row].from != FROM_ROW_FEATURE || !is_number(t, row) || c->readers[row] != 1) continue;
    scale(t, row, f);
    t->operand[v].is_scaled = true;
    return;
  }
}

/* Of infinities of both signs the product of weights is 0, the sum of their logs no number.  So where a log weight is
 * such a sum, a mass that is no number may be wrong. */
static bool adds_logs(const Tile *t, Val v, uint32_t depth) {
  TileFactor unused = {0};
  Parts p = parts_of(t, v, &unused);
  if (depth > 64 || p.form == TERM) return depth > 64;
  return ir_at(t->e->k, v)->op == IR_LOGMUL || adds_logs(t, p.one, depth + 1) ||
         (p.two && adds_logs(t, p.two, depth + 1));
}

bool tile_adds_logs(const Tile *t, uint32_t w) { return adds_logs(t, t->s->weights.at[w].body, 0); }

static void carry(const Carry *c, Val v, TileFactor f) {
  Tile *t = c->t;
  if (c->readers[v] != 1) return;
  Parts p = parts_of(t, v, &f);
  TileSource from = t->operand[v].from;
  if (p.form == TERM && from == FROM_PAIR) scale_sum(c, v, &f);
  if (p.form == TERM && (from == FROM_ROW || from == FROM_COL || from == FROM_DIAGONAL) && is_number(t, v)) {
    scale(t, v, &f);
    t->operand[v].is_scaled = true;
  }
  if (p.form != TERM) carry(c, p.one, f);
  if (p.form == DIFFERENCE) f.number = -f.number;
  if (p.form == SUM || p.form == DIFFERENCE) carry(c, p.two, f);
}

/* Functions of pairs, of what their argument is taken times. */
static double argument_factor(const Tile *t, Val v) {
  uint8_t d = t->rows->dep[v];
  if (t->operand[v].from || (d & DEP_BOTH) != DEP_BOTH || d & DEP_FEATURE) return 0;
  switch (ir_at(t->e->k, v)->op) {
    case IR_TANH: return 1;
    case IR_SIGMOID: return TILE_LOG2_E;
    default: return 0;
  }
}

void tile_carry_factors(Tile *t) {
  Carry c = {t, NEW_ARRAY(t->e->arena, uint32_t, t->e->k->instrs.n)};
  count_readers(&c);
  for (uint32_t w = 0; w < t->s->weights.n; w++)
    carry(&c, t->s->weights.at[w].body, (TileFactor){.number = TILE_LOG2_E});
  for (uint32_t v = 1; v < t->e->k->instrs.n; v++)
    if (c.readers[v] && argument_factor(t, v))
      carry(&c, ir_at(t->e->k, v)->arg[0], (TileFactor){.number = argument_factor(t, v), .exact = true});
}

static void check_uniform_logs(Tile *t) {
  Emit *e = t->e;
  Carry c = {t, NEW_ARRAY(e->arena, uint32_t, e->k->instrs.n)};
  count_readers(&c);
  for (uint32_t v = 1; v < e->k->instrs.n; v++) {
    const Instr *i = ir_at(e->k, v);
    if (!c.readers[v] || t->operand[v].from) continue;
    for (uint32_t n = 0; n < 2 && n < i->narg; n++)
      if (tile_is_uniform_maximum(t, i, n) || (tile_is_uniform_sum(t, i) && !t->rows->dep[i->arg[n]]))
        tile_odd(t, tile_infinite(e, ir_at(e->k, i->arg[n])->type, e->val[i->arg[n]]));
  }
}

/* What is lost where denormals are taken for 0 must stay small. */
static V is_large(Emit *e, V by) {
  V above = LLVMBuildFCmp(e->b, LLVMRealOGT, by, LLVMConstReal(e->t.f32, 0x1p64), "");
  return LLVMBuildOr(e->b, above, LLVMBuildFCmp(e->b, LLVMRealOLT, by, LLVMConstReal(e->t.f32, -0x1p64), ""), "");
}

V tile_product(Emit *e, const TileBys *by) {
  V x = const_float(e, IR_WIDE, 1);
  for (uint32_t n = 0; n < by->n; n++) {
    V y = op_convert(e, e->val[by->at[n].v], ir_at(e->k, by->at[n].v)->type, IR_WIDE);
    x = by->at[n].divides ? LLVMBuildFDiv(e->b, x, y, "") : LLVMBuildFMul(e->b, x, y, "");
  }
  return x;
}

V tile_common_factor(Tile *t, uint32_t k) { return tile_product(t->e, &t->s->accs.at[k].by); }

/* A factor that is no number decides also where nothing is packed: 0 products times 1 / 0. */
void tile_check_factors(Tile *t) {
  Emit *e = t->e;
  for (uint32_t v = 1; v < e->k->instrs.n; v++) {
    if (!t->operand[v].factor) continue;
    V by = factor_value(t, t->operand[v].factor), gap = LLVMBuildFSub(e->b, by, by, "");
    tile_odd(t, LLVMBuildFCmp(e->b, LLVMRealUNO, gap, gap, ""));
    if (t->operand[v].from == FROM_PAIR) tile_odd(t, is_large(e, by));
  }
  for (uint32_t k = 0; k < t->s->accs.n; k++) {
    if (!t->s->accs.at[k].by.n) continue;
    V by = tile_common_factor(t, k), gap = LLVMBuildFSub(e->b, by, by, "");
    tile_odd(t, LLVMBuildFCmp(e->b, LLVMRealUNO, gap, gap, ""));
  }
  check_uniform_logs(t);
  tile_half_check(t);
}

/* ---- code -------------------------------------------------------------------------------------------------- */

V tile_scaled(Tile *t, Val v, V x) {
  const TileFactor *f = t->operand[v].factor;
  return f ? tile_times(t, x, factor_value(t, f)) : x;
}

V tile_times(Tile *t, V x, V by) {
  Emit *e = t->e;
  bool is_vector = LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind;
  V y = LLVMBuildFMul(e->b, x, is_vector ? lanes_splat(&t->l, by) : by, "");
  V gap = LLVMBuildFSub(e->b, y, y, ""), own = LLVMBuildFSub(e->b, x, x, ""); /* NaN of what is no number */
  V over = LLVMBuildAnd(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, gap, gap, ""),
                        LLVMBuildFCmp(e->b, LLVMRealORD, own, own, ""), "");
  tile_odd(t, is_vector ? tile_line_any(t, over) : over);
  return y;
}

/* The log of a value of pairs, in base 2 but for *f, which takes the exponent of a power that is the same for all
 * pairs. */
static V log_of_pairs(Tile *t, Val v, TileFactor *f) {
  const Instr *i = ir_at(t->e->k, v);
  if (t->operand[v].from || i->op != IR_LOG || (t->rows->dep[v] & DEP_BOTH) != DEP_BOTH) return NULL;
  const Instr *x = ir_at(t->e->k, i->arg[0]);
  bool absolute = x->op == IR_ABS;
  if (absolute) x = ir_at(t->e->k, x->arg[0]);
  f->number *= TILE_LN_2;
  if (x->op != IR_POW) return lanes_log2(&t->l, tile_value(t, i->arg[0], 0, 0));
  if (t->rows->dep[x->arg[1]] || !factor_by(f, x->arg[1], false)) return NULL;
  return lanes_log2(&t->l, tile_power_base(t, x, absolute));
}

static V affine(Tile *t, Val v, TileFactor f, V plus) {
  Emit *e = t->e;
  TileFactor inner = f;
  Parts p = parts_of(t, v, &inner);
  if (p.form == MULTIPLE) return affine(t, p.one, inner, plus);
  if (p.form == SUM || p.form == DIFFERENCE) {
    TileFactor second = inner;
    if (p.form == DIFFERENCE) second.number = -second.number;
    return affine(t, p.one, inner, affine(t, p.two, second, plus));
  }
  V x = log_of_pairs(t, v, &inner);
  if (x) f = inner;
  else x = tile_value(t, v, 0, 0);
  if (!t->rows->dep[v] && is_number(t, v)) { /* one product for all pairs */
    V y = op_convert(e, e->val[v], ir_at(e->k, v)->type, IR_WIDE);
    y = LLVMBuildFMul(e->b, y, op_convert(e, factor_value(t, &f), IR_REAL, IR_WIDE), "");
    y = lanes_splat(&t->l, op_convert(e, y, IR_WIDE, IR_REAL));
    return plus ? LLVMBuildFAdd(e->b, y, plus, "") : y;
  }
  bool whole = t->operand[v].is_scaled || (f.number == 1 && !f.n);
  if (whole) return plus ? LLVMBuildFAdd(e->b, x, plus, "") : x;
  V by = lanes_splat(&t->l, factor_value(t, &f));
  return plus ? lanes_fma(&t->l, x, by, plus) : LLVMBuildFMul(e->b, x, by, "");
}

V tile_value_affine(Tile *t, Val v, double times) { return affine(t, v, (TileFactor){.number = times}, NULL); }

V tile_function(Tile *t, Val v) {
  double by = argument_factor(t, v);
  const Instr *i = ir_at(t->e->k, v);
  if (tile_is_uniform_sum(t, i)) return affine(t, v, (TileFactor){.number = 1, .exact = true}, NULL);
  if (!by) return NULL;
  V x = affine(t, i->arg[0], (TileFactor){.number = by, .exact = true}, NULL);
  return i->op == IR_TANH ? lanes_tanh(&t->l, x) : lanes_logistic2(&t->l, x);
}
