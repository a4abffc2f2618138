/* pass_narrow: what a routine reads and writes in doubles it gets as reals, where that changes no result.
 *
 * A routine may have a twin on reals (REALS in family.def).  It is called instead where
 *   - all that is stored into its input are widened reals, and nothing else reads that array, or only by loads, which
 * widen again: the same numbers are read;
 *   - all that is done with its output is to compare it with 0, to choose, and to round to a real: the same, if the
 * output is rounded before (what is too small for a real is then taken for 0, which rounding makes of it in any case).
 * Half of the memory, and no conversions in single precision. */
#include "base/ice.h"
#include "ir/pass.h"
#include "ir/rebuild.h"
#include "ir/solve.h"
#include "ir/walk.h"

typedef struct Narrow {
  const Kernel *k;
  bool *wide;  /* by Val: used where a rounded number would not do */
  bool *fixed; /* by Array.id: must stay as it is */
  bool *real;  /* by Array.id: becomes an array of reals */
  bool *read;  /* by Array.id: the routine's input */
  Val user;
  bool any;
} Narrow;

static bool is_widened(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  return i->op == IR_CONVERT && ir_at(k, i->arg[0])->type == IR_REAL;
}

/* Whether instruction `user` may read v rounded. */
static bool may_round(const Narrow *f, const Instr *user, Val v) {
  switch ((int)user->op) {
  case IR_CONVERT: return user->type == IR_REAL;
  case IR_SELECT: return !f->wide[f->user];
  case IR_EQ: case IR_NE: case IR_LT: case IR_LE: case IR_GT: case IR_GE:
    return user->arg[0] == user->arg[1] || ir_is_number(f->k, user->arg[0] == v ? user->arg[1] : user->arg[0], 0);
  }
  return false;
}

static void note_use(void *ctx, Val v) {
  Narrow *f = ctx;
  f->wide[v] |= !may_round(f, ir_at(f->k, f->user), v);
}

/* Users have larger numbers than what they use. */
static void find_uses(Narrow *f) {
  for (f->user = f->k->instrs.n; --f->user;)
    if (ir_at(f->k, f->user)->home) walk_operands(f->k, f->user, note_use, f);
}

static bool has_twin(const Instr *i) {
  Family twin;
  return i->op == IR_SOLVE && ir_family_on_reals(i->solve->family, &twin);
}

/* The arrays that a twin has in reals: the first input, the first output. */
static const Array *input_of(const Instr *i) { return i->solve->array[0]; }
static const Array *output_of(const Instr *i) { return i->solve->array[ir_family_inputs(i->solve->family)]; }

static bool is_output(const Instr *i, const Array *a) { return output_of(i) == a; }

static void note_arrays(void *ctx, Val v) {
  Narrow *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (i->op == IR_STORE) f->fixed[i->array->id] |= !is_widened(f->k, i->arg[0]);
  if (i->op != IR_SOLVE) return;
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    if (!has_twin(i) || (a != input_of(i) && a != output_of(i))) f->fixed[a->id] = true;
  }
}

/* Loads of what a routine wrote. */
static void note_loads(void *ctx, Val v) {
  Narrow *f = ctx;
  const Instr *solve = ir_at(f->k, v);
  if (!has_twin(solve)) return;
  for (Val u = 1; u < f->k->instrs.n; u++) {
    const Instr *i = ir_at(f->k, u);
    if (i->op == IR_LOAD && is_output(solve, i->array)) f->fixed[i->array->id] |= f->wide[u];
    if (i->op == IR_STORE && is_output(solve, i->array)) f->fixed[i->array->id] = true;
  }
}

/* Both arrays of a routine change, or none; each belongs to one. */
static void choose(void *ctx, Val v) {
  Narrow *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (!has_twin(i)) return;
  const Array *in = input_of(i), *out = output_of(i);
  bool both = !f->fixed[in->id] && !f->fixed[out->id] && !f->real[in->id] && !f->real[out->id];
  f->real[in->id] |= both;
  f->read[in->id] = true;
  f->real[out->id] |= both;
  f->any |= both;
}

/* ---- rewriting --------------------------------------------------------------------------------- */

