/* expr: names of loops and values of a kernel as text.
 *
 * A loop carries the place of the index or edge it runs over, and so its name; the axes that a reduction
 * carries have none and are named after their size. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "explain/facts.h"
#include "model/term.h"

enum { DEEPEST = 7 }; /* of an expression that is shown; below it stands "..." */

static bool same_span(Span a, Span b) { return a.lo == b.lo && a.hi == b.hi; }

static const LoopName *find_name(const Facts *f, const Loop *l) {
  for (uint32_t i = 0; l && i < f->names.n; i++)
    if (same_span(f->names.at[i].span, l->span)) return &f->names.at[i];
  return NULL;
}

static const char *lower(const Facts *f, const char *name) {
  char *s = arena_printf(f->arena, "%s", name);
  for (char *c = s; *c; c++) *c = (char)tolower((unsigned char)*c);
  return s;
}

static const char *name_by_bound(const Facts *f, Val hi) {
  const Instr *i = hi ? ir_at(f->k, hi) : NULL;
  return i && i->op == IR_SIZE ? lower(f, f->k->sizes.at[i->integer]) : "_";
}

const char *loop_name(const Facts *f, const Loop *l) {
  const LoopName *n = find_name(f, l);
  return n ? n->name : l->kind == LOOP_SEQ ? "step" : name_by_bound(f, l->hi);
}

Edge *loop_edge(const Facts *f, const Loop *l) {
  const LoopName *n = find_name(f, l);
  return n ? n->edge : NULL;
}

static bool runs_once(const Facts *f, const Loop *l) {
  const Instr *lo = ir_at(f->k, l->lo), *hi = ir_at(f->k, l->hi);
  return lo->op == IR_CONST && hi->op == IR_CONST && hi->integer - lo->integer == 1;
}

static void add_loop(const Facts *f, const Region *r, FILE *to, bool *first) {
  if (!r) return;
  add_loop(f, r->parent, to, first);
  if (!r->loop || r != r->loop->body || runs_once(f, r->loop)) return;
  fprintf(to, "%s%s", *first ? "" : ", ", loop_name(f, r->loop));
  *first = false;
}

