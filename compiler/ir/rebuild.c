/* rebuild: see rebuild.h.  A loop is copied in the order that the builder asks for: body, seed, then the
 * contributions of each accumulator with their axis regions, then the loop is closed; only then, because the
 * builder may have found an equal loop, is it known what the results are called. */
#include "ir/rebuild.h"
#include "ir/solve.h"

#include "base/ice.h"

/* An accumulator of the copy and what it is a copy of; several originals may share a copy. */
typedef struct Copy { const Acc *from; Acc *to; } Copy;
typedef VEC(Copy) Copies;

static Val mapped(const Rebuild *r, Val v) {
  if (!v) return 0;
  ICE_UNLESS(r->map[v]);
  return r->map[v];
}

static Val *mapped_list(Rebuild *r, const Val *v, uint32_t n) {
  Val *to = NEW_ARRAY(r->b.k->arena, Val, n);
  for (uint32_t i = 0; i < n; i++) to[i] = mapped(r, v[i]);
  return to;
}

static void rebuild_code(Rebuild *r, const Region *region) {
  if (r->code) {
    r->code(r, region);
    return;
  }
  for (uint32_t n = 0; n < region->code.n; n++) rebuild_instr(r, region->code.at[n]);
}

/* ---- instructions ------------------------------------------------------------------------------ */

static void copy_array(Rebuild *r, const Array *a) {
  if (a->kind == ARRAY_LOCAL) return; /* its reduction, or solve, makes it */
  Array *to = build_array(&r->b, a->kind, a->name, a->elem, a->rank, mapped_list(r, a->dims, a->rank));
  to->external = a->external;
  to->part = a->part;
  r->arrays[a->id] = to;
}

static Array *mapped_array(const Rebuild *r, const Array *a) {
  ICE_UNLESS(r->arrays[a->id]);
  return r->arrays[a->id];
}

static Val copy_const(Rebuild *r, const Instr *i) {
  if (i->type == IR_BOOL) return build_bool(&r->b, i->integer);
  if (i->type == IR_INT) return build_int(&r->b, i->integer);
  return build_float(&r->b, i->type, i->number);
}

static Val copy_pure(Rebuild *r, const Instr *i) {
  const Val *arg = mapped_list(r, i->arg, i->narg);
  if (i->op == IR_CONST) return copy_const(r, i);
  if (i->op == IR_SIZE && r->sizes && r->sizes[i->integer] >= 0) return build_int(&r->b, r->sizes[i->integer]);
  if (i->op == IR_SIZE) return build_size(&r->b, (uint32_t)i->integer);
  if (i->op == IR_SELECT) return build_select(&r->b, arg[0], arg[1], arg[2]);
  if (i->op == IR_CONVERT) return build_convert(&r->b, arg[0], i->type);
  if (i->op == IR_LOAD) return build_load(&r->b, mapped_array(r, i->array), arg);
  return build_op(&r->b, i->op, i->type, i->narg, arg);
}

static void copy_store(Rebuild *r, const Instr *i) {
  const Val *arg = mapped_list(r, i->arg, i->narg);
  build_store(&r->b, mapped_array(r, i->array), arg[0], arg + 1);
}

static void copy_check(Rebuild *r, const Instr *i) {
  build_check(&r->b, i->op, mapped(r, i->arg[0]), mapped(r, i->arg[1]), mapped(r, i->arg[2]));
}

static void copy_solve(Rebuild *r, const Instr *i) {
  const Solve *s = i->solve;
  uint32_t n = ir_family_arrays(s->family);
  Array **arrays = NEW_ARRAY(r->b.k->arena, Array *, n);
  for (uint32_t k = 0; k < n; k++) arrays[k] = mapped_array(r, s->array[k]);
  const Val *arg = mapped_list(r, i->arg, i->narg);
  build_solve(&r->b, s->family, s->nat, arg, arrays, arg + s->nat, mapped(r, s->work->dims[0]));
}

