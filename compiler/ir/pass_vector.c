/* pass_vector: sums for every point of a parallel loop are one sum of vectors.
 *
 *     par c { s = sum_n x(n, c); rest(c, s) }   =   r = sum_n x(n, .) over the axis c;  par c { rest(c, r[c]) }
 *
 * As they stand, every c goes through all n by itself, reading elements that lie apart, and what does not depend on c
 * is computed again for each.  As one sum, n is gone through once, and the elements of a vector lie side by side; if x
 * is a product of a factor without c and a vector, it is a contraction.  So the loops change places where x has
 * elements whose last index is c or loops that are common to all c; but not where it has elements that depend on c and
 * have n as their last index: that is a sum along a line, as it is.
 *
 * A vector is kept for each row of a block (back/tile_space.c), so its length is limited: beyond, the loops stand as
 * they were.  Both forms are there, and the sizes choose; a range that inputs decide has no place in the workspace.
 *
 * Whatever x needs of the parallel loop's own values is computed again where x is: pure operations, and loads of what
 * the loop does not store.  Checks have their order, and a loop that holds one stays.
 *
 * Requires: a verified kernel in the builder's normal form.  Ensures: sums of the same elements in the same order. */
#include "ir/pass.h"
#include "ir/rebuild.h"
#include "ir/walk.h"

enum { LONGEST = 4096 };

/* By Val, as numbers of the loops (needed: sums) that it was last said for: no loop needs arrays of its own. */
typedef struct Marks { uint32_t *varies, *bound, *needed, *along; } Marks;

/* The parallel loop looked at. */
typedef struct Points {
  const Kernel *k;
  const Loop *l;
  uint32_t number, need; /* need: of the sum that is copied */
  Marks *marks;
  uint32_t *stored; /* by Array.id, likewise */
  bool fixed;       /* its order matters */
} Points;

typedef struct VectorPass {
  Rebuild rebuild;
  Arena *arena;
  Marks marks;
  uint32_t *stored, loops;
  const Points *at; /* the loop being copied, */
  Val fits, hi;     /* whether its vectors are short enough, and where they end */
  bool *moved;      /* by Val, a LOOP: it stands before its points */
  Array **sums;     /* by Val, a RESULT: all of them */
} VectorPass;

/* ---- what depends on the point ------------------------------------------------------------------------------- */

/* It differs from point to point. */
static bool varies(const Points *p, Val v) { return p->marks->varies[v] == p->number; }

/* It is the loop's own and cannot be computed elsewhere. */
static bool is_bound(const Points *p, Val v) { return p->marks->bound[v] == p->number; }

static bool is_stored(const Points *p, const Array *a) { return p->stored[a->id] == p->number; }

static void note_effect(void *ctx, Val v) {
  Points *p = ctx;
  const Instr *i = ir_at(p->k, v);
  p->fixed |= ir_is_check(i->op) || i->op == IR_SOLVE || (i->op == IR_LOOP && i->loop->kind != LOOP_REDUCE);
  if (i->op == IR_STORE) p->stored[i->array->id] = p->number;
}

/* Whether `holds` of any operand. */
typedef struct Operands { const Points *p; bool (*holds)(const Points *p, Val v); bool any; } Operands;

static void note_operand(void *ctx, Val v) {
  Operands *o = ctx;
  o->any |= o->holds(o->p, v);
}

static bool any_operand(const Points *p, Val v, bool (*holds)(const Points *p, Val v)) {
  Operands o = {p, holds, false};
  walk_operands(p->k, v, note_operand, &o);
  return o.any;
}

static void note_varying(Points *p, const Region *r);

static void note_regions(Points *p, const Loop *l) {
  note_varying(p, l->body);
  if (l->seed) note_varying(p, l->seed);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    if (l->accs.at[n]->body.at) note_varying(p, l->accs.at[n]->body.at);
    if (l->accs.at[n]->seed.at) note_varying(p, l->accs.at[n]->seed.at);
  }
}

/* A loop varies as a whole. */
static void note_varying(Points *p, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(p->k, v);
    if (i->op == IR_LOOP) note_regions(p, i->loop);
    if (!any_operand(p, v, varies)) continue;
    p->marks->varies[v] = p->number;
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++)
      p->marks->varies[i->loop->accs.at[a]->result] = p->number;
  }
  p->marks->varies[0] = 0; /* "no value" */
}