const char *loops_text(const Facts *f, const Region *r) {
  Text *text = text_open(f->arena);
  bool first = true;
  add_loop(f, r, text->to, &first);
  return text_close(text, NULL);
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static void say(const Facts *f, Val v, int depth, bool brackets, FILE *to);

static const char *infix(IrOp op) {
  switch ((int)op) {
  case IR_ADD: case IR_LOGMUL: return " + ";
  case IR_SUB: return " - ";
  case IR_MUL: return " * ";
  case IR_DIV: return " / ";
  case IR_FLOORDIV: return " // ";
  case IR_MOD: return " % ";
  case IR_EQ: return " == ";
  case IR_NE: return " != ";
  case IR_LT: return " < ";
  case IR_LE: return " <= ";
  case IR_GT: return " > ";
  case IR_GE: return " >= ";
  case IR_AND: return " and ";
  case IR_OR: return " or ";
  default: return NULL;
  }
}

static void say_constant(const Instr *i, FILE *to) {
  if (i->type == IR_BOOL) fputs(i->integer ? "true" : "false", to);
  else if (i->type == IR_INT) fprintf(to, "%lld", (long long)i->integer);
  else fprintf(to, "%.6g", i->number);
}

static void say_list(const Facts *f, const Instr *i, const char *open, const char *close, int depth, FILE *to) {
  fputs(open, to);
  for (uint32_t n = 0; n < i->narg; n++) {
    if (n) fputs(", ", to);
    say(f, i->arg[n], depth, false, to);
  }
  fputs(close, to);
}

static void say_acc(const Facts *f, const Loop *l, const Acc *a, int depth, FILE *to) {
  const char *name = loop_name(f, l);
  switch (a->kind) {
  case ACC_LSE: fprintf(to, "(log sum of the weights over %s)", name); return;
  case ACC_MASS: fprintf(to, "(log sum of the weights over %s, less the largest log weight)", name); return;
  case ACC_ENTROPY: fprintf(to, "(entropy over %s)", name); return;
  case ACC_EXPECT: fprintf(to, "E_%s[", name); break;
  case ACC_ARGMAX: fprintf(to, "(most probable %s)", name); return;
  case ACC_SUM: case ACC_PROD: case ACC_MAX: case ACC_MIN: case ACC_ANY: case ACC_ALL:
    fprintf(to, "%s_%s(", ir_acc_name(a->kind), name);
    break;
  }
  say(f, a->body.x, depth, false, to);
  fputs(a->kind == ACC_EXPECT ? "]" : ")", to);
}

static void say_load(const Facts *f, const Instr *i, int depth, FILE *to) {
  const Array *a = i->array;
  if (a->kind == ARRAY_LOCAL && f->acc_at[a->id]) {
    say_acc(f, f->loop_at[a->id], f->acc_at[a->id], depth, to);
    return;
  }
  if (a->kind == ARRAY_IN && a->part == PART_INDICES) { /* the edge is the neighbour, its position no matter */
    say(f, i->arg[0], depth, false, to);
    return;
  }
  fputs(strncmp(a->name, "let.", 4) ? a->name : a->name + 4, to);
  if (i->narg) say_list(f, i, "[", "]", depth, to);
}

static bool is_op(const Facts *f, Val v, IrOp op) {
  while (ir_at(f->k, v)->op == IR_CONVERT) v = ir_at(f->k, v)->arg[0];
  return ir_at(f->k, v)->op == op;
}

static void say_if(const Facts *f, const Instr *i, int depth, bool brackets, FILE *to) {
  fputs(brackets ? "(if " : "if ", to);
  say(f, i->arg[0], depth, false, to);
  fputs(" then ", to);
  say(f, i->arg[1], depth, false, to);
  fputs(" else ", to);
  say(f, i->arg[2], depth, false, to);
  if (brackets) fputc(')', to);
}

/* max(N, 0), which guards against ranges that run backwards, is N for a size. */
static bool is_beyond(const Facts *f, const Instr *i) {
  return i->op == IR_MIN && is_op(f, i->arg[1], IR_CONST) && ir_at(f->k, i->arg[1])->type == IR_INT &&
         ir_at(f->k, i->arg[1])->integer >= (1 << 30);
}

static bool is_guarded_size(const Facts *f, const Instr *i) {
  return i->op == IR_MAX && is_op(f, i->arg[0], IR_SIZE) && is_op(f, i->arg[1], IR_CONST) &&
         ir_at(f->k, i->arg[1])->integer == 0;
}

static void say_op(const Facts *f, const Instr *i, int depth, bool brackets, FILE *to) {
  const char *between = infix(i->op);
  if (is_guarded_size(f, i) || is_beyond(f, i)) {
    say(f, i->arg[0], depth, brackets, to);
    return;
  }
  if (i->op == IR_SELECT) {
    say_if(f, i, depth, brackets, to);
    return;
  }
  if (between) {
    if (brackets) fputc('(', to);
    say(f, i->arg[0], depth, true, to);
    fputs(between, to);
    say(f, i->arg[1], depth, true, to);
    if (brackets) fputc(')', to);
  } else if (i->op == IR_NEG || i->op == IR_NOT) {
    bool twice = is_op(f, i->arg[0], i->op);
    fputs(i->op == IR_NEG ? "-" : "not ", to);
    fputs(twice ? "(" : "", to);
    say(f, i->arg[0], depth, true, to);
    fputs(twice ? ")" : "", to);
  } else {
    fputs(ir_op_name(i->op), to);
    say_list(f, i, "(", ")", depth, to);
  }
}

static const char *axis_name(const Facts *f, Val v) { return name_by_bound(f, f->axis[v].hi); }

static void say(const Facts *f, Val v, int depth, bool brackets, FILE *to) {
  const Instr *i = ir_at(f->k, v);
  if (!v || depth == 0) {
    fputs("...", to);
    return;
  }
  switch ((int)i->op) {
  case IR_CONST: say_constant(i, to); return;
  case IR_SIZE: fputs(f->k->sizes.at[i->integer], to); return;
  case IR_INDEX: fputs(i->loop ? loop_name(f, i->loop) : axis_name(f, v), to); return;
  case IR_CONVERT: say(f, i->arg[0], depth, brackets, to); return;
  case IR_LOAD: say_load(f, i, depth - 1, to); return;
  case IR_RESULT:
    if (f->acc_of[v]) say_acc(f, i->loop, f->acc_of[v], depth - 1, to);
    else fputs("...", to);
    return;
  default: say_op(f, i, depth - 1, brackets, to); return;
  }
}

const char *value_text(const Facts *f, Val v) {
  Text *text = text_open(f->arena);
  say(f, v, DEEPEST, false, text->to);
  return text_close(text, NULL);
}

static const char *vector(const Facts *f, const Acc *a) {
  char *text = arena_printf(f->arena, "%s", "");
  for (uint32_t i = 0; i < a->naxis; i++)
    text = arena_printf(f->arena, "%s, for every %s", text, a->body.index ? axis_name(f, a->body.index[i]) : "_");
  return text;
}

/* Do the accumulators of a loop take different weights? */
static bool has_two_weights(const Loop *l) {
  Val first = 0;
  for (uint32_t i = 0; i < l->accs.n; i++) {
    Val log_w = l->accs.at[i]->body.log_w;
    if (first && log_w && log_w != first) return true;
    if (!first) first = log_w;
  }
  return false;
}

static bool is_one(const Facts *f, Val v) {
  while (v && ir_at(f->k, v)->op == IR_CONVERT) v = ir_at(f->k, v)->arg[0];
  const Instr *i = ir_at(f->k, v);
  return i->op == IR_CONST && (i->type == IR_INT ? i->integer == 1 : i->number == 1);
}

/* Noise that makes the largest weight a draw. */
static bool has_noise(const Facts *f, Val v, int depth) {
  const Instr *i = ir_at(f->k, v);
  if (i->op == IR_RANDOM) return true;
  for (uint32_t n = 0; depth && n < i->narg; n++)
    if (has_noise(f, i->arg[n], depth - 1)) return true;
  return false;
}

static bool is_log_weight(const Loop *l, Val x) {
  for (uint32_t i = 0; i < l->accs.n; i++)
    if (x && l->accs.at[i]->body.log_w == x) return true;
  return false;
}

const char *acc_text(const Facts *f, const Loop *l, const Acc *a) {
  const char *name = loop_name(f, l), *tail = vector(f, a);
  if (a->kind == ACC_SUM && is_one(f, a->body.x)) return "the number of values";
  switch (a->kind) {
  case ACC_LSE:
    if (has_two_weights(l)) return arena_printf(f->arena, "log sum exp of %s", value_text(f, a->body.log_w));
    return "the log of the sum of weights";
  case ACC_MASS: return "the log of the sum of weights, less the largest log weight";
  case ACC_ENTROPY: return "the entropy";
  case ACC_EXPECT: return arena_printf(f->arena, "the mean of %s%s", value_text(f, a->body.x), tail);
  case ACC_ARGMAX:
    return arena_printf(f->arena,
                        has_noise(f, a->body.log_w, DEEPEST) ? "one draw of %s (the largest log weight with noise)"
                                                             : "the most probable %s",
                        name);
  case ACC_SUM: return arena_printf(f->arena, "the sum of %s%s", value_text(f, a->body.x), tail);
  case ACC_PROD: return arena_printf(f->arena, "the product of %s%s", value_text(f, a->body.x), tail);
  case ACC_MAX:
    if (is_log_weight(l, a->body.x)) return "the largest log weight";
    return arena_printf(f->arena, "the largest %s%s", value_text(f, a->body.x), tail);
  case ACC_MIN: return arena_printf(f->arena, "the smallest %s%s", value_text(f, a->body.x), tail);
  case ACC_ANY: return arena_printf(f->arena, "whether any has %s%s", value_text(f, a->body.x), tail);
  case ACC_ALL: return arena_printf(f->arena, "whether all have %s%s", value_text(f, a->body.x), tail);
  }
  return "?";
}