void rebuild_instr(Rebuild *r, Val v) {
  if (r->keep && !r->keep(r, v)) return;
  const Instr *i = ir_at(r->from, v);
  r->b.span = i->span;
  switch ((int)i->op) {
  case IR_ARRAY: copy_array(r, i->array); return;
  case IR_STORE: copy_store(r, i); return;
  case IR_SOLVE: copy_solve(r, i); return;
  case IR_CHECK_INDEX:
  case IR_CHECK_NONZERO: case IR_CHECK_CONCAVE: case IR_CHECK_CLIQUE: copy_check(r, i); return;
  case IR_LOOP: rebuild_merged(r, 1, (const Loop *const[]){i->loop}); return;
  }
  r->map[v] = copy_pure(r, i);
}

/* ---- loops ------------------------------------------------------------------------------------- */

static void copy_contribution(Rebuild *r, Loop *l, uint32_t naxis, const Contribution *from, Contribution *to) {
  to->log_w = mapped(r, from->log_w);
  if (from->at) {
    to->index = NEW_ARRAY(r->b.k->arena, Val, naxis);
    to->at = build_axes(&r->b, l, naxis, to->index);
    for (uint32_t n = 0; n < naxis; n++) r->map[from->index[n]] = to->index[n];
    rebuild_code(r, from->at);
    build_leave_axes(&r->b, to->at);
  }
  to->x = mapped(r, from->x);
}

static Acc *copy_acc(Rebuild *r, Loop *l, const Acc *a) {
  Axis *axes = NEW_ARRAY(r->b.k->arena, Axis, a->naxis);
  for (uint32_t n = 0; n < a->naxis; n++)
    axes[n] = (Axis){.lo = mapped(r, a->axes[n].lo), .hi = mapped(r, a->axes[n].hi)};
  Acc *to = build_acc(&r->b, l, a->kind, a->type, a->naxis, axes);
  copy_contribution(r, l, a->naxis, &a->body, &to->body);
  return to;
}

static void copy_accs(Rebuild *r, Loop *l, const Loop *from, Copies *copies) {
  for (uint32_t n = 0; n < from->accs.n; n++) {
    const Acc *a = from->accs.at[n];
    if (r->keep_acc && !r->keep_acc(r, a)) continue;
    vec_push(r->b.k->arena, copies, (Copy){a, copy_acc(r, l, a)});
  }
}

static void copy_seeds(Rebuild *r, Loop *l, uint32_t n, const Loop *const *from, const Copies *copies) {
  if (!from[0]->seed) return;
  build_seed(&r->b, l);
  for (uint32_t i = 0; i < n; i++) rebuild_code(r, from[i]->seed);
  l->seed_mask = mapped(r, from[0]->seed_mask);
  for (uint32_t c = 0; c < copies->n; c++)
    copy_contribution(r, l, copies->at[c].from->naxis, &copies->at[c].from->seed, &copies->at[c].to->seed);
  build_body(&r->b, l);
}

static bool same_acc(const Acc *x, const Acc *y) {
  return x->kind == y->kind && x->type == y->type && !x->naxis && !y->naxis && x->body.log_w == y->body.log_w &&
         x->body.x == y->body.x && x->seed.log_w == y->seed.log_w && x->seed.x == y->seed.x;
}

/* Equal accumulators, as merging loops brings them about, become one. */
static void share_accs(Loop *l, Copies *copies) {
  uint32_t kept = 0;
  for (uint32_t n = 0; n < l->accs.n; n++) {
    uint32_t equal = 0;
    while (equal < kept && !same_acc(l->accs.at[equal], l->accs.at[n])) equal++;
    copies->at[n].to = equal < kept ? l->accs.at[equal] : l->accs.at[n];
    if (equal == kept) l->accs.at[kept++] = l->accs.at[n];
  }
  l->accs.n = kept;
}

static uint32_t place_of(const Loop *l, const Acc *a) {
  uint32_t n = 0;
  while (l->accs.at[n] != a) n++;
  return n;
}

