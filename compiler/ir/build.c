/* build: placement, sharing and folding; see build.h.
 *
 * Invariant: the homes of all values in sight lie on the chain from the current region to the top, so the
 * outermost region where an operation can stand is the home of its innermost argument, and a value found in
 * the hash table with the same arguments stands on that chain too.  A region is appended to only; a loop
 * still open is appended later than everything placed around it meanwhile. */
#include "ir/build.h"

#include <stdlib.h>

#include "base/ice.h"
#include "ir/below.h"
#include "ir/solve.h"

/* ---- values --------------------------------------------------------------------------------------- */

static Region *new_region(Builder *b, Region *parent, Loop *loop) {
  Region *r = NEW(b->k->arena, Region);
  r->parent = parent;
  r->depth = parent ? parent->depth + 1 : 0;
  r->loop = loop;
  return r;
}

void build_init(Builder *b, Arena *arena, const char *name) {
  *b = (Builder){.k = NEW(arena, Kernel), .table_size = 256};
  b->k->arena = arena;
  b->k->name = arena_strndup(arena, name, strlen(name));
  vec_push(arena, &b->k->instrs, (Instr){0});
  b->at = b->k->top = new_region(b, NULL, NULL);
  b->table = NEW_ARRAY(arena, uint32_t, b->table_size);
}

static Val new_instr(Builder *b, Instr i, Region *home) {
  i.home = home;
  i.span = b->span;
  vec_push(b->k->arena, &b->k->instrs, i);
  return b->k->instrs.n - 1;
}

static uint64_t mix(uint64_t h, uint64_t x) {
  h = (h ^ x) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 29);
}

