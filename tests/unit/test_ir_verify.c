/* test_ir_verify: one broken kernel, at least, for every rule of the verifier. */
#include <criterion/criterion.h>

#include "ir_testing.h"

/* What the examples below may use. */
#define HEAD                                                                                                       \
  "kernel t { size N %0 = size N : int %1 = const 0 : int %2 = const 1.5 : real %3 = const true : bool "           \
  "in x: real[%0] input 0 "
#define BODY "reduce %10 in %1..%0 { %11 = load x[%10] : real %12 = lt %10, %1 : bool "

typedef struct Bad { int rule; const char *text; } Bad;

static void expect_broken(const Bad *bad, size_t n) {
  for (size_t i = 0; i < n; i++) {
    Arena a;
    arena_init(&a, NULL);
    const char *wrong = ir_verify(read_text(&a, bad[i].text));
    cr_assert_not_null(wrong, "not noticed: %s", bad[i].text);
    cr_assert(strstr(wrong, arena_printf(&a, "(rule %d)", bad[i].rule)), "'%s' for %s", wrong, bad[i].text);
    arena_free(&a);
  }
}

#define EXPECT_BROKEN(...)                                    \
  do {                                                        \
    static const Bad bad_[] = {__VA_ARGS__};                  \
    expect_broken(bad_, sizeof bad_ / sizeof bad_[0]);        \
  } while (0)

Test(verify, head_alone_is_good) {
  Arena a;
  arena_init(&a, NULL);
  cr_assert_null(ir_verify(read_text(&a, HEAD "}")));
  cr_assert_null(ir_verify(read_text(&a, HEAD BODY "where %12 } acc { %13 = sum %11 : wide } }")));
  arena_free(&a);
}

Test(verify, rule_1_values_are_in_sight) {
  EXPECT_BROKEN({1, HEAD BODY "} acc { } %13 = neg %11 : real }"}, {1, HEAD BODY "} acc { } %13 = neg %10 : int }"},
                {1, HEAD BODY "reduce %13 in %1..%0 { } acc { %14 = sum %10 : int } } acc { } %15 = neg %14 : int }"},
                {1, HEAD BODY "} seed { } acc { %13 = sum %11 seed %11 : wide } }"},
                {1, HEAD BODY "} acc { %13 = sum %11 : wide %14 = sum %13 : wide } }"});
}

Test(verify, rules_4_and_5_types) {
  EXPECT_BROKEN(
      {5, HEAD "%4 = add %0 : int }"}, {5, HEAD "%4 = add %0, %1 : real }"}, {5, HEAD "%4 = add %0, %2 : int }"},
      {5, HEAD "%4 = add %3, %3 : bool }"}, {5, HEAD "%4 = exp %0 : int }"}, {5, HEAD "%4 = exp %2 : wide }"},
      {5, HEAD "%4 = floordiv %2, %2 : real }"}, {5, HEAD "%4 = lt %0, %2 : bool }"},
      {5, HEAD "%4 = lt %3, %3 : bool }"}, {5, HEAD "%4 = eq %0, %1 : int }"}, {5, HEAD "%4 = and %0, %1 : bool }"},
      {5, HEAD "%4 = select %0, %2, %2 : real }"}, {5, HEAD "%4 = select %3, %2, %0 : real }"},
      {5, HEAD "%4 = random %2 : wide }"}, {5, HEAD "%4 = random %0 : real }"});
}

Test(verify, rule_7_arrays) {
  EXPECT_BROKEN({7, HEAD "temp t: real[%2] }"}, {7, HEAD "in y: real[] input 0 }"},
                {7, HEAD "par %4 in %1..%0 { temp t: real[] } }"},
                {7, HEAD "out y: real[] output 0 out z: real[] output 0 }"});
}

Test(verify, rule_8_loads) {
  EXPECT_BROKEN(
      {5, HEAD "%4 = load x[%2] : real }"}, {5, HEAD "%4 = load x[] : real }"}, {5, HEAD "%4 = load x[%0] : wide }"},
      {8, HEAD "out o: real[] output 0 store o[], %2 %4 = load o[] : real }"},
      {8, HEAD "temp t: real[] %4 = load t[] : real }"}, {8, HEAD "local r: wide[%0] %4 = load r[%1] : wide }"},
      {8, HEAD "par %5 in %1..%0 { local r: wide[%0] " BODY
               "} acc { r[%13 in %1..%0] = sum { yield %11 } : wide } } %14 = load r[%1] : wide }"});
}

