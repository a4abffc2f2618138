/* ir_eval: see ir_eval.h.  One cell a value, overwritten by every iteration; storage of a declared array and
 * states of a reduction are kept and used again when their region runs again. */
#include "ir/ir_eval.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ir/eval_parts.h"
#include "ir/solve.h"

/* MAX_ELEMENTS: of one array; a test that needs more is a mistake. */
enum { MAX_ELEMENTS = 1 << 28, LARGE = 1 << 17 };

typedef struct Storage {
  int64_t *dims, count, room;
  const double *real; /* what is read; for arrays of the kernel the same as below */
  const int64_t *integer;
  double *own_real;
  int64_t *own_integer;
  ArenaOwned *large; /* what they are, where they are many; room is 0 then */
} Storage;

typedef struct States { AccState *at; int64_t room; } States;

typedef struct Eval {
  Arena *arena;
  const Kernel *k;
  EvalArgs *args;
  Cell *values;     /* by Val */
  Storage *storage; /* by Array.id */
  States *states;   /* by Val of a reduction's LOOP */
  uint64_t steps;
} Eval;

static bool run_code(Eval *e, const Region *r);

static bool fail(Eval *e, Span at, const char *what) {
  e->args->error = what;
  e->args->error_at = at;
  return false;
}

static bool step(Eval *e, const Span *at) {
  return !e->args->max_steps || ++e->steps <= e->args->max_steps || fail(e, *at, "too many steps");
}

static int64_t int_of(const Eval *e, Val v) { return e->values[v].i; }

/* ---- arrays ------------------------------------------------------------------------------------ */

/* Elements of a box of n sides; false above the limit.  Negative sides are empty. */
static bool count_elements(const int64_t *sides, uint32_t n, int64_t *count) {
  *count = 1;
  for (uint32_t i = 0; i < n; i++)
    if (sides[i] <= 0) *count = 0;
  for (uint32_t i = 0; i < n && *count; i++) {
    if (sides[i] > MAX_ELEMENTS / *count) return false;
    *count *= sides[i];
  }
  return true;
}

static bool has_numbers(IrType t, const Storage *s) {
  return !s->count || (cell_is_float(t) ? !!s->real : !!s->integer);
}

static bool bind_input(Eval *e, const Array *a, Storage *s, Span at) {
  uint64_t n = (uint64_t)a->external * EVAL_PARTS + a->part;
  if (a->external >= e->args->ninput) return fail(e, at, arena_printf(e->arena, "input '%s' is not given", a->name));
  const EvalInput *in = &e->args->inputs[n];
  for (uint32_t d = 0; d < a->rank; d++)
    if (!in->dims || in->dims[d] != s->dims[d])
      return fail(e, at, arena_printf(e->arena, "input '%s' has another shape", a->name));
  s->real = in->real;
  s->integer = in->integer;
  return has_numbers(a->type, s) || fail(e, at, arena_printf(e->arena, "input '%s' has another type", a->name));
}

/* Zeros, s->count of 8 bytes, in place of the last ones.  Of a workspace for the largest exact sum little is used:
 * pages that nobody touches cost nothing, so a large one is had anew each time. */
static void *zeros(Arena *arena, Storage *s) {
  bool fits = s->room && s->count <= s->room;
  void *own = s->own_real ? (void *)s->own_real : s->own_integer;
  if (s->large) arena_drop(s->large);
  s->large = NULL;
  if (s->count < LARGE && fits) return memset(own, 0, (size_t)s->count * sizeof(double));
  s->room = s->count < LARGE ? s->count + !s->count : 0;
  if (s->room) return NEW_ARRAY(arena, double, s->room);
  s->large = arena_own(arena, free);
  s->large->what = calloc((size_t)s->count, sizeof(double));
  if (!s->large->what) arena_out_of_memory(arena);
  return s->large->what;
}

static void make_room(Eval *e, const Array *a, Storage *s) {
  void *own = zeros(e->arena, s);
  if (cell_is_float(a->type)) s->own_real = own;
  else s->own_integer = own;
  s->real = s->own_real;
  s->integer = s->own_integer;
}