static uint64_t number_bits(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static uint64_t instr_hash(const Instr *i) {
  uint64_t h = mix(mix(i->op, i->type), (uint64_t)i->integer);
  h = mix(mix(h, number_bits(i->number)), i->array ? i->array->id + 1 : 0);
  for (uint32_t n = 0; n < i->narg; n++) h = mix(h, i->arg[n]);
  return h;
}

static bool instr_same(const Instr *x, const Instr *y) {
  return x->op == y->op && x->type == y->type && x->integer == y->integer && x->array == y->array &&
         number_bits(x->number) == number_bits(y->number) && x->narg == y->narg &&
         (!x->narg || !memcmp(x->arg, y->arg, x->narg * sizeof *x->arg));
}

static void table_put(Builder *b, Val v) {
  uint32_t mask = b->table_size - 1;
  uint64_t i = instr_hash(ir_at(b->k, v)) & mask;
  while (b->table[i]) i = (i + 1) & mask;
  b->table[i] = v;
}

static void table_grow(Builder *b) {
  uint32_t *old = b->table, n = b->table_size;
  b->table_size *= 2;
  b->table = NEW_ARRAY(b->k->arena, uint32_t, b->table_size);
  for (uint32_t i = 0; i < n; i++)
    if (old[i]) table_put(b, old[i]);
}

static Val table_find(const Builder *b, const Instr *i) {
  uint32_t mask = b->table_size - 1;
  for (uint64_t h = instr_hash(i) & mask; b->table[h]; h = (h + 1) & mask)
    if (instr_same(ir_at(b->k, b->table[h]), i)) return b->table[h];
  return 0;
}

Region *build_deepest(Builder *b, uint32_t n, const Val *v) {
  Region *r = b->k->top;
  for (uint32_t i = 0; i < n; i++) {
    Region *home = ir_at(b->k, v[i])->home;
    if (home->depth > r->depth) r = home;
  }
  return r;
}

bool region_contains(const Region *outer, const Region *inner) {
  while (inner && inner->depth > outer->depth) inner = inner->parent;
  return inner == outer;
}

/* The innermost region at or around r in which stores may stand: nothing that reads a temporary leaves it. */
static Region *storing_region(Region *r) {
  while (r->loop && (r->loop->kind == LOOP_REDUCE || r->loop->steady)) r = r->parent;
  return r;
}

static Region *deeper(Region *x, Region *y) { return y->depth > x->depth ? y : x; }

/* The caller's list of arguments may be on its stack. */
static void own_arguments(Builder *b, Instr *i) {
  if (!i->narg) return;
  Val *copy = NEW_ARRAY(b->k->arena, Val, i->narg);
  memcpy(copy, i->arg, i->narg * sizeof *copy);
  i->arg = copy;
}

/* A pure instruction: shared if it exists, else placed in the outermost region possible. */
static Val pure(Builder *b, Instr i) {
  Val found = table_find(b, &i); /* of a temporary it may stand in a loop that was left for the region around it */
  if (found && region_contains(ir_at(b->k, found)->home, b->at)) return found;
  Region *home = build_deepest(b, i.narg, i.arg);
  if (i.array) home = deeper(home, i.array->home);
  if (i.array && i.array->kind == ARRAY_TEMP) home = deeper(home, storing_region(b->at));
  ICE_UNLESS(region_contains(home, b->at));
  own_arguments(b, &i);
  Val v = new_instr(b, i, home);
  vec_push(b->k->arena, &home->code, v);
  if (2 * ++b->table_fill > b->table_size) table_grow(b);
  table_put(b, v);
  return v;
}

Val build_int(Builder *b, int64_t v) { return pure(b, (Instr){.op = IR_CONST, .type = IR_INT, .integer = v}); }
Val build_bool(Builder *b, bool v) { return pure(b, (Instr){.op = IR_CONST, .type = IR_BOOL, .integer = v}); }
Val build_float(Builder *b, IrType t, double v) { return pure(b, (Instr){.op = IR_CONST, .type = t, .number = v}); }
Val build_size(Builder *b, uint32_t size) { return pure(b, (Instr){.op = IR_SIZE, .type = IR_INT, .integer = size}); }

/* ---- folding -------------------------------------------------------------------------------------- */

static bool is_const(const Builder *b, Val v, IrType t) {
  const Instr *i = ir_at(b->k, v);
  return i->op == IR_CONST && i->type == t;
}

static bool is_int(const Builder *b, Val v, int64_t x) {
  return is_const(b, v, IR_INT) && ir_at(b->k, v)->integer == x;
}
static bool is_truth(const Builder *b, Val v, bool x) {
  return is_const(b, v, IR_BOOL) && ir_at(b->k, v)->integer == x;
}
static bool is_float(const Builder *b, Val v, double x) {
  const Instr *i = ir_at(b->k, v);
  return i->op == IR_CONST && (i->type == IR_REAL || i->type == IR_WIDE) && number_bits(i->number) == number_bits(x);
}

static Val fold_int_consts(Builder *b, IrOp op, int64_t x, int64_t y) {
  int64_t r;
  switch ((int)op) {
  case IR_ADD: return __builtin_add_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_SUB: return __builtin_sub_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_MUL: return __builtin_mul_overflow(x, y, &r) ? 0 : build_int(b, r);
  case IR_MIN: return build_int(b, x < y ? x : y);
  case IR_MAX: return build_int(b, x > y ? x : y);
  case IR_EQ: return build_bool(b, x == y);
  case IR_NE: return build_bool(b, x != y);
  case IR_LT: return build_bool(b, x < y);
  case IR_LE: return build_bool(b, x <= y);
  case IR_GT: return build_bool(b, x > y);
  case IR_GE: return build_bool(b, x >= y);
  }
  return 0;
}

/* i + c == i never holds (c != 0): references to neighbours are different copies. */
static bool differ_by_constant(const Builder *b, Val x, Val y) {
  const Instr *i = ir_at(b->k, x);
  if (i->type != IR_INT || (i->op != IR_ADD && i->op != IR_SUB)) return false;
  const Instr *c = ir_at(b->k, i->arg[1]);
  return i->arg[0] == y && c->op == IR_CONST && c->integer != 0;
}

static Val fold_wide_consts(Builder *b, IrOp op, double x, double y) {
  switch ((int)op) {
  case IR_ADD: return build_float(b, IR_WIDE, x + y);
  case IR_SUB: return build_float(b, IR_WIDE, x - y);
  case IR_MUL: return build_float(b, IR_WIDE, x * y);
  case IR_EQ: return build_bool(b, x == y);
  case IR_NE: return build_bool(b, x != y);
  case IR_LT: return build_bool(b, x < y);
  case IR_LE: return build_bool(b, x <= y);
  case IR_GT: return build_bool(b, x > y);
  case IR_GE: return build_bool(b, x >= y);
  }
  return 0;
}

/* Identities that hold for every value; of floating point only those exact for NaN, infinities and -0. */
static Val fold_2(Builder *b, IrOp op, Val x, Val y) {
  if ((op == IR_EQ || op == IR_NE) && (differ_by_constant(b, x, y) || differ_by_constant(b, y, x)))
    return build_bool(b, op == IR_NE);
  if (is_const(b, x, IR_INT) && is_const(b, y, IR_INT))
    return fold_int_consts(b, op, ir_at(b->k, x)->integer, ir_at(b->k, y)->integer);
  if (is_const(b, x, IR_WIDE) && is_const(b, y, IR_WIDE)) {
    Val folded = fold_wide_consts(b, op, ir_at(b->k, x)->number, ir_at(b->k, y)->number);
    if (folded) return folded;
  }
  bool ints = ir_at(b->k, x)->type == IR_INT;
  switch ((int)op) {
  case IR_ADD: return is_int(b, x, 0) ? y : is_int(b, y, 0) ? x : 0;
  case IR_SUB: return is_int(b, y, 0) ? x : ints && x == y ? build_int(b, 0) : 0;
  case IR_MUL:
    if (is_int(b, x, 1) || is_float(b, x, 1)) return y;
    if (is_int(b, y, 1) || is_float(b, y, 1)) return x;
    return is_int(b, x, 0) ? x : is_int(b, y, 0) ? y : 0;
  case IR_DIV: return is_float(b, y, 1) ? x : 0;
  case IR_MIN: case IR_MAX: return x == y ? x : 0;
  case IR_LOGMUL: return is_float(b, x, 0) ? y : is_float(b, y, 0) ? x : 0;
  case IR_EQ: case IR_LE: case IR_GE: return ints && x == y ? build_bool(b, true) : 0;
  case IR_NE: case IR_LT: case IR_GT: return ints && x == y ? build_bool(b, false) : 0;
  case IR_AND:
    if (is_truth(b, x, true) || x == y) return y;
    return is_truth(b, y, true) ? x : is_truth(b, x, false) ? x : is_truth(b, y, false) ? y : 0;
  case IR_OR:
    if (is_truth(b, x, false) || x == y) return y;
    return is_truth(b, y, false) ? x : is_truth(b, x, true) ? x : is_truth(b, y, true) ? y : 0;
  }
  return 0;
}

static Val fold_1(Builder *b, IrOp op, Val x) {
  const Instr *i = ir_at(b->k, x);
  if (op == IR_NOT && i->op == IR_CONST) return build_bool(b, !i->integer);
  if (op == IR_NOT && i->op == IR_NOT) return i->arg[0];
  if (op == IR_NEG && i->op == IR_CONST && i->type != IR_INT) return build_float(b, i->type, -i->number);
  if (op == IR_EXP && is_float(b, x, 0)) return build_float(b, i->type, 1);
  if (op == IR_LOG && is_float(b, x, 1)) return build_float(b, i->type, 0);
  if (op == IR_NEG && is_const(b, x, IR_INT) && i->integer != INT64_MIN) return build_int(b, -i->integer);
  return 0;
}

Val build_op(Builder *b, IrOp op, IrType type, uint32_t narg, const Val *args) {
  Val folded = 0;
  if (narg == 1) folded = fold_1(b, op, args[0]);
  else if (narg == 2 && op != IR_RANDOM) folded = fold_2(b, op, args[0], args[1]);
  if (folded) return folded;
  return pure(b, (Instr){.op = op, .type = type, .narg = narg, .arg = (Val *)args});
}

Val build_1(Builder *b, IrOp op, Val x) { return build_op(b, op, ir_at(b->k, x)->type, 1, &x); }

Val build_2(Builder *b, IrOp op, Val x, Val y) {
  IrType tx = ir_at(b->k, x)->type, ty = ir_at(b->k, y)->type;
  if (tx != ty) {
    x = build_convert(b, x, IR_WIDE);
    y = build_convert(b, y, IR_WIDE);
    tx = IR_WIDE;
  }
  char rule = ir_op_rule(op);
  IrType t = rule == 'c' ? IR_BOOL : tx;
  return build_op(b, op, t, 2, (Val[]){x, y});
}

Val build_select(Builder *b, Val cond, Val x, Val y) {
  if (is_truth(b, cond, true) || x == y) return x;
  if (is_truth(b, cond, false)) return y;
  if (ir_at(b->k, x)->type != ir_at(b->k, y)->type) {
    x = build_convert(b, x, IR_WIDE);
    y = build_convert(b, y, IR_WIDE);
  }
  return build_op(b, IR_SELECT, ir_at(b->k, x)->type, 3, (Val[]){cond, x, y});
}

Val build_convert(Builder *b, Val x, IrType to) {
  const Instr *i = ir_at(b->k, x);
  if (i->type == to) return x;
  bool floating = to == IR_REAL || to == IR_WIDE;
  /* an int or bool that every floating type holds exactly */
  if (floating && i->op == IR_CONST && (i->type == IR_INT || i->type == IR_BOOL) && llabs(i->integer) < (1 << 24))
    return build_float(b, to, (double)i->integer);
  if (to == IR_WIDE && is_const(b, x, IR_REAL) && (double)(float)i->number == i->number)
    return build_float(b, to, i->number);
  return build_op(b, IR_CONVERT, to, 1, &x);
}

Val build_and(Builder *b, Val x, Val y) { return !x ? y : !y ? x : build_2(b, IR_AND, x, y); }

/* ---- arrays and effects ---------------------------------------------------------------------------- */

static Val effect(Builder *b, Instr i, Region *at) {
  own_arguments(b, &i);
  Val v = new_instr(b, i, at);
  vec_push(b->k->arena, &at->code, v);
  return v;
}

static Array *new_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims) {
  Array *a = NEW(b->k->arena, Array);
  *a = (Array){
      .id = b->k->arrays.n, .kind = kind, .name = name, .elem = elem, .type = ir_store_type(elem), .rank = rank};
  a->dims = NEW_ARRAY(b->k->arena, Val, rank);
  if (rank) memcpy(a->dims, dims, rank * sizeof *dims);
  vec_push(b->k->arena, &b->k->arrays, a);
  return a;
}