Test(verify, rules_9_and_10_stores) {
  EXPECT_BROKEN({9, HEAD "store x[%0], %2 }"}, {5, HEAD "temp t: real[] store t[], %0 }"},
                {9, HEAD "temp t: real[] " BODY "store t[], %11 } acc { } }"},
                {9, HEAD "temp t: real[] local r: wide[%0] " BODY
                         "} acc { r[%13 in %1..%0] = sum { store t[], %11 yield %11 } : wide } }"},
                {10, HEAD "out o: real[] output 0 }"});
}

Test(verify, rule_11_loops) {
  EXPECT_BROKEN({11, HEAD "par %4 in %1..%2 { } }"}, {11, HEAD BODY "par %13 in %1..%0 { } } acc { } }"},
                {11, HEAD BODY "seq %13 in %1..%0 { } } acc { } }"});
}

Test(verify, rule_12_masks) {
  EXPECT_BROKEN({12, HEAD BODY "where %11 } acc { } }"}, {12, HEAD BODY "} seed { where %0 } acc { } }"},
                {1, HEAD BODY "} seed { where %12 } acc { } }"});
}

Test(verify, rule_13_accumulators) {
  EXPECT_BROKEN({13, HEAD BODY "} acc { %13 = sum %11 : real } }"}, {13, HEAD BODY "} acc { %13 = sum %10 : wide } }"},
                {13, HEAD BODY "} acc { %13 = any %10 : bool } }"}, {13, HEAD BODY "} acc { %13 = sum %12 : int } }"},
                {13, HEAD BODY "} acc { %13 = lse %10 : wide } }"},
                {13, HEAD BODY "} acc { %13 = argmax %11 of %11 : int } }"},
                {13, HEAD BODY "} acc { %13 = expect %11 of %10 : wide } }"});
}

Test(verify, rule_14_axes) {
  EXPECT_BROKEN({14, HEAD "local r: wide[%0] " BODY "} acc { r[%13 in %1..%2] = sum { yield %11 } : wide } }"},
                {1, HEAD "local r: wide[%0] " BODY "} acc { r[%13 in %1..%10] = sum { yield %11 } : wide } }"},
                {14, HEAD "local r: wide[%0] " BODY "} acc { r[%13 in %1..%0] = lse %11 : wide } }"});
}

Test(verify, rule_15_results) {
  EXPECT_BROKEN({15, HEAD "local r: wide[%0, %0] " BODY "} acc { r[%13 in %1..%0] = sum { yield %11 } : wide } }"},
                {15, HEAD "local r: int[%0] " BODY "} acc { r[%13 in %1..%0] = sum { yield %11 } : wide } }"},
                {15, HEAD BODY "} acc { x[%13 in %1..%0] = sum { yield %11 } : wide } }"},
                {15, HEAD "local r: wide[%0] par %4 in %1..%0 { " BODY
                          "} acc { r[%13 in %1..%0] = sum { yield %11 } : wide } } }"},
                {15, HEAD "local r: wide[%0] " BODY "} acc { r[%13 in %1..%0] = sum { yield %11 } : wide "
                          "r[%14 in %1..%0] = sum { yield %11 } : wide } }"},
                {15, HEAD "local r: wide[%0] }"});
}

Test(verify, rule_16_checks) {
  EXPECT_BROKEN({5, HEAD "check.index %0, %0, %0 }"}, {5, HEAD "check.nonzero %3, %2, %0 }"},
                {5, HEAD "check.index %3, %0 }"});
}

/* ---- what no text says ------------------------------------------------------------------------- */

static Kernel *loop_kernel(Arena *a) {
  return read_text(a, HEAD BODY "} acc { %13 = sum %11 : wide } %14 = neg %13 : wide }");
}

static Loop *last_loop(const Kernel *k) { return ir_at(k, k->top->code.at[k->top->code.n - 2])->loop; }

static void expect_rule(Arena *a, const Kernel *k, const char *rule) {
  const char *wrong = ir_verify(k);
  cr_assert(wrong && strstr(wrong, rule), "%s instead of %s", wrong, rule);
  arena_free(a);
}