static bool bind_output(Eval *e, const Array *a, const Storage *s, Span at) {
  if (a->external >= e->args->noutput) return fail(e, at, arena_printf(e->arena, "no place for output '%s'", a->name));
  e->args->outputs[a->external] = (EvalOutput){.rank = a->rank, .dims = s->dims, .count = s->count,
                                               .real = s->own_real, .integer = s->own_integer};
  return true;
}

static bool declare(Eval *e, const Instr *i) {
  const Array *a = i->array;
  Storage *s = &e->storage[a->id];
  if (!s->dims) s->dims = NEW_ARRAY(e->arena, int64_t, a->rank);
  for (uint32_t d = 0; d < a->rank; d++) s->dims[d] = int_of(e, a->dims[d]) > 0 ? int_of(e, a->dims[d]) : 0;
  if (!count_elements(s->dims, a->rank, &s->count))
    return fail(e, i->span, arena_printf(e->arena, "array '%s' is too large", a->name));
  if (a->kind == ARRAY_IN) return bind_input(e, a, s, i->span);
  make_room(e, a, s);
  return a->kind != ARRAY_OUT || bind_output(e, a, s, i->span);
}

/* The place of an element in C order; -1 outside the array. */
static int64_t place(const Eval *e, const Array *a, const Val *index) {
  const Storage *s = &e->storage[a->id];
  int64_t at = 0;
  for (uint32_t d = 0; d < a->rank; d++) {
    int64_t x = int_of(e, index[d]);
    if (x < 0 || x >= s->dims[d]) return -1;
    at = at * s->dims[d] + x;
  }
  return at;
}

static Cell load(const Eval *e, const Instr *i) {
  const Storage *s = &e->storage[i->array->id];
  int64_t at = place(e, i->array, i->arg);
  bool floating = cell_is_float(i->type);
  if (at < 0) return floating ? (Cell){.d = 0} : (Cell){.i = 0};
  return floating ? (Cell){.d = round_to(i->type, e->args->f64, s->real[at])} : (Cell){.i = s->integer[at]};
}

static void put(const Eval *e, const Array *a, int64_t at, Cell x) {
  const Storage *s = &e->storage[a->id];
  if (cell_is_float(a->type)) s->own_real[at] = round_to(a->type, e->args->f64, x.d);
  else s->own_integer[at] = x.i;
}

static bool store(Eval *e, const Instr *i) {
  int64_t at = place(e, i->array, i->arg + 1);
  if (at < 0) return fail(e, i->span, arena_printf(e->arena, "a store outside array '%s'", i->array->name));
  put(e, i->array, at, e->values[i->arg[0]]);
  return true;
}

/* The part of an array at the leading indices of a solve; false where it has another shape than the routine takes. */
static bool part_of(Eval *e, const Instr *i, uint32_t k, void **part) {
  const Solve *s = i->solve;
  const Storage *a = &e->storage[s->array[k]->id];
  FamilyArray want = ir_family_array(s->family, k);
  int64_t at = 0, size = 1;
  uint32_t leading = s->array[k]->rank - want.rank; /* the last so many of the indices */
  for (uint32_t d = 0; d < leading; d++) {
    int64_t x = int_of(e, i->arg[s->nat - leading + d]);
    if (x < 0 || x >= a->dims[d]) return fail(e, i->span, "a part that is not there");
    at = at * a->dims[d] + x;
  }
  for (uint32_t d = 0; d < want.rank; d++) {
    FamilyDim f = want.dim[d];
    int64_t dim = f.literal ? f.number : int_of(e, i->arg[s->nat + f.number]) + f.plus_one;
    if (a->dims[leading + d] != dim) return fail(e, i->span, "an array of another shape than the routine takes");
    size *= dim;
  }
  *part = want.type == IR_INT ? (void *)(a->own_integer + at * size) : (void *)(a->own_real + at * size);
  return true;
}

