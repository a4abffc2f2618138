/* ir_parse: the text of ir_print.c back into a kernel, by recursive descent.
 *
 * The kernel is made directly, not by the builder: what is read is what was written, so that tests can feed
 * a pass, or the verifier, any kernel at all.  Only what the text's own form promises is checked here (names
 * and values are defined above their use, numbers fit); the rest is for ir_verify.
 *
 * The text is not trusted: nesting, the number of arrays and the size of value numbers are bounded.  After
 * the first error the parser sees nothing but the end of the text, so every loop below stops. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/intern.h"
#include "ir/air_token.h"
#include "ir/ir.h"
#include "ir/solve.h"

enum {
  MAX_NESTING = 256,   /* loops within loops: far above any model, far below the C stack */
  MAX_NAMES = 4096     /* arrays, sizes: the verifier compares each with each */
};

typedef VEC(Val) Vals;
typedef VEC(uint32_t) SymTable;

typedef struct Parser {
  Arena *arena;
  Diags *diags;
  const Source *source;
  Token tok;
  bool failed;
  uint32_t nesting;
  Kernel *k;
  Vals values; /* by the text's number; 0: not defined */
  Interner names;
  SymTable array_of, size_of; /* by Sym: 1 + place in the kernel's list */
} Parser;

/* ---- tokens ------------------------------------------------------------------------------------ */

static void fail(Parser *p, const char *expected) {
  if (p->failed) return;
  uint32_t n = p->tok.span.hi - p->tok.span.lo;
  const char *text = p->source->text + p->tok.span.lo;
  if (p->tok.kind == TOK_PUNCT && (*text <= ' ' || *text > '~'))
    diag_error(p->diags, p->tok.span, "found byte %u, expected %s", (unsigned char)*text, expected);
  else if (n) diag_error(p->diags, p->tok.span, "found '%.*s', expected %s", n > 40 ? 40 : (int)n, text, expected);
  else diag_error(p->diags, p->tok.span, "found the end, expected %s", expected);
  p->failed = true;
  p->tok.kind = TOK_END;
}

static void advance(Parser *p) {
  if (!p->failed) p->tok = air_token(p->source, p->tok.span.hi);
}

static bool at_punct(const Parser *p, char c) { return p->tok.kind == TOK_PUNCT && p->tok.punct == c; }

static bool at_name(const Parser *p, const char *name) { return air_token_is(p->source, p->tok, name); }

static bool accept(Parser *p, char c) {
  if (!at_punct(p, c)) return false;
  advance(p);
  return true;
}

static bool accept_name(Parser *p, const char *name) {
  if (!at_name(p, name)) return false;
  advance(p);
  return true;
}

static void expect(Parser *p, char c) {
  char what[4] = {'\'', c, '\'', 0};
  if (!accept(p, c)) fail(p, what);
}

static void expect_name(Parser *p, const char *name) {
  if (!accept_name(p, name)) fail(p, arena_printf(p->arena, "'%s'", name));
}

static void expect_range(Parser *p) {
  if (p->tok.kind == TOK_RANGE) advance(p);
  else fail(p, "'..'");
}

static const char *token_text(const Parser *p) {
  return arena_strndup(p->arena, p->source->text + p->tok.span.lo, p->tok.span.hi - p->tok.span.lo);
}

static const char *parse_name(Parser *p, const char *what) {
  if (p->tok.kind != TOK_NAME || p->source->text[p->tok.span.lo] == '-') {
    fail(p, what);
    return "";
  }
  const char *s = token_text(p);
  advance(p);
  return s;
}

/* An integer of at most `max`. */
static uint32_t parse_count(Parser *p, uint32_t max) {
  errno = 0;
  long long n = p->tok.kind == TOK_INT ? strtoll(token_text(p), NULL, 10) : -1;
  if (errno || n < 0 || n > max) {
    fail(p, "a small number");
    return 0;
  }
  advance(p);
  return (uint32_t)n;
}

/* ---- values ------------------------------------------------------------------------------------ */

/* The number after '%'.  A text cannot define more values than it has bytes, which bounds the table. */
static uint32_t parse_number_of_value(Parser *p) {
  if (p->tok.kind != TOK_VALUE) {
    fail(p, "a value such as %0");
    return 0;
  }
  errno = 0;
  unsigned long long n = strtoull(token_text(p) + 1, NULL, 10);
  if (errno || n >= p->source->size) {
    fail(p, "a smaller value number");
    return 0;
  }
  advance(p);
  return (uint32_t)n;
}

