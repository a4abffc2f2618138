/* ir_print: a kernel as text (.air), which ir_parse reads back.
 *
 *     kernel NAME {
 *       size M, N
 *       %0 = size M : int
 *       in q: real[%0] input 0            how an element is stored, dimensions, Array.external
 *       in a.ptr: int[%1] input 1 indptr
 *       par %2 in %1..%0 {
 *         reduce %3 in %1..%0 {
 *           ...
 *           where %9                      the mask, as the last line of the body or the seed
 *         } seed {
 *           ...
 *         } acc {
 *           %10 = expect %4 of %5 seed %6 of %7 : wide
 *           r[%11 in %1..%0] = expect %4 of { ... yield %12 } seed %6 of [%13] { ... yield %14 } : wide
 *         }
 *         store o[%2], %10
 *       }
 *     }
 *
 * Every value is named once, before its uses, and numbered in that order: two kernels that differ only in the
 * order in which their instructions were made print the same.  Numbers with a fraction are printed with as
 * many digits as reading them back takes. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ir/ir.h"
#include "ir/solve.h"

typedef struct Printer {
  const Kernel *k;
  FILE *to;
  uint32_t *number; /* by Val: printed number + 1; 0: not defined yet */
  uint32_t next;
} Printer;

static void print_code(Printer *p, const Region *r, int indent);

static void start_line(Printer *p, int indent) { fprintf(p->to, "%*s", 2 * indent, ""); }

static void define(Printer *p, Val v) {
  if (v && v < p->k->instrs.n) p->number[v] = ++p->next;
}

/* A use that is not defined above is printed too: broken kernels are printed to be looked at. */
static void print_use(Printer *p, Val v) {
  if (v && v < p->k->instrs.n && p->number[v]) fprintf(p->to, "%%%u", p->number[v] - 1);
  else fprintf(p->to, "%%undefined.%u", v);
}

static void print_definition(Printer *p, Val v) {
  define(p, v);
  print_use(p, v);
}

static void print_uses(Printer *p, const Val *v, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (i) fputs(", ", p->to);
    print_use(p, v[i]);
  }
}

static void print_element(Printer *p, const Array *a, const Val *index, uint32_t n) {
  fprintf(p->to, "%s[", a->name);
  print_uses(p, index, n);
  fputc(']', p->to);
}

static void print_range(Printer *p, Val lo, Val hi) {
  print_use(p, lo);
  fputs("..", p->to);
  print_use(p, hi);
}

static void print_number(Printer *p, double x) {
  if (isnan(x)) {
    fputs("nan", p->to);
    return;
  }
  char text[40];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  fputs(text, p->to);
}

static void print_const(Printer *p, const Instr *i) {
  if (i->type == IR_BOOL) fputs(i->integer ? "true" : "false", p->to);
  else if (i->type == IR_INT) fprintf(p->to, "%" PRId64, i->integer);
  else print_number(p, i->number);
}

static void print_size(Printer *p, const Instr *i) {
  bool known = i->integer >= 0 && i->integer < (int64_t)p->k->sizes.n;
  fputs(known ? p->k->sizes.at[i->integer] : "undefined", p->to);
}

static void print_array(Printer *p, const Array *a, int indent) {
  start_line(p, indent);
  fprintf(p->to, "%s %s: %s[", ir_array_kind_name(a->kind), a->name, ir_store_name(a->elem));
  print_uses(p, a->dims, a->rank);
  fputc(']', p->to);
  if (a->kind == ARRAY_IN) fprintf(p->to, " input %u", a->external);
  if (a->kind == ARRAY_OUT) fprintf(p->to, " output %u", a->external);
  if (a->kind == ARRAY_IN && a->part == PART_INDPTR) fputs(" indptr", p->to);
  if (a->kind == ARRAY_IN && a->part == PART_INDICES) fputs(" indices", p->to);
  fputc('\n', p->to);
}

/* `{ code; yield x }` of an accumulator with axes, else x. */
static void print_x(Printer *p, const Contribution *c, int indent) {
  if (!c->at) {
    print_use(p, c->x);
    return;
  }
  fputs("{\n", p->to);
  print_code(p, c->at, indent + 1);
  start_line(p, indent + 1);
  fputs("yield ", p->to);
  print_use(p, c->x);
  fputc('\n', p->to);
  start_line(p, indent);
  fputc('}', p->to);
}

static void print_weight(Printer *p, AccKind kind, const Contribution *c) {
  if (!ir_acc_takes_log_w(kind)) return;
  fputc(' ', p->to);
  print_use(p, c->log_w);
  if (ir_acc_takes_x(kind)) fputs(" of", p->to);
}

static void print_body_contribution(Printer *p, const Acc *a, int indent) {
  print_weight(p, a->kind, &a->body);
  if (!ir_acc_takes_x(a->kind)) return;
  fputc(' ', p->to);
  print_x(p, &a->body, indent);
}

static void print_seed_contribution(Printer *p, const Acc *a, int indent) {
  if (!a->seed.log_w && !a->seed.x) return;
  fputs(" seed", p->to);
  print_weight(p, a->kind, &a->seed);
  if (!ir_acc_takes_x(a->kind)) return;
  fputc(' ', p->to);
  for (uint32_t i = 0; a->seed.at && i < a->naxis; i++) {
    fputs(i ? ", " : "[", p->to);
    print_definition(p, a->seed.index[i]);
  }
  if (a->seed.at) fputs("] ", p->to);
  print_x(p, &a->seed, indent);
}