static void emit_array(Rebuild *r, const Array *a) {
  Val *dims = NEW_ARRAY(r->b.k->arena, Val, a->rank);
  for (uint32_t d = 0; d < a->rank; d++) dims[d] = r->map[a->dims[d]];
  r->arrays[a->id] = build_array(&r->b, a->kind, a->name, STORE_REAL, a->rank, dims);
}

static Val *indices(Rebuild *r, const Instr *i, uint32_t first) {
  Val *at = NEW_ARRAY(r->b.k->arena, Val, i->narg);
  for (uint32_t n = first; n < i->narg; n++) at[n - first] = r->map[i->arg[n]];
  return at;
}

static void emit_solve(Rebuild *r, const Instr *i) {
  const Solve *s = i->solve;
  Array **arrays = NEW_ARRAY(r->b.k->arena, Array *, ir_solve_arrays(i));
  const Val *arg = indices(r, i, 0);
  Family twin;
  if (!ir_family_on_reals(s->family, &twin)) ICE("a routine without a twin");
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) arrays[n] = r->arrays[s->array[n]->id];
  build_solve(&r->b, twin, s->nat, arg, arrays, arg + s->nat, r->map[s->work->dims[0]]);
}

/* A load of the routine's output, or what is chosen from one, is a real in the copy, where all that uses it may have it
 * rounded; a load of its input is widened. */
static bool is_real(const Rebuild *r, Val v) { return r->map[v] && ir_at(r->b.k, r->map[v])->type == IR_REAL; }

static bool is_rounded(const Rebuild *r, const Instr *i) {
  for (uint32_t n = 0; n < i->narg; n++)
    if (ir_at(r->from, i->arg[n])->type == IR_WIDE && is_real(r, i->arg[n])) return true;
  return false;
}

static Val as_real(Rebuild *r, Val v) { return build_convert(&r->b, r->map[v], IR_REAL); }

/* Choices, and comparisons with 0, on reals. */
static bool emit_rounded(Rebuild *r, Val v, const Instr *i) {
  if (i->op == IR_CONVERT || i->op == IR_STORE) return false;
  r->b.span = i->span;
  bool choice = i->op == IR_SELECT;
  r->map[v] = choice ? build_select(&r->b, r->map[i->arg[0]], as_real(r, i->arg[1]), as_real(r, i->arg[2]))
                     : build_2(&r->b, i->op, as_real(r, i->arg[0]), as_real(r, i->arg[1]));
  return true;
}

static void emit(Rebuild *r, const Region *region) {
  const Narrow *f = r->ctx;
  for (uint32_t n = 0; n < region->code.n; n++) {
    Val v = region->code.at[n];
    const Instr *i = ir_at(f->k, v);
    if (is_rounded(r, i) && emit_rounded(r, v, i)) continue;
    const Array *a = has_twin(i) ? input_of(i) : i->op == IR_SOLVE ? NULL : i->array;
    if (!a || !f->real[a->id]) {
      rebuild_instr(r, v);
      continue;
    }
    r->b.span = i->span;
    if (i->op == IR_ARRAY) emit_array(r, a);
    else if (i->op == IR_SOLVE) emit_solve(r, i);
    else if (i->op == IR_STORE)
      build_store(&r->b, r->arrays[a->id], r->map[ir_at(f->k, i->arg[0])->arg[0]], indices(r, i, 1));
    else if (f->read[a->id])
      r->map[v] = build_convert(&r->b, build_load(&r->b, r->arrays[a->id], indices(r, i, 0)), IR_WIDE);
    else r->map[v] = build_load(&r->b, r->arrays[a->id], indices(r, i, 0));
  }
}

Kernel *pass_narrow(Arena *arena, const Kernel *k) {
  Narrow f = {.k = k, .wide = NEW_ARRAY(arena, bool, k->instrs.n)};
  f.fixed = NEW_ARRAY(arena, bool, k->arrays.n);
  f.real = NEW_ARRAY(arena, bool, k->arrays.n);
  f.read = NEW_ARRAY(arena, bool, k->arrays.n);
  find_uses(&f);
  walk_code(k, k->top, note_arrays, &f);
  walk_code(k, k->top, note_loads, &f);
  walk_code(k, k->top, choose, &f);
  if (!f.any) return (Kernel *)k;
  Rebuild r;
  rebuild_init(&r, arena, k);
  r.ctx = &f;
  r.code = emit;
  return rebuild_run(&r);
}