static Val parse_use(Parser *p) {
  Token tok = p->tok;
  uint32_t n = parse_number_of_value(p);
  Val v = !p->failed && n < p->values.n ? p->values.at[n] : 0;
  if (v || p->failed) return v;
  p->tok = tok;
  fail(p, "a value that is defined above");
  return 0;
}

static uint32_t parse_definition(Parser *p) {
  Token tok = p->tok;
  uint32_t n = parse_number_of_value(p);
  while (!p->failed && p->values.n <= n) vec_push(p->arena, &p->values, 0);
  if (p->failed || !p->values.at[n]) return n;
  p->tok = tok;
  fail(p, "a value that is not defined yet");
  return n;
}

static void define(Parser *p, uint32_t number, Val v) {
  if (!p->failed) p->values.at[number] = v;
}

static Val add_instr(Parser *p, Instr i, Region *home) {
  i.home = home;
  vec_push(p->arena, &p->k->instrs, i);
  return p->k->instrs.n - 1;
}

static Val append(Parser *p, Instr i, Region *home) {
  Val v = add_instr(p, i, home);
  vec_push(p->arena, &home->code, v);
  return v;
}

/* Values up to `close`, which is left; none if it comes at once. */
static void parse_uses(Parser *p, Vals *to, char close) {
  if (close && at_punct(p, close)) return;
  do vec_push(p->arena, to, parse_use(p));
  while (accept(p, ','));
}

static IrType parse_type(Parser *p) {
  for (IrType t = IR_BOOL; t <= IR_WIDE; t++)
    if (accept_name(p, ir_type_name(t))) return t;
  fail(p, "bool, int, real or wide");
  return IR_VOID;
}

static IrType parse_type_note(Parser *p) {
  expect(p, ':');
  return parse_type(p);
}

/* ---- names ------------------------------------------------------------------------------------- */

static uint32_t *slot(Parser *p, SymTable *t, const char *name) {
  Sym s = intern_str(&p->names, name);
  while (t->n <= s) vec_push(p->arena, t, 0);
  return &t->at[s];
}

static void add_size(Parser *p) {
  Token tok = p->tok;
  const char *name = parse_name(p, "the name of a size");
  uint32_t *known = slot(p, &p->size_of, name);
  if (*known || p->k->sizes.n == MAX_NAMES) {
    p->tok = tok;
    fail(p, "a size of another name");
    return;
  }
  vec_push(p->arena, &p->k->sizes, name);
  *known = p->k->sizes.n;
}

static int64_t parse_size(Parser *p) {
  Token tok = p->tok;
  const char *name = parse_name(p, "the name of a size");
  uint32_t known = *slot(p, &p->size_of, name);
  if (known) return known - 1;
  p->tok = tok;
  fail(p, "a size declared above");
  return 0;
}

static Array *parse_array(Parser *p) {
  Token tok = p->tok;
  const char *name = parse_name(p, "the name of an array");
  uint32_t known = *slot(p, &p->array_of, name);
  if (known) return p->k->arrays.at[known - 1];
  p->tok = tok;
  fail(p, "an array declared above");
  return NULL;
}

/* ---- arrays ------------------------------------------------------------------------------------ */

static StoreType parse_store_type(Parser *p) {
  for (StoreType t = STORE_BOOL; t <= STORE_F32; t++)
    if (accept_name(p, ir_store_name(t))) return t;
  fail(p, "an element type");
  return STORE_BOOL;
}

static void parse_external(Parser *p, Array *a) {
  if (a->kind != ARRAY_IN && a->kind != ARRAY_OUT) return;
  expect_name(p, a->kind == ARRAY_IN ? "input" : "output");
  a->external = parse_count(p, INT32_MAX);
  if (a->kind == ARRAY_OUT) return;
  if (accept_name(p, "indptr")) a->part = PART_INDPTR;
  else if (accept_name(p, "indices")) a->part = PART_INDICES;
}

static Array *new_array(Parser *p, ArrayKind kind) {
  Token tok = p->tok;
  const char *name = parse_name(p, "the name of an array");
  uint32_t *known = slot(p, &p->array_of, name);
  if (p->failed || *known || p->k->arrays.n == MAX_NAMES) {
    p->tok = tok;
    fail(p, "an array of another name");
    return NULL;
  }
  Array *a = NEW(p->arena, Array);
  *a = (Array){.id = p->k->arrays.n, .kind = kind, .name = name};
  vec_push(p->arena, &p->k->arrays, a);
  *known = p->k->arrays.n;
  return a;
}