static void declare(Builder *b, Array *a, Region *at) {
  a->home = at;
  effect(b, (Instr){.op = IR_ARRAY, .array = a}, at);
}

Array *build_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims) {
  Array *a = new_array(b, kind, name, elem, rank, dims);
  declare(b, a, b->at);
  return a;
}

Val build_load(Builder *b, Array *a, const Val *index) {
  int64_t age = a->kind == ARRAY_TEMP ? b->writes : 0; /* tells apart loads between which it may have changed */
  return pure(
      b, (Instr){.op = IR_LOAD, .type = a->type, .integer = age, .array = a, .narg = a->rank, .arg = (Val *)index});
}

static bool within_steady(const Region *r) {
  for (; r->loop; r = r->parent)
    if (r->loop->steady) return true;
  return false;
}

void build_store(Builder *b, Array *a, Val value, const Val *index) {
  ICE_UNLESS(a->kind != ARRAY_TEMP || !within_steady(b->at));
  Val *args = NEW_ARRAY(b->k->arena, Val, a->rank + 1);
  args[0] = build_convert(b, value, a->type);
  if (a->rank) memcpy(args + 1, index, a->rank * sizeof *index);
  effect(b, (Instr){.op = IR_STORE, .array = a, .narg = a->rank + 1, .arg = args}, b->at);
  b->writes += a->kind == ARRAY_TEMP;
}

