/* reassociate_find: see reassociate.h.  The terms of a log weight are told apart by what they depend on. */
#include <math.h>

#include "ir/reassociate.h"
#include "ir/walk.h"

typedef struct Find {
  Arena *arena;
  const Kernel *k;
  Makers makers;
  uint8_t *dep;       /* by Val */
  uint8_t *array_dep; /* by Array.id */
  Reassociation *x;
  LogWeight *w;       /* whose terms are taken */
  bool is_guarded;    /* a term has the form `0 where d = 0, else d * u` */
} Find;

static void refuse(Find *f, const char *why) {
  if (!f->x->why) f->x->why = why;
}

static void refuse_weight(Find *f, const char *why) {
  if (!f->w->why) f->w->why = why;
}

static bool from_sizes(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  if (i->op == IR_LOAD || i->op == IR_INDEX || i->op == IR_RESULT) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (!from_sizes(k, i->arg[n])) return false;
  return true;
}

/* ---- dependence --------------------------------------------------------------------------------- */

static uint8_t dep_code(Find *f, const Region *r);

static uint8_t dep_contribution(Find *f, const Contribution *c) {
  return (c->at ? dep_code(f, c->at) : 0) | f->dep[c->log_w] | f->dep[c->x];
}

static uint8_t dep_loop(Find *f, const Loop *l) {
  uint8_t d = f->dep[l->lo] | f->dep[l->hi] | dep_code(f, l->body) | f->dep[l->mask];
  if (l->seed) d |= dep_code(f, l->seed) | f->dep[l->seed_mask];
  for (uint32_t n = 0; n < l->accs.n; n++)
    d |= dep_contribution(f, &l->accs.at[n]->body) | dep_contribution(f, &l->accs.at[n]->seed);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->result) f->dep[a->result] = d;
    if (a->naxis) f->array_dep[a->result_at->id] = d;
  }
  return d;
}

static uint8_t dep_code(Find *f, const Region *r) {
  uint8_t all = 0;
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(f->k, v);
    uint8_t d = i->op == IR_LOOP ? dep_loop(f, i->loop) : i->op == IR_LOAD ? f->array_dep[i->array->id] : 0;
    for (uint32_t a = 0; a < i->narg; a++) d |= f->dep[i->arg[a]];
    all |= f->dep[v] = d;
  }
  return all;
}

static void depend(Find *f) {
  f->x->dep = f->dep = NEW_ARRAY(f->arena, uint8_t, f->k->instrs.n);
  for (uint32_t n = 0; n < f->k->arrays.n; n++) f->array_dep[n] = f->makers.stored[n] ? ON_ROW : 0;
  f->dep[f->x->rows->index] = ON_ROW;
  f->dep[f->x->stream->index] = ON_COL;
  dep_code(f, f->x->rows->body);
}

/* ---- conditions --------------------------------------------------------------------------------- */

/* row * i + col * j + rest */
typedef struct Affine { bool ok; int row, col; Offset rest; } Affine;

static void affine_constant(Affine *a, const Instr *i, int sign) {
  if (i->type == IR_INT) a->rest.constant += sign * i->integer;
  else if (i->number == floor(i->number) && fabs(i->number) < 1e15) a->rest.constant += sign * (int64_t)i->number;
  else a->ok = false;
}

static void affine_add(Find *f, Affine *a, Val v, int sign) {
  const Instr *i = ir_at(f->k, v);
  if (v == f->x->rows->index) a->row += sign;
  else if (v == f->x->stream->index) a->col += sign;
  else if (i->op == IR_CONST && i->type != IR_BOOL) affine_constant(a, i, sign);
  else if (i->op == IR_CONVERT && i->type == IR_WIDE && ir_at(f->k, i->arg[0])->type == IR_INT)
    affine_add(f, a, i->arg[0], sign);
  else if (i->type == IR_INT && (i->op == IR_ADD || i->op == IR_SUB)) {
    affine_add(f, a, i->arg[0], sign);
    affine_add(f, a, i->arg[1], i->op == IR_SUB ? -sign : sign);
  } else if (i->type == IR_INT && i->op == IR_NEG) affine_add(f, a, i->arg[0], -sign);
  else if (i->type == IR_INT && !f->dep[v]) vec_push(f->arena, &a->rest.parts, (Part){v, sign});
  else a->ok = false;
}

