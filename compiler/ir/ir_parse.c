/* ir_parse: the text of ir_print.c back into a kernel, by recursive descent.
 *
 * The kernel is made directly, not by the builder: what is read is what was written, so that tests can feed
 * a pass, or the verifier, any kernel at all.  Only what the text's own form promises is checked here (names
 * and values are defined above their use, numbers fit); the rest is for ir_verify.
 *
 * The text is not trusted: nesting is bounded, names and values are by air_cursor.c. */
#include <errno.h>
#include <stdlib.h>

#include "ir/air_cursor.h"
#include "ir/solve.h"

enum { MAX_NESTING = 256 }; /* loops within loops: far above any model, far below the C stack */

static Val add_instr(AirCursor *p, Instr i, Region *home) {
  i.home = home;
  vec_push(p->arena, &p->k->instrs, i);
  return p->k->instrs.n - 1;
}

static Val append(AirCursor *p, Instr i, Region *home) {
  Val v = add_instr(p, i, home);
  vec_push(p->arena, &home->code, v);
  return v;
}

static IrType parse_type(AirCursor *p) {
  for (IrType t = IR_BOOL; t <= IR_WIDE; t++)
    if (air_accept_name(p, ir_type_name(t))) return t;
  air_fail(p, "bool, int, real or wide");
  return IR_VOID;
}

static IrType parse_type_note(AirCursor *p) {
  air_expect(p, ':');
  return parse_type(p);
}

/* ---- arrays ------------------------------------------------------------------------------------ */

static StoreType parse_store_type(AirCursor *p) {
  for (StoreType t = STORE_BOOL; t <= STORE_F32; t++)
    if (air_accept_name(p, ir_store_name(t))) return t;
  air_fail(p, "an element type");
  return STORE_BOOL;
}

static void parse_external(AirCursor *p, Array *a) {
  if (a->kind != ARRAY_IN && a->kind != ARRAY_OUT) return;
  air_expect_name(p, a->kind == ARRAY_IN ? "input" : "output");
  a->external = air_count(p, INT32_MAX);
  if (a->kind == ARRAY_OUT) return;
  if (air_accept_name(p, "indptr")) a->part = PART_INDPTR;
  else if (air_accept_name(p, "indices")) a->part = PART_INDICES;
}

static void parse_declaration(AirCursor *p, ArrayKind kind, Region *r, Span span) {
  Array *a = air_new_array(p, kind);
  if (!a) return;
  air_expect(p, ':');
  a->elem = parse_store_type(p);
  a->type = ir_store_type(a->elem);
  a->home = r;
  Vals dims = {0};
  air_expect(p, '[');
  air_uses(p, &dims, ']');
  air_expect(p, ']');
  a->rank = dims.n;
  a->dims = dims.at;
  parse_external(p, a);
  append(p, (Instr){.op = IR_ARRAY, .array = a, .span = span}, r);
}

/* ---- instructions ------------------------------------------------------------------------------ */

static void parse_number(AirCursor *p, Instr *i) {
  const char *text = air_text(p);
  errno = 0;
  if (i->type == IR_INT) i->integer = strtoll(text, NULL, 10);
  else i->number = strtod(text, NULL); /* what is too large reads as infinity, too small as 0 */
  if (i->type == IR_INT && (errno || p->tok.kind != TOK_INT)) air_fail(p, "an integer of 64 bits");
}

static void parse_const(AirCursor *p, Instr *i) {
  AirCursor literal = *p; /* the literal is read again once its type is known */
  air_advance(p);
  i->type = parse_type_note(p);
  if (p->failed) return;
  bool named = air_at_name(&literal, "nan") || air_at_name(&literal, "inf") || air_at_name(&literal, "-inf");
  bool floating = i->type == IR_REAL || i->type == IR_WIDE;
  bool number = literal.tok.kind == TOK_INT || literal.tok.kind == TOK_FLOAT;
  bool truth = i->type == IR_BOOL;
  if (truth && air_at_name(&literal, "true")) i->integer = 1;
  else if (!truth && (number || (floating && named))) parse_number(&literal, i);
  else if (!truth || !air_at_name(&literal, "false")) air_fail(&literal, "a literal of the constant's type");
  if (!literal.failed) return;
  p->failed = true;
  p->tok.kind = TOK_END;
}

