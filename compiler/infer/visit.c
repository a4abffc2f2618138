/* visit: the references to copies that a term, a weight or a support has, in the order of writing; and whether looking
 * at a term may be an error. */
#include "infer/plan.h"
#include "model/term.h"

typedef struct Walk { EdgeVisitor visit; void *arg; } Walk;

/* What a condition before it decides, the sides of an if, the second of an and or an or, is perhaps not looked at. */
static void walk_edges(const Walk *w, const Term *t, bool sure) {
  if (!t) return;
  if (t->kind == TERM_EDGE) w->visit(w->arg, t, sure);
  const Range *r = t->kind == TERM_REDUCE ? &t->index->range : NULL;
  if (r) walk_edges(w, r->lo, sure), walk_edges(w, r->hi, sure), walk_edges(w, r->row, sure);
  bool chooses = t->kind == TERM_IF || (t->kind == TERM_OP && (t->op == OP_AND || t->op == OP_OR));
  for (uint32_t i = 0; i < t->args.n; i++) walk_edges(w, t->args.at[i], sure && !(chooses && i));
}

void visit_edges(const Term *t, EdgeVisitor visit, void *arg) { walk_edges(&(Walk){visit, arg}, t, true); }

static void visit_range(const Range *r, EdgeVisitor visit, void *arg) {
  visit_edges(r->lo, visit, arg);
  visit_edges(r->hi, visit, arg);
  visit_edges(r->row, visit, arg);
}

void visit_support(const void *edge, EdgeVisitor visit, void *arg) {
  const Edge *e = edge;
  visit_range(&e->range, visit, arg);
  visit_edges(e->m, visit, arg);
  visit_edges(e->n, visit, arg);
  visit_edges(e->where, visit, arg);
}

void visit_weight(const void *weight, EdgeVisitor visit, void *arg) {
  const Weight *w = weight;
  visit_edges(w->value, visit, arg);
  visit_edges(w->left, visit, arg);
  visit_edges(w->edge_ref, visit, arg);
  for (uint32_t i = 0; i < w->params.n; i++) visit_edges(w->params.at[i], visit, arg);
}

bool refers_to_own_copy(const Term *t) {
  const Edge *e = t->edge;
  for (uint32_t i = 0; i < e->plates.n; i++)
    if (t->args.at[i]->kind != TERM_INDEX || t->args.at[i]->index != e->plates.at[i]) return false;
  return true;
}

bool term_may_fail(const Term *t) {
  if (t->kind == TERM_OP && (t->op == OP_FLOORDIV || t->op == OP_MOD)) return true;
  bool element = t->kind == TERM_INPUT || t->kind == TERM_LET;
  for (uint32_t i = 0; i < t->args.n; i++) {
    TermKind kind = t->args.at[i]->kind;
    if (term_may_fail(t->args.at[i]) || (element && kind != TERM_INDEX && kind != TERM_EDGE)) return true;
  }
  return false;
}