static Offset negated(Find *f, const Offset *o, int64_t add) {
  Offset to = {.constant = add - o->constant};
  for (uint32_t n = 0; n < o->parts.n; n++)
    vec_push(f->arena, &to.parts, (Part){o->parts.at[n].v, -o->parts.at[n].sign});
  return to;
}

static bool same_offset(const Offset *x, const Offset *y) {
  if (x->constant != y->constant || x->parts.n != y->parts.n) return false;
  for (uint32_t n = 0; n < x->parts.n; n++)
    if (x->parts.at[n].v != y->parts.at[n].v || x->parts.at[n].sign != y->parts.at[n].sign) return false;
  return true;
}

static bool is_lower(IrOp op) { return op == IR_GE || op == IR_GT; }

/* j - i + rest OP 0; false: another form. */
static bool bound_of(Find *f, const Instr *i, Support *s, Offset *offset) {
  static const IrOp mirrored[IR_OP_COUNT_] = {[IR_LT] = IR_GT, [IR_LE] = IR_GE, [IR_GT] = IR_LT, [IR_GE] = IR_LE};
  IrOp op = i->op;
  if (!mirrored[op]) return false;
  Affine a = {.ok = true};
  affine_add(f, &a, i->arg[0], 1);
  affine_add(f, &a, i->arg[1], -1);
  if (!a.ok || a.col != -a.row || (a.col != 1 && a.col != -1)) return false;
  if (a.col < 0) {
    a.rest = negated(f, &a.rest, 0);
    op = mirrored[op];
  }
  *offset = negated(f, &a.rest, op == IR_LT ? -1 : op == IR_GT ? 1 : 0);
  *s = is_lower(op) ? SUPPORT_SUFFIX : SUPPORT_PREFIX;
  return true;
}

static bool same_bound(const Bound *x, const Bound *y) {
  return x->support == y->support && (x->support == SUPPORT_ALL || same_offset(&x->offset, &y->offset));
}

/* False: there is another bound already. */
static bool restrict_to(Bound *to, const Bound *b) {
  if (to->support != SUPPORT_ALL) return same_bound(to, b);
  *to = *b;
  return true;
}

/* A bound of the weight alone. */
static bool take_bound(Find *f, Val cond) {
  Bound b;
  return bound_of(f, ir_at(f->k, cond), &b.support, &b.offset) && restrict_to(&f->w->bound, &b);
}

static const char TWO_BOUNDS[] = "its support has two bounds that move with the row";

static void take_condition(Find *f, Val cond) {
  const Instr *i = ir_at(f->k, cond);
  if (f->dep[cond] != ON_BOTH) {
    vec_push(f->arena, f->dep[cond] & ON_COL ? &f->x->col_mask : &f->x->row_mask, cond);
    return;
  }
  if (i->op == IR_AND) {
    take_condition(f, i->arg[0]);
    take_condition(f, i->arg[1]);
    return;
  }
  Bound b;
  if (!bound_of(f, i, &b.support, &b.offset))
    refuse(f, "its support is neither all of the range nor a prefix or suffix that moves with the row");
  else if (!restrict_to(&f->x->bound, &b)) refuse(f, TWO_BOUNDS);
}

static void take_range(Find *f) {
  const Loop *l = f->x->stream;
  Affine a = {.ok = true};
  if (f->dep[l->lo]) refuse(f, "the start of its range depends on the row");
  if (!f->dep[l->hi]) return;
  affine_add(f, &a, l->hi, 1);
  if (!a.ok || a.row != 1 || a.col) {
    refuse(f, "the end of its range moves with the row in another way than by one a row");
    return;
  }
  a.rest.constant--;
  f->x->is_ranged = true;
  f->x->bound = (Bound){SUPPORT_PREFIX, a.rest};
}