Solve *build_solve(Builder *b, Family f, uint32_t nat, const Val *at, Array *const *arrays, const Val *ints, Val work) {
  Arena *arena = b->k->arena;
  Solve *s = NEW(arena, Solve);
  *s = (Solve){.family = f, .nat = nat, .array = NEW_ARRAY(arena, Array *, ir_family_arrays(f))};
  memcpy(s->array, arrays, ir_family_arrays(f) * sizeof *arrays);
  s->work = build_array(b, ARRAY_LOCAL, arena_printf(arena, "w.%u", b->k->arrays.n), STORE_WIDE, 1, &work);
  uint32_t n = nat + ir_family_ints(f);
  Val *args = NEW_ARRAY(arena, Val, n);
  for (uint32_t i = 0; i < n; i++) args[i] = i < nat ? at[i] : ints[i - nat];
  effect(b, (Instr){.op = IR_SOLVE, .solve = s, .narg = n, .arg = args}, b->at);
  b->writes++;
  return s;
}

void build_check(Builder *b, IrOp check, Val guard, Val x, Val y) {
  if (!guard) guard = build_bool(b, true);
  if (is_truth(b, guard, false) || (check == IR_CHECK_INDEX && ir_index_below(b->k, x, y))) return;
  for (uint32_t c = 0; c < b->at->code.n; c++) { /* the same check here is enough */
    const Instr *i = ir_at(b->k, b->at->code.at[c]);
    if (i->op == check && i->arg[0] == guard && i->arg[1] == x && i->arg[2] == y) return;
  }
  effect(b, (Instr){.op = check, .narg = 3, .arg = (Val[]){guard, x, y}}, b->at);
}

