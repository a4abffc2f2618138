/* ir_verify: what holds of every kernel, before and after any pass.  One walk in the order of execution.
 *
 *   1  Operands are values defined above their use, in the region of the use or one around it.
 *   2  A value is defined once, and `home` is where.
 *   3  Regions form a tree: parent, depth and loop are those of the place a region stands at.
 *   4  An instruction has as many arguments as its operation takes.
 *   5  Types are those of the operation's rule.
 *   6  Immediates exist: a size of the kernel, a bool that is 0 or 1.
 *   7  An array is declared at most once, before any use, at its `home`, under a name of its own; dimensions
 *      are ints; an element loads as the type of its kind.  IN, OUT and TEMP arrays belong to the top region.
 *      An input's part and an output stand for one array each.
 *   8  Loads have as many int indices as the array has dimensions.  OUT is not loaded, TEMP only below a
 *      store, LOCAL only below the reduction that makes it, in that region or deeper.
 *   9  Stores write OUT and TEMP, and not inside a reduction.
 *  10  Every OUT array is stored somewhere.
 *  11  Loops have int bounds from outside and an int variable of their own.  PAR and SEQ do not stand in a
 *      reduction and have no mask, seed or accumulator.
 *  12  A mask is a bool known at the end of its body; of its seed for the seed's.  No seed, no seed mask.
 *  13  An accumulator has the operands that its kind takes, of the right types, known at the end of the
 *      body; a contribution of the seed is complete or absent, and absent without a seed.
 *  14  Axes have int bounds from outside the loop.  Each contribution then has an axis region of its own, a
 *      child of the body or seed, with a variable an axis; without axes there is none.
 *  15  The result is a RESULT of the loop in the loop's region; with axes a LOCAL array declared there, one
 *      dimension an axis, that no other accumulator makes.
 *  16  Checks take a bool guard and ints.
 *  17  A solve stands in no reduction, on TEMP arrays that a store or solve above fills (what it reads) and of the
 * types and ranks that its routine takes; its work space is a LOCAL array declared beside it, that nothing else makes.
 */
#include "ir/verify.h"
#include "ir/solve.h"

typedef struct ArrayState { const Region *declared, *filled; bool stored; } ArrayState;

typedef struct Verifier {
  const Kernel *k;
  const char *error; /* the first one */
  bool *defined;     /* by Val */
  bool *open;        /* by Val: its home is the current region or around it */
  ArrayState *arrays;
  uint32_t reductions; /* how many are around the current place */
} Verifier;

static void check_code(Verifier *v, const Region *r);

static void fail(Verifier *v, Val at, int rule, const char *what) {
  if (v->error) return;
  bool known = at && at < v->k->instrs.n;
  const char *op = known ? ir_op_name(ir_at(v->k, at)->op) : "no value";
  v->error = arena_printf(v->k->arena, "value #%u (%s): %s (rule %d)", at, op, what, rule);
}

static void fail_array(Verifier *v, const Array *a, int rule, const char *what) {
  if (!v->error) v->error = arena_printf(v->k->arena, "array '%s': %s (rule %d)", a->name, what, rule);
}

/* ---- values ------------------------------------------------------------------------------------ */

static bool is_value(const Verifier *v, Val x) { return x && x < v->k->instrs.n; }

static bool visible(const Verifier *v, Val x) { return is_value(v, x) && v->defined[x] && v->open[x]; }

/* The type of an operand of `user` that may be used here; IR_VOID after a failure. */
static IrType use(Verifier *v, Val user, Val x) {
  if (visible(v, x)) return ir_at(v->k, x)->type;
  const char *op = is_value(v, x) ? ir_op_name(ir_at(v->k, x)->op) : "no value";
  fail(v, user, 1, arena_printf(v->k->arena, "operand #%u (%s) is not defined here", x, op));
  return IR_VOID;
}

static void use_int(Verifier *v, Val user, Val x, int rule, const char *what) {
  IrType t = use(v, user, x);
  if (t != IR_INT) fail(v, user, rule, what);
}