/* ---- terms of both that are a sum of one of each ------------------------------------------------ */

static bool is_number(const Kernel *k, Val v, double x) {
  const Instr *i = ir_at(k, v);
  return i->op == IR_CONST && (i->type == IR_REAL || i->type == IR_WIDE) && i->number == x;
}

/* More than arithmetic on loop variables? */
static bool reads(const Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (!f->dep[v]) return false;
  if (i->op == IR_LOAD || i->op == IR_RESULT || i->op == IR_RANDOM) return true;
  for (uint32_t n = 0; n < i->narg; n++)
    if (reads(f, i->arg[n])) return true;
  return false;
}

static bool separates(Find *f, Val v);

/* select(d == 0, 0, d * u): what 0 * u is meant to be where u is infinite. */
static bool is_guarded_product(Find *f, const Instr *i) {
  const Instr *c = ir_at(f->k, i->arg[0]), *p = ir_at(f->k, i->arg[2]);
  if (c->op != IR_EQ || p->op != IR_MUL || !is_number(f->k, i->arg[1], 0) || !is_number(f->k, c->arg[1], 0))
    return false;
  return (p->arg[0] == c->arg[0] || p->arg[1] == c->arg[0]) && (f->is_guarded = true);
}

static bool separates_choice(Find *f, const Instr *i) {
  if (!f->dep[i->arg[0]]) return separates(f, i->arg[1]) && separates(f, i->arg[2]);
  if (is_number(f->k, i->arg[2], -INFINITY)) return take_bound(f, i->arg[0]) && separates(f, i->arg[1]);
  return is_guarded_product(f, i) && separates(f, i->arg[2]);
}

static bool separates(Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (f->dep[v] != ON_BOTH) return i->type != IR_BOOL;
  switch ((int)i->op) {
  case IR_ADD: case IR_SUB: case IR_LOGMUL: return separates(f, i->arg[0]) && separates(f, i->arg[1]);
  case IR_NEG: return separates(f, i->arg[0]);
  case IR_CONVERT: return i->type != IR_INT && separates(f, i->arg[0]);
  case IR_MUL:
    if (!f->dep[i->arg[0]]) return separates(f, i->arg[1]);
    return !f->dep[i->arg[1]] && separates(f, i->arg[0]);
  case IR_DIV: return !f->dep[i->arg[1]] && separates(f, i->arg[0]);
  case IR_SELECT: return separates_choice(f, i);
  }
  return false;
}

/* ---- terms of a log weight ---------------------------------------------------------------------- */

static bool is_float(const Kernel *k, Val v) { return ir_at(k, v)->type == IR_REAL || ir_at(k, v)->type == IR_WIDE; }

static void take_summand(Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (f->dep[v] != ON_BOTH) vec_push(f->arena, f->dep[v] & ON_ROW ? &f->w->row_f : &f->w->col_f, v);
  else if (i->op == IR_CONVERT && is_float(f->k, i->arg[0])) take_summand(f, i->arg[0]);
  else if (i->op == IR_LOGMUL) {
    take_summand(f, i->arg[0]);
    take_summand(f, i->arg[1]);
  } else refuse_weight(f, "a summand is no product of a factor of the row and one of the column");
}

static const Acc *acc_of(const Kernel *k, Val result) {
  const Loop *l = ir_at(k, result)->loop;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->result == result) return l->accs.at[n];
  return NULL;
}

static void take_features(Find *f, Val sum) {
  const Loop *l = ir_at(f->k, sum)->loop;
  f->w->is_near = true;
  if (f->w->features) refuse_weight(f, "it is a product of two sums");
  if (l->mask || l->seed || !from_sizes(f->k, l->lo) || !from_sizes(f->k, l->hi))
    refuse_weight(f, "the sum is not over a fixed range");
  f->w->features = l;
  f->w->sum = sum;
  take_summand(f, acc_of(f->k, sum)->body.log_w);
}

