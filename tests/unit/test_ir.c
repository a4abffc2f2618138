/* test_ir: names, printing and parsing of the reduction IR. */
#include <criterion/criterion.h>

#include "ir_testing.h"
#include "ir/build.h"
#include "random.h"

static const char *const files[] = {"attention", "seed", "steps", "fuse", "dead", "factored", "factored_reassociated",
                                    "pair",      "solve",     "vectors"};
enum { FILES = sizeof files / sizeof files[0], SHORT = 5 /* the first ones */ };

static const char *read_whole(Arena *arena, const char *name) {
  const char *why;
  return source_read(arena, arena_printf(arena, "%s/%s.air", IR_FILES, name), &why)->text;
}

Test(ir, names_are_distinct) {
  for (int a = 0; a < IR_OP_COUNT_; a++)
    for (int b = 0; b < a; b++) cr_assert_str_neq(ir_op_name((IrOp)a), ir_op_name((IrOp)b));
  cr_assert_eq(ir_op_arity(IR_LOGMUL), 2);
  cr_assert_eq(ir_op_rule(IR_CONVERT), 't');
  cr_assert(ir_acc_takes_log_w(ACC_LSE) && !ir_acc_takes_x(ACC_LSE) && ir_acc_takes_x(ACC_SUM));
}

Test(ir, printing_what_was_parsed_prints_the_same) {
  for (int f = 0; f < FILES; f++) {
    Arena a;
    arena_init(&a, NULL);
    const char *once = print_text(&a, read_file(&a, files[f]));
    cr_assert_str_eq(print_text(&a, read_text(&a, once)), once, "%s", files[f]);
    arena_free(&a);
  }
}

/* The files are written as the printer writes, so the text itself comes back, after its comments. */
Test(ir, files_are_in_the_form_of_the_printer) {
  for (int f = 0; f < FILES; f++) {
    Arena a;
    arena_init(&a, NULL);
    cr_assert_str_eq(print_text(&a, read_file(&a, files[f])), strstr(read_whole(&a, files[f]), "kernel"));
    arena_free(&a);
  }
}

Test(ir, numbers_come_back) {
  Arena a;
  arena_init(&a, NULL);
  const char *const literal[] = {"0.1 : real", "-0 : wide", "nan : real", "-inf : wide", "inf : wide", "1e+300 : wide",
                                 "-9223372036854775808 : int", "9223372036854775807 : int", "true : bool",
                                 "false : bool", "5e-324 : wide", "0.30000000000000004 : wide"};
  for (size_t n = 0; n < sizeof literal / sizeof literal[0]; n++) {
    const char *text = arena_printf(&a, "kernel t {\n  %%0 = const %s\n}\n", literal[n]);
    cr_assert_str_eq(print_text(&a, read_text(&a, text)), text);
  }
  arena_free(&a);
}

Test(ir, numbering_is_that_of_the_text) {
  Arena a;
  arena_init(&a, NULL);
  const char *sparse = "kernel t { %7 = const 1 : int %3 = const 2 : int %60 = add %3, %7 : int }";
  cr_assert_str_eq(print_text(&a, read_text(&a, sparse)),
                   "kernel t {\n  %0 = const 1 : int\n  %1 = const 2 : int\n  %2 = add %1, %0 : int\n}\n");
  arena_free(&a);
}