/* ---- loops ----------------------------------------------------------------------------------------- */

Loop *build_open(Builder *b, LoopKind kind, Val lo, Val hi) {
  Loop *l = NEW(b->k->arena, Loop);
  *l = (Loop){.kind = kind, .lo = lo, .hi = hi, .span = b->span};
  l->body = new_region(b, b->at, l);
  l->index = new_instr(b, (Instr){.op = IR_INDEX, .type = IR_INT, .loop = l}, l->body);
  b->at = l->body;
  b->writes += kind != LOOP_REDUCE;
  return l;
}

void build_steady(Builder *b, Loop *l) {
  ICE_UNLESS(b->at == l->body && !l->body->code.n);
  l->steady = true;
  b->writes -= l->kind != LOOP_REDUCE;
}

Region *build_seed(Builder *b, Loop *l) {
  if (!l->seed) l->seed = new_region(b, l->body->parent, l);
  return b->at = l->seed;
}

void build_body(Builder *b, Loop *l) { b->at = l->body; }

Region *build_axes(Builder *b, Loop *l, uint32_t naxis, Val *index) {
  Region *r = new_region(b, b->at, l);
  ICE_UNLESS(l == b->at->loop);
  for (uint32_t i = 0; i < naxis; i++) index[i] = new_instr(b, (Instr){.op = IR_INDEX, .type = IR_INT}, r);
  return b->at = r;
}

void build_leave_axes(Builder *b, Region *at) { b->at = at->parent; }

Acc *build_acc(Builder *b, Loop *l, AccKind kind, IrType type, uint32_t naxis, const Axis *axes) {
  Arena *arena = b->k->arena;
  Acc *a = NEW(arena, Acc);
  *a = (Acc){.kind = kind, .type = type, .naxis = naxis};
  if (!naxis) {
    a->result = new_instr(b, (Instr){.op = IR_RESULT, .type = type, .loop = l}, l->body->parent);
  } else {
    a->axes = NEW_ARRAY(arena, Axis, naxis);
    Val *dims = NEW_ARRAY(arena, Val, naxis);
    for (uint32_t i = 0; i < naxis; i++) {
      a->axes[i] = axes[i];
      dims[i] = build_2(b, IR_SUB, axes[i].hi, axes[i].lo);
    }
    StoreType elem = type == IR_BOOL ? STORE_BOOL : type == IR_INT ? STORE_INT : STORE_WIDE;
    a->result_at = new_array(b, ARRAY_LOCAL, arena_printf(arena, "r.%u", b->k->arrays.n), elem, naxis, dims);
  }
  vec_push(arena, &l->accs, a);
  return a;
}