static bool define(Verifier *v, Val x, const Region *home) {
  if (!is_value(v, x)) {
    fail(v, x, 2, "a definition of no value");
    return false;
  }
  if (v->defined[x] || ir_at(v->k, x)->home != home) {
    fail(v, x, 2, v->defined[x] ? "defined twice" : "its home is not where it is defined");
    return false;
  }
  return v->defined[x] = v->open[x] = true;
}

static void define_index(Verifier *v, Val x, const Region *home, const Loop *l) {
  if (!define(v, x, home)) return;
  const Instr *i = ir_at(v->k, x);
  if (i->op != IR_INDEX || i->type != IR_INT || i->loop != l || i->narg)
    fail(v, x, 11, "not an int variable of its loop");
}

/* Values of a region that is left: definitions stay definitions, but nothing may use them any more. */
static void close_region(Verifier *v, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(v->k, r->code.at[n]);
    v->open[r->code.at[n]] = false;
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++)
      if (!i->loop->accs.at[a]->naxis) v->open[i->loop->accs.at[a]->result] = false;
  }
}

/* ---- regions ----------------------------------------------------------------------------------- */

static bool enter(Verifier *v, Val at, const Region *r, const Region *parent, const Loop *l) {
  if (v->error) return false;
  bool good = r && r->parent == parent && r->loop == l && r->depth == (parent ? parent->depth + 1 : 0);
  if (!good) fail(v, at, 3, "a region that does not know where it stands");
  return good;
}

/* ---- arrays ------------------------------------------------------------------------------------ */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_name(const char *s) {
  if (!s || !is_letter(*s)) return false;
  for (; *s; s++)
    if (!is_letter(*s) && !(*s >= '0' && *s <= '9') && *s != '.' && *s != '$') return false;
  return true;
}

static bool same_place(const Array *a, const Array *b) {
  if (a->kind != b->kind || a->external != b->external) return false;
  return a->kind == ARRAY_OUT || (a->kind == ARRAY_IN && a->part == b->part);
}

static bool known_array(const Verifier *v, const Array *a) {
  return a && a->id < v->k->arrays.n && v->k->arrays.at[a->id] == a;
}

static void check_arrays_differ(Verifier *v) {
  for (uint32_t i = 0; i < v->k->arrays.n; i++) {
    const Array *a = v->k->arrays.at[i];
    if (!known_array(v, a) || a->id != i) fail(v, 0, 7, "an array is not at its place in the kernel's list");
    else if (!is_name(a->name)) fail_array(v, a, 7, "not a name");
    for (uint32_t j = 0; !v->error && j < i; j++) {
      const Array *b = v->k->arrays.at[j];
      if (!strcmp(a->name, b->name)) fail_array(v, a, 7, "the name is used twice");
      if (same_place(a, b)) fail_array(v, a, 7, "stands for the same input or output as another array");
    }
  }
}

static void check_declaration(Verifier *v, Val at, const Region *r) {
  const Array *a = ir_at(v->k, at)->array;
  if (!known_array(v, a)) {
    fail(v, at, 7, "declares no array of the kernel");
    return;
  }
  if (v->arrays[a->id].declared) fail_array(v, a, 7, "declared twice");
  if (a->kind != ARRAY_LOCAL && r->parent) fail_array(v, a, 7, "only a local array is declared in a loop");
  if (a->home != r) fail_array(v, a, 7, "its home is not where it is declared");
  if (a->type != ir_store_type(a->elem)) fail_array(v, a, 7, "elements do not load as its type");
  for (uint32_t d = 0; d < a->rank; d++) use_int(v, at, a->dims[d], 7, "a dimension is not int");
  v->arrays[a->id].declared = r;
}

static bool around(const Region *outer, const Region *inner) {
  while (inner && inner->depth > outer->depth) inner = inner->parent;
  return inner == outer;
}