static void parse_declaration(Parser *p, ArrayKind kind, Region *r, Span span) {
  Array *a = new_array(p, kind);
  if (!a) return;
  expect(p, ':');
  a->elem = parse_store_type(p);
  a->type = ir_store_type(a->elem);
  a->home = r;
  Vals dims = {0};
  expect(p, '[');
  parse_uses(p, &dims, ']');
  expect(p, ']');
  a->rank = dims.n;
  a->dims = dims.at;
  parse_external(p, a);
  append(p, (Instr){.op = IR_ARRAY, .array = a, .span = span}, r);
}

/* ---- instructions ------------------------------------------------------------------------------ */

static void parse_number(Parser *p, Instr *i) {
  const char *text = token_text(p);
  errno = 0;
  if (i->type == IR_INT) i->integer = strtoll(text, NULL, 10);
  else i->number = strtod(text, NULL); /* what is too large reads as infinity, too small as 0 */
  if (i->type == IR_INT && (errno || p->tok.kind != TOK_INT)) fail(p, "an integer of 64 bits");
}

static void parse_const(Parser *p, Instr *i) {
  Parser literal = *p; /* the literal is read again once its type is known */
  advance(p);
  i->type = parse_type_note(p);
  if (p->failed) return;
  bool named = at_name(&literal, "nan") || at_name(&literal, "inf") || at_name(&literal, "-inf");
  bool floating = i->type == IR_REAL || i->type == IR_WIDE;
  bool number = literal.tok.kind == TOK_INT || literal.tok.kind == TOK_FLOAT;
  if (i->type == IR_BOOL && at_name(&literal, "true")) i->integer = 1;
  else if (i->type != IR_BOOL && (number || (floating && named))) parse_number(&literal, i);
  else if (i->type != IR_BOOL || !at_name(&literal, "false")) fail(&literal, "a literal of the constant's type");
  if (!literal.failed) return;
  p->failed = true;
  p->tok.kind = TOK_END;
}

static void parse_load(Parser *p, Instr *i) {
  i->array = parse_array(p);
  Vals index = {0};
  expect(p, '[');
  parse_uses(p, &index, ']');
  expect(p, ']');
  i->narg = index.n;
  i->arg = index.at;
}

static void parse_arguments(Parser *p, Instr *i) {
  Vals args = {0};
  parse_uses(p, &args, 0);
  i->narg = args.n;
  i->arg = args.at;
}

static IrOp parse_op(Parser *p) {
  for (int op = 0; op < IR_OP_COUNT_; op++) {
    bool plain = ir_op_rule((IrOp)op) != 'v' && op != IR_INDEX && op != IR_RESULT;
    if (plain && accept_name(p, ir_op_name((IrOp)op))) return (IrOp)op;
  }
  fail(p, "an operation");
  return IR_CONST;
}

/* %n = op ... : type */
static void parse_value(Parser *p, Region *r, Span span) {
  uint32_t number = parse_definition(p);
  expect(p, '=');
  Instr i = {.op = parse_op(p), .span = span};
  if (i.op == IR_CONST) {
    parse_const(p, &i);
  } else {
    if (i.op == IR_SIZE) i.integer = parse_size(p);
    else if (i.op == IR_LOAD) parse_load(p, &i);
    else parse_arguments(p, &i);
    i.type = parse_type_note(p);
  }
  if (!p->failed) define(p, number, append(p, i, r));
}

/* store a[...], x */
static void parse_store(Parser *p, Region *r, Span span) {
  Instr i = {.op = IR_STORE, .span = span};
  i.array = parse_array(p);
  Vals args = {0};
  vec_push(p->arena, &args, 0);
  expect(p, '[');
  parse_uses(p, &args, ']');
  expect(p, ']');
  expect(p, ',');
  args.at[0] = parse_use(p);
  i.narg = args.n;
  i.arg = args.at;
  if (!p->failed) append(p, i, r);
}

static Family parse_family(Parser *p) {
  for (int f = 0; f < FAMILY_COUNT_; f++)
    if (accept_name(p, ir_family_name((Family)f))) return (Family)f;
  fail(p, "the name of a routine");
  return FAMILY_TREE_SUM;
}

/* solve NAME [at] (integers) in arrays out arrays work array */
static void parse_solve(Parser *p, Region *r, Span span) {
  Instr i = {.op = IR_SOLVE, .span = span, .solve = NEW(p->arena, Solve)};
  Solve *s = i.solve;
  Vals args = {0};
  s->family = parse_family(p);
  expect(p, '[');
  parse_uses(p, &args, ']');
  expect(p, ']');
  s->nat = args.n;
  expect(p, '(');
  parse_uses(p, &args, ')');
  expect(p, ')');
  expect_name(p, "in");
  uint32_t n = ir_family_arrays(s->family);
  s->array = NEW_ARRAY(p->arena, Array *, n);
  for (uint32_t k = 0; k < n && !p->failed; k++) {
    if (k == ir_family_inputs(s->family)) expect_name(p, "out");
    else if (k) expect(p, ',');
    s->array[k] = parse_array(p);
  }
  expect_name(p, "work");
  s->work = parse_array(p);
  i.narg = args.n;
  i.arg = args.at;
  if (!p->failed) append(p, i, r);
}

