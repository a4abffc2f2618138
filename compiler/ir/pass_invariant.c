/* pass_invariant: what the iterations of a loop would all compute anew is computed once, into an array.
 *
 *     par i { reduce j { rest(i, j, sum_e x(j, e)) } }
 *         =   par j { t[j] = sum_e x(j, e) };  par i { reduce j { rest(i, j, t[j]) } }
 *
 * The builder takes a reduction out of the loops inside the innermost one that it depends on.  One around that, on
 * which it does not depend, still repeats it: keys that the score transforms, say, for every query.  Here such a
 * reduction is expanded: it becomes an array over the loops that it does depend on, filled before the outermost.
 *
 * Memory stays that of the inputs and outputs.  A loop is *long* if it is as long as one over copies, over the values
 * of an edge, or over steps.  The array has at most one long loop, or those that are dimensions of one array that the
 * reduction reads, or of an output if it is not of rows by columns, and one more; so nothing of copies by values comes
 * about.  Ranges must follow from the sizes, as arrays do; and what holds a check stays, for it is to be asked only
 * where it was.
 *
 * Requires: a verified kernel in the builder's normal form.  Ensures: the same values of the same elements in the same
 * order, bit for bit: what is kept has 64 bits. */
#include <stdlib.h>
#include <string.h>

#include "ir/below.h"
#include "ir/bound.h"
#include "ir/demand.h"
#include "ir/pass.h"
#include "ir/same_loop.h"
#include "ir/solve.h"
#include "ir/walk.h"

enum { MOST_LOOPS = 5, MOST_ROUNDS = 4 };
static const char NAME[] = "once."; /* and a number: of arrays */

typedef VEC(Val) Vals;

/* The loops that a reduction depends on, by their variables, from the outermost to the innermost. */
typedef struct Along { uint32_t n; Val index[MOST_LOOPS]; } Along;

/* A reduction that is expanded; end: of the loops, in the copy; to: what becomes of its results, an array for each;
 * filled: by this loop. */
typedef struct Expanded {
  const Loop *loop, *filled;
  Along along;
  Val end[MOST_LOOPS];
  Array **to;
} Expanded;

typedef struct InvariantPass {
  Rebuild rebuild;
  Arena *arena;
  Makers makers;
  bool inner;
  Axis *axis;          /* by Val, the variable of a loop or an axis: where it goes */
  Val *end;            /* by Val, the same: where it goes at most, in the copy */
  bool *is_long;       /* by Val: some long loop ends there */
  uint32_t *stored;    /* by Array.id, a temporary: the place in the kernel's top behind which nothing stores into it */
  uint32_t arrays;     /* the last one's number */
  uint32_t at;         /* the place in the kernel's top that is looked at */
  Expanded **expanded; /* by Val, a LOOP that is; else NULL */
  VEC(Expanded *) all;
} InvariantPass;

static const Kernel *from(const InvariantPass *p) { return p->rebuild.from; }

/* ---- loops, and which of them are long ------------------------------------------------------------------------ */

static bool is_weighted(const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (ir_acc_takes_log_w(l->accs.at[n]->kind)) return true;
  return false;
}

static void note_long(InvariantPass *p, const Loop *l) {
  for (const Region *r = l->body; r->loop; r = r->parent) p->is_long[r->loop->hi] = true;
}

static void note_axes(InvariantPass *p, const Acc *a, const Contribution *c) {
  for (uint32_t n = 0; c->at && n < a->naxis; n++) p->axis[c->index[n]] = a->axes[n];
}

static void note_loop(InvariantPass *p, const Loop *l) {
  p->axis[l->index] = (Axis){.lo = l->lo, .hi = l->hi};
  for (uint32_t n = 0; n < l->accs.n; n++) {
    note_axes(p, l->accs.at[n], &l->accs.at[n]->body);
    note_axes(p, l->accs.at[n], &l->accs.at[n]->seed);
  }
  if (l->kind == LOOP_SEQ || is_weighted(l)) note_long(p, l);
}

static void note(void *ctx, Val v) {
  InvariantPass *p = ctx;
  const Instr *i = ir_at(from(p), v);
  if (i->op == IR_STORE) p->stored[i->array->id] = p->at + 1;
  for (uint32_t a = 0; i->op == IR_SOLVE && a < ir_solve_arrays(i); a++)
    if (ir_solve_writes(i, a)) p->stored[i->solve->array[a]->id] = p->at + 1;
  if (i->op == IR_LOOP) note_loop(p, i->loop);
}

/* ---- what a reduction depends on ------------------------------------------------------------------------------ */

