/* balance: see balance.h.
 *
 * With work(r) = ptr[lo + r] - ptr[lo] + ROW_WORK r, the work before row r, item k begins at the first row before which
 * there is at least k / items of all work, found by bisection.  So items cost about the same whatever degrees the rows
 * have, but for single rows that cost more. */
#include "back/balance.h"
#include "back/whole.h"

enum { ROW_WORK = 4 }; /* what a row costs beside its elements, in elements */

typedef LLVMValueRef V;

static bool is_border(const Kernel *k, Val v, const Loop *rows, bool next) {
  const Instr *i = ir_at(k, v);
  if (i->op != IR_LOAD || i->array->kind != ARRAY_IN || i->narg != 1) return false;
  if (!next) return i->arg[0] == rows->index;
  const Instr *at = ir_at(k, i->arg[0]);
  if (at->op != IR_ADD) return false;
  for (int n = 0; n < 2; n++) {
    const Instr *one = ir_at(k, at->arg[1 - n]);
    if (at->arg[n] == rows->index && one->op == IR_CONST && one->integer == 1) return true;
  }
  return false;
}

/* Where a range lo .. hi ends that is empty if it falls: hi, of max(lo, hi). */
static Val end_of(const Kernel *k, const Loop *l) {
  const Instr *i = ir_at(k, l->hi);
  if (i->op != IR_MAX) return l->hi;
  return i->arg[0] == l->lo ? i->arg[1] : i->arg[1] == l->lo ? i->arg[0] : l->hi;
}

Balance balance_of(const Kernel *k, const Loop *rows) {
  for (uint32_t n = 0; n < rows->body->code.n; n++) {
    const Instr *i = ir_at(k, rows->body->code.at[n]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE) continue;
    const Loop *l = i->loop;
    if (!is_border(k, l->lo, rows, false) || !is_border(k, end_of(k, l), rows, true)) continue;
    const Instr *first = ir_at(k, l->lo), *behind = ir_at(k, end_of(k, l));
    if (first->array == behind->array) return (Balance){first, behind, l};
  }
  return (Balance){0};
}

/* The list's element at the row `at`, or the one behind it. */
static V border_at(Emit *e, const Balance *b, const Loop *l, V at, bool next) {
  V kept = e->val[l->index], position = plus(e, e->val[l->lo], at);
  e->val[l->index] = position;
  e->range[l->index] = (IndexRange){l->lo, l->hi};
  Val arg = b->behind->arg[0];
  V was = e->val[arg];
  if (next) e->val[arg] = plus(e, position, const_int(e, 1));
  V v = array_load(e, next ? b->behind : b->first);
  e->val[arg] = was;
  e->val[l->index] = kept;
  return v;
}

static V work_before(Emit *e, const Balance *b, const Loop *l, V start, V row) {
  V elements = LLVMBuildSub(e->b, border_at(e, b, l, row, false), start, "");
  return plus(e, elements, LLVMBuildMul(e->b, row, const_int(e, ROW_WORK), ""));
}

typedef struct Search { Emit *e; const Balance *b; const Loop *l; V start, want; } Search;

/* Between what the cells low and high hold the least row that is enough, if all behind it are. */
static V bisect(const Search *s, V low, V high, V (*enough)(const Search *s, V middle)) {
  Emit *e = s->e;
  LLVMBasicBlockRef head = block_new(e, "bisect"), body = block_new(e, "halve"), found = block_new(e, "found");
  block_go(e, head);
  V a = LLVMBuildLoad2(e->b, e->t.i64, low, ""), z = LLVMBuildLoad2(e->b, e->t.i64, high, "");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, z, ""), body, found);
  LLVMPositionBuilderAtEnd(e->b, body);
  V one = const_int(e, 1), middle = LLVMBuildLShr(e->b, plus(e, a, z), one, ""), there = enough(s, middle);
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, there, a, plus(e, middle, one), ""), low);
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, there, middle, z, ""), high);
  LLVMBuildBr(e->b, head);
  LLVMMoveBasicBlockAfter(found, body);
  LLVMPositionBuilderAtEnd(e->b, found);
  return a;
}

static V has_worked(const Search *s, V row) {
  return LLVMBuildICmp(s->e->b, LLVMIntSGE, work_before(s->e, s->b, s->l, s->start, row), s->want, "");
}

V balance_border(Emit *e, const Balance *b, const Loop *l, V item, V items, V rows) {
  V zero = const_int(e, 0), one = const_int(e, 1), low = cell_new(e, e->t.i64, "low"),
    high = cell_new(e, e->t.i64, "high");
  V none = LLVMBuildOr(e->b, LLVMBuildICmp(e->b, LLVMIntSLE, item, zero, ""),
                       LLVMBuildICmp(e->b, LLVMIntSLE, rows, zero, ""), "");
  V last = LLVMBuildICmp(e->b, LLVMIntSGE, item, items, "");
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, last, rows, zero, ""), low);
  V inner = LLVMBuildNot(e->b, LLVMBuildOr(e->b, none, last, ""), "");
  LLVMBasicBlockRef done = block_when(e, inner, "border");
  V start = border_at(e, b, l, zero, false), end = border_at(e, b, l, LLVMBuildSub(e->b, rows, one, ""), true);
  V all = plus(e, LLVMBuildSub(e->b, end, start, ""), LLVMBuildMul(e->b, rows, const_int(e, ROW_WORK), ""));
  V each = LLVMBuildUDiv(e->b, all, items, ""), rest = LLVMBuildURem(e->b, all, items, "");
  V want =
      plus(e, LLVMBuildMul(e->b, each, item, ""), LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, rest, item, ""), items, ""));
  LLVMBuildStore(e->b, rows, high);
  bisect(&(Search){e, b, l, start, want}, low, high, has_worked);
  block_go(e, done);
  return LLVMBuildLoad2(e->b, e->t.i64, low, "");
}

static V is_beyond(const Search *s, V row) {
  return LLVMBuildICmp(s->e->b, LLVMIntSGT, border_at(s->e, s->b, s->l, row, true), s->want, "");
}

V balance_row(Emit *e, const Balance *b, const Loop *l, V position, V rows) {
  V low = cell_new(e, e->t.i64, "low"), high = cell_new(e, e->t.i64, "high");
  LLVMBuildStore(e->b, const_int(e, 0), low);
  LLVMBuildStore(e->b, rows, high);
  return bisect(&(Search){.e = e, .b = b, .l = l, .want = position}, low, high, is_beyond);
}