static bool loadable(const Verifier *v, const Array *a, const Region *at) {
  const ArrayState *s = &v->arrays[a->id];
  switch (a->kind) {
  case ARRAY_IN: return true;
  case ARRAY_OUT: return false;
  case ARRAY_TEMP: return s->stored;
  case ARRAY_LOCAL: return s->filled && around(s->filled, at);
  }
  return false;
}

static bool declared_array(Verifier *v, Val at) {
  const Array *a = ir_at(v->k, at)->array;
  if (known_array(v, a) && v->arrays[a->id].declared) return true;
  fail(v, at, 7, "of an array that is not declared above");
  return false;
}

static void check_load(Verifier *v, Val at, const Region *r) {
  if (!declared_array(v, at)) return;
  const Array *a = ir_at(v->k, at)->array;
  if (!loadable(v, a, r)) fail(v, at, 8, arena_printf(v->k->arena, "array '%s' holds nothing to load here", a->name));
}

static void check_store(Verifier *v, Val at) {
  if (!declared_array(v, at)) return;
  const Array *a = ir_at(v->k, at)->array;
  if (a->kind != ARRAY_OUT && a->kind != ARRAY_TEMP) fail(v, at, 9, "only outputs and temporaries are stored");
  if (v->reductions) fail(v, at, 9, "a store inside a reduction");
  v->arrays[a->id].stored = true;
}

/* What it reads was stored, what it writes counts as stored, and its work space is declared beside it for it alone. */
static void check_solve(Verifier *v, Val at, const Region *r) {
  const Instr *i = ir_at(v->k, at);
  if (v->reductions) fail(v, at, 17, "a solve inside a reduction");
  for (uint32_t n = 0; !v->error && n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    if (!known_array(v, a) || !v->arrays[a->id].declared) fail(v, at, 7, "of an array that is not declared above");
    else if (ir_solve_writes(i, n)) v->arrays[a->id].stored = true;
    else if (!v->arrays[a->id].stored) fail_array(v, a, 17, "holds nothing to read here");
  }
  const Array *w = i->solve->work;
  if (v->error) return;
  if (!known_array(v, w) || v->arrays[w->id].declared != r || v->arrays[w->id].filled) {
    fail(v, at, 17, "its work space is not declared beside it, or is another's");
    return;
  }
  v->arrays[w->id].filled = r;
}

static void check_arrays_made(Verifier *v) {
  for (uint32_t i = 0; i < v->k->arrays.n; i++) {
    const Array *a = v->k->arrays.at[i];
    if (a->kind == ARRAY_OUT && !v->arrays[i].stored) fail_array(v, a, 10, "an output that is never stored");
    if (a->kind == ARRAY_LOCAL && v->arrays[i].declared && !v->arrays[i].filled)
      fail_array(v, a, 15, "a local array that nothing makes");
  }
}

/* ---- accumulators ------------------------------------------------------------------------------ */

static bool is_argument(AccKind kind, IrType t) {
  switch (kind) {
  case ACC_SUM:
  case ACC_PROD:
  case ACC_MAX:
  case ACC_MIN: return ir_is_numeric(t);
  case ACC_ANY:
  case ACC_ALL: return t == IR_BOOL;
  case ACC_EXPECT: return ir_is_float(t);
  case ACC_ARGMAX: return t == IR_INT;
  case ACC_LSE:
  case ACC_MASS:
  case ACC_ENTROPY: return false;
  }
  return false;
}

static IrType result_type(AccKind kind, IrType x) {
  switch (kind) {
  case ACC_SUM:
  case ACC_PROD:
  case ACC_MAX:
  case ACC_MIN: return x == IR_INT ? IR_INT : IR_WIDE;
  case ACC_ANY:
  case ACC_ALL: return IR_BOOL;
  case ACC_ARGMAX: return IR_INT;
  case ACC_LSE:
  case ACC_MASS:
  case ACC_EXPECT:
  case ACC_ENTROPY: return IR_WIDE;
  }
  return IR_VOID;
}

static void check_log_w(Verifier *v, Val loop, const Acc *a, const Contribution *c) {
  bool takes = ir_acc_takes_log_w(a->kind);
  if (takes && !ir_is_float(use(v, loop, c->log_w))) fail(v, loop, 13, "a log weight is real or wide");
  if (!takes && c->log_w) fail(v, loop, 13, "an accumulator that takes no log weight has one");
}