Test(ir, what_the_builder_makes_comes_back) {
  Arena a;
  arena_init(&a, NULL);
  Builder b;
  build_init(&b, &a, "built");
  vec_push(&a, &b.k->sizes, "N");
  Val n = build_size(&b, 0), zero = build_int(&b, 0);
  Array *x = build_array(&b, ARRAY_IN, "x", STORE_F16, 2, (Val[]){n, n});
  Array *o = build_array(&b, ARRAY_OUT, "o", STORE_REAL, 1, &n);
  Loop *l = build_open(&b, LOOP_REDUCE, zero, n);
  Acc *acc = build_acc(&b, l, ACC_SUM, IR_WIDE, 1, &(Axis){.lo = zero, .hi = n});
  acc->body.index = NEW_ARRAY(&a, Val, 1);
  acc->body.at = build_axes(&b, l, 1, acc->body.index);
  acc->body.x = build_load(&b, x, (Val[]){l->index, acc->body.index[0]});
  build_leave_axes(&b, acc->body.at);
  l = build_close(&b, l);
  Loop *p = build_open(&b, LOOP_PAR, zero, n);
  build_store(&b, o, build_load(&b, l->accs.at[0]->result_at, &p->index), &p->index);
  build_close(&b, p);
  cr_assert_null(ir_verify(b.k), "%s", ir_verify(b.k));
  const char *text = print_text(&a, b.k);
  Kernel *back = read_text(&a, text);
  cr_assert_null(ir_verify(back));
  cr_assert_str_eq(print_text(&a, back), text);
  arena_free(&a);
}

Test(ir, variables_of_loops_lie_in_their_ranges) {
  Arena a;
  arena_init(&a, NULL);
  Builder b;
  build_init(&b, &a, "ranges");
  vec_push(&a, &b.k->sizes, "N");
  vec_push(&a, &b.k->sizes, "M");
  Val n = build_size(&b, 0), m = build_size(&b, 1), one = build_int(&b, 1), two = build_int(&b, 2);
  Array *o = build_array(&b, ARRAY_OUT, "o", STORE_REAL, 1, &n);
  Loop *l = build_open(&b, LOOP_PAR, one, n);
  Val i = l->index, yes = build_bool(&b, true), no = build_bool(&b, false), zero = build_int(&b, 0);
  cr_expect_eq(build_2(&b, IR_LT, i, n), yes);
  cr_expect_eq(build_2(&b, IR_GT, n, i), yes);
  cr_expect_eq(build_2(&b, IR_GE, i, n), no);
  cr_expect_eq(build_2(&b, IR_LE, n, i), no);
  cr_expect_eq(build_2(&b, IR_GE, i, one), yes);
  cr_expect_eq(build_2(&b, IR_GE, i, zero), yes);
  cr_expect_eq(build_2(&b, IR_LT, i, zero), no);
  cr_expect_eq(build_2(&b, IR_LE, zero, i), yes);
  Val not_known[] = {build_2(&b, IR_LT, i, m), build_2(&b, IR_GE, i, two), build_2(&b, IR_LE, i, one),
                     build_2(&b, IR_GT, i, one), build_2(&b, IR_LT, i, two)};
  for (int k = 0; k < 5; k++) cr_expect(not_known[k] != yes && not_known[k] != no, "%d", k);
  build_store(&b, o, build_float(&b, IR_REAL, 0), &i);
  build_close(&b, l);
  arena_free(&a);
}

Test(ir, broken_text_is_an_error_with_a_place) {
  static const struct { const char *text, *message;
  } bad[] = {
      {"", "found the end, expected 'kernel'"},
      {"kernel", "found the end, expected the kernel's name"},
      {"kernel t {", "found the end, expected a statement or '}'"},
      {"kernel t { } x", "found 'x', expected the end"},
      {"kernel t { %0 = add %1, %1 : int }", "found '%1', expected a value that is defined above"},
      {"kernel t { %0 = frob : int }", "found 'frob', expected an operation"},
      {"kernel t { %0 = const 99999999999999999999 : int }",
       "found '99999999999999999999', expected an integer of 64 bits"},
      {"kernel t { %0 = const true : int }", "found 'true', expected a literal of the constant's type"},
      {"kernel t { %0 = const } : int }", "found '}', expected a literal of the constant's type"},
      {"kernel t { %0 = const 1 : int %0 = const 1 : int }", "found '%0', expected a value that is not defined yet"},
      {"kernel t { %4294967296 = const 1 : int }", "found '%4294967296', expected a smaller value number"},
      {"kernel t { %99999999999999999999999 = const 1 : int }",
       "found '%99999999999999999999999', expected a smaller value number"},
      {"kernel t { %0 = const 1 : int %1 = load x[%0] : real }", "found 'x', expected an array declared above"},
      {"kernel t { size N, N }", "found 'N', expected a size of another name"},
      {"kernel t { temp a: int[] temp a: int[] }", "found 'a', expected an array of another name"},
      {"kernel t { in a: int[] input 5000000000 }", "found '5000000000', expected a small number"},
      {"kernel t { in a: int[] input -1 }", "found '-1', expected a small number"},
      {"kernel t { %0 = index : int }", "found 'index', expected an operation"},
      {"kernel t { %0 = const 0 : int reduce %1 in %0..%0 { } acc { %2 = frob %0 : int } }",
       "found 'frob', expected an accumulator such as 'sum'"},
      {"kernel t { %0 = const 0 : int reduce %1 in %0..%0 { } acc { %2 = sum %0 seed %0 : int } }",
       "found 'seed', expected no seed, because the reduction has none"},
      {"kernel t { where %0 }", "found 'where', expected '}'"},
      {"kernel t { \033[1m }", "found byte 27, expected a statement or '}'"},
      {"kernel t { $ }", "found '$', expected a statement or '}'"},
  };
  for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
    Arena a;
    arena_init(&a, NULL);
    const char *error = parse_error(&a, bad[n].text, strlen(bad[n].text));
    cr_assert_not_null(error, "%s", bad[n].text);
    cr_assert_str_eq(error, bad[n].message);
    arena_free(&a);
  }
}