static void print_result_array(Printer *p, const Acc *a) {
  fprintf(p->to, "%s[", a->result_at ? a->result_at->name : "undefined");
  for (uint32_t i = 0; i < a->naxis; i++) {
    if (i) fputs(", ", p->to);
    print_definition(p, a->body.index[i]);
    fputs(" in ", p->to);
    print_range(p, a->axes[i].lo, a->axes[i].hi);
  }
  fputc(']', p->to);
}

static void print_acc(Printer *p, const Acc *a, int indent) {
  start_line(p, indent);
  if (a->naxis) print_result_array(p, a);
  else print_definition(p, a->result);
  fprintf(p->to, " = %s", ir_acc_name(a->kind));
  print_body_contribution(p, a, indent);
  print_seed_contribution(p, a, indent);
  fprintf(p->to, " : %s\n", ir_type_name(a->type));
}

static void print_masked(Printer *p, const Region *r, Val mask, int indent) {
  print_code(p, r, indent);
  if (!mask) return;
  start_line(p, indent);
  fputs("where ", p->to);
  print_use(p, mask);
  fputc('\n', p->to);
}

static void print_reduction(Printer *p, const Loop *l, int indent) {
  print_masked(p, l->body, l->mask, indent + 1);
  start_line(p, indent);
  if (l->seed) {
    fputs("} seed {\n", p->to);
    print_masked(p, l->seed, l->seed_mask, indent + 1);
    start_line(p, indent);
  }
  fputs("} acc {\n", p->to);
  for (uint32_t i = 0; i < l->accs.n; i++) print_acc(p, l->accs.at[i], indent + 1);
}

static void print_loop(Printer *p, const Loop *l, int indent) {
  start_line(p, indent);
  fprintf(p->to, "%s ", ir_loop_name(l->kind));
  print_definition(p, l->index);
  fputs(" in ", p->to);
  print_range(p, l->lo, l->hi);
  fputs(" {\n", p->to);
  if (l->kind == LOOP_REDUCE) print_reduction(p, l, indent);
  else print_code(p, l->body, indent + 1);
  start_line(p, indent);
  fputs("}\n", p->to);
}

/* solve NAME [at] (integers) in arrays out arrays work array */
static void print_solve(Printer *p, const Instr *i, int indent) {
  const Solve *s = i->solve;
  start_line(p, indent);
  fprintf(p->to, "solve %s [", ir_family_name(s->family));
  print_uses(p, i->arg, s->nat);
  fputs("] (", p->to);
  print_uses(p, i->arg + s->nat, i->narg - s->nat);
  fputs(") in ", p->to);
  for (uint32_t k = 0; k < ir_family_arrays(s->family); k++) {
    bool first_out = k == ir_family_inputs(s->family);
    fprintf(p->to, "%s%s", first_out ? " out " : k ? ", " : "", s->array[k]->name);
  }
  fprintf(p->to, " work %s\n", s->work->name);
}

static void print_effect(Printer *p, const Instr *i, int indent) {
  start_line(p, indent);
  fputs(ir_op_name(i->op), p->to);
  fputc(' ', p->to);
  if (i->op == IR_STORE && i->narg) {
    print_element(p, i->array, i->arg + 1, i->narg - 1);
    fputs(", ", p->to);
    print_use(p, i->arg[0]);
  } else {
    print_uses(p, i->arg, i->narg);
  }
  fputc('\n', p->to);
}

static void print_value(Printer *p, Val v, int indent) {
  const Instr *i = ir_at(p->k, v);
  start_line(p, indent);
  print_definition(p, v);
  fprintf(p->to, " = %s ", ir_op_name(i->op));
  if (i->op == IR_CONST) print_const(p, i);
  else if (i->op == IR_SIZE) print_size(p, i);
  else if (i->op == IR_LOAD) print_element(p, i->array, i->arg, i->narg);
  else print_uses(p, i->arg, i->narg);
  fprintf(p->to, " : %s\n", ir_type_name(i->type));
}

static void print_code(Printer *p, const Region *r, int indent) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (i->op == IR_LOOP) print_loop(p, i->loop, indent);
    else if (i->op == IR_ARRAY) print_array(p, i->array, indent);
    else if (i->op == IR_SOLVE) print_solve(p, i, indent);
    else if (ir_op_rule(i->op) == 'v') print_effect(p, i, indent);
    else print_value(p, r->code.at[n], indent);
  }
}

static void print_sizes(Printer *p) {
  for (uint32_t i = 0; i < p->k->sizes.n; i++) fprintf(p->to, "%s%s", i ? ", " : "  size ", p->k->sizes.at[i]);
  if (p->k->sizes.n) fputc('\n', p->to);
}

void ir_print(const Kernel *k, FILE *to) {
  ArenaMark mark = arena_mark(k->arena);
  Printer p = {.k = k, .to = to, .number = NEW_ARRAY(k->arena, uint32_t, k->instrs.n)};
  fprintf(to, "kernel %s {\n", k->name);
  print_sizes(&p);
  print_code(&p, k->top, 1);
  fputs("}\n", to);
  arena_release(k->arena, mark);
}