static void map_results(Rebuild *r, const Loop *built, const Loop *placed, const Copies *copies) {
  for (uint32_t c = 0; c < copies->n; c++) {
    const Acc *from = copies->at[c].from, *to = placed->accs.at[place_of(built, copies->at[c].to)];
    if (from->naxis) r->arrays[from->result_at->id] = to->result_at;
    else r->map[from->result] = to->result;
  }
}

typedef VEC(Array *) Arrays;

/* One declared inside has no copy yet, and its loads stay where it is. */
static void note_stored(const Rebuild *r, const Array *a, Arrays *stored) {
  Array *to = r->arrays[a->id];
  if (!to || to->kind != ARRAY_TEMP) return;
  for (uint32_t n = 0; n < stored->n; n++)
    if (stored->at[n] == to) return;
  vec_push(r->b.k->arena, stored, to);
}

/* The temporaries that are stored into, as arrays of the copy. */
static void find_stored(const Rebuild *r, const Region *code, Arrays *stored) {
  for (uint32_t n = 0; n < code->code.n; n++) {
    const Instr *i = ir_at(r->from, code->code.at[n]);
    if (i->op == IR_STORE) note_stored(r, i->array, stored);
    for (uint32_t a = 0; i->op == IR_SOLVE && a < ir_family_arrays(i->solve->family); a++)
      if (ir_solve_writes(i, a)) note_stored(r, i->solve->array[a], stored);
    if (i->op == IR_LOOP) find_stored(r, i->loop->body, stored);
  }
}

static void merge(Rebuild *r, uint32_t n, const Loop *const *from, Val lo, Val hi) {
  r->b.span = from[0]->span;
  Loop *l = build_open(&r->b, from[0]->kind, lo, hi);
  Arrays stored = {0};
  for (uint32_t i = 0; i < n; i++) find_stored(r, from[i]->body, &stored);
  if (!r->stores) build_stores(&r->b, l, stored.n, stored.at);
  for (uint32_t i = 0; i < n; i++) {
    r->map[from[i]->index] = l->index;
    rebuild_code(r, from[i]->body);
  }
  l->mask = mapped(r, from[0]->mask);
  if (r->mask) l->mask = r->mask(r, from[0], l, l->mask);
  Copies copies = {0};
  for (uint32_t i = 0; i < n; i++) copy_accs(r, l, from[i], &copies);
  copy_seeds(r, l, n, from, &copies);
  share_accs(l, &copies);
  r->b.span = from[0]->span;
  map_results(r, l, build_close(&r->b, l), &copies);
}

void rebuild_merged(Rebuild *r, uint32_t n, const Loop *const *from) {
  merge(r, n, from, mapped(r, from[0]->lo), mapped(r, from[0]->hi));
}

void rebuild_between(Rebuild *r, const Loop *from, Val lo, Val hi) { merge(r, 1, &from, lo, hi); }

void rebuild_apart(Rebuild *r, uint32_t n, const Loop *const *from) {
  Builder *b = &r->b;
  b->span = from[0]->span;
  Val zero = build_int(b, 0);
  Loop *all = build_open(b, LOOP_PAR, zero, build_int(b, n));
  for (uint32_t i = 0; i < n; i++) {
    b->span = from[i]->span;
    Val here = build_2(b, IR_EQ, all->index, build_int(b, i));
    Loop *one = build_open(b, LOOP_SEQ, zero, build_convert(b, here, IR_INT));
    r->map[from[i]->index] = one->index;
    rebuild_code(r, from[i]->body);
    build_close(b, one);
  }
  build_close(b, all);
}

/* ---- the whole --------------------------------------------------------------------------------- */

void rebuild_init(Rebuild *r, Arena *arena, const Kernel *from) {
  *r = (Rebuild){.from = from};
  build_init(&r->b, arena, from->name);
  for (uint32_t i = 0; i < from->sizes.n; i++) vec_push(arena, &r->b.k->sizes, from->sizes.at[i]);
  r->map = NEW_ARRAY(arena, Val, from->instrs.n);
  r->arrays = NEW_ARRAY(arena, Array *, from->arrays.n);
}

Kernel *rebuild_run(Rebuild *r) {
  rebuild_code(r, r->from->top);
  return r->b.k;
}