static void note_bound(Points *p) {
  for (uint32_t n = 0; n < p->l->body->code.n; n++) {
    Val v = p->l->body->code.at[n];
    const Instr *i = ir_at(p->k, v);
    bool reads = i->op == IR_LOAD && (i->array->kind == ARRAY_LOCAL || is_stored(p, i->array));
    if (reads || i->op == IR_LOOP || i->op == IR_ARRAY || any_operand(p, v, is_bound))
      p->marks->bound[v] = p->number;
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++)
      p->marks->bound[i->loop->accs.at[a]->result] = p->number;
  }
  p->marks->bound[0] = 0;
}

static Points points_of(VectorPass *s, const Loop *l) {
  Points p = {s->rebuild.from, l, ++s->loops, 0, &s->marks, s->stored, false};
  walk_code(p.k, l->body, note_effect, &p);
  p.marks->varies[l->index] = p.number;
  if (p.fixed) return p;
  note_varying(&p, l->body);
  note_bound(&p);
  return p;
}

/* ---- which sums ---------------------------------------------------------------------------------------------- */

/* side: elements whose neighbours are those of the next points; common: a loop that is the same for all points. */
typedef struct Elements { const Points *p; const Loop *l; bool side, common; } Elements;

static bool is_along(const Points *p, Val v) { return p->marks->along[v] == p->number; }

static bool fits_load(Elements *e, Val v, const Instr *i) {
  if (i->array->kind == ARRAY_LOCAL || is_stored(e->p, i->array)) return false;
  if (!varies(e->p, v)) return true;
  Val last = i->arg[i->narg - 1];
  e->side |= last == e->p->l->index;
  return !is_along(e->p, last);
}

static bool fits_code(Elements *e, const Region *r);

static bool fits_loop(Elements *e, Val v, const Loop *l) {
  if (l->kind != LOOP_REDUCE || l->seed) return false;
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis) return false;
  e->common |= !varies(e->p, v);
  return fits_code(e, l->body);
}

/* Marks what depends on the variable of the sum. */
static bool fits_code(Elements *e, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(e->p->k, v);
    if (i->op == IR_ARRAY || any_operand(e->p, v, is_bound)) return false;
    if (i->op == IR_LOAD && !fits_load(e, v, i)) return false;
    if (i->op == IR_LOOP && !fits_loop(e, v, i->loop)) return false;
    if (i->op == IR_LOOP || any_operand(e->p, v, is_along)) e->p->marks->along[v] = e->p->number;
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++)
      e->p->marks->along[i->loop->accs.at[a]->result] = e->p->number;
  }
  return true;
}

static bool fits_sums(const Points *p, const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->kind != ACC_SUM || a->naxis || a->type != IR_WIDE || is_bound(p, a->body.x) || !varies(p, a->body.x))
      return false;
  }
  return l->accs.n;
}

static bool is_inside(const Points *p, Val v) { return region_contains(p->l->body, ir_at(p->k, v)->home); }

static bool is_vector(const Points *p, const Instr *i) {
  if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || i->loop->seed) return false;
  const Loop *l = i->loop;
  if (is_inside(p, l->lo) || is_inside(p, l->hi) || (l->mask && (varies(p, l->mask) || is_bound(p, l->mask))))
    return false;
  Elements e = {.p = p, .l = l};
  p->marks->along[l->index] = p->number;
  return fits_sums(p, l) && fits_code(&e, l->body) && (e.side || e.common);
}

/* ---- copies --------------------------------------------------------------------------------------------------- */

static void note_needed(void *ctx, Val v) {
  const Points *p = ctx;
  p->marks->needed[v] = p->need;
}

static void note_all_needed(void *ctx, Val v) {
  Points *p = ctx;
  walk_operands(p->k, v, note_needed, p);
}

/* Of the loop's own values, those that a sum needs. */
static void find_needed(Points *p, Val sum, uint32_t number) {
  const Region *own = p->l->body;
  p->need = number;
  walk_whole(p->k, sum, note_all_needed, p);
  for (uint32_t n = own->code.n; n-- > 0;)
    if (p->marks->needed[own->code.at[n]] == p->need && !is_bound(p, own->code.at[n]))
      walk_operands(p->k, own->code.at[n], note_needed, p);
}

/* The operations of a region that depend on the point, or those that do not; needed: no others. */
static void copy_part(VectorPass *s, const Region *r, bool varying, bool needed) {
  const Points *p = s->at;
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    bool takes = !needed || (p->marks->needed[v] == p->need && !is_bound(p, v));
    if (takes && varies(p, v) == varying) rebuild_instr(&s->rebuild, v);
  }
}

