/* tile_depend: what the values of a loop over rows depend on: the row, the column, a feature.
 *
 * Everything directly in the body of the loop over rows depends on the row, the results of its streams too.  A value of
 * a stream depends on what its arguments do, a loaded one also on what its array does. */
#include "tile/tile_plan.h"

/* ci i + cj j + what depends on neither. */
typedef struct Affine { bool ok; int64_t row, col; } Affine;

static Affine affine(const Planner *p, Val v, int depth) {
  const Instr *i = ir_at(p->k, v);
  if (!plan_dep(p, v)) return (Affine){.ok = true};
  if (v == p->rows->loop->index) return (Affine){true, 1, 0};
  if (p->s && v == p->s->loop->index) return (Affine){true, 0, 1};
  if (depth > 8 || i->type != IR_INT || (i->op != IR_ADD && i->op != IR_SUB && i->op != IR_NEG)) return (Affine){0};
  Affine x = affine(p, i->arg[0], depth + 1), y = {.ok = true};
  if (i->op == IR_NEG) return (Affine){x.ok, -x.row, -x.col};
  y = affine(p, i->arg[1], depth + 1);
  int sign = i->op == IR_SUB ? -1 : 1;
  return (Affine){x.ok && y.ok, x.row + sign * y.row, x.col + sign * y.col};
}

/* Whether a value of both indices depends on their difference alone. */
static bool is_diagonal(const Planner *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  if (i->op == IR_RESULT || i->op == IR_LOOP || i->type == IR_VOID) return false;
  Affine a = affine(p, v, 0);
  if (a.ok) return a.row == -a.col;
  if (ir_op_compares(i->op)) {
    Affine x = affine(p, i->arg[0], 0), y = affine(p, i->arg[1], 0);
    if (x.ok && y.ok) return x.row - y.row == y.col - x.col;
  }
  if (i->op == IR_LOAD && p->array_dep[i->array->id]) return false;
  for (uint32_t n = 0; n < i->narg; n++)
    if (plan_dep(p, i->arg[n]) && !(plan_dep(p, i->arg[n]) & DEP_DIAGONAL)) return false;
  return true;
}

static uint8_t depend_loop(Planner *p, const Loop *l);

static uint8_t depend_args(const Planner *p, const Instr *i) {
  uint8_t d = 0;
  for (uint32_t n = 0; n < i->narg; n++) d |= plan_dep(p, i->arg[n]) & ~DEP_DIAGONAL;
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
  return (d | plan_dep(p, c->x) | plan_dep(p, c->log_w)) & ~DEP_DIAGONAL;
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
  uint8_t d = depend_region(p, l->body) | plan_dep(p, l->lo) | plan_dep(p, l->hi) | plan_dep(p, l->mask);
  if (l->seed) d |= depend_region(p, l->seed) | plan_dep(p, l->seed_mask);
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

void plan_depend_rows(Planner *p, const Loop *l) {
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

uint8_t plan_depend_stream(Planner *p, const Loop *l) {
  depend_loop(p, l);
  p->rows->dep[l->index] = DEP_COL;
  return depend_region(p, l->body) | depend_accs(p, l); /* once more, now that the column's index is known to be one */
}

void plan_depend_results(Planner *p, const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->result) p->rows->dep[a->result] = DEP_ROW;
    if (a->naxis) p->array_dep[a->result_at->id] = DEP_ROW;
  }
}