static bool solve(Eval *e, const Instr *i) {
  const Solve *s = i->solve;
  uint32_t inputs = ir_family_inputs(s->family), n = ir_family_arrays(s->family);
  if (!e->args->functions.solve) return fail(e, i->span, "the routines of the runtime are not given");
  void **part = NEW_ARRAY(e->arena, void *, n);
  int64_t *ints = NEW_ARRAY(e->arena, int64_t, i->narg);
  for (uint32_t k = 0; k < n; k++)
    if (!part_of(e, i, k, &part[k])) return false;
  for (uint32_t k = s->nat; k < i->narg; k++) ints[k - s->nat] = int_of(e, i->arg[k]);
  e->args->functions.solve[s->family](ints, (const void *const *)part, part + inputs, e->storage[s->work->id].own_real);
  return true;
}

static bool check(Eval *e, const Instr *i) {
  int64_t x = int_of(e, i->arg[1]), y = int_of(e, i->arg[2]);
  bool index = i->op == IR_CHECK_INDEX;
  if (i->op == IR_CHECK_CLIQUE)
    return !int_of(e, i->arg[0]) || x < y || fail(e, i->span, "a clique of too many values");
  if (!int_of(e, i->arg[0]) || (index ? x >= 0 && x < y : x != 0)) return true;
  if (index) return fail(e, i->span, arena_printf(e->arena, "index %" PRId64 " is not in 0..%" PRId64, x, y));
  return fail(e, i->span, i->op == IR_CHECK_NONZERO ? "division by zero" : "no maximum");
}

/* ---- reductions -------------------------------------------------------------------------------- */

static int64_t side(const Eval *e, const Axis *x) {
  int64_t n;
  return __builtin_sub_overflow(int_of(e, x->hi), int_of(e, x->lo), &n) ? INT64_MAX : n;
}

static bool count_points(Eval *e, const Acc *a, int64_t *count) {
  *count = 1;
  for (uint32_t n = 0; n < a->naxis; n++) {
    int64_t s = side(e, &a->axes[n]), one;
    if (s <= 0) *count = 0;
    else if (*count && (!count_elements((int64_t[]){*count, s}, 2, &one))) return false;
    else if (*count) *count *= s;
  }
  return true;
}

static bool prepare(Eval *e, const Loop *l, States *s) {
  int64_t total = 0, n;
  for (uint32_t a = 0; a < l->accs.n; a++) {
    if (!count_points(e, l->accs.at[a], &n)) return fail(e, l->span, "an axis is too long");
    total += n;
  }
  if (total > s->room) *s = (States){NEW_ARRAY(e->arena, AccState, total), total};
  for (uint32_t a = 0, at = 0; a < l->accs.n; a++) {
    count_points(e, l->accs.at[a], &n);
    while (n--) s->at[at++] = acc_empty(l->accs.at[a]->kind, l->accs.at[a]->type);
  }
  return true;
}

static Cell cell_of(const Eval *e, Val v) { return v ? e->values[v] : (Cell){0}; }

static void add(const Eval *e, const Acc *a, const Contribution *c, bool seen, AccState *s) {
  double log_w = c->log_w ? e->values[c->log_w].d : 0;
  if (seen) acc_add(a->kind, a->type, s, log_w, cell_of(e, c->x));
}

static void start_point(Eval *e, const Acc *a, const Contribution *c) {
  for (uint32_t n = 0; n < a->naxis; n++) e->values[c->index[n]].i = int_of(e, a->axes[n].lo);
}

/* The last axis runs fastest. */
static void next_point(Eval *e, const Acc *a, const Contribution *c) {
  for (uint32_t n = a->naxis; n-- > 0;) {
    if (++e->values[c->index[n]].i < int_of(e, a->axes[n].hi)) return;
    e->values[c->index[n]].i = int_of(e, a->axes[n].lo);
  }
}

static bool add_points(Eval *e, const Acc *a, const Contribution *c, bool seen, AccState *s, int64_t count) {
  start_point(e, a, c);
  for (int64_t p = 0; p < count; p++, next_point(e, a, c)) {
    if (!step(e, &ir_at(e->k, c->x)->span) || !run_code(e, c->at)) return false;
    add(e, a, c, seen, &s[p]);
  }
  return true;
}

