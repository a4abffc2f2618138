/* demand: see demand.h.  Recursion is as deep as expressions are. */
#include "ir/demand.h"

#include "ir/walk.h"
#include "ir/solve.h"

typedef struct Note { const Kernel *k; Makers m; } Note;

static void note(void *ctx, Val v) {
  Note *n = ctx;
  const Instr *i = ir_at(n->k, v);
  if (i->op == IR_STORE) n->m.stored[i->array->id] = true;
  for (uint32_t a = 0; i->op == IR_SOLVE && a < ir_solve_arrays(i); a++)
    if (ir_solve_writes(i, a)) n->m.stored[i->solve->array[a]->id] = true;
  if (i->op != IR_LOOP) return;
  n->m.loop[i->loop->index] = v;
  for (uint32_t a = 0; a < i->loop->accs.n; a++)
    if (i->loop->accs.at[a]->naxis) n->m.loop_of[i->loop->accs.at[a]->result_at->id] = v;
}

Makers makers_of(Arena *arena, const Kernel *k, const Region *r) {
  Note n = {
      k, {NEW_ARRAY(arena, Val, k->instrs.n), NEW_ARRAY(arena, Val, k->arrays.n), NEW_ARRAY(arena, bool, k->arrays.n)}};
  walk_code(k, r, note, &n);
  return n.m;
}

/* ---- scopes ------------------------------------------------------------------------------------ */

Scope scope_enter(Rebuild *r) {
  Scope s = {r->map, r->arrays};
  Arena *arena = r->b.k->arena;
  r->map = NEW_ARRAY(arena, Val, r->from->instrs.n);
  r->arrays = NEW_ARRAY(arena, Array *, r->from->arrays.n + 1);
  memcpy(r->map, s.map, r->from->instrs.n * sizeof *s.map);
  memcpy(r->arrays, s.arrays, r->from->arrays.n * sizeof *s.arrays);
  return s;
}

void scope_leave(Rebuild *r, Scope s) {
  r->map = s.map;
  r->arrays = s.arrays;
}

/* ---- copying ----------------------------------------------------------------------------------- */

typedef struct Need { Rebuild *r; const Makers *m; const Loop *loop; } Need;

static bool is_inside(const Loop *l, const Region *r) {
  return region_contains(l->body, r) || (l->seed && region_contains(l->seed, r));
}

static void demand_array(Rebuild *r, const Makers *m, const Array *a);

static void need(void *ctx, Val v) {
  Need *n = ctx;
  if (!n->loop || !is_inside(n->loop, ir_at(n->r->from, v)->home)) demand(n->r, n->m, v);
}

static void need_instr(void *ctx, Val v) {
  Need *n = ctx;
  const Instr *i = ir_at(n->r->from, v);
  walk_operands(n->r->from, v, need, n);
  if (i->op == IR_LOAD && !is_inside(n->loop, i->array->home)) demand_array(n->r, n->m, i->array);
}

/* All that a loop reads from outside, then the loop. */
static void demand_loop(Rebuild *r, const Makers *m, Val v) {
  const Loop *l = ir_at(r->from, v)->loop;
  Need n = {r, m, l};
  need_instr(&n, v);
  walk_code(r->from, l->body, need_instr, &n);
  walk_code(r->from, l->seed, need_instr, &n);
  for (uint32_t a = 0; a < l->accs.n; a++) {
    walk_code(r->from, l->accs.at[a]->body.at, need_instr, &n);
    walk_code(r->from, l->accs.at[a]->seed.at, need_instr, &n);
  }
  rebuild_instr(r, v);
}

static void demand_array(Rebuild *r, const Makers *m, const Array *a) {
  if (a->kind == ARRAY_LOCAL && !r->arrays[a->id]) demand_loop(r, m, m->loop_of[a->id]);
}

Val demand(Rebuild *r, const Makers *m, Val v) {
  if (r->map[v]) return r->map[v];
  const Instr *i = ir_at(r->from, v);
  if (i->op == IR_RESULT) {
    demand_loop(r, m, m->loop[i->loop->index]);
    return r->map[v];
  }
  Need n = {r, m, NULL};
  walk_operands(r->from, v, need, &n);
  if (i->op == IR_LOAD) demand_array(r, m, i->array);
  rebuild_instr(r, v);
  return r->map[v];
}
