/* graph: the borders of a graph's rows, looked at once before anything follows them.
 *
 *   0 = ptr[0] <= ptr[1] <= .. <= ptr[N] = how many are listed
 * Loops over rows then lie within the list, whoever calls; what is listed is checked where it is used as an index. */
#include "back/emit.h"

typedef LLVMValueRef V;

static const Array *list_of(const Kernel *k, const Array *borders) {
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    if (a->kind == ARRAY_IN && a->part == PART_INDICES && a->external == borders->external) return a;
  }
  return NULL;
}

/* The place in the model that first reads it; NULL: none does. */
static const Span *use_of(const Kernel *k, const Array *a) {
  for (uint32_t v = 1; v < k->instrs.n; v++)
    if (ir_at(k, v)->op == IR_LOAD && ir_at(k, v)->array == a) return &ir_at(k, v)->span;
  return NULL;
}

static V get(Emit *e, V cell) { return LLVMBuildLoad2(e->b, e->t.i64, cell, ""); }

static V border_at(Emit *e, const Array *a, V row) {
  return array_get(e, a, array_at(e, a, LLVMBuildMul(e->b, row, e->place[a->id].stride[0], "")));
}

/* The first row whose border is wrong; -1: none. */
static V wrong_row(Emit *e, const Array *a, V rows, V listed) {
  V zero = const_int(e, 0), none = const_int(e, -1);
  V before = cell_new(e, e->t.i64, "before"), wrong = cell_new(e, e->t.i64, "wrong");
  LLVMBuildStore(e->b, zero, before);
  LLVMBuildStore(e->b, none, wrong);
  Count c = count_enter(e, zero, LLVMBuildAdd(e->b, rows, const_int(e, 1), ""));
  V first = LLVMBuildICmp(e->b, LLVMIntEQ, c.index, zero, ""), last = LLVMBuildICmp(e->b, LLVMIntEQ, c.index, rows, "");
  V border = border_at(e, a, c.index), least = LLVMBuildSelect(e->b, last, listed, get(e, before), ""),
    most = LLVMBuildSelect(e->b, first, zero, listed, "");
  V out = LLVMBuildOr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, border, least, ""),
                      LLVMBuildICmp(e->b, LLVMIntSGT, border, most, ""), "");
  V is_first = LLVMBuildAnd(e->b, out, LLVMBuildICmp(e->b, LLVMIntSLT, get(e, wrong), zero, ""), "");
  LLVMBuildStore(e->b, LLVMBuildSelect(e->b, is_first, c.index, get(e, wrong), ""), wrong);
  LLVMBuildStore(e->b, border, before);
  count_leave(e, &c);
  return get(e, wrong);
}

static void check_graph(Emit *e, const Array *a, const Array *list, const Span *at) {
  V one = const_int(e, 1), rows = LLVMBuildSub(e->b, layout_size(e, a->dims[0]), one, "");
  V listed = layout_size(e, list->dims[0]), wrong = wrong_row(e, a, rows, listed);
  V is_wrong = LLVMBuildICmp(e->b, LLVMIntSGE, wrong, const_int(e, 0), "");
  V row = LLVMBuildSelect(e->b, is_wrong, wrong, const_int(e, 0), "");
  V limit = LLVMBuildAdd(e->b, listed, one, "");
  refuse_when(e, is_wrong, ATTN_ERROR_INDEX, (int)e->sites.n, border_at(e, a, row), limit);
  vec_push(e->arena, &e->sites, *at);
}

void check_graphs(Emit *e) {
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (a->kind != ARRAY_IN || a->part != PART_INDPTR) continue;
    const Array *list = list_of(e->k, a);
    const Span *at = use_of(e->k, a);
    if (list && at) check_graph(e, a, list, at);
  }
}
