/* tile_compare: which results of streams are compared with log weights that other code computes.
 *
 * A probability of one value is e^(its log weight - the largest - the log of the mass), the first being computed where
 * the value is known, the others by a stream.  On tiles a log weight is rounded in the order of their sums, and in base
 * 2: each is as good as its size allows, but of the difference of two that were rounded differently nothing is left
 * where they are large.  So the rows whose largest is beyond TILE_COMPARED_MOST are left to the scalar code, which has
 * one f64 for either (back/tile_rows.c).
 *
 * Compared are a largest value that something is taken relative to, what is taken relative to it, and masses; and what
 * these are made of, as far as it has their size: terms of sums, multiples, sides of choices, logs of sums.  A sum over
 * products is where that ends. */
#include "ir/walk.h"
#include "tile/tile_plan.h"

typedef struct Marks { const Kernel *k; bool *is; ValVec open; Arena *arena; } Marks;

static void mark(Marks *m, Val v) {
  if (!v || m->is[v]) return;
  IrType type = ir_at(m->k, v)->type;
  if (type != IR_REAL && type != IR_WIDE) return;
  m->is[v] = true;
  vec_push(m->arena, &m->open, v);
}

static const Acc *acc_of(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  for (uint32_t n = 0; i->op == IR_RESULT && n < i->loop->accs.n; n++)
    if (i->loop->accs.at[n]->result == v) return i->loop->accs.at[n];
  return NULL;
}

static void begin(void *marks, Val v) {
  Marks *m = marks;
  const Instr *i = ir_at(m->k, v);
  const Acc *a = i->op == IR_SUB ? acc_of(m->k, i->arg[1]) : NULL;
  if (a && a->kind == ACC_MAX) mark(m, i->arg[0]), mark(m, i->arg[1]);
  for (uint32_t n = 0; i->op == IR_LOOP && n < i->loop->accs.n; n++)
    if (i->loop->accs.at[n]->kind == ACC_MASS) mark(m, i->loop->accs.at[n]->result);
}

static void go_on(Marks *m, Val v) {
  const Instr *i = ir_at(m->k, v);
  const Acc *a = acc_of(m->k, v);
  if (a && (a->kind == ACC_MASS || a->kind == ACC_LSE)) mark(m, a->body.log_w), mark(m, a->seed.log_w);
  if (a && (a->kind == ACC_MAX || a->kind == ACC_MIN)) mark(m, a->body.x), mark(m, a->seed.x);
  switch (i->op) {
    case IR_CONVERT:
    case IR_NEG:
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_DIV:
    case IR_MIN:
    case IR_MAX:
    case IR_LOGMUL:
    case IR_LOGADD:
    case IR_SELECT: /* the condition is no number */
      for (uint32_t n = 0; n < i->narg; n++) mark(m, i->arg[n]);
      return;
    default: return;
  }
}

bool *tile_compared(Arena *arena, const Kernel *k) {
  Marks m = {.k = k, .is = NEW_ARRAY(arena, bool, k->instrs.n), .arena = arena};
  walk_code(k, k->top, begin, &m);
  while (m.open.n) go_on(&m, m.open.at[--m.open.n]);
  return m.is;
}