#define BREAK(name, rule, ...)         \
  Test(verify, name) {                 \
    Arena a;                           \
    arena_init(&a, NULL);              \
    Kernel *k = loop_kernel(&a);       \
    Loop *l = last_loop(k);            \
    Val last = vec_last(&k->top->code);\
    (void)l, (void)last;               \
    __VA_ARGS__;                       \
    expect_rule(&a, k, rule);          \
  }

BREAK(number_beyond_the_values, "rule 1", ir_at(k, last)->arg[0] = 1000000)
BREAK(number_zero, "rule 1", ir_at(k, last)->arg[0] = 0)
BREAK(a_value_of_itself, "rule 1", ir_at(k, last)->arg[0] = last)
BREAK(value_twice_in_the_code, "rule 2", vec_push(&a, &k->top->code, last))
BREAK(home_elsewhere, "rule 2", ir_at(k, last)->home = l->body)
BREAK(depth, "rule 3", l->body->depth = 7)
BREAK(parent, "rule 3", l->body->parent = l->body)
BREAK(region_of_another_loop, "rule 3", l->body->loop = NULL)
BREAK(no_body, "rule 3", l->body = NULL)
BREAK(loop_in_itself, "rule 2", vec_push(&a, &l->body->code, k->top->code.at[k->top->code.n - 2]))
BREAK(unknown_size, "rule 5", ir_at(k, k->top->code.at[0])->integer = 9)
BREAK(odd_bool, "rule 5", ir_at(k, k->top->code.at[3])->integer = 2)
BREAK(array_name, "rule 7", k->arrays.at[0]->name = "a b")
BREAK(array_place, "rule 7", k->arrays.at[0]->id = 3)
BREAK(element_type, "rule 7", k->arrays.at[0]->type = IR_BOOL)
BREAK(index_that_is_no_index, "rule 11", ir_at(k, l->index)->op = IR_CONST)
BREAK(seed_mask_without_seed, "rule 12", l->seed_mask = k->top->code.at[3])
BREAK(seed_without_seed, "rule 13", l->accs.at[0]->seed.x = k->top->code.at[2])
BREAK(weight_that_is_not_taken, "rule 13", l->accs.at[0]->body.log_w = l->accs.at[0]->body.x)
BREAK(result_of_another_type, "rule 15", ir_at(k, l->accs.at[0]->result)->type = IR_REAL)
BREAK(parallel_with_accumulator, "rule 11", l->kind = LOOP_PAR)

#define TREE                                                                                                           \
  HEAD "%4 = const 2 : int %5 = add %0, %4 : int temp l: wide[%0, %5] temp p: wide[%0, %5] temp z: wide[%4] temp o: "  \
       "int[%0] "                                                                                                      \
       "local w: wide[%5] "
#define FILLED TREE "%6 = const 0.5 : wide store l[%1, %1], %6 "

Test(verify, rule_17_routines) {
  Arena a;
  arena_init(&a, NULL);
  cr_assert_null(
      ir_verify(read_text(&a, FILLED "solve tree.sum [] (%0, %1) in l out p, z work w %7 = load z[%1] : wide }")));
  arena_free(&a);
  EXPECT_BROKEN(
      {17, TREE "solve tree.sum [] (%0, %1) in l out p, z work w }"},
      {17, FILLED "par %7 in %1..%0 { solve tree.sum [] (%0, %1) in l out p, z work w } }"},
      {17, FILLED "solve tree.sum [] (%0, %1) in l out p, z work w solve tree.sum [] (%0, %1) in l out p, z work w }"},
      {17,
       FILLED "reduce %7 in %1..%0 { solve tree.sum [] (%0, %1) in l out p, z work w } acc { %8 = sum %7 : int } }"},
      {5, FILLED "solve tree.sum [] (%0) in l out p, z work w }"},
      {5, FILLED "solve tree.sum [] (%0, %2) in l out p, z work w }"},
      {5, FILLED "solve tree.sum [] (%0, %1) in l out p, o work w }"},
      {5, FILLED "solve tree.sum [] (%0, %1) in z out p, z work w }"},
      {5, FILLED "solve tree.sum [] (%0, %1) in l out p, z work z }"},
      {5, FILLED "solve tree.sum [] (%0, %1) in x out p, z work w }"});
}