static void check_x(Verifier *v, Val loop, const Acc *a, const Contribution *c) {
  if (!ir_acc_takes_x(a->kind)) {
    if (c->x) fail(v, loop, 13, "an accumulator that takes no value has one");
    return;
  }
  IrType t = use(v, loop, c->x);
  if (!is_argument(a->kind, t)) fail(v, loop, 13, "a value of a type that the accumulator does not take");
  if (result_type(a->kind, t) != a->type) fail(v, loop, 13, "the result's type is not that of the accumulated value");
}

static void check_axis_region(Verifier *v, Val loop, const Loop *l, const Region *from, const Acc *a,
                              const Contribution *c) {
  if (!enter(v, loop, c->at, from, l)) return;
  if (!c->index) {
    fail(v, loop, 14, "an axis region without variables");
    return;
  }
  for (uint32_t i = 0; i < a->naxis; i++) define_index(v, c->index[i], c->at, NULL);
  check_code(v, c->at);
  if (v->error) return;
  check_x(v, loop, a, c);
  close_region(v, c->at);
  for (uint32_t i = 0; i < a->naxis; i++) v->open[c->index[i]] = false;
}

static void check_contribution(Verifier *v, Val loop, const Loop *l, const Region *from, const Acc *a,
                               const Contribution *c) {
  if (v->error) return;
  check_log_w(v, loop, a, c);
  if (a->naxis) {
    if (ir_acc_takes_x(a->kind)) check_axis_region(v, loop, l, from, a, c);
    else fail(v, loop, 14, "axes on an accumulator that takes no value");
    return;
  }
  if (c->at) fail(v, loop, 14, "an axis region without axes");
  check_x(v, loop, a, c);
}

static bool absent(const Contribution *c) { return !c->log_w && !c->x && !c->at; }

static void check_contributions(Verifier *v, Val at, const Loop *l, const Region *from, bool seed) {
  for (uint32_t i = 0; i < l->accs.n; i++) {
    const Acc *a = l->accs.at[i];
    if (seed && absent(&a->seed)) continue;
    check_contribution(v, at, l, from, a, seed ? &a->seed : &a->body);
  }
}

static void check_axes(Verifier *v, Val at, const Loop *l) {
  for (uint32_t i = 0; i < l->accs.n; i++) {
    const Acc *a = l->accs.at[i];
    for (uint32_t n = 0; n < a->naxis; n++) {
      use_int(v, at, a->axes[n].lo, 14, "an axis bound is not int");
      use_int(v, at, a->axes[n].hi, 14, "an axis bound is not int");
    }
  }
}

static void define_result_array(Verifier *v, Val at, const Acc *a, const Region *r) {
  const Array *out = a->result_at;
  if (!known_array(v, out) || out->kind != ARRAY_LOCAL || out->rank != a->naxis || out->type != a->type) {
    fail(v, at, 15, "the result is not a local array with a dimension an axis");
    return;
  }
  ArrayState *s = &v->arrays[out->id];
  if (s->declared != r) fail_array(v, out, 15, "not declared in the region of its reduction");
  if (s->filled) fail_array(v, out, 15, "made by two accumulators");
  s->filled = r;
}

static void define_result(Verifier *v, Val at, const Loop *l, const Acc *a, const Region *r) {
  if (a->naxis) {
    define_result_array(v, at, a, r);
    return;
  }
  if (!define(v, a->result, r)) return;
  const Instr *i = ir_at(v->k, a->result);
  if (i->op != IR_RESULT || i->loop != l || i->type != a->type || i->narg)
    fail(v, a->result, 15, "not a result of its accumulator");
}

/* ---- loops ------------------------------------------------------------------------------------- */

static void check_mask(Verifier *v, Val at, Val mask) {
  if (mask && use(v, at, mask) != IR_BOOL) fail(v, at, 12, "a mask is not bool");
}