static bool contribute(Eval *e, const Loop *l, bool seed, bool seen, AccState *s) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    const Contribution *c = seed ? &a->seed : &a->body;
    int64_t count;
    count_points(e, a, &count);
    if (c->at && !add_points(e, a, c, seen, s, count)) return false;
    if (!c->at && (c->log_w || c->x)) add(e, a, c, seen, s);
    s += count;
  }
  return true;
}

static bool finish_points(Eval *e, const Acc *a, const AccState *s, int64_t count, Span at) {
  if (count != e->storage[a->result_at->id].count) return fail(e, at, "axes that do not fit their result array");
  for (int64_t p = 0; p < count; p++) put(e, a->result_at, p, acc_result(a->kind, &s[p]));
  return true;
}

static bool finish(Eval *e, const Loop *l, const AccState *s) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    int64_t count;
    count_points(e, a, &count);
    if (!a->naxis) e->values[a->result] = acc_result(a->kind, s);
    else if (!finish_points(e, a, s, count, l->span)) return false;
    s += count;
  }
  return true;
}

static bool is_on(const Eval *e, Val mask) { return !mask || e->values[mask].i; }

static bool reduce(Eval *e, Val at, const Loop *l) {
  States *s = &e->states[at];
  if (!prepare(e, l, s)) return false;
  if (l->seed && !(run_code(e, l->seed) && contribute(e, l, true, is_on(e, l->seed_mask), s->at))) return false;
  int64_t hi = int_of(e, l->hi);
  for (int64_t j = int_of(e, l->lo); j < hi; j++) {
    e->values[l->index].i = j;
    if (!step(e, &l->span) || !run_code(e, l->body)) return false;
    if (!contribute(e, l, false, is_on(e, l->mask), s->at)) return false;
  }
  return finish(e, l, s->at);
}

/* ---- code -------------------------------------------------------------------------------------- */

static bool run_loop(Eval *e, Val at) {
  const Loop *l = ir_at(e->k, at)->loop;
  if (l->kind == LOOP_REDUCE) return reduce(e, at, l);
  int64_t hi = int_of(e, l->hi);
  for (int64_t j = int_of(e, l->lo); j < hi; j++) {
    e->values[l->index].i = j;
    if (!step(e, &l->span) || !run_code(e, l->body)) return false;
  }
  return true;
}

static Cell constant(const Eval *e, const Instr *i) {
  return cell_is_float(i->type) ? (Cell){.d = round_to(i->type, e->args->f64, i->number)} : (Cell){.i = i->integer};
}

static bool run_pure(Eval *e, Val v, const Instr *i) {
  const char *why = NULL;
  if (i->op == IR_CONST) e->values[v] = constant(e, i);
  else if (i->op == IR_SIZE) e->values[v].i = e->args->sizes[i->integer];
  else if (i->op == IR_LOAD) e->values[v] = load(e, i);
  else why = eval_op(e->args, e->k, i, e->values, &e->values[v]);
  return !why || fail(e, i->span, why);
}

static bool run_instr(Eval *e, Val v, const Instr *i) {
  switch ((int)i->op) {
  case IR_ARRAY: return declare(e, i);
  case IR_STORE: return store(e, i);
  case IR_SOLVE: return solve(e, i);
  case IR_CHECK_INDEX:
  case IR_CHECK_NONZERO: case IR_CHECK_CONCAVE: case IR_CHECK_CLIQUE: return check(e, i);
  case IR_LOOP: return run_loop(e, v);
  }
  return run_pure(e, v, i);
}

static bool run_code(Eval *e, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(e->k, v);
    if (!step(e, &i->span) || !run_instr(e, v, i)) return false;
  }
  return true;
}

bool ir_eval(Arena *arena, const Kernel *k, EvalArgs *args) {
  Eval e = {.arena = arena, .k = k, .args = args};
  e.values = NEW_ARRAY(arena, Cell, k->instrs.n);
  e.states = NEW_ARRAY(arena, States, k->instrs.n);
  e.storage = NEW_ARRAY(arena, Storage, k->arrays.n);
  args->error = NULL;
  return run_code(&e, k->top);
}