static bool is_inner(const Find *f, Val v, AccKind kind) {
  const Instr *i = ir_at(f->k, v);
  return i->op == IR_RESULT && i->loop->body->parent == f->x->stream->body && acc_of(f->k, v)->kind == kind;
}

/* log |sum|: the form of a sum whose summands may be negative. */
static bool is_log_of_sum(const Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (f->dep[v] != ON_BOTH || i->op != IR_LOG) return false;
  do v = i->arg[0], i = ir_at(f->k, v); while (i->op == IR_ABS || i->op == IR_CONVERT);
  return is_inner(f, v, ACC_SUM);
}

static bool holds_log_of_sum(const Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (f->dep[v] != ON_BOTH) return false;
  if (is_log_of_sum(f, v)) return true;
  for (uint32_t n = 0; n < i->narg; n++)
    if (holds_log_of_sum(f, i->arg[n])) return true;
  return false;
}

static void take_separable(Find *f, Val v) {
  bool was_guarded = f->is_guarded;
  f->is_guarded = false;
  if (!separates(f, v) || (f->is_guarded && reads(f, v))) {
    f->w->is_near |= holds_log_of_sum(f, v);
    refuse_weight(f, holds_log_of_sum(f, v)
                         ? "its summands are not all known to be >= 0 from the form of the potential"
                         : "a factor depends on the row and the column in a way that is no product of one of each");
  }
  vec_push(f->arena, reads(f, v) ? &f->w->data : &f->w->index, v);
  f->is_guarded |= was_guarded;
}

static void take_term(Find *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (f->dep[v] != ON_BOTH) vec_push(f->arena, f->dep[v] & ON_COL ? &f->w->col : &f->w->row, v);
  else if (i->op == IR_CONVERT && is_float(f->k, i->arg[0])) take_term(f, i->arg[0]);
  else if (is_inner(f, v, ACC_LSE)) take_features(f, v);
  else if (i->op == IR_SELECT && is_number(f->k, i->arg[2], -INFINITY) && take_bound(f, i->arg[0]))
    take_term(f, i->arg[1]);
  else if (i->op == IR_LOGMUL) {
    take_term(f, i->arg[0]);
    take_term(f, i->arg[1]);
  } else take_separable(f, v);
}

/* ---- accumulators -------------------------------------------------------------------------------- */

static LogWeight *reassociate_weight(const Reassociation *x, Val log_w);

static void take_weight(Find *f, Val log_w) {
  f->w = reassociate_weight(f->x, log_w);
  if (f->w) return;
  vec_push(f->arena, &f->x->weights, (LogWeight){.log_w = log_w, .bound = f->x->bound});
  f->w = &vec_last(&f->x->weights);
  f->is_guarded = false;
  take_term(f, log_w);
  if (f->is_guarded && f->w->bound.support == SUPPORT_ALL)
    refuse_weight(f, "it holds a distance prior over all of the range");
}

static void take_acc(Find *f, const Acc *a) {
  take_weight(f, a->body.log_w);
  for (uint32_t n = 0; n < a->naxis; n++)
    if (!from_sizes(f->k, a->axes[n].lo) || !from_sizes(f->k, a->axes[n].hi))
      refuse_weight(f, "the size of a value depends on data");
  if (a->naxis > AXES_MAX) refuse_weight(f, "a value has too many axes");
  if (a->kind != ACC_EXPECT && a->kind != ACC_LSE) refuse_weight(f, "another query needs the weight of every pair");
  if (f->dep[a->body.x] & ON_ROW) refuse_weight(f, "a value that is averaged depends on the row too");
}

/* The first weight that may decides the support. */
static void choose(Find *f) {
  Reassociation *x = f->x;
  const LogWeight *first = NULL;
  for (uint32_t n = 0; n < x->weights.n; n++) {
    LogWeight *w = &x->weights.at[n];
    if (!w->why && !first) first = w;
    if (!w->why && !same_bound(&w->bound, &first->bound))
      w->why = "another weight of the same pass, with another support, is";
  }
  if (!first) {
    refuse(f, x->weights.at[0].why);
    return;
  }
  x->takes_plain = first->bound.support != SUPPORT_ALL && same_bound(&x->bound, &first->bound);
  x->bound = first->bound;
}