static void parse_load(AirCursor *p, Instr *i) {
  i->array = air_array(p);
  Vals index = {0};
  air_expect(p, '[');
  air_uses(p, &index, ']');
  air_expect(p, ']');
  i->narg = index.n;
  i->arg = index.at;
}

static void parse_arguments(AirCursor *p, Instr *i) {
  Vals args = {0};
  air_uses(p, &args, 0);
  i->narg = args.n;
  i->arg = args.at;
}

static IrOp parse_op(AirCursor *p) {
  for (int op = 0; op < IR_OP_COUNT_; op++) {
    bool plain = ir_op_rule((IrOp)op) != 'v' && op != IR_INDEX && op != IR_RESULT;
    if (plain && air_accept_name(p, ir_op_name((IrOp)op))) return (IrOp)op;
  }
  air_fail(p, "an operation");
  return IR_CONST;
}

/* %n = op ... : type */
static void parse_value(AirCursor *p, Region *r, Span span) {
  uint32_t number = air_definition(p);
  air_expect(p, '=');
  Instr i = {.op = parse_op(p), .span = span};
  if (i.op == IR_CONST) {
    parse_const(p, &i);
  } else {
    if (i.op == IR_SIZE) i.integer = air_size(p);
    else if (i.op == IR_LOAD) parse_load(p, &i);
    else parse_arguments(p, &i);
    i.type = parse_type_note(p);
  }
  if (!p->failed) air_define(p, number, append(p, i, r));
}

/* store a[...], x */
static void parse_store(AirCursor *p, Region *r, Span span) {
  Instr i = {.op = IR_STORE, .span = span};
  i.array = air_array(p);
  Vals args = {0};
  vec_push(p->arena, &args, 0);
  air_expect(p, '[');
  air_uses(p, &args, ']');
  air_expect(p, ']');
  air_expect(p, ',');
  args.at[0] = air_use(p);
  i.narg = args.n;
  i.arg = args.at;
  if (!p->failed) append(p, i, r);
}

static Family parse_family(AirCursor *p) {
  for (int f = 0; f < FAMILY_COUNT_; f++)
    if (air_accept_name(p, ir_family_name((Family)f))) return (Family)f;
  air_fail(p, "the name of a routine");
  return FAMILY_TREE_SUM;
}

/* solve NAME [at] (integers) in arrays out arrays work array */
static void parse_solve(AirCursor *p, Region *r, Span span) {
  Instr i = {.op = IR_SOLVE, .span = span, .solve = NEW(p->arena, Solve)};
  Solve *s = i.solve;
  Vals args = {0};
  s->family = parse_family(p);
  air_expect(p, '[');
  air_uses(p, &args, ']');
  air_expect(p, ']');
  s->nat = args.n;
  air_expect(p, '(');
  air_uses(p, &args, ')');
  air_expect(p, ')');
  air_expect_name(p, "in");
  uint32_t n = ir_family_arrays(s->family);
  s->array = NEW_ARRAY(p->arena, Array *, n);
  for (uint32_t k = 0; k < n && !p->failed; k++) {
    if (k == ir_family_inputs(s->family)) air_expect_name(p, "out");
    else if (k) air_expect(p, ',');
    s->array[k] = air_array(p);
  }
  air_expect_name(p, "work");
  s->work = air_array(p);
  i.narg = args.n;
  i.arg = args.at;
  if (!p->failed) append(p, i, r);
}

static void parse_check(AirCursor *p, IrOp op, Region *r, Span span) {
  Instr i = {.op = op, .span = span};
  parse_arguments(p, &i);
  if (!p->failed) append(p, i, r);
}

/* ---- accumulators ------------------------------------------------------------------------------ */

static void parse_code(AirCursor *p, Region *r);

static Region *new_region(AirCursor *p, Region *parent, Loop *l) {
  Region *r = NEW(p->arena, Region);
  *r = (Region){.parent = parent, .depth = parent ? parent->depth + 1 : 0, .loop = l};
  return r;
}