/* seen: by Val; loads: of arrays from outside; fixed: it cannot be computed elsewhere. */
typedef struct Slice { InvariantPass *p; const Loop *l; bool *seen, fixed; Along along; Vals loads; } Slice;

static bool is_at_top(const Slice *s, Val v) { return !ir_at(from(s->p), v)->home->loop; }

static bool is_inside(const Slice *s, const Region *r) {
  return region_contains(s->l->body, r) || (s->l->seed && region_contains(s->l->seed, r));
}

static void add_index(Slice *s, Val v) {
  InvariantPass *p = s->p;
  p->end[v] = bound_of(&p->rebuild, p->axis[v].hi, true);
  bool sized = ir_not_negative(from(p), p->axis[v].lo) && p->end[v] && ir_follows_from_sizes(p->rebuild.b.k, p->end[v]);
  if (s->along.n == MOST_LOOPS || !sized) s->fixed = true;
  else s->along.index[s->along.n++] = v;
}

static void slice_code(void *ctx, Val v);

static void slice_operand(void *ctx, Val v) {
  Slice *s = ctx;
  const Instr *i = ir_at(from(s->p), v);
  if (is_at_top(s, v) || is_inside(s, i->home) || s->seen[v]) return;
  s->seen[v] = true;
  if (i->op == IR_INDEX) add_index(s, v);
  else if (i->op == IR_RESULT) s->fixed = true;
  else slice_code(s, v);
}

static void slice_code(void *ctx, Val v) {
  Slice *s = ctx;
  const Instr *i = ir_at(from(s->p), v);
  if (i->op == IR_LOAD) {
    bool local = i->array->kind == ARRAY_LOCAL && !is_inside(s, i->array->home);
    s->fixed |= local || (i->array->kind == ARRAY_TEMP && s->p->stored[i->array->id] > s->p->at);
    vec_push(s->p->arena, &s->loads, v);
  }
  s->fixed |= ir_is_check(i->op);
  walk_operands(from(s->p), v, slice_operand, s);
}

static uint32_t depth_of(const Slice *s, Val v) { return ir_at(from(s->p), v)->home->depth; }

static void sort_along(Slice *s) {
  for (uint32_t n = 1; n < s->along.n; n++)
    for (uint32_t m = n; m > 0 && depth_of(s, s->along.index[m]) < depth_of(s, s->along.index[m - 1]); m--) {
      Val v = s->along.index[m];
      s->along.index[m] = s->along.index[m - 1];
      s->along.index[m - 1] = v;
    }
}

/* ---- whether it is expanded ----------------------------------------------------------------------------------- */

static bool depends_on(const Slice *s, Val index) {
  for (uint32_t n = 0; n < s->along.n; n++)
    if (s->along.index[n] == index) return true;
  return false;
}

/* Whether a loop around repeats it. */
static bool is_repeated(const Slice *s, const Region *r) {
  for (; r->loop; r = r->parent)
    if (r == r->loop->body && !depends_on(s, r->loop->index)) return true;
  return false;
}

static bool is_long(const Slice *s, Val index) { return s->p->is_long[s->p->axis[index].hi]; }

/* hi, or max(hi, 0) */
static bool is_extent(const Kernel *k, Val dim, Val hi) {
  const Instr *i = ir_at(k, dim), *least = i->op == IR_MAX ? ir_at(k, i->arg[1]) : i;
  return dim == hi || (i->op == IR_MAX && i->arg[0] == hi && least->op == IR_CONST && !least->integer);
}

/* Whether an array has a dimension for each long loop. */
static bool holds_long(const Slice *s, const Array *a) {
  uint32_t taken = 0;
  for (uint32_t n = 0; n < s->along.n; n++) {
    const Rebuild *r = &s->p->rebuild;
    Val end = s->p->end[s->along.index[n]];
    uint32_t d = 0;
    if (!is_long(s, s->along.index[n])) continue;
    while (d < a->rank && (taken >> d & 1 || !is_extent(r->b.k, r->map[a->dims[d]], end))) d++;
    if (d == a->rank) return false;
    taken |= 1u << d;
  }
  return true;
}

/* Of a row and a column: it depends on a reduction's variable, the outermost, and on that of the loop over rows that
 * holds this. */
static bool is_of_pairs(const Slice *s, const Region *r) {
  Val column = 0;
  for (; r->loop; r = r->parent) {
    if (r != r->loop->body) continue;
    if (r->loop->kind != LOOP_REDUCE) return column && depends_on(s, column) && depends_on(s, r->loop->index);
    column = r->loop->index;
  }
  return false;
}