/* What a loop needs from outside: the innermost home, at most as deep as `from`. */
typedef struct Needs { Builder *b; uint32_t from; Region *deepest; bool check, temp; } Needs;

static void need_region(Needs *n, Region *home) {
  if (home && home->depth <= n->from && home->depth > n->deepest->depth) n->deepest = home;
}

static void need(Needs *n, Val v) {
  if (v) need_region(n, ir_at(n->b->k, v)->home);
}

static void need_loop(Needs *n, const Loop *l);

static void need_code(Needs *n, const Region *r) {
  for (uint32_t c = 0; c < r->code.n; c++) {
    const Instr *i = ir_at(n->b->k, r->code.at[c]);
    if (ir_is_check(i->op)) n->check = true;
    for (uint32_t k = 0; k < i->narg; k++) need(n, i->arg[k]);
    if (i->array) need_region(n, i->array->home);
    if (i->array && i->array->kind == ARRAY_TEMP) n->temp = true;
    if (i->op == IR_LOOP) need_loop(n, i->loop);
  }
}

static void need_contribution(Needs *n, const Contribution *c) {
  need(n, c->log_w);
  need(n, c->x);
  if (c->at) need_code(n, c->at);
}

static void need_loop(Needs *n, const Loop *l) {
  need(n, l->lo);
  need(n, l->hi);
  need(n, l->mask);
  need(n, l->seed_mask);
  need_code(n, l->body);
  if (l->seed) need_code(n, l->seed);
  for (uint32_t i = 0; i < l->accs.n; i++) {
    const Acc *a = l->accs.at[i];
    need_contribution(n, &a->body);
    need_contribution(n, &a->seed);
    for (uint32_t k = 0; k < a->naxis; k++) {
      need(n, a->axes[k].lo);
      need(n, a->axes[k].hi);
      need(n, a->result_at->dims[k]);
    }
  }
}

static void reparent(Builder *b, Region *r, Region *parent) {
  if (!r) return;
  r->parent = parent;
  r->depth = parent->depth + 1;
  for (uint32_t c = 0; c < r->code.n; c++) {
    const Instr *i = ir_at(b->k, r->code.at[c]);
    if (i->op != IR_LOOP) continue;
    reparent(b, i->loop->body, r);
    reparent(b, i->loop->seed, r);
    for (uint32_t k = 0; k < i->loop->accs.n; k++) {
      Acc *a = i->loop->accs.at[k];
      reparent(b, a->body.at, i->loop->body);
      reparent(b, a->seed.at, i->loop->seed);
    }
  }
}

static void place_loop(Builder *b, Loop *l, Region *target) {
  reparent(b, l->body, target);
  reparent(b, l->seed, target);
  for (uint32_t i = 0; i < l->accs.n; i++) {
    Acc *a = l->accs.at[i];
    reparent(b, a->body.at, l->body);
    reparent(b, a->seed.at, l->seed);
    if (a->result_at) declare(b, a->result_at, target);
    else ir_at(b->k, a->result)->home = target;
  }
  effect(b, (Instr){.op = IR_LOOP, .loop = l}, target);
}

/* ---- equality of loops: the same code up to the numbering of what is inside ------------------------- */

typedef struct Pairing { const Kernel *k; VEC(Val) x, y; } Pairing;

static void pair(Pairing *p, Val x, Val y) {
  vec_push(p->k->arena, &p->x, x);
  vec_push(p->k->arena, &p->y, y);
}

static bool paired(const Pairing *p, Val x, Val y) {
  if (x == y) return true;
  for (uint32_t i = p->x.n; i-- > 0;)
    if (p->x.at[i] == x) return p->y.at[i] == y;
  return false;
}