static Val define_axis(AirCursor *p, Region *at) {
  uint32_t number = air_definition(p);
  Val v = add_instr(p, (Instr){.op = IR_INDEX, .type = IR_INT}, at);
  air_define(p, number, v);
  return v;
}

static void parse_axis_code(AirCursor *p, Contribution *c) {
  air_expect(p, '{');
  parse_code(p, c->at);
  air_expect_name(p, "yield");
  c->x = air_use(p);
  air_expect(p, '}');
}

static void parse_weight(AirCursor *p, AccKind kind, Contribution *c) {
  if (!ir_acc_takes_log_w(kind)) return;
  c->log_w = air_use(p);
  if (ir_acc_takes_x(kind)) air_expect_name(p, "of");
}

static void parse_body_contribution(AirCursor *p, Acc *a) {
  parse_weight(p, a->kind, &a->body);
  if (!ir_acc_takes_x(a->kind)) return;
  if (a->naxis) parse_axis_code(p, &a->body);
  else a->body.x = air_use(p);
}

static void parse_seed_axes(AirCursor *p, Loop *l, Acc *a) {
  a->seed.at = new_region(p, l->seed, l);
  a->seed.index = NEW_ARRAY(p->arena, Val, a->naxis);
  for (uint32_t n = 0; n < a->naxis; n++) {
    air_expect(p, n ? ',' : '[');
    a->seed.index[n] = define_axis(p, a->seed.at);
  }
  air_expect(p, ']');
  parse_axis_code(p, &a->seed);
}

static void parse_seed_contribution(AirCursor *p, Loop *l, Acc *a) {
  if (!l->seed && air_at_name(p, "seed")) air_fail(p, "no seed, because the reduction has none");
  if (!air_accept_name(p, "seed")) return;
  parse_weight(p, a->kind, &a->seed);
  if (!ir_acc_takes_x(a->kind)) return;
  if (a->naxis) parse_seed_axes(p, l, a);
  else a->seed.x = air_use(p);
}

/* r[%c in %lo..%hi, ...] */
static void parse_axes(AirCursor *p, Loop *l, Acc *a) {
  VEC(Axis) axes = {0};
  Vals index = {0};
  a->result_at = air_array(p);
  a->body.at = new_region(p, l->body, l);
  air_expect(p, '[');
  do {
    Axis x = {0};
    vec_push(p->arena, &index, define_axis(p, a->body.at));
    air_expect_name(p, "in");
    x.lo = air_use(p);
    air_expect_range(p);
    x.hi = air_use(p);
    vec_push(p->arena, &axes, x);
  } while (air_accept(p, ','));
  air_expect(p, ']');
  a->axes = axes.at;
  a->naxis = axes.n;
  a->body.index = index.at;
}

static AccKind parse_acc_kind(AirCursor *p) {
  for (AccKind a = ACC_SUM; a <= ACC_ARGMAX; a++)
    if (air_accept_name(p, ir_acc_name(a))) return a;
  air_fail(p, "an accumulator such as 'sum'");
  return ACC_SUM;
}

static void parse_acc(AirCursor *p, Loop *l, Region *home) {
  Acc *a = NEW(p->arena, Acc);
  Span span = p->tok.span;
  uint32_t number = 0;
  bool axes = p->tok.kind == TOK_NAME;
  if (axes) parse_axes(p, l, a);
  else number = air_definition(p);
  air_expect(p, '=');
  a->kind = parse_acc_kind(p);
  parse_body_contribution(p, a);
  parse_seed_contribution(p, l, a);
  a->type = parse_type_note(p);
  if (p->failed) return;
  if (!axes) {
    a->result = add_instr(p, (Instr){.op = IR_RESULT, .type = a->type, .loop = l, .span = span}, home);
    air_define(p, number, a->result);
  }
  vec_push(p->arena, &l->accs, a);
}

/* ---- loops ------------------------------------------------------------------------------------- */

static void parse_mask(AirCursor *p, Val *mask) {
  if (air_accept_name(p, "where")) *mask = air_use(p);
}