static bool fits_memory(const Slice *s, const Region *home) {
  const Kernel *k = from(s->p);
  uint32_t longs = 0;
  for (uint32_t n = 0; n < s->along.n; n++) longs += is_long(s, s->along.index[n]);
  if (s->along.n - longs > (longs ? 1 : 2)) return false;
  bool fits = longs <= 1;
  for (uint32_t n = 0; n < s->loads.n && !fits; n++) fits = holds_long(s, ir_at(k, s->loads.at[n])->array);
  if (fits || is_of_pairs(s, home)) return fits;
  for (uint32_t n = 0; n < k->arrays.n && !fits; n++)
    fits = k->arrays.at[n]->kind == ARRAY_OUT && holds_long(s, k->arrays.at[n]);
  return fits;
}

static bool has_axes(const Loop *l) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->naxis) return true;
  return false;
}

/* Whether it depends on a reduction's variable, or on an axis of one. */
static bool is_inner(const Slice *s) {
  for (uint32_t n = 0; n < s->along.n; n++) {
    const Loop *l = ir_at(from(s->p), s->along.index[n])->loop;
    if (!l || l->kind == LOOP_REDUCE) return true;
  }
  return false;
}

/* A loop without code multiplies: there is nothing to keep. */
static bool is_invariant(InvariantPass *p, Val v, Along *along) {
  const Instr *i = ir_at(from(p), v);
  if (i->loop->kind != LOOP_REDUCE || has_axes(i->loop) || !i->loop->body->code.n) return false;
  Slice s = {.p = p, .l = i->loop, .seen = NEW_ARRAY(p->arena, bool, from(p)->instrs.n)};
  walk_whole(from(p), v, slice_code, &s);
  if (s.fixed || !s.along.n || !is_repeated(&s, i->home) || !fits_memory(&s, i->home)) return false;
  if (p->inner && !is_inner(&s)) return false;
  sort_along(&s);
  *along = s.along;
  return true;
}

/* ---- the arrays ----------------------------------------------------------------------------------------------- */

static StoreType store_of(IrType t) { return t == IR_BOOL ? STORE_BOOL : t == IR_INT ? STORE_INT : STORE_WIDE; }

static void make_arrays(InvariantPass *p, Expanded *x) {
  Builder *b = &p->rebuild.b;
  Val dims[MOST_LOOPS], zero = build_int(b, 0);
  for (uint32_t n = 0; n < x->along.n; n++) dims[n] = build_2(b, IR_MAX, x->end[n], zero);
  x->to = NEW_ARRAY(p->arena, Array *, x->loop->accs.n);
  for (uint32_t a = 0; a < x->loop->accs.n; a++) {
    const char *name = arena_printf(p->arena, "%s%u", NAME, ++p->arrays);
    x->to[a] = build_array(b, ARRAY_TEMP, name, store_of(x->loop->accs.at[a]->type), x->along.n, dims);
  }
}

/* Nothing is computed where the loop that reads it was given no iterations (pass_reassociate.c). */
static Val end_if_read(InvariantPass *p, const Loop *reader, Val hi) {
  const Rebuild *r = &p->rebuild;
  if (ir_at(from(p), reader->lo)->op != IR_SELECT && ir_at(from(p), reader->hi)->op != IR_SELECT) return hi;
  Builder *b = &p->rebuild.b;
  return build_select(b, build_2(b, IR_LT, r->map[reader->lo], r->map[reader->hi]), hi, build_int(b, 0));
}

static void fill_arrays(InvariantPass *p, const Loop *reader, Expanded *x) {
  Rebuild *r = &p->rebuild;
  Builder *b = &r->b;
  Loop *loops[MOST_LOOPS];
  Val at[MOST_LOOPS], zero = build_int(b, 0), first = end_if_read(p, reader, x->end[0]);
  Scope scope = scope_enter(r);
  for (uint32_t n = 0; n < x->along.n; n++) {
    b->span = ir_at(from(p), x->along.index[n])->span;
    loops[n] = build_open(b, LOOP_PAR, zero, n ? x->end[n] : first);
    build_stores(b, loops[n], x->loop->accs.n, x->to);
    r->map[x->along.index[n]] = at[n] = loops[n]->index;
  }
  for (uint32_t a = 0; a < x->loop->accs.n; a++)
    build_store(b, x->to[a], demand(r, &p->makers, x->loop->accs.at[a]->result), at);
  for (uint32_t n = x->along.n; n-- > 0;) x->filled = build_close(b, loops[n]);
  scope_leave(r, scope);
}