/* The part of a loop that is run: its code, then what follows from it, then nobody sees its values. */
static void check_part(Verifier *v, Val at, const Loop *l, const Region *part, const Region *parent, Val mask,
                       bool seed) {
  if (!enter(v, at, part, parent, l)) return;
  if (!seed) define_index(v, l->index, part, l);
  check_code(v, part);
  if (v->error) return;
  check_mask(v, at, mask);
  check_contributions(v, at, l, part, seed);
  close_region(v, part);
  if (!seed && is_value(v, l->index)) v->open[l->index] = false;
}

static bool has_seed_contribution(const Loop *l) {
  for (uint32_t i = 0; i < l->accs.n; i++)
    if (!absent(&l->accs.at[i]->seed)) return true;
  return false;
}

static void check_loop_form(Verifier *v, Val at, const Loop *l) {
  use_int(v, at, l->lo, 11, "a bound is not int");
  use_int(v, at, l->hi, 11, "a bound is not int");
  if (l->kind == LOOP_REDUCE) {
    if (!l->seed && l->seed_mask) fail(v, at, 12, "a seed mask without a seed");
    if (!l->seed && has_seed_contribution(l)) fail(v, at, 13, "a contribution of a seed that is not there");
    return;
  }
  if (v->reductions) fail(v, at, 11, "a loop that stores stands in a reduction");
  if (l->mask || l->seed || l->seed_mask || l->accs.n)
    fail(v, at, 11, "only a reduction has a mask, seed or accumulator");
}

static void check_loop(Verifier *v, Val at, const Region *r) {
  const Loop *l = ir_at(v->k, at)->loop;
  if (!l) {
    fail(v, at, 11, "no loop");
    return;
  }
  check_loop_form(v, at, l);
  check_axes(v, at, l);
  v->reductions += l->kind == LOOP_REDUCE;
  check_part(v, at, l, l->body, r, l->mask, false);
  if (l->seed) check_part(v, at, l, l->seed, r, l->seed_mask, true);
  v->reductions -= l->kind == LOOP_REDUCE;
  for (uint32_t i = 0; !v->error && i < l->accs.n; i++) define_result(v, at, l, l->accs.at[i], r);
}

/* ---- instructions ------------------------------------------------------------------------------ */

static void check_arguments(Verifier *v, Val at) {
  const Instr *i = ir_at(v->k, at);
  for (uint32_t n = 0; n < i->narg; n++) use(v, at, i->arg[n]);
  if (v->error) return;
  const char *what = verify_types(v->k, i);
  if (what) fail(v, at, 5, what);
}

static void check_instr(Verifier *v, Val at, const Region *r) {
  if (is_value(v, at)) check_arguments(v, at);
  if (v->error || !define(v, at, r)) return;
  const Instr *i = ir_at(v->k, at);
  if (i->op == IR_INDEX || i->op == IR_RESULT) fail(v, at, 2, "is defined by a loop, not in the code");
  if (v->error) return;
  if (i->op == IR_ARRAY) check_declaration(v, at, r);
  if (i->op == IR_LOAD) check_load(v, at, r);
  if (i->op == IR_STORE) check_store(v, at);
  if (i->op == IR_SOLVE) check_solve(v, at, r);
  if (i->op == IR_LOOP) check_loop(v, at, r);
}

static void check_code(Verifier *v, const Region *r) {
  for (uint32_t n = 0; !v->error && n < r->code.n; n++) check_instr(v, r->code.at[n], r);
}

const char *ir_verify(const Kernel *k) {
  Verifier v = {.k = k};
  v.defined = NEW_ARRAY(k->arena, bool, k->instrs.n);
  v.open = NEW_ARRAY(k->arena, bool, k->instrs.n);
  v.arrays = NEW_ARRAY(k->arena, ArrayState, k->arrays.n);
  check_arrays_differ(&v);
  if (enter(&v, 0, k->top, NULL, NULL)) check_code(&v, k->top);
  if (!v.error) check_arrays_made(&v);
  return v.error;
}
