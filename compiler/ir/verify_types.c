/* verify_types: the type rules of ir/op.def, one function a rule letter, and those of the operations that
 * have a rule of their own.  Looks at one instruction and its arguments only. */
#include "ir/verify.h"
#include "ir/solve.h"

static IrType arg_type(const Kernel *k, const Instr *i, uint32_t n) { return ir_at(k, i->arg[n])->type; }

static bool all_args(const Kernel *k, const Instr *i, uint32_t from, IrType t) {
  for (uint32_t n = from; n < i->narg; n++)
    if (arg_type(k, i, n) != t) return false;
  return true;
}

static const char *check_arithmetic(const Kernel *k, const Instr *i) {
  if (!ir_is_numeric(i->type)) return "its type is not numeric";
  return all_args(k, i, 0, i->type) ? NULL : "an argument's type is not the result's";
}

static const char *check_integer(const Kernel *k, const Instr *i) {
  return i->type == IR_INT && all_args(k, i, 0, IR_INT) ? NULL : "arguments and result must be int";
}

static const char *check_floating(const Kernel *k, const Instr *i) {
  if (!ir_is_float(i->type)) return "its type is neither real nor wide";
  return all_args(k, i, 0, i->type) ? NULL : "an argument's type is not the result's";
}

static const char *check_comparison(const Kernel *k, const Instr *i) {
  IrType t = arg_type(k, i, 0);
  if (i->type != IR_BOOL) return "a comparison is bool";
  if (arg_type(k, i, 1) != t) return "the two sides differ in type";
  bool equality = i->op == IR_EQ || i->op == IR_NE;
  return ir_is_numeric(t) || (equality && t == IR_BOOL) ? NULL : "values of this type have no order";
}

static const char *check_logic(const Kernel *k, const Instr *i) {
  return i->type == IR_BOOL && all_args(k, i, 0, IR_BOOL) ? NULL : "arguments and result must be bool";
}

static const char *check_const(const Instr *i) {
  if (i->type == IR_VOID) return "a constant has a type";
  return i->type == IR_BOOL && i->integer != 0 && i->integer != 1 ? "a bool is 0 or 1" : NULL;
}

static const char *check_size(const Kernel *k, const Instr *i) {
  if (i->type != IR_INT) return "a size is int";
  return i->integer >= 0 && i->integer < (int64_t)k->sizes.n ? NULL : "there is no such size";
}

static const char *check_leaf(const Kernel *k, const Instr *i) {
  if (i->op == IR_CONST) return check_const(i);
  if (i->op == IR_SIZE) return check_size(k, i);
  return NULL; /* INDEX and RESULT: their loop's rules */
}

static const char *check_select(const Kernel *k, const Instr *i) {
  if (i->type == IR_VOID || arg_type(k, i, 0) != IR_BOOL) return "select takes bool, x, y";
  return all_args(k, i, 1, i->type) ? NULL : "the two sides and the result differ in type";
}

static const char *check_convert(const Kernel *k, const Instr *i) {
  return i->type == IR_VOID || arg_type(k, i, 0) == IR_VOID ? "conversion of no value" : NULL;
}

static const char *check_random(const Kernel *k, const Instr *i) {
  if (i->type != IR_WIDE) return "a random number is wide";
  return i->narg && all_args(k, i, 0, IR_INT) ? NULL : "random takes one or more ints, the seed first";
}

static const char *check_subscripts(const Kernel *k, const Instr *i, uint32_t from) {
  if (!i->array) return "it names no array";
  if (i->narg != from + i->array->rank) return "the number of indices is not the array's rank";
  return all_args(k, i, from, IR_INT) ? NULL : "an index is not int";
}

static const char *check_load(const Kernel *k, const Instr *i) {
  const char *e = check_subscripts(k, i, 0);
  if (e) return e;
  return i->type == i->array->type ? NULL : "its type is not the array's";
}

static const char *check_own_rule(const Kernel *k, const Instr *i) {
  if (i->op == IR_SELECT) return check_select(k, i);
  if (i->op == IR_CONVERT) return check_convert(k, i);
  if (i->op == IR_RANDOM) return check_random(k, i);
  if (i->op == IR_LOAD) return check_load(k, i);
  return "the verifier has no type rule for it";
}

static const char *check_store(const Kernel *k, const Instr *i) {
  if (!i->narg) return "it stores no value";
  const char *e = check_subscripts(k, i, 1);
  if (e) return e;
  return arg_type(k, i, 0) == i->array->type ? NULL : "the value's type is not the array's";
}

static const char *check_check(const Kernel *k, const Instr *i) {
  if (arg_type(k, i, 0) != IR_BOOL) return "the guard is not bool";
  return all_args(k, i, 1, IR_INT) ? NULL : "what is checked is not int";
}

static const char *check_part(const Instr *i, const Array *a, const FamilyArray *want) {
  if (!a || a->kind != ARRAY_TEMP) return "it takes temporaries";
  if (a->type != want->type || (a->elem != STORE_WIDE && a->elem != STORE_REAL && a->elem != STORE_INT))
    return "an array of another type than the routine takes";
  bool fits = a->rank >= want->rank && a->rank <= i->solve->nat + want->rank;
  return fits ? NULL : "an array of another rank than the routine takes";
}

static const char *check_solve(const Kernel *k, const Instr *i) {
  const Solve *s = i->solve;
  if (!s || i->narg != s->nat + ir_family_ints(s->family)) return "wrong number of arguments";
  for (uint32_t n = 0; n < ir_family_arrays(s->family); n++) {
    FamilyArray want = ir_family_array(s->family, n);
    const char *e = check_part(i, s->array[n], &want);
    if (e) return e;
  }
  if (!s->work || s->work->kind != ARRAY_LOCAL || s->work->rank != 1 || s->work->elem != STORE_WIDE)
    return "its work space is no local array of doubles";
  return all_args(k, i, 0, IR_INT) ? NULL : "it takes ints";
}

static const char *check_effect(const Kernel *k, const Instr *i) {
  if (i->type != IR_VOID) return "it has no result, but a type";
  if (i->op == IR_STORE) return check_store(k, i);
  if (ir_is_check(i->op)) return check_check(k, i);
  if (i->op == IR_SOLVE) return check_solve(k, i);
  return NULL; /* ARRAY and LOOP: rules of their own */
}

const char *verify_types(const Kernel *k, const Instr *i) {
  int arity = ir_op_arity(i->op);
  if (arity >= 0 && i->narg != (uint32_t)arity) return "wrong number of arguments";
  switch (ir_op_rule(i->op)) {
  case 'a': return check_arithmetic(k, i);
  case 'i': return check_integer(k, i);
  case 'r': return check_floating(k, i);
  case 'c': return check_comparison(k, i);
  case 'b': return check_logic(k, i);
  case 's': return check_leaf(k, i);
  case 't': return check_own_rule(k, i);
  case 'v': return check_effect(k, i);
  }
  return "unknown rule in op.def";
}