/* What another nest has had computed is there; then nobody reads these arrays, and they go. */
static void use_equal(InvariantPass *p, Expanded *x) {
  for (uint32_t n = 0; n < p->all.n; n++) {
    if (!ir_same_stored(p->rebuild.b.k, p->all.at[n]->filled, x->filled)) continue;
    x->to = p->all.at[n]->to;
    p->arrays -= x->loop->accs.n;
    return;
  }
  vec_push(p->arena, &p->all, x);
}

static void expand(InvariantPass *p, const Loop *nest, Val v, const Along *along) {
  Expanded *x = NEW(p->arena, Expanded);
  *x = (Expanded){.loop = ir_at(from(p), v)->loop, .along = *along};
  for (uint32_t n = 0; n < along->n; n++) x->end[n] = p->end[along->index[n]];
  make_arrays(p, x);
  fill_arrays(p, nest, x);
  use_equal(p, x);
  p->expanded[v] = x;
}

static void load_results(InvariantPass *p, const Expanded *x) {
  Rebuild *r = &p->rebuild;
  Val at[MOST_LOOPS];
  for (uint32_t n = 0; n < x->along.n; n++) at[n] = r->map[x->along.index[n]];
  for (uint32_t a = 0; a < x->loop->accs.n; a++)
    r->map[x->loop->accs.at[a]->result] = build_load(&r->b, x->to[a], at);
}

/* ---- the kernel ----------------------------------------------------------------------------------------------- */

static void expand_in(InvariantPass *p, const Loop *nest, const Region *r);

static void expand_inside(InvariantPass *p, const Loop *nest, const Loop *l) {
  expand_in(p, nest, l->body);
  expand_in(p, nest, l->seed);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    expand_in(p, nest, l->accs.at[n]->body.at);
    expand_in(p, nest, l->accs.at[n]->seed.at);
  }
}

/* The largest ones: what is inside goes with them. */
static void expand_in(InvariantPass *p, const Loop *nest, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    Val v = r->code.at[n];
    Along along;
    if (ir_at(from(p), v)->op != IR_LOOP) continue;
    if (is_invariant(p, v, &along)) expand(p, nest, v, &along);
    else expand_inside(p, nest, ir_at(from(p), v)->loop);
  }
}

static void code(Rebuild *r, const Region *region) {
  InvariantPass *p = (InvariantPass *)r;
  for (uint32_t n = 0; n < region->code.n; n++) {
    Val v = region->code.at[n];
    const Instr *i = ir_at(r->from, v);
    if (!region->loop) p->at = n;
    if (i->op == IR_LOOP && !region->loop) expand_inside(p, i->loop, i->loop);
    if (p->expanded[v]) load_results(p, p->expanded[v]);
    else rebuild_instr(r, v);
  }
}

/* The arrays of a kernel that was here before have names. */
static uint32_t arrays_of(const Kernel *k) {
  uint32_t last = 0;
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const char *name = k->arrays.at[n]->name;
    unsigned long number = strncmp(name, NAME, strlen(NAME)) ? 0 : strtoul(name + strlen(NAME), NULL, 10);
    if (number > last) last = (uint32_t)number;
  }
  return last;
}

static Kernel *expand_all(Arena *arena, const Kernel *k, bool inner, bool *any) {
  InvariantPass p = {.arena = arena, .inner = inner, .makers = makers_of(arena, k, k->top), .arrays = arrays_of(k)};
  p.axis = NEW_ARRAY(arena, Axis, k->instrs.n);
  p.end = NEW_ARRAY(arena, Val, k->instrs.n);
  p.is_long = NEW_ARRAY(arena, bool, k->instrs.n);
  p.stored = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  p.expanded = NEW_ARRAY(arena, Expanded *, k->instrs.n);
  rebuild_init(&p.rebuild, arena, k);
  p.rebuild.code = code;
  for (p.at = 0; p.at < k->top->code.n; p.at++) walk_whole(k, k->top->code.at[p.at], note, &p);
  Kernel *to = pass_dce(arena, rebuild_run(&p.rebuild));
  *any = p.all.n != 0;
  return to;
}

/* What fills an array may hold what the loops of that repeat. */
Kernel *pass_invariant(Arena *arena, const Kernel *k, bool inner) {
  bool any;
  Kernel *to = expand_all(arena, k, inner, &any);
  for (int round = 0; any && round < MOST_ROUNDS; round++) to = expand_all(arena, to, inner, &any);
  return to;
}