static LogWeight *reassociate_weight(const Reassociation *x, Val log_w) {
  for (uint32_t n = 0; n < x->weights.n; n++)
    if (x->weights.at[n].log_w == log_w) return &x->weights.at[n];
  return NULL;
}

bool reassociate_takes(const Reassociation *x, const Acc *a) {
  if (a->body.log_w) return !reassociate_weight(x, a->body.log_w)->why;
  return x->takes_plain && !a->naxis && !(x->dep[a->body.x] & ON_ROW);
}

/* ---- streams ------------------------------------------------------------------------------------- */

static void note_check(void *ctx, Val v) {
  Find *f = ctx;
  IrOp op = ir_at(f->k, v)->op;
  if (ir_is_check(op)) refuse(f, "an index in it has to be checked");
}

static void take_surroundings(Find *f) {
  const Reassociation *x = f->x;
  const Val bounds[] = {x->stream->lo, x->is_ranged ? x->stream->lo : x->stream->hi, x->rows->lo, x->rows->hi};
  for (uint32_t n = 0; n < 4; n++)
    if (!from_sizes(f->k, bounds[n])) refuse(f, "the length of a loop depends on data");
  uint32_t plates = 0;
  for (const Region *r = x->rows->body->parent; r->loop; r = r->parent, plates++)
    if (r->loop->kind != LOOP_PAR || !from_sizes(f->k, r->loop->lo) || !from_sizes(f->k, r->loop->hi))
      refuse(f, "a loop around it is ordered, or its length depends on data");
  if (plates > PLATES_MAX) refuse(f, "too many loops stand around it");
  for (uint32_t n = 0; x->is_ranged && n < x->bound.offset.parts.n; n++)
    if (!from_sizes(f->k, x->bound.offset.parts.at[n].v)) refuse(f, "the length of a loop depends on data");
}

static bool has_weights(const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->body.log_w) return true;
  return false;
}

static Reassociation *find_stream(Find *f, const Loop *rows, const Loop *stream) {
  Reassociation *x = f->x = NEW(f->arena, Reassociation);
  *x = (Reassociation){.rows = rows, .stream = stream};
  depend(f);
  take_range(f);
  if (stream->seed) refuse(f, "the edge may be none");
  if (stream->mask) take_condition(f, stream->mask);
  for (uint32_t n = 0; n < stream->accs.n; n++)
    if (stream->accs.at[n]->body.log_w) take_acc(f, stream->accs.at[n]);
  walk_code(f->k, stream->body, note_check, f);
  for (uint32_t n = 0; n < stream->accs.n; n++) walk_code(f->k, stream->accs.at[n]->body.at, note_check, f);
  take_surroundings(f);
  choose(f);
  return x;
}

/* One stream of a loop over rows is summed in another order. */
static void find_rows(Find *f, const Loop *rows, Reassociations *to) {
  bool taken = false;
  f->makers = makers_of(f->arena, f->k, rows->body);
  for (uint32_t n = 0; n < rows->body->code.n; n++) {
    const Instr *i = ir_at(f->k, rows->body->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || !has_weights(i->loop)) continue;
    Reassociation *x = find_stream(f, rows, i->loop);
    if (taken) refuse(f, "another stream of the same rows is");
    taken |= !x->why;
    vec_push(f->arena, to, x);
  }
}

static void find_region(Find *f, const Region *r, Reassociations *to) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(f->k, r->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind == LOOP_REDUCE) continue;
    if (i->loop->kind == LOOP_PAR) find_rows(f, i->loop, to);
    find_region(f, i->loop->body, to);
  }
}

Reassociations reassociate_find(Arena *arena, const Kernel *k) {
  Reassociations found = {0};
  Find f = {.arena = arena, .k = k, .array_dep = NEW_ARRAY(arena, uint8_t, k->arrays.n + 1)};
  find_region(&f, k->top, &found);
  return found;
}