static void parse_reduction(AirCursor *p, Loop *l, Region *r) {
  parse_mask(p, &l->mask);
  air_expect(p, '}');
  if (air_accept_name(p, "seed")) {
    l->seed = new_region(p, r, l);
    air_expect(p, '{');
    parse_code(p, l->seed);
    parse_mask(p, &l->seed_mask);
    air_expect(p, '}');
  }
  air_expect_name(p, "acc");
  air_expect(p, '{');
  while (!p->failed && !air_at(p, '}')) parse_acc(p, l, r);
}

/* %i in %lo..%hi { ... } */
static void parse_loop(AirCursor *p, LoopKind kind, Region *r, Span span) {
  Loop *l = NEW(p->arena, Loop);
  *l = (Loop){.kind = kind, .span = span, .body = new_region(p, r, l)};
  uint32_t number = air_definition(p);
  air_expect_name(p, "in");
  l->lo = air_use(p);
  air_expect_range(p);
  l->hi = air_use(p);
  l->index = add_instr(p, (Instr){.op = IR_INDEX, .type = IR_INT, .loop = l, .span = span}, l->body);
  air_define(p, number, l->index);
  air_expect(p, '{');
  parse_code(p, l->body);
  if (kind == LOOP_REDUCE) parse_reduction(p, l, r);
  air_expect(p, '}');
  if (!p->failed) append(p, (Instr){.op = IR_LOOP, .loop = l, .span = span}, r);
}

/* ---- statements -------------------------------------------------------------------------------- */

static bool parse_if_loop(AirCursor *p, Region *r, Span span) {
  for (LoopKind kind = LOOP_PAR; kind <= LOOP_REDUCE; kind++) {
    if (!air_accept_name(p, ir_loop_name(kind))) continue;
    parse_loop(p, kind, r, span);
    return true;
  }
  return false;
}

static bool parse_if_array(AirCursor *p, Region *r, Span span) {
  for (ArrayKind kind = ARRAY_IN; kind <= ARRAY_LOCAL; kind++) {
    if (!air_accept_name(p, ir_array_kind_name(kind))) continue;
    parse_declaration(p, kind, r, span);
    return true;
  }
  return false;
}

static void parse_statement(AirCursor *p, Region *r) {
  Span span = p->tok.span;
  if (p->tok.kind == TOK_VALUE) parse_value(p, r, span);
  else if (air_accept_name(p, "store")) parse_store(p, r, span);
  else if (air_accept_name(p, "solve")) parse_solve(p, r, span);
  else if (air_accept_name(p, "check.index")) parse_check(p, IR_CHECK_INDEX, r, span);
  else if (air_accept_name(p, "check.nonzero")) parse_check(p, IR_CHECK_NONZERO, r, span);
  else if (air_accept_name(p, "check.clique")) parse_check(p, IR_CHECK_CLIQUE, r, span);
  else if (air_accept_name(p, "check.concave")) parse_check(p, IR_CHECK_CONCAVE, r, span);
  else if (!parse_if_loop(p, r, span) && !parse_if_array(p, r, span)) air_fail(p, "a statement or '}'");
}

static void parse_code(AirCursor *p, Region *r) {
  if (++p->nesting > MAX_NESTING) air_fail(p, "less nesting");
  while (!p->failed && !air_at(p, '}') && !air_at_name(p, "where") && !air_at_name(p, "yield")) parse_statement(p, r);
  p->nesting--;
}

static void parse_kernel(AirCursor *p) {
  air_expect_name(p, "kernel");
  p->k->name = air_name(p, "the kernel's name");
  air_expect(p, '{');
  if (air_accept_name(p, "size")) {
    do air_new_size(p);
    while (air_accept(p, ','));
  }
  parse_code(p, p->k->top);
  air_expect(p, '}');
  if (p->tok.kind != TOK_END) air_fail(p, "the end");
}

Kernel *ir_parse(Arena *arena, Diags *diags, const Source *source) {
  AirCursor p = {.arena = arena, .diags = diags, .source = source, .k = NEW(arena, Kernel)};
  p.k->arena = arena;
  p.k->top = new_region(&p, NULL, NULL);
  vec_push(arena, &p.k->instrs, (Instr){0});
  intern_init(&p.names, arena);
  air_advance(&p);
  parse_kernel(&p);
  return p.failed ? NULL : p.k;
}