static void copy_sum(VectorPass *s, Loop *to, const Loop *l, const Acc *a) {
  Rebuild *r = &s->rebuild;
  const Loop *points = s->at->l;
  Axis axis = {.lo = r->map[points->lo], .hi = s->hi};
  Acc *sum = build_acc(&r->b, to, ACC_SUM, a->type, 1, &axis);
  sum->body.index = NEW(s->arena, Val);
  sum->body.at = build_axes(&r->b, to, 1, sum->body.index);
  r->map[points->index] = *sum->body.index;
  copy_part(s, points->body, true, true);
  copy_part(s, l->body, true, false);
  build_leave_axes(&r->b, sum->body.at);
  sum->body.x = r->map[a->body.x];
}

static void copy_sums(VectorPass *s, Points *p, Val v) {
  Rebuild *r = &s->rebuild;
  const Loop *l = ir_at(p->k, v)->loop;
  find_needed(p, v, ++s->loops);
  copy_part(s, p->l->body, false, true);
  r->b.span = l->span;
  Val lo = r->map[l->lo], hi = build_select(&r->b, s->fits, r->map[l->hi], lo);
  Loop *to = build_open(&r->b, LOOP_REDUCE, lo, hi);
  r->map[l->index] = to->index;
  copy_part(s, l->body, false, false);
  to->mask = l->mask ? r->map[l->mask] : 0;
  for (uint32_t n = 0; n < l->accs.n; n++) copy_sum(s, to, l, l->accs.at[n]);
  to = build_close(&r->b, to);
  for (uint32_t n = 0; n < l->accs.n; n++) s->sums[l->accs.at[n]->result] = to->accs.at[n]->result_at;
  s->moved[v] = true;
}

/* In the place of a sum, among the points: an element of the vector. */
static void copy_element(VectorPass *s, const Loop *l) {
  Rebuild *r = &s->rebuild;
  const Loop *points = s->at->l;
  Val at = build_2(&r->b, IR_SUB, r->map[points->index], r->map[points->lo]);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    Val sum = l->accs.at[n]->result;
    r->map[sum] = build_load(&r->b, s->sums[sum], &at);
  }
}

static bool has_vectors(const Points *p) {
  for (uint32_t n = 0; !p->fixed && n < p->l->body->code.n; n++)
    if (is_vector(p, ir_at(p->k, p->l->body->code.at[n]))) return true;
  return false;
}

/* With the sums before it, then without. */
static void copy_both_ways(VectorPass *s, Points *p) {
  Rebuild *r = &s->rebuild;
  const Region *body = p->l->body;
  Val lo = r->map[p->l->lo], hi = r->map[p->l->hi], length = build_2(&r->b, IR_SUB, hi, lo);
  s->at = p;
  s->fits = build_2(&r->b, IR_LE, length, build_int(&r->b, LONGEST));
  s->hi = build_select(&r->b, s->fits, hi, lo);
  for (uint32_t n = 0; n < body->code.n; n++)
    if (is_vector(p, ir_at(p->k, body->code.at[n]))) copy_sums(s, p, body->code.at[n]);
  rebuild_between(r, p->l, lo, s->hi);
  for (uint32_t n = 0; n < body->code.n; n++) s->moved[body->code.at[n]] = false;
  rebuild_between(r, p->l, build_select(&r->b, s->fits, hi, lo), hi);
}

static void copy_points(VectorPass *s, const Loop *l) {
  Points p = points_of(s, l);
  bool sized = ir_follows_from_sizes(p.k, l->lo) && ir_follows_from_sizes(p.k, l->hi);
  if (sized && has_vectors(&p)) copy_both_ways(s, &p);
  else rebuild_merged(&s->rebuild, 1, &l);
}

static void code(Rebuild *r, const Region *region) {
  VectorPass *s = (VectorPass *)r;
  for (uint32_t n = 0; n < region->code.n; n++) {
    Val v = region->code.at[n];
    const Instr *i = ir_at(r->from, v);
    if (i->op == IR_LOOP && s->moved[v]) copy_element(s, i->loop);
    else if (i->op == IR_LOOP && i->loop->kind == LOOP_PAR) copy_points(s, i->loop);
    else rebuild_instr(r, v);
  }
}

Kernel *pass_vector(Arena *arena, const Kernel *k) {
  uint32_t n = k->instrs.n;
  VectorPass s = {.arena = arena, .moved = NEW_ARRAY(arena, bool, n), .sums = NEW_ARRAY(arena, Array *, n)};
  s.marks = (Marks){NEW_ARRAY(arena, uint32_t, n), NEW_ARRAY(arena, uint32_t, n), NEW_ARRAY(arena, uint32_t, n),
                    NEW_ARRAY(arena, uint32_t, n)};
  s.stored = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  rebuild_init(&s.rebuild, arena, k);
  s.rebuild.code = code;
  return rebuild_run(&s.rebuild);
}