static void parse_check(Parser *p, IrOp op, Region *r, Span span) {
  Instr i = {.op = op, .span = span};
  parse_arguments(p, &i);
  if (!p->failed) append(p, i, r);
}

/* ---- accumulators ------------------------------------------------------------------------------ */

static void parse_code(Parser *p, Region *r);

static Region *new_region(Parser *p, Region *parent, Loop *l) {
  Region *r = NEW(p->arena, Region);
  *r = (Region){.parent = parent, .depth = parent ? parent->depth + 1 : 0, .loop = l};
  return r;
}

static Val define_axis(Parser *p, Region *at) {
  uint32_t number = parse_definition(p);
  Val v = add_instr(p, (Instr){.op = IR_INDEX, .type = IR_INT}, at);
  define(p, number, v);
  return v;
}

static void parse_axis_code(Parser *p, Contribution *c) {
  expect(p, '{');
  parse_code(p, c->at);
  expect_name(p, "yield");
  c->x = parse_use(p);
  expect(p, '}');
}

static void parse_weight(Parser *p, AccKind kind, Contribution *c) {
  if (!ir_acc_takes_log_w(kind)) return;
  c->log_w = parse_use(p);
  if (ir_acc_takes_x(kind)) expect_name(p, "of");
}

static void parse_body_contribution(Parser *p, Acc *a) {
  parse_weight(p, a->kind, &a->body);
  if (!ir_acc_takes_x(a->kind)) return;
  if (a->naxis) parse_axis_code(p, &a->body);
  else a->body.x = parse_use(p);
}

static void parse_seed_axes(Parser *p, Loop *l, Acc *a) {
  a->seed.at = new_region(p, l->seed, l);
  a->seed.index = NEW_ARRAY(p->arena, Val, a->naxis);
  for (uint32_t n = 0; n < a->naxis; n++) {
    expect(p, n ? ',' : '[');
    a->seed.index[n] = define_axis(p, a->seed.at);
  }
  expect(p, ']');
  parse_axis_code(p, &a->seed);
}

static void parse_seed_contribution(Parser *p, Loop *l, Acc *a) {
  if (!l->seed && at_name(p, "seed")) fail(p, "no seed, because the reduction has none");
  if (!accept_name(p, "seed")) return;
  parse_weight(p, a->kind, &a->seed);
  if (!ir_acc_takes_x(a->kind)) return;
  if (a->naxis) parse_seed_axes(p, l, a);
  else a->seed.x = parse_use(p);
}

/* r[%c in %lo..%hi, ...] */
static void parse_axes(Parser *p, Loop *l, Acc *a) {
  VEC(Axis) axes = {0};
  Vals index = {0};
  a->result_at = parse_array(p);
  a->body.at = new_region(p, l->body, l);
  expect(p, '[');
  do {
    Axis x = {0};
    vec_push(p->arena, &index, define_axis(p, a->body.at));
    expect_name(p, "in");
    x.lo = parse_use(p);
    expect_range(p);
    x.hi = parse_use(p);
    vec_push(p->arena, &axes, x);
  } while (accept(p, ','));
  expect(p, ']');
  a->axes = axes.at;
  a->naxis = axes.n;
  a->body.index = index.at;
}

static AccKind parse_acc_kind(Parser *p) {
  for (AccKind a = ACC_SUM; a <= ACC_ARGMAX; a++)
    if (accept_name(p, ir_acc_name(a))) return a;
  fail(p, "an accumulator such as 'sum'");
  return ACC_SUM;
}

static void parse_acc(Parser *p, Loop *l, Region *home) {
  Acc *a = NEW(p->arena, Acc);
  Span span = p->tok.span;
  uint32_t number = 0;
  bool axes = p->tok.kind == TOK_NAME;
  if (axes) parse_axes(p, l, a);
  else number = parse_definition(p);
  expect(p, '=');
  a->kind = parse_acc_kind(p);
  parse_body_contribution(p, a);
  parse_seed_contribution(p, l, a);
  a->type = parse_type_note(p);
  if (p->failed) return;
  if (!axes) {
    a->result = add_instr(p, (Instr){.op = IR_RESULT, .type = a->type, .loop = l, .span = span}, home);
    define(p, number, a->result);
  }
  vec_push(p->arena, &l->accs, a);
}

