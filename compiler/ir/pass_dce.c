/* pass_dce: keeps what an output or a check depends on, and nothing else.
 *
 * Marks backwards from the stores into outputs and from the checks.  Being needed spreads
 *   to operands; to the loops around an instruction, their bounds and masks;
 *   from a result to its accumulator: its contributions and axes, and with that its loop;
 *   from a load to the array: of a temporary to every store into it, or solve, of a local array to its accumulator.
 * A temporary that only feeds itself is never reached.  Inputs and outputs stay declared, used or not: they
 * are the kernel's face. */
#include "ir/pass.h"
#include "ir/rebuild.h"
#include "ir/walk.h"
#include "ir/solve.h"

typedef VEC(Val) Vals;

typedef struct Dce {
  const Kernel *k;
  Arena *arena;
  bool *live;       /* by Val */
  bool *live_array; /* by Array.id */
  Vals work;        /* live, operands not yet marked */
  Val *loop_of;     /* by index variable: the LOOP instruction */
  const Acc **acc_of;       /* by RESULT */
  const Acc **acc_of_array; /* by Array.id of a local array */
  Val *declaration;         /* by Array.id */
  Vals *stores;             /* by Array.id */
} Dce;

static void mark(void *ctx, Val v) {
  Dce *d = ctx;
  if (!v || d->live[v]) return;
  d->live[v] = true;
  vec_push(d->arena, &d->work, v);
}

static void mark_contribution(Dce *d, const Contribution *c) {
  mark(d, c->log_w);
  mark(d, c->x);
}

static void mark_acc(Dce *d, const Acc *a, const Loop *l) {
  mark_contribution(d, &a->body);
  mark_contribution(d, &a->seed);
  for (uint32_t n = 0; n < a->naxis; n++) {
    mark(d, a->axes[n].lo);
    mark(d, a->axes[n].hi);
  }
  if (l) mark(d, d->loop_of[l->index]);
}

static void mark_array(Dce *d, const Array *a) {
  if (d->live_array[a->id]) return;
  d->live_array[a->id] = true;
  mark(d, d->declaration[a->id]);
  for (uint32_t n = 0; n < d->stores[a->id].n; n++) mark(d, d->stores[a->id].at[n]);
  const Acc *made_by = d->acc_of_array[a->id];
  if (made_by) mark_acc(d, made_by, made_by->body.at->loop);
}

static void mark_surroundings(Dce *d, const Region *r) {
  for (; r; r = r->parent)
    if (r->loop) mark(d, d->loop_of[r->loop->index]);
}

static void mark_loop(Dce *d, const Loop *l) {
  mark(d, l->lo);
  mark(d, l->hi);
  mark(d, l->mask);
  mark(d, l->seed_mask);
}

static void mark_solve(Dce *d, const Instr *i) {
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) mark_array(d, i->solve->array[n]);
  mark(d, i->solve->work->dims[0]);
}

/* A loop's own operands are marked one by one: its accumulators may be dead. */
static void spread(Dce *d, Val v) {
  const Instr *i = ir_at(d->k, v);
  mark_surroundings(d, i->home);
  if (i->op == IR_LOOP) mark_loop(d, i->loop);
  else walk_operands(d->k, v, mark, d);
  if (i->array) mark_array(d, i->array);
  if (i->op == IR_SOLVE) mark_solve(d, i);
  if (i->op == IR_RESULT) mark_acc(d, d->acc_of[v], i->loop);
}

static void note_acc(Dce *d, const Acc *a) {
  if (a->naxis) d->acc_of_array[a->result_at->id] = a;
  else d->acc_of[a->result] = a;
}

static void note(void *ctx, Val v) {
  Dce *d = ctx;
  const Instr *i = ir_at(d->k, v);
  if (i->op == IR_ARRAY) d->declaration[i->array->id] = v;
  if (i->op == IR_STORE) vec_push(d->arena, &d->stores[i->array->id], v);
  for (uint32_t n = 0; i->op == IR_SOLVE && n < ir_solve_arrays(i); n++)
    if (ir_solve_writes(i, n)) vec_push(d->arena, &d->stores[i->solve->array[n]->id], v);
  if (i->op != IR_LOOP) return;
  d->loop_of[i->loop->index] = v;
  for (uint32_t n = 0; n < i->loop->accs.n; n++) note_acc(d, i->loop->accs.at[n]);
}

static void mark_root(void *ctx, Val v) {
  Dce *d = ctx;
  const Instr *i = ir_at(d->k, v);
  bool face = i->array && (i->array->kind == ARRAY_IN || i->array->kind == ARRAY_OUT);
  bool check = ir_is_check(i->op);
  if (check || (face && (i->op == IR_ARRAY || i->op == IR_STORE))) mark(d, v);
}

static bool is_live(const Rebuild *r, Val v) { return ((const Dce *)r->ctx)->live[v]; }

static bool is_live_acc(const Rebuild *r, const Acc *a) {
  const Dce *d = r->ctx;
  return a->naxis ? d->live_array[a->result_at->id] : d->live[a->result];
}

static void mark_all(Dce *d) {
  walk_code(d->k, d->k->top, note, d);
  walk_code(d->k, d->k->top, mark_root, d);
  while (d->work.n) spread(d, d->work.at[--d->work.n]);
}

Kernel *pass_dce(Arena *arena, const Kernel *k) {
  uint32_t n = k->instrs.n, arrays = k->arrays.n;
  Dce d = {.k = k, .arena = arena, .live = NEW_ARRAY(arena, bool, n), .live_array = NEW_ARRAY(arena, bool, arrays)};
  d.loop_of = NEW_ARRAY(arena, Val, n);
  d.acc_of = NEW_ARRAY(arena, const Acc *, n);
  d.acc_of_array = NEW_ARRAY(arena, const Acc *, arrays);
  d.declaration = NEW_ARRAY(arena, Val, arrays);
  d.stores = NEW_ARRAY(arena, Vals, arrays);
  mark_all(&d);
  Rebuild r;
  rebuild_init(&r, arena, k);
  r.ctx = &d;
  r.keep = is_live;
  r.keep_acc = is_live_acc;
  return rebuild_run(&r);
}
