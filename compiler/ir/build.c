/* build: placement and sharing of instructions; see build.h.
 *
 * Invariant: the homes of all values in sight lie on the chain from the current region to the top, so the
 * outermost region where an operation can stand is the home of its innermost argument, and a value found in
 * the hash table with the same arguments stands on that chain too. */
#include "base/ice.h"
#include "ir/below.h"
#include "ir/build_parts.h"
#include "ir/solve.h"

/* ---- values --------------------------------------------------------------------------------------- */

Region *build_region(Builder *b, Region *parent, Loop *loop) {
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
  b->at = b->k->top = build_region(b, NULL, NULL);
  b->table = NEW_ARRAY(arena, uint32_t, b->table_size);
}

Val build_instr(Builder *b, Instr i, Region *home) {
  i.home = home;
  i.span = b->span;
  vec_push(b->k->arena, &b->k->instrs, i);
  return b->k->instrs.n - 1;
}

static uint64_t mix(uint64_t h, uint64_t x) {
  h = (h ^ x) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 29);
}

static uint64_t instr_hash(const Instr *i) {
  uint64_t h = mix(mix(i->op, i->type), (uint64_t)i->integer);
  h = mix(mix(h, ir_number_bits(i->number)), i->array ? i->array->id + 1 : 0);
  for (uint32_t n = 0; n < i->narg; n++) h = mix(h, i->arg[n]);
  return h;
}

static bool instr_same(const Instr *x, const Instr *y) {
  return x->op == y->op && x->type == y->type && x->integer == y->integer && x->array == y->array &&
         ir_number_bits(x->number) == ir_number_bits(y->number) && x->narg == y->narg &&
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

static bool may_store(const Loop *l, const Array *a) {
  for (uint32_t i = 0; l->listed && i < l->stores.n; i++)
    if (l->stores.at[i] == a) return true;
  return !l->listed && l->kind != LOOP_REDUCE;
}

Region *build_storing(Region *r, const Array *a) {
  while (r->loop && !may_store(r->loop, a)) r = r->parent;
  return r;
}

Region *build_deeper(Region *x, Region *y) { return y->depth > x->depth ? y : x; }

/* The caller's list of arguments may be on its stack. */
static void own_arguments(Builder *b, Instr *i) {
  if (!i->narg) return;
  Val *copy = NEW_ARRAY(b->k->arena, Val, i->narg);
  memcpy(copy, i->arg, i->narg * sizeof *copy);
  i->arg = copy;
}

Val build_pure(Builder *b, Instr i) {
  Val found = table_find(b, &i); /* of a temporary it may stand in a loop that was left for the region around it */
  if (found && region_contains(ir_at(b->k, found)->home, b->at)) return found;
  Region *home = build_deepest(b, i.narg, i.arg);
  if (i.array) home = build_deeper(home, i.array->home);
  if (i.array && i.array->kind == ARRAY_TEMP) home = build_deeper(home, build_storing(b->at, i.array));
  ICE_UNLESS(region_contains(home, b->at));
  own_arguments(b, &i);
  Val v = build_instr(b, i, home);
  vec_push(b->k->arena, &home->code, v);
  if (2 * ++b->table_fill > b->table_size) table_grow(b);
  table_put(b, v);
  return v;
}

static Val whole(Builder *b, IrOp op, IrType t, int64_t v) {
  return build_pure(b, (Instr){.op = op, .type = t, .integer = v});
}

Val build_int(Builder *b, int64_t v) { return whole(b, IR_CONST, IR_INT, v); }
Val build_bool(Builder *b, bool v) { return whole(b, IR_CONST, IR_BOOL, v); }
Val build_size(Builder *b, uint32_t size) { return whole(b, IR_SIZE, IR_INT, size); }

Val build_float(Builder *b, IrType t, double v) {
  return build_pure(b, (Instr){.op = IR_CONST, .type = t, .number = v});
}

/* ---- arrays and effects ---------------------------------------------------------------------------- */

Val build_effect(Builder *b, Instr i, Region *at) {
  own_arguments(b, &i);
  Val v = build_instr(b, i, at);
  vec_push(b->k->arena, &at->code, v);
  return v;
}

Array *build_new_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims) {
  Array *a = NEW(b->k->arena, Array);
  *a = (Array){
      .id = b->k->arrays.n, .kind = kind, .name = name, .elem = elem, .type = ir_store_type(elem), .rank = rank};
  a->dims = NEW_ARRAY(b->k->arena, Val, rank);
  if (rank) memcpy(a->dims, dims, rank * sizeof *dims);
  vec_push(b->k->arena, &b->k->arrays, a);
  return a;
}

void build_declare(Builder *b, Array *a, Region *at) {
  a->home = at;
  build_effect(b, (Instr){.op = IR_ARRAY, .array = a}, at);
}

Array *build_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims) {
  Array *a = build_new_array(b, kind, name, elem, rank, dims);
  build_declare(b, a, b->at);
  return a;
}

Val build_load(Builder *b, Array *a, const Val *index) {
  int64_t age = a->kind == ARRAY_TEMP ? b->writes + a->writes : 0; /* between two of which it may have changed */
  return build_pure(
      b, (Instr){.op = IR_LOAD, .type = a->type, .integer = age, .array = a, .narg = a->rank, .arg = (Val *)index});
}

static void write_temporary(Builder *b, Array *a) {
  for (const Region *r = b->at; r != a->home && r->loop; r = r->parent) ICE_UNLESS(may_store(r->loop, a));
  a->writes++;
}

void build_store(Builder *b, Array *a, Val value, const Val *index) {
  Val *args = NEW_ARRAY(b->k->arena, Val, a->rank + 1);
  args[0] = build_convert(b, value, a->type);
  if (a->rank) memcpy(args + 1, index, a->rank * sizeof *index);
  build_effect(b, (Instr){.op = IR_STORE, .array = a, .narg = a->rank + 1, .arg = args}, b->at);
  if (a->kind == ARRAY_TEMP) write_temporary(b, a);
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
  Instr solve = {.op = IR_SOLVE, .solve = s, .narg = n, .arg = args};
  for (uint32_t i = 0; i < ir_family_arrays(f); i++)
    if (ir_solve_writes(&solve, i)) write_temporary(b, s->array[i]);
  build_effect(b, solve, b->at);
  return s;
}

/* The same check for certain, or under the same guard, here or before the loops that are open: it is enough. */
static bool is_checked(Builder *b, IrOp check, Val guard, Val x, Val y) {
  Val always = build_bool(b, true);
  for (const Region *r = b->at; r; r = r->parent)
    for (uint32_t c = 0; c < r->code.n; c++) {
      const Instr *i = ir_at(b->k, r->code.at[c]);
      bool same = i->op == check && i->arg[1] == x && i->arg[2] == y;
      if (same && (i->arg[0] == guard || i->arg[0] == always)) return true;
    }
  return false;
}

void build_check(Builder *b, IrOp check, Val guard, Val x, Val y) {
  if (!guard) guard = build_bool(b, true);
  if (build_is_truth(b, guard, false) || (check == IR_CHECK_INDEX && ir_index_below(b->k, x, y))) return;
  if (is_checked(b, check, guard, x, y)) return;
  build_effect(b, (Instr){.op = check, .narg = 3, .arg = (Val[]){guard, x, y}}, b->at);
}