/* ---- loops ------------------------------------------------------------------------------------- */

static void parse_mask(Parser *p, Val *mask) {
  if (accept_name(p, "where")) *mask = parse_use(p);
}

static void parse_reduction(Parser *p, Loop *l, Region *r) {
  parse_mask(p, &l->mask);
  expect(p, '}');
  if (accept_name(p, "seed")) {
    l->seed = new_region(p, r, l);
    expect(p, '{');
    parse_code(p, l->seed);
    parse_mask(p, &l->seed_mask);
    expect(p, '}');
  }
  expect_name(p, "acc");
  expect(p, '{');
  while (!p->failed && !at_punct(p, '}')) parse_acc(p, l, r);
}

/* %i in %lo..%hi { ... } */
static void parse_loop(Parser *p, LoopKind kind, Region *r, Span span) {
  Loop *l = NEW(p->arena, Loop);
  *l = (Loop){.kind = kind, .span = span, .body = new_region(p, r, l)};
  uint32_t number = parse_definition(p);
  expect_name(p, "in");
  l->lo = parse_use(p);
  expect_range(p);
  l->hi = parse_use(p);
  l->index = add_instr(p, (Instr){.op = IR_INDEX, .type = IR_INT, .loop = l, .span = span}, l->body);
  define(p, number, l->index);
  expect(p, '{');
  parse_code(p, l->body);
  if (kind == LOOP_REDUCE) parse_reduction(p, l, r);
  expect(p, '}');
  if (!p->failed) append(p, (Instr){.op = IR_LOOP, .loop = l, .span = span}, r);
}

/* ---- statements -------------------------------------------------------------------------------- */

static bool parse_if_loop(Parser *p, Region *r, Span span) {
  for (LoopKind kind = LOOP_PAR; kind <= LOOP_REDUCE; kind++) {
    if (!accept_name(p, ir_loop_name(kind))) continue;
    parse_loop(p, kind, r, span);
    return true;
  }
  return false;
}

static bool parse_if_array(Parser *p, Region *r, Span span) {
  for (ArrayKind kind = ARRAY_IN; kind <= ARRAY_LOCAL; kind++) {
    if (!accept_name(p, ir_array_kind_name(kind))) continue;
    parse_declaration(p, kind, r, span);
    return true;
  }
  return false;
}

static void parse_statement(Parser *p, Region *r) {
  Span span = p->tok.span;
  if (p->tok.kind == TOK_VALUE) parse_value(p, r, span);
  else if (accept_name(p, "store")) parse_store(p, r, span);
  else if (accept_name(p, "solve")) parse_solve(p, r, span);
  else if (accept_name(p, "check.index")) parse_check(p, IR_CHECK_INDEX, r, span);
  else if (accept_name(p, "check.nonzero")) parse_check(p, IR_CHECK_NONZERO, r, span);
  else if (accept_name(p, "check.clique")) parse_check(p, IR_CHECK_CLIQUE, r, span);
  else if (accept_name(p, "check.concave")) parse_check(p, IR_CHECK_CONCAVE, r, span);
  else if (!parse_if_loop(p, r, span) && !parse_if_array(p, r, span)) fail(p, "a statement or '}'");
}

static void parse_code(Parser *p, Region *r) {
  if (++p->nesting > MAX_NESTING) fail(p, "less nesting");
  while (!p->failed && !at_punct(p, '}') && !at_name(p, "where") && !at_name(p, "yield")) parse_statement(p, r);
  p->nesting--;
}

static void parse_kernel(Parser *p) {
  expect_name(p, "kernel");
  p->k->name = parse_name(p, "the kernel's name");
  expect(p, '{');
  if (accept_name(p, "size")) {
    do add_size(p);
    while (accept(p, ','));
  }
  parse_code(p, p->k->top);
  expect(p, '}');
  if (p->tok.kind != TOK_END) fail(p, "the end");
}

Kernel *ir_parse(Arena *arena, Diags *diags, const Source *source) {
  Parser p = {.arena = arena, .diags = diags, .source = source, .k = NEW(arena, Kernel)};
  p.k->arena = arena;
  p.k->top = new_region(&p, NULL, NULL);
  vec_push(arena, &p.k->instrs, (Instr){0});
  intern_init(&p.names, arena);
  advance(&p);
  parse_kernel(&p);
  return p.failed ? NULL : p.k;
}