static bool same_loop(Pairing *p, const Loop *x, const Loop *y);

/* Results of equal inner loops with axes live in arrays of their own: such bodies count as different. */
static bool same_instr(Pairing *p, Val vx, Val vy) {
  const Instr *x = ir_at(p->k, vx), *y = ir_at(p->k, vy);
  if (x->op != y->op || x->type != y->type || x->integer != y->integer || x->narg != y->narg || x->array != y->array)
    return false;
  if (number_bits(x->number) != number_bits(y->number)) return false;
  for (uint32_t i = 0; i < x->narg; i++)
    if (!paired(p, x->arg[i], y->arg[i])) return false;
  if (x->op == IR_LOOP && !same_loop(p, x->loop, y->loop)) return false;
  pair(p, vx, vy);
  return true;
}

static bool same_code(Pairing *p, const Region *x, const Region *y) {
  if (!x != !y) return false;
  if (!x) return true;
  if (x->code.n != y->code.n) return false;
  for (uint32_t i = 0; i < x->code.n; i++)
    if (!same_instr(p, x->code.at[i], y->code.at[i])) return false;
  return true;
}

static bool same_contribution(Pairing *p, const Contribution *x, const Contribution *y, uint32_t naxis) {
  if (!paired(p, x->log_w, y->log_w) || !x->at != !y->at) return false;
  if (x->at)
    for (uint32_t i = 0; i < naxis; i++) pair(p, x->index[i], y->index[i]);
  return same_code(p, x->at, y->at) && paired(p, x->x, y->x);
}

static bool same_acc(Pairing *p, const Acc *x, const Acc *y) {
  if (x->kind != y->kind || x->type != y->type || x->naxis != y->naxis) return false;
  for (uint32_t i = 0; i < x->naxis; i++)
    if (!paired(p, x->axes[i].lo, y->axes[i].lo) || !paired(p, x->axes[i].hi, y->axes[i].hi)) return false;
  if (!same_contribution(p, &x->body, &y->body, x->naxis) || !same_contribution(p, &x->seed, &y->seed, x->naxis))
    return false;
  pair(p, x->result, y->result);
  return true;
}

static bool same_loop(Pairing *p, const Loop *x, const Loop *y) {
  if (x->kind != y->kind || !paired(p, x->lo, y->lo) || !paired(p, x->hi, y->hi) || x->accs.n != y->accs.n)
    return false;
  pair(p, x->index, y->index);
  if (!same_code(p, x->body, y->body) || !same_code(p, x->seed, y->seed)) return false;
  if (!paired(p, x->mask, y->mask) || !paired(p, x->seed_mask, y->seed_mask)) return false;
  for (uint32_t i = 0; i < x->accs.n; i++)
    if (!same_acc(p, x->accs.at[i], y->accs.at[i])) return false;
  return true;
}

static Loop *find_equal(Builder *b, const Loop *l, const Region *target) {
  for (uint32_t c = 0; c < target->code.n; c++) {
    const Instr *i = ir_at(b->k, target->code.at[c]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || i->loop->lo != l->lo || i->loop->hi != l->hi) continue;
    Pairing p = {.k = b->k};
    if (same_loop(&p, i->loop, l)) return i->loop;
  }
  return NULL;
}

Loop *build_close(Builder *b, Loop *l) {
  Region *outer = l->body->parent;
  ICE_UNLESS(b->at == l->body);
  b->at = outer;
  Region *target = outer;
  if (l->kind == LOOP_REDUCE) {
    Needs n = {.b = b, .from = outer->depth, .deepest = b->k->top};
    need_loop(&n, l);
    if (!n.check) target = n.temp ? deeper(n.deepest, storing_region(outer)) : n.deepest;
    Loop *equal = n.check ? NULL : find_equal(b, l, target);
    if (equal) return equal;
  }
  place_loop(b, l, target);
  b->writes += l->kind != LOOP_REDUCE && !l->steady;
  return l;
}