Test(ir, nesting_is_bounded) {
  Arena a;
  arena_init(&a, NULL);
  enum { DEPTH = 100000 };
  char *text = arena_alloc(&a, 64 * DEPTH), *at = text;
  at += sprintf(at, "kernel t { %%0 = const 0 : int ");
  for (int n = 1; n < DEPTH; n++) at += sprintf(at, "par %%%d in %%0..%%0 { ", n);
  cr_assert_str_eq(parse_error(&a, text, (size_t)(at - text)), "found 'par', expected less nesting");
  arena_free(&a);
}

Test(ir, arrays_are_counted) {
  Arena a;
  arena_init(&a, NULL);
  enum { ARRAYS = 5000 };
  char *text = arena_alloc(&a, 32 * ARRAYS), *at = text;
  at += sprintf(at, "kernel t { ");
  for (int n = 0; n < ARRAYS; n++) at += sprintf(at, "temp a%d: int[] ", n);
  at += sprintf(at, "}");
  cr_assert_str_eq(parse_error(&a, text, (size_t)(at - text)), "found 'a4096', expected an array of another name");
  arena_free(&a);
}

static void mutate(char *text, size_t n, int64_t seed) {
  static const char bytes[] = "%{}[]=:,.0123456789-# \n\0abcdefghijklmnopqrstuvwxyz";
  int64_t changes = attn_rt_random_int(seed, 1, (int64_t[]){0}, 1, 4);
  for (int64_t c = 1; c <= changes; c++) {
    size_t at = (size_t)attn_rt_random_int(seed, 2, (int64_t[]){c, 0}, 0, (int64_t)n);
    text[at] = bytes[attn_rt_random_int(seed, 2, (int64_t[]){c, 1}, 0, (int64_t)sizeof bytes - 1)];
  }
}

/* Whatever the text: an error, or a kernel that the verifier refuses, or one that runs and round-trips. */
Test(ir, damaged_text_does_no_harm) {
  for (int64_t seed = 0; seed < 3000; seed++) {
    Arena a;
    arena_init(&a, NULL);
    const char *whole = read_whole(&a, files[seed % SHORT]);
    size_t n = strlen(whole);
    char *text = arena_strndup(&a, whole, n);
    mutate(text, n, seed);
    if (!parse_error(&a, text, n) && strlen(text) == n) {
      Kernel *k = read_text(&a, text);
      const char *once = print_text(&a, k);
      if (!ir_verify(k)) {
        cr_assert_str_eq(print_text(&a, read_text(&a, once)), once);
        cr_assert(same_results(&a, k, ir_run_passes(&a, k, NULL), (uint64_t)seed), "%s", once);
      }
    }
    arena_free(&a);
  }
}
